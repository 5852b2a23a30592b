// SPDX-License-Identifier: BSD-3-Clause
//
// An ordered map from stream ids to pointers: the index over a stream's nodes, and the pending
// entries of groups and consumers. A B+-tree whose leaves are linked both ways; what is inserted
// behind all others fills leaves to the last place, so that a map that grows at its end costs
// little more than its entries. No call moves more than one block of 1 KiB for each level. A plain
// value in its owner; an empty one owns no memory; what the pointers lead to is the owner's.
// Reading changes nothing. Invariant: `memory` is the sum of all blocks.
//
//   inner:  | child 0 | separator 1, child 1 | ...   ids in child i: from separator i to i + 1
//   leaf:   | id, value | id, value | ...            ascending
#ifndef TORC_ENGINE_ENCODING_IDMAP_H
#define TORC_ENGINE_ENCODING_IDMAP_H

#include <stddef.h>

#include "engine/encoding/stream_id.h"

struct idmap_entry {
    struct stream_id id;
    void *value; // never NULL
};

struct idmap_leaf {
    struct idmap_leaf *previous, *next;
    uint16_t count, room;
    struct idmap_entry at[];
};

struct idmap {
    void *root; // a leaf, or an inner node when height > 0
    struct idmap_leaf *first, *last;
    size_t count;
    size_t memory; // bytes of all blocks
    uint32_t height;
};

/** A place in a map, good until the map changes; leaf is NULL when there is none. */
struct idmap_place {
    struct idmap_leaf *leaf;
    uint32_t index;
};

/** Frees all blocks, and each value through `drop` (may be NULL). The map is empty then. */
void idmap_fini(struct idmap *m, void (*drop)(void *value));

/** The value of an id, or NULL. */
void *idmap_find(const struct idmap *m, struct stream_id id);
/**
 * Adds an id with its value unless it is there; returns NULL then, else the value that is there
 * (nothing is changed).
 */
void *idmap_add(struct idmap *m, struct stream_id id, void *value);
/** Takes an id out and returns its value, or NULL. */
void *idmap_remove(struct idmap *m, struct stream_id id);

/** The highest id that is not above `id`. */
struct idmap_place idmap_floor(const struct idmap *m, struct stream_id id);
/** The lowest id that is not below `id`. */
struct idmap_place idmap_ceiling(const struct idmap *m, struct stream_id id);

static inline struct idmap_entry *idmap_at(struct idmap_place p) { return &p.leaf->at[p.index]; }

static inline struct idmap_place idmap_first(const struct idmap *m) {
    return (struct idmap_place){m->first, 0};
}
static inline struct idmap_place idmap_last(const struct idmap *m) {
    return (struct idmap_place){m->last, m->last != NULL ? m->last->count - 1u : 0};
}
static inline void idmap_next(struct idmap_place *p) {
    if (++p->index < p->leaf->count) return;
    *p = (struct idmap_place){p->leaf->next, 0};
}
static inline void idmap_previous(struct idmap_place *p) {
    if (p->index-- > 0) return;
    p->leaf = p->leaf->previous;
    p->index = p->leaf != NULL ? p->leaf->count - 1u : 0;
}

/** Walks the invariants (tests, fuzzers). */
bool idmap_is_valid(const struct idmap *m);

#endif
