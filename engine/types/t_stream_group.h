// SPDX-License-Identifier: BSD-3-Clause
//
// Consumer groups of a stream: how far a group has read, its consumers, and what was delivered to
// them and is not acknowledged yet (the pending entries). A group's and its consumers' maps lead to
// the same pending entry. Groups, consumers and pending entries belong to their stream, whose
// memory account they are in: so every change takes the stream. No clock. Invariant: an entry is in
// its group's map and in exactly one consumer's. Called by the stream commands and t_stream.c.
#ifndef TORC_ENGINE_TYPES_T_STREAM_GROUP_H
#define TORC_ENGINE_TYPES_T_STREAM_GROUP_H

#include "engine/types/t_stream.h"

struct stream_consumer {
    struct stream_named named;
    int64_t seen_ms;      // its last command
    int64_t active_ms;    // when it last got something; -1: never
    struct idmap pending; // id -> struct stream_pending
};

struct stream_group {
    struct stream_named named;
    struct stream_id last; // the last one that was delivered
    int64_t entries_read;  // -1: unknown
    struct idmap pending;  // id -> struct stream_pending
    struct stream_names consumers;
};

/** An entry that was delivered and is not acknowledged. */
struct stream_pending {
    struct stream_consumer *consumer;
    int64_t delivered_ms;
    int64_t deliveries;
};

static inline struct stream_group *tstream_group_at(const struct stream *s, uint32_t index) {
    return (struct stream_group *)s->groups.at[index];
}
static inline struct stream_consumer *tstream_consumer_at(const struct stream_group *g,
                                                          uint32_t index) {
    return (struct stream_consumer *)g->consumers.at[index];
}
static inline struct stream_pending *tstream_pending_at(struct idmap_place p) {
    return idmap_at(p)->value;
}

/** Counts one delivery more; RETRYCOUNT may have set the highest number there is. */
static inline void tstream_pending_again(struct stream_pending *p) {
    if (p->deliveries < INT64_MAX) p->deliveries++;
}

/** By name; NULL: there is none. */
struct stream_group *tstream_group(const struct stream *s, struct slice name);
/** Adds a group; its name must be new. */
struct stream_group *tstream_group_add(struct stream *s, struct slice name, struct stream_id last,
                                       int64_t entries_read);
/** Removes a group with all that it has. */
void tstream_group_remove(struct stream *s, struct stream_group *g);
/**
 * How many entries the group has not been delivered yet; false when that cannot be told (7.2's
 * rules).
 */
bool tstream_group_lag(const struct stream *s, const struct stream_group *g, int64_t *lag);
/** An entry above g->last is delivered: moves the group on. */
void tstream_group_advance(const struct stream *s, struct stream_group *g, struct stream_id id);

struct stream_consumer *tstream_consumer(const struct stream_group *g, struct slice name);
struct stream_consumer *tstream_consumer_add(struct stream *s, struct stream_group *g,
                                             struct slice name, int64_t now_ms);
/** Removes a consumer with its pending entries. */
void tstream_consumer_remove(struct stream *s, struct stream_group *g, struct stream_consumer *c);

struct stream_pending *tstream_pending(const struct stream_group *g, struct stream_id id);
/** Makes an entry pending with that consumer, whoever had it before, or none. */
struct stream_pending *tstream_pending_give(struct stream *s, struct stream_group *g,
                                            struct stream_id id, struct stream_consumer *c);
/** Forgets a pending entry; false: it is none. */
bool tstream_pending_remove(struct stream *s, struct stream_group *g, struct stream_id id);

// From a snapshot: what is pending in a group is told before its consumers are.
/** Adds a pending entry that is no consumer's yet; NULL: there is one of that id. */
struct stream_pending *tstream_load_pending(struct stream *s, struct stream_group *g,
                                            struct stream_id id);
/** Gives it to a consumer; false: there is none, or it is somebody's. */
bool tstream_load_owner(struct stream *s, const struct stream_group *g, struct stream_consumer *c,
                        struct stream_id id);
/** Whether all that is pending has found its consumer. */
bool tstream_load_group_end(const struct stream_group *g);

// For t_stream.c.
void tstream__free_groups(struct stream *s);
void tstream__copy_groups(struct stream *s, const struct stream *from);
void tstream__digest_groups(const struct stream *s, struct digest *d);
bool tstream__groups_are_valid(const struct stream *s, size_t *memory);

#endif
