// SPDX-License-Identifier: BSD-3-Clause
//
// Walking a shard's table for the keys of one slot. Each step is a transaction over the whole own
// shard, as SCAN's are: then no key is away with another transaction. A timer leads to the next
// step in a later pass. Runs on the connection's shard. Invariant: the walk is the connection's
// work from its beginning to its reply, either itself or by the transaction of a step. Cost: one
// look at every key of the shard, a CRC16 of each, and 8 bytes for each key counted.
#include "shards/cluster_keys.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/hash.h"
#include "shards/transaction.h"

#define STEP_BUCKETS 512 // some 3,000 keys: about 100 us

/** A key that was found; without its text when it is only counted. */
struct found_key {
    uint64_t hash;
    size_t text, length; // in `texts`
};

struct slot_walk {
    struct work work; // between two steps; first member
    struct timer timer;
    struct connection *connection;
    uint16_t slot;
    bool list;
    uint64_t limit;
    uint64_t position; // of table_scan()
    const struct keyspace *keyspace;
    int64_t now_ms;
    struct found_key *keys;
    size_t count, cap;
    struct buf texts;
};

static void start_step(struct slot_walk *walk);

static void visit(void *context, struct entry *e) {
    struct slot_walk *walk = context;
    struct slice text = entry_key(e);
    if (hash_slot(text) != walk->slot) return;
    int64_t expire_ms = entry_expire_ms(e);
    if (expire_ms != ENTRY_NO_EXPIRE && expire_ms < walk->now_ms) return;
    if (walk->count == walk->cap) {
        walk->cap = walk->cap ? walk->cap * 2 : 64;
        walk->keys = mem_realloc(walk->keys, walk->cap * sizeof *walk->keys);
    }
    struct found_key *found = &walk->keys[walk->count++];
    *found = (struct found_key){key_of(walk->keyspace, text).hash, walk->texts.len, text.n};
    if (walk->list) buf_append(&walk->texts, text.p, text.n);
}

static int compare(const void *a, const void *b) {
    const struct found_key *x = a, *y = b;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

/** Drops what was visited twice because the table has shrunk in between. */
static void remove_duplicates(struct slot_walk *walk) {
    if (walk->count < 2) return;
    qsort(walk->keys, walk->count, sizeof *walk->keys, compare);
    size_t kept = 1;
    for (size_t i = 1; i < walk->count; i++)
        if (walk->keys[i].hash != walk->keys[kept - 1].hash) walk->keys[kept++] = walk->keys[i];
    walk->count = kept;
}

static void write_reply(const struct slot_walk *walk, struct reply *r) {
    if (!walk->list) {
        reply_int(r, (int64_t)walk->count);
        return;
    }
    size_t n = walk->count < walk->limit ? walk->count : walk->limit;
    reply_array(r, n);
    for (size_t i = 0; i < n; i++)
        reply_bulk(r, walk->texts.p + walk->keys[i].text, walk->keys[i].length);
}

/** Goes on from the timer: hands the connection's work over to the transaction of the next step. */
static void next_step(struct timer *timer) {
    struct slot_walk *walk =
        (struct slot_walk *)((char *)timer - offsetof(struct slot_walk, timer));
    connection_work_done(walk->connection, "", 0);
    start_step(walk);
}

static void run_step(struct transaction *t, void *context) {
    struct slot_walk *walk = context;
    struct connection *conn = walk->connection;
    struct shard *s = conn->shard;
    struct buf bytes = {0};
    walk->keyspace = transaction_view(t)->only;
    walk->now_ms = transaction_now_ms(t);
    const struct table *table = &walk->keyspace->dbs[0].table;
    int buckets = 0;
    do {
        walk->position = table_scan(table, walk->position, visit, walk);
    } while (walk->position != 0 && ++buckets < STEP_BUCKETS);
    bool ends = walk->position == 0 || conn->closing;
    if (ends || (walk->list && walk->count >= walk->limit)) remove_duplicates(walk);
    if (!ends && !(walk->list && walk->count >= walk->limit)) {
        transaction_finish(t, &bytes);
        connection_work_begin(conn, &walk->work);
        timers_set(&s->timers, &walk->timer, s->now_ns + 1, next_step); // not in this pass
        return;
    }
    struct reply r;
    reply_init(&r, &bytes, conn->proto);
    write_reply(walk, &r);
    transaction_finish(t, &bytes);
    buf_free(&bytes);
    buf_free(&walk->texts);
    mem_free(walk->keys);
    mem_free(walk);
}

static void start_step(struct slot_walk *walk) {
    struct connection *conn = walk->connection;
    struct transaction *t = transaction_new(conn, false, 0, run_step, walk);
    transaction_add_whole(t, conn->shard->id);
    transaction_start(t);
}

void cluster_keys_begin(struct connection *conn, uint16_t slot, bool list, uint64_t limit) {
    struct slot_walk *walk = mem_calloc(sizeof *walk);
    walk->connection = conn;
    walk->slot = slot;
    walk->list = list;
    walk->limit = limit;
    start_step(walk);
}
