// SPDX-License-Identifier: BSD-3-Clause
//
// Streams over their nodes: adding at the end, deleting, trimming from the start, walking ranges;
// after t_stream.c of Redis 7.2 in what is full, what is trimmed and what counts. Whoever owns the
// value runs it. Invariants: those of the header; nodes are in the order of their ids, and every
// entry is in the last node whose first id is not above its own. Called by the stream commands.
#include "engine/types/t_stream.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/types/ops.h"
#include "engine/types/t_stream_group.h"

#define NODE_ROOM_MAX 4096 // taken in advance for a node that will probably fill it

struct value tstream_new(void) {
    struct stream *s = mem_calloc(sizeof *s);
    s->memory = mem_usable(s);
    return (struct value){.encoding = ENC_STREAM, .object = s};
}

// ---- nodes -------------------------------------------------------------------------------------

static inline struct stream_node *node_at(struct idmap_place p) { return idmap_at(p)->value; }

static void node_insert(struct stream *s, struct stream_id base, struct stream_node *n) {
    size_t before = s->nodes.memory;
    void *there = idmap_add(&s->nodes, base, n);
    ASSERT(there == NULL);
    s->memory += s->nodes.memory - before + stream_node_memory(n);
}

static void node_remove(struct stream *s, struct stream_id base) {
    size_t before = s->nodes.memory;
    struct stream_node *n = idmap_remove(&s->nodes, base);
    ASSERT(n != NULL);
    s->memory -= before - s->nodes.memory + stream_node_memory(n);
    stream_node_free(n);
}

/** Whether an entry of that many bytes goes to a node of its own. */
static bool is_full(const struct stream_node *n, size_t bytes, const struct value_limits *limits) {
    size_t most = LISTPACK_MAX_BYTES;
    int64_t max_bytes = limits->stream_node_max_bytes, max = limits->stream_node_max_entries;
    if (max_bytes > 0 && (uint64_t)max_bytes < most) most = (size_t)max_bytes;
    if (listpack_bytes(n->lp) + bytes >= most) return true;
    return max > 0 && (int64_t)n->live + n->deleted >= max;
}

/** A new node at the end, with room as the one before has needed. */
static struct stream_node *node_begin(struct stream *s, struct stream_id id,
                                      const struct slice *pairs, size_t fields,
                                      struct stream_node *before) {
    size_t room = 0;
    if (before != NULL) {
        size_t memory = stream_node_memory(before);
        stream_node_close(before);
        s->memory -= memory - stream_node_memory(before);
        room = listpack_bytes(before->lp);
    }
    struct stream_node *n =
        stream_node_new(pairs, fields, room < NODE_ROOM_MAX ? room : NODE_ROOM_MAX);
    node_insert(s, id, n);
    return n;
}

void tstream_add(struct stream *s, struct stream_id id, const struct slice *pairs, size_t fields,
                 const struct value_limits *limits) {
    size_t bytes = slices_bytes(pairs, (int)(2 * fields));
    ASSERT(stream_id_less(s->last, id) && bytes <= LISTPACK_MAX_BYTES);
    struct stream_node *n = NULL;
    struct stream_id base = id;
    if (s->nodes.count > 0) {
        struct idmap_entry *last = idmap_at(idmap_last(&s->nodes));
        n = last->value;
        base = last->id;
    }
    if (n == NULL || is_full(n, bytes, limits)) {
        n = node_begin(s, id, pairs, fields, n);
        base = id;
    }
    size_t before = listpack_memory(n->lp);
    stream_node_append(n, base, id, pairs, fields);
    s->memory += listpack_memory(n->lp) - before;
    s->length++;
    s->entries_added++;
    s->last = id;
    if (s->length == 1) s->first = id;
}

// ---- walking -----------------------------------------------------------------------------------

void tstream_iterate(struct tstream_iterator *it, const struct stream *s, struct stream_id low,
                     struct stream_id high, bool backwards) {
    it->stream = s;
    it->low = stream_id_less(low, s->first) ? s->first : low; // passes deleted ones at the start
    it->high = high;
    it->backwards = backwards;
    it->begun = false;
}

/** To the first entry of the node that it->node has come to, or the last one when backwards. */
static bool enter_node(struct tstream_iterator *it) {
    if (it->node.leaf == NULL) return false;
    const struct stream_node *n = node_at(it->node);
    struct stream_id base = idmap_at(it->node)->id;
    return it->backwards ? stream_node_last(n, base, &it->entry)
                         : stream_node_first(n, base, &it->entry);
}

