// SPDX-License-Identifier: BSD-3-Clause
//
// One shard's snapshot: the walk, writing first what changes, and the making of chunks. Runs on the
// thread that has the keyspace: its owner between commands, a visitor, a transaction's coordinator.
// Invariants: an entry of the instant is unmarked exactly until its record is complete; a large
// value that is being written stays as it is until then, because whoever is about to change it
// comes by save() and completes it, and if it goes it becomes ours. Called by shards/snapshot_walk.
#include "persistence/snapshot.h"

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/base/crc64.h"
#include "engine/keyspace/access.h"
#include "persistence/rdb_writer.h"

// Costs in steps of 10 ns.
#define BUCKET_COST  3                   // of looking at a bucket
#define ENTRY_COST   6                   // of writing a small entry, without ...
#define PLAIN_BYTES  24                  // ... what so many of its bytes cost as one step ...
#define PACKED_BYTES 3                   // ... or of those that are compressed
#define LARGE_COST   20                  // of beginning a large value
#define LARGE_MIN    1024                // bytes that are worth a step
#define CHUNK_SPARE  ((size_t)16 * 1024) // room behind SNAPSHOT_CHUNK for the last record
#define LARGE_CHUNK  ((size_t)64 * 1024) // pieces of large values are closed at this size

/** A value that is being written in steps, in chunks of its own. */
struct snapshot_large {
    struct snapshot_large *next;
    struct entry *entry;
    uint32_t db;
    bool orphan;    // it is in no keyspace any more: freed in the end
    bool complete;  // all has been written; somebody is reading the entry just now
    int64_t memory; // of an orphan: on its way out
    struct rdb_saving saving;
    struct snapshot_chunk *first, *last;
    size_t summed; // bytes of the last that are in its sum
};

// ---- chunks ------------------------------------------------------------------------------------

struct snapshot_chunk *snapshot_chunk_of(struct buf *bytes) {
    struct snapshot_chunk *chunk = mem_alloc(sizeof *chunk);
    *chunk = (struct snapshot_chunk){.bytes = *bytes, .crc = crc64(0, bytes->p, bytes->len)};
    *bytes = (struct buf){0};
    return chunk;
}

void snapshot_chunk_free(struct snapshot_chunk *chunk) {
    while (chunk != NULL) {
        struct snapshot_chunk *next = chunk->next;
        buf_free(&chunk->bytes);
        mem_free(chunk);
        chunk = next;
    }
}

static struct snapshot_chunk *chunk_new(size_t room) {
    struct snapshot_chunk *chunk = mem_calloc(sizeof *chunk);
    buf_reserve(&chunk->bytes, room);
    return chunk;
}

static void hand_over(struct snapshot *s, struct snapshot_chunk *chunk) {
    for (const struct snapshot_chunk *c = chunk; c != NULL; c = c->next) s->bytes += c->bytes.len;
    s->options.chunk(s->options.context, chunk);
}

/** Sums what has come since the last time: while it is in the cache, and never much at once. */
static void sum_up(struct snapshot_chunk *chunk, size_t *summed) {
    size_t n = chunk->bytes.len - *summed;
    chunk->crc = crc64(chunk->crc, chunk->bytes.p + *summed, n);
    *summed += n;
}

static void close_chunk(struct snapshot *s) {
    if (s->chunk == NULL) return;
    struct snapshot_chunk *chunk = s->chunk;
    sum_up(chunk, &s->summed);
    s->chunk = NULL;
    hand_over(s, chunk);
}

/** Where a record of this database goes. */
static struct buf *open_chunk(struct snapshot *s, uint32_t db) {
    if (s->chunk == NULL) {
        s->chunk = chunk_new(SNAPSHOT_CHUNK + CHUNK_SPARE);
        s->summed = 0;
    } else if (s->chunk_db == db) {
        return &s->chunk->bytes;
    }
    s->chunk_db = db;
    rdb_write_db(&s->chunk->bytes, db);
    return &s->chunk->bytes;
}

