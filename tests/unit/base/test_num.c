// SPDX-License-Identifier: BSD-3-Clause
//
// Numbers to text and back: the strict integer grammar at its limits, Redis's layout of doubles,
// the human form of long doubles, memory sizes. Doubles are also printed and read back at random,
// which is the property that everything else hangs on. One thread; no state.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/num.h"
#include "engine/base/random.h"

static void expect_i64(const char *text, int64_t expected) {
    int64_t value = 12345;
    if (!num_parse_i64(slice_text(text), &value)) fail_msg("'%s' was refused", text);
    assert_int_equal(value, expected);
    char out[NUM_I64_TEXT_MAX];
    size_t n = num_format_i64(out, expected);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(out, text, n);
    assert_int_equal(num_i64_width(expected), n);
}

static void test_i64_accepts(void **state) {
    (void)state;
    expect_i64("0", 0);
    expect_i64("1", 1);
    expect_i64("-1", -1);
    expect_i64("9223372036854775807", INT64_MAX);
    expect_i64("-9223372036854775808", INT64_MIN);
    // Every number of digits, on both sides of the step.
    int64_t power = 1;
    for (int digits = 1; digits < 19; digits++) {
        power *= 10;
        char text[NUM_I64_TEXT_MAX];
        for (int64_t near = power - 1; near <= power + 1; near++) {
            snprintf(text, sizeof(text), "%lld", (long long)near);
            expect_i64(text, near);
            snprintf(text, sizeof(text), "%lld", (long long)-near);
            expect_i64(text, -near);
        }
    }
}

static void test_i64_refuses(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "-",
        "+1",
        "01",
        "-0",
        "-01",
        "00",
        " 1",
        "1 ",
        "1a",
        "a",
        "0x1",
        "1.0",
        "1e3",
        "9223372036854775808",
        "-9223372036854775809",
        "99999999999999999999",
        "111111111111111111111",
        "18446744073709551616",
        "/",
        ":",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        int64_t value = 77;
        if (num_parse_i64(slice_text(texts[i]), &value)) fail_msg("'%s' was taken", texts[i]);
        assert_int_equal(value, 77);
    }
    int64_t value;
    assert_false(num_parse_i64(slice_of("1\0", 2), &value));
    assert_true(num_parse_i64(slice_of("123", 2), &value));
    assert_int_equal(value, 12);
}

static void test_u64(void **state) {
    (void)state;
    uint64_t value;
    assert_true(num_parse_u64(SLICE_LITERAL("18446744073709551615"), &value));
    assert_true(value == UINT64_MAX);
    assert_true(num_parse_u64(SLICE_LITERAL("10000000000000000000"), &value));
    assert_true(value == 10000000000000000000u);
    assert_false(num_parse_u64(SLICE_LITERAL("18446744073709551616"), &value));
    assert_false(num_parse_u64(SLICE_LITERAL("20000000000000000000"), &value));
    assert_false(num_parse_u64(SLICE_LITERAL("1844674407370955161x"), &value));
    assert_false(num_parse_u64(SLICE_LITERAL("-1"), &value));
    assert_false(num_parse_u64(SLICE_LITERAL(""), &value));
    char out[NUM_I64_TEXT_MAX];
    assert_int_equal(num_format_u64(out, UINT64_MAX), 20);
    assert_memory_equal(out, "18446744073709551615", 20);
}

static void test_double_layout(void **state) {
    (void)state;
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0.0, "0"},
        {-0.0, "-0"},
        {1, "1"},
        {-1.5, "-1.5"},
        {0.1, "0.1"},
        {1e-7, "1e-7"},
        {0.00001, "0.00001"},
        {1.5e-9, "1.5e-9"},
        {123456.789, "123456.789"},
        {3.0e100, "3e+100"},
        {1e21, "1e+21"},
        {4611686018427387904.0, "4611686018427387904"},
        {9.3e18, "9.3e+18"},
        {5e-324, "5e-324"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {INFINITY, "inf"},
        {-INFINITY, "-inf"},
        {NAN, "nan"},
        {-NAN, "nan"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char out[NUM_DOUBLE_TEXT_MAX];
        size_t n = num_format_double(out, rows[i].value);
        out[n] = '\0';
        assert_string_equal(out, rows[i].text);
    }
}

