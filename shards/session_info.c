// SPDX-License-Identifier: BSD-3-Clause
//
// INFO: chooses sections, gathers a snapshot from every shard by a fan-out, adds them up and has
// the sections (session_info_sections.c) write them. A leg runs on its shard, the rest on the
// connection's. Invariant: keyspaces are looked at by summary_update() alone, and only while they
// are not lent; INFO in between shows the summary of a moment before.
#include "shards/session_info.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "engine/keyspace/waiting.h"
#include "net/io_tls.h"
#include "shards/fanout.h"
#include "shards/pubsub.h"
#include "shards/session.h"
#include "shards/tracking.h"

// ---- a shard's keyspace ------------------------------------------------------------------------

static void summary_add(struct keyspace_summary *sum, const struct database_summary *db) {
    if (sum->database_count == sum->database_cap) {
        sum->database_cap = sum->database_cap ? sum->database_cap * 2 : 4;
        sum->databases = mem_realloc(sum->databases, sum->database_cap * sizeof *sum->databases);
    }
    sum->databases[sum->database_count++] = *db;
    sum->keys += db->keys;
    sum->expires += db->expires;
}

void summary_update(struct shard *s) {
    struct keyspace *ks = s->keyspace;
    struct keyspace_summary *sum = &s->summary;
    ASSERT(!s->intents.lent);
    if (sum->reset) {
        sum->reset = false;
        ks->stats.hits = ks->stats.misses = 0;
        ks->stats.expired_keys = ks->stats.evicted_keys = ks->stats.expired_fields = 0;
    }
    sum->hits = ks->stats.hits;
    sum->misses = ks->stats.misses;
    sum->expired = ks->stats.expired_keys;
    sum->expired_fields = ks->stats.expired_fields;
    sum->evicted = ks->stats.evicted_keys;
    sum->dirty = ks->stats.dirty;
    sum->waited_keys = keyspace_waited_keys(ks);
    sum->waited_on_missing = keyspace_waited_on_missing(ks);
    sum->tracked_readers = tracked_readers(ks);
    sum->memory = keyspace_memory(ks);
    sum->keys = sum->expires = 0;
    sum->database_count = 0;
    for (uint32_t i = 0; i < ks->ndbs; i++) {
        const struct db *db = &ks->dbs[i];
        struct database_summary of = {.index = i, .keys = db_count(db)};
        if (of.keys == 0) continue;
        of.expires = db_expires(db);
        if (of.expires > 0) of.average_ttl_ms = db_average_ttl_ms(db, s->now_ms);
        summary_add(sum, &of);
    }
    // The peak is the highest value that was ever asked for: ask at every tick, once per process.
    if (s->id == 0) mem_used();
}

// ---- gathering ---------------------------------------------------------------------------------

static void snapshot_clients(const struct shard *s, struct info_snapshot *snap) {
    snap->connections = s->connection_count;
    for (const struct connection *conn = s->connections.first; conn; conn = conn->next) {
        snap->blocked += conn->work && conn->work->blocking;
        snap->timed += conn->work && conn->work->blocking && conn->work->timed;
        snap->subscribed += pubsub_is_subscribed(conn);
        snap->tracking += tracking_is_on(conn);
        snap->tls += io_tls_is(&conn->io);
        snap->tls_in_kernel += io_tls_is_in_kernel(&conn->io);
        snap->client_memory += sizeof *conn + conn->in.cap + conn->out.cap + conn->sending.cap;
        if (conn->in.cap > snap->input_max) snap->input_max = conn->in.cap;
        size_t output = conn->out.cap + conn->sending.cap;
        if (output > snap->output_max) snap->output_max = output;
    }
}

static void run_info(struct shard *s, struct fanout_leg *leg) {
    const struct info *info = leg->fanout->context;
    struct info_snapshot *snap = &info->by_shard[s->id];
    if (!s->intents.lent) summary_update(s);
    size_t bytes = command_count() * sizeof *snap->stats.by_command;
    snap->stats = s->stats;
    snap->stats.by_command = mem_alloc(bytes);
    memcpy(snap->stats.by_command, s->stats.by_command, bytes);
    snap->keyspace = s->summary;
    snap->keyspace.databases = NULL;
    if (s->summary.database_count > 0) {
        bytes = s->summary.database_count * sizeof *s->summary.databases;
        snap->keyspace.databases = mem_alloc(bytes);
        memcpy(snap->keyspace.databases, s->summary.databases, bytes);
    }
    snapshot_clients(s, snap);
    const struct pubsub_registry *registry = &s->pubsub->registry;
    // What all shards have is counted by one of them.
    snap->channels = registry->channels.count - (s->id == 0 ? 0 : registry->everywhere);
    snap->shard_channels = registry->shard_channels.count;
    snap->patterns = pubsub_patterns_count(&registry->patterns);
    snap->bytes_in = s->io->bytes_in - s->stats.start_bytes_in;
    snap->bytes_out = s->io->bytes_out - s->stats.start_bytes_out;
    snap->startup_memory = s->startup_memory;
    eviction_exceeded_ns(s, &snap->exceeded_total_ns, &snap->exceeded_ns);
}

