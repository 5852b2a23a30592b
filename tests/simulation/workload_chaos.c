// SPDX-License-Identifier: BSD-3-Clause
//
// Everything at once: transfers, groups and scans beside commands that need whole shards (FLUSHALL,
// SWAPDB, KEYS, DBSIZE, SCAN, RANDOMKEY), fan-outs (CLIENT LIST, INFO, CONFIG SET), pauses, blocked
// clients, expiry, and clients that come and go. What can still be promised then: totals, whole
// groups, whole scans, pairs that expire together, and that every client gets its replies.
//
//   db 0, 1  accounts (SWAPDB exchanges them) and pairs with a time to live
//   db 2     one group of keys, written and deleted as a whole
//   db 3     keys that stay while others come and go, for SCAN
#include <stdio.h>
#include <stdlib.h>

#include "tests/simulation/sim.h"

enum role { MONEY, GROUP, SCANNER, CHURNER, PAIRS, NOISE };
enum tag {
    SETUP = -1,
    SELECTED = 1,
    READ,
    MIXED,
    MOVE,
    GROUP_READ,
    GROUP_COUNT,
    GROUP_BOTH,
    GROUP_ANY,
    SCAN,
    PAIR,
    PLAIN
};
#define START      100
#define GROUP_AT   16
#define STABLE_AT  24
#define STABLE_MAX 24
#define PAIR_AT    52
enum { FLUSHES, SWAPS, ACCOUNTS, MEMBERS, STABLE, CHURN }; // what the world's v[] hold

static void choose_keys(struct world *w) {
    uint32_t shard = sim_below(w, w->nshards);
    for (int i = 0; i < w->v[ACCOUNTS]; i++)
        w->keys[i] = sim_key(w, "account", i, shard + (uint32_t)i);
    for (int i = 0; i < w->v[MEMBERS]; i++)
        w->keys[GROUP_AT + i] = sim_key(w, "member", i, shard + (uint32_t)i);
    for (int i = 0; i < w->v[STABLE]; i++)
        w->keys[STABLE_AT + i] = sim_key(w, "stable", i, shard + (uint32_t)i);
    for (int i = 0; i < 2; i++) w->keys[PAIR_AT + i] = sim_key(w, "pair", i, shard + (uint32_t)i);
}

static void issue_setup(struct world *w) {
    struct client *c = &w->clients[0];
    uint32_t before = c->outstanding;
    for (int db = 0; db < 4; db++) {
        client_issue(c, SETUP, "SELECT %d", db);
        for (int i = 0; i < w->v[ACCOUNTS] && db < 2; i++)
            client_issue(c, SETUP, "SET %s %d", w->keys[i], START);
        for (int i = 0; i < w->v[STABLE] && db == 3; i++)
            client_issue(c, SETUP, "SET %s x", w->keys[STABLE_AT + i]);
    }
    client_issue(c, SETUP, "SELECT 0");
    w->setup_left = c->outstanding - before;
}

static void connected(struct client *c) {
    int db = c->role == GROUP ? 2 : c->role == SCANNER || c->role == CHURNER ? 3 : 0;
    c->v[0] = c->v[1] = 0;
    if (db) client_issue(c, SELECTED, "SELECT %d", db);
}

static void setup(struct world *w) {
    w->v[FLUSHES] = sim_below(w, 3) == 0;
    w->v[SWAPS] = sim_below(w, 2);
    w->v[ACCOUNTS] = 2 + sim_below(w, 5);
    w->v[MEMBERS] = 2 + sim_below(w, 4);
    w->v[STABLE] = 1 + sim_below(w, STABLE_MAX);
    w->may_close = sim_below(w, 3) == 0;
    w->vanish_chance = sim_below(w, 2) ? 0 : 80;
    choose_keys(w);
    static const int optional[] = {GROUP, SCANNER, CHURNER, PAIRS, PAIRS, NOISE, NOISE, MONEY};
    client_add(w, MONEY, 25, 1 + sim_below(w, 3));
    client_add(w, MONEY, 25, 1 + sim_below(w, 3));
    for (size_t i = 0; i < sizeof optional / sizeof optional[0]; i++)
        if (sim_below(w, 3)) client_add(w, optional[i], 20, 1 + sim_below(w, 4));
    issue_setup(w);
    for (uint32_t i = 0; i < w->client_count; i++) {
        if (w->clients[i].role == SCANNER) w->clients[i].depth = 1;
        if (w->clients[i].role == SCANNER) w->clients[i].budget = 60;
        connected(&w->clients[i]);
    }
}

