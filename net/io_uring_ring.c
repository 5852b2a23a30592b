// SPDX-License-Identifier: BSD-3-Clause
//
// Making an io_uring and proving it: the ring with the best task-work mode that the kernel grants,
// the provided-buffer ring, and a trial of multishot receive on a socket pair, because versions and
// opcode lists say little where a filter or a back-port is involved. Also entering the kernel,
// where all the odd errno values are dealt with. Owned by one io; runs on its shard's thread.
// Invariant: what uring__open accepted works without a further check.
#include "net/io_uring_ring.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"

// Newer than Debian 12's liburing: not counting a waiting ring as iowait (kernel 6.15).
#define FEATURE_NO_IOWAIT (1U << 17)
#define ENTER_NO_IOWAIT   (1U << 7)

#define SQ_ENTRIES_MIN 256
#define SQ_ENTRIES_MAX 4096
#define CQ_ENTRIES_MAX 32768
#define PAGE_BYTES     4096
#define CACHE_LINE     64
#define SUBMIT_TRIES   10000      // of 1 ms each, until a kernel without memory is given up
#define TRIAL_NS       1000000000 // how long a trial operation may take

static uint32_t power_of_two_at_least(uint32_t n) {
    uint32_t p = 1;
    while (p < n) p *= 2;
    return p;
}

static uint32_t clamp(uint32_t n, uint32_t low, uint32_t high) {
    return n < low ? low : n > high ? high : n;
}

static const char *setup_reason(int error) {
    switch (error) {
    case EPERM:
    case EACCES: return "io_uring is not permitted (seccomp profile or kernel.io_uring_disabled)";
    case ENOSYS: return "the kernel has no io_uring";
    case ENOMEM: return "not enough lockable memory for io_uring (ulimit -l)";
    case EMFILE:
    case ENFILE: return "no file descriptor left for io_uring";
    default: return "io_uring_setup failed";
    }
}

static int setup_ring(struct uring_ring *u, const struct io_options *options, const char **reason) {
    static const unsigned modes[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    };
    uint32_t hint = clamp(options->connections_hint, 1, CQ_ENTRIES_MAX);
    uint32_t sq = power_of_two_at_least(clamp(hint, SQ_ENTRIES_MIN, SQ_ENTRIES_MAX));
    uint32_t cq = clamp(power_of_two_at_least(hint) * 4, sq * 4, CQ_ENTRIES_MAX);
    int rc = -EINVAL;
    struct io_uring_params params;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]) && rc == -EINVAL; i++) {
        params = (struct io_uring_params){
            .flags = modes[i] | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL,
            .cq_entries = cq,
        };
        rc = io_uring_queue_init_params(sq, &u->ring, &params);
    }
    if (rc < 0) {
        *reason = rc == -EINVAL ? "the kernel's io_uring is too old" : setup_reason(-rc);
        return rc;
    }
    u->ready = true;
    const unsigned need = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_FAST_POLL |
                          IORING_FEAT_CQE_SKIP | IORING_FEAT_SUBMIT_STABLE;
    if ((params.features & need) != need) {
        *reason = "the kernel's io_uring is too old";
        return -ENOTSUP;
    }
    if (params.features & FEATURE_NO_IOWAIT) u->wait_flags = ENTER_NO_IOWAIT;
    // Saves looking up the descriptor at each entry; works without, too.
    (void)io_uring_register_ring_fd(&u->ring);
    return 0;
}

static int probe_opcodes(struct uring_ring *u, const char **reason) {
    struct io_uring_probe *probe = io_uring_get_probe_ring(&u->ring);
    if (probe == NULL) {
        *reason = "io_uring cannot be probed";
        return -ENOTSUP;
    }
    static const int needed[] = {IORING_OP_RECV,   IORING_OP_SEND, IORING_OP_POLL_ADD,
                                 IORING_OP_ACCEPT, IORING_OP_READ, IORING_OP_ASYNC_CANCEL,
                                 IORING_OP_NOP};
    bool all = true;
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        all &= io_uring_opcode_supported(probe, needed[i]) != 0;
    }
    u->can_message = io_uring_opcode_supported(probe, IORING_OP_MSG_RING) != 0;
    io_uring_free_probe(probe);
    if (all) return 0;
    *reason = "the kernel's io_uring lacks socket operations";
    return -ENOTSUP;
}

