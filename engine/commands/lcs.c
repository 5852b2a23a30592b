// SPDX-License-Identifier: BSD-3-Clause
//
// LCS: the longest common subsequence of two strings. The usual table of lengths is never built:
// its rows are kept as bit vectors of horizontal differences, computed 64 columns at a time
// (Hyyro, "Bit-parallel LCS-length computation revisited", 2004), which needs 1/32 of the memory
// and a small part of the time. The way back through the table needs nothing else: where two
// bytes differ, the difference bit says whether the length came from above. Runs on the thread
// that was given the keys; all memory is released before the reply is complete. Invariant: among
// several longest subsequences the one that Redis finds is chosen (from the end: a match first,
// then left unless above is longer).
//
//   row i, column j (1-based):  bit set    L(i,j) == L(i,j-1)
//                               bit clear  L(i,j) == L(i,j-1) + 1
#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/commands/string.h"

#define WORD_BITS  64
#define LENGTH_MAX (UINT32_MAX - 1) // strings must be shorter

struct lcs_options {
    bool only_length, indexes, match_lengths;
    int64_t min_match;
};

/** A run of equal bytes in both strings. Positions are inclusive. */
struct match {
    size_t a_start, b_start, length;
};

struct lcs {
    struct slice a, b;
    size_t words;    // of a row: a bit for each byte of b
    uint64_t *rows;  // a.n + 1 rows, or a single one that is reused when only the length is asked
    uint64_t *masks; // for each byte value in a: where b has it
    size_t length;   // the result
};

static bool parse_options(struct cmd *c, struct lcs_options *out) {
    *out = (struct lcs_options){0};
    for (int i = 3; i < c->argc; i++) {
        struct slice word = c->argv[i];
        if (slice_is(word, "idx")) {
            out->indexes = true;
        } else if (slice_is(word, "len")) {
            out->only_length = true;
        } else if (slice_is(word, "withmatchlen")) {
            out->match_lengths = true;
        } else if (slice_is(word, "minmatchlen") && i + 1 < c->argc) {
            if (!cmd_arg_i64(c, ++i, &out->min_match)) return false;
        } else {
            reply_error(c->reply, error_syntax);
            return false;
        }
    }
    if (!out->only_length || !out->indexes) return true;
    reply_error(c->reply, "ERR If you want both the length and indexes, please just use IDX.");
    return false;
}

/** Whether the strings are within bounds; the memory asked about is that of the plain table. */
static bool sizes_allowed(struct cmd *c, struct slice a, struct slice b) {
    if (a.n >= LENGTH_MAX || b.n >= LENGTH_MAX) {
        reply_error(c->reply, "ERR String too long for LCS");
        return false;
    }
    // At most (2^32 - 2)^2 cells: their number fits 64 bits, four times that might not.
    uint64_t cells = (uint64_t)(a.n + 1) * (b.n + 1);
    if (cells > (uint64_t)c->settings->proto_max_bulk_len / sizeof(uint32_t)) {
        reply_error(c->reply, "ERR Insufficient memory, transient memory for LCS exceeds "
                              "proto-max-bulk-len");
        return false;
    }
    return true;
}

/** Fills l->masks and index: masks of the byte values that a has, in order of first use. */
static void make_masks(struct lcs *l, uint16_t index[256]) {
    size_t used = 0;
    for (size_t i = 0; i < 256; i++) index[i] = UINT16_MAX;
    for (size_t i = 0; i < l->a.n; i++) {
        uint16_t *at = &index[(uint8_t)l->a.p[i]];
        if (*at == UINT16_MAX) *at = (uint16_t)used++;
    }
    l->masks = mem_calloc(used * l->words * sizeof(uint64_t));
    for (size_t j = 0; j < l->b.n; j++) {
        uint16_t at = index[(uint8_t)l->b.p[j]];
        if (at == UINT16_MAX) continue;
        l->masks[at * l->words + j / WORD_BITS] |= UINT64_C(1) << j % WORD_BITS;
    }
}

/** One row from the one above it (which may be the same memory). */
static void next_row(const uint64_t *above, uint64_t *row, const uint64_t *mask, size_t words) {
    bool carry = false;
    for (size_t w = 0; w < words; w++) {
        uint64_t v = above[w], sum;
        bool first = __builtin_add_overflow(v, v & mask[w], &sum);
        bool second = __builtin_add_overflow(sum, (uint64_t)carry, &sum);
        carry = first | second;
        row[w] = sum | (v & ~mask[w]);
    }
}

