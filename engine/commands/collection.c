// SPDX-License-Identifier: BSD-3-Clause
//
// Reading and changing collections, and saying effects. The entry of a key is touched here only;
// families see values. No state; runs on whichever thread runs the command. Invariant: the memory
// account follows every change, also one that changes nothing a client could see. Called by the
// command families.
#include "engine/commands/collection.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"

static struct value value_of(const struct found *f) {
    return f->ref.entry != NULL ? entry_value(f->ref.entry) : (struct value){0};
}

bool collection_read(struct cmd *c, int arg, enum entry_type type, struct value *v) {
    struct found f = cmd_read(c, arg);
    if (unlikely(cmd_wrong_type(c, &f, type))) return false;
    *v = value_of(&f);
    return true;
}

struct random *collection_random(const struct cmd *c, int arg, struct random *own) {
    struct random *shared = &cmd_db(c, c->argv[arg])->keyspace->random;
    if (!c->view->frozen) return shared;
    // Calls of one moment differ by where their words and their replies lie.
    uint64_t place = (uintptr_t)c->argv[arg].p & 0xfff;
    random_init(own, shared->s[0] ^ (uint64_t)c->now_us ^ place << 48 ^
                         (uint64_t)c->reply->out->len << 24);
    return own;
}

#define ELEMENT_BYTES_MIN 6 // of an empty bulk string

bool collection_draws_too_much(struct cmd *c, size_t start, uint64_t count) {
    uint64_t max = (uint64_t)c->settings->proto_max_bulk_len;
    struct buf *out = c->reply->out;
    if (likely(out->len - start <= max && count <= max / ELEMENT_BYTES_MIN)) return false;
    out->len = start;
    reply_error(c->reply, error_out_of_range);
    return true;
}

bool change_open(struct cmd *c, int arg, enum entry_type type, struct change *ch) {
    ASSERT(type != ENTRY_STRING && !c->view->frozen);
    ch->c = c;
    ch->type = type;
    cmd__write(c, arg, &ch->f);
    if (unlikely(cmd_wrong_type(c, &ch->f, type))) return false;
    ch->v = value_of(&ch->f);
    ch->before = ch->f.ref.entry != NULL ? entry_memory(ch->f.ref.entry) : 0;
    return true;
}

/** The length of a value that decides whether it may stay: streams may be empty. */
static bool is_empty(struct value v) { return v.encoding != ENC_STREAM && value_length(v) == 0; }

/** The value as a new entry; false: there is none, or nothing in it. */
static bool insert(struct change *ch) {
    if (ch->v.encoding == 0) return false;
    if (is_empty(ch->v)) {
        value_free(ch->v);
        return false;
    }
    struct entry *e = entry_new_value(ch->f.key.text, ch->v, ENTRY_NO_EXPIRE);
    entry_set_access(e, cmd_new_access(ch->c));
    db_insert(ch->f.db, ch->f.key, e);
    return true;
}

static void say(const struct db *db, enum entry_type type, const char *event, struct slice key) {
    static const enum event_class classes[ENTRY_TYPES] = {
        [ENTRY_STRING] = EVENT_STRING, [ENTRY_LIST] = EVENT_LIST, [ENTRY_SET] = EVENT_SET,
        [ENTRY_HASH] = EVENT_HASH,     [ENTRY_ZSET] = EVENT_ZSET, [ENTRY_STREAM] = EVENT_STREAM};
    db_event(db, classes[type], event, key);
}

void change_event(const struct change *ch, const char *event) {
    say(ch->f.db, ch->type, event, ch->f.key.text);
}

void change_close(struct change *ch, uint64_t dirty, const char *event) {
    struct entry *e = ch->f.ref.entry;
    struct db *db = ch->f.db;
    bool told = unlikely(db->keyspace->events != NULL) && dirty > 0 && event != NULL;
    if (dirty > 1) db->keyspace->stats.dirty += dirty - 1; // the key's own change counts as one
    if (e == NULL) {
        if (insert(ch) && told) change_event(ch, event);
        return;
    }
    entry_set_value(e, ch->v);
    if (dirty == 0) {
        db_account(db, &ch->f.ref, ch->before);
    } else if (is_empty(ch->v)) {
        db_account(db, &ch->f.ref, ch->before);
        db_delete(db, ch->f.key, ch->f.ref);
        if (told) change_event(ch, event);
        if (told) db_event(db, EVENT_GENERIC, "del", ch->f.key.text);
    } else {
        db_update(db, ch->f.key, &ch->f.ref, e, ch->before);
        if (told) change_event(ch, event);
    }
}

