// SPDX-License-Identifier: BSD-3-Clause
//
// Works: made, waited for and ended on the client's shard; their legs are run by whoever is in the
// home: its owner, when the leg comes by message, or this shard as its visitor. Invariants: a work
// ends exactly once, when no leg is missing; what a leg refers to (topics and their texts) stays
// until then; a subscription is seated from its first acknowledgement on, and keeps its seat until
// its end is acknowledged. Called by session_pubsub.c, connection.c and the pass of shard.c.
#include "shards/pubsub_work.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "shards/lazyfree.h"
#include "shards/multi.h"
#include "shards/session.h"
#include "shards/visit.h"

enum work_kind { WORK_SUBSCRIBE, WORK_UNSUBSCRIBE, WORK_RESET, WORK_LEAVE, WORK_PUBLISH };

/** What has to be said about one channel or pattern that was named. */
struct confirmation {
    struct slice text; // in the work's texts
    bool changed;      // it is counted
};

struct pubsub_work {
    struct work work; // first member; its connection is NULL when the client has left
    struct shard *home;
    struct pubsub_client *client;
    enum work_kind what;
    enum pubsub_kind kind;
    uint32_t missing; // legs
    // Subscribing and its opposite.
    struct pubsub_subscription **changed;
    uint32_t changed_count;
    struct confirmation *confirmations;
    uint32_t confirmation_count;
    uint32_t base; // the client's count before
    struct buf texts;
    void (*then)(struct connection *conn, struct reply *reply); // RESET
    // Publishing.
    struct pubsub_message message; // its channel and payload are in `texts`, if not in the frame
    uint32_t channel_home;
    int64_t receivers;
    struct pubsub_work *next_waiting;
};

struct pubsub_leg {
    struct pubsub_news news; // first member
    struct pubsub_work *work;
    uint32_t shard; // the home that it is for
    uint32_t count; // of the subscriptions to be entered or ended there
    struct pubsub_subscription *v[];
};

static struct pubsub_work *work_new(struct shard *s, enum work_kind what, enum pubsub_kind kind) {
    struct pubsub_work *w = mem_calloc(sizeof *w);
    w->home = s;
    w->what = what;
    w->kind = kind;
    s->pubsub->works++;
    return w;
}

static void work_free(struct pubsub_work *w) {
    w->home->pubsub->works--;
    if (w->message.frame) lazyfree_blob(w->message.frame);
    mem_free(w->changed);
    mem_free(w->confirmations);
    buf_free(&w->texts);
    mem_free(w);
}

static bool topic_is_everywhere(const struct pubsub_topic *topic) {
    return pubsub_is_everywhere(topic->kind, pubsub_topic_text(topic));
}

// ---- ending ------------------------------------------------------------------------------------

static struct pubsub_client *client_of(struct connection *conn) {
    if (!conn->pubsub) {
        conn->pubsub = mem_calloc(sizeof *conn->pubsub);
        conn->pubsub->subscriber.receiver = conn;
    }
    return conn->pubsub;
}

struct buf *pubsub_hold(struct connection *conn) {
    conn->has_held = true;
    return &client_of(conn)->held;
}

static void client_free(struct pubsub_client *client) {
    pieces_cut(&client->held_pieces, 0, lazyfree_blob);
    buf_free(&client->held);
    mem_free(client);
}

static const char *confirmation_name(const struct pubsub_work *w) {
    static const char *const names[PUBSUB_KINDS][2] = {
        [PUBSUB_CHANNEL] = {"subscribe", "unsubscribe"},
        [PUBSUB_PATTERN] = {"psubscribe", "punsubscribe"},
        [PUBSUB_SHARD_CHANNEL] = {"ssubscribe", "sunsubscribe"}};
    return names[w->kind][w->what == WORK_UNSUBSCRIBE];
}

