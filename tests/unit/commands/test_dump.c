// SPDX-License-Identifier: BSD-3-Clause
//
// DUMP and RESTORE: payloads that come back as the same value for every type and encoding, frames
// that are refused, options, times to live, and what is replayed. How values look byte by byte is
// tests/unit/rdb's. One thread, one harness a test.
#include "engine/base/crc64.h"
#include "engine/rdb/rdb_format.h"
#include "tests/unit/commands/harness.h"

static const struct entry *entry_at(struct harness *h, const char *key) {
    return db_find(&h->shards[0]->dbs[0], key_of(h->shards[0], slice_text(key))).entry;
}

/** The payload of a key; freed by the caller. */
static struct buf dump(struct harness *h, const char *key) {
    struct buf payload = {0};
    const char *reply = harness_run(h, "dump %s", key);
    assert_int_equal(reply[0], '$');
    size_t n = strtoul(reply + 1, NULL, 10);
    buf_append(&payload, strchr(reply, '\n') + 1, n);
    return payload;
}

#define WORDS_MAX 12
/** RESTORE key ttl payload and options ("REPLACE ABSTTL"); the reply. */
static const char *restore(struct harness *h, const char *key, const char *ttl,
                           struct slice payload, const char *options) {
    struct slice words[WORDS_MAX] = {SLICE_LITERAL("RESTORE"), slice_text(key), slice_text(ttl),
                                     payload};
    int argc = 4;
    char *copy = strdup(options), *rest = copy;
    for (char *word; (word = strsep(&rest, " ")) != NULL;)
        if (word[0] != '\0') words[argc++] = slice_text(word);
    const char *reply = harness_run_words(h, argc, words);
    free(copy);
    return reply;
}

static struct slice bytes_of(const struct buf *b) { return slice_of(b->p, b->len); }

/** Sets the checksum of a payload right. */
static void seal(struct buf *payload) {
    uint64_t sum = crc64(0, payload->p, payload->len - 8);
    memcpy(payload->p + payload->len - 8, &sum, sizeof sum);
}

// ---- round trips -------------------------------------------------------------------------------

static void check_round_trip(struct harness *h, bool same_encoding) {
    struct digest before = {0}, after = {0};
    struct buf payload = dump(h, "k");
    assert_string_equal(restore(h, "copy", "0", bytes_of(&payload), "REPLACE"), "+OK\r\n");
    entry_value_digest(entry_at(h, "k"), &before);
    entry_value_digest(entry_at(h, "copy"), &after);
    assert_memory_equal(&before, &after, sizeof before);
    if (same_encoding)
        assert_string_equal(entry_encoding_name(entry_at(h, "k")),
                            entry_encoding_name(entry_at(h, "copy")));
    buf_free(&payload);
}

static void test_round_trips(void **state) {
    struct harness *h = *state;
    static const char *const commands[] = {
        "set k ''",
        "set k 17",
        "set k -9223372036854775808",
        "set k embedded",
        "set k 01",
        "set k aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "rpush k a 1 '' -5 100000000000",
        "sadd k 1 2 3",
        "sadd k 1 2 a",
        "zadd k 1 a 2.5 b -inf c inf d",
        "hset k f v g 12 '' ''",
        "xadd k 1-1 f v",
        "xadd k 1-1 f v;xadd k 2-1 f w g x;xdel k 1-1;xgroup create k g 0;"
        "xreadgroup group g c count 1 streams k >;xgroup createconsumer k g idle",
        "xadd k 1-1 f v;xdel k 1-1",
        "xgroup create k g $ mkstream",
        "pfadd k a b c",
        "setbit k 1000 1",
    };
    h->replica_late_ms = 5000; // not early: XCLAIM takes no TIME that is to come
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        char *copy = strdup(commands[i]), *rest = copy;
        harness_run(h, "flushall");
        for (char *line; (line = strsep(&rest, ";")) != NULL;)
            assert_true(harness_run(h, "%s", line)[0] != '-');
        free(copy);
        check_round_trip(h, entry_type(entry_at(h, "k")) != ENTRY_STRING); // else raw or embstr
    }
}

