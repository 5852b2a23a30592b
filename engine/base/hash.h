// SPDX-License-Identifier: BSD-3-Clause
//
// Hashing: the seeded 64-bit key hash that tables use (XXH3, xxHash library) and the CRC16 hash
// slot that routing uses (Redis Cluster specification: CRC16-XMODEM of the key or of its {hash
// tag}, modulo 16384). Pure functions; the only state is constant tables made at compile time.
#ifndef TORC_ENGINE_BASE_HASH_H
#define TORC_ENGINE_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/slice.h"

#define HASH_SLOTS 16384

/** 64-bit hash of bytes under seed. One seed for the whole process: all shards agree on a key's
 * hash. */
uint64_t hash_bytes(const void *p, size_t n, uint64_t seed);
/** CRC16 (XMODEM: polynomial 0x1021, initial 0), eight bytes a step. */
uint16_t hash_crc16(const void *p, size_t n);
/** The hash slot of a key, honouring its {hash tag}. Result < HASH_SLOTS. */
uint16_t hash_slot(struct slice key);

/** The shard, of nshards, that owns a slot. Contiguous ranges; stable over restarts. */
static inline uint32_t hash_slot_shard(uint16_t slot, uint32_t nshards) {
    return (uint32_t)slot * nshards / HASH_SLOTS;
}

/** The first slot of a shard; of shard nshards: HASH_SLOTS. */
static inline uint32_t hash_shard_slot(uint32_t shard, uint32_t nshards) {
    return (uint32_t)(((uint64_t)shard * HASH_SLOTS + nshards - 1) / nshards);
}

#endif
