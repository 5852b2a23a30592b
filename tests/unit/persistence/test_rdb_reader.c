// SPDX-License-Identifier: BSD-3-Clause
//
// The file reader over files made byte by byte: every opcode, both dialects, versions, checksums,
// what is skipped and what is refused, and each at every way in which a source can cut the bytes.
// One thread.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/alloc.h"
#include "engine/base/crc64.h"
#include "engine/keyspace/entry.h"
#include "persistence/rdb_reader.h"

/** A file in memory, given out in pieces. */
struct file {
    struct buf bytes;
    size_t at, piece; // 0: as much as is asked for
    size_t asked;     // the most that was
    ssize_t fail_at;  // -1: never
};

static ssize_t source(void *context, void *p, size_t n) {
    struct file *f = context;
    if (n > f->asked) f->asked = n;
    if (f->fail_at >= 0 && f->at >= (size_t)f->fail_at) return -5; // EIO
    size_t left = f->bytes.len - f->at;
    if (f->piece > 0 && n > f->piece) n = f->piece;
    if (n > left) n = left;
    if (n > 0) memcpy(p, f->bytes.p + f->at, n);
    f->at += n;
    return (ssize_t)n;
}

static void add(struct file *f, const char *bytes, size_t n) { buf_append(&f->bytes, bytes, n); }
#define ADD(f, literal) add(f, literal, sizeof(literal) - 1)

static void add_end(struct file *f, bool checksum) {
    ADD(f, "\xff");
    uint64_t crc = checksum ? crc64(0, f->bytes.p, f->bytes.len) : 0;
    buf_append(&f->bytes, &crc, sizeof(crc));
}

static struct file file_of(const char *magic) {
    struct file f = {.fail_at = -1};
    buf_append_text(&f.bytes, magic);
    return f;
}

static struct rdb_reader reader_of(struct file *f) {
    struct rdb_reader r;
    rdb_reader_init(&r, source, f);
    return r;
}

static void finish(struct rdb_reader *r, struct file *f) {
    rdb_reader_fini(r);
    buf_free(&f->bytes);
}

#define assert_slice(s, text)                           \
    do {                                                \
        assert_int_equal((s).n, strlen(text));          \
        assert_memory_equal((s).p, text, strlen(text)); \
    } while (0)

/** One of everything that a file of Redis may have. */
static void add_everything(struct file *f) {
    ADD(f, "\xfa\x09redis-ver\x05"
           "7.2.6");
    ADD(f, "\xfa\x0aredis-bits\xc0\x40");
    ADD(f, "\xf5\x04"
           "code");
    ADD(f, "\xfe\x03\xfb\x02\x01");
    ADD(f, "\xf4\x05\x01\x00");
    ADD(f, "\xfc\x01\x00\x00\x00\x00\x01\x00\x00\xf9\x07\x00\x03key\x05value");
    ADD(f, "\xfd\xff\xff\xff\xff\xf8\x40\xff\x01\xc1\x10\x27\x02\x01"
           "a\x01"
           "b");
}

