// SPDX-License-Identifier: BSD-3-Clause
//
// A shard and the fleet of all shards. A shard owns a keyspace, its connections, its io and its
// statistics; everything in struct shard is touched by its own thread only. What shards share
// stands in struct fleet: the mailboxes, a few atomic counters, and one line of flags per shard.
// The core is a state machine: shard_pass() takes events and the time, and leaves its output in
// io sends and outboxes, so that the same code runs under the real loop (loop.c) and under the
// seeded simulator.
#ifndef TORC_SHARDS_SHARD_H
#define TORC_SHARDS_SHARD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/commands/command.h"
#include "engine/keyspace/events.h"
#include "net/io.h"
#include "net/resp_parser.h"
#include "shards/accounts.h"
#include "shards/config.h"
#include "shards/eviction.h"
#include "shards/intents.h"
#include "shards/mailbox.h"
#include "shards/snapshot_walk.h"
#include "shards/statistics.h"
#include "shards/timers.h"

#define SHARD_MAX             1024
#define SHARD_MAGIC           0x5348415244544f52u
#define SHARD_HELD_INDEX_BITS 7

struct connection;
struct loading;
struct migrate_pool;
struct note;
struct pubsub;
struct pubsub_news;
struct request;
struct shard;
struct ssl_st;
struct ports;
struct tls_front;
struct tracking;
struct tracking_prefixes;

/** What a shard shows to the others: three cache lines each. */
struct shard_face {
    _Alignas(MAILBOX_LINE) _Atomic bool sleeping; // about to wait, or waiting, in io_poll
    _Atomic bool holding;           // has requests that wait for their clients to read
    _Atomic bool closed;            // stopping, and nothing of its own is left
    _Atomic uint32_t chores;        // enum shard_chore: what was left for its next pass
    _Atomic uint64_t keys;          // of all databases, as of the last pass
    _Atomic uint64_t dirty;         // changes of the keyspace since the start, as of the last pass
    _Atomic uint64_t evictable;     // those of them that may be evicted
    _Atomic double eviction_weight; // how good victims they are: eviction.h
    _Atomic uint32_t connections;   // assigned and not yet gone
    _Atomic(struct note *) notes;   // of side threads: notes.h
    // Who may use the keyspace now (enum visit_door): a line of its own, visitors write it.
    _Alignas(MAILBOX_LINE) _Atomic uint32_t door;
    // What was published for its connections (pubsub.h): all shards add, it takes.
    _Alignas(MAILBOX_LINE) _Atomic(struct pubsub_news *) news;
    _Atomic uint64_t news_weight; // how much work that is
    _Atomic uint32_t monitors;    // clients in MONITOR mode, with those that begin
    _Atomic uint32_t trackers;    // clients that are tracked
};

/** The process-wide part. Made before the threads start, freed after they have ended. */
struct fleet {
    uint32_t nshards;
    struct shard **shards;
    struct keyspace **keyspaces; // theirs
    struct mailbox *mailboxes;   // [from * nshards + to]
    struct shard_face *faces;    // [shard]
    uint64_t hash_seed;
    char run_id[41];
    int64_t started_us;              // wall clock
    int64_t (*clock_ns)(void);       // for measuring how long steps take; NULL: nobody looks
    struct snapshot_walk *snapshot;  // the one under way, if there is one: snapshot_walk.h
    struct migrate_pool *migrations; // threads for MIGRATE
    struct tls_front *tls;           // NULL: there was no TLS port at the start
    struct ports *ports;             // under admin_lock; NULL: this fleet has none
    uint64_t news_room;              // a shard's, for messages: pubsub.h
    uint32_t paced_from;             // receivers: pubsub.h
    const char *io_reason;           // why io_uring was not taken; NULL
    _Alignas(MAILBOX_LINE) _Atomic int64_t evicted_bytes; // by all shards
    _Alignas(MAILBOX_LINE) _Atomic uint64_t ticket;       // of the latest transaction
    _Alignas(MAILBOX_LINE) _Atomic uint64_t client_id;    // of the latest connection
    _Atomic uint32_t tracking_clients;                    // tracked, with those that begin
    _Atomic int64_t tracked_keys;                         // by all keyspaces
    _Atomic bool stop;
    // Loading of a file (loading.h): how many have begun, the one under way, what came of the last.
    _Atomic uint64_t loads;
    struct loading *_Atomic loading;
    _Atomic uint64_t load_keys, load_expired;
    _Atomic bool unloaded;       // the one of the start failed: the server is going to stop
    _Atomic uint32_t gates;      // GATES_OF_FLEET: whoever changes them leaves CHORE_GATES
    struct snapshots *snapshots; // NULL: this fleet writes no files
    _Atomic bool leaving;        // nothing is left to do before the end: on_shutdown
    void (*on_shutdown)(struct fleet *fleet); // SHUTDOWN was asked for; any shard's thread
    // What administrators change, rarely, from any shard: under this lock.
    pthread_mutex_t admin_lock;
    struct config *config;                       // the newest; NULL until the first CONFIG SET
    uint64_t config_version;                     // of it: how many CONFIG SETs there were
    struct tracking_prefixes *tracking_prefixes; // the newest; NULL until there is one
    _Atomic uint64_t tracking_version;           // of them
    struct acl_log acl_log;                      // of denials
    char replication_id[41];                     // empty until somebody asks
};

