// SPDX-License-Identifier: BSD-3-Clause
//
// The loader of values: a sample of every type comes out as what it stands for, in the encoding
// that Redis gives it; cut off anywhere it fails, with any byte changed it fails or what comes out
// is valid; what is malformed is refused with its reason. Also the limits, the windows that
// elements are gathered in, and fields whose time is over. Single-threaded; seeds are fixed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/random.h"
#include "engine/encoding/intset.h"
#include "tests/unit/rdb/describe.h"
#include "tests/unit/rdb/samples.h"

#define KEY SLICE_LITERAL("key")

static void expect_content(const struct entry *e, const char *content) {
    struct buf told = tell(e);
    assert_string_equal(told.p, content);
    buf_free(&told);
}

// ---- samples -----------------------------------------------------------------------------------

struct attempt {
    enum rdb_loaded result;
    struct entry *entry;
    struct rdb_in in; // its bytes are gone
    size_t used, steps;
};

/** The same in steps as short as can be: it comes to the same. Returns how many they were. */
static size_t in_steps(struct rdb_load *load, uint8_t type, const uint8_t *bytes, size_t n,
                       const struct attempt *whole) {
    struct rdb_loading loading;
    struct rdb_in in;
    struct entry *e;
    size_t steps = 1;
    enum rdb_loaded result;
    rdb_in_init(&in, bytes, n, 0);
    rdb_load_begin(&loading, type);
    for (; (result = rdb_load_step(load, &loading, &in, 1, KEY, ENTRY_NO_EXPIRE, &e)) ==
           RDB_LOAD_MORE;
         steps++) {
        assert_null(e);
        assert_true(steps <= n);
    }
    assert_int_equal(result, whole->result);
    assert_int_equal(in.at - in.start, whole->used);
    assert_string_equal(in.error, whole->in.error);
    assert_int_equal(e != NULL, whole->entry != NULL);
    if (e == NULL) return steps;
    struct digest a = {0}, b = {0};
    assert_true(entry_is_valid(e));
    entry_digest(e, &a);
    entry_digest(whole->entry, &b);
    assert_true(a.low == b.low && a.high == b.high);
    assert_string_equal(entry_encoding_name(e), entry_encoding_name(whole->entry));
    entry_free(e);
    return steps;
}

/** Loads from a block of exactly these bytes, at once and in steps. */
static struct attempt attempt(struct rdb_load *load, uint8_t type, const void *bytes, size_t n) {
    struct attempt a;
    uint8_t *exact = malloc(n + 1);
    if (n > 0) memcpy(exact + 1, bytes, n);
    rdb_in_init(&a.in, exact + 1, n, 0);
    a.result = rdb_load_entry(load, &a.in, type, KEY, ENTRY_NO_EXPIRE, &a.entry);
    a.used = (size_t)(a.in.at - a.in.start);
    uint64_t expired_fields = load->expired_fields;
    a.steps = in_steps(load, type, exact + 1, n, &a);
    load->expired_fields = expired_fields;
    free(exact);
    assert_int_equal(a.entry != NULL, a.result == RDB_LOADED);
    if (a.entry != NULL) assert_true(entry_is_valid(a.entry));
    assert_int_equal(a.in.failed, a.result == RDB_LOAD_FAILED || a.result == RDB_LOAD_UNKNOWN);
    assert_int_equal(a.in.failed, a.in.error[0] != '\0');
    return a;
}

static struct rdb_load loader(uint8_t dialect) {
    return (struct rdb_load){.dialect = dialect, .limits = &value_default_limits};
}

static void test_samples(void **state) {
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        const struct sample *s = &samples[i];
        struct rdb_load load = loader(s->dialect);
        struct buf b = {0};
        s->write(&b);
        struct rdb_in in;
        struct entry *e;
        rdb_in_init(&in, b.p, b.len, 0);
        assert_int_equal(rdb_load_entry(&load, &in, s->type, KEY, 1234, &e), RDB_LOADED);
        assert_true(in.at == in.end);
        assert_true(entry_is_valid(e));
        assert_string_equal(entry_encoding_name(e), s->encoding);
        assert_true(slice_equal(entry_key(e), KEY) && entry_expire_ms(e) == 1234);
        expect_content(e, s->content);
        entry_free(e);
        // What is gone past is what is loaded.
        rdb_in_init(&in, b.p, b.len, 0);
        assert_true(rdb_in_skip_value(&in, s->type, s->dialect) && in.at == in.end);
        // More bytes behind it are not looked at.
        put_byte(&b, 7);
        struct attempt a = attempt(&load, s->type, b.p, b.len);
        assert_int_equal(a.result, RDB_LOADED);
        assert_int_equal(a.used, b.len - 1);
        entry_free(a.entry);
        buf_free(&b);
        rdb_load_fini(&load);
    }
}

