// SPDX-License-Identifier: BSD-3-Clause
//
// torc-rdb filter: copies the records that are selected as they stand in the file, and everything
// that is no record. So nothing changes its form, and what torc cannot load (modules' values) is
// copied, too. Hints about how many keys follow stay only if all keys do. Main thread. Invariant:
// a database is named in the output before what it holds.
#include "engine/base/alloc.h"
#include "persistence/rdb_writer.h"
#include "tools/torc_rdb/commands.h"
#include "tools/torc_rdb/input.h"
#include "tools/torc_rdb/output.h"

#include <stdio.h>

struct filter {
    const struct options *options;
    struct input in;
    struct output out;
    bool begun;     // the header is written
    bool named;     // a database is, ...
    uint32_t db;    // ... this one
    uint64_t taken; // records
};

/** The header, in the version of the input, once that is known. */
static void write_header(struct filter *f) {
    const struct rdb_reader *r = &f->in.reader;
    if (f->begun) return;
    if (r->dialect == RDB_VALKEY)
        buf_printf(&f->out.buf, "VALKEY%03d", r->version);
    else
        rdb_write_magic(&f->out.buf, r->version);
    f->begun = true;
}

static bool copy(struct filter *f) {
    const struct rdb_record *item = &f->in.reader.item;
    buf_append(&f->out.buf, item->raw.p, item->raw.n);
    return output_room(&f->out);
}

/** Expiry as versions before 3 have it, which know seconds only. */
static void write_expiry_seconds(struct buf *out, int64_t expire_ms) {
    uint32_t seconds = (uint32_t)(expire_ms / 1000);
    buf_append_char(out, (char)RDB_OP_EXPIRETIME);
    buf_append(out, &seconds, sizeof(seconds));
}

static void name_db(struct filter *f) {
    uint32_t db = f->in.reader.item.db;
    if (!f->named || f->db != db) rdb_write_db(&f->out.buf, db);
    f->named = true;
    f->db = db;
}

static bool copy_record(struct filter *f) {
    const struct rdb_reader *r = &f->in.reader;
    const struct rdb_record *record = &r->item;
    if (!selection_has(&f->options->selection, r)) return true;
    name_db(f);
    int64_t expire_ms = record->expire_ms;
    if (r->version < 3 && expire_ms != ENTRY_NO_EXPIRE) {
        write_expiry_seconds(&f->out.buf, expire_ms);
        expire_ms = ENTRY_NO_EXPIRE;
    }
    rdb_write_attributes(&f->out.buf, expire_ms, record->idle_s, record->freq);
    f->taken++;
    return copy(f);
}

/** One item; false: writing failed. */
static bool filter_item(struct filter *f, enum rdb_item item) {
    switch (item) {
    case RDB_ITEM_RECORD: return copy_record(f);
    case RDB_ITEM_UNKNOWN:
        if (f->in.reader.item.is_record) return copy_record(f);
        return copy(f);
    case RDB_ITEM_RESIZE:
    case RDB_ITEM_SLOT:
        if (!selection_is_all(&f->options->selection)) return true;
        name_db(f);
        return copy(f);
    case RDB_ITEM_AUX:
    case RDB_ITEM_FUNCTION:
    case RDB_ITEM_MODULE_AUX: return copy(f);
    default: return true;
    }
}

static void write_end(struct filter *f) {
    rdb_write_end(&f->out.buf);
    if (f->in.reader.version < RDB_VERSION_CHECKSUM) return;
    output_flush(&f->out);
    rdb_write_checksum(&f->out.buf, f->in.reader.has_checksum ? f->out.crc : 0);
}

int filter_run(const struct options *o) {
    struct filter f = {.options = o};
    if (!input_open(&f.in, o, true)) return STATUS_FILES;
    if (!output_open(&f.out, o->output)) {
        input_close(&f.in);
        return STATUS_FILES;
    }
    f.out.sums = true;
    enum rdb_item item;
    bool ok;
    do {
        item = input_next(&f.in);
        if (item != RDB_ITEM_ERROR) write_header(&f);
        ok = filter_item(&f, item);
    } while (ok && item != RDB_ITEM_END && item != RDB_ITEM_ERROR);
    bool good = ok && item == RDB_ITEM_END;
    if (good) write_end(&f);
    int status = item == RDB_ITEM_ERROR ? input_status(&f.in) : good ? STATUS_OK : STATUS_FILES;
    if (!output_close(&f.out, good) && good) status = STATUS_FILES;
    uint64_t all = f.in.reader.records;
    input_close(&f.in);
    if (status == STATUS_OK)
        fprintf(stderr, "torc-rdb: %llu of %llu keys\n", (unsigned long long)f.taken,
                (unsigned long long)all);
    return status;
}
