// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of the key commands, cmd.c below them and the server commands beside them, over one
// keyspace and over several (keys of one command then live in different ones). One thread; each
// test owns its harness.
#include "tests/unit/commands/harness.h"

#define NO_KEY "-ERR no such key\r\n"

// ---- presence ----------------------------------------------------------------------------------

static void presence(struct harness *h) {
    EXPECT(h, "+OK\r\n", "mset a 1 b 2 c 3");
    EXPECT(h, ":4\r\n", "exists a b c a nope");
    EXPECT(h, ":2\r\n", "touch a b nope");
    EXPECT(h, "+string\r\n", "type a");
    EXPECT(h, "+none\r\n", "type nope");
    EXPECT(h, ":3\r\n", "dbsize");
    EXPECT_MODIFIED(h, 2, "del a nope b");
    EXPECT_MODIFIED(h, 0, "unlink nope");
    EXPECT(h, ":1\r\n", "unlink c c");
    EXPECT(h, ":0\r\n", "dbsize");
}
OVER_SHARDS(presence)

static void lookups_count_hits_and_misses(void **state) {
    (void)state;
    struct harness h;
    harness_init(&h, 1);
    harness_run(&h, "set a 1");
    const struct keyspace_stats *stats = &h.shards[0]->stats;
    uint64_t hits = stats->hits, misses = stats->misses;
    harness_run(&h, "exists a nope");
    harness_run(&h, "ttl a");
    harness_run(&h, "type nope");
    harness_run(&h, "object encoding a");
    harness_run(&h, "get a");
    assert_int_equal(stats->hits - hits, 4);
    assert_int_equal(stats->misses - misses, 2);
    harness_run(&h, "expire a 100");
    harness_run(&h, "del nope");
    assert_int_equal(stats->hits - hits, 4);
    assert_int_equal(stats->misses - misses, 2);
    harness_fini(&h);
}

// ---- expiry ------------------------------------------------------------------------------------

static void expired_keys_are_absent(struct harness *h) {
    EXPECT(h, "+OK\r\n", "set a 1 px 100");
    h->now_ms += 100; // at its very time it is still there
    EXPECT(h, ":0\r\n", "pttl a");
    EXPECT(h, ":1\r\n", "exists a");
    h->now_ms += 1;
    h->view.frozen = true;
    EXPECT_MODIFIED(h, 0, "get a");
    EXPECT(h, "$-1\r\n", "get a");
    EXPECT(h, "*0\r\n", "keys *");
    EXPECT(h, ":1\r\n", "dbsize"); // hidden, not deleted
    h->view.frozen = false;
    EXPECT(h, "*0\r\n", "keys *");
    EXPECT_MODIFIED(h, 1, "get a");
    EXPECT(h, ":0\r\n", "dbsize");
    uint64_t expired = 0;
    for (uint32_t i = 0; i < h->view.nshards; i++) expired += h->shards[i]->stats.expired_keys;
    assert_int_equal(expired, 1);
    EXPECT(h, "+OK\r\n", "set b 1 px 5");
    h->now_ms += 6;
    EXPECT(h, ":0\r\n", "del b"); // it was gone already
    EXPECT(h, "+OK\r\n", "set b 1 px 5");
    h->now_ms += 6;
    EXPECT(h, "$-1\r\n", "randomkey");
    EXPECT(h, ":0\r\n", "dbsize");
}
OVER_SHARDS(expired_keys_are_absent)

static void setting_expiry(struct harness *h) {
    harness_run(h, "set a 1");
    EXPECT(h, ":-1\r\n", "ttl a");
    EXPECT(h, ":-2\r\n", "pttl nope");
    EXPECT(h, ":0\r\n", "expire nope 10");
    EXPECT_MODIFIED(h, 1, "expire a 100");
    EXPECT(h, ":100\r\n", "ttl a");
    EXPECT(h, ":100000\r\n", "pttl a");
    EXPECT(h, ":1700000100\r\n", "expiretime a");
    EXPECT(h, ":1700000100000\r\n", "pexpiretime a");
    h->now_ms += 500;
    EXPECT(h, ":100\r\n", "ttl a"); // 99.5 s, to the nearest
    h->now_ms += 1;
    EXPECT(h, ":99\r\n", "ttl a");
    EXPECT(h, ":1\r\n", "pexpireat a 1700000200499");
    EXPECT(h, ":1700000200\r\n", "expiretime a");
    EXPECT_MODIFIED(h, 1, "persist a");
    EXPECT_MODIFIED(h, 0, "persist a");
    EXPECT(h, ":-1\r\n", "expiretime a");
    EXPECT_MODIFIED(h, 1, "expire a -1");
    EXPECT(h, ":0\r\n", "exists a");
    harness_run(h, "set a 1");
    EXPECT(h, ":1\r\n", "pexpireat a %lld", (long long)h->now_ms); // now is past
    EXPECT(h, ":0\r\n", "dbsize");
}
OVER_SHARDS(setting_expiry)

