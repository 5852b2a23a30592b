// SPDX-License-Identifier: BSD-3-Clause
//
// String commands that read, and those that change a value in place: GET, MGET, GETDEL, STRLEN,
// GETRANGE, APPEND, SETRANGE and the counters. Runs on the thread that was given the keys; owns
// no state. GET is the most frequent command of all: one lookup, one type check, one copy into
// the reply. Invariant: the reply is written from the entry before the entry may move or go.
// Called through the command table.
#include "engine/commands/collection.h"
#include "engine/commands/string.h"

#include <math.h>

#include "engine/base/assert.h"

static const char error_too_long[] = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";

void string__reply(struct cmd *c, const struct found *f) {
    if (f->ref.entry == NULL) {
        reply_null(c->reply);
        return;
    }
    char scratch[NUM_I64_TEXT_MAX];
    struct slice text = entry_string(f->ref.entry, scratch);
    reply_bulk_shared(c->reply, text, entry_string_blob(f->ref.entry));
}

// ---- reading -----------------------------------------------------------------------------------

void string_get(struct cmd *c) {
    struct found f = cmd_read(c, 1);
    if (unlikely(cmd_wrong_type(c, &f, ENTRY_STRING))) return;
    string__reply(c, &f);
}

void string_mget(struct cmd *c) {
    struct look_ahead ahead;
    cmd_look_ahead(c, &ahead, 1);
    reply_array(c->reply, (size_t)c->argc - 1);
    for (int i = 1; i < c->argc; i++) {
        struct found f = cmd_read(c, i);
        if (f.ref.entry != NULL && !entry_has_type(f.ref.entry, ENTRY_STRING)) f.ref.entry = NULL;
        string__reply(c, &f);
    }
}

void string_getdel(struct cmd *c) {
    struct found f = cmd_read(c, 1);
    if (cmd_wrong_type(c, &f, ENTRY_STRING)) return;
    string__reply(c, &f);
    if (f.ref.entry == NULL) return;
    db_delete(f.db, f.key, f.ref);
    db_event(f.db, EVENT_GENERIC, "del", f.key.text);
    const struct slice effect[] = {SLICE_LITERAL("DEL"), c->argv[1]};
    cmd_effect(c, 2, effect);
}

void string_strlen(struct cmd *c) {
    struct found f = cmd_read(c, 1);
    if (cmd_wrong_type(c, &f, ENTRY_STRING)) return;
    reply_int(c->reply, f.ref.entry == NULL ? 0 : (int64_t)entry_string_length(f.ref.entry));
}

/** The part of text from start to end, both inclusive; negative positions count from the end. */
static struct slice subrange(struct slice text, int64_t start, int64_t end) {
    const struct slice nothing = SLICE_LITERAL("");
    int64_t n = (int64_t)text.n;
    if (start < 0 && end < 0 && start > end) return nothing;
    if (start < 0) start = start + n > 0 ? start + n : 0;
    if (end < 0) end = end + n > 0 ? end + n : 0;
    if (end >= n) end = n - 1;
    if (start > end) return nothing;
    return slice_of(text.p + start, (size_t)(end - start + 1));
}

void string_getrange(struct cmd *c) {
    int64_t start, end;
    if (!cmd_arg_i64(c, 2, &start) || !cmd_arg_i64(c, 3, &end)) return;
    struct found f = cmd_read(c, 1);
    if (cmd_wrong_type(c, &f, ENTRY_STRING)) return;
    char scratch[NUM_I64_TEXT_MAX];
    if (f.ref.entry == NULL) {
        reply_bulk_text(c->reply, "");
        return;
    }
    struct slice text = entry_string(f.ref.entry, scratch);
    reply_bulk_shared(c->reply, subrange(text, start, end), entry_string_blob(f.ref.entry));
}

// ---- changing a part ---------------------------------------------------------------------------

/** Whether a string of size + more bytes is allowed; else the error has been written. */
static bool length_allowed(struct cmd *c, uint64_t size, uint64_t more) {
    uint64_t total;
    if (likely(!__builtin_add_overflow(size, more, &total) &&
               total <= (uint64_t)c->settings->proto_max_bulk_len)) {
        return true;
    }
    reply_error(c->reply, error_too_long);
    return false;
}

static void insert_new(struct cmd *c, const struct found *f, struct entry *e, const char *event) {
    entry_set_access(e, cmd_new_access(c));
    db_insert(f->db, f->key, e);
    db_event(f->db, EVENT_STRING, event, f->key.text);
}

void string_append(struct cmd *c) {
    struct slice more = c->argv[2];
    struct found f = cmd_write(c, 1);
    if (cmd_wrong_type(c, &f, ENTRY_STRING)) return;
    struct entry *e = f.ref.entry;
    if (e == NULL) {
        insert_new(c, &f, entry_new_string(f.key.text, more, ENTRY_NO_EXPIRE), "append");
        reply_int(c->reply, (int64_t)more.n);
        return;
    }
    size_t old = entry_string_length(e);
    if (!length_allowed(c, old, more.n)) return;
    size_t before = entry_memory(e);
    e = entry_string_resize(e, old + more.n);
    if (more.n != 0) memcpy(entry_string_bytes(e) + old, more.p, more.n);
    db_update(f.db, f.key, &f.ref, e, before);
    db_event(f.db, EVENT_STRING, "append", f.key.text);
    reply_int(c->reply, (int64_t)(old + more.n));
}

