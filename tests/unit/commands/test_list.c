// SPDX-License-Identifier: BSD-3-Clause
//
// List commands: replies in both protocols, errors in Redis's order, when the encoding changes,
// what is replayed (the harness also replays everything elsewhere and compares), what waits and for
// which keys; and random commands on a list against a plain array. One thread, no server.
#include "tests/unit/commands/harness.h"

#include "engine/base/random.h"

// ---- one list ----------------------------------------------------------------------------------

static void pushing_and_popping(struct harness *h) {
    EXPECT(h, ":3\r\n", "rpush l a b c");
    EXPECT(h, ":5\r\n", "lpush l 1 2");
    EXPECT(h, "*5\r\n$1\r\n2\r\n$1\r\n1\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n", "lrange l 0 -1");
    EXPECT(h, ":5\r\n", "llen l");
    EXPECT(h, "$1\r\n2\r\n", "lpop l");
    EXPECT(h, "$1\r\nc\r\n", "rpop l");
    EXPECT(h, "*2\r\n$1\r\nb\r\n$1\r\na\r\n", "rpop l 2");
    EXPECT(h, "*1\r\n$1\r\n1\r\n", "lpop l 100");
    EXPECT(h, ":0\r\n", "exists l");
    EXPECT(h, "$-1\r\n", "lpop l");
    EXPECT(h, "*-1\r\n", "lpop l 1");
    EXPECT(h, "*-1\r\n", "rpop l 0");
    EXPECT(h, ":0\r\n", "lpushx l a");
    EXPECT(h, ":0\r\n", "rpushx l a");
    EXPECT(h, ":0\r\n", "llen l");
    EXPECT(h, ":1\r\n", "rpush l a");
    EXPECT(h, "*0\r\n", "rpop l 0");
    EXPECT(h, ":3\r\n", "lpushx l b c");
    EXPECT(h, ":4\r\n", "rpushx l ''");
    EXPECT(h, "$0\r\n\r\n", "rpop l");
    h->proto = 3;
    EXPECT(h, "_\r\n", "lpop nope");
    EXPECT(h, "_\r\n", "lpop nope 2");
    EXPECT(h, "_\r\n", "lindex nope 0");
    h->proto = 2;
    EXPECT_MODIFIED(h, 1, "lpush l x y z");
    EXPECT_MODIFIED(h, 0, "lpop nope");
}
OVER_SHARDS(pushing_and_popping)

