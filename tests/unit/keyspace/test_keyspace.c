// SPDX-License-Identifier: BSD-3-Clause
//
// Keyspaces: accounting, hooks, watches, flushing, swapping, and active expiry under virtual time
// (a million keys in one second, far and past expiries, clocks that jump, lent keys); then random
// operations on several databases against a reference. Single-threaded, seeded; keyspace_is_valid()
// after each change where the keyspace is small. Expiry's bounds are counted in steps, not in time.
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/base/alloc.h"
#include "engine/keyspace/keyspace.h"
#include "engine/types/t_set.h"

#define START_MS INT64_C(1700000000000)
#define HOUR_MS  INT64_C(3600000)

struct told {
    uint64_t modified, entries, tables;
    uint64_t lent; // hash that is lent; 0: none
};

static void on_modified(void *context, struct db *db, struct key key) {
    assert_non_null(db->keyspace);
    assert_int_equal(key.hash, key_of(db->keyspace, key.text).hash);
    ((struct told *)context)->modified++;
}

static void on_free_later(void *context, struct entry *e) {
    ((struct told *)context)->entries++;
    entry_free(e);
}

static void on_free_tables_later(void *context, struct keyspace_tables *tables) {
    ((struct told *)context)->tables++;
    keyspace_tables_free(tables);
}

static bool on_is_lent(void *context, uint64_t hash) {
    return ((struct told *)context)->lent == hash;
}

static struct keyspace *make(struct told *told) {
    memset(told, 0, sizeof(*told));
    struct keyspace_hooks hooks = {.context = told,
                                   .modified = on_modified,
                                   .free_later = on_free_later,
                                   .free_tables_later = on_free_tables_later,
                                   .is_lent = on_is_lent};
    struct keyspace *ks = keyspace_new(4, 0, 99, 1, &hooks);
    keyspace_expire_step(ks, START_MS, 100);
    return ks;
}

static void set(struct keyspace *ks, uint32_t db, const char *name, struct slice value,
                int64_t ms) {
    struct key key = key_of(ks, slice_text(name));
    db_set_string(&ks->dbs[db], key, db_find(&ks->dbs[db], key), value, ms);
}

static void set_number(struct keyspace *ks, uint32_t db, uint64_t number, int64_t ms) {
    char name[24];
    snprintf(name, sizeof(name), "%llu", (unsigned long long)number);
    set(ks, db, name, SLICE_LITERAL("value"), ms);
}

static struct table_ref get(struct keyspace *ks, uint32_t db, const char *name) {
    return db_find(&ks->dbs[db], key_of(ks, slice_text(name)));
}

static void test_memory_is_exact_and_hooks_are_called(void **state) {
    (void)state;
    struct told told;
    int64_t before = mem_used();
    struct keyspace *ks = make(&told);
    char *big = calloc(1, 2000000);
    set(ks, 0, "a", SLICE_LITERAL("1"), ENTRY_NO_EXPIRE);
    set(ks, 0, "a", slice_of(big, 2000000), START_MS + 1000);
    set(ks, 0, "a", slice_of(big, 1990000), START_MS + 2000);
    assert_true(keyspace_is_valid(ks));
    assert_int_equal(told.entries, 0);
    set(ks, 0, "a", SLICE_LITERAL("short"), ENTRY_NO_EXPIRE);
    assert_int_equal(told.entries, 1);
    assert_int_equal(told.modified, 4);
    assert_int_equal(ks->stats.dirty, 4);
    assert_int_equal(db_expires(&ks->dbs[0]), 0);
    assert_true(keyspace_is_valid(ks));

    struct key key = key_of(ks, SLICE_LITERAL("a"));
    struct table_ref ref = db_find(&ks->dbs[0], key);
    db_set_expire(&ks->dbs[0], key, &ref, START_MS + HOUR_MS);
    assert_int_equal(db_expires(&ks->dbs[0]), 1);
    size_t was = entry_memory(ref.entry);
    db_update(&ks->dbs[0], key, &ref, entry_string_resize(ref.entry, 1500000), was);
    assert_true(keyspace_is_valid(ks));
    db_set_expire(&ks->dbs[0], key, &ref, ENTRY_NO_EXPIRE);
    assert_int_equal(entry_expire_ms(ref.entry), ENTRY_NO_EXPIRE);
    assert_true(keyspace_is_valid(ks));

    uint64_t modified = told.modified;
    struct entry *e = db_detach(&ks->dbs[0], key, ref);
    assert_int_equal(ks->memory, 0);
    db_attach(&ks->dbs[2], key, e);
    assert_int_equal(told.modified, modified);
    assert_true(keyspace_is_valid(ks));
    db_delete(&ks->dbs[2], key, db_find(&ks->dbs[2], key));
    assert_int_equal(told.modified, modified + 1);
    assert_int_equal(told.entries, 2);
    assert_int_equal(ks->memory, 0);
    assert_true(keyspace_is_valid(ks));
    keyspace_free(ks);
    free(big);
    assert_int_equal(mem_used(), before);
}

