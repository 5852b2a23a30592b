// SPDX-License-Identifier: BSD-3-Clause
//
// An io that speaks TLS on some of its connections: it implements net/io.h over another io, whose
// promises it keeps. Connections that were attached by io_attach pass through (one branch for each
// event and call); those of io_tls_attach are encrypted and decrypted here, a pass's output of a
// connection in one go and one send. The peer's close_notify is IO_EOF, io_close sends ours.
// Belongs to one thread, as every io.
#ifndef TORC_NET_IO_TLS_H
#define TORC_NET_IO_TLS_H

#include "net/io.h"

struct ssl_st; // OpenSSL's SSL

/** Makes an io over `inner`, which it owns from now on. */
struct io *io_tls_create(struct io *inner);
/**
 * As io_attach, on an io of io_tls_create, for a socket whose handshake (tls_handshake.h) has made
 * `session`; both are the io's now. conn is zeroed by the caller.
 */
void io_tls_attach(struct io *io, struct io_conn *conn, int fd, struct ssl_st *session);
/** The same for a socket whose records the kernel has (tls_kernel.h). */
void io_tls_attach_kernel(struct io *io, struct io_conn *conn, int fd);
/** Whether the connection is (or, closed, was) one of those two; of the second. */
static inline bool io_tls_is(const struct io_conn *conn) {
    return conn->state & (IO_LAYERED | IO_IN_KERNEL);
}
static inline bool io_tls_is_in_kernel(const struct io_conn *conn) {
    return conn->state & IO_IN_KERNEL;
}
/** Protocol and cipher of such a connection that is not closed; static texts. */
void io_tls_describe(const struct io_conn *conn, const char **protocol, const char **cipher);

#endif
