// SPDX-License-Identifier: BSD-3-Clause
//
// Tallies by label. Rows stand in an array, found by an open hash table of row numbers. A table
// with a limit that has twice as many rows folds the lighter half into one sum, so that memory is
// bounded and what is heavy stays: a prefix that was folded and comes back counts from then on
// only. Main thread. Invariant: each row is found by its label; the slots are at most half taken.
#include "tools/torc_rdb/tally.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/alloc.h"
#include "engine/base/hash.h"
#include "tools/torc_rdb/text.h"

#define BAR_WIDTH   24
#define LABEL_WIDTH 28

void tally_add(struct tally *t, const struct tally *more) {
    t->keys += more->keys;
    t->elements += more->elements;
    t->file_bytes += more->file_bytes;
    t->memory += more->memory;
}

static uint32_t *find_slot(const struct tally_table *t, struct slice label, uint64_t hash) {
    size_t i = (size_t)hash & (t->slot_count - 1);
    for (; t->slots[i] != 0; i = (i + 1) & (t->slot_count - 1)) {
        const struct tally_row *row = &t->rows[t->slots[i] - 1];
        if (row->hash == hash && slice_equal(row->label, label)) break;
    }
    return &t->slots[i];
}

/** Makes the slots anew for the rows that there are and as many more. */
static void index_rows(struct tally_table *t) {
    size_t size = 64;
    while (size < t->count * 4) size *= 2;
    mem_free(t->slots);
    t->slots = mem_calloc(size * sizeof(*t->slots));
    t->slot_count = size;
    for (size_t i = 0; i < t->count; i++)
        *find_slot(t, t->rows[i].label, t->rows[i].hash) = (uint32_t)i + 1;
}

static int compare_rows(const void *a, const void *b) {
    const struct tally_row *x = a, *y = b;
    if (x->tally.memory != y->tally.memory) return x->tally.memory < y->tally.memory ? 1 : -1;
    if (x->tally.file_bytes != y->tally.file_bytes)
        return x->tally.file_bytes < y->tally.file_bytes ? 1 : -1;
    size_t n = x->label.n < y->label.n ? x->label.n : y->label.n;
    int order = n == 0 ? 0 : memcmp(x->label.p, y->label.p, n);
    return order != 0 ? order : (x->label.n > y->label.n) - (x->label.n < y->label.n);
}

static void sort_rows(struct tally_table *t) {
    if (t->count > 1) qsort(t->rows, t->count, sizeof(*t->rows), compare_rows);
}

/** The lighter half of the rows becomes part of one sum. */
static void fold(struct tally_table *t) {
    sort_rows(t);
    for (size_t i = t->rows_max; i < t->count; i++) {
        tally_add(&t->folded, &t->rows[i].tally);
        mem_free((void *)t->rows[i].label.p);
    }
    t->count = t->rows_max;
    index_rows(t);
}

struct tally *tally_of(struct tally_table *t, struct slice label) {
    if (t->rows_max > 0 && t->count >= 2 * t->rows_max) fold(t);
    if (t->count * 2 >= t->slot_count) index_rows(t);
    uint64_t hash = hash_bytes(label.p, label.n, 0);
    uint32_t *slot = find_slot(t, label, hash);
    if (*slot != 0) return &t->rows[*slot - 1].tally;
    if (t->count == t->room) {
        t->room = t->room == 0 ? 16 : t->room * 2;
        t->rows = mem_realloc(t->rows, t->room * sizeof(*t->rows));
    }
    char *copy = mem_alloc(label.n + 1);
    if (label.n > 0) memcpy(copy, label.p, label.n);
    t->rows[t->count] = (struct tally_row){.label = slice_of(copy, label.n), .hash = hash};
    *slot = (uint32_t)++t->count;
    return &t->rows[t->count - 1].tally;
}

void tally_sort(struct tally_table *t) {
    sort_rows(t);
    index_rows(t);
}

void tally_fini(struct tally_table *t) {
    for (size_t i = 0; i < t->count; i++) mem_free((void *)t->rows[i].label.p);
    mem_free(t->rows);
    mem_free(t->slots);
}

/** A bar that is a share of BAR_WIDTH long, to an eighth of a character where there are blocks. */
static void print_bar(double share, bool blocks) {
    static const char *const eighths[] = {"",       "\u258f", "\u258e", "\u258d",
                                          "\u258c", "\u258b", "\u258a", "\u2589"};
    int steps = (int)(share * BAR_WIDTH * 8 + 0.5);
    if (steps == 0 && share > 0) steps = 1;
    if (!blocks) steps = (steps + 4) / 8 * 8;
    for (int i = 0; i < steps / 8; i++) fputs(blocks ? "\u2588" : "#", stdout);
    fputs(eighths[steps % 8], stdout);
}

static double share_of(const struct tally *t, const struct tally *whole) {
    if (whole->memory > 0) return (double)t->memory / (double)whole->memory;
    return whole->file_bytes > 0 ? (double)t->file_bytes / (double)whole->file_bytes : 0;
}

static void print_row(struct slice label, const struct tally *t, const struct tally_view *view,
                      const struct tally *whole, bool blocks) {
    struct buf text = {0};
    if (!view->quoted)
        buf_append(&text, label.p, label.n);
    else if (label.n == 0)
        buf_append_text(&text, "(no prefix)");
    else
        text_key(&text, label, LABEL_WIDTH - 5);
    printf("  %-*.*s", LABEL_WIDTH, (int)text.len, text.p == NULL ? "" : text.p);
    buf_free(&text);
    double share = share_of(t, whole);
    printf(" %12" PRIu64 " %12" PRIu64 " %10s %10s %5.1f%%  ", t->keys, t->elements,
           text_bytes(t->file_bytes).text, text_bytes(t->memory).text, share * 100);
    print_bar(share, blocks);
    putchar('\n');
}

void tally_print(const struct tally_table *t, const struct tally_view *view,
                 const struct tally *whole, bool blocks) {
    if (t->count == 0 && t->folded.keys == 0) return;
    printf("\n%-*s %12s %12s %10s %10s\n", LABEL_WIDTH + 2, view->title, "keys", "elements",
           "in file", "in memory");
    size_t shown = view->limit > 0 && view->limit < t->count ? view->limit : t->count;
    for (size_t i = 0; i < shown; i++)
        print_row(t->rows[i].label, &t->rows[i].tally, view, whole, blocks);
    struct tally rest = t->folded;
    for (size_t i = shown; i < t->count; i++) tally_add(&rest, &t->rows[i].tally);
    if (rest.keys == 0) return;
    struct tally_view plain = *view;
    plain.quoted = false;
    print_row(SLICE_LITERAL("(all others)"), &rest, &plain, whole, blocks);
}

void tally_json_members(struct buf *out, const struct tally *t) {
    buf_printf(out,
               "\"keys\":%" PRIu64 ",\"elements\":%" PRIu64 ",\"file_bytes\":%" PRIu64
               ",\"memory_bytes\":%" PRIu64,
               t->keys, t->elements, t->file_bytes, t->memory);
}

void tally_json(struct buf *out, const struct tally_table *t, const struct tally_view *view) {
    buf_printf(out, ",\"%s\":[", view->name);
    size_t shown = view->limit > 0 && view->limit < t->count ? view->limit : t->count;
    for (size_t i = 0; i < shown; i++) {
        buf_printf(out, "%s{\"%s\":", i == 0 ? "" : ",", view->label);
        text_json(out, t->rows[i].label);
        buf_append_char(out, ',');
        tally_json_members(out, &t->rows[i].tally);
        buf_append_char(out, '}');
    }
    buf_append_char(out, ']');
}
