// SPDX-License-Identifier: BSD-3-Clause
//
// Session commands: those that concern the connection or the server rather than keys, so that the
// engine cannot run them. One table (session.c) binds rows of the command table to functions
// here; the families have files of their own (session_acl.c, session_client.c, session_cluster.c,
// session_config.c, session_info.c, session_debug.c, multi.c). They run on the connection's shard.
#ifndef TORC_SHARDS_SESSION_H
#define TORC_SHARDS_SESSION_H

#include "engine/commands/command.h"
#include "shards/connection.h"
#include "shards/request.h"

/** The call of a session command: everything it sees. */
struct session_call {
    struct connection *connection;
    const struct command *spec;
    int argc;
    const struct slice *argv;
    struct reply *reply; // write the reply here, unless work was begun (connection_work_begin)
};

typedef void session_fn(struct session_call *call);

struct session_handler {
    const char *name; // full name of the command's row
    session_fn *run;
    bool barrier;  // starts only when nothing of the connection is under way
    bool in_multi; // runs inside MULTI instead of being queued
};

/**
 * Binds the table to the command rows; called once at start before threads exist. Asserts that
 * every row with WHERE_SESSION has a handler and vice versa.
 */
void session_bind(void);
/** The handler of a WHERE_SESSION row. */
const struct session_handler *session_handler(const struct command *spec);
/** Runs it as the connection's current command: begins and ends the reply. */
void session_run(struct connection *conn, const struct session_handler *handler,
                 const struct parsed *p);

// session.c
session_fn session_auth, session_hello, session_select, session_reset, session_quit;
// session_server.c, session_save.c
session_fn session_wait, session_bgsave, session_save, session_lastsave, session_shutdown;
// migrate.c
session_fn session_migrate;
// multi.c
session_fn session_multi, session_exec, session_discard, session_watch, session_unwatch;
// session_client.c
session_fn client_id, client_info, client_list, client_kill, client_pause, client_unpause,
    client_setname, client_getname, client_setinfo, client_reply, client_no_evict, client_no_touch,
    client_unblock, client_help;
// session_tracking.c
session_fn client_tracking, client_caching, client_trackinginfo, client_getredir;
// session_config.c
session_fn config_command_get, config_command_set, config_command_resetstat, config_command_rewrite,
    config_command_help;
// session_acl.c
session_fn acl_command_cat, acl_command_deluser, acl_command_dryrun, acl_command_genpass,
    acl_command_getuser, acl_command_help, acl_command_list, acl_command_load, acl_command_log,
    acl_command_save, acl_command_setuser, acl_command_users, acl_command_whoami;
// session_cluster.c
session_fn cluster_failure_reports, cluster_countkeysinslot, cluster_getkeysinslot, cluster_help,
    cluster_info, cluster_keyslot, cluster_links, cluster_myid, cluster_myshardid, cluster_nodes,
    cluster_replicas, cluster_shards, cluster_slots, cluster_mode_word;
// session_pubsub.c
session_fn session_subscribe, session_unsubscribe, session_psubscribe, session_punsubscribe,
    session_ssubscribe, session_sunsubscribe, session_publish, session_spublish;
session_fn pubsub_channels, pubsub_numsub, pubsub_shardchannels, pubsub_shardnumsub, pubsub_numpat,
    pubsub_help;
// session_info.c, session_debug.c
session_fn session_info, session_debug;

/** Whether a text may be a client's name or library name: printable ASCII without spaces. */
bool session_name_is_valid(struct slice name);
/** Back to the state of a new connection (RESET), but for id and socket. */
void session_reset_state(struct connection *conn);

#endif
