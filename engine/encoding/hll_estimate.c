// SPDX-License-Identifier: BSD-3-Clause
//
// From HyperLogLog registers to a number: the estimator of Otmar Ertl ("New cardinality estimation
// algorithms for HyperLogLog sketches", arXiv:1702.01284), computed in the order in which Redis
// does it, so that the same registers give the same number to the last digit. It needs nothing but
// how often each value occurs; counting that is all the time it takes, and is done in several
// tables side by side, because equal values in a row would wait for each other. Pure; any thread.
// Invariant: nothing but the bytes given is read. Called by PFCOUNT.
#include <math.h>
#include <string.h>

#include "engine/encoding/hll.h"

#define VALUES 64
#define TABLES 8
#define TOP    50                      // values of hashed elements go up to one more
#define ALPHA  0.721347520444481703680 // 1 / (2 ln 2)

struct histogram {
    uint32_t of[VALUES];
};

struct tables {
    uint16_t of[TABLES][VALUES];
};

static void sum_tables(const struct tables *tables, struct histogram *out) {
    for (int t = 0; t < TABLES; t++)
        for (int i = 0; i < VALUES; i++) out->of[i] += tables->of[t][i];
}

/** Counts eight registers of six bits each. */
static inline void count_word(struct tables *tables, uint64_t word) {
    for (int t = 0; t < TABLES; t++) tables->of[t][word >> (6 * t) & 63]++;
}

static void count_dense(const uint8_t *hll, struct histogram *out) {
    struct tables tables = {0};
    const uint8_t *p = hll + HLL_HEADER;
    for (size_t i = 0; i < HLL_REGISTERS; i += 8, p += 6) {
        uint64_t word;
        memcpy(&word, p - 2, 8); // what is in front is there to read; what is behind may not be
        count_word(&tables, word >> 16);
    }
    sum_tables(&tables, out);
}

static bool count_sparse(struct slice hll, struct histogram *out) {
    size_t offset = HLL_HEADER, registers = 0;
    for (struct hll_run run; hll_next_run(hll, &offset, &run); registers += run.count)
        out->of[run.value] += run.count;
    return offset == hll.n && registers == HLL_REGISTERS;
}

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

static uint64_t estimate_of(const struct histogram *h) {
    const double m = HLL_REGISTERS;
    double z = m * tau((m - h->of[TOP + 1]) / m);
    for (int i = TOP; i >= 1; i--) {
        z += h->of[i];
        z *= 0.5;
    }
    z += m * sigma(h->of[0] / m);
    double estimate = ALPHA * m * m / z;
    // Only registers that no element leads to make it infinite.
    if (!(estimate < 9.2e18)) return (uint64_t)1 << 63;
    return (uint64_t)(double)llroundl((long double)estimate);
}

bool hll_estimate(struct slice hll, uint64_t *estimate) {
    struct histogram h = {0};
    if (hll_encoding(hll) == HLL_DENSE)
        count_dense((const uint8_t *)hll.p, &h);
    else if (!count_sparse(hll, &h))
        return false;
    *estimate = estimate_of(&h);
    return true;
}

uint64_t hll_estimate_registers(const uint8_t registers[HLL_REGISTERS]) {
    struct tables tables = {0};
    struct histogram h = {0};
    for (size_t i = 0; i < HLL_REGISTERS; i += TABLES)
        for (int t = 0; t < TABLES; t++) tables.of[t][registers[i + (size_t)t] & 63]++;
    sum_tables(&tables, &h);
    return estimate_of(&h);
}
