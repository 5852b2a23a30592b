// SPDX-License-Identifier: BSD-3-Clause
//
// Parses the command line of torc-rdb by one table: name, the subcommands that know it, kind,
// place, help. "--name value" and "--name=value" are understood, in any place behind the
// subcommand. Runs once on the main thread. Invariant: the help text is made from the same rows,
// so it names every option that there is.
#include "tools/torc_rdb/options.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ON(command) (1u << COMMAND_##command)
#define ON_ALL      (ON(CHECK) | ON(STATS) | ON(EXPORT) | ON(CONVERT) | ON(FILTER))
#define ON_SELECT   (ON(STATS) | ON(EXPORT) | ON(CONVERT) | ON(FILTER))

static const struct {
    const char *name, *files, *summary, *text;
} commands[] = {
    [COMMAND_CHECK] = {"check", "FILE", "whether torc would load the file, and what would not load",
                       "Reads the whole file and every value in it as deeply as a load does, and "
                       "says what is\nwrong and where, and which keys would not load and why. "
                       "Status 0: everything would load."},
    [COMMAND_STATS] = {"stats", "FILE", "what is in it: by type, prefix, expiry; the biggest keys",
                       "Counts keys and bytes by type, database, prefix and expiry, and lists the "
                       "biggest keys.\n\"In memory\" is what a key takes in torc."},
    [COMMAND_EXPORT] = {"export", "FILE [OUT]", "its keys as JSON lines or as commands",
                        "Writes one JSON object for each key, or the commands that make the keys "
                        "anew, for\nredis-cli --pipe. Without OUT, to standard output."},
    [COMMAND_CONVERT] =
        {"convert", "IN OUT", "the same keys in another RDB version",
         "Writes the keys as another RDB version has them, so that older servers "
         "can read them.\nWhat that version cannot express is named, and OUT is not "
         "written."},
    [COMMAND_FILTER] = {"filter", "IN OUT", "some of the keys, as they are",
                        "Copies the keys that are selected, as they stand in the file, and all "
                        "that is not keys."},
};

enum kind { KIND_FLAG, KIND_NUMBER, KIND_TEXT, KIND_CALL };

struct row {
    const char *name, *argument, *help;
    unsigned commands;
    enum kind kind;
    size_t offset;
    uint64_t min, max;
    const char *(*call)(struct options *o, const char *value);
};

static const char *set_format(struct options *o, const char *value) {
    if (strcmp(value, "json") == 0)
        o->format = EXPORT_JSON;
    else if (strcmp(value, "resp") == 0)
        o->format = EXPORT_RESP;
    else
        return "must be json or resp";
    return NULL;
}
static const char *add_match(struct options *o, const char *value) {
    return selection_add_match(&o->selection, value, false);
}
static const char *add_not_match(struct options *o, const char *value) {
    return selection_add_match(&o->selection, value, true);
}
static const char *add_types(struct options *o, const char *value) {
    return selection_add_types(&o->selection, value);
}
static const char *add_dbs(struct options *o, const char *value) {
    return selection_add_dbs(&o->selection, value);
}

#define FIELD(f) offsetof(struct options, f)

