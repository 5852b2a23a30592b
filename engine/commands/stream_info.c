// SPDX-License-Identifier: BSD-3-Clause
//
// XINFO and its subcommands: what streams, groups and consumers look like inside, after t_stream.c
// of Redis 7.2. Reading only; no state; any thread. Invariant: the order and names of what is
// reported are Redis's; "radix-tree-keys" are the stream's nodes, "radix-tree-nodes" one more, as
// there is no radix tree. Called through the command table.
#include "engine/commands/stream.h"

#include "engine/commands/introspect.h"
#include "engine/commands/stream_common.h"

#define ENTRIES_SHOWN 10 // FULL without COUNT

/** The stream at argument 2; NULL: the error has been written. */
static const struct stream *find(struct cmd *c) {
    struct value v;
    if (!collection_read(c, 2, ENTRY_STREAM, &v)) return NULL;
    if (v.encoding != 0) return tstream_of(v);
    reply_error(c->reply, error_no_such_key);
    return NULL;
}

static void reply_named_int(struct reply *r, const char *name, int64_t value) {
    reply_bulk_text(r, name);
    reply_int(r, value);
}

static void reply_named_id(struct reply *r, const char *name, struct stream_id id) {
    reply_bulk_text(r, name);
    stream__reply_id(r, id);
}

static void reply_named_text(struct reply *r, const char *name, struct slice text) {
    reply_bulk_text(r, name);
    reply_bulk_slice(r, text);
}

/** How much of the stream the group has read, and how much it has not. */
static void reply_progress(struct reply *r, const struct stream *s, const struct stream_group *g) {
    int64_t lag;
    reply_bulk_text(r, "entries-read");
    if (g->entries_read >= 0)
        reply_int(r, g->entries_read);
    else
        reply_null(r);
    reply_bulk_text(r, "lag");
    if (tstream_group_lag(s, g, &lag))
        reply_int(r, lag);
    else
        reply_null(r);
}

void stream_xinfo_groups(struct cmd *c) {
    struct reply *r = c->reply;
    const struct stream *s = find(c);
    if (s == NULL) return;
    reply_array(r, s->groups.count);
    for (uint32_t i = 0; i < s->groups.count; i++) {
        const struct stream_group *g = tstream_group_at(s, i);
        reply_map(r, 6);
        reply_named_text(r, "name", g->named.name);
        reply_named_int(r, "consumers", g->consumers.count);
        reply_named_int(r, "pending", (int64_t)g->pending.count);
        reply_named_id(r, "last-delivered-id", g->last);
        reply_progress(r, s, g);
    }
}

void stream_xinfo_consumers(struct cmd *c) {
    struct reply *r = c->reply;
    const struct stream *s = find(c);
    if (s == NULL) return;
    const struct stream_group *g = tstream_group(s, c->argv[3]);
    if (g == NULL) {
        reply_error_format(r, "NOGROUP No such consumer group '%.*s' for key name '%.*s'",
                           (int)c->argv[3].n, c->argv[3].p, (int)c->argv[2].n, c->argv[2].p);
        return;
    }
    reply_array(r, g->consumers.count);
    for (uint32_t i = 0; i < g->consumers.count; i++) {
        const struct stream_consumer *consumer = tstream_consumer_at(g, i);
        int64_t idle = c->now_ms - consumer->seen_ms, active = consumer->active_ms;
        reply_map(r, 4);
        reply_named_text(r, "name", consumer->named.name);
        reply_named_int(r, "pending", (int64_t)consumer->pending.count);
        reply_named_int(r, "idle", idle > 0 ? idle : 0);
        reply_named_int(r, "inactive", active != -1 ? c->now_ms - active : -1);
    }
}

// ---- XINFO STREAM ------------------------------------------------------------------------------

static void reply_pending(struct reply *r, const struct idmap *pending, uint64_t count,
                          bool with_consumer) {
    uint64_t shown = count > 0 && count < pending->count ? count : pending->count;
    struct idmap_place at = idmap_first(pending);
    reply_bulk_text(r, "pending");
    reply_array(r, shown);
    for (; shown > 0; shown--, idmap_next(&at)) {
        const struct stream_pending *p = tstream_pending_at(at);
        reply_array(r, with_consumer ? 4 : 3);
        stream__reply_id(r, idmap_at(at)->id);
        if (with_consumer) reply_bulk_slice(r, p->consumer->named.name);
        reply_int(r, p->delivered_ms);
        reply_int(r, p->deliveries);
    }
}

