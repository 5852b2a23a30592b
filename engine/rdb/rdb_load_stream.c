// SPDX-License-Identifier: BSD-3-Clause
//
// Streams from their serialized forms (Redis 5, 7.0 and 7.2): nodes, counts, groups with what is
// pending, consumers with what of that is theirs. What a form does not tell is reckoned as Redis
// does. No state; the thread that loads. Invariant: in a stream that is returned every pending
// entry is one consumer's, ids ascend, and the counts are those of the entries. Called by
// rdb_load.c.
#include "engine/base/alloc.h"
#include "engine/rdb/rdb_load_parts.h"
#include "engine/types/t_stream_group.h"

#define ID_BYTES   16
#define TIME_BYTES 8

/** What is read next. `left` counts what is left of it. */
enum part { NODES, GROUPS, PENDING, CONSUMERS, OWNED, ALL };

/** What is kept between the steps. */
struct place {
    enum part part;
    struct stream_group *group;
    struct stream_consumer *consumer;
    uint64_t groups, consumers; // left, while it is the turn of what is inside of one
};
_Static_assert(sizeof(struct place) <= sizeof(((struct rdb_loading *)0)->state), "fits");

struct reading {
    struct rdb_load *load;
    struct rdb_in *in;
    uint8_t type;
    struct stream *s;
    struct rdb_loading *l;
    struct place *place;
};

/** Whether there is one more to be read in this step; counts it. */
static bool one_more(struct reading *r) {
    if (r->l->left == 0 || rdb_load__is_over(r->l, r->in)) return false;
    r->l->left--;
    return true;
}

/** An id as the bytes of a key: high byte first. */
static struct stream_id id_of(const uint8_t *p) {
    struct stream_id id;
    memcpy(&id.ms, p, sizeof id.ms);
    memcpy(&id.seq, p + sizeof id.ms, sizeof id.seq);
    return (struct stream_id){__builtin_bswap64(id.ms), __builtin_bswap64(id.seq)};
}

static bool read_key(struct rdb_in *in, struct stream_id *id) {
    const uint8_t *p;
    if (!rdb_in_bytes(in, ID_BYTES, &p)) return false;
    *id = id_of(p);
    return true;
}

/** An id as two lengths. */
static bool read_id(struct rdb_in *in, struct stream_id *id) {
    return rdb_in_length(in, &id->ms) && rdb_in_length(in, &id->seq);
}

// ---- entries -----------------------------------------------------------------------------------

static bool read_node(struct reading *r) {
    struct slice text;
    if (!rdb_in_string(r->in, &r->load->scratch, &text)) return false;
    if (text.n != ID_BYTES) return rdb_in_fail(r->in, "a key of a stream's node that is no id");
    struct stream_id base = id_of((const uint8_t *)text.p);
    if (!rdb_in_string(r->in, &r->load->scratch, &text)) return false;
    if (text.n < LISTPACK_MIN_BYTES) return rdb_in_fail(r->in, "a malformed node of a stream");
    uint8_t *lp = memcpy(mem_alloc(text.n), text.p, text.n);
    if (tstream_load_node(r->s, base, lp, text.n)) return true;
    mem_free(lp);
    return rdb_in_fail(r->in, "a malformed node of a stream, or out of order");
}

static bool read_nodes(struct reading *r) {
    while (one_more(r))
        if (!read_node(r)) return false;
    return true;
}

/** What stands behind the nodes. */
static bool read_counts(struct reading *r) {
    struct stream_id last, first = STREAM_ID_MAX, max_deleted = STREAM_ID_MIN;
    uint64_t length, entries_added;
    if (!rdb_in_length(r->in, &length) || !read_id(r->in, &last)) return false;
    entries_added = length;
    if (r->type >= RDB_STREAM_LISTPACKS_2) {
        if (!read_id(r->in, &first) || !read_id(r->in, &max_deleted)) return false;
        if (!rdb_in_length(r->in, &entries_added)) return false;
    }
    if (tstream_load_end(r->s, length, last, first, max_deleted, entries_added)) return true;
    return rdb_in_fail(r->in, "a stream whose length or last id is not that of its entries");
}

// ---- groups ------------------------------------------------------------------------------------

/** What is pending in the group, whoever has it. */
static bool read_group_pending(struct reading *r) {
    uint64_t deliveries;
    struct stream_id id;
    int64_t delivered_ms;
    while (one_more(r)) {
        if (!read_key(r->in, &id) || !rdb_in_i64(r->in, &delivered_ms)) return false;
        if (!rdb_in_length(r->in, &deliveries)) return false;
        if (deliveries > INT64_MAX) return rdb_in_fail(r->in, "a count of deliveries too high");
        struct stream_pending *p = tstream_load_pending(r->s, r->place->group, id);
        if (p == NULL) return rdb_in_fail(r->in, "a pending entry of a group twice");
        p->delivered_ms = delivered_ms;
        p->deliveries = (int64_t)deliveries;
    }
    return true;
}

