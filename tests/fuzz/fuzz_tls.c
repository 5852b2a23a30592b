// SPDX-License-Identifier: BSD-3-Clause
//
// Fuzz target for the io that speaks TLS, over an io in memory: an input is a script for a client
// whose handshake is done (the first byte says in which version) and for the network: it sends
// bytes, updates keys, says goodbye; records are cut, damaged, doubled, preceded by raw bytes; the
// server sends, and its socket takes all, or later, or nothing more. One thread. Invariants: events
// keep the promises of net/io.h; as long as nobody has touched the records, what arrives on both
// sides is what was sent; and after the end nothing is left.
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/base/buf.h"
#include "engine/base/log.h"
#include "net/io_tls.h"
#include "net/tls.h"
#include "tests/unit/net/certificate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FD_NONE  (1 << 24) // no descriptor of the process is ever this high
#define WIRE_MAX (1 << 20)
#define SEND_MAX 70000

/** The io below: what the script has decided to happen next. */
struct memory_io {
    struct io io; // first member
    struct io_conn *conn;
    struct io_event events[8];
    int count;
    struct buf to_client;
    bool slow, broken; // how the socket takes sends
    bool closing, ended;
};

struct script {
    const uint8_t *p, *end;
};

struct play {
    struct memory_io *below;
    struct io *io;
    struct io_conn conn;
    SSL *client;
    BIO *client_in, *client_out;
    struct buf wire;    // of the client, not yet delivered
    char *block;        // the receive buffer of the latest event
    struct buf sent;    // by the client, in plain ...
    size_t received;    // ... and how much of it the server has seen
    struct buf replied; // by the server ...
    size_t returned;    // ... and what the client has seen
    char reply[SEND_MAX];
    struct iovec v[3];
    bool sending, ended, closed, tampered, goodbye;
};

static SSL_CTX *server_ctx, *client_ctx;
static SSL_SESSION *sessions[2]; // TLS 1.2, 1.3: resuming costs no public-key work

// ---- the io in memory ----

static struct memory_io *below_of(struct io *io) { return (struct memory_io *)io; }

static void push(struct memory_io *m, enum io_event_kind kind, int result) {
    ASSERT(m->count < 8);
    m->events[m->count++] = (struct io_event){.kind = kind, .conn = m->conn, .result = result};
}

static int memory_poll(struct io *io, struct io_event *events, int max, int64_t timeout_ns) {
    struct memory_io *m = below_of(io);
    int n = m->count < max ? m->count : max;
    (void)timeout_ns;
    memcpy(events, m->events, (size_t)n * sizeof *events);
    memmove(m->events, m->events + n, (size_t)(m->count - n) * sizeof *m->events);
    m->count -= n;
    return n;
}

static void memory_attach(struct io *io, struct io_conn *conn, int fd) {
    below_of(io)->conn = conn;
    conn->fd = fd;
    conn->state = 1;
}

static void take(struct memory_io *m, const struct iovec *v, size_t count) {
    for (size_t i = 0; i < count; i++) buf_append(&m->to_client, v[i].iov_base, v[i].iov_len);
}

static int memory_send(struct io *io, struct io_conn *conn, struct iovec *v, size_t count) {
    struct memory_io *m = below_of(io);
    ASSERT(conn == m->conn && !m->closing && count > 0 && conn->send_count == 0);
    if (m->broken) return -EPIPE;
    if (m->slow) {
        conn->send_v = v;
        conn->send_count = count;
        return 0;
    }
    take(m, v, count);
    return 1;
}

/** The socket takes what it has been given, or breaks. */
static void send_on(struct memory_io *m, int result) {
    if (m->conn->send_count == 0 || m->closing) return;
    if (result == 0) take(m, m->conn->send_v, m->conn->send_count);
    m->conn->send_count = 0;
    push(m, IO_SENT, result);
}

