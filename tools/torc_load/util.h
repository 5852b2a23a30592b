// SPDX-License-Identifier: BSD-3-Clause
/*
 * Small helpers of the load generator: memory that never fails and the clock.
 *
 * The load generator is a client: it links nothing of the server, so that it can measure any server
 * and a defect in shared code cannot hide itself. Every helper may be called from any thread.
 * Invariant: an allocation either succeeds or ends the process with a message.
 */
#ifndef TORC_TOOLS_TORC_LOAD_UTIL_H
#define TORC_TOOLS_TORC_LOAD_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define NS_PER_S  1000000000ull
#define NS_PER_MS 1000000ull

/* Zeroed memory for `count` items of `size` bytes; the caller frees it with free(). */
void *util_alloc(size_t count, size_t size);

/* As realloc(), but never returns NULL. */
void *util_realloc(void *memory, size_t size);

/* A growing byte string, for building templates. Starts as {0}; free `data` when done. */
struct bytes {
    char *data;
    size_t len;
    size_t cap;
};

/* Appends `len` bytes of `data`. */
void bytes_add(struct bytes *b, const void *data, size_t len);

/* Appends formatted text (at most 255 bytes). */
void bytes_addf(struct bytes *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes `text` as a JSON string, quotes included; bytes outside printable ASCII become \u00XX. */
void util_json_string(FILE *out, const char *text);

/* Monotonic time in nanoseconds. */
static inline uint64_t util_now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

#endif
