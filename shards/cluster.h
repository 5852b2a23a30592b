// SPDX-License-Identifier: BSD-3-Clause
//
// Shard ports (`shard-ports yes`): to the client of a shard's own port, the shard is the node of a
// Redis Cluster that owns its slots, and the other shards are the other nodes. Here is what a node
// is and which commands it admits; session_cluster.c has the commands that tell of it. Everything
// follows from the number of shards and the configuration, so there is no state and nothing to
// agree on. Runs on the connection's shard.
#ifndef TORC_SHARDS_CLUSTER_H
#define TORC_SHARDS_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "shards/config.h"
#include "shards/connection.h"
#include "shards/request.h"

#define CLUSTER_ID_SIZE   41 // 40 hex digits and a zero byte, as in Redis
#define CLUSTER_HOST_SIZE 64

/** A node as one client sees it. */
struct cluster_node {
    uint32_t shard;
    uint32_t first_slot, last_slot;
    int64_t port;
    char id[CLUSTER_ID_SIZE];
    const char *ip;       // announced, or `own`; may be empty: the one that the client used
    const char *hostname; // announced, or empty
    const char *endpoint; // the one of both where clients are sent; empty: as they came
    char own[CLUSTER_HOST_SIZE];
};

/** The port of a shard, on which it listens. */
int64_t cluster_port(const struct config *config, uint32_t shard);
/** The id of a shard's node: the same whenever port and number of shards are. */
void cluster_node_id(int64_t port, uint32_t shard, uint32_t nshards, char out[CLUSTER_ID_SIZE]);
/** The id that Redis gives to a node together with its replicas. */
void cluster_shard_id(int64_t port, uint32_t shard, uint32_t nshards, char out[CLUSTER_ID_SIZE]);
/**
 * Describes a shard's node to a client. Texts live as long as the node and the configuration that
 * the connection's shard uses.
 */
void cluster_describe(const struct connection *conn, uint32_t shard, struct cluster_node *node);

/**
 * Whether a command of a node's client may run: its keys, if any, are of one slot, and that is the
 * node's. False: the redirection or error has been given, and a transaction being queued spoiled.
 */
bool cluster_admits(struct connection *conn, const struct parsed *p);

#endif
