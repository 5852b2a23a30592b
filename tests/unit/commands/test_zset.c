// SPDX-License-Identifier: BSD-3-Clause
//
// Sorted set commands through the command table, against the replies that Redis 7.2 gives: options
// and their conflicts, both forms, both protocols, what is replayed, waiting, and random streams
// over small and large sets whose effects must make the same keyspace. Replies are written flat:
// "[a 1]" is an array of a bulk string and an integer, "~" stands before doubles, "-" is null and
// "[-]" a null array. One process, one thread.
#include "tests/unit/commands/harness.h"

#include "engine/base/random.h"

#define FLAT_SYNTAX     "ERR syntax error"
#define FLAT_WRONG_TYPE "WRONGTYPE Operation against a key holding the wrong kind of value"
#define NOT_FLOAT       "ERR value is not a valid float"
#define NO_FLOATS       "ERR min or max is not a float"
#define NO_LEX          "ERR min or max not valid string range item"

static const char *flatten(struct buf *out, const char *p) {
    const char *end = strstr(p, "\r\n");
    long n = strtol(p + 1, NULL, 10);
    switch (*p) {
    case '$':
        if (n < 0) {
            buf_append_text(out, "-");
            return end + 2;
        }
        buf_append(out, end + 2, (size_t)n);
        return end + 2 + n + 2;
    case '*':
        buf_append_text(out, n < 0 ? "[-]" : "[");
        p = end + 2;
        for (long i = 0; i < n; i++) {
            if (i > 0) buf_append_text(out, " ");
            p = flatten(out, p);
        }
        if (n >= 0) buf_append_text(out, "]");
        return p;
    case ',': buf_append_text(out, "~"); break;
    case '_': buf_append_text(out, "-"); break;
    default: break;
    }
    buf_append(out, p + 1, (size_t)(end - p - 1));
    return end + 2;
}

/** Compares the latest reply, written flat. */
static void expect_flat(struct harness *h, const char *expected) {
    struct buf out = {0};
    const char *end = flatten(&out, h->reply.p);
    assert_ptr_equal(end, h->reply.p + h->reply.len);
    *buf_reserve(&out, 1) = '\0';
    assert_string_equal(out.p, expected);
    buf_free(&out);
}

#define FLAT(h, expected, ...)         \
    do {                               \
        harness_run((h), __VA_ARGS__); \
        expect_flat((h), (expected));  \
    } while (0)

/** Makes a sorted set in the large form as easily as in the small one. */
static void set_form(struct harness *h, bool large) {
    h->settings.limits.zset_max_listpack_entries = large ? 0 : 128;
}

static const char *encoding_of(struct harness *h, const char *name) {
    struct keyspace *ks = h->shards[0];
    struct entry *e = db_find(&ks->dbs[0], key_of(ks, slice_text(name))).entry;
    return e != NULL ? entry_encoding_name(e) : "none";
}

static void zadd(void **state) {
    struct harness *h = *state;
    for (int large = 0; large < 2; large++) {
        set_form(h, large);
        FLAT(h, "2", "ZADD z 1 a 2 b");
        assert_string_equal(encoding_of(h, "z"), large ? "skiplist" : "listpack");
        FLAT(h, "1", "ZADD z 3 c 2 b 5 a");
        FLAT(h, "0", "ZADD z 4 a");
        FLAT(h, "[b 2 c 3 a 4]", "ZRANGE z 0 -1 WITHSCORES");
        FLAT(h, "2", "ZADD z CH 4 a 7 b 8 d");
        FLAT(h, "0", "ZADD z XX 9 e");
        FLAT(h, "1", "ZADD z NX 9 e 1 a");
        FLAT(h, "1", "ZADD z GT CH 9 c 3 a");
        FLAT(h, "1", "ZADD z LT CH 10 c 3 a");
        FLAT(h, "[a 3 b 7 d 8 c 9 e 9]", "ZRANGE z 0 -1 WITHSCORES");
        FLAT(h, "4.5", "ZADD z INCR 1.5 a");
        FLAT(h, "-", "ZADD z INCR NX 1.5 a");
        FLAT(h, "-", "ZADD z INCR XX 1.5 x");
        FLAT(h, "-", "ZADD z INCR LT 1.5 a");
        FLAT(h, "inf", "ZINCRBY z inf a");
        FLAT(h, "ERR resulting score is not a number (NaN)", "ZINCRBY z -inf a");
        FLAT(h, "0.1", "ZINCRBY z 0.1 f");
        FLAT(h, "0.30000000000000004", "ZINCRBY z 0.2 f");
        FLAT(h, "1", "DEL z");
        FLAT(h, "0", "ZADD z XX 1 a");
        FLAT(h, "0", "EXISTS z");
    }
}

