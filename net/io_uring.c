// SPDX-License-Identifier: BSD-3-Clause
//
// The I/O interface over io_uring: multishot accept, multishot receive into one shared ring of
// buffers, one send in flight for each connection, all handed over by the one system call that also
// waits. A send of several pieces is a sendmsg(2) at once: beside its bytes the call is cheap, and
// nothing has to be kept for it; the ring then only waits until the socket takes more. One object
// belongs to one shard's thread; only `wake` runs on others. Invariants: a connection's `pending`
// counts the operations that will still name it in a completion, and IO_CLOSED is not told before
// it is zero; a buffer is the kernel's, or in `lent` (the owner's until the next poll), or named by
// a completion not yet taken. Whether a connection waits in a list shows in its flags.
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "net/io_backends.h"
#include "net/io_uring_ring.h"

#define SEND_MAX (1U << 30) // bytes of one send operation

enum {
    ATTACHED = 1 << 0,
    RECEIVING = 1 << 1,      // the multishot receive is with the kernel
    RECV_CANCELING = 1 << 2, // and a cancellation of it, too
    PAUSED = 1 << 3,
    RECV_ENDED = 1 << 4, // IO_EOF or IO_ERROR was delivered
    SENDING = 1 << 5,
    CLOSING = 1 << 6,
    STARVED = 1 << 7, // in the list of those that found no buffer
    PIECES = 1 << 8,  // SENDING: by sendmsg(2)
    CLOSED = 1 << 9,  // in the list of those whose IO_CLOSED is to be delivered
};

// What an operation is, in the low bits of its user_data; above them the address of what it belongs
// to.
enum op {
    OP_RECV,    // io_conn
    OP_SEND,    // io_conn: one piece, or (PIECES) the wait for the socket to take more
    OP_CANCEL,  // io_conn
    OP_ACCEPT,  // listener
    OP_WAKE,    // none: the message of another ring
    OP_EVENTFD, // none: the read of our eventfd
    OP_MESSAGE, // io_uring_io that was to be woken; completes on failure only
    OP_MASK = 7,
};

struct listener {
    int fd; // -1: a free place, or one that is leaving and still armed
    uint32_t tag;
    bool armed;
    int64_t rest_until_ns; // not armed: when to try again
};

struct io_uring_io {
    struct io base;
    struct uring_ring ring;
    int wake_fd;
    atomic_bool wake_pending;
    bool eventfd_armed;
    uint64_t eventfd_value;
    struct io_conn *starved_head, *starved_tail;
    struct io_conn *closed_head, *closed_tail;
    uint16_t *lent; // buffers named by the events of the latest poll
    unsigned lent_count;
    int listener_count;
    int resting; // listeners that are not armed
    struct listener listeners[IO_LISTENERS_MAX];
};

struct event_sink {
    struct io_event *v;
    int n, max;
};

static struct io_uring_io *of(struct io *io) { return (struct io_uring_io *)io; }

/** The one place that writes user_data. */
static void name_op(struct io_uring_sqe *sqe, enum op op, void *owner) {
    uintptr_t address = (uintptr_t)owner;
    ASSERT((address & OP_MASK) == 0);
    io_uring_sqe_set_data64(sqe, address | (uint64_t)op);
}

static uint64_t op_name(enum op op, const void *owner) { return (uintptr_t)owner | (uint64_t)op; }

static struct io_event *emit(struct event_sink *sink, enum io_event_kind kind, struct io_conn *conn,
                             int result) {
    ASSERT(sink->n < sink->max);
    struct io_event *e = &sink->v[sink->n++];
    *e = (struct io_event){.kind = kind, .conn = conn, .result = result};
    return e;
}

// ---- lists ----

static void list_add(struct io_conn **head, struct io_conn **tail, struct io_conn *c) {
    c->next = NULL;
    if (*head == NULL)
        *head = c;
    else
        (*tail)->next = c;
    *tail = c;
}

