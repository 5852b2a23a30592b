// SPDX-License-Identifier: BSD-3-Clause
/*
 * The two forms of the result: a table and a JSON document.
 *
 * Owns nothing; reads the run's options and the merged statistics. Called once by main(). The row
 * "all" is the sum over the commands, its percentiles those of the merged histograms. Invariant:
 * every number printed comes from struct stats, none is computed twice in different ways.
 */
#include "tools/torc_load/report.h"

#include "tools/torc_load/util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct percentile {
    const char *title;
    const char *json;
    double percent;
};

static const struct percentile percentiles[] = {
    {"p50", "p50", 50},       {"p90", "p90", 90},          {"p99", "p99", 99},
    {"p99.9", "p99_9", 99.9}, {"p99.99", "p99_99", 99.99},
};

#define PERCENTILES (sizeof percentiles / sizeof percentiles[0])

static double seconds_of(const struct stats *s) {
    return s->end_ns > s->start_ns ? (double)(s->end_ns - s->start_ns) / (double)NS_PER_S : 0.0;
}

static double per_second(double count, double seconds) {
    return seconds > 0 ? count / seconds : 0.0;
}

static double us(double ns) { return ns / 1000.0; }

/* Sums the commands' counts into `sum`. */
static void sum_commands(const struct stats *s, struct command_stats *sum) {
    *sum = (struct command_stats){0};
    histogram_reset(&sum->latency);
    for (uint32_t i = 0; i < s->command_count; i++) {
        sum->hits += s->commands[i].hits;
        sum->misses += s->commands[i].misses;
        sum->errors += s->commands[i].errors;
        histogram_merge(&sum->latency, &s->commands[i].latency);
    }
}

static void print_header(const struct run *run) {
    static const char *const names[] = {"uniform", "zipfian", "sequential"};
    const struct options *o = run->options;
    if (o->socket != NULL)
        printf("torc-load: %s", o->socket);
    else
        printf("torc-load: %s:%u", o->host, (unsigned)o->port);
    printf(", %u connections, %u threads, pipeline %u, RESP%u, ", (unsigned)o->connections,
           (unsigned)o->threads, (unsigned)o->pipeline, (unsigned)o->resp);
    if (o->rate > 0)
        printf("open loop at %.15g requests/s\n", o->rate);
    else
        printf("closed loop\n");
    printf("%llu keys of %u bytes, %s", (unsigned long long)o->keys, (unsigned)o->key_size,
           names[o->distribution]);
    if (o->distribution == KEYS_ZIPFIAN) printf(" (theta %.15g)", o->theta);
    printf("; values of %llu", (unsigned long long)o->value_min);
    if (o->value_max != o->value_min) printf(" to %llu", (unsigned long long)o->value_max);
    printf(" bytes\n");
}

static void print_row(const char *name, const struct command_stats *c, double seconds) {
    const struct histogram *h = &c->latency;
    printf("%-10s %11llu %11.0f %11llu %11llu %8llu %9.1f %9.1f", name,
           (unsigned long long)h->count, per_second((double)h->count, seconds),
           (unsigned long long)c->hits, (unsigned long long)c->misses,
           (unsigned long long)c->errors, h->count != 0 ? us((double)h->min_ns) : 0.0,
           us(histogram_mean_ns(h)));
    for (size_t i = 0; i < PERCENTILES; i++)
        printf(" %9.1f", us((double)histogram_percentile_ns(h, percentiles[i].percent)));
    printf(" %9.1f\n", us((double)h->max_ns));
}

static void print_errors(const struct stats *s) {
    if (s->error_count == 0) return;
    printf("%llu error replies:\n", (unsigned long long)s->error_count);
    for (uint32_t i = 0; i < STATS_ERROR_TEXTS && s->errors[i].count != 0; i++)
        printf("  %llu x %s\n", (unsigned long long)s->errors[i].count, s->errors[i].text);
    if (s->other_errors != 0) printf("  %llu x other texts\n", (unsigned long long)s->other_errors);
}

