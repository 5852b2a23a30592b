// SPDX-License-Identifier: BSD-3-Clause
//
// Sets over sets: SINTER, SUNION, SDIFF, their STORE forms and SINTERCARD. Run on whichever thread
// was given the keys, no state. All stand on one step: walk one set in windows, and of each window
// keep the members that all (or none) of some other sets have, whose lookups overlap. Invariant:
// what a STORE form makes has the encoding that Redis 7.2 gives it. Called through the rows of the
// command table.
#include <stdlib.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/commands/collection.h"
#include "engine/commands/set.h"
#include "engine/types/t_set.h"

#define LOOK_AHEAD_MIN 4  // keys of one command from which on their loads overlap
#define UNION_PROBED   4  // sets that a union looks members up in, rather than collecting them
#define LISTPACK_SLOW  32 // members of a listpack beyond which many lookups there are dear
#define COLLECT_COST   4  // adding a member costs so many times a lookup

// ---- operands ----------------------------------------------------------------------------------

struct operand {
    struct value v; // encoding 0: the key is absent
    size_t count;
    int index; // among the arguments
};

struct operands {
    struct operand *at;
    int count;
    int absent; // how many keys are
    struct operand few[8];
};

static void operands_fini(struct operands *o) {
    if (o->at != o->few) mem_free(o->at);
}

/** Reads the sets at `count` arguments. False: one is none, the error has been written. */
static bool operands_init(struct operands *o, struct cmd *c, int first, int count) {
    bool few = (size_t)count <= sizeof(o->few) / sizeof(o->few[0]);
    struct look_ahead ahead;
    o->at = few ? o->few : mem_alloc((size_t)count * sizeof(*o->at));
    o->count = count;
    o->absent = 0;
    if (count >= LOOK_AHEAD_MIN) cmd_look_ahead(c, &ahead, 1);
    for (int i = 0; i < count; i++) {
        struct operand *operand = &o->at[i];
        if (!collection_read(c, first + i, ENTRY_SET, &operand->v)) {
            c->ahead = NULL;
            operands_fini(o);
            return false;
        }
        operand->count = operand->v.encoding != 0 ? tset_count(operand->v) : 0;
        operand->index = i;
        o->absent += operand->v.encoding == 0;
    }
    c->ahead = NULL;
    return true;
}

static int by_count(const void *left, const void *right) {
    const struct operand *a = left, *b = right;
    if (a->count != b->count) return a->count < b->count ? -1 : 1;
    return a->index < b->index ? -1 : 1;
}

static int by_count_down(const void *left, const void *right) {
    const struct operand *a = left, *b = right;
    if (a->count != b->count) return a->count > b->count ? -1 : 1;
    return a->index < b->index ? -1 : 1;
}

static void sort(struct operand *at, int count, int (*order)(const void *, const void *)) {
    if (count == 2) {
        struct operand first = at[0];
        if (order(&at[0], &at[1]) < 0) return;
        at[0] = at[1];
        at[1] = first;
    } else if (count > 2) {
        qsort(at, (size_t)count, sizeof(*at), order);
    }
}

// ---- walking one set beside others -------------------------------------------------------------

/** Where members go: into a reply, into a set, or nowhere (they are counted only). */
struct sink {
    struct reply *reply;
    struct value *set;
    const struct value_limits *limits;
    uint64_t count; // members taken
    uint64_t limit; // 0: none
};

static void sink_take(struct sink *s, struct tset_window *w, uint32_t which) {
    s->count += (uint32_t)__builtin_popcount(which);
    if (s->set != NULL) tset_add_window(s->set, w, which, s->limits);
    if (s->reply == NULL) return;
    for (; which != 0; which &= which - 1)
        collection_reply_item(s->reply, &w->items[__builtin_ctz(which)]);
}

static bool sink_is_full(const struct sink *s) { return s->limit != 0 && s->count >= s->limit; }

/** The sink takes those members of a set that all of the others have, or that none of them has. */
static void filter(struct value from, const struct operand *others, int count, bool wanted,
                   struct sink *sink) {
    struct tset_iterator it;
    struct tset_window w;
    tset_iterate(&it, from);
    while (!sink_is_full(sink) && tset_next_window(&it, &w)) {
        uint32_t which = UINT32_MAX >> (TSET_WINDOW - w.count);
        for (int i = 0; i < count && which != 0; i++) {
            if (others[i].v.encoding == 0) continue;
            if (wanted && others[i].v.object == from.object) continue;
            uint32_t has = tset_has_window(others[i].v, &w, which);
            which = wanted ? has : which & ~has;
        }
        sink_take(sink, &w, which);
    }
}

