// SPDX-License-Identifier: BSD-3-Clause
//
// Commands over sets, function by function: replies in both protocols, errors and their order,
// encodings, what is popped and chosen at random, and set algebra against a model in every mix of
// encodings. The harness replays every effect into a second keyspace. Fixed seeds.
#include "tests/unit/commands/harness.h"

#include "engine/base/random.h"
#include "engine/types/t_set.h"

static void test_adding_removing_asking(void **state) {
    struct harness *h = *state;
    EXPECT(h, ":2\r\n", "SADD s 1 2 1");
    EXPECT(h, "$6\r\nintset\r\n", "OBJECT ENCODING s");
    EXPECT(h, ":1\r\n", "SADD s 2 a");
    EXPECT(h, "$8\r\nlistpack\r\n", "OBJECT ENCODING s");
    EXPECT(h, ":3\r\n", "SCARD s");
    EXPECT(h, ":0\r\n", "SCARD none");
    EXPECT(h, ":1\r\n", "SISMEMBER s 1");
    EXPECT(h, ":0\r\n", "SISMEMBER s 01");
    EXPECT(h, ":0\r\n", "SISMEMBER none 1");
    EXPECT(h, "*4\r\n:1\r\n:0\r\n:1\r\n:1\r\n", "SMISMEMBER s a b 1 a");
    EXPECT(h, "*2\r\n:0\r\n:0\r\n", "SMISMEMBER none a b");
    EXPECT(h, "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\na\r\n", "SMEMBERS s");
    EXPECT(h, "*0\r\n", "SMEMBERS none");
    h->proto = 3;
    EXPECT(h, "~3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\na\r\n", "SMEMBERS s");
    EXPECT(h, "~0\r\n", "SMEMBERS none");
    EXPECT(h, ":1\r\n", "SISMEMBER s 1");
    h->proto = 2;
    EXPECT(h, ":0\r\n", "SREM none a");
    EXPECT(h, ":0\r\n", "SREM s b c");
    EXPECT(h, ":2\r\n", "SREM s 1 1 a");
    EXPECT(h, ":1\r\n", "SREM s 2 x y");
    EXPECT(h, ":0\r\n", "EXISTS s");
    EXPECT(h, "+OK\r\n", "SET str x");
    EXPECT(h, WRONG_TYPE, "SADD str a");
    EXPECT(h, WRONG_TYPE, "SREM str a");
    EXPECT(h, WRONG_TYPE, "SISMEMBER str a");
    EXPECT(h, WRONG_TYPE, "SMISMEMBER str a");
    EXPECT(h, WRONG_TYPE, "SCARD str");
    EXPECT(h, WRONG_TYPE, "SMEMBERS str");
    EXPECT(h, WRONG_TYPE, "SPOP str");
    EXPECT(h, WRONG_TYPE, "SPOP str 1");
    EXPECT(h, WRONG_TYPE, "SRANDMEMBER str");
    EXPECT(h, WRONG_TYPE, "SRANDMEMBER str 0");
    EXPECT(h, WRONG_TYPE, "SSCAN str 0");
}

static void test_changes_are_told_of(void **state) {
    struct harness *h = *state;
    EXPECT_MODIFIED(h, 1, "SADD s a b");
    EXPECT_MODIFIED(h, 0, "SADD s a b");
    EXPECT_MODIFIED(h, 1, "SREM s a c");
    EXPECT_MODIFIED(h, 0, "SREM s a c");
    EXPECT_MODIFIED(h, 2, "SMOVE s t b");
    EXPECT_MODIFIED(h, 0, "SMOVE s t b");
    EXPECT_MODIFIED(h, 0, "SINTERSTORE d none t");
    EXPECT_MODIFIED(h, 1, "SUNIONSTORE d none t");
    EXPECT_MODIFIED(h, 1, "SDIFFSTORE d none t");
}