// ---- operations --------------------------------------------------------------------------------

/** Words of session commands that may stand in a block. */
static const char *session_line(struct world *w) {
    static const char *const lines[] = {"CLIENT LIST",      "INFO server",  "CONFIG SET hz 11",
                                        "CLIENT ID",        "PING",         "CONFIG GET maxclients",
                                        "CLIENT GETNAME",   "WAIT 1 5",     "CLIENT NO-TOUCH off",
                                        "CONFIG RESETSTAT", "DBSIZE",       "TIME",
                                        "SELECT 0",         "CLIENT INFO",  "ECHO hello",
                                        "UNWATCH",          "INFO keyspace"};
    return lines[sim_below(w, sizeof lines / sizeof lines[0])];
}

static void money_next(struct client *c) {
    struct world *w = c->world;
    uint32_t how = sim_below(w, 10);
    struct buf text = {0};
    int n = (int)w->v[ACCOUNTS];
    if (how == 0 && w->v[FLUSHES]) {
        client_issue(c, PLAIN, "%s", sim_below(w, 2) ? "FLUSHALL" : "FLUSHDB ASYNC");
    } else if (how <= 1 && w->v[FLUSHES]) {
        for (int i = 0; i < n; i++) buf_printf(&text, " %s %d", w->keys[i], START);
        client_issue(c, PLAIN, "MSET%.*s", (int)text.len, text.p);
    } else if (how == 2 && w->v[SWAPS]) {
        client_issue(c, PLAIN, "SWAPDB %d %d", w->v[SWAPS] ? 0 : 1, 1);
    } else if (how <= 5) {
        int a = (int)sim_below(w, (uint32_t)n),
            b = (a + 1 + (int)sim_below(w, (uint32_t)n - 1)) % n;
        unsigned x = sim_below(w, 20);
        buf_printf(&text, "DECRBY %s %u\n", w->keys[a], x);
        if (sim_below(w, 4) == 0) buf_printf(&text, "%s\n", session_line(w));
        buf_printf(&text, "INCRBY %s %u\n", w->keys[b], x);
        if (how == 3 && w->v[SWAPS]) buf_printf(&text, "SWAPDB 0 1\n");
        buf_append_char(&text, '\0');
        client_issue_block(c, MOVE, text.p);
    } else if (how <= 7) {
        for (int i = 0; i < n; i++) buf_printf(&text, " %s", w->keys[i]);
        client_issue(c, READ, "MGET%.*s", (int)text.len, text.p);
    } else {
        for (int i = 0; i < n; i++) {
            buf_printf(&text, "GET %s\n", w->keys[i]);
            if (sim_below(w, 3) == 0) buf_printf(&text, "%s\n", session_line(w));
        }
        buf_append_char(&text, '\0');
        client_issue_block(c, MIXED, text.p);
    }
    buf_free(&text);
}

