// SPDX-License-Identifier: BSD-3-Clause
//
// Keyspaces and their databases: the door through which every entry comes and goes. Each change
// here keeps four things together: the table, the expiry counts, the memory account, and those who
// must be told (watchers, the owner's hook). Runs on the thread that owns the keyspace or has it
// lent. Invariant: a slot's expiry code is 0 exactly if neither its entry nor a part of its value
// expires, and counted in the database's expiry; the entry's ENTRY_PARTS says how. Called by
// commands (through engine/commands/command.h), by lending and by keyspace_expire.c.
#include "engine/keyspace/keyspace.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/keyspace/events.h"
#include "engine/keyspace/tracked.h"
#include "engine/keyspace/waiting.h"
#include "engine/keyspace/watch.h"

#define DRAIN_COST      7   // of freeing a small entry, in steps of entry_free_cost()
#define SAVE_COST       2   // of saving a small one, in those of freeing it ...
#define SAVE_COST_BYTES 128 // ... and how many bytes of a larger one cost as much as one

struct flushed_table {
    struct table table;
    struct expiry expiry;
    uint32_t saving_index; // its database's number at the instant
    bool unsaved;          // it holds entries that are still to be saved
};

struct keyspace_tables {
    struct keyspace_tables *next; // of the keyspace's flushed ones
    uint32_t count;
    uint32_t emptied; // the first so many tables have no entries left
    uint64_t bucket;  // how far the one after them has been emptied
    int64_t leaving;  // bytes of it that mem_leaving() counts
    struct flushed_table tables[];
};

static void count_memory(struct db *db, int64_t bytes) {
    db->memory += bytes;
    db->keyspace->memory += bytes;
}

static void db_init(struct keyspace *ks, struct db *db, uint32_t index) {
    db->keyspace = ks;
    db->index = index;
    db->memory = 0;
    db->saving = (struct db_saving){.index = UINT32_MAX, .walked = true};
    table_init(&db->table, ks->seed);
    expiry_init(&db->expiry, ks->now_ms);
}

struct keyspace *keyspace_new(uint32_t ndbs, uint32_t shard, uint64_t seed, uint64_t random_seed,
                              const struct keyspace_hooks *hooks) {
    ASSERT(ndbs > 0);
    struct keyspace *ks = mem_calloc(sizeof(*ks));
    ks->ndbs = ndbs;
    ks->shard = shard;
    ks->seed = seed;
    ks->marks = ENTRY_PARTS | ENTRY_EPOCH;
    if (hooks != NULL) ks->hooks = *hooks;
    random_init(&ks->random, random_seed);
    ks->dbs = mem_calloc(ndbs * sizeof(*ks->dbs));
    for (uint32_t i = 0; i < ndbs; i++) db_init(ks, &ks->dbs[i], i);
    return ks;
}

static void free_entry(void *context, struct entry *e) {
    (void)context;
    entry_free(e);
}

static void free_or_hand_over(const struct keyspace_hooks *hooks, struct entry *e) {
    if (hooks->free_later != NULL && entry_outside_memory(e) >= ENTRY_BIG_FREE) {
        hooks->free_later(hooks->context, e);
    } else {
        entry_free(e);
    }
}

void keyspace_free_entry(const struct keyspace *ks, struct entry *e) {
    free_or_hand_over(&ks->hooks, e);
}

void keyspace_free(struct keyspace *ks) {
    if (ks == NULL) return;
    while (ks->flushed != NULL) {
        struct keyspace_tables *tables = ks->flushed;
        ks->flushed = tables->next;
        keyspace_tables_free(tables);
    }
    for (uint32_t i = 0; i < ks->ndbs; i++) {
        table_each(&ks->dbs[i].table, free_entry, NULL);
        table_fini(&ks->dbs[i].table);
        expiry_fini(&ks->dbs[i].expiry);
    }
    watch__free(ks->watches);
    tracked_table_free(tracked_take_all(ks));
    waiting__free(ks->waiting);
    mem_free(ks->dbs);
    mem_free(ks);
}

int64_t keyspace_memory(const struct keyspace *ks) {
    int64_t bytes = ks->memory;
    for (uint32_t i = 0; i < ks->ndbs; i++) bytes += (int64_t)table_memory(&ks->dbs[i].table);
    return bytes;
}

/** Whether a key that is said to have changed has still to be saved. */
static inline bool key_is_unsaved(const struct db *db, struct key key) {
    struct table_ref ref = db_find(db, key);
    return ref.entry != NULL && keyspace_is_unsaved(db->keyspace, ref.entry);
}

