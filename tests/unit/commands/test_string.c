// SPDX-License-Identifier: BSD-3-Clause
//
// String commands through the command table, against the replies that Redis 7.2 gives: options
// and their conflicts, error texts and their order, encodings at their thresholds, what counts as
// a modification, and keys that live on several shards. The clock of the harness stands still, so
// times to live are exact. One process, one thread.
#include "tests/unit/commands/harness.h"

#include "engine/base/random.h"

#define TOO_LONG "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n"

static struct entry *entry_at(struct harness *h, const char *name) {
    struct keyspace *ks = h->shards[0];
    return db_find(&ks->dbs[h->db], key_of(ks, slice_text(name))).entry;
}

static void expect_encoding(struct harness *h, const char *name, const char *encoding) {
    struct entry *e = entry_at(h, name);
    assert_non_null(e);
    assert_string_equal(entry_encoding_name(e), encoding);
}

/** Milliseconds left, -1 without an expiry, -2 without the key. */
static int64_t ttl_of(struct harness *h, const char *name) {
    struct entry *e = entry_at(h, name);
    if (!e) return -2;
    return entry_expire_ms(e) == ENTRY_NO_EXPIRE ? -1 : entry_expire_ms(e) - h->now_ms;
}

/** n bytes of a pattern, zero-terminated, owned by the caller. */
static char *pattern(size_t n) {
    char *text = malloc(n + 1);
    for (size_t i = 0; i < n; i++) text[i] = (char)('a' + i % 23);
    text[n] = '\0';
    return text;
}

static void expect_bulk(struct harness *h, const char *key, struct slice expected) {
    struct buf out = {0};
    buf_printf(&out, "$%zu\r\n", expected.n);
    buf_append(&out, expected.p, expected.n);
    buf_append(&out, "\r\n", 2);
    harness_run(h, "GET %s", key);
    assert_int_equal(h->reply.len, out.len);
    assert_memory_equal(h->reply.p, out.p, out.len);
    buf_free(&out);
}

static void test_set_and_get(void **state) {
    struct harness *h = *state;
    EXPECT(h, NIL, "GET k");
    EXPECT(h, OK, "SET k v");
    EXPECT(h, "$1\r\nv\r\n", "GET k");
    EXPECT(h, OK, "set k \"\"");
    EXPECT(h, "$0\r\n\r\n", "get k");
    EXPECT(h, OK, "SET \"\" empty");
    EXPECT(h, "$5\r\nempty\r\n", "GET \"\"");
    EXPECT(h, OK, "SET k \"a\\x00b\\r\\n\"");
    expect_bulk(h, "k", slice_of("a\0b\r\n", 5));
    EXPECT(h, "-ERR wrong number of arguments for 'get' command\r\n", "GET");
    EXPECT(h, "-ERR wrong number of arguments for 'set' command\r\n", "SET k");
    h->proto = 3;
    EXPECT(h, "_\r\n", "GET missing");
    EXPECT(h, "_\r\n", "SET k v NX");
}

static void test_sizes(void **state) {
    struct harness *h = *state;
    static const size_t sizes[] = {0,    1,    20,   43,    44,    45,    254,
                                   1023, 1024, 1025, 65535, 65536, 65537, 300000};
    enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };
    for (size_t i = 0; i < SIZES; i++) {
        for (size_t j = 0; j < SIZES; j++) { // every size over every size
            char *first = pattern(sizes[i]), *second = pattern(sizes[j]);
            EXPECT(h, OK, "SET k \"%s\"", first);
            expect_encoding(h, "k", sizes[i] <= 44 ? "embstr" : "raw");
            EXPECT(h, OK, "SET k \"%s\"", second);
            expect_encoding(h, "k", sizes[j] <= 44 ? "embstr" : "raw");
            expect_bulk(h, "k", slice_of(second, sizes[j]));
            free(first);
            free(second);
        }
    }
    char *key = pattern(70000);
    EXPECT(h, OK, "SET %s v", key);
    EXPECT(h, "$1\r\nv\r\n", "GET %s", key);
    free(key);
}

