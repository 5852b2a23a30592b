// SPDX-License-Identifier: BSD-3-Clause
//
// The expiry of fields: the commands of Redis 7.4 and 8.0 with their codes, errors and effects,
// what readers and writers make of fields whose time is over, and their removal by the keyspace's
// walk. The harness replays every effect, and what the walk removes, into a second keyspace with
// another clock, which must stay equal. One thread; the clock is moved by hand.
#include "tests/unit/commands/harness.h"

#define START  HARNESS_START_MS
#define AT(ms) (long long)(START + (ms))

static void each_encoding(void (*test)(struct harness *h)) {
    for (int table = 0; table < 2; table++) {
        struct harness h;
        harness_init(&h, 1);
        if (table) h.settings.limits.hash_max_listpack_entries = 0;
        test(&h);
        harness_fini(&h);
    }
}

#define IN_EACH_ENCODING(name)              \
    static void test_##name(void **state) { \
        (void)state;                        \
        each_encoding(name);                \
    }

// ---- commands ----------------------------------------------------------------------------------

static void setting_and_asking(struct harness *h) {
    EXPECT(h, "*1\r\n:-2\r\n", "HEXPIRE absent 10 FIELDS 1 a");
    EXPECT(h, "*2\r\n:-2\r\n:-2\r\n", "HTTL absent FIELDS 2 a b");
    EXPECT(h, "*1\r\n:-2\r\n", "HPERSIST absent FIELDS 1 a");
    harness_run(h, "HSET h a 1 b 2 c 3");
    EXPECT(h, "*2\r\n:-1\r\n:-2\r\n", "HTTL h FIELDS 2 a x");
    EXPECT(h, "*2\r\n:1\r\n:-2\r\n", "HEXPIRE h 10 FIELDS 2 a x");
    EXPECT(h, "*1\r\n:1\r\n", "HPEXPIRE h 1500 FIELDS 1 b");
    EXPECT(h, "*3\r\n:10\r\n:2\r\n:-1\r\n", "HTTL h FIELDS 3 a b c");
    EXPECT(h, "*2\r\n:10000\r\n:1500\r\n", "HPTTL h FIELDS 2 a b");
    EXPECT(h, "*2\r\n:1700000010\r\n:1700000002\r\n", "HEXPIRETIME h FIELDS 2 a b");
    EXPECT(h, "*2\r\n:1700000010000\r\n:1700000001500\r\n", "HPEXPIRETIME h FIELDS 2 a b");
    EXPECT(h, "*1\r\n:1\r\n", "HEXPIREAT h 1700000020 FIELDS 1 c");
    EXPECT(h, "*1\r\n:1\r\n", "HPEXPIREAT h 1700000020001 FIELDS 1 c");
    EXPECT(h, "*1\r\n:20001\r\n", "HPTTL h FIELDS 1 c");
    EXPECT(h, "*4\r\n:1\r\n:-2\r\n:-1\r\n:1\r\n", "HPERSIST h FIELDS 4 a x a c");
    EXPECT(h, "*2\r\n:-1\r\n:-1\r\n", "HTTL h FIELDS 2 a c");
    EXPECT(h, "*1\r\n:2\r\n", "HEXPIRE h 0 FIELDS 1 c");
    EXPECT(h, "*2\r\n:2\r\n:-2\r\n", "HPEXPIREAT h 1 FIELDS 2 b b");
    EXPECT(h, "*1\r\n:2\r\n", "HEXPIREAT h 1600000000 FIELDS 1 a");
    EXPECT(h, ":0\r\n", "EXISTS h");
}
IN_EACH_ENCODING(setting_and_asking)

