// SPDX-License-Identifier: BSD-3-Clause
//
// XRANGE, XREVRANGE, XREAD and XREADGROUP, after t_stream.c of Redis 7.2 (XREAD's "+": 7.4). No
// state; runs on whichever thread runs the command. Invariants: a run that is the answer to one
// ready key looks at that key only; "$" is an id from the moment on in which a client begins to
// wait; what XREADGROUP does is replayed as claims and as where the group is. Called through the
// command table.
#include "engine/commands/stream.h"

#include "engine/base/alloc.h"
#include "engine/commands/stream_common.h"

static void range(struct cmd *c, bool backwards) {
    struct stream_id low, high;
    struct value v;
    int64_t count = -1;
    if (!stream__arg_start(c, backwards ? 3 : 2, &low)) return;
    if (!stream__arg_end(c, backwards ? 2 : 3, &high)) return;
    for (int i = 4; i < c->argc; i += 2) {
        if (i + 1 == c->argc || !slice_is(c->argv[i], "count")) {
            reply_error(c->reply, error_syntax);
            return;
        }
        if (!cmd_arg_i64(c, i + 1, &count)) return;
        if (count < 0) count = 0;
    }
    if (!collection_read(c, 1, ENTRY_STREAM, &v)) return;
    if (v.encoding == 0)
        reply_array(c->reply, 0);
    else if (count == 0)
        reply_null_array(c->reply);
    else
        stream__reply_range(c->reply, tstream_of(v), low, high, count < 0 ? 0 : (uint64_t)count,
                            backwards);
}

void stream_xrange(struct cmd *c) { range(c, false); }

void stream_xrevrange(struct cmd *c) { range(c, true); }

// ---- XREAD and XREADGROUP: arguments -----------------------------------------------------------

struct read_args {
    bool of_group;
    int64_t block_ms; // below 0: does not wait
    uint64_t count;   // 0: all
    bool no_ack;
    int group_arg, consumer_arg;
    int streams_arg, streams; // the first key, and how many; as many ids follow
    size_t served;            // streams in the reply so far ...
    size_t mark;              // ... and where it begins
};

static bool parse_block(struct cmd *c, int arg, int64_t *ms) {
    if (!num_parse_i64(c->argv[arg], ms)) {
        reply_error(c->reply, "ERR timeout is not an integer or out of range");
    } else if (*ms < 0) {
        reply_error(c->reply, "ERR timeout is negative");
    } else if (*ms > INT64_MAX - c->now_ms) {
        reply_error(c->reply, "ERR timeout is out of range");
    } else {
        return true;
    }
    return false;
}

/** The keys and ids behind STREAMS. */
static bool parse_streams(struct cmd *c, int first, struct read_args *a) {
    a->streams_arg = first;
    a->streams = (c->argc - first) / 2;
    if ((c->argc - first) % 2 == 0) return true;
    reply_error_format(c->reply,
                       "ERR Unbalanced '%s' list of streams: for each stream key an ID or '%c' "
                       "must be specified.",
                       c->spec->full_name, a->of_group ? '>' : '$');
    return false;
}

/** GROUP or NOACK, which are XREADGROUP's. */
static bool only_of_group(struct cmd *c, const struct read_args *a, const char *option) {
    if (a->of_group) return true;
    reply_error_format(c->reply,
                       "ERR The %s option is only supported by XREADGROUP. You called XREAD "
                       "instead.",
                       option);
    return false;
}

/** One option at argument *i, which is moved to its last word. */
static bool parse_option(struct cmd *c, int *i, struct read_args *a) {
    struct slice word = c->argv[*i];
    int more = c->argc - *i - 1;
    if (more > 0 && slice_is(word, "block")) return parse_block(c, ++*i, &a->block_ms);
    if (more > 0 && slice_is(word, "count")) {
        int64_t count;
        if (!cmd_arg_i64(c, ++*i, &count)) return false;
        a->count = count > 0 ? (uint64_t)count : 0;
        return true;
    }
    if (more > 1 && slice_is(word, "group")) {
        if (!only_of_group(c, a, "GROUP")) return false;
        a->group_arg = *i + 1;
        a->consumer_arg = *i + 2;
        *i += 2;
        return true;
    }
    if (slice_is(word, "noack")) {
        a->no_ack = true;
        return only_of_group(c, a, "NOACK");
    }
    reply_error(c->reply, error_syntax);
    return false;
}

static bool parse_read(struct cmd *c, struct read_args *a) {
    for (int i = 1; i < c->argc && a->streams_arg == 0; i++) {
        if (i + 1 < c->argc && slice_is(c->argv[i], "streams")) {
            if (!parse_streams(c, i + 1, a)) return false;
        } else if (!parse_option(c, &i, a)) {
            return false;
        }
    }
    if (a->streams_arg == 0) {
        reply_error(c->reply, error_syntax);
        return false;
    }
    if (!a->of_group || a->group_arg != 0) return true;
    reply_error(c->reply, "ERR Missing GROUP option for XREADGROUP");
    return false;
}

