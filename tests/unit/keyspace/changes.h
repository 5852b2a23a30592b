// SPDX-License-Identifier: BSD-3-Clause
//
// A keyspace to which all kinds of changes are made at random, and what it holds at one moment as
// digests, for tests of what is saved of it meanwhile. Each test owns its world; one thread.
// Invariant: whoever saves is told by the keyspace of everything that is changed here.
#ifndef TORC_TESTS_UNIT_KEYSPACE_CHANGES_H
#define TORC_TESTS_UNIT_KEYSPACE_CHANGES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/base/alloc.h"
#include "engine/keyspace/keyspace.h"
#include "engine/types/t_hash.h"

#define CHANGES_START_MS INT64_C(1700000000000)
#define CHANGES_DBS      4
#define CHANGES_KEYS     400

/** What databases hold: number of keys, and their digest. */
struct changes_content {
    uint64_t keys[CHANGES_DBS];
    struct digest digest[CHANGES_DBS];
};

struct changes {
    struct keyspace *ks;
    struct random random;
    int64_t now_ms;
    struct keyspace_tables *emptied[64];
    uint32_t emptied_count;
};

static inline void changes_add(struct changes_content *content, uint32_t db,
                               const struct entry *e) {
    assert_true(db < CHANGES_DBS);
    content->keys[db]++;
    entry_digest(e, &content->digest[db]);
}

struct changes_add_all {
    struct changes_content *content;
    uint32_t db;
};

static inline void changes_add_entry(void *context, struct entry *e) {
    struct changes_add_all *all = context;
    changes_add(all->content, all->db, e);
}

static inline struct changes_content changes_content_of(const struct keyspace *ks) {
    struct changes_content content = {0};
    for (uint32_t i = 0; i < CHANGES_DBS; i++) {
        struct changes_add_all all = {&content, i};
        table_each(&ks->dbs[i].table, changes_add_entry, &all);
    }
    return content;
}

static inline void changes_assert_same(const struct changes_content *a,
                                       const struct changes_content *b) {
    for (uint32_t i = 0; i < CHANGES_DBS; i++) {
        assert_int_equal(a->keys[i], b->keys[i]);
        assert_int_equal(a->digest[i].low, b->digest[i].low);
        assert_int_equal(a->digest[i].high, b->digest[i].high);
    }
}

static inline void changes_free_tables_later(void *context, struct keyspace_tables *tables) {
    struct changes *w = context;
    assert_true(w->emptied_count < 64);
    w->emptied[w->emptied_count++] = tables;
}

static inline void changes_free_later(void *context, struct entry *e) {
    (void)context;
    entry_free(e);
}

static inline void changes_init(struct changes *w, uint64_t seed, bool tables_later) {
    *w = (struct changes){.now_ms = CHANGES_START_MS};
    random_init(&w->random, seed);
    struct keyspace_hooks hooks = {.context = w, .free_later = changes_free_later};
    if (tables_later) hooks.free_tables_later = changes_free_tables_later;
    w->ks = keyspace_new(CHANGES_DBS, 0, 99, seed, &hooks);
    keyspace_expire_step(w->ks, w->now_ms, 100);
}

static inline void changes_fini(struct changes *w) {
    for (uint32_t i = 0; i < w->emptied_count; i++) keyspace_tables_free(w->emptied[i]);
    keyspace_free(w->ks);
}

// ---- changes -----------------------------------------------------------------------------------

static inline int64_t changes_some_expiry(struct changes *w) {
    if (random_below(&w->random, 2)) return ENTRY_NO_EXPIRE;
    return w->now_ms + (int64_t)random_below(&w->random, random_below(&w->random, 2) ? 300 : 60000);
}

static inline struct entry *changes_new_hash(struct changes *w, struct key key) {
    struct value v = thash_new();
    uint64_t fields = 1 + random_below(&w->random, random_below(&w->random, 60) ? 10 : 6000);
    for (uint64_t i = 0; i < fields; i++) {
        char field[24];
        int n = snprintf(field, sizeof field, "field%llu", (unsigned long long)i);
        struct slice text = slice_of(field, (size_t)n);
        thash_set(&v, text, text, false, CHANGES_START_MS, &value_default_limits);
        if (random_below(&w->random, 4) == 0)
            thash_set_expire(&v, text, w->now_ms + 1 + (int64_t)random_below(&w->random, 2000));
    }
    return entry_new_value(key.text, v, changes_some_expiry(w));
}