static void confirm(const struct pubsub_work *w, struct reply *r) {
    uint32_t count = w->base;
    for (uint32_t i = 0; i < w->confirmation_count; i++) {
        const struct confirmation *c = &w->confirmations[i];
        if (c->changed) count += w->what == WORK_SUBSCRIBE ? 1 : UINT32_MAX;
        reply_push(r, 3);
        reply_bulk_text(r, confirmation_name(w));
        reply_bulk_slice(r, c->text);
        reply_int(r, count);
    }
    if (w->confirmation_count > 0) return;
    reply_push(r, 3);
    reply_bulk_text(r, confirmation_name(w));
    reply_null(r);
    reply_int(r, count);
}

/** What the client is told in the end; confirmations are told also to who wants no replies. */
static void write_end(struct pubsub_work *w, struct connection *conn, struct reply *r) {
    switch (w->what) {
    case WORK_SUBSCRIBE:
    case WORK_UNSUBSCRIBE: confirm(w, r); break;
    case WORK_RESET: w->then(conn, r); break;
    case WORK_PUBLISH: reply_int(r, w->receivers); break;
    case WORK_LEAVE: break;
    }
}

static bool is_confirmation(const struct pubsub_work *w) {
    return w->what == WORK_SUBSCRIBE || w->what == WORK_UNSUBSCRIBE;
}

/** The table's share of the end. */
static void settle_subscriptions(struct pubsub_work *w) {
    for (uint32_t i = 0; i < w->changed_count && w->what != WORK_SUBSCRIBE; i++)
        pubsub_table_remove(&w->home->pubsub->table, w->changed[i]);
    if (w->client) w->client->holding = false;
    if (w->what == WORK_LEAVE) client_free(w->client);
}

/** All legs are back; the client waits. */
static void finish(struct pubsub_work *w) {
    struct connection *conn = w->work.connection;
    settle_subscriptions(w);
    if (!conn) {
        work_free(w);
        return;
    }
    if (w->what != WORK_PUBLISH) pubsub_update_mode(conn);
    struct buf bytes = {0};
    struct reply r;
    reply_init(&r, &bytes, conn->proto);
    write_end(w, conn, &r);
    bool in_exec = conn->in_multi && multi_is_running(conn->multi);
    if (is_confirmation(w) && (!in_exec || connection_is_silent(conn))) {
        if (!conn->closed) buf_append(&conn->out, bytes.p, bytes.len);
        bytes.len = 0;
    }
    work_free(w);
    connection_work_done(conn, bytes.p, bytes.len);
    buf_free(&bytes);
}

/** The command has nothing to do on any shard: answers it at once. */
static void finish_now(struct pubsub_work *w, struct session_call *call) {
    struct connection *conn = call->connection;
    settle_subscriptions(w);
    if (w->what != WORK_PUBLISH) pubsub_update_mode(conn);
    write_end(w, conn, call->reply);
    if (is_confirmation(w) && call->reply->out == &conn->out) conn->reply_start = conn->out.len;
    work_free(w);
}

// ---- legs --------------------------------------------------------------------------------------

/** In the home: does what the leg is for, and sends it back. */
static void run_leg(struct shard *s, struct pubsub_leg *leg) {
    struct pubsub_work *w = leg->work;
    struct shard *at = s->fleet->shards[leg->shard];
    for (uint32_t i = 0; i < leg->count; i++) {
        const struct pubsub_topic *topic = leg->v[i]->topic;
        struct slice text = pubsub_topic_text(topic);
        if (w->what == WORK_SUBSCRIBE)
            pubsub_registry_add(&at->pubsub->registry, topic->kind, text, topic->hash, w->home->id);
        else
            pubsub_registry_drop(&at->pubsub->registry, topic->kind, text, topic->hash,
                                 w->home->id);
    }
    if (w->what == WORK_PUBLISH) w->receivers = pubsub_publish(s, at, &w->message, true);
    pubsub__push(s, w->home->id, &leg->news);
}

void pubsub_leg_arrive(struct shard *s, struct pubsub_leg *leg) {
    ASSERT(leg->shard == s->id);
    run_leg(s, leg);
}

