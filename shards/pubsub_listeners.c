// SPDX-License-Identifier: BSD-3-Clause
//
// Lists of listening shards. Run by whoever may touch the registry that they are in (the shard that
// owns it, or its visitor). Invariant: v has room for count entries and points to `few` exactly
// while nothing is allocated. Called by pubsub_registry.c and pubsub_patterns.c.
#include "shards/pubsub_listeners.h"

#include <stdbool.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"

void pubsub_listeners_init(struct pubsub_listeners *l) {
    l->v = l->few;
    l->count = 0;
    l->room = PUBSUB_LISTENERS_INLINE;
}

void pubsub_listeners_fini(struct pubsub_listeners *l) {
    if (l->v != l->few) mem_free(l->v);
    pubsub_listeners_init(l);
}

static uint32_t place_of(const struct pubsub_listeners *l, uint32_t shard) {
    uint32_t i = 0;
    while (i < l->count && l->v[i].shard != shard) i++;
    return i;
}

void pubsub_listeners_add(struct pubsub_listeners *l, uint32_t shard) {
    uint32_t i = place_of(l, shard);
    if (i < l->count) {
        l->v[i].subscribers++;
        return;
    }
    if (l->count == l->room) {
        bool first = l->v == l->few;
        l->room *= 2;
        l->v = mem_realloc(first ? NULL : l->v, l->room * sizeof *l->v);
        if (first) memcpy(l->v, l->few, sizeof l->few);
    }
    l->v[l->count++] = (struct pubsub_listener){shard, 1};
}

void pubsub_listeners_drop(struct pubsub_listeners *l, uint32_t shard) {
    uint32_t i = place_of(l, shard);
    ASSERT(i < l->count && l->v[i].subscribers > 0);
    if (--l->v[i].subscribers > 0) return;
    l->v[i] = l->v[--l->count];
}

uint64_t pubsub_listeners_sum(const struct pubsub_listeners *l) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < l->count; i++) sum += l->v[i].subscribers;
    return sum;
}
