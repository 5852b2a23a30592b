// SPDX-License-Identifier: BSD-3-Clause
//
// COMMAND and its subcommands: the command table as clients see it. Pure functions over constant
// data; any thread. Invariant: each writes exactly one reply. Callers: table.c's rows; help_reply()
// also serves the HELP subcommands of others.
#ifndef TORC_ENGINE_COMMANDS_INTROSPECT_H
#define TORC_ENGINE_COMMANDS_INTROSPECT_H

#include "engine/commands/command.h"

/** COMMAND without a subcommand: every row. */
void introspect_command(struct cmd *c);
void introspect_count(struct cmd *c);
void introspect_docs(struct cmd *c);
void introspect_getkeys(struct cmd *c);
void introspect_getkeysandflags(struct cmd *c);
void introspect_help(struct cmd *c);
void introspect_info(struct cmd *c);
void introspect_list(struct cmd *c);

/**
 * What a container's HELP answers: a headline with its name in capitals, then the lines
 * (NULL-terminated), then the two lines about HELP itself, all as status replies.
 */
void introspect_help_reply(struct reply *r, const char *container, const char *const *lines);

#endif