static void test_samples_that_are_cut_off(void **state) {
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        struct rdb_load load = loader(samples[i].dialect);
        struct buf b = {0};
        samples[i].write(&b);
        for (size_t n = 0; n < b.len; n++) {
            struct attempt a = attempt(&load, samples[i].type, b.p, n);
            assert_int_equal(a.result, RDB_LOAD_FAILED);
            assert_true(a.in.more);
        }
        buf_free(&b);
        rdb_load_fini(&load);
    }
}

static void test_samples_with_a_byte_changed(void **state) {
    (void)state;
    size_t loaded = 0, refused = 0;
    for (size_t i = 0; i < SAMPLES; i++) {
        struct rdb_load load = loader(samples[i].dialect);
        load.now_ms = i % 2 == 0 ? 0 : LATER_MS + 1;
        struct buf b = {0};
        samples[i].write(&b);
        for (size_t at = 0; at < b.len; at++) {
            unsigned char before = (unsigned char)b.p[at];
            const unsigned char others[] = {before ^ 1,  before ^ 2,  before ^ 4,  before ^ 8,
                                            before ^ 16, before ^ 32, before ^ 64, before ^ 128,
                                            before + 1u, before - 1u, 0,           255};
            for (size_t k = 0; k < sizeof others; k++) {
                b.p[at] = (char)others[k];
                struct attempt a = attempt(&load, samples[i].type, b.p, b.len);
                if (a.entry != NULL) entry_free(a.entry);
                *(a.result == RDB_LOAD_FAILED ? &refused : &loaded) += 1;
            }
            b.p[at] = (char)before;
        }
        buf_free(&b);
        rdb_load_fini(&load);
    }
    assert_true(loaded > 1000 && refused > 1000);
}

// ---- what is malformed -------------------------------------------------------------------------

#define BYTES(text) .bytes = (text), .n = sizeof(text) - 1

struct malformed {
    uint8_t type;
    const char *bytes;
    size_t n;
    const char *pack; // instead of bytes: a listpack of these words
    const char *error;
    uint8_t dialect;
};

