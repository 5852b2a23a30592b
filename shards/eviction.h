// SPDX-License-Identifier: BSD-3-Clause
//
// maxmemory: one limit for all shards. What is compared with it is mem_level(), which every thread
// publishes its part of in coarse steps, so a server without a limit pays one branch for it and one
// with a limit a load for each write. Two mechanisms make room: a write that finds memory full
// evicts a few entries of the connection's shard first, and every shard evicts more in its passes,
// in bounded steps, until the level is below `low` again. Whose entries go is decided by weight:
// each shard shows how many entries it could evict and how good victims they are, and gives its
// share; one that sleeps on good victims is woken. Above the limit with nothing to evict, writes
// are refused; above the ceiling they wait for the eviction under way. Everything here runs on the
// shard's own thread; it never touches a keyspace that is lent, nor an entry that is.
#ifndef TORC_SHARDS_EVICTION_H
#define TORC_SHARDS_EVICTION_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/alloc.h"
#include "engine/keyspace/keyspace.h"

#define EVICTION_WAIT_NS INT64_C(1000000) // how often a shard looks whether writes may go on

struct shard;
struct connection;
struct command;

struct shard_eviction {
    int64_t limit;   // bytes; 0: none
    int64_t low;     // eviction begins above it and ends there: a little below the limit
    int64_t ceiling; // writes wait above it: a little above the limit, or where memory was when
                     // the limit was lowered; it follows the level down
    int64_t step;    // what the shard's part of the level may change by unseen
    bool evicts;     // the policy is not noeviction
    struct eviction_rules rules;
    uint32_t per_pass;        // evictions of a pass at most
    double share;             // of what is to be evicted, this shard's ...
    uint64_t weighed;         // ... as of this pass
    double ahead;             // bytes that it has evicted above its share, as the others went on
    double slack;             // so much of that is allowed: then it is the others' turn
    int64_t unreported, seen; // evicted bytes: own ones not in the fleet's sum yet, and that sum
    bool pending;             // the next pass has something to evict
    bool waiting;             // connections are in STALL_MEMORY
    int64_t exceeded_since_ns, exceeded_total_ns; // time above the limit; shard 0 keeps it
};

enum eviction_verdict { EVICTION_GO, EVICTION_WAIT, EVICTION_REFUSE };

/** Shows how many entries the shard could evict. By whoever is in its keyspace; not while lent. */
void eviction_show(struct shard *s);
/** Takes the limit and the rules from the shard's configuration. */
void eviction_configure(struct shard *s);
/**
 * Whether the connection may start this command now, as to memory; may evict a few entries. Only
 * to be asked while there is a limit. On EVICTION_WAIT the caller stalls the connection.
 */
enum eviction_verdict eviction_admit(struct connection *conn, const struct command *spec);
/** Whether memory is below where eviction begins: then eviction_admit() lets any command go. */
static inline bool eviction_has_room(const struct shard_eviction *ev) {
    mem_publish(ev->step);
    return mem_level() <= ev->low;
}
/** The pass's share of evicting; only while there is a limit. Lets waiting connections go on. */
void eviction_step(struct shard *s);
/** Every 100 ms: shows the others what this shard could evict. */
void eviction_tick(struct shard *s);
/** Warns in the log when memory is over a limit that is about to be set. */
void eviction_warn_if_over(int64_t limit);
/** How long memory has been over the limit in all, and since it last got there (0: it is not). */
void eviction_exceeded_ns(const struct shard *s, int64_t *total_ns, int64_t *current_ns);

#endif
