// SPDX-License-Identifier: BSD-3-Clause
//
// A connection with its session: what a client has said (database, protocol, name, MULTI) and
// what it is owed (replies in order). It belongs to one shard for its life. Only `done` is
// touched by other shards, and what is beside it: it counts, in pipeline order, the commands that
// have been executed while several were under way.
//
// Life: open -> (closing: no more commands, replies still go out) -> io_close -> IO_CLOSED ->
// freed when nothing refers to it (`references`: requests, transactions, fan-outs and watches
// under way).
#ifndef TORC_SHARDS_CONNECTION_H
#define TORC_SHARDS_CONNECTION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/io.h"
#include "net/resp_parser.h"
#include "shards/shard.h"

#define CONNECTION_MAGIC 0x434f4e4eu
#define CONNECTION_OUTPUT_HIGH \
    (1024 * 1024) // unsent reply bytes from which on no command is started
#define CONNECTION_INPUT_HIGH \
    (256 * 1024) // unread bytes of a stalled client from which on receiving pauses
#define CONNECTION_BUFFER_KEEP (64 * 1024) // an empty buffer that is larger is given back at once
#define CONNECTION_OWED_MAX    1024        // requests under way for one connection
#define CONNECTION_LARGE       (16 * 1024) // a request's reply from this size on is counted ...
#define CONNECTION_LARGE_HIGH \
    (4 * 1024 * 1024) // ... and from so many unsent bytes of those on, no request is executed

/** Why a connection does not go on with its next command. Bits. */
enum connection_stall {
    STALL_DRAIN = 1,   // until no request is under way (a barrier comes next)
    STALL_WORK = 2,    // a transaction, fan-out or wait of this connection is under way
    STALL_OUTPUT = 4,  // until the client has read more of its replies
    STALL_PAUSE = 8,   // CLIENT PAUSE
    STALL_OUTBOX = 16, // the shard's messages do not fit: back-pressure
    STALL_MEMORY = 32, // eviction has not kept up with the writes
};

/** What a client says of itself (CLIENT SETNAME, SETINFO, HELLO). */
enum client_text { CLIENT_NAME, CLIENT_LIB_NAME, CLIENT_LIB_VER, CLIENT_TEXTS };

enum connection_reply_mode { REPLY_ON, REPLY_OFF, REPLY_SKIP_NEXT, REPLY_SKIP };

/** What a connection in STALL_WORK waits for. First member of whatever that is. */
struct work {
    struct connection *connection;
    bool blocking; // a blocked client (WAIT, BLPOP): gives up when the client leaves
    bool timed;    // ... and when some time is over
    // Blocking: ends, with this error or (NULL) as if timed out. False: it was over before.
    bool (*end)(struct work *work, const char *error);
};

struct connection {
    struct io_conn io; // first member: events carry it
    struct shard *shard;
    struct connection *previous, *next; // the shard's list
    struct connection *dirty_next, *resume_next;
    uint64_t id;

    struct buf in;             // bytes not yet understood or not yet executed ...
    size_t in_start;           // ... from here on
    struct blob *in_blob;      // whose memory `in` is, for a long command: see input.h
    size_t reply_start;        // where in `out` the reply being written began
    struct buf out;            // replies being collected ...
    struct pieces *out_pieces; // ... with the long values that belong in between
    struct buf sending;        // replies in the kernel's hands ...
    struct pieces *sending_pieces;
    struct iovec piece;   // ... and how much of them is left ...
    struct iovec *vector; // ... when there are pieces
    struct resp_parser parser;
    struct request *owed_first, *owed_last; // requests under way, in the order of their commands
    uint32_t owed;
    uint32_t references;
    uint16_t stalls; // enum connection_stall
    uint16_t holds;  // writes whose readers have not all been told yet: see tracking.h
    uint32_t magic;

