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

struct command;
struct fleet;
struct shard;
struct snapshot_share;
struct snapshot_walk;

/** What a snapshot is to be, and who is told what. Copied. */
struct snapshot_plan {
    struct snapshot_options options; // its chunk(): called on any shard's thread
    uint32_t step_ns;                // how long steps are at most, about; 0: the usual
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
     * the error of snapshot_walk_abort(); -ECANCELED when the server stops; or -ENOTSUP with the
     * reason in `why`: what a value needs that the version cannot express. Another may be started
     * from here.
     */
    void (*done)(void *context, int error, const char *why);
};

/**
 * Begins a snapshot with this shard as its home; on its thread, any time, without a client. 0, or
 * -EBUSY: one is under way (or is being given up), or -ECANCELED: the server is stopping. The
 * instant comes a little later.
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

// ---- for the shards ----------------------------------------------------------------------------

/** The fleet's snapshots: made and freed with the fleet. */
struct snapshot_walk *snapshot_walk_new(uint32_t nshards);
void snapshot_walk_free(struct snapshot_walk *walk);
/** The keyspace is back from a transaction, which may have been the instant: the share begins. */
void snapshot_walk_adopt(struct shard *s);
/** The pass's part of the walk; only while there is a share. `busy`: there is other work. */
void snapshot_walk_step(struct shard *s, bool busy);
/** How long the shard may sleep as to its share; only while there is one. */
int64_t snapshot_walk_sleep_ns(const struct shard *s);
/** Whether it stands still until the file has got on; so should the emptying of flushed tables. */
bool snapshot_walk_is_paused(const struct shard *s);
/** Whether this shard has a part in a snapshot, or is the home of one: then it does not end yet. */
bool snapshot_walk_holds(const struct shard *s);
/** Home: a share has come to its end. */
void snapshot_walk_returned(struct shard *s, struct snapshot_share *share);
/**
 * A command or a transaction is going to change this key, in the database of this number. If its
 * value is one that is written in steps, and has still to be, it is the next; until then there is
 * an intent on it to wait for.
 */
void snapshot_walk_claim(struct shard *s, uint32_t db, struct key key);
/** Whether a change of this key, on a shard whose keyspace is ours to use, is to wait for that. */
bool snapshot_walk_keeps(const struct shard *at, uint32_t db, struct key key);
/**
 * The same for the keys of a command that writes; `hashed_arg` and `hash` as in struct parsed.
 * `claim`: it claims them on the way.
 */
bool snapshot_walk_meets(struct shard *at, uint32_t db, const struct command *spec, int argc,
                         const struct slice *argv, int hashed_arg, uint64_t hash, bool claim);

#endif
