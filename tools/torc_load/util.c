// SPDX-License-Identifier: BSD-3-Clause
/*
 * Memory, growing byte strings and JSON text for the load generator.
 *
 * Used while a run is set up and reported, never for each request, so clarity goes before speed.
 * Owns nothing: what it allocates belongs to the caller. Invariant: `len <= cap` in every byte
 * string, and no function here returns NULL.
 */
#include "tools/torc_load/util.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void *check(void *memory, size_t size) {
    if (memory == NULL && size != 0) {
        fprintf(stderr, "torc-load: out of memory (%zu bytes)\n", size);
        abort();
    }
    return memory;
}

void *util_alloc(size_t count, size_t size) { return check(calloc(count, size), count * size); }

void *util_realloc(void *memory, size_t size) { return check(realloc(memory, size), size); }

void bytes_add(struct bytes *b, const void *data, size_t len) {
    if (b->len + len > b->cap) {
        b->cap = (b->len + len) * 2;
        b->data = util_realloc(b->data, b->cap);
    }
    if (len != 0) memcpy(b->data + b->len, data, len);
    b->len += len;
}

void bytes_addf(struct bytes *b, const char *format, ...) {
    char text[256];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (len < 0) return;
    bytes_add(b, text, (size_t)len < sizeof text ? (size_t)len : sizeof text - 1);
}

void util_json_string(FILE *out, const char *text) {
    fputc('"', out);
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(out, "\\%c", *c);
        else if (*c < 0x20 || *c > 0x7e)
            fprintf(out, "\\u%04x", *c);
        else
            fputc(*c, out);
    }
    fputc('"', out);
}
