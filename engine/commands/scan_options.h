// SPDX-License-Identifier: BSD-3-Clause
//
// What SCAN, SSCAN, HSCAN and ZSCAN have in common: the cursor argument, MATCH, COUNT and NOVALUES,
// and a reply in which the next cursor stands in front of what is known before it. No state; runs
// on whichever thread runs the command. Called by keys_scan.c and the scans of collections.
#ifndef TORC_ENGINE_COMMANDS_SCAN_OPTIONS_H
#define TORC_ENGINE_COMMANDS_SCAN_OPTIONS_H

#include "engine/base/glob.h"
#include "engine/commands/command.h"

#define SCAN_COUNT_DEFAULT 10

struct scan_options {
    struct slice pattern; // p is NULL: everything
    int64_t count;        // elements asked for, at least 1
    bool no_values;       // HSCAN: fields only
};
#define SCAN_OPTIONS_DEFAULT ((struct scan_options){.count = SCAN_COUNT_DEFAULT})

/** A cursor as strtoul reads it: a sign is allowed, and nothing at all is zero. */
bool scan_parse_cursor(struct slice text, uint64_t *out);
/** The cursor at an argument; false: the error has been written. */
bool scan_arg_cursor(struct cmd *c, int arg, uint64_t *out);

enum scan_option { SCAN_OPTION_NONE, SCAN_OPTION_TAKEN, SCAN_OPTION_ERROR };
/**
 * Takes MATCH or COUNT with its value when they are at `arg`. NONE: they are not; ERROR: the error
 * has been written.
 */
enum scan_option scan_option(struct cmd *c, int arg, struct scan_options *o);
/**
 * Sets all options, which are the arguments from `first` on, NOVALUES among them if `hash`. False:
 * the error has been written. As in Redis they are looked at when the key exists only.
 */
bool scan_options(struct cmd *c, int first, bool hash, struct scan_options *o);

static inline bool scan_matches(const struct scan_options *o, struct slice text) {
    return o->pattern.p == NULL || glob_match(o->pattern, text, false);
}

/** How many buckets one call may visit: bounds the work in tables that are sparse. */
static inline int64_t scan_visits(const struct scan_options *o) {
    return o->count > INT64_MAX / 10 ? INT64_MAX : o->count * 10;
}

/** The reply of a scan that found nothing and is over: that of an absent key. */
void scan_reply_empty(struct cmd *c);

/** What a scan finds, until its cursor is known. */
struct scan_found {
    struct cmd *c;
    struct buf bytes;
    struct reply reply; // elements are written here ...
    uint64_t count;     // ... and counted here: elements of the array, so two for a pair
};
void scan_found_init(struct scan_found *found, struct cmd *c);
/** Writes the reply and frees what was found. */
void scan_found_end(struct scan_found *found, uint64_t cursor);

#endif
