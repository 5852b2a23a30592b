// SPDX-License-Identifier: BSD-3-Clause
//
// Commands over one set, and SMOVE over two: adding, removing, asking, listing, scanning. Run on
// whichever thread was given the keys; no state. Invariant: each writes exactly one reply, and no
// key holds an empty set afterwards. Choosing at random is in set_random.c, sets over sets in
// set_algebra.c. Called through the rows of the command table.
#include "engine/commands/set.h"

#include "engine/base/assert.h"
#include "engine/commands/collection.h"
#include "engine/commands/scan_options.h"
#include "engine/types/t_set.h"

#define PREFETCH_MIN 4 // members of one command from which on their loads overlap

/** For a loop over members: at the first of each window, starts the loads of all of it. */
static void look_ahead(const struct cmd *c, struct value v, int arg) {
    int done = arg - 2, left = c->argc - arg;
    if (done % TSET_WINDOW == 0 && left >= PREFETCH_MIN) tset_prefetch(v, &c->argv[arg], left);
}

void set_sadd(struct cmd *c) {
    const struct value_limits *limits = &c->settings->limits;
    size_t count = (size_t)c->argc - 2;
    struct change ch;
    if (!change_open(c, 1, ENTRY_SET, &ch)) return;
    if (ch.v.encoding == 0)
        ch.v = tset_create(c->argv[2], count, limits);
    else
        tset_expect(&ch.v, count, limits);
    uint64_t added = 0;
    for (int i = 2; i < c->argc; i++) {
        look_ahead(c, ch.v, i);
        added += tset_add(&ch.v, c->argv[i], limits);
    }
    change_close(&ch, added, "sadd");
    reply_int(c->reply, (int64_t)added);
}

void set_srem(struct cmd *c) {
    struct change ch;
    if (!change_open(c, 1, ENTRY_SET, &ch)) return;
    uint64_t removed = 0;
    if (ch.v.encoding != 0) {
        for (int i = 2; i < c->argc && tset_count(ch.v) > 0; i++) {
            look_ahead(c, ch.v, i);
            removed += tset_remove(&ch.v, c->argv[i]);
        }
        change_close(&ch, removed, "srem");
    }
    reply_int(c->reply, (int64_t)removed);
}

void set_sismember(struct cmd *c) {
    struct value v;
    if (!collection_read(c, 1, ENTRY_SET, &v)) return;
    reply_int(c->reply, v.encoding != 0 && tset_has(v, c->argv[2]));
}

void set_smismember(struct cmd *c) {
    struct value v;
    if (!collection_read(c, 1, ENTRY_SET, &v)) return;
    reply_array(c->reply, (size_t)c->argc - 2);
    for (int i = 2; i < c->argc; i++) {
        if (v.encoding != 0) look_ahead(c, v, i);
        reply_int(c->reply, v.encoding != 0 && tset_has(v, c->argv[i]));
    }
}

void set_scard(struct cmd *c) {
    struct value v;
    if (!collection_read(c, 1, ENTRY_SET, &v)) return;
    reply_int(c->reply, v.encoding != 0 ? (int64_t)tset_count(v) : 0);
}

void set_smembers(struct cmd *c) {
    struct value v;
    struct tset_iterator it;
    struct listpack_item item;
    if (!collection_read(c, 1, ENTRY_SET, &v)) return;
    reply_set(c->reply, v.encoding != 0 ? tset_count(v) : 0);
    if (v.encoding == 0) return;
    tset_iterate(&it, v);
    while (tset_next(&it, &item)) collection_reply_item(c->reply, &item);
}

// ---- SMOVE -------------------------------------------------------------------------------------

/** Takes argv[3] out of the set at argv[1]. */
static bool move_out(struct cmd *c) {
    struct change ch;
    bool same_type = change_open(c, 1, ENTRY_SET, &ch);
    ASSERT(same_type);
    bool removed = tset_remove(&ch.v, c->argv[3]);
    change_close(&ch, removed, "srem");
    return removed;
}

/** Puts argv[3] into the set at argv[2]. */
static void move_in(struct cmd *c) {
    const struct value_limits *limits = &c->settings->limits;
    struct change ch;
    bool same_type = change_open(c, 2, ENTRY_SET, &ch);
    ASSERT(same_type);
    if (ch.v.encoding == 0) ch.v = tset_create(c->argv[3], 1, limits);
    bool added = tset_add(&ch.v, c->argv[3], limits);
    change_close(&ch, added, "sadd");
}

void set_smove(struct cmd *c) {
    struct found from = cmd_write(c, 1);
    if (from.ref.entry == NULL) { // what the destination holds does not matter then
        reply_int(c->reply, 0);
        return;
    }
    if (cmd_wrong_type(c, &from, ENTRY_SET)) return;
    struct found to = cmd_write(c, 2);
    if (cmd_wrong_type(c, &to, ENTRY_SET)) return;
    if (slice_equal(c->argv[1], c->argv[2])) {
        reply_int(c->reply, tset_has(entry_value(to.ref.entry), c->argv[3]));
        return;
    }
    bool moved = move_out(c);
    if (moved) move_in(c);
    reply_int(c->reply, moved);
}

// ---- SSCAN -------------------------------------------------------------------------------------

struct scan {
    struct scan_options options;
    struct scan_found found;
    uint64_t seen;
};

static void scan_member(void *context, const struct listpack_item *item) {
    struct scan *s = context;
    char scratch[NUM_I64_TEXT_MAX];
    s->seen++;
    if (!scan_matches(&s->options, tset_text(item, scratch))) return;
    collection_reply_item(&s->found.reply, item);
    s->found.count++;
}

void set_sscan(struct cmd *c) {
    struct value v;
    struct scan s = {.seen = 0};
    uint64_t cursor;
    if (!scan_arg_cursor(c, 2, &cursor)) return;
    if (!collection_read(c, 1, ENTRY_SET, &v)) return;
    if (v.encoding == 0) {
        scan_reply_empty(c);
        return;
    }
    if (!scan_options(c, 3, false, &s.options)) return;
    scan_found_init(&s.found, c);
    int64_t visits = scan_visits(&s.options);
    do {
        cursor = tset_scan(v, cursor, scan_member, &s);
    } while (cursor != 0 && --visits > 0 && s.seen < (uint64_t)s.options.count);
    scan_found_end(&s.found, cursor);
}