static void check_everything(struct rdb_reader *r) {
    const struct rdb_record *i = &r->item;
    assert_int_equal(rdb_reader_next(r), RDB_ITEM_AUX);
    assert_slice(i->key, "redis-ver");
    assert_slice(i->text, "7.2.6");
    assert_int_equal(i->raw_offset, 9);
    assert_int_equal(i->raw.n, 17);
    assert_int_equal(rdb_reader_next(r), RDB_ITEM_AUX);
    assert_slice(i->key, "redis-bits");
    assert_slice(i->text, "64");
    assert_int_equal(rdb_reader_next(r), RDB_ITEM_FUNCTION);
    assert_slice(i->text, "code");
    assert_int_equal(rdb_reader_next(r), RDB_ITEM_DB);
    assert_int_equal(i->db, 3);
    assert_int_equal(rdb_reader_next(r), RDB_ITEM_RESIZE);
    assert_int_equal(i->numbers[0], 2);
    assert_int_equal(i->numbers[1], 1);
    assert_int_equal(rdb_reader_next(r), RDB_ITEM_SLOT);
    assert_int_equal(i->numbers[0], 5);
    assert_int_equal(i->numbers[1], 1);
    assert_int_equal(rdb_reader_next(r), RDB_ITEM_RECORD);
    assert_int_equal(i->db, 3);
    assert_int_equal(i->type, RDB_STRING);
    assert_slice(i->key, "key");
    assert_slice(i->value, "\x05value");
    assert_int_equal(i->expire_ms, INT64_C(1) << 40 | 1);
    assert_int_equal(i->freq, 7);
    assert_int_equal(i->idle_s, -1);
    assert_int_equal(i->raw.n, 11);
    assert_int_equal(i->offset, i->raw_offset + 5);
    assert_int_equal(rdb_reader_next(r), RDB_ITEM_RECORD);
    assert_int_equal(i->type, RDB_LIST);
    assert_slice(i->key, "10000");
    assert_int_equal(i->expire_ms, -1000);
    assert_int_equal(i->freq, -1);
    assert_int_equal(i->idle_s, 255);
    assert_int_equal(rdb_reader_next(r), RDB_ITEM_END);
    assert_int_equal(rdb_reader_next(r), RDB_ITEM_END);
    assert_int_equal(r->records, 2);
}

static void test_everything_in_any_pieces(void **state) {
    (void)state;
    for (size_t piece = 0; piece < 40; piece++) {
        struct file f = file_of("REDIS0011");
        add_everything(&f);
        add_end(&f, true);
        f.piece = piece;
        struct rdb_reader r = reader_of(&f);
        check_everything(&r);
        assert_true(r.has_checksum);
        assert_int_equal(r.version, 11);
        assert_int_equal(rdb_reader_offset(&r), f.bytes.len);
        finish(&r, &f);
    }
}

static void test_every_truncation_is_told_at_its_place(void **state) {
    (void)state;
    struct file whole = file_of("REDIS0011");
    add_everything(&whole);
    add_end(&whole, true);
    for (size_t n = 0; n < whole.bytes.len; n++) {
        struct file f = {.fail_at = -1, .piece = n % 7};
        buf_append(&f.bytes, whole.bytes.p, n);
        struct rdb_reader r = reader_of(&f);
        enum rdb_item item;
        do item = rdb_reader_next(&r);
        while (item != RDB_ITEM_END && item != RDB_ITEM_ERROR);
        assert_int_equal(item, RDB_ITEM_ERROR);
        assert_int_equal(rdb_reader_next(&r), RDB_ITEM_ERROR);
        assert_string_equal(r.in.error, "unexpected end of file");
        assert_int_equal(r.in.error_at, n);
        finish(&r, &f);
    }
    buf_free(&whole.bytes);
}

/** Reads to the end or to an error, whose text (in full) and offset must be these. */
static void expect(struct file *f, bool skip, const char *error, uint64_t offset) {
    struct rdb_reader r = reader_of(f);
    r.skip_unknown = skip;
    enum rdb_item item;
    do item = rdb_reader_next(&r);
    while (item != RDB_ITEM_END && item != RDB_ITEM_ERROR);
    if (error == NULL) {
        assert_string_equal(r.in.error, "");
        assert_int_equal(item, RDB_ITEM_END);
    } else {
        assert_int_equal(item, RDB_ITEM_ERROR);
        assert_string_equal(r.in.error, error);
        assert_int_equal(r.in.error_at, offset);
    }
    finish(&r, f);
}

static void test_checksums(void **state) {
    (void)state;
    struct file f = file_of("REDIS0005");
    add_end(&f, true);
    expect(&f, false, NULL, 0);
    f = file_of("REDIS0005");
    add_end(&f, false);
    expect(&f, false, NULL, 0); // zero: none
    f = file_of("REDIS0005");
    add_end(&f, true);
    f.bytes.p[12] ^= 1;
    struct rdb_reader r = reader_of(&f);
    assert_int_equal(rdb_reader_next(&r), RDB_ITEM_ERROR);
    assert_non_null(strstr(r.in.error, "Wrong RDB checksum"));
    assert_int_equal(r.in.error_at, 10);
    rdb_reader_fini(&r);
    f.at = 0;
    r = reader_of(&f);
    r.ignore_checksum = true;
    assert_int_equal(rdb_reader_next(&r), RDB_ITEM_END);
    finish(&r, &f);
    f = file_of("REDIS0004"); // without one; what follows the end is not looked at
    ADD(&f, "\xffrest");
    r = reader_of(&f);
    assert_int_equal(rdb_reader_next(&r), RDB_ITEM_END);
    assert_false(r.has_checksum);
    assert_int_equal(rdb_reader_offset(&r), 10);
    finish(&r, &f);
}

