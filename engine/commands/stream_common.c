// SPDX-License-Identifier: BSD-3-Clause
//
// Ids, entries, groups and effects as all stream commands read and write them, after t_stream.c of
// Redis 7.2. No state; runs on whichever thread runs the command. Invariant: an entry in a reply
// has the shape of XRANGE's, whatever the command. Called by stream*.c.
#include "engine/commands/stream_common.h"

#include "engine/base/alloc.h"

// ---- ids ---------------------------------------------------------------------------------------

void stream__bad_id(struct cmd *c) {
    reply_error(c->reply, "ERR Invalid stream ID specified as stream command argument");
}

bool stream__arg_id(struct cmd *c, int arg, uint64_t missing_seq, struct stream_id *id) {
    if (stream_id_parse(c->argv[arg], missing_seq, id, NULL)) return true;
    stream__bad_id(c);
    return false;
}

/** An end of a range; *exclusive: it began with "(". */
static bool arg_interval(struct cmd *c, int arg, uint64_t missing_seq, struct stream_id *id,
                         bool *exclusive) {
    struct slice text = c->argv[arg];
    *exclusive = text.n > 1 && text.p[0] == '(';
    if (*exclusive) text = slice_of(text.p + 1, text.n - 1);
    if (!*exclusive && text.n == 1 && (*text.p == '-' || *text.p == '+')) {
        *id = *text.p == '-' ? STREAM_ID_MIN : STREAM_ID_MAX;
        return true;
    }
    if (stream_id_parse(text, missing_seq, id, NULL)) return true;
    stream__bad_id(c);
    return false;
}

bool stream__arg_start(struct cmd *c, int arg, struct stream_id *id) {
    bool exclusive;
    if (!arg_interval(c, arg, 0, id, &exclusive)) return false;
    if (!exclusive || stream_id_increment(id)) return true;
    reply_error(c->reply, "ERR invalid start ID for the interval");
    return false;
}

bool stream__arg_end(struct cmd *c, int arg, struct stream_id *id) {
    bool exclusive;
    if (!arg_interval(c, arg, UINT64_MAX, id, &exclusive)) return false;
    if (!exclusive || stream_id_decrement(id)) return true;
    reply_error(c->reply, "ERR invalid end ID for the interval");
    return false;
}

bool stream__arg_ids(struct cmd *c, int first, struct stream_ids *ids) {
    ids->count = c->argc - first;
    ids->at = ids->few;
    if (ids->count > STREAM_FEW_IDS) ids->at = mem_alloc((size_t)ids->count * sizeof *ids->at);
    for (int i = 0; i < ids->count; i++) {
        if (stream__arg_id(c, first + i, 0, &ids->at[i])) continue;
        stream__ids_free(ids);
        return false;
    }
    return true;
}

void stream__ids_free(struct stream_ids *ids) {
    if (ids->at != ids->few) mem_free(ids->at);
}

// ---- replies -----------------------------------------------------------------------------------

void stream__reply_id(struct reply *r, struct stream_id id) {
    char text[STREAM_ID_TEXT_MAX];
    reply_bulk(r, text, stream_id_format(text, id));
}

static void reply_element(struct reply *r, const uint8_t *p) {
    char scratch[NUM_I64_TEXT_MAX];
    reply_bulk_slice(r, listpack_text(p, scratch));
}

void stream__reply_entry(struct reply *r, struct stream_entry *e) {
    reply_array(r, 2);
    stream__reply_id(r, e->id);
    reply_array(r, 2 * e->fields);
    while (e->left > 0) {
        const uint8_t *field, *value;
        stream_entry_pair(e, &field, &value);
        reply_element(r, field);
        reply_element(r, value);
    }
}

bool stream__reply_one(struct reply *r, const struct stream *s, struct stream_id id) {
    struct tstream_iterator it;
    tstream_iterate(&it, s, id, id, false);
    if (!tstream_next(&it)) return false;
    stream__reply_entry(r, &it.entry);
    return true;
}

