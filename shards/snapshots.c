// SPDX-License-Identifier: BSD-3-Clause
//
// One snapshot from its beginning to its result, and what others see of it. Everything but the
// functions that say otherwise runs on shard 0; the side thread that writes a file only leaves its
// result and a note. A snapshot goes through three phases: it walks until all shards have handed
// over their records, then its file is ended (or thrown away), then it is completed here, and the
// next one may begin. Invariant: what was begun is completed exactly once.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/commands/server.h"
#include "persistence/rdb_writer.h"
#include "shards/snapshot_walk.h"
#include "shards/snapshots_parts.h"

const char snapshots_misconf[] =
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to "
    "disk. Commands that may modify the data set are disabled, because this instance is configured "
    "to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error "
    "option). Please check the Redis logs for details about the RDB error.";

struct snapshots *snapshots_new(struct fleet *fleet) {
    struct snapshots *sn = mem_calloc(sizeof *sn);
    sn->fleet = fleet;
    pthread_mutex_init(&sn->lock, NULL);
    sn->shown.last_ok = true;
    sn->shown.last_seconds = -1;
    sn->shown.last_save_s = fleet->started_us / 1000000;
    return sn;
}

void snapshots_free(struct snapshots *sn) {
    ASSERT(sn->phase == PHASE_IDLE && sn->file == NULL && sn->asks == NULL && sn->later == NULL);
    pthread_mutex_destroy(&sn->lock);
    mem_free(sn->cron_text);
    mem_free(sn);
}

uint64_t snapshots__all_dirty(const struct shard *s) {
    const struct fleet *fleet = s->fleet;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < fleet->nshards; i++)
        sum += i == s->id && !s->intents.lent
                   ? s->keyspace->stats.dirty
                   : atomic_load_explicit(&fleet->faces[i].dirty, memory_order_relaxed);
    return sum;
}

void snapshots__update_gates(struct snapshots *sn, const struct config *c) {
    uint32_t gates = 0;
    if (c->stop_writes_on_bgsave_error && c->save[0] != '\0' && !sn->shown.last_ok)
        gates |= GATE_DISK;
    if (sn->leaving.wanted) gates |= GATE_LEAVING;
    _Atomic uint32_t *all = &sn->fleet->gates;
    uint32_t old = atomic_load_explicit(all, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(all, &old, (old & GATE_RELOAD) | gates)) {
    }
    if ((old & ~(uint32_t)GATE_RELOAD) != gates) fleet_leave_chore(sn->fleet, CHORE_GATES);
}

// ---- what is written ---------------------------------------------------------------------------

static void add_number(struct buf *out, const char *name, int64_t number) {
    char text[32];
    int n = snprintf(text, sizeof text, "%lld", (long long)number);
    rdb_write_aux(out, name, slice_of(text, (size_t)n));
}

/** How many keys each database has over all shards: a hint for who loads. */
static void add_sizes(struct buf *out, struct keyspace *const *keyspaces, uint32_t count,
                      uint64_t *total) {
    *total = 0;
    for (uint32_t d = 0; d < keyspaces[0]->ndbs; d++) {
        uint64_t keys = 0, expires = 0;
        for (uint32_t i = 0; i < count; i++) {
            keys += db_count(&keyspaces[i]->dbs[d]);
            expires += db_expires(&keyspaces[i]->dbs[d]);
        }
        *total += keys;
        if (keys == 0) continue;
        rdb_write_db(out, d);
        rdb_write_resize(out, keys, expires);
    }
}

static bool has_field_expiry(struct keyspace *const *keyspaces, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t d = 0; d < keyspaces[i]->ndbs; d++)
            if (keyspaces[i]->dbs[d].expiry.parts > 0) return true;
    return false;
}

static void at_instant(void *context, struct keyspace *const *keyspaces, uint32_t count,
                       struct rdb_save *save) {
    struct snapshots *sn = context;
    const struct shard *s = sn->fleet->shards[0];
    struct buf head = {0};
    if (s->config->rdb_version == CONFIG_RDB_AUTO && has_field_expiry(keyspaces, count))
        save->version = 12;
    sn->begun = true;
    sn->instant_dirty = 0;
    for (uint32_t i = 0; i < count; i++) sn->instant_dirty += keyspaces[i]->stats.dirty;
    rdb_write_magic(&head, save->version);
    rdb_write_aux(&head, "redis-ver", SLICE_LITERAL(SERVER_REDIS_VERSION));
    add_number(&head, "redis-bits", (int64_t)sizeof(void *) * 8);
    add_number(&head, "ctime", snapshots__now_s(s));
    add_number(&head, "used-mem", mem_used());
    add_number(&head, "aof-base", 0);
    add_sizes(&head, keyspaces, count, &sn->instant_keys);
    snapshot_file_add(sn->file, snapshot_chunk_of(&head));
    snapshots__answer_all(sn, ASK_BGSAVE, "Background saving started", NULL);
}

