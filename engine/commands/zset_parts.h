// SPDX-License-Identifier: BSD-3-Clause
//
// What the files of sorted set commands share: range arguments, and replies made of members and
// scores. Internal to zset*.c. No state; runs on whichever thread runs the command. Invariant: a
// function that says false has written the error.
#ifndef TORC_ENGINE_COMMANDS_ZSET_PARTS_H
#define TORC_ENGINE_COMMANDS_ZSET_PARTS_H

#include "engine/commands/collection.h"
#include "engine/commands/zset.h"
#include "engine/types/t_zset.h"

/** The bounds of a range of scores: a number, or one behind "(" that is itself left out. */
bool zset__arg_scores(struct cmd *c, int min, int max, struct tzset_scores *range);
/** The bounds of a range of members: "-", "+", or a text behind "[" or "(". */
bool zset__arg_lex(struct cmd *c, int min, int max, struct tzset_lex *range);
/** Ranks as ZRANGE takes them, negative ones from the end, cut to what there is. False: nothing. */
bool zset__ranks(int64_t start, int64_t end, size_t length, size_t *first, size_t *count);

/**
 * The head of an array of n members, with their scores or without: RESP2 has one flat array, RESP3
 * a pair for each.
 */
static inline void zset__reply_head(struct reply *r, size_t n, bool scores) {
    reply_array(r, scores && r->proto == 2 ? n * 2 : n);
}
/** One member of such an array. */
static inline void zset__reply_pair(struct reply *r, const struct listpack_item *member,
                                    double score, bool scores) {
    if (scores && r->proto > 2) reply_array(r, 2);
    collection_reply_item(r, member);
    if (scores) reply_double(r, score);
}
/** The whole array: all that is left of a walk. */
void zset__reply_walk(struct reply *r, struct tzset_iterator *it, bool scores);

#endif
