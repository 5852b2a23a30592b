// SPDX-License-Identifier: BSD-3-Clause
//
// Sorted sets, member by member: ZADD, ZINCRBY, ZREM, ZCARD, ZSCORE, ZMSCORE, ZRANK, ZREVRANK,
// ZSCAN; and what the other files of sorted set commands share. No state; runs on whichever thread
// was given the keys. Invariant: all scores of a ZADD are understood before the first is set. Every
// command is its own effect: sums of doubles come out the same everywhere.
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/alloc.h"
#include "engine/commands/scan_options.h"
#include "engine/commands/zset_parts.h"

// ---- shared ------------------------------------------------------------------------------------

// Bounds are read as strtod reads them: blanks in front and nothing at all are taken, and a zero
// byte is the end.
static bool bound(struct slice text, double *value, bool *without) {
    *without = text.n > 0 && text.p[0] == '(';
    if (*without) text = slice_of(text.p + 1, text.n - 1);
    if (likely(num_parse_double(text, value))) return true;
    char few[256];
    char *copy = text.n < sizeof few ? few : mem_alloc(text.n + 1);
    if (text.n > 0) memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    char *end;
    *value = strtod(copy, &end);
    bool whole = *end == '\0';
    if (copy != few) mem_free(copy);
    return whole && !isnan(*value);
}

bool zset__arg_scores(struct cmd *c, int min, int max, struct tzset_scores *range) {
    if (bound(c->argv[min], &range->min, &range->above_min) &&
        bound(c->argv[max], &range->max, &range->below_max))
        return true;
    reply_error(c->reply, "ERR min or max is not a float");
    return false;
}

static bool lex_bound(struct slice text, struct tzset_lex_bound *bound) {
    if (text.n == 0) return false;
    char first = text.p[0];
    bound->text = slice_of(text.p + 1, text.n - 1);
    if (first == '[' || first == '(') {
        bound->edge = first == '[' ? TZSET_WITH : TZSET_WITHOUT;
        return true;
    }
    bound->edge = first == '-' ? TZSET_LOWEST : TZSET_HIGHEST;
    // As in Redis a zero byte is the end of these two.
    return (first == '-' || first == '+') && (text.n == 1 || text.p[1] == '\0');
}

bool zset__arg_lex(struct cmd *c, int min, int max, struct tzset_lex *range) {
    if (lex_bound(c->argv[min], &range->min) && lex_bound(c->argv[max], &range->max)) return true;
    reply_error(c->reply, "ERR min or max not valid string range item");
    return false;
}

bool zset__ranks(int64_t start, int64_t end, size_t length, size_t *first, size_t *count) {
    int64_t n = (int64_t)length;
    if (start < 0) start = start + n > 0 ? start + n : 0;
    if (end < 0) end += n;
    if (end >= n) end = n - 1;
    if (start > end) return false;
    *first = (size_t)start;
    *count = (size_t)(end - start) + 1;
    return true;
}

void zset__reply_walk(struct reply *r, struct tzset_iterator *it, bool scores) {
    struct listpack_item member;
    double score = 0;
    zset__reply_head(r, it->left, scores);
    while (tzset_next(it, &member, scores ? &score : NULL))
        zset__reply_pair(r, &member, score, scores);
}

// ---- adding ------------------------------------------------------------------------------------

#define FEW_SCORES 16

struct addition {
    unsigned flags; // TZSET_*
    bool changes;   // the answer counts what was changed, too
    int first;      // argument: the first score
    int pairs;
    double *scores;
    double few[FEW_SCORES];
};

// Takes the options that stand in front of the first score.
static void take_options(struct cmd *c, struct addition *a) {
    static const struct {
        const char *word;
        unsigned flag;
    } words[] = {{"nx", TZSET_NX}, {"xx", TZSET_XX}, {"gt", TZSET_GT},
                 {"lt", TZSET_LT}, {"ch", 0},        {"incr", TZSET_INCR}};
    for (; a->first < c->argc; a->first++) {
        struct slice word = c->argv[a->first];
        if ((word.n != 2 && word.n != 4) || !isalpha((unsigned char)word.p[0])) return;
        size_t i = 0;
        while (i < sizeof words / sizeof words[0] && !slice_is(word, words[i].word)) i++;
        if (i == sizeof words / sizeof words[0]) return;
        a->flags |= words[i].flag;
        if (words[i].flag == 0) a->changes = true;
    }
}

