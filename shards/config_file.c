// SPDX-License-Identifier: BSD-3-Clause
//
// Reading the configuration at the start: the file with what it includes, standard input, then the
// command line, which is turned into lines of the same form, so that one parser serves all. Runs
// once, on the main thread, before any other exists. Invariant: the first line that cannot be
// obeyed ends the reading with a message that names its place; nothing that would have made the
// server safer is passed over in silence. Called by the server's main() and by tests.
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/commands/command.h"
#include "shards/config_rows.h"

#define INCLUDE_DEPTH_MAX 16

// One text on its way through the parser. An included file has a reader of its own.
struct reader {
    struct config *c;
    struct config_notices *notices; // or NULL
    struct buf *error;
    const char *source; // how messages name the text
    unsigned line_number;
    int depth;       // of includes
    bool file_rules; // whether it may include files
};

static bool read_text(struct reader *r, struct slice text);

// ---- Messages ----------------------------------------------------------------------------------

static void banner(struct buf *error) {
    buf_append_text(error, "*** FATAL CONFIG FILE ERROR (torc) ***\n");
}

// Quotes the line, but never a secret: messages end up in journals.
static void append_line(struct buf *out, struct slice line) {
    size_t name_end = 0;
    while (name_end < line.n && line.p[name_end] != ' ' && line.p[name_end] != '\t') name_end++;
    struct slice name = slice_of(line.p, name_end);
    if (config_is_sensitive(name) || slice_is(name, "user")) {
        buf_append(out, name.p, name.n);
        buf_append_text(out, " (redacted)");
        return;
    }
    buf_append(out, line.p, line.n);
}

static bool refuse(struct reader *r, struct slice line, const char *reason) {
    banner(r->error);
    buf_printf(r->error, "Reading %s, at line %u\n>>> '", r->source, r->line_number);
    append_line(r->error, line);
    buf_printf(r->error, "'\n%s\n", reason);
    return false;
}

static bool refuse_file(struct buf *error, const char *path, int reason) {
    buf_printf(error, "Fatal error, can't open config file '%s': %s\n", path, strerror(reason));
    return false;
}

// ---- Notices -----------------------------------------------------------------------------------

static bool is_listed(const struct buf *list, const char *name) {
    size_t n = strlen(name);
    for (size_t at = 0; at < list->len;) {
        const char *comma = memchr(list->p + at, ',', list->len - at);
        size_t end = comma != NULL ? (size_t)(comma - list->p) : list->len;
        if (end - at == n && memcmp(list->p + at, name, n) == 0) return true;
        at = end + 2;
    }
    return false;
}

static void list_once(struct buf *list, const char *name) {
    if (is_listed(list, name)) return;
    if (list->len > 0) buf_append_text(list, ", ");
    buf_append_text(list, name);
}

static void unlist(struct buf *list, const char *name) {
    struct buf kept = {0};
    for (size_t at = 0; at < list->len;) {
        const char *comma = memchr(list->p + at, ',', list->len - at);
        size_t end = comma != NULL ? (size_t)(comma - list->p) : list->len;
        if (end - at != strlen(name) || memcmp(list->p + at, name, end - at) != 0) {
            if (kept.len > 0) buf_append_text(&kept, ", ");
            buf_append(&kept, list->p + at, end - at);
        }
        at = end + 2;
    }
    buf_free(list);
    *list = kept;
}

static void notice(struct reader *r, const char *name, bool met) {
    if (r->notices == NULL) return;
    list_once(&r->notices->names, name);
    // The last line decides, as it does for settings.
    if (met) {
        unlist(&r->notices->unmet, name);
    } else {
        list_once(&r->notices->unmet, name);
    }
}

void config_notices_free(struct config_notices *notices) {
    buf_free(&notices->names);
    buf_free(&notices->unmet);
}

// ---- Directives --------------------------------------------------------------------------------

