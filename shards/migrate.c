// SPDX-License-Identifier: BSD-3-Clause
//
// MIGRATE on the connection's shard: arguments, locking, and what becomes of the keys. Its steps:
//
//   look      a reading transaction: is there any of the keys? If not: NOKEY
//   prepare   a pool thread connects and logs in; nothing is locked
//   transfer  a transaction holds the keys, a pool thread sends them and hears the answers
//   finish    what was accepted is deleted as by DEL, the client is answered, the locks go
//
// Inside of EXEC the keys are the block's already: prepare and transfer are one job. Invariant:
// between two steps the migration is the connection's work, itself or by its transaction. A client
// that leaves does not stop it. Called by session.c.
#include <string.h>

#include "engine/base/alloc.h"
#include "shards/migrate_job.h"
#include "shards/multi.h"
#include "shards/session.h"
#include "shards/transaction.h"

#define TIMEOUT_DEFAULT_MS 1000

struct migration {
    struct migrate_job job; // first member, and its note that of the job
    struct work work;       // while it has no transaction of its own
    struct connection *connection;
    struct transaction *transaction; // own, or that of EXEC
    bool in_exec;
    const struct command *spec;
    uint32_t db;
    int first_key, key_args;
    int argc;
    struct slice argv[];
};

// ---- arguments ---------------------------------------------------------------------------------

/** What the arguments say. */
struct wish {
    bool copy, replace;
    int user_arg, password_arg; // 0: not given
    int first_key, key_args;
    int64_t db, timeout_ms;
};

/** One option at *i, which moves to its last word. False: the error has been written. */
static bool parse_option(const struct session_call *call, int *i, struct wish *wish) {
    const struct slice *argv = call->argv;
    int more = call->argc - 1 - *i;
    if (slice_is(argv[*i], "copy")) {
        wish->copy = true;
    } else if (slice_is(argv[*i], "replace")) {
        wish->replace = true;
    } else if (slice_is(argv[*i], "auth") && more >= 1) {
        wish->password_arg = ++*i;
    } else if (slice_is(argv[*i], "auth2") && more >= 2) {
        wish->user_arg = ++*i;
        wish->password_arg = ++*i;
    } else if (slice_is(argv[*i], "keys")) {
        if (argv[3].n != 0) {
            reply_error(call->reply, "ERR When using MIGRATE KEYS option, the key argument must be "
                                     "set to the empty string");
            return false;
        }
        wish->first_key = *i + 1;
        wish->key_args = more;
        *i = call->argc;
    } else {
        reply_error(call->reply, error_syntax);
        return false;
    }
    return true;
}

static bool parse(const struct session_call *call, struct wish *wish) {
    *wish = (struct wish){.first_key = 3, .key_args = 1};
    for (int i = 6; i < call->argc; i++)
        if (!parse_option(call, &i, wish)) return false;
    if (!num_parse_i64(call->argv[5], &wish->timeout_ms) ||
        !num_parse_i64(call->argv[4], &wish->db)) {
        reply_error(call->reply, error_not_integer);
        return false;
    }
    if (wish->timeout_ms <= 0) wish->timeout_ms = TIMEOUT_DEFAULT_MS;
    return true;
}

static char *zero_terminated(struct slice text) {
    char *copy = mem_alloc(text.n + 1);
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    return copy;
}

