// SPDX-License-Identifier: BSD-3-Clause
//
// Geo commands about single members: GEOADD, GEOPOS, GEODIST, GEOHASH, and the arguments and
// replies that all geo commands share. A place is the score of a member of a sorted set, which
// knows nothing of it; commands of sorted sets work on it as well, so any score may turn up. Runs
// on the thread that was given the keys; owns no state. Invariant: all arguments are read before
// the key is looked up by who changes it. Called through the command table; geo_search.c has the
// searches.
#include <math.h>

#include "engine/base/alloc.h"
#include "engine/commands/geo_parts.h"

// ---- arguments and replies ---------------------------------------------------------------------

bool geo__arg_point(struct cmd *c, int arg, struct geohash_point *p) {
    if (!num_parse_double(c->argv[arg], &p->lon) || !num_parse_double(c->argv[arg + 1], &p->lat)) {
        reply_error(c->reply, error_not_float);
        return false;
    }
    if (geohash_is_valid(*p)) return true;
    reply_error_format(c->reply, "ERR invalid longitude,latitude pair %f,%f", p->lon, p->lat);
    return false;
}

bool geo__arg_unit(struct cmd *c, int arg, double *metres) {
    static const struct {
        const char *name;
        double metres;
    } units[] = {{"m", 1}, {"km", 1000}, {"ft", 0.3048}, {"mi", 1609.34}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (!slice_is(c->argv[arg], units[i].name)) continue;
        *metres = units[i].metres;
        return true;
    }
    reply_error(c->reply, "ERR unsupported unit provided. please use M, KM, FT, MI");
    return false;
}

#define DISTANCE_DIGITS 4

void geo__reply_distance(struct reply *r, double distance) {
    char text[NUM_I64_TEXT_MAX + DISTANCE_DIGITS], *p = text + sizeof text;
    // Antipodes may be so far apart that rounding makes their distance no number: it is printed as
    // the lowest integer then, as in Redis.
    double scaled = distance * 1e4;
    int64_t number = scaled < 0x1p63 ? (int64_t)llrint(scaled) : INT64_MIN;
    uint64_t units = number < 0 ? -(uint64_t)number : (uint64_t)number;
    for (int digits = 0; units > 0 || digits <= DISTANCE_DIGITS; units /= 10) {
        *--p = (char)('0' + units % 10);
        if (++digits == DISTANCE_DIGITS) *--p = '.';
    }
    if (number < 0) *--p = '-';
    reply_bulk(r, p, (size_t)(text + sizeof text - p));
}

static void reply_coordinate(struct reply *r, double degrees) {
    char text[NUM_LONG_DOUBLE_TEXT_MAX];
    reply_double_text(r, slice_of(text, num_format_human(text, degrees)));
}

void geo__reply_point(struct reply *r, struct geohash_point p) {
    reply_array(r, 2);
    reply_coordinate(r, p.lon);
    reply_coordinate(r, p.lat);
}

// ---- GEOADD ------------------------------------------------------------------------------------

#define FEW_PLACES 32

struct addition {
    unsigned flags; // TZSET_*
    bool changes;   // the answer counts what was changed, too
    int first;      // argument: the first longitude
    int places;
    double *scores;
    double few[FEW_PLACES];
};

static void take_options(const struct cmd *c, struct addition *a) {
    for (; a->first < c->argc; a->first++) {
        struct slice word = c->argv[a->first];
        if (slice_is(word, "nx"))
            a->flags |= TZSET_NX;
        else if (slice_is(word, "xx"))
            a->flags |= TZSET_XX;
        else if (slice_is(word, "ch"))
            a->changes = true;
        else
            break;
    }
}

static bool take_places(struct cmd *c, struct addition *a) {
    int words = c->argc - a->first;
    if (words == 0 || words % 3 != 0 || (a->flags & TZSET_NX && a->flags & TZSET_XX)) {
        reply_error(c->reply, error_syntax);
        return false;
    }
    a->places = words / 3;
    if (a->places > FEW_PLACES) a->scores = mem_alloc((size_t)a->places * sizeof(double));
    for (int i = 0; i < a->places; i++) {
        struct geohash_point p;
        if (!geo__arg_point(c, a->first + i * 3, &p)) return false;
        a->scores[i] = (double)geohash_score(p);
    }
    return true;
}

/** Sets the scores and writes the reply; returns how many members were added or changed. */
static uint64_t set_scores(struct cmd *c, const struct addition *a, struct value *v) {
    uint64_t added = 0, updated = 0;
    for (int i = 0; i < a->places; i++) {
        struct slice member = c->argv[a->first + i * 3 + 2];
        enum tzset_result result =
            tzset_update(v, member, &a->scores[i], a->flags, &c->settings->limits);
        added += result == TZSET_ADDED;
        updated += result == TZSET_UPDATED;
    }
    reply_int(c->reply, (int64_t)(a->changes ? added + updated : added));
    return added + updated;
}

void geo_geoadd(struct cmd *c) {
    struct addition a;
    struct change ch;
    a.flags = 0;
    a.changes = false;
    a.first = 2;
    a.scores = a.few;
    take_options(c, &a);
    if (take_places(c, &a) && change_open(c, 1, ENTRY_ZSET, &ch)) {
        const struct value_limits *limits = &c->settings->limits;
        if (ch.v.encoding != 0)
            tzset_expect(&ch.v, (size_t)a.places, limits);
        else
            ch.v = tzset_new_for((size_t)a.places, c->argv[a.first + 2].n, limits);
        change_close(&ch, set_scores(c, &a, &ch.v), "zadd");
    }
    if (a.scores != a.few) mem_free(a.scores);
}

// ---- asking ------------------------------------------------------------------------------------

static bool score_at(struct cmd *c, struct value v, int arg, double *score) {
    return v.encoding != 0 && tzset_score(v, c->argv[arg], score);
}

void geo_geopos(struct cmd *c) {
    struct value v;
    double score;
    if (!collection_read(c, 1, ENTRY_ZSET, &v)) return;
    reply_array(c->reply, (size_t)c->argc - 2);
    for (int i = 2; i < c->argc; i++) {
        if (score_at(c, v, i, &score))
            geo__reply_point(c->reply, geohash_point(score));
        else
            reply_null_array(c->reply);
    }
}

void geo_geohash(struct cmd *c) {
    struct value v;
    double score;
    if (!collection_read(c, 1, ENTRY_ZSET, &v)) return;
    reply_array(c->reply, (size_t)c->argc - 2);
    for (int i = 2; i < c->argc; i++) {
        char text[GEOHASH_TEXT];
        if (!score_at(c, v, i, &score)) {
            reply_null(c->reply);
            continue;
        }
        geohash_text(geohash_point(score), text);
        reply_bulk(c->reply, text, sizeof text);
    }
}

void geo_geodist(struct cmd *c) {
    struct value v;
    double metres = 1, a, b;
    if (c->argc > 5) {
        reply_error(c->reply, error_syntax);
        return;
    }
    if (c->argc == 5 && !geo__arg_unit(c, 4, &metres)) return;
    if (!collection_read(c, 1, ENTRY_ZSET, &v)) return;
    if (!score_at(c, v, 2, &a) || !score_at(c, v, 3, &b))
        reply_null(c->reply);
    else
        geo__reply_distance(c->reply,
                            geohash_distance(geohash_point(a), geohash_point(b)) / metres);
}