static const struct malformed malformed[] = {
    {RDB_STRING, BYTES("\xc5xyz"), .error = "unknown string encoding 5"},
    // lists
    {RDB_LIST_ZIPLIST, BYTES("\x00"), .error = "a malformed ziplist"},
    {RDB_LIST_QUICKLIST, BYTES("\x01\x00"), .error = "a malformed ziplist"},
    {RDB_LIST_QUICKLIST_2, BYTES("\x01\x03\x01x"), .error = "an unknown kind of a list's nodes"},
    {RDB_LIST_QUICKLIST_2, BYTES("\x01\x00\x01x"), .error = "an unknown kind of a list's nodes"},
    {RDB_LIST_QUICKLIST_2, BYTES("\x01\x01\x00"), .error = "an empty node of a list"},
    {RDB_LIST_QUICKLIST_2, BYTES("\x01\x02\x00"), .error = "a malformed listpack"},
    // sets
    {RDB_SET, BYTES("\x02\x01x\x01x"), .error = "a member of a set twice"},
    {RDB_SET,
     BYTES("\x02\xc0\x05\x01"
           "5"),
     .error = "a member of a set twice"},
    {RDB_SET_INTSET, BYTES("\x08\2\0\0\0\0\0\0\0"), .error = "a malformed intset"}, // empty
    {RDB_SET_INTSET, BYTES("\x0a\3\0\0\0\1\0\0\0xx"), .error = "a malformed intset"},
    {RDB_SET_INTSET, BYTES("\x0b\2\0\0\0\1\0\0\0xxx"), .error = "a malformed intset"},
    {RDB_SET_INTSET, BYTES("\x0c\2\0\0\0\2\0\0\0\1\0\1\0"), .error = "a malformed intset"},
    {RDB_SET_INTSET, BYTES("\x0c\2\0\0\0\2\0\0\0\1\0\0\0"), .error = "a malformed intset"},
    {RDB_SET_INTSET, BYTES("\x07xxxxxxx"), .error = "a malformed intset"},
    {RDB_SET_LISTPACK, .pack = "a b a", .error = "an element twice"},
    {RDB_SET_LISTPACK, .pack = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 7",
     .error = "an element twice"},
    // the same number, once as text: not written in the shortest way
    {RDB_SET_LISTPACK,
     BYTES("\x0c\x0c\0\0\0\2\0\x05\1\x81"
           "5\2\xff"),
     .error = "an element twice"},
    {RDB_SET_LISTPACK, BYTES("\x08\x08\0\0\0\1\0\x05\xff"), .error = "a malformed listpack"},
    {RDB_SET_LISTPACK, BYTES("\x09\x09\0\0\0\2\0\x05\1\xff"), .error = "a malformed listpack"},
    {RDB_SET_LISTPACK, BYTES("\x09\x0a\0\0\0\1\0\x05\1\xff"), .error = "a malformed listpack"},
    {RDB_SET_LISTPACK, BYTES("\x09\x09\0\0\0\1\0\x05\2\xff"), .error = "a malformed listpack"},
    {RDB_SET_LISTPACK, BYTES("\x09\x09\0\0\0\1\0\x05\1\xfe"), .error = "a malformed listpack"},
    {RDB_SET_LISTPACK, BYTES("\x09\x09\0\0\0\1\0\xf5\1\xff"), .error = "a malformed listpack"},
    // hashes
    {RDB_HASH, BYTES("\x02\x01x\x01y\x01x\x01z"), .error = "a field of a hash twice"},
    {RDB_HASH_ZIPMAP, BYTES("\x02\0\xff"), .error = "a malformed zipmap"}, // empty
    {RDB_HASH_ZIPMAP, BYTES("\x07\1\1f\1\0v\xfe"), .error = "a malformed zipmap"},
    {RDB_HASH_ZIPMAP, BYTES("\x07\2\1f\1\0v\xff"), .error = "a malformed zipmap"},
    {RDB_HASH_ZIPMAP, BYTES("\x07\1\1f\2\0v\xff"), .error = "a malformed zipmap"},
    {RDB_HASH_ZIPMAP, BYTES("\x07\1\1f\1\1v\xff"), .error = "a malformed zipmap"},
    {RDB_HASH_ZIPMAP,
     BYTES("\x07\1\xfe"
           "f\1\0v\xff"),
     .error = "a malformed zipmap"},
    {RDB_HASH_ZIPMAP, BYTES("\x0b\1\1f\xfe\1\0\0\0\0v\xff"), .error = "a malformed zipmap"},
    {RDB_HASH_ZIPMAP, BYTES("\x03\1\1\xff"), .error = "a malformed zipmap"},
    {RDB_HASH_ZIPMAP, BYTES("\x0c\2\1f\1\0v\1f\1\0w\xff"), .error = "a field of a hash twice"},
    {RDB_HASH_LISTPACK, .pack = "a 1 b", .error = "elements without their pair"},
    {RDB_HASH_LISTPACK, .pack = "a 1 b 2 a 3", .error = "an element twice"},
    {RDB_HASH_LISTPACK_EX_PRE_GA, .pack = "a 1 0 b 2", .error = "elements without their pair"},
    {RDB_HASH_LISTPACK_EX_PRE_GA, .pack = "a 1 5 a 2 0", .error = "an element twice"},
    {RDB_HASH_LISTPACK_EX_PRE_GA, .pack = "a 1 5 b 2 4",
     .error = "fields of a hash that are not in order of expiry"},
    {RDB_HASH_LISTPACK_EX_PRE_GA, .pack = "a 1 0 b 2 4",
     .error = "fields of a hash that are not in order of expiry"},
    {RDB_HASH_LISTPACK_EX_PRE_GA, .pack = "a 1 x",
     .error = "fields of a hash that are not in order of expiry"},
    {RDB_HASH_LISTPACK_EX_PRE_GA, .pack = "a 1 -5",
     .error = "fields of a hash that are not in order of expiry"},
    {RDB_HASH_LISTPACK_EX_PRE_GA, .pack = "a 1 281474976710656",
     .error = "fields of a hash that are not in order of expiry"},
    {RDB_HASH_LISTPACK_EX, BYTES("\0\0\0\0\0\0\1\1\0"),
     .error = "a field of a hash with an expiry out of range"},
    {RDB_HASH_METADATA, BYTES("\0\0\0\0\0\0\1\1\0"),
     .error = "a field of a hash with an expiry out of range"},
    {RDB_HASH_METADATA, BYTES("\xff\xff\xff\xff\xff\xff\0\0\1\2\1a\1b"),
     .error = "a field of a hash with an expiry out of range"},
    {RDB_HASH_METADATA, BYTES("\1\0\0\0\0\0\0\0\1\x81\xff\xff\xff\xff\xff\xff\xff\xff\1a\1b"),
     .error = "a field of a hash with an expiry out of range"},
    {RDB_HASH_METADATA_PRE_GA, BYTES("\1\x81\0\1\0\0\0\0\0\0\1a\1b"),
     .error = "a field of a hash with an expiry out of range"},
    {RDB_HASH_METADATA_PRE_GA, BYTES("\2\0\1a\1b\0\1a\1b"), .error = "a field of a hash twice"},
    {RDB_VALKEY_HASH_2, BYTES("\1\1a\1b\0\0\0\0\0\0\0\0"), .dialect = RDB_VALKEY,
     .error = "a field of a hash with an expiry out of range"},
    {RDB_VALKEY_HASH_2, BYTES("\1\1a\1b\xfe\xff\xff\xff\xff\xff\xff\xff"), .dialect = RDB_VALKEY,
     .error = "a field of a hash with an expiry out of range"},
    // sorted sets
    {RDB_ZSET, BYTES("\x01\x01x\xfd"), .error = "a score that is not a number"},
    {RDB_ZSET,
     BYTES("\x01\x01x\x03"
           "abc"),
     .error = "a score that is not a number"},
    {RDB_ZSET,
     BYTES("\x02\x01x\x01"
           "1\x01x\x01"
           "2"),
     .error = "a member of a sorted set twice"},
    {RDB_ZSET_2, BYTES("\x01\x01x\0\0\0\0\0\0\xf8\x7f"), .error = "a score that is not a number"},
    {RDB_ZSET_LISTPACK, .pack = "a 1 b", .error = "elements without their pair"},
    {RDB_ZSET_LISTPACK, .pack = "a 1 a 2", .error = "an element twice"},
    {RDB_ZSET_LISTPACK, .pack = "a one", .error = "a score that is not a number"},
    {RDB_ZSET_LISTPACK, .pack = "a nan", .error = "a score that is not a number"},
};

