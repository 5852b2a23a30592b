// SPDX-License-Identifier: BSD-3-Clause
//
// The elements that SORT sorts: taken from lists, sets and sorted sets, weighed by themselves or by
// keys that a pattern names, and put in order. Texts are not copied where they lie still: integers
// are written out, and items of compressed list nodes copied, into a room that goes with the
// vector. Runs on the thread that was given the keys; owns no state. Invariant: the order is total
// where Redis's is, and equal items come as its sorts leave them otherwise. Called by sort.c.
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/base/sort.h"
#include "engine/commands/sort_parts.h"
#include "engine/types/t_hash.h"
#include "engine/types/t_list.h"
#include "engine/types/t_set.h"
#include "engine/types/t_zset.h"

// ---- texts that are kept -----------------------------------------------------------------------

#define BLOCK_BYTES ((size_t)16 * 1024)

struct sort_block {
    struct sort_block *next;
    char bytes[];
};

struct slice sort__keep(struct sort_room *room, struct slice text) {
    if (room->left < text.n || room->p == NULL) {
        size_t bytes = text.n > BLOCK_BYTES ? text.n : BLOCK_BYTES;
        struct sort_block *block = mem_alloc(sizeof *block + bytes);
        block->next = room->blocks;
        room->blocks = block;
        room->p = block->bytes;
        room->left = bytes;
    }
    struct slice kept = slice_of(room->p, text.n);
    if (text.n > 0) memcpy(room->p, text.p, text.n);
    room->p += text.n;
    room->left -= text.n;
    return kept;
}

void sort__room_fini(struct sort_room *room) {
    for (struct sort_block *block = room->blocks, *next; block != NULL; block = next) {
        next = block->next;
        mem_free(block);
    }
}

// ---- elements ----------------------------------------------------------------------------------

/** Adds one; `stays`: its text lies where it will stay. */
static void add(struct sort_vector *vector, const struct listpack_item *item, bool stays) {
    struct sort_element *element = &vector->at[vector->count++];
    char digits[NUM_I64_TEXT_MAX];
    if (item->is_int)
        element->text =
            sort__keep(&vector->room, slice_of(digits, num_format_i64(digits, item->number)));
    else
        element->text = stays ? item->text : sort__keep(&vector->room, item->text);
    element->by = (struct slice){0};
}

static void load_list(struct sort_vector *vector, struct value v, int64_t index, size_t count,
                      bool backwards) {
    struct tlist_iterator it;
    struct listpack_item item;
    if (count == 0) return;
    tlist_iterate(&it, v, index, backwards);
    for (size_t i = 0; i < count; i++) {
        bool more = tlist_next(&it, &item);
        ASSERT(more);
        add(vector, &item, it.in.unpacked == NULL);
    }
    tlist_end(&it);
}

static void load_zset(struct sort_vector *vector, struct value v, size_t rank, size_t count,
                      bool backwards) {
    struct tzset_iterator it;
    struct listpack_item item;
    tzset_iterate_rank(&it, v, rank, backwards);
    for (size_t i = 0; i < count && tzset_next(&it, &item, NULL); i++) add(vector, &item, true);
}

static void load_set(struct sort_vector *vector, struct value v) {
    struct tset_iterator it;
    struct listpack_item item;
    tset_iterate(&it, v);
    while (tset_next(&it, &item)) add(vector, &item, true);
}

static void make_room(struct sort_vector *vector, size_t count) {
    *vector = (struct sort_vector){.at = mem_alloc((count + 1) * sizeof *vector->at)};
}

void sort__load(struct sort_vector *vector, struct value v) {
    size_t count = v.encoding != 0 ? value_length(v) : 0;
    make_room(vector, count);
    if (count == 0) return;
    enum entry_type type = value_type(v.encoding);
    if (type == ENTRY_LIST) load_list(vector, v, 0, count, false);
    if (type == ENTRY_ZSET) load_zset(vector, v, 0, count, false);
    if (type == ENTRY_SET) load_set(vector, v);
}

void sort__load_part(struct sort_vector *vector, struct value v, size_t from, size_t count,
                     bool backwards) {
    make_room(vector, count);
    if (value_type(v.encoding) == ENTRY_LIST)
        load_list(vector, v, backwards ? -1 - (int64_t)from : (int64_t)from, count, backwards);
    else
        load_zset(vector, v, from, count, backwards);
}

void sort__vector_fini(struct sort_vector *vector) {
    mem_free(vector->at);
    sort__room_fini(&vector->room);
}

// ---- patterns ----------------------------------------------------------------------------------