static int register_buffers(struct uring_ring *u, const struct io_options *options,
                            const char **reason) {
    u->buffer_count = options->recv_buffers;
    u->buffer_size = options->recv_buffer_size;
    // One line more than a power of two, so that the beginnings of the buffers, all that short
    // requests touch, do not fall into the same few sets of the cache.
    u->stride = ((size_t)u->buffer_size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    if (u->stride % PAGE_BYTES == 0) u->stride += CACHE_LINE;
    size_t slots_size = u->buffer_count * sizeof(struct io_uring_buf);
    u->buffers = mem_alloc_aligned(u->stride * u->buffer_count, PAGE_BYTES);
    u->slots =
        mem_alloc_aligned((slots_size + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES, PAGE_BYTES);
    memset(u->slots, 0, slots_size);
    struct io_uring_buf_reg reg = {
        .ring_addr = (uintptr_t)u->slots,
        .ring_entries = u->buffer_count,
        .bgid = URING_BUFFER_GROUP,
    };
    int rc = io_uring_register_buf_ring(&u->ring, &reg, 0);
    if (rc < 0) {
        *reason = "the kernel's io_uring has no provided-buffer rings";
        return rc;
    }
    u->buffers_registered = true;
    io_uring_buf_ring_init(u->slots);
    for (uint32_t i = 0; i < u->buffer_count; i++) {
        uint16_t id = (uint16_t)i;
        uring__give_buffers(u, &id, 1);
    }
    return 0;
}

/** Waits for one completion and takes it. 0, or a negative errno when none came. */
static int trial_wait(struct uring_ring *u, struct io_uring_cqe *out) {
    int rc = uring__enter(u, TRIAL_NS);
    if (rc < 0) return rc;
    struct io_uring_cqe *cqe;
    if (io_uring_peek_cqe(&u->ring, &cqe) != 0) return -ETIME;
    *out = *cqe;
    io_uring_cqe_seen(&u->ring, cqe);
    return 0;
}

static int trial_recv_on(struct uring_ring *u, const int pair[2]) {
    struct io_uring_sqe *sqe = uring__sqe(u);
    struct io_uring_cqe cqe;
    io_uring_prep_recv_multishot(sqe, pair[0], NULL, 0, 0);
    io_uring_sqe_set_flags(sqe, IOSQE_BUFFER_SELECT);
    sqe->buf_group = URING_BUFFER_GROUP;
    io_uring_sqe_set_data64(sqe, 0);
    if (send(pair[1], "x", 1, MSG_NOSIGNAL) != 1) return -errno;
    int rc = trial_wait(u, &cqe);
    if (rc < 0) return rc;
    if (cqe.res < 0) return cqe.res;
    if (cqe.res != 1 || !(cqe.flags & IORING_CQE_F_BUFFER)) return -ENOTSUP;
    uint16_t id = (uint16_t)(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
    bool right = uring__buffer(u, id)[0] == 'x' && (cqe.flags & IORING_CQE_F_MORE) != 0;
    uring__give_buffers(u, &id, 1);
    if (!right) return -ENOTSUP;
    // The end of the stream ends the operation.
    if (shutdown(pair[1], SHUT_RDWR) != 0) return -errno;
    rc = trial_wait(u, &cqe);
    if (rc < 0) return rc;
    return cqe.res == 0 && !(cqe.flags & IORING_CQE_F_MORE) ? 0 : -ENOTSUP;
}

static int trial_recv(struct uring_ring *u, const char **reason) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        *reason = "no socket pair to try io_uring on";
        return -errno;
    }
    int rc = trial_recv_on(u, pair);
    if (rc < 0) *reason = "the kernel's io_uring has no multishot receive";
    close(pair[0]);
    close(pair[1]);
    return rc;
}

int uring__open(struct uring_ring *u, const struct io_options *options, const char **reason) {
    *u = (struct uring_ring){.ready = false};
    int rc = setup_ring(u, options, reason);
    if (rc == 0) rc = probe_opcodes(u, reason);
    if (rc == 0) rc = register_buffers(u, options, reason);
    if (rc == 0) rc = trial_recv(u, reason);
    if (rc < 0) uring__close(u);
    return rc;
}

void uring__close(struct uring_ring *u) {
    if (u->buffers_registered) io_uring_unregister_buf_ring(&u->ring, URING_BUFFER_GROUP);
    if (u->ready) io_uring_queue_exit(&u->ring);
    mem_free(u->slots);
    mem_free(u->buffers);
    *u = (struct uring_ring){.ready = false};
}

/** Shows the queued entries to the kernel; returns how many it has not taken yet. */
static unsigned flush(struct uring_ring *u) {
    struct io_uring_sq *sq = &u->ring.sq;
    for (; sq->sqe_head != sq->sqe_tail; sq->sqe_head++) {
        sq->array[sq->sqe_head & sq->ring_mask] = sq->sqe_head & sq->ring_mask;
    }
    io_uring_smp_store_release(sq->ktail, sq->sqe_tail);
    return sq->sqe_tail - io_uring_smp_load_acquire(sq->khead);
}

static int enter(struct uring_ring *u, unsigned submit, unsigned wait, unsigned flags, void *arg,
                 size_t arg_size) {
    if (u->ring.enter_ring_fd != u->ring.ring_fd) flags |= IORING_ENTER_REGISTERED_RING;
    return io_uring_enter2((unsigned)u->ring.enter_ring_fd, submit, wait, flags, arg, arg_size);
}

static void rest_ms(long ms) {
    struct timespec ts = {0, ms * 1000000};
    nanosleep(&ts, NULL);
}

struct io_uring_sqe *uring__sqe(struct uring_ring *u) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
    for (int tries = 0; unlikely(sqe == NULL); tries++) {
        int rc = enter(u, flush(u), 0, 0, NULL, 0);
        // The kernel has no memory for requests: losing an operation is no answer, and neither is
        // waiting for ever.
        ASSERT(tries < SUBMIT_TRIES);
        if (rc < 0 && rc != -EINTR) rest_ms(1);
        sqe = io_uring_get_sqe(&u->ring);
    }
    return sqe;
}

