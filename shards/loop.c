// SPDX-License-Identifier: BSD-3-Clause
//
// The real loop of a shard: poll, read the clock once, pass. Runs on the shard's own thread from
// start to end. Invariant: the io and the core are made and freed here, so nothing of a shard is
// ever touched by another thread but through messages and io_wake(). The simulator replaces this
// file.
#include "shards/loop.h"

#include <sched.h>
#include <stdio.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "net/io_tls.h"
#include "shards/ports.h"

#define LOOP_EVENTS 512

static void name_and_pin(const struct loop *loop) {
    char name[16];
    snprintf(name, sizeof name, "torc-%u", loop->id);
    pthread_setname_np(pthread_self(), name);
    if (loop->cpu < 0) return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(loop->cpu, &set);
    if (pthread_setaffinity_np(pthread_self(), sizeof set, &set) != 0)
        log_line(LOG_WARN, "Shard %u could not be pinned to CPU %d", loop->id, loop->cpu);
}

static bool fleet_is_finished(const struct shard *s) {
    const struct fleet *f = s->fleet;
    for (uint32_t i = 0; i < f->nshards; i++) {
        if (!atomic_load(&f->faces[i].closed)) return false;
        if (i != s->id && !mailbox_is_empty(&f->mailboxes[i * f->nshards + s->id])) return false;
    }
    return true;
}

static void run(struct shard *s) {
    struct io_event events[LOOP_EVENTS];
    for (;;) {
        int64_t sleep_ns = shard_sleep_ns(s);
        bool sleeping = sleep_ns > 0 && shard_sleep_begin(s);
        int count = io_poll(s->io, events, LOOP_EVENTS, sleeping ? sleep_ns : 0);
        if (sleeping) shard_sleep_end(s);
        if (count < 0) {
            log_line(LOG_WARN, "Shard %u: polling failed (error %d)", s->id, -count);
            count = 0;
        }
        shard_pass(s, events, count, clock_wall_us(), clock_monotonic_ns());
        if (!s->stopping) continue;
        atomic_store(&s->fleet->faces[s->id].closed, shard_is_finished(s));
        if (fleet_is_finished(s)) return;
    }
}

/** Accepts from all of a set. */
static int listen_to(struct io *io, const struct listener_set *set) {
    int error = 0;
    for (int i = 0; i < set->count && error >= 0; i++)
        error = io_listen(io, set->fds[i], (uint32_t)set->tags[i]);
    return error < 0 ? error : 0;
}

static int start(struct loop *loop, struct io **io, struct shard **s) {
    static const char *const backends[] = {
        [CONFIG_IO_AUTO] = "auto", [CONFIG_IO_URING] = "io_uring", [CONFIG_IO_EPOLL] = "epoll"};
    struct io_options options = {.connections_hint =
                                     (uint32_t)(loop->config->maxclients / loop->fleet->nshards)};
    int error = io_create(io, backends[loop->config->io_backend], &options, &loop->io_reason);
    if (error < 0) return error;
    loop->io_name = (*io)->ops->name;
    if (loop->fleet->tls) *io = io_tls_create(*io);
    *s = shard_new(loop->fleet, loop->id, *io, loop->config, loop->random_seed);
    error = loop->id == 0 ? ports_accept(loop->fleet->ports, *io) : 0;
    return error < 0 ? error : listen_to(*io, &loop->own_port);
}

void *loop_main(void *argument) {
    struct loop *loop = argument;
    struct io *io = NULL;
    struct shard *s = NULL;
    name_and_pin(loop);
    loop->error = start(loop, &io, &s);
    pthread_barrier_wait(loop->ready);
    pthread_barrier_wait(loop->ready);
    if (!atomic_load(loop->abandoned)) run(s);
    // All shards have ended their last pass before the first one's io goes: a late wake-up finds
    // it alive.
    pthread_barrier_wait(loop->ready);
    if (s) shard_free(s);
    if (io) io_destroy(io);
    return NULL;
}
