// SPDX-License-Identifier: BSD-3-Clause
//
// Quicklists: nodes and their chain, filling, splitting, merging, compression. Every change of a
// node's data stands between begin_change() and end_change(), which unpack it, and keep the
// counters; settle() then sees to it that the nodes near the ends are unpacked and the inner ones
// packed. The rules of where an item goes are those of Redis 7.2 (quicklist.c): the number of nodes
// decides when a list may become a listpack again, which clients can see. Invariant: see the
// header. Called by t_list.c, from whichever thread owns the list; readers never write to it.
#include "engine/encoding/quicklist.h"

#include <string.h>

#include <lzf.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/base/unlzf.h"

#define FILL_MAX          32767
#define DEPTH_MAX         65535
#define COUNTED_BYTES_MAX 8192 // of a node that is limited by its items
#define ITEM_OVERHEAD     8    // of an item, estimated as Redis does
#define PACK_MIN_BYTES    48   // shorter data is not compressed ...
#define PACK_MIN_GAIN     8    // ... and what gains less is left as it was

// ---- limits ------------------------------------------------------------------------------------

struct quicklist_limit quicklist_limit(int64_t fill) {
    static const uint16_t kib[] = {4, 8, 16, 32, 64};
    if (fill >= 0)
        return (struct quicklist_limit){.bytes = SIZE_MAX, .count = fill > 0 ? (uint64_t)fill : 1};
    size_t class = fill < -5 ? 4 : (size_t)-fill - 1;
    return (struct quicklist_limit){.bytes = kib[class] * (size_t)1024, .count = UINT64_MAX};
}

bool quicklist_exceeds(int64_t fill, size_t bytes, uint64_t count) {
    struct quicklist_limit limit = quicklist_limit(fill);
    if (limit.bytes != SIZE_MAX) return bytes > limit.bytes;
    return bytes > COUNTED_BYTES_MAX || count > limit.count;
}

/** Whether one more item of n bytes goes into the node (NULL: there is none). */
static bool takes(const struct quicklist *ql, const struct quicklist_node *node, size_t n) {
    if (node == NULL || node->plain || n >= ql->plain_min) return false;
    return !quicklist_exceeds(ql->fill, node->bytes + n + ITEM_OVERHEAD, (uint64_t)node->count + 1);
}

static bool can_merge(const struct quicklist *ql, const struct quicklist_node *a,
                      const struct quicklist_node *b) {
    if (a == NULL || b == NULL || a->plain || b->plain) return false;
    return !quicklist_exceeds(ql->fill, a->bytes + b->bytes - LISTPACK_MIN_BYTES,
                              (uint64_t)a->count + b->count);
}

// ---- nodes -------------------------------------------------------------------------------------

static struct quicklist_node *node_new(struct quicklist *ql, uint8_t *data, size_t bytes,
                                       uint32_t count) {
    struct quicklist_node *node = mem_alloc(sizeof *node);
    *node = (struct quicklist_node){.data = data, .bytes = bytes, .count = count};
    ql->memory += mem_usable(node) + mem_usable(data);
    return node;
}

static struct quicklist_node *node_of_listpack(struct quicklist *ql, uint8_t *lp) {
    return node_new(ql, lp, listpack_bytes(lp), (uint32_t)listpack_count(lp));
}

/** A node with this item alone. */
static struct quicklist_node *node_of_item(struct quicklist *ql, struct slice item) {
    if (item.n < ql->plain_min) return node_of_listpack(ql, listpack_append(listpack_new(0), item));
    struct quicklist_node *node =
        node_new(ql, memcpy(mem_alloc(item.n), item.p, item.n), item.n, 1);
    node->plain = true;
    return node;
}

/** The memory that the node's data is in. */
static inline uint8_t *block_of(const struct quicklist_node *node) {
    return node->data - node->gap;
}

static uint8_t *unpacked_data(const struct quicklist_node *node) {
    uint8_t *data = mem_alloc(node->bytes);
    bool good = unlzf(node->data, node->packed, data, node->bytes);
    ASSERT(good);
    return data;
}

