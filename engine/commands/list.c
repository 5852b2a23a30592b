// SPDX-License-Identifier: BSD-3-Clause
//
// The commands over one list: adding, taking, reading, changing. Those that move items between keys
// or wait are in list_move.c, LPOS is in list_search.c. No state; runs on whichever thread runs the
// command. Invariant: errors come in Redis's order. Called through the rows of the command table.
#include "engine/commands/list_parts.h"

#include "engine/base/assert.h"

// ---- shared ------------------------------------------------------------------------------------

void list__reply_range(struct cmd *c, struct value v, int64_t index, uint64_t count,
                       bool backwards) {
    struct tlist_iterator it;
    struct listpack_item item;
    reply_array(c->reply, count);
    tlist_iterate(&it, v, index, backwards);
    for (; count > 0 && tlist_next(&it, &item); count--) collection_reply_item(c->reply, &item);
    ASSERT(count == 0);
    tlist_end(&it);
}

void list__pop_one(struct change *ch, bool front) {
    struct tlist_iterator it;
    struct listpack_item item;
    tlist_iterate(&it, ch->v, front ? 0 : -1, false);
    bool found = tlist_next(&it, &item);
    ASSERT(found);
    collection_reply_item(ch->c->reply, &item);
    tlist_end(&it);
    tlist_delete(&ch->v, front ? 0 : tlist_length(ch->v) - 1, 1);
    tlist_has_shrunk(&ch->v, list__limits(ch->c));
    change_close(ch, 1, front ? "lpop" : "rpop");
}

uint64_t list__pop_many(struct change *ch, bool front, uint64_t count) {
    uint64_t length = tlist_length(ch->v);
    if (count > length) count = length;
    list__reply_range(ch->c, ch->v, front ? 0 : -1, count, !front);
    tlist_delete(&ch->v, front ? 0 : length - count, count);
    tlist_has_shrunk(&ch->v, list__limits(ch->c));
    change_close(ch, count, front ? "lpop" : "rpop");
    return count;
}

bool list__arg_end(struct cmd *c, int arg, bool *front) {
    *front = slice_is(c->argv[arg], "left");
    if (*front || slice_is(c->argv[arg], "right")) return true;
    reply_error(c->reply, error_syntax);
    return false;
}

/** From start and stop as clients give them to a range of existing items; false: it is empty. */
static bool clamp(int64_t *start, int64_t *stop, uint64_t length) {
    int64_t n = (int64_t)length;
    if (*start < 0) *start += n;
    if (*stop < 0) *stop += n;
    if (*start < 0) *start = 0;
    if (*start > *stop || *start >= n) return false;
    if (*stop >= n) *stop = n - 1;
    return true;
}

// ---- adding ------------------------------------------------------------------------------------

static void push(struct cmd *c, bool front, bool only_existing) {
    struct change ch;
    if (!change_open(c, 1, ENTRY_LIST, &ch)) return;
    if (ch.v.encoding == 0) {
        if (only_existing) {
            reply_int(c->reply, 0);
            return;
        }
        ch.v = tlist_new();
    }
    size_t count = (size_t)c->argc - 2;
    tlist_push_all(&ch.v, c->argv + 2, count, front, list__limits(c));
    reply_int(c->reply, (int64_t)tlist_length(ch.v));
    change_close(&ch, count, front ? "lpush" : "rpush");
}

void list_lpush(struct cmd *c) { push(c, true, false); }
void list_rpush(struct cmd *c) { push(c, false, false); }
void list_lpushx(struct cmd *c) { push(c, true, true); }
void list_rpushx(struct cmd *c) { push(c, false, true); }

void list_linsert(struct cmd *c) {
    bool after = slice_is(c->argv[2], "after");
    if (!after && !slice_is(c->argv[2], "before")) {
        reply_error(c->reply, error_syntax);
        return;
    }
    struct change ch;
    if (!change_open(c, 1, ENTRY_LIST, &ch)) return;
    if (ch.v.encoding == 0) {
        reply_int(c->reply, 0);
        return;
    }
    bool inserted = tlist_insert(&ch.v, c->argv[3], c->argv[4], after, list__limits(c));
    reply_int(c->reply, inserted ? (int64_t)tlist_length(ch.v) : -1);
    change_close(&ch, inserted ? 1 : 0, "linsert");
}

// ---- taking ------------------------------------------------------------------------------------

