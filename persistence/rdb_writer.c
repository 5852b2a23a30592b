// SPDX-License-Identifier: BSD-3-Clause
//
// The frame of an RDB file: header, auxiliary fields, databases, what stands before a value, end.
// The order is Redis's, and so are the forms: what a server of the version that is written has ever
// written itself. Pure functions over a buffer, any thread. Invariant: every call leaves something
// whole behind it. Called by the snapshot and by torc-rdb.
#include "persistence/rdb_writer.h"

#include <endian.h>

static void put_byte(struct buf *out, uint8_t byte) { buf_append_char(out, (char)byte); }

static void put_u64(struct buf *out, uint64_t number) {
    uint64_t little = htole64(number);
    buf_append(out, &little, sizeof(little));
}

/** A string of the frame: integers as integers, nothing is worth compressing. */
static void put_string(struct buf *out, struct slice text) {
    static const struct rdb_save plain = {.version = RDB_VERSION_DEFAULT, .compress = false};
    rdb_save_string(out, &plain, text);
}

void rdb_write_magic(struct buf *out, int version) { buf_printf(out, "REDIS%04d", version); }

void rdb_write_aux(struct buf *out, const char *name, struct slice value) {
    put_byte(out, RDB_OP_AUX);
    put_string(out, slice_text(name));
    put_string(out, value);
}

void rdb_write_db(struct buf *out, uint32_t db) {
    put_byte(out, RDB_OP_SELECTDB);
    rdb_save_length(out, db);
}

void rdb_write_resize(struct buf *out, uint64_t keys, uint64_t expires) {
    put_byte(out, RDB_OP_RESIZEDB);
    rdb_save_length(out, keys);
    rdb_save_length(out, expires);
}

void rdb_write_function(struct buf *out, struct slice code) {
    put_byte(out, RDB_OP_FUNCTION_2);
    put_string(out, code);
}

void rdb_write_attributes(struct buf *out, int64_t expire_ms, int64_t idle_s, int64_t freq) {
    if (expire_ms != ENTRY_NO_EXPIRE) {
        put_byte(out, RDB_OP_EXPIRETIME_MS);
        put_u64(out, (uint64_t)expire_ms);
    }
    if (idle_s >= 0) {
        put_byte(out, RDB_OP_IDLE);
        rdb_save_length(out, (uint64_t)idle_s);
    }
    if (freq >= 0) {
        put_byte(out, RDB_OP_FREQ);
        put_byte(out, (uint8_t)freq);
    }
}

void rdb_write_record_head(struct buf *out, const struct rdb_save *how, const struct entry *e,
                           int64_t idle_s, int64_t freq) {
    rdb_write_attributes(out, entry_expire_ms(e), idle_s, freq);
    put_byte(out, rdb_save_type(e, how));
    rdb_save_string(out, how, entry_key(e));
}

void rdb_write_end(struct buf *out) { put_byte(out, RDB_OP_EOF); }

void rdb_write_checksum(struct buf *out, uint64_t crc) { put_u64(out, crc); }
