// SPDX-License-Identifier: BSD-3-Clause
//
// Entries: their layout in memory, making, copying, rekeying, expiry. What concerns the value of a
// string is in entry_string.c. An entry is written by the thread that owns its keyspace; while it
// is lent for reading another thread may read all of it but the access bytes, which the owner may
// go on writing: so header fields are read and written one by one, never as one word. Invariant:
// the block of an entry is at least entry__size() bytes, a blob's at least its header and its
// capacity. Called by the keyspace, by commands and by whoever moves entries between keyspaces.
#include "engine/keyspace/entry.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/keyspace/entry_layout.h"

_Static_assert(offsetof(struct entry, encoding) == 0, "layout of the header");
_Static_assert(offsetof(struct entry, flags) == 1, "layout of the header");
_Static_assert(offsetof(struct entry, klen) == 2, "layout of the header");
_Static_assert(offsetof(struct entry, access_hi) == 3, "layout of the header");
_Static_assert(offsetof(struct entry, access_lo) == 4, "layout of the header");
_Static_assert(offsetof(struct entry, vlen) == 6, "layout of the header");
_Static_assert(ENTRY_EMBED_MAX <= UINT16_MAX, "vlen holds the length of an embedded value");

#define HAND_OVER_COST  160 // a message, and waking whom it is for
#define FREE_COST_BYTES 16  // of elements, whose freeing takes a step

_Static_assert(ENC_INT == 1 && ENC_BLOB + 1 == ENC_LIST_LISTPACK, "strings come first");

enum entry_type entry_type(const struct entry *e) { return value_type(e->encoding); }

const char *entry_encoding_name(const struct entry *e) { return value_encoding_name(e->encoding); }

/**
 * Writes header, expiry and key; payload and value are the caller's to fill in. `flags`: those that
 * do not follow from the rest.
 */
static inline void write_frame(struct entry *e, struct slice key, uint8_t encoding, size_t vlen,
                               int64_t expire_ms, uint8_t flags) {
    if (expire_ms != ENTRY_NO_EXPIRE) flags |= ENTRY_EXPIRES;
    if (key.n >= ENTRY__LONG_KEY) flags |= ENTRY_LONG_KEY;
    e->encoding = encoding;
    e->flags = flags;
    e->klen = key.n >= ENTRY__LONG_KEY ? ENTRY__LONG_KEY : (uint8_t)key.n;
    e->vlen = (uint16_t)vlen;
    if (flags & ENTRY_EXPIRES) memcpy((char *)e + sizeof(*e), &expire_ms, sizeof(expire_ms));
    size_t at = entry__key_offset(flags, encoding);
    if (flags & ENTRY_LONG_KEY) {
        uint32_t n = (uint32_t)key.n;
        memcpy((char *)e + at - sizeof(n), &n, sizeof(n));
    }
    if (key.n != 0) memmove((char *)e + at, key.p, key.n);
}

struct entry *entry__make(struct slice key, uint8_t encoding, size_t vlen, int64_t expire_ms,
                          size_t spare) {
    ASSERT(key.n <= ENTRY__KEY_MAX && vlen <= ENTRY_EMBED_MAX);
    ASSERT(vlen == 0 || !entry__has_payload(encoding));
    uint8_t flags = expire_ms != ENTRY_NO_EXPIRE ? ENTRY_EXPIRES : 0;
    if (key.n >= ENTRY__LONG_KEY) flags |= ENTRY_LONG_KEY;
    struct entry *e = mem_alloc(entry__key_offset(flags, encoding) + key.n + vlen + spare);
    entry_set_access(e, 0);
    write_frame(e, key, encoding, vlen, expire_ms, 0);
    return e;
}

bool entry__fits(const struct entry *e, size_t size) {
    if (size == entry__size(e)) return true;
    size_t usable = mem_usable(e);
    return size <= usable && (usable <= 64 || size > usable / 2);
}

