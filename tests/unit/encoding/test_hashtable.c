// SPDX-License-Identifier: BSD-3-Clause
//
// The hash table of collections against a model: random changes at sizes that cross several depths
// and chunks, buckets that overflow far, what a scan promises while the table grows and shrinks
// under it, and that the memory it counts is what it took. Single-threaded; every random choice
// follows from a fixed seed.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/alloc.h"
#include "engine/base/random.h"
#include "engine/encoding/hashtable.h"

struct element {
    uint32_t number;
    uint32_t met;
    char text[16];
};

static struct slice text_of(const void *element) {
    return slice_text(((const struct element *)element)->text);
}

static struct element *element_new(uint32_t number) {
    struct element *e = mem_alloc(sizeof(*e));
    *e = (struct element){.number = number};
    (void)snprintf(e->text, sizeof(e->text), "m:%u", number);
    return e;
}

static struct slice name_of(char *text, uint32_t number) {
    return slice_of(text, (size_t)snprintf(text, 16, "m:%u", number));
}

static struct element *find(const struct hashtable *t, uint32_t number) {
    char text[16];
    return hashtable_find(t, name_of(text, number));
}

static bool drop(struct hashtable *t, uint32_t number) {
    char text[16];
    struct element *e = hashtable_remove(t, name_of(text, number));
    if (e != NULL) assert_int_equal(e->number, number);
    mem_free(e);
    return e != NULL;
}

static void test_empty_holds_nothing(void **state) {
    (void)state;
    struct hashtable t;
    struct random random;
    random_init(&random, 1);
    hashtable_init(&t, text_of);
    assert_int_equal(t.memory, 0);
    assert_null(find(&t, 1));
    assert_false(drop(&t, 1));
    assert_null(hashtable_random(&t, &random));
    assert_int_equal(hashtable_scan(&t, 0, NULL, NULL), 0);
    struct hashtable_iterator it;
    hashtable_iterate(&it, &t);
    assert_null(hashtable_next(&it));
    hashtable_prefetch(&t, 1);
    hashtable_prefetch_element(&t, 1);
    assert_true(hashtable_is_valid(&t));
    hashtable_fini(&t, mem_free);
}

static void test_small_tables_are_small(void **state) {
    (void)state;
    struct hashtable t;
    hashtable_init(&t, text_of);
    hashtable_add(&t, element_new(0));
    assert_in_range(t.memory, 1, 96);
    for (uint32_t i = 1; i < 130; i++) hashtable_add(&t, element_new(i));
    assert_in_range(t.memory, 1, 130 * 16);
    for (uint32_t i = 130; i < 20000; i++) {
        hashtable_add(&t, element_new(i));
        if (i > 1000) assert_in_range(t.memory, 1, i * 16);
    }
    assert_in_range(t.memory, 1, 20000 * 13);
    hashtable_fini(&t, mem_free);
    assert_int_equal(t.memory, 0);
}

/** Grows to `n` and shrinks to nothing, walking the invariants after every `stride` changes. */
static void grow_and_shrink(uint32_t n, uint32_t stride) {
    struct hashtable t;
    int64_t before = mem_used();
    hashtable_init(&t, text_of);
    for (uint32_t i = 0; i < n; i++) {
        hashtable_add(&t, element_new(i));
        if (i % stride == 0) assert_true(hashtable_is_valid(&t));
    }
    assert_int_equal(t.count, n);
    for (uint32_t i = 0; i < n; i++) assert_int_equal(find(&t, i)->number, i);
    assert_null(find(&t, n));
    for (uint32_t i = 0; i < n; i++) {
        assert_true(drop(&t, i));
        assert_null(find(&t, i));
        if (i % stride == 0) assert_true(hashtable_is_valid(&t));
    }
    assert_int_equal(t.count, 0);
    assert_in_range(t.memory, 0, 256);
    hashtable_fini(&t, mem_free);
    assert_int_equal(mem_used(), before);
}

static void test_grows_and_shrinks(void **state) {
    (void)state;
    grow_and_shrink(9, 1);
    grow_and_shrink(1600, 1); // one chunk and a little more, and past a change of tags
    grow_and_shrink(30000, 9973);
}