static void test_integer_encoding(void **state) {
    struct harness *h = *state;
    static const struct {
        const char *text, *encoding;
    } cases[] = {
        {"0", "int"},
        {"-1", "int"},
        {"9223372036854775807", "int"},
        {"-9223372036854775808", "int"},
        {"9223372036854775808", "embstr"},
        {"-9223372036854775809", "embstr"},
        {"01", "embstr"},
        {"-0", "embstr"},
        {"+1", "embstr"},
        {"1.0", "embstr"},
        {"", "embstr"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        EXPECT(h, OK, "SET k \"%s\"", cases[i].text);
        expect_encoding(h, "k", cases[i].encoding);
        expect_bulk(h, "k", slice_text(cases[i].text));
    }
}

static void test_set_conditions(void **state) {
    struct harness *h = *state;
    EXPECT(h, NIL, "SET k v XX");
    EXPECT(h, OK, "SET k v NX");
    EXPECT(h, NIL, "SET k w NX");
    EXPECT(h, OK, "SET k w XX");
    EXPECT(h, "$1\r\nw\r\n", "SET k x GET");
    EXPECT(h, "$1\r\nx\r\n", "SET k y NX GET");
    EXPECT(h, "$1\r\nx\r\n", "SET k y get xx");
    EXPECT(h, "$1\r\ny\r\n", "GET k");
    EXPECT(h, NIL, "SET new v NX GET");
    EXPECT(h, "$1\r\nv\r\n", "GET new");
    EXPECT(h, NIL, "SET new2 v XX GET");
    EXPECT(h, NIL, "GET new2");
    EXPECT(h, SYNTAX, "SET k v NX XX");
    EXPECT(h, SYNTAX, "SET k v XX NX");
    EXPECT(h, SYNTAX, "SET k v FOO");
    EXPECT(h, SYNTAX, "SET k v PERSIST");
    EXPECT(h, OK, "SET k v XX XX");
}

static void test_set_times(void **state) {
    struct harness *h = *state;
    EXPECT(h, OK, "SET k v EX 10");
    assert_int_equal(ttl_of(h, "k"), 10000);
    EXPECT(h, OK, "SET k w KEEPTTL");
    assert_int_equal(ttl_of(h, "k"), 10000);
    EXPECT(h, OK, "SET k v PX 15");
    assert_int_equal(ttl_of(h, "k"), 15);
    EXPECT(h, OK, "SET k v EXAT %lld", (long long)(h->now_ms / 1000 + 7));
    assert_int_equal(ttl_of(h, "k"), 7000);
    EXPECT(h, OK, "SET k v PXAT %lld", (long long)(h->now_ms + 8));
    assert_int_equal(ttl_of(h, "k"), 8);
    EXPECT(h, OK, "SET k v EX 10 EX 20");
    assert_int_equal(ttl_of(h, "k"), 20000);
    EXPECT(h, OK, "SET k v");
    assert_int_equal(ttl_of(h, "k"), -1);
    EXPECT(h, OK, "SET k v KEEPTTL");
    assert_int_equal(ttl_of(h, "k"), -1);
    EXPECT(h, OK, "SETEX k 3 v");
    assert_int_equal(ttl_of(h, "k"), 3000);
    EXPECT(h, OK, "PSETEX k 3 v");
    assert_int_equal(ttl_of(h, "k"), 3);
    h->now_ms += 3;
    EXPECT(h, "$1\r\nv\r\n", "GET k");
    h->now_ms += 1;
    EXPECT(h, NIL, "GET k");
    assert_int_equal(ttl_of(h, "k"), -2);
    EXPECT(h, OK, "SET k v PXAT 1"); // past: stored, and gone when next looked at
    EXPECT(h, NIL, "GET k");
}

static void test_set_time_errors(void **state) {
    struct harness *h = *state;
    static const char *const conflicts[] = {
        "EX 10 PX 10", "EX 10 EXAT 10", "EX 10 PXAT 10", "EX 10 KEEPTTL",  "KEEPTTL EX 10",
        "PX 10 EX 10", "EXAT 10 PX 1",  "PXAT 1 EXAT 1", "KEEPTTL PXAT 1", "EX",
        "PX",          "EXAT",          "PXAT",          "EX 10 PX",
    };
    for (size_t i = 0; i < sizeof(conflicts) / sizeof(conflicts[0]); i++) {
        EXPECT(h, SYNTAX, "SET k v %s", conflicts[i]);
    }
    static const char *const invalid[] = {
        "EX 0",
        "EX -1",
        "PX 0",
        "EXAT 0",
        "PXAT -5",
        "EX 9223372036854775807",
        "EX 9223372036854775",
        "PX 9223372036854775807",
        "EXAT 9223372036854776",
    };
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        EXPECT(h, "-ERR invalid expire time in 'set' command\r\n", "SET k v %s", invalid[i]);
        EXPECT(h, "-ERR invalid expire time in 'set' command\r\n", "SET k v GET NX %s", invalid[i]);
    }
    EXPECT(h, NOT_INTEGER, "SET k v EX 1.5");
    EXPECT(h, NOT_INTEGER, "SET k v PX \"\"");
    EXPECT(h, NOT_INTEGER, "SET k v PX 9223372036854775808");
    EXPECT(h, NIL, "GET k");
    EXPECT(h, OK, "SET k v EXAT 9223372036854775");
    EXPECT(h, OK, "SET k v PXAT 9223372036854775807");
    EXPECT(h, "-ERR invalid expire time in 'setex' command\r\n", "SETEX k 0 v");
    EXPECT(h, "-ERR invalid expire time in 'psetex' command\r\n", "PSETEX k -1 v");
    EXPECT(h, NOT_INTEGER, "SETEX k x v");
}

