// SPDX-License-Identifier: BSD-3-Clause
//
// A snapshot over all shards: one instant at which every keyspace begins its share (persistence/
// snapshot.h), then each shard's walk in bounded steps between commands, then the end. There is one
// at a time. Who wants a file around the records, or the answer to a client, is the caller: see the
// plan. The instant is a transaction over all shards, so no command, EXEC or script is cut by it.
// Invariant: after the instant no command waits for the walk, but for one that changes a large
// value while just that is being written; nobody ever waits for the file.
#ifndef TORC_SHARDS_SNAPSHOT_WALK_H
#define TORC_SHARDS_SNAPSHOT_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "persistence/snapshot.h"
#include "shards/intents.h"

struct fleet;
struct shard;

/** What a snapshot is to be, and who is told what. Copied. */
struct snapshot_plan {
    struct snapshot_options options; // its chunk(): called on any shard's thread
    void *context;                   // of the functions below
    /**
     * The instant, on the home shard (the one that started it): all keyspaces are in its hands, and
     * nothing has been written yet. For what has to be noted just then (changes since the last
     * save, say): short. *save, the plan's, may still be changed: the version, by what there is.
     * May be NULL.
     */
    void (*instant)(void *context, struct keyspace *const *keyspaces, uint32_t count,
                    struct rdb_save *save);
    /**
     * Bytes of chunks that have been handed over and are not out yet: while they are many, walks
     * pause. Any thread. NULL: never too many.
     */
    size_t (*pending)(void *context);
    /**
     * All is over, on the home shard: 0: every record has been handed over as a chunk. Otherwise
     * the error of snapshot_walk_abort(), or -ENOTSUP with the reason in `why`: what a value needs
     * that the version cannot express. Another may be started from here.
     */
    void (*done)(void *context, int error, const char *why);
};

/**
 * Begins a snapshot with this shard as its home; on its thread, any time, without a client. 0, or
 * -EBUSY: one is under way (or is being given up). The instant comes a little later.
 */
int snapshot_walk_start(struct shard *s, const struct snapshot_plan *plan);
/**
 * Gives the snapshot under way up, if there is one, for this (negative) reason; any thread. done()
 * follows some time later: only then may the plan's context go.
 */
void snapshot_walk_abort(struct fleet *fleet, int error);

struct snapshot_progress {
    uint64_t keys;    // of the instant, so far as shards have told
    uint64_t written; // of these
    uint64_t bytes;   // of records
};
/** Whether a snapshot is under way, from the start to done(), and how far it is. Any thread. */
bool snapshot_walk_progress(struct fleet *fleet, struct snapshot_progress *out);

#endif
