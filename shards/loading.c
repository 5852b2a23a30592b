// SPDX-License-Identifier: BSD-3-Clause
//
// A load as its shards see it: beginning, joining, a step in each pass, leaving. Each function runs
// on the shard's thread that it is given, loading_start() on the home shard's or, before the shards
// run, on the main thread. Invariant: a shard that has s->loading is counted neither as finished
// nor as left before it is; the load is freed by the home shard, the last to leave. Called by the
// pass of shard.c, by server.c and by session_debug_reload.c.
#include "shards/loading.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/clock.h"
#include "shards/loading_shared.h"

#define STEP_BYTES   ((size_t)256 * 1024) // of records in a pass: a fraction of a millisecond
#define FREE_ENTRIES 2048                 // flushed ones that are freed in a pass

// ---- beginning ---------------------------------------------------------------------------------

/** Opens the file. 0 or a negative errno. */
static int open_file(struct loading *l) {
    struct stat st;
    l->fd = open(l->path, O_RDONLY | O_CLOEXEC);
    if (l->fd < 0) return -errno;
    if (fstat(l->fd, &st) != 0) return -errno;
    if (S_ISDIR(st.st_mode)) return -EISDIR;
    l->total_bytes = (uint64_t)st.st_size;
    // Reading ahead is only faster, so whether the kernel does it does not matter.
    if (posix_fadvise(l->fd, 0, 0, POSIX_FADV_SEQUENTIAL) != 0) return 0;
    return 0;
}

/** Starts the thread: on any CPU, not on the one that its maker may be pinned to. */
static int start_thread(struct loading *l) {
    pthread_attr_t attributes;
    cpu_set_t cpus;
    int error = pthread_attr_init(&attributes);
    if (error) return -error;
    if (sched_getaffinity(getpid(), sizeof cpus, &cpus) == 0) // the main thread's: never pinned
        error = pthread_attr_setaffinity_np(&attributes, sizeof cpus, &cpus);
    if (!error) error = pthread_create(&l->thread, &attributes, loading__thread, l);
    pthread_attr_destroy(&attributes);
    return -error;
}

static struct loading *loading_new(struct fleet *fleet, const struct loading_options *options) {
    struct loading *l = mem_calloc(sizeof *l);
    size_t length = strlen(options->path);
    l->fleet = fleet;
    l->options = *options;
    l->path = memcpy(mem_alloc(length + 1), options->path, length + 1);
    l->options.path = l->path;
    l->name = strrchr(l->path, '/') ? strrchr(l->path, '/') + 1 : l->path;
    l->fd = -1;
    l->started_us = clock_wall_us();
    l->started_ns = clock_monotonic_ns();
    atomic_init(&l->phase, options->check ? LOADING_CHECKS : LOADING_FILLS);
    atomic_init(&l->delay_us, options->delay_us);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->moved, NULL);
    size_t bytes = fleet->nshards * sizeof *l->lanes;
    l->lanes = memset(mem_alloc_aligned(bytes, MAILBOX_LINE), 0, bytes);
    return l;
}

static void free_batches(struct loading_batch *b) {
    while (b) {
        struct loading_batch *next = b->next;
        loading_batch_free(b);
        b = next;
    }
}

static void loading_free(struct loading *l) {
    for (uint32_t i = 0; i < l->fleet->nshards; i++) free_batches(l->lanes[i].first);
    free_batches(l->spare);
    if (l->fd >= 0) close(l->fd);
    pthread_cond_destroy(&l->moved);
    pthread_mutex_destroy(&l->lock);
    mem_free(l->lanes);
    mem_free(l->path);
    mem_free(l);
}

int loading_start(struct fleet *fleet, const struct loading_options *options) {
    if (loading_is_on(fleet)) return -EBUSY;
    struct loading *l = loading_new(fleet, options);
    int error = open_file(l);
    if (error < 0) {
        loading_free(l);
        return error;
    }
    // Nobody else begins one: this is before the shards run, or all keyspaces are lent to us.
    atomic_store_explicit(&fleet->loading, l, memory_order_relaxed);
    error = start_thread(l);
    if (error < 0) {
        atomic_store_explicit(&fleet->loading, NULL, memory_order_relaxed);
        loading_free(l);
        return error;
    }
    atomic_fetch_add_explicit(&fleet->loads, 1, memory_order_release);
    fleet_leave_chore(fleet, CHORE_LOAD);
    for (uint32_t i = 0; i < fleet->nshards; i++) loading__wake(l, i);
    return 0;
}

