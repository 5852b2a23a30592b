// SPDX-License-Identifier: BSD-3-Clause
//
// What the files of geo commands share: arguments that are places and distances, and their replies.
// Internal to geo*.c. No state; runs on whichever thread runs the command. Invariant: a function
// that says false has written the error.
#ifndef TORC_ENGINE_COMMANDS_GEO_PARTS_H
#define TORC_ENGINE_COMMANDS_GEO_PARTS_H

#include "engine/commands/collection.h"
#include "engine/commands/geo.h"
#include "engine/encoding/geohash.h"
#include "engine/types/t_zset.h"

/** Longitude and latitude at arg and arg + 1. */
bool geo__arg_point(struct cmd *c, int arg, struct geohash_point *p);
/** A unit at arg: metres in one. */
bool geo__arg_unit(struct cmd *c, int arg, double *metres);
/** A distance with four digits behind the point. */
void geo__reply_distance(struct reply *r, double distance);
/** Longitude and latitude. */
void geo__reply_point(struct reply *r, struct geohash_point p);

#endif