static void test_what_is_malformed_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        const struct malformed *m = &malformed[i];
        struct rdb_load load = loader(m->dialect);
        struct buf b = {0};
        if (m->pack != NULL)
            put_pack(&b, m->pack);
        else
            buf_append(&b, m->bytes, m->n);
        struct attempt a = attempt(&load, m->type, b.p, b.len);
        assert_int_equal(a.result, RDB_LOAD_FAILED);
        assert_string_equal(a.in.error, m->error);
        assert_false(a.in.more);
        buf_free(&b);
        rdb_load_fini(&load);
    }
}

static void expect_ziplist(struct buf *b, bool good) {
    struct rdb_load load = loader(RDB_REDIS);
    struct attempt a = attempt(&load, RDB_LIST_ZIPLIST, b->p, b->len);
    assert_int_equal(a.result, good ? RDB_LOADED : RDB_LOAD_FAILED);
    if (!good) assert_string_equal(a.in.error, "a malformed ziplist");
    if (good) entry_free(a.entry);
    rdb_load_fini(&load);
}

static void test_ziplists_that_are_malformed(void **state) {
    (void)state;
    static const struct {
        size_t at;
        unsigned char byte;
    } changes[] = {
        {1, 0xff},  // bytes in all
        {5, 12},    // the last element: between two
        {5, 10},    // ... the first one
        {9, 3},     // elements
        {11, 1},    // length before the first
        {12, 40},   // a text that is too long
        {12, 0xf0}, // an integer that runs into the next one
        {12, 0xff}, // no encoding
        {14, 4},    // length before the second
        {17, 0},    // the end
    };
    struct buf b = {0};
    PUT_ZIP(&b, {"a", 0, 0}, {0, 300, 0}); // at 11 and 14, each three and four bytes
    assert_int_equal(b.len, 1 + 10 + 3 + 4 + 1);
    expect_ziplist(&b, true);
    b.p[9] = b.p[10] = (char)0xff; // unknown
    expect_ziplist(&b, true);
    b.p[9] = 2;
    b.p[10] = 0;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        size_t at = changes[i].at == 17 ? b.len - 1 : changes[i].at;
        char before = b.p[at];
        b.p[at] = (char)changes[i].byte;
        expect_ziplist(&b, false);
        b.p[at] = before;
    }
    buf_free(&b);
}

/** A stream with the part `which` in another form. */
static void put_stream(struct buf *b, unsigned which) {
    put_length(b, which == 0 ? 3 : 2);
    put_length(b, which == 1 ? 15 : 16);
    put_id(b, 5, 1);
    if (which == 1) b->len--;
    put_pack(b, which == 2   ? "2 0 1 name 0 2 0 0 v1 4"
                : which == 3 ? "1 0 1 name 0 2 0 0 v1 5"
                : which == 4 ? "1 0 1 name 1 2 0 0 v1 4"
                : which == 5 ? "2 0 1 name 0 2 1 0 v1 4 2 0 0 v1 4"
                : which == 6 ? ""
                : which == 7 ? "1 0 9 name 0 2 0 0 v1 4"
                             : "1 0 1 name 0 2 0 0 v1 4");
    put_length(b, 16);
    put_id(b, which == 8 ? 4 : which == 9 ? 5 : 6, which == 9 ? 1 : 0);
    put_pack(b, "1 0 1 name 0 2 0 0 v2 4");
    if (which == 0) return;
    put_length(b, which == 10 ? 3 : 2);
    put_length(b, which == 11 ? 5 : 6);
    put_length(b, 0);
    for (unsigned i = 0; i < 5; i++) put_length(b, i < 4 ? 0 : 2);
    put_length(b, 1);
    put_text(b, "g");
    put_length(b, 6);
    put_length(b, 0);
    put_length(b, which == 12 ? UINT64_MAX - 1 : 2);
    put_length(b, 2);
    for (unsigned i = 0; i < 2; i++) {
        put_id(b, 5, which == 13 ? 1 : 1 + i);
        put_le(b, 77, 8);
        put_length(b, which == 14 ? UINT64_MAX : 1);
    }
    put_length(b, 2);
    for (unsigned i = 0; i < 2; i++) {
        put_text(b, which == 15 || i == 0 ? "c" : "d");
        put_le(b, 77, 8);
        put_le(b, 77, 8);
        put_length(b, which == 16 && i == 1 ? 0 : 1);
        if (which != 16 || i == 0) put_id(b, which == 17 ? 6 : 5, which == 18 ? 1 : 1 + i);
    }
}

