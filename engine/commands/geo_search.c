// SPDX-License-Identifier: BSD-3-Clause
//
// Searching for members near a place: GEOSEARCH, GEOSEARCHSTORE, and the GEORADIUS family, which
// asks the same with other words. The squares of the grid around the place are ranges of scores;
// what is in the shape is collected as spots, scores and distances, and members are not looked at
// before it is known which of them are wanted. Runs on the thread that was given the keys; owns no
// state. Invariant: order and number of members are Redis's, unordered results and ties included.
// Called through the command table.
#include "engine/base/alloc.h"
#include "engine/base/prefetch.h"
#include "engine/base/sort.h"
#include "engine/commands/geo_parts.h"

enum form { FORM_RADIUS, FORM_BY_MEMBER, FORM_SEARCH, FORM_SEARCH_STORE };
enum order { ORDER_NONE, ORDER_NEAREST, ORDER_FARTHEST };

struct query {
    enum form form;
    bool may_store; // STORE and STOREDIST are known
    struct value v; // encoding 0: the key is absent
    struct geohash_shape shape;
    bool has_centre_member, has_centre, has_radius, has_box;
    bool with_distance, with_hash, with_point;
    enum order order;
    bool any;
    int64_t count;  // 0: all
    int store;      // argument; 0: none
    bool distances; // are stored as scores
};

// ---- arguments ---------------------------------------------------------------------------------

static bool arg_length(struct cmd *c, int arg, double *out, const char *error) {
    if (num_parse_double(c->argv[arg], out)) return true;
    reply_error(c->reply, error);
    return false;
}

/** A radius and its unit at arg and behind. */
static bool arg_radius(struct cmd *c, int arg, struct geohash_shape *shape) {
    if (!arg_length(c, arg, &shape->radius, "ERR need numeric radius")) return false;
    if (shape->radius < 0) {
        reply_error(c->reply, "ERR radius cannot be negative");
        return false;
    }
    shape->is_box = false;
    return geo__arg_unit(c, arg + 1, &shape->unit);
}

/** Width, height and their unit. */
static bool arg_box(struct cmd *c, int arg, struct geohash_shape *shape) {
    if (!arg_length(c, arg, &shape->width, "ERR need numeric width") ||
        !arg_length(c, arg + 1, &shape->height, "ERR need numeric height"))
        return false;
    if (shape->width < 0 || shape->height < 0) {
        reply_error(c->reply, "ERR height or width cannot be negative");
        return false;
    }
    shape->is_box = true;
    return geo__arg_unit(c, arg + 2, &shape->unit);
}

/** The place of a member of the searched set; it is absent with the set, which is no error yet. */
static bool arg_member(struct cmd *c, int arg, struct query *q) {
    double score;
    if (q->v.encoding == 0) return true;
    if (tzset_score(q->v, c->argv[arg], &score)) {
        q->shape.centre = geohash_point(score);
        return true;
    }
    reply_error(c->reply, "ERR could not decode requested zset member");
    return false;
}

static bool arg_count(struct cmd *c, int arg, struct query *q) {
    if (!cmd_arg_i64(c, arg, &q->count)) return false;
    if (q->count > 0) return true;
    reply_error(c->reply, "ERR COUNT must be > 0");
    return false;
}

/** Options that are one word; false: it is none of them. */
static bool take_word(struct slice word, struct query *q) {
    if (slice_is(word, "withdist"))
        q->with_distance = true;
    else if (slice_is(word, "withhash"))
        q->with_hash = true;
    else if (slice_is(word, "withcoord"))
        q->with_point = true;
    else if (slice_is(word, "any"))
        q->any = true;
    else if (slice_is(word, "asc"))
        q->order = ORDER_NEAREST;
    else if (slice_is(word, "desc"))
        q->order = ORDER_FARTHEST;
    else if (q->form == FORM_SEARCH_STORE && slice_is(word, "storedist"))
        q->distances = true;
    else
        return false;
    return true;
}

