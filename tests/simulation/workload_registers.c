// SPDX-License-Identifier: BSD-3-Clause
//
// Registers: random commands of concurrent, pipelining clients on a few keys over several shards,
// single ones, multi-key ones and blocks; some clients come by shard ports, with commands and
// blocks over one key of that shard. The history is small, so that linear_check() can decide
// whether there is an order of all operations that explains every reply.
#include <stdio.h>
#include <stdlib.h>

#include "tests/simulation/sim.h"

#define OPS_MAX     110
#define COMMAND_MAX 400

static const char *any_key(struct world *w) {
    return w->keys[sim_below(w, (uint32_t)w->key_count)];
}

static uint32_t shard_of(const struct world *w, const char *key) {
    return hash_slot_shard(hash_slot(slice_text(key)), w->nshards);
}

static void setup(struct world *w) {
    w->key_count = 2 + (int)sim_below(w, 4);
    w->vanish_chance = sim_below(w, 3) ? 0 : 100;
    uint32_t first = sim_below(w, w->nshards);
    for (int i = 0; i < w->key_count; i++)
        w->keys[i] = sim_key(w, "k", i, first + (sim_below(w, 4) ? (uint32_t)i : 0));
    int clients = 2 + (int)sim_below(w, 4);
    w->scale = 1; // what the checker can decide
    uint32_t budget = (uint32_t)(OPS_MAX / clients);
    if (budget > 24) budget = 24;
    for (int i = 0; i < clients; i++)
        client_add(w, 0, budget, sim_below(w, 2) ? 1 : 1 + sim_below(w, 4));
    for (uint32_t ports = sim_below(w, 3), i = 0; i < ports && i < w->client_count; i++)
        client_use_shard_port(&w->clients[i], shard_of(w, any_key(w)));
}

/** Some different keys, in random order; returns how many. */
static int some_keys(struct world *w, const char *keys[8]) {
    int n = w->key_count;
    memcpy(keys, w->keys, (size_t)n * sizeof(char *));
    for (int i = n - 1; i > 0; i--) {
        int j = (int)sim_below(w, (uint32_t)i + 1);
        const char *key = keys[i];
        keys[i] = keys[j];
        keys[j] = key;
    }
    return 2 + (int)sim_below(w, (uint32_t)n - 1);
}

static void many_command(struct world *w, char *out, const char *name, bool values) {
    const char *keys[8];
    int count = some_keys(w, keys), n = snprintf(out, COMMAND_MAX, "%s", name);
    for (int i = 0; i < count; i++) {
        n += snprintf(out + n, COMMAND_MAX - (size_t)n, " %s", keys[i]);
        if (values) n += snprintf(out + n, COMMAND_MAX - (size_t)n, " %u", sim_below(w, 30));
    }
}

static void random_command(struct world *w, char *out) {
    const char *keys[8];
    unsigned value = sim_below(w, 30);
    switch (sim_below(w, 22)) {
    case 0:
    case 1:
    case 2:
    case 3: snprintf(out, COMMAND_MAX, "GET %s", any_key(w)); break;
    case 4:
    case 5: snprintf(out, COMMAND_MAX, "SET %s %u", any_key(w), value); break;
    case 6: snprintf(out, COMMAND_MAX, "SET %s n%u NX", any_key(w), value); break;
    case 7:
    case 8: snprintf(out, COMMAND_MAX, "INCR %s", any_key(w)); break;
    case 9: snprintf(out, COMMAND_MAX, "APPEND %s %c", any_key(w), (char)('a' + value % 26)); break;
    case 10: snprintf(out, COMMAND_MAX, "GETSET %s %u", any_key(w), value); break;
    case 11: snprintf(out, COMMAND_MAX, "GETDEL %s", any_key(w)); break;
    case 12: snprintf(out, COMMAND_MAX, "STRLEN %s", any_key(w)); break;
    case 13: many_command(w, out, "DEL", false); break;
    case 14: many_command(w, out, "EXISTS", false); break;
    case 15:
    case 16: many_command(w, out, "MGET", false); break;
    case 17: many_command(w, out, "MSET", true); break;
    case 18: many_command(w, out, "MSETNX", true); break;
    case 19: snprintf(out, COMMAND_MAX, "RENAME %s %s", any_key(w), any_key(w)); break;
    case 20: snprintf(out, COMMAND_MAX, "RENAMENX %s %s", any_key(w), any_key(w)); break;
    default:
        some_keys(w, keys);
        snprintf(out, COMMAND_MAX, "COPY %s %s%s", keys[0], keys[1],
                 sim_below(w, 2) ? " REPLACE" : "");
    }
}

