// SPDX-License-Identifier: BSD-3-Clause
//
// The same value under another name or in another database: RENAME, RENAMENX, COPY, MOVE. The two
// places may be in different keyspaces of the view. Runs on the thread that has been given them
// all; owns no state. Invariant: between detaching an entry and putting it back nothing can fail.
// Called through the rows of the command table.
#include "engine/base/assert.h"
#include "engine/commands/keys.h"

/**
 * Takes the entry out of its place. It is found again first: looking the other key up may have
 * deleted an expired entry from the same table, and entries stay where they are then but slots do
 * not.
 */
static struct entry *take(struct found *f) {
    f->ref = db_find(f->db, f->key);
    ASSERT(f->ref.entry != NULL);
    return db_detach(f->db, f->key, f->ref);
}

/** Puts the entry in its new place. What it takes the place of does not count: the key is new. */
static void put(const struct found *to, struct entry *e) {
    struct table_ref ref = db_find(to->db, to->key);
    db_put(to->db, to->key, ref, e);
    if (ref.entry != NULL) db_event(to->db, EVENT_NEW, "new", to->key.text);
}

static void rename_key(struct cmd *c, bool only_new) {
    struct found from = cmd_write(c, 1);
    if (from.ref.entry == NULL) {
        reply_error(c->reply, error_no_such_key);
        return;
    }
    bool same = slice_equal(c->argv[1], c->argv[2]);
    struct found to = same ? from : cmd_write(c, 2);
    if (only_new && to.ref.entry != NULL) {
        reply_int(c->reply, 0);
        return;
    }
    if (!same) {
        struct entry *e = take(&from);
        uint32_t access = entry_access(e);
        e = entry_rekey(e, to.key.text, entry_expire_ms(e));
        entry_set_access(e, access);
        put(&to, e);
        db_modified(from.db, from.key);
        db_event(from.db, EVENT_GENERIC, "rename_from", from.key.text);
        db_event(to.db, EVENT_GENERIC, "rename_to", to.key.text);
    }
    if (only_new)
        reply_int(c->reply, 1);
    else
        reply_ok(c->reply);
}

void keys_rename(struct cmd *c) { rename_key(c, false); }
void keys_renamenx(struct cmd *c) { rename_key(c, true); }

static bool parse_copy(struct cmd *c, uint32_t *db, bool *replace) {
    *db = c->db;
    *replace = false;
    for (int i = 3; i < c->argc; i++) {
        if (slice_is(c->argv[i], "replace")) {
            *replace = true;
        } else if (slice_is(c->argv[i], "db") && i + 1 < c->argc) {
            if (!keys__arg_db(c, ++i, db)) return false;
        } else {
            reply_error(c->reply, error_syntax);
            return false;
        }
    }
    return true;
}

static const char error_same[] = "ERR source and destination objects are the same";

void keys_copy(struct cmd *c) {
    uint32_t db;
    bool replace;
    if (!parse_copy(c, &db, &replace)) return;
    if (db == c->db && slice_equal(c->argv[1], c->argv[2])) {
        reply_error(c->reply, error_same);
        return;
    }
    struct found from = cmd_read(c, 1);
    if (from.ref.entry == NULL) {
        reply_int(c->reply, 0);
        return;
    }
    struct found to = cmd_find_at(c, c->argv[2], db);
    if (to.ref.entry != NULL && !replace) {
        reply_int(c->reply, 0);
        return;
    }
    // The entry itself has stayed in place whatever the second lookup deleted; only its slot may
    // not have.
    struct entry *e = entry_copy(from.ref.entry, to.key.text, entry_expire_ms(from.ref.entry));
    entry_set_access(e, cmd_new_access(c));
    put(&to, e);
    db_event(to.db, EVENT_GENERIC, "copy_to", to.key.text);
    reply_int(c->reply, 1);
}

void keys_move(struct cmd *c) {
    uint32_t db;
    if (c->flags & CMD_CTX_NODE) {
        reply_error(c->reply, "ERR MOVE is not allowed in cluster mode");
        return;
    }
    if (!keys__arg_db(c, 2, &db)) return;
    if (db == c->db) {
        reply_error(c->reply, error_same);
        return;
    }
    struct found from = cmd_write(c, 1);
    struct found to = cmd_find_at(c, c->argv[1], db);
    if (from.ref.entry == NULL || to.ref.entry != NULL) {
        reply_int(c->reply, 0);
        return;
    }
    db_insert(to.db, to.key, take(&from));
    db_modified(from.db, from.key);
    db_event(from.db, EVENT_GENERIC, "move_from", from.key.text);
    db_event(to.db, EVENT_GENERIC, "move_to", to.key.text);
    reply_int(c->reply, 1);
}
