// SPDX-License-Identifier: BSD-3-Clause
//
// The rings between shards. Sender and receiver are each one thread; they share the two positions
// and the words between them, nothing else. Positions only grow; the words between head and tail
// belong to the receiver, all others to the sender. Called from shard.c's pass.
#include "shards/mailbox.h"

#include <string.h>

#include "engine/base/alloc.h"

void mailbox_init(struct mailbox *m, size_t capacity) {
    ASSERT(capacity > 0 && (capacity & (capacity - 1)) == 0);
    memset(m, 0, sizeof *m);
    m->words = mem_alloc(capacity * sizeof *m->words);
    m->mask = capacity - 1;
}

void mailbox_fini(struct mailbox *m) {
    mem_free(m->words);
    m->words = NULL;
}

void outbox_add(struct outbox *o, uint64_t word) {
    if (unlikely(o->len == o->cap)) {
        o->cap = o->cap ? o->cap * 2 : 64;
        o->words = mem_realloc(o->words, o->cap * sizeof *o->words);
    }
    o->words[o->len++] = word;
}

void outbox_fini(struct outbox *o) {
    mem_free(o->words);
    *o = (struct outbox){0};
}

size_t mailbox_flush(struct mailbox *m, struct outbox *o) {
    uint64_t tail = atomic_load_explicit(&m->tail, memory_order_relaxed);
    size_t room = (size_t)(m->mask + 1 - (tail - m->head_seen));
    if (room < o->len) {
        m->head_seen = atomic_load_explicit(&m->head, memory_order_acquire);
        room = (size_t)(m->mask + 1 - (tail - m->head_seen));
    }
    size_t n = o->len < room ? o->len : room;
    for (size_t i = 0; i < n; i++) m->words[(tail + i) & m->mask] = o->words[i];
    atomic_store_explicit(&m->tail, tail + n, memory_order_release);
    o->len -= n;
    if (o->len > 0) memmove(o->words, o->words + n, o->len * sizeof *o->words);
    return n;
}

size_t mailbox_take(struct mailbox *m, uint64_t *words, size_t max) {
    uint64_t head = atomic_load_explicit(&m->head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&m->tail, memory_order_acquire);
    size_t n = (size_t)(tail - head);
    ASSERT(n <= m->mask + 1);
    if (n > max) n = max;
    for (size_t i = 0; i < n; i++) words[i] = m->words[(head + i) & m->mask];
    if (n > 0) atomic_store_explicit(&m->head, head + n, memory_order_release);
    return n;
}

bool mailbox_is_empty(struct mailbox *m) {
    return atomic_load_explicit(&m->head, memory_order_relaxed) ==
           atomic_load_explicit(&m->tail, memory_order_acquire);
}