static void conditions(struct harness *h) {
    harness_run(h, "HSET h a 1 b 2");
    EXPECT(h, "*1\r\n:0\r\n", "HEXPIRE h 10 XX FIELDS 1 a");
    EXPECT(h, "*1\r\n:0\r\n", "HEXPIRE h 10 GT FIELDS 1 a");
    EXPECT(h, "*1\r\n:1\r\n", "HEXPIRE h 10 LT FIELDS 1 a");
    EXPECT(h, "*1\r\n:1\r\n", "HEXPIRE h 10 nx FIELDS 1 b");
    EXPECT(h, "*1\r\n:0\r\n", "HEXPIRE h 20 NX FIELDS 1 b");
    EXPECT(h, "*1\r\n:0\r\n", "HEXPIRE h 10 GT FIELDS 1 a");
    EXPECT(h, "*1\r\n:0\r\n", "HEXPIRE h 10 LT FIELDS 1 a");
    EXPECT(h, "*1\r\n:1\r\n", "HEXPIRE h 11 GT FIELDS 1 a");
    EXPECT(h, "*1\r\n:1\r\n", "HEXPIRE h 10 LT FIELDS 1 a");
    EXPECT(h, "*1\r\n:1\r\n", "HEXPIRE h 15 XX FIELDS 1 a");
    EXPECT(h, "*2\r\n:15\r\n:10\r\n", "HTTL h FIELDS 2 a b");
    EXPECT(h, "*2\r\n:0\r\n:0\r\n", "HEXPIRE h 0 NX FIELDS 2 a b");
}
IN_EACH_ENCODING(conditions)

static void effects(struct harness *h) {
    harness_run(h, "HSET h a 1 b 2 c 3 d 4");
    EXPECT_EFFECT(h, "HPEXPIREAT h 1700000010000 FIELDS 2 a b", "HEXPIRE h 10 FIELDS 3 a x b");
    EXPECT_EFFECT(h, "HPEXPIREAT h 1700000020000 FIELDS 1 a", "HEXPIRE h 20 XX FIELDS 2 a c");
    EXPECT_EFFECT(h, "", "HEXPIRE h 20 FIELDS 1 x");
    EXPECT_EFFECT(h, "HDEL h a c", "HEXPIRE h 0 FIELDS 3 a x c");
    EXPECT_EFFECT(h, "HPERSIST h FIELDS 1 b", "HPERSIST h FIELDS 2 b d");
    EXPECT_EFFECT(h, "", "HPERSIST h FIELDS 2 b d");
    EXPECT_EFFECT(h, "", "HGETEX h FIELDS 2 b d");
    EXPECT_EFFECT(h, "HPEXPIREAT h 1700000005000 FIELDS 1 d", "HGETEX h EX 5 FIELDS 2 d x");
    EXPECT_EFFECT(h, "HPERSIST h FIELDS 1 d", "HGETEX h PERSIST FIELDS 2 b d");
    EXPECT_EFFECT(h, "HDEL h d", "HGETEX h PXAT 5 FIELDS 2 x d");
    EXPECT_EFFECT(h, "HSETEX h PXAT 1700000000005 FIELDS 2 d 1 e 2",
                  "HSETEX h FNX PX 5 FIELDS 2 d 1 e 2");
    EXPECT_EFFECT(h, "HSETEX h FXX KEEPTTL FIELDS 1 d 2", "HSETEX h FXX KEEPTTL FIELDS 1 d 2");
    EXPECT_EFFECT(h, "", "HSETEX h FNX FIELDS 1 d 3");
    EXPECT_EFFECT(h, "HSETEX h KEEPTTL FIELDS 1 e 2.5", "HINCRBYFLOAT h e 0.5");
    EXPECT_EFFECT(h, "HDEL h d", "HSETEX h EXAT 5 FIELDS 2 d 3 new 4");
    EXPECT_EFFECT(h, "", "HSETEX h EXAT 5 FIELDS 1 new 4");
    EXPECT_EFFECT(h, "", "HSETEX absent EXAT 5 FIELDS 1 new 4");
    EXPECT_EFFECT(h, "HDEL h b", "HGETDEL h FIELDS 2 x b");
    EXPECT_EFFECT(h, "", "HGETDEL h FIELDS 2 x b");
    EXPECT_EFFECT(h, "HDEL h e", "HGETDEL h FIELDS 1 e");
    EXPECT(h, ":0\r\n", "EXISTS h absent");
}
IN_EACH_ENCODING(effects)

