// SPDX-License-Identifier: BSD-3-Clause
//
// What a lookup, an overwrite and an insertion cost in a keyspace of a given size. The figures
// include making the key's text and hashing it (about 15 ns). They are bound by memory latency: a
// hit is two cache lines one after the other, a miss is one, a batch has its lines fetched side by
// side. One thread, no clock: bench/micro's harness measures. See bench_table.h for the calls.
#include "bench/micro/bench_table.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/random.h"
#include "engine/keyspace/keyspace.h"

#define KEY_BYTES 16
#define BATCH     16
#define NOW_MS    INT64_C(1700000000000)

struct bench_table {
    struct keyspace *ks;
    uint64_t keys;
    int64_t expire_ms;
    struct random random;
};

static const char value[] = "abcdefghijklmnopqrstuvwxyz012345";

static struct key make_key(const struct bench_table *b, char text[KEY_BYTES], uint64_t number) {
    memcpy(text, "key:000000000000", KEY_BYTES);
    for (int i = KEY_BYTES - 1; number != 0; i--, number /= 10) {
        text[i] = (char)('0' + (char)(number % 10));
    }
    return key_of(b->ks, slice_of(text, KEY_BYTES));
}

static void set(struct bench_table *b, uint64_t number) {
    char text[KEY_BYTES];
    struct db *db = &b->ks->dbs[0];
    struct key key = make_key(b, text, number);
    struct slice v = slice_of(value, sizeof(value) - 1);
    db_set_string(db, key, db_find(db, key), v, b->expire_ms);
}

struct bench_table *bench_table_new(uint64_t keys, bool expires) {
    struct bench_table *b = mem_calloc(sizeof(*b));
    b->ks = keyspace_new(1, 0, 12345, 1, NULL);
    b->keys = keys;
    b->expire_ms = expires ? NOW_MS + 3600000 : ENTRY_NO_EXPIRE;
    random_init(&b->random, 1);
    keyspace_expire_step(b->ks, NOW_MS, 1);
    for (uint64_t i = 0; i < keys; i++) set(b, i);
    return b;
}

void bench_table_free(struct bench_table *b) {
    keyspace_free(b->ks);
    mem_free(b);
}

static uint64_t find_from(struct bench_table *b, uint64_t operations, uint64_t first) {
    char text[KEY_BYTES];
    uint64_t found = 0;
    for (uint64_t i = 0; i < operations; i++) {
        struct key key = make_key(b, text, first + random_below(&b->random, b->keys));
        found += db_find(&b->ks->dbs[0], key).entry != NULL;
    }
    return found;
}

uint64_t bench_table_find_hit(struct bench_table *b, uint64_t operations) {
    return find_from(b, operations, 0);
}

uint64_t bench_table_find_miss(struct bench_table *b, uint64_t operations) {
    return find_from(b, operations, b->keys);
}

uint64_t bench_table_find_batched(struct bench_table *b, uint64_t operations) {
    const struct db *db = &b->ks->dbs[0];
    struct key keys[BATCH];
    char texts[BATCH][KEY_BYTES];
    uint64_t found = 0;
    for (uint64_t done = 0; done < operations; done += BATCH) {
        uint64_t n = operations - done < BATCH ? operations - done : BATCH;
        for (uint64_t i = 0; i < n; i++) {
            keys[i] = make_key(b, texts[i], random_below(&b->random, b->keys));
            table_prefetch(&db->table, keys[i].hash);
        }
        for (uint64_t i = 0; i < n; i++) table_prefetch_entry(&db->table, keys[i].hash);
        for (uint64_t i = 0; i < n; i++) found += db_find(db, keys[i]).entry != NULL;
    }
    return found;
}

uint64_t bench_table_overwrite(struct bench_table *b, uint64_t operations) {
    for (uint64_t i = 0; i < operations; i++) set(b, random_below(&b->random, b->keys));
    return operations;
}

uint64_t bench_table_insert_delete(struct bench_table *b, uint64_t operations) {
    char text[KEY_BYTES];
    struct db *db = &b->ks->dbs[0];
    for (uint64_t i = 0; i < operations; i++) set(b, b->keys + i);
    for (uint64_t i = 0; i < operations; i++) {
        struct key key = make_key(b, text, b->keys + i);
        db_delete(db, key, db_find(db, key));
    }
    return operations * 2;
}

double bench_table_bytes_per_key(const struct bench_table *b) {
    return (double)keyspace_memory(b->ks) / (double)db_count(&b->ks->dbs[0]);
}
