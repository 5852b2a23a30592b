// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of sorted sets as values: both forms against a model under random changes, the boundaries
// between the forms, the bytes of the small one, ranges and walks both ways, gathering, copies,
// digests and memory. The value's invariants are walked after every change while it is small. One
// thread; every test owns what it makes.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/base/alloc.h"
#include "engine/types/t_zset.h"

#define LIMITS (&value_default_limits)
#define MOST   4000 // different members of the model

struct model {
    struct value v;
    bool present[MOST];
    double score[MOST];
    size_t count;
    struct random random;
};

struct pair {
    struct slice member;
    double score;
};

static struct slice name_of(int i, char text[16]) {
    // Every fourth is a number, which the small form holds as one.
    int n = snprintf(text, 16, i % 4 == 0 ? "%d" : "member:%d", i);
    return slice_of(text, (size_t)n);
}

static int compare_pairs(const void *a, const void *b) {
    const struct pair *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? -1 : 1;
    return ranked_compare(x->member, y->member);
}

static size_t sorted(const struct model *m, struct pair *pairs, char (*names)[16]) {
    size_t n = 0;
    for (int i = 0; i < MOST; i++)
        if (m->present[i]) pairs[n++] = (struct pair){name_of(i, names[i]), m->score[i]};
    qsort(pairs, n, sizeof *pairs, compare_pairs);
    return n;
}

static void expect_walk(struct tzset_iterator *it, const struct pair *pairs, size_t from,
                        size_t count, bool backwards) {
    struct listpack_item item;
    double score;
    char scratch[NUM_I64_TEXT_MAX];
    assert_int_equal(it->left, count);
    for (size_t i = 0; i < count; i++) {
        const struct pair *expected = &pairs[backwards ? from + count - 1 - i : from + i];
        assert_true(tzset_next(it, &item, &score));
        assert_true(slice_equal(tzset_text(&item, scratch), expected->member));
        assert_true(score == expected->score);
    }
    assert_false(tzset_next(it, &item, &score));
}

static void compare_ranks(struct model *m, const struct pair *pairs, size_t n) {
    struct tzset_iterator it;
    for (int backwards = 0; backwards < 2; backwards++) {
        tzset_iterate_rank(&it, m->v, 0, backwards);
        expect_walk(&it, pairs, 0, n, backwards);
        size_t from = random_below(&m->random, n + 2);
        size_t skip = random_below(&m->random, 5);
        tzset_iterate_rank(&it, m->v, from, backwards);
        tzset_skip(&it, skip);
        from = from + skip < n ? from + skip : n;
        expect_walk(&it, pairs, backwards ? 0 : from, n - from, backwards);
    }
}

static void compare_scores(struct model *m, const struct pair *pairs, size_t n) {
    struct tzset_scores range = {
        .min = n > 0 ? pairs[random_below(&m->random, n)].score : 0,
        .max = n > 0 ? pairs[random_below(&m->random, n)].score : 0,
        .above_min = random_below(&m->random, 2),
        .below_max = random_below(&m->random, 2),
    };
    if (random_below(&m->random, 4) == 0) range.min = -INFINITY;
    if (random_below(&m->random, 4) == 0) range.max = INFINITY;
    size_t from = 0, count = 0;
    while (from < n && !tzset_reaches_min(&range, pairs[from].score)) from++;
    while (from + count < n && tzset_within_max(&range, pairs[from + count].score)) count++;
    struct tzset_iterator it;
    for (int backwards = 0; backwards < 2; backwards++) {
        tzset_iterate_scores(&it, m->v, &range, backwards);
        if (count > 0) assert_int_equal(it.low, from);
        expect_walk(&it, pairs, from, count, backwards);
        tzset_iterate_scores(&it, m->v, &range, backwards);
        size_t skip = random_below(&m->random, 4);
        tzset_skip(&it, skip);
        if (skip > count) skip = count;
        expect_walk(&it, pairs, backwards ? from : from + skip, count - skip, backwards);
    }
}

static void compare(struct model *m) {
    static struct pair pairs[MOST];
    static char names[MOST][16];
    size_t n = sorted(m, pairs, names);
    assert_int_equal(n, m->count);
    assert_int_equal(tzset_length(m->v), n);
    assert_true(value_is_valid(m->v));
    compare_ranks(m, pairs, n);
    for (int i = 0; i < 4; i++) compare_scores(m, pairs, n);
    if (n == 0) return;
    size_t at = random_below(&m->random, n), rank;
    double score;
    assert_true(tzset_rank(m->v, pairs[at].member, &rank, &score));
    assert_int_equal(rank, at);
    assert_true(score == pairs[at].score);
    assert_false(tzset_rank(m->v, SLICE_LITERAL("absent"), &rank, &score));
}