static const struct row rows[] = {
    {"match", "PATTERN", "only keys that match (glob, as SCAN's); may be repeated: any of them",
     ON_SELECT, KIND_CALL, 0, 0, 0, add_match},
    {"not-match", "PATTERN", "no keys that match; may be repeated", ON_SELECT, KIND_CALL, 0, 0, 0,
     add_not_match},
    {"type", "T[,T]", "only string, list, set, zset, hash, stream or module", ON_SELECT, KIND_CALL,
     0, 0, 0, add_types},
    {"db", "N[,N]", "only these databases", ON_SELECT, KIND_CALL, 0, 0, 0, add_dbs},
    {"databases", "N", "as many as the server's directive of that name says (16)", ON(CHECK),
     KIND_NUMBER, FIELD(databases), 1, INT32_MAX, NULL},
    {"problems", "N", "show so many of each kind (20)", ON(CHECK), KIND_NUMBER, FIELD(problems), 0,
     UINT64_MAX, NULL},
    {"all-duplicates", NULL,
     "look for keys that occur twice among all keys, not among the first 8 million (16 bytes of "
     "memory for each key)",
     ON(CHECK), KIND_FLAG, FIELD(all_duplicates), 0, 0, NULL},
    {"delimiter", "TEXT", "where a prefix ends (:)", ON(STATS), KIND_TEXT, FIELD(delimiter), 0, 0,
     NULL},
    {"depth", "N", "a prefix reaches up to the N-th delimiter (1)", ON(STATS), KIND_NUMBER,
     FIELD(depth), 1, 100, NULL},
    {"top", "N", "so many prefixes and so many of the biggest keys (10)", ON(STATS), KIND_NUMBER,
     FIELD(top), 0, 100000, NULL},
    {"json", NULL, "one JSON object in place of tables", ON(STATS), KIND_FLAG, FIELD(json), 0, 0,
     NULL},
    {"format", "json|resp", "what to write (json)", ON(EXPORT), KIND_CALL, 0, 0, 0, set_format},
    {"keep-expired", NULL, "with the keys whose time is over; otherwise they are left out",
     ON(EXPORT), KIND_FLAG, FIELD(keep_expired), 0, 0, NULL},
    {"replace", NULL, "resp: delete each key first", ON(EXPORT), KIND_FLAG, FIELD(replace), 0, 0,
     NULL},
    {"rdb-version", "N", "9 (Redis 5), 10 (7.0), 11 (7.2), 12 (7.4); default 11", ON(CONVERT),
     KIND_NUMBER, FIELD(rdb_version), 9, 12, NULL},
    {"no-compression", NULL, "do not compress strings", ON(CONVERT), KIND_FLAG,
     FIELD(no_compression), 0, 0, NULL},
    {"no-checksum", NULL, "write no checksum", ON(CONVERT), KIND_FLAG, FIELD(no_checksum), 0, 0,
     NULL},
    {"skip", NULL, "leave out, and name, what cannot be read or written (modules' values, ...)",
     ON(EXPORT) | ON(CONVERT), KIND_FLAG, FIELD(skip), 0, 0, NULL},
    {"ignore-checksum", NULL, "read a file whose checksum is wrong", ON_ALL, KIND_FLAG,
     FIELD(ignore_checksum), 0, 0, NULL},
    {"quiet", NULL, "no progress bar (there is one when standard error is a terminal)", ON_ALL,
     KIND_FLAG, FIELD(quiet), 0, 0, NULL},
};

#define ROWS     (sizeof(rows) / sizeof(rows[0]))
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(void) {
    printf("Usage: torc-rdb COMMAND FILE... [OPTION...]\n\n"
           "Looks into, converts and exports RDB files of Redis and Valkey; - is standard input or "
           "output.\n\n");
    for (size_t i = 0; i < COMMANDS; i++)
        printf("  %-8s %-11s %s\n", commands[i].name, commands[i].files, commands[i].summary);
    printf("\ntorc-rdb COMMAND --help tells more.\n"
           "Exit status: 0 all is well, 1 something in the file is not, 2 wrong usage, 3 a file "
           "cannot be\nread or written.\n");
}

static void print_command_help(enum command command) {
    printf("Usage: torc-rdb %s %s [OPTION...]\n\n%s\n\n", commands[command].name,
           commands[command].files, commands[command].text);
    for (size_t i = 0; i < ROWS; i++) {
        if ((rows[i].commands & (1u << command)) == 0) continue;
        char left[40];
        snprintf(left, sizeof(left), "--%s%s%s", rows[i].name, rows[i].argument != NULL ? " " : "",
                 rows[i].argument != NULL ? rows[i].argument : "");
        printf("  %-22s %s\n", left, rows[i].help);
    }
}

static enum options_result wrong(const char *name, const char *problem) {
    fprintf(stderr, "torc-rdb: --%s %s\n", name, problem);
    return OPTIONS_WRONG;
}

