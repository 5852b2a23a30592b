// SPDX-License-Identifier: BSD-3-Clause
//
// The primitives of the RDB format: lengths and strings in every form, at their boundaries and with
// every byte missing; what is malformed is refused with its place; values of every type are gone
// past to their last byte. Inputs are written by hand. Single-threaded, no state.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/alloc.h"
#include "engine/rdb/rdb_format.h"
#include "engine/rdb/rdb_in.h"

struct sample {
    const char *bytes;
    size_t n;
};
#define SAMPLE(text) \
    { (text), sizeof(text) - 1 }

/** A reader over a block of exactly these bytes, so that reading past them is seen. */
static uint8_t *begin(struct rdb_in *in, const char *bytes, size_t n) {
    uint8_t *exact = malloc(n + 1);
    memcpy(exact + 1, bytes, n); // keeps the block from being empty
    rdb_in_init(in, exact + 1, n, 0);
    return exact;
}

static void test_lengths(void **state) {
    (void)state;
    static const struct {
        struct sample in;
        uint64_t length;
    } cases[] = {
        {SAMPLE("\x00"), 0},
        {SAMPLE("\x3f"), 63},
        {SAMPLE("\x40\x40"), 64},
        {SAMPLE("\x7f\xff"), 16383},
        {SAMPLE("\x80\x00\x00\x40\x00"), 16384},
        {SAMPLE("\x80\xff\xff\xff\xff"), UINT32_MAX},
        {SAMPLE("\x81\x00\x00\x00\x01\x00\x00\x00\x00"), (uint64_t)1 << 32},
        {SAMPLE("\x81\xff\xff\xff\xff\xff\xff\xff\xff"), UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t n = 0; n <= cases[i].in.n; n++) {
            struct rdb_in in;
            uint64_t length;
            uint8_t *block = begin(&in, cases[i].in.bytes, n);
            bool whole = n == cases[i].in.n;
            assert_int_equal(rdb_in_length(&in, &length), whole);
            assert_int_equal(in.more, !whole);
            assert_int_equal(in.failed, !whole);
            if (whole) assert_true(length == cases[i].length && in.at == in.end);
            free(block);
        }
    }
}

static void test_counts_are_compared_with_what_is_left(void **state) {
    (void)state;
    struct rdb_in in;
    uint64_t count;
    rdb_in_init(&in, "\x02xxxx", 5, 0);
    assert_true(rdb_in_count(&in, 2, &count) && count == 2);
    rdb_in_init(&in, "\x03xxxx", 5, 0);
    assert_false(rdb_in_count(&in, 2, &count));
    assert_true(in.more);
    rdb_in_init(&in, "\x81\xff\xff\xff\xff\xff\xff\xff\xffxxxx", 13, 0);
    assert_false(rdb_in_count(&in, 16, &count));
    assert_true(in.more);
}

static void test_strings(void **state) {
    (void)state;
    static const struct {
        struct sample in;
        struct sample text;
    } cases[] = {
        {SAMPLE("\x00"), SAMPLE("")},
        {SAMPLE("\x03"
                "abc"),
         SAMPLE("abc")},
        {SAMPLE("\x40\x02\x00\xff"), SAMPLE("\x00\xff")},
        {SAMPLE("\x80\x00\x00\x00\x01z"), SAMPLE("z")},
        {SAMPLE("\x81\x00\x00\x00\x00\x00\x00\x00\x01z"), SAMPLE("z")},
        {SAMPLE("\xc0\x7f"), SAMPLE("127")},
        {SAMPLE("\xc0\x80"), SAMPLE("-128")},
        {SAMPLE("\xc1\x00\x80"), SAMPLE("-32768")},
        {SAMPLE("\xc1\xff\x7f"), SAMPLE("32767")},
        {SAMPLE("\xc2\x00\x00\x00\x80"), SAMPLE("-2147483648")},
        {SAMPLE("\xc2\xff\xff\xff\x7f"), SAMPLE("2147483647")},
        // LZF: "ab", then 9 bytes from two back.
        {SAMPLE("\xc3\x06\x0b\x01"
                "ab\xe0\x00\x01"),
         SAMPLE("abababababa")},
    };
    struct buf scratch = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t n = 0; n <= cases[i].in.n; n++) {
            struct rdb_in in;
            struct slice text;
            uint8_t *block = begin(&in, cases[i].in.bytes, n);
            bool whole = n == cases[i].in.n;
            assert_int_equal(rdb_in_string(&in, &scratch, &text), whole);
            assert_int_equal(in.more, !whole);
            if (whole) {
                assert_int_equal(text.n, cases[i].text.n);
                assert_memory_equal(text.p, cases[i].text.bytes, text.n);
                assert_true(in.at == in.end);
            }
            rdb_in_init(&in, block + 1, n, 0);
            assert_int_equal(rdb_in_skip_string(&in), whole);
            assert_int_equal(in.more, !whole);
            if (whole) assert_true(in.at == in.end);
            free(block);
        }
    }
    buf_free(&scratch);
}

