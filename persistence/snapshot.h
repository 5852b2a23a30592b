// SPDX-License-Identifier: BSD-3-Clause
//
// One shard's share of a snapshot: what its keyspace held at one instant, as records of an RDB
// file, without a copy of the keyspace. A walk over the tables writes entry after entry, in small
// steps; an entry about to change that the walk has not reached is written first (the keyspace
// tells, see keyspace.h). Records leave in chunks that each begin with their database, so chunks of
// several shards may follow each other in any order. Used by whoever has the keyspace just then.
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

#endif
