// SPDX-License-Identifier: BSD-3-Clause
/*
 * One worker: an epoll loop over its connections, in two phases (preload, measured run).
 *
 * Closed loop: a connection sends a batch of `pipeline` requests, and the next one when all are
 * answered; latency counts from the sending of the batch. Open loop: request n of the worker is due
 * at start + n * interval on connection n modulo their number, and latency counts from that instant
 * however late it was really sent, so a server that stalls cannot hide the requests that would have
 * come meanwhile. Cache-aside is a closed loop in which a batch of GETs is followed by the SETs of
 * what was missing. Invariant: `outstanding` is the sum of in_flight over the worker's connections.
 * Runs on its own thread; shares nothing mutable but the run's atomics.
 */
#define _GNU_SOURCE
#include "tools/torc_load/worker.h"

#include "tools/torc_load/util.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BUFFER_BYTES (256 * 1024)
#define PRELOAD_BATCH     128
#define EVENTS_MAX        256
/* A batch of large values is sent in pieces of this size, so that the server starts on it early. */
#define SEND_PIECE_BYTES  (256 * 1024)
/* How often a quiet worker looks whether it shall stop. */
#define LOOK_UP_NS        (100 * NS_PER_MS)
#define PRELOAD_COMMAND   UINT32_MAX
/* Templates of a cache-aside run. */
#define ASIDE_SET         0u
#define ASIDE_GET         1u

static void fail(struct worker *w, const char *what, const char *why) {
    if (!w->has_failed) snprintf(w->problem, sizeof w->problem, "%s: %s", what, why);
    w->has_failed = true;
    atomic_store(&w->run->stop, true);
}

/* Which command comes next on `c`: by turn or by weight. */
static uint32_t pick_command(struct worker *w, const struct connection *c) {
    const struct run *run = w->run;
    if (w->is_preloading) return PRELOAD_COMMAND;
    if (run->options->cache_aside) return c->missed_count > 0 ? ASIDE_SET : ASIDE_GET;
    if (run->template_count == 1) return 0;
    if (run->options->is_in_turn) return (uint32_t)(c->sent % run->template_count);
    uint64_t ticket = random_below(&w->mix, run->weight_until[run->template_count - 1]);
    uint32_t i = 0;
    while (ticket >= run->weight_until[i]) i++;
    return i;
}

/* The instant at which request `n` of this connection (from 0) is due in the open loop. */
static uint64_t due_ns(const struct worker *w, const struct connection *c, uint64_t n) {
    double number = (double)(n * w->connection_count + c->index);
    return w->phase_start_ns + (uint64_t)(number * w->interval_ns);
}

static bool write_out(struct worker *w, struct connection *c, size_t len) {
    if (len == 0) return true;
    w->stats.bytes_sent += w->is_preloading ? 0 : len;
    if (!connection_send(c, w->write_buffer, len)) {
        fail(w, "send", strerror(errno));
        return false;
    }
    return true;
}

/* Writes one request; in turns the first command draws the key and the others keep it. */
static size_t write_request(struct worker *w, struct connection *c,
                            const struct request_template *t, uint32_t command, char *out) {
    w->keys.is_held = w->run->options->is_in_turn && !w->is_preloading && command > 0;
    if (w->keys.is_held) w->keys.latest = c->turn_key;
    size_t len = request_write(t, &w->run->format, &w->keys, out);
    c->turn_key = w->keys.latest;
    return len;
}

