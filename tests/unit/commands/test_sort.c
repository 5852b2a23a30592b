// SPDX-License-Identifier: BSD-3-Clause
//
// SORT and SORT_RO through the command table, against the replies of Redis 7.2.6: every option over
// lists, sets and sorted sets in both of their forms, what counts as a number, ties, patterns that
// lead to strings, hashes and nowhere, and destinations with their effects. One process, one
// thread.
#include "tests/unit/commands/harness.h"

#define NO_NUMBER "-ERR One or more scores can't be converted into double\r\n"

/** Runs a line; the reply's elements, nulls as "(nil)", must be these words. */
#define EXPECT_LIST(h, words, ...)                     \
    do {                                               \
        harness_run((h), __VA_ARGS__);                 \
        expect_list((h), (words), __FILE__, __LINE__); \
    } while (0)

static void expect_list(struct harness *h, const char *words, const char *file, int line) {
    char got[4096] = "";
    size_t n = 0;
    if (h->reply.p[0] != '*') {
        print_error("%s:%d: %s", file, line, h->reply.p);
        fail();
    }
    const char *p = strstr(h->reply.p, "\r\n") + 2;
    for (long left = strtol(h->reply.p + 1, NULL, 10); left > 0; left--) {
        assert_int_equal(*p, '$');
        char *end;
        long bytes = strtol(p + 1, &end, 10);
        const char *text = bytes < 0 ? "(nil)" : end + 2;
        int length = bytes < 0 ? 5 : (int)bytes;
        n += (size_t)snprintf(got + n, sizeof got - n, "%s%.*s", n > 0 ? " " : "", length, text);
        p = end + 2 + (bytes < 0 ? 0 : bytes + 2);
    }
    if (strcmp(got, words) == 0) return;
    print_error("%s:%d: got '%s', not '%s'\n", file, line, got, words);
    fail();
}

static void test_numbers(void **state) {
    struct harness *h = *state;
    harness_run(h, "RPUSH l 10 9.5 -3 1e2 0x10 7");
    EXPECT_LIST(h, "-3 7 9.5 10 0x10 1e2", "SORT l");
    EXPECT_LIST(h, "1e2 0x10 10 9.5 7 -3", "SORT l DESC");
    EXPECT_LIST(h, "-3 7 9.5 10 0x10 1e2", "sort_ro l desc asc");
    EXPECT_LIST(h, "-3 0x10 10 1e2 7 9.5", "SORT l ALPHA");
    EXPECT_LIST(h, "9.5 -3", "SORT l LIMIT 1 2 BY nosort");
    // Equal numbers come in the order of their texts.
    harness_run(h, "RPUSH equal 5 5.0 05 +5 ' 5' 0x5 5");
    EXPECT(h,
           "*7\r\n$2\r\n "
           "5\r\n$2\r\n+5\r\n$2\r\n05\r\n$3\r\n0x5\r\n$1\r\n5\r\n$1\r\n5\r\n$3\r\n5.0\r\n",
           "SORT equal");
    harness_run(h, "RPUSH extremes inf -inf 9007199254740993 9007199254740992 ''");
    EXPECT(h,
           "*5\r\n$4\r\n-inf\r\n$0\r\n\r\n$16\r\n9007199254740992\r\n$16\r\n9007199254740993\r\n"
           "$3\r\ninf\r\n",
           "SORT extremes");
    static const char *const others[] = {"a", "'5 '", "nan", "1e400", "5x", "--5", "1e-400"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        harness_run(h, "DEL bad");
        harness_run(h, "RPUSH bad 1 %s 2", others[i]);
        EXPECT(h, NO_NUMBER, "SORT bad");
        EXPECT(h, NO_NUMBER, "SORT bad LIMIT 0 0");
        EXPECT(h, NO_NUMBER, "SORT bad STORE d");
    }
    EXPECT(h, ":0\r\n", "EXISTS d");
}

