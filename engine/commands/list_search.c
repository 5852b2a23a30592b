// SPDX-License-Identifier: BSD-3-Clause
//
// LPOS: where in a list an item stands. A walk from either end that ends early when it may. No
// state; runs on whichever thread runs the command; reading never writes. Invariant: positions are
// those that LINDEX takes, also when the walk goes backwards. Called through the command table.
#include "engine/commands/list_parts.h"

struct search {
    uint64_t rank;  // of the first match to be told, from 1
    bool backwards; // RANK was negative
    bool many;      // COUNT was given: reply with an array
    uint64_t count; // of matches at most, 0: all
    uint64_t most;  // items to look at, 0: all
};

static bool parse_rank(struct cmd *c, int arg, struct search *s) {
    int64_t rank;
    if (!cmd_arg_i64(c, arg, &rank)) return false;
    if (rank == INT64_MIN) {
        reply_error_format(c->reply, "ERR value is out of range, value must between %ld and %ld",
                           (long)-INT64_MAX, (long)INT64_MAX);
        return false;
    }
    if (rank == 0) {
        reply_error(c->reply,
                    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second"
                    " ... or use negative to start from the end of the list");
        return false;
    }
    s->backwards = rank < 0;
    s->rank = (uint64_t)(rank < 0 ? -rank : rank);
    return true;
}

static bool parse(struct cmd *c, struct search *s) {
    *s = (struct search){.rank = 1};
    for (int i = 3; i < c->argc; i += 2) {
        int64_t n;
        bool more = i + 1 < c->argc;
        if (more && slice_is(c->argv[i], "rank")) {
            if (!parse_rank(c, i + 1, s)) return false;
        } else if (more && slice_is(c->argv[i], "count")) {
            if (!cmd_arg_range(c, i + 1, 0, INT64_MAX, &n, "ERR COUNT can't be negative"))
                return false;
            s->many = true;
            s->count = (uint64_t)n;
        } else if (more && slice_is(c->argv[i], "maxlen")) {
            if (!cmd_arg_range(c, i + 1, 0, INT64_MAX, &n, "ERR MAXLEN can't be negative"))
                return false;
            s->most = (uint64_t)n;
        } else {
            reply_error(c->reply, error_syntax);
            return false;
        }
    }
    return true;
}

/** Replies with the positions that were asked for; returns how many. */
static uint64_t search(struct cmd *c, struct value v, const struct search *s) {
    struct tlist_iterator it;
    struct listpack_item item;
    struct tlist_text text = tlist_text(c->argv[2]);
    uint64_t length = tlist_length(v), matches = 0, told = 0;
    uint64_t most = s->most == 0 || s->most > length ? length : s->most;
    tlist_iterate(&it, v, s->backwards ? -1 : 0, s->backwards);
    for (uint64_t i = 0; i < most && tlist_next(&it, &item); i++) {
        if (!tlist_equal(&item, &text) || ++matches < s->rank) continue;
        reply_int(c->reply, (int64_t)(s->backwards ? length - 1 - i : i));
        told++;
        if (!s->many || told == s->count) break;
    }
    tlist_end(&it);
    return told;
}

void list_lpos(struct cmd *c) {
    struct search s;
    struct value v;
    if (!parse(c, &s) || !collection_read(c, 1, ENTRY_LIST, &v)) return;
    size_t mark = s.many ? reply_array_begin(c->reply) : 0;
    uint64_t told = v.encoding != 0 ? search(c, v, &s) : 0;
    if (s.many)
        reply_array_end(c->reply, mark, told);
    else if (told == 0)
        reply_null(c->reply);
}
