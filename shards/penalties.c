// SPDX-License-Identifier: BSD-3-Clause
//
// Penalties: a hash table without chains. An address is looked for in a few neighbouring places;
// when all are taken by others, the one that failed longest ago gives its place up. Runs on the
// shard's thread. Invariant: the work of a call is bounded, and so is the memory.
#include "shards/penalties.h"

#include "engine/base/alloc.h"

#define PLACES 1024 // a power of two
#define LOOKED 8    // neighbours

struct penalty {
    uint64_t address; // 0: free
    int64_t last_ms;
    uint32_t failures;
};

static struct penalty *place_of(struct penalties *p, uint64_t address) {
    uint64_t hash = address * 0x9e3779b97f4a7c15;
    struct penalty *oldest = NULL;
    for (uint64_t i = 0; i < LOOKED; i++) {
        struct penalty *at = &p->table[((hash >> 32) + i) % PLACES];
        if (at->address == address) return at;
        if (oldest == NULL || at->last_ms < oldest->last_ms) oldest = at;
    }
    *oldest = (struct penalty){.address = address};
    return oldest;
}

int64_t penalties_add(struct penalties *p, uint64_t address, int64_t now_ms) {
    if (p->table == NULL) p->table = mem_calloc(PLACES * sizeof *p->table);
    struct penalty *at = place_of(p, address);
    if (now_ms - at->last_ms > PENALTIES_FORGET_MS) at->failures = 0;
    at->last_ms = now_ms;
    if (at->failures < UINT32_MAX) at->failures++;
    if (at->failures <= PENALTIES_FREE) return 0;
    int64_t wait_ms = PENALTIES_FIRST_MS;
    for (uint32_t i = PENALTIES_FREE + 1; i < at->failures && wait_ms < PENALTIES_MOST_MS; i++)
        wait_ms *= 2;
    return wait_ms < PENALTIES_MOST_MS ? wait_ms : PENALTIES_MOST_MS;
}

void penalties_fini(struct penalties *p) {
    mem_free(p->table);
    p->table = NULL;
}