static void test_smove(void **state) {
    struct harness *h = *state;
    EXPECT(h, "+OK\r\n", "SET str x");
    EXPECT(h, ":0\r\n", "SMOVE none str a");
    EXPECT(h, ":3\r\n", "SADD s a b 1");
    EXPECT(h, WRONG_TYPE, "SMOVE str s a");
    EXPECT(h, WRONG_TYPE, "SMOVE s str none");
    EXPECT(h, ":0\r\n", "SMOVE s t none");
    EXPECT(h, ":0\r\n", "EXISTS t");
    EXPECT(h, ":1\r\n", "SMOVE s s a");
    EXPECT(h, ":0\r\n", "SMOVE s s none");
    EXPECT(h, ":1\r\n", "SMOVE s t 1");
    EXPECT(h, "$6\r\nintset\r\n", "OBJECT ENCODING t");
    EXPECT(h, ":1\r\n", "SMOVE s t a");
    EXPECT(h, ":1\r\n", "SADD t b");
    EXPECT(h, ":1\r\n", "SMOVE s t b");
    EXPECT(h, ":0\r\n", "EXISTS s");
    EXPECT(h, "*3\r\n$1\r\n1\r\n$1\r\na\r\n$1\r\nb\r\n", "SMEMBERS t");
    // A destination that has expired is absent, and removing it must not disturb the source.
    EXPECT(h, ":1\r\n", "PEXPIRE t 10");
    EXPECT(h, ":2\r\n", "SADD s x y");
    h->now_ms += 20;
    EXPECT(h, ":1\r\n", "SMOVE s t x");
    EXPECT(h, "*1\r\n$1\r\nx\r\n", "SMEMBERS t");
    EXPECT(h, ":-1\r\n", "PTTL t");
}

static void test_spop(void **state) {
    struct harness *h = *state;
    EXPECT(h, "$-1\r\n", "SPOP none");
    EXPECT(h, "*0\r\n", "SPOP none 3");
    EXPECT(h, "-ERR value is out of range, must be positive\r\n", "SPOP none -1");
    EXPECT(h, "-ERR value is out of range, must be positive\r\n", "SPOP none x");
    EXPECT(h, SYNTAX, "SPOP none 1 2");
    EXPECT(h, ":1\r\n", "SADD s a");
    EXPECT(h, "*0\r\n", "SPOP s 0");
    EXPECT(h, "$1\r\na\r\n", "SPOP s");
    assert_string_equal(h->latest_effect.p, "SREM s a");
    EXPECT(h, ":0\r\n", "EXISTS s");
    EXPECT(h, ":2\r\n", "SADD s 7 8");
    EXPECT(h, "*2\r\n$1\r\n7\r\n$1\r\n8\r\n", "SPOP s 5");
    assert_string_equal(h->latest_effect.p, "DEL s");
    EXPECT(h, ":0\r\n", "EXISTS s");
    h->proto = 3;
    EXPECT(h, "_\r\n", "SPOP none");
    EXPECT(h, "~0\r\n", "SPOP none 3");
    EXPECT(h, ":1\r\n", "SADD s 7");
    EXPECT(h, "~1\r\n$1\r\n7\r\n", "SPOP s 1");
}

/** Fills a set with members prefix0, prefix1, ...; one by one if it should outgrow encodings. */
static void fill(struct harness *h, const char *key, const char *prefix, int from, int to) {
    for (int i = from; i < to; i++) harness_run(h, "SADD %s %s%d", key, prefix, i);
}

/** Counts the bulk strings of a reply; their numbers are in range, and none comes twice. */
static int distinct(const char *reply, const char *prefix, int range) {
    bool *seen = calloc((size_t)range, sizeof(*seen));
    int count = 0;
    for (const char *p = strchr(reply, '$'); p != NULL; p = strchr(p + 1, '$')) {
        const char *text = strchr(p, '\n') + 1;
        assert_int_equal(strncmp(text, prefix, strlen(prefix)), 0);
        long number = strtol(text + strlen(prefix), NULL, 10);
        assert_in_range(number, 0, range - 1);
        assert_false(seen[number]);
        seen[number] = true;
        count++;
    }
    free(seen);
    return count;
}

