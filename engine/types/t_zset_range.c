// SPDX-License-Identifier: BSD-3-Clause
//
// Ranges and walks over sorted sets: by rank, by score, by member, both ways; removal of ranges;
// random members and scanning. Nothing but the removal writes, so several threads may walk a value
// that nobody changes. Invariant of an iterator: its place is the next member while `left` is above
// zero. Called by the commands of sorted sets, by geo, SORT and persistence.
#include "engine/base/assert.h"
#include "engine/types/t_zset_forms.h"

static const uint8_t *pair_after(const uint8_t *p) { return listpack__after(listpack__after(p)); }

static const uint8_t *pair_before(const uint8_t *lp, const uint8_t *p) {
    const uint8_t *score_at = listpack_prev(lp, p);
    return score_at != NULL ? listpack_prev(lp, score_at) : NULL;
}

// ---- by rank -----------------------------------------------------------------------------------

// Sets the walk's place to a rank counted from the lowest; left is above zero.
static void place_at(struct tzset_iterator *it, size_t rank) {
    if (tzset__is_small(it->v))
        it->p = listpack_at(it->v.object, (int64_t)rank * 2);
    else
        it->place = ranked_at(&tzset__tree(it->v)->order, rank);
}

// The first loads of a walk; the walk itself starts those of what comes later.
static void load_ahead(const struct tzset_iterator *it) {
    if (tzset__is_small(it->v) || it->left < 2) return;
    const struct ranked_leaf *leaf = it->place.leaf;
    size_t most = it->left < RANKED_AHEAD ? it->left : RANKED_AHEAD;
    for (uint32_t i = 0; i <= most; i++) {
        uint32_t at = it->backwards ? it->place.at - i : it->place.at + i;
        if (at >= leaf->count) break;
        prefetch_read(ranked_pointer(leaf, at));
    }
}

void tzset_iterate_rank(struct tzset_iterator *it, struct value v, size_t rank, bool backwards) {
    size_t length = tzset_length(v);
    it->v = v;
    it->backwards = backwards;
    it->left = rank < length ? length - rank : 0;
    it->low = backwards ? 0 : rank;
    if (it->left == 0) return;
    place_at(it, backwards ? length - 1 - rank : rank);
    load_ahead(it);
}

void tzset_skip(struct tzset_iterator *it, size_t n) {
    if (n == 0) return;
    if (n >= it->left) {
        it->left = 0;
        return;
    }
    if (tzset__is_small(it->v)) {
        for (size_t i = 0; i < n; i++)
            it->p = it->backwards ? pair_before(it->v.object, it->p) : pair_after(it->p);
    } else {
        place_at(it, it->backwards ? it->low + it->left - 1 - n : it->low + n);
    }
    if (!it->backwards) it->low += n;
    it->left -= n;
}

bool tzset_next(struct tzset_iterator *it, struct listpack_item *member, double *score) {
    if (it->left == 0) return false;
    it->left--;
    if (tzset__is_small(it->v)) {
        const uint8_t *p = it->p;
        listpack_get(p, member);
        if (score != NULL) *score = tzset__small_score(listpack__after(p));
        it->p = it->backwards ? pair_before(it->v.object, p) : pair_after(p);
        return true;
    }
    member->is_int = false;
    member->text = ranked_member(ranked_get(it->place));
    if (score != NULL) *score = ranked_score(it->place);
    if (it->backwards)
        ranked_previous(&it->place);
    else
        ranked_next(&it->place);
    return true;
}

bool tzset_next_spot(struct tzset_iterator *it, const void **spot, double *score) {
    if (it->left == 0) return false;
    if (tzset__is_small(it->v)) {
        struct listpack_item member;
        *spot = it->p;
        return tzset_next(it, &member, score);
    }
    it->left--;
    *spot = ranked_get(it->place);
    *score = ranked_score(it->place);
    if (it->backwards)
        ranked_previous(&it->place);
    else
        ranked_pass(&it->place);
    return true;
}

void tzset_member(struct value v, const void *spot, struct listpack_item *member) {
    if (tzset__is_small(v)) {
        listpack_get(spot, member);
        return;
    }
    member->is_int = false;
    member->text = ranked_member(spot);
}

void tzset_remove_ranks(struct value *v, size_t rank, size_t count) {
    if (count == 0) return;
    if (tzset__is_small(*v))
        v->object = listpack_delete_range(v->object, (int64_t)rank * 2, count * 2);
    else
        tzset__tree_remove_ranks(v->object, rank, count);
}

// ---- by score ----------------------------------------------------------------------------------

// In the large form a range is two searches: its members are those between the two ranks.
static void between(struct tzset_iterator *it, size_t low, size_t end, struct ranked_place place) {
    it->low = low;
    it->left = end > low ? end - low : 0;
    if (it->left == 0) return;
    it->place = place;
    if (it->backwards) place_at(it, end - 1);
    load_ahead(it);
}

static void small_scores(struct tzset_iterator *it, const struct tzset_scores *range) {
    const uint8_t *lp = it->v.object, *first = NULL, *last = NULL;
    const uint8_t *p = lp + LISTPACK_HEADER;
    size_t rank = 0;
    for (; *p != LISTPACK_END; p = pair_after(p), rank++) {
        const uint8_t *score_at = listpack__after(p);
        if (first == NULL) {
            int order = tzset__small_order(score_at, range->min);
            if (range->above_min ? order <= 0 : order < 0) continue;
        }
        int order = tzset__small_order(score_at, range->max);
        if (range->below_max ? order >= 0 : order > 0) break;
        if (first == NULL) {
            first = p;
            it->low = rank;
        }
        last = p;
    }
    it->left = first != NULL ? rank - it->low : 0;
    it->p = it->backwards ? last : first;
}

