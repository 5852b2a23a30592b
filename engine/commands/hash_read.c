// SPDX-License-Identifier: BSD-3-Clause
//
// Commands that read hashes. Runs on whichever thread has been given the key; several may read the
// same hash at once, so nothing is changed here, not even fields whose time is over: they are not
// shown. HLEN counts them until they are removed, as in Redis. Owns no state. Called through the
// rows of the command table.
#include "engine/commands/collection.h"
#include "engine/commands/hash.h"
#include "engine/commands/hash_change.h"
#include "engine/commands/scan_options.h"

/** The hash at argument 1; false: it is something else. encoding 0: it is absent. */
static bool read_hash(struct cmd *c, struct value *v) {
    return collection_read(c, 1, ENTRY_HASH, v);
}

// ---- one field ---------------------------------------------------------------------------------

/** The value of a field; false: there is none. */
static bool get(const struct cmd *c, struct value v, struct slice field, struct slice *value,
                char scratch[NUM_I64_TEXT_MAX]) {
    return v.encoding != 0 && thash_get(v, field, c->now_ms, value, scratch);
}

static void reply_value(struct cmd *c, struct value v, struct slice field) {
    char scratch[NUM_I64_TEXT_MAX];
    struct slice value;
    if (get(c, v, field, &value, scratch))
        reply_bulk_slice(c->reply, value);
    else
        reply_null(c->reply);
}

void hash_hget(struct cmd *c) {
    struct value v;
    if (read_hash(c, &v)) reply_value(c, v, c->argv[2]);
}

void hash_hmget(struct cmd *c) {
    struct value v;
    if (!read_hash(c, &v)) return;
    reply_array(c->reply, (size_t)c->argc - 2);
    for (int i = 2; i < c->argc; i++) {
        if ((i - 2) % THASH_WINDOW == 0) thash_look_ahead(v, c->argv + i, (size_t)(c->argc - i), 1);
        reply_value(c, v, c->argv[i]);
    }
}

void hash_hexists(struct cmd *c) {
    char scratch[NUM_I64_TEXT_MAX];
    struct slice value;
    struct value v;
    if (read_hash(c, &v)) reply_int(c->reply, get(c, v, c->argv[2], &value, scratch));
}

void hash_hstrlen(struct cmd *c) {
    char scratch[NUM_I64_TEXT_MAX];
    struct slice value = {0};
    struct value v;
    if (!read_hash(c, &v)) return;
    bool found = get(c, v, c->argv[2], &value, scratch);
    reply_int(c->reply, found ? (int64_t)value.n : 0);
}

void hash_hlen(struct cmd *c) {
    struct value v;
    if (read_hash(c, &v)) reply_int(c->reply, v.encoding != 0 ? (int64_t)value_length(v) : 0);
}

// ---- all fields --------------------------------------------------------------------------------

enum { NAMES = 1, VALUES = 2 };

static void end_all(struct cmd *c, size_t mark, unsigned what, size_t fields) {
    if (what == (NAMES | VALUES))
        reply_map_end(c->reply, mark, fields);
    else
        reply_array_end(c->reply, mark, fields);
}

static void reply_all(struct cmd *c, unsigned what) {
    struct value v;
    struct thash_iterator it;
    struct listpack_item field, value;
    size_t mark = 0, fields = 0;
    if (!read_hash(c, &v)) return;
    bool hides = v.encoding != 0 && thash_may_hide(v, c->now_ms);
    size_t length = v.encoding != 0 ? value_length(v) : 0;
    if (hides)
        mark = reply_array_begin(c->reply);
    else if (what == (NAMES | VALUES))
        reply_map(c->reply, length);
    else
        reply_array(c->reply, length);
    if (v.encoding == 0) return;
    for (thash_iterate(&it, v, c->now_ms); thash_next(&it, &field, &value); fields++) {
        if (what & NAMES) collection_reply_item(c->reply, &field);
        if (what & VALUES) collection_reply_item(c->reply, &value);
    }
    if (hides) end_all(c, mark, what, fields);
}

void hash_hgetall(struct cmd *c) { reply_all(c, NAMES | VALUES); }

void hash_hkeys(struct cmd *c) { reply_all(c, NAMES); }

void hash_hvals(struct cmd *c) { reply_all(c, VALUES); }

