// SPDX-License-Identifier: BSD-3-Clause
//
// Integers and long doubles to text and back, memory sizes, and the strict parsing of doubles
// (their printing is in num_double.c). Pure functions, any thread; nothing here depends on the
// locale, which the server leaves at "C". Invariant: a parser writes its result only when it
// returns true. Called by the RESP parser and writer and by nearly every command: the integer paths
// are hot.
#include "engine/base/num.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/base/num_tens.h"

static const char pairs[201] = "00010203040506070809101112131415161718192021222324"
                               "25262728293031323334353637383940414243444546474849"
                               "50515253545556575859606162636465666768697071727374"
                               "75767778798081828384858687888990919293949596979899";

bool num_parse_u64(struct slice text, uint64_t *out) {
    size_t n = text.n;
    if (n == 0 || n > 20) return false;
    const char *p = text.p;
    if (*p == '0') {
        if (n != 1) return false;
        *out = 0;
        return true;
    }
    uint64_t value = 0;
    size_t safe = n < 20 ? n : 19; // 19 digits always fit
    for (size_t i = 0; i < safe; i++) {
        unsigned digit = (unsigned)(unsigned char)p[i] - '0';
        if (digit > 9) return false;
        value = value * 10 + digit;
    }
    if (n == 20) {
        unsigned digit = (unsigned)(unsigned char)p[19] - '0';
        if (digit > 9) return false;
        if (__builtin_mul_overflow(value, (uint64_t)10, &value)) return false;
        if (__builtin_add_overflow(value, (uint64_t)digit, &value)) return false;
    }
    *out = value;
    return true;
}

bool num_parse_i64(struct slice text, int64_t *out) {
    bool negative = text.n != 0 && *text.p == '-';
    if (negative) {
        text.p++;
        text.n--;
    }
    uint64_t value;
    if (!num_parse_u64(text, &value)) return false;
    if (negative) {
        if (value == 0 || value > (uint64_t)INT64_MAX + 1) return false; // "-0" is no integer
        *out = (int64_t)(0 - value);
        return true;
    }
    if (value > INT64_MAX) return false;
    *out = (int64_t)value;
    return true;
}

/** A plain decimal: digits that fit in 64 bits, and how many of them are behind the point. */
struct plain {
    uint64_t digits;
    unsigned behind;
    bool negative;
};

#define PLAIN_MAX 24 // bytes of text; no more than 22 digits are behind a point then

static const double exact_powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                      1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                      1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static inline bool scan_plain(struct slice text, struct plain *plain) {
    const char *p = text.p, *end = text.p + text.n, *point = NULL;
    uint64_t digits = 0;
    plain->negative = text.n != 0 && *p == '-';
    if (plain->negative) p++;
    size_t length = (size_t)(end - p);
    if (length == 0 || length > PLAIN_MAX) return false;
    for (; p != end; p++) {
        unsigned digit = (unsigned)(unsigned char)*p - '0';
        if (digit <= 9) {
            if (digits > (UINT64_MAX - 9) / 10) return false;
            digits = digits * 10 + digit;
        } else if (*p == '.' && point == NULL) {
            point = p;
        } else {
            return false;
        }
    }
    if (point != NULL && length == 1) return false; // a point alone is no number
    plain->digits = digits;
    plain->behind = point != NULL ? (unsigned)(end - point) - 1 : 0;
    return plain->behind < sizeof exact_powers / sizeof exact_powers[0];
}

static inline double plain_value(const struct plain *plain) {
    double value = (double)plain->digits / exact_powers[plain->behind];
    return plain->negative ? -value : value;
}

bool num_guess_double(struct slice text, double *out) {
    struct plain plain;
    if (!scan_plain(text, &plain)) return false;
    *out = plain_value(&plain);
    return true;
}

// Plain decimals of few digits, which most scores are: digits and a power of ten that are both
// exact doubles make a quotient that is rounded once, so it is the one that strtod finds (Clinger,
// "How to read floating point numbers accurately", 1990). False: it is not as simple as that.
static inline bool parse_simple_double(struct slice text, double *out) {
    struct plain plain;
    if (!scan_plain(text, &plain) || plain.digits > (uint64_t)1 << 53) return false;
    *out = plain_value(&plain);
    return true;
}

// Texts come unterminated, strtod wants a terminator: short ones are copied to the stack. Longer
// ones (Redis takes "1" behind thousands of zeros) go through the heap.
bool num_parse_double(struct slice text, double *out) {
    char stack[256];
    if (likely(parse_simple_double(text, out))) return true;
    if (text.n == 0 || isspace((unsigned char)text.p[0])) return false;
    char *copy = text.n < sizeof(stack) ? stack : mem_alloc(text.n + 1);
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    char *end;
    errno = 0;
    double value = strtod(copy, &end);
    bool whole = end == copy + text.n;
    bool lost = errno == ERANGE && (isinf(value) || value == 0);
    if (copy != stack) mem_free(copy);
    if (!whole || lost || isnan(value)) return false;
    *out = value;
    return true;
}