static void group_next(struct client *c) {
    struct world *w = c->world;
    uint32_t how = sim_below(w, 10);
    struct buf text = {0};
    for (int i = 0; i < w->v[MEMBERS]; i++) {
        buf_printf(&text, " %s", w->keys[GROUP_AT + i]);
        if (how <= 2) buf_printf(&text, " %llu", (unsigned long long)w->stamp);
    }
    int n = (int)text.len;
    if (how <= 2)
        client_issue(c, PLAIN, "%s%.*s", how ? "MSET" : "MSETNX", n, text.p);
    else if (how == 3)
        client_issue(c, PLAIN, "DEL%.*s", n, text.p);
    else if (how == 4)
        client_issue(c, GROUP_READ, "MGET%.*s", n, text.p);
    else if (how == 5)
        client_issue(c, GROUP_COUNT, "EXISTS%.*s", n, text.p);
    else if (how == 6)
        client_issue(c, GROUP_ANY, "RANDOMKEY");
    else if (how == 7)
        client_issue(c, GROUP_READ, "KEYS *");
    else if (how == 8)
        client_issue(c, GROUP_COUNT, "DBSIZE");
    else
        client_issue_block(c, GROUP_BOTH, "DBSIZE\nKEYS member*\nRANDOMKEY\nDBSIZE\n");
    buf_free(&text);
}

static void churn_next(struct client *c) {
    struct world *w = c->world;
    struct buf text = {0};
    bool remove = sim_below(w, 5) < 2;
    uint32_t count = 1 + sim_below(w, 12);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t key = sim_below(w, 400);
        buf_printf(&text, remove ? " churn:%u" : " churn:%u x", key);
    }
    client_issue(c, PLAIN, "%s%.*s", remove ? "DEL" : "MSET", (int)text.len, text.p);
    buf_free(&text);
}

static void pairs_next(struct client *c) {
    struct world *w = c->world;
    const char *const *pair = w->keys + PAIR_AT;
    if (sim_below(w, 3) == 0) { // a reader beside transactions that read: it finds what has expired
        client_issue(c, PLAIN, sim_below(w, 2) ? "GET %s" : "EXISTS %s", pair[sim_below(w, 2)]);
        return;
    }
    if (sim_below(w, 3)) {
        client_issue(c, PAIR, "MGET %s %s", pair[0], pair[1]);
        return;
    }
    char text[256];
    unsigned ms = 1 + sim_below(w, sim_below(w, 2) ? 3 : 50);
    unsigned long long value = w->stamp;
    if (sim_below(w, 3))
        snprintf(text, sizeof text, "SET %s %llu PX %u\nSET %s %llu PX %u\n", pair[0], value, ms,
                 pair[1], value, ms);
    else
        snprintf(text, sizeof text, "PEXPIRE %s %u\nPEXPIRE %s %u\n", pair[0], ms, pair[1], ms);
    client_issue_block(c, PLAIN, text);
}

