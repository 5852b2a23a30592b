// SPDX-License-Identifier: BSD-3-Clause
//
// The loader's thread: checks the file if that is wanted, reads it, gives each record to the batch
// of its shard, hands full batches over, waits while a shard has enough of them, and in the end
// until all have done their part. It touches no keyspace. Invariant: whatever happens, it ends with
// the phase LOADING_ENDED, after which it touches the load no more. Started by loading.c.
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/clock.h"
#include "engine/base/hash.h"
#include "engine/base/log.h"
#include "engine/base/num.h"
#include "persistence/rdb_check.h"
#include "shards/loading_shared.h"

#define PROGRESS_NS   INT64_C(2000000000) // how often the log says how far it is
#define BYTES_PER_KEY 16    // of a file, at least, as far as hints of how many there are count
#define DELAY_US      10000 // a key-load-delay is looked at again after this

typedef unsigned long long ull;

struct loader {
    struct loading *loading;
    struct rdb_feed *feed;
    struct loading_batch **batches; // [shard]: being filled
    const char *what;               // is being done, for the log
    int64_t progress_ns;            // when the log was last told
};

static bool is_over(const struct loading *l) {
    return atomic_load_explicit(&l->failed, memory_order_relaxed) ||
           atomic_load_explicit(&l->cancelled, memory_order_relaxed);
}

static void wake_all(struct loading *l) {
    for (uint32_t i = 0; i < l->fleet->nshards; i++) loading__wake(l, i);
}

// ---- reading -----------------------------------------------------------------------------------

static void log_progress(struct loader *loader) {
    const struct loading *l = loader->loading;
    int64_t now_ns = clock_monotonic_ns();
    if (now_ns - loader->progress_ns < PROGRESS_NS) return;
    loader->progress_ns = now_ns;
    uint64_t at = atomic_load_explicit(&l->read_bytes, memory_order_relaxed);
    uint64_t keys = 0;
    for (uint32_t i = 0; i < l->fleet->nshards; i++)
        keys += atomic_load_explicit(&l->lanes[i].loaded, memory_order_relaxed);
    log_line(LOG_NOTICE, "%s %s: %.1f %%, %llu of %llu bytes, %llu keys", loader->what, l->name,
             (double)at * 100 / (double)(l->total_bytes + !l->total_bytes), (ull)at,
             (ull)l->total_bytes, (ull)keys);
}

static ssize_t read_file(void *context, void *p, size_t n) {
    struct loader *loader = context;
    struct loading *l = loader->loading;
    if (is_over(l)) return -ECANCELED;
    log_progress(loader);
    ssize_t got = rdb_source_fd(&l->fd, p, n);
    if (got > 0) atomic_fetch_add_explicit(&l->read_bytes, (uint64_t)got, memory_order_relaxed);
    return got;
}

/** key-load-delay: for tests that need a load to last. */
static void delay(struct loading *l) {
    int64_t us, slept_us = 0;
    while ((us = atomic_load_explicit(&l->delay_us, memory_order_relaxed)) != 0 && !is_over(l)) {
        if (us < 0 && clock_monotonic_ns() % -us != 0) return; // one in so many keys waits
        int64_t left_us = us < 0 ? 1 : us - slept_us;
        if (left_us <= 0) return;
        if (left_us > DELAY_US) left_us = DELAY_US;
        nanosleep(&(struct timespec){.tv_nsec = left_us * 1000}, NULL);
        slept_us += left_us;
        if (us < 0) return;
    }
}

// ---- handing over ------------------------------------------------------------------------------

static struct loading_batch *spare_batch(struct loading *l) {
    pthread_mutex_lock(&l->lock);
    struct loading_batch *b = l->spare;
    if (b) l->spare = b->next;
    pthread_mutex_unlock(&l->lock);
    if (!b) return loading_batch_new();
    loading_batch_clear(b);
    buf_shrink_if_empty(&b->bytes, LOADING_SPARE);
    return b;
}

