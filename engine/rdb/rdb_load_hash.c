// SPDX-License-Identifier: BSD-3-Clause
//
// Hashes from their serialized forms: field by field, with or without expiry, or compact. Which
// encoding they get is the rule of Redis 7.2, and of 7.4 for fields that expire. Fields whose time
// is over are left out and counted. No state; the thread that loads. Invariant: a hash that is
// returned has fields, and none twice. Called by rdb_load.c.
#include "engine/rdb/rdb_load_parts.h"
#include "engine/rdb/rdb_zipmap.h"
#include "engine/types/t_hash.h"

_Static_assert(2 * THASH_WINDOW <= RDB_LOAD_TEXTS, "each field and value has its text");

#define EXPIRE_MAX ((uint64_t)0xffffffffffff) // the latest that Redis takes, ms

/** How fields are written. */
enum form {
    PLAIN,    // field, value
    ABSOLUTE, // expiry as a length (0: none), field, value
    RELATIVE, // the same, counted from 1 on from the earliest
    BEHIND,   // field, value, expiry in eight bytes (-1: none)
};

struct reading {
    struct rdb_load *load;
    struct rdb_in *in;
    enum form form;
    uint64_t earliest_ms; // RELATIVE; kept between the steps
};

static bool fail_expiry(struct rdb_in *in) {
    return rdb_in_fail(in, "a field of a hash with an expiry out of range");
}

/** The expiry in front of a field. */
static bool read_length_expiry(struct reading *r, int64_t *expire_ms) {
    uint64_t number;
    if (!rdb_in_length(r->in, &number)) return false;
    if (number > EXPIRE_MAX + 1) return fail_expiry(r->in);
    if (number != 0 && r->form == RELATIVE) number += r->earliest_ms - 1;
    if (number > EXPIRE_MAX) return fail_expiry(r->in);
    *expire_ms = number != 0 ? (int64_t)number : THASH_NEVER;
    return true;
}

static bool read_field(struct reading *r, unsigned which, struct thash_loaded *f) {
    f->expire_ms = THASH_NEVER;
    bool in_front = r->form == ABSOLUTE || r->form == RELATIVE;
    if (in_front && !read_length_expiry(r, &f->expire_ms)) return false;
    if (!rdb_load__text(r->load, r->in, 2 * which, &f->field)) return false;
    if (!rdb_load__text(r->load, r->in, 2 * which + 1, &f->value)) return false;
    if (r->form != BEHIND) return true;
    if (!rdb_in_i64(r->in, &f->expire_ms)) return false;
    if (f->expire_ms == THASH_NEVER) return true;
    return (f->expire_ms > 0 && f->expire_ms <= (int64_t)EXPIRE_MAX) || fail_expiry(r->in);
}

static bool is_over(const struct rdb_load *load, int64_t expire_ms) {
    return load->now_ms != 0 && expire_ms != THASH_NEVER && expire_ms < load->now_ms;
}

static bool read_fields(struct reading *r, struct rdb_loading *l) {
    while (l->left > 0 && !rdb_load__is_over(l, r->in)) {
        struct thash_loaded fields[THASH_WINDOW];
        unsigned count = 0;
        for (; l->left > 0 && count < THASH_WINDOW && r->load->held < RDB_LOAD__HELD_MAX;
             l->left--) {
            if (!read_field(r, count, &fields[count])) return false;
            if (is_over(r->load, fields[count].expire_ms))
                r->load->expired_fields++;
            else
                count++;
        }
        bool added = thash_load(&l->v, fields, count, r->load->limits);
        rdb_load__release(r->load);
        if (!added) return rdb_in_fail(r->in, "a field of a hash twice");
    }
    return true;
}

/** The value, if it has fields. */
static enum rdb_loaded finish(bool whole, struct value v) {
    if (whole && value_length(v) > 0) return RDB_LOADED;
    value_free(v);
    return whole ? RDB_LOAD_EMPTY : RDB_LOAD_FAILED;
}

static bool read_earliest(struct rdb_in *in, uint64_t *earliest_ms) {
    if (!rdb_in_u64(in, earliest_ms)) return false;
    return *earliest_ms <= EXPIRE_MAX + 1 || fail_expiry(in);
}

static bool begin_fields(struct reading *r, struct rdb_loading *l) {
    uint64_t *earliest_ms = (uint64_t *)l->state;
    size_t each = r->form == PLAIN ? 2 : r->form == BEHIND ? 10 : 3;
    if (r->form == RELATIVE && !read_earliest(r->in, earliest_ms)) return false;
    if (!rdb_in_count(r->in, each, &l->left)) return false;
    l->v = thash_load_begin((size_t)l->left, r->form != PLAIN, r->load->limits);
    l->expected = rdb_load__expected(r->in, l->left, 8);
    l->begun = true;
    return true;
}