int uring__enter(struct uring_ring *u, int64_t timeout_ns) {
    unsigned submit = flush(u);
    unsigned kernel = IO_URING_READ_ONCE(*u->ring.sq.kflags);
    bool wait = timeout_ns != 0 && io_uring_cq_ready(&u->ring) == 0;
    if (!wait && submit == 0 && !(kernel & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW))) return 0;
    struct __kernel_timespec ts = {timeout_ns / 1000000000, timeout_ns % 1000000000};
    struct io_uring_getevents_arg arg = {.ts = timeout_ns > 0 ? (uintptr_t)&ts : 0};
    unsigned flags = IORING_ENTER_GETEVENTS;
    int rc;
    if (wait) {
        flags |= IORING_ENTER_EXT_ARG | u->wait_flags;
        rc = enter(u, submit, 1, flags, &arg, sizeof(arg));
    } else {
        rc = enter(u, submit, 0, flags, NULL, 0);
    }
    switch (rc) {
    case -ETIME:
    case -EINTR: return 0;
    case -EBUSY: // completions have to be taken first
        return 0;
    case -EAGAIN: // no memory for requests: what was not taken stays queued for the next time
    case -ENOMEM:
        if (io_uring_cq_ready(&u->ring) == 0) rest_ms(1);
        return 0;
    default: return rc < 0 ? rc : 0;
    }
}