static void reply_group(struct reply *r, const struct stream *s, const struct stream_group *g,
                        uint64_t count) {
    reply_map(r, 7);
    reply_named_text(r, "name", g->named.name);
    reply_named_id(r, "last-delivered-id", g->last);
    reply_progress(r, s, g);
    reply_named_int(r, "pel-count", (int64_t)g->pending.count);
    reply_pending(r, &g->pending, count, true);
    reply_bulk_text(r, "consumers");
    reply_array(r, g->consumers.count);
    for (uint32_t i = 0; i < g->consumers.count; i++) {
        const struct stream_consumer *consumer = tstream_consumer_at(g, i);
        reply_map(r, 5);
        reply_named_text(r, "name", consumer->named.name);
        reply_named_int(r, "seen-time", consumer->seen_ms);
        reply_named_int(r, "active-time", consumer->active_ms);
        reply_named_int(r, "pel-count", (int64_t)consumer->pending.count);
        reply_pending(r, &consumer->pending, count, false);
    }
}

static void reply_head(struct reply *r, const struct stream *s) {
    reply_named_int(r, "length", (int64_t)s->length);
    reply_named_int(r, "radix-tree-keys", (int64_t)s->nodes.count);
    reply_named_int(r, "radix-tree-nodes", (int64_t)s->nodes.count + 1);
    reply_named_id(r, "last-generated-id", s->last);
    reply_named_id(r, "max-deleted-entry-id", s->max_deleted);
    reply_named_int(r, "entries-added", (int64_t)s->entries_added);
    reply_named_id(r, "recorded-first-entry-id", s->first);
}

/** The entry at one end of the stream. */
static void reply_end(struct reply *r, const char *name, const struct stream *s, bool last) {
    struct tstream_iterator it;
    reply_bulk_text(r, name);
    tstream_iterate(&it, s, STREAM_ID_MIN, STREAM_ID_MAX, last);
    if (tstream_next(&it))
        stream__reply_entry(r, &it.entry);
    else
        reply_null(r);
}

/** FULL and COUNT; false: the error has been written. */
static bool parse_full(struct cmd *c, bool *full, int64_t *count) {
    *full = c->argc > 3;
    *count = ENTRIES_SHOWN;
    if (!*full) return true;
    if ((c->argc != 4 && c->argc != 6) || !slice_is(c->argv[3], "full") ||
        (c->argc == 6 && !slice_is(c->argv[4], "count"))) {
        int n = c->argv[1].n < 128 ? (int)c->argv[1].n : 128;
        reply_error_format(c->reply,
                           "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try "
                           "XINFO HELP.",
                           n, c->argv[1].p);
        return false;
    }
    if (c->argc == 6 && !cmd_arg_i64(c, 5, count)) return false;
    if (*count < 0) *count = ENTRIES_SHOWN;
    return true;
}

void stream_xinfo_stream(struct cmd *c) {
    struct reply *r = c->reply;
    bool full;
    int64_t count;
    const struct stream *s = find(c);
    if (s == NULL || !parse_full(c, &full, &count)) return;
    reply_map(r, full ? 9 : 10);
    reply_head(r, s);
    if (!full) {
        reply_named_int(r, "groups", s->groups.count);
        reply_end(r, "first-entry", s, false);
        reply_end(r, "last-entry", s, true);
        return;
    }
    reply_bulk_text(r, "entries");
    stream__reply_range(r, s, STREAM_ID_MIN, STREAM_ID_MAX, (uint64_t)count, false);
    reply_bulk_text(r, "groups");
    reply_array(r, s->groups.count);
    for (uint32_t i = 0; i < s->groups.count; i++)
        reply_group(r, s, tstream_group_at(s, i), (uint64_t)count);
}

void stream_xinfo_help(struct cmd *c) {
    static const char *const lines[] = {
        "CONSUMERS <key> <groupname>",
        "    Lists the consumers of the group.",
        "GROUPS <key>",
        "    Lists the groups of the stream.",
        "STREAM <key> [FULL [COUNT <count>]",
        "    Tells how the stream is held; with FULL, its entries and groups too.",
        NULL,
    };
    introspect_help_reply(c->reply, "XINFO", lines);
}
