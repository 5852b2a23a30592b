// SPDX-License-Identifier: BSD-3-Clause
//
// Inside of hashtable.c and its neighbours: what a slot is, bit by bit, and which bucket a hash
// belongs to. A bucket is a cache line of eight slots, filled from the front without gaps. When it
// holds more than eight elements its last slot links to an array of the eighth and all others.
//
//   slot:  | tag (16) | address of the element (48 bits, even) |     0 = empty
//   link:  | elements | address of the array + 1               |     only in a bucket's last slot
//   array: | slot | slot | ...            an even number of them, or, from HASHTABLE__LONG elements
//          | elements | slot | slot | ... on, in which case the link counts 65535
//
// A bucket of depth d (the d low bits of a hash are its number) has as tags the 16 bits of the hash
// from d, rounded down to a multiple of 8, on. So the bit that decides where an element goes when a
// bucket is split is in its tag, and splitting looks at elements only at every eighth depth.
#ifndef TORC_ENGINE_ENCODING_HASHTABLE_SLOTS_H
#define TORC_ENGINE_ENCODING_HASHTABLE_SLOTS_H

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "engine/base/assert.h"
#include "engine/encoding/hashtable.h"

#define HASHTABLE__SLOTS        8
#define HASHTABLE__LAST         7
#define HASHTABLE__TAG_SHIFT    48
#define HASHTABLE__TAG_MASK     UINT64_C(0xffff)
#define HASHTABLE__ADDRESS_MASK ((UINT64_C(1) << HASHTABLE__TAG_SHIFT) - 1)
#define HASHTABLE__LONG         64
#define HASHTABLE__CHUNK_SHIFT  8 // log2 of buckets in a full chunk: 16 KiB
#define HASHTABLE__CHUNK        (1u << HASHTABLE__CHUNK_SHIFT)
#define HASHTABLE__BUCKET_BYTES ((size_t)HASHTABLE__SLOTS * sizeof(uint64_t))

_Static_assert(HASHTABLE__BUCKET_BYTES == 64, "a bucket is a line");

static inline uint64_t *hashtable__bucket(const struct hashtable *t, uint32_t index) {
    uint32_t chunk = index >> HASHTABLE__CHUNK_SHIFT;
    uint64_t *base = chunk == 0 ? t->first : t->chunks[chunk];
    return base + (size_t)(index & (HASHTABLE__CHUNK - 1)) * HASHTABLE__SLOTS;
}

/** From which bit of the hash on a bucket of that depth takes its tags. */
static inline unsigned hashtable__tag_from(unsigned depth) { return depth & ~7u; }

static inline uint64_t hashtable__tag(uint64_t hash, unsigned depth) {
    return hash >> hashtable__tag_from(depth) & HASHTABLE__TAG_MASK;
}

/** The depth of a bucket. */
static inline unsigned hashtable__depth(const struct hashtable *t, uint32_t bucket) {
    uint64_t half = UINT64_C(1) << t->level;
    return t->level + ((bucket & (half - 1)) + half < t->nbuckets);
}

/** The bucket that a hash belongs to, and its depth. */
static inline uint32_t hashtable__address(const struct hashtable *t, uint64_t hash,
                                          unsigned *depth) {
    *depth = hashtable__depth(t, (uint32_t)hash);
    return (uint32_t)(hash & ((UINT64_C(1) << *depth) - 1));
}

static inline uint64_t hashtable__slot(const void *p, uint64_t tag) {
    uint64_t address = (uint64_t)(uintptr_t)p;
    ASSERT((address & 1) == 0 && address >> HASHTABLE__TAG_SHIFT == 0);
    return tag << HASHTABLE__TAG_SHIFT | address;
}

static inline void *hashtable__element(uint64_t slot) {
    return (void *)(uintptr_t)(slot & HASHTABLE__ADDRESS_MASK);
}

static inline bool hashtable__is_link(uint64_t slot) { return (slot & 1) != 0; }

/** What was allocated for the link's array. */
static inline uint64_t *hashtable__link_base(uint64_t link) {
    return (uint64_t *)(uintptr_t)((link & HASHTABLE__ADDRESS_MASK) - 1);
}

static inline bool hashtable__link_is_long(uint64_t link) {
    return link >> HASHTABLE__TAG_SHIFT == HASHTABLE__TAG_MASK;
}

/** The content of a bucket: so many slots in its line, so many more in its array. */
struct hashtable__content {
    uint64_t *slots, *array;
    size_t in_slots, in_array;
};

static inline struct hashtable__content hashtable__content(uint64_t *slots) {
    struct hashtable__content c = {.slots = slots};
    uint64_t link = slots[HASHTABLE__LAST];
    if (unlikely(hashtable__is_link(link))) {
        bool is_long = hashtable__link_is_long(link);
        c.in_slots = HASHTABLE__LAST;
        c.array = hashtable__link_base(link) + is_long;
        c.in_array = is_long ? c.array[-1] : link >> HASHTABLE__TAG_SHIFT;
        return c;
    }
    while (c.in_slots < HASHTABLE__SLOTS && slots[c.in_slots] != 0) c.in_slots++;
    return c;
}

static inline size_t hashtable__content_count(const struct hashtable__content *c) {
    return c->in_slots + c->in_array;
}

static inline uint64_t *hashtable__content_at(const struct hashtable__content *c, size_t i) {
    return i < c->in_slots ? &c->slots[i] : &c->array[i - c->in_slots];
}

/**
 * Bit i is set when slot i has the tag; so may empty ones, when the tag is 0. The last bit may
 * belong to a link: the caller masks it.
 */
static inline uint32_t hashtable__match(const uint64_t *slots, uint64_t tag) {
#ifdef __SSE2__
    __m128i wanted = _mm_set1_epi16((short)tag);
    uint32_t matches = 0;
    for (int i = 0; i < HASHTABLE__SLOTS; i += 2) {
        __m128i two = _mm_load_si128((const __m128i *)(slots + i));
        __m128i equal = _mm_cmpeq_epi16(two, wanted);
        matches |= (uint32_t)_mm_movemask_pd(_mm_castsi128_pd(equal)) << i;
    }
    return matches;
#else
    uint32_t matches = 0;
    for (unsigned i = 0; i < HASHTABLE__SLOTS; i++)
        matches |= (uint32_t)(slots[i] >> HASHTABLE__TAG_SHIFT == tag) << i;
    return matches;
#endif
}

// hashtable_memory.c
/** Makes room for the bucket nbuckets, which is zero. May move buckets of the last chunk. */
void hashtable__append_bucket(struct hashtable *t);
/** Gives memory back that is not needed any more, after nbuckets has become smaller. */
void hashtable__drop_bucket(struct hashtable *t);
/** Frees chunks and directory; arrays must be gone. */
void hashtable__free_chunks(struct hashtable *t);
/** Bytes of chunks and directory (hashtable_is_valid). */
size_t hashtable__chunk_bytes(const struct hashtable *t);
/** Adds to a bucket whose slots are taken; its last element makes room for the link at first. */
void hashtable__overflow_add(struct hashtable *t, uint64_t *slots, uint64_t slot);
/** Takes the last element out of the array of a bucket that has one. */
void hashtable__overflow_pop(struct hashtable *t, uint64_t *slots);
/** Frees the array of a link. */
void hashtable__overflow_free(struct hashtable *t, uint64_t link);

#endif