// Sequences that must get so many replies, whatever the rest of the world does.
static const struct {
    const char *lines;
    uint32_t replies;
} mixes[] = {
    {"CLIENT LIST\n", 1},
    {"INFO\n", 1},
    {"INFO everything\n", 1},
    {"CONFIG SET timeout 0 hz 12\n", 1},
    {"CONFIG SET maxmemory-policy allkeys-lfu\n", 1},
    {"CONFIG RESETSTAT\n", 1},
    {"CLIENT PAUSE 12 WRITE\n", 1},
    {"CLIENT PAUSE 7\n", 1},
    {"CLIENT UNPAUSE\n", 1},
    {"WAIT 0 0\n", 1},
    {"WAIT 1 15\nPING\n", 2},
    {"CLIENT UNBLOCK 3\n", 1},
    {"CLIENT UNBLOCK 5 ERROR\n", 1},
    {"HELLO 3\nINCR noise\n", 2},
    {"RESET\n", 1},
    {"MULTI\nINCR noise\nDISCARD\n", 3},
    {"MULTI\nNOSUCH a\nEXEC\n", 3},
    {"MULTI\nEXEC\n", 2},
    {"WATCH noise other\nMULTI\nINCR noise\nEXEC\n", 4},
    {"WATCH noise\nMULTI\nGET other\nEXEC\n", 4},
    {"WATCH noise other third\nUNWATCH\nWATCH noise\n", 3},
    {"WATCH noise\nSELECT 1\nMULTI\nINCR noise\nSELECT 0\nINCR noise\nEXEC\n", 7},
    {"WATCH noise other\nMULTI\nDISCARD\n", 3},
    {"CLIENT REPLY SKIP\nINCR noise\nPING\n", 1},
    {"CLIENT REPLY OFF\nINCR noise\nMSET noise 1 other 2\nGET third\nCLIENT REPLY ON\n", 1},
    {"SELECT 0\nCOPY noise other DB 1 REPLACE\nMOVE other 1\nSELECT 1\nINCR noise\n", 5},
    {"MULTI\nCLIENT LIST\nINCR noise\nWAIT 1 4\nINFO\nINCR other\nEXEC\n", 7},
    {"MULTI\nCONFIG SET hz 13\nCLIENT PAUSE 3\nCLIENT UNPAUSE\nEXEC\n", 5},
    {"MULTI\nSET noise 1\nKEYS *\nSCAN 0\nDBSIZE\nSET other 2\nEXEC\n", 7},
    {"OBJECT ENCODING noise\nTYPE other\nTTL third\nSTRLEN noise\n", 4},
    {"SET noise 1\nSET other 2\nGET noise\nGET third\nSET third 3\nGET other\nINCR noise\n", 7},
    {"SETBIT bits 100 1\nBITOP OR result bits other\nBITCOUNT result\nLCS noise other\n", 4},
    {"CLIENT NO-TOUCH on\nGET noise\nTOUCH noise other\n", 3},
    {"CLIENT SETNAME somebody\nCLIENT GETNAME\nCLIENT INFO\n", 3},
    {"RANDOMKEY\nDBSIZE\nSCAN 0 COUNT 100\n", 3},
    {"SCAN 1\nSCAN 9999999999\nSCAN x\n", 3},
    {"GETEX third PX 2\nEXPIRE third 1\nPERSIST third\nGETDEL third\n", 4},
    {"COMMAND COUNT\nLOLWUT\nMEMORY USAGE noise\n", 3},
    {"SET noise x PX 1\nWATCH noise\nMULTI\nGET noise\nGET other\nEXEC\n", 6},
};

static void noise_next(struct client *c) {
    struct world *w = c->world;
    uint32_t closing = w->may_close ? sim_below(w, 40) : 40;
    if (closing == 0) {
        client_issue(c, PLAIN, "QUIT");
        c->depth = 1; // nothing behind it
        return;
    }
    if (closing == 1) client_issue(c, PLAIN, "CLIENT KILL ID %u", 1 + sim_below(w, 12));
    if (closing == 2) client_issue(c, PLAIN, "CLIENT KILL TYPE normal SKIPME yes");
    if (w->vanish_chance && sim_below(w, 40) == 0) { // leaves in the middle
        client_issue_lines(c, PLAIN, "WATCH noise other\nMULTI\nINCR noise\n", 3);
        client_vanish(c, sim_below(w, 2));
        return;
    }
    uint32_t pick = sim_below(w, sizeof mixes / sizeof mixes[0]);
    client_issue_lines(c, PLAIN, mixes[pick].lines, mixes[pick].replies);
}

static void next(struct client *c) {
    struct world *w = c->world;
    if (c->budget == 0) {
        c->finished = true;
        return;
    }
    c->budget--;
    switch (c->role) {
    case MONEY: money_next(c); break;
    case GROUP: group_next(c); break;
    case SCANNER:
        client_issue(c, SCAN, "SCAN %lld COUNT %u", (long long)c->v[0], 1 + sim_below(w, 30));
        break;
    case CHURNER: churn_next(c); break;
    case PAIRS: pairs_next(c); break;
    default: noise_next(c);
    }
}

// ---- checks ------------------------------------------------------------------------------------

static bool total_is_right(const struct world *w, int64_t sum) {
    return sum == w->v[ACCOUNTS] * START || (w->v[FLUSHES] && sum == 0);
}

