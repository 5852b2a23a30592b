// SPDX-License-Identifier: BSD-3-Clause
/*
 * The worker threads and what they share.
 *
 * `struct run` is prepared by the main thread and read-only for the workers, save for the two
 * atomics and the barrier between preloading and the measured phase. Everything else a worker
 * touches hangs off its own `struct worker`. Invariant: every worker passes the barrier exactly
 * once, also one that has failed, so nobody waits for ever.
 */
#ifndef TORC_TOOLS_TORC_LOAD_WORKER_H
#define TORC_TOOLS_TORC_LOAD_WORKER_H

#include "tools/torc_load/connection.h"
#include "tools/torc_load/keys.h"
#include "tools/torc_load/options.h"
#include "tools/torc_load/request.h"
#include "tools/torc_load/stats.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct run {
    const struct options *options;
    struct request_format format;
    uint32_t template_count;
    struct request_template templates[STATS_COMMANDS_MAX];
    uint64_t weight_until[STATS_COMMANDS_MAX]; /* sums of the weights up to and with each */
    struct request_template preload;
    pthread_barrier_t barrier;
    atomic_bool stop;
    atomic_uint finished;
    pthread_t main_thread; /* gets SIGUSR1 whenever a worker ends */
};

struct worker {
    struct run *run;
    uint32_t index;
    pthread_t thread;
    uint32_t connection_count;
    struct connection *connections;
    int epoll_fd;
    char *read_buffer;
    char *write_buffer;
    struct key_source keys;
    struct random_state mix;
    struct stats stats;
    bool has_failed;
    char problem[256];
    /* The phase that is running: */
    bool is_preloading;
    bool is_sending;      /* false once the phase's end is reached and only replies are awaited */
    uint64_t unsent;      /* requests the phase may still send */
    uint64_t outstanding; /* requests in flight over all connections */
    uint64_t phase_start_ns;
    uint64_t phase_end_ns;
    uint64_t last_reply_ns;
    double interval_ns; /* open loop: between two requests of this worker; 0: closed loop */
    uint64_t released;  /* open loop: requests whose time has come */
};

/* The thread's entry point; `argument` is its struct worker, initialised but for its buffers. */
void *worker_main(void *argument);

/* Frees what a worker that has ended still holds. */
void worker_fini(struct worker *w);

#endif
