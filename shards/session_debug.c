// SPDX-License-Identifier: BSD-3-Clause
//
// DEBUG: what tests need to look inside and to disturb. Refused unless enable-debug-command allows
// it. Runs on the connection's shard; SLEEP and SET-ACTIVE-EXPIRE reach all shards by a fan-out,
// OBJECT reads its key wherever it is through a transaction. Called through the table of
// session.c.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/base/alloc.h"
#include "engine/base/num.h"
#include "engine/commands/introspect.h"
#include "shards/fanout.h"
#include "shards/multi.h"
#include "shards/session.h"
#include "shards/session_shared.h"
#include "shards/transaction.h"

static const char *const help[] = {
    "CHANGE-REPL-ID",
    "    Take a new replication id.",
    "OBJECT <key>",
    "    How the key's value is held in memory.",
    "SET-ACTIVE-EXPIRE (0|1)",
    "    Whether expired keys are looked for in the background.",
    "SLEEP <seconds>",
    "    Let all shards sleep for that time; decimals allowed.",
    NULL,
};

// ---- sleep, active expiry ----------------------------------------------------------------------

/** The shard that was asked sleeps first, all the others then at the same time. */
static void run_sleep(struct shard *s, struct fanout_leg *leg) {
    (void)s;
    double seconds = *(const double *)leg->fanout->context;
    struct timespec pause = {.tv_sec = (time_t)seconds,
                             .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&pause, NULL);
}

static void sleep_all(struct session_call *call) {
    char text[64] = {0};
    struct slice word = call->argv[2];
    memcpy(text, word.p, word.n < sizeof text - 1 ? word.n : sizeof text - 1);
    double *seconds = mem_alloc(sizeof *seconds);
    *seconds = strtod(text, NULL);
    if (!(*seconds >= 0)) *seconds = 0;
    if (*seconds > 1e6) *seconds = 1e6;
    fanout_start(call->connection, seconds, run_sleep, session__finish_ok);
}

static void run_active_expire(struct shard *s, struct fanout_leg *leg) {
    s->active_expire = *(const bool *)leg->fanout->context;
}

static void set_active_expire(struct session_call *call) {
    int64_t value = 0; // what is no number counts as 0, as in Redis
    num_parse_i64(call->argv[2], &value);
    bool *on = mem_alloc(sizeof *on);
    *on = value != 0;
    fanout_start(call->connection, on, run_active_expire, session__finish_ok);
}

// ---- object ------------------------------------------------------------------------------------

/** What the value would take in a snapshot: its length, with the length's own bytes in front. */
static size_t serialized_length(const struct entry *e) {
    int64_t number;
    size_t n = entry_string_length(e);
    if (e->encoding == ENC_INT && entry_string_i64(e, &number)) {
        if (number >= INT8_MIN && number <= INT8_MAX) return 2;
        if (number >= INT16_MIN && number <= INT16_MAX) return 3;
        if (number >= INT32_MIN && number <= INT32_MAX) return 5;
    }
    return n + (n < 64 ? 1 : n < 16384 ? 2 : n <= UINT32_MAX ? 5 : 9);
}

static void describe_object(struct cmd *c) {
    struct found f = cmd_peek(c, 2);
    const struct entry *e = f.ref.entry;
    if (!e) {
        reply_error(c->reply, error_no_such_key);
        return;
    }
    char text[240];
    snprintf(text, sizeof text,
             "Value at:%p refcount:1 encoding:%s serializedlength:%zu lru:%u lru_seconds_idle:%u",
             (const void *)e, entry_encoding_name(e), serialized_length(e), entry_access(e),
             c->settings->lfu ? 0 : cmd_idle_s(c, e));
    reply_status(c->reply, text);
}

struct object_question {
    struct connection *connection;
    const struct command *spec;
    size_t key_length;
    char key[];
};

static void run_object(struct transaction *t, void *context) {
    struct object_question *question = context;
    struct connection *conn = question->connection;
    struct buf bytes = {0};
    struct reply reply;
    reply_init(&reply, &bytes, conn->proto);
    struct slice argv[] = {SLICE_LITERAL("debug"), SLICE_LITERAL("object"),
                           slice_of(question->key, question->key_length)};
    struct cmd c = {.spec = question->spec,
                    .argc = 3,
                    .argv = argv,
                    .reply = &reply,
                    .view = transaction_view(t),
                    .settings = &conn->shard->settings,
                    .now_ms = conn->shard->now_ms,
                    .now_us = conn->shard->now_us,
                    .db = conn->db,
                    .flags = CMD_CTX_NO_TOUCH};
    describe_object(&c);
    if (reply.errors) statistics_error(&conn->shard->stats, reply.error_code);
    transaction_finish(t, &bytes);
    buf_free(&bytes);
    mem_free(question);
}

static void ask_object(struct session_call *call) {
    struct connection *conn = call->connection;
    struct slice key = call->argv[2];
    if (multi_is_running(conn->multi)) { // EXEC may have locked the key for itself
        reply_error(call->reply, "ERR DEBUG OBJECT is not allowed inside MULTI");
        return;
    }
    if (connection_is_node(conn) && shard_of_key(conn->shard, key) != conn->shard->id) {
        reply_error(call->reply, error_no_such_key);
        return;
    }
    struct object_question *question = mem_alloc(sizeof *question + key.n);
    question->connection = conn;
    question->spec = call->spec;
    question->key_length = key.n;
    memcpy(question->key, key.p, key.n);
    struct transaction *t = transaction_new(conn, false, conn->db, run_object, question);
    transaction_add_key(t, key, true);
    transaction_start(t);
}

// ---- the command -------------------------------------------------------------------------------

static bool is_allowed(const struct connection *conn) {
    int allowed = conn->shard->config->enable_debug_command;
    return allowed == CONFIG_ENABLE_YES ||
           (allowed == CONFIG_ENABLE_LOCAL && session__is_local(conn));
}

void session_debug(struct session_call *call) {
    struct slice word = call->argv[1];
    if (!is_allowed(call->connection)) {
        reply_error(call->reply,
                    "ERR DEBUG command not allowed. If the enable-debug-command option is set to "
                    "\"local\", you can run it from a local connection, otherwise you need to set "
                    "this option in the configuration file, and then restart the server.");
    } else if (call->argc == 2 && slice_is(word, "help")) {
        introspect_help_reply(call->reply, "DEBUG", help);
    } else if (call->argc == 3 && slice_is(word, "sleep")) {
        sleep_all(call);
    } else if (call->argc == 3 && slice_is(word, "set-active-expire")) {
        set_active_expire(call);
    } else if (call->argc == 3 && slice_is(word, "object")) {
        ask_object(call);
    } else if (call->argc == 2 && slice_is(word, "change-repl-id")) {
        char id[41];
        session__replication_id(call->connection->shard->fleet, true, id);
        reply_ok(call->reply);
    } else {
        session__wrong_subcommand(call, "DEBUG");
    }
}
