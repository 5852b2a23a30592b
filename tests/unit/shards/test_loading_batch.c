// SPDX-License-Identifier: BSD-3-Clause
//
// Batches of records and the steps in which a keyspace takes them in (shards/loading_batch.h):
// what becomes of keys, times, access information and duplicates, that a step is bounded and the
// next one goes on where it ended, and that damage is named with its place in the file.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/keyspace/access.h"
#include "shards/loading_batch.h"

#define NOW_MS INT64_C(1700000000000)

struct fixture {
    struct keyspace *keyspace;
    struct loading_batch *batch;
    struct loading_apply apply;
};

static struct fixture *fixture_new(void) {
    struct fixture *f = mem_calloc(sizeof *f);
    f->keyspace = keyspace_new(4, 0, 77, 88, NULL);
    f->batch = loading_batch_new();
    f->apply.keyspace = f->keyspace;
    f->apply.load.limits = &value_default_limits;
    f->apply.now_ms = f->apply.load.now_ms = NOW_MS;
    return f;
}

static void fixture_free(struct fixture *f) {
    assert_true(keyspace_is_valid(f->keyspace));
    loading_apply_fini(&f->apply);
    loading_batch_free(f->batch);
    keyspace_free(f->keyspace);
    mem_free(f);
}

/** A record of a string of up to 63 bytes; what is special about it is set by the caller. */
static struct rdb_record string_record(const char *key, const char *value, char *bytes) {
    size_t n = strlen(value);
    bytes[0] = (char)n;
    memcpy(bytes + 1, value, n);
    return (struct rdb_record){.type = RDB_STRING,
                               .key = slice_text(key),
                               .value = slice_of(bytes, n + 1),
                               .offset = 1000,
                               .expire_ms = ENTRY_NO_EXPIRE,
                               .idle_s = -1,
                               .freq = -1};
}

static void add_string(struct fixture *f, const char *key, const char *value, uint32_t db,
                       int64_t expire_ms) {
    char bytes[64];
    struct rdb_record r = string_record(key, value, bytes);
    r.db = db;
    r.expire_ms = expire_ms;
    loading_batch_add(f->batch, &r);
}

static const struct entry *find(struct fixture *f, uint32_t db, const char *key) {
    return db_find(&f->keyspace->dbs[db], key_of(f->keyspace, slice_text(key))).entry;
}

static void assert_string(struct fixture *f, uint32_t db, const char *key, const char *value) {
    char scratch[NUM_I64_TEXT_MAX];
    const struct entry *e = find(f, db, key);
    assert_non_null(e);
    assert_true(slice_equal(entry_string(e, scratch), slice_text(value)));
}

static void keys_go_where_they_belong(void **state) {
    (void)state;
    struct fixture *f = fixture_new();
    add_string(f, "a", "one", 0, ENTRY_NO_EXPIRE);
    add_string(f, "a", "two", 3, NOW_MS + 5000);
    add_string(f, "", "the empty key", 0, ENTRY_NO_EXPIRE);
    add_string(f, "late", "x", 0, NOW_MS - 1);
    add_string(f, "now", "12", 0, NOW_MS);
    assert_int_equal(loading_apply_step(&f->apply, f->batch, SIZE_MAX), LOADING_STEP_DONE);
    assert_string(f, 0, "a", "one");
    assert_string(f, 3, "a", "two");
    assert_string(f, 0, "", "the empty key");
    assert_string(f, 0, "now", "12");
    assert_null(find(f, 0, "late"));
    assert_int_equal(entry_expire_ms(find(f, 3, "a")), NOW_MS + 5000);
    assert_int_equal(entry_expire_ms(find(f, 0, "a")), ENTRY_NO_EXPIRE);
    assert_int_equal(f->apply.loaded, 4);
    assert_int_equal(f->apply.expired, 1);
    assert_int_equal(f->keyspace->stats.dirty,
                     0); // nothing has changed that would have to be saved
    assert_int_equal(f->keyspace->stats.expired_keys, 0);
    fixture_free(f);
}

static void steps_are_bounded_and_go_on(void **state) {
    (void)state;
    struct fixture *f = fixture_new();
    char key[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "key:%d", i);
        add_string(f, key, "value", (uint32_t)i % 4, ENTRY_NO_EXPIRE);
    }
    uint64_t before = 0;
    int steps = 1;
    for (; loading_apply_step(&f->apply, f->batch, 4096) == LOADING_STEP_MORE; steps++) {
        assert_in_range(f->apply.loaded - before, 10, 64);
        before = f->apply.loaded;
    }
    assert_in_range(steps, 20, 100);
    assert_int_equal(f->apply.loaded, 1000);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "key:%d", i);
        assert_string(f, (uint32_t)i % 4, key, "value");
    }
    // A step is at least one record, however long.
    f->batch->at = f->batch->bytes.len = 0;
    add_string(f, "one", "1", 0, ENTRY_NO_EXPIRE);
    add_string(f, "two", "2", 0, ENTRY_NO_EXPIRE);
    assert_int_equal(loading_apply_step(&f->apply, f->batch, 1), LOADING_STEP_MORE);
    assert_int_equal(loading_apply_step(&f->apply, f->batch, 1), LOADING_STEP_DONE);
    assert_string(f, 0, "two", "2");
    fixture_free(f);
}

