// SPDX-License-Identifier: BSD-3-Clause
//
// One io_uring with its ring of receive buffers: setting up and proving that the kernel does what
// the backend needs (io_uring_ring.c), queueing, entering the kernel. It knows nothing of
// connections. One thread makes and uses it, always the same (IORING_SETUP_SINGLE_ISSUER). Private
// to the io_uring backend (io_uring.c).
#ifndef TORC_NET_IO_URING_RING_H
#define TORC_NET_IO_URING_RING_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/io_backends.h"

#define URING_BUFFER_GROUP 0

struct uring_ring {
    struct io_uring ring;
    bool ready; // the ring exists
    bool buffers_registered;
    bool can_message;                // IORING_OP_MSG_RING works
    unsigned wait_flags;             // additional io_uring_enter flags of a wait
    struct io_uring_buf_ring *slots; // shared with the kernel: the free buffers
    char *buffers;
    size_t stride; // distance between two buffers
    uint32_t buffer_size, buffer_count;
};

/**
 * Sets up and tries out. On failure returns a negative errno, *reason says why; nothing is left
 * behind.
 */
int uring__open(struct uring_ring *u, const struct io_options *options, const char **reason);
void uring__close(struct uring_ring *u);

/** A free submission entry; enters the kernel when the queue is full. Never NULL. */
struct io_uring_sqe *uring__sqe(struct uring_ring *u);

/**
 * Hands over what is queued and, with timeout_ns != 0, sleeps until a completion is there or time
 * is up (negative: without limit). Makes no system call when there is nothing to do in the kernel.
 * Returns 0 (also when nothing came, or on a signal) or a negative errno.
 */
int uring__enter(struct uring_ring *u, int64_t timeout_ns);

static inline char *uring__buffer(const struct uring_ring *u, unsigned id) {
    return u->buffers + id * u->stride;
}

/** Gives buffers back; n of them become visible to the kernel at once. */
static inline void uring__give_buffers(struct uring_ring *u, const uint16_t *ids, unsigned n) {
    int mask = io_uring_buf_ring_mask(u->buffer_count);
    for (unsigned i = 0; i < n; i++) {
        io_uring_buf_ring_add(u->slots, uring__buffer(u, ids[i]), u->buffer_size, ids[i], mask,
                              (int)i);
    }
    io_uring_buf_ring_advance(u->slots, (int)n);
}

#endif
