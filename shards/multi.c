// SPDX-License-Identifier: BSD-3-Clause
//
// MULTI and EXEC. A block runs in one of three ways: here at once (its keys are ours and free),
// as one request on the shard that owns all its keys, or as a transaction. Runs on the
// connection's shard, but for multi_conflict() and multi_run_request(). Invariant: while
// `running`, the commands before `next` have been executed and their replies are in `reply`; a
// session command may interrupt the run to wait.
#include "shards/multi.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "shards/blocked.h"
#include "shards/monitor.h"
#include "shards/session.h"
#include "shards/tracking.h"
#include "shards/transaction.h"
#include "shards/visit.h"
#include "shards/watch.h"

struct queued {
    const struct command *spec;
    int argc;
    uint8_t narrow;      // CMD_CTX_NARROW, or 0
    const char *refusal; // EXEC on another shard: not allowed any more; NULL: it is
    struct slice *argv;
};

struct multi {
    struct queued *commands;
    int count, cap;
    struct key *keys; // of all commands; texts point into their arguments
    uint32_t key_count, key_cap;
    size_t bytes;
    bool spoiled;              // an error while queueing
    bool write;                // a write is queued
    bool denyoom;              // a command that full memory refuses is queued
    bool denyload;             // the same for a load
    bool session;              // a session command is queued
    bool waits;                // ... that has keys, and waits while it has them (MIGRATE)
    bool everything;           // a command that needs every keyspace is queued
    bool many_dbs;             // keys may be in several databases
    struct watch_set *watches; // EXEC has begun: the connection's
    // EXEC under way.
    uint32_t prepared; // databases whose keys have been asked for
    bool running, in_command;
    int next;
    struct connection *connection;
    struct transaction *transaction; // or NULL
    const struct view *view;
    struct buf reply;
};

void multi_free(struct multi *m) {
    if (!m) return;
    if (m->watches) watch_forget(m->watches);
    for (int i = 0; i < m->count; i++) mem_free(m->commands[i].argv);
    mem_free(m->commands);
    mem_free(m->keys);
    buf_free(&m->reply);
    mem_free(m);
}

void multi_spoil(struct multi *m) { m->spoiled = true; }

bool multi_writes(const struct multi *m) { return m->write; }

bool multi_is_one_slot(const struct multi *m) {
    for (uint32_t i = 1; i < m->key_count; i++)
        if (hash_slot(m->keys[i].text) != hash_slot(m->keys[0].text)) return false;
    return true;
}

bool multi_takes_memory(const struct multi *m) { return m->denyoom; }

bool multi_is_for_loading(const struct multi *m) { return !m->denyload; }

int multi_count(const struct multi *m) { return m ? m->count : 0; }

size_t multi_memory(const struct multi *m) { return m ? m->bytes : 0; }

struct transaction *multi_transaction(const struct multi *m) {
    ASSERT(m->running);
    return m->transaction;
}

bool multi_is_running(const struct multi *m) { return m && m->running; }

void multi_unwatch(struct connection *conn) {
    if (!conn->watches || conn->watches->legs > 0) return;
    watch_forget(conn->watches);
    conn->watches = NULL;
}

void multi_discard(struct connection *conn) {
    ASSERT(!multi_is_running(conn->multi));
    multi_free(conn->multi);
    conn->multi = NULL;
    conn->in_multi = false;
    multi_unwatch(conn);
}

// ---- queueing ----------------------------------------------------------------------------------

static void add_keys(struct shard *s, struct multi *m, const struct queued *q) {
    struct key_list keys;
    key_list_init(&keys, q->spec, q->argc, q->argv);
    if (m->key_count + (uint32_t)keys.count > m->key_cap) {
        m->key_cap = (m->key_count + (uint32_t)keys.count) * 2;
        m->keys = mem_realloc(m->keys, m->key_cap * sizeof *m->keys);
    }
    for (int i = 0; i < keys.count; i++)
        m->keys[m->key_count++] = key_of(s->keyspace, q->argv[keys.at[i].arg]);
    key_list_fini(&keys);
}