static void test_double_round_trip(void **state) {
    (void)state;
    struct random r;
    random_init(&r, 20261122);
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = random_next(&r);
        double value;
        if (i % 4 == 1) bits &= ((uint64_t)1 << 52) - 1;    // subnormal
        if (i % 4 == 2) bits &= ~(((uint64_t)1 << 52) - 1); // power of two
        memcpy(&value, &bits, sizeof(value));
        if (i % 4 == 3) value = (double)(int64_t)bits / 1000;
        if (isnan(value)) continue;
        char out[NUM_DOUBLE_TEXT_MAX];
        size_t n = num_format_double(out, value);
        assert_true(n <= 25);
        double again;
        assert_true(num_parse_double(slice_of(out, n), &again));
        if (again != value) fail_msg("%a was printed as %.*s", value, (int)n, out);
    }
}

static void test_parse_double(void **state) {
    (void)state;
    static const char *const refused[] = {"",   " 1",    "\t1",    "1 ",     "nan", "-nan", "1x",
                                          "0x", "1e400", "-1e400", "1e-400", ".",   "e5",   "--1"};
    double value;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (num_parse_double(slice_text(refused[i]), &value)) fail_msg("'%s' taken", refused[i]);
    }
    assert_false(num_parse_double(slice_of("1\0", 2), &value));
    assert_true(num_parse_double(SLICE_LITERAL("-inf"), &value) && isinf(value) && value < 0);
    assert_true(num_parse_double(SLICE_LITERAL("Infinity"), &value) && isinf(value));
    assert_true(num_parse_double(SLICE_LITERAL("0x10"), &value) && value == 16);
    assert_true(num_parse_double(SLICE_LITERAL("5e-324"), &value) && value == 5e-324);
    assert_true(num_parse_double(slice_of("1.25garbage", 4), &value) && value == 1.25);
    // Around the size of the scratch space, where the copy moves to the heap.
    char zeros[600];
    memset(zeros, '0', sizeof(zeros));
    for (size_t n = 250; n < 262; n++) {
        zeros[n] = '7';
        assert_true(num_parse_double(slice_of(zeros, n + 1), &value) && value == 7);
        zeros[n] = '0';
    }
}

// Plain decimals take a way of their own, which must find the double that strtod finds.
static void test_parse_plain_double(void **state) {
    (void)state;
    struct random random;
    random_init(&random, 2);
    for (int i = 0; i < 100000; i++) {
        char text[32];
        size_t n = 0, digits = 1 + random_below(&random, 20), point = random_below(&random, 24);
        if (random_below(&random, 2) == 0) text[n++] = '-';
        for (size_t j = 0; j < digits; j++) {
            if (j == point) text[n++] = '.';
            text[n++] = (char)('0' + random_below(&random, 10));
        }
        if (digits == point) text[n++] = '.';
        text[n] = '\0';
        double expected = strtod(text, NULL), value;
        assert_true(num_parse_double(slice_of(text, n), &value));
        if (memcmp(&value, &expected, sizeof value) != 0)
            fail_msg("%s was read as %a", text, value);
    }
    static const char *const refused[] = {".", "-.", "-", "1..", "1.2.3", "1-", "1.x"};
    double value;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        if (num_parse_double(slice_text(refused[i]), &value)) fail_msg("'%s' taken", refused[i]);
}

static void expect_long_double(const char *in, const char *text) {
    long double value;
    assert_true(num_parse_long_double(slice_text(in), &value));
    static char out[NUM_LONG_DOUBLE_TEXT_MAX];
    size_t n = num_format_long_double(out, value);
    assert_true(n < sizeof(out));
    out[n] = '\0';
    assert_string_equal(out, text);
}

static void expect_human(double value) {
    char expected[NUM_LONG_DOUBLE_TEXT_MAX], out[NUM_LONG_DOUBLE_TEXT_MAX];
    size_t n = num_format_long_double(expected, (long double)value);
    size_t m = num_format_human(out, value);
    if (n != m || memcmp(expected, out, n) != 0)
        fail_msg("%.20g became %.*s, not %.*s", value, (int)m, out, (int)n, expected);
}

