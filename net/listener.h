// SPDX-License-Identifier: BSD-3-Clause
//
// Listening sockets: TCP over IPv4 and IPv6 on several addresses, and Unix sockets. Made at the
// start or by an administrator, and handed to an io. Follows redis.conf's `bind` (a leading '-'
// means: may be absent; '*' and '::*' mean every address), `port`, `tcp-backlog`, `unixsocket`,
// `unixsocketperm`. Also the socket options of accepted connections and the texts of peer
// addresses.
#ifndef TORC_NET_LISTENER_H
#define TORC_NET_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/slice.h"

#define LISTENER_MAX 64

struct listener_set {
    int fds[LISTENER_MAX];
    int tags[LISTENER_MAX]; // what each is for, as its opener has it
    int count;
    int tag;      // of those that are opened next
    bool patient; // a port that is in use may become free: wait for it for half a second
};

/**
 * Opens one TCP listener for each address. On failure returns a negative errno, closes what it
 * opened, and describes the failure in error. A port of 0 opens none.
 */
int listener_open_tcp(struct listener_set *set, const char *const *addresses, int count,
                      uint16_t port, int backlog, char *error, size_t error_size);
/**
 * Opens a Unix socket at path (a stale socket file is removed), with permission bits perm (0:
 * leave).
 */
int listener_open_unix(struct listener_set *set, const char *path, uint32_t perm, int backlog,
                       char *error, size_t error_size);
/**
 * Has those of a tag listen no more, and moves them to `stopped`: their addresses are free for
 * others. Clients that were not accepted yet are turned away.
 */
void listener_stop(struct listener_set *set, int tag, struct listener_set *stopped);
/** Has all of `stopped` listen again and moves them to set. The last failure's negative errno. */
int listener_resume(struct listener_set *set, struct listener_set *stopped, int backlog);
/** Appends what `from` has, which is empty then; there must be room. */
void listener_move(struct listener_set *set, struct listener_set *from);
/** Closes all; removes no files (the path of a Unix socket is removed by whoever opened it). */
void listener_close(struct listener_set *set);

/**
 * TCP_NODELAY and, when keepalive_s > 0, SO_KEEPALIVE with Redis's interval and count for an
 * accepted TCP socket.
 */
void listener_tune(int fd, bool is_unix, int keepalive_s);
/** "127.0.0.1:4321", "[::1]:4321", or "path:0" for a Unix socket; of the peer or of our own end. */
size_t listener_peer_text(int fd, char *out, size_t size);
size_t listener_own_text(int fd, char *out, size_t size);
/**
 * A number for the peer's address: equal for the same IPv4 address, or the same IPv6 network of 64
 * bits, which is what one subscriber has. 0: a Unix socket, or the peer is gone.
 */
uint64_t listener_peer_key(int fd);
/** The address of our own end without port and brackets; empty when there is none. */
void listener_own_host(int fd, char *out, size_t size);

#endif