/** Stores the value as the row says. */
static enum options_result apply(struct options *o, const struct row *row, const char *value) {
    char *field = (char *)o + row->offset;
    switch (row->kind) {
    case KIND_FLAG: *(bool *)field = true; return OPTIONS_RUN;
    case KIND_TEXT: *(const char **)field = value; return OPTIONS_RUN;
    case KIND_NUMBER: {
        char *end = NULL;
        errno = 0;
        uint64_t number = strtoull(value, &end, 10);
        bool is_number = *value >= '0' && *value <= '9' && errno == 0 && *end == '\0';
        if (is_number && number >= row->min && number <= row->max) {
            *(uint64_t *)field = number;
            return OPTIONS_RUN;
        }
        char problem[80];
        snprintf(problem, sizeof(problem), "must be a number from %llu to %llu",
                 (unsigned long long)row->min, (unsigned long long)row->max);
        return wrong(row->name, problem);
    }
    case KIND_CALL: break;
    }
    const char *problem = row->call(o, value);
    return problem == NULL ? OPTIONS_RUN : wrong(row->name, problem);
}

static const struct row *find_row(const char *name, size_t n, enum command command) {
    for (size_t i = 0; i < ROWS; i++) {
        if (strlen(rows[i].name) == n && memcmp(rows[i].name, name, n) == 0 &&
            (rows[i].commands & (1u << command)) != 0)
            return &rows[i];
    }
    return NULL;
}

/** An option at argv[*i], and its value behind it. */
static enum options_result take_option(struct options *o, int argc, char **argv, int *i) {
    char *name = argv[*i] + 2;
    char *equals = strchr(name, '=');
    size_t n = equals != NULL ? (size_t)(equals - name) : strlen(name);
    const struct row *row = find_row(name, n, o->command);
    if (row == NULL) return wrong(name, "is unknown here (see --help)");
    char *value = equals != NULL ? equals + 1 : NULL;
    if (row->kind == KIND_FLAG && value != NULL) return wrong(row->name, "takes no value");
    if (row->kind != KIND_FLAG && value == NULL) {
        if (++*i == argc) return wrong(row->name, "needs a value");
        value = argv[*i];
    }
    return apply(o, row, value);
}

/** A file at the command line. False: there are too many. */
static bool take_file(struct options *o, const char *name) {
    bool one = o->command == COMMAND_CHECK || o->command == COMMAND_STATS;
    if (o->input == NULL)
        o->input = name;
    else if (!one && o->output == NULL)
        o->output = name;
    else
        return false;
    return true;
}

static enum options_result check_files(struct options *o) {
    if (o->command == COMMAND_EXPORT && o->output == NULL) o->output = "-";
    bool two = o->command == COMMAND_CONVERT || o->command == COMMAND_FILTER;
    if (o->input != NULL && (!two || o->output != NULL)) return OPTIONS_RUN;
    fprintf(stderr, "torc-rdb: %s needs %s (see --help)\n", commands[o->command].name,
            commands[o->command].files);
    return OPTIONS_WRONG;
}

static bool is_help(const char *word) {
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

enum options_result options_parse(struct options *o, int argc, char **argv) {
    *o = (struct options){.databases = 16,
                          .problems = 20,
                          .delimiter = ":",
                          .depth = 1,
                          .top = 10,
                          .rdb_version = 11};
    if (argc > 1 && is_help(argv[1])) {
        print_help();
        return OPTIONS_DONE;
    }
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        printf("torc-rdb %s\n", TORC_VERSION);
        return OPTIONS_DONE;
    }
    size_t command = 0;
    while (argc > 1 && command < COMMANDS && strcmp(argv[1], commands[command].name) != 0)
        command++;
    if (argc < 2 || command == COMMANDS) {
        fprintf(stderr, "torc-rdb: a command is needed: check, stats, export, convert or filter "
                        "(see --help)\n");
        return OPTIONS_WRONG;
    }
    o->command = (enum command)command;
    for (int i = 2; i < argc; i++) {
        if (is_help(argv[i])) {
            print_command_help(o->command);
            return OPTIONS_DONE;
        }
        if (strncmp(argv[i], "--", 2) == 0) {
            if (take_option(o, argc, argv, &i) != OPTIONS_RUN) return OPTIONS_WRONG;
        } else if (!take_file(o, argv[i])) {
            fprintf(stderr, "torc-rdb: unexpected '%s' (see --help)\n", argv[i]);
            return OPTIONS_WRONG;
        }
    }
    return check_files(o);
}