static inline void changes_change_hash(struct changes *w, struct db *db, struct key key,
                                       struct table_ref ref) {
    keyspace_save_first(db, ref.entry);
    size_t before = entry_memory(ref.entry);
    struct value v = entry_value(ref.entry);
    char field[24];
    int n =
        snprintf(field, sizeof field, "new%llu", (unsigned long long)random_below(&w->random, 50));
    thash_set(&v, slice_of(field, (size_t)n), SLICE_LITERAL("x"), false, CHANGES_START_MS,
              &value_default_limits);
    entry_set_value(ref.entry, v);
    db_update(db, key, &ref, ref.entry, before);
}

static inline void changes_change_string(struct changes *w, struct db *db, struct key key,
                                         struct table_ref ref) {
    static char text[100000];
    static const size_t lengths[] = {8, 60, 900, 5000, 100000};
    size_t n = random_below(&w->random, lengths[random_below(&w->random, 5)]);
    text[0] = (char)('a' + random_below(&w->random, 26));
    if (ref.entry != NULL && entry_has_type(ref.entry, ENTRY_STRING) &&
        random_below(&w->random, 3) == 0) {
        keyspace_save_first(db, ref.entry);
        size_t before = entry_memory(ref.entry);
        struct entry *e = entry_string_resize(ref.entry, n);
        if (n > 0) entry_string_bytes(e)[n - 1] = 'z';
        db_update(db, key, &ref, e, before);
        return;
    }
    db_set_string(db, key, ref, slice_of(text, n), changes_some_expiry(w));
}

static inline void changes_move(struct changes *w, struct db *db, struct key key,
                                struct table_ref ref) {
    struct db *to = &w->ks->dbs[random_below(&w->random, CHANGES_DBS)];
    struct entry *e = db_detach(db, key, ref);
    if (db_find(to, key).entry != NULL) to = db;
    if (random_below(&w->random, 2)) e = entry_rekey(e, key.text, entry_expire_ms(e));
    if (random_below(&w->random, 2))
        db_attach(to, key, e);
    else
        db_insert(to, key, e);
}

static inline void changes_change_key(struct changes *w) {
    struct db *db = &w->ks->dbs[random_below(&w->random, CHANGES_DBS)];
    char name[24];
    int n = snprintf(name, sizeof name, "key%llu",
                     (unsigned long long)random_below(&w->random, CHANGES_KEYS));
    struct key key = key_of(w->ks, slice_of(name, (size_t)n));
    struct table_ref ref = db_find(db, key);
    uint64_t what = random_below(&w->random, 20);
    if (what < 8)
        changes_change_string(w, db, key, ref);
    else if (what < 10)
        db_put(db, key, ref, changes_new_hash(w, key));
    else if (ref.entry == NULL)
        return;
    else if (what < 13 && entry_has_type(ref.entry, ENTRY_HASH))
        changes_change_hash(w, db, key, ref);
    else if (what < 15)
        db_set_expire(db, key, &ref, changes_some_expiry(w));
    else if (what < 17)
        db_delete(db, key, ref);
    else
        changes_move(w, db, key, ref);
}

static inline void changes_change_all(struct changes *w) {
    uint64_t what = random_below(&w->random, 4);
    if (what == 0 && w->emptied_count < 60)
        keyspace_flush(w->ks, random_below(&w->random, 3)
                                  ? (uint32_t)random_below(&w->random, CHANGES_DBS)
                                  : UINT32_MAX);
    else if (what == 1)
        keyspace_swap(w->ks, (uint32_t)random_below(&w->random, CHANGES_DBS),
                      (uint32_t)random_below(&w->random, CHANGES_DBS), w->now_ms);
}

static inline void changes_make(struct changes *w) {
    const struct eviction_rules rules = {.order = EVICT_RANDOM, .samples = 5};
    uint32_t budget = 1000;
    uint64_t what = random_below(&w->random, 1000);
    if (what < 900) {
        changes_change_key(w);
    } else if (what < 960) {
        w->now_ms += (int64_t)random_below(&w->random, 100);
        keyspace_expire_step(w->ks, w->now_ms, (uint32_t)random_below(&w->random, 300));
    } else if (what < 980) {
        keyspace_evict(w->ks, &rules, w->now_ms, &budget);
    } else if (what < 997) {
        keyspace_free_step(w->ks, (uint32_t)random_below(&w->random, 20));
    } else {
        changes_change_all(w);
    }
}

#endif
