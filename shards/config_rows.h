// SPDX-License-Identifier: BSD-3-Clause
//
// What the parts of the configuration share: the shape of a directive's row, and how lines are
// taken apart and put together. Private to config*.c and to the tests of them. Rows are constants,
// so any thread may read them. Invariant: names and aliases are unique, and every row's default is
// a value that the row itself accepts (config_new sets defaults by parsing them).
#ifndef TORC_SHARDS_CONFIG_ROWS_H
#define TORC_SHARDS_CONFIG_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/slice.h"
#include "shards/config.h"

enum config__kind {
    CONFIG__BOOL,         // yes or no; the field is a bool
    CONFIG__NUMBER,       // decimal; the field is an int64_t, as for the next two
    CONFIG__MEMORY,       // bytes with a unit
    CONFIG__OCTAL,        // a file mode
    CONFIG__ENUM,         // one of row->words; the field is an int, its value the index
    CONFIG__STRING,       // any bytes but zero; the field is a char *
    CONFIG__BYTES,        // any bytes; the field is a struct buf
    CONFIG__DIR,          // an existing directory, kept as an absolute path
    CONFIG__BIND,         // several addresses
    CONFIG__OUTPUT_LIMIT, // class, hard, soft, seconds; repeated
    CONFIG__EVENTS,       // letters of event classes (events.h); the field is a char *
    CONFIG__WORDS,        // several words that only row->check understands; the field is a char *
};

enum config__flag {
    CONFIG__IMMUTABLE = 1 << 0, // only before the start
    CONFIG__SENSITIVE = 1 << 1, // a secret
    CONFIG__HIDDEN = 1 << 2,    // CONFIG GET shows it by its exact name only
    CONFIG__PROTECTED = 1 << 3, // CONFIG SET needs enable-protected-configs
    CONFIG__MULTI = 1 << 4,     // takes several words
    CONFIG__INERT = 1 << 5,     // known, checked, not acted on
    CONFIG__OWN = 1 << 6,       // torc's own, Redis does not know it
    CONFIG__PERCENT = 1 << 7,   // a percentage is a value, too
    CONFIG__ABSENT = 1 << 8,    // an empty value is written by leaving the directive out
    CONFIG__HZ = 1 << 9,        // any number is taken and then brought into the range of hz
    CONFIG__ADDS = 1 << 10,     // lines of a file add up; the first one replaces the default
};

struct config__row {
    const char *name;
    const char *alias; // an older name that means the same, or NULL
    enum config__kind kind;
    unsigned flags;           // enum config__flag
    size_t offset;            // of the field in struct config; unused when inert
    int64_t lower, upper;     // inclusive, for numbers
    const char *fallback;     // the default; of an inert row the value that describes torc
    const char *const *words; // of an enum, ended by NULL
    bool (*check)(const struct slice *words, size_t count, struct buf *error); // or NULL
    const char *stop; // why another value than fallback stops the start, or NULL
    const char *note; // for docs/configuration.md: what it does, or why it does nothing
};

/** The row with this index, or NULL behind the last one. */
const struct config__row *config__row_at(size_t i);
/** The same for the rows of config_inert.c alone. */
const struct config__row *config__inert_row_at(size_t i);
/** The row with this name or alias in any case, or NULL. */
const struct config__row *config__row_find(struct slice name);

/**
 * Parses the words for the row and stores them in c (of an inert row: checks them). False: reason
 * in error.
 */
bool config__assign(struct config *c, const struct config__row *row, const struct slice *words,
                    size_t count, struct buf *error);
/**
 * Parses the words for the row and appends the value's normal form to text. False: reason in
 * error.
 */
bool config__normalize(const struct config__row *row, const struct slice *words, size_t count,
                       struct buf *text, struct buf *error);
/** Appends the value in effect to out. */
void config__print(const struct config *c, const struct config__row *row, struct buf *out);

struct config__words {
    struct slice *items; // into bytes, each followed by a zero byte
    size_t count;
    char *bytes;
};

/** Takes a line apart as redis.conf quotes. False: unbalanced quotes; nothing to free then. */
bool config__split(struct slice line, struct config__words *words);
/** Takes a text apart at every single space, as CONFIG SET does; an empty text has no words. */
void config__split_spaces(struct slice text, struct config__words *words);
void config__words_free(struct config__words *words);
/** The slice without blanks at both ends. */
struct slice config__trim(struct slice text);
/** Whether a directive outside the table may stand in a file (include, user, ...). */
bool config__is_file_only(struct slice name);
/** Takes the next line off text, without its end. False when nothing is left. */
bool config__next_line(struct slice *text, struct slice *line);
/** Appends the whole file (standard input when path is NULL) to out. 0 or a negative errno. */
int config__read_file(const char *path, struct buf *out);
/** Puts content in the place of a file by rename, synced. 0 or a negative errno. */
int config__replace_file(const char *path, const struct buf *content);

// Users (config_users.c): while a configuration is read.

/** Takes the words of a `user` line behind "user". False: the reason is appended to error. */
bool config__add_user(struct config *c, const struct slice *words, size_t count, struct buf *error);
/**
 * All is read: makes the users of requirepass, the lines and, if it may read it, the file. False:
 * error says why.
 */
bool config__finish_users(struct config *c, bool file_rules, struct buf *error);

#endif