static void test_what_is_malformed_is_refused(void **state) {
    (void)state;
    static const struct {
        struct sample in;
        uint64_t at;
        const char *error;
    } cases[] = {
        {SAMPLE("\x82zzzz"), 0, "unknown length encoding 130"},
        {SAMPLE("\xbf"), 0, "unknown length encoding 191"},
        {SAMPLE("\xc4zz"), 0, "unknown string encoding 4"},
        {SAMPLE("\xff"), 0, "unknown string encoding 63"},
        {SAMPLE("\xc3\xc0\x01"), 1, "a string where a length was expected"},
        {SAMPLE("\xc3\x03\x00"
                "abc"),
         3, "an LZF string of implausible length"},
        {SAMPLE("\xc3\x00\x03"), 3, "an LZF string of implausible length"},
        {SAMPLE("\xc3\x01\x40\x59z"), 4, "an LZF string of implausible length"},
        {SAMPLE("\xc3\x81\x00\x00\x00\x0f\x00\x00\x00\x00\x81\x00\x00\x00\x0f\x00\x00\x00\x00"), 19,
         "an LZF string of implausible length"},
        // one byte less, one more, and a reference before the beginning
        {SAMPLE("\xc3\x06\x0a\x01"
                "ab\xe0\x00\x01"),
         3, "an LZF string that cannot be uncompressed"},
        {SAMPLE("\xc3\x06\x0c\x01"
                "ab\xe0\x00\x01"),
         3, "an LZF string that cannot be uncompressed"},
        {SAMPLE("\xc3\x06\x0b\x01"
                "ab\xe0\x00\x07"),
         3, "an LZF string that cannot be uncompressed"},
    };
    struct buf scratch = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rdb_in in;
        struct slice text;
        uint8_t *block = begin(&in, cases[i].in.bytes, cases[i].in.n);
        in.offset = 1000;
        assert_false(rdb_in_string(&in, &scratch, &text));
        assert_true(in.failed && !in.more);
        assert_string_equal(in.error, cases[i].error);
        assert_int_equal(in.error_at, 1000 + cases[i].at);
        // Every later call fails and keeps the first error.
        uint8_t byte;
        assert_false(rdb_in_byte(&in, &byte));
        assert_false(rdb_in_string(&in, &scratch, &text));
        assert_false(rdb_in_skip_string(&in));
        assert_string_equal(in.error, cases[i].error);
        assert_false(in.more);
        free(block);
    }
    buf_free(&scratch);
}

static void test_scores_as_text(void **state) {
    (void)state;
    static const struct {
        struct sample in;
        double score;
    } cases[] = {
        {SAMPLE("\x01"
                "0"),
         0},
        {SAMPLE("\x04-1.5"), -1.5},
        {SAMPLE("\x05"
                "1e300"),
         1e300},
        {SAMPLE("\x16"
                "0.10000000000000000555"),
         0.1},
        {SAMPLE("\xfe"), HUGE_VAL},
        {SAMPLE("\xff"), -HUGE_VAL},
    };
    struct rdb_in in;
    double score;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rdb_in_init(&in, cases[i].in.bytes, cases[i].in.n, 0);
        assert_true(rdb_in_double_text(&in, &score));
        assert_true(score == cases[i].score && in.at == in.end);
    }
    rdb_in_init(&in, "\xfd", 1, 0);
    assert_true(rdb_in_double_text(&in, &score) && isnan(score));
    static const struct sample bad[] = {SAMPLE("\x00"), SAMPLE("\x01x"),
                                        SAMPLE("\x03"
                                               "1.x")};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        rdb_in_init(&in, bad[i].bytes, bad[i].n, 0);
        assert_false(rdb_in_double_text(&in, &score));
        assert_string_equal(in.error, "a score that is not a number");
        assert_int_equal(in.error_at, 0);
    }
    rdb_in_init(&in,
                "\x05"
                "1e30",
                5, 0);
    assert_false(rdb_in_double_text(&in, &score));
    assert_true(in.more);
}

