// SPDX-License-Identifier: BSD-3-Clause
//
// Places on the earth as scores of a sorted set: longitude and latitude as 26-bit fractions of
// their ranges, their bits interleaved (geohash), so that near places have near scores and a square
// of the grid is one range of them. Distances are great circles on a sphere (haversine). Pure
// functions; any thread. Invariant: every result has the bits that Redis 7.2's arithmetic gives, so
// operations are in its order; the cheap tests in front decide only what is beyond doubt.
//
//   score (52 bits):  lon25 lat25 lon24 lat24 ... lon0 lat0
#ifndef TORC_ENGINE_ENCODING_GEOHASH_H
#define TORC_ENGINE_ENCODING_GEOHASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GEOHASH_LON_MAX 180.0
#define GEOHASH_LAT_MAX 85.05112878 // beyond, the projection that the grid is made for ends
#define GEOHASH_TEXT    11          // characters of the usual notation

struct geohash_point {
    double lon, lat; // degrees
};

/** Whether a score can stand for the point. */
bool geohash_is_valid(struct geohash_point p);
/** The score of a valid point. */
uint64_t geohash_score(struct geohash_point p);
/** The middle of the square that a score stands for; any score leads to a valid point. */
struct geohash_point geohash_point(double score);
/** The usual notation of a valid point, not zero-terminated. */
void geohash_text(struct geohash_point p, char out[GEOHASH_TEXT]);

/** Metres between two points. */
double geohash_distance(struct geohash_point a, struct geohash_point b);

/** What is searched in: a circle, or a box that is as wide at every latitude. */
struct geohash_shape {
    struct geohash_point centre;
    bool is_box;
    double radius, width, height; // of the one or the other, in units
    double unit;                  // metres
};

/** Scores from min on, below max. */
struct geohash_range {
    uint64_t min, max;
};
#define GEOHASH_RANGES 9
/**
 * The ranges that together hold all scores in the shape (and others), in the order in which Redis
 * looks through them. Returns how many.
 */
size_t geohash_cover(const struct geohash_shape *shape, struct geohash_range out[GEOHASH_RANGES]);

/** A shape made ready for many points. */
struct geohash_search {
    struct geohash_shape shape;
    double lon, lat, cos_lat, sin_lat; // of the centre, radians
    double reach;                      // metres: the radius, or half the width
    double lat_reach;                  // metres: half the height of a box
    // The square of half a chord: a point is surely inside below `inside`, outside above `outside`.
    double inside, outside;
};
void geohash_search_init(struct geohash_search *s, const struct geohash_shape *shape);
/**
 * Whether the point of a score is in the shape. *distance becomes the distance to the centre in
 * metres; NULL: it is not asked for.
 */
bool geohash_is_within(const struct geohash_search *s, double score, double *distance);

#endif
