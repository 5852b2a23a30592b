// SPDX-License-Identifier: BSD-3-Clause
//
// Counting: errors by code, rates from samples, and adding up shards. Runs on the shard's own
// thread; the copies that INFO gathers belong to the thread that asked. Invariant: `errors` holds
// each code once, in the order of first appearance; codes beyond its capacity are counted in
// error_replies only. Called by connection.c, shard.c and session_info.c.
#include "shards/statistics.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "engine/commands/command.h"

void statistics_init(struct statistics *st) {
    memset(st, 0, sizeof *st);
    st->by_command = mem_calloc(command_count() * sizeof *st->by_command);
}

void statistics_fini(struct statistics *st) {
    mem_free(st->by_command);
    st->by_command = NULL;
}

static void count_error(struct statistics *st, const char *code, uint64_t count) {
    for (uint32_t i = 0; i < st->error_codes; i++) {
        if (strcmp(st->errors[i].code, code) == 0) {
            st->errors[i].count += count;
            return;
        }
    }
    if (st->error_codes == STATISTICS_ERRORS_MAX) return;
    struct error_statistics *e = &st->errors[st->error_codes++];
    memset(e->code, 0, sizeof e->code);
    memcpy(e->code, code, strnlen(code, sizeof e->code - 1));
    e->count = count;
}

void statistics_error(struct statistics *st, const char *code) {
    st->error_replies++;
    count_error(st, code, 1);
}

static uint64_t rate(uint64_t now, uint64_t before, int64_t elapsed_ms) {
    // A counter that was reset in between counts from zero.
    uint64_t grown = now >= before ? now - before : now;
    return grown * 1000 / (uint64_t)elapsed_ms;
}

void statistics_tick(struct statistics *st, int64_t now_ms, uint64_t bytes_in, uint64_t bytes_out) {
    int64_t elapsed_ms = now_ms - st->last_sample_ms;
    if (st->last_sample_ms > 0 && elapsed_ms > 0) {
        uint32_t at = st->rate_index;
        st->ops_rate[at] = rate(st->commands, st->last_commands, elapsed_ms);
        st->in_rate[at] = rate(bytes_in, st->last_bytes_in, elapsed_ms);
        st->out_rate[at] = rate(bytes_out, st->last_bytes_out, elapsed_ms);
        st->rate_index = (at + 1) % 16;
    }
    st->last_sample_ms = now_ms;
    st->last_commands = st->commands;
    st->last_bytes_in = bytes_in;
    st->last_bytes_out = bytes_out;
}

uint64_t statistics_rate(const uint64_t ring[16]) {
    uint64_t sum = 0;
    for (int i = 0; i < 16; i++) sum += ring[i];
    return sum / 16;
}

void statistics_reset(struct statistics *st) {
    struct command_statistics *by_command = st->by_command;
    struct statistics fresh = {.by_command = by_command,
                               .last_bytes_in = st->last_bytes_in,
                               .last_bytes_out = st->last_bytes_out,
                               .last_sample_ms = st->last_sample_ms};
    memset(by_command, 0, command_count() * sizeof *by_command);
    *st = fresh;
}

void statistics_add(struct statistics *a, const struct statistics *b) {
    a->commands += b->commands;
    a->connections_received += b->connections_received;
    a->connections_rejected += b->connections_rejected;
    a->error_replies += b->error_replies;
    a->remote_requests += b->remote_requests;
    a->visits += b->visits;
    a->visits_awaited += b->visits_awaited;
    a->transactions += b->transactions;
    a->transactions_retried += b->transactions_retried;
    a->held_requests += b->held_requests;
    a->messages_sent += b->messages_sent;
    a->wakeups_sent += b->wakeups_sent;
    a->passes += b->passes;
    a->sleeps += b->sleeps;
    a->reads += b->reads;
    a->writes += b->writes;
    a->output_limit_closed += b->output_limit_closed;
    a->auth_delayed += b->auth_delayed;
    for (int i = 0; i < ACL_LOG_REASONS; i++) a->denials[i] += b->denials[i];
    uint32_t commands = command_count();
    for (uint32_t i = 0; i < commands; i++) {
        struct command_statistics *to = &a->by_command[i];
        const struct command_statistics *from = &b->by_command[i];
        to->calls += from->calls;
        to->sampled += from->sampled;
        to->sampled_ns += from->sampled_ns;
        to->rejected += from->rejected;
        to->failed += from->failed;
    }
    for (uint32_t i = 0; i < b->error_codes; i++)
        count_error(a, b->errors[i].code, b->errors[i].count);
    for (int i = 0; i < 16; i++) {
        a->ops_rate[i] += b->ops_rate[i];
        a->in_rate[i] += b->in_rate[i];
        a->out_rate[i] += b->out_rate[i];
    }
}