static void test_round_trips_of_large_values(void **state) {
    struct harness *h = *state;
    static const char *const commands[] = {
        "rpush k item:%d", "sadd k m:%d",      "sadd k %d",   "zadd k 1.%d m%d",
        "hset k f%d v%d",  "xadd k %d-1 f %d", "append k %d", "setrange k %d000 x",
    };
    h->walk = false;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        harness_run(h, "flushall");
        for (int j = 1; j <= 2000; j++) {
            char line[100];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(line, sizeof line, commands[i], j, j);
#pragma GCC diagnostic pop
            assert_true(harness_run(h, "%s", line)[0] != '-');
        }
        check_round_trip(h, true);
    }
    assert_true(keyspace_is_valid(h->shards[0]));
    harness_compare_replica(h, "all of them");
}

static void test_fields_that_expire(void **state) {
    struct harness *h = *state;
    struct buf payload;
    EXPECT(h, ":3\r\n", "hset k a 1 b 2 c 3");
    EXPECT(h, "*2\r\n:1\r\n:1\r\n", "hpexpire k 5000 fields 2 a b");
    check_round_trip(h, true);
    EXPECT(h, "*3\r\n:5000\r\n:5000\r\n:-1\r\n", "hpttl copy fields 3 a b c");
    payload = dump(h, "k");
    assert_int_equal(payload.p[payload.len - 10], 12); // no older version has it
    // A field whose time is over comes along, and goes by itself.
    h->now_ms += 6000;
    assert_string_equal(restore(h, "late", "0", bytes_of(&payload), ""), "+OK\r\n");
    EXPECT(h, "*1\r\n$1\r\nc\r\n", "hkeys late");
    while (keyspace_expire_step(h->shards[0], h->now_ms, 1000)) continue;
    EXPECT(h, ":1\r\n", "hlen late");
    buf_free(&payload);
    harness_run(h, "del k");
    for (int i = 0; i < 1000; i++) harness_run(h, "hset k f%d v%d", i, i);
    EXPECT(h, "*2\r\n:1\r\n:1\r\n", "hpexpire k 5000 fields 2 f7 f8");
    check_round_trip(h, true);
    EXPECT(h, "*3\r\n:5000\r\n:-1\r\n:5000\r\n", "hpttl copy fields 3 f7 f9 f8");
    payload = dump(h, "k");
    assert_int_equal(payload.p[payload.len - 10], 12);
    buf_free(&payload);
    EXPECT(h, "*2\r\n:1\r\n:1\r\n", "hpersist k fields 2 f7 f8");
    payload = dump(h, "k");
    assert_int_equal(payload.p[payload.len - 10], 11);
    buf_free(&payload);
}

