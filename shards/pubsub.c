// SPDX-License-Identifier: BSD-3-Clause
//
// Publishing and delivering. Publishing runs on whatever shard's thread is in the channel's home;
// delivering on the thread of the shard that listens, between commands. Invariants: a message is
// freed by the last shard that has delivered it, its frame by the last reader of it; the weight of
// a shard's news is that of the messages in it. Called by session_pubsub.c, pubsub_work.c and the
// pass of shard.c.
//
//   frame:  3 $7 message | $n channel $m payload     one blob; a message copies it whole, or its
//           <- head ---> | <- tail ------------->    list of pieces refers to it; a pattern's
//                                                    message has a head of its own
#include "shards/pubsub.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/num.h"
#include "engine/base/prefetch.h"
#include "shards/lazyfree.h"
#include "shards/monitor.h"
#include "shards/multi.h"
#include "shards/tracking.h"

#define SHARE_MIN         ((size_t)16 * 1024) // longer frames are not copied
#define RUN_MAX           ((size_t)8 * 1024)  // messages in a row that are delivered as one, about
#define RUN_MESSAGE_MAX   1024                // ... each of them shorter
#define RUN_RECEIVERS_MIN 4                   // ... if the channel has so many
#define COPIES_MAX        16384               // more new bytes for one receiver are sent at once
#define ROOM_WAIT_NS      50000               // a PUBLISH that waits for room is looked at so often
#define PACE_MAX_NS       5000000             // messages wait no longer than this to be sent
#define AHEAD             4 // receivers whose connections are on their way to the cache

struct publication_pattern {
    uint64_t hash;
    struct slice text;
};

struct publication {
    struct blob *frame;
    uint32_t tail_at; // in the frame
    enum pubsub_kind kind;
    struct slice channel; // in the frame
    uint64_t hash;
    _Atomic uint32_t users; // links that have not been delivered
    uint32_t pattern_count;
    struct publication_pattern *patterns; // that match, of any shard
    struct publication_link {
        struct pubsub_news news; // first member
        struct publication *publication;
        uint64_t weight;
    } links[];
};

// ---- the shard's part --------------------------------------------------------------------------

void pubsub_init(struct shard *s) {
    s->news = &s->fleet->faces[s->id].news;
    s->pubsub = mem_calloc(sizeof *s->pubsub);
    pubsub_registry_init(&s->pubsub->registry);
    pubsub_table_init(&s->pubsub->table);
}

static void publication_drop(struct publication *p) {
    if (atomic_fetch_sub_explicit(&p->users, 1, memory_order_acq_rel) > 1) return;
    lazyfree_blob(p->frame);
    mem_free(p);
}

void pubsub_fini(struct shard *s) {
    struct pubsub *ps = s->pubsub;
    struct pubsub_news *news = atomic_load(&s->fleet->faces[s->id].news), *next;
    for (; news; news = next) {
        next = news->next;
        ASSERT(news->kind != NEWS_LEG); // works have ended before
        if (news->kind == NEWS_LINE)
            mem_free(news);
        else if (news->kind == NEWS_TRACKING)
            tracking_news_free(news);
        else if (news->kind == NEWS_TOLD)
            tracking_told(news);
        else
            publication_drop(((struct publication_link *)news)->publication);
    }
    ASSERT(ps->works == 0);
    pubsub_table_fini(&ps->table);
    pubsub_registry_fini(&ps->registry);
    mem_free(ps->matched);
    mem_free(ps->paced);
    buf_free(&ps->head);
    for (int i = 0; i < 2; i++) buf_free(&ps->runs[i]);
    buf_free(&ps->channel);
    mem_free(ps);
    s->pubsub = NULL;
}

void pubsub__push(struct shard *s, uint32_t to, struct pubsub_news *news) {
    _Atomic(struct pubsub_news *) *head = &s->fleet->faces[to].news;
    news->next = atomic_load_explicit(head, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(head, &news->next, news, memory_order_release,
                                                  memory_order_relaxed))
        ;
    if (to == s->id) {
        s->pubsub_busy |= PUBSUB_OWN_NEWS;
        return;
    }
    s->pubsub->touched[to / 64] |= UINT64_C(1) << to % 64;
    s->pubsub->touched_any = true;
}