static bool enter_next_node(struct tstream_iterator *it) {
    if (it->backwards)
        idmap_previous(&it->node);
    else
        idmap_next(&it->node);
    return enter_node(it);
}

static bool begin(struct tstream_iterator *it) {
    const struct idmap *nodes = &it->stream->nodes;
    bool to_the_end = it->backwards && !stream_id_less(it->high, it->stream->last);
    it->begun = true;
    it->node = idmap_floor(nodes, it->backwards ? it->high : it->low);
    if (it->node.leaf == NULL && !it->backwards) it->node = idmap_first(nodes);
    if (it->node.leaf == NULL || to_the_end) return enter_node(it);
    const struct stream_node *n = node_at(it->node);
    struct stream_id base = idmap_at(it->node)->id;
    if (it->backwards ? stream_node_seek_back(n, base, it->high, &it->entry)
                      : stream_node_seek(n, base, it->low, &it->entry))
        return true;
    return enter_next_node(it);
}

static bool step(struct tstream_iterator *it) {
    const struct stream_node *n = node_at(it->node);
    struct stream_id base = idmap_at(it->node)->id;
    if (it->backwards ? stream_node_previous(n, base, &it->entry)
                      : stream_node_next(n, base, &it->entry))
        return true;
    return enter_next_node(it);
}

bool tstream_next(struct tstream_iterator *it) {
    if (!it->begun && it->stream->length == 0) return false;
    for (bool found = it->begun ? step(it) : begin(it); found; found = step(it)) {
        struct stream_id id = it->entry.id;
        if (it->backwards ? stream_id_less(id, it->low) : stream_id_less(it->high, id))
            return false;
        if (!it->entry.deleted) return true;
    }
    return false;
}

/** The entry of that id, when it is there and not deleted; it->node is its node. */
static bool find(struct tstream_iterator *it, const struct stream *s, struct stream_id id) {
    if (s->length == 0 || stream_id_less(id, s->first) || stream_id_less(s->last, id)) return false;
    tstream_iterate(it, s, id, id, false);
    return tstream_next(it);
}

bool tstream_has(const struct stream *s, struct stream_id id) {
    struct tstream_iterator it;
    return find(&it, s, id);
}

struct stream_id tstream_last_entry(const struct stream *s) {
    struct tstream_iterator it;
    tstream_iterate(&it, s, STREAM_ID_MIN, STREAM_ID_MAX, true);
    return tstream_next(&it) ? it.entry.id : STREAM_ID_MIN;
}

struct stream_id tstream_first_kept(const struct stream *s) {
    struct stream_entry e;
    if (s->nodes.count == 0) return STREAM_ID_MAX;
    struct idmap_place p = idmap_first(&s->nodes);
    return stream_node_first(node_at(p), idmap_at(p)->id, &e) ? e.id : STREAM_ID_MAX;
}

// ---- deleting ----------------------------------------------------------------------------------

/** The first entry may be gone: finds the one that is it now. `from`: none is below. */
static void find_first(struct stream *s, struct stream_id from) {
    struct tstream_iterator it;
    s->first = STREAM_ID_MIN;
    tstream_iterate(&it, s, from, STREAM_ID_MAX, false);
    if (tstream_next(&it)) s->first = it.entry.id;
}

/** Deletes the entry that was found; true: with its whole node. */
static bool delete_entry(struct stream *s, struct idmap_place node, const struct stream_entry *e) {
    struct stream_node *n = node_at(node);
    s->length--;
    if (n->live == 1) {
        node_remove(s, idmap_at(node)->id);
        return true;
    }
    size_t before = listpack_memory(n->lp);
    stream_node_delete(n, e);
    s->memory += listpack_memory(n->lp) - before;
    return false;
}

bool tstream_delete(struct stream *s, struct stream_id id) {
    struct tstream_iterator it;
    if (!find(&it, s, id)) return false;
    delete_entry(s, it.node, &it.entry);
    if (stream_id_less(s->max_deleted, id)) s->max_deleted = id;
    if (stream_id_equal(id, s->first)) find_first(s, id);
    return true;
}

/** Whether the first node goes as a whole. */
static bool trims_node(const struct stream *s, const struct stream_trim *trim,
                       const struct stream_node *n, struct stream_id base) {
    struct stream_entry last;
    if (!trim->by_id) return s->length - n->live >= trim->length;
    return stream_node_last(n, base, &last) && stream_id_less(last.id, trim->id);
}

