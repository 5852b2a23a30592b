// SPDX-License-Identifier: BSD-3-Clause
//
// Listpacks: every encoding at its boundaries, read back from both ends, against the bytes that
// Redis 7 makes of the same items; random changes against a plain array; more elements than the
// header can count; and the check of foreign bytes, which has to refuse all that is cut or mutated
// in a way that a walk could feel. One thread.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/alloc.h"
#include "engine/base/random.h"
#include "engine/encoding/listpack.h"

static const int64_t numbers[] = {0,
                                  1,
                                  126,
                                  127,
                                  128,
                                  -1,
                                  -2,
                                  4095,
                                  4096,
                                  -4096,
                                  -4097,
                                  32767,
                                  32768,
                                  -32768,
                                  -32769,
                                  8388607,
                                  8388608,
                                  -8388608,
                                  -8388609,
                                  INT32_MAX,
                                  INT32_MIN,
                                  (int64_t)INT32_MAX + 1,
                                  (int64_t)INT32_MIN - 1,
                                  INT64_MAX,
                                  INT64_MIN,
                                  INT64_MAX - 1,
                                  INT64_MIN + 1};
#define NUMBERS (sizeof numbers / sizeof numbers[0])

static const size_t lengths[] = {
    0,    1,    2,    62,    63,    64,    65,    125,   126,   127,     128,     4093,    4094,
    4095, 4096, 4097, 16377, 16378, 16379, 16380, 16383, 65536, 2097145, 2097146, 2097147, 2097152};
#define LENGTHS (sizeof lengths / sizeof lengths[0])

static void check_valid(const uint8_t *lp) {
    assert_true(listpack_is_valid(lp));
    assert_true(listpack_memory(lp) >= listpack_bytes(lp));
}

static void test_empty(void **state) {
    (void)state;
    int64_t start = mem_used();
    uint8_t *lp = listpack_new(0);
    check_valid(lp);
    assert_int_equal(listpack_bytes(lp), LISTPACK_MIN_BYTES);
    assert_int_equal(listpack_count(lp), 0);
    assert_null(listpack_first(lp));
    assert_null(listpack_last(lp));
    assert_null(listpack_at(lp, 0));
    assert_null(listpack_at(lp, -1));
    assert_null(listpack_at(lp, INT64_MIN));
    assert_null(listpack_find(lp, NULL, SLICE_LITERAL("a"), 0));
    lp = listpack_delete_range(lp, 0, 3);
    assert_int_equal(listpack_count(lp), 0);
    listpack_free(lp);
    assert_int_equal(mem_used(), start);
}

static void test_numbers(void **state) {
    (void)state;
    uint8_t *lp = listpack_new(0), *texts = listpack_new(0);
    char text[NUM_I64_TEXT_MAX];
    for (size_t i = 0; i < NUMBERS; i++) {
        size_t before = listpack_bytes(lp);
        struct slice s = slice_of(text, num_format_i64(text, numbers[i]));
        lp = listpack_append_i64(lp, numbers[i]);
        texts = listpack_append(texts, s);
        assert_int_equal(listpack_bytes(lp) - before, listpack_element_bytes(s));
        uint8_t *p = listpack_last(lp);
        struct listpack_item item = {0};
        listpack_get(p, &item);
        assert_true(item.is_int && item.number == numbers[i]);
        int64_t v = 0;
        assert_true(listpack_i64(p, &v) && v == numbers[i]);
        char scratch[NUM_I64_TEXT_MAX];
        assert_true(slice_equal(listpack_text(p, scratch), s));
        assert_true(listpack_equal(p, s));
        assert_ptr_equal(listpack_find(lp, listpack_first(lp), s, 0), p);
        check_valid(lp);
    }
    assert_memory_equal(lp, texts, listpack_bytes(lp));
    for (size_t i = 0; i < NUMBERS; i++) { // replaced by itself, and by its neighbour and back
        uint8_t *p = listpack_at(lp, (int64_t)i);
        lp = listpack_replace_i64(lp, &p, numbers[(i + 1) % NUMBERS]);
        check_valid(lp);
        lp = listpack_replace_i64(lp, &p, numbers[i]);
        assert_memory_equal(lp, texts, listpack_bytes(lp));
    }
    listpack_free(lp);
    listpack_free(texts);
}

