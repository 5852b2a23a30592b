// SPDX-License-Identifier: BSD-3-Clause
//
// What the loader's thread and the shards share of a load. Under `lock`: the queues of batches, the
// spare ones, the first fault, who has finished and left. A lane's other members are its shard's.
// Private to loading*.c. Invariant: a batch is in one queue, among the spare ones, or in the hands
// of one thread; nobody touches a load that has left it.
#ifndef TORC_SHARDS_LOADING_SHARED_H
#define TORC_SHARDS_LOADING_SHARED_H

#include <pthread.h>
#include <stdatomic.h>

#include "shards/loading.h"

#define LOADING_BATCH ((size_t)256 * 1024) // bytes at which a batch is handed over
#define LOADING_QUEUE ((size_t)1 << 20) // bytes of batches that wait for a shard, but for the last
#define LOADING_SPARE ((size_t)1 << 20) // longest buffer that a spare batch keeps

enum loading_phase {
    LOADING_CHECKS, // the dry run
    LOADING_FILLS,  // batches come
    LOADING_ENDED   // shards leave
};

/** A shard's part of a load. */
struct loading_lane {
    _Alignas(MAILBOX_LINE) struct loading_batch *first, *last; // under the lock: the queue ...
    size_t queued;                                             // ... and its bytes
    bool finished; // under the lock: all of its part is done, and no batch will come
    // The shard's own from here on.
    struct loading_apply apply;
    struct loading_batch *current; // half applied
    bool begun;
    _Atomic uint64_t loaded, expired; // shown to INFO: the counters of apply
    bool due;                         // there is something to do at once
};

struct loading {
    struct fleet *fleet;
    struct loading_options options;
    char *path;
    const char *name; // the path's last part, for the log
    int fd;
    uint64_t total_bytes;
    int64_t started_us;   // wall clock
    int64_t started_ns;   // monotonic
    enum loading_end end; // written before `phase` becomes LOADING_ENDED
    pthread_t thread;
    _Atomic int phase; // enum loading_phase
    _Atomic uint64_t read_bytes, used_memory;
    _Atomic int64_t delay_us;
    _Atomic bool cancelled; // the server stops
    _Atomic bool failed;    // `fault` is set

    pthread_mutex_t lock;
    pthread_cond_t moved; // a batch was taken or applied, a lane has finished, all is to end
    struct rdb_fault fault;
    struct rdb_left_out left_out;
    uint64_t empty;
    enum rdb_dialect dialect; // of the file, before its first batch
    bool closed;              // no batch will come
    uint32_t finished, left;  // shards
    struct loading_batch *spare;
    struct loading_lane *lanes; // [shard]
};

/** The loader's thread; takes a struct loading. */
void *loading__thread(void *loading);
/** Shard: notes a fault, after which everybody stops. */
void loading__fail(struct loading *l, const struct rdb_fault *fault);
/** Wakes a shard, whatever it does. */
void loading__wake(struct loading *l, uint32_t shard);

#endif