static void test_streams_that_are_malformed(void **state) {
    (void)state;
    static const char *const errors[] = {
        "unexpected end of data",
        "a key of a stream's node that is no id",
        "a malformed node of a stream, or out of order", // 2: fewer entries than told
        "a malformed node of a stream, or out of order",
        "a malformed node of a stream, or out of order",
        "a malformed node of a stream, or out of order",
        "a malformed node of a stream, or out of order",
        "a malformed node of a stream, or out of order",
        "a malformed node of a stream, or out of order",
        "a malformed node of a stream, or out of order", // 9: the same key again
        "a stream whose length or last id is not that of its entries",
        "a stream whose length or last id is not that of its entries",
        "a count of entries read out of range",
        "a pending entry of a group twice",
        "a count of deliveries too high",
        "a consumer twice",
        "a pending entry without a consumer",
        "a pending entry that is not its group's, or twice",
        "a pending entry that is not its group's, or twice",
        NULL,
    };
    for (unsigned i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        struct rdb_load load = loader(RDB_REDIS);
        struct buf b = {0};
        put_stream(&b, i);
        struct attempt a = attempt(&load, RDB_STREAM_LISTPACKS_3, b.p, b.len);
        assert_int_equal(a.result, errors[i] != NULL ? RDB_LOAD_FAILED : RDB_LOADED);
        if (errors[i] != NULL) assert_string_equal(a.in.error, errors[i]);
        if (a.entry != NULL) entry_free(a.entry);
        buf_free(&b);
        rdb_load_fini(&load);
    }
    struct rdb_load load = loader(RDB_REDIS);
    struct buf b = {0};
    sample_stream3(&b);
    memcpy(memmem(b.p, b.len, "\2g2", 3), "\2g1", 3);
    struct attempt a = attempt(&load, RDB_STREAM_LISTPACKS_3, b.p, b.len);
    assert_int_equal(a.result, RDB_LOAD_FAILED);
    assert_string_equal(a.in.error, "a group twice");
    buf_free(&b);
    rdb_load_fini(&load);
}

static void test_types_that_are_not_known(void **state) {
    (void)state;
    static const struct {
        uint8_t type, dialect;
        const char *error;
    } cases[] = {
        {RDB_MODULE_PRE_GA, RDB_REDIS, "unknown type of value 6"},
        {8, RDB_REDIS, "unknown type of value 8"},
        {26, RDB_REDIS, "unknown type of value 26"},
        {RDB_HASH_LISTPACK_EX_PRE_GA, RDB_VALKEY, "unknown type of value 23"},
        {RDB_HASH_METADATA, RDB_VALKEY, "unknown type of value 24"},
        {RDB_HASH_LISTPACK_EX, RDB_VALKEY, "unknown type of value 25"},
        {RDB_MODULE_2, RDB_REDIS, "a value of the module type 'AAAAAAAAB'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rdb_load load = loader(cases[i].dialect);
        struct attempt a = attempt(&load, cases[i].type, "\x44\x03\x00", 3); // 1 << 10 | 3
        assert_int_equal(a.result, RDB_LOAD_UNKNOWN);
        assert_string_equal(a.in.error, cases[i].error);
        rdb_load_fini(&load);
    }
}

/** A zipmap with a value of n bytes. */
static void put_zipmap(struct buf *b, uint32_t n) {
    struct buf z = {0};
    put_byte(&z, 1);
    put_byte(&z, 1);
    put_byte(&z, 'f');
    put_byte(&z, n < 254 ? n : 254);
    if (n >= 254) put_le(&z, n, 4);
    put_byte(&z, 0);
    for (uint32_t i = 0; i < n; i++) put_byte(&z, 'v');
    put_byte(&z, 255);
    put_string(b, z.p, z.len);
    buf_free(&z);
}

static void test_zipmaps_with_long_values(void **state) {
    (void)state;
    const uint32_t lengths[] = {64, 65, 253, 254, 255, 300, 70000};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct rdb_load load = loader(RDB_REDIS);
        struct buf b = {0};
        struct slice value;
        char scratch[NUM_I64_TEXT_MAX];
        put_zipmap(&b, lengths[i]);
        struct attempt a = attempt(&load, RDB_HASH_ZIPMAP, b.p, b.len);
        assert_int_equal(a.result, RDB_LOADED);
        assert_string_equal(entry_encoding_name(a.entry), i == 0 ? "listpack" : "hashtable");
        assert_true(thash_get(entry_value(a.entry), SLICE_LITERAL("f"), 0, &value, scratch));
        assert_int_equal(value.n, lengths[i]);
        entry_free(a.entry);
        buf_free(&b);
        rdb_load_fini(&load);
    }
}

// ---- nothing, and what is over -----------------------------------------------------------------