static void test_spop_of_many(void **state) {
    struct harness *h = *state;
    const struct {
        const char *prefix;
        int size;
        const char *encoding;
    } cases[] = {{"", 100, "intset"},
                 {"m", 100, "listpack"},
                 {"m", 2000, "hashtable"},
                 {"", 2000, "hashtable"}};
    const int percents[] = {1, 30, 79, 90, 99};
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 5; k++) {
            int size = cases[i].size, count = size * percents[k] / 100;
            h->walk = false;
            fill(h, "s", cases[i].prefix, 0, size);
            char expected[32];
            (void)snprintf(expected, sizeof(expected), "$%zu\r\n%s\r\n", strlen(cases[i].encoding),
                           cases[i].encoding);
            EXPECT(h, expected, "OBJECT ENCODING s");
            h->walk = true;
            const char *reply = harness_run(h, "SPOP s %d", count);
            assert_int_equal(distinct(reply, cases[i].prefix, size), count);
            (void)snprintf(expected, sizeof(expected), ":%d\r\n", size - count);
            EXPECT(h, expected, "SCARD s");
            reply = harness_run(h, "SMEMBERS s");
            assert_int_equal(distinct(reply, cases[i].prefix, size), size - count);
            EXPECT(h, ":1\r\n", "DEL s");
        }
    }
    // What is left of a table when nearly all is popped is small again, as in Redis.
    h->walk = false;
    fill(h, "s", "m", 0, 1000);
    harness_run(h, "SPOP s 950");
    EXPECT(h, "$8\r\nlistpack\r\n", "OBJECT ENCODING s");
    EXPECT(h, ":50\r\n", "SCARD s");
}

static void test_srandmember(void **state) {
    struct harness *h = *state;
    EXPECT(h, "$-1\r\n", "SRANDMEMBER none");
    EXPECT(h, "*0\r\n", "SRANDMEMBER none 3");
    EXPECT(h, "*0\r\n", "SRANDMEMBER none -3");
    EXPECT(h, NOT_INTEGER, "SRANDMEMBER none x");
    EXPECT(h, SYNTAX, "SRANDMEMBER none 1 2");
    EXPECT(h,
           "-ERR value is out of range, value must between -9223372036854775807 and "
           "9223372036854775807\r\n",
           "SRANDMEMBER none -9223372036854775808");
    EXPECT(h, ":1\r\n", "SADD s a");
    EXPECT(h, "$1\r\na\r\n", "SRANDMEMBER s");
    EXPECT(h, "*1\r\n$1\r\na\r\n", "SRANDMEMBER s 5");
    EXPECT(h, "*2\r\n$1\r\na\r\n$1\r\na\r\n", "SRANDMEMBER s -2");
    EXPECT(h, "-ERR value is out of range\r\n", "SRANDMEMBER s -9223372036854775807");
    h->settings.proto_max_bulk_len = 100;
    EXPECT(h, "-ERR value is out of range\r\n", "SRANDMEMBER s -16"); // longer than 100 bytes
    EXPECT(h, "-ERR value is out of range\r\n", "SRANDMEMBER s -100");
    assert_int_equal(harness_run(h, "SRANDMEMBER s -10")[1], '1');
    h->settings.proto_max_bulk_len = 1 << 20;
    h->proto = 3;
    EXPECT(h, "*0\r\n", "SRANDMEMBER s 0");
    EXPECT(h, "_\r\n", "SRANDMEMBER none");
    EXPECT(h, "*1\r\n$1\r\na\r\n", "SRANDMEMBER s 5");
    h->proto = 2;
    h->walk = false;
    fill(h, "small", "m", 0, 100);
    fill(h, "ints", "", 0, 100);
    fill(h, "large", "m", 0, 1000);
    for (int frozen = 0; frozen < 2; frozen++) {
        h->view.frozen = frozen == 1;
        for (int count = 2; count <= 1000; count += 83) {
            int some = count < 100 ? count : 100;
            assert_int_equal(distinct(harness_run(h, "SRANDMEMBER small %d", count), "m", 100),
                             some);
            assert_int_equal(distinct(harness_run(h, "SRANDMEMBER ints %d", count), "", 100), some);
            assert_int_equal(distinct(harness_run(h, "SRANDMEMBER large %d", count), "m", 1000),
                             count);
            char expected[16];
            (void)snprintf(expected, sizeof(expected), "*%d\r\n", count);
            const char *reply = harness_run(h, "SRANDMEMBER large -%d", count);
            assert_int_equal(strncmp(reply, expected, strlen(expected)), 0);
        }
    }
    h->view.frozen = false;
}

