// SPDX-License-Identifier: BSD-3-Clause
//
// The hash commands: replies in both protocols, errors in Redis's order, encodings, effects. What
// concerns the expiry of fields is in test_hash_expire.c. Every command's effects are replayed into
// a second keyspace by the harness, which must stay equal. One thread, a clock that stands still.
#include "tests/unit/commands/harness.h"

static void test_setting_and_getting(void **state) {
    (void)state;
    struct harness h;
    harness_init(&h, 1);
    EXPECT(&h, ":2\r\n", "HSET h a 1 b two");
    EXPECT(&h, ":1\r\n", "HSET h b 2 c 3");
    EXPECT(&h, ":0\r\n", "hset h a one");
    EXPECT(&h, "$3\r\none\r\n", "HGET h a");
    EXPECT(&h, "$-1\r\n", "HGET h x");
    EXPECT(&h, "$-1\r\n", "HGET absent a");
    EXPECT(&h, "*3\r\n$1\r\n2\r\n$-1\r\n$3\r\none\r\n", "HMGET h b x a");
    EXPECT(&h, "*2\r\n$-1\r\n$-1\r\n", "HMGET absent b x");
    EXPECT(&h, "+OK\r\n", "HMSET h d 4");
    EXPECT(&h, ":4\r\n", "HLEN h");
    EXPECT(&h, ":0\r\n", "HLEN absent");
    EXPECT(&h, ":1\r\n", "HEXISTS h d");
    EXPECT(&h, ":0\r\n", "HEXISTS h e");
    EXPECT(&h, ":3\r\n", "HSTRLEN h a");
    EXPECT(&h, ":1\r\n", "HSTRLEN h b");
    EXPECT(&h, ":0\r\n", "HSTRLEN h x");
    EXPECT(&h, ":0\r\n", "HSETNX h a x");
    EXPECT(&h, ":1\r\n", "HSETNX h e 5");
    EXPECT(&h, ":1\r\n", "HSETNX new e 5");
    EXPECT(&h, ":2\r\n", "HSET twice f 1 f 2 g 3");
    EXPECT(&h, "$1\r\n2\r\n", "HGET twice f");
    EXPECT(&h, ":1\r\n", "HSET empty '' ''");
    EXPECT(&h, "$0\r\n\r\n", "HGET empty ''");
    EXPECT_MODIFIED(&h, 1, "HSET h x 1 y 2");
    EXPECT_MODIFIED(&h, 0, "HSETNX h x 1");
    harness_fini(&h);
}