static void test_same_size_set_allocates_nothing(void **state) {
    (void)state;
    struct told told;
    struct keyspace *ks = make(&told);
    set(ks, 0, "key", SLICE_LITERAL("abcdefghijklmnopqrstuvwxyz"), ENTRY_NO_EXPIRE);
    struct entry *e = get(ks, 0, "key").entry;
    entry_set_access(e, 77);
    int64_t used = mem_used();
    set(ks, 0, "key", SLICE_LITERAL("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), ENTRY_NO_EXPIRE);
    assert_ptr_equal(get(ks, 0, "key").entry, e);
    assert_int_equal(entry_access(e), 77);
    assert_int_equal(mem_used(), used);
    assert_true(keyspace_is_valid(ks));
    keyspace_free(ks);
}

static void watch(struct keyspace *ks, uint32_t db, const char *name, _Atomic bool *flag) {
    keyspace_watch(ks, db, key_of(ks, slice_text(name)), flag);
}

static void test_watches_see_changes_of_their_key_only(void **state) {
    (void)state;
    struct told told;
    struct keyspace *ks = make(&told);
    _Atomic bool flags[4] = {false, false, false, false};
    watch(ks, 0, "a", &flags[0]);
    watch(ks, 0, "a", &flags[1]);
    watch(ks, 1, "a", &flags[2]);
    watch(ks, 0, "b", &flags[3]);
    set(ks, 0, "a", SLICE_LITERAL("1"), ENTRY_NO_EXPIRE);
    assert_true(flags[0] && flags[1]);
    assert_false(flags[2] || flags[3]);
    keyspace_unwatch(ks, 0, key_of(ks, SLICE_LITERAL("a")), &flags[0]);
    flags[0] = flags[1] = false;
    set(ks, 0, "a", SLICE_LITERAL("2"), START_MS + 1);
    assert_false(flags[0]);
    assert_true(flags[1]);
    flags[1] = false;
    assert_false(keyspace_expire_step(ks, START_MS + 10000, 1000));
    assert_null(get(ks, 0, "a").entry);
    assert_true(flags[1]); // expiring is a change
    assert_true(keyspace_is_valid(ks));
    keyspace_unwatch(ks, 0, key_of(ks, SLICE_LITERAL("a")), &flags[1]);
    keyspace_unwatch(ks, 0, key_of(ks, SLICE_LITERAL("a")), &flags[1]);
    keyspace_unwatch(ks, 1, key_of(ks, SLICE_LITERAL("a")), &flags[2]);
    assert_non_null(ks->watches);
    keyspace_unwatch(ks, 0, key_of(ks, SLICE_LITERAL("b")), &flags[3]);
    assert_null(ks->watches);
    keyspace_free(ks);
}

static void test_many_watches(void **state) {
    (void)state;
    struct told told;
    struct keyspace *ks = make(&told);
    static _Atomic bool flags[2000];
    char name[24];
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof(name), "%d", i);
        watch(ks, 0, name, &flags[i]);
    }
    assert_true(keyspace_is_valid(ks));
    for (int i = 0; i < 2000; i += 2) set_number(ks, 0, (uint64_t)i, ENTRY_NO_EXPIRE);
    for (int i = 0; i < 2000; i++) assert_int_equal(flags[i], i % 2 == 0);
    keyspace_free(ks); // watches that are left go with it
}

