// SPDX-License-Identifier: BSD-3-Clause
//
// The I/O interface over epoll, for hosts where io_uring is blocked. One object belongs to one
// shard's thread; only `wake` runs on others, and touches the eventfd and the flag beside it.
// Connections are watched edge-triggered: what epoll says goes into flags of the connection at once
// and the connection into one of two lists (work: sends, errors and closings to carry out; ready:
// bytes to read), so no epoll_event outlives a poll and pausing costs nothing. One pass: work,
// epoll_wait, accepts, reads. Invariant: a connection with READABLE set that is neither paused nor
// ended is in the ready list.
#include <errno.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "net/io_backends.h"

#define EPOLL_BATCH  512 // epoll_events taken by one wait
#define ACCEPT_BATCH 64  // connections taken from one listener by one poll
#define ARENA_ALIGN  64  // received pieces start on a cache line

enum {
    ATTACHED = 1 << 0,
    READABLE = 1 << 1, // an edge was seen and the socket not yet found empty
    HANGUP = 1 << 2,   // the peer ended its side: read on until that shows
    PAUSED = 1 << 3,
    RECV_ENDED = 1 << 4, // IO_EOF or IO_ERROR was delivered
    SENDING = 1 << 5,
    WANT_OUT = 1 << 6, // EPOLLOUT is armed
    CLOSING = 1 << 7,
    FAILED = 1 << 8, // could not be watched: `pending` holds the errno to report
    IN_WORK = 1 << 9,
    IN_READY = 1 << 10,
};

// epoll_event.data: a connection's address, or one of these (connections are aligned to 8).
enum { DATA_WAKE = 1, DATA_LISTENER = 2, DATA_MASK = 7, DATA_SHIFT = 3 };

struct conn_list {
    struct io_conn *head, *tail;
};

struct listener {
    int fd; // -1: a free place
    uint32_t tag;
    bool ready;   // epoll said so
    bool watched; // false while it rests
    int64_t rest_until_ns;
};

struct io_epoll {
    struct io base;
    int epoll_fd, wake_fd;
    atomic_bool wake_pending;
    bool wake_seen;
    bool no_pwait2; // the kernel or a filter refuses epoll_pwait2
    struct conn_list work, ready;
    char *arena; // receive memory of one pass, handed out from the front
    size_t arena_size, arena_used;
    uint32_t recv_size;
    int listener_count;
    int resting; // listeners that rest
    struct listener listeners[IO_LISTENERS_MAX];
    struct epoll_event batch[EPOLL_BATCH];
};

struct event_sink {
    struct io_event *v;
    int n, max;
};

static struct io_epoll *of(struct io *io) { return (struct io_epoll *)io; }

static void emit(struct event_sink *sink, enum io_event_kind kind, struct io_conn *conn,
                 int result) {
    ASSERT(sink->n < sink->max);
    sink->v[sink->n++] = (struct io_event){.kind = kind, .conn = conn, .result = result};
}

static void work_add(struct io_epoll *e, struct io_conn *c) {
    if (c->state & IN_WORK) return;
    c->state |= IN_WORK;
    c->next = NULL;
    if (e->work.head == NULL)
        e->work.head = c;
    else
        e->work.tail->next = c;
    e->work.tail = c;
}

static struct io_conn *work_take(struct io_epoll *e) {
    struct io_conn *c = e->work.head;
    e->work.head = c->next;
    c->state &= ~IN_WORK;
    return c;
}

static void ready_add(struct io_epoll *e, struct io_conn *c) {
    if (c->state & IN_READY) return;
    c->state |= IN_READY;
    c->ready_next = NULL;
    if (e->ready.head == NULL)
        e->ready.head = c;
    else
        e->ready.tail->ready_next = c;
    e->ready.tail = c;
}

static struct io_conn *ready_take(struct io_epoll *e) {
    struct io_conn *c = e->ready.head;
    e->ready.head = c->ready_next;
    c->state &= ~IN_READY;
    return c;
}

static int watch(struct io_epoll *e, int op, struct io_conn *c) {
    uint32_t events = EPOLLIN | EPOLLRDHUP | EPOLLET;
    if (c->state & WANT_OUT) events |= EPOLLOUT;
    struct epoll_event ev = {.events = events, .data.u64 = (uintptr_t)c};
    return epoll_ctl(e->epoll_fd, op, c->fd, &ev) == 0 ? 0 : -errno;
}

static void on_send_end(struct io_epoll *e, struct io_conn *c, int result,
                        struct event_sink *sink) {
    c->state &= ~SENDING;
    if (c->state & WANT_OUT) {
        c->state &= ~WANT_OUT;
        // Failing leaves EPOLLOUT armed, which costs a spurious event and nothing else.
        (void)watch(e, EPOLL_CTL_MOD, c);
    }
    emit(sink, IO_SENT, c, result);
}

