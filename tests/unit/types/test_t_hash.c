// SPDX-License-Identifier: BSD-3-Clause
//
// Hashes: random changes of all three encodings against a plain array, conversions at their limits,
// fields that expire, walks, cursors and random fields. The invariants are walked after each
// change. One thread; the clock is a number.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "engine/types/t_hash.h"

#define NAMES  48
#define NOW_MS INT64_C(1700000000000)

// ---- a model -----------------------------------------------------------------------------------

struct model_field {
    bool there;
    char value[1200];
    size_t length;
    int64_t expire_ms;
};

struct model {
    struct model_field fields[NAMES];
    int64_t now_ms;
};

/** Names of all kinds: words, integers, empty, long. */
static struct slice name_at(int i, char room[600]) {
    if (i == 0) return slice_of("", 0);
    if (i == 1) return slice_of(memset(room, 'n', 247), 247);
    if (i == 2) return slice_of(memset(room, 'n', 248), 248);
    if (i == 3) return slice_of(memset(room, 'n', 300), 300);
    if (i % 3 == 0) return slice_of(room, (size_t)snprintf(room, 600, "%d", i * 1000));
    return slice_of(room, (size_t)snprintf(room, 600, "field:%d", i));
}

static bool is_shown(const struct model *m, int i) {
    const struct model_field *f = &m->fields[i];
    return f->there && (f->expire_ms == THASH_NEVER || f->expire_ms >= m->now_ms);
}

static struct slice item_text(const struct listpack_item *item, char room[NUM_I64_TEXT_MAX]) {
    return item->is_int ? slice_of(room, num_format_i64(room, item->number)) : item->text;
}

static int index_of(struct slice name) {
    char room[600];
    for (int i = 0; i < NAMES; i++)
        if (slice_equal(name, name_at(i, room))) return i;
    fail_msg("a field that nobody has set");
    return -1;
}

static void compare(const struct model *m, struct value v) {
    char room[600], scratch[NUM_I64_TEXT_MAX], other[NUM_I64_TEXT_MAX];
    size_t there = 0, shown = 0, walked = 0;
    bool hides = false;
    assert_true(value_is_valid(v));
    for (int i = 0; i < NAMES; i++) {
        struct slice value, name = name_at(i, room);
        bool expected = is_shown(m, i);
        there += m->fields[i].there;
        shown += expected;
        hides |= m->fields[i].there && !expected;
        assert_int_equal(thash_get(v, name, m->now_ms, &value, scratch), expected);
        int64_t expire_ms = expected ? m->fields[i].expire_ms : THASH_ABSENT;
        assert_int_equal(thash_expire_ms(v, name, m->now_ms), expire_ms);
        if (expected)
            assert_true(slice_equal(value, slice_of(m->fields[i].value, m->fields[i].length)));
    }
    assert_int_equal(value_length(v), there);
    if (hides) assert_true(thash_may_hide(v, m->now_ms));
    struct thash_iterator it;
    struct listpack_item field, value;
    for (thash_iterate(&it, v, m->now_ms); thash_next(&it, &field, &value); walked++) {
        int i = index_of(item_text(&field, scratch));
        assert_true(is_shown(m, i));
        assert_true(slice_equal(item_text(&value, other),
                                slice_of(m->fields[i].value, m->fields[i].length)));
    }
    assert_int_equal(walked, shown);
}

// ---- random changes ----------------------------------------------------------------------------

static size_t random_value(struct random *r, char out[1200]) {
    size_t kind = random_below(r, 8);
    if (kind < 2) return (size_t)snprintf(out, 1200, "%d", (int)random_below(r, 1000000));
    size_t n = kind < 6 ? random_below(r, 40) : kind == 6 ? 250 + random_below(r, 10) : 1100;
    memset(out, 'a' + (int)random_below(r, 26), n);
    return n;
}

