// SPDX-License-Identifier: BSD-3-Clause
//
// What the process gives up before it serves anybody: the rights of root, the possibility to get
// rights back, and core files, which would hold all data and passwords. Main thread, once, when the
// sockets are open and no other thread exists.
#ifndef TORC_SHARDS_PRIVILEGES_H
#define TORC_SHARDS_PRIVILEGES_H

#include <stdbool.h>

#include "engine/base/buf.h"

/**
 * Becomes the user `run_as` for good, if that is not empty and the process is root's; without
 * core_dumps, no core file of it will be written. False: error says what failed, and the process
 * must not go on.
 */
bool privileges_give_up(const char *run_as, bool core_dumps, struct buf *error);

#endif
