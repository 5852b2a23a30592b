// SPDX-License-Identifier: BSD-3-Clause
//
// Times in cron's syntax: five fields (minute, hour, day of the month, month, day of the week) or
// @hourly, @daily, @weekly, @monthly, @yearly. Says when the next such time is, in the process's
// time zone. Pure functions over a plain value, any thread.
// Invariant: a parsed one comes again some day: what never does, as 30 February, is refused.
#ifndef TORC_PERSISTENCE_CRON_H
#define TORC_PERSISTENCE_CRON_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/slice.h"

struct cron {
    uint64_t minutes; // bit n: at minute n; the same for the others
    uint32_t hours, days;
    uint16_t months;
    uint8_t weekdays;          // bit 0: Sunday
    bool any_day, any_weekday; // the field begins with *
    bool any_minute, any_hour;
};

/**
 * Reads an expression: in each field *, numbers, ranges (a-b), steps (*-or-range/n), lists of them
 * (a,b), and names of months and days (jan, sun); 7 is Sunday, too. When both days are given,
 * either is enough. False: the reason is appended to error.
 */
bool cron_parse(struct cron *c, struct slice text, struct buf *error);
/**
 * The first such time after `after_s`, both Unix times in seconds. Where clocks are put forward,
 * times that are left out come at the end of the gap, and where they are put back, each comes once,
 * the first time; but an expression whose minutes or hours are * keeps its rhythm through both.
 */
int64_t cron_next(const struct cron *c, int64_t after_s);

#endif