static void change_once(struct model *m, struct value *v, struct random *r,
                        const struct value_limits *limits) {
    char room[600], value[1200];
    int i = (int)random_below(r, NAMES);
    struct slice name = name_at(i, room);
    struct model_field *f = &m->fields[i];
    bool shown = is_shown(m, i), keep = random_below(r, 2) == 0;
    switch (random_below(r, 6)) {
    case 0:
    case 1:
    case 2:
        f->length = random_value(r, value);
        memcpy(f->value, value, f->length);
        bool created = thash_set(v, name, slice_of(value, f->length), keep, m->now_ms, limits);
        assert_int_equal(created, !shown);
        if (!shown || !keep) f->expire_ms = THASH_NEVER;
        f->there = true;
        break;
    case 3: {
        enum thash_found found = thash_remove(v, name, m->now_ms);
        assert_int_equal(found, shown ? THASH_PRESENT : f->there ? THASH_EXPIRED : THASH_MISSING);
        f->there = false;
        break;
    }
    case 4:
        if (!shown) break;
        f->expire_ms = keep ? THASH_NEVER : m->now_ms + (int64_t)random_below(r, 60);
        thash_set_expire(v, name, f->expire_ms);
        break;
    case 5:
        assert_int_equal(thash_drop_expired(v, name, m->now_ms), f->there && !shown);
        f->there = shown;
        break;
    }
    m->now_ms += random_below(r, 10) == 0;
}

static void run_random(uint64_t seed, const struct value_limits *limits) {
    static struct model m;
    struct random r;
    random_init(&r, seed);
    memset(&m, 0, sizeof(m));
    m.now_ms = NOW_MS;
    struct value v = thash_new();
    for (int step = 0; step < 1500; step++) {
        change_once(&m, &v, &r, limits);
        if (step % 4 == 0) compare(&m, v);
    }
    compare(&m, v);
    struct value copy = value_copy(v);
    compare(&m, copy);
    struct digest a = {0}, b = {0};
    value_digest(v, &a);
    value_digest(copy, &b);
    assert_true(a.low == b.low && a.high == b.high);
    value_free(v);
    value_free(copy);
}

static void test_random_changes(void **state) {
    (void)state;
    struct value_limits wide = value_default_limits, none = value_default_limits;
    wide.hash_max_listpack_value = 10000;
    none.hash_max_listpack_entries = 0;
    for (uint64_t seed = 0; seed < 6; seed++) {
        run_random(seed, &wide);
        run_random(seed, &none);
        run_random(seed, &value_default_limits);
    }
}

// ---- conversions -------------------------------------------------------------------------------

static void set_number(struct value *v, int i, const struct value_limits *limits) {
    char name[32];
    int n = snprintf(name, sizeof(name), "f%d", i);
    thash_set(v, slice_of(name, (size_t)n), SLICE_LITERAL("v"), false, NOW_MS, limits);
}

static void test_conversions(void **state) {
    (void)state;
    struct value_limits limits = value_default_limits;
    limits.hash_max_listpack_entries = 4;
    limits.hash_max_listpack_value = 8;
    struct value v = thash_new();
    for (int i = 0; i < 4; i++) set_number(&v, i, &limits);
    assert_int_equal(v.encoding, ENC_HASH_LISTPACK);
    set_number(&v, 3, &limits);
    assert_int_equal(v.encoding, ENC_HASH_LISTPACK);
    thash_set_expire(&v, SLICE_LITERAL("f1"), THASH_NEVER);
    assert_int_equal(v.encoding, ENC_HASH_LISTPACK);
    thash_set_expire(&v, SLICE_LITERAL("f1"), NOW_MS + 5);
    assert_int_equal(v.encoding, ENC_HASH_LISTPACK_EX);
    assert_int_equal(value_part_expire_ms(v), NOW_MS + 5);
    set_number(&v, 4, &limits);
    assert_int_equal(v.encoding, ENC_HASH_HASHTABLE);
    assert_int_equal(value_part_expire_ms(v), NOW_MS + 5);
    assert_int_equal(thash_expire_ms(v, SLICE_LITERAL("f1"), NOW_MS), NOW_MS + 5);
    for (int i = 0; i < 5; i++) {
        char name[] = {'f', (char)('0' + i)};
        assert_int_equal(thash_remove(&v, slice_of(name, 2), NOW_MS), THASH_PRESENT);
        assert_true(value_is_valid(v));
    }
    assert_int_equal(v.encoding, ENC_HASH_HASHTABLE);
    assert_int_equal(value_part_expire_ms(v), -1);
    value_free(v);
}

