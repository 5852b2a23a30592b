// SPDX-License-Identifier: BSD-3-Clause
//
// The side thread that frees. Its queue is process-wide by nature: the memory it returns belongs
// to no shard any more. That makes it the one mutable global of this layer, private to this file.
// Invariant: an object on the queue is referred to by nobody else. Called through the keyspaces'
// hooks.
#include "shards/lazyfree.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/keyspace/tracked.h"
#include "shards/cpus.h"

struct garbage {
    struct garbage *next;
    struct entry *entry; // one of these
    struct keyspace_tables *tables;
    struct blob *blob;
    struct tracked_table *tracked;
    struct mem_reserve *reserve; // no garbage, but as well done here as elsewhere
    int64_t bytes;               // of the entry or the blob: on their way out
};

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t arrived;
    pthread_t thread;
    struct garbage *first, *last;
    bool running, stop;
    _Atomic uint64_t handed_over, freed;
} lazy = {.mutex = PTHREAD_MUTEX_INITIALIZER, .arrived = PTHREAD_COND_INITIALIZER};

static void free_now(const struct garbage *g) {
    if (g->reserve) {
        mem_make_reserve(g->reserve);
        return;
    }
    if (g->entry) entry_free(g->entry);
    if (g->tables) keyspace_tables_free(g->tables);
    if (g->blob) blob_free(g->blob);
    if (g->tracked) tracked_table_free(g->tracked);
    atomic_fetch_add_explicit(&lazy.freed, 1, memory_order_relaxed);
}

static void *lazyfree_main(void *unused) {
    (void)unused;
    cpus_give_way(); // ten million elements take a second: not from a shard that has the same CPU
    pthread_mutex_lock(&lazy.mutex);
    for (;;) {
        struct garbage *g = lazy.first;
        if (!g) {
            if (lazy.stop) break;
            pthread_cond_wait(&lazy.arrived, &lazy.mutex);
            continue;
        }
        lazy.first = lazy.last = NULL;
        pthread_mutex_unlock(&lazy.mutex);
        while (g) {
            struct garbage *next = g->next;
            free_now(g);
            mem_left(g->bytes);
            mem_free(g);
            g = next;
        }
        pthread_mutex_lock(&lazy.mutex);
    }
    pthread_mutex_unlock(&lazy.mutex);
    return NULL;
}

int lazyfree_start(void) {
    ASSERT(!lazy.running);
    lazy.stop = false;
    int error = pthread_create(&lazy.thread, NULL, lazyfree_main, NULL);
    if (error) return -error;
    lazy.running = true;
    return 0;
}

void lazyfree_stop(void) {
    if (!lazy.running) return;
    pthread_mutex_lock(&lazy.mutex);
    lazy.stop = true;
    pthread_cond_signal(&lazy.arrived);
    pthread_mutex_unlock(&lazy.mutex);
    pthread_join(lazy.thread, NULL);
    lazy.running = false;
}

static void hand_over(struct garbage what) {
    if (!what.reserve) atomic_fetch_add_explicit(&lazy.handed_over, 1, memory_order_relaxed);
    if (!lazy.running) {
        free_now(&what);
        return;
    }
    struct garbage *g = mem_alloc(sizeof *g);
    *g = what;
    mem_leave(g->bytes);
    pthread_mutex_lock(&lazy.mutex);
    if (lazy.last)
        lazy.last->next = g;
    else
        lazy.first = g;
    lazy.last = g;
    pthread_cond_signal(&lazy.arrived);
    pthread_mutex_unlock(&lazy.mutex);
}

void lazyfree_entry(void *context, struct entry *e) {
    (void)context;
    hand_over((struct garbage){.entry = e, .bytes = (int64_t)entry_memory(e)});
}

void lazyfree_make_reserve(struct mem_reserve *reserve) {
    if (lazy.running) hand_over((struct garbage){.reserve = reserve});
}

void lazyfree_tables(void *context, struct keyspace_tables *tables) {
    (void)context;
    hand_over((struct garbage){.tables = tables});
}

void lazyfree_tracked(struct tracked_table *table) {
    if (table) hand_over((struct garbage){.tracked = table});
}

void lazyfree_blob(struct blob *blob) {
    if (!blob_release(blob)) return;
    if (blob_memory(blob) >= ENTRY_BIG_FREE)
        hand_over((struct garbage){.blob = blob, .bytes = (int64_t)blob_memory(blob)});
    else
        blob_free(blob);
}

uint64_t lazyfree_pending(void) {
    uint64_t freed = atomic_load_explicit(&lazy.freed, memory_order_relaxed);
    return atomic_load_explicit(&lazy.handed_over, memory_order_relaxed) - freed;
}

uint64_t lazyfree_done(void) { return atomic_load_explicit(&lazy.freed, memory_order_relaxed); }
