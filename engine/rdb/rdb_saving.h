// SPDX-License-Identifier: BSD-3-Clause
//
// What the files that write values share: the state behind struct rdb_saving, and how a text is
// written by a step. Internal to engine/rdb/rdb_save*.c; runs where rdb_save.h says. Invariant:
// what a kind of value has handed over and was too long for one step stands in `queue`, and is
// written before that kind is asked again, so that the order on the file is the order of the calls.
#ifndef TORC_ENGINE_RDB_RDB_SAVING_H
#define TORC_ENGINE_RDB_RDB_SAVING_H

#include "engine/encoding/quicklist.h"
#include "engine/rdb/rdb_save.h"
#include "engine/types/t_hash.h"
#include "engine/types/t_set.h"
#include "engine/types/t_stream_group.h"
#include "engine/types/t_zset.h"

// Texts of more bytes are written in steps of so many; of more than the other figure they are not
// compressed, because all of what they become is kept until its length is known.
#define RDB__LONG     ((size_t)64 * 1024)
#define RDB__PACK_MAX ((size_t)16 * 1024 * 1024)

/** A long text on its way. */
struct rdb__long {
    bool begun;
    bool packing;      // it is being compressed into `packed`
    size_t at;         // of it, or then of `packed`: done
    struct buf packed; // not empty: it is what is written
};

/** Where a stream is. */
struct rdb__stream_walk {
    enum {
        STREAM_NODES,
        STREAM_HEAD,
        STREAM_GROUP,
        STREAM_PENDING,
        STREAM_CONSUMER,
        STREAM_OWN
    } at;
    uint32_t group, consumer;
    struct idmap_place place; // of a node, or of a pending entry
};

struct rdb__saving {
    union {
        const struct quicklist_node *node;
        struct tset_iterator set;
        struct tzset_iterator zset;
        struct {
            struct thash_iterator it;
            int64_t base_ms; // what expiries are counted from
        } hash;
        struct rdb__stream_walk stream;
    } in;
    bool begun;
    uint8_t queued;
    bool has_score; // behind the texts in the queue
    double score;
    struct slice queue[2];
    struct rdb__long text; // queue[0]'s
    size_t worked;         // bytes that were compressed in this step and not written
};
_Static_assert(sizeof(struct rdb__saving) <= sizeof(((struct rdb_saving *)0)->state),
               "there is room for the state");

static inline struct rdb__saving *rdb__state(struct rdb_saving *s) {
    return (struct rdb__saving *)s->state;
}

void rdb__save_u64(struct buf *out, uint64_t number); // little endian
void rdb__save_double(struct buf *out, double number);
/** A string that is neither an integer nor compressed. */
void rdb__save_plain(struct buf *out, struct slice text);
/** A string that has been compressed already, of `bytes` before. */
void rdb__save_packed(struct buf *out, struct slice packed, size_t bytes);
/** Writes a text that stays where it is, or, when it is long, queues it. */
void rdb__put(struct rdb_saving *s, struct buf *out, struct slice text);
void rdb__put_item(struct rdb_saving *s, struct buf *out, const struct listpack_item *item);
/** Writes a score behind what has been put. */
void rdb__put_score(struct rdb_saving *s, struct buf *out, double score);

// Each writes one piece more of its kind of value; false: there was none.
bool rdb__save_list(struct rdb_saving *s, struct buf *out);
bool rdb__save_set(struct rdb_saving *s, struct buf *out);
bool rdb__save_zset(struct rdb_saving *s, struct buf *out);
bool rdb__save_hash(struct rdb_saving *s, struct buf *out);
bool rdb__save_stream(struct rdb_saving *s, struct buf *out);

/** A listpack as a ziplist (what was there before version 10), as a string. */
void rdb__save_ziplist(struct buf *out, const struct rdb_save *how, const uint8_t *lp);

#endif
