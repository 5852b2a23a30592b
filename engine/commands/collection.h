// SPDX-License-Identifier: BSD-3-Clause
//
// What the commands over collections (lists, sets, hashes, sorted sets, streams) stand on: from a
// key argument to its value for reading, and for changing: find or begin one, change it, close it,
// so that the entry, the memory account, the watchers and the deletion of what has become empty are
// one mechanism. No state; runs on whichever thread runs the command. Invariant: no key holds an
// empty collection after a command, streams excepted.
#ifndef TORC_ENGINE_COMMANDS_COLLECTION_H
#define TORC_ENGINE_COMMANDS_COLLECTION_H

#include "engine/commands/command.h"
#include "engine/encoding/listpack.h"
#include "engine/types/value.h"

/**
 * Looks up argument arg for reading. False: the key holds another type, and the error has been
 * written. *v has encoding 0 when the key is absent. Do not change *v.
 */
bool collection_read(struct cmd *c, int arg, enum entry_type type, struct value *v);

/** What stands at an element, as a bulk string. */
static inline void collection_reply_item(struct reply *r, const struct listpack_item *item) {
    if (item->is_int)
        reply_bulk_int(r, item->number);
    else
        reply_bulk_slice(r, item->text);
}

/**
 * The generator to choose elements of the key at `arg` with: its keyspace's own, or, where that may
 * not be moved on because the view is frozen, *own, seeded for this call.
 */
struct random *collection_random(const struct cmd *c, int arg, struct random *own);

/**
 * Whether what is drawn again and again (a negative count of SRANDMEMBER and its like) makes too
 * long a reply: longer than the longest string, which no collection need be for it. `start` is
 * where the reply begins; what has been written since is replaced by an error then.
 */
bool collection_draws_too_much(struct cmd *c, size_t start, uint64_t count);

/** A collection that is being changed. */
struct change {
    struct cmd *c;
    enum entry_type type;
    struct found f;
    struct value v; // the value: change it in place; encoding 0: the key is absent, make one here
    size_t before;  // memory of the entry before the change
};
/** Looks up argument arg for changing. False: wrong type, the error has been written. */
bool change_open(struct cmd *c, int arg, enum entry_type type, struct change *ch);
/**
 * Ends a change: stores the value that was made, keeps the account, tells who watches, deletes the
 * key when the value's length is 0 (a stream stays). `dirty`: how many changes Redis would count;
 * 0: nothing was changed (a fresh value of length 0 is freed, the account is kept right all the
 * same). `event`: what has happened, in the class of the value's type, if anything has; NULL: that
 * is said elsewhere, also when the key is deleted.
 */
void change_close(struct change *ch, uint64_t dirty, const char *event);

/**
 * The same for a change that Redis does not tell those of who watch or wait for the key
 * (acknowledging an entry of a stream, for instance). The value must have been there before.
 */
void change_close_quietly(struct change *ch, uint64_t dirty);

/** Says that this has happened to the key of a change, in the class of the value's type. */
void change_event(const struct change *ch, const char *event);

/**
 * STORE forms: the key at `arg` gets exactly this value (ownership passes), without an expiry,
 * whatever it held; an empty value deletes the key. Returns whether the key exists afterwards.
 */
bool collection_store(struct cmd *c, int arg, struct value v, const char *event);

// ---- effects -----------------------------------------------------------------------------------
// What has to be replayed to make the same change elsewhere (DESIGN: writes leave a trace). A
// command whose replay is itself needs nothing: if it has changed something and has said nothing,
// its own words are its effect. All others say their effect; when nobody listens it costs a branch.

/** Whether somebody takes effects: only then is it worth building them. */
static inline bool cmd_has_effects(const struct cmd *c) { return c->effects != NULL; }
/** This is replayed (in addition to what was said before) in place of the command's own words. */
void cmd_effect(struct cmd *c, int argc, const struct slice *argv);
/** Something changed, and nothing has to be replayed for it. */
void cmd_effect_none(struct cmd *c);

/** Arguments of an effect that are built piece by piece. */
struct effect {
    struct cmd *c;
    int argc, room;
    struct slice *argv;
    struct slice few[16];
    struct buf texts; // of numbers
    size_t *offsets;  // 1 + offset in texts of argv[i]; 0: argv[i] is somebody else's memory
    size_t few_offsets[16];
};
/** Begins one; does nothing, like all that follows, when nobody takes effects. */
void effect_begin(struct effect *e, struct cmd *c, const char *command);
void effect_word(struct effect *e, const char *word);
void effect_text(struct effect *e, struct slice text); // lives until effect_end
void effect_copy(struct effect *e, struct slice text); // is copied
void effect_i64(struct effect *e, int64_t number);
static inline void effect_item(struct effect *e, const struct listpack_item *item) { // is copied
    if (item->is_int)
        effect_i64(e, item->number);
    else
        effect_copy(e, item->text);
}
void effect_double(struct effect *e, double number); // so that it reads back as the same
/** Emits it, unless it was abandoned. */
void effect_end(struct effect *e);
void effect_abandon(struct effect *e);

#endif
