// SPDX-License-Identifier: BSD-3-Clause
//
// Blobs: from the allocator when small, mappings when big, so that a value of hundreds of megabytes
// grows by moving pages and goes page by page. A blob belongs to its users together; the last one
// to leave frees it, on whatever thread that is. Invariant: start + len <= cap. Sanitizer builds
// map nothing: there every block is one that the sanitizer watches. Called by string entries, reply
// pieces, by the connections that receive into blobs, and by the reader of RDB files.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE // mremap
#endif
#include "engine/base/blob.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"

#define PAGE_BYTES ((size_t)4096)
#define FREE_STEP  ((size_t)8 * 1024 * 1024) // returned to the kernel at a time

static size_t mapping_size(size_t cap) {
    return (sizeof(struct blob) + cap + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
}

static bool is_mapped_size(size_t cap) {
#ifdef TORC_SANITIZE
    (void)cap;
    return false;
#else
    return cap >= BLOB_MAP_MIN;
#endif
}

/** A fresh mapping, or NULL when the kernel gives none: the allocator then has the last word. */
static struct blob *map(size_t cap) {
    size_t size = mapping_size(cap);
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return NULL;
    mem_count((int64_t)size);
    return p;
}

static struct blob *make(size_t cap, bool zeroed) {
    struct blob *b = is_mapped_size(cap) ? map(cap) : NULL;
    bool mapped = b != NULL;
    if (b == NULL) b = zeroed ? mem_calloc(sizeof(*b) + cap) : mem_alloc(sizeof(*b) + cap);
    b->len = 0;
    b->cap = (mapped ? mapping_size(cap) : mem_usable(b)) - sizeof(*b);
    b->start = 0;
    b->mapped = mapped;
    atomic_init(&b->users, 1);
    return b;
}

struct blob *blob_new(struct slice text, size_t cap) {
    ASSERT(text.n <= cap);
    struct blob *b = make(cap, false);
    b->len = text.n;
    if (text.n != 0) memcpy(b->bytes, text.p, text.n);
    return b;
}

struct blob *blob_new_zeroed(size_t len, size_t cap) {
    ASSERT(len <= cap);
    struct blob *b = make(cap, true);
    b->len = len;
    return b;
}

struct blob *blob_resize(struct blob *b, size_t cap) {
    ASSERT(!blob_is_shared(b) && b->start + b->len <= cap);
    if (b->mapped && is_mapped_size(cap)) {
        size_t old = mapping_size(b->cap), size = mapping_size(cap);
        void *p = mremap(b, old, size, MREMAP_MAYMOVE);
        if (p != MAP_FAILED) {
            mem_count((int64_t)size - (int64_t)old);
            b = p;
            b->cap = size - sizeof(*b);
            return b;
        }
    } else if (!b->mapped && !is_mapped_size(cap)) {
        b = mem_realloc(b, sizeof(*b) + cap);
        b->cap = mem_usable(b) - sizeof(*b);
        return b;
    }
    struct blob *other = make(cap, false);
    other->len = b->len;
    other->start = b->start;
    memcpy(other->bytes, b->bytes, b->start + b->len);
    blob_free(b);
    return other;
}

void blob_hold(struct blob *b) { atomic_fetch_add_explicit(&b->users, 1, memory_order_relaxed); }

bool blob_release(struct blob *b) {
    // Alone nobody can come in between: the count need not be an atomic exchange.
    if (atomic_load_explicit(&b->users, memory_order_acquire) == 1) return true;
    return atomic_fetch_sub_explicit(&b->users, 1, memory_order_acq_rel) == 1;
}

void blob_free(struct blob *b) {
    if (!b->mapped) {
        mem_free(b);
        return;
    }
    size_t size = mapping_size(b->cap);
    mem_count(-(int64_t)size);
    // From the end, since the size stands at the beginning; a mapping's lock is held for a step.
    for (size_t left = size; left > 0;) {
        size_t step = left % FREE_STEP != 0 ? left % FREE_STEP : FREE_STEP;
        left -= step;
        int rc = munmap((char *)b + left, step);
        ASSERT(rc == 0);
    }
}

void blob_drop(struct blob *b) {
    if (blob_release(b)) blob_free(b);
}

void blob_forget(struct blob *b, const char *from, const char *end) {
    ASSERT(from >= b->bytes && from <= end && end <= b->bytes + b->cap);
    size_t first = ((size_t)(from - (char *)b) + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    size_t last = (size_t)(end - (char *)b) & ~(PAGE_BYTES - 1);
    if (!b->mapped || first >= last) return;
    int rc = madvise((char *)b + first, last - first, MADV_DONTNEED);
    ASSERT(rc == 0);
}

size_t blob_memory(const struct blob *b) {
    return b->mapped ? mapping_size(b->cap) : mem_usable(b);
}
