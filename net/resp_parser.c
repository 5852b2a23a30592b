// SPDX-License-Identifier: BSD-3-Clause
//
// The request parser (RESP arrays of bulk strings, inline commands). It owns nothing but the
// offsets of a command that has not arrived completely; everything else is the caller's. Runs on
// the shard that owns the connection, called once for each command of what was received. A command
// that is there in one piece is parsed straight into the argument list. Invariant: between two
// calls `position` bytes are understood for good and are never looked at again; room is only made
// for arguments whose bytes have arrived, whatever a header claims.
#include "net/resp_parser.h"

#include <stdio.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/base/num.h"

#define ARG_BYTES_MIN 6 // "$0\r\n\r\n", the shortest argument on the wire

enum line_status {
    LINE_WHOLE,
    LINE_PARTIAL,
    LINE_TOO_LONG,
};

void resp_args_free(struct resp_args *args) {
    mem_free(args->v);
    mem_free(args->line);
    *args = (struct resp_args){0};
}

void resp_parser_init(struct resp_parser *parser) {
    *parser = (struct resp_parser){.bulk_left = -1};
}

void resp_parser_fini(struct resp_parser *parser) {
    mem_free(parser->offsets);
    resp_parser_init(parser);
}

static void args_reserve(struct resp_args *args, size_t more) {
    if (likely(args->cap - args->len >= more)) return;
    size_t cap = args->cap < 32 ? 64 : args->cap * 2;
    if (cap < args->len + more) cap = args->len + more;
    args->v = mem_realloc(args->v, cap * sizeof(args->v[0]));
    args->cap = cap;
}

static enum resp_status fail(struct resp_parser *parser, struct resp_result *result,
                             const char *text) {
    snprintf(result->error, sizeof(result->error), "ERR Protocol error: %s", text);
    resp_parser_fini(parser);
    return RESP_ERROR;
}

static enum resp_status fail_expected_dollar(struct resp_parser *parser, struct resp_result *result,
                                             char got) {
    char text[32];
    // Line breaks would end the error reply early: Redis shows them as spaces, too.
    if (got == '\r' || got == '\n' || got == '\0') got = ' ';
    snprintf(text, sizeof(text), "expected '$', got '%c'", got);
    return fail(parser, result, text);
}

static enum resp_status more(struct resp_result *result, size_t missing) {
    result->missing = missing;
    return RESP_MORE;
}

/**
 * Looks for the end of a header line that starts at p: a '\r' with a byte behind it, whatever that
 * is (Redis does not look at it either). Sets *line to the length before the '\r'.
 */
static enum line_status find_header_end(struct resp_parser *parser, const char *p, const char *end,
                                        size_t *line) {
    size_t there = (size_t)(end - p);
    size_t window = there <= RESP_INLINE_MAX ? there : RESP_INLINE_MAX + 1;
    size_t from = parser->line_scanned;
    const char *cr = from < window ? memchr(p + from, '\r', window - from) : NULL;
    if (cr == NULL) {
        parser->line_scanned = window;
        return there > RESP_INLINE_MAX ? LINE_TOO_LONG : LINE_PARTIAL;
    }
    *line = (size_t)(cr - p);
    if (there - *line < 2) {
        parser->line_scanned = *line;
        return LINE_PARTIAL;
    }
    parser->line_scanned = 0;
    return LINE_WHOLE;
}

/** Keeps the arguments from args->v[first] on as offsets, because the caller's bytes may move. */
static void save_args(struct resp_parser *parser, const char *data, struct resp_args *args,
                      size_t first) {
    size_t n = args->len - first;
    if (n == 0) return;
    size_t need = parser->offset_count + n;
    if (need > parser->offset_cap) {
        size_t cap = (size_t)parser->offset_cap * 2;
        if (cap < need) cap = need;
        parser->offsets = mem_realloc(parser->offsets, cap * 2 * sizeof(parser->offsets[0]));
        parser->offset_cap = (uint32_t)cap;
    }
    size_t *pair = parser->offsets + (size_t)parser->offset_count * 2;
    for (size_t i = first; i < args->len; i++) {
        *pair++ = (size_t)(args->v[i].p - data);
        *pair++ = args->v[i].n;
    }
    parser->offset_count = (uint32_t)need;
    args->len = first;
}

