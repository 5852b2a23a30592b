// SPDX-License-Identifier: BSD-3-Clause
//
// A slice: bytes that somebody else owns, with their length. Command arguments are slices of the
// receive buffer or of a request; keys and values are slices of an entry. A slice never owns and
// never outlives what it points into; it may hold any bytes, zero included, and is not terminated.
#ifndef TORC_ENGINE_BASE_SLICE_H
#define TORC_ENGINE_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct slice {
    const char *p;
    size_t n;
};

#define SLICE_LITERAL(text) ((struct slice){(text), sizeof(text) - 1})

static inline struct slice slice_of(const void *p, size_t n) {
    return (struct slice){(const char *)p, n};
}

static inline struct slice slice_text(const char *text) {
    return (struct slice){text, strlen(text)};
}

static inline bool slice_equal(struct slice a, struct slice b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/** Bytes of all slices together. */
static inline size_t slices_bytes(const struct slice *from, int count) {
    size_t bytes = 0;
    for (int i = 0; i < count; i++) bytes += from[i].n;
    return bytes;
}

/** Copies slices to `to`, their bytes one behind the other to `bytes` (slices_bytes() long). */
static inline void slices_copy(struct slice *to, char *bytes, const struct slice *from, int count) {
    for (int i = 0; i < count; i++) {
        if (from[i].n > 0) memcpy(bytes, from[i].p, from[i].n);
        to[i] = slice_of(bytes, from[i].n);
        bytes += from[i].n;
    }
}

/** Compares with a zero-terminated word, ignoring ASCII case: how option words are recognised. */
static inline bool slice_is(struct slice s, const char *word) {
    return s.n == strlen(word) && strncasecmp(s.p, word, s.n) == 0;
}

#endif
