// SPDX-License-Identifier: BSD-3-Clause
//
// Connections: bytes in, replies out, and the reasons to pause in between. Runs on the
// connection's shard only. Invariant: commands are executed only while `stalls` is 0; replies
// leave in the order of their commands; while anything is owed, nothing is appended to `out` but
// through request_collect(). Called by shard.c with events, by dispatch.c for replies, by the
// work that a connection waits for.
#include "shards/connection.h"

#include <string.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/log.h"
#include "net/io_tls.h"
#include "net/listener.h"
#include "shards/batch.h"
#include "shards/input.h"
#include "shards/lazyfree.h"
#include "shards/monitor.h"
#include "shards/multi.h"
#include "shards/pubsub.h"
#include "shards/request.h"
#include "shards/tracking.h"
#include "shards/visit.h"

struct connection *connection_new(struct shard *s, const struct accepted *accepted) {
    struct connection *conn = mem_alloc(sizeof *conn);
    memset(conn, 0, sizeof *conn);
    conn->magic = CONNECTION_MAGIC;
    conn->shard = s;
    conn->id = accepted->id;
    conn->proto = 2;
    conn->is_unix = accepted->from == ACCEPT_UNIX;
    conn->cmd_flags = accepted->from == ACCEPT_NODE ? CMD_CTX_NODE : 0;
    if (s->config->admin_port > 0 && accepted->from != ACCEPT_ADMIN)
        conn->cmd_flags |= CMD_CTX_DATA;
    accounts_enter(conn);
    conn->created_ms = conn->active_ms = s->now_ms;
    resp_parser_init(&conn->parser);
    conn->previous = s->connections.last;
    if (s->connections.last)
        s->connections.last->next = conn;
    else
        s->connections.first = conn;
    s->connections.last = conn;
    s->connection_count++;
    s->stats.connections_received++;
    if (accepted->session)
        io_tls_attach(s->io, &conn->io, accepted->fd, accepted->session);
    else if (accepted->in_kernel)
        io_tls_attach_kernel(s->io, &conn->io, accepted->fd);
    else
        io_attach(s->io, &conn->io, accepted->fd);
    return conn;
}

/** Forgets replies that were not sent, from a place in `out` on. */
static void discard_output(struct connection *conn, size_t from) {
    conn->out.len = from;
    pieces_cut(&conn->out_pieces, from, lazyfree_blob);
}

/** The kernel needs what was being sent no more. */
static void end_send(struct connection *conn) {
    conn->send_busy = false;
    conn->sending.len = 0;
    buf_shrink_if_empty(&conn->sending, CONNECTION_BUFFER_KEEP);
    if (likely(conn->vector == NULL)) return;
    mem_free(conn->vector);
    conn->vector = NULL;
    pieces_cut(&conn->sending_pieces, 0, lazyfree_blob);
}

static void connection_free(struct connection *conn) {
    struct shard *s = conn->shard;
    ASSERT(conn->closed && conn->references == 0 && conn->owed == 0 && !conn->in_resumable);
    ASSERT(!conn->pubsub && !conn->tracking && !conn->is_tracking_end && conn->holds == 0);
    if (conn->previous)
        conn->previous->next = conn->next;
    else
        s->connections.first = conn->next;
    if (conn->next)
        conn->next->previous = conn->previous;
    else
        s->connections.last = conn->previous;
    s->connection_count--;
    atomic_fetch_sub_explicit(&s->fleet->faces[s->id].connections, 1, memory_order_relaxed);
    accounts_leave(conn);
    multi_free(conn->multi);
    input_free(conn);
    discard_output(conn, 0);
    end_send(conn);
    buf_free(&conn->out);
    buf_free(&conn->sending);
    resp_parser_fini(&conn->parser);
    if (conn->texts)
        for (int i = 0; i < CLIENT_TEXTS; i++) mem_free(conn->texts[i]);
    mem_free(conn->texts);
    conn->magic = 0;
    mem_free(conn);
}

