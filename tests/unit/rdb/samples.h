// SPDX-License-Identifier: BSD-3-Clause
//
// Values of every type in their serialized form, small, written by hand: what the tests of the
// loader and its fuzz target begin with. Builders of bytes, and a table of samples with what they
// stand for (describe.h). Included by tests of the serialized form; no state.
#ifndef TORC_TESTS_UNIT_RDB_SAMPLES_H
#define TORC_TESTS_UNIT_RDB_SAMPLES_H

#include <stdlib.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/encoding/listpack.h"
#include "engine/rdb/rdb_load.h"

// ---- writing -----------------------------------------------------------------------------------

static inline void put_byte(struct buf *b, unsigned byte) { buf_append_char(b, (char)byte); }

static inline void put_le(struct buf *b, uint64_t number, unsigned bytes) {
    buf_append(b, &number, bytes);
}

static inline void put_length(struct buf *b, uint64_t n) {
    if (n < 64) {
        put_byte(b, (unsigned)n);
    } else if (n < 16384) {
        put_byte(b, 0x40 | (unsigned)(n >> 8));
        put_byte(b, (unsigned)n & 255);
    } else {
        put_byte(b, RDB_LENGTH_64);
        put_le(b, __builtin_bswap64(n), 8);
    }
}

static inline void put_string(struct buf *b, const void *p, size_t n) {
    put_length(b, n);
    buf_append(b, p, n);
}

static inline void put_text(struct buf *b, const char *text) { put_string(b, text, strlen(text)); }

/** A text of n equal characters (more than 3), compressed. */
static inline void put_lzf(struct buf *b, char c, size_t n) {
    struct buf packed = {0};
    put_byte(&packed, 0); // one byte as it is
    put_byte(&packed, (unsigned char)c);
    size_t left = n - 1;
    while (left > 0) { // from one back
        size_t take = left > 264 ? 264 : left;
        if (left - take > 0 && left - take < 3) take -= 3;
        if (take < 9) {
            put_byte(&packed, (unsigned)(take - 2) << 5);
        } else {
            put_byte(&packed, 7 << 5);
            put_byte(&packed, (unsigned)(take - 9));
        }
        put_byte(&packed, 0);
        left -= take;
    }
    put_byte(b, 0xc3);
    put_length(b, packed.len);
    put_length(b, n);
    buf_append(b, packed.p, packed.len);
    buf_free(&packed);
}

/** Words (separated by spaces) as a listpack. */
static inline uint8_t *pack_of(const char *words) {
    uint8_t *lp = listpack_new(0);
    while (*words != '\0') {
        size_t n = strcspn(words, " ");
        lp = listpack_append(lp, slice_of(words, n));
        words += n + (words[n] == ' ');
    }
    return lp;
}

static inline void put_pack(struct buf *b, const char *words) {
    uint8_t *lp = pack_of(words);
    put_string(b, lp, listpack_bytes(lp));
    listpack_free(lp);
}

/** An element of a ziplist. */
struct zip {
    const char *text; // NULL: a number
    int64_t number;
    bool long_previous;
};

static inline void zip_number(struct buf *z, int64_t number) {
    if (number >= 0 && number <= 12) {
        put_byte(z, 0xf1 + (unsigned)number);
    } else if (number >= INT8_MIN && number <= INT8_MAX) {
        put_byte(z, 0xfe);
        put_le(z, (uint64_t)number, 1);
    } else if (number >= INT16_MIN && number <= INT16_MAX) {
        put_byte(z, 0xc0);
        put_le(z, (uint64_t)number, 2);
    } else if (number >= -(1 << 23) && number < 1 << 23) {
        put_byte(z, 0xf0);
        put_le(z, (uint64_t)number, 3);
    } else if (number >= INT32_MIN && number <= INT32_MAX) {
        put_byte(z, 0xd0);
        put_le(z, (uint64_t)number, 4);
    } else {
        put_byte(z, 0xe0);
        put_le(z, (uint64_t)number, 8);
    }
}