static __attribute__((noinline)) void tell(struct db *db, struct key key, bool removed) {
    struct keyspace *ks = db->keyspace;
    if (ks->watches != NULL) watch__touch(ks->watches, db->index, key);
    if (ks->waiting != NULL) waiting_touch(ks, db->index, key);
    if (ks->events != NULL && ks->events->modified != NULL)
        ks->events->modified(ks->events->context, db, key, removed);
}

static inline void modified(struct db *db, struct key key, bool removed) {
    struct keyspace *ks = db->keyspace;
    ASSERT_DEV(!ks->saving || !key_is_unsaved(db, key));
    // One branch for all who may want to know.
    uintptr_t anybody = (uintptr_t)ks->watches | (uintptr_t)ks->waiting | (uintptr_t)ks->events;
    if (unlikely(anybody != 0)) tell(db, key, removed);
    ks->stats.dirty++;
    if (ks->hooks.modified != NULL) ks->hooks.modified(ks->hooks.context, db, key);
}

void db_modified(struct db *db, struct key key) { modified(db, key, false); }

void db_modified_elsewhere(struct db *db, struct key key) {
    const struct event_sink *sink = db->keyspace->events;
    db->keyspace->events = NULL;
    modified(db, key, false);
    db->keyspace->events = sink;
}

static void tell_replaced(struct keyspace *ks) {
    if (ks->events != NULL && ks->events->replaced != NULL)
        ks->events->replaced(ks->events->context, ks);
}

/** An entry that is in no table any more. */
static void release(struct db *db, struct entry *e) {
    struct keyspace *ks = db->keyspace;
    if (keyspace_is_unsaved(ks, e) && ks->saver.save(ks->saver.context, db->saving.index, e, true))
        return;
    free_or_hand_over(&ks->hooks, e);
}

struct table_ref db_find(const struct db *db, struct key key) {
    return table_find(&db->table, key.text, key.hash);
}

static uint8_t code_of(struct db *db, const struct entry *e) {
    struct expiry *x = &db->expiry;
    int64_t due_ms = entry_due_ms(e);
    // With nothing to find, what codes count from moves up to the present: they are finest then.
    if (due_ms != ENTRY_NO_EXPIRE && x->expires == 0 && !x->walking) {
        x->checked_ms = db->keyspace->now_ms;
        x->next_ms = INT64_MAX;
    }
    return expiry_code(x, due_ms);
}

/** Counts an entry under its code, and notes in the entry how. */
static inline void count_code(struct db *db, struct entry *e, uint8_t code) {
    bool parts = code != 0 && (e->flags & ENTRY_EXPIRES) == 0;
    expiry_add(&db->expiry, code, parts);
    if (unlikely(parts) && (db->keyspace->marks & ENTRY_PARTS)) e->flags |= ENTRY_PARTS;
}

static inline void uncount_code(struct db *db, struct entry *e, uint8_t code) {
    // An entry that may not be written to has its note from its owner, and has not changed since.
    bool parts = (e->flags & ENTRY_PARTS) != 0;
    expiry_remove(&db->expiry, code, parts);
    if (unlikely(parts) && (db->keyspace->marks & ENTRY_PARTS)) e->flags &= (uint8_t)~ENTRY_PARTS;
}

/** An entry that comes in, or has been changed, is not to be saved (any more). */
static inline void mark_saved(const struct keyspace *ks, struct entry *e) {
    uint8_t differs = (e->flags ^ ks->epoch) & ks->marks & ENTRY_EPOCH;
    if (differs != 0) e->flags ^= differs;
}

/**
 * Puts e in the place of ref, with the code of its expiry. `was` is the entry that has been there:
 * e itself when that was changed, even if it has moved.
 */
static void replace(struct db *db, struct table_ref *ref, struct entry *e, struct entry *was) {
    uint8_t old = table_ref_code(*ref);
    uint8_t code = code_of(db, e);
    if ((old | code) != 0) {
        uncount_code(db, was, old);
        count_code(db, e, code);
    }
    mark_saved(db->keyspace, e);
    table_replace(ref, e, code);
}

void db_attach(struct db *db, struct key key, struct entry *e) {
    ASSERT_DEV(slice_equal(entry_key(e), key.text) && db_find(db, key).entry == NULL);
    uint8_t code = code_of(db, e);
    count_code(db, e, code);
    mark_saved(db->keyspace, e);
    table_insert(&db->table, e, key.hash, code);
    count_memory(db, (int64_t)entry_memory(e));
}

