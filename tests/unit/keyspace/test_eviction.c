// SPDX-License-Identifier: BSD-3-Clause
//
// Access information (LRU seconds, LFU counters as Redis grows and decays them) and eviction: each
// order picks the victims it should, volatile rules touch no other entries and find the few there
// are in bounded steps, what has been used since it was looked at stays, what is lent stays,
// watchers learn of it. Single-threaded, seeded, virtual time; bounds are counted, not timed.
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/base/alloc.h"
#include "engine/keyspace/access.h"
#include "engine/keyspace/keyspace.h"

#define START_MS  INT64_C(1700000000000)
#define MINUTE_MS INT64_C(60000)
#define AMPLE     1000000u

static uint64_t lent_hash;

static bool is_lent(void *context, uint64_t hash) {
    (void)context;
    return hash == lent_hash;
}

static struct keyspace *make(void) {
    struct keyspace_hooks hooks = {.is_lent = is_lent};
    lent_hash = 0;
    struct keyspace *ks = keyspace_new(4, 0, 99, 1, &hooks);
    keyspace_expire_step(ks, START_MS, 100);
    return ks;
}

static struct key key_number(const struct keyspace *ks, uint64_t number, char name[24]) {
    snprintf(name, 24, "%llu", (unsigned long long)number);
    return key_of(ks, slice_text(name));
}

static void set(struct keyspace *ks, uint32_t db, uint64_t number, uint32_t access, int64_t ms) {
    char name[24];
    struct key key = key_number(ks, number, name);
    struct entry *e =
        db_set_string(&ks->dbs[db], key, db_find(&ks->dbs[db], key), SLICE_LITERAL("value"), ms);
    entry_set_access(e, access);
}

static struct entry *get(struct keyspace *ks, uint32_t db, uint64_t number) {
    char name[24];
    return db_find(&ks->dbs[db], key_number(ks, number, name)).entry;
}

static bool evict(struct keyspace *ks, const struct eviction_rules *rules) {
    uint32_t budget = AMPLE;
    return keyspace_evict(ks, rules, START_MS, &budget);
}

// ---- access information ------------------------------------------------------------------------

static void test_lru_seconds(void **state) {
    (void)state;
    uint32_t access = access_lru(START_MS);
    assert_int_equal(access_idle_s(access, START_MS), 0);
    assert_int_equal(access_idle_s(access, START_MS + 999), 0);
    assert_int_equal(access_idle_s(access, START_MS + 61000), 61);
    // The clock's 24 bits run over after 194 days.
    assert_int_equal(access_idle_s(0xffffff, INT64_C(1000) << 24), 1);
}

static void test_lfu_decay(void **state) {
    (void)state;
    uint32_t access = access_lfu_new(START_MS);
    assert_int_equal(access_frequency(access, START_MS, 1), 5);
    assert_int_equal(access_frequency(access, START_MS + 3 * MINUTE_MS, 1), 2);
    assert_int_equal(access_frequency(access, START_MS + 3 * MINUTE_MS, 2), 4);
    assert_int_equal(access_frequency(access, START_MS + 60 * MINUTE_MS, 1), 0);
    assert_int_equal(access_frequency(access, START_MS + 60 * MINUTE_MS, 0), 5);
    // A use after a decay counts from what is left, at the present minute.
    struct random random;
    random_init(&random, 1);
    access = access_lfu_used(access, START_MS + 4 * MINUTE_MS, 1, 10, &random);
    assert_int_equal(access & 0xff, 2);
    assert_int_equal(access_frequency(access, START_MS + 5 * MINUTE_MS, 1), 1);
}

/** The mean counter of a key after so many uses. */
static double counter_after(uint32_t uses, uint32_t log_factor) {
    struct random random;
    random_init(&random, 7);
    double sum = 0;
    const int keys = 50;
    for (int key = 0; key < keys; key++) {
        uint32_t access = access_lfu_new(START_MS);
        for (uint32_t i = 0; i < uses; i++)
            access = access_lfu_used(access, START_MS, 1, log_factor, &random);
        sum += access & 0xff;
    }
    return sum / keys;
}

