// SPDX-License-Identifier: BSD-3-Clause
//
// Micro-benchmarks of the hash table and the keyspace, as plain functions: the harness makes a
// state, calls one function per measurement with the number of operations it wants, and divides.
// Keys are 16 bytes, values 32, drawn uniformly, so that with many keys the caches hold none of
// them. One thread; the same seed gives the same order of keys.
#ifndef TORC_BENCH_MICRO_BENCH_TABLE_H
#define TORC_BENCH_MICRO_BENCH_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bench_table;

/** A keyspace with that many keys, each with a time to live if wanted. Owned by the caller. */
struct bench_table *bench_table_new(uint64_t keys, bool expires);
void bench_table_free(struct bench_table *b);
/** Finds that many keys that exist; returns how many were found (all). */
uint64_t bench_table_find_hit(struct bench_table *b, uint64_t operations);
/** Looks for that many keys that do not exist; returns how many were found (none). */
uint64_t bench_table_find_miss(struct bench_table *b, uint64_t operations);
/** Finds existing keys in batches of 16 whose buckets and entries are prefetched first. */
uint64_t bench_table_find_batched(struct bench_table *b, uint64_t operations);
/** Overwrites existing keys by values of the same size. */
uint64_t bench_table_overwrite(struct bench_table *b, uint64_t operations);
/** Inserts new keys, and deletes just as many: returns the number of both. */
uint64_t bench_table_insert_delete(struct bench_table *b, uint64_t operations);
/** Bytes per key of entries and table. */
double bench_table_bytes_per_key(const struct bench_table *b);

#ifdef __cplusplus
}
#endif

#endif
