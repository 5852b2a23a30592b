// SPDX-License-Identifier: BSD-3-Clause
//
// Which keys are meant: by pattern, type and database, all of which must fit. Filled from the
// command line on the main thread, read-only afterwards; patterns are the command line's own.
// Invariant: an empty selection selects everything. Used by stats, export, convert and filter.
#ifndef TORC_TOOLS_TORC_RDB_SELECTION_H
#define TORC_TOOLS_TORC_RDB_SELECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/types/value.h"
#include "persistence/rdb_reader.h"

#define SELECTION_MAX 64

/** The kinds of values, of modules too. */
#define KIND_MODULE ENTRY_TYPES
#define KINDS       (ENTRY_TYPES + 1)

struct selection {
    const char *match[SELECTION_MAX], *not_match[SELECTION_MAX];
    unsigned matches, not_matches;
    unsigned types; // bits of kinds; 0: all
    uint32_t dbs[SELECTION_MAX];
    unsigned db_count;
};

/** They return what is wrong with the text, or NULL. */
const char *selection_add_match(struct selection *s, const char *pattern, bool negated);
const char *selection_add_types(struct selection *s, const char *names);
const char *selection_add_dbs(struct selection *s, const char *numbers);

/** The kind of value that a record of that type holds: an enum entry_type or KIND_MODULE. */
unsigned selection_kind(uint8_t type, enum rdb_dialect dialect);
/** "string", ..., "module". */
const char *selection_kind_name(unsigned kind);
/** Whether everything is meant. */
bool selection_is_all(const struct selection *s);
bool selection_has_db(const struct selection *s, uint32_t db);
/** Whether the reader's record is meant. */
bool selection_has(const struct selection *s, const struct rdb_reader *r);

#endif
