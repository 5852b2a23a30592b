// SPDX-License-Identifier: BSD-3-Clause
//
// Small blocks, packed: cells of one size each, in steps of 8 bytes up to 256, 16 up to 512, 32 up
// to 1024, then as many of a size as fit, up to SLAB_MAX; in 64 KiB pages of one part of the
// address space. Most of a cache's memory is entries of a few dozen bytes, so what a size class
// rounds off is paid millions of times. The parts of large values, up to SLAB_MAX, are here for
// another reason: when the freeing thread gives up ten million elements, they come back in bounded
// steps, where a general allocator takes all back at once, in the middle of a request. alloc.c
// stands on it; nobody else calls it but its test. A thread's heap owns pages and hands out their
// cells; only the owner touches a page, so the fast paths have no atomics. A cell that another
// thread frees goes on a lock-free stack of the heap, from which the owner takes it back.
// Invariant: a page that has a free cell is in its class's list; one without live cells is given
// back, unless it is the only one of that list.
//
//   region:   | segment 0 (4 MiB) | segment 1 | ...        claimed by heaps, bit by bit
//   segment:  | page 0 (64 KiB) | page 1 | ... | page 63 |
//   page:     | cell | cell | ...                          described in slab_region.pages
//
// A cell is aligned to the largest power of two that divides its size, to 8 at least and to 64
// above 1 KiB; a type's size is a multiple of its alignment.
#ifndef TORC_ENGINE_BASE_SLAB_H
#define TORC_ENGINE_BASE_SLAB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/assert.h"

#define SLAB_MAX           16384 // largest cell, bytes: four to a page
#define SLAB_SMALL         1024  // up to here, classes are in even steps
#define SLAB_SMALL_CLASSES 64
#define SLAB_MOST          60 // cells of a page in the first class above
#define SLAB_CLASSES       (SLAB_SMALL_CLASSES + SLAB_MOST - 3)
#define SLAB_PAGE_SHIFT    16
#define SLAB_PAGE_BYTES    ((size_t)1 << SLAB_PAGE_SHIFT)
#define SLAB_SEGMENT_PAGES 64 // one bit of a word each
#define SLAB_SEGMENT_BYTES (SLAB_SEGMENT_PAGES * SLAB_PAGE_BYTES)

/** What is known of a page, away from the page: pages' own first lines would share cache sets. */
struct slab_page {
    _Alignas(64) void *free;           // cells that can be handed out, linked by their first word
    struct slab_heap *heap;            // its owner
    struct slab_page *next, *previous; // its class's pages with free cells: a ring
    uint16_t used;                     // live cells
    uint16_t threaded;                 // cells that have been live or in `free` so far
    uint16_t capacity;                 // cells that fit
    uint16_t size;                     // bytes of a cell
    uint8_t class;
    bool listed;
};
_Static_assert(sizeof(struct slab_page) == 64, "a page's description is one cache line");

/** 64 pages that belong to one heap. */
struct slab_segment {
    struct slab_segment *next, *previous; // the heap's segments with free pages
    uint64_t free;                        // pages that are not in use
    uint64_t dirty;                       // those of them that still have memory
    bool reserved; // came from the reserve: pages that were never in use have memory, too
};

/** A thread's pages. */
struct slab_heap {
    struct slab_page *pages[SLAB_CLASSES]; // by class: the page that allocation goes on with
    struct slab_segment *segments;         // with free pages
    void *pending;                         // taken from `remote`, not yet back in their pages
    uint32_t dirty;                        // free pages that still have memory
    uint32_t used_pages;
    uint32_t returns;                       // calls by which memory went back to the system
    uint32_t idle;                          // calls of slab_settle() since it last took a page
    bool wants_reserve;                     // somebody should make one; see slab_make_reserve()
    _Alignas(64) _Atomic(void *) remote;    // cells that other threads have freed: a stack
    _Atomic(struct slab_segment *) reserve; // made by another thread, taken by the owner
};

/** The part of the address space, the process's one; constant once slab_prepare() has returned. */
struct slab_region {
    uintptr_t base;                // multiple of SLAB_SEGMENT_BYTES
    size_t bytes;                  // 0: no address space was to be had, all allocations fail
    uint16_t *units;               // by page: size of its cells / 8
    struct slab_page *pages;       // by page
    struct slab_segment *segments; // by segment
    _Atomic uint64_t *claimed;     // a bit for each segment
};
extern struct slab_region slab__region;

