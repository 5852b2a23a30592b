// SPDX-License-Identifier: BSD-3-Clause
//
// The simulator's io: a third implementation of struct io_ops. Connections are byte queues in
// memory; bytes arrive in random pieces, sends are taken in random pieces and complete late, and
// what could be reported is reported when the random stream says so. Never polled by the core:
// world.c asks for the events of a pass with sim_io_gather(). Invariant: it keeps every promise of
// net/io.h and no more.
#include <errno.h>

#include "engine/base/alloc.h"
#include "tests/simulation/sim.h"

static struct link *link_of(struct io *io, const struct io_conn *conn) {
    struct world *w = ((struct sim_io *)io)->world;
    ASSERT(conn->fd >= SIM_FD_BASE && (uint32_t)(conn->fd - SIM_FD_BASE) < w->link_count);
    struct link *l = &w->links[conn->fd - SIM_FD_BASE];
    ASSERT(l->conn == conn && l->shard == ((struct sim_io *)io)->shard);
    return l;
}

static int sim_poll(struct io *io, struct io_event *events, int max, int64_t timeout_ns) {
    (void)io, (void)events, (void)max, (void)timeout_ns;
    ASSERT(false); // the core has no business polling
    return 0;
}

static int sim_listen(struct io *io, int fd, uint32_t tag) {
    (void)io, (void)fd, (void)tag;
    return -ENOTSUP;
}

static void sim_attach(struct io *io, struct io_conn *conn, int fd) {
    struct sim_io *sio = (struct sim_io *)io;
    struct link *l = &sio->world->links[fd - SIM_FD_BASE];
    ASSERT(l->used && l->accepted && !l->conn);
    conn->fd = fd;
    l->conn = conn;
    l->shard = sio->shard;
}

static void sim_recv_pause(struct io *io, struct io_conn *conn) {
    link_of(io, conn)->paused = true;
}
static void sim_recv_resume(struct io *io, struct io_conn *conn) {
    link_of(io, conn)->paused = false;
}

/** The client takes a piece of the send in progress. True: that was the last. */
static bool move_reply(struct world *w, struct link *l) {
    size_t left = l->send_v->iov_len, n = 1 + sim_below(w, w->piece_max * 4);
    if (n > left || sim_chance(w, 8)) n = left;
    const char *p = l->send_v->iov_base;
    l->send_v->iov_base = (char *)l->send_v->iov_base + n;
    l->send_v->iov_len -= n;
    if (l->send_v->iov_len == 0) {
        l->send_v++;
        l->send_count--;
    }
    if (l->client && !l->client_reset) client_receive(l->client, p, n);
    return l->send_count == 0;
}

static int sim_send(struct io *io, struct io_conn *conn, struct iovec *v, size_t count) {
    struct link *l = link_of(io, conn);
    struct world *w = ((struct sim_io *)io)->world;
    ASSERT(!l->closing && l->send_count == 0 && count > 0);
    for (size_t i = 0; i < count; i++) ASSERT(v[i].iov_len > 0);
    if (l->client_reset && sim_chance(w, 2)) return -EPIPE;
    l->send_v = v;
    l->send_count = count;
    if (sim_chance(w, 2)) return 0;
    while (!l->client_reset && !move_reply(w, l)) {
    }
    return l->send_count == 0;
}

static void sim_close(struct io *io, struct io_conn *conn) { link_of(io, conn)->closing = true; }

static void sim_wake(struct io *io, struct io *from) {
    struct sim_io *sio = (struct sim_io *)io;
    ASSERT(from != io);
    sio->wakes++;
    if ((sio->world->options.sabotage & SABOTAGE_LOST_WAKE) && sim_chance(sio->world, 2)) return;
    sio->woken = true;
}

static void sim_destroy(struct io *io) {
    struct sim_io *sio = (struct sim_io *)io;
    for (int i = 0; i < sio->buffer_cap; i++) buf_free(&sio->buffers[i]);
    mem_free(sio->buffers);
    mem_free(sio);
}

static const struct io_ops ops = {
    .name = "simulated",
    .poll = sim_poll,
    .listen = sim_listen,
    .attach = sim_attach,
    .recv_pause = sim_recv_pause,
    .recv_resume = sim_recv_resume,
    .send = sim_send,
    .close = sim_close,
    .wake = sim_wake,
    .destroy = sim_destroy,
};

struct sim_io *sim_io_new(struct world *w, uint32_t shard) {
    struct sim_io *sio = mem_calloc(sizeof *sio);
    sio->io.ops = &ops;
    sio->world = w;
    sio->shard = shard;
    return sio;
}