static bool check_options(struct cmd *c, const struct addition *a) {
    unsigned flags = a->flags;
    int words = c->argc - a->first;
    const char *error = NULL;
    if (words == 0 || words % 2 != 0)
        error = error_syntax;
    else if ((flags & TZSET_NX) && (flags & TZSET_XX))
        error = "ERR XX and NX options at the same time are not compatible";
    else if (((flags & (TZSET_GT | TZSET_LT)) && (flags & TZSET_NX)) ||
             ((flags & TZSET_GT) && (flags & TZSET_LT)))
        error = "ERR GT, LT, and/or NX options at the same time are not compatible";
    else if ((flags & TZSET_INCR) && words > 2)
        error = "ERR INCR option supports a single increment-element pair";
    if (error != NULL) reply_error(c->reply, error);
    return error == NULL;
}

static bool take_scores(struct cmd *c, struct addition *a) {
    a->pairs = (c->argc - a->first) / 2;
    a->scores = a->few;
    if (a->pairs > FEW_SCORES) a->scores = mem_alloc((size_t)a->pairs * sizeof(double));
    for (int i = 0; i < a->pairs; i++) {
        if (num_parse_double(c->argv[a->first + i * 2], &a->scores[i])) continue;
        reply_error(c->reply, error_not_float);
        return false;
    }
    return true;
}

// Sets the scores and writes the reply; returns how many members were added or changed.
static uint64_t set_scores(struct cmd *c, const struct addition *a, struct value *v) {
    const struct value_limits *limits = &c->settings->limits;
    uint64_t added = 0, updated = 0;
    enum tzset_result result = TZSET_NOP;
    for (int i = 0; i < a->pairs; i++) {
        struct slice member = c->argv[a->first + i * 2 + 1];
        result = tzset_update(v, member, &a->scores[i], a->flags, limits);
        added += result == TZSET_ADDED;
        updated += result == TZSET_UPDATED;
    }
    if (!(a->flags & TZSET_INCR))
        reply_int(c->reply, (int64_t)(a->changes ? added + updated : added));
    else if (result == TZSET_NAN)
        reply_error(c->reply, "ERR resulting score is not a number (NaN)");
    else if (result == TZSET_NOP)
        reply_null(c->reply);
    else
        reply_double(c->reply, a->scores[0]);
    return added + updated;
}

static void run_addition(struct cmd *c, struct addition *a) {
    struct change ch;
    if (take_scores(c, a) && change_open(c, 1, ENTRY_ZSET, &ch)) {
        const struct value_limits *limits = &c->settings->limits;
        if (ch.v.encoding != 0)
            tzset_expect(&ch.v, (size_t)a->pairs, limits);
        else
            ch.v = tzset_new_for((size_t)a->pairs, c->argv[a->first + 1].n, limits);
        uint64_t changes = set_scores(c, a, &ch.v);
        change_close(&ch, changes, a->flags & TZSET_INCR ? "zincr" : "zadd");
    }
    if (a->scores != a->few) mem_free(a->scores);
}

void zset_zadd(struct cmd *c) {
    struct addition a;
    a.flags = 0;
    a.changes = false;
    a.first = 2;
    take_options(c, &a);
    if (check_options(c, &a)) run_addition(c, &a);
}

void zset_zincrby(struct cmd *c) {
    struct addition a;
    a.flags = TZSET_INCR;
    a.changes = false;
    a.first = 2;
    run_addition(c, &a);
}

void zset_zrem(struct cmd *c) {
    struct change ch;
    if (!change_open(c, 1, ENTRY_ZSET, &ch)) return;
    uint64_t removed = 0;
    if (ch.v.encoding != 0) {
        for (int i = 2; i < c->argc && tzset_length(ch.v) > 0; i++)
            removed += tzset_remove(&ch.v, c->argv[i]);
        change_close(&ch, removed, "zrem");
    }
    reply_int(c->reply, (int64_t)removed);
}