static void getting_with_changes(struct harness *h) {
    EXPECT(h, "*2\r\n$-1\r\n$-1\r\n", "HGETEX absent EX 10 FIELDS 2 a b");
    EXPECT(h, "*1\r\n$-1\r\n", "HGETDEL absent FIELDS 1 a");
    harness_run(h, "HSET h a 1 b x");
    EXPECT(h, "*3\r\n$1\r\n1\r\n$-1\r\n$1\r\nx\r\n", "HGETEX h FIELDS 3 a y b");
    EXPECT(h, "*1\r\n:-1\r\n", "HTTL h FIELDS 1 a");
    EXPECT(h, "*1\r\n$1\r\n1\r\n", "HGETEX h EX 10 FIELDS 1 a");
    EXPECT(h, "*1\r\n$1\r\nx\r\n", "HGETEX h exat 1700000030 FIELDS 1 b");
    EXPECT(h, "*2\r\n:10\r\n:30\r\n", "HTTL h FIELDS 2 a b");
    EXPECT(h, "*1\r\n$1\r\n1\r\n", "HGETEX h PERSIST FIELDS 1 a");
    EXPECT(h, "*2\r\n:-1\r\n:30\r\n", "HTTL h FIELDS 2 a b");
    EXPECT(h, "*1\r\n$1\r\n1\r\n", "HGETEX h PX 0 FIELDS 1 a");
    EXPECT(h, "*3\r\n$-1\r\n$1\r\nx\r\n$-1\r\n", "HGETDEL h FIELDS 3 a b b");
    EXPECT(h, ":0\r\n", "EXISTS h");
}
IN_EACH_ENCODING(getting_with_changes)

static void setting_with_expiry(struct harness *h) {
    EXPECT(h, ":0\r\n", "HSETEX h FXX EX 10 FIELDS 1 a 1");
    EXPECT(h, ":0\r\n", "EXISTS h");
    EXPECT(h, ":1\r\n", "HSETEX h FNX EX 10 FIELDS 2 a 1 b 2");
    EXPECT(h, "*2\r\n:10\r\n:10\r\n", "HTTL h FIELDS 2 a b");
    EXPECT(h, ":0\r\n", "HSETEX h FNX FIELDS 2 x 1 b 3");
    EXPECT(h, ":0\r\n", "HSETEX h FXX FIELDS 2 x 1 b 3");
    EXPECT(h, ":1\r\n", "HSETEX h KEEPTTL FXX FIELDS 1 a 4");
    EXPECT(h, ":1\r\n", "HSETEX h FIELDS 2 b 5 c 6");
    EXPECT(h, "*3\r\n:10\r\n:-1\r\n:-1\r\n", "HTTL h FIELDS 3 a b c");
    EXPECT(h, "*3\r\n$1\r\n4\r\n$1\r\n5\r\n$1\r\n6\r\n", "HMGET h a b c");
    EXPECT(h, ":1\r\n", "HSETEX h PX 1 FIELDS 1 a 7");
    EXPECT(h, "*1\r\n:1\r\n", "HPTTL h FIELDS 1 a");
    EXPECT(h, ":0\r\n", "HSET h a 8");
    EXPECT(h, "*1\r\n:-1\r\n", "HTTL h FIELDS 1 a");
    EXPECT(h, "*1\r\n:1\r\n", "HEXPIRE h 10 FIELDS 1 a");
    EXPECT(h, ":9\r\n", "HINCRBY h a 1");
    EXPECT(h, "$2\r\n10\r\n", "HINCRBYFLOAT h a 1");
    EXPECT(h, "*1\r\n:10\r\n", "HTTL h FIELDS 1 a");
}
IN_EACH_ENCODING(setting_with_expiry)