static void expiry_conditions(struct harness *h) {
    harness_run(h, "set a 1");
    EXPECT(h, ":0\r\n", "expire a 100 xx");
    EXPECT(h, ":0\r\n", "expire a 100 gt"); // no expiry is later than any
    EXPECT(h, ":1\r\n", "expire a 100 lt");
    EXPECT(h, ":0\r\n", "expire a 100 nx");
    EXPECT(h, ":0\r\n", "expire a 100 gt");
    EXPECT(h, ":0\r\n", "expire a 100 lt");
    EXPECT(h, ":1\r\n", "expire a 101 GT xx");
    EXPECT(h, ":1\r\n", "expire a 99 xx LT");
    EXPECT_MODIFIED(h, 0, "expire a 100 nx");
    EXPECT(h, "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n",
           "expire a 1 nx gt");
    EXPECT(h, "-ERR GT and LT options at the same time are not compatible\r\n",
           "expire a 1 xx gt lt");
    EXPECT(h, "-ERR Unsupported option foo\r\n", "expire a 1 foo");
    EXPECT(h, "-ERR value is not an integer or out of range\r\n", "expire a 1.5");
    EXPECT(h, "-ERR invalid expire time in 'expire' command\r\n", "expire a 9223372036854775");
    EXPECT(h, "-ERR invalid expire time in 'expireat' command\r\n", "expireat a -9223372036854776");
    EXPECT(h, "-ERR invalid expire time in 'pexpire' command\r\n", "pexpire a %lld",
           (long long)INT64_MAX);
    EXPECT(h, ":1\r\n", "pexpireat a %lld", (long long)INT64_MAX);
    EXPECT(h, ":9223372036854776\r\n", "expiretime a"); // rounds without overflow
}
OVER_SHARDS(expiry_conditions)

// ---- moving ------------------------------------------------------------------------------------

static void renaming(struct harness *h) {
    EXPECT(h, NO_KEY, "rename nope b");
    EXPECT(h, NO_KEY, "renamenx nope nope");
    harness_run(h, "set a one px 5000");
    harness_run(h, "set other two");
    EXPECT_MODIFIED(h, 0, "rename a a");
    EXPECT(h, ":0\r\n", "renamenx a a");
    EXPECT_MODIFIED(h, 0, "renamenx a other");
    EXPECT(h, "+OK\r\n", "rename a other");
    EXPECT(h, "$3\r\none\r\n", "get other");
    EXPECT(h, ":5000\r\n", "pttl other");
    EXPECT(h, ":1\r\n", "dbsize");
    EXPECT_MODIFIED(h, 2, "renamenx other b"); // both names
    // Whichever keyspaces the names fall into, and whatever the value's size.
    for (int i = 0; i < 60; i++) {
        harness_run(h, "setrange n%d %d x", i, i % 3 == 0 ? 4000 : i % 3 == 1 ? 70000 : 3);
        EXPECT(h, "+OK\r\n", "rename n%d n%d", i, i + 1);
    }
    EXPECT(h, ":2\r\n", "dbsize");
}
OVER_SHARDS(renaming)

static void renaming_over_an_expired_key(struct harness *h) {
    // The lookup of the new name deletes it, which must not confuse the place of the old one.
    for (int i = 0; i < 40; i++) {
        for (int k = 0; k < 8; k++) harness_run(h, "set k%d:%d %d px 1", i, k, k);
        harness_run(h, "set from%d v", i);
        h->now_ms += 2;
        EXPECT(h, ":1\r\n", "renamenx from%d k%d:3", i, i);
        harness_run(h, "set from%d v", i);
        EXPECT(h, ":1\r\n", "copy from%d k%d:4", i, i);
    }
    EXPECT(h, "$1\r\nv\r\n", "get k7:3");
    EXPECT(h, "$1\r\nv\r\n", "get k7:4");
}
OVER_SHARDS(renaming_over_an_expired_key)

