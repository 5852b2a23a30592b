// SPDX-License-Identifier: BSD-3-Clause
//
// Tracking over shards: clients that cache what they have read are told when it changes (Redis
// documentation: Client-side caching). Who has read a key stands in the keyspace that has the key
// (engine/keyspace/tracked.h), and is written by whoever executes there; who changes a key takes
// its readers out and tells their shards, through the news of pubsub.h. Broadcasting clients stand
// in no table: every shard knows the prefixes, and which shards have clients for them
// (tracking_prefixes.h). While anybody is tracked, GATE_TRACKED is set on all shards, and commands
// take the way past dispatch's gates; else nothing is looked at.
//
// Two orders hold. A client gets no invalidation before the value that it makes invalid: what it is
// told comes behind the replies that it was owed when the word arrived, and the word was sent after
// the value was read. And a writer gets no reply before the readers have been told: a write that
// has told shards other than those that execute and answer it leaves a hold on its connection,
// whose output waits until those shards have put the word into the readers' output.
#ifndef TORC_SHARDS_TRACKING_H
#define TORC_SHARDS_TRACKING_H

#include "engine/keyspace/tracked.h"
#include "shards/connection.h"
#include "shards/pubsub.h"
#include "shards/tracking_prefixes.h"

/** What a client has asked for. Bits. */
enum tracking_mode {
    TRACKING_ON = 1,
    TRACKING_BCAST = 2,  // all keys with its prefixes, read or not
    TRACKING_OPTIN = 4,  // only what is read after CLIENT CACHING YES
    TRACKING_OPTOUT = 8, // not what is read after CLIENT CACHING NO
    TRACKING_NOLOOP = 16,
    TRACKING_BROKEN = 32, // whom it redirects to is gone
};

/** CLIENT CACHING, which is good for one command, or one MULTI. */
enum tracking_caching { CACHING_NONE, CACHING_GIVEN, CACHING_USED };

/** What CLIENT TRACKING says. */
struct tracking_options {
    uint32_t mode;     // enum tracking_mode
    uint64_t redirect; // id of the client that is told instead; 0: itself
    uint32_t prefix_count;
    const struct slice *prefixes;
};

/** A connection that has ever been tracked. */
struct tracking_client {
    uint32_t mode;
    enum tracking_caching caching;
    uint64_t redirect;
    uint32_t redirect_shard;
    uint32_t prefix_count;
    struct slice *prefixes; // owned texts, in their order
};

struct tracking_scope;
struct tracking_hold;
struct tracking;

void tracking_init(struct shard *s);
void tracking_fini(struct shard *s);

// ---- for clients (their shard) -----------------------------------------------------------------

/** Somebody is going to be tracked: this shard takes part from now on. */
void tracking_raise(struct shard *s);
/**
 * Lets a client of this shard be the one that others redirect to. False: there is none of that id.
 */
bool tracking_accept_redirect(struct shard *s, uint64_t client);
/**
 * Begins tracking, or changes its options, which agree with the present ones. Prefixes are added.
 */
void tracking_enable(struct connection *conn, const struct tracking_options *options,
                     uint32_t redirect_shard);
/** Ends it. What the client has read is forgotten as it changes. */
void tracking_disable(struct connection *conn);
/** The connection closes. */
void tracking_leave(struct connection *conn);
static inline bool tracking_is_on(const struct connection *conn) {
    return conn->tracking != NULL && (conn->tracking->mode & TRACKING_ON) != 0;
}
/** CLIENT CACHING was said. */
void tracking_set_caching(struct connection *conn, enum tracking_caching caching);
/** A command starts: what CLIENT CACHING has said holds for it, or no longer. */
void tracking_step(struct connection *conn, const struct command *spec);
/** Tells a client that it should not keep what it is getting: nobody will tell it of changes. */
void tracking_forget(struct connection *conn, const struct command *spec, int argc,
                     const struct slice *argv);

// ---- for who executes --------------------------------------------------------------------------

/** Everything done for one client at once: it is told to others together. On the caller's stack. */
struct tracking_scope {
    struct tracking_scope *outer;
    const struct connection *actor; // who has sent the command; maybe another shard's
    struct tracking_hold *hold;     // NULL: nobody far away has been told
    uint32_t first_change;          // of the shard's list
    bool replaced;                  // all that anybody keeps may be wrong
};

/**
 * Begins a scope around several commands of a client; false: nobody is tracked, or it is in one.
 */
bool tracking_begin(struct shard *s, struct tracking_scope *scope, const struct connection *actor);
/** Ends it; only if it was begun. */
void tracking_end(struct shard *s, struct tracking_scope *scope);

/**
 * The hold that what was just executed for another shard's client has left; NULL: none. Its reply
 * carries it home, for tracking_returned().
 */
struct tracking_hold *tracking_take_hold(struct shard *s);
/** Home: the reply is here. Until all have been told, the connection's output waits. */
void tracking_returned(struct tracking_hold *hold);

/** Sink of events: struct event_sink. */
void tracking_modified(void *context, struct db *db, struct key key, bool removed);
void tracking_replaced(void *context, struct keyspace *ks);

/** Keys that come back from a transaction, with who has read them. */
void tracking_put_back(struct shard *s, struct keyspace *ks, struct tracked_key *tracked);

// ---- in the pass -------------------------------------------------------------------------------

/** A word in a shard's news. Frees it; returns its weight. */
uint64_t tracking_deliver(struct shard *s, struct pubsub_news *news);
/** A hold in a shard's news: all have been told. */
void tracking_told(struct pubsub_news *news);
/** Broadcasts what has changed without anybody's command. */
void tracking_flush(struct shard *s);
/** Beginning of a pass: what was delivered in the one before has been sent. */
void tracking_acknowledge(struct shard *s);
/** Every 100 ms: keeps the tables within tracking-table-max-keys; ends when nobody is tracked. */
void tracking_tick(struct shard *s);
/** Frees a word that is not delivered any more. */
void tracking_news_free(struct pubsub_news *news);

#endif
