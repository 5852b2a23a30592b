// SPDX-License-Identifier: BSD-3-Clause
//
// From a parsed command to its execution: finds out what it is and where its keys are, and runs it
// where it belongs: here, on the shard that owns its keys, over several shards as a transaction, or
// in the session. Runs on the connection's shard. Invariant: a command is started whole or not at
// all; one that may not start yet has left no trace, and its connection a stall. Called by batch.c.
#include "shards/dispatch.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/log.h"
#include "shards/blocked.h"
#include "shards/cluster.h"
#include "shards/connection.h"
#include "shards/monitor.h"
#include "shards/multi.h"
#include "shards/request.h"
#include "shards/session.h"
#include "shards/snapshots.h"
#include "shards/tracking.h"
#include "shards/transaction.h"
#include "shards/visit.h"

// ---- finding out what a command is -------------------------------------------------------------

static void reply_now(struct connection *conn, const char *error) {
    struct reply r;
    connection_reply_begin(conn, &r);
    reply_error(&r, error);
    connection_reply_end(conn, &r);
}

/** An error that, inside MULTI, also spoils the transaction; an EXEC that is refused ends it. */
static void refuse(struct connection *conn, const struct command *spec, const char *error) {
    if (spec) conn->shard->stats.by_command[spec->id].rejected++;
    if (spec && strcmp(spec->full_name, "exec") == 0) {
        char text[512];
        snprintf(text, sizeof text, "EXECABORT Transaction discarded because of: %s", error);
        if (conn->in_multi) multi_discard(conn);
        reply_now(conn, text);
        return;
    }
    if (conn->in_multi) multi_spoil(conn->multi);
    reply_now(conn, error);
}

static void refuse_unknown(struct connection *conn, const struct parsed *p) {
    struct buf text = {0};
    buf_printf(&text, "ERR unknown command '%.*s', with args beginning with: ",
               (int)(p->argv[0].n < 128 ? p->argv[0].n : 128), p->argv[0].p);
    size_t start = text.len;
    for (int i = 1; i < p->argc && text.len - start < 128; i++) {
        size_t room = 128 - (text.len - start);
        buf_printf(&text, "'%.*s' ", (int)(p->argv[i].n < room ? p->argv[i].n : room),
                   p->argv[i].p);
    }
    buf_append_char(&text, '\0');
    refuse(conn, NULL, text.p);
    buf_free(&text);
}

static void refuse_arity(struct connection *conn, const struct command *spec) {
    char text[160];
    snprintf(text, sizeof text, "ERR wrong number of arguments for '%s' command", spec->full_name);
    refuse(conn, spec, text);
}

/** Replies why a command is none: unknown name or subcommand, or wrong number of arguments. */
static void refuse_unresolved(struct connection *conn, const struct parsed *p) {
    const struct command *spec = command_find(p->argv[0]);
    if (!spec) {
        if (slice_is(p->argv[0], "post") || slice_is(p->argv[0], "host:")) {
            log_line(LOG_WARN,
                     "Possible SECURITY ATTACK detected: client id=%llu speaks HTTP to "
                     "this server. Its connection is closed",
                     (unsigned long long)conn->id);
            connection_close(conn);
            return;
        }
        refuse_unknown(conn, p);
        return;
    }
    const struct command *sub = NULL;
    if (spec->subcommand_count > 0 && p->argc > 1) {
        sub = command_find_sub(spec, p->argv[1]);
        if (!sub) {
            char upper[32], text[256];
            size_t n =
                strlen(spec->name) < sizeof upper - 1 ? strlen(spec->name) : sizeof upper - 1;
            for (size_t i = 0; i < n; i++) upper[i] = (char)(spec->name[i] & ~0x20);
            upper[n] = '\0';
            snprintf(text, sizeof text, "ERR unknown subcommand '%.*s'. Try %s HELP.",
                     (int)(p->argv[1].n < 128 ? p->argv[1].n : 128), p->argv[1].p, upper);
            refuse(conn, spec, text);
            return;
        }
    }
    refuse_arity(conn, sub ? sub : spec);
}

