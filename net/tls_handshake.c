// SPDX-License-Identifier: BSD-3-Clause
//
// The threads of TLS handshakes. Each runs an epoll loop over the sockets that were given to it;
// new ones arrive in a lock-free list with an eventfd. OpenSSL works on the socket itself here and
// never reads beyond the record it needs, so that what follows the handshake is still in the socket
// when a shard takes over. The threads yield to the shards (nice). Invariant: a handshake is in the
// list of its thread, oldest first, until it is done; its deadline is then as old as its place.
#include "net/tls_handshake.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "net/listener.h"
#include "net/tls_kernel.h"
#include "net/tls.h"

#define EVENTS_MAX        16 // few, so that what they say is still true when it is acted on
#define THREAD_NICE       5
#define LOG_LINES_PER_SEC 10 // of failures, from each thread

struct thread {
    struct tls_pool *pool;
    pthread_t id;
    int epoll_fd, wake_fd;
    _Atomic(struct tls_handshake *) incoming; // newest first
    struct tls_handshake *first, *last;       // under way, oldest first
    int64_t log_second;
    int log_lines, log_dropped;
};

struct tls_pool {
    tls_done *done;
    void *context;
    pthread_mutex_t lock; // around ssl
    SSL_CTX *ssl;
    _Atomic bool stopping;
    _Atomic unsigned turn;
    _Atomic uint64_t count_done, count_failed, count_waiting;
    int count;
    struct thread threads[TLS_POOL_THREADS_MAX];
};

static void list_add(struct thread *t, struct tls_handshake *h) {
    h->next = NULL;
    h->previous = t->last;
    if (t->last)
        t->last->next = h;
    else
        t->first = h;
    t->last = h;
}

static void list_remove(struct thread *t, struct tls_handshake *h) {
    if (h->previous)
        h->previous->next = h->next;
    else
        t->first = h->next;
    if (h->next)
        h->next->previous = h->previous;
    else
        t->last = h->previous;
}

/** Hands it back; without a session the socket is closed. */
static void finish(struct tls_pool *pool, struct tls_handshake *h, bool good) {
    if (good && SSL_CTX_get_keylog_callback(SSL_get_SSL_CTX(h->session)) != NULL) {
        enum tls_kernel_result result = tls_kernel_take(h->session, h->fd);
        h->in_kernel = result == TLS_KERNEL_TAKEN;
        good = result != TLS_KERNEL_BROKEN;
    }
    if (h->in_kernel) {
        SSL_free(h->session);
        h->session = NULL;
    } else if (!good) {
        SSL_free(h->session);
        h->session = NULL;
        close(h->fd);
        h->fd = -1;
    }
    atomic_fetch_add(good ? &pool->count_done : &pool->count_failed, 1);
    atomic_fetch_sub(&pool->count_waiting, 1);
    pool->done(pool->context, h);
}

/** A line for each failure, unless there are too many: then one that says how many. */
static void log_failure(struct thread *t, enum log_level level, const struct tls_handshake *h,
                        const char *reason) {
    int64_t second = clock_monotonic_ns() / 1000000000;
    if (second != t->log_second) {
        if (t->log_dropped > 0)
            log_line(LOG_NOTICE, "%d more TLS handshakes failed", t->log_dropped);
        t->log_second = second;
        t->log_lines = t->log_dropped = 0;
    }
    if (level >= LOG_NOTICE && ++t->log_lines > LOG_LINES_PER_SEC) {
        t->log_dropped++;
        return;
    }
    char peer[160];
    listener_peer_text(h->fd, peer, sizeof peer);
    log_line(level, "The TLS handshake of a client failed: %s (addr=%s)", reason, peer);
}

static void end_handshake(struct thread *t, struct tls_handshake *h, bool good) {
    list_remove(t, h);
    epoll_ctl(t->epoll_fd, EPOLL_CTL_DEL, h->fd, NULL);
    finish(t->pool, h, good);
}

/** Whether the peer has ended its side; asked before the work, it cannot want an answer yet. */
static bool has_left(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

static bool begin_session(struct tls_pool *pool, struct tls_handshake *h) {
    pthread_mutex_lock(&pool->lock);
    h->session = SSL_new(pool->ssl);
    pthread_mutex_unlock(&pool->lock);
    if (h->session == NULL || !SSL_set_fd(h->session, h->fd)) return false;
    SSL_set_accept_state(h->session);
    return true;
}

static void want(struct thread *t, struct tls_handshake *h, bool write) {
    if (h->wants_write == write) return;
    h->wants_write = write;
    struct epoll_event ev = {.events = write ? EPOLLOUT : EPOLLIN, .data.ptr = h};
    epoll_ctl(t->epoll_fd, EPOLL_CTL_MOD, h->fd, &ev);
}

static void on_ready(struct thread *t, struct tls_handshake *h) {
    if (h->session == NULL) {
        if (has_left(h->fd)) {
            log_failure(t, LOG_VERBOSE, h, "it has left before");
            end_handshake(t, h, false);
            return;
        }
        if (!begin_session(t->pool, h)) {
            log_failure(t, LOG_WARN, h, "no session can be made");
            end_handshake(t, h, false);
            return;
        }
    }
    ERR_clear_error();
    errno = 0;
    int rc = SSL_do_handshake(h->session);
    if (rc == 1) {
        end_handshake(t, h, true);
        return;
    }
    int error = SSL_get_error(h->session, rc);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        want(t, h, error == SSL_ERROR_WANT_WRITE);
        return;
    }
    struct buf reason = {0};
    tls_reason(h->session, &reason);
    buf_append_char(&reason, '\0');
    log_failure(t, error == SSL_ERROR_SSL ? LOG_NOTICE : LOG_VERBOSE, h, reason.p);
    buf_free(&reason);
    end_handshake(t, h, false);
}

