// SPDX-License-Identifier: BSD-3-Clause
//
// The rules of loading (persistence/rdb_feed.h) and the dry run (persistence/rdb_check.h) on small
// files made here, read in pieces of odd sizes: what is taken, left out and refused, and with which
// place and reason.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "persistence/rdb_check.h"

/** A file in memory that comes in pieces of `piece` bytes. */
struct file {
    struct buf bytes;
    size_t at, piece;
    int error; // at the end, instead of the end
};

static ssize_t read_memory(void *context, void *p, size_t n) {
    struct file *f = context;
    size_t left = f->bytes.len - f->at;
    if (left == 0) return f->error;
    if (n > f->piece) n = f->piece;
    if (n > left) n = left;
    memcpy(p, f->bytes.p + f->at, n);
    f->at += n;
    return (ssize_t)n;
}

static void add(struct file *f, const char *bytes, size_t n) { buf_append(&f->bytes, bytes, n); }
#define ADD(f, literal) add(f, literal, sizeof(literal) - 1)

static void begin(struct file *f) {
    *f = (struct file){.piece = 7};
    ADD(f, "REDIS0009\xfa\x03who\x04test\xfe\x00");
}

static void add_text(struct file *f, const char *text) {
    buf_append_char(&f->bytes, (char)strlen(text));
    buf_append_text(&f->bytes, text);
}

static void add_string(struct file *f, const char *key, const char *value) {
    buf_append_char(&f->bytes, RDB_STRING);
    add_text(f, key);
    add_text(f, value);
}

/** The mark of the end, and no checksum. */
static void end(struct file *f) { ADD(f, "\xff\0\0\0\0\0\0\0\0"); }

static bool check_file(struct file *f, struct rdb_check *check, bool skip) {
    *check = (struct rdb_check){
        .feed = {.source = read_memory, .source_context = f, .databases = 16, .skip_unknown = skip},
        .limits = &value_default_limits};
    bool good = rdb_check(check);
    buf_free(&f->bytes);
    return good;
}

static void assert_refused(struct file *f, bool skip, uint64_t from, uint64_t to,
                           const char *reason) {
    struct rdb_check check;
    assert_false(check_file(f, &check, skip));
    assert_in_range(check.feed.fault.offset, from, to);
    if (!strstr(check.feed.fault.text, reason)) fail_msg("%s", check.feed.fault.text);
}

static void good_files(void **state) {
    (void)state;
    for (size_t piece = 1; piece < 100; piece *= 3) {
        struct file f;
        struct rdb_check check;
        begin(&f);
        f.piece = piece;
        add_string(&f, "a", "1");
        add_string(&f, "b", "2");
        ADD(&f, "\xfe\x0f");
        add_string(&f, "a", "3");
        end(&f);
        assert_true(check_file(&f, &check, false));
        assert_int_equal(check.keys, 3);
        assert_int_equal(check.feed.left_out.keys, 0);
    }
}

static void a_key_twice(void **state) {
    (void)state;
    struct file f;
    begin(&f);
    for (char name[] = "a"; name[0] <= 'z'; name[0]++) add_string(&f, name, "x");
    add_string(&f, "k", "y");
    end(&f);
    assert_refused(&f, true, 21, f.bytes.len, "the key 'k' comes twice in database 0");
}

static void many_keys(void **state) {
    (void)state;
    for (int twice = 0; twice < 2; twice++) {
        struct file f;
        struct rdb_check check;
        char name[16];
        begin(&f);
        f.piece = 4096;
        for (int i = 0; i < 20000; i++) {
            snprintf(name, sizeof name, "key:%d", i);
            add_string(&f, name, "x");
        }
        if (twice) add_string(&f, "key:0", "x");
        end(&f);
        assert_int_equal(check_file(&f, &check, false), !twice);
        assert_int_equal(check.keys, 20000);
    }
}

