// SPDX-License-Identifier: BSD-3-Clause
//
// The powers of ten that 64 bits hold, for the reading and writing of numbers. Private to num.c and
// num_double.c, each of which has them beside its code. A constant; any thread. Invariant: number i
// is ten to the power of i.
#ifndef TORC_ENGINE_BASE_NUM_TENS_H
#define TORC_ENGINE_BASE_NUM_TENS_H

#include <stdint.h>

static const uint64_t tens[20] = {
    1u,
    10u,
    100u,
    1000u,
    10000u,
    100000u,
    1000000u,
    10000000u,
    100000000u,
    1000000000u,
    10000000000u,
    100000000000u,
    1000000000000u,
    10000000000000u,
    100000000000000u,
    1000000000000000u,
    10000000000000000u,
    100000000000000000u,
    1000000000000000000u,
    10000000000000000000u,
};

#endif
