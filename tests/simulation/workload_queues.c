// SPDX-License-Identifier: BSD-3-Clause
//
// Queues: producers push numbered items onto lists on different shards, alone and in blocks, and
// add them to a stream; consumers wait for them (BLPOP, BLMPOP, BLMOVE over shards, XREADGROUP)
// with time limits, are unblocked, see databases swapped, and vanish while they wait. Every item
// that was pushed is delivered exactly once or still there in the end, unless a consumer took it
// with it; from one list or stream nobody gets one producer's items out of order. Each item is its
// producer's number, the list's and a counter.
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/alloc.h"
#include "tests/simulation/sim.h"

enum role { PRODUCER, CONSUMER, MEDDLER, CHECKER };
enum tag { PUSH = 1, POP, MOVE, READ, LOOK, MEDDLE };
#define LISTS_MAX 5 // with the stream, which counts as the last one
#define STREAM    (LISTS_MAX - 1)
#define DONE      8 // index in keys: where BLMOVE puts items
#define SEQ_MAX   400
#define ITEMS     ((size_t)SIM_CLIENTS_MAX * LISTS_MAX * SEQ_MAX)

/** What is known of an item. */
enum fate { FATE_UNKNOWN, FATE_SENT, FATE_PUSHED, FATE_GONE };

struct queues {
    uint8_t fates[ITEMS];
    int64_t seen[SIM_CLIENTS_MAX][SIM_CLIENTS_MAX][LISTS_MAX]; // consumer, producer, list
    int64_t moved[SIM_CLIENTS_MAX][LISTS_MAX];
};

static size_t item_of(uint32_t producer, int list, int64_t seq) {
    return ((size_t)producer * LISTS_MAX + (size_t)list) * SEQ_MAX + (size_t)seq;
}

static void setup(struct world *w) {
    w->key_count = 1 + (int)sim_below(w, STREAM);
    uint32_t first = sim_below(w, w->nshards);
    for (int i = 0; i < w->key_count; i++) w->keys[i] = sim_key(w, "queue", i, first + (uint32_t)i);
    w->keys[STREAM] = sim_key(w, "stream", 0, sim_below(w, w->nshards));
    w->keys[DONE] = sim_key(w, "done", 0, sim_below(w, w->nshards));
    w->data = mem_calloc(sizeof(struct queues));
    w->vanish_chance = sim_below(w, 3) ? 0 : 40;
    w->v[0] = w->vanish_chance > 0;
    int producers = 1 + (int)sim_below(w, 3), consumers = 1 + (int)sim_below(w, 5);
    for (int i = 0; i < producers; i++)
        client_add(w, PRODUCER, 20 + sim_below(w, 40), 1 + sim_below(w, 8));
    for (int i = 0; i < consumers; i++)
        client_add(w, CONSUMER, 20 + sim_below(w, 40), 1 + sim_below(w, 2));
    if (sim_below(w, 2)) client_add(w, MEDDLER, 30, 1);
    client_add(w, CHECKER, 1, 1);
}

// ---- producers ---------------------------------------------------------------------------------

/** Writes " item" for the next item of this producer and list; false: there have been enough. */
static bool next_item(struct client *c, int list, struct buf *text) {
    struct queues *q = c->world->data;
    int64_t seq = c->v[list];
    if (seq == SEQ_MAX) return false;
    c->v[list]++;
    size_t item = item_of(c->id, list, seq);
    q->fates[item] = FATE_SENT;
    buf_printf(text, " %zu", item);
    return true;
}

static void produce(struct client *c) {
    struct world *w = c->world;
    struct buf text = {0};
    if (sim_below(w, 4) == 0) {
        if (!next_item(c, STREAM, &text)) buf_append_text(&text, " none");
        buf_append_char(&text, '\0');
        client_issue(c, PUSH, "XADD %s * n%s", w->keys[STREAM], text.p);
        buf_free(&text);
        return;
    }
    uint32_t pushes = sim_below(w, 4) == 0 ? 1 + sim_below(w, 3) : 1;
    bool block = sim_below(w, 5) == 0;
    for (uint32_t i = 0; i < pushes; i++) {
        int list = (int)sim_below(w, (uint32_t)w->key_count);
        if (i > 0 && !block) list = (int)c->v[LISTS_MAX];
        c->v[LISTS_MAX] = list;
        if (i == 0 || block) buf_printf(&text, "RPUSH %s", w->keys[list]);
        if (!next_item(c, list, &text)) buf_append_text(&text, " none");
        if (block) buf_append_char(&text, '\n');
    }
    buf_append_char(&text, '\0');
    if (block)
        client_issue_block(c, PUSH, text.p);
    else
        client_issue(c, PUSH, "%s", text.p);
    buf_free(&text);
}

