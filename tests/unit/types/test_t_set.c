// SPDX-License-Identifier: BSD-3-Clause
//
// Sets: which encoding they have and when it changes, random changes against a model in each
// encoding, walking, scanning, windows of lookups, random members, copies and digests. After each
// change the value's invariants are walked. Single-threaded; random choices follow from seeds.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/alloc.h"
#include "engine/types/t_set.h"

static const struct value_limits *const limits = &value_default_limits;

static struct slice text(char *out, const char *prefix, int i) {
    return slice_of(out, (size_t)snprintf(out, 32, "%s%d", prefix, i));
}

static void add(struct value *v, const char *prefix, int i, bool expected) {
    char scratch[32];
    assert_int_equal(tset_add(v, text(scratch, prefix, i), limits), expected);
    assert_true(tset_has(*v, text(scratch, prefix, i)));
}

static void expect_encoding(struct value v, uint8_t encoding, size_t count) {
    assert_string_equal(value_encoding_name(v.encoding), value_encoding_name(encoding));
    assert_int_equal(tset_count(v), count);
    assert_int_equal(value_length(v), count);
    assert_true(value_is_valid(v));
}

static void test_integers_stay_an_intset_up_to_its_limit(void **state) {
    (void)state;
    struct value v = tset_new();
    for (int i = 0; i < 512; i++) add(&v, "", i, true);
    add(&v, "", 511, false);
    expect_encoding(v, ENC_SET_INTSET, 512);
    add(&v, "", 512, true);
    expect_encoding(v, ENC_SET_HASHTABLE, 513);
    assert_true(tset_remove(&v, SLICE_LITERAL("7")));
    assert_false(tset_remove(&v, SLICE_LITERAL("7")));
    expect_encoding(v, ENC_SET_HASHTABLE, 512); // there is no way back
    value_free(v);
}

static void test_an_intset_becomes_a_listpack_when_that_is_small_enough(void **state) {
    (void)state;
    for (int n = 126; n <= 129; n++) {
        struct value v = tset_new();
        for (int i = 0; i < n; i++) add(&v, "", i * 1000, true);
        add(&v, "m", 1, true);
        expect_encoding(v, n < 128 ? ENC_SET_LISTPACK : ENC_SET_HASHTABLE, (size_t)n + 1);
        for (int i = 0; i < n; i++) add(&v, "", i * 1000, false);
        add(&v, "m", 1, false);
        value_free(v);
    }
    // A long text, and integers that are too long themselves.
    char longer[80];
    memset(longer, 'x', sizeof(longer));
    for (size_t length = 64; length <= 65; length++) {
        struct value v = tset_new();
        add(&v, "", 1, true);
        assert_true(tset_add(&v, slice_of(longer, length), limits));
        expect_encoding(v, length == 64 ? ENC_SET_LISTPACK : ENC_SET_HASHTABLE, 2);
        value_free(v);
    }
    struct value_limits tight = *limits;
    tight.set_max_listpack_value = 4;
    for (int number = 9999; number <= 10000; number++) {
        struct value v = tset_new();
        add(&v, "", 1, true);
        add(&v, "", number, true);
        assert_true(tset_add(&v, SLICE_LITERAL("abcd"), &tight));
        expect_encoding(v, number == 9999 ? ENC_SET_LISTPACK : ENC_SET_HASHTABLE, 3);
        value_free(v);
    }
}

static void test_a_listpack_becomes_a_table_at_its_limits(void **state) {
    (void)state;
    struct value v = tset_new_listpack();
    for (int i = 0; i < 128; i++) add(&v, i % 2 ? "" : "m", i, true);
    expect_encoding(v, ENC_SET_LISTPACK, 128);
    add(&v, "m", 0, false);
    expect_encoding(v, ENC_SET_LISTPACK, 128);
    add(&v, "n", 0, true);
    expect_encoding(v, ENC_SET_HASHTABLE, 129);
    for (int i = 0; i < 128; i++) add(&v, i % 2 ? "" : "m", i, false);
    value_free(v);
    v = tset_new_listpack();
    char longer[65];
    memset(longer, 'x', sizeof(longer));
    assert_true(tset_add(&v, slice_of(longer, 64), limits));
    expect_encoding(v, ENC_SET_LISTPACK, 1);
    assert_true(tset_add(&v, slice_of(longer, 65), limits));
    expect_encoding(v, ENC_SET_HASHTABLE, 2);
    value_free(v);
}