static void test_each_member_is_chosen_about_as_often(void **state) {
    struct harness *h = *state;
    h->walk = false;
    for (int kind = 0; kind < 3; kind++) {
        int size = kind == 2 ? 200 : 20, chosen[200] = {0};
        const char *prefix = kind == 0 ? "" : "m";
        fill(h, "s", prefix, 0, size);
        for (int i = 0; i < 2000; i++) {
            const char *reply = harness_run(h, "SRANDMEMBER s %d", size / 4);
            for (const char *p = strchr(reply, '$'); p != NULL; p = strchr(p + 1, '$'))
                chosen[strtol(strchr(p, '\n') + 1 + strlen(prefix), NULL, 10)]++;
        }
        for (int i = 0; i < size; i++) assert_in_range(chosen[i], 380, 620); // 500 expected
        harness_run(h, "DEL s");
    }
}

static void test_sscan(void **state) {
    struct harness *h = *state;
    EXPECT(h, "*2\r\n$1\r\n0\r\n*0\r\n", "SSCAN none 0");
    EXPECT(h, "*2\r\n$1\r\n0\r\n*0\r\n", "SSCAN none 0 NONSENSE"); // options are not looked at
    EXPECT(h, "-ERR invalid cursor\r\n", "SSCAN none x");
    EXPECT(h, ":3\r\n", "SADD s 1 22 333");
    EXPECT(h, "*2\r\n$1\r\n0\r\n*3\r\n$1\r\n1\r\n$2\r\n22\r\n$3\r\n333\r\n", "SSCAN s 0 COUNT 1");
    EXPECT(h, "*2\r\n$1\r\n0\r\n*1\r\n$2\r\n22\r\n", "SSCAN s 5 MATCH 2* COUNT 7");
    EXPECT(h, SYNTAX, "SSCAN s 0 COUNT 0");
    EXPECT(h, NOT_INTEGER, "SSCAN s 0 COUNT x");
    EXPECT(h, SYNTAX, "SSCAN s 0 MATCH");
    EXPECT(h, SYNTAX, "SSCAN s 0 NOVALUES");
    EXPECT(h, SYNTAX, "SSCAN s 0 TYPE string");
    h->walk = false;
    fill(h, "t", "m", 0, 1000);
    struct buf all = {0};
    unsigned long long cursor = 0;
    int calls = 0;
    do {
        const char *reply = harness_run(h, "SSCAN t %llu COUNT 20", cursor);
        cursor = strtoull(strchr(strchr(reply, '$'), '\n') + 1, NULL, 10);
        buf_append_text(&all, strchr(reply + 1, '*'));
        calls++;
    } while (cursor != 0);
    buf_append_char(&all, '\0');
    assert_int_equal(distinct(all.p, "m", 1000), 1000);
    assert_in_range(calls, 30, 60);
    buf_free(&all);
    EXPECT(h, "*2\r\n$1\r\n0\r\n*1\r\n$4\r\nm999\r\n", "SSCAN t 0 COUNT 100000 MATCH *999");
}

