// SPDX-License-Identifier: BSD-3-Clause
//
// The two forms of sorted sets, as the files of t_zset share them; internal to these. The small
// form is a listpack of pairs in order; the large one has every member as one element, found by its
// text in a hash table and by its place in a ranked tree. Whoever owns the value runs it.
// Invariant: table and tree hold the same elements, and `elements` is their memory.
#ifndef TORC_ENGINE_TYPES_T_ZSET_FORMS_H
#define TORC_ENGINE_TYPES_T_ZSET_FORMS_H

#include "engine/encoding/hashtable.h"
#include "engine/types/t_zset.h"

struct zset_tree {
    struct hashtable members;
    struct ranked order;
    size_t elements; // bytes of all elements
};

static inline bool tzset__is_small(struct value v) { return v.encoding == ENC_ZSET_LISTPACK; }
static inline struct zset_tree *tzset__tree(struct value v) { return (struct zset_tree *)v.object; }

// ---- the small form ----------------------------------------------------------------------------

/** The score at p, which is the second of a pair. */
double tzset__small_score(const uint8_t *p);
/** Order of the score at p and another one. */
int tzset__small_order(const uint8_t *p, double score);
/** The pair of this member, or NULL. */
uint8_t *tzset__small_find(const uint8_t *lp, struct slice member);
/**
 * Looks at all pairs once: *found is that of the member (NULL: none), *before is the pair that
 * (score, member) belongs in front of (NULL: at the end).
 */
void tzset__small_look(const uint8_t *lp, double score, struct slice member, uint8_t **found,
                       uint8_t **before);
/** Inserts a pair in front of another (NULL: at the end). Returns the listpack's place. */
uint8_t *tzset__small_insert(uint8_t *lp, uint8_t *before, struct slice member, double score);
/** Gives the pair at p another score, and the place in front of `before`. */
uint8_t *tzset__small_move(uint8_t *lp, uint8_t *p, uint8_t *before, struct slice member,
                           double score);
/** Order of a listpack's element and a text, as bytes. */
int tzset__small_compare(const uint8_t *p, struct slice text);
bool tzset__small_is_valid(const uint8_t *lp);

// ---- the large form ----------------------------------------------------------------------------

struct zset_tree *tzset__tree_new(void);
void tzset__tree_free(struct zset_tree *t);
void tzset__tree_add(struct zset_tree *t, struct slice member, double score, uint64_t hash);
/** An element that is in the table, and not yet in the order. */
struct ranked_element *tzset__tree_table(struct zset_tree *t, struct slice member, double score,
                                         uint64_t hash);
/** Gives a tree whose elements are in the table alone its order, or the small form if that fits. */
void tzset__settle(struct value *v, struct ranked_element *const *in_order, size_t n,
                   const struct value_limits *limits);
/** The latter alone. False: it does not fit, and nothing was done. */
bool tzset__settle_small(struct value *v, struct ranked_element *const *in_order, size_t n,
                         const struct value_limits *limits);
/** Order of two pointers to elements, for qsort(). */
int tzset__compare_elements(const void *a, const void *b);
/** Takes elements out of both and frees them. */
void tzset__tree_remove_ranks(struct zset_tree *t, size_t rank, size_t count);
bool tzset__tree_is_valid(const struct zset_tree *t);

#endif
