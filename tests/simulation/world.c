// SPDX-License-Identifier: BSD-3-Clause
//
// One simulated run: makes the fleet, decides what happens next until all clients have finished,
// and checks what must hold after every pass and at the end. Runs on one thread. Invariant: every
// choice comes from the world's random stream, so the seed is the run. Called by main.c.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/alloc.h"
#include "engine/base/log.h"
#include "engine/base/hash.h"
#include "engine/base/num.h"
#include "shards/connection.h"
#include "shards/pubsub.h"
#include "shards/request.h"
#include "shards/transaction.h"
#include "shards/visit.h"
#include "shards/watch.h"
#include "tests/simulation/sim.h"

#define EVENTS_MAX    64
#define STALL_NS      INT64_C(5000000000)
#define WALL_START_US INT64_C(1700000000000000)

static const struct workload *const workloads[] = {
    &workload_transfers, &workload_groups,   &workload_tokens, &workload_order,
    &workload_registers, &workload_memory,   &workload_chaos,  &workload_queues,
    &workload_messages,  &workload_snapshot, &workload_caching};
#define WORKLOADS (sizeof workloads / sizeof workloads[0])

// What is being run now: for the handler of fatal signals, which has no other way to know.
static struct world *current;

void sim_describe_current(char *out, size_t size) {
    if (!current) {
        out[0] = '\0';
        return;
    }
    snprintf(out, size, "seed %llu, workload %s, %u shards, step %llu",
             (unsigned long long)current->options.seed, current->workload->name, current->nshards,
             (unsigned long long)current->step);
}

const struct workload *workload_named(const char *name) {
    for (size_t i = 0; i < WORKLOADS; i++)
        if (strcmp(workloads[i]->name, name) == 0) return workloads[i];
    return NULL;
}

void sim_fail(struct world *w, const char *format, ...) {
    if (w->failed) return;
    w->failed = true;
    int n = snprintf(
        w->failure, sizeof w->failure,
        "seed %llu, workload %s, %u shards, step %llu: ", (unsigned long long)w->options.seed,
        w->workload->name, w->nshards, (unsigned long long)w->step);
    va_list args;
    va_start(args, format);
    vsnprintf(w->failure + n, sizeof w->failure - (size_t)n, format, args);
    va_end(args);
    if (w->options.quiet) return;
    printf("FAILED %s\n  repeat: torc-sim --seed %llu --workload %s --verbose", w->failure,
           (unsigned long long)w->options.seed, w->workload->name);
    if (w->options.shards) printf(" --shards %u", w->options.shards);
    putchar('\n');
    if (w->options.verbose) history_print(w, NULL, 400);
    fflush(stdout);
}

const char *sim_key(struct world *w, const char *prefix, int number, uint32_t shard) {
    char text[64];
    for (uint32_t i = 0;; i++) {
        int n = snprintf(text, sizeof text, "%s%d.%u", prefix, number, i);
        if (hash_slot_shard(hash_slot(slice_of(text, (size_t)n)), w->nshards) == shard % w->nshards)
            return arena_copy(&w->arena, text, (size_t)n);
    }
}

const char *sim_peek(struct world *w, uint32_t db, const char *text) {
    uint32_t shard = hash_slot_shard(hash_slot(slice_text(text)), w->nshards);
    struct keyspace *ks = w->shards[shard]->keyspace;
    const struct entry *e = db_find(&ks->dbs[db], key_of(ks, slice_text(text))).entry;
    if (!e) return NULL;
    char digits[NUM_I64_TEXT_MAX];
    struct slice value = entry_string(e, digits);
    return arena_copy(&w->arena, value.p, value.n);
}

// ---- making and ending -------------------------------------------------------------------------

/** Rings of the size that this run is about: tiny ones are full all the time. */
static void choose_rings(struct world *w) {
    static const size_t capacities[] = {1, 2, 4, 8, 64, 1024};
    for (uint32_t i = 0; i < w->nshards * w->nshards; i++) {
        mailbox_fini(&w->fleet->mailboxes[i]);
        mailbox_init(&w->fleet->mailboxes[i], capacities[sim_below(w, 6)]);
    }
}

