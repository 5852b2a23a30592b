// SPDX-License-Identifier: BSD-3-Clause
//
// The byte buffer: contents survive growth at every size, growth stays amortised (few moves,
// bounded waste), consuming and shrinking keep the invariant, printf at the edge of the room. One
// thread.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/alloc.h"
#include "engine/base/buf.h"

static void check(const struct buf *b) {
    assert_true(b->len <= b->cap);
    assert_int_equal(b->p == NULL, b->cap == 0);
}

static void test_append(void **state) {
    (void)state;
    int64_t start = mem_used();
    struct buf b = {0};
    buf_append(&b, NULL, 0);
    assert_null(b.p);
    for (int i = 0; i < 100000; i++) {
        buf_append_char(&b, (char)i);
        check(&b);
    }
    for (int i = 0; i < 100000; i++) assert_int_equal(b.p[i], (char)i);
    buf_append_text(&b, "end");
    assert_int_equal(b.len, 100003);
    buf_free(&b);
    check(&b);
    assert_int_equal(mem_used(), start);
}

static void test_growth_is_amortised(void **state) {
    (void)state;
    struct buf b = {0};
    static char chunk[1000];
    size_t moves = 0;
    while (b.len < (64u << 20)) {
        size_t before = b.cap;
        buf_append(&b, chunk, sizeof(chunk));
        if (b.cap != before) moves++;
        if (b.len > 2000000) assert_true(b.cap <= b.len + b.len / 3);
    }
    assert_true(moves < 60);
    buf_free(&b);
}

static void test_consume(void **state) {
    (void)state;
    struct buf b = {0};
    buf_consume(&b, 0);
    buf_append_text(&b, "abcdef");
    buf_consume(&b, 0);
    buf_consume(&b, 2);
    assert_int_equal(b.len, 4);
    assert_memory_equal(b.p, "cdef", 4);
    buf_consume(&b, 4);
    assert_int_equal(b.len, 0);
    check(&b);
    buf_free(&b);
}

static void test_shrink(void **state) {
    (void)state;
    struct buf b = {0};
    buf_reserve(&b, 5000);
    buf_append_char(&b, 'x');
    buf_shrink_if_empty(&b, 100);
    assert_true(b.cap >= 5000);
    buf_consume(&b, 1);
    buf_shrink_if_empty(&b, b.cap);
    assert_true(b.cap >= 5000);
    buf_shrink_if_empty(&b, 100);
    assert_int_equal(b.cap, 0);
    check(&b);
}

static void test_printf(void **state) {
    (void)state;
    struct buf b = {0};
    size_t expected = 0;
    for (int i = 0; i < 300; i++) {
        buf_printf(&b, "%0*d", i + 1, 7);
        expected += (size_t)i + 1;
        assert_int_equal(b.len, expected);
        assert_int_equal(b.p[b.len - 1], '7');
        check(&b);
    }
    size_t len = b.len;
    buf_printf(&b, "%s", "");
    assert_int_equal(b.len, len);
    buf_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append),  cmocka_unit_test(test_growth_is_amortised),
        cmocka_unit_test(test_consume), cmocka_unit_test(test_shrink),
        cmocka_unit_test(test_printf),
    };
    return cmocka_run_group_tests_name("engine/base/buf", tests, NULL, NULL);
}