static double random_score(struct model *m) {
    switch (random_below(&m->random, 8)) {
    case 0: return (double)random_next(&m->random) / 1e15;
    case 1: return random_below(&m->random, 2) == 0 ? INFINITY : -INFINITY;
    case 2: return -0.5 * (double)random_below(&m->random, 100);
    default: return (double)random_below(&m->random, 200);
    }
}

static void step(struct model *m, int members, const struct value_limits *limits) {
    int i = (int)random_below(&m->random, (uint64_t)members);
    char text[16];
    struct slice member = name_of(i, text);
    double score = random_score(m), now;
    uint64_t what = random_below(&m->random, 20);
    if (what < 13) {
        enum tzset_result expected = !m->present[i]         ? TZSET_ADDED
                                     : m->score[i] == score ? TZSET_SAME
                                                            : TZSET_UPDATED;
        assert_int_equal(tzset_add(&m->v, member, score, limits), expected);
        m->count += !m->present[i];
        m->present[i] = true;
        m->score[i] = score;
    } else if (what < 15) {
        bool nan = m->present[i] && isnan(m->score[i] + score);
        double sum = score;
        enum tzset_result result = tzset_update(&m->v, member, &sum, TZSET_INCR, limits);
        if (nan) {
            assert_int_equal(result, TZSET_NAN);
        } else {
            m->score[i] = m->present[i] ? m->score[i] + score : score;
            assert_true(sum == m->score[i]);
            m->count += !m->present[i];
            m->present[i] = true;
        }
    } else {
        assert_int_equal(tzset_remove(&m->v, member), m->present[i]);
        m->count -= m->present[i];
        m->present[i] = false;
    }
    assert_int_equal(tzset_score(m->v, member, &now), m->present[i]);
    if (m->present[i]) assert_true(now == m->score[i]);
}

static void random_changes(uint64_t seed, int members, int steps, const struct value_limits *limits,
                           uint8_t encoding) {
    struct model *m = mem_calloc(sizeof *m);
    random_init(&m->random, seed);
    m->v = tzset_new();
    for (int i = 0; i < steps; i++) {
        step(m, members, limits);
        if (members < 200 || i % 100 == 0) compare(m);
    }
    assert_int_equal(m->v.encoding, encoding);
    struct value copy = value_copy(m->v);
    assert_true(value_is_valid(copy));
    struct digest a = {0}, b = {0};
    value_digest(m->v, &a);
    value_digest(copy, &b);
    assert_true(a.low == b.low && a.high == b.high);
    value_free(copy);
    // The same members in the other form are the same.
    struct value_limits none = value_default_limits;
    none.zset_max_listpack_entries = 0;
    struct value gathered = tzset_gather_begin();
    char text[16];
    for (int i = 0; i < MOST; i++)
        if (m->present[i]) tzset_gather_add(gathered, name_of(i, text), m->score[i]);
    tzset_gather_end(&gathered, &none);
    assert_true(value_is_valid(gathered));
    b = (struct digest){0};
    value_digest(gathered, &b);
    assert_true(a.low == b.low && a.high == b.high);
    value_free(gathered);
    while (m->count > 0) {
        size_t low = random_below(&m->random, m->count);
        size_t n = random_below(&m->random, m->count - low) + 1;
        static struct pair pairs[MOST];
        static char names[MOST][16];
        sorted(m, pairs, names);
        tzset_remove_ranks(&m->v, low, n);
        for (int i = 0; i < MOST; i++) {
            double score;
            if (!m->present[i] || tzset_score(m->v, name_of(i, text), &score)) continue;
            m->present[i] = false;
            m->count--;
        }
        compare(m);
    }
    value_free(m->v);
    mem_free(m);
}

static void test_small(void **state) {
    (void)state;
    random_changes(1, 8, 2000, LIMITS, ENC_ZSET_LISTPACK);
    random_changes(2, 100, 2000, LIMITS, ENC_ZSET_LISTPACK);
}

