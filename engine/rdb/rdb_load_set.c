// SPDX-License-Identifier: BSD-3-Clause
//
// Sets from their serialized forms: members one by one, an intset, or a listpack. Which encoding
// they get is Redis 7.2's rule. No state; the thread that loads. Invariant: a set that is returned
// has members, and none twice. Called by rdb_load.c.
#include "engine/base/alloc.h"
#include "engine/encoding/intset.h"
#include "engine/rdb/rdb_load_parts.h"
#include "engine/types/t_set.h"

_Static_assert(TSET_WINDOW <= RDB_LOAD_TEXTS, "each member of a window has its text");

/** Reads up to `most` members; false: failed. */
static bool read_window(struct rdb_load *load, struct rdb_in *in, uint64_t most,
                        struct tset_window *w) {
    w->count = w->hashed = 0;
    while (w->count < TSET_WINDOW && w->count < most && load->held < RDB_LOAD__HELD_MAX) {
        struct listpack_item *item = &w->items[w->count];
        item->is_int = false;
        if (!rdb_load__text(load, in, (unsigned)w->count, &item->text)) return false;
        w->count++;
    }
    return true;
}

static bool load_members(struct rdb_load *load, struct rdb_in *in, struct rdb_loading *l) {
    struct tset_window w;
    while (l->left > 0 && !rdb_load__is_over(l, in)) {
        if (!read_window(load, in, l->left, &w)) return false;
        uint32_t which = w.count < 32 ? (UINT32_C(1) << w.count) - 1 : UINT32_MAX;
        size_t added = tset_add_window(&l->v, &w, which, load->limits);
        rdb_load__release(load);
        if (added < w.count) return rdb_in_fail(in, "a member of a set twice");
        l->left -= w.count;
    }
    return true;
}

static enum rdb_loaded load_set(struct rdb_load *load, struct rdb_in *in, struct rdb_loading *l) {
    if (!l->begun) {
        if (!rdb_in_count(in, 1, &l->left)) return RDB_LOAD_FAILED;
        if (l->left == 0) return RDB_LOAD_EMPTY;
        l->v = tset_load_begin((size_t)l->left, load->limits);
        l->expected = rdb_load__expected(in, l->left, 4);
        l->begun = true;
    }
    if (l->expected > 0 && !tset_load_expect(l->v, l->expected, rdb_load__room(l)))
        return RDB_LOAD_MORE;
    l->expected = 0;
    rdb_load__limit(l, in, RDB_LOAD__WEIGHT);
    if (load_members(load, in, l)) return l->left > 0 ? RDB_LOAD_MORE : RDB_LOADED;
    value_free(l->v);
    return RDB_LOAD_FAILED;
}

static enum rdb_loaded load_intset(struct rdb_load *load, struct rdb_in *in, struct value *v) {
    struct slice text;
    if (!rdb_in_string(in, &load->scratch, &text)) return RDB_LOAD_FAILED;
    const uint8_t *bytes = (const uint8_t *)text.p;
    if (!intset_validate(bytes, text.n) || intset_count(bytes) == 0) {
        rdb_in_fail(in, "a malformed intset");
        return RDB_LOAD_FAILED;
    }
    *v = (struct value){ENC_SET_INTSET, intset_copy(bytes)};
    tset_expect(v, intset_count(bytes), load->limits);
    return RDB_LOADED;
}

static enum rdb_loaded load_listpack(struct rdb_load *load, struct rdb_in *in, struct value *v) {
    uint8_t *lp = rdb_load__listpack(load, in, 1, true);
    if (lp == NULL) return RDB_LOAD_FAILED;
    size_t count = listpack_count(lp);
    if (count == 0) {
        listpack_free(lp);
        return RDB_LOAD_EMPTY;
    }
    *v = (struct value){ENC_SET_LISTPACK, lp};
    tset_expect(v, count, load->limits);
    return RDB_LOADED;
}

enum rdb_loaded rdb_load__set(struct rdb_load *load, struct rdb_in *in, struct rdb_loading *l) {
    switch (l->type) {
    case RDB_SET: return load_set(load, in, l);
    case RDB_SET_INTSET: return load_intset(load, in, &l->v);
    default: return load_listpack(load, in, &l->v);
    }
}
