// SPDX-License-Identifier: BSD-3-Clause
//
// Sorted sets: members with scores, in order of score, then of member as bytes. A small one is a
// listpack of member, score, ... in that order, byte for byte as Redis writes it; a large one
// ("skiplist" to clients) is a hash table from member to element and a ranked tree over the same
// elements (t_zset_forms.h). A value is changed by one thread; several may read it while nobody
// does. Invariant: a value never goes back from the large form to the small one; what is gathered
// anew takes the form that fits. Callers: the commands of sorted sets, geo, SORT, persistence.
#ifndef TORC_ENGINE_TYPES_T_ZSET_H
#define TORC_ENGINE_TYPES_T_ZSET_H

#include "engine/base/random.h"
#include "engine/encoding/listpack.h"
#include "engine/encoding/ranked.h"
#include "engine/types/value.h"

/** An empty one, in the small form. */
struct value tzset_new(void);
/** An empty one in the form that ZADD begins with for that many members, the first that long. */
struct value tzset_new_for(size_t members, size_t first_length, const struct value_limits *limits);
/** Goes over to the large form when that many members are about to be added at once. */
void tzset_expect(struct value *v, size_t members, const struct value_limits *limits);

static inline size_t tzset_length(struct value v) { return value_length(v); }

// ---- members -----------------------------------------------------------------------------------

enum tzset_flag {
    TZSET_NX = 1, // only members that are not there
    TZSET_XX = 2, // only members that are there
    TZSET_GT = 4, // a member that is there: only to a greater score
    TZSET_LT = 8, // ... only to a lesser one
    TZSET_INCR = 16,
};
enum tzset_result {
    TZSET_ADDED,
    TZSET_UPDATED,
    TZSET_SAME, // it has that score already
    TZSET_NOP,  // a flag kept it as it is
    TZSET_NAN,  // the sum would be no number: nothing was changed
};
/**
 * Adds a member or changes its score, under TZSET_* flags. *score becomes the member's score unless
 * the result is NOP or NAN. A score is never NaN. The value may change its form.
 */
enum tzset_result tzset_update(struct value *v, struct slice member, double *score, unsigned flags,
                               const struct value_limits *limits);
/** The same without flags: the member has that score afterwards. */
enum tzset_result tzset_add(struct value *v, struct slice member, double score,
                            const struct value_limits *limits);
/** Whether the member was there. */
bool tzset_remove(struct value *v, struct slice member);
/** The score of a member; false: it is not there. */
bool tzset_score(struct value v, struct slice member, double *score);
/** How many members stand before this one, and its score; false: it is not there. */
bool tzset_rank(struct value v, struct slice member, size_t *rank, double *score);

// ---- ranges ------------------------------------------------------------------------------------

struct tzset_scores {
    double min, max;
    bool above_min, below_max; // without min or max itself
};
static inline bool tzset_reaches_min(const struct tzset_scores *range, double score) {
    return range->above_min ? score > range->min : score >= range->min;
}
static inline bool tzset_within_max(const struct tzset_scores *range, double score) {
    return range->below_max ? score < range->max : score <= range->max;
}

struct tzset_lex_bound {
    enum { TZSET_LOWEST, TZSET_HIGHEST, TZSET_WITH, TZSET_WITHOUT } edge;
    struct slice text; // of WITH and WITHOUT
};
/** Of members as bytes: only meaningful where all scores are equal. */
struct tzset_lex {
    struct tzset_lex_bound min, max;
};

/** A walk over members, one by one, of a value that does not change meanwhile. */
struct tzset_iterator {
    size_t left; // members to come; may be lowered
    size_t low;  // rank of the lowest member of the walk as it began
    bool backwards;
    struct value v;
    const uint8_t *p; // small form: the next member
    struct ranked_place place;
};
/** From a rank on, to the end; backwards: ranks count from the last member. */
void tzset_iterate_rank(struct tzset_iterator *it, struct value v, size_t rank, bool backwards);
/** Over the members with these scores; `left` tells how many they are. */
void tzset_iterate_scores(struct tzset_iterator *it, struct value v,
                          const struct tzset_scores *range, bool backwards);
/** Over these members. */
void tzset_iterate_lex(struct tzset_iterator *it, struct value v, const struct tzset_lex *range,
                       bool backwards);
/** Leaves n members out (all, when fewer are left). */
void tzset_skip(struct tzset_iterator *it, size_t n);
/** The next member, and its score unless that is NULL; false: it is over. */
bool tzset_next(struct tzset_iterator *it, struct listpack_item *member, double *score);
/** The member's text; an integer is written into scratch. */
static inline struct slice tzset_text(const struct listpack_item *member,
                                      char scratch[NUM_I64_TEXT_MAX]) {
    if (!member->is_int) return member->text;
    return slice_of(scratch, num_format_i64(scratch, member->number));
}

/**
 * The next member's score alone. *spot stands for the member, which is not looked at before
 * tzset_member(): for who passes many members and wants few. Valid while the value does not change.
 */
bool tzset_next_spot(struct tzset_iterator *it, const void **spot, double *score);
/** The member at a spot. */
void tzset_member(struct value v, const void *spot, struct listpack_item *member);

/** Removes `count` members from a rank on; there are as many. */
void tzset_remove_ranks(struct value *v, size_t rank, size_t count);

// ---- sampling and scanning ---------------------------------------------------------------------

/** A random member of one that is not empty; score may be NULL. */
void tzset_random(struct value v, struct random *random, struct listpack_item *member,
                  double *score);
/**
 * SCAN over members, as hashtable_scan(): the small form is passed whole. Returns the next cursor.
 */
typedef void tzset_scan_fn(void *context, const struct listpack_item *member, double score);
uint64_t tzset_scan(struct value v, uint64_t cursor, tzset_scan_fn *each, void *context);

// ---- gathering ---------------------------------------------------------------------------------
// A sorted set that is put together member by member without an order (unions and the like).
// Between begin and end only the functions here may be used, and value_free().

struct value tzset_gather_begin(void);
/** The score of a member, to be changed in place; a fresh one is to be set. */
double *tzset_gather(struct value v, struct slice member, bool *fresh);
/** Adds a member that is not there. */
void tzset_gather_add(struct value v, struct slice member, double score);
/** Puts the members in order; the form is the small one if that fits (limits NULL: never). */
void tzset_gather_end(struct value *v, const struct value_limits *limits);

// ---- from a snapshot ---------------------------------------------------------------------------

#define TZSET_WINDOW 16
/** A sorted set that is made of members that are probably in order of score, up or down. */
struct tzset_loading {
    struct value v; // as while gathering
    struct ranked_element **all;
    size_t count, room;
    bool up, down; // all were in that order so far
    bool in_order; // they are now
    struct ranked_building building;
};
/** For `expected` members, probably. */
void tzset_load_begin(struct tzset_loading *l, size_t expected);
/** Makes room for `most` of those more, before there are any. True: there is room for all. */
bool tzset_load_expect(struct tzset_loading *l, size_t most);
/** Adds up to TZSET_WINDOW members; false: one of them is there. Scores are not NaN. */
bool tzset_load(struct tzset_loading *l, const struct slice *members, const double *scores,
                size_t n);
/**
 * Makes the sorted set l->v of them, in the form that fits, in steps of about `most` members (but
 * for sorting those that are in no order). True: it is done.
 */
bool tzset_load_end(struct tzset_loading *l, const struct value_limits *limits, size_t most);
/** Gives up, also in the middle of the end. */
void tzset_load_abort(struct tzset_loading *l);

#endif
