// SPDX-License-Identifier: BSD-3-Clause
//
// The promises of net/io.h, each tested over both backends (io_uring cases are skipped where the
// host has no io_uring), by themselves and below an io that speaks TLS with others. A small echo
// server lives on the io under test; its peers are plain non-blocking sockets driven by the same
// thread, so that a failure is where the debugger stands. Only the wake-up tests use a second
// thread. No test depends on an upper bound of time, but a guard ends a hang.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "net/io.h"
#include "net/io_tls.h"

#define MS         1000000LL
#define GUARD_NS   (60 * 1000 * MS)
#define EVENTS_MAX 64

struct server_conn {
    struct io_conn io;
    struct buf out;       // echo: waits to be sent
    struct buf in_flight; // echo: being sent
    struct iovec pieces[2];
    struct server_conn *next;
    uint64_t received;
    bool echo, eof, error, sent, closed, sending, paused;
    int sent_result;
};

struct fixture {
    struct io *io;
    int listen_fd;
    uint16_t port;
    struct server_conn *conns; // newest first
    int accepted, closed, wakes, events_max;
    bool echo;
    int64_t guard_ns;
};

// ---- server side ----

/** Starts a send (in two pieces when it is long enough) and takes note when that ends it. */
static void send_bytes(struct fixture *f, struct server_conn *c, char *p, size_t n) {
    size_t first = n > 1 ? n / 3 + 1 : n;
    c->pieces[0] = (struct iovec){p, first};
    c->pieces[1] = (struct iovec){p + first, n - first};
    int rc = io_send(f->io, &c->io, c->pieces, n > first ? 2 : 1);
    c->sending = rc == 0;
    c->sent = rc != 0;
    c->sent_result = rc < 0 ? rc : 0;
}

static void flush_echo(struct fixture *f, struct server_conn *c) {
    if (c->sending || c->out.len == 0) return;
    struct buf t = c->in_flight;
    c->in_flight = c->out;
    c->out = t;
    c->out.len = 0;
    send_bytes(f, c, c->in_flight.p, c->in_flight.len);
}

