// SPDX-License-Identifier: BSD-3-Clause
//
// Listpacks: small ordered sequences of strings and integers in one block of bytes, byte for byte
// Redis's format (listpack specification, antirez/listpack), so that RDB, DUMP and RESTORE move
// them as they are. Plain bytes from the allocator: a function that changes one may move it and
// returns its new place. One owner, one thread; reading changes nothing. Invariant: the header's
// total is the block's length in use, and every element's backward length leads to its first byte.
//
//   | total bytes u32 | elements u16 (*) | element | element | ... | 0xff |
//   element: | encoding and data | length of both, readable from behind |
//   (*) 65535: more than that, count them
#ifndef TORC_ENGINE_ENCODING_LISTPACK_H
#define TORC_ENGINE_ENCODING_LISTPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/assert.h"
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
static inline uint8_t *listpack_first(const uint8_t *lp);
static inline uint8_t *listpack_last(const uint8_t *lp);
static inline uint8_t *listpack_next(const uint8_t *lp, const uint8_t *p);
static inline uint8_t *listpack_prev(const uint8_t *lp, const uint8_t *p);
/** By index, from 0; negative ones count from the end. Walks from the nearer end. */
uint8_t *listpack_at(const uint8_t *lp, int64_t index);

static inline void listpack_get(const uint8_t *p, struct listpack_item *item);
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
uint8_t *listpack_insert_i64(uint8_t *lp, uint8_t *p, int64_t number, uint8_t **at);
/** Replaces the element at *p; *p becomes its place. */
uint8_t *listpack_replace(uint8_t *lp, uint8_t **p, struct slice text);
uint8_t *listpack_replace_i64(uint8_t *lp, uint8_t **p, int64_t number);
/** Deletes `count` elements from *p on; *p becomes what follows, or NULL at the end. */
uint8_t *listpack_delete(uint8_t *lp, uint8_t **p, size_t count);
/** Deletes by index (negative: from the end); count may exceed what there is. */
uint8_t *listpack_delete_range(uint8_t *lp, int64_t index, size_t count);
/** Appends all elements of `other`. */
uint8_t *listpack_merge(uint8_t *lp, const uint8_t *other);

/**
 * Many elements at once at the end: room is looked for once and the header written once. Between
 * begin and end, `lp` is not a listpack that others may read.
 */
struct listpack_appender {
    uint8_t *lp, *end; // end: where the next element goes
    size_t count;
};
#define LISTPACK_NUMBER_BOUND 10 // bytes that a number takes at most
/** Bytes that a text of n bytes takes at most. */
static inline size_t listpack_text_bound(size_t n) { return n + (n < 64 ? 2 : n < 4096 ? 4 : 10); }
/** Takes a listpack over and makes room for `bound` bytes more. */
void listpack_append_begin(struct listpack_appender *a, uint8_t *lp, size_t bound);
void listpack_append_text(struct listpack_appender *a, struct slice text);
void listpack_append_number(struct listpack_appender *a, int64_t number);
/** The listpack's place. */
uint8_t *listpack_append_end(struct listpack_appender *a);

// For who keeps a listpack inside of a block, with a gap before it: both ends are cheap then.
/** Deletes the first element by moving the header; returns the new beginning. */
uint8_t *listpack_drop_first(uint8_t *lp);
/** Prepends into the `gap` bytes before the listpack; returns its beginning. NULL: no room. */
uint8_t *listpack_prepend_in_gap(uint8_t *lp, struct slice text, size_t gap);
/** Bytes of a block for `bytes` that are going to be more. */
size_t listpack_room(size_t bytes);

/** Bytes that an element with this text takes. */
size_t listpack_element_bytes(struct slice text);
/** Whether `bytes` more fit under LISTPACK_MAX_BYTES. */
static inline bool listpack_has_room(const uint8_t *lp, size_t bytes) {
    return listpack_bytes(lp) + bytes < LISTPACK_MAX_BYTES;
}

/**
 * Whether n bytes from anywhere are a well-formed listpack: lengths, encodings, backward lengths,
 * terminator, count. Calls each() for every element (it may be NULL); when it says false, the whole
 * is invalid.
 */
bool listpack_validate(const uint8_t *bytes, size_t n,
                       bool (*each)(void *context, const struct listpack_item *item),
                       void *context);
