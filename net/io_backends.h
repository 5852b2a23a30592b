// SPDX-License-Identifier: BSD-3-Clause
//
// What the two backends show to io.c, which picks one, and share with each other. Private to net/.
// The options that arrive here are complete and checked: io.c has put the defaults in.
// Invariant: a backend that cannot be made leaves nothing open behind it.
#ifndef TORC_NET_IO_BACKENDS_H
#define TORC_NET_IO_BACKENDS_H

#include "net/io.h"

#define IO_LISTENERS_MAX   128       // listening sockets of one io, with those that are leaving
#define IO_SEND_STEP       (2 << 20) // bytes of one send: a fast reader must not hold a pass up
#define IO_ACCEPT_PAUSE_NS 100000000 // how long accepting rests when descriptors or memory ran out

/**
 * Whether accept failed for want of descriptors or memory, or because the socket is none any more:
 * trying again at once is no use.
 */
bool io__accept_must_rest(int error);

/** Moves on in conn's send by the n bytes that the kernel has taken. */
void io__sent(struct io *io, struct io_conn *conn, size_t n);
/**
 * Gives the socket what it takes of conn's send, up to about IO_SEND_STEP bytes. 1: that was all;
 * 0: to be continued when the socket is writable; negative errno: it failed.
 */
int io__send_some(struct io *io, struct io_conn *conn);

/** Makes an epoll io. 0 or a negative errno. */
int io__epoll_create(struct io **out, const struct io_options *options);
/**
 * Makes an io_uring io after proving that the kernel does what it needs. On failure *reason is a
 * static text.
 */
int io__uring_create(struct io **out, const struct io_options *options, const char **reason);

#endif