static void zadd_errors(void **state) {
    struct harness *h = *state;
    FLAT(h, FLAT_SYNTAX, "ZADD z 1 a 2");
    FLAT(h, FLAT_SYNTAX, "ZADD z NX XX");
    FLAT(h, NOT_FLOAT, "ZADD z foo a");
    FLAT(h, NOT_FLOAT, "ZADD z 1 a nan b");
    FLAT(h, "0", "EXISTS z"); // nothing of it was done
    FLAT(h, "ERR XX and NX options at the same time are not compatible", "ZADD z XX NX 1 a");
    FLAT(h, "ERR GT, LT, and/or NX options at the same time are not compatible",
         "ZADD z GT NX 1 a");
    FLAT(h, "ERR GT, LT, and/or NX options at the same time are not compatible",
         "ZADD z gt lt 1 a");
    FLAT(h, "ERR INCR option supports a single increment-element pair", "ZADD z INCR 1 a 2 b");
    FLAT(h, "OK", "SET s x");
    FLAT(h, FLAT_WRONG_TYPE, "ZADD s 1 a");
    FLAT(h, NOT_FLOAT, "ZADD s x a"); // before the type
    FLAT(h, FLAT_WRONG_TYPE, "ZINCRBY s 1 a");
    FLAT(h, NOT_FLOAT, "ZINCRBY z x a");
    EXPECT_MODIFIED(h, 1, "ZADD z 1 a");
    EXPECT_MODIFIED(h, 0, "ZADD z 1 a");
    EXPECT_EFFECT(h, "", "ZADD z 1 a");
    EXPECT_EFFECT(h, "ZADD z GT 2 a", "ZADD z GT 2 a");
}

static void forms(void **state) {
    struct harness *h = *state;
    for (int i = 0; i < 128; i++) FLAT(h, "1", "ZADD z %d m%d", i, i);
    assert_string_equal(encoding_of(h, "z"), "listpack");
    FLAT(h, "1", "ZADD z 1 one-more");
    assert_string_equal(encoding_of(h, "z"), "skiplist");
    FLAT(h, "1", "ZREM z one-more");
    assert_string_equal(encoding_of(h, "z"), "skiplist");
    // What is stored anew takes the form that fits.
    FLAT(h, "128", "ZUNIONSTORE u 1 z");
    assert_string_equal(encoding_of(h, "u"), "listpack");
    FLAT(h, "128", "ZRANGESTORE r z 0 -1");
    assert_string_equal(encoding_of(h, "r"), "listpack");
    FLAT(h, "1", "ZADD z 1 one-more");
    FLAT(h, "129", "ZRANGESTORE r z 0 -1");
    assert_string_equal(encoding_of(h, "r"), "skiplist");
    FLAT(h, "1", "ZADD l 1 %064d", 1);
    assert_string_equal(encoding_of(h, "l"), "listpack");
    FLAT(h, "1", "ZADD l 1 %065d", 1);
    assert_string_equal(encoding_of(h, "l"), "skiplist");
}

