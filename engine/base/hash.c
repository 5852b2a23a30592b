// SPDX-License-Identifier: BSD-3-Clause
//
// XXH3 for tables and CRC16 for hash slots. Pure functions over constant tables; any thread. The
// CRC takes eight bytes a step: table k holds the CRC of every byte value with k zero bytes behind
// it. A CRC is linear over xor, so each table is spelled by the CRCs of its eight single-bit bytes
// and the compiler combines them. Invariant: hash_crc16 of "123456789" is 0x31c3 (XMODEM's check
// value). Called by the router for each key, and by the keyspace.
#include "engine/base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define BIT(i, bit, crc) ((((i) >> (bit)) & 1) ? (crc) : 0)
#define CRC_1(i, a, b, c, d, e, f, g, h)                                                       \
    (BIT(i, 0, a) ^ BIT(i, 1, b) ^ BIT(i, 2, c) ^ BIT(i, 3, d) ^ BIT(i, 4, e) ^ BIT(i, 5, f) ^ \
     BIT(i, 6, g) ^ BIT(i, 7, h))
#define CRC_4(i, ...)                                                                \
    CRC_1(i, __VA_ARGS__), CRC_1((i) + 1, __VA_ARGS__), CRC_1((i) + 2, __VA_ARGS__), \
        CRC_1((i) + 3, __VA_ARGS__)
#define CRC_16(i, ...)                                                               \
    CRC_4(i, __VA_ARGS__), CRC_4((i) + 4, __VA_ARGS__), CRC_4((i) + 8, __VA_ARGS__), \
        CRC_4((i) + 12, __VA_ARGS__)
#define CRC_64(i, ...)                                                                    \
    CRC_16(i, __VA_ARGS__), CRC_16((i) + 16, __VA_ARGS__), CRC_16((i) + 32, __VA_ARGS__), \
        CRC_16((i) + 48, __VA_ARGS__)
#define CRC_TABLE(...)                                                             \
    {                                                                              \
        CRC_64(0, __VA_ARGS__), CRC_64(64, __VA_ARGS__), CRC_64(128, __VA_ARGS__), \
            CRC_64(192, __VA_ARGS__)                                               \
    }

static const uint16_t crc_tables[8][256] = {
    CRC_TABLE(0x1021, 0x2042, 0x4084, 0x8108, 0x1231, 0x2462, 0x48c4,
              0x9188), // 0 zero bytes follow
    CRC_TABLE(0x3331, 0x6662, 0xccc4, 0x89a9, 0x0373, 0x06e6, 0x0dcc,
              0x1b98), // 1 zero bytes follow
    CRC_TABLE(0x3730, 0x6e60, 0xdcc0, 0xa9a1, 0x4363, 0x86c6, 0x1dad,
              0x3b5a), // 2 zero bytes follow
    CRC_TABLE(0x76b4, 0xed68, 0xcaf1, 0x85c3, 0x1ba7, 0x374e, 0x6e9c,
              0xdd38), // 3 zero bytes follow
    CRC_TABLE(0xaa51, 0x4483, 0x8906, 0x022d, 0x045a, 0x08b4, 0x1168,
              0x22d0), // 4 zero bytes follow
    CRC_TABLE(0x45a0, 0x8b40, 0x06a1, 0x0d42, 0x1a84, 0x3508, 0x6a10,
              0xd420), // 5 zero bytes follow
    CRC_TABLE(0xb861, 0x60e3, 0xc1c6, 0x93ad, 0x377b, 0x6ef6, 0xddec,
              0xabf9), // 6 zero bytes follow
    CRC_TABLE(0x47d3, 0x8fa6, 0x0f6d, 0x1eda, 0x3db4, 0x7b68, 0xf6d0,
              0xfd81), // 7 zero bytes follow
};

uint64_t hash_bytes(const void *p, size_t n, uint64_t seed) {
    return XXH3_64bits_withSeed(p, n, seed);
}

uint16_t hash_crc16(const void *p, size_t n) {
    const uint8_t *b = p;
    uint16_t crc = 0;
    for (; n >= 8; n -= 8, b += 8) {
        crc = crc_tables[7][b[0] ^ (crc >> 8)] ^ crc_tables[6][b[1] ^ (crc & 0xff)] ^
              crc_tables[5][b[2]] ^ crc_tables[4][b[3]] ^ crc_tables[3][b[4]] ^
              crc_tables[2][b[5]] ^ crc_tables[1][b[6]] ^ crc_tables[0][b[7]];
    }
    for (; n != 0; n--, b++) crc = (uint16_t)(crc << 8) ^ crc_tables[0][(crc >> 8) ^ *b];
    return crc;
}

uint16_t hash_slot(struct slice key) {
    // The tag is what stands between the first '{' and the first '}' behind it, unless that is
    // nothing.
    const char *open = key.n == 0 ? NULL : memchr(key.p, '{', key.n);
    if (open != NULL) {
        const char *tag = open + 1;
        const char *close = memchr(tag, '}', (size_t)(key.p + key.n - tag));
        if (close != NULL && close != tag) key = slice_of(tag, (size_t)(close - tag));
    }
    return hash_crc16(key.p, key.n) & (HASH_SLOTS - 1);
}
