// SPDX-License-Identifier: BSD-3-Clause
//
// Fan-outs: one function run once on every shard, by that shard, and then a last one at home with
// what all of them left behind. For what concerns connections, statistics and settings, not keys:
// CLIENT LIST, CONFIG SET, INFO. A leg must not touch its shard's keyspace, which may be lent to
// somebody just then.
#ifndef TORC_SHARDS_FANOUT_H
#define TORC_SHARDS_FANOUT_H

#include <stdint.h>

#include "engine/base/buf.h"
#include "shards/connection.h"

struct fanout;

/** One shard's share. */
struct fanout_leg {
    struct fanout *fanout;
    uint32_t shard;
    int64_t number;  // for the leg function to leave results in ...
    struct buf text; // ... both; freed with the fan-out
};

struct fanout {
    struct work work; // of the connection that asked; first member
    struct shard *home;
    void *context;                                         // the caller's; read-only while legs run
    void (*run)(struct shard *s, struct fanout_leg *leg);  // on every shard
    void (*finish)(struct fanout *f, struct reply *reply); // at home, after all
    uint32_t missing;                                      // legs that have not come back
    struct fanout_leg *legs;                               // [nshards], each on an own cache line
};

/**
 * Starts one as the connection's work; the command's reply is what `finish` writes. `finish` also
 * frees the context. Used by a session command instead of writing a reply; it must be a barrier
 * command.
 */
void fanout_start(struct connection *conn, void *context,
                  void (*run)(struct shard *s, struct fanout_leg *leg),
                  void (*finish)(struct fanout *f, struct reply *reply));

/**
 * The same on the shards that the connection's port stands for: on all, or, for the client of a
 * shard port, on its own one; the other legs are as if they had found nothing.
 */
void fanout_start_for(struct connection *conn, void *context,
                      void (*run)(struct shard *s, struct fanout_leg *leg),
                      void (*finish)(struct fanout *f, struct reply *reply));

/** Leg i of a fan-out. */
struct fanout_leg *fanout_leg_at(const struct fanout *f, uint32_t i);

// Messages.
void fanout_leg_arrive(struct shard *s, struct fanout_leg *leg);
void fanout_leg_returned(struct shard *s, struct fanout_leg *leg);

#endif