static void test_flush_and_swap_tell_watchers_of_keys_that_existed(void **state) {
    (void)state;
    struct told told;
    struct keyspace *ks = make(&told);
    set(ks, 0, "a", SLICE_LITERAL("1"), START_MS + HOUR_MS);
    set(ks, 1, "b", SLICE_LITERAL("2"), ENTRY_NO_EXPIRE);
    _Atomic bool flags[5] = {false, false, false, false, false};
    watch(ks, 0, "a", &flags[0]);
    watch(ks, 1, "a", &flags[1]);
    watch(ks, 0, "none", &flags[2]);
    watch(ks, 0, "b", &flags[3]);
    watch(ks, 2, "a", &flags[4]);
    keyspace_swap(ks, 0, 1, 0);
    assert_true(flags[0] && flags[1] && flags[3]);
    assert_false(flags[2] || flags[4]);
    assert_non_null(get(ks, 1, "a").entry);
    assert_non_null(get(ks, 0, "b").entry);
    assert_true(keyspace_is_valid(ks));
    for (int i = 0; i < 5; i++) flags[i] = false;

    assert_int_equal(keyspace_flush(ks, 0), 1);
    assert_true(flags[3]);
    assert_false(flags[0] || flags[1] || flags[2]);
    assert_int_equal(keyspace_flush(ks, 0), 0);
    assert_int_equal(keyspace_flush(ks, UINT32_MAX), 1);
    assert_true(flags[1]);
    assert_int_equal(told.tables, 0); // not before their entries are freed
    while (keyspace_free_step(ks, 1)) {
    }
    assert_int_equal(told.tables, 2);
    assert_int_equal(ks->memory, 0);
    assert_int_equal(keyspace_memory(ks), 0);
    assert_true(keyspace_is_valid(ks));
    keyspace_free(ks);
}

static void test_a_swap_does_not_change_what_has_expired(void **state) {
    (void)state;
    struct told told;
    struct keyspace *ks = make(&told);
    set(ks, 0, "a", SLICE_LITERAL("1"), START_MS);
    set(ks, 0, "due", SLICE_LITERAL("1"), START_MS);
    set(ks, 1, "due", SLICE_LITERAL("1"), START_MS + 1);
    _Atomic bool flags[2] = {false, false};
    watch(ks, 1, "a", &flags[0]);
    watch(ks, 1, "due", &flags[1]);
    keyspace_swap(ks, 0, 1, START_MS + 1); // a key lives through its last millisecond
    assert_false(flags[0]);
    assert_true(flags[1]);
    assert_null(get(ks, 1, "a").entry);
    assert_null(get(ks, 1, "due").entry);
    assert_non_null(get(ks, 0, "due").entry);
    assert_true(keyspace_is_valid(ks));
    keyspace_free(ks);
}

/** Steps until nothing more is due; returns how many steps that took. */
static uint64_t expire_all(struct keyspace *ks, int64_t now_ms, uint32_t budget) {
    uint64_t steps = 1;
    while (keyspace_expire_step(ks, now_ms, budget)) {
        steps++;
        assert_true(steps < 10000000);
    }
    return steps;
}

static void test_a_million_keys_of_one_second_go_in_bounded_steps(void **state) {
    (void)state;
    struct told told;
    struct keyspace *ks = make(&told);
    const uint64_t n = 1000000;
    for (uint64_t i = 0; i < n; i++) set_number(ks, 0, i, START_MS + 60000 + (int64_t)(i % 1000));
    set_number(ks, 0, n, START_MS + 61500);
    set_number(ks, 0, n + 1, ENTRY_NO_EXPIRE);
    // One visit brings the keys from minutes to tenths of a second, another one removes them.
    const uint32_t budget = 4000;
    uint64_t steps = 0;
    for (int64_t now = START_MS; now < START_MS + 60000; now += 100) {
        steps += expire_all(ks, now, budget);
    }
    assert_int_equal(db_count(&ks->dbs[0]), n + 2);
    // Two visits an entry at most, and the empty steps.
    assert_true(steps < 600 + 2 * n * KEYSPACE_REMOVAL_COST / budget + 1000);
    uint64_t before = 0, worst = 0;
    steps = 0;
    bool more;
    do {
        before = db_count(&ks->dbs[0]);
        more = keyspace_expire_step(ks, START_MS + 61100, budget);
        uint64_t removed = before - db_count(&ks->dbs[0]);
        if (removed > worst) worst = removed;
        steps++;
    } while (more);
    assert_int_equal(db_count(&ks->dbs[0]), 2);
    assert_true(worst <= budget / KEYSPACE_REMOVAL_COST + 40);
    assert_true(steps < 2 * n * KEYSPACE_REMOVAL_COST / budget);
    assert_int_equal(ks->stats.expired_keys, n);
    assert_true(keyspace_is_valid(ks));
    assert_true(table_memory(&ks->dbs[0].table) < 4096);
    expire_all(ks, START_MS + 62000, budget);
    assert_int_equal(db_count(&ks->dbs[0]), 1);
    keyspace_free(ks);
}

