// SPDX-License-Identifier: BSD-3-Clause
//
// Hashes: from a call to the encoding that serves it, and from one encoding to the next. Owns no
// state; the thread that owns the value. A hash goes from listpack to table when it gets more
// fields, or a longer text, than the limits say, from the narrow listpack to the wide one when a
// field gets its first expiry, and never back (Redis 7.4's t_hash.c). Invariant: no text that is
// passed in is the hash's own. Called by commands and by whoever builds hashes.
#include "engine/types/t_hash.h"

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/types/t_hash_layout.h"

struct value thash_new(void) {
    return (struct value){ENC_HASH_LISTPACK, listpack_new(LISTPACK_MIN_BYTES)};
}

static struct value new_table(void) {
    return (struct value){ENC_HASH_HASHTABLE, thash__table_new()};
}

static bool any_too_long(const struct slice *texts, size_t n, const struct value_limits *limits) {
    for (size_t i = 0; i < n; i++)
        if ((int64_t)texts[i].n > limits->hash_max_listpack_value) return true;
    return false;
}

/** Whether a listpack of `bytes` must not get these fields and values. */
static bool too_large(size_t bytes, const struct slice *texts, size_t n,
                      const struct value_limits *limits) {
    if ((int64_t)(n / 2) > limits->hash_max_listpack_entries) return true;
    if (any_too_long(texts, n, limits)) return true;
    for (size_t i = 0; i < n; i++) bytes += texts[i].n;
    return bytes >= LISTPACK_MAX_BYTES;
}

struct value thash_new_for(const struct slice *texts, size_t n, const struct value_limits *limits) {
    if (too_large(LISTPACK_MIN_BYTES, texts, n, limits)) return new_table();
    size_t room = LISTPACK_MIN_BYTES;
    for (size_t i = 0; i < n; i++) room += listpack_element_bytes(texts[i]);
    return (struct value){ENC_HASH_LISTPACK, listpack_new(room)};
}

void thash__to_table(struct value *v) {
    char field[NUM_I64_TEXT_MAX], text[NUM_I64_TEXT_MAX];
    unsigned width = thash__width(*v);
    uint8_t *lp = v->object;
    struct thash__table *t = thash__table_new();
    const uint8_t *value;
    for (const uint8_t *p = listpack_first(lp); p != NULL;) {
        int64_t expire_ms = thash__pack_expire_ms(lp, width, p, &value);
        struct slice name = listpack_text(p, field);
        thash__table_add(t, name, listpack_text(value, text), expire_ms, hashtable_hash(name));
        p = listpack_next(lp, value);
        if (width == 3) p = listpack_next(lp, p);
    }
    listpack_free(lp);
    *v = (struct value){ENC_HASH_HASHTABLE, t};
}

void thash_prepare(struct value *v, const struct slice *texts, size_t n,
                   const struct value_limits *limits) {
    if (v->encoding == ENC_HASH_HASHTABLE) return;
    if (too_large(listpack_bytes(v->object), texts, n, limits)) thash__to_table(v);
}

void thash_look_ahead(struct value v, const struct slice *texts, size_t n, size_t step) {
    uint64_t hashes[THASH_WINDOW];
    if (v.encoding != ENC_HASH_HASHTABLE || n <= step) return;
    const struct hashtable *t = &((const struct thash__table *)v.object)->fields;
    size_t count = 0;
    for (size_t i = 0; i < n && count < THASH_WINDOW; i += step) {
        hashes[count] = hashtable_hash(texts[i]);
        hashtable_prefetch(t, hashes[count++]);
    }
    for (size_t i = 0; i < count; i++) hashtable_prefetch_element(t, hashes[i]);
}

// ---- fields ------------------------------------------------------------------------------------

bool thash_get(struct value v, struct slice field, int64_t now_ms, struct slice *value,
               char scratch[NUM_I64_TEXT_MAX]) {
    if (v.encoding == ENC_HASH_HASHTABLE) {
        const struct thash__table *t = v.object;
        const void *block = hashtable_find(&t->fields, field);
        if (block == NULL) return false;
        struct thash__field f;
        thash__read(block, &f);
        *value = f.value;
        return !thash__is_over(f.expire_ms, now_ms);
    }
    unsigned width = thash__width(v);
    const uint8_t *at = thash__pack_find(v.object, width, field);
    if (at == NULL) return false;
    const uint8_t *place;
    if (thash__is_over(thash__pack_expire_ms(v.object, width, at, &place), now_ms)) return false;
    *value = listpack_text(place, scratch);
    return true;
}

