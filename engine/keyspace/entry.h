// SPDX-License-Identifier: BSD-3-Clause
//
// An entry: one key with its value, in one allocation when the value is short. Owned by exactly one
// table at a time (or by the transaction that it is lent to); only that owner's thread touches it.
// An entry never moves while it is in a table unless a call here says that it returns the entry's
// new place. Invariant: `encoding` decides the type and what follows the header.
//
//   offset 0        8                   16 / 8            ...
//   +---------------+-------------------+-----------------+-----------+-----------------+
//   | header        | expire_ms         | payload         | key bytes | embedded value  |
//   | 8 bytes       | 8, ENTRY_EXPIRES  | 8, by encoding  | (*)       | vlen bytes      |
//   +---------------+-------------------+-----------------+-----------+-----------------+
//   (*) keys of 255 bytes and more have ENTRY_LONG_KEY and a 4-byte length in front of the bytes.
#ifndef TORC_ENGINE_KEYSPACE_ENTRY_H
#define TORC_ENGINE_KEYSPACE_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/blob.h"
#include "engine/base/num.h"
#include "engine/base/slice.h"
#include "engine/types/value.h"

enum {
    ENTRY_EXPIRES = 1,
    ENTRY_LONG_KEY = 2,
    ENTRY_PARTS = 4, // the table's: counted among those that only parts of which expire
    ENTRY_EPOCH = 8, // the keyspace's: whether a snapshot has yet to write it (keyspace.h)
};

#define ENTRY_EMBED_MAX  1024 // longest embedded value, bytes
#define ENTRY_EMBSTR_MAX 44   // longest value that Redis calls "embstr"
#define ENTRY_NO_EXPIRE  INT64_C(-1)
#define ENTRY_BIG_FREE   (64 * 1024) // values from here on are freed off the shard thread
#define ENTRY_MANY       4096        // elements that are not gone through at once

struct entry {
    uint8_t encoding; // enum entry_encoding
    uint8_t flags;
    uint8_t klen;      // key length; 255 means ENTRY_LONG_KEY
    uint8_t access_hi; // 24-bit access information: LRU seconds, or LFU minutes and counter
    uint16_t access_lo;
    uint16_t vlen; // length of the embedded value
};
_Static_assert(sizeof(struct entry) == 8, "the header of an entry is eight bytes");

// Text that is passed to a function here never points into the entry that the function changes.

/**
 * A fresh string entry: an integer when the text is one (canonical, 64 bits), embedded or a blob
 * otherwise. Owned by the caller.
 */
struct entry *entry_new_string(struct slice key, struct slice value, int64_t expire_ms);
/**
 * A fresh string entry whose value stays where it is: in `from`, which gets one user more and is
 * this value's from now on. Its other bytes remain for those who use them already.
 */
struct entry *entry_new_taken(struct slice key, struct blob *from, struct slice value,
                              int64_t expire_ms);
/** A fresh string entry that holds an integer. */
struct entry *entry_new_int(struct slice key, int64_t value, int64_t expire_ms);
/**
 * A fresh string entry of len zero bytes that is "raw" whatever its length; bytes are filled in
 * through entry_string_bytes().
 */
struct entry *entry_new_raw(struct slice key, size_t len, int64_t expire_ms);
/** A fresh entry that holds a collection (value.h), which it owns from now on. */
struct entry *entry_new_value(struct slice key, struct value v, int64_t expire_ms);
/** The collection that an entry holds; it stays the entry's. */
struct value entry_value(const struct entry *e);
/** Puts another object, or another encoding of the same type, in its place; frees nothing. */
void entry_set_value(struct entry *e, struct value v);
/** A deep copy under another key, with its own expiry. */
struct entry *entry_copy(const struct entry *e, struct slice key, int64_t expire_ms);
/**
 * The same value under another key: the payload moves, e itself is freed. Returns the new entry.
 */
struct entry *entry_rekey(struct entry *e, struct slice key, int64_t expire_ms);
/** Frees the entry and its value. */
void entry_free(struct entry *e);
/**
 * Bytes that entry and value occupy (allocator sizes), for accounting and MEMORY USAGE. O(1) for
 * strings.
 */