void pubsub_wake(struct shard *s) {
    struct pubsub *ps = s->pubsub;
    for (uint32_t i = 0; i * 64 < s->fleet->nshards; i++) {
        for (uint64_t bits = ps->touched[i]; bits != 0; bits &= bits - 1)
            shard_wake(s, i * 64 + (uint32_t)__builtin_ctzll(bits));
        ps->touched[i] = 0;
    }
    ps->touched_any = false;
}

// ---- publishing --------------------------------------------------------------------------------

static char *put(char *p, const void *bytes, size_t n) {
    if (n > 0) memcpy(p, bytes, n);
    return p + n;
}

#define BULK_EXTRA (1 + NUM_I64_TEXT_MAX + 2 + 2) // around the bytes of a bulk string

static char *put_bulk(char *p, struct slice text) {
    *p++ = '$';
    p += num_format_u64(p, text.n);
    p = put(p, "\r\n", 2);
    p = put(p, text.p, text.n);
    return put(p, "\r\n", 2);
}

static struct slice frame_head(enum pubsub_kind kind) {
    return kind == PUBSUB_CHANNEL ? SLICE_LITERAL("3\r\n$7\r\nmessage\r\n")
                                  : SLICE_LITERAL("3\r\n$8\r\nsmessage\r\n");
}

struct blob *pubsub_frame(const struct pubsub_message *m) {
    struct slice head = frame_head(m->kind);
    struct blob *b =
        blob_new(slice_of("", 0), head.n + m->channel.n + m->payload.n + 2 * (size_t)BULK_EXTRA);
    char *p = put(b->bytes, head.p, head.n);
    p = put_bulk(p, m->channel);
    p = put_bulk(p, m->payload);
    b->len = (size_t)(p - b->bytes);
    return b;
}

/** The shards that get a message, and how many receivers each has. */
struct targets {
    struct shard *shard; // whose thread this is
    uint32_t count;
    struct pubsub_listener v[SHARD_MAX];
};

static void add_target(struct targets *t, struct pubsub_listener of) {
    for (uint32_t i = 0; i < t->count; i++) {
        if (t->v[i].shard != of.shard) continue;
        t->v[i].subscribers += of.subscribers;
        return;
    }
    t->v[t->count++] = of;
}

static void add_targets(struct targets *t, const struct pubsub_listeners *l) {
    for (uint32_t i = 0; i < l->count; i++) add_target(t, l->v[i]);
}

static void add_match(void *context, struct pubsub_pattern *pattern) {
    struct targets *t = context;
    struct pubsub *ps = t->shard->pubsub;
    if (ps->matched_count == ps->matched_room) {
        ps->matched_room = ps->matched_room ? ps->matched_room * 2 : 16;
        ps->matched = mem_realloc(ps->matched, ps->matched_room * sizeof(ps->matched[0]));
    }
    ps->matched[ps->matched_count++] = pattern;
    add_targets(t, &pattern->listeners);
}

static uint64_t weight_of(const struct pubsub_message *m, uint32_t receivers) {
    size_t bytes = m->channel.n + m->payload.n;
    // A long message is in memory once, a short one is copied for each.
    if (bytes >= SHARE_MIN) return receivers + bytes / PUBSUB_STEP;
    return pubsub__weight(receivers, bytes);
}

/** A shard that has too much news to take more; UINT32_MAX: there is none. */
static uint32_t without_room(const struct targets *t) {
    const struct shard_face *faces = t->shard->fleet->faces;
    for (uint32_t i = 0; i < t->count; i++)
        if (atomic_load_explicit(&faces[t->v[i].shard].news_weight, memory_order_relaxed) >=
            t->shard->fleet->news_room)
            return t->v[i].shard;
    return UINT32_MAX;
}

