// SPDX-License-Identifier: BSD-3-Clause
//
// Visits: while a shard is away from its keyspace (in the kernel, asleep, or parsing), another may
// step in and run commands on it: no message, no wake-up, no answer to wait for. A word for each
// shard, its door, says who is in: the owner, one visitor for the commands of one batch, or nobody.
// A visitor waits for a moment at most: if somebody stays in, it sends requests. The owner waits
// until the visitor has left, and comes next, whoever else wants in.
//
//          owner leaves             visitor enters
//   OWNED --------------> OPEN -------------------------> VISITED
//     ^ <---------------- owner returns <---------------     |  owner returns
//     |                                   visitor leaves     v
//     +--------------------- visitor leaves ------------- AWAITED (-> ASLEEP: the owner sleeps)
#ifndef TORC_SHARDS_VISIT_H
#define TORC_SHARDS_VISIT_H

#include <stdbool.h>
#include <stdint.h>

#include "shards/request.h"
#include "shards/shard.h"

#define VISIT_KEYS_MAX 256 // of a command or block over several shards: owners should not wait long

enum visit_door { DOOR_OWNED, DOOR_OPEN, DOOR_VISITED, DOOR_AWAITED, DOOR_ASLEEP };

/** Owner: it needs its keyspace again. Waits for a visitor to leave. Nothing if it is in. */
static inline void visit_return(struct shard *s);
/** Owner: others may visit from now on. Nothing if it is not in. */
static inline void visit_leave(struct shard *s);

/**
 * Visitor, for a batch of commands: comes home, then enters the shards that own their keys, where
 * it can. A shard with transactions is not visited.
 */
void visit_begin(struct shard *s, const struct parsed *commands, int count);
/**
 * Visitor, between the two: whether it may use this shard's keyspace; enters it if need be. May be
 * the own shard.
 */
bool visit_also(struct shard *s, uint32_t shard);
/**
 * Visitor: whether all keys of a command (in database `db`) may be used at once: there are no more
 * than VISIT_KEYS_MAX, each is of a shard that it is in, or can enter, and, with `write`, no
 * snapshot keeps one. Without any keys: yes, it comes to nothing but an error.
 */
bool visit_keys(struct shard *s, uint32_t db, const struct command *spec, int argc,
                const struct slice *argv, bool write);
enum visit_stay { VISIT_REFUSED, VISIT_IN, VISIT_ENTERED };

/**
 * Enters a shard (if need be) for its pub/sub tables, which go with the door but are never lent.
 * May be the own shard, whose owner is in. Not refused: ends with visit_tables_end().
 */
enum visit_stay visit_tables(struct shard *s, uint32_t shard);
void visit_tables_end(struct shard *s, uint32_t shard, enum visit_stay stay);
/** Whether a snapshot keeps the key of a shard that it is in, or at home: a change has to wait. */
static inline bool visit_meets(const struct shard *s, uint32_t shard, uint32_t db,
                               struct slice key);
/** The latest clock reading of the shards it is in, so that time does not go back for any key. */
int64_t visit_now_us(const struct shard *s);
/** Visitor: leaves them all. Until then nothing may wait. */
void visit_end(struct shard *s);

void visit__return(struct shard *s);
void visit__leave(struct shard *s);

static inline void visit_return(struct shard *s) {
    if (s->fleet->nshards > 1) visit__return(s); // a shard alone has no door
}

static inline void visit_leave(struct shard *s) {
    if (s->fleet->nshards > 1) visit__leave(s);
}

static inline bool visit_meets(const struct shard *s, uint32_t shard, uint32_t db,
                               struct slice key) {
    const struct shard *at = s->fleet->shards[shard];
    if (likely(at->share == NULL)) return false;
    return snapshot_walk_keeps(at, db, key_of(at->keyspace, key));
}

/** The shard whose keyspace `s` may use now for this number: itself, or one it visits; or NULL. */
static inline struct shard *visit_at(struct shard *s, uint32_t shard) {
    if (likely(shard == s->id)) return s;
    if (s->visited_count == 0 || shard >= s->fleet->nshards || !s->visited[shard]) return NULL;
    return s->fleet->shards[shard];
}

#endif
