// SPDX-License-Identifier: BSD-3-Clause
//
// Intents: which keys of this shard transactions have asked for, in ticket order (VLL: Ren,
// Thomson, Abadi, VLDB Journal 2015). A part is one transaction's share of one shard: some keys,
// for reading or for writing, or the whole shard. Parts that conflict are granted in ticket
// order, others at once. A part that arrives after a conflicting one with a higher ticket was
// granted is refused, and its coordinator tries again with a new ticket; so parts wait only for
// lower tickets and no deadlock is possible. Commands without a ticket run past everything they
// do not conflict with; where they do, they park here, behind what was registered when they came,
// and hold nothing while they wait.
//
// Pure data, one per shard, no messages and no callbacks: what becomes ready is put on two lists
// that the shard drains (ready commands first, then granted parts), so nothing here is ever
// re-entered. Keys are identified by their 64-bit hash in any database: a false conflict costs a
// wait, no more.
#ifndef TORC_SHARDS_INTENTS_H
#define TORC_SHARDS_INTENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/keyspace/keyspace.h"

struct part;
struct lock;

/** A place in the queue of one key. Embedded in a part's key or in a parked command. */
struct intent {
    struct intent *previous, *next;
    struct lock *lock;
    struct part *part; // NULL: a parked command
    uint64_t ticket;
    bool write;
    bool clear; // nothing ahead conflicts
};

/** One key of a part. */
struct part_key {
    struct key key;      // text belongs to the transaction
    struct entry *entry; // lent with the grant; NULL: the key is absent
    struct tracked_key
        *tracked; // who has read it: lent for writing, and brought back; NULL: nobody
    bool queued;  // has an intent of its own (the first of equal hashes)
    bool touched; // the transaction changed it: watchers are told on return
    bool expired; // it was there, but its time had come
    bool data;    // its entry is wanted (not just watched)
    struct intent intent;
};

enum part_state { PART_NEW, PART_WAITING, PART_GRANTED, PART_REFUSED };

/**
 * One transaction's share of one shard. Allocated by the coordinator, travels between the two
 * shards, freed by the participant after the return.
 */
struct part {
    struct transaction *transaction; // NULL: the walk of a snapshot asks, on its own shard
    struct part *previous, *next;    // registered parts of the shard, by ticket
    struct part *ready_next;         // list of granted parts
    struct keyspace *keyspace;       // whole: the lent keyspace, set with the grant
    uint64_t ticket;
    int64_t now_ms; // the participant's clock when it lent
    uint32_t shard; // participant
    uint32_t db;    // database of all keys
    uint32_t key_count, intents, clear;
    uint8_t state; // enum part_state
    bool whole, write;
    bool announced; // granted, and off the granted list: what it asked for is being lent
    struct part_key keys[];
};

enum parked_kind { PARKED_REQUEST, PARKED_WATCH, PARKED_BLOCKED };

/**
 * Something that waits for keys (or for a lent shard). First member of struct request, of struct
 * watch_leg and of struct blocked_leg.
 */
struct parked {
    struct intent intent;
    struct parked *next; // ready list, or those that wait for the lent shard
    uint8_t kind;        // enum parked_kind
    bool again;          // it has waited: what is only granted or waiting lets it pass
};

struct intents {
    uint32_t parts;            // registered; 0 is the one branch that commands pay for
    uint32_t wholes;           // of these: whole-shard parts
    bool lent;                 // a whole-shard part is granted and announced
    struct part *first, *last; // by ticket
    struct lock **buckets;
    uint32_t bucket_count, lock_count;
    struct parked *lent_first, *lent_last;     // wait until the shard is back
    struct parked *ready_first, *ready_last;   // may be tried now
    struct part *granted_first, *granted_last; // granted, not yet announced
};

void intents_init(struct intents *in);
void intents_fini(struct intents *in);

/**
 * Registers a part. False: refused (state PART_REFUSED), nothing is registered. Granted parts
 * appear on the granted list, possibly at once.
 */
bool intents_register(struct intents *in, struct part *part);
/** Removes a part, granted or waiting, and readies what it kept waiting. */
void intents_release(struct intents *in, struct part *part);

/**
 * Whether a command without a ticket must wait before it touches this key hash. A new one waits
 * behind all that is registered; one that has waited (`again`) only for what is lent already,
 * else an unbroken row of transactions would keep it waiting for ever.
 */
bool intents_conflict(const struct intents *in, uint64_t hash, bool write, bool again);
/** Whether anybody has the key, for reading too: expiry and eviction must leave it alone. */
bool intents_is_lent(const struct intents *in, uint64_t hash);
/** Whether a transaction has been lent the key: for reading, if it is still there. */
bool intents_is_shared(const struct intents *in, uint64_t hash);
/**
 * Parks a command behind the key's queue (only when intents_conflict said so, and the shard is
 * not lent).
 */
void intents_park(struct intents *in, struct parked *op, uint64_t hash, bool write);
/** Parks a command until the lent shard is back. */
void intents_park_lent(struct intents *in, struct parked *op);

/** The next command that may be tried again (it may have to park once more), or NULL. */
struct parked *intents_next_ready(struct intents *in);
/** The next part that has been granted, or NULL. Only to be called when no command is ready. */
struct part *intents_next_granted(struct intents *in);

bool intents_is_valid(const struct intents *in);

#endif
