// SPDX-License-Identifier: BSD-3-Clause
//
// A set of keys, kept as 64-bit hashes: to find keys that occur twice in a file. Owned by a check,
// main thread. Invariant: at most half of the slots are taken. Two different keys have one
// hash with a probability of 1 in 500,000 among eight million keys.
#ifndef TORC_TOOLS_TORC_RDB_KEYSET_H
#define TORC_TOOLS_TORC_RDB_KEYSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/slice.h"

struct keyset {
    uint64_t *slots; // 0: free
    size_t count, size;
};

/** Adds a key of a database; false: it is there. */
bool keyset_add(struct keyset *s, uint32_t db, struct slice key);
void keyset_fini(struct keyset *s);

#endif
