// SPDX-License-Identifier: BSD-3-Clause
//
// Lists as values: the same random changes under limits that make one a listpack and the other a
// quicklist must lead to equal items and equal digests; when a list changes its encoding, to the
// byte and to the item; copies are independent. Every value is checked after each change, and all
// memory is given back. One thread.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/alloc.h"
#include "engine/base/random.h"
#include "engine/types/t_list.h"

static struct value_limits limits_of(int64_t size) {
    struct value_limits limits = value_default_limits;
    limits.list_max_listpack_size = size;
    return limits;
}

static struct digest digest_of(struct value v) {
    struct digest d = {0};
    value_digest(v, &d);
    return d;
}

static void expect_equal(struct value a, struct value b) {
    assert_true(value_is_valid(a) && value_is_valid(b));
    assert_int_equal(tlist_length(a), tlist_length(b));
    struct digest x = digest_of(a), y = digest_of(b);
    assert_true(x.low == y.low && x.high == y.high);
    for (int backwards = 0; backwards < 2; backwards++) {
        struct tlist_iterator i, j;
        struct listpack_item p, q;
        tlist_iterate(&i, a, backwards ? -1 : 0, backwards);
        tlist_iterate(&j, b, backwards ? -1 : 0, backwards);
        while (tlist_next(&i, &p)) {
            assert_true(tlist_next(&j, &q) && p.is_int == q.is_int);
            assert_true(p.is_int ? p.number == q.number : slice_equal(p.text, q.text));
        }
        assert_false(tlist_next(&j, &q));
    }
}

static struct slice random_item(struct random *r, char text[32]) {
    uint64_t kind = random_below(r, 3);
    if (kind == 0) return slice_of(text, num_format_i64(text, (int64_t)random_below(r, 9)));
    if (kind == 1) return slice_of(text, num_format_i64(text, (int64_t)random_next(r)));
    memset(text, (int)('a' + random_below(r, 4)), 32);
    return slice_of(text, random_below(r, 32));
}

/** One of the operations on both; `seed` makes it the same one. */
static uint64_t change(struct value *v, const struct value_limits *limits, uint64_t seed) {
    struct random r;
    random_init(&r, seed);
    char a[32], b[32];
    struct slice item = random_item(&r, a), other = random_item(&r, b);
    size_t length = tlist_length(*v);
    bool flag = random_below(&r, 2);
    int64_t at = (int64_t)random_below(&r, length + 3) - (flag ? (int64_t)length : 0);
    switch (random_below(&r, 7)) {
    case 0: {
        struct slice items[2] = {item, other};
        tlist_push_all(v, items, 2, flag, limits);
        return 0;
    }
    case 1:
    case 2: tlist_push(v, item, flag, limits); return 0;
    case 3: return tlist_set(v, at, item, limits);
    case 4: return tlist_insert(v, item, other, flag, limits);
    case 5: return tlist_remove(v, item, random_below(&r, 3), flag);
    default:
        tlist_delete(v, random_below(&r, length + 2), random_below(&r, 4));
        tlist_has_shrunk(v, limits);
        return 0;
    }
}

static void test_encodings_agree(void **state) {
    (void)state;
    int64_t start = mem_used();
    struct value_limits wide = limits_of(-5), narrow = limits_of(2), medium = limits_of(24);
    narrow.list_compress_depth = 1;
    struct value a = tlist_new(), b = tlist_new(), c = tlist_new();
    for (uint64_t i = 0; i < 3000; i++) {
        uint64_t told = change(&a, &wide, i);
        assert_int_equal(told, change(&b, &narrow, i));
        assert_int_equal(told, change(&c, &medium, i));
        if (i % 7 != 0) continue;
        expect_equal(a, b);
        expect_equal(a, c);
    }
    assert_int_equal(a.encoding, ENC_LIST_LISTPACK);
    assert_int_equal(b.encoding, ENC_LIST_QUICKLIST);
    struct value copy = value_copy(b);
    expect_equal(a, copy);
    tlist_push(&copy, SLICE_LITERAL("more"), true, &narrow);
    assert_int_equal(tlist_length(copy), tlist_length(b) + 1);
    expect_equal(a, b);
    value_free(copy);
    value_free(a);
    value_free(b);
    value_free(c);
    assert_int_equal(mem_used(), start);
}

