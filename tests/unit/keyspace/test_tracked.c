// SPDX-License-Identifier: BSD-3-Clause
//
// Tracked keys: readers are noted once and taken out together, tables merge, and random operations
// beside a model; and what a keyspace tells its sink when keys change. One thread; each test owns
// its keyspaces. The invariants are walked after each change.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <string.h>

#include "engine/keyspace/events.h"
#include "engine/keyspace/tracked.h"

static struct keyspace *make(void) { return keyspace_new(4, 0, 99, 1, NULL); }

static bool add(struct keyspace *ks, const char *key, uint64_t client) {
    bool first = tracked_add(ks, slice_text(key), (struct tracked_reader){client, client % 3});
    assert_true(tracked_is_valid(ks));
    return first;
}

/** Takes a key out, which must have readers of these ids, in that order; 0 ends them. */
static void expect_readers(struct keyspace *ks, const char *key, const uint64_t *ids) {
    struct tracked_key *t = tracked_take(ks, slice_text(key));
    assert_true(tracked_is_valid(ks));
    if (ids == NULL) {
        assert_null(t);
        return;
    }
    assert_non_null(t);
    assert_true(slice_equal(tracked_text(t), slice_text(key)));
    uint32_t n = 0;
    for (; ids[n] != 0; n++) {
        assert_true(n < t->count);
        assert_int_equal(t->readers[n].client, ids[n]);
        assert_int_equal(t->readers[n].shard, ids[n] % 3);
    }
    assert_int_equal(t->count, n);
    tracked_key_free(t);
}

static void readers_are_noted_once(void **state) {
    (void)state;
    struct keyspace *ks = make();
    assert_int_equal(tracked_keys(ks), 0);
    assert_true(add(ks, "a", 1));
    assert_false(add(ks, "a", 1));
    assert_false(add(ks, "a", 2));
    assert_true(add(ks, "", 3));
    assert_int_equal(tracked_keys(ks), 2);
    assert_int_equal(tracked_readers(ks), 3);
    expect_readers(ks, "b", NULL);
    expect_readers(ks, "a", (const uint64_t[]){1, 2, 0});
    expect_readers(ks, "a", NULL);
    expect_readers(ks, "", (const uint64_t[]){3, 0});
    assert_null(ks->tracked); // what is empty takes no memory
    assert_null(tracked_take_any(ks));
    keyspace_free(ks);
}

static void tables_merge(void **state) {
    (void)state;
    struct keyspace *a = make(), *b = make();
    add(a, "k", 1);
    add(b, "k", 1);
    add(b, "k", 2);
    add(b, "other", 4);
    assert_false(tracked_put(a, tracked_take(b, SLICE_LITERAL("k"))));
    assert_true(tracked_put(a, tracked_take_any(b)));
    assert_true(tracked_is_valid(a));
    assert_int_equal(tracked_keys(a), 2);
    assert_int_equal(tracked_readers(a), 3);
    assert_null(b->tracked);
    expect_readers(a, "k", (const uint64_t[]){1, 2, 0});
    tracked_table_free(tracked_take_all(a));
    assert_int_equal(tracked_keys(a), 0);
    keyspace_free(a);
    keyspace_free(b);
}

#define KEYS    50
#define CLIENTS 10

static void random_operations_beside_a_model(void **state) {
    (void)state;
    struct keyspace *ks = make();
    bool model[KEYS][CLIENTS] = {{false}};
    struct random random;
    random_init(&random, 7);
    for (int i = 0; i < 50000; i++) {
        uint32_t key = (uint32_t)(random_next(&random) % KEYS);
        uint64_t client = random_next(&random) % CLIENTS;
        char name[16];
        snprintf(name, sizeof name, "key-%u", key);
        if (random_next(&random) % 8 != 0) {
            tracked_add(ks, slice_text(name), (struct tracked_reader){client, 0});
            model[key][client] = true;
        } else {
            struct tracked_key *t = tracked_take(ks, slice_text(name));
            uint32_t expected = 0;
            for (int c = 0; c < CLIENTS; c++) expected += model[key][c];
            assert_int_equal(t ? t->count : 0, expected);
            for (uint32_t r = 0; t && r < t->count; r++)
                assert_true(model[key][t->readers[r].client]);
            memset(model[key], 0, sizeof model[key]);
            if (t) tracked_key_free(t);
        }
        if (i % 500 == 0) assert_true(tracked_is_valid(ks));
    }
    assert_true(tracked_is_valid(ks));
    keyspace_free(ks); // with what is in the table
}

// ---- what the sink is told ---------------------------------------------------------------------

struct told {
    int modified, removed, replaced;
    char last[16];
};

static void on_modified(void *context, struct db *db, struct key key, bool removed) {
    struct told *told = context;
    assert_int_equal(db->index, 1);
    told->modified++;
    told->removed += removed;
    snprintf(told->last, sizeof told->last, "%.*s", (int)key.text.n, key.text.p);
}

static void on_replaced(void *context, struct keyspace *ks) {
    struct told *told = context;
    assert_non_null(ks);
    told->replaced++;
}

static void emit(void *context, uint32_t db, const char *name, struct slice key) {
    (void)context, (void)db, (void)name, (void)key;
    fail(); // no class is asked for
}

static void changes_are_told(void **state) {
    (void)state;
    struct keyspace *ks = make();
    struct told told = {0};
    const struct event_sink sink = {
        .context = &told, .emit = emit, .modified = on_modified, .replaced = on_replaced};
    ks->events = &sink;
    struct db *db = &ks->dbs[1];
    struct key key = key_of(ks, SLICE_LITERAL("k"));
    db_set_string(db, key, db_find(db, key), SLICE_LITERAL("v"), ENTRY_NO_EXPIRE);
    assert_int_equal(told.modified, 1);
    assert_string_equal(told.last, "k");
    db_delete(db, key, db_find(db, key));
    assert_int_equal(told.modified, 2);
    assert_int_equal(told.removed, 0);
    db_set_string(db, key, db_find(db, key), SLICE_LITERAL("v"), 5);
    db_remove(db, key, db_find(db, key), DB_EXPIRED);
    assert_int_equal(told.modified, 4);
    assert_int_equal(told.removed, 1);
    uint64_t dirty = ks->stats.dirty;
    db_modified_elsewhere(db, key);
    assert_int_equal(told.modified, 4);
    assert_int_equal(ks->stats.dirty, dirty + 1);
    assert_ptr_equal(ks->events, &sink);
    keyspace_flush(ks, UINT32_MAX);
    keyspace_swap(ks, 0, 1, 0);
    assert_int_equal(told.replaced, 2);
    keyspace_free(ks);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_are_noted_once),
        cmocka_unit_test(tables_merge),
        cmocka_unit_test(random_operations_beside_a_model),
        cmocka_unit_test(changes_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
