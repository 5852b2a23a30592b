// SPDX-License-Identifier: BSD-3-Clause
/*
 * Counting and merging of results.
 *
 * stats_add_error() runs in workers (errors are rare, so it may search), stats_merge() on the main
 * thread once the workers have ended. Invariant: merging loses no count; only error texts beyond
 * the first STATS_ERROR_TEXTS are folded into one number.
 */
#include "tools/torc_load/stats.h"

#include "tools/torc_load/util.h"

#include <stdlib.h>
#include <string.h>

void stats_init(struct stats *s, uint32_t commands) {
    *s = (struct stats){.command_count = commands};
    s->commands = util_alloc(commands, sizeof *s->commands);
    for (uint32_t i = 0; i < commands; i++) histogram_reset(&s->commands[i].latency);
}

void stats_fini(struct stats *s) {
    free(s->commands);
    s->commands = NULL;
}

void stats_add_error(struct stats *s, const char *text, uint64_t count) {
    s->error_count += count;
    for (uint32_t i = 0; i < STATS_ERROR_TEXTS; i++) {
        struct error_text *e = &s->errors[i];
        if (e->count == 0) snprintf(e->text, sizeof e->text, "%s", text);
        if (strcmp(e->text, text) == 0) {
            e->count += count;
            return;
        }
    }
    s->other_errors += count;
}

void stats_merge(struct stats *into, const struct stats *from) {
    if (from->start_ns != 0 && (into->start_ns == 0 || from->start_ns < into->start_ns))
        into->start_ns = from->start_ns;
    if (from->end_ns > into->end_ns) into->end_ns = from->end_ns;
    if (from->send_lag_max_ns > into->send_lag_max_ns)
        into->send_lag_max_ns = from->send_lag_max_ns;
    into->requests_sent += from->requests_sent;
    into->replies += from->replies;
    into->preloaded += from->preloaded;
    into->never_sent += from->never_sent;
    into->pushes += from->pushes;
    into->bytes_sent += from->bytes_sent;
    into->bytes_received += from->bytes_received;
    for (uint32_t i = 0; i < STATS_ERROR_TEXTS; i++) {
        if (from->errors[i].count != 0)
            stats_add_error(into, from->errors[i].text, from->errors[i].count);
    }
    into->error_count += from->other_errors;
    into->other_errors += from->other_errors;
    for (uint32_t i = 0; i < into->command_count; i++) {
        struct command_stats *to = &into->commands[i];
        to->hits += from->commands[i].hits;
        to->misses += from->commands[i].misses;
        to->errors += from->commands[i].errors;
        histogram_merge(&to->latency, &from->commands[i].latency);
    }
}