static bool arg_is(const struct cmd *c, int arg, char sign) {
    return c->argv[arg].n == 1 && *c->argv[arg].p == sign;
}

// ---- replies -----------------------------------------------------------------------------------

/** Begins what is said about one stream: its key, before its entries. */
static void begin_stream(struct cmd *c, struct read_args *a, int key_arg) {
    if (a->served++ == 0) a->mark = reply_array_begin(c->reply);
    if (c->reply->proto == 2) reply_array(c->reply, 2);
    reply_bulk_slice(c->reply, c->argv[key_arg]);
}

static void end_streams(struct cmd *c, const struct read_args *a) {
    if (c->reply->proto == 2)
        reply_array_end(c->reply, a->mark, a->served);
    else
        reply_map_end(c->reply, a->mark, a->served);
}

/** Nothing could be served: waits, if asked to and allowed to, or answers with nothing. */
static bool wait_or_nothing(struct cmd *c, const struct read_args *a) {
    if (a->block_ms >= 0 &&
        cmd_block(c, ENTRY_STREAM, a->block_ms, a->streams_arg, a->streams_arg + a->streams - 1, 1))
        return true;
    reply_null_array(c->reply);
    return false;
}

// ---- XREAD -------------------------------------------------------------------------------------

/** The id behind which the stream (NULL: there is none) is read. */
static bool read_from(struct cmd *c, int id_arg, const struct stream *s, struct stream_id *id) {
    *id = STREAM_ID_MIN;
    if (arg_is(c, id_arg, '$')) {
        if (s != NULL) *id = s->last;
        return true;
    }
    if (arg_is(c, id_arg, '+')) { // from the last entry on, which is one
        if (s == NULL) return true;
        *id = s->length > 0 ? tstream_last_entry(s) : s->last;
        if (s->length > 0) stream_id_decrement(id);
        return true;
    }
    if (!arg_is(c, id_arg, '>')) return stream__arg_id(c, id_arg, 0, id);
    reply_error(c->reply, "ERR The > ID can be specified only when calling XREADGROUP using the "
                          "GROUP <group> <consumer> option.");
    return false;
}

/** One of XREAD's streams. */
struct source {
    const struct stream *s; // NULL: there is none, or it may not be looked at
    struct stream_id from;
};

static bool find_sources(struct cmd *c, const struct read_args *a, struct source *sources) {
    for (int i = 0; i < a->streams; i++) {
        struct value v;
        sources[i].s = NULL;
        if (!cmd_serves(c, a->streams_arg + i)) continue;
        if (!collection_read(c, a->streams_arg + i, ENTRY_STREAM, &v)) return false;
        if (v.encoding != 0) sources[i].s = tstream_of(v);
        if (!read_from(c, a->streams_arg + a->streams + i, sources[i].s, &sources[i].from))
            return false;
    }
    return true;
}

static void read_sources(struct cmd *c, struct read_args *a, const struct source *sources) {
    for (int i = 0; i < a->streams; i++) {
        const struct stream *s = sources[i].s;
        struct stream_id from = sources[i].from;
        if (s == NULL || s->length == 0 || !stream_id_less(from, tstream_last_entry(s))) continue;
        stream_id_increment(&from);
        begin_stream(c, a, a->streams_arg + i);
        stream__reply_range(c->reply, s, from, STREAM_ID_MAX, a->count, false);
    }
    if (a->served > 0) {
        end_streams(c, a);
        return;
    }
    if (!wait_or_nothing(c, a)) return;
    for (int i = 0; i < a->streams; i++) {
        char text[STREAM_ID_TEXT_MAX];
        int arg = a->streams_arg + a->streams + i;
        if (arg_is(c, arg, '$') && cmd_serves(c, a->streams_arg + i))
            cmd_block_replace(c, arg, slice_of(text, stream_id_format(text, sources[i].from)));
    }
}

#define FEW_STREAMS 8

void stream_xread(struct cmd *c) {
    struct read_args a = {.block_ms = -1};
    if (!parse_read(c, &a)) return;
    struct source few[FEW_STREAMS], *sources = few;
    if (a.streams > FEW_STREAMS) sources = mem_alloc((size_t)a.streams * sizeof *sources);
    if (find_sources(c, &a, sources)) read_sources(c, &a, sources);
    if (sources != few) mem_free(sources);
}

// ---- XREADGROUP --------------------------------------------------------------------------------

/** Checks the id of a stream of XREADGROUP; ">" is the highest id. */
static bool group_read_from(struct cmd *c, int id_arg, struct stream_id *id) {
    for (const char *sign = "$+"; *sign != '\0'; sign++) {
        if (!arg_is(c, id_arg, *sign)) continue;
        reply_error_format(c->reply,
                           "ERR The %c ID is meaningless in the context of XREADGROUP: you want "
                           "to read the history of this consumer by specifying a proper ID, or "
                           "use the > ID to get new messages. The %c ID would just return an "
                           "empty result set.",
                           *sign, *sign);
        return false;
    }
    *id = STREAM_ID_MAX;
    return arg_is(c, id_arg, '>') || stream__arg_id(c, id_arg, 0, id);
}

