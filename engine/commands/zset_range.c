// SPDX-License-Identifier: BSD-3-Clause
//
// Ranges of sorted sets: ZRANGE with its older sisters, ZRANGESTORE, ZCOUNT, ZLEXCOUNT and the
// ZREMRANGEs. No state; runs on whichever thread was given the keys. Invariant: a range is found
// with its length before anything is written, so that replies need no second pass. Every command
// here is its own effect.
#include "engine/base/assert.h"
#include "engine/commands/zset_parts.h"

enum kind { BY_ANY, BY_RANK, BY_SCORE, BY_LEX };

/** What a range command asks for. */
struct query {
    enum kind kind;
    bool backwards, scores;
    int64_t start, end; // BY_RANK
    int64_t offset, limit;
    union {
        struct tzset_scores by_score;
        struct tzset_lex by_lex;
    };
};

// Options behind <key> <min> <max>; what is given with the command's name is not asked for again.
static bool take_options(struct cmd *c, int arg, bool store, struct query *q) {
    bool any_direction = q->kind == BY_ANY;
    for (; arg < c->argc; arg++) {
        struct slice word = c->argv[arg];
        if (!store && slice_is(word, "withscores")) {
            q->scores = true;
        } else if (slice_is(word, "limit") && arg + 2 < c->argc) {
            if (!cmd_arg_i64(c, arg + 1, &q->offset) || !cmd_arg_i64(c, arg + 2, &q->limit))
                return false;
            arg += 2;
        } else if (any_direction && !q->backwards && slice_is(word, "rev")) {
            q->backwards = true;
        } else if (q->kind == BY_ANY && slice_is(word, "bylex")) {
            q->kind = BY_LEX;
        } else if (q->kind == BY_ANY && slice_is(word, "byscore")) {
            q->kind = BY_SCORE;
        } else {
            reply_error(c->reply, error_syntax);
            return false;
        }
    }
    if (q->kind == BY_ANY) q->kind = BY_RANK;
    if (q->limit != -1 && q->kind == BY_RANK) {
        reply_error(c->reply, "ERR syntax error, LIMIT is only supported in combination with "
                              "either BYSCORE or BYLEX");
        return false;
    }
    if (q->scores && q->kind == BY_LEX) {
        reply_error(c->reply,
                    "ERR syntax error, WITHSCORES not supported in combination with BYLEX");
        return false;
    }
    return true;
}

// The whole of <key> <min> <max> [options], with the key at that argument.
static bool parse(struct cmd *c, int key, bool store, struct query *q) {
    q->offset = 0;
    q->limit = -1;
    q->scores = false;
    if (!take_options(c, key + 3, store, q)) return false;
    int min = key + 1, max = key + 2;
    if (q->kind == BY_RANK) return cmd_arg_i64(c, min, &q->start) && cmd_arg_i64(c, max, &q->end);
    if (q->backwards) {
        min = key + 2;
        max = key + 1;
    }
    if (q->kind == BY_SCORE) return zset__arg_scores(c, min, max, &q->by_score);
    return zset__arg_lex(c, min, max, &q->by_lex);
}

static void find(struct value v, const struct query *q, struct tzset_iterator *it) {
    size_t first, count;
    it->left = 0;
    if (v.encoding == 0) return;
    if (q->kind == BY_RANK) {
        if (!zset__ranks(q->start, q->end, tzset_length(v), &first, &count)) return;
        tzset_iterate_rank(it, v, first, q->backwards);
        it->left = count;
        return;
    }
    if (q->kind == BY_SCORE)
        tzset_iterate_scores(it, v, &q->by_score, q->backwards);
    else
        tzset_iterate_lex(it, v, &q->by_lex, q->backwards);
    tzset_skip(it, q->offset >= 0 ? (size_t)q->offset : SIZE_MAX);
    if (q->limit >= 0 && (uint64_t)q->limit < it->left) it->left = (size_t)q->limit;
}

