// SPDX-License-Identifier: BSD-3-Clause
//
// Stream commands: ids and their limits, what trims leave, ranges, groups and what is pending, the
// shapes of both protocols, what is replayed, and how reads wait. Then random commands over a few
// streams: the harness compares with a keyspace made of the effects after each. One thread.
#include "tests/unit/commands/harness.h"

#include "engine/base/random.h"

#define BAD_ID "-ERR Invalid stream ID specified as stream command argument\r\n"
#define SMALLER \
    "-ERR The ID specified in XADD is equal or smaller than the target stream top item\r\n"

#define CLAIMS_LATE_MS 5000 // of replicas, not early: XCLAIM takes no TIME that is to come

#define EFFECT(h, text) assert_string_equal((h)->latest_effect.p, (text))

// ---- XADD --------------------------------------------------------------------------------------

static void ids(struct harness *h) {
    EXPECT(h, "$15\r\n1700000000000-0\r\n", "xadd s * f v");
    EFFECT(h, "XADD s 1700000000000-0 f v");
    EXPECT(h, "$15\r\n1700000000000-1\r\n", "xadd s * f v");
    h->now_ms -= 500; // the clock goes back, ids do not
    EXPECT(h, "$15\r\n1700000000000-2\r\n", "xadd s * f v");
    h->now_ms += 501;
    EXPECT(h, "$15\r\n1700000000001-0\r\n", "xadd s * f v");
    EXPECT(h, SMALLER, "xadd s 1700000000001-0 f v");
    EXPECT(h, SMALLER, "xadd s 1700000000000-* f v");
    EXPECT(h, "$15\r\n1700000000001-1\r\n", "xadd s 1700000000001-* f v");
    EFFECT(h, "XADD s 1700000000001-1 f v");
    EXPECT(h, "$15\r\n1800000000000-0\r\n", "xadd s 1800000000000-* f v");
    EXPECT(h, "$15\r\n1800000000001-0\r\n", "xadd s 1800000000001 f v");
    EXPECT(h, "$34\r\n1800000000001-18446744073709551615\r\n",
           "xadd s 1800000000001-18446744073709551615 f v");
    EXPECT(h, SMALLER, "xadd s 1800000000001-* f v");
    EXPECT(h, "$15\r\n1800000000002-0\r\n", "xadd s * f v");
    EXPECT(h, "$41\r\n18446744073709551615-18446744073709551615\r\n",
           "xadd s 18446744073709551615-18446744073709551615 f v");
    EXPECT(h, "-ERR The stream has exhausted the last possible ID, unable to add more items\r\n",
           "xadd s * f v");
    EXPECT(h, ":10\r\n", "xlen s");
    EXPECT(h, "$3\r\n0-1\r\n", "xadd t 0-* f v");
    EXPECT(h, "$3\r\n7-0\r\n", "xadd t 007-00 f v"); // as strtoull() takes it
}
OVER_SHARDS(ids)

