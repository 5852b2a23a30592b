// SPDX-License-Identifier: BSD-3-Clause
//
// Requests: made on the connection's shard, executed on the shard that owns the keys, freed where
// they were made. Invariant of pipeline order: a write starts only when nothing of its connection
// is under way, a read when no write is; so what has been sent may run whenever it arrives. Called
// by dispatch.c, multi.c and the pass of shard.c.
#include "shards/request.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "shards/connection.h"
#include "shards/held.h"
#include "shards/lazyfree.h"
#include "shards/multi.h"
#include "shards/tracking.h"

static struct request *request_alloc(struct connection *conn, size_t argc, size_t bytes) {
    struct request *r = mem_alloc(sizeof *r + argc * sizeof(struct slice) + bytes);
    memset(r, 0, offsetof(struct request, inline_reply));
    r->parked.kind = PARKED_REQUEST;
    r->connection = conn;
    r->origin = r->shard = conn->shard->id;
    r->db = conn->db;
    r->proto = conn->proto;
    r->cmd_flags = (uint8_t)conn->cmd_flags;
    r->silent = connection_is_silent(conn);
    r->argc = (uint32_t)argc;
    r->argv = (struct slice *)(r + 1);
    if (conn->owed_last)
        conn->owed_last->next = r;
    else
        conn->owed_first = r;
    conn->owed_last = r;
    conn->owed++;
    connection_hold(conn);
    return r;
}

/** Whether all arguments are in the blob that the connection receives into, and fill it. */
static bool may_share_arguments(const struct connection *conn, const struct parsed *p) {
    const struct blob *b = conn->in_blob;
    if (likely(b == NULL)) return false;
    for (int i = 0; i < p->argc; i++)
        if (!blob_has(b, p->argv[i])) return false;
    return slices_bytes(p->argv, p->argc) > conn->in.cap / 2;
}

struct request *request_new(struct connection *conn, const struct parsed *p) {
    bool shares = may_share_arguments(conn, p);
    size_t bytes = shares ? 0 : slices_bytes(p->argv, p->argc);
    struct request *r = request_alloc(conn, (size_t)p->argc, bytes);
    r->spec = p->spec;
    r->shard = p->shard;
    r->write = p->write;
    r->hash = p->hash;
    r->hashed_arg = p->hashed_arg;
    if (unlikely(shares)) {
        memcpy(r->argv, p->argv, (size_t)p->argc * sizeof p->argv[0]);
        r->source = conn->in_blob;
        blob_hold(r->source);
    } else {
        slices_copy(r->argv, (char *)(r->argv + p->argc), p->argv, p->argc);
    }
    return r;
}

/** Bytes of a reply that was too long to be kept in place. */
static size_t large_reply(const struct request *r) {
    size_t n = r->reply.len + pieces_bytes(r->pieces);
    return n >= CONNECTION_LARGE ? n : 0;
}

/** Keeps the reply in the request: inline when short, else by taking the buffer over. */
static void keep_reply(struct request *r, struct buf *reply, struct pieces **pieces) {
    if (r->silent || atomic_load_explicit(&r->connection->gone, memory_order_relaxed)) {
        r->inline_length = 0;
        pieces_cut(pieces, 0, lazyfree_blob);
        return;
    }
    if (reply->len <= REQUEST_REPLY_INLINE) {
        memcpy(r->inline_reply, reply->p, reply->len);
        r->inline_length = (uint16_t)reply->len;
        if (likely(*pieces == NULL)) return;
    } else {
        r->reply = *reply;
        *reply = (struct buf){0};
    }
    r->pieces = *pieces;
    *pieces = NULL;
    size_t large = large_reply(r);
    if (large > 0)
        atomic_fetch_add_explicit(&r->connection->large_bytes, large, memory_order_relaxed);
}

void request_answered(struct connection *conn, struct buf *reply, struct pieces **pieces) {
    struct request *r = request_alloc(conn, 0, 0);
    if (reply->len > 0) keep_reply(r, reply, pieces);
    r->done = true;
}

