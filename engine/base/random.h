// SPDX-License-Identifier: BSD-3-Clause
//
// Random numbers for sampling and eviction: xoshiro256** (Blackman and Vigna, 2018), one small
// state per owner, seeded explicitly so that a simulated run repeats. Not for secrets:
// random_secret() is.
#ifndef TORC_ENGINE_BASE_RANDOM_H
#define TORC_ENGINE_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random {
    uint64_t s[4];
};

/** Seeds the generator (SplitMix64 fills the state). */
void random_init(struct random *r, uint64_t seed);
/** The next 64 random bits. */
uint64_t random_next(struct random *r);
/** A number in [0, bound), bound > 0, without modulo bias worth naming (multiply-shift). */
uint64_t random_below(struct random *r, uint64_t bound);
/** Fills out with n bytes from getrandom(2): run ids, seeds, passwords. */
void random_secret(void *out, size_t n);

#endif
