// SPDX-License-Identifier: BSD-3-Clause
//
// Finds the commands in a stream of RESP requests; scan.h says what for. Two paths: the beginning
// of a command that lies whole in the bytes is recognised by one comparison of eight bytes, and
// everything else, above all what is cut anywhere, goes byte by byte through lines. Runs on the
// floor's one thread. Invariant: both paths leave the same state. Requests are those of a load
// generator that is trusted: lengths are not checked against limits.
#include "bench/floor/scan.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

// "*N\r\n$N\r\n" with digits masked out, in memory order.
#define START_MASK UINT64_C(0xffff00ffffff00ff)
#define START_BITS UINT64_C(0x0a0d00240a0d002a)

static enum scan_kind kind_of(const struct scan *s) {
    char first = s->name[0] & ~0x20, second = s->name[1] & ~0x20;
    if (first == 'G') return SCAN_GET;
    if (first == 'S') return SCAN_SET;
    if (first == 'M' && second == 'G') return SCAN_MGET;
    return first == 'P' ? SCAN_PING : SCAN_OTHER;
}

static void begin(struct scan *s, uint32_t argc) {
    s->args = s->argc = argc;
    s->name_seen = 0;
    s->name[0] = s->name[1] = 0;
}

/** The end of a header line. True: it was an inline command, which is complete. */
static bool end_line(struct scan *s) {
    uint8_t type = s->type;
    s->type = 0;
    if (type == '*') {
        begin(s, (uint32_t)s->number);
        return false;
    }
    if (type == '$') {
        s->skip = s->number + 2;
        return false;
    }
    return type != '\r' && type != '\n';
}

/** Steps over bytes of an argument, noting the beginning of the name. */
static const char *step_over(struct scan *s, const char *p, const char *end) {
    int64_t n = end - p < s->skip ? end - p : s->skip;
    if (s->args == s->argc)
        for (int64_t i = 0; i < n && s->name_seen < sizeof s->name; i++)
            s->name[s->name_seen++] = p[i];
    s->skip -= n;
    if (s->skip == 0) s->args--;
    return p + n;
}

/** A whole header line that begins at p, read at once; NULL: it is not whole, or none. */
static const char *whole_bulk_line(struct scan *s, const char *p, const char *end) {
    if (end - p < 4 || *p != '$') return NULL;
    int64_t number = 0;
    for (p++; p < end && *p >= '0' && *p <= '9'; p++) number = number * 10 + (*p - '0');
    if (end - p < 2 || *p != '\r') return NULL;
    s->skip = number + 2;
    return p + 2;
}

/** Whether a command with few arguments and a short name begins at p: reads both headers. */
static bool short_start(struct scan *s, const char *p, const char *end) {
    uint64_t word;
    if (end - p < (ptrdiff_t)sizeof word) return false;
    memcpy(&word, p, sizeof word);
    if ((word & START_MASK) != START_BITS) return false;
    begin(s, (uint32_t)(p[1] - '0'));
    s->skip = p[5] - '0' + 2;
    return true;
}

const char *scan_next(struct scan *s, const char *p, const char *end,
                      struct scan_command *command) {
    while (p < end) {
        if (s->skip > 0) {
            p = step_over(s, p, end);
            if (s->skip > 0 || s->args > 0) continue;
            *command = (struct scan_command){.kind = kind_of(s), .argc = s->argc};
            return p;
        }
        if (s->type == 0) {
            if (s->args == 0 && short_start(s, p, end)) {
                p += sizeof(uint64_t);
                continue;
            }
            const char *next = s->args > 0 ? whole_bulk_line(s, p, end) : NULL;
            if (next != NULL) {
                p = next;
                continue;
            }
            s->type = (uint8_t)*p;
            s->number = 0;
            if (s->args == 0 && *p != '*') {
                begin(s, 0);
                s->name[0] = *p;
            }
        }
        char c = *p++;
        if (c >= '0' && c <= '9') s->number = s->number * 10 + (c - '0');
        if (c == '\n' && end_line(s)) {
            *command = (struct scan_command){.kind = kind_of(s), .argc = 1};
            return p;
        }
    }
    return NULL;
}
