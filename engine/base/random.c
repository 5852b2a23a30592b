// SPDX-License-Identifier: BSD-3-Clause
//
// xoshiro256** by Blackman and Vigna (2018, public domain algorithm), seeded through SplitMix64.
// The state belongs to its owner; two owners with one seed see the same numbers, which is what lets
// a simulated run repeat. Invariant: the state is never all zero (SplitMix64 cannot fill it so).
// Called by eviction, sampling, the simulator and the load generator.
#include "engine/base/random.h"

#include <errno.h>
#include <sys/random.h>

#include "engine/base/assert.h"

static uint64_t splitmix(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline uint64_t rotate_left(uint64_t x, int bits) {
    return (x << bits) | (x >> (64 - bits));
}

void random_init(struct random *r, uint64_t seed) {
    for (int i = 0; i < 4; i++) r->s[i] = splitmix(&seed);
}

uint64_t random_next(struct random *r) {
    uint64_t *s = r->s;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t random_below(struct random *r, uint64_t bound) {
    ASSERT(bound > 0);
    return (uint64_t)(((unsigned __int128)random_next(r) * bound) >> 64);
}

void random_secret(void *out, size_t n) {
    char *p = out;
    while (n != 0) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0) {
            ASSERT(errno == EINTR);
            continue;
        }
        p += got;
        n -= (size_t)got;
    }
}
