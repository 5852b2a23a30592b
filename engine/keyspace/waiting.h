// SPDX-License-Identifier: BSD-3-Clause
//
// Who waits for keys of one keyspace (BLPOP and its like): for each such key a queue, first come
// first served, and a list of the keys that were changed since somebody looked. The table exists
// only while somebody waits, so that a write without waiters costs one test of a pointer. What
// waits, and what it does when its key is ready, is the owner's affair. Owned by the keyspace, same
// thread. Invariant: a key stands here exactly while its queue is not empty or somebody walks it.
#ifndef TORC_ENGINE_KEYSPACE_WAITING_H
#define TORC_ENGINE_KEYSPACE_WAITING_H

#include "engine/keyspace/keyspace.h"

/** A key that somebody waits for. */
struct waiting_key {
    struct waiting_key *next;       // of its chain
    struct waiting_key *ready_next; // of the list of ready keys
    struct waiting_key *aside_next; // of those that are set aside
    struct waiting *first, *last;   // in the order in which they came
    uint64_t hash;
    uint32_t db, klen;
    uint32_t on_missing; // how many wait for the key's deletion as well
    bool ready;          // in the list
    bool held;           // being walked: stays although its queue may be empty
    char text[];
};

/** A place in a key's queue, embedded in whatever waits. */
struct waiting {
    struct waiting *previous, *next;
    struct waiting_key *key; // NULL: in no queue
    bool on_missing;         // set before queueing up: waits for the key's deletion as well
};

/** Queues up for a key (its text is copied). */
void keyspace_wait(struct keyspace *ks, uint32_t db, struct key key, struct waiting *w);
/** Leaves the queue; the key counts as ready again for those who come behind. */
void keyspace_unwait(struct keyspace *ks, struct waiting *w);
/** Keys that somebody waits for; those of them whose deletion somebody waits for as well. */
uint64_t keyspace_waited_keys(const struct keyspace *ks);
uint64_t keyspace_waited_on_missing(const struct keyspace *ks);

/** Says that a key may have what those wait for who wait for it, if any do. */
void waiting_touch(struct keyspace *ks, uint32_t db, struct key key);
/** The same for every key of a database (UINT32_MAX: of all). */
void waiting_touch_all(struct keyspace *ks, uint32_t db);

/**
 * Takes the first key off the list of ready ones, or returns NULL. It stays in place, whatever
 * happens to its queue, and is not given out again, until waiting_done() or waiting_resume().
 */
struct waiting_key *waiting_next_ready(struct keyspace *ks);
void waiting_done(struct keyspace *ks, struct waiting_key *key);
/** It cannot be looked at now: it is kept, whatever is done meanwhile, for waiting_resume(). */
void waiting_set_aside(struct keyspace *ks, struct waiting_key *key);
/** All that were set aside count as ready again. */
void waiting_resume(struct keyspace *ks);

static inline struct key waiting_key_of(const struct waiting_key *k) {
    return (struct key){slice_of(k->text, k->klen), k->hash};
}

/** Frees an empty table (nobody waits). NULL is allowed. */
void waiting__free(struct waiting_table *t);
bool waiting__is_valid(const struct keyspace *ks);

#endif