static void test_lfu_increments(void **state) {
    (void)state;
    // redis.conf's table of counters by log factor and number of hits.
    static const struct {
        uint32_t factor, uses;
        double counter;
    } table[] = {{0, 100, 104},  {1, 100, 18},      {1, 1000, 49},   {10, 100, 10},
                 {10, 1000, 18}, {10, 100000, 142}, {100, 1000, 11}, {100, 100000, 49}};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        double counter = counter_after(table[i].uses, table[i].factor);
        double off = counter - table[i].counter;
        if (off < -1.5 - table[i].counter * 0.05 || off > 1.5 + table[i].counter * 0.05)
            fail_msg("factor %u, %u uses: %.1f, not %.1f", table[i].factor, table[i].uses, counter,
                     table[i].counter);
    }
    assert_true(counter_after(100000, 0) == 255);
}

// ---- which entries go --------------------------------------------------------------------------

/** How many of the entries [from, to) are there. */
static uint64_t present(struct keyspace *ks, uint64_t from, uint64_t to) {
    uint64_t n = 0;
    for (uint64_t i = from; i < to; i++) n += get(ks, i % 2, i) != NULL;
    return n;
}

/** Evicts 3000 of 10000 entries, 0 being the best victim, and looks which stayed. */
static void check_order(struct keyspace *ks, const struct eviction_rules *rules) {
    for (int i = 0; i < 3000; i++) assert_true(evict(ks, rules));
    assert_true(keyspace_is_valid(ks));
    assert_int_equal(ks->stats.evicted_keys, 3000);
    // Of the worst victims next to none goes, of the best next to all.
    assert_true(present(ks, 5000, 10000) > 4950);
    assert_true(present(ks, 0, 1500) < 75);
    keyspace_free(ks);
}

static void test_lru_takes_the_longest_unused(void **state) {
    (void)state;
    struct keyspace *ks = make();
    uint32_t now = access_lru(START_MS);
    for (uint64_t i = 0; i < 10000; i++)
        set(ks, i % 2, i, (now - 20000 + (uint32_t)i) & 0xffffff, ENTRY_NO_EXPIRE);
    check_order(ks, &(struct eviction_rules){.order = EVICT_LRU, .samples = 10});
}

static void test_lfu_takes_the_least_used(void **state) {
    (void)state;
    struct keyspace *ks = make();
    for (uint64_t i = 0; i < 10000; i++) {
        uint32_t access = (access_minutes(START_MS) << 8) | (uint32_t)(i / 40);
        set(ks, i % 2, i, access, ENTRY_NO_EXPIRE);
    }
    check_order(ks, &(struct eviction_rules){.order = EVICT_LFU, .samples = 10});
}

static void test_lfu_sees_decay(void **state) {
    (void)state;
    struct keyspace *ks = make();
    const struct eviction_rules rules = {.order = EVICT_LFU, .samples = 20, .lfu_decay_time = 1};
    set(ks, 0, 1, (access_minutes(START_MS) << 8) | 10, ENTRY_NO_EXPIRE);
    set(ks, 0, 2, (access_minutes(START_MS - 200 * MINUTE_MS) << 8) | 200, ENTRY_NO_EXPIRE);
    assert_true(evict(ks, &rules));
    assert_null(get(ks, 0, 2));
    assert_non_null(get(ks, 0, 1));
    keyspace_free(ks);
}

static void test_ttl_takes_the_first_to_expire(void **state) {
    (void)state;
    struct keyspace *ks = make();
    for (uint64_t i = 0; i < 10000; i++) {
        set(ks, i % 2, i, 0, START_MS + 10000 + (int64_t)i * 500);
        set(ks, i % 2, 10000 + i, 0, ENTRY_NO_EXPIRE);
    }
    assert_int_equal(present(ks, 10000, 20000), 10000);
    check_order(ks,
                &(struct eviction_rules){.order = EVICT_TTL, .expiring_only = true, .samples = 10});
}

static void test_random_takes_from_everywhere(void **state) {
    (void)state;
    struct keyspace *ks = make();
    const struct eviction_rules rules = {.order = EVICT_RANDOM, .samples = 5};
    for (uint64_t i = 0; i < 10000; i++) set(ks, i % 2, i, 0, ENTRY_NO_EXPIRE);
    for (int i = 0; i < 5000; i++) assert_true(evict(ks, &rules));
    for (uint64_t from = 0; from < 10000; from += 1000)
        assert_in_range(present(ks, from, from + 1000), 400, 600);
    for (int i = 0; i < 5000; i++) assert_true(evict(ks, &rules));
    assert_false(evict(ks, &rules));
    assert_int_equal(ks->stats.evicted_keys, 10000);
    assert_true(keyspace_is_valid(ks));
    keyspace_free(ks);
}

