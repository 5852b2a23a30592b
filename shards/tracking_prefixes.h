// SPDX-License-Identifier: BSD-3-Clause
//
// The prefixes of broadcasting clients, of all shards: one list that is never changed but replaced
// by a newer one, under the fleet's admin_lock, when a client comes or goes. A shard that changes
// keys keeps a reference to the list it has seen last, and looks at one number to learn whether it
// is the newest. An older one does no harm: who has just come waits until all shards have the list,
// and for who has just left there is nobody to tell.
#ifndef TORC_SHARDS_TRACKING_PREFIXES_H
#define TORC_SHARDS_TRACKING_PREFIXES_H

#include <stdatomic.h>
#include <stdint.h>

#include "engine/base/slice.h"

struct fleet;

struct tracking_prefix {
    struct slice text;
    uint32_t *clients; // [shard]
};

struct tracking_prefixes {
    _Atomic uint32_t users;
    uint64_t version;
    uint32_t count;
    struct tracking_prefix v[];
};

/** A client of the shard comes to (`change` 1) or leaves (-1) a prefix. Any thread. */
void tracking_prefixes_change(struct fleet *fleet, uint32_t shard, struct slice text, int change);
/**
 * The newest list, in exchange for an older one; both may be NULL: there never was a prefix. The
 * caller has a reference until it exchanges or drops it.
 */
struct tracking_prefixes *tracking_prefixes_refresh(struct fleet *fleet,
                                                    struct tracking_prefixes *old);
/** How many prefixes there are now. Any thread. */
uint32_t tracking_prefixes_count(struct fleet *fleet);
void tracking_prefixes_drop(struct tracking_prefixes *p);

#endif