static void tables_are_made_for_what_is_expected(void **state) {
    (void)state;
    struct fixture *grown = fixture_new(), *expected = fixture_new();
    char key[16];
    loading_batch_expect(expected->batch, 2, 5000);
    loading_batch_expect(expected->batch, 3, UINT64_MAX); // nobody believes that
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "key:%d", i);
        add_string(grown, key, "value", 2, ENTRY_NO_EXPIRE);
        add_string(expected, key, "value", 2, ENTRY_NO_EXPIRE);
    }
    assert_int_equal(loading_apply_step(&expected->apply, expected->batch, 1), LOADING_STEP_MORE);
    assert_int_equal(expected->apply.loaded, 0);
    uint64_t buckets = expected->keyspace->dbs[2].table.nbuckets;
    assert_int_equal(loading_apply_step(&grown->apply, grown->batch, SIZE_MAX), LOADING_STEP_DONE);
    assert_int_equal(loading_apply_step(&expected->apply, expected->batch, SIZE_MAX),
                     LOADING_STEP_DONE);
    assert_int_equal(expected->keyspace->dbs[2].table.nbuckets, buckets);
    assert_in_range(grown->keyspace->dbs[2].table.nbuckets, buckets - 1, buckets + 1);
    assert_int_equal(expected->keyspace->dbs[3].table.nbuckets, 0);
    assert_string(expected, 2, "key:4999", "value");
    loading_batch_expect(expected->batch, 2, 100000); // there are some already
    assert_int_equal(loading_apply_step(&expected->apply, expected->batch, 1), LOADING_STEP_DONE);
    assert_int_equal(expected->keyspace->dbs[2].table.nbuckets, buckets);
    fixture_free(grown);
    fixture_free(expected);
}

static void a_key_that_is_there(void **state) {
    (void)state;
    struct fixture *f = fixture_new();
    add_string(f, "a", "old", 1, ENTRY_NO_EXPIRE);
    add_string(f, "b", "b", 1, ENTRY_NO_EXPIRE);
    assert_int_equal(loading_apply_step(&f->apply, f->batch, SIZE_MAX), LOADING_STEP_DONE);
    add_string(f, "a", "new", 2, ENTRY_NO_EXPIRE); // in another database: no duplicate
    add_string(f, "a", "new", 1, ENTRY_NO_EXPIRE);
    f->apply.replace = true;
    assert_int_equal(loading_apply_step(&f->apply, f->batch, SIZE_MAX), LOADING_STEP_DONE);
    assert_string(f, 1, "a", "new");
    assert_int_equal(db_count(&f->keyspace->dbs[1]), 2);
    add_string(f, "c", "c", 1, ENTRY_NO_EXPIRE);
    add_string(f, "a", "newer", 1, ENTRY_NO_EXPIRE);
    add_string(f, "d", "d", 1, ENTRY_NO_EXPIRE);
    f->apply.replace = false;
    assert_int_equal(loading_apply_step(&f->apply, f->batch, SIZE_MAX), LOADING_STEP_FAILED);
    assert_string(f, 1, "a", "new");
    assert_string(f, 1, "c", "c");
    assert_null(find(f, 1, "d"));
    assert_int_equal(f->apply.fault.offset, 1000);
    assert_string_equal(f->apply.fault.text, "the key 'a' comes twice in database 1");
    fixture_free(f);
}

static uint32_t access_after(struct fixture *f, const char *key, int64_t idle_s, int64_t freq) {
    char bytes[64];
    struct rdb_record r = string_record(key, "v", bytes);
    r.idle_s = idle_s;
    r.freq = freq;
    loading_batch_add(f->batch, &r);
    assert_int_equal(loading_apply_step(&f->apply, f->batch, SIZE_MAX), LOADING_STEP_DONE);
    return entry_access(find(f, 0, key));
}

static void access_information(void **state) {
    (void)state;
    struct fixture *f = fixture_new();
    assert_int_equal(access_idle_s(access_after(f, "new", -1, -1), NOW_MS), 0);
    assert_int_equal(access_idle_s(access_after(f, "idle", 4000, -1), NOW_MS), 4000);
    assert_int_equal(access_idle_s(access_after(f, "freq", -1, 200), NOW_MS), 0);
    f->apply.lfu = true;
    assert_int_equal(access_after(f, "lfu", -1, -1), access_lfu_new(NOW_MS));
    uint32_t used = access_after(f, "used", -1, 200);
    assert_int_equal(access_frequency(used, NOW_MS, 1), 200);
    assert_int_equal(access_frequency(access_after(f, "both", 10, 255), NOW_MS, 1), 255);
    assert_int_equal(access_frequency(access_after(f, "rested", 10, -1), NOW_MS, 1),
                     ACCESS_LFU_INITIAL);
    fixture_free(f);
}

