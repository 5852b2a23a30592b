// SPDX-License-Identifier: BSD-3-Clause
//
// COMMAND and its subcommands: writes rows of the command table as replies, in the shapes that
// Redis 7.2 gives them in RESP2 and RESP3. Owns nothing; constant data only, any thread. Invariant:
// each function writes exactly one reply, and every header's count is the number of elements that
// follow. Called through the rows of the command table.
#include "engine/commands/introspect.h"

#include "engine/base/assert.h"

#include <stdio.h>

#include "engine/base/alloc.h"
#include "engine/base/glob.h"
#include "engine/commands/table.h"

static int count_bits(uint32_t bits, const struct table__bit_name *names) {
    int n = 0;
    for (; names->name != NULL; names++) n += (bits & names->bit) != 0;
    return n;
}

/** A set of status replies, one for each bit that has a name. */
static void reply_bits(struct reply *r, uint32_t bits, const struct table__bit_name *names,
                       const char *prefix) {
    reply_set(r, (size_t)count_bits(bits, names));
    for (; names->name != NULL; names++) {
        if ((bits & names->bit) == 0) continue;
        char text[40];
        snprintf(text, sizeof text, "%s%s", prefix, names->name);
        reply_status(r, text);
    }
}

// ---- COMMAND INFO ------------------------------------------------------------------------------

static void reply_named_int(struct reply *r, const char *name, int64_t value) {
    reply_bulk_text(r, name);
    reply_int(r, value);
}

static void reply_type_spec(struct reply *r, const char *what, const char *type, size_t pairs) {
    reply_bulk_text(r, what);
    reply_map(r, 2);
    reply_bulk_text(r, "type");
    reply_bulk_text(r, type);
    reply_bulk_text(r, "spec");
    reply_map(r, pairs);
}

static void reply_upper(struct reply *r, const char *word) {
    char upper[32];
    size_t n = strlen(word);
    ASSERT(n <= sizeof upper);
    for (size_t i = 0; i < n; i++) upper[i] = (char)(word[i] & ~0x20);
    reply_bulk(r, upper, n);
}

static void reply_key_spec(struct reply *r, const struct key_spec *spec) {
    reply_map(r, spec->notes != NULL ? 4 : 3);
    if (spec->notes != NULL) {
        reply_bulk_text(r, "notes");
        reply_bulk_text(r, spec->notes);
    }
    reply_bulk_text(r, "flags");
    reply_bits(r, spec->flags, table__key_flag_names, "");
    if (spec->keyword != NULL) {
        reply_type_spec(r, "begin_search", "keyword", 2);
        reply_bulk_text(r, "keyword");
        reply_upper(r, spec->keyword);
        reply_named_int(r, "startfrom", spec->from);
    } else if (spec->begin == 0) {
        reply_type_spec(r, "begin_search", "unknown", 0);
        reply_type_spec(r, "find_keys", "unknown", 0);
        return;
    } else {
        reply_type_spec(r, "begin_search", "index", 1);
        reply_named_int(r, "index", spec->begin);
    }
    if (spec->keynum >= 0) {
        reply_type_spec(r, "find_keys", "keynum", 3);
        reply_named_int(r, "keynumidx", spec->keynum);
        reply_named_int(r, "firstkey", spec->keynum + 1);
        reply_named_int(r, "keystep", spec->step);
    } else {
        reply_type_spec(r, "find_keys", "range", 3);
        reply_named_int(r, "lastkey", spec->last);
        reply_named_int(r, "keystep", spec->step);
        reply_named_int(r, "limit", spec->limit);
    }
}

static void reply_tips(struct reply *r, const struct command *row) {
    size_t n = 0;
    while (row->tips != NULL && row->tips[n] != NULL) n++;
    reply_set(r, n);
    for (size_t i = 0; i < n; i++) reply_bulk_text(r, row->tips[i]);
}

/** The ten columns up to the subcommands, which the caller writes. */
static void reply_info_columns(struct reply *r, const struct command *row) {
    reply_array(r, 10);
    reply_bulk_text(r, row->full_name);
    reply_int(r, row->arity);
    reply_bits(r, row->flags, table__flag_names, "");
    reply_int(r, row->first_key);
    reply_int(r, row->last_key);
    reply_int(r, row->key_step);
    reply_bits(r, row->acl, table__acl_names, "@");
    reply_tips(r, row);
    reply_set(r, row->key_spec_count);
    for (int i = 0; i < row->key_spec_count; i++) reply_key_spec(r, &row->key_specs[i]);
}

static void reply_info(struct reply *r, const struct command *row) {
    reply_info_columns(r, row);
    if (row->subcommand_count == 0) {
        reply_set(r, 0);
        return;
    }
    reply_array(r, row->subcommand_count);
    for (int i = 0; i < row->subcommand_count; i++) {
        reply_info_columns(r, &row->subcommands[i]);
        reply_set(r, 0); // a subcommand has none itself
    }
}