// ---- HSCAN -------------------------------------------------------------------------------------

struct scan {
    struct scan_options options;
    struct scan_found found;
};

static void scan_field(void *context, const struct listpack_item *field,
                       const struct listpack_item *value) {
    struct scan *s = context;
    char scratch[NUM_I64_TEXT_MAX];
    struct slice name = field->text;
    if (field->is_int) name = slice_of(scratch, num_format_i64(scratch, field->number));
    if (!scan_matches(&s->options, name)) return;
    reply_bulk_slice(&s->found.reply, name);
    s->found.count++;
    if (s->options.no_values) return;
    collection_reply_item(&s->found.reply, value);
    s->found.count++;
}

void hash_hscan(struct cmd *c) {
    uint64_t cursor;
    struct value v;
    struct scan s;
    size_t visited = 0;
    if (!scan_arg_cursor(c, 2, &cursor) || !read_hash(c, &v)) return;
    if (v.encoding == 0) {
        scan_reply_empty(c);
        return;
    }
    if (!scan_options(c, 3, true, &s.options)) return;
    scan_found_init(&s.found, c);
    int64_t visits = scan_visits(&s.options);
    do {
        cursor = thash_scan(v, cursor, c->now_ms, &visited, scan_field, &s);
    } while (cursor != 0 && --visits > 0 && visited < (uint64_t)s.options.count);
    scan_found_end(&s.found, cursor);
}

// ---- HRANDFIELD --------------------------------------------------------------------------------

struct drawn {
    struct reply *reply;
    bool values, pairs;
};

static void draw_field(void *context, const struct listpack_item *field,
                       const struct listpack_item *value) {
    const struct drawn *d = context;
    if (d->pairs) reply_array(d->reply, 2);
    collection_reply_item(d->reply, field);
    if (d->values) collection_reply_item(d->reply, value);
}

#define DRAWN_AT_ONCE 4096

/** Any fields, the same one perhaps more than once. Returns how many were drawn. */
static size_t draw_any(struct cmd *c, struct value v, size_t start, uint64_t count,
                       struct random *random, struct drawn *d) {
    size_t n = 0, drawn = 1;
    while (n < count && drawn > 0) {
        if (collection_draws_too_much(c, start, count - n)) return n;
        size_t some = count - n < DRAWN_AT_ONCE ? (size_t)(count - n) : DRAWN_AT_ONCE;
        n += drawn = thash_random(v, some, c->now_ms, random, draw_field, d);
    }
    return n;
}

static void draw_many(struct cmd *c, struct value v, int64_t count, bool values) {
    struct random own, *random = collection_random(c, 1, &own);
    bool pairs = values && c->reply->proto > 2;
    struct drawn d = {.reply = c->reply, .values = values, .pairs = pairs};
    if (v.encoding == 0 || count == 0) {
        reply_array(c->reply, 0);
        return;
    }
    uint32_t errors = c->reply->errors;
    size_t start = c->reply->out->len, mark = reply_array_begin(c->reply), n;
    if (count > 0)
        n = thash_random_unique(v, (size_t)count, c->now_ms, random, draw_field, &d);
    else
        n = draw_any(c, v, start, (uint64_t)-count, random, &d);
    if (c->reply->errors == errors) reply_array_end(c->reply, mark, values && !pairs ? 2 * n : n);
}

void hash_hrandfield(struct cmd *c) {
    struct value v;
    int64_t count = 1;
    if (c->argc > 2) {
        if (!cmd_arg_range(c, 2, -INT64_MAX, INT64_MAX, &count, NULL)) return;
        if (c->argc > 4 || (c->argc == 4 && !slice_is(c->argv[3], "withvalues"))) {
            reply_error(c->reply, error_syntax);
            return;
        }
        if (c->argc == 4 && (count < -INT64_MAX / 2 || count > INT64_MAX / 2)) {
            reply_error(c->reply, error_out_of_range);
            return;
        }
        if (read_hash(c, &v)) draw_many(c, v, count, c->argc == 4);
        return;
    }
    if (!read_hash(c, &v)) return;
    struct random own, *random = collection_random(c, 1, &own);
    struct drawn d = {.reply = c->reply};
    if (v.encoding == 0 || thash_random(v, 1, c->now_ms, random, draw_field, &d) == 0)
        reply_null(c->reply);
}
