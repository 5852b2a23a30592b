// SPDX-License-Identifier: BSD-3-Clause
//
// From a value's serialized form to an entry. Every type of every version is checked through and
// through before it becomes a value: embedded listpacks, intsets, ziplists, zipmaps and streams to
// their last byte, as Redis does with `sanitize-dump-payload yes`, always; duplicates, empty
// collections and counts that do not fit are refused. Compact forms are taken as they are where our
// limits allow it, else converted. Pure data, any thread (an entry belongs to the thread that makes
// it). Invariant: what is returned has passed entry_is_valid() and holds at least one element,
// streams excepted; when it is NULL nothing has been kept.
#ifndef TORC_ENGINE_RDB_RDB_LOAD_H
#define TORC_ENGINE_RDB_RDB_LOAD_H

#include "engine/base/blob.h"
#include "engine/keyspace/entry.h"
#include "engine/rdb/rdb_format.h"
#include "engine/rdb/rdb_in.h"

#define RDB_LOAD_TEXTS 32

/** Zeroed at first, but for what is to be set. */
struct rdb_load {
    uint8_t dialect; // enum rdb_dialect
    int64_t now_ms;  // fields of hashes that have expired by then are left out; 0: all are kept
    const struct value_limits *limits;
    uint64_t expired_fields; // counted over all calls
    // NULL, or where the bytes are: a string that takes nearly all of it may stay in it.
    struct blob *source;
    // The rest is the implementation's: memory that is kept between calls, freed by rdb_load_fini.
    struct buf scratch, table;
    struct buf texts[RDB_LOAD_TEXTS]; // strings that had to be made, of the elements at hand
    size_t held;                      // bytes in them
};
void rdb_load_fini(struct rdb_load *load);

enum rdb_loaded {
    RDB_LOADED,
    RDB_LOAD_EMPTY,   // nothing to keep, nothing wrong: all fields of a hash have expired, or an
                      // empty collection where Redis skips it with a warning instead of failing
    RDB_LOAD_FAILED,  // in->error says why
    RDB_LOAD_UNKNOWN, // a type that is not known, or a module's; in->error names it
    RDB_LOAD_MORE     // only of a step: to be called again
};
/**
 * Reads the value that begins at in->at. *out is the caller's. expire_ms as in entry.h. On return
 * in->at is behind the value (RDB_LOADED, RDB_LOAD_EMPTY).
 */
enum rdb_loaded rdb_load_entry(struct rdb_load *load, struct rdb_in *in, uint8_t type,
                               struct slice key, int64_t expire_ms, struct entry **out);

// ---- in steps ----------------------------------------------------------------------------------

/** A value that is being made. */
struct rdb_loading {
    uint8_t type;
    bool begun; // v is a value, if an unfinished one
    struct value v;
    size_t expected; // elements that there has to be made room for yet
    uint64_t left;   // elements, nodes or groups to come
    size_t budget;
    const uint8_t *stop;          // the step ends here
    _Alignas(16) char state[128]; // what else the loaders of its type must know
};
void rdb_load_begin(struct rdb_loading *loading, uint8_t type);
/**
 * Goes on until about `budget` bytes have been read, of which those of single elements count
 * several times; a string is read at once, and the sorting of many members is done at once. Unless
 * it is RDB_LOAD_MORE, the result is that of rdb_load_entry(), and the loading is over. Between the
 * steps `in` and its bytes stay as they are.
 */
enum rdb_loaded rdb_load_step(struct rdb_load *load, struct rdb_loading *loading, struct rdb_in *in,
                              size_t budget, struct slice key, int64_t expire_ms,
                              struct entry **out);
/** Frees what there is of a value after RDB_LOAD_MORE. */
void rdb_load_give_up(struct rdb_loading *loading);

#endif
