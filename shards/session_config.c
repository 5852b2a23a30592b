// SPDX-License-Identifier: BSD-3-Clause
//
// The CONFIG command: reply frames, and how a change reaches all shards. Runs on the connection's
// shard. The newest configuration of the process hangs on the fleet under its admin lock, which
// only CONFIG SET and REWRITE take. A change copies that one (not the shard's, which may be
// older), is published under the lock with the next version number, and is then taken over by
// every shard in a fan-out; OK is replied when all have it. Invariant: a shard never goes back to
// an older version, in whatever order two fan-outs reach it, so that concurrent changes from
// different shards add up.
#include <string.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/log.h"
#include "engine/commands/introspect.h"
#include "shards/config.h"
#include "shards/fanout.h"
#include "shards/ports.h"
#include "shards/session.h"
#include "shards/session_shared.h"
#include "shards/snapshots.h"
#include "shards/tls.h"

// ---- get ---------------------------------------------------------------------------------------

struct config_reply {
    struct reply *reply;
    struct buf seen; // names so far, each with its zero byte
    size_t pairs;
};

static void add_pair(void *context, const char *name, struct slice value) {
    struct config_reply *out = context;
    for (const char *p = out->seen.p; p && p < out->seen.p + out->seen.len; p += strlen(p) + 1)
        if (strcasecmp(p, name) == 0) return;
    buf_append(&out->seen, name, strlen(name) + 1);
    reply_bulk_text(out->reply, name);
    reply_bulk_slice(out->reply, value);
    out->pairs++;
}

void config_command_get(struct session_call *call) {
    struct config_reply out = {.reply = call->reply};
    size_t mark = reply_array_begin(call->reply);
    for (int i = 2; i < call->argc; i++)
        config_get(call->connection->shard->config, call->argv[i], add_pair, &out);
    reply_map_end(call->reply, mark, out.pairs);
    buf_free(&out.seen);
}

// ---- set ---------------------------------------------------------------------------------------

/** What a change means for the process, not for a shard. False: the reason is appended to error. */
static bool apply_to_process(const struct config *old, const struct config *new,
                             struct buf *error) {
    if (strcmp(old->dir, new->dir) != 0 && chdir(new->dir) != 0) {
        buf_append_text(error, "CONFIG SET failed (possibly related to argument 'dir') - can't "
                               "change to that directory");
        return false;
    }
    log_set_level((enum log_level) new->loglevel);
    if (new->maxmemory != old->maxmemory) eviction_warn_if_over(new->maxmemory);
    return true;
}

/** The first argument that names a directive of TLS. NULL: none does. */
static const struct slice *tls_argument(const struct session_call *call) {
    for (int i = 2; i < call->argc; i += 2)
        if (call->argv[i].n > 4 && strncasecmp(call->argv[i].p, "tls-", 4) == 0)
            return &call->argv[i];
    return NULL;
}

/** Reads the certificates anew when TLS was spoken of, also to say the same: files may be new. */
static bool apply_to_tls(const struct session_call *call, const struct config *new,
                         struct buf *error) {
    struct tls_front *front = call->connection->shard->fleet->tls;
    const struct slice *named = front ? tls_argument(call) : NULL;
    if (!named) return true;
    struct buf reason = {0};
    bool ok = tls_front_reload(front, new, &reason);
    if (!ok) {
        log_line(LOG_WARN, "CONFIG SET: TLS stays as it was: %.*s", (int)reason.len, reason.p);
        buf_printf(error,
                   "CONFIG SET failed (possibly related to argument '%.*s') - Unable to update TLS "
                   "configuration: %.*s",
                   (int)named->n, named->p, (int)reason.len, reason.p);
    }
    buf_free(&reason);
    return ok;
}

/** CONFIG SET's change. */
static bool set_directives(struct config_draft *draft, struct buf *error) {
    const struct session_call *call = draft->call;
    struct config *new = draft->config;
    if (!config_set_many(new, call->argv + 2, (size_t)(call->argc - 2) / 2,
                         session__is_local(call->connection), error))
        return false;
    const struct buf *was = &draft->before->requirepass, *is = &new->requirepass;
    struct slice password = slice_of(is->p, is->len);
    if (!slice_equal(slice_of(was->p, was->len), password))
        config_set_users(new, acl_users_change_password(new->users, password));
    struct fleet *fleet = call->connection->shard->fleet;
    struct ports_change ports;
    if (!ports_prepare(fleet->ports, draft->before, new, fleet->tls != NULL, &ports, error))
        return false;
    bool ok = apply_to_tls(call, new, error) && apply_to_process(draft->before, new, error);
    if (ok)
        ports_commit(fleet->ports, &ports);
    else
        ports_cancel(fleet->ports, &ports);
    return ok;
}

