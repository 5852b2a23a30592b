// SPDX-License-Identifier: BSD-3-Clause
//
// The request parser: RESP arrays of bulk strings and inline commands (Redis serialization protocol
// specification), incremental, without copying: arguments are slices of the bytes given. The state
// between calls is a few numbers, so a command that arrives in a thousand pieces is looked at once
// per byte and a client that never finishes costs only its bytes. One parser per connection, on its
// shard.
//
// Invariant: while a command is incomplete the caller keeps its bytes from the first one and calls
// again with the same beginning and more bytes behind (at the same or another address).
#ifndef TORC_NET_RESP_PARSER_H
#define TORC_NET_RESP_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/slice.h"

#define RESP_INLINE_MAX           (64 * 1024) // longest inline request, bytes
#define RESP_ARGS_MAX             2147483647  // arguments of one command, as in Redis 7
#define RESP_ARGS_UNAUTHENTICATED 10
#define RESP_BULK_UNAUTHENTICATED 16384

/**
 * Argument slices of the commands of one batch, one after the other. Reused from batch to batch.
 */
struct resp_args {
    struct slice *v;
    size_t len, cap;
    // the latest inline command with quotes, unescaped here; arguments point into it
    char *line;
    size_t line_cap;
};
void resp_args_free(struct resp_args *args);

struct resp_limits {
    int64_t bulk_max;   // proto-max-bulk-len
    bool authenticated; // false: the limits for strangers apply, with Redis's errors
};

struct resp_parser {
    size_t position;     // bytes of the current command already understood
    int64_t args_left;   // arguments still to come; 0: at the beginning of a command
    int64_t bulk_left;   // length of the argument being awaited; -1: its header is
    size_t line_scanned; // how far an unfinished line has been searched for its end
    size_t *offsets;     // (offset, length) pairs of arguments of an unfinished command
    uint32_t offset_count, offset_cap;
};

enum resp_status {
    RESP_COMMAND, // a whole command
    RESP_NOTHING, // an empty command ("*0", an empty line): skip it, no reply
    RESP_MORE,    // incomplete
    RESP_ERROR,   // protocol error: reply the text, close after
};

struct resp_result {
    size_t consumed; // bytes of the command (RESP_COMMAND, RESP_NOTHING)
    size_t first;    // index of its first argument in args->v
    int argc;
    size_t missing;  // RESP_MORE: at least so many more bytes are needed (>= 1)
    char error[128]; // RESP_ERROR: "ERR Protocol error: ..." , zero-terminated
};

void resp_parser_init(struct resp_parser *parser);
/** Frees the offsets of an unfinished command. */
void resp_parser_fini(struct resp_parser *parser);
/**
 * Parses one command from the beginning of data. Argument slices are appended to args and point
 * into data or, for an inline command with
 * quotes, into args->line, where the next such command overwrites them. The data is not changed.
 * `missing` is a hint of how much to read, as the client claims it: bound it before making room.
 */
enum resp_status resp_parse(struct resp_parser *parser, char *data, size_t length,
                            const struct resp_limits *limits, struct resp_args *args,
                            struct resp_result *result);

#endif
