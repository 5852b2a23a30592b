// SPDX-License-Identifier: BSD-3-Clause
//
// Numbers to text and back, with exactly the strictness of Redis: what counts as an integer
// argument, how a double is printed, what a long double accepts. Pure functions without state; any
// thread. Sizes of scratch buffers are constants here, so that callers cannot get them wrong.
#ifndef TORC_ENGINE_BASE_NUM_H
#define TORC_ENGINE_BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/slice.h"

#define NUM_I64_TEXT_MAX         24   // "-9223372036854775808" and a little air
#define NUM_DOUBLE_TEXT_MAX      400  // %.17f of the largest double, shortened
#define NUM_LONG_DOUBLE_TEXT_MAX 5120 // %.17Lf of the largest long double

/** Strict decimal: optional '-', no '+', no leading zeros, no spaces, in range. False otherwise. */
bool num_parse_i64(struct slice text, int64_t *out);
/** The same for unsigned 64-bit numbers (no sign at all). */
bool num_parse_u64(struct slice text, uint64_t *out);
/** A double as Redis takes a score: strtod, the whole text, no leading space, no NaN; inf is one.
 * */
bool num_parse_double(struct slice text, double *out);
/**
 * About the double that a plain decimal (no exponent, digits of 64 bits) stands for: at most three
 * units in the last place away, for comparisons that are seldom close. False: it is not plain.
 */
bool num_guess_double(struct slice text, double *out);
/** A long double as INCRBYFLOAT takes it (strtold, whole text, no leading space, no NaN). */
bool num_parse_long_double(struct slice text, long double *out);
/** Writes value in decimal to out, which has room for NUM_I64_TEXT_MAX (no terminator); returns its
 * length. */
size_t num_format_i64(char *out, int64_t value);
size_t num_format_u64(char *out, uint64_t value);
/** Decimal digits of value, sign included. */
unsigned num_i64_width(int64_t value);
/** Writes the shortest text that reads back as the same double, laid out as Redis 7.2 does for
 * RESP3 doubles (inf, -inf, nan), to out, which has room for NUM_DOUBLE_TEXT_MAX. Returns its
 * length. */
size_t num_format_double(char *out, double value);
/** INCRBYFLOAT's human form: %.17Lf with trailing zeros (and a bare point) removed, "-0" becomes
 * "0". Written to out, which has room for NUM_LONG_DOUBLE_TEXT_MAX. Returns its length. */
size_t num_format_long_double(char *out, long double value);
/** The same text for a double, sooner: without printf where it is below 1000. */
size_t num_format_human(char *out, double value);
/** "100", "1k", "1kb", "5mb", "2g"... as redis.conf memory sizes ("" is 0, as there);
 * false when malformed, negative or above INT64_MAX. */
bool num_parse_memory(struct slice text, int64_t *bytes);

#endif
