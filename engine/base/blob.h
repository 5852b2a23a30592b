// SPDX-License-Identifier: BSD-3-Clause
//
// A block of bytes with a count of its users: the value of a long string, which may at the same
// time be going out to clients, or the buffer in which it came in. Counting is atomic, because
// users are on several threads; the bytes are changed only by who knows that he is the only user.
// Blocks of BLOB_MAP_MIN bytes and more are mappings of their own: they grow without copying, and
// fresh ones are zero without being touched.
//
//   +-------------------------------+--------------+------------------+---------+
//   | len, cap, start, users, flags | start bytes  | len bytes in use | room    |
//   +-------------------------------+--------------+------------------+---------+
//                                   ^ bytes        <------- cap bytes in all -->
#ifndef TORC_ENGINE_BASE_BLOB_H
#define TORC_ENGINE_BASE_BLOB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/slice.h"

#define BLOB_MAP_MIN   ((size_t)1024 * 1024)
#define BLOB_START_MAX 0x7fffffff

struct blob {
    size_t len;
    size_t cap;             // bytes behind the header
    _Atomic uint32_t users; // at least 1
    uint32_t start : 31;    // the bytes in use begin here
    uint32_t mapped : 1;    // a mapping, not from the allocator
    char bytes[];
};
_Static_assert(sizeof(struct blob) == 24, "the header of a blob is three words");

/** A blob with one user that holds a copy of text and has room for at least cap bytes. */
struct blob *blob_new(struct slice text, size_t cap);
/** The same with len zero bytes (all of the room is zero). */
struct blob *blob_new_zeroed(size_t len, size_t cap);
/**
 * Makes room for cap bytes in all (not fewer than are in use); for the only user. May move: returns
 * its place. What is added is not set.
 */
struct blob *blob_resize(struct blob *b, size_t cap);
/** One user more. */
void blob_hold(struct blob *b);
/** One user less; true: that was the last, and the caller has to blob_free() it. */
bool blob_release(struct blob *b);
/** Frees a blob without users. Any thread; big ones in steps, so that nobody waits for long. */
void blob_free(struct blob *b);
/** blob_release() and, where due, blob_free(). */
void blob_drop(struct blob *b);
/**
 * Gives the memory from one place of its bytes up to another back to the system as far as that can
 * be done: what stands there is lost. For the only user, which still has to free the blob.
 */
void blob_forget(struct blob *b, const char *from, const char *end);
/** Bytes that the blob occupies. */
size_t blob_memory(const struct blob *b);

/** Whether others use it, too: then its bytes must not be changed. */
static inline bool blob_is_shared(const struct blob *b) {
    return atomic_load_explicit(&b->users, memory_order_acquire) > 1;
}
static inline struct slice blob_text(const struct blob *b) {
    return slice_of(b->bytes + b->start, b->len);
}
/** Whether the text is in the blob's memory. cap alone is looked at, which does not change. */
static inline bool blob_has(const struct blob *b, struct slice text) {
    return text.p >= b->bytes && text.n <= b->cap && text.p <= b->bytes + b->cap - text.n;
}
/** Bytes that may be in use from `start` on. */
static inline size_t blob_room(const struct blob *b) { return b->cap - b->start; }

#endif
