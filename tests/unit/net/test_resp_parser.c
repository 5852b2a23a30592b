// SPDX-License-Identifier: BSD-3-Clause
//
// What the request parser understands and what it refuses, with Redis 7.2's texts: each case is
// parsed whole and a byte at a time, from blocks of exactly the size, so that a sanitizer sees a
// read past the end. The arguments are written down as one text, each in brackets.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/base/buf.h"
#include "net/resp_parser.h"

static const struct resp_limits known = {.bulk_max = 512LL << 20, .authenticated = true};
static const struct resp_limits stranger = {.bulk_max = 512LL << 20, .authenticated = false};

/**
 * Parses input, shown in pieces of `piece` bytes, to its end; writes "[a][b];" for each command.
 */
static void transcribe(const char *input, size_t n, size_t piece, const struct resp_limits *limits,
                       struct buf *out) {
    struct resp_parser parser;
    struct resp_args args = {0};
    struct resp_result result;
    size_t start = 0;
    resp_parser_init(&parser);
    out->len = 0;
    for (size_t shown = piece < n ? piece : n;;) {
        size_t there = shown - start;
        char *data = malloc(there > 0 ? there : 1);
        memcpy(data, input + start, there);
        args.len = 0;
        enum resp_status status = resp_parse(&parser, data, there, limits, &args, &result);
        if (status == RESP_COMMAND) {
            assert_memory_equal(data, input + start, there); // it may have to be parsed again
            assert_int_equal(result.first, 0);
            assert_int_equal(result.argc, args.len);
            for (size_t i = 0; i < args.len; i++) {
                const char *p = args.v[i].p, *end = p + args.v[i].n;
                assert_true((p >= data && end <= data + there) ||
                            (p >= args.line && end <= args.line + args.line_cap));
                buf_printf(out, "[");
                buf_append(out, args.v[i].p, args.v[i].n);
                buf_printf(out, "]");
            }
            buf_printf(out, ";");
        } else if (status == RESP_NOTHING) {
            assert_int_equal(args.len, 0);
            buf_printf(out, "-;");
        } else if (status == RESP_ERROR) {
            buf_printf(out, "%s", result.error);
        } else {
            assert_true(result.missing >= 1);
        }
        free(data);
        if (status == RESP_ERROR) break;
        if (status == RESP_MORE) {
            if (shown == n) break;
            shown = shown + piece < n ? shown + piece : n;
        } else {
            assert_in_range(result.consumed, 1, there);
            start += result.consumed;
        }
    }
    if (start < n && (out->len == 0 || out->p[out->len - 1] == ';')) buf_printf(out, "...");
    buf_append_char(out, '\0');
    resp_parser_fini(&parser);
    resp_args_free(&args);
}

static void expect_n(const char *input, size_t n, const struct resp_limits *limits,
                     const char *expected) {
    struct buf out = {0};
    static const size_t pieces[] = {SIZE_MAX / 2, 1, 2, 3, 7};
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        transcribe(input, n, pieces[i], limits, &out);
        assert_string_equal(out.p, expected);
    }
    buf_free(&out);
}

static void expect(const char *input, const char *expected) {
    expect_n(input, strlen(input), &known, expected);
}

static void test_arrays(void **state) {
    (void)state;
    expect("*1\r\n$4\r\nPING\r\n", "[PING];");
    expect("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n", "[SET][k][];");
    expect("*2\r\n$4\r\nECHO\r\n$12\r\nhello\r\nworld\r\n", "[ECHO][hello\r\nworld];");
    expect("*1\r\n$1\r\na\r\n*1\r\n$1\r\nb\r\n*1\r\n$1\r\nc\r\n", "[a];[b];[c];");
    expect("*10\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n$1\r\n5\r\n$1\r\n6\r\n$1\r\n7\r\n"
           "$1\r\n8\r\n$1\r\n9\r\n$2\r\n10\r\n",
           "[1][2][3][4][5][6][7][8][9][10];");
    expect("*0\r\n*-1\r\n*-99\r\n*1\r\n$1\r\nx\r\n", "-;-;-;[x];");
    // Redis does not look at the byte after '\r', nor at the two after an argument.
    expect("*1\rX$4\rYPING??", "[PING];");
    // Incomplete, in every phase.
    expect("*", "...");
    expect("*1\r", "...");
    expect("*2\r\n$1\r\na\r\n", "...");
    expect("*1\r\n$", "...");
    expect("*1\r\n$4\r\nPING\r", "...");
    expect("*1\r\nfoo", "...");
    expect("", "");
}

