// SPDX-License-Identifier: BSD-3-Clause
/*
 * Parses the command line by one table: name, kind, range, place, help.
 *
 * Runs once on the main thread. A row either fills a field of struct options by its offset or calls
 * a small function. Both "--name value" and "--name=value" are understood. Invariant: the help text
 * is generated from the same rows, so it names every option there is.
 */
#include "tools/torc_load/options.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { KIND_FLAG, KIND_NUMBER, KIND_REAL, KIND_TEXT, KIND_CALL };

struct row {
    const char *name;
    const char *argument;
    const char *help;
    enum kind kind;
    size_t offset;
    double min;
    double max;
    const char *(*call)(struct options *o, char *value);
};

static bool read_number(const char *text, char **end, uint64_t *value) {
    if (*text < '0' || *text > '9') return false;
    errno = 0;
    *value = strtoull(text, end, 10);
    return errno == 0;
}

static const char *set_ratio(struct options *o, char *value) {
    char *end;
    if (!read_number(value, &end, &o->ratio_set) || *end != ':' ||
        !read_number(end + 1, &end, &o->ratio_get) || *end != '\0' ||
        o->ratio_set + o->ratio_get == 0 || o->ratio_set > 1000000 || o->ratio_get > 1000000)
        return "must be SET:GET, like 1:10";
    o->ratio_given = true;
    return NULL;
}

static const char *set_value_size(struct options *o, char *value) {
    char *end;
    if (!read_number(value, &end, &o->value_min)) return "must be a size or a range A-B";
    o->value_max = o->value_min;
    if (*end == '-' && !read_number(end + 1, &end, &o->value_max))
        return "must be a size or a range A-B";
    if (*end != '\0' || o->value_min > o->value_max || o->value_max > 512u << 20)
        return "must be a size or a range A-B of at most 512 MiB";
    return NULL;
}

static const char *set_distribution(struct options *o, char *value) {
    static const char *const names[] = {"uniform", "zipfian", "sequential"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(value, names[i]) == 0) {
            o->distribution = (enum key_distribution)i;
            return NULL;
        }
    }
    return "must be uniform, zipfian or sequential";
}

static const char *add_command(struct options *o, char *value) {
    if (o->command_count == OPTIONS_COMMANDS_MAX) return "is given too often";
    o->commands[o->command_count++] = (struct options_command){.text = value, .weight = 1};
    return NULL;
}

static const char *set_weight(struct options *o, char *value) {
    char *end;
    uint64_t weight;
    if (o->command_count == 0) return "must follow a --command";
    if (!read_number(value, &end, &weight) || *end != '\0' || weight < 1 || weight > 1000000)
        return "must be 1 to 1000000";
    o->commands[o->command_count - 1].weight = weight;
    return NULL;
}

#define FIELD(f) offsetof(struct options, f)

