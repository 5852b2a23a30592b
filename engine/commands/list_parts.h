// SPDX-License-Identifier: BSD-3-Clause
//
// What the files of the list commands share: replying with items, popping, words for the ends. No
// state; runs on whichever thread runs the command. Invariant: items that are replied with are
// copied into the reply before the list is changed. Private to list*.c.
#ifndef TORC_ENGINE_COMMANDS_LIST_PARTS_H
#define TORC_ENGINE_COMMANDS_LIST_PARTS_H

#include "engine/commands/collection.h"
#include "engine/commands/list.h"
#include "engine/types/t_list.h"

static inline const struct value_limits *list__limits(const struct cmd *c) {
    return &c->settings->limits;
}

/** Replies with an array of `count` items that exist, from the index on. */
void list__reply_range(struct cmd *c, struct value v, int64_t index, uint64_t count,
                       bool backwards);
/** Replies with the item at an end, and deletes it; the change is closed. */
void list__pop_one(struct change *ch, bool front);
/** Replies with an array of up to `count` items, from the end on, and deletes them; the same. */
uint64_t list__pop_many(struct change *ch, bool front, uint64_t count);
/** LEFT or RIGHT; false: the error has been written. */
bool list__arg_end(struct cmd *c, int arg, bool *front);

#endif
