// SPDX-License-Identifier: BSD-3-Clause
//
// Sorted sets put together: ZUNION, ZINTER, ZDIFF, their STORE forms and ZINTERCARD. Sets are taken
// as sorted sets whose scores are all 1. No state; runs on whichever thread was given the keys.
// Invariant: sources are only read, and a result is complete before the destination is touched, so
// that it may be one of them. Every command is its own effect: sources are added up in an order
// that depends on what they hold alone.
#include <math.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/commands/zset_parts.h"
#include "engine/types/t_set.h"

enum operation { UNION, INTER, DIFF };
enum aggregate { SUM, MIN, MAX };

struct source {
    struct value v; // encoding 0: the key is absent
    size_t length;
    double weight;
};

#define FEW_SOURCES 8

struct algebra {
    struct cmd *c;
    enum operation operation;
    enum aggregate aggregate;
    bool stores, counts, scores;
    int64_t limit; // of ZINTERCARD; 0: none
    int count;     // of sources
    struct source *sources;
    struct source few[FEW_SOURCES];
};

// ---- sources -----------------------------------------------------------------------------------

static bool is_set(const struct source *s) { return value_type(s->v.encoding) == ENTRY_SET; }

/** A walk over the members of either type. */
struct members {
    const struct source *source;
    bool set;
    union {
        struct tset_iterator of_set;
        struct tzset_iterator of_zset;
    };
};

static void members_begin(struct members *m, const struct source *s) {
    m->source = s;
    if (s->v.encoding == 0) return;
    m->set = is_set(s);
    if (m->set)
        tset_iterate(&m->of_set, s->v);
    else
        tzset_iterate_rank(&m->of_zset, s->v, 0, false);
}

static bool members_next(struct members *m, struct listpack_item *member, double *score) {
    if (m->source->v.encoding == 0) return false;
    *score = 1;
    return m->set ? tset_next(&m->of_set, member) : tzset_next(&m->of_zset, member, score);
}

static bool find(const struct source *s, struct slice member, double *score) {
    if (s->v.encoding == 0) return false;
    if (!is_set(s)) return tzset_score(s->v, member, score);
    *score = 1;
    return tset_has(s->v, member);
}

static bool read_source(struct cmd *c, int arg, struct source *s) {
    struct found f = cmd_read(c, arg);
    *s = (struct source){.weight = 1};
    if (f.ref.entry == NULL) return true;
    enum entry_type type = entry_type(f.ref.entry);
    if (type != ENTRY_ZSET && type != ENTRY_SET) {
        reply_error(c->reply, error_wrong_type);
        return false;
    }
    s->v = entry_value(f.ref.entry);
    s->length = value_length(s->v);
    return true;
}

// Shortest first, or longest first; those of one length stay in their order.
static void sort_sources(struct source *sources, int count, bool longest_first) {
    for (int i = 1; i < count; i++) {
        struct source s = sources[i];
        int at = i;
        for (; at > 0; at--) {
            size_t before = sources[at - 1].length;
            if (longest_first ? before >= s.length : before <= s.length) break;
            sources[at] = sources[at - 1];
        }
        sources[at] = s;
    }
}

// ---- arguments ---------------------------------------------------------------------------------

static bool read_sources(struct algebra *a, int arg) {
    struct cmd *c = a->c;
    int64_t count;
    if (!cmd_arg_i64(c, arg, &count)) return false;
    if (count < 1) {
        reply_error_format(c->reply, "ERR at least 1 input key is needed for '%s' command",
                           c->spec->full_name);
        return false;
    }
    if (count > c->argc - (arg + 1)) {
        reply_error(c->reply, error_syntax);
        return false;
    }
    a->count = (int)count;
    if (a->count > FEW_SOURCES) a->sources = mem_alloc((size_t)count * sizeof *a->sources);
    for (int i = 0; i < a->count; i++)
        if (!read_source(c, arg + 1 + i, &a->sources[i])) return false;
    return true;
}

static bool take_weights(struct algebra *a, int arg) {
    for (int i = 0; i < a->count; i++) {
        if (num_parse_double(a->c->argv[arg + i], &a->sources[i].weight)) continue;
        reply_error(a->c->reply, "ERR weight value is not a float");
        return false;
    }
    return true;
}

static bool take_aggregate(struct algebra *a, struct slice word) {
    static const char *const words[] = {[SUM] = "sum", [MIN] = "min", [MAX] = "max"};
    for (int i = SUM; i <= MAX; i++) {
        if (!slice_is(word, words[i])) continue;
        a->aggregate = (enum aggregate)i;
        return true;
    }
    reply_error(a->c->reply, error_syntax);
    return false;
}

static bool take_options(struct algebra *a, int arg) {
    struct cmd *c = a->c;
    bool combines = a->operation != DIFF && !a->counts;
    while (arg < c->argc) {
        struct slice word = c->argv[arg];
        int left = c->argc - arg;
        if (combines && left > a->count && slice_is(word, "weights")) {
            if (!take_weights(a, arg + 1)) return false;
            arg += 1 + a->count;
        } else if (combines && left >= 2 && slice_is(word, "aggregate")) {
            if (!take_aggregate(a, c->argv[arg + 1])) return false;
            arg += 2;
        } else if (!a->stores && !a->counts && slice_is(word, "withscores")) {
            a->scores = true;
            arg++;
        } else if (a->counts && left >= 2 && slice_is(word, "limit")) {
            if (!cmd_arg_range(c, arg + 1, 0, INT64_MAX, &a->limit, "ERR LIMIT can't be negative"))
                return false;
            arg += 2;
        } else {
            reply_error(c->reply, error_syntax);
            return false;
        }
    }
    return true;
}

