// SPDX-License-Identifier: BSD-3-Clause
//
// The index over patterns: anchors, their buckets, and matching. Run by whoever may touch the
// registry. An anchor is kept as a 64-bit hash of its kind, length and bytes and not compared
// further: two that collide share a bucket, which costs a comparison and no more, because every
// candidate goes through the glob matcher. Invariants: a pattern is in exactly one bucket; a bucket
// is never empty (but `loose`); `lengths` counts the buckets. Called by pubsub_registry.c.
#include "shards/pubsub_patterns.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/base/glob.h"

struct pubsub_bucket {
    uint64_t anchor; // key in the table
    uint64_t seen;   // stamp of the match that has looked at it
    struct pubsub_pattern *first;
    uint32_t count;
    uint8_t kind, length; // of the anchor; length 0: the loose ones
};

static struct slice text_of_pattern(const void *element) {
    const struct pubsub_pattern *pattern = element;
    return slice_of(pattern->text, pattern->length);
}

static struct slice key_of_bucket(const void *element) {
    return slice_of(&((const struct pubsub_bucket *)element)->anchor, sizeof(uint64_t));
}

void pubsub_patterns_init(struct pubsub_patterns *p) {
    memset(p, 0, sizeof *p);
    hashtable_init(&p->patterns, text_of_pattern);
    hashtable_init(&p->buckets, key_of_bucket);
    p->loose = mem_calloc(sizeof *p->loose);
}

static void release_pattern(void *element) {
    struct pubsub_pattern *pattern = element;
    pubsub_listeners_fini(&pattern->listeners);
    mem_free(pattern);
}

void pubsub_patterns_fini(struct pubsub_patterns *p) {
    hashtable_fini(&p->buckets, mem_free);
    hashtable_fini(&p->patterns, release_pattern);
    mem_free(p->loose);
    p->loose = NULL;
}

// ---- anchors -----------------------------------------------------------------------------------

static inline uint64_t hash_begin(enum pubsub_anchor_kind kind) {
    return UINT64_C(0xcbf29ce484222325) + kind * UINT64_C(0x9e3779b97f4a7c15);
}

static inline uint64_t hash_step(uint64_t hash, char c) {
    return (hash ^ (unsigned char)c) * UINT64_C(0x100000001b3);
}

static uint64_t hash_forward(enum pubsub_anchor_kind kind, const char *p, size_t n) {
    uint64_t hash = hash_begin(kind);
    for (size_t i = 0; i < n; i++) hash = hash_step(hash, p[i]);
    return hash;
}

/** From the end on, so that a channel's ends of all lengths come out one after the other. */
static uint64_t hash_backward(const char *p, size_t n) {
    uint64_t hash = hash_begin(ANCHOR_END);
    for (size_t i = n; i-- > 0;) hash = hash_step(hash, p[i]);
    return hash;
}

struct anchor {
    enum pubsub_anchor_kind kind;
    uint8_t length; // 0: there is none
    uint64_t hash;
};

static struct anchor anchor_of(enum pubsub_anchor_kind kind, const char *p, size_t n) {
    size_t max = kind == ANCHOR_INSIDE ? PUBSUB_GRAM_MAX : PUBSUB_ANCHOR_MAX;
    size_t length = n < max ? n : max;
    uint64_t hash =
        kind == ANCHOR_END ? hash_backward(p + n - length, length) : hash_forward(kind, p, length);
    return (struct anchor){kind, (uint8_t)length, hash};
}

/**
 * What is literal in a pattern: bytes before the first, behind the last and the longest stretch
 * between special characters. Behind an escape or a class nothing counts as the end, so that the
 * matcher's fine points (a class without end, say) need not be known here.
 */