bool num_parse_long_double(struct slice text, long double *out) {
    char copy[NUM_LONG_DOUBLE_TEXT_MAX]; // Redis refuses longer ones too
    if (text.n == 0 || text.n >= sizeof(copy) || isspace((unsigned char)text.p[0])) return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    char *end;
    errno = 0;
    long double value = strtold(copy, &end);
    bool lost = errno == ERANGE && (isinf(value) || value == 0);
    if (end != copy + text.n || lost || isnan(value)) return false;
    *out = value;
    return true;
}

static unsigned u64_width(uint64_t value) {
    // 1233 / 4096 is a little more than log10(2): bits to digits, at most one too few.
    unsigned bits = 64 - (unsigned)__builtin_clzll(value | 1);
    unsigned guess = (bits * 1233) >> 12;
    return guess + (value >= tens[guess] ? 1 : 0) + (value == 0 ? 1 : 0);
}

unsigned num_i64_width(int64_t value) {
    if (value >= 0) return u64_width((uint64_t)value);
    return 1 + u64_width(0 - (uint64_t)value);
}

size_t num_format_u64(char *out, uint64_t value) {
    if (value < 10) {
        out[0] = (char)('0' + value);
        return 1;
    }
    unsigned width = u64_width(value);
    char *p = out + width;
    while (value >= 100) {
        p -= 2;
        memcpy(p, pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        memcpy(p - 2, pairs + value * 2, 2);
    } else {
        p[-1] = (char)('0' + value);
    }
    return width;
}

size_t num_format_i64(char *out, int64_t value) {
    if (value >= 0) return num_format_u64(out, (uint64_t)value);
    out[0] = '-';
    return 1 + num_format_u64(out + 1, 0 - (uint64_t)value);
}

size_t num_format_long_double(char *out, long double value) {
    if (isnan(value)) {
        memcpy(out, "nan", 3);
        return 3;
    }
    if (isinf(value)) {
        size_t sign = value < 0 ? 1 : 0;
        memcpy(out, &"-inf"[1 - sign], 3 + sign);
        return 3 + sign;
    }
    int printed = snprintf(out, NUM_LONG_DOUBLE_TEXT_MAX, "%.17Lf", value);
    ASSERT(printed > 0 && printed < NUM_LONG_DOUBLE_TEXT_MAX);
    size_t n = (size_t)printed;
    while (out[n - 1] == '0') n--; // there is a point in front of them
    if (out[n - 1] == '.') n--;
    if (n == 2 && out[0] == '-' && out[1] == '0') {
        out[0] = '0';
        n = 1;
    }
    return n;
}

#define HUMAN_DIGITS 17
#define HUMAN_ONE    UINT64_C(100000000000000000) // 10^HUMAN_DIGITS

/** The fraction, in [0, 1), in units of 10^-17; exact before it is rounded, halves to even. */
static uint64_t human_fraction(double fraction) {
    int exponent;
    // fraction = mantissa / 2^shift, exactly.
    uint64_t mantissa = (uint64_t)ldexp(frexp(fraction, &exponent), 53);
    int shift = 53 - exponent;
    if (mantissa == 0 || shift > 112) return 0; // less than a quarter of a unit
    unsigned __int128 product = (unsigned __int128)mantissa * HUMAN_ONE;
    uint64_t units = (uint64_t)(product >> shift);
    unsigned __int128 rest = product - ((unsigned __int128)units << shift);
    unsigned __int128 half = (unsigned __int128)1 << (shift - 1);
    return units + (rest > half || (rest == half && (units & 1)));
}

size_t num_format_human(char *out, double value) {
    double magnitude = fabs(value);
    if (!(magnitude < 1000)) return num_format_long_double(out, (long double)value);
    uint64_t whole = (uint64_t)magnitude, units = human_fraction(magnitude - (double)whole);
    if (units == HUMAN_ONE) {
        units = 0;
        whole++;
    }
    size_t n = 0;
    if (value < 0 && (whole != 0 || units != 0)) out[n++] = '-';
    n += num_format_u64(out + n, whole);
    if (units == 0) return n;
    out[n] = '.';
    for (int i = HUMAN_DIGITS; i > 0; i--, units /= 10)
        out[n + (size_t)i] = (char)('0' + units % 10);
    n += HUMAN_DIGITS + 1;
    while (out[n - 1] == '0') n--;
    return n;
}

bool num_parse_memory(struct slice text, int64_t *bytes) {
    static const struct {
        const char *word;
        int64_t factor;
    } units[] = {
        {"", 1},        {"b", 1},        {"k", 1000},       {"kb", 1 << 10},
        {"m", 1000000}, {"mb", 1 << 20}, {"g", 1000000000}, {"gb", 1 << 30},
    };
    size_t digits = 0;
    int64_t value = 0;
    for (; digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9'; digits++) {
        if (__builtin_mul_overflow(value, (int64_t)10, &value)) return false;
        if (__builtin_add_overflow(value, (int64_t)(text.p[digits] - '0'), &value)) return false;
    }
    // No digits at all mean 0, as in Redis: a lone unit and "" are taken.
    struct slice unit = slice_of(text.p + digits, text.n - digits);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (!slice_is(unit, units[i].word)) continue;
        if (__builtin_mul_overflow(value, units[i].factor, &value)) return false;
        *bytes = value;
        return true;
    }
    return false;
}
