// SPDX-License-Identifier: BSD-3-Clause
//
// The bucket array's memory: small allocations, then reserved address space that is committed and
// given back in chunks. It runs on the thread that owns the table. Reserved space costs page tables
// only where it is used. When little address space is to be had (RLIMIT_AS), a smaller piece is
// reserved, and when that is full its pages move to a larger one, by page tables and not by
// copying. A large array stands on huge pages (where the system lets programs ask for them): random
// lookups in it then hardly miss the TLB, which in a virtual machine costs as much as the cache
// miss itself. Invariant: bytes of the mapping behind `committed`, rounded up to a huge page if the
// array is large, are inaccessible and hold no memory. Called by table.c only.
#include "engine/keyspace/table_memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"

#define SMALL_MAX   ((size_t)4096)     // longest array that is an ordinary allocation, bytes
#define SMALL_AGAIN ((size_t)1024)     // a mapping goes back to an allocation from here down
#define RESERVE_MAX ((size_t)64 << 30) // address space reserved at first, bytes
#define RESERVE_MIN ((size_t)1 << 20)
#define CHUNK_MIN   ((size_t)4 << 10) // what committing and giving back is rounded to
#define CHUNK_MAX   ((size_t)256 << 10)
#define HUGE_PAGE   ((size_t)2 << 20)
#define HUGE_MIN    ((size_t)4 << 20) // from here on, usable memory grows by huge pages

_Noreturn static void exhausted(size_t bytes) {
    fprintf(stderr, "torc: out of memory: a hash table of %zu bytes finds no address space: %s\n",
            bytes, strerror(errno));
    abort();
}

/**
 * What the array of that many bytes is committed in: bounded, and small beside the array, so that
 * it is small beside a limit on memory, too.
 */
static size_t chunk_for(size_t bytes) {
    size_t chunk = CHUNK_MIN;
    while (chunk < CHUNK_MAX && chunk * 32 <= bytes) chunk *= 2;
    return chunk;
}

static size_t round_up(size_t n, size_t to) { return (n + to - 1) & ~(to - 1); }

/** How much of the mapping is accessible when so many bytes are committed. */
static size_t usable_for(size_t committed) {
    return committed < HUGE_MIN ? committed : round_up(committed, HUGE_PAGE);
}

/**
 * Reserves inaccessible address space at a multiple of a huge page: as much as wanted, or less but
 * more than `least` bytes.
 */
static void *reserve(size_t wanted, size_t least, size_t *reserved) {
    for (size_t n = wanted; n > least; n /= 2) {
        size_t more = n + HUGE_PAGE;
        char *p = mmap(NULL, more, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED) continue;
        char *aligned = (char *)round_up((uintptr_t)p, HUGE_PAGE);
        size_t before = (size_t)(aligned - p);
        if (before > 0) munmap(p, before);
        if (before < HUGE_PAGE) munmap(aligned + n, HUGE_PAGE - before);
        *reserved = n;
        return aligned;
    }
    exhausted(least);
}

static void commit(struct table *t, size_t bytes) {
    size_t from = usable_for(t->committed), to = usable_for(bytes);
    if (to > t->reserved) to = t->reserved;
    if (to > from) {
        char *p = (char *)t->buckets + from;
        if (mprotect(p, to - from, PROT_READ | PROT_WRITE) != 0) exhausted(bytes);
        // Without the system's consent the pages are just ordinary ones.
        if (to >= HUGE_MIN) (void)madvise(t->buckets, to, MADV_HUGEPAGE);
    }
    mem_count((int64_t)(bytes - t->committed));
    t->committed = bytes;
}

/** The reserved space is full: its pages move into a larger one. */
static void move_to_larger(struct table *t) {
    size_t reserved;
    void *place = reserve(t->reserved > RESERVE_MAX / 2 ? t->reserved * 2 : RESERVE_MAX,
                          t->reserved, &reserved);
    // The usable prefix is one mapping: moving it over the new space carries its pages along.
    size_t usable = usable_for(t->committed);
    if (usable > t->reserved) usable = t->reserved;
    void *moved = mremap(t->buckets, usable, usable, MREMAP_MAYMOVE | MREMAP_FIXED, place);
    if (moved == MAP_FAILED) exhausted(t->committed);
    if (usable < t->reserved) munmap((char *)t->buckets + usable, t->reserved - usable);
    t->buckets = moved;
    t->reserved = reserved;
}

