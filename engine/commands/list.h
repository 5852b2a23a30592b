// SPDX-License-Identifier: BSD-3-Clause
//
// Declarations for the command table: commands over lists.
// Each follows the Redis documentation page of its name. They run on the thread that was given the
// keys, and know nothing but the keyspaces in their view.
#ifndef TORC_ENGINE_COMMANDS_LIST_H
#define TORC_ENGINE_COMMANDS_LIST_H

#include "engine/commands/command.h"

command_fn list_blmove, list_blmpop, list_blpop, list_brpop, list_brpoplpush, list_lindex,
    list_linsert, list_llen, list_lmove, list_lmpop, list_lpop, list_lpos, list_lpush, list_lpushx,
    list_lrange, list_lrem, list_lset, list_ltrim, list_rpop, list_rpoplpush, list_rpush,
    list_rpushx;

#endif