static void take_chunk(void *context, struct snapshot_chunk *chunk) {
    struct snapshots *sn = context;
    snapshot_file_add(sn->file, chunk);
}

static size_t pending(void *context) {
    const struct snapshots *sn = context;
    return snapshot_file_pending(sn->file);
}

static void walk_is_done(void *context, int error, const char *why) {
    struct snapshots *sn = context;
    ASSERT(sn->phase == PHASE_WALKING);
    sn->phase = PHASE_ENDING;
    if (sn->error == 0) sn->error = error;
    if (error != 0 && why != NULL) snprintf(sn->why, sizeof sn->why, "%s", why);
    if (sn->error == 0)
        snapshot_file_commit(sn->file);
    else
        snapshot_file_abort(sn->file);
}

// ---- the result --------------------------------------------------------------------------------

static void log_result(const struct snapshots *sn, const struct shard *s, int error,
                       uint64_t bytes) {
    double seconds = (double)(clock_monotonic_ns() - sn->started_ns) / 1e9;
    if (error == 0)
        log_line(LOG_NOTICE, "Snapshot: %llu keys in %s, %.1f MB, after %.2f s",
                 (unsigned long long)sn->instant_keys, s->config->dbfilename, (double)bytes / 1e6,
                 seconds);
    else if (error == -ECANCELED)
        log_line(LOG_WARN, "Snapshot: given up");
    else
        log_line(LOG_WARN, "Snapshot: failed; %s in %s stays as it was: %s", s->config->dbfilename,
                 s->config->dir, sn->why[0] != '\0' ? sn->why : strerror(-error));
}

static void set_file(struct snapshots *sn, struct snapshot_file *file) {
    pthread_mutex_lock(&sn->lock);
    sn->file = file;
    pthread_mutex_unlock(&sn->lock);
}

static void show_result(struct snapshots *sn, const struct shard *s, int error, uint64_t bytes) {
    pthread_mutex_lock(&sn->lock);
    struct shown *shown = &sn->shown;
    shown->running = false;
    shown->last_seconds = snapshots__now_s(s) - sn->started_s;
    if (error == 0) {
        shown->last_save_s = snapshots__now_s(s);
        shown->base_dirty = sn->instant_dirty;
        shown->last_bytes = bytes;
    }
    if (error != -ECANCELED) shown->last_ok = error == 0;
    pthread_mutex_unlock(&sn->lock);
}

static void complete(struct snapshots *sn, struct shard *s, int error) {
    struct snapshot_file *file = sn->file;
    uint64_t bytes = 0;
    set_file(sn, NULL);
    sn->phase = PHASE_IDLE;
    if (file != NULL) {
        bytes = snapshot_file_written(file);
        snapshot_file_free(file);
    }
    if (error == -ENOTSUP && s->config->rdb_version == CONFIG_RDB_AUTO && !sn->needs_12 &&
        !sn->stopping) {
        sn->needs_12 = true;
        snapshots__begin(sn, s);
        return;
    }
    sn->needs_12 = false;
    log_result(sn, s, error, bytes);
    show_result(sn, s, error, bytes);
    snapshots__update_gates(sn, s->config);
    sn->for_shutdown = false;
    sn->dated_s = 0;
    snapshots__answer_all(sn, ASK_SAVE, "OK", error == 0 ? NULL : "ERR");
    snapshots__answer_all(sn, ASK_SAVE_NEXT, "OK", error == 0 ? NULL : "ERR");
    snapshots__answer_all(sn, ASK_BGSAVE, NULL, "ERR");
    snapshots__ended(sn, s, error);
}

static void file_has_ended(struct shard *s, struct note *note) {
    (void)note;
    struct snapshots *sn = s->fleet->snapshots;
    complete(sn, s, sn->error != 0 ? sn->error : sn->file_result);
}

/** On the side thread. */
static void file_is_over(void *context, int error) {
    struct snapshots *sn = context;
    sn->file_result = error;
    note_post(sn->fleet->shards[0], &sn->file_note);
}

// ---- the beginning -----------------------------------------------------------------------------

static int version_of(const struct snapshots *sn, const struct config *c) {
    int version = config_rdb_version(c);
    return version > 0 ? version : sn->needs_12 ? 12 : RDB_VERSION_DEFAULT;
}