static struct slice *copy_arguments(struct multi *m, const struct parsed *p) {
    size_t bytes = (size_t)p->argc * sizeof(struct slice) + slices_bytes(p->argv, p->argc);
    m->bytes += bytes;
    struct slice *argv = mem_alloc(bytes);
    slices_copy(argv, (char *)(argv + p->argc), p->argv, p->argc);
    return argv;
}

/** Whether EXEC will execute nothing, whatever else is queued: then it need not be kept. */
static bool will_fail(const struct connection *conn) {
    const struct watch_set *watches = conn->watches;
    return conn->multi->spoiled ||
           (watches && atomic_load_explicit(&watches->dirty, memory_order_relaxed));
}

static void keep(struct shard *s, struct multi *m, const struct parsed *p) {
    if (m->count == m->cap) {
        m->cap = m->cap ? m->cap * 2 : 8;
        m->commands = mem_realloc(m->commands, (size_t)m->cap * sizeof *m->commands);
    }
    struct queued *q = &m->commands[m->count++];
    *q = (struct queued){.spec = p->spec, .argc = p->argc, .argv = copy_arguments(m, p)};
    m->write |= (p->spec->flags & COMMAND_WRITE) != 0;
    m->denyoom |= (p->spec->flags & COMMAND_DENYOOM) != 0;
    m->denyload |= (p->spec->flags & COMMAND_LOADING) == 0;
    m->session |= p->spec->where == WHERE_SESSION;
    m->everything |= p->spec->where == WHERE_ALL || p->spec->where == WHERE_CURSOR ||
                     command_roams(p->spec, p->argc, p->argv);
    m->many_dbs |= (p->spec->flags & COMMAND_MANY_DBS) || strcmp(p->spec->name, "select") == 0;
    m->waits |= p->spec->where == WHERE_SESSION && p->spec->key_spec_count > 0;
    if (p->spec->where == WHERE_KEYS || p->spec->where == WHERE_SESSION) add_keys(s, m, q);
}

void multi_queue(struct connection *conn, const struct parsed *p) {
    struct multi *m = conn->multi;
    struct reply r;
    connection_reply_begin(conn, &r);
    if (p->spec->flags & COMMAND_NO_MULTI) {
        m->spoiled = true;
        reply_error(&r, "ERR Command not allowed inside a transaction");
        connection_reply_end(conn, &r);
        return;
    }
    if (!will_fail(conn)) keep(conn->shard, m, p);
    reply_status(&r, "QUEUED");
    connection_reply_end(conn, &r);
}

// ---- running a block ---------------------------------------------------------------------------

static void run_engine_command(struct shard *s, const struct queued *q, const struct view *view,
                               int64_t now_ms, uint32_t db, uint32_t flags,
                               const struct connection *client, struct reply *reply) {
    struct cmd c = {.spec = q->spec,
                    .argc = q->argc,
                    .argv = q->argv,
                    .reply = reply,
                    .view = view,
                    .settings = &s->settings,
                    .now_ms = now_ms,
                    .now_us = s->now_us,
                    .db = db,
                    .flags = flags | q->narrow,
                    .client = client};
    shard_run(s, &c);
}

/**
 * Of a command in a block whose user is not let do everything: why it may not run any more. NULL:
 * it may. A denial has been logged.
 */
static const char *refusal_of(struct connection *conn, struct queued *q) {
#define NO_LONGER                                                                                \
    "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC " \
    "call. This command is no longer allowed for the following reason: "
    struct account_ruling ruling = accounts_rule(conn, q->spec, q->argc, q->argv);
    q->narrow = ruling.narrow;
    switch (ruling.verdict) {
    case ACL_DENIED_COMMAND: return NO_LONGER "no permission to execute the command or subcommand";
    case ACL_DENIED_KEY: return NO_LONGER "no permission to touch the specified keys";
    case ACL_DENIED_CHANNEL:
        return NO_LONGER "no permission to access one of the channels used as arguments";
    case ACL_ALLOWED: break;
    }
    return NULL;
#undef NO_LONGER
}

