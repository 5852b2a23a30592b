// SPDX-License-Identifier: BSD-3-Clause
//
// Publish/subscribe over shards. Each shard keeps the subscribers among its own connections
// (pubsub_table.h). A channel has a home shard, which knows the shards that listen
// (pubsub_registry.h). Whoever is in the home (its owner, or a visitor) publishes: builds the
// message once and puts a link to it into the news of each listening shard. News are a lock-free
// queue for each shard, with all shards as producers and one order: so all subscribers of a channel
// see its messages in the order in which they were published, and what one client publishes to
// several channels arrives in the order in which it did.
//
// A subscription is entered at the home, and the home's acknowledgement comes back through the same
// queue: what was published before is in front of it, what is published from then on behind. The
// subscriber gets its seat, and the confirmation, when the acknowledgement is taken out.
#ifndef TORC_SHARDS_PUBSUB_H
#define TORC_SHARDS_PUBSUB_H

#include "engine/base/blob.h"
#include "shards/connection.h"
#include "shards/pubsub_registry.h"
#include "shards/pubsub_table.h"
#include "shards/shard.h"

#define PUBSUB_ROOM    65536 // weight of a shard's news from which on publishers wait
#define PUBSUB_STEP    256   // so many bytes weigh as much as one receiver
#define PUBSUB_PACED   32    // receivers in one pass from which on sends are paced
#define PUBSUB_NO_ROOM (-1)  // a listening shard has too much news to take already

/** What a shard has to do in this pass or a later one, beside its news. Bits. */
enum pubsub_busy {
    PUBSUB_OWN_NEWS = 1, // it has given itself some
    PUBSUB_WAITING = 2,  // PUBLISHs wait for room
    PUBSUB_SENDING = 4,  // sends are paced
    PUBSUB_TOLD = 8,     // writers wait for what was delivered in the pass before: tracking.h
    PUBSUB_CHANGED = 16, // keys have changed that are to be broadcast: tracking.h
};

/** What is in a shard's news. */
enum pubsub_news_kind {
    NEWS_MESSAGE,  // a message's link
    NEWS_LEG,      // an acknowledged leg of a work
    NEWS_LINE,     // of MONITOR: monitor.h
    NEWS_TRACKING, // somebody's cached keys have changed: tracking.h
    NEWS_TOLD,     // ... and a writer's readers have all been told
};
struct pubsub_news {
    struct pubsub_news *next;
    enum pubsub_news_kind kind;
};

/** A message to be published. */
struct pubsub_message {
    enum pubsub_kind kind; // of the channel
    struct slice channel, payload;
    uint64_t hash;      // hashtable_hash() of the channel
    struct blob *frame; // what subscribers get, if it has been made already; owned
};

/** A connection that has ever subscribed to something. */
struct pubsub_client {
    struct pubsub_subscriber subscriber; // its receiver is the connection
    struct buf held;                     // messages that may not go out yet
    struct pieces *held_pieces;
    bool holding; // a SUBSCRIBE is half done: messages come behind its confirmations
};

struct pubsub_work;

/** A shard's part of all this. */
struct pubsub {
    struct pubsub_registry registry; // goes with the door; the rest is the shard's own
    struct pubsub_table table;
    struct pubsub_work *waiting_first, *waiting_last; // PUBLISHs that wait for room
    uint32_t works;                                   // that have not ended
    bool touched_any;
    uint64_t touched[SHARD_MAX / 64]; // who was given news in this pass
    struct pubsub_pattern **matched;  // by the message in hand
    uint32_t matched_count, matched_room;
    struct buf head;    // of the pattern message in hand
    struct buf runs[2]; // messages in a row of one channel, in RESP2 and RESP3
    struct buf channel; // of the event in hand: notify.c
    // Receivers whose messages wait to be sent, together with those that come soon: see pubsub.c.
    struct connection **paced;
    uint32_t paced_count, paced_room;
    uint32_t sent_count;  // receivers that the pass before has sent to
    int64_t sent_ns;      // ... which began then
    int64_t next_send_ns; // not before this
};

void pubsub_init(struct shard *s);
/** Frees also news that were never taken. All threads have ended their passes. */
void pubsub_fini(struct shard *s);

void pubsub__tend(struct shard *s);
bool pubsub__send(struct shard *s);

