// SPDX-License-Identifier: BSD-3-Clause
//
// The conversation with the server that MIGRATE moves keys to: connecting, AUTH and SELECT, then a
// RESTORE for each key, all of them on their way before the first is answered. Runs on a thread of
// the pool. It sends and reads side by side, so that a slow reader is never waited for while it
// waits for us, and serializes a value only when there is room for it, so that it needs memory for
// one value at a time. Invariant: answers are counted in the order of what was sent. Called by
// migrate_pool.c.
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/clock.h"
#include "engine/base/num.h"
#include "engine/rdb/rdb_payload.h"
#include "shards/migrate_job.h"

#define LOOK_MS     50           // how often a wait looks whether it is to be given up
#define AHEAD       (256 * 1024) // bytes that are serialized before the socket has taken them
#define READ_SIZE   (16 * 1024)
#define ANSWER_MAX  (64 * 1024) // a longer answer is none
#define LENGTH_ROOM 24          // "$", a length, a line end
#define TIMEOUT_MAX INT64_C(1000000000000)

/** A conversation under way. */
struct talk {
    struct migrate_link *link;
    const struct migrate_order *order;
    const atomic_bool *stop;
    struct buf out; // to be sent ...
    size_t out_at;  // ... from here on
    int64_t deadline_ns;
};

// ---- waiting -----------------------------------------------------------------------------------

static int64_t deadline_of(const struct migrate_order *order) {
    int64_t ms = order->timeout_ms < TIMEOUT_MAX ? order->timeout_ms : TIMEOUT_MAX;
    return clock_monotonic_ns() + ms * 1000000;
}

/** Waits until the socket can be read or written (poll's bits, *events in and out). */
static enum migrate_status await(int fd, short *events, int64_t deadline_ns,
                                 const atomic_bool *stop) {
    for (;;) {
        struct pollfd p = {.fd = fd, .events = *events};
        int64_t left_ns = deadline_ns - clock_monotonic_ns();
        if (left_ns <= 0) return MIGRATE_LATE;
        int64_t ms = left_ns / 1000000 + 1;
        int rc = poll(&p, 1, ms < LOOK_MS ? (int)ms : LOOK_MS);
        if (rc > 0) {
            *events = p.revents;
            return MIGRATE_FINE;
        }
        if ((rc < 0 && errno != EINTR) || atomic_load(stop)) return MIGRATE_BROKEN;
    }
}

// ---- connecting --------------------------------------------------------------------------------

/** LATE also when there is no way there; BROKEN: somebody has refused. */
static enum migrate_status connect_to(int fd, const struct addrinfo *address, int64_t deadline_ns,
                                      const atomic_bool *stop) {
    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0) return MIGRATE_FINE;
    if (errno == ECONNREFUSED) return MIGRATE_BROKEN;
    if (errno != EINPROGRESS) return MIGRATE_LATE;
    short events = POLLOUT;
    if (await(fd, &events, deadline_ns, stop) != MIGRATE_FINE) return MIGRATE_LATE;
    int error = 0;
    socklen_t size = sizeof error;
    bool good = getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
    return good ? MIGRATE_FINE : MIGRATE_BROKEN;
}

/** A connected socket; -1: there is none to be had, *status says in what way. */
static int connect_any(const struct addrinfo *list, const struct migrate_order *order,
                       const atomic_bool *stop, enum migrate_status *status) {
    int64_t deadline_ns = deadline_of(order);
    *status = MIGRATE_LATE;
    for (const struct addrinfo *a = list; a; a = a->ai_next) {
        int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) continue;
        *status = connect_to(fd, a, deadline_ns, stop);
        if (*status == MIGRATE_FINE) {
            int on = 1;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            return fd;
        }
        close(fd);
    }
    return -1;
}

void migrate_link_identity(const struct migrate_order *order, struct buf *out) {
    const struct slice parts[] = {slice_text(order->host), slice_text(order->port), order->user,
                                  order->password};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        buf_printf(out, "%s%zu:", parts[i].p ? "+" : "-", parts[i].n);
        buf_append(out, parts[i].p, parts[i].n);
    }
}