void db_expect(struct db *db, uint64_t keys) { table_expect(&db->table, keys); }

/** Takes an entry out of its table, saved or not. */
static struct entry *take_out(struct db *db, struct key key, struct table_ref ref) {
    struct entry *e = ref.entry;
    count_memory(db, -(int64_t)entry_memory(e));
    uncount_code(db, e, table_ref_code(ref));
    table_remove(&db->table, ref, key.hash);
    return e;
}

struct entry *db_detach(struct db *db, struct key key, struct table_ref ref) {
    keyspace_save_first(db, ref.entry);
    return take_out(db, key, ref);
}

void db_insert(struct db *db, struct key key, struct entry *e) {
    db_attach(db, key, e);
    db_event(db, EVENT_NEW, "new", key.text);
    db_modified(db, key);
}

void db_account(struct db *db, struct table_ref *ref, size_t before) {
    ASSERT_DEV(!keyspace_is_unsaved(db->keyspace, ref->entry)); // it may just have been changed
    count_memory(db, (int64_t)entry_memory(ref->entry) - (int64_t)before);
    replace(db, ref, ref->entry, ref->entry);
}

void db_update(struct db *db, struct key key, struct table_ref *ref, struct entry *e,
               size_t before) {
    ASSERT_DEV(!keyspace_is_unsaved(db->keyspace, e));
    count_memory(db, (int64_t)entry_memory(e) - (int64_t)before);
    replace(db, ref, e, e);
    db_modified(db, key);
}

void db_put(struct db *db, struct key key, struct table_ref ref, struct entry *e) {
    if (ref.entry == NULL) {
        db_attach(db, key, e);
        db_event(db, EVENT_NEW, "new", key.text);
    } else {
        struct entry *old = ref.entry;
        ASSERT(old != e);
        count_memory(db, (int64_t)entry_memory(e) - (int64_t)entry_memory(old));
        replace(db, &ref, e, old);
        release(db, old);
    }
    db_modified(db, key);
}

struct entry *db_set_string(struct db *db, struct key key, struct table_ref ref, struct slice value,
                            int64_t expire_ms) {
    if (ref.entry != NULL) keyspace_save_first(db, ref.entry);
    if (ref.entry != NULL && entry_has_type(ref.entry, ENTRY_STRING) &&
        entry_try_overwrite(ref.entry, value, expire_ms)) {
        // Same block, same memory; without an expiry before and after even the slot stays as it is.
        if (expire_ms != ENTRY_NO_EXPIRE || table_ref_code(ref) != 0)
            replace(db, &ref, ref.entry, ref.entry);
        db_modified(db, key);
        return ref.entry;
    }
    struct entry *e = entry_new_string(key.text, value, expire_ms);
    if (ref.entry != NULL) entry_set_access(e, entry_access(ref.entry));
    db_put(db, key, ref, e);
    return e;
}

void db_set_expire(struct db *db, struct key key, struct table_ref *ref, int64_t expire_ms) {
    keyspace_save_first(db, ref->entry);
    size_t before = entry_memory(ref->entry);
    db_update(db, key, ref, entry_with_expire(ref->entry, expire_ms), before);
}

static void delete_found(struct db *db, struct key key, struct table_ref ref, bool removed) {
    // The key's text may be the entry's own: it is needed until everyone has been told.
    struct entry *e = take_out(db, key, ref);
    modified(db, key, removed);
    release(db, e);
}

void db_delete(struct db *db, struct key key, struct table_ref ref) {
    delete_found(db, key, ref, false);
}

void db_remove(struct db *db, struct key key, struct table_ref ref, enum db_removal why) {
    struct keyspace *ks = db->keyspace;
    if (why == DB_EXPIRED)
        ks->stats.expired_keys++;
    else
        ks->stats.evicted_keys++;
    if (ks->hooks.removed != NULL) ks->hooks.removed(ks->hooks.context, db, key, why);
    if (why == DB_EXPIRED)
        db_event(db, EVENT_EXPIRED, "expired", key.text);
    else
        db_event(db, EVENT_EVICTED, "evicted", key.text);
    delete_found(db, key, ref, true);
}

uint64_t db_count(const struct db *db) { return db->table.count; }

uint64_t db_expires(const struct db *db) { return db->expiry.expires - db->expiry.parts; }

int64_t db_average_ttl_ms(const struct db *db, int64_t now_ms) {
    return expiry_average_ttl_ms(&db->expiry, now_ms);
}