/** The argument of a command's only key; 0 when it has several, or none. */
static int one_key_of(const struct command *spec) {
    bool one = spec->where == WHERE_KEYS && spec->key_spec_count == 1 && spec->first_key > 0 &&
               spec->first_key == spec->last_key;
    return one ? spec->first_key : 0;
}

static inline void route_one_key(const struct shard *s, struct parsed *p, int arg) {
    p->hashed_arg = arg;
    p->hash = key_of(s->keyspace, p->argv[arg]).hash;
    p->shard = shard_of_key(s, p->argv[arg]);
}

/** Finds the shard of the command's keys, and the hash of the key when it is just one. */
static void route(struct connection *conn, struct parsed *p) {
    struct shard *s = conn->shard;
    const struct command *spec = p->spec;
    if (spec->where == WHERE_ANY || spec->where == WHERE_SESSION) return;
    if (spec->where != WHERE_KEYS) {
        p->shard = s->fleet->nshards == 1 ? s->id : SHARD_SEVERAL;
        return;
    }
    int key = one_key_of(spec);
    if (key > 0) {
        route_one_key(s, p, key);
        return;
    }
    // What may wait is never a request, which would hold up what is behind it.
    if (spec->flags & COMMAND_BLOCKING) {
        p->shard = SHARD_SEVERAL;
        return;
    }
    if (s->fleet->nshards == 1) {
        p->shard = s->id;
        return;
    }
    if (command_roams(spec, p->argc, p->argv)) {
        p->shard = SHARD_SEVERAL;
        return;
    }
    struct key_list keys;
    key_list_init(&keys, spec, p->argc, p->argv);
    p->shard = keys.count > 0 ? shard_of_key(s, p->argv[keys.at[0].arg]) : SHARD_ANY;
    for (int i = 1; i < keys.count && p->shard != SHARD_SEVERAL; i++)
        if (shard_of_key(s, p->argv[keys.at[i].arg]) != p->shard) p->shard = SHARD_SEVERAL;
    key_list_fini(&keys);
}

void dispatch_resolve(struct connection *conn, struct parsed *p, struct last_name *last) {
    struct slice name = p->argv[0];
    const struct command *spec = last->spec;
    // Commands come in runs of the same: comparing costs less than looking up.
    if (!spec || !slice_equal_short(name, last->name)) {
        last->name = name;
        last->spec = spec = command_find(name);
        last->one_key = spec && spec->subcommand_count == 0 ? one_key_of(spec) : 0;
    }
    p->spec = NULL;
    p->shard = SHARD_ANY;
    p->hashed_arg = 0;
    if (unlikely(last->one_key == 0) && spec && spec->subcommand_count > 0 && p->argc > 1)
        spec = command_find_sub(spec, p->argv[1]);
    if (!spec || (spec->arity > 0 ? p->argc != spec->arity : p->argc < -spec->arity)) return;
    p->spec = spec;
    p->write = (spec->flags & COMMAND_WRITE) != 0;
    if (likely(last->one_key > 0))
        route_one_key(conn->shard, p, last->one_key);
    else
        route(conn, p);
}

// ---- running -----------------------------------------------------------------------------------

static inline void run_on(struct connection *conn, const struct parsed *p, const struct view *view,
                          int64_t now_ms, int64_t now_us, struct block *block) {
    struct shard *s = conn->shard;
    struct reply r;
    connection_reply_begin(conn, &r);
    struct cmd c = {.spec = p->spec,
                    .argc = p->argc,
                    .argv = p->argv,
                    .reply = &r,
                    .view = view,
                    .settings = &s->settings,
                    .now_ms = now_ms,
                    .now_us = now_us,
                    .db = conn->db,
                    .flags = conn->cmd_flags,
                    .only_arg = 0,
                    .hashed_arg = p->hashed_arg,
                    .hashed = p->hash,
                    .source = conn->in_blob,
                    .ahead = NULL,
                    .effects = NULL,
                    .block = block,
                    .client = conn};
    shard_run(s, &c);
    connection_reply_end(conn, &r);
}

/**
 * Whether a snapshot keeps a key that the command changes: then it goes to where it can wait. Only
 * to be asked while `at` has a share in one.
 */
static __attribute__((noinline)) bool is_kept(struct shard *at, const struct connection *conn,
                                              const struct parsed *p) {
    if (!p->write || at->intents.lent) return false; // lent: the request looks when it is back
    return snapshot_walk_meets(at, conn->db, p->spec, p->argc, p->argv, p->hashed_arg, p->hash,
                               false);
}