static void test_lengths(void **state) {
    (void)state;
    char *text = malloc(2097152);
    for (size_t i = 0; i < 2097152; i++) text[i] = (char)('a' + i % 23);
    uint8_t *lp = listpack_new(0);
    for (size_t i = 0; i < LENGTHS; i++) {
        struct slice s = slice_of(text, lengths[i]);
        size_t before = listpack_bytes(lp);
        lp = listpack_append(lp, s);
        assert_int_equal(listpack_bytes(lp) - before, listpack_element_bytes(s));
        assert_true(listpack_equal(listpack_last(lp), s));
        assert_false(listpack_equal(listpack_last(lp), slice_of(text, lengths[i] + 1)));
    }
    check_valid(lp);
    const uint8_t *p = listpack_first(lp);
    for (size_t i = 0; i < LENGTHS; i++, p = listpack_next(lp, p)) {
        struct listpack_item item = {0};
        listpack_get(p, &item);
        assert_false(item.is_int);
        assert_true(slice_equal(item.text, slice_of(text, lengths[i])));
    }
    assert_null(p);
    p = listpack_last(lp);
    for (size_t i = LENGTHS; i-- > 0; p = listpack_prev(lp, p))
        assert_true(listpack_equal(p, slice_of(text, lengths[i])));
    assert_null(p);
    listpack_free(lp);
    free(text);
}

/** What is no canonical integer stays a text, and looks like one from outside. */
static void test_not_numbers(void **state) {
    (void)state;
    static const char *const texts[] = {"-",
                                        "-0",
                                        "00",
                                        "01",
                                        "+1",
                                        " 1",
                                        "1 ",
                                        "1a",
                                        "9223372036854775808",
                                        "1e3",
                                        "-01",
                                        "--1",
                                        "18446744073709551616",
                                        "-9223372036854775809",
                                        "0x1",
                                        ""};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        uint8_t *lp = listpack_append(listpack_new(0), slice_text(texts[i]));
        struct listpack_item item = {0};
        listpack_get(listpack_first(lp), &item);
        int64_t v;
        assert_false(item.is_int);
        assert_true(slice_equal(item.text, slice_text(texts[i])));
        assert_false(listpack_i64(listpack_first(lp), &v));
        assert_true(listpack_equal(listpack_first(lp), slice_text(texts[i])));
        check_valid(lp);
        listpack_free(lp);
    }
}

/** Bytes as DUMP of Redis 7.0 and 7.2 shows them for a hash of these fields and values. */
static void test_bytes_of_redis(void **state) {
    (void)state;
    static const char expected[] =
        "\x31\0\0\0\x0c\0\0\x01\x7f\x01\xc0\x80\x02\xdf\xff\x02\xcf\xff\x02\xd0\0\x02\xf1\0\x10\x03"
        "\xf1\xff\xef\x03\xf1\xff\x7f\x03\xf1\0\x80\x03\xf2\0\x80\0\x04\xf2\xff\x7f\xff\x04\xff";
    static const char *const texts[] = {"0",    "127",   "128",   "-1",     "4095",  "-4096",
                                        "4096", "-4097", "32767", "-32768", "32768", "-32769"};
    uint8_t *lp = listpack_new(0);
    for (size_t i = 0; i < 12; i++) lp = listpack_append(lp, slice_text(texts[i]));
    assert_int_equal(listpack_bytes(lp), sizeof expected - 1);
    assert_memory_equal(lp, expected, sizeof expected - 1);
    listpack_free(lp);

    static const char more[] = "\x21\0\0\0\4\0\x83"
                               "abc\4\xf4\0\0\0\x80\0\0\0\0\x09\x82-0\3\x85"
                               "hello\6\xff";
    lp = listpack_append(listpack_new(0), SLICE_LITERAL("hello"));
    lp = listpack_prepend(lp, SLICE_LITERAL("-0"));
    lp = listpack_prepend(lp, SLICE_LITERAL("2147483648"));
    lp = listpack_prepend(lp, SLICE_LITERAL("abc"));
    assert_int_equal(listpack_bytes(lp), sizeof more - 1);
    assert_memory_equal(lp, more, sizeof more - 1);
    listpack_free(lp);
}