static inline void zip_text(struct buf *z, const char *text) {
    size_t n = strlen(text);
    if (n < 64) {
        put_byte(z, (unsigned)n);
    } else if (n < 16384) {
        put_byte(z, 0x40 | (unsigned)(n >> 8));
        put_byte(z, (unsigned)n & 255);
    } else {
        put_byte(z, 0x80);
        put_le(z, __builtin_bswap32((uint32_t)n), 4);
    }
    buf_append(z, text, n);
}

static inline void put_zip(struct buf *b, const struct zip *elements, size_t n) {
    struct buf z = {0};
    size_t previous = 0, tail = 10;
    put_le(&z, 0, 8);
    put_le(&z, n, 2);
    for (size_t i = 0; i < n; i++) {
        tail = z.len;
        if (previous < 254 && !elements[i].long_previous) {
            put_byte(&z, (unsigned)previous);
        } else {
            put_byte(&z, 254);
            put_le(&z, previous, 4);
        }
        if (elements[i].text != NULL)
            zip_text(&z, elements[i].text);
        else
            zip_number(&z, elements[i].number);
        previous = z.len - tail;
    }
    put_byte(&z, 255);
    uint32_t head[2] = {(uint32_t)z.len, (uint32_t)tail};
    memcpy(z.p, head, sizeof head);
    put_string(b, z.p, z.len);
    buf_free(&z);
}
#define PUT_ZIP(b, ...)                             \
    put_zip((b), (const struct zip[]){__VA_ARGS__}, \
            sizeof((const struct zip[]){__VA_ARGS__}) / sizeof(struct zip))

static inline void put_id(struct buf *b, uint64_t ms, uint64_t seq) {
    put_le(b, __builtin_bswap64(ms), 8);
    put_le(b, __builtin_bswap64(seq), 8);
}

// ---- samples -----------------------------------------------------------------------------------

#define LONG_TEXT                                                       \
    "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrs" \
    "tuvwxyz"
#define LATER_MS INT64_C(5000000000000)

static inline void sample_text(struct buf *b) { put_text(b, "hello"); }
static inline void sample_int(struct buf *b) { buf_append(b, "\xc1\x39\x30", 3); }
static inline void sample_lzf(struct buf *b) { put_lzf(b, 'x', 60); }

static inline void sample_list(struct buf *b) {
    put_length(b, 4);
    put_text(b, "a");
    buf_append(b, "\xc0\xfb", 2);
    put_lzf(b, 'z', 30);
    put_text(b, "");
}
static inline void sample_list_zip(struct buf *b) {
    PUT_ZIP(b, {"a", 0, 0}, {0, 12, 0}, {0, -128, 0}, {0, 4096, 0}, {0, 70000, 0}, {0, 1 << 30, 0},
            {0, INT64_MIN, 0}, {LONG_TEXT, 0, 0}, {"end", 0, 1});
}
static inline void sample_list_quick(struct buf *b) {
    put_length(b, 2);
    PUT_ZIP(b, {"a", 0, 0}, {"2", 0, 0});
    PUT_ZIP(b, {0, 3, 0});
}
static inline void sample_list_quick_one(struct buf *b) {
    put_length(b, 1);
    PUT_ZIP(b, {"a", 0, 0}, {0, 2, 0});
}
static inline void sample_list_quick2(struct buf *b) {
    put_length(b, 3);
    put_length(b, 2);
    put_pack(b, "a b 5");
    put_length(b, 1);
    put_text(b, "plain");
    put_length(b, 2);
    put_pack(b, "-300 " LONG_TEXT);
}
static inline void sample_list_plain(struct buf *b) {
    put_length(b, 1);
    put_length(b, 1);
    put_text(b, "plain");
}

