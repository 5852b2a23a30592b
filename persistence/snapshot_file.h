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
#include <sys/types.h>

#include "persistence/snapshot.h"

struct snapshot_file;

/** What is asked of the kernel: for tests that let it fail. NULL members: the kernel itself. */
struct snapshot_file_calls {
    ssize_t (*write)(int fd, const void *p, size_t n, off_t offset); // with it, no io_uring
    int (*sync)(int fd);                                             // of the file
    int (*rename)(int directory, const char *from, const char *to);
};

struct snapshot_file_options {
    const char *directory, *name; // the final place; copied
    bool checksum;
    bool incremental_sync; // let the disk keep up with the writes, so that the last sync is short
    bool keep_cached;      // the file will be read soon: leave it in the page cache
    int64_t dated_s;       // also keep it under a name with this time (Unix time); 0: no
    int64_t dated_keep;    // ... and of such files the newest so many
    /** Called on the side thread when all is over: 0, or a negative errno. */
    void (*finished)(void *context, int error);
    void *context;
    struct snapshot_file_calls calls;
};

/** Starts the thread, and opens the temporary file there. NULL: no thread could be started. */
struct snapshot_file *snapshot_file_start(const struct snapshot_file_options *options);
/**
 * Hands over a chunk with those linked behind it, from any thread; they are written one behind the
 * other, and freed. Never waits.
 */
void snapshot_file_add(struct snapshot_file *f, struct snapshot_chunk *chain);
/** No chunk will follow: sum, sync, rename. */
void snapshot_file_commit(struct snapshot_file *f);
/** Gives up: the temporary file is deleted. `finished` comes with -ECANCELED, or why it failed. */
void snapshot_file_abort(struct snapshot_file *f);
/** Bytes handed over and not yet written; bytes written; 0 or the error that stopped it. */
size_t snapshot_file_pending(const struct snapshot_file *f);
uint64_t snapshot_file_written(const struct snapshot_file *f);
int snapshot_file_error(const struct snapshot_file *f);
/** Joins the thread and frees it; after commit or abort. */
void snapshot_file_free(struct snapshot_file *f);

#endif
