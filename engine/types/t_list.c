// SPDX-License-Identifier: BSD-3-Clause
//
// Lists: which encoding, and the operations in each of the two. A plain listpack is iterated as the
// only node of a quicklist would be. Runs on the thread that owns the value; reading never writes.
// Invariant: a listpack has been within the limits that held when it last grew. Called by the list
// commands, SORT, and whoever moves values around (through the two ops structures).
#include "engine/types/t_list.h"

#include "engine/base/assert.h"
#include "engine/types/ops.h"

static inline bool is_quick(struct value v) {
    ASSERT_DEV(v.object != NULL);
    return v.encoding == ENC_LIST_QUICKLIST;
}

struct value tlist_new(void) {
    return (struct value){.encoding = ENC_LIST_LISTPACK, .object = listpack_new(0)};
}

struct quicklist *tlist_new_quicklist(const struct value_limits *limits) {
    struct quicklist *ql =
        quicklist_new(limits->list_max_listpack_size, limits->list_compress_depth);
    ql->plain_min = (size_t)limits->list_plain_min;
    return ql;
}

struct value tlist_from_listpack(uint8_t *lp, const struct value_limits *limits) {
    struct value v = {.encoding = ENC_LIST_LISTPACK, .object = lp};
    tlist_will_grow(&v, 0, 0, limits);
    return v;
}

size_t tlist_length(struct value v) {
    if (is_quick(v)) return ((const struct quicklist *)v.object)->count;
    return listpack_count(v.object);
}

// ---- which encoding ----------------------------------------------------------------------------

static __attribute__((noinline)) void make_quick(struct value *v,
                                                 const struct value_limits *limits) {
    uint8_t *lp = v->object;
    struct quicklist *ql = tlist_new_quicklist(limits);
    if (listpack_count(lp) > 0)
        quicklist_append_listpack(ql, lp);
    else
        listpack_free(lp);
    *v = (struct value){.encoding = ENC_LIST_QUICKLIST, .object = ql};
}

void tlist_will_grow(struct value *v, size_t bytes, size_t count,
                     const struct value_limits *limits) {
    if (is_quick(*v)) return;
    const uint8_t *lp = v->object;
    if (unlikely(quicklist_exceeds(limits->list_max_listpack_size, listpack_bytes(lp) + bytes,
                                   listpack_count(lp) + count)))
        make_quick(v, limits);
}

/** A quicklist of one node within the limits (divided by `part`) becomes a listpack. */
static void make_listpack(struct value *v, const struct value_limits *limits, unsigned part) {
    struct quicklist *ql = v->object;
    if (likely(ql->nodes != 1) || ql->head->plain) return;
    struct quicklist_limit limit = quicklist_limit(limits->list_max_listpack_size);
    if (ql->head->bytes > limit.bytes / part || ql->count > limit.count / part) return;
    uint8_t *lp = quicklist_to_listpack(ql);
    *v = (struct value){.encoding = ENC_LIST_LISTPACK, .object = lp};
}

void tlist_has_shrunk(struct value *v, const struct value_limits *limits) {
    if (is_quick(*v)) make_listpack(v, limits, 2);
}

void tlist_settle(struct value *v, const struct value_limits *limits) {
    if (is_quick(*v))
        make_listpack(v, limits, 1);
    else
        tlist_will_grow(v, 0, 0, limits);
}

// ---- changing ----------------------------------------------------------------------------------

void tlist_add(struct value *v, struct slice item, bool front) {
    if (is_quick(*v))
        quicklist_push(v->object, item, front);
    else
        v->object = front ? listpack_prepend(v->object, item) : listpack_append(v->object, item);
}

void tlist_push(struct value *v, struct slice item, bool front, const struct value_limits *limits) {
    tlist_will_grow(v, item.n, 1, limits);
    tlist_add(v, item, front);
}

void tlist_push_all(struct value *v, const struct slice *items, size_t count, bool front,
                    const struct value_limits *limits) {
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) bytes += items[i].n;
    tlist_will_grow(v, bytes, count, limits);
    for (size_t i = 0; i < count; i++) tlist_add(v, items[i], front);
}

/** From an index that counts from either end to one from the front; false: nothing is there. */
static bool from_front(struct value v, int64_t index, uint64_t *from) {
    uint64_t length = tlist_length(v);
    if (index < 0) index += (int64_t)length;
    *from = (uint64_t)index;
    return index >= 0 && *from < length;
}

bool tlist_set(struct value *v, int64_t index, struct slice item,
               const struct value_limits *limits) {
    uint64_t at;
    tlist_will_grow(v, item.n, 1, limits);
    if (!from_front(*v, index, &at)) return false;
    if (is_quick(*v)) {
        quicklist_replace(v->object, at, item);
        tlist_has_shrunk(v, limits);
    } else {
        uint8_t *p = listpack_at(v->object, (int64_t)at);
        v->object = listpack_replace(v->object, &p, item);
    }
    return true;
}