static void asking(void **state) {
    struct harness *h = *state;
    for (int large = 0; large < 2; large++) {
        set_form(h, large);
        harness_run(h, "ZADD z 1 a 2.5 b 2.5 c inf d");
        FLAT(h, "4", "ZCARD z");
        FLAT(h, "0", "ZCARD none");
        FLAT(h, "2.5", "ZSCORE z b");
        FLAT(h, "-", "ZSCORE z x");
        FLAT(h, "-", "ZSCORE none x");
        FLAT(h, "[1 - inf]", "ZMSCORE z a x d");
        FLAT(h, "[- -]", "ZMSCORE none a x");
        FLAT(h, "2", "ZRANK z c");
        FLAT(h, "1", "ZREVRANK z c");
        FLAT(h, "-", "ZRANK z x");
        FLAT(h, "[2 2.5]", "ZRANK z c WITHSCORE");
        FLAT(h, "[-]", "ZRANK z x WITHSCORE");
        FLAT(h, FLAT_SYNTAX, "ZRANK z c WITHSCORES");
        FLAT(h, "ERR wrong number of arguments for 'zrevrank' command", "ZREVRANK z c WITHSCORE x");
        h->proto = 3;
        FLAT(h, "~2.5", "ZSCORE z b");
        FLAT(h, "[~1 - ~inf]", "ZMSCORE z a x d");
        FLAT(h, "[2 ~2.5]", "ZRANK z c WITHSCORE");
        FLAT(h, "-", "ZRANK z x WITHSCORE");
        FLAT(h, "~3.5", "ZINCRBY z 2.5 a");
        h->proto = 2;
        FLAT(h, "2", "ZREM z a x c");
        FLAT(h, "[b d]", "ZRANGE z 0 -1");
        FLAT(h, "2", "ZREM z b d d b");
        FLAT(h, "0", "EXISTS z");
        FLAT(h, "0", "ZREM z a");
    }
    harness_run(h, "SET s x");
    FLAT(h, FLAT_WRONG_TYPE, "ZCARD s");
    FLAT(h, FLAT_WRONG_TYPE, "ZREM s a");
    FLAT(h, FLAT_WRONG_TYPE, "ZRANK s a");
}