/** Arms EPOLLOUT for a send that the socket did not take. 0 or a negative errno. */
static int want_out(struct io_epoll *e, struct io_conn *c) {
    c->state |= WANT_OUT;
    // Modifying looks at the socket again: an edge between the send and here is not lost, and there
    // is one when the send was cut short though the socket would take more.
    int rc = watch(e, EPOLL_CTL_MOD, c);
    if (rc < 0) c->state &= ~WANT_OUT;
    return rc;
}

static void try_send(struct io_epoll *e, struct io_conn *c, struct event_sink *sink) {
    int rc = io__send_some(&e->base, c);
    if (rc == 0 && (rc = want_out(e, c)) == 0) return;
    on_send_end(e, c, rc < 0 ? rc : 0, sink);
}

/**
 * Carries out sends, reports of failed attaching, and closings, as far as there is room for events.
 */
static void run_work(struct io_epoll *e, struct event_sink *sink) {
    struct io_conn *last = e->work.tail;
    while (e->work.head != NULL && sink->n < sink->max) {
        struct io_conn *c = work_take(e);
        bool is_last = c == last;
        if (c->state & CLOSING) {
            // While it is in the ready list it is still referred to: run_ready reports it.
            if (!(c->state & IN_READY)) emit(sink, IO_CLOSED, c, 0);
        } else if (c->state & FAILED) {
            c->state = (c->state & ~FAILED) | RECV_ENDED;
            emit(sink, IO_ERROR, c, -(int)c->pending);
            c->pending = 0;
        } else if (c->state & SENDING) {
            try_send(e, c, sink);
        }
        if (is_last) break;
    }
}

/** One read from c. False when the arena is used up and nothing was tried. */
static bool try_recv(struct io_epoll *e, struct io_conn *c, struct event_sink *sink) {
    if (e->arena_size - e->arena_used < e->recv_size) return false;
    char *p = e->arena + e->arena_used;
    ssize_t got;
    do {
        got = recv(c->fd, p, e->recv_size, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got > 0) {
        size_t n = (size_t)got;
        e->arena_used += (n + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
        if (e->arena_used > e->arena_size) e->arena_used = e->arena_size;
        e->base.bytes_in += n;
        emit(sink, IO_RECV, c, 0);
        sink->v[sink->n - 1].data = p;
        sink->v[sink->n - 1].length = n;
        // A buffer that was not filled means the socket was empty: whatever comes later is a new
        // edge.
        if (n == e->recv_size || (c->state & HANGUP))
            ready_add(e, c);
        else
            c->state &= ~READABLE;
        return true;
    }
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        c->state &= ~READABLE;
        return true;
    }
    c->state |= RECV_ENDED;
    emit(sink, got == 0 ? IO_EOF : IO_ERROR, c, got == 0 ? 0 : -errno);
    return true;
}

/**
 * Reads once from every connection that was ready when the round began, in the order they became
 * so.
 */
static void run_ready(struct io_epoll *e, struct event_sink *sink) {
    struct io_conn *last = e->ready.tail;
    while (e->ready.head != NULL && sink->n < sink->max) {
        struct io_conn *c = e->ready.head;
        bool is_last = c == last;
        if (c->state & CLOSING) {
            ready_take(e);
            if (!(c->state & IN_WORK)) emit(sink, IO_CLOSED, c, 0);
        } else if (c->state & (PAUSED | RECV_ENDED)) {
            ready_take(e);
        } else {
            // Out of memory for this pass: it stays the first of the next one.
            if (e->arena_size - e->arena_used < e->recv_size) return;
            ready_take(e);
            try_recv(e, c, sink);
        }
        if (is_last) return;
    }
}

static void watch_listener(struct io_epoll *e, int i) {
    struct listener *l = &e->listeners[i];
    // Level-triggered, because a poll takes a bounded number; exclusive, because shards may share
    // the socket.
    struct epoll_event ev = {.events = EPOLLIN | EPOLLEXCLUSIVE,
                             .data.u64 = ((uint64_t)i << DATA_SHIFT) | DATA_LISTENER};
    l->watched = epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, l->fd, &ev) == 0;
}

static void rest_listener(struct io_epoll *e, struct listener *l) {
    if (l->watched) epoll_ctl(e->epoll_fd, EPOLL_CTL_DEL, l->fd, NULL);
    l->watched = false;
    l->rest_until_ns = clock_monotonic_ns() + IO_ACCEPT_PAUSE_NS;
    e->resting++;
}

