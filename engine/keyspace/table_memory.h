// SPDX-License-Identifier: BSD-3-Clause
//
// Where a table's bucket array lives. Up to 4 KiB it is an ordinary allocation that doubles;
// beyond, it is a mapping in reserved address space of which a prefix is usable, so that it grows
// and shrinks in place and never copies more than those 4 KiB. Invariants: the array starts at a
// multiple of 64 bytes, `committed` bytes are usable, buckets at and beyond nbuckets are zero.
// Called by table.c only.
#ifndef TORC_ENGINE_KEYSPACE_TABLE_MEMORY_H
#define TORC_ENGINE_KEYSPACE_TABLE_MEMORY_H

#include "engine/keyspace/table.h"

#define TABLE__BUCKET_BYTES 64

/** Makes the array at least nbuckets long; the new buckets are zero. May move it. */
void table__memory_grow(struct table *t, uint64_t nbuckets);
/** Gives memory back when the array is much longer than nbuckets. May move it. */
void table__memory_shrink(struct table *t, uint64_t nbuckets);
/** Frees the array. */
void table__memory_free(struct table *t);

#endif
