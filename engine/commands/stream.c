// SPDX-License-Identifier: BSD-3-Clause
//
// XADD, XLEN, XDEL, XTRIM and XSETID: streams without groups, after t_stream.c of Redis 7.2, texts
// and order of checks included. No state; runs on whichever thread runs the command. Invariant: an
// id that is made here is above all before, whatever the clock does; what is replayed has the id
// and an exact trim. Called through the command table.
#include "engine/commands/stream.h"

#include "engine/commands/stream_common.h"

#define NODES_TRIMMED 100 // how many nodes "~" trims at once unless LIMIT says otherwise

/** The options of XADD and XTRIM. */
struct add_args {
    struct stream_id id;
    bool any_id, any_seq; // "*", "ms-*"
    bool no_mkstream;
    int trim_arg; // the number or id that trims; 0: nothing is trimmed
    struct stream_trim trim;
    int64_t limit; // below 0: was not given
};

/** MAXLEN or MINID at *arg; it is moved to the last word that belongs to it. */
static bool parse_trim(struct cmd *c, int *arg, struct add_args *a) {
    if (a->trim_arg != 0) {
        reply_error(c->reply, "ERR syntax error, MAXLEN and MINID options at the same time are not "
                              "compatible");
        return false;
    }
    a->trim.by_id = slice_is(c->argv[*arg], "minid");
    struct slice next = c->argv[++*arg];
    if (*arg + 1 < c->argc && next.n == 1 && (*next.p == '~' || *next.p == '=')) {
        a->trim.whole_nodes = *next.p == '~';
        ++*arg;
    }
    a->trim_arg = *arg;
    if (a->trim.by_id) return stream__arg_id(c, *arg, 0, &a->trim.id);
    int64_t length;
    if (!cmd_arg_i64(c, *arg, &length)) return false;
    if (length < 0) {
        reply_error(c->reply, "ERR The MAXLEN argument must be >= 0.");
        return false;
    }
    a->trim.length = (uint64_t)length;
    return true;
}

static bool parse_limit(struct cmd *c, int arg, struct add_args *a) {
    if (!cmd_arg_i64(c, arg, &a->limit)) return false;
    if (a->limit >= 0) return true;
    reply_error(c->reply, "ERR The LIMIT argument must be >= 0.");
    return false;
}

/** What is left to check when all options have been read: LIMIT. */
static bool finish_options(struct cmd *c, struct add_args *a, bool adds) {
    const char *error = NULL;
    if (a->limit > 0 && a->trim_arg == 0)
        error = "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy";
    else if (!adds && a->trim_arg == 0)
        error = "ERR syntax error, XTRIM must be called with a trimming strategy";
    else if (a->limit >= 0 && !a->trim.whole_nodes)
        error = "ERR syntax error, LIMIT cannot be used without the special ~ option";
    if (error != NULL) {
        reply_error(c->reply, error);
        return false;
    }
    if (!a->trim.whole_nodes) return true;
    int64_t limit = a->limit;
    if (limit < 0) {
        int64_t entries = c->settings->limits.stream_node_max_entries;
        limit = entries > 1000000 / NODES_TRIMMED ? 1000000 : NODES_TRIMMED * entries;
        if (limit <= 0) limit = 10000;
    }
    a->trim.limit = (uint64_t)limit;
    return true;
}

/** An id with which an entry is added. */
static bool parse_added_id(struct cmd *c, int arg, struct add_args *a) {
    if (stream_id_parse(c->argv[arg], 0, &a->id, &a->any_seq)) return true;
    stream__bad_id(c);
    return false;
}

/** All options, from argument 2 on; returns the argument behind, XADD's id, or -1. */
static int parse_options(struct cmd *c, struct add_args *a, bool adds) {
    *a = (struct add_args){.limit = -1};
    int i = 2;
    for (; i < c->argc; i++) {
        struct slice word = c->argv[i];
        bool more = i + 1 < c->argc;
        if (adds && word.n == 1 && *word.p == '*') {
            a->any_id = true;
            break;
        }
        if (more && (slice_is(word, "maxlen") || slice_is(word, "minid"))) {
            if (!parse_trim(c, &i, a)) return -1;
        } else if (more && slice_is(word, "limit")) {
            if (!parse_limit(c, ++i, a)) return -1;
        } else if (adds && slice_is(word, "nomkstream")) {
            a->no_mkstream = true;
        } else if (adds) {
            if (!parse_added_id(c, i, a)) return -1;
            break;
        } else {
            reply_error(c->reply, error_syntax);
            return -1;
        }
    }
    return finish_options(c, a, adds) ? i : -1;
}