void string_setrange(struct cmd *c) {
    struct slice part = c->argv[3];
    int64_t offset;
    if (!cmd_arg_i64(c, 2, &offset)) return;
    if (offset < 0) {
        reply_error(c->reply, "ERR offset is out of range");
        return;
    }
    struct found f = cmd_write(c, 1);
    if (cmd_wrong_type(c, &f, ENTRY_STRING)) return;
    struct entry *e = f.ref.entry;
    size_t old = e != NULL ? entry_string_length(e) : 0;
    if (part.n == 0) { // nothing to write: the key is neither made nor padded
        reply_int(c->reply, (int64_t)old);
        return;
    }
    if (!length_allowed(c, (uint64_t)offset, part.n)) return;
    size_t end = (size_t)offset + part.n, length = end > old ? end : old;
    if (e == NULL) {
        e = entry_new_raw(f.key.text, length, ENTRY_NO_EXPIRE);
        memcpy(entry_string_bytes(e) + offset, part.p, part.n);
        insert_new(c, &f, e, "setrange");
    } else {
        size_t before = entry_memory(e);
        e = entry_string_resize(e, length);
        memcpy(entry_string_bytes(e) + offset, part.p, part.n);
        db_update(f.db, f.key, &f.ref, e, before);
        db_event(f.db, EVENT_STRING, "setrange", f.key.text);
    }
    reply_int(c->reply, (int64_t)length);
}

// ---- counters ----------------------------------------------------------------------------------

static void increment(struct cmd *c, int64_t by) {
    struct found f = cmd_write(c, 1);
    if (cmd_wrong_type(c, &f, ENTRY_STRING)) return;
    struct entry *e = f.ref.entry;
    if (e == NULL) {
        insert_new(c, &f, entry_new_int(f.key.text, by, ENTRY_NO_EXPIRE), "incrby");
        reply_int(c->reply, by);
        return;
    }
    int64_t value;
    if (unlikely(!entry_string_i64(e, &value))) {
        reply_error(c->reply, error_not_integer);
        return;
    }
    if (unlikely(__builtin_add_overflow(value, by, &value))) {
        reply_error(c->reply, "ERR increment or decrement would overflow");
        return;
    }
    size_t before = entry_memory(e);
    db_update(f.db, f.key, &f.ref, entry_set_int(e, value), before);
    db_event(f.db, EVENT_STRING, "incrby", f.key.text);
    reply_int(c->reply, value);
}

void string_incr(struct cmd *c) { increment(c, 1); }

void string_decr(struct cmd *c) { increment(c, -1); }

void string_incrby(struct cmd *c) {
    int64_t by;
    if (cmd_arg_i64(c, 2, &by)) increment(c, by);
}

void string_decrby(struct cmd *c) {
    int64_t by;
    if (!cmd_arg_i64(c, 2, &by)) return;
    if (by == INT64_MIN) { // has no positive counterpart
        reply_error(c->reply, "ERR decrement would overflow");
        return;
    }
    increment(c, -by);
}

/** An entry that holds text as text even if it reads as an integer: what INCRBYFLOAT leaves. */
static struct entry *new_text(struct slice key, struct slice text, int64_t expire_ms) {
    struct entry *e = entry_new_raw(key, text.n, expire_ms);
    memcpy(entry_string_bytes(e), text.p, text.n);
    // The two embedded encodings differ only in what they promise about later changes.
    if (text.n <= ENTRY_EMBSTR_MAX) e->encoding = ENC_EMBSTR;
    return e;
}

/** The found value as INCRBYFLOAT takes it; false: it is no number. */
static bool found_number(const struct entry *e, long double *out) {
    *out = 0;
    if (e == NULL) return true;
    char scratch[NUM_I64_TEXT_MAX];
    return num_parse_long_double(entry_string(e, scratch), out);
}

void string_incrbyfloat(struct cmd *c) {
    struct found f = cmd_write(c, 1);
    if (cmd_wrong_type(c, &f, ENTRY_STRING)) return;
    long double value, by;
    if (!found_number(f.ref.entry, &value) || !num_parse_long_double(c->argv[2], &by)) {
        reply_error(c->reply, error_not_float);
        return;
    }
    value += by;
    if (isnan(value) || isinf(value)) {
        reply_error(c->reply, "ERR increment would produce NaN or Infinity");
        return;
    }
    char digits[NUM_LONG_DOUBLE_TEXT_MAX];
    struct slice text = slice_of(digits, num_format_long_double(digits, value));
    reply_bulk_slice(c->reply, text);
    // The sum, not the way to it: another machine's arithmetic may differ in the last digit.
    const struct slice effect[] = {SLICE_LITERAL("SET"), c->argv[1], text,
                                   SLICE_LITERAL("KEEPTTL")};
    cmd_effect(c, 4, effect);
    if (f.ref.entry == NULL) {
        insert_new(c, &f, new_text(f.key.text, text, ENTRY_NO_EXPIRE), "incrbyfloat");
        return;
    }
    struct entry *e = new_text(f.key.text, text, entry_expire_ms(f.ref.entry));
    entry_set_access(e, entry_access(f.ref.entry));
    db_put(f.db, f.key, f.ref, e);
    db_event(f.db, EVENT_STRING, "incrbyfloat", f.key.text);
}
