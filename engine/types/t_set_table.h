// SPDX-License-Identifier: BSD-3-Clause
//
// The object behind a set's hash table, shared by t_set.c and t_set_walk.c and by nobody else.
// Belongs to the value. Invariant: every element is a block of its own, of the shape that t_set.h
// draws, and element_bytes is what they occupy.
#ifndef TORC_ENGINE_TYPES_T_SET_TABLE_H
#define TORC_ENGINE_TYPES_T_SET_TABLE_H

#include <string.h>

#include "engine/encoding/hashtable.h"

#define TSET__LONG      255 // in place of the length: a longer one follows
#define TSET__LONG_HEAD 5   // bytes before the text then

struct set_table {
    struct hashtable table;
    size_t element_bytes; // usable bytes of all elements
};

static inline struct slice tset__element_text(const void *element) {
    const uint8_t *e = element;
    if (__builtin_expect(e[0] != TSET__LONG, 1)) return slice_of(e + 1, e[0]);
    uint32_t n;
    memcpy(&n, e + 1, sizeof(n));
    return slice_of(e + TSET__LONG_HEAD, n);
}

struct set_table *tset__table_new(void);
/** False: the member is there. */
bool tset__table_add(struct set_table *s, struct slice member);

#endif
