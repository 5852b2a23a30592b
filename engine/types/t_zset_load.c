// SPDX-License-Identifier: BSD-3-Clause
//
// Sorted sets that are made from a snapshot. Redis writes them from the highest score down, so
// members are kept in the order in which they come, and sorted in the end only if that was neither
// up nor down. No state; the thread that makes the value. Invariant: every element is in the table
// of members and once in `all`. Called by the loader of values only.
#include <stdlib.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/types/t_zset_forms.h"

void tzset_load_begin(struct tzset_loading *l, size_t expected) {
    *l = (struct tzset_loading){.v = tzset_gather_begin(), .up = true, .down = true};
    l->room = expected + 1;
    l->all = mem_alloc(l->room * sizeof(struct ranked_element *));
}

bool tzset_load_expect(struct tzset_loading *l, size_t most) {
    ASSERT(l->count == 0);
    return hashtable_expect(&tzset__tree(l->v)->members, l->room - 1, most);
}

static void keep(struct tzset_loading *l, struct ranked_element *e) {
    if (l->count > 0) {
        int order = tzset__compare_elements(&l->all[l->count - 1], &e);
        if (order > 0)
            l->up = false;
        else
            l->down = false;
    }
    if (l->count == l->room) {
        l->room *= 2;
        l->all = mem_realloc(l->all, l->room * sizeof(struct ranked_element *));
    }
    l->all[l->count++] = e;
}

bool tzset_load(struct tzset_loading *l, const struct slice *members, const double *scores,
                size_t n) {
    struct zset_tree *t = tzset__tree(l->v);
    uint64_t hashes[TZSET_WINDOW];
    ASSERT(n <= TZSET_WINDOW);
    for (size_t i = 0; i < n; i++) {
        hashes[i] = hashtable_hash(members[i]);
        hashtable_prefetch(&t->members, hashes[i]);
    }
    for (size_t i = 0; i < n; i++) {
        ASSERT(scores[i] == scores[i]);
        if (hashtable_find_hashed(&t->members, members[i], hashes[i]) != NULL) return false;
        keep(l, tzset__tree_table(t, members[i], scores[i], hashes[i]));
    }
    return true;
}

static void reverse(struct ranked_element **all, size_t n) {
    for (size_t i = 0; i < n / 2; i++) {
        struct ranked_element *e = all[i];
        all[i] = all[n - 1 - i];
        all[n - 1 - i] = e;
    }
}

static void put_in_order(struct tzset_loading *l) {
    if (l->up) return;
    if (l->down)
        reverse(l->all, l->count);
    else
        qsort(l->all, l->count, sizeof(struct ranked_element *), tzset__compare_elements);
}

bool tzset_load_end(struct tzset_loading *l, const struct value_limits *limits, size_t most) {
    bool done = false;
    if (!l->in_order) {
        put_in_order(l);
        l->in_order = true;
        done = tzset__settle_small(&l->v, l->all, l->count, limits);
    }
    if (!done)
        done = ranked_build_step(&tzset__tree(l->v)->order, &l->building, l->all, l->count, most);
    if (done) mem_free(l->all);
    return done;
}

void tzset_load_abort(struct tzset_loading *l) {
    ranked_build_fini(&l->building);
    mem_free(l->all);
    tzset__tree_free(tzset__tree(l->v));
}
