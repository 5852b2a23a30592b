// SPDX-License-Identifier: BSD-3-Clause
//
// TLS below the shards: contexts, the handshake threads, and the io that speaks TLS, each over both
// backends (io_uring cases are skipped where the host has no io_uring). A small echo server lives
// on the io; its clients are OpenSSL's own, on non-blocking sockets of the same thread. No test
// depends on an upper bound of time, but a guard ends a hang.
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/alloc.h"
#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "net/io_tls.h"
#include "net/tls.h"
#include "net/tls_handshake.h"
#include "tests/unit/net/certificate.h"

#define MS       1000000LL
#define GUARD_NS (60 * 1000 * MS)

static char cert_path[64], key_path[64], other_key_path[64];

// ---- certificates ----

static int make_certificates(void **state) {
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    log_set_level(LOG_NOTHING);
    snprintf(cert_path, sizeof cert_path, "/tmp/torc-test-%d.crt", (int)getpid());
    snprintf(key_path, sizeof key_path, "/tmp/torc-test-%d.key", (int)getpid());
    snprintf(other_key_path, sizeof other_key_path, "/tmp/torc-test-%d.pw", (int)getpid());
    assert_true(certificate_write(cert_path, key_path, other_key_path, "open sesame"));
    return 0;
}

static int remove_certificates(void **state) {
    (void)state;
    unlink(cert_path);
    unlink(key_path);
    unlink(other_key_path);
    return 0;
}

static struct tls_settings settings(void) {
    static char none[] = "";
    return (struct tls_settings){.cert_file = cert_path,
                                 .key_file = key_path,
                                 .key_file_pass = none,
                                 .ca_cert_file = none,
                                 .ca_cert_dir = none,
                                 .protocols = none,
                                 .ciphers = none,
                                 .ciphersuites = none,
                                 .dh_params_file = none,
                                 .session_caching = true,
                                 .session_cache_size = 100,
                                 .session_cache_timeout_s = 300};
}

// ---- contexts ----

static void assert_context(const struct tls_settings *s, const char *wrong) {
    struct buf error = {0};
    struct ssl_ctx_st *ctx = tls_context_new(s, &error);
    buf_append_char(&error, '\0');
    if (wrong == NULL) {
        if (ctx == NULL) fail_msg("%s", error.p);
    } else {
        assert_null(ctx);
        if (strstr(error.p, wrong) == NULL) fail_msg("'%s' in '%s'", wrong, error.p);
    }
    tls_context_free(ctx);
    buf_free(&error);
}

#define ASSERT_SETTING(field, value, wrong)  \
    do {                                     \
        char value_[] = value;               \
        struct tls_settings s_ = settings(); \
        s_.field = value_;                   \
        assert_context(&s_, wrong);          \
    } while (0)

static void test_contexts(void **state) {
    (void)state;
    struct tls_settings s = settings();
    assert_context(&s, NULL);
    ASSERT_SETTING(cert_file, "", "tls-cert-file is not set");
    ASSERT_SETTING(key_file, "", "tls-key-file is not set");
    ASSERT_SETTING(cert_file, "/none", "tls-cert-file '/none': ");
    ASSERT_SETTING(key_file, "/none", "tls-key-file '/none': ");
    ASSERT_SETTING(ca_cert_file, "/none", "tls-ca-cert-file '/none': ");
    ASSERT_SETTING(dh_params_file, "/none", "tls-dh-params-file '/none': ");
    ASSERT_SETTING(protocols, "TLSv1.2", NULL);
    ASSERT_SETTING(protocols, "tlsv1.3  TLSv1", NULL);
    ASSERT_SETTING(protocols, "TLSv1.4", "'TLSv1.4' is none of");
    ASSERT_SETTING(protocols, "TLSv1.2,TLSv1.3", "is none of");
    ASSERT_SETTING(protocols, " ", "no protocol");
    ASSERT_SETTING(ciphers, "AES256-SHA", NULL);
    ASSERT_SETTING(ciphers, "nonsense", "tls-ciphers 'nonsense': ");
    ASSERT_SETTING(ciphersuites, "nonsense", "tls-ciphersuites 'nonsense': ");
    s.auth_clients = TLS_AUTH_YES;
    assert_context(&s, "neither tls-ca-cert-file nor tls-ca-cert-dir");
    s.ca_cert_file = cert_path;
    assert_context(&s, NULL);
    s.key_file = other_key_path;
    char wrong[] = "guess", right[] = "open sesame";
    s.key_file_pass = wrong;
    assert_context(&s, "tls-key-file");
    s.key_file_pass = right;
    assert_context(&s, NULL);
}

