// SPDX-License-Identifier: BSD-3-Clause
//
// What a table's slot is, bit by bit, and which bucket a hash belongs to: the inline functions that
// table.c and table_scan.c share. Pure functions over the structure drawn in table.h; same thread
// as the table. Invariant: an entry's address is a multiple of 8 below 2^47, so that it fits 44
// bits.
#ifndef TORC_ENGINE_KEYSPACE_TABLE_SLOTS_H
#define TORC_ENGINE_KEYSPACE_TABLE_SLOTS_H

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "engine/base/assert.h"
#include "engine/base/hash.h"
#include "engine/keyspace/table.h"

#define TABLE__LAST         (TABLE_BUCKET_SLOTS - 1)
#define TABLE__ADDRESS_MASK ((UINT64_C(1) << TABLE_CODE_SHIFT) - 1)
#define TABLE__LINK_LONG    4095 // as a link's count: the array counts itself (table_overflow.h)
#define TABLE__LONG_HEADER  2    // words before its entries

static inline uint64_t *table__bucket(const struct table *t, uint64_t index) {
    return t->buckets + index * TABLE_BUCKET_SLOTS;
}

/** The index of the bucket that a hash belongs to. */
static inline uint64_t table__address(const struct table *t, uint64_t hash) {
    uint64_t index = hash & (t->level_mask * 2 + 1);
    return index < t->nbuckets ? index : index & t->level_mask;
}

/**
 * Twelve bits of the hash that the address does not use; never 0, which is the tag of an empty
 * slot.
 */
static inline uint64_t table__tag(uint64_t hash) {
    uint64_t tag = hash >> TABLE_TAG_SHIFT;
    return tag + (tag == 0);
}

static inline uint64_t table__hash(const struct table *t, const struct entry *e) {
    struct slice key = entry_key(e);
    return hash_bytes(key.p, key.n, t->seed);
}

static inline struct entry *table__entry(uint64_t slot) {
    return (struct entry *)(uintptr_t)((slot & TABLE__ADDRESS_MASK) << 3);
}

static inline uint64_t table__slot(const void *p, uint64_t tag, uint8_t code) {
    uint64_t address = (uint64_t)(uintptr_t)p;
    ASSERT((address & 7) == 0 && address >> 47 == 0);
    return tag << TABLE_TAG_SHIFT | (uint64_t)code << TABLE_CODE_SHIFT | address >> 3;
}

static inline bool table__is_link(uint64_t slot) {
    return (slot >> TABLE_CODE_SHIFT & 0xff) == TABLE_LINK_CODE;
}

/** What was allocated for the link's array. */
static inline uint64_t *table__link_base(uint64_t link) {
    return (uint64_t *)(uintptr_t)((link & TABLE__ADDRESS_MASK) << 3);
}

static inline bool table__link_is_long(uint64_t link) {
    return link >> TABLE_TAG_SHIFT == TABLE__LINK_LONG;
}

/** The link's entries. */
static inline uint64_t *table__link_array(uint64_t link) {
    uint64_t *base = table__link_base(link);
    return likely(!table__link_is_long(link)) ? base : base + TABLE__LONG_HEADER;
}

/** How many they are. */
static inline size_t table__link_count(uint64_t link) {
    if (likely(!table__link_is_long(link))) return link >> TABLE_TAG_SHIFT;
    return (size_t)table__link_base(link)[0];
}

static inline uint64_t table__link(uint64_t *array, size_t count) {
    return table__slot(array, count, TABLE_LINK_CODE);
}

#ifdef __SSE2__
/** Of four slots, the upper halves. */
static inline __m128i table__upper4(const uint64_t *slots) {
    __m128 low = _mm_castsi128_ps(_mm_load_si128((const __m128i *)slots));
    __m128 high = _mm_castsi128_ps(_mm_load_si128((const __m128i *)(slots + 2)));
    return _mm_castps_si128(_mm_shuffle_ps(low, high, _MM_SHUFFLE(3, 1, 3, 1)));
}
#endif

/** Bit i is set when slot i has the tag. The last bit may belong to a link: the caller masks it. */
static inline uint32_t table__match8(const uint64_t *slots, uint64_t tag) {
#ifdef __SSE2__
    const int shift = TABLE_TAG_SHIFT - 32;
    __m128i wanted = _mm_set1_epi32((int)tag);
    __m128i a = _mm_cmpeq_epi32(_mm_srli_epi32(table__upper4(slots), shift), wanted);
    __m128i b = _mm_cmpeq_epi32(_mm_srli_epi32(table__upper4(slots + 4), shift), wanted);
    __m128i both = _mm_packs_epi32(a, b);
    return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(both, _mm_setzero_si128()));
#else
    uint32_t matches = 0;
    for (unsigned i = 0; i < TABLE_BUCKET_SLOTS; i++) {
        matches |= (uint32_t)(slots[i] >> TABLE_TAG_SHIFT == tag) << i;
    }
    return matches;
#endif
}

/** The content of the last slot in use of a bucket that is not empty. */
static inline uint64_t table__last_slot(const uint64_t *slots) {
    uint64_t last = slots[TABLE__LAST];
    if (table__is_link(last)) return table__link_array(last)[table__link_count(last) - 1];
    size_t i = TABLE_BUCKET_SLOTS;
    while (slots[i - 1] == 0) i--;
    return slots[i - 1];
}

#endif
