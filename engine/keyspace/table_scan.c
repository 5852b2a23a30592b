// SPDX-License-Identifier: BSD-3-Clause
//
// Walking a table: SCAN's cursor, visiting everything, and random entries. Read-only; runs on the
// thread that owns the table or has it lent. Called by commands (SCAN, KEYS, RANDOMKEY), by the
// keyspace when it frees a table, and by tests.
//
// Why a scan misses nothing. Let r(h) be the low 40 bits of a hash in reverse order. A bucket that
// is addressed by its d low bits holds exactly the entries whose r has the same d high bits: an
// interval [k * 2^(40-d), (k+1) * 2^(40-d)) of r. At any moment the buckets' intervals are a
// partition of [0, 2^40), whatever nbuckets is: splitting halves one interval, merging joins two
// halves. The cursor c promises: every entry that was present all the time and has r < c has been
// visited. A step finds the bucket whose interval contains c and visits all of it; the interval
// begins at or before c, so all entries with c <= r < end are visited and the promise holds for the
// new cursor, the interval's end. The promise names no bucket, so the table may change at will
// between steps. The cursor grows strictly and is a multiple of 2^(40-d), so the scan ends; the
// end, 2^40, is reported as 0. Entries with r < c in a bucket that has been merged since are
// visited again, which SCAN allows.
#include "engine/base/random.h"
#include "engine/base/prefetch.h"
#include "engine/keyspace/table_slots.h"

#define SECOND_LINE 48 // of a packed entry: see table.c

static uint64_t reverse(uint64_t v) {
    v = (v >> 1 & UINT64_C(0x5555555555555555)) | (v & UINT64_C(0x5555555555555555)) << 1;
    v = (v >> 2 & UINT64_C(0x3333333333333333)) | (v & UINT64_C(0x3333333333333333)) << 2;
    v = (v >> 4 & UINT64_C(0x0f0f0f0f0f0f0f0f)) | (v & UINT64_C(0x0f0f0f0f0f0f0f0f)) << 4;
    return __builtin_bswap64(v) >> (64 - TABLE_CURSOR_BITS);
}

/** The cursor behind the bucket that holds this one; 0: the end. */
static uint64_t behind(const struct table *t, uint64_t cursor, uint64_t bucket) {
    // Buckets that have been split, and those they were split into, are addressed by one bit more.
    unsigned depth = (unsigned)__builtin_popcountll(t->level_mask);
    if ((bucket & t->level_mask) + t->level_mask + 1 < t->nbuckets) depth++;
    ASSERT(depth <= TABLE_CURSOR_BITS);
    uint64_t width = UINT64_C(1) << (TABLE_CURSOR_BITS - depth);
    uint64_t next = (cursor & ~(width - 1)) + width;
    return next >> TABLE_CURSOR_BITS != 0 ? 0 : next;
}

uint64_t table_scan(const struct table *t, uint64_t cursor,
                    void (*visit)(void *context, struct entry *e), void *context) {
    if (t->nbuckets == 0 || cursor >> TABLE_CURSOR_BITS != 0) return 0;
    uint64_t bucket = table__address(t, reverse(cursor));
    table_each_in(t, bucket, visit, context);
    return behind(t, cursor, bucket);
}

void table_scan_prefetch(const struct table *t, uint64_t cursor) {
    if (t->nbuckets == 0 || cursor >> TABLE_CURSOR_BITS != 0) return;
    uint64_t next = behind(t, cursor, table__address(t, reverse(cursor)));
    if (next == 0) return;
    uint64_t bucket = table__address(t, reverse(next));
    const uint64_t *slots = table__bucket(t, bucket);
    for (size_t i = 0; i < TABLE_BUCKET_SLOTS && slots[i] != 0; i++) {
        const char *e = (const char *)table__entry(slots[i]); // or a link's array: as well
        prefetch_read(e);
        prefetch_read(e + SECOND_LINE);
    }
    uint64_t further = behind(t, next, bucket);
    if (further != 0) prefetch_read(table__bucket(t, table__address(t, reverse(further))));
}

void table_each_in(const struct table *t, uint64_t bucket,
                   void (*visit)(void *context, struct entry *e), void *context) {
    uint64_t *slots = table__bucket(t, bucket);
    uint64_t link = table__is_link(slots[TABLE__LAST]) ? slots[TABLE__LAST] : 0;
    uint64_t *array = link == 0 ? NULL : table__link_array(link);
    size_t in_slots = link == 0 ? TABLE_BUCKET_SLOTS : TABLE__LAST;
    size_t in_array = link == 0 ? 0 : table__link_count(link);
    for (size_t i = 0; i < in_slots && slots[i] != 0; i++) prefetch_read(table__entry(slots[i]));
    for (size_t i = 0; i < in_slots && slots[i] != 0; i++) visit(context, table__entry(slots[i]));
    for (size_t i = 0; i < in_array; i++) visit(context, table__entry(array[i]));
}

void table_each(const struct table *t, void (*visit)(void *context, struct entry *e),
                void *context) {
    for (uint64_t b = 0; b < t->nbuckets; b++) table_each_in(t, b, visit, context);
}

static size_t bucket_length(const struct table *t, uint64_t bucket) {
    const uint64_t *slots = table__bucket(t, bucket);
    if (table__is_link(slots[TABLE__LAST])) {
        return TABLE__LAST + table__link_count(slots[TABLE__LAST]);
    }
    size_t n = 0;
    while (n < TABLE_BUCKET_SLOTS && slots[n] != 0) n++;
    return n;
}

struct entry *table_random(const struct table *t, uint64_t random) {
    if (t->count == 0) return NULL;
    // Every (bucket, position) pair is as likely as any other, and those that hold nothing are
    // drawn again. Positions beyond the 16th share the last draw, which next to no bucket has.
    struct random r;
    random_init(&r, random);
    for (int tries = 0; tries < 256; tries++) {
        uint64_t bucket = random_below(&r, t->nbuckets);
        size_t n = bucket_length(t, bucket);
        size_t i = random_below(&r, n > 16 ? n : 16);
        if (i < n) return table_bucket_at(t, bucket, i).entry;
    }
    // A table that is all but empty: the next bucket that holds something.
    for (uint64_t b = random_below(&r, t->nbuckets);; b = b + 1 < t->nbuckets ? b + 1 : 0) {
        size_t n = bucket_length(t, b);
        if (n != 0) return table_bucket_at(t, b, random_below(&r, n)).entry;
    }
}
