// SPDX-License-Identifier: BSD-3-Clause
//
// The payload of DUMP, RESTORE and MIGRATE: type byte, value, version in two bytes, CRC-64 in
// eight. Followed: the documentation of DUMP. Pure functions, any thread.
// Invariant: rdb_payload_check takes what rdb_payload_save appends. For DUMP, RESTORE, MIGRATE.
#ifndef TORC_ENGINE_RDB_RDB_PAYLOAD_H
#define TORC_ENGINE_RDB_RDB_PAYLOAD_H

#include "engine/rdb/rdb_load.h"
#include "engine/rdb/rdb_save.h"

/** Appends the entry's payload. The version is the one that `how` names. */
void rdb_payload_save(struct buf *out, const struct entry *e, const struct rdb_save *how);
/**
 * Whether version and checksum are right; a version that is newer than what is read is not. Redis's
 * error for it is "ERR DUMP payload version or checksum are wrong".
 */
bool rdb_payload_check(struct slice payload);
/**
 * The entry of a checked payload; NULL: "ERR Bad data format". The caller's. The payload's version
 * sets load->dialect.
 */
struct entry *rdb_payload_load(struct rdb_load *load, struct slice payload, struct slice key,
                               int64_t expire_ms);

#endif
