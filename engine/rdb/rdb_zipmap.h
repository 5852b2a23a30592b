// SPDX-License-Identifier: BSD-3-Clause
//
// Zipmaps: what small hashes were kept in before Redis 2.6. Read only, in place; described in
// zipmap.c of Redis. Pure functions over bytes that the caller keeps. Invariant: once
// rdb_zipmap_begin() has said yes, every pair lies within the bytes.
//
//   | pairs, 254: more than 253 | pair | ... | 0xff |
//   pair:   | length | field | length | unused u8 | value | unused bytes |
//   length: u8, or 254 and u32
#ifndef TORC_ENGINE_RDB_RDB_ZIPMAP_H
#define TORC_ENGINE_RDB_RDB_ZIPMAP_H

#include "engine/base/slice.h"

struct rdb_zipmap {
    const uint8_t *at, *end;
    size_t count; // pairs that are left
};

/** Checks all of it. False: it is malformed, or empty. */
bool rdb_zipmap_begin(struct rdb_zipmap *z, const uint8_t *bytes, size_t n);
/** The next pair; there is one while z->count is not 0. */
void rdb_zipmap_next(struct rdb_zipmap *z, struct slice *field, struct slice *value);

#endif
