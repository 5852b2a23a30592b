// SPDX-License-Identifier: BSD-3-Clause
//
// Times to live: setting, asking for and removing when a key expires. Runs on the thread that has
// been given the key; owns no state. Invariant: an expiry that is stored lies after the command's
// time; one that does not deletes the key at once. Called through the rows of the command table.
#include "engine/commands/collection.h"
#include "engine/commands/keys.h"

enum { ONLY_NEW = 1, ONLY_CHANGE = 2, ONLY_GREATER = 4, ONLY_LESS = 8 };

static bool parse_conditions(struct cmd *c, uint32_t *out) {
    uint32_t conditions = 0;
    for (int i = 3; i < c->argc; i++) {
        if (slice_is(c->argv[i], "nx")) {
            conditions |= ONLY_NEW;
        } else if (slice_is(c->argv[i], "xx")) {
            conditions |= ONLY_CHANGE;
        } else if (slice_is(c->argv[i], "gt")) {
            conditions |= ONLY_GREATER;
        } else if (slice_is(c->argv[i], "lt")) {
            conditions |= ONLY_LESS;
        } else {
            reply_error_format(c->reply, "ERR Unsupported option %.*s", (int)c->argv[i].n,
                               c->argv[i].p);
            return false;
        }
    }
    const char *error = NULL;
    if (conditions & ONLY_NEW && conditions != ONLY_NEW)
        error = "ERR NX and XX, GT or LT options at the same time are not compatible";
    else if (conditions & ONLY_GREATER && conditions & ONLY_LESS)
        error = "ERR GT and LT options at the same time are not compatible";
    if (error != NULL) reply_error(c->reply, error);
    *out = conditions;
    return error == NULL;
}

/** No expiry counts as one that never comes. */
static bool allowed(uint32_t conditions, int64_t old_ms, int64_t new_ms) {
    bool has = old_ms != ENTRY_NO_EXPIRE;
    if (conditions & ONLY_NEW && has) return false;
    if (conditions & ONLY_CHANGE && !has) return false;
    if (conditions & ONLY_GREATER && (!has || new_ms <= old_ms)) return false;
    if (conditions & ONLY_LESS && has && new_ms >= old_ms) return false;
    return true;
}

/** Argument 2 as milliseconds since the epoch. */
static bool parse_time(struct cmd *c, int64_t base_ms, int64_t unit_ms, int64_t *out) {
    int64_t time;
    if (!cmd_arg_i64(c, 2, &time)) return false;
    if (!__builtin_mul_overflow(time, unit_ms, &time) &&
        !__builtin_add_overflow(time, base_ms, out))
        return true;
    reply_error_format(c->reply, "ERR invalid expire time in '%s' command", c->spec->full_name);
    return false;
}

/** What is replayed knows no conditions, and no clock either. */
static void say_expire(struct cmd *c, bool deleted, int64_t at_ms) {
    struct effect e;
    effect_begin(&e, c, deleted ? "DEL" : "PEXPIREAT");
    effect_text(&e, c->argv[1]);
    if (!deleted) effect_i64(&e, at_ms);
    effect_end(&e);
}

static void expire(struct cmd *c, int64_t base_ms, int64_t unit_ms) {
    uint32_t conditions;
    int64_t at_ms;
    if (!parse_conditions(c, &conditions) || !parse_time(c, base_ms, unit_ms, &at_ms)) return;
    struct found f = cmd_write(c, 1);
    if (f.ref.entry == NULL || !allowed(conditions, entry_expire_ms(f.ref.entry), at_ms)) {
        reply_int(c->reply, 0);
        return;
    }
    bool deleted = at_ms <= c->now_ms;
    if (deleted)
        db_delete(f.db, f.key, f.ref);
    else
        db_set_expire(f.db, f.key, &f.ref, at_ms);
    db_event(f.db, EVENT_GENERIC, deleted ? "del" : "expire", f.key.text);
    say_expire(c, deleted, at_ms);
    reply_int(c->reply, 1);
}

void keys_expire(struct cmd *c) { expire(c, c->now_ms, 1000); }
void keys_pexpire(struct cmd *c) { expire(c, c->now_ms, 1); }
void keys_expireat(struct cmd *c) { expire(c, 0, 1000); }
void keys_pexpireat(struct cmd *c) { expire(c, 0, 1); }

void keys_persist(struct cmd *c) {
    struct found f = cmd_write(c, 1);
    if (f.ref.entry == NULL || entry_expire_ms(f.ref.entry) == ENTRY_NO_EXPIRE) {
        reply_int(c->reply, 0);
        return;
    }
    db_set_expire(f.db, f.key, &f.ref, ENTRY_NO_EXPIRE);
    db_event(f.db, EVENT_GENERIC, "persist", f.key.text);
    reply_int(c->reply, 1);
}

/** -2: no key, -1: no expiry; else the time from base_ms on, to the nearest unit. */
static void reply_remaining(struct cmd *c, int64_t base_ms, int64_t unit_ms) {
    struct found f = keys__look(c, 1);
    if (f.ref.entry == NULL) {
        reply_int(c->reply, -2);
        return;
    }
    int64_t at_ms = entry_expire_ms(f.ref.entry);
    if (at_ms == ENTRY_NO_EXPIRE) {
        reply_int(c->reply, -1);
        return;
    }
    int64_t left_ms = at_ms > base_ms ? at_ms - base_ms : 0;
    // Rounds to the nearest second without overflowing near the end of time.
    reply_int(c->reply,
              left_ms / unit_ms + (left_ms % unit_ms >= (unit_ms + 1) / 2 && unit_ms > 1));
}

void keys_ttl(struct cmd *c) { reply_remaining(c, c->now_ms, 1000); }
void keys_pttl(struct cmd *c) { reply_remaining(c, c->now_ms, 1); }
void keys_expiretime(struct cmd *c) { reply_remaining(c, 0, 1000); }
void keys_pexpiretime(struct cmd *c) { reply_remaining(c, 0, 1); }