/** What has to be published now is; but no new command is started until there is room again. */
static void wait_for(struct shard *s, uint32_t crowded) {
    if (crowded == s->id) return; // it delivers before the pass is over
    s->crowded = crowded;
    s->gates |= GATE_OUTBOX;
}

/** The message with its links and its own copy of the patterns' texts, in one block. */
static struct publication *publication_new(const struct targets *t, struct pubsub_message *m) {
    const struct pubsub *ps = t->shard->pubsub;
    size_t texts = 0;
    for (uint32_t i = 0; i < ps->matched_count; i++) texts += ps->matched[i]->length;
    struct publication *p =
        mem_alloc(sizeof *p + t->count * sizeof p->links[0] +
                  ps->matched_count * sizeof(struct publication_pattern) + texts);
    struct slice head = frame_head(m->kind);
    const char *channel = m->frame->bytes + head.n + 1 + num_i64_width((int64_t)m->channel.n) + 2;
    *p = (struct publication){.frame = m->frame,
                              .tail_at = (uint32_t)head.n,
                              .kind = m->kind,
                              .channel = slice_of(channel, m->channel.n),
                              .hash = m->hash,
                              .pattern_count = ps->matched_count,
                              .patterns = (struct publication_pattern *)&p->links[t->count]};
    m->frame = NULL;
    atomic_init(&p->users, t->count);
    char *text = (char *)&p->patterns[ps->matched_count];
    for (uint32_t i = 0; i < ps->matched_count; i++) {
        const struct pubsub_pattern *pattern = ps->matched[i];
        p->patterns[i] = (struct publication_pattern){pattern->hash, {text, pattern->length}};
        text = put(text, pattern->text, pattern->length);
    }
    return p;
}

static void send_to_all(const struct targets *t, struct pubsub_message *m) {
    struct shard *s = t->shard;
    if (!m->frame) m->frame = pubsub_frame(m);
    struct publication *p = publication_new(t, m);
    for (uint32_t i = 0; i < t->count; i++) {
        uint64_t weight = weight_of(m, t->v[i].subscribers);
        p->links[i] = (struct publication_link){.publication = p, .weight = weight};
        atomic_fetch_add_explicit(&s->fleet->faces[t->v[i].shard].news_weight, weight,
                                  memory_order_relaxed);
    }
    // With the last link it may be gone already.
    for (uint32_t i = 0, n = t->count; i < n; i++)
        pubsub__push(s, t->v[i].shard, &p->links[i].news);
}

void pubsub__push_forced(struct shard *s, uint32_t to, struct pubsub_news *news, uint64_t weight) {
    uint64_t before =
        atomic_fetch_add_explicit(&s->fleet->faces[to].news_weight, weight, memory_order_relaxed);
    if (unlikely(before >= s->fleet->news_room)) wait_for(s, to);
    pubsub__push(s, to, news);
}

int64_t pubsub_publish(struct shard *s, struct shard *home, struct pubsub_message *m, bool force) {
    struct targets t;
    t.shard = s;
    t.count = 0;
    s->pubsub->matched_count = 0;
    struct pubsub_registry *registry = &home->pubsub->registry;
    const struct pubsub_listeners *l =
        pubsub_registry_listeners(registry, m->kind, m->channel, m->hash);
    if (l) add_targets(&t, l);
    if (m->kind == PUBSUB_CHANNEL)
        pubsub_patterns_match(&registry->patterns, m->channel, add_match, &t);
    uint32_t crowded = without_room(&t);
    if (unlikely(crowded != UINT32_MAX)) {
        if (!force) return PUBSUB_NO_ROOM;
        wait_for(s, crowded);
    }
    int64_t receivers = 0;
    for (uint32_t i = 0; i < t.count; i++) receivers += t.v[i].subscribers;
    if (t.count > 0) send_to_all(&t, m);
    if (m->frame) lazyfree_blob(m->frame);
    m->frame = NULL;
    return receivers;
}

// ---- pacing ------------------------------------------------------------------------------------
//
// A send costs many times what a message does. When many receivers have been sent to, the next
// messages wait for about as long as that took, so that one send takes several; a message that
// comes after a rest goes at once.

