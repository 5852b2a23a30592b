// SPDX-License-Identifier: BSD-3-Clause
//
// torc-driver: shards in this process, driven so that every run executes the same instructions:
// one thread, a clock that this program moves, connections that are socket pairs, requests drawn
// from a fixed seed. What bench/guard counts under callgrind is turn(): one round of what loop.c
// does, from the poll to the start of the sends, on the real epoll backend and the real core.
// Filling and the clients' side are outside of it. Invariant: every reply is compared byte by byte
// with what it must be, so the instructions that are counted are those of right answers. Called by
// bench/guard, by hand for a profile.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/log.h"
#include "engine/base/random.h"
#include "shards/session.h"
#include "shards/shard.h"

#define EVENTS        512
#define KEY_SIZE      16
#define CLIENTS_MAX   50
#define TURNS_MAX     64 // of one round: replies that take more of them are lost
#define FILL_BATCH    64
#define ROUND_NS      INT64_C(20000) // how long a round of requests takes by the driver's clock
#define WALL_START_US INT64_C(1700000000000000)
#define SOCKET_BUFFER (1 << 20)

/** A mix of requests; each of `clients` connections sends `pipeline` of them in a round. */
struct scenario {
    const char *name;
    int clients, pipeline;
    int keys_each; // keys of one request; more than one: MGET
    int value_size;
    bool writes, misses;
    uint32_t shards; // only the first has clients; it visits the others, which sleep
};

static const struct scenario scenarios[] = {
    {"get-pipeline-50", 1, 50, 1, 32, false, false, 1},
    {"set-pipeline-50", 1, 50, 1, 32, true, false, 1},
    {"get", 1, 1, 1, 32, false, false, 1},
    {"set", 1, 1, 1, 32, true, false, 1},
    {"get-50-clients", 50, 1, 1, 32, false, false, 1},
    {"get-miss-pipeline-50", 1, 50, 1, 32, false, true, 1},
    {"get-1k-pipeline-10", 1, 10, 1, 1024, false, false, 1},
    {"mget-100", 1, 1, 100, 32, false, false, 1},
    {"get-2-shards-pipeline-50", 1, 50, 1, 32, false, false, 2},
    {"mget-100-2-shards", 1, 1, 100, 32, false, false, 2},
};

struct driver {
    const struct scenario *scenario;
    struct fleet *fleet;
    struct shard *shard; // the first
    struct io *io;       // its
    struct random random;
    int64_t now_ns;
    uint64_t keys;
    bool is_counting;
    int peers[CLIENTS_MAX];
    struct buf requests, expected, got;
};

static void fail(const char *what) {
    fprintf(stderr, "torc-driver: %s\n", what);
    exit(1);
}

/** One round of what loop.c does; with `count` events in hand it does not poll. */
__attribute__((noinline)) static void turn(struct driver *d, struct io_event *events, int count) {
    struct shard *s = d->shard;
    bool sleeping = shard_sleep_ns(s) > 0 && shard_sleep_begin(s);
    if (count == 0) count = io_poll(d->io, events, EVENTS, 0);
    if (sleeping) shard_sleep_end(s);
    shard_pass(s, events, count, WALL_START_US + d->now_ns / 1000, d->now_ns);
}

// noclone is gcc's; clang makes no copies that go by other names.
#if __has_attribute(noclone)
#define ONE_COPY __attribute__((noinline, noclone, used))
#else
#define ONE_COPY __attribute__((noinline, used))
#endif

/** What is counted: bench/guard tells callgrind to collect in the function of this name. */
ONE_COPY static void counted_turn(struct driver *d, struct io_event *events) { turn(d, events, 0); }

static void next_turn(struct driver *d) {
    struct io_event events[EVENTS];
    if (d->is_counting)
        counted_turn(d, events);
    else
        turn(d, events, 0);
    d->now_ns += ROUND_NS / 4;
}

// ---- requests ----------------------------------------------------------------------------------

/** Key number n; those from `keys` on do not exist. */
static void add_key(struct buf *out, uint64_t n) {
    char key[KEY_SIZE + 1];
    snprintf(key, sizeof key, "key:%012llu", (unsigned long long)n % 1000000000000);
    buf_printf(out, "$%d\r\n%s\r\n", KEY_SIZE, key);
}

/** Values differ by key, so that a wrong one is seen. */
static void add_value(struct buf *out, uint64_t n, int size) {
    buf_printf(out, "$%d\r\n", size);
    char *p = buf_reserve(out, (size_t)size);
    for (int i = 0; i < size; i++) p[i] = (char)('a' + (n + (uint64_t)i) % 26);
    out->len += (size_t)size;
    buf_append_text(out, "\r\n");
}

static void add_set(struct driver *d, uint64_t key, int value_size) {
    buf_append_text(&d->requests, "*3\r\n$3\r\nSET\r\n");
    add_key(&d->requests, key);
    add_value(&d->requests, key, value_size);
    buf_append_text(&d->expected, "+OK\r\n");
}

