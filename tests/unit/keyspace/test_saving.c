// SPDX-License-Identifier: BSD-3-Clause
//
// Saving what a keyspace holds at one instant while it changes: whatever is done to entries between
// the instant and the end, what has been saved is what was there at the instant, each entry once,
// under the number that its database had then. The walk and the changes are interleaved at random.
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

#define START_MS INT64_C(1700000000000)
#define DBS      4
#define KEYS     400
#define KEPT_MAX 4096

/** What databases hold: number of keys, and their digest. */
struct content {
    uint64_t keys[DBS];
    struct digest digest[DBS];
};

struct world {
    struct keyspace *ks;
    struct random random;
    int64_t now_ms;
    struct content saved;
    struct entry *kept[KEPT_MAX];
    uint32_t kept_db[KEPT_MAX], kept_count;
    uint64_t saved_first; // otherwise than by the walk
    struct keyspace_tables *emptied[64];
    uint32_t emptied_count;
};

static void add(struct content *content, uint32_t db, const struct entry *e) {
    assert_true(db < DBS);
    content->keys[db]++;
    entry_digest(e, &content->digest[db]);
}

struct add_all {
    struct content *content;
    uint32_t db;
};

static void add_entry(void *context, struct entry *e) {
    struct add_all *all = context;
    add(all->content, all->db, e);
}

static struct content content_of(const struct keyspace *ks) {
    struct content content = {0};
    for (uint32_t i = 0; i < DBS; i++) {
        struct add_all all = {&content, i};
        table_each(&ks->dbs[i].table, add_entry, &all);
    }
    return content;
}

static void assert_same(const struct content *a, const struct content *b) {
    for (uint32_t i = 0; i < DBS; i++) {
        assert_int_equal(a->keys[i], b->keys[i]);
        assert_int_equal(a->digest[i].low, b->digest[i].low);
        assert_int_equal(a->digest[i].high, b->digest[i].high);
    }
}

static bool save(void *context, uint32_t db, struct entry *e, bool goes) {
    struct world *w = context;
    w->saved_first++;
    if (goes && random_below(&w->random, 2) && w->kept_count < KEPT_MAX) {
        w->kept_db[w->kept_count] = db;
        w->kept[w->kept_count++] = e;
        return true;
    }
    add(&w->saved, db, e);
    return false;
}

static void free_tables_later(void *context, struct keyspace_tables *tables) {
    struct world *w = context;
    assert_true(w->emptied_count < 64);
    w->emptied[w->emptied_count++] = tables;
}

static void free_later(void *context, struct entry *e) {
    (void)context;
    entry_free(e);
}

static void world_init(struct world *w, uint64_t seed, bool tables_later) {
    *w = (struct world){.now_ms = START_MS};
    random_init(&w->random, seed);
    struct keyspace_hooks hooks = {.context = w, .free_later = free_later};
    if (tables_later) hooks.free_tables_later = free_tables_later;
    w->ks = keyspace_new(DBS, 0, 99, seed, &hooks);
    keyspace_expire_step(w->ks, w->now_ms, 100);
}

static void world_fini(struct world *w) {
    for (uint32_t i = 0; i < w->emptied_count; i++) keyspace_tables_free(w->emptied[i]);
    keyspace_free(w->ks);
}

// ---- changes -----------------------------------------------------------------------------------

static int64_t some_expiry(struct world *w) {
    if (random_below(&w->random, 2)) return ENTRY_NO_EXPIRE;
    return w->now_ms + (int64_t)random_below(&w->random, random_below(&w->random, 2) ? 300 : 60000);
}

static struct entry *new_hash(struct world *w, struct key key) {
    struct value v = thash_new();
    uint64_t fields = 1 + random_below(&w->random, random_below(&w->random, 60) ? 10 : 6000);
    for (uint64_t i = 0; i < fields; i++) {
        char field[24];
        int n = snprintf(field, sizeof field, "field%llu", (unsigned long long)i);
        struct slice text = slice_of(field, (size_t)n);
        thash_set(&v, text, text, false, START_MS, &value_default_limits);
        if (random_below(&w->random, 4) == 0)
            thash_set_expire(&v, text, w->now_ms + 1 + (int64_t)random_below(&w->random, 2000));
    }
    return entry_new_value(key.text, v, some_expiry(w));
}