static void grow_small(struct table *t, size_t bytes) {
    size_t n = t->committed == 0 ? TABLE__BUCKET_BYTES : t->committed;
    while (n < bytes) n *= 2;
    uint64_t *buckets = mem_alloc_aligned(n, TABLE__BUCKET_BYTES);
    if (t->committed != 0) memcpy(buckets, t->buckets, t->committed);
    memset((char *)buckets + t->committed, 0, n - t->committed);
    mem_free(t->buckets);
    t->buckets = buckets;
    t->committed = n;
}

static void small_to_mapping(struct table *t, size_t bytes) {
    uint64_t *small = t->buckets;
    size_t used = t->committed;
    t->buckets = reserve(RESERVE_MAX, round_up(bytes, RESERVE_MIN) / 2, &t->reserved);
    t->committed = 0;
    commit(t, round_up(bytes, chunk_for(bytes)));
    if (used != 0) memcpy(t->buckets, small, used);
    mem_free(small);
}

static void mapping_to_small(struct table *t) {
    uint64_t *buckets = mem_alloc_aligned(SMALL_MAX, TABLE__BUCKET_BYTES);
    memcpy(buckets, t->buckets, SMALL_MAX);
    table__memory_free(t);
    t->buckets = buckets;
    t->committed = SMALL_MAX;
}

void table__memory_grow(struct table *t, uint64_t nbuckets) {
    size_t bytes = nbuckets * TABLE__BUCKET_BYTES;
    if (bytes <= t->committed) return;
    if (t->reserved == 0) {
        if (bytes <= SMALL_MAX) {
            grow_small(t, bytes);
        } else {
            small_to_mapping(t, bytes);
        }
        return;
    }
    size_t wanted = round_up(bytes, chunk_for(bytes));
    if (wanted > t->reserved) wanted = bytes > t->reserved ? wanted : t->reserved;
    if (wanted > t->reserved) move_to_larger(t);
    commit(t, wanted);
}

void table__memory_shrink(struct table *t, uint64_t nbuckets) {
    size_t bytes = nbuckets * TABLE__BUCKET_BYTES;
    if (t->reserved == 0) {
        // Small arrays halve when a quarter would do.
        if (t->committed <= TABLE__BUCKET_BYTES || bytes * 4 > t->committed) return;
        size_t n = t->committed / 2;
        uint64_t *buckets = mem_alloc_aligned(n, TABLE__BUCKET_BYTES);
        memcpy(buckets, t->buckets, n);
        mem_free(t->buckets);
        t->buckets = buckets;
        t->committed = n;
        return;
    }
    if (bytes <= SMALL_AGAIN) {
        mapping_to_small(t);
        return;
    }
    size_t chunk = chunk_for(bytes);
    size_t keep = round_up(bytes, chunk) + chunk; // a chunk of air, so that it does not swing
    if (keep + chunk > t->committed) return;
    size_t from = usable_for(keep), end = usable_for(t->committed);
    if (end > t->reserved) end = t->reserved;
    if (end > from) {
        char *p = (char *)t->buckets + from;
        if (madvise(p, end - from, MADV_DONTNEED) != 0) return;
        if (mprotect(p, end - from, PROT_NONE) != 0) {
            // No second mapping is to be had: the space stays usable and counted, but empty.
            return;
        }
    }
    mem_count(-(int64_t)(t->committed - keep));
    t->committed = keep;
}

void table__memory_free(struct table *t) {
    if (t->reserved != 0) {
        munmap(t->buckets, t->reserved);
        mem_count(-(int64_t)t->committed);
    } else {
        mem_free(t->buckets);
    }
    t->buckets = NULL;
    t->committed = 0;
    t->reserved = 0;
}
