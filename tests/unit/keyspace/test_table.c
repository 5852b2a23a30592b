// SPDX-License-Identifier: BSD-3-Clause
//
// The hash table against a reference, and SCAN's promise as a property: random growth, shrinking
// and deletion between steps, every key that was present throughout returned. Single-threaded;
// every random choice follows from a fixed seed. table_is_valid() is called after each change in
// small tables and at intervals in larger ones.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/alloc.h"
#include "engine/base/hash.h"
#include "engine/base/random.h"
#include "engine/keyspace/table.h"

#define SEED UINT64_C(0x5eed)

struct name {
    char text[24];
};

static struct slice name_of(struct name *n, uint64_t number) {
    int length = snprintf(n->text, sizeof(n->text), "key:%llu", (unsigned long long)number);
    return slice_of(n->text, (size_t)length);
}

static uint64_t hash_of(struct slice key) { return hash_bytes(key.p, key.n, SEED); }

static struct table_ref find(const struct table *t, uint64_t number) {
    struct name n;
    struct slice key = name_of(&n, number);
    return table_find(t, key, hash_of(key));
}

static void insert(struct table *t, uint64_t number) {
    struct name n;
    struct slice key = name_of(&n, number);
    table_insert(t, entry_new_int(key, (int64_t)number, ENTRY_NO_EXPIRE), hash_of(key), 0);
}

static void drop(struct table *t, uint64_t number) {
    struct name n;
    struct slice key = name_of(&n, number);
    struct table_ref ref = table_find(t, key, hash_of(key));
    assert_non_null(ref.entry);
    table_remove(t, ref, hash_of(key));
    entry_free(ref.entry);
}

static uint64_t number_of(const struct entry *e) {
    int64_t number = -1;
    assert_true(entry_string_i64(e, &number));
    return (uint64_t)number;
}

static void free_one(void *context, struct entry *e) {
    (void)context;
    entry_free(e);
}

static void clear(struct table *t) {
    table_each(t, free_one, NULL);
    table_fini(t);
}

static void test_empty_table_finds_nothing_and_holds_nothing(void **state) {
    (void)state;
    struct table t;
    table_init(&t, SEED);
    assert_null(find(&t, 1).entry);
    assert_null(table_random(&t, 1));
    assert_int_equal(table_memory(&t), 0);
    assert_int_equal(table_scan(&t, 0, free_one, NULL), 0);
    table_prefetch(&t, 1);
    table_prefetch_entry(&t, 1);
    assert_true(table_is_valid(&t));
    table_fini(&t);
}

static void test_grows_and_shrinks_by_single_steps(void **state) {
    (void)state;
    struct table t;
    table_init(&t, SEED);
    int64_t before = mem_used();
    for (uint64_t i = 0; i < 3000; i++) {
        insert(&t, i);
        assert_true(table_is_valid(&t));
    }
    for (uint64_t i = 0; i < 3000; i++) assert_int_equal(number_of(find(&t, i).entry), i);
    assert_null(find(&t, 3000).entry);
    assert_true(table_memory(&t) < 3000 * 16);
    for (uint64_t i = 0; i < 3000; i++) {
        drop(&t, i);
        assert_true(table_is_valid(&t));
    }
    assert_int_equal(t.count, 0);
    assert_true(table_memory(&t) <= 256);
    clear(&t);
    assert_int_equal(mem_used(), before);
}

static void test_memory_follows_the_number_of_entries(void **state) {
    (void)state;
    struct table t;
    table_init(&t, SEED);
    int64_t before = mem_used();
    const uint64_t n = 400000; // 5 MB of buckets: past the change to huge pages
    for (uint64_t i = 0; i < n; i++) insert(&t, i);
    assert_true(table_is_valid(&t));
    assert_true(table_memory(&t) < n * 14);
    for (uint64_t i = 0; i < n - 1000; i++) drop(&t, i);
    assert_true(table_is_valid(&t));
    assert_true(table_memory(&t) < 1000 * 24 + 16384);
    for (uint64_t i = n - 1000; i < n; i++) {
        assert_int_equal(number_of(find(&t, i).entry), i);
        drop(&t, i);
    }
    assert_true(table_memory(&t) <= 256);
    assert_true(table_is_valid(&t));
    clear(&t);
    assert_int_equal(mem_used(), before);
}