struct entry *entry__reshape(struct entry *e, uint8_t encoding, size_t vlen, int64_t expire_ms,
                             size_t spare) {
    struct slice key = entry_key(e);
    uint8_t flags = e->flags & ENTRY_LONG_KEY;
    if (expire_ms != ENTRY_NO_EXPIRE) flags |= ENTRY_EXPIRES;
    if (entry__fits(e, entry__key_offset(flags, encoding) + key.n + vlen + spare)) {
        bool moved = entry__key_offset(flags, encoding) != entry__key_offset(e->flags, e->encoding);
        if (moved) {
            // The length word and the expiry are written after the key has moved: it may lie there.
            memmove((char *)e + entry__key_offset(flags, encoding), key.p, key.n);
            key.p = (const char *)e + entry__key_offset(flags, encoding);
        }
        write_frame(e, key, encoding, vlen, expire_ms, e->flags & ENTRY_EPOCH);
        return e;
    }
    struct entry *fresh = entry__make(key, encoding, vlen, expire_ms, spare);
    entry_set_access(fresh, entry_access(e));
    fresh->flags |= e->flags & ENTRY_EPOCH;
    mem_free(e);
    return fresh;
}

struct entry *entry_with_expire(struct entry *e, int64_t expire_ms) {
    if ((e->flags & ENTRY_EXPIRES) && expire_ms != ENTRY_NO_EXPIRE) {
        memcpy((char *)e + sizeof(*e), &expire_ms, sizeof(expire_ms));
        return e;
    }
    if (!(e->flags & ENTRY_EXPIRES) && expire_ms == ENTRY_NO_EXPIRE) return e;
    // Everything behind the header moves by the eight bytes of the expiry.
    size_t size = entry__size(e);
    size_t body = (e->flags & ENTRY_EXPIRES) ? sizeof(*e) + 8 : sizeof(*e);
    size_t new_body = expire_ms != ENTRY_NO_EXPIRE ? sizeof(*e) + 8 : sizeof(*e);
    struct entry *to = e;
    if (!entry__fits(e, size - body + new_body)) {
        to = mem_alloc(size - body + new_body);
        to->encoding = e->encoding;
        to->klen = e->klen;
        to->vlen = e->vlen;
        to->flags = e->flags;
        entry_set_access(to, entry_access(e));
    }
    memmove((char *)to + new_body, (char *)e + body, size - body);
    if (expire_ms != ENTRY_NO_EXPIRE) {
        to->flags |= ENTRY_EXPIRES;
        memcpy((char *)to + sizeof(*to), &expire_ms, sizeof(expire_ms));
    } else {
        to->flags &= (uint8_t)~ENTRY_EXPIRES;
    }
    if (to != e) mem_free(e);
    return to;
}

struct entry *entry_new_value(struct slice key, struct value v, int64_t expire_ms) {
    ASSERT(entry__has_object(v.encoding));
    struct entry *e = entry__make(key, v.encoding, 0, expire_ms, 0);
    entry__set_payload(e, (uint64_t)(uintptr_t)v.object);
    return e;
}

struct value entry_value(const struct entry *e) {
    ASSERT(entry__has_object(e->encoding));
    return (struct value){e->encoding, (void *)(uintptr_t)entry__payload(e)};
}

void entry_set_value(struct entry *e, struct value v) {
    ASSERT(entry__has_object(e->encoding) && value_type(v.encoding) == entry_type(e));
    e->encoding = v.encoding;
    entry__set_payload(e, (uint64_t)(uintptr_t)v.object);
}

struct entry *entry_copy(const struct entry *e, struct slice key, int64_t expire_ms) {
    struct entry *copy = entry__make(key, e->encoding, e->vlen, expire_ms, 0);
    entry_set_access(copy, entry_access(e));
    if (entry__has_object(e->encoding)) {
        entry_set_value(copy, value_copy(entry_value(e)));
    } else if (e->encoding == ENC_INT) {
        entry__set_payload(copy, entry__payload(e));
    } else if (e->encoding == ENC_BLOB) {
        const struct blob *b = entry__blob(e);
        entry__set_blob(copy, blob_new(blob_text(b), b->len));
    } else {
        memcpy((char *)copy + entry__value_offset(copy), entry__value(e), e->vlen);
    }
    return copy;
}

struct entry *entry_rekey(struct entry *e, struct slice key, int64_t expire_ms) {
    struct entry *fresh = entry__make(key, e->encoding, e->vlen, expire_ms, 0);
    entry_set_access(fresh, entry_access(e));
    if (entry__has_payload(e->encoding)) {
        entry__set_payload(fresh, entry__payload(e));
    } else {
        memcpy((char *)fresh + entry__value_offset(fresh), entry__value(e), e->vlen);
    }
    mem_free(e);
    return fresh;
}