const uint8_t *quicklist_node_data(const struct quicklist_node *node, uint8_t **unpacked) {
    *unpacked = node->packed != 0 ? unpacked_data(node) : NULL;
    return *unpacked != NULL ? *unpacked : node->data;
}

static void unpack(struct quicklist *ql, struct quicklist_node *node) {
    if (likely(node->packed == 0)) return;
    uint8_t *data = unpacked_data(node);
    ql->memory += mem_usable(data) - mem_usable(node->data);
    mem_free(node->data);
    node->data = data;
    node->packed = 0;
}

static void pack(struct quicklist *ql, struct quicklist_node *node) {
    if (node->packed != 0 || node->bytes < PACK_MIN_BYTES || node->bytes > INT32_MAX) return;
    uint8_t *room = mem_alloc(node->bytes);
    unsigned most = (unsigned)node->bytes - PACK_MIN_GAIN - 1;
    unsigned n = lzf_compress(node->data, (unsigned)node->bytes, room, most);
    if (n > 0) {
        ql->memory -= mem_usable(block_of(node));
        mem_free(block_of(node));
        node->data = memcpy(mem_alloc(n), room, n);
        node->gap = 0;
        node->packed = n;
        ql->memory += mem_usable(node->data);
    }
    mem_free(room);
}

static void close_gap(struct quicklist_node *node) {
    if (likely(node->gap == 0)) return;
    node->data = memmove(block_of(node), node->data, node->bytes);
    node->gap = 0;
}

/** Takes the node's listpack out for a change ... */
static inline uint8_t *begin_change(struct quicklist *ql, struct quicklist_node *node) {
    unpack(ql, node);
    close_gap(node);
    ql->memory -= mem_usable(node->data);
    return node->data;
}

/** ... and puts it back with so many more items. */
static inline void end_change(struct quicklist *ql, struct quicklist_node *node, uint8_t *lp,
                              int64_t items) {
    node->data = lp;
    node->bytes = listpack_bytes(lp);
    node->count = (uint32_t)((int64_t)node->count + items);
    ql->count += (uint64_t)items;
    ql->memory += mem_usable(lp);
}

// ---- the chain ---------------------------------------------------------------------------------

/**
 * Unpacks what has come near an end, and packs `node` (may be NULL) and what is next behind these,
 * where an insertion or a deletion may have moved the border.
 */
static void settle(struct quicklist *ql, struct quicklist_node *node) {
    if (likely(ql->depth == 0) || ql->nodes == 0) return;
    struct quicklist_node *forward = ql->head, *backward = ql->tail;
    bool near_end = node == NULL;
    for (uint32_t i = 0; i < ql->depth; i++) {
        unpack(ql, forward);
        unpack(ql, backward);
        if (forward == node || backward == node) near_end = true;
        if (forward == backward || forward->next == backward) return;
        forward = forward->next;
        backward = backward->prev;
    }
    if (!near_end) pack(ql, node);
    pack(ql, forward);
    pack(ql, backward);
}

/** Links the node behind `at`, or before it; at NULL: the list is empty. */
static void link_node(struct quicklist *ql, struct quicklist_node *at, struct quicklist_node *node,
                      bool after) {
    node->prev = after || at == NULL ? at : at->prev;
    node->next = after && at != NULL ? at->next : at;
    if (node->prev != NULL)
        node->prev->next = node;
    else
        ql->head = node;
    if (node->next != NULL)
        node->next->prev = node;
    else
        ql->tail = node;
    ql->nodes++;
    ql->count += node->count;
    settle(ql, at);
    settle(ql, node);
}

static void delete_node(struct quicklist *ql, struct quicklist_node *node) {
    if (node->prev != NULL)
        node->prev->next = node->next;
    else
        ql->head = node->next;
    if (node->next != NULL)
        node->next->prev = node->prev;
    else
        ql->tail = node->prev;
    ql->nodes--;
    ql->count -= node->count;
    ql->memory -= mem_usable(node) + mem_usable(block_of(node));
    mem_free(block_of(node));
    mem_free(node);
    settle(ql, NULL);
}