static void test_growing(void **state) {
    (void)state;
    struct value_limits limits = limits_of(-1);
    char text[4096] = {0};
    // Bytes: what there is and the bare length of what comes. 4096 - 7 are just not too many.
    struct value v = tlist_new();
    tlist_push(&v, slice_of(text, 4089), false, &limits);
    assert_int_equal(v.encoding, ENC_LIST_LISTPACK);
    tlist_push(&v, slice_of(text, 0), false, &limits);
    assert_int_equal(v.encoding, ENC_LIST_QUICKLIST);
    value_free(v);
    v = tlist_new();
    tlist_push(&v, slice_of(text, 4090), false, &limits);
    assert_int_equal(v.encoding, ENC_LIST_QUICKLIST);
    assert_int_equal(tlist_length(v), 1);
    value_free(v);
    // Items: with a bound on their number all that come at once count, and no more than 8 KiB.
    limits = limits_of(3);
    struct slice items[4] = {SLICE_LITERAL("a"), SLICE_LITERAL("b"), SLICE_LITERAL("c"),
                             SLICE_LITERAL("d")};
    v = tlist_new();
    tlist_push_all(&v, items, 3, true, &limits);
    assert_int_equal(v.encoding, ENC_LIST_LISTPACK);
    tlist_push_all(&v, items, 1, true, &limits);
    assert_int_equal(v.encoding, ENC_LIST_QUICKLIST);
    value_free(v);
    v = tlist_new();
    tlist_push_all(&v, items, 4, true, &limits);
    assert_int_equal(v.encoding, ENC_LIST_QUICKLIST);
    assert_true(value_is_valid(v));
    value_free(v);
    uint8_t *lp = listpack_new(0);
    for (int i = 0; i < 4; i++) lp = listpack_append(lp, items[i]);
    v = tlist_from_listpack(lp, &limits);
    assert_int_equal(v.encoding, ENC_LIST_QUICKLIST);
    value_free(v);
}

static void test_shrinking(void **state) {
    (void)state;
    struct value_limits limits = limits_of(8);
    struct value v = tlist_new();
    for (int i = 0; i < 9; i++) tlist_push(&v, SLICE_LITERAL("x"), false, &limits);
    assert_int_equal(v.encoding, ENC_LIST_QUICKLIST);
    tlist_delete(&v, 8, 1); // the second node is gone: eight in one
    tlist_has_shrunk(&v, &limits);
    assert_int_equal(v.encoding, ENC_LIST_QUICKLIST);
    tlist_delete(&v, 0, 3);
    tlist_has_shrunk(&v, &limits);
    assert_int_equal(v.encoding, ENC_LIST_QUICKLIST); // five are more than half
    struct value loaded = value_copy(v);
    tlist_settle(&loaded, &limits); // but not more than the limit
    assert_int_equal(loaded.encoding, ENC_LIST_LISTPACK);
    assert_int_equal(tlist_length(loaded), 5);
    value_free(loaded);
    tlist_delete(&v, 0, 1);
    tlist_has_shrunk(&v, &limits);
    assert_int_equal(v.encoding, ENC_LIST_LISTPACK);
    assert_true(value_is_valid(v));
    // Two nodes, however short, stay.
    for (int i = 0; i < 5; i++) tlist_push(&v, SLICE_LITERAL("y"), false, &limits);
    assert_int_equal(v.encoding, ENC_LIST_QUICKLIST);
    tlist_delete(&v, 1, 7);
    assert_int_equal(tlist_length(v), 2);
    tlist_has_shrunk(&v, &limits);
    assert_int_equal(v.encoding, ENC_LIST_QUICKLIST);
    value_free(v);
}

static void test_comparing(void **state) {
    (void)state;
    static const char *const texts[] = {"12", "012", "+12", "-12", "", "a", "12 "};
    struct value v = tlist_new();
    for (size_t i = 0; i < 7; i++)
        tlist_push(&v, slice_text(texts[i]), false, &value_default_limits);
    for (size_t i = 0; i < 7; i++) {
        struct tlist_text wanted = tlist_text(slice_text(texts[i]));
        struct tlist_iterator it;
        struct listpack_item item;
        tlist_iterate(&it, v, 0, false);
        for (size_t k = 0; tlist_next(&it, &item); k++)
            assert_int_equal(tlist_equal(&item, &wanted), k == i);
    }
    value_free(v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encodings_agree),
        cmocka_unit_test(test_growing),
        cmocka_unit_test(test_shrinking),
        cmocka_unit_test(test_comparing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
