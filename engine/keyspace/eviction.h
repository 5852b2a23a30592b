// SPDX-License-Identifier: BSD-3-Clause
//
// Choosing what to evict: the rules (Redis's policies), and what a keyspace remembers between two
// evictions: a pool of the best candidates seen so far, and where its walk over the buckets stands.
// Candidates are named by their hash: nothing in an entry or in the table points here, and one that
// has gone, or been used, is simply dropped. Invariant: the pool is in ascending order of score.
// Owned by a keyspace; same thread. The functions are in keyspace.h.
#ifndef TORC_ENGINE_KEYSPACE_EVICTION_H
#define TORC_ENGINE_KEYSPACE_EVICTION_H

#include <stdbool.h>
#include <stdint.h>

#define EVICTION_POOL 16

enum eviction_order {
    EVICT_LRU,    // the longest unused first
    EVICT_LFU,    // the least often used first
    EVICT_RANDOM, // any
    EVICT_TTL     // the first to expire first
};

struct eviction_rules {
    enum eviction_order order;
    bool expiring_only;      // only entries that have an expiry
    uint32_t samples;        // entries to look at for each eviction, at least
    uint32_t lfu_decay_time; // minutes
};

struct eviction_candidate {
    uint64_t hash;
    uint64_t score; // the higher the sooner; comparable over time
    uint32_t db;
};

struct eviction {
    struct eviction_candidate pool[EVICTION_POOL];
    uint32_t count;
    uint32_t db;     // the walk's next bucket: database ...
    uint64_t bucket; // ... and index
};

/** Forgets the candidates: for a change of rules. */
static inline void eviction_forget(struct eviction *ev) { ev->count = 0; }

#endif
