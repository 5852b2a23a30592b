// SPDX-License-Identifier: BSD-3-Clause
//
// Sorted sets from their serialized forms: members with scores one by one, or a compact form. Redis
// does not look at the order of a compact form: one that is out of order is sorted here, since it
// would have been read and written wrongly. No state; the thread that loads. Invariant: a sorted
// set that is returned has members, none twice, in order, and no score is NaN. Called by
// rdb_load.c.
#include <math.h>

#include "engine/rdb/rdb_load_parts.h"
#include "engine/types/t_zset.h"

_Static_assert(TZSET_WINDOW <= RDB_LOAD_TEXTS, "each member has its text");

static bool fail_score(struct rdb_in *in) {
    return rdb_in_fail(in, "a score that is not a number");
}

_Static_assert(sizeof(struct tzset_loading) <= sizeof(((struct rdb_loading *)0)->state), "fits");

static inline struct tzset_loading *members_of(struct rdb_loading *l) { return (void *)l->state; }

static bool read_members(struct rdb_load *load, struct rdb_in *in, bool text,
                         struct rdb_loading *l) {
    while (l->left > 0 && !rdb_load__is_over(l, in)) {
        struct slice members[TZSET_WINDOW];
        double scores[TZSET_WINDOW];
        unsigned count = 0;
        for (; l->left > 0 && count < TZSET_WINDOW && load->held < RDB_LOAD__HELD_MAX;
             l->left--, count++) {
            double *score = &scores[count];
            if (!rdb_load__text(load, in, count, &members[count])) return false;
            if (!(text ? rdb_in_double_text(in, score) : rdb_in_double(in, score))) return false;
            if (*score != *score) return fail_score(in);
        }
        bool added = tzset_load(members_of(l), members, scores, count);
        rdb_load__release(load);
        if (!added) return rdb_in_fail(in, "a member of a sorted set twice");
    }
    return true;
}

void rdb_load__zset_give_up(struct rdb_loading *l) { tzset_load_abort(members_of(l)); }

static enum rdb_loaded load_members(struct rdb_load *load, struct rdb_in *in, bool text,
                                    struct rdb_loading *l) {
    if (!l->begun) {
        if (!rdb_in_count(in, text ? 2 : 9, &l->left)) return RDB_LOAD_FAILED;
        if (l->left == 0) return RDB_LOAD_EMPTY;
        l->expected = rdb_load__expected(in, l->left, text ? 4 : 9);
        tzset_load_begin(members_of(l), l->expected);
        l->begun = true;
    }
    if (l->expected > 0 && !tzset_load_expect(members_of(l), rdb_load__room(l)))
        return RDB_LOAD_MORE;
    l->expected = 0;
    rdb_load__limit(l, in, RDB_LOAD__WEIGHT);
    if (!read_members(load, in, text, l)) {
        tzset_load_abort(members_of(l));
        return RDB_LOAD_FAILED;
    }
    if (l->left > 0 || !tzset_load_end(members_of(l), load->limits, rdb_load__room(l)))
        return RDB_LOAD_MORE;
    l->v = members_of(l)->v;
    return RDB_LOADED;
}

// ---- compact forms -----------------------------------------------------------------------------

/** One pair of a listpack. */
struct pair {
    struct slice member;
    char scratch[NUM_I64_TEXT_MAX];
    const uint8_t *score_at;
    double about; // the score, but for the last places when it is a text
};

/** The score at p; false: it is no number. */
static bool read_score(const uint8_t *p, double *score) {
    struct listpack_item item = {.number = 0};
    listpack_get(p, &item);
    if (item.is_int) *score = (double)item.number;
    return item.is_int || (num_parse_double(item.text, score) && *score == *score);
}

/** About the same, which takes a tenth of the time. */
static bool guess_score(const uint8_t *p, double *score) {
    struct listpack_item item = {.number = 0};
    listpack_get(p, &item);
    return (!item.is_int && num_guess_double(item.text, score)) || read_score(p, score);
}

/** The pair at *p, which goes to the next one (NULL: none). False: no such score. */
static bool read_pair(const uint8_t *lp, const uint8_t **p, struct pair *pair) {
    pair->member = listpack_text(*p, pair->scratch);
    pair->score_at = listpack_next(lp, *p);
    *p = listpack_next(lp, pair->score_at);
    return guess_score(pair->score_at, &pair->about);
}

static bool ascend(const struct pair *a, const struct pair *b) {
    double far = (fabs(a->about) + fabs(b->about)) * 0x1p-50, low = 0, high = 0;
    if (b->about - a->about > far) return true;
    if (a->about - b->about > far) return false;
    read_score(a->score_at, &low);
    read_score(b->score_at, &high);
    return low < high || (low == high && ranked_compare(a->member, b->member) < 0);
}

/** Whether all scores are numbers; *in_order: pairs ascend. */
static bool look_at_pairs(const uint8_t *lp, bool *in_order) {
    struct pair pairs[2] = {{.about = 0}};
    unsigned now = 0;
    bool first = true;
    *in_order = true;
    for (const uint8_t *p = listpack_first(lp); p != NULL; now ^= 1, first = false) {
        if (!read_pair(lp, &p, &pairs[now])) return false;
        if (!first && *in_order && !ascend(&pairs[now ^ 1], &pairs[now])) *in_order = false;
    }
    return true;
}

static struct value sorted(const uint8_t *lp, const struct value_limits *limits) {
    struct value v = tzset_gather_begin();
    struct pair pair;
    for (const uint8_t *p = listpack_first(lp); p != NULL;) {
        double score = 0;
        read_pair(lp, &p, &pair);
        read_score(pair.score_at, &score);
        tzset_gather_add(v, pair.member, score);
    }
    tzset_gather_end(&v, limits);
    return v;
}

static enum rdb_loaded take_listpack(struct rdb_load *load, struct rdb_in *in, uint8_t *lp,
                                     struct value *v) {
    bool in_order;
    if (lp == NULL) return RDB_LOAD_FAILED;
    size_t members = listpack_count(lp) / 2;
    if (members == 0) {
        listpack_free(lp);
        return RDB_LOAD_EMPTY;
    }
    if (!look_at_pairs(lp, &in_order)) {
        listpack_free(lp);
        fail_score(in);
        return RDB_LOAD_FAILED;
    }
    if (in_order) {
        *v = (struct value){ENC_ZSET_LISTPACK, lp};
        tzset_expect(v, members, load->limits);
    } else {
        *v = sorted(lp, load->limits);
        listpack_free(lp);
    }
    return RDB_LOADED;
}

enum rdb_loaded rdb_load__zset(struct rdb_load *load, struct rdb_in *in, struct rdb_loading *l) {
    switch (l->type) {
    case RDB_ZSET: return load_members(load, in, true, l);
    case RDB_ZSET_2: return load_members(load, in, false, l);
    case RDB_ZSET_ZIPLIST:
        return take_listpack(load, in, rdb_load__ziplist(load, in, 2, true), &l->v);
    default: return take_listpack(load, in, rdb_load__listpack(load, in, 2, true), &l->v);
    }
}
