// SPDX-License-Identifier: BSD-3-Clause
//
// The two clocks, read through the vDSO: no system call on the machines we care for. Stateless; any
// thread. Invariant: clock_monotonic_ns() never goes back. Called by the edges (the loop, the log,
// the tools) only; what is below them gets time passed in.
#include "engine/base/clock.h"

#include <time.h>

#include "engine/base/assert.h"

int64_t clock_monotonic_ns(void) {
    struct timespec t;
    int error = clock_gettime(CLOCK_MONOTONIC, &t);
    ASSERT(error == 0);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t clock_wall_us(void) {
    struct timespec t;
    int error = clock_gettime(CLOCK_REALTIME, &t);
    ASSERT(error == 0);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}
