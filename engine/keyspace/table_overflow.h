// SPDX-License-Identifier: BSD-3-Clause
//
// Overflow arrays: what a bucket holds beyond its line. Up to 4,094 entries the link counts them
// and the array is just as long as needed. More of them meet in one bucket only when somebody has
// found a way around the secret seed of the hash; such an array begins with its own count and
// capacity, so the table gets slow there and nothing worse.
//
//   short:  entry | entry | ...                   link counts 1..4094, room for an even number
//   long:   count | capacity | entry | ...        link counts 4095 (TABLE__LINK_LONG)
//
// Inside the folder only; runs on the thread that owns the table. Called by table.c.
#ifndef TORC_ENGINE_KEYSPACE_TABLE_OVERFLOW_H
#define TORC_ENGINE_KEYSPACE_TABLE_OVERFLOW_H

#include <stddef.h>
#include <stdint.h>

#include "engine/keyspace/table.h"

/** Adds to a bucket whose slots are all taken; its last entry makes room for the link at first. */
void table__overflow_add(struct table *t, uint64_t *slots, uint64_t slot);
/** Takes the last entry out of a bucket's overflow array, which ends with the last but one. */
uint64_t table__overflow_pop(struct table *t, uint64_t *slots);
/** Frees the array of a link. */
void table__overflow_free(struct table *t, uint64_t link);
/** Bytes that the array of a link takes. */
size_t table__overflow_bytes(uint64_t link);

#endif
