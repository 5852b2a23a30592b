// SPDX-License-Identifier: BSD-3-Clause
//
// Quicklists against a plain array under random changes, with several fillings, with and without
// compression, and with a low bound for plain nodes; how nodes fill, split and merge at the limits;
// that compressed lists are really smaller and that reading them changes nothing. After each change
// the invariants are walked. One thread.
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
#include "engine/encoding/quicklist.h"

#define MODEL_MAX 2000
struct model {
    char *texts[MODEL_MAX];
    size_t lengths[MODEL_MAX];
    size_t count;
};

static void model_insert(struct model *m, size_t at, struct slice text) {
    assert_true(m->count < MODEL_MAX);
    memmove(m->texts + at + 1, m->texts + at, (m->count - at) * sizeof *m->texts);
    memmove(m->lengths + at + 1, m->lengths + at, (m->count - at) * sizeof *m->lengths);
    m->texts[at] = malloc(text.n + 1);
    memcpy(m->texts[at], text.p, text.n);
    m->lengths[at] = text.n;
    m->count++;
}

static void model_delete(struct model *m, size_t at, size_t count) {
    if (at >= m->count) return;
    if (count > m->count - at) count = m->count - at;
    for (size_t i = 0; i < count; i++) free(m->texts[at + i]);
    size_t behind = m->count - at - count;
    memmove(m->texts + at, m->texts + at + count, behind * sizeof *m->texts);
    memmove(m->lengths + at, m->lengths + at + count, behind * sizeof *m->lengths);
    m->count -= count;
}

static struct slice model_text(const struct model *m, size_t at) {
    return slice_of(m->texts[at], m->lengths[at]);
}

static size_t model_remove(struct model *m, struct slice text, size_t limit, bool backwards) {
    size_t removed = 0;
    if (limit == 0) limit = SIZE_MAX;
    for (size_t i = 0; i < m->count && removed < limit;) {
        size_t at = backwards ? m->count - 1 - i : i;
        if (!slice_equal(model_text(m, at), text)) {
            i++;
            continue;
        }
        model_delete(m, at, 1);
        removed++;
    }
    return removed;
}

static bool item_is(const struct listpack_item *item, struct slice text) {
    char scratch[NUM_I64_TEXT_MAX];
    if (!item->is_int) return slice_equal(item->text, text);
    return slice_equal(slice_of(scratch, num_format_i64(scratch, item->number)), text);
}

static void compare(const struct quicklist *ql, const struct model *m, struct random *r) {
    assert_true(quicklist_is_valid(ql));
    assert_int_equal(ql->count, m->count);
    size_t from = m->count > 0 ? random_below(r, m->count) : 0;
    struct quicklist_iterator it;
    struct listpack_item item;
    quicklist_iterate(&it, ql, from, false);
    for (size_t i = from; i < m->count; i++) {
        assert_true(quicklist_next(&it, &item));
        assert_true(item_is(&item, model_text(m, i)));
    }
    assert_false(quicklist_next(&it, &item));
    if (m->count == 0) return;
    quicklist_iterate(&it, ql, from, true);
    for (size_t i = from + 1; i-- > 0;) {
        assert_true(quicklist_next(&it, &item));
        assert_true(item_is(&item, model_text(m, i)));
    }
    assert_false(quicklist_next(&it, &item));
    quicklist_iterate(&it, ql, from, random_below(r, 2));
    assert_true(quicklist_next(&it, &item));
    quicklist_end(&it); // early: nothing may leak
}

static struct slice random_text(struct random *r, char *room, const struct model *m) {
    if (m->count > 0 && random_below(r, 3) == 0) {
        struct slice text = model_text(m, random_below(r, m->count));
        memcpy(room, text.p, text.n);
        return slice_of(room, text.n);
    }
    if (random_below(r, 3) == 0)
        return slice_of(room, num_format_i64(room, (int64_t)random_next(r) >> random_below(r, 64)));
    size_t n = random_below(r, 30) == 0 ? random_below(r, 9000) : random_below(r, 300);
    memset(room, (char)('a' + random_below(r, 26)), n);
    return slice_of(room, n);
}

static void insert_beside(struct quicklist *ql, struct model *m, size_t at, struct slice text,
                          bool after) {
    struct quicklist_iterator it;
    struct listpack_item item;
    quicklist_iterate(&it, ql, at > 0 ? at - 1 : at, false);
    assert_true(quicklist_next(&it, &item));
    if (at > 0) assert_true(quicklist_next(&it, &item)); // perhaps across a node's end
    quicklist_insert(ql, &it, text, after);
    model_insert(m, after ? at + 1 : at, text);
}

