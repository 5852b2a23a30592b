// SPDX-License-Identifier: BSD-3-Clause
/*
 * One connection of the load generator and the requests in flight on it.
 *
 * A connection belongs to one worker thread. It keeps no receive buffer (the parser is incremental)
 * and an output buffer only while the socket does not take everything at once. Requests in flight
 * are a ring of (which command, since when); replies come in order, so the oldest is the one
 * answered. Invariant: in_flight <= ring_size, and the ring's entries from `head` are those.
 */
#ifndef TORC_TOOLS_TORC_LOAD_CONNECTION_H
#define TORC_TOOLS_TORC_LOAD_CONNECTION_H

#include "tools/torc_load/options.h"
#include "tools/torc_load/reply.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct in_flight {
    uint64_t since_ns;
    uint64_t key; /* cache-aside: which */
    uint32_t command;
};

struct connection {
    int fd;
    uint32_t index; /* within its worker */
    uint32_t in_flight;
    uint32_t head;
    uint32_t ring_size;
    bool is_write_blocked;
    uint64_t due;      /* open loop: requests whose time has come, */
    uint64_t sent;     /* and requests sent, since the run began */
    uint64_t turn_key; /* --in-turn: the key of the first command */
    struct in_flight *ring;
    uint64_t *missed; /* cache-aside: keys of the batch that were not there; ring_size of them */
    uint32_t missed_count;
    char *pending; /* [pending_at, pending_len): bytes the socket has not taken yet */
    size_t pending_at;
    size_t pending_len;
    size_t pending_cap;
    struct reply_parser parser;
};

/* Connects, authenticates and selects as the options say, waiting for each answer; afterwards the
 * socket does not block. False with a message in `problem` when any of it fails. */
bool connection_open(struct connection *c, const struct options *o, uint32_t ring_size,
                     char *problem, size_t problem_size);

/* Sends `len` bytes behind whatever is still pending. False when the connection is lost (errno). */
bool connection_send(struct connection *c, const char *data, size_t len);

/* Sends pending bytes on when the socket takes more. False when the connection is lost (errno). */
bool connection_flush(struct connection *c);

/* Closes and frees; also correct for one that was never opened (fd -1). */
void connection_fini(struct connection *c);

#endif
