// SPDX-License-Identifier: BSD-3-Clause
//
// Loading an RDB file into all shards at the same time. One side thread reads the file and cuts it
// into records (loading_thread.c); each record goes, in batches, to the shard of its key, which
// makes the entries a step in each pass, so that its clients are served: with -LOADING, unless a
// command is allowed meanwhile. Batches under way are few, so memory is bounded. A load begins when
// all shards have seen that there is one, and ends when all have done their part or one has failed:
// then every shard leaves it, at last the home shard, which says how it ended.
#ifndef TORC_SHARDS_LOADING_H
#define TORC_SHARDS_LOADING_H

#include "shards/loading_batch.h"
#include "shards/shard.h"

struct loading;

/** How a load ended. */
enum loading_end {
    LOADING_GOOD,      // everything is there
    LOADING_REFUSED,   // the check before it found a fault: nothing has been touched
    LOADING_BROKEN,    // a fault, or the file could not be read to its end
    LOADING_CANCELLED, // the server stops
};

struct loading_options {
    const char *path; // copied
    uint32_t home;    // the shard that ends it
    bool check;       // a dry run first: only a file that can be loaded is
    bool flush;       // what the shards hold makes room for it
    bool replace;     // a key that is there already is replaced; else it is a fault
    bool lent;        // all keyspaces are lent to the caller, who waits for the end
    bool hold;        // after a bad end commands are still refused: the server is going to stop
    bool skip_unknown, ignore_checksum;
    int64_t delay_us; // key-load-delay
    /** On the home shard's thread, when everything else about the load is over. */
    void (*ended)(struct shard *home, void *context, enum loading_end end);
    void *context;
};

/**
 * Begins a load of the file, which must exist. 0; -EBUSY: there is one; another negative errno: the
 * file cannot be opened, or no thread started. On a shard's thread, or before the shards run.
 */
int loading_start(struct fleet *fleet, const struct loading_options *options);
/**
 * Whether one is under way, or has failed such that what there is must not be taken for the
 * dataset: nothing may be saved. Any thread.
 */
bool loading_is_on(struct fleet *fleet);

/** Shard, CHORE_LOAD: takes part in a load that has begun, if it has not seen it yet. */
void loading_look(struct shard *s);
/** Shard, while s->loading: does a step, or leaves the load when it has ended. */
void loading_pass(struct shard *s);
/** Whether there is a step to do at once. */
bool loading_is_due(const struct shard *s);

/** What INFO shows of the load under way, all 0 when there is none, and of the last one. */
struct loading_info {
    bool on;
    int64_t started_s, eta_s;
    uint64_t total_bytes, loaded_bytes, used_memory; // used_memory: of the server that wrote it
    uint64_t keys_loaded, keys_expired;
};
void loading_info(const struct shard *s, struct loading_info *out);

#endif
