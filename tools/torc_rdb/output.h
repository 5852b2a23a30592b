// SPDX-License-Identifier: BSD-3-Clause
//
// What torc-rdb writes: a file under a temporary name until it is complete, or standard output.
// Owned by a subcommand, main thread; a signal that ends the program removes the temporary file.
// Invariant: the final name is that of the old file, or of the complete new one.
#ifndef TORC_TOOLS_TORC_RDB_OUTPUT_H
#define TORC_TOOLS_TORC_RDB_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/buf.h"

struct output {
    struct buf buf; // append here, then call output_room()
    const char *name;
    char *temporary; // NULL: standard output
    int fd;
    int error;    // errno of the first write that failed
    bool sums;    // keep `crc`
    uint64_t crc; // of what has been written
};

/** Opens it ("-": standard output); false: it has been told why not. */
bool output_open(struct output *o, const char *name);
/** Writes the buffer if it is long. False: writing failed; output_close() tells. */
bool output_room(struct output *o);
/** Writes the buffer. */
bool output_flush(struct output *o);
/**
 * Ends it. With `commit`, and if all writing went well, the file gets its final name; otherwise
 * nothing is left of it. Returns whether it is there now; failures have been told.
 */
bool output_close(struct output *o, bool commit);

#endif
