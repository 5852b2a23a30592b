// SPDX-License-Identifier: BSD-3-Clause
//
// Taking members off an end of a sorted set: ZPOPMIN, ZPOPMAX, ZMPOP and their blocking forms
// BZPOPMIN, BZPOPMAX, BZMPOP. No state; runs on whichever thread was given the keys. Invariant:
// what is replayed is ZPOPMIN or ZPOPMAX of the one key that was served, so never a command that
// waits.
#include "engine/commands/zset_parts.h"

/** How the popped members are answered. */
enum shape {
    FLAT,        // member, score, ...
    PAIRS,       // a pair for each
    KEY_FLAT,    // the key, member, score
    KEY_AND_ALL, // the key and an array of pairs
};

// Takes `count` members (at most) off the value and answers with them.
static void pop(struct cmd *c, struct change *ch, int key, bool max, size_t count,
                enum shape shape) {
    struct reply *r = c->reply;
    struct tzset_iterator it;
    struct listpack_item member;
    double score;
    tzset_iterate_rank(&it, ch->v, 0, max);
    if (it.left > count) it.left = count;
    count = it.left;
    if (shape == FLAT) reply_array(r, count * 2);
    if (shape == KEY_FLAT) reply_array(r, count * 2 + 1);
    if (shape == KEY_AND_ALL) reply_array(r, 2);
    if (shape == KEY_FLAT || shape == KEY_AND_ALL) reply_bulk_slice(r, c->argv[key]);
    if (shape == PAIRS || shape == KEY_AND_ALL) reply_array(r, count);
    while (tzset_next(&it, &member, &score)) {
        if (shape == PAIRS || shape == KEY_AND_ALL) reply_array(r, 2);
        collection_reply_item(r, &member);
        reply_double(r, score);
    }
    tzset_remove_ranks(&ch->v, max ? tzset_length(ch->v) - count : 0, count);
    change_close(ch, count, max ? "zpopmax" : "zpopmin");
}

// What is replayed for a command that chose its key itself; count 0: it has none to name.
static void say_effect(struct cmd *c, int key, bool max, size_t count) {
    struct effect e;
    effect_begin(&e, c, max ? "ZPOPMAX" : "ZPOPMIN");
    effect_text(&e, c->argv[key]);
    if (count > 0) effect_i64(&e, (int64_t)count);
    effect_end(&e);
}

static void pop_one_key(struct cmd *c, bool max) {
    int64_t count = -1;
    if (c->argc > 3) {
        reply_error(c->reply, error_syntax);
        return;
    }
    if (c->argc == 3 &&
        !cmd_arg_range(c, 2, 0, INT64_MAX, &count, "ERR value is out of range, must be positive"))
        return;
    struct change ch;
    if (!change_open(c, 1, ENTRY_ZSET, &ch)) return;
    if (ch.v.encoding == 0 || count == 0) {
        reply_array(c->reply, 0);
        return;
    }
    enum shape shape = c->reply->proto > 2 && count != -1 ? PAIRS : FLAT;
    pop(c, &ch, 1, max, count == -1 ? 1 : (size_t)count, shape);
}

void zset_zpopmin(struct cmd *c) { pop_one_key(c, false); }
void zset_zpopmax(struct cmd *c) { pop_one_key(c, true); }

/** What was found among several keys. */
enum served { SERVED, NOTHING, FAILED };

// Pops from the first key (arguments first to last) that has something.
static enum served pop_first(struct cmd *c, int first, int last, bool max, size_t count,
                             enum shape shape) {
    for (int key = first; key <= last; key++) {
        struct change ch;
        if (!cmd_serves(c, key)) continue;
        if (!change_open(c, key, ENTRY_ZSET, &ch)) return FAILED;
        if (ch.v.encoding == 0) continue;
        size_t length = tzset_length(ch.v);
        pop(c, &ch, key, max, count, shape);
        say_effect(c, key, max, shape == KEY_FLAT ? 0 : count < length ? count : length);
        return SERVED;
    }
    return NOTHING;
}

static void wait_or_give_up(struct cmd *c, int64_t timeout_ms, int first, int last) {
    if (!cmd_block(c, ENTRY_ZSET, timeout_ms, first, last, 1)) reply_null_array(c->reply);
}

static void blocking_pop(struct cmd *c, bool max) {
    int64_t timeout_ms;
    int last = c->argc - 2;
    if (!cmd_arg_timeout(c, c->argc - 1, &timeout_ms)) return;
    if (pop_first(c, 1, last, max, 1, KEY_FLAT) == NOTHING) wait_or_give_up(c, timeout_ms, 1, last);
}

void zset_bzpopmin(struct cmd *c) { blocking_pop(c, false); }
void zset_bzpopmax(struct cmd *c) { blocking_pop(c, true); }

// ---- ZMPOP -------------------------------------------------------------------------------------

struct mpop {
    int first, last; // arguments: the keys
    bool max;
    size_t count;
};

// <numkeys> <key> ... MIN|MAX [COUNT count], from that argument on.
static bool parse_mpop(struct cmd *c, int arg, struct mpop *m) {
    int64_t keys, count = -1;
    if (!cmd_arg_range(c, arg, 1, INT64_MAX, &keys, "ERR numkeys should be greater than 0"))
        return false;
    m->first = arg + 1;
    if (keys >= c->argc - m->first) goto syntax;
    m->last = arg + (int)keys;
    arg = m->last + 1;
    m->max = slice_is(c->argv[arg], "max");
    if (!m->max && !slice_is(c->argv[arg], "min")) goto syntax;
    for (arg++; arg < c->argc; arg += 2) {
        if (count != -1 || !slice_is(c->argv[arg], "count") || arg + 1 == c->argc) goto syntax;
        if (!cmd_arg_range(c, arg + 1, 1, INT64_MAX, &count, "ERR count should be greater than 0"))
            return false;
    }
    m->count = count == -1 ? 1 : (size_t)count;
    return true;
syntax:
    reply_error(c->reply, error_syntax);
    return false;
}

void zset_zmpop(struct cmd *c) {
    struct mpop m;
    if (!parse_mpop(c, 1, &m)) return;
    if (pop_first(c, m.first, m.last, m.max, m.count, KEY_AND_ALL) == NOTHING)
        reply_null_array(c->reply);
}

void zset_bzmpop(struct cmd *c) {
    struct mpop m;
    int64_t timeout_ms;
    if (!parse_mpop(c, 2, &m) || !cmd_arg_timeout(c, 1, &timeout_ms)) return;
    if (pop_first(c, m.first, m.last, m.max, m.count, KEY_AND_ALL) == NOTHING)
        wait_or_give_up(c, timeout_ms, m.first, m.last);
}