/** The total of the GETs in a block that also holds other commands. */
static int64_t mixed_total(const struct op *op) {
    int64_t sum = 0;
    for (int i = 0; i < op->count; i++)
        if (strcmp(op->lines[i].argv[0], "GET") == 0) sum += op->reply->items[i].number;
    return sum;
}

static bool scan_is_right(struct client *c, const struct sim_value *v) {
    struct world *w = c->world;
    if (v->type != VALUE_ARRAY || v->n != 2) return false;
    for (size_t k = 0; k < v->items[1].n; k++)
        for (int i = 0; i < w->v[STABLE]; i++)
            if (strcmp(v->items[1].items[k].text, w->keys[STABLE_AT + i]) == 0)
                c->v[1] |= INT64_C(1) << i;
    c->v[0] = v->items[0].number;
    if (c->v[0] != 0) return true;
    bool complete = w->v[FLUSHES] || c->v[1] == (INT64_C(1) << w->v[STABLE]) - 1;
    c->v[1] = 0;
    return complete;
}

static bool group_is_whole(const struct world *w, const struct sim_value *v, bool keys) {
    if (v->type != VALUE_ARRAY) return false;
    if (keys) return v->n == 0 || v->n == (size_t)w->v[MEMBERS];
    for (size_t i = 1; i < v->n; i++)
        if (v->items[i].type != v->items[0].type || v->items[i].number != v->items[0].number)
            return false;
    return true;
}

static bool is_right(struct client *c, const struct op *op) {
    const struct world *w = c->world;
    const struct sim_value *v = op->reply;
    int64_t members = w->v[MEMBERS], sum = 0;
    bool array = v->type == VALUE_ARRAY;
    switch (op->tag) {
    case READ:
        for (size_t i = 0; array && i < v->n; i++) sum += v->items[i].number;
        return array && total_is_right(w, sum);
    case MIXED: return array && v->n == (size_t)op->count && total_is_right(w, mixed_total(op));
    case MOVE: return array && v->n == (size_t)op->count;
    case GROUP_READ: return group_is_whole(w, v, strcmp(op->lines[0].argv[0], "KEYS") == 0);
    case GROUP_COUNT: return v->type == VALUE_INT && (v->number == 0 || v->number == members);
    case GROUP_ANY: return v->type == VALUE_NULL || v->type == VALUE_TEXT;
    case GROUP_BOTH:
        return array && group_is_whole(w, &v->items[1], true) &&
               (int64_t)v->items[1].n == v->items[0].number &&
               v->items[3].number == v->items[0].number &&
               (v->items[2].type == VALUE_NULL) == (v->items[0].number == 0);
    case SCAN: return scan_is_right(c, v);
    case PAIR:
        return array && v->n == 2 && v->items[0].type == v->items[1].type &&
               v->items[0].number == v->items[1].number;
    case SELECTED: return value_is_status(v, "OK");
    default: return c->role == NOISE || v->type != VALUE_ERROR;
    }
}

static void replied(struct client *c, struct op *op) {
    if (is_right(c, op)) return;
    sim_fail(c->world, "client %u: %s got %.*s (invoked %llu)", c->id, op->lines[0].argv[0],
             (int)op->raw_n, op->raw, (unsigned long long)op->invoke);
}

static void check(struct world *w) {
    for (uint32_t db = 0; db < 2; db++) {
        int64_t sum = 0;
        for (int i = 0; i < w->v[ACCOUNTS]; i++) {
            const char *balance = sim_peek(w, db, w->keys[i]);
            sum += balance ? strtoll(balance, NULL, 10) : 0;
        }
        if (!total_is_right(w, sum))
            sim_fail(w, "the final total of db %u is %lld", db, (long long)sum);
    }
}

const struct workload workload_chaos = {"chaos", setup, connected, next,
                                        replied, check, NULL,      NULL};
