// SPDX-License-Identifier: BSD-3-Clause
//
// A growable byte buffer: what replies are written into and what partial commands collect in. It is
// a plain value embedded in its owner; an empty one owns no memory. Invariant: len <= cap, and p is
// NULL exactly when cap is 0. Growth doubles up to 1 MiB and adds a quarter above, so appending is
// amortised constant and a huge buffer wastes at most a quarter.
#ifndef TORC_ENGINE_BASE_BUF_H
#define TORC_ENGINE_BASE_BUF_H

#include <stddef.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/slice.h"

struct buf {
    char *p;
    size_t len;
    size_t cap;
};

/** Makes room for n more bytes (slow path of buf_reserve). */
void buf_grow(struct buf *b, size_t n);
/** Frees the memory; the buffer is empty and usable afterwards. */
void buf_free(struct buf *b);
/** Gives memory back when the buffer is empty and holds more than keep bytes of capacity. */
void buf_shrink_if_empty(struct buf *b, size_t keep);
/** Removes the first n bytes (n <= len), moving the rest down. */
void buf_consume(struct buf *b, size_t n);
/**
 * Appends the text in double quotes, what is not printable escaped, as redis.conf and MONITOR have
 * it.
 */
void buf_append_quoted(struct buf *b, struct slice text);
/** printf at the end of the buffer. */
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Returns where the next byte goes, with room for at least n bytes behind it. */
static inline char *buf_reserve(struct buf *b, size_t n) {
    if (unlikely(b->cap - b->len < n)) buf_grow(b, n);
    return b->p + b->len;
}

static inline void buf_append(struct buf *b, const void *p, size_t n) {
    if (n == 0) return;
    memcpy(buf_reserve(b, n), p, n);
    b->len += n;
}

static inline void buf_append_text(struct buf *b, const char *text) {
    buf_append(b, text, strlen(text));
}

static inline void buf_append_char(struct buf *b, char c) {
    *buf_reserve(b, 1) = c;
    b->len++;
}

#endif