static void take_incoming(struct thread *t) {
    struct tls_handshake *h = atomic_exchange(&t->incoming, NULL), *oldest = NULL;
    while (h) {
        struct tls_handshake *next = h->next;
        h->next = oldest;
        oldest = h;
        h = next;
    }
    int64_t deadline_ns = clock_monotonic_ns() + TLS_HANDSHAKE_NS;
    while ((h = oldest) != NULL) {
        oldest = h->next;
        h->deadline_ns = deadline_ns;
        list_add(t, h);
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = h};
        if (epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, h->fd, &ev) != 0) {
            log_failure(t, LOG_WARN, h, "its socket can't be watched");
            end_handshake(t, h, false);
        }
    }
}

/** Ends those that took too long; returns how long to wait for the next, in ms, or -1. */
static int end_overdue(struct thread *t) {
    if (t->first == NULL) return -1;
    int64_t now_ns = clock_monotonic_ns();
    while (t->first != NULL && t->first->deadline_ns <= now_ns) {
        log_failure(t, LOG_NOTICE, t->first, "it took too long");
        end_handshake(t, t->first, false);
    }
    return t->first == NULL ? -1 : (int)((t->first->deadline_ns - now_ns) / 1000000) + 1;
}

static void *run(void *argument) {
    struct thread *t = argument;
    struct epoll_event events[EVENTS_MAX];
    pthread_setname_np(pthread_self(), "torc-tls");
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), THREAD_NICE);
    while (!atomic_load(&t->pool->stopping)) {
        int n = epoll_wait(t->epoll_fd, events, EVENTS_MAX, end_overdue(t));
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr != NULL) {
                on_ready(t, events[i].data.ptr);
                continue;
            }
            uint64_t value;
            ssize_t got = read(t->wake_fd, &value, sizeof value);
            ASSERT(got == sizeof value || errno == EAGAIN);
            take_incoming(t);
        }
    }
    while (t->first) end_handshake(t, t->first, false);
    OPENSSL_thread_stop();
    return NULL;
}

static bool start(struct tls_pool *pool, struct thread *t) {
    *t = (struct thread){.pool = pool,
                         .epoll_fd = epoll_create1(EPOLL_CLOEXEC),
                         .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    if (t->epoll_fd >= 0 && t->wake_fd >= 0 &&
        epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, t->wake_fd, &ev) == 0) {
        int error = pthread_create(&t->id, NULL, run, t);
        if (error == 0) return true;
        errno = error;
    }
    int error = errno;
    if (t->epoll_fd >= 0) close(t->epoll_fd);
    if (t->wake_fd >= 0) close(t->wake_fd);
    errno = error;
    return false;
}

struct tls_pool *tls_pool_new(int threads, struct ssl_ctx_st *ssl, tls_done *done, void *context) {
    ASSERT(threads > 0 && threads <= TLS_POOL_THREADS_MAX);
    struct tls_pool *pool = mem_calloc(sizeof *pool);
    pool->done = done;
    pool->context = context;
    pool->ssl = ssl;
    pthread_mutex_init(&pool->lock, NULL);
    while (pool->count < threads && start(pool, &pool->threads[pool->count])) pool->count++;
    if (pool->count == threads) return pool;
    int error = errno;
    tls_pool_stop(pool);
    tls_pool_free(pool);
    errno = error;
    return NULL;
}

void tls_pool_use(struct tls_pool *pool, struct ssl_ctx_st *ssl) {
    pthread_mutex_lock(&pool->lock);
    SSL_CTX *old = pool->ssl;
    pool->ssl = ssl;
    pthread_mutex_unlock(&pool->lock);
    SSL_CTX_free(old);
}

static void wake(struct thread *t) {
    uint64_t one = 1;
    ssize_t rc;
    do {
        rc = write(t->wake_fd, &one, sizeof one);
    } while (rc < 0 && errno == EINTR);
}

void tls_pool_add(struct tls_pool *pool, struct tls_handshake *h) {
    struct thread *t = &pool->threads[atomic_fetch_add(&pool->turn, 1) % (unsigned)pool->count];
    atomic_fetch_add(&pool->count_waiting, 1);
    h->session = NULL;
    h->in_kernel = false;
    h->wants_write = false;
    h->next = atomic_load_explicit(&t->incoming, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&t->incoming, &h->next, h)) {
    }
    wake(t);
}

void tls_pool_stop(struct tls_pool *pool) {
    if (atomic_exchange(&pool->stopping, true)) return;
    for (int i = 0; i < pool->count; i++) wake(&pool->threads[i]);
    for (int i = 0; i < pool->count; i++) pthread_join(pool->threads[i].id, NULL);
}

void tls_pool_free(struct tls_pool *pool) {
    ASSERT(atomic_load(&pool->stopping));
    for (int i = 0; i < pool->count; i++) {
        struct thread *t = &pool->threads[i];
        struct tls_handshake *h = atomic_exchange(&t->incoming, NULL), *next;
        for (; h; h = next) {
            next = h->next;
            finish(pool, h, false);
        }
        close(t->epoll_fd);
        close(t->wake_fd);
    }
    pthread_mutex_destroy(&pool->lock);
    SSL_CTX_free(pool->ssl);
    mem_free(pool);
}

struct tls_pool_counts tls_pool_counts(struct tls_pool *pool) {
    return (struct tls_pool_counts){.done = atomic_load(&pool->count_done),
                                    .failed = atomic_load(&pool->count_failed),
                                    .waiting = atomic_load(&pool->count_waiting)};
}
