// SPDX-License-Identifier: BSD-3-Clause
//
// HyperLogLog's bytes against a plain array of registers: dense and sparse values with random
// registers raised in any order, joins, estimates of every representation, values cut off or
// overwritten at any byte. What the bytes of Redis are is compared in tests/unit/commands/
// test_hll.c, through the commands that make them. One thread.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/base/random.h"
#include "engine/encoding/hll.h"

#define ROOM 40000 // more than any sparse one takes

struct model {
    uint8_t registers[HLL_REGISTERS];
    uint8_t bytes[ROOM];
    size_t n;
};

static struct slice text_of(const struct model *m) { return slice_of(m->bytes, m->n); }

static void assert_registers(const struct model *m) {
    static uint8_t read[HLL_REGISTERS];
    memset(read, 0, sizeof read);
    assert_true(hll_is_valid(text_of(m)));
    assert_true(hll_join(text_of(m), read));
    assert_memory_equal(read, m->registers, sizeof read);
}

static void make_empty(struct model *m) {
    memset(m, 0, sizeof *m);
    hll_make_empty(m->bytes);
    m->n = HLL_EMPTY_BYTES;
}

/** Raises a register of a sparse value; false: it has to become dense. */
static bool raise_sparse(struct model *m, struct hll_mark mark, struct hll_spot *spot, size_t max) {
    bool has = m->registers[mark.index] >= mark.rank;
    assert_int_equal(hll_sparse_find(text_of(m), mark, spot), has ? HLL_HAS : HLL_LACKS);
    if (has) return true;
    if (!hll_sparse_can_set(text_of(m), mark, spot, max)) return false;
    size_t n = hll_sparse_set(m->bytes, m->n, mark, spot);
    assert_true(n <= max || n <= m->n);
    assert_in_range(n, HLL_EMPTY_BYTES, m->n + HLL_SPARSE_STEP);
    m->n = n;
    m->registers[mark.index] = mark.rank;
    return true;
}

static struct hll_mark random_mark(struct random *r, unsigned registers, unsigned rank_max) {
    return (struct hll_mark){(uint16_t)random_below(r, registers),
                             (uint8_t)(1 + random_below(r, rank_max))};
}

static void test_empty(void **state) {
    (void)state;
    static struct model m;
    uint64_t estimate = 1;
    make_empty(&m);
    assert_registers(&m);
    assert_true(hll_is_one(text_of(&m)));
    assert_int_equal(hll_encoding(text_of(&m)), HLL_SPARSE);
    assert_true(hll_cached(text_of(&m), &estimate));
    assert_int_equal(estimate, 0);
    hll_outdate(m.bytes);
    assert_false(hll_cached(text_of(&m), &estimate));
    assert_true(hll_estimate(text_of(&m), &estimate));
    assert_int_equal(estimate, 0);
    hll_set_cached(m.bytes, UINT64_C(0x0123456789abcdef));
    assert_true(hll_cached(text_of(&m), &estimate));
    assert_int_equal(estimate, UINT64_C(0x0123456789abcdef));
}

static void test_first_and_last_registers(void **state) {
    (void)state;
    static struct model m;
    static const uint16_t indexes[] = {0, 16383, 1, 16382, 64, 63, 65, 8191, 8192};
    make_empty(&m);
    for (size_t i = 0; i < sizeof indexes / sizeof *indexes; i++) {
        struct hll_spot spot = {0};
        assert_true(raise_sparse(&m, (struct hll_mark){indexes[i], 7}, &spot, ROOM));
        assert_registers(&m);
    }
    // Neighbours of the same value become one run: 0, 1 and 63 to 65 and so on.
    size_t offset = HLL_HEADER, runs = 0;
    for (struct hll_run run; hll_next_run(text_of(&m), &offset, &run); runs++)
        if (run.value != 0) assert_int_equal(run.count, 2 + (runs == 2));
    assert_int_equal(runs, 7);
}

static void test_sparse_against_registers(void **state) {
    (void)state;
    static struct model m;
    struct random r;
    random_init(&r, 41);
    for (int round = 0; round < 12; round++) {
        unsigned registers = 1u << (1 + random_below(&r, 14));
        unsigned rank_max = random_below(&r, 2) ? 3 : 32;
        make_empty(&m);
        for (int step = 0; step < 800; step++) {
            struct hll_spot spot = {0};
            assert_true(raise_sparse(&m, random_mark(&r, registers, rank_max), &spot, ROOM));
            if (step % 100 == 0) assert_registers(&m);
        }
        assert_registers(&m);
    }
}

