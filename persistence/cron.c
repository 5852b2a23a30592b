// SPDX-License-Identifier: BSD-3-Clause
//
// Parsing of cron's fields, and the search for the next time. Local times are counted in minutes as
// a calendar on the wall shows them, so that the search knows nothing of time zones; only the way
// from such a minute to a real time and back asks the C library. Any thread, no state.
// Invariant: cron_next() is after what it was given, and its local time matches all fields unless
// it stands for one that a clock put forward has left out.
#include "persistence/cron.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "engine/base/assert.h"
#include "engine/base/num.h"

#define MINUTES_A_DAY   1440
#define SECONDS_A_DAY   86400
#define SEARCH_DAYS     (9 * 366) // 29 February may be eight years away
#define CLOCK_SHIFT_MAX 7200      // clocks are put back by at most this, seconds

// ---- parsing -----------------------------------------------------------------------------------

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                          "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

struct field {
    const char *what;
    int low, high;
    const char *const *names; // the first one is `low`
};

enum { MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELDS };
static const struct field fields[FIELDS] = {
    [MINUTE] = {"minute", 0, 59, NULL},
    [HOUR] = {"hour", 0, 23, NULL},
    [DAY] = {"day of the month", 1, 31, NULL},
    [MONTH] = {"month", 1, 12, month_names},
    [WEEKDAY] = {"day of the week", 0, 7, weekday_names},
};

static bool fail(struct buf *error, const struct field *f, struct slice text) {
    buf_printf(error, "wrong %s '%.*s'", f->what, (int)(text.n < 40 ? text.n : 40), text.p);
    return false;
}

/** Takes what stands before the separator (or all) off the text. */
static struct slice cut(struct slice *text, char separator) {
    const char *end = text->n > 0 ? memchr(text->p, separator, text->n) : NULL;
    size_t n = end != NULL ? (size_t)(end - text->p) : text->n;
    struct slice part = slice_of(text->p, n);
    size_t skip = end != NULL ? n + 1 : n;
    *text = slice_of(text->p + skip, text->n - skip);
    return part;
}

static bool parse_value(const struct field *f, struct slice text, int *out) {
    for (int i = 0; f->names != NULL && f->names[i] != NULL; i++) {
        if (!slice_is(text, f->names[i])) continue;
        *out = f->low + i;
        return true;
    }
    int64_t number;
    if (text.n == 0 || !isdigit((unsigned char)text.p[0]) || text.n > 4) return false;
    while (text.n > 1 && text.p[0] == '0') text = slice_of(text.p + 1, text.n - 1); // 05
    if (!num_parse_i64(text, &number) || number < f->low || number > f->high) return false;
    *out = (int)number;
    return true;
}

/** One member of a list: *, a, a-b, each with or without /n. */
static bool parse_range(const struct field *f, struct slice text, uint64_t *bits) {
    struct slice rest = text;
    struct slice range = cut(&rest, '/');
    bool stepped = range.n < text.n;
    int low = f->low, high = f->high, step = 1;
    if (f->high == 7) high = 6; // * has Sunday once
    if (stepped) {
        int64_t number;
        if (!num_parse_i64(rest, &number) || number < 1 || number > 60) return false;
        step = (int)number;
    }
    if (!slice_equal(range, SLICE_LITERAL("*"))) {
        struct slice to = range;
        struct slice from = cut(&to, '-');
        bool is_range = from.n < range.n;
        if (!parse_value(f, from, &low)) return false;
        if (is_range && (!parse_value(f, to, &high) || high < low)) return false;
        if (!is_range && !stepped) high = low;
    }
    for (int i = low; i <= high; i += step) *bits |= UINT64_C(1) << i;
    return true;
}

static bool parse_field(const struct field *f, struct slice text, uint64_t *bits,
                        struct buf *error) {
    struct slice rest = text;
    *bits = 0;
    bool more = true;
    while (more) {
        struct slice before = rest;
        struct slice part = cut(&rest, ',');
        more = part.n < before.n;
        if (!parse_range(f, part, bits)) return fail(error, f, text);
    }
    return true;
}

/** Takes the next word off the text. */
static struct slice next_word(struct slice *text) {
    size_t start = 0;
    while (start < text->n && isspace((unsigned char)text->p[start])) start++;
    size_t end = start;
    while (end < text->n && !isspace((unsigned char)text->p[end])) end++;
    struct slice word = slice_of(text->p + start, end - start);
    *text = slice_of(text->p + end, text->n - end);
    return word;
}

