// SPDX-License-Identifier: BSD-3-Clause
//
// Cells and pages: every size class holds what it says at the alignment it promises, random
// allocation and freeing against a model, cells freed by other threads, memory that goes back, and
// pages that change their class. Works on heaps of its own, in all builds: under sanitizers too,
// where the program's own allocations go elsewhere.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "engine/base/alloc.h"
#include "engine/base/random.h"
#include "engine/base/slab.h"

static struct slab_heap *new_heap(void) {
    struct slab_heap *heap = aligned_alloc(64, sizeof(*heap));
    assert_non_null(heap);
    slab_heap_init(heap);
    return heap;
}

/** The heap must be empty: nothing is live, and nothing is held. */
static void end_heap(struct slab_heap *heap) {
    slab_trim(heap);
    assert_true(slab_is_valid(heap));
    assert_int_equal(heap->used_pages, 0);
    assert_int_equal(heap->dirty, 0);
    assert_null(heap->segments);
    assert_null(atomic_load(&heap->reserve));
    free(heap);
}

static void test_classes(void **state) {
    (void)state;
    size_t before = 0;
    for (unsigned class = 0; class < SLAB_CLASSES; class ++) {
        size_t size = slab_class_size(class);
        for (size_t n = before + 1; n <= size; n++) assert_int_equal(slab_class(n), class);
        size_t most = size <= 256 ? 8u : size <= 512 ? 16u : size <= SLAB_SMALL ? 32u : size / 4;
        assert_true(size - before <= most);
        before = size;
    }
    assert_int_equal(before, SLAB_MAX);
}

static void test_alignment(void **state) {
    (void)state;
    struct slab_heap *heap = new_heap();
    for (size_t n = 1; n <= SLAB_MAX; n += n < SLAB_SMALL ? 1 : 64) {
        void *cells[40];
        for (int i = 0; i < 40; i++) {
            cells[i] = slab_alloc(heap, n);
            assert_true(slab_owns(cells[i]));
            assert_true(slab_usable(cells[i]) >= n);
            assert_int_equal(slab_usable(cells[i]), slab_class_size(slab_class(n)));
            size_t promised = n & -n; // any alignment that divides the size ...
            if (n > SLAB_SMALL && promised > 64) promised = 64; // ... up to a cache line's
            assert_int_equal((uintptr_t)cells[i] % (promised < 8 ? 8 : promised), 0);
            memset(cells[i], 0xee, slab_usable(cells[i]));
        }
        assert_true(slab_is_valid(heap));
        for (int i = 0; i < 40; i++) slab_free(heap, cells[i]);
    }
    int local = 0;
    assert_false(slab_owns(&local));
    assert_false(slab_owns(NULL));
    end_heap(heap);
}

struct block {
    unsigned char *p;
    size_t n;
    unsigned char fill;
};

static void check_block(const struct block *b) {
    for (size_t i = 0; i < b->n; i++)
        if (b->p[i] != b->fill) fail_msg("byte %zu of %zu has changed", i, b->n);
}

/** What lives keeps its bytes, whatever comes and goes around it; sizes shift as it goes. */
static void test_model(void **state) {
    (void)state;
    enum { BLOCKS = 4000, STEPS = 200000 };
    struct slab_heap *heap = new_heap();
    struct block *blocks = calloc(BLOCKS, sizeof(*blocks));
    struct random r;
    random_init(&r, 11);
    for (int step = 0; step < STEPS; step++) {
        struct block *b = &blocks[random_below(&r, BLOCKS)];
        if (b->p != NULL) {
            check_block(b);
            assert_int_equal(slab_free(heap, b->p), slab_class_size(slab_class(b->n)));
            b->p = NULL;
        }
        if (random_below(&r, 3) != 0) {
            size_t most = (size_t)(step < STEPS / 2 ? 200 : SLAB_MAX);
            *b = (struct block){NULL, 1 + (size_t)random_below(&r, most), (unsigned char)step};
            b->p = slab_alloc(heap, b->n);
            assert_non_null(b->p);
            memset(b->p, b->fill, b->n);
        }
        if (step % 5000 == 0) assert_true(slab_is_valid(heap));
    }
    for (int i = 0; i < BLOCKS; i++) {
        if (blocks[i].p == NULL) continue;
        check_block(&blocks[i]);
        slab_free(heap, blocks[i].p);
    }
    free(blocks);
    end_heap(heap);
}

/** How many of a range's 4 KiB pages the system holds memory for. */
static size_t resident_pages(uintptr_t from, size_t bytes) {
    size_t pages = bytes / 4096, resident = 0;
    unsigned char *in_core = malloc(pages);
    assert_int_equal(mincore((void *)from, bytes, in_core), 0);
    for (size_t i = 0; i < pages; i++) resident += in_core[i] & 1;
    free(in_core);
    return resident;
}

