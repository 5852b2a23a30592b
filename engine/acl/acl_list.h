// SPDX-License-Identifier: BSD-3-Clause
//
// A list of short texts with a tag each: patterns, passwords, rules, first arguments. Its order is
// the order of adding. Owned by whoever holds the struct; grows by reallocation, so that nothing in
// it may be kept over a change. Read by any thread once its owner has published it.
#ifndef TORC_ENGINE_ACL_ACL_LIST_H
#define TORC_ENGINE_ACL_ACL_LIST_H

#include <stdint.h>

#include "engine/base/slice.h"

struct acl_item {
    uint32_t n;
    uint16_t tag; // what it means is the list's
    char text[];
};

struct acl_list {
    struct acl_item **items;
    uint32_t count, cap;
};

#define ACL_NOT_THERE UINT32_MAX

static inline struct slice acl_item_text(const struct acl_item *item) {
    return slice_of(item->text, item->n);
}

/** Appends a copy of the text. */
void acl_list_add(struct acl_list *list, struct slice text, uint16_t tag);
/** The place of the item with exactly this text, or ACL_NOT_THERE. */
uint32_t acl_list_find(const struct acl_list *list, struct slice text);
/** Takes an item out; those behind it move up. */
void acl_list_remove(struct acl_list *list, uint32_t at);
/** Frees all items; the list is empty, and holds no memory. */
void acl_list_clear(struct acl_list *list);
/** Copies all items into an empty list. */
void acl_list_copy(struct acl_list *to, const struct acl_list *from);

#endif
