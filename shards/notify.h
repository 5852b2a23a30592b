// SPDX-License-Identifier: BSD-3-Clause
//
// Keyspace notifications: events of keyspaces, published as messages (Redis documentation: Keyspace
// notifications). The channels __keyspace@DB__:KEY and __keyevent@DB__:EVENT are known to every
// shard (pubsub_is_everywhere), so an event is published where it happens, in the midst of a
// command, without a look at another shard: what happens to a key is told in that order. A shard
// that makes more events than another can deliver starts no new commands until that has caught up.
#ifndef TORC_SHARDS_NOTIFY_H
#define TORC_SHARDS_NOTIFY_H

#include "shards/shard.h"

/**
 * Takes over what notify-keyspace-events asks for, and whether anybody is tracked: both are told by
 * one sink.
 */
void notify_configure(struct shard *s);
/** Whether another shard still has too many events of this one to deliver. */
static inline bool notify_is_crowded(struct shard *s);

bool notify__is_crowded(struct shard *s);

static inline bool notify_is_crowded(struct shard *s) {
    return unlikely(s->crowded != UINT32_MAX) && notify__is_crowded(s);
}

#endif
