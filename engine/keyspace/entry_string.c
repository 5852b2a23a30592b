// SPDX-License-Identifier: BSD-3-Clause
//
// String values: an integer in the payload, bytes embedded behind the key, or a blob of their own.
// The choice follows from the text alone for a fresh value; a value that was written to in place is
// "raw" from then on, as in Redis. Same thread rules as entry.c. Invariant: a blob's cap never
// exceeds its block, and values up to ENTRY_EMBED_MAX bytes are embedded unless they stand in a
// blob that once held more. Called by commands and by the keyspace's overwrite path.
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/keyspace/entry.h"
#include "engine/keyspace/entry_layout.h"

#define GROWTH_STEP_MAX ((size_t)1024 * 1024) // room that growing adds at most, bytes

/** The encoding of a fresh text; *number is set when it is an integer. */
static uint8_t encoding_for(struct slice value, int64_t *number) {
    if (value.n <= 20 && num_parse_i64(value, number)) return ENC_INT;
    if (value.n <= ENTRY_EMBSTR_MAX) return ENC_EMBSTR;
    return value.n <= ENTRY_EMBED_MAX ? ENC_RAW : ENC_BLOB;
}

static void fill_value(struct entry *e, struct slice value, int64_t number) {
    if (e->encoding == ENC_INT) {
        entry__set_payload(e, (uint64_t)number);
    } else if (e->encoding == ENC_BLOB) {
        entry__set_blob(e, blob_new(value, value.n));
    } else if (value.n != 0) {
        memcpy((char *)e + entry__value_offset(e), value.p, value.n);
    }
}

static size_t embedded_length(uint8_t encoding, size_t n) {
    return entry__has_payload(encoding) ? 0 : n;
}

struct entry *entry_new_string(struct slice key, struct slice value, int64_t expire_ms) {
    int64_t number = 0;
    uint8_t encoding = encoding_for(value, &number);
    struct entry *e = entry__make(key, encoding, embedded_length(encoding, value.n), expire_ms, 0);
    fill_value(e, value, number);
    return e;
}

struct entry *entry_new_taken(struct slice key, struct blob *from, struct slice value,
                              int64_t expire_ms) {
    ASSERT(blob_has(from, value) && value.n > ENTRY_EMBED_MAX);
    struct entry *e = entry__make(key, ENC_BLOB, 0, expire_ms, 0);
    blob_hold(from);
    from->start = (uint32_t)(value.p - from->bytes) & BLOB_START_MAX;
    from->len = value.n;
    entry__set_blob(e, from);
    return e;
}

struct entry *entry_new_int(struct slice key, int64_t value, int64_t expire_ms) {
    struct entry *e = entry__make(key, ENC_INT, 0, expire_ms, 0);
    entry__set_payload(e, (uint64_t)value);
    return e;
}

struct entry *entry_new_raw(struct slice key, size_t len, int64_t expire_ms) {
    if (len > ENTRY_EMBED_MAX) {
        struct entry *e = entry__make(key, ENC_BLOB, 0, expire_ms, 0);
        entry__set_blob(e, blob_new_zeroed(len, len));
        return e;
    }
    struct entry *e = entry__make(key, ENC_RAW, len, expire_ms, 0);
    memset((char *)e + entry__value_offset(e), 0, len);
    return e;
}

struct slice entry_string(const struct entry *e, char scratch[NUM_I64_TEXT_MAX]) {
    ASSERT(entry_has_type(e, ENTRY_STRING));
    if (e->encoding == ENC_INT) {
        return slice_of(scratch, num_format_i64(scratch, (int64_t)entry__payload(e)));
    }
    if (e->encoding == ENC_BLOB) return blob_text(entry__blob(e));
    return slice_of(entry__value(e), e->vlen);
}

struct blob *entry_string_blob(const struct entry *e) {
    return e->encoding == ENC_BLOB ? entry__blob(e) : NULL;
}

size_t entry_string_length(const struct entry *e) {
    ASSERT(entry_has_type(e, ENTRY_STRING));
    if (e->encoding == ENC_INT) return num_i64_width((int64_t)entry__payload(e));
    return e->encoding == ENC_BLOB ? entry__blob(e)->len : e->vlen;
}

