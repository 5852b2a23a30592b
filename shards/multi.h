// SPDX-License-Identifier: BSD-3-Clause
//
// MULTI: the commands that a connection has queued, EXEC over any shards, and WATCH. A queued
// block whose keys are all on one shard runs there as one request; any other becomes a
// transaction. The block runs where its connection is whenever it contains session commands.
// Belongs to the connection's shard; a block that runs elsewhere is lent with its request.
#ifndef TORC_SHARDS_MULTI_H
#define TORC_SHARDS_MULTI_H

#include <stdbool.h>
#include <stdint.h>

#include "shards/connection.h"
#include "shards/request.h"

struct multi;
struct transaction;

/** Frees the queue, and forgets what was watched for it; NULL is allowed. Connection's shard. */
void multi_free(struct multi *m);
/**
 * Queues a command (its arguments are copied) and replies QUEUED, or refuses what may not be
 * queued.
 */
void multi_queue(struct connection *conn, const struct parsed *p);
/** An error while queueing: EXEC will refuse. */
void multi_spoil(struct multi *m);
/** Whether a write is queued. */
bool multi_writes(const struct multi *m);
/** Whether all keys of the queued commands are of one hash slot. */
bool multi_is_one_slot(const struct multi *m);
/** Whether a command is queued that full memory refuses. */
bool multi_takes_memory(const struct multi *m);
/** Whether all that is queued may be run while a file is being loaded. */
bool multi_is_for_loading(const struct multi *m);
int multi_count(const struct multi *m);
size_t multi_memory(const struct multi *m);
/** Whether EXEC is under way on it (a session command in it may wait for work). */
bool multi_is_running(const struct multi *m);
/** Running: the transaction that holds the block's keys; NULL: it needs none. */
struct transaction *multi_transaction(const struct multi *m);
/** The work of a command inside EXEC is done: takes its reply and goes on. */
void multi_work_done(struct connection *conn, const void *reply, size_t length);

/** Executing shard: whether a block must wait for a key; then which. `again`: it has waited. */
bool multi_conflict(const struct shard *s, const struct multi *m, uint64_t *hash, bool *write,
                    bool again);
/**
 * Executing shard: whether a snapshot keeps a key that the block may change (snapshot_walk.h);
 * `claim`: claims those on the way.
 */
bool multi_meets(struct shard *s, const struct multi *m, uint32_t db, bool claim);
/** Executing shard: runs a whole block on its own keyspace, unless a watched key has changed. */
void multi_run_request(struct shard *s, struct request *r, struct reply *reply);

/** Drops all watches of a connection (EXEC, DISCARD, UNWATCH, RESET, disconnection). */
void multi_unwatch(struct connection *conn);
/** Leaves MULTI without executing. */
void multi_discard(struct connection *conn);

#endif
