// SPDX-License-Identifier: BSD-3-Clause
//
// What torc-rdb can do: one function for each subcommand, in a file of its own. They run on the
// main thread, tell on stderr what went wrong, and return the exit status. Invariant: a file that
// is written has its final name only once it is complete. Called by main.c.
#ifndef TORC_TOOLS_TORC_RDB_COMMANDS_H
#define TORC_TOOLS_TORC_RDB_COMMANDS_H

#include "tools/torc_rdb/options.h"

enum {
    STATUS_OK = 0,
    STATUS_FOUND = 1, // the file, or something in it, would not load or cannot be written
    STATUS_USAGE = 2,
    STATUS_FILES = 3, // a file cannot be opened, read or written
};

int check_run(const struct options *o);
int stats_run(const struct options *o);
int export_run(const struct options *o);
int convert_run(const struct options *o);
int filter_run(const struct options *o);

#endif
