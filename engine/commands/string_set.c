// SPDX-License-Identifier: BSD-3-Clause
//
// String commands that replace a whole value or its time to live: SET with its options, the older
// commands that are special cases of it, MSET and MSETNX, and GETEX. Runs on the thread that was
// given the keys; owns no state. A SET without options is the hottest write: it is recognised
// first and costs one lookup and one overwrite. Invariant: options and times are checked before
// anything is changed, in the order in which Redis checks them. Called through the command table.
#include "engine/base/assert.h"
#include "engine/commands/collection.h"
#include "engine/commands/string.h"

enum { // options of SET and GETEX
    OPT_NX = 1 << 0,
    OPT_XX = 1 << 1,
    OPT_GET = 1 << 2,
    OPT_EX = 1 << 3,   // relative seconds
    OPT_PX = 1 << 4,   // relative milliseconds
    OPT_EXAT = 1 << 5, // absolute seconds
    OPT_PXAT = 1 << 6, // absolute milliseconds
    OPT_KEEPTTL = 1 << 7,
    OPT_PERSIST = 1 << 8,

    OPT_TIME = OPT_EX | OPT_PX | OPT_EXAT | OPT_PXAT,
    OPT_TTL = OPT_TIME | OPT_KEEPTTL | OPT_PERSIST, // exclude one another
    OPT_SET = OPT_NX | OPT_XX | OPT_GET | OPT_TIME | OPT_KEEPTTL,
    OPT_GETEX = OPT_TIME | OPT_PERSIST,
};

struct options {
    unsigned flags;
    int time_arg; // argv index of the time, 0: none
};

static unsigned option_of(struct slice word) {
    static const struct {
        const char *word;
        unsigned flag;
    } names[] = {
        {"ex", OPT_EX},     {"px", OPT_PX},           {"nx", OPT_NX},
        {"xx", OPT_XX},     {"get", OPT_GET},         {"exat", OPT_EXAT},
        {"pxat", OPT_PXAT}, {"keepttl", OPT_KEEPTTL}, {"persist", OPT_PERSIST},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (slice_is(word, names[i].word)) return names[i].flag;
    }
    return 0;
}

/** Options that may not stand beside this one. It may stand beside itself: the last counts. */
static unsigned excluded_by(unsigned option) {
    if (option == OPT_NX) return OPT_XX;
    if (option == OPT_XX) return OPT_NX;
    return option & OPT_TTL ? OPT_TTL & ~option : 0;
}

/** Parses the arguments from `first` on; false: the syntax error has been written. */
static bool parse_options(struct cmd *c, int first, unsigned allowed, struct options *out) {
    *out = (struct options){0};
    for (int i = first; i < c->argc; i++) {
        unsigned option = option_of(c->argv[i]) & allowed;
        bool has_time = (option & OPT_TIME) != 0;
        if (option == 0 || (out->flags & excluded_by(option)) || (has_time && i + 1 == c->argc)) {
            reply_error(c->reply, error_syntax);
            return false;
        }
        out->flags |= option;
        if (has_time) out->time_arg = ++i;
    }
    return true;
}

/** The time at argv[arg] as absolute milliseconds; false: the error has been written. */
static bool parse_time(struct cmd *c, int arg, unsigned unit, int64_t *expire_ms) {
    int64_t time;
    if (!cmd_arg_i64(c, arg, &time)) return false;
    bool valid = time > 0;
    if (valid && (unit & (OPT_EX | OPT_EXAT))) valid = !__builtin_mul_overflow(time, 1000, &time);
    if (valid && (unit & (OPT_EX | OPT_PX))) {
        valid = !__builtin_add_overflow(time, c->now_ms, &time);
    }
    if (!valid) {
        reply_error_format(c->reply, "ERR invalid expire time in '%s' command", c->spec->full_name);
        return false;
    }
    *expire_ms = time;
    return true;
}

/**
 * Whether the value may stay where it was received. It has to fill most of the blob: then it is the
 * only one in there that may, and no memory to speak of is wasted.
 */
