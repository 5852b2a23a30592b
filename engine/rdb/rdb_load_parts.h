// SPDX-License-Identifier: BSD-3-Clause
//
// What the files of rdb_load share: the loaders of each type, strings that stay while a handful of
// elements is gathered, compact forms that are checked and taken, and where a
// step ends. Included by rdb_load*.c only;
// the thread that loads. Invariant: a function that fails has said why in `in`, and keeps nothing.
#ifndef TORC_ENGINE_RDB_RDB_LOAD_PARTS_H
#define TORC_ENGINE_RDB_RDB_LOAD_PARTS_H

#include "engine/rdb/rdb_load.h"

// The value at in->at: begun and finished, or a step of it. With RDB_LOADED l->v is the caller's;
// RDB_LOAD_MORE: l->begun, and l->v is what there is of it.
typedef enum rdb_loaded rdb_load__fn(struct rdb_load *load, struct rdb_in *in,
                                     struct rdb_loading *l);
rdb_load__fn rdb_load__list, rdb_load__set, rdb_load__hash, rdb_load__zset, rdb_load__stream;
/** Frees what there is of a sorted set. */
void rdb_load__zset_give_up(struct rdb_loading *l);

#define RDB_LOAD__WEIGHT 8 // of a byte of single elements, beside those of compact forms

/** The step is to end when so many bytes have been read that the budget is used up. */
static inline void rdb_load__limit(struct rdb_loading *l, const struct rdb_in *in, size_t weight) {
    size_t bytes = l->budget / weight;
    if (bytes == 0) bytes = 1;
    l->stop = bytes < rdb_in_left(in) ? in->at + bytes : NULL;
}
static inline bool rdb_load__is_over(const struct rdb_loading *l, const struct rdb_in *in) {
    return l->stop != NULL && in->at >= l->stop;
}

/** For how many of `count` elements room is to be made at once, if each takes `bytes` of what is
 * left. */
static inline size_t rdb_load__expected(const struct rdb_in *in, uint64_t count, size_t bytes) {
    size_t most = rdb_in_left(in) / bytes;
    return count < most ? (size_t)count : most;
}

/** For how many more elements a step makes room. */
static inline size_t rdb_load__room(const struct rdb_loading *l) {
    return l->budget / RDB_LOAD__WEIGHT;
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
