// SPDX-License-Identifier: BSD-3-Clause
//
// From the chunks of a snapshot back to entries: they are put together to a file, whose sum is
// joined from theirs, and that is read as any other. For tests; any thread. Invariant: what is not
// a good file, or has a record twice in one database, is an error.
#ifndef TORC_TESTS_UNIT_PERSISTENCE_DECODE_H
#define TORC_TESTS_UNIT_PERSISTENCE_DECODE_H

#include <stdio.h>
#include <string.h>

#include "engine/base/crc64.h"
#include "engine/rdb/rdb_load.h"
#include "persistence/rdb_reader.h"
#include "persistence/rdb_writer.h"
#include "persistence/snapshot.h"

/** A file being put together. */
struct decode {
    struct buf file;
    uint64_t crc;
    size_t read; // of it, by the reader
};

static inline void decode_add(struct decode *d, const void *p, size_t n, uint64_t crc) {
    buf_append(&d->file, p, n);
    d->crc = crc64_combine(d->crc, crc, n);
}

static inline void decode_begin(struct decode *d, int version) {
    struct buf magic = {0};
    *d = (struct decode){.read = 0};
    rdb_write_magic(&magic, version);
    decode_add(d, magic.p, magic.len, crc64(0, magic.p, magic.len));
    buf_free(&magic);
}

/** Takes a chunk, with those behind it, and frees them. */
static inline void decode_chunk(struct decode *d, struct snapshot_chunk *chunk) {
    for (struct snapshot_chunk *c = chunk; c != NULL; c = c->next)
        decode_add(d, c->bytes.p, c->bytes.len, c->crc);
    snapshot_chunk_free(chunk);
}

static inline ssize_t decode_source(void *context, void *p, size_t n) {
    struct decode *d = context;
    size_t left = d->file.len - d->read;
    if (n > left) n = left;
    if (n > 0) memcpy(p, d->file.p + d->read, n);
    d->read += n;
    return (ssize_t)n;
}

/**
 * The end of the file: calls `found` for each entry, which is freed afterwards. NULL, or what is
 * wrong with the file. Frees the file.
 */
static inline const char *decode_end(struct decode *d, void *context,
                                     void (*found)(void *context, const struct rdb_record *item,
                                                   struct entry *e)) {
    struct buf end = {0};
    rdb_write_end(&end);
    decode_add(d, end.p, end.len, crc64(0, end.p, end.len));
    rdb_write_checksum(&d->file, d->crc);
    buf_free(&end);
    static char error[256];
    struct rdb_reader r;
    struct rdb_load load = {.limits = &value_default_limits};
    rdb_reader_init(&r, decode_source, d);
    const char *wrong = NULL;
    enum rdb_item item;
    while (!wrong && (item = rdb_reader_next(&r)) != RDB_ITEM_END) {
        if (item == RDB_ITEM_ERROR) {
            snprintf(error, sizeof error, "at %llu: %s", (unsigned long long)rdb_reader_offset(&r),
                     r.in.error);
            wrong = error;
        } else if (item == RDB_ITEM_RECORD) {
            struct rdb_in in;
            struct entry *e = NULL;
            rdb_in_init(&in, r.item.value.p, r.item.value.n, r.item.offset);
            if (rdb_load_entry(&load, &in, r.item.type, r.item.key, r.item.expire_ms, &e) ==
                RDB_LOADED) {
                found(context, &r.item, e);
                entry_free(e);
            } else {
                snprintf(error, sizeof error, "a record of type %d cannot be loaded: %s",
                         r.item.type, in.error);
                wrong = error;
            }
        }
    }
    if (!wrong && !r.has_checksum) wrong = "no checksum";
    rdb_reader_fini(&r);
    rdb_load_fini(&load);
    buf_free(&d->file);
    return wrong;
}

#endif
