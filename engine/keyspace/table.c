// SPDX-License-Identifier: BSD-3-Clause
//
// The hash table: finding, inserting, removing, and growing or shrinking by one bucket at a time.
// It runs on the thread that owns the table. A key's bucket is the low bits of its hash: level + 1
// of them if such a bucket exists already, level of them otherwise. Invariants: slots of a bucket
// are filled without gaps; an overflow array exists exactly while a bucket holds more than eight
// entries and has room for just an even number; every entry is in the bucket its hash says.
// table_is_valid() walks them. Called by keyspace.c and expiry.c; table_scan.c reads the same
// structure.
#include "engine/keyspace/table.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/base/prefetch.h"
#include "engine/keyspace/entry_layout.h"
#include "engine/base/hash.h"
#include "engine/keyspace/table_memory.h"
#include "engine/keyspace/table_overflow.h"
#include "engine/keyspace/table_slots.h"

// Entries per bucket, times 4, above which a bucket is split and below which one is merged.
// At 6 entries a bucket an entry costs 11.7 bytes of table and one in nine is in an overflow array;
// at 5 it would be 13.4 bytes and one in fifteen, at 7 10.7 bytes and one in six.
#define SPLIT_LOAD        24
#define MERGE_LOAD        15
// Entries are packed, so most short ones lie in two cache lines; the end of one of 56 bytes is this
// far in.
#define SECOND_LINE       48
#define EXPECT_MAX        (UINT64_C(1) << 30) // most entries that memory is taken for in advance
#define MERGES_PER_REMOVE 2 // so that a table that had to wait with merging catches up

_Static_assert(TABLE_BUCKET_SLOTS * sizeof(uint64_t) == TABLE__BUCKET_BYTES, "a bucket is a line");
_Static_assert(SPLIT_LOAD > MERGE_LOAD + 4, "splitting must not call for merging");

void table_init(struct table *t, uint64_t seed) {
    memset(t, 0, sizeof(*t));
    t->seed = seed;
}

void table_fini(struct table *t) {
    if (t->overflow != 0) {
        for (uint64_t b = 0; b < t->nbuckets; b++) {
            uint64_t last = table__bucket(t, b)[TABLE__LAST];
            if (table__is_link(last)) table__overflow_free(t, last);
        }
    }
    table__memory_free(t);
    table_init(t, t->seed);
}

void table_prefetch(const struct table *t, uint64_t hash) {
    if (t->nbuckets != 0) prefetch_read(table__bucket(t, table__address(t, hash)));
}

bool table_prefetch_entry(const struct table *t, uint64_t hash) {
    if (t->nbuckets == 0) return false;
    const uint64_t *slots = table__bucket(t, table__address(t, hash));
    uint32_t matches = table__match8(slots, table__tag(hash));
    if (table__is_link(slots[TABLE__LAST])) {
        matches &= ~(1u << TABLE__LAST);
        if (matches == 0) {
            prefetch_read(table__link_array(slots[TABLE__LAST]));
            return true;
        }
    }
    for (; matches != 0; matches &= matches - 1) {
        const struct entry *e = table__entry(slots[__builtin_ctz(matches)]);
        prefetch_read(e);
        prefetch_read((const char *)e + SECOND_LINE);
    }
    return false;
}

void table_prefetch_overflow(const struct table *t, uint64_t hash) {
    uint64_t link = table__bucket(t, table__address(t, hash))[TABLE__LAST];
    if (!table__is_link(link) || table__link_is_long(link)) return;
    const uint64_t *array = table__link_array(link);
    for (size_t i = 0, n = table__link_count(link); i < n; i++) {
        if (array[i] >> TABLE_TAG_SHIFT == table__tag(hash)) prefetch_read(table__entry(array[i]));
    }
}

static inline bool key_is(const struct entry *e, struct slice key) {
    // The first comparison reads the header's length alone, in the line that the key starts in.
    uint8_t klen = key.n < ENTRY__LONG_KEY ? (uint8_t)key.n : ENTRY__LONG_KEY;
    if (e->klen != klen) return false;
    if (unlikely(klen == ENTRY__LONG_KEY)) return slice_equal(entry_key(e), key);
    const char *own = (const char *)e + entry__key_offset(e->flags, e->encoding);
    return slice_equal_short(slice_of(own, klen), key);
}