static void copying(struct harness *h) {
    harness_run(h, "set a one px 5000");
    EXPECT_MODIFIED(h, 1, "copy a b");
    EXPECT(h, "$3\r\none\r\n", "get b");
    EXPECT(h, ":5000\r\n", "pttl b");
    EXPECT(h, ":0\r\n", "copy a b");
    EXPECT(h, ":0\r\n", "copy nope b replace");
    harness_run(h, "append a -more");
    EXPECT(h, "$3\r\none\r\n", "get b");
    EXPECT(h, ":1\r\n", "copy a b replace");
    EXPECT(h, "$8\r\none-more\r\n", "get b");
    EXPECT(h, ":1\r\n", "copy a a db 3");
    EXPECT(h, ":0\r\n", "copy a a DB 3");
    EXPECT(h, "-ERR source and destination objects are the same\r\n", "copy a a");
    EXPECT(h, "-ERR source and destination objects are the same\r\n", "copy a a replace db 0");
    EXPECT(h, "-ERR DB index is out of range\r\n", "copy a b db 16");
    EXPECT(h, SYNTAX, "copy a b db");
    h->db = 3;
    EXPECT(h, "$8\r\none-more\r\n", "get a");
}
OVER_SHARDS(copying)

static void moving(struct harness *h) {
    harness_run(h, "set a one px 5000");
    EXPECT(h, "-ERR source and destination objects are the same\r\n", "move a 0");
    EXPECT(h, "-ERR DB index is out of range\r\n", "move a -1");
    EXPECT(h, "-ERR value is not an integer or out of range\r\n", "move a b");
    EXPECT(h, "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n",
           "move a 99999999999");
    EXPECT(h, ":0\r\n", "move nope 1");
    EXPECT_MODIFIED(h, 2, "move a 1"); // in both databases
    EXPECT(h, ":0\r\n", "exists a");
    harness_run(h, "set a two");
    EXPECT(h, ":0\r\n", "move a 1");
    h->db = 1;
    EXPECT(h, "$3\r\none\r\n", "get a");
    EXPECT(h, ":5000\r\n", "pttl a");
}
OVER_SHARDS(moving)

// ---- databases ---------------------------------------------------------------------------------

static void databases(struct harness *h) {
    harness_run(h, "mset a 1 b 2 c 3 d 4");
    h->db = 1;
    harness_run(h, "set e 5");
    EXPECT(h, "+OK\r\n", "swapdb 0 1");
    EXPECT(h, ":4\r\n", "dbsize");
    EXPECT(h, "$1\r\n1\r\n", "get a");
    EXPECT(h, "-ERR invalid first DB index\r\n", "swapdb x y");
    EXPECT(h, "-ERR invalid second DB index\r\n", "swapdb 0 99999999999");
    EXPECT(h, "-ERR DB index is out of range\r\n", "swapdb 0 16");
    EXPECT(h, "+OK\r\n", "swapdb 1 1");
    EXPECT(h, SYNTAX, "flushdb now");
    EXPECT(h, "+OK\r\n", "flushdb ASYNC");
    EXPECT(h, ":0\r\n", "dbsize");
    h->db = 0;
    EXPECT(h, ":1\r\n", "dbsize");
    EXPECT(h, "+OK\r\n", "flushall sync");
    EXPECT(h, ":0\r\n", "dbsize");
}
OVER_SHARDS(databases)

// ---- finding -----------------------------------------------------------------------------------

#define MANY 3000

/** Marks the keys "key:<n>" of a SCAN or KEYS reply; returns how many keys it held. */
static int mark(const char *reply, uint8_t seen[MANY]) {
    int n = 0;
    for (const char *p = reply; (p = strstr(p, "key:")) != NULL; p++, n++) {
        long i = strtol(p + 4, NULL, 10);
        assert_in_range(i, 0, MANY - 1);
        if (seen[i] < 255) seen[i]++;
    }
    return n;
}

static uint64_t cursor_of(const char *reply) {
    const char *line = strstr(strchr(reply, '$'), "\r\n");
    return strtoull(line + 2, NULL, 10);
}