static void test_going_on_from_a_spot_makes_the_same_bytes(void **state) {
    (void)state;
    static struct model a, b;
    struct random r;
    random_init(&r, 42);
    for (int round = 0; round < 20; round++) {
        make_empty(&a);
        make_empty(&b);
        struct hll_spot on = {0};
        unsigned gap = 1 + (unsigned)random_below(&r, 30);
        for (unsigned i = 0; i < HLL_REGISTERS; i += 1 + (unsigned)random_below(&r, gap)) {
            struct hll_mark mark = {(uint16_t)i, (uint8_t)(1 + random_below(&r, 2))};
            struct hll_spot fresh = {0};
            assert_true(raise_sparse(&a, mark, &fresh, ROOM));
            assert_true(raise_sparse(&b, mark, &on, ROOM));
            if (random_below(&r, 50) == 0) { // back to a lower one
                mark.index = (uint16_t)random_below(&r, i + 1);
                fresh = (struct hll_spot){0};
                assert_true(raise_sparse(&a, mark, &fresh, ROOM));
                assert_true(raise_sparse(&b, mark, &on, ROOM));
            }
            if (gap > 4) gap--;
        }
        assert_int_equal(a.n, b.n);
        assert_memory_equal(a.bytes, b.bytes, a.n);
        assert_registers(&a);
    }
}

static void test_limits_of_the_sparse_form(void **state) {
    (void)state;
    static struct model m;
    make_empty(&m);
    struct hll_spot spot = {0};
    assert_false(raise_sparse(&m, (struct hll_mark){100, 33}, &spot, ROOM));
    assert_registers(&m);
    spot = (struct hll_spot){0};
    assert_false(raise_sparse(&m, (struct hll_mark){100, 32}, &spot, HLL_EMPTY_BYTES + 2));
    assert_registers(&m);
    spot = (struct hll_spot){0};
    assert_true(raise_sparse(&m, (struct hll_mark){100, 32}, &spot, HLL_EMPTY_BYTES + 3));
    // What does not lengthen it is done also beyond the limit.
    spot = (struct hll_spot){0};
    assert_true(raise_sparse(&m, (struct hll_mark){0, 3}, &spot, m.n + 1));
    spot = (struct hll_spot){0};
    assert_true(raise_sparse(&m, (struct hll_mark){0, 4}, &spot, 0));
    assert_registers(&m);
}

static void test_dense_against_registers(void **state) {
    (void)state;
    static struct model m;
    struct random r;
    random_init(&r, 43);
    make_empty(&m);
    static uint8_t dense[HLL_DENSE_BYTES];
    assert_true(hll_to_dense(text_of(&m), dense));
    memcpy(m.bytes, dense, m.n = HLL_DENSE_BYTES);
    for (int step = 0; step < 60000; step++) {
        struct hll_mark mark = random_mark(&r, HLL_REGISTERS, 63);
        if (step % 3 == 0) mark.index = (uint16_t)(HLL_REGISTERS - 1 - mark.index % 4);
        assert_int_equal(hll_dense_has(m.bytes, mark), m.registers[mark.index] >= mark.rank);
        hll_dense_set(m.bytes, mark);
        m.registers[mark.index] = mark.rank;
    }
    assert_registers(&m);
    memset(m.bytes + HLL_HEADER, 0x5a, HLL_DENSE_BYTES - HLL_HEADER);
    hll_dense_fill(m.bytes, m.registers);
    assert_registers(&m);
}

/** Every representation gives the same number, near the true one; joins do as well. */
static void test_estimates(void **state) {
    (void)state;
    static struct model sparse;
    static uint8_t dense[HLL_DENSE_BYTES], half[HLL_REGISTERS], both[HLL_REGISTERS];
    make_empty(&sparse);
    uint64_t checkpoint = 1, of_sparse, of_dense;
    for (uint64_t i = 1; i <= 20000; i++) {
        char text[32];
        int n = snprintf(text, sizeof text, "%llu elements", (unsigned long long)i);
        struct hll_mark mark = hll_mark(slice_of(text, (size_t)n));
        struct hll_spot spot = {0};
        assert_in_range(mark.rank, 1, HLL_RANK_MAX);
        assert_true(raise_sparse(&sparse, mark, &spot, ROOM));
        if (i % 2 && half[mark.index] < mark.rank) half[mark.index] = mark.rank;
        if (i != checkpoint) continue;
        checkpoint = checkpoint * 3 + 1;
        assert_true(hll_to_dense(text_of(&sparse), dense));
        assert_true(hll_estimate(text_of(&sparse), &of_sparse));
        assert_true(hll_estimate(slice_of(dense, sizeof dense), &of_dense));
        assert_int_equal(of_sparse, of_dense);
        assert_int_equal(hll_estimate_registers(sparse.registers), of_dense);
        assert_true(fabs((double)of_dense - (double)i) <= 1 + 0.03 * (double)i);
        memcpy(both, half, sizeof both);
        assert_true(hll_join(slice_of(dense, sizeof dense), both));
        assert_memory_equal(both, sparse.registers, sizeof both);
    }
}