static void run_session_command(struct connection *conn, const struct queued *q,
                                struct reply *reply) {
    struct session_call call = {conn, q->spec, q->argc, q->argv, reply};
    session_handler(q->spec)->run(&call);
    if (reply->errors) statistics_error(&conn->shard->stats, reply->error_code);
}

static void show(struct shard *s, const struct connection *conn, uint32_t db,
                 const struct queued *q) {
    monitor_feed(s, conn, db, q->spec, q->argc, q->argv);
}

static void show_exec(struct shard *s, const struct connection *conn, uint32_t db) {
    const struct slice word = SLICE_LITERAL("exec");
    monitor_feed(s, conn, db, command_find_row(word), 1, &word);
}

/**
 * Leaves MULTI and gives EXEC's reply: at once into `now`, or, when it is NULL, through the
 * connection.
 */
static void end_run(struct multi *m, struct reply *now) {
    struct connection *conn = m->connection;
    if (monitor_is_on(conn->shard)) show_exec(conn->shard, conn, conn->db);
    struct transaction *t = m->transaction;
    m->running = false;
    conn->multi = NULL;
    conn->in_multi = false;
    if (t) {
        conn->work = (struct work *)t;
        transaction_finish(t, &m->reply);
    } else if (now) {
        reply_raw(now, m->reply.p, m->reply.len);
        connection_unstall(conn, STALL_WORK);
        blocked_settle(conn->shard);
    } else {
        if (!conn->closed && !connection_is_silent(conn))
            buf_append(&conn->out, m->reply.p, m->reply.len);
        connection_unstall(conn, STALL_WORK);
        connection_mark(conn);
    }
    multi_free(m);
}

/** Executes from `next` on. False: a session command has begun to wait. */
static bool run_commands(struct multi *m) {
    struct connection *conn = m->connection;
    while (m->next < m->count) {
        struct queued *q = &m->commands[m->next++];
        struct reply r;
        reply_init(&r, &m->reply, conn->proto);
        const char *refusal = unlikely(conn->guarded) ? refusal_of(conn, q) : NULL;
        if (unlikely(refusal != NULL)) {
            reply_error(&r, refusal);
            statistics_error(&conn->shard->stats, r.error_code);
            continue;
        }
        if (monitor_is_on(conn->shard)) show(conn->shard, conn, conn->db, q);
        if (q->spec->where != WHERE_SESSION) {
            int64_t now_ms = m->transaction ? transaction_now_ms(m->transaction)
                                            : visit_now_us(conn->shard) / 1000;
            run_engine_command(conn->shard, q, m->view, now_ms, conn->db, conn->cmd_flags, conn,
                               &r);
            continue;
        }
        conn->work = NULL;
        m->in_command = true;
        run_session_command(conn, q, &r);
        m->in_command = false;
        if (conn->work) return false; // multi_work_done() goes on
    }
    return true;
}

/** Executes from `next` on, until the end or until a session command begins to wait. */
static void run_on(struct multi *m, struct reply *now) {
    struct tracking_scope scope;
    bool scoped = tracking_begin(m->connection->shard, &scope, m->connection);
    bool ended = run_commands(m);
    if (scoped) tracking_end(m->connection->shard, &scope);
    if (ended) end_run(m, now);
}

static void begin_run(struct multi *m, const struct view *view, struct reply *now) {
    struct reply r;
    reply_init(&r, &m->reply, m->connection->proto);
    reply_array(&r, (size_t)m->count);
    m->view = view;
    m->running = true;
    run_on(m, now);
}

void multi_work_done(struct connection *conn, const void *reply, size_t length) {
    struct multi *m = conn->multi;
    buf_append(&m->reply, reply, length);
    if (!m->in_command) run_on(m, NULL); // else the loop in run_on() sees that it is done
}