/** Reserves the region; to be called before anything else here, by one thread. */
void slab_prepare(void);
void slab_heap_init(struct slab_heap *heap);
/**
 * Takes back up to `budget` cells that other threads have freed, fewer when much memory goes back
 * to the system by that. True: there are more.
 */
bool slab_collect(struct slab_heap *heap, uint32_t budget);
/**
 * Claims a segment for the heap and touches all of it, so that its owner, when it grows, need not
 * wait for the system to find and clear 2 MiB at a time: on another thread than the owner's, in
 * answer to wants_reserve, which the owner sets back before.
 */
void slab_make_reserve(struct slab_heap *heap);
/**
 * Gives back memory of free pages that waits for its neighbours in vain since the heap has become
 * smaller: looks at up to `budget` pages and segments.
 */
void slab_settle(struct slab_heap *heap, uint32_t budget);
/**
 * Takes back all that others have freed, and gives all memory back to the system that holds no
 * live cell.
 */
void slab_trim(struct slab_heap *heap);
/** Whether the heap's lists and counts agree (tests). Walks everything. */
bool slab_is_valid(const struct slab_heap *heap);

void *slab__alloc_slow(struct slab_heap *heap, unsigned class);
void slab__freed(struct slab_heap *heap, struct slab_page *page);
void slab__free_remote(struct slab_heap *owner, void *p);

/** The class of blocks of n bytes, 0 < n <= SLAB_MAX. */
static inline unsigned slab_class(size_t n) {
    if (likely(n <= 256)) return (unsigned)((n + 7) / 8 - 1);
    if (n <= 512) return (unsigned)(31 + (n - 256 + 15) / 16);
    if (n <= SLAB_SMALL) return (unsigned)(47 + (n - 512 + 31) / 32);
    // Sizes are multiples of 64: of those, the largest that goes as often into a page as n does.
    unsigned lines = ((unsigned)n + 63) / 64;
    return SLAB_SMALL_CLASSES + SLAB_MOST - (unsigned)(SLAB_PAGE_BYTES / 64) / lines;
}

/** Bytes of a class's cells. */
static inline size_t slab_class_size(unsigned class) {
    if (class < 32) return (class + 1) * (size_t)8;
    if (class < 48) return 256 + (class - 31) * (size_t)16;
    if (class < SLAB_SMALL_CLASSES) return 512 + (class - 47) * (size_t)32;
    return SLAB_PAGE_BYTES / 64 / (SLAB_SMALL_CLASSES + SLAB_MOST - class) * 64;
}

/** Whether p is a cell of any heap. */
static inline bool slab_owns(const void *p) {
    return (uintptr_t)p - slab__region.base < slab__region.bytes;
}

static inline size_t slab__index(const void *p) {
    return ((uintptr_t)p - slab__region.base) >> SLAB_PAGE_SHIFT;
}

/** Bytes of the cell p. */
static inline size_t slab_usable(const void *p) {
    return slab__region.units[slab__index(p)] * (size_t)8;
}

/** A cell of n bytes or a little more, 0 < n <= SLAB_MAX; NULL when there is no memory. */
static inline void *slab_alloc(struct slab_heap *heap, size_t n) {
    unsigned class = slab_class(n);
    struct slab_page *page = heap->pages[class];
    if (unlikely(page == NULL || page->free == NULL)) return slab__alloc_slow(heap, class);
    void *cell = page->free;
    page->free = *(void **)cell;
    page->used++;
    return cell;
}

/** Frees a cell of any heap; `heap` is the calling thread's. Returns the cell's bytes. */
static inline size_t slab_free(struct slab_heap *heap, void *p) {
    struct slab_page *page = &slab__region.pages[slab__index(p)];
    size_t size = page->size;
    if (unlikely(page->heap != heap)) {
        slab__free_remote(page->heap, p);
        return size;
    }
    ASSERT_DEV(page->used > 0 && ((uintptr_t)p & (SLAB_PAGE_BYTES - 1)) % size == 0);
    *(void **)p = page->free;
    page->free = p;
    if (unlikely(--page->used == 0 || !page->listed)) slab__freed(heap, page);
    return size;
}

#endif
