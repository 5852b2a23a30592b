// SPDX-License-Identifier: BSD-3-Clause
//
// Texts for people and for JSON. UTF-8 is taken as RFC 3629 defines it, JSON as RFC 8259 does,
// base64 as RFC 4648. Pure functions, no state. Invariant: text_json() loses nothing: a string that
// is no valid UTF-8 becomes base64 as a whole.
#include "tools/torc_rdb/text.h"

#include <stdbool.h>
#include <stdio.h>

struct text_short text_bytes(uint64_t bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    struct text_short s;
    double value = (double)bytes;
    unsigned unit = 0;
    while (value >= 1024 && unit < 5) {
        value /= 1024;
        unit++;
    }
    snprintf(s.text, sizeof(s.text), unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return s;
}

void text_key(struct buf *out, struct slice key, size_t max) {
    size_t begin = out->len;
    buf_append_char(out, '"');
    for (size_t i = 0; i < key.n; i++) {
        if (out->len - begin > max) {
            buf_append_text(out, "...");
            break;
        }
        unsigned char c = (unsigned char)key.p[i];
        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c < ' ' || c > '~')
            buf_printf(out, "\\x%02x", c);
        else
            buf_append_char(out, (char)c);
    }
    buf_append_char(out, '"');
}

void text_print_key(void *file, struct slice key, size_t max) {
    struct buf out = {0};
    text_key(&out, key, max);
    fwrite(out.p, 1, out.len, file);
    buf_free(&out);
}

/** Bytes of the character at p, of n; 0: it is none. */
static size_t utf8_length(const unsigned char *p, size_t n) {
    size_t length = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (length == 0 || p[0] > 0xf4 || length > n) return 0;
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80) return 0;
    }
    // Too long a form, a surrogate, beyond the last character.
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return length;
}

static bool is_utf8(struct slice s) {
    const unsigned char *p = (const unsigned char *)s.p;
    for (size_t i = 0; i < s.n;) {
        size_t length = p[i] < 0x80 ? 1 : utf8_length(p + i, s.n - i);
        if (length == 0) return false;
        i += length;
    }
    return true;
}

static void base64(struct buf *out, struct slice s) {
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)s.p;
    char *to = buf_reserve(out, s.n / 3 * 4 + 4);
    for (size_t i = 0; i < s.n; i += 3) {
        size_t left = s.n - i;
        uint32_t bits = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
                        (left > 2 ? (uint32_t)p[i + 2] : 0);
        *to++ = letters[bits >> 18];
        *to++ = letters[bits >> 12 & 63];
        *to++ = left > 1 ? letters[bits >> 6 & 63] : '=';
        *to++ = left > 2 ? letters[bits & 63] : '=';
    }
    out->len = (size_t)(to - out->p);
}

static void escape(struct buf *out, char c) {
    switch (c) {
    case '"': buf_append_text(out, "\\\""); break;
    case '\\': buf_append_text(out, "\\\\"); break;
    case '\n': buf_append_text(out, "\\n"); break;
    case '\r': buf_append_text(out, "\\r"); break;
    case '\t': buf_append_text(out, "\\t"); break;
    default: buf_printf(out, "\\u%04x", (unsigned char)c);
    }
}

static bool is_plain(char c) { return (unsigned char)c >= ' ' && c != '"' && c != '\\'; }

void text_json(struct buf *out, struct slice bytes) {
    if (!is_utf8(bytes)) {
        buf_append_text(out, "{\"base64\":\"");
        base64(out, bytes);
        buf_append_text(out, "\"}");
        return;
    }
    buf_append_char(out, '"');
    for (size_t i = 0; i < bytes.n;) {
        size_t end = i;
        while (end < bytes.n && is_plain(bytes.p[end])) end++;
        buf_append(out, bytes.p + i, end - i);
        if (end < bytes.n) escape(out, bytes.p[end++]);
        i = end;
    }
    buf_append_char(out, '"');
}