static void on_event(struct fixture *f, struct io_event *e) {
    struct server_conn *c = (struct server_conn *)e->conn;
    if (c != NULL) assert_false(c->closed);
    switch (e->kind) {
    case IO_ACCEPT:
        assert_true(e->result >= 0);
        assert_int_equal(e->tag, 77);
        assert_true(fcntl(e->result, F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(e->result, F_GETFD) & FD_CLOEXEC);
        c = calloc(1, sizeof(*c));
        c->echo = f->echo;
        c->next = f->conns;
        f->conns = c;
        f->accepted++;
        io_attach(f->io, &c->io, e->result);
        break;
    case IO_RECV:
        assert_true(e->length > 0);
        assert_false(c->eof || c->error);
        c->received += e->length;
        if (c->echo) {
            buf_append(&c->out, e->data, e->length);
            flush_echo(f, c);
        }
        memset(e->data, 0xee, e->length); // writable, and nobody else's
        break;
    case IO_EOF:
        assert_false(c->eof || c->error);
        c->eof = true;
        break;
    case IO_ERROR:
        assert_false(c->eof || c->error);
        assert_true(e->result < 0);
        c->error = true;
        break;
    case IO_SENT:
        c->sent = true;
        c->sent_result = e->result;
        c->sending = false;
        if (c->echo && e->result == 0) flush_echo(f, c);
        break;
    case IO_CLOSED:
        c->closed = true;
        f->closed++;
        break;
    case IO_WAKE: f->wakes++; break;
    }
}

static int pump(struct fixture *f, int64_t timeout_ns) {
    struct io_event events[EVENTS_MAX];
    assert_true(clock_monotonic_ns() < f->guard_ns);
    int n = io_poll(f->io, events, f->events_max, timeout_ns);
    assert_in_range(n, 0, f->events_max);
    for (int i = 0; i < n; i++) on_event(f, &events[i]);
    return n;
}

#define PUMP_UNTIL(f, condition) \
    while (!(condition)) pump(f, 1 * MS)

static void open_listener(struct fixture *f) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    f->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(f->listen_fd >= 0);
    assert_int_equal(bind(f->listen_fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(f->listen_fd, 512), 0);
    assert_int_equal(getsockname(f->listen_fd, (struct sockaddr *)&a, &n), 0);
    f->port = ntohs(a.sin_port);
    assert_int_equal(io_listen(f->io, f->listen_fd, 77), 0);
}

#define BELOW_TLS "TLS over "

/** The backend that a test's name for an io speaks of. */
static const char *backend_of(const char *name) {
    size_t n = strlen(BELOW_TLS);
    return strncmp(name, BELOW_TLS, n) == 0 ? name + n : name;
}

static int make_io(struct io **out, const char *name, const struct io_options *options,
                   const char **reason) {
    int rc = io_create(out, backend_of(name), options, reason);
    if (rc == 0 && name != backend_of(name)) *out = io_tls_create(*out);
    return rc;
}

static struct fixture setup_with(void **state, const struct io_options *options) {
    const char *backend = backend_of(*state);
    const char *reason = NULL;
    struct fixture f = {.echo = true, .events_max = EVENTS_MAX};
    int rc = make_io(&f.io, *state, options, &reason);
    if (rc < 0 && strcmp(backend, "io_uring") == 0) {
        print_message("io_uring is not available: %s\n", reason);
        skip();
    }
    assert_int_equal(rc, 0);
    assert_null(reason);
    assert_string_equal(f.io->ops->name, backend);
    f.guard_ns = clock_monotonic_ns() + GUARD_NS;
    open_listener(&f);
    return f;
}

static struct fixture setup(void **state) { return setup_with(state, NULL); }

static void teardown(struct fixture *f) {
    for (struct server_conn *c = f->conns; c != NULL; c = c->next) {
        if (!c->closed) io_close(f->io, &c->io);
    }
    PUMP_UNTIL(f, f->closed == f->accepted);
    io_destroy(f->io);
    close(f->listen_fd);
    while (f->conns != NULL) {
        struct server_conn *c = f->conns;
        f->conns = c->next;
        buf_free(&c->out);
        buf_free(&c->in_flight);
        free(c);
    }
}

// ---- peers ----

static char pattern(uint64_t i) { return (char)((i * 131) ^ (i >> 8) ^ (i >> 17)); }

static int peer_connect(struct fixture *f) {
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(f->port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

/** Connects and lets the server accept; returns the server's end. */
static struct server_conn *connect_one(struct fixture *f, int *fd) {
    int before = f->accepted;
    *fd = peer_connect(f);
    PUMP_UNTIL(f, f->accepted == before + 1);
    return f->conns;
}

struct peer {
    int fd;
    uint64_t to_send, sent, received;
};

/** Sends and receives what goes without waiting; checks every byte. */
static void peer_step(struct peer *p, size_t piece_max) {
    char b[65536];
    size_t n = p->to_send - p->sent < piece_max ? p->to_send - p->sent : piece_max;
    if (n > sizeof(b)) n = sizeof(b);
    for (size_t i = 0; i < n; i++) b[i] = pattern(p->sent + i);
    if (n > 0) {
        ssize_t rc = send(p->fd, b, n, MSG_NOSIGNAL);
        assert_true(rc > 0 || errno == EAGAIN);
        if (rc > 0) p->sent += (size_t)rc;
    }
    ssize_t rc = recv(p->fd, b, sizeof(b), 0);
    assert_true(rc > 0 || (rc < 0 && errno == EAGAIN));
    for (ssize_t i = 0; i < rc; i++) {
        if (b[i] != pattern(p->received + (uint64_t)i)) fail_msg("wrong byte echoed");
    }
    if (rc > 0) p->received += (uint64_t)rc;
}

static void send_reset(int fd) {
    struct linger l = {1, 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)), 0);
    close(fd);
}

static void fill_pattern(struct buf *b, size_t n) {
    char *p = buf_reserve(b, n);
    for (size_t i = 0; i < n; i++) p[i] = pattern(i);
    b->len = n;
}

// ---- cases ----

static void test_echo_big(void **state) {
    struct fixture f = setup(state);
    struct peer p = {.to_send = 20 << 20};
    connect_one(&f, &p.fd);
    while (p.received < p.to_send) {
        peer_step(&p, 65536);
        pump(&f, 0);
    }
    assert_int_equal(f.io->bytes_in, p.to_send);
    assert_int_equal(f.io->bytes_out, p.to_send);
    close(p.fd);
    PUMP_UNTIL(&f, f.conns->eof);
    teardown(&f);
}

static void test_big_send_to_slow_reader(void **state) {
    struct fixture f = setup(state);
    struct peer p = {0};
    struct buf b = {0};
    fill_pattern(&b, 8 << 20);
    struct server_conn *c = connect_one(&f, &p.fd);
    c->echo = false;
    send_bytes(&f, c, b.p, b.len);
    for (int i = 0; i < 20; i++) pump(&f, 1 * MS);
    assert_false(c->sent);
    while (p.received < b.len) {
        pump(&f, 0);
        peer_step(&p, 0);
    }
    PUMP_UNTIL(&f, c->sent);
    assert_int_equal(c->sent_result, 0);
    close(p.fd);
    teardown(&f);
    buf_free(&b);
}

static void test_pause_and_resume(void **state) {
    struct fixture f = setup(state);
    struct peer p = {.to_send = 4 << 20};
    struct server_conn *c = connect_one(&f, &p.fd);
    for (int round = 0; round < 20; round++) {
        peer_step(&p, 65536);
        pump(&f, 0);
        io_recv_pause(f.io, &c->io);
        // What was in flight may come; then nothing more, however much the peer sends.
        for (int i = 0; i < 3; i++) pump(&f, 1 * MS);
        uint64_t before = c->received;
        peer_step(&p, 65536);
        for (int i = 0; i < 3; i++) pump(&f, 1 * MS);
        assert_int_equal(c->received, before);
        io_recv_resume(f.io, &c->io);
        // Every order of the two within one pass must come out as the last call said.
        if (round % 3 == 1) {
            io_recv_pause(f.io, &c->io);
            io_recv_resume(f.io, &c->io);
        } else if (round % 3 == 2) {
            pump(&f, 0);
            io_recv_pause(f.io, &c->io);
            io_recv_resume(f.io, &c->io);
            io_recv_pause(f.io, &c->io);
            for (int i = 0; i < 3; i++) pump(&f, 1 * MS);
            io_recv_resume(f.io, &c->io);
        }
        while (p.received < p.sent) {
            peer_step(&p, 0);
            pump(&f, 1 * MS);
        }
    }
    assert_int_equal(c->received, p.sent);
    close(p.fd);
    teardown(&f);
}

static void test_close_while_paused(void **state) {
    struct fixture f = setup(state);
    int fd;
    struct server_conn *c = connect_one(&f, &fd);
    io_recv_pause(f.io, &c->io);
    assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), 1);
    io_close(f.io, &c->io);
    io_close(f.io, &c->io);
    PUMP_UNTIL(&f, c->closed);
    close(fd);
    teardown(&f);
}

