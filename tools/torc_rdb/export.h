// SPDX-License-Identifier: BSD-3-Clause
//
// The two formats of torc-rdb export, which write one entry after the other into an output. They
// keep no more of a value than a chunk of it. Main thread. Invariant: after each call the output
// ends with a whole line, or a whole command. Called by export.c.
#ifndef TORC_TOOLS_TORC_RDB_EXPORT_H
#define TORC_TOOLS_TORC_RDB_EXPORT_H

#include "engine/keyspace/entry.h"
#include "persistence/rdb_reader.h"
#include "tools/torc_rdb/output.h"

/** False: writing failed, the output tells. */
bool export_json_entry(struct output *out, const struct rdb_record *record, const struct entry *e);

/** Commands that are being made. */
struct export_resp {
    struct output *out;
    bool replace;
    bool selected; // a database has been, which is ...
    uint32_t db;
    struct buf head, args; // of the command that is being made
    size_t head_count, count;
};
bool export_resp_entry(struct export_resp *x, const struct rdb_record *record,
                       const struct entry *e);
bool export_resp_function(struct export_resp *x, struct slice code);
void export_resp_fini(struct export_resp *x);

#endif
