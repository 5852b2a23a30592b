// SPDX-License-Identifier: BSD-3-Clause
//
// Declarations for the command table: commands over HyperLogLogs, which are strings.
// Each follows the Redis documentation page of its name. They run on the thread that was given the
// keys, and know nothing but the keyspaces in their view.
#ifndef TORC_ENGINE_COMMANDS_HLL_H
#define TORC_ENGINE_COMMANDS_HLL_H

#include "engine/commands/command.h"

command_fn hll_pfadd, hll_pfcount, hll_pfdebug, hll_pfmerge, hll_pfselftest;

#endif