static void test_volatile_rules_spare_the_others(void **state) {
    (void)state;
    static const enum eviction_order orders[] = {EVICT_LRU, EVICT_LFU, EVICT_RANDOM, EVICT_TTL};
    for (int o = 0; o < 4; o++) {
        struct keyspace *ks = make();
        const struct eviction_rules rules = {
            .order = orders[o], .expiring_only = true, .samples = 5};
        for (uint64_t i = 0; i < 2000; i++) set(ks, i % 2, i, 0, ENTRY_NO_EXPIRE);
        assert_int_equal(keyspace_evictable(ks, &rules), 0);
        assert_false(evict(ks, &rules));
        for (uint64_t i = 2000; i < 2100; i++) set(ks, i % 2, i, 0, START_MS + 100000);
        assert_int_equal(keyspace_evictable(ks, &rules), 100);
        for (int i = 0; i < 100; i++) assert_true(evict(ks, &rules));
        assert_false(evict(ks, &rules));
        assert_int_equal(present(ks, 0, 2000), 2000);
        keyspace_free(ks);
    }
}

static void test_a_rare_volatile_key_is_found_in_bounded_steps(void **state) {
    (void)state;
    struct keyspace *ks = make();
    const struct eviction_rules rules = {.order = EVICT_LRU, .expiring_only = true, .samples = 5};
    for (uint64_t i = 0; i < 100000; i++) set(ks, 0, i, 0, ENTRY_NO_EXPIRE);
    set(ks, 0, 77777, 0, START_MS + 5000);
    uint64_t buckets = ks->dbs[0].table.nbuckets;
    uint32_t calls = 0;
    bool done = false;
    while (!done) {
        uint32_t budget = 1000;
        done = keyspace_evict(ks, &rules, START_MS, &budget);
        assert_true(done || budget == 0);
        assert_true(++calls <= buckets / 1000 + 2);
    }
    assert_null(get(ks, 0, 77777));
    assert_true(calls > 1); // the walk really is cut
    keyspace_free(ks);
}

static void test_what_was_used_meanwhile_stays(void **state) {
    (void)state;
    struct keyspace *ks = make();
    const struct eviction_rules rules = {.order = EVICT_LRU, .samples = 64};
    uint32_t now = access_lru(START_MS);
    for (uint64_t i = 0; i < 10; i++) set(ks, 0, i, now - 1000 + (uint32_t)i, ENTRY_NO_EXPIRE);
    assert_true(evict(ks, &rules));
    assert_null(get(ks, 0, 0));
    assert_true(ks->eviction.count > 0);
    for (uint64_t i = 1; i < 9; i++) entry_set_access(get(ks, 0, i), now);
    assert_true(evict(ks, &rules));
    assert_null(get(ks, 0, 9));
    assert_int_equal(db_count(&ks->dbs[0]), 8);
    keyspace_free(ks);
}

static void test_candidates_may_go_otherwise(void **state) {
    (void)state;
    struct keyspace *ks = make();
    const struct eviction_rules rules = {.order = EVICT_LRU, .samples = 64};
    for (uint64_t i = 0; i < 100; i++) set(ks, 0, i, (uint32_t)i, ENTRY_NO_EXPIRE);
    assert_true(evict(ks, &rules));
    keyspace_flush(ks, UINT32_MAX);
    assert_false(evict(ks, &rules));
    set(ks, 2, 5, 0, ENTRY_NO_EXPIRE);
    keyspace_swap(ks, 2, 3, 0);
    assert_true(evict(ks, &rules));
    assert_int_equal(db_count(&ks->dbs[3]), 0);
    keyspace_free(ks);
}

static void test_lent_keys_stay_and_watchers_are_told(void **state) {
    (void)state;
    struct keyspace *ks = make();
    const struct eviction_rules rules = {.order = EVICT_LRU, .samples = 5};
    char name[24];
    set(ks, 0, 1, 0, ENTRY_NO_EXPIRE);
    _Atomic bool changed = false;
    struct key key = key_number(ks, 1, name);
    keyspace_watch(ks, 0, key, &changed);
    lent_hash = key.hash;
    uint32_t budget = 1000;
    assert_false(keyspace_evict(ks, &rules, START_MS, &budget));
    assert_int_equal(budget, 0); // it gave up, and did not spin
    assert_false(changed);
    lent_hash = 0;
    assert_true(evict(ks, &rules));
    assert_true(changed);
    keyspace_unwatch(ks, 0, key, &changed);
    keyspace_free(ks);
}

