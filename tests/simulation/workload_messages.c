// SPDX-License-Identifier: BSD-3-Clause
//
// Publish/subscribe: publishers number their messages and spread them over channels whose homes are
// different shards; listeners subscribe and unsubscribe meanwhile; watchers listen to a pattern for
// all of them. What must hold: a subscriber sees each publisher's messages in the order of their
// numbers, whatever the channels; any two subscribers see the messages of a channel in the same
// order; who is subscribed from before a PUBLISH is sent until after it is answered gets it, who is
// not does not; the reply is the number of those who got it; and who got it sees what the publisher
// wrote before.
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/alloc.h"
#include "tests/simulation/sim.h"

enum role { PUBLISHER, LISTENER, WATCHER, QUITTER };
enum tag { SETUP = -1, WRITE = 1, PUBLISH, PUBLISH_BLOCK, CHANGE, LOOK, LAST, OTHER };
#define CHANNELS_MAX 5
#define MESSAGES_MAX 1024
#define CHANGES_MAX  1024

struct message {
    int channel, publisher;
    int64_t number;
    const struct op *op;
    uint32_t seen; // bit of each client
};

struct change {
    const struct client *client;
    const struct op *op;
    uint32_t channels; // bits
    bool on;
};

struct history {
    struct message messages[MESSAGES_MAX];
    struct change changes[CHANGES_MAX];
    int message_count, change_count;
    int *order[SIM_CLIENTS_MAX]; // messages as the client got them
    int ordered[SIM_CLIENTS_MAX];
};

enum { CHANNELS, PUBLISHERS, QUITTERS };                         // what the world's v[] hold
enum { NUMBER, PENDING, LISTENS, LOOKS, CHANNEL, BLOCKS, SEEN }; // what a client's v[] hold

static void setup(struct world *w) {
    struct history *h = mem_calloc(sizeof *h);
    w->data = h;
    w->v[CHANNELS] = 1 + sim_below(w, CHANNELS_MAX);
    w->v[PUBLISHERS] = 1 + sim_below(w, 3);
    w->v[QUITTERS] = sim_below(w, 3) == 0;
    uint32_t shard = sim_below(w, w->nshards);
    for (int i = 0; i < w->v[CHANNELS]; i++) w->keys[i] = sim_key(w, "ch", i, shard + (uint32_t)i);
    for (int i = 0; i < w->v[PUBLISHERS]; i++)
        w->keys[CHANNELS_MAX + i] = sim_key(w, "written", i, sim_below(w, w->nshards));
    for (int i = 0; i < w->v[PUBLISHERS]; i++)
        client_add(w, PUBLISHER, 20 + sim_below(w, 100), 1 + sim_below(w, 12));
    uint32_t listeners = 1 + sim_below(w, 4), watchers = sim_below(w, 3);
    for (uint32_t i = 0; i < listeners; i++) client_add(w, LISTENER, 40, 1);
    for (uint32_t i = 0; i < watchers; i++) client_add(w, WATCHER, 1, 1);
    for (int i = 0; i < w->v[QUITTERS]; i++) client_add(w, QUITTER, 10, 1);
    for (uint32_t i = 0; i < w->client_count; i++) {
        struct client *c = &w->clients[i];
        h->order[i] = arena_alloc(&w->arena, MESSAGES_MAX * sizeof(int));
        uint32_t before = c->outstanding;
        c->v[LOOKS] = c->role == LISTENER && sim_below(w, 2);
        if (c->v[LOOKS]) client_issue(c, SETUP, "HELLO 3");
        if (c->role == WATCHER) client_issue(c, SETUP, "PSUBSCRIBE c*");
        c->v[LISTENS] = c->role == WATCHER ? (1 << w->v[CHANNELS]) - 1 : 0;
        w->setup_left += c->outstanding - before;
    }
}

// ---- publishing --------------------------------------------------------------------------------

