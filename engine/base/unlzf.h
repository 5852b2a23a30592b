// SPDX-License-Identifier: BSD-3-Clause
//
// Uncompressing LZF, the form that RDB files and the inner nodes of lists have. liblzf compresses;
// its reader copies byte by byte, this one by 16 bytes where there is room, which takes half of the
// time. Pure function, any thread. Invariant: nothing outside of the two areas is touched, whatever
// the bytes are.
#ifndef TORC_ENGINE_BASE_UNLZF_H
#define TORC_ENGINE_BASE_UNLZF_H

#include <stdbool.h>
#include <stddef.h>

/** Whether the n packed bytes make exactly `size` plain ones, which then stand in `plain`. */
bool unlzf(const void *packed, size_t n, void *plain, size_t size);

#endif