static void test_empty_collections_are_told_apart(void **state) {
    (void)state;
    static const struct {
        uint8_t type;
        const char *bytes;
        size_t n;
    } cases[] = {
        {RDB_LIST, BYTES("\0")},
        {RDB_SET, BYTES("\0")},
        {RDB_HASH, BYTES("\0")},
        {RDB_ZSET, BYTES("\0")},
        {RDB_ZSET_2, BYTES("\0")},
        {RDB_LIST_QUICKLIST, BYTES("\0")},
        {RDB_LIST_QUICKLIST_2, BYTES("\0")},
        {RDB_LIST_QUICKLIST, BYTES("\1\x0b\x0b\0\0\0\x0a\0\0\0\0\0\xff")},
        {RDB_LIST_QUICKLIST_2, BYTES("\1\2\x07\x07\0\0\0\0\0\xff")},
        {RDB_LIST_ZIPLIST, BYTES("\x0b\x0b\0\0\0\x0a\0\0\0\0\0\xff")},
        {RDB_HASH_ZIPLIST, BYTES("\x0b\x0b\0\0\0\x0a\0\0\0\0\0\xff")},
        {RDB_ZSET_ZIPLIST, BYTES("\x0b\x0b\0\0\0\x0a\0\0\0\0\0\xff")},
        {RDB_SET_LISTPACK, BYTES("\x07\x07\0\0\0\0\0\xff")},
        {RDB_HASH_LISTPACK, BYTES("\x07\x07\0\0\0\0\0\xff")},
        {RDB_ZSET_LISTPACK, BYTES("\x07\x07\0\0\0\0\0\xff")},
        {RDB_HASH_LISTPACK_EX_PRE_GA, BYTES("\x07\x07\0\0\0\0\0\xff")},
        {RDB_HASH_METADATA_PRE_GA, BYTES("\0")},
        {RDB_HASH_METADATA, BYTES("\0\0\0\0\0\0\1\0\0")},
    };
    struct rdb_load load = loader(RDB_REDIS);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct attempt a = attempt(&load, cases[i].type, cases[i].bytes, cases[i].n);
        assert_int_equal(a.result, RDB_LOAD_EMPTY);
        assert_int_equal(a.used, cases[i].n);
    }
    rdb_load_fini(&load);
}

static void expect_fields(void (*write)(struct buf *b), uint8_t type, uint8_t dialect,
                          int64_t now_ms, uint64_t expired, const char *content) {
    struct rdb_load load = loader(dialect);
    struct buf b = {0};
    load.now_ms = now_ms;
    write(&b);
    struct attempt a = attempt(&load, type, b.p, b.len);
    assert_int_equal(a.result, content != NULL ? RDB_LOADED : RDB_LOAD_EMPTY);
    assert_int_equal(a.used, b.len);
    assert_int_equal(load.expired_fields, expired);
    if (content != NULL) {
        expect_content(a.entry, content);
        entry_free(a.entry);
    }
    buf_free(&b);
    rdb_load_fini(&load);
}

static void test_fields_whose_time_is_over(void **state) {
    (void)state;
    const uint8_t pre = RDB_HASH_METADATA_PRE_GA, wide = RDB_HASH_LISTPACK_EX;
    expect_fields(sample_hash_absolute, pre, RDB_REDIS, LATER_MS, 0,
                  "f=1 g=2@5000000000009 h=3@5000000000000 ");
    expect_fields(sample_hash_absolute, pre, RDB_REDIS, LATER_MS + 1, 1, "f=1 g=2@5000000000009 ");
    expect_fields(sample_hash_absolute, pre, RDB_REDIS, LATER_MS + 10, 2, "f=1 ");
    expect_fields(sample_hash_relative, RDB_HASH_METADATA, RDB_REDIS, LATER_MS + 10, 1,
                  "f=" LONG_TEXT "@5000000000010 ");
    expect_fields(sample_hash_relative, RDB_HASH_METADATA, RDB_REDIS, LATER_MS + 11, 2, NULL);
    expect_fields(sample_hash_wide_ga, wide, RDB_REDIS, LATER_MS + 1, 1, "g=2@5000000000001 h=3 ");
    expect_fields(sample_hash_wide_ga, wide, RDB_REDIS, LATER_MS + 2, 2, "h=3 ");
    expect_fields(sample_hash_valkey, RDB_VALKEY_HASH_2, RDB_VALKEY, LATER_MS + 1, 1, "f=1 ");
}

// ---- limits ------------------------------------------------------------------------------------