/** Pages that one class has emptied serve another, and the rest of the memory goes back. */
static void test_give_back(void **state) {
    (void)state;
    enum { CELLS = 200000 };
    struct slab_heap *heap = new_heap();
    void **cells = malloc(CELLS * sizeof(*cells));
    size_t span = 64 * SLAB_SEGMENT_BYTES;
    size_t start = resident_pages(slab__region.base, span);
    uint32_t pages = 0;
    for (int round = 0; round < 5; round++) {
        size_t n = (size_t)(56 + round * 8), per_page = SLAB_PAGE_BYTES / n;
        for (int i = 0; i < CELLS; i++) memset(cells[i] = slab_alloc(heap, n), 1, n);
        pages = heap->used_pages;
        // No more than are full, one that is being filled, and one left by each former class.
        assert_in_range(pages, CELLS / per_page, CELLS / per_page + 2 + (size_t)round);
        size_t full = resident_pages(slab__region.base, span) - start;
        assert_in_range(full * 4096, CELLS * n, (size_t)(pages + 16 + 31) * SLAB_PAGE_BYTES);
        for (int i = 0; i < CELLS; i++) slab_free(heap, cells[i * 7919 % CELLS]);
        assert_in_range(heap->used_pages, 1, round + 1);
        slab_settle(heap, 1000);
        size_t empty = resident_pages(slab__region.base, span) - start;
        // 1 MiB, the pages that are left, and what one huge page holds besides such a page.
        assert_in_range(empty * 4096, 0, (size_t)(17 + round + 31) * SLAB_PAGE_BYTES);
        assert_true(slab_is_valid(heap));
    }
    slab_trim(heap);
    assert_int_equal(resident_pages(slab__region.base, span), start);
    free(cells);
    end_heap(heap);
}

/** A page with holes is filled before a new one is taken. */
static void test_holes(void **state) {
    (void)state;
    enum { CELLS = 50000 };
    struct slab_heap *heap = new_heap();
    void **cells = malloc(CELLS * sizeof(*cells));
    for (int i = 0; i < CELLS; i++) cells[i] = slab_alloc(heap, 72);
    uint32_t pages = heap->used_pages;
    for (int i = 0; i < CELLS; i += 3) slab_free(heap, cells[i]);
    for (int i = 0; i < CELLS; i += 3) cells[i] = slab_alloc(heap, 72);
    assert_int_equal(heap->used_pages, pages);
    assert_true(slab_is_valid(heap));
    for (int i = 0; i < CELLS; i++) slab_free(heap, cells[i]);
    free(cells);
    end_heap(heap);
}

#define THREADS 3
#define HANDED  20000

struct side {
    struct slab_heap *heap;
    struct side *sides;
    pthread_barrier_t *barrier;
    void *cells[HANDED];
    int number;
};

/** Each thread frees what its neighbour has allocated, while all of them allocate on. */
static void *exchange(void *context) {
    struct side *s = context;
    struct side *neighbour = &s->sides[(s->number + 1) % THREADS];
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < HANDED; i++) {
            s->cells[i] = slab_alloc(s->heap, (size_t)(16 + i % 50));
            memset(s->cells[i], s->number, 16);
        }
        pthread_barrier_wait(s->barrier);
        for (int i = 0; i < HANDED; i++) {
            char *cell = neighbour->cells[i];
            if (cell[15] != neighbour->number) abort();
            slab_free(s->heap, cell);
            if (i % 4 == 0) slab_free(s->heap, slab_alloc(s->heap, (size_t)(16 + i % 50)));
        }
        pthread_barrier_wait(s->barrier);
        slab_collect(s->heap, 100000);
        if (!slab_is_valid(s->heap)) abort();
    }
    return NULL;
}

static void test_other_threads(void **state) {
    (void)state;
    struct side *sides = calloc(THREADS, sizeof(*sides));
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, THREADS);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        sides[i].heap = new_heap();
        sides[i].sides = sides;
        sides[i].barrier = &barrier;
        sides[i].number = i;
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, exchange, &sides[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++) end_heap(sides[i].heap);
    pthread_barrier_destroy(&barrier);
    free(sides);
}

/** What others have freed comes back in bounded steps. */
static void test_collecting(void **state) {
    (void)state;
    struct slab_heap *owner = new_heap(), *other = new_heap();
    void *cells[1000];
    for (int i = 0; i < 1000; i++) cells[i] = slab_alloc(owner, 40);
    assert_int_equal(owner->used_pages, 1);
    for (int i = 0; i < 1000; i++) assert_int_equal(slab_free(other, cells[i]), 40);
    unsigned class = slab_class(40);
    assert_int_equal(owner->pages[class]->used, 1000);
    slab_collect(owner, 300);
    assert_int_equal(owner->pages[class]->used, 700);
    slab_collect(owner, 5000);
    assert_int_equal(owner->pages[class]->used, 0);
    end_heap(owner);
    end_heap(other);
}