static void test_settings(void **state) {
    struct harness *h = *state;
    EXPECT(h, ":1\r\n", "hset k f aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    struct buf packed = dump(h, "k");
    h->settings.rdb_compression = false;
    struct buf plain = dump(h, "k");
    assert_true(plain.len > packed.len + 30);
    for (int version = 9; version <= 12; version++) {
        h->settings.rdb_version = version;
        struct buf payload = dump(h, "k");
        assert_int_equal(payload.p[payload.len - 10], version);
        assert_int_equal(payload.p[0], version == 9 ? RDB_HASH_ZIPLIST : RDB_HASH_LISTPACK);
        check_round_trip(h, true);
        buf_free(&payload);
    }
    EXPECT(h, "*1\r\n:1\r\n", "hexpire k 100 fields 1 f");
    check_round_trip(h, true);
    h->settings.rdb_version = 11;
    EXPECT(h, "-ERR hash field expiration cannot be expressed in RDB version 11 (rdb-version)\r\n",
           "dump k");
    buf_free(&packed);
    buf_free(&plain);
}

// ---- frames ------------------------------------------------------------------------------------

static const char wrong[] = "-ERR DUMP payload version or checksum are wrong\r\n";
static const char bad[] = "-ERR Bad data format\r\n";

static void test_frames(void **state) {
    struct harness *h = *state;
    EXPECT(h, "$-1\r\n", "dump k");
    harness_run(h, "rpush k 1 2 3");
    struct buf payload = dump(h, "k");
    for (size_t n = 0; n < payload.len; n++)
        assert_string_equal(restore(h, "r", "0", slice_of(payload.p, n), ""), wrong);
    for (size_t bit = 0; bit < payload.len * 8; bit++) {
        payload.p[bit / 8] ^= (char)(1 << bit % 8);
        assert_string_equal(restore(h, "r", "0", bytes_of(&payload), ""), wrong);
        payload.p[bit / 8] ^= (char)(1 << bit % 8);
    }
    // Versions: what is newer than what is read is refused, but Valkey's.
    static const struct {
        uint8_t version;
        bool taken;
    } versions[] = {{0, true},   {1, true},   {9, true},  {11, true},  {12, true},
                    {13, false}, {79, false}, {80, true}, {81, false}, {255, false}};
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        payload.p[payload.len - 10] = (char)versions[i].version;
        seal(&payload);
        assert_string_equal(restore(h, "r", "0", bytes_of(&payload), "REPLACE"),
                            versions[i].taken ? "+OK\r\n" : wrong);
    }
    payload.p[payload.len - 9] = 1;
    seal(&payload);
    assert_string_equal(restore(h, "r", "0", bytes_of(&payload), "REPLACE"), wrong);
    buf_free(&payload);
}

static void test_bad_data(void **state) {
    struct harness *h = *state;
    harness_run(h, "rpush k 1 2 3");
    struct buf payload = dump(h, "k");
    payload.p[payload.len - 10] = 11;
    for (int type = 0; type < 256; type++) {
        if (type == RDB_LIST_QUICKLIST_2) continue;
        payload.p[0] = (char)type;
        seal(&payload);
        const char *reply = restore(h, "r", "0", bytes_of(&payload), "");
        // Some are other values by chance, but none takes all of the bytes.
        assert_string_equal(reply, bad);
    }
    assert_null(entry_at(h, "r"));
    buf_free(&payload);
    // Nothing but a frame.
    buf_append(&payload, "\x0b\0........", 10);
    seal(&payload);
    assert_string_equal(restore(h, "r", "0", bytes_of(&payload), ""), bad);
    buf_free(&payload);
}

/** Every byte of valid payloads changed at random, with a right checksum: an error or a value. */
static void test_damaged(void **state) {
    struct harness *h = *state;
    struct random r;
    random_init(&r, 11);
    static const char *const commands[] = {"rpush k a b 1 2",
                                           "sadd k 1 2 3",
                                           "sadd k a b",
                                           "zadd k 1 a 2 b",
                                           "hset k f v g w",
                                           "xadd k 1-1 f v",
                                           "set k aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        harness_run(h, "flushall");
        harness_run(h, "%s", commands[i]);
        struct buf payload = dump(h, "k");
        for (int round = 0; round < 500; round++) {
            size_t at = (size_t)random_below(&r, payload.len - 10);
            char old = payload.p[at];
            payload.p[at] = (char)random_next(&r);
            seal(&payload);
            const char *reply = restore(h, "r", "0", bytes_of(&payload), "REPLACE");
            assert_true(strcmp(reply, "+OK\r\n") == 0 || strcmp(reply, bad) == 0);
            payload.p[at] = old;
        }
        buf_free(&payload);
    }
}

// ---- options -----------------------------------------------------------------------------------

