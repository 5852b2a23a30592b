// SPDX-License-Identifier: BSD-3-Clause
//
// Choice of the I/O backend: fills in the options' defaults, makes the io that was asked for, and
// with "auto" falls back from io_uring to epoll with the reason. Stateless; called once by each
// shard's thread at its start. What works is found by trying it, never by the kernel's version.
#include "net/io.h"

#include <errno.h>
#include <string.h>

#include "net/io_backends.h"

#define RECV_BUFFER_SIZE_DEFAULT 16384
#define RECV_BUFFERS_DEFAULT     256
#define RECV_BUFFERS_MAX         32768
#define CONNECTIONS_HINT_DEFAULT 1024

bool io__accept_must_rest(int error) {
    bool exhausted = error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
    return exhausted || error == EINVAL || error == EBADF || error == ENOTSOCK;
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
