// SPDX-License-Identifier: BSD-3-Clause
//
// What the files of rdb_load share: the loaders of each type, strings that stay while a handful of
// elements is gathered, and compact forms that are checked and taken. Included by rdb_load*.c only;
// the thread that loads. Invariant: a function that fails has said why in `in`, and keeps nothing.
#ifndef TORC_ENGINE_RDB_RDB_LOAD_PARTS_H
#define TORC_ENGINE_RDB_RDB_LOAD_PARTS_H

#include "engine/rdb/rdb_load.h"

// The value at in->at, which becomes the caller's when it is RDB_LOADED.
enum rdb_loaded rdb_load__list(struct rdb_load *load, struct rdb_in *in, uint8_t type,
                               struct value *v);
enum rdb_loaded rdb_load__set(struct rdb_load *load, struct rdb_in *in, uint8_t type,
                              struct value *v);
enum rdb_loaded rdb_load__hash(struct rdb_load *load, struct rdb_in *in, uint8_t type,
                               struct value *v);
enum rdb_loaded rdb_load__zset(struct rdb_load *load, struct rdb_in *in, uint8_t type,
                               struct value *v);
enum rdb_loaded rdb_load__stream(struct rdb_load *load, struct rdb_in *in, uint8_t type,
                                 struct value *v);

/** For how many of `count` elements room is to be made at once, if each takes `bytes` of what is
 * left. */
static inline size_t rdb_load__expected(const struct rdb_in *in, uint64_t count, size_t bytes) {
    size_t most = rdb_in_left(in) / bytes;
    return count < most ? (size_t)count : most;
}

// ---- strings of elements -----------------------------------------------------------------------

#define RDB_LOAD__HELD_MAX ((size_t)256 * 1024) // bytes after which no more elements are gathered

/** An element's string, good until rdb_load__release(); `which` < RDB_LOAD_TEXTS is its number. */
bool rdb_load__text(struct rdb_load *load, struct rdb_in *in, unsigned which, struct slice *out);
/** The elements at hand have been used. */
void rdb_load__release(struct rdb_load *load);

// ---- compact forms -----------------------------------------------------------------------------

/**
 * A string that is a listpack (or a ziplist, which becomes one) of tuples of `width` elements,
 * each written in the shortest way; with `unique` no two tuples begin with the same text. The
 * caller's; NULL: it is not like that.
 */
uint8_t *rdb_load__listpack(struct rdb_load *load, struct rdb_in *in, unsigned width, bool unique);
uint8_t *rdb_load__ziplist(struct rdb_load *load, struct rdb_in *in, unsigned width, bool unique);

#endif