/** Top-level commands, without those that rename-command has taken away. */
static size_t count_callable(void) {
    uint32_t n;
    size_t count = 0;
    const struct command *rows = command_rows(&n);
    for (uint32_t i = 0; i < n; i++) count += command_can_be_called(&rows[i]);
    return count;
}

void introspect_command(struct cmd *c) {
    uint32_t n;
    const struct command *rows = command_rows(&n);
    reply_array(c->reply, count_callable());
    for (uint32_t i = 0; i < n; i++)
        if (command_can_be_called(&rows[i])) reply_info(c->reply, &rows[i]);
}

void introspect_info(struct cmd *c) {
    if (c->argc == 2) {
        introspect_command(c);
        return;
    }
    reply_array(c->reply, (size_t)c->argc - 2);
    for (int i = 2; i < c->argc; i++) {
        const struct command *row = command_find_full(c->argv[i], command_find);
        if (row != NULL)
            reply_info(c->reply, row);
        else
            reply_null(c->reply);
    }
}

void introspect_count(struct cmd *c) { reply_int(c->reply, (int64_t)count_callable()); }

// ---- COMMAND DOCS ------------------------------------------------------------------------------

/**
 * A pair of the documentation map; nothing when there is no text. Returns how many pairs it wrote.
 */
static size_t reply_doc(struct reply *r, const char *name, const char *text) {
    if (text == NULL) return 0;
    reply_bulk_text(r, name);
    reply_bulk_text(r, text);
    return 1;
}

static const struct table__bit_name doc_flag_names[] = {
    {1, "deprecated"},
    {2, "syscmd"},
    {0, NULL},
};

static size_t reply_doc_flags(struct reply *r, const struct command *row) {
    uint32_t bits = (row->deprecated_since != NULL ? 1 : 0) | (row->flags & COMMAND_SYSTEM ? 2 : 0);
    if (bits == 0) return 0;
    reply_bulk_text(r, "doc_flags");
    reply_bits(r, bits, doc_flag_names, "");
    return 1;
}

static size_t reply_doc_pairs(struct reply *r, const struct command *row) {
    size_t n = reply_doc(r, "summary", row->summary);
    n += reply_doc(r, "since", row->since);
    n += reply_doc(r, "group", row->group);
    n += reply_doc(r, "complexity", row->complexity);
    n += reply_doc_flags(r, row);
    n += reply_doc(r, "deprecated_since", row->deprecated_since);
    n += reply_doc(r, "replaced_by", row->replaced_by);
    return n;
}

static void reply_docs(struct reply *r, const struct command *row) {
    reply_bulk_text(r, row->full_name);
    size_t mark = reply_array_begin(r);
    size_t pairs = reply_doc_pairs(r, row);
    if (row->subcommand_count > 0) {
        reply_bulk_text(r, "subcommands");
        reply_map(r, row->subcommand_count);
        for (int i = 0; i < row->subcommand_count; i++) {
            reply_bulk_text(r, row->subcommands[i].full_name);
            size_t inner = reply_array_begin(r);
            reply_map_end(r, inner, reply_doc_pairs(r, &row->subcommands[i]));
        }
        pairs++;
    }
    reply_map_end(r, mark, pairs);
}

void introspect_docs(struct cmd *c) {
    if (c->argc == 2) {
        uint32_t n;
        const struct command *rows = command_rows(&n);
        reply_map(c->reply, count_callable());
        for (uint32_t i = 0; i < n; i++)
            if (command_can_be_called(&rows[i])) reply_docs(c->reply, &rows[i]);
        return;
    }
    size_t mark = reply_array_begin(c->reply), n = 0;
    for (int i = 2; i < c->argc; i++) {
        const struct command *row = command_find_full(c->argv[i], command_find);
        if (row == NULL) continue;
        reply_docs(c->reply, row);
        n++;
    }
    reply_map_end(c->reply, mark, n);
}

// ---- COMMAND LIST ------------------------------------------------------------------------------

enum filter { FILTER_NONE, FILTER_MODULE, FILTER_ACL, FILTER_PATTERN };

static bool in_category(const struct command *row, struct slice category) {
    for (const struct table__bit_name *name = table__acl_names; name->name != NULL; name++)
        if (slice_is(category, name->name)) return (row->acl & name->bit) != 0;
    return false;
}

static bool passes(const struct command *row, enum filter filter, struct slice argument) {
    switch (filter) {
    case FILTER_NONE: return true;
    case FILTER_MODULE: return false; // there are no modules
    case FILTER_ACL: return in_category(row, argument);
    case FILTER_PATTERN: return glob_match(argument, slice_text(row->full_name), true);
    }
    return false;
}