/* Writes and sends `count` requests on `c`. */
static void send_requests(struct worker *w, struct connection *c, uint64_t count) {
    const struct run *run = w->run;
    bool is_open = w->interval_ns > 0 && !w->is_preloading;
    uint64_t now_ns = util_now_ns();
    size_t len = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint32_t command = pick_command(w, c);
        const struct request_template *t =
            w->is_preloading ? &run->preload : &run->templates[command];
        uint64_t since_ns = is_open ? due_ns(w, c, c->sent) : now_ns;
        if (is_open && now_ns > since_ns && now_ns - since_ns > w->stats.send_lag_max_ns)
            w->stats.send_lag_max_ns = now_ns - since_ns;
        uint32_t slot = c->head + c->in_flight;
        if (slot >= c->ring_size) slot -= c->ring_size;
        c->ring[slot] = (struct in_flight){.since_ns = since_ns, .command = command};
        uint64_t *key = &c->ring[slot].key;
        c->in_flight++;
        c->sent++;
        if (run->options->cache_aside && !w->is_preloading) {
            *key = command == ASIDE_SET ? c->missed[--c->missed_count] : keys_next(&w->keys);
            len += request_write_key(t, &run->format, &w->keys, *key, w->write_buffer + len);
        } else {
            len += write_request(w, c, t, command, w->write_buffer + len);
        }
        if (len >= SEND_PIECE_BYTES) {
            if (!write_out(w, c, len)) return;
            len = 0;
        }
    }
    w->outstanding += count;
    w->unsent -= count;
    if (!w->is_preloading) w->stats.requests_sent += count;
    write_out(w, c, len);
}

/* Sends what `c` may send now: a whole batch when idle, or in the open loop all that is due. */
static void fill(struct worker *w, struct connection *c) {
    uint64_t batch = w->is_preloading ? PRELOAD_BATCH : w->run->options->pipeline;
    uint64_t count;
    if (!w->is_sending) return;
    if (w->interval_ns > 0 && !w->is_preloading) {
        count = c->due - c->sent;
        if (count > batch - c->in_flight) count = batch - c->in_flight;
    } else {
        count = c->in_flight == 0 ? batch : 0;
        if (count > 0 && c->missed_count > 0) count = c->missed_count;
    }
    if (count > w->unsent) count = w->unsent;
    if (count > 0) send_requests(w, c, count);
}

/* Watches for writability only while bytes are pending. */
static void watch(struct worker *w, struct connection *c) {
    bool blocked = c->pending_len > 0;
    if (blocked == c->is_write_blocked) return;
    c->is_write_blocked = blocked;
    struct epoll_event event = {.events = EPOLLIN | (blocked ? EPOLLOUT : 0u), .data.ptr = c};
    if (epoll_ctl(w->epoll_fd, EPOLL_CTL_MOD, c->fd, &event) != 0)
        fail(w, "epoll_ctl", strerror(errno));
}

/* Counts the reply that the connection's parser has just completed. */
static void count_reply(struct worker *w, struct connection *c, uint64_t now_ns) {
    const struct reply_parser *p = &c->parser;
    struct in_flight *oldest = &c->ring[c->head];
    c->head = c->head + 1 == c->ring_size ? 0 : c->head + 1;
    c->in_flight--;
    w->outstanding--;
    if (p->has_error) stats_add_error(&w->stats, p->error, 1);
    if (oldest->command == PRELOAD_COMMAND) {
        w->stats.preloaded++;
        return;
    }
    struct command_stats *s = &w->stats.commands[oldest->command];
    w->stats.replies++;
    histogram_record(&s->latency, now_ns > oldest->since_ns ? now_ns - oldest->since_ns : 0);
    if (p->has_error) s->errors++;
    if (w->run->options->cache_aside && oldest->command == ASIDE_GET && p->nulls > 0)
        c->missed[c->missed_count++] = oldest->key;
    if (w->run->templates[oldest->command].counts_hits) {
        s->hits += p->values;
        s->misses += p->nulls;
    }
}

/* Reads all replies in the first `len` bytes of the read buffer. */
static bool take_replies(struct worker *w, struct connection *c, size_t len) {
    uint64_t now_ns = util_now_ns();
    const char *cursor = w->read_buffer;
    const char *end = cursor + len;
    w->last_reply_ns = now_ns;
    if (!w->is_preloading) w->stats.bytes_received += len;
    while (cursor < end) {
        enum reply_result result = reply_feed(&c->parser, &cursor, end);
        if (result == REPLY_MORE) break;
        if (result == REPLY_BAD) {
            fail(w, "protocol error", c->parser.error);
            return false;
        }
        if (c->parser.type == '>') {
            w->stats.pushes++;
        } else if (c->in_flight == 0) {
            fail(w, "protocol error", "a reply to no request");
            return false;
        } else {
            count_reply(w, c, now_ns);
        }
    }
    return true;
}

