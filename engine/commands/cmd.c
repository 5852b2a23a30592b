// SPDX-License-Identifier: BSD-3-Clause
//
// What command functions stand on: from an argument to its key, from a key to its database and
// entry, and the error texts that many commands share. Owns no state; runs on whichever thread runs
// the command. Invariant: an expired entry is never handed out; unless the view is frozen it is
// deleted on the way. The path of a GET through here is one table_find() and a few predictable
// branches. Callers: every command function.
#include "engine/commands/command.h"

#include <math.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/keyspace/access.h"

const char error_syntax[] = "ERR syntax error";
const char error_wrong_type[] = "WRONGTYPE Operation against a key holding the wrong kind of value";
const char error_not_integer[] = "ERR value is not an integer or out of range";
const char error_not_float[] = "ERR value is not a valid float";
const char error_no_such_key[] = "ERR no such key";
const char error_out_of_range[] = "ERR value is out of range";

static inline struct keyspace *keyspace_of(const struct view *view, struct slice key) {
    if (likely(view->only != NULL)) return view->only;
    return view->by_shard[hash_slot_shard(hash_slot(key), view->nshards)];
}

/** Any keyspace of the view: all of them share the seed and the number of databases. */
static inline const struct keyspace *any_keyspace(const struct view *view) {
    return view->only != NULL ? view->only : view->by_shard[0];
}

static inline struct db *db_at(const struct cmd *c, struct slice key, uint32_t index) {
    struct keyspace *ks = keyspace_of(c->view, key);
    ASSERT(index < ks->ndbs);
    return &ks->dbs[index];
}

/** Moves the window to the keys from arg on and starts their loads: buckets first, then entries. */
static void look_ahead_from(const struct cmd *c, int arg) {
    struct look_ahead *a = c->ahead;
    uint32_t further = 0;
    a->first = arg;
    a->count = 0;
    for (int i = arg; a->count < LOOK_AHEAD && i < c->argc; i += a->step) {
        uint64_t hash = key_of(any_keyspace(c->view), c->argv[i]).hash;
        struct db *db = db_at(c, c->argv[i], c->db);
        a->hashes[a->count] = hash;
        a->dbs[a->count++] = db;
        table_prefetch(&db->table, hash);
    }
    for (int i = 0; i < a->count; i++)
        further |= (uint32_t)table_prefetch_entry(&a->dbs[i]->table, a->hashes[i]) << i;
    for (; further != 0; further &= further - 1) {
        int i = __builtin_ctz(further);
        table_prefetch_overflow(&a->dbs[i]->table, a->hashes[i]);
    }
}

/** The place in the window of the key at this argument; the window moves to it if need be. */
static int place_ahead(const struct cmd *c, int arg) {
    const struct look_ahead *a = c->ahead;
    if (arg < a->first || arg >= a->first + a->count * a->step) look_ahead_from(c, arg);
    ASSERT_DEV((arg - a->first) % a->step == 0);
    return (arg - a->first) / a->step;
}

void cmd_look_ahead(struct cmd *c, struct look_ahead *ahead, int step) {
    ASSERT(step > 0);
    ahead->first = ahead->count = 0;
    ahead->step = step;
    c->ahead = ahead;
}

static inline uint64_t hash_at(const struct cmd *c, int arg) {
    if (likely(arg == c->hashed_arg)) return c->hashed;
    if (c->ahead != NULL) return c->ahead->hashes[place_ahead(c, arg)];
    return key_of(any_keyspace(c->view), c->argv[arg]).hash;
}

struct db *cmd_db_at(const struct cmd *c, struct slice key, uint32_t index) {
    return db_at(c, key, index);
}

struct db *cmd_db(const struct cmd *c, struct slice key) {
    return db_at(c, key, c->db);
}

struct key cmd_key(const struct cmd *c, int arg) {
    return (struct key){c->argv[arg], hash_at(c, arg)};
}

