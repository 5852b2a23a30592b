// SPDX-License-Identifier: BSD-3-Clause
//
// Sorted sets: making them, members and their scores in either form, the way from the small form
// to the large one, gathering, and what value.c asks of each form. Ranges and walks are in
// t_zset_range.c. Runs on the thread that owns the value; what only reads, on any. Invariant: the
// small form has no more members, and none longer, than the limits allowed when they were added.
#include "engine/types/t_zset.h"

#include <math.h>
#include <stdlib.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/types/ops.h"
#include "engine/types/t_zset_forms.h"

#define SMALL_ROOM 64 // bytes a fresh listpack begins with, at least

// ---- the large form ----------------------------------------------------------------------------

static struct slice element_text(const void *element) { return ranked_member(element); }

struct zset_tree *tzset__tree_new(void) {
    struct zset_tree *t = mem_alloc(sizeof *t);
    hashtable_init(&t->members, element_text);
    ranked_init(&t->order);
    t->elements = 0;
    return t;
}

void tzset__tree_free(struct zset_tree *t) {
    hashtable_fini(&t->members, mem_free);
    ranked_fini(&t->order);
    mem_free(t);
}

struct ranked_element *tzset__tree_table(struct zset_tree *t, struct slice member, double score,
                                         uint64_t hash) {
    struct ranked_element *e = ranked_element_new(score, member);
    t->elements += mem_usable(e);
    hashtable_add_hashed(&t->members, e, hash);
    return e;
}

void tzset__tree_add(struct zset_tree *t, struct slice member, double score, uint64_t hash) {
    ranked_insert(&t->order, tzset__tree_table(t, member, score, hash));
}

static void discard(void *context, struct ranked_element *e) {
    struct zset_tree *t = context;
    t->elements -= mem_usable(e);
    hashtable_remove(&t->members, ranked_member(e));
    mem_free(e);
}

void tzset__tree_remove_ranks(struct zset_tree *t, size_t rank, size_t count) {
    ranked_remove_range(&t->order, rank, count, discard, t);
}

static void tree_remove(struct zset_tree *t, struct ranked_element *e) {
    ranked_remove(&t->order, e);
    t->elements -= mem_usable(e);
    mem_free(e);
}

bool tzset__tree_is_valid(const struct zset_tree *t) {
    if (!hashtable_is_valid(&t->members) || !ranked_is_valid(&t->order)) return false;
    if (t->members.count != t->order.count) return false;
    size_t bytes = 0;
    struct ranked_place place = ranked_at(&t->order, 0);
    for (; place.leaf != NULL; ranked_next(&place)) {
        const struct ranked_element *e = ranked_get(place);
        if (e->score != e->score) return false;
        if (hashtable_find(&t->members, ranked_member(e)) != e) return false;
        bytes += mem_usable(e);
    }
    return bytes == t->elements;
}

// ---- from one form to the other ----------------------------------------------------------------

struct value tzset_new(void) {
    return (struct value){ENC_ZSET_LISTPACK, listpack_new(SMALL_ROOM)};
}

static bool fits(size_t members, size_t longest, const struct value_limits *limits) {
    return members <= (uint64_t)limits->zset_max_listpack_entries &&
           longest <= (uint64_t)limits->zset_max_listpack_value;
}

struct value tzset_new_for(size_t members, size_t first_length, const struct value_limits *limits) {
    if (fits(members, first_length, limits)) return tzset_new();
    return (struct value){ENC_ZSET_SKIPLIST, tzset__tree_new()};
}

static void to_large(struct value *v) {
    uint8_t *lp = v->object;
    struct zset_tree *t = tzset__tree_new();
    char scratch[NUM_I64_TEXT_MAX];
    for (const uint8_t *p = listpack_first(lp); p != NULL;) {
        const uint8_t *score_at = listpack_next(lp, p);
        struct slice member = listpack_text(p, scratch);
        tzset__tree_add(t, member, tzset__small_score(score_at), hashtable_hash(member));
        p = listpack_next(lp, score_at);
    }
    listpack_free(lp);
    *v = (struct value){ENC_ZSET_SKIPLIST, t};
}

void tzset_expect(struct value *v, size_t members, const struct value_limits *limits) {
    if (tzset__is_small(*v) && !fits(members, 0, limits)) to_large(v);
}

// ---- members -----------------------------------------------------------------------------------

// What becomes of a member that is there, under the flags; *score may become the sum.
static enum tzset_result decide(double current, double *score, unsigned flags) {
    if (flags & TZSET_NX) return TZSET_NOP;
    double next = flags & TZSET_INCR ? current + *score : *score;
    if (isnan(next)) return TZSET_NAN;
    if ((flags & TZSET_LT) && next >= current) return TZSET_NOP;
    if ((flags & TZSET_GT) && next <= current) return TZSET_NOP;
    *score = next;
    return next == current ? TZSET_SAME : TZSET_UPDATED;
}