static void starved_add(struct io_uring_io *u, struct io_conn *c) {
    ASSERT(!(c->state & STARVED));
    c->state |= STARVED;
    list_add(&u->starved_head, &u->starved_tail, c);
}

/** Ends a closing connection once nothing refers to it any more. */
static void close_when_idle(struct io_uring_io *u, struct io_conn *c) {
    if (c->pending > 0 || (c->state & (STARVED | CLOSED))) return;
    close(c->fd);
    c->fd = -1;
    c->state |= CLOSED;
    list_add(&u->closed_head, &u->closed_tail, c);
}

// ---- starting operations ----

static void arm_recv(struct io_uring_io *u, struct io_conn *c, bool multishot) {
    struct io_uring_sqe *sqe = uring__sqe(&u->ring);
    if (multishot)
        io_uring_prep_recv_multishot(sqe, c->fd, NULL, 0, 0);
    else
        io_uring_prep_recv(sqe, c->fd, NULL, 0, 0);
    io_uring_sqe_set_flags(sqe, IOSQE_BUFFER_SELECT);
    sqe->buf_group = URING_BUFFER_GROUP;
    name_op(sqe, OP_RECV, c);
    c->state |= RECEIVING;
    c->pending++;
}

/**
 * Arms the receive unless it is armed, or must not be, or waits for a buffer. While others wait for
 * buffers it goes to the end of their line.
 */
static void want_recv(struct io_uring_io *u, struct io_conn *c) {
    if (c->state & (RECEIVING | PAUSED | RECV_ENDED | CLOSING | STARVED)) return;
    if (unlikely(u->starved_head != NULL))
        starved_add(u, c);
    else
        arm_recv(u, c, true);
}

static void cancel_op(struct io_uring_io *u, struct io_conn *c, enum op op) {
    struct io_uring_sqe *sqe = uring__sqe(&u->ring);
    io_uring_prep_cancel64(sqe, op_name(op, c), 0);
    name_op(sqe, OP_CANCEL, c);
    c->pending++;
}

static void cancel_recv(struct io_uring_io *u, struct io_conn *c) {
    if ((c->state & (RECEIVING | RECV_CANCELING)) != RECEIVING) return;
    c->state |= RECV_CANCELING;
    cancel_op(u, c, OP_RECV);
}

/** Queues the send of the one piece, or what tells when the next of several may be tried. */
static void start_send(struct io_uring_io *u, struct io_conn *c) {
    struct io_uring_sqe *sqe = uring__sqe(&u->ring);
    if (unlikely(c->state & PIECES)) {
        io_uring_prep_poll_add(sqe, c->fd, POLLOUT);
    } else {
        size_t n = c->send_v->iov_len < SEND_MAX ? c->send_v->iov_len : SEND_MAX;
        // The kernel's TLS knows no MSG_WAITALL: what it does not take at once is sent again.
        int flags = unlikely(c->state & IO_IN_KERNEL) ? MSG_NOSIGNAL : MSG_NOSIGNAL | MSG_WAITALL;
        io_uring_prep_send(sqe, c->fd, c->send_v->iov_base, n, flags);
    }
    name_op(sqe, OP_SEND, c);
    c->pending++;
}

