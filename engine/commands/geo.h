// SPDX-License-Identifier: BSD-3-Clause
//
// Declarations for the command table: commands over positions, which are sorted sets.
// Each follows the Redis documentation page of its name. They run on the thread that was given the
// keys, and know nothing but the keyspaces in their view.
#ifndef TORC_ENGINE_COMMANDS_GEO_H
#define TORC_ENGINE_COMMANDS_GEO_H

#include "engine/commands/command.h"

command_fn geo_geoadd, geo_geodist, geo_geohash, geo_geopos, geo_georadius, geo_georadius_ro,
    geo_georadiusbymember, geo_georadiusbymember_ro, geo_geosearch, geo_geosearchstore;

#endif
