// SPDX-License-Identifier: BSD-3-Clause
//
// Full memory: pairs of keys (on different shards) are written together while an administrator
// moves maxmemory to just around what is in use, to nothing and away, under every policy. What must
// hold: a key may be gone at any time, but the two of a pair never show different values; the only
// errors are those of full memory; and every client gets all its replies, however often writes had
// to wait for eviction.
#include <stdio.h>

#include "engine/base/alloc.h"
#include "tests/simulation/sim.h"

enum role { READER, WRITER, ADMIN };
enum tag { SETUP = 1, READ, WRITE, WATCHED, LIMIT, WHOLE };
#define PAIRS_MAX 8

static const char *key_at(const struct world *w, int pair, int i) { return w->keys[pair * 2 + i]; }

static void setup(struct world *w) {
    w->v[0] = 2 + sim_below(w, PAIRS_MAX - 1);
    w->vanish_chance = sim_below(w, 3) ? 0 : 60;
    for (int p = 0; p < PAIRS_MAX; p++) {
        uint32_t shard = sim_below(w, w->nshards);
        for (int i = 0; i < 2; i++)
            w->keys[p * 2 + i] = sim_key(w, "pair", p * 2 + i, shard + (uint32_t)i);
    }
    w->key_count = PAIRS_MAX * 2;
    int readers = 1 + (int)sim_below(w, 2), writers = 1 + (int)sim_below(w, 4);
    for (int i = 0; i < readers; i++) client_add(w, READER, 30, 1 + sim_below(w, 3));
    for (int i = 0; i < writers; i++) client_add(w, WRITER, 40, 1 + sim_below(w, 4));
    client_add(w, ADMIN, 12, 1);
}

static void set_limit(struct client *c) {
    static const char *const policies[] = {"allkeys-lru",  "allkeys-lfu",  "allkeys-random",
                                           "volatile-lru", "volatile-lfu", "volatile-random",
                                           "volatile-ttl", "noeviction"};
    struct world *w = c->world;
    int64_t limit = 0;
    uint32_t how = sim_below(w, 8);
    if (how == 0) limit = 1; // everything that may go goes
    if (how > 2) limit = mem_used() + (int64_t)sim_below(w, 12000) - 4000;
    client_issue(c, LIMIT, "CONFIG SET maxmemory %012lld maxmemory-policy %s", (long long)limit,
                 policies[sim_below(w, 8)]);
}

static void write_pair(struct client *c, const char *a, const char *b) {
    struct world *w = c->world;
    unsigned long long value = w->stamp;
    char text[400];
    switch (sim_below(w, 8)) {
    case 0: client_issue(c, WRITE, "DEL %s %s", a, b); return;
    case 1:
    case 2: client_issue(c, WRITE, "MSET %s %llu %s %llu", a, value, b, value); return;
    case 3:
        snprintf(text, sizeof text, "SET %s %llu\nSET %s %llu\n", a, value, b, value);
        client_issue_block(c, WRITE, text);
        return;
    case 4: // with something that has to do with the session in the middle
        snprintf(text, sizeof text, "SET %s %llu\nWAIT 0 0\nSET %s %llu\n", a, value, b, value);
        client_issue_block(c, WRITE, text);
        return;
    case 5:
        snprintf(text, sizeof text,
                 "WATCH %s\nGET %s\nMULTI\nGET %s\nSET %s %llu\nSET %s %llu\n"
                 "EXEC\n",
                 a, a, a, a, value, b, value);
        client_issue_lines(c, WATCHED, text, 7);
        return;
    default:
        snprintf(text, sizeof text, "SET %s %llu EX 1000\nSET %s %llu EX 2000\n", a, value, b,
                 value);
        client_issue_block(c, WRITE, text);
        return;
    }
}

static void next(struct client *c) {
    struct world *w = c->world;
    if (c->budget == 0) {
        c->finished = true;
        return;
    }
    c->budget--;
    int pair = (int)sim_below(w, (uint32_t)w->v[0]);
    const char *a = key_at(w, pair, 0), *b = key_at(w, pair, 1);
    if (c->role == ADMIN) {
        if (sim_below(w, 8) == 0)
            client_issue(c, WHOLE, sim_below(w, 2) ? "FLUSHALL" : "DBSIZE");
        else
            set_limit(c);
    } else if (c->role == WRITER) {
        write_pair(c, a, b);
    } else {
        client_issue(c, READ, "MGET %s %s", a, b);
    }
}

/** A refusal for want of memory, or its consequence for a block. */
static bool is_out_of_memory(const struct op *op) {
    static const char *const texts[] = {"-OOM command not allowed", "-EXECABORT Transaction"};
    for (int i = 0; i < 2; i++)
        if (op->raw_n >= strlen(texts[i]) && memcmp(op->raw, texts[i], strlen(texts[i])) == 0)
            return true;
    return false;
}

static void replied(struct client *c, struct op *op) {
    struct world *w = c->world;
    const struct sim_value *v = op->reply;
    if (v->type == VALUE_ERROR) {
        if (!is_out_of_memory(op) || op->tag == READ || op->tag == LIMIT)
            sim_fail(w, "client %u got %.*s", c->id, (int)op->raw_n, op->raw);
        return;
    }
    if (op->tag != READ) return;
    const struct sim_value *a = &v->items[0], *b = &v->items[1];
    if (a->type != VALUE_NULL && b->type != VALUE_NULL && a->number != b->number)
        sim_fail(w, "client %u saw a torn pair: %.*s", c->id, (int)op->raw_n, op->raw);
}

static void check(struct world *w) {
    uint64_t evicted = 0;
    for (uint32_t i = 0; i < w->nshards; i++) {
        struct keyspace *ks = w->shards[i]->keyspace;
        evicted += ks->stats.evicted_keys;
        if (!keyspace_is_valid(ks)) sim_fail(w, "the keyspace of shard %u is not valid", i);
        if (w->shards[i]->eviction.waiting) sim_fail(w, "shard %u still waits for memory", i);
    }
    for (int p = 0; p < w->v[0]; p++) {
        const char *a = sim_peek(w, 0, key_at(w, p, 0)), *b = sim_peek(w, 0, key_at(w, p, 1));
        if (a && b && strcmp(a, b) != 0) sim_fail(w, "pair %d is torn in the end", p);
    }
    if (w->options.verbose) printf("evicted %llu\n", (unsigned long long)evicted);
}

const struct workload workload_memory = {"memory", setup, NULL, next, replied, check, NULL, NULL};
