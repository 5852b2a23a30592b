// SPDX-License-Identifier: BSD-3-Clause
//
// The table of tracked keys: texts in a hashtable, each with a short list of readers that is
// searched from its end. Runs on the thread that owns the keyspace or has it lent. Called by
// shards/tracking.c, and by transaction.c for keys that are lent.
#include "engine/keyspace/tracked.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"

static struct slice text_of(const void *element) { return tracked_text(element); }

void tracked_key_free(struct tracked_key *t) {
    mem_free(t->readers);
    mem_free(t);
}

static void release(void *element) { tracked_key_free(element); }

static struct tracked_table *table_of(struct keyspace *ks) {
    if (!ks->tracked) {
        ks->tracked = mem_calloc(sizeof *ks->tracked);
        hashtable_init(&ks->tracked->keys, text_of);
    }
    return ks->tracked;
}

/** What is empty takes no memory. */
static void drop_if_empty(struct keyspace *ks) {
    if (ks->tracked->keys.count > 0) return;
    ASSERT(ks->tracked->readers == 0);
    tracked_table_free(tracked_take_all(ks));
}

static bool has_reader(const struct tracked_key *t, struct tracked_reader reader) {
    for (uint32_t i = t->count; i > 0; i--)
        if (t->readers[i - 1].client == reader.client) return true;
    return false;
}

static void add_reader(struct tracked_key *t, struct tracked_reader reader) {
    if (t->count == t->room) {
        t->room = t->room ? t->room * 2 : 1;
        t->readers = mem_realloc(t->readers, t->room * sizeof *t->readers);
    }
    t->readers[t->count++] = reader;
}

bool tracked_add(struct keyspace *ks, struct slice key, struct tracked_reader reader) {
    struct tracked_table *table = table_of(ks);
    uint64_t hash = hashtable_hash(key);
    struct tracked_key *t = hashtable_find_hashed(&table->keys, key, hash);
    bool absent = t == NULL;
    if (absent) {
        t = mem_alloc(sizeof *t + key.n);
        *t = (struct tracked_key){.length = (uint32_t)key.n};
        if (key.n > 0) memcpy(t->text, key.p, key.n);
        hashtable_add_hashed(&table->keys, t, hash);
    } else if (has_reader(t, reader)) {
        return false;
    }
    add_reader(t, reader);
    table->readers++;
    return absent;
}

struct tracked_key *tracked_take(struct keyspace *ks, struct slice key) {
    if (!ks->tracked) return NULL;
    struct tracked_key *t = hashtable_remove(&ks->tracked->keys, key);
    if (!t) return NULL;
    ks->tracked->readers -= t->count;
    drop_if_empty(ks);
    return t;
}

struct tracked_key *tracked_take_any(struct keyspace *ks) {
    if (!ks->tracked) return NULL;
    const struct tracked_key *t = hashtable_random(&ks->tracked->keys, &ks->random);
    return tracked_take(ks, tracked_text(t));
}

bool tracked_put(struct keyspace *ks, struct tracked_key *t) {
    struct tracked_table *table = table_of(ks);
    uint64_t hash = hashtable_hash(tracked_text(t));
    struct tracked_key *present = hashtable_find_hashed(&table->keys, tracked_text(t), hash);
    if (!present) {
        hashtable_add_hashed(&table->keys, t, hash);
        table->readers += t->count;
        return true;
    }
    for (uint32_t i = 0; i < t->count; i++) {
        if (has_reader(present, t->readers[i])) continue;
        add_reader(present, t->readers[i]);
        table->readers++;
    }
    tracked_key_free(t);
    return false;
}

struct tracked_table *tracked_take_all(struct keyspace *ks) {
    struct tracked_table *table = ks->tracked;
    ks->tracked = NULL;
    return table;
}

void tracked_table_free(struct tracked_table *table) {
    if (!table) return;
    hashtable_fini(&table->keys, release);
    mem_free(table);
}

bool tracked_is_valid(const struct keyspace *ks) {
    if (!ks->tracked) return true;
    const struct tracked_table *table = ks->tracked;
    uint64_t readers = 0;
    struct hashtable_iterator it;
    hashtable_iterate(&it, &table->keys);
    for (const struct tracked_key *t; (t = hashtable_next(&it)) != NULL;) {
        if (t->count == 0 || t->count > t->room) return false;
        readers += t->count;
    }
    return table->keys.count > 0 && readers == table->readers && hashtable_is_valid(&table->keys);
}
