// SPDX-License-Identifier: BSD-3-Clause
//
// The pub/sub commands: SUBSCRIBE and its kin, PUBLISH, SPUBLISH, and PUBSUB, which tells what is
// subscribed to. Runs on the connection's shard; what concerns other shards is pubsub_work.c's, or
// a fan-out over the homes of channels (PUBSUB CHANNELS and NUMSUB). Called through the table of
// session.c.
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/glob.h"
#include "engine/commands/introspect.h"
#include "shards/fanout.h"
#include "shards/multi.h"
#include "shards/pubsub_work.h"
#include "shards/session.h"
#include "shards/session_shared.h"

static void subscribe(struct session_call *call, enum pubsub_kind kind) {
    pubsub_subscribe(call, kind, call->argv + 1, call->argc - 1);
}

static void unsubscribe(struct session_call *call, enum pubsub_kind kind) {
    pubsub_unsubscribe(call, kind, call->argv + 1, call->argc - 1);
}

void session_subscribe(struct session_call *call) { subscribe(call, PUBSUB_CHANNEL); }
void session_unsubscribe(struct session_call *call) { unsubscribe(call, PUBSUB_CHANNEL); }
void session_psubscribe(struct session_call *call) { subscribe(call, PUBSUB_PATTERN); }
void session_punsubscribe(struct session_call *call) { unsubscribe(call, PUBSUB_PATTERN); }
void session_sunsubscribe(struct session_call *call) { unsubscribe(call, PUBSUB_SHARD_CHANNEL); }

void session_ssubscribe(struct session_call *call) {
    const struct connection *conn = call->connection;
    if (conn->in_multi && multi_is_running(conn->multi))
        reply_error(call->reply, "ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client");
    else
        subscribe(call, PUBSUB_SHARD_CHANNEL);
}

void session_publish(struct session_call *call) {
    pubsub_command(call, PUBSUB_CHANNEL, call->argv[1], call->argv[2]);
}

void session_spublish(struct session_call *call) {
    pubsub_command(call, PUBSUB_SHARD_CHANNEL, call->argv[1], call->argv[2]);
}

// ---- PUBSUB CHANNELS ---------------------------------------------------------------------------

struct channels {
    enum pubsub_kind kind;
    bool filtered;
    size_t length;
    char pattern[];
};

static void run_channels(struct shard *s, struct fanout_leg *leg) {
    const struct channels *wanted = leg->fanout->context;
    struct hashtable_iterator it;
    struct reply r;
    reply_init(&r, &leg->text, 2); // bulk strings are the same in both protocols
    hashtable_iterate(&it, pubsub_registry_channels(&s->pubsub->registry, wanted->kind));
    for (const struct pubsub_channel *c; (c = hashtable_next(&it)) != NULL;) {
        struct slice name = slice_of(c->text, c->length);
        if (pubsub_home(s, name) != s->id) continue; // it is everywhere, and told by another
        if (wanted->filtered && !glob_match(slice_of(wanted->pattern, wanted->length), name, false))
            continue;
        reply_bulk_slice(&r, name);
        leg->number++;
    }
}

static void finish_channels(struct fanout *f, struct reply *reply) {
    size_t count = 0;
    uint32_t n = f->home->fleet->nshards;
    for (uint32_t i = 0; i < n; i++) count += (size_t)fanout_leg_at(f, i)->number;
    reply_array(reply, count);
    for (uint32_t i = 0; i < n; i++) {
        const struct buf *text = &fanout_leg_at(f, i)->text;
        reply_raw(reply, text->p, text->len);
    }
    mem_free(f->context);
}

/** Asks the homes of channels: all of them, or, about a node's shard channels, the node. */
static void ask_homes(struct session_call *call, enum pubsub_kind kind, void *context,
                      void (*run)(struct shard *s, struct fanout_leg *leg),
                      void (*finish)(struct fanout *f, struct reply *reply)) {
    if (kind == PUBSUB_SHARD_CHANNEL)
        fanout_start_for(call->connection, context, run, finish);
    else
        fanout_start(call->connection, context, run, finish);
}

