// SPDX-License-Identifier: BSD-3-Clause
//
// The bytes that a connection keeps because their command is not complete or may not run yet. Few
// bytes stand in a plain buffer. A long command is received into a blob, made as long as the
// command announces to be, so that its value can become a key's without being copied again.
// Invariant: the bytes are in.p[in_start .. in.len); with `in_blob`, in.p is that blob's memory and
// the connection is one of its users.
#ifndef TORC_SHARDS_INPUT_H
#define TORC_SHARDS_INPUT_H

#include "shards/connection.h"

/** Bytes that are kept. */
static inline size_t input_waiting(const struct connection *conn) {
    return conn->in.len - conn->in_start;
}
/** Keeps n more bytes. */
void input_append(struct connection *conn, const char *p, size_t n);
/**
 * How many of the next n bytes belong to the long command that is being received; n when there is
 * none.
 */
size_t input_share(const struct connection *conn, size_t n);
/** Gives memory back that commands have used up, or taken over. */
void input_tidy(struct connection *conn);
void input_free(struct connection *conn);

#endif