static void errors(struct harness *h) {
    harness_run(h, "set s 1");
    harness_run(h, "rpush l a");
    static const char *const wrong[] = {"lpush s a",
                                        "rpush s a",
                                        "lpushx s a",
                                        "lpop s",
                                        "rpop s 0",
                                        "llen s",
                                        "lrange s 0 1",
                                        "lindex s x",
                                        "lset s x y",
                                        "linsert s after a b",
                                        "lrem s 0 a",
                                        "ltrim s 0 1",
                                        "lpos s a",
                                        "lmove s l left left",
                                        "lmove l s left left",
                                        "rpoplpush s l",
                                        "lmpop 1 s left",
                                        "blpop s 0",
                                        "blmove s l left left 0"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        EXPECT(h, WRONG_TYPE, "%s", wrong[i]);
    EXPECT(h, "-ERR value is out of range, must be positive\r\n", "lpop s -1");
    EXPECT(h, "-ERR value is out of range, must be positive\r\n", "lpop nope x");
    EXPECT(h, "-ERR wrong number of arguments for 'rpop' command\r\n", "rpop s 1 2");
    EXPECT(h, NOT_INTEGER, "lrange s a 1");
    EXPECT(h, NOT_INTEGER, "lrem s a 1");
    EXPECT(h, NOT_INTEGER, "ltrim s 1 b");
    EXPECT(h, "$-1\r\n", "lindex nope x");
    EXPECT(h, NOT_INTEGER, "lindex l x");
    EXPECT(h, NOT_INTEGER, "lset l x y");
    EXPECT(h, "-ERR no such key\r\n", "lset nope x y");
    EXPECT(h, "-ERR index out of range\r\n", "lset l 1 y");
    EXPECT(h, "-ERR index out of range\r\n", "lset l -2 y");
    EXPECT(h, SYNTAX, "linsert s beside a b");
    EXPECT(h, SYNTAX, "lmove s l up left");
    EXPECT(h, SYNTAX, "lmove s l left down");
    EXPECT(h, "$-1\r\n", "lmove nope s left left");
    EXPECT(h, "*1\r\n$1\r\na\r\n", "lrange l 0 -1");
}
OVER_SHARDS(errors)

static void ranges(struct harness *h) {
    harness_run(h, "rpush l a b c");
    EXPECT(h, "*2\r\n$1\r\nb\r\n$1\r\nc\r\n", "lrange l 1 100");
    EXPECT(h, "*2\r\n$1\r\nb\r\n$1\r\nc\r\n", "lrange l -2 -1");
    EXPECT(h, "*1\r\n$1\r\na\r\n", "lrange l -100 0");
    EXPECT(h, NONE, "lrange l 2 1");
    EXPECT(h, NONE, "lrange l 3 4");
    EXPECT(h, NONE, "lrange l 0 -4");
    EXPECT(h, NONE, "lrange nope 0 -1");
    EXPECT(h, "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n",
           "lrange l -9223372036854775808 9223372036854775807");
    EXPECT(h, "$1\r\nc\r\n", "lindex l -1");
    EXPECT(h, "$1\r\na\r\n", "lindex l -3");
    EXPECT(h, "$-1\r\n", "lindex l 3");
    EXPECT(h, "$-1\r\n", "lindex l -4");
    EXPECT(h, "$-1\r\n", "lindex l -9223372036854775808");
    EXPECT(h, "+OK\r\n", "lset l -1 z");
    EXPECT(h, "+OK\r\n", "lset l 0 17");
    EXPECT(h, "*3\r\n$2\r\n17\r\n$1\r\nb\r\n$1\r\nz\r\n", "lrange l 0 -1");
    EXPECT(h, "+OK\r\n", "ltrim l 1 -1");
    EXPECT(h, "*2\r\n$1\r\nb\r\n$1\r\nz\r\n", "lrange l 0 -1");
    EXPECT(h, "+OK\r\n", "ltrim l -1 100");
    EXPECT(h, "*1\r\n$1\r\nz\r\n", "lrange l 0 -1");
    EXPECT(h, "+OK\r\n", "ltrim l 5 6");
    EXPECT(h, ":0\r\n", "exists l");
    EXPECT(h, "+OK\r\n", "ltrim l 0 0");
}
OVER_SHARDS(ranges)

static void inserting_and_removing(struct harness *h) {
    harness_run(h, "rpush l a b a c a");
    EXPECT(h, ":6\r\n", "linsert l before a x");
    EXPECT(h, ":7\r\n", "linsert l AFTER c y");
    EXPECT(h, ":-1\r\n", "linsert l after nope y");
    EXPECT(h, ":0\r\n", "linsert nope after a y");
    EXPECT(h, "*7\r\n$1\r\nx\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\na\r\n$1\r\nc\r\n$1\r\ny\r\n$1\r\na\r\n",
           "lrange l 0 -1");
    EXPECT(h, ":1\r\n", "lrem l -1 a");
    EXPECT(h, ":1\r\n", "lrem l 1 a");
    EXPECT(h, "*5\r\n$1\r\nx\r\n$1\r\nb\r\n$1\r\na\r\n$1\r\nc\r\n$1\r\ny\r\n", "lrange l 0 -1");
    EXPECT(h, ":0\r\n", "lrem l 0 nope");
    EXPECT_MODIFIED(h, 0, "lrem l 0 nope");
    harness_run(h, "rpush l 12 12 12 12");
    EXPECT(h, ":2\r\n", "lrem l -2 12");
    EXPECT(h, ":0\r\n", "lrem l 0 012");
    EXPECT(h, ":2\r\n", "lrem l 0 12");
    EXPECT(h, ":0\r\n", "lrem l -9223372036854775808 12");
    harness_run(h, "del l");
    harness_run(h, "rpush l a a");
    EXPECT(h, ":2\r\n", "lrem l -9223372036854775808 a");
    EXPECT(h, ":0\r\n", "exists l");
}
OVER_SHARDS(inserting_and_removing)

static void positions(struct harness *h) {
    harness_run(h, "rpush l a b c 1 2 3 c c");
    EXPECT(h, ":0\r\n", "lpos l a");
    EXPECT(h, ":2\r\n", "lpos l c");
    EXPECT(h, ":3\r\n", "lpos l 1");
    EXPECT(h, "$-1\r\n", "lpos l 01");
    EXPECT(h, ":6\r\n", "lpos l c rank 2");
    EXPECT(h, ":7\r\n", "lpos l c RANK -1");
    EXPECT(h, "*2\r\n:2\r\n:6\r\n", "lpos l c count 2");
    EXPECT(h, "*3\r\n:2\r\n:6\r\n:7\r\n", "lpos l c count 0");
    EXPECT(h, "*2\r\n:6\r\n:2\r\n", "lpos l c count 5 rank -2");
    EXPECT(h, NONE, "lpos l c count 5 rank 4");
    EXPECT(h, "$-1\r\n", "lpos l c maxlen 2");
    EXPECT(h, ":2\r\n", "lpos l c maxlen 3");
    EXPECT(h, "*2\r\n:7\r\n:6\r\n", "lpos l c count 0 maxlen 3 rank -1");
    EXPECT(h, "$-1\r\n", "lpos nope c");
    EXPECT(h, NONE, "lpos nope c count 1");
    EXPECT(h, SYNTAX, "lpos l c count");
    EXPECT(h, SYNTAX, "lpos l c what 1");
    EXPECT(h, "-ERR COUNT can't be negative\r\n", "lpos l c count -1");
    EXPECT(h, "-ERR COUNT can't be negative\r\n", "lpos l c count x");
    EXPECT(h, "-ERR MAXLEN can't be negative\r\n", "lpos l c maxlen -1");
    EXPECT(h, NOT_INTEGER, "lpos l c rank x");
    EXPECT(h,
           "-ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or "
           "use negative to start from the end of the list\r\n",
           "lpos l c rank 0");
    EXPECT(h,
           "-ERR value is out of range, value must between -9223372036854775807 and "
           "9223372036854775807\r\n",
           "lpos l c rank -9223372036854775808");
    harness_run(h, "set s 1");
    EXPECT(h, SYNTAX, "lpos s c rank");
}
OVER_SHARDS(positions)

// ---- several lists -----------------------------------------------------------------------------

static uint64_t dirty_of(const struct harness *h) {
    uint64_t dirty = 0;
    for (uint32_t i = 0; i < h->view.nshards; i++) dirty += h->shards[i]->stats.dirty;
    return dirty;
}

static void moving(struct harness *h) {
    char *long_text = calloc(1, 301);
    memset(long_text, 'v', 300);
    harness_run(h, "rpush a 1 2 3 %s", long_text);
    EXPECT(h, "$1\r\n1\r\n", "lmove a b left right");
    harness_run(h, "rpoplpush a b");
    assert_int_equal(h->reply.len, 6 + 300 + 2);
    EXPECT(h, "$1\r\n3\r\n", "lmove a b RIGHT LEFT");
    EXPECT(h, "*1\r\n$1\r\n2\r\n", "lrange a 0 -1");
    EXPECT(h, "$1\r\n2\r\n", "lmove a a left right"); // alone: stays
    EXPECT(h, "$1\r\n2\r\n", "rpoplpush a b");
    EXPECT(h, ":0\r\n", "exists a");
    harness_run(h, "lset b 2 v");
    EXPECT(h, "*4\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\nv\r\n$1\r\n1\r\n", "lrange b 0 -1");
    EXPECT(h, "$1\r\n1\r\n", "rpoplpush b b"); // turns
    EXPECT(h, "$1\r\n1\r\n", "lmove b b left left");
    EXPECT(h, "*4\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\nv\r\n", "lrange b 0 -1");
    EXPECT(h, "$-1\r\n", "rpoplpush nope b");
    uint64_t dirty = dirty_of(h);
    EXPECT_MODIFIED(h, 2, "lmove b c left left");
    assert_int_equal(dirty_of(h) - dirty, 1);
    EXPECT_MODIFIED(h, 1, "lmove b b left right");
    EXPECT_EFFECT(h, "lmove b c left left", "lmove b c left left");
    // A destination that has expired counts as absent.
    harness_run(h, "pexpire c 10");
    h->now_ms += 20;
    harness_run(h, "lmove b c left left");
    EXPECT(h, ":1\r\n", "llen c");
    free(long_text);
}
OVER_SHARDS(moving)

static void popping_from_several(struct harness *h) {
    harness_run(h, "rpush b 1 2 3");
    EXPECT(h, "*2\r\n$1\r\nb\r\n*1\r\n$1\r\n1\r\n", "lmpop 2 a b left");
    EXPECT(h, "*2\r\n$1\r\nb\r\n*2\r\n$1\r\n3\r\n$1\r\n2\r\n", "lmpop 2 a b RIGHT count 10");
    EXPECT(h, "*-1\r\n", "lmpop 2 a b left");
    harness_run(h, "rpush b 1 2 3");
    EXPECT_EFFECT(h, "RPOP b 2", "lmpop 2 a b right count 2");
    EXPECT_EFFECT(h, "LPOP b 1", "lmpop 1 b left");
    EXPECT(h, "-ERR numkeys should be greater than 0\r\n", "lmpop 0 b left");
    EXPECT(h, "-ERR numkeys should be greater than 0\r\n", "lmpop x b left");
    EXPECT(h, SYNTAX, "lmpop 2 b left");
    EXPECT(h, SYNTAX, "lmpop 9223372036854775807 b left");
    EXPECT(h, SYNTAX, "lmpop 1 b up");
    EXPECT(h, SYNTAX, "lmpop 1 b left count");
    EXPECT(h, SYNTAX, "lmpop 1 b left count 1 count 2");
    EXPECT(h, "-ERR count should be greater than 0\r\n", "lmpop 1 b left count 0");
    h->proto = 3;
    EXPECT(h, "_\r\n", "lmpop 1 b left");
}
OVER_SHARDS(popping_from_several)

// ---- waiting -----------------------------------------------------------------------------------

static void serving_at_once(struct harness *h) {
    h->may_block = true;
    harness_run(h, "rpush b 1 2 3 4 5 6");
    EXPECT(h, "*2\r\n$1\r\nb\r\n$1\r\n1\r\n", "blpop a b 0");
    EXPECT(h, "*2\r\n$1\r\nb\r\n$1\r\n6\r\n", "brpop a b 0.5");
    EXPECT_EFFECT(h, "LPOP b", "blpop a b 0");
    EXPECT_EFFECT(h, "RPOP b", "brpop a b 0");
    EXPECT_EFFECT(h, "LPOP b 1", "blmpop 0 2 a b left");
    harness_run(h, "rpush b 5 6 7");
    EXPECT(h, "*2\r\n$1\r\nb\r\n*2\r\n$1\r\n7\r\n$1\r\n6\r\n", "blmpop 0 1 b right count 2");
    EXPECT(h, "$1\r\n5\r\n", "blmove b c right left 0");
    EXPECT(h, "$1\r\n4\r\n", "brpoplpush b c 0");
    EXPECT_EFFECT(h, "LMOVE c d right left", "blmove c d right left 0");
    EXPECT_EFFECT(h, "RPOPLPUSH d c", "brpoplpush d c 0");
    assert_false(h->block.wanted);
    harness_run(h, "set s 1");
    EXPECT_EFFECT(h, "", "blmove c s left left 0");
    assert_false(h->block.wanted);
}
OVER_SHARDS(serving_at_once)

static void expect_wait(struct harness *h, int64_t timeout_ms, int first, int last,
                        const char *line) {
    EXPECT(h, "", "%s", line);
    assert_true(h->block.wanted);
    assert_int_equal(h->block.type, ENTRY_LIST);
    assert_int_equal(h->block.timeout_ms, timeout_ms);
    assert_int_equal(h->block.first, first);
    assert_int_equal(h->block.last, last);
    assert_int_equal(h->block.step, 1);
}

static void waiting(struct harness *h) {
    static const char *const lines[] = {"blpop a b 0", "brpop a 1", "blmpop 1 2 a b left"};
    for (size_t i = 0; i < 3; i++) EXPECT(h, "*-1\r\n", "%s", lines[i]); // as in MULTI
    EXPECT(h, "$-1\r\n", "blmove a b left left 0");
    EXPECT(h, "$-1\r\n", "brpoplpush a b 0");
    h->may_block = true;
    expect_wait(h, 0, 1, 2, "blpop a b 0");
    expect_wait(h, 1500, 1, 1, "brpop a 1.5");
    expect_wait(h, 1, 1, 1, "brpop a 0.0001");
    expect_wait(h, 2000, 3, 4, "blmpop 2 2 a b left count 3");
    expect_wait(h, 10, 1, 1, "blmove a b left right 0.01");
    expect_wait(h, 0, 1, 1, "brpoplpush a b 0");
    EXPECT(h, "-ERR timeout is negative\r\n", "blpop a -1");
    EXPECT(h, "-ERR timeout is not a float or out of range\r\n", "brpop a x");
    EXPECT(h, "-ERR timeout is negative\r\n", "blmpop -1 1 a left");
    EXPECT(h, SYNTAX, "blmpop -1 1 a up");
    EXPECT(h, SYNTAX, "blmove a b up left x");
    assert_false(h->block.wanted);
}
OVER_SHARDS(waiting)

// ---- encodings ---------------------------------------------------------------------------------

static void push_many(struct harness *h, const char *key, int count, const char *item) {
    for (int i = 0; i < count; i++) harness_run(h, "rpush %s %s", key, item);
}

#define LISTPACK  "$8\r\nlistpack\r\n"
#define QUICKLIST "$9\r\nquicklist\r\n"

static void encodings_by_count(struct harness *h) {
    h->settings.limits.list_max_listpack_size = 4;
    harness_run(h, "rpush l 1 2 3 4");
    EXPECT(h, LISTPACK, "object encoding l");
    harness_run(h, "lset l 0 x"); // counts as one more: Redis looks before it replaces
    EXPECT(h, QUICKLIST, "object encoding l");
    harness_run(h, "ltrim l 0 2");
    EXPECT(h, QUICKLIST, "object encoding l");
    harness_run(h, "lpop l"); // two are half of four
    EXPECT(h, LISTPACK, "object encoding l");
    EXPECT(h, ":5\r\n", "rpush l a b c");
    EXPECT(h, QUICKLIST, "object encoding l");
    harness_run(h, "linsert l before c z");
    EXPECT(h, "*6\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nz\r\n$1\r\nc\r\n",
           "lrange l 0 -1");
    EXPECT(h, "$1\r\nz\r\n", "lindex l 4");
    harness_run(h, "lrem l 0 a");
    harness_run(h, "ltrim l 0 1");
    EXPECT(h, LISTPACK, "object encoding l");
    EXPECT(h, "*2\r\n$1\r\n2\r\n$1\r\n3\r\n", "lrange l 0 -1");
    harness_run(h, "rpush k 1 2 3");
    harness_run(h, "linsert k before nope x y"); // arity: nothing happens
    EXPECT(h, ":-1\r\n", "linsert k before nope x");
    EXPECT(h, LISTPACK, "object encoding k");
    harness_run(h, "rpush k 4");
    EXPECT(h, ":-1\r\n", "linsert k before nope x"); // converted all the same
    EXPECT(h, QUICKLIST, "object encoding k");
}
OVER_SHARDS(encodings_by_count)

static void encodings_by_moves(struct harness *h) {
    h->settings.limits.list_max_listpack_size = 4;
    harness_run(h, "rpush l 1 2 3 4 5");
    harness_run(h, "lmove l m right left");
    harness_run(h, "lmove l m right left");
    EXPECT(h, QUICKLIST, "object encoding l");
    harness_run(h, "rpoplpush l m");
    EXPECT(h, LISTPACK, "object encoding l");
    EXPECT(h, LISTPACK, "object encoding m");
    harness_run(h, "rpush m 6 7");
    EXPECT(h, QUICKLIST, "object encoding m");
    harness_run(h, "lmpop 1 m left count 1");
    EXPECT(h, QUICKLIST, "object encoding m");
    harness_run(h, "lmpop 1 m right count 2");
    EXPECT(h, LISTPACK, "object encoding m");
    EXPECT(h, "*2\r\n$1\r\n4\r\n$1\r\n5\r\n", "lrange m 0 -1");
}
OVER_SHARDS(encodings_by_moves)

static void encodings_by_bytes(struct harness *h) {
    h->settings.limits.list_max_listpack_size = -1;
    h->walk = false;
    push_many(h, "l", 340, "abcdefghij"); // of 12 bytes each: 4087 in all
    EXPECT(h, LISTPACK, "object encoding l");
    harness_run(h, "rpush l abcdefghi"); // exactly at the limit
    EXPECT(h, LISTPACK, "object encoding l");
    harness_run(h, "rpush l a");
    EXPECT(h, QUICKLIST, "object encoding l");
    harness_run(h, "rpop l 170");
    EXPECT(h, QUICKLIST, "object encoding l");
    harness_run(h, "rpop l 2");
    EXPECT(h, LISTPACK, "object encoding l");
    EXPECT(h, ":170\r\n", "llen l");
    h->walk = true;
    harness_run(h, "copy l m");
    EXPECT(h, ":170\r\n", "llen m");
}
OVER_SHARDS(encodings_by_bytes)

// ---- random commands ---------------------------------------------------------------------------

#define ROOM 600
struct array {
    int items[ROOM];
    int count;
};

static void array_insert(struct array *a, int at, int item) {
    memmove(a->items + at + 1, a->items + at, (size_t)(a->count - at) * sizeof(int));
    a->items[at] = item;
    a->count++;
}

static void array_delete(struct array *a, int at, int count) {
    a->count -= count;
    memmove(a->items + at, a->items + at + count, (size_t)(a->count - at) * sizeof(int));
}

static void expect_all(struct harness *h, const struct array *a) {
    struct buf expected = {0};
    buf_printf(&expected, "*%d\r\n", a->count);
    for (int i = 0; i < a->count; i++) {
        char text[16];
        int n = snprintf(text, sizeof text, a->items[i] % 2 != 0 ? "%d" : "t%d", a->items[i]);
        buf_printf(&expected, "$%d\r\n%s\r\n", n, text);
    }
    EXPECT(h, expected.p, "lrange l 0 -1");
    buf_free(&expected);
}

static void step(struct harness *h, struct array *a, struct random *r) {
    int item = (int)random_below(r, 1000), at = a->count > 0 ? (int)random_below(r, a->count) : 0;
    const char *prefix = item % 2 != 0 ? "" : "t";
    switch (random_below(r, 8)) {
    case 0:
    case 1:
        harness_run(h, "rpush l %s%d", prefix, item);
        array_insert(a, a->count, item);
        break;
    case 2:
        harness_run(h, "lpush l %s%d", prefix, item);
        array_insert(a, 0, item);
        break;
    case 3:
        if (a->count == 0) break;
        harness_run(h, "lset l %d %s%d", at - (item % 3 == 0 ? a->count : 0), prefix, item);
        a->items[at] = item;
        break;
    case 4:
        if (a->count == 0) break;
        harness_run(h, "lmove l l right left");
        item = a->items[a->count - 1];
        array_delete(a, a->count - 1, 1);
        array_insert(a, 0, item);
        break;
    case 5: {
        if (a->count == 0) break;
        int pivot = a->items[at];
        for (at = 0; a->items[at] != pivot;) at++;
        harness_run(h, "linsert l %s %s%d %s%d", item % 3 == 0 ? "before" : "after",
                    pivot % 2 != 0 ? "" : "t", pivot, prefix, item);
        array_insert(a, item % 3 == 0 ? at : at + 1, item);
        break;
    }
    case 6:
        harness_run(h, "lpop l %d", item % 4);
        array_delete(a, 0, item % 4 < a->count ? item % 4 : a->count);
        break;
    default:
        if (a->count == 0 || item % 16 != 0) break;
        harness_run(h, "ltrim l %d -3", at / 2);
        array_delete(a, 0, at / 2);
        array_delete(a, a->count > 2 ? a->count - 2 : 0, a->count > 2 ? 2 : a->count);
    }
}

static void random_commands(struct harness *h) {
    struct random r;
    random_init(&r, 31);
    static const int64_t sizes[] = {-2, 1, 3, 16};
    for (size_t i = 0; i < 4; i++) {
        struct array a = {.count = 0};
        h->settings.limits.list_max_listpack_size = sizes[i];
        h->settings.limits.list_compress_depth = (int64_t)i;
        for (int k = 0; k < 400; k++) {
            step(h, &a, &r);
            if (k % 8 == 0) expect_all(h, &a);
        }
        expect_all(h, &a);
        harness_run(h, "del l");
    }
}
OVER_SHARDS(random_commands)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pushing_and_popping),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_inserting_and_removing),
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_moving),
        cmocka_unit_test(test_popping_from_several),
        cmocka_unit_test(test_serving_at_once),
        cmocka_unit_test(test_waiting),
        cmocka_unit_test(test_encodings_by_count),
        cmocka_unit_test(test_encodings_by_moves),
        cmocka_unit_test(test_encodings_by_bytes),
        cmocka_unit_test(test_random_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