static void test_what_a_set_is_created_as(void **state) {
    (void)state;
    const struct {
        const char *first;
        size_t count;
        uint8_t encoding;
    } cases[] = {
        {"1", 1, ENC_SET_INTSET},     {"1", 512, ENC_SET_INTSET},  {"1", 513, ENC_SET_HASHTABLE},
        {"a", 128, ENC_SET_LISTPACK}, {"01", 1, ENC_SET_LISTPACK}, {"a", 129, ENC_SET_HASHTABLE},
        {"", 1, ENC_SET_LISTPACK},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct value v = tset_create(slice_text(cases[i].first), cases[i].count, limits);
        expect_encoding(v, cases[i].encoding, 0);
        value_free(v);
    }
    struct value v = tset_new();
    tset_expect(&v, 512, limits);
    expect_encoding(v, ENC_SET_INTSET, 0);
    tset_expect(&v, 513, limits);
    expect_encoding(v, ENC_SET_HASHTABLE, 0);
    value_free(v);
    v = tset_new_listpack();
    add(&v, "", 5, true);
    tset_expect(&v, 128, limits);
    tset_compact(&v, limits);
    expect_encoding(v, ENC_SET_INTSET, 1);
    add(&v, "m", 5, true);
    tset_compact(&v, limits);
    expect_encoding(v, ENC_SET_LISTPACK, 2);
    value_free(v);
}

static void test_members_of_any_length(void **state) {
    (void)state;
    static char bytes[100000];
    const size_t lengths[] = {0, 1, 253, 254, 255, 256, 65535, 65536, sizeof(bytes)};
    struct value v = tset_create(SLICE_LITERAL("x"), 1000, limits);
    memset(bytes, 'y', sizeof(bytes));
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            struct slice member = slice_of(bytes, lengths[i]);
            assert_int_equal(round == 0 ? tset_add(&v, member, limits) : tset_remove(&v, member),
                             true);
            assert_int_equal(tset_has(v, member), round == 0);
            assert_true(value_is_valid(v));
        }
    }
    assert_int_equal(tset_count(v), 0);
    value_free(v);
}

static int64_t number_of(struct slice member) {
    int64_t number = -1;
    size_t skip = member.p[0] == 'm';
    assert_true(num_parse_i64(slice_of(member.p + skip, member.n - skip), &number));
    return number;
}

static void meet(void *context, const struct listpack_item *item) {
    char scratch[NUM_I64_TEXT_MAX];
    struct slice member = tset_text(item, scratch);
    int *met = context;
    met[number_of(member)]++;
}

#define MODEL 400

/** Checks everything that can be asked of v against the model. */
static void compare(struct value v, const bool *in, const char *prefix, struct random *random) {
    int met[MODEL] = {0}, scanned[MODEL] = {0};
    size_t count = 0;
    struct tset_iterator it;
    struct tset_window w;
    char scratch[32];
    tset_iterate(&it, v);
    while (tset_next_window(&it, &w))
        for (size_t i = 0; i < w.count; i++) meet(met, &w.items[i]);
    uint64_t cursor = 0;
    while ((cursor = tset_scan(v, cursor, meet, scanned)) != 0) {
    }
    for (int i = 0; i < MODEL; i++) {
        assert_int_equal(met[i], in[i]);
        assert_int_equal(scanned[i], in[i]);
        count += in[i];
    }
    assert_int_equal(tset_count(v), count);
    w.count = TSET_WINDOW;
    w.hashed = 0;
    char texts[TSET_WINDOW][32];
    int numbers[TSET_WINDOW];
    for (size_t i = 0; i < w.count; i++) {
        numbers[i] = (int)random_below(random, MODEL);
        bool as_int = prefix[0] == '\0' && i % 2 == 0;
        w.items[i] = (struct listpack_item){
            .is_int = as_int, .number = numbers[i], .text = text(texts[i], prefix, numbers[i])};
    }
    uint32_t which = (uint32_t)random_next(random), has = tset_has_window(v, &w, which);
    for (size_t i = 0; i < w.count; i++)
        assert_int_equal(has >> i & 1, (which >> i & 1) != 0 && in[numbers[i]]);
    if (count > 0) {
        struct listpack_item item;
        tset_random(v, random, &item);
        assert_true(in[number_of(tset_text(&item, scratch))]);
    }
}