static bool may_take(const struct cmd *c, struct slice value) {
    const struct blob *b = c->source;
    return b != NULL && blob_has(b, value) && value.n > b->cap / 2 &&
           value.p - b->bytes <= BLOB_START_MAX;
}

static __attribute__((noinline)) void store_taken(struct cmd *c, const struct found *f,
                                                  struct slice value, int64_t expire_ms) {
    struct entry *old = f->ref.entry;
    struct entry *e = entry_new_taken(f->key.text, c->source, value, expire_ms);
    entry_set_access(e, old != NULL ? entry_access(old) : cmd_new_access(c));
    db_put(f->db, f->key, f->ref, e);
}

/** Puts the value under the key that was looked up, found or not. */
static inline __attribute__((always_inline)) void store(struct cmd *c, const struct found *f,
                                                        struct slice value, int64_t expire_ms) {
    if (unlikely(value.n >= COMMAND_TAKE_MIN) && may_take(c, value)) {
        store_taken(c, f, value, expire_ms);
    } else if (f->ref.entry != NULL) {
        db_set_string(f->db, f->key, f->ref, value, expire_ms);
    } else {
        struct entry *e = entry_new_string(f->key.text, value, expire_ms);
        entry_set_access(e, cmd_new_access(c));
        db_insert(f->db, f->key, e);
    }
    db_event(f->db, EVENT_STRING, "set", f->key.text);
}

/** What has to be replayed: the value, and when it expires by the clock. */
static void say_set(struct cmd *c, struct slice value, int64_t expire_ms) {
    struct effect e;
    effect_begin(&e, c, "SET");
    effect_text(&e, c->argv[1]);
    effect_text(&e, value);
    if (expire_ms != ENTRY_NO_EXPIRE) {
        effect_word(&e, "PXAT");
        effect_i64(&e, expire_ms);
    }
    effect_end(&e);
}

static __attribute__((noinline)) void set_with_options(struct cmd *c) {
    struct options options;
    int64_t expire_ms = ENTRY_NO_EXPIRE;
    if (!parse_options(c, 3, OPT_SET, &options)) return;
    if (options.time_arg &&
        !parse_time(c, options.time_arg, options.flags & OPT_TIME, &expire_ms)) {
        return;
    }
    struct found f;
    if (options.flags & OPT_GET) {
        f = cmd_read(c, 1);
        if (cmd_wrong_type(c, &f, ENTRY_STRING)) return;
        string__reply(c, &f);
    } else {
        f = cmd_write(c, 1);
    }
    bool exists = f.ref.entry != NULL;
    if (exists ? options.flags & OPT_NX : options.flags & OPT_XX) {
        if (!(options.flags & OPT_GET)) reply_null(c->reply);
        return;
    }
    if (exists && (options.flags & OPT_KEEPTTL)) expire_ms = entry_expire_ms(f.ref.entry);
    store(c, &f, c->argv[2], expire_ms);
    if (options.time_arg) db_event(f.db, EVENT_GENERIC, "expire", f.key.text);
    say_set(c, c->argv[2], expire_ms);
    if (!(options.flags & OPT_GET)) reply_ok(c->reply);
}

void string_set(struct cmd *c) {
    if (unlikely(c->argc != 3)) {
        set_with_options(c);
        return;
    }
    struct found f = cmd_write(c, 1);
    store(c, &f, c->argv[2], ENTRY_NO_EXPIRE);
    reply_ok(c->reply);
}

void string_setnx(struct cmd *c) {
    struct found f = cmd_write(c, 1);
    bool absent = f.ref.entry == NULL;
    if (absent) store(c, &f, c->argv[2], ENTRY_NO_EXPIRE);
    reply_int(c->reply, absent);
}

