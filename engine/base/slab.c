// SPDX-License-Identifier: BSD-3-Clause
//
// The slow half of slab.h: pages come and go, segments are claimed and released, cells come back
// from other threads. It runs on the thread that owns the heap, save slab__free_remote(), and
// claiming, which is an atomic bit. Every step is bounded: a page's cells are linked 4 KiB at a
// time, cells of other threads come back 64 at a time, and pages are given back by one call to the
// system. A heap that has grown takes huge pages, which halve the cost of a random access. So
// memory goes back by halves of segments, 2 MiB, as they become free, and page by page only when
// more than an eighth is free otherwise; what holds live cells cannot. Called through slab.h by
// alloc.c.
#include "engine/base/slab.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define REGION_MIN   ((size_t)64 << 20) // not worth having with less, bytes
#define KEEP_DIRTY   16                 // free pages that keep their memory in any case
#define HUGE_FROM    512  // pages in use (32 MiB) from which on 4 MiB more do not count
#define HALF_PAGES   32   // of a segment: 2 MiB, what one huge page backs
#define THREAD_BYTES 4096 // cells that are linked at a time
#define COLLECT_STEP 64
#define RETURNS_MAX  4    // calls that give memory back, of one collecting
#define TOUCH_BYTES  4096 // the smallest page the system has
#define RESERVE_WHEN 32   // so many free pages or fewer are left: time for the next segment
#define RESERVE_IDLE 20   // calls of slab_settle() without growth, after which no reserve is kept
#define ALL_PAGES    UINT64_MAX

struct slab_region slab__region;

/** Twice the machine's memory, and not more than a quarter of what the process may map. */
static size_t wanted_bytes(void) {
    size_t bytes = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE) * 2;
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        limit.rlim_cur / 4 < bytes) {
        bytes = limit.rlim_cur / 4;
    }
    return bytes;
}