static void change(struct quicklist *ql, struct model *m, struct random *r, struct slice text) {
    size_t at = m->count > 0 ? random_below(r, m->count) : 0;
    bool flag = random_below(r, 2);
    uint64_t kind = random_below(r, 10);
    if (kind < 4 || m->count == 0) {
        quicklist_push(ql, text, flag);
        model_insert(m, flag ? 0 : m->count, text);
    } else if (kind < 6) {
        insert_beside(ql, m, at, text, flag);
    } else if (kind < 7) {
        quicklist_replace(ql, at, text);
        model_delete(m, at, 1);
        model_insert(m, at, text);
    } else if (kind < 8) {
        size_t limit = random_below(r, 3);
        assert_int_equal(quicklist_remove(ql, text, limit, flag),
                         model_remove(m, text, limit, flag));
    } else {
        size_t n = random_below(r, 20) == 0 ? random_below(r, m->count) : random_below(r, 5);
        if (kind == 9) at = flag ? 0 : m->count - 1;
        quicklist_delete(ql, at, n);
        model_delete(m, at, n);
    }
}

static void random_changes(int64_t fill, int64_t depth, size_t plain_min, uint64_t seed) {
    int64_t start = mem_used();
    char *room = malloc(10000);
    struct random r;
    random_init(&r, seed);
    struct quicklist *ql = quicklist_new(fill, depth);
    if (plain_min > 0) ql->plain_min = plain_min;
    struct model m = {.count = 0};
    for (int i = 0; i < 400; i++) {
        change(ql, &m, &r, random_text(&r, room, &m));
        if (i % 4 == 0) compare(ql, &m, &r);
        assert_true(quicklist_is_valid(ql));
    }
    struct quicklist *copy = quicklist_copy(ql);
    compare(copy, &m, &r);
    quicklist_delete(ql, 0, m.count);
    assert_true(quicklist_is_valid(ql) && ql->count == 0 && ql->nodes == 0);
    quicklist_free(ql);
    compare(copy, &m, &r);
    quicklist_free(copy);
    model_delete(&m, 0, m.count);
    free(room);
    assert_int_equal(mem_used(), start);
}

static void test_random_changes(void **state) {
    (void)state;
    static const int64_t fills[] = {-5, -2, -1, 1, 2, 7, 128};
    uint64_t seed = 1;
    for (size_t f = 0; f < sizeof fills / sizeof fills[0]; f++)
        for (int64_t depth = 0; depth < 4; depth++)
            random_changes(fills[f], depth, depth % 2 != 0 ? 200 : 0, seed++);
}

static size_t node_items(const struct quicklist *ql, size_t index) {
    const struct quicklist_node *node = ql->head;
    while (index-- > 0) node = node->next;
    return node->count;
}

static void test_limits(void **state) {
    (void)state;
    assert_int_equal(quicklist_limit(0).count, 1);
    assert_int_equal(quicklist_limit(5).count, 5);
    assert_int_equal(quicklist_limit(-1).bytes, 4096);
    assert_int_equal(quicklist_limit(-5).bytes, 65536);
    assert_int_equal(quicklist_limit(-9).bytes, 65536);
    assert_false(quicklist_exceeds(-2, 8192, 1000000));
    assert_true(quicklist_exceeds(-2, 8193, 1));
    assert_false(quicklist_exceeds(3, 8192, 3));
    assert_true(quicklist_exceeds(3, 100, 4));
    assert_true(quicklist_exceeds(3, 8193, 1));
    struct quicklist *ql = quicklist_new(100000, 100000);
    assert_int_equal(ql->fill, 32767);
    assert_int_equal(ql->depth, 65535);
    quicklist_free(ql);
    // An item is taken for eight bytes longer than it is, as in Redis: 4087 and 9 are too many.
    ql = quicklist_new(-1, 0);
    for (int i = 0; i < 340; i++) quicklist_push(ql, SLICE_LITERAL("ten bytes!"), false);
    assert_true(ql->nodes == 1 && ql->head->bytes == 4087);
    quicklist_push(ql, SLICE_LITERAL("9 bytes.."), false);
    assert_int_equal(ql->nodes, 2);
    quicklist_free(ql);
    ql = quicklist_new(-100, -1);
    assert_int_equal(ql->fill, -5);
    assert_int_equal(ql->depth, 0);
    quicklist_free(ql);
}

