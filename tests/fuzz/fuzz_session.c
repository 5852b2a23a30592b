// SPDX-License-Identifier: BSD-3-Clause
//
// Fuzz target for whole shards: an input is a script for one to three clients of a fleet of one or
// two shards over an io in memory. It sends commands of the real table with arguments from a small
// dictionary and, where its first byte allows that, raw bytes; clients stop reading, end or vanish
// in the middle; passes, pieces of bytes and virtual time come in an order drawn from the input's
// hash, and so does a longer script where the first byte asks for it, and which clients come by
// shard ports. One thread. Invariants:
// intents and timers are valid after each pass, replies are RESP, scripts without raw bytes get one
// reply per command, and after the end nothing is left: no part, no message, no connection, no
// memory, and keyspaces are valid.
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/log.h"
#include "engine/base/random.h"
#include "shards/connection.h"
#include "shards/pubsub.h"
#include "shards/session.h"
#include "shards/shard.h"
#include "tests/fuzz/fuzz_session_lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SHARDS        2
#define LINKS         3
#define EVENTS        16
#define FD_BASE       (1 << 24) // no descriptor of the process is ever this high
#define WALL_START_US INT64_C(1700000000000000)
#define STRING_MAX    1024 // bytes: LCS takes the product of two lengths
#define ROUNDS_MAX    200000
#define IDLE_ADVANCES 4 // times that the clock moves to the end of a sleep: nothing is left to do

/** A client and both directions of its connection. */
struct link {
    struct io_conn *conn;
    uint32_t shard;
    bool node;                      // comes by the port of its shard
    bool offered, attached, closed; // by the shards
    bool paused, closing;
    bool ended, reset, end_told; // by the client
    bool deaf;                   // does not read for now
    bool inexact;                // not every command gets a reply of its own
    uint64_t commands;
    struct buf to_server, replies;
    struct iovec *send_v; // rest of the send in progress
    size_t send_count;
};

struct fuzz_io {
    struct io io; // first member
    struct world *world;
    uint32_t shard;
    bool woken, sleeping;
    int64_t deadline_ns;
    char *blocks[EVENTS]; // data of the events in hand
    int block_count;
};

struct world {
    struct random random;
    const uint8_t *p; // rest of the script
    size_t n, extra;  // ... and how many bytes are drawn when it is used up
    uint32_t nshards, nlinks;
    bool raw_allowed, inexact;
    struct fleet *fleet;
    struct config *config;
    struct fuzz_io ios[SHARDS];
    struct link links[LINKS];
    int64_t now_ns;
    uint64_t rounds;
};

static uint32_t below(struct world *w, uint32_t bound) {
    return (uint32_t)random_below(&w->random, bound);
}

/** The next byte of the script, below bound. */
static uint32_t take(struct world *w, uint32_t bound) {
    if (w->n == 0) {
        if (w->extra == 0) return 0;
        w->extra--;
        return below(w, bound);
    }
    w->n--;
    return *w->p++ % bound;
}

// ---- io in memory ------------------------------------------------------------------------------

static struct link *link_of(struct io *io, const struct io_conn *conn) {
    struct fuzz_io *fio = (struct fuzz_io *)io;
    struct link *l = &fio->world->links[conn->fd - FD_BASE];
    ASSERT(l->conn == conn && l->shard == fio->shard);
    return l;
}

static int fuzz_poll(struct io *io, struct io_event *events, int max, int64_t timeout_ns) {
    (void)io, (void)events, (void)max, (void)timeout_ns;
    ASSERT(false); // the core has no business polling
    return 0;
}

static int fuzz_listen(struct io *io, int fd, uint32_t tag) {
    (void)io, (void)fd, (void)tag;
    return -ENOTSUP;
}

static void fuzz_attach(struct io *io, struct io_conn *conn, int fd) {
    struct fuzz_io *fio = (struct fuzz_io *)io;
    struct link *l = &fio->world->links[fd - FD_BASE];
    ASSERT(l->offered && !l->attached);
    conn->fd = fd;
    l->conn = conn;
    l->attached = true;
    l->shard = fio->shard;
}

