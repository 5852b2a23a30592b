// SPDX-License-Identifier: BSD-3-Clause
//
// Transfers: money moves between accounts on several shards, blindly (MULTI, DECRBY, INCRBY, EXEC)
// or optimistically (WATCH, read, MULTI, SET, SET, EXEC). Readers see the same total at every
// moment. And an optimistic transfer is only refused when somebody did write to what it watched
// meanwhile.
#include <stdio.h>
#include <stdlib.h>

#include "tests/simulation/sim.h"

enum role { READER, BLIND, OPTIMIST };
enum tag { SETUP = -1, READ = 1, MOVE, WATCH, LOOK, SWAP, UNWATCH };
#define START 100

static void setup(struct world *w) {
    w->key_count = 3 + (int)sim_below(w, 5);
    w->vanish_chance = sim_below(w, 3) ? 0 : 60;
    uint32_t first = sim_below(w, w->nshards);
    for (int i = 0; i < w->key_count; i++)
        w->keys[i] = sim_key(w, "account", i, first + (uint32_t)i);
    int readers = 1 + (int)sim_below(w, 2), blind = 1 + (int)sim_below(w, 3);
    int optimists = 1 + (int)sim_below(w, 3);
    for (int i = 0; i < readers; i++) client_add(w, READER, 25, 1 + sim_below(w, 3));
    for (int i = 0; i < blind; i++) client_add(w, BLIND, 20, 1 + sim_below(w, 4));
    for (int i = 0; i < optimists; i++) client_add(w, OPTIMIST, 40, 1);
    for (int i = 0; i < w->key_count; i++)
        client_issue(&w->clients[0], SETUP, "SET %s %d", w->keys[i], START);
    w->setup_left = (uint32_t)w->key_count;
}

static void two_keys(struct world *w, int *a, int *b) {
    *a = (int)sim_below(w, (uint32_t)w->key_count);
    *b = (*a + 1 + (int)sim_below(w, (uint32_t)w->key_count - 1)) % w->key_count;
}

static void read_all(struct client *c) {
    struct world *w = c->world;
    struct buf text = {0};
    bool block = sim_below(w, 2);
    for (int i = 0; i < w->key_count; i++)
        buf_printf(&text, block ? "GET %s\n" : " %s", w->keys[i]);
    buf_append_char(&text, '\0');
    if (block)
        client_issue_block(c, READ, text.p);
    else
        client_issue(c, READ, "MGET%s", text.p);
    buf_free(&text);
}

static void optimist_next(struct client *c) {
    struct world *w = c->world;
    int a, b;
    if (c->phase == 0) {
        two_keys(w, &a, &b);
        c->v[0] = a;
        c->v[1] = b;
        c->v[2] = (int64_t)client_issue(c, WATCH, "WATCH %s %s", w->keys[a], w->keys[b])->invoke;
        c->phase = 1;
    } else if (c->phase == 1) {
        if (sim_below(w, 10) == 0)
            client_issue(c, UNWATCH, "UNWATCH");
        else
            client_issue(c, LOOK, "MGET %s %s", w->keys[c->v[0]], w->keys[c->v[1]]);
    } else {
        char text[256];
        int64_t x = 1 + sim_below(w, 9);
        snprintf(text, sizeof text, "SET %s %lld\nSET %s %lld\n", w->keys[c->v[0]],
                 (long long)(c->v[3] - x), w->keys[c->v[1]], (long long)(c->v[4] + x));
        client_issue_block(c, SWAP, text)->x = c->v[2];
        c->phase = 0;
    }
}

static void next(struct client *c) {
    struct world *w = c->world;
    if (c->budget == 0) {
        c->finished = true;
        return;
    }
    c->budget--;
    if (c->role == READER) {
        read_all(c);
    } else if (c->role == BLIND) {
        int a, b;
        two_keys(w, &a, &b);
        char text[256];
        unsigned x = 1 + sim_below(w, 20);
        snprintf(text, sizeof text, "DECRBY %s %u\nINCRBY %s %u\n", w->keys[a], x, w->keys[b], x);
        client_issue_block(c, MOVE, text);
    } else {
        optimist_next(c);
    }
}

/** Whether another operation may have written one of these keys while a watch stood. */
static bool somebody_wrote(const struct op *swap) {
    const struct world *w = swap->client->world;
    for (uint32_t i = 0; i < w->op_count; i++) {
        const struct op *o = w->ops[i];
        if (o == swap || (o->tag != MOVE && o->tag != SWAP)) continue;
        if (o->tag == SWAP && o->reply && o->reply->type == VALUE_NULL) continue;
        uint64_t end = o->respond == 0 ? SIM_LOST : o->respond;
        if (end < (uint64_t)swap->x || o->invoke > swap->respond) continue;
        for (int a = 0; a < 2; a++)
            for (int b = 0; b < 2; b++)
                if (o->lines[a].argv[1] == swap->lines[b].argv[1] ||
                    strcmp(o->lines[a].argv[1], swap->lines[b].argv[1]) == 0)
                    return true;
    }
    return false;
}

static void replied(struct client *c, struct op *op) {
    struct world *w = c->world;
    const struct sim_value *v = op->reply;
    if (op->tag == READ) {
        int64_t sum = 0;
        if (v->type != VALUE_ARRAY || v->n != (size_t)w->key_count) {
            sim_fail(w, "a read of all accounts got %.*s", (int)op->raw_n, op->raw);
            return;
        }
        for (size_t i = 0; i < v->n; i++) sum += v->items[i].number;
        if (sum != (int64_t)w->key_count * START)
            sim_fail(w, "client %u saw a total of %lld, not %d (invoked at %llu)", c->id,
                     (long long)sum, w->key_count * START, (unsigned long long)op->invoke);
    } else if (op->tag == MOVE) {
        if (v->type != VALUE_ARRAY || v->n != 2 || v->items[0].type != VALUE_INT)
            sim_fail(w, "a transfer got %.*s", (int)op->raw_n, op->raw);
    } else if (op->tag == WATCH && !value_is_status(v, "OK")) {
        sim_fail(w, "WATCH got %.*s", (int)op->raw_n, op->raw);
    } else if (op->tag == UNWATCH) {
        c->phase = 0;
    } else if (op->tag == LOOK) {
        c->v[3] = v->items[0].number;
        c->v[4] = v->items[1].number;
        c->phase = 2;
    } else if (op->tag == SWAP && v->type == VALUE_NULL) {
        if (!somebody_wrote(op))
            sim_fail(w,
                     "client %u: EXEC was refused, but nobody wrote what it watched (invoked %llu)",
                     c->id, (unsigned long long)op->invoke);
    } else if (op->tag == SWAP && (v->type != VALUE_ARRAY || v->n != 2)) {
        sim_fail(w, "an optimistic transfer got %.*s", (int)op->raw_n, op->raw);
    }
}

static void check(struct world *w) {
    int64_t sum = 0;
    for (int i = 0; i < w->key_count; i++) {
        const char *balance = sim_peek(w, 0, w->keys[i]);
        sum += balance ? strtoll(balance, NULL, 10) : 0;
    }
    if (sum != (int64_t)w->key_count * START)
        sim_fail(w, "the final total is %lld, not %d", (long long)sum, w->key_count * START);
}

const struct workload workload_transfers = {"transfers", setup, NULL, next,
                                            replied,     check, NULL, NULL};
