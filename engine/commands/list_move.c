// SPDX-License-Identifier: BSD-3-Clause
//
// List commands over several keys, and those that wait: LMOVE, LMPOP, BLPOP and their kin. What
// waits leaves the effect of what it did in the end, never of itself. No state; runs on whichever
// thread has been given the keys. Invariant: an item is in exactly one list before and after, also
// when source and destination are the same. Called through the rows of the command table.
#include "engine/commands/list_parts.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"

// ---- from list to list -------------------------------------------------------------------------

/** An item that has been taken out of its list. */
struct moved {
    struct slice text;
    size_t weight; // bytes that count towards the limits of the destination
    char small[64];
    char *large; // memory of the text when it is long
};

static void take(struct value *v, bool front, struct moved *m) {
    struct tlist_iterator it;
    struct listpack_item item;
    tlist_iterate(&it, *v, front ? 0 : -1, false);
    bool found = tlist_next(&it, &item);
    ASSERT(found);
    m->large = NULL;
    if (item.is_int) {
        m->text = slice_of(m->small, num_format_i64(m->small, item.number));
    } else {
        if (item.text.n > sizeof m->small) m->large = mem_alloc(item.text.n);
        char *to = m->large != NULL ? m->large : m->small;
        if (item.text.n > 0) memcpy(to, item.text.p, item.text.n);
        m->text = slice_of(to, item.text.n);
    }
    // As in Redis, where an integer out of a quicklist has no length.
    m->weight = item.is_int && v->encoding == ENC_LIST_QUICKLIST ? 0 : m->text.n;
    tlist_end(&it);
    tlist_delete(v, front ? 0 : tlist_length(*v) - 1, 1);
}

static void give(struct cmd *c, struct value *v, bool front, const struct moved *m) {
    if (v->encoding == 0) *v = tlist_new();
    tlist_will_grow(v, m->weight, 1, list__limits(c));
    tlist_add(v, m->text, front);
}

static void move_within(struct cmd *c, bool from_front, bool to_front, struct moved *m) {
    struct change ch;
    bool opened = change_open(c, 1, ENTRY_LIST, &ch);
    ASSERT(opened);
    take(&ch.v, from_front, m);
    give(c, &ch.v, to_front, m);
    tlist_has_shrunk(&ch.v, list__limits(c));
    change_close(&ch, 1, to_front ? "lpush" : "rpush");
    change_event(&ch, from_front ? "lpop" : "rpop");
}

static void move_between(struct cmd *c, bool from_front, bool to_front, struct moved *m) {
    struct change from, to;
    bool opened = change_open(c, 1, ENTRY_LIST, &from);
    ASSERT(opened);
    take(&from.v, from_front, m);
    tlist_has_shrunk(&from.v, list__limits(c));
    bool last = tlist_length(from.v) == 0;
    change_close(&from, 1, NULL); // said after the other, as in Redis
    // Only now: what is closed may have moved slots of the table.
    opened = change_open(c, 2, ENTRY_LIST, &to);
    ASSERT(opened);
    give(c, &to.v, to_front, m);
    change_close(&to, 1, to_front ? "lpush" : "rpush");
    to.f.db->keyspace->stats.dirty--; // both keys are told of it, but it is one change
    change_event(&from, from_front ? "lpop" : "rpop");
    if (last) db_event(from.f.db, EVENT_GENERIC, "del", from.f.key.text);
}

/** Moves an item. False: the source is absent, and nothing has been replied. */
static bool move(struct cmd *c, bool from_front, bool to_front) {
    struct found from = cmd_write(c, 1);
    if (from.ref.entry == NULL) return false;
    if (cmd_wrong_type(c, &from, ENTRY_LIST)) return true;
    bool same = slice_equal(c->argv[1], c->argv[2]);
    if (!same) {
        struct found to = cmd_write(c, 2);
        if (cmd_wrong_type(c, &to, ENTRY_LIST)) return true;
    }
    struct moved m;
    if (same)
        move_within(c, from_front, to_front, &m);
    else
        move_between(c, from_front, to_front, &m);
    reply_bulk_slice(c->reply, m.text);
    mem_free(m.large);
    return true;
}

void list_lmove(struct cmd *c) {
    bool from_front, to_front;
    if (!list__arg_end(c, 3, &from_front) || !list__arg_end(c, 4, &to_front)) return;
    if (!move(c, from_front, to_front)) reply_null(c->reply);
}

void list_rpoplpush(struct cmd *c) {
    if (!move(c, false, true)) reply_null(c->reply);
}

/** Whether a change was made and its effect is to be said: not after an error. */
static bool has_changed(const struct cmd *c, uint32_t errors_before) {
    return cmd_has_effects(c) && c->reply->errors == errors_before;
}

