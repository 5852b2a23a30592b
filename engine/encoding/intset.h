// SPDX-License-Identifier: BSD-3-Clause
//
// Intsets: sorted arrays of distinct integers, byte for byte Redis's format, so that RDB, DUMP and
// RESTORE move them as they are. All integers have the width that the widest so far needed: 2, 4 or
// 8 bytes, and it never shrinks. Plain bytes from the allocator: a function that changes one may
// move it and returns its new place. One owner, one thread; reading changes nothing. Invariant:
// strictly ascending.
//
//   | width u32 | integers u32 | integer | integer | ... |     little-endian
#ifndef TORC_ENGINE_ENCODING_INTSET_H
#define TORC_ENGINE_ENCODING_INTSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define INTSET_HEADER    8
#define INTSET_COUNT_MAX ((size_t)1 << 30)

/** An empty one. The caller owns it. */
uint8_t *intset_new(void);
/** A copy of valid intset bytes. */
uint8_t *intset_copy(const uint8_t *is);
void intset_free(uint8_t *is);

static inline uint32_t intset_width(const uint8_t *is) {
    uint32_t width;
    memcpy(&width, is, sizeof(width));
    return width;
}

static inline size_t intset_count(const uint8_t *is) {
    uint32_t count;
    memcpy(&count, is + sizeof(uint32_t), sizeof(count));
    return count;
}

/** Bytes in use: what RDB writes. */
static inline size_t intset_bytes(const uint8_t *is) {
    return INTSET_HEADER + intset_count(is) * intset_width(is);
}
/** Bytes of its allocation, for accounting. */
size_t intset_memory(const uint8_t *is);

/** The i-th smallest, i < count. */
int64_t intset_at(const uint8_t *is, size_t i);
bool intset_has(const uint8_t *is, int64_t number);
/**
 * The index of the first integer from `from` on that is not less than the number, or the count.
 * Cheap when it is near: for walking two intsets side by side.
 */
size_t intset_seek(const uint8_t *is, size_t from, int64_t number);

/** Adds a number; *added says whether it was absent. Returns the intset's place. */
uint8_t *intset_add(uint8_t *is, int64_t number, bool *added);
/** Removes a number; *removed says whether it was there. Returns the intset's place. */
uint8_t *intset_remove(uint8_t *is, int64_t number, bool *removed);

/** Whether n bytes from anywhere are a well-formed intset; an empty one is. */
bool intset_validate(const uint8_t *bytes, size_t n);
static inline bool intset_is_valid(const uint8_t *is) {
    return intset_validate(is, intset_bytes(is));
}

#endif
