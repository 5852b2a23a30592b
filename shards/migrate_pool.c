// SPDX-License-Identifier: BSD-3-Clause
//
// The threads that talk to other servers for MIGRATE, the queue of jobs that they take from, and
// the connections that they keep for a while, as Redis does. A thread is started when a job finds
// none idle, up to a limit, and ends when it has had nothing to do for a while; an idle server has
// none. Everything here is under one mutex, which nobody holds while waiting for the network.
// Invariant: a link is in the pool, or with the job that uses it, or closed. Called by migrate.c on
// shards, by server.c at the start and end.
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include "engine/base/alloc.h"
#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "shards/migrate_job.h"

#define THREADS_MAX 16
#define LINKS_MAX   64
#define KEEP_NS     INT64_C(10000000000) // links and threads without work
#define LOOK_NS     INT64_C(1000000000)  // how often an idle thread looks whether they are

struct worker {
    struct worker *next; // of those that have ended
    struct migrate_pool *pool;
    pthread_t thread;
};

struct migrate_pool {
    pthread_mutex_t mutex;
    pthread_cond_t arrived; // jobs, or the end
    pthread_cond_t ended;   // a thread
    cpu_set_t cpus;
    bool has_cpus;
    struct migrate_job *first, *last;
    uint32_t queued, threads, idle;
    struct worker *dead; // to be joined
    struct migrate_link *links;
    uint32_t link_count;
    bool stopped;
    atomic_bool stop; // the same for those who talk
};

struct migrate_pool *migrate_pool_new(void) {
    struct migrate_pool *pool = mem_calloc(sizeof *pool);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->arrived, &attributes);
    pthread_cond_init(&pool->ended, NULL);
    pthread_condattr_destroy(&attributes);
    pool->has_cpus = sched_getaffinity(0, sizeof pool->cpus, &pool->cpus) == 0;
    return pool;
}

void migrate_pool_free(struct migrate_pool *pool) {
    ASSERT(pool->threads == 0 && pool->first == NULL && pool->dead == NULL);
    ASSERT(pool->links == NULL);
    pthread_cond_destroy(&pool->ended);
    pthread_cond_destroy(&pool->arrived);
    pthread_mutex_destroy(&pool->mutex);
    mem_free(pool);
}

// ---- links -------------------------------------------------------------------------------------

/** Takes a link for the order out of the pool; NULL: there is none. */
static struct migrate_link *take_link(struct migrate_pool *pool,
                                      const struct migrate_order *order) {
    struct buf identity = {0};
    migrate_link_identity(order, &identity);
    pthread_mutex_lock(&pool->mutex);
    struct migrate_link **place = &pool->links, *link;
    for (; (link = *place) != NULL; place = &link->next)
        if (link->identity.len == identity.len &&
            memcmp(link->identity.p, identity.p, identity.len) == 0)
            break;
    if (link) {
        *place = link->next;
        pool->link_count--;
    }
    pthread_mutex_unlock(&pool->mutex);
    buf_free(&identity);
    return link;
}

/** Takes out those that were put back before that time; under the mutex. */
static struct migrate_link *take_old_links(struct migrate_pool *pool, int64_t before_ns) {
    struct migrate_link *old = NULL, **place = &pool->links, *link;
    while ((link = *place) != NULL) {
        if (link->used_ns > before_ns) {
            place = &link->next;
            continue;
        }
        *place = link->next;
        pool->link_count--;
        link->next = old;
        old = link;
    }
    return old;
}

static void close_all(struct migrate_link *links) {
    while (links) {
        struct migrate_link *next = links->next;
        migrate_link_close(links);
        links = next;
    }
}

void migrate_pool_keep(struct migrate_pool *pool, struct migrate_link *link) {
    link->used_ns = clock_monotonic_ns();
    pthread_mutex_lock(&pool->mutex);
    // Without a thread nobody would ever close it.
    bool keep = !pool->stopped && pool->threads > 0 && pool->link_count < LINKS_MAX;
    if (keep) {
        link->next = pool->links;
        pool->links = link;
        pool->link_count++;
    }
    pthread_mutex_unlock(&pool->mutex);
    if (!keep) migrate_link_close(link);
}

uint32_t migrate_pool_cached(struct migrate_pool *pool) {
    pthread_mutex_lock(&pool->mutex);
    uint32_t count = pool->link_count;
    pthread_mutex_unlock(&pool->mutex);
    return count;
}

// ---- a job -------------------------------------------------------------------------------------

/**
 * Finds or makes the job's link. A kept one may have been closed by the other side meanwhile: then
 * a new one is made. False: the job's error says why there is none.
 */
