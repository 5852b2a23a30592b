// SPDX-License-Identifier: BSD-3-Clause
//
// Posted notes: a list for each shard that any thread may push to, newest first, and that the shard
// takes as a whole. Posting runs on side threads, the rest on the shard's. Invariant: a note is on
// one list at most, and is taken off before it is run, so that it may be posted again at once.
// Called by side threads, and by the pass of shard.c.
#include "shards/notes.h"

void note_post(struct shard *s, struct note *note) {
    _Atomic(struct note *) *list = &s->fleet->faces[s->id].notes;
    note->next = atomic_load_explicit(list, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(list, &note->next, note)) {
    }
    shard_leave_chore(s, CHORE_NOTES);
    io_wake(s->io, NULL);
}

void notes_run(struct shard *s) {
    struct note *note = atomic_exchange(&s->fleet->faces[s->id].notes, NULL), *oldest = NULL;
    while (note) {
        struct note *next = note->next;
        note->next = oldest;
        oldest = note;
        note = next;
    }
    while (oldest) {
        note = oldest;
        oldest = note->next;
        note->run(s, note);
        shard_settle(s);
    }
}