static void test_getex(void **state) {
    struct harness *h = *state;
    EXPECT(h, NIL, "GETEX k EX 0"); // absent comes before the time
    EXPECT(h, SYNTAX, "GETEX k FOO");
    EXPECT(h, SYNTAX, "GETEX k KEEPTTL");
    EXPECT(h, SYNTAX, "GETEX k NX");
    EXPECT(h, SYNTAX, "GETEX k GET");
    EXPECT(h, SYNTAX, "GETEX k EX");
    EXPECT(h, SYNTAX, "GETEX k EX 1 PERSIST");
    EXPECT(h, SYNTAX, "GETEX k PERSIST PX 1");
    EXPECT(h, OK, "SET k v");
    EXPECT(h, "-ERR invalid expire time in 'getex' command\r\n", "GETEX k EX 0");
    EXPECT(h, NOT_INTEGER, "GETEX k PX a");
    EXPECT(h, "$1\r\nv\r\n", "GETEX k EX 5");
    assert_int_equal(ttl_of(h, "k"), 5000);
    EXPECT(h, "$1\r\nv\r\n", "GETEX k");
    assert_int_equal(ttl_of(h, "k"), 5000);
    EXPECT(h, "$1\r\nv\r\n", "GETEX k PERSIST PERSIST");
    assert_int_equal(ttl_of(h, "k"), -1);
    EXPECT_MODIFIED(h, 0, "GETEX k");
    EXPECT_MODIFIED(h, 0, "GETEX k PERSIST");
    EXPECT_MODIFIED(h, 1, "GETEX k PX 5");
    EXPECT_MODIFIED(h, 1, "GETEX k PERSIST");
    EXPECT_MODIFIED(h, 1, "GETEX k PXAT %lld", (long long)h->now_ms);
    EXPECT(h, NIL, "GET k");
}

