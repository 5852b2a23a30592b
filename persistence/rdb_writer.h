// SPDX-License-Identifier: BSD-3-Clause
//
// Writes the frame of an RDB file into a buffer: header with its auxiliary fields, databases,
// records, end. Who calls it passes the bytes on. Pure functions over a buffer, any thread.
// Invariant: what is written is whole: no call leaves a record or a field half begun.
#ifndef TORC_PERSISTENCE_RDB_WRITER_H
#define TORC_PERSISTENCE_RDB_WRITER_H

#include "engine/base/buf.h"
#include "engine/rdb/rdb_save.h"

/** REDIS and the version. */
void rdb_write_magic(struct buf *out, int version);
void rdb_write_aux(struct buf *out, const char *name, struct slice value);
void rdb_write_db(struct buf *out, uint32_t db);
void rdb_write_resize(struct buf *out, uint64_t keys, uint64_t expires);
/** A library of functions, as FUNCTION LOAD takes it. */
void rdb_write_function(struct buf *out, struct slice code);
/** What stands before a record: expiry, idle time, frequency (ENTRY_NO_EXPIRE, -1, -1: none). */
void rdb_write_attributes(struct buf *out, int64_t expire_ms, int64_t idle_s, int64_t freq);
/**
 * What stands before a record's value: expiry, idle time (seconds; -1: none), frequency (-1: none),
 * type and key. The value follows.
 */
void rdb_write_record_head(struct buf *out, const struct rdb_save *how, const struct entry *e,
                           int64_t idle_s, int64_t freq);
/** Mark of the end and checksum, which is of everything before it; 0 when there is to be none. */
void rdb_write_end(struct buf *out);
void rdb_write_checksum(struct buf *out, uint64_t crc);

#endif
