// SPDX-License-Identifier: BSD-3-Clause
//
// Entries: every way to make and change one, at the sizes where the layout changes (keys of 254 to
// 256 bytes, values of 44, 45, 1024, 1025), checked with entry_is_valid() after each change; then
// random changes against a plain copy of what the entry must hold. Single-threaded, seeded.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/base/alloc.h"
#include "engine/base/random.h"
#include "engine/keyspace/entry.h"

static const size_t key_sizes[] = {0, 1, 7, 16, 253, 254, 255, 256, 300, 70000};
static const size_t value_sizes[] = {0, 1, 20, 43, 44, 45, 500, 1023, 1024, 1025, 5000, 70000};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char *text_of(size_t n, char first) {
    char *p = malloc(n + 1);
    assert_non_null(p);
    for (size_t i = 0; i < n; i++) p[i] = (char)(first + (char)(i % 23));
    return p;
}

static void assert_text(const struct entry *e, struct slice key, struct slice value) {
    assert_true(entry_is_valid(e));
    assert_true(slice_equal(entry_key(e), key));
    char scratch[NUM_I64_TEXT_MAX];
    assert_true(slice_equal(entry_string(e, scratch), value));
    assert_int_equal(entry_string_length(e), value.n);
}

static void check_one_size(struct slice key, struct slice value) {
    int64_t before = mem_used();
    struct entry *e = entry_new_string(key, value, ENTRY_NO_EXPIRE);
    entry_set_access(e, 0xabcdef);
    assert_text(e, key, value);
    const char *encoding = value.n <= 44 ? "embstr" : "raw";
    assert_string_equal(entry_encoding_name(e), encoding);
    assert_string_equal(value_type_name(entry_type(e)), "string");
    assert_int_equal(mem_used() - before, entry_memory(e));

    e = entry_with_expire(e, INT64_C(1) << 62);
    assert_text(e, key, value);
    assert_int_equal(entry_expire_ms(e), INT64_C(1) << 62);
    e = entry_with_expire(e, 5);
    assert_int_equal(entry_expire_ms(e), 5);
    struct entry *copy = entry_copy(e, SLICE_LITERAL("other"), ENTRY_NO_EXPIRE);
    assert_text(copy, SLICE_LITERAL("other"), value);
    assert_int_equal(entry_expire_ms(copy), ENTRY_NO_EXPIRE);
    copy = entry_rekey(copy, key, 77);
    assert_text(copy, key, value);
    assert_int_equal(entry_expire_ms(copy), 77);
    entry_free(copy);

    e = entry_set_int(e, INT64_MIN);
    assert_text(e, key, SLICE_LITERAL("-9223372036854775808"));
    assert_int_equal(entry_expire_ms(e), 5);
    e = entry_set_string(e, value);
    assert_text(e, key, value);
    assert_string_equal(entry_encoding_name(e), encoding);
    e = entry_string_resize(e, value.n + 1);
    assert_int_equal(entry_string_bytes(e)[value.n], 0);
    e = entry_string_resize(e, value.n);
    assert_text(e, key, value);
    assert_string_equal(entry_encoding_name(e), "raw");
    e = entry_with_expire(e, ENTRY_NO_EXPIRE);
    assert_text(e, key, value);
    assert_int_equal(entry_expire_ms(e), ENTRY_NO_EXPIRE);
    assert_int_equal(entry_access(e), 0xabcdef);
    assert_int_equal(mem_used() - before, entry_memory(e));
    entry_free(e);
    assert_int_equal(mem_used(), before);
}

static void test_every_size_of_key_and_value(void **state) {
    (void)state;
    for (size_t k = 0; k < COUNT(key_sizes); k++) {
        char *key = text_of(key_sizes[k], 'a');
        for (size_t v = 0; v < COUNT(value_sizes); v++) {
            char *value = text_of(value_sizes[v], 'A');
            check_one_size(slice_of(key, key_sizes[k]), slice_of(value, value_sizes[v]));
            free(value);
        }
        free(key);
    }
}

static void test_integers_are_recognised_as_redis_does(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool integer;
    } cases[] = {{"0", true},
                 {"-1", true},
                 {"9223372036854775807", true},
                 {"-9223372036854775808", true},
                 {"", false},
                 {"-0", false},
                 {"9223372036854775808", false},
                 {"-9223372036854775809", false},
                 {"01", false},
                 {"+1", false},
                 {" 1", false},
                 {"1 ", false},
                 {"-", false},
                 {"1e3", false}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct entry *e = entry_new_string(SLICE_LITERAL("k"), slice_text(cases[i].text), -1);
        assert_string_equal(entry_encoding_name(e), cases[i].integer ? "int" : "embstr");
        assert_text(e, SLICE_LITERAL("k"), slice_text(cases[i].text));
        int64_t number;
        assert_int_equal(entry_string_i64(e, &number), cases[i].integer);
        // The same text held as raw bytes counts as the same integer.
        size_t n = strlen(cases[i].text);
        e = entry_string_resize(e, n);
        assert_string_equal(entry_encoding_name(e), "raw");
        assert_int_equal(entry_string_i64(e, &number), cases[i].integer);
        entry_free(e);
    }
}

