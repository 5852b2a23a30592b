// SPDX-License-Identifier: BSD-3-Clause
//
// XACK, XPENDING, XCLAIM and XAUTOCLAIM: what was delivered and is not acknowledged, after
// t_stream.c of Redis 7.2. No state; runs on whichever thread runs the command. Invariant: a claim
// is replayed with its absolute time and count; a pending entry whose entry is gone from the stream
// is dropped by who claims it. Called through the command table.
#include "engine/commands/stream.h"

#include "engine/base/alloc.h"
#include "engine/commands/stream_common.h"

void stream_xack(struct cmd *c) {
    struct change ch;
    struct stream_ids ids;
    if (!change_open(c, 1, ENTRY_STREAM, &ch)) return;
    struct stream_group *g = NULL;
    if (ch.v.encoding != 0) g = tstream_group(tstream_of(ch.v), c->argv[2]);
    if (g == NULL) {
        stream__missed(&ch);
        reply_int(c->reply, 0);
        return;
    }
    if (!stream__arg_ids(c, 3, &ids)) return;
    uint64_t acknowledged = 0;
    for (int i = 0; i < ids.count; i++)
        acknowledged += tstream_pending_remove(tstream_of(ch.v), g, ids.at[i]);
    stream__ids_free(&ids);
    change_close_quietly(&ch, acknowledged);
    reply_int(c->reply, (int64_t)acknowledged);
}

// ---- XPENDING ----------------------------------------------------------------------------------

/** XPENDING's filters. */
struct pending_args {
    struct stream_id start, end;
    int64_t count, min_idle;
    int consumer_arg; // 0: all consumers
};

static bool parse_pending(struct cmd *c, struct pending_args *a) {
    int i = 3;
    *a = (struct pending_args){0};
    if (c->argc == 3) return true;
    if (c->argc < 6 || c->argc > 9) {
        reply_error(c->reply, error_syntax);
        return false;
    }
    if (slice_is(c->argv[3], "idle")) {
        if (!cmd_arg_i64(c, 4, &a->min_idle)) return false;
        if (c->argc < 8) {
            reply_error(c->reply, error_syntax);
            return false;
        }
        i += 2;
    }
    if (!cmd_arg_i64(c, i + 2, &a->count)) return false;
    if (!stream__arg_start(c, i, &a->start) || !stream__arg_end(c, i + 1, &a->end)) return false;
    if (i + 3 < c->argc) a->consumer_arg = i + 3;
    return true;
}

static void reply_summary(struct reply *r, const struct stream_group *g) {
    reply_array(r, 4);
    reply_int(r, (int64_t)g->pending.count);
    if (g->pending.count == 0) {
        reply_null(r);
        reply_null(r);
        reply_null_array(r);
        return;
    }
    stream__reply_id(r, idmap_at(idmap_first(&g->pending))->id);
    stream__reply_id(r, idmap_at(idmap_last(&g->pending))->id);
    size_t with_pending = 0, mark = reply_array_begin(r);
    for (uint32_t i = 0; i < g->consumers.count; i++) {
        const struct stream_consumer *consumer = tstream_consumer_at(g, i);
        if (consumer->pending.count == 0) continue;
        with_pending++;
        reply_array(r, 2);
        reply_bulk_slice(r, consumer->named.name);
        reply_bulk_int(r, (int64_t)consumer->pending.count);
    }
    reply_array_end(r, mark, with_pending);
}

static void reply_pending(struct cmd *c, const struct idmap *pending,
                          const struct pending_args *a) {
    struct reply *r = c->reply;
    int64_t replied = 0;
    size_t mark = reply_array_begin(r);
    struct idmap_place at = idmap_ceiling(pending, a->start);
    for (; replied < a->count && at.leaf != NULL; idmap_next(&at)) {
        if (stream_id_less(a->end, idmap_at(at)->id)) break;
        const struct stream_pending *p = tstream_pending_at(at);
        int64_t idle = c->now_ms - p->delivered_ms;
        if (a->min_idle != 0 && idle < a->min_idle) continue;
        replied++;
        reply_array(r, 4);
        stream__reply_id(r, idmap_at(at)->id);
        reply_bulk_slice(r, p->consumer->named.name);
        reply_int(r, idle > 0 ? idle : 0);
        reply_int(r, p->deliveries);
    }
    reply_array_end(r, mark, (size_t)replied);
}

void stream_xpending(struct cmd *c) {
    struct pending_args a;
    struct value v;
    if (!parse_pending(c, &a) || !collection_read(c, 1, ENTRY_STREAM, &v)) return;
    const struct stream_group *g = NULL;
    if (v.encoding != 0) g = tstream_group(tstream_of(v), c->argv[2]);
    if (g == NULL) {
        stream__no_group(c, 1, 2, "");
        return;
    }
    if (c->argc == 3) {
        reply_summary(c->reply, g);
        return;
    }
    const struct idmap *pending = &g->pending;
    if (a.consumer_arg != 0) {
        const struct stream_consumer *consumer = tstream_consumer(g, c->argv[a.consumer_arg]);
        if (consumer == NULL) {
            reply_array(c->reply, 0);
            return;
        }
        pending = &consumer->pending;
    }
    reply_pending(c, pending, &a);
}