/** Sets of some 50 KiB in many small blocks: too small to be freed elsewhere. */
static void add_sets(struct keyspace *ks, int count, int64_t expire_ms) {
    for (int i = 0; i < count; i++) {
        char text[24];
        struct value v = tset_new();
        for (int m = 0; m < 1500; m++) {
            int n = snprintf(text, sizeof(text), "member %d", m);
            tset_add(&v, slice_of(text, (size_t)n), &value_default_limits);
        }
        snprintf(text, sizeof(text), "set %d", i);
        struct key key = key_of(ks, slice_text(text));
        struct entry *e = entry_new_value(key.text, v, expire_ms);
        assert_in_range(entry_outside_memory(e), ENTRY_BIG_FREE / 2, ENTRY_BIG_FREE - 1);
        db_insert(&ks->dbs[0], key, e);
    }
}

/** What values take to be freed counts, not only how many they are. */
static void test_steps_are_short_when_values_are_not_small(void **state) {
    (void)state;
    enum { SETS = 120, MOST = 20 }; // a bucket is emptied as a whole
    struct told told;
    struct keyspace *ks = make(&told);
    uint64_t worst = 0;
    add_sets(ks, SETS, START_MS + 100);
    bool more;
    do {
        uint64_t before = db_count(&ks->dbs[0]);
        more = keyspace_expire_step(ks, START_MS + 5000, 4096);
        uint64_t removed = before - db_count(&ks->dbs[0]);
        if (removed > worst) worst = removed;
    } while (more);
    assert_int_equal(db_count(&ks->dbs[0]), 0);
    assert_in_range(worst, 1, MOST);

    add_sets(ks, SETS, ENTRY_NO_EXPIRE);
    keyspace_flush(ks, 0);
    int steps = 1;
    while (keyspace_free_step(ks, 1024)) steps++;
    assert_true(steps >= SETS / MOST);
    assert_int_equal(told.entries, 0);
    assert_int_equal(told.tables, 1);
    keyspace_free(ks);
}

static void test_far_expiry_comes_at_its_time(void **state) {
    (void)state;
    static const int64_t spans_ms[] = {
        1, 99, 100, 6299, 6300, 6301, 60000, HOUR_MS, 25 * HOUR_MS, 400 * HOUR_MS, 90000 * HOUR_MS};
    for (size_t i = 0; i < sizeof(spans_ms) / sizeof(spans_ms[0]); i++) {
        struct told told;
        struct keyspace *ks = make(&told);
        int64_t at = START_MS + spans_ms[i];
        set(ks, 0, "k", SLICE_LITERAL("v"), at);
        // Time passes in steps of about a thousandth of the span, from the start to just before it.
        int64_t step = spans_ms[i] / 1000 + 1;
        for (int64_t now = START_MS; now <= at; now += step) expire_all(ks, now, 100);
        expire_all(ks, at, 100);
        assert_non_null(get(ks, 0, "k").entry);
        assert_true(keyspace_is_valid(ks));
        expire_all(ks, at + 101, 100);
        assert_null(get(ks, 0, "k").entry);
        assert_int_equal(ks->stats.expired_keys, 1);
        keyspace_free(ks);
    }
}

