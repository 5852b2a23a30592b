// SPDX-License-Identifier: BSD-3-Clause
//
// What happens to one parsed command: resolved to its row in the command table and the shard of its
// keys, then started. Runs on the connection's shard; owns nothing. Called by batch.c, in that
// order for each command; between the two calls other commands may run.
#ifndef TORC_SHARDS_DISPATCH_H
#define TORC_SHARDS_DISPATCH_H

#include "shards/connection.h"
#include "shards/request.h"

/** The name looked up last in a batch, and what it named. */
struct last_name {
    struct slice name;
    const struct command *spec; // NULL: nothing yet, or nothing known
    int one_key;                // the argument of its one key; 0: not known from the name alone
};

/**
 * Fills in what the command is, from p->argc (at least 1) and p->argv: spec stays NULL, and the
 * shard SHARD_ANY, when it is none that could run.
 */
void dispatch_resolve(struct connection *conn, struct parsed *p, struct last_name *last);
/** Starts a resolved command. False: it may not start yet (the connection is stalled now). */
bool dispatch_start(struct connection *conn, struct parsed *p);

#endif