/** Loads elements m0, m1, ... (or numbers), and tells the encoding. */
static const char *encoding_of(uint8_t type, unsigned count, bool numbers,
                               const struct value_limits *limits) {
    struct rdb_load load = {.limits = limits};
    struct buf b = {0};
    uint8_t *lp = listpack_new(0), *is = intset_new();
    unsigned strings = type == RDB_HASH || type == RDB_HASH_LISTPACK ? 2 : 1;
    put_length(&b, count);
    for (unsigned i = 0; i < count; i++) {
        char text[16];
        bool added;
        snprintf(text, sizeof text, numbers ? "%u" : "m%u", i);
        for (unsigned k = 0; k < strings; k++) {
            put_text(&b, text);
            lp = listpack_append(lp, slice_text(text));
        }
        if (type == RDB_ZSET_2) put_le(&b, i, 8);
        if (type == RDB_ZSET_LISTPACK) lp = listpack_append_i64(lp, i);
        is = intset_add(is, i, &added);
    }
    if (type >= RDB_SET_INTSET) {
        b.len = 0;
        if (type == RDB_SET_INTSET)
            put_string(&b, is, intset_bytes(is));
        else
            put_string(&b, lp, listpack_bytes(lp));
    }
    struct attempt a = attempt(&load, type, b.p, b.len);
    assert_int_equal(a.result, RDB_LOADED);
    assert_int_equal(value_length(entry_value(a.entry)), count);
    const char *name = entry_encoding_name(a.entry);
    entry_free(a.entry);
    listpack_free(lp);
    intset_free(is);
    buf_free(&b);
    rdb_load_fini(&load);
    return name;
}

static void test_limits(void **state) {
    (void)state;
    static const struct {
        uint8_t type;
        bool numbers;
        unsigned count;
        const char *small, *large;
    } cases[] = {
        {RDB_SET, true, 512, "intset", "hashtable"},
        {RDB_SET, false, 128, "listpack", "hashtable"},
        {RDB_SET_INTSET, true, 512, "intset", "hashtable"},
        {RDB_SET_LISTPACK, false, 128, "listpack", "hashtable"},
        {RDB_HASH, false, 512, "listpack", "hashtable"},
        {RDB_HASH_LISTPACK, false, 512, "listpack", "hashtable"},
        {RDB_ZSET_2, false, 128, "listpack", "skiplist"},
        {RDB_ZSET_LISTPACK, false, 128, "listpack", "skiplist"},
    };
    struct value_limits none = value_default_limits;
    none.set_max_intset_entries = none.set_max_listpack_entries = 0;
    none.hash_max_listpack_entries = none.zset_max_listpack_entries = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t type = cases[i].type;
        bool numbers = cases[i].numbers;
        const struct value_limits *limits = &value_default_limits;
        assert_string_equal(encoding_of(type, cases[i].count, numbers, limits), cases[i].small);
        assert_string_equal(encoding_of(type, cases[i].count + 1, numbers, limits), cases[i].large);
        assert_string_equal(encoding_of(type, 1, numbers, &none), cases[i].large);
    }
}

static void test_a_list_that_fits_into_one_node_is_one(void **state) {
    (void)state;
    struct value_limits few = value_default_limits;
    few.list_max_listpack_size = 3;
    for (unsigned n = 3; n <= 4; n++) {
        struct rdb_load load = {.limits = &few};
        struct buf b = {0};
        put_length(&b, n);
        for (unsigned i = 0; i < n; i++) put_text(&b, "x");
        struct attempt a = attempt(&load, RDB_LIST, b.p, b.len);
        assert_string_equal(entry_encoding_name(a.entry), n == 3 ? "listpack" : "quicklist");
        entry_free(a.entry);
        b.len = 0;
        put_length(&b, 1);
        put_length(&b, 2);
        put_pack(&b, n == 3 ? "x x x" : "x x x x");
        a = attempt(&load, RDB_LIST_QUICKLIST_2, b.p, b.len);
        assert_string_equal(entry_encoding_name(a.entry), n == 3 ? "listpack" : "quicklist");
        entry_free(a.entry);
        buf_free(&b);
        rdb_load_fini(&load);
    }
}

static void test_elements_are_made_anew_when_not_in_the_shortest_form(void **state) {
    (void)state;
    // "5" as text, 5 in two bytes, a short text with a head of five bytes
    static const char bytes[] = "\x18\x18\0\0\0\4\0\x81"
                                "5\2\x81x\2\xf0\1\0\0\0y\6\xf1\7\0\3\xff";
    struct rdb_load load = loader(RDB_REDIS);
    struct attempt a = attempt(&load, RDB_HASH_LISTPACK, bytes, sizeof bytes - 1);
    assert_int_equal(a.result, RDB_LOADED);
    struct value v = entry_value(a.entry);
    struct slice value;
    char scratch[NUM_I64_TEXT_MAX];
    assert_true(thash_get(v, SLICE_LITERAL("5"), 0, &value, scratch));
    assert_true(slice_equal(value, SLICE_LITERAL("x")));
    assert_true(thash_get(v, SLICE_LITERAL("y"), 0, &value, scratch));
    assert_true(slice_equal(value, SLICE_LITERAL("7")));
    uint8_t *expected = pack_of("5 x y 7");
    assert_int_equal(listpack_bytes(v.object), listpack_bytes(expected));
    assert_memory_equal(v.object, expected, listpack_bytes(expected));
    listpack_free(expected);
    entry_free(a.entry);
    rdb_load_fini(&load);
}

// ---- many elements -----------------------------------------------------------------------------

#define MANY 1000