static void test_swinging_around_a_size_does_not_swing_the_memory(void **state) {
    (void)state;
    struct table t;
    table_init(&t, SEED);
    for (uint64_t i = 0; i < 40000; i++) insert(&t, i);
    uint64_t nbuckets = t.nbuckets;
    size_t committed = t.committed;
    for (uint64_t round = 0; round < 1000; round++) {
        insert(&t, 40000 + round);
        drop(&t, 40000 + round);
        assert_true(t.nbuckets <= nbuckets + 1);
        assert_int_equal(t.committed, committed);
    }
    clear(&t);
}

/** The reference: numbers 0..LIMIT-1 and whether each is in the table. */
#define LIMIT 20000
struct model {
    bool in[LIMIT];
    uint64_t count;
};

static void check_against(const struct table *t, const struct model *m) {
    assert_int_equal(t->count, m->count);
    assert_true(table_is_valid(t));
    for (uint64_t i = 0; i < LIMIT; i++) {
        struct entry *e = find(t, i).entry;
        assert_int_equal(e != NULL, m->in[i]);
        if (e != NULL) assert_int_equal(number_of(e), i);
    }
}

static void test_random_operations_agree_with_a_reference(void **state) {
    (void)state;
    struct model *m = calloc(1, sizeof(*m));
    assert_non_null(m);
    struct table t;
    table_init(&t, SEED);
    struct random r;
    random_init(&r, 7);
    for (uint64_t step = 0; step < 600000; step++) {
        // The range that is used swells and shrinks, so that the table does.
        uint64_t range = 10 + (step / 50000 % 2 ? LIMIT - 10 : 500);
        uint64_t number = random_below(&r, range);
        if (step / 25000 % 4 == 3) number = random_below(&r, LIMIT);
        bool insert_it = step / 25000 % 4 == 3 ? false : random_below(&r, 100) < 60;
        if (!m->in[number] && insert_it) {
            insert(&t, number);
            m->in[number] = true;
            m->count++;
        } else if (m->in[number] && !insert_it) {
            drop(&t, number);
            m->in[number] = false;
            m->count--;
        } else {
            assert_int_equal(find(&t, number).entry != NULL, m->in[number]);
        }
        if (step % 20000 == 0) check_against(&t, m);
    }
    check_against(&t, m);
    clear(&t);
    free(m);
}

static void test_replace_keeps_the_slot_and_changes_entry_and_code(void **state) {
    (void)state;
    struct table t;
    table_init(&t, SEED);
    for (uint64_t i = 0; i < 100; i++) insert(&t, i);
    struct name n;
    struct slice key = name_of(&n, 42);
    struct table_ref ref = table_find(&t, key, hash_of(key));
    assert_int_equal(table_ref_code(ref), 0);
    struct entry *old = ref.entry;
    table_replace(&ref, entry_new_int(key, 42, 5000), 17);
    entry_free(old);
    assert_int_equal(table_ref_code(find(&t, 42)), 17);
    assert_int_equal(entry_expire_ms(find(&t, 42).entry), 5000);
    assert_true(table_is_valid(&t));
    clear(&t);
}

static void test_merging_leaves_a_walk_its_order(void **state) {
    (void)state;
    struct table t;
    table_init(&t, SEED);
    for (uint64_t i = 0; i < 7000; i++) insert(&t, i);
    uint64_t nbuckets = t.nbuckets;
    t.walked = nbuckets / 2;
    // The last bucket would go to one that the walk has passed: merging waits.
    for (uint64_t i = 0; i < 4000; i++) drop(&t, i);
    assert_int_equal(t.walked, nbuckets / 2);
    assert_int_equal(t.nbuckets, nbuckets);
    assert_false(table_shrink_step(&t));
    // Emptied almost, the table sends the walk back instead.
    for (uint64_t i = 4000; i < 6990; i++) drop(&t, i);
    assert_true(t.walked < nbuckets / 2);
    assert_true(t.nbuckets < nbuckets / 4);
    assert_true(table_is_valid(&t));
    clear(&t);
}

struct seen {
    uint8_t *times;
};

static void see(void *context, struct entry *e) {
    struct seen *s = context;
    s->times[number_of(e)]++;
}

static void test_scan_of_a_resting_table_returns_everything_once(void **state) {
    (void)state;
    for (uint64_t n = 1; n <= 3000; n = n * 3 / 2 + 1) {
        struct table t;
        table_init(&t, SEED);
        for (uint64_t i = 0; i < n; i++) insert(&t, i);
        struct seen s = {calloc(n, 1)};
        uint64_t cursor = 0, steps = 0;
        do {
            cursor = table_scan(&t, cursor, see, &s);
            assert_true(cursor >> TABLE_CURSOR_BITS == 0);
            steps++;
        } while (cursor != 0);
        assert_int_equal(steps, t.nbuckets);
        for (uint64_t i = 0; i < n; i++) assert_int_equal(s.times[i], 1);
        free(s.times);
        clear(&t);
    }
}

