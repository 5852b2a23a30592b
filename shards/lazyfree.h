// SPDX-License-Identifier: BSD-3-Clause
//
// Freeing off the shard threads: big values and flushed tables are handed to one side thread, so
// that no command pays for returning megabytes. Any thread may hand over; the queue is a short
// list under a mutex that is taken once per big object, never for small ones.
#ifndef TORC_SHARDS_LAZYFREE_H
#define TORC_SHARDS_LAZYFREE_H

#include <stdint.h>

#include "engine/base/alloc.h"
#include "engine/keyspace/keyspace.h"

/**
 * Starts the side thread. Until then, and after lazyfree_stop, objects are freed at once by the
 * caller.
 */
int lazyfree_start(void);
/** Frees all that is left and ends the thread. */
void lazyfree_stop(void);

/** Has memory made ready for the thread that mem_wants_reserve() spoke for. */
void lazyfree_make_reserve(struct mem_reserve *reserve);

/** Hooks of a keyspace (struct keyspace_hooks); the context is not used. */
void lazyfree_entry(void *context, struct entry *e);
void lazyfree_tables(void *context, struct keyspace_tables *tables);

/** A table of tracked keys (tracked.h); may be NULL. */
void lazyfree_tracked(struct tracked_table *table);

/** One user of the blob less; when it was the last, the blob is freed, off this thread when big. */
void lazyfree_blob(struct blob *blob);

/**
 * Objects that wait to be freed, and those freed so far (INFO lazyfree_pending_objects,
 * lazyfreed_objects).
 */
uint64_t lazyfree_pending(void);
uint64_t lazyfree_done(void);

#endif