/** STORE forms: argv[1] gets the set, which may be empty. */
static void store(struct cmd *c, struct value v, const char *event) {
    size_t count = tset_count(v);
    collection_store(c, 1, v, event);
    reply_int(c->reply, (int64_t)count);
}

// ---- SINTER ------------------------------------------------------------------------------------

/** The sink takes what is in all sets. */
static void intersect(struct operands *o, struct sink *sink) {
    if (o->absent > 0) return;
    sort(o->at, o->count, by_count);
    filter(o->at[0].v, o->at + 1, o->count - 1, true, sink);
}

void set_sinter(struct cmd *c) {
    struct operands o;
    struct sink sink = {.reply = c->reply};
    if (!operands_init(&o, c, 1, c->argc - 1)) return;
    size_t mark = reply_array_begin(c->reply);
    intersect(&o, &sink);
    reply_set_end(c->reply, mark, sink.count);
    operands_fini(&o);
}

void set_sinterstore(struct cmd *c) {
    struct operands o;
    if (!operands_init(&o, c, 2, c->argc - 2)) return;
    // What starts as a listpack is appended to; it becomes an intset in the end, if it can.
    if (o.absent == 0) sort(o.at, o.count, by_count);
    bool intset = o.absent > 0 || o.at[0].v.encoding == ENC_SET_INTSET;
    struct value v = intset ? tset_new() : tset_new_listpack();
    struct sink sink = {.set = &v, .limits = &c->settings->limits};
    intersect(&o, &sink);
    tset_compact(&v, &c->settings->limits);
    operands_fini(&o);
    store(c, v, "sinterstore");
}

/** LIMIT, the only option, from argv[arg] on; false: the error has been written. */
static bool parse_limit(struct cmd *c, int arg, int64_t *limit) {
    for (; arg < c->argc; arg += 2) {
        if (arg + 1 >= c->argc || !slice_is(c->argv[arg], "limit")) {
            reply_error(c->reply, error_syntax);
            return false;
        }
        if (!cmd_arg_range(c, arg + 1, 0, INT64_MAX, limit, "ERR LIMIT can't be negative"))
            return false;
    }
    return true;
}

void set_sintercard(struct cmd *c) {
    int64_t count, limit = 0;
    struct operands o;
    if (!cmd_arg_range(c, 1, 1, INT64_MAX, &count, "ERR numkeys should be greater than 0")) return;
    if (count > c->argc - 2) {
        reply_error(c->reply, "ERR Number of keys can't be greater than number of args");
        return;
    }
    if (!parse_limit(c, 2 + (int)count, &limit)) return;
    if (!operands_init(&o, c, 2, (int)count)) return;
    struct sink sink = {.limit = (uint64_t)limit};
    intersect(&o, &sink);
    operands_fini(&o);
    if (limit != 0 && sink.count > (uint64_t)limit) sink.count = (uint64_t)limit;
    reply_int(c->reply, (int64_t)sink.count);
}

// ---- SUNION ------------------------------------------------------------------------------------

/** Adds all members of the sets, in their order, to v. */
static void collect(const struct operand *at, int count, struct value *v,
                    const struct value_limits *limits) {
    struct sink sink = {.set = v, .limits = limits};
    for (int i = 0; i < count; i++)
        if (at[i].v.encoding != 0) filter(at[i].v, NULL, 0, false, &sink);
}

/** Whether looking members up in the sets is cheaper than collecting them. */
static bool is_probed(const struct operands *o) {
    int last = o->count - 1;
    if (o->count - o->absent > UNION_PROBED) return false;
    for (int i = 0; i < last; i++)
        if (o->at[i].v.encoding == ENC_SET_LISTPACK && o->at[i].count > LISTPACK_SLOW) return false;
    return true;
}