void connection_hold(struct connection *conn) { conn->references++; }

void connection_drop(struct connection *conn) {
    ASSERT(conn->references > 0);
    conn->references--;
    connection_mark(conn);
}

// ---- stalls ------------------------------------------------------------------------------------

void connection_stall(struct connection *conn, uint32_t stalls) {
    conn->stalls |= (uint16_t)stalls;
}

void connection_unstall(struct connection *conn, uint32_t stalls) {
    if (!(conn->stalls & stalls)) return;
    conn->stalls &= (uint16_t)~stalls;
    if (conn->stalls || conn->in_resumable) return;
    conn->in_resumable = true;
    conn->resume_next = conn->shard->resumable;
    conn->shard->resumable = conn;
}

/** Keeps receiving in step with how much is waiting to be executed. */
static void adjust_receiving(struct connection *conn) {
    if (conn->io_closing || conn->read_ended) return;
    size_t waiting = input_waiting(conn);
    if (!conn->recv_paused && conn->stalls && waiting >= CONNECTION_INPUT_HIGH) {
        conn->recv_paused = true;
        io_recv_pause(conn->shard->io, &conn->io);
    } else if (conn->recv_paused && (!conn->stalls || waiting < CONNECTION_INPUT_HIGH / 2)) {
        conn->recv_paused = false;
        io_recv_resume(conn->shard->io, &conn->io);
    }
}

/** Executes what the own buffer holds, and moves its beginning on. */
static void run_buffered(struct connection *conn) {
    size_t waiting = input_waiting(conn);
    if (waiting > 0) conn->in_start += batch_bytes(conn, conn->in.p + conn->in_start, waiting);
    input_tidy(conn);
    adjust_receiving(conn);
}

void connection_resume(struct connection *conn) {
    ASSERT_CONNECTION(conn);
    if (conn->closing || conn->stalls) return;
    run_buffered(conn);
    connection_mark(conn);
}

bool connection_receive_begin(struct connection *conn) {
    ASSERT_CONNECTION(conn);
    conn->active_ms = conn->shard->now_ms;
    conn->shard->stats.reads++;
    connection_mark(conn);
    return !conn->closing && !conn->stalls && conn->in.len == conn->in_start;
}

void connection_receive_end(struct connection *conn, char *rest, size_t length) {
    if (conn->closing || length == 0) return;
    bool buffered = input_waiting(conn) > 0;
    if (unlikely(conn->in_blob != NULL) && !conn->stalls) {
        // What follows the long command is none of its blob's business.
        size_t share = input_share(conn, length);
        input_append(conn, rest, share);
        run_buffered(conn);
        rest += share;
        length -= share;
        buffered = input_waiting(conn) > 0;
        if (!buffered && length > 0 && !conn->closing) {
            size_t used = batch_bytes(conn, rest, length);
            rest += used;
            length -= used;
        }
        if (conn->closing || length == 0) return;
    }
    input_append(conn, rest, length);
    if (buffered && !conn->stalls)
        run_buffered(conn);
    else
        adjust_receiving(conn);
    if ((int64_t)(input_waiting(conn)) > conn->shard->config->client_query_buffer_limit) {
        log_line(LOG_WARN, "Closing client id=%llu: its query buffer is over the limit",
                 (unsigned long long)conn->id);
        connection_close(conn);
    }
}

void connection_event(struct connection *conn, const struct io_event *event) {
    ASSERT_CONNECTION(conn);
    switch (event->kind) {
    case IO_EOF: conn->read_ended = true; break;
    case IO_ERROR:
        conn->read_ended = true;
        connection_close(conn);
        break;
    case IO_SENT:
        end_send(conn);
        if (event->result < 0) connection_close(conn);
        break;
    case IO_CLOSED:
        conn->closed = true;
        conn->send_busy = false;
        break;
    case IO_RECV: // see batch.c
    case IO_ACCEPT:
    case IO_WAKE: ASSERT(false);
    }
    connection_mark(conn);
}