/** Runs it in a visit, if that is possible now; else sends it. */
static void start_leg(struct shard *s, struct pubsub_leg *leg) {
    uint32_t shard = leg->shard;
    enum visit_stay stay = visit_tables(s, shard);
    if (stay == VISIT_REFUSED) {
        shard_send(s, shard, MESSAGE_PUBSUB, leg);
        return;
    }
    run_leg(s, leg);
    visit_tables_end(s, shard, stay);
}

void pubsub__leg_back(struct shard *s, struct pubsub_news *news) {
    struct pubsub_leg *leg = (struct pubsub_leg *)news;
    struct pubsub_work *w = leg->work;
    ASSERT(w->home == s && w->missing > 0);
    w->missing--;
    for (uint32_t i = 0; i < leg->count; i++) {
        if (w->what == WORK_SUBSCRIBE)
            pubsub_table_seat(leg->v[i]);
        else if (!topic_is_everywhere(leg->v[i]->topic)) // or it has more homes
            pubsub_table_unseat(leg->v[i]);
    }
    mem_free(leg);
    if (w->missing == 0) {
        finish(w);
    } else if (w->what == WORK_SUBSCRIBE && !w->client->holding) {
        w->client->holding = true;
        w->work.connection->has_held = true;
    }
}

/** The legs of a change: one to each home of a channel; to all shards for what is everywhere. */
static void start_legs(struct pubsub_work *w) {
    struct shard *s = w->home;
    uint32_t n = s->fleet->nshards;
    uint32_t *counts = mem_calloc(n * sizeof *counts);
    struct pubsub_leg **legs = mem_calloc(n * sizeof(struct pubsub_leg *));
    uint32_t everywhere = 0;
    for (uint32_t i = 0; i < w->changed_count; i++) {
        const struct pubsub_topic *topic = w->changed[i]->topic;
        if (topic_is_everywhere(topic))
            everywhere++;
        else
            counts[pubsub_home(s, pubsub_topic_text(topic))]++;
    }
    for (uint32_t shard = 0; shard < n; shard++) {
        uint32_t count = counts[shard] + everywhere;
        if (count == 0) continue;
        legs[shard] =
            mem_alloc(sizeof(struct pubsub_leg) + count * sizeof(struct pubsub_subscription *));
        *legs[shard] = (struct pubsub_leg){.news = {.kind = NEWS_LEG}, .work = w, .shard = shard};
        w->missing++;
    }
    for (uint32_t i = 0; i < w->changed_count; i++) {
        struct pubsub_subscription *sub = w->changed[i];
        bool all = topic_is_everywhere(sub->topic);
        uint32_t home = all ? 0 : pubsub_home(s, pubsub_topic_text(sub->topic));
        for (uint32_t shard = home; shard < (all ? n : home + 1); shard++)
            legs[shard]->v[legs[shard]->count++] = sub;
    }
    // They come back through the news, so nothing ends before all are on their way.
    for (uint32_t shard = 0; shard < n; shard++)
        if (legs[shard]) start_leg(s, legs[shard]);
    mem_free(legs);
    mem_free(counts);
}

/** Starts what has been prepared, or ends it at once. */
static void start_change(struct pubsub_work *w, struct session_call *call) {
    if (w->changed_count == 0) {
        finish_now(w, call);
        return;
    }
    connection_work_begin(call->connection, &w->work);
    start_legs(w);
}

// ---- subscribing -------------------------------------------------------------------------------

static void note_change(struct pubsub_work *w, struct pubsub_subscription *sub, uint32_t room) {
    if (!w->changed) w->changed = mem_alloc(room * sizeof(struct pubsub_subscription *));
    w->changed[w->changed_count++] = sub;
}