static void pace(struct connection *conn) {
    struct pubsub *ps = conn->shard->pubsub;
    if (conn->in_dirty || conn->in_paced) return;
    if (ps->paced_count == ps->paced_room) {
        ps->paced_room = ps->paced_room ? ps->paced_room * 2 : 64;
        ps->paced = mem_realloc(ps->paced, ps->paced_room * sizeof(struct connection *));
    }
    conn->in_paced = true;
    conn->shard->pubsub_busy |= PUBSUB_SENDING;
    ps->paced[ps->paced_count++] = conn;
}

int64_t pubsub_sleep_ns(const struct shard *s, int64_t sleep_ns) {
    const struct pubsub *ps = s->pubsub;
    // The next pass learns when they had been sent, or tells that they have.
    if (ps->sent_count > 0 || (s->pubsub_busy & PUBSUB_TOLD)) return 0;
    if (ps->waiting_first && sleep_ns > ROOM_WAIT_NS) sleep_ns = ROOM_WAIT_NS;
    if (ps->paced_count > 0 && sleep_ns > ps->next_send_ns - s->now_ns)
        sleep_ns = ps->next_send_ns - s->now_ns;
    return sleep_ns;
}

bool pubsub__send(struct shard *s) {
    struct pubsub *ps = s->pubsub;
    if (ps->sent_count > 0) {
        if (s->now_ns == ps->sent_ns) return false; // in this pass
        int64_t took_ns = s->now_ns - ps->sent_ns;
        ps->next_send_ns = s->now_ns + (took_ns < PACE_MAX_NS ? took_ns : PACE_MAX_NS);
        ps->sent_count = 0;
    }
    bool due = ps->paced_count > 0 && s->now_ns >= ps->next_send_ns;
    if (due) {
        for (uint32_t i = 0; i < ps->paced_count; i++) {
            ps->paced[i]->in_paced = false;
            connection_mark(ps->paced[i]);
        }
        if (ps->paced_count >= s->fleet->paced_from) ps->sent_count = ps->paced_count;
        ps->sent_ns = s->now_ns;
        ps->paced_count = 0;
    }
    if ((ps->paced_count | ps->sent_count) == 0) s->pubsub_busy &= ~(uint32_t)PUBSUB_SENDING;
    return due;
}

// ---- delivering --------------------------------------------------------------------------------

/** Inside EXEC, and in the middle of a SUBSCRIBE, messages have to wait. */
static bool must_hold(const struct connection *conn) {
    return conn->pubsub->holding || (conn->in_multi && multi_is_running(conn->multi));
}

/** Where a message for the connection goes: to what is sent, or to what waits. */
static struct buf *output_of(struct connection *conn, struct pieces ***pieces) {
    *pieces = &conn->out_pieces;
    if (likely(!conn->has_held && !conn->in_multi)) return &conn->out;
    if (!conn->has_held && !must_hold(conn)) return &conn->out;
    conn->has_held = true;
    *pieces = &conn->pubsub->held_pieces;
    return &conn->pubsub->held;
}

/**
 * One message to one client: its type, a head of its own (may be empty) and bytes of the frame,
 * copied or not.
 */
static void deliver(struct connection *conn, struct slice head, struct blob *frame,
                    struct slice body) {
    if (unlikely(conn->closing)) return;
    struct pieces **pieces;
    struct buf *out = output_of(conn, &pieces);
    bool shared = body.n >= SHARE_MIN;
    size_t n = 1 + head.n + (shared ? 0 : body.n);
    if (unlikely(out->cap - out->len < n || shared)) {
        connection_check_output_limit(conn); // memory grows: not without limit
        if (conn->closing) return;
    }
    char *p = buf_reserve(out, n);
    *p++ = conn->proto == 3 ? '>' : '*';
    p = put(p, head.p, head.n);
    if (!shared) memcpy(p, body.p, body.n);
    out->len += n;
    if (unlikely(shared)) pieces_add(pieces, out->len, frame, body);
    if (out->len < COPIES_MAX && !shared)
        pace(conn);
    else
        connection_mark(conn);
}

