// SPDX-License-Identifier: BSD-3-Clause
//
// Commands about keys whatever their type, and about databases: keys.c, keys_expire.c, keys_move.c,
// keys_dump.c, keys_scan.c and keys_object.c. They run on whichever thread has been given the
// keyspaces of the command's view. Invariant: each writes exactly one reply and leaves keyspaces
// valid, also when the keys of one command live in different keyspaces. Caller: table.c's rows.
#ifndef TORC_ENGINE_COMMANDS_KEYS_H
#define TORC_ENGINE_COMMANDS_KEYS_H

#include "engine/commands/command.h"

// keys.c: presence, and whole databases.
void keys_del(struct cmd *c);
void keys_unlink(struct cmd *c);
void keys_exists(struct cmd *c);
void keys_touch(struct cmd *c);
void keys_type(struct cmd *c);
void keys_dbsize(struct cmd *c);
void keys_flushdb(struct cmd *c);
void keys_flushall(struct cmd *c);
void keys_swapdb(struct cmd *c);

/**
 * Looks a key up for its name's sake (EXISTS, TYPE, TTL): counts hit or miss, but does not count as
 * a use of the key. Quietly (OBJECT): a miss is no event.
 */
struct found keys__look(struct cmd *c, int arg);
struct found keys__look_quietly(struct cmd *c, int arg);
/** A database number of this server from an argument; false: the error has been written. */
bool keys__arg_db(struct cmd *c, int arg, uint32_t *out);

// keys_expire.c: times to live.
void keys_expire(struct cmd *c);
void keys_pexpire(struct cmd *c);
void keys_expireat(struct cmd *c);
void keys_pexpireat(struct cmd *c);
void keys_expiretime(struct cmd *c);
void keys_pexpiretime(struct cmd *c);
void keys_ttl(struct cmd *c);
void keys_pttl(struct cmd *c);
void keys_persist(struct cmd *c);

// keys_move.c: the same value under another name or in another database.
void keys_rename(struct cmd *c);
void keys_renamenx(struct cmd *c);
void keys_copy(struct cmd *c);
void keys_move(struct cmd *c);

// keys_dump.c: values in serialized form.
void keys_dump(struct cmd *c);
void keys_restore(struct cmd *c);

// keys_scan.c: finding keys.
void keys_keys(struct cmd *c);
void keys_scan(struct cmd *c);
void keys_randomkey(struct cmd *c);

// keys_object.c: how a value is held.
void keys_object_encoding(struct cmd *c);
void keys_object_freq(struct cmd *c);
void keys_object_help(struct cmd *c);
void keys_object_idletime(struct cmd *c);
void keys_object_refcount(struct cmd *c);
void keys_memory_usage(struct cmd *c);

#endif
