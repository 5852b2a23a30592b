// SPDX-License-Identifier: BSD-3-Clause
//
// Reading the RDB format's primitives from bytes in memory: lengths, strings in all their forms,
// numbers. Bounds are checked at every step; the first thing that is wrong is kept with its place,
// and every later call fails. Bytes that end too early are told apart (`more`): who reads a file in
// pieces gets more of it and tries again. Owns nothing but a text; the caller owns the bytes. One
// thread at a time. Invariant: start <= at <= end.
#ifndef TORC_ENGINE_RDB_RDB_IN_H
#define TORC_ENGINE_RDB_RDB_IN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/slice.h"

struct rdb_in {
    const uint8_t *start, *at, *end;
    uint64_t offset; // of start in the file, for messages
    bool failed;
    bool more;         // failed because the bytes ended: more of them may help
    uint64_t error_at; // offset in the file
    char error[160];   // why, zero-terminated; empty while nothing is wrong
};

void rdb_in_init(struct rdb_in *in, const void *p, size_t n, uint64_t offset);
/** Notes what is wrong at `at` (printf), unless something is already. Always returns false. */
bool rdb_in_fail(struct rdb_in *in, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline size_t rdb_in_left(const struct rdb_in *in) { return (size_t)(in->end - in->at); }

bool rdb_in_byte(struct rdb_in *in, uint8_t *out);
/** n plain bytes, in place. */
bool rdb_in_bytes(struct rdb_in *in, size_t n, const uint8_t **out);
bool rdb_in_u32(struct rdb_in *in, uint32_t *out); // little endian, as the next three
bool rdb_in_u64(struct rdb_in *in, uint64_t *out);
bool rdb_in_i64(struct rdb_in *in, int64_t *out);
bool rdb_in_double(struct rdb_in *in, double *out); // eight bytes, binary
/** Text with a length byte, as RDB_ZSET's scores are. */
bool rdb_in_double_text(struct rdb_in *in, double *out);
/** A length. What announces a special string is an error. */
bool rdb_in_length(struct rdb_in *in, uint64_t *out);
/**
 * The same for a number of elements that take at least `each` bytes of what follows: one that the
 * bytes cannot hold ends too early (`more`).
 */
bool rdb_in_count(struct rdb_in *in, size_t each, uint64_t *out);
/**
 * A string. *out points into the bytes, or, where it had to be made (integer, LZF), into scratch,
 * which is overwritten; good until either changes. LZF whose length is implausible for what it is
 * made from, or that does not come out at exactly its length, is refused before memory is taken.
 */
bool rdb_in_string(struct rdb_in *in, struct buf *scratch, struct slice *out);

/** Goes past a string without making it. */
bool rdb_in_skip_string(struct rdb_in *in);
/** Goes past a value of that type without looking inside its strings. */
bool rdb_in_skip_value(struct rdb_in *in, uint8_t type, uint8_t dialect);
/**
 * Goes past the parts of a module's value or auxiliary data, up to and with its end mark. The
 * module id has been read.
 */
bool rdb_in_skip_module(struct rdb_in *in);

#endif
