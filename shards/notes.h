// SPDX-License-Identifier: BSD-3-Clause
//
// Notes: how a thread that is no shard speaks to one (the mailboxes are for pairs of shards). A
// note is embedded in whatever it is about, and says which function the shard is to call. Posting
// never waits and never fails. Nobody may post to a shard whose loop has ended: who starts a side
// thread ends it before (server.c). Without a note, a pass pays nothing.
#ifndef TORC_SHARDS_NOTES_H
#define TORC_SHARDS_NOTES_H

#include "shards/shard.h"

struct note {
    struct note *next;
    /** Called on the shard's thread, in one of its passes, in the order of posting. */
    void (*run)(struct shard *s, struct note *note);
};

/**
 * Posts a note, as a chore, and wakes the shard. Any thread. The note is the shard's until `run` is
 * called.
 */
void note_post(struct shard *s, struct note *note);
/** The shard: runs what has been posted. */
void notes_run(struct shard *s);
/** The shard: whether something is posted. */
static inline bool notes_waiting(const struct shard *s) {
    return atomic_load_explicit(&s->fleet->faces[s->id].notes, memory_order_relaxed) != NULL;
}

#endif