static void range(struct cmd *c, enum kind kind, bool backwards) {
    struct query q;
    struct tzset_iterator it;
    struct value v;
    q.kind = kind;
    q.backwards = backwards;
    if (!parse(c, 1, false, &q) || !collection_read(c, 1, ENTRY_ZSET, &v)) return;
    find(v, &q, &it);
    zset__reply_walk(c->reply, &it, q.scores);
}

void zset_zrange(struct cmd *c) { range(c, BY_ANY, false); }
void zset_zrevrange(struct cmd *c) { range(c, BY_RANK, true); }
void zset_zrangebyscore(struct cmd *c) { range(c, BY_SCORE, false); }
void zset_zrevrangebyscore(struct cmd *c) { range(c, BY_SCORE, true); }
void zset_zrangebylex(struct cmd *c) { range(c, BY_LEX, false); }
void zset_zrevrangebylex(struct cmd *c) { range(c, BY_LEX, true); }

void zset_zrangestore(struct cmd *c) {
    struct query q = {.kind = BY_ANY};
    struct tzset_iterator it;
    struct value v;
    if (!parse(c, 2, true, &q) || !collection_read(c, 2, ENTRY_ZSET, &v)) return;
    find(v, &q, &it);
    size_t count = it.left;
    const struct value_limits *limits = &c->settings->limits;
    // Redis knows the length beforehand by rank only, and a zero that passes through the small form
    // loses its sign.
    struct value to = tzset_new_for(q.kind == BY_RANK ? count : 0, 0, limits);
    struct listpack_item member;
    double score;
    char scratch[NUM_I64_TEXT_MAX];
    while (tzset_next(&it, &member, &score))
        tzset_add(&to, tzset_text(&member, scratch), score, limits);
    collection_store(c, 1, to, "zrangestore");
    reply_int(c->reply, (int64_t)count);
}

// ---- counting and removing ---------------------------------------------------------------------

static void count(struct cmd *c, const struct query *q) {
    struct value v;
    struct tzset_iterator it;
    if (!collection_read(c, 1, ENTRY_ZSET, &v)) return;
    find(v, q, &it);
    reply_int(c->reply, (int64_t)it.left);
}

void zset_zcount(struct cmd *c) {
    struct query q = {.kind = BY_SCORE, .limit = -1};
    if (zset__arg_scores(c, 2, 3, &q.by_score)) count(c, &q);
}

void zset_zlexcount(struct cmd *c) {
    struct query q = {.kind = BY_LEX, .limit = -1};
    if (zset__arg_lex(c, 2, 3, &q.by_lex)) count(c, &q);
}

static void remove_range(struct cmd *c, const struct query *q, const char *event) {
    struct change ch;
    struct tzset_iterator it;
    if (!change_open(c, 1, ENTRY_ZSET, &ch)) return;
    find(ch.v, q, &it);
    if (it.left > 0) {
        size_t removed = it.left;
        tzset_remove_ranks(&ch.v, it.low, removed);
        change_close(&ch, removed, event);
        reply_int(c->reply, (int64_t)removed);
    } else {
        reply_int(c->reply, 0);
    }
}

void zset_zremrangebyrank(struct cmd *c) {
    struct query q = {.kind = BY_RANK, .limit = -1};
    if (cmd_arg_i64(c, 2, &q.start) && cmd_arg_i64(c, 3, &q.end))
        remove_range(c, &q, "zremrangebyrank");
}

void zset_zremrangebyscore(struct cmd *c) {
    struct query q = {.kind = BY_SCORE, .limit = -1};
    if (zset__arg_scores(c, 2, 3, &q.by_score)) remove_range(c, &q, "zremrangebyscore");
}

void zset_zremrangebylex(struct cmd *c) {
    struct query q = {.kind = BY_LEX, .limit = -1};
    if (zset__arg_lex(c, 2, 3, &q.by_lex)) remove_range(c, &q, "zremrangebylex");
}
