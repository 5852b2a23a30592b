// SPDX-License-Identifier: BSD-3-Clause
//
// The floor: what a request costs below any cache. A server on torc's own io backends that finds
// the commands in what arrives and answers a constant of the size that torc's reply would have: no
// hash, no table, no key, no value. What is left is the kernel's share and the least that any
// server must do, so bench/compare shows torc as a multiple of it. With --values it has so many
// constants and answers each GET with another one, which is in no cache, like the values of many
// keys. One thread. It works in passes, as a shard does: all events of a poll, then one send for
// each connection that has replies. Short constants are put together by copying, a reply that is
// alone and any large one is sent where it lies. Invariant: a constant never changes after it was
// made, so a send may refer to it.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/floor/scan.h"
#include "engine/base/alloc.h"
#include "engine/base/buf.h"
#include "net/io.h"
#include "net/listener.h"

#define EVENTS     512
#define MGET_MAX   1024        // keys of one MGET
#define COPY_MAX   (16 * 1024) // replies up to this size are put together
#define VALUE_MAX  (512u << 20)
#define BACKLOG    511
#define PIECES_MIN 4
#define SCATTER    UINT64_C(2654435761) // a prime: consecutive numbers end up far apart

/** A part of the replies: a constant, or the next n bytes of the connection's buffer. */
struct piece {
    const char *constant; // NULL: from the buffer
    size_t n;
};

struct client {
    struct io_conn io; // first member
    struct scan scan;
    struct buf out, sending; // replies put together; those of the pieces being sent
    struct piece *pieces;
    uint32_t first, count, cap; // pieces not yet sent: [first, count)
    uint32_t out_first;         // from here on pieces refer to `out`, before to `sending`
    size_t sending_at;
    struct iovec vector; // what is left of the piece being sent
    bool busy, closing, closed, in_dirty;
    struct client *dirty_next;
};

struct floor {
    struct io *io;
    struct buf get;    // replies to GET, one behind the other
    size_t get_length; // of one
    uint64_t values, asked;
    struct buf *mget[MGET_MAX + 1]; // made when first asked for
    struct client *dirty;
};

static void add_constant(struct client *c, const char *p, size_t n) {
    if (c->count == c->cap) {
        c->cap = c->cap ? 2 * c->cap : PIECES_MIN;
        c->pieces = mem_realloc(c->pieces, c->cap * sizeof *c->pieces);
    }
    c->pieces[c->count++] = (struct piece){.constant = p, .n = n};
}

/** Answers a constant: refers to it when it is the only one so far or large, else copies. */
static void answer(struct client *c, const char *p, size_t n) {
    struct piece *last = c->count > c->out_first ? &c->pieces[c->count - 1] : NULL;
    if (last == NULL || n > COPY_MAX || (last->constant != NULL && last->n > COPY_MAX)) {
        add_constant(c, p, n);
        return;
    }
    if (last->constant != NULL) {
        buf_append(&c->out, last->constant, last->n);
        last->constant = NULL;
    }
    buf_append(&c->out, p, n);
    last->n += n;
}

/** The reply to the next GET. */
static const char *next_value(struct floor *f) {
    if (f->values == 1) return f->get.p;
    return f->get.p + f->asked++ * SCATTER % f->values * f->get_length;
}

static const struct buf *mget_reply(struct floor *f, uint32_t keys) {
    if (f->mget[keys] == NULL) {
        struct buf *b = mem_calloc(sizeof *b);
        buf_printf(b, "*%u\r\n", keys);
        for (uint32_t i = 0; i < keys; i++) buf_append(b, f->get.p, f->get_length);
        f->mget[keys] = b;
    }
    return f->mget[keys];
}

static void execute(struct floor *f, struct client *c, const struct scan_command *command) {
    static const char ok[] = "+OK\r\n", pong[] = "+PONG\r\n", too_many[] = "-ERR too many keys\r\n";
    switch (command->kind) {
    case SCAN_GET: answer(c, next_value(f), f->get_length); break;
    case SCAN_SET:
    case SCAN_OTHER: answer(c, ok, sizeof ok - 1); break;
    case SCAN_PING: answer(c, pong, sizeof pong - 1); break;
    case SCAN_MGET:
        if (command->argc > MGET_MAX + 1) {
            answer(c, too_many, sizeof too_many - 1);
        } else {
            const struct buf *reply = mget_reply(f, command->argc - 1);
            answer(c, reply->p, reply->len);
        }
    }
}

static void on_bytes(struct floor *f, struct client *c, const char *p, size_t n) {
    struct scan_command command;
    const char *end = p + n;
    while ((p = scan_next(&c->scan, p, end, &command)) != NULL) execute(f, c, &command);
}

static void close_client(struct floor *f, struct client *c) {
    c->closing = true;
    io_close(f->io, &c->io);
}

/** Sends the next piece. */
static void send_piece(struct floor *f, struct client *c) {
    if (c->first == c->out_first) { // all that `sending` held is sent: the buffers change places
        struct buf filled = c->out;
        c->out = c->sending;
        c->out.len = c->sending_at = 0;
        c->sending = filled;
        c->count -= c->first;
        memmove(c->pieces, c->pieces + c->first, c->count * sizeof *c->pieces);
        c->first = 0;
        c->out_first = c->count;
    }
    const struct piece *piece = &c->pieces[c->first++];
    const char *p = piece->constant;
    if (p == NULL) {
        p = c->sending.p + c->sending_at;
        c->sending_at += piece->n;
    }
    c->vector = (struct iovec){(char *)(uintptr_t)p, piece->n};
    int rc = io_send(f->io, &c->io, &c->vector, 1);
    c->busy = rc == 0;
    if (rc < 0) close_client(f, c);
}