static void random_changes(struct value v, const char *prefix, int range, uint64_t seed) {
    bool in[MODEL] = {0};
    char scratch[32];
    struct random random;
    random_init(&random, seed);
    for (int step = 0; step < 3000; step++) {
        int i = (int)random_below(&random, (uint64_t)range);
        struct slice member = text(scratch, prefix, i);
        assert_int_equal(tset_has(v, member), in[i]);
        tset_prefetch(v, &member, 1);
        if (random_below(&random, 10) < (step / 1000 % 2 == 0 ? 7u : 2u)) {
            assert_int_equal(tset_add(&v, member, limits), !in[i]);
            in[i] = true;
        } else {
            assert_int_equal(tset_remove(&v, member), in[i]);
            in[i] = false;
        }
        if (step % 8 == 0) assert_true(value_is_valid(v));
        if (step % 64 == 0) compare(v, in, prefix, &random);
    }
    struct value copy = value_copy(v);
    struct digest a = {0}, b = {0}, c = {0};
    compare(copy, in, prefix, &random);
    value_digest(v, &a);
    value_digest(copy, &b);
    assert_true(value_is_valid(copy));
    assert_memory_equal(&a, &b, sizeof(a));
    tset_add(&copy, SLICE_LITERAL("m399x"), limits);
    value_digest(copy, &c);
    assert_memory_not_equal(&a, &c, sizeof(a));
    value_free(copy);
    value_free(v);
}

static void test_random_changes_against_a_model(void **state) {
    (void)state;
    int64_t before = mem_used();
    random_changes(tset_new(), "", MODEL, 1);        // intset
    random_changes(tset_new(), "m", 100, 2);         // listpack
    random_changes(tset_new_listpack(), "", 100, 3); // listpack of integers
    random_changes(tset_new(), "m", MODEL, 4);       // listpack, then table
    random_changes(tset_create(SLICE_LITERAL("x"), 1000, limits), "", MODEL, 5);
    assert_int_equal(mem_used(), before);
}

static void test_digests_do_not_depend_on_the_encoding(void **state) {
    (void)state;
    struct value sets[] = {tset_new(), tset_new_listpack(),
                           tset_create(SLICE_LITERAL("x"), 1000, limits)};
    struct digest digests[3] = {{0}};
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < 50; i++) add(&sets[k], "", k == 1 ? 49 - i : i, true);
        value_digest(sets[k], &digests[k]);
        assert_memory_equal(&digests[0], &digests[k], sizeof(digests[0]));
        value_free(sets[k]);
    }
}

static void test_memory_is_what_was_taken(void **state) {
    (void)state;
    int64_t before = mem_used();
    struct value v = tset_new();
    for (int i = 0; i < 20000; i++) {
        add(&v, "member:", i, true);
        if (i % 1000 == 0 || i < 200)
            assert_int_equal(mem_used() - before, (int64_t)value_memory(v));
    }
    assert_in_range(value_memory(v), 20000 * 16, 20000 * 31);
    value_free(v);
    assert_int_equal(mem_used(), before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers_stay_an_intset_up_to_its_limit),
        cmocka_unit_test(test_an_intset_becomes_a_listpack_when_that_is_small_enough),
        cmocka_unit_test(test_a_listpack_becomes_a_table_at_its_limits),
        cmocka_unit_test(test_what_a_set_is_created_as),
        cmocka_unit_test(test_members_of_any_length),
        cmocka_unit_test(test_random_changes_against_a_model),
        cmocka_unit_test(test_digests_do_not_depend_on_the_encoding),
        cmocka_unit_test(test_memory_is_what_was_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
