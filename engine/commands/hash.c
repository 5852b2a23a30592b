// SPDX-License-Identifier: BSD-3-Clause
//
// Commands that set and remove the fields of hashes. What hashes are is in engine/types/t_hash.h;
// what reads them is in hash_read.c, what concerns expiry in hash_expire.c and hash_fields_ex.c.
// Runs on the thread that has been given the key; owns no state. Invariant: arguments are checked
// before anything changes, in Redis's order. Called through the rows of the command table.
#include "engine/commands/hash.h"

#include <math.h>

#include "engine/base/num.h"
#include "engine/commands/hash_change.h"

// ---- changes -----------------------------------------------------------------------------------

void hash__drop(struct hash_change *h, struct slice field) {
    struct cmd *c = h->ch.c;
    if (!thash_drop_expired(&h->ch.v, field, c->now_ms)) return;
    const struct slice effect[] = {SLICE_LITERAL("HDEL"), c->argv[1], field};
    cmd_effect(c, 3, effect);
    h->ch.f.db->keyspace->stats.expired_fields++;
    h->dropped++;
    if (value_length(h->ch.v) > 0) return;
    change_close(&h->ch, 1, "hexpired");
    bool is_hash = change_open(c, 1, ENTRY_HASH, &h->ch);
    ASSERT(is_hash && !hash__exists(h));
}

void hash__prepare(struct hash_change *h, const struct slice *texts, int n) {
    const struct value_limits *limits = &h->ch.c->settings->limits;
    if (hash__exists(h))
        thash_prepare(&h->ch.v, texts, (size_t)n, limits);
    else
        h->ch.v = thash_new_for(texts, (size_t)n, limits);
}

void hash__close(struct hash_change *h, uint64_t dirty, const char *event) {
    struct cmd *c = h->ch.c;
    if (h->dropped != 0 && dirty != 0 && !h->said) cmd_effect(c, c->argc, c->argv);
    bool is_same = h->ch.f.ref.entry != NULL; // not begun anew, which has been said
    if (h->dropped != 0 && dirty != 0 && is_same) change_event(&h->ch, "hexpired");
    change_close(&h->ch, dirty + h->dropped, dirty != 0 ? event : "hexpired");
}

static bool set(struct hash_change *h, struct slice field, struct slice value, bool keep_expiry) {
    const struct cmd *c = h->ch.c;
    return thash_set(&h->ch.v, field, value, keep_expiry, c->now_ms, &c->settings->limits);
}

// ---- setting -----------------------------------------------------------------------------------

/** HSET and HMSET: returns how many fields are new, or -1: the error has been written. */
static int64_t set_all(struct cmd *c) {
    struct hash_change h;
    int64_t created = 0;
    if (c->argc % 2 == 1) {
        reply_error_format(c->reply, "ERR wrong number of arguments for '%s' command",
                           c->spec->full_name);
        return -1;
    }
    if (!hash__open(c, &h)) return -1;
    hash__prepare(&h, c->argv + 2, c->argc - 2);
    for (int i = 2; i < c->argc; i += 2) {
        if ((i - 2) % (2 * THASH_WINDOW) == 0)
            thash_look_ahead(h.ch.v, c->argv + i, (size_t)(c->argc - i), 2);
        created += set(&h, c->argv[i], c->argv[i + 1], false);
    }
    hash__close(&h, (uint64_t)(c->argc - 2) / 2, "hset");
    return created;
}

void hash_hset(struct cmd *c) {
    int64_t created = set_all(c);
    if (created >= 0) reply_int(c->reply, created);
}

void hash_hmset(struct cmd *c) {
    if (set_all(c) >= 0) reply_ok(c->reply);
}

void hash_hsetnx(struct cmd *c) {
    struct hash_change h;
    if (!hash__open(c, &h)) return;
    hash__drop_expired(&h, c->argv[2]);
    bool absent =
        !hash__exists(&h) || thash_expire_ms(h.ch.v, c->argv[2], c->now_ms) == THASH_ABSENT;
    if (absent) {
        hash__prepare(&h, c->argv + 2, 2);
        set(&h, c->argv[2], c->argv[3], false);
    }
    hash__close(&h, absent, "hset");
    reply_int(c->reply, absent);
}

// ---- arithmetic --------------------------------------------------------------------------------

