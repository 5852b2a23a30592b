// SPDX-License-Identifier: BSD-3-Clause
//
// CRC-64 in two ways with one result: sixteen table look-ups for sixteen bytes, and, where the CPU
// multiplies without carries and the input is long enough, four lanes of 128 bits that are folded
// 64 bytes ahead at each step. Pure functions over constant tables, any thread. Invariant: both
// ways, and any division of the input into pieces, come to what the sum bit by bit comes to. Called
// by whoever writes or checks RDB files and DUMP payloads.
//
// A sum is a polynomial modulo P over GF(2); as in the bytes, bit 63 stands for x^0. X_n below
// means x^n modulo P. The sum of a message M is M * x^64; two messages one behind the other are
// A * x^(bits of B) + B.
#include "engine/base/crc64.h"

#include <string.h>

#include "engine/base/assert.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define POLYNOMIAL UINT64_C(0x95ac9329ac4bc9b5)
#define ONE        (UINT64_C(1) << 63) // x^0
#define STEP       16                  // bytes of a step by tables

// ---- by tables ---------------------------------------------------------------------------------

// The sum is linear: that of a byte is the sum of those of its bits, which stand in TABLE's lines.
#define ENTRY(i, a, b, c, d, e, f, g, h)                                             \
    (((i)&1 ? (a) : 0) ^ ((i)&2 ? (b) : 0) ^ ((i)&4 ? (c) : 0) ^ ((i)&8 ? (d) : 0) ^ \
     ((i)&16 ? (e) : 0) ^ ((i)&32 ? (f) : 0) ^ ((i)&64 ? (g) : 0) ^ ((i)&128 ? (h) : 0))
#define ENTRIES_4(i, ...)                                                              \
    ENTRY((i), __VA_ARGS__), ENTRY((i) + 1, __VA_ARGS__), ENTRY((i) + 2, __VA_ARGS__), \
        ENTRY((i) + 3, __VA_ARGS__)
#define ENTRIES_16(i, ...)                                                                         \
    ENTRIES_4((i), __VA_ARGS__), ENTRIES_4((i) + 4, __VA_ARGS__), ENTRIES_4((i) + 8, __VA_ARGS__), \
        ENTRIES_4((i) + 12, __VA_ARGS__)
#define ENTRIES_64(i, ...)                                           \
    ENTRIES_16((i), __VA_ARGS__), ENTRIES_16((i) + 16, __VA_ARGS__), \
        ENTRIES_16((i) + 32, __VA_ARGS__), ENTRIES_16((i) + 48, __VA_ARGS__)
#define BYTE(...)                                                                              \
    {                                                                                          \
        ENTRIES_64(0, __VA_ARGS__), ENTRIES_64(64, __VA_ARGS__), ENTRIES_64(128, __VA_ARGS__), \
            ENTRIES_64(192, __VA_ARGS__)                                                       \
    }