static __attribute__((noinline)) struct table_ref find_overflow(uint64_t link, struct slice key,
                                                                uint64_t tag) {
    uint64_t *array = table__link_array(link);
    size_t n = table__link_count(link);
    for (size_t i = 0; i < n; i++) {
        if (array[i] >> TABLE_TAG_SHIFT != tag) continue;
        struct entry *e = table__entry(array[i]);
        if (key_is(e, key)) return (struct table_ref){&array[i], e};
    }
    return (struct table_ref){NULL, NULL};
}

struct table_ref table_find(const struct table *t, struct slice key, uint64_t hash) {
    if (unlikely(t->nbuckets == 0)) return (struct table_ref){NULL, NULL};
    uint64_t *slots = table__bucket(t, table__address(t, hash));
    uint64_t tag = table__tag(hash);
    uint32_t matches = table__match8(slots, tag);
    bool link = table__is_link(slots[TABLE__LAST]);
    if (link) matches &= ~(1u << TABLE__LAST);
    for (; matches != 0; matches &= matches - 1) {
        uint64_t *slot = &slots[__builtin_ctz(matches)];
        struct entry *e = table__entry(*slot);
        prefetch_read((const char *)e + SECOND_LINE);
        if (likely(key_is(e, key))) return (struct table_ref){slot, e};
    }
    if (link) return find_overflow(slots[TABLE__LAST], key, tag);
    return (struct table_ref){NULL, NULL};
}

struct table_ref table_find_hash(const struct table *t, uint64_t hash) {
    if (t->nbuckets == 0) return (struct table_ref){NULL, NULL};
    uint64_t bucket = table__address(t, hash), tag = table__tag(hash);
    for (size_t i = 0;; i++) {
        struct table_ref ref = table_bucket_at(t, bucket, i);
        if (ref.entry == NULL) return ref;
        if (*ref.slot >> TABLE_TAG_SHIFT == tag && table__hash(t, ref.entry) == hash) return ref;
    }
}

static void add_slot(struct table *t, uint64_t *slots, uint64_t slot) {
    for (size_t i = 0; i < TABLE_BUCKET_SLOTS; i++) {
        if (slots[i] == 0) {
            slots[i] = slot;
            return;
        }
    }
    table__overflow_add(t, slots, slot);
}

/** Takes the last entry of a bucket out of its slot and returns the slot's content. */
static uint64_t pop_slot(struct table *t, uint64_t *slots) {
    if (table__is_link(slots[TABLE__LAST])) return table__overflow_pop(t, slots);
    size_t i = TABLE_BUCKET_SLOTS;
    while (slots[i - 1] == 0) i--;
    uint64_t slot = slots[i - 1];
    slots[i - 1] = 0;
    return slot;
}

/** Splits the next bucket in turn: half of its entries move to a new bucket at the array's end. */
static void split(struct table *t) {
    uint64_t bit = t->level_mask + 1;
    uint64_t from = t->nbuckets - bit;
    table__memory_grow(t, t->nbuckets + 1);
    uint64_t *slots = table__bucket(t, from);
    uint64_t *target = table__bucket(t, t->nbuckets);
    ASSERT_DEV(target[0] == 0);

    // The bucket's content is taken out first: it goes back into clean slots.
    uint64_t own[TABLE_BUCKET_SLOTS];
    memcpy(own, slots, sizeof(own));
    uint64_t *array = NULL;
    size_t in_array = 0, in_slots = TABLE_BUCKET_SLOTS;
    if (table__is_link(own[TABLE__LAST])) {
        array = table__link_array(own[TABLE__LAST]);
        in_array = table__link_count(own[TABLE__LAST]);
        in_slots = TABLE__LAST;
    }
    for (size_t i = 0; i < in_slots && own[i] != 0; i++) prefetch_read(table__entry(own[i]));
    for (size_t i = 0; i < in_array; i++) prefetch_read(table__entry(array[i]));
    memset(slots, 0, TABLE__BUCKET_BYTES);
    for (size_t i = 0; i < in_slots + in_array; i++) {
        uint64_t slot = i < in_slots ? own[i] : array[i - in_slots];
        if (slot == 0) break;
        uint64_t hash = table__hash(t, table__entry(slot));
        add_slot(t, hash & bit ? target : slots, slot);
    }
    if (array != NULL) table__overflow_free(t, own[TABLE__LAST]);
    t->nbuckets++;
    if (t->nbuckets == bit * 2) t->level_mask = bit * 2 - 1;
}

