// SPDX-License-Identifier: BSD-3-Clause
//
// The ranked tree: the order of a large sorted set. A B+-tree over elements by (score, member) in
// which every branch knows how many elements are below it, so that ranks are as cheap as scores.
// Leaves hold the scores beside pointers of six bytes to the elements, so that searching by score
// touches no element; a leaf's block grows with what is in it, in steps of eight. Leaves are linked
// both ways. One owner, one thread; reading changes nothing, so several may read while nobody
// changes. Invariant: every leaf but that of an empty tree has an element; `count` and `memory` are
// what a walk would find. Elements are the owner's; the tree keeps pointers.
//
//   leaf:    | next | previous | count, room | score * room | pointer (6 bytes) * room |
//   inner:   | count, room | first score, first element, child, elements below | ... |
//   element: | score | length: 1 byte, or 255 and 4 bytes | member |
#ifndef TORC_ENGINE_ENCODING_RANKED_H
#define TORC_ENGINE_ENCODING_RANKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/prefetch.h"
#include "engine/base/slice.h"

struct ranked_element {
    double score;    // while it is in a tree, the tree alone changes it
    uint8_t bytes[]; // length and member
};

#define RANKED_LONG_MEMBER 255 // from here on the length has four bytes more

/** A fresh element with a copy of the member; freed with mem_free(). */
struct ranked_element *ranked_element_new(double score, struct slice member);

static inline struct slice ranked_member(const struct ranked_element *e) {
    if (e->bytes[0] != RANKED_LONG_MEMBER) return slice_of(e->bytes + 1, e->bytes[0]);
    uint32_t n;
    memcpy(&n, e->bytes + 1, sizeof n);
    return slice_of(e->bytes + 5, n);
}

/** Members order as byte strings. */
static inline int ranked_compare(struct slice a, struct slice b) {
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n > 0 ? memcmp(a.p, b.p, n) : 0;
    if (order != 0) return order;
    return a.n < b.n ? -1 : a.n > b.n;
}

struct ranked_leaf {
    struct ranked_leaf *next, *previous;
    uint16_t count, room;
    double scores[];
};

struct ranked {
    size_t count;  // elements
    size_t memory; // bytes of all nodes; not of elements
    // The rest is the implementation's.
    void *root;
    struct ranked_leaf *first, *last;
    uint32_t depth; // levels of inner nodes: 0 means that the root is a leaf
};

/** An empty tree; allocates nothing until the first element. */
void ranked_init(struct ranked *t);
/** Frees all nodes; the elements stay. */
void ranked_fini(struct ranked *t);

/** Adds an element whose member is in no other one. */
void ranked_insert(struct ranked *t, struct ranked_element *e);
/** Takes an element out; the caller owns it again. */
void ranked_remove(struct ranked *t, const struct ranked_element *e);
/** Gives an element another score. */
void ranked_move(struct ranked *t, struct ranked_element *e, double score);
/**
 * Takes out `count` elements from that rank on (there must be as many). Each is passed to `each`
 * and the caller's again, for instance to be freed there.
 */
void ranked_remove_range(struct ranked *t, size_t rank, size_t count,
                         void (*each)(void *context, struct ranked_element *e), void *context);
/** Builds a tree at once: the elements in their order, the tree empty before. */
void ranked_build(struct ranked *t, struct ranked_element *const *elements, size_t n);
/**
 * The same in steps, of about `most` elements each; zeroed at first. True: it is done. Until then
 * the tree is good for ranked_fini() only, and the building for ranked_build_fini().
 */
struct ranked_building {
    struct branch *branches; // to the leaves that have been made
    size_t nodes, elements;  // ... so many, of so many
};
bool ranked_build_step(struct ranked *t, struct ranked_building *b,
                       struct ranked_element *const *elements, size_t n, size_t most);
void ranked_build_fini(struct ranked_building *b);

/** How many elements stand before this one. */
size_t ranked_rank(const struct ranked *t, const struct ranked_element *e);

/** A place in the order, valid until the tree changes; leaf is NULL: beyond an end. */
struct ranked_place {
    const struct ranked_leaf *leaf;
    uint32_t at;
};
/** The place with this rank. */
struct ranked_place ranked_at(const struct ranked *t, size_t rank);
/**
 * The first place whose score is at least `score`, or above it (`above`). Returns its rank, which
 * is the number of elements before; `place` may be NULL.
 */
size_t ranked_seek_score(const struct ranked *t, double score, bool above,
                         struct ranked_place *place);
/** The same by member, in a tree whose scores are all equal. */
size_t ranked_seek_member(const struct ranked *t, struct slice member, bool above,
                          struct ranked_place *place);

static inline struct ranked_element *ranked_pointer(const struct ranked_leaf *leaf, uint32_t at) {
    const char *p = (const char *)(leaf->scores + leaf->room) + (size_t)6 * at;
    uint32_t low;
    uint16_t high;
    memcpy(&low, p, sizeof low);
    memcpy(&high, p + 4, sizeof high);
    return (struct ranked_element *)(uintptr_t)((uint64_t)high << 32 | low); // NOLINT
}

static inline struct ranked_element *ranked_get(struct ranked_place place) {
    return ranked_pointer(place.leaf, place.at);
}

static inline double ranked_score(struct ranked_place place) {
    return place.leaf->scores[place.at];
}

#define RANKED_AHEAD 6 // elements whose load is started before a walk comes to them

/** To the next place upwards; starts the load of elements that come a little later. */
static inline void ranked_next(struct ranked_place *place) {
    uint32_t ahead = ++place->at + RANKED_AHEAD;
    if (place->at == place->leaf->count) {
        place->leaf = place->leaf->next;
        place->at = 0;
        return;
    }
    if (ahead < place->leaf->count) prefetch_read(ranked_pointer(place->leaf, ahead));
}

/** The same for who looks at scores alone. */
static inline void ranked_pass(struct ranked_place *place) {
    if (++place->at < place->leaf->count) return;
    place->leaf = place->leaf->next;
    place->at = 0;
}

/** To the next place downwards. */
static inline void ranked_previous(struct ranked_place *place) {
    if (place->at == 0) {
        place->leaf = place->leaf->previous;
        if (place->leaf != NULL) place->at = place->leaf->count - 1u;
        return;
    }
    place->at--;
    if (place->at >= RANKED_AHEAD)
        prefetch_read(ranked_pointer(place->leaf, place->at - RANKED_AHEAD));
}

/** Walks the invariants (tests, fuzzers). */
bool ranked_is_valid(const struct ranked *t);

#endif
