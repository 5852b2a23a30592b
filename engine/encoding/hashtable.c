// SPDX-License-Identifier: BSD-3-Clause
//
// The hash table of large collections: finding, adding, removing, and growing or shrinking by one
// bucket at a time (linear hashing: Litwin, VLDB 1980). Runs on the thread that owns the table.
// Invariants: slots of a bucket are filled without gaps, an array exactly while it holds more than
// eight elements; every element is in the bucket that its hash says, under the tag of that bucket's
// depth. hashtable_is_valid() walks them. Callers: sets, hashes, the member index of sorted sets.
#include "engine/encoding/hashtable.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/hash.h"
#include "engine/base/prefetch.h"
#include "engine/encoding/hashtable_slots.h"

// Elements per bucket, times 4, above which a bucket is split and below which one is merged. At 6
// of them an element costs 11.7 bytes of table, and one in nine is in an array.
#define SPLIT_LOAD        24
#define MERGE_LOAD        15
#define MERGES_PER_REMOVE 2
#define DEPTH_MAX         32

static uint64_t seed = UINT64_C(0x746f72632d736574);

void hashtable_set_seed(uint64_t value) { seed = value; }

uint64_t hashtable_hash(struct slice text) { return hash_bytes(text.p, text.n, seed); }

void hashtable_init(struct hashtable *t, hashtable_text_fn *text_of) {
    memset(t, 0, sizeof(*t));
    t->text_of = text_of;
}

void hashtable_fini(struct hashtable *t, void (*release)(void *element)) {
    struct hashtable_iterator it;
    hashtable_iterate(&it, t);
    for (void *e; release != NULL && (e = hashtable_next(&it)) != NULL;) release(e);
    for (uint32_t b = 0; b < t->nbuckets; b++) {
        uint64_t last = hashtable__bucket(t, b)[HASHTABLE__LAST];
        if (hashtable__is_link(last)) hashtable__overflow_free(t, last);
    }
    hashtable__free_chunks(t);
    ASSERT(t->memory == 0);
    hashtable_init(t, t->text_of);
}

static uint64_t hash_of(const struct hashtable *t, uint64_t slot) {
    return hashtable_hash(t->text_of(hashtable__element(slot)));
}

// ---- finding -----------------------------------------------------------------------------------

static __attribute__((noinline)) uint64_t *find_in_array(const struct hashtable *t, uint64_t *slots,
                                                         struct slice text, uint64_t tag) {
    struct hashtable__content c = hashtable__content(slots);
    for (size_t i = 0; i < c.in_array; i++) {
        if (c.array[i] >> HASHTABLE__TAG_SHIFT != tag) continue;
        if (slice_equal_short(t->text_of(hashtable__element(c.array[i])), text)) return &c.array[i];
    }
    return NULL;
}

/** The slot of a text among those of its bucket, or NULL. */
static inline uint64_t *find_slot(const struct hashtable *t, uint64_t *slots, struct slice text,
                                  uint64_t tag) {
    uint32_t matches = hashtable__match(slots, tag);
    bool link = hashtable__is_link(slots[HASHTABLE__LAST]);
    if (link) matches &= ~(1u << HASHTABLE__LAST);
    for (; matches != 0; matches &= matches - 1) {
        uint64_t *slot = &slots[__builtin_ctz(matches)];
        if (unlikely(*slot == 0)) break; // the tag is 0, and so are slots that are empty
        if (likely(slice_equal_short(t->text_of(hashtable__element(*slot)), text))) return slot;
    }
    return unlikely(link) ? find_in_array(t, slots, text, tag) : NULL;
}

void *hashtable_find_hashed(const struct hashtable *t, struct slice text, uint64_t hash) {
    if (unlikely(t->nbuckets == 0)) return NULL;
    unsigned depth;
    uint64_t *slots = hashtable__bucket(t, hashtable__address(t, hash, &depth));
    uint64_t *slot = find_slot(t, slots, text, hashtable__tag(hash, depth));
    return slot != NULL ? hashtable__element(*slot) : NULL;
}

void *hashtable_find(const struct hashtable *t, struct slice text) {
    return hashtable_find_hashed(t, text, hashtable_hash(text));
}

void hashtable_prefetch(const struct hashtable *t, uint64_t hash) {
    unsigned depth;
    if (t->nbuckets != 0) prefetch_read(hashtable__bucket(t, hashtable__address(t, hash, &depth)));
}