static void what_xadd_refuses(struct harness *h) {
    EXPECT(h, "-ERR wrong number of arguments for 'xadd' command\r\n", "xadd s * f v g");
    EXPECT(h, "-ERR wrong number of arguments for 'xadd' command\r\n", "xadd s maxlen 3 * f");
    EXPECT(h, "-ERR The ID specified in XADD must be greater than 0-0\r\n", "xadd s 0-0 f v");
    static const char *const bad[] = {
        "-",  "+",    "$",         "1-",   "-1",   "1-1-1", "a", "1-a",
        "1*", "(1-1", "\"1 1-1\"", "\"\"", "1--1", "*-1",   ">", "18446744073709551616-1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        EXPECT(h, BAD_ID, "xadd s %s f v", bad[i]);
    EXPECT(h, BAD_ID, "xadd s minid f v g");
    EXPECT(h, "-ERR value is not an integer or out of range\r\n", "xadd s maxlen x * f v");
    EXPECT(h, "-ERR The MAXLEN argument must be >= 0.\r\n", "xadd s maxlen -1 * f v");
    EXPECT(h, BAD_ID, "xadd s minid + * f v");
    EXPECT(h, "-ERR syntax error, MAXLEN and MINID options at the same time are not compatible\r\n",
           "xadd s maxlen 1 minid 1 * f v");
    EXPECT(h, "-ERR syntax error, LIMIT cannot be used without specifying a trimming strategy\r\n",
           "xadd s limit 5 * f v");
    EXPECT(h, "-ERR syntax error, LIMIT cannot be used without the special ~ option\r\n",
           "xadd s limit 0 * f v");
    EXPECT(h, "-ERR syntax error, LIMIT cannot be used without the special ~ option\r\n",
           "xadd s maxlen = 5 limit 5 * f v");
    EXPECT(h, "-ERR The LIMIT argument must be >= 0.\r\n", "xadd s maxlen ~ 5 limit -1 * f v");
    EXPECT(h, "$-1\r\n", "xadd s nomkstream * f v");
    EXPECT(h, ":0\r\n", "exists s");
    EXPECT(h, "+OK\r\n", "set x 1");
    EXPECT(h, WRONG_TYPE, "xadd x * f v");
    EXPECT(h, WRONG_TYPE, "xadd x nomkstream * f v");
    EXPECT_MODIFIED(h, 1, "xadd s 1-1 f v");
    EXPECT_MODIFIED(h, 0, "xadd s 1-1 f v");
}
OVER_SHARDS(what_xadd_refuses)

static void trims(struct harness *h) {
    h->settings.limits.stream_node_max_entries = 10;
    for (int i = 1; i <= 100; i++) harness_run(h, "xadd s %d-1 f v", i);
    EXPECT(h, "$5\r\n101-0\r\n", "xadd s maxlen ~ 55 101-* f v");
    EFFECT(h, "XADD s MAXLEN = 61 101-0 f v");
    EXPECT(h, ":61\r\n", "xlen s");
    EXPECT(h, "$5\r\n102-0\r\n", "xadd s maxlen ~ 0 limit 20 102 f v");
    EFFECT(h, "XADD s MAXLEN = 42 102-0 f v");
    EXPECT(h, ":0\r\n", "xtrim s maxlen ~ 35 limit 5");
    EXPECT(h, ":2\r\n", "xtrim s maxlen 40");
    EXPECT(h, ":8\r\n", "xtrim s minid ~ 79 limit 15"); // of ten two were gone
    EFFECT(h, "XTRIM s MINID = 71-1");
    EXPECT(h, ":8\r\n", "xtrim s minid = 79");
    EXPECT(h, ":1\r\n", "xdel s 102-0");
    EXPECT(h, "$5\r\n103-0\r\n", "xadd s minid ~ 103 103 f v");
    EXPECT(h, ":2\r\n", "xtrim s maxlen 0");
    EXPECT(h, ":0\r\n", "xlen s");
    EXPECT(h, ":1\r\n", "exists s"); // a stream may be empty
    EXPECT(h, SMALLER, "xadd s 103-0 f v");
    EXPECT(h, SYNTAX, "xtrim s 5 5");
    EXPECT(h, SYNTAX, "xtrim s maxlen 5 nomkstream");
    EXPECT(h, "-ERR syntax error, XTRIM must be called with a trimming strategy\r\n",
           "xtrim s limit 0");
    EXPECT(h, ":0\r\n", "xtrim nope maxlen 5");
    EXPECT_MODIFIED(h, 0, "xtrim s maxlen 5");
}
OVER_SHARDS(trims)

static void deleting_and_setid(struct harness *h) {
    for (int i = 1; i <= 5; i++) harness_run(h, "xadd s %d-1 f v", i);
    EXPECT(h, ":0\r\n", "xdel nope bad");
    EXPECT(h, BAD_ID, "xdel s 1-1 bad");
    EXPECT(h, ":2\r\n", "xdel s 1-1 9-9 4-1 1-1");
    EXPECT(h, ":3\r\n", "xlen s");
    EXPECT(h, "-ERR The ID specified in XSETID is smaller than the target stream top item\r\n",
           "xsetid s 4-9");
    EXPECT(h, "-ERR The ID specified in XSETID is smaller than current max_deleted_entry_id\r\n",
           "xsetid s 3-9");
    EXPECT(h,
           "-ERR The entries_added specified in XSETID is smaller than the target stream "
           "length\r\n",
           "xsetid s 7-7 entriesadded 2");
    EXPECT(h,
           "-ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id\r\n",
           "xsetid s 7-7 maxdeletedid 8-0");
    EXPECT(h, "-ERR entries_added must be positive\r\n", "xsetid s 7-7 entriesadded -1");
    EXPECT(h, "-ERR no such key\r\n", "xsetid nope 7-7");
    EXPECT(h, SYNTAX, "xsetid s 7-7 entriesadded");
    EXPECT_MODIFIED(h, 0, "xsetid s 7-7 entriesadded 50 maxdeletedid 6-6");
    EXPECT(h, SMALLER, "xadd s 7-7 f v");
}
OVER_SHARDS(deleting_and_setid)

// ---- ranges ------------------------------------------------------------------------------------

#define ENTRY(id) "*2\r\n$3\r\n" id "\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n"

static void ranges(struct harness *h) {
    EXPECT(h, "*0\r\n", "xrange s - + count 0");
    for (int i = 1; i <= 3; i++) harness_run(h, "xadd s %d-1 f v", i);
    harness_run(h, "xadd s 3-2 12 -7 longer text");
    EXPECT(h,
           "*4\r\n" ENTRY("1-1") ENTRY("2-1")
               ENTRY("3-1") "*2\r\n$3\r\n3-2\r\n*4\r\n$2\r\n12\r\n$2\r\n-7\r\n$6\r\nlonger\r\n$"
                            "4\r\ntext\r\n",
           "xrange s - +");
    EXPECT(h, "*2\r\n" ENTRY("3-1") ENTRY("2-1"), "xrevrange s (3-2 (1-1");
    EXPECT(h, "*1\r\n" ENTRY("1-1"), "xrange s 1 1"); // 1-0 to 1-max
    EXPECT(h, "*1\r\n" ENTRY("2-1"), "xrange s (1-1 3 COUNT 1");
    EXPECT(h, "*1\r\n" ENTRY("3-1"), "xrevrange s 3-1 - count 9 count 1");
    EXPECT(h, "*0\r\n", "xrange s 3 2");
    EXPECT(h, "*-1\r\n", "xrange s - + count 0");
    EXPECT(h, "*-1\r\n", "xrange s - + count -5");
    EXPECT(h, SYNTAX, "xrange s - + count");
    EXPECT(h, SYNTAX, "xrange s - + limit 5");
    EXPECT(h, BAD_ID, "xrange s (- +");
    EXPECT(h, BAD_ID, "xrange s - (");
    EXPECT(h, "-ERR invalid start ID for the interval\r\n",
           "xrange s (18446744073709551615-18446744073709551615 +");
    EXPECT(h, "-ERR invalid end ID for the interval\r\n", "xrange s - (0-0");
    harness_run(h, "xdel s 2-1");
    EXPECT(h, "*2\r\n" ENTRY("1-1") ENTRY("3-1"), "xrange s - 3-1");
    harness_run(h, "set x 1");
    EXPECT(h, WRONG_TYPE, "xrange x - +");
    EXPECT(h, WRONG_TYPE, "xlen x");
    h->proto = 3;
    EXPECT(h, "_\r\n", "xrange s - + count 0");
    h->proto = 2;
}
OVER_SHARDS(ranges)

static void reading(struct harness *h) {
    h->replica_late_ms = CLAIMS_LATE_MS;
    harness_run(h, "xadd a 1-1 f v");
    harness_run(h, "xadd a 2-1 f v");
    harness_run(h, "xadd b 1-1 f v");
    EXPECT(h, "*2\r\n*2\r\n$1\r\na\r\n*1\r\n" ENTRY("2-1") "*2\r\n$1\r\nb\r\n*1\r\n" ENTRY("1-1"),
           "xread count 5 streams a nope b 1-1 0 0");
    EXPECT(h, "*-1\r\n", "xread streams a b $ $");
    EXPECT(h, "*1\r\n*2\r\n$1\r\na\r\n*1\r\n" ENTRY("2-1"), "xread count 3 streams nope a + +");
    EXPECT(h, "*1\r\n*2\r\n$1\r\na\r\n*1\r\n" ENTRY("1-1"), "xread count 1 streams a 0");
    harness_run(h, "xdel a 2-1");
    EXPECT(h, "*1\r\n*2\r\n$1\r\na\r\n*1\r\n" ENTRY("1-1"), "xread streams a +");
    EXPECT(h, "*-1\r\n", "xread streams a 1-1");
    h->proto = 3;
    EXPECT(h, "%1\r\n$1\r\na\r\n*1\r\n" ENTRY("1-1"), "xread streams a 0");
    EXPECT(h, "_\r\n", "xread streams a 5");
    h->proto = 2;
    EXPECT(h,
           "-ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be "
           "specified.\r\n",
           "xread streams a b 1");
    EXPECT(h, SYNTAX, "xread count 5 nothing");
    EXPECT(h, SYNTAX, "xread count 5 streams");
    EXPECT(h, BAD_ID, "xread streams a -");
    EXPECT(h,
           "-ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.\r\n",
           "xread group g c streams a 0");
    EXPECT(h,
           "-ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.\r\n",
           "xread noack streams a 0");
    EXPECT(h,
           "-ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> "
           "<consumer> option.\r\n",
           "xread streams a >");
    EXPECT(h, "-ERR timeout is negative\r\n", "xread block -1 streams a $");
    EXPECT(h, "-ERR timeout is not an integer or out of range\r\n", "xread block .5 streams a $");
    EXPECT(h, "-ERR timeout is out of range\r\n", "xread block 9223372036854775807 streams a $");
    EXPECT(h, "*-1\r\n", "xread block 5 streams a $"); // may not wait
}
OVER_SHARDS(reading)

static void waiting(struct harness *h) {
    h->replica_late_ms = CLAIMS_LATE_MS;
    harness_run(h, "xadd a 1-1 f v");
    h->may_block = true;
    EXPECT(h, "", "xread block 70 streams a nope $ $");
    assert_true(h->block.wanted && !h->block.on_missing);
    assert_int_equal(h->block.type, ENTRY_STREAM);
    assert_int_equal(h->block.timeout_ms, 70);
    assert_int_equal(h->block.first, 4);
    assert_int_equal(h->block.last, 5);
    assert_int_equal(h->block.step, 1);
    assert_int_equal(h->block.replaced_count, 2);
    assert_int_equal(h->block.replaced[0].arg, 6);
    assert_memory_equal(h->block.replaced[0].text, "1-1", 3);
    assert_int_equal(h->block.replaced[1].arg, 7);
    assert_memory_equal(h->block.replaced[1].text, "0-0", 3);
    EXPECT(h, "*1\r\n*2\r\n$1\r\na\r\n*1\r\n" ENTRY("1-1"), "xread block 0 streams a 0");
    assert_false(h->block.wanted);
    EXPECT(h, "", "xread block 0 streams a 1-1");
    assert_int_equal(h->block.replaced_count, 0);
    harness_run(h, "xgroup create a g $");
    EXPECT(h, "", "xreadgroup group g c block 5 streams a >");
    assert_true(h->block.wanted && h->block.on_missing);
    EFFECT(h, "XGROUP CREATECONSUMER a g c");
    EXPECT(h, "*1\r\n*2\r\n$1\r\na\r\n*0\r\n", "xreadgroup group g c block 5 streams a 0");
    assert_false(h->block.wanted);
    EXPECT(h, "-NOGROUP No such key 'a' or consumer group 'h' in XREADGROUP with GROUP option\r\n",
           "xreadgroup group h c block 5 streams a >");
    h->may_block = false;
}
OVER_SHARDS(waiting)

// ---- groups ------------------------------------------------------------------------------------

static void groups(struct harness *h) {
    EXPECT(h,
           "-ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may "
           "want to use the MKSTREAM option to create an empty stream automatically.\r\n",
           "xgroup create s g $");
    EXPECT_MODIFIED(h, 1, "xgroup create s g $ mkstream");
    EXPECT(h, "-BUSYGROUP Consumer Group name already exists\r\n", "xgroup create s g $");
    EXPECT_MODIFIED(h, 0, "xgroup create s g2 5-5 entriesread 3");
    EXPECT(h, "-ERR value for ENTRIESREAD must be positive or -1\r\n",
           "xgroup create s g3 0 entriesread -2");
    EXPECT(h,
           "-ERR unknown subcommand or wrong number of arguments for 'create'. Try XGROUP "
           "HELP.\r\n",
           "xgroup create s g3 0 entriesread");
    EXPECT(h, BAD_ID, "xgroup create s g3 +");
    EXPECT(h, ":1\r\n", "xgroup createconsumer s g c");
    EXPECT(h, ":0\r\n", "xgroup createconsumer s g c");
    EXPECT(h, "-NOGROUP No such consumer group 'nope' for key name 's'\r\n",
           "xgroup createconsumer s nope c");
    EXPECT(h, "+OK\r\n", "xgroup setid s g - entriesread 0");
    EXPECT(h, "-NOGROUP No such consumer group 'nope' for key name 's'\r\n",
           "xgroup setid s nope 0");
    EXPECT(h, ":0\r\n", "xgroup delconsumer s g nope");
    EXPECT(h, ":0\r\n", "xgroup delconsumer s g c");
    EXPECT_MODIFIED(h, 0, "xgroup destroy s g2");
    EXPECT(h, ":0\r\n", "xgroup destroy s g2");
    harness_run(h, "set x 1");
    EXPECT(h, WRONG_TYPE, "xgroup destroy x g");
    EXPECT(h, WRONG_TYPE, "xgroup create x g $ mkstream");
    EXPECT(h, WRONG_TYPE, "xinfo stream x");
    EXPECT(h, "-ERR no such key\r\n", "xinfo stream nope");
}
OVER_SHARDS(groups)

static void delivering(struct harness *h) {
    h->replica_late_ms = CLAIMS_LATE_MS;
    for (int i = 1; i <= 3; i++) harness_run(h, "xadd s %d-1 f v", i);
    harness_run(h, "xgroup create s g 0");
    EXPECT_MODIFIED(h, 0, "xreadgroup group g c count 1 streams s >");
    EXPECT(h, "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n" ENTRY("2-1"),
           "xreadgroup group g d count 1 streams s >");
    EFFECT(h, "XGROUP SETID s g 2-1 ENTRIESREAD 2");
    EXPECT(h, "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n" ENTRY("3-1"),
           "xreadgroup group g d noack streams s >");
    EXPECT(h, "*-1\r\n", "xreadgroup group g d streams s >");
    EXPECT(h, "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n" ENTRY("2-1"), "xreadgroup group g d streams s 0");
    EFFECT(h, "XCLAIM s g d 0 2-1 TIME 1700000000000 RETRYCOUNT 2 FORCE JUSTID LASTID 3-1");
    harness_run(h, "xdel s 2-1");
    h->now_ms += 77;
    EXPECT(h, "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n2-1\r\n*-1\r\n",
           "xreadgroup group g d streams s 0");
    EXPECT(h,
           "*4\r\n:2\r\n$3\r\n1-1\r\n$3\r\n2-1\r\n*2\r\n*2\r\n$1\r\nc\r\n$1\r\n1\r\n*2\r\n$1\r\n"
           "d\r\n$1\r\n1\r\n",
           "xpending s g");
    EXPECT(h,
           "*2\r\n*4\r\n$3\r\n1-1\r\n$1\r\nc\r\n:77\r\n:1\r\n*4\r\n$3\r\n2-1\r\n$1\r\nd\r\n:77\r\n"
           ":2\r\n",
           "xpending s g idle 77 - + 10");
    EXPECT(h, "*0\r\n", "xpending s g idle 78 - + 10");
    EXPECT(h, "*0\r\n", "xpending s g - + 10 nobody");
    EXPECT(h, "*1\r\n*4\r\n$3\r\n2-1\r\n$1\r\nd\r\n:77\r\n:2\r\n", "xpending s g (1-1 + 1 d");
    EXPECT(h, ":0\r\n", "xack s nope 1-1");
    EXPECT(h, BAD_ID, "xack s g 1-1 bad");
    EXPECT_MODIFIED(h, 0, "xack s g 1-1 1-1 9-9");
    EXPECT(h, ":1\r\n", "xgroup delconsumer s g d");
    EXPECT(h, "*4\r\n:0\r\n$-1\r\n$-1\r\n*-1\r\n", "xpending s g");
    EXPECT(h, SYNTAX, "xpending s g - +");
    EXPECT(h, SYNTAX, "xpending s g idle 5 - +");
    EXPECT(h, "-NOGROUP No such key 's' or consumer group 'nope'\r\n", "xpending s nope");
    EXPECT(h, "-ERR Missing GROUP option for XREADGROUP\r\n",
           "xreadgroup count 1 noack streams s >");
    EXPECT(h,
           "-ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the "
           "history of this consumer by specifying a proper ID, or use the > ID to get new "
           "messages. The $ ID would just return an empty result set.\r\n",
           "xreadgroup group g c streams s $");
}
OVER_SHARDS(delivering)

static void claiming(struct harness *h) {
    h->replica_late_ms = CLAIMS_LATE_MS;
    for (int i = 1; i <= 4; i++) harness_run(h, "xadd s %d-1 f v", i);
    harness_run(h, "xgroup create s g 0");
    harness_run(h, "xreadgroup group g c streams s >");
    h->now_ms += 1000;
    EXPECT(h, "*0\r\n", "xclaim s g d 1001 1-1 2-1");
    EXPECT(h, "*1\r\n" ENTRY("1-1"), "xclaim s g d 1000 1-1 9-9");
    EFFECT(h, "XCLAIM s g d 0 1-1 TIME 1700000001000 RETRYCOUNT 2 FORCE JUSTID LASTID 4-1");
    EXPECT(h, "*1\r\n$3\r\n2-1\r\n", "xclaim s g d 0 2-1 justid idle 300 retrycount 7");
    EFFECT(h, "XCLAIM s g d 0 2-1 TIME 1700000000700 RETRYCOUNT 7 FORCE JUSTID LASTID 4-1");
    harness_run(h, "xdel s 3-1");
    EXPECT(h, "*0\r\n", "xclaim s g d 0 3-1");
    EXPECT(h,
           "*4\r\n:3\r\n$3\r\n1-1\r\n$3\r\n4-1\r\n*2\r\n*2\r\n$1\r\nc\r\n$1\r\n1\r\n*2\r\n$1\r\nd"
           "\r\n$1\r\n2\r\n",
           "xpending s g");
    harness_run(h, "xack s g 1-1");
    EXPECT(h, "*0\r\n", "xclaim s g d 0 1-1");
    EXPECT(h, "*1\r\n$3\r\n1-1\r\n", "xclaim s g d 0 1-1 force justid time 1");
    EXPECT(h, "*0\r\n", "xclaim s g new 0 8-8 lastid 7-7");
    EFFECT(h, "XGROUP SETID s g 7-7 ENTRIESREAD 4");
    EXPECT(h, "-ERR Unrecognized XCLAIM option 'nope'\r\n", "xclaim s g d 0 1-1 nope");
    EXPECT(h, "-ERR Invalid min-idle-time argument for XCLAIM\r\n", "xclaim s g d x 1-1");
    EXPECT(h, "-ERR Invalid IDLE option argument for XCLAIM\r\n", "xclaim s g d 0 1-1 idle x");
    EXPECT(h, "-ERR Invalid TIME option argument for XCLAIM\r\n", "xclaim s g d 0 1-1 time x");
    EXPECT(h, "-ERR Invalid RETRYCOUNT option argument for XCLAIM\r\n",
           "xclaim s g d 0 1-1 retrycount x");
    EXPECT(h, "-NOGROUP No such key 'nope' or consumer group 'g'\r\n", "xclaim nope g d 0 1-1");
}
OVER_SHARDS(claiming)

/** Counters that were set to the highest number stay there. */
static void counters_end(struct harness *h) {
    h->replica_late_ms = CLAIMS_LATE_MS;
    harness_run(h, "xadd s 1-1 f v");
    harness_run(h, "xadd s 2-1 f v");
    harness_run(h, "xgroup create s g 0 entriesread 9223372036854775807");
    EXPECT(h, "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n" ENTRY("1-1"),
           "xreadgroup group g c count 1 streams s >");
    EFFECT(h, "XGROUP SETID s g 1-1 ENTRIESREAD 9223372036854775807");
    EXPECT(h, "*1\r\n$3\r\n1-1\r\n", "xclaim s g c 0 1-1 justid retrycount 9223372036854775807");
    EXPECT(h, "*1\r\n" ENTRY("1-1"), "xclaim s g c 0 1-1");
    EXPECT(h, "*1\r\n*4\r\n$3\r\n1-1\r\n$1\r\nc\r\n:0\r\n:9223372036854775807\r\n",
           "xpending s g - + 5");
    EXPECT(h, "+OK\r\n", "xsetid s 3-0 entriesadded 9223372036854775807");
    EXPECT(h, "$3\r\n4-1\r\n", "xadd s 4-1 f v");
    assert_non_null(strstr(harness_run(h, "xinfo groups s"), "lag\r\n:1\r\n"));
}
OVER_SHARDS(counters_end)

static void autoclaiming(struct harness *h) {
    h->replica_late_ms = CLAIMS_LATE_MS;
    for (int i = 1; i <= 5; i++) harness_run(h, "xadd s %d-1 f v", i);
    harness_run(h, "xgroup create s g 0");
    harness_run(h, "xreadgroup group g c streams s >");
    harness_run(h, "xdel s 2-1");
    h->now_ms += 10;
    EXPECT(h, "*3\r\n$3\r\n4-1\r\n*2\r\n$3\r\n1-1\r\n$3\r\n3-1\r\n*1\r\n$3\r\n2-1\r\n",
           "xautoclaim s g d 10 - count 3 justid");
    EXPECT(h, "*3\r\n$3\r\n0-0\r\n*1\r\n" ENTRY("5-1") "*0\r\n", "xautoclaim s g d 10 (4-1");
    EXPECT(h, "*3\r\n$3\r\n0-0\r\n*0\r\n*0\r\n", "xautoclaim s g e 11 -");
    EXPECT(h,
           "*2\r\n*4\r\n$3\r\n1-1\r\n$1\r\nd\r\n:0\r\n:1\r\n*4\r\n$3\r\n3-1\r\n$1\r\nd\r\n:0\r\n:1"
           "\r\n",
           "xpending s g - 3-1 9");
    EXPECT(h, "-ERR COUNT must be > 0\r\n", "xautoclaim s g d 10 - count 0");
    EXPECT(h, "-ERR Invalid min-idle-time argument for XAUTOCLAIM\r\n", "xautoclaim s g d x -");
    EXPECT(h, SYNTAX, "xautoclaim s g d 10 - nope");
    EXPECT(h, "-NOGROUP No such key 's' or consumer group 'h'\r\n", "xautoclaim s h d 10 -");
}
OVER_SHARDS(autoclaiming)

// ---- XINFO -------------------------------------------------------------------------------------

static void information(struct harness *h) {
    h->replica_late_ms = CLAIMS_LATE_MS;
    for (int i = 1; i <= 3; i++) harness_run(h, "xadd s %d-1 f v", i);
    harness_run(h, "xgroup create s g 1-1");
    harness_run(h, "xreadgroup group g c count 1 streams s >");
    harness_run(h, "xgroup createconsumer s g d");
    h->now_ms += 5;
    h->proto = 3;
    EXPECT(h,
           "%10\r\n$6\r\nlength\r\n:3\r\n$15\r\nradix-tree-keys\r\n:1\r\n$16\r\nradix-tree-nodes"
           "\r\n:2\r\n$17\r\nlast-generated-id\r\n$3\r\n3-1\r\n$20\r\nmax-deleted-entry-id\r\n$3"
           "\r\n0-0\r\n$13\r\nentries-added\r\n:3\r\n$23\r\nrecorded-first-entry-id\r\n$3\r\n1-1"
           "\r\n$6\r\ngroups\r\n:1\r\n$11\r\nfirst-entry\r\n" ENTRY(
               "1-1") "$10\r\nlast-entry\r\n" ENTRY("3-1"),
           "xinfo stream s");
    EXPECT(h,
           "*1\r\n%6\r\n$4\r\nname\r\n$1\r\ng\r\n$9\r\nconsumers\r\n:2\r\n$7\r\npending\r\n:1\r\n"
           "$17\r\nlast-delivered-id\r\n$3\r\n2-1\r\n$12\r\nentries-read\r\n_\r\n$3\r\nlag\r\n_"
           "\r\n",
           "xinfo groups s");
    EXPECT(h,
           "*2\r\n%4\r\n$4\r\nname\r\n$1\r\nc\r\n$7\r\npending\r\n:1\r\n$4\r\nidle\r\n:5\r\n$8"
           "\r\ninactive\r\n:5\r\n%4\r\n$4\r\nname\r\n$1\r\nd\r\n$7\r\npending\r\n:0\r\n$4\r\n"
           "idle\r\n:5\r\n$8\r\ninactive\r\n:-1\r\n",
           "xinfo consumers s g");
    EXPECT(h, "-NOGROUP No such consumer group 'x' for key name 's'\r\n", "xinfo consumers s x");
    h->proto = 2;
    EXPECT(h,
           "*18\r\n$6\r\nlength\r\n:3\r\n$15\r\nradix-tree-keys\r\n:1\r\n$16\r\nradix-tree-nodes"
           "\r\n:2\r\n$17\r\nlast-generated-id\r\n$3\r\n3-1\r\n$20\r\nmax-deleted-entry-id\r\n$3"
           "\r\n0-0\r\n$13\r\nentries-added\r\n:3\r\n$23\r\nrecorded-first-entry-id\r\n$3\r\n1-1"
           "\r\n$7\r\nentries\r\n*1\r\n" ENTRY("1-1") //
           "$6\r\ngroups\r\n*1\r\n*14\r\n$4\r\nname\r\n$1\r\ng\r\n$17\r\nlast-delivered-id\r\n$3"
           "\r\n2-1\r\n$12\r\nentries-read\r\n$-1\r\n$3\r\nlag\r\n$-1\r\n$9\r\npel-count\r\n:1\r\n"
           "$7\r\npending\r\n*1\r\n*4\r\n$3\r\n2-1\r\n$1\r\nc\r\n:1700000000000\r\n:1\r\n$9\r\n"
           "consumers\r\n*2\r\n*10\r\n$4\r\nname\r\n$1\r\nc\r\n$9\r\nseen-time\r\n:1700000000000"
           "\r\n$11\r\nactive-time\r\n:1700000000000\r\n$9\r\npel-count\r\n:1\r\n$7\r\npending\r\n"
           "*1\r\n*3\r\n$3\r\n2-1\r\n:1700000000000\r\n:1\r\n*10\r\n$4\r\nname\r\n$1\r\nd\r\n$9"
           "\r\nseen-time\r\n:1700000000000\r\n$11\r\nactive-time\r\n:-1\r\n$9\r\npel-count\r\n:0"
           "\r\n$7\r\npending\r\n*0\r\n",
           "xinfo stream s full count 1");
    EXPECT(h,
           "-ERR unknown subcommand or wrong number of arguments for 'stream'. Try XINFO "
           "HELP.\r\n",
           "xinfo stream s full count");
    assert_int_equal(harness_run(h, "xinfo help")[0], '*');
    assert_int_equal(harness_run(h, "xgroup help")[0], '*');
}
OVER_SHARDS(information)

/** How far groups have read is counted as long as it can be told: what Redis 7.2.6 answers. */
static void lags(struct harness *h) {
    h->replica_late_ms = CLAIMS_LATE_MS;
    for (int i = 1; i <= 5; i++) harness_run(h, "xadd s %d-1 f v", i);
    harness_run(h, "xgroup create s g 0");
    const char *const after = "last-delivered-id\r\n$3\r\n";
    static const struct {
        const char *command, *entries_read, *lag;
    } steps[] = {
        {"xlen s", "$-1", ":5"},
        {"xreadgroup group g c count 1 streams s >", ":1", ":4"},
        {"xreadgroup group g c count 1 streams s >", ":2", ":3"},
        {"xdel s 1-1", ":2", ":3"},
        {"xreadgroup group g c count 1 streams s >", ":3", ":2"},
        {"xdel s 4-1", ":3", "$-1"},
        {"xreadgroup group g c count 1 streams s >", ":4", ":1"},
        {"xadd s 6-1 f v", ":4", ":2"},
        {"xgroup setid s g 1-1", "$-1", "$-1"},
        {"xtrim s maxlen 1", "$-1", ":1"},
        {"xtrim s maxlen 0", "$-1", ":0"},
    };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        char expected[96];
        harness_run(h, "%s", steps[i].command);
        const char *reply = harness_run(h, "xinfo groups s");
        const char *at = strstr(reply, after);
        assert_non_null(at);
        at = strstr(at, "$12\r\nentries-read");
        snprintf(expected, sizeof expected, "$12\r\nentries-read\r\n%s\r\n$3\r\nlag\r\n%s\r\n",
                 steps[i].entries_read, steps[i].lag);
        if (strcmp(at, expected) != 0)
            fail_msg("after '%s': '%s' is not '%s'", steps[i].command, at, expected);
    }
}
OVER_SHARDS(lags)