/** The push is known to have happened: its items are there, or have been. */
static void pushed(struct world *w, const struct op *op) {
    struct queues *q = w->data;
    for (int l = 0; l < op->count; l++)
        for (int i = op->lines[l].argv[0][0] == 'X' ? 4 : 2; i < op->lines[l].argc; i++) {
            if (op->lines[l].argv[i][0] == 'n') continue;
            uint8_t *fate = &q->fates[strtoull(op->lines[l].argv[i], NULL, 10)];
            if (*fate == FATE_SENT) *fate = FATE_PUSHED;
        }
}

// ---- consumers ---------------------------------------------------------------------------------

static void consume(struct client *c) {
    struct world *w = c->world;
    const char *const *k = w->keys;
    int n = w->key_count, first = (int)sim_below(w, (uint32_t)n);
    double limit = 0.001 * (1 + sim_below(w, sim_below(w, 2) ? 10 : 300));
    const char *a = k[first], *b = k[(first + 1) % n], *d = k[(first + 2) % n];
    switch (sim_below(w, 9)) {
    case 0: client_issue(c, POP, "BLPOP %s %.3f", a, limit); break;
    case 1: client_issue(c, POP, "BLPOP %s %s %s %.3f", a, b, d, limit); break;
    case 2: client_issue(c, POP, "BLPOP %s %s %s %s %.3f", a, a, b, d, limit); break;
    case 3: client_issue(c, POP, "BLMPOP %.3f 2 %s %s LEFT COUNT 3", limit, a, b); break;
    case 4: client_issue(c, POP, "LMPOP 2 %s %s LEFT", a, b); break;
    case 5:
    case 6:
        client_issue(c, READ, "XREADGROUP GROUP g c%u COUNT 2 BLOCK %d NOACK STREAMS %s >",
                     sim_below(w, 3), 1 + (int)(limit * 1000), k[STREAM]);
        break;
    default: client_issue(c, MOVE, "BLMOVE %s %s LEFT RIGHT %.3f", a, k[DONE], limit); break;
    }
}

static void got(struct client *c, const struct op *op, size_t item, int64_t *last) {
    struct world *w = c->world;
    struct queues *q = w->data;
    if (item >= ITEMS || q->fates[item] == FATE_UNKNOWN || q->fates[item] == FATE_GONE) {
        sim_fail(w, "client %u: item %zu comes %s (invoked %llu)", c->id, item,
                 item < ITEMS && q->fates[item] == FATE_GONE ? "twice" : "from nowhere",
                 (unsigned long long)op->invoke);
        return;
    }
    q->fates[item] = FATE_GONE;
    // What a client has sent before it vanished may arrive behind what it sends on its return.
    if ((int64_t)item < *last && w->v[0] == 0)
        sim_fail(w, "client %u: item %zu comes behind %lld (invoked %llu)", c->id, item,
                 (long long)*last, (unsigned long long)op->invoke);
    *last = (int64_t)item;
}

static void popped(struct client *c, const struct op *op) {
    struct queues *q = c->world->data;
    const struct sim_value *v = op->reply;
    if (v->type == VALUE_NULL || (v->type == VALUE_ERROR && strncmp(v->text, "UNBLOCKED", 9) == 0))
        return;
    if (v->type != VALUE_ARRAY || v->n != 2) {
        sim_fail(c->world, "client %u got %.*s", c->id, (int)op->raw_n, op->raw);
        return;
    }
    const struct sim_value *items = &v->items[1];
    size_t n = items->type == VALUE_ARRAY ? items->n : 1;
    if (items->type == VALUE_ARRAY) items = items->items;
    for (size_t i = 0; i < n; i++) {
        size_t item = (size_t)items[i].number;
        size_t producer = item / SEQ_MAX / LISTS_MAX, list = item / SEQ_MAX % LISTS_MAX;
        if (items[i].text[0] != 'n' && producer < SIM_CLIENTS_MAX)
            got(c, op, item, &q->seen[c->id][producer][list]);
    }
}

/** Entries of the stream: only one reader of the group gets each. */
static void read_entries(struct client *c, const struct op *op) {
    struct queues *q = c->world->data;
    const struct sim_value *v = op->reply;
    // The group may not have been made yet.
    if (v->type == VALUE_NULL ||
        (v->type == VALUE_ERROR &&
         (strncmp(v->text, "UNBLOCKED", 9) == 0 || strncmp(v->text, "NOGROUP", 7) == 0)))
        return;
    if (v->type != VALUE_ARRAY || v->n != 1 || v->items->n != 2) {
        sim_fail(c->world, "client %u got %.*s", c->id, (int)op->raw_n, op->raw);
        return;
    }
    const struct sim_value *entries = &v->items->items[1];
    for (size_t i = 0; i < entries->n; i++) {
        const struct sim_value *text = &entries->items[i].items[1].items[1];
        size_t item = (size_t)text->number, producer = item / SEQ_MAX / LISTS_MAX;
        if (text->text[0] != 'n' && producer < SIM_CLIENTS_MAX)
            got(c, op, item, &q->seen[c->id][producer][STREAM]);
    }
}

