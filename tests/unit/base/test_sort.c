// SPDX-License-Identifier: BSD-3-Clause
//
// Sorting: that results are sorted, that equal items keep their order in the stable sort, that the
// partial one leaves them where Redis 7.2.6's does (the hash of its results stands here), and that
// neither loses an item, also under a comparison that contradicts itself. One thread.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/base/random.h"
#include "engine/base/sort.h"

#define MOST 1000

struct item {
    int key, id;
};

static int by_key(const void *a, const void *b, const void *context) {
    (void)context;
    int x = ((const struct item *)a)->key, y = ((const struct item *)b)->key;
    return x < y ? -1 : x > y;
}

static int at_random(const void *a, const void *b, const void *context) {
    (void)a;
    (void)b;
    return (int)random_below((struct random *)(uintptr_t)context, 3) - 1;
}

static const int sizes[] = {1, 2, 6, 7, 8, 9, 40, 41, 100, 500, 1000};
static const int keys[] = {1, 2, 5, 50, 100000};
#define COUNT(array) (sizeof(array) / sizeof *(array))

/** A generator that is easily written elsewhere. */
static uint32_t next(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

static void fill(struct item *items, int n, int range, uint64_t *state) {
    for (int i = 0; i < n; i++) {
        items[i].key = (int)(next(state) % (uint32_t)range);
        items[i].id = i;
    }
}

static void assert_all_there(const struct item *items, int n) {
    static bool seen[MOST];
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < n; i++) {
        assert_in_range(items[i].id, 0, n - 1);
        assert_false(seen[items[i].id]);
        seen[items[i].id] = true;
    }
}

static void test_stable(void **state) {
    (void)state;
    static struct item items[MOST];
    uint64_t seed = 3;
    for (int n = 0; n <= MOST; n += n < 70 ? 1 : 93) {
        for (size_t k = 0; k < COUNT(keys); k++) {
            fill(items, n, keys[k], &seed);
            sort_stable(items, (size_t)n, sizeof *items, by_key, NULL);
            for (int i = 1; i < n; i++) {
                assert_true(items[i - 1].key <= items[i].key);
                if (items[i - 1].key == items[i].key) assert_true(items[i - 1].id < items[i].id);
            }
            assert_all_there(items, n);
        }
    }
}

static void test_range_as_redis(void **state) {
    (void)state;
    static struct item items[MOST];
    uint64_t seed = 1, hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < COUNT(sizes) * COUNT(keys) * 4; i++) {
        int n = sizes[i / 4 / COUNT(keys)];
        fill(items, n, keys[i / 4 % COUNT(keys)], &seed);
        bool all = i % 4 == 0;
        size_t first = all ? 0 : next(&seed) % (uint32_t)n;
        size_t last = all ? (size_t)n - 1 : first + next(&seed) % ((uint32_t)n - first);
        sort_range(items, (size_t)n, sizeof *items, by_key, NULL, first, last);
        for (size_t j = first; j <= last; j++) {
            if (j > first) assert_true(items[j - 1].key <= items[j].key);
            hash = (hash ^ (uint32_t)items[j].id) * UINT64_C(0x100000001b3);
        }
        for (size_t j = 0; j < first; j++) assert_true(items[j].key <= items[first].key);
        for (size_t j = last + 1; j < (size_t)n; j++) assert_true(items[j].key >= items[last].key);
        assert_all_there(items, n);
    }
    assert_int_equal(hash, UINT64_C(0xe7bd7afb89bb0d2d));
}

static void test_orders_that_are_none(void **state) {
    (void)state;
    static struct item items[MOST];
    struct random random;
    uint64_t seed = 9;
    random_init(&random, 9);
    for (size_t i = 0; i < COUNT(sizes) * 20; i++) {
        int n = sizes[i % COUNT(sizes)];
        fill(items, n, 10, &seed);
        sort_stable(items, (size_t)n, sizeof *items, at_random, &random);
        assert_all_there(items, n);
        sort_range(items, (size_t)n, sizeof *items, at_random, &random, 0, (size_t)n / 2);
        assert_all_there(items, n);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stable),
        cmocka_unit_test(test_range_as_redis),
        cmocka_unit_test(test_orders_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