static void find_anchors(struct slice text, struct anchor out[ANCHOR_KINDS]) {
    const char *p = text.p, *end = p + text.n, *longest = p, *run = p;
    size_t longest_n = 0;
    while (run < end && !memchr("*?[\\", *run, 4)) run++;
    size_t begin_n = (size_t)(run - p);
    bool plain = true; // no escape and no class so far
    while (run < end && plain) {
        if (*run == '[' || *run == '\\') plain = false;
        const char *from = ++run;
        while (run < end && plain && !memchr("*?[\\", *run, 4)) run++;
        if ((size_t)(run - from) > longest_n && plain) {
            longest = from;
            longest_n = (size_t)(run - from);
        }
    }
    const char *last = end;
    while (plain && last > p && !memchr("*?", last[-1], 2)) last--;
    out[ANCHOR_BEGIN] = anchor_of(ANCHOR_BEGIN, p, begin_n);
    out[ANCHOR_END] = anchor_of(ANCHOR_END, last, (size_t)(end - last));
    out[ANCHOR_INSIDE] = anchor_of(ANCHOR_INSIDE, longest, longest_n);
}

static struct pubsub_bucket *find_bucket(const struct pubsub_patterns *p, uint64_t anchor) {
    return hashtable_find(&p->buckets, slice_of(&anchor, sizeof anchor));
}

/** The bucket that a new pattern belongs in. */
static struct pubsub_bucket *choose_bucket(struct pubsub_patterns *p, struct slice text) {
    struct anchor anchors[ANCHOR_KINDS];
    const struct anchor *best = NULL;
    struct pubsub_bucket *best_bucket = NULL;
    find_anchors(text, anchors);
    for (int kind = 0; kind < ANCHOR_KINDS; kind++) {
        if (anchors[kind].length == 0) continue;
        struct pubsub_bucket *b = find_bucket(p, anchors[kind].hash);
        if (best && (!best_bucket || (b && b->count >= best_bucket->count))) continue;
        best = &anchors[kind];
        best_bucket = b;
    }
    if (!best) return p->loose;
    if (best_bucket) return best_bucket;
    struct pubsub_bucket *b = mem_alloc(sizeof *b);
    *b = (struct pubsub_bucket){
        .anchor = best->hash, .kind = (uint8_t)best->kind, .length = best->length};
    hashtable_add(&p->buckets, b);
    p->lengths[b->kind][b->length]++;
    return b;
}

// ---- patterns ----------------------------------------------------------------------------------

struct pubsub_pattern *pubsub_patterns_find(const struct pubsub_patterns *p, struct slice text) {
    return hashtable_find(&p->patterns, text);
}

struct pubsub_pattern *pubsub_patterns_add(struct pubsub_patterns *p, struct slice text) {
    ASSERT(text.n <= UINT32_MAX);
    struct pubsub_pattern *pattern = mem_alloc(sizeof *pattern + text.n);
    *pattern = (struct pubsub_pattern){.hash = hashtable_hash(text), .length = (uint32_t)text.n};
    if (text.n > 0) memcpy(pattern->text, text.p, text.n);
    pubsub_listeners_init(&pattern->listeners);
    struct pubsub_bucket *b = choose_bucket(p, text);
    pattern->bucket = b;
    pattern->next = b->first;
    if (b->first) b->first->previous = pattern;
    b->first = pattern;
    b->count++;
    hashtable_add_hashed(&p->patterns, pattern, pattern->hash);
    return pattern;
}

void pubsub_patterns_remove(struct pubsub_patterns *p, struct pubsub_pattern *pattern) {
    struct pubsub_bucket *b = pattern->bucket;
    if (pattern->previous)
        pattern->previous->next = pattern->next;
    else
        b->first = pattern->next;
    if (pattern->next) pattern->next->previous = pattern->previous;
    const void *removed = hashtable_remove(&p->patterns, text_of_pattern(pattern));
    ASSERT(removed == pattern);
    release_pattern(pattern);
    if (--b->count > 0 || b == p->loose) return;
    p->lengths[b->kind][b->length]--;
    removed = hashtable_remove(&p->buckets, key_of_bucket(b));
    ASSERT(removed == b);
    mem_free(b);
}

// ---- matching ----------------------------------------------------------------------------------