static inline void sample_set(struct buf *b) {
    put_length(b, 3);
    buf_append(b, "\xc0\x07", 2);
    put_text(b, "b");
    put_text(b, "a");
}
static inline void sample_set_ints(struct buf *b) {
    put_length(b, 3);
    buf_append(b, "\xc0\x07\xc1\xff\x7f", 5);
    put_text(b, "-5");
}
static inline void sample_set_table(struct buf *b) {
    put_length(b, 2);
    put_text(b, LONG_TEXT);
    put_lzf(b, 'y', 40);
}
static inline void sample_intset(struct buf *b) {
    put_string(b, "\4\0\0\0\3\0\0\0\xff\xff\xff\xff\5\0\0\0\0\0\1\0", 20);
}
static inline void sample_set_pack(struct buf *b) { put_pack(b, "one 2 three -70000"); }

static inline void sample_hash(struct buf *b) {
    put_length(b, 2);
    put_text(b, "f");
    put_text(b, "v");
    buf_append(b, "\xc0\x01", 2);
    put_lzf(b, 'w', 20);
}
static inline void sample_hash_table(struct buf *b) {
    put_length(b, 2);
    put_text(b, "f");
    put_text(b, LONG_TEXT);
    put_text(b, "g");
    put_text(b, "1");
}
static inline void sample_zipmap(struct buf *b) {
    put_string(b, "\2\1f\1\2vxx\3foo\3\0bar\xff", 18);
}
static inline void sample_hash_zip(struct buf *b) {
    PUT_ZIP(b, {"f", 0, 0}, {0, 1, 0}, {0, 2, 0}, {"v", 0, 0});
}
static inline void sample_hash_pack(struct buf *b) { put_pack(b, "f 1 2 v"); }
static inline void sample_hash_absolute(struct buf *b) {
    put_length(b, 3);
    put_length(b, 0);
    put_text(b, "f");
    put_text(b, "1");
    put_length(b, LATER_MS + 9);
    put_text(b, "g");
    put_text(b, "2");
    put_length(b, LATER_MS);
    put_text(b, "h");
    put_text(b, "3");
}
static inline void sample_hash_relative(struct buf *b) {
    put_le(b, LATER_MS, 8);
    put_length(b, 2);
    put_length(b, 11);
    put_text(b, "f");
    put_text(b, LONG_TEXT);
    put_length(b, 1);
    put_text(b, "g");
    put_text(b, "2");
}
static inline void sample_hash_wide(struct buf *b) {
    put_pack(b, "f 1 5000000000000 g 2 5000000000001 h 3 0");
}
static inline void sample_hash_wide_ga(struct buf *b) {
    put_le(b, LATER_MS, 8);
    sample_hash_wide(b);
}
static inline void sample_hash_valkey(struct buf *b) {
    put_length(b, 2);
    put_text(b, "f");
    put_text(b, "1");
    put_le(b, UINT64_MAX, 8);
    put_text(b, "g");
    put_text(b, "2");
    put_le(b, LATER_MS, 8);
}

static inline void sample_zset(struct buf *b) {
    put_length(b, 3);
    put_text(b, "c");
    put_text(b, "1.5");
    put_text(b, "a");
    put_byte(b, 255);
    buf_append(b, "\xc0\x05", 2);
    put_byte(b, 254);
}
static inline void sample_zset2(struct buf *b) {
    const double scores[] = {3, 0.1, -1e300};
    const char *const members[] = {"a", "b", "c"};
    put_length(b, 3);
    for (unsigned i = 0; i < 3; i++) {
        put_text(b, members[i]);
        buf_append(b, &scores[i], sizeof scores[i]);
    }
}
static inline void sample_zset_table(struct buf *b) {
    const double score = 7;
    put_length(b, 1);
    put_text(b, LONG_TEXT);
    buf_append(b, &score, sizeof score);
}
static inline void sample_zset_zip(struct buf *b) {
    PUT_ZIP(b, {"a", 0, 0}, {"-0.5", 0, 0}, {0, 10, 0}, {0, 3, 0}, {"b", 0, 0}, {0, 3, 0});
}
static inline void sample_zset_pack(struct buf *b) { put_pack(b, "a -inf 10 3 b 3 c 3.25"); }
static inline void sample_zset_unsorted(struct buf *b) { put_pack(b, "b 3 a 3 c 1"); }

