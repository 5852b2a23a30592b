// SPDX-License-Identifier: BSD-3-Clause
//
// What a client's pub/sub command has under way on other shards: entering or ending subscriptions
// at the homes of their channels, or publishing at one. A work is made and ended on the client's
// shard; it sends a leg to each home and ends when all have come back through the news. One that
// has nothing to do elsewhere ends at once. Used by session_pubsub.c.
#ifndef TORC_SHARDS_PUBSUB_WORK_H
#define TORC_SHARDS_PUBSUB_WORK_H

#include "shards/pubsub.h"

struct pubsub_leg;
struct session_call;

/** Subscribes to channels or patterns of a kind, and confirms each. */
void pubsub_subscribe(struct session_call *call, enum pubsub_kind kind, const struct slice *names,
                      int count);
/** Ends those subscriptions, or with count 0 all of the kind, and confirms each. */
void pubsub_unsubscribe(struct session_call *call, enum pubsub_kind kind, const struct slice *names,
                        int count);
/** Ends all of the client's subscriptions, then calls the function, whose reply it gives. */
void pubsub_reset(struct session_call *call,
                  void (*then)(struct connection *conn, struct reply *reply));
/** Publishes from a command; the reply is the number of receivers. */
void pubsub_command(struct session_call *call, enum pubsub_kind kind, struct slice channel,
                    struct slice payload);

// Messages.
void pubsub_leg_arrive(struct shard *s, struct pubsub_leg *leg);

#endif