static void publish(struct client *c) {
    struct world *w = c->world;
    struct history *h = w->data;
    const char *key = w->keys[CHANNELS_MAX + c->id];
    if (h->message_count == MESSAGES_MAX) {
        c->budget = 0;
        return;
    }
    uint32_t how = sim_below(w, 8);
    if (!c->v[PENDING] && how < 4) {
        c->v[NUMBER]++;
        c->v[PENDING] = 1;
        if (how > 0) {
            client_issue(c, WRITE, "SET %s %lld", key, (long long)c->v[NUMBER]);
            return;
        }
        c->v[BLOCKS] = 1;
    }
    if (!c->v[PENDING]) c->v[NUMBER]++;
    int channel = (int)sim_below(w, (uint32_t)w->v[CHANNELS]), index = h->message_count++;
    struct message *m = &h->messages[index];
    *m = (struct message){.channel = channel, .publisher = (int)c->id, .number = c->v[NUMBER]};
    if (c->v[BLOCKS]) {
        char text[256];
        snprintf(text, sizeof text, "SET %s %lld\nPUBLISH %s %d\n", key, (long long)c->v[NUMBER],
                 w->keys[channel], index);
        m->op = client_issue_block(c, PUBLISH_BLOCK, text);
    } else {
        struct op *op = client_issue(c, PUBLISH, "PUBLISH %s %d", w->keys[channel], index);
        m->op = op;
        op->x = c->v[PENDING];
    }
    c->v[PENDING] = c->v[BLOCKS] = 0;
}

// ---- listening ---------------------------------------------------------------------------------

static bool publishers_are_done(const struct world *w) {
    for (int i = 0; i < w->v[PUBLISHERS]; i++)
        if (!w->clients[i].finished || w->clients[i].outstanding > 0) return false;
    return true;
}

static uint32_t bits_in(uint32_t set) { return (uint32_t)__builtin_popcount(set); }

/** Subscribes to some channels, or unsubscribes from some, all in one command. */
static void change(struct client *c) {
    struct world *w = c->world;
    struct history *h = w->data;
    bool on = sim_below(w, 5) < 3;
    uint32_t some = 1 + sim_below(w, (1u << w->v[CHANNELS]) - 1);
    if (h->change_count == CHANGES_MAX) return;
    char text[512];
    int n = snprintf(text, sizeof text, on ? "SUBSCRIBE" : "UNSUBSCRIBE");
    for (int i = 0; i < w->v[CHANNELS]; i++)
        if (some >> i & 1) n += snprintf(text + n, sizeof text - (size_t)n, " %s", w->keys[i]);
    snprintf(text + n, sizeof text - (size_t)n, "\n");
    struct op *op = client_issue_lines(c, CHANGE, text, bits_in(some));
    c->v[LISTENS] = on ? c->v[LISTENS] | some : c->v[LISTENS] & ~(int64_t)some;
    h->changes[h->change_count++] = (struct change){c, op, some, on};
}

static void listen(struct client *c) {
    struct world *w = c->world;
    if (publishers_are_done(w) && c->phase == 0) {
        // All that was published before comes before the reply.
        uint32_t replies = c->role == LISTENER ? bits_in((uint32_t)c->v[LISTENS]) : 1;
        const char *command = c->role == LISTENER ? "UNSUBSCRIBE\n" : "PUNSUBSCRIBE\n";
        client_issue_lines(c, LAST, command, replies ? replies : 1);
        c->phase = 1;
    } else if (c->phase == 1) {
        c->finished = true;
    } else if (c->role == LISTENER && c->v[LOOKS] && c->v[CHANNEL] && sim_below(w, 2)) {
        const struct history *h = w->data;
        const struct message *m = &h->messages[c->v[CHANNEL] - 1];
        client_issue(c, LOOK, "GET %s", w->keys[CHANNELS_MAX + m->publisher])->x = m->number;
        c->v[CHANNEL] = 0;
    } else if (c->role == LISTENER && c->budget > 0) {
        c->budget--;
        change(c);
    }
}

/** Subscribes to everything and goes away, at any moment. */
static void quit(struct client *c) {
    struct world *w = c->world;
    if (c->budget == 0) {
        client_vanish(c, true);
        c->finished = true;
        return;
    }
    c->budget--;
    if (sim_below(w, 3) == 0) {
        client_vanish(c, sim_below(w, 2));
        return;
    }
    if (sim_below(w, 2))
        client_issue(c, OTHER, "PSUBSCRIBE c*");
    else
        client_issue(c, OTHER, "SUBSCRIBE %s", w->keys[0]);
}

static void next(struct client *c) {
    if (c->role == LISTENER || c->role == WATCHER) {
        listen(c);
    } else if (c->role == QUITTER) {
        quit(c);
    } else if (c->budget == 0) {
        c->finished = true;
    } else {
        c->budget--;
        publish(c);
    }
}

static void replied(struct client *c, struct op *op) {
    struct world *w = c->world;
    const struct sim_value *v = op->reply;
    if (v->type == VALUE_ERROR)
        sim_fail(w, "client %u got %.*s", c->id, (int)op->raw_n, op->raw);
    else if (op->tag == LOOK && v->number < op->x)
        sim_fail(w, "client %u has message %lld, and reads what was written before %lld", c->id,
                 (long long)op->x, (long long)v->number);
    else if (op->tag == PUBLISH_BLOCK && (v->type != VALUE_ARRAY || v->n != 2))
        sim_fail(w, "client %u: EXEC answered %.*s", c->id, (int)op->raw_n, op->raw);
}

