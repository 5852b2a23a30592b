// SPDX-License-Identifier: BSD-3-Clause
//
// ZRANDMEMBER: one random member, several different ones, or several with repetition. No state of
// its own; runs on whichever thread was given the key. Invariant: a view that is only lent for
// reading keeps its generator as it is, so chance comes from the clock and the place of the reply
// there.
#include <stdlib.h>

#include "engine/base/alloc.h"
#include "engine/commands/zset_parts.h"

static void repeated(struct cmd *c, struct value v, uint64_t count, bool scores) {
    struct random own, *random = collection_random(c, 1, &own);
    struct listpack_item member;
    double score;
    size_t start = c->reply->out->len;
    zset__reply_head(c->reply, count, scores);
    for (; count > 0 && !collection_draws_too_much(c, start, count); count--) {
        tzset_random(v, random, &member, &score);
        zset__reply_pair(c->reply, &member, score, scores);
    }
}

static int compare_ranks(const void *a, const void *b) {
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return x < y ? -1 : x > y;
}

// All of the walk but gaps: each member is taken with the chance that makes `count` of them in the
// end (selection sampling, Knuth volume 2, algorithm S).
static void sample_walk(struct cmd *c, struct value v, size_t count, bool scores,
                        struct random *random) {
    struct tzset_iterator it;
    struct listpack_item member;
    double score;
    tzset_iterate_rank(&it, v, 0, false);
    while (count > 0) {
        size_t left = it.left;
        tzset_next(&it, &member, &score);
        if (random_below(random, left) >= count) continue;
        zset__reply_pair(c->reply, &member, score, scores);
        count--;
    }
}

// Few of many: that many different ranks, drawn again where they are equal, and each one looked up.
static void sample_ranks(struct cmd *c, struct value v, size_t count, bool scores,
                         struct random *random) {
    size_t length = tzset_length(v), *ranks = mem_alloc(count * sizeof *ranks), n = 0;
    struct tzset_iterator it;
    struct listpack_item member;
    double score;
    while (n < count) {
        for (size_t i = n; i < count; i++) ranks[i] = random_below(random, length);
        qsort(ranks, count, sizeof *ranks, compare_ranks);
        n = 0;
        for (size_t i = 0; i < count; i++)
            if (n == 0 || ranks[i] != ranks[n - 1]) ranks[n++] = ranks[i];
    }
    for (size_t i = 0; i < count; i++) {
        tzset_iterate_rank(&it, v, ranks[i], false);
        tzset_next(&it, &member, &score);
        zset__reply_pair(c->reply, &member, score, scores);
    }
    mem_free(ranks);
}

static void different(struct cmd *c, struct value v, uint64_t count, bool scores) {
    size_t length = tzset_length(v);
    if (count > length) count = length;
    zset__reply_head(c->reply, count, scores);
    struct random own, *random = collection_random(c, 1, &own);
    // Of few members, or of a good part of many, a walk is cheaper than lookups.
    if (v.encoding == ENC_ZSET_LISTPACK || count > length / 16)
        sample_walk(c, v, count, scores, random);
    else
        sample_ranks(c, v, count, scores, random);
}

static bool take_count(struct cmd *c, int64_t *count, bool *scores) {
    if (!num_parse_i64(c->argv[2], count)) {
        reply_error(c->reply, error_not_integer);
        return false;
    }
    if (*count == INT64_MIN) {
        reply_error(c->reply, "ERR value is out of range, value must between "
                              "-9223372036854775807 and 9223372036854775807");
        return false;
    }
    *scores = c->argc == 4;
    if (c->argc > 4 || (*scores && !slice_is(c->argv[3], "withscores"))) {
        reply_error(c->reply, error_syntax);
        return false;
    }
    if (*scores && (*count < -(INT64_MAX / 2) || *count > INT64_MAX / 2)) {
        reply_error(c->reply, error_out_of_range);
        return false;
    }
    return true;
}

void zset_zrandmember(struct cmd *c) {
    struct value v;
    int64_t count = 1;
    bool scores = false;
    if (c->argc > 2 && !take_count(c, &count, &scores)) return;
    if (!collection_read(c, 1, ENTRY_ZSET, &v)) return;
    if (c->argc == 2) {
        struct random own;
        struct listpack_item member;
        if (v.encoding == 0) {
            reply_null(c->reply);
            return;
        }
        tzset_random(v, collection_random(c, 1, &own), &member, NULL);
        collection_reply_item(c->reply, &member);
        return;
    }
    if (v.encoding == 0 || count == 0)
        reply_array(c->reply, 0);
    else if (count < 0)
        repeated(c, v, (uint64_t)-count, scores);
    else
        different(c, v, (uint64_t)count, scores);
}
