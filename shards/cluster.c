// SPDX-License-Identifier: BSD-3-Clause
//
// Cluster nodes of shard ports: their ports, ids and addresses, and the redirection of commands
// whose keys are elsewhere. Runs on the connection's shard, without state. Invariant: a command
// that is admitted has keys of this shard only, so that nothing of it leaves the shard. Called by
// dispatch.c for each command of a node's client, by session_cluster.c and at the start.
#include "shards/cluster.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/hash.h"
#include "net/listener.h"
#include "shards/multi.h"

#define SEVERAL_SLOTS HASH_SLOTS       // not all keys are of one slot
#define NO_SLOT       (HASH_SLOTS + 1) // no key

// ---- what a node is ----------------------------------------------------------------------------

int64_t cluster_port(const struct config *config, uint32_t shard) {
    return config->port + 1 + shard;
}

/** 160 bits of hash as hex digits. */
static void make_id(const char *what, int64_t port, uint32_t shard, uint32_t nshards,
                    char out[CLUSTER_ID_SIZE]) {
    char text[96];
    int n = snprintf(text, sizeof text, "torc %s %u of %u after port %lld", what, shard, nshards,
                     (long long)port);
    ASSERT(n > 0 && (size_t)n < sizeof text);
    unsigned long long word[3];
    for (uint64_t seed = 0; seed < 3; seed++) word[seed] = hash_bytes(text, (size_t)n, seed);
    snprintf(out, CLUSTER_ID_SIZE, "%016llx%016llx%08llx", word[0], word[1], word[2] >> 32);
}

void cluster_node_id(int64_t port, uint32_t shard, uint32_t nshards, char out[CLUSTER_ID_SIZE]) {
    make_id("node", port, shard, nshards, out);
}

void cluster_shard_id(int64_t port, uint32_t shard, uint32_t nshards, char out[CLUSTER_ID_SIZE]) {
    make_id("shard", port, shard, nshards, out);
}

void cluster_describe(const struct connection *conn, uint32_t shard, struct cluster_node *node) {
    const struct config *config = conn->shard->config;
    uint32_t n = conn->shard->fleet->nshards;
    int64_t base = config->announce_port > 0 ? config->announce_port : config->port;
    node->shard = shard;
    node->first_slot = hash_shard_slot(shard, n);
    node->last_slot = hash_shard_slot(shard + 1, n) - 1;
    node->port = base + 1 + shard;
    cluster_node_id(config->port, shard, n, node->id);
    node->ip = config->announce_ip;
    if (node->ip[0] == '\0') {
        listener_own_host(conn->io.fd, node->own, sizeof node->own);
        node->ip = node->own;
    }
    node->hostname = config->announce_hostname;
    node->endpoint = node->ip;
    if (config->endpoint_type == CONFIG_ENDPOINT_HOSTNAME)
        node->endpoint = node->hostname[0] != '\0' ? node->hostname : "?";
    if (config->endpoint_type == CONFIG_ENDPOINT_UNKNOWN) node->endpoint = "";
}

// ---- which commands it admits ------------------------------------------------------------------

/** Gives the error; a transaction being queued is spoiled by it, one to be executed ends. */
static void refuse(struct connection *conn, const struct command *spec, bool ends_multi,
                   const char *error) {
    conn->shard->stats.by_command[spec->id].rejected++;
    if (ends_multi)
        multi_discard(conn);
    else if (conn->in_multi)
        multi_spoil(conn->multi);
    struct reply r;
    connection_reply_begin(conn, &r);
    reply_error(&r, error);
    connection_reply_end(conn, &r);
}

/** The slot of shard channels, which are no keys but live in slots as these do. */
static uint32_t common_slot_of_channels(const struct parsed *p) {
    uint32_t slot = NO_SLOT;
    int last = p->spec->last_key < 0 ? p->argc + p->spec->last_key : p->spec->last_key;
    for (int i = p->spec->first_key; i <= last; i++) {
        uint32_t of_channel = hash_slot(p->argv[i]);
        if (slot != NO_SLOT && slot != of_channel) return SEVERAL_SLOTS;
        slot = of_channel;
    }
    return slot;
}

/** The slot that all keys of a command are of, or NO_SLOT, or SEVERAL_SLOTS. */
static uint32_t common_slot(const struct parsed *p) {
    struct key_list keys;
    uint32_t slot = NO_SLOT;
    if (p->spec->flags & COMMAND_PUBSUB) return common_slot_of_channels(p);
    key_list_init(&keys, p->spec, p->argc, p->argv);
    for (int i = 0; i < keys.count && slot != SEVERAL_SLOTS; i++) {
        uint32_t of_key = hash_slot(p->argv[keys.at[i].arg]);
        slot = slot == NO_SLOT || slot == of_key ? of_key : SEVERAL_SLOTS;
    }
    key_list_fini(&keys);
    return slot;
}

bool cluster_admits(struct connection *conn, const struct parsed *p) {
    struct shard *s = conn->shard;
    if (likely(p->hashed_arg > 0 && p->shard == s->id)) return true;
    bool exec = conn->in_multi && strcmp(p->spec->full_name, "exec") == 0;
    if (p->spec->key_spec_count == 0 && !exec) return true;
    // The shard of queued keys has been looked at when they were queued; not so, whether all of
    // them are of one slot.
    uint32_t slot = exec ? NO_SLOT : common_slot(p);
    if (exec && !multi_is_one_slot(conn->multi)) slot = SEVERAL_SLOTS;
    if (slot == SEVERAL_SLOTS) {
        refuse(conn, p->spec, exec, "CROSSSLOT Keys in request don't hash to the same slot");
        return false;
    }
    uint32_t owner = slot == NO_SLOT ? s->id : hash_slot_shard((uint16_t)slot, s->fleet->nshards);
    if (owner == s->id) return true;
    struct cluster_node node;
    char text[CLUSTER_HOST_SIZE + 320];
    cluster_describe(conn, owner, &node);
    snprintf(text, sizeof text, "MOVED %u %s:%lld", slot, node.endpoint, (long long)node.port);
    refuse(conn, p->spec, exec, text);
    return false;
}