static void test_algebra(void **state) {
    struct harness *h = *state;
    EXPECT(h, ":3\r\n", "SADD a 1 2 3");
    EXPECT(h, ":3\r\n", "SADD b 2 3 x");
    EXPECT(h, "+OK\r\n", "SET str x");
    EXPECT(h, "*2\r\n$1\r\n2\r\n$1\r\n3\r\n", "SINTER a b");
    EXPECT(h, "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n", "SINTER a a a");
    EXPECT(h, "*0\r\n", "SINTER a none b");
    EXPECT(h, WRONG_TYPE, "SINTER none str");
    EXPECT(h, WRONG_TYPE, "SUNION none str");
    EXPECT(h, WRONG_TYPE, "SDIFF none str");
    EXPECT(h, WRONG_TYPE, "SINTERSTORE d none str");
    EXPECT(h, "*1\r\n$1\r\n1\r\n", "SDIFF a b");
    EXPECT(h, "*1\r\n$1\r\nx\r\n", "SDIFF b a none");
    EXPECT(h, "*0\r\n", "SDIFF a b a");
    EXPECT(h, "*0\r\n", "SDIFF none a");
    EXPECT(h, "*4\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\nx\r\n", "SUNION a none b a");
    EXPECT(h, "*0\r\n", "SUNION none none");
    h->proto = 3;
    EXPECT(h, "~2\r\n$1\r\n2\r\n$1\r\n3\r\n", "SINTER a b");
    EXPECT(h, "~0\r\n", "SINTER a none");
    EXPECT(h, "~1\r\n$1\r\n1\r\n", "SDIFF a b");
    EXPECT(h, "~0\r\n", "SUNION none");
    h->proto = 2;
    EXPECT(h, ":2\r\n", "SINTERCARD 2 a b");
    EXPECT(h, ":1\r\n", "SINTERCARD 2 a b LIMIT 1");
    EXPECT(h, ":2\r\n", "SINTERCARD 2 a b LIMIT 0");
    EXPECT(h, ":2\r\n", "SINTERCARD 2 a b limit 1 LIMIT 9");
    EXPECT(h, ":0\r\n", "SINTERCARD 2 a none");
    EXPECT(h, "-ERR numkeys should be greater than 0\r\n", "SINTERCARD 0 a");
    EXPECT(h, "-ERR numkeys should be greater than 0\r\n", "SINTERCARD x a");
    EXPECT(h, "-ERR Number of keys can't be greater than number of args\r\n", "SINTERCARD 3 a b");
    EXPECT(h, "-ERR LIMIT can't be negative\r\n", "SINTERCARD 1 a LIMIT -1");
    EXPECT(h, "-ERR LIMIT can't be negative\r\n", "SINTERCARD 1 a LIMIT x");
    EXPECT(h, SYNTAX, "SINTERCARD 1 a LIMIT");
    EXPECT(h, SYNTAX, "SINTERCARD 1 a b");
    EXPECT(h, WRONG_TYPE, "SINTERCARD 2 none str");
}

static void test_store_forms(void **state) {
    struct harness *h = *state;
    EXPECT(h, ":3\r\n", "SADD a 1 2 3");
    EXPECT(h, ":3\r\n", "SADD b 2 3 x");
    EXPECT(h, ":1\r\n", "SADD c x");
    EXPECT(h, "+OK\r\n", "SET d str EX 100");
    EXPECT(h, ":2\r\n", "SINTERSTORE d b a");
    EXPECT(h, ":-1\r\n", "TTL d");
    EXPECT(h, "$6\r\nintset\r\n", "OBJECT ENCODING d");
    EXPECT(h, ":4\r\n", "SUNIONSTORE d a b");
    EXPECT(h, "$8\r\nlistpack\r\n", "OBJECT ENCODING d");
    EXPECT(h, ":2\r\n", "SDIFFSTORE d b c");
    EXPECT(h, "$6\r\nintset\r\n", "OBJECT ENCODING d"); // it was never anything else
    EXPECT(h, ":0\r\n", "SINTERSTORE d a none");
    EXPECT(h, ":0\r\n", "EXISTS d");
    EXPECT(h, ":3\r\n", "SUNIONSTORE a a none");
    EXPECT(h, ":2\r\n", "SINTERSTORE a a b");
    EXPECT(h, ":1\r\n", "SDIFFSTORE b b a");
    EXPECT(h, "*1\r\n$1\r\nx\r\n", "SMEMBERS b");
    EXPECT(h, ":0\r\n", "SDIFFSTORE b b b");
    EXPECT(h, ":0\r\n", "EXISTS b");
    // A listpack of integers, as the intersection of what was one, becomes an intset.
    EXPECT(h, ":4\r\n", "SADD m 1 2 x y");
    EXPECT(h, ":3\r\n", "SADD n 1 2 z");
    EXPECT(h, ":2\r\n", "SINTERSTORE d m n");
    EXPECT(h, "$6\r\nintset\r\n", "OBJECT ENCODING d");
}

// ---- algebra against a model -------------------------------------------------------------------

#define SETS    5
#define NUMBERS 1500

struct model {
    bool in[SETS][NUMBERS];
    bool text[SETS]; // it holds something that is no number, too
};

