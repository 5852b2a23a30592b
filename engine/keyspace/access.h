// SPDX-License-Identifier: BSD-3-Clause
//
// What the 24 bits of access information in an entry's header mean. LRU: the second of the last
// use, modulo 2^24. LFU: the minute of the last use modulo 2^16, and an 8-bit counter that grows
// with the logarithm of the uses and shrinks by one in so many minutes (Redis's scheme and its
// figures). Which of the two they are is a setting; after a change they are read in the new way,
// as in Redis, and right themselves with use. Pure functions of the bits, the time and a random
// state. Callers: commands that use a key, OBJECT, eviction.
#ifndef TORC_ENGINE_KEYSPACE_ACCESS_H
#define TORC_ENGINE_KEYSPACE_ACCESS_H

#include <stdint.h>

#include "engine/base/random.h"

#define ACCESS_LFU_INITIAL 5 // counter of a new key, so that it survives until it is used again
#define ACCESS_LFU_MAX     255

/** LRU: a key used now. */
static inline uint32_t access_lru(int64_t now_ms) { return (uint32_t)(now_ms / 1000) & 0xffffff; }

/** LRU: a key used last that many seconds ago, or as long ago as can be told. */
static inline uint32_t access_lru_idle(int64_t now_ms, uint64_t idle_s) {
    return (access_lru(now_ms) - (uint32_t)(idle_s < 0xffffff ? idle_s : 0xffffff)) & 0xffffff;
}

/** LRU: seconds since the last use. */
static inline uint32_t access_idle_s(uint32_t access, int64_t now_ms) {
    return (access_lru(now_ms) - access) & 0xffffff;
}

static inline uint32_t access_minutes(int64_t now_ms) {
    return (uint32_t)(now_ms / 60000) & 0xffff;
}

/** LFU: a new key. */
static inline uint32_t access_lfu_new(int64_t now_ms) {
    return access_minutes(now_ms) << 8 | ACCESS_LFU_INITIAL;
}

/** LFU: a key with that counter. */
static inline uint32_t access_lfu_counter(int64_t now_ms, uint8_t counter) {
    return access_minutes(now_ms) << 8 | counter;
}

/** LFU: the counter as of now: less one for every decay_time minutes without use (0: never). */
static inline uint32_t access_frequency(uint32_t access, int64_t now_ms, uint32_t decay_time) {
    uint32_t counter = access & 0xff;
    if (decay_time == 0) return counter;
    uint32_t idle = (access_minutes(now_ms) - (access >> 8)) & 0xffff;
    uint32_t periods = idle / decay_time;
    return periods > counter ? 0 : counter - periods;
}

/** LFU: one more use: the counter grows with probability 1 / ((counter - initial) * factor + 1). */
static inline uint32_t access_lfu_used(uint32_t access, int64_t now_ms, uint32_t decay_time,
                                       uint32_t log_factor, struct random *random) {
    uint32_t counter = access_frequency(access, now_ms, decay_time);
    if (counter < ACCESS_LFU_MAX) {
        uint64_t above = counter > ACCESS_LFU_INITIAL ? counter - ACCESS_LFU_INITIAL : 0;
        if (random_below(random, above * log_factor + 1) == 0) counter++;
    }
    return access_minutes(now_ms) << 8 | counter;
}

#endif
