// SPDX-License-Identifier: BSD-3-Clause
//
// The file of a snapshot: a side thread that takes chunks from any shard, writes them one after the
// other under a temporary name (through io_uring where it works), syncs, renames, and syncs the
// directory. Nobody waits for it but by asking. Invariant: the file of the final name is always a
// complete one: the old one until the rename, then the new one.
#ifndef TORC_PERSISTENCE_SNAPSHOT_FILE_H
#define TORC_PERSISTENCE_SNAPSHOT_FILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "persistence/snapshot.h"

struct snapshot_file;

struct snapshot_file_options {
    const char *directory, *name; // the final place; copied
    bool checksum;
    /** Called on the side thread when all is over: 0, or a negative errno. */
    void (*finished)(void *context, int error);
    void *context;
};

/** Starts the thread, and opens the temporary file there. NULL: no thread could be started. */
struct snapshot_file *snapshot_file_start(const struct snapshot_file_options *options);
/** Hands over a chunk, from any thread; it is freed when written. Never waits. */
void snapshot_file_add(struct snapshot_file *f, struct snapshot_chunk *chunk);
/** No chunk will follow: sum, sync, rename. */
void snapshot_file_commit(struct snapshot_file *f);
/** Gives up: the temporary file is deleted. `finished` comes with -ECANCELED. */
void snapshot_file_abort(struct snapshot_file *f);
/** Bytes handed over and not yet written; bytes written; 0 or the error that stopped it. */
size_t snapshot_file_pending(const struct snapshot_file *f);
uint64_t snapshot_file_written(const struct snapshot_file *f);
int snapshot_file_error(const struct snapshot_file *f);
/** Joins the thread and frees it; after `finished` has been called. */
void snapshot_file_free(struct snapshot_file *f);

#endif
