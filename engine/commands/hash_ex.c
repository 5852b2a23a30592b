// SPDX-License-Identifier: BSD-3-Clause
//
// HGETEX, HSETEX and HGETDEL: values of fields together with their expiry or removal (Redis 8.0's
// commands). Runs on the thread that has been given the key; owns no state. Invariant: a reply is
// written from the value before the value changes; what is replayed knows neither conditions nor a
// clock. Called through the rows of the command table.
#include "engine/base/assert.h"
#include "engine/commands/hash.h"
#include "engine/commands/hash_change.h"
#include "engine/commands/hash_fields.h"

enum { KEPT = 0, UPDATED = 1, REMOVED = 2 };

/** Writes a field's value, or null; false: there is no such field. */
static bool reply_value(struct cmd *c, struct value v, struct slice field) {
    char scratch[NUM_I64_TEXT_MAX];
    struct slice value;
    if (v.encoding == 0 || !thash_get(v, field, c->now_ms, &value, scratch)) {
        reply_null(c->reply);
        return false;
    }
    reply_bulk_slice(c->reply, value);
    return true;
}

// ---- HGETDEL -----------------------------------------------------------------------------------

void hash_hgetdel(struct cmd *c) {
    struct hash_change h;
    struct hash_fields f;
    struct hash_results r;
    uint64_t deleted = 0;
    if (!hash__open(c, &h) || !hash__arg_plain_fields(c, 2, &f)) return;
    hash__results_init(&r, f.count);
    reply_array(c->reply, (size_t)f.count);
    for (int i = 0; i < f.count; i++) {
        struct slice field = c->argv[f.first + i];
        r.codes[i] = reply_value(c, h.ch.v, field) ? REMOVED : KEPT;
        if (r.codes[i] == KEPT) continue;
        thash_remove(&h.ch.v, field, c->now_ms);
        deleted++;
    }
    hash__say_fields(c, "HDEL", -1, &f, &r, REMOVED);
    hash__results_fini(&r);
    if (hash__exists(&h)) hash__close(&h, deleted, "hdel");
}

// ---- expiry options ----------------------------------------------------------------------------

enum { EX = 1, PX = 2, EXAT = 4, PXAT = 8, TIMES = 15, PERSIST = 16, KEEPTTL = 32 };

/** Which of EX, PX, EXAT and PXAT the argument is; 0: none of them. */
static unsigned time_option(struct slice word) {
    static const char *const words[] = {"ex", "px", "exat", "pxat"};
    for (unsigned i = 0; i < 4; i++)
        if (slice_is(word, words[i])) return 1u << i;
    return 0;
}

static bool time_of_option(struct cmd *c, unsigned option, int arg, int64_t *at_ms) {
    int64_t unit_ms = option & (EX | EXAT) ? 1000 : 1;
    return hash__arg_time(c, arg, unit_ms, option & (EX | PX) ? c->now_ms : 0, at_ms);
}

// ---- HGETEX ------------------------------------------------------------------------------------

/** Gives a field that is there another expiry (THASH_NEVER: none), and tells what happened. */
static int8_t change_expiry(struct hash_change *h, struct slice field, int64_t at_ms) {
    struct cmd *c = h->ch.c;
    if (at_ms != THASH_NEVER && at_ms <= c->now_ms) {
        thash_remove(&h->ch.v, field, c->now_ms);
        return REMOVED;
    }
    if (at_ms == THASH_NEVER && thash_expire_ms(h->ch.v, field, c->now_ms) == THASH_NEVER)
        return KEPT;
    thash_set_expire(&h->ch.v, field, at_ms);
    return UPDATED;
}

/** Returns the argument that has to be FIELDS, or 0: the error has been written. */
static int parse_getex(struct cmd *c, unsigned *option, int64_t *at_ms) {
    *option = time_option(c->argv[2]);
    if (slice_is(c->argv[2], "persist")) *option = PERSIST;
    *at_ms = THASH_NEVER;
    if ((*option & TIMES) == 0) return *option == PERSIST ? 3 : 2;
    return time_of_option(c, *option, 3, at_ms) ? 4 : 0;
}

void hash_hgetex(struct cmd *c) {
    struct hash_change h;
    struct hash_fields f;
    struct hash_results r;
    unsigned option;
    int64_t at_ms;
    uint64_t changes = 0;
    if (!hash__open(c, &h)) return;
    int arg = parse_getex(c, &option, &at_ms);
    if (arg == 0 || !hash__arg_plain_fields(c, arg, &f)) return;
    hash__results_init(&r, f.count);
    reply_array(c->reply, (size_t)f.count);
    for (int i = 0; i < f.count; i++) {
        struct slice field = c->argv[f.first + i];
        r.codes[i] = KEPT;
        if (!reply_value(c, h.ch.v, field) || option == 0) continue;
        r.codes[i] = change_expiry(&h, field, at_ms);
        changes += r.codes[i] != KEPT;
    }
    hash__say_fields(c, "HDEL", -1, &f, &r, REMOVED);
    hash__say_fields(c, option == PERSIST ? "HPERSIST" : "HPEXPIREAT", at_ms, &f, &r, UPDATED);
    hash__results_fini(&r);
    const char *event = option == PERSIST ? "hpersist" : "hexpire";
    if ((option & TIMES) && at_ms <= c->now_ms) event = "hdel";
    if (hash__exists(&h)) hash__close(&h, changes, event);
}

// ---- HSETEX ------------------------------------------------------------------------------------

enum { IF_NONE = 1, IF_ALL = 2 }; // FNX, FXX

