// SPDX-License-Identifier: BSD-3-Clause
//
// Small hashes: listpacks of field, value and, in the wide form, expiry (0: none), in the order
// that Redis keeps them in: what expires first comes first, what does not expire last. So the wide
// form can go into an RDB file as it is. Owned by a value; the thread that owns it. Invariant: no
// field stands there twice, and the wide form is ordered. Called by t_hash.c and through value.h.
#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/types/ops.h"
#include "engine/types/t_hash_layout.h"

#define REMOVAL_COST 24 // of a field, in the keyspace's bucket visits

// ---- reading -----------------------------------------------------------------------------------

const uint8_t *thash__pack_find(const uint8_t *lp, unsigned width, struct slice field) {
    return listpack_find(lp, listpack_first(lp), field, width - 1);
}

/** The expiry that stands at p. */
static int64_t expiry_at(const uint8_t *p) {
    struct listpack_item item;
    listpack_get(p, &item);
    ASSERT(item.is_int);
    return item.number != 0 ? item.number : THASH_NEVER;
}

int64_t thash__pack_expire_ms(const uint8_t *lp, unsigned width, const uint8_t *at,
                              const uint8_t **value) {
    *value = listpack_next(lp, at);
    return width == 2 ? THASH_NEVER : expiry_at(listpack_next(lp, *value));
}

const uint8_t *thash__pack_first(const uint8_t *lp, unsigned width, int64_t now_ms) {
    const uint8_t *p = listpack_first(lp), *value;
    if (width == 2) return p;
    while (p != NULL && thash__is_over(thash__pack_expire_ms(lp, width, p, &value), now_ms))
        p = listpack_next(lp, listpack_next(lp, value));
    return p;
}

// ---- changing ----------------------------------------------------------------------------------

static uint8_t *append_expiry(uint8_t *lp, unsigned width, int64_t expire_ms) {
    if (width == 2) return lp;
    return listpack_append_i64(lp, expire_ms != THASH_NEVER ? expire_ms : 0);
}

static uint8_t *append(uint8_t *lp, unsigned width, struct slice field, struct slice value,
                       int64_t expire_ms) {
    lp = listpack_append(lp, field);
    lp = listpack_append(lp, value);
    return append_expiry(lp, width, expire_ms);
}

uint8_t *thash__pack_add(uint8_t *lp, unsigned width, struct slice field, struct slice value,
                         int64_t expire_ms) {
    if (expire_ms == THASH_NEVER) return append(lp, width, field, value, expire_ms);
    uint8_t *p = (uint8_t *)(uintptr_t)thash__pack_first(lp, 3, expire_ms);
    if (p == NULL) return append(lp, 3, field, value, expire_ms);
    char digits[NUM_I64_TEXT_MAX];
    struct slice expiry = slice_of(digits, num_format_i64(digits, expire_ms));
    lp = listpack_insert(lp, p, field, &p);
    lp = listpack_insert(lp, listpack_next(lp, p), value, &p);
    return listpack_insert(lp, listpack_next(lp, p), expiry, NULL);
}

/** Takes a field out and puts it in again, with another value and expiry. */
static uint8_t *reinsert(uint8_t *lp, const uint8_t *at, struct slice field, struct slice value,
                         int64_t expire_ms) {
    uint8_t *p = (uint8_t *)(uintptr_t)at;
    lp = listpack_delete(lp, &p, 3);
    return thash__pack_add(lp, 3, field, value, expire_ms);
}

uint8_t *thash__pack_set(uint8_t *lp, unsigned width, struct slice field, struct slice value,
                         bool keep_expiry, int64_t now_ms, bool *created) {
    const uint8_t *at = thash__pack_find(lp, width, field), *place;
    *created = at == NULL;
    if (at == NULL) return append(lp, width, field, value, THASH_NEVER);
    int64_t expire_ms = thash__pack_expire_ms(lp, width, at, &place);
    *created = thash__is_over(expire_ms, now_ms);
    if (expire_ms != THASH_NEVER && (!keep_expiry || *created))
        return reinsert(lp, at, field, value, THASH_NEVER);
    uint8_t *p = (uint8_t *)(uintptr_t)place;
    return listpack_replace(lp, &p, value);
}

uint8_t *thash__pack_set_expire(uint8_t *lp, const uint8_t *at, struct slice field,
                                int64_t expire_ms) {
    char scratch[NUM_I64_TEXT_MAX];
    const uint8_t *place;
    if (thash__pack_expire_ms(lp, 3, at, &place) == expire_ms) return lp;
    // The value is written into the listpack that it stands in: it needs a place of its own.
    struct slice value = listpack_text(place, scratch);
    char few[128], *copy = value.n <= sizeof(few) ? few : mem_alloc(value.n);
    if (value.n != 0) memcpy(copy, value.p, value.n);
    lp = reinsert(lp, at, field, slice_of(copy, value.n), expire_ms);
    if (copy != few) mem_free(copy);
    return lp;
}

