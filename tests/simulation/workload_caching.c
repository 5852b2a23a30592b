// SPDX-License-Identifier: BSD-3-Clause
//
// Client-side caching: readers keep what they read until they are told that it has changed; writers
// give their own keys growing numbers, which the simulation notes when they are acknowledged. What
// must hold: a reader that asks for something, and has the reply, keeps no number older than what
// had been acknowledged when it asked. So no value comes behind the word that makes it old, and no
// write is acknowledged before its readers are told. Some readers are told of everything, some
// redirect to another client, some leave at any moment.
#include <stdio.h>

#include "engine/base/alloc.h"
#include "tests/simulation/sim.h"

enum role { WRITER, READER, QUITTER };
enum tag { SETUP = -1, WRITE = 1, READ, READ_BLOCK, LOOK, OTHER };
#define CACHED_KEYS 6
#define NOTHING     (-1)

struct numbers {
    int64_t v[CACHED_KEYS];
};

struct caches {
    struct numbers acknowledged;
    struct numbers kept[SIM_CLIENTS_MAX]; // NOTHING: not in the cache
    int64_t latest;                       // number that any writer has given
};

enum { KEYS, WRITERS }; // what the world's v[] hold

static void empty_cache(struct client *c) {
    struct caches *caches = c->world->data;
    for (int i = 0; i < CACHED_KEYS; i++) caches->kept[c->id].v[i] = NOTHING;
}

static void setup(struct world *w) {
    w->data = mem_calloc(sizeof(struct caches));
    w->v[KEYS] = 1 + sim_below(w, CACHED_KEYS);
    w->v[WRITERS] = 1 + sim_below(w, 3);
    uint32_t shard = sim_below(w, w->nshards);
    for (int i = 0; i < w->v[KEYS]; i++) w->keys[i] = sim_key(w, "k", i, shard + (uint32_t)i);
    for (int i = 0; i < w->v[WRITERS]; i++)
        client_add(w, WRITER, 20 + sim_below(w, 80), 1 + sim_below(w, 6));
    uint32_t readers = 1 + sim_below(w, 5), quitters = sim_below(w, 2);
    for (uint32_t i = 0; i < readers; i++) client_add(w, READER, 100, 1 + sim_below(w, 8));
    for (uint32_t i = 0; i < quitters; i++) client_add(w, QUITTER, 10, 1);
    for (uint32_t i = 0; i < w->client_count; i++) {
        struct client *c = &w->clients[i];
        empty_cache(c);
        if (c->role != READER) continue;
        uint32_t before = c->outstanding;
        client_issue(c, SETUP, "HELLO 3");
        client_issue(c, SETUP,
                     sim_below(w, 4) == 0 ? "CLIENT TRACKING ON BCAST" : "CLIENT TRACKING ON");
        w->setup_left += c->outstanding - before;
    }
}

// ---- writing -----------------------------------------------------------------------------------

/** Gives one key or all of the writer's the next number: y has a bit for each. */
static void write(struct client *c) {
    struct world *w = c->world;
    struct caches *caches = w->data;
    char text[512];
    int n = 0, all = sim_below(w, 3) == 0, writers = (int)w->v[WRITERS], keys = (int)w->v[KEYS];
    int first = (int)c->id % keys, step = all ? writers : keys;
    bool block = sim_below(w, 2);
    int64_t number = ++caches->latest, which = 0;
    if ((int)c->id >= keys) { // more writers than keys
        c->budget = 0;
        return;
    }
    if (!all) first += writers * (int)sim_below(w, (uint32_t)((keys - 1 - first) / writers + 1));
    if (!block) n = snprintf(text, sizeof text, "MSET");
    for (int i = first; i < keys; i += step) {
        which |= INT64_C(1) << i;
        n += snprintf(text + n, sizeof text - (size_t)n, block ? "SET %s %lld\n" : " %s %lld",
                      w->keys[i], (long long)number);
    }
    struct op *op = block ? client_issue_block(c, WRITE, text) : client_issue(c, WRITE, "%s", text);
    op->x = number;
    op->y = which;
}

// ---- reading -----------------------------------------------------------------------------------

static bool writers_are_done(const struct world *w) {
    for (int i = 0; i < w->v[WRITERS]; i++)
        if (!w->clients[i].finished || w->clients[i].outstanding > 0) return false;
    return true;
}

/** Asks for something of no matter, to see what has come when it is answered. */
static void look(struct client *c) {
    const struct caches *caches = c->world->data;
    struct numbers *before = arena_alloc(&c->world->arena, sizeof *before);
    *before = caches->acknowledged;
    client_issue(c, LOOK, "PING")->x = (int64_t)(intptr_t)before;
}

