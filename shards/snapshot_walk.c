// SPDX-License-Identifier: BSD-3-Clause
//
// The walk of a snapshot over all shards: start, instant, each shard's share with its pace, and the
// keys for which the walk asks for intents. The fleet's part belongs to the home shard but for its
// atomic members; a share belongs to its shard from the return of the keyspace on. Invariants: a
// claim is a registered part without a transaction; a wanted one (for reading) keeps writers away
// from a large value until it is written, the other kind (for writing) waits until those who were
// reading an entry have given it back. Called by the pass of shard.c, and by who meets such keys.
#include "shards/snapshot_walk.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/log.h"
#include "engine/commands/command.h"
#include "shards/shard.h"
#include "shards/transaction.h"

#define PENDING_MAX  ((size_t)16 * 1024 * 1024) // bytes on their way out at which walks pause
#define STEP_NS      50000                      // of a pass that has nothing else to do, about
#define STEP_PARTS   12                         // what is less than this part of it is saved up
#define URGENT_STEPS 3                          // so much more when somebody waits for it
#define BUSY_PART    5       // of the time: what the walk takes when there are other things to do
#define PAUSE_NS     1000000 // how often is looked whether the file has got on
#define STEP_UNIT_NS 10      // what a step of snapshot_step() takes by its own estimate
#define RATE_ONE     256     // fixed point of what it takes really
#define RATE_MIN     64
#define RATE_MAX     2048

/** What a shard shows of its share: a cache line of its own. */
struct share_face {
    _Alignas(64) _Atomic uint64_t keys;
    _Atomic uint64_t written, bytes;
};

struct snapshot_walk {
    _Atomic bool running;
    _Atomic int abort; // the reason to give up; 0: none
    struct snapshot_plan plan;
    _Atomic(struct shard *) home;
    uint32_t left; // shares that are not back yet
    int error;
    const char *why;
    uint32_t nshards;
    struct share_face *faces; // [shard]
};

/** A key that the walk has asked for. */
struct claim {
    struct claim *next;
    uint32_t db;       // the number of its database at the instant
    bool passed;       // the walk has gone past the entry: it is written by this or not at all
    struct part *part; // with one key
};

struct snapshot_share {
    struct snapshot snapshot; // first member: what the keyspace knows of
    struct snapshot_walk *walk;
    struct claim *claims;
    bool waits;       // the latest step has left nothing to do but what others must do first
    bool paused;      // the file has much to write
    int64_t last_ns;  // the pass that stepped last ...
    int64_t saved_ns; // ... and the time that the walk may take since
    uint32_t rate;    // real time of a step by its estimated one, times RATE_ONE
};

// ---- the fleet's part --------------------------------------------------------------------------

struct snapshot_walk *snapshot_walk_new(uint32_t nshards) {
    struct snapshot_walk *walk = mem_calloc(sizeof *walk);
    walk->nshards = nshards;
    walk->faces = mem_alloc_aligned(nshards * sizeof *walk->faces, 64);
    memset(walk->faces, 0, nshards * sizeof *walk->faces);
    return walk;
}

void snapshot_walk_free(struct snapshot_walk *walk) {
    mem_free(walk->faces);
    mem_free(walk);
}

static void show(struct share_face *face, uint64_t keys, uint64_t written, uint64_t bytes) {
    atomic_store_explicit(&face->keys, keys, memory_order_relaxed);
    atomic_store_explicit(&face->written, written, memory_order_relaxed);
    atomic_store_explicit(&face->bytes, bytes, memory_order_relaxed);
}

bool snapshot_walk_progress(struct fleet *fleet, struct snapshot_progress *out) {
    struct snapshot_walk *walk = fleet->snapshot;
    *out = (struct snapshot_progress){0};
    for (uint32_t i = 0; i < walk->nshards; i++) {
        struct share_face *face = &walk->faces[i];
        out->keys += atomic_load_explicit(&face->keys, memory_order_relaxed);
        out->written += atomic_load_explicit(&face->written, memory_order_relaxed);
        out->bytes += atomic_load_explicit(&face->bytes, memory_order_relaxed);
    }
    return atomic_load(&walk->running);
}

void snapshot_walk_abort(struct fleet *fleet, int error) {
    ASSERT(error < 0);
    struct snapshot_walk *walk = fleet->snapshot;
    int none = 0;
    if (atomic_load(&walk->running)) atomic_compare_exchange_strong(&walk->abort, &none, error);
}