static void test_foreign_bytes(void **state) {
    (void)state;
    static struct model m, hurt;
    static uint8_t dense[HLL_DENSE_BYTES], registers[HLL_REGISTERS];
    struct random r;
    random_init(&r, 44);
    assert_false(hll_is_one(slice_of("HYLL\1\0\0\0\0\0\0\0\0\0\0", 15)));
    assert_true(hll_is_one(slice_of("HYLL\1\0\0\0\0\0\0\0\0\0\0\0", 16)));
    assert_false(hll_is_one(slice_of("HYLM\1\0\0\0\0\0\0\0\0\0\0\0", 16)));
    assert_false(hll_is_one(slice_of("HYLL\2\0\0\0\0\0\0\0\0\0\0\0", 16)));
    assert_false(hll_is_one(slice_of("HYLL\0\0\0\0\0\0\0\0\0\0\0\0", 16)));
    make_empty(&m);
    for (int step = 0; step < 500; step++) {
        struct hll_spot spot = {0};
        assert_true(raise_sparse(&m, random_mark(&r, HLL_REGISTERS, 5), &spot, ROOM));
    }
    for (int round = 0; round < 3000; round++) {
        hurt.n = random_below(&r, 4) ? m.n : HLL_HEADER + random_below(&r, m.n - HLL_HEADER);
        memcpy(hurt.bytes, m.bytes, hurt.n);
        if (random_below(&r, 2)) {
            size_t at = HLL_HEADER + random_below(&r, m.n - HLL_HEADER);
            hurt.bytes[at] = (uint8_t)random_next(&r);
        }
        // In memory of its own size, so that a sanitizer sees whoever looks beyond.
        uint8_t *bytes = malloc(hurt.n + HLL_SPARSE_STEP);
        memcpy(bytes, hurt.bytes, hurt.n);
        struct slice text = slice_of(bytes, hurt.n);
        bool valid = hll_is_valid(text);
        uint64_t estimate;
        struct hll_spot spot = {0};
        // Values behind the last register are no reason not to read the others.
        bool readable = hll_to_dense(text, dense);
        assert_true(readable || !valid);
        assert_int_equal(hll_estimate(text, &estimate), valid);
        memset(registers, 0, sizeof registers);
        assert_int_equal(hll_join(text, registers), readable);
        struct hll_mark mark = random_mark(&r, HLL_REGISTERS, 40);
        if (hll_sparse_find(text, mark, &spot) == HLL_LACKS) {
            if (hll_sparse_can_set(text, mark, &spot, ROOM)) {
                size_t n = hll_sparse_set(bytes, text.n, mark, &spot);
                assert_true(n <= text.n + HLL_SPARSE_STEP);
                if (valid) assert_true(hll_is_valid(slice_of(bytes, n)));
            }
        } else if (valid) {
            assert_true(registers[mark.index] >= mark.rank);
        }
        free(bytes);
    }
}

/** Registers that no element leads to, from a value that somebody made up. */
static void test_estimate_of_impossible_registers(void **state) {
    (void)state;
    static uint8_t dense[HLL_DENSE_BYTES] = "HYLL", registers[HLL_REGISTERS];
    uint64_t estimate;
    for (unsigned value = 0; value < 64; value++) {
        memset(registers, (int)value, sizeof registers);
        hll_dense_fill(dense, registers);
        assert_true(hll_estimate(slice_of(dense, sizeof dense), &estimate));
        assert_int_equal(hll_estimate_registers(registers), estimate);
    }
    assert_int_equal(estimate, UINT64_C(1) << 63);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_first_and_last_registers),
        cmocka_unit_test(test_sparse_against_registers),
        cmocka_unit_test(test_going_on_from_a_spot_makes_the_same_bytes),
        cmocka_unit_test(test_limits_of_the_sparse_form),
        cmocka_unit_test(test_dense_against_registers),
        cmocka_unit_test(test_estimates),
        cmocka_unit_test(test_foreign_bytes),
        cmocka_unit_test(test_estimate_of_impossible_registers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
