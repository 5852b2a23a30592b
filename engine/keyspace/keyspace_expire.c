// SPDX-License-Identifier: BSD-3-Clause
//
// Active expiry: the walk over a database's buckets that removes what is due and gives finer codes
// to what comes closer, and the catching up of tables that have to shrink. It runs in small steps
// between commands, on the thread that owns the keyspace, with the time passed in. Invariant:
// table.walked buckets have been walked; what the table splits or merges meanwhile stays ahead of
// that line. Called by the shard's loop.
#include "engine/base/assert.h"
#include "engine/base/prefetch.h"
#include "engine/keyspace/keyspace.h"

#define MERGE_COST               8
// A walk starts at the earliest this many milliseconds after the one before, per bucket: a visit
// takes about 10 ns, so walking stays at a few percent of a core however large the table is.
#define PACE_MS_PER_BUCKET_SHIFT 12 // nbuckets >> 12, about 250 ns a bucket

static uint32_t spend(uint32_t budget, uint32_t cost) { return budget > cost ? budget - cost : 0; }

/** Removes or recodes the due entries of one bucket. */
static uint32_t visit_bucket(struct db *db, uint64_t bucket, int64_t now_ms, uint32_t budget) {
    struct keyspace *ks = db->keyspace;
    struct expiry *x = &db->expiry;
    struct table *t = &db->table;
    const uint8_t *due = x->codes->due;
    for (size_t i = 0; i < 2 * TABLE_BUCKET_SLOTS; i++) {
        struct table_ref ref = table_bucket_at(t, bucket, i);
        if (ref.entry == NULL) break;
        if (due[table_ref_code(ref)]) prefetch_read(ref.entry);
    }
    for (size_t i = 0; bucket < t->nbuckets;) {
        struct table_ref ref = table_bucket_at(t, bucket, i);
        if (ref.entry == NULL) break;
        uint8_t code = table_ref_code(ref);
        if (!due[code]) {
            i++;
            continue;
        }
        budget = spend(budget, KEYSPACE_REMOVAL_COST);
        int64_t expire_ms = entry_expire_ms(ref.entry);
        struct key key = key_of(ks, entry_key(ref.entry));
        bool lent = ks->hooks.is_lent != NULL && ks->hooks.is_lent(ks->hooks.context, key.hash);
        if (expire_ms < now_ms && !lent) {
            // The bucket's last entry takes this place: the same position is looked at again.
            db_remove(db, key, ref, DB_EXPIRED);
            continue;
        }
        uint8_t finer = expiry_code(x, expire_ms);
        expiry_remove(x, code);
        expiry_add(x, finer);
        table_replace(&ref, ref.entry, finer);
        i++;
    }
    return budget;
}

static uint32_t shrink(struct table *t, uint32_t budget) {
    while (budget != 0 && table_shrink_step(t)) budget = spend(budget, MERGE_COST);
    return budget;
}

static uint32_t walk(struct db *db, int64_t now_ms, uint32_t budget) {
    struct table *t = &db->table;
    while (budget != 0 && t->walked < t->nbuckets) {
        // Before the first bucket merging is free of constraints, and a sparse table is not worth
        // walking.
        if (t->walked == 0) budget = shrink(t, budget);
        if (budget == 0) break;
        uint64_t bucket = t->walked;
        budget = spend(budget, 1);
        if (table_bucket_has(t, bucket, db->expiry.codes->due)) {
            budget = visit_bucket(db, bucket, now_ms, budget);
        }
        // Removing may have made the table so sparse that it sent the walk back to the start.
        if (t->walked == bucket) t->walked++;
    }
    if (t->walked >= t->nbuckets) {
        t->walked = 0;
        expiry_end(&db->expiry);
    }
    return budget;
}

bool keyspace_expire_step(struct keyspace *ks, int64_t now_ms, uint32_t budget) {
    ASSERT(now_ms >= 0);
    ks->now_ms = now_ms;
    bool more = false;
    for (uint32_t i = 0; i < ks->ndbs; i++) {
        struct db *db = &ks->dbs[i];
        struct expiry *x = &db->expiry;
        if (x->expires != 0 || x->walking) {
            int64_t pace_ms = (int64_t)(db->table.nbuckets >> PACE_MS_PER_BUCKET_SHIFT);
            if (x->walking || expiry_begin(x, now_ms, pace_ms)) budget = walk(db, now_ms, budget);
        }
        if (!x->walking) budget = shrink(&db->table, budget);
        more |= x->walking;
        if (budget == 0) return true;
    }
    return more;
}
