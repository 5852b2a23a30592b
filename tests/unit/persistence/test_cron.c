// SPDX-License-Identifier: BSD-3-Clause
//
// Times in cron's syntax: what is accepted and refused, the next time over ends of months, leap
// years, both kinds of day fields, and clocks that are put forward and back, in several time zones.
// Next times are also compared with a search that tries every minute. One thread; sets TZ.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "engine/base/random.h"
#include "persistence/cron.h"

// As rules, so that no file of zones is needed.
#define BERLIN    "CET-1CEST,M3.5.0,M10.5.0/3"
#define NEW_YORK  "EST5EDT,M3.2.0,M11.1.0"
#define LORD_HOWE "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"
#define KATHMANDU "<+0545>-5:45"

static void use_zone(const char *zone) {
    setenv("TZ", zone, 1);
    tzset();
}

static struct cron parsed(const char *text) {
    struct cron c;
    struct buf error = {0};
    if (!cron_parse(&c, slice_text(text), &error))
        fail_msg("'%s' was refused: %.*s", text, (int)error.len, error.p);
    assert_int_equal(error.len, 0);
    return c;
}

static void expect_refused(const char *text, const char *reason) {
    struct cron c;
    struct buf error = {0};
    if (cron_parse(&c, slice_text(text), &error)) fail_msg("'%s' was accepted", text);
    buf_append_char(&error, '\0');
    if (strstr(error.p, reason) == NULL) fail_msg("'%s' was refused with '%s'", text, error.p);
    buf_free(&error);
}

/** A time of the form "2026-11-22 03:15" or with seconds, in the current zone. */
static int64_t at(const char *text) {
    struct tm tm = {.tm_isdst = -1};
    const char *end = strptime(text, "%Y-%m-%d %H:%M", &tm);
    assert_non_null(end);
    if (*end == ':') end = strptime(end, ":%S", &tm);
    assert_true(end != NULL && *end == '\0');
    return (int64_t)mktime(&tm);
}

static void expect_next(const char *expression, const char *after, const char *next) {
    struct cron c = parsed(expression);
    int64_t found = cron_next(&c, at(after));
    time_t t = (time_t)found;
    char text[64];
    struct tm tm;
    strftime(text, sizeof text, "%Y-%m-%d %H:%M", localtime_r(&t, &tm));
    if (strcmp(text, next) != 0)
        fail_msg("'%s' after %s: %s, expected %s", expression, after, text, next);
    assert_int_equal(found % 60, 0);
}

// ---- syntax ------------------------------------------------------------------------------------

static void test_accepts(void **state) {
    (void)state;
    struct cron c = parsed("*/20 1-3,22 1 jan,DEC mon-fri");
    assert_true(c.minutes == (1 | UINT64_C(1) << 20 | UINT64_C(1) << 40));
    assert_int_equal(c.hours, 0xe | 1 << 22);
    assert_int_equal(c.days, 2);
    assert_int_equal(c.months, 2 | 1 << 12);
    assert_int_equal(c.weekdays, 0x3e);
    assert_true(c.any_minute && !c.any_hour && !c.any_day && !c.any_weekday);
    assert_int_equal(parsed("0 0 * * 7").weekdays, 1);
    assert_int_equal(parsed("0 0 * * 5-7").weekdays, 0x61);
    assert_int_equal(parsed("0 0 * * *").weekdays, 0x7f);
    assert_int_equal(parsed("0 0 * * */2").weekdays, 0x55);
    assert_int_equal(parsed("0 5/6 * * *").hours, 1 << 5 | 1 << 11 | 1 << 17 | 1 << 23);
    assert_int_equal(parsed("0 2-10/4 * * *").hours, 1 << 2 | 1 << 6 | 1 << 10);
    assert_int_equal(parsed("00 08 01 09 0").hours, 1 << 8);
    parsed("  5\t4  *  *  sun ");
    parsed("59 23 31 12 *");
    parsed("0 0 29 2 *");
}

static void test_names(void **state) {
    (void)state;
    static const char *const same[][2] = {{"@hourly", "0 * * * *"},   {"@daily", "0 0 * * *"},
                                          {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
                                          {"@monthly", "0 0 1 * *"},  {"@yearly", "0 0 1 1 *"},
                                          {"@Annually", "0 0 1 1 *"}};
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        struct cron a = parsed(same[i][0]), b = parsed(same[i][1]);
        assert_memory_equal(&a, &b, sizeof a);
    }
}

