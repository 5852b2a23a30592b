// SPDX-License-Identifier: BSD-3-Clause
//
// A keyspace: the numbered databases of one shard, with their expiry, watched keys and accounting.
// It has no thread and no clock of its own: whoever owns the shard (or has been lent it) calls in
// and passes the time. A transaction over several shards runs on a small private keyspace of the
// same kind. Invariant: every entry is in exactly one keyspace; `memory` is the sum of
// entry_memory() of all entries plus the tables. Callers: engine/commands through struct cmd,
// shards for lending and expiry.
#ifndef TORC_ENGINE_KEYSPACE_KEYSPACE_H
#define TORC_ENGINE_KEYSPACE_KEYSPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/assert.h"
#include "engine/base/random.h"
#include "engine/keyspace/entry.h"
#include "engine/keyspace/eviction.h"
#include "engine/keyspace/expiry.h"
#include "engine/keyspace/table.h"

/** A key argument with its hash, computed once per command. */
struct key {
    struct slice text;
    uint64_t hash;
};

struct keyspace;
struct keyspace_tables;

/** What a database is to a snapshot that is being written (struct keyspace_saver). */
struct db_saving {
    uint32_t index;  // its number at the instant
    bool walked;     // the walk over it has come to its end; also when it is younger
    uint64_t cursor; // the walk's: of table_scan()
};

struct db {
    struct keyspace *keyspace;
    uint32_t index;
    struct table table;
    struct expiry expiry; // which entries have a time to live, by coarse time
    int64_t memory;       // bytes of this database's entries
    struct db_saving saving;
};

/** Why a key goes that no command has deleted. */
enum db_removal { DB_EXPIRED, DB_EVICTED };

/** What happened in a keyspace, for INFO. Plain counters; other threads may read them relaxed. */
struct keyspace_stats {
    uint64_t hits, misses;
    uint64_t expired_keys, evicted_keys;
    uint64_t expired_fields; // of hashes
    uint64_t dirty;          // changes since start: what Redis calls dirty
    uint64_t flushalls;      // commands that have emptied all databases
};

/**
 * What a keyspace tells its owner. NULL members are not called; what is to be freed is freed at
 * once.
 */
struct keyspace_hooks {
    void *context;
    /** A key changed, was created, deleted or expired. */
    void (*modified)(void *context, struct db *db, struct key key);
    /** A key is about to be deleted because its time is over, or to make room. */
    void (*removed)(void *context, struct db *db, struct key key, enum db_removal why);
    /** A part (a hash field) is about to be removed from a key's value: its time is over. */
    void (*part_removed)(void *context, struct db *db, struct key key, struct slice part);
    /**
     * An entry with much memory outside is no longer needed: free it with entry_free() off this
     * thread.
     */
    void (*free_later)(void *context, struct entry *e);
    /**
     * Flushed tables whose entries are gone: free them with keyspace_tables_free() off this thread.
     */
    void (*free_tables_later)(void *context, struct keyspace_tables *tables);
    /** Whether expiry and eviction must leave this key hash alone (it is lent for reading). */
    bool (*is_lent)(void *context, uint64_t hash);
};

/**
 * Who writes down what a keyspace holds at one instant, while that goes on changing. Each entry has
 * a bit (ENTRY_EPOCH), the keyspace one, too, and outside of a snapshot they agree. The instant
 * flips the keyspace's: entries of the other bit are those still to be saved. Whoever has saved one
 * flips its bit; what is new gets the keyspace's. An entry about to change or to go is saved first.
 */
struct keyspace_saver {
    void *context;
    /**
     * Saves an entry as it is now; `db`: the number that its database had at the instant. `goes`:
     * the keyspace needs it no longer; then true means that the saver keeps it, to free it later.
     */
    bool (*save)(void *context, uint32_t db, struct entry *e, bool goes);
};

struct event_sink;
struct tracked_table;
struct watch_table;
struct waiting_table;
struct waiting_key;

struct keyspace {
    uint32_t ndbs;
    uint32_t shard; // which shard's keyspace this is (SCAN cursors carry it)
    uint64_t seed;  // of key hashes: the same in the whole process
    struct db *dbs;
    struct keyspace_stats stats;
    struct keyspace_hooks hooks;
    const struct event_sink *events; // who is told what happens (events.h); NULL: nobody
    struct watch_table *watches;     // NULL while nobody watches
    struct tracked_table *tracked;   // who has read what (tracked.h); NULL: nobody is tracked
    struct waiting_table *waiting;   // NULL while nobody waits for a key (waiting.h) ...
    struct waiting_key *ready;       // ... the waited-for keys that were changed
    struct keyspace_tables *flushed; // what keyspace_free_step has to free
    struct random random;
    struct eviction eviction; // candidates for it
    uint8_t marks; // flags of entries that this keyspace may write: none when they are lent to it
                   // for reading, not ENTRY_EPOCH when they are lent at all
    uint8_t epoch; // ENTRY_EPOCH or 0: what entries have that are not to be saved (any more)
    bool saving;   // there are others, and this is who saves them:
    struct keyspace_saver saver;
    int64_t memory; // bytes of entries (tables are added by keyspace_memory())
    int64_t now_ms; // the time that keyspace_expire_step() was last told
};

