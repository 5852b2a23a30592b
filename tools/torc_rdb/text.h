// SPDX-License-Identifier: BSD-3-Clause
//
// What torc-rdb prints: sizes and keys for people, strings for JSON. Pure functions; what they
// append belongs to the buffer's owner. Invariant: whatever bytes a key has, a line of text stays a
// line of printable text, and a JSON value stays valid and tells the bytes exactly.
#ifndef TORC_TOOLS_TORC_RDB_TEXT_H
#define TORC_TOOLS_TORC_RDB_TEXT_H

#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/slice.h"

struct text_short {
    char text[32];
};
/** "512 B", "1.2 MiB". */
struct text_short text_bytes(uint64_t bytes);
/** A key in quotes, what is not printable as \xNN, cut at `max` characters. */
void text_key(struct buf *out, struct slice key, size_t max);
/** The same on a stream. */
void text_print_key(void *file, struct slice key, size_t max);

/** A JSON string when the bytes are valid UTF-8; else an object, {"base64":"..."}. */
void text_json(struct buf *out, struct slice bytes);

#endif
