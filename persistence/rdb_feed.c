// SPDX-License-Identifier: BSD-3-Clause
//
// The rules of loading, item by item. Pure but for the source that it is given; runs on its
// caller's thread: the loader's of a server, or a tool's. Invariant: the reader lives from the
// beginning of rdb_feed_run() to its end; its offset is good afterwards. Called by rdb_check.c and
// by shards/loading_thread.c.
#include "persistence/rdb_feed.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool rdb_fault_set(struct rdb_fault *fault, uint64_t offset, const char *format, ...) {
    if (fault->text[0] != '\0') return false;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fault->text, sizeof fault->text, format, arguments);
    va_end(arguments);
    fault->offset = offset;
    return false;
}

// ---- what is left out --------------------------------------------------------------------------

static void add_name(struct rdb_left_out *out, struct slice name) {
    size_t used = strlen(out->names);
    size_t need = name.n + (used > 0 ? 2 : 0);
    if (out->more || need > RDB_LEFT_OUT_NAMES - used || memchr(name.p, '\0', name.n)) {
        out->more = true;
        return;
    }
    snprintf(out->names + used, sizeof out->names - used, "%s%.*s", used > 0 ? ", " : "",
             (int)name.n, name.p);
}

void rdb_left_out_add(struct rdb_left_out *out, uint64_t *count, struct slice name) {
    ++*count;
    add_name(out, name);
}

void rdb_left_out_join(struct rdb_left_out *out, const struct rdb_left_out *more) {
    out->keys += more->keys;
    out->functions += more->functions;
    out->modules += more->modules;
    out->others += more->others;
    if (more->names[0] != '\0') add_name(out, slice_text(more->names));
    out->more |= more->more;
}

// ---- items -------------------------------------------------------------------------------------

static bool take_function(struct rdb_feed *feed) {
    if (feed->skip_unknown) {
        feed->left_out.functions++;
        return true;
    }
    return rdb_fault_set(&feed->fault, rdb_reader_offset(&feed->reader),
                         "the file holds a library of functions, which torc does not have; with "
                         "rdb-unknown skip the rest is loaded");
}

static bool take_db(struct rdb_feed *feed, uint32_t db) {
    if (db < feed->databases) return true;
    return rdb_fault_set(&feed->fault, rdb_reader_offset(&feed->reader),
                         "the file has a database %u, and `databases` allows %u", db,
                         feed->databases);
}

/** Does what the item asks for. False: a fault. */
static bool take(struct rdb_feed *feed, enum rdb_item item) {
    const struct rdb_record *r = &feed->reader.item;
    struct rdb_left_out *out = &feed->left_out;
    switch (item) {
    case RDB_ITEM_RECORD: return feed->record(feed->context, r);
    case RDB_ITEM_DB: return take_db(feed, r->db);
    case RDB_ITEM_FUNCTION: return take_function(feed);
    case RDB_ITEM_MODULE_AUX: rdb_left_out_add(out, &out->modules, r->key); return true;
    case RDB_ITEM_UNKNOWN:
        if (r->is_record)
            rdb_left_out_add(out, &out->keys, r->key);
        else
            rdb_left_out_add(out, &out->others, slice_text(feed->reader.in.error));
        return true;
    case RDB_ITEM_AUX:
        if (feed->aux) feed->aux(feed->context, r);
        return true;
    case RDB_ITEM_RESIZE:
        if (feed->resize) feed->resize(feed->context, r);
        return true;
    case RDB_ITEM_SLOT:
    case RDB_ITEM_END: return true;
    case RDB_ITEM_ERROR: break;
    }
    return rdb_fault_set(&feed->fault, feed->reader.in.error_at, "%s", feed->reader.in.error);
}

bool rdb_feed_run(struct rdb_feed *feed) {
    struct rdb_reader *reader = &feed->reader;
    enum rdb_item item;
    bool good;
    rdb_reader_init(reader, feed->source, feed->source_context);
    reader->skip_unknown = feed->skip_unknown;
    reader->ignore_checksum = feed->ignore_checksum;
    do {
        item = rdb_reader_next(reader);
        good = take(feed, item);
    } while (good && item != RDB_ITEM_END);
    ASSERT(good || feed->fault.text[0] != '\0');
    rdb_reader_fini(reader);
    return good;
}
