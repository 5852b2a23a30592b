// SPDX-License-Identifier: BSD-3-Clause
//
// The small form of sorted sets: a listpack of member, score, member, score, ... in order. Scores
// that are whole numbers are held as integers and all others as the shortest text that reads back
// the same, as Redis 7.2 does, so that the bytes agree. Runs on the thread that owns the value.
// Invariant: pairs are strictly ascending by (score, member), and no member is there twice. Called
// by the other files of t_zset.
#include <math.h>
#include <string.h>

#include "engine/types/t_zset_forms.h"

double tzset__small_score(const uint8_t *p) {
    struct listpack_item item;
    listpack_get(p, &item);
    if (item.is_int) return (double)item.number;
    double score;
    return num_parse_double(item.text, &score) ? score : 0;
}

#define HEAD_BYTES 10 // of a score's text, which nearly always decide an order
#define TAIL_BYTES 5  // an exponent, if there is one, shows in them

// About the number that a text stands for, from its first bytes: *apart is more than the distance.
// False: it cannot be told from these.
static bool guess_head(struct slice text, double *number, double *apart) {
    static const double steps[HEAD_BYTES] = {2e0,  2e-1, 2e-2, 2e-3, 2e-4,
                                             2e-5, 2e-6, 2e-7, 2e-8, 2e-9};
    if (text.n < HEAD_BYTES + TAIL_BYTES) return false;
    for (size_t i = text.n - TAIL_BYTES; i < text.n; i++)
        if ((unsigned)(unsigned char)text.p[i] - '0' > 9) return false;
    const char *point = memchr(text.p, '.', HEAD_BYTES);
    if (point == NULL) return false;
    *apart = steps[text.p + HEAD_BYTES - 1 - point];
    return num_guess_double(slice_of(text.p, HEAD_BYTES), number);
}

// Reading a score to its last digit costs as much as all the rest of a pair, and few are close.
int tzset__small_order(const uint8_t *p, double score) {
    struct listpack_item item;
    double other, apart;
    listpack_get(p, &item);
    if (item.is_int) {
        other = (double)item.number;
        return other < score ? -1 : other > score;
    }
    if (guess_head(item.text, &other, &apart) && fabs(other - score) > apart)
        return other < score ? -1 : 1;
    if (num_guess_double(item.text, &other) && fabs(other - score) > fabs(other) * 0x1p-50)
        return other < score ? -1 : 1;
    other = tzset__small_score(p);
    return other < score ? -1 : other > score;
}

// Whether a score is held as an integer, and as which: up to half of the 64-bit range.
static bool whole(double score, int64_t *number) {
    if (!(score >= -0x1p62 && score <= 0x1p62)) return false;
    *number = (int64_t)score;
    return (double)*number == score;
}

int tzset__small_compare(const uint8_t *p, struct slice text) {
    char scratch[NUM_I64_TEXT_MAX];
    return ranked_compare(listpack_text(p, scratch), text);
}

uint8_t *tzset__small_find(const uint8_t *lp, struct slice member) {
    return listpack_find(lp, listpack_first(lp), member, 1);
}

static bool is_behind(const uint8_t *p, double score, struct slice member) {
    int order = tzset__small_order(listpack__after(p), score);
    return order > 0 || (order == 0 && tzset__small_compare(p, member) > 0);
}

void tzset__small_look(const uint8_t *lp, double score, struct slice member, uint8_t **found,
                       uint8_t **before) {
    const uint8_t *p = listpack_first(lp);
    *found = *before = NULL;
    if (p == NULL) return;
    // What is added at the end, as times are, needs no look at the scores in between.
    if (tzset__small_order(listpack_last(lp), score) < 0) {
        *found = listpack_find(lp, p, member, 1);
        return;
    }
    // A member that is met before its new place cannot be met again, so the search for it goes on
    // only where that was not so.
    bool met = false;
    for (; *p != LISTPACK_END; p = listpack__after(listpack__after(p))) {
        if (is_behind(p, score, member)) break;
        if (!met && listpack_equal(p, member)) {
            *found = (uint8_t *)p;
            met = true;
        }
    }
    if (*p == LISTPACK_END) return;
    *before = (uint8_t *)p;
    if (!met) *found = listpack_find(lp, p, member, 1);
}

// Writes a score as the second of a pair, in front of what stands at p (NULL: at the end).
static uint8_t *insert_score(uint8_t *lp, uint8_t *p, double score) {
    int64_t number;
    if (whole(score, &number)) return listpack_insert_i64(lp, p, number, NULL);
    char text[NUM_DOUBLE_TEXT_MAX];
    return listpack_insert(lp, p, slice_of(text, num_format_double(text, score)), NULL);
}

uint8_t *tzset__small_insert(uint8_t *lp, uint8_t *before, struct slice member, double score) {
    uint8_t *at;
    if (before == NULL) {
        lp = listpack_append(lp, member);
        return insert_score(lp, NULL, score);
    }
    lp = listpack_insert(lp, before, member, &at);
    return insert_score(lp, listpack__after(at), score);
}

static uint8_t *replace_score(uint8_t *lp, uint8_t *p, double score) {
    int64_t number;
    if (whole(score, &number)) return listpack_replace_i64(lp, &p, number);
    char text[NUM_DOUBLE_TEXT_MAX];
    return listpack_replace(lp, &p, slice_of(text, num_format_double(text, score)));
}

uint8_t *tzset__small_move(uint8_t *lp, uint8_t *p, uint8_t *before, struct slice member,
                           double score) {
    uint8_t *end = listpack__after(listpack__after(p));
    if (before == p || before == end || (before == NULL && *end == LISTPACK_END))
        return replace_score(lp, listpack__after(p), score);
    size_t removed = (size_t)(end - p);
    size_t to = before == NULL ? 0 : (size_t)(before - lp) - (before > p ? removed : 0);
    lp = listpack_delete(lp, &p, 2);
    return tzset__small_insert(lp, before == NULL ? NULL : lp + to, member, score);
}

bool tzset__small_is_valid(const uint8_t *lp) {
    if (!listpack_is_valid(lp) || listpack_count(lp) % 2 != 0) return false;
    const uint8_t *last = NULL;
    char scratch[NUM_I64_TEXT_MAX];
    for (const uint8_t *p = listpack_first(lp); p != NULL;) {
        struct slice member = listpack_text(p, scratch);
        const uint8_t *score_at = listpack_next(lp, p);
        double score = tzset__small_score(score_at);
        if (score != score) return false;
        if (last != NULL) {
            double before = tzset__small_score(listpack_next(lp, last));
            if (before > score) return false;
            if (before == score && tzset__small_compare(last, member) >= 0) return false;
        }
        if (tzset__small_find(lp, member) != p) return false;
        last = p;
        p = listpack_next(lp, score_at);
    }
    return true;
}