static void world_init(struct world *w, const struct sim_options *options) {
    memset(w, 0, sizeof *w);
    w->options = *options;
    random_init(&w->random, options->seed);
    uint32_t pick = sim_below(w, WORKLOADS), shards = 1 + sim_below(w, SIM_SHARDS_MAX);
    if (shards == 1 && sim_below(w, 2)) shards = 4; // one shard has little that could go wrong
    w->workload = options->workload ? workload_named(options->workload) : workloads[pick];
    w->nshards = options->shards ? options->shards : shards;
    w->event_chance = 4 + sim_below(w, 13);
    w->piece_max = 1 + sim_below(w, sim_below(w, 2) ? 16 : 200);
    w->away_chance = sim_below(w, 17);
    w->client_chance = 1 + sim_below(w, 8);
    w->scale = sim_below(w, 4) ? 1 : 1 + sim_below(w, 8);
    for (uint32_t i = 0; i < w->nshards; i++)
        w->weight[i] = 1 + sim_below(w, sim_below(w, 3) ? 4 : 32);
    w->skew_ns = sim_below(w, 2) ? 1 : 1 + sim_below(w, 1000000);
    w->config = config_new();
    w->config->databases = 4;
    w->config->protected_mode = false;
    w->config->loglevel = LOG_NOTHING; // CONFIG SET sets it anew, whatever it sets
    if (options->sabotage & SABOTAGE_RELAXED) w->config->pipeline_order = CONFIG_ORDER_RELAXED;
    char run_id[41] = {0};
    w->fleet = fleet_new(w->nshards, random_next(&w->random), run_id, WALL_START_US);
    choose_rings(w);
    if (sim_below(w, 2)) w->fleet->news_room = 1 + sim_below(w, 8);
    if (sim_below(w, 2)) w->fleet->paced_from = 1;
    for (uint32_t i = 0; i < w->nshards; i++) {
        w->ios[i] = sim_io_new(w, i);
        w->shards[i] = shard_new(w->fleet, i, &w->ios[i]->io, w->config, random_next(&w->random));
    }
    w->now_ns = 1000000000;
    w->progress_ns = w->now_ns;
    w->start_us = WALL_START_US;
    sim_snapshots_choose(w);
    w->workload->setup(w);
}

static void world_free(struct world *w) {
    for (uint32_t i = 0; i < w->nshards; i++) {
        shard_free(w->shards[i]);
        io_destroy(&w->ios[i]->io);
    }
    fleet_free(w->fleet);
    sim_snapshots_free(w);
    config_release(w->config);
    for (uint32_t i = 0; i < w->link_count; i++) buf_free(&w->links[i].to_server);
    for (uint32_t i = 0; i < w->client_count; i++) buf_free(&w->clients[i].inbox);
    arena_free(&w->arena);
    mem_free(w->ops);
    mem_free(w->data);
}

// ---- a shard's pass ----------------------------------------------------------------------------

static void check_after_pass(struct world *w, struct shard *s) {
    if (!intents_is_valid(&s->intents)) sim_fail(w, "the intents of shard %u are not valid", s->id);
    if (!pubsub_table_is_valid(&s->pubsub->table) ||
        !pubsub_registry_is_valid(&s->pubsub->registry))
        sim_fail(w, "the subscriptions of shard %u are not valid", s->id);
    if (!timers_is_valid(&s->timers)) sim_fail(w, "the timers of shard %u are not valid", s->id);
    // Nobody may sleep on something to do: all senders have finished their passes.
    for (uint32_t to = 0; to < w->nshards && !w->failed; to++) {
        if (!w->sleeping[to] || w->ios[to]->woken) continue;
        for (uint32_t from = 0; from < w->nshards; from++)
            if (!mailbox_is_empty(&w->fleet->mailboxes[from * w->nshards + to]))
                sim_fail(w, "lost wake-up: shard %u sleeps, and has messages of shard %u", to,
                         from);
        if (pubsub_has_news(w->shards[to]))
            sim_fail(w, "lost wake-up: shard %u sleeps, and has news", to);
        if (w->shards[to]->held_first && request_held_is_due(w->shards[to]))
            sim_fail(w, "lost wake-up: shard %u sleeps, and holds a request that is due", to);
    }
}