// ---- records -----------------------------------------------------------------------------------

static void write_head(const struct snapshot *s, struct buf *out, const struct entry *e) {
    int64_t idle_s = -1, frequency = -1;
    if (s->options.access == SNAPSHOT_IDLE_TIME) idle_s = access_idle_s(entry_access(e), s->now_ms);
    if (s->options.access == SNAPSHOT_FREQUENCY)
        frequency = access_frequency(entry_access(e), s->now_ms, s->options.lfu_decay_time);
    rdb_write_record_head(out, &s->options.save, e, idle_s, frequency);
}

/** Whether the version can express the value; if not, nothing is worth writing any more. */
static bool is_expressible(struct snapshot *s, const struct entry *e) {
    if (likely(e->encoding <= ENC_BLOB)) return true;
    const char *obstacle = rdb_save_obstacle(e, &s->options.save);
    if (likely(obstacle == NULL)) return true;
    snapshot_discard(s);
    s->obstacle = obstacle;
    return false;
}

/** Writes a small entry. Returns the record's length. */
static size_t write_small(struct snapshot *s, uint32_t db, const struct entry *e) {
    if (!is_expressible(s, e)) return 0;
    struct buf *out = open_chunk(s, db);
    size_t start = out->len;
    write_head(s, out, e);
    rdb_save_value(out, e, &s->options.save);
    size_t length = out->len - start;
    s->written++;
    if (out->len >= SNAPSHOT_CHUNK) close_chunk(s);
    return length;
}

// ---- large values ------------------------------------------------------------------------------

static struct snapshot_large *find_large(const struct snapshot *s, const struct entry *e) {
    struct snapshot_large *large = s->larges;
    while (large != NULL && large->entry != e) large = large->next;
    return large;
}

static struct snapshot_large **place_of(struct snapshot *s, const struct snapshot_large *large) {
    struct snapshot_large **at = &s->larges;
    while (*at != large) at = &(*at)->next;
    return at;
}

/** Begins to write a large value, as the first in turn or behind those begun before. */
static struct snapshot_large *begin_large(struct snapshot *s, uint32_t db, struct entry *e,
                                          bool first) {
    if (!is_expressible(s, e)) return NULL;
    struct snapshot_large *large = mem_calloc(sizeof *large);
    struct snapshot_large **at = first ? &s->larges : place_of(s, NULL);
    large->next = *at;
    *at = large;
    large->entry = e;
    large->db = db;
    large->first = large->last = chunk_new(LARGE_CHUNK + CHUNK_SPARE);
    rdb_write_db(&large->last->bytes, db);
    write_head(s, &large->last->bytes, e);
    rdb_saving_begin(&large->saving, e, &s->options.save);
    return large;
}

/** Takes it off the list and frees what it holds. */
static void drop_large(struct snapshot *s, struct snapshot_large *large) {
    *place_of(s, large) = large->next;
    snapshot_chunk_free(large->first);
    rdb_saving_end(&large->saving);
    if (large->orphan) {
        keyspace_free_entry(s->keyspace, large->entry);
        mem_left(large->memory);
    }
    mem_free(large);
}

/** All of it is written: marks the entry, unless somebody is reading it; hands the record over. */
static void complete_large(struct snapshot *s, struct snapshot_large *large, bool may_mark) {
    large->complete = true;
    if (!may_mark && !large->orphan && s->busy != NULL &&
        s->busy(s->busy_context, large->db, large->entry))
        return;
    if (!large->orphan) keyspace_mark_saved(s->keyspace, large->entry);
    hand_over(s, large->first);
    large->first = NULL;
    s->written++;
    drop_large(s, large);
}