/** Without a free segment a heap has no cells, and the allocator takes its blocks elsewhere. */
static void test_no_room(void **state) {
    (void)state;
    size_t words = (slab__region.bytes / SLAB_SEGMENT_BYTES + 63) / 64;
    uint64_t *claimed = malloc(words * sizeof(*claimed));
    for (size_t i = 0; i < words; i++) {
        claimed[i] = atomic_exchange(&slab__region.claimed[i], UINT64_MAX);
    }
    struct slab_heap *heap = new_heap();
    assert_null(slab_alloc(heap, 50));
    int64_t start = mem_used();
    enum { BLOCKS = 2 * SLAB_SEGMENT_BYTES / SLAB_MAX };
    char **blocks = malloc(BLOCKS * sizeof(*blocks));
    for (int i = 0; i < BLOCKS; i++) memset(blocks[i] = mem_alloc(SLAB_MAX), 1, SLAB_MAX);
    assert_false(slab_owns(blocks[BLOCKS - 1]));
    for (size_t i = 0; i < words; i++) atomic_store(&slab__region.claimed[i], claimed[i]);
    free(claimed);
    void *cell = slab_alloc(heap, 50);
    assert_non_null(cell);
    slab_free(heap, cell);
    // What came from elsewhere is resized and freed as ever.
    for (int i = 0; i < BLOCKS; i++) mem_free(blocks[i] = mem_realloc(blocks[i], 100));
    assert_int_equal(mem_used(), start);
    free(blocks);
    end_heap(heap);
}

/** A small heap that stays as it is holds memory for what lives in it, and for nothing else. */
static void test_idle(void **state) {
    (void)state;
    struct slab_heap *heap = new_heap();
    void *cells[SLAB_CLASSES], *kept = slab_alloc(heap, 100);
    for (unsigned class = 0; class < SLAB_CLASSES; class ++)
        cells[class] = memset(slab_alloc(heap, slab_class_size(class)), 1, slab_class_size(class));
    for (unsigned class = 0; class < SLAB_CLASSES; class ++) slab_free(heap, cells[class]);
    uint32_t before = heap->used_pages;
    assert_true(before > 100); // each class's last page stays, in case it is wanted again
    for (int i = 0; i < 10; i++) slab_settle(heap, 8);
    assert_int_equal(heap->used_pages, before);
    for (int i = 0; i < 100; i++) slab_settle(heap, 8);
    assert_int_equal(heap->used_pages, 1);
    assert_int_equal(heap->dirty, 0);
    uintptr_t page = (uintptr_t)kept & ~(uintptr_t)(SLAB_PAGE_BYTES - 1);
    uintptr_t segment = page & ~(uintptr_t)(SLAB_SEGMENT_BYTES - 1);
    assert_int_equal(resident_pages(segment, SLAB_SEGMENT_BYTES),
                     resident_pages(page, SLAB_PAGE_BYTES));
    assert_true(slab_is_valid(heap));
    slab_free(heap, kept);
    end_heap(heap);
}

static int prepare(void **state) {
    (void)state;
    mem_free(mem_alloc(1)); // with the program's own allocator on top, it has prepared the region
    if (slab__region.bytes == 0) slab_prepare();
    return slab__region.bytes == 0;
}

static void *reserve_main(void *heap) {
    slab_make_reserve(heap);
    return NULL;
}

/** A large heap asks for its next segment before it needs it, and takes it when it does. */
static void test_reserve(void **state) {
    (void)state;
    enum { CELLS = 60000 }; // of 1 KiB: a heap that is large
    struct slab_heap *heap = new_heap();
    void **cells = calloc(CELLS, sizeof(*cells));
    int asked = 0, taken = 0;
    for (int i = 0; i < CELLS; i++) {
        bool ready = atomic_load(&heap->reserve) != NULL;
        cells[i] = slab_alloc(heap, SLAB_SMALL);
        memset(cells[i], 1, SLAB_SMALL);
        taken += ready && atomic_load(&heap->reserve) == NULL;
        if (!heap->wants_reserve) continue;
        assert_null(atomic_load(&heap->reserve));
        heap->wants_reserve = false;
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, reserve_main, heap), 0);
        pthread_join(thread, NULL);
        assert_non_null(atomic_load(&heap->reserve));
        asked++;
    }
    assert_true(asked >= 2);
    assert_in_range(taken, asked - 1, asked);
    // When it grows no more, the reserve goes.
    if (atomic_load(&heap->reserve) == NULL) slab_make_reserve(heap);
    slab_settle(heap, 8);
    assert_non_null(atomic_load(&heap->reserve));
    for (int i = 0; i < 30; i++) slab_settle(heap, 8);
    assert_null(atomic_load(&heap->reserve));
    assert_true(slab_is_valid(heap));
    for (int i = 0; i < CELLS; i++) slab_free(heap, cells[i]);
    slab_make_reserve(heap);
    slab_settle(heap, 64); // far fewer pages are in use than are free
    free(cells);
    end_heap(heap);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes),    cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_model),      cmocka_unit_test(test_give_back),
        cmocka_unit_test(test_holes),      cmocka_unit_test(test_other_threads),
        cmocka_unit_test(test_collecting), cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_reserve),    cmocka_unit_test(test_idle),
    };
    return cmocka_run_group_tests_name("engine/base/slab", tests, prepare, NULL);
}
