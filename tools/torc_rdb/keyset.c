// SPDX-License-Identifier: BSD-3-Clause
//
// The set of keys' hashes: open addressing with linear probing, doubled when half full. Keys of
// different databases differ by the hash's seed. Main thread. Invariant: a hash of zero, which
// would be a free slot, counts as one.
#include "tools/torc_rdb/keyset.h"

#include "engine/base/alloc.h"
#include "engine/base/hash.h"

#define FIRST_SIZE 4096

static uint64_t *find(uint64_t *slots, size_t size, uint64_t hash) {
    size_t i = (size_t)hash & (size - 1);
    while (slots[i] != 0 && slots[i] != hash) i = (i + 1) & (size - 1);
    return &slots[i];
}

static void grow(struct keyset *s) {
    size_t size = s->size == 0 ? FIRST_SIZE : s->size * 2;
    uint64_t *slots = mem_calloc(size * sizeof(*slots));
    for (size_t i = 0; i < s->size; i++) {
        if (s->slots[i] != 0) *find(slots, size, s->slots[i]) = s->slots[i];
    }
    mem_free(s->slots);
    s->slots = slots;
    s->size = size;
}

bool keyset_add(struct keyset *s, uint32_t db, struct slice key) {
    if (s->count * 2 >= s->size) grow(s);
    // Of short keys the hash takes little more than their bits and the seed's: seeds that differ in
    // a few low bits would let keys of two databases meet.
    uint64_t hash = hash_bytes(key.p, key.n, (db + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15));
    if (hash == 0) hash = 1;
    uint64_t *slot = find(s->slots, s->size, hash);
    if (*slot == hash) return false;
    *slot = hash;
    s->count++;
    return true;
}

void keyset_fini(struct keyset *s) { mem_free(s->slots); }