/** Backward lengths around their boundaries: 16382 takes two bytes, 16383 three. */
static void test_back_lengths(void **state) {
    (void)state;
    static const struct {
        size_t text;
        uint8_t last[3];
        size_t bytes;
    } cases[] = {{125, {127}, 0}, // 2 bytes of head from 64 on: 127 in all
                 {126, {1, 0x80}, 2},
                 {16377, {127, 0xfe}, 2},
                 {16378, {0, 0xff, 0xff}, 3}};
    char *text = calloc(1, 20000);
    for (size_t i = 0; i < 4; i++) {
        uint8_t *lp = listpack_append(listpack_new(0), slice_of(text, cases[i].text));
        size_t n = cases[i].bytes == 0 ? 1 : cases[i].bytes;
        assert_memory_equal(lp + listpack_bytes(lp) - 1 - n, cases[i].last, n);
        check_valid(lp);
        listpack_free(lp);
    }
    free(text);
}

// ---- random changes against an array -----------------------------------------------------------

#define MODEL_MAX 400
struct model {
    char *texts[MODEL_MAX];
    size_t lengths[MODEL_MAX];
    size_t count;
};

static struct slice random_text(struct random *r, char *room) {
    if (random_below(r, 3) == 0)
        return slice_of(room, num_format_i64(room, (int64_t)random_next(r) >> random_below(r, 64)));
    size_t n = random_below(r, 40) == 0 ? random_below(r, 6000) : random_below(r, 90);
    for (size_t i = 0; i < n; i++) room[i] = (char)('a' + random_below(r, 3));
    return slice_of(room, n);
}

static void model_insert(struct model *m, size_t at, struct slice text) {
    memmove(m->texts + at + 1, m->texts + at, (m->count - at) * sizeof *m->texts);
    memmove(m->lengths + at + 1, m->lengths + at, (m->count - at) * sizeof *m->lengths);
    m->texts[at] = malloc(text.n + 1);
    memcpy(m->texts[at], text.p, text.n);
    m->lengths[at] = text.n;
    m->count++;
}

static void model_delete(struct model *m, size_t at, size_t count) {
    if (count > m->count - at) count = m->count - at;
    for (size_t i = 0; i < count; i++) free(m->texts[at + i]);
    size_t behind = m->count - at - count;
    memmove(m->texts + at, m->texts + at + count, behind * sizeof *m->texts);
    memmove(m->lengths + at, m->lengths + at + count, behind * sizeof *m->lengths);
    m->count -= count;
}

static struct slice model_text(const struct model *m, size_t at) {
    return slice_of(m->texts[at], m->lengths[at]);
}

static void compare(const uint8_t *lp, const struct model *m) {
    check_valid(lp);
    assert_int_equal(listpack_count(lp), m->count);
    const uint8_t *p = listpack_first(lp);
    for (size_t i = 0; i < m->count; i++, p = listpack_next(lp, p)) {
        char scratch[NUM_I64_TEXT_MAX];
        assert_non_null(p);
        assert_true(slice_equal(listpack_text(p, scratch), model_text(m, i)));
        assert_ptr_equal(listpack_at(lp, (int64_t)i), p);
        assert_ptr_equal(listpack_at(lp, (int64_t)i - (int64_t)m->count), p);
    }
    assert_null(p);
}

static size_t model_find(const struct model *m, size_t from, struct slice text, unsigned skip) {
    for (size_t i = from; i < m->count; i += skip + 1)
        if (slice_equal(model_text(m, i), text)) return i;
    return m->count;
}