static bool insert_quick(struct quicklist *ql, struct slice pivot, struct slice item, bool after) {
    struct tlist_text wanted = tlist_text(pivot);
    struct quicklist_iterator it;
    struct listpack_item here;
    quicklist_iterate(&it, ql, 0, false);
    while (quicklist_next(&it, &here)) {
        if (!tlist_equal(&here, &wanted)) continue;
        quicklist_insert(ql, &it, item, after);
        return true;
    }
    return false;
}

bool tlist_insert(struct value *v, struct slice pivot, struct slice item, bool after,
                  const struct value_limits *limits) {
    tlist_will_grow(v, item.n, 1, limits);
    if (is_quick(*v)) return insert_quick(v->object, pivot, item, after);
    uint8_t *lp = v->object, *p = listpack_find(lp, listpack_first(lp), pivot, 0);
    if (p == NULL) return false;
    v->object = listpack_insert(lp, after ? listpack_next(lp, p) : p, item, NULL);
    return true;
}

uint64_t tlist_remove(struct value *v, struct slice text, uint64_t limit, bool backwards) {
    if (is_quick(*v)) return quicklist_remove(v->object, text, limit, backwards);
    uint64_t removed;
    v->object =
        quicklist_remove_in(v->object, text, limit != 0 ? limit : UINT64_MAX, backwards, &removed);
    return removed;
}

void tlist_delete(struct value *v, uint64_t index, uint64_t count) {
    if (is_quick(*v))
        quicklist_delete(v->object, index, count);
    else if (index <= INT64_MAX)
        v->object = listpack_delete_range(v->object, (int64_t)index, (size_t)count);
}

// ---- reading -----------------------------------------------------------------------------------

void tlist_iterate(struct tlist_iterator *it, struct value v, int64_t index, bool backwards) {
    if (is_quick(v)) {
        uint64_t at;
        if (!from_front(v, index, &at)) at = UINT64_MAX;
        quicklist_iterate(&it->in, v.object, at, backwards);
        return;
    }
    it->in = (struct quicklist_iterator){
        .lp = v.object, .p = listpack_at(v.object, index), .backwards = backwards};
}

struct tlist_text tlist_text(struct slice text) {
    struct tlist_text t = {.text = text};
    t.is_int = num_parse_i64(text, &t.number);
    return t;
}

// ---- what value.c calls ------------------------------------------------------------------------

static void digest(struct value v, struct digest *d) {
    struct tlist_iterator it;
    struct listpack_item item;
    tlist_iterate(&it, v, 0, false);
    while (tlist_next(&it, &item)) {
        char scratch[NUM_I64_TEXT_MAX];
        if (item.is_int) item.text = slice_of(scratch, num_format_i64(scratch, item.number));
        digest_add(d, item.text);
    }
}

static void listpack_digest(const void *lp, struct digest *d) {
    digest((struct value){.encoding = ENC_LIST_LISTPACK, .object = (void *)lp}, d);
}

static void quick_digest(const void *ql, struct digest *d) {
    digest((struct value){.encoding = ENC_LIST_QUICKLIST, .object = (void *)ql}, d);
}

static void free_listpack(void *lp) { listpack_free(lp); }
static void *copy_listpack(const void *lp) { return listpack_copy(lp); }
static size_t listpack_memory_of(const void *lp) { return listpack_memory(lp); }
static size_t listpack_length(const void *lp) { return listpack_count(lp); }
static bool is_valid_listpack(const void *lp) { return listpack_is_valid(lp); }

const struct value_ops tlist_listpack_ops = {
    .type = ENTRY_LIST,
    .name = "listpack",
    .free = free_listpack,
    .copy = copy_listpack,
    .memory = listpack_memory_of,
    .length = listpack_length,
    .digest = listpack_digest,
    .is_valid = is_valid_listpack,
};

static void free_quick(void *ql) { quicklist_free(ql); }
static void *copy_quick(const void *ql) { return quicklist_copy(ql); }
static size_t quick_memory(const void *ql) { return quicklist_memory(ql); }
static size_t quick_length(const void *ql) { return ((const struct quicklist *)ql)->count; }
static bool is_valid_quick(const void *ql) { return quicklist_is_valid(ql); }

const struct value_ops tlist_quicklist_ops = {
    .type = ENTRY_LIST,
    .name = "quicklist",
    .free = free_quick,
    .copy = copy_quick,
    .memory = quick_memory,
    .length = quick_length,
    .digest = quick_digest,
    .is_valid = is_valid_quick,
};
