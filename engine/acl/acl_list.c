// SPDX-License-Identifier: BSD-3-Clause
//
// Lists of texts with tags: arrays of single allocations, because they are short, are read in order
// and change rarely. Called by the other files of this folder. Invariant: count <= cap, and all
// items below count are set.
#include "engine/acl/acl_list.h"

#include "engine/base/alloc.h"
#include "engine/base/assert.h"

void acl_list_add(struct acl_list *list, struct slice text, uint16_t tag) {
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 4;
        list->items = mem_realloc(list->items, list->cap * sizeof *list->items);
    }
    struct acl_item *item = mem_alloc(sizeof *item + text.n);
    item->n = (uint32_t)text.n;
    item->tag = tag;
    if (text.n > 0) memcpy(item->text, text.p, text.n);
    list->items[list->count++] = item;
}

uint32_t acl_list_find(const struct acl_list *list, struct slice text) {
    for (uint32_t i = 0; i < list->count; i++)
        if (slice_equal(acl_item_text(list->items[i]), text)) return i;
    return ACL_NOT_THERE;
}

void acl_list_remove(struct acl_list *list, uint32_t at) {
    ASSERT(at < list->count);
    mem_free(list->items[at]);
    list->count--;
    memmove(&list->items[at], &list->items[at + 1], (list->count - at) * sizeof *list->items);
}

void acl_list_clear(struct acl_list *list) {
    for (uint32_t i = 0; i < list->count; i++) mem_free(list->items[i]);
    mem_free(list->items);
    *list = (struct acl_list){0};
}

void acl_list_copy(struct acl_list *to, const struct acl_list *from) {
    ASSERT(to->count == 0);
    for (uint32_t i = 0; i < from->count; i++)
        acl_list_add(to, acl_item_text(from->items[i]), from->items[i]->tag);
}
