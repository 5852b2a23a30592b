// SPDX-License-Identifier: BSD-3-Clause
//
// Declarations for the command table: commands over sorted sets.
// Each follows the Redis documentation page of its name. They run on the thread that was given the
// keys, and know nothing but the keyspaces in their view.
#ifndef TORC_ENGINE_COMMANDS_ZSET_H
#define TORC_ENGINE_COMMANDS_ZSET_H

#include "engine/commands/command.h"

command_fn zset_bzmpop, zset_bzpopmax, zset_bzpopmin, zset_zadd, zset_zcard, zset_zcount,
    zset_zdiff, zset_zdiffstore, zset_zincrby, zset_zinter, zset_zintercard, zset_zinterstore,
    zset_zlexcount, zset_zmpop, zset_zmscore, zset_zpopmax, zset_zpopmin, zset_zrandmember,
    zset_zrange, zset_zrangebylex, zset_zrangebyscore, zset_zrangestore, zset_zrank, zset_zrem,
    zset_zremrangebylex, zset_zremrangebyrank, zset_zremrangebyscore, zset_zrevrange,
    zset_zrevrangebylex, zset_zrevrangebyscore, zset_zrevrank, zset_zscan, zset_zscore, zset_zunion,
    zset_zunionstore;

#endif
