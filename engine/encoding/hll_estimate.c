// SPDX-License-Identifier: BSD-3-Clause
//
// From HyperLogLog registers to a number: the estimator of Otmar Ertl ("New cardinality estimation
// algorithms for HyperLogLog sketches", arXiv:1702.01284), with the roundings of Redis's way to
// compute it, so that the same registers give the same number to the last digit. It needs how many
// registers are 0 and the sum of 2^-value over the others. As long as no value is above 31 that sum
// is exact in whatever order it is taken, which costs an addition for each register; otherwise
// values are counted and summed as Redis does. Pure; any thread. Invariant: nothing but the bytes
// given is read. Called by PFCOUNT.
#include <math.h>
#include <string.h>

#include "engine/encoding/hll.h"

#define VALUES 64
#define TOP    50                      // values of hashed elements go up to one more
#define EXACT  31                      // values up to here are summed as integers
#define ALPHA  0.721347520444481703680 // 1 / (2 ln 2)

struct histogram {
    uint32_t of[VALUES];
};

// ---- registers as integers ---------------------------------------------------------------------

#define SUMS     8
#define ZERO_BIT 50 // a sum counts zeros from this bit on, below it units of 2^-EXACT

/** What each value adds to a sum; a sum takes HLL_REGISTERS / SUMS of them. */
struct weights {
    uint64_t of[VALUES];
};
_Static_assert((uint64_t)HLL_REGISTERS / SUMS << (EXACT - 1) < (uint64_t)1 << ZERO_BIT,
               "units do not reach the zeros");

static void make_weights(struct weights *w) {
    memset(w, 0, sizeof *w);
    w->of[0] = (uint64_t)1 << ZERO_BIT;
    for (int value = 1; value <= EXACT; value++) w->of[value] = (uint64_t)1 << (EXACT - value);
}

/** The histogram's two numbers from all sums. */
static void take_sums(const uint64_t sums[SUMS], double *rest, uint32_t *zeros) {
    uint64_t units = 0;
    *zeros = 0;
    for (int i = 0; i < SUMS; i++) {
        units += sums[i] & (((uint64_t)1 << ZERO_BIT) - 1);
        *zeros += (uint32_t)(sums[i] >> ZERO_BIT);
    }
    *rest = ldexp((double)units, -EXACT);
}

/** Eight registers of six bits; the two bytes in front are loaded with them. */
static inline uint64_t load_registers(const uint8_t *p) {
    uint64_t word;
    memcpy(&word, p - 2, 8);
    return word >> 16;
}

/** False: there are values above EXACT. */
static bool sum_dense(const uint8_t *p, double *rest, uint32_t *zeros) {
    struct weights w;
    uint64_t sums[SUMS] = {0}, seen = 0;
    make_weights(&w);
    for (size_t i = 0; i < HLL_REGISTERS; i += SUMS, p += 6) {
        uint64_t word = load_registers(p);
        seen |= word;
#pragma GCC unroll 8
        for (int j = 0; j < SUMS; j++) sums[j] += w.of[word >> (6 * j) & 63];
    }
    take_sums(sums, rest, zeros);
    return (seen & UINT64_C(0x820820820820)) == 0; // the highest bit of each register
}

static bool sum_registers(const uint8_t registers[HLL_REGISTERS], double *rest, uint32_t *zeros) {
    struct weights w;
    uint64_t sums[SUMS] = {0};
    uint8_t seen = 0;
    make_weights(&w);
    for (size_t i = 0; i < HLL_REGISTERS; i += SUMS) {
#pragma GCC unroll 8
        for (size_t j = 0; j < SUMS; j++) {
            uint8_t value = registers[i + j];
            seen |= value;
            sums[j] += w.of[value & 63];
        }
    }
    take_sums(sums, rest, zeros);
    return seen <= EXACT;
}

// ---- registers counted -------------------------------------------------------------------------

static void count_dense(const uint8_t *p, struct histogram *h) {
    for (size_t i = 0; i < HLL_REGISTERS; i += 8, p += 6) {
        uint64_t word = load_registers(p);
        for (int j = 0; j < 8; j++) h->of[word >> (6 * j) & 63]++;
    }
}

static bool count_sparse(struct slice hll, struct histogram *h) {
    size_t offset = HLL_HEADER, registers = 0;
    for (struct hll_run run; hll_next_run(hll, &offset, &run); registers += run.count)
        h->of[run.value] += run.count;
    return offset == hll.n && registers == HLL_REGISTERS;
}

// ---- the estimate ------------------------------------------------------------------------------

static double sigma(double x) {
    if (x == 1) return INFINITY;
    double y = 1, z = x, previous;
    do {
        x *= x;
        previous = z;
        z += x * y;
        y += y;
    } while (previous != z);
    return z;
}

static double tau(double x) {
    if (x == 0 || x == 1) return 0;
    double y = 1, z = 1 - x, previous;
    do {
        x = sqrt(x);
        previous = z;
        y *= 0.5;
        z -= (1 - x) * (1 - x) * y;
    } while (previous != z);
    return z / 3;
}

static uint64_t estimate_of(double rest, uint32_t zeros) {
    const double m = HLL_REGISTERS;
    double z = rest + m * sigma(zeros / m);
    double estimate = ALPHA * m * m / z;
    // Only registers that no element leads to make it infinite.
    if (!(estimate < 9.2e18)) return (uint64_t)1 << 63;
    return (uint64_t)(double)llroundl((long double)estimate);
}

/** From counts, with the roundings of this order. */
static uint64_t estimate_counted(const struct histogram *h) {
    const double m = HLL_REGISTERS;
    double z = m * tau((m - h->of[TOP + 1]) / m);
    for (int i = TOP; i >= 1; i--) {
        z += h->of[i];
        z *= 0.5;
    }
    return estimate_of(z, h->of[0]);
}

bool hll_estimate(struct slice hll, uint64_t *estimate) {
    const uint8_t *p = (const uint8_t *)hll.p + HLL_HEADER;
    struct histogram h = {0};
    double rest;
    uint32_t zeros;
    bool valid = true;
    if (hll_encoding(hll) == HLL_SPARSE) {
        valid = count_sparse(hll, &h);
    } else if (sum_dense(p, &rest, &zeros)) {
        *estimate = estimate_of(rest, zeros);
        return true;
    } else {
        count_dense(p, &h);
    }
    if (valid) *estimate = estimate_counted(&h);
    return valid;
}

uint64_t hll_estimate_registers(const uint8_t registers[HLL_REGISTERS]) {
    struct histogram h = {0};
    double rest;
    uint32_t zeros;
    if (sum_registers(registers, &rest, &zeros)) return estimate_of(rest, zeros);
    for (size_t i = 0; i < HLL_REGISTERS; i++) h.of[registers[i] & 63]++;
    return estimate_counted(&h);
}
