// SPDX-License-Identifier: BSD-3-Clause
//
// Who makes a snapshot when, and what came of it: one manager for the fleet, which lives on shard
// 0. It puts the walk over all shards (snapshot_walk.h) and the file (persistence/snapshot_file.h)
// together, for BGSAVE, SAVE and SHUTDOWN, at save points, and by the clock. Other shards ask it by
// messages; what INFO and LASTSAVE show can be read by any thread.
// Invariant: at most one snapshot is under way, and every ask is answered exactly once.
#ifndef TORC_SHARDS_SNAPSHOTS_H
#define TORC_SHARDS_SNAPSHOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "shards/config_save.h"
#include "shards/connection.h"

struct fleet;
struct shard;
struct snapshots;

/** For a fleet that has no shards yet. */
struct snapshots *snapshots_new(struct fleet *fleet);
/** After the shards have ended. */
void snapshots_free(struct snapshots *sn);

enum snapshot_ask_kind {
    ASK_BGSAVE,         // answered at the snapshot's instant
    ASK_SAVE,           // answered when it is on the disk
    ASK_SAVE_NEXT,      // the same, but where one is under way, of the one after it
    ASK_SHUTDOWN,       // answered when it has failed
    ASK_SHUTDOWN_ABORT, // answered at once
};

/** What a client wants of the manager; its work. Made by the client's shard, freed there. */
struct snapshot_ask {
    struct work work; // first member
    struct snapshot_ask *next;
    uint32_t home;
    enum snapshot_ask_kind kind;
    struct shutdown_words words;
    const char *status, *error; // the answer: one of them; none when the server ends
    /**
     * Called on the client's shard in place of an answer of "OK", when it is not NULL. Begins other
     * work of the connection.
     */
    void (*then)(struct connection *conn, void *context);
    void (*otherwise)(struct connection *conn, void *context); // beside any other answer
    void *context;
};

/**
 * Begins to ask, as the connection's work. Only where fleet->snapshots is not NULL. The current
 * command must be a barrier.
 */
void snapshots_ask(struct connection *conn, enum snapshot_ask_kind kind,
                   const struct shutdown_words *words);
/**
 * Saves, also if it has to wait for one under way, and then goes on with another work. If that
 * fails, the client gets an error, and `otherwise` is called.
 */
void snapshots_save_and_then(struct connection *conn,
                             void (*then)(struct connection *conn, void *context),
                             void (*otherwise)(struct connection *conn, void *context),
                             void *context);
/** One more snapshot as soon as none is under way. Any thread. False: one is under way already. */
bool snapshots_schedule(struct fleet *fleet);
/** Lets the next time of snapshot-cron come now. Any thread. False: there is no such time. */
bool snapshots_hasten(struct fleet *fleet);
/** A signal asks to shut down; the main thread. */
void snapshots_signal(struct fleet *fleet, int number);

// Messages.
void snapshots_ask_arrive(struct shard *s, struct snapshot_ask *ask); // shard 0
void snapshots_ask_answered(struct shard *s, struct snapshot_ask *ask);

// Shard 0's pass; all of them do nothing in a fleet without snapshots.
void snapshots_configure(struct shard *s); // its configuration is a new one
void snapshots_tick(struct shard *s);      // every 100 ms
void snapshots_stop(struct shard *s);      // the fleet stops
/** Whether nothing is under way that shard 0 must wait for before it ends. */
bool snapshots_are_quiet(const struct fleet *fleet);

/** The state as INFO shows it. */
struct snapshots_report {
    bool running, last_ok;
    int64_t last_save_s;         // Unix time; at first that of the start
    int64_t last_seconds;        // how long the last one took; -1: there was none
    int64_t current_seconds;     // for how long one has been under way; -1: none is
    uint64_t started;            // how many
    uint64_t base_dirty;         // sum of all keyspaces' changes at the last good one's instant
    uint64_t keys, written_keys; // of the one under way
    uint64_t pending_bytes;      // handed over, not written yet
    uint64_t last_bytes;         // size of the last good file
};
/** Any thread. False (all zero): this fleet makes no snapshots. */
bool snapshots_report(const struct fleet *fleet, struct snapshots_report *report);
/** CONFIG RESETSTAT: how many there were is counted anew. Any thread. */
void snapshots_reset_statistics(const struct fleet *fleet);
/** Unix time of the last good snapshot, or of the start. Any thread. */
int64_t snapshots_last_save_s(const struct fleet *fleet);

/** The error for writes while snapshots fail. */
extern const char snapshots_misconf[];

#endif