static void pushed(struct client *c, const struct sim_value *v) {
    struct world *w = c->world;
    struct history *h = w->data;
    if (c->role == QUITTER) return;
    int64_t index = v->items[v->n - 1].number;
    struct message *m = &h->messages[index];
    w->progress_ns = w->now_ns;
    if (index < 0 || index >= h->message_count ||
        strcmp(v->items[v->n - 2].text, w->keys[m->channel]) != 0) {
        sim_fail(w, "client %u got a message that nobody has sent", c->id);
        return;
    }
    if (m->seen >> c->id & 1)
        sim_fail(w, "client %u got message %lld twice", c->id, (long long)index);
    m->seen |= 1u << c->id;
    if (m->number <= c->v[SEEN + m->publisher])
        sim_fail(w, "client %u got %lld of publisher %d before %lld", c->id,
                 (long long)c->v[SEEN + m->publisher], m->publisher, (long long)m->number);
    c->v[SEEN + m->publisher] = m->number;
    h->order[c->id][h->ordered[c->id]++] = (int)index;
    // What was written in front of it: only those that have something there.
    if (m->op->tag == PUBLISH_BLOCK || m->op->x) c->v[CHANNEL] = index + 1;
}

// ---- checks ------------------------------------------------------------------------------------

/** Whether a client was subscribed all through an operation: 1 yes, 0 not at all, -1 in part. */
static int was_subscribed(const struct world *w, const struct client *c, const struct message *m) {
    const struct history *h = w->data;
    int state = c->role == WATCHER;
    for (int i = 0; i < h->change_count; i++) {
        const struct change *change = &h->changes[i];
        if (change->client != c || !(change->channels >> m->channel & 1)) continue;
        if (change->op->respond < m->op->invoke)
            state = change->on;
        else if (change->op->invoke < m->op->respond && change->on != (state == 1))
            return -1;
    }
    return state;
}

static int64_t receivers_of(const struct message *m) {
    const struct sim_value *v = m->op->reply;
    return m->op->tag == PUBLISH_BLOCK ? v->items[1].number : v->number;
}

static void check_message(struct world *w, int index) {
    const struct message *m = &((const struct history *)w->data)->messages[index];
    for (uint32_t i = 0; i < w->client_count; i++) {
        const struct client *c = &w->clients[i];
        if (c->role != LISTENER && c->role != WATCHER) continue;
        int expected = was_subscribed(w, c, m), seen = (int)(m->seen >> i & 1);
        if (expected == 1 && !seen) sim_fail(w, "message %d is lost to client %u", index, i);
        if (expected == 0 && seen)
            sim_fail(w, "client %u got message %d, and was not subscribed", i, index);
    }
    int64_t receivers = receivers_of(m), got = bits_in(m->seen);
    if (w->v[QUITTERS] ? receivers < got : receivers != got)
        sim_fail(w, "message %d had %lld receivers, and %lld got it", index, (long long)receivers,
                 (long long)got);
}

/** Two clients: what both got of a channel, they got in the same order. */
static void check_order(struct world *w, uint32_t a, uint32_t b) {
    const struct history *h = w->data;
    int *place = arena_alloc(&w->arena, MESSAGES_MAX * sizeof *place);
    int last[CHANNELS_MAX];
    for (int i = 0; i < MESSAGES_MAX; i++) place[i] = -1;
    for (int i = 0; i < CHANNELS_MAX; i++) last[i] = -1;
    for (int i = 0; i < h->ordered[a]; i++) place[h->order[a][i]] = i;
    for (int i = 0; i < h->ordered[b]; i++) {
        int index = h->order[b][i], channel = h->messages[index].channel;
        if (place[index] < 0) continue;
        if (place[index] < last[channel])
            sim_fail(w, "clients %u and %u got message %d before and after another", a, b, index);
        last[channel] = place[index];
    }
}

static void check(struct world *w) {
    const struct history *h = w->data;
    for (int i = 0; i < h->message_count && !w->failed; i++) check_message(w, i);
    for (uint32_t a = 0; a < w->client_count; a++)
        for (uint32_t b = 0; b < a; b++) check_order(w, a, b);
}

const struct workload workload_messages = {.name = "messages",
                                           .setup = setup,
                                           .next = next,
                                           .replied = replied,
                                           .check = check,
                                           .pushed = pushed};
