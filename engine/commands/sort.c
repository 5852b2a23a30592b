// SPDX-License-Identifier: BSD-3-Clause
//
// SORT and SORT_RO: options, weights, reply or destination. BY and GET patterns make keys of
// elements, which may be anywhere: the caller has seen to it (command_roams()) that they are within
// reach. Runs on the thread that was given the keys; owns no state. Invariant: the destination is
// made before the key is written, so it may be the source. What is stored is told as DEL and RPUSH,
// because the order of a set, and what other keys hold, need not be the same where it is replayed.
// Called through the command table; sort_vector.c has the elements.
#include "engine/base/alloc.h"
#include "engine/commands/sort_parts.h"
#include "engine/types/t_list.h"

#define FEW_GETS 8

struct query {
    struct sort_rules rules;
    bool read_only;
    bool as_it_is; // BY something that names no key: not sorted
    struct sort_pattern by;
    int64_t skip, count; // of LIMIT; count below 0: all
    int store;           // argument; 0: none
    struct sort_pattern *gets, few[FEW_GETS];
    size_t get_count;
    // The places that are wanted; last is first - 1: none.
    size_t first, wanted;
    struct buf key; // of lookups
};

// ---- arguments ---------------------------------------------------------------------------------

static bool deny(struct cmd *c, const char *option) {
    if (likely((c->flags & (CMD_CTX_NODE | CMD_CTX_NARROW)) == 0)) return false;
    if (c->flags & CMD_CTX_NODE)
        reply_error_format(c->reply, "ERR %s option of SORT denied in Cluster mode.", option);
    else
        reply_error_format(
            c->reply, "ERR %s option of SORT denied due to insufficient ACL permissions.", option);
    return true;
}

static bool take_by(struct cmd *c, int arg, struct query *q) {
    q->by = sort__pattern(c->argv[arg]);
    q->rules.by = true;
    // Once BY has named no key, nothing is sorted whatever comes later, as in Redis.
    if (!q->by.has_star) q->as_it_is = true;
    return !q->by.has_star || !deny(c, "BY");
}

static bool take_get(struct cmd *c, int arg, struct query *q) {
    if (deny(c, "GET")) return false;
    if (q->get_count == FEW_GETS) { // all the rest at once
        q->gets = mem_alloc((size_t)c->argc * sizeof *q->gets);
        memcpy(q->gets, q->few, sizeof q->few);
    }
    q->gets[q->get_count++] = sort__pattern(c->argv[arg]);
    return true;
}

/** The option at arg: how many words it has, or 0: the error has been written. */
static int take_option(struct cmd *c, int arg, struct query *q) {
    struct slice word = c->argv[arg];
    int left = c->argc - arg - 1;
    if (slice_is(word, "asc")) {
        q->rules.descending = false;
    } else if (slice_is(word, "desc")) {
        q->rules.descending = true;
    } else if (slice_is(word, "alpha")) {
        q->rules.alpha = true;
    } else if (left >= 2 && slice_is(word, "limit")) {
        if (!cmd_arg_i64(c, arg + 1, &q->skip) || !cmd_arg_i64(c, arg + 2, &q->count)) return 0;
        return 3;
    } else if (left >= 1 && !q->read_only && slice_is(word, "store")) {
        q->store = arg + 1;
        return 2;
    } else if (left >= 1 && slice_is(word, "by")) {
        return take_by(c, arg + 1, q) ? 2 : 0;
    } else if (left >= 1 && slice_is(word, "get")) {
        return take_get(c, arg + 1, q) ? 2 : 0;
    } else {
        reply_error(c->reply, error_syntax);
        return 0;
    }
    return 1;
}

static bool take_options(struct cmd *c, struct query *q) {
    for (int i = 2; i < c->argc;) {
        int words = take_option(c, i, q);
        if (words == 0) return false;
        i += words;
    }
    return true;
}

static bool read_source(struct cmd *c, struct value *v) {
    struct found f = cmd_read(c, 1);
    *v = (struct value){0};
    if (f.ref.entry == NULL) return true;
    enum entry_type type = entry_type(f.ref.entry);
    if (type == ENTRY_LIST || type == ENTRY_SET || type == ENTRY_ZSET) {
        *v = entry_value(f.ref.entry);
        return true;
    }
    reply_error(c->reply, error_wrong_type);
    return false;
}

/** Which places of how many LIMIT leaves. */
static void apply_limit(struct query *q, size_t total) {
    int64_t n = (int64_t)total;
    int64_t skip = q->skip < 0 ? 0 : q->skip > n ? n : q->skip;
    int64_t count = q->count < 0 || q->count > n - skip ? n - skip : q->count;
    q->first = (size_t)skip;
    q->wanted = (size_t)count;
}

// ---- sorting -----------------------------------------------------------------------------------