static void test_long_texts_convert(void **state) {
    (void)state;
    struct value_limits limits = value_default_limits;
    limits.hash_max_listpack_value = 8;
    const struct slice longest[] = {SLICE_LITERAL("12345678"), SLICE_LITERAL("abcdefgh")};
    const struct slice longer[] = {SLICE_LITERAL("f"), SLICE_LITERAL("abcdefghi")};
    struct value v = thash_new_for(longest, 2, &limits);
    assert_int_equal(v.encoding, ENC_HASH_LISTPACK);
    thash_set(&v, longest[0], longest[1], false, NOW_MS, &limits);
    assert_int_equal(v.encoding, ENC_HASH_LISTPACK);
    thash_prepare(&v, longest, 2, &limits);
    assert_int_equal(v.encoding, ENC_HASH_LISTPACK);
    thash_prepare(&v, longer, 2, &limits);
    assert_int_equal(v.encoding, ENC_HASH_HASHTABLE);
    assert_int_equal(value_length(v), 1);
    value_free(v);
    v = thash_new_for(longer, 2, &limits);
    assert_int_equal(v.encoding, ENC_HASH_HASHTABLE);
    value_free(v);
    v = thash_new();
    thash_set(&v, longer[0], longer[1], false, NOW_MS, &limits);
    assert_int_equal(v.encoding, ENC_HASH_HASHTABLE);
    value_free(v);
}

/** The same fields in any encoding have the same digest, and others another. */
static void test_digests(void **state) {
    (void)state;
    struct value_limits none = value_default_limits;
    none.hash_max_listpack_entries = 0;
    struct value packed = thash_new(), table = thash_new();
    for (int i = 0; i < 10; i++) set_number(&packed, i, &value_default_limits);
    for (int i = 9; i >= 0; i--) set_number(&table, i, &none);
    assert_int_equal(table.encoding, ENC_HASH_HASHTABLE);
    for (int round = 0; round < 2; round++) {
        struct digest a = {0}, b = {0};
        value_digest(packed, &a);
        value_digest(table, &b);
        assert_true(a.low == b.low && a.high == b.high);
        thash_set_expire(&table, SLICE_LITERAL("f5"), NOW_MS + 7);
        b = (struct digest){0};
        value_digest(table, &b);
        assert_true((a.low == b.low) == (round == 1));
        thash_set_expire(&packed, SLICE_LITERAL("f5"), NOW_MS + 7);
    }
    value_free(packed);
    value_free(table);
}

// ---- expiry ------------------------------------------------------------------------------------

struct removed {
    size_t count;
    char latest[32];
};

static void on_removed(void *context, struct slice part) {
    struct removed *removed = context;
    removed->count++;
    snprintf(removed->latest, sizeof(removed->latest), "%.*s", (int)part.n, part.p);
}

static void expire_all(const struct value_limits *limits) {
    struct value v = thash_new();
    struct removed removed = {0};
    uint32_t budget = 1000;
    for (int i = 0; i < 300; i++) set_number(&v, i, limits);
    for (int i = 0; i < 200; i++) {
        char name[32];
        int n = snprintf(name, sizeof(name), "f%d", i);
        thash_set_expire(&v, slice_of(name, (size_t)n), NOW_MS + i / 2);
        assert_true(value_is_valid(v));
    }
    assert_false(value_expire_parts(&v, NOW_MS, &budget, on_removed, &removed));
    assert_int_equal(removed.count, 0);
    budget = 0;
    assert_true(value_expire_parts(&v, NOW_MS + 50, &budget, on_removed, &removed));
    assert_in_range(removed.count, 0, 64);
    assert_true(value_is_valid(v));
    while (budget = 100, value_expire_parts(&v, NOW_MS + 50, &budget, on_removed, &removed))
        assert_true(value_is_valid(v));
    assert_int_equal(removed.count, 100);
    assert_int_equal(value_length(v), 200);
    assert_true(value_is_valid(v));
    assert_int_equal(value_part_expire_ms(v), NOW_MS + 50);
    budget = 1000000;
    assert_false(value_expire_parts(&v, NOW_MS + 1000, &budget, on_removed, &removed));
    assert_int_equal(removed.count, 200);
    assert_int_equal(value_part_expire_ms(v), -1);
    assert_false(thash_may_hide(v, INT64_MAX));
    value_free(v);
}

static void test_removing_what_is_due(void **state) {
    (void)state;
    struct value_limits none = value_default_limits;
    none.hash_max_listpack_entries = 0;
    expire_all(&value_default_limits);
    expire_all(&none);
}

/** A field that gets an expiry while a walk is under way is not forgotten. */
static void test_expiry_set_during_a_walk(void **state) {
    (void)state;
    struct value_limits none = value_default_limits;
    none.hash_max_listpack_entries = 0;
    for (int late = 0; late < 40; late++) {
        struct value v = thash_new();
        struct removed removed = {0};
        uint32_t budget;
        for (int i = 0; i < 400; i++) set_number(&v, i, &none);
        thash_set_expire(&v, SLICE_LITERAL("f7"), NOW_MS);
        for (int i = 0; i <= late; i++) {
            budget = 0;
            value_expire_parts(&v, NOW_MS + 1, &budget, on_removed, &removed);
        }
        thash_set_expire(&v, SLICE_LITERAL("f9"), NOW_MS + 30);
        while (budget = 0, value_expire_parts(&v, NOW_MS + 1, &budget, on_removed, &removed)) {
        }
        assert_int_equal(removed.count, 1);
        assert_in_range(value_part_expire_ms(v), NOW_MS + 1, NOW_MS + 30);
        assert_true(thash_may_hide(v, NOW_MS + 31));
        value_free(v);
    }
}