static void test_errors(void **state) {
    (void)state;
    struct harness h;
    harness_init(&h, 1);
    harness_run(&h, "HSET h a 1");
    static const char missing[] =
        "-ERR Mandatory argument FIELDS is missing or not at the right position\r\n";
    static const char mismatch[] =
        "-ERR The `numfields` parameter must match the number of arguments\r\n";
    static const char positive[] = "-ERR Number of fields must be a positive integer\r\n";
    static const char greater[] = "-ERR Parameter `numFields` should be greater than 0\r\n";
    static const char arity[] = "-ERR wrong number of arguments for 'hsetex' command\r\n";
    static const char one_time[] =
        "-ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified\r\n";
    EXPECT(&h, missing, "HEXPIRE h 10 BAD 1 a");
    EXPECT(&h, missing, "HEXPIRE h 10 NX 1 FIELDS a");
    EXPECT(&h, mismatch, "HEXPIRE h 10 FIELDS 2 a");
    EXPECT(&h, mismatch, "HEXPIRE h 10 NX FIELDS 1 a b");
    EXPECT(&h, greater, "HEXPIRE h 10 FIELDS 0 a");
    EXPECT(&h, greater, "HEXPIRE h 10 FIELDS x a");
    EXPECT(&h, "-ERR value is not an integer or out of range\r\n", "HEXPIRE h x FIELDS 1 a");
    EXPECT(&h, "-ERR invalid expire time, must be >= 0\r\n", "HEXPIRE h -1 FIELDS 1 a");
    EXPECT(&h, "-ERR invalid expire time in 'hexpire' command\r\n",
           "HEXPIRE h 281474976710 FIELDS 1 a");
    EXPECT(&h, "-ERR invalid expire time in 'hpexpireat' command\r\n",
           "HPEXPIREAT h 70368744177664 FIELDS 1 a");
    EXPECT(&h, "*1\r\n:1\r\n", "HPEXPIREAT h 70368744177663 FIELDS 1 a");
    EXPECT(&h, missing, "HTTL h BAD 1 a");
    EXPECT(&h, positive, "HTTL h FIELDS 0 a");
    EXPECT(&h, mismatch, "HTTL h FIELDS 2 a");
    EXPECT(&h, missing, "HPERSIST h BAD 1 a");
    EXPECT(&h, positive, "HPERSIST h FIELDS 0 a");
    EXPECT(&h, missing, "HGETDEL h BAD 1 a");
    EXPECT(&h, positive, "HGETDEL h FIELDS -1 a");
    EXPECT(&h, mismatch, "HGETDEL h FIELDS 2 a");
    EXPECT(&h, missing, "HGETEX h EX 1 BAD 1 a");
    EXPECT(&h, mismatch, "HGETEX h EX 1 FIELDS 2 a");
    EXPECT(&h, "-ERR invalid expire time, must be >= 0\r\n", "HGETEX h PX -1 FIELDS 1 a");
    EXPECT(&h, arity, "HSETEX h EX 1 FIELDS 1 a");
    EXPECT(&h, arity, "HSETEX h FIELDS 2 a 1");
    EXPECT(&h, arity, "HSETEX h FIELDS 1 a 1 b");
    EXPECT(&h, arity, "HSETEX h EX 1 FNX FIELDS");
    EXPECT(&h, "-ERR invalid number of fields\r\n", "HSETEX h FIELDS 0 a 1");
    EXPECT(&h, one_time, "HSETEX h EX 1 KEEPTTL FIELDS 1 a 1");
    EXPECT(&h, "-ERR Only one of FXX or FNX arguments can be specified\r\n",
           "HSETEX h FNX FXX FIELDS 1 a 1");
    EXPECT(&h, "-ERR unknown argument: BAD\r\n", "HSETEX h BAD FIELDS 1 a 1");
    harness_fini(&h);
}

// ---- fields whose time is over -----------------------------------------------------------------

/** a and b are over, c is not. */
static void make_expired(struct harness *h) {
    harness_run(h, "DEL h");
    harness_run(h, "HSET h a 1 b 2 c 3");
    harness_run(h, "HPEXPIRE h 100 FIELDS 2 a b");
    h->now_ms += 101;
}

