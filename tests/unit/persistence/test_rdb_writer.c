// SPDX-License-Identifier: BSD-3-Clause
//
// The frame of an RDB file: what the writer writes, byte by byte where Redis's form is known, and
// read back by the reader: header, databases, records with all that may stand before them, end. One
// thread.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/alloc.h"
#include "engine/base/crc64.h"
#include "persistence/rdb_reader.h"
#include "persistence/rdb_writer.h"

#define assert_bytes(b, literal)                                     \
    do {                                                             \
        assert_int_equal((b)->len, sizeof(literal) - 1);             \
        assert_memory_equal((b)->p, (literal), sizeof(literal) - 1); \
        (b)->len = 0;                                                \
    } while (0)

static void test_bytes_of_the_frame(void **state) {
    (void)state;
    struct buf out = {0};
    rdb_write_magic(&out, 11);
    assert_bytes(&out, "REDIS0011");
    rdb_write_aux(&out, "redis-ver", SLICE_LITERAL("7.2.6"));
    assert_bytes(&out, "\xfa\x09redis-ver\x05"
                       "7.2.6");
    rdb_write_aux(&out, "redis-bits", SLICE_LITERAL("64"));
    assert_bytes(&out, "\xfa\x0aredis-bits\xc0\x40");
    rdb_write_db(&out, 300);
    assert_bytes(&out, "\xfe\x41\x2c");
    rdb_write_resize(&out, 20000, 63);
    assert_bytes(&out, "\xfb\x80\x00\x00\x4e\x20\x3f");
    rdb_write_function(&out, SLICE_LITERAL("code"));
    assert_bytes(&out, "\xf5\x04"
                       "code");
    rdb_write_attributes(&out, ENTRY_NO_EXPIRE, -1, -1);
    assert_int_equal(out.len, 0);
    rdb_write_attributes(&out, 0x0102030405, 5, 255);
    assert_bytes(&out, "\xfc\x05\x04\x03\x02\x01\x00\x00\x00\xf8\x05\xf9\xff");
    rdb_write_end(&out);
    rdb_write_checksum(&out, UINT64_C(0x0807060504030201));
    assert_bytes(&out, "\xff\x01\x02\x03\x04\x05\x06\x07\x08");
    buf_free(&out);
}

static ssize_t source(void *context, void *p, size_t n) {
    struct slice *rest = context;
    if (n > rest->n) n = rest->n;
    if (n > 0) memcpy(p, rest->p, n);
    *rest = slice_of(rest->p + n, rest->n - n);
    return (ssize_t)n;
}

static void write_entry(struct buf *out, const char *key, int64_t expire_ms, int64_t idle_s,
                        int64_t freq) {
    struct rdb_save how = {.version = 11, .compress = true};
    struct entry *e = entry_new_string(slice_text(key), SLICE_LITERAL("value"), expire_ms);
    rdb_write_record_head(out, &how, e, idle_s, freq);
    rdb_save_value(out, e, &how);
    entry_free(e);
}

static void expect_record(struct rdb_reader *r, const char *key, int64_t expire_ms, int64_t idle_s,
                          int64_t freq) {
    assert_int_equal(rdb_reader_next(r), RDB_ITEM_RECORD);
    assert_true(slice_equal(r->item.key, slice_text(key)));
    assert_int_equal(r->item.type, RDB_STRING);
    assert_int_equal(r->item.expire_ms, expire_ms);
    assert_int_equal(r->item.idle_s, idle_s);
    assert_int_equal(r->item.freq, freq);
}

static void test_a_file_is_read_back(void **state) {
    (void)state;
    static const char long_key[] =
        "a key that is long enough for compression: aaaaaaaaaaaaaaaaaaaa";
    struct buf out = {0};
    rdb_write_magic(&out, 11);
    rdb_write_aux(&out, "ctime", SLICE_LITERAL("1700000000"));
    rdb_write_db(&out, 0);
    rdb_write_resize(&out, 3, 1);
    write_entry(&out, "plain", ENTRY_NO_EXPIRE, -1, -1);
    write_entry(&out, long_key, INT64_C(4102444800000), 86400, -1);
    rdb_write_db(&out, 7);
    write_entry(&out, "-12345", ENTRY_NO_EXPIRE, -1, 0);
    rdb_write_end(&out);
    rdb_write_checksum(&out, crc64(0, out.p, out.len));
    struct slice rest = slice_of(out.p, out.len);
    struct rdb_reader r;
    rdb_reader_init(&r, source, &rest);
    assert_int_equal(rdb_reader_next(&r), RDB_ITEM_AUX);
    assert_true(slice_equal(r.item.text, SLICE_LITERAL("1700000000")));
    assert_int_equal(rdb_reader_next(&r), RDB_ITEM_DB);
    assert_int_equal(rdb_reader_next(&r), RDB_ITEM_RESIZE);
    expect_record(&r, "plain", ENTRY_NO_EXPIRE, -1, -1);
    expect_record(&r, long_key, INT64_C(4102444800000), 86400, -1);
    assert_int_equal(rdb_reader_next(&r), RDB_ITEM_DB);
    assert_int_equal(r.item.db, 7);
    expect_record(&r, "-12345", ENTRY_NO_EXPIRE, -1, 0);
    assert_int_equal(rdb_reader_next(&r), RDB_ITEM_END);
    assert_true(r.has_checksum);
    rdb_reader_fini(&r);
    buf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_of_the_frame),
        cmocka_unit_test(test_a_file_is_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
