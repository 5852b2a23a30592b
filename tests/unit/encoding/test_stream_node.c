// SPDX-License-Identifier: BSD-3-Clause
//
// Nodes of streams: the bytes that Redis 7.2 makes of the same entries, ids that are found through
// the marks however many entries there are, walks both ways, counts that outgrow their byte, and
// what is refused of foreign bytes. The invariants are walked after each change. One thread.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/alloc.h"
#include "engine/base/random.h"
#include "engine/encoding/stream_node.h"

#define ID(ms, seq) ((struct stream_id){(ms), (seq)})
#define S(text)     SLICE_LITERAL(text)

static const struct stream_id base = {1000, 5};

static void add(struct stream_node *n, struct stream_id id, const struct slice *pairs,
                size_t fields) {
    stream_node_append(n, base, id, pairs, fields);
    assert_true(stream_node_is_valid(n, base));
}

static void expect_pair(struct stream_entry *e, const char *field, const char *value) {
    const uint8_t *f, *v;
    char scratch[NUM_I64_TEXT_MAX];
    assert_true(e->left > 0);
    stream_entry_pair(e, &f, &v);
    assert_true(slice_equal(listpack_text(f, scratch), slice_text(field)));
    assert_true(slice_equal(listpack_text(v, scratch), slice_text(value)));
}

/** Redis 7.2.6 holds them after XADD s 1000-5 a 1 b x, 1001-0 a 2 b y, 1001-7 c 1, XDEL 1001-0. */
static void test_bytes_are_those_of_redis(void **state) {
    (void)state;
    static const uint8_t expected[] = {
        63,   0,   0,    0,    25,   0,                                // bytes, elements
        2,    1,   1,    1,    2,    1,                                // live, deleted, fields
        0x81, 'a', 2,    0x81, 'b',  2,    0, 1,                       // names, end of the head
        2,    1,   0,    1,    0,    1,    1, 1,   0x81, 'x', 2, 5, 1, // 1000-5
        3,    1,   1,    1,    0xdf, 0xfb, 2,                          // 1001-0: seq -5, deleted
        2,    1,   0x81, 'y',  2,    5,    1,                          //
        0,    1,   1,    1,    2,    1,    1, 1,                       // 1001-7: others names
        0x81, 'c', 2,    1,    1,    6,    1, 0xff};
    const struct slice first[] = {S("a"), S("1"), S("b"), S("x")};
    const struct slice second[] = {S("a"), S("2"), S("b"), S("y")};
    const struct slice third[] = {S("c"), S("1")};
    struct stream_node *n = stream_node_new(first, 2, 0);
    struct stream_entry e;
    add(n, base, first, 2);
    add(n, ID(1001, 0), second, 2);
    add(n, ID(1001, 7), third, 1);
    assert_true(stream_node_seek(n, base, ID(1001, 0), &e));
    stream_node_delete(n, &e);
    assert_true(stream_node_is_valid(n, base));
    assert_int_equal(listpack_bytes(n->lp), sizeof expected);
    assert_memory_equal(n->lp, expected, sizeof expected);
    stream_node_free(n);
}

static void test_entries_read_back(void **state) {
    (void)state;
    const struct slice first[] = {S("name"), S("value"), S("12"), S("-7")};
    const struct slice other[] = {S("name"), S("value"), S("13"), S("")};
    struct stream_node *n = stream_node_new(first, 2, 4096);
    struct stream_entry e;
    add(n, base, first, 2);
    add(n, ID(2000, 0), other, 2);
    add(n, STREAM_ID_MAX, first, 2);
    assert_true(stream_node_first(n, base, &e));
    assert_true(e.same && e.fields == 2 && !e.deleted && stream_id_equal(e.id, base));
    expect_pair(&e, "name", "value");
    assert_true(stream_node_next(n, base, &e)); // in the middle of an entry
    assert_true(!e.same && stream_id_equal(e.id, ID(2000, 0)));
    expect_pair(&e, "name", "value");
    expect_pair(&e, "13", "");
    assert_true(stream_node_next(n, base, &e));
    assert_true(stream_id_equal(e.id, STREAM_ID_MAX));
    expect_pair(&e, "name", "value");
    expect_pair(&e, "12", "-7");
    assert_false(stream_node_next(n, base, &e));
    assert_true(stream_node_last(n, base, &e) && stream_id_equal(e.id, STREAM_ID_MAX));
    assert_true(stream_node_previous(n, base, &e) && stream_id_equal(e.id, ID(2000, 0)));
    assert_true(stream_node_previous(n, base, &e) && stream_id_equal(e.id, base));
    assert_false(stream_node_previous(n, base, &e));
    stream_node_free(n);
}

/** Looks for every id that is there and those around it. */
static void seek_all(const struct stream_node *n, uint64_t count) {
    struct stream_entry e;
    for (uint64_t i = 0; i < count; i++) {
        struct stream_id id = ID(1000 + 2 * i, i == 0 ? 5 : 0), before = id, behind = id;
        stream_id_decrement(&before);
        stream_id_increment(&behind);
        assert_true(stream_node_seek(n, base, id, &e) && stream_id_equal(e.id, id));
        assert_true(stream_node_seek(n, base, before, &e) && stream_id_equal(e.id, id));
        assert_true(stream_node_seek_back(n, base, id, &e) && stream_id_equal(e.id, id));
        assert_true(stream_node_seek_back(n, base, behind, &e) && stream_id_equal(e.id, id));
        assert_int_equal(stream_node_seek(n, base, behind, &e), i + 1 < count);
        if (i + 1 < count) assert_int_equal(e.id.ms, 1000 + 2 * (i + 1));
        assert_int_equal(stream_node_seek_back(n, base, before, &e), i > 0);
        if (i > 0) assert_int_equal(e.id.ms, 1000 + 2 * (i - 1));
    }
}