static void test_raw_entries_start_as_zeros(void **state) {
    (void)state;
    for (size_t v = 0; v < COUNT(value_sizes); v++) {
        struct entry *e = entry_new_raw(SLICE_LITERAL("k"), value_sizes[v], 99);
        assert_true(entry_is_valid(e));
        assert_string_equal(entry_encoding_name(e), "raw");
        assert_int_equal(entry_string_length(e), value_sizes[v]);
        for (size_t i = 0; i < value_sizes[v]; i++) assert_int_equal(entry_string_bytes(e)[i], 0);
        entry_free(e);
    }
}

static void test_overwriting_in_place_allocates_nothing(void **state) {
    (void)state;
    char *text = text_of(4000, 'A');
    static const size_t sizes[] = {3, 32, 44, 45, 1024, 2000, 4000};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct entry *e = entry_new_string(SLICE_LITERAL("key"), slice_of(text, sizes[i]), 1000);
        entry_set_access(e, 12345);
        int64_t before = mem_used();
        assert_true(entry_try_overwrite(e, slice_of(text + 1, sizes[i] - 1), 2000));
        assert_text(e, SLICE_LITERAL("key"), slice_of(text + 1, sizes[i] - 1));
        assert_int_equal(entry_expire_ms(e), 2000);
        assert_int_equal(entry_access(e), 12345);
        assert_int_equal(mem_used(), before);
        assert_false(entry_try_overwrite(e, slice_of(text, sizes[i] < 1025 ? 4000 : 32), 2000));
        entry_free(e);
    }
    free(text);
}

static void test_appending_is_amortised(void **state) {
    (void)state;
    struct entry *e = entry_new_string(SLICE_LITERAL("log"), SLICE_LITERAL("x"), -1);
    size_t changes = 0, memory = entry_memory(e);
    for (size_t len = 2; len <= 300000; len++) {
        e = entry_string_resize(e, len);
        entry_string_bytes(e)[len - 1] = 'x';
        if (entry_memory(e) != memory) changes++;
        memory = entry_memory(e);
    }
    assert_true(changes < 40);
    assert_true(memory <= 300000 * 2 + 100000);
    for (size_t i = 0; i < 300000; i++) assert_int_equal(entry_string_bytes(e)[i], 'x');
    assert_true(entry_is_valid(e));
    assert_true(entry_outside_memory(e) >= 300000);
    entry_free(e);
}

/** What the entry must hold. */
struct shadow {
    char value[8192];
    size_t len;
    int64_t expire_ms;
};

static struct entry *change(struct entry *e, struct shadow *s, struct random *r, struct slice key) {
    static const size_t limits[] = {4, 30, 60, 1100, 8192};
    size_t n = random_below(r, limits[random_below(r, COUNT(limits))]);
    char scratch[NUM_I64_TEXT_MAX];
    switch (random_below(r, 7)) {
    case 0: {
        int64_t number = (int64_t)random_next(r) >> random_below(r, 64);
        s->len = num_format_i64(s->value, number);
        return entry_set_int(e, number);
    }
    case 1:
        for (size_t i = 0; i < n; i++) s->value[i] = (char)('0' + (char)random_below(r, 12));
        s->len = n;
        return entry_set_string(e, slice_of(s->value, n));
    case 2:
        if (n > s->len) memset(s->value + s->len, 0, n - s->len);
        s->len = n;
        return entry_string_resize(e, n);
    case 3:
        s->expire_ms = random_below(r, 2) ? ENTRY_NO_EXPIRE : (int64_t)(random_next(r) >> 2);
        return entry_with_expire(e, s->expire_ms);
    case 5:
        e = entry_string_reserve(e, s->len + n);
        assert_in_range(entry_string_room(e), s->len + n, SIZE_MAX);
        return e;
    case 4: {
        struct entry *copy = entry_copy(e, key, s->expire_ms);
        entry_free(e);
        return copy;
    }
    default:
        assert_true(slice_equal(entry_string(e, scratch), slice_of(s->value, s->len)));
        return entry_rekey(e, key, s->expire_ms);
    }
}