    uint64_t issued;           // requests given a number so far
    uint16_t under_way;        // requests that have not come back yet ...
    uint16_t writes_under_way; // ... those of them that write
    uint32_t soft_limit_since; // over the soft output limit since: see connection.c; 0: not
    // Large replies of requests: whoever executes one looks here first, so that a client that asks
    // for much and reads nothing costs a bounded amount.
    _Atomic uint64_t turn;        // number of the request that runs whatever `large_bytes` says
    _Atomic uint64_t large_bytes; // executed and not yet seen sent
    uint64_t large_collected;     // the part of large_bytes that has been put into `out`
    _Atomic bool gone;            // io_close has been called: nobody reads replies any more

    uint8_t proto;
    uint8_t reply_mode;
    bool guarded; // each command is checked: not logged in, or a user with limits
    bool is_unix, no_evict;
    bool closing;    // after the replies so far: close
    bool closed;     // IO_CLOSED has come (or is all that is missing)
    bool io_closing; // io_close has been called
    bool read_ended, recv_paused, send_busy;
    bool in_dirty, in_resumable;
    bool in_batch; // its bytes are among those that are being parsed together
    bool in_multi;
    bool authenticated : 1;
    bool has_held : 1;        // messages that may not go out yet: see pubsub.h
    bool is_monitor : 1;      // is shown all commands, or will be soon: see monitor.h
    bool in_paced : 1;        // among those whose messages will be sent soon
    bool is_tracking_end : 1; // somebody may tell it what has changed: see tracking.h
    uint8_t cmd_flags;        // CMD_CTX_*: what its commands are told
    uint16_t last_command;    // its id, plus one; 0: none yet
    uint32_t db;
    struct account *account;          // whose it is
    struct multi *multi;              // queued commands, while in MULTI
    struct watch_set *watches;        // what WATCH has named; NULL: nothing
    struct work *work;                // what STALL_WORK is about
    struct pubsub_client *pubsub;     // NULL: has never subscribed to anything
    struct tracking_client *tracking; // NULL: has never been tracked
    char **texts; // [CLIENT_TEXTS] what it has said of itself; NULL: nothing yet
    int64_t created_ms, active_ms;
};
_Static_assert(CONNECTION_OWED_MAX < UINT16_MAX, "what is under way is owed");
// What many idle clients cost: a block of seven cache lines.
_Static_assert(sizeof(struct connection) <= 448, "a connection grows only for a reason");

/** Adopts a socket: makes the connection and starts receiving. */
struct connection *connection_new(struct shard *s, const struct accepted *accepted);
/** Handles an event of this connection, any but IO_RECV. */
void connection_event(struct connection *conn, const struct io_event *event);
/**
 * Bytes have arrived. True: their commands may be run right where they stand, nothing older is
 * waiting.
 */
bool connection_receive_begin(struct connection *conn);
/** Keeps what of them could not be run yet; runs it when it completes what was kept before. */
void connection_receive_end(struct connection *conn, char *rest, size_t length);
/** Marks the connection for the end-of-pass work: flush replies, send, close. */
static inline void connection_mark(struct connection *conn);
/**
 * End of the pass: appends replies that are due, starts a send, closes what is to be closed,
 * frees.
 */
void connection_finish_pass(struct connection *conn);
/**
 * Stops or continues command execution. Clearing the last stall puts the connection on the
 * resumable list.
 */
void connection_stall(struct connection *conn, uint32_t stalls);
void connection_unstall(struct connection *conn, uint32_t stalls);
/** Goes on with the bytes that the connection holds. */
void connection_resume(struct connection *conn);
/** No more commands; closes once the replies so far are sent. */
void connection_close_after_reply(struct connection *conn);
/** Closes at once; replies are lost. */
void connection_close(struct connection *conn);
void connection_hold(struct connection *conn);
void connection_drop(struct connection *conn);

/**
 * Where a reply to the connection's current command goes: begins one, ends it. Keeps replies in
 * order behind those still owed, honours CLIENT REPLY, counts errors. Between the two calls
 * nothing else is written.
 */