static void test_every_id_is_found(void **state) {
    (void)state;
    const struct slice pair[] = {S("field"), S("some value")};
    struct stream_node *n = stream_node_new(pair, 1, 0);
    for (uint64_t i = 0; i < 700; i++) {
        add(n, i == 0 ? base : ID(1000 + 2 * i, 0), pair, 1);
        if (i < 130 || i % 56 < 3 || i % 64 < 3) seek_all(n, i + 1);
    }
    struct stream_node *copy = stream_node_copy(n);
    stream_node_free(n);
    assert_true(stream_node_is_valid(copy, base));
    seek_all(copy, 700);
    stream_node_free(copy);
}

/** 127 entries and then 128: the counts in front take two bytes more, both ways. */
static void test_counts_outgrow_their_byte(void **state) {
    (void)state;
    const struct slice pair[] = {S("f"), S("v")};
    struct stream_node *n = stream_node_new(pair, 1, 0);
    struct stream_entry e;
    for (uint64_t i = 0; i < 300; i++) add(n, i == 0 ? base : ID(1000 + i, 0), pair, 1);
    assert_int_equal(n->live, 300);
    for (uint64_t i = 1; i < 300; i++) {
        assert_true(stream_node_seek(n, base, ID(1000 + i, 0), &e));
        assert_false(e.deleted);
        stream_node_delete(n, &e);
        assert_true(stream_node_is_valid(n, base));
        assert_true(stream_node_seek(n, base, ID(1000 + i, 0), &e));
        assert_true(e.deleted);
    }
    assert_int_equal(n->live, 1);
    assert_int_equal(n->deleted, 299);
    stream_node_close(n);
    assert_true(stream_node_is_valid(n, base));
    stream_node_free(n);
}

static void test_loading(void **state) {
    (void)state;
    const struct slice pair[] = {S("f"), S("v")}, other[] = {S("g"), S("v"), S("h"), S("2")};
    struct stream_node *n = stream_node_new(pair, 1, 0);
    for (uint64_t i = 0; i < 60; i++)
        add(n, i == 0 ? base : ID(1000 + i, i), i % 7 == 3 ? other : pair, i % 7 == 3 ? 2 : 1);
    size_t bytes = listpack_bytes(n->lp);
    struct stream_node *loaded = stream_node_load(listpack_copy(n->lp), bytes, base);
    assert_non_null(loaded);
    assert_true(stream_node_is_valid(loaded, base));
    stream_node_free(loaded);
    // Whatever byte is another one, what is taken is a node that can be walked.
    struct random random;
    random_init(&random, 5);
    unsigned taken = 0;
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t *lp = listpack_copy(n->lp);
        lp[random_below(&random, bytes)] = (uint8_t)random_next(&random);
        loaded = stream_node_load(lp, bytes, base);
        if (loaded == NULL) {
            mem_free(lp);
            continue;
        }
        taken++;
        assert_true(stream_node_is_valid(loaded, base));
        stream_node_free(loaded);
    }
    assert_true(taken > 0 && taken < 15000);
    stream_node_free(n);
}

static uint8_t *numbers(const int64_t *from, size_t count) {
    uint8_t *lp = listpack_new(0);
    for (size_t i = 0; i < count; i++) lp = listpack_append_i64(lp, from[i]);
    return lp;
}

static void test_what_is_refused(void **state) {
    (void)state;
    static const struct {
        int64_t at[16];
        size_t count;
    } bad[] = {
        {{1, 0, 1, 7, 0, 2, 0, 0, 9, 4}, 9},                 // cut
        {{1, 0, 1, 7, 1, 2, 0, 0, 9, 4}, 10},                // the head does not end with 0
        {{2, 0, 1, 7, 0, 2, 0, 0, 9, 4}, 10},                // counts one too many
        {{0, 0, 1, 7, 0}, 5},                                // no entry
        {{1, 0, 1, 7, 0, 2, 0, 0, 9, 5}, 10},                // wrong number of elements
        {{1, 0, 1, 7, 0, 4, 0, 0, 9, 4}, 10},                // no such flag
        {{1, 0, 1, 7, 0, 2, -1, 0, 9, 4}, 10},               // below the node's id
        {{1, 0, -1, 0, 2, 0, 0, 3}, 8},                      // fewer fields than none
        {{2, 0, 1, 7, 0, 2, 1, 0, 9, 4, 2, 1, 0, 9, 4}, 15}, // ids do not ascend
        {{0}, 0},
    };
    static const int64_t good[] = {1, 0, 1, 7, 0, 2, 0, 0, 9, 4};
    uint8_t *lp = numbers(good, 10);
    struct stream_node *n = stream_node_load(lp, listpack_bytes(lp), base);
    assert_non_null(n);
    stream_node_free(n);
    static const int64_t all_deleted[] = {0, 1, 1, 7, 0, 3, 0, 0, 9, 4};
    lp = numbers(all_deleted, 10);
    n = stream_node_load(lp, listpack_bytes(lp), base);
    assert_non_null(n);
    stream_node_free(n);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        lp = numbers(bad[i].at, bad[i].count);
        if (stream_node_load(lp, listpack_bytes(lp), base) != NULL) fail_msg("took bad[%zu]", i);
        mem_free(lp);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_are_those_of_redis),
        cmocka_unit_test(test_entries_read_back),
        cmocka_unit_test(test_every_id_is_found),
        cmocka_unit_test(test_counts_outgrow_their_byte),
        cmocka_unit_test(test_loading),
        cmocka_unit_test(test_what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
