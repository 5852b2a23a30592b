// SPDX-License-Identifier: BSD-3-Clause
//
// Fuzz target for DUMP's payloads: the input is one, whose checksum is set right and whose version
// is made one that is read. What rdb_payload_load() takes must be valid, and must come back as the
// same value from every version that can hold it, written in one go or in steps. The corpus has
// payloads of Redis 7.0 and 7.2. One thread. Invariant: what one version refuses is named before.
#include <stdlib.h>

#include "engine/base/assert.h"
#include "engine/base/crc64.h"
#include "engine/rdb/rdb_payload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FOOTER 10

static void seal(struct buf *payload, unsigned version) {
    payload->p[payload->len - FOOTER] = (char)version;
    payload->p[payload->len - FOOTER + 1] = 0;
    uint64_t sum = crc64(0, payload->p, payload->len - sizeof sum);
    memcpy(payload->p + payload->len - sizeof sum, &sum, sizeof sum);
}

static struct entry *load(const char *bytes, size_t n) {
    struct rdb_load how = {.limits = &value_default_limits};
    char *exact = malloc(n);
    if (exact == NULL) abort();
    memcpy(exact, bytes, n);
    ASSERT(rdb_payload_check(slice_of(exact, n)));
    struct entry *e = rdb_payload_load(&how, slice_of(exact, n), SLICE_LITERAL("key"), 77);
    free(exact);
    rdb_load_fini(&how);
    return e;
}

/** In steps, the same bytes as at once. */
static void check_steps(const struct entry *e, const struct rdb_save *how, struct slice whole) {
    struct rdb_saving s;
    struct buf out = {0};
    size_t budget = 1;
    rdb_saving_begin(&s, e, how);
    while (rdb_saving_step(&s, &out, budget)) budget = budget * 2 % 1021;
    rdb_saving_end(&s);
    ASSERT(slice_equal(slice_of(out.p, out.len), whole));
    buf_free(&out);
}

static void check_version(const struct entry *e, const struct rdb_save *how) {
    struct digest before = {0}, after = {0};
    struct buf payload = {0};
    if (rdb_save_obstacle(e, how) != NULL) {
        ASSERT(how->version < 12 && entry_type(e) == ENTRY_HASH);
        return;
    }
    rdb_payload_save(&payload, e, how);
    check_steps(e, how, slice_of(payload.p + 1, payload.len - 1 - FOOTER));
    struct entry *again = load(payload.p, payload.len);
    ASSERT(again != NULL && entry_is_valid(again));
    entry_digest(e, &before);
    entry_digest(again, &after);
    // Before version 10 streams had fewer counts.
    if (entry_type(e) != ENTRY_STREAM || how->version >= 10)
        ASSERT(before.low == after.low && before.high == after.high);
    entry_free(again);
    buf_free(&payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t versions[] = {9, 11, 12, RDB_VERSION_VALKEY};
    struct buf payload = {0};
    ASSERT(!rdb_payload_check(slice_of(data, size < FOOTER ? size : FOOTER - 1)));
    if (size < FOOTER) return 0;
    buf_append(&payload, data, size);
    seal(&payload, versions[data[size - FOOTER] % 4]);
    struct entry *e = load(payload.p, payload.len);
    buf_free(&payload);
    if (e == NULL) return 0;
    ASSERT(entry_is_valid(e) && entry_expire_ms(e) == 77);
    for (int version = 9; version <= 12; version++)
        for (int compress = 0; compress < 2; compress++)
            check_version(e, &(struct rdb_save){.version = version, .compress = compress != 0});
    entry_free(e);
    return 0;
}