static bool apply_inert(struct reader *r, struct slice line, const struct config__row *row,
                        const struct slice *words, size_t count) {
    struct buf text = {0}, reason = {0};
    bool ok = config__normalize(row, words, count, &text, &reason);
    bool met = ok && slice_equal(slice_of(text.p, text.len), slice_text(row->fallback));
    if (!ok) {
        buf_append_char(&reason, '\0');
        refuse(r, line, reason.p);
    } else if (!met && row->stop != NULL) {
        ok = refuse(r, line, row->stop);
    } else {
        notice(r, row->name, met);
    }
    buf_free(&text);
    buf_free(&reason);
    return ok;
}

// Assigns the words behind those that lines before have given: several lines are one long one.
static bool add_words(struct config *c, const struct config__row *row, const struct slice *words,
                      size_t count, struct buf *reason) {
    struct buf text = {0};
    bool empty = count == 0 || (count == 1 && words[0].n == 0);
    if (c->save_given && !empty) config__print(c, row, &text);
    for (size_t i = 0; i < count && !empty; i++) {
        if (text.len > 0) buf_append_char(&text, ' ');
        buf_append(&text, words[i].p, words[i].n);
    }
    struct config__words all;
    config__split_spaces(slice_of(text.p, text.len), &all);
    bool ok = config__assign(c, row, all.items, all.count, reason);
    if (ok) c->save_given = true;
    config__words_free(&all);
    buf_free(&text);
    return ok;
}

static bool apply_words(struct reader *r, struct slice line, const struct config__row *row,
                        const struct slice *words, size_t count) {
    if ((row->flags & CONFIG__INERT) != 0) return apply_inert(r, line, row, words, count);
    struct buf reason = {0};
    bool ok = (row->flags & CONFIG__ADDS) != 0 ? add_words(r->c, row, words, count, &reason)
                                               : config__assign(r->c, row, words, count, &reason);
    if (!ok) {
        buf_append_char(&reason, '\0');
        refuse(r, line, reason.p);
    }
    buf_free(&reason);
    return ok;
}

static bool apply_row(struct reader *r, struct slice line, const struct config__row *row,
                      const struct slice *words, size_t count) {
    if ((row->flags & CONFIG__MULTI) == 0 || count != 1 || words[0].n == 0) {
        return apply_words(r, line, row, words, count);
    }
    // A directive of several words also takes them as one quoted argument.
    struct config__words inner;
    if (!config__split(words[0], &inner)) {
        return refuse(r, line, "Unbalanced quotes in configuration line");
    }
    bool ok = apply_words(r, line, row, inner.items, inner.count);
    config__words_free(&inner);
    return ok;
}

static bool apply_user(struct reader *r, struct slice line, const struct slice *words,
                       size_t count) {
    struct buf reason = {0};
    bool ok = config__add_user(r->c, words, count, &reason);
    buf_append_char(&reason, '\0');
    if (!ok) refuse(r, line, reason.p);
    buf_free(&reason);
    return ok;
}

/** Whether an earlier line has given a command this name. */
static bool is_new_name(const struct config *c, struct slice name) {
    bool is_new = false;
    for (size_t at = 0; at < c->renames.len; is_new = !is_new) {
        const char *text = c->renames.p + at;
        if (is_new && name.n > 0 && slice_is(name, text)) return true;
        at += strlen(text) + 1;
    }
    return false;
}

/** Kept until the server starts: names are the process's, not the configuration's. */
static bool add_rename(struct reader *r, struct slice line, struct slice name, struct slice now) {
    if (command_find_row(name) == NULL && !is_new_name(r->c, name)) {
        // What cannot be called anyway may be hidden.
        if (now.n == 0 && command_is_absent(name)) return true;
        return refuse(r, line, "No such command in rename-command");
    }
    if (memchr(now.p, '\0', now.n) != NULL)
        return refuse(r, line, "a name can't contain a zero byte");
    buf_append(&r->c->renames, name.p, name.n);
    buf_append_char(&r->c->renames, '\0');
    buf_append(&r->c->renames, now.p, now.n);
    buf_append_char(&r->c->renames, '\0');
    return true;
}

bool config_rename_commands(const struct config *c, struct buf *error) {
    for (size_t at = 0; at < c->renames.len;) {
        const char *name = c->renames.p + at, *now = name + strlen(name) + 1;
        const char *reason = command_rename(slice_text(name), slice_text(now));
        if (reason) {
            buf_printf(error, "rename-command %s %s: %s", name, now, reason);
            return false;
        }
        at += strlen(name) + strlen(now) + 2;
    }
    return true;
}