/** Writes about so many bytes more of it. True: there is more to write. */
static bool step_large(struct snapshot_large *large, size_t bytes) {
    if (large->last->bytes.len >= LARGE_CHUNK) {
        large->last->next = chunk_new(LARGE_CHUNK + CHUNK_SPARE);
        large->last = large->last->next;
        large->summed = 0;
    }
    struct buf *out = &large->last->bytes;
    bool more = rdb_saving_step(&large->saving, out, bytes);
    sum_up(large->last, &large->summed);
    return more;
}

/** Writes all that is left of it, at once. */
static void finish_large(struct snapshot *s, struct snapshot_large *large) {
    while (!large->complete && step_large(large, LARGE_CHUNK)) {
    }
    complete_large(s, large, true);
}

static struct snapshot_large *next_large(const struct snapshot *s) {
    struct snapshot_large *large = s->larges;
    while (large != NULL && large->complete) large = large->next;
    return large;
}

// ---- what the keyspace tells -------------------------------------------------------------------

/** An entry that goes, and is large, is kept until it has been written. */
static bool keep(struct snapshot *s, uint32_t db, struct entry *e, struct snapshot_large *large) {
    if (large == NULL) large = begin_large(s, db, e, false);
    if (large == NULL) return false;
    large->orphan = true;
    large->memory = (int64_t)entry_memory(e);
    mem_leave(large->memory);
    if (large->complete) complete_large(s, large, true);
    return true;
}

static bool save(void *context, uint32_t db, struct entry *e, bool goes) {
    struct snapshot *s = context;
    if (s->discarding) return false;
    struct snapshot_large *large = find_large(s, e);
    bool is_large = large != NULL || entry_is_large(e);
    if (goes && is_large) return keep(s, db, e, large);
    if (is_large && large == NULL) large = begin_large(s, db, e, true);
    if (large != NULL)
        finish_large(s, large);
    else if (!s->discarding)
        write_small(s, db, e);
    return false;
}

// ---- the walk ----------------------------------------------------------------------------------

/** How many bytes of values are written in one step of the budget. */
static size_t step_bytes(const struct snapshot *s) {
    return s->options.save.compress ? PACKED_BYTES : PLAIN_BYTES;
}

struct visit {
    struct snapshot *snapshot;
    uint32_t db;
    uint32_t cost;
};

static void visit(void *context, struct entry *e) {
    struct visit *v = context;
    struct snapshot *s = v->snapshot;
    if (!keyspace_is_unsaved(s->keyspace, e)) return;
    if (s->busy != NULL && s->busy(s->busy_context, v->db, e)) return;
    bool is_large = !s->discarding && entry_is_large(e);
    if (is_large) {
        if (find_large(s, e) == NULL) begin_large(s, v->db, e, false);
        v->cost += LARGE_COST;
        if (!s->discarding) return;
    }
    if (!s->discarding)
        v->cost += ENTRY_COST + (uint32_t)(write_small(s, v->db, e) / step_bytes(s));
    keyspace_mark_saved(s->keyspace, e);
}

/** The database that the walk goes on with; NULL: it has been everywhere. */
static struct db *walked_db(struct snapshot *s) {
    struct keyspace *ks = s->keyspace;
    if (likely(!ks->dbs[s->walking].saving.walked)) return &ks->dbs[s->walking];
    for (uint32_t i = 0; i < ks->ndbs; i++) {
        if (ks->dbs[i].saving.walked) continue;
        s->walking = i;
        return &ks->dbs[i];
    }
    return NULL;
}

static uint32_t spend(uint32_t budget, size_t cost) {
    return budget > cost ? budget - (uint32_t)cost : 0;
}

static uint32_t walk(struct snapshot *s, struct db *db, uint32_t budget) {
    struct visit v = {.snapshot = s, .db = db->saving.index, .cost = BUCKET_COST};
    bool discarding = s->discarding;
    table_scan_prefetch(&db->table, db->saving.cursor);
    uint64_t next = table_scan(&db->table, db->saving.cursor, visit, &v);
    if (discarding == s->discarding) { // or all walks are at their beginning now
        db->saving.cursor = next;
        db->saving.walked = next == 0;
    }
    return spend(budget, v.cost);
}

