// SPDX-License-Identifier: BSD-3-Clause
//
// The reply writer: each reply's exact bytes in RESP2 and RESP3, headers at every change of length,
// arrays whose length is known afterwards (nested, and longer than the room set aside), and what is
// remembered of errors. One thread.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/alloc.h"
#include "engine/base/reply.h"

// Runs a statement on a fresh reply r in both protocols and compares the bytes.
#define EXPECT(statement, resp2, resp3)                     \
    do {                                                    \
        for (uint8_t proto = 2; proto <= 3; proto++) {      \
            struct buf out = {0};                           \
            struct reply state_, *r = &state_;              \
            reply_init(r, &out, proto);                     \
            statement;                                      \
            expect_bytes(&out, proto == 2 ? resp2 : resp3); \
            buf_free(&out);                                 \
        }                                                   \
    } while (0)

static void expect_bytes(const struct buf *out, const char *expected) {
    if (out->len != strlen(expected) || memcmp(out->p, expected, out->len) != 0) {
        fail_msg("wrote '%.*s', not '%s'", (int)out->len, out->p, expected);
    }
}

static void test_scalars(void **state) {
    (void)state;
    EXPECT(reply_ok(r), "+OK\r\n", "+OK\r\n");
    EXPECT(reply_status(r, "QUEUED"), "+QUEUED\r\n", "+QUEUED\r\n");
    EXPECT(reply_int(r, 0), ":0\r\n", ":0\r\n");
    EXPECT(reply_int(r, 9), ":9\r\n", ":9\r\n");
    EXPECT(reply_int(r, 10), ":10\r\n", ":10\r\n");
    EXPECT(reply_int(r, 100), ":100\r\n", ":100\r\n");
    EXPECT(reply_int(r, -1), ":-1\r\n", ":-1\r\n");
    EXPECT(reply_int(r, INT64_MAX), ":9223372036854775807\r\n", ":9223372036854775807\r\n");
    EXPECT(reply_int(r, INT64_MIN), ":-9223372036854775808\r\n", ":-9223372036854775808\r\n");
    EXPECT(reply_bool(r, true), ":1\r\n", "#t\r\n");
    EXPECT(reply_bool(r, false), ":0\r\n", "#f\r\n");
    EXPECT(reply_null(r), "$-1\r\n", "_\r\n");
    EXPECT(reply_null_array(r), "*-1\r\n", "_\r\n");
    EXPECT(reply_double(r, 1.5), "$3\r\n1.5\r\n", ",1.5\r\n");
    EXPECT(reply_double(r, -INFINITY), "$4\r\n-inf\r\n", ",-inf\r\n");
    EXPECT(reply_raw(r, ":1\r\n", 4), ":1\r\n", ":1\r\n");
}

static void test_bulks(void **state) {
    (void)state;
    EXPECT(reply_bulk(r, NULL, 0), "$0\r\n\r\n", "$0\r\n\r\n");
    EXPECT(reply_bulk_text(r, "hi"), "$2\r\nhi\r\n", "$2\r\nhi\r\n");
    EXPECT(reply_bulk_slice(r, SLICE_LITERAL("0123456789")), "$10\r\n0123456789\r\n",
           "$10\r\n0123456789\r\n");
    EXPECT(reply_bulk_int(r, -42), "$3\r\n-42\r\n", "$3\r\n-42\r\n");
    EXPECT(reply_verbatim(r, "txt", SLICE_LITERAL("a b")), "$3\r\na b\r\n", "=7\r\ntxt:a b\r\n");
    EXPECT(reply_verbatim(r, "txt", SLICE_LITERAL("")), "$0\r\n\r\n", "=4\r\ntxt:\r\n");
}

