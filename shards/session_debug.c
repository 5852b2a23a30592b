// SPDX-License-Identifier: BSD-3-Clause
//
// DEBUG: what tests need to look inside and to disturb. Refused unless enable-debug-command allows
// it. Runs on the connection's shard; SLEEP and SET-ACTIVE-EXPIRE reach all shards by a fan-out;
// what looks at keys is in session_debug_keys.c. Called through the table of session.c.
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/base/alloc.h"
#include "engine/base/glob.h"
#include "engine/base/num.h"
#include "engine/commands/introspect.h"
#include "shards/fanout.h"
#include "shards/session.h"
#include "shards/session_shared.h"
#include "shards/snapshots.h"

static const char *const help[] = {
    "CHANGE-REPL-ID",
    "    Take a new replication id.",
    "DIGEST",
    "    A digest of all keys, values and expiries of all databases: 40 hex digits, 0 for nothing.",
    "DIGEST-VALUE <key> [<key> ...]",
    "    The same for the value of each key, whatever its encoding.",
    "HTSTATS <dbid> [full]",
    "    How the hash tables of a database are filled.",
    "HTSTATS-KEY <key> [full]",
    "    The same for the value of a key, when it is not in one of the compact encodings.",
    "LISTPACK <key>",
    "    The elements of a value in its compact encoding.",
    "OBJECT <key>",
    "    How the key's value is held in memory.",
    "QUICKLIST-PACKED-THRESHOLD <size>",
    "    Items of this many bytes get a node to themselves, in lists that become large from now "
    "on;",
    "    0: as usual (1 GiB).",
    "RELOAD [NOSAVE] [NOFLUSH] [MERGE]",
    "    Save the dataset, empty it, and load it from the file; without what is told to be left "
    "out.",
    "    MERGE: keys of the file replace those that are there.",
    "SET-ACTIVE-EXPIRE (0|1)",
    "    Whether expired keys are looked for in the background.",
    "SNAPSHOT-DUE",
    "    Act as if the next time of snapshot-cron had come.",
    "SLEEP <seconds>",
    "    Let all shards sleep for that time; decimals allowed.",
    "STRINGMATCH-LEN <pattern> <text>",
    "    1 when the glob pattern matches the text, else 0.",
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

static void run_plain_min(struct shard *s, struct fanout_leg *leg) {
    s->settings.limits.list_plain_min = *(const int64_t *)leg->fanout->context;
}

static void set_plain_min(struct session_call *call) {
    const int64_t usual = value_default_limits.list_plain_min;
    int64_t bytes;
    if (!num_parse_memory(call->argv[2], &bytes) || bytes > (INT64_C(4) << 30)) {
        reply_error(call->reply,
                    "ERR argument must be a memory value bigger than 1 and smaller than 4gb");
        return;
    }
    int64_t *context = mem_alloc(sizeof *context);
    *context = bytes == 0 || bytes > usual ? usual : bytes;
    fanout_start(call->connection, context, run_plain_min, session__finish_ok);
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
    } else if (call->argc == 4 && slice_is(word, "stringmatch-len")) {
        reply_int(call->reply, glob_match(call->argv[2], call->argv[3], false));
    } else if (call->argc == 3 && slice_is(word, "quicklist-packed-threshold")) {
        set_plain_min(call);
    } else if (slice_is(word, "reload")) {
        session__debug_reload(call);
    } else if (call->argc == 2 && slice_is(word, "snapshot-due")) {
        if (snapshots_hasten(call->connection->shard->fleet))
            reply_ok(call->reply);
        else
            reply_error(call->reply, "ERR there is no snapshot-cron");
    } else if (session__debug_keys(call)) {
        return;
    } else if (call->argc == 2 && slice_is(word, "change-repl-id")) {
        char id[41];
        session__replication_id(call->connection->shard->fleet, true, id);
        reply_ok(call->reply);
    } else {
        session__wrong_subcommand(call, "DEBUG");
    }
}