/** One scan over a table that changes between the steps; numbers below `stay` are never touched. */
static void scan_while_changing(uint64_t seed) {
    struct random r;
    random_init(&r, seed);
    struct table t;
    table_init(&t, SEED);
    bool in[8192] = {false};
    uint64_t stay = 1 + random_below(&r, 300);
    for (uint64_t i = 0; i < stay; i++) insert(&t, i);
    uint64_t volatile_count = random_below(&r, 8192 - stay);
    for (uint64_t i = stay; i < stay + volatile_count; i++) {
        insert(&t, i);
        in[i] = true;
    }
    struct seen s = {calloc(8192, 1)};
    uint64_t cursor = 0, steps = 0;
    bool growing = random_below(&r, 2) == 0;
    do {
        uint64_t next = table_scan(&t, cursor, see, &s);
        assert_true(next == 0 || next > cursor);
        cursor = next;
        assert_true(++steps <= 65536);
        if (random_below(&r, 40) == 0) growing = !growing;
        for (uint64_t change = random_below(&r, 200); change != 0; change--) {
            uint64_t number = stay + random_below(&r, 8192 - stay);
            if (growing && !in[number]) {
                insert(&t, number);
                in[number] = true;
            } else if (!growing && in[number]) {
                drop(&t, number);
                in[number] = false;
            }
        }
    } while (cursor != 0);
    for (uint64_t i = 0; i < stay; i++) {
        if (s.times[i] == 0)
            fail_msg("seed %llu: key %llu missed", (unsigned long long)seed, (unsigned long long)i);
    }
    free(s.times);
    clear(&t);
}

static void test_scan_misses_nothing_while_the_table_changes(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 150; seed++) scan_while_changing(seed);
}

static void test_a_foreign_cursor_ends_the_scan_or_goes_on(void **state) {
    (void)state;
    struct table t;
    table_init(&t, SEED);
    for (uint64_t i = 0; i < 500; i++) insert(&t, i);
    struct seen s = {calloc(500, 1)};
    assert_int_equal(table_scan(&t, UINT64_C(1) << TABLE_CURSOR_BITS, see, &s), 0);
    assert_int_equal(table_scan(&t, UINT64_MAX, see, &s), 0);
    uint64_t cursor = (UINT64_C(1) << TABLE_CURSOR_BITS) - 1;
    assert_int_equal(table_scan(&t, cursor, see, &s), 0);
    assert_true(table_scan(&t, cursor / 3, see, &s) > cursor / 3);
    free(s.times);
    clear(&t);
}

static void test_random_entries_are_spread(void **state) {
    (void)state;
    struct table t;
    table_init(&t, SEED);
    const uint64_t n = 300;
    for (uint64_t i = 0; i < n; i++) insert(&t, i);
    struct random r;
    random_init(&r, 3);
    uint32_t times[300] = {0};
    for (int i = 0; i < 300 * 200; i++) times[number_of(table_random(&t, random_next(&r)))]++;
    for (uint64_t i = 0; i < n; i++) assert_in_range(times[i], 120, 290);
    clear(&t);
}

static void test_little_address_space_is_enough(void **state) {
    (void)state;
#if defined(TORC_SANITIZE)
    skip(); // sanitizers themselves need terabytes of address space
#else
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        // 192 MiB above what is mapped now: the table starts small and has to move when it grows.
        FILE *f = fopen("/proc/self/statm", "r");
        unsigned long pages = 0;
        if (f == NULL || fscanf(f, "%lu", &pages) != 1) _exit(2);
        fclose(f);
        struct rlimit limit = {pages * 4096 + (192u << 20), RLIM_INFINITY};
        if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(3);
        struct table t;
        table_init(&t, SEED);
        for (uint64_t i = 0; i < 300000; i++) insert(&t, i);
        if (!table_is_valid(&t) || t.reserved > (192u << 20)) _exit(4);
        clear(&t);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
#endif
}

#define CROWD      6000 // entries of one bucket: more than a link can count
#define CROWD_MASK 1023

/** The first `count` numbers whose keys' hashes end in ten zero bits: all of one bucket. */
static uint64_t *crowd_numbers(size_t count) {
    uint64_t *numbers = mem_alloc(count * sizeof(*numbers));
    size_t n = 0;
    for (uint64_t number = 0; n < count; number++) {
        struct name name;
        if ((hash_of(name_of(&name, number)) & CROWD_MASK) == 0) numbers[n++] = number;
    }
    return numbers;
}

