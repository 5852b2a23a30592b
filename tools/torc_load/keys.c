// SPDX-License-Identifier: BSD-3-Clause
/*
 * Zipfian numbers by rejection-inversion, and the seeding of generators.
 *
 * Method: W. Hoermann, G. Derflinger, "Rejection-inversion to generate variates from monotone
 * discrete distributions", ACM TOMACS 6(3), 1996. It needs no table and no sum over all keys, and
 * works for every exponent, 1 included. Rank 0 is the hottest; as in YCSB the ranks are then
 * scattered over the key numbers, here by a multiplication modulo the number of keys, which is a
 * permutation: no two ranks fall on one key, so the distribution stays exact.
 * Each source belongs to one worker thread. Invariant: `scramble` has no common factor with `keys`.
 */
#include "tools/torc_load/keys.h"

#include <math.h>

static uint64_t splitmix(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void random_seed(struct random_state *r, uint64_t seed) {
    for (int i = 0; i < 4; i++) r->s[i] = splitmix(&seed);
}

/* expm1(x) / x, also near 0. */
static double expm1_over(double x) { return fabs(x) > 1e-8 ? expm1(x) / x : 1.0 + x * 0.5; }

/* log1p(x) / x, also near 0. */
static double log1p_over(double x) { return fabs(x) > 1e-8 ? log1p(x) / x : 1.0 - x * 0.5; }

/* The weight of rank x (from 1): x^-exponent. */
static double weight(const struct key_source *k, double x) { return exp(-k->exponent * log(x)); }

/* The integral of the weight from 1 to x. */
static double integral(const struct key_source *k, double x) {
    double log_x = log(x);
    return expm1_over((1.0 - k->exponent) * log_x) * log_x;
}

/* The x at which the integral is `area`. */
static double integral_inverse(const struct key_source *k, double area) {
    double t = area * (1.0 - k->exponent);
    if (t < -1.0) t = -1.0; /* rounding may step just over the edge */
    return exp(log1p_over(t) * area);
}

static uint64_t greatest_common_divisor(uint64_t a, uint64_t b) {
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

void keys_init(struct key_source *k, enum key_distribution distribution, uint64_t keys,
               double theta, uint64_t seed, uint32_t thread, uint32_t threads) {
    *k = (struct key_source){.distribution = distribution, .keys = keys, .exponent = theta};
    random_seed(&k->random, seed + 0x100000001b3u * thread);
    k->first = keys * thread / threads;
    k->count = keys * (thread + 1) / threads - k->first;
    if (k->count == 0) k->count = 1; /* more threads than keys: share the neighbour's first one */
    k->h_low = integral(k, 1.5) - 1.0;
    k->h_high = integral(k, (double)keys + 0.5);
    k->shortcut = 2.0 - integral_inverse(k, integral(k, 2.5) - weight(k, 2.0));
    /* The golden section scatters neighbours far apart; step to the next number coprime to keys. */
    k->scramble = (uint64_t)((double)keys * 0.6180339887498949) | 1;
    while (greatest_common_divisor(k->scramble, keys) != 1) k->scramble++;
}

uint64_t keys_next_zipfian(struct key_source *k) {
    for (;;) {
        double unit = (double)(random_next(&k->random) >> 11) * 0x1p-53;
        double area = k->h_high + unit * (k->h_low - k->h_high);
        double x = integral_inverse(k, area);
        double rank = floor(x + 0.5);
        if (rank < 1.0) rank = 1.0;
        if (rank > (double)k->keys) rank = (double)k->keys;
        if (rank - x <= k->shortcut || area >= integral(k, rank + 0.5) - weight(k, rank))
            return (uint64_t)(((unsigned __int128)((uint64_t)rank - 1) * k->scramble) % k->keys);
    }
}
