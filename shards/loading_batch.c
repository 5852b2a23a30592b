// SPDX-License-Identifier: BSD-3-Clause
//
// Batches: records with a fixed head, then key and value, padded to eight bytes. Adding runs on the
// loader's thread, applying on the shard's. Applying looks a few records ahead, so that the loads
// of their buckets overlap. Invariant: `at` is at the beginning of a record, or at the end. Called
// by loading.c and loading_thread.c.
#include "shards/loading_batch.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "engine/keyspace/access.h"

#define AHEAD       16    // records whose buckets are loaded side by side
#define RECORD_COST 128   // bytes that a record counts for beside its own
#define LEAST       32768 // bytes of a value that are made in one step, whatever was before
#define EXPECT      255   // no type: offset is how many keys of the database are to come

/** What stands in front of a record's key and value. */
struct head {
    uint64_t key_bytes, value_bytes;
    uint64_t offset; // of the value in the file
    int64_t expire_ms;
    uint32_t db;
    int32_t idle_s; // -1: not told
    int16_t freq;   // the same
    uint8_t type;
    bool large; // the value is not here
};

// ---- batches -----------------------------------------------------------------------------------

struct loading_batch *loading_batch_new(void) {
    return mem_calloc(sizeof(struct loading_batch));
}

static void drop_large(struct loading_batch *b) {
    if (b->large) blob_drop(b->large);
    b->large = NULL;
}

void loading_batch_clear(struct loading_batch *b) {
    drop_large(b);
    b->next = NULL;
    b->at = b->bytes.len = 0;
}

void loading_batch_free(struct loading_batch *b) {
    if (!b) return;
    drop_large(b);
    buf_free(&b->bytes);
    mem_free(b);
}

static size_t padded(size_t n) { return (n + 7) & ~(size_t)7; }

static size_t record_bytes(const struct head *head) {
    size_t value_bytes = head->large ? 0 : head->value_bytes;
    return padded(sizeof *head + head->key_bytes + value_bytes);
}

void loading_batch_expect(struct loading_batch *b, uint32_t db, uint64_t keys) {
    struct head head = {.offset = keys, .db = db, .type = EXPECT};
    memcpy(buf_reserve(&b->bytes, padded(sizeof head)), &head, sizeof head);
    b->bytes.len += padded(sizeof head);
}

static void add(struct loading_batch *b, const struct rdb_record *r, bool large) {
    struct head head = {.key_bytes = r->key.n,
                        .value_bytes = r->value.n,
                        .offset = r->offset,
                        .expire_ms = r->expire_ms,
                        .db = r->db,
                        .idle_s = r->idle_s > INT32_MAX ? INT32_MAX : (int32_t)r->idle_s,
                        .freq = r->freq > ACCESS_LFU_MAX ? ACCESS_LFU_MAX : (int16_t)r->freq,
                        .type = r->type,
                        .large = large};
    size_t bytes = record_bytes(&head);
    char *p = buf_reserve(&b->bytes, bytes);
    memcpy(p, &head, sizeof head);
    if (r->key.n > 0) memcpy(p + sizeof head, r->key.p, r->key.n);
    if (r->value.n > 0 && !large) memcpy(p + sizeof head + r->key.n, r->value.p, r->value.n);
    b->bytes.len += bytes;
}

void loading_batch_add(struct loading_batch *b, const struct rdb_record *r) {
    ASSERT(!b->large);
    add(b, r, false);
}

void loading_batch_add_large(struct loading_batch *b, const struct rdb_record *r,
                             struct blob *from) {
    ASSERT(!b->large && blob_has(from, r->value));
    size_t at = (size_t)(r->value.p - from->bytes);
    add(b, r, true);
    from->len = at + r->value.n; // without what had been read beyond
    b->large = blob_resize(from, from->len);
    b->value = b->large->bytes + at;
}

// ---- one record --------------------------------------------------------------------------------

/** A record whose turn comes soon. */
struct ahead {
    const struct head *head;
    struct key key;
};

static struct slice value_of(const struct loading_batch *b, const struct ahead *r) {
    const char *p = unlikely(r->head->large) ? b->value : r->key.text.p + r->key.text.n;
    return slice_of(p, r->head->value_bytes);
}

void loading_apply_fini(struct loading_apply *a) {
    if (a->half_made) rdb_load_give_up(&a->loading);
    a->half_made = false;
    rdb_load_fini(&a->load);
}

/** What was known of the key's use, as far as the policy in force can use it. */
static uint32_t access_of(const struct loading_apply *a, const struct head *head) {
    if (a->lfu)
        return head->freq < 0 ? access_lfu_new(a->now_ms)
                              : access_minutes(a->now_ms) << 8 | (uint32_t)head->freq;
    uint32_t now = access_lru(a->now_ms);
    return head->idle_s < 0 ? now : (now - (uint32_t)head->idle_s) & 0xffffff;
}

