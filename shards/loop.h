// SPDX-License-Identifier: BSD-3-Clause
//
// The thread around a shard: pins it, makes its io and its core, and runs passes until the fleet
// stops. Used by server.c alone. One struct loop per shard, made on the main thread and read by
// the shard's.
#ifndef TORC_SHARDS_LOOP_H
#define TORC_SHARDS_LOOP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/listener.h"
#include "shards/shard.h"

struct loop {
    struct fleet *fleet;
    uint32_t id;
    int cpu; // to pin to; -1: none
    struct config *config;
    uint64_t random_seed;
    struct listener_set own_port;  // with shard-ports: each shard for itself
    pthread_barrier_t *ready;      // passed twice: all tried to start; the main thread has seen how
    const _Atomic bool *abandoned; // some shard could not start
    int error;                     // negative errno of what failed
    const char *io_name, *io_reason;
    pthread_t thread;
};

/** The thread's function; takes a struct loop. */
void *loop_main(void *loop);

#endif