static void readers_do_not_see_them(struct harness *h) {
    make_expired(h);
    for (uint8_t proto = 2; proto <= 3; proto++) {
        h->proto = proto;
        EXPECT(h, proto == 2 ? "$-1\r\n" : "_\r\n", "HGET h a");
        EXPECT(h, ":0\r\n", "HEXISTS h a");
        EXPECT(h, ":0\r\n", "HSTRLEN h a");
        EXPECT(h, proto == 2 ? "*2\r\n$1\r\nc\r\n$1\r\n3\r\n" : "%1\r\n$1\r\nc\r\n$1\r\n3\r\n",
               "HGETALL h");
        EXPECT(h, "*1\r\n$1\r\nc\r\n", "HKEYS h");
        EXPECT(h, "*1\r\n$1\r\n3\r\n", "HVALS h");
        EXPECT(h, "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nc\r\n", "HSCAN h 0 COUNT 100 NOVALUES");
        EXPECT(h, "$1\r\nc\r\n", "HRANDFIELD h");
        EXPECT(h, "*1\r\n$1\r\nc\r\n", "HRANDFIELD h 3");
        EXPECT(h, "*2\r\n$1\r\nc\r\n$1\r\nc\r\n", "HRANDFIELD h -2");
        EXPECT(h, "*3\r\n:-2\r\n:-2\r\n:-1\r\n", "HTTL h FIELDS 3 a b c");
        EXPECT(h, ":3\r\n", "HLEN h"); // they are there until somebody removes them
    }
    h->proto = 2;
    harness_run(h, "HDEL h c");
    EXPECT(h, ":1\r\n", "EXISTS h");
    EXPECT(h, "*0\r\n", "HGETALL h");
    EXPECT(h, "$-1\r\n", "HRANDFIELD h");
}
IN_EACH_ENCODING(readers_do_not_see_them)

static void writers_do_not_see_them(struct harness *h) {
    make_expired(h);
    EXPECT(h, ":1\r\n", "HSET h a x");
    EXPECT(h, "*1\r\n:-1\r\n", "HTTL h FIELDS 1 a");
    EXPECT(h, ":0\r\n", "HDEL h b");
    EXPECT(h, ":2\r\n", "HLEN h");
    make_expired(h);
    EXPECT(h, ":1\r\n", "HSETNX h a 5");
    EXPECT(h, ":7\r\n", "HINCRBY h b 7");
    EXPECT(h, "*3\r\n$1\r\n5\r\n$1\r\n7\r\n$1\r\n3\r\n", "HMGET h a b c");
    make_expired(h);
    EXPECT(h, "$1\r\n7\r\n", "HINCRBYFLOAT h b 7");
    EXPECT(h, "*1\r\n:-1\r\n", "HTTL h FIELDS 1 b");
    EXPECT(h, "*1\r\n:-2\r\n", "HEXPIRE h 10 FIELDS 1 a");
    EXPECT(h, "*1\r\n:-2\r\n", "HPERSIST h FIELDS 1 a");
    EXPECT(h, "*1\r\n$-1\r\n", "HGETEX h EX 5 FIELDS 1 a");
    EXPECT(h, "*1\r\n$-1\r\n", "HGETDEL h FIELDS 1 a");
    EXPECT(h, ":0\r\n", "HSETEX h FXX FIELDS 1 a 1");
    EXPECT(h, ":2\r\n", "HLEN h");
    make_expired(h);
    EXPECT(h, ":0\r\n", "HSETEX h FNX FIELDS 2 a 1 c 1");
    EXPECT(h, ":1\r\n", "HSETEX h FNX KEEPTTL FIELDS 2 a 1 b 1");
    EXPECT(h, "*2\r\n:-1\r\n:-1\r\n", "HTTL h FIELDS 2 a b");
}
IN_EACH_ENCODING(writers_do_not_see_them)