/** Gives a shard its batch, as soon as it has room for it. False: the load is over. */
static bool hand_over(struct loader *loader, uint32_t shard) {
    struct loading *l = loader->loading;
    struct loading_lane *lane = &l->lanes[shard];
    struct loading_batch *b = loader->batches[shard];
    pthread_mutex_lock(&l->lock);
    while (lane->queued >= LOADING_QUEUE && !is_over(l)) pthread_cond_wait(&l->moved, &l->lock);
    bool over = is_over(l), wake = lane->first == NULL;
    if (!over) {
        loader->batches[shard] = NULL;
        l->dialect = loader->feed->reader.dialect;
        if (lane->last)
            lane->last->next = b;
        else
            lane->first = b;
        lane->last = b;
        lane->queued += loading_batch_bytes(b);
    }
    pthread_mutex_unlock(&l->lock);
    if (!over && wake) loading__wake(l, shard);
    return !over;
}

static bool stop(struct loader *loader) {
    return rdb_fault_set(&loader->feed->fault, 0, "stopped");
}

static bool take_record(void *context, const struct rdb_record *r) {
    struct loader *loader = context;
    struct loading *l = loader->loading;
    uint32_t n = l->fleet->nshards, shard = n == 1 ? 0 : hash_slot_shard(hash_slot(r->key), n);
    if (!loader->batches[shard]) loader->batches[shard] = spare_batch(l);
    if (unlikely(rdb_reader_is_large(&loader->feed->reader)))
        loading_batch_add_large(loader->batches[shard], r, rdb_reader_take(&loader->feed->reader));
    else
        loading_batch_add(loader->batches[shard], r);
    if (unlikely(atomic_load_explicit(&l->delay_us, memory_order_relaxed) != 0)) delay(l);
    if (loading_batch_bytes(loader->batches[shard]) < LOADING_BATCH) return true;
    return hand_over(loader, shard) || stop(loader);
}

/** A hint, which a file may lie about: the tables made for it are small beside the file. */
static void take_resize(void *context, const struct rdb_record *item) {
    struct loader *loader = context;
    struct loading *l = loader->loading;
    uint64_t keys = item->numbers[0], most = l->total_bytes / BYTES_PER_KEY;
    if (keys > most) keys = most;
    for (uint32_t i = 0; i < l->fleet->nshards; i++) {
        if (!loader->batches[i]) loader->batches[i] = spare_batch(l);
        loading_batch_expect(loader->batches[i], item->db, keys / l->fleet->nshards);
    }
}

static void take_aux(void *context, const struct rdb_record *item) {
    const struct loader *loader = context;
    struct loading *l = loader->loading;
    int64_t number;
    bool is_number = num_parse_i64(item->text, &number) && number >= 0;
    if (slice_equal(item->key, SLICE_LITERAL("used-mem")) && is_number)
        atomic_store_explicit(&l->used_memory, (uint64_t)number, memory_order_relaxed);
    if (slice_equal(item->key, SLICE_LITERAL("redis-ver")) && item->text.n < 100)
        log_line(LOG_NOTICE, "%s was written by version %.*s", l->name, (int)item->text.n,
                 item->text.p);
    if (slice_equal(item->key, SLICE_LITERAL("ctime")) && is_number)
        log_line(LOG_NOTICE, "%s is %lld seconds old", l->name,
                 (long long)(l->started_us / 1000000 - number));
}

/** No batch will follow: the shards finish, unless something fails. */
static void close_lanes(struct loader *loader) {
    struct loading *l = loader->loading;
    for (uint32_t i = 0; i < l->fleet->nshards; i++)
        if (loader->batches[i] && !hand_over(loader, i)) return;
    pthread_mutex_lock(&l->lock);
    l->closed = true;
    pthread_mutex_unlock(&l->lock);
    wake_all(l);
    pthread_mutex_lock(&l->lock);
    while (l->finished < l->fleet->nshards && !is_over(l)) pthread_cond_wait(&l->moved, &l->lock);
    pthread_mutex_unlock(&l->lock);
}

// ---- the whole of it ---------------------------------------------------------------------------

static void prepare_feed(struct loader *loader, struct rdb_feed *feed, const char *what) {
    struct loading *l = loader->loading;
    loader->feed = feed;
    loader->what = what;
    loader->progress_ns = clock_monotonic_ns();
    atomic_store_explicit(&l->read_bytes, 0, memory_order_relaxed);
    feed->source = read_file;
    feed->source_context = loader;
    feed->databases = l->fleet->keyspaces[0]->ndbs;
    feed->skip_unknown = l->options.skip_unknown;
    feed->ignore_checksum = l->options.ignore_checksum;
}

