// SPDX-License-Identifier: BSD-3-Clause
//
// Snapshots while a workload runs: begun at random moments on any shard, now and then given up,
// with a file that now and then stands still. Each that comes to its end is decoded: it must hold
// what all keyspaces held at its instant, in each database, and what the workload says must be true
// of every instant. Called by world.c; one thread. Invariant: one is under way at a time.
#include <errno.h>

#include "engine/base/alloc.h"
#include "shards/snapshot_walk.h"
#include "shards/visit.h"
#include "tests/simulation/sim.h"
#include "tests/unit/persistence/decode.h"

#define DBS 4

/** What the databases hold. */
struct content {
    uint64_t keys[DBS];
    struct digest digest[DBS];
};

struct sim_snapshots {
    uint32_t chance; // of 4096 steps
    uint32_t step_ns;
    bool running, calm, aborted;
    bool full; // the file stands still
    struct decode decode;
    struct content instant, decoded;
};

static void add(struct content *content, uint32_t db, const struct entry *e) {
    content->keys[db]++;
    entry_digest(e, &content->digest[db]);
}

struct add_all {
    struct content *content;
    uint32_t db;
};

static void add_entry(void *context, struct entry *e) {
    struct add_all *all = context;
    add(all->content, all->db, e);
}

static void on_instant(void *context, struct keyspace *const *keyspaces, uint32_t count,
                       struct rdb_save *save) {
    struct world *w = context;
    struct sim_snapshots *s = w->snapshots;
    s->instant = s->decoded = (struct content){0};
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t db = 0; db < DBS; db++) {
            struct add_all all = {&s->instant, db};
            table_each(&keyspaces[i]->dbs[db].table, add_entry, &all);
        }
    }
    save->version = 12;
}

static void on_chunk(void *context, struct snapshot_chunk *chunk) {
    struct world *w = context;
    decode_chunk(&w->snapshots->decode, chunk);
}

static size_t pending(void *context) {
    const struct world *w = context;
    return w->snapshots->full ? SIZE_MAX : 0;
}

static void on_found(void *context, const struct rdb_record *item, struct entry *e) {
    struct world *w = context;
    add(&w->snapshots->decoded, item->db, e);
    if (w->workload->snapshot) w->workload->snapshot(w, item->db, e);
}

/** Whether two databases hold the same. */
static bool is_same(const struct content *a, const struct content *b, uint32_t db) {
    return a->keys[db] == b->keys[db] && a->digest[db].low == b->digest[db].low &&
           a->digest[db].high == b->digest[db].high;
}

static void on_done(void *context, int error, const char *why) {
    struct world *w = context;
    struct sim_snapshots *s = w->snapshots;
    s->running = false;
    if (error != 0) {
        buf_free(&s->decode.file);
        if (why || !s->aborted || (error != -EINTR && error != -ECANCELED))
            sim_fail(w, "a snapshot ended with %d: %s", error, why ? why : "");
        return;
    }
    const char *wrong = decode_end(&s->decode, w, on_found);
    if (wrong) {
        sim_fail(w, "the file of a snapshot is wrong: %s", wrong);
        return;
    }
    if (w->workload->snapshot) w->workload->snapshot(w, 0, NULL);
    for (uint32_t db = 0; db < DBS; db++)
        if (!is_same(&s->decoded, &s->instant, db))
            sim_fail(w, "a snapshot has %llu keys in database %u: not the %llu of its instant",
                     (unsigned long long)s->decoded.keys[db], db,
                     (unsigned long long)s->instant.keys[db]);
}

static void begin(struct world *w) {
    struct sim_snapshots *s = w->snapshots;
    struct shard *home = w->shards[sim_below(w, w->nshards)];
    const struct snapshot_plan plan = {
        .options = {.save = {.version = 11, .compress = sim_below(w, 2)},
                    .access = (enum snapshot_access)sim_below(w, 3),
                    .lfu_decay_time = 1,
                    .context = w,
                    .chunk = on_chunk},
        .step_ns = s->step_ns,
        .context = w,
        .instant = on_instant,
        .pending = pending,
        .done = on_done};
    decode_begin(&s->decode, 12);
    s->running = true;
    s->aborted = false;
    visit_return(home);
    int error = snapshot_walk_start(home, &plan);
    if (error != 0) sim_fail(w, "a snapshot could not be begun: %d", error);
    w->ios[home->id]->woken = true; // as if it had been asked in a pass
}

void sim_snapshots_choose(struct world *w) {
    bool about = w->workload == &workload_snapshot;
    if (!about && sim_below(w, 3)) return;
    w->snapshots = mem_calloc(sizeof *w->snapshots);
    w->snapshots->chance = 1 + sim_below(w, sim_below(w, 2) ? 4096 : 100);
    w->snapshots->step_ns = 10 + sim_below(w, sim_below(w, 2) ? 100 : 3000);
}

void sim_snapshots_free(struct world *w) {
    mem_free(w->snapshots);
    w->snapshots = NULL;
}

void sim_snapshots_step(struct world *w) {
    struct sim_snapshots *s = w->snapshots;
    if (s->full ? sim_below(w, 50) == 0 : sim_below(w, 500) == 0) s->full = !s->full;
    if (!s->running && !s->calm && sim_below(w, 4096) < s->chance) {
        begin(w);
    } else if (s->running && sim_below(w, 3000) == 0) {
        s->aborted = true;
        snapshot_walk_abort(w->fleet, -EINTR);
    }
}

void sim_snapshots_calm_down(struct world *w) {
    w->snapshots->calm = true;
    w->snapshots->full = false;
}

void sim_snapshots_begin_last(struct world *w) {
    begin(w);
    w->snapshots->aborted = true; // by the end
}

void sim_snapshots_check(struct world *w) {
    struct snapshot_progress progress;
    if (w->snapshots->running || snapshot_walk_progress(w->fleet, &progress))
        sim_fail(w, "all is quiet, and a snapshot is under way");
}
