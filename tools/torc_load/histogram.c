// SPDX-License-Identifier: BSD-3-Clause
/*
 * The slower half of the latency histogram: merging and reading percentiles.
 *
 * Called by the reporting thread once the workers have ended; recording itself is inline in the
 * header. Invariant: a percentile never lies outside [min_ns, max_ns], because slots are reported
 * by their upper edge and then clipped to what was really seen.
 */
#include "tools/torc_load/histogram.h"

#include <string.h>

void histogram_reset(struct histogram *h) {
    memset(h, 0, sizeof *h);
    h->min_ns = UINT64_MAX;
}

void histogram_merge(struct histogram *into, const struct histogram *from) {
    into->count += from->count;
    into->sum_ns += from->sum_ns;
    if (from->min_ns < into->min_ns) into->min_ns = from->min_ns;
    if (from->max_ns > into->max_ns) into->max_ns = from->max_ns;
    for (uint32_t i = 0; i < HISTOGRAM_SLOTS; i++) into->slots[i] += from->slots[i];
}

/* The largest value that slot `i` counts. */
static uint64_t slot_upper_ns(uint32_t i) {
    if (i < 2u << HISTOGRAM_STEP_BITS) return i;
    uint32_t shift = (i >> HISTOGRAM_STEP_BITS) - 1;
    uint64_t step = (i & ((1u << HISTOGRAM_STEP_BITS) - 1)) | (1u << HISTOGRAM_STEP_BITS);
    return ((step + 1) << shift) - 1;
}

uint64_t histogram_percentile_ns(const struct histogram *h, double percent) {
    if (h->count == 0) return 0;
    double exact = percent / 100.0 * (double)h->count;
    uint64_t rank = (uint64_t)exact;
    if ((double)rank < exact) rank++;
    if (rank < 1) rank = 1;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < HISTOGRAM_SLOTS; i++) {
        seen += h->slots[i];
        if (seen < rank) continue;
        uint64_t value = slot_upper_ns(i);
        if (value < h->min_ns) value = h->min_ns;
        return value < h->max_ns ? value : h->max_ns;
    }
    return h->max_ns;
}

double histogram_mean_ns(const struct histogram *h) {
    return h->count == 0 ? 0.0 : h->sum_ns / (double)h->count;
}
