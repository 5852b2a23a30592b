// SPDX-License-Identifier: BSD-3-Clause
//
// Reading the primitives of the RDB format, and going past whole values. Written after rdb.c of
// Redis 7.2 and 7.4 and the description of Valkey 9's hashes. Any thread, one at a time for each
// struct rdb_in; no state of its own. Invariants: nothing is read before its length has been
// compared with what is left, nothing is allocated for a length that the bytes at hand cannot make,
// and no loop runs more often than there are bytes. Called by the loader of values, the file
// reader, DUMP's frame and the tools.
#include "engine/rdb/rdb_in.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "engine/base/assert.h"
#include "engine/base/num.h"
#include "engine/base/unlzf.h"
#include "engine/rdb/rdb_format.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers lie as in the format");

// What LZF makes of its bytes at most: 264 of three.
#define LZF_RATIO_MAX 88

void rdb_in_init(struct rdb_in *in, const void *p, size_t n, uint64_t offset) {
    *in = (struct rdb_in){.start = p, .at = p, .end = (const uint8_t *)p + n, .offset = offset};
}

bool rdb_in_fail(struct rdb_in *in, const char *format, ...) {
    if (in->failed) return false;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(in->error, sizeof in->error, format, arguments);
    va_end(arguments);
    in->failed = true;
    in->error_at = in->offset + (uint64_t)(in->at - in->start);
    return false;
}

/** The bytes end before what is needed. */
static __attribute__((noinline)) void note_early(struct rdb_in *in) {
    if (in->failed) return;
    rdb_in_fail(in, "unexpected end of data");
    in->more = true;
}

static inline bool fail_early(struct rdb_in *in) {
    note_early(in);
    return false;
}

// ---- numbers -----------------------------------------------------------------------------------

bool rdb_in_bytes(struct rdb_in *in, size_t n, const uint8_t **out) {
    if (unlikely(in->failed || n > rdb_in_left(in))) return fail_early(in);
    *out = in->at;
    in->at += n;
    return true;
}

static inline bool take(struct rdb_in *in, void *out, size_t n) {
    if (unlikely(in->failed || n > rdb_in_left(in))) return fail_early(in);
    memcpy(out, in->at, n);
    in->at += n;
    return true;
}

bool rdb_in_byte(struct rdb_in *in, uint8_t *out) { return take(in, out, sizeof *out); }
bool rdb_in_u32(struct rdb_in *in, uint32_t *out) { return take(in, out, sizeof *out); }
bool rdb_in_u64(struct rdb_in *in, uint64_t *out) { return take(in, out, sizeof *out); }
bool rdb_in_i64(struct rdb_in *in, int64_t *out) { return take(in, out, sizeof *out); }
bool rdb_in_double(struct rdb_in *in, double *out) { return take(in, out, sizeof *out); }

// In place of the length of a score's text.
enum { SCORE_NAN = 253, SCORE_INF = 254, SCORE_MINUS_INF = 255 };

bool rdb_in_double_text(struct rdb_in *in, double *out) {
    const uint8_t *before = in->at, *text;
    uint8_t n;
    if (!rdb_in_byte(in, &n)) return false;
    if (n >= SCORE_NAN) {
        *out = n == SCORE_NAN ? (double)NAN : n == SCORE_INF ? HUGE_VAL : -HUGE_VAL;
        return true;
    }
    if (!rdb_in_bytes(in, n, &text)) return false;
    if (num_parse_double(slice_of(text, n), out)) return true;
    in->at = before;
    return rdb_in_fail(in, "a score that is not a number");
}

// ---- lengths -----------------------------------------------------------------------------------