static void ranges(void **state) {
    struct harness *h = *state;
    for (int large = 0; large < 2; large++) {
        set_form(h, large);
        harness_run(h, "ZADD z 1 a 2 b 3 c 4 d 5 e");
        FLAT(h, "[a b]", "ZRANGE z 0 1");
        FLAT(h, "[d e]", "ZRANGE z -2 100");
        FLAT(h, "[]", "ZRANGE z 3 1");
        FLAT(h, "[]", "ZRANGE z 5 9");
        FLAT(h, "[e d]", "ZRANGE z 0 1 REV");
        FLAT(h, "[b 2 a 1]", "ZREVRANGE z -2 -1 WITHSCORES");
        FLAT(h, "[b c]", "ZRANGEBYSCORE z (1 3");
        FLAT(h, "[b 2 c 3]", "ZRANGE z 2 (4 BYSCORE WITHSCORES");
        FLAT(h, "[d c]", "ZRANGE z (5 3 BYSCORE REV");
        FLAT(h, "[c d]", "ZRANGEBYSCORE z -inf +inf LIMIT 2 2");
        FLAT(h, "[c d e]", "ZRANGEBYSCORE z -inf +inf LIMIT 2 -1");
        FLAT(h, "[]", "ZRANGEBYSCORE z -inf +inf LIMIT -1 2");
        FLAT(h, "[]", "ZRANGEBYSCORE z -inf +inf LIMIT 5 2");
        FLAT(h, "[]", "ZRANGEBYSCORE z -inf +inf LIMIT 0 0");
        FLAT(h, "[c b]", "ZREVRANGEBYSCORE z inf 2 LIMIT 2 5");
        FLAT(h, "[]", "ZRANGEBYSCORE z (2 (2");
        FLAT(h, "[]", "ZRANGEBYSCORE z 9 1");
        FLAT(h, "3", "ZCOUNT z (1 4");
        FLAT(h, "5", "ZCOUNT z -inf inf");
        FLAT(h, "0", "ZCOUNT z (5 inf");
        h->proto = 3;
        FLAT(h, "[[a ~1] [b ~2]]", "ZRANGE z 0 1 WITHSCORES");
        FLAT(h, "[[b ~2]]", "ZRANGEBYSCORE z 2 2 WITHSCORES");
        FLAT(h, "[]", "ZRANGE none 0 1 WITHSCORES");
        h->proto = 2;
        FLAT(h, "2", "ZRANGESTORE to z 1 2");
        FLAT(h, "[b 2 c 3]", "ZRANGE to 0 -1 WITHSCORES");
        FLAT(h, "2", "ZRANGESTORE to z +inf 0 BYSCORE REV LIMIT 1 2");
        FLAT(h, "[c d]", "ZRANGE to 0 -1");
        FLAT(h, "0", "ZRANGESTORE to z 9 9");
        FLAT(h, "0", "EXISTS to");
        FLAT(h, "3", "ZRANGESTORE z z 0 2"); // onto itself
        FLAT(h, "[a b c]", "ZRANGE z 0 -1");
        harness_run(h, "DEL z");
    }
    harness_run(h, "SET s x");
    FLAT(h, "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
         "ZRANGE s 0 1 LIMIT 0 1");
    FLAT(h, "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
         "ZRANGE s - + BYLEX WITHSCORES");
    FLAT(h, FLAT_SYNTAX, "ZRANGE s 0 1 BYLEX BYSCORE");
    FLAT(h, FLAT_SYNTAX, "ZREVRANGE s 0 1 REV");
    FLAT(h, FLAT_SYNTAX, "ZRANGESTORE to s 0 1 WITHSCORES");
    FLAT(h, NO_FLOATS, "ZRANGEBYSCORE s x 1");
    FLAT(h, NO_FLOATS, "ZCOUNT s 1 nan");
    FLAT(h, NO_LEX, "ZRANGEBYLEX s a +");
    FLAT(h, NO_LEX, "ZLEXCOUNT s -a +");
    FLAT(h, "ERR value is not an integer or out of range", "ZRANGE s x 1");
    FLAT(h, FLAT_WRONG_TYPE, "ZRANGE s 0 1");
    FLAT(h, FLAT_WRONG_TYPE, "ZRANGESTORE to s 0 1");
}

static void lex_ranges(void **state) {
    struct harness *h = *state;
    for (int large = 0; large < 2; large++) {
        set_form(h, large);
        harness_run(h, "ZADD z 0 a 0 b 0 c 0 d 0 dd 0 5");
        FLAT(h, "[5 a b c d dd]", "ZRANGEBYLEX z - +");
        FLAT(h, "[b c]", "ZRANGEBYLEX z (a (d");
        FLAT(h, "[a b c d]", "ZRANGE z [a [d BYLEX");
        FLAT(h, "[dd d c]", "ZREVRANGEBYLEX z + (b");
        FLAT(h, "[d c]", "ZRANGE z + - BYLEX REV LIMIT 1 2");
        FLAT(h, "[]", "ZRANGEBYLEX z + -");
        FLAT(h, "[]", "ZRANGEBYLEX z (a (a");
        FLAT(h, "3", "ZLEXCOUNT z [b [d");
        FLAT(h, "6", "ZLEXCOUNT z - +");
        FLAT(h, "2", "ZREMRANGEBYLEX z (b [d");
        FLAT(h, "0", "ZREMRANGEBYLEX z (x +");
        FLAT(h, "4", "ZREMRANGEBYLEX z - +");
        FLAT(h, "0", "EXISTS z");
    }
}

