// SPDX-License-Identifier: BSD-3-Clause
//
// RESP2 and RESP3 on the wire. Every writer reserves once for the longest it can need and then
// stores without checks; lengths below 10,000 (nearly all) go through a short path. Runs on the
// thread that executes the command; owns nothing: the buffer belongs to the caller. Invariant:
// after each call the buffer ends with complete RESP elements, save for what an open array mark
// still has to announce. Called by commands, and by the shards for protocol errors.
#include "engine/base/reply.h"

#include <stdarg.h>
#include <stdio.h>

#include "engine/base/num.h"

// One type byte, the longest number, a line break.
#define HEADER_MAX       (1 + NUM_I64_TEXT_MAX + 2)
#define ERROR_FORMAT_MAX 1024
// Room that an array of unknown length sets aside in front: "*9\r\n" then needs no moving.
#define MARK_BYTES       4

static inline char *put_break(char *p) {
    memcpy(p, "\r\n", 2);
    return p + 2;
}

static inline char *put_two(char *p, uint8_t n) { // division by a constant is cheaper in bytes
    *p++ = (char)('0' + n / 10);
    *p++ = (char)('0' + n % 10);
    return p;
}

static inline char *put_header(char *p, char type, uint64_t n) {
    *p++ = type;
    if (likely(n < 10)) {
        *p++ = (char)('0' + n);
    } else if (likely(n < 100)) {
        p = put_two(p, (uint8_t)n);
    } else if (n < 10000) {
        unsigned high = (unsigned)n / 100;
        if (high < 10)
            *p++ = (char)('0' + high);
        else
            p = put_two(p, (uint8_t)high);
        p = put_two(p, (uint8_t)(n % 100));
    } else {
        p += num_format_u64(p, n);
    }
    return put_break(p);
}

static inline void advance(struct reply *r, const char *end) {
    r->out->len = (size_t)(end - r->out->p);
    ASSERT_DEV(r->out->len <= r->out->cap);
}

static inline void header(struct reply *r, char type, uint64_t n) {
    advance(r, put_header(buf_reserve(r->out, HEADER_MAX), type, n));
}

void reply_raw(struct reply *r, const void *p, size_t n) { buf_append(r->out, p, n); }

void reply_status(struct reply *r, const char *text) {
    size_t n = strlen(text);
    ASSERT_DEV(memchr(text, '\n', n) == NULL && memchr(text, '\r', n) == NULL);
    char *p = buf_reserve(r->out, n + 3);
    *p++ = '+';
    memcpy(p, text, n);
    advance(r, put_break(p + n));
}

void reply_ok(struct reply *r) { buf_append(r->out, "+OK\r\n", 5); }

static void note_error(struct reply *r, struct slice text) {
    r->errors++;
    size_t n = 0;
    while (n < text.n && n < sizeof(r->error_code) - 1 && text.p[n] != ' ') n++;
    memcpy(r->error_code, text.p, n);
    r->error_code[n] = '\0';
}

void reply_error_slice(struct reply *r, struct slice text) {
    ASSERT(text.n != 0);
    // A message made from somebody's line may end with its break: that is not part of the message.
    while (text.n > 1 && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r')) text.n--;
    note_error(r, text);
    char *p = buf_reserve(r->out, text.n + 3);
    *p++ = '-';
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        *p++ = c == '\r' || c == '\n' ? ' ' : c;
    }
    advance(r, put_break(p));
}

void reply_error(struct reply *r, const char *text) { reply_error_slice(r, slice_text(text)); }

void reply_error_format(struct reply *r, const char *format, ...) {
    char stack[ERROR_FORMAT_MAX];
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(stack, sizeof(stack), format, args);
    va_end(args);
    ASSERT(n > 0);
    if ((size_t)n < sizeof(stack)) {
        reply_error_slice(r, slice_of(stack, (size_t)n));
    } else {
        struct buf long_text = {0};
        int second =
            vsnprintf(buf_reserve(&long_text, (size_t)n + 1), (size_t)n + 1, format, again);
        ASSERT(second == n);
        reply_error_slice(r, slice_of(long_text.p, (size_t)n));
        buf_free(&long_text);
    }
    va_end(again);
}

void reply_int(struct reply *r, int64_t value) {
    if (likely(value >= 0)) {
        header(r, ':', (uint64_t)value);
        return;
    }
    char *p = buf_reserve(r->out, HEADER_MAX);
    *p++ = ':';
    p += num_format_i64(p, value);
    advance(r, put_break(p));
}

static inline void bulk(struct reply *r, const void *bytes, size_t n) {
    char *p = put_header(buf_reserve(r->out, HEADER_MAX + n + 2), '$', n);
    if (n != 0) memcpy(p, bytes, n);
    advance(r, put_break(p + n));
}

