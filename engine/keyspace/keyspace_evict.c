// SPDX-License-Identifier: BSD-3-Clause
//
// Eviction: finding the entry that the rules would rather let go, and removing it. A walk over the
// buckets of all databases goes on from call to call; each call looks at the few entries of the
// next bucket or two (keys lie there in the order of their hashes, so neighbours are as good as
// random samples, and the walk comes by everything in turn). The best go into a small pool, and the
// best of the pool is evicted, after a second look: it may have been used or removed since. Entries
// with an expiry are told by their slots' codes, so the volatile policies read no others, and find
// the few in a large table at the speed of reading bucket lines. Runs on the thread that owns the
// keyspace or has it lent; time is passed in. Called by the shards when memory is full.
#include <math.h>

#include "engine/base/assert.h"
#include "engine/base/prefetch.h"
#include "engine/keyspace/access.h"
#include "engine/keyspace/keyspace.h"

#define EVICTION_COST 16 // of removing an entry, in bucket visits
#define SAMPLE_COST   2  // of looking at one
#define BUCKET_MAX    32 // entries of one bucket that are looked at
#define WEIGHT_BUDGET 64
#define EXPIRED_SCORE UINT64_MAX

static uint32_t spend(uint32_t budget, uint32_t cost) { return budget > cost ? budget - cost : 0; }

static uint64_t evictable(const struct db *db, const struct eviction_rules *rules) {
    return rules->expiring_only ? db_expires(db) : db_count(db);
}

uint64_t keyspace_evictable(const struct keyspace *ks, const struct eviction_rules *rules) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < ks->ndbs; i++) sum += evictable(&ks->dbs[i], rules);
    return sum;
}

// ---- scores ------------------------------------------------------------------------------------

/** What makes a candidate comparable with others, whenever they are looked at. */
static uint64_t score_of(const struct entry *e, const struct eviction_rules *rules,
                         int64_t now_ms) {
    int64_t expire_ms = entry_expire_ms(e);
    if (expire_ms != ENTRY_NO_EXPIRE && expire_ms < now_ms) return EXPIRED_SCORE;
    switch (rules->order) {
    case EVICT_LRU: { // the second of the last use, turned round
        int64_t used_s = now_ms / 1000 - access_idle_s(entry_access(e), now_ms);
        return (uint64_t)(INT64_MAX - used_s);
    }
    case EVICT_LFU:
        return 1u + ACCESS_LFU_MAX -
               access_frequency(entry_access(e), now_ms, rules->lfu_decay_time);
    case EVICT_TTL: return (uint64_t)(INT64_MAX - expire_ms);
    case EVICT_RANDOM: break;
    }
    return 1;
}

/** The weight of one entry whose score is that. */
static double weight_of(uint64_t score, const struct eviction_rules *rules, int64_t now_ms) {
    double seconds;
    if (score == EXPIRED_SCORE || rules->order == EVICT_RANDOM) return 1;
    switch (rules->order) {
    case EVICT_LRU:
        seconds = (double)(now_ms / 1000 - (INT64_MAX - (int64_t)score));
        return (seconds + 1) * (seconds + 1);
    case EVICT_LFU: return ldexp(1, (int)score - ACCESS_LFU_MAX - 1);
    case EVICT_TTL:
        seconds = (double)(INT64_MAX - (int64_t)score - now_ms) / 1000;
        return 1 / ((seconds + 1) * (seconds + 1));
    case EVICT_RANDOM: break;
    }
    return 1;
}

// ---- the pool ----------------------------------------------------------------------------------

static void pool_remove(struct eviction *ev, uint32_t at) {
    for (; at + 1 < ev->count; at++) ev->pool[at] = ev->pool[at + 1];
    ev->count--;
}

static bool pool_wants(const struct eviction *ev, uint64_t score) {
    return ev->count < EVICTION_POOL || score > ev->pool[0].score;
}

static void pool_add(struct eviction *ev, uint32_t db, uint64_t hash, uint64_t score) {
    for (uint32_t i = 0; i < ev->count; i++) {
        if (ev->pool[i].hash != hash || ev->pool[i].db != db) continue;
        if (ev->pool[i].score == score) return;
        pool_remove(ev, i); // it has been used since
        break;
    }
    if (ev->count == EVICTION_POOL) pool_remove(ev, 0);
    uint32_t at = ev->count++;
    for (; at > 0 && ev->pool[at - 1].score > score; at--) ev->pool[at] = ev->pool[at - 1];
    ev->pool[at] = (struct eviction_candidate){hash, score, db};
}

/** Whether the rules let the entry go: its slot's code may be that of parts of the value. */
static bool allowed(const struct eviction_rules *rules, const struct entry *e) {
    return !rules->expiring_only || (e->flags & ENTRY_EXPIRES) != 0;
}

/** Takes the best candidate that is still what it was off the pool. False: there is none. */
static bool pool_take(struct keyspace *ks, const struct eviction_rules *rules, int64_t now_ms,
                      struct eviction_candidate *best, struct table_ref *ref) {
    struct eviction *ev = &ks->eviction;
    while (ev->count > 0) {
        *best = ev->pool[--ev->count];
        *ref = table_find_hash(&ks->dbs[best->db].table, best->hash);
        if (ref->entry == NULL || !allowed(rules, ref->entry)) continue;
        if (score_of(ref->entry, rules, now_ms) >= best->score) return true;
    }
    return false;
}

// ---- the walk ----------------------------------------------------------------------------------

/**
 * Collects the candidates of the walk's next bucket and moves the walk on; their headers are being
 * loaded then. Returns how many.
 */