static void scanning(struct harness *h) {
    uint8_t seen[MANY] = {0};
    h->walk = false;
    for (int i = 0; i < MANY; i++) harness_run(h, "set key:%d v%s", i, i % 3 ? "" : " px 1000000");
    uint64_t cursor = 0;
    int calls = 0;
    do {
        const char *reply = harness_run(h, "scan %llu count 50", (unsigned long long)cursor);
        assert_in_range(mark(reply, seen), 0, 150);
        cursor = cursor_of(reply);
        assert_true(cursor < UINT64_C(1) << 53);
        assert_true(command_cursor_shard(SLICE_LITERAL("0"), h->view.nshards) == 0);
        assert_in_range(++calls, 1, MANY);
        // Others come and go meanwhile, also those that the table grows and shrinks by.
        for (int k = 0; k < 40; k++) harness_run(h, "set other:%d:%d v", calls, k);
        if (calls > 30)
            for (int k = 0; k < 40; k++) harness_run(h, "del other:%d:%d", calls - 30, k);
    } while (cursor != 0);
    for (int i = 0; i < MANY; i++) assert_true(seen[i] > 0);
    memset(seen, 0, sizeof seen);
    assert_int_equal(mark(harness_run(h, "keys key:*"), seen), MANY);
    for (int i = 0; i < MANY; i++) assert_int_equal(seen[i], 1);
}
OVER_SHARDS(scanning)

static void scanning_deletes_what_has_expired(struct harness *h) {
    EXPECT(h, "+OK\r\n", "set a 1 px 10");
    EXPECT(h, "+OK\r\n", "set b 1 px 10");
    EXPECT(h, "+OK\r\n", "set c 1");
    h->now_ms += 20;
    EXPECT(h, "*1\r\n$1\r\nc\r\n", "keys *");
    EXPECT(h, ":3\r\n", "dbsize");
    h->view.frozen = true;
    EXPECT(h, "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nc\r\n", "scan 0 count 100");
    EXPECT(h, ":3\r\n", "dbsize");
    h->view.frozen = false;
    EXPECT(h, "*2\r\n$1\r\n0\r\n*0\r\n", "scan 0 count 100 type list match a");
    EXPECT(h, ":2\r\n", "dbsize");
    EXPECT(h, "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nc\r\n", "scan 0 count 100");
    EXPECT(h, ":1\r\n", "dbsize");
}

static void test_scanning_deletes_what_has_expired(void **state) {
    (void)state;
    struct harness h;
    harness_init(&h, 1);
    scanning_deletes_what_has_expired(&h);
    harness_fini(&h);
}

static void scan_options(struct harness *h) {
    static const char empty[] = "*2\r\n$1\r\n0\r\n*0\r\n";
    EXPECT(h, "-ERR invalid cursor\r\n", "scan abc");
    EXPECT(h, "-ERR invalid cursor\r\n", "scan ' 0'");
    EXPECT(h, "-ERR invalid cursor\r\n", "scan 18446744073709551616");
    EXPECT(h, empty, "scan 18446744073709551615"); // nobody's cursor: the end
    EXPECT(h, empty, "scan -1");
    EXPECT(h, SYNTAX, "scan 0 count 0");
    EXPECT(h, SYNTAX, "scan 0 match");
    EXPECT(h, SYNTAX, "scan 0 foo bar");
    EXPECT(h, "-ERR value is not an integer or out of range\r\n", "scan 0 count ten");
    harness_run(h, "set key:1 v");
    if (h->view.nshards > 1) return;
    EXPECT(h, "*2\r\n$1\r\n0\r\n*1\r\n$5\r\nkey:1\r\n", "scan 0 COUNT %lld", (long long)INT64_MAX);
    EXPECT(h, "*2\r\n$1\r\n0\r\n*1\r\n$5\r\nkey:1\r\n", "scan 0 match key* type STRING");
    EXPECT(h, "*2\r\n$1\r\n0\r\n*1\r\n$5\r\nkey:1\r\n", "scan 0 match *");
    EXPECT(h, empty, "scan 0 match x*");
    EXPECT(h, empty, "scan 0 type list");
    EXPECT(h, empty, "scan 0 type bogus");
}
OVER_SHARDS(scan_options)