static uint8_t *random_change(uint8_t *lp, struct model *m, struct random *r, struct slice text) {
    size_t at = m->count > 0 ? random_below(r, m->count) : 0, n = random_below(r, 5);
    uint8_t *p = m->count > 0 ? listpack_at(lp, (int64_t)at) : NULL;
    switch (random_below(r, 7)) {
    case 0: model_insert(m, m->count, text); return listpack_append(lp, text);
    case 1: model_insert(m, 0, text); return listpack_prepend(lp, text);
    case 2: {
        uint8_t *place;
        lp = listpack_insert(lp, p, text, &place);
        model_insert(m, at, text);
        assert_true(listpack_equal(place, text));
        return lp;
    }
    case 3:
        if (m->count == 0) return lp;
        lp = listpack_replace(lp, &p, text);
        model_delete(m, at, 1);
        model_insert(m, at, text);
        assert_ptr_equal(p, listpack_at(lp, (int64_t)at));
        return lp;
    case 4:
        if (m->count == 0) return lp;
        lp = listpack_delete(lp, &p, n);
        model_delete(m, at, n);
        assert_ptr_equal(p, listpack_at(lp, (int64_t)at));
        return lp;
    case 5:
        if (m->count == 0) return lp;
        lp = listpack_delete_range(
            lp, random_below(r, 2) ? (int64_t)at : (int64_t)at - (int64_t)m->count, n);
        model_delete(m, at, n);
        return lp;
    default: {
        size_t found = model_find(m, at, text, (unsigned)n);
        p = listpack_find(lp, p, text, (unsigned)n);
        assert_ptr_equal(p, found < m->count ? listpack_at(lp, (int64_t)found) : NULL);
        return lp;
    }
    }
}

static void test_random_changes(void **state) {
    (void)state;
    int64_t start = mem_used();
    char room[6000];
    struct random r;
    random_init(&r, 4711);
    for (int round = 0; round < 6; round++) {
        struct model m = {.count = 0};
        uint8_t *lp = listpack_new(random_below(&r, 100));
        for (int i = 0; i < 700 && m.count + 8 < MODEL_MAX; i++) {
            struct slice text = random_text(&r, room);
            if (m.count > 0 && random_below(&r, 2)) {
                text = model_text(&m, random_below(&r, m.count));
                memcpy(room, text.p, text.n);
                text.p = room;
            }
            lp = random_change(lp, &m, &r, text);
            compare(lp, &m);
        }
        uint8_t *copy = listpack_copy(lp);
        copy = listpack_merge(copy, lp);
        assert_int_equal(listpack_count(copy), 2 * m.count);
        check_valid(copy);
        copy = listpack_delete_range(copy, 0, m.count);
        assert_memory_equal(copy, lp, listpack_bytes(lp));
        listpack_free(copy);
        lp = listpack_shrink(lp);
        compare(lp, &m);
        model_delete(&m, 0, m.count);
        listpack_free(lp);
    }
    assert_int_equal(mem_used(), start);
}

/** The header's count stops at 65534; what it cannot say is counted. */
static void test_more_than_the_header_counts(void **state) {
    (void)state;
    uint8_t *lp = listpack_new(0);
    for (int64_t i = 0; i < 65534; i++) lp = listpack_append_i64(lp, i);
    assert_true(lp[4] == 0xfe && lp[5] == 0xff);
    assert_int_equal(listpack_count(lp), 65534);
    for (int64_t i = 65534; i < 65540; i++) {
        lp = listpack_append_i64(lp, i);
        assert_true(lp[4] == 0xff && lp[5] == 0xff);
        assert_int_equal(listpack_count(lp), i + 1);
    }
    check_valid(lp);
    int64_t v;
    assert_true(listpack_i64(listpack_at(lp, 65539), &v) && v == 65539);
    assert_true(listpack_i64(listpack_at(lp, -65540), &v) && v == 0);
    assert_null(listpack_at(lp, 65540));
    assert_null(listpack_at(lp, -65541));
    lp = listpack_delete_range(lp, 10, 65530);
    assert_int_equal(listpack_count(lp), 10);
    check_valid(lp);
    listpack_free(lp);
}

static void test_growth_is_amortised(void **state) {
    (void)state;
    uint8_t *lp = listpack_new(0);
    int moves = 0;
    for (int i = 0; i < 4000; i++) {
        uint8_t *before = lp;
        size_t usable = listpack_memory(lp);
        lp = listpack_append(lp, SLICE_LITERAL("sixteen bytes..."));
        moves += lp != before || listpack_memory(lp) != usable;
        assert_true(listpack_memory(lp) <= listpack_bytes(lp) + listpack_bytes(lp) / 4 + 64);
    }
    assert_in_range(moves, 10, 120);
    while (listpack_count(lp) > 0) {
        lp = listpack_delete_range(lp, -1, 1);
        assert_true(listpack_memory(lp) <= listpack_bytes(lp) * 3 / 2 + 64);
    }
    listpack_free(lp);
}

