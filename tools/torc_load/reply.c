// SPDX-License-Identifier: BSD-3-Clause
/*
 * The RESP reply reader: a state machine over arbitrary pieces of the stream.
 *
 * Every element starts with a line. A line that lies complete in the input is read in place; only a
 * line cut by the end of the input is put together in the parser. Strings with a length are stepped
 * over by a counter. A stack of frames remembers how many elements each open aggregate still lacks.
 * Runs in worker threads, one parser for each connection. Invariant: an element is finished exactly
 * once, by finish_element(), which also closes the aggregates that it completes.
 */
#include "tools/torc_load/reply.h"

#include <stdio.h>
#include <string.h>

void reply_init(struct reply_parser *p) { memset(p, 0, sizeof *p); }

static enum reply_result bad(struct reply_parser *p, const char *what, const char *line,
                             size_t len) {
    snprintf(p->error, sizeof p->error, "%s: '%.*s'", what, (int)(len < 64 ? len : 64), line);
    return REPLY_BAD;
}

/* Counts one element as complete; true when that completes the whole reply. */
static bool finish_element(struct reply_parser *p) {
    while (p->depth > 0) {
        struct reply_frame *frame = &p->frames[p->depth - 1];
        if (--frame->left > 0) return false;
        p->depth--;
        if (frame->is_attribute) return false; /* the element it describes is still to come */
    }
    p->is_started = false;
    return true;
}

/* Reads a length: digits, or -1 for null (is_null). False when it is neither. */
static bool read_length(const char *text, size_t len, uint64_t *value, bool *is_null) {
    *value = 0;
    *is_null = len == 2 && text[0] == '-' && text[1] == '1';
    if (*is_null) return true;
    if (len == 0 || len > 18) return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        *value = *value * 10 + (uint64_t)(text[i] - '0');
    }
    return true;
}

/* Opens an aggregate of `count` elements. */
static enum reply_result open_aggregate(struct reply_parser *p, uint64_t count, bool is_attribute) {
    if (count == 0) {
        if (is_attribute) return REPLY_MORE;
        return finish_element(p) ? REPLY_DONE : REPLY_MORE;
    }
    if (p->depth == REPLY_DEPTH_MAX) return bad(p, "reply is nested too deeply", "", 0);
    p->frames[p->depth++] = (struct reply_frame){.left = count, .is_attribute = is_attribute};
    return REPLY_MORE;
}

static void keep_error(struct reply_parser *p, const char *text, size_t len) {
    if (p->has_error) return;
    p->has_error = true;
    if (len >= sizeof p->error) len = sizeof p->error - 1;
    memcpy(p->error, text, len);
    p->error[len] = '\0';
}

/* A line that announces a payload of known length: string, verbatim string or error. */
static enum reply_result begin_payload(struct reply_parser *p, const char *line, size_t len) {
    uint64_t length;
    bool is_null;
    if (!read_length(line + 1, len - 1, &length, &is_null))
        return bad(p, "wrong length in reply", line, len);
    if (is_null) {
        p->nulls++;
        return finish_element(p) ? REPLY_DONE : REPLY_MORE;
    }
    if (line[0] == '!')
        keep_error(p, "(error with a length)", 21);
    else
        p->values++;
    p->skip = length + 2;
    return REPLY_MORE;
}

static enum reply_result begin_aggregate(struct reply_parser *p, const char *line, size_t len) {
    uint64_t count;
    bool is_null;
    if (!read_length(line + 1, len - 1, &count, &is_null))
        return bad(p, "wrong count in reply", line, len);
    if (is_null) {
        p->nulls++;
        return finish_element(p) ? REPLY_DONE : REPLY_MORE;
    }
    bool is_map = line[0] == '%' || line[0] == '|';
    return open_aggregate(p, is_map ? count * 2 : count, line[0] == '|');
}

/* Handles one complete line, without its CRLF. */
static enum reply_result on_line(struct reply_parser *p, const char *line, size_t len) {
    if (len == 0) return bad(p, "empty line in reply", line, len);
    if (!p->is_started) {
        p->is_started = true;
        p->has_error = false;
        p->nulls = p->values = 0;
    }
    if (p->depth == 0) p->type = line[0]; /* behind an attribute this is the reply itself */
    switch (line[0]) {
    case '$':
    case '=':
    case '!': return begin_payload(p, line, len);
    case '*':
    case '%':
    case '~':
    case '>':
    case '|': return begin_aggregate(p, line, len);
    case '-': keep_error(p, line + 1, len - 1); break;
    case '_': p->nulls++; break;
    case '+':
    case ':':
    case ',':
    case '#':
    case '(': p->values++; break;
    default: return bad(p, "unknown type of reply", line, len);
    }
    return finish_element(p) ? REPLY_DONE : REPLY_MORE;
}

/* Steps over payload bytes; REPLY_DONE when the payload's element completed the reply. */
static enum reply_result skip_payload(struct reply_parser *p, const char **cursor,
                                      const char *end) {
    uint64_t have = (uint64_t)(end - *cursor);
    if (have < p->skip) {
        p->skip -= have;
        *cursor = end;
        return REPLY_MORE;
    }
    *cursor += p->skip;
    p->skip = 0;
    return finish_element(p) ? REPLY_DONE : REPLY_MORE;
}

/* Keeps a piece of a line that is cut by the end of the input. */
static void collect_line(struct reply_parser *p, const char *from, size_t len) {
    size_t room = sizeof p->line - p->line_len;
    if (len > room) len = room;
    memcpy(p->line + p->line_len, from, len);
    p->line_len += (uint32_t)len;
}

/* Takes the next line from the input, or keeps the piece of it that is there. */
static enum reply_result take_line(struct reply_parser *p, const char **cursor, const char *end) {
    const char *start = *cursor;
    const char *newline = memchr(start, '\n', (size_t)(end - start));
    const char *stop = newline != NULL ? newline : end;
    *cursor = newline != NULL ? newline + 1 : end;
    if (p->line_len == 0 && newline != NULL) {
        if (newline == start || newline[-1] != '\r')
            return bad(p, "line does not end in CRLF", start, (size_t)(newline - start));
        return on_line(p, start, (size_t)(newline - start) - 1);
    }
    collect_line(p, start, (size_t)(stop - start));
    if (newline == NULL) return REPLY_MORE;
    size_t len = p->line_len;
    p->line_len = 0;
    if (len < sizeof p->line) {
        if (p->line[len - 1] != '\r') return bad(p, "line does not end in CRLF", p->line, len);
        len--;
    }
    return on_line(p, p->line, len);
}

enum reply_result reply_feed(struct reply_parser *p, const char **cursor, const char *end) {
    while (*cursor < end) {
        enum reply_result result =
            p->skip > 0 ? skip_payload(p, cursor, end) : take_line(p, cursor, end);
        if (result != REPLY_MORE) return result;
    }
    return REPLY_MORE;
}
