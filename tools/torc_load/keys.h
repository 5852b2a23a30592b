// SPDX-License-Identifier: BSD-3-Clause
/*
 * Which key comes next: random numbers and the key distributions.
 *
 * Each worker thread owns one `struct key_source`, so drawing a key takes no lock. The constants of
 * the Zipfian distribution are computed once at start. Invariant: every number drawn is below
 * `keys`. Called by the request builder for each key it writes.
 */
#ifndef TORC_TOOLS_TORC_LOAD_KEYS_H
#define TORC_TOOLS_TORC_LOAD_KEYS_H

#include <stdbool.h>
#include <stdint.h>

enum key_distribution { KEYS_UNIFORM, KEYS_ZIPFIAN, KEYS_SEQUENTIAL };

struct random_state {
    uint64_t s[4];
};

struct key_source {
    struct random_state random;
    enum key_distribution distribution;
    bool is_held; /* keys_next() goes on giving `latest` */
    uint64_t latest;
    uint64_t keys;
    /* Sequential: the next number, and the share [first, first + count) of this thread. */
    uint64_t next;
    uint64_t first;
    uint64_t count;
    /* Zipfian: see keys.c. */
    double exponent;
    double h_low;
    double h_high;
    double shortcut;
    uint64_t scramble;
};

/* Seeds a generator; equal seeds give equal streams. */
void random_seed(struct random_state *r, uint64_t seed);

/* Prepares a source over the numbers 0..keys-1 (`keys` >= 1). `theta` > 0 is the Zipfian exponent.
 * A sequential source goes round the share of thread `thread` out of `threads`. */
void keys_init(struct key_source *k, enum key_distribution distribution, uint64_t keys,
               double theta, uint64_t seed, uint32_t thread, uint32_t threads);

/* The next Zipfian number; use keys_next(). */
uint64_t keys_next_zipfian(struct key_source *k);

/* 64 random bits (xoshiro256++ of Blackman and Vigna, a public domain algorithm). */
static inline uint64_t random_next(struct random_state *r) {
    uint64_t *s = r->s;
    uint64_t sum = s[0] + s[3];
    uint64_t result = ((sum << 23) | (sum >> 41)) + s[0];
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 45) | (s[3] >> 19);
    return result;
}

/* A number in 0..n-1 by multiplication; the bias is below n / 2^64. */
static inline uint64_t random_below(struct random_state *r, uint64_t n) {
    return (uint64_t)(((unsigned __int128)random_next(r) * n) >> 64);
}

/* The next number of the distribution. */
static inline uint64_t keys_draw(struct key_source *k) {
    if (k->distribution == KEYS_UNIFORM) return random_below(&k->random, k->keys);
    if (k->distribution == KEYS_ZIPFIAN) return keys_next_zipfian(k);
    uint64_t number = k->first + k->next;
    k->next = k->next + 1 == k->count ? 0 : k->next + 1;
    return number;
}

/* The next key number, below `keys`. */
static inline uint64_t keys_next(struct key_source *k) {
    if (!k->is_held) k->latest = keys_draw(k);
    return k->latest;
}

#endif