bool loading_is_on(struct fleet *fleet) {
    return atomic_load_explicit(&fleet->loading, memory_order_relaxed) != NULL ||
           atomic_load_explicit(&fleet->unloaded, memory_order_relaxed);
}

void loading__wake(struct loading *l, uint32_t shard) {
    io_wake(l->fleet->shards[shard]->io, NULL);
}

// ---- taking part -------------------------------------------------------------------------------

void loading_look(struct shard *s) {
    uint64_t loads = atomic_load_explicit(&s->fleet->loads, memory_order_acquire);
    if (loads == s->loads) return;
    ASSERT(s->loading == NULL);
    s->loads = loads;
    s->loading = atomic_load_explicit(&s->fleet->loading, memory_order_relaxed);
    s->gates |= GATE_LOADING;
    ASSERT(s->loading != NULL);
}

/** Whether the keyspace may be touched: it is lent to nobody else, nor are keys of it. */
static bool is_ours(const struct shard *s, const struct loading *l) {
    return l->options.lent || s->intents.parts == 0;
}

bool loading_is_due(const struct shard *s) {
    return s->loading->lanes[s->id].due && is_ours(s, s->loading);
}

void loading__fail(struct loading *l, const struct rdb_fault *fault) {
    pthread_mutex_lock(&l->lock);
    if (!atomic_load_explicit(&l->failed, memory_order_relaxed)) l->fault = *fault;
    atomic_store_explicit(&l->failed, true, memory_order_relaxed);
    pthread_cond_signal(&l->moved);
    pthread_mutex_unlock(&l->lock);
}

/** The server stops: so does the loader. */
static void cancel(struct loading *l) {
    pthread_mutex_lock(&l->lock);
    atomic_store_explicit(&l->cancelled, true, memory_order_relaxed);
    pthread_cond_signal(&l->moved);
    pthread_mutex_unlock(&l->lock);
}

static void begin(struct shard *s, struct loading *l, struct loading_lane *lane) {
    lane->begun = true;
    lane->apply.keyspace = s->keyspace;
    lane->apply.now_ms = lane->apply.load.now_ms = l->started_us / 1000;
    lane->apply.replace = l->options.replace;
    lane->apply.skip_unknown = l->options.skip_unknown;
    // What goes and what comes are no changes that would have to be saved.
    if (l->options.flush) s->keyspace->stats.dirty -= keyspace_flush(s->keyspace, UINT32_MAX);
}

/** Gives back an applied batch and takes the next one; with none left, the lane may be finished. */
static void next_batch(struct loading *l, struct loading_lane *lane) {
    if (lane->current) loading_batch_clear(lane->current);
    pthread_mutex_lock(&l->lock);
    if (lane->current) {
        lane->current->next = l->spare;
        l->spare = lane->current;
    }
    lane->current = lane->first;
    if (lane->current) {
        lane->first = lane->current->next;
        lane->queued -= loading_batch_bytes(lane->current);
        if (!lane->first) lane->last = NULL;
        lane->apply.load.dialect = (uint8_t)l->dialect;
    } else if (l->closed && !lane->finished) {
        lane->finished = true;
        l->finished++;
        l->empty += lane->apply.empty;
        rdb_left_out_join(&l->left_out, &lane->apply.left_out);
    }
    pthread_cond_signal(&l->moved);
    pthread_mutex_unlock(&l->lock);
}

static void work(struct shard *s, struct loading *l, struct loading_lane *lane) {
    struct loading_apply *a = &lane->apply;
    if (!lane->begun) begin(s, l, lane);
    // What had to make room is freed as the rest comes in; the pass leaves a lent keyspace alone.
    if (l->options.lent && s->keyspace->flushed) keyspace_free_step(s->keyspace, FREE_ENTRIES);
    if (!lane->current) next_batch(l, lane);
    lane->due = lane->current != NULL;
    if (!lane->current) return;
    a->lfu = s->settings.lfu;
    a->load.limits = &s->settings.limits;
    enum loading_step step = loading_apply_step(a, lane->current, STEP_BYTES);
    atomic_store_explicit(&lane->loaded, a->loaded, memory_order_relaxed);
    atomic_store_explicit(&lane->expired, a->expired, memory_order_relaxed);
    switch (step) {
    case LOADING_STEP_MORE: break;
    case LOADING_STEP_DONE:
        next_batch(l, lane);
        lane->due = lane->current != NULL;
        break;
    case LOADING_STEP_FAILED:
        loading__fail(l, &a->fault);
        lane->due = false;
        break;
    }
}