static void fuzz_recv_pause(struct io *io, struct io_conn *conn) {
    link_of(io, conn)->paused = true;
}
static void fuzz_recv_resume(struct io *io, struct io_conn *conn) {
    link_of(io, conn)->paused = false;
}

/** The client takes a piece of the send in progress. True: that was the last. */
static bool move_replies(struct world *w, struct link *l) {
    size_t left = l->send_v->iov_len, n = 1 + below(w, 100);
    if (n > left || below(w, 4) != 0) n = left;
    buf_append(&l->replies, l->send_v->iov_base, n);
    l->send_v->iov_base = (char *)l->send_v->iov_base + n;
    l->send_v->iov_len -= n;
    if (l->send_v->iov_len == 0) {
        l->send_v++;
        l->send_count--;
    }
    return l->send_count == 0;
}

static int fuzz_send(struct io *io, struct io_conn *conn, struct iovec *v, size_t count) {
    struct link *l = link_of(io, conn);
    struct world *w = ((struct fuzz_io *)io)->world;
    ASSERT(!l->closing && l->send_count == 0 && count > 0);
    for (size_t i = 0; i < count; i++) ASSERT(v[i].iov_len > 0);
    if (l->reset && below(w, 2)) return -EPIPE;
    l->send_v = v;
    l->send_count = count;
    if (l->deaf || below(w, 2)) return 0;
    while (!l->reset && !move_replies(w, l)) {
    }
    return l->send_count == 0;
}

static void fuzz_close(struct io *io, struct io_conn *conn) { link_of(io, conn)->closing = true; }

static void fuzz_wake(struct io *io, struct io *from) {
    ASSERT(from != io);
    ((struct fuzz_io *)io)->woken = true;
}

static void fuzz_destroy(struct io *io) { (void)io; }

static const struct io_ops fuzz_io_ops = {
    .name = "fuzz",
    .poll = fuzz_poll,
    .listen = fuzz_listen,
    .attach = fuzz_attach,
    .recv_pause = fuzz_recv_pause,
    .recv_resume = fuzz_recv_resume,
    .send = fuzz_send,
    .close = fuzz_close,
    .wake = fuzz_wake,
    .destroy = fuzz_destroy,
};

static bool has_bytes(const struct link *l) { return l->to_server.len > 0 && !l->paused; }
static bool has_end(const struct link *l) {
    return !l->end_told && (l->reset || (l->ended && l->to_server.len == 0));
}
static bool can_send(const struct link *l) { return l->send_count > 0 && (!l->deaf || l->reset); }

static bool link_is_ready(const struct link *l) {
    if (!l->offered) return true;
    return l->conn && (l->closing || can_send(l) || has_bytes(l) || has_end(l));
}

/** A piece of what the client has sent, in a block of exactly its size. */
static struct io_event receive_piece(struct world *w, struct fuzz_io *fio, struct link *l) {
    size_t n = 1 + below(w, 32);
    if (n > l->to_server.len || below(w, 4) != 0) n = l->to_server.len;
    char *block = malloc(n);
    ASSERT(block != NULL);
    memcpy(block, l->to_server.p, n);
    buf_consume(&l->to_server, n);
    fio->blocks[fio->block_count++] = block;
    fio->io.bytes_in += n;
    return (struct io_event){.kind = IO_RECV, .conn = l->conn, .data = block, .length = n};
}

static int gather_link(struct world *w, struct fuzz_io *fio, struct link *l,
                       struct io_event *events) {
    int count = 0;
    struct io_conn *conn = l->conn;
    if (!l->offered) {
        l->offered = true;
        int fd = FD_BASE + (int)(l - w->links);
        events[count++] = (struct io_event){
            .kind = IO_ACCEPT, .result = fd, .tag = l->node ? ACCEPT_NODE : ACCEPT_UNIX};
        return count;
    }
    if (l->closing) {
        l->conn = NULL;
        l->closed = true;
        l->send_count = 0;
        events[count++] = (struct io_event){.kind = IO_CLOSED, .conn = conn};
        return count;
    }
    if (can_send(l) && (l->reset || move_replies(w, l))) {
        l->send_count = 0;
        events[count++] =
            (struct io_event){.kind = IO_SENT, .conn = conn, .result = l->reset ? -EPIPE : 0};
    }
    if (has_bytes(l)) events[count++] = receive_piece(w, fio, l);
    if (has_bytes(l) && below(w, 2)) events[count++] = receive_piece(w, fio, l);
    if (has_end(l)) {
        l->end_told = true;
        events[count++] = (struct io_event){.kind = l->reset ? IO_ERROR : IO_EOF,
                                            .conn = conn,
                                            .result = l->reset ? -ECONNRESET : 0};
    }
    return count;
}

