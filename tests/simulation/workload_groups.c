// SPDX-License-Identifier: BSD-3-Clause
//
// Groups: MSET gives all keys of a group (on several shards) one value, DEL removes them all,
// MSETNX makes them when none is there. Readers (MGET, EXISTS, blocks) see a whole group or none of
// it, and an exclusive MSETNX has exactly one winner.
#include "tests/simulation/sim.h"

enum role { READER, WRITER };
enum tag { READ = 1, COUNT, WRITE, EXCLUSIVE };
#define GROUPS_MAX 3
#define GROUP_MAX  5

static const char *key_at(const struct world *w, int group, int i) {
    return w->keys[group * GROUP_MAX + i];
}

static void setup(struct world *w) {
    w->v[0] = 1 + sim_below(w, GROUPS_MAX);    // groups
    w->v[1] = 2 + sim_below(w, GROUP_MAX - 1); // keys of each
    w->vanish_chance = sim_below(w, 3) ? 0 : 60;
    for (int g = 0; g <= GROUPS_MAX; g++) { // the last one is the exclusive one
        uint32_t shard = sim_below(w, w->nshards);
        for (int i = 0; i < GROUP_MAX; i++)
            w->keys[g * GROUP_MAX + i] =
                sim_key(w, g == GROUPS_MAX ? "once" : "group", g * 10 + i, shard + (uint32_t)i);
    }
    w->key_count = (GROUPS_MAX + 1) * GROUP_MAX;
    int readers = 1 + (int)sim_below(w, 3), writers = 1 + (int)sim_below(w, 4);
    for (int i = 0; i < readers; i++) client_add(w, READER, 30, 1 + sim_below(w, 3));
    for (int i = 0; i < writers; i++) client_add(w, WRITER, 25, 1 + sim_below(w, 4));
}

static void read_group(struct client *c, int group) {
    struct world *w = c->world;
    struct buf text = {0};
    uint32_t how = sim_below(w, 3);
    for (int i = 0; i < w->v[1]; i++)
        buf_printf(&text, how == 1 ? "GET %s\n" : " %s", key_at(w, group, i));
    buf_append_char(&text, '\0');
    if (how == 1)
        client_issue_block(c, READ, text.p);
    else if (how == 0)
        client_issue(c, READ, "MGET%s", text.p);
    else
        client_issue(c, COUNT, "EXISTS%s", text.p);
    buf_free(&text);
}

static void write_group(struct client *c, int group) {
    struct world *w = c->world;
    struct buf text = {0};
    uint32_t how = sim_below(w, 8);
    long long value = (long long)w->stamp;
    for (int i = 0; i < w->v[1]; i++) {
        if (how == 0)
            buf_printf(&text, " %s", key_at(w, group, i));
        else if (how == 1)
            buf_printf(&text, "SET %s %lld\n", key_at(w, group, i), value);
        else
            buf_printf(&text, " %s %lld", key_at(w, group, i), value);
    }
    buf_append_char(&text, '\0');
    if (how == 0)
        client_issue(c, WRITE, "%s%s", sim_below(w, 2) ? "DEL" : "UNLINK", text.p);
    else if (how == 1)
        client_issue_block(c, WRITE, text.p);
    else
        client_issue(c, WRITE, "%s%s", how < 4 ? "MSETNX" : "MSET", text.p);
    buf_free(&text);
}

static void next(struct client *c) {
    struct world *w = c->world;
    if (c->budget == 0) {
        c->finished = true;
        return;
    }
    c->budget--;
    if (sim_below(w, 16) == 0) {
        struct buf text = {0};
        for (int i = 0; i < w->v[1]; i++)
            buf_printf(&text, " %s %u", key_at(w, GROUPS_MAX, i), c->id);
        buf_append_char(&text, '\0');
        client_issue(c, EXCLUSIVE, "MSETNX%s", text.p);
        buf_free(&text);
        return;
    }
    int group = (int)sim_below(w, (uint32_t)w->v[0]);
    if (c->role == READER)
        read_group(c, group);
    else
        write_group(c, group);
}

static void check_read(struct client *c, const struct op *op) {
    const struct sim_value *v = op->reply;
    bool same = v->type == VALUE_ARRAY && v->n == (size_t)c->world->v[1];
    for (size_t i = 1; same && i < v->n; i++)
        same = v->items[i].type == v->items[0].type && v->items[i].number == v->items[0].number;
    if (!same)
        sim_fail(c->world, "client %u saw a torn group: %.*s (invoked %llu)", c->id, (int)op->raw_n,
                 op->raw, (unsigned long long)op->invoke);
}

static void replied(struct client *c, struct op *op) {
    struct world *w = c->world;
    const struct sim_value *v = op->reply;
    if (v->type == VALUE_ERROR) {
        sim_fail(w, "client %u got %.*s", c->id, (int)op->raw_n, op->raw);
    } else if (op->tag == READ) {
        check_read(c, op);
    } else if (op->tag == COUNT && v->number != 0 && v->number != w->v[1]) {
        sim_fail(w, "EXISTS of a group of %lld counted %lld", (long long)w->v[1],
                 (long long)v->number);
    } else if (op->tag == EXCLUSIVE && v->number == 1 && ++w->v[2] > 1) {
        sim_fail(w, "MSETNX of the same keys succeeded twice");
    }
}

static void check(struct world *w) {
    for (int g = 0; g < w->v[0]; g++) {
        const char *first = sim_peek(w, 0, key_at(w, g, 0));
        for (int i = 1; i < w->v[1]; i++) {
            const char *other = sim_peek(w, 0, key_at(w, g, i));
            if ((first == NULL) != (other == NULL) || (first && strcmp(first, other) != 0))
                sim_fail(w, "group %d is torn in the end", g);
        }
    }
}

const struct workload workload_groups = {"groups", setup, NULL, next, replied, check, NULL, NULL};
