// SPDX-License-Identifier: BSD-3-Clause
//
// A value: what a key holds, as an encoding and an object. The collections (t_list.h, t_set.h,
// t_hash.h, t_zset.h, t_stream.h) work on values; an entry keeps one in its payload. What every
// kind of object must be able to do (be freed, copied, counted, checked, digested) is dispatched
// here, so that keyspace and persistence need not know the kinds. A value is owned by one entry, or
// by who makes it; one thread changes it, and while nobody does, several may read it: reading never
// writes to an object. Invariant: the encoding decides the type and what `object` points to.
#ifndef TORC_ENGINE_TYPES_VALUE_H
#define TORC_ENGINE_TYPES_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/slice.h"

enum entry_type {
    ENTRY_STRING,
    ENTRY_LIST,
    ENTRY_SET,
    ENTRY_ZSET,
    ENTRY_HASH,
    ENTRY_STREAM,
    ENTRY_TYPES
};

/** How a value is held; value.c gives each its type and its OBJECT ENCODING name. */
enum entry_encoding {
    // Strings: entry.h's own, without an object.
    ENC_INT = 1, // a 64-bit integer in the payload ("int")
    ENC_EMBSTR,  // embedded, at most 44 bytes, never modified in place ("embstr")
    ENC_RAW,     // embedded, longer or once modified ("raw")
    ENC_BLOB,    // payload points to a struct blob, one of its users ("raw")
    // Collections: an object.
    ENC_LIST_LISTPACK,    // a listpack of the items ("listpack")
    ENC_LIST_QUICKLIST,   // struct quicklist ("quicklist")
    ENC_SET_INTSET,       // an intset ("intset")
    ENC_SET_LISTPACK,     // a listpack of the members ("listpack")
    ENC_SET_HASHTABLE,    // struct set_table ("hashtable")
    ENC_HASH_LISTPACK,    // a listpack of field, value, ... ("listpack")
    ENC_HASH_LISTPACK_EX, // with field expiry ("listpackex")
    ENC_HASH_HASHTABLE,   // struct hash_table ("hashtable")
    ENC_ZSET_LISTPACK,    // a listpack of member, score, ... by score ("listpack")
    ENC_ZSET_SKIPLIST,    // struct zset_tree ("skiplist")
    ENC_STREAM,           // struct stream ("stream")
    ENC_COUNT
};

struct value {
    uint8_t encoding; // enum entry_encoding; 0: nothing yet
    void *object;
};

/** Up to where the compact encodings go: Redis's directives of the same names. */
struct value_limits {
    int64_t list_max_listpack_size; // negative: bytes by class (-1: 4 KiB ... -5: 64 KiB)
    int64_t list_compress_depth;
    int64_t list_plain_min; // bytes of an item that gets a node to itself; not a directive
    int64_t set_max_intset_entries;
    int64_t set_max_listpack_entries, set_max_listpack_value;
    int64_t hash_max_listpack_entries, hash_max_listpack_value;
    int64_t zset_max_listpack_entries, zset_max_listpack_value;
    int64_t stream_node_max_bytes, stream_node_max_entries;
    int64_t hll_sparse_max_bytes;
};
/** The defaults of Redis 7.2. */
extern const struct value_limits value_default_limits;

/**
 * What two equal values agree in, whatever their encodings and the order of their elements where
 * order means nothing: 128 bits.
 */
struct digest {
    uint64_t low, high;
};
/** Mixes text in; the order of calls matters. */
void digest_add(struct digest *d, struct slice text);
/** Mixes another digest in; the order of calls does not matter. */
void digest_join(struct digest *d, const struct digest *other);

enum entry_type value_type(uint8_t encoding);
/** "string", "list", ...: what TYPE answers. */
const char *value_type_name(enum entry_type type);
/** What OBJECT ENCODING answers. */
const char *value_encoding_name(uint8_t encoding);

// For values with an object:
/** Frees the object. Any thread, when nobody else has the value. */
void value_free(struct value v);
/** A deep copy. */
struct value value_copy(struct value v);
/** Bytes that the object occupies, O(1). */
size_t value_memory(struct value v);
/** Whether the encoding keeps a value in one block, which takes one call to be freed. */
bool value_is_compact(uint8_t encoding);
/** Number of items, members, fields or stream entries, O(1); fields that have expired count. */
size_t value_length(struct value v);
void value_digest(struct value v, struct digest *d);
/** When the earliest part of the value (a hash field) expires, ms; -1: never. O(1). */
int64_t value_part_expire_ms(struct value v);
/** Called with a part (a field) that is about to be removed. */
typedef void value_part_fn(void *context, struct slice part);
/**
 * Removes parts whose time is over, in steps, until about *budget bucket visits (about 10 ns each)
 * are spent; at least one step. True: there is more to remove now. What remains may be empty.
 */
bool value_expire_parts(struct value *v, int64_t now_ms, uint32_t *budget, value_part_fn *removed,
                        void *context);
/** Walks the invariants (tests, fuzzers). */
bool value_is_valid(struct value v);

#endif