/**
 * The same; *canonical: every element is written as listpack_append() would write it, which
 * listpack_find() relies on: bytes from anywhere need not be.
 */
bool listpack_check(const uint8_t *bytes, size_t n, bool *canonical);
/** A copy whose elements are. */
uint8_t *listpack_canonical_copy(const uint8_t *lp);
static inline bool listpack_is_valid(const uint8_t *lp) {
    return listpack_validate(lp, listpack_bytes(lp), NULL, NULL);
}

// ---- the parts that every walk is made of, in place --------------------------------------------
// First byte of an element: 0....... an integer of 7 bits, 10...... a text below 64 bytes,
// 110..... an integer of 13 bits (low byte next), 1110.... a text below 4096 bytes (low byte next),
// then whole bytes: how long the rest is follows from which it is.
#define LISTPACK_TEXT_6  0x80
#define LISTPACK_INT_13  0xc0
#define LISTPACK_TEXT_12 0xe0
#define LISTPACK_TEXT_32 0xf0
#define LISTPACK_INT_16  0xf1
#define LISTPACK_INT_24  0xf2
#define LISTPACK_INT_32  0xf3
#define LISTPACK_INT_64  0xf4
#define LISTPACK_END     0xff

/** Bytes of the element at p, its backward length left out. */
static inline size_t listpack__size(const uint8_t *p) {
    unsigned b = p[0];
    if (b < LISTPACK_TEXT_6) return 1;
    if (b < LISTPACK_INT_13) return 1 + (b & 0x3f);
    if (b < LISTPACK_TEXT_12) return 2;
    if (b < LISTPACK_TEXT_32) return 2 + ((b & 0x0f) << 8 | p[1]);
    if (b == LISTPACK_TEXT_32) return 5 + listpack_bytes(p + 1);
    return b == LISTPACK_INT_64 ? 9 : b - LISTPACK_INT_16 + (size_t)3;
}

/** Bytes that the backward length of an element of `size` bytes takes. */
static inline size_t listpack__back_bytes(size_t size) {
    if (likely(size < 128)) return 1;
    if (size < 16383) return 2;
    if (size < 2097151) return 3;
    return size < 268435455 ? 4 : 5;
}

/** What follows the element at p, the terminator too. */
static inline uint8_t *listpack__after(const uint8_t *p) {
    size_t size = listpack__size(p);
    return (uint8_t *)p + size + listpack__back_bytes(size);
}

/** The integer at p whose first byte is 0xc0 or more. */
int64_t listpack__wide(const uint8_t *p);

static inline uint8_t *listpack_first(const uint8_t *lp) {
    const uint8_t *p = lp + LISTPACK_HEADER;
    return *p == LISTPACK_END ? NULL : (uint8_t *)p;
}

static inline uint8_t *listpack_next(const uint8_t *lp, const uint8_t *p) {
    (void)lp;
    uint8_t *next = listpack__after(p);
    return *next == LISTPACK_END ? NULL : next;
}

static inline uint8_t *listpack_prev(const uint8_t *lp, const uint8_t *p) {
    if (p == lp + LISTPACK_HEADER) return NULL;
    size_t size = *--p & 0x7f;
    for (unsigned shift = 7; (*p & 0x80) != 0; shift += 7) size |= (size_t)(*--p & 0x7f) << shift;
    return (uint8_t *)p - size;
}

static inline uint8_t *listpack_last(const uint8_t *lp) {
    return listpack_prev(lp, lp + listpack_bytes(lp) - 1);
}

static inline void listpack_get(const uint8_t *p, struct listpack_item *item) {
    unsigned b = p[0];
    if (b >= LISTPACK_TEXT_6 && b < LISTPACK_INT_13) {
        item->is_int = false;
        item->text = slice_of(p + 1, b & 0x3f);
    } else if (b < LISTPACK_TEXT_6) {
        item->is_int = true;
        item->number = b;
    } else if (b >= LISTPACK_TEXT_12 && b <= LISTPACK_TEXT_32) {
        size_t head = b == LISTPACK_TEXT_32 ? 5 : 2;
        item->is_int = false;
        item->text = slice_of(p + head, listpack__size(p) - head);
    } else {
        item->is_int = true;
        item->number = listpack__wide(p);
    }
}

#endif
