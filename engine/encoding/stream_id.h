// SPDX-License-Identifier: BSD-3-Clause
//
// The id of a stream entry: milliseconds and a sequence number, ordered like one number of 128
// bits. A plain value without an owner; any thread. Invariant: the order here is the order of
// entries in a stream. Used by idmap, by stream nodes and by everything above them.
#ifndef TORC_ENGINE_ENCODING_STREAM_ID_H
#define TORC_ENGINE_ENCODING_STREAM_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/num.h"
#include "engine/base/slice.h"

struct stream_id {
    uint64_t ms, seq;
};

#define STREAM_ID_MIN ((struct stream_id){0, 0})
#define STREAM_ID_MAX ((struct stream_id){UINT64_MAX, UINT64_MAX})

static inline bool stream_id_less(struct stream_id a, struct stream_id b) {
    return a.ms != b.ms ? a.ms < b.ms : a.seq < b.seq;
}

static inline bool stream_id_equal(struct stream_id a, struct stream_id b) {
    return a.ms == b.ms && a.seq == b.seq;
}

static inline bool stream_id_is_zero(struct stream_id id) { return (id.ms | id.seq) == 0; }

/** The next higher id; false, and 0-0, behind the highest. */
static inline bool stream_id_increment(struct stream_id *id) {
    if (++id->seq != 0) return true;
    return ++id->ms != 0;
}

/** The next lower id; false, and the highest, before 0-0. */
static inline bool stream_id_decrement(struct stream_id *id) {
    if (id->seq-- != 0) return true;
    return id->ms-- != 0;
}

#define STREAM_ID_TEXT_MAX   (2 * NUM_I64_TEXT_MAX)
#define STREAM_ID_PARSED_MAX 127 // longer texts are no ids

/** Writes "ms-seq" without a terminator; returns its length. */
size_t stream_id_format(char out[STREAM_ID_TEXT_MAX], struct stream_id id);
/**
 * Reads "ms" (the sequence is missing_seq then) or "ms-seq"; when any_seq is not NULL, "ms-*" too,
 * which sets it and the sequence to 0. False: it is no id.
 */
bool stream_id_parse(struct slice text, uint64_t missing_seq, struct stream_id *id, bool *any_seq);

#endif