static void test_clocks_may_jump_either_way(void **state) {
    (void)state;
    struct told told;
    struct keyspace *ks = make(&told);
    set(ks, 0, "soon", SLICE_LITERAL("v"), START_MS + 1000);
    set(ks, 0, "far", SLICE_LITERAL("v"), START_MS + 1000 * HOUR_MS);
    set(ks, 0, "never", SLICE_LITERAL("v"), INT64_MAX);
    set(ks, 0, "past", SLICE_LITERAL("v"), 0);
    expire_all(ks, START_MS - 500 * HOUR_MS, 100); // set back
    assert_null(get(ks, 0, "past").entry);
    set(ks, 0, "early", SLICE_LITERAL("v"), START_MS - 500 * HOUR_MS + 5000);
    expire_all(ks, START_MS - 500 * HOUR_MS + 5200, 100);
    assert_null(get(ks, 0, "early").entry);
    assert_int_equal(db_count(&ks->dbs[0]), 3);
    expire_all(ks, START_MS + 500 * HOUR_MS, 100); // forward
    assert_null(get(ks, 0, "soon").entry);
    assert_int_equal(db_count(&ks->dbs[0]), 2);
    expire_all(ks, START_MS + 1001 * HOUR_MS, 100);
    assert_null(get(ks, 0, "far").entry);
    assert_non_null(get(ks, 0, "never").entry);
    assert_true(keyspace_is_valid(ks));
    // A past expiry that was set while the clock was ahead goes after it was set back, too.
    set(ks, 0, "past", SLICE_LITERAL("v"), START_MS);
    expire_all(ks, START_MS + 1, 100);
    expire_all(ks, START_MS + 200, 100);
    assert_null(get(ks, 0, "past").entry);
    assert_true(keyspace_is_valid(ks));
    keyspace_free(ks);
}

static void test_lent_keys_wait(void **state) {
    (void)state;
    struct told told;
    struct keyspace *ks = make(&told);
    set(ks, 0, "k", SLICE_LITERAL("v"), START_MS + 1000);
    told.lent = key_of(ks, SLICE_LITERAL("k")).hash;
    for (int64_t now = START_MS; now < START_MS + 20000; now += 100) {
        assert_true(expire_all(ks, now, 100) < 3);
    }
    assert_non_null(get(ks, 0, "k").entry);
    told.lent = 0;
    expire_all(ks, START_MS + 20200, 100);
    assert_null(get(ks, 0, "k").entry);
    keyspace_free(ks);
}

static void test_average_ttl_is_close(void **state) {
    (void)state;
    struct told told;
    struct keyspace *ks = make(&told);
    assert_int_equal(db_average_ttl_ms(&ks->dbs[0], START_MS), 0);
    for (uint64_t i = 0; i < 1000; i++) set_number(ks, 0, i, START_MS + 100000 + (int64_t)i);
    assert_in_range(db_average_ttl_ms(&ks->dbs[0], START_MS), 94000, 107000);
    assert_in_range(db_average_ttl_ms(&ks->dbs[0], START_MS + 50000), 44000, 57000);
    keyspace_free(ks);
}

#define KEYS 3000
#define DBS  4
struct model {
    bool in[DBS][KEYS];
    int64_t expire_ms[DBS][KEYS];
};

static int64_t random_expiry(struct random *r, int64_t now_ms) {
    static const uint64_t spans_ms[] = {200, 7000, 400000, 30000000, UINT64_C(3000000000)};
    if (random_below(r, 2)) return ENTRY_NO_EXPIRE;
    return now_ms - 50 + (int64_t)random_below(r, spans_ms[random_below(r, 5)]);
}