void change_close_quietly(struct change *ch, uint64_t dirty) {
    ASSERT(ch->f.ref.entry != NULL);
    ch->f.db->keyspace->stats.dirty += dirty;
    change_close(ch, 0, NULL);
}

bool collection_store(struct cmd *c, int arg, struct value v, const char *event) {
    struct found f = cmd_write(c, arg);
    if (v.encoding == 0 || is_empty(v)) {
        if (v.encoding != 0) value_free(v);
        if (f.ref.entry != NULL) {
            db_delete(f.db, f.key, f.ref);
            db_event(f.db, EVENT_GENERIC, "del", f.key.text);
        }
        return false;
    }
    struct entry *e = entry_new_value(f.key.text, v, ENTRY_NO_EXPIRE);
    entry_set_access(e, cmd_new_access(c));
    enum entry_type type = entry_type(e);
    db_put(f.db, f.key, f.ref, e);
    say(f.db, type, event, f.key.text);
    return true;
}

// ---- effects -----------------------------------------------------------------------------------

void cmd_effect(struct cmd *c, int argc, const struct slice *argv) {
    if (c->effects == NULL) return;
    c->effects->said = true;
    c->effects->emit(c->effects->context, c->db, argc, argv);
}

void cmd_effect_none(struct cmd *c) {
    if (c->effects != NULL) c->effects->said = true;
}

void effect_begin(struct effect *e, struct cmd *c, const char *command) {
    e->c = c;
    if (c->effects == NULL) return;
    e->argc = 0;
    e->room = sizeof e->few / sizeof e->few[0];
    e->argv = e->few;
    e->offsets = e->few_offsets;
    e->texts = (struct buf){0};
    effect_word(e, command);
}

static void add(struct effect *e, struct slice text, size_t offset) {
    if (e->argc == e->room) {
        size_t room = (size_t)e->room * 2;
        bool few = e->argv == e->few;
        struct slice *argv = mem_realloc(few ? NULL : e->argv, room * sizeof *argv);
        size_t *offsets = mem_realloc(few ? NULL : e->offsets, room * sizeof *offsets);
        if (few) memcpy(argv, e->few, sizeof e->few);
        if (few) memcpy(offsets, e->few_offsets, sizeof e->few_offsets);
        e->argv = argv;
        e->offsets = offsets;
        e->room = (int)room;
    }
    e->offsets[e->argc] = offset;
    e->argv[e->argc++] = text;
}

void effect_text(struct effect *e, struct slice text) {
    if (e->c->effects != NULL) add(e, text, 0);
}

void effect_word(struct effect *e, const char *word) { effect_text(e, slice_text(word)); }

void effect_copy(struct effect *e, struct slice text) {
    if (e->c->effects == NULL) return;
    size_t offset = e->texts.len + 1;
    buf_append(&e->texts, text.p, text.n);
    add(e, slice_of(NULL, text.n), offset);
}

void effect_i64(struct effect *e, int64_t number) {
    char text[NUM_I64_TEXT_MAX];
    if (e->c->effects != NULL) effect_copy(e, slice_of(text, num_format_i64(text, number)));
}

void effect_double(struct effect *e, double number) {
    char text[NUM_DOUBLE_TEXT_MAX];
    if (e->c->effects != NULL) effect_copy(e, slice_of(text, num_format_double(text, number)));
}

void effect_abandon(struct effect *e) {
    if (e->c->effects == NULL) return;
    if (e->argv != e->few) {
        mem_free(e->argv);
        mem_free(e->offsets);
    }
    buf_free(&e->texts);
}

void effect_end(struct effect *e) {
    if (e->c->effects == NULL) return;
    for (int i = 0; i < e->argc; i++)
        if (e->offsets[i] != 0) e->argv[i].p = e->texts.p + e->offsets[i] - 1;
    cmd_effect(e->c, e->argc, e->argv);
    effect_abandon(e);
}