static void set_for(struct cmd *c, unsigned unit) {
    int64_t expire_ms;
    if (!parse_time(c, 2, unit, &expire_ms)) return;
    struct found f = cmd_write(c, 1);
    store(c, &f, c->argv[3], expire_ms);
    db_event(f.db, EVENT_GENERIC, "expire", f.key.text);
    say_set(c, c->argv[3], expire_ms);
    reply_ok(c->reply);
}

void string_setex(struct cmd *c) { set_for(c, OPT_EX); }

void string_psetex(struct cmd *c) { set_for(c, OPT_PX); }

void string_getset(struct cmd *c) {
    struct found f = cmd_read(c, 1);
    if (cmd_wrong_type(c, &f, ENTRY_STRING)) return;
    string__reply(c, &f);
    store(c, &f, c->argv[2], ENTRY_NO_EXPIRE);
    say_set(c, c->argv[2], ENTRY_NO_EXPIRE);
}

/** What GETEX has changed, without the reading. */
static void say_ttl(struct cmd *c, const char *command, int64_t expire_ms) {
    struct effect e;
    effect_begin(&e, c, command);
    effect_text(&e, c->argv[1]);
    if (expire_ms != ENTRY_NO_EXPIRE) effect_i64(&e, expire_ms);
    effect_end(&e);
}

void string_getex(struct cmd *c) {
    struct options options;
    int64_t expire_ms;
    if (!parse_options(c, 2, OPT_GETEX, &options)) return;
    struct found f = cmd_read(c, 1);
    if (f.ref.entry == NULL) { // before the time is looked at
        reply_null(c->reply);
        return;
    }
    if (cmd_wrong_type(c, &f, ENTRY_STRING)) return;
    unsigned unit = options.flags & OPT_TIME;
    if (unit && !parse_time(c, options.time_arg, unit, &expire_ms)) return;
    string__reply(c, &f);
    if (unit && expire_ms <= c->now_ms) {
        db_delete(f.db, f.key, f.ref);
        db_event(f.db, EVENT_GENERIC, "del", f.key.text);
        say_ttl(c, "DEL", ENTRY_NO_EXPIRE);
    } else if (unit) {
        db_set_expire(f.db, f.key, &f.ref, expire_ms);
        db_event(f.db, EVENT_GENERIC, "expire", f.key.text);
        say_ttl(c, "PEXPIREAT", expire_ms);
    } else if ((options.flags & OPT_PERSIST) && entry_expire_ms(f.ref.entry) != ENTRY_NO_EXPIRE) {
        db_set_expire(f.db, f.key, &f.ref, ENTRY_NO_EXPIRE);
        db_event(f.db, EVENT_GENERIC, "persist", f.key.text);
        say_ttl(c, "PERSIST", ENTRY_NO_EXPIRE);
    }
}

// ---- several keys ------------------------------------------------------------------------------

/** Whether keys and values come in pairs; else the error has been written. */
static bool in_pairs(struct cmd *c) {
    if (c->argc % 2 == 1) return true;
    reply_error_format(c->reply, "ERR wrong number of arguments for '%s' command",
                       c->spec->full_name);
    return false;
}

static void set_pairs(struct cmd *c) {
    for (int i = 1; i < c->argc; i += 2) {
        struct found f = cmd_write(c, i); // anew for each pair: a key may come twice
        store(c, &f, c->argv[i + 1], ENTRY_NO_EXPIRE);
    }
}

void string_mset(struct cmd *c) {
    if (!in_pairs(c)) return;
    struct look_ahead ahead;
    cmd_look_ahead(c, &ahead, 2);
    set_pairs(c);
    reply_ok(c->reply);
}

void string_msetnx(struct cmd *c) {
    if (!in_pairs(c)) return;
    struct look_ahead ahead;
    cmd_look_ahead(c, &ahead, 2);
    for (int i = 1; i < c->argc; i += 2) {
        struct found f = cmd_write(c, i);
        if (f.ref.entry != NULL) {
            reply_int(c->reply, 0);
            return;
        }
    }
    set_pairs(c);
    reply_int(c->reply, 1);
}