static bool wants_merge(const struct table *t) {
    return t->nbuckets > 1 && t->count * 4 < t->nbuckets * MERGE_LOAD;
}

/** Merges the last bucket into the one it was split from; false when a walk forbids it for now. */
static bool merge(struct table *t) {
    uint64_t last = t->nbuckets - 1;
    uint64_t bit = last > t->level_mask ? t->level_mask + 1 : (t->level_mask + 1) / 2;
    uint64_t into = last - bit;
    if (into < t->walked && last >= t->walked) {
        if (t->count * 16 >= t->nbuckets * MERGE_LOAD) return false;
        t->walked = 0; // far too sparse to wait any longer: the walk starts over
    }
    uint64_t *slots = table__bucket(t, last);
    uint64_t *target = table__bucket(t, into);
    while (slots[0] != 0) add_slot(t, target, pop_slot(t, slots));
    if (last <= t->level_mask) t->level_mask >>= 1;
    t->nbuckets = last;
    if (t->walked > last) t->walked = last;
    table__memory_shrink(t, last);
    return true;
}

bool table_shrink_step(struct table *t) { return wants_merge(t) && merge(t) && wants_merge(t); }

void table_insert(struct table *t, struct entry *e, uint64_t hash, uint8_t code) {
    ASSERT(code != TABLE_LINK_CODE);
    if (unlikely(t->nbuckets == 0)) {
        table__memory_grow(t, 1);
        t->nbuckets = 1;
        t->level_mask = 0;
    }
    uint64_t slot = table__slot(e, table__tag(hash), code);
    add_slot(t, table__bucket(t, table__address(t, hash)), slot);
    t->count++;
    if (t->count * 4 > t->nbuckets * SPLIT_LOAD) split(t);
}

void table_expect(struct table *t, uint64_t count) {
    if (t->count != 0 || t->walked != 0 || count > EXPECT_MAX) return;
    uint64_t n = (count * 4 + SPLIT_LOAD - 1) / SPLIT_LOAD;
    if (n <= t->nbuckets || n == 0) return;
    table__memory_grow(t, n);
    t->nbuckets = n;
    while (t->level_mask * 2 + 1 < n) t->level_mask = t->level_mask * 2 + 1;
    ASSERT(n >= t->level_mask + 1 && n < 2 * (t->level_mask + 1));
}

void table_replace(struct table_ref *ref, struct entry *e, uint8_t code) {
    ASSERT(code != TABLE_LINK_CODE && ref->slot != NULL);
    *ref->slot = table__slot(e, *ref->slot >> TABLE_TAG_SHIFT, code);
    ref->entry = e;
}

void table_remove(struct table *t, struct table_ref ref, uint64_t hash) {
    ASSERT(ref.slot != NULL && table__entry(*ref.slot) == ref.entry && t->count > 0);
    uint64_t *slots = table__bucket(t, table__address(t, hash));
    // The hole is filled before its array may be freed: content first, then the last entry goes.
    uint64_t removed = *ref.slot;
    uint64_t last = table__last_slot(slots);
    *ref.slot = last;
    uint64_t popped = pop_slot(t, slots);
    ASSERT_DEV(popped == last && (removed != last || popped == removed));
    (void)removed;
    (void)popped;
    t->count--;
    for (int i = 0; i < MERGES_PER_REMOVE && wants_merge(t); i++) {
        if (!merge(t)) break;
    }
}

