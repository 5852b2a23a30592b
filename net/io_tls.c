// SPDX-License-Identifier: BSD-3-Clause
//
// TLS records between a shard and its io. Each TLS connection is two io_conns: the outer one is the
// shard's and only we touch it, the inner one (in struct secured) is the backend's. Both carry
// IO_LAYERED, so that a plain connection, whose io_conn the backend has itself, costs one test.
//
// Receiving: OpenSSL takes the records out of the receive buffer and puts the bytes where the
// records stood, which are longer; only when it has kept a part of a record from before do the
// bytes go to a buffer of our own, valid until the next poll. Sending: records collect in `out`,
// which becomes `sending` while the backend has it, one at a time. So long as `sending` is busy
// nothing more than SEND_STEP is encrypted: a huge reply costs a bounded amount of memory. What
// OpenSSL wants to say by itself (the answer to a key update, alerts) goes the same way.
//
// Invariant: OpenSSL never waits for us: its output always finds room, and its input is drained by
// each event. Runs on the io's thread.
#include "net/io_tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/base/buf.h"
#include "engine/base/log.h"
#include "net/io_backends.h"
#include "net/listener.h"
#include "net/tls.h"
#include "net/tls_kernel.h"

#define RECORD_MAX  16384        // bytes of a record, without what TLS adds
#define SEND_STEP   (256 * 1024) // records for one send of the backend, about
#define OWN_MAX     (16 * 1024)  // answers of OpenSSL's that wait for a client to read
#define SPARES_MAX  64           // buffers that wait to be used again
#define SPARE_LARGE (64 * 1024)  // what is larger is given back

enum {
    SENDING = 1 << 0, // the outer connection's send is under way
    CLOSING = 1 << 1,
    ENDED = 1 << 2,  // IO_EOF or IO_ERROR has been delivered, or is going to be
    FAILED = 1 << 3, // the session is broken: nothing may be asked of it
    BUSY = 1 << 4,   // the backend has `sending`
    TOLD = 1 << 5,   // in the list of those that have an event to come
};

struct secured {
    struct io_conn inner; // first member: the backend's events carry it
    struct io_conn *outer;
    struct io_tls *io;
    SSL *ssl;
    const char *in; // records not yet taken by OpenSSL
    size_t in_length;
    struct buf out, sending;
    struct iovec piece;   // how much of `sending` is left: the backend's
    struct secured *next; // TOLD
    int ending;           // TOLD: 0 for IO_EOF, or a negative errno for IO_ERROR
    uint32_t flags;
};

struct io_tls {
    struct io base;
    struct io_ops ops; // ours under the inner one's name
    struct io *inner;
    BIO_METHOD *method;
    struct secured *told_first, *told_last;
    struct buf spares[SPARES_MAX]; // empty, with memory
    int spare_count;
    struct buf *lent; // hold bytes of the latest poll's events
    int lent_count, lent_room;
    char gathered[RECORD_MAX]; // small pieces on their way into one record
};

static struct io_tls *of(struct io *io) { return (struct io_tls *)io; }

/** The outer connection's send_v and send_count are the send under way; `next` holds this. */
static struct secured *secured_of(const struct io_conn *outer) {
    ASSERT(outer->state & IO_LAYERED);
    return (struct secured *)outer->next;
}

// ---- buffers ----

static struct buf take_buffer(struct io_tls *io) {
    return io->spare_count > 0 ? io->spares[--io->spare_count] : (struct buf){0};
}

static void give_buffer(struct io_tls *io, struct buf *b) {
    b->len = 0;
    if (b->p != NULL && b->cap <= SPARE_LARGE && io->spare_count < SPARES_MAX)
        io->spares[io->spare_count++] = *b;
    else
        buf_free(b);
    *b = (struct buf){0};
}