static void test_refuses(void **state) {
    (void)state;
    expect_refused("", "needs five fields");
    expect_refused("* * * *", "needs five fields");
    expect_refused("* * * * * *", "more than the five fields");
    expect_refused("60 * * * *", "wrong minute '60'");
    expect_refused("* 24 * * *", "wrong hour '24'");
    expect_refused("* * 0 * *", "wrong day of the month '0'");
    expect_refused("* * 32 * *", "wrong day of the month");
    expect_refused("* * * 13 *", "wrong month");
    expect_refused("* * * * 8", "wrong day of the week");
    expect_refused("* * * foo *", "wrong month 'foo'");
    expect_refused("jan * * * *", "wrong minute");
    expect_refused("5-2 * * * *", "wrong minute");
    expect_refused("1, * * * *", "wrong minute");
    expect_refused(",1 * * * *", "wrong minute");
    expect_refused("1-,2 * * * *", "wrong minute");
    expect_refused("*/0 * * * *", "wrong minute");
    expect_refused("*/ * * * *", "wrong minute");
    expect_refused("-1 * * * *", "wrong minute");
    expect_refused("+1 * * * *", "wrong minute");
    expect_refused("1x * * * *", "wrong minute");
    expect_refused("** * * * *", "wrong minute");
    expect_refused("99999999999999999999 * * * *", "wrong minute");
    expect_refused("@reboot", "none of @hourly");
    expect_refused("@daily 5", "wrong minute");
    expect_refused("0 0 30 2 *", "never comes");
    expect_refused("0 0 31 4,6,9,11 *", "never comes");
}

// ---- the next time -----------------------------------------------------------------------------

static void test_calendar(void **state) {
    (void)state;
    use_zone("UTC");
    expect_next("* * * * *", "2026-11-22 10:00:00", "2026-11-22 10:01");
    expect_next("* * * * *", "2026-11-22 10:00:59", "2026-11-22 10:01");
    expect_next("0 3 * * *", "2026-11-22 02:59:59", "2026-11-22 03:00");
    expect_next("0 3 * * *", "2026-11-22 03:00:00", "2026-11-23 03:00");
    expect_next("@hourly", "2026-12-31 23:30", "2027-01-01 00:00");
    expect_next("@monthly", "2026-01-31 12:00", "2026-02-01 00:00");
    expect_next("@weekly", "2026-11-22 00:00", "2026-11-29 00:00"); // a Sunday
    expect_next("0 0 31 * *", "2026-08-31 00:00", "2026-10-31 00:00");
    expect_next("0 0 31 * *", "2027-01-31 00:00", "2027-03-31 00:00");
    expect_next("30 12 29 2 *", "2026-11-22 00:00", "2028-02-29 12:30");
    expect_next("30 12 29 2 *", "2096-02-29 12:30", "2104-02-29 12:30");
    expect_next("*/7 * 29 2 *", "2026-11-22 00:00", "2028-02-29 00:00");
    expect_next("0 0 1 1 *", "2026-01-01 00:00", "2027-01-01 00:00");
    // Both days: either. One of them *: that one does not count.
    expect_next("0 0 13 * fri", "2026-11-22 00:00", "2026-11-27 00:00");
    expect_next("0 0 13 * fri", "2026-12-11 00:00", "2026-12-13 00:00");
    expect_next("0 0 * * fri", "2026-12-11 00:00", "2026-12-18 00:00");
    expect_next("0 0 */2 * fri", "2026-11-27 00:00", "2026-12-11 00:00"); // odd days
    expect_next("15,45 9-17 * * mon-fri", "2026-11-20 17:45", "2026-11-23 09:15");
}

static void test_clocks_put_forward(void **state) {
    (void)state;
    use_zone(BERLIN); // 2026-03-29 02:00 -> 03:00
    expect_next("30 2 * * *", "2026-03-28 02:30", "2026-03-29 03:00");
    expect_next("30 2 * * *", "2026-03-29 03:00", "2026-03-30 02:30");
    expect_next("0 3 * * *", "2026-03-28 03:00", "2026-03-29 03:00");
    expect_next("0,30 2,3 * * *", "2026-03-29 01:59", "2026-03-29 03:00");
    expect_next("0,30 2,3 * * *", "2026-03-29 03:00", "2026-03-29 03:30");
    expect_next("@hourly", "2026-03-29 01:00", "2026-03-29 03:00");
    expect_next("*/20 * * * *", "2026-03-29 01:40", "2026-03-29 03:00");
    use_zone(LORD_HOWE); // by half an hour: 2026-10-04 02:00 -> 02:30
    expect_next("15 2 * * *", "2026-10-03 02:15", "2026-10-04 02:30");
    expect_next("@hourly", "2026-10-04 01:00", "2026-10-04 03:00");
    expect_next("*/15 * * * *", "2026-10-04 01:45", "2026-10-04 02:30");
}