/** Completes the id of an entry that is going to be added; false: the error has been written. */
static bool make_id(struct cmd *c, const struct stream *s, struct add_args *a) {
    struct stream_id last = s != NULL ? s->last : STREAM_ID_MIN;
    if (stream_id_equal(last, STREAM_ID_MAX)) {
        reply_error(c->reply, "ERR The stream has exhausted the last possible ID, unable to add "
                              "more items");
        return false;
    }
    if (a->any_id) {
        a->id = (struct stream_id){c->now_ms > 0 ? (uint64_t)c->now_ms : 0, 0};
        if (a->id.ms > last.ms) return true;
        a->id = last;
        return stream_id_increment(&a->id);
    }
    if (a->any_seq && a->id.ms == last.ms) a->id.seq = last.seq + 1; // 0 behind the highest
    if (stream_id_less(last, a->id)) return true;
    reply_error(c->reply, "ERR The ID specified in XADD is equal or smaller than the target stream "
                          "top item");
    return false;
}

static bool fits(struct cmd *c, int first) {
    if (slices_bytes(c->argv + first, c->argc - first) <= LISTPACK_MAX_BYTES) return true;
    reply_error(c->reply, "ERR Elements are too large to be stored");
    return false;
}

/** How the trim is replayed: to exactly what is left now. */
static void effect_trim(struct cmd *c, struct effect *e, const struct add_args *a,
                        const struct stream *s) {
    effect_word(e, a->trim.by_id ? "MINID" : "MAXLEN");
    effect_word(e, "=");
    if (!a->trim.whole_nodes)
        effect_text(e, c->argv[a->trim_arg]);
    else if (a->trim.by_id)
        stream__effect_id(e, tstream_first_kept(s));
    else
        effect_i64(e, (int64_t)s->length);
}

static void effect_add(struct cmd *c, const struct add_args *a, const struct stream *s,
                       int id_arg) {
    struct effect e;
    if (!cmd_has_effects(c) || !(a->any_id || a->any_seq || a->trim.whole_nodes)) return;
    effect_begin(&e, c, "XADD");
    effect_text(&e, c->argv[1]);
    if (a->trim_arg != 0) effect_trim(c, &e, a, s);
    stream__effect_id(&e, a->id);
    for (int i = id_arg + 1; i < c->argc; i++) effect_text(&e, c->argv[i]);
    effect_end(&e);
}

void stream_xadd(struct cmd *c) {
    struct add_args a;
    struct change ch;
    int id_arg = parse_options(c, &a, true);
    if (id_arg < 0) return;
    int texts = c->argc - id_arg - 1;
    if (texts < 2 || texts % 2 != 0) {
        reply_error(c->reply, "ERR wrong number of arguments for 'xadd' command");
        return;
    }
    if (!a.any_id && !a.any_seq && stream_id_is_zero(a.id)) {
        reply_error(c->reply, "ERR The ID specified in XADD must be greater than 0-0");
        return;
    }
    if (!change_open(c, 1, ENTRY_STREAM, &ch)) return;
    if (ch.v.encoding == 0 && a.no_mkstream) {
        reply_null(c->reply);
        return;
    }
    if (!make_id(c, ch.v.encoding != 0 ? tstream_of(ch.v) : NULL, &a)) return;
    if (!fits(c, id_arg + 1)) return;
    if (ch.v.encoding == 0) ch.v = tstream_new();
    struct stream *s = tstream_of(ch.v);
    tstream_add(s, a.id, c->argv + id_arg + 1, (size_t)texts / 2, &c->settings->limits);
    stream__reply_id(c->reply, a.id);
    uint64_t trimmed = a.trim_arg != 0 ? tstream_trim(s, &a.trim) : 0;
    effect_add(c, &a, s, id_arg);
    change_close(&ch, 1, "xadd");
    if (trimmed > 0) change_event(&ch, "xtrim");
}