/** Runs a command now, on the keyspace of `at`: the own shard, or one that is being visited. */
static void run_here(struct connection *conn, const struct parsed *p, const struct shard *at) {
    // Time does not go back for a key: its owner may have read the clock later.
    const struct shard *latest = conn->shard->now_us > at->now_us ? conn->shard : at;
    run_on(conn, p, shard_view(at, p->write), latest->now_ms, latest->now_us, NULL);
    if (unlikely(blocked_is_due(at))) blocked_settle(conn->shard);
}

/** Whether the command needs nothing but keys of shards that can be visited now, all at once. */
static bool is_in_reach(struct shard *s, uint32_t db, const struct parsed *p) {
    return p->spec->where == WHERE_KEYS && !command_roams(p->spec, p->argc, p->argv) &&
           visit_keys(s, db, p->spec, p->argc, p->argv, p->write);
}

/** Runs a command over several shards: now, if it is in reach; else as a transaction. */
static void run_over_shards(struct connection *conn, const struct parsed *p) {
    struct shard *s = conn->shard;
    if (!is_in_reach(s, conn->db, p)) {
        transaction_command(conn, p);
        return;
    }
    s->stats.visits += s->visited_count > 0;
    int64_t now_us = visit_now_us(s);
    struct block block = {0};
    bool may_wait = (p->spec->flags & COMMAND_BLOCKING) != 0;
    const struct view *view = s->fleet->nshards == 1 ? &s->view : &s->everywhere;
    run_on(conn, p, view, now_us / 1000, now_us, may_wait ? &block : NULL);
    if (unlikely(block.wanted)) blocked_begin(conn, p->spec, p->argc, p->argv, &block, true);
    mem_free(block.replaced);
    blocked_settle(s);
}

static bool is_relaxed(const struct shard *s) {
    return s->config->pipeline_order == CONFIG_ORDER_RELAXED;
}

/**
 * Runs a command over keys of one shard now, if that is this shard or a visited one and nothing is
 * in its way; else as a request.
 */
static void run_over_keys(struct connection *conn, const struct parsed *p) {
    struct shard *s = conn->shard;
    struct shard *at = visit_at(s, p->shard);
    // What is on its way to the same shard may not be passed, also where order is relaxed.
    bool behind = at != s && conn->under_way > 0 && is_relaxed(s);
    if (!at || unlikely(behind) || (unlikely(at->share != NULL) && is_kept(at, conn, p))) {
        request_start(request_new(conn, p));
        return;
    }
    if (unlikely(at->intents.parts > 0)) {
        ASSERT(at == s);
        uint64_t hash;
        bool write;
        if (s->intents.lent || request_conflict(s, p->spec, p->argc, p->argv, p->hashed_arg,
                                                p->hash, &hash, &write, false)) {
            request_start(request_new(conn, p));
            return;
        }
    }
    if (at != s) s->stats.visits++;
    run_here(conn, p, at);
}

static bool is_exec_of_writes(const struct connection *conn, const struct command *spec) {
    return conn->in_multi && strcmp(spec->name, "exec") == 0 && multi_writes(conn->multi);
}

static bool is_paused(const struct connection *conn, const struct command *spec) {
    const struct shard *s = conn->shard;
    bool paused = s->pause_until_ms > s->now_ms;
    if (!paused && !(s->gates & GATES_OF_WRITES)) return false;
    if (paused && !s->pause_writes_only) return true;
    return (spec->flags & (COMMAND_WRITE | COMMAND_MAY_REPLICATE)) || is_exec_of_writes(conn, spec);
}

/** Whether the command must not run because snapshots fail: Redis's rule. */
static bool needs_disk(const struct connection *conn, const struct command *spec) {
    return (spec->flags & COMMAND_WRITE) || strcmp(spec->full_name, "ping") == 0 ||
           is_exec_of_writes(conn, spec);
}

/** In RESP2, what a subscribed client is sent could be taken for replies: it gets few. */
static bool may_run_subscribed(const struct command *spec) {
    return (spec->flags & COMMAND_SUBSCRIBED) != 0;
}

