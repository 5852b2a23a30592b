// SPDX-License-Identifier: BSD-3-Clause
//
// Nodes of the ranked tree, and the way from the root to a place, as ranked.c (searching) and
// ranked_change.c (changing) share them. Internal to these two. Invariant of a path: node[i] is the
// child at[i - 1] of node[i - 1], and the leaf is the child at[depth - 1] of the last one.
#ifndef TORC_ENGINE_ENCODING_RANKED_NODE_H
#define TORC_ENGINE_ENCODING_RANKED_NODE_H

#include "engine/base/assert.h"
#include "engine/encoding/ranked.h"

#define RANKED_LEAF_MAX  64 // elements of a leaf
#define RANKED_INNER_MAX 32 // children of an inner node
#define RANKED_STEP      8  // rooms are multiples of it
#define RANKED_DEPTH_MAX 16

/**
 * A child. What is below it begins with `first`, unless it is the leftmost child of its node: then
 * score and first mean nothing, the parent's branch says it.
 */
struct branch {
    double score;
    const struct ranked_element *first;
    void *child;
    size_t count; // elements below
};

struct inner {
    uint32_t count, room;
    struct branch at[];
};

struct path {
    struct inner *node[RANKED_DEPTH_MAX];
    uint32_t at[RANKED_DEPTH_MAX];
    struct ranked_leaf *leaf;
    uint32_t place; // in the leaf
};

/** Starts the loads of all lines of a leaf that a search by score may touch. */
static inline void leaf_prefetch(const struct ranked_leaf *leaf) {
    for (size_t i = 0; i < sizeof *leaf + RANKED_LEAF_MAX * sizeof(double); i += 64)
        prefetch_read((const char *)leaf + i);
}

/** How many of n ascending scores are below `score`. */
static inline uint32_t scores_below(const double *scores, uint32_t n, double score) {
    const double *base = scores;
    while (n > 1) {
        uint32_t half = n / 2;
        base += base[half - 1] < score ? half : 0;
        n -= half;
    }
    return (uint32_t)(base - scores) + (n != 0 && *base < score);
}

/** The same for scores that are at most `score`. */
static inline uint32_t scores_up_to(const double *scores, uint32_t n, double score) {
    const double *base = scores;
    while (n > 1) {
        uint32_t half = n / 2;
        base += base[half - 1] <= score ? half : 0;
        n -= half;
    }
    return (uint32_t)(base - scores) + (n != 0 && *base <= score);
}

/** The first place of a leaf that is not before (score, member). */
uint32_t ranked__leaf_find(const struct ranked_leaf *leaf, double score, struct slice member);
/**
 * The way to the leaf where (score, member) is or belongs, and its place there. Returns the rank.
 */
size_t ranked__find(const struct ranked *t, double score, struct slice member, struct path *path);
/** The way to the element of a rank that exists. */
void ranked__find_rank(const struct ranked *t, size_t rank, struct path *path);

#endif