// ---- cursors and random fields -----------------------------------------------------------------

static void mark_field(void *context, const struct listpack_item *field,
                       const struct listpack_item *value) {
    uint32_t *seen = context;
    assert_false(field->is_int);
    assert_true(slice_equal(value->text, SLICE_LITERAL("v")));
    int64_t number;
    assert_true(num_parse_i64(slice_of(field->text.p + 1, field->text.n - 1), &number));
    seen[number]++;
}

static void test_scan_meets_every_field(void **state) {
    (void)state;
    struct value_limits none = value_default_limits;
    none.hash_max_listpack_entries = 0;
    static uint32_t seen[3000];
    struct value v = thash_new();
    memset(seen, 0, sizeof(seen));
    for (int i = 0; i < 1000; i++) set_number(&v, i, &none);
    thash_set_expire(&v, SLICE_LITERAL("f17"), NOW_MS);
    uint64_t cursor = 0;
    size_t visited = 0;
    int more = 1000;
    do {
        size_t before = visited;
        cursor = thash_scan(v, cursor, NOW_MS + 1, &visited, mark_field, seen);
        assert_true(visited > before);
        if (more < 3000) set_number(&v, more++, &none);
    } while (cursor != 0);
    for (int i = 0; i < 1000; i++) assert_int_equal(seen[i] > 0, i != 17);
    value_free(v);
}

static void draw(const struct value_limits *limits, int fields, bool expired) {
    struct random r;
    uint32_t seen[300] = {0};
    struct value v = thash_new();
    random_init(&r, 5);
    for (int i = 0; i < fields; i++) set_number(&v, i, limits);
    // Of 300 fields all but the last ten are over: looking at random finds them seldom.
    for (int i = 0; expired && i < fields - 10; i++) {
        char name[32];
        int n = snprintf(name, sizeof(name), "f%d", i);
        thash_set_expire(&v, slice_of(name, (size_t)n), NOW_MS);
    }
    size_t there = expired ? 10 : (size_t)fields;
    for (size_t count = 0; count < 14; count++) {
        memset(seen, 0, sizeof(seen));
        size_t n = thash_random_unique(v, count, NOW_MS + 1, &r, mark_field, seen), found = 0;
        assert_int_equal(n, count < there ? count : there);
        for (int i = 0; i < fields; i++) {
            assert_in_range(seen[i], 0, expired && i < fields - 10 ? 0 : 1);
            found += seen[i];
        }
        assert_int_equal(found, n);
    }
    memset(seen, 0, sizeof(seen));
    assert_int_equal(thash_random(v, 100 * there, NOW_MS + 1, &r, mark_field, seen), 100 * there);
    for (int i = expired ? fields - 10 : 0; i < fields; i++) assert_in_range(seen[i], 30, 250);
    value_free(v);
}

static void test_random_fields(void **state) {
    (void)state;
    struct value_limits none = value_default_limits;
    none.hash_max_listpack_entries = 0;
    for (int expired = 0; expired < 2; expired++) {
        draw(&value_default_limits, 300, expired);
        draw(&none, 300, expired);
        draw(&value_default_limits, 10, expired);
        draw(&none, 10, expired);
    }
    struct random r;
    random_init(&r, 5);
    struct value v = thash_new();
    set_number(&v, 1, &none);
    thash_set_expire(&v, SLICE_LITERAL("f1"), NOW_MS);
    assert_int_equal(thash_random(v, 3, NOW_MS + 1, &r, mark_field, NULL), 0);
    assert_int_equal(thash_random_unique(v, 3, NOW_MS + 1, &r, mark_field, NULL), 0);
    value_free(v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_changes),
        cmocka_unit_test(test_conversions),
        cmocka_unit_test(test_long_texts_convert),
        cmocka_unit_test(test_digests),
        cmocka_unit_test(test_removing_what_is_due),
        cmocka_unit_test(test_expiry_set_during_a_walk),
        cmocka_unit_test(test_scan_meets_every_field),
        cmocka_unit_test(test_random_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