/** Computes all rows (keep) or the last one, and the length. Both strings are not empty. */
static void compute(struct lcs *l, bool keep) {
    uint16_t index[256];
    l->words = (l->b.n + WORD_BITS - 1) / WORD_BITS;
    make_masks(l, index);
    size_t nrows = keep ? l->a.n + 1 : 1, stride = keep ? l->words : 0;
    l->rows = mem_alloc(nrows * l->words * sizeof(uint64_t));
    memset(l->rows, 0xff, l->words * sizeof(uint64_t));
    uint64_t *row = l->rows;
    for (size_t i = 0; i < l->a.n; i++, row += stride) {
        const uint64_t *mask = l->masks + index[(uint8_t)l->a.p[i]] * l->words;
        next_row(row, row + stride, mask, l->words);
    }
    for (size_t w = 0; w < l->words; w++) {
        l->length += (size_t)__builtin_popcountll(~row[w]); // bits behind b's end stay set
    }
    ASSERT(l->length <= l->a.n && l->length <= l->b.n);
}

static bool came_from_above(const struct lcs *l, size_t i, size_t j) {
    uint64_t word = l->rows[i * l->words + (j - 1) / WORD_BITS];
    return (word >> (j - 1) % WORD_BITS & 1) == 0;
}

/** Walks back from the end and calls `each` for every run of matches, the last first. */
static void walk_matches(const struct lcs *l, void *context,
                         void (*each)(void *context, struct match match)) {
    size_t i = l->a.n, j = l->b.n, run = 0;
    while (i > 0 && j > 0) {
        bool same = l->a.p[i - 1] == l->b.p[j - 1];
        if (!same && run > 0) {
            each(context, (struct match){i, j, run});
            run = 0;
        }
        if (same) {
            i--;
            j--;
            run++;
        } else if (came_from_above(l, i, j)) {
            i--;
        } else {
            j--;
        }
    }
    if (run > 0) each(context, (struct match){i, j, run});
}

struct collected {
    const struct lcs *lcs;
    char *end; // bytes before it are still to come
};

static void collect(void *context, struct match match) {
    struct collected *out = context;
    out->end -= match.length;
    memcpy(out->end, out->lcs->a.p + match.a_start, match.length);
}

struct listed {
    struct cmd *cmd;
    const struct lcs_options *options;
    size_t count;
};

static void list(void *context, struct match match) {
    struct listed *out = context;
    struct reply *r = out->cmd->reply;
    if ((int64_t)match.length < out->options->min_match) return;
    reply_array(r, out->options->match_lengths ? 3 : 2);
    const size_t starts[2] = {match.a_start, match.b_start};
    for (int i = 0; i < 2; i++) {
        reply_array(r, 2);
        reply_int(r, (int64_t)starts[i]);
        reply_int(r, (int64_t)(starts[i] + match.length - 1));
    }
    if (out->options->match_lengths) reply_int(r, (int64_t)match.length);
    out->count++;
}

static void reply_matches(struct cmd *c, const struct lcs *l, const struct lcs_options *options) {
    struct listed listed = {c, options, 0};
    reply_map(c->reply, 2);
    reply_bulk_text(c->reply, "matches");
    size_t mark = reply_array_begin(c->reply);
    if (l->length > 0) walk_matches(l, &listed, list);
    reply_array_end(c->reply, mark, listed.count);
    reply_bulk_text(c->reply, "len");
    reply_int(c->reply, (int64_t)l->length);
}

static void reply_subsequence(struct cmd *c, const struct lcs *l) {
    if (l->length == 0) {
        reply_bulk(c->reply, "", 0);
        return;
    }
    char *text = mem_alloc(l->length);
    struct collected collected = {l, text + l->length};
    walk_matches(l, &collected, collect);
    ASSERT(collected.end == text);
    reply_bulk(c->reply, text, l->length);
    mem_free(text);
}

void string_lcs(struct cmd *c) {
    struct found found[2];
    found[0] = cmd_read(c, 1);
    found[1] = cmd_read(c, 2);
    struct slice text[2] = {SLICE_LITERAL(""), SLICE_LITERAL("")};
    char scratch[2][NUM_I64_TEXT_MAX];
    for (int i = 0; i < 2; i++) {
        if (found[i].ref.entry == NULL) continue;
        if (entry_type(found[i].ref.entry) != ENTRY_STRING) {
            reply_error(c->reply, "ERR The specified keys must contain string values");
            return;
        }
        text[i] = entry_string(found[i].ref.entry, scratch[i]);
    }
    struct lcs_options options;
    if (!parse_options(c, &options) || !sizes_allowed(c, text[0], text[1])) return;

    struct lcs l = {.a = text[0], .b = text[1]};
    if (l.a.n > 0 && l.b.n > 0) compute(&l, !options.only_length);
    if (options.indexes) {
        reply_matches(c, &l, &options);
    } else if (options.only_length) {
        reply_int(c->reply, (int64_t)l.length);
    } else {
        reply_subsequence(c, &l);
    }
    mem_free(l.masks);
    mem_free(l.rows);
}