static void test_peer_closes(void **state) {
    struct fixture f = setup(state);
    int fd;
    struct server_conn *c = connect_one(&f, &fd);
    c->echo = false;
    assert_int_equal(send(fd, "last words", 10, MSG_NOSIGNAL), 10);
    close(fd);
    PUMP_UNTIL(&f, c->eof || c->error);
    assert_int_equal(c->received, 10);
    assert_true(c->eof);
    for (int i = 0; i < 3; i++) pump(&f, 1 * MS); // once only: on_event asserts it
    io_close(f.io, &c->io);
    PUMP_UNTIL(&f, c->closed);
    teardown(&f);
}

static void test_half_close_is_answered(void **state) {
    struct fixture f = setup(state);
    struct peer p = {.to_send = 100000};
    struct server_conn *c = connect_one(&f, &p.fd);
    while (p.sent < p.to_send) {
        peer_step(&p, 65536);
        pump(&f, 0);
    }
    assert_int_equal(shutdown(p.fd, SHUT_WR), 0);
    PUMP_UNTIL(&f, c->eof);
    while (p.received < p.to_send) {
        peer_step(&p, 0);
        pump(&f, 0);
    }
    close(p.fd);
    teardown(&f);
}

static void test_reset_by_peer(void **state) {
    struct fixture f = setup(state);
    int fd;
    struct server_conn *c = connect_one(&f, &fd);
    send_reset(fd);
    PUMP_UNTIL(&f, c->error || c->eof);
    assert_true(c->error);
    char x = 'x';
    send_bytes(&f, c, &x, 1);
    PUMP_UNTIL(&f, c->sent);
    assert_true(c->sent_result < 0);
    teardown(&f);
}