size_t entry_memory(const struct entry *e);
/**
 * Payload bytes outside of the entry itself; at ENTRY_BIG_FREE and more the free goes off-thread.
 */
size_t entry_outside_memory(const struct entry *e);
/**
 * What freeing the entry, or handing it over to be freed, takes more than that of a small one, in
 * steps of about 10 ns: steps that free entries count it, or 64 KiB of small elements each would
 * make them long.
 */
uint32_t entry_free_cost(const struct entry *e);
/** Whether writing its value down is to be done in steps: it has many bytes, or elements. O(1). */
bool entry_is_large(const struct entry *e);

enum entry_type entry_type(const struct entry *e);
/** The same, cheaper, where the type is known to the compiler. */
static inline bool entry_has_type(const struct entry *e, enum entry_type type) {
    return type == ENTRY_STRING ? e->encoding <= ENC_BLOB : entry_type(e) == type;
}
/** What OBJECT ENCODING answers. */
const char *entry_encoding_name(const struct entry *e);

struct slice entry_key(const struct entry *e);
/** Absolute expiry in milliseconds since the epoch, or ENTRY_NO_EXPIRE. */
int64_t entry_expire_ms(const struct entry *e);
/** When the entry, or the earliest part of its value (a hash field), expires, or the same. */
int64_t entry_due_ms(const struct entry *e);
/** What key, value and expiry come to: equal for equal entries, whatever the encodings. */
void entry_digest(const struct entry *e, struct digest *d);
/** What its value alone comes to. */
void entry_value_digest(const struct entry *e, struct digest *d);
/** Sets, changes or (ENTRY_NO_EXPIRE) removes the expiry. May move the entry: returns its place. */
struct entry *entry_with_expire(struct entry *e, int64_t expire_ms);

/** The string's bytes; an integer is written into scratch. Valid until the entry changes. */
struct slice entry_string(const struct entry *e, char scratch[NUM_I64_TEXT_MAX]);
/** The blob that holds the string's bytes, or NULL: they are elsewhere. Stays the entry's. */
struct blob *entry_string_blob(const struct entry *e);
/** Length of the string without formatting more than needed. */
size_t entry_string_length(const struct entry *e);
/** Whether the string is an integer as INCR takes it, and which. */
bool entry_string_i64(const struct entry *e, int64_t *out);
/** Replaces the value by an integer, keeping key, expiry, access. May move: returns its place. */
struct entry *entry_set_int(struct entry *e, int64_t value);
/**
 * Replaces the value by a copy of the text (int / embstr / raw / blob as for a new one), keeping
 * key, expiry, access. May move: returns its place.
 */
struct entry *entry_set_string(struct entry *e, struct slice value);
/**
 * Overwrites value and expiry where the entry stands, keeping key and access, when that neither
 * allocates nor frees nor wastes much: true then, with entry_memory() unchanged. False: nothing was
 * changed.
 */
bool entry_try_overwrite(struct entry *e, struct slice value, int64_t expire_ms);
/**
 * Makes the string writable and exactly len bytes long ("raw"), zero-filled where it grew. Growth
 * leaves room for more, so that appending is amortised constant. May move: returns its place.
 */
struct entry *entry_string_resize(struct entry *e, size_t len);
/** How long the string may become where it is; 0: it is not writable. */
size_t entry_string_room(const struct entry *e);
/**
 * Makes the string writable, with room for `room` bytes (not fewer than it has) and hardly more:
 * for who knows how long it is going to be. May move: returns its place.
 */
struct entry *entry_string_reserve(struct entry *e, size_t room);
/** The bytes of a string made writable by entry_string_resize()/entry_new_raw(). */
char *entry_string_bytes(struct entry *e);
/** Whether the string may be changed where it is: "raw", and not on its way out to a client. */
bool entry_string_is_writable(const struct entry *e);

static inline uint32_t entry_access(const struct entry *e) {
    return (uint32_t)e->access_hi << 16 | e->access_lo;
}
static inline void entry_set_access(struct entry *e, uint32_t access) {
    e->access_hi = (uint8_t)(access >> 16);
    e->access_lo = (uint16_t)access;
}

/** Walks the entry's invariants; for tests, fuzzers and ASSERT_DEV. */
bool entry_is_valid(const struct entry *e);

#endif
