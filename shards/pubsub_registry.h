// SPDX-License-Identifier: BSD-3-Clause
//
// What a shard knows as the home of channels: for each channel whose home it is (by the hash slot
// of its name) the shards that have subscribers, and how many; and all patterns of the process,
// which every shard knows. So a message goes to the shards that listen and to no others, and the
// number of its receivers is known where it is published. Pure data; it goes with the shard's door
// (visit.h): who is in may use it.
#ifndef TORC_SHARDS_PUBSUB_REGISTRY_H
#define TORC_SHARDS_PUBSUB_REGISTRY_H

#include "shards/pubsub_listeners.h"
#include "shards/pubsub_patterns.h"
#include "shards/pubsub_table.h"

struct pubsub_channel {
    struct pubsub_listeners listeners;
    uint32_t length;
    char text[];
};

/**
 * Whether all shards are homes: of patterns, and of the channels of keyspace events, which are
 * published where they happen.
 */
static inline bool pubsub_is_everywhere(enum pubsub_kind kind, struct slice text) {
    return kind == PUBSUB_PATTERN ||
           (kind == PUBSUB_CHANNEL && text.n > 5 && memcmp(text.p, "__key", 5) == 0);
}

struct pubsub_registry {
    struct hashtable channels, shard_channels; // of struct pubsub_channel
    uint64_t everywhere;                       // of the channels: those that all shards have
    struct pubsub_patterns patterns;
};

void pubsub_registry_init(struct pubsub_registry *r);
void pubsub_registry_fini(struct pubsub_registry *r);
/** A shard has one subscriber more, or less, of this. */
void pubsub_registry_add(struct pubsub_registry *r, enum pubsub_kind kind, struct slice text,
                         uint64_t hash, uint32_t shard);
void pubsub_registry_drop(struct pubsub_registry *r, enum pubsub_kind kind, struct slice text,
                          uint64_t hash, uint32_t shard);
/** Who listens to a channel (of either kind); NULL: nobody. */
const struct pubsub_listeners *pubsub_registry_listeners(const struct pubsub_registry *r,
                                                         enum pubsub_kind kind, struct slice text,
                                                         uint64_t hash);
/** The channels of a kind, elements struct pubsub_channel. */
const struct hashtable *pubsub_registry_channels(const struct pubsub_registry *r,
                                                 enum pubsub_kind kind);
bool pubsub_registry_is_valid(const struct pubsub_registry *r);

#endif