static bool include_file(struct reader *r, const char *path) {
    struct buf text = {0};
    int result = config__read_file(path, &text);
    bool ok = false;
    if (result < 0) {
        refuse_file(r->error, path, -result);
    } else {
        struct buf source = {0};
        buf_printf(&source, "the configuration file %s", path);
        buf_append_char(&source, '\0');
        struct reader inner = *r;
        inner.source = source.p;
        inner.depth++;
        ok = read_text(&inner, slice_of(text.p, text.len));
        buf_free(&source);
    }
    buf_free(&text);
    return ok;
}

static bool is_pattern(const char *path) { return strpbrk(path, "*?[") != NULL; }

static bool include(struct reader *r, struct slice line, struct slice name) {
    if (!r->file_rules) return refuse(r, line, "files can't be included here");
    if (r->depth >= INCLUDE_DEPTH_MAX) return refuse(r, line, "includes are nested too deep");
    if (name.n == 0 || memchr(name.p, '\0', name.n) != NULL) {
        return refuse(r, line, "Bad directive or wrong number of arguments");
    }
    // Relative to `dir`, which Redis changes into at once and torc after the reading.
    struct buf path = {0};
    if (name.p[0] != '/') buf_printf(&path, "%s/", r->c->dir);
    buf_append(&path, name.p, name.n);
    buf_append_char(&path, '\0');
    bool ok = true;
    glob_t found;
    if (!is_pattern(path.p)) {
        ok = include_file(r, path.p);
    } else if (glob(path.p, 0, NULL, &found) == 0) {
        for (size_t i = 0; ok && i < found.gl_pathc; i++) ok = include_file(r, found.gl_pathv[i]);
        globfree(&found);
    }
    buf_free(&path);
    return ok;
}

// Directives that are no settings. Most of them restrict who may do what: those are never passed
// over.
static bool apply_other(struct reader *r, struct slice line, const struct slice *words,
                        size_t count) {
    static const char *const outdated[] = {"list-max-ziplist-entries", "list-max-ziplist-value",
                                           "lua-replicate-commands"};
    struct slice name = words[0];
    for (size_t i = 0; i < sizeof(outdated) / sizeof(outdated[0]); i++) {
        if (count != 2 || !slice_is(name, outdated[i])) continue;
        notice(r, outdated[i], true);
        return true;
    }
    if (slice_is(name, "include") && count == 2) return include(r, line, words[1]);
    if (slice_is(name, "rename-command") && count == 3)
        return add_rename(r, line, words[1], words[2]);
    if (slice_is(name, "user") && count >= 2) return apply_user(r, line, words + 1, count - 1);
    if (slice_is(name, "loadmodule") && count >= 2) {
        return refuse(r, line, "torc does not load modules");
    }
    if (slice_is(name, "sentinel")) return refuse(r, line, "torc has no Sentinel mode");
    if (memchr(name.p, '.', name.n) != NULL) {
        return refuse(r, line,
                      count < 2 ? "Module config specified without value"
                                : "torc does not load modules, so they have no settings");
    }
    return refuse(r, line, "Bad directive or wrong number of arguments");
}

static bool read_line(struct reader *r, struct slice line) {
    if (line.n == 0 || line.p[0] == '#') return true;
    if (memchr(line.p, '\0', line.n) != NULL) return refuse(r, line, "zero byte in line");
    struct config__words words;
    if (!config__split(line, &words)) {
        return refuse(r, line, "Unbalanced quotes in configuration line");
    }
    bool ok = true;
    if (words.count > 0) {
        const struct config__row *row = config__row_find(words.items[0]);
        ok = row != NULL ? apply_row(r, line, row, words.items + 1, words.count - 1)
                         : apply_other(r, line, words.items, words.count);
    }
    config__words_free(&words);
    return ok;
}

static bool read_text(struct reader *r, struct slice text) {
    struct slice line;
    r->line_number = 0;
    while (config__next_line(&text, &line)) {
        r->line_number++;
        if (!read_line(r, config__trim(line))) return false;
    }
    return true;
}

