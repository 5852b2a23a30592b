// SPDX-License-Identifier: BSD-3-Clause
//
// Fuzz target: RDB files. The input is a file, given to the reader in small pieces whose sizes the
// input decides; its checksum is not looked at, so that mutants get past it. Every record becomes
// an entry or is refused; one that loads is written again and must come back equal. Seeds are the
// files of tests/data/rdb. One thread. Invariant: the reader's offsets stay within the input, and a
// second reading in one piece tells the same items.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/rdb/rdb_load.h"
#include "engine/rdb/rdb_save.h"
#include "persistence/rdb_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *p;
    size_t n, at, piece;
};

static ssize_t source(void *context, void *p, size_t n) {
    struct input *in = context;
    size_t left = in->n - in->at;
    if (in->piece > 0 && n > in->piece) n = in->piece;
    if (n > left) n = left;
    if (n > 0) memcpy(p, in->p + in->at, n);
    in->at += n;
    return (ssize_t)n;
}

/** What is written of an entry is the entry. */
static void write_again(const struct entry *e, struct rdb_load *load) {
    struct rdb_save how = {.version = 12, .compress = true};
    ASSERT(rdb_save_obstacle(e, &how) == NULL);
    struct buf out = {0};
    rdb_save_value(&out, e, &how);
    struct rdb_in in;
    rdb_in_init(&in, out.p, out.len, 0);
    ASSERT(rdb_in_skip_value(&in, rdb_save_type(e, &how), RDB_REDIS) && in.at == in.end);
    rdb_in_init(&in, out.p, out.len, 0);
    uint8_t dialect = load->dialect;
    load->dialect = RDB_REDIS;
    struct entry *again = NULL;
    enum rdb_loaded loaded =
        rdb_load_entry(load, &in, rdb_save_type(e, &how), entry_key(e), entry_expire_ms(e), &again);
    load->dialect = dialect;
    ASSERT(loaded == RDB_LOADED && in.at == in.end);
    struct digest one = {0}, two = {0};
    entry_digest(e, &one);
    entry_digest(again, &two);
    ASSERT(one.low == two.low && one.high == two.high);
    entry_free(again);
    buf_free(&out);
}

static void load_record(const struct rdb_record *record, struct rdb_load *load) {
    struct rdb_in in;
    struct entry *e = NULL;
    rdb_in_init(&in, record->value.p, record->value.n, record->offset);
    enum rdb_loaded loaded =
        rdb_load_entry(load, &in, record->type, record->key, record->expire_ms, &e);
    if (loaded != RDB_LOADED) {
        ASSERT(e == NULL && (loaded == RDB_LOAD_EMPTY || in.error[0] != '\0'));
        return;
    }
    ASSERT(in.at == in.end && entry_is_valid(e));
    write_again(e, load);
    entry_free(e);
}

/** Reads it all; returns a sum of what the items were. */
static uint64_t read_file(const uint8_t *data, size_t size, size_t piece, bool make) {
    struct input input = {.p = data, .n = size, .piece = piece};
    struct rdb_load load = {.limits = &value_default_limits};
    struct rdb_reader r;
    rdb_reader_init(&r, source, &input);
    r.skip_unknown = r.ignore_checksum = true;
    uint64_t sum = 0;
    enum rdb_item item;
    do {
        item = rdb_reader_next(&r);
        ASSERT(rdb_reader_offset(&r) <= size);
        load.dialect = (uint8_t)r.dialect;
        if (item == RDB_ITEM_RECORD && make) load_record(&r.item, &load);
        sum = sum * 31 + (uint64_t)item + rdb_reader_offset(&r) * 7 + r.item.value.n;
    } while (item != RDB_ITEM_END && item != RDB_ITEM_ERROR);
    if (item == RDB_ITEM_ERROR) {
        ASSERT(r.in.error[0] != '\0' && r.in.error_at <= size);
        sum += r.in.error_at;
    }
    rdb_reader_fini(&r);
    rdb_load_fini(&load);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint64_t whole = read_file(data, size, 0, true);
    size_t piece = size == 0 ? 1 : 1 + (data[size - 1] * (size_t)37) % 5000;
    ASSERT(whole == read_file(data, size, piece, false));
    return 0;
}
