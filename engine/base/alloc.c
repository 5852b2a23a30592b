// SPDX-License-Identifier: BSD-3-Clause
//
// Allocation and its accounting. Every thread that allocates owns one counter, a cache line of its
// own that it alone writes (plain load and store of a relaxed atomic: no locked instruction);
// mem_used() adds all of them. Counters hang in a list that only grows, by compare-and-swap at its
// head, and that is never taken apart; a thread that ends leaves its counter, with its value, to
// the next new thread. The list, the thread's pointer into it and the peak are the exception to "no
// mutable globals": the allocator serves every thread before anything could be passed in.
// Invariant: what is added for a block on allocation is what is taken off when it is freed (the
// block's usable size), whichever thread frees it.
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

#ifdef TORC_SANITIZE
#include <malloc.h>
#else
#include <mimalloc.h>
#endif

#define CACHE_LINE 64
#define SMALL_MAX  1024

struct counter {
    _Alignas(CACHE_LINE) _Atomic int64_t bytes;
    _Atomic bool taken;   // false once its thread has ended
    struct counter *next; // set before the counter is published, then constant
};

static _Atomic(struct counter *) counters;
static _Atomic int64_t peak_bytes;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static _Thread_local struct counter *mine;
// What blocks of up to SMALL_MAX bytes occupy, in steps of 8: asking the allocator costs more than
// the rest of the accounting. Written once, before the first thread gets its counter.
static uint16_t small_sizes[SMALL_MAX / 8 + 1];

#ifdef TORC_SANITIZE

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

_Noreturn static void exhausted(size_t n) {
    char text[96];
    int length = snprintf(text, sizeof(text), "torc: out of memory allocating %zu bytes\n", n);
    ssize_t ignored = write(STDERR_FILENO, text, (size_t)length);
    (void)ignored; // nothing is left to do about a stderr that takes no bytes
    abort();
}

static void on_thread_end(void *counter) {
    // Destructors that run later may still free memory: they take a counter anew.
    mine = NULL;
    atomic_store_explicit(&((struct counter *)counter)->taken, false, memory_order_release);
}

static void prepare(void) {
    for (size_t n = 0; n <= SMALL_MAX; n += 8) small_sizes[n / 8] = (uint16_t)raw_good_size(n);
    int error = pthread_key_create(&key, on_thread_end);
    ASSERT(error == 0);
}

static struct counter *take_free_counter(void) {
    struct counter *c = atomic_load_explicit(&counters, memory_order_acquire);
    for (; c != NULL; c = c->next) {
        bool expected = false;
        if (atomic_compare_exchange_strong_explicit(&c->taken, &expected, true,
                                                    memory_order_acquire, memory_order_relaxed)) {
            return c;
        }
    }
    return NULL;
}

static __attribute__((noinline)) struct counter *take_counter(void) {
    pthread_once(&once, prepare);
    struct counter *c = take_free_counter();
    if (c == NULL) {
        c = raw_alloc_aligned(sizeof(*c), CACHE_LINE);
        if (c == NULL) exhausted(sizeof(*c));
        memset(c, 0, sizeof(*c));
        atomic_init(&c->taken, true);
        c->next = atomic_load_explicit(&counters, memory_order_relaxed);
        while (!atomic_compare_exchange_weak_explicit(&counters, &c->next, c, memory_order_release,
                                                      memory_order_relaxed)) {
        }
    }
    mine = c;
    int error = pthread_setspecific(key, c);
    ASSERT(error == 0);
    return c;
}

static inline struct counter *my_counter(void) {
    struct counter *c = mine;
    return likely(c != NULL) ? c : take_counter();
}

static inline void count(struct counter *c, int64_t bytes) {
    int64_t now = atomic_load_explicit(&c->bytes, memory_order_relaxed);
    atomic_store_explicit(&c->bytes, now + bytes, memory_order_relaxed);
}

// The bytes that p, just allocated with size n, occupies.
static inline int64_t size_of_new(const void *p, size_t n) {
#ifndef TORC_SANITIZE
    if (likely(n <= SMALL_MAX)) {
        int64_t size = small_sizes[(n + 7) / 8];
        ASSERT_DEV(size == (int64_t)raw_usable(p));
        return size;
    }
#endif
    (void)n;
    return (int64_t)raw_usable(p);
}

void *mem_alloc(size_t n) {
    struct counter *c = my_counter();
    void *p = raw_alloc(n);
    if (unlikely(p == NULL)) exhausted(n);
    count(c, size_of_new(p, n));
    return p;
}

void *mem_calloc(size_t n) {
    struct counter *c = my_counter();
    void *p = raw_calloc(n);
    if (unlikely(p == NULL)) exhausted(n);
    count(c, size_of_new(p, n));
    return p;
}

void *mem_alloc_aligned(size_t n, size_t alignment) {
    ASSERT(alignment != 0 && (alignment & (alignment - 1)) == 0);
    void *p = raw_alloc_aligned(n, alignment);
    if (unlikely(p == NULL)) exhausted(n);
    count(my_counter(), (int64_t)raw_usable(p));
    return p;
}

void *mem_realloc(void *p, size_t n) {
    ASSERT(n > 0);
    int64_t before = p == NULL ? 0 : (int64_t)raw_usable(p);
    void *q = raw_realloc(p, n);
    if (unlikely(q == NULL)) exhausted(n);
    count(my_counter(), (int64_t)raw_usable(q) - before);
    return q;
}

void mem_free(void *p) {
    if (p == NULL) return;
    count(my_counter(), -(int64_t)raw_usable(p));
    raw_free(p);
}

size_t mem_usable(const void *p) { return raw_usable(p); }

size_t mem_good_size(size_t n) { return raw_good_size(n); }

void mem_count(int64_t bytes) { count(my_counter(), bytes); }

int64_t mem_used(void) {
    int64_t sum = 0;
    struct counter *c = atomic_load_explicit(&counters, memory_order_acquire);
    for (; c != NULL; c = c->next) sum += atomic_load_explicit(&c->bytes, memory_order_relaxed);
    // Threads go on while we add: a block seen freed but not yet allocated can pull the sum below
    // 0.
    if (sum < 0) sum = 0;
    int64_t seen = atomic_load_explicit(&peak_bytes, memory_order_relaxed);
    while (sum > seen && !atomic_compare_exchange_weak_explicit(
                             &peak_bytes, &seen, sum, memory_order_relaxed, memory_order_relaxed)) {
    }
    return sum;
}

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