static void removing(void **state) {
    struct harness *h = *state;
    for (int large = 0; large < 2; large++) {
        set_form(h, large);
        harness_run(h, "ZADD z 1 a 2 b 3 c 4 d 5 e 6 f");
        FLAT(h, "2", "ZREMRANGEBYRANK z 1 2");
        FLAT(h, "1", "ZREMRANGEBYRANK z -1 -1");
        FLAT(h, "0", "ZREMRANGEBYRANK z 5 9");
        FLAT(h, "[a d e]", "ZRANGE z 0 -1");
        FLAT(h, "1", "ZREMRANGEBYSCORE z (1 (5");
        FLAT(h, "0", "ZREMRANGEBYSCORE z 2 3");
        FLAT(h, "[a e]", "ZRANGE z 0 -1");
        FLAT(h, "2", "ZREMRANGEBYSCORE z -inf inf");
        FLAT(h, "0", "EXISTS z");
        FLAT(h, "0", "ZREMRANGEBYSCORE z -inf inf");
    }
    FLAT(h, NO_FLOATS, "ZREMRANGEBYSCORE z a b");
    FLAT(h, NO_LEX, "ZREMRANGEBYLEX z a b");
}

static void algebra(void **state) {
    struct harness *h = *state;
    for (int large = 0; large < 2; large++) {
        set_form(h, large);
        harness_run(h, "ZADD x 1 a 2 b 3 c");
        harness_run(h, "ZADD y 10 b 20 c 30 d");
        FLAT(h, "[a b c d]", "ZUNION 2 x y");
        FLAT(h, "[a 1 b 12 c 23 d 30]", "ZUNION 2 x y WITHSCORES");
        FLAT(h, "[b 10 c 20]", "ZINTER 2 x y AGGREGATE MAX WITHSCORES");
        FLAT(h, "[c 1 b 2]", "ZINTER 2 x y WEIGHTS 3 -0.4 WITHSCORES AGGREGATE sum");
        FLAT(h, "[a 1]", "ZDIFF 2 x y WITHSCORES");
        FLAT(h, "[]", "ZDIFF 2 x x");
        FLAT(h, "[a b c]", "ZDIFF 2 x none");
        FLAT(h, "[]", "ZDIFF 2 none x");
        FLAT(h, "2", "ZINTERCARD 2 x y");
        FLAT(h, "1", "ZINTERCARD 2 x y LIMIT 1");
        FLAT(h, "2", "ZINTERCARD 2 x y LIMIT 0");
        FLAT(h, "0", "ZINTERCARD 2 x none");
        FLAT(h, "4", "ZUNIONSTORE to 2 x y AGGREGATE MIN");
        FLAT(h, "[a 1 b 2 c 3 d 30]", "ZRANGE to 0 -1 WITHSCORES");
        FLAT(h, "2", "ZINTERSTORE x 2 x y"); // onto one of the sources
        FLAT(h, "[b 12 c 23]", "ZRANGE x 0 -1 WITHSCORES");
        FLAT(h, "1", "ZDIFFSTORE to 2 y x");
        FLAT(h, "[d 30]", "ZRANGE to 0 -1 WITHSCORES");
        FLAT(h, "0", "ZINTERSTORE to 2 x none");
        FLAT(h, "0", "EXISTS to");
        h->proto = 3;
        FLAT(h, "[[d ~30]]", "ZDIFF 2 y x WITHSCORES");
        h->proto = 2;
        harness_run(h, "DEL x y");
    }
    harness_run(h, "ZADD x inf a -inf b 1 c");
    harness_run(h, "ZADD y -inf a 1 b");
    FLAT(h, "[b -inf a 0]", "ZINTER 2 x y WITHSCORES");
    FLAT(h, "[a -inf b 0 c 0]", "ZUNION 2 x y WEIGHTS 0 1 WITHSCORES AGGREGATE MIN");
}

static void algebra_of_sets(void **state) {
    struct harness *h = *state;
    harness_run(h, "ZADD z 5 a 6 1");
    harness_run(h, "SADD s a b");
    harness_run(h, "SADD n 1 2");
    FLAT(h, "[2 1 b 1 a 6 1 7]", "ZUNION 3 z s n WITHSCORES");
    FLAT(h, "[a 7]", "ZINTER 2 z s WEIGHTS 1 2 WITHSCORES");
    FLAT(h, "[a 5]", "ZDIFF 2 z n WITHSCORES");
    FLAT(h, "[2 1]", "ZDIFF 2 n z WITHSCORES");
    FLAT(h, "1", "ZINTERCARD 2 n z");
}

