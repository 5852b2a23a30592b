// SPDX-License-Identifier: BSD-3-Clause
//
// Geohashes: points to scores and back, and the squares of the grid that cover what is searched.
// Pure functions, constants alone; any thread. Steps, limits and the order of the squares follow
// Redis 7.2 (geohash.c, geohash_helper.c), since results without ASC or DESC come in that order.
// Invariant: a square of step s has 2 s bits, except at longitude 180 and at the northern limit,
// where the fraction is 1 and takes a bit more, as in Redis. Distances are in geohash_search.c.
#include "engine/encoding/geohash.h"

#include <math.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/encoding/geohash_earth.h"

#define STEP_MAX     26
#define SCORE_BITS   52
#define MERCATOR_MAX 20037726.37 // metres from the equator to the edge of the projection
#define LON_BITS     UINT64_C(0xaaaaaaaaaaaaaaaa)
#define LAT_BITS     UINT64_C(0x5555555555555555)

struct range {
    double min, max;
};
static const struct range lon_range = {-GEOHASH_LON_MAX, GEOHASH_LON_MAX};
static const struct range lat_range = {-GEOHASH_LAT_MAX, GEOHASH_LAT_MAX};

struct square {
    uint64_t bits;
    unsigned step; // 0: no square
};

struct area {
    struct range lon, lat;
};

// ---- bits --------------------------------------------------------------------------------------

/** Spreads 32 bits to the even ones of 64. */
static inline uint64_t spread(uint64_t x) {
    x = (x | x << 16) & UINT64_C(0x0000ffff0000ffff);
    x = (x | x << 8) & UINT64_C(0x00ff00ff00ff00ff);
    x = (x | x << 4) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    x = (x | x << 2) & UINT64_C(0x3333333333333333);
    return (x | x << 1) & LAT_BITS;
}

/** Collects the even bits. */
static inline uint32_t collect(uint64_t x) {
    x &= LAT_BITS;
    x = (x | x >> 1) & UINT64_C(0x3333333333333333);
    x = (x | x >> 2) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    x = (x | x >> 4) & UINT64_C(0x00ff00ff00ff00ff);
    x = (x | x >> 8) & UINT64_C(0x0000ffff0000ffff);
    return (uint32_t)(x | x >> 16);
}

static uint32_t fraction(struct range range, double value, unsigned step) {
    double offset = (value - range.min) / (range.max - range.min);
    offset *= (double)(UINT64_C(1) << step);
    return (uint32_t)offset;
}

static struct square square_at(struct range lon, struct range lat, struct geohash_point p,
                               unsigned step) {
    uint64_t bits = spread(fraction(lat, p.lat, step)) | spread(fraction(lon, p.lon, step)) << 1;
    return (struct square){bits, step};
}

/** From `at` to the next fraction, of 2^step. */
static inline struct range interval(struct range range, uint32_t at, unsigned step) {
    double scale = range.max - range.min, parts = (double)(UINT64_C(1) << step);
    return (struct range){range.min + ((double)at / parts) * scale,
                          range.min + ((double)(at + 1) / parts) * scale};
}

static inline struct area area_of(struct square q) {
    return (struct area){interval(lon_range, collect(q.bits >> 1), q.step),
                         interval(lat_range, collect(q.bits), q.step)};
}

static inline double middle(struct range range, double limit) {
    double value = (range.min + range.max) / 2;
    if (value > limit) return limit;
    return value < -limit ? -limit : value;
}

// ---- points ------------------------------------------------------------------------------------

bool geohash_is_valid(struct geohash_point p) {
    return p.lon >= -GEOHASH_LON_MAX && p.lon <= GEOHASH_LON_MAX && p.lat >= -GEOHASH_LAT_MAX &&
           p.lat <= GEOHASH_LAT_MAX;
}

uint64_t geohash_score(struct geohash_point p) {
    ASSERT(geohash_is_valid(p));
    return square_at(lon_range, lat_range, p, STEP_MAX).bits;
}

/** A double to 64 bits, for scores that are no places too: as x86-64 converts them. */
static uint64_t bits_of(double score) {
    if (score >= 0 && score < 0x1p64) return (uint64_t)score;
    if (score > -0x1p63 && score < 0) return (uint64_t)(int64_t)score;
    return score > 0 ? 0 : UINT64_C(1) << 63;
}

struct geohash_point geohash_point(double score) {
    struct area area = area_of((struct square){bits_of(score), STEP_MAX});
    return (struct geohash_point){middle(area.lon, GEOHASH_LON_MAX),
                                  middle(area.lat, GEOHASH_LAT_MAX)};
}

void geohash_text(struct geohash_point p, char out[GEOHASH_TEXT]) {
    static const char digits[] = "0123456789bcdefghjkmnpqrstuvwxyz";
    // The notation counts latitude from pole to pole.
    const struct range lat = {-90, 90};
    uint64_t bits = square_at(lon_range, lat, p, STEP_MAX).bits;
    for (int i = 0; i < GEOHASH_TEXT - 1; i++)
        out[i] = digits[bits >> (SCORE_BITS - 5 * (i + 1)) & 31];
    out[GEOHASH_TEXT - 1] = digits[0]; // two bits are left: not enough for one more
}