#define FAILED (-1) // the error has been written

/** GEOSEARCH's options that say what is searched in: words behind the first; 0: none of them. */
static int take_shape(struct cmd *c, int arg, struct query *q) {
    struct slice word = c->argv[arg];
    int left = c->argc - arg - 1;
    if (left >= 1 && !q->has_centre && slice_is(word, "frommember")) {
        q->has_centre_member = true;
        return arg_member(c, arg + 1, q) ? 1 : FAILED;
    }
    if (left >= 2 && !q->has_centre_member && slice_is(word, "fromlonlat")) {
        q->has_centre = true;
        return geo__arg_point(c, arg + 1, &q->shape.centre) ? 2 : FAILED;
    }
    if (left >= 2 && !q->has_box && slice_is(word, "byradius")) {
        q->has_radius = true;
        return arg_radius(c, arg + 1, &q->shape) ? 2 : FAILED;
    }
    if (left >= 3 && !q->has_radius && slice_is(word, "bybox")) {
        q->has_box = true;
        return arg_box(c, arg + 1, &q->shape) ? 3 : FAILED;
    }
    return 0;
}

/** Options with arguments: how many words behind the first; 0: none of them. */
static int take_option(struct cmd *c, int arg, struct query *q) {
    struct slice word = c->argv[arg];
    if (arg + 1 < c->argc && slice_is(word, "count")) return arg_count(c, arg + 1, q) ? 1 : FAILED;
    if (q->form >= FORM_SEARCH) return take_shape(c, arg, q);
    bool distances = slice_is(word, "storedist");
    if (!q->may_store || arg + 1 >= c->argc || !(distances || slice_is(word, "store"))) return 0;
    q->store = arg + 1;
    q->distances = distances;
    return 1;
}

static bool take_options(struct cmd *c, int first, struct query *q) {
    for (int i = first; i < c->argc; i++) {
        if (take_word(c->argv[i], q)) continue;
        int words = take_option(c, i, q);
        if (words == FAILED) return false;
        if (words == 0) {
            reply_error(c->reply, error_syntax);
            return false;
        }
        i += words;
    }
    return true;
}

static bool check_options(struct cmd *c, const struct query *q) {
    struct slice name = c->argv[0];
    if (q->store != 0 && (q->with_distance || q->with_hash || q->with_point)) {
        reply_error_format(
            c->reply, "ERR %s is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
            q->form == FORM_SEARCH_STORE ? "GEOSEARCHSTORE" : "STORE option in GEORADIUS");
    } else if (q->form >= FORM_SEARCH && !q->has_centre && !q->has_centre_member) {
        reply_error_format(c->reply,
                           "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for %.*s",
                           (int)name.n, name.p);
    } else if (q->form >= FORM_SEARCH && !q->has_radius && !q->has_box) {
        reply_error_format(c->reply,
                           "ERR exactly one of BYRADIUS and BYBOX can be specified for %.*s",
                           (int)name.n, name.p);
    } else if (q->any && q->count == 0) {
        reply_error(c->reply, "ERR the ANY argument requires COUNT argument");
    } else {
        return true;
    }
    return false;
}

/** Everything in front of the options; *options becomes their first argument. */
static bool take_base(struct cmd *c, struct query *q, int *options) {
    *options = q->form == FORM_RADIUS ? 6 : q->form == FORM_BY_MEMBER ? 5 : 2;
    if (q->form == FORM_SEARCH_STORE) {
        *options = 3;
        q->store = 1;
    }
    if (q->form == FORM_RADIUS)
        return geo__arg_point(c, 2, &q->shape.centre) && arg_radius(c, 4, &q->shape);
    // Without a set there is no member, and Redis does not look at the radius either.
    if (q->form == FORM_BY_MEMBER && q->v.encoding != 0)
        return arg_member(c, 2, q) && arg_radius(c, 3, &q->shape);
    return true;
}

// ---- searching ---------------------------------------------------------------------------------