// ---- passes ------------------------------------------------------------------------------------

static bool is_runnable(const struct world *w, uint32_t i) {
    const struct fuzz_io *fio = &w->ios[i];
    if (!fio->sleeping || fio->woken || w->now_ns >= fio->deadline_ns) return true;
    for (uint32_t k = 0; k < w->nlinks; k++)
        if (w->links[k].shard == i && link_is_ready(&w->links[k])) return true;
    return false;
}

/** One round of what loop.c does: the wait is over, the pass, the decision to wait. */
static void run_shard(struct world *w, uint32_t i) {
    struct shard *s = w->fleet->shards[i];
    struct fuzz_io *fio = &w->ios[i];
    struct io_event events[EVENTS];
    int count = 0;
    for (uint32_t k = 0; k < w->nlinks; k++)
        if (w->links[k].shard == i && link_is_ready(&w->links[k]) && below(w, 8) != 0)
            count += gather_link(w, fio, &w->links[k], events + count);
    if (fio->sleeping) shard_sleep_end(s);
    fio->sleeping = false;
    if (fio->woken) events[count++] = (struct io_event){.kind = IO_WAKE};
    fio->woken = false;
    ASSERT(count <= EVENTS);
    shard_pass(s, events, count, WALL_START_US + w->now_ns / 1000, w->now_ns);
    while (fio->block_count > 0) free(fio->blocks[--fio->block_count]);
    ASSERT(intents_is_valid(&s->intents));
    ASSERT(timers_is_valid(&s->timers));
    int64_t sleep_ns = shard_sleep_ns(s);
    if (sleep_ns > 0 && shard_sleep_begin(s)) {
        fio->sleeping = true;
        fio->deadline_ns = s->now_ns + sleep_ns;
    }
}

/** Runs one shard that has something to do. False: all sleep. */
static bool run_any(struct world *w) {
    ASSERT(w->rounds++ < ROUNDS_MAX);
    w->now_ns += 1 + below(w, 20000);
    uint32_t i = below(w, w->nshards);
    for (uint32_t k = 0; k < w->nshards; k++, i = (i + 1) % w->nshards) {
        if (!is_runnable(w, i)) continue;
        run_shard(w, i);
        return true;
    }
    return false;
}

/** Moves the clock to where the first shard wants to be awake. */
static void advance(struct world *w) {
    int64_t until_ns = INT64_MAX;
    for (uint32_t i = 0; i < w->nshards; i++)
        if (w->ios[i].deadline_ns < until_ns) until_ns = w->ios[i].deadline_ns;
    if (until_ns > w->now_ns && until_ns != INT64_MAX) w->now_ns = until_ns;
}

static void run_until_quiet(struct world *w) {
    for (int idle = 0; idle < IDLE_ADVANCES; idle++) {
        while (run_any(w)) continue;
        advance(w);
    }
}

// ---- what clients send -------------------------------------------------------------------------

static const char *const words[] = {
    "a",       "b",        "{a}1",  "{a}2",    "key:3",   "",        "0",     "1",
    "-1",      "2",        "3",     "10",      "100",     "1023",    "1024",  "8191",
    "8192",    "63",       "64",    "+1",      "-0",      "1.5",     "1e400", "nan",
    "inf",     "-inf",     "3e-5",  "u8",      "i64",     "u63",     "i65",   "#1",
    "#99",     "*",        "?",     "[a-",     "a*b*c*",  "EX",      "PX",    "EXAT",
    "PXAT",    "NX",       "XX",    "GT",      "LT",      "KEEPTTL", "GET",   "SET",
    "INCRBY",  "OVERFLOW", "WRAP",  "SAT",     "FAIL",    "PERSIST", "COUNT", "MATCH",
    "TYPE",    "string",   "BIT",   "BYTE",    "AND",     "NOT",     "XOR",   "IDX",
    "LEN",     "DB",       "ASYNC", "SYNC",    "REPLACE", "AUTH",    "ID",    "ADDR",
    "SKIPME",  "SETNAME",  "YES",   "NO",      "ON",      "OFF",     "SKIP",  "MINMATCHLEN",
    "default", "secret",   "WRITE", "all",     "USER",    "TIMEOUT", "ERROR", "WITHMATCHLEN",
    "LIB-VER", "ABSTTL",   "FREQ",  "keyspace"};
