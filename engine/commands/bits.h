// SPDX-License-Identifier: BSD-3-Clause
//
// The commands that see a string as an array of bits (bit 0 is the highest bit of the first
// byte), one function each: rows of the command table point here. bitops.c has single bits,
// counting, searching and the operations over whole strings, bitfield.c integers of any width at
// any bit. They run on the thread that has been given the keys (see command.h), hold no state,
// and write exactly one reply. Invariant: a string that was opened for writing bits is "raw" from
// then on, whatever its length.
#ifndef TORC_ENGINE_COMMANDS_BITS_H
#define TORC_ENGINE_COMMANDS_BITS_H

#include "engine/commands/command.h"

void bit_setbit(struct cmd *c);
void bit_getbit(struct cmd *c);
void bit_count(struct cmd *c);
void bit_pos(struct cmd *c);
void bit_op(struct cmd *c);
void bit_field(struct cmd *c);
void bit_field_ro(struct cmd *c);

/**
 * Reads the bit offset at argv[arg], limited by proto_max_bulk_len. With width > 0 it may also be
 * "#n", meaning n * width. False: the error has been written.
 */
bool bit__offset(struct cmd *c, int arg, unsigned width, uint64_t *offset);
/**
 * Makes the string found (or a new one) writable and long enough to hold the byte at index last,
 * zero filled. Says whether it was created or grew. Does not signal a modification: that is the
 * caller's, who knows whether bits change. f->ref is used up. The result is valid until the entry
 * changes.
 */
uint8_t *bit__open(struct cmd *c, struct found *f, uint64_t last, bool *grew);

#endif
