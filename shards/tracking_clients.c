// SPDX-License-Identifier: BSD-3-Clause
//
// The told half of tracking: clients that are tracked, and what they are sent. Runs on the clients'
// shard, between commands. Invariants: `ends` holds exactly the connections that are tracked or
// that somebody redirects to, until they close; a topic has clients; the prefixes in the fleet's
// list are those of tracked clients. Called by session_tracking.c, connection.c and pubsub.c.
#include <stdio.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "shards/multi.h"
#include "shards/request.h"
#include "shards/tracking_parts.h"

static struct slice text_of(const void *element) {
    const struct connection *conn = element;
    return slice_of((const char *)&conn->id, sizeof conn->id);
}

void tracking_init(struct shard *s) {
    s->tracking = mem_calloc(sizeof *s->tracking);
    hashtable_init(&s->tracking->ends, text_of);
}

void tracking_fini(struct shard *s) {
    struct tracking *t = s->tracking;
    ASSERT(t->ends.count == 0 && t->topic_count == 0 && t->told_count == 0);
    ASSERT(!t->scope && !t->left && t->change_count == 0);
    hashtable_fini(&t->ends, NULL);
    tracking_prefixes_drop(t->prefixes);
    mem_free(t->topics);
    mem_free(t->changes);
    mem_free(t->told);
    buf_free(&t->frame);
    mem_free(t);
}

static struct connection *find(const struct shard *s, uint64_t client) {
    return hashtable_find(&s->tracking->ends, slice_of((const char *)&client, sizeof client));
}

static void add_end(struct connection *conn) {
    if (conn->is_tracking_end) return;
    conn->is_tracking_end = true;
    hashtable_add(&conn->shard->tracking->ends, conn);
}

bool tracking_accept_redirect(struct shard *s, uint64_t client) {
    struct connection *conn = find(s, client);
    if (conn) return !conn->closing;
    for (conn = s->connections.first; conn && conn->id != client; conn = conn->next)
        ;
    if (!conn || conn->closing) return false;
    add_end(conn);
    return true;
}

// ---- topics ------------------------------------------------------------------------------------

static struct tracking_topic *find_topic(const struct tracking *t, struct slice prefix) {
    for (uint32_t i = 0; i < t->topic_count; i++)
        if (slice_equal(t->topics[i].prefix, prefix)) return &t->topics[i];
    return NULL;
}

static struct slice copy_of(struct slice text) {
    char *copy = mem_alloc(text.n + 1);
    if (text.n > 0) memcpy(copy, text.p, text.n);
    return slice_of(copy, text.n);
}

static void join_topic(struct connection *conn, struct slice prefix) {
    struct shard *s = conn->shard;
    struct tracking *t = s->tracking;
    struct tracking_topic *topic = find_topic(t, prefix);
    if (!topic) {
        if (t->topic_count == t->topic_room) {
            t->topic_room = t->topic_room ? t->topic_room * 2 : 4;
            t->topics = mem_realloc(t->topics, t->topic_room * sizeof *t->topics);
        }
        topic = &t->topics[t->topic_count++];
        *topic = (struct tracking_topic){.prefix = copy_of(prefix)};
    }
    if (topic->count == topic->room) {
        topic->room = topic->room ? topic->room * 2 : 2;
        topic->clients = mem_realloc(topic->clients, topic->room * sizeof(struct connection *));
    }
    topic->clients[topic->count++] = conn;
    tracking_prefixes_change(s->fleet, s->id, prefix, 1);
}

static void leave_topic(struct connection *conn, struct slice prefix) {
    struct shard *s = conn->shard;
    struct tracking *t = s->tracking;
    struct tracking_topic *topic = find_topic(t, prefix);
    uint32_t i = 0;
    while (topic->clients[i] != conn) i++;
    topic->clients[i] = topic->clients[--topic->count];
    if (topic->count == 0) {
        mem_free((char *)topic->prefix.p);
        mem_free(topic->clients);
        *topic = t->topics[--t->topic_count];
    }
    tracking_prefixes_change(s->fleet, s->id, prefix, -1);
}

static bool has_prefix(const struct tracking_client *client, struct slice prefix) {
    for (uint32_t i = 0; i < client->prefix_count; i++)
        if (slice_equal(client->prefixes[i], prefix)) return true;
    return false;
}

static void add_prefix(struct connection *conn, struct slice prefix) {
    struct tracking_client *client = conn->tracking;
    if (has_prefix(client, prefix)) return;
    client->prefixes =
        mem_realloc(client->prefixes, (client->prefix_count + 1) * sizeof client->prefixes[0]);
    // In their order, as CLIENT TRACKINGINFO shows them.
    uint32_t at = client->prefix_count++;
    for (; at > 0 && slice_compare(prefix, client->prefixes[at - 1]) < 0; at--)
        client->prefixes[at] = client->prefixes[at - 1];
    client->prefixes[at] = copy_of(prefix);
    join_topic(conn, prefix);
}

