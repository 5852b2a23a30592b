// SPDX-License-Identifier: BSD-3-Clause
//
// Handing the records of a TLS session to the kernel (Linux "Kernel TLS", documentation
// networking/tls.rst): after the handshake the socket is given both keys, and from then on it takes
// and gives plain bytes. What is no data (alerts, new keys) comes and goes beside them. A kernel
// without TLS, and ciphers it does not know, leave the session to OpenSSL.
#ifndef TORC_NET_TLS_KERNEL_H
#define TORC_NET_TLS_KERNEL_H

#include <stdbool.h>

struct ssl_ctx_st; // OpenSSL's SSL_CTX
struct ssl_st;     // and SSL

enum tls_kernel_result {
    TLS_KERNEL_NOT,    // the session goes on as it is
    TLS_KERNEL_TAKEN,  // the socket is all that is needed: the session may be freed
    TLS_KERNEL_BROKEN, // half of it was taken: neither can go on
};

/** Lets a context's sessions keep what tls_kernel_take() needs. Before the first session. */
void tls_kernel_prepare(struct ssl_ctx_st *context);
/** After the handshake, over the socket, and before anything else. Any thread. */
enum tls_kernel_result tls_kernel_take(struct ssl_st *session, int fd);

/** Tells the peer that no more will come (close_notify), as far as the socket takes it now. */
void tls_kernel_say_goodbye(int fd);
/**
 * Receiving has met something that is no data: takes it. 0: the peer has ended; else a negative
 * errno, and *reason is a static text about it.
 */
int tls_kernel_take_control(int fd, const char **reason);
/** Protocol and cipher of a socket whose records are the kernel's; static texts. */
void tls_kernel_describe(int fd, const char **protocol, const char **cipher);

#endif