static struct slice spelled_out(struct slice word) {
    static const struct {
        const char *name, *meaning;
    } names[] = {{"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"},
                 {"@weekly", "0 0 * * 0"},  {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
                 {"@annually", "0 0 1 1 *"}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (slice_is(word, names[i].name)) return slice_text(names[i].meaning);
    return slice_of(word.p, 0);
}

static bool parse_all(struct cron *c, struct slice text, struct buf *error) {
    uint64_t bits[FIELDS];
    bool starred[FIELDS];
    struct slice rest = text, first = next_word(&rest);
    if (first.n > 0 && first.p[0] == '@' && next_word(&rest).n == 0) {
        text = spelled_out(first);
        if (text.n == 0) {
            buf_printf(error, "'%.*s' is none of @hourly, @daily, @weekly, @monthly, @yearly",
                       (int)(first.n < 40 ? first.n : 40), first.p);
            return false;
        }
    }
    for (int i = 0; i < FIELDS; i++) {
        struct slice word = next_word(&text);
        if (word.n == 0) {
            buf_append_text(error, "needs five fields: minute, hour, day, month, day of the week");
            return false;
        }
        if (!parse_field(&fields[i], word, &bits[i], error)) return false;
        starred[i] = word.p[0] == '*';
    }
    if (next_word(&text).n > 0) {
        buf_append_text(error, "has more than the five fields minute, hour, day, month, day of "
                               "the week");
        return false;
    }
    *c = (struct cron){.minutes = bits[MINUTE],
                       .hours = (uint32_t)bits[HOUR],
                       .days = (uint32_t)bits[DAY],
                       .months = (uint16_t)bits[MONTH],
                       .weekdays = (uint8_t)((bits[WEEKDAY] | bits[WEEKDAY] >> 7) & 0x7f),
                       .any_day = starred[DAY],
                       .any_weekday = starred[WEEKDAY],
                       .any_minute = starred[MINUTE],
                       .any_hour = starred[HOUR]};
    return true;
}

// ---- the calendar ------------------------------------------------------------------------------

/** The minute on the wall at a real time, counted as if there were no time zones. */
static int64_t wall_minute(int64_t real_s) {
    time_t t = (time_t)real_s;
    struct tm tm;
    if (localtime_r(&t, &tm) == NULL) memset(&tm, 0, sizeof tm);
    tm.tm_sec = 0;
    int64_t s = (int64_t)timegm(&tm);
    return s >= 0 ? s / 60 : -((59 - s) / 60);
}

static struct tm calendar(int64_t minute) {
    time_t t = (time_t)(minute * 60);
    struct tm tm;
    if (gmtime_r(&t, &tm) == NULL) memset(&tm, 0, sizeof tm);
    return tm;
}

/** The first real time at which the wall shows that minute, or a later one where it is left out. */
static int64_t real_time(int64_t minute) {
    struct tm tm = calendar(minute);
    tm.tm_isdst = -1;
    int64_t guess = (int64_t)mktime(&tm);
    guess -= guess % 60;
    if (wall_minute(guess) == minute) {
        // The hour that comes twice: the earlier one.
        for (int64_t back = CLOCK_SHIFT_MAX; back > 0; back -= 1800)
            if (wall_minute(guess - back) == minute) return guess - back;
        return guess;
    }
    // In a gap: the clock shows less before it and more behind it, for hours on both sides.
    int64_t low = guess - SECONDS_A_DAY / 2, high = guess + SECONDS_A_DAY / 2;
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (wall_minute(middle) >= minute)
            high = middle;
        else
            low = middle;
    }
    return high;
}

static bool day_matches(const struct cron *c, const struct tm *tm) {
    if ((c->months >> (tm->tm_mon + 1) & 1) == 0) return false;
    bool day = (c->days >> tm->tm_mday & 1) != 0, weekday = (c->weekdays >> tm->tm_wday & 1) != 0;
    return c->any_day || c->any_weekday ? day && weekday : day || weekday;
}

static bool matches(const struct cron *c, int64_t minute) {
    struct tm tm = calendar(minute);
    return day_matches(c, &tm) && (c->hours >> tm.tm_hour & 1) != 0 &&
           (c->minutes >> tm.tm_min & 1) != 0;
}

/** The next matching minute of the wall's calendar after that one; INT64_MAX: there is none. */
static int64_t next_minute(const struct cron *c, int64_t minute) {
    minute++;
    for (int days = 0; days < SEARCH_DAYS; days++) {
        struct tm tm = calendar(minute);
        int at = tm.tm_hour * 60 + tm.tm_min;
        int64_t midnight = minute - at;
        for (; day_matches(c, &tm) && at < MINUTES_A_DAY; at++) {
            if ((c->hours >> (at / 60) & 1) == 0) {
                at += 59 - at % 60;
            } else if ((c->minutes >> (at % 60) & 1) != 0) {
                return midnight + at;
            }
        }
        minute = midnight + MINUTES_A_DAY;
    }
    return INT64_MAX;
}

bool cron_parse(struct cron *c, struct slice text, struct buf *error) {
    if (!parse_all(c, text, error)) return false;
    if (next_minute(c, 0) != INT64_MAX) return true;
    buf_append_text(error, "that day never comes");
    return false;
}

/** Expressions with a rhythm: each real minute counts whose local time matches. */
static int64_t next_in_rhythm(const struct cron *c, int64_t after_s) {
    int64_t real = after_s - after_s % 60 + 60;
    for (;;) {
        int64_t minute = wall_minute(real);
        if (matches(c, minute)) return real;
        // As far as the clocks cannot have been put anywhere: the next half hour at most.
        int64_t ahead = next_minute(c, minute) - minute, half_hour = 30 - minute % 30;
        real += 60 * (ahead < half_hour ? ahead : half_hour);
    }
}

int64_t cron_next(const struct cron *c, int64_t after_s) {
    ASSERT(after_s >= 0);
    if (c->any_minute || c->any_hour) {
        // A long way over days without any match goes by the calendar.
        int64_t minute = wall_minute(after_s);
        int64_t near = next_minute(c, minute - CLOCK_SHIFT_MAX / 60);
        if (near > minute + 2 * MINUTES_A_DAY) {
            int64_t early = real_time(near - MINUTES_A_DAY);
            if (early > after_s) after_s = early;
        }
        return next_in_rhythm(c, after_s);
    }
    for (int64_t minute = wall_minute(after_s);;) {
        minute = next_minute(c, minute);
        ASSERT(minute != INT64_MAX);
        int64_t real = real_time(minute);
        if (real > after_s) return real;
    }
}
