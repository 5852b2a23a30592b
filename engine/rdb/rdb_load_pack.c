// SPDX-License-Identifier: BSD-3-Clause
//
// Compact forms that become listpacks of ours: checked to the last byte, made again where an
// element is not written in the shortest way (searching a listpack relies on that), and looked
// through for tuples that begin with the same text. The thread that loads; the table for that is
// load->table. Invariant: what is returned is what listpack_append() would have made of its
// elements. Called by the loaders of all collections.
#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/encoding/hashtable.h"
#include "engine/encoding/listpack.h"
#include "engine/rdb/rdb_load_parts.h"
#include "engine/rdb/rdb_ziplist.h"

#define FEW 12 // tuples that are compared with each other rather than through a table

static inline const uint8_t *next_tuple(const uint8_t *p, unsigned width) {
    for (; width > 0; width--) p = listpack__after(p);
    return p;
}

static inline struct slice element(const uint8_t *p) { return slice_of(p, listpack__size(p)); }

/** A number that elements of the same bytes have in common, and others hardly ever. */
static inline uint64_t mark_of(struct slice e) {
    uint64_t first = 0, last = 0;
    if (e.n < sizeof first) {
        for (size_t i = 0; i < e.n; i++) first = first << 8 | (uint8_t)e.p[i];
    } else {
        memcpy(&first, e.p, sizeof first);
        memcpy(&last, e.p + e.n - sizeof last, sizeof last);
    }
    return (first ^ e.n) * UINT64_C(0x9e3779b97f4a7c15) + last;
}

static bool twins_of_few(const uint8_t *lp, unsigned width) {
    struct slice elements[FEW];
    uint64_t marks[FEW];
    size_t n = 0;
    for (const uint8_t *p = lp + LISTPACK_HEADER; *p != LISTPACK_END; p = next_tuple(p, width)) {
        struct slice e = element(p);
        uint64_t mark = mark_of(e);
        for (size_t i = 0; i < n; i++)
            if (unlikely(marks[i] == mark) && slice_equal_short(elements[i], e)) return true;
        marks[n] = mark;
        elements[n++] = e;
    }
    return false;
}

/** The same through an open table of offsets. Elements with the same text have the same bytes. */
static bool twins_of_many(struct rdb_load *load, const uint8_t *lp, size_t tuples, unsigned width) {
    size_t slots = (size_t)1 << (64 - __builtin_clzll(2 * tuples - 1));
    load->table.len = 0;
    uint32_t *table = (void *)buf_reserve(&load->table, slots * sizeof *table);
    memset(table, 0, slots * sizeof *table);
    for (const uint8_t *p = lp + LISTPACK_HEADER; *p != LISTPACK_END; p = next_tuple(p, width)) {
        struct slice e = element(p);
        size_t at = hashtable_hash(e) & (slots - 1);
        for (; table[at] != 0; at = (at + 1) & (slots - 1))
            if (slice_equal_short(element(lp + table[at]), e)) return true;
        table[at] = (uint32_t)(p - lp);
    }
    return false;
}

/** A listpack of ours: takes it over. */
static uint8_t *checked(struct rdb_load *load, struct rdb_in *in, uint8_t *lp, unsigned width,
                        bool unique) {
    size_t count = listpack_count(lp), tuples = count / width;
    const char *wrong = NULL;
    if (count % width != 0)
        wrong = "elements without their pair";
    else if (unique &&
             (tuples <= FEW ? twins_of_few(lp, width) : twins_of_many(load, lp, tuples, width)))
        wrong = "an element twice";
    if (wrong == NULL) return lp;
    listpack_free(lp);
    rdb_in_fail(in, "%s", wrong);
    return NULL;
}

uint8_t *rdb_load__listpack(struct rdb_load *load, struct rdb_in *in, unsigned width, bool unique) {
    struct slice text;
    if (!rdb_in_string(in, &load->scratch, &text)) return NULL;
    const uint8_t *bytes = (const uint8_t *)text.p;
    bool canonical;
    if (text.n > LISTPACK_MAX_BYTES || !listpack_check(bytes, text.n, &canonical)) {
        rdb_in_fail(in, "a malformed listpack");
        return NULL;
    }
    uint8_t *lp = canonical ? listpack_copy(bytes) : listpack_canonical_copy(bytes);
    return checked(load, in, lp, width, unique);
}

uint8_t *rdb_load__ziplist(struct rdb_load *load, struct rdb_in *in, unsigned width, bool unique) {
    struct slice text;
    struct rdb_ziplist z;
    struct listpack_appender a;
    if (!rdb_in_string(in, &load->scratch, &text)) return NULL;
    bool good = rdb_ziplist_begin(&z, (const uint8_t *)text.p, text.n);
    if (!good || z.bound >= LISTPACK_MAX_BYTES) {
        rdb_in_fail(in, good ? "a ziplist that is too long" : "a malformed ziplist");
        return NULL;
    }
    listpack_append_begin(&a, listpack_new(LISTPACK_MIN_BYTES + z.bound), z.bound);
    while (z.count > 0) {
        struct listpack_item item;
        rdb_ziplist_next(&z, &item);
        if (item.is_int)
            listpack_append_number(&a, item.number);
        else
            listpack_append_text(&a, item.text);
    }
    return checked(load, in, listpack_shrink(listpack_append_end(&a)), width, unique);
}