/** Gives every element what it is sorted by; false: some of it should be a number and is none. */
static bool weigh(struct cmd *c, struct query *q, struct sort_vector *vector) {
    bool valid = true;
    if (q->rules.alpha && !q->rules.by) return true;
    for (size_t i = 0; i < vector->count; i++) {
        struct sort_element *element = &vector->at[i];
        struct sort_found found = {.is_there = true, .text = element->text};
        if (q->rules.by) sort__look_up(c, &q->by, element->text, &q->key, &found);
        if (q->rules.alpha) {
            if (!found.is_there) continue;
            bool lies_still = found.text.p != found.scratch && found.text.n > 0;
            element->by = lies_still ? found.text : sort__keep(&vector->room, found.text);
        } else {
            element->score = 0;
            if (!found.is_there) continue;
            if (found.is_int)
                element->score = (double)found.number;
            else
                valid &= sort__number(found.text, &element->score);
        }
    }
    return valid;
}

/** Loads, weighs and sorts. False: no numbers, the error has been written. */
static bool prepare(struct cmd *c, struct query *q, struct value v, struct sort_vector *vector) {
    size_t total = v.encoding != 0 ? value_length(v) : 0;
    enum entry_type type = v.encoding != 0 ? value_type(v.encoding) : ENTRY_LIST;
    // The order of a set means nothing: what is stored has one that does.
    if (q->as_it_is && type == ENTRY_SET && q->store != 0) {
        q->as_it_is = q->rules.by = false;
        q->rules.alpha = true;
    }
    apply_limit(q, total);
    if (q->as_it_is && type != ENTRY_SET && total > 0) {
        sort__load_part(vector, v, q->first, q->wanted, q->rules.descending);
        q->first = 0;
        return true;
    }
    sort__load(vector, v);
    if (q->as_it_is) return true;
    if (!weigh(c, q, vector)) {
        reply_error(c->reply, "ERR One or more scores can't be converted into double");
        return false;
    }
    if (q->wanted > 0) sort__run(vector, &q->rules, q->first, q->first + q->wanted - 1);
    return true;
}

// ---- results -----------------------------------------------------------------------------------

static void reply_elements(struct cmd *c, struct query *q, const struct sort_element *at) {
    reply_array(c->reply, q->get_count > 0 ? q->wanted * q->get_count : q->wanted);
    for (size_t i = 0; i < q->wanted; i++) {
        if (q->get_count == 0) reply_bulk_slice(c->reply, at[i].text);
        for (size_t g = 0; g < q->get_count; g++) {
            struct sort_found found;
            sort__look_up(c, &q->gets[g], at[i].text, &q->key, &found);
            if (found.is_there)
                reply_bulk_slice(c->reply, found.text);
            else
                reply_null(c->reply);
        }
    }
}

static struct value list_of(struct cmd *c, struct query *q, const struct sort_element *at) {
    const struct value_limits *limits = &c->settings->limits;
    struct value v = {ENC_LIST_QUICKLIST, tlist_new_quicklist(limits)};
    for (size_t i = 0; i < q->wanted; i++) {
        if (q->get_count == 0) tlist_add(&v, at[i].text, false);
        for (size_t g = 0; g < q->get_count; g++) {
            struct sort_found found;
            sort__look_up(c, &q->gets[g], at[i].text, &q->key, &found);
            tlist_add(&v, found.is_there ? found.text : SLICE_LITERAL(""), false);
        }
    }
    if (q->wanted > 0) tlist_settle(&v, limits);
    return v;
}

static void say_deleted(struct cmd *c, struct slice key) {
    const struct slice words[] = {SLICE_LITERAL("DEL"), key};
    cmd_effect(c, 2, words);
}

#define ITEMS_SAID 256 // in one command

static void say_list(struct cmd *c, struct slice key, struct value v) {
    struct tlist_iterator it;
    struct listpack_item item;
    tlist_iterate(&it, v, 0, false);
    for (size_t left = tlist_length(v); left > 0;) {
        struct effect e;
        size_t n = left < ITEMS_SAID ? left : ITEMS_SAID;
        effect_begin(&e, c, "RPUSH");
        effect_text(&e, key);
        for (left -= n; n > 0 && tlist_next(&it, &item); n--) {
            effect_item(&e, &item);
        }
        effect_end(&e);
    }
    tlist_end(&it);
}

static void store_elements(struct cmd *c, struct query *q, const struct sort_element *at) {
    struct slice key = c->argv[q->store];
    struct value v = list_of(c, q, at);
    size_t length = tlist_length(v);
    bool existed = cmd_has_effects(c) && cmd_find_at(c, key, c->db).ref.entry != NULL;
    bool exists = collection_store(c, q->store, v, "sortstore");
    if (length > 1) cmd_db(c, key)->keyspace->stats.dirty += length - 1;
    if (existed) say_deleted(c, key);
    if (exists && cmd_has_effects(c)) say_list(c, key, v);
    reply_int(c->reply, (int64_t)length);
}

static void run(struct cmd *c, bool read_only) {
    struct query q = {.read_only = read_only, .count = -1};
    struct value v;
    q.gets = q.few;
    if (take_options(c, &q) && read_source(c, &v)) {
        struct sort_vector vector;
        if (!prepare(c, &q, v, &vector)) {
            // the error has been written
        } else if (q.store == 0) {
            reply_elements(c, &q, vector.at + q.first);
        } else {
            store_elements(c, &q, vector.at + q.first);
        }
        sort__vector_fini(&vector);
    }
    if (q.gets != q.few) mem_free(q.gets);
    buf_free(&q.key);
}

void sort_sort(struct cmd *c) { run(c, false); }

void sort_sort_ro(struct cmd *c) { run(c, true); }
