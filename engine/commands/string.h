// SPDX-License-Identifier: BSD-3-Clause
//
// The commands of the string family, one function each: rows of the command table point here.
// They run on the thread that has been given the keys (see command.h), hold no state, and write
// exactly one reply. string.c has reads and changes in place, string_set.c what replaces a value
// or its time to live, lcs.c the longest common subsequence. Invariant shared by all: a key is
// looked up once, and every change of it goes through a db_* function.
#ifndef TORC_ENGINE_COMMANDS_STRING_H
#define TORC_ENGINE_COMMANDS_STRING_H

#include "engine/commands/command.h"

void string_set(struct cmd *c);
void string_get(struct cmd *c);
void string_getset(struct cmd *c);
void string_getdel(struct cmd *c);
void string_getex(struct cmd *c);
void string_setnx(struct cmd *c);
void string_setex(struct cmd *c);
void string_psetex(struct cmd *c);
void string_mset(struct cmd *c);
void string_msetnx(struct cmd *c);
void string_mget(struct cmd *c);
void string_append(struct cmd *c);
void string_strlen(struct cmd *c);
/** GETRANGE, and SUBSTR by its old name. */
void string_getrange(struct cmd *c);
void string_setrange(struct cmd *c);
void string_incr(struct cmd *c);
void string_decr(struct cmd *c);
void string_incrby(struct cmd *c);
void string_decrby(struct cmd *c);
void string_incrbyfloat(struct cmd *c);
void string_lcs(struct cmd *c);

/** Writes the found string as a bulk string, or a null when nothing was found. Strings only. */
void string__reply(struct cmd *c, const struct found *f);

#endif