/** Two nodes, 3 live entries and one deleted. */
static inline void stream_nodes(struct buf *b) {
    put_length(b, 2);
    put_length(b, 16);
    put_id(b, 5, 1);
    // live, deleted, names, 0; flags ms seq values elements ...
    put_pack(b, "2 1 1 name 0 2 0 0 v1 4 1 0 1 1 other v2 6 2 3 0 v3 4");
    put_length(b, 16);
    put_id(b, 9, 0);
    put_pack(b, "1 0 2 x y 0 2 1 1 v4 v5 5");
}
static inline void stream_counts(struct buf *b, bool old) {
    const uint64_t numbers[] = {3, 10, 2, 5, 1, 5, 2, 4};
    for (unsigned i = 0; i < (old ? 3 : 8); i++) put_length(b, numbers[i]);
}
static inline void stream_groups(struct buf *b, uint8_t type) {
    put_length(b, 2);
    for (unsigned g = 0; g < 2; g++) {
        put_text(b, g == 0 ? "g1" : "g2");
        put_length(b, g == 0 ? 8 : 5);
        put_length(b, g == 0 ? 0 : 1);
        if (type >= RDB_STREAM_LISTPACKS_2) put_length(b, g == 0 ? 3 : UINT64_MAX);
        put_length(b, g == 0 ? 2 : 0);
        for (unsigned i = 0; i < 2 && g == 0; i++) {
            put_id(b, 5 + 3 * i, 1 - i);
            put_le(b, 1000 + i, 8);
            put_length(b, 1 + i);
        }
        put_length(b, g == 0 ? 2 : 0);
        for (unsigned i = 0; i < 2 && g == 0; i++) {
            put_text(b, i == 0 ? "bob" : "al");
            put_le(b, 2000 + i, 8);
            if (type >= RDB_STREAM_LISTPACKS_3) put_le(b, i == 0 ? 1999 : UINT64_MAX, 8);
            put_length(b, 1);
            put_id(b, 5 + 3 * i, 1 - i);
        }
    }
}
static inline void sample_stream(struct buf *b) {
    stream_nodes(b);
    stream_counts(b, true);
    stream_groups(b, RDB_STREAM_LISTPACKS);
}
static inline void sample_stream2(struct buf *b) {
    stream_nodes(b);
    stream_counts(b, false);
    stream_groups(b, RDB_STREAM_LISTPACKS_2);
}
static inline void sample_stream3(struct buf *b) {
    stream_nodes(b);
    stream_counts(b, false);
    stream_groups(b, RDB_STREAM_LISTPACKS_3);
}
/** As XDEL of the last entry leaves it: the first id is the highest there is. */
static inline void sample_stream_empty(struct buf *b) {
    const uint64_t numbers[] = {0, 0, 10, 2, UINT64_MAX, UINT64_MAX, 10, 2, 4, 0};
    for (unsigned i = 0; i < 10; i++) put_length(b, numbers[i]);
}

/** As XDEL of the last entry and XSETID to the one before leave it in Redis 6. */
static inline void sample_stream_back(struct buf *b) {
    put_length(b, 1);
    put_length(b, 16);
    put_id(b, 5, 1);
    put_pack(b, "1 1 1 name 0 2 0 0 v1 4 3 0 1 v2 4");
    const uint64_t numbers[] = {1, 5, 1, 0};
    for (unsigned i = 0; i < 4; i++) put_length(b, numbers[i]);
}

