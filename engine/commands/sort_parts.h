// SPDX-License-Identifier: BSD-3-Clause
//
// What the files of SORT share: the elements that are sorted, and values of keys that patterns
// name. Internal to sort*.c. No state; runs on whichever thread runs the command. Invariant: texts
// are the values' own memory or a room's, and nothing that a text points into changes before the
// command is over.
#ifndef TORC_ENGINE_COMMANDS_SORT_PARTS_H
#define TORC_ENGINE_COMMANDS_SORT_PARTS_H

#include "engine/commands/collection.h"
#include "engine/commands/sort.h"

/** Texts that live until the command is over, in blocks that do not move. */
struct sort_room {
    struct sort_block *blocks;
    char *p;
    size_t left;
};
struct slice sort__keep(struct sort_room *room, struct slice text);
void sort__room_fini(struct sort_room *room);

struct sort_element {
    struct slice text;
    union {
        double score;
        struct slice by; // p is NULL: there is no such key
    };
};

/** A collection's elements, all of them or a part. */
struct sort_vector {
    struct sort_element *at;
    size_t count;
    struct sort_room room;
};
/** All elements, in the collection's own order. */
void sort__load(struct sort_vector *vector, struct value v);
/** Those from a place on (of a list or sorted set; backwards: places count from the end). */
void sort__load_part(struct sort_vector *vector, struct value v, size_t from, size_t count,
                     bool backwards);
void sort__vector_fini(struct sort_vector *vector);

/** A pattern of BY or GET, taken apart. */
struct sort_pattern {
    bool is_element, has_star;          // "#"; without either it names nothing
    struct slice before, behind, field; // of a key around the star; field.n is 0: no hash
};
struct sort_pattern sort__pattern(struct slice text);

/** What a pattern leads to for an element. */
struct sort_found {
    bool is_there, is_int;
    int64_t number;
    struct slice text; // also of an integer, in scratch
    char scratch[NUM_I64_TEXT_MAX];
};
/** Looks it up; `key` is memory to build keys in. */
void sort__look_up(struct cmd *c, const struct sort_pattern *pattern, struct slice element,
                   struct buf *key, struct sort_found *found);

/** A text as the number that it is sorted by, as strtod() takes it; false: it is none. */
bool sort__number(struct slice text, double *out);

struct sort_rules {
    bool alpha, descending;
    bool by; // elements are sorted by what they have in `by` or `score` from a pattern
};
/** Sorts so that the places first to last are right. */
void sort__run(struct sort_vector *vector, const struct sort_rules *rules, size_t first,
               size_t last);

#endif