static struct snapshot_plan plan_of(struct snapshots *sn, const struct config *c) {
    bool lru =
        c->maxmemory_policy == CONFIG_ALLKEYS_LRU || c->maxmemory_policy == CONFIG_VOLATILE_LRU;
    bool lfu =
        c->maxmemory_policy == CONFIG_ALLKEYS_LFU || c->maxmemory_policy == CONFIG_VOLATILE_LFU;
    return (struct snapshot_plan){
        .options = {.save = {.version = version_of(sn, c), .compress = c->rdbcompression},
                    .access = lru   ? SNAPSHOT_IDLE_TIME
                              : lfu ? SNAPSHOT_FREQUENCY
                                    : SNAPSHOT_NO_ACCESS,
                    .lfu_decay_time = (uint32_t)c->lfu_decay_time,
                    .context = sn,
                    .chunk = take_chunk},
        .context = sn,
        .instant = at_instant,
        .pending = pending,
        .done = walk_is_done};
}

/** Starts the file and the walk. A negative errno: neither is under way. */
static int start_parts(struct snapshots *sn, struct shard *s) {
    const struct config *c = s->config;
    struct snapshot_file_options options = {
        .directory = c->dir,
        .name = c->dbfilename,
        .checksum = c->rdbchecksum,
        .incremental_sync = c->rdb_save_incremental_fsync,
        .keep_cached = sn->for_shutdown, // the next start will read it
        .dated_s = c->snapshot_keep > 0 ? sn->dated_s : 0,
        .dated_keep = c->snapshot_keep,
        .finished = file_is_over,
        .context = sn,
    };
    sn->file_note.run = file_has_ended;
    struct snapshot_file *file = snapshot_file_start(&options);
    if (file == NULL) return -EAGAIN;
    set_file(sn, file);
    struct snapshot_plan plan = plan_of(sn, c);
    sn->phase = PHASE_WALKING;
    int error = snapshot_walk_start(s, &plan);
    if (error == 0) return 0;
    // Somebody else has a walk of his own under way.
    sn->error = error;
    sn->phase = PHASE_ENDING;
    snapshot_file_abort(file);
    return 0;
}

void snapshots__begin(struct snapshots *sn, struct shard *s) {
    ASSERT(sn->phase == PHASE_IDLE);
    sn->begun = false;
    sn->error = 0;
    sn->why[0] = '\0';
    sn->last_try_s = sn->started_s = snapshots__now_s(s);
    sn->started_ns = s->now_ns;
    pthread_mutex_lock(&sn->lock);
    sn->shown.running = true;
    if (!sn->needs_12) sn->shown.started++;
    sn->shown.started_ns = sn->started_ns;
    pthread_mutex_unlock(&sn->lock);
    int error = start_parts(sn, s);
    if (error != 0) complete(sn, s, error);
}

void snapshots__give_up(struct snapshots *sn, int error) {
    if (sn->phase != PHASE_WALKING || sn->error != 0) return;
    sn->error = error;
    snapshot_walk_abort(sn->fleet, error);
}

// ---- what others read --------------------------------------------------------------------------

bool snapshots_are_quiet(const struct fleet *fleet) {
    return fleet->snapshots == NULL || fleet->snapshots->phase == PHASE_IDLE;
}

bool snapshots_report(const struct fleet *fleet, struct snapshots_report *report) {
    struct snapshots *sn = fleet->snapshots;
    *report = (struct snapshots_report){.last_ok = true, .last_seconds = -1, .current_seconds = -1};
    if (sn == NULL) return false;
    struct snapshot_progress progress = {0};
    pthread_mutex_lock(&sn->lock);
    const struct shown *shown = &sn->shown;
    report->running = shown->running;
    report->last_ok = shown->last_ok;
    report->last_save_s = shown->last_save_s;
    report->last_seconds = shown->last_seconds;
    report->started = shown->started;
    report->base_dirty = shown->base_dirty;
    report->last_bytes = shown->last_bytes;
    if (shown->running)
        report->current_seconds = (clock_monotonic_ns() - shown->started_ns) / 1000000000;
    if (sn->file != NULL) report->pending_bytes = snapshot_file_pending(sn->file);
    pthread_mutex_unlock(&sn->lock);
    if (report->running && snapshot_walk_progress((struct fleet *)fleet, &progress)) {
        report->keys = progress.keys;
        report->written_keys = progress.written;
    }
    return true;
}

void snapshots_reset_statistics(const struct fleet *fleet) {
    struct snapshots *sn = fleet->snapshots;
    if (sn == NULL) return;
    pthread_mutex_lock(&sn->lock);
    sn->shown.started = 0;
    pthread_mutex_unlock(&sn->lock);
}

int64_t snapshots_last_save_s(const struct fleet *fleet) {
    struct snapshots_report report;
    return snapshots_report(fleet, &report) ? report.last_save_s : fleet->started_us / 1000000;
}
