// SPDX-License-Identifier: BSD-3-Clause
//
// Allocation and its accounting. Blocks of up to SLAB_MAX bytes are cells of the calling thread's
// slab heap (slab.h), longer ones mimalloc's; which it is, a pointer's address tells. Every thread
// that allocates owns one arena: its heap, and a counter that it alone writes (plain load and store
// of a relaxed atomic: no locked instruction); mem_used() adds all counters. Arenas hang in a list
// that only grows, by compare-and-swap at its head; a thread that ends leaves its arena to the next
// new thread. For those who must know the sum all the time, threads also publish what they have
// counted, in coarse steps, into one number: mem_level() reads that alone. The list, the thread's
// pointer into it, the peak and the published sum are the exception to "no mutable globals": the
// allocator serves every thread before anything could be passed in. Sanitizer builds have malloc
// alone, which their tools know. Invariant: what is added for a block on allocation is what is
// taken off when it is freed (the block's usable size), whichever thread frees it.
#include "engine/base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/assert.h"
#include "engine/base/slab.h"

#ifdef TORC_SANITIZE
#include <malloc.h>
#else
#include <mimalloc.h>
#endif

#define CACHE_LINE  64
#define COLLECT_MAX 512 // cells of other threads that mem_collect() takes back
#define SETTLE_MAX  4 // pages that it looks at to give their memory back: each may split a huge one

struct arena {
    _Alignas(CACHE_LINE) _Atomic int64_t bytes;
    int64_t published;  // the part of `bytes` that is in `shown.bytes`; its thread's own
    _Atomic bool taken; // false once its thread has ended
    struct arena *next; // set before the arena is published, then constant
    struct slab_heap heap;
};

static _Atomic(struct arena *) arenas;
static _Atomic int64_t peak_bytes;
static struct {
    _Alignas(CACHE_LINE) _Atomic int64_t bytes; // of all threads, as published
    _Atomic int64_t leaving;
} shown;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static _Thread_local struct arena *mine;

#ifdef TORC_SANITIZE

static const bool has_slab = false;
static void *raw_alloc(size_t n) { return malloc(n); }
static void *raw_calloc(size_t n) { return calloc(1, n); }
static void *raw_realloc(void *p, size_t n) { return realloc(p, n); }
static void raw_free(void *p) { free(p); }
static size_t raw_usable(const void *p) { return malloc_usable_size((void *)p); }
static size_t raw_good_size(size_t n) { return n; }

static void *raw_alloc_aligned(size_t n, size_t alignment) {
    void *p = NULL;
    if (alignment < sizeof(void *)) alignment = sizeof(void *);
    return posix_memalign(&p, alignment, n) == 0 ? p : NULL;
}

#else

static const bool has_slab = true;
static inline void *raw_alloc(size_t n) { return mi_malloc(n); }
static inline void *raw_calloc(size_t n) { return mi_zalloc(n); }
static inline void *raw_realloc(void *p, size_t n) { return mi_realloc(p, n); }
static inline void raw_free(void *p) { mi_free(p); }
static inline size_t raw_usable(const void *p) { return mi_usable_size(p); }
static inline size_t raw_good_size(size_t n) { return mi_good_size(n); }
static inline void *raw_alloc_aligned(size_t n, size_t alignment) {
    return mi_malloc_aligned(n, alignment);
}

#endif

static inline bool is_cell(const void *p) { return has_slab && slab_owns(p); }
static inline bool is_cell_size(size_t n) { return has_slab && n <= SLAB_MAX; }

_Noreturn static void exhausted(size_t n) {
    char text[96];
    int length = snprintf(text, sizeof(text), "torc: out of memory allocating %zu bytes\n", n);
    ssize_t ignored = write(STDERR_FILENO, text, (size_t)length);
    (void)ignored; // nothing is left to do about a stderr that takes no bytes
    abort();
}

static void on_thread_end(void *arena) {
    struct arena *a = arena;
    mem_publish(0);
    slab_trim(&a->heap);
    // Destructors that run later may still free memory: they take an arena anew.
    mine = NULL;
    atomic_store_explicit(&a->taken, false, memory_order_release);
}