static void algebra_errors(void **state) {
    struct harness *h = *state;
    harness_run(h, "SET s x");
    harness_run(h, "ZADD z 1 a");
    FLAT(h, "ERR at least 1 input key is needed for 'zunion' command", "ZUNION 0 z");
    FLAT(h, "ERR at least 1 input key is needed for 'zdiffstore' command", "ZDIFFSTORE t 0 z");
    FLAT(h, "ERR value is not an integer or out of range", "ZUNION a z");
    FLAT(h, FLAT_SYNTAX, "ZUNION 2 z");
    FLAT(h, FLAT_WRONG_TYPE, "ZUNION 2 z s");
    FLAT(h, FLAT_WRONG_TYPE, "ZUNION 2 z s rubbish");
    FLAT(h, FLAT_SYNTAX, "ZUNION 1 z rubbish");
    FLAT(h, FLAT_SYNTAX, "ZUNION 1 z WEIGHTS");
    FLAT(h, "ERR weight value is not a float", "ZUNION 1 z WEIGHTS x");
    FLAT(h, FLAT_SYNTAX, "ZUNION 1 z AGGREGATE avg");
    FLAT(h, FLAT_SYNTAX, "ZDIFF 1 z WEIGHTS 1");
    FLAT(h, FLAT_SYNTAX, "ZUNIONSTORE t 1 z WITHSCORES");
    FLAT(h, FLAT_SYNTAX, "ZINTERCARD 1 z WITHSCORES");
    FLAT(h, "ERR LIMIT can't be negative", "ZINTERCARD 1 z LIMIT -1");
    FLAT(h, "ERR LIMIT can't be negative", "ZINTERCARD 1 z LIMIT x");
    FLAT(h, "1", "ZUNIONSTORE s 1 z"); // a destination may hold anything
    assert_string_equal(encoding_of(h, "s"), "listpack");
}

static void popping(void **state) {
    struct harness *h = *state;
    for (int large = 0; large < 2; large++) {
        set_form(h, large);
        harness_run(h, "ZADD z 1 a 2 b 3 c 4 d 5 e 6 f");
        FLAT(h, "[a 1]", "ZPOPMIN z");
        FLAT(h, "[f 6 e 5]", "ZPOPMAX z 2");
        FLAT(h, "[]", "ZPOPMIN z 0");
        FLAT(h, "[]", "ZPOPMIN none");
        h->proto = 3;
        FLAT(h, "[b ~2]", "ZPOPMIN z");
        FLAT(h, "[[c ~3]]", "ZPOPMIN z 1");
        h->proto = 2;
        FLAT(h, "[d 4]", "ZPOPMIN z 9");
        FLAT(h, "0", "EXISTS z");
        harness_run(h, "ZADD z 1 a 2 b 3 c");
        FLAT(h, "[z [[a 1]]]", "ZMPOP 2 none z MIN");
        EXPECT_EFFECT(h, "ZPOPMAX z 2", "ZMPOP 2 none z MAX COUNT 5");
        expect_flat(h, "[z [[c 3] [b 2]]]");
        FLAT(h, "[-]", "ZMPOP 2 none z MAX");
    }
    harness_run(h, "SET s x");
    FLAT(h, FLAT_SYNTAX, "ZPOPMIN z 1 2");
    FLAT(h, "ERR value is out of range, must be positive", "ZPOPMIN z -1");
    FLAT(h, "ERR value is out of range, must be positive", "ZPOPMIN z x");
    FLAT(h, FLAT_WRONG_TYPE, "ZPOPMIN s 0");
    FLAT(h, "ERR numkeys should be greater than 0", "ZMPOP 0 z MIN");
    FLAT(h, "ERR numkeys should be greater than 0", "ZMPOP x z MIN");
    FLAT(h, FLAT_SYNTAX, "ZMPOP 2 z MIN");
    FLAT(h, FLAT_SYNTAX, "ZMPOP 1 z MID");
    FLAT(h, FLAT_SYNTAX, "ZMPOP 1 z MIN COUNT");
    FLAT(h, FLAT_SYNTAX, "ZMPOP 1 z MIN COUNT 1 COUNT 1");
    FLAT(h, "ERR count should be greater than 0", "ZMPOP 1 z MIN COUNT 0");
    FLAT(h, FLAT_WRONG_TYPE, "ZMPOP 2 none s MIN");
}

