// SPDX-License-Identifier: BSD-3-Clause
//
// Records of an RDB file on their way to the shard that is to hold them: a batch of copied records,
// and the steps in which a shard makes entries of them. Pure data and a keyspace: no threads, no
// messages, so that tests can feed a keyspace without either. A batch belongs to one thread at a
// time. Invariant: a record is applied once, whole, and in the order in which it was added; what
// cannot be applied is a fault, after which nothing more is.
#ifndef TORC_SHARDS_LOADING_BATCH_H
#define TORC_SHARDS_LOADING_BATCH_H

#include "engine/keyspace/keyspace.h"
#include "engine/rdb/rdb_load.h"
#include "persistence/rdb_feed.h"

struct loading_batch {
    struct loading_batch *next;
    struct buf bytes;   // records, one behind the other
    size_t at;          // what is before it has been applied
    struct blob *large; // NULL, or where the value of the last record is ...
    const char *value;  // ... from here on
};

struct loading_batch *loading_batch_new(void);
void loading_batch_free(struct loading_batch *b);
/** Empties a batch that has been applied, for the next records. */
void loading_batch_clear(struct loading_batch *b);
/** Copies a record to the end of the batch. */
void loading_batch_add(struct loading_batch *b, const struct rdb_record *r);
/**
 * The same for a long value, which is not copied: it stands in the blob, whose only user the batch
 * is from now on. Nothing more is added.
 */
void loading_batch_add_large(struct loading_batch *b, const struct rdb_record *r,
                             struct blob *from);
/** Bytes that it holds. */
static inline size_t loading_batch_bytes(const struct loading_batch *b) {
    return b->bytes.len + (b->large ? b->large->len : 0);
}
/** So many of the records that follow are of this database. */
void loading_batch_expect(struct loading_batch *b, uint32_t db, uint64_t keys);

/** One keyspace's share of a load: what its records become, and what became of them. */
struct loading_apply {
    struct keyspace *keyspace;
    struct rdb_load load; // dialect, limits, time
    bool lfu;             // access information is LFU, not LRU
    bool replace;         // a key that is there already is replaced; else it is a fault
    bool skip_unknown;
    int64_t now_ms;                  // keys that had expired before are not loaded
    uint64_t loaded, expired, empty; // keys; empty: nothing was left of their values
    struct rdb_left_out left_out;
    struct rdb_fault fault;
    // The record in hand: a long value is made in several steps.
    struct rdb_in in;
    struct rdb_loading loading;
    bool half_made;
};
void loading_apply_fini(struct loading_apply *a);

enum loading_step {
    LOADING_STEP_DONE,   // the batch has been applied
    LOADING_STEP_MORE,   // there is more of it
    LOADING_STEP_FAILED, // apply.fault says why
};
/**
 * Applies records of the batch until about `budget` bytes of them are done; a long value may take
 * several steps.
 */
enum loading_step loading_apply_step(struct loading_apply *a, struct loading_batch *b,
                                     size_t budget);

#endif