// ---- the echo server ----

struct server_conn {
    struct io_conn io;
    struct buf out, in_flight;
    struct iovec pieces[64];
    uint64_t received;
    bool eof, error, closed, sending, mute;
};

struct fixture {
    struct io *io;
    struct tls_pool *pool;
    SSL_CTX *client_ctx;
    int events_max;
    int64_t guard_ns;
    struct tls_handshake handshake;
    atomic_int done;
};

static void on_done(void *context, struct tls_handshake *h) {
    struct fixture *f = context;
    assert_ptr_equal(h, &f->handshake);
    atomic_fetch_add(&f->done, 1);
}

static struct fixture *setup_with(void **state, struct tls_settings s) {
    struct fixture *f = calloc(1, sizeof *f);
    struct io *inner;
    struct buf error = {0};
    if (io_create(&inner, *state, NULL, NULL) != 0) {
        free(f);
        skip();
    }
    f->io = io_tls_create(inner);
    assert_string_equal(f->io->ops->name, *state);
    f->pool = tls_pool_new(2, tls_context_new(&s, &error), on_done, f);
    assert_non_null(f->pool);
    f->client_ctx = SSL_CTX_new(TLS_client_method());
    f->events_max = 64;
    f->guard_ns = clock_monotonic_ns() + GUARD_NS;
    return f;
}

static struct fixture *setup(void **state) { return setup_with(state, settings()); }

static void teardown(struct fixture *f) {
    tls_pool_stop(f->pool);
    tls_pool_free(f->pool);
    io_destroy(f->io);
    SSL_CTX_free(f->client_ctx);
    free(f);
}

static void flush_echo(struct fixture *f, struct server_conn *c) {
    if (c->sending || c->out.len == 0 || c->mute) return;
    struct buf t = c->in_flight;
    c->in_flight = c->out;
    c->out = t;
    c->out.len = 0;
    // In pieces of all sizes: some share a record, some have several.
    size_t count = 0, at = 0;
    for (size_t n = 1; at < c->in_flight.len; n *= 3, at += c->pieces[count++].iov_len) {
        size_t rest = c->in_flight.len - at;
        c->pieces[count] = (struct iovec){c->in_flight.p + at, n < rest ? n : rest};
    }
    int rc = io_send(f->io, &c->io, c->pieces, count);
    c->sending = rc == 0;
}

static void on_event(struct fixture *f, struct io_event *e) {
    struct server_conn *c = (struct server_conn *)e->conn;
    assert_non_null(c);
    assert_false(c->closed);
    switch (e->kind) {
    case IO_RECV:
        assert_true(e->length > 0);
        assert_false(c->eof || c->error);
        c->received += e->length;
        buf_append(&c->out, e->data, e->length);
        memset(e->data, 0xee, e->length); // writable, and nobody else's
        flush_echo(f, c);
        break;
    case IO_EOF:
        assert_false(c->eof || c->error);
        c->eof = true;
        break;
    case IO_ERROR:
        assert_false(c->eof || c->error);
        c->error = true;
        break;
    case IO_SENT:
        assert_true(c->sending);
        c->sending = false;
        if (e->result == 0) flush_echo(f, c);
        break;
    case IO_CLOSED: c->closed = true; break;
    case IO_ACCEPT:
    case IO_WAKE: fail();
    }
}

static void pump(struct fixture *f) {
    struct io_event events[64];
    assert_true(clock_monotonic_ns() < f->guard_ns);
    int n = io_poll(f->io, events, f->events_max, 1 * MS);
    assert_in_range(n, 0, f->events_max);
    for (int i = 0; i < n; i++) on_event(f, &events[i]);
}

// ---- the client ----

/** A client whose handshake is done, and the server's end of it, attached. */
static SSL *connect_pair(struct fixture *f, struct server_conn *c, int *client_fd) {
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    SSL *client = SSL_new(f->client_ctx);
    SSL_set_fd(client, pair[0]);
    SSL_set_connect_state(client);
    atomic_store(&f->done, 0);
    f->handshake = (struct tls_handshake){.fd = pair[1]};
    tls_pool_add(f->pool, &f->handshake);
    bool finished = false;
    while (!finished || !atomic_load(&f->done)) {
        assert_true(clock_monotonic_ns() < f->guard_ns);
        if (!finished) finished = SSL_do_handshake(client) == 1;
        poll(NULL, 0, 1);
    }
    assert_non_null(f->handshake.session);
    memset(c, 0, sizeof *c);
    io_tls_attach(f->io, &c->io, pair[1], f->handshake.session);
    assert_true(io_tls_is(&c->io));
    *client_fd = pair[0];
    return client;
}