static void add_reads(struct driver *d) {
    const struct scenario *s = d->scenario;
    if (s->keys_each == 1) {
        buf_append_text(&d->requests, "*2\r\n$3\r\nGET\r\n");
    } else {
        buf_printf(&d->requests, "*%d\r\n$4\r\nMGET\r\n", s->keys_each + 1);
        buf_printf(&d->expected, "*%d\r\n", s->keys_each);
    }
    for (int i = 0; i < s->keys_each; i++) {
        uint64_t key = random_below(&d->random, d->keys);
        add_key(&d->requests, s->misses ? key + d->keys : key);
        if (s->misses)
            buf_append_text(&d->expected, "$-1\r\n");
        else
            add_value(&d->expected, key, s->value_size);
    }
}

// ---- clients -----------------------------------------------------------------------------------

static void write_all(int fd, const char *p, size_t n) {
    while (n > 0) {
        ssize_t written = write(fd, p, n);
        if (written < 0) fail(strerror(errno));
        p += written;
        n -= (size_t)written;
    }
}

/** Takes what has arrived, up to `missing` bytes. */
static void read_replies(struct driver *d, int fd, size_t missing) {
    ssize_t n = read(fd, buf_reserve(&d->got, missing), missing);
    if (n > 0) d->got.len += (size_t)n;
    if (n == 0 || (n < 0 && errno != EAGAIN)) fail("a connection ended");
}

/** Sends `requests` on each of the first `clients` connections and waits for `expected` on each. */
static void round_trip(struct driver *d, int clients) {
    size_t length = d->expected.len;
    int answered = 0;
    for (int i = 0; i < clients; i++) write_all(d->peers[i], d->requests.p, d->requests.len);
    d->got.len = 0;
    for (int turns = 0; answered < clients; turns++) {
        if (turns == TURNS_MAX) fail("replies do not come");
        next_turn(d);
        for (; answered < clients; answered++) {
            read_replies(d, d->peers[answered], length - d->got.len);
            if (d->got.len < length) break;
            if (memcmp(d->got.p, d->expected.p, length) != 0) fail("a reply is wrong");
            d->got.len = 0;
        }
    }
    // The poll that reports the ends of the sends belongs to the round.
    next_turn(d);
    d->requests.len = d->expected.len = 0;
}

/** Connects through a socket pair whose other end the shard accepts. */
static int connect_client(struct driver *d) {
    int pair[2], size = SOCKET_BUFFER;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
        fail(strerror(errno));
    for (int i = 0; i < 2; i++)
        if (setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size) < 0)
            fail(strerror(errno));
    struct io_event accepted = {.kind = IO_ACCEPT, .result = pair[1], .tag = 1};
    turn(d, &accepted, 1);
    return pair[0];
}

// ---- a run -------------------------------------------------------------------------------------

static void ignore_shutdown(struct fleet *fleet) { (void)fleet; }

static void start(struct driver *d) {
    char run_id[41] = {0};
    log_set_level(LOG_WARN);
    session_bind();
    struct config *config = config_new();
    uint32_t shards = d->scenario->shards;
    d->fleet = fleet_new(shards, 1, run_id, WALL_START_US);
    d->fleet->on_shutdown = ignore_shutdown;
    d->now_ns = 1000000000;
    random_init(&d->random, 1);
    for (uint32_t i = 0; i < shards; i++) {
        int error = io_create(&d->io, "epoll", NULL, NULL);
        if (error < 0) fail(strerror(-error));
        d->shard = shard_new(d->fleet, i, d->io, config, 1);
    }
    for (uint32_t i = shards; i-- > 0;) { // a pass opens the door to visitors
        d->shard = d->fleet->shards[i];
        d->io = d->shard->io;
        turn(d, NULL, 0);
    }
    for (int i = 0; i < d->scenario->clients; i++) d->peers[i] = connect_client(d);
}

/** Sets every key, so that a run of SETs replaces values of their size. */
static void fill(struct driver *d) {
    for (uint64_t key = 0; key < d->keys;) {
        for (int i = 0; i < FILL_BATCH && key < d->keys; i++, key++)
            add_set(d, key, d->scenario->value_size);
        round_trip(d, 1);
    }
}

static void run(struct driver *d, uint64_t rounds) {
    d->is_counting = true;
    for (; rounds > 0; rounds--) {
        for (int i = 0; i < d->scenario->pipeline; i++) {
            if (d->scenario->writes)
                add_set(d, random_below(&d->random, d->keys), d->scenario->value_size);
            else
                add_reads(d);
        }
        round_trip(d, d->scenario->clients);
    }
}

static uint64_t number(const char *text) {
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    if (*end != '\0' || value == 0) fail("not a number above 0");
    return value;
}

static void list(void) {
    printf("compiler: %s\n", __VERSION__);
    printf("allocator: %s\n", mem_allocator_name());
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        const struct scenario *s = &scenarios[i];
        printf("scenario: %s %d\n", s->name, s->clients * s->pipeline * s->keys_each);
    }
}

int main(int argc, char **argv) {
    static struct driver d;
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        list();
        return 0;
    }
    if (argc != 4) fail("usage: torc-driver --list | SCENARIO KEYS ROUNDS");
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
        if (strcmp(argv[1], scenarios[i].name) == 0) d.scenario = &scenarios[i];
    if (d.scenario == NULL) fail("no such scenario: --list shows them");
    d.keys = number(argv[2]);
    uint64_t rounds = number(argv[3]);
    start(&d);
    fill(&d);
    run(&d, rounds);
    return 0;
}
