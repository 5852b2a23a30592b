// SPDX-License-Identifier: BSD-3-Clause
//
// CLUSTER, READONLY, READWRITE and ASKING. To the client of a shard port they describe the shards
// as the masters of a Redis Cluster that never changes: no replicas, no bus between the nodes, no
// slots on the move. By any other port torc is one server, and they answer as Redis does without
// cluster mode. Run on the connection's shard; formats follow Redis 7.2's.
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/hash.h"
#include "engine/commands/introspect.h"
#include "shards/cluster.h"
#include "shards/cluster_keys.h"
#include "shards/multi.h"
#include "shards/session.h"

/** False: not a shard port, and the error has been written. */
static bool is_node(struct session_call *call) {
    if (connection_is_node(call->connection)) return true;
    reply_error(call->reply, "ERR This instance has cluster support disabled");
    return false;
}

static uint32_t node_count(const struct session_call *call) {
    return call->connection->shard->fleet->nshards;
}

// ---- the nodes ---------------------------------------------------------------------------------

static void describe_line(const struct session_call *call, uint32_t shard, struct buf *out) {
    const struct shard *s = call->connection->shard;
    struct cluster_node node;
    cluster_describe(call->connection, shard, &node);
    bool mine = shard == s->id;
    buf_printf(out, "%s %s:%lld@0%s%s %smaster - 0 %lld %u connected ", node.id, node.ip,
               (long long)node.port, node.hostname[0] != '\0' ? "," : "", node.hostname,
               mine ? "myself," : "", mine ? 0LL : (long long)s->now_ms, shard + 1);
    buf_printf(out, "%u-%u\n", node.first_slot, node.last_slot);
}

void cluster_nodes(struct session_call *call) {
    if (!is_node(call)) return;
    struct buf text = {0};
    for (uint32_t i = 0; i < node_count(call); i++) describe_line(call, i, &text);
    reply_verbatim(call->reply, "txt", slice_of(text.p, text.len));
    buf_free(&text);
}

static void reply_pair(struct reply *r, const char *name, const char *value) {
    reply_bulk_text(r, name);
    reply_bulk_text(r, value);
}

static void reply_slots_node(struct reply *r, const struct cluster_node *node, int endpoint_type) {
    bool with_ip = endpoint_type != CONFIG_ENDPOINT_IP;
    bool with_hostname = endpoint_type != CONFIG_ENDPOINT_HOSTNAME && node->hostname[0] != '\0';
    reply_array(r, 4);
    if (endpoint_type == CONFIG_ENDPOINT_UNKNOWN)
        reply_null(r);
    else
        reply_bulk_text(r, node->endpoint);
    reply_int(r, node->port);
    reply_bulk_text(r, node->id);
    reply_map(r, (size_t)with_ip + with_hostname);
    if (with_ip) reply_pair(r, "ip", node->ip);
    if (with_hostname) reply_pair(r, "hostname", node->hostname);
}

/** An array of what `each` says of every node. */
static void reply_nodes(struct session_call *call,
                        void (*each)(struct session_call *call, const struct cluster_node *node)) {
    if (!is_node(call)) return;
    reply_array(call->reply, node_count(call));
    for (uint32_t i = 0; i < node_count(call); i++) {
        struct cluster_node node;
        cluster_describe(call->connection, i, &node);
        each(call, &node);
    }
}

static void reply_slots(struct session_call *call, const struct cluster_node *node) {
    struct reply *r = call->reply;
    reply_array(r, 3);
    reply_int(r, node->first_slot);
    reply_int(r, node->last_slot);
    reply_slots_node(r, node, call->connection->shard->config->endpoint_type);
}

void cluster_slots(struct session_call *call) { reply_nodes(call, reply_slots); }

static void reply_shard(struct session_call *call, const struct cluster_node *node) {
    struct reply *r = call->reply;
    reply_map(r, 2);
    reply_bulk_text(r, "slots");
    reply_array(r, 2);
    reply_int(r, node->first_slot);
    reply_int(r, node->last_slot);
    reply_bulk_text(r, "nodes");
    reply_array(r, 1);
    bool named = node->hostname[0] != '\0';
    reply_map(r, named ? 8 : 7);
    reply_pair(r, "id", node->id);
    reply_bulk_text(r, "port");
    reply_int(r, node->port);
    reply_pair(r, "ip", node->ip);
    reply_pair(r, "endpoint", node->endpoint);
    if (named) reply_pair(r, "hostname", node->hostname);
    reply_pair(r, "role", "master");
    reply_bulk_text(r, "replication-offset");
    reply_int(r, 0);
    reply_pair(r, "health", "online");
}

void cluster_shards(struct session_call *call) { reply_nodes(call, reply_shard); }

static void reply_own_id(struct session_call *call,
                         void (*make)(int64_t port, uint32_t shard, uint32_t nshards,
                                      char out[CLUSTER_ID_SIZE])) {
    const struct shard *s = call->connection->shard;
    char id[CLUSTER_ID_SIZE];
    if (!is_node(call)) return;
    make(s->config->port, s->id, s->fleet->nshards, id);
    reply_bulk_text(call->reply, id);
}

void cluster_myid(struct session_call *call) { reply_own_id(call, cluster_node_id); }

void cluster_myshardid(struct session_call *call) { reply_own_id(call, cluster_shard_id); }

