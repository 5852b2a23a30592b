// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of what strings, bits and keys leave for replay: the words themselves, and that replaying
// them by any other clock leads to the same keyspace. The harness compares after every command; it
// replays an hour earlier unless a test says otherwise. One thread, one harness a test.
#include "tests/unit/commands/harness.h"

#define AT(offset) "17000000" offset

static int setup_late(void **state) {
    harness_setup(state);
    struct harness *h = *state;
    h->replica_late_ms = 7;
    return 0;
}

static void test_set(void **state) {
    struct harness *h = *state;
    EXPECT_EFFECT(h, "SET a 1", "SET a 1");
    EXPECT_EFFECT(h, "SET a 2 PXAT " AT("60000"), "SET a 2 EX 60");
    EXPECT_EFFECT(h, "SET a 3 PXAT " AT("60000"), "SET a 3 KEEPTTL");
    EXPECT_EFFECT(h, "SET a 4 PXAT " AT("00250"), "SET a 4 PX 250 GET");
    EXPECT_EFFECT(h, "SET a 5", "SET a 5 XX GET");
    EXPECT_EFFECT(h, "", "SET a 6 NX GET");
    EXPECT_EFFECT(h, "", "SET b 6 XX EX 10");
    EXPECT_EFFECT(h, "SET b 7 PXAT " AT("99000"), "SET b 7 NX EXAT 1700000099");
    EXPECT_EFFECT(h, "SET b 8 PXAT " AT("99001"), "SET b 8 PXAT 1700000099001");
    EXPECT_EFFECT(h, "SET c x PXAT " AT("05000"), "SETEX c 5 x");
    EXPECT_EFFECT(h, "SET c y PXAT " AT("05001"), "PSETEX c 5001 y");
    EXPECT_EFFECT(h, "SET c z", "GETSET c z");
    EXPECT_EFFECT(h, "", "SETNX c w");
    EXPECT_EFFECT(h, "SETNX d w", "SETNX d w");
    EXPECT_EFFECT(h, "", "SET d w EX 0");
}

static void test_set_in_the_past(void **state) {
    struct harness *h = *state;
    EXPECT_EFFECT(h, "SET a 1 PXAT 1000", "SET a 1 EXAT 1"); // is there until somebody looks
    EXPECT_EFFECT(h, "DEL a", "GET a");
}

static void test_getex(void **state) {
    struct harness *h = *state;
    EXPECT_EFFECT(h, "", "GETEX a EX 10");
    harness_run(h, "SET a 1");
    EXPECT_EFFECT(h, "", "GETEX a");
    EXPECT_EFFECT(h, "PEXPIREAT a " AT("10000"), "GETEX a EX 10");
    EXPECT_EFFECT(h, "PEXPIREAT a " AT("00010"), "GETEX a PX 10");
    EXPECT_EFFECT(h, "PERSIST a", "GETEX a PERSIST");
    EXPECT_EFFECT(h, "", "GETEX a PERSIST");
    EXPECT_EFFECT(h, "DEL a", "GETEX a EXAT 1");
    EXPECT_EFFECT(h, "", "GETDEL a");
    harness_run(h, "SET a 1");
    EXPECT_EFFECT(h, "DEL a", "GETDEL a");
}

static void test_expire(void **state) {
    struct harness *h = *state;
    EXPECT_EFFECT(h, "", "EXPIRE a 10");
    harness_run(h, "SET a 1");
    EXPECT_EFFECT(h, "", "EXPIRE a 10 XX");
    EXPECT_EFFECT(h, "PEXPIREAT a " AT("10000"), "EXPIRE a 10 NX");
    EXPECT_EFFECT(h, "PEXPIREAT a " AT("10001"), "PEXPIRE a 10001 GT");
    EXPECT_EFFECT(h, "", "PEXPIRE a 10002 LT");
    EXPECT_EFFECT(h, "PEXPIREAT a " AT("77000"), "EXPIREAT a 1700000077");
    EXPECT_EFFECT(h, "PEXPIREAT a " AT("77077"), "PEXPIREAT a 1700000077077");
    EXPECT_EFFECT(h, "PERSIST a", "PERSIST a");
    EXPECT_EFFECT(h, "", "PERSIST a");
    EXPECT_EFFECT(h, "DEL a", "EXPIRE a -1");
    harness_run(h, "SET a 1");
    EXPECT_EFFECT(h, "DEL a", "PEXPIREAT a 1699999999999"); // is still to come for the replica
    harness_run(h, "SET a 1 PX 100");
    h->now_ms += 101;
    EXPECT_EFFECT(h, "DEL a", "EXPIRE a 100"); // what expired on the way, nothing else
    EXPECT_EFFECT(h, "", "EXPIRE a 100");
}

