// SPDX-License-Identifier: BSD-3-Clause
//
// BGSAVE, SAVE, LASTSAVE and SHUTDOWN: their words, and what can be answered without the manager of
// snapshots (snapshots.c), which does the rest. Runs on the connection's shard. Invariant: a client
// that has been told "Background saving started" finds in that snapshot all that was answered to
// anybody before, and nothing of what it does next. Called through the table of session.c.
#include "shards/multi.h"
#include "shards/session.h"
#include "shards/snapshots.h"

static const char no_files[] = "ERR this server writes no files";

/** Inside EXEC a snapshot can't begin: its instant lies outside of all transactions. */
static void schedule(struct session_call *call) {
    if (snapshots_schedule(call->connection->shard->fleet))
        reply_status(call->reply, "Background saving scheduled");
    else
        reply_error(call->reply, "ERR Background save already in progress");
}

void session_bgsave(struct session_call *call) {
    struct connection *conn = call->connection;
    if (call->argc > 2 || (call->argc == 2 && !slice_is(call->argv[1], "schedule")))
        reply_error(call->reply, error_syntax);
    else if (conn->shard->fleet->snapshots == NULL)
        reply_error(call->reply, no_files);
    else if (multi_is_running(conn->multi))
        schedule(call);
    else
        snapshots_ask(conn, ASK_BGSAVE, NULL);
}

void session_save(struct session_call *call) {
    if (call->connection->shard->fleet->snapshots == NULL)
        reply_error(call->reply, no_files);
    else
        snapshots_ask(call->connection, ASK_SAVE, NULL);
}

void session_lastsave(struct session_call *call) {
    reply_int(call->reply, snapshots_last_save_s(call->connection->shard->fleet));
}

static bool parse_shutdown(const struct session_call *call, struct shutdown_words *words) {
    *words = (struct shutdown_words){0};
    for (int i = 1; i < call->argc; i++)
        if (!config_shutdown_word(call->argv[i], words)) return false;
    bool others = words->save || words->nosave || words->now || words->force;
    return !(words->abort && others) && !(words->save && words->nosave);
}

void session_shutdown(struct session_call *call) {
    struct fleet *fleet = call->connection->shard->fleet;
    struct shutdown_words words;
    if (!parse_shutdown(call, &words)) {
        reply_error(call->reply, error_syntax);
    } else if (fleet->snapshots != NULL) {
        snapshots_ask(call->connection, words.abort ? ASK_SHUTDOWN_ABORT : ASK_SHUTDOWN, &words);
    } else if (words.abort) {
        reply_error(call->reply, "ERR No shutdown in progress.");
    } else if (fleet->on_shutdown) {
        fleet->on_shutdown(fleet);
    }
}
