// SPDX-License-Identifier: BSD-3-Clause
//
// From a file's items to the records that are to be loaded, by the rules of loading: which
// databases there are, and what becomes of what torc does not know (functions, types, data of
// modules). What is left out is counted, and named as far as there is room; what refuses the file
// is a fault, with its place. For the loading of a server, and the check before it. Owned by its
// caller, one thread. Invariant: a fault has a text.
#ifndef TORC_PERSISTENCE_RDB_FEED_H
#define TORC_PERSISTENCE_RDB_FEED_H

#include "persistence/rdb_reader.h"

#define RDB_LEFT_OUT_NAMES 400 // bytes of names that are kept

/** Why a file cannot be loaded, and where in it. */
struct rdb_fault {
    uint64_t offset;
    char text[256]; // empty: there is none
};
/** Notes a fault (printf), unless one is noted already. Always returns false. */
bool rdb_fault_set(struct rdb_fault *fault, uint64_t offset, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** What was left out of a file. */
struct rdb_left_out {
    uint64_t keys;                      // of unknown types
    uint64_t functions;                 // libraries
    uint64_t modules;                   // auxiliary data
    uint64_t others;                    // what belongs to no key
    char names[RDB_LEFT_OUT_NAMES + 1]; // of the first keys, modules and others: "a, b"
    bool more;                          // there are names that did not fit
};
/** Counts one of those (a member of `out`), and keeps its name if there is room. */
void rdb_left_out_add(struct rdb_left_out *out, uint64_t *count, struct slice name);
void rdb_left_out_join(struct rdb_left_out *out, const struct rdb_left_out *more);

struct rdb_feed {
    // The caller's wishes.
    rdb_source_fn *source;
    void *source_context;
    uint32_t databases;   // numbers from here on refuse the file
    bool skip_unknown;    // rdb-unknown skip
    bool ignore_checksum; // rdbchecksum no
    /** A record. False: stop; the callee has noted the fault. */
    bool (*record)(void *context, const struct rdb_record *record);
    /** NULL, or: item.key = item.text of the file's head. */
    void (*aux)(void *context, const struct rdb_record *item);
    /** NULL, or: item.db is going to have so many keys (item.numbers[0]), it is said. */
    void (*resize)(void *context, const struct rdb_record *item);
    void *context;
    // What came of it.
    struct rdb_reader reader;
    struct rdb_fault fault;
    struct rdb_left_out left_out;
};

/** Reads it all. False: feed.fault says why not. */
bool rdb_feed_run(struct rdb_feed *feed);

#endif