bool entry_string_i64(const struct entry *e, int64_t *out) {
    ASSERT(entry_has_type(e, ENTRY_STRING));
    if (e->encoding == ENC_INT) {
        *out = (int64_t)entry__payload(e);
        return true;
    }
    char scratch[NUM_I64_TEXT_MAX];
    struct slice text = entry_string(e, scratch);
    return text.n <= 20 && num_parse_i64(text, out);
}

struct entry *entry_set_int(struct entry *e, int64_t value) {
    ASSERT(entry_has_type(e, ENTRY_STRING));
    if (e->encoding != ENC_INT) {
        if (e->encoding == ENC_BLOB) blob_drop(entry__blob(e));
        e = entry__reshape(e, ENC_INT, 0, entry_expire_ms(e), 0);
    }
    entry__set_payload(e, (uint64_t)value);
    return e;
}

struct entry *entry_set_string(struct entry *e, struct slice value) {
    ASSERT(entry_has_type(e, ENTRY_STRING));
    int64_t expire_ms = entry_expire_ms(e);
    if (entry_try_overwrite(e, value, expire_ms)) return e;
    if (e->encoding == ENC_BLOB) blob_drop(entry__blob(e));
    int64_t number = 0;
    uint8_t encoding = encoding_for(value, &number);
    e = entry__reshape(e, encoding, embedded_length(encoding, value.n), expire_ms, 0);
    fill_value(e, value, number);
    return e;
}

/** Overwrites one blob's text by another that fits and does not leave most of it unused. */
static bool try_overwrite_blob(struct entry *e, struct slice value, int64_t expire_ms) {
    struct blob *b = entry__blob(e);
    if ((entry_expire_ms(e) != ENTRY_NO_EXPIRE) != (expire_ms != ENTRY_NO_EXPIRE)) return false;
    if (value.n > b->cap || value.n <= b->cap / 2) return false;
    if (blob_is_shared(b)) return false;
    b->start = 0;
    memcpy(b->bytes, value.p, value.n);
    b->len = value.n;
    struct entry *same = entry_with_expire(e, expire_ms);
    ASSERT(same == e);
    return true;
}

bool entry_try_overwrite(struct entry *e, struct slice value, int64_t expire_ms) {
    ASSERT(entry_has_type(e, ENTRY_STRING));
    int64_t number = 0;
    uint8_t encoding = encoding_for(value, &number);
    if ((encoding == ENC_BLOB) != (e->encoding == ENC_BLOB)) return false;
    if (encoding == ENC_BLOB) return try_overwrite_blob(e, value, expire_ms);
    size_t vlen = embedded_length(encoding, value.n);
    uint8_t flags = e->flags & (ENTRY_LONG_KEY | ENTRY_EPOCH);
    if (expire_ms != ENTRY_NO_EXPIRE) flags |= ENTRY_EXPIRES;
    if (likely(encoding == e->encoding && vlen == e->vlen && flags == e->flags)) {
        if (flags & ENTRY_EXPIRES) memcpy((char *)e + sizeof(*e), &expire_ms, sizeof(expire_ms));
        fill_value(e, value, number);
        return true;
    }
    if (!entry__fits(e, entry__key_offset(flags, encoding) + entry_key(e).n + vlen)) return false;
    struct entry *same = entry__reshape(e, encoding, vlen, expire_ms, 0);
    ASSERT(same == e);
    fill_value(e, value, number);
    return true;
}

static size_t grown_room(size_t len) {
    return len < GROWTH_STEP_MAX ? len * 2 : len + GROWTH_STEP_MAX;
}

/** A blob that only this entry uses: somebody else's bytes are copied, as far as they are kept. */
static struct blob *own_blob(struct entry *e, size_t kept, size_t room) {
    struct blob *b = entry__blob(e);
    struct blob *fresh = blob_new_zeroed(kept, room);
    memcpy(fresh->bytes, b->bytes + b->start, kept);
    blob_drop(b);
    entry__set_blob(e, fresh);
    return fresh;
}

