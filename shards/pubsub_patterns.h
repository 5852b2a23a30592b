// SPDX-License-Identifier: BSD-3-Clause
//
// The patterns that anybody has subscribed to, such that those which match a channel are found
// without trying all of them. Each pattern stands in the bucket of one anchor: a text that every
// channel it matches must have at its beginning, at its end, or somewhere. A channel is matched
// with the patterns of its own anchors only. Of the anchors that a pattern offers it gets the one
// whose bucket is the emptiest, so `user:1:*`, `*:done`, `user:*:7` and `*temp*` by the thousand
// all stay cheap; what has no anchor (`*`, `[ab]?`) is always tried. Pure data, of one thread at a
// time.
#ifndef TORC_SHARDS_PUBSUB_PATTERNS_H
#define TORC_SHARDS_PUBSUB_PATTERNS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/slice.h"
#include "engine/encoding/hashtable.h"
#include "shards/pubsub_listeners.h"

#define PUBSUB_ANCHOR_MAX 32 // bytes of a beginning or an end that are looked at
#define PUBSUB_GRAM_MAX   4  // of a text that may stand anywhere

struct pubsub_bucket;

struct pubsub_pattern {
    struct pubsub_listeners listeners;
    struct pubsub_bucket *bucket;
    struct pubsub_pattern *previous, *next; // in the bucket
    uint64_t hash;                          // hashtable_hash() of the text
    uint32_t length;
    char text[];
};

enum pubsub_anchor_kind { ANCHOR_BEGIN, ANCHOR_END, ANCHOR_INSIDE, ANCHOR_KINDS };

struct pubsub_patterns {
    struct hashtable patterns; // by text
    struct hashtable buckets;  // by anchor
    struct pubsub_bucket *loose;
    uint32_t lengths[ANCHOR_KINDS][PUBSUB_ANCHOR_MAX + 1]; // buckets by the length of their anchor
    uint64_t stamp;                                        // of the latest match
};

void pubsub_patterns_init(struct pubsub_patterns *p);
/** Frees all patterns as well. */
void pubsub_patterns_fini(struct pubsub_patterns *p);
/** The pattern with this text, or NULL. */
struct pubsub_pattern *pubsub_patterns_find(const struct pubsub_patterns *p, struct slice text);
/** Adds one that is absent. */
struct pubsub_pattern *pubsub_patterns_add(struct pubsub_patterns *p, struct slice text);
/** Takes one out and frees it. */
void pubsub_patterns_remove(struct pubsub_patterns *p, struct pubsub_pattern *pattern);
/** Calls `each` for every pattern that matches the channel, once. */
void pubsub_patterns_match(struct pubsub_patterns *p, struct slice channel,
                           void (*each)(void *context, struct pubsub_pattern *pattern),
                           void *context);
static inline uint64_t pubsub_patterns_count(const struct pubsub_patterns *p) {
    return p->patterns.count;
}

/** Walks the invariants (tests, simulator). */
bool pubsub_patterns_is_valid(const struct pubsub_patterns *p);

#endif