static void change_hash(struct world *w, struct db *db, struct key key, struct table_ref ref) {
    keyspace_save_first(db, ref.entry);
    size_t before = entry_memory(ref.entry);
    struct value v = entry_value(ref.entry);
    char field[24];
    int n =
        snprintf(field, sizeof field, "new%llu", (unsigned long long)random_below(&w->random, 50));
    thash_set(&v, slice_of(field, (size_t)n), SLICE_LITERAL("x"), false, START_MS,
              &value_default_limits);
    entry_set_value(ref.entry, v);
    db_update(db, key, &ref, ref.entry, before);
}

static void change_string(struct world *w, struct db *db, struct key key, struct table_ref ref) {
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
    db_set_string(db, key, ref, slice_of(text, n), some_expiry(w));
}

static void move(struct world *w, struct db *db, struct key key, struct table_ref ref) {
    struct db *to = &w->ks->dbs[random_below(&w->random, DBS)];
    struct entry *e = db_detach(db, key, ref);
    if (db_find(to, key).entry != NULL) to = db;
    if (random_below(&w->random, 2)) e = entry_rekey(e, key.text, entry_expire_ms(e));
    if (random_below(&w->random, 2))
        db_attach(to, key, e);
    else
        db_insert(to, key, e);
}

static void change_key(struct world *w) {
    struct db *db = &w->ks->dbs[random_below(&w->random, DBS)];
    char name[24];
    int n =
        snprintf(name, sizeof name, "key%llu", (unsigned long long)random_below(&w->random, KEYS));
    struct key key = key_of(w->ks, slice_of(name, (size_t)n));
    struct table_ref ref = db_find(db, key);
    uint64_t what = random_below(&w->random, 20);
    if (what < 8)
        change_string(w, db, key, ref);
    else if (what < 10)
        db_put(db, key, ref, new_hash(w, key));
    else if (ref.entry == NULL)
        return;
    else if (what < 13 && entry_has_type(ref.entry, ENTRY_HASH))
        change_hash(w, db, key, ref);
    else if (what < 15)
        db_set_expire(db, key, &ref, some_expiry(w));
    else if (what < 17)
        db_delete(db, key, ref);
    else
        move(w, db, key, ref);
}

static void change_all(struct world *w) {
    uint64_t what = random_below(&w->random, 4);
    if (what == 0 && w->emptied_count < 60)
        keyspace_flush(w->ks, random_below(&w->random, 3) ? (uint32_t)random_below(&w->random, DBS)
                                                          : UINT32_MAX);
    else if (what == 1)
        keyspace_swap(w->ks, (uint32_t)random_below(&w->random, DBS),
                      (uint32_t)random_below(&w->random, DBS), w->now_ms);
}

static void change(struct world *w) {
    const struct eviction_rules rules = {.order = EVICT_RANDOM, .samples = 5};
    uint32_t budget = 1000;
    uint64_t what = random_below(&w->random, 1000);
    if (what < 900) {
        change_key(w);
    } else if (what < 960) {
        w->now_ms += (int64_t)random_below(&w->random, 100);
        keyspace_expire_step(w->ks, w->now_ms, (uint32_t)random_below(&w->random, 300));
    } else if (what < 980) {
        keyspace_evict(w->ks, &rules, w->now_ms, &budget);
    } else if (what < 997) {
        keyspace_free_step(w->ks, (uint32_t)random_below(&w->random, 20));
    } else {
        change_all(w);
    }
}

// ---- the walk ----------------------------------------------------------------------------------

struct visit {
    struct world *world;
    uint32_t db;
};

static void visit(void *context, struct entry *e) {
    struct visit *v = context;
    if (!keyspace_is_unsaved(v->world->ks, e)) return;
    add(&v->world->saved, v->db, e);
    keyspace_mark_saved(v->world->ks, e);
}

/** Walks on for a bucket. False: it has been everywhere. */
static bool walk(struct world *w) {
    for (uint32_t i = 0; i < DBS; i++) {
        struct db *db = &w->ks->dbs[i];
        if (db->saving.walked) continue;
        struct visit v = {w, db->saving.index};
        db->saving.cursor = table_scan(&db->table, db->saving.cursor, visit, &v);
        db->saving.walked = db->saving.cursor == 0;
        return true;
    }
    return false;
}