// ---- replies -----------------------------------------------------------------------------------

void connection__reply_aside(struct connection *conn, struct reply *r) {
    conn->shard->scratch.len = 0;
    reply_init(r, &conn->shard->scratch, conn->proto);
    r->pieces = &conn->shard->scratch_pieces;
}

void connection__reply_end(struct connection *conn, struct reply *r) {
    if (unlikely(r->errors)) statistics_error(&conn->shard->stats, r->error_code);
    // Where the reply went was decided at its beginning: a command may since have become a request.
    if (likely(r->out == &conn->out)) {
        if (unlikely(connection_is_silent(conn))) discard_output(conn, conn->reply_start);
    } else if (!connection_is_silent(conn)) {
        request_answered(conn, &conn->shard->scratch, &conn->shard->scratch_pieces);
    } else {
        pieces_cut(&conn->shard->scratch_pieces, 0, lazyfree_blob);
    }
}

void connection_work_begin(struct connection *conn, struct work *work) {
    ASSERT(conn->work == NULL && conn->owed == 0);
    work->connection = conn;
    conn->work = work;
    connection_hold(conn);
    connection_stall(conn, STALL_WORK);
}

void connection_work_leave(struct connection *conn) {
    ASSERT(conn->work != NULL);
    conn->work = NULL;
    connection_drop(conn);
}

void connection_work_done(struct connection *conn, const void *reply, size_t length) {
    ASSERT(conn->work != NULL && conn->owed == 0);
    conn->work = NULL;
    if (conn->in_multi && multi_is_running(conn->multi)) {
        multi_work_done(conn, reply, length);
    } else {
        if (!conn->closed && !connection_is_silent(conn)) buf_append(&conn->out, reply, length);
        connection_unstall(conn, STALL_WORK);
    }
    connection_drop(conn);
}

void connection_late_begin(const struct connection *conn, struct late_reply *late) {
    late->bytes = (struct buf){0};
    reply_init(&late->reply, &late->bytes, conn->proto);
}

void connection_late_end(struct connection *conn, struct late_reply *late) {
    if (late->reply.errors) statistics_error(&conn->shard->stats, late->reply.error_code);
    connection_work_done(conn, late->bytes.p, late->bytes.len);
    buf_free(&late->bytes);
}

void connection_check_output_limit(struct connection *conn) {
    const struct config_output_limit *limit =
        &conn->shard->config->output_limit[pubsub_is_subscribed(conn) ? CONFIG_CLIENT_PUBSUB
                                                                      : CONFIG_CLIENT_NORMAL];
    int64_t unsent = (int64_t)connection_owed_bytes(conn);
    if (unlikely(conn->has_held)) unsent += (int64_t)pubsub_held_bytes(conn);
    bool over = limit->hard_bytes && unsent > limit->hard_bytes;
    if (limit->soft_bytes && unsent > limit->soft_bytes) {
        // In seconds of the connection's life, counted from 1.
        int64_t now_s = (conn->shard->now_ms - conn->created_ms) / 1000 + 1;
        if (now_s < 1) now_s = 1; // the clock was set back
        if (conn->soft_limit_since == 0) conn->soft_limit_since = (uint32_t)now_s;
        over |= now_s - conn->soft_limit_since > limit->soft_seconds;
    } else {
        conn->soft_limit_since = 0;
    }
    if (!over) return;
    log_line(LOG_WARN, "Closing client id=%llu: %lld reply bytes are over its output limit",
             (unsigned long long)conn->id, (long long)unsent);
    conn->shard->stats.output_limit_closed++;
    connection_close(conn);
}

