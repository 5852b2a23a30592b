// SPDX-License-Identifier: BSD-3-Clause
//
// Micro-benchmarks of engine/base and of the RESP parser, as plain functions: each does one thing
// that many times and returns a number made of the results, so that no compiler can leave the work
// out. One thread; inputs are the same in every run. Called by main.cc alone.
#ifndef TORC_BENCH_MICRO_BENCH_BASE_H
#define TORC_BENCH_MICRO_BENCH_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Hashes keys of n <= 4,096 bytes. */
uint64_t bench_hash_bytes(uint64_t operations, size_t n);
/** The slot of keys of n <= 4,096 bytes. */
uint64_t bench_hash_slot(uint64_t operations, size_t n);
/** Formats integers of that many digits (1 to 19). */
uint64_t bench_num_format_i64(uint64_t operations, unsigned digits);
/** Parses integers of that many digits (1 to 19). */
uint64_t bench_num_parse_i64(uint64_t operations, unsigned digits);
/** Formats doubles with fractions. */
uint64_t bench_num_format_double(uint64_t operations);
/** Writes bulk replies of n <= 4,096 bytes. */
uint64_t bench_reply_bulk(uint64_t operations, size_t n);
/** Writes integer replies below 1,000. */
uint64_t bench_reply_int(uint64_t operations);
/** Matches "user:*:session:[0-9]*" with keys that fit. */
uint64_t bench_glob(uint64_t operations);
/** Allocates and frees n bytes, 64 blocks alive at a time. An operation is a pair. */
uint64_t bench_alloc(uint64_t operations, size_t n);
/** Parses GET commands, 50 to a batch. An operation is a command. */
uint64_t bench_parse_get(uint64_t operations);
/** Whether a user with +@read and the patterns other:* and key:* may GET key:000000000042. */
uint64_t bench_acl_check(uint64_t operations);

#ifdef __cplusplus
}
#endif

#endif