struct link *sim_link_open(struct world *w, struct client *c) {
    ASSERT(w->link_count < SIM_LINKS_MAX);
    struct link *l = &w->links[w->link_count++];
    *l = (struct link){.used = true, .client = c};
    l->shard = c->node ? c->shard : sim_below(w, w->nshards);
    return l;
}

static bool has_bytes(const struct link *l) { return l->to_server.len > 0 && !l->paused; }
static bool has_end(const struct link *l) {
    return !l->ended_told && (l->client_reset || (l->client_ended && l->to_server.len == 0));
}

static bool link_is_ready(const struct link *l) {
    if (!l->used) return false;
    if (!l->accepted) return true;
    if (!l->conn) return false;
    return l->closing || l->send_count > 0 || has_bytes(l) || has_end(l);
}

bool sim_io_is_ready(const struct world *w, uint32_t shard) {
    for (uint32_t i = 0; i < w->link_count; i++)
        if (w->links[i].shard == shard && link_is_ready(&w->links[i])) return true;
    return false;
}

/** A copy of the bytes in a buffer of their own, so that reading beyond or after is noticed. */
static char *event_data(struct sim_io *sio, const char *p, size_t n) {
    if (sio->buffer_count == sio->buffer_cap) {
        int cap = sio->buffer_cap ? sio->buffer_cap * 2 : 8;
        sio->buffers = mem_realloc(sio->buffers, (size_t)cap * sizeof *sio->buffers);
        for (int i = sio->buffer_cap; i < cap; i++) sio->buffers[i] = (struct buf){0};
        sio->buffer_cap = cap;
    }
    struct buf *b = &sio->buffers[sio->buffer_count++];
    b->len = 0;
    buf_append(b, p, n);
    return b->p;
}

static int gather_link(struct world *w, struct sim_io *sio, struct link *l, struct io_event *events,
                       int max) {
    int count = 0;
    if (!l->accepted) {
        uint32_t tag = l->client && l->client->node ? ACCEPT_NODE : ACCEPT_UNIX;
        l->accepted = true;
        events[count++] = (struct io_event){
            .kind = IO_ACCEPT, .result = (int)(l - w->links) + SIM_FD_BASE, .tag = tag};
        return count;
    }
    struct io_conn *conn = l->conn;
    if (l->closing) {
        l->conn = NULL;
        l->used = false;
        l->send_count = 0;
        events[count++] = (struct io_event){.kind = IO_CLOSED, .conn = conn};
        if (l->client && !l->client_reset && !l->client_ended) client_was_closed(l->client);
        return count;
    }
    if (l->send_count > 0 && sim_chance(w, w->event_chance) &&
        (l->client_reset || move_reply(w, l))) {
        l->send_count = 0;
        events[count++] = (struct io_event){
            .kind = IO_SENT, .conn = conn, .result = l->client_reset ? -EPIPE : 0};
    }
    while (count < max && has_bytes(l) && sim_chance(w, w->event_chance)) {
        size_t n = 1 + sim_below(w, w->piece_max);
        if (n > l->to_server.len || sim_chance(w, 6)) n = l->to_server.len;
        char *data = event_data(sio, l->to_server.p, n);
        buf_consume(&l->to_server, n);
        sio->io.bytes_in += n;
        if ((w->options.sabotage & SABOTAGE_LOST_EVENT) && sim_below(w, 64) == 0) continue;
        events[count++] =
            (struct io_event){.kind = IO_RECV, .conn = conn, .data = data, .length = n};
        if (sim_chance(w, 12)) break;
    }
    if (count < max && has_end(l) && sim_chance(w, w->event_chance)) {
        l->ended_told = true;
        events[count++] = (struct io_event){.kind = l->client_reset ? IO_ERROR : IO_EOF,
                                            .conn = conn,
                                            .result = l->client_reset ? -ECONNRESET : 0};
    }
    return count;
}

int sim_io_gather(struct world *w, uint32_t shard, struct io_event *events, int max) {
    struct sim_io *sio = w->ios[shard];
    sio->buffer_count = 0;
    int count = 0;
    uint32_t first = w->link_count ? sim_below(w, w->link_count) : 0;
    for (uint32_t i = 0; i < w->link_count && count < max; i++) {
        struct link *l = &w->links[(first + i) % w->link_count];
        if (l->shard != shard || !link_is_ready(l) || !sim_chance(w, w->event_chance)) continue;
        count += gather_link(w, sio, l, events + count, max - count);
    }
    return count;
}