struct sort_pattern sort__pattern(struct slice text) {
    struct sort_pattern pattern = {.is_element = text.n == 1 && text.p[0] == '#'};
    const char *star = text.n > 0 ? memchr(text.p, '*', text.n) : NULL;
    if (star == NULL) return pattern;
    pattern.has_star = true;
    pattern.before = slice_of(text.p, (size_t)(star - text.p));
    pattern.behind = slice_of(star + 1, text.n - pattern.before.n - 1);
    const char *arrow = memmem(pattern.behind.p, pattern.behind.n, "->", 2);
    size_t front = arrow != NULL ? (size_t)(arrow - pattern.behind.p) : 0;
    if (arrow == NULL || front + 2 == pattern.behind.n) return pattern; // nothing behind the arrow
    pattern.field = slice_of(arrow + 2, pattern.behind.n - front - 2);
    pattern.behind.n = front;
    return pattern;
}

/** Finds a key to read it, as an argument would be found. */
static const struct entry *find(struct cmd *c, struct slice key) {
    struct found f = cmd_find_at(c, key, c->db);
    if (f.ref.entry == NULL) {
        f.db->keyspace->stats.misses++;
        db_event(f.db, EVENT_KEY_MISS, "keymiss", f.key.text);
        return NULL;
    }
    f.db->keyspace->stats.hits++;
    if ((c->flags & CMD_CTX_NO_TOUCH) == 0) cmd_touch(c, &f);
    return f.ref.entry;
}

static void find_string(const struct entry *e, struct sort_found *found) {
    if (entry_type(e) != ENTRY_STRING) return;
    found->is_there = true;
    found->text = entry_string(e, found->scratch);
    found->is_int = e->encoding == ENC_INT && entry_string_i64(e, &found->number);
}

void sort__look_up(struct cmd *c, const struct sort_pattern *pattern, struct slice element,
                   struct buf *key, struct sort_found *found) {
    found->is_there = pattern->is_element;
    found->is_int = false;
    found->text = element;
    if (!pattern->has_star) return;
    key->len = 0;
    buf_append(key, pattern->before.p, pattern->before.n);
    buf_append(key, element.p, element.n);
    buf_append(key, pattern->behind.p, pattern->behind.n);
    const struct entry *e = find(c, slice_of(key->p, key->len));
    if (e == NULL) return;
    if (pattern->field.n == 0)
        find_string(e, found);
    else if (entry_type(e) == ENTRY_HASH)
        found->is_there =
            thash_get(entry_value(e), pattern->field, c->now_ms, &found->text, found->scratch);
}

// ---- order -------------------------------------------------------------------------------------

#define NUMBER_TEXT_MAX 64 // longer ones are copied to the heap

bool sort__number(struct slice text, double *out) {
    int64_t number;
    if (num_parse_i64(text, &number)) {
        *out = (double)number;
        return true;
    }
    char few[NUMBER_TEXT_MAX], *copy = few, *end;
    if (text.n >= sizeof few) copy = mem_alloc(text.n + 1);
    if (text.n > 0) memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    errno = 0;
    *out = strtod(copy, &end);
    bool valid = *end == '\0' && errno != ERANGE && !isnan(*out);
    if (copy != few) mem_free(copy);
    return valid;
}

SORT_TEMPLATE int directed(int order, const void *context) {
    return ((const struct sort_rules *)context)->descending ? -order : order;
}

SORT_TEMPLATE int by_number(const void *a, const void *b, const void *context) {
    const struct sort_element *x = a, *y = b;
    int order = x->score > y->score   ? 1
                : x->score < y->score ? -1
                                      : slice_compare(x->text, y->text);
    return directed(order, context);
}

SORT_TEMPLATE int by_text(const void *a, const void *b, const void *context) {
    const struct sort_element *x = a, *y = b;
    return directed(slice_compare(x->text, y->text), context);
}

SORT_TEMPLATE int by_other_text(const void *a, const void *b, const void *context) {
    const struct sort_element *x = a, *y = b;
    int order = 0;
    if (x->by.p != NULL && y->by.p != NULL)
        order = slice_compare(x->by, y->by);
    else if (x->by.p != y->by.p)
        order = x->by.p == NULL ? -1 : 1;
    return directed(order, context);
}

void sort__run(struct sort_vector *vector, const struct sort_rules *rules, size_t first,
               size_t last) {
    const size_t size = sizeof *vector->at, n = vector->count;
    // Where all other texts are equal the order shows which sort it was; else it shows in nothing.
    bool part = rules->by && (first != 0 || last != n - 1);
    if (!rules->alpha && part)
        sort_range(vector->at, n, size, by_number, rules, first, last);
    else if (!rules->alpha)
        sort_stable(vector->at, n, size, by_number, rules);
    else if (!rules->by)
        sort_stable(vector->at, n, size, by_text, rules);
    else if (part)
        sort_range(vector->at, n, size, by_other_text, rules, first, last);
    else
        sort_stable(vector->at, n, size, by_other_text, rules);
}
