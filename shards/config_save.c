// SPDX-License-Identifier: BSD-3-Clause
//
// Save points, shutdown words and times by the clock, as texts of the configuration. Called through
// the rows of config_rows.c when a value is set, and by snapshots.c, which acts on them. Pure
// functions, any thread. Invariant: what a check accepts, config_save_point() and
// config_shutdown_words() take apart.
#include "shards/config_save.h"

#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/num.h"
#include "persistence/cron.h"

static bool fail(struct buf *error, const char *reason) {
    buf_append_text(error, reason);
    return false;
}

static bool is_empty_value(const struct slice *words, size_t count) {
    return count == 0 || (count == 1 && words[0].n == 0);
}

/** Takes the next word off a text of words with single blanks. */
static struct slice next_word(struct slice *text) {
    const char *end = text->n > 0 ? memchr(text->p, ' ', text->n) : NULL;
    size_t n = end != NULL ? (size_t)(end - text->p) : text->n;
    struct slice word = slice_of(text->p, n);
    size_t skip = end != NULL ? n + 1 : n;
    *text = slice_of(text->p + skip, text->n - skip);
    return word;
}

// ---- save points -------------------------------------------------------------------------------

static bool parse_point(struct slice seconds, struct slice changes, struct save_point *point) {
    return num_parse_i64(seconds, &point->seconds) && num_parse_i64(changes, &point->changes) &&
           point->seconds >= 1 && point->changes >= 0;
}

bool config__check_save(const struct slice *words, size_t count, struct buf *error) {
    if (is_empty_value(words, count)) return true;
    struct save_point point;
    bool good = count % 2 == 0;
    for (size_t i = 0; good && i < count; i += 2)
        good = parse_point(words[i], words[i + 1], &point);
    return good || fail(error, "Invalid save parameters");
}

bool config_save_point(struct slice *text, struct save_point *point) {
    if (text->n == 0) return false;
    struct slice seconds = next_word(text), changes = next_word(text);
    bool good = parse_point(seconds, changes, point);
    ASSERT(good);
    return true;
}

// ---- shutdown ----------------------------------------------------------------------------------

bool config_shutdown_word(struct slice word, struct shutdown_words *words) {
    if (slice_is(word, "save"))
        words->save = true;
    else if (slice_is(word, "nosave"))
        words->nosave = true;
    else if (slice_is(word, "now"))
        words->now = true;
    else if (slice_is(word, "force"))
        words->force = true;
    else if (slice_is(word, "abort"))
        words->abort = true;
    else
        return false;
    return true;
}

bool config__check_shutdown(const struct slice *words, size_t count, struct buf *error) {
    struct shutdown_words all = {0};
    bool good = count > 0;
    for (size_t i = 0; i < count && good; i++)
        good = slice_is(words[i], "default") || config_shutdown_word(words[i], &all);
    if (!good || all.abort)
        return fail(error,
                    "argument(s) must be one of the following: default, save, nosave, now, force");
    if (!all.save || !all.nosave) return true;
    return fail(error, "shutdown options SAVE and NOSAVE can't be used simultaneously");
}

struct shutdown_words config_shutdown_words(struct slice text) {
    struct shutdown_words all = {0};
    while (text.n > 0) (void)config_shutdown_word(next_word(&text), &all); // `default` says nothing
    return all;
}

// ---- others ------------------------------------------------------------------------------------

bool config__check_cron(const struct slice *words, size_t count, struct buf *error) {
    if (is_empty_value(words, count)) return true;
    struct buf text = {0};
    struct cron cron;
    for (size_t i = 0; i < count; i++) {
        if (i > 0) buf_append_char(&text, ' ');
        buf_append(&text, words[i].p, words[i].n);
    }
    bool good = cron_parse(&cron, slice_of(text.p, text.len), error);
    buf_free(&text);
    return good;
}

bool config__check_base_name(const struct slice *words, size_t count, struct buf *error) {
    ASSERT(count == 1);
    if (words[0].n == 0 || memchr(words[0].p, '/', words[0].n) == NULL) return true;
    return fail(error, "dbfilename can't be a path, just a filename");
}