static void test_headers(void **state) {
    (void)state;
    static const struct {
        const char *magic, *error, *skipping;
    } rows[] = {
        {"REDIS0001", NULL, NULL},
        {"REDIS0012", NULL, NULL},
        {"REDIS11xx", NULL, NULL}, // as Redis reads it
        {"VALKEY080", NULL, NULL},
        {"REDIS0000", "Can't handle RDB format version 0", "Can't handle RDB format version 0"},
        {"REDIS0099", "Can't handle RDB format version 99", NULL},
        {"VALKEY011", "Can't handle RDB format version 11", "Can't handle RDB format version 11"},
        {"VALKEY099", "Can't handle RDB format version 99", NULL},
        {"redis0011", "Wrong signature trying to load DB from file",
         "Wrong signature trying to load DB from file"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct file f = file_of(rows[i].magic);
        add_end(&f, false);
        expect(&f, false, rows[i].error, 0);
        f = file_of(rows[i].magic);
        add_end(&f, false);
        expect(&f, true, rows[i].skipping, 0);
    }
}

static void test_what_is_unknown_is_refused(void **state) {
    (void)state;
    struct file f = file_of("REDIS0011");
    ADD(&f, "\x63\x03"
            "bad\x01v");
    expect(&f, true, "unknown value type: type 99 (key 'bad')", 9);
    f = file_of("REDIS0011");
    ADD(&f, "\x08\x03"
            "b'd\x01v");
    expect(&f, false, "unknown value type: type 8 (key 'b?d')", 9);
    f = file_of("REDIS0011");
    ADD(&f, "\xf3\x01\x01");
    expect(&f, true, "unknown opcode 243", 9);
    f = file_of("VALKEY080");
    ADD(&f, "\x18\x01k\x01v"); // 24: a hash to Redis
    expect(&f, false, "unknown value type: type 24 (key 'k')", 9);
    f = file_of("REDIS0011");
    ADD(&f, "\xfe\x81\x00\x00\x00\x01\x00\x00\x00\x00");
    expect(&f, false, "database 4294967296", 9);
    f = file_of("REDIS0010");
    ADD(&f, "\xf6\x03lib\x03LUA\x00\x04"
            "code");
    expect(&f, false, "Pre-release function format not supported.", 9);
}

// The id of a module "test1dstr" with version 1, and the parts of a value of it.
#define MODULE_ID "\x81\xb5\xeb\x2d\xd7\x67\x6c\xb7\x01"
#define MODULE_PARTS           \
    "\x01\x05\x02\x40\xff\x03" \
    "ffff"                     \
    "\x04"                     \
    "dddddddd"                 \
    "\x05\x03str\x00"

static void test_modules(void **state) {
    (void)state;
    for (size_t piece = 0; piece < 8; piece++) {
        struct file f = file_of("REDIS0011");
        ADD(&f, "\xf7" MODULE_ID MODULE_PARTS);
        ADD(&f, "\xfc\x01\x00\x00\x00\x00\x00\x00\x00\x07\x01k" MODULE_ID MODULE_PARTS);
        ADD(&f, "\x00\x01s\x01v");
        add_end(&f, true);
        f.piece = piece;
        struct rdb_reader r = reader_of(&f);
        r.skip_unknown = true;
        char name[10];
        rdb_module_name(UINT64_C(0xb5eb2dd7676cb701), name);
        assert_int_equal(rdb_reader_next(&r), RDB_ITEM_MODULE_AUX);
        assert_slice(r.item.key, name);
        assert_int_equal(rdb_reader_next(&r), RDB_ITEM_UNKNOWN);
        assert_true(r.item.is_record);
        assert_slice(r.item.key, "k");
        assert_int_equal(r.item.type, RDB_MODULE_2);
        assert_int_equal(r.item.expire_ms, 1);
        assert_non_null(strstr(r.in.error, name));
        assert_int_equal(rdb_reader_next(&r), RDB_ITEM_RECORD);
        assert_int_equal(r.item.expire_ms, ENTRY_NO_EXPIRE);
        assert_string_equal(r.in.error, "");
        assert_int_equal(rdb_reader_next(&r), RDB_ITEM_END);
        assert_int_equal(r.records, 1);
        rdb_reader_fini(&r);
        f.at = 0;
        r = reader_of(&f);
        assert_int_equal(rdb_reader_next(&r), RDB_ITEM_MODULE_AUX);
        assert_int_equal(rdb_reader_next(&r), RDB_ITEM_ERROR);
        assert_non_null(strstr(r.in.error, "module type"));
        finish(&r, &f);
    }
}

static void test_opcode_243_is_two_things(void **state) {
    (void)state;
    struct file f = file_of("VALKEY080");
    ADD(&f, "\xf3\x03job\x02\x00\x05\x07\x40\xff");
    ADD(&f, "\x16\x01h\x01\x01"
            "f\x01v\xff\xff\xff\xff\xff\xff\xff\xff");
    add_end(&f, true);
    struct rdb_reader r = reader_of(&f);
    r.skip_unknown = true;
    assert_int_equal(rdb_reader_next(&r), RDB_ITEM_UNKNOWN);
    assert_false(r.item.is_record);
    assert_non_null(strstr(r.in.error, "imported"));
    assert_int_equal(rdb_reader_next(&r), RDB_ITEM_RECORD);
    assert_int_equal(r.item.type, RDB_VALKEY_HASH_2);
    assert_int_equal(rdb_reader_next(&r), RDB_ITEM_END);
    finish(&r, &f);

    f = file_of("REDIS0013");
    ADD(&f, "\xfc\x01\x00\x00\x00\x00\x00\x00\x00\xf3\x01\x01\x02\x03\x04\x02\x07\x00");
    ADD(&f, "\x00\x01s\x01v");
    add_end(&f, true);
    r = reader_of(&f);
    r.skip_unknown = true;
    assert_int_equal(rdb_reader_next(&r), RDB_ITEM_UNKNOWN); // the version
    assert_non_null(strstr(r.in.error, "version 13"));
    assert_int_equal(rdb_reader_next(&r), RDB_ITEM_UNKNOWN);
    assert_non_null(strstr(r.in.error, "metadata"));
    assert_int_equal(rdb_reader_next(&r), RDB_ITEM_RECORD);
    assert_int_equal(r.item.expire_ms, 1); // told before the metadata
    assert_int_equal(rdb_reader_next(&r), RDB_ITEM_END);
    finish(&r, &f);
}

static void test_pre_release_functions_are_skipped(void **state) {
    (void)state;
    struct file f = file_of("REDIS0010");
    ADD(&f, "\xf6\x03lib\x03LUA\x00\x04"
            "code\xf6\x03two\x03LUA\x01\x04text\x04"
            "code");
    add_end(&f, true);
    struct rdb_reader r = reader_of(&f);
    r.skip_unknown = true;
    assert_int_equal(rdb_reader_next(&r), RDB_ITEM_UNKNOWN);
    assert_slice(r.item.key, "lib");
    assert_int_equal(rdb_reader_next(&r), RDB_ITEM_UNKNOWN);
    assert_slice(r.item.key, "two");
    assert_int_equal(rdb_reader_next(&r), RDB_ITEM_END);
    finish(&r, &f);
}

static void test_large_records_and_small_windows(void **state) {
    (void)state;
    struct file f = file_of("REDIS0011");
    size_t n = 9 * 1024 * 1024;
    char length[6] = "\x00\x01k\x80";
    add(&f, length, 4);
    uint32_t big_endian = __builtin_bswap32((uint32_t)n);
    buf_append(&f.bytes, &big_endian, 4);
    memset(buf_reserve(&f.bytes, n), 'x', n);
    f.bytes.len += n;
    for (int i = 0; i < 100000; i++)
        ADD(&f, "\x00\x03"
                "abc\x0bhello world");
    add_end(&f, true);
    f.piece = 70000;
    struct rdb_reader r = reader_of(&f);
    assert_int_equal(rdb_reader_next(&r), RDB_ITEM_RECORD);
    assert_int_equal(r.item.value.n, n + 5);
    assert_true(r.window->cap <= 3 * n);
    for (int i = 0; i < 100000; i++) assert_int_equal(rdb_reader_next(&r), RDB_ITEM_RECORD);
    assert_true(r.window->cap <= 1024 * 1024);
    assert_int_equal(rdb_reader_next(&r), RDB_ITEM_END);
    finish(&r, &f);
}

/** The memory of an item can be taken, and what follows is read as if it had not been. */
static void test_an_item_that_is_taken(void **state) {
    (void)state;
    struct file f = file_of("REDIS0011");
    for (int i = 0; i < 1000; i++) {
        ADD(&f, "\x00\x03"
                "abc\x0bhello world");
        if (i % 100 == 50) ADD(&f, "\xfe\x02");
    }
    add_end(&f, true);
    f.piece = 3000;
    struct rdb_reader r = reader_of(&f);
    struct blob *taken[1000];
    struct slice values[1000];
    uint64_t offsets[1000];
    int count = 0;
    enum rdb_item item;
    while ((item = rdb_reader_next(&r)) != RDB_ITEM_END) {
        assert_true(item == RDB_ITEM_RECORD || item == RDB_ITEM_DB);
        if (item == RDB_ITEM_DB) continue;
        offsets[count] = r.item.offset;
        values[count] = r.item.value;
        taken[count] = count % 3 ? rdb_reader_take(&r) : NULL;
        if (taken[count]) assert_true(blob_has(taken[count], values[count]));
        assert_slice(r.item.key, "abc");
        count++;
    }
    assert_int_equal(count, 1000);
    assert_int_equal(rdb_reader_offset(&r), f.bytes.len);
    for (int i = 0; i < count; i++) {
        if (i > 0) assert_true(offsets[i] > offsets[i - 1]);
        if (!taken[i]) continue;
        assert_slice(values[i], "\x0bhello world");
        blob_drop(taken[i]);
    }
    finish(&r, &f);
}

static void test_a_claimed_length_costs_nothing(void **state) {
    (void)state;
    struct file f = file_of("REDIS0011");
    ADD(&f, "\x00\x01k\x81\x7f\xff\xff\xff\xff\xff\xff\xffrest");
    struct rdb_reader r = reader_of(&f);
    int64_t before = mem_used();
    assert_int_equal(rdb_reader_next(&r), RDB_ITEM_ERROR);
    assert_int_equal(r.in.error_at, f.bytes.len);
    assert_true(mem_used() - before < 2 * 1024 * 1024);
    assert_true(f.asked <= 1024 * 1024);
    finish(&r, &f);
}

static void test_reading_fails(void **state) {
    (void)state;
    struct file f = file_of("REDIS0011");
    add_everything(&f);
    add_end(&f, true);
    f.piece = 10;
    f.fail_at = 30;
    struct rdb_reader r = reader_of(&f);
    enum rdb_item item;
    do item = rdb_reader_next(&r);
    while (item != RDB_ITEM_END && item != RDB_ITEM_ERROR);
    assert_int_equal(item, RDB_ITEM_ERROR);
    assert_non_null(strstr(r.in.error, "reading failed"));
    assert_int_equal(r.in.error_at, 30);
    finish(&r, &f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_in_any_pieces),
        cmocka_unit_test(test_every_truncation_is_told_at_its_place),
        cmocka_unit_test(test_checksums),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_what_is_unknown_is_refused),
        cmocka_unit_test(test_modules),
        cmocka_unit_test(test_opcode_243_is_two_things),
        cmocka_unit_test(test_pre_release_functions_are_skipped),
        cmocka_unit_test(test_large_records_and_small_windows),
        cmocka_unit_test(test_an_item_that_is_taken),
        cmocka_unit_test(test_a_claimed_length_costs_nothing),
        cmocka_unit_test(test_reading_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