static void prepare(void) {
    if (has_slab) slab_prepare();
    int error = pthread_key_create(&key, on_thread_end);
    ASSERT(error == 0);
}

static struct arena *take_free_arena(void) {
    struct arena *a = atomic_load_explicit(&arenas, memory_order_acquire);
    for (; a != NULL; a = a->next) {
        bool expected = false;
        if (atomic_compare_exchange_strong_explicit(&a->taken, &expected, true,
                                                    memory_order_acquire, memory_order_relaxed)) {
            return a;
        }
    }
    return NULL;
}

static __attribute__((noinline)) struct arena *take_arena(void) {
    pthread_once(&once, prepare);
    struct arena *a = take_free_arena();
    if (a == NULL) {
        a = raw_alloc_aligned(sizeof(*a), CACHE_LINE);
        if (a == NULL) exhausted(sizeof(*a));
        memset(a, 0, sizeof(*a));
        slab_heap_init(&a->heap);
        atomic_init(&a->taken, true);
        a->next = atomic_load_explicit(&arenas, memory_order_relaxed);
        while (!atomic_compare_exchange_weak_explicit(&arenas, &a->next, a, memory_order_release,
                                                      memory_order_relaxed)) {
        }
    }
    mine = a;
    int error = pthread_setspecific(key, a);
    ASSERT(error == 0);
    return a;
}

static inline struct arena *my_arena(void) {
    struct arena *a = mine;
    return likely(a != NULL) ? a : take_arena();
}

static inline void count(struct arena *a, int64_t bytes) {
    int64_t now = atomic_load_explicit(&a->bytes, memory_order_relaxed);
    atomic_store_explicit(&a->bytes, now + bytes, memory_order_relaxed);
}

// A new block of mimalloc's, or NULL, goes through here to the caller.
static inline void *counted(struct arena *a, void *p, size_t n) {
    if (unlikely(p == NULL)) exhausted(n);
    count(a, (int64_t)raw_usable(p));
    return p;
}

void *mem_alloc(size_t n) {
    struct arena *a = my_arena();
    if (likely(is_cell_size(n))) {
        void *cell = slab_alloc(&a->heap, n);
        if (likely(cell != NULL)) {
            count(a, (int64_t)slab_class_size(slab_class(n)));
            return cell;
        }
    }
    return counted(a, raw_alloc(n), n);
}

void *mem_calloc(size_t n) {
    if (is_cell_size(n)) return memset(mem_alloc(n), 0, n);
    return counted(my_arena(), raw_calloc(n), n);
}

void *mem_alloc_aligned(size_t n, size_t alignment) {
    ASSERT(alignment != 0 && (alignment & (alignment - 1)) == 0);
    size_t rounded = (n + alignment - 1) & ~(alignment - 1);
    if (is_cell_size(rounded) && slab_class_size(slab_class(rounded)) % alignment == 0) {
        void *p = mem_alloc(rounded);
        if (likely(((uintptr_t)p & (alignment - 1)) == 0)) return p;
        mem_free(p); // no cell was left: mimalloc aligns to 16 unless asked for more
    }
    return counted(my_arena(), raw_alloc_aligned(n, alignment), n);
}

static void *move(void *p, size_t before, size_t n) {
    void *q = mem_alloc(n);
    memcpy(q, p, before < n ? before : n);
    mem_free(p);
    return q;
}

void *mem_realloc(void *p, size_t n) {
    ASSERT(n > 0);
    if (p == NULL) return mem_alloc(n);
    if (is_cell(p) || is_cell_size(n)) {
        size_t before = mem_usable(p);
        return mem_good_size(n) == before ? p : move(p, before, n);
    }
    int64_t before = (int64_t)raw_usable(p);
    void *q = raw_realloc(p, n);
    if (unlikely(q == NULL)) exhausted(n);
    count(my_arena(), (int64_t)raw_usable(q) - before);
    return q;
}

