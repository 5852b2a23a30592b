// SPDX-License-Identifier: BSD-3-Clause
//
// Clock readings. Only the edges read them (the loop, the log, the tools); everything below gets
// time passed in, which is what lets the same code run under virtual time in the simulator.
// Stateless, any thread. Invariant: the monotonic clock never goes back; the wall clock may.
#ifndef TORC_ENGINE_BASE_CLOCK_H
#define TORC_ENGINE_BASE_CLOCK_H

#include <stdint.h>

/** Nanoseconds of the monotonic clock. */
int64_t clock_monotonic_ns(void);
/** Microseconds since the epoch. */
int64_t clock_wall_us(void);

#endif
