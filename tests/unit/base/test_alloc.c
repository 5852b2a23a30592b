// SPDX-License-Identifier: BSD-3-Clause
//
// The accounting of memory: what is allocated is counted, what is freed is not, to the byte, at
// every size class, over realloc and alignment, when another thread frees, and after threads have
// ended. Spawns threads of its own; the counters are the process's.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/alloc.h"
#include "engine/base/random.h"

static void test_sizes(void **state) {
    (void)state;
    int64_t start = mem_used();
    for (size_t n = 1; n < 70000; n += n < 2100 ? 1 : 509) {
        char *p = mem_alloc(n);
        assert_true(mem_usable(p) >= n);
        assert_true(mem_good_size(n) >= n);
        assert_int_equal(mem_used() - start, mem_usable(p));
        memset(p, 1, n);
        mem_free(p);
        assert_int_equal(mem_used(), start);
        p = mem_calloc(n);
        for (size_t i = 0; i < n; i += 97) assert_int_equal(p[i], 0);
        assert_int_equal(p[n - 1], 0);
        assert_int_equal(mem_used() - start, mem_usable(p));
        mem_free(p);
    }
    assert_int_equal(mem_used(), start);
    mem_free(NULL);
}

static void test_resizing(void **state) {
    (void)state;
    int64_t start = mem_used();
    struct random r;
    random_init(&r, 3);
    unsigned char *p = NULL;
    size_t before = 0;
    for (int i = 0; i < 2000; i++) {
        size_t n = 1 + (size_t)random_below(&r, i % 10 == 0 ? 300000 : 900);
        p = mem_realloc(p, n);
        if (before != 0) {
            size_t kept = before < n ? before : n;
            assert_int_equal(p[0], 0x5a);
            assert_int_equal(p[kept - 1], 0x5a);
        }
        memset(p, 0x5a, n);
        before = n;
        assert_int_equal(mem_used() - start, mem_usable(p));
    }
    mem_free(p);
    assert_int_equal(mem_used(), start);
}

static void test_aligned(void **state) {
    (void)state;
    int64_t start = mem_used();
    for (size_t alignment = 1; alignment <= 4096; alignment *= 2) {
        void *p = mem_alloc_aligned(100, alignment);
        assert_int_equal((uintptr_t)p % alignment, 0);
        assert_int_equal(mem_used() - start, mem_usable(p));
        mem_free(p);
    }
    assert_int_equal(mem_used(), start);
}

static void test_count_and_peak(void **state) {
    (void)state;
    int64_t start = mem_used();
    mem_count(1 << 30);
    assert_int_equal(mem_used(), start + (1 << 30));
    assert_true(mem_peak() >= start + (1 << 30));
    mem_count(-(1 << 30));
    assert_int_equal(mem_used(), start);
    assert_true(mem_peak() >= start + (1 << 30));
    assert_true(mem_resident() > 100000);
    assert_true(strlen(mem_allocator_name()) > 0);
}

#define BLOCKS 1000

static void *allocate_blocks(void *blocks) {
    void **at = blocks;
    for (size_t i = 0; i < BLOCKS; i++) at[i] = mem_alloc(1 + i);
    return NULL;
}

static void *free_blocks(void *blocks) {
    void **at = blocks;
    for (size_t i = 0; i < BLOCKS; i++) mem_free(at[i]);
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    int64_t start = mem_used();
    static void *blocks[4][BLOCKS];
    for (int round = 0; round < 20; round++) {
        pthread_t threads[4];
        for (int i = 0; i < 4; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, allocate_blocks, blocks[i]), 0);
        }
        for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
        int64_t expected = start;
        for (int i = 0; i < 4; i++) {
            for (size_t k = 0; k < BLOCKS; k++) expected += (int64_t)mem_usable(blocks[i][k]);
        }
        assert_int_equal(mem_used(), expected);
        for (int i = 0; i < 4; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, free_blocks, blocks[3 - i]), 0);
        }
        for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
        assert_int_equal(mem_used(), start);
    }
}

static void *allocate_unseen(void *level) {
    *(int64_t *)level = mem_level();
    void *p = mem_alloc(100000);
    mem_publish(200000); // not enough to be told
    return p;
}

static void test_levels(void **state) {
    (void)state;
    mem_publish(0);
    int64_t start = mem_level(), leaving = mem_leaving();
    void *own = mem_alloc(5000);
    assert_int_equal(mem_level() - start, mem_usable(own)); // the own part is exact
    pthread_t thread;
    int64_t seen;
    void *p;
    assert_int_equal(pthread_create(&thread, NULL, allocate_unseen, &seen), 0);
    assert_int_equal(pthread_join(thread, &p), 0);
    assert_int_equal(seen, start); // ours is not published yet
    mem_publish(INT64_MAX);
    // A thread that ends publishes what it has.
    assert_int_equal(mem_level() - start, mem_usable(own) + mem_usable(p));
    mem_leave(100);
    assert_int_equal(mem_leaving() - leaving, 100);
    mem_left(100);
    assert_int_equal(mem_leaving(), leaving);
    mem_free(p);
    mem_free(own);
    assert_int_equal(mem_level(), start);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),   cmocka_unit_test(test_resizing),
        cmocka_unit_test(test_aligned), cmocka_unit_test(test_count_and_peak),
        cmocka_unit_test(test_threads), cmocka_unit_test(test_levels),
    };
    return cmocka_run_group_tests_name("engine/base/alloc", tests, NULL, NULL);
}