/** Makes an empty keyspace of ndbs databases. Owned by the caller. */
struct keyspace *keyspace_new(uint32_t ndbs, uint32_t shard, uint64_t seed, uint64_t random_seed,
                              const struct keyspace_hooks *hooks);
/** Frees it with everything in it. */
void keyspace_free(struct keyspace *ks);
/** Bytes of all entries and tables. */
int64_t keyspace_memory(const struct keyspace *ks);

static inline struct key key_of(const struct keyspace *ks, struct slice text);

/** Finds without any side effect: no expiry, no access update. entry is NULL when absent. */
struct table_ref db_find(const struct db *db, struct key key);
/** Inserts an entry whose key is absent. The keyspace owns it now. Calls modified. */
void db_insert(struct db *db, struct key key, struct entry *e);
/**
 * Puts `e` (same key; usually the found entry itself, changed by an entry_* call that returned `e`)
 * into the found place. `before` is entry_memory() of what stood there, asked before it was
 * changed; nothing is freed here. Calls modified. ref is good for the next change of the same key.
 */
void db_update(struct db *db, struct key key, struct table_ref *ref, struct entry *e,
               size_t before);
/**
 * Keeps account and expiry right after a change of a found entry in place that nobody has to be
 * told of. `before` as above.
 */
void db_account(struct db *db, struct table_ref *ref, size_t before);
/**
 * Inserts or overwrites: the previous entry, found in ref (ref.entry may be NULL), is freed
 * (off-thread when big). Calls modified.
 */
void db_put(struct db *db, struct key key, struct table_ref ref, struct entry *e);
/**
 * SET: the key gets that text as its value and that expiry (ENTRY_NO_EXPIRE: none), whatever it
 * held before. Overwrites in place where that fits; access information stays (0 for a new key).
 * Calls modified. Returns the entry's place.
 */
struct entry *db_set_string(struct db *db, struct key key, struct table_ref ref, struct slice value,
                            int64_t expire_ms);
/**
 * Sets, changes or removes (ENTRY_NO_EXPIRE) the expiry of a found key; ref follows. Calls
 * modified.
 */
void db_set_expire(struct db *db, struct key key, struct table_ref *ref, int64_t expire_ms);
/**
 * Takes an entry out of the keyspace; the caller owns it. Does not call modified (lending, RENAME).
 */
struct entry *db_detach(struct db *db, struct key key, struct table_ref ref);
/** Puts a detached or foreign entry in (its key must be absent); does not call modified. */
void db_attach(struct db *db, struct key key, struct entry *e);
/** So many keys are going to be put into an empty database: their table is made at once. */
void db_expect(struct db *db, uint64_t keys);
/** Takes out and frees (off-thread when big). Calls modified. */
void db_delete(struct db *db, struct key key, struct table_ref ref);
/** Deletes a found key that no command asked to delete: counts it and calls removed before. */
void db_remove(struct db *db, struct key key, struct table_ref ref, enum db_removal why);
/** Frees an entry that is in no keyspace any more (off-thread when big). */
void keyspace_free_entry(const struct keyspace *ks, struct entry *e);
/**
 * Tells watchers, those who wait, the owner's hook and the sink of events that the key changed.
 * Counts as one dirty change.
 */
void db_modified(struct db *db, struct key key);
/** The same for a change that was made, and told to the sink, in another keyspace. */
void db_modified_elsewhere(struct db *db, struct key key);

/** Keys in the database, and how many of them have an expiry themselves. */
uint64_t db_count(const struct db *db);
uint64_t db_expires(const struct db *db);
/** Estimated mean time to live in ms of keys with one (INFO avg_ttl); 0 if none. Bounded work. */
int64_t db_average_ttl_ms(const struct db *db, int64_t now_ms);

/**
 * Empties one database (index) or all (UINT32_MAX), telling every watcher of a key that existed.
 * With hooks.free_tables_later the contents are left to keyspace_free_step. Returns keys removed.
 */