void set_sunion(struct cmd *c) {
    struct operands o;
    struct sink sink = {.reply = c->reply};
    if (!operands_init(&o, c, 1, c->argc - 1)) return;
    size_t mark = reply_array_begin(c->reply);
    sort(o.at, o.count, by_count_down); // so that large sets are walked, and looked into
    if (is_probed(&o)) {
        for (int i = 0; i < o.count && o.at[i].v.encoding != 0; i++)
            filter(o.at[i].v, o.at, i, false, &sink);
    } else {
        struct value v = tset_new();
        collect(o.at, o.count, &v, &c->settings->limits);
        filter(v, NULL, 0, false, &sink);
        value_free(v);
    }
    reply_set_end(c->reply, mark, sink.count);
    operands_fini(&o);
}

void set_sunionstore(struct cmd *c) {
    struct operands o;
    if (!operands_init(&o, c, 2, c->argc - 2)) return;
    struct value v = tset_new();
    collect(o.at, o.count, &v, &c->settings->limits);
    operands_fini(&o);
    store(c, v, "sunionstore");
}

// ---- SDIFF -------------------------------------------------------------------------------------

/** Whether nothing is left, because the first set is absent or taken off itself. */
static bool is_nothing(const struct operands *o) {
    if (o->at[0].v.encoding == 0) return true;
    for (int i = 1; i < o->count; i++)
        if (o->at[i].v.object == o->at[0].v.object) return true;
    return false;
}

static uint64_t members_of_others(const struct operands *o) {
    uint64_t sum = 0;
    for (int i = 1; i < o->count; i++) sum += o->at[i].count;
    return sum;
}

/** The sink takes what is in the first set and in no other. Changes the order of the others. */
static void subtract(struct operands *o, struct sink *sink, const struct value_limits *limits) {
    if (is_nothing(o)) return;
    uint64_t probes = o->at[0].count * (uint64_t)(o->count - 1);
    if (o->count > 2 && probes > o->at[0].count + members_of_others(o) * COLLECT_COST) {
        // Many small sets off a large one: all of them as one set.
        struct value v = tset_new();
        collect(o->at + 1, o->count - 1, &v, limits);
        struct operand all = {.v = v, .count = tset_count(v)};
        filter(o->at[0].v, &all, 1, false, sink);
        value_free(v);
        return;
    }
    sort(o->at + 1, o->count - 1, by_count_down);
    filter(o->at[0].v, o->at + 1, o->count - 1, false, sink);
}

void set_sdiff(struct cmd *c) {
    struct operands o;
    struct sink sink = {.reply = c->reply};
    if (!operands_init(&o, c, 1, c->argc - 1)) return;
    size_t mark = reply_array_begin(c->reply);
    subtract(&o, &sink, &c->settings->limits);
    reply_set_end(c->reply, mark, sink.count);
    operands_fini(&o);
}

/**
 * Whether Redis would copy the first set and remove the others' members from the copy. What that
 * leaves keeps the encoding of the copy.
 */
static bool is_removed_from_a_copy(const struct operands *o) {
    uint64_t present = (uint64_t)(o->count - o->absent);
    uint64_t probing = o->at[0].count * present / 2;
    return probing > o->at[0].count + members_of_others(o);
}

/** Takes the members of all other sets off v. */
static void remove_others(const struct operands *o, struct value *v) {
    struct tset_iterator it;
    struct tset_window w;
    for (int i = 1; i < o->count && tset_count(*v) > 0; i++) {
        if (o->at[i].v.encoding == 0) continue;
        tset_iterate(&it, o->at[i].v);
        while (tset_next_window(&it, &w)) {
            uint32_t has = tset_has_window(*v, &w, UINT32_MAX >> (TSET_WINDOW - w.count));
            for (; has != 0; has &= has - 1) tset_remove_item(v, &w.items[__builtin_ctz(has)]);
        }
    }
}

void set_sdiffstore(struct cmd *c) {
    const struct value_limits *limits = &c->settings->limits;
    struct operands o;
    if (!operands_init(&o, c, 2, c->argc - 2)) return;
    struct value v = tset_new();
    struct sink sink = {.set = &v, .limits = limits};
    if (!is_nothing(&o) && is_removed_from_a_copy(&o)) {
        collect(o.at, 1, &v, limits);
        remove_others(&o, &v);
    } else {
        subtract(&o, &sink, limits);
    }
    operands_fini(&o);
    store(c, v, "sdiffstore");
}