/** The value that a number is added to; false: there is none. */
static bool old_value(struct hash_change *h, struct slice *text, char scratch[NUM_I64_TEXT_MAX]) {
    struct cmd *c = h->ch.c;
    hash__drop_expired(h, c->argv[2]);
    return hash__exists(h) && thash_get(h->ch.v, c->argv[2], c->now_ms, text, scratch);
}

/** Sets the field to the result: as Redis does, without a look at how many fields there are. */
static void set_result(struct hash_change *h, struct slice text) {
    if (!hash__exists(h)) h->ch.v = thash_new();
    set(h, h->ch.c->argv[2], text, true);
}

void hash_hincrby(struct cmd *c) {
    char scratch[NUM_I64_TEXT_MAX], digits[NUM_I64_TEXT_MAX];
    struct hash_change h;
    struct slice text;
    int64_t add, old = 0, value;
    if (!cmd_arg_i64(c, 3, &add) || !hash__open(c, &h)) return;
    const char *error = NULL;
    if (old_value(&h, &text, scratch) && !num_parse_i64(text, &old))
        error = "ERR hash value is not an integer";
    else if (__builtin_add_overflow(old, add, &value))
        error = "ERR increment or decrement would overflow";
    if (error != NULL) {
        reply_error(c->reply, error);
        hash__close(&h, 0, NULL);
        return;
    }
    set_result(&h, slice_of(digits, num_format_i64(digits, value)));
    hash__close(&h, 1, "hincrby");
    reply_int(c->reply, value);
}

/** The sum, not the way to it: another machine's arithmetic may differ in the last digit. */
static void say_sum(struct hash_change *h, struct slice sum) {
    struct cmd *c = h->ch.c;
    h->said = true;
    if (!cmd_has_effects(c)) return;
    if (thash_expire_ms(h->ch.v, c->argv[2], c->now_ms) == THASH_NEVER) {
        const struct slice effect[] = {SLICE_LITERAL("HSET"), c->argv[1], c->argv[2], sum};
        cmd_effect(c, 4, effect);
        return;
    }
    const struct slice effect[] = {SLICE_LITERAL("HSETEX"),
                                   c->argv[1],
                                   SLICE_LITERAL("KEEPTTL"),
                                   SLICE_LITERAL("FIELDS"),
                                   SLICE_LITERAL("1"),
                                   c->argv[2],
                                   sum};
    cmd_effect(c, 7, effect);
}

void hash_hincrbyfloat(struct cmd *c) {
    char scratch[NUM_I64_TEXT_MAX], digits[NUM_LONG_DOUBLE_TEXT_MAX];
    struct hash_change h;
    struct slice text;
    long double add, value = 0;
    if (!num_parse_long_double(c->argv[3], &add)) {
        reply_error(c->reply, error_not_float);
        return;
    }
    if (isnan(add) || isinf(add)) {
        reply_error(c->reply, "ERR value is NaN or Infinity");
        return;
    }
    if (!hash__open(c, &h)) return;
    const char *error = NULL;
    if (old_value(&h, &text, scratch) && !num_parse_long_double(text, &value))
        error = "ERR hash value is not a float";
    value += add;
    if (error == NULL && (isnan(value) || isinf(value)))
        error = "ERR increment would produce NaN or Infinity";
    if (error != NULL) {
        reply_error(c->reply, error);
        hash__close(&h, 0, NULL);
        return;
    }
    struct slice sum = slice_of(digits, num_format_long_double(digits, value));
    set_result(&h, sum);
    say_sum(&h, sum);
    hash__close(&h, 1, "hincrbyfloat");
    reply_bulk_slice(c->reply, sum);
}

// ---- removing ----------------------------------------------------------------------------------

void hash_hdel(struct cmd *c) {
    struct hash_change h;
    uint64_t deleted = 0, over = 0;
    if (!hash__open(c, &h)) return;
    for (int i = 2; i < c->argc && hash__exists(&h); i++) {
        if ((i - 2) % THASH_WINDOW == 0)
            thash_look_ahead(h.ch.v, c->argv + i, (size_t)(c->argc - i), 1);
        enum thash_found found = thash_remove(&h.ch.v, c->argv[i], c->now_ms);
        if (found == THASH_MISSING) continue;
        deleted += found == THASH_PRESENT;
        over += found == THASH_EXPIRED;
        if (value_length(h.ch.v) == 0) break;
    }
    h.ch.f.db->keyspace->stats.expired_fields += over;
    if (hash__exists(&h)) hash__close(&h, deleted + over, deleted > 0 ? "hdel" : "hexpired");
    reply_int(c->reply, (int64_t)deleted);
}