static void refuse_subscribed(struct connection *conn, const struct command *spec) {
    char text[256];
    snprintf(text, sizeof text,
             "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
             "are allowed in this context",
             spec->full_name);
    refuse(conn, spec, text);
}

/** CLIENT REPLY SKIP covers exactly one command. */
static void advance_reply_mode(struct connection *conn) {
    if (conn->reply_mode == REPLY_SKIP_NEXT)
        conn->reply_mode = REPLY_SKIP;
    else if (conn->reply_mode == REPLY_SKIP)
        conn->reply_mode = REPLY_ON;
}

/**
 * Whether memory lets the command start; if not, it has been refused, or the connection stalled.
 */
static bool has_memory(struct connection *conn, const struct command *spec) {
    switch (eviction_admit(conn, spec)) {
    case EVICTION_GO: return true;
    case EVICTION_WAIT: connection_stall(conn, STALL_MEMORY); return false;
    case EVICTION_REFUSE: break;
    }
    // What is under way may be a DEL that makes room.
    if (conn->owed > 0)
        connection_stall(conn, STALL_DRAIN);
    else
        refuse(conn, spec, "OOM command not allowed when used memory > 'maxmemory'.");
    return false;
}

/** Whether the command may be run although a file is being loaded; if not, it has been refused. */
static bool is_for_loading(struct connection *conn, const struct command *spec) {
    bool may = (spec->flags & COMMAND_LOADING) != 0;
    if (conn->in_multi && strcmp(spec->name, "exec") == 0) may = multi_is_for_loading(conn->multi);
    if (!may) refuse(conn, spec, "LOADING Redis is loading the dataset in memory");
    return may;
}

/** Reasons not to start any command now. */
static bool must_wait(struct connection *conn) {
    if (unlikely(conn->shard->gates & GATE_OUTBOX)) connection_stall(conn, STALL_OUTBOX);
    if (unlikely(connection_owed_bytes(conn) >= CONNECTION_OUTPUT_HIGH))
        connection_stall(conn, STALL_OUTPUT);
    if (unlikely(conn->owed + conn->holds >= CONNECTION_OWED_MAX))
        connection_stall(conn, STALL_DRAIN);
    return conn->stalls != 0;
}

/** The same as to what kind of connection it is: of a shard port, subscribed, of a data port. */
static bool is_plain_there(const struct connection *conn, const struct parsed *p,
                           const struct shard *at) {
    uint8_t flags = conn->cmd_flags;
    if (flags & CMD_CTX_SUBSCRIBED) return false;
    if ((flags & CMD_CTX_NODE) && !(p->hashed_arg && at == conn->shard)) return false;
    return !(flags & CMD_CTX_DATA) || !(p->spec->flags & COMMAND_ADMIN);
}

/**
 * Whether nothing about the command, its connection or the shard asks for a closer look, so that it
 * can simply be run on the keyspace of `at`: the way of nearly all commands.
 */
static inline bool is_plain(const struct connection *conn, const struct parsed *p,
                            const struct shard *at) {
    const struct shard *s = conn->shard;
    return p->spec && at &&
           (at->intents.parts | conn->owed | conn->reply_mode | (uint32_t)conn->in_multi |
            (uint32_t)conn->guarded | s->gates) == 0 &&
           (likely((conn->cmd_flags & (CMD_CTX_NODE | CMD_CTX_SUBSCRIBED | CMD_CTX_DATA)) == 0) ||
            is_plain_there(conn, p, at)) &&
           s->pause_until_ms == 0 && connection_unsent(conn) < CONNECTION_OUTPUT_HIGH &&
           (likely(s->eviction.limit == 0) || !(p->spec->flags & COMMAND_DENYOOM) ||
            eviction_has_room(&s->eviction));
}

/**
 * Where one shard is all there is, its keyspace is in reach, unless a transaction has some of its
 * keys: then it is to be lent as a whole, like those of several shards.
 */
static bool must_be_lent(const struct shard *s, const struct parsed *p) {
    if (likely(s->intents.parts == 0 || s->fleet->nshards > 1)) return false;
    enum command_where where = p->spec->where;
    return where == WHERE_ALL || where == WHERE_CURSOR ||
           (where == WHERE_KEYS && command_roams(p->spec, p->argc, p->argv));
}

