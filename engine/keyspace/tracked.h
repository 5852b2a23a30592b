// SPDX-License-Identifier: BSD-3-Clause
//
// Tracked keys of one keyspace: who has read which key since it last changed (Redis documentation:
// Client-side caching). A key counts in all databases together, as in Redis. Who changes a key
// takes its readers out and tells them; so each reader is told once. Keys that nothing is stored
// under have readers, too: those have cached that. The table exists only while it has something in
// it, and goes with the keyspace: with a visit, with a lent keyspace, or, for keys that are lent,
// one by one. Invariant: the counts are those of the keys, and of all their readers, in the table.
#ifndef TORC_ENGINE_KEYSPACE_TRACKED_H
#define TORC_ENGINE_KEYSPACE_TRACKED_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/encoding/hashtable.h"
#include "engine/keyspace/keyspace.h"

/** A client that keeps what it has read. */
struct tracked_reader {
    uint64_t client; // its id
    uint32_t shard;  // whose client it is
};

/** One key with its readers; never without any. */
struct tracked_key {
    uint32_t count, room;
    struct tracked_reader *readers; // in any order, each once
    uint32_t length;
    char text[];
};

struct tracked_table {
    struct hashtable keys; // struct tracked_key
    uint64_t readers;      // of all keys
};

static inline struct slice tracked_text(const struct tracked_key *t) {
    return (struct slice){t->text, t->length};
}

/** Notes that the client has read the key. True: nobody had before. */
bool tracked_add(struct keyspace *ks, struct slice key, struct tracked_reader reader);
/** Takes a key out, with its readers, which are the caller's then; NULL: it has none. */
struct tracked_key *tracked_take(struct keyspace *ks, struct slice key);
/** The same with any key; NULL: there is none. */
struct tracked_key *tracked_take_any(struct keyspace *ks);
/**
 * Puts a key back that was taken out of this keyspace or another one: `t` is the table's again.
 * True: the key had no readers here meanwhile.
 */
bool tracked_put(struct keyspace *ks, struct tracked_key *t);
void tracked_key_free(struct tracked_key *t);

/** Takes the whole table out; NULL: it was empty. */
struct tracked_table *tracked_take_all(struct keyspace *ks);
/** Frees a table that was taken out. Any thread. */
void tracked_table_free(struct tracked_table *table);

/** Keys, and readers of all keys. */
static inline uint64_t tracked_keys(const struct keyspace *ks) {
    return ks->tracked ? ks->tracked->keys.count : 0;
}
static inline uint64_t tracked_readers(const struct keyspace *ks) {
    return ks->tracked ? ks->tracked->readers : 0;
}

/** Whether counts and keys agree. */
bool tracked_is_valid(const struct keyspace *ks);

#endif