static void start_send(struct connection *conn) {
    if (conn->send_busy || conn->out.len == 0 || conn->io_closing) return;
    conn->shard->stats.writes++;
    struct buf filled = conn->out;
    conn->out = conn->sending;
    conn->sending = filled;
    struct iovec *v = &conn->piece;
    size_t count = 1;
    if (likely(conn->out_pieces == NULL)) {
        *v = (struct iovec){filled.p, filled.len};
    } else {
        conn->sending_pieces = conn->out_pieces;
        conn->out_pieces = NULL;
        v = conn->vector = pieces_vector(conn->sending_pieces, &filled, &count);
    }
    int rc = io_send(conn->shard->io, &conn->io, v, count);
    conn->send_busy = rc == 0;
    if (rc == 0) return;
    end_send(conn);
    filled = conn->sending; // one buffer will do while the socket takes all at once
    conn->sending = conn->out;
    conn->out = filled;
    if (unlikely(rc < 0)) connection_close(conn);
}

// ---- ending ------------------------------------------------------------------------------------

void connection_close_after_reply(struct connection *conn) {
    conn->closing = true;
    connection_mark(conn);
}

void connection_close(struct connection *conn) {
    conn->closing = true;
    discard_output(conn, 0);
    if (!conn->io_closing) {
        conn->io_closing = true;
        atomic_store_explicit(&conn->gone, true, memory_order_relaxed);
        conn->shard->progressed = true; // its held requests need not wait for a reader
        io_close(conn->shard->io, &conn->io);
    }
    connection_mark(conn);
}

/** What a closing connection still has to do before its socket can go, and what after. */
static void finish_closing(struct connection *conn) {
    visit_return(conn->shard);
    if (conn->work && conn->work->blocking) conn->work->end(conn->work, NULL);
    if (conn->watches) multi_unwatch(conn);
    if (conn->pubsub && !conn->work) pubsub_leave(conn);
    if (conn->is_monitor && !conn->work) monitor_leave(conn);
    if ((conn->tracking || conn->is_tracking_end) && !conn->work) tracking_leave(conn);
    if (!conn->io_closing && conn->owed == 0 && !conn->work && conn->out.len == 0 &&
        !conn->send_busy)
        connection_close(conn);
}

void connection_finish_pass(struct connection *conn) {
    ASSERT_CONNECTION(conn);
    conn->in_dirty = false;
    request_collect(conn);
    if (unlikely(conn->has_held)) pubsub_finish_pass(conn);
    if (conn->io_closing) discard_output(conn, 0);
    if (conn->out.len > 0 && likely(conn->holds == 0)) start_send(conn);
    if (connection_owed_bytes(conn) > 0 && !conn->io_closing) connection_check_output_limit(conn);
    request_relieve(conn);
    if (conn->owed == 0 && conn->holds == 0) connection_unstall(conn, STALL_DRAIN);
    if (connection_owed_bytes(conn) < CONNECTION_OUTPUT_HIGH / 2)
        connection_unstall(conn, STALL_OUTPUT);
    // As in Redis, what a client has left behind in CLIENT PAUSE is not run after it.
    if (conn->read_ended && !conn->in_resumable &&
        ((conn->stalls & ~(uint32_t)STALL_PAUSE) == 0 || (conn->work && conn->work->blocking)))
        conn->closing = true;
    if (conn->closing) finish_closing(conn);
    if (conn->closed && conn->references == 0 && !conn->in_resumable && !conn->in_dirty &&
        !conn->in_paced)
        connection_free(conn);
}

// ---- description -------------------------------------------------------------------------------

static void describe_flags(const struct connection *conn, char flags[16]) {
    int n = 0;
    if (pubsub_is_subscribed(conn)) flags[n++] = 'P';
    if (conn->is_monitor) flags[n++] = 'O';
    if (conn->in_multi) flags[n++] = 'x';
    if (conn->work && conn->work->blocking) flags[n++] = 'b';
    if (tracking_is_on(conn)) {
        flags[n++] = 't';
        if (conn->tracking->mode & TRACKING_BROKEN) flags[n++] = 'R';
        if (conn->tracking->mode & TRACKING_BCAST) flags[n++] = 'B';
    }
    if (conn->closing) flags[n++] = 'c';
    if (conn->is_unix) flags[n++] = 'U';
    if (conn->no_evict) flags[n++] = 'e';
    if (conn->cmd_flags & CMD_CTX_NO_TOUCH) flags[n++] = 'T';
    if (n == 0) flags[n++] = 'N';
    flags[n] = '\0';
}