static void cursors_name_their_shard(void **state) {
    (void)state;
    assert_int_equal(command_cursor_shard(slice_text("0"), 8), 0);
    assert_int_equal(command_cursor_shard(slice_text("1099511627775"), 8), 0); // 2^40 - 1
    assert_int_equal(command_cursor_shard(slice_text("1099511627776"), 8), 1);
    assert_int_equal(command_cursor_shard(slice_text("7696581394433"), 8), 7);
    assert_int_equal(command_cursor_shard(slice_text("8796093022208"), 8),
                     0); // there is no shard 8
    assert_int_equal(command_cursor_shard(slice_text("junk"), 8), 0);
}

static void random_keys(struct harness *h) {
    EXPECT(h, "$-1\r\n", "randomkey");
    uint8_t seen[MANY] = {0};
    for (int i = 0; i < 20; i++) harness_run(h, "set key:%d v", i);
    for (int i = 0; i < 1000; i++) {
        h->view.frozen = i % 2;
        h->now_ms++;
        mark(harness_run(h, "randomkey"), seen);
    }
    for (int i = 0; i < 20; i++) assert_true(seen[i] > 0);
}
OVER_SHARDS(random_keys)

// ---- OBJECT, MEMORY ----------------------------------------------------------------------------

static void objects(struct harness *h) {
    harness_run(h, "mset int 12 text hello");
    harness_run(h, "set raw %045d", 7);
    EXPECT(h, "$3\r\nint\r\n", "object encoding int");
    EXPECT(h, "$6\r\nembstr\r\n", "object encoding text");
    EXPECT(h, "$3\r\nraw\r\n", "object encoding raw");
    EXPECT(h, "$-1\r\n", "object encoding nope");
    EXPECT(h, ":2147483647\r\n", "object refcount int");
    EXPECT(h, ":1\r\n", "object refcount text");
    h->now_ms += 7000;
    EXPECT(h, ":7\r\n", "object idletime text");
    harness_run(h, "exists text");
    EXPECT(h, ":7\r\n", "object idletime text");
    h->flags = CMD_CTX_NO_TOUCH;
    harness_run(h, "get text");
    EXPECT(h, ":7\r\n", "object idletime text");
    harness_run(h, "touch text"); // even then
    EXPECT(h, ":0\r\n", "object idletime text");
    h->flags = 0;
    harness_run(h, "get int");
    EXPECT(h, ":0\r\n", "object idletime int");
    assert_int_equal(strncmp(harness_run(h, "object freq int"), "-ERR An LFU maxmemory", 21), 0);
    harness_run(h, "memory usage int samples 0");
    assert_in_range(strtol(h->reply.p + 1, NULL, 10), 16, 128);
    EXPECT(h, "$-1\r\n", "memory usage nope");
    EXPECT(h, SYNTAX, "memory usage int samples");
    EXPECT(h, SYNTAX, "memory usage int samples -1");
    EXPECT(h, "-ERR value is not an integer or out of range\r\n", "memory usage int samples x");
}
OVER_SHARDS(objects)

static void use_counters(void **state) {
    (void)state;
    struct harness h;
    harness_init(&h, 1);
    h.settings.lfu = true;
    h.settings.lfu_log_factor = 0; // every use counts
    harness_run(&h, "set a 1");
    EXPECT(&h, ":5\r\n", "object freq a");
    for (int i = 0; i < 20; i++) harness_run(&h, "get a");
    EXPECT(&h, ":25\r\n", "object freq a");
    h.now_ms += 3 * 60000;
    EXPECT(&h, ":22\r\n", "object freq a"); // one less a minute
    for (int i = 0; i < 300; i++) harness_run(&h, "get a");
    EXPECT(&h, ":255\r\n", "object freq a");
    h.now_ms += 300 * 60000;
    EXPECT(&h, ":0\r\n", "object freq a");
    h.settings.lfu_decay_time = 0;
    EXPECT(&h, ":255\r\n", "object freq a");
    assert_int_equal(strncmp(harness_run(&h, "object idletime a"), "-ERR An LFU maxmem", 18), 0);
    harness_fini(&h);
}

// ---- commands without keys ---------------------------------------------------------------------