// ---- the operations ----------------------------------------------------------------------------

static double weighted(const struct source *s, double score) {
    double product = s->weight * score;
    return isnan(product) ? 0 : product;
}

// What two scores of one member come to. Infinities of both signs add up to zero.
static double combine(enum aggregate aggregate, double a, double b) {
    if (aggregate == MIN) return b < a ? b : a;
    if (aggregate == MAX) return b > a ? b : a;
    return isnan(a + b) ? 0 : a + b;
}

static void unite(const struct algebra *a, struct value to) {
    struct listpack_item member;
    char scratch[NUM_I64_TEXT_MAX];
    double score;
    for (int i = 0; i < a->count; i++) {
        const struct source *s = &a->sources[i];
        struct members m;
        members_begin(&m, s);
        while (members_next(&m, &member, &score)) {
            bool fresh;
            double *sum = tzset_gather(to, tzset_text(&member, scratch), &fresh);
            score = weighted(s, score);
            *sum = fresh ? score : combine(a->aggregate, *sum, score);
        }
    }
}

// The members of the first source, the shortest, that are in all others: counts them, and gathers
// them unless nobody wants them.
static int64_t intersect(const struct algebra *a, struct value to) {
    struct listpack_item member;
    char scratch[NUM_I64_TEXT_MAX];
    double score, other;
    int64_t count = 0;
    struct members m;
    members_begin(&m, &a->sources[0]);
    while (members_next(&m, &member, &score)) {
        struct slice text = tzset_text(&member, scratch);
        score = weighted(&a->sources[0], score);
        int i = 1;
        for (; i < a->count && find(&a->sources[i], text, &other); i++)
            score = combine(a->aggregate, score, a->sources[i].weight * other);
        if (i < a->count) continue;
        if (!a->counts) tzset_gather_add(to, text, score);
        if (++count == a->limit) break;
    }
    return count;
}

// The members of the first source that are in none of the others, the longest of which are asked
// first.
static void subtract(const struct algebra *a, struct value to) {
    struct listpack_item member;
    char scratch[NUM_I64_TEXT_MAX];
    double score, other;
    struct members m;
    for (int i = 1; i < a->count; i++)
        if (a->sources[i].v.object == a->sources[0].v.object) return;
    sort_sources(a->sources + 1, a->count - 1, true);
    members_begin(&m, &a->sources[0]);
    while (members_next(&m, &member, &score)) {
        struct slice text = tzset_text(&member, scratch);
        int i = 1;
        while (i < a->count && !find(&a->sources[i], text, &other)) i++;
        if (i == a->count) tzset_gather_add(to, text, score);
    }
}

// ---- commands ----------------------------------------------------------------------------------

static struct value result(const struct algebra *a) {
    struct value v = tzset_gather_begin();
    if (a->operation == UNION)
        unite(a, v);
    else if (a->operation == INTER)
        intersect(a, v);
    else
        subtract(a, v);
    // What is only shown keeps its doubles: the small form knows no negative zero.
    tzset_gather_end(&v, a->stores ? &a->c->settings->limits : NULL);
    return v;
}

static void answer(const struct algebra *a) {
    struct reply *r = a->c->reply;
    if (a->counts) {
        reply_int(r, intersect(a, (struct value){0}));
        return;
    }
    struct value v = result(a);
    if (a->stores) {
        size_t length = tzset_length(v);
        static const char *const events[] = {
            [UNION] = "zunionstore", [INTER] = "zinterstore", [DIFF] = "zdiffstore"};
        collection_store(a->c, 1, v, events[a->operation]);
        reply_int(r, (int64_t)length);
        return;
    }
    struct tzset_iterator it;
    tzset_iterate_rank(&it, v, 0, false);
    zset__reply_walk(r, &it, a->scores);
    value_free(v);
}

static void run(struct cmd *c, enum operation operation, bool stores, bool counts) {
    struct algebra a;
    a.c = c;
    a.operation = operation;
    a.aggregate = SUM;
    a.stores = stores;
    a.counts = counts;
    a.scores = false;
    a.limit = 0;
    a.sources = a.few;
    int arg = stores ? 2 : 1;
    if (read_sources(&a, arg) && take_options(&a, arg + 1 + a.count)) {
        if (operation != DIFF) sort_sources(a.sources, a.count, false);
        answer(&a);
    }
    if (a.sources != a.few) mem_free(a.sources);
}

void zset_zunion(struct cmd *c) { run(c, UNION, false, false); }
void zset_zinter(struct cmd *c) { run(c, INTER, false, false); }
void zset_zdiff(struct cmd *c) { run(c, DIFF, false, false); }
void zset_zunionstore(struct cmd *c) { run(c, UNION, true, false); }
void zset_zinterstore(struct cmd *c) { run(c, INTER, true, false); }
void zset_zdiffstore(struct cmd *c) { run(c, DIFF, true, false); }
void zset_zintercard(struct cmd *c) { run(c, INTER, false, true); }
