// SPDX-License-Identifier: BSD-3-Clause
//
// Sets that stand still: finding members, one or a window of them side by side, walking, scanning,
// choosing at random, and what value.c asks of each encoding. Reads only, so any thread may while
// nobody changes the value. Called by the set commands and, through value_ops, by value.c.
#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/encoding/intset.h"
#include "engine/types/ops.h"
#include "engine/types/t_set.h"
#include "engine/types/t_set_table.h"

// ---- finding -----------------------------------------------------------------------------------

static inline const struct hashtable *table_of(struct value v) {
    return &((const struct set_table *)v.object)->table;
}

bool tset_has(struct value v, struct slice member) {
    int64_t number;
    switch (v.encoding) {
    case ENC_SET_HASHTABLE: return hashtable_find(table_of(v), member) != NULL;
    case ENC_SET_LISTPACK:
        return listpack_find(v.object, listpack_first(v.object), member, 0) != NULL;
    default:
        ASSERT(v.encoding == ENC_SET_INTSET);
        return num_parse_i64(member, &number) && intset_has(v.object, number);
    }
}

size_t tset_count(struct value v) {
    switch (v.encoding) {
    case ENC_SET_HASHTABLE: return table_of(v)->count;
    case ENC_SET_LISTPACK: return listpack_count(v.object);
    default: ASSERT(v.encoding == ENC_SET_INTSET); return intset_count(v.object);
    }
}

/** In three rounds over the window: buckets, elements, comparisons. */
static uint32_t table_has_window(const struct hashtable *t, struct tset_window *w, uint32_t which) {
    char scratch[NUM_I64_TEXT_MAX];
    for (uint32_t left = which; left != 0; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctz(left);
        if ((w->hashed >> i & 1) == 0)
            w->hashes[i] = hashtable_hash(tset_text(&w->items[i], scratch));
        hashtable_prefetch(t, w->hashes[i]);
    }
    w->hashed |= which;
    for (uint32_t left = which; left != 0; left &= left - 1)
        hashtable_prefetch_element(t, w->hashes[__builtin_ctz(left)]);
    uint32_t has = 0;
    for (uint32_t left = which; left != 0; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctz(left);
        struct slice text = tset_text(&w->items[i], scratch);
        has |= (uint32_t)(hashtable_find_hashed(t, text, w->hashes[i]) != NULL) << i;
    }
    return has;
}

/** Members of an intset come in ascending order: each is sought from where the last one was. */
static uint32_t intset_has_window(const uint8_t *is, const struct tset_window *w, uint32_t which) {
    uint32_t has = 0;
    size_t n = intset_count(is), at = 0;
    int64_t last = INT64_MIN;
    for (uint32_t left = which; left != 0; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctz(left);
        int64_t number = w->items[i].number;
        if (!w->items[i].is_int && !num_parse_i64(w->items[i].text, &number)) continue;
        if (number < last || at == 0)
            at = intset_seek(is, 0, number);
        else
            at = intset_seek(is, at, number);
        last = number;
        has |= (uint32_t)(at < n && intset_at(is, at) == number) << i;
    }
    return has;
}

uint32_t tset_has_window(struct value v, struct tset_window *w, uint32_t which) {
    if (v.encoding == ENC_SET_HASHTABLE) return table_has_window(table_of(v), w, which);
    if (v.encoding == ENC_SET_INTSET) return intset_has_window(v.object, w, which);
    char scratch[NUM_I64_TEXT_MAX];
    uint32_t has = 0;
    for (uint32_t left = which; left != 0; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctz(left);
        has |= (uint32_t)tset_has(v, tset_text(&w->items[i], scratch)) << i;
    }
    return has;
}

void tset_prefetch(struct value v, const struct slice *members, int count) {
    if (v.encoding != ENC_SET_HASHTABLE) return;
    uint64_t hashes[TSET_WINDOW];
    if (count > TSET_WINDOW) count = TSET_WINDOW;
    for (int i = 0; i < count; i++) {
        hashes[i] = hashtable_hash(members[i]);
        hashtable_prefetch(table_of(v), hashes[i]);
    }
    for (int i = 0; i < count; i++) hashtable_prefetch_element(table_of(v), hashes[i]);
}

// ---- walking -----------------------------------------------------------------------------------

void tset_iterate(struct tset_iterator *it, struct value v) {
    it->v = v;
    it->index = 0;
    if (v.encoding == ENC_SET_LISTPACK) it->p = listpack_first(v.object);
    if (v.encoding == ENC_SET_HASHTABLE) hashtable_iterate(&it->table, table_of(v));
}

bool tset_next(struct tset_iterator *it, struct listpack_item *item) {
    if (it->v.encoding == ENC_SET_HASHTABLE) {
        const void *e = hashtable_next(&it->table);
        if (e == NULL) return false;
        item->is_int = false;
        item->text = tset__element_text(e);
        return true;
    }
    if (it->v.encoding == ENC_SET_LISTPACK) {
        if (it->p == NULL) return false;
        listpack_get(it->p, item);
        it->p = listpack_next(it->v.object, it->p);
        return true;
    }
    if (it->index >= intset_count(it->v.object)) return false;
    item->is_int = true;
    item->number = intset_at(it->v.object, it->index++);
    return true;
}

bool tset_next_window(struct tset_iterator *it, struct tset_window *w) {
    w->count = 0;
    w->hashed = 0;
    while (w->count < TSET_WINDOW && tset_next(it, &w->items[w->count])) w->count++;
    return w->count > 0;
}