static struct migration *migration_new(const struct session_call *call, const struct wish *wish) {
    struct connection *conn = call->connection;
    size_t size = sizeof(struct migration) + (size_t)call->argc * sizeof(struct slice);
    struct migration *m = mem_alloc(size + slices_bytes(call->argv, call->argc));
    memset(m, 0, size);
    m->connection = conn;
    m->spec = call->spec;
    m->db = conn->db;
    m->first_key = wish->first_key;
    m->key_args = wish->key_args;
    m->argc = call->argc;
    slices_copy(m->argv, (char *)(m->argv + m->argc), call->argv, call->argc);
    m->job.shard = conn->shard;
    struct migrate_order *order = &m->job.order;
    order->host = zero_terminated(call->argv[1]);
    order->port = zero_terminated(call->argv[2]);
    order->db = wish->db;
    order->timeout_ms = wish->timeout_ms;
    order->copy = wish->copy;
    order->replace = wish->replace;
    order->asking = connection_is_node(conn);
    if (wish->user_arg) order->user = m->argv[wish->user_arg];
    if (wish->password_arg) order->password = m->argv[wish->password_arg];
    const struct engine_settings *settings = &conn->shard->settings;
    order->exactly = settings->rdb_version != 0;
    order->how.version = order->exactly ? settings->rdb_version : RDB_VERSION_DEFAULT;
    order->how.compress = settings->rdb_compression;
    return m;
}

static void migration_free(struct migration *m) {
    ASSERT(m->job.link == NULL);
    mem_free(m->job.order.host);
    mem_free(m->job.order.port);
    mem_free(m->job.keys);
    buf_free(&m->job.error);
    mem_free(m);
}

// ---- the end -----------------------------------------------------------------------------------

/** Answers the client with what `text` has been made to be, and ends. */
static void answer(struct migration *m, struct reply *reply, struct buf *text) {
    struct connection *conn = m->connection;
    struct shard *s = conn->shard;
    struct transaction *own = m->in_exec ? NULL : m->transaction;
    if (reply->errors) {
        statistics_error(&s->stats, reply->error_code);
        s->stats.by_command[m->spec->id].failed++;
    }
    if (m->job.link) migrate_pool_keep(s->fleet->migrations, m->job.link);
    m->job.link = NULL;
    migration_free(m);
    if (own)
        transaction_finish(own, text);
    else
        connection_work_done(conn, text->p, text->len);
    buf_free(text);
}

static void answer_status(struct migration *m, const char *status) {
    struct buf text = {0};
    struct reply reply;
    reply_init(&reply, &text, m->connection->proto);
    reply_status(&reply, status);
    answer(m, &reply, &text);
}

static void answer_error(struct migration *m, struct slice error) {
    struct buf text = {0};
    struct reply reply;
    reply_init(&reply, &text, m->connection->proto);
    reply_error_slice(&reply, error);
    answer(m, &reply, &text);
}

// ---- keys --------------------------------------------------------------------------------------

/** A command over the keys of the transaction. */
static struct cmd command_over(const struct migration *m, const struct transaction *t,
                               struct reply *reply) {
    const struct shard *s = m->connection->shard;
    return (struct cmd){.spec = m->spec,
                        .argc = m->argc,
                        .argv = m->argv,
                        .reply = reply,
                        .view = transaction_view(t),
                        .settings = &s->settings,
                        .now_ms = transaction_now_ms(t),
                        .now_us = s->now_us,
                        .db = m->db,
                        .flags = m->connection->cmd_flags};
}

/** Finds the keys that are there: what the job is about. False: there are none. */
static bool collect(struct migration *m) {
    struct cmd c = command_over(m, m->transaction, NULL);
    m->job.keys = mem_calloc((size_t)m->key_args * sizeof *m->job.keys);
    for (int i = 0; i < m->key_args; i++) {
        struct found f = cmd_read(&c, m->first_key + i);
        if (f.ref.entry)
            m->job.keys[m->job.key_count++] =
                (struct migrate_key){.key = m->argv[m->first_key + i], .entry = f.ref.entry};
    }
    return m->job.key_count > 0;
}