static enum rdb_loaded load_fields(struct rdb_load *load, struct rdb_in *in, enum form form,
                                   struct rdb_loading *l) {
    struct reading r = {.load = load, .in = in, .form = form};
    if (!l->begun && !begin_fields(&r, l)) return RDB_LOAD_FAILED;
    if (l->expected > 0 && !thash_load_expect(l->v, l->expected, rdb_load__room(l)))
        return RDB_LOAD_MORE;
    l->expected = 0;
    r.earliest_ms = form == RELATIVE ? *(const uint64_t *)l->state : 0;
    rdb_load__limit(l, in, RDB_LOAD__WEIGHT);
    bool good = read_fields(&r, l);
    return good && l->left > 0 ? RDB_LOAD_MORE : finish(good, l->v);
}

// ---- compact forms -----------------------------------------------------------------------------

static enum rdb_loaded load_zipmap(struct rdb_load *load, struct rdb_in *in, struct value *v) {
    struct slice text;
    struct rdb_zipmap z;
    struct thash_loaded field = {.expire_ms = THASH_NEVER};
    if (!rdb_in_string(in, &load->scratch, &text)) return RDB_LOAD_FAILED;
    if (!rdb_zipmap_begin(&z, (const uint8_t *)text.p, text.n)) {
        rdb_in_fail(in, "a malformed zipmap");
        return RDB_LOAD_FAILED;
    }
    *v = thash_load_begin(z.count, false, load->limits);
    bool whole = true;
    while (whole && z.count > 0) {
        rdb_zipmap_next(&z, &field.field, &field.value);
        whole = thash_load(v, &field, 1, load->limits);
        if (!whole) rdb_in_fail(in, "a field of a hash twice");
    }
    return finish(whole, *v);
}

static enum rdb_loaded take_listpack(struct rdb_load *load, uint8_t *lp, uint8_t encoding,
                                     struct value *v) {
    if (lp == NULL) return RDB_LOAD_FAILED;
    *v = (struct value){encoding, lp};
    thash_load_settle(v, load->limits);
    return finish(true, *v);
}

/** Whether what expires stands in front, the earliest first; *over: tuples whose time is over. */
static bool is_in_order(const struct rdb_load *load, const uint8_t *lp, size_t *over) {
    int64_t latest = 0;
    *over = 0;
    for (const uint8_t *p = listpack_first(lp); p != NULL; p = listpack_next(lp, p)) {
        struct listpack_item item;
        p = listpack_next(lp, listpack_next(lp, p));
        listpack_get(p, &item);
        if (!item.is_int || item.number < 0 || item.number > (int64_t)EXPIRE_MAX) return false;
        if (item.number != 0 && item.number < latest) return false;
        latest = item.number != 0 ? item.number : INT64_MAX;
        if (item.number != 0 && is_over(load, item.number)) ++*over;
    }
    return true;
}

static enum rdb_loaded load_wide(struct rdb_load *load, struct rdb_in *in, bool has_earliest,
                                 struct value *v) {
    uint64_t earliest_ms;
    size_t over;
    if (has_earliest && !read_earliest(in, &earliest_ms)) return RDB_LOAD_FAILED;
    uint8_t *lp = rdb_load__listpack(load, in, 3, true);
    if (lp == NULL) return RDB_LOAD_FAILED;
    if (!is_in_order(load, lp, &over)) {
        listpack_free(lp);
        rdb_in_fail(in, "fields of a hash that are not in order of expiry");
        return RDB_LOAD_FAILED;
    }
    load->expired_fields += over;
    lp = listpack_delete_range(lp, 0, 3 * over);
    return take_listpack(load, lp, ENC_HASH_LISTPACK_EX, v);
}

enum rdb_loaded rdb_load__hash(struct rdb_load *load, struct rdb_in *in, struct rdb_loading *l) {
    switch (l->type) {
    case RDB_HASH: return load_fields(load, in, PLAIN, l);
    case RDB_HASH_ZIPMAP: return load_zipmap(load, in, &l->v);
    case RDB_HASH_ZIPLIST:
        return take_listpack(load, rdb_load__ziplist(load, in, 2, true), ENC_HASH_LISTPACK, &l->v);
    case RDB_HASH_LISTPACK:
        return take_listpack(load, rdb_load__listpack(load, in, 2, true), ENC_HASH_LISTPACK, &l->v);
    case RDB_HASH_METADATA_PRE_GA:
        return load_fields(load, in, load->dialect == RDB_VALKEY ? BEHIND : ABSOLUTE, l);
    case RDB_HASH_METADATA: return load_fields(load, in, RELATIVE, l);
    default: return load_wide(load, in, l->type == RDB_HASH_LISTPACK_EX, &l->v);
    }
}
