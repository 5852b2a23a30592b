// SPDX-License-Identifier: BSD-3-Clause
//
// A home's channels and the process's patterns. Run by whoever is in the shard. Invariant: what
// stands here has at least one subscriber somewhere, or one on its way there: a subscription is
// entered before it is confirmed, and taken out before its end is. Called by pubsub.c and
// session_pubsub.c.
#include "shards/pubsub_registry.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"

static struct slice text_of_channel(const void *element) {
    const struct pubsub_channel *c = element;
    return slice_of(c->text, c->length);
}

static void release_channel(void *element) {
    struct pubsub_channel *c = element;
    pubsub_listeners_fini(&c->listeners);
    mem_free(c);
}

void pubsub_registry_init(struct pubsub_registry *r) {
    hashtable_init(&r->channels, text_of_channel);
    hashtable_init(&r->shard_channels, text_of_channel);
    pubsub_patterns_init(&r->patterns);
}

void pubsub_registry_fini(struct pubsub_registry *r) {
    hashtable_fini(&r->channels, release_channel);
    hashtable_fini(&r->shard_channels, release_channel);
    pubsub_patterns_fini(&r->patterns);
}

static struct hashtable *table_of(struct pubsub_registry *r, enum pubsub_kind kind) {
    ASSERT(kind != PUBSUB_PATTERN);
    return kind == PUBSUB_CHANNEL ? &r->channels : &r->shard_channels;
}

const struct hashtable *pubsub_registry_channels(const struct pubsub_registry *r,
                                                 enum pubsub_kind kind) {
    return table_of((struct pubsub_registry *)r, kind);
}

static void add_pattern(struct pubsub_registry *r, struct slice text, uint32_t shard) {
    struct pubsub_pattern *pattern = pubsub_patterns_find(&r->patterns, text);
    if (!pattern) pattern = pubsub_patterns_add(&r->patterns, text);
    pubsub_listeners_add(&pattern->listeners, shard);
}

static void drop_pattern(struct pubsub_registry *r, struct slice text, uint32_t shard) {
    struct pubsub_pattern *pattern = pubsub_patterns_find(&r->patterns, text);
    ASSERT(pattern);
    pubsub_listeners_drop(&pattern->listeners, shard);
    if (pattern->listeners.count == 0) pubsub_patterns_remove(&r->patterns, pattern);
}

void pubsub_registry_add(struct pubsub_registry *r, enum pubsub_kind kind, struct slice text,
                         uint64_t hash, uint32_t shard) {
    if (kind == PUBSUB_PATTERN) {
        add_pattern(r, text, shard);
        return;
    }
    struct hashtable *table = table_of(r, kind);
    struct pubsub_channel *c = hashtable_find_hashed(table, text, hash);
    if (!c) {
        c = mem_alloc(sizeof *c + text.n);
        c->length = (uint32_t)text.n;
        if (text.n > 0) memcpy(c->text, text.p, text.n);
        pubsub_listeners_init(&c->listeners);
        hashtable_add_hashed(table, c, hash);
        r->everywhere += pubsub_is_everywhere(kind, text);
    }
    pubsub_listeners_add(&c->listeners, shard);
}

void pubsub_registry_drop(struct pubsub_registry *r, enum pubsub_kind kind, struct slice text,
                          uint64_t hash, uint32_t shard) {
    if (kind == PUBSUB_PATTERN) {
        drop_pattern(r, text, shard);
        return;
    }
    struct hashtable *table = table_of(r, kind);
    struct pubsub_channel *c = hashtable_find_hashed(table, text, hash);
    ASSERT(c);
    pubsub_listeners_drop(&c->listeners, shard);
    if (c->listeners.count > 0) return;
    hashtable_remove(table, text);
    r->everywhere -= pubsub_is_everywhere(kind, text);
    release_channel(c);
}

const struct pubsub_listeners *pubsub_registry_listeners(const struct pubsub_registry *r,
                                                         enum pubsub_kind kind, struct slice text,
                                                         uint64_t hash) {
    const struct pubsub_channel *c =
        hashtable_find_hashed(pubsub_registry_channels(r, kind), text, hash);
    return c ? &c->listeners : NULL;
}

static bool channels_are_valid(const struct hashtable *table) {
    struct hashtable_iterator it;
    if (!hashtable_is_valid(table)) return false;
    hashtable_iterate(&it, table);
    for (const struct pubsub_channel *c; (c = hashtable_next(&it)) != NULL;)
        if (c->listeners.count == 0 || pubsub_listeners_sum(&c->listeners) == 0) return false;
    return true;
}

bool pubsub_registry_is_valid(const struct pubsub_registry *r) {
    return channels_are_valid(&r->channels) && channels_are_valid(&r->shard_channels) &&
           pubsub_patterns_is_valid(&r->patterns);
}
