// SPDX-License-Identifier: BSD-3-Clause
//
// Streams: entries in the order of their ids, in nodes of some hundred (encoding/stream_node.h),
// and the consumer groups over them (t_stream_group.h). A stream is the object of a value and
// belongs to who owns that; reading changes nothing. No clock: ids are given. Invariant: `memory`
// is the sum of everything the stream has allocated; `first` is the first entry's id, 0-0 (or, from
// some files, the highest id) when there is none; no node is without live entries. Called by the
// stream commands and value.c.
#ifndef TORC_ENGINE_TYPES_T_STREAM_H
#define TORC_ENGINE_TYPES_T_STREAM_H

#include "engine/encoding/idmap.h"
#include "engine/encoding/stream_node.h"
#include "engine/types/value.h"

/** What groups and consumers, which are found by name, begin with. */
struct stream_named {
    struct slice name; // behind the rest, in the same block
};
/** Them, in the order of their names' bytes. */
struct stream_names {
    struct stream_named **at;
    uint32_t count, room;
};

/** Read its members; change them through functions. */
struct stream {
    struct idmap nodes; // first id of each -> struct stream_node
    uint64_t length;    // entries
    uint64_t entries_added;
    struct stream_id first, last; // of an entry; the highest id so far
    struct stream_id max_deleted; // the highest that XDEL has deleted
    struct stream_names groups;
    size_t memory;
};

/** An empty stream. */
struct value tstream_new(void);
static inline struct stream *tstream_of(struct value v) { return v.object; }

/**
 * Appends an entry with `fields` pairs of field and value; its id is above s->last, its texts are
 * below LISTPACK_MAX_BYTES in all.
 */
void tstream_add(struct stream *s, struct stream_id id, const struct slice *pairs, size_t fields,
                 const struct value_limits *limits);
/** Deletes an entry; false: it is not there. */
bool tstream_delete(struct stream *s, struct stream_id id);
bool tstream_has(const struct stream *s, struct stream_id id);
/** The highest id of an entry that is there; 0-0: there is none. */
struct stream_id tstream_last_entry(const struct stream *s);
/** XSETID; entries_added below 0 and a max_deleted of 0-0 leave what is there. */
void tstream_set_last(struct stream *s, struct stream_id last, int64_t entries_added,
                      struct stream_id max_deleted);

/** What is to be trimmed: entries beyond a number of them, or below an id. */
struct stream_trim {
    bool by_id;
    bool whole_nodes; // only what goes with a whole node
    uint64_t length;
    struct stream_id id;
    uint64_t limit; // at most so many entries, as far as whole nodes go; 0: any number
};
/** Trims from the start; returns how many entries are gone. */
uint64_t tstream_trim(struct stream *s, const struct stream_trim *trim);
/** The first id in the first node, of a deleted entry too; the highest id there is when empty. */
struct stream_id tstream_first_kept(const struct stream *s);

/** A walk over the entries of a range of ids, of a stream that does not change meanwhile. */
struct tstream_iterator {
    const struct stream *stream;
    struct idmap_place node;
    struct stream_id low, high;
    bool backwards, begun;
    struct stream_entry entry; // the current one
};
void tstream_iterate(struct tstream_iterator *it, const struct stream *s, struct stream_id low,
                     struct stream_id high, bool backwards);
/** To the next entry that is not deleted, it->entry; false: there are no more. */
bool tstream_next(struct tstream_iterator *it);

/**
 * How many entries were ever added up to that id, when that can be told (Redis 7.2's rules);
 * otherwise -1.
 */
int64_t tstream_reads_at(const struct stream *s, struct stream_id id);
/** Whether something from `id` on has been deleted by XDEL, so that counting is no use. */
bool tstream_has_gaps(const struct stream *s, struct stream_id id);

// From a snapshot: the stream is put together from its parts.
/** Adds a node behind all others; false (and lp stays the caller's) when its bytes are wrong. */
bool tstream_load_node(struct stream *s, struct stream_id base, uint8_t *lp, size_t bytes);
/**
 * The rest; false when it contradicts the entries. `first` matters when there are none: the highest
 * id is kept then, as Redis shows it for an emptied stream of a file of version 5 or 6.
 */
bool tstream_load_end(struct stream *s, uint64_t length, struct stream_id last,
                      struct stream_id first, struct stream_id max_deleted, uint64_t entries_added);

#endif
