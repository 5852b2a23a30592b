// SPDX-License-Identifier: BSD-3-Clause
//
// A node of a stream: up to some hundred entries in one listpack of Redis's stream node format
// (stream.h and t_stream.c of Redis 7.2 draw it), so that RDB moves it as it is. Ids are kept as
// differences to the node's first id, which the owner knows (it is the node's key); field names
// that equal those of the first entry are left out; what is deleted is only marked. Beside the
// listpack stand its counts and the places of a few entries, so that an id is found without
// walking all of it. Owned by one stream. Invariant: what stands beside agrees with the listpack.
//
//   | live | deleted | n | field 1 .. n | 0 | entry | entry | ...
//   entry:  | flags | ms | seq | value 1 .. n | elements |                  same fields
//           | flags | ms | seq | m | field 1 | value 1 | .. | elements |    others
#ifndef TORC_ENGINE_ENCODING_STREAM_NODE_H
#define TORC_ENGINE_ENCODING_STREAM_NODE_H

#include "engine/encoding/listpack.h"
#include "engine/encoding/stream_id.h"

#define STREAM_NODE_MARKS 6

struct stream_node {
    uint8_t *lp;
    uint32_t first;                    // offset of the first entry
    uint32_t fields;                   // of the first entry
    uint32_t live, deleted;            // entries
    uint32_t marks[STREAM_NODE_MARKS]; // see stream_node.c
};

/** An entry, good until its node changes. */
struct stream_entry {
    struct stream_id id;
    const uint8_t *start; // its flags
    const uint8_t *field; // the next pair to read ...
    const uint8_t *value;
    uint64_t fields; // pairs
    uint64_t left;   // ... and how many are left to read
    bool same;       // the names are those of the node's first entry
    bool deleted;
};

/**
 * A node without entries whose names are those of `pairs` (field, value, field, ...). It must get
 * the entry at once. `room`: bytes that the listpack will probably take.
 */
struct stream_node *stream_node_new(const struct slice *pairs, size_t fields, size_t room);
/**
 * A node from listpack bytes of anywhere, which it then owns; NULL when they are no well-formed
 * node with entries in ascending order (they stay the caller's). All entries may be deleted: Redis
 * keeps such nodes. Deleted ones that are out of order, as XSETID of Redis 5 and 6 could make them,
 * are dropped, unless all are deleted.
 */
struct stream_node *stream_node_load(uint8_t *lp, size_t bytes, struct stream_id base);
/** Makes it anew without what is deleted. Some entry is live. */
void stream_node_drop_deleted(struct stream_node *n, struct stream_id base);
struct stream_node *stream_node_copy(const struct stream_node *n);
void stream_node_free(struct stream_node *n);
/** Bytes of its blocks, O(1). */
size_t stream_node_memory(const struct stream_node *n);

/** Appends an entry; `base` is the node's first id, the entry's id is above all in the node. */
void stream_node_append(struct stream_node *n, struct stream_id base, struct stream_id id,
                        const struct slice *pairs, size_t fields);
/** Nothing more will be appended: gives unused room back. */
void stream_node_close(struct stream_node *n);
/** Marks a live entry as deleted. It must not be the last live one. */
void stream_node_delete(struct stream_node *n, const struct stream_entry *e);

/** The first entry that is not below `id`, deleted ones included; false: there is none. */
bool stream_node_seek(const struct stream_node *n, struct stream_id base, struct stream_id id,
                      struct stream_entry *e);
/** The last entry that is not above `id`. */
bool stream_node_seek_back(const struct stream_node *n, struct stream_id base, struct stream_id id,
                           struct stream_entry *e);
bool stream_node_first(const struct stream_node *n, struct stream_id base, struct stream_entry *e);
bool stream_node_last(const struct stream_node *n, struct stream_id base, struct stream_entry *e);
/** To the next entry, or the one before; false: there is none, and *e is not to be used. */
bool stream_node_next(const struct stream_node *n, struct stream_id base, struct stream_entry *e);
bool stream_node_previous(const struct stream_node *n, struct stream_id base,
                          struct stream_entry *e);
/** The next pair of an entry with e->left > 0, as elements of the listpack. */
static inline void stream_entry_pair(struct stream_entry *e, const uint8_t **field,
                                     const uint8_t **value) {
    if (e->same) {
        *field = e->field;
        e->field = listpack__after(e->field);
    } else {
        *field = e->value;
        e->value = listpack__after(e->value);
    }
    *value = e->value;
    e->value = listpack__after(e->value);
    e->left--;
}

/** Walks the invariants (tests, fuzzers). */
bool stream_node_is_valid(const struct stream_node *n, struct stream_id base);

#endif
