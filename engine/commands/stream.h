// SPDX-License-Identifier: BSD-3-Clause
//
// Declarations for the command table: commands over streams.
// Each follows the Redis documentation page of its name. They run on the thread that was given the
// keys, and know nothing but the keyspaces in their view.
#ifndef TORC_ENGINE_COMMANDS_STREAM_H
#define TORC_ENGINE_COMMANDS_STREAM_H

#include "engine/commands/command.h"

command_fn stream_xack, stream_xadd, stream_xautoclaim, stream_xclaim, stream_xdel,
    stream_xgroup_create, stream_xgroup_createconsumer, stream_xgroup_delconsumer,
    stream_xgroup_destroy, stream_xgroup_help, stream_xgroup_setid, stream_xinfo_consumers,
    stream_xinfo_groups, stream_xinfo_help, stream_xinfo_stream, stream_xlen, stream_xpending,
    stream_xrange, stream_xread, stream_xreadgroup, stream_xrevrange, stream_xsetid, stream_xtrim;

#endif
