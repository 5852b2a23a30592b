// SPDX-License-Identifier: BSD-3-Clause
//
// The subscriptions of one shard's own connections: topics (channels, patterns, shard channels),
// who listens to each, and what each subscriber listens to. Everything but finding a topic's
// listeners costs the same however many there are. Pure data, of one thread; receivers are
// pointers that nothing here looks into.
//
//   subscriber --list for each kind--> subscription --> topic --seats--> receiver
//
// A subscription stands in the table from the moment it is asked for; a seat, which is what gets it
// messages, it has while its home shard knows of it.
#ifndef TORC_SHARDS_PUBSUB_TABLE_H
#define TORC_SHARDS_PUBSUB_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/slice.h"
#include "engine/encoding/hashtable.h"

enum pubsub_kind { PUBSUB_CHANNEL, PUBSUB_PATTERN, PUBSUB_SHARD_CHANNEL, PUBSUB_KINDS };

struct pubsub_subscription;

struct pubsub_seat {
    void *receiver;
    struct pubsub_subscription *subscription;
};

struct pubsub_topic {
    struct pubsub_seat *seats; // in any order
    uint32_t count, room;      // of seats
    uint32_t references;       // subscriptions, seated or not
    uint32_t length;           // of the text
    uint64_t hash;             // hashtable_hash() of it
    enum pubsub_kind kind;
    char text[];
};

struct pubsub_subscription {
    struct pubsub_subscriber *subscriber; // these two are its key in the table
    struct pubsub_topic *topic;
    struct pubsub_subscription *previous, *next; // of the subscriber's of this kind, oldest first
    uint32_t seat;                               // its place among the topic's plus one; 0: none
    bool leaving;                                // is being ended: not counted any more
};

struct pubsub_subscriber {
    void *receiver;
    uint32_t counts[PUBSUB_KINDS]; // of its subscriptions, without those that are being ended
    struct pubsub_subscription *first[PUBSUB_KINDS], *last[PUBSUB_KINDS];
};

struct pubsub_table {
    struct hashtable topics[PUBSUB_KINDS];
    struct hashtable subscriptions;
};

void pubsub_table_init(struct pubsub_table *t);
/** Frees a table that has no subscriptions left. */
void pubsub_table_fini(struct pubsub_table *t);

/**
 * A new subscription without a seat; NULL: the subscriber has it already. `hash` is
 * hashtable_hash() of the text.
 */
struct pubsub_subscription *pubsub_table_add(struct pubsub_table *t, struct pubsub_subscriber *by,
                                             enum pubsub_kind kind, struct slice text,
                                             uint64_t hash);
/** The subscriber's subscription to this topic that is not being ended, or NULL. */
struct pubsub_subscription *pubsub_table_find(const struct pubsub_table *t,
                                              struct pubsub_subscriber *by, enum pubsub_kind kind,
                                              struct slice text, uint64_t hash);
/** Gives it a seat, or takes it away; nothing when that is so already. */
void pubsub_table_seat(struct pubsub_subscription *s);
void pubsub_table_unseat(struct pubsub_subscription *s);
/** It is going to be removed: counts no more. */
void pubsub_table_leave(struct pubsub_subscription *s);
/** Takes it out, with its topic when nobody else refers to that, and frees it. */
void pubsub_table_remove(struct pubsub_table *t, struct pubsub_subscription *s);
/** The topic that somebody here has subscribed to, or NULL. */
struct pubsub_topic *pubsub_table_topic(const struct pubsub_table *t, enum pubsub_kind kind,
                                        struct slice text, uint64_t hash);

static inline struct slice pubsub_topic_text(const struct pubsub_topic *topic) {
    return slice_of(topic->text, topic->length);
}

/** Walks the invariants (tests, simulator). */
bool pubsub_table_is_valid(const struct pubsub_table *t);

#endif