static void test_options(void **state) {
    struct harness *h = *state;
    harness_run(h, "set k value");
    struct buf payload = dump(h, "k");
    struct slice p = bytes_of(&payload);
    static const char syntax[] = "-ERR syntax error\r\n";
    static const char integer[] = "-ERR value is not an integer or out of range\r\n";
    static const char idle[] = "-ERR Invalid IDLETIME value, must be >= 0\r\n";
    static const char freq[] = "-ERR Invalid FREQ value, must be >= 0 and <= 255\r\n";
    static const char busy[] = "-BUSYKEY Target key name already exists.\r\n";
    static const char ttl[] = "-ERR Invalid TTL value, must be >= 0\r\n";
    assert_string_equal(restore(h, "r", "0", p, "bogus"), syntax);
    assert_string_equal(restore(h, "r", "0", p, "idletime"), syntax);
    assert_string_equal(restore(h, "r", "0", p, "freq"), syntax);
    assert_string_equal(restore(h, "r", "0", p, "idletime 5 freq 5"), syntax);
    assert_string_equal(restore(h, "r", "0", p, "freq 5 idletime 5"), syntax);
    assert_string_equal(restore(h, "r", "0", p, "idletime x"), integer);
    assert_string_equal(restore(h, "r", "0", p, "idletime -1"), idle);
    assert_string_equal(restore(h, "r", "0", p, "freq -1"), freq);
    assert_string_equal(restore(h, "r", "0", p, "freq 256"), freq);
    assert_string_equal(restore(h, "r", "0", p, "freq 1.5"), integer);
    assert_string_equal(restore(h, "r", "-1", p, ""), ttl);
    assert_string_equal(restore(h, "r", "x", p, ""), integer);
    assert_null(entry_at(h, "r"));
    // What is looked at first: options, the key, the time, the payload.
    assert_string_equal(restore(h, "k", "-1", SLICE_LITERAL("x"), ""), busy);
    assert_string_equal(restore(h, "k", "-1", SLICE_LITERAL("x"), "bogus"), syntax);
    assert_string_equal(restore(h, "k", "-1", SLICE_LITERAL("x"), "replace"), ttl);
    assert_string_equal(restore(h, "k", "1", SLICE_LITERAL("x"), "replace"), wrong);
    assert_string_equal(restore(h, "r", "0", p, "RePlAcE aBsTtL IdLeTiMe 100"), "+OK\r\n");
    EXPECT(h, "$5\r\nvalue\r\n", "get r");
    EXPECT(h, ":-1\r\n", "pttl r");
    buf_free(&payload);
}

static void test_access(void **state) {
    struct harness *h = *state;
    harness_run(h, "set k value");
    struct buf payload = dump(h, "k");
    restore(h, "r", "0", bytes_of(&payload), "IDLETIME 1234");
    EXPECT(h, ":1234\r\n", "object idletime r");
    restore(h, "r", "0", bytes_of(&payload), "IDLETIME 9223372036854775807 REPLACE");
    EXPECT(h, ":16777215\r\n", "object idletime r");
    restore(h, "r", "0", bytes_of(&payload), "FREQ 17 REPLACE");
    EXPECT(h, ":0\r\n", "object idletime r");
    h->settings.lfu = true;
    restore(h, "r", "0", bytes_of(&payload), "FREQ 17 REPLACE");
    EXPECT(h, ":17\r\n", "object freq r");
    restore(h, "r", "0", bytes_of(&payload), "FREQ 255 REPLACE");
    EXPECT(h, ":255\r\n", "object freq r");
    restore(h, "r", "0", bytes_of(&payload), "IDLETIME 17 REPLACE");
    EXPECT(h, ":5\r\n", "object freq r");
    buf_free(&payload);
}