/** The ticket for which a shard's keyspace is lent to another shard; 0: it is not. */
static uint64_t lent_ticket(const struct world *w, const struct shard *s) {
    return s->intents.lent && w->lent_to[s->id] != s->id ? s->intents.first->ticket : 0;
}

/** Keeps who has got the keyspace: known for certain only right after the pass that lent it. */
static void note_lending(struct world *w, const struct shard *s) {
    const struct part *part = s->intents.first;
    if (!s->intents.lent || part->ticket == w->lent_for[s->id]) return;
    w->lent_for[s->id] = part->ticket;
    w->lent_to[s->id] = transaction_shard(part->transaction)->id;
}

/** A pass of a shard, which must leave its keyspace alone if that is lent all through it. */
static void pass(struct world *w, struct shard *s, struct io_event *events, int count) {
    uint64_t before = lent_ticket(w, s);
    struct keyspace_stats stats = s->keyspace->stats;
    // The clock was read a moment ago: another shard may have read it since.
    int64_t now_ns = w->now_ns - sim_below(w, w->skew_ns);
    if (now_ns < s->now_ns) now_ns = s->now_ns;
    shard_pass(s, events, count, w->start_us + now_ns / 1000, now_ns);
    w->passes++;
    note_lending(w, s);
    if (before && lent_ticket(w, s) == before &&
        memcmp(&stats, &s->keyspace->stats, sizeof stats) != 0)
        sim_fail(w, "shard %u touched its keyspace while that was lent", s->id);
}

/** One round of what loop.c does: the wait is over, the pass, the decision to wait. */
static void run_shard(struct world *w, uint32_t i) {
    struct shard *s = w->shards[i];
    struct io_event events[EVENTS_MAX];
    int count = sim_io_gather(w, i, events, EVENTS_MAX - 1);
    if (w->failed) return;
    if (w->sleeping[i]) {
        bool over = count > 0 || w->ios[i]->woken || w->now_ns >= w->deadline_ns[i];
        if (!over) return;
        w->sleeping[i] = false;
        shard_sleep_end(s);
    }
    if (w->ios[i]->woken) {
        w->ios[i]->woken = false;
        events[count++] = (struct io_event){.kind = IO_WAKE};
    }
    pass(w, s, events, count);
    check_after_pass(w, s);
    int64_t sleep_ns = shard_sleep_ns(s);
    if (sleep_ns > 0 && shard_sleep_begin(s)) {
        w->sleeping[i] = true;
        w->deadline_ns[i] = s->now_ns + sleep_ns;
    }
    // Others find it in the kernel, or still in its pass.
    if (sim_below(w, 16) >= w->away_chance) visit_return(s);
}

static bool is_runnable(const struct world *w, uint32_t i) {
    return !w->sleeping[i] || w->ios[i]->woken || w->now_ns >= w->deadline_ns[i] ||
           sim_io_is_ready(w, i);
}

/** A runnable shard, by weight; -1: none. */
static int pick_shard(struct world *w) {
    uint32_t total = 0, weights[SIM_SHARDS_MAX];
    for (uint32_t i = 0; i < w->nshards; i++) {
        weights[i] = is_runnable(w, i) ? w->weight[i] : 0;
        total += weights[i];
    }
    if (total == 0) return -1;
    uint32_t at = sim_below(w, total);
    for (uint32_t i = 0;; i++) {
        if (at < weights[i]) return (int)i;
        at -= weights[i];
    }
}

