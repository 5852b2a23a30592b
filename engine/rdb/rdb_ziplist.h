// SPDX-License-Identifier: BSD-3-Clause
//
// Ziplists: what lists, hashes and sorted sets were kept in before listpacks, and are in files of
// Redis 2.6 to 6.2. Read only, in place; described in ziplist.c of Redis. Pure functions over bytes
// that the caller keeps. Invariant: once rdb_ziplist_begin() has said yes, every element lies
// within the bytes.
//
//   | bytes u32 | offset of the last element u32 | elements u16 (*) | element | ... | 0xff |
//   element: | length of the one before: 1 byte, or 254 and u32 | encoding | data |
//   (*) 65535: more than that, count them
#ifndef TORC_ENGINE_RDB_RDB_ZIPLIST_H
#define TORC_ENGINE_RDB_RDB_ZIPLIST_H

#include "engine/encoding/listpack.h"

struct rdb_ziplist {
    const uint8_t *at;
    size_t count; // elements that are left
    size_t bound; // bytes that all of them take at most in a listpack
};

/** Checks all of it. False: it is malformed. */
bool rdb_ziplist_begin(struct rdb_ziplist *z, const uint8_t *bytes, size_t n);
/** The next element; there is one while z->count is not 0. */
void rdb_ziplist_next(struct rdb_ziplist *z, struct listpack_item *item);

#endif
