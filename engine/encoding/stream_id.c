// SPDX-License-Identifier: BSD-3-Clause
//
// Stream ids as text, both ways, with the leniency of Redis 7.2: what strtoull() takes of a part is
// taken. Pure functions without state; any thread. Invariant: what is formatted parses back to the
// same id. Called by stream commands.
#include "engine/encoding/stream_id.h"

#include <ctype.h>

/** A part that is no canonical number: spaces, a sign and leading zeros are allowed. */
static bool parse_lenient(struct slice text, uint64_t *out) {
    size_t i = 0;
    uint64_t value = 0;
    while (i < text.n && isspace((unsigned char)text.p[i])) i++;
    bool negative = i < text.n && text.p[i] == '-';
    if (i < text.n && (text.p[i] == '-' || text.p[i] == '+')) i++;
    if (i == text.n) return false;
    for (; i < text.n; i++) {
        unsigned digit = (unsigned)(unsigned char)text.p[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *out = negative ? 0 - value : value;
    return true;
}

static bool parse_part(struct slice text, uint64_t *out) {
    int64_t number;
    if (num_parse_u64(text, out)) return true;
    if (num_parse_i64(text, &number)) return false; // a canonical negative number
    return parse_lenient(text, out);
}

bool stream_id_parse(struct slice text, uint64_t missing_seq, struct stream_id *id, bool *any_seq) {
    if (any_seq != NULL) *any_seq = false;
    if (text.n > STREAM_ID_PARSED_MAX) return false;
    const char *dash = text.n > 0 ? memchr(text.p, '-', text.n) : NULL;
    id->seq = missing_seq;
    if (dash == NULL) return parse_part(text, &id->ms);
    size_t before = (size_t)(dash - text.p);
    struct slice seq = slice_of(dash + 1, text.n - before - 1);
    if (!parse_part(slice_of(text.p, before), &id->ms)) return false;
    if (any_seq == NULL || seq.n != 1 || *seq.p != '*') return parse_part(seq, &id->seq);
    *any_seq = true;
    id->seq = 0;
    return true;
}

size_t stream_id_format(char out[STREAM_ID_TEXT_MAX], struct stream_id id) {
    size_t n = num_format_u64(out, id.ms);
    out[n++] = '-';
    return n + num_format_u64(out + n, id.seq);
}