/**
 * The same, and then entries with ids below, at and above the deleted ones: two that go to the same
 * node, one to the next.
 */
static inline void sample_stream_again(struct buf *b) {
    put_length(b, 2);
    put_length(b, 16);
    put_id(b, 5, 1);
    put_pack(b, "3 2 1 name 0 2 0 0 v1 4 3 0 9 v2 4 3 3 0 v2 4 2 0 2 v3 4 2 0 9 v4 4");
    put_length(b, 16);
    put_id(b, 6, 0);
    put_pack(b, "1 0 1 name 0 2 0 0 v5 4");
    const uint64_t numbers[] = {4, 6, 0, 0};
    for (unsigned i = 0; i < 4; i++) put_length(b, numbers[i]);
}

struct sample {
    const char *name;
    uint8_t type, dialect;
    void (*write)(struct buf *b);
    const char *encoding, *content;
};

#define STREAM_ENTRIES "5-1 name=v1 8-1 name=v3 10-1 x=v4 y=v5 last=10-2 "

static const struct sample samples[] = {
    {"text", RDB_STRING, RDB_REDIS, sample_text, "embstr", "hello"},
    {"integer", RDB_STRING, RDB_REDIS, sample_int, "int", "12345"},
    {"lzf", RDB_STRING, RDB_REDIS, sample_lzf, "raw",
     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"},
    {"list", RDB_LIST, RDB_REDIS, sample_list, "listpack", "a -5 zzzzzzzzzzzzzzzzzzzzzzzzzzzzzz  "},
    {"list-ziplist", RDB_LIST_ZIPLIST, RDB_REDIS, sample_list_zip, "quicklist",
     "a 12 -128 4096 70000 1073741824 -9223372036854775808 " LONG_TEXT " end "},
    {"list-ziplists", RDB_LIST_QUICKLIST, RDB_REDIS, sample_list_quick, "quicklist", "a 2 3 "},
    {"list-one-ziplist", RDB_LIST_QUICKLIST, RDB_REDIS, sample_list_quick_one, "listpack", "a 2 "},
    {"list-nodes", RDB_LIST_QUICKLIST_2, RDB_REDIS, sample_list_quick2, "quicklist",
     "a b 5 plain -300 " LONG_TEXT " "},
    {"list-plain", RDB_LIST_QUICKLIST_2, RDB_REDIS, sample_list_plain, "quicklist", "plain "},
    {"set", RDB_SET, RDB_REDIS, sample_set, "listpack", "7 a b "},
    {"set-integers", RDB_SET, RDB_REDIS, sample_set_ints, "intset", "-5 32767 7 "},
    {"set-table", RDB_SET, RDB_REDIS, sample_set_table, "hashtable",
     LONG_TEXT " yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy "},
    {"intset", RDB_SET_INTSET, RDB_REDIS, sample_intset, "intset", "-1 5 65536 "},
    {"set-listpack", RDB_SET_LISTPACK, RDB_REDIS, sample_set_pack, "listpack",
     "-70000 2 one three "},
    {"hash", RDB_HASH, RDB_REDIS, sample_hash, "listpack", "1=wwwwwwwwwwwwwwwwwwww f=v "},
    {"hash-table", RDB_HASH, RDB_REDIS, sample_hash_table, "hashtable", "f=" LONG_TEXT " g=1 "},
    {"zipmap", RDB_HASH_ZIPMAP, RDB_REDIS, sample_zipmap, "listpack", "f=v foo=bar "},
    {"hash-ziplist", RDB_HASH_ZIPLIST, RDB_REDIS, sample_hash_zip, "listpack", "2=v f=1 "},
    {"hash-listpack", RDB_HASH_LISTPACK, RDB_REDIS, sample_hash_pack, "listpack", "2=v f=1 "},
    {"hash-absolute", RDB_HASH_METADATA_PRE_GA, RDB_REDIS, sample_hash_absolute, "listpackex",
     "f=1 g=2@5000000000009 h=3@5000000000000 "},
    {"hash-relative", RDB_HASH_METADATA, RDB_REDIS, sample_hash_relative, "hashtable",
     "f=" LONG_TEXT "@5000000000010 g=2@5000000000000 "},
    {"hash-wide-pre", RDB_HASH_LISTPACK_EX_PRE_GA, RDB_REDIS, sample_hash_wide, "listpackex",
     "f=1@5000000000000 g=2@5000000000001 h=3 "},
    {"hash-wide", RDB_HASH_LISTPACK_EX, RDB_REDIS, sample_hash_wide_ga, "listpackex",
     "f=1@5000000000000 g=2@5000000000001 h=3 "},
    {"hash-valkey", RDB_VALKEY_HASH_2, RDB_VALKEY, sample_hash_valkey, "listpackex",
     "f=1 g=2@5000000000000 "},
    {"zset", RDB_ZSET, RDB_REDIS, sample_zset, "listpack", "a:-inf c:1.5 5:inf "},
    {"zset-binary", RDB_ZSET_2, RDB_REDIS, sample_zset2, "listpack", "c:-1e+300 b:0.1 a:3 "},
    {"zset-table", RDB_ZSET_2, RDB_REDIS, sample_zset_table, "skiplist", LONG_TEXT ":7 "},
    {"zset-ziplist", RDB_ZSET_ZIPLIST, RDB_REDIS, sample_zset_zip, "listpack", "a:-0.5 10:3 b:3 "},
    {"zset-listpack", RDB_ZSET_LISTPACK, RDB_REDIS, sample_zset_pack, "listpack",
     "a:-inf 10:3 b:3 c:3.25 "},
    {"zset-unsorted", RDB_ZSET_LISTPACK, RDB_REDIS, sample_zset_unsorted, "listpack",
     "c:1 a:3 b:3 "},
    {"stream", RDB_STREAM_LISTPACKS, RDB_REDIS, sample_stream, "stream",
     STREAM_ENTRIES
     "added=3 deleted=0-0 first=5-1 g1 8-0 read=-1 al seen=2001 active=2001 8-0:1001:2 "
     "bob seen=2000 active=2000 5-1:1000:1 g2 5-1 read=1 "},
    {"stream-2", RDB_STREAM_LISTPACKS_2, RDB_REDIS, sample_stream2, "stream",
     STREAM_ENTRIES
     "added=4 deleted=5-2 first=5-1 g1 8-0 read=3 al seen=2001 active=2001 8-0:1001:2 "
     "bob seen=2000 active=2000 5-1:1000:1 g2 5-1 read=-1 "},
    {"stream-3", RDB_STREAM_LISTPACKS_3, RDB_REDIS, sample_stream3, "stream",
     STREAM_ENTRIES "added=4 deleted=5-2 first=5-1 g1 8-0 read=3 al seen=2001 active=-1 8-0:1001:2 "
                    "bob seen=2000 active=1999 5-1:1000:1 g2 5-1 read=-1 "},
    {"stream-again", RDB_STREAM_LISTPACKS, RDB_REDIS, sample_stream_again, "stream",
     "5-1 name=v1 5-3 name=v3 5-10 name=v4 6-0 name=v5 last=6-0 added=4 deleted=0-0 first=5-1 "},
    {"stream-back", RDB_STREAM_LISTPACKS, RDB_REDIS, sample_stream_back, "stream",
     "5-1 name=v1 last=5-1 added=1 deleted=0-0 first=5-1 "},
    {"stream-empty", RDB_STREAM_LISTPACKS_2, RDB_REDIS, sample_stream_empty, "stream",
     "last=10-2 added=4 deleted=10-2 first=18446744073709551615-18446744073709551615 "},
};
#define SAMPLES (sizeof samples / sizeof samples[0])

#endif