static void memory_close(struct io *io, struct io_conn *conn) {
    struct memory_io *m = below_of(io);
    ASSERT(!m->closing);
    m->closing = true;
    m->count = 0;
    conn->send_count = 0;
    push(m, IO_CLOSED, 0);
}

static void memory_nothing(struct io *io, struct io_conn *conn) { (void)io, (void)conn; }
static void memory_destroy(struct io *io) { (void)io; }

static const struct io_ops memory_ops = {.name = "memory",
                                         .poll = memory_poll,
                                         .attach = memory_attach,
                                         .recv_pause = memory_nothing,
                                         .recv_resume = memory_nothing,
                                         .send = memory_send,
                                         .close = memory_close,
                                         .destroy = memory_destroy};

// ---- sessions ----

static int keep_session(SSL *ssl, SSL_SESSION *session) {
    SSL_SESSION **place = &sessions[SSL_version(ssl) == TLS1_3_VERSION];
    if (*place == NULL) *place = SSL_SESSION_dup(session);
    return 0;
}

static void set_up(void) {
    char cert[64], key[64], none[] = "";
    struct buf error = {0};
    log_set_level(LOG_NOTHING);
    snprintf(cert, sizeof cert, "/tmp/torc-fuzz-%d.crt", (int)getpid());
    snprintf(key, sizeof key, "/tmp/torc-fuzz-%d.key", (int)getpid());
    ASSERT(certificate_write(cert, key, NULL, NULL));
    struct tls_settings s = {cert, key, none,  none, none,  none, none,  none,
                             none, 0,   false, true, false, 100,  100000};
    server_ctx = tls_context_new(&s, &error);
    ASSERT(server_ctx != NULL);
    unlink(cert);
    unlink(key);
    client_ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_session_cache_mode(client_ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(client_ctx, keep_session);
    SSL_CTX_set_mode(client_ctx, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

/** Carries what one has written to the other. */
static void carry(BIO *from, BIO *to) {
    char *p;
    long n = BIO_get_mem_data(from, &p);
    if (n > 0) BIO_write(to, p, (int)n);
    (void)BIO_reset(from);
}

/** Both ends after their handshake; the client's in play, the server's returned. */
static SSL *shake_hands(struct play *play, bool modern) {
    SSL *server = SSL_new(server_ctx), *client = play->client = SSL_new(client_ctx);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    play->client_in = BIO_new(BIO_s_mem());
    play->client_out = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(in, -1);
    BIO_set_mem_eof_return(play->client_in, -1);
    SSL_set_bio(server, in, out);
    SSL_set_bio(client, play->client_in, play->client_out);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    SSL_set_max_proto_version(client, modern ? TLS1_3_VERSION : TLS1_2_VERSION);
    // A copy: a session that ends badly may not be resumed again.
    SSL_SESSION *copy = sessions[modern] != NULL ? SSL_SESSION_dup(sessions[modern]) : NULL;
    if (copy != NULL) SSL_set_session(client, copy);
    SSL_SESSION_free(copy);
    for (int i = 0; i < 4; i++) {
        SSL_do_handshake(client);
        carry(play->client_out, in);
        SSL_do_handshake(server);
        carry(out, play->client_in);
    }
    char nothing[1];
    ASSERT(SSL_read(client, nothing, 1) <= 0); // the tickets
    ASSERT(copy == NULL || SSL_session_reused(client));
    ASSERT(SSL_is_init_finished(client) && SSL_is_init_finished(server));
    ERR_clear_error();
    return server;
}

// ---- the script ----

static unsigned byte(struct script *s) { return s->p < s->end ? *s->p++ : 0; }

static unsigned number(struct script *s) {
    unsigned high = byte(s);
    return high << 8 | byte(s);
}

/** The client has written records: they are on the wire. */
static void to_wire(struct play *play) {
    char *p;
    long n = BIO_get_mem_data(play->client_out, &p);
    if (n > 0 && play->wire.len < WIRE_MAX) buf_append(&play->wire, p, (size_t)n);
    if (n > 0 && play->wire.len >= WIRE_MAX) play->tampered = true;
    (void)BIO_reset(play->client_out);
}

static void client_writes(struct play *play, size_t n) {
    if (play->goodbye || n == 0) return;
    char *bytes = mem_alloc(n);
    for (size_t i = 0; i < n; i++) bytes[i] = (char)((play->sent.len + i) * 31);
    size_t written = 0;
    if (SSL_write_ex(play->client, bytes, n, &written) == 1) buf_append(&play->sent, bytes, n);
    mem_free(bytes);
    ERR_clear_error();
    to_wire(play);
}

/** What the server has sent arrives at the client. */
static void client_reads(struct play *play) {
    struct memory_io *m = play->below;
    char back[4096];
    size_t n;
    if (m->to_client.len > 0) BIO_write(play->client_in, m->to_client.p, (int)m->to_client.len);
    m->to_client.len = 0;
    while (SSL_read_ex(play->client, back, sizeof back, &n) == 1) {
        ASSERT(play->returned + n <= play->replied.len);
        ASSERT(memcmp(back, play->replied.p + play->returned, n) == 0);
        play->returned += n;
    }
    ERR_clear_error();
    to_wire(play); // answers to key updates
}

static void on_event(struct play *play, const struct io_event *event) {
    ASSERT(event->conn == &play->conn && !play->closed);
    switch (event->kind) {
    case IO_RECV:
        ASSERT(!play->ended && event->length > 0);
        ASSERT(play->received + event->length <= play->sent.len);
        // Nobody can make a record but the client: what arrives is what was sent, in order.
        ASSERT(memcmp(event->data, play->sent.p + play->received, event->length) == 0);
        memset(event->data, 0xee, event->length);
        play->received += event->length;
        break;
    case IO_EOF:
    case IO_ERROR:
        ASSERT(!play->ended);
        ASSERT(event->kind == IO_EOF || event->result < 0);
        play->ended = true;
        break;
    case IO_SENT:
        ASSERT(play->sending);
        play->sending = false;
        break;
    case IO_CLOSED: play->closed = true; break;
    case IO_ACCEPT:
    case IO_WAKE: ASSERT(false);
    }
}

static void poll_all(struct play *play, int max) {
    struct io_event events[8];
    int n;
    do {
        n = io_poll(play->io, events, max, 0);
        for (int i = 0; i < n; i++) on_event(play, &events[i]);
    } while (n > 0 || play->below->count > 0);
    mem_free(play->block);
    play->block = NULL;
}

/** The network delivers the next n bytes, in a block of exactly their size. */
static void deliver(struct play *play, size_t n, int max) {
    struct memory_io *m = play->below;
    if (n > play->wire.len) n = play->wire.len;
    if (n == 0 || m->ended || m->closing) return;
    play->block = mem_alloc(n);
    memcpy(play->block, play->wire.p, n);
    buf_consume(&play->wire, n);
    push(m, IO_RECV, 0);
    m->events[m->count - 1].data = play->block;
    m->events[m->count - 1].length = n;
    poll_all(play, max);
}

static void server_sends(struct play *play, size_t n, size_t first, size_t second) {
    if (play->sending || play->closed || play->below->closing) return;
    n = n % (SEND_MAX - 2) + 3;
    for (size_t i = 0; i < n; i++) play->reply[i] = (char)((play->replied.len + i) * 17);
    first = first % (n - 2) + 1;
    second = second % (n - first - 1) + 1;
    play->v[0] = (struct iovec){play->reply, first};
    play->v[1] = (struct iovec){play->reply + first, second};
    play->v[2] = (struct iovec){play->reply + first + second, n - first - second};
    buf_append(&play->replied, play->reply, n);
    int rc = io_send(play->io, &play->conn, play->v, 3);
    play->sending = rc == 0;
}

/** Changes what is on the wire, which nothing survives that comes after. */
static void tamper(struct play *play, struct script *s, unsigned how) {
    struct buf *w = &play->wire;
    size_t at = w->len > 0 ? number(s) % w->len : 0;
    play->tampered = true;
    switch (how % 4) {
    case 0:
        if (w->len > 0) w->p[at] ^= (char)(1 << byte(s) % 8);
        break;
    case 1: w->len = at; break;
    case 2:
        if (at > 0) buf_reserve(w, at); // or the bytes would move while they are copied
        buf_append(w, w->p, at);
        break;
    case 3:
        for (unsigned n = byte(s) % 64; n > 0; n--) buf_append_char(w, (char)byte(s));
        break;
    }
}

static void end_peer(struct play *play, int result) {
    struct memory_io *m = play->below;
    if (m->ended || m->closing) return;
    m->ended = true;
    push(m, result == 0 ? IO_EOF : IO_ERROR, result);
}

static void step(struct play *play, struct script *s, bool modern) {
    unsigned op = byte(s);
    int max = op & 0x80 ? 1 : 8;
    switch (op % 16) {
    case 0:
    case 1: client_writes(play, number(s) % 40000); break;
    case 2: client_writes(play, byte(s)); break;
    case 3: deliver(play, number(s), max); break;
    case 4: deliver(play, byte(s) % 8 + 1, max); break;
    case 5: deliver(play, SIZE_MAX, max); break;
    case 6: tamper(play, s, byte(s)); break;
    case 7:
        if (modern && !play->goodbye) SSL_key_update(play->client, byte(s) % 2);
        client_writes(play, 1);
        break;
    case 8:
        if (!play->goodbye && op & 0x40) {
            SSL_shutdown(play->client);
            play->goodbye = true;
            to_wire(play);
        }
        break;
    case 9:
    case 10: server_sends(play, number(s) * 2, number(s), number(s)); break;
    case 11: play->below->slow = op & 0x40; break;
    case 12: send_on(play->below, 0); break;
    case 13: client_reads(play); break;
    case 14:
        if ((op & 0x60) == 0x60) end_peer(play, byte(s) % 2 ? -ECONNRESET : 0);
        break;
    case 15:
        if ((op & 0x70) == 0x70) {
            play->below->broken = true;
            send_on(play->below, -EPIPE);
        }
        break;
    }
    poll_all(play, max);
}

/** Everything arrives; then, without interference, all must have been seen. */
static void finish(struct play *play) {
    struct memory_io *m = play->below;
    m->slow = false;
    for (int i = 0; i < 4; i++) {
        deliver(play, SIZE_MAX, 8);
        send_on(m, 0);
        poll_all(play, 8);
        client_reads(play);
    }
    if (!play->tampered && !m->ended && !m->broken) {
        ASSERT(play->received == play->sent.len);
        ASSERT(play->returned == play->replied.len && !play->sending);
        ASSERT(play->ended == play->goodbye);
    }
    io_close(play->io, &play->conn);
    io_close(play->io, &play->conn);
    poll_all(play, 8);
    ASSERT(play->closed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (server_ctx == NULL) set_up();
    struct script s = {data, data + size};
    struct memory_io below = {.io = {.ops = &memory_ops}};
    struct play *play = mem_calloc(sizeof *play);
    bool modern = byte(&s) % 2;
    play->below = &below;
    play->io = io_tls_create(&below.io);
    io_tls_attach(play->io, &play->conn, FD_NONE, shake_hands(play, modern));
    while (s.p < s.end) step(play, &s, modern);
    finish(play);
    io_destroy(play->io);
    SSL_free(play->client);
    buf_free(&play->wire);
    buf_free(&play->sent);
    buf_free(&play->replied);
    buf_free(&below.to_client);
    mem_free(play);
    return 0;
}