struct setex {
    unsigned option, condition;
    int64_t at_ms;
    struct hash_fields f; // count of pairs
};

static bool fail(struct cmd *c, const char *text) {
    reply_error(c->reply, text);
    return false;
}

static bool wrong_arity(struct cmd *c) {
    reply_error_format(c->reply, "ERR wrong number of arguments for '%s' command",
                       c->spec->full_name);
    return false;
}

static bool parse_pairs(struct cmd *c, int arg, struct hash_fields *f) {
    int64_t count;
    if (arg >= c->argc - 3) return wrong_arity(c);
    if (!cmd_arg_range(c, arg + 1, 1, INT32_MAX, &count, "ERR invalid number of fields"))
        return false;
    int remaining = c->argc - arg - 2;
    if (remaining % 2 != 0 || count != remaining / 2) return wrong_arity(c);
    f->first = arg + 2;
    f->count = (int)count;
    return true;
}

static bool parse_expiry(struct cmd *c, int *arg, unsigned option, struct setex *s) {
    if (s->option != 0)
        return fail(c, "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified");
    s->option = option;
    if (option == KEEPTTL) return true;
    if (*arg >= c->argc - 1) return fail(c, "ERR missing expire time");
    return time_of_option(c, option, ++*arg, &s->at_ms);
}

static bool parse_setex(struct cmd *c, struct setex *s) {
    *s = (struct setex){.at_ms = THASH_NEVER};
    for (int i = 2; i < c->argc; i++) {
        struct slice word = c->argv[i];
        unsigned option = slice_is(word, "keepttl") ? (unsigned)KEEPTTL : time_option(word);
        unsigned condition = slice_is(word, "fnx")   ? (unsigned)IF_NONE
                             : slice_is(word, "fxx") ? (unsigned)IF_ALL
                                                     : 0u;
        if (slice_is(word, "fields")) return parse_pairs(c, i, &s->f);
        if (option != 0) {
            if (!parse_expiry(c, &i, option, s)) return false;
        } else if (condition != 0) {
            if (s->condition != 0)
                return fail(c, "ERR Only one of FXX or FNX arguments can be specified");
            s->condition = condition;
        } else {
            reply_error_format(c->reply, "ERR unknown argument: %.*s", (int)word.n, word.p);
            return false;
        }
    }
    return wrong_arity(c);
}

static bool setex_is_met(struct hash_change *h, const struct setex *s) {
    struct cmd *c = h->ch.c;
    for (int i = 0; s->condition != 0 && i < s->f.count; i++) {
        struct slice field = c->argv[s->f.first + 2 * i];
        bool there = hash__exists(h) && thash_expire_ms(h->ch.v, field, c->now_ms) != THASH_ABSENT;
        if (there ? s->condition == IF_NONE : s->condition == IF_ALL) return false;
    }
    return true;
}

/** A time that has passed: setting the fields comes to removing them. */
static void setex_remove(struct hash_change *h, const struct setex *s) {
    struct cmd *c = h->ch.c;
    struct effect e;
    uint64_t removed = 0;
    effect_begin(&e, c, "HDEL");
    effect_text(&e, c->argv[1]);
    for (int i = 0; i < s->f.count && hash__exists(h); i++) {
        struct slice field = c->argv[s->f.first + 2 * i];
        if (thash_remove(&h->ch.v, field, c->now_ms) == THASH_MISSING) continue;
        effect_text(&e, field);
        removed++;
    }
    h->said = true;
    if (removed > 0) {
        effect_end(&e);
    } else {
        effect_abandon(&e);
        cmd_effect_none(c);
    }
}

static void say_setex(struct hash_change *h, const struct setex *s) {
    struct cmd *c = h->ch.c;
    struct effect e;
    h->said = true;
    effect_begin(&e, c, "HSETEX");
    effect_text(&e, c->argv[1]);
    effect_word(&e, "PXAT");
    effect_i64(&e, s->at_ms);
    for (int i = s->f.first - 2; i < c->argc; i++) effect_text(&e, c->argv[i]);
    effect_end(&e);
}

static void setex_store(struct hash_change *h, const struct setex *s) {
    struct cmd *c = h->ch.c;
    const struct value_limits *limits = &c->settings->limits;
    hash__prepare(h, c->argv + s->f.first, 2 * s->f.count);
    for (int i = s->f.first; i < c->argc; i += 2) {
        thash_set(&h->ch.v, c->argv[i], c->argv[i + 1], s->option != 0, c->now_ms, limits);
        if (s->option & TIMES) thash_set_expire(&h->ch.v, c->argv[i], s->at_ms);
    }
    if (s->option & TIMES) say_setex(h, s);
}

void hash_hsetex(struct cmd *c) {
    struct hash_change h;
    struct setex s;
    if (!parse_setex(c, &s) || !hash__open(c, &h)) return;
    for (int i = s.f.first; i < c->argc; i += 2) hash__drop_expired(&h, c->argv[i]);
    if (!setex_is_met(&h, &s)) {
        if (hash__exists(&h)) hash__close(&h, 0, NULL);
        reply_int(c->reply, 0);
        return;
    }
    bool removes = (s.option & TIMES) && s.at_ms <= c->now_ms;
    if (removes)
        setex_remove(&h, &s);
    else
        setex_store(&h, &s);
    if (hash__exists(&h)) {
        hash__close(&h, (uint64_t)s.f.count, removes ? "hdel" : "hset");
        if (!removes && (s.option & TIMES)) change_event(&h.ch, "hexpire");
    }
    reply_int(c->reply, 1);
}
