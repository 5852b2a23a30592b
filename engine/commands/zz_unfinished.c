// SPDX-License-Identifier: BSD-3-Clause
//
// Scaffolding while families are being written: weak functions that answer with an error. Goes
// away before anything is released. Any thread, no state, called through the command table only.
#include "engine/commands/command.h"
#include "engine/types/ops.h"
#include "engine/commands/geo.h"
#include "engine/commands/set.h"
#include "engine/commands/sort.h"

#define UNFINISHED(name) \
    __attribute__((weak)) void name(struct cmd *c) { reply_error(c->reply, "ERR not there yet"); }
UNFINISHED(geo_geoadd)
UNFINISHED(geo_geodist)
UNFINISHED(geo_geohash)
UNFINISHED(geo_geopos)
UNFINISHED(geo_georadius)
UNFINISHED(geo_georadius_ro)
UNFINISHED(geo_georadiusbymember)
UNFINISHED(geo_georadiusbymember_ro)
UNFINISHED(geo_geosearch)
UNFINISHED(geo_geosearchstore)
UNFINISHED(sort_sort)
UNFINISHED(sort_sort_ro)

