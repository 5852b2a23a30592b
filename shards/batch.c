// SPDX-License-Identifier: BSD-3-Clause
//
// A batch goes through five steps: parse (pieces of several connections, as far as there is room),
// resolve (row, hash, shard), enter the other shards it needs (visit.h), prefetch of buckets and
// entries, run. Owns nothing beyond a call; argument slices are in the shard's `args`. Runs on the
// connections' shard. Invariants: bytes count as used exactly when their command has been started;
// a command that may not start yet leaves its bytes, and those behind it, in place; a connection
// has one piece of a batch at most.
#include "shards/batch.h"

#include "engine/base/prefetch.h"
#include "shards/dispatch.h"
#include "shards/visit.h"

#define BATCH_COMMANDS 64 // bits of a mask in prefetch()
#define BATCH_PIECES   32

/** The bytes of one connection, and the commands of the batch that were found in them. */
struct piece {
    struct connection *conn;
    char *data;
    size_t length;
    int first, end;          // its commands in the batch
    enum resp_status status; // of the attempt behind the last command
};

struct batch {
    struct shard *shard;
    int pieces, count;
    struct piece piece[BATCH_PIECES];
    struct parsed commands[BATCH_COMMANDS];
    size_t ends[BATCH_COMMANDS];   // where in its piece the command ends
    size_t firsts[BATCH_COMMANDS]; // its first argument in the shard's args
    struct resp_result result;     // of the latest attempt to parse
    bool has_inline;               // its arguments may be in the one line that the parser keeps
};

static void batch_init(struct batch *b, struct shard *s) {
    b->shard = s;
    b->pieces = b->count = 0;
    b->has_inline = false;
    s->args.len = 0;
    visit_leave(s); // until prepare() has resolved all commands
}

// ---- parse -------------------------------------------------------------------------------------

/** Parses what a connection has received, as far as the batch has room for it. */
static void add_piece(struct batch *b, struct connection *conn, char *data, size_t length) {
    struct shard *s = b->shard;
    struct piece *piece = &b->piece[b->pieces++];
    *piece = (struct piece){
        .conn = conn, .data = data, .length = length, .first = b->count, .status = RESP_MORE};
    bool known = connection_is_known(conn);
    struct resp_limits limits = {s->config->proto_max_bulk_len, known};
    // What a stranger may send depends on whether the command before has let it in.
    int max = known ? BATCH_COMMANDS : b->count + 1;
    if (max > BATCH_COMMANDS) max = BATCH_COMMANDS;
    size_t used = 0;
    while (b->count < max && used < length) {
        piece->status =
            resp_parse(&conn->parser, data + used, length - used, &limits, &s->args, &b->result);
        if (piece->status == RESP_MORE || piece->status == RESP_ERROR) break;
        bool is_inline = data[used] != '*';
        used += b->result.consumed;
        b->ends[b->count] = used;
        b->firsts[b->count] = b->result.first;
        b->commands[b->count].argc = piece->status == RESP_NOTHING ? 0 : b->result.argc;
        b->count++;
        b->has_inline |= is_inline;
        if (is_inline) break;
    }
    piece->end = b->count;
}

/** Whether another connection's piece may follow. */
static bool has_room(const struct batch *b) {
    return b->pieces < BATCH_PIECES && b->count < BATCH_COMMANDS && !b->has_inline;
}

// ---- resolve and prefetch ----------------------------------------------------------------------

/** A piece's table on a shard, if it is there to be looked into. */
static inline const struct table *table_at(const struct piece *piece, const struct shard *at) {
    return at && !at->intents.lent ? &at->keyspace->dbs[piece->conn->db].table : NULL;
}

/** The table that a command will look into for its one key; `own`: the piece's on its shard s. */
static inline const struct table *table_of(struct shard *s, const struct piece *piece,
                                           const struct parsed *p, const struct table *own) {
    if (!p->hashed_arg) return NULL;
    return likely(p->shard == s->id) ? own : table_at(piece, visit_at(s, p->shard));
}

static void prefetch_buckets(const struct batch *b, const struct piece *piece) {
    struct shard *s = b->shard;
    const struct table *own = table_at(piece, s);
    for (int i = piece->first; i < piece->end; i++) {
        const struct parsed *p = &b->commands[i];
        const struct table *table = table_of(s, piece, p, own);
        if (table) table_prefetch(table, p->hash);
    }
}