static void on_readable(struct worker *w, struct connection *c) {
    ssize_t got = recv(c->fd, w->read_buffer, READ_BUFFER_BYTES, 0);
    if (got < 0) {
        if (errno != EAGAIN && errno != EINTR) fail(w, "receive", strerror(errno));
        return;
    }
    if (got == 0) {
        if (c->in_flight > 0 || w->is_sending)
            fail(w, "receive", "connection closed by the server");
        else
            epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
        return;
    }
    if (take_replies(w, c, (size_t)got)) fill(w, c);
}

static void on_event(struct worker *w, const struct epoll_event *event) {
    struct connection *c = event->data.ptr;
    if ((event->events & EPOLLOUT) != 0 && !connection_flush(c)) {
        fail(w, "send", strerror(errno));
        return;
    }
    if ((event->events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) on_readable(w, c);
    if (!w->has_failed) watch(w, c);
}

/* Open loop: hands out the requests that are due by `now_ns` and sends them. */
static void release_due(struct worker *w, uint64_t now_ns) {
    uint64_t due = (uint64_t)((double)(now_ns - w->phase_start_ns) / w->interval_ns) + 1;
    while (w->released < due && !w->has_failed) {
        struct connection *c = &w->connections[w->released % w->connection_count];
        w->released++;
        c->due++;
        fill(w, c);
        watch(w, c);
    }
}

/* How long to sleep at most, from `now_ns`. */
static uint64_t sleep_ns(const struct worker *w, uint64_t now_ns) {
    uint64_t until_ns = now_ns + LOOK_UP_NS;
    if (w->is_sending && w->phase_end_ns < until_ns) until_ns = w->phase_end_ns;
    if (w->is_sending && w->interval_ns > 0 && !w->is_preloading) {
        uint64_t next_ns = w->phase_start_ns + (uint64_t)((double)w->released * w->interval_ns);
        if (next_ns < until_ns) until_ns = next_ns;
    }
    return until_ns > now_ns ? until_ns - now_ns : 0;
}

/* Ends the sending or the run when its time has come. */
static void look_at_clock(struct worker *w, uint64_t now_ns) {
    if (w->unsent == 0 || now_ns >= w->phase_end_ns || atomic_load(&w->run->stop))
        w->is_sending = false;
    uint64_t stall_ns = (uint64_t)(w->run->options->stall_seconds * (double)NS_PER_S);
    if (w->outstanding > 0 && now_ns > w->last_reply_ns + stall_ns)
        fail(w, "stalled", "no reply arrived within --stall-timeout");
    if (w->outstanding == 0)
        w->last_reply_ns = now_ns; /* nothing is awaited, so nothing can stall */
}

/* Runs until the phase has sent all it may and every reply has come, or something failed. */
static void run_phase(struct worker *w, uint64_t quota, uint64_t limit_ns) {
    struct epoll_event events[EVENTS_MAX];
    w->unsent = quota;
    w->is_sending = true;
    w->phase_start_ns = w->last_reply_ns = util_now_ns();
    w->phase_end_ns = w->phase_start_ns + limit_ns;
    w->released = 0;
    bool is_open = w->interval_ns > 0 && !w->is_preloading;
    for (uint32_t i = 0; i < w->connection_count && !w->has_failed; i++) {
        w->connections[i].due = w->connections[i].sent = 0;
        fill(w, &w->connections[i]);
        watch(w, &w->connections[i]);
    }
    while (!w->has_failed) {
        uint64_t now_ns = util_now_ns();
        look_at_clock(w, now_ns);
        if (w->is_sending && is_open) release_due(w, now_ns);
        if (w->outstanding == 0 && !w->is_sending) break;
        uint64_t wait_ns = sleep_ns(w, util_now_ns());
        struct timespec wait = {.tv_nsec = (long)wait_ns};
        int count = epoll_pwait2(w->epoll_fd, events, EVENTS_MAX, &wait, NULL);
        if (count < 0 && errno != EINTR) fail(w, "epoll_pwait2", strerror(errno));
        for (int i = 0; i < count && !w->has_failed; i++) on_event(w, &events[i]);
    }
}

/* Makes the buffers and opens the connections. */
static void set_up(struct worker *w) {
    const struct run *run = w->run;
    const struct options *o = run->options;
    size_t max_len = run->preload.max_len;
    for (uint32_t i = 0; i < run->template_count; i++) {
        if (run->templates[i].max_len > max_len) max_len = run->templates[i].max_len;
    }
    w->read_buffer = util_alloc(1, READ_BUFFER_BYTES);
    w->write_buffer = util_alloc(1, SEND_PIECE_BYTES + max_len);
    uint32_t ring = o->pipeline > PRELOAD_BATCH ? (uint32_t)o->pipeline : PRELOAD_BATCH;
    w->connections = util_alloc(w->connection_count, sizeof *w->connections);
    for (uint32_t i = 0; i < w->connection_count; i++) w->connections[i].fd = -1;
    w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (w->epoll_fd < 0) {
        fail(w, "epoll_create1", strerror(errno));
        return;
    }
    for (uint32_t i = 0; i < w->connection_count; i++) {
        struct connection *c = &w->connections[i];
        char problem[200];
        c->index = i;
        if (atomic_load(&w->run->stop)) return;
        if (!connection_open(c, o, ring, problem, sizeof problem)) {
            fail(w, o->socket != NULL ? o->socket : o->host, problem);
            return;
        }
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, c->fd, &event) != 0) {
            fail(w, "epoll_ctl", strerror(errno));
            return;
        }
    }
}

