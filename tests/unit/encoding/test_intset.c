// SPDX-License-Identifier: BSD-3-Clause
//
// Intsets: the bytes of Redis's format, widths at their boundaries, random changes against a model,
// seeking, and refusal of malformed bytes. After each change the invariants are walked.
// Single-threaded; random choices follow from a fixed seed.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/alloc.h"
#include "engine/base/random.h"
#include "engine/encoding/intset.h"

static uint8_t *add(uint8_t *is, int64_t number, bool expected) {
    bool added;
    is = intset_add(is, number, &added);
    assert_int_equal(added, expected);
    assert_true(intset_has(is, number));
    assert_true(intset_is_valid(is));
    return is;
}

static uint8_t *drop(uint8_t *is, int64_t number, bool expected) {
    bool removed;
    is = intset_remove(is, number, &removed);
    assert_int_equal(removed, expected);
    assert_false(intset_has(is, number));
    assert_true(intset_is_valid(is));
    return is;
}

static void test_the_bytes_are_those_of_the_format(void **state) {
    (void)state;
    uint8_t *is = intset_new();
    assert_memory_equal(is, "\2\0\0\0\0\0\0\0", intset_bytes(is));
    is = add(is, 5, true);
    is = add(is, -2, true);
    is = add(is, 5, false);
    assert_int_equal(intset_bytes(is), 12);
    assert_memory_equal(is, "\2\0\0\0\2\0\0\0\xfe\xff\5\0", 12);
    is = add(is, 65536, true);
    assert_int_equal(intset_bytes(is), 20);
    assert_memory_equal(is, "\4\0\0\0\3\0\0\0\xfe\xff\xff\xff\5\0\0\0\0\0\1\0", 20);
    is = drop(is, 65536, true);
    is = drop(is, 65536, false);
    assert_int_equal(intset_width(is), 4); // never narrower again
    uint8_t *copy = intset_copy(is);
    assert_int_equal(intset_bytes(copy), intset_bytes(is));
    assert_memory_equal(copy, is, intset_bytes(is));
    intset_free(copy);
    intset_free(is);
}

static void test_widths_at_their_boundaries(void **state) {
    (void)state;
    const struct {
        int64_t number;
        uint32_t width;
    } cases[] = {
        {0, 2},
        {INT16_MAX, 2},
        {INT16_MIN, 2},
        {32768, 4},
        {-32769, 4},
        {INT32_MAX, 4},
        {INT32_MIN, 4},
        {INT64_C(2147483648), 8},
        {INT64_C(-2147483649), 8},
        {INT64_MAX, 8},
        {INT64_MIN, 8},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t *is = intset_new();
        is = add(is, 1, true);
        is = add(is, -1, true);
        assert_false(intset_has(is, INT64_MAX));
        is = add(is, cases[i].number, true);
        assert_int_equal(intset_width(is), cases[i].width);
        assert_int_equal(intset_at(is, cases[i].number < -1   ? 0
                                       : cases[i].number == 0 ? 1
                                                              : 2),
                         cases[i].number);
        is = drop(is, cases[i].number, true);
        assert_int_equal(intset_at(is, 0), -1);
        assert_int_equal(intset_at(is, 1), 1);
        intset_free(is);
    }
}

#define MODEL 2000

static void test_random_changes_against_a_model(void **state) {
    (void)state;
    static bool in[MODEL];
    struct random random;
    random_init(&random, 1);
    int64_t before = mem_used();
    uint8_t *is = intset_new();
    memset(in, 0, sizeof(in));
    size_t count = 0;
    for (int step = 0; step < 20000; step++) {
        int i = (int)random_below(&random, MODEL);
        int64_t number = ((int64_t)i - MODEL / 2) * 40;
        if (random_below(&random, 10) < (step / 5000 % 2 == 0 ? 7u : 3u)) {
            is = add(is, number, !in[i]);
            count += !in[i];
            in[i] = true;
        } else {
            is = drop(is, number, in[i]);
            count -= in[i];
            in[i] = false;
        }
        assert_int_equal(intset_count(is), count);
        assert_in_range(intset_memory(is), intset_bytes(is), intset_bytes(is) * 2 + 64);
    }
    size_t at = 0;
    for (int i = 0; i < MODEL; i++) {
        int64_t number = ((int64_t)i - MODEL / 2) * 40;
        assert_int_equal(intset_seek(is, 0, number), at);
        assert_int_equal(intset_seek(is, at / 2, number), at);
        assert_int_equal(intset_seek(is, at, number), at);
        if (in[i]) assert_int_equal(intset_at(is, at++), number);
    }
    assert_int_equal(at, count);
    assert_int_equal(intset_seek(is, 0, INT64_MAX), count);
    assert_int_equal(intset_seek(is, count, 0), count);
    intset_free(is);
    assert_int_equal(mem_used(), before);
}

static void test_malformed_bytes_are_refused(void **state) {
    (void)state;
    assert_true(intset_validate((const uint8_t *)"\2\0\0\0\2\0\0\0\1\0\2\0", 12));
    assert_false(intset_validate((const uint8_t *)"\2\0\0\0\2\0\0\0\1\0\2\0", 7));
    assert_false(intset_validate((const uint8_t *)"\2\0\0\0\2\0\0\0\1\0\2\0", 10));
    assert_false(intset_validate((const uint8_t *)"\2\0\0\0\2\0\0\0\1\0\1\0", 12));
    assert_false(intset_validate((const uint8_t *)"\2\0\0\0\2\0\0\0\1\0\xff\xff", 12));
    assert_false(intset_validate((const uint8_t *)"\3\0\0\0\1\0\0\0\1\0\2", 11));
    assert_false(intset_validate((const uint8_t *)"\2\0\0\0\xff\xff\xff\xff\1\0\2\0", 12));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_bytes_are_those_of_the_format),
        cmocka_unit_test(test_widths_at_their_boundaries),
        cmocka_unit_test(test_random_changes_against_a_model),
        cmocka_unit_test(test_malformed_bytes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
