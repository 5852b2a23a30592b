// SPDX-License-Identifier: BSD-3-Clause
//
// Hashes that are made from a snapshot: many fields, each of which must be a new one. When a
// listpack becomes a table is what Redis does when it loads (rdb.c of 7.2 and 7.4). No state; the
// thread that makes the hash. Invariant: what thash_load() has added is as valid as what
// thash_set() makes. Called by the loader of values only.
#include "engine/base/assert.h"
#include "engine/types/t_hash.h"
#include "engine/types/t_hash_layout.h"

struct value thash_load_begin(size_t fields, bool expires, const struct value_limits *limits) {
    if (limits->hash_max_listpack_entries < 0 ||
        fields > (uint64_t)limits->hash_max_listpack_entries)
        return (struct value){ENC_HASH_HASHTABLE, thash__table_new()};
    struct value v = thash_new();
    if (expires) v.encoding = ENC_HASH_LISTPACK_EX; // empty, it is the same bytes
    return v;
}

bool thash_load_expect(struct value v, size_t expected, size_t most) {
    if (v.encoding != ENC_HASH_HASHTABLE) return true;
    return hashtable_expect(&((struct thash__table *)v.object)->fields, expected, most);
}

static bool fits(const uint8_t *lp, const struct thash_loaded *f,
                 const struct value_limits *limits) {
    return (int64_t)f->field.n <= limits->hash_max_listpack_value &&
           (int64_t)f->value.n <= limits->hash_max_listpack_value &&
           listpack_has_room(lp, f->field.n + f->value.n + 3 * LISTPACK_NUMBER_BOUND);
}

static bool table_load(struct thash__table *t, const struct thash_loaded *fields, size_t n) {
    uint64_t hashes[THASH_WINDOW];
    for (size_t i = 0; i < n; i++) {
        hashes[i] = hashtable_hash(fields[i].field);
        hashtable_prefetch(&t->fields, hashes[i]);
    }
    for (size_t i = 0; i < n; i++) {
        const struct thash_loaded *f = &fields[i];
        if (hashtable_find_hashed(&t->fields, f->field, hashes[i]) != NULL) return false;
        thash__table_add(t, f->field, f->value, f->expire_ms, hashes[i]);
    }
    return true;
}

bool thash_load(struct value *v, const struct thash_loaded *fields, size_t n,
                const struct value_limits *limits) {
    ASSERT(n <= THASH_WINDOW);
    size_t i = 0;
    for (; i < n && v->encoding != ENC_HASH_HASHTABLE; i++) {
        const struct thash_loaded *f = &fields[i];
        unsigned width = thash__width(*v);
        ASSERT(width == 3 || f->expire_ms == THASH_NEVER);
        if (!fits(v->object, f, limits)) {
            thash__to_table(v);
            break;
        }
        if (thash__pack_find(v->object, width, f->field) != NULL) return false;
        v->object = thash__pack_add(v->object, width, f->field, f->value, f->expire_ms);
    }
    return i == n || table_load(v->object, fields + i, n - i);
}

void thash_load_settle(struct value *v, const struct value_limits *limits) {
    if (v->encoding == ENC_HASH_HASHTABLE) return;
    if ((int64_t)value_length(*v) > limits->hash_max_listpack_entries) thash__to_table(v);
}

void thash_make_table(struct value *v) {
    if (v->encoding != ENC_HASH_HASHTABLE) thash__to_table(v);
}