static void count_visit(void *context, struct entry *e) {
    (void)e;
    ++*(size_t *)context;
}

static void test_thousands_of_entries_of_one_bucket_are_only_slow(void **state) {
    (void)state;
    uint64_t *numbers = crowd_numbers(CROWD);
    struct table t;
    table_init(&t, SEED);
    for (size_t i = 0; i < CROWD; i++) {
        insert(&t, numbers[i]);
        if (i % 500 == 0 || (i > 4085 && i < 4120)) assert_true(table_is_valid(&t));
    }
    size_t visited = 0;
    table_each(&t, count_visit, &visited);
    assert_int_equal(visited, CROWD);
    for (size_t i = 0; i < CROWD; i++) assert_non_null(find(&t, numbers[i]).entry);
    for (size_t i = 0; i < CROWD - 1500; i++) {
        drop(&t, numbers[i]);
        if (i % 500 == 0 || (i > 3930 && i < 3970)) assert_true(table_is_valid(&t));
    }
    assert_null(find(&t, numbers[0]).entry);
    assert_non_null(find(&t, numbers[CROWD - 1]).entry);
    for (size_t i = CROWD - 1500; i < CROWD; i++) drop(&t, numbers[i]);
    assert_true(table_is_valid(&t));
    assert_int_equal(t.count, 0);
    table_fini(&t);
    mem_free(numbers);
}

static void free_drained(void *context, struct entry *e) {
    ++*(size_t *)context;
    entry_free(e);
}

static void test_draining_in_steps_leaves_nothing(void **state) {
    (void)state;
    uint64_t *numbers = crowd_numbers(CROWD); // a long overflow array, too
    struct table t;
    table_init(&t, SEED);
    for (size_t i = 0; i < CROWD; i++) insert(&t, numbers[i]);
    size_t freed = 0, steps = 0;
    for (uint64_t bucket = 0; bucket < t.nbuckets; steps++) {
        uint32_t budget = 100;
        bucket = table_drain(&t, bucket, &budget, free_drained, &freed);
    }
    assert_int_equal(freed, CROWD);
    assert_true(steps > 1);
    assert_int_equal(t.overflow, 0);
    table_fini(&t);
    mem_free(numbers);
}

static void test_an_expected_table_is_like_a_grown_one(void **state) {
    (void)state;
    for (uint64_t count = 0; count < 3000; count = count * 3 / 2 + 1) {
        struct table grown, expected;
        table_init(&grown, SEED);
        table_init(&expected, SEED);
        table_expect(&expected, count);
        assert_true(table_is_valid(&expected));
        uint64_t buckets = expected.nbuckets;
        for (uint64_t i = 0; i < count; i++) {
            insert(&grown, i);
            insert(&expected, i);
        }
        assert_true(table_is_valid(&expected));
        assert_int_equal(expected.nbuckets, buckets);
        assert_in_range(grown.nbuckets, buckets, buckets + 1);
        if (count > 0) assert_non_null(find(&expected, count - 1).entry);
        table_expect(&expected, 100000); // it is not empty
        assert_true(count == 0 || expected.nbuckets == buckets);
        clear(&grown);
        clear(&expected);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_table_finds_nothing_and_holds_nothing),
        cmocka_unit_test(test_grows_and_shrinks_by_single_steps),
        cmocka_unit_test(test_memory_follows_the_number_of_entries),
        cmocka_unit_test(test_swinging_around_a_size_does_not_swing_the_memory),
        cmocka_unit_test(test_random_operations_agree_with_a_reference),
        cmocka_unit_test(test_replace_keeps_the_slot_and_changes_entry_and_code),
        cmocka_unit_test(test_merging_leaves_a_walk_its_order),
        cmocka_unit_test(test_scan_of_a_resting_table_returns_everything_once),
        cmocka_unit_test(test_scan_misses_nothing_while_the_table_changes),
        cmocka_unit_test(test_a_foreign_cursor_ends_the_scan_or_goes_on),
        cmocka_unit_test(test_random_entries_are_spread),
        cmocka_unit_test(test_thousands_of_entries_of_one_bucket_are_only_slow),
        cmocka_unit_test(test_draining_in_steps_leaves_nothing),
        cmocka_unit_test(test_an_expected_table_is_like_a_grown_one),
        cmocka_unit_test(test_little_address_space_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