// ---- clients -----------------------------------------------------------------------------------

/** Sets whether the client's next reads are remembered. */
static void update_flag(struct connection *conn) {
    const struct tracking_client *client = conn->tracking;
    bool said = client->caching != CACHING_NONE;
    bool reads = (client->mode & (TRACKING_ON | TRACKING_BCAST)) == TRACKING_ON &&
                 !((client->mode & TRACKING_OPTIN) && !said) &&
                 !((client->mode & TRACKING_OPTOUT) && said);
    conn->cmd_flags &= (uint8_t)~CMD_CTX_TRACKED;
    if (reads) conn->cmd_flags |= CMD_CTX_TRACKED;
}

void tracking_enable(struct connection *conn, const struct tracking_options *options,
                     uint32_t redirect_shard) {
    if (!conn->tracking) conn->tracking = mem_calloc(sizeof *conn->tracking);
    struct tracking_client *client = conn->tracking;
    if (!(client->mode & TRACKING_ON))
        atomic_fetch_add_explicit(&conn->shard->face->trackers, 1, memory_order_relaxed);
    client->mode = options->mode | TRACKING_ON;
    client->redirect = options->redirect;
    client->redirect_shard = redirect_shard;
    add_end(conn);
    if (options->mode & TRACKING_BCAST) {
        const struct slice all = {0};
        if (options->prefix_count == 0) add_prefix(conn, all);
        for (uint32_t i = 0; i < options->prefix_count; i++) add_prefix(conn, options->prefixes[i]);
    }
    update_flag(conn);
}

void tracking_disable(struct connection *conn) {
    struct tracking_client *client = conn->tracking;
    if (!tracking_is_on(conn)) return;
    for (uint32_t i = 0; i < client->prefix_count; i++) {
        leave_topic(conn, client->prefixes[i]);
        mem_free((char *)client->prefixes[i].p);
    }
    mem_free(client->prefixes);
    *client = (struct tracking_client){.mode = 0};
    update_flag(conn);
    atomic_fetch_sub_explicit(&conn->shard->face->trackers, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&conn->shard->fleet->tracking_clients, 1, memory_order_relaxed);
}

void tracking_leave(struct connection *conn) {
    tracking_disable(conn);
    mem_free(conn->tracking);
    conn->tracking = NULL;
    if (!conn->is_tracking_end) return;
    conn->is_tracking_end = false;
    hashtable_remove(&conn->shard->tracking->ends, text_of(conn));
}

void tracking_set_caching(struct connection *conn, enum tracking_caching caching) {
    conn->tracking->caching = caching;
    update_flag(conn);
}

void tracking_step(struct connection *conn, const struct command *spec) {
    enum tracking_caching caching = conn->tracking->caching;
    if (caching == CACHING_NONE || conn->in_multi) return;
    if (caching == CACHING_USED)
        tracking_set_caching(conn, CACHING_NONE);
    else if (strncmp(spec->full_name, "client|", 7) != 0)
        tracking_set_caching(conn, CACHING_USED);
}

// ---- what they are sent ------------------------------------------------------------------------

/** Appends a push where it comes behind all that the client is owed. */
static void push(struct connection *conn, struct slice head, struct slice body) {
    bool in_exec = conn->in_multi && multi_is_running(conn->multi);
    if (conn->owed > 0) {
        request_pushed(conn, head, body);
    } else {
        struct buf *out = in_exec || conn->has_held ? pubsub_hold(conn) : &conn->out;
        if (out->cap - out->len < head.n + body.n) connection_check_output_limit(conn);
        if (conn->closing) return;
        buf_append(out, head.p, head.n);
        buf_append(out, body.p, body.n);
    }
    connection_mark(conn);
}

/** Tells one connection of what is in the frame; a NULL frame: of all there is. */
static void tell(struct connection *conn, struct slice frame, bool redirected) {
    if (conn->proto == 3) {
        if (!frame.p) frame = SLICE_LITERAL("_\r\n");
        push(conn, SLICE_LITERAL(">2\r\n$10\r\ninvalidate\r\n"), frame);
    } else if (redirected && pubsub_is_subscribed(conn)) {
        if (!frame.p) frame = SLICE_LITERAL("$-1\r\n");
        push(conn, SLICE_LITERAL("*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n"), frame);
    } // else there is no way: RESP2 has no messages
}

/** Whom the client redirects to is not there. */
static void tell_broken(struct connection *conn) {
    char text[64];
    conn->tracking->mode |= TRACKING_BROKEN;
    if (conn->proto < 3) return;
    int n = snprintf(text, sizeof text, ":%llu\r\n", (unsigned long long)conn->tracking->redirect);
    push(conn, SLICE_LITERAL(">2\r\n$21\r\ntracking-redir-broken\r\n"), slice_of(text, (size_t)n));
}

