// SPDX-License-Identifier: BSD-3-Clause
//
// CLIENT, the part that concerns one's own connection (names, reply mode, flags) and the pause of
// all of them. Runs on the connection's shard; CLIENT PAUSE and UNPAUSE reach every shard by a
// fan-out, because each shard holds its own commands back. A pause that ends by time is ended by
// shard.c. The subcommands that look at other connections are in session_client_list.c. Called
// through the table of session.c.
#include "engine/base/alloc.h"
#include "engine/base/num.h"
#include "engine/commands/introspect.h"
#include "shards/fanout.h"
#include "shards/session.h"
#include "shards/session_shared.h"

void client_id(struct session_call *call) { reply_int(call->reply, (int64_t)call->connection->id); }

void client_info(struct session_call *call) {
    struct buf line = {0};
    connection_describe(call->connection, &line);
    buf_append_char(&line, '\n');
    reply_verbatim(call->reply, "txt", slice_of(line.p, line.len));
    buf_free(&line);
}

// ---- names -------------------------------------------------------------------------------------

void client_setname(struct session_call *call) {
    if (!session_name_is_valid(call->argv[2])) {
        reply_error(call->reply,
                    "ERR Client names cannot contain spaces, newlines or special characters.");
        return;
    }
    connection_set_text(call->connection, CLIENT_NAME, call->argv[2]);
    reply_ok(call->reply);
}

void client_getname(struct session_call *call) {
    const char *name = connection_text(call->connection, CLIENT_NAME);
    if (name)
        reply_bulk_text(call->reply, name);
    else
        reply_null(call->reply);
}

void client_setinfo(struct session_call *call) {
    struct slice option = call->argv[2], value = call->argv[3];
    enum client_text which = slice_is(option, "lib-name")  ? CLIENT_LIB_NAME
                             : slice_is(option, "lib-ver") ? CLIENT_LIB_VER
                                                           : CLIENT_TEXTS;
    if (which == CLIENT_TEXTS) {
        reply_error_format(call->reply, "ERR Unrecognized option '%.*s'", (int)option.n, option.p);
    } else if (!session_name_is_valid(value)) {
        reply_error_format(call->reply,
                           "ERR %.*s cannot contain spaces, newlines or special characters.",
                           (int)option.n, option.p);
    } else {
        connection_set_text(call->connection, which, value);
        reply_ok(call->reply);
    }
}

// ---- modes -------------------------------------------------------------------------------------

void client_reply(struct session_call *call) {
    struct connection *conn = call->connection;
    struct slice mode = call->argv[2];
    if (slice_is(mode, "on")) {
        conn->reply_mode = REPLY_ON;
        reply_ok(call->reply);
    } else if (slice_is(mode, "off")) {
        conn->reply_mode = REPLY_OFF;
    } else if (slice_is(mode, "skip")) {
        if (conn->reply_mode != REPLY_OFF) conn->reply_mode = REPLY_SKIP_NEXT;
    } else {
        reply_error(call->reply, error_syntax);
    }
}

/** ON or OFF, with the reply to it; false: it was neither. */
static bool parse_switch(struct session_call *call, bool *on) {
    *on = slice_is(call->argv[2], "on");
    bool good = *on || slice_is(call->argv[2], "off");
    if (good)
        reply_ok(call->reply);
    else
        reply_error(call->reply, error_syntax);
    return good;
}

void client_no_evict(struct session_call *call) {
    bool on;
    if (parse_switch(call, &on)) call->connection->no_evict = on;
}

void client_no_touch(struct session_call *call) {
    bool on;
    struct connection *conn = call->connection;
    if (!parse_switch(call, &on)) return;
    conn->cmd_flags &= ~(uint32_t)CMD_CTX_NO_TOUCH;
    if (on) conn->cmd_flags |= CMD_CTX_NO_TOUCH;
}

// ---- pausing everybody -------------------------------------------------------------------------

struct pause {
    int64_t until_ms; // 0: does not prolong
    bool writes_only;
};

/** Lets every connection look again; those that are still meant are held at their next command. */
static void release_paused(struct shard *s) {
    for (struct connection *conn = s->connections.first; conn; conn = conn->next)
        connection_unstall(conn, STALL_PAUSE);
}

static void run_pause(struct shard *s, struct fanout_leg *leg) {
    const struct pause *pause = leg->fanout->context;
    bool eased = pause->writes_only && !s->pause_writes_only;
    s->pause_writes_only = pause->writes_only;
    // As in Redis a later pause decides what is held back, but never shortens the time.
    if (s->pause_until_ms < pause->until_ms) s->pause_until_ms = pause->until_ms;
    if (eased) release_paused(s);
}