static void read(struct client *c) {
    struct world *w = c->world;
    char text[512];
    int n = 0;
    uint32_t key = sim_below(w, (uint32_t)w->v[KEYS]), other = sim_below(w, (uint32_t)w->v[KEYS]);
    struct op *op;
    switch (sim_below(w, 4)) {
    case 0:
        n = snprintf(text, sizeof text, "GET %s\nGET %s\n", w->keys[key], w->keys[other]);
        ASSERT(n < (int)sizeof text);
        op = client_issue_block(c, READ_BLOCK, text);
        break;
    case 1: op = client_issue(c, READ, "MGET %s %s", w->keys[key], w->keys[other]); break;
    default:
        op = client_issue(c, READ, "GET %s", w->keys[key]);
        other = key;
        break;
    }
    op->x = (int64_t)key;
    op->y = (int64_t)other;
}

static void quit(struct client *c) {
    if (c->budget-- == 0) {
        client_vanish(c, true);
        c->finished = true;
    } else if (sim_below(c->world, 3) == 0) {
        client_vanish(c, sim_below(c->world, 2));
    } else if (sim_below(c->world, 2)) {
        client_issue(c, OTHER,
                     sim_below(c->world, 2) ? "CLIENT TRACKING ON" : "CLIENT TRACKING OFF");
    } else {
        client_issue(c, OTHER, "GET %s", c->world->keys[0]);
    }
}

static void next(struct client *c) {
    struct world *w = c->world;
    if (c->role == QUITTER) {
        quit(c);
    } else if (c->role == WRITER) {
        if (c->budget == 0)
            c->finished = true;
        else if (c->budget--)
            write(c);
    } else if (c->phase == 1) {
        c->finished = true;
    } else if (writers_are_done(w)) {
        look(c); // now all that there is to be told has been
        c->phase = 1;
    } else if (c->budget == 0 || sim_below(w, 4) == 0) {
        look(c);
    } else {
        c->budget--;
        read(c);
    }
}

static void keep(struct client *c, int64_t key, const struct sim_value *v) {
    struct caches *caches = c->world->data;
    caches->kept[c->id].v[key] = v->type == VALUE_NULL ? 0 : v->number;
}

static void check_look(struct client *c, const struct op *op) {
    const struct caches *caches = c->world->data;
    const struct numbers *before = (const struct numbers *)(intptr_t)op->x;
    for (int i = 0; i < c->world->v[KEYS]; i++) {
        int64_t kept = caches->kept[c->id].v[i];
        if (kept == NOTHING || kept >= before->v[i]) continue;
        sim_fail(c->world, "client %u keeps %lld of %s, and %lld had been acknowledged", c->id,
                 (long long)kept, c->world->keys[i], (long long)before->v[i]);
    }
}

static void replied(struct client *c, struct op *op) {
    struct caches *caches = c->world->data;
    const struct sim_value *v = op->reply;
    if (v->type == VALUE_ERROR) {
        sim_fail(c->world, "client %u got %.*s", c->id, (int)op->raw_n, op->raw);
    } else if (op->tag == WRITE) {
        for (int i = 0; i < CACHED_KEYS; i++)
            if (op->y >> i & 1) caches->acknowledged.v[i] = op->x;
    } else if (op->tag == READ || op->tag == READ_BLOCK) {
        bool many = v->type == VALUE_ARRAY;
        keep(c, op->x, many ? &v->items[0] : v);
        keep(c, op->y, many ? &v->items[1] : v);
    } else if (op->tag == LOOK) {
        check_look(c, op);
    }
}

static void pushed(struct client *c, const struct sim_value *v) {
    struct caches *caches = c->world->data;
    const struct sim_value *keys = &v->items[1];
    c->world->progress_ns = c->world->now_ns;
    if (c->role != READER || keys->type == VALUE_NULL) {
        empty_cache(c);
        return;
    }
    for (size_t k = 0; k < keys->n; k++)
        for (int i = 0; i < c->world->v[KEYS]; i++)
            if (strcmp(keys->items[k].text, c->world->keys[i]) == 0)
                caches->kept[c->id].v[i] = NOTHING;
}

static void check(struct world *w) {
    if (w->v[KEYS] >= w->v[WRITERS] && ((const struct caches *)w->data)->latest == 0)
        sim_fail(w, "nothing was written");
}

const struct workload workload_caching = {.name = "caching",
                                          .setup = setup,
                                          .next = next,
                                          .replied = replied,
                                          .check = check,
                                          .pushed = pushed};