static void end(struct world *w) {
    while (walk(w)) {
    }
    while (keyspace_flushed_unsaved(w->ks)) keyspace_free_step(w->ks, 1000);
    for (uint32_t i = 0; i < w->kept_count; i++) {
        add(&w->saved, w->kept_db[i], w->kept[i]);
        entry_free(w->kept[i]);
    }
    w->kept_count = 0;
    keyspace_end_saving(w->ks);
    assert_true(keyspace_is_valid(w->ks));
}

static void test_what_is_saved_is_what_was_there(void **state) {
    (void)state;
    uint64_t first = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        int64_t used = mem_used();
        struct world w;
        world_init(&w, seed, seed % 3 != 0);
        const struct keyspace_saver saver = {.context = &w, .save = save};
        for (int round = 0; round < 6; round++) {
            uint64_t changes = random_below(&w.random, 3000),
                     walks = 1 + random_below(&w.random, 5);
            for (uint64_t i = 0; i < changes; i++) change(&w);
            struct content before = content_of(w.ks);
            w.saved = (struct content){0};
            w.saved_first = 0;
            keyspace_begin_saving(w.ks, &saver);
            for (uint64_t i = 0; i < 400; i++) {
                change(&w);
                if (random_below(&w.random, 8) < walks) walk(&w);
                if (i % 100 == 0) assert_true(keyspace_is_valid(w.ks));
            }
            first += w.saved_first;
            end(&w);
            assert_same(&w.saved, &before);
        }
        world_fini(&w);
        assert_int_equal(mem_used(), used);
    }
    assert_true(first > 1000); // or this would have shown nothing
}

static void test_a_lent_entry_is_only_read(void **state) {
    (void)state;
    struct world w;
    world_init(&w, 1, false);
    struct keyspace *private = keyspace_new(1, 0, 99, 1, NULL);
    private->marks = 0;
    struct key key = key_of(w.ks, SLICE_LITERAL("k"));
    struct value v = thash_new();
    thash_set(&v, SLICE_LITERAL("f"), SLICE_LITERAL("v"), false, START_MS, &value_default_limits);
    thash_set_expire(&v, SLICE_LITERAL("f"), START_MS + 5000);
    db_insert(&w.ks->dbs[0], key, entry_new_value(key.text, v, ENTRY_NO_EXPIRE));
    const struct keyspace_saver saver = {.context = &w, .save = save};
    for (int i = 0; i < 3; i++) {
        struct entry *e = db_find(&w.ks->dbs[0], key).entry;
        struct entry header = *e;
        db_attach(&private->dbs[0], key, e);
        assert_memory_equal(e, &header, sizeof header);
        assert_true(keyspace_is_valid(private));
        assert_ptr_equal(db_detach(&private->dbs[0], key, db_find(&private->dbs[0], key)), e);
        assert_memory_equal(e, &header, sizeof header);
        assert_true(keyspace_is_valid(w.ks));
        keyspace_begin_saving(w.ks, &saver);
        end(&w);
    }
    keyspace_free(private);
    world_fini(&w);
}

static void test_a_large_value_keeps_its_fields_until_it_is_saved(void **state) {
    (void)state;
    struct world w;
    world_init(&w, 1, false);
    struct key key = key_of(w.ks, SLICE_LITERAL("k"));
    struct value v = thash_new();
    for (int i = 0; i <= ENTRY_MANY; i++) {
        char field[24];
        struct slice text = slice_of(field, (size_t)snprintf(field, sizeof field, "%d", i));
        thash_set(&v, text, text, false, START_MS, &value_default_limits);
    }
    thash_set_expire(&v, SLICE_LITERAL("7"), START_MS + 100);
    db_insert(&w.ks->dbs[0], key, entry_new_value(key.text, v, ENTRY_NO_EXPIRE));
    const struct keyspace_saver saver = {.context = &w, .save = save};
    keyspace_begin_saving(w.ks, &saver);
    for (int i = 0; i < 50; i++) keyspace_expire_step(w.ks, w.now_ms += 100, 100000);
    assert_int_equal(w.saved_first, 0);
    assert_int_equal(w.ks->stats.expired_fields, 0);
    end(&w);
    for (int i = 0; i < 50; i++) keyspace_expire_step(w.ks, w.now_ms += 100, 100000);
    assert_int_equal(w.ks->stats.expired_fields, 1);
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_saved_is_what_was_there),
        cmocka_unit_test(test_a_lent_entry_is_only_read),
        cmocka_unit_test(test_a_large_value_keeps_its_fields_until_it_is_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
