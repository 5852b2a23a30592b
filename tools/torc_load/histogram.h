// SPDX-License-Identifier: BSD-3-Clause
/*
 * A log-linear histogram of latencies with three significant digits.
 *
 * Values are nanoseconds. Up to 2,047 ns each value has a counter of its own; above, every power of
 * two is divided into 1,024 equal steps, so a reported value is at most 0.1 % above the true one.
 * A histogram belongs to one thread while it is recorded into; merging happens after that thread
 * has ended. Invariant: `count` equals the sum of all counters.
 */
#ifndef TORC_TOOLS_TORC_LOAD_HISTOGRAM_H
#define TORC_TOOLS_TORC_LOAD_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEP_BITS 10
/* 2^40 ns is 18 minutes: longer than any run may last without an answer. */
#define HISTOGRAM_BITS      40
#define HISTOGRAM_SLOTS     ((HISTOGRAM_BITS - HISTOGRAM_STEP_BITS + 1) << HISTOGRAM_STEP_BITS)

struct histogram {
    uint64_t count;
    uint64_t min_ns;
    uint64_t max_ns;
    double sum_ns;
    uint64_t slots[HISTOGRAM_SLOTS];
};

/* Makes `h` empty. */
void histogram_reset(struct histogram *h);

/* Adds everything that `from` counted to `into`. */
void histogram_merge(struct histogram *into, const struct histogram *from);

/* The smallest value that at least `percent` of the recorded values do not exceed, in nanoseconds
 * (0 when nothing was recorded). */
uint64_t histogram_percentile_ns(const struct histogram *h, double percent);

/* The mean of the recorded values in nanoseconds, from an exact sum; 0 when empty. */
double histogram_mean_ns(const struct histogram *h);

/* The slot that counts `value_ns`; values beyond the range share the last slot. */
static inline uint32_t histogram_slot(uint64_t value_ns) {
    const uint64_t limit = (uint64_t)1 << HISTOGRAM_BITS;
    if (value_ns >= limit) value_ns = limit - 1;
    if (value_ns < (uint64_t)2 << HISTOGRAM_STEP_BITS) return (uint32_t)value_ns;
    uint32_t shift = 63u - (uint32_t)__builtin_clzll(value_ns) - HISTOGRAM_STEP_BITS;
    return (shift << HISTOGRAM_STEP_BITS) + (uint32_t)(value_ns >> shift);
}

/* Counts one value. Cheap enough for every reply. */
static inline void histogram_record(struct histogram *h, uint64_t value_ns) {
    h->count++;
    h->sum_ns += (double)value_ns;
    if (value_ns < h->min_ns) h->min_ns = value_ns;
    if (value_ns > h->max_ns) h->max_ns = value_ns;
    h->slots[histogram_slot(value_ns)]++;
}

#endif