static void as_keys(struct harness *h) {
    h->replica_late_ms = 0; // a late one would see expiry first
    harness_run(h, "xadd s 1-1 f v");
    harness_run(h, "xgroup create s g 0");
    harness_run(h, "xreadgroup group g c streams s >");
    EXPECT(h, "+stream\r\n", "type s");
    EXPECT(h, "$6\r\nstream\r\n", "object encoding s");
    EXPECT(h, ":1\r\n", "copy s t");
    harness_run(h, "xack s g 1-1");
    EXPECT(h, "*1\r\n*4\r\n$3\r\n1-1\r\n$1\r\nc\r\n:0\r\n:1\r\n", "xpending t g - + 5");
    EXPECT(h, "+OK\r\n", "rename t u");
    EXPECT(h, ":1\r\n", "xlen u");
    EXPECT(h, ":1\r\n", "pexpire u 10");
    h->now_ms += 11;
    EXPECT(h, ":0\r\n", "xlen u");
    EXPECT(h, ":1\r\n", "del s");
}
OVER_SHARDS(as_keys)

// ---- random commands ---------------------------------------------------------------------------

static const char *const shapes[] = {
    "xadd %k * f %n",
    "xadd %k * f %n",
    "xadd %k * f %n g v",
    "xadd %k %i f v",
    "xadd %k %n-* f v",
    "xadd %k nomkstream maxlen %n * f v",
    "xadd %k maxlen ~ %n * f v",
    "xadd %k minid ~ %i limit %n * f v",
    "xadd %k minid %i %n-* other fields",
    "xdel %k %i %i %i",
    "xtrim %k maxlen ~ %n",
    "xtrim %k maxlen %n",
    "xtrim %k minid %i",
    "xtrim %k minid ~ %i",
    "xsetid %k %i",
    "xsetid %k %i entriesadded %n maxdeletedid %i",
    "xgroup create %k g%g %i mkstream",
    "xgroup create %k g%g $ entriesread %n",
    "xgroup setid %k g%g %i",
    "xgroup setid %k g%g $ entriesread %n",
    "xgroup destroy %k g%g",
    "xgroup createconsumer %k g%g c%g",
    "xgroup delconsumer %k g%g c%g",
    "xreadgroup group g%g c%g count 3 streams %k >",
    "xreadgroup group g%g c%g count 1 streams %k %k > >",
    "xreadgroup group g%g c%g noack count 2 streams %k >",
    "xreadgroup group g%g c%g streams %k %i",
    "xack %k g%g %i %i %i %i",
    "xclaim %k g%g c%g 5 %i %i %i",
    "xclaim %k g%g c%g 0 %i %i force justid",
    "xclaim %k g%g c%g 0 %i idle %n retrycount %n force",
    "xclaim %k g%g c%g 0 %i time 1700000000500 lastid %i",
    "xautoclaim %k g%g c%g 5 - count 3",
    "xautoclaim %k g%g c%g 0 %i justid",
    "xrange %k %i %i",
    "xrevrange %k %i - count 3",
    "xread count 2 streams %k %k %i 0",
    "xpending %k g%g - + 10",
    "xinfo stream %k full",
    "xinfo groups %k",
    "copy %k %k replace",
    "del %k",
};

