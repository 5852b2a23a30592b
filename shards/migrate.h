// SPDX-License-Identifier: BSD-3-Clause
//
// MIGRATE: keys go to another server and, once it has them, from here. What the network has to do
// with it is done by a few threads of a pool, so no shard ever waits for another server. The
// connection is made, authenticated and the database selected before any key is touched; only then
// the keys are locked, by a transaction over them, for as long as their transfer takes. Others
// cannot see or change them meanwhile, and go on with everything else.
//
// The pool belongs to the fleet. Its threads come with work and go when there is none for a while.
#ifndef TORC_SHARDS_MIGRATE_H
#define TORC_SHARDS_MIGRATE_H

#include <stdint.h>

struct migrate_pool;

/** Made on the main thread, whose CPUs the pool's threads may use. It has none yet. */
struct migrate_pool *migrate_pool_new(void);
/**
 * Breaks off what is under way, and waits until the threads have ended; then nothing is posted to
 * shards any more. To be called while those still run.
 */
void migrate_pool_stop(struct migrate_pool *pool);
void migrate_pool_free(struct migrate_pool *pool);
/** Connections that are kept for the next MIGRATE to the same server. Any thread. */
uint32_t migrate_pool_cached(struct migrate_pool *pool);

#endif