/** The same text as by printf, above all where digits are cut off. */
static void test_human(void **state) {
    (void)state;
    static const double values[] = {0,
                                    -0.0,
                                    1,
                                    -1,
                                    999.99999999999999,
                                    999,
                                    1000,
                                    1e300,
                                    INFINITY,
                                    -INFINITY,
                                    NAN,
                                    0.1,
                                    -0.1,
                                    1e-17,
                                    5e-18,
                                    4.9e-18,
                                    -5e-18,
                                    -1e-18,
                                    1e-300,
                                    5e-324,
                                    0.5,
                                    0x1p-17,
                                    0x1p-18,
                                    0x1p-57,
                                    0x1p-58,
                                    0x1.8p-57,
                                    13.361389338970184,
                                    0x1.fffffffffffffp-1};
    struct random r;
    random_init(&r, 21);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) expect_human(values[i]);
    for (int i = 0; i < 20000; i++) {
        double value = (double)(int64_t)random_next(&r) / 0x1p63;
        expect_human(value * 180);
        expect_human(ldexp(value, -(int)random_below(&r, 80)));
        // Halves of the last digit: 2^-18 and multiples have an exact 18th digit of 5.
        expect_human((double)random_below(&r, 1 << 20) * 0x1p-18);
    }
}

static void test_long_double(void **state) {
    (void)state;
    expect_long_double("10.50", "10.5");
    expect_long_double("5.0e3", "5000");
    expect_long_double("3.0", "3");
    expect_long_double("100", "100");
    expect_long_double("-0", "0");
    expect_long_double("-1e-18", "0");
    expect_long_double("0.1", "0.1");
    expect_long_double("inf", "inf");
    expect_long_double("-inf", "-inf");
    long double value;
    assert_false(num_parse_long_double(SLICE_LITERAL(""), &value));
    assert_false(num_parse_long_double(SLICE_LITERAL("nan"), &value));
    assert_false(num_parse_long_double(SLICE_LITERAL("1 "), &value));
    assert_false(num_parse_long_double(SLICE_LITERAL("1e5000"), &value));
    static char zeros[NUM_LONG_DOUBLE_TEXT_MAX];
    memset(zeros, '0', sizeof(zeros));
    assert_true(num_parse_long_double(slice_of(zeros, sizeof(zeros) - 1), &value));
    assert_false(num_parse_long_double(slice_of(zeros, sizeof(zeros)), &value));
    static char out[NUM_LONG_DOUBLE_TEXT_MAX];
    assert_true(num_format_long_double(out, 1.18973149535723176502e+4932L) == 4933);
}

static void test_memory(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t bytes;
    } rows[] = {
        {"0", 0},
        {"", 0},
        {"100", 100},
        {"1b", 1},
        {"1k", 1000},
        {"1kb", 1024},
        {"1KB", 1024},
        {"5mb", 5 << 20},
        {"2m", 2000000},
        {"007", 7},
        {"3g", 3000000000},
        {"2Gb", (int64_t)2 << 30},
        {"9223372036854775807", INT64_MAX},
        {"9223372036854775808", -1},
        {"9999999999gb", -1},
        {"-1", -1},
        {"1 k", -1},
        {"1t", -1},
        {"1.5g", -1},
        {"1kbb", -1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t bytes = -1;
        bool taken = num_parse_memory(slice_text(rows[i].text), &bytes);
        assert_int_equal(taken, rows[i].bytes >= 0);
        assert_int_equal(bytes, rows[i].bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_i64_accepts),
        cmocka_unit_test(test_i64_refuses),
        cmocka_unit_test(test_u64),
        cmocka_unit_test(test_double_layout),
        cmocka_unit_test(test_double_round_trip),
        cmocka_unit_test(test_parse_double),
        cmocka_unit_test(test_parse_plain_double),
        cmocka_unit_test(test_human),
        cmocka_unit_test(test_long_double),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests_name("engine/base/num", tests, NULL, NULL);
}
