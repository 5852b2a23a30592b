// SPDX-License-Identifier: BSD-3-Clause
//
// Blocked clients: BLPOP, BLMOVE, BZPOPMIN, XREAD BLOCK and their like, that found nothing. The
// client's shard (home) keeps the command and its time limit; each shard that owns one of the keys
// keeps a place in that key's queue (engine/keyspace/waiting.h). Whoever changes such a key, be it
// its owner or a visitor, then runs the command for the first in the queue, at once, on that one
// key, before anybody else's command: first come, first served.
//
// A client that waits for keys of several shards is answered by one of them: who wants to answer
// claims it first, by one atomic word. Who claims and then has nothing to give puts it back.
//
//         claim              nothing to give
//   FREE -------> SERVED -------------------------------------------> FREE
//                   |  |   somebody else had something, too, or       ^
//                   |  |   what it needs is not in reach              | nothing to give
//                   |  +-----------------------------------------> HOME: looks at all keys
//                   | answered                                        | answered
//                   +------------------------> OVER <-----------------+
#ifndef TORC_SHARDS_BLOCKED_H
#define TORC_SHARDS_BLOCKED_H

#include "shards/connection.h"

struct blocked;
struct blocked_leg;

/**
 * The connection's command, which has just been run where all its keys were in reach, waits as `b`
 * says. Takes b->replaced over. `seen`: nothing can have happened to the keys since, for as long as
 * their shards are visited or ours.
 */
void blocked_begin(struct connection *conn, const struct command *spec, int argc,
                   const struct slice *argv, struct block *b, bool seen);
/**
 * Serves those who wait for keys that have been changed, on the own shard and on those that are
 * being visited. To be called after every command or block of commands. True: something was done.
 */
bool blocked_settle(struct shard *s);

/** Whether blocked_settle() has something to look at on the keyspace of `at`. */
static inline bool blocked_is_due(const struct shard *at) {
    return !at->intents.lent && at->keyspace->ready != NULL;
}

/** A blocked client's command. */
struct blocked_call {
    const struct command *spec;
    int argc;
    const struct slice *argv;
};
/** The command that the connection is blocked in; false: it is not. Its shard. */
bool blocked_call_of(const struct connection *conn, struct blocked_call *call);

// Messages, on the shard that gets them.
void blocked_leg_arrive(struct shard *s, struct blocked_leg *leg); // owner: queue up
void blocked_leg_forget(struct shard *s, struct blocked_leg *leg); // owner: leave the queues
void blocked_leg_back(struct shard *s, struct blocked_leg *leg);   // home: it has left them
void blocked_served(struct shard *s, struct blocked *b); // home: answered, or try yourself
/** Owner: a leg that waited while the keyspace was lent. */
void blocked_leg_again(struct shard *s, struct blocked_leg *leg);

#endif
