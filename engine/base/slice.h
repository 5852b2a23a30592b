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

/** Compares with a zero-terminated word, ignoring ASCII case: how option words are recognised. */
static inline bool slice_is(struct slice s, const char *word) {
    return s.n == strlen(word) && strncasecmp(s.p, word, s.n) == 0;
}

#endif