uint64_t table_drain(struct table *t, uint64_t bucket, uint32_t *budget,
                     void (*visit)(void *context, struct entry *e), void *context) {
    for (; bucket<t->nbuckets && * budget> 0; bucket++) {
        uint64_t *slots = table__bucket(t, bucket);
        uint64_t last = slots[TABLE__LAST];
        size_t n = TABLE_BUCKET_SLOTS;
        if (table__is_link(last)) n = TABLE__LAST + table__link_count(last);
        table_each_in(t, bucket, visit, context);
        if (table__is_link(last)) table__overflow_free(t, last);
        memset(slots, 0, TABLE_BUCKET_SLOTS * sizeof(uint64_t));
        *budget = *budget > n ? *budget - (uint32_t)n : 0;
    }
    return bucket;
}

bool table_bucket_has(const struct table *t, uint64_t bucket, const uint8_t due[256]) {
    const uint64_t *slots = table__bucket(t, bucket);
    uint8_t any = 0;
    for (size_t i = 0; i < TABLE_BUCKET_SLOTS; i++) any |= due[slots[i] >> TABLE_CODE_SHIFT & 0xff];
    return any != 0;
}

struct table_ref table_bucket_at(const struct table *t, uint64_t bucket, size_t i) {
    uint64_t *slots = table__bucket(t, bucket);
    uint64_t *slot = i < TABLE_BUCKET_SLOTS ? &slots[i] : NULL;
    if (i >= TABLE__LAST && table__is_link(slots[TABLE__LAST])) {
        size_t n = table__link_count(slots[TABLE__LAST]);
        slot = i - TABLE__LAST < n ? &table__link_array(slots[TABLE__LAST])[i - TABLE__LAST] : NULL;
    }
    if (slot == NULL || *slot == 0) return (struct table_ref){NULL, NULL};
    return (struct table_ref){slot, table__entry(*slot)};
}

size_t table_memory(const struct table *t) { return t->committed + t->overflow; }

static bool bucket_is_valid(const struct table *t, uint64_t b, uint64_t *count, size_t *overflow) {
    uint64_t *slots = table__bucket(t, b);
    bool link = table__is_link(slots[TABLE__LAST]);
    for (size_t i = 1; i < TABLE_BUCKET_SLOTS; i++) {
        if (slots[i] != 0 && slots[i - 1] == 0) return false;
        if (i < TABLE__LAST && table__is_link(slots[i])) return false;
    }
    if (link && table__link_count(slots[TABLE__LAST]) < 2) return false;
    for (size_t i = 0;; i++) {
        struct table_ref ref = table_bucket_at(t, b, i);
        if (ref.entry == NULL) break;
        if (!entry_is_valid(ref.entry)) return false;
        uint64_t hash = table__hash(t, ref.entry);
        if (table__address(t, hash) != b) return false;
        if (*ref.slot >> TABLE_TAG_SHIFT != table__tag(hash)) return false;
        bool expires = entry_due_ms(ref.entry) != ENTRY_NO_EXPIRE;
        if ((table_ref_code(ref) != 0) != expires) return false;
        ++*count;
    }
    if (link) *overflow += table__overflow_bytes(slots[TABLE__LAST]);
    return true;
}

bool table_is_valid(const struct table *t) {
    if (t->nbuckets == 0) return t->count == 0 && t->buckets == NULL && t->committed == 0;
    if (((uintptr_t)t->buckets & (TABLE__BUCKET_BYTES - 1)) != 0) return false;
    if (t->nbuckets * TABLE__BUCKET_BYTES > t->committed) return false;
    if (t->reserved != 0 && t->committed > t->reserved) return false;
    if ((t->level_mask & (t->level_mask + 1)) != 0) return false;
    if (t->nbuckets < t->level_mask + 1 || t->nbuckets >= 2 * (t->level_mask + 1)) return false;
    if (t->count * 4 > t->nbuckets * SPLIT_LOAD + 4) return false;
    uint64_t count = 0;
    size_t overflow = 0;
    for (uint64_t b = 0; b < t->nbuckets; b++) {
        if (!bucket_is_valid(t, b, &count, &overflow)) return false;
    }
    for (uint64_t b = t->nbuckets; b < t->committed / TABLE__BUCKET_BYTES; b++) {
        if (t->buckets[b * TABLE_BUCKET_SLOTS] != 0) return false;
    }
    return count == t->count && overflow == t->overflow;
}
