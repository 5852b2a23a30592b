// SPDX-License-Identifier: BSD-3-Clause
//
// Sets: members in an intset while all are integers and few, in a listpack while they are short and
// few, in a hash table of their own blocks beyond that; when one becomes the other is Redis 7.2's.
// A value is changed by one thread and read by any number while nobody changes it. Invariant: no
// member twice, and the encoding decides what the object is (value.h). Callers: set commands,
// whatever else takes or makes sets (SORT, ZUNIONSTORE, RDB).
//
//   element of the table:  | length u8 | bytes |     or     | 255 | length u32 | bytes |
#ifndef TORC_ENGINE_TYPES_T_SET_H
#define TORC_ENGINE_TYPES_T_SET_H

#include "engine/base/random.h"
#include "engine/encoding/hashtable.h"
#include "engine/encoding/listpack.h"
#include "engine/types/value.h"

/** An empty set (an intset). The caller owns it. */
struct value tset_new(void);
/** An empty set that begins with `first` and is going to get about `count` members. */
struct value tset_create(struct slice first, size_t count, const struct value_limits *limits);
/** An empty listpack: for who collects members and calls tset_compact() in the end. */
struct value tset_new_listpack(void);
/** An empty set that a snapshot tells to have `count` members; room for `expected` of them. */
struct value tset_load_begin(size_t count, const struct value_limits *limits);
/** Makes room for `expected` members, or for `most` of them more, before there are any. True: there
 * is room. */
bool tset_load_expect(struct value v, size_t expected, size_t most);
/** Says that about `count` members are going to be added: a compact form that ends anyway does. */
void tset_expect(struct value *v, size_t count, const struct value_limits *limits);
/** A set of integers alone, few enough, becomes an intset; unused room is given back. */
void tset_compact(struct value *v, const struct value_limits *limits);

/** False: it is a member already. May change the encoding. */
bool tset_add(struct value *v, struct slice member, const struct value_limits *limits);
bool tset_add_item(struct value *v, const struct listpack_item *member,
                   const struct value_limits *limits);
/** False: it is no member. The last one leaves an empty set. */
bool tset_remove(struct value *v, struct slice member);
bool tset_remove_item(struct value *v, const struct listpack_item *member);
bool tset_has(struct value v, struct slice member);

/** A member as text; an integer is written into scratch. */
static inline struct slice tset_text(const struct listpack_item *item,
                                     char scratch[NUM_I64_TEXT_MAX]) {
    if (!item->is_int) return item->text;
    return slice_of(scratch, num_format_i64(scratch, item->number));
}

// ---- many at once ------------------------------------------------------------------------------

#define TSET_WINDOW 32
/** Members, of whatever set, that are looked for in other sets together. */
struct tset_window {
    size_t count;
    uint32_t hashed; // bit i: hashes[i] is known; cleared by who puts in new members
    struct listpack_item items[TSET_WINDOW];
    uint64_t hashes[TSET_WINDOW];
};
/** Of those members that have a bit in `which`, the bits of those that v has. */
uint32_t tset_has_window(struct value v, struct tset_window *w, uint32_t which);
/** Adds those members that have a bit in `which`; returns how many were absent. */
size_t tset_add_window(struct value *v, struct tset_window *w, uint32_t which,
                       const struct value_limits *limits);
/** Starts the loads that adding, removing or finding these texts will wait for. */
void tset_prefetch(struct value v, const struct slice *members, int count);

// ---- walking -----------------------------------------------------------------------------------

/** Walks all members of a set that does not change meanwhile. */
struct tset_iterator {
    struct value v;
    size_t index; // intset: of the next
    uint8_t *p;   // listpack: the next
    struct hashtable_iterator table;
};
void tset_iterate(struct tset_iterator *it, struct value v);
/** The next member; its text points into the set. False: there is none. */
bool tset_next(struct tset_iterator *it, struct listpack_item *item);
/** Fills the window with the next members; false: there were none. */
bool tset_next_window(struct tset_iterator *it, struct tset_window *w);

/** A random member of a set that has one. */
void tset_random(struct value v, struct random *random, struct listpack_item *item);
/**
 * SCAN: calls each member of some places from the cursor on, returns the next cursor, 0 at the end.
 * Compact forms are visited as a whole.
 */
uint64_t tset_scan(struct value v, uint64_t cursor,
                   void (*each)(void *context, const struct listpack_item *item), void *context);
/** Members, O(1). */
size_t tset_count(struct value v);

#endif