static void test_old_forms(void **state) {
    struct harness *h = *state;
    EXPECT(h, NIL, "GETSET k 1");
    EXPECT(h, "$1\r\n1\r\n", "GETSET k 2");
    EXPECT(h, "$1\r\n2\r\n", "GETDEL k");
    EXPECT(h, NIL, "GETDEL k");
    EXPECT(h, ":1\r\n", "SETNX k a");
    EXPECT(h, ":0\r\n", "SETNX k b");
    EXPECT(h, "$1\r\na\r\n", "GET k");
    EXPECT(h, OK, "SET k v EX 10");
    EXPECT(h, "$1\r\nv\r\n", "GETSET k w");
    assert_int_equal(ttl_of(h, "k"), -1);
}

static void test_many_keys(void **state) {
    struct harness *h = *state;
    EXPECT(h, OK, "MSET a 1 b two c 3 a 4");
    EXPECT(h, "*4\r\n$1\r\n4\r\n$3\r\ntwo\r\n$1\r\n3\r\n$-1\r\n", "MGET a b c d");
    EXPECT(h, "-ERR wrong number of arguments for 'mset' command\r\n", "MSET a 1 b");
    EXPECT(h, "-ERR wrong number of arguments for 'msetnx' command\r\n", "MSETNX a 1 b");
    EXPECT(h, ":0\r\n", "MSETNX x 1 a 2");
    EXPECT(h, NIL, "GET x");
    EXPECT(h, ":1\r\n", "MSETNX x 1 y 2 x 3");
    EXPECT(h, "*2\r\n$1\r\n3\r\n$1\r\n2\r\n", "MGET x y");
    EXPECT_MODIFIED(h, 3, "MSET a 1 b 2 c 3");
    EXPECT_MODIFIED(h, 0, "MSETNX q 1 a 2");
    for (int i = 0; i < 50; i++) EXPECT(h, OK, "MSET m%d %d n%d {m%d}", i, i, i, i);
    for (int i = 0; i < 50; i++) {
        char expected[64];
        snprintf(expected, sizeof(expected), "$%d\r\n%d\r\n", i < 10 ? 1 : 2, i);
        EXPECT(h, expected, "GET m%d", i);
    }
    h->proto = 3;
    EXPECT(h, "*2\r\n_\r\n$1\r\n1\r\n", "MGET none a");
}

static void test_append(void **state) {
    struct harness *h = *state;
    EXPECT(h, ":2\r\n", "APPEND k 12");
    expect_encoding(h, "k", "int");
    EXPECT(h, ":3\r\n", "APPEND k 3");
    expect_encoding(h, "k", "raw");
    EXPECT(h, "$3\r\n123\r\n", "GET k");
    EXPECT(h, ":124\r\n", "INCR k");
    expect_encoding(h, "k", "int");
    EXPECT(h, ":3\r\n", "APPEND k \"\"");
    expect_encoding(h, "k", "raw");
    EXPECT(h, ":0\r\n", "APPEND e \"\"");
    expect_encoding(h, "e", "embstr");
    EXPECT(h, ":1\r\n", "APPEND t x");
    expect_encoding(h, "t", "embstr");
    EXPECT(h, OK, "SET l v EX 100");
    EXPECT(h, ":2\r\n", "APPEND l w");
    assert_int_equal(ttl_of(h, "l"), 100000);
    EXPECT_MODIFIED(h, 1, "APPEND l \"\"");
}

static void test_append_grows(void **state) {
    struct harness *h = *state;
    char *all = pattern(200000);
    size_t n = 0;
    for (size_t step = 1; n + step <= 200000; step = step * 3 / 2 + 1) { // over every threshold
        char expected[32];
        EXPECT(h, (snprintf(expected, sizeof(expected), ":%zu\r\n", n + step), expected),
               "APPEND k %.*s", (int)step, all + n);
        n += step;
        expect_bulk(h, "k", slice_of(all, n));
    }
    assert_true(n > 70000);
    free(all);
}

