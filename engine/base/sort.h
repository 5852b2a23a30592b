// SPDX-License-Identifier: BSD-3-Clause
//
// Sorting of plain arrays: the whole of one, stable; or so much of one that a range of places holds
// what it would hold. Templates rather than functions: with a constant size and a known comparison
// each use becomes code of its own. The partial sort makes the choices of Bentley and McIlroy
// ("Engineering a sort function", Software: Practice and Experience 23, 1993), pivots included,
// because clients of Redis, which uses it for LIMIT and COUNT, see in which order equal items come.
// No state; any thread. Invariant: items are moved, never duplicated, whatever the comparison says.
// Callers: SORT, GEOSEARCH.
#ifndef TORC_ENGINE_BASE_SORT_H
#define TORC_ENGINE_BASE_SORT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "engine/base/alloc.h"

#define SORT_ITEM_MAX 64 // bytes
#define SORT_TEMPLATE static inline __attribute__((always_inline))

/** Below 0: a comes first; above: b does. */
typedef int sort_compare_fn(const void *a, const void *b, const void *context);

struct sort_array {
    char *items;
    size_t size; // of an item, at most SORT_ITEM_MAX
    sort_compare_fn *compare;
    const void *context;
};

SORT_TEMPLATE char *sort__at(const struct sort_array *s, size_t i) {
    return s->items + i * s->size;
}

SORT_TEMPLATE int sort__order(const struct sort_array *s, size_t a, size_t b) {
    return s->compare(sort__at(s, a), sort__at(s, b), s->context);
}

SORT_TEMPLATE void sort__swap(const struct sort_array *s, size_t a, size_t b) {
    char item[SORT_ITEM_MAX];
    memcpy(item, sort__at(s, a), s->size);
    memcpy(sort__at(s, a), sort__at(s, b), s->size);
    memcpy(sort__at(s, b), item, s->size);
}

/** Sorts [from, end) by insertion; stable. */
SORT_TEMPLATE void sort__insert(const struct sort_array *s, size_t from, size_t end) {
    char item[SORT_ITEM_MAX];
    for (size_t i = from + 1; i < end; i++) {
        size_t to = i;
        memcpy(item, sort__at(s, i), s->size);
        for (; to > from && s->compare(sort__at(s, to - 1), item, s->context) > 0; to--)
            memcpy(sort__at(s, to), sort__at(s, to - 1), s->size);
        memcpy(sort__at(s, to), item, s->size);
    }
}

#define SORT__RUN 8

/** Merges [from, middle) and [middle, end) of s into the same places of `to`. */
SORT_TEMPLATE void sort__merge(const struct sort_array *s, char *to, size_t from, size_t middle,
                               size_t end) {
    size_t a = from, b = middle, i = from;
    for (; a < middle && b < end; i++) {
        size_t next = sort__order(s, a, b) <= 0 ? a++ : b++;
        memcpy(to + i * s->size, sort__at(s, next), s->size);
    }
    memcpy(to + i * s->size, sort__at(s, a), (middle - a) * s->size);
    memcpy(to + (i + middle - a) * s->size, sort__at(s, b), (end - b) * s->size);
}

/** Sorts n items; those that compare equal keep their order. */
SORT_TEMPLATE void sort_stable(void *items, size_t n, size_t size, sort_compare_fn *compare,
                               const void *context) {
    struct sort_array s = {items, size, compare, context};
    for (size_t i = 0; i < n; i += SORT__RUN)
        sort__insert(&s, i, i + SORT__RUN < n ? i + SORT__RUN : n);
    if (n <= SORT__RUN) return;
    char *spare = mem_alloc(n * size), *to = spare;
    for (size_t run = SORT__RUN; run < n; run *= 2) {
        for (size_t i = 0; i < n; i += 2 * run) {
            size_t middle = i + run < n ? i + run : n, end = i + 2 * run < n ? i + 2 * run : n;
            sort__merge(&s, to, i, middle, end);
        }
        char *swap = s.items;
        s.items = to;
        to = swap;
    }
    if (s.items != items) memcpy(items, s.items, n * size);
    mem_free(spare);
}

SORT_TEMPLATE size_t sort__median(const struct sort_array *s, size_t a, size_t b, size_t c) {
    bool falls = sort__order(s, a, b) >= 0;
    int bc = sort__order(s, b, c);
    if (falls ? bc > 0 : bc < 0) return b;
    bool ac = sort__order(s, a, c) < 0;
    return falls == ac ? a : c;
}

/** The pivot of n items from a on; more are looked at the more there are. */
SORT_TEMPLATE size_t sort__pivot(const struct sort_array *s, size_t a, size_t n) {
    size_t low = a, middle = a + n / 2, high = a + n - 1;
    if (n <= 7) return middle;
    if (n > 40) {
        size_t d = n / 8;
        low = sort__median(s, low, low + d, low + 2 * d);
        middle = sort__median(s, middle - d, middle, middle + d);
        high = sort__median(s, high - 2 * d, high - d, high);
    }
    return sort__median(s, low, middle, high);
}

/** Exchanges the `n` items at a with those at b. */
SORT_TEMPLATE void sort__swap_many(const struct sort_array *s, size_t a, size_t b, size_t n) {
    for (size_t i = 0; i < n; i++) sort__swap(s, a + i, b + i);
}

struct sort__parts {
    size_t below, above; // how many items are less than the pivot, and greater
};

/** Divides n items from a on: less than the pivot, equal, greater. */
SORT_TEMPLATE struct sort__parts sort__divide(const struct sort_array *s, size_t a, size_t n) {
    sort__swap(s, a, sort__pivot(s, a, n));
    // Equal ones are collected at both ends: [a, pa) and (pd, end).
    size_t pa = a + 1, pb = a + 1, pc = a + n - 1, pd = a + n - 1, end = a + n;
    for (;;) {
        for (int order; pb <= pc && (order = sort__order(s, pb, a)) <= 0; pb++)
            if (order == 0) sort__swap(s, pa++, pb);
        for (int order; pb <= pc && (order = sort__order(s, pc, a)) >= 0; pc--)
            if (order == 0) sort__swap(s, pc, pd--);
        if (pb > pc) break;
        sort__swap(s, pb++, pc--);
    }
    struct sort__parts parts = {pb - pa, pd - pc};
    size_t front = pa - a < pb - pa ? pa - a : pb - pa;
    sort__swap_many(s, a, pb - front, front);
    size_t back = pd - pc < end - pd - 1 ? pd - pc : end - pd - 1;
    sort__swap_many(s, pb, end - back, back);
    return parts;
}

/** Sorts n items as far as the places `first` to `last` are concerned; not stable. */
SORT_TEMPLATE void sort_range(void *items, size_t n, size_t size, sort_compare_fn *compare,
                              const void *context, size_t first, size_t last) {
    struct sort_array s = {items, size, compare, context};
    struct {
        size_t a, n;
    } open[64] = {{0, n}}; // the smaller part is done first, so that each halves what is below it
    for (int depth = 1; depth > 0;) {
        depth--;
        size_t a = open[depth].a;
        n = open[depth].n;
        if (n < 2 || a > last || a + n - 1 < first) continue;
        if (n < 7) {
            sort__insert(&s, a, a + n);
            continue;
        }
        struct sort__parts parts = sort__divide(&s, a, n);
        bool low_first = parts.below <= parts.above;
        open[depth + low_first].a = a;
        open[depth + low_first].n = parts.below;
        open[depth + !low_first].a = a + n - parts.above;
        open[depth + !low_first].n = parts.above;
        depth += 2;
    }
}

#endif