static void arm_accept(struct io_uring_io *u, struct listener *l) {
    struct io_uring_sqe *sqe = uring__sqe(&u->ring);
    io_uring_prep_multishot_accept(sqe, l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    name_op(sqe, OP_ACCEPT, l);
    l->armed = true;
}

static void arm_eventfd(struct io_uring_io *u) {
    struct io_uring_sqe *sqe = uring__sqe(&u->ring);
    io_uring_prep_read(sqe, u->wake_fd, &u->eventfd_value, sizeof(u->eventfd_value), 0);
    name_op(sqe, OP_EVENTFD, NULL);
    u->eventfd_armed = true;
}

// ---- completions ----

static void lend(struct io_uring_io *u, uint32_t cqe_flags) {
    ASSERT(u->lent_count < u->ring.buffer_count);
    u->lent[u->lent_count++] = (uint16_t)(cqe_flags >> IORING_CQE_BUFFER_SHIFT);
}

static void on_recv_error(struct io_uring_io *u, struct io_conn *c, int error,
                          struct event_sink *sink) {
    switch (error) {
    case ENOBUFS:
        // Armed again only when buffers have come back: now it would fail at once.
        if (!(c->state & PAUSED)) starved_add(u, c);
        return;
    case EINTR:
    case EAGAIN:
    case ECANCELED: // paused, and perhaps resumed since
        want_recv(u, c);
        return;
    default: c->state |= RECV_ENDED; emit(sink, IO_ERROR, c, -error);
    }
}

static void on_recv(struct io_uring_io *u, struct io_conn *c, const struct io_uring_cqe *cqe,
                    struct event_sink *sink) {
    bool over = !(cqe->flags & IORING_CQE_F_MORE);
    if (cqe->flags & IORING_CQE_F_BUFFER) lend(u, cqe->flags);
    if (over) {
        ASSERT(c->state & RECEIVING);
        c->state &= ~RECEIVING;
        c->pending--;
    }
    if (c->state & CLOSING) {
        close_when_idle(u, c);
        return;
    }
    if (cqe->res < 0) {
        ASSERT(over);
        on_recv_error(u, c, -cqe->res, sink);
    } else if (cqe->res == 0) {
        ASSERT(over);
        c->state |= RECV_ENDED;
        emit(sink, IO_EOF, c, 0);
    } else {
        ASSERT(cqe->flags & IORING_CQE_F_BUFFER);
        struct io_event *e = emit(sink, IO_RECV, c, 0);
        e->data = uring__buffer(&u->ring, cqe->flags >> IORING_CQE_BUFFER_SHIFT);
        e->length = (size_t)cqe->res;
        u->base.bytes_in += e->length;
        if (over) want_recv(u, c);
    }
}

/** What a completed operation means for the send: see io__send_some. */
static int send_progress(struct io_uring_io *u, struct io_conn *c, int result) {
    // An error of the socket shows in the call; that the kernel could not wait may pass.
    if (c->state & PIECES) return io__send_some(&u->base, c);
    if (result == -EINTR || result == -EAGAIN || result == -ENOBUFS) return 0;
    if (result <= 0) return result < 0 ? result : -EPIPE;
    io__sent(&u->base, c, (size_t)result);
    return c->send_count == 0;
}

static void on_send(struct io_uring_io *u, struct io_conn *c, const struct io_uring_cqe *cqe,
                    struct event_sink *sink) {
    c->pending--;
    if (c->state & CLOSING) {
        close_when_idle(u, c);
        return;
    }
    int rc = send_progress(u, c, cqe->res);
    if (unlikely(rc == 0)) {
        start_send(u, c);
        return;
    }
    c->state &= ~(SENDING | PIECES);
    emit(sink, IO_SENT, c, rc < 0 ? rc : 0);
}

static void on_cancel(struct io_uring_io *u, struct io_conn *c) {
    c->state &= ~RECV_CANCELING;
    c->pending--;
    if (c->state & CLOSING) close_when_idle(u, c);
    // Resumed and paused again meanwhile: this cancellation was meant for the receive before.
    else if (c->state & PAUSED)
        cancel_recv(u, c);
}

static void on_accept(struct io_uring_io *u, struct listener *l, const struct io_uring_cqe *cqe,
                      struct event_sink *sink) {
    if (cqe->res >= 0) emit(sink, IO_ACCEPT, NULL, cqe->res)->tag = l->tag;
    if (cqe->flags & IORING_CQE_F_MORE) return;
    l->armed = false;
    if (l->fd < 0) return;
    if (cqe->res < 0 && io__accept_must_rest(-cqe->res)) {
        l->rest_until_ns = clock_monotonic_ns() + IO_ACCEPT_PAUSE_NS;
        u->resting++;
    } else {
        arm_accept(u, l);
    }
}

static void on_wake(struct io_uring_io *u, struct event_sink *sink) {
    // Before the event is delivered: a wake-up after this line raises a new one.
    if (atomic_exchange(&u->wake_pending, false)) emit(sink, IO_WAKE, NULL, 0);
}

static void signal_eventfd(struct io_uring_io *u) {
    uint64_t one = 1;
    ssize_t rc;
    do {
        rc = write(u->wake_fd, &one, sizeof(one));
    } while (rc < 0 && errno == EINTR);
    ASSERT(rc == sizeof(one));
}

static void on_completion(struct io_uring_io *u, const struct io_uring_cqe *cqe,
                          struct event_sink *sink) {
    void *owner = (void *)(uintptr_t)(cqe->user_data & ~(uint64_t)OP_MASK);
    switch ((enum op)(cqe->user_data & OP_MASK)) {
    case OP_RECV: on_recv(u, owner, cqe, sink); break;
    case OP_SEND: on_send(u, owner, cqe, sink); break;
    case OP_CANCEL:
        if (owner) on_cancel(u, owner); // else a listener's, which ends by its last completion
        break;
    case OP_ACCEPT: on_accept(u, owner, cqe, sink); break;
    case OP_WAKE: on_wake(u, sink); break;
    case OP_EVENTFD:
        u->eventfd_armed = false;
        if (cqe->res > 0) on_wake(u, sink);
        break;
    case OP_MESSAGE:
        // The peer's ring did not take the message (its queue was full, say).
        if (cqe->res < 0) signal_eventfd(owner);
        break;
    case OP_MASK: ASSERT(false); break;
    }
}

static void deliver_closed(struct io_uring_io *u, struct event_sink *sink) {
    while (u->closed_head != NULL && sink->n < sink->max) {
        struct io_conn *c = u->closed_head;
        u->closed_head = c->next;
        emit(sink, IO_CLOSED, c, 0);
    }
}

static void reap(struct io_uring_io *u, struct event_sink *sink) {
    deliver_closed(u, sink);
    struct io_uring *ring = &u->ring.ring;
    unsigned head = *ring->cq.khead;
    unsigned tail = io_uring_smp_load_acquire(ring->cq.ktail);
    // A completion makes one event at most; the rest stays for the next call.
    while (head != tail && sink->n < sink->max) {
        struct io_uring_cqe cqe;
        const struct io_uring_cqe *slot = &ring->cq.cqes[head & ring->cq.ring_mask];
        cqe.user_data = slot->user_data;
        cqe.res = slot->res;
        cqe.flags = slot->flags;
        head++;
        on_completion(u, &cqe, sink);
    }
    io_uring_smp_store_release(ring->cq.khead, head);
    deliver_closed(u, sink);
}

// ---- the pass ----

static void return_buffers(struct io_uring_io *u) {
    if (u->lent_count == 0) return;
    uring__give_buffers(&u->ring, u->lent, u->lent_count);
    u->lent_count = 0;
}

/**
 * Arms the receives that had found no buffer, first come first served, at most as many as there are
 * buffers: more would only fail again. Each for one buffer, since a busy connection would take all
 * that a multishot receive can get, and then to the end of the line while there is one.
 */
static void feed_starved(struct io_uring_io *u) {
    uint32_t budget = u->ring.buffer_count;
    while (u->starved_head != NULL && budget > 0) {
        struct io_conn *c = u->starved_head;
        u->starved_head = c->next;
        c->state &= ~STARVED;
        if (c->state & CLOSING) {
            close_when_idle(u, c);
        } else if (!(c->state & (PAUSED | RECV_ENDED))) {
            arm_recv(u, c, false);
            budget--;
        }
    }
}

/**
 * Arms listeners that have rested long enough; returns the timeout, shortened to the next such
 * time.
 */
static int64_t end_rests(struct io_uring_io *u, int64_t timeout_ns) {
    int64_t now_ns = clock_monotonic_ns();
    for (int i = 0; i < u->listener_count; i++) {
        struct listener *l = &u->listeners[i];
        if (l->armed || l->fd < 0) continue;
        int64_t left_ns = l->rest_until_ns - now_ns;
        if (left_ns <= 0) {
            u->resting--;
            arm_accept(u, l);
        } else if (timeout_ns < 0 || timeout_ns > left_ns) {
            timeout_ns = left_ns;
        }
    }
    return timeout_ns;
}

static int uring_poll(struct io *io, struct io_event *events, int max, int64_t timeout_ns) {
    struct io_uring_io *u = of(io);
    struct event_sink sink = {events, 0, max};
    ASSERT(max > 0);
    u->base.polls++;
    return_buffers(u);
    if (unlikely(u->starved_head != NULL)) feed_starved(u);
    if (unlikely(!u->eventfd_armed)) arm_eventfd(u);
    if (unlikely(u->resting > 0)) timeout_ns = end_rests(u, timeout_ns);
    if (u->closed_head != NULL || u->starved_head != NULL) timeout_ns = 0;
    if (timeout_ns != 0 && io_uring_cq_ready(&u->ring.ring) == 0) u->base.waits++;
    int rc = uring__enter(&u->ring, timeout_ns);
    reap(u, &sink);
    return sink.n > 0 ? sink.n : rc;
}

/** The listener of a descriptor; NULL: there is none. */
static struct listener *listener_of(struct io_uring_io *u, int fd) {
    for (int i = 0; i < u->listener_count; i++)
        if (u->listeners[i].fd == fd) return &u->listeners[i];
    return NULL;
}

static struct listener *free_listener(struct io_uring_io *u) {
    for (int i = 0; i < u->listener_count; i++)
        if (u->listeners[i].fd < 0 && !u->listeners[i].armed) return &u->listeners[i];
    return u->listener_count < IO_LISTENERS_MAX ? &u->listeners[u->listener_count++] : NULL;
}

static int uring_listen(struct io *io, int fd, uint32_t tag) {
    struct io_uring_io *u = of(io);
    if (listener_of(u, fd)) return 0;
    struct listener *l = free_listener(u);
    if (l == NULL) return -ENOSPC;
    *l = (struct listener){.fd = fd, .tag = tag};
    arm_accept(u, l);
    return 0;
}

static void uring_unlisten(struct io *io, int fd) {
    struct io_uring_io *u = of(io);
    struct listener *l = listener_of(u, fd);
    if (l == NULL) return;
    l->fd = -1;
    if (!l->armed) {
        u->resting--;
        return;
    }
    struct io_uring_sqe *sqe = uring__sqe(&u->ring);
    io_uring_prep_cancel64(sqe, op_name(OP_ACCEPT, l), 0);
    name_op(sqe, OP_CANCEL, NULL);
    // An accept that was not submitted yet must not meet the number's next owner.
    (void)uring__enter(&u->ring, 0);
}

static void uring_attach(struct io *io, struct io_conn *c, int fd) {
    ASSERT(c->state == 0);
    c->fd = fd;
    c->state = ATTACHED;
    want_recv(of(io), c);
}

static void uring_recv_pause(struct io *io, struct io_conn *c) {
    if (c->state & (PAUSED | CLOSING)) return;
    c->state |= PAUSED;
    cancel_recv(of(io), c);
}

static void uring_recv_resume(struct io *io, struct io_conn *c) {
    c->state &= ~PAUSED;
    // When the cancelled receive is still there, its last completion arms the next.
    want_recv(of(io), c);
}

static int uring_send(struct io *io, struct io_conn *c, struct iovec *v, size_t count) {
    ASSERT(count > 0);
    ASSERT((c->state & (ATTACHED | SENDING | CLOSING)) == ATTACHED);
    c->send_v = v;
    c->send_count = count;
    if (unlikely(count > 1)) {
        int rc = io__send_some(io, c);
        if (rc != 0) return rc;
        c->state |= PIECES;
    }
    c->state |= SENDING;
    start_send(of(io), c);
    return 0;
}

static void uring_close(struct io *io, struct io_conn *c) {
    struct io_uring_io *u = of(io);
    ASSERT(c->state & ATTACHED);
    if (c->state & CLOSING) return;
    c->state |= CLOSING;
    if (c->pending > 0) {
        // Ends whatever waits for the socket, also what a cancellation does not find.
        shutdown(c->fd, SHUT_RDWR);
        cancel_recv(u, c);
        if (c->state & SENDING) cancel_op(u, c, OP_SEND);
    }
    close_when_idle(u, c);
}

static void uring_destroy(struct io *io) {
    struct io_uring_io *u = of(io);
    if (u->ring.ready) {
        // Connections that arrived but were not delivered belong to nobody.
        struct io_uring *ring = &u->ring.ring;
        struct io_uring_cqe *cqe;
        while (io_uring_peek_cqe(ring, &cqe) == 0) {
            if ((cqe->user_data & OP_MASK) == OP_ACCEPT && cqe->res >= 0) close(cqe->res);
            io_uring_cqe_seen(ring, cqe);
        }
        uring__close(&u->ring);
    }
    if (u->wake_fd >= 0) close(u->wake_fd);
    mem_free(u->lent);
    mem_free(u);
}

static void uring_wake(struct io *io, struct io *from);

static const struct io_ops uring_ops = {
    .name = "io_uring",
    .poll = uring_poll,
    .listen = uring_listen,
    .unlisten = uring_unlisten,
    .attach = uring_attach,
    .recv_pause = uring_recv_pause,
    .recv_resume = uring_recv_resume,
    .send = uring_send,
    .close = uring_close,
    .wake = uring_wake,
    .destroy = uring_destroy,
};

static void uring_wake(struct io *io, struct io *from) {
    struct io_uring_io *u = of(io);
    if (atomic_exchange(&u->wake_pending, true)) return;
    if (from == NULL || from->ops != &uring_ops || !of(from)->ring.can_message) {
        signal_eventfd(u);
        return;
    }
    struct io_uring_sqe *sqe = uring__sqe(&of(from)->ring);
    if (from == io) {
        io_uring_prep_nop(sqe);
        name_op(sqe, OP_WAKE, NULL);
        return;
    }
    io_uring_prep_msg_ring(sqe, u->ring.ring.ring_fd, 0, op_name(OP_WAKE, NULL), 0);
    io_uring_sqe_set_flags(sqe, IOSQE_CQE_SKIP_SUCCESS);
    name_op(sqe, OP_MESSAGE, u);
}

int io__uring_create(struct io **out, const struct io_options *options, const char **reason) {
    struct io_uring_io *u = mem_calloc(sizeof(*u));
    u->base.ops = &uring_ops;
    u->wake_fd = -1;
    int rc = uring__open(&u->ring, options, reason);
    if (rc == 0) {
        // Blocking, because the ring gives up at once on a read of a descriptor that is not.
        u->wake_fd = eventfd(0, EFD_CLOEXEC);
        rc = u->wake_fd < 0 ? -errno : 0;
        if (rc < 0) *reason = "no file descriptor left for io_uring";
    }
    if (rc < 0) {
        uring_destroy(&u->base);
        return rc;
    }
    u->lent = mem_alloc(options->recv_buffers * sizeof(u->lent[0]));
    *out = &u->base;
    return 0;
}
