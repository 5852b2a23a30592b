// SPDX-License-Identifier: BSD-3-Clause
//
// The slow paths of struct buf: growing, shrinking, formatting. A buffer belongs to one owner and
// is touched by the thread that runs this owner. Invariant (see buf.h): len <= cap, p is NULL
// exactly when cap is 0. Called by everything that builds bytes; memory comes from alloc.h, so
// growing cannot fail.
#include "engine/base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/base/alloc.h"

#define CAP_MIN      64
#define DOUBLING_MAX ((size_t)1 << 20)

void buf_grow(struct buf *b, size_t n) {
    ASSERT(b->len <= b->cap);
    ASSERT(n <= SIZE_MAX / 2 - b->len);
    size_t need = b->len + n;
    // Doubling up to 1 MiB, a quarter above: linear steps would make huge replies quadratic.
    size_t cap = b->cap + (b->cap < DOUBLING_MAX ? b->cap : b->cap / 4);
    if (cap < need) cap = need;
    if (cap < CAP_MIN) cap = CAP_MIN;
    cap = mem_good_size(cap);
    b->p = mem_realloc(b->p, cap);
    b->cap = cap;
}

void buf_free(struct buf *b) {
    mem_free(b->p);
    *b = (struct buf){0};
}

void buf_shrink_if_empty(struct buf *b, size_t keep) {
    if (b->len == 0 && b->cap > keep) buf_free(b);
}

void buf_consume(struct buf *b, size_t n) {
    ASSERT(n <= b->len);
    b->len -= n;
    if (n != 0 && b->len != 0) memmove(b->p, b->p + n, b->len);
}

void buf_printf(struct buf *b, const char *format, ...) {
    size_t room = b->cap - b->len;
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(room == 0 ? NULL : b->p + b->len, room, format, args);
    va_end(args);
    ASSERT(n >= 0);
    if ((size_t)n >= room) { // vsnprintf wants a byte for its terminator
        char *at = buf_reserve(b, (size_t)n + 1);
        int second = vsnprintf(at, (size_t)n + 1, format, again);
        ASSERT(second == n);
    }
    va_end(again);
    b->len += (size_t)n;
}

void buf_append_quoted(struct buf *out, struct slice text) {
    buf_append_char(out, '"');
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        switch (c) {
        case '\\':
        case '"':
            buf_append_char(out, '\\');
            buf_append_char(out, c);
            break;
        case '\n': buf_append_text(out, "\\n"); break;
        case '\r': buf_append_text(out, "\\r"); break;
        case '\t': buf_append_text(out, "\\t"); break;
        case '\a': buf_append_text(out, "\\a"); break;
        case '\b': buf_append_text(out, "\\b"); break;
        default:
            if (c >= ' ' && c <= '~') {
                buf_append_char(out, c);
            } else {
                buf_printf(out, "\\x%02x", (unsigned)(unsigned char)c);
            }
            break;
        }
    }
    buf_append_char(out, '"');
}