static void disconnect(struct fixture *f, struct server_conn *c, SSL *client, int client_fd) {
    io_close(f->io, &c->io);
    while (!c->closed) pump(f);
    assert_int_equal(c->io.fd, -1);
    if (client) SSL_free(client);
    if (client_fd >= 0) close(client_fd);
    buf_free(&c->out);
    buf_free(&c->in_flight);
}

static char pattern(uint64_t i) { return (char)((i * 131) ^ (i >> 8) ^ (i >> 17)); }

/** Sends n bytes of the pattern, piece by piece, and reads them back. */
static void echo(struct fixture *f, SSL *client, uint64_t n, size_t piece_max) {
    char *bytes = malloc(piece_max), back[16384];
    uint64_t sent = 0, got = 0;
    while (got < n) {
        size_t piece = n - sent < piece_max ? (size_t)(n - sent) : piece_max, moved = 0;
        for (size_t i = 0; i < piece; i++) bytes[i] = pattern(sent + i);
        ERR_clear_error();
        if (piece > 0 && SSL_write_ex(client, bytes, piece, &moved) == 1) sent += moved;
        pump(f);
        ERR_clear_error();
        while (SSL_read_ex(client, back, sizeof back, &moved) == 1)
            for (size_t i = 0; i < moved; i++, got++) assert_int_equal(back[i], pattern(got));
        assert_int_equal(SSL_get_error(client, 0), SSL_ERROR_WANT_READ);
    }
    free(bytes);
}

static void test_echo(void **state) {
    struct fixture *f = setup(state);
    struct server_conn c;
    int fd;
    SSL *client = connect_pair(f, &c, &fd);
    const char *protocol, *cipher;
    io_tls_describe(&c.io, &protocol, &cipher);
    assert_string_equal(protocol, "TLSv1.3");
    assert_true(strlen(cipher) > 0);
    echo(f, client, 5, 5);
    echo(f, client, 1000, 1);
    echo(f, client, 300000, 777);
    echo(f, client, 20 << 20, 1 << 20);
    disconnect(f, &c, client, fd);
    teardown(f);
}

static void test_one_event_at_a_time(void **state) {
    struct fixture *f = setup(state);
    struct server_conn c;
    int fd;
    f->events_max = 1;
    SSL *client = connect_pair(f, &c, &fd);
    echo(f, client, 2 << 20, 50000);
    SSL_shutdown(client);
    while (!c.eof) pump(f);
    disconnect(f, &c, client, fd);
    teardown(f);
}

static void test_old_protocol(void **state) {
    struct tls_settings s = settings();
    char protocols[] = "TLSv1.2", ciphers[] = "ECDHE-ECDSA-AES128-SHA"; // CBC: padded records
    s.protocols = protocols;
    s.ciphers = ciphers;
    struct fixture *f = setup_with(state, s);
    struct server_conn c;
    int fd;
    SSL *client = connect_pair(f, &c, &fd);
    assert_string_equal(SSL_get_version(client), "TLSv1.2");
    echo(f, client, 1 << 20, 30000);
    // A client may not negotiate anew; it is told so, and goes on.
    SSL_renegotiate(client);
    (void)SSL_do_handshake(client);
    for (int i = 0; i < 20; i++) pump(f);
    assert_int_equal(c.received, 1 << 20);
    disconnect(f, &c, client, fd);
    teardown(f);
}

static void test_slow_reader(void **state) {
    struct fixture *f = setup(state);
    struct server_conn c;
    int fd;
    SSL *client = connect_pair(f, &c, &fd);
    const size_t n = 8 << 20;
    char *bytes = malloc(n);
    for (size_t i = 0; i < n; i++) bytes[i] = pattern(i);
    struct iovec v = {bytes, n};
    int64_t used = mem_used();
    assert_int_equal(io_send(f->io, &c.io, &v, 1), 0);
    c.sending = true;
    for (int i = 0; i < 50; i++) pump(f);
    assert_true(c.sending);
    assert_true(mem_used() - used < 2 << 20); // not all of it is encrypted before its time
    size_t got = 0, moved;
    char back[50000];
    while (got < n) {
        pump(f);
        while (SSL_read_ex(client, back, sizeof back, &moved) == 1)
            for (size_t i = 0; i < moved; i++, got++) assert_int_equal(back[i], pattern(got));
    }
    while (c.sending) pump(f);
    free(bytes);
    disconnect(f, &c, client, fd);
    teardown(f);
}