void stream__reply_range(struct reply *r, const struct stream *s, struct stream_id low,
                         struct stream_id high, uint64_t count, bool backwards) {
    struct tstream_iterator it;
    uint64_t replied = 0;
    size_t mark = reply_array_begin(r);
    tstream_iterate(&it, s, low, high, backwards);
    while ((count == 0 || replied < count) && tstream_next(&it)) {
        stream__reply_entry(r, &it.entry);
        replied++;
    }
    reply_array_end(r, mark, replied);
}

// ---- groups ------------------------------------------------------------------------------------

void stream__no_group(struct cmd *c, int key_arg, int group_arg, const char *behind) {
    struct slice key = c->argv[key_arg], group = c->argv[group_arg];
    reply_error_format(c->reply, "NOGROUP No such key '%.*s' or consumer group '%.*s'%s",
                       (int)key.n, key.p, (int)group.n, group.p, behind);
}

void stream__missed(const struct change *ch) {
    if (ch->v.encoding == 0) db_event(ch->f.db, EVENT_KEY_MISS, "keymiss", ch->f.key.text);
}

bool stream__open_group(struct cmd *c, struct change *ch, struct stream_group **g) {
    if (!change_open(c, 1, ENTRY_STREAM, ch)) return false;
    *g = ch->v.encoding != 0 ? tstream_group(tstream_of(ch->v), c->argv[2]) : NULL;
    if (*g != NULL) return true;
    stream__missed(ch);
    stream__no_group(c, 1, 2, "");
    return false;
}

struct stream_consumer *stream__consumer(struct cmd *c, struct stream *s, struct stream_group *g,
                                         int key_arg, struct slice name) {
    struct stream_consumer *consumer = tstream_consumer(g, name);
    if (consumer == NULL) {
        consumer = tstream_consumer_add(s, g, name, c->now_ms);
        const struct slice words[] = {SLICE_LITERAL("XGROUP"), SLICE_LITERAL("CREATECONSUMER"),
                                      c->argv[key_arg], g->named.name, name};
        cmd_effect(c, sizeof words / sizeof words[0], words);
        struct slice key = c->argv[key_arg];
        db_event(cmd_db(c, key), EVENT_STREAM, "xgroup-createconsumer", key);
    }
    consumer->seen_ms = c->now_ms;
    return consumer;
}

// ---- effects -----------------------------------------------------------------------------------

void stream__effect_id(struct effect *e, struct stream_id id) {
    char text[STREAM_ID_TEXT_MAX];
    if (cmd_has_effects(e->c)) effect_copy(e, slice_of(text, stream_id_format(text, id)));
}

void stream__effect_claim(struct cmd *c, int key_arg, const struct stream_group *g,
                          struct stream_id id, const struct stream_pending *p) {
    struct effect e;
    if (!cmd_has_effects(c)) return;
    effect_begin(&e, c, "XCLAIM");
    effect_text(&e, c->argv[key_arg]);
    effect_text(&e, g->named.name);
    effect_text(&e, p->consumer->named.name);
    effect_word(&e, "0");
    stream__effect_id(&e, id);
    effect_word(&e, "TIME");
    effect_i64(&e, p->delivered_ms);
    effect_word(&e, "RETRYCOUNT");
    effect_i64(&e, p->deliveries);
    effect_word(&e, "FORCE");
    effect_word(&e, "JUSTID");
    effect_word(&e, "LASTID");
    stream__effect_id(&e, g->last);
    effect_end(&e);
}

void stream__effect_group(struct cmd *c, int key_arg, const struct stream_group *g) {
    struct effect e;
    if (!cmd_has_effects(c)) return;
    effect_begin(&e, c, "XGROUP");
    effect_word(&e, "SETID");
    effect_text(&e, c->argv[key_arg]);
    effect_text(&e, g->named.name);
    stream__effect_id(&e, g->last);
    effect_word(&e, "ENTRIESREAD");
    effect_i64(&e, g->entries_read);
    effect_end(&e);
}