static void deliver_to_all(const struct pubsub_topic *topic, struct slice head, struct blob *frame,
                           struct slice body) {
    for (uint32_t i = 0; i < topic->count; i++) {
        if (i + AHEAD < topic->count) prefetch_read(topic->seats[i + AHEAD].receiver);
        deliver(topic->seats[i].receiver, head, frame, body);
    }
}

// Where a publisher sends many to one channel, they stand in a row in the news: they are written
// together once for each protocol, and each receiver takes one copy.

/** Whether a message may be delivered together with others. */
static bool may_join(const struct pubsub_news *news) {
    if (news->kind != NEWS_MESSAGE) return false;
    const struct publication *p = ((const struct publication_link *)news)->publication;
    return p->pattern_count == 0 && p->frame->len < RUN_MESSAGE_MAX;
}

static bool is_same_channel(const struct pubsub_news *a, const struct pubsub_news *b) {
    const struct publication *p = ((const struct publication_link *)a)->publication,
                             *q = ((const struct publication_link *)b)->publication;
    return p->kind == q->kind && p->hash == q->hash && slice_equal(p->channel, q->channel);
}

static void deliver_run(struct connection *conn, const struct buf runs[2]) {
    const struct buf *run = &runs[conn->proto == 3];
    struct pieces **pieces;
    if (unlikely(conn->closing)) return;
    struct buf *out = output_of(conn, &pieces);
    if (unlikely(out->cap - out->len < run->len)) {
        connection_check_output_limit(conn); // memory grows: not without limit
        if (conn->closing) return;
    }
    buf_append(out, run->p, run->len);
    if (out->len < COPIES_MAX)
        pace(conn);
    else
        connection_mark(conn);
}

/**
 * Delivers the first of the news together with those behind it that are for the same channel, if
 * that is worth while; *news is then what follows. Returns their weight; 0: it is not.
 */
static uint64_t take_run(struct shard *s, struct pubsub_news **news) {
    struct pubsub *ps = s->pubsub;
    struct pubsub_news *at = *news, *next;
    if (!at->next || !may_join(at) || !may_join(at->next) || !is_same_channel(at, at->next))
        return 0;
    const struct publication *first = ((struct publication_link *)at)->publication;
    const struct pubsub_topic *topic =
        pubsub_table_topic(&ps->table, first->kind, first->channel, first->hash);
    if (!topic || topic->count < RUN_RECEIVERS_MIN) return 0;
    uint64_t weight = 0;
    ps->runs[0].len = ps->runs[1].len = 0;
    for (bool more = true; more; at = next) {
        struct publication_link *link = (struct publication_link *)at;
        struct publication *p = link->publication;
        next = at->next;
        more = next && ps->runs[0].len < RUN_MAX && may_join(next) && is_same_channel(at, next);
        for (int i = 0; i < 2; i++) {
            buf_append_char(&ps->runs[i], i == 0 ? '*' : '>');
            buf_append(&ps->runs[i], p->frame->bytes, p->frame->len);
        }
        weight += link->weight;
        publication_drop(p);
    }
    *news = next;
    for (uint32_t i = 0; i < topic->count; i++) {
        if (i + AHEAD < topic->count) prefetch_read(topic->seats[i + AHEAD].receiver);
        deliver_run(topic->seats[i].receiver, ps->runs);
    }
    return weight;
}

/** What stands in front of the tail in a pattern's message. */
static struct slice pattern_head(struct buf *out, struct slice pattern) {
    static const char start[] = "4\r\n$8\r\npmessage\r\n";
    out->len = 0;
    char *p = buf_reserve(out, sizeof start + pattern.n + BULK_EXTRA);
    p = put(p, start, sizeof start - 1);
    p = put_bulk(p, pattern);
    return slice_of(out->p, (size_t)(p - out->p));
}