/** Deletes what the other server has accepted, by the ordinary command: that is the effect, too. */
static void delete_accepted(struct migration *m) {
    struct slice *argv = mem_alloc((m->job.key_count + 1) * sizeof *argv);
    int argc = 0;
    argv[argc++] = SLICE_LITERAL("DEL");
    for (uint32_t i = 0; i < m->job.key_count; i++)
        if (m->job.keys[i].accepted) argv[argc++] = m->job.keys[i].key;
    if (argc > 1) {
        struct buf unused = {0};
        struct reply reply;
        reply_init(&reply, &unused, 2);
        struct cmd c = command_over(m, m->transaction, &reply);
        c.spec = command_find_row(argv[0]);
        c.argc = argc;
        c.argv = argv;
        cmd_run(&c);
        buf_free(&unused);
    }
    mem_free(argv);
}

// ---- the steps ---------------------------------------------------------------------------------

static void give_up(struct migration *m) {
    answer_error(m, slice_text("IOERR error or timeout connecting to the client"));
}

static void on_transferred(struct shard *s, struct note *note) {
    struct migration *m = (struct migration *)note;
    ASSERT(m->job.shard == s);
    if (!m->job.order.copy) delete_accepted(m);
    if (m->job.error.len > 0)
        answer_error(m, slice_of(m->job.error.p, m->job.error.len));
    else
        answer_status(m, "OK");
}

/** Everything is locked: sends what there is. */
static void transfer(struct migration *m) {
    struct shard *s = m->connection->shard;
    m->job.note.run = on_transferred;
    if (!migrate_pool_add(s->fleet->migrations, &m->job)) give_up(m);
}

static void run_transfer(struct transaction *t, void *context) {
    struct migration *m = context;
    m->transaction = t;
    if (collect(m))
        transfer(m);
    else
        answer_status(m, "NOKEY");
}

static void add_keys(const struct migration *m, struct transaction *t) {
    for (int i = 0; i < m->key_args; i++) transaction_add_key(t, m->argv[m->first_key + i], true);
}

static void on_prepared(struct shard *s, struct note *note) {
    struct migration *m = (struct migration *)note;
    ASSERT(m->job.shard == s);
    if (m->job.error.len > 0) {
        answer_error(m, slice_of(m->job.error.p, m->job.error.len));
        return;
    }
    connection_work_leave(m->connection);
    // A copy leaves the keys as they are: they may be read meanwhile.
    struct transaction *t =
        transaction_new(m->connection, !m->job.order.copy, m->db, run_transfer, m);
    add_keys(m, t);
    transaction_start(t);
}

static void run_look(struct transaction *t, void *context) {
    struct migration *m = context;
    struct connection *conn = m->connection;
    struct cmd c = command_over(m, t, NULL);
    bool found = false;
    for (int i = 0; i < m->key_args && !found; i++)
        found = cmd_peek(&c, m->first_key + i).ref.entry != NULL;
    if (!found) {
        m->transaction = t;
        answer_status(m, "NOKEY");
        return;
    }
    transaction_end(t);
    connection_work_begin(conn, &m->work);
    m->job.note.run = on_prepared;
    if (!migrate_pool_add(conn->shard->fleet->migrations, &m->job)) give_up(m);
}

/** EXEC has the keys already, and goes on when the connection's work is done. */
static void begin_in_exec(struct session_call *call, struct migration *m) {
    m->in_exec = true;
    m->transaction = multi_transaction(m->connection->multi);
    ASSERT(m->transaction);
    if (collect(m)) {
        connection_work_begin(m->connection, &m->work);
        transfer(m);
    } else {
        migration_free(m);
        reply_status(call->reply, "NOKEY");
    }
}

void session_migrate(struct session_call *call) {
    struct connection *conn = call->connection;
    struct wish wish;
    if (!parse(call, &wish)) return;
    if (wish.key_args == 0) {
        reply_status(call->reply, "NOKEY");
        return;
    }
    struct migration *m = migration_new(call, &wish);
    if (multi_is_running(conn->multi)) {
        begin_in_exec(call, m);
        return;
    }
    struct transaction *t = transaction_new(conn, false, m->db, run_look, m);
    add_keys(m, t);
    transaction_start(t);
}