/** Whether the user of a guarded connection may run the command; if not, it has been refused. */
static bool is_admitted(struct connection *conn, const struct parsed *p) {
    const struct command *spec = p->spec;
    if (!connection_is_known(conn) && !(spec->flags & COMMAND_NO_AUTH)) {
        refuse(conn, spec, "NOAUTH Authentication required.");
        return false;
    }
    struct account_ruling ruling = accounts_rule(conn, spec, p->argc, p->argv);
    conn->cmd_flags = (uint8_t)((conn->cmd_flags & ~CMD_CTX_NARROW) | ruling.narrow);
    if (likely(ruling.verdict == ACL_ALLOWED)) return true;
    struct buf error = {0};
    accounts_refusal(conn, spec, ruling.verdict, &error);
    refuse(conn, spec, error.p);
    buf_free(&error);
    return false;
}

bool dispatch_start(struct connection *conn, struct parsed *p) {
    struct shard *s = conn->shard;
    struct shard *at = visit_at(s, p->shard);
    if (likely(is_plain(conn, p, at)) && (likely(at->share == NULL) || !is_kept(at, conn, p))) {
        conn->last_command = (uint16_t)(p->spec->id + 1);
        s->stats.visits += at != s;
        run_here(conn, p, at);
        return true;
    }
    if (must_wait(conn)) return false;
    uint8_t reply_mode = conn->reply_mode;
    advance_reply_mode(conn);
    if (!p->spec) {
        refuse_unresolved(conn, p);
        return true;
    }
    const struct command *spec = p->spec;
    conn->last_command = (uint16_t)(spec->id + 1); // also of one that is refused, as in Redis
    if (unlikely(conn->guarded) && !is_admitted(conn, p)) return true;
    if (unlikely(conn->cmd_flags & CMD_CTX_DATA) && (spec->flags & COMMAND_ADMIN)) {
        refuse(conn, spec, "NOPERM Administrative commands are served on the admin port only");
        return true;
    }
    if (unlikely(connection_is_node(conn)) && !cluster_admits(conn, p)) return true;
    if (unlikely(must_be_lent(s, p))) p->shard = SHARD_SEVERAL;
    if (unlikely(s->gates & GATE_LOADING) && !is_for_loading(conn, spec)) return true;
    if (unlikely(conn->cmd_flags & CMD_CTX_SUBSCRIBED) && !may_run_subscribed(spec)) {
        refuse_subscribed(conn, spec);
        return true;
    }
    if (unlikely(s->gates & GATE_DISK) && needs_disk(conn, spec)) {
        refuse(conn, spec, snapshots_misconf);
        return true;
    }
    bool several = p->shard == SHARD_SEVERAL;
    const struct session_handler *handler =
        unlikely(spec->where == WHERE_SESSION) ? session_handler(spec) : NULL;
    bool queue = unlikely(conn->in_multi) && !(handler && handler->in_multi);
    bool barrier = !queue && (several || (handler && handler->barrier));
    if (unlikely(s->eviction.limit != 0) && !has_memory(conn, spec)) {
        if (conn->stalls == 0) return true; // refused
    } else if (unlikely(is_paused(conn, spec))) {
        connection_stall(conn, STALL_PAUSE);
    } else if (unlikely(conn->owed > 0) &&
               (barrier || (!queue && p->shard < SHARD_ANY && request_is_early(conn, p)))) {
        connection_stall(conn, STALL_DRAIN);
    }
    if (unlikely(conn->stalls)) {
        conn->reply_mode = reply_mode;
        return false;
    }
    if (unlikely(conn->tracking != NULL)) tracking_step(conn, spec);
    // Of EXEC, the block comes first: multi.c.
    if (monitor_is_on(s) && !queue && !(handler && handler->run == session_exec))
        monitor_feed(s, conn, conn->db, spec, p->argc, p->argv);
    if (queue)
        multi_queue(conn, p);
    else if (handler)
        session_run(conn, handler, p);
    else if (several)
        run_over_shards(conn, p);
    else if (p->shard == SHARD_ANY)
        run_here(conn, p, s);
    else
        run_over_keys(conn, p);
    return true;
}