static void preload(struct worker *w) {
    const struct options *o = w->run->options;
    uint64_t count = o->keys * (w->index + 1) / o->threads - o->keys * w->index / o->threads;
    keys_init(&w->keys, KEYS_SEQUENTIAL, o->keys, o->theta, o->seed, w->index,
              (uint32_t)o->threads);
    w->is_preloading = true;
    if (count > 0) run_phase(w, count, (uint64_t)86400 * NS_PER_S);
    w->is_preloading = false;
}

static void measure(struct worker *w) {
    const struct options *o = w->run->options;
    uint64_t quota = UINT64_MAX;
    if (o->requests != 0)
        quota = o->requests * (w->index + 1) / o->threads - o->requests * w->index / o->threads;
    keys_init(&w->keys, o->distribution, o->keys, o->theta, o->seed, w->index,
              (uint32_t)o->threads);
    random_seed(&w->mix, ~o->seed + w->index);
    if (o->rate > 0)
        w->interval_ns =
            (double)NS_PER_S * (double)o->connections / (o->rate * (double)w->connection_count);
    run_phase(w, quota, (uint64_t)(o->seconds * (double)NS_PER_S));
    w->stats.start_ns = w->phase_start_ns;
    w->stats.end_ns = w->last_reply_ns;
    for (uint32_t i = 0; i < w->connection_count && w->interval_ns > 0 && w->unsent > 0; i++)
        w->stats.never_sent += w->connections[i].due - w->connections[i].sent;
}

void *worker_main(void *argument) {
    struct worker *w = argument;
    struct run *run = w->run;
    prctl(PR_SET_TIMERSLACK, 1ul); /* the open loop's sleeps shall end in time */
    set_up(w);
    if (run->options->preload && !w->has_failed) preload(w);
    pthread_barrier_wait(&run->barrier);
    if (!run->options->preload_only && !w->has_failed && !atomic_load(&run->stop)) measure(w);
    atomic_fetch_add(&run->finished, 1);
    pthread_kill(run->main_thread, SIGUSR1);
    return NULL;
}

void worker_fini(struct worker *w) {
    for (uint32_t i = 0; i < w->connection_count && w->connections != NULL; i++)
        connection_fini(&w->connections[i]);
    if (w->epoll_fd >= 0) close(w->epoll_fd);
    free(w->connections);
    free(w->read_buffer);
    free(w->write_buffer);
    stats_fini(&w->stats);
}