/** tables[k][byte]: the sum of that byte with k zero bytes behind it; bit b is X_(71 + 8k - b). */
static const uint64_t tables[STEP][256] = {
    BYTE(0x7ad870c830358979, 0xf5b0e190606b12f2, 0xc038e5739841b68f, 0xab28ecb46814fe75,
         0x7d08ff3b88be6f81, 0xfa11fe77117cdf02, 0xdf7adabd7a6e2d6f, 0x95ac9329ac4bc9b5),
    BYTE(0x89e99ffd73bddf69, 0x388a19a9bfec2db9, 0x711433537fd85b72, 0xe22866a6ffb0b6e4,
         0xef09eb1ea7f6fea3, 0xf54af06e177a6e2d, 0xc1ccc68f76634f31, 0xa8c0ab4db4510d09),
    BYTE(0xf4125129ce4038be, 0xc37d8400c417e217, 0xada22e52d0b85745, 0x701d7af6f9e73de1,
         0xe03af5edf3ce7bc2, 0xeb2ccd88bf0b64ef, 0xfd00bd4226815ab5, 0xd1585cd715952601),
    BYTE(0x8ce168638c796306, 0x329bf69440655567, 0x6537ed2880caaace, 0xca6fda510195559c,
         0xbf8692f15bbd3853, 0x545403b1efede3cd, 0xa8a80763dfdbc79a, 0x7a092894e7201c5f),
    BYTE(0x3504e58b9ba6dd1e, 0x6a09cb17374dba3c, 0xd413962e6e9b7478, 0x837e0a0f85a17b9b,
         0x2da5324c53d5645d, 0x5b4a6498a7aac8ba, 0xb694c9314f559174, 0x4670b431c63cb183),
    BYTE(0xe39d1389931b9354, 0xec6301407ea0b5c3, 0xf39f24d3a5d6f8ed, 0xcc676ff4133a62b1,
         0xb397f9bb7ee35609, 0x4c76d525a5513f79, 0x98edaa4b4aa27ef2, 0x1a8272c5cdd36e8f),
    BYTE(0x62a95de6e302eff2, 0xc552bbcdc605dfe4, 0xa1fc51c8d49c2ca3, 0x68a185c2f1afca2d,
         0xd1430b85e35f945a, 0x89df31589e28bbdf, 0x38e744e264c6e4d5, 0x71ce89c4c98dc9aa),
    BYTE(0x381d0015c96f4444, 0x703a002b92de8888, 0xe074005725bd1110, 0xebb126fd13edb14b,
         0xfc3b6ba97f4cf1fd, 0xd32ff101a60e7091, 0x8d06c450148b7249, 0x3154aef3718177f9),
    BYTE(0x1f7a22cef7e6f4a4, 0x3ef4459defcde948, 0x7de88b3bdf9bd290, 0xfbd11677bf37a520,
         0xdcfb0abc26f8d92b, 0x92af332b1566213d, 0x0e074005725bd111, 0x1c0e800ae4b7a222),
    BYTE(0xaf9af20feb8146cc, 0x746cc24c8f951ef3, 0xe8d984991f2a3de6, 0xfaea2f6166c3e8a7,
         0xde8d789195104225, 0x9643d77072b71721, 0x07de88b3bdf9bd29, 0x0fbd11677bf37a52),
    BYTE(0x2169daa1299b2d66, 0x42d3b54253365acc, 0x85a76a84a66cb598, 0x2017f35a144ef85b,
         0x402fe6b4289df0b6, 0x805fcd68513be16c, 0x2be6bc83fae051b3, 0x57cd7907f5c0a366),
    BYTE(0x10c249f33211cd3d, 0x218493e664239a7a, 0x430927ccc84734f4, 0x86124f99908e69e8,
         0x277db960798b40bb, 0x4efb72c0f3168176, 0x9df6e581e62d02ec, 0x10b4ed5094cd96b3),
    BYTE(0x96c1ba0aaa9060cd, 0x06da52460db752f1, 0x0db4a48c1b6ea5e2, 0x1b69491836dd4bc4,
         0x36d292306dba9788, 0x6da52460db752f10, 0xdb4a48c1b6ea5e20, 0x9dcdb7d035432f2b),
    BYTE(0x5b88f1211cefb539, 0xb711e24239df6a72, 0x457ae2d72b29478f, 0x8af5c5ae56528f1e,
         0x3eb2ad0ff4328d57, 0x7d655a1fe8651aae, 0xfacab43fd0ca355c, 0xdecc4e2cf903f9d3),
    BYTE(0x56b215c1e0ff283a, 0xad642b83c1fe5074, 0x71917154db6b3383, 0xe322e2a9b6d66706,
         0xed1ce300353b5d67, 0xf160e05332e129a5, 0xc998e6f53d55c021, 0xb868ebb9223c1329),
    BYTE(0xd9d7be7d505da32c, 0x98f65aa9f82cd533, 0x1ab59300a8ce390d, 0x356b2601519c721a,
         0x6ad64c02a338e434, 0xd5ac98054671c868, 0x80001659d47403bb, 0x2b590ae0f07f941d),
};

