// SPDX-License-Identifier: BSD-3-Clause
//
// Assertions in two prices. ASSERT stays on in every build: it states what must be true for the
// data to be trusted, and a process that finds it false stops at once, naming file and line.
// ASSERT_DEV is for checks that cost too much on a hot path (walks over a structure): it exists in
// builds with TORC_DEV only. Callers: everyone; this header uses libc alone and owns no state.
#ifndef TORC_ENGINE_BASE_ASSERT_H
#define TORC_ENGINE_BASE_ASSERT_H

#include <stdbool.h>

/** Prints the failed condition with its place to stderr and aborts. Never returns. */
_Noreturn void assert_failed(const char *condition, const char *file, int line);

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define ASSERT(condition)                                                          \
    do {                                                                           \
        if (unlikely(!(condition))) assert_failed(#condition, __FILE__, __LINE__); \
    } while (0)

#ifdef TORC_DEV
#define ASSERT_DEV(condition) ASSERT(condition)
#else
#define ASSERT_DEV(condition)    \
    do {                         \
        (void)sizeof(condition); \
    } while (0)
#endif

#endif