static void test_large(void **state) {
    (void)state;
    struct value_limits limits = value_default_limits;
    limits.zset_max_listpack_entries = 3;
    random_changes(3, 8, 1000, &limits, ENC_ZSET_SKIPLIST);
    random_changes(4, MOST, 20000, LIMITS, ENC_ZSET_SKIPLIST);
}

static void test_boundaries(void **state) {
    (void)state;
    struct value v = tzset_new();
    char text[80] = {0};
    for (int i = 0; i < 128; i++) {
        assert_int_equal(v.encoding, ENC_ZSET_LISTPACK);
        int n = snprintf(text, sizeof text, "%064d", i); // 64 bytes are the most
        tzset_add(&v, slice_of(text, (size_t)n), i, LIMITS);
    }
    assert_int_equal(v.encoding, ENC_ZSET_LISTPACK);
    assert_int_equal(tzset_add(&v, slice_of(text, 64), 500, LIMITS), TZSET_UPDATED);
    assert_int_equal(v.encoding, ENC_ZSET_LISTPACK);
    double score = 1;
    assert_int_equal(tzset_update(&v, SLICE_LITERAL("new"), &score, TZSET_XX, LIMITS), TZSET_NOP);
    assert_int_equal(v.encoding, ENC_ZSET_LISTPACK);
    tzset_add(&v, SLICE_LITERAL("new"), 1, LIMITS);
    assert_int_equal(v.encoding, ENC_ZSET_SKIPLIST);
    assert_int_equal(tzset_length(v), 129);
    assert_true(value_is_valid(v));
    assert_true(tzset_remove(&v, SLICE_LITERAL("new")));
    assert_int_equal(v.encoding, ENC_ZSET_SKIPLIST); // it never goes back
    value_free(v);

    v = tzset_new();
    tzset_add(&v, slice_of(text, 65), 1, LIMITS);
    assert_int_equal(v.encoding, ENC_ZSET_SKIPLIST);
    value_free(v);
    v = tzset_new_for(128, 64, LIMITS);
    assert_int_equal(v.encoding, ENC_ZSET_LISTPACK);
    tzset_expect(&v, 128, LIMITS);
    assert_int_equal(v.encoding, ENC_ZSET_LISTPACK);
    tzset_expect(&v, 129, LIMITS);
    assert_int_equal(v.encoding, ENC_ZSET_SKIPLIST);
    value_free(v);
    v = tzset_new_for(129, 1, LIMITS);
    assert_int_equal(v.encoding, ENC_ZSET_SKIPLIST);
    value_free(v);
    v = tzset_new_for(1, 65, LIMITS);
    assert_int_equal(v.encoding, ENC_ZSET_SKIPLIST);
    value_free(v);
}

static void test_bytes(void **state) {
    (void)state;
    struct value v = tzset_new();
    tzset_add(&v, SLICE_LITERAL("b"), 1.5, LIMITS);
    tzset_add(&v, SLICE_LITERAL("a"), -2, LIMITS);
    tzset_add(&v, SLICE_LITERAL("17"), INFINITY, LIMITS);
    tzset_add(&v, SLICE_LITERAL("z"), 0x1p62, LIMITS);
    tzset_add(&v, SLICE_LITERAL("y"), 1e300, LIMITS);
    tzset_add(&v, SLICE_LITERAL("c"), -0.0, LIMITS);
    static const char *const expected[] = {
        "a", "-2", "c", "0", "b", "1.5", "z", "4611686018427387904", "y", "1e+300", "17", "inf"};
    char scratch[NUM_I64_TEXT_MAX];
    const uint8_t *p = listpack_first(v.object);
    for (int i = 0; i < 12; i++) {
        assert_true(slice_equal(listpack_text(p, scratch), slice_text(expected[i])));
        struct listpack_item item;
        listpack_get(p, &item);
        assert_int_equal(item.is_int, i == 1 || i == 3 || i == 7 || i == 10);
        p = listpack_next(v.object, p);
    }
    assert_null(p);
    value_free(v);
}

// Scores of many digits that agree in the first of them, and some that stand close together.
static void test_close_scores(void **state) {
    (void)state;
    struct random random;
    random_init(&random, 8);
    for (int round = 0; round < 200; round++) {
        struct value v = tzset_new();
        double base = (double)random_next(&random) / (round % 2 ? 1e17 : 1.5e19);
        if (round % 3 == 0) base = -base;
        if (round % 5 == 0) base *= 1e-7;
        for (int i = 0; i < 30; i++) {
            char text[16];
            double score = base * (1 + (double)random_below(&random, 16) * 0x1p-52);
            if (i % 3 == 0) score = base + (double)random_below(&random, 9) * 1e-9;
            tzset_add(&v, name_of(i, text), score, LIMITS);
            struct tzset_scores only = {.min = score, .max = score};
            struct tzset_iterator it;
            tzset_iterate_scores(&it, v, &only, false);
            assert_true(it.left >= 1);
        }
        assert_true(value_is_valid(v));
        value_free(v);
    }
}