static void test_expired_keys_go_first(void **state) {
    (void)state;
    struct keyspace *ks = make();
    const struct eviction_rules rules = {.order = EVICT_LRU, .samples = 64};
    uint32_t now = access_lru(START_MS);
    for (uint64_t i = 0; i < 5; i++) set(ks, 0, i, now - 1000, ENTRY_NO_EXPIRE);
    set(ks, 0, 5, now, START_MS - 1);
    assert_true(evict(ks, &rules));
    assert_null(get(ks, 0, 5));
    assert_int_equal(ks->stats.expired_keys, 1);
    assert_int_equal(ks->stats.evicted_keys, 0);
    keyspace_free(ks);
}

static void test_weights(void **state) {
    (void)state;
    static const enum eviction_order orders[] = {EVICT_LRU, EVICT_LFU, EVICT_TTL};
    struct keyspace *cold = make(), *hot = make();
    uint32_t now = access_lru(START_MS);
    for (uint64_t i = 0; i < 100; i++) { // LFU counters are the low bits
        set(cold, 0, i, (now - 100000) & 0xffff00, START_MS + 1000);
        set(hot, 0, i, (now - 256) | 0xff, START_MS + 1000000);
    }
    for (int o = 0; o < 3; o++) {
        const struct eviction_rules rules = {.order = orders[o], .samples = 5};
        eviction_forget(&cold->eviction);
        eviction_forget(&hot->eviction);
        double more = keyspace_eviction_weight(cold, &rules, START_MS);
        double less = keyspace_eviction_weight(hot, &rules, START_MS);
        assert_true(less > 0 && more > less * 100);
    }
    const struct eviction_rules any = {.order = EVICT_RANDOM, .samples = 5};
    assert_true(keyspace_eviction_weight(cold, &any, START_MS) == 100);
    keyspace_flush(cold, UINT32_MAX);
    assert_true(keyspace_eviction_weight(cold, &any, START_MS) == 0);
    keyspace_free(cold);
    keyspace_free(hot);
}

static void free_tables(void *context, struct keyspace_tables *tables) {
    (void)context;
    keyspace_tables_free(tables);
}

static void test_flushed_memory_is_leaving(void **state) {
    (void)state;
    int64_t before = mem_leaving();
    struct keyspace *ks = make();
    for (uint64_t i = 0; i < 1000; i++) set(ks, 0, i, 0, ENTRY_NO_EXPIRE);
    keyspace_flush(ks, UINT32_MAX); // nobody takes the tables later: freed at once
    assert_int_equal(mem_leaving(), before);
    ks->hooks.free_tables_later = free_tables;
    for (uint64_t i = 0; i < 1000; i++) set(ks, 0, i, 0, ENTRY_NO_EXPIRE);
    int64_t memory = keyspace_memory(ks), leaving = memory;
    keyspace_flush(ks, UINT32_MAX);
    assert_int_equal(mem_leaving() - before, memory);
    while (keyspace_free_step(ks, 100)) {
        assert_true(mem_leaving() - before < leaving);
        leaving = mem_leaving() - before;
    }
    assert_int_equal(mem_leaving(), before);
    keyspace_free(ks);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lru_seconds),
        cmocka_unit_test(test_lfu_decay),
        cmocka_unit_test(test_lfu_increments),
        cmocka_unit_test(test_lru_takes_the_longest_unused),
        cmocka_unit_test(test_lfu_takes_the_least_used),
        cmocka_unit_test(test_lfu_sees_decay),
        cmocka_unit_test(test_ttl_takes_the_first_to_expire),
        cmocka_unit_test(test_random_takes_from_everywhere),
        cmocka_unit_test(test_volatile_rules_spare_the_others),
        cmocka_unit_test(test_a_rare_volatile_key_is_found_in_bounded_steps),
        cmocka_unit_test(test_what_was_used_meanwhile_stays),
        cmocka_unit_test(test_candidates_may_go_otherwise),
        cmocka_unit_test(test_lent_keys_stay_and_watchers_are_told),
        cmocka_unit_test(test_expired_keys_go_first),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_flushed_memory_is_leaving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