/** Whether there are news, as far as this shard knows. */
static inline bool pubsub_has_news(const struct shard *s) {
    return atomic_load_explicit(s->news, memory_order_relaxed) != NULL;
}
/** Beginning of a pass: takes the news, and publishes what waited for room. */
static inline void pubsub_begin_pass(struct shard *s) {
    if (unlikely(pubsub_has_news(s) || s->pubsub_busy)) pubsub__tend(s);
}
/** End of a pass: the same for what it has published itself. */
static inline void pubsub_end_pass(struct shard *s) {
    if (unlikely(s->pubsub_busy & (PUBSUB_OWN_NEWS | PUBSUB_WAITING | PUBSUB_CHANGED)))
        pubsub__tend(s);
}
/** Whether this shard has given itself something that has not been delivered yet. */
static inline bool pubsub_has_own_news(const struct shard *s) {
    return unlikely(s->pubsub_busy & (PUBSUB_OWN_NEWS | PUBSUB_CHANGED));
}
/**
 * When all others have been sent to: marks the receivers whose messages have waited long enough.
 * True: there are some.
 */
static inline bool pubsub_send(struct shard *s) {
    return unlikely(s->pubsub_busy & PUBSUB_SENDING) && pubsub__send(s);
}
/** While busy: how long the shard may sleep, at most so long. */
int64_t pubsub_sleep_ns(const struct shard *s, int64_t sleep_ns);
/** Wakes the shards that were given news. After a fence: see flush_messages(). */
void pubsub_wake(struct shard *s);
/** Whether nothing of this shard's is under way. */
static inline bool pubsub_is_idle(const struct shard *s) {
    return s->pubsub->works == 0 && !pubsub_has_news(s);
}

// ---- for clients -------------------------------------------------------------------------------

/** The home shard of a channel. */
static inline uint32_t pubsub_home(const struct shard *s, struct slice channel) {
    return shard_of_key(s, channel);
}
/** Subscriptions of a kind. */
static inline uint32_t pubsub_count(const struct connection *conn, enum pubsub_kind kind) {
    return conn->pubsub ? conn->pubsub->subscriber.counts[kind] : 0;
}
/** Whether a user may have all that the client is subscribed to. */
bool pubsub_is_allowed(const struct connection *conn, const struct acl_user *user);
/** Whether the client is subscribed to anything. */
bool pubsub_is_subscribed(const struct connection *conn);
/** Bytes of messages that wait for an EXEC or a SUBSCRIBE to end. */
static inline size_t pubsub_held_bytes(const struct connection *conn) {
    return conn->pubsub->held.len + pieces_bytes(conn->pubsub->held_pieces);
}
/** Where messages go that have to wait for an EXEC to end. */
struct buf *pubsub_hold(struct connection *conn);
/** Sets what commands are told of the subscribed mode of RESP2. */
void pubsub_update_mode(struct connection *conn);
/** Its messages and those in hand may go out now: called at the end of a pass. */
void pubsub_finish_pass(struct connection *conn);
/** The connection is closing: ends its subscriptions. */
void pubsub_leave(struct connection *conn);

/** The frame of a message, as subscribers get it behind the first byte. */
struct blob *pubsub_frame(const struct pubsub_message *m);
/**
 * Publishes; the caller is in the home shard, or in a home of a channel that is everywhere. Returns
 * the number of receivers, or PUBSUB_NO_ROOM, when it has not been published. `force`: whether
 * there is room or not. Takes the frame unless there was no room.
 */
int64_t pubsub_publish(struct shard *s, struct shard *home, struct pubsub_message *m, bool force);

// Inside pubsub*.c.
/** How much work it is to copy so many bytes for each of so many receivers. */
static inline uint64_t pubsub__weight(uint32_t receivers, size_t bytes) {
    return receivers * (1 + (uint64_t)(bytes / PUBSUB_STEP));
}
/** Puts something into a shard's news. */
void pubsub__push(struct shard *s, uint32_t to, struct pubsub_news *news);
/** The same for what has a weight and must go now, whether there is room or not. */
void pubsub__push_forced(struct shard *s, uint32_t to, struct pubsub_news *news, uint64_t weight);
// pubsub_work.c
void pubsub__leg_back(struct shard *s, struct pubsub_news *news);
void pubsub__retry(struct shard *s);

#endif
