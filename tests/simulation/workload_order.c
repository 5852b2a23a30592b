// SPDX-License-Identifier: BSD-3-Clause
//
// Pipeline order: a client pipelines writes of ever higher numbers to a row of keys on different
// shards, first key first, mixed with reads of what it wrote. Nobody ever sees a later write
// without the earlier: along the row numbers do not increase, and differ by one at most at any one
// moment. The writer reads exactly what it wrote last.
#include <stdio.h>
#include <stdlib.h>

#include "tests/simulation/sim.h"

enum role { WRITER, OBSERVER };
enum tag { WRITE = 1, READ_OWN, LOOK_LAST, LOOK_FIRST, LOOK_ALL, OTHER };
#define ROW_MAX 6

static void setup(struct world *w) {
    w->key_count = 2 + (int)sim_below(w, ROW_MAX - 1);
    int writers = 1 + (int)sim_below(w, 2), observers = 1 + (int)sim_below(w, 4);
    for (int r = 0; r < writers; r++) {
        uint32_t first = sim_below(w, w->nshards);
        for (int i = 0; i < w->key_count; i++)
            w->keys[r * ROW_MAX + i] = sim_key(w, "row", r * 10 + i, first + (uint32_t)i);
    }
    w->v[0] = writers;
    for (int i = 0; i < writers; i++)
        client_add(w, WRITER, 30 + sim_below(w, 100), 1 + sim_below(w, sim_below(w, 2) ? 60 : 8));
    for (int i = 0; i < observers; i++) client_add(w, OBSERVER, 30, 1);
}

/** v[0]: what is being written; v[1]: to which key next. Written so far: v[i + 2]. */
static void write_next(struct client *c) {
    struct world *w = c->world;
    const char *const *row = w->keys + c->id * ROW_MAX;
    uint32_t how = sim_below(w, 16);
    if (how < 5) {
        int i = (int)sim_below(w, (uint32_t)w->key_count);
        if (how == 0)
            client_issue(c, READ_OWN, "INCRBY %s 0", row[i])->x = c->v[i + 2];
        else
            client_issue(c, READ_OWN, "GET %s", row[i])->x = c->v[i + 2];
        return;
    }
    if (how == 5) {
        client_issue(c, OTHER, sim_below(w, 2) ? "PING" : "EXISTS %s %s", row[0], row[1]);
        return;
    }
    if (c->v[1] == 0) c->v[0]++;
    int i = (int)c->v[1];
    c->v[1] = (c->v[1] + 1) % w->key_count;
    c->v[i + 2] = c->v[0];
    uint32_t kind = sim_below(w, 8);
    if (kind == 0) {
        client_issue(c, WRITE, "INCR %s", row[i]);
    } else if (kind == 1 && i + 1 < w->key_count) { // two at once: a transaction in the pipeline
        c->v[1] = (c->v[1] + 1) % w->key_count;
        c->v[i + 3] = c->v[0];
        client_issue(c, WRITE, "MSET %s %lld %s %lld", row[i], (long long)c->v[0], row[i + 1],
                     (long long)c->v[0]);
    } else if (kind == 2) {
        char text[256];
        snprintf(text, sizeof text, "SET %s %lld\n", row[i], (long long)c->v[0]);
        client_issue_block(c, WRITE, text);
    } else {
        client_issue(c, WRITE, "SET %s %lld", row[i], (long long)c->v[0]);
    }
}

static void observe(struct client *c) {
    struct world *w = c->world;
    if (c->phase == 0) {
        c->v[0] = sim_below(w, (uint32_t)w->v[0]);
        c->v[1] = 1 + sim_below(w, (uint32_t)w->key_count - 1);
    }
    const char *const *row = w->keys + c->v[0] * ROW_MAX;
    if (c->phase == 1) {
        uint32_t before = sim_below(w, (uint32_t)c->v[1]);
        client_issue(c, LOOK_FIRST, "GET %s", row[before]);
    } else if (sim_below(w, 3) == 0) {
        struct buf text = {0};
        for (int i = 0; i < w->key_count; i++) buf_printf(&text, " %s", row[i]);
        buf_append_char(&text, '\0');
        client_issue(c, LOOK_ALL, "MGET%s", text.p);
        buf_free(&text);
    } else {
        client_issue(c, LOOK_LAST, "GET %s", row[c->v[1]]);
    }
}

static void next(struct client *c) {
    if (c->budget == 0 && c->phase == 0) {
        c->finished = true;
        return;
    }
    if (c->budget > 0) c->budget--;
    if (c->role == WRITER)
        write_next(c);
    else
        observe(c);
}

static void check_all(struct client *c, const struct op *op) {
    const struct sim_value *v = op->reply;
    bool good = v->type == VALUE_ARRAY;
    for (size_t i = 1; good && i < v->n; i++)
        good = v->items[i].number <= v->items[i - 1].number &&
               v->items[i].number >= v->items[0].number - 1;
    if (!good)
        sim_fail(c->world, "client %u saw writes out of order: %.*s (invoked %llu)", c->id,
                 (int)op->raw_n, op->raw, (unsigned long long)op->invoke);
}

static void replied(struct client *c, struct op *op) {
    struct world *w = c->world;
    const struct sim_value *v = op->reply;
    if (v->type == VALUE_ERROR) {
        sim_fail(w, "client %u got %.*s", c->id, (int)op->raw_n, op->raw);
    } else if (op->tag == READ_OWN && v->number != op->x) {
        sim_fail(w, "client %u wrote %lld and read %.*s (invoked %llu)", c->id, (long long)op->x,
                 (int)op->raw_n, op->raw, (unsigned long long)op->invoke);
    } else if (op->tag == LOOK_LAST) {
        c->phase = 1;
        c->v[2] = v->number;
    } else if (op->tag == LOOK_FIRST) {
        c->phase = 0;
        if (v->number < c->v[2])
            sim_fail(
                w, "client %u saw %lld, then %lld in a key that is written earlier (invoked %llu)",
                c->id, (long long)c->v[2], (long long)v->number, (unsigned long long)op->invoke);
    } else if (op->tag == LOOK_ALL) {
        check_all(c, op);
    }
}

static void check(struct world *w) {
    for (int r = 0; r < w->v[0]; r++)
        for (int i = 0; i < w->key_count; i++) {
            const char *value = sim_peek(w, 0, w->keys[r * ROW_MAX + i]);
            if (w->clients[r].v[i + 2] != (value ? strtoll(value, NULL, 10) : 0))
                sim_fail(w, "key %d of row %d is %s in the end", i, r, value ? value : "absent");
        }
}

const struct workload workload_order = {"order", setup, NULL, next, replied, check, NULL, NULL};
