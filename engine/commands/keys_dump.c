// SPDX-License-Identifier: BSD-3-Clause
//
// Values in serialized form: DUMP and RESTORE, which understand what Redis's write and write what
// Redis's understand. Runs on the thread that has been given the key; owns no state. Invariant:
// the keyspace is touched only when a payload has been read to its end; what RESTORE is replayed as
// looks at no clock. Called through the rows of the command table.
#include "engine/commands/collection.h"
#include "engine/commands/keys.h"
#include "engine/keyspace/access.h"
#include "engine/rdb/rdb_payload.h"

void keys_dump(struct cmd *c) {
    struct found f = cmd_read(c, 1);
    if (f.ref.entry == NULL) {
        reply_null(c->reply);
        return;
    }
    int asked = c->settings->rdb_version;
    struct rdb_save how = {.version = asked != 0 ? asked : RDB_VERSION_DEFAULT,
                           .compress = c->settings->rdb_compression};
    const char *obstacle = rdb_save_obstacle(f.ref.entry, &how);
    if (obstacle != NULL && asked != 0) {
        reply_error_format(c->reply, "ERR %s cannot be expressed in RDB version %d (rdb-version)",
                           obstacle, asked);
        return;
    }
    if (obstacle != NULL) how.version = RDB_VERSION_REDIS;
    struct buf payload = {0};
    rdb_payload_save(&payload, f.ref.entry, &how);
    reply_bulk(c->reply, payload.p, payload.len);
    buf_free(&payload);
}

struct restore {
    bool replace, absolute;
    int64_t idle_s, frequency; // -1: not given
    int64_t expire_ms;
    bool expired;
};

static bool parse_options(struct cmd *c, struct restore *r) {
    *r = (struct restore){.idle_s = -1, .frequency = -1, .expire_ms = ENTRY_NO_EXPIRE};
    for (int i = 4; i < c->argc; i++) {
        bool more = i + 1 < c->argc;
        if (slice_is(c->argv[i], "replace")) {
            r->replace = true;
        } else if (slice_is(c->argv[i], "absttl")) {
            r->absolute = true;
        } else if (slice_is(c->argv[i], "idletime") && more && r->frequency == -1) {
            if (!cmd_arg_i64(c, ++i, &r->idle_s)) return false;
            if (r->idle_s >= 0) continue;
            reply_error(c->reply, "ERR Invalid IDLETIME value, must be >= 0");
            return false;
        } else if (slice_is(c->argv[i], "freq") && more && r->idle_s == -1) {
            if (!cmd_arg_i64(c, ++i, &r->frequency)) return false;
            if (r->frequency >= 0 && r->frequency <= ACCESS_LFU_MAX) continue;
            reply_error(c->reply, "ERR Invalid FREQ value, must be >= 0 and <= 255");
            return false;
        } else {
            reply_error(c->reply, error_syntax);
            return false;
        }
    }
    return true;
}

/** Argument 2: 0 is none; what lies beyond the end of time counts as over, as in Redis. */
static bool parse_ttl(struct cmd *c, struct restore *r) {
    int64_t ttl;
    if (!cmd_arg_i64(c, 2, &ttl)) return false;
    if (ttl < 0) {
        reply_error(c->reply, "ERR Invalid TTL value, must be >= 0");
        return false;
    }
    if (ttl == 0) return true;
    bool beyond = !r->absolute && __builtin_add_overflow(ttl, c->now_ms, &ttl);
    r->expired = beyond || ttl <= c->now_ms;
    r->expire_ms = r->expired ? ENTRY_NO_EXPIRE : ttl;
    return true;
}

/** The entry of argument 3; NULL: the error has been written. */
static struct entry *load(struct cmd *c, const struct restore *r) {
    struct rdb_load how = {.limits = &c->settings->limits}; // fields whose time is over are kept
    if (!rdb_payload_check(c->argv[3])) {
        reply_error(c->reply, "ERR DUMP payload version or checksum are wrong");
        return NULL;
    }
    struct entry *e = rdb_payload_load(&how, c->argv[3], c->argv[1], r->expire_ms);
    rdb_load_fini(&how);
    if (e == NULL) reply_error(c->reply, "ERR Bad data format");
    return e;
}

static uint32_t access_of(const struct cmd *c, const struct restore *r) {
    if (c->settings->lfu && r->frequency >= 0)
        return access_lfu_counter(c->now_ms, (uint8_t)r->frequency);
    if (!c->settings->lfu && r->idle_s >= 0) return access_lru_idle(c->now_ms, (uint64_t)r->idle_s);
    return cmd_new_access(c);
}

/** What is replayed when the payload's time was over, or when it is counted from now. */
static void say_effect(struct cmd *c, const struct restore *r) {
    struct effect e;
    if (!r->expired && (r->absolute || r->expire_ms == ENTRY_NO_EXPIRE)) return;
    effect_begin(&e, c, r->expired ? "DEL" : "RESTORE");
    effect_text(&e, c->argv[1]);
    if (!r->expired) {
        effect_i64(&e, r->expire_ms);
        for (int i = 3; i < c->argc; i++) effect_text(&e, c->argv[i]);
        effect_word(&e, "ABSTTL");
    }
    effect_end(&e);
}

void keys_restore(struct cmd *c) {
    struct restore r;
    if (!parse_options(c, &r)) return;
    struct found f = cmd_write(c, 1);
    if (!r.replace && f.ref.entry != NULL) {
        reply_error(c->reply, "BUSYKEY Target key name already exists.");
        return;
    }
    if (!parse_ttl(c, &r)) return;
    struct entry *e = load(c, &r);
    if (e == NULL) return;
    if (!r.expired) {
        entry_set_access(e, access_of(c, &r));
        bool replaced = f.ref.entry != NULL;
        db_put(f.db, f.key, f.ref, e);
        if (replaced) db_event(f.db, EVENT_NEW, "new", f.key.text); // as Redis: deleted, then added
        db_event(f.db, EVENT_GENERIC, "restore", f.key.text);
        say_effect(c, &r);
    } else {
        entry_free(e);
        if (f.ref.entry != NULL) {
            db_delete(f.db, f.key, f.ref);
            db_event(f.db, EVENT_GENERIC, "del", f.key.text);
            say_effect(c, &r);
        }
    }
    reply_ok(c->reply);
}
