// SPDX-License-Identifier: BSD-3-Clause
//
// TLS handshakes on threads of their own, so that the public-key work of new clients does not hold
// up those who are served. A handshake is embedded in whatever stands for the new client; from
// tls_pool_add until its `done` is called it is the pool's, with the socket. Nothing is computed
// for a client before it has sent something, nor when it has left by then; and none may take longer
// than TLS_HANDSHAKE_NS.
#ifndef TORC_NET_TLS_HANDSHAKE_H
#define TORC_NET_TLS_HANDSHAKE_H

#include <stdbool.h>
#include <stdint.h>

struct ssl_ctx_st;
struct ssl_st;
struct tls_pool;

#define TLS_HANDSHAKE_NS     (10 * INT64_C(1000000000)) // from accepting to the end
#define TLS_POOL_THREADS_MAX 64

struct tls_handshake {
    int fd;
    struct ssl_st *session; // when done: the session, the receiver's; NULL: ...
    bool in_kernel;         // ... the kernel has its records; else it failed, fd is closed
    // The pool's:
    struct tls_handshake *next, *previous;
    int64_t deadline_ns;
    bool wants_write;
};

/** Counts since the start. */
struct tls_pool_counts {
    uint64_t done, failed;
    uint64_t waiting; // now
};

/** Called once for each handshake, on a thread of the pool or of tls_pool_free. */
typedef void tls_done(void *context, struct tls_handshake *handshake);

/** Starts the threads, 1 to TLS_POOL_THREADS_MAX. Takes over a reference of `ssl`. NULL: errno. */
struct tls_pool *tls_pool_new(int threads, struct ssl_ctx_st *ssl, tls_done *done, void *context);
/** New handshakes from now on use this one; takes over the reference. Any thread. */
void tls_pool_use(struct tls_pool *pool, struct ssl_ctx_st *ssl);
/** Gives a handshake (fd set) to the pool. Any thread; neither blocks nor fails. */
void tls_pool_add(struct tls_pool *pool, struct tls_handshake *handshake);
/** Ends the threads; what was under way has failed. What is added later waits for tls_pool_free. */
void tls_pool_stop(struct tls_pool *pool);
/** Frees a stopped pool; nobody may add any more. */
void tls_pool_free(struct tls_pool *pool);
struct tls_pool_counts tls_pool_counts(struct tls_pool *pool);

#endif
