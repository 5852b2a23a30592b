// SPDX-License-Identifier: BSD-3-Clause
//
// LZF's two kinds of pieces: up to 32 plain bytes behind their number, and copies of what stands up
// to 8 KiB before. Copies go by whole steps, beyond the piece's end, as long as that is inside of
// the area: what is too much is written over by the next piece. Pure function, any thread.
// Invariant: every piece is compared with what is left of both areas before it is copied. Called by
// the reader of RDB values and by lists.
#include "engine/base/unlzf.h"

#include <stdint.h>
#include <string.h>

#include "engine/base/assert.h"

#define PLAIN_MAX 32 // bytes of a plain piece; numbers from here on are copies
#define STEP      16
#define LONG      7 // in place of a copy's length: the rest is in the next byte
#define SHORTEST  2 // ... which all lengths are counted from

static inline void step(uint8_t *to, const uint8_t *from) {
    uint8_t bytes[STEP];
    memcpy(bytes, from, STEP);
    memcpy(to, bytes, STEP);
}

/** A copy of what stands `back` bytes before; it may reach into itself. */
static inline void copy_back(uint8_t *to, size_t back, size_t length, size_t room) {
    const uint8_t *from = to - back;
    if (likely(back >= STEP && length + STEP <= room)) {
        for (size_t i = 0; i < length; i += STEP) step(to + i, from + i);
    } else if (back == 1) {
        memset(to, *from, length);
    } else {
        for (size_t i = 0; i < length; i++) to[i] = from[i];
    }
}

bool unlzf(const void *packed, size_t n, void *plain, size_t size) {
    const uint8_t *p = packed, *end = p + n;
    uint8_t *to = plain, *const first = to, *const stop = to + size;
    while (p < end) {
        size_t length = *p++, room = (size_t)(stop - to);
        if (length < PLAIN_MAX) {
            size_t left = (size_t)(end - p);
            length++;
            if (likely(left >= PLAIN_MAX && room >= PLAIN_MAX)) {
                step(to, p);
                step(to + STEP, p + STEP);
            } else {
                if (length > left || length > room) return false;
                memcpy(to, p, length);
            }
            p += length;
        } else {
            size_t back = (length & (PLAIN_MAX - 1)) << 8;
            length >>= 5;
            if (length == LONG) {
                if (p == end) return false;
                length += *p++;
            }
            if (p == end) return false;
            back += (size_t)*p++ + 1;
            length += SHORTEST;
            if (back > (size_t)(to - first) || length > room) return false;
            copy_back(to, back, length, room);
        }
        to += length;
    }
    return to == stop;
}