static void pop(struct cmd *c, bool front) {
    int64_t count = 1;
    bool counted = c->argc == 3;
    if (c->argc > 3) {
        reply_error_format(c->reply, "ERR wrong number of arguments for '%s' command",
                           c->spec->full_name);
        return;
    }
    if (counted &&
        !cmd_arg_range(c, 2, 0, INT64_MAX, &count, "ERR value is out of range, must be positive"))
        return;
    struct change ch;
    if (!change_open(c, 1, ENTRY_LIST, &ch)) return;
    if (ch.v.encoding == 0) {
        if (counted)
            reply_null_array(c->reply);
        else
            reply_null(c->reply);
    } else if (!counted) {
        list__pop_one(&ch, front);
    } else if (count == 0) {
        reply_array(c->reply, 0);
    } else {
        list__pop_many(&ch, front, (uint64_t)count);
    }
}

void list_lpop(struct cmd *c) { pop(c, true); }
void list_rpop(struct cmd *c) { pop(c, false); }

void list_lrem(struct cmd *c) {
    int64_t count;
    if (!cmd_arg_i64(c, 2, &count)) return;
    struct change ch;
    if (!change_open(c, 1, ENTRY_LIST, &ch)) return;
    if (ch.v.encoding == 0) {
        reply_int(c->reply, 0);
        return;
    }
    bool backwards = count < 0;
    uint64_t limit = backwards ? 0 - (uint64_t)count : (uint64_t)count;
    uint64_t removed = tlist_remove(&ch.v, c->argv[3], limit, backwards);
    if (removed > 0) tlist_has_shrunk(&ch.v, list__limits(c));
    reply_int(c->reply, (int64_t)removed);
    change_close(&ch, removed, "lrem");
}

void list_ltrim(struct cmd *c) {
    int64_t start, stop;
    if (!cmd_arg_i64(c, 2, &start) || !cmd_arg_i64(c, 3, &stop)) return;
    struct change ch;
    if (!change_open(c, 1, ENTRY_LIST, &ch)) return;
    reply_ok(c->reply);
    if (ch.v.encoding == 0) return;
    uint64_t length = tlist_length(ch.v), before = length, behind = 0;
    if (clamp(&start, &stop, length)) {
        before = (uint64_t)start;
        behind = length - (uint64_t)stop - 1;
    }
    tlist_delete(&ch.v, length - behind, behind);
    tlist_delete(&ch.v, 0, before);
    tlist_has_shrunk(&ch.v, list__limits(c));
    change_close(&ch, before + behind, "ltrim");
    if (before + behind == 0) change_event(&ch, "ltrim"); // said in any case
}

// ---- reading and replacing ---------------------------------------------------------------------

void list_llen(struct cmd *c) {
    struct value v;
    if (!collection_read(c, 1, ENTRY_LIST, &v)) return;
    reply_int(c->reply, v.encoding != 0 ? (int64_t)tlist_length(v) : 0);
}

void list_lrange(struct cmd *c) {
    int64_t start, stop;
    struct value v;
    if (!cmd_arg_i64(c, 2, &start) || !cmd_arg_i64(c, 3, &stop)) return;
    if (!collection_read(c, 1, ENTRY_LIST, &v)) return;
    if (v.encoding == 0 || !clamp(&start, &stop, tlist_length(v)))
        reply_array(c->reply, 0);
    else
        list__reply_range(c, v, start, (uint64_t)(stop - start) + 1, false);
}

void list_lindex(struct cmd *c) {
    int64_t index;
    struct value v;
    if (!collection_read(c, 1, ENTRY_LIST, &v)) return;
    if (v.encoding == 0) {
        reply_null(c->reply);
        return;
    }
    if (!cmd_arg_i64(c, 2, &index)) return;
    struct tlist_iterator it;
    struct listpack_item item;
    tlist_iterate(&it, v, index, false);
    if (tlist_next(&it, &item))
        collection_reply_item(c->reply, &item);
    else
        reply_null(c->reply);
    tlist_end(&it);
}

void list_lset(struct cmd *c) {
    int64_t index;
    struct change ch;
    if (!change_open(c, 1, ENTRY_LIST, &ch)) return;
    if (ch.v.encoding == 0) {
        reply_error(c->reply, error_no_such_key);
        return;
    }
    if (!cmd_arg_i64(c, 2, &index)) return;
    bool replaced = tlist_set(&ch.v, index, c->argv[3], list__limits(c));
    if (replaced)
        reply_ok(c->reply);
    else
        reply_error(c->reply, "ERR index out of range");
    change_close(&ch, replaced ? 1 : 0, "lset");
}
