// SPDX-License-Identifier: BSD-3-Clause
//
// The glob matcher. It walks text and pattern together and remembers only the latest star:
// everything but a star takes exactly one byte of text, so when the part after that star cannot be
// matched, giving an earlier star more text cannot help either. Stateless, any thread; work is at
// most text times pattern. Invariant: neither cursor passes its end. Semantics are Redis's,
// oddities included: an empty text is matched by the empty pattern alone, an unclosed class closes
// at the pattern's end, an escape in a class is compared with its case, and more than a thousand
// stars match nothing.
#include "engine/base/glob.h"

#define STARS_MAX 1000

static inline char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c; }

static inline bool same(char a, char b, bool ignore_case) {
    return a == b || (ignore_case && lower(a) == lower(b));
}

static bool in_range(char first, char last, char c, bool ignore_case) {
    signed char low = (signed char)first, high = (signed char)last, at = (signed char)c;
    if (low > high) {
        low = (signed char)last;
        high = (signed char)first;
    }
    if (ignore_case) {
        low = (signed char)lower((char)low);
        high = (signed char)lower((char)high);
        at = (signed char)lower((char)at);
    }
    return at >= low && at <= high;
}

// p stands behind '['. Returns where the pattern goes on behind the class.
static const char *match_class(const char *p, const char *end, char c, bool ignore_case,
                               bool *hit) {
    bool inverted = p < end && *p == '^';
    if (inverted) p++;
    bool found = false;
    while (p < end) {
        if (*p == '\\' && end - p >= 2) {
            found |= p[1] == c;
            p += 2;
        } else if (*p == ']') {
            p++;
            break;
        } else if (end - p >= 3 && p[1] == '-') {
            found |= in_range(p[0], p[2], c, ignore_case);
            p += 3;
        } else {
            found |= same(*p, c, ignore_case);
            p++;
        }
    }
    *hit = found != inverted;
    return p;
}

// Matches the one byte c with the element at p, which is no star; returns what follows, or NULL.
static inline const char *match_one(const char *p, const char *end, char c, bool ignore_case) {
    if (*p == '?') return p + 1;
    if (*p == '[') {
        bool hit;
        p = match_class(p + 1, end, c, ignore_case, &hit);
        return hit ? p : NULL;
    }
    if (*p == '\\' && end - p >= 2) p++;
    return same(*p, c, ignore_case) ? p + 1 : NULL;
}

static const char *skip_stars(const char *p, const char *end) {
    while (p < end && *p == '*') p++;
    return p;
}

bool glob_match(struct slice pattern, struct slice text, bool ignore_case) {
    if (text.n == 0) return pattern.n == 0;
    if (pattern.n == 0) return false;
    const char *p = pattern.p, *end = p + pattern.n;
    const char *t = text.p, *text_end = t + text.n;
    const char *after_star = NULL, *star_text = NULL;
    unsigned stars = 0;
    while (t < text_end) {
        if (p < end && *p == '*') {
            p = skip_stars(p, end);
            if (p == end) return true;
            if (++stars > STARS_MAX) return false;
            after_star = p;
            star_text = t;
            continue;
        }
        const char *next = p < end ? match_one(p, end, *t, ignore_case) : NULL;
        if (next != NULL) {
            p = next;
            t++;
        } else {
            if (after_star == NULL) return false;
            p = after_star;
            t = ++star_text;
        }
    }
    return skip_stars(p, end) == end;
}