static void run_unpause(struct shard *s, struct fanout_leg *leg) {
    (void)leg;
    s->pause_until_ms = 0;
    s->pause_writes_only = false;
    release_paused(s);
}

bool session__timeout(struct session_call *call, int arg, int64_t *end_ms) {
    int64_t timeout_ms, now_ms = call->connection->shard->now_ms;
    *end_ms = 0;
    if (!num_parse_i64(call->argv[arg], &timeout_ms))
        reply_error(call->reply, "ERR timeout is not an integer or out of range");
    else if (timeout_ms < 0)
        reply_error(call->reply, "ERR timeout is negative");
    else if (timeout_ms > INT64_MAX - now_ms)
        reply_error(call->reply, "ERR timeout is out of range");
    else if (timeout_ms > 0)
        *end_ms = now_ms + timeout_ms;
    return call->reply->errors == 0;
}

void client_pause(struct session_call *call) {
    struct pause pause = {0};
    if (call->argc > 4) {
        session__wrong_subcommand(call, "CLIENT");
        return;
    }
    if (call->argc == 4) {
        pause.writes_only = slice_is(call->argv[3], "write");
        if (!pause.writes_only && !slice_is(call->argv[3], "all")) {
            reply_error(call->reply, "ERR CLIENT PAUSE mode must be WRITE or ALL");
            return;
        }
    }
    if (!session__timeout(call, 2, &pause.until_ms)) return;
    struct pause *context = mem_alloc(sizeof *context);
    *context = pause;
    fanout_start(call->connection, context, run_pause, session__finish_ok);
}

void client_unpause(struct session_call *call) {
    fanout_start(call->connection, NULL, run_unpause, session__finish_ok);
}

void session__finish_ok(struct fanout *f, struct reply *reply) {
    mem_free(f->context);
    reply_ok(reply);
}

void session__wrong_subcommand(struct session_call *call, const char *container) {
    struct slice word = call->argv[1];
    reply_error_format(
        call->reply, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try %s HELP.",
        (int)(word.n < 128 ? word.n : 128), word.p, container);
}

// ---- help --------------------------------------------------------------------------------------

static const char *const help[] = {
    "CACHING (YES|NO)",
    "    Whether what the next command reads is tracked, in the OPTIN and OPTOUT modes.",
    "GETNAME",
    "    The name of this connection, if it has one.",
    "GETREDIR",
    "    The connection that invalidations are redirected to: its id, 0, or -1 without tracking.",
    "ID",
    "    The number of this connection.",
    "INFO",
    "    One line about this connection.",
    "KILL <address>",
    "    Close the connection from this address (ip:port, or path:0 of a Unix socket).",
    "KILL <filter> <value> [<filter> <value> ...]",
    "    Close all connections that pass every filter:",
    "    * ID <client-id>",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "    * USER <name>",
    "    * ADDR <address>, LADDR <address>: the client's and the server's end",
    "    * SKIPME (YES|NO): whether this connection is spared; it is unless told otherwise",
    "LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB) | ID <client-id> [<client-id> ...]]",
    "    One line about each connection.",
    "NO-EVICT (ON|OFF)",
    "    Whether this connection is exempt from client eviction.",
    "NO-TOUCH (ON|OFF)",
    "    Whether this connection's reads leave access times and counts alone.",
    "PAUSE <milliseconds> [WRITE|ALL]",
    "    Hold back all commands, or only those that write, for that time.",
    "REPLY (ON|OFF|SKIP)",
    "    Whether this connection gets replies; SKIP leaves out the next one.",
    "SETINFO <option> <value>",
    "    Store what the client library says about itself: LIB-NAME or LIB-VER.",
    "SETNAME <name>",
    "    Name this connection; an empty name removes it.",
    "TRACKING (ON|OFF) [REDIRECT <client-id>] [BCAST] [PREFIX <prefix> [...]] [OPTIN] [OPTOUT]",
    "    [NOLOOP]",
    "    Be told when what this connection has read changes: for caches of clients.",
    "TRACKINGINFO",
    "    How this connection is tracked.",
    "UNBLOCK <client-id> [TIMEOUT|ERROR]",
    "    End what a client is blocked in, as by its timeout or with an error.",
    "UNPAUSE",
    "    End a pause.",
    NULL,
};

void client_help(struct session_call *call) { introspect_help_reply(call->reply, "CLIENT", help); }
