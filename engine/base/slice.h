// SPDX-License-Identifier: BSD-3-Clause
//
// A slice: bytes that somebody else owns, with their length. Command arguments are slices of the
// receive buffer or of a request; keys and values are slices of an entry. A slice never owns and
// never outlives what it points into; it may hold any bytes, zero included, and is not terminated.
#ifndef TORC_ENGINE_BASE_SLICE_H
#define TORC_ENGINE_BASE_SLICE_H

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
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

/** Byte by byte, a shorter one before what it begins: negative, 0, or positive. */
static inline int slice_compare(struct slice a, struct slice b) {
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n > 0 ? memcmp(a.p, b.p, n) : 0;
    return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

/** The same, without a call for the short words and keys that are compared most. */
static inline bool slice_equal_short(struct slice a, struct slice b) {
    if (a.n != b.n) return false;
    if (a.n > 32) return memcmp(a.p, b.p, a.n) == 0;
    uint64_t x, y;
    uint32_t v, w;
    uint16_t s, t;
    if (a.n < 4) {
        if (a.n < 2) return a.n == 0 || a.p[0] == b.p[0];
        memcpy(&s, a.p, 2);
        memcpy(&t, b.p, 2);
        return s == t && a.p[a.n - 1] == b.p[a.n - 1];
    }
    size_t at = 0;
    for (; a.n - at >= 8; at += 8) {
        memcpy(&x, a.p + at, 8);
        memcpy(&y, b.p + at, 8);
        if (x != y) return false;
    }
    if (at == a.n) return true;
    // The last bytes, together with some that have been compared already.
    if (a.n >= 8) {
        memcpy(&x, a.p + a.n - 8, 8);
        memcpy(&y, b.p + a.n - 8, 8);
        return x == y;
    }
    memcpy(&v, a.p, 4);
    memcpy(&w, b.p, 4);
    if (v != w) return false;
    memcpy(&v, a.p + a.n - 4, 4);
    memcpy(&w, b.p + a.n - 4, 4);
    return v == w;
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

/** Takes the next word off a text of words with white space between. False: there is none. */
static inline bool slice_next_word(struct slice *text, struct slice *word) {
    size_t from = 0;
    while (from < text->n && isspace((unsigned char)text->p[from])) from++;
    size_t to = from;
    while (to < text->n && !isspace((unsigned char)text->p[to])) to++;
    *word = slice_of(text->p + from, to - from);
    *text = slice_of(text->p + to, text->n - to);
    return word->n > 0;
}

#endif