static bool exists_in(void *context, struct key key) { return db_find(context, key).entry != NULL; }

/** Takes a database's content out and leaves it empty. */
static void take_content(struct db *db, struct flushed_table *out) {
    struct keyspace *ks = db->keyspace;
    if (ks->watches != NULL) watch__touch_where(ks->watches, db->index, exists_in, db);
    waiting_touch_all(ks, db->index);
    out->table = db->table;
    out->expiry = db->expiry;
    out->saving_index = db->saving.index;
    out->unsaved = ks->saving && db->saving.index != UINT32_MAX;
    ks->memory -= db->memory;
    db_init(ks, db, db->index);
}

static void empty_tables(struct keyspace *ks, struct keyspace_tables *tables, uint32_t *budget);

uint64_t keyspace_flush(struct keyspace *ks, uint32_t index) {
    ASSERT(index < ks->ndbs || index == UINT32_MAX);
    uint32_t first = index == UINT32_MAX ? 0 : index;
    uint32_t end = index == UINT32_MAX ? ks->ndbs : index + 1;
    struct keyspace_tables *tables =
        mem_alloc(sizeof(*tables) + (end - first) * sizeof(tables->tables[0]));
    *tables = (struct keyspace_tables){.next = NULL};
    uint64_t removed = 0;
    for (uint32_t i = first; i < end; i++) {
        if (ks->dbs[i].table.buckets == NULL) continue;
        removed += db_count(&ks->dbs[i]);
        tables->leaving += ks->dbs[i].memory + (int64_t)table_memory(&ks->dbs[i].table);
        take_content(&ks->dbs[i], &tables->tables[tables->count++]);
    }
    ks->stats.dirty += removed;
    tell_replaced(ks);
    mem_leave(tables->leaving);
    if (ks->hooks.free_tables_later != NULL && removed != 0) {
        tables->next = ks->flushed;
        ks->flushed = tables;
    } else {
        while (ks->saving && tables->emptied < tables->count) {
            uint32_t budget = UINT32_MAX;
            empty_tables(ks, tables, &budget);
        }
        keyspace_tables_free(tables);
    }
    return removed;
}

/** The emptying of a flushed table: what has been freed, or handed over to be freed. */
struct drain {
    struct keyspace *keyspace;
    const struct flushed_table *from;
    int64_t bytes;
    uint32_t *budget; // of the step; an entry takes 1 of it, and this for what is long about it
};

/** Saves an entry that is still to be saved. True: the saver keeps it. */
static bool save_drained(const struct drain *drain, struct entry *e, size_t bytes) {
    struct keyspace *ks = drain->keyspace;
    if (!drain->from->unsaved || !keyspace_is_unsaved(ks, e)) return false;
    size_t cost = SAVE_COST + bytes / SAVE_COST_BYTES;
    *drain->budget = *drain->budget > cost ? *drain->budget - (uint32_t)cost : 0;
    return ks->saver.save(ks->saver.context, drain->from->saving_index, e, true);
}

static void drain_entry(void *context, struct entry *e) {
    struct drain *drain = context;
    size_t bytes = entry_memory(e);
    drain->bytes += (int64_t)bytes;
    if (save_drained(drain, e, bytes)) return;
    uint32_t cost = entry_free_cost(e) / DRAIN_COST;
    *drain->budget = *drain->budget > cost ? *drain->budget - cost : 0;
    free_or_hand_over(&drain->keyspace->hooks, e);
}

/** Empties flushed tables, until the budget is spent or the next of them has been emptied. */
static void empty_tables(struct keyspace *ks, struct keyspace_tables *tables, uint32_t *budget) {
    struct flushed_table *from = &tables->tables[tables->emptied];
    struct drain drain = {.keyspace = ks, .from = from, .budget = budget};
    tables->bucket = table_drain(&from->table, tables->bucket, budget, drain_entry, &drain);
    tables->leaving -= drain.bytes;
    mem_left(drain.bytes);
    if (tables->bucket < from->table.nbuckets) return;
    from->unsaved = false;
    tables->bucket = 0;
    tables->emptied++;
}

bool keyspace_free_step(struct keyspace *ks, uint32_t budget) {
    while (ks->flushed != NULL && budget > 0) {
        struct keyspace_tables *tables = ks->flushed;
        if (tables->emptied == tables->count) {
            ks->flushed = tables->next;
            ks->hooks.free_tables_later(ks->hooks.context, tables);
            continue;
        }
        empty_tables(ks, tables, &budget);
    }
    return ks->flushed != NULL;
}

