// SPDX-License-Identifier: BSD-3-Clause
//
// DEBUG RELOAD: everything is replaced by what the snapshot's file holds, at one instant. It is a
// transaction over all shards that keeps their keyspaces until the load has ended, so what was on
// its way before is executed afterwards; new commands are answered with -LOADING meanwhile. The
// file is checked first: a bad one changes nothing. Runs on the connection's shard, the home of the
// load. Invariant: the transaction ends exactly once, with the command's reply. Called by
// session_debug.c.
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
    struct connection *connection;
    struct transaction *transaction;
    bool save, flush, merge;
};

static void finish(struct reload *reload, const char *error) {
    struct connection *conn = reload->connection;
    struct buf bytes = {0};
    struct reply reply;
    reply_init(&reply, &bytes, conn->proto);
    if (error)
        reply_error(&reply, error);
    else
        reply_ok(&reply);
    if (reply.errors) statistics_error(&conn->shard->stats, reply.error_code);
    transaction_finish(reload->transaction, &bytes);
    buf_free(&bytes);
    mem_free(reload);
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

static void begin(struct transaction *t, void *context) {
    struct reload *reload = context;
    struct shard *s = reload->connection->shard;
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
                                      .ended = ended,
                                      .context = reload};
    reload->transaction = t;
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
    transaction_start(t);
}

void session__debug_reload(struct session_call *call) {
    struct connection *conn = call->connection;
    struct reload how = {.connection = conn, .save = true, .flush = true};
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
        if (how.save)
            snapshots_save_and_then(conn, start, reload);
        else
            start(conn, reload);
    }
}