/** Deletes entries at the start of the first node; *from follows. */
static uint64_t trim_inside(struct stream *s, const struct stream_trim *trim,
                            struct stream_id *from) {
    uint64_t deleted = 0;
    struct tstream_iterator it;
    tstream_iterate(&it, s, *from, STREAM_ID_MAX, false);
    while (tstream_next(&it)) {
        const struct stream_node *n = node_at(it.node);
        const uint8_t *first = n->lp + n->first;
        if (trim->by_id ? !stream_id_less(it.entry.id, trim->id) : s->length <= trim->length) break;
        *from = it.entry.id;
        deleted++;
        if (delete_entry(s, it.node, &it.entry)) break;
        if (n->lp + n->first != first) tstream_iterate(&it, s, *from, STREAM_ID_MAX, false);
    }
    return deleted;
}

uint64_t tstream_trim(struct stream *s, const struct stream_trim *trim) {
    uint64_t deleted = 0;
    struct stream_id from = s->first;
    while (s->nodes.count > 0 && (trim->by_id || s->length > trim->length)) {
        struct idmap_place place = idmap_first(&s->nodes);
        const struct stream_node *n = node_at(place);
        struct stream_id base = idmap_at(place)->id;
        if (trim->limit > 0 && deleted + n->live > trim->limit) break;
        if (!trims_node(s, trim, n, base)) {
            if (!trim->whole_nodes) deleted += trim_inside(s, trim, &from);
            break;
        }
        deleted += n->live;
        s->length -= n->live;
        node_remove(s, base);
    }
    if (deleted > 0) find_first(s, from);
    return deleted;
}

// ---- counting ----------------------------------------------------------------------------------

bool tstream_has_gaps(const struct stream *s, struct stream_id id) {
    if (s->length == 0 || stream_id_is_zero(s->max_deleted)) return false;
    return !stream_id_less(s->max_deleted, s->first) && !stream_id_less(s->max_deleted, id);
}

int64_t tstream_reads_at(const struct stream *s, struct stream_id id) {
    if (s->entries_added == 0) return 0;
    if (stream_id_equal(id, s->last)) return (int64_t)s->entries_added;
    if (stream_id_less(s->last, id)) return -1;
    if (s->length == 0) return (int64_t)s->entries_added;
    if (!stream_id_is_zero(s->max_deleted) && !stream_id_less(s->max_deleted, s->first)) return -1;
    if (stream_id_less(id, s->first)) return (int64_t)(s->entries_added - s->length);
    if (stream_id_equal(id, s->first)) return (int64_t)(s->entries_added - s->length + 1);
    return -1;
}

void tstream_set_last(struct stream *s, struct stream_id last, int64_t entries_added,
                      struct stream_id max_deleted) {
    s->last = last;
    if (entries_added >= 0) s->entries_added = (uint64_t)entries_added;
    if (!stream_id_is_zero(max_deleted)) s->max_deleted = max_deleted;
}

// ---- from a snapshot ---------------------------------------------------------------------------

/**
 * Whether the entries so far end before `id`, or (`with`) with it. Deleted ones that do not are
 * dropped: XSETID of Redis 5 and 6 could go back behind them, so that ids were given once more.
 */
static bool ends_before(struct stream *s, struct stream_id id, bool with) {
    struct stream_entry e;
    if (s->nodes.count == 0) return true;
    struct idmap_place last = idmap_last(&s->nodes);
    struct stream_node *n = node_at(last);
    struct stream_id base = idmap_at(last)->id;
    for (int i = 0; i < 2; i++) {
        if (!stream_node_last(n, base, &e)) return false;
        if (with ? !stream_id_less(id, e.id) : stream_id_less(e.id, id)) return true;
        if (!e.deleted) return false;
        s->memory -= stream_node_memory(n);
        stream_node_drop_deleted(n, base);
        s->memory += stream_node_memory(n);
    }
    return false;
}

bool tstream_load_node(struct stream *s, struct stream_id base, uint8_t *lp, size_t bytes) {
    if (!ends_before(s, base, false)) return false;
    struct stream_node *n = stream_node_load(lp, bytes, base);
    if (n == NULL) return false;
    if (n->live == 0) {
        stream_node_free(n);
        return true;
    }
    node_insert(s, base, n);
    s->length += n->live;
    return true;
}