// ---- covering ----------------------------------------------------------------------------------

/** The step at which a square is about as large as what is searched, or larger. */
static unsigned step_for(double metres, double lat) {
    if (metres == 0) return STEP_MAX;
    int step = 1;
    for (; metres < MERCATOR_MAX; metres *= 2) step++;
    step -= 2;
    // Squares get narrower towards the poles.
    if (fabs(lat) > 66) step--;
    if (fabs(lat) > 80) step--;
    if (step < 1) step = 1;
    return step > STEP_MAX ? STEP_MAX : (unsigned)step;
}

static double half(const struct geohash_shape *s, double side) {
    return s->unit * (s->is_box ? side / 2 : s->radius);
}

static struct area bounds_of(const struct geohash_shape *s) {
    double height = half(s, s->height), width = half(s, s->width);
    double lon = s->centre.lon, lat = s->centre.lat;
    double lat_delta = geohash__degrees(height / GEOHASH_EARTH_RADIUS);
    // The parallel nearer to the pole is the shorter one: there the shape reaches furthest.
    double nearer = lat < 0 ? lat - lat_delta : lat + lat_delta;
    double lon_delta =
        geohash__degrees(width / GEOHASH_EARTH_RADIUS / cos(geohash__radians(nearer)));
    return (struct area){{lon - lon_delta, lon + lon_delta}, {lat - lat_delta, lat + lat_delta}};
}

/** The squares around one, in the order in which they are looked through. */
enum { HERE, NORTH, SOUTH, EAST, WEST, NORTH_EAST, NORTH_WEST, SOUTH_EAST, SOUTH_WEST };
static const struct {
    int8_t lon, lat;
} moves[GEOHASH_RANGES] = {{0, 0}, {0, 1},  {0, -1}, {1, 0},  {-1, 0},
                           {1, 1}, {-1, 1}, {1, -1}, {-1, -1}};

/** One square further along the bits of `mask`; round the end it goes on at the beginning. */
static uint64_t moved(uint64_t bits, uint64_t mask, unsigned step, int by) {
    if (by == 0) return bits;
    unsigned unused = 64 - step * 2;
    uint64_t others = ~mask >> unused, part = bits & mask;
    part = by > 0 ? part + (others + 1) : (part | others) - (others + 1);
    return (part & mask >> unused) | (bits & ~mask);
}

static void squares_around(struct square q, struct square out[GEOHASH_RANGES]) {
    for (int i = 0; i < GEOHASH_RANGES; i++) {
        uint64_t bits = moved(q.bits, LON_BITS, q.step, moves[i].lon);
        out[i] = (struct square){moved(bits, LAT_BITS, q.step, moves[i].lat), q.step};
    }
}

/** Whether what is searched goes beyond the squares around. */
static bool reaches_beyond(const struct square around[GEOHASH_RANGES], const struct area *bounds) {
    return area_of(around[NORTH]).lat.max < bounds->lat.max ||
           area_of(around[SOUTH]).lat.min > bounds->lat.min ||
           area_of(around[EAST]).lon.max < bounds->lon.max ||
           area_of(around[WEST]).lon.min > bounds->lon.min;
}

/** Leaves out the squares on a side that the middle one already reaches. */
static void drop_useless(struct square around[GEOHASH_RANGES], const struct area *bounds) {
    struct area here = area_of(around[HERE]);
    for (int i = 1; i < GEOHASH_RANGES; i++) {
        bool useless = (moves[i].lat < 0 && here.lat.min < bounds->lat.min) ||
                       (moves[i].lat > 0 && here.lat.max > bounds->lat.max) ||
                       (moves[i].lon < 0 && here.lon.min < bounds->lon.min) ||
                       (moves[i].lon > 0 && here.lon.max > bounds->lon.max);
        if (useless) around[i] = (struct square){0, 0};
    }
}

size_t geohash_cover(const struct geohash_shape *shape, struct geohash_range out[GEOHASH_RANGES]) {
    struct area bounds = bounds_of(shape);
    double half_width = shape->width / 2, half_height = shape->height / 2;
    double metres =
        shape->is_box ? sqrt(half_width * half_width + half_height * half_height) : shape->radius;
    unsigned step = step_for(metres * shape->unit, shape->centre.lat);
    struct square around[GEOHASH_RANGES];
    squares_around(square_at(lon_range, lat_range, shape->centre, step), around);
    if (step > 1 && reaches_beyond(around, &bounds)) {
        step--;
        squares_around(square_at(lon_range, lat_range, shape->centre, step), around);
    }
    if (step >= 2) drop_useless(around, &bounds);
    size_t n = 0;
    uint64_t last = 0;
    bool any = false;
    for (int i = 0; i < GEOHASH_RANGES; i++) {
        if (around[i].step == 0) continue;
        // With the largest squares both neighbours of one are the same.
        if (any && around[i].bits == last) continue;
        unsigned shift = SCORE_BITS - step * 2;
        out[n++] = (struct geohash_range){around[i].bits << shift, (around[i].bits + 1) << shift};
        any = i > 0;
        last = around[i].bits;
    }
    return n;
}