/**
 * Ends the rest of listeners whose time has come; returns the timeout, shortened to the next such
 * time.
 */
static int64_t end_rests(struct io_epoll *e, int64_t timeout_ns) {
    int64_t now_ns = clock_monotonic_ns();
    for (int i = 0; i < e->listener_count; i++) {
        struct listener *l = &e->listeners[i];
        if (l->watched || l->fd < 0) continue;
        int64_t left_ns = l->rest_until_ns - now_ns;
        if (left_ns <= 0) {
            e->resting--;
            watch_listener(e, i);
            if (l->watched) continue;
            rest_listener(e, l);
            left_ns = IO_ACCEPT_PAUSE_NS;
        }
        if (timeout_ns < 0 || timeout_ns > left_ns) timeout_ns = left_ns;
    }
    return timeout_ns;
}

static void run_accept(struct io_epoll *e, struct listener *l, struct event_sink *sink) {
    l->ready = false;
    for (int i = 0; i < ACCEPT_BATCH && sink->n < sink->max; i++) {
        int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            emit(sink, IO_ACCEPT, NULL, fd);
            sink->v[sink->n - 1].tag = l->tag;
        } else if (io__accept_must_rest(errno)) {
            rest_listener(e, l);
            return;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        }
        // Anything else concerns the one connection that was in the queue: go on with the next.
    }
}

static void harvest(struct io_epoll *e, int count) {
    for (int i = 0; i < count; i++) {
        uint64_t data = e->batch[i].data.u64;
        uint32_t what = e->batch[i].events;
        if ((data & DATA_MASK) == DATA_WAKE) {
            e->wake_seen = true;
        } else if ((data & DATA_MASK) == DATA_LISTENER) {
            e->listeners[data >> DATA_SHIFT].ready = true;
        } else {
            struct io_conn *c = (struct io_conn *)(uintptr_t)data;
            if (what & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) c->state |= HANGUP;
            if (what & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
                c->state |= READABLE;
                if (!(c->state & (PAUSED | RECV_ENDED))) ready_add(e, c);
            }
            if ((what & (EPOLLOUT | EPOLLHUP | EPOLLERR)) && (c->state & SENDING)) work_add(e, c);
        }
    }
}

static int wait_events(struct io_epoll *e, int64_t timeout_ns) {
    if (timeout_ns != 0) e->base.waits++;
    if (!e->no_pwait2) {
        struct timespec ts = {timeout_ns / 1000000000, timeout_ns % 1000000000};
        int n = epoll_pwait2(e->epoll_fd, e->batch, EPOLL_BATCH, timeout_ns < 0 ? NULL : &ts, NULL);
        if (n >= 0) return n;
        if (errno == EINTR) return 0;
        if (errno != ENOSYS && errno != EPERM) return -errno;
        e->no_pwait2 = true;
    }
    int64_t timeout_ms = timeout_ns < 0 ? -1 : (timeout_ns + 999999) / 1000000;
    if (timeout_ms > INT32_MAX) timeout_ms = INT32_MAX;
    int n = epoll_wait(e->epoll_fd, e->batch, EPOLL_BATCH, (int)timeout_ms);
    if (n >= 0) return n;
    return errno == EINTR ? 0 : -errno;
}

static int epoll_poll(struct io *io, struct io_event *events, int max, int64_t timeout_ns) {
    struct io_epoll *e = of(io);
    struct event_sink sink = {events, 0, max};
    ASSERT(max > 0);
    e->base.polls++;
    e->arena_used = 0;
    run_work(e, &sink);
    if (unlikely(e->resting > 0)) timeout_ns = end_rests(e, timeout_ns);
    // Asks also when there is something to do already, but then does not wait.
    bool busy = sink.n > 0 || e->work.head != NULL || e->ready.head != NULL || e->wake_seen;
    for (int i = 0; i < e->listener_count; i++) busy |= e->listeners[i].ready;
    int count = wait_events(e, busy ? 0 : timeout_ns);
    if (unlikely(count < 0)) return sink.n > 0 ? sink.n : count;
    harvest(e, count);
    if (e->wake_seen && sink.n < max) {
        // Before the event is delivered: a wake-up after this line raises a new one.
        atomic_exchange(&e->wake_pending, false);
        e->wake_seen = false;
        emit(&sink, IO_WAKE, NULL, 0);
    }
    for (int i = 0; i < e->listener_count; i++) {
        if (e->listeners[i].ready) run_accept(e, &e->listeners[i], &sink);
    }
    run_work(e, &sink);
    run_ready(e, &sink);
    return sink.n;
}

