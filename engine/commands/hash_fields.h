// SPDX-License-Identifier: BSD-3-Clause
//
// What the commands with FIELDS numfields share: their arguments, the result for each field, and
// what is replayed for those with a certain result. Included by hash_expire.c and hash_ex.c only;
// same thread rules as command.h. Invariant: a function that returns false has written one error.
#ifndef TORC_ENGINE_COMMANDS_HASH_FIELDS_H
#define TORC_ENGINE_COMMANDS_HASH_FIELDS_H

#include "engine/commands/command.h"

/** Redis keeps 48 bits for a time, and takes a quarter of that. */
#define HASH_EXPIRE_MAX_MS (((INT64_C(1) << 48) - 1) >> 2)

struct hash_fields {
    int first, count; // arguments
};

/** A time argument in units after a base; false: the error has been written. */
bool hash__arg_time(struct cmd *c, int arg, int64_t unit_ms, int64_t base_ms, int64_t *at_ms);
/** FIELDS numfields field ... from an argument to the end; the second text is for bad counts. */
bool hash__arg_fields(struct cmd *c, int arg, const char *not_positive, struct hash_fields *f);
bool hash__arg_plain_fields(struct cmd *c, int arg, struct hash_fields *f);

/** A small number for each field. */
struct hash_results {
    int8_t *codes;
    int8_t few[64];
};
void hash__results_init(struct hash_results *r, int count);
void hash__results_fini(struct hash_results *r);
/**
 * Says "command key [at_ms] FIELDS n field ..." (HDEL: without count), about the fields with that
 * code, if there are any. at_ms below 0: none.
 */
void hash__say_fields(struct cmd *c, const char *command, int64_t at_ms,
                      const struct hash_fields *f, const struct hash_results *r, int8_t code);

#endif
