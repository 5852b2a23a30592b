// SPDX-License-Identifier: BSD-3-Clause
//
// The command line of torc-rdb: a subcommand, files, options. Filled once by options_parse() on the
// main thread, read-only afterwards; texts are argv's own. Invariant: a field holds its default or
// a value that its row allows, and only rows of the subcommand were taken.
#ifndef TORC_TOOLS_TORC_RDB_OPTIONS_H
#define TORC_TOOLS_TORC_RDB_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/torc_rdb/selection.h"

enum command { COMMAND_CHECK, COMMAND_STATS, COMMAND_EXPORT, COMMAND_CONVERT, COMMAND_FILTER };

enum export_format { EXPORT_JSON, EXPORT_RESP };

struct options {
    enum command command;
    const char *input, *output; // "-": standard input, standard output
    bool ignore_checksum, quiet;
    struct selection selection;
    // check
    uint64_t databases;
    uint64_t problems; // how many are shown
    bool all_duplicates;
    // stats
    const char *delimiter;
    uint64_t depth, top;
    bool json;
    // export
    enum export_format format;
    bool keep_expired, replace;
    // convert
    uint64_t rdb_version;
    bool no_compression, no_checksum;
    // export, convert
    bool skip;
};

enum options_result { OPTIONS_RUN, OPTIONS_DONE, OPTIONS_WRONG };

/** Parses the command line; prints help (DONE) or what is wrong with it (WRONG). */
enum options_result options_parse(struct options *o, int argc, char **argv);

#endif