bool config_load_text(struct config *c, struct slice text, const char *source,
                      struct config_notices *notices, struct buf *error) {
    struct reader r = {.c = c, .notices = notices, .error = error, .source = source};
    return read_text(&r, text) && config__finish_users(c, false, error);
}

// ---- The command line --------------------------------------------------------------------------

static bool starts_option(const char *argument) { return strncmp(argument, "--", 2) == 0; }

// Appends "--name" as the start of a line. Returns whether the argument brought its value along
// ("--port 7000" in one word), or must be given an empty one.
static bool begin_option(struct buf *lines, const char *argument, const char *next) {
    struct config__words words;
    if (lines->len > 0) buf_append_char(lines, '\n');
    buf_append_text(lines, argument + 2);
    buf_append_char(lines, ' ');
    size_t count = 2;
    if (config__split(slice_text(argument), &words)) {
        count = words.count;
        config__words_free(&words);
    }
    if (count > 1) return true;
    // "--save --other" and a last "--save" come from scripts with an empty list: they save nothing.
    if (strcasecmp(argument, "--save") != 0 || (next != NULL && !starts_option(next))) return false;
    buf_append_text(lines, "\"\"");
    return true;
}

// Turns the arguments behind the file into lines. Sets *from_stdin when one of them is "-".
static void collect_options(int argc, char **argv, int first, struct buf *lines, bool *from_stdin) {
    bool complete = true;
    for (int i = first; i < argc; i++) {
        const char *argument = argv[i];
        if (strcmp(argument, "-") == 0 && (i == 1 || i == argc - 1)) {
            *from_stdin = true;
        } else if (complete && starts_option(argument)) {
            complete = begin_option(lines, argument, i + 1 < argc ? argv[i + 1] : NULL);
        } else {
            buf_append_quoted(lines, slice_text(argument));
            buf_append_char(lines, ' ');
            complete = true;
        }
    }
}

static bool load_file(struct reader *r, const char *path) {
    struct buf absolute = {0};
    if (path[0] != '/') buf_printf(&absolute, "%s/", r->c->dir);
    buf_append_text(&absolute, path);
    buf_append_char(&absolute, '\0');
    mem_free(r->c->file);
    r->c->file = mem_alloc(absolute.len);
    memcpy(r->c->file, absolute.p, absolute.len);
    buf_free(&absolute);
    return include_file(r, r->c->file);
}

static bool load_stdin(struct reader *r) {
    struct buf text = {0};
    int result = config__read_file(NULL, &text);
    bool ok = result == 0;
    if (ok) {
        r->source = "the configuration from standard input";
        ok = read_text(r, slice_of(text.p, text.len));
    } else {
        refuse_file(r->error, "-", -result);
    }
    buf_free(&text);
    return ok;
}

// The log must be writable now: later there is nobody left to tell.
static bool check_logfile(const struct config *c, struct buf *error) {
    if (c->logfile[0] == '\0') return true;
    struct buf path = {0};
    if (c->logfile[0] != '/') buf_printf(&path, "%s/", c->dir);
    buf_append_text(&path, c->logfile);
    buf_append_char(&path, '\0');
    int fd = open(path.p, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        banner(error);
        buf_printf(error, "Can't open the log file: %s: %s\n", path.p, strerror(errno));
    } else {
        close(fd);
    }
    buf_free(&path);
    return fd >= 0;
}

bool config_load(struct config *c, int argc, char **argv, struct config_notices *notices,
                 struct buf *error) {
    struct reader r = {.c = c, .notices = notices, .error = error, .file_rules = true};
    struct buf lines = {0};
    bool from_stdin = false;
    int first = argc > 1 && argv[1][0] != '-' ? 2 : 1;
    collect_options(argc, argv, first, &lines, &from_stdin);
    bool ok = first == 1 || load_file(&r, argv[1]);
    ok = ok && (!from_stdin || load_stdin(&r));
    if (ok) {
        r.source = "the command line";
        ok = read_text(&r, slice_of(lines.p, lines.len));
    }
    buf_free(&lines);
    return ok && config__finish_users(c, true, error) && check_logfile(c, error);
}