static void test_times(void **state) {
    struct harness *h = *state;
    harness_run(h, "set k value px 77");
    struct buf payload = dump(h, "k");
    struct slice p = bytes_of(&payload);
    assert_string_equal(restore(h, "r", "5000", p, ""), "+OK\r\n");
    EXPECT(h, ":5000\r\n", "pttl r");
    assert_string_equal(restore(h, "r", "1700000007000", p, "ABSTTL REPLACE"), "+OK\r\n");
    EXPECT(h, ":7000\r\n", "pttl r");
    assert_string_equal(restore(h, "r", "0", p, "ABSTTL REPLACE"), "+OK\r\n");
    EXPECT(h, ":-1\r\n", "pttl r");
    // In the past: nothing comes, and what is there goes.
    assert_string_equal(restore(h, "new", "1700000000000", p, "ABSTTL"), "+OK\r\n");
    assert_null(entry_at(h, "new"));
    assert_string_equal(restore(h, "r", "1", p, "ABSTTL"), "-BUSYKEY Target key name already "
                                                           "exists.\r\n");
    assert_string_equal(restore(h, "r", "1", p, "ABSTTL REPLACE"), "+OK\r\n");
    assert_null(entry_at(h, "r"));
    // Beyond the end of time.
    assert_string_equal(restore(h, "r", "9223372036854775807", p, ""), "+OK\r\n");
    assert_null(entry_at(h, "r"));
    assert_string_equal(restore(h, "r", "9223372036854775807", p, "ABSTTL"), "+OK\r\n");
    EXPECT(h, ":9223372036854775807\r\n", "pexpiretime r");
    // An expired key is not there.
    harness_run(h, "set r x px 10");
    h->now_ms += 20;
    assert_string_equal(restore(h, "r", "0", p, ""), "+OK\r\n");
    EXPECT(h, "$5\r\nvalue\r\n", "get r");
    buf_free(&payload);
}

static void test_effects(void **state) {
    struct harness *h = *state;
    harness_run(h, "set k value");
    struct buf payload = dump(h, "k");
    struct slice p = bytes_of(&payload);
    restore(h, "r", "0", p, "");
    assert_memory_equal(h->latest_effect.p, "RESTORE r 0 ", 12);
    restore(h, "r", "5000", p, "replace idletime 5");
    assert_memory_equal(h->latest_effect.p, "RESTORE r 1700000005000 ", 24);
    static const char tail[] = " replace idletime 5 ABSTTL";
    assert_memory_equal(h->latest_effect.p + h->latest_effect.len - (sizeof tail - 1), tail,
                        sizeof tail - 1);
    restore(h, "r", "1700000006000", p, "REPLACE absttl");
    assert_memory_equal(h->latest_effect.p, "RESTORE r 1700000006000 ", 24);
    uint64_t before = h->effects_count;
    restore(h, "new", "1", p, "ABSTTL");
    restore(h, "new", "0", SLICE_LITERAL("x"), "");
    assert_int_equal(h->effects_count, before);
    restore(h, "r", "1", p, "ABSTTL REPLACE");
    assert_int_equal(h->effects_count, before + 1);
    assert_string_equal(h->latest_effect.p, "DEL r");
    buf_free(&payload);
}

static void test_restore_asking(void **state) {
    struct harness *h = *state;
    harness_run(h, "set k value");
    struct buf payload = dump(h, "k");
    const struct slice words[] = {SLICE_LITERAL("restore-asking"), SLICE_LITERAL("r"),
                                  SLICE_LITERAL("0"), bytes_of(&payload)};
    assert_string_equal(harness_run_words(h, 4, words), "+OK\r\n");
    EXPECT(h, "$5\r\nvalue\r\n", "get r");
    buf_free(&payload);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, harness_setup, harness_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_round_trips),
        TEST(test_round_trips_of_large_values),
        TEST(test_fields_that_expire),
        TEST(test_settings),
        TEST(test_frames),
        TEST(test_bad_data),
        TEST(test_damaged),
        TEST(test_options),
        TEST(test_access),
        TEST(test_times),
        TEST(test_effects),
        TEST(test_restore_asking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