static bool parse_filter(struct cmd *c, enum filter *filter) {
    if (c->argc == 2) return true;
    if (c->argc == 5 && slice_is(c->argv[2], "filterby")) {
        if (slice_is(c->argv[3], "module")) *filter = FILTER_MODULE;
        if (slice_is(c->argv[3], "aclcat")) *filter = FILTER_ACL;
        if (slice_is(c->argv[3], "pattern")) *filter = FILTER_PATTERN;
    }
    if (*filter != FILTER_NONE) return true;
    reply_error(c->reply, error_syntax);
    return false;
}

static size_t list_one(struct reply *r, const struct command *row, enum filter filter,
                       struct slice argument) {
    if (!passes(row, filter, argument)) return 0;
    reply_bulk_text(r, row->full_name);
    return 1;
}

void introspect_list(struct cmd *c) {
    enum filter filter = FILTER_NONE;
    if (!parse_filter(c, &filter)) return;
    struct slice argument = c->argc == 5 ? c->argv[4] : (struct slice){0};
    size_t mark = reply_array_begin(c->reply), n = 0;
    uint32_t rows;
    const struct command *row = command_rows(&rows);
    for (uint32_t i = 0; i < rows; i++, row++) {
        if (!command_can_be_called(row)) continue;
        n += list_one(c->reply, row, filter, argument);
        for (uint16_t k = 0; k < row->subcommand_count; k++)
            n += list_one(c->reply, &row->subcommands[k], filter, argument);
    }
    reply_array_end(c->reply, mark, n);
}

// ---- COMMAND GETKEYS ---------------------------------------------------------------------------

#define POSITIONS_ON_STACK 32

static void reply_positions(struct cmd *c, const struct key_position *keys, int n,
                            bool with_flags) {
    reply_array(c->reply, (size_t)n);
    for (int i = 0; i < n; i++) {
        if (with_flags) reply_array(c->reply, 2);
        reply_bulk_slice(c->reply, c->argv[keys[i].arg + 2]);
        if (with_flags) reply_bits(c->reply, keys[i].flags, table__key_flag_names, "");
    }
}

/**
 * The row that the words from argv[2] on name; the container itself when the second word is
 * unknown.
 */
static const struct command *find_inner(const struct cmd *c) {
    const struct command *row = command_find(c->argv[2]);
    if (row == NULL || row->subcommand_count == 0 || c->argc == 3) return row;
    return command_find_sub(row, c->argv[3]);
}

static void getkeys(struct cmd *c, bool with_flags) {
    const struct command *row = find_inner(c);
    int argc = c->argc - 2;
    if (row == NULL) {
        reply_error(c->reply, "ERR Invalid command specified");
        return;
    }
    if (row->key_spec_count == 0) {
        reply_error(c->reply, "ERR The command has no key arguments");
        return;
    }
    if ((row->arity > 0 && row->arity != argc) || argc < -row->arity) {
        reply_error(c->reply, "ERR Invalid number of arguments specified for command");
        return;
    }
    struct key_position few[POSITIONS_ON_STACK], *keys = few;
    int n = command_keys(row, argc, c->argv + 2, few, POSITIONS_ON_STACK);
    if (n > POSITIONS_ON_STACK) {
        keys = mem_alloc((size_t)n * sizeof *keys);
        command_keys(row, argc, c->argv + 2, keys, n);
    }
    if (n <= 0)
        reply_error(c->reply, "ERR Invalid arguments specified for command");
    else
        reply_positions(c, keys, n, with_flags);
    if (keys != few) mem_free(keys);
}

void introspect_getkeys(struct cmd *c) { getkeys(c, false); }
void introspect_getkeysandflags(struct cmd *c) { getkeys(c, true); }

// ---- HELP --------------------------------------------------------------------------------------

void introspect_help_reply(struct reply *r, const char *container, const char *const *lines) {
    size_t n = 0;
    while (lines[n] != NULL) n++;
    reply_array(r, n + 3);
    char headline[80];
    snprintf(headline, sizeof headline,
             "%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", container);
    reply_status(r, headline);
    for (size_t i = 0; i < n; i++) reply_status(r, lines[i]);
    reply_status(r, "HELP");
    reply_status(r, "    Print this help.");
}

void introspect_help(struct cmd *c) {
    static const char *const lines[] = {
        "(none)",
        "    Describes every command.",
        "COUNT",
        "    Counts the commands.",
        "DOCS [<command> ...]",
        "    Documents the commands named, or every command.",
        "GETKEYS <command> [<argument> ...]",
        "    Finds the keys among the arguments of a command.",
        "GETKEYSANDFLAGS <command> [<argument> ...]",
        "    The same, and what the command does to each key.",
        "INFO [<command> ...]",
        "    Describes the commands named, or every command.",
        "LIST [FILTERBY MODULE <name> | ACLCAT <category> | PATTERN <pattern>]",
        "    Lists names of commands.",
        NULL,
    };
    introspect_help_reply(c->reply, "COMMAND", lines);
}
