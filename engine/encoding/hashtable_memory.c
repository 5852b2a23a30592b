// SPDX-License-Identifier: BSD-3-Clause
//
// Where a hash table's buckets lie. Chunks of 16 KiB behind a directory; the last chunk is only as
// long as it must be and grows in steps of a half or a third, so that small tables are small and
// growing copies no more than those 16 KiB. A table of one chunk has no directory. Also the arrays
// of buckets that overflow. Runs on the thread that owns the table; called by hashtable.c only.
// Invariant: t->memory is the usable bytes of all that was allocated here, and buckets from
// nbuckets on are zero.
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/encoding/hashtable_slots.h"

#define DIRECTORY_MIN 8
#define LATER_STEP    7 // of a chunk that is not the first: so many bytes more do not matter there

// Buckets of the last chunk.
static const uint16_t rooms[] = {1,  2,  3,  4,  6,  8,   12,  16,
                                 24, 32, 48, 64, 96, 128, 192, HASHTABLE__CHUNK};
#define LAST_STEP (sizeof(rooms) / sizeof(rooms[0]) - 1)

static void *take(struct hashtable *t, void *p) {
    t->memory += mem_usable(p);
    return p;
}

static void give(struct hashtable *t, void *p) {
    t->memory -= mem_usable(p);
    mem_free(p);
}

// ---- chunks ------------------------------------------------------------------------------------

/**
 * A block at a multiple of 64. The allocator would round up what is asked for with an alignment,
 * but blocks of these sizes lie well anyway.
 */
static uint64_t *chunk_new(struct hashtable *t, size_t step) {
    size_t bytes = rooms[step] * HASHTABLE__BUCKET_BYTES;
    void *p = mem_alloc(bytes);
    if (unlikely(((uintptr_t)p & (HASHTABLE__BUCKET_BYTES - 1)) != 0)) {
        mem_free(p);
        p = mem_alloc_aligned(bytes, HASHTABLE__BUCKET_BYTES);
    }
    return take(t, p);
}

static uint32_t chunk_count(const struct hashtable *t) {
    return (uint32_t)(((uint64_t)t->nbuckets + HASHTABLE__CHUNK - 1) >> HASHTABLE__CHUNK_SHIFT);
}

static void directory_resize(struct hashtable *t, uint32_t room) {
    if (t->chunks != NULL) t->memory -= mem_usable(t->chunks);
    t->chunks = take(t, mem_realloc(t->chunks, room * sizeof(*t->chunks)));
    t->chunks[0] = t->first;
    t->directory_room = room;
}

static void set_chunk(struct hashtable *t, uint32_t index, uint64_t *chunk) {
    if (index == 0) t->first = chunk;
    if (index >= t->directory_room && index > 0)
        directory_resize(t, index < DIRECTORY_MIN ? DIRECTORY_MIN : index * 2);
    if (t->chunks != NULL) t->chunks[index] = chunk;
}

/** Another size for the last chunk, of which `used` buckets are in use. */
static void chunk_resize(struct hashtable *t, uint32_t index, size_t step, uint32_t used) {
    uint64_t *old = index == 0 ? t->first : t->chunks[index];
    uint64_t *chunk = chunk_new(t, step);
    memcpy(chunk, old, used * HASHTABLE__BUCKET_BYTES);
    memset(chunk + (size_t)used * HASHTABLE__SLOTS, 0,
           (rooms[step] - used) * HASHTABLE__BUCKET_BYTES);
    give(t, old);
    set_chunk(t, index, chunk);
    t->step = (uint8_t)step;
}

void hashtable__append_bucket(struct hashtable *t) {
    uint32_t index = t->nbuckets >> HASHTABLE__CHUNK_SHIFT;
    uint32_t used = t->nbuckets & (HASHTABLE__CHUNK - 1);
    if (used != 0) {
        if (used == rooms[t->step]) chunk_resize(t, index, t->step + 1u, used);
        return;
    }
    t->step = index == 0 ? 0 : LATER_STEP;
    uint64_t *chunk = chunk_new(t, t->step);
    memset(chunk, 0, rooms[t->step] * HASHTABLE__BUCKET_BYTES);
    set_chunk(t, index, chunk);
}