static void test_send_to_dead_peer(void **state) {
    struct fixture f = setup(state);
    struct buf b = {0};
    int fd;
    fill_pattern(&b, 32 << 20);
    struct server_conn *c = connect_one(&f, &fd);
    c->echo = false;
    send_bytes(&f, c, b.p, b.len);
    for (int i = 0; i < 5; i++) pump(&f, 1 * MS);
    assert_false(c->sent);
    send_reset(fd);
    PUMP_UNTIL(&f, c->sent && (c->error || c->eof));
    assert_true(c->sent_result < 0);
    teardown(&f);
    buf_free(&b);
}

static void test_close_while_sending(void **state) {
    struct fixture f = setup(state);
    struct buf b = {0};
    int fd;
    fill_pattern(&b, 32 << 20);
    for (int passes = 0; passes < 3; passes++) {
        struct server_conn *c = connect_one(&f, &fd);
        c->echo = false;
        send_bytes(&f, c, b.p, b.len);
        for (int i = 0; i < passes; i++) pump(&f, 1 * MS);
        io_close(f.io, &c->io);
        PUMP_UNTIL(&f, c->closed);
        assert_false(c->sent);
        close(fd);
    }
    teardown(&f);
    buf_free(&b);
}

static void run_peers(struct fixture *f, int count, uint64_t bytes, size_t piece_max) {
    struct peer *peers = calloc((size_t)count, sizeof(*peers));
    for (int i = 0; i < count; i++) {
        peers[i] = (struct peer){.fd = peer_connect(f), .to_send = bytes};
    }
    PUMP_UNTIL(f, f->accepted == count);
    for (int left = count; left > 0;) {
        left = 0;
        for (int i = 0; i < count; i++) {
            if (peers[i].received == bytes) continue;
            peer_step(&peers[i], piece_max);
            if (peers[i].received < bytes) left++;
        }
        pump(f, 0);
    }
    for (int i = 0; i < count; i++) close(peers[i].fd);
    for (struct server_conn *c = f->conns; c != NULL; c = c->next) PUMP_UNTIL(f, c->eof);
    free(peers);
}

static void test_many_connections(void **state) {
    struct fixture f = setup(state);
    run_peers(&f, 200, 100000, 9000);
    teardown(&f);
}

/** More completions in one pass than the completion queue of the smallest ring has places. */
static void test_queue_overflow(void **state) {
    struct io_options o = {.connections_hint = 1, .recv_buffers = 4096, .recv_buffer_size = 64};
    struct fixture f = setup_with(state, &o);
    f.events_max = 16;
    run_peers(&f, 300, 6400, 1280);
    teardown(&f);
}

static void test_unix_socket(void **state) {
    struct fixture f = setup(state);
    struct peer p = {.to_send = 1 << 20};
    struct server_conn *c = calloc(1, sizeof(*c));
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    p.fd = pair[0];
    c->echo = true;
    f.conns = c;
    f.accepted++;
    io_attach(f.io, &c->io, pair[1]);
    while (p.received < p.to_send) {
        peer_step(&p, 65536);
        pump(&f, 0);
    }
    close(p.fd);
    PUMP_UNTIL(&f, c->eof || c->error);
    teardown(&f);
}