/** What a change means to every shard, and to who asked for it. */
struct config_change {
    struct config *config; // a reference
    uint64_t version;
    int64_t number; // the reply; below 0: OK
};

/** Shard 0 accepts from the ports that there are now. */
static void listen_anew(struct shard *s) {
    pthread_mutex_lock(&s->fleet->admin_lock);
    int error = ports_accept(s->fleet->ports, s->io);
    pthread_mutex_unlock(&s->fleet->admin_lock);
    if (error < 0) log_line(LOG_WARN, "A port can't be listened on: %s", strerror(-error));
}

static void run_change(struct shard *s, struct fanout_leg *leg) {
    const struct config_change *change = leg->fanout->context;
    if (change->version <= s->config_version) return;
    s->config_version = change->version;
    shard_use_config(s, change->config);
    if (s->id == 0 && s->fleet->ports) listen_anew(s);
}

static void finish_change(struct fanout *f, struct reply *reply) {
    struct config_change *change = f->context;
    config_release(change->config);
    if (change->number >= 0)
        reply_int(reply, change->number);
    else
        reply_ok(reply);
    mem_free(change);
}

bool session__change_config(struct session_call *call,
                            bool (*change)(struct config_draft *draft, struct buf *error),
                            struct buf *error) {
    struct shard *s = call->connection->shard;
    struct fleet *fleet = s->fleet;
    pthread_mutex_lock(&fleet->admin_lock);
    const struct config *before = fleet->config ? fleet->config : s->config;
    struct config_draft draft = {
        .call = call, .before = before, .config = config_copy(before), .number = -1};
    bool ok = change(&draft, error);
    struct config_change *made = NULL;
    if (ok) {
        made = mem_alloc(sizeof *made);
        *made = (struct config_change){draft.config, ++fleet->config_version, draft.number};
        struct config *old = fleet->config;
        fleet->config = config_retain(draft.config);
        if (old) config_release(old);
    } else {
        config_release(draft.config);
    }
    pthread_mutex_unlock(&fleet->admin_lock);
    if (ok) fanout_start(call->connection, made, run_change, finish_change);
    return ok;
}

void config_command_set(struct session_call *call) {
    struct buf error = {0};
    if (call->argc % 2 != 0)
        reply_error(call->reply, error_syntax);
    else if (!session__change_config(call, set_directives, &error))
        reply_error_format(call->reply, "ERR %.*s", (int)error.len, error.p);
    buf_free(&error);
}

// ---- the rest ----------------------------------------------------------------------------------

static void run_resetstat(struct shard *s, struct fanout_leg *leg) {
    (void)leg;
    statistics_reset(&s->stats);
    s->stats.start_bytes_in = s->io->bytes_in;
    s->stats.start_bytes_out = s->io->bytes_out;
    // The keyspace's own counters are not ours while it is lent: summary_update() does it then.
    s->summary.hits = s->summary.misses = s->summary.expired = s->summary.evicted = 0;
    s->summary.expired_fields = 0;
    s->eviction.exceeded_total_ns = 0;
    s->summary.reset = true;
    if (s->id == 0) snapshots_reset_statistics(s->fleet);
    if (!s->intents.lent) summary_update(s);
}

void config_command_resetstat(struct session_call *call) {
    fanout_start_for(call->connection, NULL, run_resetstat, session__finish_ok);
}

void config_command_rewrite(struct session_call *call) {
    struct shard *s = call->connection->shard;
    pthread_mutex_lock(&s->fleet->admin_lock); // two of them must not write one file
    const struct config *newest = s->fleet->config ? s->fleet->config : s->config;
    bool has_file = newest->file[0] != '\0';
    int error = has_file ? config_rewrite(newest) : 0;
    pthread_mutex_unlock(&s->fleet->admin_lock);
    if (!has_file) {
        reply_error(call->reply, "ERR The server is running without a config file");
    } else if (error < 0) {
        log_line(LOG_WARN, "CONFIG REWRITE failed: %s", strerror(-error));
        reply_error_format(call->reply, "ERR Rewriting config file: %s", strerror(-error));
    } else {
        log_line(LOG_NOTICE, "CONFIG REWRITE executed with success.");
        reply_ok(call->reply);
    }
}

static const char *const help[] = {
    "GET <pattern> [<pattern> ...]",
    "    The directives whose names match one of the patterns, with their values.",
    "SET <directive> <value> [<directive> <value> ...]",
    "    Change directives: all of them, or none when one is refused.",
    "RESETSTAT",
    "    Start the counters that INFO shows anew.",
    "REWRITE",
    "    Write the settings in use to the configuration file.",
    NULL,
};

void config_command_help(struct session_call *call) {
    introspect_help_reply(call->reply, "CONFIG", help);
}