static struct database_summary *find_database(struct keyspace_summary *sum, uint32_t index) {
    for (uint32_t i = 0; i < sum->database_count; i++)
        if (sum->databases[i].index == index) return &sum->databases[i];
    return NULL;
}

static void add_keyspace(struct keyspace_summary *to, const struct keyspace_summary *from) {
    to->hits += from->hits;
    to->misses += from->misses;
    to->expired += from->expired;
    to->expired_fields += from->expired_fields;
    to->evicted += from->evicted;
    to->dirty += from->dirty;
    to->waited_keys += from->waited_keys;
    to->waited_on_missing += from->waited_on_missing;
    to->tracked_readers += from->tracked_readers;
    to->memory += from->memory;
    for (uint32_t i = 0; i < from->database_count; i++) {
        const struct database_summary *add = &from->databases[i];
        struct database_summary *sum = find_database(to, add->index);
        if (!sum) {
            summary_add(to, add);
            continue;
        }
        double ttl_ms = (double)sum->average_ttl_ms * (double)sum->expires +
                        (double)add->average_ttl_ms * (double)add->expires;
        sum->keys += add->keys;
        sum->expires += add->expires;
        if (sum->expires > 0) sum->average_ttl_ms = (int64_t)(ttl_ms / (double)sum->expires);
        to->keys += add->keys;
        to->expires += add->expires;
    }
}

static void add_snapshot(struct info_snapshot *to, const struct info_snapshot *from) {
    if (!from->stats.by_command) return; // the shard was not asked
    statistics_add(&to->stats, &from->stats);
    add_keyspace(&to->keyspace, &from->keyspace);
    to->connections += from->connections;
    to->blocked += from->blocked;
    to->timed += from->timed;
    to->subscribed += from->subscribed;
    to->tracking += from->tracking;
    to->tls += from->tls;
    to->tls_in_kernel += from->tls_in_kernel;
    to->channels += from->channels;
    to->shard_channels += from->shard_channels;
    if (from->patterns > to->patterns) to->patterns = from->patterns; // each shard knows all
    to->client_memory += from->client_memory;
    if (from->input_max > to->input_max) to->input_max = from->input_max;
    if (from->output_max > to->output_max) to->output_max = from->output_max;
    to->bytes_in += from->bytes_in;
    to->bytes_out += from->bytes_out;
    if (from->startup_memory > to->startup_memory) to->startup_memory = from->startup_memory;
    to->exceeded_total_ns += from->exceeded_total_ns;
    to->exceeded_ns += from->exceeded_ns;
}

static void snapshot_fini(struct info_snapshot *snap) {
    statistics_fini(&snap->stats);
    mem_free(snap->keyspace.databases);
}

static void finish_info(struct fanout *f, struct reply *reply) {
    struct info *info = f->context;
    uint32_t n = info->home->fleet->nshards;
    struct buf text = {0};
    info->prefixes = tracking_prefixes_count(info->home->fleet);
    info->tracked_keys = (uint64_t)atomic_load(&info->home->fleet->tracked_keys);
    statistics_init(&info->total.stats);
    for (uint32_t i = 0; i < n; i++) add_snapshot(&info->total, &info->by_shard[i]);
    for (uint32_t i = 0; session__info_sections[i].title; i++) {
        if (!(info->sections & 1u << i)) continue;
        buf_printf(&text, "%s# %s\r\n", text.len > 0 ? "\r\n" : "",
                   session__info_sections[i].title);
        session__info_sections[i].write(info, &text);
    }
    reply_verbatim(reply, "txt", slice_of(text.p, text.len));
    buf_free(&text);
    for (uint32_t i = 0; i < n; i++) snapshot_fini(&info->by_shard[i]);
    snapshot_fini(&info->total);
    mem_free(info->by_shard);
    mem_free(info);
}

// ---- the command -------------------------------------------------------------------------------

/** The sections that one argument asks for, as bits. */
static uint32_t chosen(struct slice word) {
    bool by_default = slice_is(word, "default"), all = slice_is(word, "all");
    bool everything = slice_is(word, "everything");
    uint32_t bits = 0;
    for (uint32_t i = 0; session__info_sections[i].title; i++) {
        const struct info_section *section = &session__info_sections[i];
        if (everything || (all && section->in_all) || (by_default && section->in_default) ||
            slice_is(word, section->title))
            bits |= 1u << i;
    }
    return bits;
}

void session_info(struct session_call *call) {
    struct shard *s = call->connection->shard;
    struct info *info = mem_calloc(sizeof *info);
    info->home = s;
    info->is_node = connection_is_node(call->connection);
    info->by_shard = mem_calloc(s->fleet->nshards * sizeof *info->by_shard);
    if (call->argc == 1) info->sections = chosen(SLICE_LITERAL("default"));
    for (int i = 1; i < call->argc; i++) info->sections |= chosen(call->argv[i]);
    fanout_start_for(call->connection, info, run_info, finish_info);
}
