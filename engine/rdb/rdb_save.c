// SPDX-License-Identifier: BSD-3-Clause
//
// Writing RDB's primitives, and values step by step whatever their kind: which form a value gets in
// which version, how a text is written, how long ones are spread over steps. What each kind
// consists of is rdb_save_collection.c's and rdb_save_stream.c's. Runs where rdb_save.h says.
// Invariant: what has been appended to the buffer is never changed any more, so that it may be
// given away between two steps. Called for DUMP, MIGRATE and snapshots.
#include "engine/rdb/rdb_save.h"

#include <lzf.h>
#include <string.h>

#include "engine/base/num.h"
#include "engine/encoding/intset.h"
#include "engine/rdb/rdb_saving.h"

#define INTEGER_TEXT_MAX 11 // longer texts are no integers of 32 bits
#define PACK_MIN_BYTES   20 // texts up to here are not compressed ...
#define PACK_MIN_GAIN    4  // ... and others if they become shorter by so much
#define LENGTH_MAX       9  // bytes of a length

// ---- primitives --------------------------------------------------------------------------------

/** Writes a length to p, which has room for LENGTH_MAX; returns its bytes. */
static size_t format_length(char *p, uint64_t length) {
    if (length < 1 << 6) {
        p[0] = (char)length;
        return 1;
    }
    if (length < 1 << 14) {
        p[0] = (char)(RDB_LENGTH_14 << 6 | length >> 8);
        p[1] = (char)length;
        return 2;
    }
    if (length <= UINT32_MAX) {
        uint32_t big = __builtin_bswap32((uint32_t)length);
        p[0] = (char)RDB_LENGTH_32;
        memcpy(p + 1, &big, sizeof big);
        return 1 + sizeof big;
    }
    uint64_t big = __builtin_bswap64(length);
    p[0] = (char)RDB_LENGTH_64;
    memcpy(p + 1, &big, sizeof big);
    return 1 + sizeof big;
}

void rdb_save_length(struct buf *out, uint64_t length) {
    char *p = buf_reserve(out, LENGTH_MAX);
    out->len += format_length(p, length);
}

void rdb__save_u64(struct buf *out, uint64_t number) { buf_append(out, &number, sizeof number); }

void rdb__save_double(struct buf *out, double number) { buf_append(out, &number, sizeof number); }

static void save_special(struct buf *out, unsigned form) {
    buf_append_char(out, (char)(RDB_LENGTH_SPECIAL << 6 | form));
}

/** As an integer of up to 32 bits; false: it is none. */
static bool save_integer(struct buf *out, int64_t number) {
    unsigned form, bytes;
    if (number == (int8_t)number) {
        form = RDB_STRING_INT8;
        bytes = 1;
    } else if (number == (int16_t)number) {
        form = RDB_STRING_INT16;
        bytes = 2;
    } else if (number == (int32_t)number) {
        form = RDB_STRING_INT32;
        bytes = 4;
    } else {
        return false;
    }
    save_special(out, form);
    buf_append(out, &number, bytes);
    return true;
}

void rdb_save_i64_string(struct buf *out, int64_t number) {
    char text[NUM_I64_TEXT_MAX];
    if (save_integer(out, number)) return;
    rdb__save_plain(out, slice_of(text, num_format_i64(text, number)));
}

void rdb__save_plain(struct buf *out, struct slice text) {
    rdb_save_length(out, text.n);
    buf_append(out, text.p, text.n);
}

static void save_packed_head(struct buf *out, size_t packed, size_t bytes) {
    save_special(out, RDB_STRING_LZF);
    rdb_save_length(out, packed);
    rdb_save_length(out, bytes);
}

void rdb__save_packed(struct buf *out, struct slice packed, size_t bytes) {
    save_packed_head(out, packed.n, bytes);
    buf_append(out, packed.p, packed.n);
}

/** Compresses a text where it is going to stand; false: nothing would be gained. */
static bool save_compressed(struct buf *out, struct slice text) {
    size_t most = text.n - PACK_MIN_GAIN;
    char *room = buf_reserve(out, 1 + 2 * LENGTH_MAX + most);
    char *packed = room + 1 + 2 * LENGTH_MAX;
    unsigned n = lzf_compress(text.p, (unsigned)text.n, packed, (unsigned)most);
    if (n == 0) return false;
    save_packed_head(out, n, text.n);
    memmove(out->p + out->len, packed, n);
    out->len += n;
    return true;
}