static void test_limits(void **state) {
    struct harness *h = *state;
    harness_run(h, "RPUSH l 5 3 1 4 2");
    static const struct {
        const char *limit, *sorted, *as_it_is, *backwards;
    } cases[] = {{"0 2", "1 2", "5 3", "2 4"},
                 {"3 10", "4 5", "4 2", "3 5"},
                 {"1 0", "", "", ""},
                 {"4 1", "5", "2", "5"},
                 {"5 1", "", "", ""},
                 {"100 100", "", "", ""},
                 {"-3 2", "1 2", "5 3", "2 4"},
                 {"2 -1", "3 4 5", "1 4 2", "1 3 5"},
                 {"0 -7", "1 2 3 4 5", "5 3 1 4 2", "2 4 1 3 5"}};
    harness_run(h, "ZADD z 0 5 1 3 2 1 3 4 4 2");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        EXPECT_LIST(h, cases[i].sorted, "SORT l LIMIT %s", cases[i].limit);
        EXPECT_LIST(h, cases[i].sorted, "SORT l BY *_none LIMIT %s", cases[i].limit);
        EXPECT_LIST(h, cases[i].as_it_is, "SORT l BY x LIMIT %s", cases[i].limit);
        EXPECT_LIST(h, cases[i].backwards, "SORT l BY x LIMIT %s DESC", cases[i].limit);
        EXPECT_LIST(h, cases[i].as_it_is, "SORT z BY x LIMIT %s", cases[i].limit);
        EXPECT_LIST(h, cases[i].backwards, "SORT z BY x LIMIT %s DESC", cases[i].limit);
    }
    EXPECT_LIST(h, "", "SORT none LIMIT 0 10");
    EXPECT(h, "-ERR value is not an integer or out of range\r\n", "SORT l LIMIT x 1");
    EXPECT(h, "-ERR value is not an integer or out of range\r\n", "SORT l LIMIT 1 1.5");
}

static void test_patterns(void **state) {
    struct harness *h = *state;
    harness_run(h, "RPUSH l 1 2 3");
    harness_run(h, "MSET w_1 30 w_2 20 w_3 10 name_1_x one name_2_x two");
    harness_run(h, "HSET h_1 f 3 g z");
    harness_run(h, "HSET h_2 f 1 g x");
    harness_run(h, "HSET h_3 g y");
    EXPECT_LIST(h, "3 2 1", "SORT l BY w_*");
    EXPECT_LIST(h, "one two (nil)", "SORT l GET name_*_x");
    EXPECT_LIST(h, "3 (nil) 2 two 1 one", "SORT l BY w_* GET # GET name_*_x");
    EXPECT_LIST(h, "3 2 1", "SORT l BY h_*->f");
    EXPECT_LIST(h, "2 3 1", "SORT l BY h_*->g ALPHA");
    EXPECT_LIST(h, "z x y", "SORT l GET h_*->g");
    EXPECT_LIST(h, "(nil) (nil) (nil)", "SORT l GET h_*");
    EXPECT_LIST(h, "(nil) (nil) (nil)", "SORT l GET w_*->f");
    EXPECT_LIST(h, "(nil) (nil) (nil)", "SORT l GET w_1");
    EXPECT_LIST(h, "(nil) (nil) (nil)", "SORT l GET ''");
    EXPECT_LIST(h, "1 2 3", "SORT l GET #");
    harness_run(h, "SET w_1-> arrow");
    EXPECT_LIST(h, "arrow (nil) (nil)", "SORT l GET w_*->");
    harness_run(h, "SET 1 itself");
    EXPECT_LIST(h, "itself (nil) (nil)", "SORT l GET *");
    harness_run(h, "SET w_1* star");
    EXPECT_LIST(h, "star (nil) (nil)", "SORT l GET w_**");
    // Without a key the weight is 0, or comes first as a text.
    EXPECT_LIST(h, "1 2 3", "SORT l BY none_*");
    EXPECT_LIST(h, "3 1 2", "SORT l BY name_*_x ALPHA");
    EXPECT_LIST(h, "2 1 3", "SORT l BY name_*_x ALPHA DESC");
    EXPECT(h, NO_NUMBER, "SORT l BY name_*_x");
    // Keys that have expired are not there; nor are fields.
    harness_run(h, "PEXPIRE w_3 10");
    harness_run(h, "HPEXPIRE h_2 10 FIELDS 1 f");
    h->now_ms += 11;
    EXPECT_LIST(h, "3 2 1", "SORT l BY w_*");
    EXPECT_LIST(h, "30 20 (nil)", "SORT l GET w_*");
    EXPECT_LIST(h, "3 (nil) (nil)", "SORT l GET h_*->f");
    // Many GETs.
    EXPECT_LIST(h, "1 1 1 1 1 1 1 1 1 30",
                "SORT l LIMIT 0 1 GET # GET # GET # GET # GET # GET # GET # GET # GET # GET w_*");
}