struct match {
    struct pubsub_patterns *patterns;
    struct slice channel;
    void (*each)(void *context, struct pubsub_pattern *pattern);
    void *context;
};

static void try_bucket(const struct match *m, struct pubsub_bucket *b) {
    if (b->seen == m->patterns->stamp) return; // the same text once more in the channel
    b->seen = m->patterns->stamp;
    for (struct pubsub_pattern *pattern = b->first; pattern; pattern = pattern->next)
        if (glob_match(text_of_pattern(pattern), m->channel, false)) m->each(m->context, pattern);
}

static void try_anchor(const struct match *m, uint64_t hash) {
    struct pubsub_bucket *b = find_bucket(m->patterns, hash);
    if (b) try_bucket(m, b);
}

static uint32_t longest_in_use(const uint32_t *lengths, size_t max) {
    uint32_t n = (uint32_t)(max < PUBSUB_ANCHOR_MAX ? max : PUBSUB_ANCHOR_MAX);
    while (n > 0 && lengths[n] == 0) n--;
    return n;
}

static void match_ends(const struct match *m) {
    struct slice text = m->channel;
    const uint32_t *lengths = m->patterns->lengths[ANCHOR_BEGIN];
    uint32_t longest = longest_in_use(lengths, text.n);
    uint64_t hash = hash_begin(ANCHOR_BEGIN);
    for (uint32_t n = 1; n <= longest; n++) {
        hash = hash_step(hash, text.p[n - 1]);
        if (lengths[n] > 0) try_anchor(m, hash);
    }
    lengths = m->patterns->lengths[ANCHOR_END];
    longest = longest_in_use(lengths, text.n);
    hash = hash_begin(ANCHOR_END);
    for (uint32_t n = 1; n <= longest; n++) {
        hash = hash_step(hash, text.p[text.n - n]);
        if (lengths[n] > 0) try_anchor(m, hash);
    }
}

static void match_inside(const struct match *m) {
    struct slice text = m->channel;
    const uint32_t *lengths = m->patterns->lengths[ANCHOR_INSIDE];
    for (size_t n = 1; n <= PUBSUB_GRAM_MAX; n++)
        for (size_t at = 0; lengths[n] > 0 && at + n <= text.n; at++)
            try_anchor(m, hash_forward(ANCHOR_INSIDE, text.p + at, n));
}

void pubsub_patterns_match(struct pubsub_patterns *p, struct slice channel,
                           void (*each)(void *context, struct pubsub_pattern *pattern),
                           void *context) {
    if (p->patterns.count == 0) return;
    struct match m = {p, channel, each, context};
    p->stamp++;
    try_bucket(&m, p->loose);
    match_ends(&m);
    match_inside(&m);
}

// ---- validity ----------------------------------------------------------------------------------

static bool bucket_is_valid(const struct pubsub_bucket *b, uint64_t *patterns) {
    uint32_t count = 0;
    for (const struct pubsub_pattern *pattern = b->first; pattern; pattern = pattern->next) {
        if (pattern->bucket != b) return false;
        if (pattern->next && pattern->next->previous != pattern) return false;
        count++;
    }
    *patterns += count;
    return count == b->count;
}

bool pubsub_patterns_is_valid(const struct pubsub_patterns *p) {
    uint64_t patterns = 0;
    uint32_t lengths[ANCHOR_KINDS][PUBSUB_ANCHOR_MAX + 1] = {{0}};
    struct hashtable_iterator it;
    if (!hashtable_is_valid(&p->patterns) || !hashtable_is_valid(&p->buckets)) return false;
    if (!bucket_is_valid(p->loose, &patterns)) return false;
    hashtable_iterate(&it, &p->buckets);
    for (const struct pubsub_bucket *b; (b = hashtable_next(&it)) != NULL;) {
        if (b->count == 0 || !bucket_is_valid(b, &patterns)) return false;
        lengths[b->kind][b->length]++;
    }
    return patterns == p->patterns.count && memcmp(lengths, p->lengths, sizeof lengths) == 0;
}
