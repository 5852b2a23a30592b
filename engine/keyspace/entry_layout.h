// SPDX-License-Identifier: BSD-3-Clause
//
// Where things are inside an entry: offsets, payload and blob access, and the two calls that make
// or reshape an entry's frame (header, expiry, key). Shared by entry.c and entry_string.c only;
// everyone else goes through entry.h. Same thread rules as there. Invariant: these functions are
// the single place that knows the offsets drawn in entry.h.
#ifndef TORC_ENGINE_KEYSPACE_ENTRY_LAYOUT_H
#define TORC_ENGINE_KEYSPACE_ENTRY_LAYOUT_H

#include "engine/base/assert.h"
#include "engine/keyspace/entry.h"

#define ENTRY__LONG_KEY 255                         // klen of a key with a length word
#define ENTRY__KEY_MAX  ((size_t)512 * 1024 * 1024) // longest key, bytes

/** Whether the value is a collection: the payload is its object. */
static inline bool entry__has_object(uint8_t encoding) { return encoding > ENC_BLOB; }

static inline bool entry__has_payload(uint8_t encoding) {
    return encoding == ENC_INT || encoding >= ENC_BLOB;
}

/** Offset of the key's bytes. */
static inline size_t entry__key_offset(uint8_t flags, uint8_t encoding) {
    return sizeof(struct entry) + (flags & ENTRY_EXPIRES ? 8 : 0) +
           (entry__has_payload(encoding) ? 8 : 0) + (flags & ENTRY_LONG_KEY ? 4 : 0);
}

static inline size_t entry__value_offset(const struct entry *e) {
    size_t key = likely(!(e->flags & ENTRY_LONG_KEY)) ? e->klen : entry_key(e).n;
    return entry__key_offset(e->flags, e->encoding) + key;
}

/** Bytes of the block that are in use. */
static inline size_t entry__size(const struct entry *e) { return entry__value_offset(e) + e->vlen; }

/** The embedded value's bytes. */
static inline const char *entry__value(const struct entry *e) {
    return (const char *)e + entry__value_offset(e);
}

static inline uint64_t entry__payload(const struct entry *e) {
    uint64_t payload;
    memcpy(&payload, (const char *)e + sizeof(*e) + (e->flags & ENTRY_EXPIRES ? 8 : 0), 8);
    return payload;
}

static inline void entry__set_payload(struct entry *e, uint64_t payload) {
    memcpy((char *)e + sizeof(*e) + (e->flags & ENTRY_EXPIRES ? 8 : 0), &payload, 8);
}

static inline struct blob *entry__blob(const struct entry *e) {
    return (struct blob *)(uintptr_t)entry__payload(e);
}

static inline void entry__set_blob(struct entry *e, struct blob *b) {
    entry__set_payload(e, (uint64_t)(uintptr_t)b);
}

/**
 * A new frame with room for vlen bytes of value and `spare` more. Payload and value are not filled.
 */
struct entry *entry__make(struct slice key, uint8_t encoding, size_t vlen, int64_t expire_ms,
                          size_t spare);
/** Whether an entry of that size can stand in the block of e without much waste. */
bool entry__fits(const struct entry *e, size_t size);
/**
 * The same key and access in another shape, in place when it fits. Payload and value are lost: the
 * caller has saved or freed what they hold. Returns the entry's place.
 */
struct entry *entry__reshape(struct entry *e, uint8_t encoding, size_t vlen, int64_t expire_ms,
                             size_t spare);

#endif
