// SPDX-License-Identifier: BSD-3-Clause
//
// The table of session commands, and those that make up a session itself: AUTH, HELLO, SELECT,
// RESET, QUIT. Runs on the connection's shard. Invariant, checked at start: every row of the
// command table that says WHERE_SESSION (containers aside) has exactly one handler here, and no
// handler is without a row.
#include "shards/session.h"

#include <stddef.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/commands/server.h"
#include "shards/monitor.h"
#include "shards/multi.h"
#include "shards/pubsub_work.h"
#include "shards/tracking.h"

static const struct session_handler handlers[] = {
    // name, function, barrier, in_multi
    {"acl|cat", acl_command_cat, false, false},
    {"acl|deluser", acl_command_deluser, true, false},
    {"acl|dryrun", acl_command_dryrun, false, false},
    {"acl|genpass", acl_command_genpass, false, false},
    {"acl|getuser", acl_command_getuser, false, false},
    {"acl|help", acl_command_help, false, false},
    {"acl|list", acl_command_list, false, false},
    {"acl|load", acl_command_load, true, false},
    {"acl|log", acl_command_log, false, false},
    {"acl|save", acl_command_save, false, false},
    {"acl|setuser", acl_command_setuser, true, false},
    {"acl|users", acl_command_users, false, false},
    {"acl|whoami", acl_command_whoami, false, false},
    {"auth", session_auth, true, false},
    {"hello", session_hello, true, false},
    {"select", session_select, false, false},
    {"reset", session_reset, true, true},
    {"quit", session_quit, false, true},
    {"migrate", session_migrate, true, false},
    {"multi", session_multi, false, true},
    {"exec", session_exec, true, true},
    {"discard", session_discard, true, true},
    {"watch", session_watch, true, true},
    {"unwatch", session_unwatch, true, false},
    {"wait", session_wait, true, false},
    {"monitor", monitor_begin, true, false},
    {"subscribe", session_subscribe, true, false},
    {"unsubscribe", session_unsubscribe, true, false},
    {"psubscribe", session_psubscribe, true, false},
    {"punsubscribe", session_punsubscribe, true, false},
    {"ssubscribe", session_ssubscribe, true, false},
    {"sunsubscribe", session_sunsubscribe, true, false},
    {"publish", session_publish, true, false},
    {"spublish", session_spublish, true, false},
    {"pubsub|channels", pubsub_channels, true, false},
    {"pubsub|help", pubsub_help, false, false},
    {"pubsub|numpat", pubsub_numpat, false, false},
    {"pubsub|numsub", pubsub_numsub, true, false},
    {"pubsub|shardchannels", pubsub_shardchannels, true, false},
    {"pubsub|shardnumsub", pubsub_shardnumsub, true, false},
    {"bgsave", session_bgsave, true, false},
    {"save", session_save, true, false},
    {"lastsave", session_lastsave, false, false},
    {"shutdown", session_shutdown, true, false},
    {"info", session_info, true, false},
    {"debug", session_debug, true, false},
    {"client|id", client_id, false, false},
    {"client|info", client_info, false, false},
    {"client|list", client_list, true, false},
    {"client|kill", client_kill, true, false},
    {"client|pause", client_pause, true, false},
    {"client|unpause", client_unpause, true, false},
    {"client|setname", client_setname, false, false},
    {"client|getname", client_getname, false, false},
    {"client|setinfo", client_setinfo, false, false},
    {"client|reply", client_reply, false, false},
    {"client|no-evict", client_no_evict, false, false},
    {"client|no-touch", client_no_touch, false, false},
    {"client|tracking", client_tracking, true, false},
    {"client|caching", client_caching, false, false},
    {"client|trackinginfo", client_trackinginfo, false, false},
    {"client|getredir", client_getredir, false, false},
    {"client|unblock", client_unblock, true, false},
    {"client|help", client_help, false, false},
    {"cluster|count-failure-reports", cluster_failure_reports, false, false},
    {"cluster|countkeysinslot", cluster_countkeysinslot, true, false},
    {"cluster|getkeysinslot", cluster_getkeysinslot, true, false},
    {"cluster|help", cluster_help, false, false},
    {"cluster|info", cluster_info, false, false},
    {"cluster|keyslot", cluster_keyslot, false, false},
    {"cluster|links", cluster_links, false, false},
    {"cluster|myid", cluster_myid, false, false},
    {"cluster|myshardid", cluster_myshardid, false, false},
    {"cluster|nodes", cluster_nodes, false, false},
    {"cluster|replicas", cluster_replicas, false, false},
    {"cluster|shards", cluster_shards, false, false},
    {"cluster|slaves", cluster_replicas, false, false},
    {"cluster|slots", cluster_slots, false, false},
    {"asking", cluster_mode_word, false, false},
    {"readonly", cluster_mode_word, false, false},
    {"readwrite", cluster_mode_word, false, false},
    {"config|get", config_command_get, false, false},
    {"config|set", config_command_set, true, false},
    {"config|resetstat", config_command_resetstat, true, false},
    {"config|rewrite", config_command_rewrite, true, false},
    {"config|help", config_command_help, false, false},
};
#define HANDLERS (sizeof handlers / sizeof handlers[0])
#define ROWS_MAX 1024