static void waiting(void **state) {
    struct harness *h = *state;
    h->may_block = true;
    harness_run(h, "ZADD z 1 a 2 b 3 c 4 d");
    EXPECT_EFFECT(h, "ZPOPMIN z", "BZPOPMIN none z 0");
    expect_flat(h, "[z a 1]");
    EXPECT_EFFECT(h, "ZPOPMAX z", "BZPOPMAX none z 0.5");
    expect_flat(h, "[z d 4]");
    EXPECT_EFFECT(h, "ZPOPMIN z 2", "BZMPOP 1 2 none z MIN COUNT 3");
    expect_flat(h, "[z [[b 2] [c 3]]]");
    assert_string_equal(harness_run(h, "BZPOPMIN y z 1.5"), "");
    assert_true(h->block.wanted);
    assert_int_equal(h->block.timeout_ms, 1500);
    assert_int_equal(h->block.type, ENTRY_ZSET);
    assert_int_equal(h->block.first, 1);
    assert_int_equal(h->block.last, 2);
    assert_string_equal(harness_run(h, "BZMPOP 0 3 x y z MAX"), "");
    assert_true(h->block.wanted);
    assert_int_equal(h->block.timeout_ms, 0);
    assert_int_equal(h->block.first, 3);
    assert_int_equal(h->block.last, 5);
    harness_run(h, "SET s x");
    FLAT(h, FLAT_WRONG_TYPE, "BZPOPMIN s 0");
    FLAT(h, "ERR timeout is negative", "BZPOPMIN z -1");
    FLAT(h, "ERR timeout is not a float or out of range", "BZPOPMIN z x");
    FLAT(h, "ERR numkeys should be greater than 0", "BZMPOP x 0 z MIN"); // before the timeout
    h->may_block = false;
    FLAT(h, "[-]", "BZPOPMIN z 0");
    FLAT(h, "[-]", "BZMPOP 0 1 z MIN");
    h->proto = 3;
    FLAT(h, "-", "BZPOPMIN z 0");
    harness_run(h, "ZADD z 1.5 a");
    FLAT(h, "[z a ~1.5]", "BZPOPMIN z 0");
}

static void random_members(void **state) {
    struct harness *h = *state;
    for (int n = 5; n <= 1000; n *= 200) {
        for (int i = 0; i < n; i++) harness_run(h, "ZADD z%d %d m%d", n, i, i);
        for (int count = 1; count < n + 2; count += n / 5 + 1) {
            harness_run(h, "ZRANDMEMBER z%d %d WITHSCORES", n, count);
            struct buf out = {0};
            flatten(&out, h->reply.p);
            *buf_reserve(&out, 1) = '\0';
            bool seen[1000] = {false};
            int met = 0, member, score, used;
            for (const char *p = out.p + 1; sscanf(p, "m%d %d%n", &member, &score, &used) == 2;
                 p += used + 1) {
                assert_int_equal(member, score);
                assert_false(seen[member]);
                seen[member] = true;
                met++;
            }
            assert_int_equal(met, count < n ? count : n);
            buf_free(&out);
        }
    }
    harness_run(h, "ZADD z 1 a");
    FLAT(h, "a", "ZRANDMEMBER z");
    EXPECT(h, "-ERR value is out of range\r\n", "ZRANDMEMBER z -9223372036854775807");
    EXPECT(h, "-ERR value is out of range\r\n", "ZRANDMEMBER z -1000000000 WITHSCORES");
    FLAT(h, "-", "ZRANDMEMBER none");
    FLAT(h, "[]", "ZRANDMEMBER none 5");
    FLAT(h, "[]", "ZRANDMEMBER z 0");
    FLAT(h, "[a]", "ZRANDMEMBER z 5");
    FLAT(h, "[a 1 a 1]", "ZRANDMEMBER z -2 WITHSCORES");
    h->proto = 3;
    FLAT(h, "[[a ~1] [a ~1]]", "ZRANDMEMBER z -2 WITHSCORES");
    h->proto = 2;
    FLAT(h, FLAT_SYNTAX, "ZRANDMEMBER z 1 x");
    FLAT(h, "ERR value is not an integer or out of range", "ZRANDMEMBER z x");
    FLAT(h,
         "ERR value is out of range, value must between -9223372036854775807 and "
         "9223372036854775807",
         "ZRANDMEMBER z -9223372036854775808");
    FLAT(h, "ERR value is out of range", "ZRANDMEMBER z 9223372036854775807 WITHSCORES");
}

