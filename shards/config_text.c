// SPDX-License-Identifier: BSD-3-Clause
//
// Lines of a configuration: taking them apart by the quoting rules of redis.conf and writing a
// value so that it reads back the same. Pure functions over bytes; the only state is what the
// caller passes in. Called by the parser, by CONFIG SET and by CONFIG REWRITE. Invariant:
// config__split() of what buf_append_quoted() writes is the same text, for all bytes.
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "shards/config_rows.h"

#define FILE_MAX (64u << 20)

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static void words_add(struct config__words *words, const char *p, size_t n) {
    // Doubles at powers of two, so that the capacity needs no field.
    if ((words->count & (words->count - 1)) == 0) {
        size_t room = words->count == 0 ? 1 : words->count * 2;
        words->items = mem_realloc(words->items, room * sizeof(*words->items));
    }
    words->items[words->count++] = slice_of(p, n);
}

void config__words_free(struct config__words *words) {
    mem_free(words->items);
    mem_free(words->bytes);
    *words = (struct config__words){0};
}

// Reads the escape behind a backslash at p inside double quotes, writes its byte, returns what
// follows.
static const char *unescape(const char *p, const char *end, char *out) {
    if (end - p >= 3 && p[0] == 'x' && hex_value(p[1]) >= 0 && hex_value(p[2]) >= 0) {
        *out = (char)(hex_value(p[1]) * 16 + hex_value(p[2]));
        return p + 3;
    }
    switch (*p) {
    case 'n': *out = '\n'; break;
    case 'r': *out = '\r'; break;
    case 't': *out = '\t'; break;
    case 'b': *out = '\b'; break;
    case 'a': *out = '\a'; break;
    default: *out = *p; break;
    }
    return p + 1;
}

// Reads the rest of a quoted stretch; p is behind the opening quote. NULL: it does not end, or
// glues to more.
static const char *read_quoted(const char *p, const char *end, char quote, char **out) {
    while (p < end && *p != quote) {
        if (*p == '\\' && quote == '"' && p + 1 < end) {
            p = unescape(p + 1, end, (*out)++);
        } else if (*p == '\\' && quote == '\'' && p + 1 < end && p[1] == '\'') {
            *(*out)++ = '\'';
            p += 2;
        } else {
            *(*out)++ = *p++;
        }
    }
    if (p == end) return NULL;
    p++;
    return p == end || is_blank(*p) ? p : NULL;
}

static const char *read_word(const char *p, const char *end, char **out) {
    while (p < end && *p != ' ' && *p != '\t' && *p != '\n' && *p != '\r') {
        // A closing quote ends the word: only a blank may follow it.
        if (*p == '"' || *p == '\'') return read_quoted(p + 1, end, *p, out);
        *(*out)++ = *p++;
    }
    return p;
}

bool config__split(struct slice line, struct config__words *words) {
    *words = (struct config__words){0};
    // A word is never longer than what it was written as, and what ends it makes room for its zero
    // byte.
    words->bytes = mem_alloc(line.n + 1);
    char *out = words->bytes;
    const char *p = line.p, *end = line.p + line.n;
    for (;;) {
        while (p < end && is_blank(*p)) p++;
        if (p == end) break;
        char *start = out;
        p = read_word(p, end, &out);
        if (p == NULL) {
            config__words_free(words);
            return false;
        }
        words_add(words, start, (size_t)(out - start));
        *out++ = '\0';
        ASSERT((size_t)(out - words->bytes) <= line.n + 1);
    }
    return true;
}

void config__split_spaces(struct slice text, struct config__words *words) {
    *words = (struct config__words){0};
    if (text.n == 0) return;
    words->bytes = mem_alloc(text.n + 1);
    memcpy(words->bytes, text.p, text.n);
    words->bytes[text.n] = '\0';
    char *p = words->bytes, *end = words->bytes + text.n;
    for (;;) {
        char *space = memchr(p, ' ', (size_t)(end - p));
        char *stop = space != NULL ? space : end;
        *stop = '\0';
        words_add(words, p, (size_t)(stop - p));
        if (space == NULL) break;
        p = space + 1;
    }
}

struct slice config__trim(struct slice text) {
    const char *p = text.p, *end = text.p + text.n;
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n')) p++;
    while (end > p && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r' || end[-1] == '\n'))
        end--;
    return slice_of(p, (size_t)(end - p));
}

bool config__is_file_only(struct slice name) {
    static const char *const names[] = {"include", "rename-command", "user", "loadmodule",
                                        "sentinel"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (slice_is(name, names[i])) return true;
    }
    return false;
}

bool config__next_line(struct slice *text, struct slice *line) {
    if (text->n == 0) return false;
    const char *newline = memchr(text->p, '\n', text->n);
    size_t n = newline != NULL ? (size_t)(newline - text->p) : text->n;
    *line = slice_of(text->p, n);
    size_t skip = newline != NULL ? n + 1 : n;
    *text = slice_of(text->p + skip, text->n - skip);
    return true;
}

static int read_all(int fd, struct buf *out) {
    for (;;) {
        ssize_t n = read(fd, buf_reserve(out, 16384), 16384);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -errno;
        if (n == 0) return 0;
        out->len += (size_t)n;
        if (out->len > FILE_MAX) return -EFBIG;
    }
}

int config__read_file(const char *path, struct buf *out) {
    int fd = path == NULL ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -errno;
    int result = read_all(fd, out);
    if (path != NULL) close(fd);
    return result;
}