// ---- leaving -----------------------------------------------------------------------------------

static void leave(struct shard *s, struct loading *l) {
    struct loading_lane *lane = &l->lanes[s->id];
    loading_batch_free(lane->current);
    loading_apply_fini(&lane->apply);
    s->loading = NULL;
    s->shown_dirty = ~s->keyspace->stats.dirty; // nobody has been told of these keys
    if (l->end == LOADING_GOOD || !l->options.hold) s->gates &= ~(uint32_t)GATE_LOADING;
}

/** The home shard is the last: it takes the load apart and says how it ended. */
static void end(struct shard *home, struct loading *l) {
    struct loading_options options = l->options;
    enum loading_end how = l->end;
    int error = pthread_join(l->thread, NULL);
    ASSERT(error == 0);
    leave(home, l);
    if (how != LOADING_GOOD && options.hold) atomic_store(&home->fleet->unloaded, true);
    atomic_store_explicit(&home->fleet->loading, NULL, memory_order_relaxed);
    loading_free(l);
    options.ended(home, options.context, how);
}

static void try_to_leave(struct shard *s, struct loading *l) {
    struct fleet *fleet = s->fleet;
    uint32_t home = l->options.home;
    l->lanes[s->id].due = false;
    if (s->id != home) leave(s, l);
    pthread_mutex_lock(&l->lock);
    if (s->id != home) l->left++;
    bool all = l->left == fleet->nshards - 1;
    pthread_mutex_unlock(&l->lock);
    // From here on the load is the home shard's alone.
    if (all && s->id == home)
        end(s, l);
    else if (all)
        io_wake(fleet->shards[home]->io, NULL);
}

void loading_pass(struct shard *s) {
    struct loading *l = s->loading;
    int phase = atomic_load_explicit(&l->phase, memory_order_acquire);
    if (phase == LOADING_ENDED) {
        try_to_leave(s, l);
        return;
    }
    if (s->stopping) {
        if (!atomic_load_explicit(&l->cancelled, memory_order_relaxed)) cancel(l);
        return;
    }
    atomic_store_explicit(&l->delay_us, s->config->key_load_delay, memory_order_relaxed);
    struct loading_lane *lane = &l->lanes[s->id];
    lane->due = phase == LOADING_FILLS && !atomic_load_explicit(&l->failed, memory_order_relaxed);
    if (lane->due && is_ours(s, l)) work(s, l, lane);
}

// ---- INFO --------------------------------------------------------------------------------------

void loading_info(const struct shard *s, struct loading_info *out) {
    const struct loading *l = s->loading;
    *out = (struct loading_info){.keys_loaded = s->fleet->load_keys,
                                 .keys_expired = s->fleet->load_expired};
    if (!l) return;
    int64_t started_s = l->started_us / 1000000, elapsed_s = s->now_us / 1000000 - started_s;
    out->on = true;
    out->started_s = started_s;
    out->total_bytes = l->total_bytes;
    out->loaded_bytes = atomic_load_explicit(&l->read_bytes, memory_order_relaxed);
    out->used_memory = atomic_load_explicit(&l->used_memory, memory_order_relaxed);
    uint64_t missing =
        out->total_bytes > out->loaded_bytes ? out->total_bytes - out->loaded_bytes : 0;
    out->eta_s =
        elapsed_s <= 0
            ? 1 // nothing to reckon with yet; as Redis says
            : (int64_t)((double)elapsed_s * (double)missing / (double)(out->loaded_bytes + 1));
    out->keys_loaded = out->keys_expired = 0;
    for (uint32_t i = 0; i < s->fleet->nshards; i++) {
        out->keys_loaded += atomic_load_explicit(&l->lanes[i].loaded, memory_order_relaxed);
        out->keys_expired += atomic_load_explicit(&l->lanes[i].expired, memory_order_relaxed);
    }
}
