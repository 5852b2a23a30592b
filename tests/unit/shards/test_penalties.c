// SPDX-License-Identifier: BSD-3-Clause
//
// Penalties for failed logins: how long each failure waits, that addresses do not share, that old
// failures are forgotten, and that a flood of addresses costs neither memory nor those who fail
// just now. One thread; the clock is the test's.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/base/alloc.h"
#include "shards/penalties.h"

static void fail_freely(struct penalties *p, uint64_t address, int64_t now_ms) {
    for (int i = 0; i < PENALTIES_FREE; i++) assert_int_equal(penalties_add(p, address, now_ms), 0);
}

static void test_waits_grow_up_to_a_limit(void **state) {
    (void)state;
    struct penalties p = {0};
    fail_freely(&p, 7, 1000);
    int64_t want_ms = PENALTIES_FIRST_MS;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(penalties_add(&p, 7, 1000 + i), want_ms);
        want_ms = want_ms * 2 < PENALTIES_MOST_MS ? want_ms * 2 : PENALTIES_MOST_MS;
    }
    fail_freely(&p, 8, 2000); // somebody else
    assert_int_equal(penalties_add(&p, 8, 2000), PENALTIES_FIRST_MS);
    penalties_fini(&p);
}

static void test_failures_are_forgotten(void **state) {
    (void)state;
    struct penalties p = {0};
    fail_freely(&p, 7, 0);
    assert_true(penalties_add(&p, 7, PENALTIES_FORGET_MS) > 0); // just in time
    fail_freely(&p, 7, 2 * PENALTIES_FORGET_MS + 1);
    assert_true(penalties_add(&p, 7, 2 * PENALTIES_FORGET_MS + 2) > 0);
    penalties_fini(&p);
}

static void test_a_flood_of_addresses(void **state) {
    (void)state;
    struct penalties p = {0};
    penalties_add(&p, 1, 0);
    size_t before = mem_used();
    int64_t now_ms = 0;
    for (uint64_t i = 2; i < 100000; i++) {
        assert_int_equal(penalties_add(&p, i * 2654435761u, now_ms), 0);
        // Who fails all the time is not forgotten for those who fail once.
        if (i % 50 == 0) now_ms++;
        penalties_add(&p, 1, now_ms);
    }
    assert_int_equal(penalties_add(&p, 1, now_ms), PENALTIES_MOST_MS);
    assert_int_equal(mem_used(), before);
    penalties_fini(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits_grow_up_to_a_limit),
        cmocka_unit_test(test_failures_are_forgotten),
        cmocka_unit_test(test_a_flood_of_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
