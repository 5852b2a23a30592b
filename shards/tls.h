// SPDX-License-Identifier: BSD-3-Clause
//
// TLS of the server: the context that follows from the configuration, and the way of a new client
// from accepting over its handshake to its shard. Handshakes run on side threads
// (net/tls_handshake.h), records are the business of the shards' ios (net/io_tls.h). There is none
// of this without tls-port.
#ifndef TORC_SHARDS_TLS_H
#define TORC_SHARDS_TLS_H

#include "net/tls_handshake.h"
#include "shards/shard.h"

struct tls_front;

/** Reads the certificates and starts the threads. NULL: error says why. Main thread. */
struct tls_front *tls_front_new(struct fleet *fleet, const struct config *c, struct buf *error);
/**
 * Reads the certificates again: handshakes from now on use them, connections stay as they are.
 * False: error says why, and nothing has changed. Any thread.
 */
bool tls_front_reload(struct tls_front *front, const struct config *c, struct buf *error);
/**
 * A TLS client was accepted, and is counted as one of shard `to`, which will adopt it; or it fails
 * and is counted no more. `accepted` is the front's now. Shard threads.
 */
void tls_front_add(struct tls_front *front, struct accepted *accepted, uint32_t to);
/** Ends the threads, while the shards still run. */
void tls_front_stop(struct tls_front *front);
/** Whether they have ended: no shard will get a new client any more. */
bool tls_front_is_stopped(const struct tls_front *front);
/** After the shards. */
void tls_front_free(struct tls_front *front);
struct tls_pool_counts tls_front_counts(struct tls_front *front);

#endif