static void test_swinging_does_not_swing_the_memory(void **state) {
    (void)state;
    struct hashtable t;
    hashtable_init(&t, text_of);
    for (uint32_t i = 0; i < 6 * 48; i++) hashtable_add(&t, element_new(i));
    size_t low = t.memory, high = t.memory;
    uint32_t n = 6 * 48;
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < 7; i++) hashtable_add(&t, element_new(n++));
        if (t.memory > high) high = t.memory;
        for (int i = 0; i < 7; i++) drop(&t, --n);
        if (t.memory < low) low = t.memory;
    }
    assert_in_range(high - low, 0, 2048);
    hashtable_fini(&t, mem_free);
}

#define MODEL 4000

static void test_random_changes_against_a_model(void **state) {
    (void)state;
    static bool in[MODEL];
    memset(in, 0, sizeof(in));
    struct hashtable t;
    struct random random;
    hashtable_init(&t, text_of);
    random_init(&random, 2);
    size_t count = 0;
    for (int step = 0; step < 60000; step++) {
        uint32_t i = (uint32_t)random_below(&random, MODEL);
        bool growing = step / 10000 % 2 == 0;
        struct element *e = find(&t, i);
        assert_int_equal(e != NULL, in[i]);
        if (random_below(&random, 8) == 0 && e != NULL) {
            struct element *other = element_new(i);
            mem_free(e);
            hashtable_replace(&t, e, other);
        } else if (random_below(&random, 4) == 0 ? !growing : growing) {
            if (e == NULL) hashtable_add(&t, element_new(i));
            count += !in[i];
            in[i] = true;
        } else {
            assert_int_equal(drop(&t, i), in[i]);
            count -= in[i];
            in[i] = false;
        }
        assert_int_equal(t.count, count);
        if (step % 128 == 0) assert_true(hashtable_is_valid(&t));
    }
    struct hashtable_iterator it;
    struct element *e;
    size_t met = 0;
    hashtable_iterate(&it, &t);
    while ((e = hashtable_next(&it)) != NULL) {
        assert_true(in[e->number]);
        assert_int_equal(e->met++, 0);
        met++;
    }
    assert_int_equal(met, count);
    hashtable_fini(&t, mem_free);
}

static void test_buckets_that_overflow_far(void **state) {
    (void)state;
    enum { COUNT = 300 };
    uint32_t numbers[COUNT];
    struct hashtable t;
    char text[16];
    hashtable_init(&t, text_of);
    uint32_t n = 0;
    for (uint32_t i = 0; n < COUNT; i++)
        if ((hashtable_hash(name_of(text, i)) & 0x3ff) == 0x155) numbers[n++] = i;
    for (uint32_t i = 0; i < n; i++) {
        hashtable_add(&t, element_new(numbers[i]));
        assert_true(hashtable_is_valid(&t));
    }
    for (uint32_t i = 0; i < n; i++) assert_non_null(find(&t, numbers[i]));
    struct random random;
    random_init(&random, 3);
    for (int i = 0; i < 20000; i++) ((struct element *)hashtable_random(&t, &random))->met++;
    struct hashtable_iterator it;
    hashtable_iterate(&it, &t);
    size_t met = 0;
    for (struct element *e; (e = hashtable_next(&it)) != NULL; met++) assert_true(e->met > 0);
    assert_int_equal(met, n);
    for (uint32_t i = 0; i < n; i++) {
        assert_true(drop(&t, numbers[i]));
        assert_true(hashtable_is_valid(&t));
    }
    hashtable_fini(&t, mem_free);
}

static void meet(void *context, void *element) {
    ++*(size_t *)context;
    ((struct element *)element)->met++;
}