static void test_random_changes_agree_with_a_plain_copy(void **state) {
    (void)state;
    struct shadow *s = calloc(1, sizeof(*s));
    struct random r;
    random_init(&r, 11);
    char *text = text_of(400, 'k');
    for (int round = 0; round < 60; round++) {
        struct slice key = slice_of(text, random_below(&r, 2) ? 16 : random_below(&r, 400));
        int64_t before = mem_used();
        struct entry *e = entry_new_string(key, slice_of(s->value, s->len), -1);
        s->expire_ms = ENTRY_NO_EXPIRE;
        for (int step = 0; step < 3000; step++) {
            e = change(e, s, &r, key);
            assert_text(e, key, slice_of(s->value, s->len));
            assert_int_equal(entry_expire_ms(e), s->expire_ms);
            assert_int_equal(mem_used() - before, entry_memory(e));
        }
        entry_free(e);
        assert_int_equal(mem_used(), before);
    }
    free(text);
    free(s);
}

/** A reader holds on to the bytes: every change leaves them as they are. */
static void test_changes_of_a_shared_value(void **state) {
    (void)state;
    int64_t start = mem_used();
    for (int change = 0; change < 7; change++) {
        char text[5000];
        memset(text, 'a', sizeof(text));
        struct entry *e = entry_new_string(slice_text("key"), slice_of(text, sizeof(text)), -1);
        struct blob *b = entry_string_blob(e);
        blob_hold(b);
        if (change == 0) e = entry_string_resize(e, sizeof(text));
        if (change == 1) e = entry_string_resize(e, 6000);
        if (change == 2) e = entry_string_resize(e, 3000);
        if (change == 3) assert_false(entry_try_overwrite(e, slice_of(text, 4990), -1));
        if (change == 4) e = entry_set_int(e, 5);
        if (change == 5) e = entry_string_reserve(e, sizeof(text));
        if (change == 6) e = entry_string_reserve(e, 6000);
        if (change < 3 || change > 4) {
            assert_ptr_not_equal(entry_string_blob(e), b);
            memset(entry_string_bytes(e), 'b', entry_string_length(e));
        }
        assert_true(entry_is_valid(e));
        assert_int_equal(blob_text(b).n, sizeof(text));
        assert_memory_equal(blob_text(b).p, text, sizeof(text));
        entry_free(e);
        assert_memory_equal(blob_text(b).p, text, sizeof(text));
        blob_drop(b);
    }
    assert_int_equal(mem_used(), start);
}

/** A value that stays where it was received, and what may then be done with it. */
static void test_taken_value(void **state) {
    (void)state;
    int64_t start = mem_used();
    struct blob *b = blob_new_zeroed(50000, 50000);
    memset(b->bytes, 'h', 30);
    memset(b->bytes + 30, 'v', 40000);
    struct entry *e =
        entry_new_taken(slice_text("key"), b, slice_of(b->bytes + 30, 40000), ENTRY_NO_EXPIRE);
    assert_int_equal(b->bytes[0], 'h');
    blob_drop(b);
    assert_true(entry_is_valid(e));
    assert_int_equal(entry_string_length(e), 40000);
    e = entry_string_resize(e, 45000);
    assert_int_equal(entry_string_bytes(e)[39999], 'v');
    assert_int_equal(entry_string_bytes(e)[40000], 0);
    assert_int_equal(entry_string_bytes(e)[44999], 0);
    e = entry_string_resize(e, 3 << 20);
    assert_int_equal(entry_string_bytes(e)[0], 'v');
    assert_int_equal(entry_string_bytes(e)[45000], 0);
    e = entry_string_resize(e, 9 << 20);
    for (size_t i = 40000; i < 9 << 20; i++) assert_int_equal(entry_string_bytes(e)[i], 0);
    assert_true(entry_is_valid(e));
    e = entry_string_resize(e, 2000);
    assert_int_equal(entry_string_bytes(e)[1999], 'v');
    assert_true(entry_is_valid(e));
    entry_free(e);
    assert_int_equal(mem_used(), start);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changes_of_a_shared_value),
        cmocka_unit_test(test_taken_value),
        cmocka_unit_test(test_every_size_of_key_and_value),
        cmocka_unit_test(test_integers_are_recognised_as_redis_does),
        cmocka_unit_test(test_raw_entries_start_as_zeros),
        cmocka_unit_test(test_overwriting_in_place_allocates_nothing),
        cmocka_unit_test(test_appending_is_amortised),
        cmocka_unit_test(test_random_changes_agree_with_a_plain_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