static void test_ranges(void **state) {
    struct harness *h = *state;
    EXPECT(h, "$0\r\n\r\n", "GETRANGE k 0 -1");
    EXPECT(h, OK, "SET k \"Hello World\"");
    EXPECT(h, "$5\r\nHello\r\n", "GETRANGE k 0 4");
    EXPECT(h, "$5\r\nWorld\r\n", "SUBSTR k -5 -1");
    EXPECT(h, "$11\r\nHello World\r\n", "GETRANGE k -100 100");
    EXPECT(h, "$1\r\nH\r\n", "GETRANGE k -100 -100");
    EXPECT(h, "$0\r\n\r\n", "GETRANGE k -1 -5");
    EXPECT(h, "$0\r\n\r\n", "GETRANGE k 5 3");
    EXPECT(h, "$0\r\n\r\n", "GETRANGE k 11 20");
    EXPECT(h, "$11\r\nHello World\r\n", "GETRANGE k -9223372036854775808 9223372036854775807");
    EXPECT(h, NOT_INTEGER, "GETRANGE k a 1");
    EXPECT(h, OK, "SET k -12345");
    EXPECT(h, "$3\r\n-12\r\n", "GETRANGE k 0 2");
    EXPECT(h, OK, "SET k \"\"");
    EXPECT(h, "$0\r\n\r\n", "GETRANGE k 0 0");
    EXPECT(h, ":0\r\n", "STRLEN missing");
    EXPECT(h, OK, "SET k -9223372036854775808");
    EXPECT(h, ":20\r\n", "STRLEN k");
}

static void test_setrange(void **state) {
    struct harness *h = *state;
    EXPECT(h, ":0\r\n", "SETRANGE k 5 \"\"");
    EXPECT(h, NIL, "GET k");
    EXPECT(h, ":5\r\n", "SETRANGE k 3 ab");
    expect_bulk(h, "k", slice_of("\0\0\0ab", 5));
    expect_encoding(h, "k", "raw");
    EXPECT(h, OK, "SET k 12345");
    EXPECT_MODIFIED(h, 0, "SETRANGE k 900000000000 \"\"");
    expect_encoding(h, "k", "int");
    EXPECT_MODIFIED(h, 1, "SETRANGE k 1 xy");
    EXPECT(h, "$5\r\n1xy45\r\n", "GET k");
    expect_encoding(h, "k", "raw");
    EXPECT(h, ":70001\r\n", "SETRANGE k 70000 z");
    EXPECT(h, "$6\r\n1xy45\0\r\n", "GETRANGE k 0 5");
    assert_memory_equal(h->reply.p, "$6\r\n1xy45\0\r\n", 12);
    EXPECT(h, "$1\r\nz\r\n", "GETRANGE k -1 -1");
    EXPECT(h, "-ERR offset is out of range\r\n", "SETRANGE k -1 x");
    EXPECT(h, NOT_INTEGER, "SETRANGE k x y");
    EXPECT(h, TOO_LONG, "SETRANGE k 536870912 x");
    EXPECT(h, TOO_LONG, "SETRANGE k 9223372036854775807 x");
    EXPECT(h, TOO_LONG, "SETRANGE none 536870911 xx");
    EXPECT(h, NIL, "GET none");
}

static void test_length_limit(void **state) {
    struct harness *h = *state;
    h->settings.proto_max_bulk_len = 2000;
    EXPECT(h, ":2000\r\n", "SETRANGE k 1999 x");
    EXPECT(h, TOO_LONG, "APPEND k x");
    EXPECT(h, ":2000\r\n", "APPEND k \"\"");
    EXPECT(h, TOO_LONG, "SETRANGE k 2000 x");
    EXPECT(h, ":2000\r\n", "STRLEN k");
}