static void test_expired_on_the_way(void **state) {
    struct harness *h = *state;
    harness_run(h, "SET a 1 PX 100");
    h->now_ms += 101;
    uint64_t before = h->effects_count;
    EXPECT(h, ":1\r\n", "INCR a");
    assert_int_equal(h->effects_count - before, 2); // DEL a, INCR a
    assert_string_equal(h->latest_effect.p, "INCR a");
    EXPECT(h, "$1\r\n1\r\n", "GET a");
}

static void test_numbers(void **state) {
    struct harness *h = *state;
    EXPECT_EFFECT(h, "INCRBY a 5", "INCRBY a 5");
    EXPECT_EFFECT(h, "SET a 5.1 KEEPTTL", "INCRBYFLOAT a 0.1");
    harness_run(h, "EXPIRE a 10");
    EXPECT_EFFECT(h, "SET a 6 KEEPTTL", "INCRBYFLOAT a 0.9");
    EXPECT(h, ":10\r\n", "TTL a");
    EXPECT_EFFECT(h, "", "INCRBYFLOAT a nan");
    EXPECT_EFFECT(h, "SET b 3000 KEEPTTL", "INCRBYFLOAT b 3e3");
}

static void test_bits(void **state) {
    struct harness *h = *state;
    EXPECT_EFFECT(h, "SETBIT a 9 0", "SETBIT a 9 0");
    EXPECT_EFFECT(h, "", "SETBIT a 9 0");
    EXPECT_EFFECT(h, "BITFIELD a SET u8 0 1", "BITFIELD a SET u8 0 1");
    EXPECT_EFFECT(h, "", "BITFIELD a SET u8 0 1 GET u8 0");
    const char *pads = "BITFIELD a OVERFLOW FAIL SET u8 80 256";
    EXPECT_EFFECT(h, pads, "%s", pads);
    EXPECT_EFFECT(h, "", "%s", pads);
    EXPECT(h, ":11\r\n", "STRLEN a");
    const char *makes = "BITFIELD b OVERFLOW FAIL INCRBY u8 0 256";
    EXPECT_EFFECT(h, makes, "%s", makes);
}

static void test_keys(void **state) {
    struct harness *h = *state;
    harness_run(h, "MSET a 1 b 2 c 3");
    harness_run(h, "EXPIRE a 100");
    EXPECT_EFFECT(h, "RENAME a d", "RENAME a d");
    EXPECT_EFFECT(h, "", "RENAME d d");
    EXPECT_EFFECT(h, "", "RENAMENX d b");
    EXPECT_EFFECT(h, "RENAMENX d a", "RENAMENX d a");
    EXPECT_EFFECT(h, "COPY a e", "COPY a e");
    EXPECT_EFFECT(h, "", "COPY a e");
    EXPECT_EFFECT(h, "COPY b e REPLACE", "COPY b e REPLACE");
    EXPECT_EFFECT(h, "COPY a a DB 3", "COPY a a DB 3");
    EXPECT_EFFECT(h, "MOVE a 2", "MOVE a 2");
    EXPECT_EFFECT(h, "", "MOVE a 2");
    EXPECT_EFFECT(h, "SWAPDB 0 2", "SWAPDB 0 2");
    EXPECT_EFFECT(h, "", "SWAPDB 2 2");
    EXPECT_EFFECT(h, "DEL x a", "DEL x a");
    EXPECT_EFFECT(h, "", "UNLINK x a");
    h->db = 2;
    EXPECT_EFFECT(h, "FLUSHDB", "FLUSHDB");
    EXPECT_EFFECT(h, "FLUSHALL", "FLUSHALL");
    EXPECT_EFFECT(h, "", "FLUSHALL");
}