void hashtable_prefetch_element(const struct hashtable *t, uint64_t hash) {
    if (t->nbuckets == 0) return;
    unsigned depth;
    const uint64_t *slots = hashtable__bucket(t, hashtable__address(t, hash, &depth));
    uint32_t matches = hashtable__match(slots, hashtable__tag(hash, depth));
    // Of a link this loads its array: nearly always it is that which is wanted next.
    for (; matches != 0; matches &= matches - 1)
        prefetch_read(hashtable__element(slots[__builtin_ctz(matches)]));
    uint64_t last = slots[HASHTABLE__LAST];
    if (unlikely(hashtable__is_link(last))) prefetch_read(hashtable__link_base(last));
}

// ---- adding and splitting ----------------------------------------------------------------------

static void add_slot(struct hashtable *t, uint64_t *slots, uint64_t slot) {
    for (size_t i = 0; i < HASHTABLE__SLOTS; i++) {
        if (slots[i] == 0) {
            slots[i] = slot;
            return;
        }
    }
    hashtable__overflow_add(t, slots, slot);
}

/** Takes the last element of a bucket that holds one out of it, and returns its slot. */
static uint64_t pop_slot(struct hashtable *t, uint64_t *slots) {
    struct hashtable__content c = hashtable__content(slots);
    uint64_t *last = hashtable__content_at(&c, hashtable__content_count(&c) - 1);
    uint64_t slot = *last;
    if (c.array != NULL)
        hashtable__overflow_pop(t, slots);
    else
        *last = 0;
    return slot;
}

/** Gives the elements of a bucket the tags of that depth, and looks at them for it. */
static void retag(const struct hashtable *t, uint64_t *slots, unsigned depth) {
    struct hashtable__content c = hashtable__content(slots);
    size_t n = hashtable__content_count(&c);
    for (size_t i = 0; i < n; i++) prefetch_read(hashtable__element(*hashtable__content_at(&c, i)));
    for (size_t i = 0; i < n; i++) {
        uint64_t *slot = hashtable__content_at(&c, i);
        uint64_t tag = hashtable__tag(hash_of(t, *slot), depth);
        *slot = hashtable__slot(hashtable__element(*slot), tag);
    }
}

/** Splits the next bucket in turn: half of its elements move to a new bucket at the end. */
static void split(struct hashtable *t) {
    uint32_t bit = UINT32_C(1) << t->level;
    unsigned depth = t->level;
    ASSERT(depth < DEPTH_MAX - 1);
    hashtable__append_bucket(t);
    uint64_t *slots = hashtable__bucket(t, t->nbuckets - bit);
    uint64_t *target = hashtable__bucket(t, t->nbuckets);
    // The bucket's content is taken out first: it goes back into clean slots.
    _Alignas(64) uint64_t own[HASHTABLE__SLOTS];
    memcpy(own, slots, sizeof(own));
    memset(slots, 0, sizeof(own));
    struct hashtable__content c = hashtable__content(own);
    unsigned decides = HASHTABLE__TAG_SHIFT + depth - hashtable__tag_from(depth);
    for (size_t i = 0, n = hashtable__content_count(&c); i < n; i++) {
        uint64_t slot = *hashtable__content_at(&c, i);
        add_slot(t, slot >> decides & 1 ? target : slots, slot);
    }
    if (c.array != NULL) hashtable__overflow_free(t, own[HASHTABLE__LAST]);
    if (hashtable__tag_from(depth + 1) != hashtable__tag_from(depth)) {
        retag(t, slots, depth + 1);
        retag(t, target, depth + 1);
    }
    t->nbuckets++;
    if (t->nbuckets == bit * 2) t->level++;
}

bool hashtable_expect(struct hashtable *t, size_t count, size_t most) {
    ASSERT(t->count == 0);
    uint64_t buckets = ((uint64_t)count * 4 + SPLIT_LOAD - 1) / SPLIT_LOAD;
    ASSERT(buckets < UINT64_C(1) << (DEPTH_MAX - 1));
    for (uint64_t left = most / SPLIT_LOAD * 4 + 1; left > 0 && t->nbuckets < buckets; left--) {
        hashtable__append_bucket(t);
        t->nbuckets++;
    }
    t->level = t->nbuckets > 0 ? (uint8_t)(63 - __builtin_clzll(t->nbuckets)) : 0;
    return t->nbuckets >= buckets;
}

void hashtable_add_hashed(struct hashtable *t, void *element, uint64_t hash) {
    ASSERT_DEV(hashtable_find_hashed(t, t->text_of(element), hash) == NULL);
    ASSERT(element != NULL);
    if (unlikely(t->nbuckets == 0)) {
        hashtable__append_bucket(t);
        t->nbuckets = 1;
        t->level = 0;
    }
    unsigned depth;
    uint64_t *slots = hashtable__bucket(t, hashtable__address(t, hash, &depth));
    add_slot(t, slots, hashtable__slot(element, hashtable__tag(hash, depth)));
    t->count++;
    if (t->count * 4 > (uint64_t)t->nbuckets * SPLIT_LOAD) split(t);
}