/** A set of so many members. */
static void add_set(struct file *f, const char *key, uint32_t members) {
    char text[32];
    uint32_t count = __builtin_bswap32(members);
    buf_append_char(&f->bytes, RDB_SET);
    add_text(f, key);
    buf_append_char(&f->bytes, (char)RDB_LENGTH_32);
    buf_append(&f->bytes, &count, sizeof count);
    for (uint32_t i = 0; i < members; i++) {
        snprintf(text, sizeof text, "member number %u", i);
        add_text(f, text);
    }
}

/** Its bytes are given back while it is made; what is behind it is read all the same. */
static void a_large_value(void **state) {
    (void)state;
    struct rdb_check check;
    struct file f;
    begin(&f);
    f.piece = 1000000;
    add_string(&f, "before", "x");
    add_set(&f, "large", 200000);
    for (int i = 0; i < 10; i++) add_string(&f, (char[]){(char)('a' + i), 0}, "y");
    end(&f);
    assert_true(check_file(&f, &check, false));
    assert_int_equal(check.keys, 12);
    begin(&f);
    f.piece = 1000000;
    add_set(&f, "large", 200000);
    add_set(&f, "large", 200000);
    end(&f);
    assert_refused(&f, false, 200000 * 15, 2 * 200000 * 21, "the key 'large' comes twice");
    begin(&f);
    f.piece = 1000000;
    add_set(&f, "large", 200000);
    f.bytes.p[f.bytes.len - 1] = '8'; // is there already
    end(&f);
    assert_refused(&f, false, 200000 * 15, 200000 * 21, "a member of a set twice");
}

static void databases(void **state) {
    (void)state;
    struct file f;
    begin(&f);
    add_string(&f, "a", "1");
    ADD(&f, "\xfe\x10");
    add_string(&f, "b", "1");
    end(&f);
    assert_refused(&f, true, 20, 40, "the file has a database 16, and `databases` allows 16");
}

static void functions(void **state) {
    (void)state;
    for (int skip = 0; skip < 2; skip++) {
        struct file f;
        struct rdb_check check;
        begin(&f);
        ADD(&f, "\xf5");
        add_text(&f, "#!lua name=l");
        add_string(&f, "a", "1");
        end(&f);
        if (!skip) {
            assert_refused(&f, false, 20, 50, "rdb-unknown skip");
            continue;
        }
        assert_true(check_file(&f, &check, true));
        assert_int_equal(check.keys, 1);
        assert_int_equal(check.feed.left_out.functions, 1);
    }
}

static void ends_too_early(void **state) {
    (void)state;
    struct file f;
    begin(&f);
    add_string(&f, "a", "1");
    uint64_t length = f.bytes.len;
    assert_refused(&f, true, length - 3, length, "");
    begin(&f);
    add_string(&f, "a", "1");
    f.error = -EIO;
    assert_refused(&f, true, length - 3, length, "");
}

static void values_are_looked_into(void **state) {
    (void)state;
    struct file f;
    begin(&f);
    ADD(&f, "\x0b\x01s\x08\x03\x00\x00\x00\x01\x00\x00\x00"); // an intset of words of 3 bytes
    end(&f);
    assert_refused(&f, true, 20, 40, "");
}

static void names_are_bounded(void **state) {
    (void)state;
    struct rdb_left_out out = {0}, more = {0};
    for (int i = 0; i < 1000; i++) rdb_left_out_add(&out, &out.keys, slice_text("somekey"));
    assert_int_equal(out.keys, 1000);
    assert_true(out.more);
    assert_in_range(strlen(out.names), 300, RDB_LEFT_OUT_NAMES);
    rdb_left_out_add(&more, &more.modules, slice_text("tree"));
    rdb_left_out_add(&more, &more.keys, slice_text("k"));
    assert_string_equal(more.names, "tree, k");
    rdb_left_out_join(&more, &out);
    assert_int_equal(more.keys, 1001);
    assert_int_equal(more.modules, 1);
    assert_true(more.more);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_files),
        cmocka_unit_test(a_key_twice),
        cmocka_unit_test(a_large_value),
        cmocka_unit_test(many_keys),
        cmocka_unit_test(databases),
        cmocka_unit_test(functions),
        cmocka_unit_test(ends_too_early),
        cmocka_unit_test(names_are_bounded),
        cmocka_unit_test(values_are_looked_into),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
