// SPDX-License-Identifier: BSD-3-Clause
//
// The generator against published values of xoshiro256**, its repeatability, the bounds and
// evenness of random_below, and that secrets differ; with it the clocks' one promise each. One
// thread.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "engine/base/clock.h"
#include "engine/base/random.h"

static void test_sequence(void **state) {
    (void)state;
    // The reference implementation's first numbers from the state 1, 2, 3, 4.
    static const uint64_t expected[] = {11520u, 0u, 1509978240u, 1215971899390074240u};
    struct random r = {{1, 2, 3, 4}};
    for (int i = 0; i < 4; i++) assert_true(random_next(&r) == expected[i]);
    struct random a, b, c;
    random_init(&a, 5);
    random_init(&b, 5);
    random_init(&c, 6);
    for (int i = 0; i < 100; i++) {
        uint64_t next = random_next(&a);
        assert_true(next == random_next(&b));
        assert_true(next != random_next(&c));
    }
}

static void test_below(void **state) {
    (void)state;
    struct random r;
    random_init(&r, 0);
    int seen[10] = {0};
    for (int i = 0; i < 100000; i++) seen[random_below(&r, 10)]++;
    for (int i = 0; i < 10; i++) assert_in_range(seen[i], 9500, 10500);
    for (int i = 0; i < 100; i++) assert_int_equal(random_below(&r, 1), 0);
}

static void test_secret(void **state) {
    (void)state;
    char a[400] = {0}, b[400] = {0};
    random_secret(a, sizeof(a));
    random_secret(b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    random_secret(a, 0);
}

static void test_clocks(void **state) {
    (void)state;
    int64_t before_ns = clock_monotonic_ns();
    for (int i = 0; i < 1000; i++) {
        int64_t now_ns = clock_monotonic_ns();
        assert_true(now_ns >= before_ns);
        before_ns = now_ns;
    }
    int64_t seconds = clock_wall_us() / 1000000 - (int64_t)time(NULL);
    assert_true(seconds >= -1 && seconds <= 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sequence),
        cmocka_unit_test(test_below),
        cmocka_unit_test(test_secret),
        cmocka_unit_test(test_clocks),
    };
    return cmocka_run_group_tests_name("engine/base/random", tests, NULL, NULL);
}