static void test_counters(void **state) {
    struct harness *h = *state;
    EXPECT(h, ":1\r\n", "INCR k");
    EXPECT(h, ":0\r\n", "DECR k");
    EXPECT(h, ":-1\r\n", "DECR k");
    EXPECT(h, ":9223372036854775806\r\n", "INCRBY k 9223372036854775807");
    EXPECT(h, ":9223372036854775807\r\n", "INCR k");
    EXPECT(h, "-ERR increment or decrement would overflow\r\n", "INCR k");
    EXPECT(h, "$19\r\n9223372036854775807\r\n", "GET k");
    EXPECT(h, ":-9223372036854775808\r\n", "INCRBY m -9223372036854775808");
    EXPECT(h, "-ERR increment or decrement would overflow\r\n", "DECR m");
    EXPECT(h, "-ERR decrement would overflow\r\n", "DECRBY m -9223372036854775808");
    EXPECT(h, ":-9223372036854775807\r\n", "DECRBY m -1");
    EXPECT(h, NOT_INTEGER, "INCRBY k 1.0");
    EXPECT(h, NOT_INTEGER, "DECRBY k x");
    EXPECT(h, OK, "SET t \"10 \"");
    EXPECT(h, NOT_INTEGER, "INCR t");
    EXPECT(h, OK, "SET t 9223372036854775808");
    EXPECT(h, NOT_INTEGER, "INCR t");
    EXPECT(h, OK, "SET t 5 EX 10");
    EXPECT(h, ":6\r\n", "INCR t");
    assert_int_equal(ttl_of(h, "t"), 10000);
    EXPECT_MODIFIED(h, 1, "INCR t");
    EXPECT_MODIFIED(h, 0, "INCR k");
}

static void test_float_counter(void **state) {
    struct harness *h = *state;
    EXPECT(h, "$1\r\n3\r\n", "INCRBYFLOAT k 3");
    expect_encoding(h, "k", "embstr");
    EXPECT(h, "$3\r\n3.5\r\n", "INCRBYFLOAT k 0.5");
    EXPECT(h, "$5\r\n503.5\r\n", "INCRBYFLOAT k 5.0e2");
    EXPECT(h, "$3\r\n0.1\r\n", "INCRBYFLOAT f 0.1");
    EXPECT(h, "$3\r\n0.3\r\n", "INCRBYFLOAT f 0.2");
    EXPECT(h, "$1\r\n0\r\n", "INCRBYFLOAT z -0");
    EXPECT(h, "$21\r\n100000000000000000000\r\n", "INCRBYFLOAT big 1e20");
    harness_run(h, "INCRBYFLOAT huge 1e50");
    assert_memory_equal(h->reply.p, "$51\r\n", 5);
    expect_encoding(h, "huge", "raw");
}

static void test_float_counter_errors(void **state) {
    struct harness *h = *state;
    static const char not_float[] = "-ERR value is not a valid float\r\n";
    EXPECT(h, not_float, "INCRBYFLOAT k abc");
    EXPECT(h, not_float, "INCRBYFLOAT k \" 1\"");
    EXPECT(h, not_float, "INCRBYFLOAT k nan");
    EXPECT(h, "-ERR increment would produce NaN or Infinity\r\n", "INCRBYFLOAT k inf");
    EXPECT(h, OK, "SET t text");
    EXPECT(h, not_float, "INCRBYFLOAT t 1");
    EXPECT(h, OK, "SET t 7 PX 10");
    EXPECT(h, "$3\r\n7.5\r\n", "INCRBYFLOAT t 0.5");
    assert_int_equal(ttl_of(h, "t"), 10);
    EXPECT_MODIFIED(h, 1, "INCRBYFLOAT t 1");
    EXPECT_MODIFIED(h, 0, "INCRBYFLOAT t x");
}

static void test_modified(void **state) {
    struct harness *h = *state;
    EXPECT_MODIFIED(h, 1, "SET k v");
    EXPECT_MODIFIED(h, 1, "SET k v");
    EXPECT_MODIFIED(h, 1, "SET k v EX 10");
    assert_string_equal(h->modified_key, "k");
    EXPECT_MODIFIED(h, 0, "SET k v NX");
    EXPECT_MODIFIED(h, 0, "SET none v XX");
    EXPECT_MODIFIED(h, 0, "SETNX k v");
    EXPECT_MODIFIED(h, 1, "SETNX new v");
    EXPECT_MODIFIED(h, 0, "GET k");
    EXPECT_MODIFIED(h, 1, "GETDEL k");
    EXPECT_MODIFIED(h, 0, "GETDEL k");
    EXPECT_MODIFIED(h, 1, "GETSET k v");
    EXPECT_MODIFIED(h, 1, "PSETEX k 5 v");
    h->now_ms += 10;
    EXPECT_MODIFIED(h, 1, "GET k"); // expired on the way
}

