// SPDX-License-Identifier: BSD-3-Clause
//
// The server's main(): command line, configuration, and off. Runs on the main thread; everything
// else is in shards/server.c. Invariant: a configuration that is wrong ends the process with
// status 1 and a message on stderr before anything has been opened.
#include <stdio.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "shards/config.h"
#include "shards/server.h"

static const char usage[] =
    "Usage: torc [/path/to/torc.conf | -] [--name value ...]\n"
    "       torc --version | --help | --check-config [/path/to/torc.conf] [--name value ...]\n"
    "\n"
    "Without arguments torc serves on port 6379 with one shard for each CPU it may use.\n"
    "Directives are those of redis.conf; docs/configuration.md lists them.\n"
    "Examples:\n"
    "       torc --port 7777 --shards 2\n"
    "       torc /etc/redis/redis.conf --loglevel verbose\n"
    "       echo 'maxclients 100' | torc -\n";

int main(int argc, char **argv) {
    if (argc == 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-v") == 0)) {
        printf("torc server v=%s allocator=%s bits=%zu\n", TORC_VERSION, mem_allocator_name(),
               sizeof(void *) * 8);
        return 0;
    }
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(usage, stdout);
        return 0;
    }
    bool check_only = argc >= 2 && strcmp(argv[1], "--check-config") == 0;
    if (check_only) {
        argv[1] = argv[0];
        argv++;
        argc--;
    }
    struct config *config = config_new();
    struct config_notices notices = {0};
    struct buf error = {0};
    int status = 1;
    if (!config_load(config, argc, argv, &notices, &error)) {
        fprintf(stderr, "%.*s\n", (int)error.len, error.p);
    } else if (check_only) {
        printf("The configuration is good.\n");
        if (notices.names.len > 0)
            printf("Directives that torc does not act on: %.*s\n", (int)notices.names.len,
                   notices.names.p);
        status = 0;
    } else {
        status = server_run(config, &notices);
    }
    config_notices_free(&notices);
    buf_free(&error);
    config_release(config);
    return status;
}
