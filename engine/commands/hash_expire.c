// SPDX-License-Identifier: BSD-3-Clause
//
// When fields of hashes expire: setting it, asking for it, removing it (Redis 7.4's commands). Runs
// on the thread that has been given the key; owns no state. Invariant: an expiry that is stored
// lies after the command's time; one that does not removes the field at once; a field whose time is
// over counts as absent. Called through the rows of the command table.
#include "engine/base/alloc.h"
#include "engine/commands/hash.h"
#include "engine/commands/hash_change.h"
#include "engine/commands/hash_fields.h"

enum { IF_NEVER = 1, IF_EXPIRES, IF_LATER, IF_EARLIER }; // NX, XX, GT, LT
enum { NO_FIELD = -2, NOT_EXPIRING = -1, NOT_MET = 0, DONE = 1, REMOVED = 2 };

// ---- arguments ---------------------------------------------------------------------------------

bool hash__arg_time(struct cmd *c, int arg, int64_t unit_ms, int64_t base_ms, int64_t *at_ms) {
    int64_t value;
    if (!cmd_arg_i64(c, arg, &value)) return false;
    if (value < 0) {
        reply_error(c->reply, "ERR invalid expire time, must be >= 0");
        return false;
    }
    if (value > HASH_EXPIRE_MAX_MS / unit_ms || value * unit_ms > HASH_EXPIRE_MAX_MS - base_ms) {
        reply_error_format(c->reply, "ERR invalid expire time in '%s' command", c->spec->full_name);
        return false;
    }
    *at_ms = base_ms + value * unit_ms;
    return true;
}

bool hash__arg_fields(struct cmd *c, int arg, const char *not_positive, struct hash_fields *f) {
    int64_t count;
    if (!slice_is(c->argv[arg], "fields")) {
        reply_error(c->reply,
                    "ERR Mandatory argument FIELDS is missing or not at the right position");
        return false;
    }
    if (arg + 1 >= c->argc) {
        reply_error_format(c->reply, "ERR wrong number of arguments for '%s' command",
                           c->spec->full_name);
        return false;
    }
    if (!cmd_arg_range(c, arg + 1, 1, INT64_MAX, &count, not_positive)) return false;
    if (count != c->argc - arg - 2) {
        reply_error(c->reply, "ERR The `numfields` parameter must match the number of arguments");
        return false;
    }
    f->first = arg + 2;
    f->count = (int)count;
    return true;
}

static const char not_positive[] = "ERR Number of fields must be a positive integer";

bool hash__arg_plain_fields(struct cmd *c, int arg, struct hash_fields *f) {
    return hash__arg_fields(c, arg, not_positive, f);
}

// ---- results -----------------------------------------------------------------------------------

void hash__results_init(struct hash_results *r, int count) {
    r->codes = count <= (int)sizeof(r->few) ? r->few : mem_alloc((size_t)count);
}

void hash__results_fini(struct hash_results *r) {
    if (r->codes != r->few) mem_free(r->codes);
}

void hash__say_fields(struct cmd *c, const char *command, int64_t at_ms,
                      const struct hash_fields *f, const struct hash_results *r, int8_t code) {
    struct effect e;
    int64_t n = 0;
    if (!cmd_has_effects(c)) return;
    for (int i = 0; i < f->count; i++) n += r->codes[i] == code;
    if (n == 0) return;
    effect_begin(&e, c, command);
    effect_text(&e, c->argv[1]);
    if (at_ms >= 0) effect_i64(&e, at_ms);
    if (!slice_is(slice_text(command), "hdel")) {
        effect_word(&e, "FIELDS");
        effect_i64(&e, n);
    }
    for (int i = 0; i < f->count; i++)
        if (r->codes[i] == code) effect_text(&e, c->argv[f->first + i]);
    effect_end(&e);
}

static void reply_codes(struct cmd *c, const struct hash_fields *f, const struct hash_results *r) {
    reply_array(c->reply, (size_t)f->count);
    for (int i = 0; i < f->count; i++) reply_int(c->reply, r->codes[i]);
}

// ---- HEXPIRE, HPEXPIRE, HEXPIREAT, HPEXPIREAT --------------------------------------------------

static unsigned condition_at(const struct cmd *c, int arg) {
    static const char *const words[] = {"nx", "xx", "gt", "lt"};
    for (unsigned i = 0; i < 4; i++)
        if (slice_is(c->argv[arg], words[i])) return i + 1;
    return 0;
}

static bool is_met(unsigned condition, int64_t old_ms, int64_t at_ms) {
    switch (condition) {
    case IF_NEVER: return old_ms == THASH_NEVER;
    case IF_EXPIRES: return old_ms != THASH_NEVER;
    case IF_LATER: return old_ms != THASH_NEVER && at_ms > old_ms;
    case IF_EARLIER: return old_ms == THASH_NEVER || at_ms < old_ms;
    default: return true;
    }
}