static void test_keys_of_shards(void **state) {
    struct harness *h = *state;
    harness_run(h, "MSET a 1 b 2 c 3 d 4");
    harness_run(h, "EXPIRE a 100");
    EXPECT_EFFECT(h, "MSETNX e 1 f 2", "MSETNX e 1 f 2");
    EXPECT_EFFECT(h, "RENAME a z", "RENAME a z");
    EXPECT_EFFECT(h, "COPY z y DB 1", "COPY z y DB 1");
    EXPECT_EFFECT(h, "SWAPDB 0 1", "SWAPDB 0 1");
    EXPECT_EFFECT(h, "FLUSHALL", "FLUSHALL");
}

/** Values of all types come along as they are, and a copy has nothing in common with its source. */
static void test_collections(void **state) {
    struct harness *h = *state;
    static const char *const made[][2] = {
        {"RPUSH", "a b 1"},  {"SADD", "1 2 3"},   {"SADD", "a b"},    {"HSET", "f v g w"},
        {"ZADD", "1 a 2 b"}, {"XADD", "1-1 f v"}, {"PFADD", "a b c"},
    };
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
        harness_run(h, "FLUSHALL");
        harness_run(h, "%s k %s", made[i][0], made[i][1]);
        harness_run(h, "PEXPIRE k 5000");
        EXPECT_EFFECT(h, "COPY k copy", "COPY k copy");
        EXPECT_EFFECT(h, "COPY k k DB 2", "COPY k k DB 2");
        EXPECT(h, ":5000\r\n", "PTTL copy");
        harness_run(h, "DEL k");
        EXPECT_EFFECT(h, "RENAME copy other", "RENAME copy other");
        EXPECT_EFFECT(h, "MOVE other 1", "MOVE other 1");
        EXPECT_EFFECT(h, "SWAPDB 0 2", "SWAPDB 0 2");
        EXPECT(h, ":1\r\n", "EXISTS k");
        EXPECT_EFFECT(h, "PERSIST k", "PERSIST k");
        h->now_ms += 5001;
        h->db = 1;
        EXPECT_EFFECT(h, "DEL other", "EXISTS other");
        h->db = 0;
    }
    harness_run(h, "DEL k");
    harness_run(h, "RPUSH k x");
    EXPECT_EFFECT(h, "SET k y PXAT 1700000045007", "SETEX k 10 y");
}

/** Whatever sets a time sets the same time where it is replayed a little later. */
static void test_replayed_later(void **state) {
    struct harness *h = *state;
    static const char *const lines[] = {
        "SET a 1 EX 100",  "SET a 2 PX 100000",  "SET a 3 EX 100 GET", "SET a 4 KEEPTTL",
        "SETEX b 100 x",   "PSETEX b 100000 x",  "EXPIRE b 200",       "PEXPIRE b 200000",
        "EXPIRE b 300 GT", "PEXPIRE b 1000 LT",  "GETEX b EX 100",     "GETEX b PX 100000",
        "GETEX b PERSIST", "EXPIRE b 10 NX",     "EXPIRE a -5",        "INCRBYFLOAT c 1.5",
        "PEXPIRE c 10000", "INCRBYFLOAT c 1.25", "RENAME c d",         "COPY d e",
        "MOVE d 1",        "GETDEL e",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        uint64_t before = h->effects_count;
        const char *reply = harness_run(h, "%s", lines[i]);
        assert_true(reply[0] != '-' && h->effects_count == before + 1);
        h->now_ms += 3;
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_set),
        TEST(test_set_in_the_past),
        TEST(test_getex),
        TEST(test_expire),
        TEST(test_expired_on_the_way),
        TEST(test_numbers),
        TEST(test_bits),
        TEST(test_keys),
        cmocka_unit_test_setup_teardown(test_keys_of_shards, harness_setup_shards,
                                        harness_teardown),
        TEST(test_collections),
        cmocka_unit_test_setup_teardown(test_collections, harness_setup_shards, harness_teardown),
        cmocka_unit_test_setup_teardown(test_replayed_later, setup_late, harness_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
