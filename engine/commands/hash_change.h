// SPDX-License-Identifier: BSD-3-Clause
//
// What the commands that change hashes share: opening one, dropping fields whose time is over where
// that matters to the result, and closing it so that what is replayed comes to the same. Included
// by hash*.c only; same thread rules as command.h. Invariant: a field that a command drops has been
// said as an effect of its own before anything else is.
#ifndef TORC_ENGINE_COMMANDS_HASH_CHANGE_H
#define TORC_ENGINE_COMMANDS_HASH_CHANGE_H

#include "engine/commands/collection.h"
#include "engine/types/t_hash.h"

struct hash_change {
    struct change ch;
    bool said;        // the command says its own effect
    uint64_t dropped; // fields whose time was over
};

/** Opens the hash at argument 1. False: it is something else, and the error has been written. */
static inline bool hash__open(struct cmd *c, struct hash_change *h) {
    h->said = false;
    h->dropped = 0;
    return change_open(c, 1, ENTRY_HASH, &h->ch);
}
static inline bool hash__exists(const struct hash_change *h) { return h->ch.v.encoding != 0; }

void hash__drop(struct hash_change *h, struct slice field);
/**
 * Removes the field if its time is over. A hash that becomes empty is gone then, with what else its
 * key had, and may be begun anew.
 */
static inline void hash__drop_expired(struct hash_change *h, struct slice field) {
    if (hash__exists(h) && unlikely(thash_may_hide(h->ch.v, h->ch.c->now_ms))) hash__drop(h, field);
}
/** Makes sure that there is a hash, fit for these fields and values (texts in turn). */
void hash__prepare(struct hash_change *h, const struct slice *texts, int n);
/**
 * Ends the change; without an effect of its own the command's words are what is replayed. `event`
 * is said if something has changed (`dirty`).
 */
void hash__close(struct hash_change *h, uint64_t dirty, const char *event);

#endif