static void prefetch_entries(const struct batch *b, const struct piece *piece) {
    struct shard *s = b->shard;
    const struct table *own = table_at(piece, s);
    uint64_t further = 0; // the commands whose entry is not in its bucket
    for (int i = piece->first; i < piece->end; i++) {
        const struct parsed *p = &b->commands[i];
        const struct table *table = table_of(s, piece, p, own);
        if (table && table_prefetch_entry(table, p->hash)) further |= UINT64_C(1) << i;
    }
    for (; further != 0; further &= further - 1) {
        const struct parsed *p = &b->commands[__builtin_ctzll(further)];
        table_prefetch_overflow(table_of(s, piece, p, own), p->hash);
    }
}

/**
 * Finds out what all the commands are, enters the shards that they need, and starts the loads of
 * what they will touch. One shard alone knows its table at once; others have to be entered first.
 */
static void prepare(struct batch *b) {
    struct shard *s = b->shard;
    struct last_name last = {.spec = NULL};
    bool alone = s->fleet->nshards == 1, prefetch = b->count > 1;
    for (int n = 0; n < b->pieces; n++) {
        const struct piece *piece = &b->piece[n];
        const struct table *own = alone && prefetch ? table_at(piece, s) : NULL;
        for (int i = piece->first; i < piece->end; i++) {
            struct parsed *p = &b->commands[i];
            if (unlikely(p->argc == 0)) {
                p->shard = SHARD_ANY;
                p->hashed_arg = 0;
                continue;
            }
            p->argv = s->args.v + b->firsts[i];
            dispatch_resolve(piece->conn, p, &last);
            if (own && p->hashed_arg) table_prefetch(own, p->hash);
        }
    }
    if (!alone) visit_begin(s, b->commands, b->count);
    if (!prefetch) return;
    for (int n = 0; n < b->pieces && !alone; n++) prefetch_buckets(b, &b->piece[n]);
    for (int n = 0; n < b->pieces; n++) prefetch_entries(b, &b->piece[n]);
}

// ---- run ---------------------------------------------------------------------------------------

/**
 * Runs a piece's commands. Returns how many of its bytes were used; *stopped: those behind them
 * have to wait.
 */
static size_t run_piece(struct batch *b, const struct piece *piece, bool *stopped) {
    struct connection *conn = piece->conn;
    int i = piece->first;
    for (; i < piece->end && !conn->stalls && !conn->closing; i++)
        if (b->commands[i].argc > 0 && !dispatch_start(conn, &b->commands[i])) break;
    *stopped = i < piece->end || conn->closing || conn->stalls;
    if (*stopped) {
        // What was parsed beyond the last started command is parsed again later.
        resp_parser_fini(&conn->parser);
        resp_parser_init(&conn->parser);
    }
    return i > piece->first ? b->ends[i - 1] : 0;
}

static void refuse_protocol(struct connection *conn, const char *error) {
    struct reply r;
    connection_reply_begin(conn, &r);
    reply_error(&r, error);
    connection_reply_end(conn, &r);
    connection_close_after_reply(conn);
}

size_t batch_bytes(struct connection *conn, char *data, size_t length) {
    ASSERT_CONNECTION(conn);
    size_t used = 0;
    while (used < length && !conn->stalls && !conn->closing) {
        struct batch b;
        bool stopped;
        batch_init(&b, conn->shard);
        add_piece(&b, conn, data + used, length - used);
        prepare(&b);
        used += run_piece(&b, &b.piece[0], &stopped);
        visit_end(conn->shard);
        if (stopped || b.piece[0].status == RESP_MORE) break;
        if (b.piece[0].status == RESP_ERROR) {
            refuse_protocol(conn, b.result.error);
            return length;
        }
    }
    return used;
}

int batch_receive(struct shard *s, struct io_event *events, int count) {
    struct batch b;
    batch_init(&b, s);
    int taken = 0;
    for (; taken < count && events[taken].kind == IO_RECV && has_room(&b); taken++) {
        struct io_event *event = &events[taken];
        struct connection *conn = (struct connection *)event->conn;
        if (conn->in_batch) break;
        conn->in_batch = true;
        size_t length = connection_receive_begin(conn) ? event->length : 0;
        add_piece(&b, conn, event->data, length);
    }
    prepare(&b);
    size_t used[BATCH_PIECES];
    bool stopped[BATCH_PIECES];
    for (int n = 0; n < b.pieces; n++) used[n] = run_piece(&b, &b.piece[n], &stopped[n]);
    visit_end(s);
    // Only now, because it parses anew: what the batch had no room for, and what has to be kept.
    for (int n = 0; n < b.pieces; n++) {
        struct connection *conn = b.piece[n].conn;
        const struct io_event *event = &events[n];
        conn->in_batch = false;
        if (!stopped[n] && b.piece[n].status != RESP_MORE)
            used[n] += batch_bytes(conn, event->data + used[n], event->length - used[n]);
        connection_receive_end(conn, event->data + used[n], event->length - used[n]);
    }
    return taken;
}