static void test_errors(void **state) {
    (void)state;
    struct harness h;
    harness_init(&h, 1);
    EXPECT(&h, "-ERR wrong number of arguments for 'hset' command\r\n", "HSET h a 1 b");
    EXPECT(&h, "-ERR wrong number of arguments for 'hmset' command\r\n", "HMSET h a 1 b");
    harness_run(&h, "SET s 1");
    EXPECT(&h, "-ERR wrong number of arguments for 'hset' command\r\n", "HSET s a 1 b");
    static const char *const wrong[] = {"HSET s a 1",
                                        "HMSET s a 1",
                                        "HSETNX s a 1",
                                        "HGET s a",
                                        "HMGET s a",
                                        "HGETALL s",
                                        "HKEYS s",
                                        "HVALS s",
                                        "HLEN s",
                                        "HSTRLEN s a",
                                        "HEXISTS s a",
                                        "HDEL s a",
                                        "HINCRBY s a 1",
                                        "HRANDFIELD s",
                                        "HRANDFIELD s 1",
                                        "HINCRBYFLOAT s a 1",
                                        "HSCAN s 0",
                                        "HSCAN s 0 BAD",
                                        "HTTL s bad 1 a",
                                        "HGETDEL s bad 1 a",
                                        "HGETEX s bad 1 a",
                                        "HEXPIRE s bad bad 1 a",
                                        "HPERSIST s bad 1 a",
                                        "HSETEX s FIELDS 1 a 1"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        EXPECT(&h, WRONG_TYPE, "%s", wrong[i]);
    EXPECT(&h, "-ERR value is not an integer or out of range\r\n", "HINCRBY s a x");
    EXPECT(&h, "-ERR value is not a valid float\r\n", "HINCRBYFLOAT s a x");
    EXPECT(&h, "-ERR invalid cursor\r\n", "HSCAN s x");
    EXPECT(&h, "-ERR value is not an integer or out of range\r\n", "HRANDFIELD s x");
    EXPECT(&h, "-ERR syntax error\r\n", "HRANDFIELD s 1 x");
    EXPECT(&h, "-ERR syntax error\r\n", "HRANDFIELD s 1 withvalues x");
    EXPECT(&h, "-ERR value is out of range\r\n", "HRANDFIELD s 9223372036854775807 WITHVALUES");
    EXPECT(&h,
           "-ERR value is out of range, value must between -9223372036854775807 and "
           "9223372036854775807\r\n",
           "HRANDFIELD s -9223372036854775808");
    harness_fini(&h);
}

static void test_all_fields_in_both_protocols(void **state) {
    (void)state;
    struct harness h;
    harness_init(&h, 1);
    for (uint8_t proto = 2; proto <= 3; proto++) {
        h.proto = proto;
        EXPECT(&h, proto == 2 ? "*0\r\n" : "%0\r\n", "HGETALL h");
        EXPECT(&h, "*0\r\n", "HKEYS h");
        EXPECT(&h, "*0\r\n", "HVALS h");
        EXPECT(&h, proto == 2 ? "$-1\r\n" : "_\r\n", "HGET h a");
        EXPECT(&h, proto == 2 ? "$-1\r\n" : "_\r\n", "HRANDFIELD h");
        EXPECT(&h, "*0\r\n", "HRANDFIELD h 3 WITHVALUES");
        EXPECT(&h, "*0\r\n", "HRANDFIELD h -9223372036854775807");
        harness_run(&h, "HSET h a 1 b x");
        EXPECT(&h,
               proto == 2 ? "*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\nx\r\n"
                          : "%2\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\nx\r\n",
               "HGETALL h");
        EXPECT(&h, "*2\r\n$1\r\na\r\n$1\r\nb\r\n", "HKEYS h");
        EXPECT(&h, "*2\r\n$1\r\n1\r\n$1\r\nx\r\n", "HVALS h");
        EXPECT(&h, "*2\r\n$1\r\n0\r\n*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\nx\r\n",
               "HSCAN h 0");
        harness_run(&h, "DEL h");
    }
    harness_fini(&h);
}

static void test_deleting(void **state) {
    (void)state;
    struct harness h;
    harness_init(&h, 1);
    harness_run(&h, "HSET h a 1 b 2 c 3");
    EXPECT(&h, ":2\r\n", "HDEL h a x b a");
    EXPECT_MODIFIED(&h, 0, "HDEL h a");
    EXPECT(&h, ":0\r\n", "HDEL absent a");
    EXPECT(&h, ":1\r\n", "HDEL h c");
    EXPECT(&h, ":0\r\n", "EXISTS h");
    harness_fini(&h);
}

static void test_numbers(void **state) {
    (void)state;
    struct harness h;
    harness_init(&h, 1);
    EXPECT(&h, ":5\r\n", "HINCRBY h n 5");
    EXPECT(&h, ":-2\r\n", "HINCRBY h n -7");
    EXPECT(&h, ":1\r\n", "HSET h max 9223372036854775807 ");
    EXPECT(&h, "-ERR increment or decrement would overflow\r\n", "HINCRBY h max 1");
    EXPECT(&h, ":9223372036854775806\r\n", "HINCRBY h max -1");
    harness_run(&h, "HSET h text abc space ' 11' float 1.5");
    EXPECT(&h, "-ERR hash value is not an integer\r\n", "HINCRBY h text 1");
    EXPECT(&h, "-ERR hash value is not an integer\r\n", "HINCRBY h space 1");
    EXPECT(&h, "-ERR hash value is not a float\r\n", "HINCRBYFLOAT h text 1");
    EXPECT(&h, "-ERR hash value is not a float\r\n", "HINCRBYFLOAT h space 1");
    EXPECT(&h, "$3\r\n3.2\r\n", "HINCRBYFLOAT h float 1.7");
    EXPECT_EFFECT(&h, "HSET h float 3", "HINCRBYFLOAT h float -0.2");
    EXPECT(&h, "-ERR value is NaN or Infinity\r\n", "HINCRBYFLOAT h float inf");
    EXPECT(&h, "$2\r\n-1\r\n", "HINCRBYFLOAT h n 1");
    EXPECT(&h, "$1\r\n5\r\n", "HINCRBYFLOAT fresh f 5.0");
    EXPECT(&h, ":6\r\n", "HINCRBY fresh f 1");
    EXPECT(&h, "-ERR hash value is not an integer\r\n", "HINCRBY h text 1");
    harness_fini(&h);
}

static void expect_encoding(struct harness *h, const char *key, const char *encoding) {
    char expected[64];
    snprintf(expected, sizeof(expected), "$%zu\r\n%s\r\n", strlen(encoding), encoding);
    EXPECT(h, expected, "OBJECT ENCODING %s", key);
}

static void test_encodings(void **state) {
    (void)state;
    struct harness h;
    harness_init(&h, 1);
    h.settings.limits.hash_max_listpack_entries = 3;
    h.settings.limits.hash_max_listpack_value = 5;
    harness_run(&h, "HSET a 1 1 2 2 3 3");
    expect_encoding(&h, "a", "listpack");
    harness_run(&h, "HSET a 4 4");
    expect_encoding(&h, "a", "hashtable");
    harness_run(&h, "HDEL a 4 3 2");
    expect_encoding(&h, "a", "hashtable");
    // What is passed counts, even when it is the same field four times.
    harness_run(&h, "HSET b 1 1 1 1 1 1 1 1");
    expect_encoding(&h, "b", "hashtable");
    harness_run(&h, "HSET c 12345 54321");
    expect_encoding(&h, "c", "listpack");
    harness_run(&h, "HSETNX c 12345 543210");
    expect_encoding(&h, "c", "listpack");
    harness_run(&h, "HSET c 12345 543210");
    expect_encoding(&h, "c", "hashtable");
    harness_run(&h, "HINCRBY d n 12345");
    expect_encoding(&h, "d", "listpack");
    harness_run(&h, "HINCRBY d n 123456");
    expect_encoding(&h, "d", "hashtable");
    EXPECT(&h, "$6\r\n135801\r\n", "HGET d n");
    harness_run(&h, "COPY d e");
    EXPECT(&h, "$6\r\n135801\r\n", "HGET e n");
    harness_fini(&h);
}

/** Reads the length of the array in front of a reply. */
static long array_length(const char *reply) {
    assert_int_equal(reply[0], '*');
    return strtol(reply + 1, NULL, 10);
}

static void test_random_fields(void **state) {
    (void)state;
    struct harness h;
    harness_init(&h, 1);
    for (int table = 0; table < 2; table++) {
        if (table) h.settings.limits.hash_max_listpack_entries = 0;
        harness_run(&h, "DEL h");
        for (int i = 0; i < 50; i++) harness_run(&h, "HSET h f%d %d", i, i);
        assert_int_equal(harness_run(&h, "HRANDFIELD h")[0], '$');
        assert_int_equal(array_length(harness_run(&h, "HRANDFIELD h 0")), 0);
        assert_int_equal(array_length(harness_run(&h, "HRANDFIELD h 7")), 7);
        assert_int_equal(array_length(harness_run(&h, "HRANDFIELD h 40")), 40);
        assert_int_equal(array_length(harness_run(&h, "HRANDFIELD h 60")), 50);
        assert_int_equal(array_length(harness_run(&h, "HRANDFIELD h -60")), 60);
        assert_int_equal(array_length(harness_run(&h, "HRANDFIELD h 7 WITHVALUES")), 14);
        assert_int_equal(array_length(harness_run(&h, "HRANDFIELD h -60 withvalues")), 120);
        h.proto = 3;
        const char *reply = harness_run(&h, "HRANDFIELD h 7 WITHVALUES");
        assert_int_equal(array_length(reply), 7);
        assert_memory_equal(reply + 4, "*2\r\n$", 5);
        h.proto = 2;
    }
    harness_fini(&h);
}

static void test_scanning(void **state) {
    (void)state;
    struct harness h;
    harness_init(&h, 1);
    EXPECT(&h, "*2\r\n$1\r\n0\r\n*0\r\n", "HSCAN absent 0 BAD");
    harness_run(&h, "HSET h aa 1 ab 2 b 3 17 4");
    EXPECT(&h, "-ERR syntax error\r\n", "HSCAN h 0 BAD");
    EXPECT(&h, "-ERR syntax error\r\n", "HSCAN h 0 COUNT 0");
    EXPECT(&h, "*2\r\n$1\r\n0\r\n*4\r\n$2\r\naa\r\n$1\r\n1\r\n$2\r\nab\r\n$1\r\n2\r\n",
           "HSCAN h 0 MATCH a* COUNT 1");
    EXPECT(&h, "*2\r\n$1\r\n0\r\n*2\r\n$2\r\naa\r\n$2\r\nab\r\n", "HSCAN h 5 MATCH a* NOVALUES");
    EXPECT(&h, "*2\r\n$1\r\n0\r\n*1\r\n$2\r\n17\r\n", "HSCAN h 0 NOVALUES MATCH 1?");
    h.settings.limits.hash_max_listpack_entries = 0;
    for (int i = 0; i < 300; i++) harness_run(&h, "HSET big f%d %d", i, i);
    long seen = 0;
    unsigned long long cursor = 0;
    do {
        const char *reply = harness_run(&h, "HSCAN big %llu COUNT 20 NOVALUES", cursor);
        assert_memory_equal(reply, "*2\r\n$", 5);
        cursor = strtoull(strchr(reply + 5, '\n') + 1, NULL, 10);
        seen += array_length(strchr(strchr(reply + 5, '\n') + 1, '\n') + 1);
    } while (cursor != 0);
    assert_int_equal(seen, 300);
    harness_fini(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_setting_and_getting),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_all_fields_in_both_protocols),
        cmocka_unit_test(test_deleting),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_encodings),
        cmocka_unit_test(test_random_fields),
        cmocka_unit_test(test_scanning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
