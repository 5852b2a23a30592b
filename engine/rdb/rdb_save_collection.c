// SPDX-License-Identifier: BSD-3-Clause
//
// What lists, sets, sorted sets and hashes consist of in a file: one block as it is in memory where
// the version has that form, else a count and the elements, one in each call. Runs where rdb_save.h
// says; reads the value only. Invariant: as many elements are written as were announced: all that
// are there physically, also fields of hashes whose time is over. Called by rdb_save.c.
#include "engine/base/alloc.h"
#include "engine/encoding/intset.h"
#include "engine/encoding/quicklist.h"
#include "engine/rdb/rdb_saving.h"

enum { NODE_PLAIN = 1, NODE_LISTPACK = 2 }; // what stands before a node of a quicklist

static void put_listpack(struct rdb_saving *s, struct buf *out, const uint8_t *lp) {
    rdb__put(s, out, slice_of(lp, listpack_bytes(lp)));
}

// ---- lists -------------------------------------------------------------------------------------

/** A list that is one listpack: a quicklist of one node. */
static void save_single(struct rdb_saving *s, struct buf *out, const uint8_t *lp) {
    rdb_save_length(out, 1);
    if (s->type == RDB_LIST_QUICKLIST) {
        rdb__save_ziplist(out, s->how, lp);
        return;
    }
    rdb_save_length(out, NODE_LISTPACK);
    put_listpack(s, out, lp);
}

/** All items of a node, one by one. */
static void save_items(struct rdb_saving *s, struct buf *out, const struct quicklist_node *node,
                       const uint8_t *data) {
    struct listpack_item item;
    if (node->plain) {
        rdb_save_string(out, s->how, slice_of(data, node->bytes));
        return;
    }
    for (const uint8_t *p = listpack_first(data); p != NULL; p = listpack_next(data, p)) {
        listpack_get(p, &item);
        if (item.is_int)
            rdb_save_i64_string(out, item.number);
        else
            rdb_save_string(out, s->how, item.text);
    }
}

/** A node in an older form than it has in memory. */
static void save_old_node(struct rdb_saving *s, struct buf *out,
                          const struct quicklist_node *node) {
    uint8_t *unpacked;
    const uint8_t *data = quicklist_node_data(node, &unpacked);
    if (s->type == RDB_LIST_QUICKLIST)
        rdb__save_ziplist(out, s->how, data);
    else if (node->plain && unpacked == NULL)
        rdb__put(s, out, slice_of(data, node->bytes));
    else
        save_items(s, out, node, data);
    mem_free(unpacked);
}

bool rdb__save_list(struct rdb_saving *s, struct buf *out) {
    struct rdb__saving *w = rdb__state(s);
    struct value v = entry_value(s->entry);
    const struct quicklist *ql = v.object;
    bool begun = w->begun;
    w->begun = true;
    if (v.encoding == ENC_LIST_LISTPACK) {
        if (!begun) save_single(s, out, v.object);
        return !begun;
    }
    if (!begun) {
        rdb_save_length(out, s->type == RDB_LIST ? ql->count : ql->nodes);
        w->in.node = ql->head;
        return true;
    }
    const struct quicklist_node *node = w->in.node;
    if (node == NULL) return false;
    w->in.node = node->next;
    if (s->type != RDB_LIST_QUICKLIST_2) {
        save_old_node(s, out, node);
        return true;
    }
    rdb_save_length(out, node->plain ? NODE_PLAIN : NODE_LISTPACK);
    if (node->packed != 0)
        rdb__save_packed(out, slice_of(node->data, node->packed), node->bytes);
    else
        rdb__put(s, out, slice_of(node->data, node->bytes));
    return true;
}

// ---- sets --------------------------------------------------------------------------------------

bool rdb__save_set(struct rdb_saving *s, struct buf *out) {
    struct rdb__saving *w = rdb__state(s);
    struct value v = entry_value(s->entry);
    struct listpack_item item;
    bool begun = w->begun;
    w->begun = true;
    if (s->type == RDB_SET) {
        if (begun) {
            if (!tset_next(&w->in.set, &item)) return false;
            rdb__put_item(s, out, &item);
        } else {
            rdb_save_length(out, tset_count(v));
            tset_iterate(&w->in.set, v);
        }
        return true;
    }
    if (begun) return false;
    if (s->type == RDB_SET_INTSET)
        rdb__put(s, out, slice_of(v.object, intset_bytes(v.object)));
    else
        put_listpack(s, out, v.object);
    return true;
}