struct match {
    double distance; // metres
    double score;
    const void *spot;
};

struct matches {
    struct match *at;
    size_t count, room;
};

static struct match *next_match(struct matches *m) {
    if (m->count == m->room) {
        m->room = m->room == 0 ? 16 : m->room * 2;
        m->at = mem_realloc(m->at, m->room * sizeof *m->at);
    }
    return &m->at[m->count];
}

/** What is looked through, and how far. */
struct scan {
    struct geohash_range ranges[GEOHASH_RANGES];
    size_t range_count;
    struct geohash_search search;
    bool measure; // distances are wanted
    size_t limit; // of members
};

static inline void add_if_within(const struct scan *scan, double score, const void *spot,
                                 struct matches *m) {
    struct match *next = next_match(m);
    if (!geohash_is_within(&scan->search, score, scan->measure ? &next->distance : NULL)) return;
    next->score = score;
    next->spot = spot;
    m->count++;
}

static void scan_large(const struct scan *scan, struct value v, struct matches *m) {
    for (size_t i = 0; i < scan->range_count && m->count < scan->limit; i++) {
        struct tzset_scores range = {.min = (double)scan->ranges[i].min,
                                     .max = (double)scan->ranges[i].max,
                                     .below_max = true};
        struct tzset_iterator it;
        const void *spot;
        double score;
        tzset_iterate_scores(&it, v, &range, false);
        while (m->count < scan->limit && tzset_next_spot(&it, &spot, &score))
            add_if_within(scan, score, spot, m);
    }
}

struct place {
    double score;
    const void *spot;
};

/** A small set is passed once, not for each range. */
static void scan_small(const struct scan *scan, struct value v, struct matches *m) {
    struct place few[128], *places = few;
    struct tzset_iterator it;
    size_t n = tzset_length(v);
    if (n > sizeof few / sizeof *few) places = mem_alloc(n * sizeof *places);
    tzset_iterate_rank(&it, v, 0, false);
    for (size_t i = 0; i < n; i++) tzset_next_spot(&it, &places[i].spot, &places[i].score);
    for (size_t i = 0; i < scan->range_count; i++) {
        double min = (double)scan->ranges[i].min, max = (double)scan->ranges[i].max;
        for (size_t j = 0; j < n && places[j].score < max && m->count < scan->limit; j++)
            if (places[j].score >= min) add_if_within(scan, places[j].score, places[j].spot, m);
    }
    if (places != few) mem_free(places);
}

/** Collects what is in the shape, up to `limit` members. */
static void collect(const struct query *q, size_t limit, struct matches *m) {
    struct scan scan = {.limit = limit};
    scan.measure = q->with_distance || q->order != ORDER_NONE || q->distances;
    scan.range_count = geohash_cover(&q->shape, scan.ranges);
    geohash_search_init(&scan.search, &q->shape);
    if (q->v.encoding == ENC_ZSET_LISTPACK)
        scan_small(&scan, q->v, m);
    else
        scan_large(&scan, q->v, m);
}

SORT_TEMPLATE int nearer(const void *a, const void *b, const void *context) {
    double x = ((const struct match *)a)->distance, y = ((const struct match *)b)->distance;
    (void)context;
    return x > y ? 1 : x == y ? 0 : -1;
}

SORT_TEMPLATE int farther(const void *a, const void *b, const void *context) {
    return -nearer(a, b, context);
}

/** Sorts as many as are wanted to the front. */
static void sort_matches(struct matches *m, enum order order, size_t wanted) {
    const size_t size = sizeof *m->at;
    if (order == ORDER_NEAREST && wanted == m->count)
        sort_stable(m->at, m->count, size, nearer, NULL);
    else if (order == ORDER_NEAREST)
        sort_range(m->at, m->count, size, nearer, NULL, 0, wanted - 1);
    else if (order == ORDER_FARTHEST && wanted == m->count)
        sort_stable(m->at, m->count, size, farther, NULL);
    else if (order == ORDER_FARTHEST)
        sort_range(m->at, m->count, size, farther, NULL, 0, wanted - 1);
}

