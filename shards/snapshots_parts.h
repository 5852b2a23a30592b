// SPDX-License-Identifier: BSD-3-Clause
//
// Inside of the manager of snapshots: its state, and what its files ask of each other. Private to
// snapshots.c (one snapshot from its beginning to its result), snapshots_ask.c (clients, signals,
// the end of the server) and snapshots_when.c (save points, the clock). All of it runs on shard 0
// but where its file says otherwise.
// Invariant: there is a file exactly while the phase is not PHASE_IDLE; `lock` guards `shown` and
// the pointer to the file, and is never held across anything that waits.
#ifndef TORC_SHARDS_SNAPSHOTS_PARTS_H
#define TORC_SHARDS_SNAPSHOTS_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "persistence/cron.h"
#include "persistence/snapshot_file.h"
#include "shards/notes.h"
#include "shards/shard.h"
#include "shards/snapshots.h"

enum phase { PHASE_IDLE, PHASE_WALKING, PHASE_ENDING };

/** A shutdown that makes a snapshot first. */
struct leaving {
    bool wanted, force, aborted;
    uint32_t attempts;
    struct snapshot_ask *ask; // NULL: a signal's
};

/** What other threads read. */
struct shown {
    bool running, last_ok;
    int64_t last_save_s, last_seconds, started_ns;
    uint64_t started, base_dirty, last_bytes;
};

struct snapshots {
    struct fleet *fleet;
    pthread_mutex_t lock;
    struct shown shown;         // guarded
    struct snapshot_file *file; // guarded; changed by shard 0
    struct note file_note;      // the file's end, ...
    int file_result;            // ... and how it ended
    _Atomic bool scheduled;     // one more, as soon as none is under way
    _Atomic int signal;         // asks to shut down; 0: none
    struct note signal_note;    // posted while there is a signal
    _Atomic bool has_cron;      // there is a snapshot-cron ...
    _Atomic bool hastened;      // ... whose next time is now
    // Shard 0's.
    enum phase phase;
    bool begun;        // the instant has been
    bool for_shutdown; // the one under way is the last before the end
    int error;         // why it is given up
    char why[128];     // ... in words; empty: those of the error
    bool needs_12;     // 11 has turned out not to do: this is the second attempt
    int64_t dated_s;   // the one under way is to be kept with this date; 0: no
    int64_t started_s, started_ns;
    uint64_t instant_dirty, instant_keys;
    struct snapshot_ask *asks;  // that wait for the one under way
    struct snapshot_ask *later; // that wait for the one after it
    bool stopping;
    struct leaving leaving;
    int64_t last_try_s;
    uint64_t flushalls; // those that have been seen
    char *cron_text;    // of the configuration that `cron` and `cron_s` were made from
    struct cron cron;
    int64_t cron_s;     // the next time by the clock; 0: none
    int64_t cron_due_s; // one by the clock is due since; 0: none is
};

static inline int64_t snapshots__now_s(const struct shard *s) { return s->now_us / 1000000; }
/** Changes of all keyspaces, as far as the other shards have told. */
uint64_t snapshots__all_dirty(const struct shard *s);
/** Lets all shards know whether writes are to be refused, or are to wait. */
void snapshots__update_gates(struct snapshots *sn, const struct config *c);

/** Begins a snapshot; what comes of it is told later, or possibly before this returns. */
void snapshots__begin(struct snapshots *sn, struct shard *s);
/** Gives the snapshot under way up. */
void snapshots__give_up(struct snapshots *sn, int error);

/** Answers all asks of one kind that wait for the snapshot under way. */
void snapshots__answer_all(struct snapshots *sn, enum snapshot_ask_kind kind, const char *status,
                           const char *error);
/** A snapshot has ended: a shutdown that waits for it goes on, or what is to come after it. */
void snapshots__ended(struct snapshots *sn, struct shard *s, int error);

#endif