/** The same as it stands there, also when it is over. */
static int64_t expire_ms_of(struct value v, struct slice field) {
    if (v.encoding == ENC_HASH_HASHTABLE) {
        const struct thash__table *t = v.object;
        const void *block = hashtable_find(&t->fields, field);
        if (block == NULL) return THASH_ABSENT;
        struct thash__field f;
        thash__read(block, &f);
        return f.expire_ms;
    }
    unsigned width = thash__width(v);
    const uint8_t *at = thash__pack_find(v.object, width, field), *place;
    return at != NULL ? thash__pack_expire_ms(v.object, width, at, &place) : THASH_ABSENT;
}

int64_t thash_expire_ms(struct value v, struct slice field, int64_t now_ms) {
    int64_t expire_ms = expire_ms_of(v, field);
    return thash__is_over(expire_ms, now_ms) ? THASH_ABSENT : expire_ms;
}

bool thash_set(struct value *v, struct slice field, struct slice value, bool keep_expiry,
               int64_t now_ms, const struct value_limits *limits) {
    const struct slice texts[] = {field, value};
    if (v->encoding != ENC_HASH_HASHTABLE && any_too_long(texts, 2, limits)) thash__to_table(v);
    if (v->encoding == ENC_HASH_HASHTABLE)
        return thash__table_set(v->object, field, value, keep_expiry, now_ms);
    bool created;
    unsigned width = thash__width(*v);
    v->object = thash__pack_set(v->object, width, field, value, keep_expiry, now_ms, &created);
    if (created && (int64_t)(listpack_count(v->object) / width) > limits->hash_max_listpack_entries)
        thash__to_table(v);
    return created;
}

void thash_set_expire(struct value *v, struct slice field, int64_t expire_ms) {
    ASSERT(expire_ms == THASH_NEVER || expire_ms > 0);
    if (v->encoding == ENC_HASH_HASHTABLE) {
        thash__table_set_expire(v->object, field, expire_ms);
        return;
    }
    if (v->encoding == ENC_HASH_LISTPACK) {
        if (expire_ms == THASH_NEVER) return;
        uint8_t *wide = thash__pack_widen(v->object);
        listpack_free(v->object);
        *v = (struct value){ENC_HASH_LISTPACK_EX, wide};
    }
    const uint8_t *at = thash__pack_find(v->object, 3, field);
    ASSERT(at != NULL);
    v->object = thash__pack_set_expire(v->object, at, field, expire_ms);
}

enum thash_found thash_remove(struct value *v, struct slice field, int64_t now_ms) {
    int64_t expire_ms;
    if (v->encoding == ENC_HASH_HASHTABLE) {
        expire_ms = expire_ms_of(*v, field);
        if (expire_ms != THASH_ABSENT) thash__table_remove(v->object, field);
    } else {
        unsigned width = thash__width(*v);
        const uint8_t *at = thash__pack_find(v->object, width, field), *place;
        if (at == NULL) return THASH_MISSING;
        uint8_t *p = (uint8_t *)(uintptr_t)at;
        expire_ms = thash__pack_expire_ms(v->object, width, at, &place);
        v->object = listpack_delete(v->object, &p, width);
    }
    if (expire_ms == THASH_ABSENT) return THASH_MISSING;
    return thash__is_over(expire_ms, now_ms) ? THASH_EXPIRED : THASH_PRESENT;
}

bool thash_may_hide(struct value v, int64_t now_ms) {
    if (v.encoding == ENC_HASH_LISTPACK) return false;
    if (v.encoding == ENC_HASH_HASHTABLE) // not the part's time, which includes the walk's rests
        return ((const struct thash__table *)v.object)->min_ms < now_ms;
    return thash__is_over(value_part_expire_ms(v), now_ms);
}

bool thash_drop_expired(struct value *v, struct slice field, int64_t now_ms) {
    if (!thash_may_hide(*v, now_ms)) return false;
    if (!thash__is_over(expire_ms_of(*v, field), now_ms)) return false;
    thash_remove(v, field, now_ms);
    return true;
}

void thash__digest_field(struct digest *d, struct slice field, struct slice value,
                         int64_t expire_ms) {
    struct digest one = {0};
    digest_add(&one, field);
    digest_add(&one, value);
    if (expire_ms != THASH_NEVER) digest_add(&one, slice_of(&expire_ms, sizeof(expire_ms)));
    digest_join(d, &one);
}