static void test_bulk_lengths(void **state) {
    (void)state;
    static char bytes[10001];
    memset(bytes, 'v', sizeof(bytes));
    static const size_t sizes[] = {1, 9, 10, 11, 99, 100, 101, 999, 1000, 1001, 9999, 10000, 10001};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct buf out = {0};
        struct reply r;
        reply_init(&r, &out, 2);
        reply_bulk(&r, bytes, sizes[i]);
        char header[32];
        int n = snprintf(header, sizeof(header), "$%zu\r\n", sizes[i]);
        assert_int_equal(out.len, (size_t)n + sizes[i] + 2);
        assert_memory_equal(out.p, header, (size_t)n);
        assert_memory_equal(out.p + n, bytes, sizes[i]);
        assert_memory_equal(out.p + out.len - 2, "\r\n", 2);
        buf_free(&out);
    }
}

static void test_headers(void **state) {
    (void)state;
    EXPECT(reply_array(r, 0), "*0\r\n", "*0\r\n");
    EXPECT(reply_array(r, 1234567), "*1234567\r\n", "*1234567\r\n");
    EXPECT(reply_map(r, 5), "*10\r\n", "%5\r\n");
    EXPECT(reply_set(r, 3), "*3\r\n", "~3\r\n");
    EXPECT(reply_push(r, 3), "*3\r\n", ">3\r\n");
}

static void test_errors(void **state) {
    (void)state;
    EXPECT(reply_error(r, "ERR no"), "-ERR no\r\n", "-ERR no\r\n");
    EXPECT(reply_error(r, "ERR a\r\nb\n"), "-ERR a  b\r\n", "-ERR a  b\r\n");
    EXPECT(reply_error_format(r, "ERR %d of '%s'", 7, "x\ny"), "-ERR 7 of 'x y'\r\n",
           "-ERR 7 of 'x y'\r\n");
    struct buf out = {0};
    struct reply r;
    reply_init(&r, &out, 2);
    assert_int_equal(r.errors, 0);
    reply_error(&r, "WRONGTYPE Operation");
    assert_int_equal(r.errors, 1);
    assert_string_equal(r.error_code, "WRONGTYPE");
    reply_error(&r, "NOSPACE");
    assert_string_equal(r.error_code, "NOSPACE");
    reply_error(&r, "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF x");
    assert_string_equal(r.error_code, "ABCDEFGHIJKLMNOPQRSTUVW");
    assert_int_equal(r.errors, 3);
    buf_free(&out);
}

static void test_long_error(void **state) {
    (void)state;
    for (int n = 1010; n < 1040; n++) {
        struct buf out = {0};
        struct reply r;
        reply_init(&r, &out, 3);
        reply_error_format(&r, "%0*d", n, 1);
        assert_int_equal(out.len, n + 3);
        assert_int_equal(out.p[out.len - 3], '1');
        buf_free(&out);
    }
}

static void nested(struct reply *r) {
    reply_ok(r);
    size_t outer = reply_array_begin(r);
    for (int i = 0; i < 12; i++) reply_int(r, i);
    size_t inner = reply_array_begin(r);
    reply_array_end(r, inner, 0);
    reply_array_end(r, outer, 13);
    reply_int(r, 7);
}

static void test_late_lengths(void **state) {
    (void)state;
#define NESTED                                                                                 \
    "+OK\r\n*13\r\n:0\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n:7\r\n:8\r\n:9\r\n:10\r\n:11\r\n" \
    "*0\r\n:7\r\n"
    EXPECT(nested(r), NESTED, NESTED);
    EXPECT(reply_set_end(r, reply_array_begin(r), 0), "*0\r\n", "~0\r\n");
    EXPECT(reply_map_end(r, reply_array_begin(r), 0), "*0\r\n", "%0\r\n");
    EXPECT(reply_map_end(r, reply_array_begin(r), 5), "*10\r\n", "%5\r\n");
    EXPECT(reply_set_end(r, reply_array_begin(r), 123456), "*123456\r\n", "~123456\r\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),      cmocka_unit_test(test_bulks),
        cmocka_unit_test(test_bulk_lengths), cmocka_unit_test(test_headers),
        cmocka_unit_test(test_errors),       cmocka_unit_test(test_long_error),
        cmocka_unit_test(test_late_lengths),
    };
    return cmocka_run_group_tests_name("engine/base/reply", tests, NULL, NULL);
}