void hashtable__drop_bucket(struct hashtable *t) {
    uint32_t index = t->nbuckets >> HASHTABLE__CHUNK_SHIFT; // where the dropped one was
    uint32_t used = t->nbuckets & (HASHTABLE__CHUNK - 1);
    if (used != 0) {
        // Two steps down before one is taken: a size that swings does not swing the memory.
        if (t->step >= 2 && used <= rooms[t->step - 2]) chunk_resize(t, index, t->step - 1u, used);
        return;
    }
    give(t, index == 0 ? t->first : t->chunks[index]);
    t->step = LAST_STEP;
    if (index == 0) t->first = NULL;
    if (index <= 1 && t->chunks != NULL) {
        give(t, t->chunks);
        t->chunks = NULL;
        t->directory_room = 0;
    } else if (t->directory_room > DIRECTORY_MIN && index <= t->directory_room / 4) {
        directory_resize(t, t->directory_room / 2);
    }
}

void hashtable__free_chunks(struct hashtable *t) {
    for (uint32_t i = 1, n = chunk_count(t); i < n; i++) give(t, t->chunks[i]);
    if (t->first != NULL) give(t, t->first);
    if (t->chunks != NULL) give(t, t->chunks);
    t->first = NULL;
    t->chunks = NULL;
    t->nbuckets = t->directory_room = 0;
}

size_t hashtable__chunk_bytes(const struct hashtable *t) {
    size_t bytes = t->chunks != NULL ? mem_usable(t->chunks) : 0;
    for (uint32_t i = 0, n = chunk_count(t); i < n; i++)
        bytes += mem_usable(i == 0 ? t->first : t->chunks[i]);
    return bytes;
}

// ---- arrays of buckets that overflow -----------------------------------------------------------

/** Words that an array of so many elements has. */
static size_t array_words(size_t count) {
    if (count < HASHTABLE__LONG) return (count + 1) & ~(size_t)1;
    return (1 + count + HASHTABLE__LONG - 1) / HASHTABLE__LONG * HASHTABLE__LONG;
}

/** The array of a link gets room for another number of elements. */
static uint64_t *array_resize(struct hashtable *t, uint64_t *base, size_t from, size_t to) {
    if (array_words(from) == array_words(to)) return base;
    t->memory -= mem_usable(base);
    return take(t, mem_realloc(base, array_words(to) * sizeof(uint64_t)));
}

static uint64_t link_of(uint64_t *base, size_t count) {
    uint64_t tag = count;
    if (count >= HASHTABLE__LONG) {
        base[0] = count;
        tag = HASHTABLE__TAG_MASK;
    }
    return hashtable__slot(base, tag) | 1;
}

void hashtable__overflow_add(struct hashtable *t, uint64_t *slots, uint64_t slot) {
    if (!hashtable__is_link(slots[HASHTABLE__LAST])) {
        uint64_t *base = take(t, mem_alloc(2 * sizeof(uint64_t)));
        base[0] = slots[HASHTABLE__LAST];
        base[1] = slot;
        slots[HASHTABLE__LAST] = link_of(base, 2);
        return;
    }
    size_t n = hashtable__content(slots).in_array;
    uint64_t *base = hashtable__link_base(slots[HASHTABLE__LAST]);
    base = array_resize(t, base, n, n + 1);
    if (n + 1 == HASHTABLE__LONG) memmove(base + 1, base, n * sizeof(uint64_t));
    base[n + (n + 1 >= HASHTABLE__LONG)] = slot;
    slots[HASHTABLE__LAST] = link_of(base, n + 1);
}

void hashtable__overflow_pop(struct hashtable *t, uint64_t *slots) {
    size_t n = hashtable__content(slots).in_array;
    uint64_t *base = hashtable__link_base(slots[HASHTABLE__LAST]);
    if (n == 2) {
        slots[HASHTABLE__LAST] = base[0];
        give(t, base);
        return;
    }
    if (n == HASHTABLE__LONG) memmove(base, base + 1, (n - 1) * sizeof(uint64_t));
    base = array_resize(t, base, n, n - 1);
    slots[HASHTABLE__LAST] = link_of(base, n - 1);
}

void hashtable__overflow_free(struct hashtable *t, uint64_t link) {
    give(t, hashtable__link_base(link));
}
