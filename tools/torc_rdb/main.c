// SPDX-License-Identifier: BSD-3-Clause
//
// torc-rdb: looks into RDB files of Redis, Valkey and torc, converts, filters and exports them.
//
// Parses the command line and runs one subcommand (commands.h), all on the main thread. A file is
// read once from beginning to end, record by record, so its size does not matter: memory is that of
// the largest key. Invariant: what goes wrong is told on stderr, with its place in the file.
#include "tools/torc_rdb/commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int run(const struct options *o) {
    switch (o->command) {
    case COMMAND_CHECK: return check_run(o);
    case COMMAND_STATS: return stats_run(o);
    case COMMAND_EXPORT: return export_run(o);
    case COMMAND_CONVERT: return convert_run(o);
    case COMMAND_FILTER: return filter_run(o);
    }
    return STATUS_USAGE;
}

int main(int argc, char **argv) {
    struct options o;
    switch (options_parse(&o, argc, argv)) {
    case OPTIONS_DONE: return STATUS_OK;
    case OPTIONS_WRONG: return STATUS_USAGE;
    case OPTIONS_RUN: break;
    }
    int status = run(&o);
    if (fflush(stdout) == 0 && !ferror(stdout)) return status;
    fprintf(stderr, "torc-rdb: standard output: %s\n", strerror(errno));
    return STATUS_FILES;
}
