// SPDX-License-Identifier: BSD-3-Clause
//
// When a snapshot is made that nobody waits for: at save points, by the clock, after FLUSHALL, or
// as scheduled. Looked at every 100 ms on shard 0; what says so may be called by any thread.
// Invariant: nothing begins while another is under way, a shutdown waits, or a file is loaded.
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "shards/loading.h"
#include "shards/snapshots_parts.h"

#define RETRY_S 5 // after a failure, before save points count again: Redis's time

bool snapshots_schedule(struct fleet *fleet) {
    struct snapshots *sn = fleet->snapshots;
    pthread_mutex_lock(&sn->lock);
    bool running = sn->shown.running;
    pthread_mutex_unlock(&sn->lock);
    if (!running) atomic_store(&sn->scheduled, true);
    return !running;
}

bool snapshots_hasten(struct fleet *fleet) {
    struct snapshots *sn = fleet->snapshots;
    if (sn == NULL || !atomic_load(&sn->has_cron)) return false;
    atomic_store(&sn->hastened, true);
    return true;
}

void snapshots_configure(struct shard *s) {
    struct snapshots *sn = s->fleet->snapshots;
    if (sn == NULL) return;
    const struct config *c = s->config;
    snapshots__update_gates(sn, c);
    if (sn->cron_text != NULL && strcmp(sn->cron_text, c->snapshot_cron) == 0) return;
    size_t n = strlen(c->snapshot_cron) + 1;
    mem_free(sn->cron_text);
    sn->cron_text = mem_alloc(n);
    memcpy(sn->cron_text, c->snapshot_cron, n);
    sn->cron_s = sn->cron_due_s = 0;
    atomic_store(&sn->has_cron, n > 1);
    if (n == 1) return;
    struct buf error = {0};
    bool good = cron_parse(&sn->cron, slice_of(sn->cron_text, n - 1), &error);
    ASSERT(good); // the row has checked it
    sn->cron_s = cron_next(&sn->cron, clock_wall_us() / 1000000);
}

/** The save point that is due, if one is. */
static bool find_due_point(const struct snapshots *sn, const struct shard *s,
                           struct save_point *point) {
    struct slice text = slice_text(s->config->save);
    uint64_t dirty = snapshots__all_dirty(s) - sn->shown.base_dirty;
    int64_t age_s = snapshots__now_s(s) - sn->shown.last_save_s;
    if (!sn->shown.last_ok && snapshots__now_s(s) - sn->last_try_s <= RETRY_S) return false;
    while (config_save_point(&text, point))
        if ((int64_t)dirty >= point->changes && age_s > point->seconds) return true;
    return false;
}

/** FLUSHALL with save points saves the empty state, as in Redis. */
static void look_for_flush(struct snapshots *sn, const struct shard *s) {
    if (s->intents.lent || s->keyspace->stats.flushalls == sn->flushalls) return;
    sn->flushalls = s->keyspace->stats.flushalls;
    if (s->config->save[0] != '\0') atomic_store(&sn->scheduled, true);
}

static void look_at_clock(struct snapshots *sn, const struct shard *s) {
    bool hastened = atomic_exchange(&sn->hastened, false);
    if (sn->cron_s == 0 || (snapshots__now_s(s) < sn->cron_s && !hastened)) return;
    sn->cron_due_s = snapshots__now_s(s);
    sn->cron_s = cron_next(&sn->cron, snapshots__now_s(s));
}

/** Begins one if it is time for one. */
static void begin_if_due(struct snapshots *sn, struct shard *s) {
    struct save_point point;
    bool retry = sn->shown.last_ok || snapshots__now_s(s) - sn->last_try_s > RETRY_S;
    if (sn->cron_due_s > 0) {
        sn->dated_s = sn->cron_due_s;
        sn->cron_due_s = 0;
        log_line(LOG_NOTICE, "It is time for a snapshot (snapshot-cron)");
        snapshots__begin(sn, s);
    } else if (retry && atomic_exchange(&sn->scheduled, false)) {
        snapshots__begin(sn, s);
    } else if (find_due_point(sn, s, &point)) {
        log_line(LOG_NOTICE, "%lld changes in %lld seconds: a snapshot is made",
                 (long long)point.changes, (long long)point.seconds);
        snapshots__begin(sn, s);
    }
}

void snapshots_tick(struct shard *s) {
    struct snapshots *sn = s->fleet->snapshots;
    if (sn == NULL) return;
    if (sn->stopping) return;
    look_at_clock(sn, s);
    look_for_flush(sn, s);
    // What the disk refuses is known before the walk is over. (But a BGSAVE has begun by then.)
    if (sn->phase == PHASE_WALKING && sn->begun) {
        int error = snapshot_file_error(sn->file);
        if (error != 0) snapshots__give_up(sn, error);
    }
    if (sn->phase == PHASE_IDLE && !sn->leaving.wanted && !loading_is_on(s->fleet))
        begin_if_due(sn, s);
}
