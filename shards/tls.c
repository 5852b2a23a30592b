// SPDX-License-Identifier: BSD-3-Clause
//
// What joins TLS to the fleet. Contexts are made on the thread that asks (main at the start and on
// SIGHUP, a shard for CONFIG SET: administrators wait, which takes milliseconds); clients arrive
// from the accepting shard and leave, on a handshake thread, by a note to theirs. Invariant: a
// client that is on its way is counted in the face of its shard exactly once, so maxclients holds
// for half-made connections, too.
#include "shards/tls.h"

#include <errno.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "net/tls.h"
#include "shards/notes.h"

#define SHARDS_PER_THREAD 4 // of handshakes

struct tls_front {
    struct fleet *fleet;
    struct tls_pool *pool;
    _Atomic bool stopped;
};

struct newcomer {
    struct tls_handshake handshake; // first member: the pool gives it back
    struct note note;
    struct accepted *accepted;
    uint32_t to;
};

static void adopt(struct shard *s, struct note *note) {
    struct newcomer *n = (struct newcomer *)((char *)note - offsetof(struct newcomer, note));
    struct accepted *accepted = n->accepted;
    mem_free(n);
    shard_adopt(s, accepted);
}

static void on_done(void *context, struct tls_handshake *h) {
    struct tls_front *front = context;
    struct newcomer *n = (struct newcomer *)h;
    if (h->session != NULL || h->in_kernel) {
        n->accepted->session = h->session;
        n->accepted->in_kernel = h->in_kernel;
        n->note.run = adopt;
        note_post(front->fleet->shards[n->to], &n->note);
        return;
    }
    atomic_fetch_sub_explicit(&front->fleet->faces[n->to].connections, 1, memory_order_relaxed);
    mem_free(n->accepted);
    mem_free(n);
}

struct tls_front *tls_front_new(struct fleet *fleet, const struct config *c, struct buf *error) {
    struct ssl_ctx_st *ssl = tls_context_new(&c->tls, error);
    if (ssl == NULL) return NULL;
    int64_t threads = c->tls_handshake_threads;
    if (threads == 0) threads = (fleet->nshards + SHARDS_PER_THREAD - 1) / SHARDS_PER_THREAD;
    if (threads > TLS_POOL_THREADS_MAX) threads = TLS_POOL_THREADS_MAX;
    struct tls_front *front = mem_calloc(sizeof *front);
    front->fleet = fleet;
    front->pool = tls_pool_new((int)threads, ssl, on_done, front);
    if (front->pool != NULL) return front;
    buf_printf(error, "the handshake threads can't be started: %s", strerror(errno));
    mem_free(front);
    return NULL;
}

bool tls_front_reload(struct tls_front *front, const struct config *c, struct buf *error) {
    struct ssl_ctx_st *ssl = tls_context_new(&c->tls, error);
    if (ssl != NULL) tls_pool_use(front->pool, ssl);
    return ssl != NULL;
}

void tls_front_add(struct tls_front *front, struct accepted *accepted, uint32_t to) {
    struct newcomer *n = mem_calloc(sizeof *n);
    n->handshake.fd = accepted->fd;
    n->accepted = accepted;
    n->to = to;
    tls_pool_add(front->pool, &n->handshake);
}

void tls_front_stop(struct tls_front *front) {
    tls_pool_stop(front->pool);
    atomic_store(&front->stopped, true);
}

bool tls_front_is_stopped(const struct tls_front *front) { return atomic_load(&front->stopped); }

void tls_front_free(struct tls_front *front) {
    if (!tls_front_is_stopped(front)) tls_front_stop(front);
    tls_pool_free(front->pool);
    mem_free(front);
}

struct tls_pool_counts tls_front_counts(struct tls_front *front) {
    return tls_pool_counts(front->pool);
}