/** What a command removes on the way is replayed before the command. */
static void effects_of_dropping(struct harness *h) {
    make_expired(h);
    uint64_t before = h->effects_count;
    EXPECT(h, ":1\r\n", "HINCRBY h a 1");
    assert_int_equal(h->effects_count - before, 2);
    assert_string_equal(h->latest_effect.p, "HINCRBY h a 1");
    EXPECT_EFFECT(h, "HDEL h b", "HSETEX h FXX FIELDS 1 b 1");
    // The last field takes the key with it, and the key's own expiry.
    harness_run(h, "DEL h");
    harness_run(h, "HSET h a 1");
    harness_run(h, "EXPIRE h 1000");
    harness_run(h, "HPEXPIRE h 100 FIELDS 1 a");
    h->now_ms += 101;
    EXPECT(h, ":1\r\n", "HSETNX h a 1");
    EXPECT(h, ":-1\r\n", "TTL h");
}
IN_EACH_ENCODING(effects_of_dropping)

static void test_encodings(void **state) {
    (void)state;
    struct harness h;
    harness_init(&h, 1);
    harness_run(&h, "HSET h a 1 b 2");
    EXPECT(&h, "$8\r\nlistpack\r\n", "OBJECT ENCODING h");
    harness_run(&h, "HEXPIRE h 10 FIELDS 1 a");
    EXPECT(&h, "$10\r\nlistpackex\r\n", "OBJECT ENCODING h");
    harness_run(&h, "HPERSIST h FIELDS 1 a");
    EXPECT(&h, "$10\r\nlistpackex\r\n", "OBJECT ENCODING h");
    h.settings.limits.hash_max_listpack_entries = 2;
    harness_run(&h, "HEXPIRE h 10 FIELDS 1 b");
    harness_run(&h, "HSET h c 3");
    EXPECT(&h, "$9\r\nhashtable\r\n", "OBJECT ENCODING h");
    EXPECT(&h, "*3\r\n:-1\r\n:10\r\n:-1\r\n", "HTTL h FIELDS 3 a b c");
    harness_run(&h, "COPY h copy");
    harness_run(&h, "RENAME copy other");
    EXPECT(&h, "*3\r\n:-1\r\n:10\r\n:-1\r\n", "HTTL other FIELDS 3 a b c");
    harness_fini(&h);
}

// ---- active removal ----------------------------------------------------------------------------

static void walk(struct harness *h, uint32_t budget) {
    while (keyspace_expire_step(h->shards[0], h->now_ms, budget)) {
        assert_true(keyspace_is_valid(h->shards[0]));
        harness_compare_replica(h, "a step of the walk");
    }
    assert_true(keyspace_is_valid(h->shards[0]));
    harness_compare_replica(h, "the walk");
}

static void walk_removes_them(struct harness *h) {
    struct keyspace *ks = h->shards[0];
    walk(h, 1000);
    harness_run(h, "SET other 1 PX 5000");
    harness_run(h, "HSET h a 1 b 2 c 3");
    harness_run(h, "HSET all a 1 b 2");
    harness_run(h, "HSET both a 1 b 2");
    harness_run(h, "EXPIRE both 100");
    harness_run(h, "HPEXPIRE h 1000 FIELDS 2 a b");
    harness_run(h, "HPEXPIRE all 1000 FIELDS 1 a");
    harness_run(h, "HPEXPIRE all 3000 FIELDS 1 b");
    harness_run(h, "HPEXPIRE both 1000 FIELDS 1 b");
    assert_int_equal(db_expires(&ks->dbs[0]), 2);
    int64_t mean_ms = (5000 + 1000) / 2; // of both, what is due first is a field
    assert_in_range(db_average_ttl_ms(&ks->dbs[0], h->now_ms), mean_ms * 9 / 10, mean_ms * 11 / 10);
    h->now_ms += 900;
    walk(h, 1000);
    EXPECT(h, ":3\r\n", "HLEN h");
    h->now_ms += 300;
    uint64_t before = h->modified;
    walk(h, 1000);
    assert_int_equal(h->modified - before, 3);
    assert_int_equal(ks->stats.expired_fields, 4);
    EXPECT(h, ":1\r\n", "HLEN h");
    EXPECT(h, ":1\r\n", "HLEN all");
    EXPECT(h, ":1\r\n", "HLEN both");
    EXPECT(h, ":99\r\n", "TTL both");
    assert_int_equal(db_expires(&ks->dbs[0]), 2);
    h->now_ms += 2000;
    walk(h, 1000);
    EXPECT(h, ":0\r\n", "EXISTS all");
    assert_int_equal(ks->stats.expired_keys, 0);
    h->now_ms += 200000;
    walk(h, 1000);
    EXPECT(h, ":1\r\n", "DBSIZE");
    assert_int_equal(ks->stats.expired_keys, 2);
    assert_int_equal(db_expires(&ks->dbs[0]), 0);
}
IN_EACH_ENCODING(walk_removes_them)