bool tstream_load_end(struct stream *s, uint64_t length, struct stream_id last,
                      struct stream_id first, struct stream_id max_deleted,
                      uint64_t entries_added) {
    if (length != s->length || !ends_before(s, last, true)) return false;
    s->last = last;
    s->max_deleted = max_deleted;
    s->entries_added = entries_added;
    find_first(s, STREAM_ID_MIN);
    if (s->length == 0 && stream_id_equal(first, STREAM_ID_MAX)) s->first = first;
    return true;
}

// ---- as a value --------------------------------------------------------------------------------

static void free_node(void *node) { stream_node_free(node); }

static void stream_free(void *object) {
    struct stream *s = object;
    idmap_fini(&s->nodes, free_node);
    tstream__free_groups(s);
    mem_free(s);
}

static void *stream_copy(const void *object) {
    const struct stream *from = object;
    struct stream *s = tstream_of(tstream_new());
    for (struct idmap_place p = idmap_first(&from->nodes); p.leaf != NULL; idmap_next(&p))
        node_insert(s, idmap_at(p)->id, stream_node_copy(node_at(p)));
    s->length = from->length;
    s->entries_added = from->entries_added;
    s->first = from->first;
    s->last = from->last;
    s->max_deleted = from->max_deleted;
    tstream__copy_groups(s, from);
    return s;
}

static size_t stream_memory(const void *object) { return ((const struct stream *)object)->memory; }

static size_t stream_length(const void *object) { return ((const struct stream *)object)->length; }

static void digest_numbers(struct digest *d, const uint64_t *numbers, size_t count) {
    digest_add(d, slice_of(numbers, count * sizeof *numbers));
}

static void stream_digest(const void *object, struct digest *d) {
    const struct stream *s = object;
    struct tstream_iterator it;
    const uint64_t head[] = {s->length,         s->entries_added,   s->first.ms,
                             s->first.seq,      s->last.ms,         s->last.seq,
                             s->max_deleted.ms, s->max_deleted.seq, s->groups.count};
    digest_numbers(d, head, sizeof head / sizeof head[0]);
    tstream_iterate(&it, s, STREAM_ID_MIN, STREAM_ID_MAX, false);
    while (tstream_next(&it)) {
        struct stream_entry e = it.entry;
        digest_numbers(d, (const uint64_t[]){e.id.ms, e.id.seq, e.fields}, 3);
        while (e.left > 0) {
            const uint8_t *field, *value;
            char scratch[NUM_I64_TEXT_MAX];
            stream_entry_pair(&e, &field, &value);
            digest_add(d, listpack_text(field, scratch));
            digest_add(d, listpack_text(value, scratch));
        }
    }
    tstream__digest_groups(s, d);
}

/** Whether the nodes are well-formed; adds up their entries and bytes. */
static bool nodes_are_valid(const struct stream *s, uint64_t *length, size_t *memory) {
    if (!idmap_is_valid(&s->nodes)) return false;
    struct stream_id last = STREAM_ID_MIN;
    for (struct idmap_place p = idmap_first(&s->nodes); p.leaf != NULL; idmap_next(&p)) {
        const struct stream_node *n = node_at(p);
        struct stream_entry e;
        struct stream_id base = idmap_at(p)->id;
        if (!stream_node_is_valid(n, base) || !stream_node_last(n, base, &e)) return false;
        if (n->live == 0) return false;
        if (p.leaf != s->nodes.first && !stream_id_less(last, base)) return false;
        last = e.id;
        *length += n->live;
        *memory += stream_node_memory(n);
    }
    return !stream_id_less(s->last, last);
}

static bool stream_is_valid(const void *object) {
    const struct stream *s = object;
    uint64_t length = 0;
    size_t memory = mem_usable(s) + s->nodes.memory;
    if (!nodes_are_valid(s, &length, &memory) || length != s->length) return false;
    if (!tstream__groups_are_valid(s, &memory) || memory != s->memory) return false;
    struct stream sought = *s;
    find_first(&sought, STREAM_ID_MIN);
    if (s->length == 0 && stream_id_equal(s->first, STREAM_ID_MAX)) return true;
    return stream_id_equal(sought.first, s->first);
}

const struct value_ops tstream_ops = {
    .type = ENTRY_STREAM,
    .name = "stream",
    .free = stream_free,
    .copy = stream_copy,
    .memory = stream_memory,
    .length = stream_length,
    .digest = stream_digest,
    .is_valid = stream_is_valid,
};