static inline uint64_t load(const uint8_t *p) {
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

static uint64_t sum_by_tables(uint64_t crc, const uint8_t *p, size_t n) {
    for (; n >= STEP; p += STEP, n -= STEP) {
        uint64_t low = crc ^ load(p), high = load(p + 8);
        crc = 0;
        for (unsigned i = 0; i < 8; i++) {
            crc ^= tables[15 - i][low >> 8 * i & 0xff];
            crc ^= tables[7 - i][high >> 8 * i & 0xff];
        }
    }
    for (; n > 0; p++, n--) crc = tables[0][(crc ^ *p) & 0xff] ^ crc >> 8;
    return crc;
}

// ---- by carry-less multiplication --------------------------------------------------------------

#if defined(__x86_64__)
#define LANES 4
#define FOLD  (LANES * 16) // bytes of a step

// A lane is 128 bits of the message; moving it n bits on multiplies its first half by X_(n + 64)
// and its second by X_n. The product of two halves is one bit too short, hence one less each.
#define X_127 INT64_C(0x381d0015c96f4444)
#define X_191 INT64_C(0xd9d7be7d505da32c)
#define X_511 INT64_C(0xf49784a634f014e4)
#define X_575 INT64_C(0xaf86efb16d9ab4fb)

__attribute__((target("pclmul"))) static inline __m128i fold(__m128i lane, __m128i by,
                                                             __m128i next) {
    __m128i first = _mm_clmulepi64_si128(lane, by, 0x00);
    __m128i second = _mm_clmulepi64_si128(lane, by, 0x11);
    return _mm_xor_si128(_mm_xor_si128(first, second), next);
}

/** n >= FOLD. */
__attribute__((target("pclmul"))) static uint64_t sum_by_folding(uint64_t crc, const uint8_t *p,
                                                                 size_t n) {
    const __m128i far = _mm_set_epi64x(X_511, X_575), near = _mm_set_epi64x(X_127, X_191);
    const __m128i *at = (const __m128i *)p;
    __m128i a = _mm_loadu_si128(at), b = _mm_loadu_si128(at + 1);
    __m128i c = _mm_loadu_si128(at + 2), d = _mm_loadu_si128(at + 3);
    a = _mm_xor_si128(a, _mm_cvtsi64_si128((int64_t)crc));
    for (at += LANES, n -= FOLD; n >= FOLD; at += LANES, n -= FOLD) {
        a = fold(a, far, _mm_loadu_si128(at));
        b = fold(b, far, _mm_loadu_si128(at + 1));
        c = fold(c, far, _mm_loadu_si128(at + 2));
        d = fold(d, far, _mm_loadu_si128(at + 3));
    }
    d = fold(fold(fold(a, near, b), near, c), near, d);
    for (; n >= 16; at++, n -= 16) d = fold(d, near, _mm_loadu_si128(at));
    uint8_t last[16];
    _mm_storeu_si128((__m128i *)last, d);
    return sum_by_tables(sum_by_tables(0, last, sizeof last), (const uint8_t *)at, n);
}
#endif

uint64_t crc64(uint64_t crc, const void *p, size_t n) {
#if defined(__x86_64__)
    if (n >= FOLD && __builtin_cpu_supports("pclmul")) return sum_by_folding(crc, p, n);
#endif
    return sum_by_tables(crc, p, n);
}

// ---- joining sums ------------------------------------------------------------------------------

/** The product modulo P. */
static uint64_t multiply(uint64_t a, uint64_t b) {
    uint64_t product = 0;
    for (; a != 0; a <<= 1) {
        if ((a & ONE) != 0) product ^= b;
        b = b >> 1 ^ (POLYNOMIAL & -(b & 1));
    }
    return product;
}

uint64_t crc64_combine(uint64_t a, uint64_t b, uint64_t b_length) {
    uint64_t power = ONE >> 8; // x^8, then its square, and so on
    for (; b_length > 0 && a != 0; b_length >>= 1) {
        if ((b_length & 1) != 0) a = multiply(a, power);
        power = multiply(power, power);
    }
    return a ^ b;
}
