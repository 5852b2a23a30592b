// SPDX-License-Identifier: BSD-3-Clause
//
// Lines for clients in MONITOR mode: made on the shard that runs the command, written into the
// clients' output on theirs, between commands. Invariants: a shard's face counts its monitors from
// before the reply to MONITOR until they have left; a secret is in no line. Called by dispatch.c,
// multi.c, session.c, connection.c and pubsub.c.
#include "shards/monitor.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "net/listener.h"
#include "shards/fanout.h"
#include "shards/multi.h"

struct monitor_line {
    struct pubsub_news news; // first member
    uint64_t weight;
    size_t length;
    char text[];
};

// ---- the mode ----------------------------------------------------------------------------------

static _Atomic uint32_t *count_of(struct shard *s) { return &s->face->monitors; }

static void raise_gate(struct shard *s, struct fanout_leg *leg) {
    (void)leg;
    s->gates |= GATE_MONITORED;
}

static void begin(struct fanout *f, struct reply *reply) {
    struct shard *s = f->home;
    struct monitors *m = &s->monitors;
    if (m->count == m->room) {
        m->room = m->room ? m->room * 2 : 4;
        m->v = mem_realloc(m->v, m->room * sizeof(struct connection *));
    }
    m->v[m->count++] = f->work.connection;
    reply_ok(reply);
}

void monitor_begin(struct session_call *call) {
    struct connection *conn = call->connection;
    if (conn->in_multi && multi_is_running(conn->multi)) {
        reply_error(call->reply, "ERR MONITOR isn't allowed for DENY BLOCKING client");
        return;
    }
    if (conn->is_monitor) {
        reply_ok(call->reply);
        return;
    }
    conn->is_monitor = true;
    atomic_fetch_add_explicit(count_of(conn->shard), 1, memory_order_relaxed);
    fanout_start(conn, NULL, raise_gate, begin);
}

void monitor_leave(struct connection *conn) {
    struct monitors *m = &conn->shard->monitors;
    conn->is_monitor = false;
    atomic_fetch_sub_explicit(count_of(conn->shard), 1, memory_order_relaxed);
    uint32_t i = 0;
    while (i < m->count && m->v[i] != conn) i++;
    ASSERT(i < m->count);
    m->v[i] = m->v[--m->count];
}

// ---- making lines ------------------------------------------------------------------------------

/** Whether the argument is a password. */
static bool is_secret(const struct command *spec, const struct slice *argv, int i) {
    const char *name = spec->name;
    if (strcmp(name, "auth") == 0) return i > 0;
    bool hello = strcmp(name, "hello") == 0;
    if (!hello && strcmp(name, "migrate") != 0) return false;
    bool of_one = i > 1 && (slice_is(argv[i - 1], "auth") || slice_is(argv[i - 1], "auth2"));
    bool of_two = i > 2 && slice_is(argv[i - 2], hello ? "auth" : "auth2");
    return of_one || of_two;
}

static void put_client(const struct shard *s, const struct connection *conn, struct buf *line) {
    char peer[160];
    if (conn->is_unix) {
        buf_printf(line, "unix:%s", s->config->unixsocket);
    } else if (!atomic_load_explicit(&conn->gone, memory_order_relaxed) &&
               listener_peer_text(conn->io.fd, peer, sizeof peer) > 0) {
        buf_append_text(line, peer);
    } else {
        buf_append_text(line, "?:0"); // it has left meanwhile
    }
}

static void put_line(const struct shard *s, const struct connection *conn, uint32_t db,
                     const struct command *spec, int argc, const struct slice *argv,
                     struct buf *line) {
    buf_printf(line, "+%lld.%06lld [%u ", (long long)(s->now_us / 1000000),
               (long long)(s->now_us % 1000000), db);
    put_client(s, conn, line);
    buf_append_char(line, ']');
    for (int i = 0; i < argc; i++) {
        buf_append_char(line, ' ');
        if (is_secret(spec, argv, i))
            buf_append_text(line, "\"(redacted)\"");
        else
            buf_append_quoted(line, argv[i]);
    }
    buf_append_text(line, "\r\n");
}

static void send_line(struct shard *s, uint32_t to, uint32_t receivers, const struct buf *text) {
    struct monitor_line *line = mem_alloc(sizeof *line + text->len);
    *line = (struct monitor_line){.news = {.kind = NEWS_LINE},
                                  .weight = pubsub__weight(receivers, text->len),
                                  .length = text->len};
    memcpy(line->text, text->p, text->len);
    pubsub__push_forced(s, to, &line->news, line->weight);
}

void monitor_feed(struct shard *s, const struct connection *conn, uint32_t db,
                  const struct command *spec, int argc, const struct slice *argv) {
    if (spec->flags & (COMMAND_SKIP_MONITOR | COMMAND_ADMIN) || (s->gates & GATE_LOADING)) return;
    struct buf text = {0};
    bool any = false;
    for (uint32_t to = 0; to < s->fleet->nshards; to++) {
        uint32_t receivers =
            atomic_load_explicit(&s->fleet->faces[to].monitors, memory_order_relaxed);
        if (receivers == 0) continue;
        if (!any) put_line(s, conn, db, spec, argc, argv, &text);
        any = true;
        send_line(s, to, receivers, &text);
    }
    if (!any) s->gates &= ~(uint32_t)GATE_MONITORED; // they have all left
    buf_free(&text);
}

// ---- delivering --------------------------------------------------------------------------------

uint64_t monitor_deliver(struct shard *s, struct pubsub_news *news) {
    struct monitor_line *line = (struct monitor_line *)news;
    for (uint32_t i = 0; i < s->monitors.count; i++) {
        struct connection *conn = s->monitors.v[i];
        if (conn->closing) continue;
        if (conn->out.cap - conn->out.len < line->length) connection_check_output_limit(conn);
        if (conn->closing) continue;
        buf_append(&conn->out, line->text, line->length);
        connection_mark(conn);
    }
    uint64_t weight = line->weight;
    mem_free(line);
    return weight;
}
