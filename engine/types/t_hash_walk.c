// SPDX-License-Identifier: BSD-3-Clause
//
// Going over the fields of a hash: one after the other, from a cursor on, or at random. Reads only,
// so that several threads may do it at once with a hash that nobody changes; random numbers are the
// caller's. Invariant: a field whose time is over is never shown. Called by the hash commands, SORT
// and whoever writes hashes out.
#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/types/t_hash.h"
#include "engine/types/t_hash_layout.h"

#define TRIES_MIN 100 // of finding a random field in a table whose fields may be over

/** A place in either encoding as two items. */
static void show_block(const struct thash__field *f, struct listpack_item *field,
                       struct listpack_item *value) {
    *field = (struct listpack_item){.text = f->name};
    if (value != NULL) *value = (struct listpack_item){.text = f->value};
}

/** Reads what stands at p; returns the place of the next field. */
static const uint8_t *show_place(const uint8_t *lp, unsigned width, const uint8_t *p,
                                 struct listpack_item *field, struct listpack_item *value) {
    listpack_get(p, field);
    p = listpack_next(lp, p);
    if (value != NULL) listpack_get(p, value);
    if (width == 3) p = listpack_next(lp, p);
    return listpack_next(lp, p);
}

// ---- in order ----------------------------------------------------------------------------------

void thash_iterate(struct thash_iterator *it, struct value v, int64_t now_ms) {
    it->v = v;
    it->now_ms = now_ms;
    if (v.encoding == ENC_HASH_HASHTABLE)
        hashtable_iterate(&it->table, &((const struct thash__table *)v.object)->fields);
    else
        it->at = thash__pack_first(v.object, thash__width(v), now_ms);
}

/** The next field of a table whose time is not over. */
static inline bool next_block(struct thash_iterator *it, struct thash__field *f) {
    for (const void *block; (block = hashtable_next(&it->table)) != NULL;) {
        thash__read(block, f);
        if (!thash__is_over(f->expire_ms, it->now_ms)) return true;
    }
    return false;
}

bool thash_next(struct thash_iterator *it, struct listpack_item *field,
                struct listpack_item *value) {
    if (it->v.encoding != ENC_HASH_HASHTABLE) {
        if (it->at == NULL) return false;
        it->at = show_place(it->v.object, thash__width(it->v), it->at, field, value);
        return true;
    }
    struct thash__field f;
    if (!next_block(it, &f)) return false;
    show_block(&f, field, value);
    return true;
}

bool thash_next_expiring(struct thash_iterator *it, struct listpack_item *field,
                         struct listpack_item *value, int64_t *expire_ms) {
    if (it->v.encoding != ENC_HASH_HASHTABLE) {
        const uint8_t *place;
        if (it->at == NULL) return false;
        *expire_ms = thash__pack_expire_ms(it->v.object, thash__width(it->v), it->at, &place);
        return thash_next(it, field, value);
    }
    struct thash__field f;
    if (!next_block(it, &f)) return false;
    show_block(&f, field, value);
    *expire_ms = f.expire_ms;
    return true;
}

int64_t thash_min_expire_ms(struct value v) {
    if (v.encoding == ENC_HASH_HASHTABLE) {
        const struct thash__table *t = v.object;
        return t->expiring > 0 ? t->min_ms : THASH_NEVER;
    }
    const uint8_t *value, *first = listpack_first(v.object);
    if (first == NULL) return THASH_NEVER;
    return thash__pack_expire_ms(v.object, thash__width(v), first, &value);
}

// ---- from a cursor on --------------------------------------------------------------------------

struct scan {
    int64_t now_ms;
    size_t *visited;
    thash_each_fn *each;
    void *context;
};

static void scan_block(void *context, void *block) {
    struct scan *s = context;
    struct thash__field f;
    struct listpack_item field, value;
    ++*s->visited;
    thash__read(block, &f);
    if (thash__is_over(f.expire_ms, s->now_ms)) return;
    show_block(&f, &field, &value);
    s->each(s->context, &field, &value);
}

uint64_t thash_scan(struct value v, uint64_t cursor, int64_t now_ms, size_t *visited,
                    thash_each_fn *each, void *context) {
    if (v.encoding == ENC_HASH_HASHTABLE) {
        const struct thash__table *t = v.object;
        struct scan s = {.now_ms = now_ms, .visited = visited, .each = each, .context = context};
        size_t before = *visited;
        cursor = hashtable_scan(&t->fields, cursor, scan_block, &s);
        *visited += *visited == before;
        return cursor;
    }
    struct thash_iterator it;
    struct listpack_item field, value;
    thash_iterate(&it, v, now_ms);
    for (; thash_next(&it, &field, &value); ++*visited) each(context, &field, &value);
    return 0;
}

