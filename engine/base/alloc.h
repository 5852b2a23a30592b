// SPDX-License-Identifier: BSD-3-Clause
//
// The one door to memory. It stands on cells in size classes of 8 bytes (slab.h) for blocks of up
// to 1 KiB and on mimalloc for longer ones (on malloc in sanitizer builds), and counts what is
// allocated per thread, so that used_memory is a sum of a few counters and never a walk. Memory may
// be freed by another thread than the one that allocated it; the sum stays right. Exhaustion aborts
// with a message: a cache that cannot get its bookkeeping memory cannot keep its promises.
#ifndef TORC_ENGINE_BASE_ALLOC_H
#define TORC_ENGINE_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Allocates n bytes (n > 0), aligned for any type whose size divides n, and to 8 at least. Never
 * returns NULL. The caller owns the result.
 */
void *mem_alloc(size_t n);
/** Allocates n zeroed bytes. Never returns NULL. */
void *mem_calloc(size_t n);
/** Allocates n bytes at a multiple of alignment (a power of two). Freed by mem_free. */
void *mem_alloc_aligned(size_t n, size_t alignment);
/** Resizes p (NULL allowed) to n > 0 bytes; contents are kept up to the smaller size. */
void *mem_realloc(void *p, size_t n);
/** Frees p; NULL is allowed. */
void mem_free(void *p);
/** Bytes that the allocation p really occupies (at least what was asked for). */
size_t mem_usable(const void *p);
/** The size that an allocation of n bytes would really occupy. */
size_t mem_good_size(size_t n);

/**
 * Takes back memory of this thread that other threads have freed, and gives free memory to the
 * system, in a bounded step (about 0.1 ms): to be called about every 100 ms, and soon again when it
 * says true, for there is more to take back.
 */
bool mem_collect(void);

/** A thread's share of the allocator, in the hands of another one. */
struct mem_reserve;
/**
 * Not NULL when this thread's memory has grown and its next pages should be made ready: some other
 * thread is to pass the result to mem_make_reserve(), which takes milliseconds. To be asked often.
 */
struct mem_reserve *mem_wants_reserve(void);
void mem_make_reserve(struct mem_reserve *reserve);

/** Counts bytes that come from elsewhere (mappings): positive on taking, negative on giving back.
 * */
void mem_count(int64_t bytes);
/** All bytes in use, over all threads, living and ended. Any thread may ask. */
int64_t mem_used(void);
/**
 * What a limit on memory is compared with, many times a second and from every thread: a sum that is
 * exact as to the calling thread and, as to the others, that of their last mem_publish(). One load
 * of a line that is seldom written, where mem_used() reads one of each thread.
 */
int64_t mem_level(void);
/** Lets the others see what this thread has counted, if that has changed by `step` or more. */
void mem_publish(int64_t step);
/**
 * Bytes that are still in use but on their way out: handed to somebody who will free them. A limit
 * leaves them out, or it would make room twice. mem_leave() adds, mem_left() takes off what has
 * been freed by the calling thread (and publishes that), mem_leaving() tells the sum.
 */
void mem_leave(int64_t bytes);
void mem_left(int64_t bytes);
int64_t mem_leaving(void);
/** The highest mem_used() that was seen by mem_used() calls so far. */
int64_t mem_peak(void);
/** Resident set size of the process in bytes, from /proc/self/statm. */
int64_t mem_resident(void);
/** Name and version of the allocator below, for INFO (for instance "mimalloc-2.0.9"). */
const char *mem_allocator_name(void);

#endif
