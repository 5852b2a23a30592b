// SPDX-License-Identifier: BSD-3-Clause
//
// The limit on memory: comparing, evicting in bounded steps, sharing the work out between shards,
// and holding or refusing writes. Runs on the shard's own thread. Invariant: with a limit, every
// shard looks at the level in every pass and before every command that may take memory, and knows
// it to within the sum of all shards' unpublished steps (at most 1/1024 of the limit). Called by
// dispatch.c before a command, by the pass of shard.c, and by the configuration.
#include "shards/eviction.h"

#include <math.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/log.h"
#include "shards/multi.h"
#include "shards/shard.h"

#define WRITE_ENTRIES  8     // a write evicts at most so many: about 5 us
#define WRITE_VISITS   1024  // bucket visits that it spends on finding them: about 10 us
#define PASS_VISITS    32768 // the same of a pass: about 300 us
#define EVICTIONS_MIN  16
#define VISITS_PER_KEY 64 // what one eviction takes of them, on the safe side
#define PUBLISH_MIN    4096
#define PUBLISH_MAX    65536
#define LOW_FRACTION   1024
#define SLACK_FRACTION 512 // of the limit: what a shard may be ahead of the others
#define CEILING        128

// ---- settings ----------------------------------------------------------------------------------

static struct eviction_rules rules_of(const struct config *c) {
    static const struct {
        enum eviction_order order;
        bool expiring_only;
    } policies[] = {
        [CONFIG_VOLATILE_LRU] = {EVICT_LRU, true},
        [CONFIG_VOLATILE_LFU] = {EVICT_LFU, true},
        [CONFIG_VOLATILE_RANDOM] = {EVICT_RANDOM, true},
        [CONFIG_VOLATILE_TTL] = {EVICT_TTL, true},
        [CONFIG_ALLKEYS_LRU] = {EVICT_LRU, false},
        [CONFIG_ALLKEYS_LFU] = {EVICT_LFU, false},
        [CONFIG_ALLKEYS_RANDOM] = {EVICT_RANDOM, false},
        [CONFIG_NOEVICTION] = {EVICT_RANDOM, false},
    };
    return (struct eviction_rules){
        .order = policies[c->maxmemory_policy].order,
        .expiring_only = policies[c->maxmemory_policy].expiring_only,
        .samples = c->maxmemory_samples > 64 ? 64 : (uint32_t)c->maxmemory_samples,
        .lfu_decay_time = (uint32_t)c->lfu_decay_time,
    };
}

/** Redis bounds a step's time in the same way; one eviction takes about a microsecond. */
static uint32_t evictions_per_pass(int64_t tenacity) {
    if (tenacity >= 100) return UINT32_MAX;
    if (tenacity <= 10) return tenacity > 0 ? (uint32_t)(50 * tenacity) : EVICTIONS_MIN;
    return (uint32_t)(500 * pow(1.15, (double)(tenacity - 10)));
}

static void keep_time(struct shard *s, bool exceeded) {
    struct shard_eviction *ev = &s->eviction;
    if (s->id != 0 || exceeded == (ev->exceeded_since_ns != 0)) return;
    if (!exceeded) ev->exceeded_total_ns += s->now_ns - ev->exceeded_since_ns;
    ev->exceeded_since_ns = exceeded ? s->now_ns : 0;
}

static void let_go_on(struct shard *s) {
    s->eviction.waiting = false;
    for (struct connection *conn = s->connections.first; conn; conn = conn->next)
        connection_unstall(conn, STALL_MEMORY);
}

void eviction_configure(struct shard *s) {
    const struct config *c = s->config;
    struct shard_eviction *ev = &s->eviction;
    ev->limit = c->maxmemory;
    ev->low = c->maxmemory - c->maxmemory / LOW_FRACTION;
    ev->ceiling = INT64_MAX; // the next step brings it down
    ev->step = c->maxmemory / LOW_FRACTION / s->fleet->nshards;
    if (ev->step < PUBLISH_MIN) ev->step = PUBLISH_MIN;
    if (ev->step > PUBLISH_MAX) ev->step = PUBLISH_MAX;
    ev->evicts = c->maxmemory_policy != CONFIG_NOEVICTION;
    ev->rules = rules_of(c);
    ev->per_pass = evictions_per_pass(c->maxmemory_eviction_tenacity);
    ev->share = 1;
    ev->ahead = 0;
    ev->slack = (double)c->maxmemory / SLACK_FRACTION;
    ev->pending = false;
    if (ev->waiting) let_go_on(s); // to be judged by the new limit
    if (ev->limit == 0) keep_time(s, false);
    atomic_store_explicit(&s->fleet->faces[s->id].eviction_weight, 0, memory_order_relaxed);
    s->shown_dirty = UINT64_MAX; // what may be evicted is another number now
    if (!s->intents.lent) eviction_forget(&s->keyspace->eviction);
}

