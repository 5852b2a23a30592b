// SPDX-License-Identifier: BSD-3-Clause
/*
 * torc-load: puts load on a server that speaks RESP, and measures it.
 *
 * The main thread parses options, compiles the request templates, starts the workers, waits for
 * them or for a signal (SIGINT and SIGTERM end the run early; what was measured is still reported),
 * merges their counts and prints. Invariant: signals are blocked in every thread and taken only by
 * sigwaitinfo() here, so no code runs in a signal handler.
 * Exit status: 0 all answered, 1 error replies, 2 wrong usage, 3 a connection failed.
 */
#include "tools/torc_load/options.h"
#include "tools/torc_load/report.h"
#include "tools/torc_load/util.h"
#include "tools/torc_load/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_ERROR_REPLIES 1
#define EXIT_USAGE         2
#define EXIT_CONNECTION    3

static bool compile_one(struct run *run, const char *text, uint64_t weight) {
    uint32_t i = run->template_count;
    const char *problem = request_compile(&run->templates[i], &run->format, text);
    run->template_count++;
    if (problem != NULL) {
        fprintf(stderr, "torc-load: '%s': %s\n", text, problem);
        return false;
    }
    run->weight_until[i] = (i == 0 ? 0 : run->weight_until[i - 1]) + weight;
    return true;
}

/* The reading command: GET, or MGET of as many keys as asked for. */
static bool compile_read(struct run *run) {
    const struct options *o = run->options;
    struct bytes text = {0};
    bytes_addf(&text, o->mget != 0 ? "MGET" : "GET");
    for (uint64_t i = 0; i < (o->mget != 0 ? o->mget : 1); i++) bytes_addf(&text, " __key__");
    bytes_add(&text, "", 1);
    bool ok = compile_one(run, text.data, o->ratio_get);
    free(text.data);
    return ok;
}

/* Makes all templates of the run: SET and GET, or the given commands, or both. */
static bool compile_templates(struct run *run) {
    const struct options *o = run->options;
    char set_text[64] = "SET __key__ __data__";
    if (o->ttl_s != 0)
        snprintf(set_text, sizeof set_text, "SET __key__ __data__ EX %llu",
                 (unsigned long long)o->ttl_s);
    const char *problem = request_format_init(&run->format, o->seed);
    if (problem == NULL) problem = request_compile(&run->preload, &run->format, set_text);
    if (problem != NULL) {
        fprintf(stderr, "torc-load: %s\n", problem);
        return false;
    }
    if (o->cache_aside) return compile_one(run, set_text, 1) && compile_read(run);
    if (o->command_count == 0 || o->ratio_given) {
        if (o->ratio_set != 0 && !compile_one(run, set_text, o->ratio_set)) return false;
        if (o->ratio_get != 0 && !compile_read(run)) return false;
    }
    for (uint32_t i = 0; i < o->command_count; i++) {
        if (!compile_one(run, o->commands[i].text, o->commands[i].weight)) return false;
    }
    return true;
}

/* Waits until `count` workers have ended; a signal makes them stop early. */
static void wait_for_workers(struct run *run, const sigset_t *signals, unsigned count) {
    while (atomic_load(&run->finished) < count) {
        int number = sigwaitinfo(signals, NULL);
        if (number == SIGINT || number == SIGTERM) atomic_store(&run->stop, true);
    }
}

static void start_workers(struct run *run, struct worker *workers, uint32_t count) {
    const struct options *o = run->options;
    pthread_barrier_init(&run->barrier, NULL, count);
    for (uint32_t i = 0; i < count; i++) {
        struct worker *w = &workers[i];
        w->run = run;
        w->index = i;
        w->epoll_fd = -1;
        w->connection_count =
            (uint32_t)(o->connections * (i + 1) / count - o->connections * i / count);
        stats_init(&w->stats, run->template_count);
    }
    for (uint32_t i = 0; i < count; i++) {
        int error = pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]);
        if (error != 0) {
            fprintf(stderr, "torc-load: cannot start a thread: %s\n", strerror(error));
            exit(EXIT_CONNECTION);
        }
    }
}

/* Runs the load and merges the counts into `total`; false when a worker failed. */
static bool run_load(struct run *run, struct stats *total) {
    uint32_t count = (uint32_t)run->options->threads;
    struct worker *workers = util_alloc(count, sizeof *workers);
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    run->main_thread = pthread_self();
    start_workers(run, workers, count);
    wait_for_workers(run, &signals, count);
    bool ok = true;
    for (uint32_t i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        if (workers[i].has_failed) {
            fprintf(stderr, "torc-load: %s\n", workers[i].problem);
            ok = false;
        }
        stats_merge(total, &workers[i].stats);
        worker_fini(&workers[i]);
    }
    pthread_barrier_destroy(&run->barrier);
    free(workers);
    return ok;
}

/* Prints and writes the result; the exit status of the process. */
static int finish(const struct run *run, const struct stats *total, bool is_complete) {
    const struct options *o = run->options;
    if (!o->quiet && (is_complete || total->replies != 0)) report_table(run, total);
    if (o->json != NULL && !report_json(run, total, o->json)) {
        fprintf(stderr, "torc-load: cannot write %s: %s\n", o->json, strerror(errno));
        return EXIT_USAGE;
    }
    if (!is_complete) return EXIT_CONNECTION;
    if (total->error_count != 0 && !o->allow_errors) {
        fprintf(stderr, "torc-load: %llu error replies, the first: %s\n",
                (unsigned long long)total->error_count, total->errors[0].text);
        return EXIT_ERROR_REPLIES;
    }
    return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    struct options options;
    switch (options_parse(&options, argc, argv)) {
    case OPTIONS_HELP: return EXIT_SUCCESS;
    case OPTIONS_WRONG: return EXIT_USAGE;
    case OPTIONS_RUN: break;
    }
    struct run *run = util_alloc(1, sizeof *run);
    run->options = &options;
    run->format = (struct request_format){.key_prefix = options.key_prefix,
                                          .keys = options.keys,
                                          .key_size = (uint32_t)options.key_size,
                                          .numbers = options.numbers,
                                          .value_min = options.value_min,
                                          .value_max = options.value_max};
    int status = EXIT_USAGE;
    if (compile_templates(run)) {
        struct stats total;
        stats_init(&total, run->template_count);
        bool is_complete = run_load(run, &total);
        status = finish(run, &total, is_complete);
        stats_fini(&total);
    }
    for (uint32_t i = 0; i < run->template_count; i++) request_template_fini(&run->templates[i]);
    request_template_fini(&run->preload);
    free(run->format.value);
    free(run);
    return status;
}
