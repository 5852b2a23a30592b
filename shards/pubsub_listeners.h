// SPDX-License-Identifier: BSD-3-Clause
//
// Which shards have subscribers of one channel or pattern, and how many each: a short list, since
// most are listened to from one shard or two. A plain value inside of whatever is listened to,
// which must not be moved; owns memory only when there are more than fit. Pure data. Invariant: a
// shard stands in it once, and only with subscribers.
#ifndef TORC_SHARDS_PUBSUB_LISTENERS_H
#define TORC_SHARDS_PUBSUB_LISTENERS_H

#include <stdint.h>

#define PUBSUB_LISTENERS_INLINE 2

struct pubsub_listener {
    uint32_t shard;
    uint32_t subscribers; // at least 1
};

struct pubsub_listeners {
    struct pubsub_listener *v; // `few`, or an allocation
    uint32_t count, room;
    struct pubsub_listener few[PUBSUB_LISTENERS_INLINE];
};

void pubsub_listeners_init(struct pubsub_listeners *l);
void pubsub_listeners_fini(struct pubsub_listeners *l);
/** One subscriber more of this shard. */
void pubsub_listeners_add(struct pubsub_listeners *l, uint32_t shard);
/** One subscriber less of this shard, which has one. */
void pubsub_listeners_drop(struct pubsub_listeners *l, uint32_t shard);
/** Subscribers on all shards. */
uint64_t pubsub_listeners_sum(const struct pubsub_listeners *l);

#endif
