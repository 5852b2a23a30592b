// SPDX-License-Identifier: BSD-3-Clause
/*
 * What one worker counts, and how the workers' counts become one result.
 *
 * Each worker owns one `struct stats` and alone writes it while it runs; the main thread merges
 * them after the workers have ended. Invariant: `error_count` equals the sum over the kept texts
 * plus `other_errors`.
 */
#ifndef TORC_TOOLS_TORC_LOAD_STATS_H
#define TORC_TOOLS_TORC_LOAD_STATS_H

#include "tools/torc_load/histogram.h"
#include "tools/torc_load/reply.h"

#include <stdint.h>

#define STATS_COMMANDS_MAX 34
#define STATS_ERROR_TEXTS  8

struct command_stats {
    uint64_t hits;
    uint64_t misses;
    uint64_t errors;
    struct histogram latency;
};

struct error_text {
    uint64_t count;
    char text[REPLY_LINE_MAX];
};

struct stats {
    uint64_t start_ns;
    uint64_t end_ns; /* when the last reply had arrived */
    uint64_t requests_sent;
    uint64_t replies;
    uint64_t preloaded;
    uint64_t pushes;
    uint64_t bytes_sent;
    uint64_t bytes_received;
    uint64_t send_lag_max_ns; /* open loop: how late a request was sent at worst */
    uint64_t never_sent;      /* open loop: due, but still waiting when the run ended */
    uint64_t error_count;
    uint64_t other_errors;
    struct error_text errors[STATS_ERROR_TEXTS];
    uint32_t command_count;
    struct command_stats *commands;
};

/* Makes empty statistics for `commands` commands; stats_fini() frees them. */
void stats_init(struct stats *s, uint32_t commands);
void stats_fini(struct stats *s);

/* Counts one error text: the first few different ones are kept, the rest only counted. */
void stats_add_error(struct stats *s, const char *text, uint64_t count);

/* Adds `from` to `into`; both must be about the same commands. */
void stats_merge(struct stats *into, const struct stats *from);

#endif
