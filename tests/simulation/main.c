// SPDX-License-Identifier: BSD-3-Clause
//
// torc-sim: runs seeds of the simulator and says which failed; --self-test breaks things on purpose
// and expects each to be found. The last line is "N passed, M failed"; the status is 1 if M is not
// 0.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/log.h"
#include "shards/session.h"
#include "tests/simulation/sim.h"

#define STEPS_DEFAULT   2000000
#define SEEDS_DEFAULT   2000
#define FAILURES_MAX    20
#define SELF_TEST_SEEDS 400

static const struct {
    const char *name;
    uint32_t bit;
    const char *workload; // that must notice
    const char *expected; // a part of the message
} sabotages[] = {
    {"split-read", SABOTAGE_SPLIT_READ, "transfers", "total"},
    {"split-read", SABOTAGE_SPLIT_READ, "groups", "torn"},
    {"split-read", SABOTAGE_SPLIT_READ, "registers", "no order"},
    {"split-write", SABOTAGE_SPLIT_WRITE, "transfers", "total"},
    {"split-write", SABOTAGE_SPLIT_WRITE, "groups", "torn"},
    {"split-write", SABOTAGE_SPLIT_WRITE, "tokens", "got"},
    {"split-write", SABOTAGE_SPLIT_WRITE, "registers", "no order"},
    {"split-write", SABOTAGE_SPLIT_WRITE, "snapshot", "a snapshot has"},
    {"relaxed", SABOTAGE_RELAXED, "order", "saw"},
    {"stale", SABOTAGE_STALE, "registers", "no order"},
    {"stale", SABOTAGE_STALE, "order", "client"},
    {"lost-wake", SABOTAGE_LOST_WAKE, NULL, "lost wake-up"},
    {"lost-event", SABOTAGE_LOST_EVENT, "groups", ""},
    {"ignore-watch", SABOTAGE_IGNORE_WATCH, "transfers", "total"},
    {"abort", SABOTAGE_ABORT, "transfers", "refused"},
    {"lost-message", SABOTAGE_LOST_MESSAGE, "messages", "lost"},
    {"late-message", SABOTAGE_LATE_MESSAGE, "messages", "before"},
    {"lost-message", SABOTAGE_LOST_MESSAGE, "caching", "acknowledged"},
};
#define SABOTAGES (sizeof sabotages / sizeof sabotages[0])

static void on_fatal_signal(int number) {
    char text[256];
    sim_describe_current(text, sizeof text);
    size_t n = strlen(text);
    if (n > 0) {
        ssize_t written = write(STDOUT_FILENO, "CRASHED ", 8);
        written = write(STDOUT_FILENO, text, n);
        written = write(STDOUT_FILENO, "\n", 1);
        (void)written;
    }
    signal(number, SIG_DFL);
    raise(number);
}

static void usage(void) {
    printf("usage: torc-sim [--seed S | --seeds [FROM] COUNT] [--shards N] [--steps N]\n"
           "                [--workload transfers|groups|tokens|order|registers|memory|chaos|\n"
           "                            queues|messages|snapshot|caching]\n"
           "                [--sabotage NAME] [--verbose]\n"
           "       torc-sim --self-test\n"
           "sabotages:");
    for (size_t i = 0; i < SABOTAGES; i++)
        if (i == 0 || strcmp(sabotages[i].name, sabotages[i - 1].name) != 0)
            printf(" %s", sabotages[i].name);
    putchar('\n');
}

static uint32_t sabotage_named(const char *name) {
    for (size_t i = 0; i < SABOTAGES; i++)
        if (strcmp(sabotages[i].name, name) == 0) return sabotages[i].bit;
    return 0;
}

/** In a process of its own: a broken run may crash, and leaves memory behind. 0: found. */
static int find_sabotage(size_t i) {
    struct sim_options options = {.workload = sabotages[i].workload,
                                  .steps = STEPS_DEFAULT,
                                  .sabotage = sabotages[i].bit,
                                  .quiet = true};
    for (uint64_t seed = 1; seed <= SELF_TEST_SEEDS; seed++) {
        char failure[1024];
        options.seed = seed;
        if (world_run(&options, failure, NULL)) continue;
        bool good = strstr(failure, sabotages[i].expected) != NULL;
        printf("%s %s: %s\n", good ? "found" : "WRONG", sabotages[i].name, failure);
        fflush(stdout);
        if (good) return 0;
    }
    return 1;
}

static int self_test(void) {
    int passed = 0, failed = 0;
    for (size_t i = 0; i < SABOTAGES; i++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            alarm(60);
            _exit(find_sabotage(i));
        }
        int status = 0;
        bool good = child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
                    WEXITSTATUS(status) == 0;
        if (!good)
            printf("NOT FOUND %s (workload %s)\n", sabotages[i].name,
                   sabotages[i].workload ? sabotages[i].workload : "any");
        if (good)
            passed++;
        else
            failed++;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}

struct choice {
    uint64_t from, count;
    bool self_test;
};

static bool read_options(int argc, char **argv, struct sim_options *o, struct choice *choice) {
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        int left = argc - 1 - i;
        if (strcmp(name, "--verbose") == 0) {
            o->verbose = true;
        } else if (strcmp(name, "--self-test") == 0) {
            choice->self_test = true;
        } else if (strcmp(name, "--seed") == 0 && left >= 1) {
            choice->from = strtoull(argv[++i], NULL, 10);
            choice->count = 1;
        } else if (strcmp(name, "--seeds") == 0 && left >= 1) {
            choice->count = strtoull(argv[++i], NULL, 10);
            if (left >= 2 && argv[i + 1][0] != '-') {
                choice->from = choice->count;
                choice->count = strtoull(argv[++i], NULL, 10);
            }
        } else if (strcmp(name, "--shards") == 0 && left >= 1) {
            o->shards = (uint32_t)strtoul(argv[++i], NULL, 10);
            if (o->shards < 1 || o->shards > SIM_SHARDS_MAX) return false;
        } else if (strcmp(name, "--steps") == 0 && left >= 1) {
            o->steps = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(name, "--workload") == 0 && left >= 1) {
            o->workload = argv[++i];
            if (!workload_named(o->workload)) return false;
        } else if (strcmp(name, "--sabotage") == 0 && left >= 1) {
            o->sabotage = sabotage_named(argv[++i]);
            if (!o->sabotage) return false;
        } else {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv) {
    struct sim_options options = {.steps = STEPS_DEFAULT};
    struct choice choice = {.from = 1, .count = SEEDS_DEFAULT};
    if (!read_options(argc, argv, &options, &choice)) {
        usage();
        return 2;
    }
    log_set_level(LOG_NOTHING);
    session_bind();
    signal(SIGABRT, on_fatal_signal);
    signal(SIGSEGV, on_fatal_signal);
    if (choice.self_test) return self_test();
    uint64_t passed = 0, failed = 0, steps = 0;
    for (uint64_t i = 0; i < choice.count && failed < FAILURES_MAX; i++) {
        options.seed = choice.from + i;
        if (world_run(&options, NULL, &steps))
            passed++;
        else
            failed++;
    }
    if (options.verbose) printf("%llu scheduler steps\n", (unsigned long long)steps);
    printf("%llu passed, %llu failed\n", (unsigned long long)passed, (unsigned long long)failed);
    return failed > 0;
}