/** A long hash is gone through in steps, each of them short. */
static void test_walk_in_steps(void **state) {
    (void)state;
    struct harness h;
    harness_init(&h, 1);
    h.walk = false;
    for (int i = 0; i < 4000; i += 2) {
        harness_run(&h, "HSETEX h PX %d FIELDS 1 f%d v", 1000 + i % 50, i);
        harness_run(&h, "HSET h f%d v", i + 1);
    }
    h.now_ms += 1200;
    keyspace_expire_step(h.shards[0], h.now_ms, 100000); // the walk's clock was behind
    uint64_t most = 0, removed = h.shards[0]->stats.expired_fields;
    while (keyspace_expire_step(h.shards[0], h.now_ms, 500)) {
        uint64_t now = h.shards[0]->stats.expired_fields;
        if (now - removed > most) most = now - removed;
        removed = now;
    }
    assert_int_equal(h.shards[0]->stats.expired_fields, 2000);
    EXPECT(&h, ":2000\r\n", "HLEN h");
    assert_in_range(most, 0, 200);
    assert_true(keyspace_is_valid(h.shards[0]));
    harness_compare_replica(&h, "the walk");
    harness_fini(&h);
}

/** The volatile policies leave alone what has no expiry itself. */
static void test_eviction_of_volatile_keys(void **state) {
    (void)state;
    struct harness h;
    harness_init(&h, 1);
    harness_run(&h, "HSET h a 1 b 2");
    harness_run(&h, "HEXPIRE h 10 FIELDS 1 a");
    struct eviction_rules rules = {.order = EVICT_LRU, .expiring_only = true, .samples = 5};
    uint32_t budget = 1000;
    assert_int_equal(keyspace_evictable(h.shards[0], &rules), 0);
    assert_false(keyspace_evict(h.shards[0], &rules, h.now_ms, &budget));
    harness_run(&h, "SET s 1 EX 100");
    assert_int_equal(keyspace_evictable(h.shards[0], &rules), 1);
    for (int order = EVICT_LRU; order <= EVICT_RANDOM; order++) {
        rules.order = order;
        harness_run(&h, "SET s 1 EX 100");
        budget = 1000;
        assert_true(keyspace_evict(h.shards[0], &rules, h.now_ms, &budget));
        budget = 1000;
        assert_false(keyspace_evict(h.shards[0], &rules, h.now_ms, &budget));
        EXPECT(&h, ":1\r\n", "EXISTS h s");
    }
    harness_fini(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_setting_and_asking),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_effects),
        cmocka_unit_test(test_getting_with_changes),
        cmocka_unit_test(test_setting_with_expiry),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_readers_do_not_see_them),
        cmocka_unit_test(test_writers_do_not_see_them),
        cmocka_unit_test(test_effects_of_dropping),
        cmocka_unit_test(test_encodings),
        cmocka_unit_test(test_walk_removes_them),
        cmocka_unit_test(test_walk_in_steps),
        cmocka_unit_test(test_eviction_of_volatile_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