/** Tells the client, or whom it redirects to. */
static void invalidate(struct connection *conn, struct slice frame, struct tracking_hold *hold) {
    struct shard *s = conn->shard;
    const struct tracking_client *client = conn->tracking;
    if (conn->closing) return;
    if (client->redirect == 0) {
        tell(conn, frame, false);
        return;
    }
    if (client->redirect_shard == s->id) {
        struct connection *to = find(s, client->redirect);
        if (to && !to->closing)
            tell(to, frame, true);
        else
            tell_broken(conn);
        return;
    }
    const struct slice nothing = {0};
    struct tracking_news *n = tracking__news_new(TELL_REDIRECT, 1, nothing, frame, nothing);
    n->clients[0] = client->redirect;
    n->from = conn->id;
    n->from_shard = s->id;
    tracking__push(s, client->redirect_shard, n, hold);
}

static bool is_told(const struct connection *conn, uint64_t actor) {
    return conn && tracking_is_on(conn) &&
           !(conn->id == actor && (conn->tracking->mode & TRACKING_NOLOOP));
}

static void tell_keys(struct shard *s, const struct tracking_news *n) {
    for (uint32_t i = 0; i < n->count; i++) {
        struct connection *conn = find(s, n->clients[i]);
        // A client that has since begun to broadcast is told as such.
        if (!is_told(conn, n->actor) || (conn->tracking->mode & TRACKING_BCAST)) continue;
        invalidate(conn, tracking__news_frame(n), n->hold);
    }
}

static void tell_all(struct shard *s, const struct tracking_news *n) {
    const struct slice all = {0};
    struct hashtable_iterator it;
    hashtable_iterate(&it, &s->tracking->ends);
    for (struct connection *conn; (conn = hashtable_next(&it)) != NULL;)
        if (tracking_is_on(conn)) invalidate(conn, all, n->hold);
}

static void tell_prefix(struct shard *s, const struct tracking_news *n) {
    const struct tracking_topic *topic = find_topic(s->tracking, tracking__news_prefix(n));
    if (!topic) return; // they have left
    for (uint32_t i = 0; i < topic->count; i++) {
        struct connection *conn = topic->clients[i];
        struct slice quiet = tracking__news_quiet(n);
        if (is_told(conn, n->actor))
            invalidate(conn, tracking__news_frame(n), n->hold);
        else if (quiet.n > 0)
            invalidate(conn, quiet, n->hold);
    }
}

static void tell_redirect(struct shard *s, const struct tracking_news *n) {
    struct connection *conn = find(s, n->clients[0]);
    struct slice frame = tracking__news_frame(n);
    if (frame.n == 0) frame.p = NULL;
    if (conn && !conn->closing) {
        tell(conn, frame, true);
        return;
    }
    const struct slice nothing = {0};
    struct tracking_news *broken = tracking__news_new(TELL_BROKEN, 1, nothing, nothing, nothing);
    broken->clients[0] = n->from;
    tracking__push(s, n->from_shard, broken, n->hold);
}

/** The word has been delivered: its writer is answered when it has been sent. */
static void note_told(struct shard *s, struct tracking_hold *hold) {
    struct tracking *t = s->tracking;
    if (t->told_count == t->told_room) {
        t->told_room = t->told_room ? t->told_room * 2 : 16;
        t->told = mem_realloc(t->told, t->told_room * sizeof(struct tracking_hold *));
    }
    t->told[t->told_count++] = hold;
    s->pubsub_busy |= PUBSUB_TOLD;
}

uint64_t tracking_deliver(struct shard *s, struct pubsub_news *news) {
    struct tracking_news *n = (struct tracking_news *)news;
    struct connection *conn;
    switch (n->what) {
    case TELL_KEYS: tell_keys(s, n); break;
    case TELL_ALL: tell_all(s, n); break;
    case TELL_PREFIX: tell_prefix(s, n); break;
    case TELL_REDIRECT: tell_redirect(s, n); break;
    case TELL_BROKEN:
        conn = find(s, n->clients[0]);
        if (conn && tracking_is_on(conn)) tell_broken(conn);
        break;
    }
    if (n->hold) note_told(s, n->hold);
    uint64_t weight = n->weight;
    mem_free(n);
    return weight;
}

void tracking_forget(struct connection *conn, const struct command *spec, int argc,
                     const struct slice *argv) {
    if (!tracking_is_on(conn)) return;
    struct buf frame = {0};
    struct reply r;
    struct key_list keys;
    reply_init(&r, &frame, conn->proto);
    key_list_init(&keys, spec, argc, argv);
    reply_array(&r, (size_t)keys.count);
    for (int i = 0; i < keys.count; i++) reply_bulk_slice(&r, argv[keys.at[i].arg]);
    if (keys.count > 0) invalidate(conn, slice_of(frame.p, frame.len), NULL);
    key_list_fini(&keys);
    buf_free(&frame);
}