static enum tzset_result update_large(struct zset_tree *t, struct slice member, double *score,
                                      unsigned flags) {
    uint64_t hash = hashtable_hash(member);
    struct ranked_element *e = hashtable_find_hashed(&t->members, member, hash);
    if (e == NULL) {
        if (flags & TZSET_XX) return TZSET_NOP;
        tzset__tree_add(t, member, *score, hash);
        return TZSET_ADDED;
    }
    enum tzset_result result = decide(e->score, score, flags);
    if (result == TZSET_UPDATED) ranked_move(&t->order, e, *score);
    return result;
}

static enum tzset_result update_small(struct value *v, struct slice member, double *score,
                                      unsigned flags, const struct value_limits *limits) {
    uint8_t *lp = v->object, *found = NULL, *before;
    double given = *score;
    if (flags & TZSET_INCR) found = tzset__small_find(lp, member);
    if (found == NULL) tzset__small_look(lp, given, member, &found, &before);
    if (found == NULL) {
        if (flags & TZSET_XX) return TZSET_NOP;
        if (!fits(listpack_count(lp) / 2 + 1, member.n, limits) ||
            !listpack_has_room(lp, member.n)) {
            to_large(v);
            tzset__tree_add(v->object, member, given, hashtable_hash(member));
            return TZSET_ADDED;
        }
        v->object = tzset__small_insert(lp, before, member, given);
        return TZSET_ADDED;
    }
    enum tzset_result result = decide(tzset__small_score(listpack__after(found)), score, flags);
    if (result != TZSET_UPDATED) return result;
    // A sum belongs somewhere else than what was added.
    if (flags & TZSET_INCR) tzset__small_look(lp, *score, member, &found, &before);
    v->object = tzset__small_move(lp, found, before, member, *score);
    return result;
}

enum tzset_result tzset_update(struct value *v, struct slice member, double *score, unsigned flags,
                               const struct value_limits *limits) {
    ASSERT(!isnan(*score));
    if (tzset__is_small(*v)) return update_small(v, member, score, flags, limits);
    return update_large(v->object, member, score, flags);
}

enum tzset_result tzset_add(struct value *v, struct slice member, double score,
                            const struct value_limits *limits) {
    return tzset_update(v, member, &score, 0, limits);
}

bool tzset_remove(struct value *v, struct slice member) {
    if (tzset__is_small(*v)) {
        uint8_t *p = tzset__small_find(v->object, member);
        if (p == NULL) return false;
        v->object = listpack_delete(v->object, &p, 2);
        return true;
    }
    struct zset_tree *t = v->object;
    struct ranked_element *e = hashtable_remove(&t->members, member);
    if (e == NULL) return false;
    tree_remove(t, e);
    return true;
}

bool tzset_score(struct value v, struct slice member, double *score) {
    if (tzset__is_small(v)) {
        const uint8_t *p = tzset__small_find(v.object, member);
        if (p == NULL) return false;
        *score = tzset__small_score(listpack__after(p));
        return true;
    }
    const struct ranked_element *e = hashtable_find(&tzset__tree(v)->members, member);
    if (e == NULL) return false;
    *score = e->score;
    return true;
}

bool tzset_rank(struct value v, struct slice member, size_t *rank, double *score) {
    if (tzset__is_small(v)) {
        const uint8_t *lp = v.object, *found = tzset__small_find(lp, member);
        if (found == NULL) return false;
        *score = tzset__small_score(listpack__after(found));
        *rank = 0;
        for (const uint8_t *p = listpack_first(lp); p != found; ++*rank)
            p = listpack__after(listpack__after(p));
        return true;
    }
    const struct zset_tree *t = tzset__tree(v);
    const struct ranked_element *e = hashtable_find(&t->members, member);
    if (e == NULL) return false;
    *score = e->score;
    *rank = ranked_rank(&t->order, e);
    return true;
}

// ---- gathering ---------------------------------------------------------------------------------

struct value tzset_gather_begin(void) {
    return (struct value){ENC_ZSET_SKIPLIST, tzset__tree_new()};
}

double *tzset_gather(struct value v, struct slice member, bool *fresh) {
    struct zset_tree *t = v.object;
    uint64_t hash = hashtable_hash(member);
    struct ranked_element *e = hashtable_find_hashed(&t->members, member, hash);
    *fresh = e == NULL;
    if (e == NULL) e = tzset__tree_table(t, member, 0, hash);
    return &e->score;
}

void tzset_gather_add(struct value v, struct slice member, double score) {
    tzset__tree_table(v.object, member, score, hashtable_hash(member));
}

