// SPDX-License-Identifier: BSD-3-Clause
//
// The dry run of loading a file: everything is read, every value made and thrown away again, no key
// may come twice in a database. So what passes can be loaded in full, and may replace what there
// is. For whoever is about to do that (DEBUG RELOAD, a replica). Runs on its caller's thread; takes
// 32 bytes or so for each key while it runs. Invariant: the file's content is nowhere kept.
#ifndef TORC_PERSISTENCE_RDB_CHECK_H
#define TORC_PERSISTENCE_RDB_CHECK_H

#include "engine/types/value.h"
#include "persistence/rdb_feed.h"

struct rdb_check {
    struct rdb_feed feed; // source, rules and `aux` are the caller's, and the fault is here
    const struct value_limits *limits;
    uint64_t keys; // that a load would make, were it not for their expiry
};

/** Whether all of it can be loaded; if not, check.feed.fault says why. */
bool rdb_check(struct rdb_check *check);

#endif