void tset_random(struct value v, struct random *random, struct listpack_item *item) {
    size_t n = tset_count(v);
    ASSERT(n > 0);
    item->is_int = false;
    if (v.encoding == ENC_SET_HASHTABLE) {
        item->text = tset__element_text(hashtable_random(table_of(v), random));
    } else if (v.encoding == ENC_SET_LISTPACK) {
        listpack_get(listpack_at(v.object, (int64_t)random_below(random, n)), item);
    } else {
        item->is_int = true;
        item->number = intset_at(v.object, random_below(random, n));
    }
}

struct scan {
    void (*each)(void *context, const struct listpack_item *item);
    void *context;
};

static void scan_element(void *context, void *element) {
    const struct scan *s = context;
    struct listpack_item item = {.text = tset__element_text(element)};
    s->each(s->context, &item);
}

uint64_t tset_scan(struct value v, uint64_t cursor,
                   void (*each)(void *context, const struct listpack_item *item), void *context) {
    if (v.encoding == ENC_SET_HASHTABLE) {
        struct scan s = {.each = each, .context = context};
        return hashtable_scan(table_of(v), cursor, scan_element, &s);
    }
    struct tset_iterator it;
    struct listpack_item item;
    tset_iterate(&it, v);
    while (tset_next(&it, &item)) each(context, &item);
    return 0;
}

// ---- what value.c asks for ---------------------------------------------------------------------

static void digest(uint8_t encoding, const void *object, struct digest *d) {
    struct tset_iterator it;
    struct listpack_item item;
    char scratch[NUM_I64_TEXT_MAX];
    tset_iterate(&it, (struct value){.encoding = encoding, .object = (void *)(uintptr_t)object});
    while (tset_next(&it, &item)) {
        struct digest member = {0};
        digest_add(&member, tset_text(&item, scratch));
        digest_join(d, &member);
    }
}

static void intset_digest(const void *is, struct digest *d) { digest(ENC_SET_INTSET, is, d); }
static void *copy_intset(const void *is) { return intset_copy(is); }
static void free_intset(void *is) { intset_free(is); }
static size_t count_intset(const void *is) { return intset_count(is); }
static size_t memory_intset(const void *is) { return intset_memory(is); }
static bool valid_intset(const void *is) { return intset_is_valid(is); }

const struct value_ops tset_intset_ops = {
    .type = ENTRY_SET,
    .name = "intset",
    .free = free_intset,
    .copy = copy_intset,
    .memory = memory_intset,
    .length = count_intset,
    .digest = intset_digest,
    .is_valid = valid_intset,
};

static void listpack_digest(const void *lp, struct digest *d) { digest(ENC_SET_LISTPACK, lp, d); }
static void *copy_listpack(const void *lp) { return listpack_copy(lp); }
static void free_listpack(void *lp) { listpack_free(lp); }
static size_t count_listpack(const void *lp) { return listpack_count(lp); }
static size_t memory_listpack(const void *lp) { return listpack_memory(lp); }

static bool valid_listpack(const void *lp) {
    if (!listpack_is_valid(lp)) return false;
    char scratch[NUM_I64_TEXT_MAX];
    for (uint8_t *p = listpack_first(lp); p != NULL;) {
        struct slice text = listpack_text(p, scratch);
        p = listpack_next(lp, p);
        if (p != NULL && listpack_find(lp, p, text, 0) != NULL) return false; // twice
    }
    return true;
}

const struct value_ops tset_listpack_ops = {
    .type = ENTRY_SET,
    .name = "listpack",
    .free = free_listpack,
    .copy = copy_listpack,
    .memory = memory_listpack,
    .length = count_listpack,
    .digest = listpack_digest,
    .is_valid = valid_listpack,
};

static void table_digest(const void *s, struct digest *d) { digest(ENC_SET_HASHTABLE, s, d); }

static void *copy_table(const void *object) {
    const struct set_table *s = object;
    struct set_table *copy = tset__table_new();
    struct hashtable_iterator it;
    hashtable_iterate(&it, &s->table);
    for (const void *e; (e = hashtable_next(&it)) != NULL;)
        tset__table_add(copy, tset__element_text(e));
    return copy;
}

static void free_table(void *object) {
    struct set_table *s = object;
    hashtable_fini(&s->table, mem_free);
    mem_free(s);
}

static size_t count_table(const void *object) {
    return ((const struct set_table *)object)->table.count;
}

static size_t memory_table(const void *object) {
    const struct set_table *s = object;
    return mem_usable(s) + s->table.memory + s->element_bytes;
}

static bool valid_table(const void *object) {
    const struct set_table *s = object;
    struct hashtable_iterator it;
    size_t bytes = 0;
    if (!hashtable_is_valid(&s->table)) return false;
    hashtable_iterate(&it, &s->table);
    for (const void *e; (e = hashtable_next(&it)) != NULL;) {
        if (hashtable_find(&s->table, tset__element_text(e)) != e) return false;
        bytes += mem_usable(e);
    }
    return bytes == s->element_bytes;
}

const struct value_ops tset_hashtable_ops = {
    .type = ENTRY_SET,
    .name = "hashtable",
    .free = free_table,
    .copy = copy_table,
    .memory = memory_table,
    .length = count_table,
    .digest = table_digest,
    .is_valid = valid_table,
};
