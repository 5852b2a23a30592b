// SPDX-License-Identifier: BSD-3-Clause
//
// Streams as values: random adding, deleting and trimming against an array of the ids, ranges both
// ways, groups with their pending entries, copies and digests, and the memory that large streams
// take and give back. The invariants (value_is_valid) are walked after changes. One thread.
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
#include "engine/types/t_stream.h"
#include "engine/types/t_stream_group.h"

#define ID(ms, seq) ((struct stream_id){(ms), (seq)})
#define S(text)     SLICE_LITERAL(text)

static const struct slice pair[] = {S("field"), S("value")};

static void add(struct stream *s, struct stream_id id) {
    tstream_add(s, id, pair, 1, &value_default_limits);
}

static struct digest digest_of(struct value v) {
    struct digest d = {0};
    value_digest(v, &d);
    return d;
}

static void assert_same(struct value a, struct value b, bool same) {
    struct digest x = digest_of(a), y = digest_of(b);
    assert_int_equal(x.low == y.low && x.high == y.high, same);
}

static void test_empty(void **state) {
    (void)state;
    struct value v = tstream_new();
    struct stream *s = tstream_of(v);
    struct tstream_iterator it;
    assert_true(value_is_valid(v));
    assert_int_equal(value_type(v.encoding), ENTRY_STREAM);
    assert_string_equal(value_encoding_name(v.encoding), "stream");
    assert_int_equal(value_length(v), 0);
    tstream_iterate(&it, s, STREAM_ID_MIN, STREAM_ID_MAX, false);
    assert_false(tstream_next(&it));
    tstream_iterate(&it, s, STREAM_ID_MIN, STREAM_ID_MAX, true);
    assert_false(tstream_next(&it));
    assert_false(tstream_delete(s, ID(1, 1)));
    assert_true(stream_id_is_zero(tstream_last_entry(s)));
    assert_int_equal(tstream_trim(s, &(struct stream_trim){.length = 0}), 0);
    assert_int_equal(tstream_reads_at(s, ID(9, 9)), 0);
    value_free(v);
}

// ---- against a model ---------------------------------------------------------------------------

#define MOST 3000

/** Ids in order, and which of them are there. */
struct model {
    struct stream_id id[MOST];
    bool in[MOST];
    size_t count;
    uint64_t length;
};

static void expect_range(const struct stream *s, const struct model *m, size_t from, size_t to,
                         bool backwards) {
    struct tstream_iterator it;
    tstream_iterate(&it, s, m->id[from], m->id[to], backwards);
    for (size_t i = 0; i <= to - from; i++) {
        size_t at = backwards ? to - i : from + i;
        if (!m->in[at]) continue;
        assert_true(tstream_next(&it));
        assert_true(stream_id_equal(it.entry.id, m->id[at]));
        assert_int_equal(it.entry.fields, 1);
    }
    assert_false(tstream_next(&it));
}

static void compare(struct value v, const struct model *m, struct random *random) {
    struct stream *s = tstream_of(v);
    assert_true(value_is_valid(v));
    assert_int_equal(value_length(v), m->length);
    if (m->count == 0) return;
    size_t from = random_below(random, m->count);
    size_t to = from + random_below(random, m->count - from);
    expect_range(s, m, from, to, random_below(random, 2) != 0);
    expect_range(s, m, 0, m->count - 1, random_below(random, 2) != 0);
    size_t at = random_below(random, m->count);
    assert_int_equal(tstream_has(s, m->id[at]), m->in[at]);
    at = m->count;
    while (at > 0 && !m->in[at - 1]) at--;
    struct stream_id last = at > 0 ? m->id[at - 1] : STREAM_ID_MIN;
    assert_true(stream_id_equal(tstream_last_entry(s), last));
}