/** After a change of an inner node: away with it when it is empty, or packed again. */
static void tidy(struct quicklist *ql, struct quicklist_node *node) {
    if (node->count == 0)
        delete_node(ql, node);
    else
        settle(ql, node);
}

/** The node that has the item at index < count, looked for from the nearer end. */
static struct quicklist_node *seek(const struct quicklist *ql, uint64_t index, size_t *offset) {
    ASSERT(index < ql->count);
    struct quicklist_node *node;
    if (index < ql->count / 2) {
        for (node = ql->head; index >= node->count; node = node->next) index -= node->count;
        *offset = (size_t)index;
        return node;
    }
    uint64_t behind = ql->count - 1 - index;
    for (node = ql->tail; behind >= node->count; node = node->prev) behind -= node->count;
    *offset = (size_t)(node->count - 1 - behind);
    return node;
}

// ---- whole lists -------------------------------------------------------------------------------

struct quicklist *quicklist_new(int64_t fill, int64_t depth) {
    struct quicklist *ql = mem_alloc(sizeof *ql);
    *ql = (struct quicklist){.plain_min = LISTPACK_MAX_BYTES};
    ql->fill = (int32_t)(fill > FILL_MAX ? FILL_MAX : fill < -5 ? -5 : fill);
    ql->depth = (uint32_t)(depth > DEPTH_MAX ? DEPTH_MAX : depth < 0 ? 0 : depth);
    ql->memory = mem_usable(ql);
    return ql;
}

void quicklist_free(struct quicklist *ql) {
    for (struct quicklist_node *node = ql->head, *next; node != NULL; node = next) {
        next = node->next;
        mem_free(block_of(node));
        mem_free(node);
    }
    mem_free(ql);
}

struct quicklist *quicklist_copy(const struct quicklist *ql) {
    struct quicklist *copy = quicklist_new(ql->fill, 0);
    copy->plain_min = ql->plain_min;
    for (const struct quicklist_node *node = ql->head; node != NULL; node = node->next) {
        size_t n = node->packed != 0 ? node->packed : node->bytes;
        struct quicklist_node *twin =
            node_new(copy, memcpy(mem_alloc(n), node->data, n), node->bytes, node->count);
        twin->packed = node->packed;
        twin->plain = node->plain;
        link_node(copy, copy->tail, twin, true);
    }
    copy->depth = ql->depth;
    return copy;
}

void quicklist_append_listpack(struct quicklist *ql, uint8_t *lp) {
    ASSERT(listpack_count(lp) > 0);
    link_node(ql, ql->tail, node_of_listpack(ql, lp), true);
}

uint8_t *quicklist_to_listpack(struct quicklist *ql) {
    if (ql->nodes != 1 || ql->head->plain) return NULL;
    close_gap(ql->head);
    uint8_t *lp = ql->head->data;
    mem_free(ql->head);
    mem_free(ql);
    return lp;
}

// ---- changing ----------------------------------------------------------------------------------

/** A node that is no longer at the end gives back what it had for growth. */
static void no_more_growth(struct quicklist *ql, struct quicklist_node *node) {
    if (node == NULL || node->packed != 0 || node->plain) return;
    uint8_t *lp = begin_change(ql, node);
    end_change(ql, node, listpack_shrink(lp), 0);
}

// The front of the first node: its listpack stands behind a gap, so that neither adding nor taking
// there moves all of it.

/** Moves the listpack to the end of its block, and that to a larger one unless n more bytes fit. */
static void open_gap(struct quicklist *ql, struct quicklist_node *node, size_t n) {
    uint8_t *block = block_of(node), *to = block;
    size_t room = mem_usable(block);
    if (room < node->bytes + n) {
        to = mem_alloc(listpack_room(node->bytes + n));
        ql->memory += mem_usable(to) - room;
        room = mem_usable(to);
    }
    size_t gap = room - node->bytes;
    if (gap > UINT32_MAX) gap = UINT32_MAX;
    memmove(to + gap, node->data, node->bytes);
    if (to != block) mem_free(block);
    node->data = to + gap;
    node->gap = (uint32_t)gap;
}