static void test_few_events_at_a_time(void **state) {
    struct fixture f = setup(state);
    f.events_max = 1;
    run_peers(&f, 20, 20000, 3000);
    teardown(&f);
}

static void test_tiny_buffer_ring(void **state) {
    struct io_options o = {.recv_buffers = 4, .recv_buffer_size = 64};
    struct fixture f = setup_with(state, &o);
    run_peers(&f, 50, 5000, 1000);
    teardown(&f);
}

static void test_tiny_buffers_starve_nobody(void **state) {
    struct io_options o = {.recv_buffers = 4, .recv_buffer_size = 64};
    struct fixture f = setup_with(state, &o);
    enum { COUNT = 50 };
    struct server_conn *conns[COUNT];
    int fds[COUNT];
    char junk[16384] = {0};
    f.echo = false;
    for (int i = 0; i < COUNT; i++) conns[i] = connect_one(&f, &fds[i]);
    // All are kept busy by more than the server reads at a time; everyone must get on.
    for (int served = 0; served < COUNT;) {
        for (int i = 0; i < COUNT; i++) (void)!send(fds[i], junk, sizeof(junk), MSG_NOSIGNAL);
        pump(&f, 0);
        served = 0;
        for (int i = 0; i < COUNT; i++) served += conns[i]->received >= 4096;
    }
    for (int i = 0; i < COUNT; i++) close(fds[i]);
    teardown(&f);
}

static void test_idle_ones_survive_exhaustion(void **state) {
    struct io_options o = {.recv_buffers = 2, .recv_buffer_size = 64};
    struct fixture f = setup_with(state, &o);
    struct peer busy = {.to_send = 200000}, idle[20];
    connect_one(&f, &busy.fd);
    while (busy.sent < 50000) {
        peer_step(&busy, 65536);
        pump(&f, 0);
    }
    for (int i = 0; i < 20; i++) { // these attach while there is hardly a free buffer
        idle[i] = (struct peer){.to_send = 10};
        connect_one(&f, &idle[i].fd);
        peer_step(&busy, 65536);
    }
    while (busy.received < busy.to_send) {
        peer_step(&busy, 65536);
        pump(&f, 0);
    }
    for (int i = 0; i < 20; i++) {
        while (idle[i].received < 10) {
            peer_step(&idle[i], 10);
            pump(&f, 0);
        }
        close(idle[i].fd);
    }
    // Nothing to do now: the io must be able to sleep.
    while (pump(&f, 5 * MS) > 0) continue;
    uint64_t polls = f.io->polls;
    int64_t end_ns = clock_monotonic_ns() + 50 * MS;
    while (clock_monotonic_ns() < end_ns) pump(&f, 10 * MS);
    assert_true(f.io->polls - polls < 20);
    close(busy.fd);
    teardown(&f);
}

static void test_accept_storm(void **state) {
    struct fixture f = setup(state);
    enum { ROUNDS = 10, PER_ROUND = 60 };
    int fds[PER_ROUND];
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < PER_ROUND; i++) fds[i] = peer_connect(&f);
        PUMP_UNTIL(&f, f.accepted == (round + 1) * PER_ROUND);
        for (int i = 0; i < PER_ROUND; i++) {
            if (i % 2 == 0)
                send_reset(fds[i]);
            else
                close(fds[i]);
        }
        for (struct server_conn *c = f.conns; c != NULL; c = c->next) {
            if (!c->closed) io_close(f.io, &c->io);
        }
        PUMP_UNTIL(&f, f.closed == f.accepted);
    }
    teardown(&f);
}

