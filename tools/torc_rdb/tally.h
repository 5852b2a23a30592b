// SPDX-License-Identifier: BSD-3-Clause
//
// What torc-rdb stats counts, and tables of it: rows of a label and a tally, shown as text with
// bars or as JSON. A table of prefixes takes any number of labels and keeps the heaviest. Owned by
// a stats run, main thread. Invariant: a tally is the sum of its records, as far as `folded` is 0.
#ifndef TORC_TOOLS_TORC_RDB_TALLY_H
#define TORC_TOOLS_TORC_RDB_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/slice.h"

struct tally {
    uint64_t keys, elements, file_bytes, memory;
};
void tally_add(struct tally *t, const struct tally *more);

struct tally_row {
    struct slice label; // a copy, the table's
    uint64_t hash;
    struct tally tally;
};

struct tally_table {
    struct tally_row *rows;
    size_t count, room;
    uint32_t *slots; // hash table of row numbers + 1
    size_t slot_count;
    struct tally folded; // of labels that were too light to be kept
    size_t rows_max;     // 0: no limit
};

/** The tally of a label, which is added when it is new; good until the next call. */
struct tally *tally_of(struct tally_table *t, struct slice label);
/** Heaviest first: by memory, then by bytes in the file, then by label. */
void tally_sort(struct tally_table *t);
void tally_fini(struct tally_table *t);

/** How a table is shown. */
struct tally_view {
    const char *title; // "by type"
    const char *name;  // of the JSON member, "types"
    const char *label; // of a row's member, "type"
    size_t limit;      // rows; 0: all
    bool quoted;       // labels are keys
};
/** A table with bars that are shares of the whole. `blocks`: bars of block characters. */
void tally_print(const struct tally_table *t, const struct tally_view *view,
                 const struct tally *whole, bool blocks);
/** ,"NAME":[{...},...] */
void tally_json(struct buf *out, const struct tally_table *t, const struct tally_view *view);
void tally_json_members(struct buf *out, const struct tally *t);

#endif