/** What a client has connected to: the tag of the listening socket. */
enum accept_from {
    ACCEPT_TCP,
    ACCEPT_UNIX,
    ACCEPT_NODE, // the shard's own port: served by this shard, which is a cluster node there
    ACCEPT_TLS,
    ACCEPT_ADMIN, // with admin-port: here, and nowhere else, administrative commands are served
};

/** An accepted socket on its way to the shard that will serve it; that shard's when it arrives. */
struct accepted {
    uint64_t id; // of the client: in the order of accepting
    int fd;
    enum accept_from from;
    struct ssl_st *session; // ACCEPT_TLS, after the handshake; NULL: ...
    bool in_kernel;         // ... the kernel has it
};

/** Why no command may simply be run. Bits of a shard. */
enum shard_gate {
    GATE_OUTBOX = 1,     // some words did not fit into the mailboxes: take no new work
    GATE_LOADING = 2,    // a file is being loaded: most commands are refused
    GATE_DISK = 4,       // snapshots fail: writes are refused (stop-writes-on-bgsave-error)
    GATE_LEAVING = 8,    // the last snapshot before the end is being made: writes wait
    GATE_MONITORED = 32, // somebody is shown all commands: monitor.h
    GATE_TRACKED = 64,   // somebody caches what is read: tracking.h
    GATE_RELOAD = 16,    // what DEBUG RELOAD is going to load is being saved: writes wait
};
#define GATES_OF_WRITES ((uint32_t)(GATE_LEAVING | GATE_RELOAD))
#define GATES_OF_FLEET  ((uint32_t)GATE_DISK | GATES_OF_WRITES)

/**
 * What others leave for a shard to look at: whoever does sets the bit in its face, and only then
 * wakes it, if it is to be soon. So a pass looks at one word for all that is rare.
 */
enum shard_chore {
    CHORE_GATES = 1, // the fleet's gates
    CHORE_LOAD = 2,  // a load has begun
    CHORE_NOTES = 4, // notes.h
    CHORE_STOP = 8,  // the fleet stops
    CHORES_ALL = 15
};

/** Connections in MONITOR mode. */
struct monitors {
    struct connection **v;
    uint32_t count, room;
};

struct connection_list {
    struct connection *first, *last;
};

struct shard {
    uint64_t magic;
    uint32_t id;
    struct fleet *fleet;
    struct shard_face *face; // its own
    struct io *io;
    struct config *config; // current one; a reference
    struct accounts accounts;
    uint64_t config_version;         // of it: CONFIG SET never goes back to an older one
    struct engine_settings settings; // what the engine needs of it
    struct keyspace *keyspace;
    struct view view, frozen;      // of the own keyspace: see shard_view
    struct view everywhere;        // of all keyspaces: for those who are in
    struct event_sink events;      // keyspace events go here (notify.h) ...
    const struct event_sink *sink; // ... if anybody wants any; NULL
    struct shard_eviction eviction;
    struct intents intents;
    struct snapshot_share *share; // of the snapshot that is being written; NULL: none

    int64_t now_us, now_ms; // wall clock of this pass
    int64_t now_ns;         // monotonic clock of this pass

    struct outbox *outboxes;                // [shard]
    uint32_t gates;                         // enum shard_gate
    bool progressed;                        // a client has read, or left, in this pass
    struct request *held_first, *held_last; // runs of requests that wait: held.c
    struct request *held_index[1 << SHARD_HELD_INDEX_BITS];

    bool *visited;          // [shard] whose keyspace we are in: visit.h
    uint32_t *visits;       // those, in any order ...
    uint32_t visited_count; // ... and how many

    struct connection_list connections;
    uint32_t connection_count;
    struct connection *dirty; // have output to send, or a state to look at, at the end of the pass
    struct connection *resumable;    // may go on with the bytes they hold
    struct blocked *blocked_retries; // blocked clients that look at all their keys again
    bool blocked_serving;            // somebody is serving: blocked.c
    uint32_t blocked_count;          // of this shard's, with those whose places are not back yet
    _Atomic(struct pubsub_news *) *news; // its face's
    uint32_t pubsub_busy;                // enum pubsub_busy: looked at in every pass
    struct monitors monitors;
    struct pubsub *pubsub;     // subscriptions and channels: pubsub.h
    struct tracking *tracking; // who is told of what changes: tracking.h
    struct timers timers;
    struct resp_args args;         // argument slices of the batch in hand
    struct buf scratch;            // replies of requests are first written here ...
    struct pieces *scratch_pieces; // ... and their long values
    struct keyspace *spare;        // an empty private keyspace for the next transaction