void rdb_save_string(struct buf *out, const struct rdb_save *how, struct slice text) {
    int64_t number;
    if (text.n <= INTEGER_TEXT_MAX && num_parse_i64(text, &number) && save_integer(out, number))
        return;
    if (how->compress && text.n > PACK_MIN_BYTES && text.n <= RDB__PACK_MAX &&
        save_compressed(out, text))
        return;
    rdb__save_plain(out, text);
}

// ---- long texts --------------------------------------------------------------------------------

/** A piece that cannot be compressed, in LZF's form: runs of up to 32 bytes as they are. */
static void pack_as_is(struct buf *packed, struct slice piece) {
    for (size_t at = 0, n; at < piece.n; at += n) {
        n = piece.n - at < 32 ? piece.n - at : 32;
        buf_append_char(packed, (char)(n - 1));
        buf_append(packed, piece.p + at, n);
    }
}

/**
 * Compresses the next piece of a long text. What LZF makes of pieces may stand one behind the
 * other. Gives up when nothing has been gained so far: what begins so seldom becomes better.
 */
static void pack_piece(struct rdb__saving *w) {
    struct rdb__long *t = &w->text;
    struct slice text = w->queue[0];
    size_t n = text.n - t->at < RDB__LONG ? text.n - t->at : RDB__LONG;
    char *room = buf_reserve(&t->packed, n);
    unsigned packed = lzf_compress(text.p + t->at, (unsigned)n, room, (unsigned)n - 1);
    if (packed > 0)
        t->packed.len += packed;
    else
        pack_as_is(&t->packed, slice_of(text.p + t->at, n));
    t->at += n;
    w->worked += n;
    bool gains = t->packed.len + PACK_MIN_GAIN <= t->at;
    if (t->at < text.n && gains) return;
    if (!gains) buf_free(&t->packed);
    t->packing = false;
    t->at = 0;
}

/** Writes a piece of the text in front of the queue; takes it out at its end. */
static void save_long(struct rdb_saving *s, struct buf *out) {
    struct rdb__saving *w = rdb__state(s);
    struct rdb__long *t = &w->text;
    struct slice text = w->queue[0];
    if (!t->begun) {
        t->begun = true;
        t->packing = s->how->compress && text.n <= RDB__PACK_MAX;
    }
    if (t->packing) {
        pack_piece(w);
        return;
    }
    struct slice all = t->packed.len > 0 ? slice_of(t->packed.p, t->packed.len) : text;
    if (t->at == 0 && all.p == text.p) rdb_save_length(out, text.n);
    if (t->at == 0 && all.p != text.p) save_packed_head(out, all.n, text.n);
    size_t n = all.n - t->at < RDB__LONG ? all.n - t->at : RDB__LONG;
    buf_append(out, all.p + t->at, n);
    t->at += n;
    if (t->at < all.n) return;
    buf_free(&t->packed);
    *t = (struct rdb__long){.begun = false};
    w->queue[0] = w->queue[1];
    w->queued--;
}

void rdb__put(struct rdb_saving *s, struct buf *out, struct slice text) {
    struct rdb__saving *w = rdb__state(s);
    if (likely(w->queued == 0 && text.n <= RDB__LONG)) {
        rdb_save_string(out, s->how, text);
        return;
    }
    ASSERT(w->queued < 2);
    w->queue[w->queued++] = text;
}

void rdb__put_item(struct rdb_saving *s, struct buf *out, const struct listpack_item *item) {
    if (item->is_int) {
        ASSERT(rdb__state(s)->queued == 0);
        rdb_save_i64_string(out, item->number);
    } else {
        rdb__put(s, out, item->text);
    }
}

void rdb__put_score(struct rdb_saving *s, struct buf *out, double score) {
    struct rdb__saving *w = rdb__state(s);
    if (likely(w->queued == 0)) {
        rdb__save_double(out, score);
    } else {
        w->has_score = true;
        w->score = score;
    }
}

// ---- values ------------------------------------------------------------------------------------

const char *rdb_save_obstacle(const struct entry *e, const struct rdb_save *how) {
    if (how->version >= 12 || entry_type(e) != ENTRY_HASH) return NULL;
    return thash_min_expire_ms(entry_value(e)) == THASH_NEVER ? NULL : "hash field expiration";
}

static uint8_t hash_type(struct value v, int version) {
    bool expires = thash_min_expire_ms(v) != THASH_NEVER;
    if (v.encoding == ENC_HASH_HASHTABLE) return expires ? RDB_HASH_METADATA : RDB_HASH;
    if (v.encoding == ENC_HASH_LISTPACK_EX && version >= 12) return RDB_HASH_LISTPACK_EX;
    return version >= 10 ? RDB_HASH_LISTPACK : RDB_HASH_ZIPLIST;
}

