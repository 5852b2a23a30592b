// SPDX-License-Identifier: BSD-3-Clause
//
// Blobs and the pieces of replies that hold them: bytes survive growth across the threshold where a
// blob becomes a mapping, what a mapping grows by is zero, users are counted, memory is accounted
// to the byte; lists keep their order when they are joined, cut, shifted and turned into vectors.
// One thread.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/alloc.h"
#include "engine/base/blob.h"
#include "engine/base/pieces.h"
#include "engine/base/reply.h"

static const size_t sizes[] = {
    0, 1, 2000, 65536, BLOB_MAP_MIN - 1, BLOB_MAP_MIN, BLOB_MAP_MIN + 1, 4 * BLOB_MAP_MIN + 77};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void fill(char *p, size_t n) {
    for (size_t i = 0; i < n; i++) p[i] = (char)(i * 31 + i / 255);
}

static void check(const char *p, size_t n) {
    for (size_t i = 0; i < n; i++) assert_int_equal(p[i], (char)(i * 31 + i / 255));
}

static void test_sizes(void **state) {
    (void)state;
    int64_t start = mem_used();
    for (size_t i = 0; i < SIZES; i++) {
        struct blob *b = blob_new_zeroed(sizes[i], sizes[i]);
        assert_int_equal(mem_used() - start, blob_memory(b));
        assert_int_equal(blob_text(b).n, sizes[i]);
        assert_true(b->cap >= sizes[i] && b->cap + sizeof(*b) <= blob_memory(b));
        for (size_t k = 0; k < b->cap; k++) assert_int_equal(b->bytes[k], 0);
        fill(b->bytes, b->len);
        for (size_t j = i; j < SIZES; j++) {
            b = blob_resize(b, sizes[j]);
            assert_true(b->cap >= sizes[j]);
            assert_int_equal(mem_used() - start, blob_memory(b));
            check(b->bytes, sizes[i]);
        }
        b = blob_resize(b, sizes[i]);
        check(b->bytes, sizes[i]);
        blob_drop(b);
        assert_int_equal(mem_used(), start);
    }
}

static void test_users(void **state) {
    (void)state;
    int64_t start = mem_used();
    struct blob *b = blob_new(SLICE_LITERAL("hello"), 10);
    assert_false(blob_is_shared(b));
    blob_hold(b);
    assert_true(blob_is_shared(b));
    assert_false(blob_release(b));
    assert_false(blob_is_shared(b));
    assert_true(blob_release(b));
    blob_free(b);
    assert_int_equal(mem_used(), start);
}

static void test_has(void **state) {
    (void)state;
    struct blob *b = blob_new_zeroed(100, 100);
    assert_true(blob_has(b, slice_of(b->bytes, b->cap)));
    assert_true(blob_has(b, slice_of(b->bytes + 5, b->cap - 5)));
    assert_false(blob_has(b, slice_of(b->bytes + 5, b->cap - 4)));
    assert_false(blob_has(b, SLICE_LITERAL("elsewhere")));
    blob_drop(b);
}

static void test_forgotten_parts(void **state) {
    (void)state;
    size_t n = 2 * BLOB_MAP_MIN;
    struct blob *b = blob_new_zeroed(n, n);
    memset(b->bytes, 'x', n);
    blob_forget(b, b->bytes + 10000, b->bytes + 10010); // less than a page: nothing
    for (size_t i = 10000; i < 10010; i++) assert_int_equal(b->bytes[i], 'x');
    blob_forget(b, b->bytes + 10000, b->bytes + 1000000);
    for (size_t i = 0; i < 10000; i++) assert_int_equal(b->bytes[i], 'x');
    for (size_t i = 1000000; i < n; i++) assert_int_equal(b->bytes[i], 'x');
    for (size_t i = 20000; i < 990000 && b->mapped; i++) assert_int_equal(b->bytes[i], 0);
    blob_drop(b);
}

static char *joined(const struct pieces *list, const struct buf *buf, size_t *n) {
    size_t count;
    struct iovec *v = pieces_vector(list, buf, &count);
    struct buf out = {0};
    for (size_t i = 0; i < count; i++) {
        assert_true(v[i].iov_len > 0);
        buf_append(&out, v[i].iov_base, v[i].iov_len);
    }
    mem_free(v);
    *n = out.len;
    return out.p;
}

/** Writes the same replies with and without references; the bytes on the wire must be the same. */
static void test_replies(void **state) {
    (void)state;
    int64_t start = mem_used();
    struct blob *big = blob_new_zeroed(3 * REPLY_SHARE_MIN, 3 * REPLY_SHARE_MIN);
    fill(big->bytes, big->len);
    struct buf out[2] = {{0}, {0}}, tail = {0};
    struct pieces *list = NULL, *tail_list = NULL;
    struct reply r[3];
    for (int i = 0; i < 2; i++) reply_init(&r[i], &out[i], 2);
    reply_init(&r[2], &tail, 2);
    r[0].pieces = &list;
    r[2].pieces = &tail_list;
    for (int i = 0; i < 3; i++) {
        size_t mark = reply_array_begin(&r[i]);
        for (size_t n = 0; n < 12; n++) { // more than 9: the header grows, what follows moves
            size_t length = n % 3 == 0 ? 10 : REPLY_SHARE_MIN - 1 + n % 3;
            reply_bulk_shared(&r[i], slice_of(big->bytes + n, length), big);
        }
        reply_array_end(&r[i], mark, 12);
        reply_bulk_shared(&r[i], slice_of(big->bytes, REPLY_SHARE_MIN), NULL);
    }
    assert_int_equal(list->count, 8);
    assert_true(out[0].len < out[1].len);
    // The second list comes behind the first.
    size_t base = out[0].len;
    buf_append(&out[0], tail.p, tail.len);
    pieces_append(&list, base, &tail_list);
    assert_null(tail_list);
    size_t whole = out[1].len;
    buf_reserve(&out[1], whole);
    buf_append(&out[1], out[1].p, whole);
    size_t n;
    char *text = joined(list, &out[0], &n);
    assert_int_equal(n, out[1].len);
    assert_int_equal(n, out[0].len + pieces_bytes(list));
    assert_memory_equal(text, out[1].p, n);
    mem_free(text);
    // Cut back to the first half.
    pieces_cut(&list, base, blob_drop);
    out[0].len = base;
    text = joined(list, &out[0], &n);
    assert_int_equal(n, whole);
    assert_memory_equal(text, out[1].p, n);
    mem_free(text);
    assert_true(blob_is_shared(big));
    pieces_cut(&list, 0, blob_drop);
    assert_null(list);
    assert_false(blob_is_shared(big));
    blob_drop(big);
    buf_free(&out[0]);
    buf_free(&out[1]);
    buf_free(&tail);
    assert_int_equal(mem_used(), start);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),   cmocka_unit_test(test_users),
        cmocka_unit_test(test_has),     cmocka_unit_test(test_forgotten_parts),
        cmocka_unit_test(test_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
