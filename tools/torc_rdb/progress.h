// SPDX-License-Identifier: BSD-3-Clause
//
// The progress bar: one line on stderr, drawn a few times a second when stderr is a terminal and
// never otherwise. Owned by an input, main thread. Invariant: progress_clear() leaves the terminal
// without a bar, so that lines can be printed.
#ifndef TORC_TOOLS_TORC_RDB_PROGRESS_H
#define TORC_TOOLS_TORC_RDB_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool shown, drawn;
    uint64_t size, done; // bytes; size 0: not known
    int64_t begun_ns, next_ns;
};

void progress_begin(struct progress *p, uint64_t size, bool quiet);
/** So many bytes more; draws when it is time. */
void progress_add(struct progress *p, uint64_t bytes);
void progress_clear(struct progress *p);

#endif
