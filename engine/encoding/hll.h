// SPDX-License-Identifier: BSD-3-Clause
//
// HyperLogLog: how many different elements were added, to within about 0.81 %, from 16384 registers
// of 6 bits. Byte for byte Redis's format, so that GET, SET and DUMP carry values between the two:
// a header and either all registers (dense) or runs of equal ones (sparse). Functions work on bytes
// that somebody else owns, and on bytes from anywhere: nothing is trusted that hll_is_one() has not
// seen. Pure; any thread. Invariant: a value that these functions made is valid and estimates as
// Redis 7.2 does.
//
//   | "HYLL" | encoding | 3 unused | estimate u64, highest bit: is out of date | registers ...
//   dense:  register i in the 6 bits from bit 6 i on, lowest bit first
//   sparse: 00nnnnnn: n + 1 zeros; 01nnnnnn nnnnnnnn: n + 1 zeros; 1vvvvvnn: n + 1 times v + 1
#ifndef TORC_ENGINE_ENCODING_HLL_H
#define TORC_ENGINE_ENCODING_HLL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/slice.h"

#define HLL_REGISTERS   16384
#define HLL_HEADER      16
#define HLL_DENSE_BYTES (HLL_HEADER + HLL_REGISTERS * 6 / 8)
#define HLL_EMPTY_BYTES (HLL_HEADER + 2) // of a sparse one without elements
#define HLL_SPARSE_STEP 3                // bytes by which setting one register may lengthen
#define HLL_RANK_MAX    51               // highest register value that an element leads to

enum hll_encoding { HLL_DENSE, HLL_SPARSE };

/** Whether these bytes look like a HyperLogLog; a sparse one may still turn out to be corrupt. */
bool hll_is_one(struct slice hll);
static inline enum hll_encoding hll_encoding(struct slice hll) {
    return (enum hll_encoding)(uint8_t)hll.p[4];
}
/** Whether every register can be read: all that hll_is_one() leaves open. */
bool hll_is_valid(struct slice hll);

/** Writes an empty sparse one, HLL_EMPTY_BYTES long. */
void hll_make_empty(uint8_t *hll);

/** What an element comes to: the register that it belongs to, and what that must hold at least. */
struct hll_mark {
    uint16_t index;
    uint8_t rank; // 1 to HLL_RANK_MAX
};
struct hll_mark hll_mark(struct slice element);

// The estimate that is kept in the header.
bool hll_cached(struct slice hll, uint64_t *estimate);
void hll_set_cached(uint8_t *hll, uint64_t estimate);
void hll_outdate(uint8_t *hll);

/** Whether a dense one has that register at rank or above. */
bool hll_dense_has(const uint8_t *hll, struct hll_mark mark);
/** Raises a register of a dense one to rank. */
void hll_dense_set(uint8_t *hll, struct hll_mark mark);

/** Where a register is in a sparse one: its run, and the run before. */
struct hll_spot {
    size_t at, before;            // offsets of the two; before is 0: not known, or there is none
    unsigned first, before_first; // their first registers
    unsigned count;               // of registers in the run
};
enum hll_finding {
    HLL_HAS,     // the register is at rank or above: nothing to do
    HLL_LACKS,   // hll_sparse_set() has something to do
    HLL_CORRUPT, // the runs do not reach that register
};
/**
 * Finds a register in a sparse one. *spot is zero at first; with the result of an earlier call for
 * a lower index (which may have been set) the search goes on from there.
 */
enum hll_finding hll_sparse_find(struct slice hll, struct hll_mark mark, struct hll_spot *spot);
/**
 * Whether the register that was found can be raised in the sparse form. If not, it has to become
 * dense: the rank is too high, or it would have to grow beyond bytes_max.
 */
bool hll_sparse_can_set(struct slice hll, struct hll_mark mark, const struct hll_spot *spot,
                        size_t bytes_max);
/**
 * Raises it in a sparse one of n bytes, with room for HLL_SPARSE_STEP more. Returns the new length.
 */
size_t hll_sparse_set(uint8_t *hll, size_t n, struct hll_mark mark, const struct hll_spot *spot);
/** Writes the dense form, HLL_DENSE_BYTES, of a sparse one. False: it is corrupt. */
bool hll_to_dense(struct slice sparse, uint8_t *dense);

/** Raises each of HLL_REGISTERS bytes to the register's value. False: the value is corrupt. */
bool hll_join(struct slice hll, uint8_t registers[HLL_REGISTERS]);
/** Sets all registers of a dense one. */
void hll_dense_fill(uint8_t *hll, const uint8_t registers[HLL_REGISTERS]);

/** Computes the estimate. False: the value is corrupt. */
bool hll_estimate(struct slice hll, uint64_t *estimate);
/** The same for registers of a byte each. */
uint64_t hll_estimate_registers(const uint8_t registers[HLL_REGISTERS]);

/** One run of a sparse one at *offset, which moves behind it. False: there is none. */
struct hll_run {
    uint8_t value; // 0: zeros
    bool is_long;  // zeros in two bytes
    unsigned count;
};
bool hll_next_run(struct slice hll, size_t *offset, struct hll_run *run);

#endif
