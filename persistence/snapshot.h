// SPDX-License-Identifier: BSD-3-Clause
//
// One shard's share of a snapshot: what its keyspace held at one instant, as records of an RDB
// file, without a copy of the keyspace. A walk over the tables writes entry after entry, in small
// steps; an entry about to change that the walk has not reached is written first, one that is
// about to go and is large is kept until it has been written (the keyspace tells: keyspace.h).
// Records leave in chunks that each begin with their database, so chunks of several shards may
// follow each other in any order. Used by whoever has the keyspace just then.
// Invariant: every entry of the instant is written exactly once, as it was then.
#ifndef TORC_PERSISTENCE_SNAPSHOT_H
#define TORC_PERSISTENCE_SNAPSHOT_H

#include "engine/base/buf.h"
#include "engine/keyspace/keyspace.h"
#include "engine/rdb/rdb_save.h"

#define SNAPSHOT_CHUNK ((size_t)256 * 1024) // bytes at which a chunk is closed

/** A piece of the file. */
struct snapshot_chunk {
    struct snapshot_chunk *next;
    struct buf bytes;
    uint64_t crc; // of the bytes
};

/** Makes a chunk of these bytes, which pass to it: for who adds what stands around the records. */
struct snapshot_chunk *snapshot_chunk_of(struct buf *bytes);
/** Frees a chunk and those linked behind it. */
void snapshot_chunk_free(struct snapshot_chunk *chunk);

/** Which access information goes with each key: what the eviction policy is about, as in Redis. */
enum snapshot_access { SNAPSHOT_NO_ACCESS, SNAPSHOT_IDLE_TIME, SNAPSHOT_FREQUENCY };

/** What is done with the pieces, and what they contain. */
struct snapshot_options {
    struct rdb_save save;
    enum snapshot_access access;
    uint32_t lfu_decay_time; // minutes
    void *context;
    /**
     * Takes a chunk over, with those linked behind it, which must not be torn apart: a record may
     * go on from one to the next. Called by whoever has the keyspace, so by any thread. Never
     * waits.
     */
    void (*chunk)(void *context, struct snapshot_chunk *chunk);
};

#endif