static void scanning(void **state) {
    struct harness *h = *state;
    harness_run(h, "ZADD z 0.1 a 2 b 3 ab");
    FLAT(h, "[0 [a 0.1 b 2 ab 3]]", "ZSCAN z 0");
    FLAT(h, "[0 [a 0.1 ab 3]]", "ZSCAN z 0 MATCH a* COUNT 1");
    FLAT(h, "[0 []]", "ZSCAN none 0 RUBBISH");
    FLAT(h, FLAT_SYNTAX, "ZSCAN z 0 RUBBISH");
    FLAT(h, FLAT_SYNTAX, "ZSCAN z 0 COUNT 0");
    FLAT(h, "ERR invalid cursor", "ZSCAN z x");
    set_form(h, true);
    harness_run(h, "ZADD l 0.1 a");
    FLAT(h, "[0 [a 0.10000000000000001]]", "ZSCAN l 0"); // 17 digits here, as in Redis
}

// A stream of changes over small and large sets: the harness replays their effects and compares.
static void random_stream(void **state) {
    struct harness *h = *state;
    static const char *const lines[] = {
        "ZADD k%d %d m%d",
        "ZADD k%d GT %d m%d",
        "ZINCRBY k%d 0.%d m%d",
        "ZREMRANGEBYRANK k%d %d %d",
        "ZREMRANGEBYSCORE k%d %d %d",
        "ZPOPMIN k%d",
        "ZMPOP 1 k%d MAX COUNT %d",
        "ZUNIONSTORE k%d 2 k%d k%d",
        "ZRANGESTORE k%d k%d 0 20",
        "ZDIFFSTORE k%d 2 k%d k%d",
        "BZPOPMAX k%d 0",
        "ZREM k%d m%d m%d",
    };
    static const uint64_t bounds[][3] = {{4, 50, 300}, {4, 50, 300}, {4, 9, 300}, {4, 90, 95},
                                         {4, 50, 52},  {4, 1, 1},    {4, 3, 1},   {4, 4, 4},
                                         {4, 4, 1},    {4, 4, 4},    {4, 1, 1},   {4, 300, 300}};
    struct random random;
    random_init(&random, 99);
    h->settings.limits.zset_max_listpack_entries = 40;
    for (int i = 0; i < 4000; i++) {
        uint64_t which = random_below(&random, 60);
        if (which >= sizeof lines / sizeof lines[0]) which %= 3;
        int args[3];
        for (int j = 0; j < 3; j++) args[j] = (int)random_below(&random, bounds[which][j]);
        if (which == 6) args[1]++;
        harness_run(h, lines[which], args[0], args[1], args[2]);
        assert_true(h->reply.p[0] != '-');
    }
    assert_true(h->effects_count > 2000);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)
    const struct CMUnitTest tests[] = {
        TEST(zadd),           TEST(zadd_errors), TEST(forms),
        TEST(asking),         TEST(ranges),      TEST(lex_ranges),
        TEST(removing),       TEST(algebra),     TEST(algebra_of_sets),
        TEST(algebra_errors), TEST(popping),     TEST(waiting),
        TEST(random_members), TEST(scanning),    TEST(random_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