static void *map(size_t bytes, int protection) {
    void *p = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

/** The arrays that describe a region of so many bytes; they are all zero and hold no memory yet. */
static bool map_arrays(struct slab_region *r, size_t bytes) {
    size_t pages = bytes / SLAB_PAGE_BYTES, segments = bytes / SLAB_SEGMENT_BYTES;
    size_t claimed_bytes = (segments + 63) / 64 * sizeof(uint64_t);
    size_t pages_at = (claimed_bytes + 63) / 64 * 64;
    size_t segments_at = pages_at + pages * sizeof(struct slab_page);
    size_t units_at = segments_at + segments * sizeof(struct slab_segment);
    char *p = map(units_at + pages * sizeof(uint16_t), PROT_READ | PROT_WRITE);
    if (p == NULL) return false;
    r->claimed = (void *)p;
    r->pages = (void *)(p + pages_at);
    r->segments = (void *)(p + segments_at);
    r->units = (void *)(p + units_at);
    return true;
}

void slab_prepare(void) {
    struct slab_region r = {0};
    for (size_t n = wanted_bytes(); n >= REGION_MIN; n /= 2) {
        size_t bytes = n / SLAB_SEGMENT_BYTES * SLAB_SEGMENT_BYTES;
        char *p = map(bytes + SLAB_SEGMENT_BYTES, PROT_NONE);
        if (p == NULL) continue;
        if (!map_arrays(&r, bytes)) {
            munmap(p, bytes + SLAB_SEGMENT_BYTES);
            return;
        }
        r.base = ((uintptr_t)p + SLAB_SEGMENT_BYTES - 1) / SLAB_SEGMENT_BYTES * SLAB_SEGMENT_BYTES;
        r.bytes = bytes;
        slab__region = r;
        return;
    }
}

void slab_heap_init(struct slab_heap *heap) { memset(heap, 0, sizeof(*heap)); }

static size_t index_of_segment(const struct slab_segment *s) {
    return (size_t)(s - slab__region.segments);
}

static char *segment_memory(const struct slab_segment *s) {
    return (char *)slab__region.base + index_of_segment(s) * SLAB_SEGMENT_BYTES;
}

static void list_segment(struct slab_heap *heap, struct slab_segment *s) {
    s->previous = NULL;
    s->next = heap->segments;
    if (s->next != NULL) s->next->previous = s;
    heap->segments = s;
}

static void unlist_segment(struct slab_heap *heap, struct slab_segment *s) {
    if (s->next != NULL) s->next->previous = s->previous;
    if (s->previous != NULL) {
        s->previous->next = s->next;
    } else {
        heap->segments = s->next;
    }
}

/** The index of a segment that was nobody's and is the caller's now; SIZE_MAX: none is left. */
static size_t claim_index(void) {
    size_t segments = slab__region.bytes / SLAB_SEGMENT_BYTES;
    for (size_t word = 0; word * 64 < segments; word++) {
        _Atomic uint64_t *at = &slab__region.claimed[word];
        uint64_t bits = atomic_load_explicit(at, memory_order_relaxed);
        while (~bits != 0) {
            size_t bit = (size_t)__builtin_ctzll(~bits);
            if (word * 64 + bit >= segments) return SIZE_MAX;
            if (atomic_compare_exchange_weak_explicit(at, &bits, bits | UINT64_C(1) << bit,
                                                      memory_order_acquire, memory_order_relaxed)) {
                return word * 64 + bit;
            }
        }
    }
    return SIZE_MAX;
}

static void unclaim(size_t index) {
    atomic_fetch_and_explicit(&slab__region.claimed[index / 64], ~(UINT64_C(1) << index % 64),
                              memory_order_release);
}

/** A segment that can be used and is in no heap's list yet. */
static struct slab_segment *open_segment(bool huge) {
    size_t index = claim_index();
    if (index == SIZE_MAX) return NULL;
    struct slab_segment *s = &slab__region.segments[index];
    if (mprotect(segment_memory(s), SLAB_SEGMENT_BYTES, PROT_READ | PROT_WRITE) != 0) {
        unclaim(index);
        return NULL;
    }
    // Where the system has no huge pages it says so, and nothing is lost.
    if (huge) madvise(segment_memory(s), SLAB_SEGMENT_BYTES, MADV_HUGEPAGE);
    s->free = ALL_PAGES;
    s->dirty = 0;
    s->reserved = false;
    return s;
}

static struct slab_segment *claim_segment(struct slab_heap *heap) {
    struct slab_segment *s = NULL;
    if (atomic_load_explicit(&heap->reserve, memory_order_relaxed) != NULL)
        s = atomic_exchange_explicit(&heap->reserve, NULL, memory_order_acquire);
    if (s == NULL) s = open_segment(heap->used_pages >= HUGE_FROM);
    if (s != NULL) list_segment(heap, s);
    return s;
}

/** Gives a segment that nobody uses back: its memory to the system, its place to any heap. */
static void close_segment(struct slab_segment *s) {
    // A fresh mapping over it takes the pages away, and what strict overcommit counts.
    void *p = mmap(segment_memory(s), SLAB_SEGMENT_BYTES, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    ASSERT(p != MAP_FAILED);
    unclaim(index_of_segment(s));
}

void slab_make_reserve(struct slab_heap *heap) {
    struct slab_segment *s = open_segment(true);
    if (s == NULL) return;
    for (size_t at = 0; at < SLAB_SEGMENT_BYTES; at += TOUCH_BYTES)
        *(volatile char *)(segment_memory(s) + at) = 0;
    s->reserved = true;
    s = atomic_exchange_explicit(&heap->reserve, s, memory_order_acq_rel);
    if (s != NULL) close_segment(s); // asked for twice
}

static void drop_reserve(struct slab_heap *heap) {
    if (atomic_load_explicit(&heap->reserve, memory_order_relaxed) == NULL) return;
    struct slab_segment *s = atomic_exchange_explicit(&heap->reserve, NULL, memory_order_acquire);
    if (s != NULL) close_segment(s);
    heap->returns++;
}

/** A large heap that is running out of pages wants a reserve. */
static void consider_reserve(struct slab_heap *heap) {
    const struct slab_segment *s = heap->segments;
    heap->idle = 0;
    if (heap->used_pages < HUGE_FROM || (s != NULL && s->next != NULL)) return;
    if (s != NULL && __builtin_popcountll(s->free) > RESERVE_WHEN) return;
    heap->wants_reserve = atomic_load_explicit(&heap->reserve, memory_order_relaxed) == NULL;
}

/** Gives a segment without pages in use back: its memory to the system, its place to any heap. */
static void release_segment(struct slab_heap *heap, struct slab_segment *s) {
    ASSERT(s->free == ALL_PAGES);
    heap->dirty -= (uint32_t)__builtin_popcountll(s->dirty);
    unlist_segment(heap, s);
    close_segment(s);
    heap->returns++;
}

static void drop_memory(struct slab_heap *heap, struct slab_segment *s, unsigned page, size_t n) {
    uint64_t mask = (ALL_PAGES >> (SLAB_SEGMENT_PAGES - n)) << page;
    ASSERT((s->free & mask) == mask);
    heap->dirty -= (uint32_t)__builtin_popcountll(s->dirty & mask);
    s->dirty &= ~mask;
    heap->returns++;
    madvise(segment_memory(s) + page * SLAB_PAGE_BYTES, n * SLAB_PAGE_BYTES, MADV_DONTNEED);
}

/**
 * More free pages keep their memory than may wait for their halves, or to be taken again: a small
 * heap that does not grow keeps none.
 */
static bool keeps_too_many(const struct slab_heap *heap) {
    if (heap->idle >= RESERVE_IDLE && heap->used_pages < HUGE_FROM) return heap->dirty > 0;
    return heap->dirty > KEEP_DIRTY + heap->used_pages / 8;
}

/** A page has become free: its memory goes back, or waits for the rest of its half. */
static void give_back(struct slab_heap *heap, struct slab_segment *s, unsigned page) {
    heap->dirty++;
    s->dirty |= UINT64_C(1) << page;
    if (heap->dirty <= KEEP_DIRTY) return;
    unsigned first = page / HALF_PAGES * HALF_PAGES;
    uint32_t half = (uint32_t)(s->free >> first);
    if (half == UINT32_MAX) {
        drop_memory(heap, s, first, HALF_PAGES);
    } else if (keeps_too_many(heap)) {
        drop_memory(heap, s, page, 1);
    }
}

/** Puts a page at the end of its class's ring: it fills up last and may yet become empty. */
static void list_page(struct slab_heap *heap, struct slab_page *page) {
    struct slab_page *first = heap->pages[page->class];
    page->listed = true;
    if (first == NULL) {
        page->next = page->previous = page;
        heap->pages[page->class] = page;
        return;
    }
    page->next = first;
    page->previous = first->previous;
    page->previous->next = page;
    first->previous = page;
}

static void unlist_page(struct slab_heap *heap, struct slab_page *page) {
    page->listed = false;
    if (page->next == page) {
        heap->pages[page->class] = NULL;
        return;
    }
    page->next->previous = page->previous;
    page->previous->next = page->next;
    if (heap->pages[page->class] == page) heap->pages[page->class] = page->next;
}

static struct slab_page *take_page(struct slab_heap *heap, unsigned class) {
    struct slab_segment *s = heap->segments;
    if (s == NULL && (s = claim_segment(heap)) == NULL) return NULL;
    uint64_t from = s->dirty != 0 ? s->dirty : s->free;
    unsigned bit = (unsigned)__builtin_ctzll(from);
    uint64_t mask = UINT64_C(1) << bit;
    if (s->dirty & mask) heap->dirty--;
    s->dirty &= ~mask;
    s->free &= ~mask;
    if (s->free == 0) unlist_segment(heap, s);
    consider_reserve(heap);

    size_t index = index_of_segment(s) * SLAB_SEGMENT_PAGES + bit;
    size_t size = slab_class_size(class);
    struct slab_page *page = &slab__region.pages[index];
    *page = (struct slab_page){
        .heap = heap,
        .capacity = (uint16_t)(SLAB_PAGE_BYTES / size),
        .size = (uint16_t)size,
        .class = (uint8_t) class,
    };
    slab__region.units[index] = (uint16_t)(size / 8);
    heap->used_pages++;
    list_page(heap, page);
    return page;
}

/** Gives up a page without live cells. */
static void release_page(struct slab_heap *heap, struct slab_page *page) {
    ASSERT(page->used == 0);
    unlist_page(heap, page);
    heap->used_pages--;
    size_t index = (size_t)(page - slab__region.pages);
    struct slab_segment *s = &slab__region.segments[index / SLAB_SEGMENT_PAGES];
    unsigned bit = (unsigned)(index % SLAB_SEGMENT_PAGES);
    slab__region.units[index] = 0;
    page->heap = NULL;
    // To the front: its memory is used again first.
    if (s->free != 0) unlist_segment(heap, s);
    list_segment(heap, s);
    s->free |= UINT64_C(1) << bit;
    give_back(heap, s, bit);
    // One free segment stays, so that a page that comes and goes does not take it along.
    bool only = s->next == NULL && s->previous == NULL;
    if (s->free == ALL_PAGES && !only) release_segment(heap, s);
}

/** Links some more cells of a page, in the order of their addresses. */
static void thread_cells(struct slab_page *page) {
    size_t n = page->size < THREAD_BYTES ? THREAD_BYTES / page->size : 1;
    size_t left = (size_t)page->capacity - page->threaded;
    if (n > left) n = left;
    size_t index = (size_t)(page - slab__region.pages);
    char *cell =
        (char *)slab__region.base + index * SLAB_PAGE_BYTES + (size_t)page->threaded * page->size;
    page->free = cell;
    for (size_t i = 1; i < n; i++, cell += page->size) *(void **)cell = cell + page->size;
    *(void **)cell = NULL;
    page->threaded = (uint16_t)(page->threaded + n);
}

void *slab__alloc_slow(struct slab_heap *heap, unsigned class) {
    slab_collect(heap, COLLECT_STEP);
    struct slab_page *page;
    while ((page = heap->pages[class]) != NULL) {
        if (page->free != NULL || page->threaded < page->capacity) break;
        unlist_page(heap, page); // full: its next free cell brings it back
    }
    if (page == NULL && (page = take_page(heap, class)) == NULL) return NULL;
    if (page->free == NULL) thread_cells(page);
    void *cell = page->free;
    page->free = *(void **)cell;
    page->used++;
    return cell;
}

void slab__freed(struct slab_heap *heap, struct slab_page *page) {
    if (!page->listed) list_page(heap, page);
    // The last page of a class stays: it would be taken again at once.
    if (page->used == 0 && page->next != page) release_page(heap, page);
}

void slab__free_remote(struct slab_heap *owner, void *p) {
    void *first = atomic_load_explicit(&owner->remote, memory_order_relaxed);
    do {
        *(void **)p = first;
    } while (!atomic_compare_exchange_weak_explicit(&owner->remote, &first, p, memory_order_release,
                                                    memory_order_relaxed));
}

bool slab_collect(struct slab_heap *heap, uint32_t budget) {
    // The counter wraps around; the difference does not mind.
    uint32_t before = heap->returns, most = budget < UINT32_MAX ? RETURNS_MAX : UINT32_MAX;
    for (; budget > 0 && heap->returns - before < most; budget--) {
        if (heap->pending == NULL) {
            if (atomic_load_explicit(&heap->remote, memory_order_relaxed) == NULL) return false;
            heap->pending = atomic_exchange_explicit(&heap->remote, NULL, memory_order_acquire);
        }
        void *cell = heap->pending;
        heap->pending = *(void **)cell;
        slab_free(heap, cell);
    }
    return true;
}

static void release_empty_pages(struct slab_heap *heap) {
    for (unsigned class = 0; class < SLAB_CLASSES; class ++) {
        struct slab_page *page = heap->pages[class];
        if (page != NULL && page->used == 0) release_page(heap, page);
    }
}

/**
 * A heap that does not grow needs no memory in advance: no reserve, nor what is left of one, nor
 * pages of sizes that nobody has.
 */
static void end_growth(struct slab_heap *heap) {
    drop_reserve(heap);
    if (heap->used_pages < HUGE_FROM) release_empty_pages(heap);
    struct slab_segment *s = heap->segments;
    for (int looks = 0; s != NULL && looks < RETURNS_MAX; s = s->next, looks++) {
        if (!s->reserved) continue;
        s->reserved = false;
        for (unsigned page = 0; page < SLAB_SEGMENT_PAGES; page += HALF_PAGES)
            if ((s->free >> page & (ALL_PAGES >> HALF_PAGES)) == ALL_PAGES >> HALF_PAGES)
                drop_memory(heap, s, page, HALF_PAGES);
    }
}

void slab_settle(struct slab_heap *heap, uint32_t budget) {
    struct slab_segment *s = heap->segments;
    if (heap->idle < RESERVE_IDLE && ++heap->idle == RESERVE_IDLE) end_growth(heap);
    if (keeps_too_many(heap)) drop_reserve(heap);
    for (; budget > 0 && s != NULL && keeps_too_many(heap); budget--) {
        if (s->dirty != 0) drop_memory(heap, s, (unsigned)__builtin_ctzll(s->dirty), 1);
        if (s->dirty == 0) s = s->next;
    }
}

static void drop_segments(struct slab_heap *heap) {
    for (struct slab_segment *s = heap->segments, *next; s != NULL; s = next) {
        next = s->next;
        if (s->free == ALL_PAGES) {
            release_segment(heap, s);
            continue;
        }
        while (s->dirty != 0) drop_memory(heap, s, (unsigned)__builtin_ctzll(s->dirty), 1);
    }
}

void slab_trim(struct slab_heap *heap) {
    slab_collect(heap, UINT32_MAX);
    release_empty_pages(heap);
    drop_segments(heap);
    drop_reserve(heap);
}

static bool page_is_valid(const struct slab_heap *heap, const struct slab_page *page,
                          unsigned class) {
    if (page->heap != heap || page->class != class || !page->listed) return false;
    if (page->size != slab_class_size(class) || page->threaded > page->capacity) return false;
    if (page->next->previous != page || page->previous->next != page) return false;
    if (slab__region.units[page - slab__region.pages] * (size_t)8 != page->size) return false;
    size_t free = 0;
    for (void *cell = page->free; cell != NULL; cell = *(void **)cell) {
        if (&slab__region.pages[slab__index(cell)] != page || free > page->capacity) return false;
        free++;
    }
    return page->used + free == page->threaded;
}

bool slab_is_valid(const struct slab_heap *heap) {
    for (unsigned class = 0; class < SLAB_CLASSES; class ++) {
        const struct slab_page *first = heap->pages[class], *page = first;
        for (; page != NULL; page = page->next == first ? NULL : page->next) {
            if (!page_is_valid(heap, page, class)) return false;
        }
    }
    uint32_t dirty = 0;
    for (const struct slab_segment *s = heap->segments; s != NULL; s = s->next) {
        if (s->free == 0 || (s->dirty & ~s->free) != 0) return false;
        dirty += (uint32_t)__builtin_popcountll(s->dirty);
    }
    return dirty == heap->dirty;
}
