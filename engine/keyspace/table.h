// SPDX-License-Identifier: BSD-3-Clause
//
// The hash table of a database: linear hashing (Litwin, VLDB 1980) over one contiguous array of
// cache-line buckets in reserved address space, so that it grows and shrinks by one bucket at a
// time, no operation pays for more than a few entries, and there is never a second array. A bucket
// is eight 64-bit slots, filled from the front without gaps; when it holds more than eight entries,
// its last slot links to an overflow array, just as long as needed, that holds the eighth and all
// further ones.
//
//   slot:  63      52 51      44 43                            0
//         +----------+----------+------------------------------+
//         | tag (12) | expiry(8)| entry address >> 3 (44 bits)  |     0 = empty
//         +----------+----------+------------------------------+
//   link: | entries  |   255    | array address >> 3            |     only in a bucket's last slot
//         +----------+----------+------------------------------+
//
// The tag is 12 bits of the hash (never 0), so a miss costs the bucket's line and a hit that and
// the entry's. The expiry code (see expiry.h) is a coarse time, so the expiry walk reads only
// bucket lines. Owned by one keyspace; one thread at a time. Callers: keyspace.c, expiry.c,
// commands for scanning.
#ifndef TORC_ENGINE_KEYSPACE_TABLE_H
#define TORC_ENGINE_KEYSPACE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/keyspace/entry.h"

#define TABLE_BUCKET_SLOTS 8
#define TABLE_TAG_SHIFT    52
#define TABLE_CODE_SHIFT   44
#define TABLE_LINK_CODE    255 // the expiry code that marks a link; no entry has it

struct table;

/**
 * Makes an empty table that hashes keys under seed. It holds no bucket memory until the first
 * insert.
 */
void table_init(struct table *t, uint64_t seed);
/** Frees the buckets. Entries are the caller's (see table_clear). */
void table_fini(struct table *t);

struct table {
    uint64_t *buckets; // nbuckets * 8 slots, at a multiple of 64; NULL before the first insert
    uint64_t seed;
    uint64_t count;      // entries
    uint64_t nbuckets;   // buckets in use: linear hashing's n
    uint64_t level_mask; // 2^level - 1, where 2^level <= nbuckets < 2^(level+1)
    uint64_t walked;  // buckets that a bounded walk has passed: merging must not move entries there
    size_t overflow;  // bytes of overflow arrays
    size_t committed; // bytes of the array that are usable
    size_t reserved;  // bytes of reserved address space; 0 while the array is a small allocation
};

/** Where a find ended: the slot that holds the entry. Valid until the table is next modified. */
struct table_ref {
    uint64_t *slot;
    struct entry *entry; // NULL: not found
};

/** Prefetches the bucket line of a hash (first step of a batch). */
void table_prefetch(const struct table *t, uint64_t hash);
/**
 * Prefetches the entries of the bucket whose tag matches (second step). True: there is none, but an
 * overflow array, whose beginning is prefetched instead ...
 */
bool table_prefetch_entry(const struct table *t, uint64_t hash);
/** ... and this prefetches what matches there (third step). */
void table_prefetch_overflow(const struct table *t, uint64_t hash);
/** Finds a key by its bytes and hash. */
struct table_ref table_find(const struct table *t, struct slice key, uint64_t hash);
/** Finds an entry by the whole hash of its key alone. */
struct table_ref table_find_hash(const struct table *t, uint64_t hash);
/** Inserts an entry, with its expiry code, whose key is not in the table. May split one bucket. */
void table_insert(struct table *t, struct entry *e, uint64_t hash, uint8_t code);
/**
 * So many entries are going to come: an empty table gets the buckets for them at once, as many as
 * it would have in the end, and need not split them one by one. A table that has entries, or a
 * number that is out of all proportion, stays as it is.
 */
void table_expect(struct table *t, uint64_t count);
/**
 * Puts another entry with the same key (or the same that has moved) and its expiry code in the
 * slot.
 */
void table_replace(struct table_ref *ref, struct entry *e, uint8_t code);
/** The expiry code of the entry in a slot. */
static inline uint8_t table_ref_code(struct table_ref ref) {
    return (uint8_t)(*ref.slot >> TABLE_CODE_SHIFT);
}
/** Takes the entry out. The caller owns it. May merge a few buckets. */
void table_remove(struct table *t, struct table_ref ref, uint64_t hash);
/** A uniformly enough chosen entry, or NULL when empty. `random` is 64 random bits. */
struct entry *table_random(const struct table *t, uint64_t random);

/**
 * One step of SCAN: visits every entry of one bucket, returns the next cursor, 0 at the end. The
 * cursor is a position in the bit-reversed hash space (40 bits), so that everything that is present
 * throughout a whole scan is visited at least once, however the table grows or shrinks between the
 * steps. The callback must not modify the table.
 */
uint64_t table_scan(const struct table *t, uint64_t cursor,
                    void (*visit)(void *context, struct entry *e), void *context);
#define TABLE_CURSOR_BITS 40
/**
 * For who is going to do many steps: before the one from this cursor, starts the loads that the one
 * after it will need (the entries), and of the one after that (the bucket).
 */
void table_scan_prefetch(const struct table *t, uint64_t cursor);

/** Calls visit for every entry; the callback must not modify the table. */
void table_each(const struct table *t, void (*visit)(void *context, struct entry *e),
                void *context);
/** Calls table_each's visit for the entries of one bucket. */
void table_each_in(const struct table *t, uint64_t bucket,
                   void (*visit)(void *context, struct entry *e), void *context);
/**
 * Takes all entries out of buckets from `bucket` on, gives them to the callback, takes their number
 * (and one for each bucket) off *budget, and stops when that is used up. Returns the bucket to go
 * on with; at nbuckets the table holds nothing but its memory. Of use for a table that is given up:
 * count stays as it is.
 */
uint64_t table_drain(struct table *t, uint64_t bucket, uint32_t *budget,
                     void (*visit)(void *context, struct entry *e), void *context);
/**
 * Merges one bucket if the table has too many for its entries. True when there may be more to do.
 */
bool table_shrink_step(struct table *t);
/**
 * Whether any entry of a bucket has an expiry code c with due[c] != 0; due[TABLE_LINK_CODE] must be
 * 1.
 */
bool table_bucket_has(const struct table *t, uint64_t bucket, const uint8_t due[256]);
/** The i-th entry of a bucket, in no order; entry is NULL when there are fewer. */
struct table_ref table_bucket_at(const struct table *t, uint64_t bucket, size_t i);
/** Bytes of buckets and overflow arrays. */
size_t table_memory(const struct table *t);
/** Walks all invariants (tests, fuzzers, ASSERT_DEV). */
bool table_is_valid(const struct table *t);

#endif