// ---- EXEC --------------------------------------------------------------------------------------

static void reply_aborted(struct multi *m) {
    struct reply r;
    reply_init(&r, &m->reply, m->connection->proto);
    reply_null_array(&r);
}

static void run_transaction(struct transaction *t, void *context) {
    struct multi *m = context;
    const struct view *view = transaction_view(t);
    m->transaction = t;
    bool whole = m->everything || m->many_dbs;
    bool failed = m->watches && (atomic_load_explicit(&m->watches->dirty, memory_order_acquire) ||
                                 (whole ? watch_failed(m->watches, view, transaction_now_ms(t))
                                        : transaction_watch_expired(t)));
    if (failed) {
        reply_aborted(m);
        end_run(m, NULL);
    } else {
        begin_run(m, view, NULL);
    }
}

/** The transaction that executes the block; it has still to begin. */
static struct transaction *make_transaction(struct connection *conn, struct multi *m) {
    struct transaction *t = transaction_new(conn, m->write, conn->db, run_transaction, m);
    if (m->everything || m->many_dbs) {
        transaction_add_whole(t, connection_is_node(conn) ? conn->shard->id : UINT32_MAX);
        return t;
    }
    for (uint32_t i = 0; i < m->key_count; i++) transaction_add_key(t, m->keys[i].text, true);
    for (uint32_t i = 0; m->watches && i < m->watches->count; i++)
        transaction_add_key(t, m->watches->keys[i].key.text, false);
    return t;
}

// ---- whole shards during a snapshot ------------------------------------------------------------
// A block over whole shards asks for no keys, and would have a large value that it changes written
// at once. So what it changes, as far as that can be told, is asked for before, one database after
// the other, as by other transactions: what is large is then written in steps. A snapshot that
// begins in between finds the block ahead of it, or does write at once.

struct changed {
    uint32_t db;           // the database in hand, or the lowest from it on that was found
    bool found;            // there is one
    struct transaction *t; // NULL: look for the lowest
};

static void take_changed(struct changed *changed, uint32_t from, uint32_t db, struct slice key) {
    if (changed->t) {
        if (db == changed->db) transaction_add_key(changed->t, key, false);
    } else if (db >= from && (!changed->found || db < changed->db)) {
        changed->db = db;
        changed->found = true;
    }
}

static void each_changed(const struct multi *m, struct changed *changed, uint32_t from) {
    const struct connection *conn = m->connection;
    uint32_t db = conn->db;
    for (int i = 0; i < m->count; i++) {
        const struct queued *q = &m->commands[i];
        int64_t number;
        if (strcmp(q->spec->name, "select") == 0 && num_parse_i64(q->argv[1], &number) &&
            number >= 0 && number < conn->shard->keyspace->ndbs)
            db = (uint32_t)number;
        if (!(q->spec->flags & COMMAND_WRITE)) continue;
        struct key_list keys;
        key_list_init(&keys, q->spec, q->argc, q->argv);
        for (int k = 0; k < keys.count; k++)
            take_changed(changed, from, db, q->argv[keys.at[k].arg]);
        key_list_fini(&keys);
    }
}

static struct transaction *make_next(struct multi *m);

static void run_prepared(struct transaction *t, void *context) {
    struct multi *m = context;
    transaction_end(t);
    transaction_begin(make_next(m));
}

/** The transaction that asks for what is changed in the next database; in the end the block's. */
static struct transaction *make_next(struct multi *m) {
    struct changed changed = {.found = false};
    each_changed(m, &changed, m->prepared);
    if (!changed.found) return make_transaction(m->connection, m);
    m->prepared = changed.db + 1;
    changed.t = transaction_new(m->connection, true, changed.db, run_prepared, m);
    each_changed(m, &changed, 0);
    return changed.t;
}