// ---- access information ------------------------------------------------------------------------

uint32_t cmd_new_access(const struct cmd *c) {
    return c->settings->lfu ? access_lfu_new(c->now_ms) : access_lru(c->now_ms);
}

uint32_t cmd_idle_s(const struct cmd *c, const struct entry *e) {
    return access_idle_s(entry_access(e), c->now_ms);
}

uint32_t cmd_frequency(const struct cmd *c, const struct entry *e) {
    return access_frequency(entry_access(e), c->now_ms, c->settings->lfu_decay_time);
}

static __attribute__((noinline)) uint32_t lfu_used(const struct cmd *c, const struct found *f) {
    return access_lfu_used(entry_access(f->ref.entry), c->now_ms, c->settings->lfu_decay_time,
                           c->settings->lfu_log_factor, &f->db->keyspace->random);
}

static inline void touch(const struct cmd *c, const struct found *f) {
    if (unlikely(c->view->frozen)) return;
    uint32_t access = unlikely(c->settings->lfu) ? lfu_used(c, f) : access_lru(c->now_ms);
    // A store only when it changes something: reads within one second leave the entry's line clean.
    if (access != entry_access(f->ref.entry)) entry_set_access(f->ref.entry, access);
}

void cmd_touch(struct cmd *c, const struct found *f) { touch(c, f); }

// ---- finding -----------------------------------------------------------------------------------

static inline bool expired(const struct cmd *c, const struct entry *e) {
    return (e->flags & ENTRY_EXPIRES) != 0 && entry_expire_ms(e) < c->now_ms;
}

bool cmd_expired(const struct cmd *c, const struct entry *e) { return expired(c, e); }

static __attribute__((noinline)) void hide_expired(struct cmd *c, struct found *f) {
    if (!c->view->frozen) db_remove(f->db, f->key, f->ref, DB_EXPIRED);
    f->ref = (struct table_ref){0};
}

/** Fills *f in place, field by field: building it from parts and copying them costs a stall. */
static inline void find(struct cmd *c, struct found *f, struct slice text, uint64_t hash,
                        struct db *db) {
    f->db = db;
    f->key.text = text;
    f->key.hash = hash;
    f->ref = table_find(&db->table, text, hash);
    if (f->ref.entry != NULL && unlikely(expired(c, f->ref.entry))) hide_expired(c, f);
}

static __attribute__((noinline)) void find_ahead(struct cmd *c, struct found *f, int arg) {
    int place = place_ahead(c, arg); // which may move the window
    find(c, f, c->argv[arg], c->ahead->hashes[place], c->ahead->dbs[place]);
}

static inline __attribute__((always_inline)) void find_arg(struct cmd *c, struct found *f,
                                                           int arg) {
    if (c->ahead != NULL && arg != c->hashed_arg) {
        find_ahead(c, f, arg);
        return;
    }
    struct slice text = c->argv[arg];
    find(c, f, text, hash_at(c, arg), db_at(c, text, c->db));
}

static inline void touch_unless_asked_not_to(struct cmd *c, const struct found *f) {
    if (likely((c->flags & CMD_CTX_NO_TOUCH) == 0)) touch(c, f);
}

__attribute__((noinline)) void cmd__read(struct cmd *c, int arg, struct found *f) {
    find_arg(c, f, arg);
    if (f->ref.entry == NULL) {
        f->db->keyspace->stats.misses++;
        db_event(f->db, EVENT_KEY_MISS, "keymiss", f->key.text);
        return;
    }
    f->db->keyspace->stats.hits++;
    touch_unless_asked_not_to(c, f);
}

__attribute__((noinline)) void cmd__write(struct cmd *c, int arg, struct found *f) {
    find_arg(c, f, arg);
    if (f->ref.entry == NULL) return;
    keyspace_save_first(f->db, f->ref.entry);
    touch_unless_asked_not_to(c, f);
}