static void change(struct keyspace *ks, struct model *m, struct random *r, int64_t now_ms) {
    static const size_t lengths[] = {1, 30, 100, 2000};
    static const char text[2000] = {'x'};
    uint32_t db = (uint32_t)random_below(r, DBS);
    uint64_t number = random_below(r, KEYS);
    char name[24];
    snprintf(name, sizeof(name), "%llu", (unsigned long long)number);
    struct key key = key_of(ks, slice_text(name));
    struct table_ref ref = db_find(&ks->dbs[db], key);
    bool gone = m->in[db][number] && ref.entry == NULL;
    // Only expiry removes behind the model's back, and only what has expired.
    if (gone) assert_true(m->expire_ms[db][number] != -1 && m->expire_ms[db][number] < now_ms);
    if (!m->in[db][number]) assert_null(ref.entry);
    uint64_t what = random_below(r, 100);
    if (what < 45) {
        int64_t at = random_expiry(r, now_ms);
        struct slice value = slice_of(text, random_below(r, lengths[random_below(r, 4)]));
        db_set_string(&ks->dbs[db], key, ref, value, at);
        m->in[db][number] = true;
        m->expire_ms[db][number] = at;
    } else if (what < 60 && ref.entry != NULL) {
        m->expire_ms[db][number] = random_expiry(r, now_ms);
        db_set_expire(&ks->dbs[db], key, &ref, m->expire_ms[db][number]);
    } else if (ref.entry != NULL) {
        assert_int_equal(entry_expire_ms(ref.entry), m->expire_ms[db][number]);
        db_delete(&ks->dbs[db], key, ref);
        m->in[db][number] = false;
    } else {
        m->in[db][number] = false;
    }
}

static void test_random_operations_agree_with_a_reference(void **state) {
    (void)state;
    struct told told;
    int64_t used = mem_used();
    struct keyspace *ks = make(&told);
    struct model *m = calloc(1, sizeof(*m));
    assert_non_null(m);
    struct random r;
    random_init(&r, 5);
    int64_t now = START_MS;
    for (uint64_t step = 0; step < 300000; step++) {
        change(ks, m, &r, now);
        if (random_below(&r, 4) == 0) {
            now += (int64_t)random_below(&r, random_below(&r, 50) == 0 ? 200000 : 60);
            keyspace_expire_step(ks, now, 1 + (uint32_t)random_below(&r, 60));
        }
        if (random_below(&r, 20000) == 0) {
            uint32_t a = (uint32_t)random_below(&r, DBS), b = (uint32_t)random_below(&r, DBS);
            keyspace_swap(ks, a, b, 0);
            struct model *copy = malloc(sizeof(*copy));
            memcpy(copy, m, sizeof(*m));
            memcpy(m->in[a], copy->in[b], sizeof(m->in[a]));
            memcpy(m->in[b], copy->in[a], sizeof(m->in[b]));
            memcpy(m->expire_ms[a], copy->expire_ms[b], sizeof(m->expire_ms[a]));
            memcpy(m->expire_ms[b], copy->expire_ms[a], sizeof(m->expire_ms[b]));
            free(copy);
        }
        if (random_below(&r, 40000) == 0) {
            uint32_t db = (uint32_t)random_below(&r, DBS);
            keyspace_flush(ks, db);
            memset(m->in[db], 0, sizeof(m->in[db]));
        }
        if (step % 500 == 0) assert_true(keyspace_is_valid(ks));
    }
    // After all the rest has been given its time, nothing that expires is left.
    for (int i = 0; i < 400; i++) expire_all(ks, now += 10 * HOUR_MS, 1000);
    for (uint32_t db = 0; db < DBS; db++) {
        assert_int_equal(db_expires(&ks->dbs[db]), 0);
        uint64_t left = 0;
        for (uint64_t i = 0; i < KEYS; i++) left += m->in[db][i] && m->expire_ms[db][i] == -1;
        assert_int_equal(db_count(&ks->dbs[db]), left);
    }
    assert_true(keyspace_is_valid(ks));
    keyspace_free(ks);
    free(m);
    assert_int_equal(mem_used(), used);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_is_exact_and_hooks_are_called),
        cmocka_unit_test(test_same_size_set_allocates_nothing),
        cmocka_unit_test(test_watches_see_changes_of_their_key_only),
        cmocka_unit_test(test_many_watches),
        cmocka_unit_test(test_flush_and_swap_tell_watchers_of_keys_that_existed),
        cmocka_unit_test(test_a_swap_does_not_change_what_has_expired),
        cmocka_unit_test(test_a_million_keys_of_one_second_go_in_bounded_steps),
        cmocka_unit_test(test_steps_are_short_when_values_are_not_small),
        cmocka_unit_test(test_far_expiry_comes_at_its_time),
        cmocka_unit_test(test_clocks_may_jump_either_way),
        cmocka_unit_test(test_lent_keys_wait),
        cmocka_unit_test(test_average_ttl_is_close),
        cmocka_unit_test(test_random_operations_agree_with_a_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