static void trim(struct stream *s, struct model *m, struct random *random, bool whole) {
    struct stream_trim t = {.by_id = random_below(random, 2) != 0, .whole_nodes = whole};
    if (m->length == 0) return;
    t.length = m->length - random_below(random, m->length < 40 ? m->length : 40);
    size_t at = random_below(random, m->count / 8 + 1);
    t.id = m->id[at];
    uint64_t deleted = tstream_trim(s, &t), gone = 0;
    for (size_t i = 0; i < m->count && (whole ? gone < deleted : true); i++) {
        if (!m->in[i]) continue;
        if (t.by_id ? i >= at : m->length <= t.length) break;
        m->in[i] = false;
        m->length--;
        gone++;
    }
    assert_int_equal(gone, deleted);
}

static void change(struct stream *s, struct model *m, struct random *random) {
    uint64_t what = random_below(random, 100);
    if (what < 60 && m->count < MOST) {
        struct stream_id id = m->count > 0 ? m->id[m->count - 1] : ID(1, 0);
        uint64_t step = random_below(random, 3);
        id = step == 0 ? ID(id.ms, id.seq + 1) : ID(id.ms + step * 1000, random_below(random, 9));
        add(s, id);
        m->id[m->count] = id;
        m->in[m->count++] = true;
        m->length++;
    } else if (what < 97) {
        if (m->count == 0) return;
        size_t at = random_below(random, m->count);
        assert_int_equal(tstream_delete(s, m->id[at]), m->in[at]);
        m->length -= m->in[at];
        m->in[at] = false;
    } else {
        trim(s, m, random, random_below(random, 2) != 0);
    }
}

static void test_random_changes(void **state) {
    (void)state;
    static struct model m;
    struct random random;
    struct value v = tstream_new();
    random_init(&random, 31);
    memset(&m, 0, sizeof m);
    for (unsigned i = 0; i < 6000; i++) {
        change(tstream_of(v), &m, &random);
        if (i % 16 == 0) compare(v, &m, &random);
    }
    struct value copy = value_copy(v);
    compare(copy, &m, &random);
    assert_same(v, copy, true);
    value_free(v);
    add(tstream_of(copy), ID(UINT64_MAX, 0));
    assert_true(value_is_valid(copy));
    value_free(copy);
}

static void test_trims_are_exact_or_whole_nodes(void **state) {
    (void)state;
    struct value v = tstream_new();
    struct stream *s = tstream_of(v);
    for (uint64_t i = 1; i <= 1000; i++) add(s, ID(i, 0));
    assert_int_equal(s->nodes.count, 10);
    // 100 entries a node; 555 of them must stay.
    assert_int_equal(tstream_trim(s, &(struct stream_trim){.length = 555, .whole_nodes = true}),
                     400);
    assert_int_equal(s->first.ms, 401);
    assert_int_equal(tstream_trim(s, &(struct stream_trim){.length = 555}), 45);
    assert_int_equal(s->first.ms, 446);
    assert_int_equal(tstream_first_kept(s).ms, 401); // marked, not gone
    assert_true(value_is_valid(v));
    assert_int_equal(
        tstream_trim(s, &(struct stream_trim){.by_id = true, .id = ID(700, 0), .limit = 100}), 55);
    assert_int_equal(tstream_trim(s, &(struct stream_trim){.by_id = true, .id = ID(700, 0)}), 199);
    assert_int_equal(s->first.ms, 700);
    assert_int_equal(tstream_trim(s, &(struct stream_trim){.by_id = true, .id = ID(5000, 0)}), 301);
    assert_int_equal(s->nodes.count, 0);
    assert_true(stream_id_is_zero(s->first) && stream_id_equal(s->last, ID(1000, 0)));
    assert_true(value_is_valid(v));
    value_free(v);
}