uint64_t keyspace_flush(struct keyspace *ks, uint32_t index);
/** Frees flushed tables with all entries. Any thread: it touches no keyspace. */
void keyspace_tables_free(struct keyspace_tables *tables);
/**
 * Frees about `budget` entries of what was flushed. Here and not on another thread: memory goes
 * back to the thread that allocated it, which would have to take in millions of entries at once.
 * True when there is more to do.
 */
bool keyspace_free_step(struct keyspace *ks, uint32_t budget);
/**
 * Exchanges two databases; watchers of keys that exist in either (and whose content thereby
 * changes) are told. Watched keys that have expired are removed before.
 */
void keyspace_swap(struct keyspace *ks, uint32_t a, uint32_t b, int64_t now_ms);

/**
 * Active expiry: removes entries whose time has come, in bounded steps: returns after about
 * `budget` bucket visits (about 10 ns each; a removed entry counts as KEYSPACE_REMOVAL_COST of
 * them). Result: true when more is due now (call again soon). Expired keys count in
 * stats.expired_keys and call modified. Call it every 100 ms or so, also when nothing is due: then
 * it costs next to nothing. A key is gone within 100 ms of its time plus the table's walking time.
 */
#define KEYSPACE_REMOVAL_COST 16
bool keyspace_expire_step(struct keyspace *ks, int64_t now_ms, uint32_t budget);

/**
 * Removes one entry that the rules let go first, as far as samples tell. False: none has been
 * found; there is none (keyspace_evictable), or all are lent, or *budget bucket visits (about 10 ns
 * each; what is done with entries counts as several) were not enough: a later call goes on from
 * there. Counts in stats.evicted_keys and calls modified.
 */
bool keyspace_evict(struct keyspace *ks, const struct eviction_rules *rules, int64_t now_ms,
                    uint32_t *budget);
/** How many entries the rules let go at all. */
uint64_t keyspace_evictable(const struct keyspace *ks, const struct eviction_rules *rules);
/**
 * How good victims this keyspace has beside others under the same rules: keyspaces that evict in
 * proportion to it evict, together, about what one keyspace with all the entries would. 0 when
 * nothing can go. Looks at a few entries.
 */
double keyspace_eviction_weight(struct keyspace *ks, const struct eviction_rules *rules,
                                int64_t now_ms);

/**
 * WATCH: `flag` is set to true (atomic, release) when the key is modified. Tokens are (flag, db,
 * key); the key text is copied. A key that has expired must have been deleted by the caller before.
 */
void keyspace_watch(struct keyspace *ks, uint32_t db, struct key key, _Atomic bool *flag);
/** Forgets one watch of that flag. */
void keyspace_unwatch(struct keyspace *ks, uint32_t db, struct key key, _Atomic bool *flag);

/** The instant: all entries are to be saved from now on. Not while that is still so for some. */
void keyspace_begin_saving(struct keyspace *ks, const struct keyspace_saver *saver);
/**
 * All entries have been saved, but for those of flushed tables that nobody wants any more; or the
 * keyspace is about to be freed.
 */
void keyspace_end_saving(struct keyspace *ks);
/** The database that had this number at the instant, wherever it is now; NULL: it was flushed. */
struct db *keyspace_saving_db(struct keyspace *ks, uint32_t index);
/** Whether flushed tables still hold entries to be saved: keyspace_free_step() gets at them. */
bool keyspace_flushed_unsaved(const struct keyspace *ks);
void keyspace__save(struct db *db, struct entry *e);
void keyspace__forget_flushed(struct keyspace *ks);
bool keyspace__epoch_is_valid(const struct keyspace *ks);

/** Whether the entry is still to be saved. */
static inline bool keyspace_is_unsaved(const struct keyspace *ks, const struct entry *e) {
    return unlikely(ks->saving) && ((e->flags ^ ks->epoch) & ENTRY_EPOCH) != 0;
}
/** The saver: it has saved the entry. */
static inline void keyspace_mark_saved(const struct keyspace *ks, struct entry *e) {
    e->flags = (uint8_t)((e->flags & ~ENTRY_EPOCH) | ks->epoch);
}
/** To be called before an entry is changed in place: what has to be saved of it is saved. */
static inline void keyspace_save_first(struct db *db, struct entry *e) {
    if (keyspace_is_unsaved(db->keyspace, e)) keyspace__save(db, e);
}

/** Walks all invariants of tables, expiry and accounting (tests, fuzzers, ASSERT_DEV). */
bool keyspace_is_valid(const struct keyspace *ks);

#include "engine/base/hash.h"

static inline struct key key_of(const struct keyspace *ks, struct slice text) {
    return (struct key){text, hash_bytes(text.p, text.n, ks->seed)};
}

#endif
