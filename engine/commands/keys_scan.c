// SPDX-License-Identifier: BSD-3-Clause
//
// Finding keys without knowing them: KEYS, SCAN, RANDOMKEY. A SCAN cursor is a place in the walk of
// one shard's table, and the shard: the walk goes over the shards one after the other. Runs on the
// thread that has been given the keyspaces; owns no state. Invariant: a cursor stays below 2^53, so
// that clients which keep numbers as doubles keep it exactly. Called through the rows of the
// command table.
//
//   cursor:  52        40 39                  0
//           +------------+---------------------+
//           | shard (13) | table_scan() (40)   |     0 = the start, and the end
//           +------------+---------------------+
#include <string.h>

#include "engine/base/assert.h"
#include "engine/commands/keys.h"
#include "engine/commands/scan_options.h"

#define POSITION_MASK ((UINT64_C(1) << TABLE_CURSOR_BITS) - 1)
#define SHARDS_MAX    (1 << (53 - TABLE_CURSOR_BITS))
// Of RANDOMKEY among keys that it may not delete although they are expired.
#define RANDOM_TRIES  100

// ---- KEYS --------------------------------------------------------------------------------------

/** What a walk looks for, and where it writes what it finds. */
struct search {
    const struct cmd *c;
    struct reply *reply;
    struct scan_options options;
    bool by_type;
    const char *type; // NULL: a name that no type has
    uint64_t seen, found;
    bool deletes;       // SCAN deletes what has expired, KEYS does not
    struct buf expired; // keys whose time has passed: a size_t, then so many bytes, for each
};

/** Remembers a key that the walk met, to be deleted behind it. */
static void note_expired(struct search *s, struct slice key) {
    buf_append(&s->expired, &key.n, sizeof(key.n));
    buf_append(&s->expired, key.p, key.n);
}

/** Looking such a key up deletes it. */
static void delete_expired(struct cmd *c, struct search *s) {
    for (size_t at = 0; at < s->expired.len;) {
        size_t n;
        memcpy(&n, s->expired.p + at, sizeof(n));
        cmd_find_at(c, slice_of(s->expired.p + at + sizeof(n), n), c->db);
        at += sizeof(n) + n;
    }
    buf_free(&s->expired);
}

static void visit(void *context, struct entry *e) {
    struct search *s = context;
    s->seen++;
    if (!scan_matches(&s->options, entry_key(e))) return;
    if (cmd_expired(s->c, e)) {
        if (s->deletes) note_expired(s, entry_key(e));
        return;
    }
    if (s->by_type && (s->type == NULL || s->type != value_type_name(entry_type(e)))) return;
    reply_bulk_slice(s->reply, entry_key(e));
    s->found++;
}

/** The pattern "*" matches everything: no pattern is cheaper. */
static struct slice pattern_of(struct slice text) {
    return slice_equal(text, SLICE_LITERAL("*")) ? (struct slice){0} : text;
}

void keys_keys(struct cmd *c) {
    struct search s = {.c = c, .reply = c->reply, .options.pattern = pattern_of(c->argv[1])};
    size_t mark = reply_array_begin(c->reply);
    uint32_t n = c->view->only != NULL ? 1 : c->view->nshards;
    for (uint32_t i = 0; i < n; i++) {
        struct keyspace *ks = c->view->only != NULL ? c->view->only : c->view->by_shard[i];
        table_each(&ks->dbs[c->db].table, visit, &s);
    }
    reply_array_end(c->reply, mark, s.found);
}

// ---- SCAN --------------------------------------------------------------------------------------

uint32_t command_cursor_shard(struct slice cursor, uint32_t nshards) {
    uint64_t value;
    if (!scan_parse_cursor(cursor, &value)) return 0;
    uint64_t shard = value >> TABLE_CURSOR_BITS;
    return shard < nshards ? (uint32_t)shard : 0;
}

/**
 * The type's name as value_type_name() has it (the same pointer); NULL when there is no such type.
 */
static const char *type_named(struct slice text) {
    for (int type = 0; type < ENTRY_TYPES; type++) {
        const char *name = value_type_name((enum entry_type)type);
        if (slice_is(text, name)) return name;
    }
    return NULL;
}