static void test_long_arguments(void **state) {
    (void)state;
    static const size_t sizes[] = {9, 10, 99, 100, 999, 1000, 9999, 10000, 16385, 100000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct buf in = {0}, expected = {0}, out = {0};
        buf_printf(&in, "*2\r\n$%zu\r\n", sizes[i]);
        memset(buf_reserve(&in, sizes[i]), 'x', sizes[i]);
        in.len += sizes[i];
        buf_printf(&in, "\r\n$1\r\ny\r\n");
        buf_append_char(&expected, '[');
        memset(buf_reserve(&expected, sizes[i]), 'x', sizes[i]);
        expected.len += sizes[i];
        buf_append(&expected, "][y];", 6);
        for (size_t piece = 1000; piece < 200000; piece *= 5) {
            transcribe(in.p, in.len, piece, &known, &out);
            assert_string_equal(out.p, expected.p);
        }
        buf_free(&in);
        buf_free(&expected);
        buf_free(&out);
    }
}

static void test_array_errors(void **state) {
    (void)state;
#define E "ERR Protocol error: "
    expect("*\r\n", E "invalid multibulk length");
    expect("*a\r\n", E "invalid multibulk length");
    expect("*1a\r\n", E "invalid multibulk length");
    expect("*+1\r\n", E "invalid multibulk length");
    expect("* 1\r\n", E "invalid multibulk length");
    expect("*01\r\n", E "invalid multibulk length");
    expect("*-0\r\n", E "invalid multibulk length");
    expect("*2147483648\r\n", E "invalid multibulk length");
    expect("*2147483647\r\n", "...");
    expect("*99999999999999999999\r\n", E "invalid multibulk length");
    expect("*1\r\nfoo\r\n", E "expected '$', got 'f'");
    expect("*1\r\n\r\n", E "expected '$', got ' '");
    expect("*2\r\n$1\r\na\r\n*1\r\n", E "expected '$', got '*'");
    expect("*1\r\n$\r\n", E "invalid bulk length");
    expect("*1\r\n$-1\r\n", E "invalid bulk length");
    expect("*1\r\n$01\r\na\r\n", E "invalid bulk length");
    expect("*1\r\n$1x\r\na\r\n", E "invalid bulk length");
    expect("*1\r\n$x\r\na\r\n", E "invalid bulk length");
    expect("*1\r\n$536870913\r\n", E "invalid bulk length");
    expect("*1\r\n$536870912\r\n", "...");
    expect("*1\r\n$9223372036854775807\r\n", E "invalid bulk length");
    struct resp_limits small = {.bulk_max = 5, .authenticated = true};
    const char *six = "*1\r\n$6\r\nabcdef\r\n";
    expect_n(six, strlen(six), &small, E "invalid bulk length");
    const char *five = "*1\r\n$5\r\nabcde\r\n";
    expect_n(five, strlen(five), &small, "[abcde];");
}

static void test_strangers(void **state) {
    (void)state;
    const char *s = "*10\r\n";
    expect_n(s, strlen(s), &stranger, "...");
    s = "*11\r\n";
    expect_n(s, strlen(s), &stranger, E "unauthenticated multibulk length");
    s = "*1\r\n$16384\r\n";
    expect_n(s, strlen(s), &stranger, "...");
    s = "*1\r\n$16385\r\n";
    expect_n(s, strlen(s), &stranger, E "unauthenticated bulk length");
    s = "*1\r\n$536870913\r\n";
    expect_n(s, strlen(s), &stranger, E "invalid bulk length");
}

/** A line of n bytes of c behind a beginning, with an end. */
static void expect_line(const char *beginning, size_t n, const char *end, const char *expected) {
    struct buf in = {0}, out = {0};
    buf_append_text(&in, beginning);
    memset(buf_reserve(&in, n), '1', n);
    in.len += n;
    buf_append_text(&in, end);
    for (size_t piece = 997; piece < 1000000; piece *= 10) {
        transcribe(in.p, in.len, piece, &known, &out);
        if (strncmp(out.p, "[1", 2) == 0) out.p[1] = '\0';
        assert_string_equal(out.p, expected);
    }
    buf_free(&in);
    buf_free(&out);
}

