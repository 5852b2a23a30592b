// SPDX-License-Identifier: BSD-3-Clause
//
// What the I/O backends share (sending, and what a failed accept means), and the choice of one:
// fills in the options' defaults, makes the io that was asked for, and with "auto" falls back from
// io_uring to epoll with the reason. Stateless; runs on the thread of the io. Invariant: what works
// is found by trying it, never by the kernel's version.
#include "net/io.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>

#include "engine/base/assert.h"
#include "net/io_backends.h"

#define RECV_BUFFER_SIZE_DEFAULT 16384
#define RECV_BUFFERS_DEFAULT     256
#define RECV_BUFFERS_MAX         32768
#define CONNECTIONS_HINT_DEFAULT 1024
#define SEND_PIECES_MAX          IOV_MAX

bool io__accept_must_rest(int error) {
    bool exhausted = error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
    return exhausted || error == EINVAL || error == EBADF || error == ENOTSOCK;
}

void io__sent(struct io *io, struct io_conn *c, size_t n) {
    io->bytes_out += n;
    while (c->send_count > 0 && n >= c->send_v->iov_len) {
        n -= c->send_v->iov_len;
        c->send_v++;
        c->send_count--;
    }
    if (n == 0) return;
    c->send_v->iov_base = (char *)c->send_v->iov_base + n;
    c->send_v->iov_len -= n;
}

/** One call of the kernel; *wanted is what it was given. */
static ssize_t send_step(struct io_conn *c, size_t *wanted) {
    const int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
    if (likely(c->send_count == 1)) {
        size_t n = c->send_v->iov_len;
        *wanted = n < IO_SEND_STEP ? n : IO_SEND_STEP;
        return send(c->fd, c->send_v->iov_base, *wanted, flags);
    }
    size_t pieces = 0, n = 0;
    while (pieces < c->send_count && pieces < SEND_PIECES_MAX && n < IO_SEND_STEP)
        n += c->send_v[pieces++].iov_len;
    struct iovec *last = &c->send_v[pieces - 1];
    size_t excess = n > IO_SEND_STEP ? n - IO_SEND_STEP : 0;
    last->iov_len -= excess;
    *wanted = n - excess;
    struct msghdr message = {.msg_iov = c->send_v, .msg_iovlen = pieces};
    ssize_t sent = sendmsg(c->fd, &message, flags);
    last->iov_len += excess;
    return sent;
}

int io__send_some(struct io *io, struct io_conn *c) {
    for (size_t total = 0; total < IO_SEND_STEP;) {
        size_t wanted;
        ssize_t sent = send_step(c, &wanted);
        if (unlikely(sent < 0)) {
            if (errno == EINTR) continue;
            return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS ? 0 : -errno;
        }
        total += (size_t)sent;
        io__sent(io, c, (size_t)sent);
        if (likely(c->send_count == 0)) return 1;
        if ((size_t)sent < wanted) return 0;
    }
    return 0;
}

static bool complete_options(struct io_options *o) {
    if (o->recv_buffer_size == 0) o->recv_buffer_size = RECV_BUFFER_SIZE_DEFAULT;
    if (o->recv_buffers == 0) o->recv_buffers = RECV_BUFFERS_DEFAULT;
    if (o->connections_hint == 0) o->connections_hint = CONNECTIONS_HINT_DEFAULT;
    bool power_of_two = (o->recv_buffers & (o->recv_buffers - 1)) == 0;
    return power_of_two && o->recv_buffers <= RECV_BUFFERS_MAX && o->recv_buffer_size <= 1U << 30;
}

int io_create(struct io **out, const char *backend, const struct io_options *options,
              const char **reason) {
    struct io_options o = options != NULL ? *options : (struct io_options){0};
    const char *why = NULL;
    *out = NULL;
    if (reason != NULL) *reason = NULL;
    if (!complete_options(&o)) return -EINVAL;
    if (strcmp(backend, "epoll") == 0) return io__epoll_create(out, &o);
    bool is_auto = strcmp(backend, "auto") == 0;
    if (!is_auto && strcmp(backend, "io_uring") != 0) return -EINVAL;
    int rc = io__uring_create(out, &o, &why);
    if (rc == 0) return 0;
    if (reason != NULL) *reason = why;
    return is_auto ? io__epoll_create(out, &o) : rc;
}