/** Puts the saved arguments in front of those that this call found. */
static void restore_args(struct resp_parser *parser, const char *data, struct resp_args *args,
                         size_t first) {
    size_t saved = parser->offset_count;
    if (saved == 0) return;
    args_reserve(args, saved);
    struct slice *v = args->v + first;
    memmove(v + saved, v, (args->len - first) * sizeof(v[0]));
    for (size_t i = 0; i < saved; i++) {
        v[i] = slice_of(data + parser->offsets[2 * i], parser->offsets[2 * i + 1]);
    }
    args->len += saved;
}

/**
 * Understands "$<length>\r\n" at *p and moves behind it. RESP_COMMAND means: done,
 * parser->bulk_left holds the length. This is the way for what is long, partial or wrong; see
 * bulk_header_short.
 */
static enum resp_status bulk_header(struct resp_parser *parser, const char **p, const char *end,
                                    const struct resp_limits *limits, struct resp_result *result) {
    size_t line;
    switch (find_header_end(parser, *p, end, &line)) {
    case LINE_TOO_LONG: return fail(parser, result, "too big bulk count string");
    case LINE_PARTIAL: return more(result, 1);
    case LINE_WHOLE: break;
    }
    if (**p != '$') return fail_expected_dollar(parser, result, **p);
    int64_t n;
    if (!num_parse_i64(slice_of(*p + 1, line - 1), &n) || n < 0 || n > limits->bulk_max) {
        return fail(parser, result, "invalid bulk length");
    }
    if (n > RESP_BULK_UNAUTHENTICATED && !limits->authenticated) {
        return fail(parser, result, "unauthenticated bulk length");
    }
    parser->bulk_left = n;
    *p += line + 2;
    return RESP_COMMAND;
}

/**
 * The common headers, "$0\r\n" to "$9999\r\n", without a search: returns the length, or -1. Needs 7
 * readable bytes.
 */
static inline int64_t bulk_header_short(const char **p) {
    const char *q = *p;
    unsigned a = (unsigned char)q[1] - (unsigned)'0';
    unsigned b = (unsigned char)q[2] - (unsigned)'0';
    if (unlikely(q[0] != '$' || a > 9)) return -1;
    if (likely(q[2] == '\r')) {
        *p = q + 4;
        return a;
    }
    if (unlikely(b > 9 || a == 0)) return -1;
    if (likely(q[3] == '\r')) {
        *p = q + 5;
        return a * 10 + b;
    }
    // Nothing before this byte was a '\r', so there is no reading past a line's end here.
    unsigned c = (unsigned char)q[3] - (unsigned)'0';
    if (c > 9) return -1;
    if (q[4] == '\r') {
        *p = q + 6;
        return a * 100 + b * 10 + c;
    }
    unsigned d = (unsigned char)q[4] - (unsigned)'0';
    if (d > 9 || q[5] != '\r') return -1;
    *p = q + 7;
    return a * 1000 + b * 100 + c * 10 + d;
}

/**
 * Reads the arguments that are there, from p on, while args_left > 0. RESP_COMMAND when all are
 * read; then *at is behind the last. The loop touches a header once and never the bytes of an
 * argument.
 */