static void test_hits_and_misses(void **state) {
    struct harness *h = *state;
    struct keyspace_stats *stats = &h->shards[0]->stats;
    harness_run(h, "MSET a 1 b 2");
    harness_run(h, "INCR a");
    assert_int_equal(stats->hits + stats->misses, 0);
    harness_run(h, "MGET a b c");
    harness_run(h, "GETSET a 2");
    harness_run(h, "SET a 3 GET");
    harness_run(h, "GETRANGE none 0 0");
    assert_int_equal(stats->hits, 4);
    assert_int_equal(stats->misses, 2);
    assert_int_equal(stats->dirty, 5);
}

/** Every way to create a key leaves it as just used; so does a read or a write of it. */
static void test_access(void **state) {
    struct harness *h = *state;
    static const char *const creators[] = {
        "SET k v",          "SETNX k v",           "SETEX k 9 v",  "GETSET k v",
        "MSET k v",         "MSETNX k v",          "APPEND k v",   "SETRANGE k 3 v",
        "INCR k",           "INCRBYFLOAT k 1",     "SETBIT k 3 1", "BITFIELD k SET u8 0 1",
        "BITOP OR k other", "SET k v EX 5 NX GET",
    };
    harness_run(h, "SET other v");
    for (size_t i = 0; i < sizeof(creators) / sizeof(creators[0]); i++) {
        harness_run(h, "GETDEL k");
        h->now_ms += 5000;
        harness_run(h, "%s", creators[i]);
        assert_int_equal(entry_access(entry_at(h, "k")), h->now_ms / 1000 & 0xffffff);
        h->now_ms += 3000;
        harness_run(h, "APPEND k x");
        assert_int_equal(entry_access(entry_at(h, "k")), h->now_ms / 1000 & 0xffffff);
        h->now_ms += 1000;
        harness_run(h, "STRLEN k");
        assert_int_equal(entry_access(entry_at(h, "k")), h->now_ms / 1000 & 0xffffff);
    }
}

static void test_lcs(void **state) {
    struct harness *h = *state;
    EXPECT(h, OK, "MSET a ohmytext b mynewtext");
    EXPECT(h, "$6\r\nmytext\r\n", "LCS a b");
    EXPECT(h, ":6\r\n", "LCS a b LEN");
    EXPECT(h,
           "*4\r\n$7\r\nmatches\r\n*2\r\n*2\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n"
           "*2\r\n*2\r\n:2\r\n:3\r\n*2\r\n:0\r\n:1\r\n$3\r\nlen\r\n:6\r\n",
           "LCS a b IDX");
    EXPECT(h,
           "*4\r\n$7\r\nmatches\r\n*1\r\n*3\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n:4\r\n"
           "$3\r\nlen\r\n:6\r\n",
           "LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN");
    EXPECT(h, "$0\r\n\r\n", "LCS a none");
    EXPECT(h, ":0\r\n", "LCS none none LEN");
    EXPECT(h, "*4\r\n$7\r\nmatches\r\n*0\r\n$3\r\nlen\r\n:0\r\n", "LCS none b IDX");
    EXPECT(h, "$8\r\nohmytext\r\n", "LCS a a MINMATCHLEN -5");
    EXPECT(h, OK, "MSET n 12345 m 9243");
    EXPECT(h, "$2\r\n24\r\n", "LCS n m");
    h->proto = 3;
    EXPECT(h, "%2\r\n$7\r\nmatches\r\n*0\r\n$3\r\nlen\r\n:6\r\n", "LCS a b IDX MINMATCHLEN 5");
}

