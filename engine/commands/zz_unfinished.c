// SPDX-License-Identifier: BSD-3-Clause
//
// Scaffolding while families are being written: weak functions that answer with an error. Goes
// away before anything is released. Any thread, no state, called through the command table only.
#include "engine/commands/command.h"
#include "engine/types/ops.h"
#include "engine/commands/set.h"
#include "engine/commands/sort.h"

#define UNFINISHED(name) \
    __attribute__((weak)) void name(struct cmd *c) { reply_error(c->reply, "ERR not there yet"); }
UNFINISHED(sort_sort)
UNFINISHED(sort_sort_ro)

