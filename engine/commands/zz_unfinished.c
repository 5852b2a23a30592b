// SPDX-License-Identifier: BSD-3-Clause
//
// Scaffolding while families are being written: weak functions that answer with an error. Goes
// away before anything is released. Any thread, no state, called through the command table only.
#include "engine/commands/command.h"
#include "engine/types/ops.h"
#include "engine/commands/geo.h"
#include "engine/commands/hash.h"
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
UNFINISHED(hash_hdel)
UNFINISHED(hash_hexists)
UNFINISHED(hash_hexpire)
UNFINISHED(hash_hexpireat)
UNFINISHED(hash_hexpiretime)
UNFINISHED(hash_hget)
UNFINISHED(hash_hgetall)
UNFINISHED(hash_hgetdel)
UNFINISHED(hash_hgetex)
UNFINISHED(hash_hincrby)
UNFINISHED(hash_hincrbyfloat)
UNFINISHED(hash_hkeys)
UNFINISHED(hash_hlen)
UNFINISHED(hash_hmget)
UNFINISHED(hash_hmset)
UNFINISHED(hash_hpersist)
UNFINISHED(hash_hpexpire)
UNFINISHED(hash_hpexpireat)
UNFINISHED(hash_hpexpiretime)
UNFINISHED(hash_hpttl)
UNFINISHED(hash_hrandfield)
UNFINISHED(hash_hscan)
UNFINISHED(hash_hset)
UNFINISHED(hash_hsetex)
UNFINISHED(hash_hsetnx)
UNFINISHED(hash_hstrlen)
UNFINISHED(hash_httl)
UNFINISHED(hash_hvals)
UNFINISHED(sort_sort)
UNFINISHED(sort_sort_ro)

__attribute__((weak))
const struct value_ops thash_listpack_ops = {.type = ENTRY_HASH, .name = "listpack"};
__attribute__((weak))
const struct value_ops thash_listpack_ex_ops = {.type = ENTRY_HASH, .name = "listpackex"};
__attribute__((weak))
const struct value_ops thash_hashtable_ops = {.type = ENTRY_HASH, .name = "hashtable"};
