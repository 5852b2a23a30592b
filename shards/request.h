// SPDX-License-Identifier: BSD-3-Clause
//
// A request: a command that could not simply be executed where and when it was read. It carries
// its own copy of the arguments (one contiguous piece, so the receive buffer is free at once and
// the executing shard reads sequential memory), goes to the shard that owns its keys, waits there
// for keys that a transaction holds, is executed, and
// returns with the reply. It also keeps a place in the connection's order of replies when the
// reply is known already.
#ifndef TORC_SHARDS_REQUEST_H
#define TORC_SHARDS_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/commands/command.h"
#include "shards/intents.h"
#include "shards/shard.h"

#define REQUEST_REPLY_INLINE 128

struct multi;
struct watch_set;

struct request {
    struct parked parked;          // executing shard: waiting for keys; first member
    struct connection *connection; // executing shard: its atomic members only
    struct request *next;          // connection's shard: next reply owed
    struct request *held_next;     // executing shard: next of the connection's held ones ...
    struct request *run_next, *run_last, *chain_next; // ... and see held.c
    const struct command *spec;
    struct multi *multi; // EXEC as a whole on one shard; else NULL
    struct slice *argv;
    uint64_t hash;   // of the key at hashed_arg
    uint64_t number; // its place among the connection's requests, from 1
    uint32_t argc, db;
    uint32_t origin, shard; // connection's shard, executing shard
    int32_t hashed_arg;
    uint16_t inline_length; // reply bytes in inline_reply ...
    uint8_t proto, cmd_flags;
    bool done, ordered, write, silent;
    struct buf reply;           // ... or here, when they are many
    struct pieces *pieces;      // the reply's long values
    struct tracking_hold *hold; // what keeps the reply, when it is back; NULL: nothing
    struct blob *source;        // what the arguments are in, when they were not copied
    char inline_reply[REQUEST_REPLY_INLINE];
};

/** What dispatch has found out about a command. */
struct parsed {
    const struct command *spec;
    int argc;
    const struct slice *argv;
    uint32_t shard; // where its keys are; SHARD_SEVERAL, SHARD_ANY
    int hashed_arg; // of its one key; 0: it has several, or none, or there is no command
    uint64_t hash;
    bool write;
};
#define SHARD_SEVERAL UINT32_MAX
#define SHARD_ANY     (UINT32_MAX - 1)

/** Makes a request with copied arguments, appends it to what the connection is owed. */
struct request *request_new(struct connection *conn, const struct parsed *p);
/**
 * An already answered place in the connection's order of replies; the reply is taken from
 * `reply` and `pieces`.
 */
void request_answered(struct connection *conn, struct buf *reply, struct pieces **pieces);
/** A place in that order for a message that must not pass the replies that are owed. */
void request_pushed(struct connection *conn, struct slice head, struct slice body);
void request_free(struct request *r);

/** Sends it to its shard, or starts it here. It is not early. */
void request_start(struct request *r);
/** Connection's shard: whether a command has to wait for predecessors that are under way. */
bool request_is_early(const struct connection *conn, const struct parsed *p);
/**
 * Executing shard: a request has arrived, or its wait is over: hold, park, or execute and answer.
 */
void request_arrive(struct shard *s, struct request *r);
/** Executing shard: looks at the held again; starts those whose turn has come. */
void request_poll_held(struct shard *s);
/** Executing shard: whether a held one could run now (asked before sleeping). */
bool request_held_is_due(const struct shard *s);
/** Executing shard: whether it may run now, as to the large replies that were not read yet. */
bool request_is_due(const struct request *r);
/** Connection's shard: it is back. */
void request_returned(struct request *r);
/** Appends the replies that are due, in order, to the connection's output. */
void request_collect(struct connection *conn);
/** Connection's shard, end of the pass: lets large replies go on as the client reads them. */
void request_relieve(struct connection *conn);
/**
 * Whether a command over these arguments must wait for a key; then which. `again`: it has waited.
 */
bool request_conflict(const struct shard *s, const struct command *spec, int argc,
                      const struct slice *argv, int hashed_arg, uint64_t known, uint64_t *hash,
                      bool *write, bool again);

#endif