static bool check(struct loader *loader) {
    struct loading *l = loader->loading;
    struct rdb_check dry = {.limits = &value_default_limits};
    prepare_feed(loader, &dry.feed, "Checking");
    bool good = rdb_check(&dry);
    if (!good) loading__fail(l, &dry.feed.fault);
    if (good && lseek(l->fd, 0, SEEK_SET) != 0) {
        struct rdb_fault fault = {.text = "the file cannot be read from its beginning again"};
        loading__fail(l, &fault);
        good = false;
    }
    return good;
}

static void fill(struct loader *loader) {
    struct loading *l = loader->loading;
    struct rdb_feed feed = {
        .record = take_record, .aux = take_aux, .resize = take_resize, .context = loader};
    prepare_feed(loader, &feed, "Loading");
    if (rdb_feed_run(&feed))
        close_lanes(loader);
    else
        loading__fail(l, &feed.fault);
    pthread_mutex_lock(&l->lock);
    rdb_left_out_join(&l->left_out, &feed.left_out);
    pthread_mutex_unlock(&l->lock);
}

static void log_end(const struct loading *l) {
    const struct rdb_left_out *out = &l->left_out;
    double seconds = (double)(clock_monotonic_ns() - l->started_ns) / 1e9;
    if (l->end == LOADING_CANCELLED)
        log_line(LOG_WARN, "Loading %s was given up: the server stops", l->name);
    else if (l->end != LOADING_GOOD)
        log_line(LOG_WARN, "Loading %s failed at offset %llu: %s", l->name, (ull)l->fault.offset,
                 l->fault.text);
    else
        log_line(LOG_NOTICE,
                 "Loaded %s in %.3f seconds: keys loaded: %llu, keys expired: %llu, empty keys "
                 "skipped: %llu",
                 l->name, seconds, (ull)l->fleet->load_keys, (ull)l->fleet->load_expired,
                 (ull)l->empty);
    if (l->end == LOADING_GOOD && out->keys + out->functions + out->modules + out->others > 0)
        log_line(LOG_WARN,
                 "Left out of %s: %llu keys of unknown types, %llu libraries of functions, "
                 "%llu parts of modules, %llu other things%s%s%s",
                 l->name, (ull)out->keys, (ull)out->functions, (ull)out->modules, (ull)out->others,
                 out->names[0] ? ": " : "", out->names, out->more ? ", ..." : "");
}

static enum loading_end find_end(const struct loading *l, bool checked) {
    if (atomic_load(&l->cancelled)) return LOADING_CANCELLED;
    if (!checked) return LOADING_REFUSED;
    return atomic_load(&l->failed) ? LOADING_BROKEN : LOADING_GOOD;
}

void *loading__thread(void *argument) {
    struct loading *l = argument;
    struct loader loader = {.loading = l};
    uint32_t n = l->fleet->nshards;
    pthread_setname_np(pthread_self(), "torc-loader");
    loader.batches = mem_calloc(n * sizeof *loader.batches);
    bool checked = !l->options.check || check(&loader);
    if (checked) {
        atomic_store_explicit(&l->phase, LOADING_FILLS, memory_order_release);
        fill(&loader);
    }
    for (uint32_t i = 0; i < n; i++) loading_batch_free(loader.batches[i]);
    mem_free(loader.batches);
    uint64_t keys = 0, expired = 0;
    for (uint32_t i = 0; i < n; i++) {
        keys += atomic_load_explicit(&l->lanes[i].loaded, memory_order_relaxed);
        expired += atomic_load_explicit(&l->lanes[i].expired, memory_order_relaxed);
    }
    atomic_store_explicit(&l->fleet->load_keys, keys, memory_order_relaxed);
    atomic_store_explicit(&l->fleet->load_expired, expired, memory_order_relaxed);
    l->end = find_end(l, checked);
    log_end(l);
    struct fleet *fleet = l->fleet;
    atomic_store_explicit(&l->phase, LOADING_ENDED, memory_order_release);
    for (uint32_t i = 0; i < n; i++) io_wake(fleet->shards[i]->io, NULL);
    return NULL;
}
