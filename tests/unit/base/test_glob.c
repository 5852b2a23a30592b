// SPDX-License-Identifier: BSD-3-Clause
//
// Glob patterns: every element, Redis's oddities by name (each was seen in Redis itself), and the
// promise that hostile patterns cost no more than text times pattern. One thread; no
// state. The cost is checked with a clock, generously: the exponential case would take years.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/clock.h"
#include "engine/base/glob.h"

static void expect(const char *pattern, const char *text, bool matches) {
    if (glob_match(slice_text(pattern), slice_text(text), false) != matches) {
        fail_msg("'%s' must %smatch '%s'", pattern, matches ? "" : "not ", text);
    }
}

static void test_elements(void **state) {
    (void)state;
    expect("abc", "abc", true);
    expect("abc", "abcd", false);
    expect("abcd", "abc", false);
    expect("a?c", "abc", true);
    expect("a?c", "ac", false);
    expect("*", "anything", true);
    expect("a*", "a", true);
    expect("a**", "a", true);
    expect("*c", "abcabc", true);
    expect("a*b*c", "axxbyybzzc", true);
    expect("a*b*c", "axxbyybzz", false);
    expect("*ab*ab*", "xxabyab", true);
    expect("h[ae]llo", "hello", true);
    expect("h[ae]llo", "hillo", false);
    expect("h[^e]llo", "hallo", true);
    expect("h[^e]llo", "hello", false);
    expect("h[a-c]llo", "hbllo", true);
    expect("h[c-a]llo", "hbllo", true);
    expect("h[a-c]llo", "hdllo", false);
    expect("h\\*llo", "h*llo", true);
    expect("h\\*llo", "hello", false);
    expect("*[0-9]", "key:7", true);
    expect("*[0-9]", "key:x", false);
}

static void test_oddities(void **state) {
    (void)state;
    expect("", "", true);
    expect("*", "", false); // KEYS * does not ask the matcher
    expect("", "a", false);
    expect("[", "[", false);
    expect("[^", "x", true);
    expect("[a", "a", true);
    expect("[]", "a", false);
    expect("[^]", "a", true);
    expect("[]a]", "a]", false);
    expect("[a-]", "^", true); // the range from 'a' to ']'
    expect("[a-]", "_", true);
    expect("[\\]]", "]", true);
    expect("[a\\-z]", "-", true);
    expect("[a\\-z]", "m", false);
    expect("a\\", "a\\", true);
    expect("\\", "\\", true);
    expect("[\\", "\\", true);
}

static void test_case(void **state) {
    (void)state;
    assert_true(glob_match(SLICE_LITERAL("MaxMem*"), SLICE_LITERAL("maxmemory"), true));
    assert_false(glob_match(SLICE_LITERAL("MaxMem*"), SLICE_LITERAL("maxmemory"), false));
    assert_true(glob_match(SLICE_LITERAL("[A-C]x"), SLICE_LITERAL("bX"), true));
    assert_true(glob_match(SLICE_LITERAL("[B]"), SLICE_LITERAL("b"), true));
    assert_false(glob_match(SLICE_LITERAL("[\\B]"), SLICE_LITERAL("b"), true));
    assert_true(glob_match(SLICE_LITERAL("\\B"), SLICE_LITERAL("b"), true));
}

static void test_any_bytes(void **state) {
    (void)state;
    assert_true(glob_match(slice_of("a\0*", 3), slice_of("a\0b\0", 4), false));
    assert_false(glob_match(slice_of("a\0", 2), slice_of("a\1", 2), false));
    assert_true(glob_match(SLICE_LITERAL("[\x80-\xff]"), SLICE_LITERAL("\x90"), false));
    assert_true(glob_match(SLICE_LITERAL("[a-\xff]"), SLICE_LITERAL("A"), false)); // signed bytes
}

static void test_many_stars(void **state) {
    (void)state;
    char pattern[2100];
    for (size_t i = 0; i < sizeof(pattern); i++) pattern[i] = i % 2 == 0 ? '*' : 'a';
    char text[1100];
    memset(text, 'a', sizeof(text));
    // 1,000 stars are Redis's limit; a last one, at the end, is free.
    assert_true(glob_match(slice_of(pattern, 2000), slice_of(text, sizeof(text)), false));
    assert_true(glob_match(slice_of(pattern, 2001), slice_of(text, sizeof(text)), false));
    assert_false(glob_match(slice_of(pattern, 2003), slice_of(text, sizeof(text)), false));
}

static void test_hostile_pattern_is_cheap(void **state) {
    (void)state;
    char text[20000], pattern[400];
    memset(text, 'a', sizeof(text));
    for (size_t i = 0; i < sizeof(pattern); i++) pattern[i] = i % 2 == 0 ? '*' : 'a';
    pattern[sizeof(pattern) - 1] = 'b';
    int64_t before_ns = clock_monotonic_ns();
    assert_false(
        glob_match(slice_of(pattern, sizeof(pattern)), slice_of(text, sizeof(text)), false));
    assert_true(clock_monotonic_ns() - before_ns < 2000000000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elements),   cmocka_unit_test(test_oddities),
        cmocka_unit_test(test_case),       cmocka_unit_test(test_any_bytes),
        cmocka_unit_test(test_many_stars), cmocka_unit_test(test_hostile_pattern_is_cheap),
    };
    return cmocka_run_group_tests_name("engine/base/glob", tests, NULL, NULL);
}