static void start_transaction(struct connection *conn, struct multi *m) {
    struct snapshot_progress progress;
    bool prepare = (m->everything || m->many_dbs) && m->write &&
                   snapshot_walk_progress(conn->shard->fleet, &progress);
    transaction_start(prepare ? make_next(m) : make_transaction(conn, m));
}

/** Sends the block to the one shard that owns all its keys. */
static void start_request(struct connection *conn, struct multi *m, const struct session_call *call,
                          uint32_t shard) {
    struct parsed p = {
        .spec = call->spec, .argc = 1, .argv = call->argv, .shard = shard, .write = m->write};
    for (int i = 0; i < m->count && conn->guarded; i++)
        m->commands[i].refusal = refusal_of(conn, &m->commands[i]);
    struct request *r = request_new(conn, &p);
    r->multi = m;
    conn->multi = NULL;
    conn->in_multi = false;
    request_start(r);
}

/** The shard of all keys and watched keys; SHARD_ANY when there are none, SHARD_SEVERAL. */
static uint32_t common_shard(const struct shard *s, const struct multi *m) {
    uint32_t common = SHARD_ANY;
    for (uint32_t i = 0; i < m->key_count; i++) {
        uint32_t shard = shard_of_key(s, m->keys[i].text);
        if (common != SHARD_ANY && common != shard) return SHARD_SEVERAL;
        common = shard;
    }
    for (uint32_t i = 0; m->watches && i < m->watches->count; i++) {
        uint32_t shard = m->watches->keys[i].shard;
        if (common != SHARD_ANY && common != shard) return SHARD_SEVERAL;
        common = shard;
    }
    return common;
}

/** Whether the block needs nothing but keys of shards that can be visited now, all at once. */
static bool is_in_reach(struct shard *s, uint32_t db, const struct multi *m) {
    if (m->everything || m->session || m->count + m->key_count > VISIT_KEYS_MAX) return false;
    for (uint32_t i = 0; i < m->key_count; i++) {
        uint32_t shard = shard_of_key(s, m->keys[i].text);
        if (!visit_also(s, shard)) return false;
        if (m->write && visit_meets(s, shard, db, m->keys[i].text)) return false;
    }
    for (uint32_t i = 0; m->watches && i < m->watches->count; i++)
        if (!visit_also(s, m->watches->keys[i].shard)) return false;
    return true;
}

bool multi_conflict(const struct shard *s, const struct multi *m, uint64_t *hash, bool *write,
                    bool again) {
    *write = m->write;
    for (uint32_t i = 0; i < m->key_count; i++) {
        *hash = m->keys[i].hash;
        if (intents_conflict(&s->intents, *hash, m->write, again)) return true;
    }
    *write = false;
    for (uint32_t i = 0; m->watches && i < m->watches->count; i++) {
        *hash = m->watches->keys[i].key.hash;
        if (intents_conflict(&s->intents, *hash, false, again)) return true;
    }
    return false;
}

bool multi_meets(struct shard *s, const struct multi *m, uint32_t db, bool claim) {
    bool met = false;
    for (uint32_t i = 0; i < m->key_count && m->write; i++) {
        if (!snapshot_walk_keeps(s, db, m->keys[i])) continue;
        met = true;
        if (claim) snapshot_walk_claim(s, db, m->keys[i]);
    }
    return met;
}

void multi_run_request(struct shard *s, struct request *r, struct reply *reply) {
    struct multi *m = r->multi;
    if (m->watches && watch_failed(m->watches, &s->view, s->now_ms)) {
        if (monitor_is_on(s)) show_exec(s, r->connection, r->db);
        reply_null_array(reply);
        return;
    }
    struct tracking_scope scope;
    bool scoped = tracking_begin(s, &scope, r->connection);
    reply_array(reply, (size_t)m->count);
    for (int i = 0; i < m->count; i++) {
        if (unlikely(m->commands[i].refusal != NULL)) {
            reply_error(reply, m->commands[i].refusal);
            statistics_error(&s->stats, reply->error_code);
            continue;
        }
        if (monitor_is_on(s)) show(s, r->connection, r->db, &m->commands[i]);
        run_engine_command(s, &m->commands[i], shard_view(s, m->write), s->now_ms, r->db,
                           r->cmd_flags, r->connection, reply);
    }
    if (scoped) tracking_end(s, &scope);
    if (monitor_is_on(s)) show_exec(s, r->connection, r->db);
}

