// SPDX-License-Identifier: BSD-3-Clause
//
// Commands that need neither keys nor a connection: they answer from their arguments, the time and
// constants. Pure functions; any thread. Invariant: each writes exactly one reply. Caller:
// table.c's rows.
#ifndef TORC_ENGINE_COMMANDS_SERVER_H
#define TORC_ENGINE_COMMANDS_SERVER_H

#include "engine/commands/command.h"

/** The version of Redis whose behaviour is served: INFO, HELLO, LOLWUT. */
#define SERVER_REDIS_VERSION "7.2.6"

/** PING outside of subscribed mode. */
void server_ping(struct cmd *c);
void server_echo(struct cmd *c);
void server_time(struct cmd *c);
void server_lolwut(struct cmd *c);
void server_memory_help(struct cmd *c);

#endif
