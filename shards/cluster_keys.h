// SPDX-License-Identifier: BSD-3-Clause
//
// The keys of one hash slot: CLUSTER COUNTKEYSINSLOT and GETKEYSINSLOT. Tables know nothing of
// slots (an index would cost memory for each key, or a CRC for each change), so the whole table of
// the shard is walked, in bounded steps between which the shard serves everybody else. Runs on the
// connection's shard; called by session_cluster.c.
#ifndef TORC_SHARDS_CLUSTER_KEYS_H
#define TORC_SHARDS_CLUSTER_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "shards/connection.h"

/**
 * Starts a walk as the work of the connection, which must owe nothing. Its reply is the number of
 * keys that the slot has in database 0 or, with `list`, at most `limit` of them. As with SCAN, a
 * key that comes or goes meanwhile may be in it or not.
 */
void cluster_keys_begin(struct connection *conn, uint16_t slot, bool list, uint64_t limit);

#endif
