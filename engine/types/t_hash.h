// SPDX-License-Identifier: BSD-3-Clause
//
// Hashes: fields with values, and fields that expire. Three encodings, as in Redis: a listpack of
// field, value, ... for small ones; a listpack of field, value, expiry, ..., the earliest expiry
// first, for small ones of which a field has ever had one; a table of one block per field for the
// others. A hash is owned by one entry; one thread changes it, and reading changes nothing.
// Invariant: a field whose time is over is there until somebody removes it, but no reader sees it:
// that is why readers pass the time. Called by the hash commands, by the keyspace for expiry, and
// by whoever needs hashes (SORT, RDB).
#ifndef TORC_ENGINE_TYPES_T_HASH_H
#define TORC_ENGINE_TYPES_T_HASH_H

#include "engine/base/num.h"
#include "engine/base/random.h"
#include "engine/encoding/hashtable.h"
#include "engine/encoding/listpack.h"
#include "engine/types/value.h"

#define THASH_NEVER  INT64_C(-1) // the expiry of a field that has none
#define THASH_ABSENT INT64_C(-2) // ... and of one that is not there

/** An empty hash. The caller owns it. */
struct value thash_new(void);
/**
 * An empty hash for these fields and values (n texts in all, in turn): in the encoding, and with
 * the room, that they are going to need.
 */
struct value thash_new_for(const struct slice *texts, size_t n, const struct value_limits *limits);
/**
 * Converts a hash that these fields and values would make too large for a listpack, before they are
 * set, as Redis does.
 */
void thash_prepare(struct value *v, const struct slice *texts, size_t n,
                   const struct value_limits *limits);

/** The value of a field: valid until the hash changes; an integer is written into scratch. */
bool thash_get(struct value v, struct slice field, int64_t now_ms, struct slice *value,
               char scratch[NUM_I64_TEXT_MAX]);
/** When the field expires; THASH_NEVER, THASH_ABSENT. */
int64_t thash_expire_ms(struct value v, struct slice field, int64_t now_ms);

/** No field expires before this; THASH_NEVER: none has an expiry. O(1). */
int64_t thash_min_expire_ms(struct value v);

#define THASH_WINDOW 16
/**
 * Before many fields are looked up one after the other: at every THASH_WINDOW-th of them this lets
 * the loads of the next ones overlap. `n` texts are left, of which every step-th is a field.
 */
void thash_look_ahead(struct value v, const struct slice *texts, size_t n, size_t step);

/**
 * Sets a field. With keep_expiry one that is there keeps its expiry, else it has none afterwards.
 * Returns whether the field is new; one whose time was over is. Texts are not the hash's own.
 */
bool thash_set(struct value *v, struct slice field, struct slice value, bool keep_expiry,
               int64_t now_ms, const struct value_limits *limits);
/** Sets or removes (THASH_NEVER) the expiry of a field that is there. */
void thash_set_expire(struct value *v, struct slice field, int64_t expire_ms);

enum thash_found { THASH_MISSING, THASH_EXPIRED, THASH_PRESENT };
/** Removes a field and tells what it was. What remains may be an empty hash. */
enum thash_found thash_remove(struct value *v, struct slice field, int64_t now_ms);
/** Removes the field if its time is over, and tells whether it was. */
bool thash_drop_expired(struct value *v, struct slice field, int64_t now_ms);
/** Whether there may be fields whose time is over: if not, value_length() is what readers see. */
bool thash_may_hide(struct value v, int64_t now_ms);

/** Walks the fields of a hash that does not change meanwhile. */
struct thash_iterator {
    struct value v;
    int64_t now_ms;
    const uint8_t *at;
    struct hashtable_iterator table;
};
void thash_iterate(struct thash_iterator *it, struct value v, int64_t now_ms);
/** The next field and its value, which may be NULL; false at the end. */
bool thash_next(struct thash_iterator *it, struct listpack_item *field,
                struct listpack_item *value);
/** The same with its expiry, or THASH_NEVER. */
bool thash_next_expiring(struct thash_iterator *it, struct listpack_item *field,
                         struct listpack_item *value, int64_t *expire_ms);

/** Called with fields and their values. */
typedef void thash_each_fn(void *context, const struct listpack_item *field,
                           const struct listpack_item *value);
/**
 * Some fields from a cursor on; returns the next cursor, 0 at the end. `visited` counts the fields
 * that were looked at, and grows by one when there were none. As SCAN: what is there throughout is
 * met.
 */
uint64_t thash_scan(struct value v, uint64_t cursor, int64_t now_ms, size_t *visited,
                    thash_each_fn *each, void *context);

/** `count` random fields, any of them several times. Returns how many: 0 when there is nothing. */
size_t thash_random(struct value v, size_t count, int64_t now_ms, struct random *random,
                    thash_each_fn *each, void *context);
/** `count` random fields, each once, or all that there are. Returns how many. */
size_t thash_random_unique(struct value v, size_t count, int64_t now_ms, struct random *random,
                           thash_each_fn *each, void *context);

// ---- from a snapshot ---------------------------------------------------------------------------

struct thash_loaded {
    struct slice field, value;
    int64_t expire_ms; // or THASH_NEVER
};
/**
 * An empty hash that is going to get that many fields; `expires`: some of them may expire.
 */
struct value thash_load_begin(size_t fields, bool expires, const struct value_limits *limits);
/**
 * Makes room for `expected` fields, or for `most` of them more, before there are any. True: there
 * is room.
 */
bool thash_load_expect(struct value v, size_t expected, size_t most);
/** Adds up to THASH_WINDOW fields, in the end in the encoding that is due; false: one is there. */
bool thash_load(struct value *v, const struct thash_loaded *fields, size_t n,
                const struct value_limits *limits);
/** Says that a hash of a listpack, in either form, is to be a table if it has more fields. */
void thash_load_settle(struct value *v, const struct value_limits *limits);
/** ... or that it is to be one anyway. */
void thash_make_table(struct value *v);

#endif
