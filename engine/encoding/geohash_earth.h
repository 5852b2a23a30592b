// SPDX-License-Identifier: BSD-3-Clause
//
// The earth as geohash*.c compute with it: a sphere, and angles in the units that go with it.
// Internal to these files; constants and pure functions. Invariant: conversions divide and multiply
// by the one rounded constant, as Redis does, since a different rounding would show in replies.
#ifndef TORC_ENGINE_ENCODING_GEOHASH_EARTH_H
#define TORC_ENGINE_ENCODING_GEOHASH_EARTH_H

#include <math.h>

#define GEOHASH_EARTH_RADIUS 6372797.560856 // metres: WGS 84's quadratic mean
#define GEOHASH_DEGREE       (M_PI / 180.0)

static inline double geohash__radians(double degrees) { return degrees * GEOHASH_DEGREE; }
static inline double geohash__degrees(double radians) { return radians / GEOHASH_DEGREE; }

#endif