/** Memory for an event's bytes. */
static char *lend(struct io_tls *io, size_t n) {
    if (io->lent_count == io->lent_room) {
        io->lent_room = io->lent_room ? 2 * io->lent_room : 16;
        io->lent = mem_realloc(io->lent, (size_t)io->lent_room * sizeof *io->lent);
    }
    struct buf *b = &io->lent[io->lent_count++];
    *b = take_buffer(io);
    return buf_reserve(b, n);
}

static void return_lent(struct io_tls *io) {
    while (io->lent_count > 0) give_buffer(io, &io->lent[--io->lent_count]);
}

// ---- what OpenSSL reads and writes ----

static int bio_read(BIO *bio, char *to, int size) {
    struct secured *s = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (size <= 0) return 0;
    if (s->in_length == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t n = s->in_length < (size_t)size ? s->in_length : (size_t)size;
    memcpy(to, s->in, n);
    s->in += n;
    s->in_length -= n;
    return (int)n;
}

static int bio_write(BIO *bio, const char *from, int size) {
    struct secured *s = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (size <= 0) return 0;
    if (s->out.p == NULL) s->out = take_buffer(s->io);
    buf_append(&s->out, from, (size_t)size);
    return size;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer) {
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *make_method(void) {
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "torc");
    if (method == NULL) return NULL;
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_ctrl);
    return method;
}

// ---- sending ----

/** Gives `out` to the backend. 1: taken; 0: IO_SENT will tell; negative errno. */
static int start_send(struct secured *s) {
    ASSERT(!(s->flags & BUSY) && s->sending.len == 0 && s->out.len > 0);
    struct buf filled = s->out;
    s->out = s->sending;
    s->sending = filled;
    s->piece = (struct iovec){filled.p, filled.len};
    int rc = io_send(s->io->inner, &s->inner, &s->piece, 1);
    if (rc == 0)
        s->flags |= BUSY;
    else
        give_buffer(s->io, &s->sending);
    return rc;
}

static bool encrypt(struct secured *s, const void *p, size_t n) {
    if (s->flags & FAILED) return false;
    ERR_clear_error();
    size_t written = 0;
    if (likely(SSL_write_ex(s->ssl, p, n, &written) == 1 && written == n)) return true;
    s->flags |= FAILED;
    ERR_clear_error();
    return false;
}

/** Encrypts what is next of the outer send, up to about SEND_STEP. */
static bool encrypt_some(struct secured *s) {
    struct io_conn *o = s->outer;
    while (o->send_count > 0 && s->out.len < SEND_STEP) {
        const char *p = o->send_v->iov_base;
        size_t n = o->send_v->iov_len;
        if (o->send_count > 1 && n < RECORD_MAX) {
            p = s->io->gathered;
            n = 0;
            for (size_t i = 0; i < o->send_count && n < RECORD_MAX; i++) {
                size_t room = RECORD_MAX - n;
                size_t part = o->send_v[i].iov_len < room ? o->send_v[i].iov_len : room;
                memcpy(s->io->gathered + n, o->send_v[i].iov_base, part);
                n += part;
            }
        } else if (n > SEND_STEP) {
            n = SEND_STEP;
        }
        if (unlikely(!encrypt(s, p, n))) return false;
        io__sent(&s->io->base, o, n);
    }
    return true;
}

/** Brings the outer send and our own records on. 1: nothing is left; 0: to go on at IO_SENT. */
static int push(struct secured *s) {
    while (!(s->flags & BUSY)) {
        if (!encrypt_some(s)) return -EPIPE;
        if (s->out.len == 0) return 1;
        int rc = start_send(s);
        if (rc < 0) return rc;
    }
    return 0;
}

static int tls_send(struct io *io, struct io_conn *outer, struct iovec *v, size_t count) {
    if (likely(!(outer->state & IO_LAYERED))) {
        struct io *inner = of(io)->inner;
        return io_send(inner, outer, v, count);
    }
    struct secured *s = secured_of(outer);
    ASSERT(count > 0 && !(s->flags & (SENDING | CLOSING)));
    outer->send_v = v;
    outer->send_count = count;
    int rc = push(s);
    if (rc == 0) s->flags |= SENDING;
    return rc;
}