void session_exec(struct session_call *call) {
    struct connection *conn = call->connection;
    struct multi *m = conn->multi;
    bool runs = conn->in_multi && !m->spoiled;
    if (!runs && monitor_is_on(conn->shard)) show_exec(conn->shard, conn, conn->db);
    if (!conn->in_multi) {
        reply_error(call->reply, "ERR EXEC without MULTI");
        return;
    }
    if (m->spoiled) {
        multi_discard(conn);
        reply_error(call->reply, "EXECABORT Transaction discarded because of previous errors.");
        return;
    }
    struct shard *s = conn->shard;
    m->connection = conn;
    m->watches = conn->watches;
    conn->watches = NULL;
    for (uint32_t i = 0; m->watches && i < m->watches->count; i++)
        m->many_dbs |= m->watches->keys[i].db != conn->db;
    bool alone = s->fleet->nshards == 1;
    uint32_t shard = alone ? s->id : common_shard(s, m);
    // One shard alone has everything in reach, unless a transaction has some of its keys.
    bool everywhere = alone ? (m->everything && s->intents.parts > 0) ||
                                  (unlikely(s->share != NULL) && m->write && m->many_dbs)
                            : m->everything || (m->many_dbs && shard != SHARD_ANY);
    bool elsewhere = shard != s->id && shard != SHARD_ANY;
    uint64_t hash;
    bool write, busy = s->intents.parts > 0 && shard == s->id &&
                       (s->intents.lent || multi_conflict(s, m, &hash, &write, false));
    if (unlikely(s->share != NULL) && !busy && shard == s->id && !s->intents.lent)
        busy = multi_meets(s, m, conn->db, false);
    // A session command may wait in the middle of the block: then keys must be held, also own ones.
    bool held = (!alone && m->session && shard != SHARD_ANY) || (m->waits && m->key_count > 0);
    bool several = everywhere || shard == SHARD_SEVERAL || held;
    bool visit = !alone && (several || elsewhere) && is_in_reach(s, conn->db, m);
    const struct view *view = visit ? &s->everywhere : shard_view(s, m->write);
    if (several && !visit) {
        start_transaction(conn, m);
    } else if ((elsewhere || busy) && !visit) {
        start_request(conn, m, call, shard);
    } else if (m->watches && watch_failed(m->watches, view, visit_now_us(s) / 1000)) {
        reply_aborted(m);
        end_run(m, call->reply);
    } else {
        s->stats.visits += visit;
        begin_run(m, view, call->reply);
    }
}

// ---- MULTI, DISCARD, WATCH, UNWATCH ------------------------------------------------------------

void session_multi(struct session_call *call) {
    struct connection *conn = call->connection;
    if (conn->in_multi) {
        reply_error(call->reply, "ERR MULTI calls can not be nested");
        return;
    }
    conn->in_multi = true;
    conn->multi = mem_calloc(sizeof *conn->multi);
    reply_ok(call->reply);
}

void session_discard(struct session_call *call) {
    if (!call->connection->in_multi) {
        reply_error(call->reply, "ERR DISCARD without MULTI");
        return;
    }
    multi_discard(call->connection);
    reply_ok(call->reply);
}

void session_watch(struct session_call *call) {
    if (call->connection->in_multi) {
        reply_error(call->reply, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    watch_begin(call->connection, call->argc, call->argv);
}

void session_unwatch(struct session_call *call) {
    multi_unwatch(call->connection);
    reply_ok(call->reply);
}
