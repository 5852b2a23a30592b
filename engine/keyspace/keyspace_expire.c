// SPDX-License-Identifier: BSD-3-Clause
//
// Active expiry: the walk over a database's buckets that removes what is due and gives finer codes
// to what comes closer, and the catching up of tables that have to shrink. It runs in small steps
// between commands, on the thread that owns the keyspace, with the time passed in. Invariant:
// table.walked buckets have been walked; what the table splits or merges meanwhile stays ahead of
// that line. Called by the shard's loop.
#include "engine/base/assert.h"
#include "engine/base/prefetch.h"
#include "engine/keyspace/events.h"
#include "engine/keyspace/keyspace.h"

#define MERGE_COST               8
// A walk starts at the earliest this many milliseconds after the one before, per bucket: a visit
// takes about 10 ns, so walking stays at a few percent of a core however large the table is.
#define PACE_MS_PER_BUCKET_SHIFT 12 // nbuckets >> 12, about 250 ns a bucket

static uint32_t spend(uint32_t budget, uint32_t cost) { return budget > cost ? budget - cost : 0; }

/** The parts of a key's value that are being removed. */
struct part_removal {
    struct db *db;
    struct key key;
    uint64_t count;
};

static void remove_part(void *context, struct slice part) {
    struct part_removal *r = context;
    const struct keyspace_hooks *hooks = &r->db->keyspace->hooks;
    if (hooks->part_removed != NULL) hooks->part_removed(hooks->context, r->db, r->key, part);
    r->count++;
}

/**
 * Removes parts of a value that are due; the key goes with the last of them: *ref has no entry
 * then. Returns whether more are due.
 */
static bool remove_parts(struct db *db, struct key key, struct table_ref *ref, int64_t now_ms,
                         uint32_t *budget) {
    struct entry *e = ref->entry;
    struct part_removal removal = {.db = db, .key = key};
    keyspace_save_first(db, e);
    size_t before = entry_memory(e);
    struct value v = entry_value(e);
    bool more = value_expire_parts(&v, now_ms, budget, remove_part, &removal);
    entry_set_value(e, v);
    db->keyspace->stats.expired_fields += removal.count;
    if (removal.count > 0) db_event(db, EVENT_HASH, "hexpired", key.text);
    if (value_length(v) == 0) {
        db_account(db, ref, before);
        db_event(db, EVENT_GENERIC, "del", key.text);
        db_delete(db, key, *ref);
        ref->entry = NULL;
    } else if (removal.count > 0) {
        db_update(db, key, ref, e, before);
    } else {
        db_account(db, ref, before);
    }
    return more;
}

/** Gives an entry that has not changed (it may be lent, so it is only read) another code. */
static void recode(struct db *db, struct table_ref *ref, uint8_t code) {
    bool parts = (ref->entry->flags & ENTRY_PARTS) != 0;
    expiry_remove(&db->expiry, table_ref_code(*ref), parts);
    expiry_add(&db->expiry, code, parts);
    table_replace(ref, ref->entry, code);
}

/** What is done about an entry with a due code. */
enum visited {
    VISIT_GONE, // its place has been taken by the bucket's last entry
    VISIT_STAYS,
    VISIT_AGAIN, // there is more to do about it, but not now
};

static enum visited visit(struct db *db, struct table_ref ref, int64_t now_ms, uint32_t *budget) {
    struct keyspace *ks = db->keyspace;
    int64_t expire_ms = entry_expire_ms(ref.entry);
    struct key key = key_of(ks, entry_key(ref.entry));
    bool lent = ks->hooks.is_lent != NULL && ks->hooks.is_lent(ks->hooks.context, key.hash);
    *budget = spend(*budget, KEYSPACE_REMOVAL_COST);
    if (expire_ms != ENTRY_NO_EXPIRE && expire_ms < now_ms && !lent) {
        *budget = spend(*budget, entry_free_cost(ref.entry));
        db_remove(db, key, ref, DB_EXPIRED);
        return VISIT_GONE;
    }
    int64_t due_ms = entry_due_ms(ref.entry);
    // What a large value has to lose can wait until it has been saved: that is done in steps.
    bool kept = lent || (keyspace_is_unsaved(ks, ref.entry) && entry_is_large(ref.entry));
    if (due_ms != expire_ms && due_ms < now_ms && !kept) {
        uint8_t code = table_ref_code(ref);
        bool more = remove_parts(db, key, &ref, now_ms, budget);
        if (ref.entry == NULL) return VISIT_GONE;
        if (!more) return VISIT_STAYS;
        recode(db, &ref, code); // the walk goes on looking for it
        return VISIT_AGAIN;
    }
    recode(db, &ref, expiry_code(&db->expiry, due_ms));
    return VISIT_STAYS;
}

/**
 * Removes or recodes the due entries of one bucket. *again: the bucket is to be visited once more.
 */
static uint32_t visit_bucket(struct db *db, uint64_t bucket, int64_t now_ms, uint32_t budget,
                             bool *again) {
    struct table *t = &db->table;
    const uint8_t *due = db->expiry.codes->due;
    for (size_t i = 0; i < 2 * TABLE_BUCKET_SLOTS; i++) {
        struct table_ref ref = table_bucket_at(t, bucket, i);
        if (ref.entry == NULL) break;
        if (due[table_ref_code(ref)]) prefetch_read(ref.entry);
    }
    for (size_t i = 0; bucket < t->nbuckets;) {
        struct table_ref ref = table_bucket_at(t, bucket, i);
        if (ref.entry == NULL) break;
        if (!due[table_ref_code(ref)]) {
            i++;
            continue;
        }
        enum visited visited = visit(db, ref, now_ms, &budget);
        *again |= visited == VISIT_AGAIN;
        i += visited != VISIT_GONE; // or the same position is looked at again
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
        bool again = false;
        if (table_bucket_has(t, bucket, db->expiry.codes->due)) {
            budget = visit_bucket(db, bucket, now_ms, budget, &again);
        }
        // Removing may have made the table so sparse that it sent the walk back to the start.
        if (t->walked == bucket && !again) t->walked++;
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