void report_table(const struct run *run, const struct stats *s) {
    double seconds = seconds_of(s);
    struct command_stats sum;
    print_header(run);
    if (run->options->preload) printf("%llu keys preloaded\n", (unsigned long long)s->preloaded);
    if (!run->options->preload_only) {
        sum_commands(s, &sum);
        printf("%.3f s, %llu requests answered, %.1f requests/s, %.2f MB/s out, %.2f MB/s in\n\n",
               seconds, (unsigned long long)s->replies, per_second((double)s->replies, seconds),
               per_second((double)s->bytes_sent, seconds) / 1e6,
               per_second((double)s->bytes_received, seconds) / 1e6);
        printf("%-10s %11s %11s %11s %11s %8s %9s %9s", "latency us", "requests", "requests/s",
               "hits", "misses", "errors", "min", "mean");
        for (size_t i = 0; i < PERCENTILES; i++) printf(" %9s", percentiles[i].title);
        printf(" %9s\n", "max");
        for (uint32_t i = 0; i < s->command_count; i++)
            print_row(run->templates[i].name, &s->commands[i], seconds);
        if (s->command_count > 1) print_row("all", &sum, seconds);
    }
    if (run->options->rate > 0)
        printf("latest sending: %.1f us behind schedule; %llu requests were due but never sent\n",
               us((double)s->send_lag_max_ns), (unsigned long long)s->never_sent);
    print_errors(s);
}

static void json_command(FILE *out, const char *name, const struct command_stats *c,
                         double seconds) {
    const struct histogram *h = &c->latency;
    fprintf(out, "{\"name\": ");
    util_json_string(out, name);
    fprintf(out,
            ", \"requests\": %llu, \"requests_per_s\": %.3f, \"hits\": %llu, \"misses\": %llu, "
            "\"errors\": %llu, \"latency_us\": {\"min\": %.3f, \"mean\": %.3f",
            (unsigned long long)h->count, per_second((double)h->count, seconds),
            (unsigned long long)c->hits, (unsigned long long)c->misses,
            (unsigned long long)c->errors, h->count != 0 ? us((double)h->min_ns) : 0.0,
            us(histogram_mean_ns(h)));
    for (size_t i = 0; i < PERCENTILES; i++)
        fprintf(out, ", \"%s\": %.3f", percentiles[i].json,
                us((double)histogram_percentile_ns(h, percentiles[i].percent)));
    fprintf(out, ", \"max\": %.3f}}", us((double)h->max_ns));
}

static void json_errors(FILE *out, const struct stats *s) {
    fprintf(out, "  \"error_texts\": [");
    for (uint32_t i = 0; i < STATS_ERROR_TEXTS && s->errors[i].count != 0; i++) {
        fprintf(out, "%s{\"count\": %llu, \"text\": ", i == 0 ? "" : ", ",
                (unsigned long long)s->errors[i].count);
        util_json_string(out, s->errors[i].text);
        fputc('}', out);
    }
    fprintf(out, "]\n");
}

bool report_json(const struct run *run, const struct stats *s, const char *path) {
    bool is_stdout = strcmp(path, "-") == 0;
    FILE *out = is_stdout ? stdout : fopen(path, "w");
    if (out == NULL) return false;
    const struct options *o = run->options;
    double seconds = seconds_of(s);
    struct command_stats sum;
    sum_commands(s, &sum);
    fprintf(out,
            "{\n  \"tool\": \"torc-load\",\n  \"connections\": %llu, \"threads\": %llu, "
            "\"pipeline\": %llu, \"rate\": %.3f, \"keys\": %llu, \"seed\": %llu,\n",
            (unsigned long long)o->connections, (unsigned long long)o->threads,
            (unsigned long long)o->pipeline, o->rate, (unsigned long long)o->keys,
            (unsigned long long)o->seed);
    fprintf(out,
            "  \"seconds\": %.6f, \"preloaded\": %llu, \"requests_sent\": %llu, "
            "\"replies\": %llu, \"error_count\": %llu, \"pushes\": %llu,\n"
            "  \"bytes_sent\": %llu, \"bytes_received\": %llu, \"send_lag_max_us\": %.3f, "
            "\"never_sent\": %llu,\n  \"all\": ",
            seconds, (unsigned long long)s->preloaded, (unsigned long long)s->requests_sent,
            (unsigned long long)s->replies, (unsigned long long)s->error_count,
            (unsigned long long)s->pushes, (unsigned long long)s->bytes_sent,
            (unsigned long long)s->bytes_received, us((double)s->send_lag_max_ns),
            (unsigned long long)s->never_sent);
    json_command(out, "all", &sum, seconds);
    fprintf(out, ",\n  \"commands\": [");
    for (uint32_t i = 0; i < s->command_count; i++) {
        fprintf(out, "%s\n    ", i == 0 ? "" : ",");
        json_command(out, run->templates[i].name, &s->commands[i], seconds);
    }
    fprintf(out, "\n  ],\n");
    json_errors(out, s);
    fprintf(out, "}\n");
    bool ok = ferror(out) == 0;
    if (is_stdout) return fflush(out) == 0 && ok;
    return fclose(out) == 0 && ok;
}
