// SPDX-License-Identifier: BSD-3-Clause
//
// Batches: the commands that have arrived, of one connection or of many, are parsed together before
// the first of them runs, so that the loads of what they will touch overlap (a random access to
// main memory takes as long as hundreds of instructions). Runs on the connections' shard. Called by
// shard.c with what the kernel has delivered, by connection.c with what it has kept.
#ifndef TORC_SHARDS_BATCH_H
#define TORC_SHARDS_BATCH_H

#include <stddef.h>

#include "net/io.h"

struct connection;
struct shard;

/**
 * Takes the events from the first one, an IO_RECV, as far as they can be handled together: runs
 * their commands and has the connections keep the rest. Returns how many events it took.
 */
int batch_receive(struct shard *s, struct io_event *events, int count);
/** Runs the commands in bytes of one connection. Returns how many bytes were used. */
size_t batch_bytes(struct connection *conn, char *data, size_t length);

#endif
