// SPDX-License-Identifier: BSD-3-Clause
//
// Geohashes: known places and distances, points to scores and back, that the ranges of a search
// hold whatever is in its shape, and that what the polynomials decide agrees with libm, near the
// limits above all. That results have Redis's bits is compared in tests/unit/commands/test_geo.c.
// One thread.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/random.h"
#include "engine/encoding/geohash.h"

static const struct geohash_point palermo = {13.361389, 38.115556},
                                  catania = {15.087269, 37.502669};

/** Uniform in [-limit, limit). */
static double between(struct random *r, double limit) {
    return ((double)(random_next(r) >> 11) / 0x1p53 * 2 - 1) * limit;
}

static struct geohash_point random_point(struct random *r) {
    struct geohash_point p = {between(r, GEOHASH_LON_MAX), between(r, GEOHASH_LAT_MAX)};
    if (random_below(r, 8) == 0) p.lon = random_below(r, 2) ? GEOHASH_LON_MAX : -GEOHASH_LON_MAX;
    if (random_below(r, 8) == 0) p.lat = random_below(r, 2) ? GEOHASH_LAT_MAX : -GEOHASH_LAT_MAX;
    return p;
}

static void test_known_places(void **state) {
    (void)state;
    assert_int_equal(geohash_score(palermo), 3479099956230698);
    assert_int_equal(geohash_score(catania), 3479447370796909);
    struct geohash_point p = geohash_point(3479099956230698);
    assert_true(p.lon == 13.361389338970184 && p.lat == 38.1155563954963);
    char text[GEOHASH_TEXT];
    geohash_text(p, text);
    assert_memory_equal(text, "sqc8b49rny0", GEOHASH_TEXT);
    geohash_text(geohash_point(3479447370796909), text);
    assert_memory_equal(text, "sqdtr74hyu0", GEOHASH_TEXT);
    double metres =
        geohash_distance(geohash_point(3479099956230698), geohash_point(3479447370796909));
    assert_true(fabs(metres - 166274.1516) < 0.0001);
    assert_true(geohash_distance(p, p) == 0);
}

static void test_limits(void **state) {
    (void)state;
    const double lon = GEOHASH_LON_MAX, lat = GEOHASH_LAT_MAX;
    assert_true(geohash_is_valid((struct geohash_point){lon, -lat}));
    assert_false(geohash_is_valid((struct geohash_point){nextafter(lon, 200), 0}));
    assert_false(geohash_is_valid((struct geohash_point){0, nextafter(-lat, -200)}));
    assert_int_equal(geohash_score((struct geohash_point){-lon, -lat}), 0);
    // The upper ends are one step further than the grid goes.
    assert_int_equal(geohash_score((struct geohash_point){lon, -lat}), UINT64_C(1) << 53);
    assert_int_equal(geohash_score((struct geohash_point){-lon, lat}), UINT64_C(1) << 52);
    static const double scores[] = {0,      -1,       -5e18,     5e18,   1e19,       1e300,
                                    -1e300, INFINITY, -INFINITY, 0x1p53, 0x1p52 - 1, 0.5};
    for (size_t i = 0; i < sizeof scores / sizeof *scores; i++)
        assert_true(geohash_is_valid(geohash_point(scores[i])));
}

static void test_there_and_back(void **state) {
    (void)state;
    struct random r;
    random_init(&r, 51);
    for (int i = 0; i < 20000; i++) {
        struct geohash_point p = random_point(&r);
        struct geohash_point q = geohash_point((double)geohash_score(p));
        // Half a step of 2^-26 of the range; at the end of longitudes the lowest bit is lost.
        double step = p.lon == GEOHASH_LON_MAX ? 0x1p-24 : 0x1p-26;
        assert_true(fabs(p.lon - q.lon) <= 180 * step + 1e-12);
        assert_true(fabs(p.lat - q.lat) <= 85.06 * step + 1e-12);
    }
}

static double random_size(struct random *r) {
    return pow(10, between(r, 4.3) + 3) * (random_below(r, 10) != 0);
}

static struct geohash_shape random_shape(struct random *r) {
    struct geohash_shape s = {.centre = random_point(r), .unit = random_below(r, 2) ? 1 : 0.3048};
    s.is_box = random_below(r, 2);
    s.radius = s.width = random_size(r);
    s.height = random_below(r, 3) ? s.width : random_size(r);
    return s;
}