void connection_set_text(struct connection *conn, enum client_text which, struct slice value) {
    if (!conn->texts) {
        if (value.n == 0) return;
        conn->texts = mem_calloc(CLIENT_TEXTS * sizeof *conn->texts);
    }
    char **text = &conn->texts[which];
    mem_free(*text);
    *text = NULL;
    if (value.n == 0) return;
    *text = mem_alloc(value.n + 1);
    memcpy(*text, value.p, value.n);
    (*text)[value.n] = '\0';
}

static const char *text_or_nothing(const struct connection *conn, enum client_text which) {
    const char *text = connection_text(conn, which);
    return text ? text : "";
}

void connection_describe(const struct connection *conn, struct buf *out) {
    char peer[160], own[160], flags[16];
    if (conn->io_closing || listener_peer_text(conn->io.fd, peer, sizeof peer) == 0)
        memcpy(peer, "?:0", 4);
    if (conn->io_closing || listener_own_text(conn->io.fd, own, sizeof own) == 0)
        memcpy(own, "?:0", 4);
    describe_flags(conn, flags);
    int64_t now_ms = conn->shard->now_ms;
    size_t waiting = input_waiting(conn);
    buf_printf(out, "id=%llu addr=%s laddr=%s fd=%d name=%s age=%lld idle=%lld flags=%s db=%u",
               (unsigned long long)conn->id, peer, own, conn->io.fd,
               text_or_nothing(conn, CLIENT_NAME), (long long)(now_ms - conn->created_ms) / 1000,
               (long long)(now_ms - conn->active_ms) / 1000, flags, conn->db);
    buf_printf(out, " sub=%u psub=%u ssub=%u", pubsub_count(conn, PUBSUB_CHANNEL),
               pubsub_count(conn, PUBSUB_PATTERN), pubsub_count(conn, PUBSUB_SHARD_CHANNEL));
    buf_printf(out, " multi=%d qbuf=%zu qbuf-free=%zu argv-mem=0 multi-mem=%zu",
               conn->in_multi ? multi_count(conn->multi) : -1, waiting, conn->in.cap - conn->in.len,
               multi_memory(conn->multi));
    buf_printf(out, " rbs=%zu rbp=%zu obl=%zu oll=%u omem=%zu tot-mem=%zu events=%s cmd=%s",
               conn->out.cap, conn->out.cap, conn->out.len, conn->send_busy ? 1u : 0u,
               conn->send_busy ? conn->sending.cap + pieces_bytes(conn->sending_pieces) : 0,
               sizeof *conn + conn->in.cap + conn->out.cap + conn->sending.cap,
               conn->send_busy ? "rw" : "r",
               conn->last_command ? command_by_id(conn->last_command - 1u)->full_name : "NULL");
    struct slice user = accounts_name(conn);
    buf_printf(out, " user=%.*s redir=%lld resp=%d lib-name=%s lib-ver=%s", (int)user.n, user.p,
               tracking_is_on(conn) ? (long long)conn->tracking->redirect : -1LL, conn->proto,
               text_or_nothing(conn, CLIENT_LIB_NAME), text_or_nothing(conn, CLIENT_LIB_VER));
    // A field of our own, so that what plain clients get is Redis's to the byte.
    if (!io_tls_is(&conn->io) || conn->io_closing) return;
    const char *protocol, *cipher;
    io_tls_describe(&conn->io, &protocol, &cipher);
    buf_printf(out, " tls=%s:%s tls-records=%s", protocol, cipher,
               io_tls_is_in_kernel(&conn->io) ? "kernel" : "process");
}