static bool long_length(struct rdb_in *in, uint8_t first, uint64_t *out) {
    const uint8_t *p;
    if (first == RDB_LENGTH_32) {
        if (!rdb_in_bytes(in, 4, &p)) return false;
        *out = (uint64_t)p[0] << 24 | (uint64_t)p[1] << 16 | (uint64_t)p[2] << 8 | p[3];
        return true;
    }
    if (first == RDB_LENGTH_64) {
        uint64_t number;
        if (!rdb_in_u64(in, &number)) return false;
        *out = __builtin_bswap64(number);
        return true;
    }
    in->at--;
    return rdb_in_fail(in, "unknown length encoding %u", first);
}

/** A length, or (`special`) what kind of special string follows. */
static inline bool length(struct rdb_in *in, uint64_t *out, bool *special) {
    if (unlikely(in->failed || in->at == in->end)) return fail_early(in);
    uint8_t first = *in->at++, low = first & 0x3f;
    *special = false;
    *out = low;
    switch (first >> 6) {
    case RDB_LENGTH_6: return true;
    case RDB_LENGTH_14:
        if (unlikely(in->at == in->end)) return fail_early(in);
        *out = (uint64_t)low << 8 | *in->at++;
        return true;
    case RDB_LENGTH_SPECIAL: *special = true; return true;
    default: return long_length(in, first, out);
    }
}

bool rdb_in_length(struct rdb_in *in, uint64_t *out) {
    bool special;
    if (!length(in, out, &special)) return false;
    if (likely(!special)) return true;
    in->at--;
    return rdb_in_fail(in, "a string where a length was expected");
}

bool rdb_in_count(struct rdb_in *in, size_t each, uint64_t *out) {
    if (!rdb_in_length(in, out)) return false;
    if (unlikely(*out > rdb_in_left(in) / each)) return fail_early(in);
    return true;
}

// ---- strings -----------------------------------------------------------------------------------

/** The lengths of an LZF string: as it stands here, and as it was. */
static bool lzf_lengths(struct rdb_in *in, uint64_t *packed, uint64_t *plain) {
    if (!rdb_in_length(in, packed) || !rdb_in_length(in, plain)) return false;
    bool plausible = *plain > 0 && *packed > 0 && *plain <= UINT32_MAX && *packed <= UINT32_MAX &&
                     *plain <= *packed * LZF_RATIO_MAX;
    if (!plausible) return rdb_in_fail(in, "an LZF string of implausible length");
    return true;
}

static bool lzf_string(struct rdb_in *in, struct buf *scratch, struct slice *out) {
    uint64_t packed, plain;
    const uint8_t *p;
    if (!lzf_lengths(in, &packed, &plain) || !rdb_in_bytes(in, packed, &p)) return false;
    scratch->len = 0;
    char *to = buf_reserve(scratch, plain);
    if (!unlzf(p, packed, to, plain)) {
        in->at = p;
        return rdb_in_fail(in, "an LZF string that cannot be uncompressed");
    }
    scratch->len = plain;
    *out = slice_of(to, plain);
    return true;
}

/** The number of a string that is written as an integer of 1, 2 or 4 bytes. */
static bool integer(struct rdb_in *in, uint64_t kind, int64_t *out) {
    const uint8_t *p;
    unsigned bytes = 1u << kind, unused = 64 - 8 * bytes;
    uint64_t number = 0;
    if (!rdb_in_bytes(in, bytes, &p)) return false;
    memcpy(&number, p, bytes);
    *out = (int64_t)(number << unused) >> unused;
    return true;
}

static bool special_string(struct rdb_in *in, uint64_t kind, struct buf *scratch,
                           struct slice *out) {
    int64_t number;
    if (kind == RDB_STRING_LZF) return lzf_string(in, scratch, out);
    if (kind > RDB_STRING_LZF) {
        in->at--;
        return rdb_in_fail(in, "unknown string encoding %u", (unsigned)kind);
    }
    if (!integer(in, kind, &number)) return false;
    scratch->len = 0;
    char *text = buf_reserve(scratch, NUM_I64_TEXT_MAX);
    scratch->len = num_format_i64(text, number);
    *out = slice_of(text, scratch->len);
    return true;
}