static void channels(struct session_call *call, enum pubsub_kind kind) {
    if (call->argc > 3) {
        session__wrong_subcommand(call, "PUBSUB");
        return;
    }
    struct slice pattern = call->argc == 3 ? call->argv[2] : slice_of("", 0);
    struct channels *wanted = mem_alloc(sizeof *wanted + pattern.n);
    *wanted = (struct channels){kind, call->argc == 3, pattern.n};
    if (pattern.n > 0) memcpy(wanted->pattern, pattern.p, pattern.n);
    ask_homes(call, kind, wanted, run_channels, finish_channels);
}

void pubsub_channels(struct session_call *call) { channels(call, PUBSUB_CHANNEL); }
void pubsub_shardchannels(struct session_call *call) { channels(call, PUBSUB_SHARD_CHANNEL); }

// ---- PUBSUB NUMSUB -----------------------------------------------------------------------------

struct numsub {
    enum pubsub_kind kind;
    int count;
    struct slice *names; // with their bytes behind them
    int64_t *numbers;    // each is set by the name's home alone
};

static void run_numsub(struct shard *s, struct fanout_leg *leg) {
    const struct numsub *numsub = leg->fanout->context;
    for (int i = 0; i < numsub->count; i++) {
        struct slice name = numsub->names[i];
        if (pubsub_home(s, name) != s->id) continue;
        const struct pubsub_listeners *l = pubsub_registry_listeners(
            &s->pubsub->registry, numsub->kind, name, hashtable_hash(name));
        numsub->numbers[i] = l ? (int64_t)pubsub_listeners_sum(l) : 0;
    }
}

static void finish_numsub(struct fanout *f, struct reply *reply) {
    struct numsub *numsub = f->context;
    reply_array(reply, 2 * (size_t)numsub->count);
    for (int i = 0; i < numsub->count; i++) {
        reply_bulk_slice(reply, numsub->names[i]);
        reply_int(reply, numsub->numbers[i]);
    }
    mem_free(numsub->names);
    mem_free(numsub->numbers);
    mem_free(numsub);
}

static void numsub(struct session_call *call, enum pubsub_kind kind) {
    int count = call->argc - 2;
    const struct slice *names = call->argv + 2;
    if (count == 0) {
        reply_array(call->reply, 0);
        return;
    }
    struct numsub *context = mem_alloc(sizeof *context);
    size_t slices = (size_t)count * sizeof *names;
    *context = (struct numsub){kind, count, mem_alloc(slices + slices_bytes(names, count)),
                               mem_calloc((size_t)count * sizeof *context->numbers)};
    slices_copy(context->names, (char *)(context->names + count), names, count);
    ask_homes(call, kind, context, run_numsub, finish_numsub);
}

void pubsub_numsub(struct session_call *call) { numsub(call, PUBSUB_CHANNEL); }
void pubsub_shardnumsub(struct session_call *call) { numsub(call, PUBSUB_SHARD_CHANNEL); }

// ---- PUBSUB NUMPAT, HELP -----------------------------------------------------------------------

void pubsub_numpat(struct session_call *call) {
    // Every shard knows all patterns.
    const struct pubsub *ps = call->connection->shard->pubsub;
    reply_int(call->reply, (int64_t)pubsub_patterns_count(&ps->registry.patterns));
}

static const char *const help[] = {
    "CHANNELS [<pattern>]",
    "    The channels that somebody has subscribed to, or those that match.",
    "NUMPAT",
    "    How many patterns there are that somebody has subscribed to.",
    "NUMSUB [<channel> ...]",
    "    How many clients have subscribed to each channel, patterns left aside.",
    "SHARDCHANNELS [<pattern>]",
    "    The shard channels that somebody has subscribed to, or those that match.",
    "SHARDNUMSUB [<shardchannel> ...]",
    "    How many clients have subscribed to each shard channel.",
    NULL,
};

void pubsub_help(struct session_call *call) { introspect_help_reply(call->reply, "PUBSUB", help); }