static void expect_gaps(const char *expression, int64_t from, const int *minutes, size_t count) {
    struct cron c = parsed(expression);
    for (size_t i = 0; i < count; i++) {
        int64_t next = cron_next(&c, from);
        if (next - from != minutes[i] * 60)
            fail_msg("'%s', step %zu: %lld minutes, expected %d", expression, i,
                     (long long)(next - from) / 60, minutes[i]);
        from = next;
    }
}

static void test_clocks_put_back(void **state) {
    (void)state;
    use_zone(BERLIN);                            // 2026-10-25 03:00 -> 02:00, which is 01:00 UTC
    int64_t two = at("2026-10-25 01:00") + 3600; // the first 02:00
    expect_gaps("0 2 * * *", two - 60, (const int[]){1, 1500, 1440}, 3);
    expect_gaps("30 2 * * *", two, (const int[]){30, 1500, 1440}, 3);
    // Asked in the second hour, when the first one's time is over.
    expect_gaps("30 2 * * *", two + 3600, (const int[]){1470, 1440}, 2);
    expect_gaps("0 3 * * *", two, (const int[]){120, 1440}, 2);
    // What has a rhythm keeps it.
    expect_gaps("@hourly", two, (const int[]){60, 60, 60, 60}, 4);
    expect_gaps("*/30 2 * * *", two, (const int[]){30, 30, 30, 1410}, 4);
    expect_gaps("*/20 * * * *", two, (const int[]){20, 20, 20, 20, 20, 20, 20}, 7);
    use_zone(LORD_HOWE); // by half an hour: 2026-04-05 02:00 -> 01:30
    int64_t one = at("2026-04-05 01:00");
    expect_gaps("45 1 * * *", one, (const int[]){45, 1470}, 2);
    expect_gaps("*/15 * * * *", one, (const int[]){15, 15, 15, 15, 15, 15, 15}, 7);
}

/** Whether the local time of a real minute matches: written anew, by the fields. */
static bool is_match(const struct cron *c, int64_t real) {
    time_t t = (time_t)real;
    struct tm tm;
    localtime_r(&t, &tm);
    bool day = c->days >> tm.tm_mday & 1, weekday = c->weekdays >> tm.tm_wday & 1;
    bool days = c->any_day || c->any_weekday ? day && weekday : day || weekday;
    return days && (c->months >> (tm.tm_mon + 1) & 1) && (c->hours >> tm.tm_hour & 1) &&
           (c->minutes >> tm.tm_min & 1);
}

static void test_against_every_minute(void **state) {
    (void)state;
    static const char *const zones[] = {"UTC", BERLIN, NEW_YORK, LORD_HOWE, KATHMANDU};
    static const char *const expressions[] = {"* * * * *",      "*/13 * * * *", "5 * * * *",
                                              "*/10 1-3 * * 0", "7 * 1,15 * *", "* 2 25-31 3,10 *"};
    struct random random;
    random_init(&random, 20261122);
    for (size_t z = 0; z < sizeof(zones) / sizeof(zones[0]); z++) {
        use_zone(zones[z]);
        int64_t start = at("2026-01-01 00:00");
        for (size_t e = 0; e < sizeof(expressions) / sizeof(expressions[0]); e++) {
            struct cron c = parsed(expressions[e]);
            for (int i = 0; i < 40; i++) {
                int64_t after = start + (int64_t)(random_next(&random) % (366 * 86400));
                int64_t real = after - after % 60 + 60;
                while (!is_match(&c, real)) real += 60;
                if (cron_next(&c, after) != real)
                    fail_msg("%s, '%s' after %lld", zones[z], expressions[e], (long long)after);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_calendar),
        cmocka_unit_test(test_clocks_put_forward),
        cmocka_unit_test(test_clocks_put_back),
        cmocka_unit_test(test_against_every_minute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
