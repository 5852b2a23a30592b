// SPDX-License-Identifier: BSD-3-Clause
//
// Commands that ask whether keys are there or take them away, one by one or a database at a time.
// Runs on the thread that has been given the view's keyspaces; owns no state. Invariant: a key is
// found, then changed or deleted, before the next one is looked up, so that no found place goes
// stale. Called through the rows of the command table.
#include "engine/commands/keys.h"

#include <limits.h>

#include "engine/base/assert.h"

struct found keys__look_quietly(struct cmd *c, int arg) {
    struct found f = cmd_peek(c, arg);
    struct keyspace_stats *stats = &f.db->keyspace->stats;
    if (f.ref.entry != NULL)
        stats->hits++;
    else
        stats->misses++;
    return f;
}

struct found keys__look(struct cmd *c, int arg) {
    struct found f = keys__look_quietly(c, arg);
    if (f.ref.entry == NULL) db_event(f.db, EVENT_KEY_MISS, "keymiss", f.key.text);
    return f;
}

static uint32_t databases(const struct cmd *c) {
    if (c->flags & CMD_CTX_NODE) return 1;
    return c->view->only != NULL ? c->view->only->ndbs : c->view->by_shard[0]->ndbs;
}

bool keys__arg_db(struct cmd *c, int arg, uint32_t *out) {
    int64_t index;
    if (!cmd_arg_i64(c, arg, &index)) return false;
    if (index < INT_MIN || index > INT_MAX) {
        reply_error_format(c->reply, "ERR value is out of range, value must between %d and %d",
                           INT_MIN, INT_MAX);
        return false;
    }
    if (index < 0 || index >= (int64_t)databases(c)) {
        reply_error(c->reply, "ERR DB index is out of range");
        return false;
    }
    *out = (uint32_t)index;
    return true;
}

// ---- keys --------------------------------------------------------------------------------------

void keys_del(struct cmd *c) {
    int64_t deleted = 0;
    struct look_ahead ahead;
    cmd_look_ahead(c, &ahead, 1);
    for (int i = 1; i < c->argc; i++) {
        struct found f = cmd_peek(c, i);
        if (f.ref.entry == NULL) continue;
        db_delete(f.db, f.key, f.ref);
        db_event(f.db, EVENT_GENERIC, "del", f.key.text);
        deleted++;
    }
    reply_int(c->reply, deleted);
}

/** Large values are freed off the thread in any case, so UNLINK has nothing to add to DEL. */
void keys_unlink(struct cmd *c) { keys_del(c); }

void keys_exists(struct cmd *c) {
    int64_t n = 0;
    struct look_ahead ahead;
    cmd_look_ahead(c, &ahead, 1);
    for (int i = 1; i < c->argc; i++) n += keys__look(c, i).ref.entry != NULL;
    reply_int(c->reply, n);
}

void keys_touch(struct cmd *c) {
    int64_t n = 0;
    struct look_ahead ahead;
    cmd_look_ahead(c, &ahead, 1);
    for (int i = 1; i < c->argc; i++) {
        struct found f = keys__look(c, i);
        if (f.ref.entry == NULL) continue;
        cmd_touch(c, &f);
        n++;
    }
    reply_int(c->reply, n);
}

void keys_type(struct cmd *c) {
    struct found f = keys__look(c, 1);
    const struct entry *e = f.ref.entry;
    reply_status(c->reply, e != NULL ? value_type_name(entry_type(e)) : "none");
}

// ---- databases ---------------------------------------------------------------------------------

/** The view's keyspaces one after the other: i from 0; NULL after the last. */
static struct keyspace *keyspace_at(const struct view *view, uint32_t i) {
    if (view->only != NULL) return i == 0 ? view->only : NULL;
    return i < view->nshards ? view->by_shard[i] : NULL;
}

void keys_dbsize(struct cmd *c) {
    uint64_t n = 0;
    struct keyspace *ks;
    for (uint32_t i = 0; (ks = keyspace_at(c->view, i)) != NULL; i++)
        n += db_count(&ks->dbs[c->db]);
    reply_int(c->reply, (int64_t)n);
}

/**
 * Contents are always freed off the thread, so ASYNC and SYNC differ in nothing but their names.
 */
static void flush(struct cmd *c, uint32_t index) {
    bool known = c->argc == 1 ||
                 (c->argc == 2 && (slice_is(c->argv[1], "sync") || slice_is(c->argv[1], "async")));
    if (!known) {
        reply_error(c->reply, error_syntax);
        return;
    }
    struct keyspace *ks;
    for (uint32_t i = 0; (ks = keyspace_at(c->view, i)) != NULL; i++) {
        keyspace_flush(ks, index);
        if (index == UINT32_MAX) ks->stats.flushalls++;
    }
    reply_ok(c->reply);
}

void keys_flushdb(struct cmd *c) { flush(c, c->db); }
void keys_flushall(struct cmd *c) { flush(c, UINT32_MAX); }

void keys_swapdb(struct cmd *c) {
    int64_t a, b, n = databases(c);
    if (c->flags & CMD_CTX_NODE) {
        reply_error(c->reply, "ERR SWAPDB is not allowed in cluster mode");
        return;
    }
    if (!cmd_arg_range(c, 1, INT_MIN, INT_MAX, &a, "ERR invalid first DB index")) return;
    if (!cmd_arg_range(c, 2, INT_MIN, INT_MAX, &b, "ERR invalid second DB index")) return;
    if (a < 0 || a >= n || b < 0 || b >= n) {
        reply_error(c->reply, "ERR DB index is out of range");
        return;
    }
    struct keyspace *ks;
    for (uint32_t i = 0; a != b && (ks = keyspace_at(c->view, i)) != NULL; i++)
        keyspace_swap(ks, (uint32_t)a, (uint32_t)b, c->now_ms);
    reply_ok(c->reply);
}