static void push_front(struct quicklist *ql, struct quicklist_node *node, struct slice item) {
    unpack(ql, node);
    uint8_t *lp = listpack_prepend_in_gap(node->data, item, node->gap);
    if (unlikely(lp == NULL)) {
        open_gap(ql, node, listpack_element_bytes(item));
        lp = listpack_prepend_in_gap(node->data, item, node->gap);
        ASSERT(lp != NULL);
    }
    node->gap -= (uint32_t)(node->data - lp);
    node->data = lp;
    node->bytes = listpack_bytes(lp);
    node->count++;
    ql->count++;
}

/** Takes the first of several items off an unpacked node. */
static void pop_front(struct quicklist *ql, struct quicklist_node *node) {
    ASSERT_DEV(node->packed == 0 && !node->plain);
    uint8_t *lp = listpack_drop_first(node->data);
    node->gap += (uint32_t)(lp - node->data);
    node->data = lp;
    node->bytes = listpack_bytes(lp);
    node->count--;
    ql->count--;
    if (unlikely(node->bytes < mem_usable(block_of(node)) / 2)) {
        lp = begin_change(ql, node);
        end_change(ql, node, listpack_shrink(lp), 0);
    }
}

void quicklist_push(struct quicklist *ql, struct slice item, bool front) {
    struct quicklist_node *end = front ? ql->head : ql->tail;
    if (unlikely(!takes(ql, end, item.n))) {
        no_more_growth(ql, end);
        link_node(ql, end, node_of_item(ql, item), !front);
    } else if (front) {
        push_front(ql, end, item);
    } else {
        uint8_t *lp = begin_change(ql, end);
        end_change(ql, end, listpack_append(lp, item), 1);
    }
}

/**
 * Moves a part of the node into a new one, which is not linked yet: what is behind the offset, or
 * what is before it.
 */
static struct quicklist_node *split(struct quicklist *ql, struct quicklist_node *node,
                                    size_t offset, bool after) {
    uint8_t *lp = begin_change(ql, node), *other = listpack_copy(lp);
    size_t kept = after ? offset + 1 : node->count - offset, moved = node->count - kept;
    if (after) {
        lp = listpack_delete_range(lp, (int64_t)kept, moved);
        other = listpack_delete_range(other, 0, kept);
    } else {
        lp = listpack_delete_range(lp, 0, moved);
        other = listpack_delete_range(other, (int64_t)moved, kept);
    }
    end_change(ql, node, lp, -(int64_t)moved);
    return node_of_listpack(ql, other);
}

/** Appends b, which follows a, to a. */
static struct quicklist_node *merge(struct quicklist *ql, struct quicklist_node *a,
                                    struct quicklist_node *b) {
    unpack(ql, b);
    uint8_t *lp = listpack_merge(begin_change(ql, a), b->data);
    end_change(ql, a, lp, b->count);
    delete_node(ql, b);
    settle(ql, a);
    return a;
}

/** Merges the node and those around it as far as they fit; returns the one that has its items. */
static struct quicklist_node *merge_around(struct quicklist *ql, struct quicklist_node *node) {
    struct quicklist_node *prev = node->prev, *next = node->next;
    if (prev != NULL && can_merge(ql, prev->prev, prev)) merge(ql, prev->prev, prev);
    if (next != NULL && can_merge(ql, next, next->next)) merge(ql, next, next->next);
    if (can_merge(ql, node->prev, node)) node = merge(ql, node->prev, node);
    if (can_merge(ql, node, node->next)) node = merge(ql, node, node->next);
    return node;
}

static void insert_in(struct quicklist *ql, struct quicklist_node *node, size_t offset,
                      struct slice item) {
    uint8_t *lp = begin_change(ql, node);
    lp = listpack_insert(lp, listpack_at(lp, (int64_t)offset), item, NULL);
    end_change(ql, node, lp, 1);
    settle(ql, node);
}

