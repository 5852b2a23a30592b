// SPDX-License-Identifier: BSD-3-Clause
//
// Values that are made in steps (engine/rdb/rdb_load.h): how long steps are, that one may be given
// up after each, and strings that stay in the memory they came in. That steps come to the same as
// all at once is looked at in test_rdb_load.c, for everything that is loaded there. One thread.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/rdb/describe.h"
#include "tests/unit/rdb/samples.h"

#define KEY  SLICE_LITERAL("k")
#define MANY 1000

static struct rdb_load loader(uint8_t dialect) {
    return (struct rdb_load){.dialect = dialect, .limits = &value_default_limits};
}

/** A collection of many elements of plain forms, or of nodes. */
static struct buf many(uint8_t type) {
    struct buf b = {0};
    char text[32];
    put_length(&b, MANY);
    for (int i = 0; i < MANY; i++) {
        snprintf(text, sizeof text, "element:%d", i);
        if (type == RDB_LIST_QUICKLIST_2) {
            put_length(&b, 2);
            put_pack(&b, text);
            continue;
        }
        put_text(&b, text);
        double score = i % 7;
        if (type == RDB_HASH) put_text(&b, "value");
        if (type == RDB_ZSET_2) buf_append(&b, &score, sizeof score);
    }
    return b;
}

static void test_many_elements_in_steps(void **state) {
    (void)state;
    static const uint8_t types[] = {RDB_LIST, RDB_LIST_QUICKLIST_2, RDB_SET, RDB_HASH, RDB_ZSET_2};
    for (size_t i = 0; i < sizeof types; i++) {
        struct rdb_load load = loader(RDB_REDIS);
        struct buf b = many(types[i]);
        struct rdb_loading loading;
        struct rdb_in in;
        struct entry *e;
        rdb_in_init(&in, b.p, b.len, 0);
        rdb_load_begin(&loading, types[i]);
        int steps = 1;
        while (rdb_load_step(&load, &loading, &in, 1, KEY, ENTRY_NO_EXPIRE, &e) == RDB_LOAD_MORE)
            steps++;
        assert_non_null(e);
        assert_true(entry_is_valid(e));
        assert_int_equal(value_length(entry_value(e)), MANY);
        assert_in_range(steps, MANY / 40, 2 * MANY);
        entry_free(e);
        // A step is as long as it may be.
        rdb_in_init(&in, b.p, b.len, 0);
        rdb_load_begin(&loading, types[i]);
        do // the first ones may just make room
            assert_int_equal(rdb_load_step(&load, &loading, &in, 4000, KEY, ENTRY_NO_EXPIRE, &e),
                             RDB_LOAD_MORE);
        while (in.at - in.start < 8);
        size_t weight = types[i] == RDB_LIST_QUICKLIST_2 ? 1 : 8;
        assert_in_range(in.at - in.start, 4000 / weight, 4000 / weight + 400);
        // Wherever it is given up, nothing is left: the sanitizer sees what is.
        rdb_load_give_up(&loading);
        rdb_load_give_up(&loading);
        for (int most = 1; most < steps; most += 1 + most / 20) {
            rdb_in_init(&in, b.p, b.len, 0);
            rdb_load_begin(&loading, types[i]);
            for (int step = 0; step < most; step++)
                assert_int_equal(rdb_load_step(&load, &loading, &in, 1, KEY, ENTRY_NO_EXPIRE, &e),
                                 RDB_LOAD_MORE);
            rdb_load_give_up(&loading);
        }
        buf_free(&b);
        rdb_load_fini(&load);
    }
}

static void test_giving_samples_up(void **state) {
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        struct rdb_load load = loader(samples[i].dialect);
        struct buf b = {0};
        samples[i].write(&b);
        for (size_t most = 1;; most++) {
            struct rdb_loading loading;
            struct rdb_in in;
            struct entry *e = NULL;
            enum rdb_loaded result = RDB_LOAD_MORE;
            rdb_in_init(&in, b.p, b.len, 0);
            rdb_load_begin(&loading, samples[i].type);
            for (size_t n = 0; n < most && result == RDB_LOAD_MORE; n++)
                result = rdb_load_step(&load, &loading, &in, 1, KEY, ENTRY_NO_EXPIRE, &e);
            rdb_load_give_up(&loading);
            if (e != NULL) entry_free(e);
            if (result != RDB_LOAD_MORE) break;
        }
        buf_free(&b);
        rdb_load_fini(&load);
    }
}

/** A long string stays in the blob that it came in, if that holds little else. */
static void test_a_string_that_stays_where_it_is(void **state) {
    (void)state;
    size_t n = 2 * BLOB_MAP_MIN;
    static const size_t before[] = {0, 60000, 70000};
    for (size_t i = 0; i < 3; i++) {
        struct rdb_load load = loader(RDB_REDIS);
        struct blob *blob = blob_new_zeroed(before[i] + 5 + n, before[i] + 5 + n);
        uint32_t length = __builtin_bswap32((uint32_t)n);
        blob->bytes[before[i]] = (char)RDB_LENGTH_32;
        memcpy(blob->bytes + before[i] + 1, &length, 4);
        const char *text = blob->bytes + before[i] + 5;
        load.source = blob;
        struct rdb_in in;
        struct entry *e;
        char scratch[NUM_I64_TEXT_MAX];
        rdb_in_init(&in, blob->bytes + before[i], 5 + n, 0);
        assert_int_equal(rdb_load_entry(&load, &in, RDB_STRING, KEY, ENTRY_NO_EXPIRE, &e),
                         RDB_LOADED);
        assert_int_equal(entry_string(e, scratch).n, n);
        assert_int_equal(entry_string(e, scratch).p == text, i < 2);
        blob_drop(blob);
        assert_true(entry_is_valid(e));
        entry_free(e);
        rdb_load_fini(&load);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_elements_in_steps),
        cmocka_unit_test(test_giving_samples_up),
        cmocka_unit_test(test_a_string_that_stays_where_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
