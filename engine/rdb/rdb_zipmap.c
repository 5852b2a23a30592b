// SPDX-License-Identifier: BSD-3-Clause
//
// Reading zipmaps: one pass that checks every length, then one that trusts them. Any thread; owns
// nothing. Invariant: the checking pass looks at no byte before it knows that it is there. Called
// by the loader of hashes.
#include "engine/rdb/rdb_zipmap.h"

#include "engine/base/assert.h"

#define END        0xff
#define COUNT_MANY 254
#define LENGTH_U32 254

/**
 * Takes a length; false: it does not end before `end`, or is longer than it has to be, which Redis
 * never writes and reads wrongly.
 */
static bool take_length(const uint8_t **p, const uint8_t *end, size_t *length) {
    uint32_t number;
    if (*p >= end) return false;
    *length = *(*p)++;
    if (*length < LENGTH_U32) return true;
    if ((size_t)(end - *p) < sizeof number) return false;
    memcpy(&number, *p, sizeof number);
    *length = number;
    *p += sizeof number;
    return number >= LENGTH_U32;
}

static bool take_bytes(const uint8_t **p, const uint8_t *end, size_t n, struct slice *out) {
    if ((size_t)(end - *p) < n) return false;
    *out = slice_of(*p, n);
    *p += n;
    return true;
}

static bool take_pair(const uint8_t **p, const uint8_t *end, struct slice *field,
                      struct slice *value) {
    size_t length;
    struct slice unused;
    if (!take_length(p, end, &length) || !take_bytes(p, end, length, field)) return false;
    if (!take_length(p, end, &length) || *p >= end) return false;
    size_t n = *(*p)++;
    return take_bytes(p, end, length, value) && take_bytes(p, end, n, &unused);
}

bool rdb_zipmap_begin(struct rdb_zipmap *z, const uint8_t *bytes, size_t n) {
    if (n < 2 || bytes[n - 1] != END) return false;
    const uint8_t *p = bytes + 1, *end = bytes + n - 1;
    struct slice field, value;
    *z = (struct rdb_zipmap){.at = p, .end = end};
    for (; p < end && *p != END; z->count++)
        if (!take_pair(&p, end, &field, &value)) return false;
    if (p != end || z->count == 0) return false;
    return bytes[0] == COUNT_MANY || bytes[0] == z->count;
}

void rdb_zipmap_next(struct rdb_zipmap *z, struct slice *field, struct slice *value) {
    bool whole = z->count > 0 && take_pair(&z->at, z->end, field, value);
    ASSERT(whole);
    z->count--;
}