static void test_limits_of_nodes(void **state) {
    (void)state;
    struct value_limits limits = value_default_limits;
    struct value v = tstream_new();
    struct stream *s = tstream_of(v);
    limits.stream_node_max_entries = 3;
    for (uint64_t i = 1; i <= 10; i++) tstream_add(s, ID(i, 0), pair, 1, &limits);
    assert_int_equal(s->nodes.count, 4);
    limits.stream_node_max_entries = 0; // no limit
    limits.stream_node_max_bytes = 0;
    for (uint64_t i = 11; i <= 2000; i++) tstream_add(s, ID(i, 0), pair, 1, &limits);
    assert_int_equal(s->nodes.count, 4);
    limits.stream_node_max_bytes = 1; // a node for each
    for (uint64_t i = 2001; i <= 2010; i++) tstream_add(s, ID(i, 0), pair, 1, &limits);
    assert_int_equal(s->nodes.count, 14);
    assert_true(value_is_valid(v));
    value_free(v);
}

// ---- groups ------------------------------------------------------------------------------------

static void test_pending_has_one_owner(void **state) {
    (void)state;
    struct value v = tstream_new();
    struct stream *s = tstream_of(v);
    struct random random;
    random_init(&random, 33);
    struct stream_group *g = tstream_group_add(s, S("group"), STREAM_ID_MIN, -1);
    struct stream_consumer *consumers[3];
    const struct slice names[] = {S("b"), S("a"), S("")};
    for (int i = 0; i < 3; i++) consumers[i] = tstream_consumer_add(s, g, names[i], 5);
    assert_ptr_equal(tstream_consumer_at(g, 0), consumers[2]); // in the order of their names
    assert_ptr_equal(tstream_consumer(g, S("b")), consumers[0]);
    assert_null(tstream_consumer(g, S("bb")));
    for (unsigned i = 0; i < 3000; i++) {
        struct stream_id id = ID(random_below(&random, 400), 0);
        struct stream_consumer *c = consumers[random_below(&random, 3)];
        if (random_below(&random, 3) > 0) {
            struct stream_pending *p = tstream_pending_give(s, g, id, c);
            assert_ptr_equal(p->consumer, c);
            assert_ptr_equal(tstream_pending(g, id), p);
        } else {
            bool there = tstream_pending(g, id) != NULL;
            assert_int_equal(tstream_pending_remove(s, g, id), there);
        }
        if (i % 16 == 0) assert_true(value_is_valid(v));
    }
    size_t pending = g->pending.count, of_one = consumers[1]->pending.count;
    struct value copy = value_copy(v);
    assert_true(value_is_valid(copy));
    assert_same(v, copy, true);
    tstream_consumer_remove(s, g, consumers[1]);
    assert_int_equal(g->pending.count, pending - of_one);
    assert_true(value_is_valid(v));
    assert_same(v, copy, false);
    tstream_group_remove(s, g);
    assert_true(value_is_valid(v));
    assert_int_equal(value_memory(v), mem_usable(s));
    value_free(v);
    value_free(copy);
}

static void test_digest_sees_what_is_replicated(void **state) {
    (void)state;
    struct value a = tstream_new();
    struct stream *s = tstream_of(a);
    add(s, ID(1, 1));
    struct stream_group *g = tstream_group_add(s, S("g"), ID(1, 1), 1);
    struct stream_consumer *c = tstream_consumer_add(s, g, S("c"), 100);
    struct stream_pending *p = tstream_pending_give(s, g, ID(1, 1), c);
    struct value b = value_copy(a);
    c->seen_ms = 200;
    c->active_ms = 300;
    assert_same(a, b, true);
    p->deliveries++;
    assert_same(a, b, false);
    p->deliveries--;
    p->delivered_ms = 7;
    assert_same(a, b, false);
    p->delivered_ms = 0;
    assert_same(a, b, true);
    g->entries_read = -1;
    assert_same(a, b, false);
    g->entries_read = 1;
    tstream_set_last(s, ID(9, 9), -1, STREAM_ID_MIN);
    assert_same(a, b, false);
    value_free(a);
    value_free(b);
}

