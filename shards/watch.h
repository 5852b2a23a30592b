// SPDX-License-Identifier: BSD-3-Clause
//
// Watched keys of a connection (WATCH). A set holds one flag and the keys; each key's owner sets
// the flag when the key changes. A set outlives its connection's interest in it until every owner
// has forgotten it, so that a late change spoils nobody else's transaction. Sets belong to the
// connection's shard; owners read the keys and write the flag.
#ifndef TORC_SHARDS_WATCH_H
#define TORC_SHARDS_WATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "shards/connection.h"

struct watched_key {
    struct key key; // text is owned by the set
    uint32_t db, shard;
};

struct watch_set {
    struct work work;   // of the WATCH command under way; first member
    _Atomic bool dirty; // a watched key has changed
    bool forgotten;
    struct shard *home;
    uint32_t legs; // under way
    uint32_t count, cap;
    struct watched_key *keys;
};

/** A shard's share of registering keys or of forgetting them. */
struct watch_leg;

/**
 * Watches the keys at argv[1..argc-1] as the connection's work; the reply is OK once all owners
 * know.
 */
void watch_begin(struct connection *conn, int argc, const struct slice *argv);
/** Gives the set up: owners are told, the set is freed when all have answered. */
void watch_forget(struct watch_set *set);
/**
 * Whether a change was seen, or one of the set's keys on these keyspaces has expired since. Owner
 * of the view.
 */
bool watch_failed(const struct watch_set *set, const struct view *view, int64_t now_ms);

// Messages.
void watch_leg_arrive(struct shard *s, struct watch_leg *leg);
void watch_leg_returned(struct shard *s, struct watch_leg *leg);

#endif