__attribute__((noinline)) void cmd__peek(struct cmd *c, int arg, struct found *f) {
    find_arg(c, f, arg);
}

struct found cmd_find_at(struct cmd *c, struct slice key, uint32_t db) {
    struct found f;
    find(c, &f, key, key_of(any_keyspace(c->view), key).hash, db_at(c, key, db));
    return f;
}

void cmd__refuse_type(struct cmd *c) { reply_error(c->reply, error_wrong_type); }

// ---- arguments ---------------------------------------------------------------------------------

bool cmd_arg_i64(struct cmd *c, int arg, int64_t *out) {
    if (likely(num_parse_i64(c->argv[arg], out))) return true;
    reply_error(c->reply, error_not_integer);
    return false;
}

bool cmd_arg_range(struct cmd *c, int arg, int64_t min, int64_t max, int64_t *out,
                   const char *text) {
    if (!num_parse_i64(c->argv[arg], out)) {
        reply_error(c->reply, text != NULL ? text : error_not_integer);
        return false;
    }
    if (*out >= min && *out <= max) return true;
    if (text != NULL)
        reply_error(c->reply, text);
    else
        reply_error_format(c->reply, "ERR value is out of range, value must between %lld and %lld",
                           (long long)min, (long long)max);
    return false;
}

bool cmd_arg_timeout(struct cmd *c, int arg, int64_t *timeout_ms) {
    long double seconds;
    if (!num_parse_long_double(c->argv[arg], &seconds)) {
        reply_error(c->reply, "ERR timeout is not a float or out of range");
        return false;
    }
    long double ms = seconds * 1000;
    if (ms > (long double)INT64_MAX || ms + (long double)c->now_ms > (long double)INT64_MAX) {
        reply_error(c->reply, "ERR timeout is out of range");
        return false;
    }
    if (ms < 0) {
        reply_error(c->reply, "ERR timeout is negative");
        return false;
    }
    *timeout_ms = (int64_t)ceill(ms);
    return true;
}

// ---- waiting -----------------------------------------------------------------------------------

bool cmd_block(struct cmd *c, enum entry_type type, int64_t timeout_ms, int first, int last,
               int step) {
    struct block *b = c->block;
    if (b == NULL) return false;
    ASSERT(first > 0 && last >= first && last < c->argc && step > 0);
    b->wanted = true;
    b->type = type;
    b->timeout_ms = timeout_ms;
    b->first = first;
    b->last = last;
    b->step = step;
    return true;
}

void cmd_block_replace(struct cmd *c, int arg, struct slice text) {
    struct block *b = c->block;
    ASSERT(b != NULL && arg > 0 && arg < c->argc && text.n <= sizeof b->replaced->text);
    size_t count = (size_t)b->replaced_count + 1;
    b->replaced = mem_realloc(b->replaced, count * sizeof *b->replaced);
    struct block_text *replaced = &b->replaced[b->replaced_count++];
    replaced->arg = arg;
    replaced->length = (uint8_t)text.n;
    memcpy(replaced->text, text.p, text.n);
}

// ---- running -----------------------------------------------------------------------------------

/** How often keys were changed, what expired on the way left out: that has effects of its own. */
static uint64_t changes_of(const struct keyspace *ks) {
    return ks->stats.dirty - ks->stats.expired_keys - ks->stats.evicted_keys;
}

static uint64_t changes_in(const struct view *view) {
    if (view->only != NULL) return changes_of(view->only);
    uint64_t changes = 0;
    for (uint32_t i = 0; i < view->nshards; i++) changes += changes_of(view->by_shard[i]);
    return changes;
}

void cmd__run_with_effects(struct cmd *c) {
    uint64_t before = changes_in(c->view);
    c->effects->said = false;
    c->spec->run(c);
    if (!c->effects->said && changes_in(c->view) != before)
        c->effects->emit(c->effects->context, c->db, c->argc, c->argv);
}
