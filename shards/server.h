// SPDX-License-Identifier: BSD-3-Clause
//
// The server as a whole: from a configuration to a running fleet and back. Runs on the main
// thread, which afterwards only waits for signals. Used by tools/torc/main.c.
// Invariant: when server_run() returns, everything that it opened or started is closed or ended.
#ifndef TORC_SHARDS_SERVER_H
#define TORC_SHARDS_SERVER_H

#include "shards/config.h"

/** Serves until SIGTERM, SIGINT or SHUTDOWN. Returns the process's exit status. */
int server_run(struct config *config, const struct config_notices *notices);

#endif