static const char *const numbers[] = {"9223372036854775807",
                                      "-9223372036854775808",
                                      "9223372036854775808",
                                      "18446744073709551615",
                                      "18446744073709551616",
                                      "4294967295",
                                      "4294967296",
                                      "2147483647",
                                      "2147483648",
                                      "-2147483649",
                                      "9223372036854775",
                                      "1700000001",
                                      "1700000000500",
                                      "536870911",
                                      "4294967288",
                                      "1.7976931348623157e308",
                                      "0x10",
                                      "-9223372036854775809",
                                      " 1",
                                      "1 "};
static const char *const settings[][2] = {
    {"maxmemory-policy", "allkeys-lfu"},
    {"maxmemory-policy", "noeviction"},
    {"maxmemory-policy", "volatile-ttl"},
    {"maxmemory-policy", "allkeys-random"},
    {"maxmemory", "1"},
    {"maxmemory", "3mb"},
    {"maxmemory", "0"},
    {"hz", "100"},
    {"timeout", "1"},
    {"requirepass", "secret"},
    {"requirepass", ""},
    {"lfu-log-factor", "0"},
    {"lfu-decay-time", "0"},
    {"maxclients", "1"},
    {"no-such-thing", "1"},
    {"client-output-buffer-limit", "normal 64 0 0"},
    {"list-max-listpack-size", "2"},
    {"list-compress-depth", "1"},
    {"hash-max-listpack-value", "4"},
};
#define COUNT(a) ((uint32_t)(sizeof(a) / sizeof((a)[0])))

/** An argument; n: its length. One in sixteen is long, or not text. */
static const char *pick_word(struct world *w, size_t *n) {
    static const char bytes[STRING_MAX] = "\r\n$1\r\n\0\xff";
    uint32_t which = take(w, 256);
    if (which >= 248) {
        *n = which == 255 ? sizeof bytes : which - 240;
        return bytes;
    }
    const char *word = which < 200 ? words[which < 96 ? which % 5 : which % COUNT(words)]
                                   : numbers[which % COUNT(numbers)];
    *n = strlen(word);
    return word;
}

static void add_argument(struct buf *out, bool line, const char *p, size_t n) {
    if (!line) {
        buf_printf(out, "$%zu\r\n", n);
        buf_append(out, p, n);
        buf_append(out, "\r\n", 2);
        return;
    }
    buf_append_text(out, " \"");
    for (size_t i = 0; i < n; i++) buf_printf(out, "\\x%02x", (uint8_t)p[i]);
    buf_append_char(out, '"');
}

/** A row to send; what would write files or end the process is left out. */
static const struct command *pick_row(struct world *w) {
    static const char *const left_out[] = {"debug", "shutdown", "config|rewrite"};
    static const char *const wanted[] = {"set",     "get",       "multi",      "exec",
                                         "mset",    "watch",     "expire",     "publish",
                                         "publish", "subscribe", "psubscribe", "unsubscribe"};
    uint32_t which = take(w, 256);
    if (which >= 192) return command_find(slice_text(wanted[which % COUNT(wanted)]));
    const struct command *row = command_by_id(which % command_count());
    bool long_reply = strncmp(row->name, "command", 7) == 0 || strcmp(row->name, "docs") == 0;
    if (long_reply && take(w, 8) != 0) return command_find(slice_text("get")); // they are slow
    for (uint32_t i = 0; i < COUNT(left_out); i++)
        if (strcmp(row->full_name, left_out[i]) == 0) return command_find(slice_text("get"));
    return row;
}

