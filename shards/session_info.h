// SPDX-License-Identifier: BSD-3-Clause
//
// What INFO gathers and what its sections are written from. Each shard's leg fills its own
// snapshot, on its own thread; afterwards all of it belongs to the connection's shard, which
// writes the text and frees the snapshots. Private to session_info*.c.
#ifndef TORC_SHARDS_SESSION_INFO_H
#define TORC_SHARDS_SESSION_INFO_H

#include "engine/base/buf.h"
#include "shards/shard.h"
#include "shards/statistics.h"

/** One shard, or the sum of all. */
struct info_snapshot {
    struct statistics stats;          // by_command: an own copy
    struct keyspace_summary keyspace; // databases: an own copy
    uint64_t connections, blocked, timed, subscribed, tracking;
    uint64_t tls, tls_in_kernel;                   // connections
    uint64_t channels, shard_channels, patterns;   // with subscribers
    uint64_t client_memory, input_max, output_max; // bytes; the largest buffers of one client
    uint64_t bytes_in, bytes_out;                  // since the last CONFIG RESETSTAT
    int64_t startup_memory;
    int64_t exceeded_total_ns, exceeded_ns; // time above maxmemory: shard 0 keeps it
};

struct info {
    struct shard *home;
    bool is_node;                   // asked by a shard port: about this shard alone
    uint32_t sections;              // bits, by place in the table of sections
    struct info_snapshot *by_shard; // [nshards]; of a node all but its own are empty
    struct info_snapshot total;
    uint64_t prefixes;     // of broadcasting clients
    uint64_t tracked_keys; // of all keyspaces, also those that are lent just now
};

struct info_section {
    const char *title; // as in the headline; INFO takes it in any case
    bool in_default;   // shown by INFO without arguments
    bool in_all;       // shown by INFO all; INFO everything shows each
    void (*write)(const struct info *info, struct buf *out); // lines, without the headline
};

/** The sections in the order of INFO; ends with a NULL title. */
extern const struct info_section session__info_sections[];

#endif