static void damage_is_named(void **state) {
    (void)state;
    struct fixture *f = fixture_new();
    char bytes[64];
    struct rdb_record r = string_record("k", "value", bytes);
    r.value.n -= 2;
    add_string(f, "before", "x", 0, ENTRY_NO_EXPIRE);
    loading_batch_add(f->batch, &r);
    assert_int_equal(loading_apply_step(&f->apply, f->batch, SIZE_MAX), LOADING_STEP_FAILED);
    assert_string(f, 0, "before", "x");
    assert_null(find(f, 0, "k"));
    assert_in_range(f->apply.fault.offset, 1000, 1006);
    assert_true(f->apply.fault.text[0] != '\0');
    fixture_free(f);

    f = fixture_new();
    r = string_record("k", "value", bytes);
    r.value.n--;
    bytes[0] = 3; // one byte is left over
    loading_batch_add(f->batch, &r);
    assert_int_equal(loading_apply_step(&f->apply, f->batch, SIZE_MAX), LOADING_STEP_FAILED);
    assert_string_equal(f->apply.fault.text, "a value does not end where it should");
    fixture_free(f);
}

static void unknown_types(void **state) {
    (void)state;
    struct fixture *f = fixture_new();
    char bytes[64];
    struct rdb_record r = string_record("odd", "value", bytes);
    r.type = RDB_MODULE_PRE_GA;
    loading_batch_add(f->batch, &r);
    add_string(f, "after", "x", 0, ENTRY_NO_EXPIRE);
    f->apply.skip_unknown = true;
    assert_int_equal(loading_apply_step(&f->apply, f->batch, SIZE_MAX), LOADING_STEP_DONE);
    assert_int_equal(f->apply.left_out.keys, 1);
    assert_string_equal(f->apply.left_out.names, "odd");
    assert_string(f, 0, "after", "x");
    f->apply.skip_unknown = false;
    loading_batch_add(f->batch, &r);
    assert_int_equal(loading_apply_step(&f->apply, f->batch, SIZE_MAX), LOADING_STEP_FAILED);
    assert_non_null(strstr(f->apply.fault.text, "rdb-unknown skip"));
    fixture_free(f);
}

/** A record of a set of so many members, in memory of its own with something around it. */
static struct rdb_record set_record(uint32_t members, struct blob **blob) {
    struct buf b = {0};
    buf_append_text(&b, "before");
    uint32_t count = __builtin_bswap32(members);
    buf_append_char(&b, (char)RDB_LENGTH_32);
    buf_append(&b, &count, sizeof count);
    for (uint32_t i = 0; i < members; i++) {
        char text[32];
        int n = snprintf(text + 1, sizeof text - 1, "member:%u", i);
        text[0] = (char)n;
        buf_append(&b, text, (size_t)n + 1);
    }
    size_t end = b.len;
    buf_append_text(&b, "what was read beyond");
    *blob = blob_new(slice_of(b.p, b.len), b.len);
    buf_free(&b);
    return (struct rdb_record){.type = RDB_SET,
                               .key = SLICE_LITERAL("large"),
                               .value = slice_of((*blob)->bytes + 6, end - 6),
                               .expire_ms = ENTRY_NO_EXPIRE,
                               .idle_s = -1,
                               .freq = -1};
}

static void a_long_value_takes_several_steps(void **state) {
    (void)state;
    struct fixture *f = fixture_new();
    struct blob *blob;
    struct rdb_record r = set_record(100000, &blob);
    size_t value_bytes = r.value.n;
    add_string(f, "small", "x", 0, ENTRY_NO_EXPIRE);
    loading_batch_add_large(f->batch, &r, blob);
    assert_true(loading_batch_bytes(f->batch) >= value_bytes);
    int steps = 1;
    while (loading_apply_step(&f->apply, f->batch, 65536) == LOADING_STEP_MORE) {
        assert_string(f, 0, "small", "x");
        assert_null(find(f, 0, "large"));
        steps++;
    }
    assert_in_range(steps, 20, 1000);
    assert_int_equal(f->apply.loaded, 2);
    assert_int_equal(value_length(entry_value(find(f, 0, "large"))), 100000);
    loading_batch_clear(f->batch);
    add_string(f, "after", "y", 0, ENTRY_NO_EXPIRE);
    assert_int_equal(loading_apply_step(&f->apply, f->batch, SIZE_MAX), LOADING_STEP_DONE);
    assert_string(f, 0, "after", "y");
    fixture_free(f);

    // One that is given up half-way leaves nothing.
    f = fixture_new();
    r = set_record(100000, &blob);
    loading_batch_add_large(f->batch, &r, blob);
    for (int i = 0; i < 5; i++)
        assert_int_equal(loading_apply_step(&f->apply, f->batch, 65536), LOADING_STEP_MORE);
    fixture_free(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_go_where_they_belong),
        cmocka_unit_test(steps_are_bounded_and_go_on),
        cmocka_unit_test(a_key_that_is_there),
        cmocka_unit_test(access_information),
        cmocka_unit_test(a_long_value_takes_several_steps),
        cmocka_unit_test(tables_are_made_for_what_is_expected),
        cmocka_unit_test(damage_is_named),
        cmocka_unit_test(unknown_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
