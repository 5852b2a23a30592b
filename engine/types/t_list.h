// SPDX-License-Identifier: BSD-3-Clause
//
// Lists: one listpack while that is within list-max-listpack-size, a quicklist beyond; back to a
// listpack when a single node of half the limit is left. When exactly is Redis 7.2's rule (t_list.c
// there), since OBJECT ENCODING shows it. Functions that change take the value by address, because
// its encoding and its object may change; the caller (commands) puts it back into the entry. One
// thread changes a value. Invariant: a list that a key holds is not empty.
#ifndef TORC_ENGINE_TYPES_T_LIST_H
#define TORC_ENGINE_TYPES_T_LIST_H

#include "engine/encoding/listpack.h"
#include "engine/encoding/quicklist.h"
#include "engine/types/value.h"

/** An empty list, a listpack. The caller owns it. */
struct value tlist_new(void);
/** A list of the items of a listpack, which it takes over; converted if it is too long for one. */
struct value tlist_from_listpack(uint8_t *lp, const struct value_limits *limits);
/** The quicklist when it has to be one whatever its size, with the settings of the limits. */
struct quicklist *tlist_new_quicklist(const struct value_limits *limits);

size_t tlist_length(struct value v);

/**
 * To be called before `count` items with that many bytes in all are added or put in the place of
 * others: a listpack that would exceed the limits becomes a quicklist.
 */
void tlist_will_grow(struct value *v, size_t bytes, size_t count,
                     const struct value_limits *limits);
/** To be called after deletions: a quicklist that has become short becomes a listpack. */
void tlist_has_shrunk(struct value *v, const struct value_limits *limits);
/** Makes a listpack of a quicklist that fits into one, after it was built or loaded. */
void tlist_settle(struct value *v, const struct value_limits *limits);

/** Adds one item, seeing to the encoding. */
void tlist_push(struct value *v, struct slice item, bool front, const struct value_limits *limits);
/** The same after tlist_will_grow(). */
void tlist_add(struct value *v, struct slice item, bool front);
/** Adds items one after the other: the last one comes to stand at the end. */
void tlist_push_all(struct value *v, const struct slice *items, size_t count, bool front,
                    const struct value_limits *limits);
/** Replaces the item at the index (negative: from the end). False: there is none. */
bool tlist_set(struct value *v, int64_t index, struct slice item,
               const struct value_limits *limits);
/** Inserts before or behind the first item that equals the pivot. False: none does. */
bool tlist_insert(struct value *v, struct slice pivot, struct slice item, bool after,
                  const struct value_limits *limits);
/** Deletes the first `limit` items (the last, backwards) that equal the text, 0: all. How many? */
uint64_t tlist_remove(struct value *v, struct slice text, uint64_t limit, bool backwards);
/** Deletes up to count items from the index on. The encoding stays: see tlist_has_shrunk(). */
void tlist_delete(struct value *v, uint64_t index, uint64_t count);

/** Goes over the items. To be ended with tlist_end(), unless next has said false. */
struct tlist_iterator {
    struct quicklist_iterator in; // a listpack is walked as a node that has no next one
};
/** From the index (negative: from the end) on; where there is nothing the first next says false. */
void tlist_iterate(struct tlist_iterator *it, struct value v, int64_t index, bool backwards);
static inline bool tlist_next(struct tlist_iterator *it, struct listpack_item *item) {
    return quicklist_next(&it->in, item);
}
static inline void tlist_end(struct tlist_iterator *it) { quicklist_end(&it->in); }

/** What items are compared with: a text, and the number that it is if it is one. */
struct tlist_text {
    struct slice text;
    bool is_int;
    int64_t number;
};
struct tlist_text tlist_text(struct slice text);
static inline bool tlist_equal(const struct listpack_item *item, const struct tlist_text *text) {
    if (item->is_int) return text->is_int && item->number == text->number;
    return slice_equal_short(item->text, text->text);
}

#endif
