// SPDX-License-Identifier: BSD-3-Clause
//
// Reading ziplists: one pass that checks every byte, then one that trusts them. Any thread; owns
// nothing. Invariant: the checking pass looks at no byte before it knows that it is there. Called
// by the loaders of lists, hashes and sorted sets.
#include "engine/rdb/rdb_ziplist.h"

#define HEADER        10
#define END           0xff
#define LONG_PREVIOUS 254
#define COUNT_UNKNOWN 65535

// First byte of an encoding: two bits that say how long a text's length is, or else an integer.
enum {
    TEXT_14 = 0x40,
    TEXT_32 = 0x80,
    INT_16 = 0xc0,
    INT_32 = 0xd0,
    INT_64 = 0xe0,
    INT_24 = 0xf0,
    INT_8 = 0xfe,
    INT_0 = 0xf1, // up to 12 in the byte itself
    INT_12 = 0xfd,
};

/** Where the parts of an element are. */
struct element {
    size_t head; // bytes in front of the data, the length of the one before included
    size_t size; // of the data
    size_t previous;
    uint8_t encoding;
};

static inline uint32_t u32(const uint8_t *p) {
    uint32_t number;
    memcpy(&number, p, sizeof number);
    return number;
}

/** Bytes of the length that a text's encoding has, its first byte included. */
static inline size_t encoding_bytes(uint8_t encoding) {
    if (encoding < TEXT_14 || encoding >= INT_16) return 1;
    return encoding < TEXT_32 ? 2 : 5;
}

/** Bytes of an integer; SIZE_MAX: that is no encoding. */
static size_t integer_bytes(uint8_t encoding) {
    switch (encoding) {
    case INT_8: return 1;
    case INT_16: return 2;
    case INT_24: return 3;
    case INT_32: return 4;
    case INT_64: return 8;
    default: return encoding >= INT_0 && encoding <= INT_12 ? 0 : SIZE_MAX;
    }
}

/** The element at p, when its head ends before `room` bytes do. */
static inline bool read_element(const uint8_t *p, size_t room, struct element *e) {
    size_t before = *p < LONG_PREVIOUS ? 1 : 5;
    if (room <= before) return false;
    e->previous = before == 1 ? *p : u32(p + 1);
    p += before;
    e->encoding = *p;
    size_t length = encoding_bytes(*p);
    if (room < before + length) return false;
    e->head = before + length;
    if (*p >= INT_16)
        e->size = integer_bytes(*p);
    else if (length == 1)
        e->size = *p;
    else if (length == 2)
        e->size = (size_t)(*p & 0x3f) << 8 | p[1];
    else
        e->size = __builtin_bswap32(u32(p + 1));
    return e->size != SIZE_MAX;
}

bool rdb_ziplist_begin(struct rdb_ziplist *z, const uint8_t *bytes, size_t n) {
    if (n < HEADER + 1 || u32(bytes) != n || bytes[n - 1] != END) return false;
    const uint8_t *p = bytes + HEADER, *end = bytes + n - 1;
    size_t tail = u32(bytes + 4), announced = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    if (tail > n - 1) return false;
    size_t last = 0, previous = 0;
    *z = (struct rdb_ziplist){.at = p};
    while (p < end && *p != END) {
        struct element e;
        size_t room = (size_t)(end - p);
        if (!read_element(p, room, &e) || e.size > room - e.head) return false;
        if (e.previous != previous) return false;
        previous = e.head + e.size;
        last = (size_t)(p - bytes);
        p += previous;
        z->count++;
        z->bound += e.encoding >= INT_16 ? LISTPACK_NUMBER_BOUND : listpack_text_bound(e.size);
    }
    if (p != end || (z->count > 0 && last != tail)) return false;
    return announced == COUNT_UNKNOWN || announced == z->count;
}

static int64_t integer(const uint8_t *p, uint8_t encoding, size_t size) {
    if (size == 0) return encoding - INT_0;
    uint64_t number = 0;
    memcpy(&number, p, size); // little endian
    unsigned unused = (unsigned)(64 - 8 * size);
    return (int64_t)(number << unused) >> unused;
}

void rdb_ziplist_next(struct rdb_ziplist *z, struct listpack_item *item) {
    struct element e;
    bool whole = read_element(z->at, SIZE_MAX, &e);
    ASSERT(z->count > 0 && whole);
    const uint8_t *data = z->at + e.head;
    item->is_int = e.encoding >= INT_16;
    if (item->is_int)
        item->number = integer(data, e.encoding, e.size);
    else
        item->text = slice_of(data, e.size);
    z->at = data + e.size;
    z->count--;
}
