// SPDX-License-Identifier: BSD-3-Clause
//
// Walking a hash table: SCAN's cursor, all elements, a random one. Reads only, so any thread may
// while nobody changes the table. Called by the collections that keep their elements in one.
//
// Why a scan misses nothing. Let r(h) be the low 32 bits of a hash in reverse order. A bucket of
// depth d holds exactly the elements whose r begins with the same d bits: an interval of r. At any
// moment these intervals are a partition of [0, 2^32): splitting a bucket halves one, merging joins
// two halves. Invariant of a cursor c: every element that was there all the time and has r < c has
// been visited. A step visits the whole bucket whose interval contains c; it begins at or before c,
// so the interval's end is a cursor again. A cursor names no bucket, so the table may change at
// will between steps.
#include "engine/base/prefetch.h"
#include "engine/encoding/hashtable_slots.h"

#define CURSOR_BITS      32
#define LINES_AHEAD      4  // buckets whose lines a walk asks for before it needs them
#define RANDOM_POSITIONS 16 // places of a bucket that are drawn; beyond, elements share the last

static uint32_t reverse(uint32_t v) {
    v = (v >> 1 & 0x55555555u) | (v & 0x55555555u) << 1;
    v = (v >> 2 & 0x33333333u) | (v & 0x33333333u) << 2;
    v = (v >> 4 & 0x0f0f0f0fu) | (v & 0x0f0f0f0fu) << 4;
    return __builtin_bswap32(v);
}

uint64_t hashtable_scan(const struct hashtable *t, uint64_t cursor,
                        void (*each)(void *context, void *element), void *context) {
    if (t->nbuckets == 0 || cursor >> CURSOR_BITS != 0) return 0;
    unsigned depth;
    uint32_t bucket = hashtable__address(t, reverse((uint32_t)cursor), &depth);
    struct hashtable__content c = hashtable__content(hashtable__bucket(t, bucket));
    size_t n = hashtable__content_count(&c);
    for (size_t i = 0; i < n; i++) prefetch_read(hashtable__element(*hashtable__content_at(&c, i)));
    for (size_t i = 0; i < n; i++) each(context, hashtable__element(*hashtable__content_at(&c, i)));
    uint64_t width = UINT64_C(1) << (CURSOR_BITS - depth);
    uint64_t next = (cursor & ~(width - 1)) + width;
    return next >> CURSOR_BITS != 0 ? 0 : next;
}

void hashtable_iterate(struct hashtable_iterator *it, const struct hashtable *t) {
    *it = (struct hashtable_iterator){.table = t};
}

/** Asks for the elements of a bucket, whose line has been asked for, and for a later line. */
static void prefetch_bucket(const struct hashtable *t, uint32_t bucket) {
    if (bucket + LINES_AHEAD < t->nbuckets)
        prefetch_read(hashtable__bucket(t, bucket + LINES_AHEAD));
    if (bucket >= t->nbuckets) return;
    const uint64_t *slots = hashtable__bucket(t, bucket);
    for (size_t i = 0; i < HASHTABLE__SLOTS && slots[i] != 0; i++)
        prefetch_read(hashtable__element(slots[i]));
}

void *hashtable_next(struct hashtable_iterator *it) {
    const struct hashtable *t = it->table;
    for (; it->bucket < t->nbuckets; it->bucket++, it->place = 0) {
        if (it->place == 0) prefetch_bucket(t, it->bucket + 1);
        uint64_t *slots = hashtable__bucket(t, it->bucket);
        if (likely(it->place < HASHTABLE__LAST)) {
            uint64_t slot = slots[it->place];
            if (slot == 0) continue;
            it->place++;
            return hashtable__element(slot);
        }
        struct hashtable__content c = hashtable__content(slots);
        if (it->place < hashtable__content_count(&c))
            return hashtable__element(*hashtable__content_at(&c, it->place++));
    }
    return NULL;
}

void *hashtable_random(const struct hashtable *t, struct random *random) {
    if (t->count == 0) return NULL;
    // Every pair of bucket and place is as likely as any other; those that hold nothing are drawn
    // again. A table has at least 3.75 elements a bucket once it has more than one of them.
    for (;;) {
        uint32_t bucket = (uint32_t)random_below(random, t->nbuckets);
        struct hashtable__content c = hashtable__content(hashtable__bucket(t, bucket));
        size_t n = hashtable__content_count(&c);
        size_t i = random_below(random, n > RANDOM_POSITIONS ? n : RANDOM_POSITIONS);
        if (i < n) return hashtable__element(*hashtable__content_at(&c, i));
    }
}
