// SPDX-License-Identifier: BSD-3-Clause
//
// The timer heap of one shard. Invariant: heap order by deadline, and every timer in the heap
// knows its index (plus one). Runs on the shard's thread; called by shard.c's pass and by whoever
// waits.
#include "shards/timers.h"

#include <stddef.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"

void timers_fini(struct timers *t) {
    mem_free(t->heap);
    *t = (struct timers){0};
}

static void place(struct timers *t, struct timer *timer, uint32_t index) {
    t->heap[index] = timer;
    timer->place = index + 1;
}

static void sift_up(struct timers *t, uint32_t index) {
    struct timer *timer = t->heap[index];
    while (index > 0) {
        uint32_t parent = (index - 1) / 2;
        if (t->heap[parent]->deadline_ns <= timer->deadline_ns) break;
        place(t, t->heap[parent], index);
        index = parent;
    }
    place(t, timer, index);
}

static void sift_down(struct timers *t, uint32_t index) {
    struct timer *timer = t->heap[index];
    for (;;) {
        uint32_t child = 2 * index + 1;
        if (child >= t->count) break;
        if (child + 1 < t->count && t->heap[child + 1]->deadline_ns < t->heap[child]->deadline_ns)
            child++;
        if (timer->deadline_ns <= t->heap[child]->deadline_ns) break;
        place(t, t->heap[child], index);
        index = child;
    }
    place(t, timer, index);
}

void timers_set(struct timers *t, struct timer *timer, int64_t deadline_ns,
                void (*on_due)(struct timer *timer)) {
    timers_cancel(t, timer);
    if (t->count == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 16;
        t->heap = mem_realloc(t->heap, t->cap * sizeof *t->heap);
    }
    timer->deadline_ns = deadline_ns;
    timer->on_due = on_due;
    t->heap[t->count] = timer;
    sift_up(t, t->count++);
}

void timers_cancel(struct timers *t, struct timer *timer) {
    if (timer->place == 0) return;
    uint32_t index = timer->place - 1;
    ASSERT(index < t->count && t->heap[index] == timer);
    timer->place = 0;
    struct timer *last = t->heap[--t->count];
    if (last == timer) return;
    place(t, last, index);
    sift_up(t, index);
    sift_down(t, last->place - 1);
}

void timers_run(struct timers *t, int64_t now_ns) {
    while (t->count > 0 && t->heap[0]->deadline_ns <= now_ns) {
        struct timer *timer = t->heap[0];
        timers_cancel(t, timer);
        timer->on_due(timer);
    }
}

int64_t timers_next_ns(const struct timers *t) {
    return t->count ? t->heap[0]->deadline_ns : INT64_MAX;
}

bool timers_is_valid(const struct timers *t) {
    for (uint32_t i = 0; i < t->count; i++) {
        if (t->heap[i]->place != i + 1) return false;
        if (i > 0 && t->heap[(i - 1) / 2]->deadline_ns > t->heap[i]->deadline_ns) return false;
    }
    return true;
}
