// SPDX-License-Identifier: BSD-3-Clause
//
// Sets: adding and removing in each encoding, and going from one to the next at Redis's thresholds.
// Runs on the thread that owns the value; no state of its own. Invariant: an intset or a listpack
// is a bare block; a table's counter of element bytes is the sum of their blocks. Walking, looking
// up many and value_ops are in t_set_walk.c; t_set_table.h is what both share.
#include "engine/types/t_set.h"

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/encoding/intset.h"
#include "engine/types/t_set_table.h"

// ---- elements and tables -----------------------------------------------------------------------

static void *element_new(struct set_table *s, struct slice text) {
    size_t head = text.n < TSET__LONG ? 1 : TSET__LONG_HEAD;
    uint8_t *e = mem_alloc(head + text.n);
    e[0] = (uint8_t)(head == 1 ? text.n : TSET__LONG);
    if (head != 1) {
        uint32_t n = (uint32_t)text.n;
        ASSERT(text.n <= UINT32_MAX);
        memcpy(e + 1, &n, sizeof(n));
    }
    if (text.n > 0) memcpy(e + head, text.p, text.n);
    s->element_bytes += mem_usable(e);
    return e;
}

struct set_table *tset__table_new(void) {
    struct set_table *s = mem_alloc(sizeof(*s));
    hashtable_init(&s->table, tset__element_text);
    s->element_bytes = 0;
    return s;
}

static bool table_add_hashed(struct set_table *s, struct slice member, uint64_t hash) {
    if (hashtable_find_hashed(&s->table, member, hash) != NULL) return false;
    hashtable_add_hashed(&s->table, element_new(s, member), hash);
    return true;
}

bool tset__table_add(struct set_table *s, struct slice member) {
    return table_add_hashed(s, member, hashtable_hash(member));
}

static bool table_remove(struct set_table *s, struct slice member) {
    void *e = hashtable_remove(&s->table, member);
    if (e == NULL) return false;
    s->element_bytes -= mem_usable(e);
    mem_free(e);
    return true;
}

// ---- making sets, and going from one encoding to another ---------------------------------------

static struct value make(uint8_t encoding, void *object) {
    return (struct value){.encoding = encoding, .object = object};
}

struct value tset_new(void) {
    return make(ENC_SET_INTSET, intset_new());
}

struct value tset_new_listpack(void) {
    return make(ENC_SET_LISTPACK, listpack_new(LISTPACK_MIN_BYTES));
}

static bool above(size_t count, int64_t limit) { return limit < 0 || count > (size_t)limit; }

static bool above_intset(size_t count, const struct value_limits *limits) {
    return count > INTSET_COUNT_MAX || above(count, limits->set_max_intset_entries);
}

struct value tset_create(struct slice first, size_t count, const struct value_limits *limits) {
    int64_t number;
    if (num_parse_i64(first, &number) && !above(count, limits->set_max_intset_entries))
        return tset_new();
    if (!above(count, limits->set_max_listpack_entries)) return tset_new_listpack();
    return make(ENC_SET_HASHTABLE, tset__table_new());
}

struct value tset_load_begin(size_t count, const struct value_limits *limits) {
    if (!above_intset(count, limits)) return tset_new();
    return make(ENC_SET_HASHTABLE, tset__table_new());
}

bool tset_load_expect(struct value v, size_t expected, size_t most) {
    if (v.encoding != ENC_SET_HASHTABLE) return true;
    return hashtable_expect(&((struct set_table *)v.object)->table, expected, most);
}

static void replace(struct value *v, uint8_t encoding, void *object) {
    value_free(*v);
    *v = make(encoding, object);
}

static void to_table(struct value *v) {
    struct set_table *s = tset__table_new();
    struct tset_iterator it;
    struct listpack_item item;
    char scratch[NUM_I64_TEXT_MAX];
    tset_iterate(&it, *v);
    while (tset_next(&it, &item)) {
        bool added = tset__table_add(s, tset_text(&item, scratch));
        ASSERT(added);
    }
    replace(v, ENC_SET_HASHTABLE, s);
}

void tset_expect(struct value *v, size_t count, const struct value_limits *limits) {
    bool ends =
        (v->encoding == ENC_SET_LISTPACK && above(count, limits->set_max_listpack_entries)) ||
        (v->encoding == ENC_SET_INTSET && above(count, limits->set_max_intset_entries));
    if (ends) to_table(v);
}

static bool all_integers(struct value v) {
    struct tset_iterator it;
    struct listpack_item item;
    int64_t number;
    tset_iterate(&it, v);
    while (tset_next(&it, &item))
        if (!item.is_int && !num_parse_i64(item.text, &number)) return false;
    return true;
}

void tset_compact(struct value *v, const struct value_limits *limits) {
    if (v->encoding == ENC_SET_INTSET) return;
    if (!above_intset(tset_count(*v), limits) && all_integers(*v)) {
        uint8_t *is = intset_new();
        struct tset_iterator it;
        struct listpack_item item;
        bool added;
        tset_iterate(&it, *v);
        while (tset_next(&it, &item)) {
            if (!item.is_int) num_parse_i64(item.text, &item.number);
            is = intset_add(is, item.number, &added);
        }
        replace(v, ENC_SET_INTSET, is);
    } else if (v->encoding == ENC_SET_LISTPACK) {
        v->object = listpack_shrink(v->object);
    }
}

// ---- adding ------------------------------------------------------------------------------------

