// SPDX-License-Identifier: BSD-3-Clause
//
// Declarations for the command table: commands over the elements of lists, sets and sorted sets.
// Each follows the Redis documentation page of its name. They run on the thread that was given the
// keys, and know nothing but the keyspaces in their view.
#ifndef TORC_ENGINE_COMMANDS_SORT_H
#define TORC_ENGINE_COMMANDS_SORT_H

#include "engine/commands/command.h"

command_fn sort_sort, sort_sort_ro;

#endif