void eviction_warn_if_over(int64_t limit) {
    int64_t used = mem_used();
    if (limit > 0 && used > limit)
        log_line(LOG_WARN,
                 "maxmemory is %lld bytes, and %lld are in use: keys will be evicted, or writes "
                 "refused, as maxmemory-policy says",
                 (long long)limit, (long long)used);
}

// ---- who evicts --------------------------------------------------------------------------------

static struct shard_face *face_of(const struct shard *s, uint32_t shard) {
    return &s->fleet->faces[shard];
}

void eviction_show(struct shard *s) {
    uint64_t evictable = keyspace_evictable(s->keyspace, &s->eviction.rules);
    atomic_store_explicit(&face_of(s, s->id)->evictable, evictable, memory_order_relaxed);
}

static uint64_t own_evictable(const struct shard *s) {
    if (s->intents.lent)
        return atomic_load_explicit(&face_of(s, s->id)->evictable, memory_order_relaxed);
    return keyspace_evictable(s->keyspace, &s->eviction.rules);
}

static bool anything_evictable(const struct shard *s) {
    if (!s->eviction.evicts) return false;
    if (own_evictable(s) > 0) return true;
    for (uint32_t i = 0; i < s->fleet->nshards; i++) {
        if (i == s->id) continue;
        if (atomic_load_explicit(&face_of(s, i)->evictable, memory_order_relaxed) > 0) return true;
    }
    return false;
}

/**
 * Shows this shard's weight and finds its share of all, and takes note of what the others have
 * evicted; once in a pass.
 */
static void weigh(struct shard *s) {
    struct shard_eviction *ev = &s->eviction;
    struct fleet *f = s->fleet;
    if (f->nshards == 1 || ev->weighed == s->stats.passes) return;
    ev->weighed = s->stats.passes;
    double own = keyspace_eviction_weight(s->keyspace, &ev->rules, s->now_ms), sum = 0;
    atomic_store_explicit(&face_of(s, s->id)->eviction_weight, own, memory_order_relaxed);
    uint64_t entries = keyspace_evictable(s->keyspace, &ev->rules);
    for (uint32_t i = 0; i < f->nshards; i++) {
        double weight = atomic_load_explicit(&face_of(s, i)->eviction_weight, memory_order_relaxed);
        // One that has not looked yet, or sleeps, has such entries as these, for all we know.
        if (weight == 0 && entries > 0)
            weight = own / (double)entries *
                     (double)atomic_load_explicit(&face_of(s, i)->evictable, memory_order_relaxed);
        sum += weight;
    }
    ev->share = sum > 0 ? own / sum : 0;
    int64_t others =
        atomic_fetch_add_explicit(&f->evicted_bytes, ev->unreported, memory_order_relaxed) -
        ev->seen;
    ev->seen += others + ev->unreported;
    ev->unreported = 0;
    ev->ahead -= (double)others * ev->share;
    if (ev->ahead < -ev->slack) ev->ahead = -ev->slack;
}

/** Whether the others have to go on. */
static bool is_ahead(const struct shard_eviction *ev) { return ev->ahead > ev->slack; }

/** Wakes the shards that have something to give. */
static void wake_givers(struct shard *s) {
    mem_publish(0); // they must see what we see
    for (uint32_t i = 0; i < s->fleet->nshards; i++) {
        if (i == s->id) continue;
        if (atomic_load_explicit(&face_of(s, i)->evictable, memory_order_relaxed) > 0)
            shard_wake(s, i);
    }
}

// ---- evicting ----------------------------------------------------------------------------------

/** What the limit is compared with. */
static int64_t level_now(void) { return mem_level() - mem_leaving(); }