static void test_sets_and_sorted_sets(void **state) {
    struct harness *h = *state;
    for (int large = 0; large < 2; large++) {
        if (large) {
            h->settings.limits.set_max_intset_entries = 0;
            h->settings.limits.set_max_listpack_entries = 0;
            h->settings.limits.zset_max_listpack_entries = 0;
        }
        harness_run(h, "DEL s z");
        harness_run(h, "SADD s 3 1 2 10");
        harness_run(h, "ZADD z 1 3 2 1 3 2 0 10");
        EXPECT_LIST(h, "1 2 3 10", "SORT s");
        EXPECT_LIST(h, "1 10 2 3", "SORT s ALPHA");
        EXPECT_LIST(h, "1 2 3 10", "SORT z");
        EXPECT_LIST(h, "10 3 1 2", "SORT z BY nosort");
        EXPECT_LIST(h, "2 1 3 10", "SORT z BY nosort DESC");
        EXPECT(h, ":4\r\n", "SORT s BY nosort STORE d"); // by text then
        EXPECT_LIST(h, "1 10 2 3", "LRANGE d 0 -1");
        EXPECT(h, ":2\r\n", "SORT s BY nosort STORE d LIMIT 1 2 DESC");
        EXPECT_LIST(h, "2 10", "LRANGE d 0 -1");
        EXPECT(h, ":4\r\n", "SORT z BY nosort STORE d");
        EXPECT_LIST(h, "10 3 1 2", "LRANGE d 0 -1");
        EXPECT(h, large ? "$8\r\nskiplist\r\n" : "$8\r\nlistpack\r\n", "OBJECT ENCODING z");
    }
}

/** Items of compressed nodes are good for a moment only. */
static void test_compressed_lists(void **state) {
    struct harness *h = *state;
    h->settings.limits.list_compress_depth = 1;
    h->settings.limits.list_max_listpack_size = 10;
    h->walk = false;
    for (int i = 0; i < 200; i++)
        harness_run(h, "RPUSH l item-that-can-be-compressed-%03d", i * 77 % 200);
    h->walk = true;
    EXPECT(h, ":200\r\n", "SORT l ALPHA STORE d");
    for (int i = 0; i < 200; i += 13) {
        char expected[64];
        snprintf(expected, sizeof expected, "$31\r\nitem-that-can-be-compressed-%03d\r\n", i);
        EXPECT(h, expected, "LINDEX d %d", i);
    }
    EXPECT_LIST(h, "item-that-can-be-compressed-199 item-that-can-be-compressed-198",
                "SORT l ALPHA DESC LIMIT 0 2");
}