/** The backend has finished with `sending`; true: *event is now the outer connection's. */
static bool on_sent(struct secured *s, struct io_event *event) {
    s->flags &= ~(uint32_t)BUSY;
    give_buffer(s->io, &s->sending);
    if (s->flags & CLOSING) return false;
    int rc = event->result;
    if (rc == 0) rc = push(s);
    if (rc == 0 || !(s->flags & SENDING)) return false;
    s->flags &= ~(uint32_t)SENDING;
    event->conn = s->outer;
    event->result = rc < 0 ? rc : 0;
    return true;
}

// ---- receiving ----

/** Nothing more will arrive: 0 the peer has ended, negative errno it broke. The next poll tells. */
static void end_receiving(struct secured *s, int result) {
    if (s->flags & ENDED) return;
    s->flags |= ENDED | TOLD;
    s->ending = result;
    s->next = NULL;
    if (s->io->told_last)
        s->io->told_last->next = s;
    else
        s->io->told_first = s;
    s->io->told_last = s;
}

static void log_broken(int fd, const char *reason) {
    char peer[160];
    listener_peer_text(fd, peer, sizeof peer);
    log_line(LOG_NOTICE, "A TLS connection is closed: %s (addr=%s)", reason, peer);
}

/** OpenSSL has no more bytes for us: because it wants more records, or for good. */
static void after_read(struct secured *s) {
    switch (SSL_get_error(s->ssl, 0)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return;
    case SSL_ERROR_ZERO_RETURN: end_receiving(s, 0); return;
    default: break;
    }
    struct buf reason = {0};
    tls_reason(NULL, &reason);
    buf_append_char(&reason, '\0');
    log_broken(s->inner.fd, reason.p);
    buf_free(&reason);
    s->flags |= FAILED;
    end_receiving(s, -EPROTO);
}

/** A client may not make us keep answers (to key updates, say) that it never reads. */
static void bound_own_records(struct secured *s) {
    if (!(s->flags & BUSY) || s->out.len <= OWN_MAX || (s->flags & FAILED)) return;
    log_broken(s->inner.fd, "the client wants answers and does not read");
    s->flags |= FAILED;
    end_receiving(s, -EPROTO);
}

/** Decrypts what has arrived; true: *event now has the outer connection's bytes. */
static bool on_received(struct secured *s, struct io_event *event) {
    if (s->flags & (CLOSING | ENDED)) return false;
    s->in = event->data;
    s->in_length = event->length;
    char *to = event->data;
    size_t room = event->length, length = 0;
    ERR_clear_error();
    if (unlikely(SSL_has_pending(s->ssl))) {
        room += RECORD_MAX + SSL3_RT_MAX_ENCRYPTED_OVERHEAD;
        to = lend(s->io, room);
    }
    for (;;) {
        size_t n = 0;
        if (length == room || SSL_read_ex(s->ssl, to + length, room - length, &n) != 1) break;
        length += n;
    }
    after_read(s);
    ASSERT(s->in_length == 0 || (s->flags & ENDED));
    s->in = NULL;
    s->in_length = 0;
    // The alert of a broken session is for say_goodbye: closing would cancel a send.
    if (unlikely(s->out.len > 0) && !(s->flags & FAILED)) {
        // A broken send shows in what follows.
        int rc = push(s);
        (void)rc;
        bound_own_records(s);
    }
    event->conn = s->outer;
    event->data = to;
    event->length = length;
    return length > 0;
}

static void on_ended(struct secured *s, const struct io_event *event) {
    if (s->flags & (CLOSING | ENDED)) return;
    if (event->kind == IO_EOF && SSL_has_pending(s->ssl))
        log_broken(s->inner.fd, "the client has ended in the middle of a record");
    end_receiving(s, event->kind == IO_EOF ? 0 : event->result);
}

// ---- life ----