/** Near the edge of the shape, mostly. */
static struct geohash_point point_near(struct random *r, const struct geohash_shape *s) {
    double reach = s->radius * s->unit / 111226 * (1 + between(r, 0.05)), angle = between(r, M_PI);
    struct geohash_point p = {s->centre.lon + reach * sin(angle) / cos(s->centre.lat * M_PI / 180),
                              s->centre.lat + reach * cos(angle)};
    return geohash_is_valid(p) ? p : random_point(r);
}

/** Redis's tests, without a shortcut. */
static bool is_within(const struct geohash_shape *s, struct geohash_point p, double *metres) {
    *metres = geohash_distance(s->centre, p);
    if (!s->is_box) return !(*metres > s->radius * s->unit);
    double radians = M_PI / 180.0;
    double lat = 6372797.560856 * fabs(s->centre.lat * radians - p.lat * radians);
    if (lat > s->height * s->unit / 2) return false;
    struct geohash_point beside = {s->centre.lon, p.lat};
    return !(geohash_distance(p, beside) > s->width * s->unit / 2);
}

static void test_shortcuts_agree(void **state) {
    (void)state;
    struct random r;
    random_init(&r, 52);
    int inside = 0;
    for (int round = 0; round < 4000; round++) {
        struct geohash_shape s = random_shape(&r);
        struct geohash_search search;
        geohash_search_init(&search, &s);
        for (int i = 0; i < 30; i++) {
            struct geohash_point p = i % 5 ? point_near(&r, &s) : random_point(&r);
            double score = (double)geohash_score(p), expected, metres = -1;
            bool within = is_within(&s, geohash_point(score), &expected);
            assert_int_equal(geohash_is_within(&search, score, NULL), within);
            assert_int_equal(geohash_is_within(&search, score, &metres), within);
            if (within) assert_memory_equal(&metres, &expected, sizeof metres);
            inside += within;
        }
    }
    assert_in_range(inside, 20000, 100000);
}

/**
 * Circles that are not larger than the grid can show and do not reach over its ends: what is inside
 * is in the ranges.
 */
static void test_ranges_cover_the_shape(void **state) {
    (void)state;
    struct random r;
    random_init(&r, 53);
    int inside = 0;
    for (int round = 0; round < 4000; round++) {
        struct geohash_shape s = {.unit = 1, .radius = pow(10, 1 + between(&r, 1) * 2.5 + 2.5)};
        s.centre = (struct geohash_point){between(&r, 150), between(&r, 60)};
        if (s.radius > 500000) s.radius = 500000;
        struct geohash_range ranges[GEOHASH_RANGES];
        size_t n = geohash_cover(&s, ranges);
        assert_in_range(n, 1, GEOHASH_RANGES);
        for (size_t i = 0; i < n; i++) assert_true(ranges[i].min < ranges[i].max);
        for (int i = 0; i < 30; i++) {
            uint64_t score = geohash_score(point_near(&r, &s));
            double metres;
            if (!is_within(&s, geohash_point((double)score), &metres)) continue;
            bool covered = false;
            for (size_t j = 0; j < n; j++)
                covered |= score >= ranges[j].min && score < ranges[j].max;
            assert_true(covered);
            inside++;
        }
    }
    assert_in_range(inside, 20000, 120000);
}

static void test_the_whole_world(void **state) {
    (void)state;
    struct geohash_shape s = {.centre = {10, 10}, .unit = 1000, .radius = 30000};
    struct geohash_range ranges[GEOHASH_RANGES];
    // Four squares, each of them once.
    assert_int_equal(geohash_cover(&s, ranges), 4);
    struct geohash_search search;
    geohash_search_init(&search, &s);
    struct random r;
    random_init(&r, 54);
    for (int i = 0; i < 1000; i++)
        assert_true(geohash_is_within(&search, (double)geohash_score(random_point(&r)), NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_places),           cmocka_unit_test(test_limits),
        cmocka_unit_test(test_there_and_back),         cmocka_unit_test(test_shortcuts_agree),
        cmocka_unit_test(test_ranges_cover_the_shape), cmocka_unit_test(test_the_whole_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