struct migrate_link *migrate_link_open(const struct migrate_order *order, struct buf *error,
                                       const atomic_bool *stop) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list;
    enum migrate_status status = MIGRATE_LATE;
    int fd = -1;
    char port[24];
    snprintf(port, sizeof port, "%d", (int)strtol(order->port, NULL, 10)); // no number: 0
    if (getaddrinfo(order->host, port, &hints, &list) == 0) {
        fd = connect_any(list, order, stop, &status);
        freeaddrinfo(list);
    }
    // As Redis words it, which finds out that it was refused when it writes.
    if (fd < 0)
        buf_append_text(error, status == MIGRATE_BROKEN
                                   ? "IOERR error or timeout writing to target instance"
                                   : "IOERR error or timeout connecting to the client");
    if (fd < 0) return NULL;
    struct migrate_link *link = mem_calloc(sizeof *link);
    link->fd = fd;
    migrate_link_identity(order, &link->identity);
    return link;
}

void migrate_link_close(struct migrate_link *link) {
    close(link->fd);
    buf_free(&link->identity);
    buf_free(&link->in);
    mem_free(link);
}

// ---- talking -----------------------------------------------------------------------------------

static struct talk talk_begin(struct migrate_link *link, const struct migrate_order *order,
                              const atomic_bool *stop) {
    return (struct talk){
        .link = link, .order = order, .stop = stop, .deadline_ns = deadline_of(order)};
}

static bool is_sent(const struct talk *t) { return t->out_at == t->out.len; }