static bool find_link(struct migrate_pool *pool, struct migrate_job *job) {
    const struct migrate_order *order = &job->order;
    struct migrate_link *link = take_link(pool, order);
    enum migrate_status status = MIGRATE_BROKEN;
    if (link) {
        status = migrate_link_prepare(link, order, &job->error, &pool->stop);
        if (status == MIGRATE_BROKEN) migrate_link_close(link);
    }
    if (status == MIGRATE_BROKEN) {
        job->error.len = 0;
        link = migrate_link_open(order, &job->error, &pool->stop);
        if (!link) return false;
        status = migrate_link_prepare(link, order, &job->error, &pool->stop);
    }
    if (status != MIGRATE_FINE && job->error.len == 0)
        buf_append_text(&job->error, "IOERR error or timeout reading to target instance");
    if (job->error.len == 0) {
        job->link = link;
        return true;
    }
    migrate_link_close(link);
    return false;
}

static void run_job(struct migrate_pool *pool, struct migrate_job *job) {
    if ((job->link || find_link(pool, job)) && job->keys) {
        enum migrate_status status = migrate_link_transfer(job->link, job, &pool->stop);
        if (status == MIGRATE_FINE)
            migrate_pool_keep(pool, job->link);
        else
            migrate_link_close(job->link);
        job->link = NULL;
    }
    note_post(job->shard, &job->note);
}

// ---- threads -----------------------------------------------------------------------------------

static struct migrate_job *take_job(struct migrate_pool *pool) {
    struct migrate_job *job = pool->first;
    if (!job) return NULL;
    pool->first = job->next;
    if (!pool->first) pool->last = NULL;
    pool->queued--;
    return job;
}

/** Waits for a job, a second at most; under the mutex. */
static void await_job(struct migrate_pool *pool) {
    int64_t until_ns = clock_monotonic_ns() + LOOK_NS;
    struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    pool->idle++;
    pthread_cond_timedwait(&pool->arrived, &pool->mutex, &until);
    pool->idle--;
}

/** Joins the threads that have ended; under the mutex, which it lets go meanwhile. */
static void bury(struct migrate_pool *pool) {
    while (pool->dead) {
        struct worker *w = pool->dead;
        pool->dead = w->next;
        pthread_mutex_unlock(&pool->mutex);
        pthread_join(w->thread, NULL);
        mem_free(w);
        pthread_mutex_lock(&pool->mutex);
    }
}

static void *worker_main(void *argument) {
    struct worker *me = argument;
    struct migrate_pool *pool = me->pool;
    pthread_setname_np(pthread_self(), "torc-migrate");
    pthread_mutex_lock(&pool->mutex);
    bury(pool);
    int64_t idle_since_ns = clock_monotonic_ns();
    for (;;) {
        struct migrate_job *job = take_job(pool);
        if (job) {
            pthread_mutex_unlock(&pool->mutex);
            run_job(pool, job);
            pthread_mutex_lock(&pool->mutex);
            idle_since_ns = clock_monotonic_ns();
            continue;
        }
        int64_t now_ns = clock_monotonic_ns();
        struct migrate_link *old = take_old_links(pool, now_ns - KEEP_NS);
        if (old) {
            pthread_mutex_unlock(&pool->mutex);
            close_all(old);
            pthread_mutex_lock(&pool->mutex);
            continue;
        }
        if (pool->stopped || (now_ns - idle_since_ns >= KEEP_NS && pool->link_count == 0)) break;
        await_job(pool);
    }
    pool->threads--;
    me->next = pool->dead;
    pool->dead = me;
    pthread_cond_signal(&pool->ended);
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

/** Starts a thread, on any of the process's CPUs: the caller is pinned to one. Under the mutex. */
static bool start_thread(struct migrate_pool *pool) {
    struct worker *w = mem_calloc(sizeof *w);
    w->pool = pool;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    if (pool->has_cpus) pthread_attr_setaffinity_np(&attributes, sizeof pool->cpus, &pool->cpus);
    int error = pthread_create(&w->thread, &attributes, worker_main, w);
    pthread_attr_destroy(&attributes);
    if (error) {
        log_line(LOG_WARN, "Can't start a thread for MIGRATE: %s", strerror(error));
        mem_free(w);
        return false;
    }
    pool->threads++;
    return true;
}

bool migrate_pool_add(struct migrate_pool *pool, struct migrate_job *job) {
    pthread_mutex_lock(&pool->mutex);
    bool good = !pool->stopped;
    if (good && pool->idle <= pool->queued && pool->threads < THREADS_MAX)
        good = start_thread(pool) || pool->threads > 0;
    if (good) {
        job->next = NULL;
        if (pool->last)
            pool->last->next = job;
        else
            pool->first = job;
        pool->last = job;
        pool->queued++;
        pthread_cond_signal(&pool->arrived);
    }
    pthread_mutex_unlock(&pool->mutex);
    return good;
}

void migrate_pool_stop(struct migrate_pool *pool) {
    atomic_store(&pool->stop, true);
    pthread_mutex_lock(&pool->mutex);
    pool->stopped = true;
    pthread_cond_broadcast(&pool->arrived);
    while (pool->threads > 0) pthread_cond_wait(&pool->ended, &pool->mutex);
    bury(pool);
    struct migrate_link *left = take_old_links(pool, INT64_MAX);
    pthread_mutex_unlock(&pool->mutex);
    close_all(left);
}
