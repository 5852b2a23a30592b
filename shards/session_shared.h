// SPDX-License-Identifier: BSD-3-Clause
//
// What the families of session commands share: argument rules that Redis words the same way
// everywhere, small replies, and the few values that belong to the whole process. Private to
// session*.c. All of it runs on the calling connection's shard.
#ifndef TORC_SHARDS_SESSION_SHARED_H
#define TORC_SHARDS_SESSION_SHARED_H

#include "shards/fanout.h"
#include "shards/session.h"

/**
 * A timeout argument in milliseconds as wall-clock time of its end; 0 stays 0. False: the error has
 * been written.
 */
bool session__timeout(struct session_call *call, int arg, int64_t *end_ms);
/** The error for a subcommand that is unknown or has too many or too few arguments. */
void session__wrong_subcommand(struct session_call *call, const char *container);
/** The end of a fan-out that has nothing to tell: frees the context with mem_free, replies OK. */
void session__finish_ok(struct fanout *f, struct reply *reply);
/** A configuration that is being changed, under the admin lock. */
struct config_draft {
    const struct session_call *call;
    const struct config *before; // the newest of the process
    struct config *config;       // a copy of it, to be changed
    int64_t number;              // for the caller to set: the reply; below 0: OK
};
/**
 * Changes the configuration of all shards: `change` makes the change, and says whether all is well;
 * the reply comes when every shard has it. False: nothing has changed, error says why, and the
 * reply is still the caller's to write. Of barrier commands only.
 */
bool session__change_config(struct session_call *call,
                            bool (*change)(struct config_draft *draft, struct buf *error),
                            struct buf *error);
/** DEBUG's subcommands that look at keys; false: it is none of them, and nothing was done. */
bool session__debug_keys(struct session_call *call);
/** DEBUG RELOAD. */
void session__debug_reload(struct session_call *call);
/** Whether the client is on this host (Unix socket or loopback address). */
bool session__is_local(const struct connection *conn);
/** The replication id (40 hex digits and a zero byte); `change`: a new one. Any thread. */
void session__replication_id(struct fleet *fleet, bool change, char out[41]);

#endif