bool keyspace_flushed_unsaved(const struct keyspace *ks) {
    for (const struct keyspace_tables *f = ks->flushed; f != NULL; f = f->next)
        for (uint32_t i = f->emptied; i < f->count; i++)
            if (f->tables[i].unsaved) return true;
    return false;
}

void keyspace__forget_flushed(struct keyspace *ks) {
    for (struct keyspace_tables *f = ks->flushed; f != NULL; f = f->next)
        for (uint32_t i = f->emptied; i < f->count; i++) f->tables[i].unsaved = false;
}

void keyspace_tables_free(struct keyspace_tables *tables) {
    for (uint32_t i = 0; i < tables->count; i++) {
        table_each(&tables->tables[i].table, free_entry, NULL);
        table_fini(&tables->tables[i].table);
        expiry_fini(&tables->tables[i].expiry);
    }
    mem_left(tables->leaving);
    mem_free(tables);
}

/** Two databases about to change places, and the time for which keys have expired or not. */
struct swap {
    struct db *dbs[2];
    int64_t now_ms;
};

/** Whether the swap changes the key. One that has expired is absent: it is not swapped at all. */
static bool is_swapped(void *context, struct key key) {
    const struct swap *swap = context;
    bool exists = false;
    for (int i = 0; i < 2; i++) {
        struct table_ref ref = db_find(swap->dbs[i], key);
        if (ref.entry == NULL) continue;
        int64_t expire_ms = entry_expire_ms(ref.entry);
        if (expire_ms != ENTRY_NO_EXPIRE && expire_ms < swap->now_ms) {
            db_remove(swap->dbs[i], key, ref, DB_EXPIRED);
        } else {
            exists = true;
        }
    }
    return exists;
}

void keyspace_swap(struct keyspace *ks, uint32_t a, uint32_t b, int64_t now_ms) {
    ASSERT(a < ks->ndbs && b < ks->ndbs);
    if (a == b) return;
    struct db *dbs[2] = {&ks->dbs[a], &ks->dbs[b]};
    if (ks->watches != NULL) {
        struct swap swap = {{dbs[0], dbs[1]}, now_ms};
        watch__touch_where(ks->watches, a, is_swapped, &swap);
        watch__touch_where(ks->watches, b, is_swapped, &swap);
    }
    waiting_touch_all(ks, a);
    waiting_touch_all(ks, b);
    struct db swapped = *dbs[0];
    *dbs[0] = *dbs[1];
    *dbs[1] = swapped;
    dbs[0]->index = a;
    dbs[1]->index = b;
    tell_replaced(ks);
    ks->stats.dirty++;
}

static void add_memory(void *context, struct entry *e) {
    *(int64_t *)context += (int64_t)entry_memory(e);
}

static bool codes_are_valid(const struct db *db) {
    uint64_t counts[EXPIRY_CODES] = {0};
    uint64_t expires = 0, parts = 0;
    for (uint64_t b = 0; b < db->table.nbuckets; b++) {
        for (size_t i = 0;; i++) {
            struct table_ref ref = table_bucket_at(&db->table, b, i);
            if (ref.entry == NULL) break;
            uint8_t code = table_ref_code(ref);
            counts[code]++;
            expires += code != 0;
            bool only_parts = code != 0 && (ref.entry->flags & ENTRY_EXPIRES) == 0;
            parts += only_parts;
            if (only_parts != ((ref.entry->flags & ENTRY_PARTS) != 0)) return false;
        }
    }
    if (expires != db->expiry.expires || parts != db->expiry.parts) return false;
    for (int code = 1; code < EXPIRY_CODES && db->expiry.codes != NULL; code++) {
        if (counts[code] != db->expiry.codes->counts[code]) return false;
    }
    return true;
}

bool keyspace_is_valid(const struct keyspace *ks) {
    int64_t sum = 0;
    for (uint32_t i = 0; i < ks->ndbs; i++) {
        const struct db *db = &ks->dbs[i];
        if (db->keyspace != ks || db->index != i) return false;
        if (!table_is_valid(&db->table) || !expiry_is_valid(&db->expiry)) return false;
        if (!codes_are_valid(db)) return false;
        int64_t memory = 0;
        table_each(&db->table, add_memory, &memory);
        if (memory != db->memory) return false;
        sum += memory;
    }
    if (!keyspace__epoch_is_valid(ks)) return false;
    return sum == ks->memory && watch__is_valid(ks->watches) && tracked_is_valid(ks) &&
           waiting__is_valid(ks);
}