/** Keeps the names, which do not outlive the call, for the confirmations. */
static void keep_names(struct pubsub_work *w, const struct slice *names, uint32_t count) {
    w->confirmation_count = count;
    w->confirmations = mem_calloc((count + 1) * sizeof *w->confirmations);
    char *to = buf_reserve(&w->texts, slices_bytes(names, (int)count) + 1);
    for (uint32_t i = 0; i < count; i++) {
        if (names[i].n > 0) memcpy(to, names[i].p, names[i].n);
        w->confirmations[i].text = slice_of(to, names[i].n);
        to += names[i].n;
    }
}

/** What the confirmations of this kind count. */
static uint32_t counted(const struct pubsub_client *client, enum pubsub_kind kind) {
    if (!client) return 0;
    const uint32_t *counts = client->subscriber.counts;
    if (kind == PUBSUB_SHARD_CHANNEL) return counts[kind];
    return counts[PUBSUB_CHANNEL] + counts[PUBSUB_PATTERN];
}

void pubsub_subscribe(struct session_call *call, enum pubsub_kind kind, const struct slice *names,
                      int count) {
    struct connection *conn = call->connection;
    struct pubsub_work *w = work_new(conn->shard, WORK_SUBSCRIBE, kind);
    w->client = client_of(conn);
    w->base = counted(w->client, kind);
    keep_names(w, names, (uint32_t)count);
    for (int i = 0; i < count; i++) {
        struct pubsub_subscription *sub =
            pubsub_table_add(&conn->shard->pubsub->table, &w->client->subscriber, kind, names[i],
                             hashtable_hash(names[i]));
        if (!sub) continue;
        w->confirmations[i].changed = true;
        note_change(w, sub, (uint32_t)count);
    }
    start_change(w, call);
}

/** Prepares the end of all subscriptions of a kind. */
static void leave_all(struct pubsub_work *w, enum pubsub_kind kind, uint32_t room) {
    struct pubsub_subscription *sub = w->client->subscriber.first[kind];
    for (; sub; sub = sub->next) {
        pubsub_table_leave(sub);
        note_change(w, sub, room);
    }
}

static void unsubscribe_all(struct pubsub_work *w, enum pubsub_kind kind) {
    uint32_t count = w->client->subscriber.counts[kind];
    struct slice *names = mem_alloc((count + 1) * sizeof *names);
    leave_all(w, kind, count);
    for (uint32_t i = 0; i < count; i++) names[i] = pubsub_topic_text(w->changed[i]->topic);
    keep_names(w, names, count);
    for (uint32_t i = 0; i < count; i++) w->confirmations[i].changed = true;
    mem_free(names);
}

void pubsub_unsubscribe(struct session_call *call, enum pubsub_kind kind, const struct slice *names,
                        int count) {
    struct connection *conn = call->connection;
    struct pubsub_work *w = work_new(conn->shard, WORK_UNSUBSCRIBE, kind);
    w->client = conn->pubsub;
    w->base = counted(w->client, kind);
    if (count == 0) {
        if (w->client) unsubscribe_all(w, kind);
        start_change(w, call);
        return;
    }
    keep_names(w, names, (uint32_t)count);
    for (int i = 0; i < count && w->client; i++) {
        struct pubsub_subscription *sub =
            pubsub_table_find(&conn->shard->pubsub->table, &w->client->subscriber, kind, names[i],
                              hashtable_hash(names[i]));
        if (!sub) continue;
        pubsub_table_leave(sub);
        w->confirmations[i].changed = true;
        note_change(w, sub, (uint32_t)count);
    }
    start_change(w, call);
}

/** Prepares the end of all that a client has subscribed to. */
static void leave_everything(struct pubsub_work *w) {
    uint32_t room = 0;
    for (int kind = 0; kind < PUBSUB_KINDS; kind++) room += w->client->subscriber.counts[kind];
    for (int kind = 0; kind < PUBSUB_KINDS; kind++) leave_all(w, (enum pubsub_kind)kind, room);
}

