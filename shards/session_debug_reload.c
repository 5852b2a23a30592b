// SPDX-License-Identifier: BSD-3-Clause
//
// DEBUG RELOAD: everything is replaced by what the snapshot's file holds, at one instant. It is a
// transaction over all shards that keeps their keyspaces until the load has ended, so what was on
// its way before is executed afterwards; new commands are answered with -LOADING meanwhile. The
// file is checked first: a bad one changes nothing. What is saved first may not change before it is
// loaded: writes wait, and if one was on its way, it is saved anew. Runs on the connection's shard,
// the home of the load. Invariant: the transaction ends exactly once, with the command's reply.
// Called by session_debug.c.
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/log.h"
#include "shards/loading.h"
#include "shards/multi.h"
#include "shards/session.h"
#include "shards/session_shared.h"
#include "shards/snapshots.h"
#include "shards/transaction.h"

struct reload {
    struct fleet *fleet;
    struct connection *connection;
    struct transaction *transaction;
    bool save, flush, merge;
    int attempts;
};

#define ATTEMPTS 20 // to save and to begin before anybody has changed something in between

/** Lets writes wait, or no longer. (Of two at a time, the first to end lets them go: no harm.) */
static void hold_writes(struct fleet *fleet, bool hold) {
    if (hold)
        atomic_fetch_or(&fleet->gates, GATE_RELOAD);
    else
        atomic_fetch_and(&fleet->gates, ~(uint32_t)GATE_RELOAD);
    fleet_leave_chore(fleet, CHORE_GATES);
    for (uint32_t i = 0; i < fleet->nshards; i++) io_wake(fleet->shards[i]->io, NULL);
}

/** It is over, however. */
static void reload_free(struct reload *reload) {
    if (reload->save) hold_writes(reload->fleet, false);
    mem_free(reload);
}

static void finish(struct reload *reload, const char *error) {
    struct late_reply late;
    connection_late_begin(reload->connection, &late);
    if (error)
        reply_error(&late.reply, error);
    else
        reply_ok(&late.reply);
    transaction_late_end(reload->transaction, &late);
    reload_free(reload);
}

/** One of the keyspaces that are lent to us. */
static struct keyspace *keyspace_at(const struct transaction *t, uint32_t i) {
    const struct view *view = transaction_view(t);
    return view->only ? view->only : view->by_shard[i];
}

/** Nobody is to take a part of a dataset for the whole; nor is it to be saved for that. */
static void flush_all(const struct transaction *t, uint32_t nshards) {
    for (uint32_t i = 0; i < nshards; i++) {
        struct keyspace *ks = keyspace_at(t, i);
        ks->stats.dirty -= keyspace_flush(ks, UINT32_MAX);
    }
}

static void ended(struct shard *home, void *context, enum loading_end end) {
    struct reload *reload = context;
    if (end == LOADING_GOOD) {
        log_line(LOG_WARN, "The dataset was reloaded: DEBUG RELOAD");
        finish(reload, NULL);
        return;
    }
    if (end == LOADING_BROKEN && reload->flush) {
        log_line(LOG_WARN, "DEBUG RELOAD failed half-way: the dataset is empty now");
        flush_all(reload->transaction, home->fleet->nshards);
    }
    finish(reload, "ERR Error trying to load the RDB dump, check server logs.");
}

static void start(struct connection *conn, void *context);

/** Whether something has changed since the instant of what was saved. */
static bool has_changed(const struct transaction *t, const struct fleet *fleet) {
    struct snapshots_report report;
    uint64_t dirty = 0;
    for (uint32_t i = 0; i < fleet->nshards; i++) dirty += keyspace_at(t, i)->stats.dirty;
    return !snapshots_report(fleet, &report) || report.base_dirty != dirty;
}

static void save_failed(struct connection *conn, void *context) {
    (void)conn;
    reload_free(context);
}

/** Saves anew: what came in between would be lost. */
static void save_again(struct reload *reload) {
    struct connection *conn = reload->connection;
    if (++reload->attempts == ATTEMPTS) {
        finish(reload, "ERR The dataset changes faster than DEBUG RELOAD can save it");
        return;
    }
    connection_hold(conn);
    transaction_end(reload->transaction);
    snapshots_save_and_then(conn, start, save_failed, reload);
    connection_drop(conn);
}

static void begin(struct transaction *t, void *context) {
    struct reload *reload = context;
    struct shard *s = reload->connection->shard;
    reload->transaction = t;
    if (reload->save && has_changed(t, s->fleet)) {
        save_again(reload);
        return;
    }
    struct buf path = {0};
    buf_printf(&path, "%s/%s", s->config->dir, s->config->dbfilename);
    buf_append_char(&path, '\0');
    struct loading_options options = {.path = path.p,
                                      .home = s->id,
                                      .check = true,
                                      .flush = reload->flush,
                                      .replace = reload->merge,
                                      .lent = true,
                                      .skip_unknown = s->config->rdb_unknown == CONFIG_UNKNOWN_SKIP,
                                      .delay_us = s->config->key_load_delay,
                                      .ignore_checksum = !s->config->rdbchecksum,
                                      .ended = ended,
                                      .context = reload};
    int error = loading_start(s->fleet, &options);
    if (error < 0) {
        log_line(LOG_WARN, "DEBUG RELOAD: %s can't be loaded: %s", path.p, strerror(-error));
        finish(reload, "ERR Error trying to load the RDB dump, check server logs.");
    }
    buf_free(&path);
}

static void start(struct connection *conn, void *context) {
    struct transaction *t = transaction_new(conn, true, conn->db, begin, context);
    transaction_add_whole(t, UINT32_MAX);
    transaction_begin(t); // not at once: the manager of snapshots is still answering
}

void session__debug_reload(struct session_call *call) {
    struct connection *conn = call->connection;
    struct reload how = {
        .fleet = conn->shard->fleet, .connection = conn, .save = true, .flush = true};
    for (int i = 2; i < call->argc; i++) {
        if (slice_is(call->argv[i], "merge")) {
            how.merge = true;
        } else if (slice_is(call->argv[i], "noflush")) {
            how.flush = false;
        } else if (slice_is(call->argv[i], "nosave")) {
            how.save = false;
        } else {
            reply_error(call->reply,
                        "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
            return;
        }
    }
    if (multi_is_running(conn->multi)) {
        reply_error(call->reply, "ERR DEBUG on keys is not allowed inside MULTI");
    } else if (connection_is_node(conn)) {
        reply_error(call->reply, "ERR DEBUG RELOAD is about all shards: use the plain port");
    } else if (loading_is_on(conn->shard->fleet)) {
        reply_error(call->reply, "LOADING Redis is loading the dataset in memory");
    } else if (how.save && conn->shard->fleet->snapshots == NULL) {
        reply_error(call->reply, "ERR this server writes no files");
    } else {
        struct reload *reload = mem_alloc(sizeof *reload);
        *reload = how;
        if (how.save) {
            hold_writes(conn->shard->fleet, true);
            snapshots_save_and_then(conn, start, save_failed, reload);
        } else {
            start(conn, reload);
            shard_settle(conn->shard);
        }
    }
}