static void test_filling_and_splitting(void **state) {
    (void)state;
    struct quicklist *ql = quicklist_new(4, 0);
    for (int i = 0; i < 8; i++) quicklist_push(ql, SLICE_LITERAL("item"), false);
    assert_int_equal(ql->nodes, 2);
    // Behind the last item of a full node, whose neighbour is full too: a node between them.
    struct quicklist_iterator it;
    struct listpack_item item;
    quicklist_iterate(&it, ql, 3, false);
    assert_true(quicklist_next(&it, &item));
    quicklist_insert(ql, &it, SLICE_LITERAL("x"), true);
    assert_int_equal(ql->nodes, 3);
    assert_int_equal(node_items(ql, 1), 1);
    // The same before the first item of the last node: the neighbour has room.
    quicklist_iterate(&it, ql, 5, false);
    assert_true(quicklist_next(&it, &item));
    quicklist_insert(ql, &it, SLICE_LITERAL("y"), false);
    assert_int_equal(ql->nodes, 3);
    assert_int_equal(node_items(ql, 1), 2);
    // In the middle of a full node: it is split, and what has been cut off merges with the next.
    quicklist_iterate(&it, ql, 2, false);
    assert_true(quicklist_next(&it, &item));
    quicklist_insert(ql, &it, SLICE_LITERAL("z"), true);
    assert_true(quicklist_is_valid(ql));
    assert_int_equal(ql->count, 11);
    assert_int_equal(node_items(ql, 0), 3);
    assert_int_equal(node_items(ql, 1), 4);
    assert_int_equal(node_items(ql, 2), 4);
    quicklist_free(ql);
}

static void test_merging_before(void **state) {
    (void)state;
    struct quicklist *ql = quicklist_new(4, 0);
    for (int i = 0; i < 12; i++) quicklist_push(ql, SLICE_LITERAL("item"), false);
    quicklist_delete(ql, 0, 2);
    quicklist_delete(ql, 2, 2); // 2, 2 and 4
    assert_int_equal(ql->nodes, 3);
    struct quicklist_iterator it;
    struct listpack_item item;
    quicklist_iterate(&it, ql, 5, false);
    assert_true(quicklist_next(&it, &item));
    quicklist_insert(ql, &it, SLICE_LITERAL("x"), true);
    assert_true(quicklist_is_valid(ql));
    assert_int_equal(ql->nodes, 3);
    assert_int_equal(node_items(ql, 0), 4);
    assert_int_equal(node_items(ql, 1), 2);
    assert_int_equal(node_items(ql, 2), 3);
    quicklist_free(ql);
}

static void test_listpack_in_and_out(void **state) {
    (void)state;
    int64_t start = mem_used();
    uint8_t *lp = listpack_append(listpack_new(0), SLICE_LITERAL("a"));
    struct quicklist *ql = quicklist_new(-2, 0);
    quicklist_append_listpack(ql, lp);
    assert_true(quicklist_is_valid(ql));
    assert_ptr_equal(quicklist_to_listpack(ql), lp);
    ql = quicklist_new(1, 0);
    quicklist_append_listpack(ql, lp);
    quicklist_push(ql, SLICE_LITERAL("b"), true);
    assert_null(quicklist_to_listpack(ql));
    quicklist_delete(ql, 0, 1);
    lp = quicklist_to_listpack(ql);
    assert_int_equal(listpack_count(lp), 1);
    listpack_free(lp);
    assert_int_equal(mem_used(), start);
}

/** Fills a list with compressible items. */
static struct quicklist *filled(int64_t depth) {
    struct quicklist *ql = quicklist_new(-1, depth);
    char text[100];
    memset(text, 'q', sizeof text);
    for (int i = 0; i < 4000; i++) {
        text[50] = (char)('a' + i % 26);
        quicklist_push(ql, slice_of(text, sizeof text), i % 2 == 0);
    }
    assert_true(quicklist_is_valid(ql));
    return ql;
}

static size_t packed_nodes(const struct quicklist *ql) {
    size_t packed = 0;
    for (const struct quicklist_node *n = ql->head; n != NULL; n = n->next)
        packed += n->packed != 0;
    return packed;
}