/** Whether each of the first `stay` elements is met although others come and go. */
static void scan_under_churn(uint32_t stay, uint32_t swing, uint64_t seed) {
    struct hashtable t;
    struct random random;
    hashtable_init(&t, text_of);
    random_init(&random, seed);
    for (uint32_t i = 0; i < stay; i++) hashtable_add(&t, element_new(i));
    uint32_t others = 0;
    uint64_t cursor = 0;
    size_t met = 0;
    bool growing = true;
    do {
        cursor = hashtable_scan(&t, cursor, meet, &met);
        for (uint64_t k = random_below(&random, 40); k > 0; k--) {
            if (growing)
                hashtable_add(&t, element_new(stay + others++));
            else if (others > 0)
                drop(&t, stay + --others);
        }
        if (others >= swing || others == 0) growing = others == 0;
    } while (cursor != 0);
    for (uint32_t i = 0; i < stay; i++) assert_true(find(&t, i)->met > 0);
    hashtable_fini(&t, mem_free);
}

static void test_scan_meets_everything_that_stays(void **state) {
    (void)state;
    struct hashtable t;
    hashtable_init(&t, text_of);
    for (uint32_t i = 0; i < 5000; i++) hashtable_add(&t, element_new(i));
    size_t met = 0;
    uint64_t cursor = 0;
    while ((cursor = hashtable_scan(&t, cursor, meet, &met)) != 0) {
    }
    assert_int_equal(met, 5000); // a table that stands still: each exactly once
    for (uint32_t i = 0; i < 5000; i++) assert_int_equal(find(&t, i)->met, 1);
    assert_int_equal(hashtable_scan(&t, UINT64_MAX, meet, &met), 0);
    hashtable_fini(&t, mem_free);
    for (uint64_t seed = 0; seed < 8; seed++) {
        scan_under_churn(10, 500, seed);
        scan_under_churn(700, 3000, seed);
        scan_under_churn(3000, 200, seed);
    }
}

static void test_random_elements_are_about_equally_likely(void **state) {
    (void)state;
    enum { COUNT = 100, DRAWS = 100000 };
    struct hashtable t;
    struct random random;
    hashtable_init(&t, text_of);
    random_init(&random, 4);
    for (uint32_t i = 0; i < COUNT; i++) hashtable_add(&t, element_new(i));
    for (int i = 0; i < DRAWS; i++) ((struct element *)hashtable_random(&t, &random))->met++;
    for (uint32_t i = 0; i < COUNT; i++) assert_in_range(find(&t, i)->met, 800, 1200);
    hashtable_fini(&t, mem_free);
}

static void test_room_made_at_once_is_what_growing_makes(void **state) {
    (void)state;
    const uint32_t counts[] = {0, 1, 6, 7, 500, 1536, 1537, 20000};
    for (unsigned i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct hashtable t, grown;
        hashtable_init(&t, text_of);
        hashtable_init(&grown, text_of);
        for (size_t most = i % 2 ? 100 : SIZE_MAX; !hashtable_expect(&t, counts[i], most);)
            assert_true(hashtable_is_valid(&t) && most == 100);
        assert_true(hashtable_is_valid(&t) || counts[i] == 0);
        for (uint32_t k = 0; k < counts[i] + counts[i] / 3; k++) {
            hashtable_add(&t, element_new(k));
            hashtable_add(&grown, element_new(k));
            if (k == counts[i] / 2) assert_true(hashtable_is_valid(&t));
        }
        assert_true(hashtable_is_valid(&t));
        assert_int_equal(t.nbuckets, grown.nbuckets); // of which the elements need as many
        for (uint32_t k = 0; k < counts[i]; k++) assert_int_equal(find(&t, k)->number, k);
        for (uint32_t k = 0; k < counts[i]; k++) assert_true(drop(&t, k));
        assert_true(hashtable_is_valid(&t));
        hashtable_fini(&t, mem_free);
        hashtable_fini(&grown, mem_free);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_holds_nothing),
        cmocka_unit_test(test_small_tables_are_small),
        cmocka_unit_test(test_grows_and_shrinks),
        cmocka_unit_test(test_swinging_does_not_swing_the_memory),
        cmocka_unit_test(test_random_changes_against_a_model),
        cmocka_unit_test(test_buckets_that_overflow_far),
        cmocka_unit_test(test_scan_meets_everything_that_stays),
        cmocka_unit_test(test_room_made_at_once_is_what_growing_makes),
        cmocka_unit_test(test_random_elements_are_about_equally_likely),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