static bool send_some(struct talk *t) {
    ssize_t n = send(t->link->fd, t->out.p + t->out_at, t->out.len - t->out_at, MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    t->out_at += (size_t)n;
    return true;
}

static bool read_some(struct talk *t) {
    struct buf *in = &t->link->in;
    ssize_t n = recv(t->link->fd, buf_reserve(in, READ_SIZE), READ_SIZE, 0);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    in->len += (size_t)n;
    return n > 0;
}

/** Waits until something can be sent or read, and does that. */
static enum migrate_status talk_step(struct talk *t) {
    short events = POLLIN;
    if (!is_sent(t)) events |= POLLOUT;
    enum migrate_status status = await(t->link->fd, &events, t->deadline_ns, t->stop);
    if (status != MIGRATE_FINE) return status;
    if ((events & POLLOUT) && !send_some(t)) return MIGRATE_BROKEN;
    if ((events & ~POLLOUT) && !read_some(t)) return MIGRATE_BROKEN;
    t->deadline_ns = deadline_of(t->order);
    return MIGRATE_FINE;
}

/**
 * The next answer, without its line end: "+..." or "-...". *line is NULL while it has not come.
 * What is neither comes from something that is no server of our kind.
 */
static enum migrate_status next_answer(struct migrate_link *link, struct slice *line) {
    *line = (struct slice){NULL, 0};
    size_t waiting = link->in.len - link->in_at;
    if (waiting == 0) {
        link->in.len = link->in_at = 0;
        return MIGRATE_FINE;
    }
    const char *start = link->in.p + link->in_at, *end = memchr(start, '\n', waiting);
    if (*start != '+' && *start != '-') return MIGRATE_BROKEN;
    if (!end) return waiting < ANSWER_MAX ? MIGRATE_FINE : MIGRATE_BROKEN;
    size_t n = (size_t)(end - start);
    link->in_at += n + 1;
    *line = slice_of(start, n > 0 && start[n - 1] == '\r' ? n - 1 : n);
    return MIGRATE_FINE;
}

/** Notes the first thing that the other server did not like. */
static void note_refusal(struct buf *error, struct slice line) {
    if (error->len > 0) return;
    buf_printf(error, "ERR Target instance replied with error: %.*s", (int)(line.n - 1),
               line.p + 1);
}

// ---- commands ----------------------------------------------------------------------------------

static void put_array(struct buf *out, int n) { buf_printf(out, "*%d\r\n", n); }

static void put_bulk(struct buf *out, struct slice text) {
    buf_printf(out, "$%zu\r\n", text.n);
    buf_append(out, text.p, text.n);
    buf_append_text(out, "\r\n");
}

static void put_number(struct buf *out, int64_t number) {
    char text[NUM_I64_TEXT_MAX];
    put_bulk(out, slice_of(text, num_format_i64(text, number)));
}

/** The payload, whose length stands in front of it: it is moved to where that leaves it room. */
static void put_payload(struct buf *out, const struct entry *e, const struct rdb_save *how) {
    buf_reserve(out, LENGTH_ROOM);
    size_t start = out->len;
    out->len += LENGTH_ROOM;
    struct rdb_save can = *how;
    if (rdb_save_obstacle(e, &can) != NULL) can.version = RDB_VERSION_REDIS; // as DUMP
    rdb_payload_save(out, e, &can);
    size_t n = out->len - start - LENGTH_ROOM;
    char head[LENGTH_ROOM];
    size_t h = (size_t)snprintf(head, sizeof head, "$%zu\r\n", n);
    memmove(out->p + start + h, out->p + start + LENGTH_ROOM, n);
    memcpy(out->p + start, head, h);
    out->len = start + h + n;
    buf_append_text(out, "\r\n");
}

/** RESTORE of the key, unless its time is over. */
static void put_key(struct buf *out, const struct migrate_order *order, struct migrate_key *k) {
    int64_t expire_ms = entry_expire_ms(k->entry), left_ms = 0;
    if (expire_ms != ENTRY_NO_EXPIRE) {
        left_ms = expire_ms - clock_wall_us() / 1000;
        if (left_ms < 0) return;
        if (left_ms == 0) left_ms = 1; // 0 is for ever
    }
    k->sent = true;
    put_array(out, order->replace ? 5 : 4);
    put_bulk(out, slice_text(order->asking ? "RESTORE-ASKING" : "RESTORE"));
    put_bulk(out, k->key);
    put_number(out, left_ms);
    put_payload(out, k->entry, &order->how);
    if (order->replace) put_bulk(out, slice_text("REPLACE"));
}

enum migrate_status migrate_link_prepare(struct migrate_link *link,
                                         const struct migrate_order *order, struct buf *error,
                                         const atomic_bool *stop) {
    struct talk t = talk_begin(link, order, stop);
    int wanted = 1;
    if (order->password.p) {
        wanted++;
        put_array(&t.out, order->user.p ? 3 : 2);
        put_bulk(&t.out, slice_text("AUTH"));
        if (order->user.p) put_bulk(&t.out, order->user);
        put_bulk(&t.out, order->password);
    }
    put_array(&t.out, 2);
    put_bulk(&t.out, slice_text("SELECT"));
    put_number(&t.out, order->db);
    enum migrate_status status = MIGRATE_FINE;
    while (wanted > 0 && status == MIGRATE_FINE) {
        struct slice line;
        status = next_answer(link, &line);
        if (line.p) {
            wanted--;
            if (line.p[0] == '-') note_refusal(error, line);
        } else if (status == MIGRATE_FINE) {
            status = talk_step(&t);
        }
    }
    buf_free(&t.out);
    return status;
}

/** What the version that is asked for cannot express is found out before anything is sent. */
static bool is_expressible(struct migrate_job *job) {
    const struct migrate_order *order = &job->order;
    for (uint32_t i = 0; i < job->key_count && order->exactly; i++) {
        const char *obstacle = rdb_save_obstacle(job->keys[i].entry, &order->how);
        if (!obstacle) continue;
        buf_printf(&job->error, "ERR %s cannot be expressed in RDB version %d (rdb-version)",
                   obstacle, order->how.version);
        return false;
    }
    return true;
}

/** Takes in the answers that have come; *answered counts keys, those not sent included. */
static enum migrate_status read_answers(struct migrate_link *link, struct migrate_job *job,
                                        uint32_t put, uint32_t *answered) {
    for (;;) {
        while (*answered < put && !job->keys[*answered].sent) ++*answered;
        if (*answered == put) return MIGRATE_FINE;
        struct slice line;
        enum migrate_status status = next_answer(link, &line);
        if (!line.p) return status;
        struct migrate_key *k = &job->keys[(*answered)++];
        k->accepted = line.p[0] == '+';
        if (!k->accepted) note_refusal(&job->error, line);
    }
}

enum migrate_status migrate_link_transfer(struct migrate_link *link, struct migrate_job *job,
                                          const atomic_bool *stop) {
    if (!is_expressible(job)) return MIGRATE_FINE;
    struct talk t = talk_begin(link, &job->order, stop);
    uint32_t put = 0, answered = 0;
    enum migrate_status status = MIGRATE_FINE;
    for (;;) {
        if (put < job->key_count && t.out.len - t.out_at < AHEAD) {
            buf_consume(&t.out, t.out_at);
            t.out_at = 0;
            while (put < job->key_count && t.out.len < AHEAD)
                put_key(&t.out, &job->order, &job->keys[put++]);
            t.deadline_ns = deadline_of(&job->order); // that was our time, not the other's
        }
        status = read_answers(link, job, put, &answered);
        if (status != MIGRATE_FINE || (put == job->key_count && answered == put)) break;
        status = talk_step(&t);
        if (status != MIGRATE_FINE) break;
    }
    if (status != MIGRATE_FINE && job->error.len == 0)
        buf_printf(&job->error, "IOERR error or timeout %s to target instance",
                   is_sent(&t) ? "reading" : "writing");
    buf_free(&t.out);
    return status;
}