static enum resp_status parse_args(struct resp_parser *parser, const char *data, const char *p,
                                   const char *end, const struct resp_limits *limits,
                                   struct resp_args *args, struct resp_result *result,
                                   const char **at) {
    // A header is at least 6 bytes with its argument, but for one whose header was read before.
    size_t room = (size_t)(end - p) / ARG_BYTES_MIN + 1;
    if (room > (uint64_t)parser->args_left) room = (size_t)parser->args_left;
    args_reserve(args, room);
    size_t first = args->len;
    struct slice *v = args->v + first;
    int64_t left = parser->args_left;
    int64_t bulk = parser->bulk_left;
    const int64_t bulk_short_max = limits->bulk_max < 9999 ? limits->bulk_max : 9999;
    enum resp_status status = RESP_COMMAND;
    for (; left > 0; left--) {
        if (bulk < 0) {
            const char *header = p;
            if (likely(end - p >= 7)) bulk = bulk_header_short(&p);
            if (unlikely(bulk < 0 || bulk > bulk_short_max)) {
                p = header;
                status = bulk_header(parser, &p, end, limits, result);
                if (status != RESP_COMMAND) break;
                bulk = parser->bulk_left;
            }
            parser->line_scanned = 0;
        }
        if (unlikely((uint64_t)(end - p) < (uint64_t)bulk + 2)) {
            status = more(result, (size_t)bulk + 2 - (size_t)(end - p));
            break;
        }
        *v++ = slice_of(p, (size_t)bulk);
        p += bulk + 2;
        bulk = -1;
    }
    args->len = (size_t)(v - args->v);
    ASSERT_DEV(args->len <= args->cap);
    if (likely(status == RESP_COMMAND)) {
        *at = p;
    } else if (status == RESP_MORE) {
        parser->position = (size_t)(p - data);
        parser->args_left = left;
        parser->bulk_left = bulk;
        save_args(parser, data, args, first);
    } else {
        args->len = first;
    }
    return status;
}

/** Understands "*<count>\r\n" at data; RESP_COMMAND: args_left is set and *p behind it. */
static enum resp_status array_header(struct resp_parser *parser, const char *data, const char *end,
                                     const struct resp_limits *limits, struct resp_result *result,
                                     const char **p) {
    if (likely(end - data >= 4) && data[2] == '\r' && data[1] >= '1' && data[1] <= '9') {
        parser->args_left = data[1] - '0';
        parser->line_scanned = 0;
        *p = data + 4;
        return RESP_COMMAND;
    }
    size_t line;
    switch (find_header_end(parser, data, end, &line)) {
    case LINE_TOO_LONG: return fail(parser, result, "too big mbulk count string");
    case LINE_PARTIAL: return more(result, 1);
    case LINE_WHOLE: break;
    }
    int64_t n;
    if (!num_parse_i64(slice_of(data + 1, line - 1), &n) || n > RESP_ARGS_MAX) {
        return fail(parser, result, "invalid multibulk length");
    }
    if (n > RESP_ARGS_UNAUTHENTICATED && !limits->authenticated) {
        return fail(parser, result, "unauthenticated multibulk length");
    }
    if (n <= 0) {
        result->consumed = line + 2;
        return RESP_NOTHING;
    }
    parser->args_left = n;
    *p = data + line + 2;
    return RESP_COMMAND;
}

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static char escape_value(char c) {
    switch (c) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    default: return c;
    }
}

/**
 * Unescapes the quoted part that starts behind its opening quote at p, writing from *w on. Returns
 * the place behind the closing quote, or NULL when there is none or something sticks to it.
 */
static const char *unquote(const char *p, const char *end, char quote, char **w) {
    char *out = *w;
    while (p < end && *p != quote) {
        if (*p != '\\' || p + 1 == end) {
            *out++ = *p++;
        } else if (quote == '\'') {
            if (p[1] == '\'') p++;
            *out++ = *p++;
        } else if (p[1] == 'x' && end - p >= 4 && hex_value(p[2]) >= 0 && hex_value(p[3]) >= 0) {
            *out++ = (char)(hex_value(p[2]) * 16 + hex_value(p[3]));
            p += 4;
        } else {
            *out++ = escape_value(p[1]);
            p += 2;
        }
    }
    if (p == end) return NULL;
    p++;
    if (p < end && !is_space(*p)) return NULL;
    *w = out;
    return p;
}

/**
 * A copy of a line that has quotes, to unescape in: the caller may have to parse the same bytes
 * again. Without quotes nothing is rewritten and the line itself will do.
 */
static char *line_to_split(char *line, const char **end, struct resp_args *args) {
    size_t n = (size_t)(*end - line);
    if (!memchr(line, '"', n) && !memchr(line, '\'', n)) return line;
    if (args->line_cap < n) {
        args->line = mem_realloc(args->line, n);
        args->line_cap = n;
    }
    memcpy(args->line, line, n);
    *end = args->line + n;
    return args->line;
}

