// SPDX-License-Identifier: BSD-3-Clause
//
// What a stream consists of in a file: its nodes as they are, counts and ids, then each group with
// what is pending, and each of its consumers with what is pending with it. One node, group,
// consumer or pending entry in each call. What older versions do not know is left out. Runs where
// rdb_save.h says; reads the value only. Called by rdb_save.c.
#include "engine/rdb/rdb_saving.h"

static void save_id(struct buf *out, struct stream_id id) {
    rdb_save_length(out, id.ms);
    rdb_save_length(out, id.seq);
}

/** The sixteen bytes that ids are in Redis's trees. */
static void save_raw_id(struct buf *out, struct stream_id id) {
    const uint64_t big[] = {__builtin_bswap64(id.ms), __builtin_bswap64(id.seq)};
    buf_append(out, big, sizeof big);
}

static void save_node(struct rdb_saving *s, struct buf *out, struct idmap_place place) {
    const struct stream_node *n = idmap_at(place)->value;
    rdb_save_length(out, sizeof(uint64_t) * 2);
    save_raw_id(out, idmap_at(place)->id);
    rdb__put(s, out, slice_of(n->lp, listpack_bytes(n->lp)));
}

static void save_head(const struct rdb_saving *s, struct buf *out, const struct stream *stream) {
    rdb_save_length(out, stream->length);
    save_id(out, stream->last);
    if (s->type != RDB_STREAM_LISTPACKS) {
        save_id(out, stream->first);
        save_id(out, stream->max_deleted);
        rdb_save_length(out, stream->entries_added);
    }
    rdb_save_length(out, stream->groups.count);
}

static void save_group(struct rdb_saving *s, struct buf *out, const struct stream_group *g) {
    rdb_save_string(out, s->how, g->named.name);
    save_id(out, g->last);
    if (s->type != RDB_STREAM_LISTPACKS) rdb_save_length(out, (uint64_t)g->entries_read);
    rdb_save_length(out, g->pending.count);
}

static void save_pending(struct buf *out, struct idmap_place place) {
    const struct stream_pending *p = tstream_pending_at(place);
    save_raw_id(out, idmap_at(place)->id);
    rdb__save_u64(out, (uint64_t)p->delivered_ms);
    rdb_save_length(out, (uint64_t)p->deliveries);
}

static void save_consumer(struct rdb_saving *s, struct buf *out, const struct stream_consumer *c) {
    rdb_save_string(out, s->how, c->named.name);
    rdb__save_u64(out, (uint64_t)c->seen_ms);
    if (s->type == RDB_STREAM_LISTPACKS_3) rdb__save_u64(out, (uint64_t)c->active_ms);
    rdb_save_length(out, c->pending.count);
}

/** In front of a group, a consumer, or the end. */
static bool save_next(struct rdb_saving *s, struct buf *out, const struct stream *stream) {
    struct rdb__stream_walk *w = &rdb__state(s)->in.stream;
    if (w->at == STREAM_GROUP) {
        if (w->group == stream->groups.count) return false;
        const struct stream_group *g = tstream_group_at(stream, w->group);
        save_group(s, out, g);
        w->place = idmap_first(&g->pending);
        w->at = STREAM_PENDING;
        return true;
    }
    const struct stream_group *g = tstream_group_at(stream, w->group);
    if (w->consumer == 0) rdb_save_length(out, g->consumers.count);
    if (w->consumer == g->consumers.count) {
        w->group++;
        w->consumer = 0;
        w->at = STREAM_GROUP;
        return true;
    }
    const struct stream_consumer *c = tstream_consumer_at(g, w->consumer++);
    save_consumer(s, out, c);
    w->place = idmap_first(&c->pending);
    w->at = STREAM_OWN;
    return true;
}

bool rdb__save_stream(struct rdb_saving *s, struct buf *out) {
    const struct stream *stream = tstream_of(entry_value(s->entry));
    struct rdb__stream_walk *w = &rdb__state(s)->in.stream;
    if (!rdb__state(s)->begun) {
        rdb__state(s)->begun = true;
        rdb_save_length(out, stream->nodes.count);
        w->place = idmap_first(&stream->nodes);
        w->at = STREAM_NODES;
        return true;
    }
    switch (w->at) {
    case STREAM_HEAD:
        save_head(s, out, stream);
        w->at = STREAM_GROUP;
        return true;
    case STREAM_GROUP:
    case STREAM_CONSUMER: return save_next(s, out, stream);
    default: break;
    }
    if (w->place.leaf == NULL) {
        w->at = w->at == STREAM_NODES ? STREAM_HEAD : STREAM_CONSUMER;
        return true;
    }
    if (w->at == STREAM_NODES)
        save_node(s, out, w->place);
    else if (w->at == STREAM_PENDING)
        save_pending(out, w->place);
    else
        save_raw_id(out, idmap_at(w->place)->id);
    idmap_next(&w->place);
    return true;
}
