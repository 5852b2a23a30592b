// SPDX-License-Identifier: BSD-3-Clause
//
// Timers against a plain array: random setting, moving, cancelling and running, also from within a
// timer's own function. What is due runs once, in the order of deadlines; nothing else runs.
// Invariant tested: timers_is_valid() after every step.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/base/random.h"
#include "shards/timers.h"

#define COUNT 40

struct bench;
struct item {
    struct timer timer; // first member
    struct bench *bench;
    int64_t expected_ns; // -1: not set
    int runs;
};

struct bench {
    struct timers timers;
    struct item items[COUNT];
    int64_t now_ns, latest_ns;
    struct random random;
    bool again; // a timer that runs may set itself anew
};

static void on_due(struct timer *timer) {
    struct item *item = (struct item *)timer;
    struct bench *b = item->bench;
    assert_true(item->expected_ns >= 0 && item->expected_ns <= b->now_ns);
    assert_true(item->expected_ns >= b->latest_ns);
    assert_int_equal(timer->place, 0);
    b->latest_ns = item->expected_ns;
    item->expected_ns = -1;
    item->runs++;
    if (!b->again || random_below(&b->random, 4) != 0) return;
    item->expected_ns = b->now_ns + 1 + (int64_t)random_below(&b->random, 50);
    timers_set(&b->timers, timer, item->expected_ns, on_due);
}

static void check(const struct bench *b) {
    int64_t next_ns = INT64_MAX;
    uint32_t count = 0;
    for (int i = 0; i < COUNT; i++) {
        if (b->items[i].expected_ns < 0) continue;
        count++;
        if (b->items[i].expected_ns < next_ns) next_ns = b->items[i].expected_ns;
    }
    assert_true(timers_is_valid(&b->timers));
    assert_int_equal(b->timers.count, count);
    assert_int_equal(timers_next_ns(&b->timers), next_ns);
}

static void run_seed(uint64_t seed) {
    struct bench b = {.again = seed % 2};
    random_init(&b.random, seed);
    for (int i = 0; i < COUNT; i++) b.items[i] = (struct item){.bench = &b, .expected_ns = -1};
    for (int step = 0; step < 2000; step++) {
        struct item *item = &b.items[random_below(&b.random, COUNT)];
        switch (random_below(&b.random, 4)) {
        case 0:
        case 1:
            item->expected_ns = b.now_ns + (int64_t)random_below(&b.random, 100);
            timers_set(&b.timers, &item->timer, item->expected_ns, on_due);
            break;
        case 2:
            item->expected_ns = -1;
            timers_cancel(&b.timers, &item->timer);
            break;
        default:
            b.now_ns += (int64_t)random_below(&b.random, 20);
            b.latest_ns = 0;
            timers_run(&b.timers, b.now_ns);
            for (int i = 0; i < COUNT; i++)
                assert_true(b.items[i].expected_ns < 0 || b.items[i].expected_ns > b.now_ns);
        }
        check(&b);
    }
    timers_fini(&b.timers);
}

static void test_random_against_array(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) run_seed(seed);
}

static void test_empty(void **state) {
    (void)state;
    struct timers t = {0};
    struct timer timer = {0};
    timers_cancel(&t, &timer);
    timers_run(&t, INT64_MAX);
    assert_int_equal(timers_next_ns(&t), INT64_MAX);
    assert_true(timers_is_valid(&t));
    timers_fini(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_against_array),
        cmocka_unit_test(test_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