static enum tzset_result update(struct value *v, const char *member, double score, unsigned flags) {
    double given = score;
    enum tzset_result result = tzset_update(v, slice_text(member), &given, flags, LIMITS);
    assert_true(value_is_valid(*v));
    return result;
}

static void test_flags(void **state) {
    (void)state;
    for (int large = 0; large < 2; large++) {
        struct value v = tzset_new_for(large ? 1000 : 1, 1, LIMITS);
        assert_int_equal(update(&v, "a", 5, TZSET_XX), TZSET_NOP);
        assert_int_equal(update(&v, "a", 5, TZSET_NX), TZSET_ADDED);
        assert_int_equal(update(&v, "a", 6, TZSET_NX), TZSET_NOP);
        assert_int_equal(update(&v, "a", 5, TZSET_GT), TZSET_NOP);
        assert_int_equal(update(&v, "a", 4, TZSET_GT), TZSET_NOP);
        assert_int_equal(update(&v, "a", 6, TZSET_GT), TZSET_UPDATED);
        assert_int_equal(update(&v, "a", 6, TZSET_LT), TZSET_NOP);
        assert_int_equal(update(&v, "a", 5, TZSET_LT | TZSET_XX), TZSET_UPDATED);
        assert_int_equal(update(&v, "b", 5, TZSET_GT), TZSET_ADDED);
        assert_int_equal(update(&v, "a", 0, TZSET_INCR), TZSET_SAME);
        assert_int_equal(update(&v, "a", -1, TZSET_INCR | TZSET_GT), TZSET_NOP);
        assert_int_equal(update(&v, "a", INFINITY, TZSET_INCR), TZSET_UPDATED);
        assert_int_equal(update(&v, "a", -INFINITY, TZSET_INCR), TZSET_NAN);
        double score = 0;
        assert_true(tzset_score(v, SLICE_LITERAL("a"), &score));
        assert_true(score == INFINITY);
        value_free(v);
    }
}

static size_t lex_count(struct value v, struct tzset_lex_bound min, struct tzset_lex_bound max,
                        char first_and_last[2]) {
    struct tzset_lex range = {min, max};
    struct tzset_iterator it;
    struct listpack_item item;
    size_t count = 0;
    for (int backwards = 0; backwards < 2; backwards++) {
        tzset_iterate_lex(&it, v, &range, backwards);
        if (backwards) assert_int_equal(it.left, count);
        count = it.left;
        first_and_last[backwards] = '-';
        if (tzset_next(&it, &item, NULL)) first_and_last[backwards] = item.text.p[0];
        for (size_t i = 1; i < count; i++) assert_true(tzset_next(&it, &item, NULL));
        assert_false(tzset_next(&it, &item, NULL));
    }
    return count;
}

static void test_lex(void **state) {
    (void)state;
    const struct tzset_lex_bound lowest = {.edge = TZSET_LOWEST}, highest = {.edge = TZSET_HIGHEST};
    const struct tzset_lex_bound with_b = {TZSET_WITH, SLICE_LITERAL("b")};
    const struct tzset_lex_bound without_b = {TZSET_WITHOUT, SLICE_LITERAL("b")};
    const struct tzset_lex_bound with_d = {TZSET_WITH, SLICE_LITERAL("d")};
    const struct tzset_lex_bound without_d = {TZSET_WITHOUT, SLICE_LITERAL("d")};
    const struct tzset_lex_bound with_cc = {TZSET_WITH, SLICE_LITERAL("cc")};
    for (int large = 0; large < 2; large++) {
        struct value v = tzset_new_for(large ? 1000 : 1, 1, LIMITS);
        char ends[2];
        assert_int_equal(lex_count(v, lowest, highest, ends), 0);
        for (const char *p = "edcba"; *p != '\0'; p++) tzset_add(&v, slice_of(p, 1), 7, LIMITS);
        assert_int_equal(lex_count(v, lowest, highest, ends), 5);
        assert_memory_equal(ends, "ae", 2);
        assert_int_equal(lex_count(v, with_b, with_d, ends), 3);
        assert_memory_equal(ends, "bd", 2);
        assert_int_equal(lex_count(v, without_b, without_d, ends), 1);
        assert_memory_equal(ends, "cc", 2);
        assert_int_equal(lex_count(v, with_cc, highest, ends), 2);
        assert_memory_equal(ends, "de", 2);
        assert_int_equal(lex_count(v, with_b, with_b, ends), 1);
        assert_int_equal(lex_count(v, with_b, without_b, ends), 0);
        assert_int_equal(lex_count(v, with_d, with_b, ends), 0);
        assert_int_equal(lex_count(v, highest, lowest, ends), 0);
        assert_int_equal(lex_count(v, lowest, lowest, ends), 0);
        assert_int_equal(lex_count(v, highest, highest, ends), 0);
        value_free(v);
    }
}

