// SPDX-License-Identifier: BSD-3-Clause
//
// WATCH: who is told when a key changes. One node per watch, in chains by key hash; the table
// doubles with the number of watches and goes away with the last one. Runs on the thread that owns
// the keyspace. Invariant: nodes of a chain share their low hash bits; `count` is the number of
// nodes. Called by keyspace.c when keys change, and by sessions through keyspace_watch() and
// keyspace_unwatch().
#include "engine/keyspace/watch.h"

#include <stdatomic.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"

#define FIRST_CHAINS 16

struct watch {
    struct watch *next;
    uint64_t hash;
    _Atomic bool *flag;
    uint32_t db;
    uint32_t klen;
    char key[];
};

struct watch_table {
    uint64_t count;
    uint64_t mask; // chains - 1
    struct watch **chains;
};

static bool watches_key(const struct watch *w, uint32_t db, struct key key) {
    return w->hash == key.hash && w->db == db && slice_equal(slice_of(w->key, w->klen), key.text);
}

static struct watch_table *watch_table_new(void) {
    struct watch_table *w = mem_calloc(sizeof(*w));
    w->mask = FIRST_CHAINS - 1;
    w->chains = mem_calloc(FIRST_CHAINS * sizeof(*w->chains));
    return w;
}

static void grow(struct watch_table *w) {
    uint64_t mask = w->mask * 2 + 1;
    struct watch **chains = mem_calloc((mask + 1) * sizeof(*chains));
    for (uint64_t i = 0; i <= w->mask; i++) {
        struct watch *next;
        for (struct watch *node = w->chains[i]; node != NULL; node = next) {
            next = node->next;
            node->next = chains[node->hash & mask];
            chains[node->hash & mask] = node;
        }
    }
    mem_free(w->chains);
    w->chains = chains;
    w->mask = mask;
}

void keyspace_watch(struct keyspace *ks, uint32_t db, struct key key, _Atomic bool *flag) {
    ASSERT(db < ks->ndbs);
    if (ks->watches == NULL) ks->watches = watch_table_new();
    struct watch_table *w = ks->watches;
    if (w->count > w->mask) grow(w);
    struct watch *node = mem_alloc(sizeof(*node) + key.text.n);
    node->hash = key.hash;
    node->flag = flag;
    node->db = db;
    node->klen = (uint32_t)key.text.n;
    if (key.text.n != 0) memcpy(node->key, key.text.p, key.text.n);
    node->next = w->chains[key.hash & w->mask];
    w->chains[key.hash & w->mask] = node;
    w->count++;
}

void keyspace_unwatch(struct keyspace *ks, uint32_t db, struct key key, _Atomic bool *flag) {
    struct watch_table *w = ks->watches;
    if (w == NULL) return;
    struct watch **at = &w->chains[key.hash & w->mask];
    while (*at != NULL && !((*at)->flag == flag && watches_key(*at, db, key))) at = &(*at)->next;
    struct watch *node = *at;
    if (node == NULL) return;
    *at = node->next;
    mem_free(node);
    if (--w->count == 0) {
        watch__free(w);
        ks->watches = NULL;
    }
}

void watch__touch(struct watch_table *w, uint32_t db, struct key key) {
    for (struct watch *node = w->chains[key.hash & w->mask]; node != NULL; node = node->next) {
        if (watches_key(node, db, key)) {
            atomic_store_explicit(node->flag, true, memory_order_release);
        }
    }
}

void watch__touch_where(struct watch_table *w, uint32_t db,
                        bool (*visit)(void *context, struct key key), void *context) {
    for (uint64_t i = 0; i <= w->mask; i++) {
        for (struct watch *node = w->chains[i]; node != NULL; node = node->next) {
            if (node->db != db) continue;
            struct key key = {slice_of(node->key, node->klen), node->hash};
            if (visit(context, key)) atomic_store_explicit(node->flag, true, memory_order_release);
        }
    }
}

void watch__free(struct watch_table *w) {
    if (w == NULL) return;
    for (uint64_t i = 0; i <= w->mask; i++) {
        struct watch *next;
        for (struct watch *node = w->chains[i]; node != NULL; node = next) {
            next = node->next;
            mem_free(node);
        }
    }
    mem_free(w->chains);
    mem_free(w);
}

bool watch__is_valid(const struct watch_table *w) {
    if (w == NULL) return true;
    uint64_t count = 0;
    for (uint64_t i = 0; i <= w->mask; i++) {
        for (const struct watch *node = w->chains[i]; node != NULL; node = node->next) {
            if ((node->hash & w->mask) != i) return false;
            count++;
        }
    }
    return count == w->count && count != 0 && (w->mask & (w->mask + 1)) == 0;
}
