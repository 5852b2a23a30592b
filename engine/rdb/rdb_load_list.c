// SPDX-License-Identifier: BSD-3-Clause
//
// Lists from their serialized forms: items one by one, one ziplist, or a quicklist's nodes. Which
// encoding they get is Redis 7.2's rule, by which a list that was one ziplist stays a quicklist. No
// state; the thread that loads. Invariant: a list that is returned has items. Called by rdb_load.c.
#include "engine/rdb/rdb_load_parts.h"
#include "engine/rdb/rdb_ziplist.h"
#include "engine/types/t_list.h"

enum { NODE_PLAIN = 1, NODE_PACKED = 2 };

static inline struct quicklist *list_of(const struct rdb_loading *l) { return l->v.object; }
/** The list is one node, and that is a plain one. */
static inline bool *plain_of(struct rdb_loading *l) { return (bool *)l->state; }

static bool push_items(struct rdb_load *load, struct rdb_in *in, struct rdb_loading *l) {
    struct slice text;
    rdb_load__limit(l, in, RDB_LOAD__WEIGHT);
    for (; l->left > 0 && !rdb_load__is_over(l, in); l->left--) {
        if (!rdb_in_string(in, &load->scratch, &text)) return false;
        quicklist_push(list_of(l), text, false);
    }
    return true;
}

static void push_ziplist(struct quicklist *ql, struct rdb_ziplist *z) {
    char scratch[NUM_I64_TEXT_MAX];
    struct listpack_item item;
    while (z->count > 0) {
        rdb_ziplist_next(z, &item);
        if (item.is_int) item.text = slice_of(scratch, num_format_i64(scratch, item.number));
        quicklist_push(ql, item.text, false);
    }
}

/** The items of one ziplist, as they would be pushed. */
static bool push_all_of_ziplist(struct rdb_load *load, struct rdb_in *in, struct quicklist *ql) {
    struct slice text;
    struct rdb_ziplist z;
    if (!rdb_in_string(in, &load->scratch, &text)) return false;
    if (!rdb_ziplist_begin(&z, (const uint8_t *)text.p, text.n))
        return rdb_in_fail(in, "a malformed ziplist");
    push_ziplist(ql, &z);
    return true;
}

/** Adds a node as it is; one without items is passed over, as Redis does. */
static bool append_node(struct quicklist *ql, uint8_t *lp) {
    if (lp == NULL) return false;
    if (listpack_count(lp) > 0)
        quicklist_append_listpack(ql, lp);
    else
        listpack_free(lp);
    return true;
}

static bool append_ziplists(struct rdb_load *load, struct rdb_in *in, struct rdb_loading *l) {
    rdb_load__limit(l, in, 1);
    for (; l->left > 0 && !rdb_load__is_over(l, in); l->left--)
        if (!append_node(list_of(l), rdb_load__ziplist(load, in, 1, false))) return false;
    return true;
}

/** A node that is one item. */
static bool append_plain(struct rdb_load *load, struct rdb_in *in, struct quicklist *ql) {
    struct slice text;
    if (!rdb_in_string(in, &load->scratch, &text)) return false;
    if (text.n == 0) return rdb_in_fail(in, "an empty node of a list");
    if (text.n >= ql->plain_min)
        quicklist_push(ql, text, false);
    else
        quicklist_append_listpack(ql, listpack_append(listpack_new(0), text));
    return true;
}

static bool append_nodes(struct rdb_load *load, struct rdb_in *in, struct rdb_loading *l) {
    struct quicklist *ql = list_of(l);
    bool *plain = plain_of(l);
    uint64_t container;
    rdb_load__limit(l, in, 1);
    for (; l->left > 0 && !rdb_load__is_over(l, in); l->left--) {
        if (!rdb_in_length(in, &container)) return false;
        if (container == NODE_PLAIN) {
            if (!append_plain(load, in, ql)) return false;
            *plain = ql->nodes == 1;
        } else if (container == NODE_PACKED) {
            if (!append_node(ql, rdb_load__listpack(load, in, 1, false))) return false;
            *plain = *plain && ql->nodes == 1;
        } else {
            return rdb_in_fail(in, "an unknown kind of a list's nodes");
        }
    }
    return true;
}

static bool load_into(struct rdb_load *load, struct rdb_in *in, struct rdb_loading *l) {
    switch (l->type) {
    case RDB_LIST: return push_items(load, in, l);
    case RDB_LIST_ZIPLIST: return push_all_of_ziplist(load, in, list_of(l));
    case RDB_LIST_QUICKLIST: return append_ziplists(load, in, l);
    default: return append_nodes(load, in, l);
    }
}

enum rdb_loaded rdb_load__list(struct rdb_load *load, struct rdb_in *in, struct rdb_loading *l) {
    if (!l->begun) {
        size_t each = l->type == RDB_LIST_QUICKLIST_2 ? 2 : 1;
        l->left = 0;
        if (l->type != RDB_LIST_ZIPLIST && !rdb_in_count(in, each, &l->left))
            return RDB_LOAD_FAILED;
        l->v = (struct value){ENC_LIST_QUICKLIST, tlist_new_quicklist(load->limits)};
        *plain_of(l) = false;
        l->begun = true;
    }
    bool whole = load_into(load, in, l);
    if (whole && l->left > 0) return RDB_LOAD_MORE;
    if (!whole || list_of(l)->count == 0) {
        quicklist_free(list_of(l));
        return whole ? RDB_LOAD_EMPTY : RDB_LOAD_FAILED;
    }
    if (l->type != RDB_LIST_ZIPLIST && !*plain_of(l)) tlist_settle(&l->v, load->limits);
    return RDB_LOADED;
}