static bool parse_scan(struct cmd *c, struct search *s) {
    s->options = SCAN_OPTIONS_DEFAULT;
    for (int i = 2; i < c->argc; i += 2) {
        enum scan_option taken = scan_option(c, i, &s->options);
        if (taken == SCAN_OPTION_ERROR) return false;
        if (taken == SCAN_OPTION_TAKEN) continue;
        if (i + 1 >= c->argc || !slice_is(c->argv[i], "type")) {
            reply_error(c->reply, error_syntax);
            return false;
        }
        s->by_type = true;
        s->type = type_named(c->argv[i + 1]);
    }
    return true;
}

int64_t command_cursor_count(int argc, const struct slice *argv) {
    int64_t count;
    for (int i = 2; i + 1 < argc; i += 2)
        if (slice_is(argv[i], "count") && num_parse_i64(argv[i + 1], &count)) return count;
    return SCAN_COUNT_DEFAULT;
}

/**
 * Walks from a cursor on, over as many shards as the view has, until it has seen enough keys or
 * visited enough buckets; returns the next cursor.
 */
static uint64_t walk(struct cmd *c, struct search *s, uint64_t cursor) {
    const struct view *view = c->view;
    uint64_t shard = cursor >> TABLE_CURSOR_BITS, position = cursor & POSITION_MASK;
    if (shard >= view->nshards) return 0; // nobody's cursor: the walk is over
    int64_t visits = scan_visits(&s->options);
    bool enough = false;
    do {
        struct keyspace *ks = view->only != NULL ? view->only : view->by_shard[shard];
        ASSERT(view->nshards == 1 || ks->shard == shard);
        do {
            position = table_scan(&ks->dbs[c->db].table, position, visit, s);
            enough = --visits <= 0 || s->seen >= (uint64_t)s->options.count;
        } while (position != 0 && !enough);
        if (position != 0) return shard << TABLE_CURSOR_BITS | position;
        shard++;
    } while (!enough && view->only == NULL && shard < view->nshards);
    return shard < view->nshards ? shard << TABLE_CURSOR_BITS : 0;
}

void keys_scan(struct cmd *c) {
    ASSERT(c->view->nshards <= SHARDS_MAX);
    uint64_t cursor;
    if (!scan_arg_cursor(c, 1, &cursor)) return;
    struct scan_found found;
    struct search s = {.c = c, .deletes = !c->view->frozen};
    if (!parse_scan(c, &s)) return;
    scan_found_init(&found, c);
    s.reply = &found.reply;
    cursor = walk(c, &s, cursor);
    found.count = s.found;
    scan_found_end(&found, cursor);
    delete_expired(c, &s);
}

// ---- RANDOMKEY ---------------------------------------------------------------------------------

/** The database in which the nth key of all keyspaces' selected database lies. */
static struct db *db_of_nth(const struct cmd *c, uint64_t n) {
    if (c->view->only != NULL) return &c->view->only->dbs[c->db];
    for (uint32_t i = 0; i < c->view->nshards; i++) {
        struct db *db = &c->view->by_shard[i]->dbs[c->db];
        if (n < db_count(db)) return db;
        n -= db_count(db);
    }
    ASSERT(!"a key beyond the last one");
    return NULL;
}

static uint64_t count_all(const struct cmd *c) {
    if (c->view->only != NULL) return db_count(&c->view->only->dbs[c->db]);
    uint64_t n = 0;
    for (uint32_t i = 0; i < c->view->nshards; i++)
        n += db_count(&c->view->by_shard[i]->dbs[c->db]);
    return n;
}

void keys_randomkey(struct cmd *c) {
    struct keyspace *first = c->view->only != NULL ? c->view->only : c->view->by_shard[0];
    struct random copy =
        first->random; // who only reads may not move the keyspace's own generator on
    copy.s[0] ^= (uint64_t)c->now_ms;
    struct random *random = c->view->frozen ? &copy : &first->random;
    uint64_t n;
    for (int tries = 1; (n = count_all(c)) > 0; tries++) {
        struct db *db = db_of_nth(c, random_below(random, n));
        struct entry *e = table_random(&db->table, random_next(random));
        bool give_up = c->view->frozen && tries == RANDOM_TRIES;
        if (!cmd_expired(c, e) || give_up) {
            reply_bulk_slice(c->reply, entry_key(e));
            return;
        }
        cmd_find_at(c, entry_key(e), c->db); // deletes it, unless frozen
    }
    reply_null(c->reply);
}