void request_pushed(struct connection *conn, struct slice head, struct slice body) {
    struct request *r = request_alloc(conn, 0, 0);
    struct buf bytes = {0};
    struct pieces *pieces = NULL;
    r->silent = false; // messages are sent to who wants no replies, too
    buf_append(&bytes, head.p, head.n);
    buf_append(&bytes, body.p, body.n);
    keep_reply(r, &bytes, &pieces);
    buf_free(&bytes);
    r->done = true;
}

void request_free(struct request *r) {
    multi_free(r->multi);
    buf_free(&r->reply);
    pieces_cut(&r->pieces, 0, lazyfree_blob);
    if (r->source) lazyfree_blob(r->source);
    mem_free(r);
}

// ---- on the executing shard --------------------------------------------------------------------

bool request_conflict(const struct shard *s, const struct command *spec, int argc,
                      const struct slice *argv, int hashed_arg, uint64_t known, uint64_t *hash,
                      bool *write, bool again) {
    *write = (spec->flags & COMMAND_WRITE) != 0;
    if (hashed_arg > 0 && spec->key_spec_count == 1 && spec->first_key == spec->last_key) {
        *hash = known;
        return intents_conflict(&s->intents, known, *write, again);
    }
    struct key_list keys;
    key_list_init(&keys, spec, argc, argv);
    bool conflict = false;
    for (int i = 0; i < keys.count && !conflict; i++) {
        *hash = key_of(s->keyspace, argv[keys.at[i].arg]).hash;
        conflict = intents_conflict(&s->intents, *hash, *write, again);
    }
    key_list_fini(&keys);
    return conflict;
}

/** What a snapshot keeps of the keys that are going to be changed is written next. */
static void claim_keys(struct shard *s, struct request *r) {
    if (r->multi)
        multi_meets(s, r->multi, r->db, true);
    else
        snapshot_walk_meets(s, r->db, r->spec, (int)r->argc, r->argv, r->hashed_arg, r->hash, true);
}

/** Whether the request must wait for keys or for the lent shard; then it has been parked. */
static bool park_if_needed(struct shard *s, struct request *r) {
    if (unlikely(s->share != NULL) && r->write && !s->intents.lent) claim_keys(s, r);
    if (likely(s->intents.parts == 0)) return false;
    if (s->intents.lent) {
        intents_park_lent(&s->intents, &r->parked);
        return true;
    }
    uint64_t hash;
    bool write, again = r->parked.again;
    bool conflict = r->multi ? multi_conflict(s, r->multi, &hash, &write, again)
                             : request_conflict(s, r->spec, (int)r->argc, r->argv, r->hashed_arg,
                                                r->hash, &hash, &write, again);
    if (conflict) intents_park(&s->intents, &r->parked, hash, write);
    return conflict;
}

static void request_execute(struct shard *s, struct request *r) {
    s->scratch.len = 0;
    struct reply reply;
    reply_init(&reply, &s->scratch, r->proto);
    reply.pieces = &s->scratch_pieces;
    bool gone = atomic_load_explicit(&r->connection->gone, memory_order_relaxed);
    if (r->multi) {
        multi_run_request(s, r, &reply);
    } else if (r->write || !gone) { // nobody is interested in what a client that left has read
        struct cmd c = {.spec = r->spec,
                        .argc = (int)r->argc,
                        .argv = r->argv,
                        .reply = &reply,
                        .view = shard_view(s, r->write),
                        .settings = &s->settings,
                        .now_ms = s->now_ms,
                        .now_us = s->now_us,
                        .db = r->db,
                        .flags = r->cmd_flags,
                        .hashed_arg = r->hashed_arg,
                        .source = r->source,
                        .hashed = r->hash,
                        .client = r->connection};
        shard_run(s, &c);
    }
    keep_reply(r, &s->scratch, &s->scratch_pieces);
    if (unlikely(s->gates & GATE_TRACKED)) r->hold = tracking_take_hold(s);
    if (r->origin == s->id)
        request_returned(r);
    else
        shard_send(s, r->origin, MESSAGE_REPLY, r);
}