static void test_lines_without_end(void **state) {
    (void)state;
    expect_line("", RESP_INLINE_MAX, "", "...");
    expect_line("", RESP_INLINE_MAX, "\n", "[");
    expect_line("", RESP_INLINE_MAX + 1, "", E "too big inline request");
    expect_line("", RESP_INLINE_MAX + 1, "\n", E "too big inline request");
    expect_line("*", RESP_INLINE_MAX - 1, "", "...");
    expect_line("*", RESP_INLINE_MAX - 1, "\r\n", E "invalid multibulk length");
    expect_line("*", RESP_INLINE_MAX, "", E "too big mbulk count string");
    expect_line("*", RESP_INLINE_MAX, "\r\n", E "too big mbulk count string");
    expect_line("*1\r\n$", RESP_INLINE_MAX - 1, "", "...");
    expect_line("*1\r\n$", RESP_INLINE_MAX, "", E "too big bulk count string");
    expect_line("*1\r\nx", RESP_INLINE_MAX, "", E "too big bulk count string");
}

static void test_inline(void **state) {
    (void)state;
    expect("PING\r\n", "[PING];");
    expect("PING\n", "[PING];");
    expect("\r\n\n   \r\n\t\nGET a\r\n", "-;-;-;-;[GET][a];");
    expect("  set \t a   b \r\n", "[set][a][b];");
    expect("PING", "...");
    expect("a\rb\n", "[a][b];");
    expect("a\r\r\n", "[a];");
    expect("a\vb \v c\n", "[a\vb][c];");
    expect("$3\r\n", "[$3];");
    expect("GET 'it\\'s' \"a b\"\n", "[GET][it's][a b];");
    expect("\"\\x41\\x4a\\x4A\\n\\r\\t\\b\\a\\q\\\"\\\\\"\n", "[AJJ\n\r\t\b\aq\"\\];");
    expect("\"\\xZZ\\x4\"\n", "[xZZx4];");
    expect("'\\n\\x41'\n", "[\\n\\x41];");
    expect("\"\" '' x\n", "[][][x];");
    expect("foo\"bar\"\n", "[foobar];");
    expect("foo'b r' x\n", "[foob r][x];");
    expect_n("\"a\\x00b\"\n", 9, &known, "[a"); // cut at the zero by the comparison
    expect("\"abc\n", E "unbalanced quotes in request");
    expect("'abc\r\n", E "unbalanced quotes in request");
    expect("\"abc\"d\n", E "unbalanced quotes in request");
    expect("'abc'd\n", E "unbalanced quotes in request");
    expect("ok \"abc\\\"\n", E "unbalanced quotes in request");
    expect("'a\\\n", E "unbalanced quotes in request");
}

static void test_batch_appends(void **state) {
    (void)state;
    char data[] = "*2\r\n$1\r\na\r\n$1\r\nb\r\nc d e\r\n*1\r\n$1\r\nf\r\n";
    struct resp_parser parser;
    struct resp_args args = {0};
    struct resp_result result;
    resp_parser_init(&parser);
    size_t at = 0, n = sizeof(data) - 1, expected_first = 0;
    static const int argcs[] = {2, 3, 1};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(resp_parse(&parser, data + at, n - at, &known, &args, &result),
                         RESP_COMMAND);
        assert_int_equal(result.first, expected_first);
        assert_int_equal(result.argc, argcs[i]);
        expected_first += (size_t)result.argc;
        at += result.consumed;
    }
    assert_int_equal(at, n);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(args.v[i].n, 1);
        assert_int_equal(args.v[i].p[0], 'a' + i);
    }
    assert_null(parser.offsets);
    resp_args_free(&args);
}

/** A header that claims much makes no room before the bytes come; what is missing is told. */
static void test_claims_cost_nothing(void **state) {
    (void)state;
    char many[] = "*2147483647\r\n$1\r\na\r\n", big[] = "*1\r\n$1000\r\nabc";
    struct resp_parser parser;
    struct resp_args args = {0};
    struct resp_result result;
    resp_parser_init(&parser);
    assert_int_equal(resp_parse(&parser, many, sizeof(many) - 1, &known, &args, &result),
                     RESP_MORE);
    assert_true(args.cap <= 64);
    assert_true(parser.offset_cap <= 64);
    assert_int_equal(args.len, 0);
    resp_parser_fini(&parser);
    assert_int_equal(resp_parse(&parser, big, sizeof(big) - 1, &known, &args, &result), RESP_MORE);
    assert_int_equal(result.missing, 999);
    resp_parser_fini(&parser);
    resp_args_free(&args);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_long_arguments),
        cmocka_unit_test(test_array_errors),
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_lines_without_end),
        cmocka_unit_test(test_inline),
        cmocka_unit_test(test_batch_appends),
        cmocka_unit_test(test_claims_cost_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