static const struct row rows[] = {
    {"host", "NAME", "server to connect to (127.0.0.1)", KIND_TEXT, FIELD(host), 0, 0, NULL},
    {"port", "N", "its TCP port (6379)", KIND_NUMBER, FIELD(port), 1, 65535, NULL},
    {"socket", "PATH", "connect to a Unix socket instead", KIND_TEXT, FIELD(socket), 0, 0, NULL},
    {"auth", "[USER:]PASS", "authenticate first", KIND_TEXT, FIELD(auth), 0, 0, NULL},
    {"db", "N", "SELECT this database (0)", KIND_NUMBER, FIELD(db), 0, 1 << 20, NULL},
    {"resp", "2|3", "protocol version (2)", KIND_NUMBER, FIELD(resp), 2, 3, NULL},
    {"connections", "N", "in all (50)", KIND_NUMBER, FIELD(connections), 1, 1e6, NULL},
    {"threads", "N", "that share the connections (1)", KIND_NUMBER, FIELD(threads), 1, 256, NULL},
    {"requests", "N", "stop after N requests in all", KIND_NUMBER, FIELD(requests), 1, 1e15, NULL},
    {"seconds", "S", "stop after S seconds (10; 600 when --requests is given)", KIND_REAL,
     FIELD(seconds), 0.01, 86400, NULL},
    {"pipeline", "P", "requests sent together on a connection; with --rate the most in flight (1)",
     KIND_NUMBER, FIELD(pipeline), 1, 100000, NULL},
    {"closed", NULL, "closed loop: the next batch goes out when the last is answered (default)",
     KIND_FLAG, FIELD(is_closed), 0, 0, NULL},
    {"rate", "R", "open loop: R requests/s in all, latency counted from the intended send time",
     KIND_REAL, FIELD(rate), 0.001, 1e9, NULL},
    {"stall-timeout", "S", "give up when nothing is answered for S seconds (10)", KIND_REAL,
     FIELD(stall_seconds), 0.1, 3600, NULL},
    {"keys", "N", "size of the key space (1000000)", KIND_NUMBER, FIELD(keys), 1, 1e15, NULL},
    {"key-prefix", "TEXT", "start of each key (key:)", KIND_TEXT, FIELD(key_prefix), 0, 0, NULL},
    {"key-size", "N", "keys are padded with zeros to N bytes (16)", KIND_NUMBER, FIELD(key_size), 1,
     65536, NULL},
    {"distribution", "NAME", "uniform, zipfian or sequential (uniform)", KIND_CALL, 0, 0, 0,
     set_distribution},
    {"theta", "T", "exponent of the Zipfian distribution (0.99)", KIND_REAL, FIELD(theta), 0.01, 10,
     NULL},
    {"numbers", "N", "__number__ is a random number below N, zeros in front (1000)", KIND_NUMBER,
     FIELD(numbers), 1, 1e15, NULL},
    {"value-size", "N|A-B", "bytes in a value, or a range (32)", KIND_CALL, 0, 0, 0,
     set_value_size},
    {"ratio", "SET:GET", "mix of the two (1:10)", KIND_CALL, 0, 0, 0, set_ratio},
    {"mget", "N", "read by MGET of N keys in place of GET", KIND_NUMBER, FIELD(mget), 1, 10000,
     NULL},
    {"cache-aside", NULL, "GET, and SET what was missing: as an application uses a cache",
     KIND_FLAG, FIELD(cache_aside), 0, 0, NULL},
    {"ttl", "S", "SET with EX S", KIND_NUMBER, FIELD(ttl_s), 1, 1e9, NULL},
    {"command", "TEXT",
     "send this in place of SET and GET (add --ratio to have them too); __key__, __data__ "
     "and __number__ are replaced; may be repeated",
     KIND_CALL, 0, 0, 0, add_command},
    {"weight", "N", "share of the --command before it (1)", KIND_CALL, 0, 0, 0, set_weight},
    {"in-turn", NULL, "each connection sends the commands one after the other, all on one key",
     KIND_FLAG, FIELD(is_in_turn), 0, 0, NULL},
    {"preload", NULL, "first SET every key once, not measured", KIND_FLAG, FIELD(preload), 0, 0,
     NULL},
    {"preload-only", NULL, "SET every key once and stop", KIND_FLAG, FIELD(preload_only), 0, 0,
     NULL},
    {"allow-errors", NULL, "error replies do not make the run fail", KIND_FLAG, FIELD(allow_errors),
     0, 0, NULL},
    {"json", "FILE", "write the results there as well (- for standard output)", KIND_TEXT,
     FIELD(json), 0, 0, NULL},
    {"seed", "N", "of the random numbers (1)", KIND_NUMBER, FIELD(seed), 0, 1e18, NULL},
    {"quiet", NULL, "no table, only problems", KIND_FLAG, FIELD(quiet), 0, 0, NULL},
    {"help", NULL, "this text", KIND_FLAG, FIELD(help), 0, 0, NULL},
};

#define ROW_COUNT (sizeof rows / sizeof rows[0])

static void print_help(void) {
    printf("Usage: torc-load [option ...]\n\n"
           "Loads a server that speaks RESP and reports throughput and latency.\n\n");
    for (size_t i = 0; i < ROW_COUNT; i++) {
        char left[40];
        snprintf(left, sizeof left, "--%s %s", rows[i].name,
                 rows[i].argument != NULL ? rows[i].argument : "");
        printf("  %-24s %s\n", left, rows[i].help);
    }
    printf("\nExit status: 0 all answered, 1 error replies, 2 wrong usage, 3 connection failed.\n");
}