static void secured_free(struct secured *s) {
    struct io_tls *io = s->io;
    SSL_free(s->ssl);
    give_buffer(io, &s->out);
    give_buffer(io, &s->sending);
    s->outer->fd = -1;
    s->outer->next = NULL;
    mem_free(s);
}

void io_tls_attach(struct io *io, struct io_conn *outer, int fd, struct ssl_st *ssl) {
    struct io_tls *t = of(io);
    struct secured *s = mem_calloc(sizeof *s);
    BIO *bio = BIO_new(t->method);
    ASSERT(bio != NULL); // memory only
    BIO_set_data(bio, s);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    s->ssl = ssl;
    s->io = t;
    s->outer = outer;
    outer->fd = fd;
    outer->state = IO_LAYERED;
    outer->next = (struct io_conn *)s;
    io_attach(t->inner, &s->inner, fd);
    s->inner.state |= IO_LAYERED;
}

void io_tls_attach_kernel(struct io *io, struct io_conn *conn, int fd) {
    io_attach(of(io)->inner, conn, fd);
    conn->state |= IO_IN_KERNEL;
}

void io_tls_describe(const struct io_conn *conn, const char **protocol, const char **cipher) {
    if (conn->state & IO_IN_KERNEL) {
        tls_kernel_describe(conn->fd, protocol, cipher);
        return;
    }
    const struct secured *s = secured_of(conn);
    *protocol = SSL_get_version(s->ssl);
    *cipher = SSL_get_cipher_name(s->ssl);
}

/** Tells the peer that we end, as far as the socket takes it now. */
static void say_goodbye(struct secured *s) {
    if (s->flags & BUSY) return; // what is under way comes first, and is given up
    ERR_clear_error();
    if (!(s->flags & FAILED)) (void)SSL_shutdown(s->ssl);
    ERR_clear_error();
    if (s->out.len == 0) return;
    ssize_t sent = send(s->inner.fd, s->out.p, s->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) s->flags |= FAILED; // a courtesy: nobody waits for it
}

static void tls_close(struct io *io, struct io_conn *outer) {
    struct io *inner = of(io)->inner;
    if (likely(!(outer->state & IO_LAYERED))) {
        // Behind a reply of which a part is still to come, it would make that look complete.
        if ((outer->state & IO_IN_KERNEL) && outer->fd >= 0 && outer->send_count == 0)
            tls_kernel_say_goodbye(outer->fd);
        io_close(inner, outer);
        return;
    }
    struct secured *s = secured_of(outer);
    if (s == NULL || (s->flags & CLOSING)) return;
    s->flags |= CLOSING;
    say_goodbye(s);
    io_close(inner, &s->inner);
}

static void tls_attach(struct io *io, struct io_conn *conn, int fd) {
    io_attach(of(io)->inner, conn, fd);
}

static struct io_conn *inner_of(struct io_conn *conn) {
    return conn->state & IO_LAYERED ? &secured_of(conn)->inner : conn;
}

static void tls_recv_pause(struct io *io, struct io_conn *conn) {
    io_recv_pause(of(io)->inner, inner_of(conn));
}

static void tls_recv_resume(struct io *io, struct io_conn *conn) {
    io_recv_resume(of(io)->inner, inner_of(conn));
}

// ---- the pass ----

/** Receiving from the kernel's TLS has ended: perhaps at what is no data, the end for instance. */
static void explain_end(struct io_event *event) {
    const char *reason;
    if (event->kind == IO_ERROR && event->result == -EBADMSG)
        log_broken(event->conn->fd, "decryption failed or bad record mac");
    if (event->kind != IO_ERROR || event->result != -EIO) return;
    int result = tls_kernel_take_control(event->conn->fd, &reason);
    if (result == 0) {
        event->kind = IO_EOF;
        return;
    }
    event->result = result;
    log_broken(event->conn->fd, reason);
}