void reply_bulk(struct reply *r, const void *bytes, size_t n) { bulk(r, bytes, n); }

void reply_bulk_slice(struct reply *r, struct slice s) { bulk(r, s.p, s.n); }

void reply_bulk_shared(struct reply *r, struct slice s, struct blob *blob) {
    if (likely(s.n < REPLY_SHARE_MIN) || blob == NULL || r->pieces == NULL) {
        bulk(r, s.p, s.n);
        return;
    }
    header(r, '$', s.n);
    pieces_add(r->pieces, r->out->len, blob, s);
    buf_append(r->out, "\r\n", 2);
}

void reply_bulk_text(struct reply *r, const char *text) { reply_bulk(r, text, strlen(text)); }

void reply_bulk_int(struct reply *r, int64_t value) {
    char *p = buf_reserve(r->out, 2 * HEADER_MAX);
    p = put_header(p, '$', num_i64_width(value));
    p += num_format_i64(p, value);
    advance(r, put_break(p));
}

void reply_null(struct reply *r) {
    if (r->proto == 3) {
        buf_append(r->out, "_\r\n", 3);
    } else {
        buf_append(r->out, "$-1\r\n", 5);
    }
}

void reply_null_array(struct reply *r) {
    if (r->proto == 3) {
        buf_append(r->out, "_\r\n", 3);
    } else {
        buf_append(r->out, "*-1\r\n", 5);
    }
}

void reply_array(struct reply *r, size_t n) { header(r, '*', n); }

void reply_map(struct reply *r, size_t pairs) {
    if (r->proto == 3) {
        header(r, '%', pairs);
    } else {
        header(r, '*', 2 * pairs);
    }
}

void reply_set(struct reply *r, size_t n) { header(r, r->proto == 3 ? '~' : '*', n); }

void reply_push(struct reply *r, size_t n) { header(r, r->proto == 3 ? '>' : '*', n); }

void reply_double_text(struct reply *r, struct slice text) {
    if (r->proto == 2) {
        reply_bulk_slice(r, text);
        return;
    }
    char *p = buf_reserve(r->out, text.n + 3);
    *p++ = ',';
    memcpy(p, text.p, text.n);
    advance(r, put_break(p + text.n));
}

void reply_double(struct reply *r, double value) {
    char text[NUM_DOUBLE_TEXT_MAX];
    reply_double_text(r, slice_of(text, num_format_double(text, value)));
}

void reply_bool(struct reply *r, bool value) {
    if (r->proto == 3) {
        buf_append(r->out, value ? "#t\r\n" : "#f\r\n", 4);
    } else {
        buf_append(r->out, value ? ":1\r\n" : ":0\r\n", 4);
    }
}

void reply_verbatim(struct reply *r, const char format[3], struct slice text) {
    if (r->proto == 2) {
        reply_bulk_slice(r, text);
        return;
    }
    char *p = put_header(buf_reserve(r->out, HEADER_MAX + 4 + text.n + 2), '=', text.n + 4);
    memcpy(p, format, 3);
    p[3] = ':';
    p += 4;
    if (text.n != 0) memcpy(p, text.p, text.n);
    advance(r, put_break(p + text.n));
}

size_t reply_array_begin(struct reply *r) {
    size_t mark = r->out->len;
    buf_append(r->out, "*0\r\n", MARK_BYTES);
    return mark;
}

// Writes the header at the mark, moving what follows when it is longer than the room set aside.
static void end_at(struct reply *r, size_t mark, char type, size_t n) {
    struct buf *out = r->out;
    ASSERT(mark + MARK_BYTES <= out->len);
    char text[HEADER_MAX];
    size_t length = (size_t)(put_header(text, type, n) - text);
    if (length != MARK_BYTES) {
        buf_reserve(out, length - MARK_BYTES);
        memmove(out->p + mark + length, out->p + mark + MARK_BYTES, out->len - mark - MARK_BYTES);
        out->len += length - MARK_BYTES;
        if (r->pieces != NULL) pieces_shift(*r->pieces, mark, length - MARK_BYTES);
    }
    memcpy(out->p + mark, text, length);
}

void reply_array_end(struct reply *r, size_t mark, size_t n) { end_at(r, mark, '*', n); }

void reply_set_end(struct reply *r, size_t mark, size_t n) {
    end_at(r, mark, r->proto == 3 ? '~' : '*', n);
}

void reply_map_end(struct reply *r, size_t mark, size_t pairs) {
    if (r->proto == 3) {
        end_at(r, mark, '%', pairs);
    } else {
        end_at(r, mark, '*', 2 * pairs);
    }
}
