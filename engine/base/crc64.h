// SPDX-License-Identifier: BSD-3-Clause
//
// The CRC-64 that ends RDB files and DUMP payloads: polynomial 0xad93d23594c935a9 (Jones),
// reflected, no final inversion, start value 0. Pure functions, any thread. Pieces of a file may be
// summed apart, by whoever has them in the cache, and the sums combined.
#ifndef TORC_ENGINE_BASE_CRC64_H
#define TORC_ENGINE_BASE_CRC64_H

#include <stddef.h>
#include <stdint.h>

/** The sum of what was summed up so far (0 at the beginning) followed by n more bytes. */
uint64_t crc64(uint64_t crc, const void *p, size_t n);
/** The sum of A followed by B: from the sum of A, the sum of B from 0, and B's length. */
uint64_t crc64_combine(uint64_t a, uint64_t b, uint64_t b_length);

#endif