static enum options_result wrong(const char *name, const char *problem) {
    fprintf(stderr, "torc-load: --%s %s\n", name, problem);
    return OPTIONS_WRONG;
}

/* Stores `value` as the row says. */
static enum options_result apply(struct options *o, const struct row *row, char *value) {
    char *field = (char *)o + row->offset;
    char *end;
    char problem[96];
    snprintf(problem, sizeof problem, "must be a number from %.15g to %.15g", row->min, row->max);
    switch (row->kind) {
    case KIND_FLAG: *(bool *)field = true; return OPTIONS_RUN;
    case KIND_TEXT: *(const char **)field = value; return OPTIONS_RUN;
    case KIND_NUMBER: {
        uint64_t number;
        if (!read_number(value, &end, &number) || *end != '\0' || (double)number < row->min ||
            (double)number > row->max)
            return wrong(row->name, problem);
        *(uint64_t *)field = number;
        return OPTIONS_RUN;
    }
    case KIND_REAL: {
        double number = strtod(value, &end);
        if (end == value || *end != '\0' || isnan(number) || number < row->min || number > row->max)
            return wrong(row->name, problem);
        *(double *)field = number;
        return OPTIONS_RUN;
    }
    case KIND_CALL: break;
    }
    const char *text = row->call(o, value);
    return text == NULL ? OPTIONS_RUN : wrong(row->name, text);
}

static const struct row *find_row(const char *name, size_t len) {
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (strlen(rows[i].name) == len && memcmp(rows[i].name, name, len) == 0) return &rows[i];
    }
    return NULL;
}

/* What only shows once all options are known. */
static enum options_result check(struct options *o) {
    if (o->is_closed && o->rate > 0) return wrong("closed", "and --rate exclude each other");
    if (o->cache_aside && (o->rate > 0 || o->command_count > 0 || o->mget > 0 || o->ratio_given))
        return wrong("cache-aside", "excludes --rate, --command, --mget and --ratio");
    if (o->threads > o->connections) o->threads = o->connections;
    if (o->seconds == 0) o->seconds = o->requests != 0 ? 600 : 10;
    if (o->preload_only) o->preload = true;
    return OPTIONS_RUN;
}

enum options_result options_parse(struct options *o, int argc, char **argv) {
    *o = (struct options){.host = "127.0.0.1",
                          .port = 6379,
                          .resp = 2,
                          .connections = 50,
                          .threads = 1,
                          .pipeline = 1,
                          .stall_seconds = 10,
                          .keys = 1000000,
                          .key_prefix = "key:",
                          .key_size = 16,
                          .theta = 0.99,
                          .numbers = 1000,
                          .value_min = 32,
                          .value_max = 32,
                          .ratio_set = 1,
                          .ratio_get = 10,
                          .seed = 1};
    for (int i = 1; i < argc; i++) {
        char *name = argv[i] + 2;
        if (strncmp(argv[i], "--", 2) != 0) {
            fprintf(stderr, "torc-load: unexpected '%s' (see --help)\n", argv[i]);
            return OPTIONS_WRONG;
        }
        char *equals = strchr(name, '=');
        const struct row *row =
            find_row(name, equals != NULL ? (size_t)(equals - name) : strlen(name));
        if (row == NULL) return wrong(name, "is unknown (see --help)");
        char *value = equals != NULL ? equals + 1 : NULL;
        if (row->kind == KIND_FLAG && value != NULL) return wrong(row->name, "takes no value");
        if (row->kind != KIND_FLAG && value == NULL) {
            if (++i == argc) return wrong(row->name, "needs a value");
            value = argv[i];
        }
        if (apply(o, row, value) != OPTIONS_RUN) return OPTIONS_WRONG;
    }
    if (o->help) {
        print_help();
        return OPTIONS_HELP;
    }
    return check(o);
}