/** What follows from the command for the counting of replies. */
static void note_command(struct world *w, struct link *l, const struct command *row) {
    l->commands++;
    if (strcmp(row->full_name, "client|reply") == 0) l->inexact = true;
    if (strcmp(row->full_name, "wait") == 0) l->inexact = true;    // it may be for ever ...
    if (row->flags & COMMAND_BLOCKING) l->inexact = true;          // ... and so may these
    if (strcmp(row->full_name, "monitor") == 0) l->inexact = true; // is shown commands
    if (row->flags & COMMAND_SUBSCRIBED) l->inexact = true; // several confirmations, messages
    if (strcmp(row->full_name, "client|pause") == 0) w->inexact = true;
}

static void send_command(struct world *w, struct link *l) {
    const struct command *row = pick_row(w);
    const char *bar = strchr(row->full_name, '|');
    bool line = take(w, 16) == 0, set = strcmp(row->full_name, "config|set") == 0;
    int arity = row->arity < 0 ? -row->arity + (int)take(w, 4) : row->arity;
    if (take(w, 16) == 0) arity = 1 + (bar != NULL) + (int)take(w, 8);
    int names = bar ? 2 : 1;
    if (arity < names) arity = names;
    if (set) arity = 4;
    struct buf *out = &l->to_server;
    size_t first = bar ? (size_t)(bar - row->full_name) : strlen(row->full_name);
    if (!line) buf_printf(out, "*%d\r\n", arity);
    add_argument(out, line, row->full_name, first);
    if (bar) add_argument(out, line, bar + 1, strlen(bar + 1));
    if (set) {
        uint32_t which = take(w, COUNT(settings));
        for (int i = 0; i < 2; i++)
            add_argument(out, line, settings[which][i], strlen(settings[which][i]));
    }
    for (int i = set ? arity : names; i < arity; i++) {
        size_t n;
        const char *p = pick_word(w, &n);
        add_argument(out, line, p, n);
    }
    if (line) buf_append_text(out, "\r\n");
    note_command(w, l, row);
}

/** What a word of a line becomes. */
static const char *line_word(struct world *w, const char *word, size_t *n) {
    static const char *const keys[] = {"a", "b", "{a}1", "{a}2", "key:3"};
    const char *text = word;
    if (take(w, 64) == 63) return pick_word(w, n);
    if (*n != 1) return word;
    switch (*word) {
    case 'K': text = keys[take(w, COUNT(keys))]; break;
    case 'M': text = line_members[take(w, COUNT(line_members))]; break;
    case 'S': text = line_scores[take(w, COUNT(line_scores))]; break;
    case 'N': text = line_numbers[take(w, COUNT(line_numbers))]; break;
    case 'I': text = line_ids[take(w, COUNT(line_ids))]; break;
    case 'T': text = line_times[take(w, COUNT(line_times))]; break;
    case 'G': text = take(w, 4) != 0 ? "g" : "h"; break;
    default: break;
    }
    *n = strlen(text);
    return text;
}

/** A command made of one of the lines. */
static void send_line(struct world *w, struct link *l) {
    const char *line = lines[take(w, COUNT(lines))];
    struct buf arguments = {0};
    int argc = 0;
    const struct command *row = NULL;
    for (const char *p = line; *p != '\0'; p += *p == ' ') {
        size_t n = strcspn(p, " ");
        const char *word = p;
        p += n;
        if (argc == 0) row = command_find(slice_of(word, n));
        if (argc > 0) word = line_word(w, word, &n);
        add_argument(&arguments, false, word, n);
        argc++;
    }
    ASSERT(row != NULL);
    buf_printf(&l->to_server, "*%d\r\n", argc);
    buf_append(&l->to_server, arguments.p, arguments.len);
    buf_free(&arguments);
    note_command(w, l, row);
}

/** Bytes of the input as they are. */
static void send_raw(struct world *w, struct link *l) {
    size_t n = 1 + take(w, 64);
    if (n > w->n) n = w->n;
    buf_append(&l->to_server, w->p, n);
    w->p += n;
    w->n -= n;
}