/** Sends what there is, until the io is busy with it. */
static void flush(struct floor *f, struct client *c) {
    while (!c->busy && !c->closing && c->first < c->count) send_piece(f, c);
}

static void free_client(struct client *c) {
    buf_free(&c->out);
    buf_free(&c->sending);
    mem_free(c->pieces);
    mem_free(c);
}

static void accept_client(struct floor *f, const struct io_event *event) {
    struct client *c = mem_calloc(sizeof *c);
    listener_tune(event->result, event->tag != 0, 0);
    io_attach(f->io, &c->io, event->result);
}

static void mark(struct floor *f, struct client *c) {
    if (c->in_dirty) return;
    c->in_dirty = true;
    c->dirty_next = f->dirty;
    f->dirty = c;
}

static void on_event(struct floor *f, const struct io_event *event) {
    struct client *c = (struct client *)event->conn;
    switch (event->kind) {
    case IO_ACCEPT: accept_client(f, event); return;
    case IO_RECV: on_bytes(f, c, event->data, event->length); break;
    case IO_SENT:
        c->busy = false;
        if (event->result < 0) close_client(f, c);
        break;
    case IO_EOF:
    case IO_ERROR: close_client(f, c); break;
    case IO_CLOSED: c->closed = true; break;
    case IO_WAKE: return;
    }
    mark(f, c);
}

static int serve(struct floor *f) {
    struct io_event events[EVENTS];
    for (;;) {
        int count = io_poll(f->io, events, EVENTS, -1);
        if (count < 0) return count;
        for (int i = 0; i < count; i++) on_event(f, &events[i]);
        while (f->dirty != NULL) {
            struct client *c = f->dirty;
            f->dirty = c->dirty_next;
            c->in_dirty = false;
            if (c->closed)
                free_client(c);
            else
                flush(f, c);
        }
    }
}

struct settings {
    uint16_t port;
    const char *path, *backend;
    size_t value_size;
    uint64_t values;
};

static void usage(void) {
    fputs("usage: torc-floor [--port N] [--unix-socket PATH] [--io-backend auto|io_uring|epoll]\n"
          "                  [--value-size BYTES] [--values N]\n"
          "Answers GET, SET and MGET with constants on 127.0.0.1 (6379): what a request costs\n"
          "below any cache. bench/compare starts it.\n",
          stderr);
    exit(2);
}

static uint64_t number_at_most(const char *text, uint64_t max) {
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || value > max) usage();
    return value;
}

static void read_settings(struct settings *s, int argc, char **argv) {
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},       {"unix-socket", required_argument, NULL, 'u'},
        {"io-backend", required_argument, NULL, 'b'}, {"value-size", required_argument, NULL, 'v'},
        {"values", required_argument, NULL, 'n'},     {NULL, 0, NULL, 0}};
    *s = (struct settings){.port = 6379, .backend = "auto", .value_size = 32, .values = 1};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'p': s->port = (uint16_t)number_at_most(optarg, UINT16_MAX); break;
        case 'u': s->path = optarg; break;
        case 'b': s->backend = optarg; break;
        case 'v': s->value_size = number_at_most(optarg, VALUE_MAX); break;
        case 'n': s->values = number_at_most(optarg, UINT32_MAX); break;
        default: usage();
        }
    }
    if (optind != argc || s->values == 0) usage();
}

static void make_values(struct floor *f, size_t n, uint64_t values) {
    char head[32];
    size_t head_length = (size_t)snprintf(head, sizeof head, "$%zu\r\n", n);
    f->values = values;
    f->get_length = head_length + n + 2;
    buf_reserve(&f->get, f->get_length * values);
    for (uint64_t i = 0; i < values; i++) {
        buf_append(&f->get, head, head_length);
        memset(buf_reserve(&f->get, n), 'x', n);
        f->get.len += n;
        buf_append_text(&f->get, "\r\n");
    }
}

int main(int argc, char **argv) {
    static const char *const addresses[] = {"127.0.0.1"};
    struct settings settings;
    struct listener_set listeners = {0};
    struct io_options options = {.connections_hint = 1024};
    struct floor f = {0};
    char error[256];
    const char *reason;
    read_settings(&settings, argc, argv);
    int rc =
        listener_open_tcp(&listeners, addresses, 1, settings.port, BACKLOG, error, sizeof error);
    if (rc == 0 && settings.path != NULL)
        rc = listener_open_unix(&listeners, settings.path, 0, BACKLOG, error, sizeof error);
    if (rc < 0) {
        fprintf(stderr, "torc-floor: %s\n", error);
        return 1;
    }
    make_values(&f, settings.value_size, settings.values);
    rc = io_create(&f.io, settings.backend, &options, &reason);
    for (int i = 0; rc == 0 && i < listeners.count; i++)
        rc = io_listen(f.io, listeners.fds[i], listeners.tags[i]);
    if (rc == 0) rc = serve(&f);
    fprintf(stderr, "torc-floor: %s\n", strerror(-rc));
    return 1;
}