static void deliver_publication(struct shard *s, struct publication *p) {
    struct pubsub *ps = s->pubsub;
    struct slice body = slice_of(p->frame->bytes, p->frame->len);
    const struct pubsub_topic *topic = pubsub_table_topic(&ps->table, p->kind, p->channel, p->hash);
    if (topic) deliver_to_all(topic, slice_of("", 0), p->frame, body);
    struct slice tail = slice_of(body.p + p->tail_at, body.n - p->tail_at);
    for (uint32_t i = 0; i < p->pattern_count; i++) {
        const struct publication_pattern *of = &p->patterns[i];
        topic = pubsub_table_topic(&ps->table, PUBSUB_PATTERN, of->text, of->hash);
        if (topic && topic->count > 0)
            deliver_to_all(topic, pattern_head(&ps->head, of->text), p->frame, tail);
    }
    publication_drop(p);
}

/** Takes all news, the oldest first. */
static struct pubsub_news *take_news(struct shard *s) {
    struct pubsub_news *newest =
        atomic_exchange_explicit(&s->fleet->faces[s->id].news, NULL, memory_order_acquire);
    struct pubsub_news *oldest = NULL;
    while (newest) {
        struct pubsub_news *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

/** Does what a piece of news is for. Returns its weight. */
static uint64_t take(struct shard *s, struct pubsub_news *news) {
    struct publication_link *link = (struct publication_link *)news;
    uint64_t weight;
    switch (news->kind) {
    case NEWS_MESSAGE:
        weight = link->weight;
        deliver_publication(s, link->publication);
        return weight;
    case NEWS_LEG: pubsub__leg_back(s, news); return 0;
    case NEWS_LINE: return monitor_deliver(s, news);
    case NEWS_TRACKING: return tracking_deliver(s, news);
    case NEWS_TOLD: tracking_told(news); return 0;
    }
    return 0;
}

void pubsub__tend(struct shard *s) {
    struct pubsub_news *news;
    if (s->pubsub_busy & PUBSUB_CHANGED) tracking_flush(s);
    s->pubsub_busy &= ~(uint32_t)PUBSUB_OWN_NEWS;
    while ((news = take_news(s)) != NULL) {
        uint64_t weight = 0;
        while (news) {
            uint64_t run = take_run(s, &news);
            if (run > 0) {
                weight += run;
                continue;
            }
            struct pubsub_news *next = news->next;
            weight += take(s, news);
            news = next;
        }
        if (weight > 0)
            atomic_fetch_sub_explicit(&s->fleet->faces[s->id].news_weight, weight,
                                      memory_order_relaxed);
        if (weight > s->fleet->news_room) break; // sockets want their turn
    }
    if (s->pubsub->waiting_first) pubsub__retry(s);
}

// ---- clients -----------------------------------------------------------------------------------

bool pubsub_is_subscribed(const struct connection *conn) {
    if (likely(!conn->pubsub)) return false;
    const uint32_t *counts = conn->pubsub->subscriber.counts;
    return (counts[PUBSUB_CHANNEL] | counts[PUBSUB_PATTERN] | counts[PUBSUB_SHARD_CHANNEL]) != 0;
}

bool pubsub_is_allowed(const struct connection *conn, const struct acl_user *user) {
    for (int kind = 0; conn->pubsub && kind < PUBSUB_KINDS; kind++) {
        const struct pubsub_subscription *s = conn->pubsub->subscriber.first[kind];
        for (; s; s = s->next)
            if (!s->leaving &&
                !acl_user_allows_channel(user, pubsub_topic_text(s->topic), kind == PUBSUB_PATTERN))
                return false;
    }
    return true;
}

void pubsub_update_mode(struct connection *conn) {
    conn->cmd_flags &= (uint8_t)~CMD_CTX_SUBSCRIBED;
    if (conn->proto == 2 && pubsub_is_subscribed(conn)) conn->cmd_flags |= CMD_CTX_SUBSCRIBED;
}

void pubsub_finish_pass(struct connection *conn) {
    struct pubsub_client *client = conn->pubsub;
    if (must_hold(conn)) return;
    pieces_append(&conn->out_pieces, conn->out.len, &client->held_pieces);
    buf_append(&conn->out, client->held.p, client->held.len);
    buf_free(&client->held);
    conn->has_held = false;
}