// ---- XCLAIM ------------------------------------------------------------------------------------

/** A claim: of whom, what becomes of the pending entries, what is said about them. */
struct claim {
    struct cmd *c;
    struct stream *s;
    struct stream_group *g;
    struct stream_consumer *consumer;
    int64_t min_idle, delivered_ms, deliveries; // deliveries below 0: count one more
    bool force, just_id;
    uint64_t changes;
};

/** A pending entry whose entry is gone is forgotten; the same claim does it when replayed. */
static void drop_pending(struct claim *claim, struct stream_id id, const struct stream_pending *p) {
    stream__effect_claim(claim->c, 1, claim->g, id, p);
    tstream_pending_remove(claim->s, claim->g, id);
    claim->changes++;
}

/** Gives an entry that is in the stream to the consumer. */
static void claim_pending(struct claim *claim, struct stream_id id) {
    struct stream_pending *p = tstream_pending_give(claim->s, claim->g, id, claim->consumer);
    p->delivered_ms = claim->delivered_ms;
    if (claim->deliveries >= 0)
        p->deliveries = claim->deliveries;
    else if (!claim->just_id)
        tstream_pending_again(p);
    claim->consumer->active_ms = claim->c->now_ms;
    claim->changes++;
    stream__effect_claim(claim->c, 1, claim->g, id, p);
}

static void reply_claimed(const struct claim *claim, struct stream_id id) {
    if (claim->just_id)
        stream__reply_id(claim->c->reply, id);
    else
        stream__reply_one(claim->c->reply, claim->s, id);
}

static bool arg_i64(struct cmd *c, int arg, int64_t *out, const char *error) {
    if (num_parse_i64(c->argv[arg], out)) return true;
    reply_error(c->reply, error);
    return false;
}

/** XCLAIM's options from `i` on, where the ids end. */
static bool parse_claim(struct cmd *c, int i, struct claim *claim, struct stream_id *last_id) {
    int64_t time = -1;
    for (; i < c->argc; i++) {
        struct slice word = c->argv[i];
        bool more = i + 1 < c->argc;
        if (slice_is(word, "force")) {
            claim->force = true;
        } else if (slice_is(word, "justid")) {
            claim->just_id = true;
        } else if (more && slice_is(word, "idle")) {
            if (!arg_i64(c, ++i, &time, "ERR Invalid IDLE option argument for XCLAIM"))
                return false;
            if (__builtin_sub_overflow(c->now_ms, time, &time)) time = c->now_ms;
        } else if (more && slice_is(word, "time")) {
            if (!arg_i64(c, ++i, &time, "ERR Invalid TIME option argument for XCLAIM"))
                return false;
        } else if (more && slice_is(word, "retrycount")) {
            if (!arg_i64(c, ++i, &claim->deliveries,
                         "ERR Invalid RETRYCOUNT option argument for XCLAIM"))
                return false;
        } else if (more && slice_is(word, "lastid")) {
            if (!stream__arg_id(c, ++i, 0, last_id)) return false;
        } else {
            reply_error_format(c->reply, "ERR Unrecognized XCLAIM option '%.*s'", (int)word.n,
                               word.p);
            return false;
        }
    }
    claim->delivered_ms = time < 0 || time > c->now_ms ? c->now_ms : time;
    return true;
}

static size_t claim_ids(struct claim *claim, const struct stream_id *ids, int count) {
    size_t claimed = 0;
    for (int i = 0; i < count; i++) {
        const struct stream_pending *p = tstream_pending(claim->g, ids[i]);
        if (!tstream_has(claim->s, ids[i])) {
            if (p != NULL) drop_pending(claim, ids[i], p);
            continue;
        }
        if (p == NULL && !claim->force) continue;
        if (p != NULL && claim->min_idle > 0 &&
            claim->c->now_ms - p->delivered_ms < claim->min_idle)
            continue;
        if (p == NULL) // counts as delivered once before
            tstream_pending_give(claim->s, claim->g, ids[i], claim->consumer)->deliveries = 1;
        claim_pending(claim, ids[i]);
        reply_claimed(claim, ids[i]);
        claimed++;
    }
    return claimed;
}

