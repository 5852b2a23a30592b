// SPDX-License-Identifier: BSD-3-Clause
//
// Saving what a keyspace holds at one instant while it changes: whatever is done to entries between
// the instant and the end, what has been saved is what was there at the instant, each entry once,
// under the number that its database had then. The walk and the changes are interleaved at random.
#include "tests/unit/keyspace/changes.h"

#define KEPT_MAX 4096

struct world {
    struct changes c; // first member
    struct changes_content saved;
    struct entry *kept[KEPT_MAX];
    uint32_t kept_db[KEPT_MAX], kept_count;
    uint64_t saved_first; // otherwise than by the walk
};

static bool save(void *context, uint32_t db, struct entry *e, bool goes) {
    struct world *w = context;
    w->saved_first++;
    if (goes && random_below(&w->c.random, 2) && w->kept_count < KEPT_MAX) {
        w->kept_db[w->kept_count] = db;
        w->kept[w->kept_count++] = e;
        return true;
    }
    changes_add(&w->saved, db, e);
    return false;
}

static void world_init(struct world *w, uint64_t seed, bool tables_later) {
    *w = (struct world){.kept_count = 0};
    changes_init(&w->c, seed, tables_later);
}

// ---- the walk ----------------------------------------------------------------------------------

struct visit {
    struct world *world;
    uint32_t db;
};

static void visit(void *context, struct entry *e) {
    struct visit *v = context;
    if (!keyspace_is_unsaved(v->world->c.ks, e)) return;
    changes_add(&v->world->saved, v->db, e);
    keyspace_mark_saved(v->world->c.ks, e);
}

/** Walks on for a bucket. False: it has been everywhere. */
static bool walk(struct world *w) {
    for (uint32_t i = 0; i < CHANGES_DBS; i++) {
        struct db *db = &w->c.ks->dbs[i];
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
    while (keyspace_flushed_unsaved(w->c.ks)) keyspace_free_step(w->c.ks, 1000);
    for (uint32_t i = 0; i < w->kept_count; i++) {
        changes_add(&w->saved, w->kept_db[i], w->kept[i]);
        entry_free(w->kept[i]);
    }
    w->kept_count = 0;
    keyspace_end_saving(w->c.ks);
    assert_true(keyspace_is_valid(w->c.ks));
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
            uint64_t changes = random_below(&w.c.random, 3000),
                     walks = 1 + random_below(&w.c.random, 5);
            for (uint64_t i = 0; i < changes; i++) changes_make(&w.c);
            struct changes_content before = changes_content_of(w.c.ks);
            w.saved = (struct changes_content){0};
            w.saved_first = 0;
            keyspace_begin_saving(w.c.ks, &saver);
            for (uint64_t i = 0; i < 400; i++) {
                changes_make(&w.c);
                if (random_below(&w.c.random, 8) < walks) walk(&w);
                if (i % 100 == 0) assert_true(keyspace_is_valid(w.c.ks));
            }
            first += w.saved_first;
            end(&w);
            changes_assert_same(&w.saved, &before);
        }
        changes_fini(&w.c);
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
    struct key key = key_of(w.c.ks, SLICE_LITERAL("k"));
    struct value v = thash_new();
    thash_set(&v, SLICE_LITERAL("f"), SLICE_LITERAL("v"), false, CHANGES_START_MS,
              &value_default_limits);
    thash_set_expire(&v, SLICE_LITERAL("f"), CHANGES_START_MS + 5000);
    db_insert(&w.c.ks->dbs[0], key, entry_new_value(key.text, v, ENTRY_NO_EXPIRE));
    const struct keyspace_saver saver = {.context = &w, .save = save};
    for (int i = 0; i < 3; i++) {
        struct entry *e = db_find(&w.c.ks->dbs[0], key).entry;
        struct entry header = *e;
        db_attach(&private->dbs[0], key, e);
        assert_memory_equal(e, &header, sizeof header);
        assert_true(keyspace_is_valid(private));
        assert_ptr_equal(db_detach(&private->dbs[0], key, db_find(&private->dbs[0], key)), e);
        assert_memory_equal(e, &header, sizeof header);
        assert_true(keyspace_is_valid(w.c.ks));
        keyspace_begin_saving(w.c.ks, &saver);
        end(&w);
    }
    keyspace_free(private);
    changes_fini(&w.c);
}

static void test_a_large_value_keeps_its_fields_until_it_is_saved(void **state) {
    (void)state;
    struct world w;
    world_init(&w, 1, false);
    struct key key = key_of(w.c.ks, SLICE_LITERAL("k"));
    struct value v = thash_new();
    for (int i = 0; i <= ENTRY_MANY; i++) {
        char field[24];
        struct slice text = slice_of(field, (size_t)snprintf(field, sizeof field, "%d", i));
        thash_set(&v, text, text, false, CHANGES_START_MS, &value_default_limits);
    }
    thash_set_expire(&v, SLICE_LITERAL("7"), CHANGES_START_MS + 100);
    db_insert(&w.c.ks->dbs[0], key, entry_new_value(key.text, v, ENTRY_NO_EXPIRE));
    const struct keyspace_saver saver = {.context = &w, .save = save};
    keyspace_begin_saving(w.c.ks, &saver);
    for (int i = 0; i < 50; i++) keyspace_expire_step(w.c.ks, w.c.now_ms += 100, 100000);
    assert_int_equal(w.saved_first, 0);
    assert_int_equal(w.c.ks->stats.expired_fields, 0);
    end(&w);
    for (int i = 0; i < 50; i++) keyspace_expire_step(w.c.ks, w.c.now_ms += 100, 100000);
    assert_int_equal(w.c.ks->stats.expired_fields, 1);
    changes_fini(&w.c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_saved_is_what_was_there),
        cmocka_unit_test(test_a_lent_entry_is_only_read),
        cmocka_unit_test(test_a_large_value_keeps_its_fields_until_it_is_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
