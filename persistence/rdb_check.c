// SPDX-License-Identifier: BSD-3-Clause
//
// The dry run. Keys that have been seen are kept as two 64-bit hashes under different seeds, of
// database and key, in one table with open addressing: two keys that agree in both are taken for
// one. Runs on its caller's thread. Invariant: the table is at most half full. Called by
// shards/loading_thread.c before a file replaces what there is.
#include "persistence/rdb_check.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/hash.h"
#include "engine/rdb/rdb_load.h"

#define STEP_BYTES ((size_t)1024 * 1024) // of a large value, between two times memory is given back

struct mark {
    uint64_t a, b; // both 0: free
};

struct seen {
    struct mark *marks;
    uint64_t count, size; // size: a power of two, or 0
};

struct run {
    struct rdb_check *check;
    struct rdb_load load;
    struct seen seen;
};

// ---- keys that have been seen ------------------------------------------------------------------

/** The place of a mark, or the free one where it belongs. */
static struct mark *seen_find(const struct seen *seen, struct mark mark) {
    uint64_t at = mark.a & (seen->size - 1);
    for (;; at = (at + 1) & (seen->size - 1)) {
        struct mark *m = &seen->marks[at];
        if ((m->a | m->b) == 0 || (m->a == mark.a && m->b == mark.b)) return m;
    }
}

static void seen_grow(struct seen *seen) {
    struct seen old = *seen;
    seen->size = old.size ? old.size * 2 : 1024;
    seen->marks = mem_calloc(seen->size * sizeof *seen->marks);
    for (uint64_t i = 0; i < old.size; i++)
        if ((old.marks[i].a | old.marks[i].b) != 0) *seen_find(seen, old.marks[i]) = old.marks[i];
    mem_free(old.marks);
}

/** Notes a key. False: it had been noted before. */
static bool seen_add(struct seen *seen, uint32_t db, struct slice key) {
    if (seen->count * 2 >= seen->size) seen_grow(seen);
    struct mark mark = {hash_bytes(key.p, key.n, db), hash_bytes(key.p, key.n, ~(uint64_t)db)};
    if ((mark.a | mark.b) == 0) mark.b = 1;
    struct mark *m = seen_find(seen, mark);
    if ((m->a | m->b) != 0) return false;
    *m = mark;
    seen->count++;
    return true;
}

// ---- records -----------------------------------------------------------------------------------

/** Makes the record's value, and frees it; what it is made of goes meanwhile if it is in `blob`. */
static enum rdb_loaded make(struct run *run, const struct rdb_record *r, struct rdb_in *in,
                            struct blob *blob) {
    struct rdb_loading loading;
    struct entry *e = NULL;
    enum rdb_loaded result;
    run->load.dialect = run->check->feed.reader.dialect;
    run->load.source = blob;
    rdb_in_init(in, r->value.p, r->value.n, r->offset);
    rdb_load_begin(&loading, r->type);
    while ((result = rdb_load_step(&run->load, &loading, in, blob ? STEP_BYTES : SIZE_MAX, r->key,
                                   r->expire_ms, &e)) == RDB_LOAD_MORE)
        blob_forget(blob, r->value.p, (const char *)in->at);
    if (e != NULL) entry_free(e);
    return result;
}

static bool look_at(struct run *run, const struct rdb_record *r, struct blob *blob) {
    struct rdb_feed *feed = &run->check->feed;
    struct rdb_in in;
    switch (make(run, r, &in, blob)) {
    case RDB_LOADED: break;
    case RDB_LOAD_EMPTY: return true;
    case RDB_LOAD_UNKNOWN:
        if (feed->skip_unknown) {
            rdb_left_out_add(&feed->left_out, &feed->left_out.keys, r->key);
            return true;
        }
        // fall through
    case RDB_LOAD_MORE: // only of steps
    case RDB_LOAD_FAILED: return rdb_fault_set(&feed->fault, in.error_at, "%s", in.error);
    }
    if (in.at != in.end)
        return rdb_fault_set(&feed->fault, r->offset, "a value does not end where it should");
    if (!seen_add(&run->seen, r->db, r->key))
        return rdb_fault_set(&feed->fault, r->offset, "the key '%.*s' comes twice in database %u",
                             (int)(r->key.n < 100 ? r->key.n : 100), r->key.p, r->db);
    run->check->keys++;
    return true;
}

static bool check_record(void *context, const struct rdb_record *r) {
    struct run *run = context;
    struct rdb_reader *reader = &run->check->feed.reader;
    struct blob *blob = rdb_reader_is_large(reader) ? rdb_reader_take(reader) : NULL;
    bool good = look_at(run, r, blob);
    if (blob != NULL) blob_drop(blob);
    return good;
}

bool rdb_check(struct rdb_check *check) {
    struct run run = {.check = check, .load = {.limits = check->limits}};
    check->keys = 0;
    check->feed.record = check_record;
    check->feed.context = &run;
    bool good = rdb_feed_run(&check->feed);
    rdb_load_fini(&run.load);
    mem_free(run.seen.marks);
    return good;
}