/** In a block with a gap: the same bytes as by the other way, wherever the listpack stands. */
static void test_gap(void **state) {
    (void)state;
    char room[6000];
    struct random r;
    random_init(&r, 5);
    static uint8_t block[100000];
    uint8_t *lp = block + sizeof block - LISTPACK_MIN_BYTES, *other = listpack_new(0);
    memcpy(lp, other, LISTPACK_MIN_BYTES);
    for (int i = 0; i < 300; i++) {
        struct slice text = random_text(&r, room);
        size_t bytes = listpack_element_bytes(text);
        assert_null(listpack_prepend_in_gap(lp, text, bytes - 1));
        lp = listpack_prepend_in_gap(lp, text, bytes);
        other = listpack_prepend(other, text);
        if (i % 3 == 0) {
            lp = listpack_drop_first(lp);
            other = listpack_delete_range(other, 0, 1);
        }
        assert_int_equal(listpack_bytes(lp), listpack_bytes(other));
        assert_memory_equal(lp, other, listpack_bytes(lp));
        assert_ptr_equal(lp + listpack_bytes(lp), block + sizeof block);
    }
    while (listpack_count(lp) > 0) lp = listpack_drop_first(lp);
    assert_ptr_equal(lp, block + sizeof block - LISTPACK_MIN_BYTES);
    assert_true(listpack_is_valid(lp));
    listpack_free(other);
}

// ---- bytes from elsewhere ----------------------------------------------------------------------

struct seen {
    size_t count, limit;
};

static bool count_item(void *context, const struct listpack_item *item) {
    struct seen *seen = context;
    (void)item;
    return ++seen->count < seen->limit;
}

static void test_validate_calls(void **state) {
    (void)state;
    uint8_t *lp = listpack_new(0);
    for (int64_t i = 0; i < 10; i++) lp = listpack_append_i64(lp, i * 1000);
    struct seen seen = {0, 100};
    assert_true(listpack_validate(lp, listpack_bytes(lp), count_item, &seen));
    assert_int_equal(seen.count, 10);
    seen = (struct seen){0, 5};
    assert_false(listpack_validate(lp, listpack_bytes(lp), count_item, &seen));
    assert_int_equal(seen.count, 5);
    listpack_free(lp);
}

/** Reads all that a user of valid bytes may read: sanitizers watch. */
static void walk(const uint8_t *lp) {
    size_t forth = 0, back = 0;
    for (const uint8_t *p = listpack_first(lp); p != NULL; p = listpack_next(lp, p)) {
        char scratch[NUM_I64_TEXT_MAX];
        struct slice text = listpack_text(p, scratch);
        assert_true(listpack_equal(p, text));
        forth++;
    }
    for (const uint8_t *p = listpack_last(lp); p != NULL; p = listpack_prev(lp, p)) back++;
    assert_int_equal(forth, back);
}

/** Takes the bytes, exactly as long as they are, to where a sanitizer sees one byte too many. */
static bool check_exactly(const uint8_t *bytes, size_t n) {
    uint8_t *exact = malloc(n > 0 ? n : 1);
    memcpy(exact, bytes, n);
    bool canonical, valid = listpack_validate(exact, n, NULL, NULL);
    assert_int_equal(listpack_check(exact, n, &canonical), valid);
    if (valid) walk(exact);
    free(exact);
    return valid;
}