static void finish(struct snapshot_walk *walk) {
    int error = walk->error != 0 ? walk->error : atomic_load(&walk->abort);
    struct snapshot_plan plan = walk->plan;
    const char *why = walk->why;
    walk->home = NULL;
    atomic_store(&walk->running, false);
    plan.done(plan.context, error, why);
}

/** The instant: home has all keyspaces in its hands. */
static void begin_shares(struct transaction *t, void *context) {
    struct snapshot_walk *walk = context;
    struct shard *s = walk->home;
    const struct view *view = transaction_view(t);
    struct keyspace *const *keyspaces = view->only ? &view->only : view->by_shard;
    struct snapshot_plan *plan = &walk->plan;
    if (s->stopping) snapshot_walk_abort(s->fleet, -ECANCELED);
    bool aborted = atomic_load(&walk->abort) != 0;
    if (!aborted && plan->instant)
        plan->instant(plan->context, keyspaces, walk->nshards, &plan->options.save);
    walk->left = aborted ? 0 : walk->nshards;
    for (uint32_t i = 0; i < walk->left; i++) {
        struct snapshot_share *share = mem_calloc(sizeof *share);
        snapshot_begin(&share->snapshot, keyspaces[i], &plan->options, transaction_now_ms(t));
        share->walk = walk;
        share->rate = RATE_ONE;
        show(&walk->faces[i], share->snapshot.keys, 0, 0);
    }
    transaction_end(t);
    if (aborted) finish(walk);
}

int snapshot_walk_start(struct shard *s, const struct snapshot_plan *plan) {
    ASSERT_SHARD(s);
    struct snapshot_walk *walk = s->fleet->snapshot;
    bool idle = false;
    if (s->stopping) return -ECANCELED;
    if (!atomic_compare_exchange_strong(&walk->running, &idle, true)) return -EBUSY;
    atomic_store(&walk->abort, 0);
    walk->plan = *plan;
    walk->home = s;
    walk->error = 0;
    walk->why = NULL;
    for (uint32_t i = 0; i < walk->nshards; i++) show(&walk->faces[i], 0, 0, 0);
    struct transaction *t = transaction_new_own(s, false, 0, begin_shares, walk);
    transaction_add_whole(t, UINT32_MAX);
    // Not at once: a block of commands may be under way that has asked for this.
    transaction_begin(t);
    return 0;
}

void snapshot_walk_returned(struct shard *s, struct snapshot_share *share) {
    struct snapshot_walk *walk = share->walk;
    ASSERT(walk->home == s && walk->left > 0);
    const struct snapshot *snapshot = &share->snapshot;
    if (snapshot->obstacle != NULL) {
        walk->error = -ENOTSUP;
        walk->why = snapshot->obstacle;
    } else if (walk->error == 0 && atomic_load(&walk->abort) == 0 &&
               snapshot->written != snapshot->keys) {
        log_line(LOG_WARN, "A snapshot has lost keys: %llu of %llu have been written",
                 (unsigned long long)snapshot->written, (unsigned long long)snapshot->keys);
        walk->error = -EIO;
    }
    mem_free(share);
    if (--walk->left == 0) finish(walk);
}

// ---- claims ------------------------------------------------------------------------------------

/** The claim of a key in the database that had this number at the instant; NULL: none. */
static struct claim *find_claim(const struct snapshot_share *share, uint32_t db, uint64_t hash) {
    struct claim *c = share->claims;
    while (c && (c->db != db || c->part->keys[0].key.hash != hash)) c = c->next;
    return c;
}

/**
 * Asks for a key. Its ticket is the highest that anybody here has, so it is never too late; what is
 * granted at once counts as lent at once.
 */
static void claim(struct shard *s, uint32_t db, struct key key, bool write) {
    struct snapshot_share *share = s->share;
    size_t size = sizeof(struct part) + sizeof(struct part_key) + key.text.n;
    struct part *part = memset(mem_alloc(size), 0, size);
    char *text = (char *)&part->keys[1];
    if (key.text.n > 0) memcpy(text, key.text.p, key.text.n);
    part->keys[0].key = (struct key){slice_of(text, key.text.n), key.hash};
    part->key_count = 1;
    part->shard = s->id;
    part->write = write;
    part->ticket = atomic_fetch_add_explicit(&s->fleet->ticket, 1, memory_order_relaxed) + 1;
    struct claim *c = mem_alloc(sizeof *c);
    *c = (struct claim){.next = share->claims, .db = db, .part = part};
    share->claims = c;
    bool registered = intents_register(&s->intents, part);
    ASSERT(registered);
    if (part->state == PART_GRANTED) part->announced = true;
}