static void test_many_names(void **state) {
    (void)state;
    struct value v = tstream_new();
    struct stream *s = tstream_of(v);
    for (unsigned i = 0; i < 500; i++) {
        char name[16];
        int n = snprintf(name, sizeof name, "%u", i * 7919 % 500);
        assert_null(tstream_group(s, slice_of(name, (size_t)n)));
        tstream_group_add(s, slice_of(name, (size_t)n), STREAM_ID_MIN, -1);
    }
    assert_int_equal(s->groups.count, 500);
    assert_true(value_is_valid(v));
    for (unsigned i = 0; i < 500; i++)
        tstream_group_remove(s, tstream_group_at(s, (i * 31) % (500 - i)));
    assert_int_equal(value_memory(v), mem_usable(s));
    assert_true(value_is_valid(v));
    value_free(v);
}

// ---- size --------------------------------------------------------------------------------------

static void test_large_streams(void **state) {
    (void)state;
    struct value v = tstream_new();
    struct stream *s = tstream_of(v);
    const struct slice three[] = {S("temperature"), S("23.4"), S("pressure"),
                                  S("1013"),        S("unit"), S("u17")};
    int64_t before = mem_used();
    for (uint64_t i = 0; i < 100000; i++)
        tstream_add(s, ID(1700000000000 + i, 0), three, 3, &value_default_limits);
    int64_t used = mem_used() - before;
    assert_true((int64_t)value_memory(v) - used < 4096 && used - (int64_t)value_memory(v) < 4096);
    assert_true(value_memory(v) < 100000 * 32);
    assert_true(value_is_valid(v));
    for (uint64_t i = 1; i < 100000; i += 2) tstream_delete(s, ID(1700000000000 + i, 0));
    assert_int_equal(tstream_trim(s, &(struct stream_trim){.length = 7}), 49993);
    assert_true(value_is_valid(v));
    assert_true(value_memory(v) < 8192);
    value_free(v);
}

/** What a snapshot has to say is enough to make the same stream. */
static void test_loading(void **state) {
    (void)state;
    struct value v = tstream_new(), w = tstream_new();
    struct stream *s = tstream_of(v), *t = tstream_of(w);
    for (uint64_t i = 1; i <= 250; i++) add(s, ID(i, i));
    for (uint64_t i = 1; i <= 30; i++) tstream_delete(s, ID(i, i));
    for (struct idmap_place p = idmap_first(&s->nodes); p.leaf != NULL; idmap_next(&p)) {
        const struct stream_node *n = idmap_at(p)->value;
        uint8_t *lp = listpack_copy(n->lp);
        assert_true(tstream_load_node(t, idmap_at(p)->id, lp, listpack_bytes(lp)));
        assert_false(tstream_load_node(t, idmap_at(p)->id, lp, listpack_bytes(lp)));
    }
    // A node whose entries have all been deleted, as Redis keeps them: it is of no use.
    static const int64_t dead[] = {0, 1, 0, 0, 3, 0, 0, 3};
    uint8_t *lp = listpack_new(0);
    for (size_t i = 0; i < sizeof dead / sizeof dead[0]; i++) lp = listpack_append_i64(lp, dead[i]);
    assert_true(tstream_load_node(t, ID(251, 0), lp, listpack_bytes(lp)));
    assert_false(tstream_load_end(t, 219, s->last, s->first, s->max_deleted, 250));
    assert_false(tstream_load_end(t, 220, ID(249, 0), s->first, s->max_deleted, 250));
    assert_true(tstream_load_end(t, 220, s->last, s->first, s->max_deleted, 250));
    assert_true(value_is_valid(w));
    assert_same(v, w, true);
    value_free(v);
    value_free(w);
}