/** One command of a shape: %k a key, %i an id, %n a number, %g one of two numbers. */
static void random_line(struct buf *line, const char *shape, struct random *random) {
    line->len = 0;
    for (; *shape != '\0'; shape++) {
        if (*shape != '%') {
            buf_append_char(line, *shape);
            continue;
        }
        shape++;
        if (*shape == 'k')
            buf_printf(line, "k%u", (unsigned)random_below(random, 3));
        else if (*shape == 'i')
            buf_printf(line, "%u-%u", 1699999990 + (unsigned)random_below(random, 20),
                       (unsigned)random_below(random, 4));
        else
            buf_printf(line, "%u", (unsigned)random_below(random, *shape == 'n' ? 60 : 2));
    }
    *buf_reserve(line, 1) = '\0';
}

static void random_commands(struct harness *h) {
    h->replica_late_ms = CLAIMS_LATE_MS;
    struct random random;
    struct buf line = {0};
    random_init(&random, h->view.nshards);
    h->settings.limits.stream_node_max_entries = 5;
    h->now_ms = 1699999990;
    for (unsigned i = 0; i < 8000; i++) {
        uint64_t shape = random_below(&random, sizeof shapes / sizeof shapes[0]);
        if (shape + 1 == sizeof shapes / sizeof shapes[0] && i % 8 != 0) continue;
        random_line(&line, shapes[shape], &random);
        harness_run(h, "%s", line.p);
        if (i % 600 == 0) h->now_ms++;
        if (i % 3000 == 2999) harness_run(h, "flushall");
        if (i % 3000 == 2999) h->now_ms = 1699999990;
    }
    buf_free(&line);
}
OVER_SHARDS(random_commands)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),          cmocka_unit_test(test_what_xadd_refuses),
        cmocka_unit_test(test_trims),        cmocka_unit_test(test_deleting_and_setid),
        cmocka_unit_test(test_ranges),       cmocka_unit_test(test_reading),
        cmocka_unit_test(test_waiting),      cmocka_unit_test(test_groups),
        cmocka_unit_test(test_delivering),   cmocka_unit_test(test_claiming),
        cmocka_unit_test(test_counters_end), cmocka_unit_test(test_autoclaiming),
        cmocka_unit_test(test_information),  cmocka_unit_test(test_lags),
        cmocka_unit_test(test_as_keys),      cmocka_unit_test(test_random_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
