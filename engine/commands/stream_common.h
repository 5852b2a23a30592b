// SPDX-License-Identifier: BSD-3-Clause
//
// What the stream commands have in common: ids among the arguments, entries in replies, and the
// effects that replace what depends on the clock or on who asked. No state; runs where the command
// runs. Invariant: a parser that says false has written the error. Used by stream*.c of this folder
// only.
#ifndef TORC_ENGINE_COMMANDS_STREAM_COMMON_H
#define TORC_ENGINE_COMMANDS_STREAM_COMMON_H

#include "engine/commands/collection.h"
#include "engine/commands/command.h"
#include "engine/types/t_stream.h"
#include "engine/types/t_stream_group.h"

/** Writes "ERR Invalid stream ID ...". */
void stream__bad_id(struct cmd *c);
/** An id argument, "-" and "+" excluded; a missing sequence number is missing_seq. */
bool stream__arg_id(struct cmd *c, int arg, uint64_t missing_seq, struct stream_id *id);
/** The two ends of a range: ids, "-", "+", or exclusive with "(". */
bool stream__arg_start(struct cmd *c, int arg, struct stream_id *id);
bool stream__arg_end(struct cmd *c, int arg, struct stream_id *id);

#define STREAM_FEW_IDS 8
/** Ids that were arguments. */
struct stream_ids {
    struct stream_id few[STREAM_FEW_IDS];
    struct stream_id *at;
    int count;
};
/** All arguments from `first` on. When it says true, stream__ids_free() is due. */
bool stream__arg_ids(struct cmd *c, int first, struct stream_ids *ids);
void stream__ids_free(struct stream_ids *ids);

void stream__reply_id(struct reply *r, struct stream_id id);
/** An entry as [id, [field, value, ...]]; it is read to its end. */
void stream__reply_entry(struct reply *r, struct stream_entry *e);
/** The entry of that id; false, and nothing written: it is not there. */
bool stream__reply_one(struct reply *r, const struct stream *s, struct stream_id id);
/** An array of the entries of a range, at most `count` of them (0: all). */
void stream__reply_range(struct reply *r, const struct stream *s, struct stream_id low,
                         struct stream_id high, uint64_t count, bool backwards);

/** "-NOGROUP No such key ... or consumer group ..." for the group at argument group_arg. */
void stream__no_group(struct cmd *c, int key_arg, int group_arg, const char *behind);
/**
 * Opens the stream at argument 1 and its group at argument 2 for changing; false: there is none or
 * the type is wrong, and the error has been written.
 */
bool stream__open_group(struct cmd *c, struct change *ch, struct stream_group **g);
/** Says that a key that was only to be looked at, opened for changing all the same, is absent. */
void stream__missed(const struct change *ch);
/** The consumer of that name; a new one is an effect at once. Either is seen now. */
struct stream_consumer *stream__consumer(struct cmd *c, struct stream *s, struct stream_group *g,
                                         int key_arg, struct slice name);

// Effects.
void stream__effect_id(struct effect *e, struct stream_id id);
/** XCLAIM that makes the entry pending as it is now. */
void stream__effect_claim(struct cmd *c, int key_arg, const struct stream_group *g,
                          struct stream_id id, const struct stream_pending *p);
/** XGROUP SETID with where the group is now. */
void stream__effect_group(struct cmd *c, int key_arg, const struct stream_group *g);

#endif