static void insert_at(struct quicklist *ql, struct quicklist_node *node, size_t offset,
                      struct slice item, bool after) {
    bool at_edge = after ? offset + 1 == node->count : offset == 0;
    struct quicklist_node *beside = after ? node->next : node->prev;
    if (takes(ql, node, item.n)) {
        insert_in(ql, node, after ? offset + 1 : offset, item);
    } else if (at_edge && takes(ql, beside, item.n)) {
        insert_in(ql, beside, after ? 0 : beside->count, item);
    } else if (at_edge) {
        link_node(ql, node, node_of_item(ql, item), after);
    } else if (item.n >= ql->plain_min) {
        struct quicklist_node *rest = split(ql, node, offset, after),
                              *plain = node_of_item(ql, item);
        link_node(ql, node, plain, after);
        link_node(ql, plain, rest, after);
    } else {
        struct quicklist_node *rest = split(ql, node, offset, after);
        link_node(ql, node, rest, after);
        insert_in(ql, rest, after ? 0 : rest->count, item);
        merge_around(ql, node);
    }
}

void quicklist_insert(struct quicklist *ql, struct quicklist_iterator *it, struct slice item,
                      bool after) {
    struct quicklist_node *node = (struct quicklist_node *)it->node;
    ASSERT(!it->backwards && node != NULL && it->offset > 0);
    size_t offset = it->offset - 1;
    quicklist_end(it);
    insert_at(ql, node, offset, item, after);
}

/** The long item comes into a plain node of its own behind the offset, whose item goes. */
static void replace_by_plain(struct quicklist *ql, struct quicklist_node *node, size_t offset,
                             struct slice item) {
    struct quicklist_node *rest = offset + 1 < node->count ? split(ql, node, offset, true) : NULL;
    struct quicklist_node *plain = node_of_item(ql, item);
    link_node(ql, node, plain, true);
    if (rest != NULL) link_node(ql, plain, rest, true);
    uint8_t *lp = listpack_delete_range(begin_change(ql, node), -1, 1);
    end_change(ql, node, lp, -1);
    bool empty = node->count == 0;
    tidy(ql, node);
    if (!empty) merge_around(ql, plain);
}

void quicklist_replace(struct quicklist *ql, uint64_t index, struct slice item) {
    size_t offset;
    struct quicklist_node *node = seek(ql, index, &offset);
    if (node->plain) {
        link_node(ql, node, node_of_item(ql, item), true);
        delete_node(ql, node);
    } else if (item.n >= ql->plain_min) {
        replace_by_plain(ql, node, offset, item);
    } else {
        uint8_t *lp = begin_change(ql, node), *p = listpack_at(lp, (int64_t)offset);
        end_change(ql, node, listpack_replace(lp, &p, item), 0);
        settle(ql, node);
    }
}

void quicklist_delete(struct quicklist *ql, uint64_t index, uint64_t count) {
    if (count == 0 || index >= ql->count) return;
    struct quicklist_node *head = ql->head;
    if (index == 0 && count == 1 && head->count > 1 && head->gap + head->bytes < UINT32_MAX) {
        pop_front(ql, head);
        return;
    }
    size_t offset;
    struct quicklist_node *node = seek(ql, index, &offset);
    while (node != NULL && count > 0) {
        struct quicklist_node *next = node->next;
        size_t here = node->count - offset;
        if (here > count) here = (size_t)count;
        count -= here;
        if (here == node->count) {
            delete_node(ql, node);
        } else {
            uint8_t *lp = listpack_delete_range(begin_change(ql, node), (int64_t)offset, here);
            end_change(ql, node, lp, -(int64_t)here);
            settle(ql, node);
        }
        node = next;
        offset = 0;
    }
}

uint8_t *quicklist_remove_in(uint8_t *lp, struct slice text, uint64_t limit, bool backwards,
                             uint64_t *removed) {
    *removed = 0;
    uint8_t *p = backwards ? listpack_last(lp) : listpack_find(lp, listpack_first(lp), text, 0);
    while (p != NULL && *removed < limit) {
        if (backwards && !listpack_equal(p, text)) {
            p = listpack_prev(lp, p);
            continue;
        }
        lp = listpack_delete(lp, &p, 1);
        ++*removed;
        if (!backwards)
            p = listpack_find(lp, p, text, 0);
        else
            p = p != NULL ? listpack_prev(lp, p) : listpack_last(lp);
    }
    return lp;
}