// Which handler a row has, by command id. Written once by session_bind() before any thread exists.
static uint8_t handler_of[ROWS_MAX];

static const struct command *row_named(const char *full_name) {
    for (uint32_t id = 0; id < command_count(); id++)
        if (strcmp(command_by_id(id)->full_name, full_name) == 0) return command_by_id(id);
    return NULL;
}

void session_bind(void) {
    ASSERT(command_count() <= ROWS_MAX && HANDLERS < UINT8_MAX);
    for (size_t i = 0; i < HANDLERS; i++) {
        const struct command *row = row_named(handlers[i].name);
        ASSERT(row && row->where == WHERE_SESSION);
        handler_of[row->id] = (uint8_t)(i + 1);
    }
    for (uint32_t id = 0; id < command_count(); id++) {
        const struct command *row = command_by_id(id);
        bool needs_handler = row->where == WHERE_SESSION && row->subcommand_count == 0;
        ASSERT(needs_handler == (handler_of[id] != 0));
        ASSERT(row->where == WHERE_SESSION || row->subcommand_count > 0 || row->run);
    }
}

const struct session_handler *session_handler(const struct command *spec) {
    ASSERT(handler_of[spec->id] != 0);
    return &handlers[handler_of[spec->id] - 1];
}

void session_run(struct connection *conn, const struct session_handler *handler,
                 const struct parsed *p) {
    struct shard *s = conn->shard;
    struct reply r;
    connection_reply_begin(conn, &r);
    struct session_call call = {conn, p->spec, p->argc, p->argv, &r};
    s->stats.commands++;
    s->stats.by_command[p->spec->id].calls++;
    handler->run(&call);
    if (r.errors) s->stats.by_command[p->spec->id].failed++;
    connection_reply_end(conn, &r);
}

// ---- names -------------------------------------------------------------------------------------

bool session_name_is_valid(struct slice name) {
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] < '!' || name.p[i] > '~') return false;
    return true;
}

// ---- AUTH, HELLO -------------------------------------------------------------------------------

static const char error_wrong_password[] =
    "WRONGPASS invalid username-password pair or user is disabled.";

/** The late answer to an address that fails again and again; its connection waits for it. */
struct late_refusal {
    struct work work; // first member
    struct timer timer;
};

static bool end_refusal(struct work *work, const char *error) {
    struct late_refusal *refusal = (struct late_refusal *)work;
    struct connection *conn = work->connection;
    timers_cancel(&conn->shard->timers, &refusal->timer);
    mem_free(refusal);
    struct late_reply late;
    connection_late_begin(conn, &late);
    reply_error(&late.reply, error ? error : error_wrong_password);
    connection_late_end(conn, &late);
    return true;
}

static void refusal_is_due(struct timer *timer) {
    struct late_refusal *refusal =
        (struct late_refusal *)((char *)timer - offsetof(struct late_refusal, timer));
    end_refusal(&refusal->work, NULL);
}

static void refuse_late(struct connection *conn, int64_t wait_ms) {
    struct shard *s = conn->shard;
    struct late_refusal *refusal = mem_calloc(sizeof *refusal);
    refusal->work.blocking = true;
    refusal->work.end = end_refusal;
    s->stats.auth_delayed++;
    connection_work_begin(conn, &refusal->work);
    timers_set(&s->timers, &refusal->timer, s->now_ns + wait_ms * 1000000, refusal_is_due);
}

/** Checks user and password; false: the error has been written, or will be. */
static bool authenticate(struct session_call *call, struct slice user, struct slice password) {
    int64_t wait_ms;
    if (accounts_login(call->connection, call->argv[0], user, password, &wait_ms)) return true;
    if (wait_ms > 0)
        refuse_late(call->connection, wait_ms);
    else
        reply_error(call->reply, error_wrong_password);
    return false;
}

void session_auth(struct session_call *call) {
    if (call->argc > 3) {
        reply_error(call->reply, error_syntax);
        return;
    }
    if (call->argc == 2 && call->connection->shard->accounts.standard->user->nopass) {
        reply_error(call->reply,
                    "ERR AUTH <password> called without any password configured for the default "
                    "user. Are you sure your configuration is correct?");
        return;
    }
    struct slice user = call->argc == 3 ? call->argv[1] : ACL_DEFAULT_USER;
    if (authenticate(call, user, call->argv[call->argc - 1])) reply_ok(call->reply);
}