static void test_plain_numbers(void **state) {
    (void)state;
    static const char bytes[] = "\x01\x02\x03\x04\x05\x06\x07\x08\xfe\xff\xff\xff\xff\xff\xff\xff"
                                "\x00\x00\x00\x00\x00\x00\xf8\x3f\x09xyz";
    struct rdb_in in;
    uint32_t narrow;
    uint64_t wide;
    int64_t number;
    double real;
    uint8_t byte;
    const uint8_t *p;
    rdb_in_init(&in, bytes, sizeof bytes - 1, 7);
    assert_true(rdb_in_u32(&in, &narrow) && narrow == 0x04030201);
    in.at = in.start;
    assert_true(rdb_in_u64(&in, &wide) && wide == 0x0807060504030201);
    assert_true(rdb_in_i64(&in, &number) && number == -2);
    assert_true(rdb_in_double(&in, &real) && real == 1.5);
    assert_true(rdb_in_byte(&in, &byte) && byte == 9);
    assert_int_equal(rdb_in_left(&in), 3);
    assert_true(rdb_in_bytes(&in, 3, &p) && memcmp(p, "xyz", 3) == 0);
    assert_true(rdb_in_bytes(&in, 0, &p));
    assert_false(rdb_in_bytes(&in, 1, &p));
    assert_true(in.more);
    assert_string_equal(in.error, "unexpected end of data");
    assert_int_equal(in.error_at, 7 + sizeof bytes - 1);
}

// ---- whole values ------------------------------------------------------------------------------

#define ID     "\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2"
#define TIME   "\1\2\3\4\5\6\7\0"
#define NODES  "\x01\x10" ID "\x03lll"
#define ENTRY  "\x01" ID TIME "\x01"
#define MODULE "\x81\x01\x02\x03\x04\x05\x06\x07\x08"

