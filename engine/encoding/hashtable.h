// SPDX-License-Identifier: BSD-3-Clause
//
// The hash table behind large sets, hashes and the member index of sorted sets. It maps a text to
// an element, which is a block of the owner's own shape: the table asks `text_of` for an element's
// text and keeps nothing but pointers. Linear hashing over 64-byte buckets in chunks behind a
// directory: it grows and shrinks by one bucket at a time, so that no call pays for more than a few
// elements, also at ten million of them, and there is never a second array. Reading changes
// nothing: several threads may read a table that nobody changes. One owner, one thread otherwise.
// Invariant: memory is the sum of all that the table itself allocated (elements are the owner's).
#ifndef TORC_ENGINE_ENCODING_HASHTABLE_H
#define TORC_ENGINE_ENCODING_HASHTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/random.h"
#include "engine/base/slice.h"

/** The text that an element is found by. */
typedef struct slice hashtable_text_fn(const void *element);

struct hashtable {
    hashtable_text_fn *text_of;
    size_t count;
    size_t memory; // bytes of directory, chunks and overflow; not of elements
    // The rest is the implementation's (hashtable_slots.h).
    uint64_t *first;         // buckets of the first chunk; NULL: there are none
    uint64_t **chunks;       // all chunks, the first too; NULL while there is only that one
    uint32_t nbuckets;       // linear hashing's n: buckets in use
    uint32_t directory_room; // of `chunks`
    uint8_t level;           // 2^level <= nbuckets < 2^(level + 1)
    uint8_t step;            // size of the last chunk; all others have the full size
};

/** An empty table; allocates nothing until the first element. */
void hashtable_init(struct hashtable *t, hashtable_text_fn *text_of);
/** Frees the table, and every element through `release` (may be NULL: they stay). */
void hashtable_fini(struct hashtable *t, void (*release)(void *element));

/** Hash of a text as the tables use it; the seed is the process's (hashtable_set_seed). */
uint64_t hashtable_hash(struct slice text);
/** Sets the seed of all tables, once, before any table exists. */
void hashtable_set_seed(uint64_t seed);

/** The element with this text, or NULL. */
void *hashtable_find(const struct hashtable *t, struct slice text);
void *hashtable_find_hashed(const struct hashtable *t, struct slice text, uint64_t hash);
/** Starts the load of what a lookup of this hash touches first: its bucket ... */
void hashtable_prefetch(const struct hashtable *t, uint64_t hash);
/** ... and then, once the bucket is there, of the element that is probably meant. */
void hashtable_prefetch_element(const struct hashtable *t, uint64_t hash);
/**
 * Gives an empty table the room for that many elements, or for `most` of them more, as long as it
 * stays empty. True: there is room for all.
 */
bool hashtable_expect(struct hashtable *t, size_t count, size_t most);
/** Adds an element, at an even address, whose text is absent. */
void hashtable_add(struct hashtable *t, void *element);
void hashtable_add_hashed(struct hashtable *t, void *element, uint64_t hash);
/** Takes the element with this text out and returns it (the owner frees it), or NULL. */
void *hashtable_remove(struct hashtable *t, struct slice text);
/**
 * Puts another block in the place of one that stands in the table under the same text. `old` is
 * compared, not looked into: it may have been freed already.
 */
void hashtable_replace(struct hashtable *t, const void *old, void *element);

/** A random element, all (nearly) equally likely; NULL: empty. Cost does not depend on the size. */
void *hashtable_random(const struct hashtable *t, struct random *random);

/**
 * SCAN over the elements: calls each element of some buckets from the cursor on and returns the
 * next cursor, 0 at the end. Every element that is there throughout is met, however the table
 * grows or shrinks between the calls (cursors count in the bit-reversed hash space).
 */
uint64_t hashtable_scan(const struct hashtable *t, uint64_t cursor,
                        void (*each)(void *context, void *element), void *context);

/** Walks all elements of a table that does not change meanwhile. */
struct hashtable_iterator {
    const struct hashtable *table;
    uint32_t bucket;
    uint32_t place;
};
void hashtable_iterate(struct hashtable_iterator *it, const struct hashtable *t);
/** The next element, or NULL. Prefetches what comes behind it. */
void *hashtable_next(struct hashtable_iterator *it);

/** Walks the invariants (tests, fuzzers). */
bool hashtable_is_valid(const struct hashtable *t);

#endif