/** Whether a list has an item that a ziplist cannot be relied on to hold. */
static bool has_plain_node(struct value v) {
    if (v.encoding != ENC_LIST_QUICKLIST) return false;
    const struct quicklist_node *node = ((const struct quicklist *)v.object)->head;
    while (node != NULL && !node->plain) node = node->next;
    return node != NULL;
}

uint8_t rdb_save_type(const struct entry *e, const struct rdb_save *how) {
    int version = how->version;
    struct value v = {0};
    if (e->encoding > ENC_BLOB) v = entry_value(e);
    switch (e->encoding) {
    case ENC_LIST_LISTPACK:
    case ENC_LIST_QUICKLIST:
        if (version >= 10) return RDB_LIST_QUICKLIST_2;
        return has_plain_node(v) ? RDB_LIST : RDB_LIST_QUICKLIST;
    case ENC_SET_INTSET: return RDB_SET_INTSET;
    case ENC_SET_LISTPACK: return version >= 11 ? RDB_SET_LISTPACK : RDB_SET;
    case ENC_SET_HASHTABLE: return RDB_SET;
    case ENC_HASH_LISTPACK:
    case ENC_HASH_LISTPACK_EX:
    case ENC_HASH_HASHTABLE: return hash_type(v, version);
    case ENC_ZSET_LISTPACK: return version >= 10 ? RDB_ZSET_LISTPACK : RDB_ZSET_ZIPLIST;
    case ENC_ZSET_SKIPLIST: return RDB_ZSET_2;
    case ENC_STREAM:
        if (version >= 11) return RDB_STREAM_LISTPACKS_3;
        return version >= 10 ? RDB_STREAM_LISTPACKS_2 : RDB_STREAM_LISTPACKS;
    default: ASSERT(e->encoding <= ENC_BLOB); return RDB_STRING;
    }
}

static bool save_text(struct rdb_saving *s, struct buf *out) {
    struct rdb__saving *w = rdb__state(s);
    char scratch[NUM_I64_TEXT_MAX];
    int64_t number;
    if (w->begun) return false;
    w->begun = true;
    if (s->entry->encoding == ENC_INT && entry_string_i64(s->entry, &number))
        rdb_save_i64_string(out, number);
    else
        rdb__put(s, out, entry_string(s->entry, scratch));
    return true;
}

/** The next piece of the value; false: there is none. */
static bool save_piece(struct rdb_saving *s, struct buf *out) {
    switch (entry_type(s->entry)) {
    case ENTRY_LIST: return rdb__save_list(s, out);
    case ENTRY_SET: return rdb__save_set(s, out);
    case ENTRY_ZSET: return rdb__save_zset(s, out);
    case ENTRY_HASH: return rdb__save_hash(s, out);
    case ENTRY_STREAM: return rdb__save_stream(s, out);
    default: return save_text(s, out);
    }
}

void rdb_saving_begin(struct rdb_saving *s, const struct entry *e, const struct rdb_save *how) {
    ASSERT(how->version >= 9 && how->version <= RDB_VERSION_REDIS);
    ASSERT(rdb_save_obstacle(e, how) == NULL);
    s->entry = e;
    s->how = how;
    s->type = rdb_save_type(e, how);
    memset(rdb__state(s), 0, sizeof(struct rdb__saving));
}

bool rdb_saving_step(struct rdb_saving *s, struct buf *out, size_t budget) {
    struct rdb__saving *w = rdb__state(s);
    size_t before = out->len;
    w->worked = 0;
    do {
        if (unlikely(w->queued > 0)) {
            save_long(s, out);
        } else if (unlikely(w->has_score)) {
            w->has_score = false;
            rdb__save_double(out, w->score);
        } else if (!save_piece(s, out)) {
            return false;
        }
    } while (out->len - before + w->worked < budget);
    return true;
}

void rdb_saving_end(struct rdb_saving *s) { buf_free(&rdb__state(s)->text.packed); }

void rdb_save_value(struct buf *out, const struct entry *e, const struct rdb_save *how) {
    int64_t number;
    char scratch[NUM_I64_TEXT_MAX];
    if (likely(e->encoding < ENC_BLOB)) { // most of what there is: without the state of steps
        if (e->encoding == ENC_INT && entry_string_i64(e, &number))
            rdb_save_i64_string(out, number);
        else
            rdb_save_string(out, how, entry_string(e, scratch));
        return;
    }
    struct rdb_saving s;
    rdb_saving_begin(&s, e, how);
    while (rdb_saving_step(&s, out, SIZE_MAX)) continue;
}
