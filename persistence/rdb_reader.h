// SPDX-License-Identifier: BSD-3-Clause
//
// Reads an RDB file (or stream) from beginning to end, item by item: header, opcodes, and the bytes
// of each record, whose value it goes past without making it. So one thread can cut a file for many
// that do the work. A window of the file is in memory: as large as the largest record, and never
// larger than what has really been read. Owned by its caller, one thread. Invariant: an item's
// slices are good until the next call.
#ifndef TORC_PERSISTENCE_RDB_READER_H
#define TORC_PERSISTENCE_RDB_READER_H

#include <sys/types.h>

#include "engine/base/blob.h"
#include "engine/base/buf.h"
#include "engine/base/slice.h"
#include "engine/rdb/rdb_format.h"
#include "engine/rdb/rdb_in.h"

/** Where bytes come from: like read(2), negative errno when it fails, 0 at the end. */
typedef ssize_t rdb_source_fn(void *context, void *p, size_t n);

enum rdb_item {
    RDB_ITEM_RECORD,     // a key with its value
    RDB_ITEM_DB,         // what follows is in item.db
    RDB_ITEM_RESIZE,     // hints: item.numbers[0] keys, [1] of them expire
    RDB_ITEM_SLOT,       // hints: slot, keys, keys that expire
    RDB_ITEM_AUX,        // item.key = item.text
    RDB_ITEM_FUNCTION,   // item.text: a library's code
    RDB_ITEM_MODULE_AUX, // item.key: the module's name; its data were gone past
    RDB_ITEM_UNKNOWN,    // only with skip_unknown; why: in.error, at in.error_at. item.is_record:
                         // item.key and the rest are a record's, whose value cannot be loaded
    RDB_ITEM_END,        // the file is complete, and its checksum right (or it has none)
    RDB_ITEM_ERROR,      // reader.in.error, at offset reader.in.error_at
};

struct rdb_record {
    uint32_t db;
    uint8_t type;         // enum rdb_type
    bool is_record;       // RDB_ITEM_UNKNOWN: a key with its value, and not something else
    struct slice key;     // a record's key, ...
    struct slice value;   // its value as it stands in the file
    uint64_t offset;      // of the value in the file
    int64_t expire_ms;    // ENTRY_NO_EXPIRE: none
    int64_t idle_s, freq; // -1: not told
    struct slice text;
    uint64_t numbers[3];
    // The item from its type or opcode on, as it stands in the file: without the expiry, idle time
    // and frequency that stand before a record.
    struct slice raw;
    uint64_t raw_offset;
};

/** Set skip_unknown and ignore_checksum before the first item; the rest is only to be read. */
struct rdb_reader {
    bool skip_unknown;    // go past what has an unknown type or opcode but a known form, and try
                          // to read versions that are newer than the known ones
    bool ignore_checksum; // whatever it is
    int version;          // 0 until the header has been read
    enum rdb_dialect dialect;
    bool has_checksum; // known with RDB_ITEM_END: there is one, and it is not zero
    uint64_t records;
    struct rdb_record item;
    struct rdb_in in; // over the window
    // How it works:
    rdb_source_fn *source;
    void *source_context;
    struct blob *window;          // bytes of the file from `offset` on; NULL: none yet
    struct buf key_made, made;    // keys and texts that do not stand in the file as they are
    uint64_t offset;              // of the window
    uint64_t crc;                 // of the file up to ...
    size_t summed;                // ... here in the window
    bool source_ended, eof, over; // no more bytes; RDB_OP_EOF was met; the last item was told
    bool tell_version;            // that it is newer than what is known
};

void rdb_reader_init(struct rdb_reader *r, rdb_source_fn *source, void *context);
void rdb_reader_fini(struct rdb_reader *r);
/** The next item; what it is is in r->item. After RDB_ITEM_END and RDB_ITEM_ERROR no more. */
enum rdb_item rdb_reader_next(struct rdb_reader *r);
/** Whether the record in hand is long, and most of what has been read: worth taking. */
bool rdb_reader_is_large(const struct rdb_reader *r);
/**
 * The memory that the item in hand stands in, which is the caller's from now on; the item's value
 * stays good as long as that does. The reader goes on with a copy of what it has read beyond.
 */
struct blob *rdb_reader_take(struct rdb_reader *r);
/** How many bytes of the file have been gone past: at RDB_ITEM_END, how long it is. */
uint64_t rdb_reader_offset(const struct rdb_reader *r);

/** The name of a module from the id in the file. */
void rdb_module_name(uint64_t id, char name[10]);
/** What a type of value is called in messages: "hash, listpack" or "type 99". */
struct rdb_type_name {
    char text[40];
};
struct rdb_type_name rdb_type_name(uint8_t type, enum rdb_dialect dialect);

/** A source that reads a descriptor; the context is an int *. */
ssize_t rdb_source_fd(void *context, void *p, size_t n);

#endif