static inline void connection_reply_begin(struct connection *conn, struct reply *r);
static inline void connection_reply_end(struct connection *conn, struct reply *r);

/**
 * The connection begins to wait for work; the command's reply is given with connection_work_done.
 * Takes a reference.
 */
void connection_work_begin(struct connection *conn, struct work *work);
/** The connection waits for other work in its place, begun at once. Drops the reference. */
void connection_work_leave(struct connection *conn);
/** The work is done: gives its reply (RESP bytes) and goes on. Drops the reference. */
void connection_work_done(struct connection *conn, const void *reply, size_t length);
/** The reply to a command that has waited for work: begun when it is known, given once. */
struct late_reply {
    struct buf bytes;
    struct reply reply; // into bytes
};
void connection_late_begin(const struct connection *conn, struct late_reply *late);
/** The work is done: gives the reply, counts its errors, and goes on. */
void connection_late_end(struct connection *conn, struct late_reply *late);
/** Whether the current command's reply is to be dropped (CLIENT REPLY). */
static inline bool connection_is_silent(const struct connection *conn) {
    return conn->reply_mode == REPLY_OFF || conn->reply_mode == REPLY_SKIP;
}

/** Whether the client came by a shard port: to it, the shard is a node of a cluster. */
static inline bool connection_is_node(const struct connection *conn) {
    return (conn->cmd_flags & CMD_CTX_NODE) != 0;
}

/** Whether it has logged in, or need not: strangers may send little, and run nearly nothing. */
static inline bool connection_is_known(const struct connection *conn) {
    return likely(conn->authenticated) || !conn->shard->accounts.auth_required;
}

/** Bytes of replies not yet taken by the kernel. */
static inline size_t connection_unsent(const struct connection *conn) {
    return conn->out.len + pieces_bytes(conn->out_pieces) + conn->sending.len +
           pieces_bytes(conn->sending_pieces);
}

/** The same with the large replies that have not had their turn yet. */
static inline size_t connection_owed_bytes(const struct connection *conn) {
    return connection_unsent(conn) - conn->large_collected +
           atomic_load_explicit(&conn->large_bytes, memory_order_relaxed);
}

/** Closes the client that lets too many bytes pile up (client-output-buffer-limit). */
void connection_check_output_limit(struct connection *conn);

/** What the client has said of itself; NULL: nothing. The connection's, until it says otherwise. */
static inline const char *connection_text(const struct connection *conn, enum client_text which) {
    return conn->texts ? conn->texts[which] : NULL;
}
/** Takes a copy of what the client says of itself; of an empty text nothing is left. */
void connection_set_text(struct connection *conn, enum client_text which, struct slice value);

/** One line of CLIENT LIST / CLIENT INFO, without line end. */
void connection_describe(const struct connection *conn, struct buf *out);

static inline void connection_mark(struct connection *conn) {
    if (conn->in_dirty) return;
    conn->in_dirty = true;
    conn->dirty_next = conn->shard->dirty;
    conn->shard->dirty = conn;
}

void connection__reply_aside(struct connection *conn, struct reply *r); // something is owed
void connection__reply_end(struct connection *conn, struct reply *r);   // all that is unusual

static inline void connection_reply_begin(struct connection *conn, struct reply *r) {
    if (unlikely(conn->owed > 0)) {
        connection__reply_aside(conn, r);
        return;
    }
    conn->reply_start = conn->out.len;
    reply_init(r, &conn->out, conn->proto);
    r->pieces = &conn->out_pieces;
}

static inline void connection_reply_end(struct connection *conn, struct reply *r) {
    if (unlikely(r->errors > 0 || r->out != &conn->out || connection_is_silent(conn)))
        connection__reply_end(conn, r);
    connection_mark(conn);
}

#define ASSERT_CONNECTION(c) ASSERT((c)->magic == CONNECTION_MAGIC)

#endif