/** The place of the listener with this descriptor (-1: of a free one); listener_count: none. */
static int place_of(const struct io_epoll *e, int fd) {
    int i = 0;
    while (i < e->listener_count && e->listeners[i].fd != fd) i++;
    return i;
}

static int epoll_listen(struct io *io, int fd, uint32_t tag) {
    struct io_epoll *e = of(io);
    if (place_of(e, fd) < e->listener_count) return 0;
    int i = place_of(e, -1);
    if (i == IO_LISTENERS_MAX) return -ENOSPC;
    struct listener *l = &e->listeners[i];
    *l = (struct listener){.fd = fd, .tag = tag};
    watch_listener(e, i);
    int error = l->watched ? 0 : -errno;
    if (error < 0) l->fd = -1;
    if (error == 0 && i == e->listener_count) e->listener_count++;
    return error;
}

static void epoll_unlisten(struct io *io, int fd) {
    struct io_epoll *e = of(io);
    int i = place_of(e, fd);
    if (i == e->listener_count) return;
    struct listener *l = &e->listeners[i];
    if (l->watched)
        epoll_ctl(e->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    else
        e->resting--;
    *l = (struct listener){.fd = -1};
}

static void epoll_attach(struct io *io, struct io_conn *c, int fd) {
    struct io_epoll *e = of(io);
    ASSERT(c->state == 0);
    ASSERT(((uintptr_t)c & DATA_MASK) == 0);
    c->fd = fd;
    c->state = ATTACHED;
    int rc = watch(e, EPOLL_CTL_ADD, c);
    if (rc == 0) return;
    c->state |= FAILED;
    c->pending = (uint32_t)-rc;
    work_add(e, c);
}

static void epoll_recv_pause(struct io *io, struct io_conn *c) {
    (void)io;
    c->state |= PAUSED;
}

static void epoll_recv_resume(struct io *io, struct io_conn *c) {
    c->state &= ~PAUSED;
    if ((c->state & READABLE) && !(c->state & (RECV_ENDED | CLOSING))) ready_add(of(io), c);
}

static int epoll_send(struct io *io, struct io_conn *c, struct iovec *v, size_t count) {
    ASSERT(count > 0);
    ASSERT((c->state & (ATTACHED | SENDING | CLOSING)) == ATTACHED);
    c->send_v = v;
    c->send_count = count;
    int rc = io__send_some(io, c);
    if (likely(rc != 0)) return rc;
    rc = want_out(of(io), c);
    if (rc == 0) c->state |= SENDING;
    return rc;
}

static void epoll_close(struct io *io, struct io_conn *c) {
    ASSERT(c->state & ATTACHED);
    if (c->state & CLOSING) return;
    c->state |= CLOSING;
    close(c->fd); // also ends the watching
    c->fd = -1;
    work_add(of(io), c);
}

static void epoll_wake(struct io *io, struct io *from) {
    struct io_epoll *e = of(io);
    (void)from;
    if (atomic_exchange(&e->wake_pending, true)) return;
    // The counter is never read: every write is an edge, and it cannot overflow.
    uint64_t one = 1;
    ssize_t rc;
    do {
        rc = write(e->wake_fd, &one, sizeof(one));
    } while (rc < 0 && errno == EINTR);
    ASSERT(rc == sizeof(one));
}

static void epoll_destroy(struct io *io) {
    struct io_epoll *e = of(io);
    if (e->wake_fd >= 0) close(e->wake_fd);
    if (e->epoll_fd >= 0) close(e->epoll_fd);
    mem_free(e->arena);
    mem_free(e);
}

static const struct io_ops epoll_ops = {
    .name = "epoll",
    .poll = epoll_poll,
    .listen = epoll_listen,
    .unlisten = epoll_unlisten,
    .attach = epoll_attach,
    .recv_pause = epoll_recv_pause,
    .recv_resume = epoll_recv_resume,
    .send = epoll_send,
    .close = epoll_close,
    .wake = epoll_wake,
    .destroy = epoll_destroy,
};

int io__epoll_create(struct io **out, const struct io_options *options) {
    struct io_epoll *e = mem_calloc(sizeof(*e));
    e->base.ops = &epoll_ops;
    e->recv_size = options->recv_buffer_size;
    e->arena_size = (size_t)options->recv_buffer_size * options->recv_buffers;
    e->arena = mem_alloc_aligned(e->arena_size, ARENA_ALIGN);
    e->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    e->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u64 = DATA_WAKE};
    if (e->epoll_fd < 0 || e->wake_fd < 0 ||
        epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, e->wake_fd, &ev) != 0) {
        int error = errno;
        epoll_destroy(&e->base);
        return -error;
    }
    *out = &e->base;
    return 0;
}