bool request_is_due(const struct request *r) {
    struct connection *conn = r->connection;
    if (likely(atomic_load_explicit(&conn->large_bytes, memory_order_relaxed) <
               CONNECTION_LARGE_HIGH))
        return true;
    return atomic_load_explicit(&conn->turn, memory_order_relaxed) == r->number ||
           atomic_load_explicit(&conn->gone, memory_order_relaxed);
}

static void run_ordered(struct shard *s, struct request *r) {
    r->ordered = true;
    if (!park_if_needed(s, r)) request_execute(s, r);
}

void request_arrive(struct shard *s, struct request *r) {
    // What is due may not pass what is held: it could be the same key.
    if (unlikely(!r->ordered && (!request_is_due(r) || held_has(s, r->connection)))) {
        held_add(s, r);
        s->stats.held_requests++;
        return;
    }
    run_ordered(s, r);
}

void request_poll_held(struct shard *s) { held_poll(s, run_ordered); }

bool request_held_is_due(const struct shard *s) { return held_is_due(s); }

// ---- on the connection's shard -----------------------------------------------------------------

void request_start(struct request *r) {
    struct connection *conn = r->connection;
    struct shard *s = conn->shard;
    ASSERT_SHARD(s);
    r->number = ++conn->issued;
    conn->under_way++;
    conn->writes_under_way += r->write;
    if (r->shard == s->id) {
        request_arrive(s, r);
    } else {
        ASSERT(!connection_is_node(conn)); // to its client, what other shards have is elsewhere
        s->stats.remote_requests++;
        shard_send(s, r->shard, MESSAGE_REQUEST, r);
    }
}

bool request_is_early(const struct connection *conn, const struct parsed *p) {
    if (conn->shard->config->pipeline_order == CONFIG_ORDER_RELAXED) return false;
    return (p->write ? conn->under_way : conn->writes_under_way) > 0;
}

void request_returned(struct request *r) {
    struct connection *conn = r->connection;
    if (unlikely(r->hold != NULL)) tracking_returned(r->hold);
    r->done = true;
    conn->under_way--;
    conn->writes_under_way -= r->write;
    connection_mark(conn);
}

void request_collect(struct connection *conn) {
    struct request *r;
    while ((r = conn->owed_first) && r->done) {
        conn->owed_first = r->next;
        if (!conn->owed_first) conn->owed_last = NULL;
        conn->owed--;
        conn->large_collected += large_reply(r);
        pieces_append(&conn->out_pieces, conn->out.len, &r->pieces);
        if (r->reply.len == 0) {
            buf_append(&conn->out, r->inline_reply, r->inline_length);
        } else if (conn->out.len == 0) {
            struct buf empty = conn->out;
            conn->out = r->reply;
            r->reply = empty;
        } else {
            buf_append(&conn->out, r->reply.p, r->reply.len);
        }
        conn->references--;
        request_free(r);
    }
}

void request_relieve(struct connection *conn) {
    if (likely(atomic_load_explicit(&conn->large_bytes, memory_order_relaxed) == 0)) return;
    if (connection_unsent(conn) >= CONNECTION_OUTPUT_HIGH / 2) return;
    const struct request *first = conn->owed_first;
    uint64_t turn = first ? first->number : 0;
    bool moves = turn != atomic_load_explicit(&conn->turn, memory_order_relaxed);
    if (!moves && conn->large_collected == 0) return;
    atomic_store_explicit(&conn->turn, turn, memory_order_relaxed);
    atomic_fetch_sub_explicit(&conn->large_bytes, conn->large_collected, memory_order_relaxed);
    conn->large_collected = 0;
    conn->shard->progressed = true;
}
