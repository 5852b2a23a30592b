// SPDX-License-Identifier: BSD-3-Clause
//
// Commands over the elements of lists, sets and sorted sets: declarations for the command table. Each follows the Redis documentation page
// of its name; all run on the thread that was given the keys.
#ifndef TORC_ENGINE_COMMANDS_SORT_H
#define TORC_ENGINE_COMMANDS_SORT_H

#include "engine/commands/command.h"

command_fn sort_sort, sort_sort_ro;

#endif