int tzset__compare_elements(const void *a, const void *b) {
    const struct ranked_element *x = *(struct ranked_element *const *)a;
    const struct ranked_element *y = *(struct ranked_element *const *)b;
    if (x->score != y->score) return x->score < y->score ? -1 : 1;
    return ranked_compare(ranked_member(x), ranked_member(y));
}

bool tzset__settle_small(struct value *v, struct ranked_element *const *in_order, size_t n,
                         const struct value_limits *limits) {
    size_t longest = 0, bytes = 0;
    for (size_t i = 0; limits != NULL && i < n; i++) {
        size_t length = ranked_member(in_order[i]).n;
        longest = length > longest ? length : longest;
        bytes += length;
        if (!fits(n, longest, limits)) break;
    }
    if (limits == NULL || !fits(n, longest, limits) || bytes >= LISTPACK_MAX_BYTES) return false;
    uint8_t *lp = listpack_new(SMALL_ROOM);
    for (size_t i = 0; i < n; i++)
        lp = tzset__small_insert(lp, NULL, ranked_member(in_order[i]), in_order[i]->score);
    tzset__tree_free(v->object);
    *v = (struct value){ENC_ZSET_LISTPACK, lp};
    return true;
}

void tzset__settle(struct value *v, struct ranked_element *const *in_order, size_t n,
                   const struct value_limits *limits) {
    struct zset_tree *t = v->object;
    if (!tzset__settle_small(v, in_order, n, limits)) ranked_build(&t->order, in_order, n);
}

void tzset_gather_end(struct value *v, const struct value_limits *limits) {
    struct zset_tree *t = v->object;
    size_t n = t->members.count;
    struct ranked_element **all = mem_alloc((n + 1) * sizeof *all);
    struct hashtable_iterator it;
    hashtable_iterate(&it, &t->members);
    for (size_t i = 0; i < n; i++) all[i] = hashtable_next(&it);
    qsort(all, n, sizeof(struct ranked_element *), tzset__compare_elements);
    tzset__settle(v, all, n, limits);
    mem_free(all);
}

// ---- for value.c -------------------------------------------------------------------------------

static void small_free(void *object) { listpack_free(object); }
static void *small_copy(const void *object) { return listpack_copy(object); }
static size_t small_memory(const void *object) { return listpack_memory(object); }
static size_t small_length(const void *object) { return listpack_count(object) / 2; }
static bool small_is_valid(const void *object) { return tzset__small_is_valid(object); }

static void large_free(void *object) { tzset__tree_free(object); }

static void *large_copy(const void *object) {
    const struct zset_tree *from = object;
    struct zset_tree *t = tzset__tree_new();
    size_t n = from->order.count, i = 0;
    struct ranked_element **all = mem_alloc((n + 1) * sizeof *all);
    struct ranked_place place = ranked_at(&from->order, 0);
    for (; place.leaf != NULL; ranked_next(&place)) {
        struct slice member = ranked_member(ranked_get(place));
        all[i++] = tzset__tree_table(t, member, ranked_score(place), hashtable_hash(member));
    }
    ranked_build(&t->order, all, n);
    mem_free(all);
    return t;
}

static size_t large_memory(const void *object) {
    const struct zset_tree *t = object;
    return mem_usable(t) + t->members.memory + t->order.memory + t->elements;
}

static size_t large_length(const void *object) {
    const struct zset_tree *t = object;
    return t->members.count;
}

static bool large_is_valid(const void *object) { return tzset__tree_is_valid(object); }

// Members by themselves: the two zeros, which the small form does not tell apart, are one.
static void digest(struct value v, struct digest *d) {
    struct tzset_iterator it;
    struct listpack_item member;
    char scratch[NUM_I64_TEXT_MAX], text[NUM_DOUBLE_TEXT_MAX];
    double score;
    tzset_iterate_rank(&it, v, 0, false);
    while (tzset_next(&it, &member, &score)) {
        struct digest one = {0};
        digest_add(&one, tzset_text(&member, scratch));
        digest_add(&one, slice_of(text, num_format_double(text, score + 0.0)));
        digest_join(d, &one);
    }
}

static void small_digest(const void *object, struct digest *d) {
    digest((struct value){ENC_ZSET_LISTPACK, (void *)object}, d);
}

static void large_digest(const void *object, struct digest *d) {
    digest((struct value){ENC_ZSET_SKIPLIST, (void *)object}, d);
}

const struct value_ops tzset_listpack_ops = {
    .type = ENTRY_ZSET,
    .name = "listpack",
    .free = small_free,
    .copy = small_copy,
    .memory = small_memory,
    .length = small_length,
    .digest = small_digest,
    .is_valid = small_is_valid,
};

const struct value_ops tzset_skiplist_ops = {
    .type = ENTRY_ZSET,
    .name = "skiplist",
    .free = large_free,
    .copy = large_copy,
    .memory = large_memory,
    .length = large_length,
    .digest = large_digest,
    .is_valid = large_is_valid,
};