/** Whether all streams that may be looked at have the group, and all ids make sense. */
static bool check_groups(struct cmd *c, const struct read_args *a) {
    for (int i = 0; i < a->streams; i++) {
        struct value v;
        struct stream_id id;
        int key_arg = a->streams_arg + i;
        if (!cmd_serves(c, key_arg)) continue;
        if (!collection_read(c, key_arg, ENTRY_STREAM, &v)) return false;
        if (v.encoding == 0 || tstream_group(tstream_of(v), c->argv[a->group_arg]) == NULL) {
            stream__no_group(c, key_arg, a->group_arg, " in XREADGROUP with GROUP option");
            return false;
        }
        if (!group_read_from(c, key_arg + a->streams, &id)) return false;
    }
    return true;
}

/** A consumer that reads from one stream. */
struct delivery {
    struct cmd *c;
    const struct read_args *a;
    int key_arg;
    struct stream *s;
    struct stream_group *g;
    struct stream_consumer *consumer;
};

/** An entry is pending with the consumer, delivered now for the first time. */
static void make_pending(const struct delivery *d, struct stream_id id) {
    struct stream_pending *p = tstream_pending_give(d->s, d->g, id, d->consumer);
    p->delivered_ms = d->c->now_ms;
    p->deliveries = 1;
    d->consumer->active_ms = d->c->now_ms;
    stream__effect_claim(d->c, d->key_arg, d->g, id, p);
}

/** What the group has not been delivered yet. */
static void deliver(const struct delivery *d) {
    struct reply *r = d->c->reply;
    struct stream_id from = d->g->last;
    struct tstream_iterator it;
    uint64_t delivered = 0;
    size_t mark = reply_array_begin(r);
    stream_id_increment(&from);
    tstream_iterate(&it, d->s, from, STREAM_ID_MAX, false);
    while ((d->a->count == 0 || delivered < d->a->count) && tstream_next(&it)) {
        tstream_group_advance(d->s, d->g, it.entry.id);
        stream__reply_entry(r, &it.entry);
        if (!d->a->no_ack) make_pending(d, it.entry.id);
        delivered++;
    }
    reply_array_end(r, mark, delivered);
    if (delivered > 0) stream__effect_group(d->c, d->key_arg, d->g);
}

/** What is pending with the consumer from `from` on: delivered once more. */
static void deliver_history(const struct delivery *d, struct stream_id from) {
    struct reply *r = d->c->reply;
    uint64_t replied = 0;
    size_t mark = reply_array_begin(r);
    struct idmap_place at = idmap_ceiling(&d->consumer->pending, from);
    for (; at.leaf != NULL && (d->a->count == 0 || replied < d->a->count); idmap_next(&at)) {
        struct stream_id id = idmap_at(at)->id;
        replied++;
        if (stream__reply_one(r, d->s, id)) {
            struct stream_pending *p = tstream_pending_at(at);
            p->delivered_ms = d->c->now_ms;
            tstream_pending_again(p);
            stream__effect_claim(d->c, d->key_arg, d->g, id, p);
        } else { // it has been deleted from the stream
            reply_array(r, 2);
            stream__reply_id(r, id);
            reply_null_array(r);
        }
    }
    reply_array_end(r, mark, replied);
}

static bool has_news(const struct stream *s, const struct stream_group *g) {
    return s->length > 0 && stream_id_less(g->last, tstream_last_entry(s));
}

static void read_group(struct cmd *c, struct read_args *a, int key_arg) {
    struct change ch;
    struct stream_id from;
    if (!change_open(c, key_arg, ENTRY_STREAM, &ch) || ch.v.encoding == 0) return;
    struct delivery d = {.c = c, .a = a, .key_arg = key_arg, .s = tstream_of(ch.v)};
    d.g = tstream_group(d.s, c->argv[a->group_arg]);
    if (d.g == NULL || !group_read_from(c, key_arg + a->streams, &from)) return;
    uint64_t changes = tstream_consumer(d.g, c->argv[a->consumer_arg]) == NULL;
    d.consumer = stream__consumer(c, d.s, d.g, key_arg, c->argv[a->consumer_arg]);
    bool history = !stream_id_equal(from, STREAM_ID_MAX);
    if (history || has_news(d.s, d.g)) {
        begin_stream(c, a, key_arg);
        changes++;
        stream_id_increment(&from);
        if (history)
            deliver_history(&d, from);
        else
            deliver(&d);
    }
    change_close_quietly(&ch, changes);
}

void stream_xreadgroup(struct cmd *c) {
    struct read_args a = {.block_ms = -1, .of_group = true};
    if (!parse_read(c, &a) || !check_groups(c, &a)) return;
    cmd_effect_none(c);
    for (int i = 0; i < a.streams; i++)
        if (cmd_serves(c, a.streams_arg + i)) read_group(c, &a, a.streams_arg + i);
    if (a.served > 0)
        end_streams(c, &a);
    else if (wait_or_nothing(c, &a))
        c->block->on_missing = true;
}
