// SPDX-License-Identifier: BSD-3-Clause
//
// Groups, consumers and pending entries, after t_stream.c of Redis 7.2 in what counts as read.
// Names are arrays of pointers in the order of the names: there are few groups, and thousands of
// consumers at most, so that an insertion moves some KiB. Whoever owns the stream runs it.
// Invariant: every byte that is allocated or freed here is added to or taken off stream->memory.
// Called by the stream commands and by t_stream.c.
#include "engine/types/t_stream_group.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"

// ---- names -------------------------------------------------------------------------------------

/** Where the name is, or belongs. */
static uint32_t names_rank(const struct stream_names *names, struct slice name, bool *found) {
    uint32_t low = 0, high = names->count;
    *found = false;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        int order = slice_compare(names->at[middle]->name, name);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void *names_find(const struct stream_names *names, struct slice name) {
    bool found;
    uint32_t at = names_rank(names, name, &found);
    return found ? names->at[at] : NULL;
}

static void names_add(struct stream *s, struct stream_names *names, struct stream_named *named) {
    bool found;
    uint32_t at = names_rank(names, named->name, &found);
    ASSERT(!found);
    if (names->count == names->room) {
        size_t room = names->room + names->room / 4 + 2;
        if (names->at != NULL) s->memory -= mem_usable(names->at);
        names->at = mem_realloc(names->at, room * sizeof *names->at);
        names->room = (uint32_t)room;
        s->memory += mem_usable(names->at);
    }
    memmove(&names->at[at + 1], &names->at[at], (names->count - at) * sizeof *names->at);
    names->at[at] = named;
    names->count++;
}

static void names_fini(struct stream *s, struct stream_names *names) {
    if (names->at != NULL) s->memory -= mem_usable(names->at);
    mem_free(names->at);
    *names = (struct stream_names){0};
}

static void names_remove(struct stream *s, struct stream_names *names, struct slice name) {
    bool found;
    uint32_t at = names_rank(names, name, &found);
    ASSERT(found);
    names->count--;
    memmove(&names->at[at], &names->at[at + 1], (names->count - at) * sizeof *names->at);
    if (names->count == 0) names_fini(s, names);
}

/** A zeroed block that begins with a name, which stands behind `size` bytes. */
static void *named_new(struct stream *s, size_t size, struct slice name) {
    char *block = mem_calloc(size + name.n);
    if (name.n > 0) memcpy(block + size, name.p, name.n);
    ((struct stream_named *)block)->name = slice_of(block + size, name.n);
    s->memory += mem_usable(block);
    return block;
}

static void block_free(struct stream *s, void *block) {
    s->memory -= mem_usable(block);
    mem_free(block);
}

// ---- pending entries ---------------------------------------------------------------------------

struct stream_pending *tstream_pending(const struct stream_group *g, struct stream_id id) {
    return idmap_find(&g->pending, id);
}

static void pending_map(struct stream *s, struct idmap *map, struct stream_id id,
                        struct stream_pending *p) {
    size_t before = map->memory;
    void *there = idmap_add(map, id, p);
    ASSERT(there == NULL);
    s->memory += map->memory - before;
}

static struct stream_pending *pending_unmap(struct stream *s, struct idmap *map,
                                            struct stream_id id) {
    size_t before = map->memory;
    struct stream_pending *p = idmap_remove(map, id);
    s->memory -= before - map->memory;
    return p;
}

struct stream_pending *tstream_pending_give(struct stream *s, struct stream_group *g,
                                            struct stream_id id, struct stream_consumer *c) {
    struct stream_pending *p = idmap_find(&g->pending, id);
    if (p == NULL) {
        p = mem_calloc(sizeof *p);
        s->memory += mem_usable(p);
        pending_map(s, &g->pending, id, p);
    } else if (p->consumer == c) {
        return p;
    } else {
        pending_unmap(s, &p->consumer->pending, id);
    }
    p->consumer = c;
    pending_map(s, &c->pending, id, p);
    return p;
}

bool tstream_pending_remove(struct stream *s, struct stream_group *g, struct stream_id id) {
    struct stream_pending *p = pending_unmap(s, &g->pending, id);
    if (p == NULL) return false;
    pending_unmap(s, &p->consumer->pending, id);
    block_free(s, p);
    return true;
}

// ---- from a snapshot ---------------------------------------------------------------------------

struct stream_pending *tstream_load_pending(struct stream *s, struct stream_group *g,
                                            struct stream_id id) {
    struct stream_pending *p = mem_calloc(sizeof *p);
    size_t before = g->pending.memory;
    if (idmap_add(&g->pending, id, p) != NULL) {
        mem_free(p);
        return NULL;
    }
    s->memory += mem_usable(p) + g->pending.memory - before;
    return p;
}

bool tstream_load_owner(struct stream *s, const struct stream_group *g, struct stream_consumer *c,
                        struct stream_id id) {
    struct stream_pending *p = idmap_find(&g->pending, id);
    if (p == NULL || p->consumer != NULL) return false;
    p->consumer = c;
    pending_map(s, &c->pending, id, p);
    return true;
}

bool tstream_load_group_end(const struct stream_group *g) {
    size_t owned = 0;
    for (uint32_t i = 0; i < g->consumers.count; i++)
        owned += tstream_consumer_at(g, i)->pending.count;
    return owned == g->pending.count;
}

// ---- consumers ---------------------------------------------------------------------------------

struct stream_consumer *tstream_consumer(const struct stream_group *g, struct slice name) {
    return names_find(&g->consumers, name);
}

struct stream_consumer *tstream_consumer_add(struct stream *s, struct stream_group *g,
                                             struct slice name, int64_t now_ms) {
    struct stream_consumer *c = named_new(s, sizeof *c, name);
    c->seen_ms = now_ms;
    c->active_ms = -1;
    names_add(s, &g->consumers, &c->named);
    return c;
}

/** Frees a consumer; its pending entries are the group's. */
static void consumer_free(struct stream *s, struct stream_consumer *c) {
    s->memory -= c->pending.memory;
    idmap_fini(&c->pending, NULL);
    block_free(s, c);
}

void tstream_consumer_remove(struct stream *s, struct stream_group *g, struct stream_consumer *c) {
    for (struct idmap_place p = idmap_first(&c->pending); p.leaf != NULL; idmap_next(&p))
        block_free(s, pending_unmap(s, &g->pending, idmap_at(p)->id));
    names_remove(s, &g->consumers, c->named.name);
    consumer_free(s, c);
}

// ---- groups ------------------------------------------------------------------------------------

struct stream_group *tstream_group(const struct stream *s, struct slice name) {
    return names_find(&s->groups, name);
}

struct stream_group *tstream_group_add(struct stream *s, struct slice name, struct stream_id last,
                                       int64_t entries_read) {
    struct stream_group *g = named_new(s, sizeof *g, name);
    g->last = last;
    g->entries_read = entries_read;
    names_add(s, &s->groups, &g->named);
    return g;
}

static void group_free(struct stream *s, struct stream_group *g) {
    for (uint32_t i = 0; i < g->consumers.count; i++) consumer_free(s, tstream_consumer_at(g, i));
    names_fini(s, &g->consumers);
    for (struct idmap_place p = idmap_first(&g->pending); p.leaf != NULL; idmap_next(&p))
        block_free(s, tstream_pending_at(p));
    s->memory -= g->pending.memory;
    idmap_fini(&g->pending, NULL);
    block_free(s, g);
}

void tstream_group_remove(struct stream *s, struct stream_group *g) {
    names_remove(s, &s->groups, g->named.name);
    group_free(s, g);
}

bool tstream_group_lag(const struct stream *s, const struct stream_group *g, int64_t *lag) {
    int64_t read = 0;
    if (s->entries_added > 0) {
        read = g->entries_read;
        if (read < 0 || tstream_has_gaps(s, g->last)) read = tstream_reads_at(s, g->last);
        if (read < 0) return false;
    }
    *lag = (int64_t)(s->entries_added - (uint64_t)read);
    return true;
}

void tstream_group_advance(const struct stream *s, struct stream_group *g, struct stream_id id) {
    if (g->entries_read >= 0 && !tstream_has_gaps(s, id))
        g->entries_read += g->entries_read < INT64_MAX;
    else if (s->entries_added > 0)
        g->entries_read = tstream_reads_at(s, id);
    g->last = id;
}

// ---- the whole ---------------------------------------------------------------------------------

void tstream__free_groups(struct stream *s) {
    for (uint32_t i = 0; i < s->groups.count; i++) group_free(s, tstream_group_at(s, i));
    names_fini(s, &s->groups);
}

static void copy_consumer(struct stream *s, struct stream_group *g,
                          const struct stream_consumer *from) {
    struct stream_consumer *c = tstream_consumer_add(s, g, from->named.name, from->seen_ms);
    c->active_ms = from->active_ms;
    for (struct idmap_place at = idmap_first(&from->pending); at.leaf != NULL; idmap_next(&at)) {
        struct stream_pending *p = tstream_pending_give(s, g, idmap_at(at)->id, c);
        p->delivered_ms = tstream_pending_at(at)->delivered_ms;
        p->deliveries = tstream_pending_at(at)->deliveries;
    }
}

void tstream__copy_groups(struct stream *s, const struct stream *from) {
    for (uint32_t i = 0; i < from->groups.count; i++) {
        const struct stream_group *group = tstream_group_at(from, i);
        struct stream_group *g =
            tstream_group_add(s, group->named.name, group->last, group->entries_read);
        for (uint32_t j = 0; j < group->consumers.count; j++)
            copy_consumer(s, g, tstream_consumer_at(group, j));
    }
}

/** What replication keeps of a group: not when its consumers were seen. */
static void digest_group(const struct stream_group *g, struct digest *d) {
    const uint64_t head[] = {g->last.ms, g->last.seq, (uint64_t)g->entries_read, g->consumers.count,
                             g->pending.count};
    digest_add(d, g->named.name);
    digest_add(d, slice_of(head, sizeof head));
    for (uint32_t i = 0; i < g->consumers.count; i++) digest_add(d, g->consumers.at[i]->name);
    for (struct idmap_place at = idmap_first(&g->pending); at.leaf != NULL; idmap_next(&at)) {
        const struct stream_pending *p = tstream_pending_at(at);
        const uint64_t numbers[] = {idmap_at(at)->id.ms, idmap_at(at)->id.seq,
                                    (uint64_t)p->delivered_ms, (uint64_t)p->deliveries};
        digest_add(d, slice_of(numbers, sizeof numbers));
        digest_add(d, p->consumer->named.name);
    }
}

void tstream__digest_groups(const struct stream *s, struct digest *d) {
    for (uint32_t i = 0; i < s->groups.count; i++) digest_group(tstream_group_at(s, i), d);
}

static bool names_are_valid(const struct stream_names *names, size_t *memory) {
    if (names->count > names->room || (names->at == NULL) != (names->count == 0)) return false;
    if (names->at != NULL) *memory += mem_usable(names->at);
    for (uint32_t i = 0; i < names->count; i++) {
        if (i > 0 && slice_compare(names->at[i - 1]->name, names->at[i]->name) >= 0) return false;
        *memory += mem_usable(names->at[i]);
    }
    return true;
}

static bool group_is_valid(const struct stream_group *g, size_t *memory) {
    size_t pending = 0;
    if (!names_are_valid(&g->consumers, memory) || !idmap_is_valid(&g->pending)) return false;
    if (g->entries_read < -1) return false;
    *memory += g->pending.memory;
    for (uint32_t i = 0; i < g->consumers.count; i++) {
        const struct stream_consumer *c = tstream_consumer_at(g, i);
        if (!idmap_is_valid(&c->pending)) return false;
        *memory += c->pending.memory;
        pending += c->pending.count;
        for (struct idmap_place p = idmap_first(&c->pending); p.leaf != NULL; idmap_next(&p)) {
            if (tstream_pending_at(p)->consumer != c) return false;
            if (tstream_pending(g, idmap_at(p)->id) != tstream_pending_at(p)) return false;
            *memory += mem_usable(tstream_pending_at(p));
        }
    }
    return pending == g->pending.count;
}

bool tstream__groups_are_valid(const struct stream *s, size_t *memory) {
    if (!names_are_valid(&s->groups, memory)) return false;
    for (uint32_t i = 0; i < s->groups.count; i++)
        if (!group_is_valid(tstream_group_at(s, i), memory)) return false;
    return true;
}
