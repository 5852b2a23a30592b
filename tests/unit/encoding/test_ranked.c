// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of the ranked tree against a model, a sorted array of the same elements: random changes
// with few and with many different scores, in order and out of it, ranges, bounds, building, and
// what a member costs. The tree's invariants are walked after every change of a small tree and now
// and then of a large one. One thread; every test owns what it makes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/base/alloc.h"
#include "engine/base/random.h"
#include "engine/encoding/ranked.h"

struct model {
    struct ranked tree;
    struct ranked_element **sorted;
    size_t count, room;
    struct random random;
    uint64_t next_name;
};

static int order(const struct ranked_element *a, const struct ranked_element *b) {
    if (a->score != b->score) return a->score < b->score ? -1 : 1;
    return ranked_compare(ranked_member(a), ranked_member(b));
}

static int order_of_places(const void *a, const void *b) {
    return order(*(struct ranked_element *const *)a, *(struct ranked_element *const *)b);
}

static void model_init(struct model *m, uint64_t seed) {
    *m = (struct model){.room = 1 << 17};
    ranked_init(&m->tree);
    m->sorted = mem_alloc(m->room * sizeof(void *));
    random_init(&m->random, seed);
}

static void model_fini(struct model *m) {
    ranked_fini(&m->tree);
    assert_true(ranked_is_valid(&m->tree));
    for (size_t i = 0; i < m->count; i++) mem_free(m->sorted[i]);
    mem_free(m->sorted);
}

