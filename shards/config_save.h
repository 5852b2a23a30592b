// SPDX-License-Identifier: BSD-3-Clause
//
// The directives about saving whose values are words: save points, what a signal means, when to
// make snapshots by the clock. Their checks for the rows, and the way from a checked text to what
// it says. Pure functions, any thread. Invariant: a text that passed its check can be taken apart.
#ifndef TORC_SHARDS_CONFIG_SAVE_H
#define TORC_SHARDS_CONFIG_SAVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/slice.h"

/** A snapshot is due when that many changes are older than so many seconds. */
struct save_point {
    int64_t seconds, changes;
};

/** Takes the next point off the text of `save`. False: there is none left. */
bool config_save_point(struct slice *text, struct save_point *point);

/** The words of SHUTDOWN, and of shutdown-on-sigint and shutdown-on-sigterm. */
struct shutdown_words {
    bool save, nosave, now, force, abort;
};
/** Adds a word of SHUTDOWN's. False: it is none. */
bool config_shutdown_word(struct slice word, struct shutdown_words *words);
/** What the text of shutdown-on-... asks for. */
struct shutdown_words config_shutdown_words(struct slice text);

// Checks of rows: the reason is appended to error.
bool config__check_save(const struct slice *words, size_t count, struct buf *error);
bool config__check_shutdown(const struct slice *words, size_t count, struct buf *error);
bool config__check_cron(const struct slice *words, size_t count, struct buf *error);
bool config__check_base_name(const struct slice *words, size_t count, struct buf *error);

#endif
