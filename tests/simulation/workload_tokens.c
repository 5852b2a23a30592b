// SPDX-License-Identifier: BSD-3-Clause
//
// Tokens: RENAME moves one token between keys on different shards, so that at any moment exactly
// one key has it. COPY carries the numbers of a counter down a chain of keys, which therefore never
// increase along the chain. Observers count and read with single commands and with blocks.
#include <stdio.h>
#include <stdlib.h>

#include "tests/simulation/sim.h"

enum role { MOVER, OBSERVER, COPIER };
enum tag { SETUP = -1, MOVE = 1, COUNT, COUNT_BLOCK, FIND, BUMP, COPY, CHAIN };
#define CHAIN_FIRST 32

static void setup(struct world *w) {
    w->key_count = 3 + (int)sim_below(w, 4);
    w->v[0] = 2 + sim_below(w, 3); // length of the chain
    w->vanish_chance = sim_below(w, 3) ? 0 : 60;
    uint32_t first = sim_below(w, w->nshards);
    for (int i = 0; i < w->key_count; i++) w->keys[i] = sim_key(w, "token", i, first + (uint32_t)i);
    for (int i = 0; i < w->v[0]; i++)
        w->keys[CHAIN_FIRST + i] = sim_key(w, "chain", i, first + (uint32_t)i);
    int movers = 1 + (int)sim_below(w, 4), observers = 1 + (int)sim_below(w, 3);
    int copiers = (int)sim_below(w, 3);
    for (int i = 0; i < movers; i++) client_add(w, MOVER, 40, 1 + sim_below(w, 6));
    for (int i = 0; i < observers; i++) client_add(w, OBSERVER, 25, 1 + sim_below(w, 3));
    for (int i = 0; i < copiers; i++) client_add(w, COPIER, 25, 1 + sim_below(w, 3));
    client_issue(&w->clients[0], SETUP, "SET %s here", w->keys[0]);
    for (int i = 0; i < w->v[0]; i++)
        client_issue(&w->clients[0], SETUP, "SET %s 0", w->keys[CHAIN_FIRST + i]);
    w->setup_left = 1 + (uint32_t)w->v[0];
}

static void observe(struct client *c) {
    struct world *w = c->world;
    struct buf text = {0};
    uint32_t how = sim_below(w, 4);
    int first = how == 3 ? CHAIN_FIRST : 0, count = how == 3 ? (int)w->v[0] : w->key_count;
    for (int i = 0; i < count; i++)
        buf_printf(&text, how == 1 ? "EXISTS %s\n" : " %s", w->keys[first + i]);
    buf_append_char(&text, '\0');
    if (how == 1)
        client_issue_block(c, COUNT_BLOCK, text.p);
    else if (how == 0)
        client_issue(c, COUNT, "EXISTS%s", text.p);
    else
        client_issue(c, how == 3 ? CHAIN : FIND, "MGET%s", text.p);
    buf_free(&text);
}

static void move(struct client *c) {
    struct world *w = c->world;
    uint32_t n = (uint32_t)w->key_count;
    const char *from = w->keys[sim_below(w, n)], *to = w->keys[sim_below(w, n)];
    uint32_t how = sim_below(w, 8);
    char text[256];
    if (how == 0) {
        client_issue(c, MOVE, "RENAMENX %s %s", from, to);
    } else if (how == 1 && from != to) {
        snprintf(text, sizeof text, "COPY %s %s\nDEL %s\n", from, to, from);
        client_issue_block(c, MOVE, text);
    } else {
        client_issue(c, MOVE, "RENAME %s %s", from, to);
    }
}

static void next(struct client *c) {
    struct world *w = c->world;
    if (c->budget == 0) {
        c->finished = true;
        return;
    }
    c->budget--;
    if (c->role == MOVER) {
        move(c);
    } else if (c->role == OBSERVER) {
        observe(c);
    } else {
        uint32_t at = sim_below(w, (uint32_t)w->v[0]);
        const char *const *chain = w->keys + CHAIN_FIRST;
        if (at == 0)
            client_issue(c, BUMP, "INCR %s", chain[0]);
        else
            client_issue(c, COPY, "COPY %s %s REPLACE", chain[at - 1], chain[at]);
    }
}

static void replied(struct client *c, struct op *op) {
    struct world *w = c->world;
    const struct sim_value *v = op->reply;
    int64_t count = 0;
    bool bad = false;
    switch (op->tag) {
    case MOVE: bad = v->type == VALUE_ERROR && strcmp(v->text, "ERR no such key") != 0; break;
    case COUNT: bad = v->number != 1; break;
    case COUNT_BLOCK:
    case FIND:
        bad = v->type != VALUE_ARRAY;
        for (size_t i = 0; !bad && i < v->n; i++)
            count += op->tag == FIND ? v->items[i].type == VALUE_TEXT : v->items[i].number;
        bad |= count != 1;
        break;
    case CHAIN:
        bad = v->type != VALUE_ARRAY;
        for (size_t i = 1; !bad && i < v->n; i++) bad = v->items[i].number > v->items[i - 1].number;
        break;
    default: bad = v->type == VALUE_ERROR;
    }
    if (bad)
        sim_fail(w, "client %u: %s got %.*s (invoked %llu)", c->id, op->lines[0].argv[0],
                 (int)op->raw_n, op->raw, (unsigned long long)op->invoke);
}

static void check(struct world *w) {
    int count = 0;
    for (int i = 0; i < w->key_count; i++) count += sim_peek(w, 0, w->keys[i]) != NULL;
    if (count != 1) sim_fail(w, "%d keys have the token in the end", count);
}

const struct workload workload_tokens = {"tokens", setup, NULL, next, replied, check, NULL, NULL};