    struct loading *loading; // that this shard takes part in; NULL
    uint64_t loads;          // of the fleet's, those it knows of
    uint64_t shown_dirty;    // the keyspace's change counter when the face's `keys` was set
    bool active_expire;      // DEBUG SET-ACTIVE-EXPIRE
    uint32_t crowded;        // a shard that has too many of our events to take; UINT32_MAX: none
    bool expire_pending;     // the last expiry step left something due
    bool collecting;         // memory that other threads have freed is waiting to be taken back
    bool stopping;
    int64_t pause_until_ms; // CLIENT PAUSE
    bool pause_writes_only;
    int64_t next_tick_ns;
    uint32_t tick_count;
    struct statistics stats;
    int64_t startup_memory;          // mem_used() when the shard had been made
    struct keyspace_summary summary; // of the keyspace, as of the last time it was not lent
};

/** Makes a fleet of nshards with its mailboxes; shards are added by shard_new. */
struct fleet *fleet_new(uint32_t nshards, uint64_t hash_seed, const char *run_id,
                        int64_t started_us);
/** Frees the fleet, after its shards. */
void fleet_free(struct fleet *fleet);
/** Leaves a chore for all shards. Any thread. */
void fleet_leave_chore(struct fleet *fleet, enum shard_chore chore);
/** Tells all shards to stop, in their next pass. Any thread. */
void fleet_stop(struct fleet *fleet);
/**
 * Makes shard `id` of the fleet on its io (owned by the caller) with a reference of its own to
 * config.
 */
struct shard *shard_new(struct fleet *fleet, uint32_t id, struct io *io, struct config *config,
                        uint64_t random_seed);
/** Frees a shard whose connections are gone. */
void shard_free(struct shard *s);

/**
 * One pass: messages and events in, sends and messages out. Times: wall clock in us, monotonic in
 * ns.
 */
void shard_pass(struct shard *s, struct io_event *events, int count, int64_t wall_us,
                int64_t mono_ns);
/** How long the shard may sleep now: 0 not at all; only valid right after a pass. */
int64_t shard_sleep_ns(struct shard *s);
/** Announces that the shard is going to sleep; false: something has arrived meanwhile, do not. */
bool shard_sleep_begin(struct shard *s);
void shard_sleep_end(struct shard *s);
/**
 * Whether a stopping shard has finished: nothing left to do for itself or, as far as it knows,
 * for others.
 */
bool shard_is_finished(const struct shard *s);

/** Takes a new configuration into use (drops the old reference, takes one of the new). */
void shard_use_config(struct shard *s, struct config *config);
/**
 * Sends a message to another shard at the end of the pass (or handles it at once when it is for
 * this shard).
 */
void shard_send(struct shard *s, uint32_t to, enum message_kind kind, void *object);
/** Leaves a chore for one shard. Any thread. */
static inline void shard_leave_chore(struct shard *s, enum shard_chore chore) {
    atomic_fetch_or_explicit(&s->fleet->faces[s->id].chores, chore, memory_order_release);
}
/** Wakes another shard if it sleeps. */
void shard_wake(struct shard *s, uint32_t to);
/** Adopts an accepted socket and frees its note. */
void shard_adopt(struct shard *s, struct accepted *accepted);

/** Runs one command on keyspaces that are ours to touch, with statistics. */
static inline void shard_run(struct shard *s, struct cmd *c);
/** Drains what became ready in the intents: parked commands first, then granted parts. */
void shard_settle(struct shard *s);

/** Copies what INFO shows of the keyspace; only while it is not lent. (session_info.c) */
void summary_update(struct shard *s);

/**
 * How a command sees the own keyspace. While some of it is lent, a reader shares keys with
 * transactions that read them elsewhere: it must not remove what has expired, nor note its use. A
 * writer has its keys alone.
 */
static inline const struct view *shard_view(const struct shard *s, bool write) {
    return likely(s->intents.parts == 0) || write ? &s->view : &s->frozen;
}

/** The shard that owns a key. */
static inline uint32_t shard_of_key(const struct shard *s, struct slice key) {
    uint32_t n = s->fleet->nshards;
    return n == 1 ? 0 : hash_slot_shard(hash_slot(key), n);
}

void shard__run_tracked(struct shard *s, struct cmd *c); // tracking.c

/** Runs one command on keyspaces that are ours to touch, without statistics. */
static inline void shard_run_command(struct shard *s, struct cmd *c) {
    if (unlikely(s->gates & GATE_TRACKED))
        shard__run_tracked(s, c);
    else
        cmd_run(c);
}

void shard__run_timed(struct shard *s, struct command_statistics *st, struct cmd *c);
void shard__failed(struct shard *s, struct command_statistics *st, struct reply *r);

static inline void shard_run(struct shard *s, struct cmd *c) {
    struct command_statistics *st = &s->stats.by_command[c->spec->id];
    s->stats.commands++;
    if (unlikely(st->calls++ % STATISTICS_SAMPLE == 0))
        shard__run_timed(s, st, c);
    else
        shard_run_command(s, c);
    if (unlikely(c->reply->errors)) shard__failed(s, st, c->reply);
}

#define ASSERT_SHARD(s) ASSERT((s)->magic == SHARD_MAGIC)

#endif