static const struct {
    uint8_t type, dialect;
    struct sample in;
} values[] = {
    {RDB_STRING, RDB_REDIS, SAMPLE("\x03yes")},
    {RDB_STRING, RDB_REDIS, SAMPLE("\xc2\1\2\3\4")},
    {RDB_STRING, RDB_REDIS, SAMPLE("\xc3\x03\x10xyz")}, // not looked into
    {RDB_LIST, RDB_REDIS, SAMPLE("\x02\x01x\xc0\x05")},
    {RDB_LIST, RDB_REDIS, SAMPLE("\x00")},
    {RDB_SET, RDB_REDIS, SAMPLE("\x02\x01x\xc1\x05\x05")},
    {RDB_ZSET, RDB_REDIS,
     SAMPLE("\x02\x01x\x03"
            "1.5\x01y\xff")},
    {RDB_ZSET_2, RDB_REDIS, SAMPLE("\x01\x01x" TIME)},
    {RDB_HASH, RDB_REDIS, SAMPLE("\x02\x01x\x01y\x00\x00")},
    {RDB_MODULE_2, RDB_REDIS,
     SAMPLE(MODULE "\x01\x05\x02\x40\x40\x03xxxx\x04xxxxxxxx\x05\x02zz\x00")},
    {RDB_HASH_ZIPMAP, RDB_REDIS, SAMPLE("\x01x")},
    {RDB_LIST_ZIPLIST, RDB_REDIS, SAMPLE("\x01x")},
    {RDB_SET_INTSET, RDB_REDIS, SAMPLE("\x01x")},
    {RDB_ZSET_ZIPLIST, RDB_REDIS, SAMPLE("\x01x")},
    {RDB_HASH_ZIPLIST, RDB_REDIS, SAMPLE("\x01x")},
    {RDB_LIST_QUICKLIST, RDB_REDIS, SAMPLE("\x02\x01x\x02yy")},
    {RDB_LIST_QUICKLIST_2, RDB_REDIS, SAMPLE("\x02\x01\x01x\x02\x02yy")},
    {RDB_HASH_LISTPACK, RDB_REDIS, SAMPLE("\x01x")},
    {RDB_ZSET_LISTPACK, RDB_REDIS, SAMPLE("\x01x")},
    {RDB_SET_LISTPACK, RDB_REDIS, SAMPLE("\x01x")},
    {RDB_STREAM_LISTPACKS, RDB_REDIS,
     SAMPLE(NODES "\1\1\2\x01\x01g\1\2" ENTRY "\x01\x01"
                  "c" TIME "\x01" ID)},
    {RDB_STREAM_LISTPACKS_2, RDB_REDIS,
     SAMPLE(NODES "\1\1\2\1\2\0\0\1\x01\x01g\1\2\1" ENTRY "\x01\x01"
                  "c" TIME "\x01" ID)},
    {RDB_STREAM_LISTPACKS_3, RDB_REDIS,
     SAMPLE(NODES "\1\1\2\1\2\0\0\1\x01\x01g\1\2\1" ENTRY "\x01\x01"
                  "c" TIME TIME "\x01" ID)},
    {RDB_HASH_METADATA_PRE_GA, RDB_REDIS, SAMPLE("\x01\x40\x50\x01x\x01y")},
    {RDB_HASH_LISTPACK_EX_PRE_GA, RDB_REDIS, SAMPLE("\x01x")},
    {RDB_HASH_METADATA, RDB_REDIS, SAMPLE(TIME "\x01\x05\x01x\x01y")},
    {RDB_HASH_LISTPACK_EX, RDB_REDIS, SAMPLE(TIME "\x01x")},
    {RDB_VALKEY_HASH_2, RDB_VALKEY, SAMPLE("\x02\x01x\x01y" TIME "\x01z\x00" TIME)},
    {RDB_STREAM_LISTPACKS_3, RDB_VALKEY, SAMPLE("\x00\0\0\0\0\0\0\0\0\x00")},
};

static void test_values_are_gone_past(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        for (size_t n = 0; n <= values[i].in.n; n++) {
            struct rdb_in in;
            uint8_t *block = begin(&in, values[i].in.bytes, n);
            bool whole = n == values[i].in.n;
            assert_int_equal(rdb_in_skip_value(&in, values[i].type, values[i].dialect), whole);
            assert_int_equal(in.more, !whole);
            if (whole) assert_true(in.at == in.end);
            free(block);
        }
    }
}

static void test_values_that_cannot_be_gone_past(void **state) {
    (void)state;
    static const struct {
        uint8_t type, dialect;
        struct sample in;
        const char *error;
    } cases[] = {
        {RDB_MODULE_PRE_GA, RDB_REDIS, SAMPLE("xx"), "unknown type of value 6"},
        {8, RDB_REDIS, SAMPLE("xx"), "unknown type of value 8"},
        {26, RDB_REDIS, SAMPLE("xx"), "unknown type of value 26"},
        {RDB_HASH_METADATA, RDB_VALKEY, SAMPLE("xx"), "unknown type of value 24"},
        {RDB_OP_EOF, RDB_REDIS, SAMPLE("xx"), "unknown type of value 255"},
        {RDB_MODULE_2, RDB_REDIS, SAMPLE("\x01\x06zzzzzz"), "unknown part of a module's value"},
        {RDB_STRING, RDB_REDIS, SAMPLE("\xc4zzzzzz"), "unknown string encoding 4"},
        {RDB_LIST_QUICKLIST_2, RDB_REDIS, SAMPLE("\x01\xc0\x01z"),
         "a string where a length was expected"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rdb_in in;
        rdb_in_init(&in, cases[i].in.bytes, cases[i].in.n, 0);
        assert_false(rdb_in_skip_value(&in, cases[i].type, cases[i].dialect));
        assert_false(in.more);
        assert_string_equal(in.error, cases[i].error);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_counts_are_compared_with_what_is_left),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_what_is_malformed_is_refused),
        cmocka_unit_test(test_scores_as_text),
        cmocka_unit_test(test_plain_numbers),
        cmocka_unit_test(test_values_are_gone_past),
        cmocka_unit_test(test_values_that_cannot_be_gone_past),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
