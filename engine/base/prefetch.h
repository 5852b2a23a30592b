// SPDX-License-Identifier: BSD-3-Clause
//
// Asking for a cache line before it is needed. Pure hint: no fault, no effect on results. The empty
// assembler statement is what makes it last: to gcc a function that does nothing but prefetch is a
// function without effects, whose calls it removes. Any thread. Called by whoever has a batch of
// lookups in hand.
#ifndef TORC_ENGINE_BASE_PREFETCH_H
#define TORC_ENGINE_BASE_PREFETCH_H

/** Starts loading the cache line of p, any address. */
static inline void prefetch_read(const void *p) {
    __builtin_prefetch(p);
    __asm__ volatile("");
}

#endif