// ---- clients -----------------------------------------------------------------------------------

static bool may_act(const struct world *w, const struct client *c) {
    return !c->finished && c->outstanding < c->depth && w->setup_left == 0;
}

/** Lets a client do something. False: none can. */
static bool step_client(struct world *w) {
    uint32_t first = sim_below(w, w->client_count);
    for (uint32_t i = 0; i < w->client_count; i++) {
        struct client *c = &w->clients[(first + i) % w->client_count];
        if (!may_act(w, c)) continue;
        if (w->vanish_chance && w->link_count < SIM_LINKS_MAX - 1 &&
            sim_below(w, 4096) < w->vanish_chance) {
            client_vanish(c, sim_below(w, 2));
            return true;
        }
        w->workload->next(c);
        return true;
    }
    // All wait: now and then one of those does not want to any more.
    if (w->vanish_chance && w->setup_left == 0 && w->link_count < SIM_LINKS_MAX - 1 &&
        sim_below(w, 8192) < w->vanish_chance) {
        struct client *c = &w->clients[first];
        if (!c->finished) client_vanish(c, sim_below(w, 2));
    }
    return false;
}

static bool clients_are_done(const struct world *w) {
    for (uint32_t i = 0; i < w->client_count; i++)
        if (!w->clients[i].finished || w->clients[i].outstanding > 0) return false;
    return true;
}

// ---- the scheduler -----------------------------------------------------------------------------

static void advance_to_deadline(struct world *w) {
    int64_t until_ns = INT64_MAX;
    for (uint32_t i = 0; i < w->nshards; i++)
        if (w->sleeping[i] && w->deadline_ns[i] < until_ns) until_ns = w->deadline_ns[i];
    if (until_ns > w->now_ns && until_ns != INT64_MAX) w->now_ns = until_ns;
}

static void report_stall(struct world *w) {
    char text[600];
    int n = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < w->client_count && n < 400; i++) {
        const struct client *c = &w->clients[i];
        if (!c->outstanding) continue;
        n += snprintf(text + n, sizeof text - (size_t)n, " [client %u waits for %s %s]", c->id,
                      c->first->block ? "the block" : "", c->first->lines[0].argv[0]);
    }
    for (uint32_t i = 0; i < w->nshards && n < 560; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, " s%u:parts=%u,lent=%d,held=%d,full=%d", i,
                      w->shards[i]->intents.parts, w->shards[i]->intents.lent,
                      w->shards[i]->held_first != NULL, w->shards[i]->gates & GATE_OUTBOX);
    sim_fail(w, "stall:%s", text);
}

/** One scheduler step. */
static void step(struct world *w) {
    w->step++;
    w->now_ns += 1 + sim_below(w, sim_below(w, 256) ? 20000 : 5000000);
    if (w->snapshots) sim_snapshots_step(w);
    if (sim_chance(w, w->client_chance) && step_client(w)) return;
    int shard = pick_shard(w);
    if (shard >= 0)
        run_shard(w, (uint32_t)shard);
    else if (!step_client(w))
        advance_to_deadline(w);
    if (w->now_ns - w->progress_ns > STALL_NS)
        report_stall(w);
    else if (w->step > w->options.steps)
        sim_fail(w, "the limit of steps is reached");
}

