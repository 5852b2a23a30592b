// SPDX-License-Identifier: BSD-3-Clause
//
// The common part of all scans: their cursor and options, and how their reply is put together. No
// state; runs on whichever thread runs the command. Invariant: a function that returns false, or an
// error, has written exactly one error. Called by keys_scan.c, and by sets, hashes and sorted sets.
#include "engine/commands/scan_options.h"

#include "engine/base/num.h"

bool scan_parse_cursor(struct slice text, uint64_t *out) {
    uint64_t value = 0;
    bool negative = text.n > 1 && text.p[0] == '-';
    size_t i = text.n > 1 && (text.p[0] == '-' || text.p[0] == '+') ? 1 : 0;
    for (; i < text.n; i++) {
        uint64_t digit = (uint64_t)(unsigned char)text.p[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *out = negative ? -value : value;
    return true;
}

bool scan_arg_cursor(struct cmd *c, int arg, uint64_t *out) {
    if (scan_parse_cursor(c->argv[arg], out)) return true;
    reply_error(c->reply, "ERR invalid cursor");
    return false;
}

enum scan_option scan_option(struct cmd *c, int arg, struct scan_options *o) {
    if (arg + 1 >= c->argc) return SCAN_OPTION_NONE;
    if (slice_is(c->argv[arg], "count")) {
        if (!cmd_arg_i64(c, arg + 1, &o->count)) return SCAN_OPTION_ERROR;
        if (o->count >= 1) return SCAN_OPTION_TAKEN;
        reply_error(c->reply, error_syntax);
        return SCAN_OPTION_ERROR;
    }
    if (slice_is(c->argv[arg], "match")) {
        // Everything matches "*": no pattern is cheaper.
        o->pattern = c->argv[arg + 1];
        if (slice_equal(o->pattern, SLICE_LITERAL("*"))) o->pattern = (struct slice){0};
        return SCAN_OPTION_TAKEN;
    }
    return SCAN_OPTION_NONE;
}

bool scan_options(struct cmd *c, int first, bool hash, struct scan_options *o) {
    *o = SCAN_OPTIONS_DEFAULT;
    for (int i = first; i < c->argc; i++) {
        enum scan_option taken = scan_option(c, i, o);
        if (taken == SCAN_OPTION_ERROR) return false;
        if (taken == SCAN_OPTION_TAKEN) {
            i++;
        } else if (hash && slice_is(c->argv[i], "novalues")) {
            o->no_values = true;
        } else {
            reply_error(c->reply, error_syntax);
            return false;
        }
    }
    return true;
}

void scan_reply_empty(struct cmd *c) {
    reply_array(c->reply, 2);
    reply_bulk_int(c->reply, 0);
    reply_array(c->reply, 0);
}

void scan_found_init(struct scan_found *found, struct cmd *c) {
    *found = (struct scan_found){.c = c};
    reply_init(&found->reply, &found->bytes, c->reply->proto);
}

void scan_found_end(struct scan_found *found, uint64_t cursor) {
    struct reply *reply = found->c->reply;
    reply_array(reply, 2);
    reply_bulk_int(reply, (int64_t)cursor);
    reply_array(reply, found->count);
    reply_raw(reply, found->bytes.p, found->bytes.len);
    buf_free(&found->bytes);
}