/** Makes a secured connection's event the outer one's. False: there is nothing to tell. */
static bool translate(struct io_event *event) {
    if (event->conn->state & IO_IN_KERNEL) {
        explain_end(event);
        return true;
    }
    struct secured *s = (struct secured *)event->conn;
    switch (event->kind) {
    case IO_RECV: return on_received(s, event);
    case IO_SENT: return on_sent(s, event);
    case IO_EOF:
    case IO_ERROR: on_ended(s, event); return false;
    case IO_CLOSED:
        ASSERT(s->flags & CLOSING);
        event->conn = s->outer;
        secured_free(s);
        return true;
    case IO_ACCEPT:
    case IO_WAKE: break;
    }
    ASSERT(false);
    return false;
}

/** Delivers ends; returns how many. */
static int tell_ends(struct io_tls *t, struct io_event *events, int max) {
    int n = 0;
    while (t->told_first != NULL && n < max) {
        struct secured *s = t->told_first;
        t->told_first = s->next;
        if (t->told_first == NULL) t->told_last = NULL;
        s->flags &= ~(uint32_t)TOLD;
        if (s->flags & CLOSING) continue;
        events[n++] = (struct io_event){
            .kind = s->ending == 0 ? IO_EOF : IO_ERROR, .conn = s->outer, .result = s->ending};
    }
    return n;
}

static int tls_poll(struct io *io, struct io_event *events, int max, int64_t timeout_ns) {
    struct io_tls *t = of(io);
    return_lent(t);
    int told = 0;
    if (unlikely(t->told_first != NULL)) told = tell_ends(t, events, max);
    // The list is empty now, or the events are full: nobody who is in it is freed below.
    if (told == max) return told;
    int n = io_poll(t->inner, events + told, max - told, told > 0 ? 0 : timeout_ns);
    t->base.polls = t->inner->polls;
    t->base.waits = t->inner->waits;
    t->base.bytes_in = t->inner->bytes_in;
    t->base.bytes_out = t->inner->bytes_out;
    if (unlikely(n < 0)) return told > 0 ? told : n;
    int kept = told;
    for (int i = told; i < told + n; i++) {
        struct io_event *event = &events[i];
        if (unlikely(event->conn != NULL && (event->conn->state & (IO_LAYERED | IO_IN_KERNEL))) &&
            !translate(event))
            continue;
        if (kept != i) events[kept] = *event;
        kept++;
    }
    if (likely(t->told_first == NULL)) return kept;
    return kept + tell_ends(t, events + kept, max - kept);
}

static int tls_listen(struct io *io, int fd, uint32_t tag) {
    return io_listen(of(io)->inner, fd, tag);
}

static void tls_unlisten(struct io *io, int fd) { io_unlisten(of(io)->inner, fd); }

static void tls_wake(struct io *io, struct io *from) {
    // A caller that is another kind of io (none is, in a fleet) is as good as a plain thread.
    bool same = from != NULL && from->ops->wake == tls_wake;
    io_wake(of(io)->inner, same ? of(from)->inner : NULL);
}

static void tls_destroy(struct io *io) {
    struct io_tls *t = of(io);
    io_destroy(t->inner);
    return_lent(t);
    while (t->spare_count > 0) buf_free(&t->spares[--t->spare_count]);
    mem_free(t->lent);
    BIO_meth_free(t->method);
    mem_free(t);
}

struct io *io_tls_create(struct io *inner) {
    struct io_tls *t = mem_calloc(sizeof *t);
    t->ops = (struct io_ops){
        .name = inner->ops->name,
        .poll = tls_poll,
        .listen = tls_listen,
        .unlisten = tls_unlisten,
        .attach = tls_attach,
        .recv_pause = tls_recv_pause,
        .recv_resume = tls_recv_resume,
        .send = tls_send,
        .close = tls_close,
        .wake = tls_wake,
        .destroy = tls_destroy,
    };
    t->base.ops = &t->ops;
    t->inner = inner;
    t->method = make_method();
    ASSERT(t->method != NULL); // memory only
    return &t->base;
}
