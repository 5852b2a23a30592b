// SPDX-License-Identifier: BSD-3-Clause
//
// Listpacks: small ordered sequences of strings and integers in one block of bytes, byte for byte
// Redis's format (listpack specification, antirez/listpack), so that RDB, DUMP and RESTORE move them
// as they are. Plain bytes from the allocator: a function that changes one may move it and returns
// its new place. One owner, one thread; reading changes nothing. Invariant: the header's total is
// the block's length in use, and every element's backward length leads to its first byte.
//
//   | total bytes u32 | elements u16 (*) | element | element | ... | 0xff |
//   element: | encoding and data | length of both, readable from behind |
//   (*) 65535: more than that, count them
#ifndef TORC_ENGINE_ENCODING_LISTPACK_H
#define TORC_ENGINE_ENCODING_LISTPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/num.h"
#include "engine/base/slice.h"

#define LISTPACK_HEADER    6
#define LISTPACK_MIN_BYTES 7                 // of an empty one
#define LISTPACK_MAX_BYTES ((size_t)1 << 30) // none is made longer: callers look before

/** What stands at an element. */
struct listpack_item {
    bool is_int;
    int64_t number;    // is_int
    struct slice text; // otherwise: points into the listpack
};

/** An empty one with room for `room` bytes in all. The caller owns it. */
uint8_t *listpack_new(size_t room);
/** A copy of valid listpack bytes. */
uint8_t *listpack_copy(const uint8_t *lp);
void listpack_free(uint8_t *lp);
/** Gives unused room back. */
uint8_t *listpack_shrink(uint8_t *lp);

static inline size_t listpack_bytes(const uint8_t *lp) {
    return (size_t)lp[0] | (size_t)lp[1] << 8 | (size_t)lp[2] << 16 | (size_t)lp[3] << 24;
}
/** Bytes of its allocation, for accounting. O(1). */
size_t listpack_memory(const uint8_t *lp);
/** Number of elements; O(1) below 65535. */
size_t listpack_count(const uint8_t *lp);

// Positions: the first byte of an element, valid until the listpack changes. NULL: there is none.
uint8_t *listpack_first(const uint8_t *lp);
uint8_t *listpack_last(const uint8_t *lp);
uint8_t *listpack_next(const uint8_t *lp, const uint8_t *p);
uint8_t *listpack_prev(const uint8_t *lp, const uint8_t *p);
/** By index, from 0; negative ones count from the end. Walks from the nearer end. */
uint8_t *listpack_at(const uint8_t *lp, int64_t index);

void listpack_get(const uint8_t *p, struct listpack_item *item);
/** The element as text; an integer is written into scratch. */
struct slice listpack_text(const uint8_t *p, char scratch[NUM_I64_TEXT_MAX]);
/** The element as a 64-bit integer, when it is one or reads as one. */
bool listpack_i64(const uint8_t *p, int64_t *out);
/** Whether the element equals that text (an integer equals its canonical text). */
bool listpack_equal(const uint8_t *p, struct slice text);

/**
 * The first element from p on that equals the text, looking at every (skip + 1)-th element; NULL:
 * none. p may be NULL.
 */
uint8_t *listpack_find(const uint8_t *lp, const uint8_t *p, struct slice text, unsigned skip);

// Changing. Texts never point into the listpack itself. Text that is a canonical 64-bit integer is
// held as one. All return the listpack's place.
uint8_t *listpack_append(uint8_t *lp, struct slice text);
uint8_t *listpack_prepend(uint8_t *lp, struct slice text);
uint8_t *listpack_append_i64(uint8_t *lp, int64_t number);
/** Inserts before p (NULL: at the end). *at, when not NULL: the new element's place. */
uint8_t *listpack_insert(uint8_t *lp, uint8_t *p, struct slice text, uint8_t **at);
/** Replaces the element at *p; *p becomes its place. */
uint8_t *listpack_replace(uint8_t *lp, uint8_t **p, struct slice text);
uint8_t *listpack_replace_i64(uint8_t *lp, uint8_t **p, int64_t number);
/** Deletes `count` elements from *p on; *p becomes what follows, or NULL at the end. */
uint8_t *listpack_delete(uint8_t *lp, uint8_t **p, size_t count);
/** Deletes by index (negative: from the end); count may exceed what there is. */
uint8_t *listpack_delete_range(uint8_t *lp, int64_t index, size_t count);
/** Appends all elements of `other`. */
uint8_t *listpack_merge(uint8_t *lp, const uint8_t *other);

/** Bytes that an element with this text takes. */
size_t listpack_element_bytes(struct slice text);
/** Whether `bytes` more fit under LISTPACK_MAX_BYTES. */
static inline bool listpack_has_room(const uint8_t *lp, size_t bytes) {
    return listpack_bytes(lp) + bytes < LISTPACK_MAX_BYTES;
}

/**
 * Whether n bytes from anywhere are a well-formed listpack: lengths, encodings, backward lengths,
 * terminator, count. Calls each element (may be NULL); a false result of it makes the whole invalid.
 */
bool listpack_validate(const uint8_t *bytes, size_t n,
                       bool (*each)(void *context, const struct listpack_item *item),
                       void *context);
static inline bool listpack_is_valid(const uint8_t *lp) {
    return listpack_validate(lp, listpack_bytes(lp), NULL, NULL);
}

#endif