void cluster_info(struct session_call *call) {
    if (!is_node(call)) return;
    uint32_t n = node_count(call);
    struct buf text = {0};
    buf_printf(&text,
               "cluster_state:ok\r\ncluster_slots_assigned:%d\r\ncluster_slots_ok:%d\r\n"
               "cluster_slots_pfail:0\r\ncluster_slots_fail:0\r\ncluster_known_nodes:%u\r\n"
               "cluster_size:%u\r\ncluster_current_epoch:%u\r\ncluster_my_epoch:%u\r\n",
               HASH_SLOTS, HASH_SLOTS, n, n, n, call->connection->shard->id + 1);
    buf_append_text(&text, "cluster_stats_messages_sent:0\r\ncluster_stats_messages_received:0\r\n"
                           "total_cluster_links_buffer_limit_exceeded:0\r\n");
    reply_verbatim(call->reply, "txt", slice_of(text.p, text.len));
    buf_free(&text);
}

void cluster_links(struct session_call *call) {
    if (is_node(call)) reply_array(call->reply, 0); // there is no bus
}

/** Whether the argument is a node's id; false: the error has been written. */
static bool is_known_node(struct session_call *call) {
    const struct shard *s = call->connection->shard;
    struct slice name = call->argv[2];
    char id[CLUSTER_ID_SIZE];
    if (!is_node(call)) return false;
    for (uint32_t i = 0; i < s->fleet->nshards; i++) {
        cluster_node_id(s->config->port, i, s->fleet->nshards, id);
        if (slice_equal(name, slice_text(id))) return true;
    }
    reply_error_format(call->reply, "ERR Unknown node %.*s", (int)(name.n < 128 ? name.n : 128),
                       name.p);
    return false;
}

void cluster_replicas(struct session_call *call) {
    if (is_known_node(call)) reply_array(call->reply, 0);
}

void cluster_failure_reports(struct session_call *call) {
    if (is_known_node(call)) reply_int(call->reply, 0);
}

// ---- slots and keys ----------------------------------------------------------------------------

void cluster_keyslot(struct session_call *call) {
    if (is_node(call)) reply_int(call->reply, hash_slot(call->argv[2]));
}

static bool parse_number(struct session_call *call, int arg, int64_t *out) {
    if (num_parse_i64(call->argv[arg], out)) return true;
    reply_error(call->reply, error_not_integer);
    return false;
}

/** Looks the slot's keys up; another shard's slot has none here. */
static void find_keys(struct session_call *call, uint16_t slot, bool list, uint64_t limit) {
    struct connection *conn = call->connection;
    const struct shard *s = conn->shard;
    bool owned = hash_slot_shard(slot, s->fleet->nshards) == s->id;
    if (multi_is_running(conn->multi)) // EXEC may hold keys for itself
        reply_error_format(call->reply, "ERR CLUSTER %sKEYSINSLOT is not allowed inside MULTI",
                           list ? "GET" : "COUNT");
    else if (owned && (!list || limit > 0))
        cluster_keys_begin(conn, slot, list, limit);
    else if (list)
        reply_array(call->reply, 0);
    else
        reply_int(call->reply, 0);
}

void cluster_countkeysinslot(struct session_call *call) {
    int64_t slot;
    if (!is_node(call) || !parse_number(call, 2, &slot)) return;
    if (slot < 0 || slot >= HASH_SLOTS)
        reply_error(call->reply, "ERR Invalid slot");
    else
        find_keys(call, (uint16_t)slot, false, 0);
}

void cluster_getkeysinslot(struct session_call *call) {
    int64_t slot, limit;
    if (!is_node(call) || !parse_number(call, 2, &slot) || !parse_number(call, 3, &limit)) return;
    if (slot < 0 || slot >= HASH_SLOTS || limit < 0)
        reply_error(call->reply, "ERR Invalid slot or number of keys");
    else
        find_keys(call, (uint16_t)slot, true, (uint64_t)limit);
}

// ---- the rest ----------------------------------------------------------------------------------

void cluster_mode_word(struct session_call *call) {
    if (is_node(call)) reply_ok(call->reply); // there are no replicas, and no slot moves
}

static const char *const help[] = {
    "COUNT-FAILURE-REPORTS <node-id>",
    "    How many nodes say that this one has failed: none.",
    "COUNTKEYSINSLOT <slot>",
    "    The number of keys of a slot on this node; looks at all of the node's keys.",
    "GETKEYSINSLOT <slot> <count>",
    "    At most so many keys of a slot on this node; looks at all of the node's keys.",
    "INFO",
    "    The state of the cluster.",
    "KEYSLOT <key>",
    "    The hash slot of a key.",
    "LINKS",
    "    The links between nodes: none, since shards need none.",
    "MYID",
    "    The id of this node.",
    "MYSHARDID",
    "    The id that this node has together with its replicas.",
    "NODES",
    "    The nodes, one a line.",
    "REPLICAS <node-id>",
    "    The replicas of a node: none.",
    "SHARDS",
    "    The slots of each shard and its node.",
    "SLOTS",
    "    The node of each range of slots.",
    NULL,
};

void cluster_help(struct session_call *call) {
    if (is_node(call)) introspect_help_reply(call->reply, "CLUSTER", help);
}
