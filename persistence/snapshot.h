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

struct snapshot_large;

struct snapshot {
    struct keyspace *keyspace;
    struct snapshot_options options;
    void *busy_context;
    /**
     * Whether somebody else is reading the entry just now, so that its header must not be written
     * to. Who says so calls snapshot_write() for it later. May be NULL.
     */
    bool (*busy)(void *context, uint32_t db, struct entry *e);
    int64_t now_ms;
    uint64_t keys;                 // of the instant
    uint64_t written;              // of these
    uint64_t bytes;                // of chunks handed over
    struct snapshot_chunk *chunk;  // is being filled; NULL: none
    uint32_t chunk_db;             // ... and this is the database that it is at
    size_t summed;                 // ... and so many bytes of it are in its sum
    struct snapshot_large *larges; // values that are being written in steps, the next one first
    uint32_t walking;              // the database that the walk was last in
    bool discarding;               // nothing is written any more, only marked
    const char *obstacle;          // why the version cannot express some value; NULL: it can
};

/** The instant. `busy` and its context are the caller's to set right after. */
void snapshot_begin(struct snapshot *s, struct keyspace *ks, const struct snapshot_options *options,
                    int64_t now_ms);
/**
 * Goes on until *budget, in steps of about 10 ns by its own estimate, is spent. True: there is more
 * that can be done now. False: everything has been reached: snapshot_is_complete(), or what was
 * busy is to follow, or flushed tables are to be emptied (keyspace_free_step).
 */
bool snapshot_step(struct snapshot *s, int64_t now_ms, uint32_t *budget);
/**
 * Writes an entry that is in the keyspace and is not busy, if it is to be written: a large one is
 * the next that steps go on with. `db`: the number that its database had at the instant.
 */
void snapshot_write(struct snapshot *s, uint32_t db, struct entry *e);
/** Whether the entry is to be written in steps: a change of it had better wait for that. */
bool snapshot_is_due(const struct snapshot *s, const struct entry *e);
/** All that was there at the instant has been written (or discarded) and marked. */
bool snapshot_is_complete(const struct snapshot *s);
/** Nothing is written from now on; steps go on until all entries are marked, for the next one. */
void snapshot_discard(struct snapshot *s);
/** The end of a complete one: hands the last chunk over. False: something was lost. */
bool snapshot_end(struct snapshot *s);
/** Frees what one that is not complete holds; its keyspace is about to be freed. */
void snapshot_abandon(struct snapshot *s);

#endif