/** Evicts until the level is low, or it is the others' turn, or the bounds are reached. */
static int64_t evict_some(struct shard *s, int64_t level, uint32_t entries, uint32_t visits) {
    struct shard_eviction *ev = &s->eviction;
    weigh(s);
    while (entries-- > 0 && level > ev->low && !is_ahead(ev)) {
        int64_t before = s->keyspace->memory;
        if (!keyspace_evict(s->keyspace, &ev->rules, s->now_ms, &visits)) break;
        int64_t freed = before - s->keyspace->memory;
        ev->ahead += (double)freed * (1 - ev->share);
        ev->unreported += freed;
        level = level_now();
    }
    return level;
}

/** How many bucket visits a pass may spend. */
static uint32_t visits_per_pass(const struct shard_eviction *ev) {
    if (ev->per_pass <= PASS_VISITS / VISITS_PER_KEY) return PASS_VISITS;
    return ev->per_pass < UINT32_MAX / VISITS_PER_KEY ? ev->per_pass * VISITS_PER_KEY : UINT32_MAX;
}

/** Commands that full memory refuses: Redis's rule. */
static bool takes_memory(const struct connection *conn, const struct command *spec) {
    if (spec->flags & COMMAND_DENYOOM) return true;
    if (likely(!conn->in_multi)) return false;
    if (strcmp(spec->full_name, "exec") == 0) return multi_takes_memory(conn->multi);
    // In MULTI whatever is going to be queued, since the queue takes memory.
    return strcmp(spec->full_name, "discard") != 0 && strcmp(spec->full_name, "quit") != 0 &&
           strcmp(spec->full_name, "reset") != 0;
}

enum eviction_verdict eviction_admit(struct connection *conn, const struct command *spec) {
    struct shard *s = conn->shard;
    struct shard_eviction *ev = &s->eviction;
    if (!takes_memory(conn, spec)) return EVICTION_GO;
    if (likely(eviction_has_room(ev))) return EVICTION_GO;
    int64_t level = level_now();
    if (ev->evicts && level > ev->low && !s->intents.lent) {
        level = evict_some(s, level, WRITE_ENTRIES, WRITE_VISITS);
    }
    if (level > ev->limit && !anything_evictable(s)) return EVICTION_REFUSE;
    // Also what others are about to free must be gone before more is taken.
    int64_t total = mem_level();
    if (likely(total <= ev->ceiling)) return EVICTION_GO;
    ev->waiting = true;
    return EVICTION_WAIT;
}

// ---- in each pass ------------------------------------------------------------------------------

static void lower_ceiling(struct shard_eviction *ev, int64_t total) {
    int64_t air = ev->limit / CEILING;
    if (total + air < ev->ceiling) ev->ceiling = total + air;
    if (ev->ceiling < ev->limit + air) ev->ceiling = ev->limit + air;
}

void eviction_step(struct shard *s) {
    struct shard_eviction *ev = &s->eviction;
    mem_publish(ev->step);
    lower_ceiling(ev, mem_level());
    int64_t level = level_now();
    ev->pending = false;
    if (level > ev->low && ev->evicts) {
        if (!s->intents.lent) {
            level = evict_some(s, level, ev->per_pass, visits_per_pass(ev));
            ev->pending = level > ev->low && !is_ahead(ev) && own_evictable(s) > 0;
        }
        if (s->fleet->nshards > 1 && !ev->pending && level > ev->low + (ev->limit - ev->low) / 2)
            wake_givers(s);
    }
    keep_time(s, level > ev->limit);
    if (ev->waiting && (mem_level() <= ev->ceiling || !anything_evictable(s))) let_go_on(s);
}

void eviction_tick(struct shard *s) {
    struct shard_eviction *ev = &s->eviction;
    ev->ahead /= 2; // or what a shard has not given that has nothing left would be missing for ever
    if (ev->limit == 0 || !ev->evicts || s->intents.lent) return;
    if (level_now() > ev->limit - ev->limit / 16) weigh(s);
}

void eviction_exceeded_ns(const struct shard *s, int64_t *total_ns, int64_t *current_ns) {
    const struct shard_eviction *ev = &s->eviction;
    *current_ns = ev->exceeded_since_ns == 0 ? 0 : s->now_ns - ev->exceeded_since_ns;
    *total_ns = ev->exceeded_total_ns + *current_ns;
}