/** A consumer, up to the number of its pending entries, which is left then. */
static bool read_consumer(struct reading *r) {
    struct stream_group *g = r->place->group;
    struct slice name;
    int64_t seen_ms, active_ms;
    if (!rdb_in_string(r->in, &r->load->scratch, &name)) return false;
    if (tstream_consumer(g, name) != NULL) return rdb_in_fail(r->in, "a consumer twice");
    struct stream_consumer *c = tstream_consumer_add(r->s, g, name, 0);
    if (!rdb_in_i64(r->in, &seen_ms)) return false;
    active_ms = seen_ms;
    if (r->type >= RDB_STREAM_LISTPACKS_3 && !rdb_in_i64(r->in, &active_ms)) return false;
    c->seen_ms = seen_ms;
    c->active_ms = active_ms;
    r->place->consumer = c;
    r->place->consumers = r->l->left;
    return rdb_in_count(r->in, ID_BYTES, &r->l->left);
}

/** What of the group's is the consumer's. */
static bool read_owned(struct reading *r) {
    struct stream_id id;
    while (one_more(r)) {
        if (!read_key(r->in, &id)) return false;
        if (!tstream_load_owner(r->s, r->place->group, r->place->consumer, id))
            return rdb_in_fail(r->in, "a pending entry that is not its group's, or twice");
    }
    return true;
}

/** How many entries the group has been delivered; older forms do not tell. */
static bool read_entries_read(struct reading *r, struct stream_id last, int64_t *entries_read) {
    uint64_t number;
    if (r->type < RDB_STREAM_LISTPACKS_2) {
        *entries_read = tstream_reads_at(r->s, last);
        return true;
    }
    if (!rdb_in_length(r->in, &number)) return false;
    *entries_read = (int64_t)number;
    return *entries_read >= -1 || rdb_in_fail(r->in, "a count of entries read out of range");
}

/** A group, up to the number of its pending entries, which is left then. */
static bool read_group(struct reading *r) {
    struct slice name;
    struct stream_id last;
    int64_t entries_read;
    if (!rdb_in_string(r->in, &r->load->scratch, &name)) return false;
    if (tstream_group(r->s, name) != NULL) return rdb_in_fail(r->in, "a group twice");
    // The name is gone once something else is read into the scratch buffer: nothing is before that.
    if (!read_id(r->in, &last) || !read_entries_read(r, last, &entries_read)) return false;
    r->place->group = tstream_group_add(r->s, name, last, entries_read);
    r->place->groups = r->l->left;
    return rdb_in_count(r->in, ID_BYTES + TIME_BYTES + 1, &r->l->left);
}

// ---- all of it ---------------------------------------------------------------------------------

/** One part is through: to the next. */
static bool go_on(struct reading *r) {
    struct place *at = r->place;
    size_t times = r->type >= RDB_STREAM_LISTPACKS_3 ? 2 : 1;
    switch (at->part) {
    case NODES: at->part = GROUPS; return read_counts(r) && rdb_in_count(r->in, 5, &r->l->left);
    case PENDING:
        at->part = CONSUMERS;
        return rdb_in_count(r->in, 2 + times * TIME_BYTES, &r->l->left);
    case OWNED:
        at->part = CONSUMERS;
        r->l->left = at->consumers;
        return true;
    case CONSUMERS:
        at->part = GROUPS;
        r->l->left = at->groups;
        if (tstream_load_group_end(at->group)) return true;
        return rdb_in_fail(r->in, "a pending entry without a consumer");
    default: at->part = ALL; return true;
    }
}

static bool read_part(struct reading *r) {
    struct place *at = r->place;
    if (at->part == NODES) return read_nodes(r);
    if (at->part == PENDING) return read_group_pending(r);
    if (at->part == OWNED) return read_owned(r);
    // A group or a consumer: what is inside of it comes next.
    if (!one_more(r)) return true;
    bool group = at->part == GROUPS;
    at->part = group ? PENDING : OWNED;
    return group ? read_group(r) : read_consumer(r);
}

enum rdb_loaded rdb_load__stream(struct rdb_load *load, struct rdb_in *in, struct rdb_loading *l) {
    struct place *place = (void *)l->state;
    if (!l->begun) {
        if (!rdb_in_count(in, 1 + ID_BYTES + LISTPACK_MIN_BYTES, &l->left)) return RDB_LOAD_FAILED;
        *place = (struct place){.part = NODES};
        l->v = tstream_new();
        l->begun = true;
    }
    struct reading r = {
        .load = load, .in = in, .type = l->type, .s = tstream_of(l->v), .l = l, .place = place};
    bool good = true;
    rdb_load__limit(l, in, place->part == NODES ? 1 : RDB_LOAD__WEIGHT);
    while (good && place->part != ALL) {
        enum part part = place->part;
        good = read_part(&r);
        if (!good || place->part != part) continue; // inside of one, now
        if (l->left > 0) return RDB_LOAD_MORE;
        good = go_on(&r);
    }
    if (good) return RDB_LOADED;
    value_free(l->v);
    return RDB_LOAD_FAILED;
}
