// SPDX-License-Identifier: BSD-3-Clause
/*
 * An incremental reader of RESP2 and RESP3 replies.
 *
 * It is fed whatever bytes arrived and says when a reply is complete; payloads are stepped over,
 * not kept, so a connection costs a few hundred bytes whatever the size of the replies. One parser
 * belongs to one connection and thus to one worker thread. Invariant: between two replies `depth`
 * is 0 and `line_len` is 0. Aggregates, maps, sets, attributes and pushes may nest.
 */
#ifndef TORC_TOOLS_TORC_LOAD_REPLY_H
#define TORC_TOOLS_TORC_LOAD_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPLY_DEPTH_MAX 32
/* Longer lines (error texts, simple strings) are read to their end, but only this much is kept. */
#define REPLY_LINE_MAX  192

enum reply_result { REPLY_MORE, REPLY_DONE, REPLY_BAD };

struct reply_frame {
    uint64_t left;     /* elements of this aggregate still to come */
    bool is_attribute; /* when complete it does not count as an element of its parent */
};

struct reply_parser {
    /* About the reply just completed: its first byte, and what it held at any depth. */
    char type;
    uint32_t nulls;
    uint32_t values; /* strings and numbers that are not null */
    bool has_error;
    char error[REPLY_LINE_MAX];
    /* Where the reader stands. */
    bool is_started;
    uint32_t depth;
    uint64_t skip; /* bytes of a payload, CRLF included, still to be stepped over */
    uint32_t line_len;
    char line[REPLY_LINE_MAX];
    struct reply_frame frames[REPLY_DEPTH_MAX];
};

/* Makes the parser ready for the first reply of a connection. */
void reply_init(struct reply_parser *p);

/*
 * Reads from *cursor up to `end`, at most one reply, and moves *cursor behind what it has used.
 * REPLY_DONE: one reply is complete and its summary is in `p` until the next call. REPLY_MORE: all
 * bytes are used and the reply is not complete. REPLY_BAD: these bytes are no RESP; `p->error` says
 * what was wrong.
 */
enum reply_result reply_feed(struct reply_parser *p, const char **cursor, const char *end);

#endif
