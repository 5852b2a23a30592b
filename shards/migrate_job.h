// SPDX-License-Identifier: BSD-3-Clause
//
// What a shard hands to the pool's threads for MIGRATE, and the conversation with the other server.
// Private to migrate*.c. A job is the shard's until migrate_pool_add() and again from its note on;
// in between a thread of the pool has it, with the entries that it names: they are lent to the
// shard's transaction, so nobody changes them. Invariant: a key counts as accepted only when the
// other server has said so.
#ifndef TORC_SHARDS_MIGRATE_JOB_H
#define TORC_SHARDS_MIGRATE_JOB_H

#include <stdatomic.h>

#include "engine/base/buf.h"
#include "engine/rdb/rdb_save.h"
#include "shards/migrate.h"
#include "shards/notes.h"

/** What was asked for. The texts belong to the migration. */
struct migrate_order {
    char *host, *port;
    struct slice user, password; // p is NULL: not given
    int64_t db;
    int64_t timeout_ms; // how long nothing may happen
    bool copy, replace;
    bool asking; // RESTORE-ASKING
    struct rdb_save how;
    bool exactly; // in that version and no other
};

struct migrate_key {
    struct slice key;
    const struct entry *entry;
    bool sent, accepted;
};

/** A connection to another server, logged in. */
struct migrate_link {
    struct migrate_link *next; // of the pool's
    struct buf identity;       // whom it speaks to, and as whom
    int fd;
    int64_t used_ns; // when it was put back
    struct buf in;   // what has come ...
    size_t in_at;    // ... and is not read yet
};

struct migrate_job {
    struct note note; // posted when it is done; first member
    struct migrate_job *next;
    struct shard *shard;
    struct migrate_order order;
    struct migrate_link *link; // NULL: to be found or made
    struct migrate_key *keys;  // NULL: only the link is wanted
    uint32_t key_count;
    struct buf error; // the reply; empty: nothing was wrong
};

enum migrate_status { MIGRATE_FINE, MIGRATE_LATE, MIGRATE_BROKEN };

/** Hands a job to a thread. False: the pool has stopped, or has no thread; the job is untouched. */
bool migrate_pool_add(struct migrate_pool *pool, struct migrate_job *job);
/** Keeps a link for later. */
void migrate_pool_keep(struct migrate_pool *pool, struct migrate_link *link);

/** Whom the order is about: links of the same identity are interchangeable. */
void migrate_link_identity(const struct migrate_order *order, struct buf *out);
/** Connects. NULL: refused, unknown, or not in time: `error`. Gives up when `stop` is set. */
struct migrate_link *migrate_link_open(const struct migrate_order *order, struct buf *error,
                                       const atomic_bool *stop);
void migrate_link_close(struct migrate_link *link);
/** Logs in and selects the database. What the other server did not like goes to `error`. */
enum migrate_status migrate_link_prepare(struct migrate_link *link,
                                         const struct migrate_order *order, struct buf *error,
                                         const atomic_bool *stop);
/** Sends the job's keys, notes which were accepted, and what went wrong. */
enum migrate_status migrate_link_transfer(struct migrate_link *link, struct migrate_job *job,
                                          const atomic_bool *stop);

#endif
