// SPDX-License-Identifier: BSD-3-Clause
//
// Commands over HyperLogLog: declarations for the command table. Each follows the Redis documentation page
// of its name; all run on the thread that was given the keys.
#ifndef TORC_ENGINE_COMMANDS_HLL_H
#define TORC_ENGINE_COMMANDS_HLL_H

#include "engine/commands/command.h"

command_fn hll_pfadd, hll_pfcount, hll_pfdebug, hll_pfmerge, hll_pfselftest;

#endif
