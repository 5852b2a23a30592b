// SPDX-License-Identifier: BSD-3-Clause
//
// Addresses that have failed to log in several times, and how long each has to wait for the answer
// to its next failure. Guessing passwords becomes slow, whatever the number of connections; who
// logs in waits for nothing. A table of fixed size for each shard: under a flood of addresses old
// ones are forgotten. No clock: times are passed in.
#ifndef TORC_SHARDS_PENALTIES_H
#define TORC_SHARDS_PENALTIES_H

#include <stdint.h>

#define PENALTIES_FREE      10    // failures that cost nothing
#define PENALTIES_FIRST_MS  100   // for the next one; doubled with each ...
#define PENALTIES_MOST_MS   5000  // ... up to this
#define PENALTIES_FORGET_MS 60000 // after so long without a failure all is forgotten

struct penalty;
struct penalties {
    struct penalty *table; // NULL: nobody has failed yet
};

/** Counts a failure of an address (any number but 0 that tells it from others). The wait, in ms. */
int64_t penalties_add(struct penalties *p, uint64_t address, int64_t now_ms);
void penalties_fini(struct penalties *p);

#endif
