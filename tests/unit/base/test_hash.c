// SPDX-License-Identifier: BSD-3-Clause
//
// Hash slots against a bit-by-bit CRC and known values of Redis Cluster, the hash-tag rules, the
// even split of slots over shards, and the key hash's dependence on seed and bytes. One thread; no
// state.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/hash.h"
#include "engine/base/random.h"

static uint16_t slow_crc(const uint8_t *p, size_t n) {
    uint16_t crc = 0;
    for (size_t i = 0; i < n; i++) {
        crc ^= (uint16_t)(p[i] << 8);
        for (int bit = 0; bit < 8; bit++) {
            crc = (uint16_t)((crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1);
        }
    }
    return crc;
}

static void test_crc16(void **state) {
    (void)state;
    assert_int_equal(hash_crc16("123456789", 9), 0x31c3);
    assert_int_equal(hash_crc16("", 0), 0);
    struct random r;
    random_init(&r, 1);
    uint8_t bytes[80];
    for (int round = 0; round < 2000; round++) {
        for (size_t i = 0; i < sizeof(bytes); i++) bytes[i] = (uint8_t)random_next(&r);
        size_t n = (size_t)random_below(&r, sizeof(bytes) + 1);
        assert_int_equal(hash_crc16(bytes, n), slow_crc(bytes, n));
    }
}

static void test_slots(void **state) {
    (void)state;
    assert_int_equal(hash_slot(SLICE_LITERAL("foo")), 12182);
    assert_int_equal(hash_slot(SLICE_LITERAL("bar")), 5061);
    assert_int_equal(hash_slot(SLICE_LITERAL("foo{bar}")), 5061);
    assert_int_equal(hash_slot(SLICE_LITERAL("{bar}{zap}")), 5061);
    assert_int_equal(hash_slot(SLICE_LITERAL("x{bar}}")), 5061);
    // Not a tag: nothing inside, never closed, closed before it is opened.
    static const char *const whole[] = {"foo{}{bar}", "foo{bar", "foo}bar{", "{}", "{", "}"};
    for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
        struct slice key = slice_text(whole[i]);
        assert_int_equal(hash_slot(key), slow_crc((const uint8_t *)key.p, key.n) % HASH_SLOTS);
    }
    assert_int_equal(hash_slot(SLICE_LITERAL("foo{{bar}}zap")), hash_slot(SLICE_LITERAL("{bar")));
    assert_int_equal(hash_slot((struct slice){NULL, 0}), 0);
}

static void test_slot_shard(void **state) {
    (void)state;
    static const uint32_t counts[] = {1, 2, 3, 4, 7, 64, 144, 1024};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        uint32_t nshards = counts[i], before = 0, owned = 0;
        for (uint32_t slot = 0; slot < HASH_SLOTS; slot++) {
            uint32_t shard = hash_slot_shard((uint16_t)slot, nshards);
            assert_true(shard == before || shard == before + 1);
            if (shard != before) {
                assert_in_range(owned, HASH_SLOTS / nshards, HASH_SLOTS / nshards + 1);
                owned = 0;
            }
            owned++;
            before = shard;
        }
        assert_int_equal(before, nshards - 1);
    }
}

static void test_shard_slots(void **state) {
    (void)state;
    for (uint32_t nshards = 1; nshards <= 1024; nshards++) {
        assert_int_equal(hash_shard_slot(0, nshards), 0);
        assert_int_equal(hash_shard_slot(nshards, nshards), HASH_SLOTS);
        for (uint32_t shard = 0; shard < nshards; shard++) {
            uint32_t first = hash_shard_slot(shard, nshards);
            uint32_t last = hash_shard_slot(shard + 1, nshards) - 1;
            assert_int_equal(hash_slot_shard((uint16_t)first, nshards), shard);
            assert_int_equal(hash_slot_shard((uint16_t)last, nshards), shard);
        }
    }
}

static void test_hash_bytes(void **state) {
    (void)state;
    char bytes[300];
    memset(bytes, 'k', sizeof(bytes));
    for (size_t n = 0; n <= 256; n++) {
        uint64_t a = hash_bytes(bytes, n, 7);
        assert_true(a == hash_bytes(bytes, n, 7));
        assert_true(a != hash_bytes(bytes, n, 8));
        assert_true(a != hash_bytes(bytes, n + 1, 7));
        if (n == 0) continue;
        bytes[n - 1] ^= 1;
        assert_true(a != hash_bytes(bytes, n, 7));
        bytes[n - 1] ^= 1;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc16),      cmocka_unit_test(test_slots),
        cmocka_unit_test(test_slot_shard), cmocka_unit_test(test_shard_slots),
        cmocka_unit_test(test_hash_bytes),
    };
    return cmocka_run_group_tests_name("engine/base/hash", tests, NULL, NULL);
}