static void test_inner_nodes_stay_packed(void **state) {
    (void)state;
    struct quicklist *ql = filled(2);
    assert_int_equal(packed_nodes(ql), ql->nodes - 4);
    quicklist_replace(ql, ql->count / 2, SLICE_LITERAL("short"));
    assert_int_equal(packed_nodes(ql), ql->nodes - 4);
    quicklist_delete(ql, ql->count / 2, 3);
    assert_int_equal(packed_nodes(ql), ql->nodes - 4);
    assert_int_equal(quicklist_remove(ql, SLICE_LITERAL("nope"), 0, true), 0);
    assert_int_equal(packed_nodes(ql), ql->nodes - 4);
    struct quicklist_iterator it;
    struct listpack_item item;
    quicklist_iterate(&it, ql, ql->count / 3, false);
    assert_true(quicklist_next(&it, &item));
    quicklist_insert(ql, &it, SLICE_LITERAL("short"), false);
    assert_int_equal(packed_nodes(ql), ql->nodes - 4);
    quicklist_delete(ql, 0, ql->count / 2);
    assert_int_equal(packed_nodes(ql), ql->nodes - 4);
    assert_true(quicklist_is_valid(ql));
    quicklist_free(ql);
}

static void test_compression(void **state) {
    (void)state;
    struct quicklist *loose = filled(0), *tight = filled(1);
    assert_int_equal(loose->nodes, tight->nodes);
    assert_true(quicklist_memory(tight) < quicklist_memory(loose) / 5);
    assert_int_equal(packed_nodes(tight), tight->nodes - 2);
    // Reading leaves all as it is; deleting from the ends unpacks what comes there.
    struct quicklist_iterator it, same;
    struct listpack_item a, b;
    size_t memory = quicklist_memory(tight);
    quicklist_iterate(&it, tight, 0, false);
    quicklist_iterate(&same, loose, 0, false);
    while (quicklist_next(&it, &a)) {
        assert_true(quicklist_next(&same, &b));
        assert_true(slice_equal(a.text, b.text));
    }
    assert_int_equal(quicklist_memory(tight), memory);
    while (tight->count > 0) {
        quicklist_delete(tight, tight->count % 2 != 0 ? 0 : tight->count - 1, 1);
        if (tight->count % 37 == 0) assert_true(quicklist_is_valid(tight));
    }
    quicklist_free(tight);
    quicklist_free(loose);
}

static void test_memory_of_short_items(void **state) {
    (void)state;
    struct quicklist *ql = quicklist_new(-2, 0);
    char text[16];
    size_t payload = 0;
    for (int i = 0; i < 100000; i++) {
        int n = snprintf(text, sizeof text, "item:%06d", i);
        quicklist_push(ql, slice_of(text, (size_t)n), false);
        payload += (size_t)n + 2;
    }
    assert_true(quicklist_memory(ql) < payload + payload / 50);
    quicklist_free(ql);
}

/** Adding and taking at the front leaves the first node in a block with a gap. */
static void test_front(void **state) {
    (void)state;
    int64_t start = mem_used();
    struct quicklist *ql = quicklist_new(-2, 0);
    for (int64_t i = 0; i < 3000; i++) {
        char text[NUM_I64_TEXT_MAX];
        quicklist_push(ql, slice_of(text, num_format_i64(text, i * 1000)), true);
        if (i % 16 == 0) assert_true(quicklist_is_valid(ql));
        if (i % 5 != 0) continue;
        quicklist_delete(ql, 0, 1);
        quicklist_push(ql, SLICE_LITERAL("in place of a number"), true);
    }
    size_t bytes = 0;
    for (const struct quicklist_node *node = ql->head; node != NULL; node = node->next)
        bytes += node->bytes;
    assert_true(quicklist_memory(ql) < bytes + bytes / 8 + 512);
    assert_int_not_equal(ql->head->gap, 0);
    struct quicklist *copy = quicklist_copy(ql);
    assert_int_equal(copy->head->gap, 0);
    assert_true(quicklist_is_valid(copy));
    quicklist_free(copy);
    for (int64_t i = 3000; i-- > 0;) {
        struct quicklist_iterator it;
        struct listpack_item item;
        quicklist_iterate(&it, ql, 0, false);
        assert_true(quicklist_next(&it, &item));
        assert_true(item.is_int ? item.number == i * 1000 : i % 5 == 0);
        quicklist_delete(ql, 0, 1);
        if (i % 16 == 0) assert_true(quicklist_is_valid(ql));
        if (ql->nodes == 1) // not much more than twice what is left
            assert_true(quicklist_memory(ql) < 2 * ql->head->bytes + 256);
    }
    assert_int_equal(ql->count, 0);
    quicklist_free(ql);
    assert_int_equal(mem_used(), start);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_filling_and_splitting),
        cmocka_unit_test(test_merging_before),
        cmocka_unit_test(test_listpack_in_and_out),
        cmocka_unit_test(test_compression),
        cmocka_unit_test(test_inner_nodes_stay_packed),
        cmocka_unit_test(test_memory_of_short_items),
        cmocka_unit_test(test_front),
        cmocka_unit_test(test_random_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
