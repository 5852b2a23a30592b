// SPDX-License-Identifier: BSD-3-Clause
//
// Declarations for the command table: commands over hashes.
// Each follows the Redis documentation page of its name. They run on the thread that was given the
// keys, and know nothing but the keyspaces in their view.
#ifndef TORC_ENGINE_COMMANDS_HASH_H
#define TORC_ENGINE_COMMANDS_HASH_H

#include "engine/commands/command.h"

command_fn hash_hdel, hash_hexists, hash_hexpire, hash_hexpireat, hash_hexpiretime, hash_hget,
    hash_hgetall, hash_hgetdel, hash_hgetex, hash_hincrby, hash_hincrbyfloat, hash_hkeys, hash_hlen,
    hash_hmget, hash_hmset, hash_hpersist, hash_hpexpire, hash_hpexpireat, hash_hpexpiretime,
    hash_hpttl, hash_hrandfield, hash_hscan, hash_hset, hash_hsetex, hash_hsetnx, hash_hstrlen,
    hash_httl, hash_hvals;

#endif
