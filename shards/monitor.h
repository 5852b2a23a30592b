// SPDX-License-Identifier: BSD-3-Clause
//
// MONITOR: clients that are shown every command of all shards (Redis documentation: MONITOR). The
// shard on which a command starts makes the line and hands a copy to each shard that has such
// clients, through the news of pubsub.h: so what one client does is shown in its order. While there
// are any, GATE_MONITORED is set on all shards, and commands take the way past dispatch's gates;
// else nothing is looked at.
#ifndef TORC_SHARDS_MONITOR_H
#define TORC_SHARDS_MONITOR_H

#include "shards/connection.h"
#include "shards/pubsub.h"
#include "shards/session.h"

/** MONITOR: the reply comes once every shard knows. */
void monitor_begin(struct session_call *call);
/** The connection is shown no more: it closes, or RESET. */
void monitor_leave(struct connection *conn);

/**
 * Shows a command that is executed now, unless it is one that is never shown. `db`: the database it
 * runs in; the connection may be another shard's.
 */
void monitor_feed(struct shard *s, const struct connection *conn, uint32_t db,
                  const struct command *spec, int argc, const struct slice *argv);
static inline bool monitor_is_on(const struct shard *s) {
    return unlikely(s->gates & GATE_MONITORED);
}

/** A line in a shard's news. Frees it; returns its weight. */
uint64_t monitor_deliver(struct shard *s, struct pubsub_news *news);

#endif
