// SPDX-License-Identifier: BSD-3-Clause
//
// Declarations for the command table: commands over sets.
// Each follows the Redis documentation page of its name. They run on the thread that was given the
// keys, and know nothing but the keyspaces in their view.
#ifndef TORC_ENGINE_COMMANDS_SET_H
#define TORC_ENGINE_COMMANDS_SET_H

#include "engine/commands/command.h"

command_fn set_sadd, set_scard, set_sdiff, set_sdiffstore, set_sinter, set_sintercard,
    set_sinterstore, set_sismember, set_smembers, set_smismember, set_smove, set_spop,
    set_srandmember, set_srem, set_sscan, set_sunion, set_sunionstore;

#endif
