// SPDX-License-Identifier: BSD-3-Clause
//
// Work during snapshots: transfers over shards, blocks that flush everything and make it anew,
// SWAPDB, keys that expire, and large values that grow in pairs, shrink, move and go. Every
// snapshot is one instant: the total is right in both databases, and pairs are of one length.
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/num.h"
#include "engine/keyspace/entry.h"
#include "tests/simulation/sim.h"

enum role { MONEY, LARGE, NOISE };
enum tag { SETUP = -1, MOVE = 1, PLAIN };
#define START    100
#define ACCOUNTS 6
#define PAIR_AT  16
#define PAIRS    3

// What the snapshot in hand has shown so far, in the world's v[]: by database the accounts' sum and
// number, then the lengths of the pairs.
enum { SUM, SEEN = SUM + 2, LENGTHS = SEEN + 2, SHOWN = LENGTHS + 2 * 2 * PAIRS };

static void issue_accounts(struct client *c, int tag, const char *before) {
    struct world *w = c->world;
    struct buf text = {0};
    buf_append_text(&text, before);
    for (int db = 0; db < 2; db++) {
        buf_printf(&text, "SELECT %d\n", db);
        for (int i = 0; i < ACCOUNTS; i++) buf_printf(&text, "SET %s %d\n", w->keys[i], START);
    }
    buf_append_text(&text, "SELECT 0\n");
    buf_append_char(&text, '\0');
    client_issue_block(c, tag, text.p);
    buf_free(&text);
}

static void setup(struct world *w) {
    w->vanish_chance = sim_below(w, 3) ? 0 : 60;
    uint32_t first = sim_below(w, w->nshards);
    for (int i = 0; i < ACCOUNTS; i++) w->keys[i] = sim_key(w, "account", i, first + (uint32_t)i);
    for (int i = 0; i < 2 * PAIRS; i++)
        w->keys[PAIR_AT + i] = sim_key(w, "pair", i, first + (uint32_t)(i % 2 + i / 2));
    int money = 1 + (int)sim_below(w, 3), large = 1 + (int)sim_below(w, 3);
    int noise = 1 + (int)sim_below(w, 3);
    for (int i = 0; i < money; i++) client_add(w, MONEY, 30, 1 + sim_below(w, 4));
    for (int i = 0; i < large; i++) client_add(w, LARGE, 30, 1 + sim_below(w, 3));
    for (int i = 0; i < noise; i++) client_add(w, NOISE, 40, 1 + sim_below(w, 4));
    issue_accounts(&w->clients[0], SETUP, "");
    w->setup_left = 1;
}

static void money_next(struct client *c) {
    struct world *w = c->world;
    uint32_t how = sim_below(w, 20);
    int a = (int)sim_below(w, ACCOUNTS), b = (a + 1 + (int)sim_below(w, ACCOUNTS - 1)) % ACCOUNTS;
    const char *from = w->keys[a], *to = w->keys[b];
    unsigned x = 1 + sim_below(w, 20);
    char text[400];
    if (how == 0) {
        issue_accounts(c, PLAIN, sim_below(w, 2) ? "FLUSHALL\n" : "FLUSHDB\nSELECT 1\nFLUSHDB\n");
    } else if (how == 1) {
        client_issue(c, PLAIN, "SWAPDB 0 1");
    } else {
        snprintf(text, sizeof text,
                 how == 2 ? "DECRBY %s %u\nSWAPDB 1 0\nSELECT 1\nINCRBY %s %u\nSELECT 0\n"
                          : "DECRBY %s %u\nINCRBY %s %u\n",
                 from, x, to, x);
        client_issue_block(c, MOVE, text);
    }
}

static void large_next(struct client *c) {
    struct world *w = c->world;
    uint32_t how = sim_below(w, 10), pair = sim_below(w, PAIRS);
    const char *one = w->keys[PAIR_AT + 2 * pair], *two = w->keys[PAIR_AT + 2 * pair + 1];
    unsigned n = sim_below(w, 3) ? 66000 + sim_below(w, 60000) : sim_below(w, 2000);
    char text[400];
    if (how < 3)
        snprintf(text, sizeof text, "DEL %s %s\nSETRANGE %s %u x\nSETRANGE %s %u y\n", one, two,
                 one, n, two, n);
    else if (how < 7)
        snprintf(text, sizeof text, "APPEND %s %u\nAPPEND %s %u\n", one, n % 10, two, n % 10);
    else if (how == 7)
        snprintf(text, sizeof text, "MSET %s %u %s %u\n", one, n % 10, two, n % 10);
    else if (how == 8)
        snprintf(text, sizeof text, "RENAME %s %s\nCOPY %s %s\n", one, two, two, one);
    else
        snprintf(text, sizeof text, "DEL %s %s\n", one, two);
    client_issue_block(c, PLAIN, text);
}

