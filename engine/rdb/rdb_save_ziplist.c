// SPDX-License-Identifier: BSD-3-Clause
//
// Listpacks as ziplists, which is what files before version 10 know (ziplist.c of Redis 6 draws
// them). Pure functions, any thread. Invariant: the ziplist has the same elements in the same
// order, integers as integers, each with the length of the one before it. Called by
// rdb_save_collection.c for small lists, hashes and sorted sets.
//
//   | total bytes u32 | offset of the last element u32 | elements u16 (*) | element | ... | 0xff |
//   element: | bytes of the one before, 1 or 5 | encoding and data |
//   (*) 65535: more than that, count them
#include <string.h>

#include "engine/rdb/rdb_saving.h"

#define HEADER       10
#define COUNT_MAX    65535
#define BACK_LONG    0xfe // a backward length of four bytes follows
#define INTEGER_MAX  9    // bytes of an integer with its encoding
#define ENCODING_MAX 5    // ... and of a text's
#define TEXT_14      0x40
#define TEXT_32      0x80
#define INT_16       0xc0
#define INT_32       0xd0
#define INT_64       0xe0
#define INT_24       0xf0
#define INT_8        0xfe
#define INT_SMALL    0xf1 // 0 to 12 in the encoding itself

static void append_back_length(struct buf *zl, size_t bytes) {
    if (bytes < BACK_LONG) {
        buf_append_char(zl, (char)bytes);
        return;
    }
    uint32_t word = (uint32_t)bytes;
    buf_append_char(zl, (char)BACK_LONG);
    buf_append(zl, &word, sizeof word);
}

static void append_integer(struct buf *zl, int64_t number) {
    char *p = buf_reserve(zl, INTEGER_MAX);
    unsigned encoding, bytes;
    if (number >= 0 && number <= 12) {
        encoding = INT_SMALL + (unsigned)number;
        bytes = 0;
    } else if (number == (int8_t)number) {
        encoding = INT_8;
        bytes = 1;
    } else if (number == (int16_t)number) {
        encoding = INT_16;
        bytes = 2;
    } else if (number >= -(1 << 23) && number < 1 << 23) {
        encoding = INT_24;
        bytes = 3;
    } else if (number == (int32_t)number) {
        encoding = INT_32;
        bytes = 4;
    } else {
        encoding = INT_64;
        bytes = 8;
    }
    p[0] = (char)encoding;
    memcpy(p + 1, &number, bytes);
    zl->len += 1 + bytes;
}

static void append_text(struct buf *zl, struct slice text) {
    char *p = buf_reserve(zl, ENCODING_MAX);
    if (text.n < 1 << 6) {
        p[0] = (char)text.n;
        zl->len += 1;
    } else if (text.n < 1 << 14) {
        p[0] = (char)(TEXT_14 | text.n >> 8);
        p[1] = (char)text.n;
        zl->len += 2;
    } else {
        uint32_t big = __builtin_bswap32((uint32_t)text.n);
        p[0] = (char)TEXT_32;
        memcpy(p + 1, &big, sizeof big);
        zl->len += 1 + sizeof big;
    }
    buf_append(zl, text.p, text.n);
}

void rdb__save_ziplist(struct buf *out, const struct rdb_save *how, const uint8_t *lp) {
    struct buf zl = {0};
    struct listpack_item item;
    size_t last = HEADER, count = 0;
    buf_reserve(&zl, listpack_bytes(lp) + listpack_bytes(lp) / 8 + HEADER);
    zl.len = HEADER;
    for (const uint8_t *p = listpack_first(lp); p != NULL; p = listpack_next(lp, p), count++) {
        size_t before = zl.len - last;
        last = zl.len;
        append_back_length(&zl, before);
        listpack_get(p, &item);
        if (item.is_int)
            append_integer(&zl, item.number);
        else
            append_text(&zl, item.text);
    }
    buf_append_char(&zl, (char)LISTPACK_END);
    ASSERT(zl.len <= UINT32_MAX);
    const uint32_t head[] = {(uint32_t)zl.len, (uint32_t)last};
    uint16_t elements = (uint16_t)(count < COUNT_MAX ? count : COUNT_MAX);
    memcpy(zl.p, head, sizeof head);
    memcpy(zl.p + sizeof head, &elements, sizeof elements);
    rdb_save_string(out, how, slice_of(zl.p, zl.len));
    buf_free(&zl);
}