// ---- sorted sets -------------------------------------------------------------------------------

bool rdb__save_zset(struct rdb_saving *s, struct buf *out) {
    struct rdb__saving *w = rdb__state(s);
    struct value v = entry_value(s->entry);
    struct listpack_item member;
    double score;
    bool begun = w->begun;
    w->begun = true;
    if (s->type == RDB_ZSET_2) {
        if (begun) {
            if (!tzset_next(&w->in.zset, &member, &score)) return false;
            rdb__put_item(s, out, &member);
            rdb__put_score(s, out, score);
        } else {
            // From the highest down, as Redis does: who reads it inserts at the front each time.
            rdb_save_length(out, tzset_length(v));
            tzset_iterate_rank(&w->in.zset, v, 0, true);
        }
        return true;
    }
    if (begun) return false;
    if (s->type == RDB_ZSET_ZIPLIST)
        rdb__save_ziplist(out, s->how, v.object);
    else
        put_listpack(s, out, v.object);
    return true;
}

// ---- hashes ------------------------------------------------------------------------------------

/** The listpack of field, value, expiry, of which none expires, as one of field, value. */
static uint8_t *without_expiries(struct value v) {
    char scratch[NUM_I64_TEXT_MAX];
    uint8_t *lp = listpack_new(listpack_bytes(v.object));
    unsigned i = 0;
    for (const uint8_t *p = listpack_first(v.object); p != NULL; i++) {
        if (i % 3 != 2) lp = listpack_append(lp, listpack_text(p, scratch));
        p = listpack_next(v.object, p);
    }
    return lp;
}

static void save_small_hash(struct rdb_saving *s, struct buf *out, struct value v) {
    if (s->type == RDB_HASH_LISTPACK_EX) {
        int64_t min_ms = thash_min_expire_ms(v);
        rdb__save_u64(out, min_ms != THASH_NEVER ? (uint64_t)min_ms : 0);
        put_listpack(s, out, v.object);
        return;
    }
    uint8_t *narrow = v.encoding == ENC_HASH_LISTPACK_EX ? without_expiries(v) : NULL;
    const uint8_t *lp = narrow != NULL ? narrow : v.object;
    if (s->type == RDB_HASH_ZIPLIST)
        rdb__save_ziplist(out, s->how, lp);
    else if (narrow != NULL)
        rdb_save_string(out, s->how, slice_of(lp, listpack_bytes(lp)));
    else
        put_listpack(s, out, lp);
    listpack_free(narrow);
}

static void begin_large_hash(struct rdb_saving *s, struct buf *out, struct value v) {
    struct rdb__saving *w = rdb__state(s);
    w->in.hash.base_ms = thash_min_expire_ms(v);
    if (s->type == RDB_HASH_METADATA) rdb__save_u64(out, (uint64_t)w->in.hash.base_ms);
    rdb_save_length(out, value_length(v));
    thash_iterate(&w->in.hash.it, v, 0); // at that time none is over
}

bool rdb__save_hash(struct rdb_saving *s, struct buf *out) {
    struct rdb__saving *w = rdb__state(s);
    struct value v = entry_value(s->entry);
    struct listpack_item field, value;
    int64_t expire_ms;
    bool begun = w->begun;
    w->begun = true;
    if (v.encoding != ENC_HASH_HASHTABLE) {
        if (!begun) save_small_hash(s, out, v);
        return !begun;
    }
    if (!begun) {
        begin_large_hash(s, out, v);
        return true;
    }
    if (!thash_next_expiring(&w->in.hash.it, &field, &value, &expire_ms)) return false;
    // 0: never; otherwise one more than its distance from the earliest.
    if (s->type == RDB_HASH_METADATA)
        rdb_save_length(
            out, expire_ms == THASH_NEVER ? 0 : (uint64_t)(expire_ms - w->in.hash.base_ms) + 1);
    rdb__put_item(s, out, &field);
    rdb__put_item(s, out, &value);
    return true;
}