static void check_quiet(struct world *w) {
    for (uint32_t i = 0; i < w->nshards; i++) {
        struct shard *s = w->shards[i];
        const struct intents *in = &s->intents;
        if (in->parts || in->wholes || in->lent || in->lock_count || in->lent_first ||
            in->ready_first || in->granted_first)
            sim_fail(w, "shard %u is idle and has %u parts, %u locks, lent %d", i, in->parts,
                     in->lock_count, in->lent);
        if (s->held_first) sim_fail(w, "shard %u is idle and holds requests", i);
        if (s->dirty || s->resumable) sim_fail(w, "shard %u is idle and has connections to see", i);
        if (s->connection_count) sim_fail(w, "shard %u is idle and has connections", i);
        if (atomic_load(&w->fleet->faces[i].connections))
            sim_fail(w, "shard %u counts connections that are gone", i);
        for (uint32_t to = 0; to < w->nshards; to++)
            if (s->outboxes[to].len || !mailbox_is_empty(&w->fleet->mailboxes[i * w->nshards + to]))
                sim_fail(w, "shard %u is idle and has messages for shard %u", i, to);
        if (!keyspace_is_valid(s->keyspace))
            sim_fail(w, "the keyspace of shard %u is not valid", i);
        const struct pubsub_registry *registry = &s->pubsub->registry;
        if (!pubsub_is_idle(s) || s->pubsub->table.subscriptions.count > 0 ||
            registry->channels.count > 0 || registry->shard_channels.count > 0 ||
            pubsub_patterns_count(&registry->patterns) > 0)
            sim_fail(w, "shard %u is idle and has subscriptions", i);
    }
}

static bool links_are_gone(const struct world *w) {
    for (uint32_t i = 0; i < w->link_count; i++)
        if (w->links[i].used) return false;
    return true;
}

/** The shards are told to stop, perhaps in the middle of a snapshot. */
static void stop(struct world *w) {
    uint32_t passes = 1;
    if (w->snapshots && !w->failed && sim_chance(w, 8)) {
        sim_snapshots_begin_last(w);
        passes = 20;
        for (uint32_t n = sim_below(w, 30); n > 0; n--) run_shard(w, sim_below(w, w->nshards));
    }
    fleet_stop(w->fleet);
    for (uint32_t n = 0; n < passes; n++)
        for (uint32_t i = 0; i < w->nshards && !w->failed; i++)
            shard_pass(w->shards[i], NULL, 0, w->start_us + w->now_ns / 1000, w->now_ns);
    for (uint32_t i = 0; i < w->nshards && !w->failed; i++)
        if (!shard_is_finished(w->shards[i])) sim_fail(w, "shard %u does not finish", i);
}

/** When the clients have finished: connections go, shards fall asleep, nothing may be left. */
static void wind_down(struct world *w) {
    for (uint32_t i = 0; i < w->client_count; i++) client_close(&w->clients[i]);
    if (w->snapshots) sim_snapshots_calm_down(w);
    w->progress_ns = w->now_ns;
    while (!w->failed && !links_are_gone(w)) {
        w->step++;
        w->now_ns += 1000;
        int shard = pick_shard(w);
        if (shard >= 0)
            run_shard(w, (uint32_t)shard);
        else
            advance_to_deadline(w);
        if (w->now_ns - w->progress_ns > STALL_NS) sim_fail(w, "connections do not go away");
    }
    int64_t until_ns = w->now_ns + INT64_C(300000000);
    while (!w->failed && w->now_ns < until_ns) {
        w->step++;
        int shard = pick_shard(w);
        if (shard < 0)
            advance_to_deadline(w);
        else
            run_shard(w, (uint32_t)shard);
        w->now_ns += 10000;
    }
    if (!w->failed) check_quiet(w);
    if (w->snapshots && !w->failed) sim_snapshots_check(w);
}

bool world_run(const struct sim_options *options, char failure[1024], uint64_t *steps) {
    struct world *w = mem_alloc(sizeof *w);
    current = w;
    world_init(w, options);
    while (!w->failed && !clients_are_done(w)) step(w);
    if (!w->failed) wind_down(w);
    if (!w->failed) w->workload->check(w);
    if (!w->failed) stop(w);
    if (steps) *steps += w->step;
    bool good = !w->failed;
    if (failure) memcpy(failure, w->failure, sizeof w->failure);
    current = NULL;
    // What a failed run leaves behind cannot be taken down in order: it stays.
    if (good) {
        world_free(w);
        mem_free(w);
    }
    return good;
}