/** Makes set i: of so many of the first `range` numbers, and perhaps a text that only it has. */
static void make(struct harness *h, struct model *m, int i, int count, int range, bool text,
                 struct random *random) {
    harness_run(h, "DEL s%d", i);
    memset(m->in[i], 0, sizeof(m->in[i]));
    m->text[i] = text;
    if (text) harness_run(h, "SADD s%d only%d", i, i);
    for (; count > 0; count--) {
        int number = (int)random_below(random, (uint64_t)range);
        m->in[i][number] = true;
        harness_run(h, "SADD s%d %d", i, number);
    }
}

static int members(const char *reply, bool in[NUMBERS]) {
    int texts = 0;
    memset(in, 0, NUMBERS);
    for (const char *p = strchr(reply, '$'); p != NULL; p = strchr(p + 1, '$')) {
        const char *word = strchr(p, '\n') + 1;
        texts += *word == 'o';
        if (*word == 'o') continue;
        long number = strtol(word, NULL, 10);
        assert_in_range(number, 0, NUMBERS - 1);
        assert_false(in[number]);
        in[number] = true;
    }
    return texts;
}

static void check(struct harness *h, const struct model *m, const int *which, int count) {
    char keys[64] = "";
    bool inter[NUMBERS], all[NUMBERS], diff[NUMBERS], got[NUMBERS];
    int card = 0;
    for (int i = 0; i < NUMBERS; i++) {
        inter[i] = diff[i] = m->in[which[0]][i];
        all[i] = false;
        for (int k = 0; k < count; k++) {
            inter[i] &= m->in[which[k]][i];
            all[i] |= m->in[which[k]][i];
            diff[i] &= k == 0 || !m->in[which[k]][i];
        }
        card += inter[i];
    }
    for (int k = 0; k < count; k++)
        (void)snprintf(keys + strlen(keys), sizeof(keys) - strlen(keys), " s%d", which[k]);
    members(harness_run(h, "SINTER%s", keys), got);
    assert_memory_equal(got, inter, sizeof(got));
    members(harness_run(h, "SUNION%s", keys), got);
    assert_memory_equal(got, all, sizeof(got));
    members(harness_run(h, "SDIFF%s", keys), got);
    assert_memory_equal(got, diff, sizeof(got));
    const char *reply = harness_run(h, "SINTERCARD %d%s LIMIT %d", count, keys, card / 2 + 1);
    int expected = card < card / 2 + 1 ? card : card / 2 + 1;
    if (count > 1 && which[0] != which[1]) assert_int_equal(strtol(reply + 1, NULL, 10), expected);
    h->walk = true; // the results of these are replayed
    harness_run(h, "SINTERSTORE d%s", keys);
    members(harness_run(h, "SMEMBERS d"), got);
    assert_memory_equal(got, inter, sizeof(got));
    harness_run(h, "SUNIONSTORE d%s", keys);
    members(harness_run(h, "SMEMBERS d"), got);
    assert_memory_equal(got, all, sizeof(got));
    harness_run(h, "SDIFFSTORE d%s", keys);
    members(harness_run(h, "SMEMBERS d"), got);
    assert_memory_equal(got, diff, sizeof(got));
    h->walk = false;
}

static void test_algebra_against_a_model(void **state) {
    struct harness *h = *state;
    static struct model m;
    struct random random;
    random_init(&random, 1);
    const int counts[] = {0, 1, 40, 100, 400, 900}, ranges[] = {60, 300, NUMBERS};
    h->walk = false;
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < SETS; i++)
            make(h, &m, i, counts[random_below(&random, 6)], ranges[random_below(&random, 3)],
                 random_below(&random, 2) == 0, &random);
        int which[SETS], count = 1 + (int)random_below(&random, SETS);
        for (int k = 0; k < count; k++) which[k] = (int)random_below(&random, SETS);
        check(h, &m, which, count);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_adding_removing_asking, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(test_changes_are_told_of, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_smove, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_spop, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_spop_of_many, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_srandmember, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_each_member_is_chosen_about_as_often, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(test_sscan, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_algebra, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_store_forms, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_algebra_against_a_model, harness_setup,
                                        harness_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