uint64_t quicklist_remove(struct quicklist *ql, struct slice text, uint64_t limit, bool backwards) {
    uint64_t before = ql->count, left = limit != 0 ? limit : UINT64_MAX;
    struct quicklist_node *node = backwards ? ql->tail : ql->head;
    while (node != NULL && left > 0) {
        struct quicklist_node *next = backwards ? node->prev : node->next;
        if (node->plain) {
            bool same = node->bytes == text.n;
            if (same) unpack(ql, node);
            if (same && memcmp(node->data, text.p, text.n) == 0) {
                delete_node(ql, node);
                left--;
            } else if (same) {
                settle(ql, node);
            }
        } else {
            uint64_t removed;
            uint8_t *lp =
                quicklist_remove_in(begin_change(ql, node), text, left, backwards, &removed);
            end_change(ql, node, lp, -(int64_t)removed);
            tidy(ql, node);
            left -= removed;
        }
        node = next;
    }
    return before - ql->count;
}

// ---- iterating ---------------------------------------------------------------------------------

/** Stands before the item at the offset of its node. */
static void enter(struct quicklist_iterator *it, size_t offset) {
    const struct quicklist_node *node = it->node;
    it->lp = quicklist_node_data(node, &it->unpacked);
    it->pending = node->plain;
    it->p = node->plain ? NULL : listpack_at(it->lp, (int64_t)offset);
    it->offset = offset;
}

void quicklist_iterate(struct quicklist_iterator *it, const struct quicklist *ql, uint64_t index,
                       bool backwards) {
    *it = (struct quicklist_iterator){.backwards = backwards};
    if (index >= ql->count) return;
    size_t offset;
    it->node = seek(ql, index, &offset);
    enter(it, offset);
}

bool quicklist__next_node(struct quicklist_iterator *it, struct listpack_item *item) {
    if (it->node == NULL) return false;
    if (it->pending) {
        it->pending = false;
        it->offset = 1;
        *item = (struct listpack_item){.text = slice_of(it->lp, it->node->bytes)};
        return true;
    }
    mem_free(it->unpacked);
    it->unpacked = NULL;
    it->node = it->backwards ? it->node->prev : it->node->next;
    if (it->node == NULL) return false;
    enter(it, it->backwards ? it->node->count - 1 : 0);
    return quicklist_next(it, item);
}

void quicklist_end(struct quicklist_iterator *it) {
    mem_free(it->unpacked);
    *it = (struct quicklist_iterator){.node = NULL};
}

// ---- checking ----------------------------------------------------------------------------------

static bool node_is_valid(const struct quicklist_node *node) {
    if (node->count == 0) return false;
    if (node->gap != 0 && (node->packed != 0 || node->plain)) return false;
    if (node->plain) return node->count == 1;
    if (node->packed == 0 && node->gap + node->bytes > mem_usable(block_of(node))) return false;
    uint8_t *lp = node->packed != 0 ? unpacked_data(node) : node->data;
    bool valid = listpack_bytes(lp) == node->bytes && listpack_is_valid(lp) &&
                 listpack_count(lp) == node->count;
    if (lp != node->data) mem_free(lp);
    return valid;
}

bool quicklist_is_valid(const struct quicklist *ql) {
    size_t memory = mem_usable(ql), nodes = 0;
    uint64_t count = 0;
    const struct quicklist_node *prev = NULL;
    for (const struct quicklist_node *node = ql->head; node != NULL;
         prev = node, node = node->next) {
        if (node->prev != prev || !node_is_valid(node)) return false;
        bool near_end = nodes < ql->depth || nodes + ql->depth >= ql->nodes;
        if (node->packed != 0 && near_end) return false;
        nodes++;
        count += node->count;
        memory += mem_usable(node) + mem_usable(block_of(node));
    }
    return ql->tail == prev && nodes == ql->nodes && count == ql->count && memory == ql->memory;
}