void entry_free(struct entry *e) {
    if (e->encoding == ENC_BLOB) blob_drop(entry__blob(e));
    if (entry__has_object(e->encoding)) value_free(entry_value(e));
    mem_free(e);
}

size_t entry_outside_memory(const struct entry *e) {
    if (entry__has_object(e->encoding)) return value_memory(entry_value(e));
    return e->encoding == ENC_BLOB ? blob_memory(entry__blob(e)) : 0;
}

uint32_t entry_free_cost(const struct entry *e) {
    size_t bytes = entry_outside_memory(e);
    if (bytes >= ENTRY_BIG_FREE) return HAND_OVER_COST;
    if (!entry__has_object(e->encoding) || value_is_compact(e->encoding)) return 0;
    return (uint32_t)(bytes / FREE_COST_BYTES);
}

bool entry_is_large(const struct entry *e) {
    if (entry_outside_memory(e) >= ENTRY_BIG_FREE) return true;
    return entry__has_object(e->encoding) && value_length(entry_value(e)) > ENTRY_MANY;
}

size_t entry_memory(const struct entry *e) { return mem_usable(e) + entry_outside_memory(e); }

struct slice entry_key(const struct entry *e) {
    const char *p = (const char *)e + entry__key_offset(e->flags, e->encoding);
    if (likely(!(e->flags & ENTRY_LONG_KEY))) return slice_of(p, e->klen);
    uint32_t n;
    memcpy(&n, p - sizeof(n), sizeof(n));
    return slice_of(p, n);
}

int64_t entry_expire_ms(const struct entry *e) {
    if (!(e->flags & ENTRY_EXPIRES)) return ENTRY_NO_EXPIRE;
    int64_t expire_ms;
    memcpy(&expire_ms, (const char *)e + sizeof(*e), sizeof(expire_ms));
    return expire_ms;
}

int64_t entry_due_ms(const struct entry *e) {
    int64_t due_ms = entry_expire_ms(e);
    if (likely(!entry__has_object(e->encoding))) return due_ms;
    int64_t part_ms = value_part_expire_ms(entry_value(e));
    return part_ms >= 0 && (due_ms == ENTRY_NO_EXPIRE || part_ms < due_ms) ? part_ms : due_ms;
}

void entry_value_digest(const struct entry *e, struct digest *d) {
    char scratch[NUM_I64_TEXT_MAX];
    if (entry__has_object(e->encoding))
        value_digest(entry_value(e), d);
    else
        digest_add(d, entry_string(e, scratch));
}

void entry_digest(const struct entry *e, struct digest *d) {
    struct digest own = {0};
    int64_t expire_ms = entry_expire_ms(e);
    digest_add(&own, entry_key(e));
    digest_add(&own, slice_of(&expire_ms, sizeof(expire_ms)));
    entry_value_digest(e, &own);
    digest_join(d, &own);
}

bool entry_is_valid(const struct entry *e) {
    if (e->encoding == 0 || e->encoding >= ENC_COUNT) return false;
    if (e->flags & ~(ENTRY_EXPIRES | ENTRY_LONG_KEY | ENTRY_PARTS | ENTRY_EPOCH)) return false;
    struct slice key = entry_key(e);
    if (key.n > ENTRY__KEY_MAX) return false;
    if ((e->klen == ENTRY__LONG_KEY) != ((e->flags & ENTRY_LONG_KEY) != 0)) return false;
    if ((e->flags & ENTRY_LONG_KEY) && key.n < ENTRY__LONG_KEY) return false;
    if ((e->flags & ENTRY_EXPIRES) && entry_expire_ms(e) == ENTRY_NO_EXPIRE) return false;
    if (entry__size(e) > mem_usable(e)) return false;
    if (e->encoding == ENC_BLOB) {
        const struct blob *b = entry__blob(e);
        if (e->vlen != 0 || b == NULL || b->len > blob_room(b)) return false;
        return sizeof(*b) + b->cap <= blob_memory(b);
    }
    if (entry__has_object(e->encoding)) return e->vlen == 0 && value_is_valid(entry_value(e));
    if (e->encoding == ENC_INT) return e->vlen == 0;
    if (e->encoding == ENC_EMBSTR) return e->vlen <= ENTRY_EMBSTR_MAX;
    return e->vlen <= ENTRY_EMBED_MAX;
}