void tzset_iterate_scores(struct tzset_iterator *it, struct value v,
                          const struct tzset_scores *range, bool backwards) {
    *it = (struct tzset_iterator){.v = v, .backwards = backwards};
    if (tzset__is_small(v)) {
        small_scores(it, range);
        return;
    }
    const struct ranked *order = &tzset__tree(v)->order;
    struct ranked_place place;
    size_t low = ranked_seek_score(order, range->min, range->above_min, &place);
    size_t end = ranked_seek_score(order, range->max, !range->below_max, NULL);
    between(it, low, end, place);
}

// ---- by member ---------------------------------------------------------------------------------

static bool small_reaches(const struct tzset_lex *range, const uint8_t *p) {
    if (range->min.edge == TZSET_LOWEST) return true;
    if (range->min.edge == TZSET_HIGHEST) return false;
    int order = tzset__small_compare(p, range->min.text);
    return range->min.edge == TZSET_WITH ? order >= 0 : order > 0;
}

static bool small_within(const struct tzset_lex *range, const uint8_t *p) {
    if (range->max.edge == TZSET_HIGHEST) return true;
    if (range->max.edge == TZSET_LOWEST) return false;
    int order = tzset__small_compare(p, range->max.text);
    return range->max.edge == TZSET_WITH ? order <= 0 : order < 0;
}

// Whether nothing can be in the range, whatever the members are.
static bool lex_is_empty(const struct tzset_lex *range) {
    const struct tzset_lex_bound *min = &range->min, *max = &range->max;
    if (min->edge == TZSET_HIGHEST || max->edge == TZSET_LOWEST) return true;
    if (min->edge == TZSET_LOWEST || max->edge == TZSET_HIGHEST) return false;
    int order = ranked_compare(min->text, max->text);
    return order > 0 || (order == 0 && (min->edge == TZSET_WITHOUT || max->edge == TZSET_WITHOUT));
}

// Forwards the range is the run that begins with the first member that reaches min; backwards the
// run that ends with the last one within max. Where scores differ, and only there, these are two
// things, as in Redis.
static void small_lex(struct tzset_iterator *it, const struct tzset_lex *range) {
    const uint8_t *lp = it->v.object, *run = NULL, *p = lp + LISTPACK_HEADER;
    const uint8_t *last = pair_before(lp, lp + listpack_bytes(lp) - 1);
    if (last == NULL || !small_reaches(range, last) || !small_within(range, p)) return;
    size_t rank = 0, run_rank = 0;
    for (; *p != LISTPACK_END; p = pair_after(p), rank++) {
        bool reaches = small_reaches(range, p), within = small_within(range, p);
        if (!it->backwards) {
            if (run == NULL && reaches) {
                run = p;
                run_rank = rank;
            }
            if (run != NULL && !within) break;
            continue;
        }
        if (reaches && run == NULL) {
            run = p;
            run_rank = rank;
        }
        if (!reaches) run = NULL;
        if (!within) continue;
        it->p = p;
        it->low = run_rank;
        it->left = run != NULL ? rank - run_rank + 1 : 0;
    }
    if (it->backwards) return;
    it->p = run;
    it->low = run_rank;
    it->left = run != NULL ? rank - run_rank : 0;
}

void tzset_iterate_lex(struct tzset_iterator *it, struct value v, const struct tzset_lex *range,
                       bool backwards) {
    *it = (struct tzset_iterator){.v = v, .backwards = backwards};
    if (lex_is_empty(range)) return;
    if (tzset__is_small(v)) {
        small_lex(it, range);
        return;
    }
    const struct ranked *order = &tzset__tree(v)->order;
    struct ranked_place place = ranked_at(order, 0);
    size_t low = 0, end = order->count;
    if (range->min.edge != TZSET_LOWEST)
        low = ranked_seek_member(order, range->min.text, range->min.edge == TZSET_WITHOUT, &place);
    if (range->max.edge != TZSET_HIGHEST)
        end = ranked_seek_member(order, range->max.text, range->max.edge == TZSET_WITH, NULL);
    between(it, low, end, place);
}

// ---- sampling and scanning ---------------------------------------------------------------------

void tzset_random(struct value v, struct random *random, struct listpack_item *member,
                  double *score) {
    if (!tzset__is_small(v)) {
        const struct ranked_element *e = hashtable_random(&tzset__tree(v)->members, random);
        member->is_int = false;
        member->text = ranked_member(e);
        if (score != NULL) *score = e->score;
        return;
    }
    struct tzset_iterator it;
    tzset_iterate_rank(&it, v, random_below(random, tzset_length(v)), false);
    tzset_next(&it, member, score);
}

struct scan {
    tzset_scan_fn *each;
    void *context;
};

static void scan_element(void *context, void *element) {
    const struct scan *scan = context;
    const struct ranked_element *e = element;
    struct listpack_item member = {.text = ranked_member(e)};
    scan->each(scan->context, &member, e->score);
}

uint64_t tzset_scan(struct value v, uint64_t cursor, tzset_scan_fn *each, void *context) {
    if (!tzset__is_small(v)) {
        struct scan scan = {each, context};
        return hashtable_scan(&tzset__tree(v)->members, cursor, scan_element, &scan);
    }
    struct tzset_iterator it;
    struct listpack_item member;
    double score;
    tzset_iterate_rank(&it, v, 0, false);
    while (tzset_next(&it, &member, &score)) each(context, &member, score);
    return 0;
}