void hashtable_add(struct hashtable *t, void *element) {
    hashtable_add_hashed(t, element, hashtable_hash(t->text_of(element)));
}

void hashtable_replace(struct hashtable *t, const void *old, void *element) {
    unsigned depth;
    uint64_t hash = hashtable_hash(t->text_of(element));
    uint64_t *slots = hashtable__bucket(t, hashtable__address(t, hash, &depth));
    uint64_t wanted = hashtable__slot(old, hashtable__tag(hash, depth));
    struct hashtable__content c = hashtable__content(slots);
    size_t i = 0, n = hashtable__content_count(&c);
    while (i < n && *hashtable__content_at(&c, i) != wanted) i++;
    ASSERT(i < n);
    *hashtable__content_at(&c, i) = hashtable__slot(element, hashtable__tag(hash, depth));
}

// ---- removing and merging ----------------------------------------------------------------------

static bool wants_merge(const struct hashtable *t) {
    return t->nbuckets > 1 && t->count * 4 < (uint64_t)t->nbuckets * MERGE_LOAD;
}

/** Merges the last bucket into the one that it was split from. */
static void merge(struct hashtable *t) {
    uint32_t last = t->nbuckets - 1;
    if (last < UINT32_C(1) << t->level) t->level--;
    unsigned depth = t->level; // of the merged bucket
    uint64_t *slots = hashtable__bucket(t, last);
    uint64_t *target = hashtable__bucket(t, last - (UINT32_C(1) << depth));
    while (slots[0] != 0) add_slot(t, target, pop_slot(t, slots));
    if (hashtable__tag_from(depth + 1) != hashtable__tag_from(depth)) retag(t, target, depth);
    t->nbuckets = last;
    hashtable__drop_bucket(t);
}

void *hashtable_remove(struct hashtable *t, struct slice text) {
    if (t->nbuckets == 0) return NULL;
    unsigned depth;
    uint64_t hash = hashtable_hash(text);
    uint64_t *slots = hashtable__bucket(t, hashtable__address(t, hash, &depth));
    uint64_t *slot = find_slot(t, slots, text, hashtable__tag(hash, depth));
    if (slot == NULL) return NULL;
    void *element = hashtable__element(*slot);
    // The hole is filled with the last element before that goes, its array with it.
    struct hashtable__content c = hashtable__content(slots);
    *slot = *hashtable__content_at(&c, hashtable__content_count(&c) - 1);
    pop_slot(t, slots);
    t->count--;
    for (int i = 0; i < MERGES_PER_REMOVE && wants_merge(t); i++) merge(t);
    return element;
}

// ---- validity ----------------------------------------------------------------------------------

static bool bucket_is_valid(const struct hashtable *t, uint32_t bucket, size_t *count,
                            size_t *bytes) {
    uint64_t *slots = hashtable__bucket(t, bucket);
    for (size_t i = 1; i < HASHTABLE__SLOTS; i++) {
        if (slots[i] != 0 && slots[i - 1] == 0) return false;
        if (hashtable__is_link(slots[i - 1])) return false;
    }
    struct hashtable__content c = hashtable__content(slots);
    if (c.array != NULL && c.in_array < 2) return false;
    for (size_t i = 0, n = hashtable__content_count(&c); i < n; i++) {
        uint64_t slot = *hashtable__content_at(&c, i);
        uint64_t hash = hash_of(t, slot);
        unsigned depth;
        if (hashtable__address(t, hash, &depth) != bucket) return false;
        if (slot >> HASHTABLE__TAG_SHIFT != hashtable__tag(hash, depth)) return false;
        ++*count;
    }
    if (c.array != NULL) *bytes += mem_usable(hashtable__link_base(slots[HASHTABLE__LAST]));
    return true;
}

bool hashtable_is_valid(const struct hashtable *t) {
    if (t->nbuckets == 0) return t->count == 0 && t->memory == 0 && t->first == NULL;
    if (t->nbuckets >> t->level != 1) return false;
    if (t->count * 4 > (uint64_t)t->nbuckets * SPLIT_LOAD + 4) return false;
    if (((uintptr_t)t->first & (HASHTABLE__BUCKET_BYTES - 1)) != 0) return false;
    size_t count = 0, bytes = hashtable__chunk_bytes(t);
    for (uint32_t b = 0; b < t->nbuckets; b++)
        if (!bucket_is_valid(t, b, &count, &bytes)) return false;
    return count == t->count && bytes == t->memory;
}