uint8_t *thash__pack_widen(const uint8_t *lp) {
    char scratch[NUM_I64_TEXT_MAX];
    uint8_t *wide = listpack_new(listpack_bytes(lp) + listpack_count(lp)); // "0" takes two bytes
    unsigned i = 0;
    for (const uint8_t *p = listpack_first(lp); p != NULL; p = listpack_next(lp, p), i++) {
        wide = listpack_append(wide, listpack_text(p, scratch));
        if (i % 2 == 1) wide = append_expiry(wide, 3, THASH_NEVER);
    }
    return wide;
}

/** Removes what is due: it stands in front. */
static bool wide_expire_parts(struct value *v, int64_t now_ms, uint32_t *budget,
                              value_part_fn *removed, void *context) {
    char scratch[NUM_I64_TEXT_MAX];
    uint8_t *lp = v->object;
    size_t count = 0;
    const uint8_t *p = listpack_first(lp), *value;
    while (p != NULL && thash__is_over(thash__pack_expire_ms(lp, 3, p, &value), now_ms)) {
        if (count > 0 && *budget == 0) break;
        removed(context, listpack_text(p, scratch));
        *budget = *budget > REMOVAL_COST ? *budget - REMOVAL_COST : 0;
        count++;
        p = listpack_next(lp, listpack_next(lp, value));
    }
    bool more = p != NULL && thash__is_over(thash__pack_expire_ms(lp, 3, p, &value), now_ms);
    if (count > 0) v->object = listpack_delete_range(lp, 0, 3 * count);
    return more;
}

// ---- what every value can do -------------------------------------------------------------------

static void pack_free(void *object) { listpack_free(object); }

static void *pack_copy(const void *object) { return listpack_copy(object); }

static size_t pack_memory(const void *object) { return listpack_memory(object); }

static size_t pack_length(const void *object) { return listpack_count(object) / 2; }

static size_t wide_length(const void *object) { return listpack_count(object) / 3; }

static int64_t wide_part_expire_ms(const void *lp) {
    const uint8_t *p = listpack_first(lp), *value;
    return p != NULL ? thash__pack_expire_ms(lp, 3, p, &value) : THASH_NEVER;
}

static void digest(const uint8_t *lp, unsigned width, struct digest *d) {
    char field[NUM_I64_TEXT_MAX], text[NUM_I64_TEXT_MAX];
    const uint8_t *value;
    for (const uint8_t *p = listpack_first(lp); p != NULL;) {
        int64_t expire_ms = thash__pack_expire_ms(lp, width, p, &value);
        thash__digest_field(d, listpack_text(p, field), listpack_text(value, text), expire_ms);
        p = listpack_next(lp, value);
        if (width == 3) p = listpack_next(lp, p);
    }
}

static void pack_digest(const void *object, struct digest *d) { digest(object, 2, d); }

static void wide_digest(const void *object, struct digest *d) { digest(object, 3, d); }

static bool is_valid(const uint8_t *lp, unsigned width) {
    char scratch[NUM_I64_TEXT_MAX];
    const uint8_t *value;
    int64_t latest_ms = 0;
    if (!listpack_is_valid(lp) || listpack_count(lp) % width != 0) return false;
    if (listpack_bytes(lp) > listpack_memory(lp)) return false;
    for (const uint8_t *p = listpack_first(lp); p != NULL;) {
        if (thash__pack_find(lp, width, listpack_text(p, scratch)) != p) return false;
        int64_t expire_ms = thash__pack_expire_ms(lp, width, p, &value);
        p = listpack_next(lp, value);
        if (width == 2) continue;
        struct listpack_item item;
        listpack_get(p, &item);
        if (!item.is_int || item.number < 0) return false;
        if (expire_ms == THASH_NEVER) expire_ms = INT64_MAX;
        if (expire_ms < latest_ms) return false;
        latest_ms = expire_ms;
        p = listpack_next(lp, p);
    }
    return true;
}

static bool pack_is_valid(const void *object) { return is_valid(object, 2); }

static bool wide_is_valid(const void *object) { return is_valid(object, 3); }

const struct value_ops thash_listpack_ops = {
    .type = ENTRY_HASH,
    .name = "listpack",
    .free = pack_free,
    .copy = pack_copy,
    .memory = pack_memory,
    .length = pack_length,
    .digest = pack_digest,
    .is_valid = pack_is_valid,
};

const struct value_ops thash_listpack_ex_ops = {
    .type = ENTRY_HASH,
    .name = "listpackex",
    .free = pack_free,
    .copy = pack_copy,
    .memory = pack_memory,
    .length = wide_length,
    .digest = wide_digest,
    .part_expire_ms = wide_part_expire_ms,
    .expire_parts = wide_expire_parts,
    .is_valid = wide_is_valid,
};
