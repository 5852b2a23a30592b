// SPDX-License-Identifier: BSD-3-Clause
//
// Where the server listens: the ports and the Unix socket of its configuration, opened at the start
// and changed by CONFIG SET (port, tls-port, bind). Shard 0 accepts from all of them. Belongs to
// the fleet; after the start everything here happens under its admin lock. A simulated fleet has
// none.
#ifndef TORC_SHARDS_PORTS_H
#define TORC_SHARDS_PORTS_H

#include "net/io.h"
#include "net/listener.h"
#include "shards/config.h"

struct ports {
    struct listener_set open;
    struct listener_set leaving; // closed by a change; descriptors that shard 0 may still know
};

/** A change that is prepared: neither the old sockets nor the new ones are lost yet. */
struct ports_change {
    bool tcp, tls; // which of them
    int backlog;
    struct listener_set opened, closed;
};

/** Opens all that the configuration names. False: none is open, and the log says why. */
bool ports_open(struct ports *ports, const struct config *c);
/** Closes all; removes no files. */
void ports_close(struct ports *ports);

/**
 * Stops listening where `new` does not, and opens what only `new` has. Then exactly one of commit
 * and cancel must follow. False: nothing has changed, and error has the text of the reply. With
 * has_tls false (no TLS since the start) a TLS port is refused.
 */
bool ports_prepare(struct ports *ports, const struct config *old, const struct config *new,
                   bool has_tls, struct ports_change *change, struct buf *error);
void ports_commit(struct ports *ports, struct ports_change *change);
/** Listens where it did before. Clients that were waiting to be accepted have been turned away. */
void ports_cancel(struct ports *ports, struct ports_change *change);

/**
 * Has the io accept from what is open, and from nothing that is not. On shard 0's thread. 0 or a
 * negative errno.
 */
int ports_accept(struct ports *ports, struct io *io);

#endif