// ---- asking ------------------------------------------------------------------------------------

void zset_zcard(struct cmd *c) {
    struct value v;
    if (!collection_read(c, 1, ENTRY_ZSET, &v)) return;
    reply_int(c->reply, v.encoding != 0 ? (int64_t)tzset_length(v) : 0);
}

static void reply_score(struct cmd *c, struct value v, struct slice member) {
    double score;
    if (v.encoding != 0 && tzset_score(v, member, &score))
        reply_double(c->reply, score);
    else
        reply_null(c->reply);
}

void zset_zscore(struct cmd *c) {
    struct value v;
    if (collection_read(c, 1, ENTRY_ZSET, &v)) reply_score(c, v, c->argv[2]);
}

void zset_zmscore(struct cmd *c) {
    struct value v;
    if (!collection_read(c, 1, ENTRY_ZSET, &v)) return;
    reply_array(c->reply, (size_t)c->argc - 2);
    for (int i = 2; i < c->argc; i++) reply_score(c, v, c->argv[i]);
}

static void rank_of(struct cmd *c, bool backwards) {
    if (c->argc > 4) {
        reply_error_format(c->reply, "ERR wrong number of arguments for '%s' command",
                           c->spec->full_name);
        return;
    }
    bool with_score = c->argc == 4;
    if (with_score && !slice_is(c->argv[3], "withscore")) {
        reply_error(c->reply, error_syntax);
        return;
    }
    struct value v;
    if (!collection_read(c, 1, ENTRY_ZSET, &v)) return;
    size_t rank;
    double score;
    if (v.encoding == 0 || !tzset_rank(v, c->argv[2], &rank, &score)) {
        if (with_score)
            reply_null_array(c->reply);
        else
            reply_null(c->reply);
        return;
    }
    if (with_score) reply_array(c->reply, 2);
    reply_int(c->reply, (int64_t)(backwards ? tzset_length(v) - 1 - rank : rank));
    if (with_score) reply_double(c->reply, score);
}

void zset_zrank(struct cmd *c) { rank_of(c, false); }
void zset_zrevrank(struct cmd *c) { rank_of(c, true); }

// ---- ZSCAN -------------------------------------------------------------------------------------

struct zscan {
    struct scan_found found;
    struct scan_options options;
    int64_t met;
    bool large;
};

// Redis prints the scores of the two forms differently here, and so does this: 17 digits of those
// that it keeps as doubles.
static void scan_pair(void *context, const struct listpack_item *member, double score) {
    struct zscan *scan = context;
    char scratch[NUM_I64_TEXT_MAX], text[NUM_DOUBLE_TEXT_MAX];
    scan->met++;
    if (!scan_matches(&scan->options, tzset_text(member, scratch))) return;
    collection_reply_item(&scan->found.reply, member);
    size_t n;
    if (scan->large)
        n = (size_t)snprintf(text, sizeof text, "%.17g", score);
    else
        n = num_format_double(text, score);
    reply_bulk(&scan->found.reply, text, n);
    scan->found.count += 2;
}

void zset_zscan(struct cmd *c) {
    uint64_t cursor;
    struct value v;
    if (!scan_arg_cursor(c, 2, &cursor)) return;
    if (!collection_read(c, 1, ENTRY_ZSET, &v)) return;
    if (v.encoding == 0) {
        scan_reply_empty(c);
        return;
    }
    struct zscan scan = {.large = v.encoding != ENC_ZSET_LISTPACK};
    if (!scan_options(c, 3, false, &scan.options)) return;
    scan_found_init(&scan.found, c);
    int64_t visits = scan_visits(&scan.options);
    do cursor = tzset_scan(v, cursor, scan_pair, &scan);
    while (cursor != 0 && visits-- > 0 && scan.met < scan.options.count);
    scan_found_end(&scan.found, cursor);
}