/** Commands on single keys; the number is put in the place of the #. */
static const char *const lines[] = {"SETRANGE single# 70000 x",
                                    "SETRANGE single# 90000 y",
                                    "SETRANGE single# 80000 z",
                                    "APPEND single# x",
                                    "SETBIT single# 9 1",
                                    "STRLEN single#",
                                    "DEL single#",
                                    "SET single# x PX 3",
                                    "PEXPIRE single# 2",
                                    "PERSIST single#",
                                    "SET single# x EX 1000",
                                    "RENAME single# single9",
                                    "RENAME single9 single#",
                                    "MOVE single# 1",
                                    "COPY single# single2 DB 1 REPLACE",
                                    "EXISTS single# list1 hash2",
                                    "RPUSH list# a b c d e f",
                                    "LPOP list# 3",
                                    "UNLINK list#",
                                    "LMOVE list# list3 LEFT RIGHT",
                                    "HSET hash# a 1 b 2",
                                    "HPEXPIRE hash# 4 FIELDS 1 a",
                                    "EXISTS hash0 hash1 hash#",
                                    "SADD set# 1 2 3",
                                    "SPOP set#",
                                    "SUNIONSTORE set# set1 set2 set3",
                                    "ZADD zset# 1 a 2 b",
                                    "ZPOPMIN zset#",
                                    "PFADD hll# a b c",
                                    "PFCOUNT hll#",
                                    "XADD stream# * a b",
                                    "XTRIM stream# MAXLEN 2",
                                    "DBSIZE",
                                    "KEYS single*",
                                    "SCAN 0",
                                    "RANDOMKEY"};

static void noise_next(struct client *c) {
    struct world *w = c->world;
    const char *line = lines[sim_below(w, sizeof lines / sizeof lines[0])];
    const char *mark = strchr(line, '#');
    if (mark)
        client_issue(c, PLAIN, "%.*s%u%s", (int)(mark - line), line, sim_below(w, 4), mark + 1);
    else
        client_issue(c, PLAIN, "%s", line);
}

static void next(struct client *c) {
    if (c->budget == 0) {
        c->finished = true;
        return;
    }
    c->budget--;
    switch (c->role) {
    case MONEY: money_next(c); break;
    case LARGE: large_next(c); break;
    default: noise_next(c);
    }
}

static void replied(struct client *c, struct op *op) {
    const struct sim_value *v = op->reply;
    if (op->tag == MOVE && (v->type != VALUE_ARRAY || v->n != (size_t)op->count))
        sim_fail(c->world, "a transfer got %.*s", (int)op->raw_n, op->raw);
}

/** The end of a snapshot: what its entries come to. */
static void judge(struct world *w) {
    for (int db = 0; db < 2; db++) {
        int64_t seen = w->v[SEEN + db], sum = w->v[SUM + db];
        if (seen != 0 && (seen != ACCOUNTS || sum != (int64_t)ACCOUNTS * START))
            sim_fail(w, "a snapshot has %lld accounts in database %d, and a total of %lld",
                     (long long)seen, db, (long long)sum);
        for (int pair = 0; pair < PAIRS; pair++) {
            const int64_t *lengths = &w->v[LENGTHS + (db * PAIRS + pair) * 2];
            if (lengths[0] != lengths[1])
                sim_fail(w, "a snapshot has a pair of %lld and %lld bytes", (long long)lengths[0],
                         (long long)lengths[1]);
        }
    }
    if (w->v[SEEN] != w->v[SEEN + 1]) sim_fail(w, "a snapshot has accounts in one database only");
    memset(w->v, 0, SHOWN * sizeof w->v[0]);
}

static void snapshot(struct world *w, uint32_t db, const struct entry *e) {
    if (!e) {
        judge(w);
        return;
    }
    if (db > 1 || !entry_has_type(e, ENTRY_STRING)) return;
    char scratch[NUM_I64_TEXT_MAX];
    struct slice key = entry_key(e), value = entry_string(e, scratch);
    for (int i = 0; i < ACCOUNTS; i++) {
        if (!slice_equal(key, slice_text(w->keys[i]))) continue;
        int64_t balance = 0;
        if (!num_parse_i64(value, &balance)) sim_fail(w, "an account is no number");
        w->v[SUM + db] += balance;
        w->v[SEEN + db]++;
    }
    for (int i = 0; i < 2 * PAIRS; i++)
        if (slice_equal(key, slice_text(w->keys[PAIR_AT + i])))
            w->v[LENGTHS + (int)db * 2 * PAIRS + i] = (int64_t)value.n;
}

static void check(struct world *w) {
    int64_t sum = 0;
    for (int i = 0; i < ACCOUNTS; i++) {
        const char *balance = sim_peek(w, 0, w->keys[i]);
        sum += balance ? strtoll(balance, NULL, 10) : 0;
    }
    if (sum != (int64_t)ACCOUNTS * START) sim_fail(w, "the final total is %lld", (long long)sum);
}

const struct workload workload_snapshot = {.name = "snapshot",
                                           .setup = setup,
                                           .next = next,
                                           .replied = replied,
                                           .check = check,
                                           .snapshot = snapshot};