void mem_free(void *p) {
    if (p == NULL) return;
    struct arena *a = my_arena();
    if (likely(is_cell(p))) {
        count(a, -(int64_t)slab_free(&a->heap, p));
        return;
    }
    count(a, -(int64_t)raw_usable(p));
    raw_free(p);
}

size_t mem_usable(const void *p) { return likely(is_cell(p)) ? slab_usable(p) : raw_usable(p); }

size_t mem_good_size(size_t n) {
    return likely(is_cell_size(n)) && n != 0 ? slab_class_size(slab_class(n)) : raw_good_size(n);
}

bool mem_collect(void) {
    struct arena *a = my_arena();
    bool more = slab_collect(&a->heap, COLLECT_MAX);
    slab_settle(&a->heap, SETTLE_MAX);
    return more;
}

// What others hold is the heap's address: arenas are never freed.
struct mem_reserve *mem_wants_reserve(void) {
    struct arena *a = my_arena();
    if (likely(!a->heap.wants_reserve)) return NULL;
    a->heap.wants_reserve = false;
    return (struct mem_reserve *)&a->heap;
}

void mem_make_reserve(struct mem_reserve *reserve) {
    slab_make_reserve((struct slab_heap *)reserve);
}

void mem_count(int64_t bytes) { count(my_arena(), bytes); }

int64_t mem_used(void) {
    int64_t sum = 0;
    struct arena *a = atomic_load_explicit(&arenas, memory_order_acquire);
    for (; a != NULL; a = a->next) sum += atomic_load_explicit(&a->bytes, memory_order_relaxed);
    // Threads go on while we add: a block seen freed but not yet allocated can pull the sum below
    // 0.
    if (sum < 0) sum = 0;
    int64_t seen = atomic_load_explicit(&peak_bytes, memory_order_relaxed);
    while (sum > seen && !atomic_compare_exchange_weak_explicit(
                             &peak_bytes, &seen, sum, memory_order_relaxed, memory_order_relaxed)) {
    }
    return sum;
}

int64_t mem_level(void) {
    const struct arena *a = my_arena();
    int64_t own = atomic_load_explicit(&a->bytes, memory_order_relaxed) - a->published;
    return atomic_load_explicit(&shown.bytes, memory_order_relaxed) + own;
}

void mem_publish(int64_t step) {
    struct arena *a = my_arena();
    int64_t now = atomic_load_explicit(&a->bytes, memory_order_relaxed);
    int64_t change = now - a->published;
    if (likely(change < step && -change < step)) return;
    a->published = now;
    atomic_fetch_add_explicit(&shown.bytes, change, memory_order_relaxed);
}

void mem_leave(int64_t bytes) {
    atomic_fetch_add_explicit(&shown.leaving, bytes, memory_order_relaxed);
}

void mem_left(int64_t bytes) {
    mem_publish(0); // first, or the same bytes would count again for a moment
    atomic_fetch_sub_explicit(&shown.leaving, bytes, memory_order_relaxed);
}

int64_t mem_leaving(void) { return atomic_load_explicit(&shown.leaving, memory_order_relaxed); }

int64_t mem_peak(void) { return atomic_load_explicit(&peak_bytes, memory_order_relaxed); }

int64_t mem_resident(void) {
    char text[128];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n <= 0) return 0;
    text[n] = '\0';
    // Fields are pages: total, resident, shared, ...
    const char *resident = strchr(text, ' ');
    if (resident == NULL) return 0;
    return strtoll(resident, NULL, 10) * sysconf(_SC_PAGESIZE);
}

#ifdef TORC_SANITIZE
const char *mem_allocator_name(void) { return "libc"; }
#else
#define DIGIT(divisor) ('0' + MI_MALLOC_VERSION / (divisor) % 10)

const char *mem_allocator_name(void) {
    // The header's version is a number: 209 for 2.0.9.
    static const char name[] = {'m', 'i',        'm', 'a',       'l', 'l',      'o', 'c',
                                '-', DIGIT(100), '.', DIGIT(10), '.', DIGIT(1), '\0'};
    return name;
}
#endif