static int8_t expire_field(struct hash_change *h, struct slice field, unsigned condition,
                           int64_t at_ms) {
    int64_t now_ms = h->ch.c->now_ms;
    if (!hash__exists(h)) return NO_FIELD;
    int64_t old_ms = thash_expire_ms(h->ch.v, field, now_ms);
    if (old_ms == THASH_ABSENT) return NO_FIELD;
    if (!is_met(condition, old_ms, at_ms)) return NOT_MET;
    if (at_ms <= now_ms) {
        thash_remove(&h->ch.v, field, now_ms);
        return REMOVED;
    }
    thash_set_expire(&h->ch.v, field, at_ms);
    return DONE;
}

static void expire(struct cmd *c, int64_t base_ms, int64_t unit_ms) {
    struct hash_change h;
    struct hash_fields f;
    struct hash_results r;
    int64_t at_ms;
    uint64_t changes = 0;
    if (!hash__open(c, &h) || !hash__arg_time(c, 2, unit_ms, base_ms, &at_ms)) return;
    unsigned condition = condition_at(c, 3);
    if (!hash__arg_fields(c, condition != 0 ? 4 : 3,
                          "ERR Parameter `numFields` should be greater than 0", &f))
        return;
    hash__results_init(&r, f.count);
    for (int i = 0; i < f.count; i++) {
        r.codes[i] = expire_field(&h, c->argv[f.first + i], condition, at_ms);
        changes += r.codes[i] > 0;
    }
    hash__say_fields(c, "HDEL", -1, &f, &r, REMOVED);
    hash__say_fields(c, "HPEXPIREAT", at_ms, &f, &r, DONE);
    reply_codes(c, &f, &r);
    hash__results_fini(&r);
    if (hash__exists(&h)) hash__close(&h, changes, at_ms <= c->now_ms ? "hdel" : "hexpire");
}

void hash_hexpire(struct cmd *c) { expire(c, c->now_ms, 1000); }

void hash_hpexpire(struct cmd *c) { expire(c, c->now_ms, 1); }

void hash_hexpireat(struct cmd *c) { expire(c, 0, 1000); }

void hash_hpexpireat(struct cmd *c) { expire(c, 0, 1); }

// ---- HTTL, HPTTL, HEXPIRETIME, HPEXPIRETIME ----------------------------------------------------

/** Seconds are rounded up, so that a field that has some time left never shows 0. */
static void reply_times(struct cmd *c, int64_t base_ms, int64_t unit_ms) {
    struct value v;
    struct hash_fields f;
    if (!collection_read(c, 1, ENTRY_HASH, &v) || !hash__arg_plain_fields(c, 2, &f)) return;
    reply_array(c->reply, (size_t)f.count);
    for (int i = f.first; i < c->argc; i++) {
        int64_t at_ms = v.encoding != 0 ? thash_expire_ms(v, c->argv[i], c->now_ms) : THASH_ABSENT;
        reply_int(c->reply, at_ms < 0 ? at_ms : (at_ms - base_ms + unit_ms - 1) / unit_ms);
    }
}

void hash_httl(struct cmd *c) { reply_times(c, c->now_ms, 1000); }

void hash_hpttl(struct cmd *c) { reply_times(c, c->now_ms, 1); }

void hash_hexpiretime(struct cmd *c) { reply_times(c, 0, 1000); }

void hash_hpexpiretime(struct cmd *c) { reply_times(c, 0, 1); }

// ---- HPERSIST ----------------------------------------------------------------------------------

void hash_hpersist(struct cmd *c) {
    struct hash_change h;
    struct hash_fields f;
    struct hash_results r;
    uint64_t changes = 0;
    if (!hash__open(c, &h) || !hash__arg_plain_fields(c, 2, &f)) return;
    hash__results_init(&r, f.count);
    for (int i = 0; i < f.count; i++) {
        struct slice field = c->argv[f.first + i];
        int64_t old_ms =
            hash__exists(&h) ? thash_expire_ms(h.ch.v, field, c->now_ms) : THASH_ABSENT;
        r.codes[i] = old_ms == THASH_ABSENT ? NO_FIELD : old_ms >= 0 ? DONE : NOT_EXPIRING;
        if (r.codes[i] != DONE) continue;
        thash_set_expire(&h.ch.v, field, THASH_NEVER);
        changes++;
    }
    hash__say_fields(c, "HPERSIST", -1, &f, &r, DONE);
    reply_codes(c, &f, &r);
    hash__results_fini(&r);
    if (hash__exists(&h)) hash__close(&h, changes, "hpersist");
}