// ---- at random ---------------------------------------------------------------------------------

/** Places or blocks of all fields that are shown; the caller frees them. NULL: none. */
static const void **all_places(struct value v, int64_t now_ms, size_t *count) {
    size_t n = 0, room = value_length(v);
    const void **places = mem_alloc((room + 1) * sizeof(*places));
    struct thash__field f;
    if (v.encoding == ENC_HASH_HASHTABLE) {
        struct hashtable_iterator it;
        hashtable_iterate(&it, &((const struct thash__table *)v.object)->fields);
        for (const void *block; (block = hashtable_next(&it)) != NULL;) {
            thash__read(block, &f);
            if (!thash__is_over(f.expire_ms, now_ms)) places[n++] = block;
        }
    } else {
        struct listpack_item field;
        unsigned width = thash__width(v);
        const uint8_t *p = thash__pack_first(v.object, width, now_ms);
        for (; p != NULL; n++) {
            places[n] = p;
            p = show_place(v.object, width, p, &field, NULL);
        }
    }
    ASSERT(n <= room);
    *count = n;
    return places;
}

static void call(struct value v, const void *place, thash_each_fn *each, void *context) {
    struct listpack_item field, value;
    if (v.encoding == ENC_HASH_HASHTABLE) {
        struct thash__field f;
        thash__read(place, &f);
        show_block(&f, &field, &value);
    } else {
        show_place(v.object, thash__width(v), place, &field, &value);
    }
    each(context, &field, &value);
}

/** A random block of a table that is not over; NULL: none was found in that many tries. */
static const void *random_block(const struct thash__table *t, int64_t now_ms, struct random *random,
                                size_t tries) {
    struct thash__field f;
    while (tries-- > 0) {
        const void *block = hashtable_random(&t->fields, random);
        if (block == NULL) return NULL;
        thash__read(block, &f);
        if (!thash__is_over(f.expire_ms, now_ms)) return block;
    }
    return NULL;
}

size_t thash_random(struct value v, size_t count, int64_t now_ms, struct random *random,
                    thash_each_fn *each, void *context) {
    size_t done = 0, n;
    if (v.encoding == ENC_HASH_HASHTABLE) {
        for (; done < count; done++) {
            const void *block = random_block(v.object, now_ms, random, TRIES_MIN);
            if (block == NULL) break;
            call(v, block, each, context);
        }
        if (done == count) return done;
    }
    const void **places = all_places(v, now_ms, &n);
    for (; n > 0 && done < count; done++) call(v, places[random_below(random, n)], each, context);
    mem_free(places);
    return done;
}

/** Chooses among all fields: the chosen are swapped to the front one after the other. */
static size_t choose_among_all(struct value v, size_t count, int64_t now_ms, struct random *random,
                               thash_each_fn *each, void *context) {
    size_t n;
    const void **places = all_places(v, now_ms, &n);
    if (count > n) count = n;
    for (size_t i = 0; i < count; i++) {
        size_t chosen = count < n ? i + (size_t)random_below(random, n - i) : i;
        const void *place = places[chosen];
        places[chosen] = places[i];
        call(v, place, each, context);
    }
    mem_free(places);
    return count;
}

/** Puts a place into a set of them (size is a power of two); false: it is there. */
static bool remember(const void **set, size_t size, const void *place) {
    size_t i = (size_t)((uint64_t)(uintptr_t)place * UINT64_C(0x9e3779b97f4a7c15) >> 32);
    for (i &= size - 1; set[i] != NULL; i = (i + 1) & (size - 1))
        if (set[i] == place) return false;
    set[i] = place;
    return true;
}

size_t thash_random_unique(struct value v, size_t count, int64_t now_ms, struct random *random,
                           thash_each_fn *each, void *context) {
    size_t length = value_length(v);
    if (count == 0) return 0;
    if (v.encoding != ENC_HASH_HASHTABLE || count > length / 3)
        return choose_among_all(v, count, now_ms, random, each, context);
    size_t size = 8, done = 0, tries = TRIES_MIN + 4 * count;
    while (size < 2 * count) size *= 2;
    const void **set = mem_calloc(size * sizeof(*set));
    while (done < count && tries-- > 0) {
        const void *block = random_block(v.object, now_ms, random, 1);
        done += block != NULL && remember(set, size, block);
    }
    // Where most fields are over, looking for the others at random does not end.
    bool found = done == count;
    for (size_t i = 0; found && i < size; i++)
        if (set[i] != NULL) call(v, set[i], each, context);
    mem_free(set);
    return found ? done : choose_among_all(v, count, now_ms, random, each, context);
}