static size_t model_find(const struct model *m, const struct ranked_element *e) {
    size_t low = 0, high = m->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (order(m->sorted[middle], e) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void model_place(struct model *m, struct ranked_element *e) {
    size_t at = model_find(m, e);
    assert_true(m->count < m->room);
    memmove(m->sorted + at + 1, m->sorted + at, (m->count - at) * sizeof(void *));
    m->sorted[at] = e;
    m->count++;
}

static void model_displace(struct model *m, size_t at) {
    m->count--;
    memmove(m->sorted + at, m->sorted + at + 1, (m->count - at) * sizeof(void *));
}

static void add(struct model *m, double score) {
    char name[32];
    int n = snprintf(name, sizeof name, "m%llx",
                     (unsigned long long)(m->next_name++ * 0x9e3779b97f4a7c15u >> 20));
    struct ranked_element *e = ranked_element_new(score, slice_of(name, (size_t)n));
    assert_true(slice_equal(ranked_member(e), slice_of(name, (size_t)n)));
    model_place(m, e);
    ranked_insert(&m->tree, e);
}

static void take(struct model *m, size_t at) {
    struct ranked_element *e = m->sorted[at];
    ranked_remove(&m->tree, e);
    model_displace(m, at);
    mem_free(e);
}

static void move(struct model *m, size_t at, double score) {
    struct ranked_element *e = m->sorted[at];
    model_displace(m, at);
    ranked_move(&m->tree, e, score);
    assert_true(e->score == score);
    model_place(m, e);
}

static void compare(struct model *m) {
    assert_true(ranked_is_valid(&m->tree));
    assert_int_equal(m->tree.count, m->count);
    struct ranked_place place = ranked_at(&m->tree, 0);
    for (size_t i = 0; i < m->count; i++, ranked_next(&place)) {
        assert_non_null(place.leaf);
        assert_ptr_equal(ranked_get(place), m->sorted[i]);
        assert_true(ranked_score(place) == m->sorted[i]->score);
    }
    assert_null(place.leaf);
    if (m->count == 0) return;
    place = ranked_at(&m->tree, m->count - 1);
    for (size_t i = m->count; i-- > 0; ranked_previous(&place))
        assert_ptr_equal(ranked_get(place), m->sorted[i]);
    assert_null(place.leaf);
}

static void compare_bounds(struct model *m, double score) {
    for (int above = 0; above < 2; above++) {
        size_t expected = 0;
        while (expected < m->count && (m->sorted[expected]->score < score ||
                                       (above && m->sorted[expected]->score == score)))
            expected++;
        struct ranked_place place;
        assert_int_equal(ranked_seek_score(&m->tree, score, above, &place), expected);
        assert_int_equal(ranked_seek_score(&m->tree, score, above, NULL), expected);
        if (expected == m->count)
            assert_null(place.leaf);
        else
            assert_ptr_equal(ranked_get(place), m->sorted[expected]);
    }
}

static void compare_some(struct model *m) {
    for (int i = 0; i < 3 && m->count > 0; i++) {
        size_t at = random_below(&m->random, m->count);
        assert_int_equal(ranked_rank(&m->tree, m->sorted[at]), at);
        assert_ptr_equal(ranked_get(ranked_at(&m->tree, at)), m->sorted[at]);
    }
    assert_null(ranked_at(&m->tree, m->count).leaf);
}

static void keep_out(void *context, struct ranked_element *e) {
    struct model *m = context;
    size_t at = model_find(m, e);
    assert_ptr_equal(m->sorted[at], e);
    model_displace(m, at);
    mem_free(e);
}

static void take_range(struct model *m, size_t from, size_t n) {
    size_t before = m->count;
    ranked_remove_range(&m->tree, from, n, keep_out, m);
    assert_int_equal(m->count, before - n);
}

static void random_changes(uint64_t seed, uint64_t scores, int steps, size_t most) {
    struct model m;
    model_init(&m, seed);
    bool grows = true;
    for (int i = 0; i < steps; i++) {
        if (m.count >= most) grows = false;
        if (m.count <= most / 20) grows = true;
        uint64_t what = random_below(&m.random, 100);
        double score = (double)random_below(&m.random, scores) - (double)scores / 2;
        if (m.count == 0 || what < (grows ? 60 : 25))
            add(&m, score);
        else if (what < 85)
            take(&m, random_below(&m.random, m.count));
        else if (what < 99)
            move(&m, random_below(&m.random, m.count), score);
        else if (m.count > 8)
            take_range(&m, random_below(&m.random, m.count - 8), random_below(&m.random, 8));
        if (i % 97 == 0 || most < 100) compare(&m);
        compare_some(&m);
        if (i % 31 == 0) compare_bounds(&m, score);
    }
    compare(&m);
    while (m.count > 0) {
        take(&m, random_below(&m.random, m.count));
        if (m.count % 128 == 0) compare(&m);
    }
    compare(&m);
    assert_int_equal(m.tree.memory, 0);
    model_fini(&m);
}

static void test_random(void **state) {
    (void)state;
    random_changes(1, 1000000, 4000, 90);
    random_changes(2, 1000000, 30000, 6000);
    random_changes(3, 3, 20000, 4000); // order by member, mostly
    random_changes(4, 1, 6000, 1000);
    random_changes(5, 500, 30000, 9000);
}

static void test_in_order(void **state) {
    (void)state;
    for (int direction = -1; direction <= 1; direction += 2) {
        struct model m;
        model_init(&m, 7);
        for (int i = 0; i < 20000; i++) {
            add(&m, (double)i * direction);
            if (i % 501 == 0) compare(&m);
        }
        compare(&m);
        // What grows at an end leaves full leaves behind.
        assert_in_range(m.tree.memory, 20000 * 14, 20000 * 16);
        while (m.count > 0) {
            take(&m, direction > 0 ? 0 : m.count - 1);
            if (m.count % 501 == 0) compare(&m);
        }
        compare(&m);
        model_fini(&m);
    }
}

static void test_moves_nearby(void **state) {
    (void)state;
    struct model m;
    model_init(&m, 8);
    for (int i = 0; i < 3000; i++) add(&m, (double)i);
    for (int i = 0; i < 20000; i++) {
        size_t at = random_below(&m.random, m.count);
        move(&m, at, m.sorted[at]->score + (double)random_below(&m.random, 21) / 4 - 2.5);
        if (i % 57 == 0) compare(&m);
    }
    compare(&m);
    model_fini(&m);
}

static void test_ranges(void **state) {
    (void)state;
    struct model m;
    model_init(&m, 9);
    for (size_t n = 1; n <= 20000; n = n * 5 / 2 + 1) {
        while (m.count < n) add(&m, (double)random_below(&m.random, 100000));
        compare(&m);
        size_t from = random_below(&m.random, m.count);
        take_range(&m, from, random_below(&m.random, m.count - from) + 1);
        compare(&m);
        if (m.count > 0) take_range(&m, 0, m.count / 2);
        compare(&m);
    }
    take_range(&m, 0, m.count);
    compare(&m);
    assert_int_equal(m.tree.memory, 0);
    model_fini(&m);
}

static void test_members(void **state) {
    (void)state;
    struct model m;
    model_init(&m, 10);
    struct ranked_place place;
    assert_int_equal(ranked_seek_member(&m.tree, SLICE_LITERAL("a"), false, &place), 0);
    assert_null(place.leaf);
    for (int i = 0; i < 5000; i++) add(&m, 0);
    for (int i = 0; i < 2000; i++) {
        size_t at = random_below(&m.random, m.count);
        struct slice member = ranked_member(m.sorted[at]);
        assert_int_equal(ranked_seek_member(&m.tree, member, false, &place), at);
        assert_ptr_equal(ranked_get(place), m.sorted[at]);
        assert_int_equal(ranked_seek_member(&m.tree, member, true, &place), at + 1);
    }
    assert_int_equal(ranked_seek_member(&m.tree, SLICE_LITERAL(""), true, NULL), 0);
    assert_int_equal(ranked_seek_member(&m.tree, SLICE_LITERAL("n"), false, &place), m.count);
    assert_null(place.leaf);
    model_fini(&m);
}

static void test_build(void **state) {
    (void)state;
    for (size_t n = 0; n < 70000; n = n < 140 ? n + 1 : n * 3) {
        struct model m;
        model_init(&m, 11 + n);
        for (size_t i = 0; i < n; i++) {
            char name[16];
            int length = snprintf(name, sizeof name, "%zu", i);
            m.sorted[i] = ranked_element_new((double)random_below(&m.random, 1000),
                                             slice_of(name, (size_t)length));
        }
        m.count = n;
        qsort(m.sorted, n, sizeof(void *), order_of_places);
        if (n % 2 == 0) {
            ranked_build(&m.tree, m.sorted, n);
        } else {
            struct ranked_building b = {0};
            size_t steps = 1;
            while (!ranked_build_step(&m.tree, &b, m.sorted, n, 100)) steps++;
            assert_true(steps > n / 200);
        }
        compare(&m);
        for (int i = 0; i < 200; i++) {
            add(&m, (double)random_below(&m.random, 1000));
            take(&m, random_below(&m.random, m.count));
            compare_some(&m);
        }
        compare(&m);
        model_fini(&m);
    }
}

static void test_a_build_that_is_given_up(void **state) {
    (void)state;
    struct model m;
    model_init(&m, 5);
    for (size_t i = 0; i < 1000; i++)
        m.sorted[i] = ranked_element_new((double)i, SLICE_LITERAL("x"));
    struct ranked_building b = {0};
    for (int i = 0; i < 3; i++) assert_false(ranked_build_step(&m.tree, &b, m.sorted, 1000, 100));
    ranked_build_fini(&b);
    m.count = 1000; // which are freed with the rest
    model_fini(&m);
}

static void test_long_members(void **state) {
    (void)state;
    static const size_t lengths[] = {0, 1, 254, 255, 256, 70000};
    struct ranked t;
    ranked_init(&t);
    struct ranked_element *elements[6];
    char *text = mem_calloc(70000);
    for (int i = 0; i < 6; i++) {
        elements[i] = ranked_element_new(1, slice_of(text, lengths[i]));
        assert_int_equal(ranked_member(elements[i]).n, lengths[i]);
        ranked_insert(&t, elements[i]);
        assert_true(ranked_is_valid(&t));
    }
    for (int i = 0; i < 6; i++) assert_int_equal(ranked_rank(&t, elements[i]), (size_t)i);
    for (int i = 0; i < 6; i++) {
        ranked_remove(&t, elements[i]);
        assert_true(ranked_is_valid(&t));
        mem_free(elements[i]);
    }
    mem_free(text);
    ranked_fini(&t);
}

// Leaves that are split in the middle are two thirds full, and their blocks fit what is in them.
static void test_memory(void **state) {
    (void)state;
    struct model m;
    model_init(&m, 12);
    for (int i = 0; i < 50000; i++) add(&m, (double)random_next(&m.random));
    double each = (double)m.tree.memory / (double)m.count;
    assert_true(each > 14 && each < 18);
    model_fini(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_in_order),
        cmocka_unit_test(test_moves_nearby),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_build),
        cmocka_unit_test(test_a_build_that_is_given_up),
        cmocka_unit_test(test_long_members),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