/** What no longer listens accepts nothing more, armed or at rest, and its number may come back. */
static void test_unlisten(void **state) {
    struct fixture f = setup(state);
    for (int round = 0; round < 20; round++) {
        int before = f.listen_fd, first = peer_connect(&f);
        PUMP_UNTIL(&f, f.accepted == 2 * round + 1);
        if (round % 2 == 1) shutdown(before, SHUT_RDWR); // it fails, and rests
        pump(&f, 0);
        io_unlisten(f.io, before);
        close(before);
        pump(&f, 0);
        open_listener(&f);
        assert_int_equal(f.listen_fd, before); // the same number: another socket
        int second = peer_connect(&f);
        PUMP_UNTIL(&f, f.accepted == 2 * round + 2);
        close(first), close(second);
    }
    teardown(&f);
}

static void test_out_of_descriptors(void **state) {
    struct fixture f = setup(state);
    struct rlimit old, low;
    int first = peer_connect(&f), second = peer_connect(&f);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    uint64_t before = f.io->polls;
    int64_t end_ns = clock_monotonic_ns() + 50 * MS;
    while (clock_monotonic_ns() < end_ns) pump(&f, 50 * MS);
    assert_true(f.io->polls - before < 20); // it rests instead of trying all the time
    assert_int_equal(f.accepted, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    PUMP_UNTIL(&f, f.accepted == 2);
    close(first);
    close(second);
    teardown(&f);
}

static void test_timeouts(void **state) {
    struct fixture f = setup(state);
    assert_int_equal(pump(&f, 0), 0);
    static const int64_t timeouts_ns[] = {200000, 3 * MS, 30 * MS};
    for (int i = 0; i < 3; i++) {
        // A signal may end a wait early (one is what the kernel makes of a ring closed before), but
        // not each.
        int64_t longest_ns = 0;
        for (int tries = 0; tries < 5 && longest_ns < timeouts_ns[i]; tries++) {
            int64_t start_ns = clock_monotonic_ns();
            assert_int_equal(pump(&f, timeouts_ns[i]), 0);
            int64_t took_ns = clock_monotonic_ns() - start_ns;
            if (took_ns > longest_ns) longest_ns = took_ns;
        }
        assert_true(longest_ns >= timeouts_ns[i]);
    }
    uint64_t waits = f.io->waits;
    for (int i = 0; i < 1000; i++) pump(&f, 0);
    assert_int_equal(f.io->waits, waits);
    teardown(&f);
}

static void test_data_waits_for_nobody(void **state) {
    struct fixture f = setup(state);
    struct peer p = {.to_send = 100};
    connect_one(&f, &p.fd);
    peer_step(&p, 100);
    // Without a limit of time: the data must end the wait.
    while (f.conns->received < 100) pump(&f, -1);
    while (!f.conns->sent) pump(&f, -1);
    while (p.received < 100) peer_step(&p, 0);
    close(p.fd);
    teardown(&f);
}

struct waker {
    struct io *target;
    const char *backend; // of its own io, or NULL
    atomic_uint *mail;
    unsigned rounds;
    atomic_uint *seen;
};

/** Posts a letter, wakes, and every now and then waits for the answer: a lost wake-up hangs it. */
static void *run_waker(void *argument) {
    struct waker *w = argument;
    struct io *own = NULL;
    struct io_event events[8];
    if (w->backend != NULL && make_io(&own, w->backend, NULL, NULL) != 0) return (void *)1;
    for (unsigned i = 1; i <= w->rounds; i++) {
        atomic_store_explicit(w->mail, i, memory_order_relaxed);
        io_wake(w->target, own);
        if (own != NULL && io_poll(own, events, 8, 0) < 0) return (void *)1;
        while (i % 3 == 0 && atomic_load(w->seen) < i) sched_yield();
    }
    if (own != NULL) io_destroy(own);
    return NULL;
}

static void wake_stress(void **state, const char *from_backend) {
    struct fixture f = setup(state);
    atomic_uint mail = 0, seen = 0;
    struct waker w = {f.io, from_backend, &mail, 20000, &seen};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run_waker, &w), 0);
    // Sleeps without limit: only a wake-up can end it.
    while (atomic_load(&seen) < w.rounds) {
        int before = f.wakes;
        while (f.wakes == before) pump(&f, -1);
        atomic_store(&seen, atomic_load_explicit(&mail, memory_order_relaxed));
    }
    void *result;
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_null(result);
    assert_true(f.wakes <= 20000);
    teardown(&f);
}

