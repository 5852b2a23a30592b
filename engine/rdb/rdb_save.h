// SPDX-License-Identifier: BSD-3-Clause
//
// From an entry to its serialized form, in the version that is asked for: what an older server does
// not know is written in an older form, and what it cannot express at all (expiry of a hash's
// fields before version 12) is said before anything is written. In steps for large values. Pure
// data; the entry must not change between the steps. Any thread that may read the entry.
#ifndef TORC_ENGINE_RDB_RDB_SAVE_H
#define TORC_ENGINE_RDB_RDB_SAVE_H

#include "engine/base/buf.h"
#include "engine/keyspace/entry.h"
#include "engine/rdb/rdb_format.h"

struct rdb_save {
    int version;   // 9 to 12
    bool compress; // strings and blocks of more than 20 bytes, with LZF, where it gains
};

/** A length in the shortest form. */
void rdb_save_length(struct buf *out, uint64_t length);
/** A string: as an integer when it is one, compressed when that gains, else plain. */
void rdb_save_string(struct buf *out, const struct rdb_save *how, struct slice text);
/** The same for a number's text. */
void rdb_save_i64_string(struct buf *out, int64_t number);

/** Why the value cannot be written in that version ("hash field expiration"), or NULL. */
const char *rdb_save_obstacle(const struct entry *e, const struct rdb_save *how);
/** The type byte that the entry's value gets. */
uint8_t rdb_save_type(const struct entry *e, const struct rdb_save *how);

/** A value that is being written in steps. */
struct rdb_saving {
    const struct entry *entry;
    const struct rdb_save *how;
    uint8_t type;
    // ... iterators of the kinds of values: rdb_save.c's
    _Alignas(16) char state[512];
};
/** Begins to write the entry's value (without type byte and key). */
void rdb_saving_begin(struct rdb_saving *s, const struct entry *e, const struct rdb_save *how);
/**
 * Writes on, until about `budget` bytes more have been written, or compressed and kept (a single
 * element or block may be more, up to 64 KiB). True: to be called again, though nothing more may
 * come. `out` may be emptied between the steps.
 */
bool rdb_saving_step(struct rdb_saving *s, struct buf *out, size_t budget);
/** Frees what a saving has kept that does not go on to its end (else: nothing, any time). */
void rdb_saving_end(struct rdb_saving *s);
/** All of it at once. */
void rdb_save_value(struct buf *out, const struct entry *e, const struct rdb_save *how);

#endif
