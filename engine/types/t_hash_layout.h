// SPDX-License-Identifier: BSD-3-Clause
//
// What the files of the hash type share: the block of a field in a large hash, the large hash, and
// the calls by encoding. Included by t_hash*.c only, same thread rules as t_hash.h. Invariant:
// these functions alone know how a block is laid out.
//
//   short   | flen (0-247) | vlen | field | value |
//   general | 248 + flags | flen (1 or 4) | vlen (1 or 4) | expire_ms (8, if any) | field | value |
#ifndef TORC_ENGINE_TYPES_T_HASH_LAYOUT_H
#define TORC_ENGINE_TYPES_T_HASH_LAYOUT_H

#include "engine/types/t_hash.h"

enum {
    THASH__GENERAL = 248,
    THASH__EXPIRES = 1,
    THASH__LONG_FIELD = 2,
    THASH__LONG_VALUE = 4,
};

/** A field's block, read. */
struct thash__field {
    struct slice name, value;
    int64_t expire_ms; // or THASH_NEVER
};

static inline uint32_t thash__length(const uint8_t **p, bool is_long) {
    uint32_t n = **p;
    if (is_long) memcpy(&n, *p, sizeof(n));
    *p += is_long ? sizeof(n) : 1;
    return n;
}

static inline void thash__read(const void *block, struct thash__field *f) {
    const uint8_t *p = block;
    f->expire_ms = THASH_NEVER;
    if (p[0] < THASH__GENERAL) {
        f->name = slice_of(p + 2, p[0]);
        f->value = slice_of(p + 2 + p[0], p[1]);
        return;
    }
    uint8_t flags = *p++;
    uint32_t flen = thash__length(&p, (flags & THASH__LONG_FIELD) != 0);
    uint32_t vlen = thash__length(&p, (flags & THASH__LONG_VALUE) != 0);
    if (flags & THASH__EXPIRES) {
        memcpy(&f->expire_ms, p, sizeof(f->expire_ms));
        p += sizeof(f->expire_ms);
    }
    f->name = slice_of(p, flen);
    f->value = slice_of(p + flen, vlen);
}

/**
 * A large hash. Its walk (expire_parts) goes round all fields now and then to remove what is due:
 * what it has not met yet is not earlier than min_ms, what it has met, or was set since it began,
 * not earlier than walk_min_ms.
 */
struct thash__table {
    struct hashtable fields;
    size_t blocks_memory; // of all fields' blocks
    size_t expiring;      // fields that have an expiry
    int64_t min_ms;       // no field expires before this; INT64_MAX: none does
    uint64_t walk_cursor; // 0: no walk has begun
    int64_t walk_min_ms;
    int64_t rest_until_ms; // no walk begins before this
};

static inline bool thash__is_over(int64_t expire_ms, int64_t now_ms) {
    return expire_ms >= 0 && expire_ms < now_ms;
}

// ---- listpacks: `width` is 2, or 3 with expiries -----------------------------------------------

static inline unsigned thash__width(struct value v) {
    return v.encoding == ENC_HASH_LISTPACK_EX ? 3 : 2;
}
/** The place of a field, or NULL. */
const uint8_t *thash__pack_find(const uint8_t *lp, unsigned width, struct slice field);
/** The expiry of the field at that place, and the place of its value. */
int64_t thash__pack_expire_ms(const uint8_t *lp, unsigned width, const uint8_t *at,
                              const uint8_t **value);
/** Sets a field; returns the listpack's place. *created tells whether it is new. */
uint8_t *thash__pack_set(uint8_t *lp, unsigned width, struct slice field, struct slice value,
                         bool keep_expiry, int64_t now_ms, bool *created);
/** Adds a field that is not there, where it belongs. */
uint8_t *thash__pack_add(uint8_t *lp, unsigned width, struct slice field, struct slice value,
                         int64_t expire_ms);
/** Changes the expiry of the field at that place (width 3). */
uint8_t *thash__pack_set_expire(uint8_t *lp, const uint8_t *at, struct slice field,
                                int64_t expire_ms);
/** The first field that a reader sees (width 3: those whose time is over come first), or NULL. */
const uint8_t *thash__pack_first(const uint8_t *lp, unsigned width, int64_t now_ms);
/** A copy with expiries: none. */
uint8_t *thash__pack_widen(const uint8_t *lp);

// ---- tables ------------------------------------------------------------------------------------

struct thash__table *thash__table_new(void);
bool thash__table_set(struct thash__table *t, struct slice field, struct slice value,
                      bool keep_expiry, int64_t now_ms);
/** Adds a field that is not there. */
void thash__table_add(struct thash__table *t, struct slice field, struct slice value,
                      int64_t expire_ms, uint64_t hash);
void thash__table_set_expire(struct thash__table *t, struct slice field, int64_t expire_ms);
/** Takes the field out. */
void thash__table_remove(struct thash__table *t, struct slice field);

/** Converts a listpack. */
void thash__to_table(struct value *v);

/** Mixes one field into the digest of a hash, the same way whatever the encoding. */
void thash__digest_field(struct digest *d, struct slice field, struct slice value,
                         int64_t expire_ms);

#endif