static void release(struct shard *s, struct claim *c) {
    struct claim **at = &s->share->claims;
    while (*at != c) at = &(*at)->next;
    *at = c->next;
    intents_release(&s->intents, c->part);
    mem_free(c->part);
    mem_free(c);
}

/** The entry that a claim is about, if it has still to be written. */
static struct entry *claimed_entry(const struct shard *s, const struct claim *c) {
    const struct db *db = keyspace_saving_db(s->keyspace, c->db);
    struct entry *e = db != NULL ? db_find(db, c->part->keys[0].key).entry : NULL;
    return e != NULL && keyspace_is_unsaved(s->keyspace, e) ? e : NULL;
}

/** Whether a claim stands in the way of a transaction over the whole shard, and of no one else. */
static bool gives_way(const struct shard *s, const struct claim *c) {
    const struct intent *i = &c->part->keys[0].intent;
    return s->intents.wholes > 0 && !c->passed && !c->part->write && !i->previous && !i->next;
}

static void serve_claims(struct shard *s) {
    struct snapshot *snapshot = &s->share->snapshot;
    struct claim *next;
    for (struct claim *c = s->share->claims; c; c = next) {
        next = c->next;
        if (c->part->state != PART_GRANTED) continue;
        struct entry *e = claimed_entry(s, c);
        bool shared = intents_is_shared(&s->intents, c->part->keys[0].key.hash);
        if (e && !shared && !gives_way(s, c)) snapshot_write(snapshot, c->db, e);
        if (!e || !keyspace_is_unsaved(s->keyspace, e) || gives_way(s, c)) release(s, c);
    }
}

/** The snapshot asks: a transaction may be reading the entry, on another thread. */
static bool is_busy(void *context, uint32_t db, struct entry *e) {
    struct shard *s = context;
    if (likely(s->intents.parts == 0)) return false;
    struct key key = key_of(s->keyspace, entry_key(e));
    if (!intents_is_shared(&s->intents, key.hash)) return false;
    struct claim *c = find_claim(s->share, db, key.hash);
    // One that is there already leads to the entry in the end, whichever kind it is.
    if (c)
        c->passed = true;
    else
        claim(s, db, key, true);
    return true;
}

void snapshot_walk_claim(struct shard *s, uint32_t db, struct key key) {
    const struct db *in = &s->keyspace->dbs[db];
    struct entry *e = db_find(in, key).entry;
    if (!e || !snapshot_is_due(&s->share->snapshot, e)) return;
    if (find_claim(s->share, in->saving.index, key.hash)) return;
    claim(s, in->saving.index, key, false);
    s->share->waits = false;
}

bool snapshot_walk_keeps(const struct shard *at, uint32_t db, struct key key) {
    const struct entry *e = db_find(&at->keyspace->dbs[db], key).entry;
    return e && snapshot_is_due(&at->share->snapshot, e);
}

static bool meets(struct shard *at, uint32_t db, struct key key, bool claim_it) {
    bool met = snapshot_walk_keeps(at, db, key);
    if (met && claim_it) snapshot_walk_claim(at, db, key);
    return met;
}

bool snapshot_walk_meets(struct shard *at, uint32_t db, const struct command *spec, int argc,
                         const struct slice *argv, int hashed_arg, uint64_t hash, bool claim_it) {
    if (spec->where != WHERE_KEYS) return false;
    if (hashed_arg > 0 && spec->key_spec_count == 1 && spec->first_key == spec->last_key)
        return meets(at, db, (struct key){argv[hashed_arg], hash}, claim_it);
    struct key_list keys;
    key_list_init(&keys, spec, argc, argv);
    bool met = false;
    for (int i = 0; i < keys.count; i++)
        met |= meets(at, db, key_of(at->keyspace, argv[keys.at[i].arg]), claim_it);
    key_list_fini(&keys);
    return met;
}

// ---- a share -----------------------------------------------------------------------------------

void snapshot_walk_adopt(struct shard *s) {
    if (s->share || !s->keyspace->saving) return;
    s->share = s->keyspace->saver.context;
    s->share->last_ns = s->now_ns;
    s->share->snapshot.busy = is_busy;
    s->share->snapshot.busy_context = s;
}

