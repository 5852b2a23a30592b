// SPDX-License-Identifier: BSD-3-Clause
//
// The long values in a reply that are not copied into its buffer: each is a part of a blob that the
// list holds, and the place in the buffer where it belongs. A list belongs to the buffer beside it
// and moves with it. No list at all (NULL) is the usual case.
#ifndef TORC_ENGINE_BASE_PIECES_H
#define TORC_ENGINE_BASE_PIECES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "engine/base/blob.h"
#include "engine/base/buf.h"

struct pin {
    size_t at;          // where in the buffer: ascending in the list
    struct blob *blob;  // a user of it
    struct slice bytes; // in the blob
};

struct pieces {
    size_t bytes; // of all pieces
    uint32_t count, cap;
    struct pin v[];
};

/** Adds bytes of a blob, which gets one user more, at a place behind those in the list. */
void pieces_add(struct pieces **list, size_t at, struct blob *blob, struct slice bytes);
/** Moves all of `from` to the end of `to`; their buffer is appended at `base` of the other. */
void pieces_append(struct pieces **to, size_t base, struct pieces **from);
/** Forgets the pieces at `from` and behind; `drop` is given each one's blob. */
void pieces_cut(struct pieces **list, size_t from, void (*drop)(struct blob *blob));
/** The bytes of the buffer behind `mark` have moved by `delta`. */
void pieces_shift(struct pieces *list, size_t mark, size_t delta);
/** Buffer and pieces as a list for the kernel (mem_free() it); *count is its length. */
struct iovec *pieces_vector(const struct pieces *list, const struct buf *buf, size_t *count);

static inline size_t pieces_bytes(const struct pieces *list) {
    return likely(list == NULL) ? 0 : list->bytes;
}

#endif