// ---- the end -----------------------------------------------------------------------------------

static bool others_are_done(const struct client *c) {
    const struct world *w = c->world;
    for (uint32_t i = 0; i < w->client_count; i++) {
        const struct client *o = &w->clients[i];
        if (o != c && (!o->finished || o->outstanding > 0)) return false;
    }
    return true;
}

/** What is left in a list, or has been moved to the last one. */
static void look(struct client *c) {
    struct world *w = c->world;
    w->vanish_chance = 0; // who looks must not lose what it is told
    int at = (int)c->v[0]++;
    if (at > w->key_count + 1) {
        c->finished = true;
        return;
    }
    if (at > w->key_count) {
        client_issue(c, READ, "XREADGROUP GROUP g c STREAMS %s >", w->keys[STREAM]);
        return;
    }
    client_issue(c, LOOK, "LRANGE %s 0 -1", at == w->key_count ? w->keys[DONE] : w->keys[at])->x =
        at;
}

static void looked(struct client *c, const struct op *op) {
    struct queues *q = c->world->data;
    const struct sim_value *v = op->reply;
    for (size_t i = 0; i < v->n; i++) {
        if (v->items[i].text[0] == 'n') continue;
        size_t item = (size_t)v->items[i].number;
        size_t producer = item / SEQ_MAX / LISTS_MAX % SIM_CLIENTS_MAX;
        size_t list = item / SEQ_MAX % LISTS_MAX;
        bool left = op->x < c->world->key_count; // else it has been moved, and that in order, too
        got(c, op, item, left ? &q->seen[c->id][producer][list] : &q->moved[producer][list]);
    }
}

/** Ends waits, and borrows whole shards: for nothing, or to touch every key that is waited for. */
static void meddle(struct client *c) {
    struct world *w = c->world;
    switch (sim_below(w, 6)) {
    case 0: client_issue(c, MEDDLE, "SWAPDB 1 2"); break;
    case 1: client_issue(c, MEDDLE, "DBSIZE"); break;
    case 2: client_issue_block(c, MEDDLE, "SWAPDB 0 1\nSWAPDB 1 0\n"); break;
    default:
        client_issue(c, MEDDLE, "CLIENT UNBLOCK %u %s", 1 + sim_below(w, 16),
                     sim_below(w, 2) ? "ERROR" : "TIMEOUT");
    }
}

static void next(struct client *c) {
    struct world *w = c->world;
    if (c->role == CHECKER) {
        if (c->v[1]++ == 0)
            client_issue(c, MEDDLE, "XGROUP CREATE %s g 0 MKSTREAM", w->keys[STREAM]);
        else if (!others_are_done(c))
            client_issue(c, MEDDLE, "PING");
        else
            look(c);
        return;
    }
    if (c->budget == 0) {
        c->finished = true;
        return;
    }
    c->budget--;
    if (c->role == PRODUCER)
        produce(c);
    else if (c->role == CONSUMER)
        consume(c);
    else
        meddle(c);
}

static void replied(struct client *c, struct op *op) {
    const struct sim_value *v = op->reply;
    switch (op->tag) {
    case PUSH: pushed(c->world, op); break;
    case POP: popped(c, op); break;
    case READ: read_entries(c, op); break;
    case LOOK: looked(c, op); break;
    default:
        if (v->type == VALUE_ERROR && strncmp(v->text, "UNBLOCKED", 9) != 0)
            sim_fail(c->world, "client %u got %.*s", c->id, (int)op->raw_n, op->raw);
    }
}

/** How many items the operations took with them whose clients have vanished. */
static size_t may_be_lost(const struct world *w) {
    size_t lost = 0;
    for (uint32_t i = 0; i < w->op_count; i++)
        if (w->ops[i]->respond == SIM_LOST && (w->ops[i]->tag == POP || w->ops[i]->tag == READ))
            lost += 3;
    return lost;
}

static void check(struct world *w) {
    const struct queues *q = w->data;
    size_t missing = 0, lost = may_be_lost(w), latest = 0;
    for (size_t i = 0; i < ITEMS; i++) {
        if (q->fates[i] != FATE_PUSHED) continue;
        missing++;
        latest = i;
    }
    if (missing > lost)
        sim_fail(w, "%zu items are missing, %zu may be (%zu, for instance)", missing, lost, latest);
    for (uint32_t i = 0; i < w->nshards; i++)
        if (w->shards[i]->keyspace->waiting != NULL)
            sim_fail(w, "somebody still waits on shard %u", i);
}

const struct workload workload_queues = {"queues", setup, NULL, next, replied, check, NULL, NULL};