static bool intset_add_number(struct value *v, int64_t number, const struct value_limits *limits) {
    bool added;
    v->object = intset_add(v->object, number, &added);
    if (added && above_intset(intset_count(v->object), limits)) to_table(v);
    return added;
}

/** Bytes of a listpack of that many elements, none of which is longer than that number. */
static size_t listpack_estimate(int64_t number, size_t count) {
    char text[NUM_I64_TEXT_MAX];
    return count * listpack_element_bytes(slice_of(text, num_format_i64(text, number)));
}

/** Whether a listpack may hold the integers of an intset, and a text. */
static bool fits_listpack(const uint8_t *is, struct slice text, const struct value_limits *limits) {
    size_t n = intset_count(is);
    int64_t longest = limits->set_max_listpack_value;
    if (above(n + 1, limits->set_max_listpack_entries) || above(text.n, longest)) return false;
    if (n == 0) return true;
    int64_t low = intset_at(is, 0), high = intset_at(is, n - 1);
    if (above(num_i64_width(low), longest) || above(num_i64_width(high), longest)) return false;
    size_t bytes = listpack_estimate(low, n), other = listpack_estimate(high, n);
    return (bytes > other ? bytes : other) + text.n < LISTPACK_MAX_BYTES;
}

static void to_listpack(struct value *v, struct slice more) {
    const uint8_t *is = v->object;
    size_t n = intset_count(is), bytes = LISTPACK_MIN_BYTES + listpack_element_bytes(more);
    for (size_t i = 0; i < n; i++) bytes += listpack_estimate(intset_at(is, i), 1);
    uint8_t *lp = listpack_new(bytes);
    for (size_t i = 0; i < n; i++) lp = listpack_append_i64(lp, intset_at(is, i));
    replace(v, ENC_SET_LISTPACK, listpack_append(lp, more));
}

static bool intset_add_text(struct value *v, struct slice member,
                            const struct value_limits *limits) {
    int64_t number;
    if (num_parse_i64(member, &number)) return intset_add_number(v, number, limits);
    if (fits_listpack(v->object, member, limits)) {
        to_listpack(v, member);
    } else {
        to_table(v);
        tset__table_add(v->object, member);
    }
    return true;
}

static bool listpack_add_text(struct value *v, struct slice member,
                              const struct value_limits *limits) {
    uint8_t *lp = v->object;
    if (listpack_find(lp, listpack_first(lp), member, 0) != NULL) return false;
    bool fits = !above(listpack_count(lp) + 1, limits->set_max_listpack_entries) &&
                !above(member.n, limits->set_max_listpack_value) &&
                listpack_has_room(lp, member.n + NUM_I64_TEXT_MAX);
    if (fits) {
        v->object = listpack_append(lp, member);
        return true;
    }
    to_table(v);
    return tset__table_add(v->object, member);
}

bool tset_add(struct value *v, struct slice member, const struct value_limits *limits) {
    switch (v->encoding) {
    case ENC_SET_HASHTABLE: return tset__table_add(v->object, member);
    case ENC_SET_LISTPACK: return listpack_add_text(v, member, limits);
    default: ASSERT(v->encoding == ENC_SET_INTSET); return intset_add_text(v, member, limits);
    }
}

bool tset_add_item(struct value *v, const struct listpack_item *member,
                   const struct value_limits *limits) {
    if (member->is_int && v->encoding == ENC_SET_INTSET)
        return intset_add_number(v, member->number, limits);
    char scratch[NUM_I64_TEXT_MAX];
    return tset_add(v, tset_text(member, scratch), limits);
}

size_t tset_add_window(struct value *v, struct tset_window *w, uint32_t which,
                       const struct value_limits *limits) {
    size_t added = 0;
    char scratch[NUM_I64_TEXT_MAX];
    if (v->encoding == ENC_SET_HASHTABLE) {
        which &= ~tset_has_window(*v, w, which); // which also hashes them, and loads what follows
        for (; which != 0; which &= which - 1) {
            unsigned i = (unsigned)__builtin_ctz(which);
            struct slice text = tset_text(&w->items[i], scratch);
            added += table_add_hashed(v->object, text, w->hashes[i]);
        }
        return added;
    }
    for (; which != 0; which &= which - 1)
        added += tset_add_item(v, &w->items[__builtin_ctz(which)], limits);
    return added;
}

// ---- removing ----------------------------------------------------------------------------------

static bool intset_remove_number(struct value *v, int64_t number) {
    bool removed;
    v->object = intset_remove(v->object, number, &removed);
    return removed;
}

static bool listpack_remove_text(struct value *v, struct slice member) {
    uint8_t *lp = v->object;
    uint8_t *p = listpack_find(lp, listpack_first(lp), member, 0);
    if (p == NULL) return false;
    v->object = listpack_delete(lp, &p, 1);
    return true;
}

bool tset_remove(struct value *v, struct slice member) {
    int64_t number;
    switch (v->encoding) {
    case ENC_SET_HASHTABLE: return table_remove(v->object, member);
    case ENC_SET_LISTPACK: return listpack_remove_text(v, member);
    default:
        ASSERT(v->encoding == ENC_SET_INTSET);
        return num_parse_i64(member, &number) && intset_remove_number(v, number);
    }
}

bool tset_remove_item(struct value *v, const struct listpack_item *member) {
    if (member->is_int && v->encoding == ENC_SET_INTSET)
        return intset_remove_number(v, member->number);
    char scratch[NUM_I64_TEXT_MAX];
    return tset_remove(v, tset_text(member, scratch));
}
