// SPDX-License-Identifier: BSD-3-Clause
//
// Statistics of one shard: plain counters on its own thread, read by others only through a fan-out
// that runs on that thread. Time per command is sampled (one execution in STATISTICS_SAMPLE is
// timed and counts for all), because reading the clock around every GET would cost more than the
// GET's own logic.
#ifndef TORC_SHARDS_STATISTICS_H
#define TORC_SHARDS_STATISTICS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/acl/acl_log.h"
#include "engine/base/reply.h"

#define STATISTICS_SAMPLE     16
#define STATISTICS_ERRORS_MAX 64

struct command_statistics {
    uint64_t calls, sampled, sampled_ns, rejected, failed;
};

struct error_statistics {
    char code[sizeof((struct reply *)0)->error_code];
    uint64_t count;
};

/** One database that is not empty. */
struct database_summary {
    uint32_t index;
    uint64_t keys, expires;
    int64_t average_ttl_ms;
};

struct keyspace_summary {
    uint64_t keys, expires; // over all databases
    uint64_t hits, misses, expired, expired_fields, evicted, dirty;
    uint64_t waited_keys, waited_on_missing; // see engine/keyspace/waiting.h
    uint64_t tracked_readers;                // see engine/keyspace/tracked.h
    int64_t memory;
    struct database_summary *databases; // in order of index; owned by the summary
    uint32_t database_count, database_cap;
    bool reset; // CONFIG RESETSTAT came while the keyspace was lent: its counters start anew
};

struct statistics {
    uint64_t commands; // executed, EXEC's members included
    uint64_t connections_received, connections_rejected;
    uint64_t error_replies;
    uint64_t remote_requests; // commands handed to another shard
    uint64_t visits;          // commands run in the keyspace of another shard that was away
    uint64_t visits_awaited;  // times that the owner found a visitor in
    uint64_t transactions, transactions_retried;
    uint64_t held_requests; // arrived while large replies were still to be read
    uint64_t messages_sent, wakeups_sent;
    uint64_t passes, sleeps;
    uint64_t reads, writes; // of sockets
    uint64_t output_limit_closed;
    uint64_t auth_delayed;                 // answers to failed AUTHs that came late
    uint64_t denials[ACL_LOG_REASONS];     // by enum acl_log_reason
    struct command_statistics *by_command; // [command id]
    struct error_statistics errors[STATISTICS_ERRORS_MAX];
    uint32_t error_codes;
    uint64_t start_bytes_in, start_bytes_out; // the io's counts at the last CONFIG RESETSTAT
    // rates, sampled at each tick (100 ms) into a ring of 16 as Redis does
    uint64_t last_commands, last_bytes_in, last_bytes_out;
    int64_t last_sample_ms;
    uint64_t ops_rate[16], in_rate[16], out_rate[16];
    uint32_t rate_index;
};

void statistics_init(struct statistics *st);
void statistics_fini(struct statistics *st);
/** Counts an error reply by its code. */
void statistics_error(struct statistics *st, const char *code);
/** Samples rates: called every tick with the io's byte counts. */
void statistics_tick(struct statistics *st, int64_t now_ms, uint64_t bytes_in, uint64_t bytes_out);
/** Mean over the ring. */
uint64_t statistics_rate(const uint64_t ring[16]);
/** CONFIG RESETSTAT. */
void statistics_reset(struct statistics *st);
/** Adds b's counters to a. */
void statistics_add(struct statistics *a, const struct statistics *b);

#endif