static void act(struct world *w) {
    uint32_t what = take(w, 64);
    struct link *l = &w->links[what % w->nlinks];
    if (what < 8) {
        for (uint32_t rounds = take(w, 32); rounds > 0; rounds--) run_any(w);
    } else if (what == 8) {
        w->now_ns += (int64_t)take(w, 256) * take(w, 256) * 100000;
    } else if (what == 9) {
        l->deaf = !l->deaf;
    } else if (what == 10) {
        l->ended = true;
    } else if (what == 11) {
        l->reset = true;
    } else if (!l->ended && !l->reset) {
        if (w->raw_allowed && what < 32)
            send_raw(w, l);
        else if (what < 44)
            send_line(w, l);
        else
            send_command(w, l);
    }
}

// ---- replies -----------------------------------------------------------------------------------

static int64_t number_in(const char *p, size_t n) {
    int64_t value = 0;
    bool minus = n > 0 && p[0] == '-';
    ASSERT(n > (size_t)minus && n < 20);
    for (size_t i = minus; i < n; i++) {
        ASSERT(p[i] >= '0' && p[i] <= '9');
        value = value * 10 + (p[i] - '0');
    }
    return minus ? -value : value;
}

/** Length of the reply that begins at p; 0: it is not complete. */
static size_t reply_length(const char *p, size_t n) {
    size_t at = 0;
    for (int64_t left = 1; left > 0; left--) {
        const char *end = at < n ? memchr(p + at, '\n', n - at) : NULL;
        if (!end) return 0;
        const char *line = p + at + 1;
        size_t length = (size_t)(end - line);
        ASSERT(length > 0 && line[length - 1] == '\r');
        ASSERT(!memchr(line, '\r', length - 1));
        char type = p[at];
        at = (size_t)(end - p) + 1;
        ASSERT(strchr("+-:$*_#,(!=%~>", type) && type != '\0');
        bool bulk = strchr("$!=", type) != NULL;
        if (!bulk && !strchr("*%~>", type)) continue;
        int64_t count = number_in(line, length - 1);
        ASSERT(count >= 0 || (count == -1 && strchr("$*", type)));
        if (count < 0) continue;
        if (!bulk) {
            left += type == '%' ? 2 * count : count;
            continue;
        }
        if ((uint64_t)count + 2 > n - at) return 0;
        ASSERT(memcmp(p + at + count, "\r\n", 2) == 0);
        at += (size_t)count + 2;
    }
    return at;
}

/** All replies that a client has got. */
static void check_replies(const struct world *w, const struct link *l) {
    size_t at = 0;
    uint64_t count = 0;
    while (at < l->replies.len) {
        size_t used = reply_length(l->replies.p + at, l->replies.len - at);
        if (used == 0) break;
        at += used;
        count++;
    }
    bool whole = !l->closed && !l->reset && !l->ended;
    if (whole) ASSERT(at == l->replies.len);
    if (w->raw_allowed || w->inexact || l->inexact) return;
    ASSERT(count <= l->commands);
    if (whole) ASSERT(count == l->commands);
}

// ---- a run -------------------------------------------------------------------------------------

static void ignore_shutdown(struct fleet *fleet) { (void)fleet; }

/** Where compact encodings end early. */
static const struct value_limits small_limits = {.list_max_listpack_size = 3,
                                                 .list_compress_depth = 1,
                                                 .set_max_intset_entries = 3,
                                                 .set_max_listpack_entries = 3,
                                                 .set_max_listpack_value = 5,
                                                 .hash_max_listpack_entries = 3,
                                                 .hash_max_listpack_value = 5,
                                                 .zset_max_listpack_entries = 3,
                                                 .zset_max_listpack_value = 5,
                                                 .stream_node_max_bytes = 100,
                                                 .stream_node_max_entries = 3,
                                                 .hll_sparse_max_bytes = 60};

