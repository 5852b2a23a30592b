// SPDX-License-Identifier: BSD-3-Clause
//
// torc-rdb convert: makes each value and writes it in the form that the wanted version has. What
// that version cannot express, and what cannot be read, ends the conversion, or is named and left
// out (--skip); state of modules is named and left out always. A large value is written in steps.
// Main thread. Invariant: an output that is complete holds every key that was selected, but for
// those that were named.
#include "engine/base/alloc.h"
#include "persistence/rdb_writer.h"
#include "tools/torc_rdb/commands.h"
#include "tools/torc_rdb/input.h"
#include "tools/torc_rdb/output.h"

#include <stdio.h>

#define STEP_BYTES            ((size_t)256 * 1024)
#define VERSION_WITH_FUNCTION 10

struct convert {
    const struct options *options;
    struct rdb_save how;
    struct input in;
    struct output out;
    bool named; // a database is, ...
    uint32_t db;
    int status;
};

/** Something that is not written; false: that ends the conversion. */
static bool leave_out(struct convert *c, uint64_t offset, const char *why) {
    if (c->in.reader.item.is_record)
        input_complain_key(&c->in, offset, why);
    else
        input_complain(&c->in, offset, why);
    c->status = STATUS_FOUND;
    return c->options->skip;
}

static void name_db(struct convert *c) {
    uint32_t db = c->in.reader.item.db;
    if (!c->named || c->db != db) rdb_write_db(&c->out.buf, db);
    c->named = true;
    c->db = db;
}

/** How many keys follow: worth telling, as a load makes its tables for them, if all of them do. */
static void write_resize(struct convert *c) {
    const struct rdb_record *item = &c->in.reader.item;
    if (!selection_is_all(&c->options->selection)) return;
    name_db(c);
    rdb_write_resize(&c->out.buf, item->numbers[0], item->numbers[1]);
}

static bool write_entry(struct convert *c, const struct entry *e) {
    const struct rdb_record *record = &c->in.reader.item;
    struct buf *buf = &c->out.buf;
    name_db(c);
    rdb_write_record_head(buf, &c->how, e, record->idle_s, record->freq);
    struct rdb_saving saving;
    bool more, ok = true;
    rdb_saving_begin(&saving, e, &c->how);
    do {
        more = rdb_saving_step(&saving, buf, STEP_BYTES);
        ok = ok && output_room(&c->out);
    } while (more); // to its end also when writing failed: what a step holds is let go there
    if (!ok) c->status = STATUS_FILES;
    return ok;
}

static bool convert_record(struct convert *c) {
    if (!selection_has(&c->options->selection, &c->in.reader)) return true;
    struct entry *e;
    switch (input_entry(&c->in, &e)) {
    case RDB_LOADED: break;
    case RDB_LOAD_EMPTY: return true; // as a load does
    default: return leave_out(c, c->in.in.error_at, c->in.in.error);
    }
    bool ok;
    const char *obstacle = rdb_save_obstacle(e, &c->how);
    if (obstacle != NULL) {
        char why[128];
        snprintf(why, sizeof(why), "RDB version %d has no %s", c->how.version, obstacle);
        ok = leave_out(c, c->in.reader.item.offset, why);
    } else {
        ok = write_entry(c, e);
    }
    entry_free(e);
    return ok;
}

static bool convert_function(struct convert *c) {
    const struct rdb_record *item = &c->in.reader.item;
    if (c->how.version < VERSION_WITH_FUNCTION)
        return leave_out(c, item->raw_offset, "function libraries came with RDB version 10");
    rdb_write_function(&c->out.buf, item->text);
    return output_room(&c->out);
}

static bool convert_aux(struct convert *c) {
    const struct rdb_record *item = &c->in.reader.item;
    buf_append(&c->out.buf, item->raw.p, item->raw.n);
    return output_room(&c->out);
}

static bool note_module_aux(struct convert *c) {
    char why[80];
    snprintf(why, sizeof(why), "data of the module '%.9s' are left out", c->in.reader.item.key.p);
    input_complain(&c->in, c->in.reader.item.raw_offset, why);
    return true;
}

/** One item; false: it is over. */
static bool convert_item(struct convert *c, enum rdb_item item) {
    const struct rdb_reader *r = &c->in.reader;
    switch (item) {
    case RDB_ITEM_RECORD: return convert_record(c);
    case RDB_ITEM_AUX: return convert_aux(c);
    case RDB_ITEM_RESIZE: write_resize(c); return true;
    case RDB_ITEM_FUNCTION: return convert_function(c);
    case RDB_ITEM_MODULE_AUX: return note_module_aux(c);
    case RDB_ITEM_UNKNOWN:
        if (r->item.is_record && !selection_has(&c->options->selection, r)) return true;
        return leave_out(c, r->in.error_at, r->in.error);
    case RDB_ITEM_ERROR: c->status = input_status(&c->in); return false;
    case RDB_ITEM_END: return false;
    default: return true;
    }
}

static void write_end(struct convert *c) {
    rdb_write_end(&c->out.buf);
    output_flush(&c->out);
    rdb_write_checksum(&c->out.buf, c->options->no_checksum ? 0 : c->out.crc);
}

int convert_run(const struct options *o) {
    struct convert c = {.options = o, .status = STATUS_OK};
    c.how = (struct rdb_save){.version = (int)o->rdb_version, .compress = !o->no_compression};
    if (!input_open(&c.in, o, true)) return STATUS_FILES;
    if (!output_open(&c.out, o->output)) {
        input_close(&c.in);
        return STATUS_FILES;
    }
    c.out.sums = !o->no_checksum;
    rdb_write_magic(&c.out.buf, c.how.version);
    enum rdb_item item;
    do item = input_next(&c.in);
    while (convert_item(&c, item));
    bool good = item == RDB_ITEM_END;
    if (good) write_end(&c);
    if (!output_close(&c.out, good) && good) c.status = STATUS_FILES;
    input_close(&c.in);
    return c.status;
}
