// SPDX-License-Identifier: BSD-3-Clause
//
// DUMP's frame around a serialized value: its type in front, the version and a checksum over all
// of it behind. Pure functions, any thread. Invariant: nothing is looked at before version and
// checksum have been found right. Called by DUMP, RESTORE and MIGRATE.
//
//   | type u8 | value | version u16 | CRC-64 of all before u64 |     little-endian
#include "engine/rdb/rdb_payload.h"

#include <string.h>

#include "engine/base/crc64.h"

#define FOOTER   (sizeof(uint16_t) + sizeof(uint64_t))
#define CHECKSUM sizeof(uint64_t)

void rdb_payload_save(struct buf *out, const struct entry *e, const struct rdb_save *how) {
    size_t start = out->len;
    buf_append_char(out, (char)rdb_save_type(e, how));
    rdb_save_value(out, e, how);
    uint16_t version = (uint16_t)how->version;
    buf_append(out, &version, sizeof version);
    uint64_t sum = crc64(0, out->p + start, out->len - start);
    buf_append(out, &sum, sizeof sum);
}

static unsigned version_of(struct slice payload) {
    uint16_t version;
    memcpy(&version, payload.p + payload.n - FOOTER, sizeof version);
    return version;
}

bool rdb_payload_check(struct slice payload) {
    uint64_t sum;
    if (payload.n < FOOTER) return false;
    unsigned version = version_of(payload);
    if (version > RDB_VERSION_REDIS && version != RDB_VERSION_VALKEY) return false;
    memcpy(&sum, payload.p + payload.n - CHECKSUM, sizeof sum);
    return crc64(0, payload.p, payload.n - CHECKSUM) == sum;
}

struct entry *rdb_payload_load(struct rdb_load *load, struct slice payload, struct slice key,
                               int64_t expire_ms) {
    struct rdb_in in;
    struct entry *e;
    uint8_t type;
    load->dialect = version_of(payload) == RDB_VERSION_VALKEY ? RDB_VALKEY : RDB_REDIS;
    rdb_in_init(&in, payload.p, payload.n - FOOTER, 0);
    if (!rdb_in_byte(&in, &type)) return NULL;
    if (rdb_load_entry(load, &in, type, key, expire_ms, &e) != RDB_LOADED) return NULL;
    if (rdb_in_left(&in) == 0) return e;
    entry_free(e);
    return NULL;
}