/** Splits one line into arguments, unescaping in place. False: unbalanced quotes. */
static bool split_line(char *line, const char *end, struct resp_args *args) {
    const char *p = line;
    for (;;) {
        while (p < end && is_space(*p)) p++;
        if (p == end) return true;
        char *start = line + (p - line);
        char *w = start;
        // A word ends at a blank or behind its first quoted part; vertical tabs and form feeds
        // separate words but do not end one: so does Redis.
        while (p < end && *p != ' ' && *p != '\n' && *p != '\r' && *p != '\t') {
            if (*p == '"' || *p == '\'') {
                p = unquote(p + 1, end, *p, &w);
                if (p == NULL) return false;
                break;
            }
            *w++ = *p++;
        }
        args_reserve(args, 1);
        args->v[args->len++] = slice_of(start, (size_t)(w - start));
    }
}

static enum resp_status parse_inline(struct resp_parser *parser, char *data, size_t length,
                                     struct resp_args *args, struct resp_result *result) {
    size_t window = length <= RESP_INLINE_MAX ? length : RESP_INLINE_MAX + 1;
    size_t from = parser->line_scanned;
    const char *newline = from < window ? memchr(data + from, '\n', window - from) : NULL;
    if (newline == NULL) {
        parser->line_scanned = window;
        if (length > RESP_INLINE_MAX) return fail(parser, result, "too big inline request");
        return more(result, 1);
    }
    const char *end = newline;
    if (end > data && end[-1] == '\r') end--;
    size_t first = args->len;
    char *line = line_to_split(data, &end, args);
    if (!split_line(line, end, args)) {
        args->len = first;
        return fail(parser, result, "unbalanced quotes in request");
    }
    result->consumed = (size_t)(newline - data) + 1;
    result->argc = (int)(args->len - first);
    parser->line_scanned = 0;
    return result->argc == 0 ? RESP_NOTHING : RESP_COMMAND;
}

/**
 * The common command in one go: a few short arguments that are all there. Returns where it ends, or
 * NULL; then nothing has been done.
 */
static inline const char *parse_whole(const char *p, const char *end,
                                      const struct resp_limits *limits, struct resp_args *args) {
    unsigned n = (unsigned char)p[1] - (unsigned)'0';
    if (n - 1 > 8 || p[2] != '\r') return NULL;
    args_reserve(args, n);
    struct slice *v = args->v + args->len;
    p += 4;
    for (unsigned i = 0; i < n; i++) {
        if (end - p < 7) return NULL;
        int64_t bulk = bulk_header_short(&p);
        if (bulk < 0 || bulk > limits->bulk_max || end - p < bulk + 2) return NULL;
        v[i] = slice_of(p, (size_t)bulk);
        p += bulk + 2;
    }
    args->len += n;
    return p;
}

enum resp_status resp_parse(struct resp_parser *parser, char *data, size_t length,
                            const struct resp_limits *limits, struct resp_args *args,
                            struct resp_result *result) {
    result->consumed = 0;
    result->first = args->len;
    result->argc = 0;
    result->missing = 0;
    if (length == 0) return more(result, 1);
    const char *end = data + length;
    const char *p = data;
    if (likely(parser->args_left == 0)) {
        if (unlikely(data[0] != '*')) return parse_inline(parser, data, length, args, result);
        const char *whole = length >= 4 ? parse_whole(data, end, limits, args) : NULL;
        if (likely(whole != NULL)) {
            result->consumed = (size_t)(whole - data);
            result->argc = (int)(args->len - result->first);
            parser->line_scanned = 0;
            return RESP_COMMAND;
        }
        enum resp_status status = array_header(parser, data, end, limits, result, &p);
        if (unlikely(status != RESP_COMMAND)) return status;
    } else {
        ASSERT(parser->position <= length);
        p = data + parser->position;
    }
    size_t first = result->first;
    enum resp_status status = parse_args(parser, data, p, end, limits, args, result, &p);
    if (unlikely(status != RESP_COMMAND)) return status;
    if (unlikely(parser->offset_count > 0)) restore_args(parser, data, args, first);
    result->consumed = (size_t)(p - data);
    result->argc = (int)(args->len - first);
    parser->args_left = 0;
    parser->bulk_left = -1;
    if (unlikely(parser->position > 0)) resp_parser_fini(parser);
    return RESP_COMMAND;
}