static void world_init(struct world *w) {
    static const size_t capacities[] = {1, 2, 8, 64};
    char run_id[41] = {0};
    uint32_t shape = take(w, 256);
    w->nshards = 1 + (shape & 1);
    w->raw_allowed = shape >> 1 & 1;
    w->nlinks = 1 + (shape >> 2 & 15) % LINKS;
    if (shape >> 6 & 1) w->extra = 32 + below(w, 200);
    bool nodes = shape >> 7 & 1;
    w->config = config_new();
    w->config->databases = 4;
    w->config->proto_max_bulk_len = STRING_MAX;
    w->config->protected_mode = false; // descriptors are made up: nobody seems to be local
    if (below(w, 2)) w->config->limits = small_limits;
    w->config->loglevel = LOG_NOTHING; // CONFIG SET sets it anew, whatever it sets
    ASSERT(w->config->enable_debug_command == CONFIG_ENABLE_NO);
    ASSERT(w->config->enable_protected_configs == CONFIG_ENABLE_NO && !w->config->file[0]);
    w->fleet = fleet_new(w->nshards, random_next(&w->random), run_id, WALL_START_US);
    w->fleet->on_shutdown = ignore_shutdown;
    for (uint32_t i = 0; i < w->nshards * w->nshards; i++) {
        mailbox_fini(&w->fleet->mailboxes[i]);
        mailbox_init(&w->fleet->mailboxes[i], capacities[below(w, COUNT(capacities))]);
    }
    for (uint32_t i = 0; i < w->nshards; i++) {
        w->ios[i] = (struct fuzz_io){.io.ops = &fuzz_io_ops, .world = w, .shard = i};
        shard_new(w->fleet, i, &w->ios[i].io, w->config, random_next(&w->random));
    }
    w->now_ns = 1000000000;
    for (uint32_t i = 0; i < w->nlinks; i++) {
        w->links[i].shard = below(w, w->nshards);
        w->links[i].node = nodes && below(w, 2) != 0;
    }
    while (run_any(w)) continue;
    for (uint32_t i = 0; i < w->nlinks; i++) ASSERT(w->links[i].attached);
}

static void check_quiet(const struct world *w, const struct shard *s) {
    const struct intents *in = &s->intents;
    ASSERT(!in->parts && !in->wholes && !in->lent && !in->lock_count && !in->lent_first);
    ASSERT(!in->ready_first && !in->granted_first);
    ASSERT(!s->held_first && !s->dirty && !s->resumable && s->connection_count == 0);
    ASSERT(atomic_load(&w->fleet->faces[s->id].connections) == 0);
    for (uint32_t to = 0; to < w->nshards; to++)
        ASSERT(s->outboxes[to].len == 0 &&
               mailbox_is_empty(&w->fleet->mailboxes[s->id * w->nshards + to]));
    ASSERT(keyspace_is_valid(s->keyspace));
    ASSERT(pubsub_is_idle(s) && s->pubsub->table.subscriptions.count == 0);
    ASSERT(pubsub_patterns_count(&s->pubsub->registry.patterns) == 0);
    ASSERT(s->pubsub->registry.channels.count == 0);
    ASSERT(s->pubsub->registry.shard_channels.count == 0);
}

static void world_free(struct world *w) {
    for (uint32_t i = 0; i < w->nlinks; i++) w->links[i].ended = true;
    run_until_quiet(w);
    for (uint32_t i = 0; i < w->nlinks; i++) ASSERT(w->links[i].closed);
    for (uint32_t i = 0; i < w->nshards; i++) check_quiet(w, w->fleet->shards[i]);
    fleet_stop(w->fleet);
    for (uint32_t i = 0; i < w->nshards; i++) {
        struct shard *s = w->fleet->shards[i];
        shard_pass(s, NULL, 0, WALL_START_US + w->now_ns / 1000, w->now_ns);
        ASSERT(shard_is_finished(s));
    }
    for (uint32_t i = 0; i < w->nshards; i++) shard_free(w->fleet->shards[i]);
    fleet_free(w->fleet);
    config_release(w->config);
    for (uint32_t i = 0; i < w->nlinks; i++) {
        buf_free(&w->links[i].to_server);
        buf_free(&w->links[i].replies);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static bool bound;
    if (!bound) session_bind();
    bound = true;
    if (size == 0 || size > 8192) return 0;
    log_set_level(LOG_NOTHING);
    uint64_t seed = size;
    for (size_t i = 0; i < size; i++) seed = (seed ^ data[i]) * 0x100000001b3;
    struct world w = {.p = data, .n = size};
    random_init(&w.random, seed);
    world_init(&w);
    while (w.n + w.extra > 0) act(&w);
    for (uint32_t i = 0; i < w.nlinks; i++) w.links[i].deaf = false;
    run_until_quiet(&w);
    for (uint32_t i = 0; i < w.nlinks; i++) check_replies(&w, &w.links[i]);
    world_free(&w);
    return 0;
}