/** A node of "1 field f" entries, {deleted, ms, seq} each, beside base. */
static bool load_node(struct stream *s, struct stream_id base, const uint64_t (*entries)[3],
                      size_t count) {
    int64_t deleted = 0;
    for (size_t i = 0; i < count; i++) deleted += (int64_t)entries[i][0];
    uint8_t *lp = listpack_append_i64(listpack_new(0), (int64_t)count - deleted);
    lp = listpack_append_i64(listpack_append_i64(lp, deleted), 1);
    lp = listpack_append_i64(listpack_append(lp, SLICE_LITERAL("f")), 0);
    for (size_t i = 0; i < count; i++) {
        lp = listpack_append_i64(lp, 2 + (int64_t)entries[i][0]);
        lp = listpack_append_i64(lp, (int64_t)(entries[i][1] - base.ms));
        lp = listpack_append_i64(lp, (int64_t)(entries[i][2] - base.seq));
        lp = listpack_append(lp, SLICE_LITERAL("v"));
        lp = listpack_append_i64(lp, 4);
    }
    if (tstream_load_node(s, base, lp, listpack_bytes(lp))) return true;
    listpack_free(lp);
    return false;
}

/** XSETID of Redis 5 and 6 went back behind deleted entries: ids come again, lower and the same. */
static void test_loading_ids_that_were_given_again(void **state) {
    (void)state;
    struct value v = tstream_new();
    struct stream *s = tstream_of(v);
    static const uint64_t in_node[][3] = {{1, 5, 0}, {0, 5, 1}, {1, 9, 0}, {1, 8, 0}, {0, 6, 0}},
                          next[][3] = {{0, 7, 0}, {1, 20, 0}}, after[][3] = {{0, 10, 0}},
                          twice[][3] = {{0, 30, 0}, {1, 31, 0}, {0, 30, 0}},
                          tail[][3] = {{0, 30, 0}, {1, 31, 0}};
    assert_true(load_node(s, ID(5, 0), in_node, 5));
    assert_true(load_node(s, ID(7, 0), next, 2));
    assert_false(load_node(s, ID(7, 0), next, 2)); // its live entry is there
    assert_true(load_node(s, ID(10, 0), after, 1));
    assert_false(load_node(s, ID(30, 0), twice, 3));
    assert_true(load_node(s, ID(30, 0), tail, 2));
    assert_false(tstream_load_end(s, 5, ID(29, 0), STREAM_ID_MAX, STREAM_ID_MIN, 5));
    assert_false(tstream_load_end(s, 6, ID(30, 0), STREAM_ID_MAX, STREAM_ID_MIN, 5));
    assert_true(tstream_load_end(s, 5, ID(30, 0), STREAM_ID_MAX, STREAM_ID_MIN, 5));
    assert_true(value_is_valid(v));
    static const uint64_t left[][2] = {{5, 1}, {6, 0}, {7, 0}, {10, 0}, {30, 0}};
    struct tstream_iterator it;
    tstream_iterate(&it, s, STREAM_ID_MIN, STREAM_ID_MAX, false);
    for (size_t i = 0; i < 5; i++) {
        assert_true(tstream_next(&it));
        assert_true(stream_id_equal(it.entry.id, ID(left[i][0], left[i][1])));
    }
    assert_false(tstream_next(&it));
    assert_true(stream_id_equal(s->last, ID(30, 0)) && stream_id_equal(s->first, ID(5, 1)));
    add(s, ID(30, 1)); // below the id of what was deleted
    assert_true(value_is_valid(v));
    value_free(v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_random_changes),
        cmocka_unit_test(test_trims_are_exact_or_whole_nodes),
        cmocka_unit_test(test_limits_of_nodes),
        cmocka_unit_test(test_pending_has_one_owner),
        cmocka_unit_test(test_digest_sees_what_is_replicated),
        cmocka_unit_test(test_many_names),
        cmocka_unit_test(test_large_streams),
        cmocka_unit_test(test_loading),
        cmocka_unit_test(test_loading_ids_that_were_given_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
