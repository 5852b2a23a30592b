// SPDX-License-Identifier: BSD-3-Clause
//
// The names of a snapshot's files in their directory: temporary ones, and dated ones that are kept
// as backups. Finds and removes those that are left over or too many, and never a file whose name
// does not have exactly the form. Any thread that may wait for the disk; no state.
// Invariant: what is removed is a regular file of that form: a dated one that is older than those
// to keep, or a temporary one that nobody is writing.
#ifndef TORC_PERSISTENCE_SNAPSHOT_NAMES_H
#define TORC_PERSISTENCE_SNAPSHOT_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/buf.h"

#define SNAPSHOT_TEMPORARY_MAX 32

/** temp-<pid>.rdb, of this process. */
void snapshot_temporary_name(char out[SNAPSHOT_TEMPORARY_MAX]);
/** "dump-20261122-031500.rdb" from "dump.rdb", in local time; zero-terminated. */
void snapshot_dated_name(struct buf *out, const char *name, int64_t time_s);
/** Whether it is a dated name that belongs to `name`. */
bool snapshot_is_dated_name(const char *name, const char *candidate);
/**
 * Removes all dated files that belong to `name` but the newest `keep`. How many were removed, or a
 * negative errno.
 */
int snapshot_prune_dated(int directory, const char *name, int64_t keep);
/**
 * Removes temporary files that a process which is gone has left: of that name, not changed for a
 * minute, and locked by nobody. Their names are listed in *removed ("a, b"), which may be NULL.
 * How many, or a negative errno.
 */
int snapshot_remove_leftovers(const char *directory, struct buf *removed);

#endif
