// SPDX-License-Identifier: BSD-3-Clause
/*
 * The command line of the load generator.
 *
 * Options are rows of one table in options.c, from which parsing and the help text come. The struct
 * is filled by the main thread before any worker starts and is read-only afterwards. Invariant:
 * after options_parse() returns OPTIONS_RUN every number lies within its documented range.
 */
#ifndef TORC_TOOLS_TORC_LOAD_OPTIONS_H
#define TORC_TOOLS_TORC_LOAD_OPTIONS_H

#include "tools/torc_load/keys.h"

#include <stdbool.h>
#include <stdint.h>

#define OPTIONS_COMMANDS_MAX 32

struct options_command {
    const char *text;
    uint64_t weight;
};

struct options {
    const char *host;
    uint64_t port;
    const char *socket; /* NULL: TCP */
    const char *auth;   /* NULL, "password" or "user:password" */
    uint64_t db;
    uint64_t resp;
    uint64_t connections;
    uint64_t threads;
    uint64_t requests; /* 0: bounded by time alone */
    double seconds;    /* 0: not given */
    uint64_t pipeline;
    double rate; /* requests per second over all connections; 0: closed loop */
    bool is_closed;
    double stall_seconds;
    uint64_t keys;
    const char *key_prefix;
    uint64_t key_size;
    enum key_distribution distribution;
    double theta;
    uint64_t numbers;
    uint64_t value_min;
    uint64_t value_max;
    uint64_t ratio_set;
    uint64_t ratio_get;
    bool ratio_given;
    uint64_t mget;
    uint64_t ttl_s;
    bool cache_aside;
    uint32_t command_count;
    struct options_command commands[OPTIONS_COMMANDS_MAX];
    bool is_in_turn; /* commands one after the other, a turn's on one key */
    bool preload;
    bool preload_only;
    bool allow_errors;
    const char *json;
    uint64_t seed;
    bool quiet;
    bool help;
};

enum options_result { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_WRONG };

/* Reads the command line into `o`. OPTIONS_HELP: help was printed. OPTIONS_WRONG: what is wrong was
 * said on stderr. Strings point into `argv`. */
enum options_result options_parse(struct options *o, int argc, char **argv);

#endif