#define AHEAD 8 // members whose load is started before they are written

static void reply_matches(struct cmd *c, const struct query *q, const struct match *at, size_t n) {
    size_t extras = (size_t)q->with_distance + q->with_hash + q->with_point;
    reply_array(c->reply, n);
    for (size_t i = 0; i < n && i < AHEAD; i++) prefetch_read(at[i].spot);
    for (size_t i = 0; i < n; i++) {
        struct listpack_item member;
        if (i + AHEAD < n) prefetch_read(at[i + AHEAD].spot);
        tzset_member(q->v, at[i].spot, &member);
        if (extras > 0) reply_array(c->reply, extras + 1);
        collection_reply_item(c->reply, &member);
        if (q->with_distance) geo__reply_distance(c->reply, at[i].distance / q->shape.unit);
        if (q->with_hash) reply_int(c->reply, (int64_t)at[i].score);
        if (q->with_point) geo__reply_point(c->reply, geohash_point(at[i].score));
    }
}

static void store_matches(struct cmd *c, const struct query *q, const struct match *at, size_t n) {
    struct value v = tzset_gather_begin();
    for (size_t i = 0; i < n; i++) {
        char scratch[NUM_I64_TEXT_MAX];
        struct listpack_item member;
        bool fresh;
        tzset_member(q->v, at[i].spot, &member);
        double *score = tzset_gather(v, tzset_text(&member, scratch), &fresh);
        *score = q->distances ? at[i].distance / q->shape.unit : at[i].score;
    }
    tzset_gather_end(&v, &c->settings->limits);
    collection_store(c, q->store, v,
                     q->form == FORM_SEARCH_STORE ? "geosearchstore" : "georadiusstore");
    if (n > 1) cmd_db(c, c->argv[q->store])->keyspace->stats.dirty += n - 1;
    reply_int(c->reply, (int64_t)n);
}

static void answer_without_set(struct cmd *c, const struct query *q) {
    if (q->store == 0) {
        reply_array(c->reply, 0);
        return;
    }
    collection_store(c, q->store, (struct value){0}, NULL);
    reply_int(c->reply, 0);
}

static void run_search(struct cmd *c, enum form form, bool may_store) {
    struct query q = {.form = form, .may_store = may_store};
    struct matches m = {0};
    int options;
    if (!collection_read(c, form == FORM_SEARCH_STORE ? 2 : 1, ENTRY_ZSET, &q.v)) return;
    if (!take_base(c, &q, &options) || !take_options(c, options, &q) || !check_options(c, &q))
        return;
    if (q.v.encoding == 0) {
        answer_without_set(c, &q);
        return;
    }
    // A number of members means the nearest ones, unless any will do.
    if (q.count > 0 && q.order == ORDER_NONE && !q.any) q.order = ORDER_NEAREST;
    collect(&q, q.any ? (size_t)q.count : SIZE_MAX, &m);
    size_t wanted = q.count > 0 && (size_t)q.count < m.count ? (size_t)q.count : m.count;
    if (wanted > 0) sort_matches(&m, q.order, wanted);
    if (q.store != 0)
        store_matches(c, &q, m.at, wanted);
    else
        reply_matches(c, &q, m.at, wanted);
    mem_free(m.at);
}

void geo_georadius(struct cmd *c) { run_search(c, FORM_RADIUS, true); }

void geo_georadius_ro(struct cmd *c) { run_search(c, FORM_RADIUS, false); }

void geo_georadiusbymember(struct cmd *c) { run_search(c, FORM_BY_MEMBER, true); }

void geo_georadiusbymember_ro(struct cmd *c) { run_search(c, FORM_BY_MEMBER, false); }

void geo_geosearch(struct cmd *c) { run_search(c, FORM_SEARCH, false); }

void geo_geosearchstore(struct cmd *c) { run_search(c, FORM_SEARCH_STORE, false); }
