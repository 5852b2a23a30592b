// SPDX-License-Identifier: BSD-3-Clause
//
// CRC-64 against a sum bit by bit: the known check value, every length around the steps of both
// ways at every alignment, sums in pieces and joined sums, also over lengths beyond any memory. One
// thread; no state.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/alloc.h"
#include "engine/base/crc64.h"
#include "engine/base/random.h"

static uint64_t slow_crc(uint64_t crc, const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 1) != 0 ? crc >> 1 ^ UINT64_C(0x95ac9329ac4bc9b5) : crc >> 1;
    }
    return crc;
}

static void test_known(void **state) {
    (void)state;
    assert_int_equal(crc64(0, "123456789", 9), UINT64_C(0xe9c6d914c4b8d9ca));
    assert_int_equal(crc64(0, "", 0), 0);
    assert_int_equal(crc64(77, NULL, 0), 77);
}

static void test_lengths(void **state) {
    (void)state;
    enum { MOST = 400 };
    uint8_t bytes[MOST + 16];
    struct random r;
    random_init(&r, 5);
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)random_next(&r);
    for (size_t from = 0; from < 16; from++)
        for (size_t n = 0; n <= MOST; n++) {
            uint64_t before = (n & 1) != 0 ? random_next(&r) : 0;
            assert_int_equal(crc64(before, bytes + from, n), slow_crc(before, bytes + from, n));
        }
    // Every bit of a long step counts.
    uint64_t whole = crc64(0, bytes, MOST);
    for (size_t bit = 0; bit < (size_t)MOST * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_true(crc64(0, bytes, MOST) != whole);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void test_pieces(void **state) {
    (void)state;
    enum { LENGTH = 100 * 1000 };
    uint8_t *bytes = mem_alloc(LENGTH);
    struct random r;
    random_init(&r, 6);
    for (size_t i = 0; i < LENGTH; i++) bytes[i] = (uint8_t)random_next(&r);
    uint64_t whole = slow_crc(0, bytes, LENGTH);
    assert_int_equal(crc64(0, bytes, LENGTH), whole);
    for (int round = 0; round < 200; round++) {
        uint64_t carried = 0, joined = 0;
        for (size_t at = 0, n; at < LENGTH; at += n) {
            n = (size_t)random_below(&r, round % 2 == 0 ? 300 : 70000);
            if (n > LENGTH - at) n = LENGTH - at;
            carried = crc64(carried, bytes + at, n);
            joined = crc64_combine(joined, crc64(0, bytes + at, n), n);
        }
        assert_int_equal(carried, whole);
        assert_int_equal(joined, whole);
    }
    mem_free(bytes);
}

static void test_combine(void **state) {
    (void)state;
    struct random r;
    random_init(&r, 7);
    assert_int_equal(crc64_combine(0, 0, 0), 0);
    for (int round = 0; round < 1000; round++) {
        uint64_t a = random_next(&r), b = random_next(&r);
        assert_int_equal(crc64_combine(a, b, 0), a ^ b);
        assert_int_equal(crc64_combine(0, b, random_next(&r)), b);
        // Moving a sum on in one go or in two, or byte by byte, is the same.
        uint64_t near = random_below(&r, 200), far = random_next(&r) >> 2;
        uint64_t there = crc64_combine(crc64_combine(a, 0, far), 0, near);
        assert_int_equal(crc64_combine(a, 0, far + near), there);
        static const uint8_t zeros[200];
        assert_int_equal(crc64_combine(a, 0, near), slow_crc(a, zeros, near));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_combine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