void stream_xclaim(struct cmd *c) {
    struct change ch;
    struct claim claim = {.c = c, .deliveries = -1};
    struct stream_id last_id = STREAM_ID_MIN;
    if (!stream__open_group(c, &ch, &claim.g)) return;
    if (!arg_i64(c, 4, &claim.min_idle, "ERR Invalid min-idle-time argument for XCLAIM")) return;
    int count = 0;
    struct stream_id *ids = mem_alloc((size_t)(c->argc - 5) * sizeof *ids);
    while (5 + count < c->argc && stream_id_parse(c->argv[5 + count], 0, &ids[count], NULL))
        count++;
    if (!parse_claim(c, 5 + count, &claim, &last_id)) {
        mem_free(ids);
        return;
    }
    claim.s = tstream_of(ch.v);
    cmd_effect_none(c);
    bool moved = stream_id_less(claim.g->last, last_id);
    if (moved) claim.g->last = last_id;
    uint32_t consumers = claim.g->consumers.count;
    claim.consumer = stream__consumer(c, claim.s, claim.g, 1, c->argv[3]);
    size_t mark = reply_array_begin(c->reply);
    size_t claimed = claim_ids(&claim, ids, count);
    reply_array_end(c->reply, mark, claimed);
    mem_free(ids);
    if (moved && claim.changes == 0) {
        stream__effect_group(c, 1, claim.g);
        claim.changes++;
    }
    change_close_quietly(&ch, claim.changes + (claim.g->consumers.count - consumers));
}

// ---- XAUTOCLAIM --------------------------------------------------------------------------------

#define ATTEMPTS 10 // pending entries that are looked at for each one that may be claimed

/** A growing list of ids. */
struct id_list {
    struct stream_id *at;
    size_t count, room;
};

static void id_list_add(struct id_list *list, struct stream_id id) {
    if (list->count == list->room) {
        list->room = list->room * 2 + 16;
        list->at = mem_realloc(list->at, list->room * sizeof *list->at);
    }
    list->at[list->count++] = id;
}

static bool parse_autoclaim(struct cmd *c, struct claim *claim, struct stream_id *start,
                            int64_t *count) {
    if (!arg_i64(c, 4, &claim->min_idle, "ERR Invalid min-idle-time argument for XAUTOCLAIM"))
        return false;
    if (!stream__arg_start(c, 5, start)) return false;
    for (int i = 6; i < c->argc; i++) {
        if (i + 1 < c->argc && slice_is(c->argv[i], "count")) {
            int64_t max = INT64_MAX / (int64_t)sizeof(struct stream_id);
            if (!cmd_arg_range(c, ++i, 1, max, count, "ERR COUNT must be > 0")) return false;
        } else if (slice_is(c->argv[i], "justid")) {
            claim->just_id = true;
        } else {
            reply_error(c->reply, error_syntax);
            return false;
        }
    }
    return true;
}

/** Claims from *next on, which is moved to where the next call goes on, 0-0 at the end. */
static void autoclaim(struct claim *claim, struct stream_id *next, int64_t count,
                      struct id_list *claimed, struct id_list *deleted) {
    struct idmap_place at = idmap_ceiling(&claim->g->pending, *next);
    int64_t attempts = count * ATTEMPTS;
    for (; attempts > 0 && count > 0 && at.leaf != NULL; attempts--) {
        struct stream_id id = idmap_at(at)->id;
        const struct stream_pending *p = tstream_pending_at(at);
        if (!tstream_has(claim->s, id)) {
            drop_pending(claim, id, p);
            id_list_add(deleted, id);
            at = idmap_ceiling(&claim->g->pending, id);
            count--;
            continue;
        }
        idmap_next(&at);
        if (claim->min_idle > 0 && claim->c->now_ms - p->delivered_ms < claim->min_idle) continue;
        claim_pending(claim, id);
        id_list_add(claimed, id);
        count--;
    }
    *next = at.leaf != NULL ? idmap_at(at)->id : STREAM_ID_MIN;
}

void stream_xautoclaim(struct cmd *c) {
    struct change ch;
    struct claim claim = {.c = c, .deliveries = -1, .delivered_ms = c->now_ms};
    struct stream_id next;
    int64_t count = 100;
    struct id_list claimed = {0}, deleted = {0};
    if (!parse_autoclaim(c, &claim, &next, &count)) return;
    if (!stream__open_group(c, &ch, &claim.g)) return;
    claim.s = tstream_of(ch.v);
    cmd_effect_none(c);
    uint32_t consumers = claim.g->consumers.count;
    claim.consumer = stream__consumer(c, claim.s, claim.g, 1, c->argv[3]);
    autoclaim(&claim, &next, count, &claimed, &deleted);
    reply_array(c->reply, 3);
    stream__reply_id(c->reply, next);
    reply_array(c->reply, claimed.count);
    for (size_t i = 0; i < claimed.count; i++) reply_claimed(&claim, claimed.at[i]);
    reply_array(c->reply, deleted.count);
    for (size_t i = 0; i < deleted.count; i++) stream__reply_id(c->reply, deleted.at[i]);
    mem_free(claimed.at);
    mem_free(deleted.at);
    change_close_quietly(&ch, claim.changes + (claim.g->consumers.count - consumers));
}