void pubsub_reset(struct session_call *call,
                  void (*then)(struct connection *conn, struct reply *reply)) {
    struct connection *conn = call->connection;
    struct pubsub_work *w = work_new(conn->shard, WORK_RESET, PUBSUB_CHANNEL);
    w->then = then;
    w->client = conn->pubsub;
    if (w->client) leave_everything(w);
    start_change(w, call);
}

void pubsub_leave(struct connection *conn) {
    struct pubsub_work *w = work_new(conn->shard, WORK_LEAVE, PUBSUB_CHANNEL);
    w->client = conn->pubsub;
    conn->pubsub = NULL;
    conn->has_held = false;
    leave_everything(w);
    for (uint32_t i = 0; i < w->changed_count; i++) pubsub_table_unseat(w->changed[i]);
    if (w->changed_count > 0)
        start_legs(w);
    else
        finish(w);
}

// ---- publishing --------------------------------------------------------------------------------

/** Publishes in a visit. PUBSUB_NO_ROOM: later; `refused`: the home is not to be entered now. */
static int64_t publish_in_visit(struct shard *s, uint32_t home, struct pubsub_message *m,
                                bool *refused) {
    enum visit_stay stay = visit_tables(s, home);
    *refused = stay == VISIT_REFUSED;
    if (*refused) return 0;
    int64_t receivers = pubsub_publish(s, s->fleet->shards[home], m, false);
    visit_tables_end(s, home, stay);
    return receivers;
}

/** Has the home's owner publish. */
static void send_to_home(struct pubsub_work *w) {
    struct pubsub_leg *leg = mem_alloc(sizeof *leg);
    *leg = (struct pubsub_leg){.news = {.kind = NEWS_LEG}, .work = w, .shard = w->channel_home};
    w->missing = 1;
    shard_send(w->home, w->channel_home, MESSAGE_PUBSUB, leg);
}

static void wait_for_room(struct pubsub_work *w) {
    struct pubsub *ps = w->home->pubsub;
    w->next_waiting = NULL;
    w->home->pubsub_busy |= PUBSUB_WAITING;
    if (ps->waiting_last)
        ps->waiting_last->next_waiting = w;
    else
        ps->waiting_first = w;
    ps->waiting_last = w;
}

void pubsub_command(struct session_call *call, enum pubsub_kind kind, struct slice channel,
                    struct slice payload) {
    struct connection *conn = call->connection;
    struct shard *s = conn->shard;
    struct pubsub_message m = {kind, channel, payload, hashtable_hash(channel), NULL};
    uint32_t home = pubsub_home(s, channel);
    bool refused;
    int64_t receivers = publish_in_visit(s, home, &m, &refused);
    if (!refused && receivers != PUBSUB_NO_ROOM) {
        reply_int(call->reply, receivers);
        return;
    }
    struct pubsub_work *w = work_new(s, WORK_PUBLISH, kind);
    char *to = buf_reserve(&w->texts, channel.n + payload.n + 1);
    struct slice words[2] = {channel, payload}, copies[2];
    slices_copy(copies, to, words, 2);
    m.channel = copies[0];
    m.payload = copies[1];
    w->message = m;
    w->channel_home = home;
    connection_work_begin(conn, &w->work);
    if (refused)
        send_to_home(w);
    else
        wait_for_room(w);
}

void pubsub__retry(struct shard *s) {
    struct pubsub *ps = s->pubsub;
    struct pubsub_work *w = ps->waiting_first, *next;
    ps->waiting_first = ps->waiting_last = NULL;
    s->pubsub_busy &= ~(uint32_t)PUBSUB_WAITING;
    for (; w; w = next) {
        next = w->next_waiting;
        bool refused;
        int64_t receivers = publish_in_visit(s, w->channel_home, &w->message, &refused);
        if (refused) {
            send_to_home(w);
        } else if (receivers == PUBSUB_NO_ROOM) {
            wait_for_room(w);
        } else {
            w->receivers = receivers;
            finish(w);
        }
    }
}