static void test_close_while_sending(void **state) {
    struct fixture *f = setup(state);
    struct server_conn c;
    int fd;
    SSL *client = connect_pair(f, &c, &fd);
    const size_t n = 8 << 20;
    char *bytes = calloc(1, n);
    struct iovec v = {bytes, n};
    assert_int_equal(io_send(f->io, &c.io, &v, 1), 0);
    c.sending = true;
    pump(f);
    disconnect(f, &c, client, fd);
    free(bytes);
    teardown(f);
}

static void test_pause(void **state) {
    struct fixture *f = setup(state);
    struct server_conn c;
    int fd;
    SSL *client = connect_pair(f, &c, &fd);
    io_recv_pause(f->io, &c.io);
    for (int i = 0; i < 5; i++) pump(f);
    size_t moved;
    assert_int_equal(SSL_write_ex(client, "hello", 5, &moved), 1);
    for (int i = 0; i < 20; i++) pump(f);
    assert_int_equal(c.received, 0);
    io_recv_resume(f->io, &c.io);
    while (c.received < 5) pump(f);
    disconnect(f, &c, client, fd);
    teardown(f);
}

static void test_goodbyes(void **state) {
    struct fixture *f = setup(state);
    struct server_conn c;
    int fd;
    SSL *client = connect_pair(f, &c, &fd);
    // Bytes and the end, which arrive together; the answer still goes out.
    size_t moved;
    c.mute = true;
    assert_int_equal(SSL_write_ex(client, "hello", 5, &moved), 1);
    assert_int_equal(SSL_shutdown(client), 0);
    while (!c.eof) pump(f);
    assert_int_equal(c.received, 5);
    c.mute = false;
    flush_echo(f, &c);
    while (c.sending) pump(f);
    io_close(f->io, &c.io);
    io_close(f->io, &c.io);
    while (!c.closed) pump(f);
    char back[16];
    assert_int_equal(SSL_read_ex(client, back, sizeof back, &moved), 1);
    assert_memory_equal(back, "hello", 5);
    // And then the server's close_notify, not just the end of the socket.
    assert_int_equal(SSL_read_ex(client, back, sizeof back, &moved), 0);
    assert_int_equal(SSL_get_error(client, 0), SSL_ERROR_ZERO_RETURN);
    SSL_free(client);
    close(fd);
    buf_free(&c.out);
    buf_free(&c.in_flight);
    // Who leaves without a word has ended, too.
    client = connect_pair(f, &c, &fd);
    close(fd);
    while (!c.eof && !c.error) pump(f);
    disconnect(f, &c, client, -1);
    teardown(f);
}

static void test_bad_records(void **state) {
    struct fixture *f = setup(state);
    struct server_conn c;
    int fd;
    SSL *client = connect_pair(f, &c, &fd);
    // A record that is no one's: the connection is broken, and the client is told by an alert.
    char forged[64] = {23, 3, 3, 0, 59};
    assert_int_equal(send(fd, forged, sizeof forged, 0), sizeof forged);
    while (!c.error) pump(f);
    assert_int_equal(c.received, 0);
    io_close(f->io, &c.io);
    while (!c.closed) pump(f);
    char back[16];
    size_t moved;
    assert_int_equal(SSL_read_ex(client, back, sizeof back, &moved), 0);
    assert_int_equal(SSL_get_error(client, 0), SSL_ERROR_SSL);
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
    ERR_clear_error();
    SSL_free(client);
    close(fd);
    // Plain text in place of a record.
    client = connect_pair(f, &c, &fd);
    assert_int_equal(send(fd, "PING\r\nPING\r\n", 12, 0), 12);
    while (!c.error) pump(f);
    disconnect(f, &c, client, fd);
    // Half a record, then the end.
    client = connect_pair(f, &c, &fd);
    assert_int_equal(send(fd, forged, 20, 0), 20);
    shutdown(fd, SHUT_WR);
    while (!c.eof) pump(f);
    disconnect(f, &c, client, fd);
    teardown(f);
}

static void test_key_update(void **state) {
    struct fixture *f = setup(state);
    struct server_conn c;
    int fd;
    SSL *client = connect_pair(f, &c, &fd);
    for (int i = 0; i < 5; i++) {
        echo(f, client, 100000, 5000);
        assert_int_equal(
            SSL_key_update(client, i % 2 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED),
            1);
        assert_int_equal(SSL_do_handshake(client), 1);
        echo(f, client, 3, 1);
    }
    disconnect(f, &c, client, fd);
    teardown(f);
}