static uint32_t go_on_with_large(struct snapshot *s, struct snapshot_large *large,
                                 uint32_t budget) {
    size_t bytes = (size_t)budget * step_bytes(s);
    if (step_large(large, bytes < LARGE_MIN ? LARGE_MIN : bytes)) return 0;
    complete_large(s, large, false);
    return spend(budget, budget / 2); // what the end of it took
}

bool snapshot_step(struct snapshot *s, int64_t now_ms, uint32_t *budget) {
    s->now_ms = now_ms;
    struct db *db = NULL;
    while (*budget > 0) {
        struct snapshot_large *large = next_large(s);
        if (large != NULL)
            *budget = go_on_with_large(s, large, *budget);
        else if ((db = walked_db(s)) != NULL)
            *budget = walk(s, db, *budget);
        else
            break;
    }
    if (s->chunk != NULL) sum_up(s->chunk, &s->summed);
    return next_large(s) != NULL || walked_db(s) != NULL;
}

void snapshot_write(struct snapshot *s, uint32_t db, struct entry *e) {
    if (!keyspace_is_unsaved(s->keyspace, e)) return;
    struct snapshot_large *large = find_large(s, e);
    if (large != NULL && large->complete) {
        complete_large(s, large, true);
    } else if (large != NULL) {
        *place_of(s, large) = large->next;
        large->next = s->larges;
        s->larges = large;
    } else if (s->discarding || !entry_is_large(e)) {
        if (!s->discarding) write_small(s, db, e);
        keyspace_mark_saved(s->keyspace, e);
    } else {
        begin_large(s, db, e, true);
    }
}

bool snapshot_is_due(const struct snapshot *s, const struct entry *e) {
    return keyspace_is_unsaved(s->keyspace, e) && !s->discarding && entry_is_large(e);
}

// ---- beginning and end -------------------------------------------------------------------------

void snapshot_begin(struct snapshot *s, struct keyspace *ks, const struct snapshot_options *options,
                    int64_t now_ms) {
    *s = (struct snapshot){.keyspace = ks, .options = *options, .now_ms = now_ms};
    const struct keyspace_saver saver = {.context = s, .save = save};
    keyspace_begin_saving(ks, &saver);
    for (uint32_t i = 0; i < ks->ndbs; i++) s->keys += db_count(&ks->dbs[i]);
}

bool snapshot_is_complete(const struct snapshot *s) {
    const struct keyspace *ks = s->keyspace;
    if (s->larges != NULL || (!s->discarding && keyspace_flushed_unsaved(ks))) return false;
    for (uint32_t i = 0; i < ks->ndbs; i++)
        if (!ks->dbs[i].saving.walked) return false;
    return true;
}

void snapshot_discard(struct snapshot *s) {
    s->discarding = true;
    snapshot_chunk_free(s->chunk);
    s->chunk = NULL;
    while (s->larges != NULL) drop_large(s, s->larges);
    // What has been begun was left unmarked on the way.
    for (uint32_t i = 0; i < s->keyspace->ndbs; i++) {
        struct db_saving *saving = &s->keyspace->dbs[i].saving;
        if (saving->index == UINT32_MAX) continue;
        saving->walked = false;
        saving->cursor = 0;
    }
}

bool snapshot_end(struct snapshot *s) {
    ASSERT(snapshot_is_complete(s));
    close_chunk(s);
    keyspace_end_saving(s->keyspace);
    ASSERT_DEV(keyspace_is_valid(s->keyspace));
    ASSERT_DEV(s->discarding || s->written == s->keys);
    return s->written == s->keys;
}

void snapshot_abandon(struct snapshot *s) {
    snapshot_discard(s);
    keyspace_end_saving(s->keyspace);
}