static void test_validate_refuses(void **state) {
    (void)state;
    char room[6000];
    struct random r;
    random_init(&r, 99);
    uint8_t *lp = listpack_new(0);
    for (int i = 0; i < 60; i++) lp = listpack_append(lp, random_text(&r, room));
    memset(room, 'x', sizeof room);
    lp = listpack_append(lp, slice_of(room, 5000));
    size_t n = listpack_bytes(lp);
    assert_true(check_exactly(lp, n));
    for (size_t cut = 0; cut < n; cut++) {
        assert_false(check_exactly(lp, cut));
        if (cut < LISTPACK_MIN_BYTES) continue;
        // Also when the header agrees with the cut.
        uint8_t header[4];
        memcpy(header, lp, 4);
        for (unsigned i = 0; i < 4; i++) lp[i] = (uint8_t)(cut >> (8 * i));
        assert_false(check_exactly(lp, cut));
        memcpy(lp, header, 4);
    }
    for (size_t i = 0; i < 2000; i++) {
        size_t at = i < 700 ? i : random_below(&r, n);
        uint8_t old = lp[at];
        lp[at] ^= (uint8_t)(1 + random_below(&r, 255));
        bool valid = check_exactly(lp, n);
        if (at < LISTPACK_HEADER || at == n - 1) assert_false(valid);
        lp[at] = old;
    }
    for (uint8_t *p = listpack_first(lp); p != NULL; p = listpack_next(lp, p)) {
        uint8_t *next = listpack_next(lp, p);
        uint8_t *back = (next != NULL ? next : lp + n - 1) - 1, old = *back;
        *back ^= (uint8_t)(1 + random_below(&r, 255));
        assert_false(check_exactly(lp, n));
        *back = old;
    }
    for (unsigned b = 0xf5; b <= 0xff; b++) { // begins no element
        uint8_t bad[] = {9, 0, 0, 0, 1, 0, (uint8_t)b, 1, 0xff};
        assert_false(check_exactly(bad, sizeof bad));
    }
    static const uint8_t huge[] = {13, 0, 0, 0, 1, 0, 0xf0, 0xff, 0xff, 0xff, 0xff, 1, 0xff};
    assert_false(check_exactly(huge, sizeof huge));
    listpack_free(lp);
}

static bool is_canonical(const uint8_t *lp) {
    bool canonical;
    assert_true(listpack_check(lp, listpack_bytes(lp), &canonical));
    return canonical;
}

/** Numbers and texts of all lengths are canonical as append writes them ... */
static void test_canonical(void **state) {
    (void)state;
    char *text = calloc(1, lengths[LENGTHS - 1]);
    uint8_t *lp = listpack_new(0);
    for (size_t i = 0; i < NUMBERS; i++) lp = listpack_append_i64(lp, numbers[i]);
    for (size_t i = 0; i < LENGTHS; i++) lp = listpack_append(lp, slice_of(text, lengths[i]));
    lp = listpack_append(lp, SLICE_LITERAL("007"));
    assert_true(is_canonical(lp));
    uint8_t *copy = listpack_canonical_copy(lp);
    assert_int_equal(listpack_bytes(copy), listpack_bytes(lp));
    assert_memory_equal(copy, lp, listpack_bytes(lp));
    listpack_free(copy);
    listpack_free(lp);
    free(text);
}

/** ... and foreign elements that are not become so. */
static void test_not_canonical(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *text;
    } cases[] = {
        {"\x81"
         "5\2",
         3, "5"},
        {"\x84"
         "-300\5",
         6, "-300"},
        {"\x94"
         "-9223372036854775808\x15",
         22, "-9223372036854775808"},
        {"\xc0\x7f\2", 3, "127"},
        {"\xf1\xff\xff\3", 4, "-1"},
        {"\xf2\0\1\0\4", 5, "256"},
        {"\xf3\0\0\1\0\5", 6, "65536"},
        {"\xf4\0\0\1\0\0\0\0\0\x09", 10, "65536"},
        {"\xe0\1x\3", 4, "x"},
        {"\xf0\1\0\0\0x\6", 7, "x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t foreign[64] = {0};
        size_t n = LISTPACK_MIN_BYTES + cases[i].n;
        foreign[0] = (uint8_t)n;
        foreign[4] = 1;
        memcpy(foreign + LISTPACK_HEADER, cases[i].bytes, cases[i].n);
        foreign[n - 1] = LISTPACK_END;
        assert_true(listpack_validate(foreign, n, NULL, NULL));
        assert_false(is_canonical(foreign));
        uint8_t *copy = listpack_canonical_copy(foreign);
        assert_true(is_canonical(copy));
        check_valid(copy);
        assert_int_equal(listpack_count(copy), 1);
        assert_true(listpack_equal(listpack_first(copy), slice_text(cases[i].text)));
        listpack_free(copy);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_not_numbers),
        cmocka_unit_test(test_bytes_of_redis),
        cmocka_unit_test(test_back_lengths),
        cmocka_unit_test(test_random_changes),
        cmocka_unit_test(test_more_than_the_header_counts),
        cmocka_unit_test(test_growth_is_amortised),
        cmocka_unit_test(test_gap),
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_not_canonical),
        cmocka_unit_test(test_validate_calls),
        cmocka_unit_test(test_validate_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