static void reply_hello(struct session_call *call) {
    struct connection *conn = call->connection;
    struct reply *r = call->reply;
    reply_map(r, 7);
    reply_bulk_text(r, "server");
    reply_bulk_text(r, "redis");
    reply_bulk_text(r, "version");
    reply_bulk_text(r, SERVER_REDIS_VERSION);
    reply_bulk_text(r, "proto");
    reply_int(r, conn->proto);
    reply_bulk_text(r, "id");
    reply_int(r, (int64_t)conn->id);
    reply_bulk_text(r, "mode");
    reply_bulk_text(r, connection_is_node(conn) ? "cluster" : "standalone");
    reply_bulk_text(r, "role");
    reply_bulk_text(r, "master");
    reply_bulk_text(r, "modules");
    reply_array(r, 0);
}

void session_hello(struct session_call *call) {
    struct connection *conn = call->connection;
    struct reply *r = call->reply;
    int64_t proto = conn->proto;
    int next = 1;
    if (call->argc >= 2) {
        if (!num_parse_i64(call->argv[next++], &proto)) {
            reply_error(r, "ERR Protocol version is not an integer or out of range");
            return;
        }
        if (proto < 2 || proto > 3) {
            reply_error(r, "NOPROTO unsupported protocol version");
            return;
        }
    }
    const struct slice *user = NULL, *name = NULL;
    for (; next < call->argc; next++) {
        int more = call->argc - 1 - next;
        if (slice_is(call->argv[next], "auth") && more >= 2) {
            user = &call->argv[next + 1];
            next += 2;
        } else if (slice_is(call->argv[next], "setname") && more >= 1) {
            name = &call->argv[++next];
            if (!session_name_is_valid(*name)) {
                reply_error(r, "ERR Client names cannot contain spaces, newlines or special "
                               "characters.");
                return;
            }
        } else {
            reply_error_format(r, "ERR Syntax error in HELLO option '%.*s'",
                               (int)(call->argv[next].n < 128 ? call->argv[next].n : 128),
                               call->argv[next].p);
            return;
        }
    }
    if (user && !authenticate(call, user[0], user[1])) return;
    if (!conn->authenticated) {
        reply_error(r, "NOAUTH HELLO must be called with the client already authenticated, "
                       "otherwise the HELLO <proto> AUTH <user> <pass> option can be used to "
                       "authenticate the client and select the RESP protocol version at the same "
                       "time");
        return;
    }
    if (name) connection_set_text(conn, CLIENT_NAME, *name);
    conn->proto = (uint8_t)proto;
    r->proto = conn->proto;
    pubsub_update_mode(conn);
    reply_hello(call);
}

// ---- SELECT, RESET, QUIT -----------------------------------------------------------------------

void session_select(struct session_call *call) {
    int64_t db;
    if (!num_parse_i64(call->argv[1], &db)) {
        reply_error(call->reply, error_not_integer);
        return;
    }
    if (db < INT32_MIN || db > INT32_MAX) {
        reply_error(call->reply, "ERR value is out of range, value must between -2147483648 and "
                                 "2147483647");
        return;
    }
    if (db != 0 && connection_is_node(call->connection)) {
        reply_error(call->reply, "ERR SELECT is not allowed in cluster mode");
        return;
    }
    if (db < 0 || db >= call->connection->shard->keyspace->ndbs) {
        reply_error(call->reply, "ERR DB index is out of range");
        return;
    }
    call->connection->db = (uint32_t)db;
    reply_ok(call->reply);
}

void session_reset_state(struct connection *conn) {
    if (conn->in_multi) multi_discard(conn);
    if (conn->is_monitor) monitor_leave(conn);
    multi_unwatch(conn);
    tracking_disable(conn);
    conn->db = 0;
    conn->proto = 2;
    conn->reply_mode = REPLY_ON;
    conn->no_evict = false;
    conn->cmd_flags &= ~(uint32_t)CMD_CTX_NO_TOUCH;
    accounts_enter(conn);
    connection_set_text(conn, CLIENT_NAME, slice_of("", 0));
}

static void end_reset(struct connection *conn, struct reply *reply) {
    session_reset_state(conn);
    reply->proto = 2;
    reply_status(reply, "RESET");
}

void session_reset(struct session_call *call) {
    if (call->connection->in_multi) multi_discard(call->connection);
    pubsub_reset(call, end_reset);
}

void session_quit(struct session_call *call) {
    reply_ok(call->reply);
    connection_close_after_reply(call->connection);
}
