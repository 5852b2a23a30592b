// SPDX-License-Identifier: BSD-3-Clause
//
// A shard's part of tracking, and the words that go between shards: what is shared by tracking.c,
// which tells, and by tracking_clients.c, which is told. All of it belongs to the shard's thread,
// but for a word or a hold that is under way. Private to tracking*.c, and notify.c looks whether
// the shard takes part.
#ifndef TORC_SHARDS_TRACKING_PARTS_H
#define TORC_SHARDS_TRACKING_PARTS_H

#include "engine/encoding/hashtable.h"
#include "shards/tracking.h"

/** A key that broadcasting clients are going to be told of. */
struct tracking_change {
    char *text; // owned
    uint32_t length;
    uint32_t order;
    bool by_actor; // of the scope: NOLOOP clients are not told of what they did themselves
};

/** The broadcasting clients of one shard that share a prefix. */
struct tracking_topic {
    struct slice prefix; // owned
    struct connection **clients;
    uint32_t count, room;
};

struct tracking {
    bool on;
    struct hashtable ends; // connections that may be told something, by id; not owned
    struct tracking_topic *topics;
    uint32_t topic_count, topic_room;
    // Of who executes on this thread:
    struct tracking_scope *scope; // the innermost; NULL
    struct tracking_hold *left;   // see tracking_take_hold()
    struct tracking_prefixes *prefixes;
    uint64_t version; // of them; 0: never looked
    struct tracking_change *changes;
    uint32_t change_count, change_room;
    struct buf frame;
    // What was delivered in a pass, and has to be sent before its writers are answered.
    struct tracking_hold **told;
    uint32_t told_count, told_room;
};

/** What keeps a writer's replies until all whom it concerns have been told. */
struct tracking_hold {
    struct pubsub_news news; // first member: how it comes home
    _Atomic uint32_t missing;
    struct connection *connection; // whose output waits; of its shard, which is home
    bool told, returned;           // home
};

enum tracking_what {
    TELL_KEYS,     // clients have read the key in the frame, and it has changed
    TELL_ALL,      // all of the shard's clients: nothing that they keep is good any more
    TELL_PREFIX,   // broadcasting clients
    TELL_REDIRECT, // the one client that `from` redirects to
    TELL_BROKEN,   // the one client: whom it redirects to is not there
};

/**
 * A word to a shard. Behind the clients' ids: the prefix, the frame, and the frame for the actor.
 */
struct tracking_news {
    struct pubsub_news news; // first member
    enum tracking_what what;
    struct tracking_hold *hold; // NULL: nobody waits
    uint64_t weight;
    uint64_t actor;      // client that has changed it; 0: none
    uint64_t from;       // TELL_REDIRECT: whose invalidations these are ...
    uint32_t from_shard; // ... and where
    uint32_t prefix_length, frame_length, quiet_length;
    uint32_t count;
    uint64_t clients[];
};

/** A word about these clients (may be NULL) with these texts. */
struct tracking_news *tracking__news_new(enum tracking_what what, uint32_t count,
                                         struct slice prefix, struct slice frame,
                                         struct slice quiet);
struct slice tracking__news_prefix(const struct tracking_news *n);
struct slice tracking__news_frame(const struct tracking_news *n);
struct slice tracking__news_quiet(const struct tracking_news *n);

/** Sends a word on. It counts for the hold (NULL: none), until it has been sent. */
void tracking__push(struct shard *s, uint32_t to, struct tracking_news *n,
                    struct tracking_hold *hold);
/** One less that was missing; with the last one the hold goes home. */
void tracking__drop(struct shard *s, struct tracking_hold *hold);

#endif