static void end_share(struct shard *s) {
    struct snapshot_share *share = s->share;
    struct snapshot_walk *walk = share->walk;
    s->share = NULL;
    if (walk->home == s)
        snapshot_walk_returned(s, share);
    else
        shard_send(s, walk->home->id, MESSAGE_SNAPSHOT, share);
}

/** Gives up at once: nobody is going to begin another one. */
static void abandon(struct shard *s) {
    snapshot_walk_abort(s->fleet, -ECANCELED);
    while (s->share->claims) release(s, s->share->claims);
    snapshot_abandon(&s->share->snapshot);
    end_share(s);
}

/** Whether somebody waits for a value that is being written. */
static bool is_urgent(const struct snapshot_share *share) {
    for (const struct claim *c = share->claims; c; c = c->next)
        if (!c->part->write && c->part->keys[0].intent.next) return true;
    return false;
}

static bool has_much_pending(const struct snapshot_share *share) {
    const struct snapshot_plan *plan = &share->walk->plan;
    return plan->pending && plan->pending(plan->context) >= PENDING_MAX;
}

/** How long the pass's step may be, in ns; 0: it is the turn of others. */
static int64_t step_ns(struct shard *s, bool busy, bool urgent) {
    struct snapshot_share *share = s->share;
    int64_t since_ns = s->now_ns - share->last_ns;
    int64_t max_ns = share->walk->plan.step_ns > 0 ? share->walk->plan.step_ns : STEP_NS;
    share->last_ns = s->now_ns;
    if (urgent) return max_ns * URGENT_STEPS;
    if (!busy) return max_ns;
    share->saved_ns += since_ns / BUSY_PART;
    if (share->saved_ns < max_ns / STEP_PARTS) return 0;
    int64_t ns = share->saved_ns < max_ns ? share->saved_ns : max_ns;
    share->saved_ns = 0;
    return ns;
}

/** One step of the snapshot; learns how long a step really is. True: there is more to do. */
static bool step(struct shard *s, int64_t ns) {
    struct snapshot_share *share = s->share;
    int64_t (*clock_ns)(void) = s->fleet->clock_ns;
    uint32_t units = (uint32_t)(ns * RATE_ONE / share->rate / STEP_UNIT_NS) + 1, left = units;
    int64_t start_ns = clock_ns ? clock_ns() : 0;
    bool more = snapshot_step(&share->snapshot, s->now_ms, &left);
    uint32_t spent = units - left;
    if (clock_ns && spent > 100) {
        int64_t rate = (clock_ns() - start_ns) * RATE_ONE / ((int64_t)spent * STEP_UNIT_NS);
        rate = rate < RATE_MIN ? RATE_MIN : rate > RATE_MAX ? RATE_MAX : rate;
        share->rate = (uint32_t)((7 * (int64_t)share->rate + rate) / 8);
    }
    return more;
}

void snapshot_walk_step(struct shard *s, bool busy) {
    struct snapshot_share *share = s->share;
    struct snapshot *snapshot = &share->snapshot;
    if (s->intents.lent) return;
    if (s->stopping) {
        abandon(s);
        return;
    }
    if (snapshot->obstacle != NULL) snapshot_walk_abort(s->fleet, -ENOTSUP);
    if (atomic_load_explicit(&share->walk->abort, memory_order_relaxed) != 0 &&
        !snapshot->discarding)
        snapshot_discard(snapshot);
    if (share->claims) serve_claims(s);
    bool urgent = share->claims && is_urgent(share);
    share->paused = !urgent && !snapshot->discarding && has_much_pending(share);
    int64_t ns = share->paused ? 0 : step_ns(s, busy, urgent);
    if (ns == 0) return;
    bool more = step(s, ns);
    if (share->claims) serve_claims(s);
    show(&share->walk->faces[s->id], snapshot->keys, snapshot->written, snapshot->bytes);
    share->waits = !more;
    if (more || share->claims || !snapshot_is_complete(snapshot)) return;
    snapshot_end(snapshot);
    show(&share->walk->faces[s->id], snapshot->keys, snapshot->written, snapshot->bytes);
    end_share(s);
}

int64_t snapshot_walk_sleep_ns(const struct shard *s) {
    const struct snapshot_share *share = s->share;
    return share->waits || share->paused || s->intents.lent ? PAUSE_NS : 0;
}

bool snapshot_walk_is_paused(const struct shard *s) { return s->share && s->share->paused; }

bool snapshot_walk_holds(const struct shard *s) {
    const struct snapshot_walk *walk = s->fleet->snapshot;
    return s->share || (atomic_load(&walk->running) && walk->home == s);
}