static void resize_blob(struct entry *e, size_t len) {
    struct blob *b = entry__blob(e);
    size_t old = b->len, room = blob_room(b);
    // Where most of it is new, zeroed memory from the allocator is cheaper than clearing.
    if (blob_is_shared(b) || (len > room && len / 2 > old && !b->mapped)) {
        b = own_blob(e, old < len ? old : len, len > room ? grown_room(len) : len);
        b->len = len;
        return;
    }
    bool wasteful = len < room / 4;
    if (wasteful) b->len = len;
    if (len > room || wasteful) {
        b = blob_resize(b, b->start + (wasteful ? len : grown_room(len)));
        entry__set_blob(e, b);
    }
    // What a mapping grew by is zero.
    size_t clear = b->mapped && len > room ? room : len;
    if (clear > old) memset(b->bytes + b->start + old, 0, clear - old);
    b->len = len;
}

/** Embedded or integer text becomes a blob with room to grow. */
static struct entry *move_to_blob(struct entry *e, struct slice text, size_t len) {
    size_t kept = text.n < len ? text.n : len;
    struct blob *b = blob_new_zeroed(len, grown_room(len));
    memcpy(b->bytes, text.p, kept);
    e = entry__reshape(e, ENC_BLOB, 0, entry_expire_ms(e), 0);
    entry__set_blob(e, b);
    return e;
}

struct entry *entry_string_resize(struct entry *e, size_t len) {
    ASSERT(entry_has_type(e, ENTRY_STRING));
    if (e->encoding == ENC_BLOB) {
        resize_blob(e, len);
        return e;
    }
    char scratch[NUM_I64_TEXT_MAX];
    struct slice text = entry_string(e, scratch);
    if (len > ENTRY_EMBED_MAX) return move_to_blob(e, text, len);
    if (e->encoding == ENC_INT) {
        e = entry__reshape(e, ENC_RAW, len, entry_expire_ms(e), 0);
        memcpy(entry_string_bytes(e), text.p, text.n < len ? text.n : len);
    } else if (entry__value_offset(e) + len > mem_usable(e)) {
        size_t room = len + len / 2 < ENTRY_EMBED_MAX ? len + len / 2 : ENTRY_EMBED_MAX;
        e = mem_realloc(e, entry__value_offset(e) + room);
    }
    e->encoding = ENC_RAW;
    e->vlen = (uint16_t)len;
    if (len > text.n) memset(entry_string_bytes(e) + text.n, 0, len - text.n);
    return e;
}

size_t entry_string_room(const struct entry *e) {
    if (!entry_string_is_writable(e)) return 0;
    if (e->encoding == ENC_BLOB) return blob_room(entry__blob(e));
    size_t room = mem_usable(e) - entry__value_offset(e);
    return room < ENTRY_EMBED_MAX ? room : ENTRY_EMBED_MAX;
}

struct entry *entry_string_reserve(struct entry *e, size_t room) {
    size_t len = entry_string_length(e);
    ASSERT(len <= room);
    if (entry_string_room(e) >= room) return e;
    if (e->encoding == ENC_BLOB) {
        struct blob *b = entry__blob(e);
        if (blob_is_shared(b))
            own_blob(e, len, room)->len = len;
        else
            entry__set_blob(e, blob_resize(b, b->start + room));
        return e;
    }
    char scratch[NUM_I64_TEXT_MAX];
    if (room > ENTRY_EMBED_MAX) {
        struct blob *b = blob_new(entry_string(e, scratch), room);
        e = entry__reshape(e, ENC_BLOB, 0, entry_expire_ms(e), 0);
        entry__set_blob(e, b);
        return e;
    }
    e = entry_string_resize(e, len);
    if (entry_string_room(e) < room) e = mem_realloc(e, entry__value_offset(e) + room);
    return e;
}

bool entry_string_is_writable(const struct entry *e) {
    if (e->encoding == ENC_BLOB) return !blob_is_shared(entry__blob(e));
    return e->encoding == ENC_RAW;
}

char *entry_string_bytes(struct entry *e) {
    ASSERT(entry_string_is_writable(e));
    if (e->encoding == ENC_BLOB) return entry__blob(e)->bytes + entry__blob(e)->start;
    return (char *)e + entry__value_offset(e);
}
