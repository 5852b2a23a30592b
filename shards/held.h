// SPDX-License-Identifier: BSD-3-Clause
//
// The requests that a shard holds until their clients have read enough of earlier large replies.
// They stand in runs, one for each connection, in the order of their numbers: behind a request that
// must wait all of its run must, so a look at the held costs a comparison for each run, however
// deep the pipelines are. Run by the executing shard's thread; used by request.c.
#ifndef TORC_SHARDS_HELD_H
#define TORC_SHARDS_HELD_H

#include <stdbool.h>
#include <stdint.h>

struct connection;
struct request;
struct shard;

/** Puts a request at the end of its connection's run. Its number is the highest there. */
void held_add(struct shard *s, struct request *r);
/** Whether a connection has requests here that wait. */
bool held_has(struct shard *s, const struct connection *conn);
/** Calls `run` for each request whose turn has come; it is not held any more then. */
void held_poll(struct shard *s, void (*run)(struct shard *s, struct request *r));
/** Whether one could run now. */
bool held_is_due(const struct shard *s);

#endif