static uint32_t next_bucket(struct keyspace *ks, const struct eviction_rules *rules,
                            struct table_ref refs[BUCKET_MAX], uint32_t *in_db) {
    struct eviction *ev = &ks->eviction;
    while (ev->bucket >= ks->dbs[ev->db].table.nbuckets ||
           evictable(&ks->dbs[ev->db], rules) == 0) {
        ev->db = ev->db + 1 < ks->ndbs ? ev->db + 1 : 0; // one of them has something: see caller
        ev->bucket = 0;
    }
    const struct table *t = &ks->dbs[ev->db].table;
    uint32_t n = 0;
    *in_db = ev->db;
    for (size_t i = 0; n < BUCKET_MAX; i++) {
        struct table_ref ref = table_bucket_at(t, ev->bucket, i);
        if (ref.entry == NULL) break;
        if (rules->expiring_only && table_ref_code(ref) == 0) continue;
        prefetch_read(ref.entry);
        refs[n++] = ref;
    }
    ev->bucket++;
    return n;
}

/** Starts the loads that the next call is going to need. */
static void prefetch_next(const struct keyspace *ks, const struct eviction_rules *rules) {
    const struct eviction *ev = &ks->eviction;
    const struct table *t = &ks->dbs[ev->db].table;
    if (ev->bucket + 1 >= t->nbuckets) return;
    for (size_t i = 0; i < TABLE_BUCKET_SLOTS; i++) {
        struct table_ref ref = table_bucket_at(t, ev->bucket, i);
        if (ref.entry == NULL) break;
        if (rules->expiring_only && table_ref_code(ref) == 0) continue;
        prefetch_read(ref.entry);
    }
    prefetch_read(t->buckets + (ev->bucket + 1) * TABLE_BUCKET_SLOTS);
}

/** Looks at the next entries and puts the good ones into the pool. */
static uint32_t sample(struct keyspace *ks, const struct eviction_rules *rules, int64_t now_ms,
                       uint32_t budget) {
    struct table_ref refs[BUCKET_MAX];
    uint32_t db;
    for (uint32_t seen = 0; seen < rules->samples && budget > 0;) {
        uint32_t n = next_bucket(ks, rules, refs, &db);
        for (uint32_t i = 0; i < n; i++) {
            if (!allowed(rules, refs[i].entry)) continue;
            uint64_t score = score_of(refs[i].entry, rules, now_ms);
            if (!pool_wants(&ks->eviction, score)) continue;
            struct key key = key_of(ks, entry_key(refs[i].entry));
            pool_add(&ks->eviction, db, key.hash, score);
        }
        seen += n;
        budget = spend(budget, 1 + n * SAMPLE_COST);
    }
    prefetch_next(ks, rules);
    return budget;
}

// ---- evicting ----------------------------------------------------------------------------------

/** Removes the entry unless it is lent. */
static bool evict(struct keyspace *ks, uint32_t index, struct table_ref ref, int64_t now_ms,
                  uint32_t *budget) {
    struct db *db = &ks->dbs[index];
    struct key key = key_of(ks, entry_key(ref.entry));
    if (ks->hooks.is_lent != NULL && ks->hooks.is_lent(ks->hooks.context, key.hash)) return false;
    int64_t expire_ms = entry_expire_ms(ref.entry);
    bool expired = expire_ms != ENTRY_NO_EXPIRE && expire_ms < now_ms;
    *budget = spend(*budget, EVICTION_COST + entry_free_cost(ref.entry));
    db_remove(db, key, ref, expired ? DB_EXPIRED : DB_EVICTED);
    return true;
}

static bool evict_any(struct keyspace *ks, const struct eviction_rules *rules, int64_t now_ms,
                      uint32_t *budget) {
    struct table_ref refs[BUCKET_MAX];
    uint32_t db;
    while (*budget > 0) {
        uint32_t n = next_bucket(ks, rules, refs, &db);
        *budget = spend(*budget, 1);
        if (n == 0) continue;
        struct table_ref chosen = refs[random_below(&ks->random, n)];
        prefetch_next(ks, rules);
        if (allowed(rules, chosen.entry) && evict(ks, db, chosen, now_ms, budget)) return true;
    }
    return false;
}

bool keyspace_evict(struct keyspace *ks, const struct eviction_rules *rules, int64_t now_ms,
                    uint32_t *budget) {
    if (keyspace_evictable(ks, rules) == 0) return false;
    if (rules->order == EVICT_RANDOM) return evict_any(ks, rules, now_ms, budget);
    while (*budget > 0) {
        struct eviction_candidate best;
        struct table_ref ref;
        *budget = sample(ks, rules, now_ms, *budget);
        if (!pool_take(ks, rules, now_ms, &best, &ref)) continue;
        if (evict(ks, best.db, ref, now_ms, budget)) return true;
    }
    return false;
}

double keyspace_eviction_weight(struct keyspace *ks, const struct eviction_rules *rules,
                                int64_t now_ms) {
    uint64_t entries = keyspace_evictable(ks, rules);
    if (entries == 0) return 0;
    if (rules->order == EVICT_RANDOM) return (double)entries;
    struct eviction_candidate best;
    struct table_ref ref;
    sample(ks, rules, now_ms, WEIGHT_BUDGET);
    if (!pool_take(ks, rules, now_ms, &best, &ref)) return (double)entries;
    pool_add(&ks->eviction, best.db, best.hash, best.score);
    return (double)entries * weight_of(best.score, rules, now_ms);
}
