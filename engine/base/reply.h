// SPDX-License-Identifier: BSD-3-Clause
//
// The one reply writer: RESP2 and RESP3 into a byte buffer (Redis serialization protocol
// specification). Commands describe what they answer; the shape on the wire follows from the
// connection's protocol, so no command asks for it. It runs wherever the command runs: on the
// connection's shard into its output, on another shard into the request's reply. Errors are counted
// and the first word of the last one kept, for INFO errorstats and for EXEC.
#ifndef TORC_ENGINE_BASE_REPLY_H
#define TORC_ENGINE_BASE_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/assert.h"
#include "engine/base/buf.h"
#include "engine/base/pieces.h"
#include "engine/base/slice.h"

#define REPLY_SHARE_MIN ((size_t)64 * 1024) // shorter values are copied: that measured cheaper

struct reply {
    struct buf *out;        // where the bytes go; not owned
    struct pieces **pieces; // where long values may be left instead; NULL: copy all
    uint8_t proto;          // 2 or 3
    uint32_t errors;        // error replies written so far
    char error_code[24];    // first word of the latest error, "ERR" for instance; zero-terminated
};

/** Starts a reply that appends to out in the given protocol (2 or 3). */
static inline void reply_init(struct reply *r, struct buf *out, uint8_t proto) {
    ASSERT(proto == 2 || proto == 3);
    r->out = out;
    r->pieces = NULL;
    r->proto = proto;
    r->errors = 0;
    r->error_code[0] = '\0';
}

/** "+text". The text holds no line breaks. */
void reply_status(struct reply *r, const char *text);
void reply_ok(struct reply *r);
/** "-text": the text starts with its code ("ERR ...", "WRONGTYPE ..."). Line breaks become spaces.
 * */
void reply_error(struct reply *r, const char *text);
void reply_error_format(struct reply *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void reply_error_slice(struct reply *r, struct slice text);
/** ":n" */
void reply_int(struct reply *r, int64_t value);
/** "$n" with the bytes. */
void reply_bulk(struct reply *r, const void *p, size_t n);
void reply_bulk_slice(struct reply *r, struct slice s);
/**
 * The same for bytes of a blob (NULL: they are in none): long ones are not copied where the reply
 * can hold on to the blob.
 */
void reply_bulk_shared(struct reply *r, struct slice s, struct blob *blob);
void reply_bulk_text(struct reply *r, const char *text);
/** An integer as a bulk string. */
void reply_bulk_int(struct reply *r, int64_t value);
/** Absence: "$-1" in RESP2, "_" in RESP3. */
void reply_null(struct reply *r);
/** Absence of an array: "*-1" in RESP2, "_" in RESP3. */
void reply_null_array(struct reply *r);
/** Headers: the caller writes n elements (2n for a map) afterwards. In RESP2 maps become flat
 * arrays, sets and pushes arrays. */
void reply_array(struct reply *r, size_t n);
void reply_map(struct reply *r, size_t pairs);
void reply_set(struct reply *r, size_t n);
void reply_push(struct reply *r, size_t n);
/** RESP3 double, or its text as a bulk string in RESP2. */
void reply_double(struct reply *r, double value);
/** The same for a number that the caller has put into words. */
void reply_double_text(struct reply *r, struct slice text);
/** RESP3 boolean, or :1/:0 in RESP2. */
void reply_bool(struct reply *r, bool value);
/** RESP3 verbatim string with a three-letter format ("txt"), or a bulk string in RESP2. */
void reply_verbatim(struct reply *r, const char format[3], struct slice text);
/** Bytes that already are RESP. */
void reply_raw(struct reply *r, const void *p, size_t n);

/** Opens an array whose length is known only afterwards: returns a mark for reply_array_end().
 * Lengths above 9 cost a move of what was written since. */
size_t reply_array_begin(struct reply *r);
void reply_array_end(struct reply *r, size_t mark, size_t n);
/** The same for a set (RESP3 '~') and for a map (n pairs, RESP3 '%'). */
void reply_set_end(struct reply *r, size_t mark, size_t n);
void reply_map_end(struct reply *r, size_t mark, size_t pairs);

#endif