/** Element i: a text, a number or a text that is compressed. */
static void put_element(struct buf *b, unsigned i, unsigned kind) {
    char text[32];
    if (i % kind == 1) {
        put_byte(b, 0xc2);
        put_le(b, i, 4);
    } else if (i % kind == 2) {
        put_lzf(b, (char)('a' + i % 16), 20 + i);
    } else {
        snprintf(text, sizeof text, "m%u", i);
        put_text(b, text);
    }
}

/** The same set, hash or sorted set; `again` < MANY comes once more in the end. */
static void put_many(struct buf *b, uint8_t type, unsigned again, bool backwards) {
    unsigned n = MANY + (again < MANY);
    put_length(b, n);
    for (unsigned k = 0; k < n; k++) {
        unsigned i = k == MANY ? again : backwards ? MANY - 1 - k : k;
        double score = i;
        put_element(b, i, 5);
        if (type == RDB_HASH) put_element(b, i, 3);
        if (type == RDB_ZSET_2) buf_append(b, &score, sizeof score);
    }
}

static void test_many_elements(void **state) {
    (void)state;
    const uint8_t types[] = {RDB_SET, RDB_HASH, RDB_ZSET_2};
    for (unsigned t = 0; t < 3; t++) {
        struct rdb_load load = loader(RDB_REDIS);
        struct buf b = {0};
        struct buf told[2];
        for (unsigned backwards = 0; backwards < 2; backwards++) {
            b.len = 0;
            put_many(&b, types[t], MANY, backwards != 0);
            struct attempt a = attempt(&load, types[t], b.p, b.len);
            assert_int_equal(a.result, RDB_LOADED);
            assert_int_equal(value_length(entry_value(a.entry)), MANY);
            told[backwards] = tell(a.entry);
            entry_free(a.entry);
        }
        assert_string_equal(told[0].p, told[1].p);
        buf_free(&told[0]);
        buf_free(&told[1]);
        // Any element twice is found, in whatever window the first one was.
        for (unsigned again = 0; again < MANY; again += 37) {
            b.len = 0;
            put_many(&b, types[t], again, false);
            struct attempt a = attempt(&load, types[t], b.p, b.len);
            assert_int_equal(a.result, RDB_LOAD_FAILED);
            assert_non_null(strstr(a.in.error, "twice"));
        }
        buf_free(&b);
        rdb_load_fini(&load);
    }
}

static void test_sorted_sets_in_any_order(void **state) {
    (void)state;
    struct random random;
    random_init(&random, 7);
    struct rdb_load load = loader(RDB_REDIS);
    struct buf b = {0};
    put_length(&b, MANY);
    for (unsigned k = 0; k < MANY; k++) {
        double score = (double)random_below(&random, 50) - 25;
        put_element(&b, k, 1000);
        buf_append(&b, &score, sizeof score);
    }
    struct attempt a = attempt(&load, RDB_ZSET_2, b.p, b.len); // valid: in order
    assert_int_equal(value_length(entry_value(a.entry)), MANY);
    entry_free(a.entry);
    buf_free(&b);
    rdb_load_fini(&load);
}

static void test_strings_that_are_long(void **state) {
    (void)state;
    // Compressed elements, of which a few fill what is kept between windows.
    struct rdb_load load = loader(RDB_REDIS);
    struct buf b = {0};
    put_length(&b, 40);
    for (unsigned i = 0; i < 40; i++) put_lzf(&b, 'x', 50000 + i);
    struct attempt a = attempt(&load, RDB_SET, b.p, b.len);
    assert_int_equal(a.result, RDB_LOADED);
    assert_int_equal(value_length(entry_value(a.entry)), 40);
    entry_free(a.entry);
    for (unsigned i = 0; i < RDB_LOAD_TEXTS; i++) assert_true(load.texts[i].cap <= 16384);
    b.len = 0;
    put_lzf(&b, 'y', 3000000);
    a = attempt(&load, RDB_STRING, b.p, b.len);
    assert_int_equal(entry_string_length(a.entry), 3000000);
    entry_free(a.entry);
    assert_int_equal(load.scratch.cap, 0);
    buf_free(&b);
    rdb_load_fini(&load);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_samples_that_are_cut_off),
        cmocka_unit_test(test_samples_with_a_byte_changed),
        cmocka_unit_test(test_what_is_malformed_is_refused),
        cmocka_unit_test(test_ziplists_that_are_malformed),
        cmocka_unit_test(test_zipmaps_with_long_values),
        cmocka_unit_test(test_streams_that_are_malformed),
        cmocka_unit_test(test_types_that_are_not_known),
        cmocka_unit_test(test_empty_collections_are_told_apart),
        cmocka_unit_test(test_fields_whose_time_is_over),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_a_list_that_fits_into_one_node_is_one),
        cmocka_unit_test(test_elements_are_made_anew_when_not_in_the_shortest_form),
        cmocka_unit_test(test_many_elements),
        cmocka_unit_test(test_sorted_sets_in_any_order),
        cmocka_unit_test(test_strings_that_are_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