/** Moves an item or waits for one; the effect is these words. */
static void move_or_wait(struct cmd *c, bool from_front, bool to_front, int64_t timeout_ms,
                         const char *effect, int words) {
    uint32_t errors = c->reply->errors;
    if (!move(c, from_front, to_front)) {
        if (!cmd_block(c, ENTRY_LIST, timeout_ms, 1, 1, 1)) reply_null(c->reply);
        return;
    }
    if (!has_changed(c, errors)) return;
    struct effect e;
    effect_begin(&e, c, effect);
    for (int i = 1; i < words; i++) effect_text(&e, c->argv[i]);
    effect_end(&e);
}

void list_blmove(struct cmd *c) {
    bool from_front, to_front;
    int64_t timeout_ms;
    if (!list__arg_end(c, 3, &from_front) || !list__arg_end(c, 4, &to_front)) return;
    if (!cmd_arg_timeout(c, 5, &timeout_ms)) return;
    move_or_wait(c, from_front, to_front, timeout_ms, "LMOVE", 5);
}

void list_brpoplpush(struct cmd *c) {
    int64_t timeout_ms;
    if (!cmd_arg_timeout(c, 3, &timeout_ms)) return;
    move_or_wait(c, false, true, timeout_ms, "RPOPLPUSH", 3);
}

// ---- from the first list that has something ----------------------------------------------------

/** What is popped from one of several keys. */
struct wish {
    int first, keys; // arguments
    bool front;
    bool many;      // with a count, as LMPOP does
    uint64_t count; // at most
};

static void say_effect(struct cmd *c, int arg, const struct wish *w, uint64_t popped) {
    struct effect e;
    effect_begin(&e, c, w->front ? "LPOP" : "RPOP");
    effect_text(&e, c->argv[arg]);
    if (w->many) effect_i64(&e, (int64_t)popped);
    effect_end(&e);
}

/** Pops from the first list there is. False: there is none, and nothing has been replied. */
static bool pop_first(struct cmd *c, const struct wish *w) {
    for (int arg = w->first; arg < w->first + w->keys; arg++) {
        if (!cmd_serves(c, arg)) continue;
        struct change ch;
        if (!change_open(c, arg, ENTRY_LIST, &ch)) return true;
        if (ch.v.encoding == 0) continue;
        uint64_t popped = 1;
        reply_array(c->reply, 2);
        reply_bulk_slice(c->reply, c->argv[arg]);
        if (w->many)
            popped = list__pop_many(&ch, w->front, w->count);
        else
            list__pop_one(&ch, w->front);
        say_effect(c, arg, w, popped);
        return true;
    }
    return false;
}

static void pop_or_wait(struct cmd *c, const struct wish *w, int timeout_arg) {
    int64_t timeout_ms;
    if (!cmd_arg_timeout(c, timeout_arg, &timeout_ms) || pop_first(c, w)) return;
    if (!cmd_block(c, ENTRY_LIST, timeout_ms, w->first, w->first + w->keys - 1, 1))
        reply_null_array(c->reply);
}

static void block_pop(struct cmd *c, bool front) {
    struct wish w = {.first = 1, .keys = c->argc - 2, .front = front};
    pop_or_wait(c, &w, c->argc - 1);
}

void list_blpop(struct cmd *c) { block_pop(c, true); }
void list_brpop(struct cmd *c) { block_pop(c, false); }

/** numkeys key ... LEFT|RIGHT [COUNT n], from the argument on. False: the error was written. */
static bool parse_wish(struct cmd *c, int arg, struct wish *w) {
    int64_t keys, count = -1;
    if (!cmd_arg_range(c, arg, 1, INT64_MAX, &keys, "ERR numkeys should be greater than 0"))
        return false;
    if (keys >= c->argc - arg - 1) {
        reply_error(c->reply, error_syntax);
        return false;
    }
    *w = (struct wish){.first = arg + 1, .keys = (int)keys, .many = true};
    int end = w->first + w->keys;
    if (!list__arg_end(c, end, &w->front)) return false;
    for (int i = end + 1; i < c->argc; i += 2) {
        if (count != -1 || i + 1 >= c->argc || !slice_is(c->argv[i], "count")) {
            reply_error(c->reply, error_syntax);
            return false;
        }
        if (!cmd_arg_range(c, i + 1, 1, INT64_MAX, &count, "ERR count should be greater than 0"))
            return false;
    }
    w->count = count != -1 ? (uint64_t)count : 1;
    return true;
}

void list_lmpop(struct cmd *c) {
    struct wish w;
    if (parse_wish(c, 1, &w) && !pop_first(c, &w)) reply_null_array(c->reply);
}

void list_blmpop(struct cmd *c) {
    struct wish w;
    if (parse_wish(c, 2, &w)) pop_or_wait(c, &w, 1);
}