bool rdb_in_string(struct rdb_in *in, struct buf *scratch, struct slice *out) {
    uint64_t n;
    bool special;
    if (!length(in, &n, &special)) return false;
    if (unlikely(special)) return special_string(in, n, scratch, out);
    if (unlikely(n > rdb_in_left(in))) return fail_early(in);
    *out = slice_of(in->at, n);
    in->at += n;
    return true;
}

// ---- going past --------------------------------------------------------------------------------

static inline bool skip(struct rdb_in *in, uint64_t n) {
    if (unlikely(in->failed || n > rdb_in_left(in))) return fail_early(in);
    in->at += n;
    return true;
}

static bool skip_special(struct rdb_in *in, uint64_t kind) {
    uint64_t packed, plain;
    switch (kind) {
    case RDB_STRING_INT8: return skip(in, 1);
    case RDB_STRING_INT16: return skip(in, 2);
    case RDB_STRING_INT32: return skip(in, 4);
    case RDB_STRING_LZF: return lzf_lengths(in, &packed, &plain) && skip(in, packed);
    default: in->at--; return rdb_in_fail(in, "unknown string encoding %u", (unsigned)kind);
    }
}

bool rdb_in_skip_string(struct rdb_in *in) {
    uint64_t n;
    bool special;
    if (!length(in, &n, &special)) return false;
    return special ? skip_special(in, n) : skip(in, n);
}

static bool skip_length(struct rdb_in *in) {
    uint64_t ignored;
    return rdb_in_length(in, &ignored);
}

static bool skip_score(struct rdb_in *in) {
    uint8_t n;
    if (!rdb_in_byte(in, &n)) return false;
    return n >= SCORE_NAN || skip(in, n);
}

/** Elements, each of which is that many strings and that many plain bytes. */
static bool skip_elements(struct rdb_in *in, unsigned strings, unsigned bytes) {
    uint64_t n;
    if (!rdb_in_count(in, strings + bytes, &n)) return false;
    for (; n > 0; n--) {
        for (unsigned i = 0; i < strings; i++)
            if (!rdb_in_skip_string(in)) return false;
        if (bytes > 0 && !skip(in, bytes)) return false;
    }
    return true;
}

static bool skip_zset_text(struct rdb_in *in) {
    uint64_t n;
    if (!rdb_in_count(in, 2, &n)) return false;
    for (; n > 0; n--)
        if (!rdb_in_skip_string(in) || !skip_score(in)) return false;
    return true;
}

/** Elements of a length and then that many strings. */
static bool skip_tagged(struct rdb_in *in, unsigned strings) {
    uint64_t n;
    if (!rdb_in_count(in, 1 + strings, &n)) return false;
    for (; n > 0; n--) {
        if (!skip_length(in)) return false;
        for (unsigned i = 0; i < strings; i++)
            if (!rdb_in_skip_string(in)) return false;
    }
    return true;
}

#define ID_BYTES   16
#define TIME_BYTES 8

/** The consumers of a group. */
static bool skip_consumers(struct rdb_in *in, uint8_t type) {
    unsigned times = type >= RDB_STREAM_LISTPACKS_3 ? 2 : 1;
    uint64_t consumers, pending;
    if (!rdb_in_count(in, 2 + times * TIME_BYTES, &consumers)) return false;
    for (; consumers > 0; consumers--) {
        if (!rdb_in_skip_string(in) || !skip(in, times * TIME_BYTES)) return false;
        if (!rdb_in_count(in, ID_BYTES, &pending) || !skip(in, pending * ID_BYTES)) return false;
    }
    return true;
}

static bool skip_group(struct rdb_in *in, uint8_t type) {
    unsigned lengths = type >= RDB_STREAM_LISTPACKS_2 ? 3 : 2; // last id, entries read
    uint64_t pending;
    if (!rdb_in_skip_string(in)) return false;
    for (; lengths > 0; lengths--)
        if (!skip_length(in)) return false;
    if (!rdb_in_count(in, ID_BYTES + TIME_BYTES + 1, &pending)) return false;
    for (; pending > 0; pending--)
        if (!skip(in, ID_BYTES + TIME_BYTES) || !skip_length(in)) return false;
    return skip_consumers(in, type);
}