void stream_xlen(struct cmd *c) {
    struct value v;
    if (!collection_read(c, 1, ENTRY_STREAM, &v)) return;
    reply_int(c->reply, v.encoding != 0 ? (int64_t)tstream_of(v)->length : 0);
}

void stream_xdel(struct cmd *c) {
    struct change ch;
    struct stream_ids ids;
    if (!change_open(c, 1, ENTRY_STREAM, &ch)) return;
    if (ch.v.encoding == 0) {
        reply_int(c->reply, 0);
        return;
    }
    if (!stream__arg_ids(c, 2, &ids)) return;
    uint64_t deleted = 0;
    for (int i = 0; i < ids.count; i++) deleted += tstream_delete(tstream_of(ch.v), ids.at[i]);
    stream__ids_free(&ids);
    change_close(&ch, deleted, "xdel");
    reply_int(c->reply, (int64_t)deleted);
}

void stream_xtrim(struct cmd *c) {
    struct add_args a;
    struct change ch;
    if (parse_options(c, &a, false) < 0 || !change_open(c, 1, ENTRY_STREAM, &ch)) return;
    if (ch.v.encoding == 0) {
        reply_int(c->reply, 0);
        return;
    }
    struct stream *s = tstream_of(ch.v);
    uint64_t deleted = tstream_trim(s, &a.trim);
    if (deleted > 0 && a.trim.whole_nodes && cmd_has_effects(c)) {
        struct effect e;
        effect_begin(&e, c, "XTRIM");
        effect_text(&e, c->argv[1]);
        effect_trim(c, &e, &a, s);
        effect_end(&e);
    }
    change_close(&ch, deleted, "xtrim");
    reply_int(c->reply, (int64_t)deleted);
}

/** XSETID's options; false: the error has been written. */
static bool parse_setid(struct cmd *c, struct stream_id id, int64_t *entries_added,
                        struct stream_id *max_deleted) {
    for (int i = 3; i < c->argc; i += 2) {
        bool more = i + 1 < c->argc;
        if (more && slice_is(c->argv[i], "entriesadded")) {
            if (!cmd_arg_i64(c, i + 1, entries_added)) return false;
            if (*entries_added >= 0) continue;
            reply_error(c->reply, "ERR entries_added must be positive");
        } else if (more && slice_is(c->argv[i], "maxdeletedid")) {
            if (!stream__arg_id(c, i + 1, 0, max_deleted)) return false;
            if (!stream_id_less(id, *max_deleted)) continue;
            reply_error(c->reply, "ERR The ID specified in XSETID is smaller than the provided "
                                  "max_deleted_entry_id");
        } else {
            reply_error(c->reply, error_syntax);
        }
        return false;
    }
    return true;
}

void stream_xsetid(struct cmd *c) {
    struct stream_id id, max_deleted = STREAM_ID_MIN;
    int64_t entries_added = -1;
    struct change ch;
    if (!stream__arg_id(c, 2, 0, &id)) return;
    if (!parse_setid(c, id, &entries_added, &max_deleted)) return;
    if (!change_open(c, 1, ENTRY_STREAM, &ch)) return;
    const char *error = NULL;
    struct stream *s = ch.v.encoding != 0 ? tstream_of(ch.v) : NULL;
    if (s == NULL)
        error = error_no_such_key;
    else if (stream_id_less(id, s->max_deleted))
        error = "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id";
    else if (s->length > 0 && stream_id_less(id, tstream_last_entry(s)))
        error = "ERR The ID specified in XSETID is smaller than the target stream top item";
    else if (s->length > 0 && entries_added != -1 && s->length > (uint64_t)entries_added)
        error = "ERR The entries_added specified in XSETID is smaller than the target stream "
                "length";
    if (error != NULL) {
        reply_error(c->reply, error);
        return;
    }
    tstream_set_last(s, id, entries_added, max_deleted);
    change_close_quietly(&ch, 1);
    change_event(&ch, "xsetid");
    reply_ok(c->reply);
}