static void test_unread_answers_are_bounded(void **state) {
    struct fixture *f = setup(state);
    struct server_conn c;
    int fd;
    SSL *client = connect_pair(f, &c, &fd);
    const size_t n = 8 << 20;
    char *bytes = calloc(1, n);
    struct iovec v = {bytes, n};
    assert_int_equal(io_send(f->io, &c.io, &v, 1), 0);
    c.sending = true;
    for (int i = 0; i < 5000 && !c.error; i++) {
        assert_int_equal(SSL_key_update(client, SSL_KEY_UPDATE_REQUESTED), 1);
        while (SSL_do_handshake(client) != 1 && !c.error) pump(f);
        pump(f);
    }
    assert_true(c.error);
    disconnect(f, &c, client, fd);
    free(bytes);
    teardown(f);
}

static void test_plain_beside(void **state) {
    struct fixture *f = setup(state);
    struct server_conn secure, plain = {0};
    int fd, pair[2];
    SSL *client = connect_pair(f, &secure, &fd);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    io_attach(f->io, &plain.io, pair[1]);
    assert_false(io_tls_is(&plain.io));
    assert_int_equal(send(pair[0], "hello", 5, 0), 5);
    echo(f, client, 100000, 1000);
    while (plain.received < 5 || plain.sending) pump(f);
    char back[16];
    assert_int_equal(recv(pair[0], back, sizeof back, 0), 5);
    disconnect(f, &plain, NULL, pair[0]);
    disconnect(f, &secure, client, fd);
    teardown(f);
}

// ---- handshakes that fail ----

static void wait_for_failure(struct fixture *f) {
    while (!atomic_load(&f->done)) {
        assert_true(clock_monotonic_ns() < f->guard_ns);
        poll(NULL, 0, 1);
    }
    assert_null(f->handshake.session);
    assert_int_equal(f->handshake.fd, -1);
}

static void test_failed_handshakes(void **state) {
    struct fixture *f = setup(state);
    int pair[2];
    // One that talks something else; one that leaves at once; one that is there when the pool
    // stops.
    for (int i = 0; i < 3; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
        if (i == 0) assert_int_equal(send(pair[0], "PING\r\n", 6, 0), 6);
        if (i == 1) close(pair[0]);
        atomic_store(&f->done, 0);
        f->handshake = (struct tls_handshake){.fd = pair[1]};
        tls_pool_add(f->pool, &f->handshake);
        if (i == 2) {
            assert_int_equal(tls_pool_counts(f->pool).waiting, 1);
            tls_pool_stop(f->pool);
            // What came too late for the threads is ended by tls_pool_free.
            if (!atomic_load(&f->done)) break;
        }
        wait_for_failure(f);
        if (i != 1) close(pair[0]);
    }
    assert_int_equal(tls_pool_counts(f->pool).done, 0);
    teardown(f);
}

static void test_new_context(void **state) {
    struct fixture *f = setup(state);
    struct server_conn old, new;
    int old_fd, new_fd;
    struct buf error = {0};
    SSL *before = connect_pair(f, &old, &old_fd);
    struct tls_settings s = settings();
    char protocols[] = "TLSv1.2";
    s.protocols = protocols;
    tls_pool_use(f->pool, tls_context_new(&s, &error));
    SSL *after = connect_pair(f, &new, &new_fd);
    assert_string_equal(SSL_get_version(after), "TLSv1.2");
    assert_string_equal(SSL_get_version(before), "TLSv1.3");
    echo(f, before, 1000, 100);
    echo(f, after, 1000, 100);
    disconnect(f, &old, before, old_fd);
    disconnect(f, &new, after, new_fd);
    teardown(f);
}

#define BOTH(function)                                                                            \
    {.name = #function ":epoll", .test_func = function, .initial_state = (void *)"epoll"}, {      \
        .name = #function ":io_uring", .test_func = function, .initial_state = (void *)"io_uring" \
    }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contexts),
        BOTH(test_echo),
        BOTH(test_one_event_at_a_time),
        BOTH(test_old_protocol),
        BOTH(test_slow_reader),
        BOTH(test_close_while_sending),
        BOTH(test_pause),
        BOTH(test_goodbyes),
        BOTH(test_bad_records),
        BOTH(test_key_update),
        BOTH(test_unread_answers_are_bounded),
        BOTH(test_plain_beside),
        BOTH(test_failed_handshakes),
        BOTH(test_new_context),
    };
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
