// SPDX-License-Identifier: BSD-3-Clause
//
// Making the next list of prefixes out of the present one. All of it in one block: the entries, the
// counts, the texts. Invariant: a prefix is in the list exactly while some shard has clients for
// it. Called by tracking.c.
#include "shards/tracking_prefixes.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "shards/shard.h"

static uint32_t place_of(const struct tracking_prefixes *p, struct slice text) {
    uint32_t i = 0;
    while (p && i < p->count && !slice_equal(p->v[i].text, text)) i++;
    return i;
}

static uint64_t sum(const uint32_t *counts, uint32_t n) {
    uint64_t total = 0;
    for (uint32_t i = 0; i < n; i++) total += counts[i];
    return total;
}

/** A list with room for `count` prefixes whose texts have so many bytes; *texts: where those go. */
static struct tracking_prefixes *list_new(uint32_t nshards, uint32_t count, size_t bytes,
                                          char **texts) {
    size_t counts = (size_t)count * nshards * sizeof(uint32_t);
    struct tracking_prefixes *p =
        mem_calloc(sizeof *p + count * sizeof p->v[0] + counts + bytes + 1);
    uint32_t *clients = (uint32_t *)&p->v[count];
    for (uint32_t i = 0; i < count; i++) p->v[i].clients = clients + (size_t)i * nshards;
    *texts = (char *)clients + counts;
    atomic_init(&p->users, 1);
    return p;
}

static void put(struct tracking_prefixes *p, struct slice text, const uint32_t *clients,
                uint32_t nshards, char **texts) {
    struct tracking_prefix *to = &p->v[p->count++];
    if (text.n > 0) memcpy(*texts, text.p, text.n);
    to->text = slice_of(*texts, text.n);
    *texts += text.n;
    if (clients) memcpy(to->clients, clients, nshards * sizeof *clients);
}

void tracking_prefixes_change(struct fleet *fleet, uint32_t shard, struct slice text, int change) {
    uint32_t n = fleet->nshards;
    pthread_mutex_lock(&fleet->admin_lock);
    struct tracking_prefixes *old = fleet->tracking_prefixes;
    uint32_t old_count = old ? old->count : 0, at = place_of(old, text);
    size_t bytes = text.n;
    for (uint32_t i = 0; i < old_count; i++) bytes += old->v[i].text.n;
    char *texts;
    struct tracking_prefixes *new = list_new(n, old_count + 1, bytes, &texts);
    for (uint32_t i = 0; i < old_count; i++) {
        bool last = i == at && change < 0 && sum(old->v[i].clients, n) == 1;
        if (!last) put(new, old->v[i].text, old->v[i].clients, n, &texts);
        if (i == at && !last) new->v[new->count - 1].clients[shard] += (uint32_t)change;
    }
    if (at == old_count) {
        ASSERT(change > 0);
        put(new, text, NULL, n, &texts);
        new->v[at].clients[shard] = 1;
    }
    new->version = atomic_load_explicit(&fleet->tracking_version, memory_order_relaxed) + 1;
    fleet->tracking_prefixes = new;
    atomic_store_explicit(&fleet->tracking_version, new->version, memory_order_release);
    pthread_mutex_unlock(&fleet->admin_lock);
    tracking_prefixes_drop(old);
}

struct tracking_prefixes *tracking_prefixes_refresh(struct fleet *fleet,
                                                    struct tracking_prefixes *old) {
    pthread_mutex_lock(&fleet->admin_lock);
    struct tracking_prefixes *p = fleet->tracking_prefixes;
    if (p) atomic_fetch_add_explicit(&p->users, 1, memory_order_relaxed);
    pthread_mutex_unlock(&fleet->admin_lock);
    tracking_prefixes_drop(old);
    return p;
}

uint32_t tracking_prefixes_count(struct fleet *fleet) {
    pthread_mutex_lock(&fleet->admin_lock);
    uint32_t count = fleet->tracking_prefixes ? fleet->tracking_prefixes->count : 0;
    pthread_mutex_unlock(&fleet->admin_lock);
    return count;
}

void tracking_prefixes_drop(struct tracking_prefixes *p) {
    if (p && atomic_fetch_sub_explicit(&p->users, 1, memory_order_acq_rel) == 1) mem_free(p);
}
