// SPDX-License-Identifier: BSD-3-Clause
//
// Timers of one shard: a binary heap of deadlines on the monotonic clock. A timer is embedded in
// its owner and knows its place, so cancelling is as cheap as setting. Used for what waits with a
// time limit (WAIT, CLIENT PAUSE, later BLPOP). One thread; no clock of its own.
#ifndef TORC_SHARDS_TIMERS_H
#define TORC_SHARDS_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

struct timer {
    int64_t deadline_ns;
    uint32_t place; // index in the heap plus one; 0: not set
    void (*on_due)(struct timer *timer);
};

struct timers {
    struct timer **heap;
    uint32_t count, cap;
};

void timers_fini(struct timers *t);
/** Sets (or moves) a timer. */
void timers_set(struct timers *t, struct timer *timer, int64_t deadline_ns,
                void (*on_due)(struct timer *timer));
/** Cancels a timer; harmless when it is not set. */
void timers_cancel(struct timers *t, struct timer *timer);
/** Runs what is due; a timer is no longer set when its function is called. */
void timers_run(struct timers *t, int64_t now_ns);
/** The next deadline, or INT64_MAX. */
int64_t timers_next_ns(const struct timers *t);
bool timers_is_valid(const struct timers *t);

#endif