static void test_storing(void **state) {
    struct harness *h = *state;
    harness_run(h, "RPUSH l 3 1 2");
    uint64_t dirty = h->shards[0]->stats.dirty;
    EXPECT_MODIFIED(h, 1, "SORT l STORE d");
    assert_int_equal(h->shards[0]->stats.dirty - dirty, 3);
    assert_string_equal(h->latest_effect.p, "RPUSH d 1 2 3");
    EXPECT_LIST(h, "1 2 3", "LRANGE d 0 -1");
    EXPECT(h, "$8\r\nlistpack\r\n", "OBJECT ENCODING d");
    harness_run(h, "EXPIRE d 100");
    uint64_t effects = h->effects_count;
    EXPECT(h, ":3\r\n", "SORT l DESC STORE d");
    assert_int_equal(h->effects_count - effects, 2);
    EXPECT(h, ":-1\r\n", "TTL d");
    harness_run(h, "SET v_1 x");
    EXPECT(h, ":6\r\n", "SORT l GET # GET v_* STORE d");
    EXPECT(h, "*6\r\n$1\r\n1\r\n$1\r\nx\r\n$1\r\n2\r\n$0\r\n\r\n$1\r\n3\r\n$0\r\n\r\n",
           "LRANGE d 0 -1");
    EXPECT(h, ":3\r\n", "SORT l STORE l");
    EXPECT_LIST(h, "1 2 3", "LRANGE l 0 -1");
    EXPECT(h, ":0\r\n", "SORT none STORE d");
    EXPECT(h, ":0\r\n", "EXISTS d");
    EXPECT_MODIFIED(h, 0, "SORT none STORE d");
    harness_run(h, "SET d text");
    EXPECT(h, ":0\r\n", "SORT l LIMIT 0 0 STORE d");
    EXPECT(h, ":0\r\n", "EXISTS d");
    EXPECT(h, ":3\r\n", "SORT l STORE x STORE d");
    EXPECT(h, ":0\r\n", "EXISTS x");
    // Long results: more than one listpack, more than one effect.
    h->settings.limits.list_max_listpack_size = 16;
    h->walk = false;
    for (int i = 0; i < 1000; i++) harness_run(h, "RPUSH long %d", i * 7 % 1000);
    h->walk = true;
    effects = h->effects_count;
    EXPECT(h, ":1000\r\n", "SORT long STORE long");
    assert_int_equal(h->effects_count - effects, 5);
    EXPECT(h, "$9\r\nquicklist\r\n", "OBJECT ENCODING long");
    EXPECT_LIST(h, "0 1 2", "LRANGE long 0 2");
}

static void test_errors(void **state) {
    struct harness *h = *state;
    EXPECT(h, OK, "SET str x");
    harness_run(h, "HSET hash f v");
    harness_run(h, "RPUSH l 1");
    EXPECT(h, WRONG_TYPE, "SORT str");
    EXPECT(h, WRONG_TYPE, "SORT hash ALPHA");
    EXPECT(h, SYNTAX, "SORT str foo");
    EXPECT(h, SYNTAX, "SORT l BY");
    EXPECT(h, SYNTAX, "SORT l GET");
    EXPECT(h, SYNTAX, "SORT l LIMIT 1");
    EXPECT(h, SYNTAX, "SORT l STORE");
    EXPECT(h, SYNTAX, "SORT_RO l STORE d");
    EXPECT(h, NONE, "SORT none");
    EXPECT(h, NONE, "SORT_RO none BY w_* GET w_*");
    h->flags = CMD_CTX_NODE;
    EXPECT(h, "-ERR BY option of SORT denied in Cluster mode.\r\n", "SORT l BY w_*");
    EXPECT(h, "-ERR GET option of SORT denied in Cluster mode.\r\n", "SORT l GET #");
    EXPECT_LIST(h, "1", "SORT l BY nosort");
}

static void test_keys_on_several_shards(void **state) {
    struct harness *h = *state;
    for (int i = 0; i < 20; i++) {
        harness_run(h, "RPUSH l %d", i);
        harness_run(h, "SET w_%d %d", i, i * 7 % 20);
        harness_run(h, "HSET h_%d f v%d", i * 7 % 20, i);
    }
    EXPECT_LIST(h, "0 3 6 9 12", "SORT l BY w_* LIMIT 0 5");
    EXPECT_LIST(h, "v0 v9 v18 v7", "SORT l BY w_* GET h_*->f LIMIT 0 4");
    EXPECT(h, ":40\r\n", "SORT l BY w_* GET # GET w_* STORE d");
    EXPECT_LIST(h, "0 0 3 1 6 2", "LRANGE d 0 5");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_numbers, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_limits, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_patterns, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_sets_and_sorted_sets, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_compressed_lists, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_storing, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_errors, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_keys_on_several_shards, harness_setup_shards,
                                        harness_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