static void count_member(void *context, const struct listpack_item *member, double score) {
    (void)member;
    assert_true(score >= 0);
    ++*(size_t *)context;
}

static void test_random_and_scan(void **state) {
    (void)state;
    struct random random;
    random_init(&random, 5);
    for (int n = 10; n <= 1000; n *= 10) {
        struct value v = tzset_new();
        char text[16];
        for (int i = 0; i < n; i++) tzset_add(&v, name_of(i, text), i, LIMITS);
        bool seen[1000] = {false};
        for (int i = 0; i < n * 30; i++) {
            struct listpack_item item;
            double score;
            tzset_random(v, &random, &item, &score);
            seen[(int)score] = true;
            char scratch[NUM_I64_TEXT_MAX];
            assert_true(slice_equal(tzset_text(&item, scratch), name_of((int)score, text)));
        }
        for (int i = 0; i < n; i++) assert_true(seen[i]);
        size_t met = 0;
        uint64_t cursor = 0;
        do cursor = tzset_scan(v, cursor, count_member, &met);
        while (cursor != 0);
        assert_int_equal(met, n);
        value_free(v);
    }
}

static void test_gather(void **state) {
    (void)state;
    struct value v = tzset_gather_begin();
    tzset_gather_add(v, SLICE_LITERAL("a"), 3);
    tzset_gather_add(v, SLICE_LITERAL("b"), 2);
    bool fresh;
    *tzset_gather(v, SLICE_LITERAL("c"), &fresh) = 5;
    assert_true(fresh);
    *tzset_gather(v, SLICE_LITERAL("a"), &fresh) += 1;
    assert_false(fresh);
    tzset_gather_end(&v, LIMITS);
    assert_int_equal(v.encoding, ENC_ZSET_LISTPACK);
    assert_true(value_is_valid(v));
    double score = 0;
    assert_true(tzset_score(v, SLICE_LITERAL("a"), &score) && score == 4);
    value_free(v);

    v = tzset_gather_begin();
    tzset_gather_end(&v, LIMITS);
    assert_int_equal(tzset_length(v), 0);
    value_free(v);
    value_free(tzset_gather_begin());
    char text[65] = {0};
    v = tzset_gather_begin();
    tzset_gather_add(v, slice_of(text, 65), 3);
    tzset_gather_end(&v, LIMITS);
    assert_int_equal(v.encoding, ENC_ZSET_SKIPLIST);
    assert_true(value_is_valid(v));
    value_free(v);
}

// A member of 13 bytes with its score, in all that it takes: what Redis 7.0 needs 100 to 110 for.
static void test_memory(void **state) {
    (void)state;
    struct random random;
    random_init(&random, 6);
    struct value v = tzset_new();
    size_t n = 100000;
    int64_t before = mem_used();
    for (size_t i = 0; i < n; i++) {
        char text[16];
        int length = snprintf(text, sizeof text, "key:%09zu", i);
        tzset_add(&v, slice_of(text, (size_t)length), (double)random_next(&random), LIMITS);
    }
    double each = (double)value_memory(v) / (double)n;
    assert_true(each > 40 && each < 56);
    int64_t used = mem_used() - before;
    assert_true(llabs(used - (int64_t)value_memory(v)) < 4096);
    value_free(v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),      cmocka_unit_test(test_large),
        cmocka_unit_test(test_boundaries), cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_flags),      cmocka_unit_test(test_close_scores),
        cmocka_unit_test(test_lex),        cmocka_unit_test(test_random_and_scan),
        cmocka_unit_test(test_gather),     cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
