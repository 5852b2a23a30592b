// SPDX-License-Identifier: BSD-3-Clause
//
// torc-rdb export: goes over the records of a file, makes their values, and passes them to the
// format. What cannot be exported ends it, or is named and left out (--skip). Main thread.
// Invariant: without --skip the status is 0 only if everything that was selected has been written.
#include "tools/torc_rdb/export.h"

#include "engine/base/alloc.h"
#include "tools/torc_rdb/commands.h"
#include "tools/torc_rdb/input.h"

struct export {
    const struct options *options;
    struct input in;
    struct output out;
    struct export_resp resp;
    int status;
};

/** Something that cannot be written; false: that ends the export. */
static bool leave_out(struct export *x, uint64_t offset, const char *why) {
    if (x->in.reader.item.is_record)
        input_complain_key(&x->in, offset, why);
    else
        input_complain(&x->in, offset, why);
    x->status = STATUS_FOUND;
    return x->options->skip;
}

static bool write_entry(struct export *x, const struct entry *e) {
    const struct rdb_record *record = &x->in.reader.item;
    if (x->options->format == EXPORT_JSON) return export_json_entry(&x->out, record, e);
    return export_resp_entry(&x->resp, record, e);
}

static bool export_record(struct export *x) {
    if (!selection_has(&x->options->selection, &x->in.reader)) return true;
    if (input_expired(&x->in) && !x->options->keep_expired) return true;
    struct entry *e;
    switch (input_entry(&x->in, &e)) {
    case RDB_LOADED: break;
    case RDB_LOAD_EMPTY: return true;
    default: return leave_out(x, x->in.in.error_at, x->in.in.error);
    }
    bool ok = write_entry(x, e);
    entry_free(e);
    if (!ok) x->status = STATUS_FILES;
    return ok;
}

/** One item; false: it is over. */
static bool export_item(struct export *x, enum rdb_item item) {
    const struct rdb_reader *r = &x->in.reader;
    switch (item) {
    case RDB_ITEM_RECORD: return export_record(x);
    case RDB_ITEM_UNKNOWN:
        if (r->item.is_record && !selection_has(&x->options->selection, r)) return true;
        return leave_out(x, r->in.error_at, r->in.error);
    case RDB_ITEM_FUNCTION:
        if (x->options->format == EXPORT_JSON) return true;
        return export_resp_function(&x->resp, r->item.text);
    case RDB_ITEM_ERROR: x->status = input_status(&x->in); return false;
    case RDB_ITEM_END: return false;
    default: return true;
    }
}

int export_run(const struct options *o) {
    struct export x = {.options = o, .status = STATUS_OK};
    // Values of modules are gone past, so that the message names the key.
    if (!input_open(&x.in, o, true)) return STATUS_FILES;
    if (!output_open(&x.out, o->output)) {
        input_close(&x.in);
        return STATUS_FILES;
    }
    if (!o->keep_expired) x.in.load.now_ms = x.in.now_ms; // fields of hashes, too
    x.resp = (struct export_resp){.out = &x.out, .replace = o->replace};
    enum rdb_item item;
    do item = input_next(&x.in);
    while (export_item(&x, item));
    export_resp_fini(&x.resp);
    bool good = item == RDB_ITEM_END;
    if (!output_close(&x.out, good) && good) x.status = STATUS_FILES;
    input_close(&x.in);
    return x.status;
}
