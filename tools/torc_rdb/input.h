// SPDX-License-Identifier: BSD-3-Clause
//
// The RDB file that is read: descriptor, reader, progress bar, and the making of values from its
// records. Owned by a subcommand, main thread. Invariant: between input_open() and input_close()
// the descriptor is open, or is standard input.
#ifndef TORC_TOOLS_TORC_RDB_INPUT_H
#define TORC_TOOLS_TORC_RDB_INPUT_H

#include "engine/keyspace/entry.h"
#include "engine/rdb/rdb_load.h"
#include "persistence/rdb_reader.h"
#include "tools/torc_rdb/options.h"
#include "tools/torc_rdb/progress.h"

struct input {
    struct rdb_reader reader;
    const char *name;
    int fd;
    int error;     // a negative errno of reading
    uint64_t size; // 0: not known
    struct progress progress;
    struct rdb_load load;
    struct rdb_in in; // the value that was made last, and what was wrong with it
    int64_t now_ms;
};

/** Opens the options' input; false: it has been told why not. */
bool input_open(struct input *in, const struct options *o, bool skip_unknown);
void input_close(struct input *in);
/** The next item. RDB_ITEM_ERROR has been told. */
enum rdb_item input_next(struct input *in);
/**
 * Makes the value of the record that the reader stands at; in->in.error says what is wrong with it,
 * in->in.error_at where in the file. *out is the caller's.
 */
enum rdb_loaded input_entry(struct input *in, struct entry **out);
/** Whether the record's time is over. */
bool input_expired(const struct input *in);
/** The exit status after RDB_ITEM_ERROR. */
int input_status(const struct input *in);
/** "torc-rdb: FILE: offset N: why" on stderr. */
void input_complain(struct input *in, uint64_t offset, const char *why);
/** The same about the key of the record. */
void input_complain_key(struct input *in, uint64_t offset, const char *why);

#endif
