// SPDX-License-Identifier: BSD-3-Clause
//
// Watched keys of one keyspace: a small chained hash table of (database, key) -> flag. It exists
// only while somebody watches, so that a write without watchers costs one test of a pointer. Owned
// by the keyspace, same thread; the flags belong to whoever watches and may be read by another
// thread. Invariant: a watch stands here until it is forgotten, however often its flag was set.
#ifndef TORC_ENGINE_KEYSPACE_WATCH_H
#define TORC_ENGINE_KEYSPACE_WATCH_H

#include "engine/keyspace/keyspace.h"

/** Sets the flags of those who watch this key. */
void watch__touch(struct watch_table *w, uint32_t db, struct key key);
/** Calls visit for every watched key of a database; a true result sets the flag of that watch. */
void watch__touch_where(struct watch_table *w, uint32_t db,
                        bool (*visit)(void *context, struct key key), void *context);
/** Frees the table and all watches. NULL is allowed. */
void watch__free(struct watch_table *w);
/** Whether chains, counts and hashes agree. */
bool watch__is_valid(const struct watch_table *w);

#endif