static void test_wake_from_plain_thread(void **state) { wake_stress(state, NULL); }

static void test_wake_from_same_backend(void **state) { wake_stress(state, *state); }

static void test_wake_from_epoll(void **state) { wake_stress(state, "epoll"); }

static void test_wake_self_coalesces(void **state) {
    struct fixture f = setup(state);
    for (int i = 0; i < 5; i++) io_wake(f.io, i % 2 ? f.io : NULL);
    PUMP_UNTIL(&f, f.wakes > 0);
    for (int i = 0; i < 3; i++) pump(&f, 1 * MS);
    assert_int_equal(f.wakes, 1);
    io_wake(f.io, f.io);
    PUMP_UNTIL(&f, f.wakes == 2);
    teardown(&f);
}

static void test_choice_of_backend(void **state) {
    (void)state;
    struct io *io = NULL;
    const char *reason = "";
    struct io_options odd = {.recv_buffers = 3};
    assert_int_equal(io_create(&io, "select", NULL, NULL), -EINVAL);
    assert_int_equal(io_create(&io, "epoll", &odd, NULL), -EINVAL);
    assert_null(io);
    assert_int_equal(io_create(&io, "auto", NULL, &reason), 0);
    if (reason == NULL)
        assert_string_equal(io->ops->name, "io_uring");
    else
        assert_string_equal(io->ops->name, "epoll");
    io_destroy(io);
}

/** Forbids io_uring to this process as container runtimes do; returns an exit code. */
static int fall_back(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof(code) / sizeof(code[0]), code};
    struct io *io = NULL;
    const char *reason = NULL;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return 1;
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) return 2;
    if (io_create(&io, "io_uring", NULL, &reason) != -EPERM || io != NULL) return 3;
    if (reason == NULL || strstr(reason, "not permitted") == NULL) return 4;
    reason = NULL;
    if (io_create(&io, "auto", NULL, &reason) != 0 || reason == NULL) return 5;
    if (strcmp(io->ops->name, "epoll") != 0) return 6;
    io_destroy(io);
    return 0;
}

static void test_auto_falls_back(void **state) {
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(fall_back());
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

#define ON(f, backend) \
    { #f " (" backend ")", f, NULL, NULL, (void *)backend }
#define BOTH(f) \
    ON(f, "epoll"), ON(f, "io_uring"), ON(f, BELOW_TLS "epoll"), ON(f, BELOW_TLS "io_uring")

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choice_of_backend),
        cmocka_unit_test(test_auto_falls_back),
        BOTH(test_timeouts),
        BOTH(test_data_waits_for_nobody),
        BOTH(test_echo_big),
        BOTH(test_big_send_to_slow_reader),
        BOTH(test_pause_and_resume),
        BOTH(test_close_while_paused),
        BOTH(test_peer_closes),
        BOTH(test_half_close_is_answered),
        BOTH(test_reset_by_peer),
        BOTH(test_send_to_dead_peer),
        BOTH(test_close_while_sending),
        BOTH(test_many_connections),
        BOTH(test_queue_overflow),
        BOTH(test_unix_socket),
        BOTH(test_few_events_at_a_time),
        BOTH(test_tiny_buffer_ring),
        BOTH(test_tiny_buffers_starve_nobody),
        BOTH(test_idle_ones_survive_exhaustion),
        BOTH(test_accept_storm),
        BOTH(test_unlisten),
        BOTH(test_out_of_descriptors),
        BOTH(test_wake_self_coalesces),
        BOTH(test_wake_from_plain_thread),
        BOTH(test_wake_from_same_backend),
        BOTH(test_wake_from_epoll),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