/** Puts the entry in its place. False: the key is there already. */
static bool put(struct loading_apply *a, const struct ahead *r, struct entry *e) {
    struct db *db = &a->keyspace->dbs[r->head->db];
    struct table_ref ref = db_find(db, r->key);
    if (ref.entry) {
        if (!a->replace) {
            entry_free(e);
            return rdb_fault_set(
                &a->fault, r->head->offset, "the key '%.*s' comes twice in database %u",
                (int)(r->key.text.n < 100 ? r->key.text.n : 100), r->key.text.p, r->head->db);
        }
        entry_free(db_detach(db, r->key, ref));
    }
    entry_set_access(e, access_of(a, r->head));
    db_attach(db, r->key, e);
    a->loaded++;
    return true;
}

static enum loading_step done(bool good) { return good ? LOADING_STEP_DONE : LOADING_STEP_FAILED; }

/** The record's entry, as far as the budget goes. */
static enum rdb_loaded make(struct loading_apply *a, struct loading_batch *b, const struct ahead *r,
                            size_t budget, struct entry **e) {
    const struct head *head = r->head;
    if (!a->half_made) {
        struct slice value = value_of(b, r);
        rdb_in_init(&a->in, value.p, value.n, head->offset);
        rdb_load_begin(&a->loading, head->type);
        a->load.source = head->large ? b->large : NULL;
    }
    enum rdb_loaded result =
        rdb_load_step(&a->load, &a->loading, &a->in, budget, r->key.text, head->expire_ms, e);
    a->half_made = result == RDB_LOAD_MORE;
    // A value and what it is made of are not both in memory in the end.
    if (a->half_made && head->large) blob_forget(b->large, b->value, (const char *)a->in.at);
    return result;
}

/** Makes an entry of the record, or a part of it, and keeps it, if it is to be kept. */
static enum loading_step apply(struct loading_apply *a, struct loading_batch *b,
                               const struct ahead *r, size_t budget) {
    const struct head *head = r->head;
    ASSERT(head->db < a->keyspace->ndbs);
    if (unlikely(head->type == EXPECT)) {
        db_expect(&a->keyspace->dbs[head->db], head->offset);
        return LOADING_STEP_DONE;
    }
    struct entry *e = NULL;
    const struct rdb_in *in = &a->in;
    switch (make(a, b, r, budget, &e)) {
    case RDB_LOADED: break;
    case RDB_LOAD_MORE: return LOADING_STEP_MORE;
    case RDB_LOAD_EMPTY: a->empty++; return LOADING_STEP_DONE;
    case RDB_LOAD_UNKNOWN:
        if (a->skip_unknown) {
            rdb_left_out_add(&a->left_out, &a->left_out.keys, r->key.text);
            return LOADING_STEP_DONE;
        }
        return done(rdb_fault_set(&a->fault, in->error_at,
                                  "%s; with rdb-unknown skip the rest is loaded", in->error));
    case RDB_LOAD_FAILED: return done(rdb_fault_set(&a->fault, in->error_at, "%s", in->error));
    }
    if (in->at != in->end) {
        entry_free(e);
        return done(rdb_fault_set(&a->fault, head->offset, "a value does not end where it should"));
    }
    if (head->expire_ms != ENTRY_NO_EXPIRE && head->expire_ms < a->now_ms) {
        entry_free(e);
        a->expired++;
        return LOADING_STEP_DONE;
    }
    return done(put(a, r, e));
}

// ---- steps -------------------------------------------------------------------------------------

/**
 * Finds the records from `at` on, at most AHEAD and until `budget` is used, and starts to load
 * their buckets.
 */
static uint32_t look_ahead(const struct loading_apply *a, const struct loading_batch *b, size_t at,
                           size_t budget, struct ahead *out) {
    uint32_t n = 0;
    for (size_t used = 0; n < AHEAD && at < b->bytes.len && (n == 0 || used < budget); n++) {
        const char *p = b->bytes.p + at;
        const struct head *head = (const struct head *)p;
        size_t bytes = record_bytes(head);
        out[n].head = head;
        out[n].key = key_of(a->keyspace, slice_of(p + sizeof *head, head->key_bytes));
        table_prefetch(&a->keyspace->dbs[head->db].table, out[n].key.hash);
        used += bytes + RECORD_COST;
        at += bytes;
    }
    for (uint32_t i = 0; i < n; i++)
        table_prefetch_entry(&a->keyspace->dbs[out[i].head->db].table, out[i].key.hash);
    return n;
}

enum loading_step loading_apply_step(struct loading_apply *a, struct loading_batch *b,
                                     size_t budget) {
    struct ahead records[AHEAD];
    for (size_t left = budget; left > 0 && b->at < b->bytes.len;) {
        uint32_t n = look_ahead(a, b, b->at, left, records);
        for (uint32_t i = 0; i < n; i++) {
            enum loading_step step = apply(a, b, &records[i], left > LEAST ? left : LEAST);
            if (step != LOADING_STEP_DONE) return step;
            size_t bytes = record_bytes(records[i].head);
            b->at += bytes;
            left -= left > bytes + RECORD_COST ? bytes + RECORD_COST : left;
        }
    }
    return b->at < b->bytes.len ? LOADING_STEP_MORE : LOADING_STEP_DONE;
}