/** A command over one key. */
static void single_command(struct world *w, const char *key, char *out) {
    unsigned value = sim_below(w, 30);
    switch (sim_below(w, 6)) {
    case 0: snprintf(out, COMMAND_MAX, "SET %s %u", key, value); break;
    case 1: snprintf(out, COMMAND_MAX, "INCR %s", key); break;
    case 2: snprintf(out, COMMAND_MAX, "GETDEL %s", key); break;
    case 3: snprintf(out, COMMAND_MAX, "APPEND %s %c", key, (char)('a' + value % 26)); break;
    default: snprintf(out, COMMAND_MAX, "GET %s", key);
    }
}

/** What a client may send; of a shard port's client all lines of a block must name the same key. */
static void some_command(struct client *c, const char *key, char *out) {
    if (c->node)
        single_command(c->world, key, out);
    else
        random_command(c->world, out);
}

static void next(struct client *c) {
    struct world *w = c->world;
    if (c->budget == 0) {
        c->finished = true;
        return;
    }
    c->budget--;
    const char *key = any_key(w);
    while (c->node && shard_of(w, key) != c->shard) key = any_key(w);
    char command[COMMAND_MAX];
    if (sim_below(w, 6) != 0) {
        some_command(c, key, command);
        client_issue(c, 1, "%s", command);
        return;
    }
    struct buf block = {0};
    for (uint32_t i = 1 + sim_below(w, 4); i > 0; i--) {
        some_command(c, key, command);
        buf_printf(&block, "%s\n", command);
    }
    buf_append_char(&block, '\0');
    client_issue_block(c, 1, block.p);
    buf_free(&block);
}

static void replied(struct client *c, struct op *op) { (void)c, (void)op; }

/** What the keys hold in the end is one more read, after everything. */
static void add_final_read(struct world *w) {
    struct op *op = arena_alloc(&w->arena, sizeof *op);
    struct line *l = arena_alloc(&w->arena, sizeof *l);
    struct buf raw = {0};
    *op = (struct op){.connection = UINT32_MAX,
                      .client = &w->clients[0],
                      .count = 1,
                      .lines = l,
                      .invoke = ++w->stamp,
                      .respond = w->stamp + 1};
    l->argc = w->key_count + 1;
    l->argv = arena_alloc(&w->arena, (size_t)l->argc * sizeof *l->argv);
    l->argv[0] = "MGET";
    buf_printf(&raw, "*%d\r\n", w->key_count);
    for (int i = 0; i < w->key_count; i++) {
        const char *value = sim_peek(w, 0, w->keys[i]);
        l->argv[i + 1] = w->keys[i];
        if (value)
            buf_printf(&raw, "$%zu\r\n%s\r\n", strlen(value), value);
        else
            buf_printf(&raw, "$-1\r\n");
    }
    op->raw_n = raw.len;
    op->raw = arena_copy(&w->arena, raw.p, raw.len);
    buf_free(&raw);
    size_t used;
    op->reply = value_parse(&w->arena, op->raw, op->raw_n, &used);
    w->ops[w->op_count++] = op; // room: the history grows by doubling from 256
}

static void check(struct world *w) {
    if (w->op_count >= LINEAR_OPS_MAX) return;
    add_final_read(w);
    if (linear_check(w->ops, w->op_count, w->keys, w->key_count) != LINEAR_NO) return;
    // The shortest beginning of the history without an order says most.
    uint32_t n = 1;
    while (n < w->op_count && linear_check(w->ops, n, w->keys, w->key_count) != LINEAR_NO) n++;
    sim_fail(w, "no order of the operations explains the replies (%u operations, up to stamp %llu)",
             n, (unsigned long long)w->ops[n - 1]->invoke);
}

const struct workload workload_registers = {"registers", setup, NULL, next,
                                            replied,     check, NULL, NULL};
