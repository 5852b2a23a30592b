// SPDX-License-Identifier: BSD-3-Clause
//
// Transactions over several shards. The coordinator (the connection's shard) takes a ticket,
// registers a part with every shard it needs, and waits until all are granted. With a grant the
// owner lends what was asked for: the entries of the keys (taken out of its table when they may
// be written, left there for reading), or its whole keyspace. The coordinator then runs ordinary
// command functions on a private keyspace that holds the lent entries (or on the lent keyspaces),
// and returns everything. One round trip; the reply does not wait for the return, because the
// keys stay locked until it has arrived.
//
// Watched keys take part without data: their owners have told the connection's watch flag of
// every change that came before the grant.
#ifndef TORC_SHARDS_TRANSACTION_H
#define TORC_SHARDS_TRANSACTION_H

#include <stdbool.h>
#include <stdint.h>

#include "shards/connection.h"
#include "shards/request.h"

struct transaction;

/**
 * Begins to describe a transaction of this connection (which becomes its work). `write`: keys are
 * for writing. `run` is called on the coordinator when everything is granted; it, or something it
 * started, ends with transaction_finish.
 */
struct transaction *transaction_new(struct connection *conn, bool write, uint32_t db,
                                    void (*run)(struct transaction *t, void *context),
                                    void *context);
/** The same without a client: nobody's work. Ends with transaction_end. */
struct transaction *transaction_new_own(struct shard *s, bool write, uint32_t db,
                                        void (*run)(struct transaction *t, void *context),
                                        void *context);
/** The shard that coordinates it. */
struct shard *transaction_shard(const struct transaction *t);
/**
 * Adds a key (text is copied; a key that is there already is not added again). data: its entry is
 * wanted.
 */
void transaction_add_key(struct transaction *t, struct slice key, bool data);
/** Asks for whole shards instead of keys: of one shard, or of all (UINT32_MAX). */
void transaction_add_whole(struct transaction *t, uint32_t shard);
/** Starts it; run may be called before this returns. */
void transaction_start(struct transaction *t);
/** The same, but run is not called before somebody settles the shard. */
void transaction_begin(struct transaction *t);
/** The keyspaces that run may use, until transaction_finish. */
const struct view *transaction_view(const struct transaction *t);
/** The time that all of it runs at: what had expired for any participant has expired for this. */
int64_t transaction_now_ms(const struct transaction *t);
/** Whether a watched key had expired when it was granted. */
bool transaction_watch_expired(const struct transaction *t);
/**
 * Returns what was lent, and frees the transaction; the connection, if there is one, begins other
 * work at once.
 */
void transaction_end(struct transaction *t);
/** Returns what was lent, ends the connection's work with this reply, and frees the transaction. */
void transaction_finish(struct transaction *t, const struct buf *reply);
/** The same with a reply whose errors have not been counted. */
void transaction_late_end(struct transaction *t, struct late_reply *late);

/** Runs one command over keys on several shards (or over all shards) as a transaction. */
void transaction_command(struct connection *conn, const struct parsed *p);

// Messages, on the shard that gets them.
void transaction_part_arrive(struct shard *s, struct part *part);
void transaction_part_granted(struct shard *s, struct part *part); // coordinator
void transaction_part_refused(struct shard *s, struct part *part); // coordinator
void transaction_part_return(struct shard *s, struct part *part);
void transaction_part_withdraw(struct shard *s, struct part *part);
void transaction_part_withdrawn(struct shard *s, struct part *part); // coordinator
/** Participant: a part has been granted by the intents: lend and tell the coordinator. */
void transaction_grant(struct shard *s, struct part *part);

#endif
