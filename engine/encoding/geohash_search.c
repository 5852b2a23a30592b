// SPDX-License-Identifier: BSD-3-Clause
//
// Distances on the earth, and whether points are within a circle or a box. What a client sees is
// computed with libm in Redis's order of operations; but most of the squares that are looked
// through is outside, and without a distance in the reply it matters only on which side of a limit
// a point is. So a polynomial decides wherever it can be sure of that. Pure functions; any thread.
// Invariant: the margin around a limit exceeds all errors of both computations, by a factor of ten
// and more. Called for each member by GEOSEARCH and its kin.
#include <math.h>
#include <stddef.h>

#include "engine/encoding/geohash.h"
#include "engine/encoding/geohash_earth.h"

static double lat_distance(double lat_a, double lat_b) { // radians
    return GEOHASH_EARTH_RADIUS * fabs(lat_b - lat_a);
}

/** Metres between two points in radians, the cosine of the first one's latitude known. */
static double distance(double lon_a, double lat_a, double cos_a, double lon_b, double lat_b) {
    double v = sin((lon_b - lon_a) / 2);
    if (v == 0.0) return lat_distance(lat_a, lat_b);
    double u = sin((lat_b - lat_a) / 2);
    double a = u * u + cos_a * cos(lat_b) * v * v;
    return 2.0 * GEOHASH_EARTH_RADIUS * asin(sqrt(a));
}

double geohash_distance(struct geohash_point a, struct geohash_point b) {
    double lat = geohash__radians(a.lat);
    return distance(geohash__radians(a.lon), lat, cos(lat), geohash__radians(b.lon),
                    geohash__radians(b.lat));
}

void geohash_search_init(struct geohash_search *s, const struct geohash_shape *shape) {
    s->shape = *shape;
    s->lon = geohash__radians(shape->centre.lon);
    s->lat = geohash__radians(shape->centre.lat);
    s->cos_lat = cos(s->lat);
    s->sin_lat = sin(s->lat);
    s->reach = shape->is_box ? shape->width * shape->unit / 2 : shape->radius * shape->unit;
    s->lat_reach = shape->is_box ? shape->height * shape->unit / 2 : 0;
    double angle = s->reach / GEOHASH_EARTH_RADIUS / 2;
    double half_chord = angle < M_PI / 2 ? sin(angle) : 1;
    // Relative: what the polynomials leave out. With the root: angles are differences of numbers
    // that are themselves rounded.
    double margin = half_chord * half_chord * 1e-8 + half_chord * 1e-14 + 1e-28;
    s->inside = half_chord * half_chord - margin;
    s->outside = half_chord * half_chord + margin;
}

#define NEAR 0.5 // radians: polynomials hold up to here

// Taylor's, for x up to NEAR; xx is x * x. Errors are below 2e-11.
static inline double near_sin(double x, double xx) {
    return x * (1 + xx * (-1.0 / 6 + xx * (1.0 / 120 + xx * (-1.0 / 5040 + xx / 362880))));
}
static inline double near_cos(double xx) {
    return 1 +
           xx * (-0.5 + xx * (1.0 / 24 + xx * (-1.0 / 720 + xx * (1.0 / 40320 - xx / 3628800))));
}

enum side { INSIDE, OUTSIDE, UNSURE };

/** On which side of the limit a point is, from half the differences to the centre. */
static inline enum side side_of(const struct geohash_search *s, double half_lon, double half_lat) {
    if (fabs(half_lon) > NEAR || fabs(half_lat) > NEAR) return UNSURE;
    double lat2 = half_lat * half_lat;
    double v = near_sin(half_lon, half_lon * half_lon);
    double u = near_sin(half_lat, lat2);
    double cos_lat = s->cos_lat * (1 - 2 * u * u) - s->sin_lat * 2 * u * near_cos(lat2);
    double h = s->shape.is_box ? cos_lat * cos_lat * v * v : u * u + s->cos_lat * cos_lat * v * v;
    if (h < s->inside) return INSIDE;
    return h > s->outside ? OUTSIDE : UNSURE;
}

/** Whether the parallel of the point itself is within half the width of a box. */
static bool within_width(const struct geohash_search *s, double lon, double lat) {
    return !(distance(lon, lat, cos(lat), s->lon, lat) > s->reach);
}

bool geohash_is_within(const struct geohash_search *s, double score, double *metres) {
    struct geohash_point p = geohash_point(score);
    double lon = geohash__radians(p.lon), lat = geohash__radians(p.lat);
    if (s->shape.is_box && lat_distance(lat, s->lat) > s->lat_reach) return false;
    enum side side = side_of(s, (lon - s->lon) / 2, (lat - s->lat) / 2);
    if (side == OUTSIDE) return false;
    if (side == INSIDE && metres == NULL) return true;
    if (s->shape.is_box) {
        if (side == UNSURE && !within_width(s, lon, lat)) return false;
        if (metres != NULL) *metres = distance(s->lon, s->lat, s->cos_lat, lon, lat);
        return true;
    }
    double exact = distance(s->lon, s->lat, s->cos_lat, lon, lat);
    if (exact > s->reach) return false;
    if (metres != NULL) *metres = exact;
    return true;
}