static void server_commands(void **state) {
    (void)state;
    struct harness h;
    harness_init(&h, 1);
    EXPECT(&h, "+PONG\r\n", "ping");
    EXPECT(&h, "$2\r\nhi\r\n", "ping hi");
    EXPECT(&h, "-ERR wrong number of arguments for 'ping' command\r\n", "ping a b");
    EXPECT(&h, "$2\r\nhi\r\n", "echo hi");
    h.now_ms += 123;
    EXPECT(&h, "*2\r\n$10\r\n1700000000\r\n$6\r\n123123\r\n", "time");
    assert_non_null(strstr(harness_run(&h, "lolwut"), "Redis ver. 7.2"));
    EXPECT(&h, "-ERR value is not an integer or out of range\r\n", "lolwut version x");
    h.proto = 3;
    for (int i = 0; i < 200; i++, h.now_ms += 17)
        assert_int_equal(harness_run(&h, "lolwut version 5 1 2")[0], '=');
    harness_fini(&h);
}

static void introspection(void **state) {
    (void)state;
    struct harness h;
    harness_init(&h, 1);
    char count[32];
    uint32_t n;
    command_rows(&n);
    snprintf(count, sizeof count, ":%u\r\n", n);
    EXPECT(&h, count, "command count");
    EXPECT(&h, "*1\r\n$-1\r\n", "command info nope");
    EXPECT(&h, "*0\r\n", "command docs nope");
    EXPECT(&h, "*1\r\n$8\r\ngetrange\r\n", "command list filterby pattern GETR*");
    EXPECT(&h, "*0\r\n", "command list filterby module x");
    EXPECT(&h, SYNTAX, "command list filterby");
    EXPECT(&h, "*2\r\n$1\r\na\r\n$1\r\nc\r\n", "command getkeys mset a b c d");
    EXPECT(&h, "*1\r\n*2\r\n$1\r\na\r\n*2\r\n+OW\r\n+update\r\n",
           "command getkeysandflags set a b");
    EXPECT(&h, "-ERR Invalid command specified\r\n", "command getkeys nope");
    EXPECT(&h, "-ERR The command has no key arguments\r\n", "command getkeys ping");
    EXPECT(&h, "-ERR Invalid number of arguments specified for command\r\n", "command getkeys get");
    h.proto = 3;
    EXPECT(&h,
           "*1\r\n*10\r\n$6\r\nstrlen\r\n:2\r\n~2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n"
           "~3\r\n+@read\r\n+@string\r\n+@fast\r\n~0\r\n~1\r\n%3\r\n$5\r\nflags\r\n~1\r\n+RO\r\n"
           "$12\r\nbegin_search\r\n%2\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n"
           "%1\r\n$5\r\nindex\r\n:1\r\n$9\r\nfind_keys\r\n%2\r\n$4\r\ntype\r\n$5\r\nrange\r\n"
           "$4\r\nspec\r\n%3\r\n$7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n"
           "~0\r\n",
           "command info strlen");
    EXPECT(&h,
           "%1\r\n$4\r\nquit\r\n%7\r\n$7\r\nsummary\r\n$22\r\nCloses the connection.\r\n"
           "$5\r\nsince\r\n$5\r\n1.0.0\r\n$5\r\ngroup\r\n$10\r\nconnection\r\n"
           "$10\r\ncomplexity\r\n$4\r\nO(1)\r\n$9\r\ndoc_flags\r\n~1\r\n+deprecated\r\n"
           "$16\r\ndeprecated_since\r\n$5\r\n7.2.0\r\n"
           "$11\r\nreplaced_by\r\n$27\r\njust closing the connection\r\n",
           "command docs QUIT");
    harness_fini(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_presence),
        cmocka_unit_test(lookups_count_hits_and_misses),
        cmocka_unit_test(test_expired_keys_are_absent),
        cmocka_unit_test(test_setting_expiry),
        cmocka_unit_test(test_expiry_conditions),
        cmocka_unit_test(test_renaming),
        cmocka_unit_test(test_renaming_over_an_expired_key),
        cmocka_unit_test(test_copying),
        cmocka_unit_test(test_moving),
        cmocka_unit_test(test_databases),
        cmocka_unit_test(test_scanning),
        cmocka_unit_test(test_scanning_deletes_what_has_expired),
        cmocka_unit_test(test_scan_options),
        cmocka_unit_test(cursors_name_their_shard),
        cmocka_unit_test(test_random_keys),
        cmocka_unit_test(test_objects),
        cmocka_unit_test(use_counters),
        cmocka_unit_test(server_commands),
        cmocka_unit_test(introspection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
