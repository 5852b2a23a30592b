// SPDX-License-Identifier: BSD-3-Clause
//
// Quicklists: long lists as a chain of nodes, each a listpack of some KiB, or one item that is too
// long for any listpack. Inner nodes may be compressed (LZF). How nodes fill, split and merge
// follows Redis 7.2's quicklist.c, because clients can see from OBJECT ENCODING when a list is down
// to one node. One owner, one thread changes it; several may read it at the same time: a compressed
// node is unpacked for a reader into memory of its iterator. Invariant: no node is empty, the ends
// are never compressed (nor are `depth` nodes at each end), and the counters agree with the nodes.
#ifndef TORC_ENGINE_ENCODING_QUICKLIST_H
#define TORC_ENGINE_ENCODING_QUICKLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/slice.h"
#include "engine/encoding/listpack.h"

struct quicklist_node {
    struct quicklist_node *prev, *next;
    uint8_t *data;   // a listpack, the bytes of one item, or either compressed ...
    size_t bytes;    // of the listpack or of the item
    uint32_t count;  // items
    uint32_t packed; // bytes when compressed; 0: is not
    uint32_t gap;    // ... and how far behind the beginning of its block it stands
    bool plain;      // one item, no listpack
};

struct quicklist {
    struct quicklist_node *head, *tail;
    uint64_t count; // items
    size_t memory;  // bytes of all blocks
    size_t nodes;
    size_t plain_min; // items of this length and more get a plain node
    int32_t fill;     // positive: items a node, negative: bytes by class
    uint32_t depth;   // nodes at each end that are never compressed; 0: none is
};

/** Clamps the settings as Redis does. The caller owns the list. */
struct quicklist *quicklist_new(int64_t fill, int64_t depth);
void quicklist_free(struct quicklist *ql);
struct quicklist *quicklist_copy(const struct quicklist *ql);
/** Bytes that it occupies. O(1). */
static inline size_t quicklist_memory(const struct quicklist *ql) { return ql->memory; }

/** What a node (or a list that is one listpack) holds at most. */
struct quicklist_limit {
    size_t bytes;   // SIZE_MAX: no limit
    uint64_t count; // UINT64_MAX: no limit
};
struct quicklist_limit quicklist_limit(int64_t fill);
/** Whether a listpack of that many bytes and items is more than a node holds. */
bool quicklist_exceeds(int64_t fill, size_t bytes, uint64_t count);

/**
 * A node's listpack, or its item: where it stands, or unpacked into memory that *unpacked gets and
 * the caller frees (NULL: none).
 */
const uint8_t *quicklist_node_data(const struct quicklist_node *node, uint8_t **unpacked);

/** Appends a listpack, which is not empty and belongs to the list from now on. */
void quicklist_append_listpack(struct quicklist *ql, uint8_t *lp);
/** When the whole list is one listpack: takes it out and frees the list. Otherwise NULL. */
uint8_t *quicklist_to_listpack(struct quicklist *ql);

void quicklist_push(struct quicklist *ql, struct slice item, bool front);
/** Replaces the item at an index, which must exist. */
void quicklist_replace(struct quicklist *ql, uint64_t index, struct slice item);
/** Deletes up to count items from the index on. */
void quicklist_delete(struct quicklist *ql, uint64_t index, uint64_t count);
/**
 * Deletes the first (or the last) `limit` items that equal the text, 0: all. Returns how many.
 */
uint64_t quicklist_remove(struct quicklist *ql, struct slice text, uint64_t limit, bool backwards);

/** The same in a single listpack, with limit > 0; returns the listpack's place. */
uint8_t *quicklist_remove_in(uint8_t *lp, struct slice text, uint64_t limit, bool backwards,
                             uint64_t *removed);

/** Goes over the items. To be ended with quicklist_end(), unless next has said false. */
struct quicklist_iterator {
    const struct quicklist_node *node; // of the item given last; of the first one at the beginning
    const uint8_t *lp;                 // its listpack, unpacked
    const uint8_t *p;                  // the item to come; NULL: it is in the next node
    uint8_t *unpacked;                 // memory of lp, when it is ours
    size_t offset;                     // in the node, of the item to come (forwards)
    bool backwards;
    bool pending; // the item to come is the one of a plain node
};
/** From that index on, which need not exist. */
void quicklist_iterate(struct quicklist_iterator *it, const struct quicklist *ql, uint64_t index,
                       bool backwards);
bool quicklist__next_node(struct quicklist_iterator *it, struct listpack_item *item);
/** The next item, good until the following call. False at the end. */
static inline bool quicklist_next(struct quicklist_iterator *it, struct listpack_item *item) {
    const uint8_t *p = it->p;
    if (unlikely(p == NULL)) return quicklist__next_node(it, item);
    listpack_get(p, item);
    it->p = it->backwards ? listpack_prev(it->lp, p) : listpack_next(it->lp, p);
    it->offset++;
    return true;
}
void quicklist_end(struct quicklist_iterator *it);

/**
 * Inserts before or behind the item that a forward iterator has given last, and ends the iterator.
 */
void quicklist_insert(struct quicklist *ql, struct quicklist_iterator *it, struct slice item,
                      bool after);

bool quicklist_is_valid(const struct quicklist *ql);

#endif