static void test_lcs_errors(void **state) {
    struct harness *h = *state;
    EXPECT(h, "-ERR If you want both the length and indexes, please just use IDX.\r\n",
           "LCS a b LEN IDX");
    EXPECT(h, SYNTAX, "LCS a b FOO");
    EXPECT(h, SYNTAX, "LCS a b MINMATCHLEN");
    EXPECT(h, NOT_INTEGER, "LCS a b MINMATCHLEN x");
    h->settings.proto_max_bulk_len = 4 * 11 * 11;
    EXPECT(h, OK, "MSET a 0123456789 b 0123456789 c 0123456789x");
    EXPECT(h, ":10\r\n", "LCS a b LEN");
    EXPECT(h, "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len\r\n",
           "LCS a c LEN");
}

/** The subsequence by the plain table, with the choice that Redis makes among equals. */
static size_t plain_lcs(struct slice a, struct slice b, char *out) {
    size_t width = b.n + 1;
    uint32_t *table = calloc((a.n + 1) * width, sizeof(*table));
    for (size_t i = 1; i <= a.n; i++) {
        for (size_t j = 1; j <= b.n; j++) {
            uint32_t up = table[(i - 1) * width + j], left = table[i * width + j - 1];
            table[i * width + j] = a.p[i - 1] == b.p[j - 1] ? table[(i - 1) * width + j - 1] + 1
                                   : up > left              ? up
                                                            : left;
        }
    }
    size_t length = table[a.n * width + b.n], at = length, i = a.n, j = b.n;
    while (i > 0 && j > 0) {
        if (a.p[i - 1] == b.p[j - 1]) {
            out[--at] = a.p[i - 1];
            i--;
            j--;
        } else if (table[(i - 1) * width + j] > table[i * width + j - 1]) {
            i--;
        } else {
            j--;
        }
    }
    assert_int_equal(at, 0);
    free(table);
    return length;
}

static void test_lcs_random(void **state) {
    struct harness *h = *state;
    struct random random;
    random_init(&random, 7);
    for (int round = 0; round < 400; round++) {
        char a[300], b[300], expected[300], text[400];
        size_t an = 1 + random_below(&random, round % 8 ? 40 : 290);
        size_t bn = 1 + random_below(&random, round % 3 ? 70 : 290); // over several words
        for (size_t i = 0; i < an; i++) a[i] = (char)('a' + random_below(&random, 2 + round % 9));
        for (size_t i = 0; i < bn; i++) b[i] = (char)('a' + random_below(&random, 2 + round % 9));
        harness_run(h, "MSET a x%.*s b x%.*s", (int)an, a, (int)bn, b);
        char ax[301] = "x", bx[301] = "x";
        memcpy(ax + 1, a, an);
        memcpy(bx + 1, b, bn);
        size_t n = plain_lcs(slice_of(ax, an + 1), slice_of(bx, bn + 1), expected);
        snprintf(text, sizeof(text), "$%zu\r\n%.*s\r\n", n, (int)n, expected);
        EXPECT(h, text, "LCS a b");
        snprintf(text, sizeof(text), ":%zu\r\n", n);
        EXPECT(h, text, "LCS a b LEN");
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_set_and_get),
        TEST(test_sizes),
        TEST(test_integer_encoding),
        TEST(test_set_conditions),
        TEST(test_set_times),
        TEST(test_set_time_errors),
        TEST(test_getex),
        TEST(test_old_forms),
        TEST(test_many_keys),
        cmocka_unit_test_setup_teardown(test_many_keys, harness_setup_shards, harness_teardown),
        TEST(test_append),
        TEST(test_append_grows),
        TEST(test_ranges),
        TEST(test_setrange),
        TEST(test_length_limit),
        TEST(test_counters),
        TEST(test_float_counter),
        TEST(test_float_counter_errors),
        TEST(test_modified),
        TEST(test_hits_and_misses),
        TEST(test_access),
        TEST(test_lcs),
        cmocka_unit_test_setup_teardown(test_lcs, harness_setup_shards, harness_teardown),
        TEST(test_lcs_errors),
        TEST(test_lcs_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