static bool skip_stream(struct rdb_in *in, uint8_t type) {
    unsigned lengths = type >= RDB_STREAM_LISTPACKS_2 ? 8 : 3; // length, ids, entries added
    uint64_t groups;
    if (!skip_elements(in, 2, 0)) return false;
    for (; lengths > 0; lengths--)
        if (!skip_length(in)) return false;
    if (!rdb_in_count(in, 5, &groups)) return false;
    for (; groups > 0; groups--)
        if (!skip_group(in, type)) return false;
    return true;
}

bool rdb_in_skip_module(struct rdb_in *in) {
    uint64_t part;
    for (;;) {
        const uint8_t *at = in->at;
        if (!rdb_in_length(in, &part)) return false;
        bool skipped = false;
        switch (part) {
        case RDB_MODULE_EOF: return true;
        case RDB_MODULE_SINT:
        case RDB_MODULE_UINT: skipped = skip_length(in); break;
        case RDB_MODULE_FLOAT: skipped = skip(in, sizeof(float)); break;
        case RDB_MODULE_DOUBLE: skipped = skip(in, sizeof(double)); break;
        case RDB_MODULE_STRING: skipped = rdb_in_skip_string(in); break;
        default: in->at = at; return rdb_in_fail(in, "unknown part of a module's value");
        }
        if (!skipped) return false;
    }
}

/** Types that mean something else, or nothing, to Redis and to Valkey. */
static bool skip_newer(struct rdb_in *in, uint8_t type, uint8_t dialect) {
    if (dialect == RDB_VALKEY) {
        if (type == RDB_VALKEY_HASH_2) return skip_elements(in, 2, TIME_BYTES);
        return rdb_in_fail(in, "unknown type of value %u", type);
    }
    switch (type) {
    case RDB_HASH_METADATA_PRE_GA: return skip_tagged(in, 2);
    case RDB_HASH_LISTPACK_EX_PRE_GA: return rdb_in_skip_string(in);
    case RDB_HASH_METADATA: return skip(in, TIME_BYTES) && skip_tagged(in, 2);
    case RDB_HASH_LISTPACK_EX: return skip(in, TIME_BYTES) && rdb_in_skip_string(in);
    default: return rdb_in_fail(in, "unknown type of value %u", type);
    }
}

bool rdb_in_skip_value(struct rdb_in *in, uint8_t type, uint8_t dialect) {
    switch (type) {
    case RDB_STRING:
    case RDB_HASH_ZIPMAP:
    case RDB_LIST_ZIPLIST:
    case RDB_SET_INTSET:
    case RDB_ZSET_ZIPLIST:
    case RDB_HASH_ZIPLIST:
    case RDB_HASH_LISTPACK:
    case RDB_ZSET_LISTPACK:
    case RDB_SET_LISTPACK: return rdb_in_skip_string(in);
    case RDB_LIST:
    case RDB_SET:
    case RDB_LIST_QUICKLIST: return skip_elements(in, 1, 0);
    case RDB_HASH: return skip_elements(in, 2, 0);
    case RDB_ZSET: return skip_zset_text(in);
    case RDB_ZSET_2: return skip_elements(in, 1, sizeof(double));
    case RDB_LIST_QUICKLIST_2: return skip_tagged(in, 1);
    case RDB_MODULE_2: return skip_length(in) && rdb_in_skip_module(in);
    case RDB_STREAM_LISTPACKS:
    case RDB_STREAM_LISTPACKS_2:
    case RDB_STREAM_LISTPACKS_3: return skip_stream(in, type);
    default: return skip_newer(in, type, dialect);
    }
}
