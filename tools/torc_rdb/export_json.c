// SPDX-License-Identifier: BSD-3-Clause
//
// Keys as JSON lines: one object for each, with db, key, type, expire_at_ms (null: none), what is
// known of its use (idle_s, freq), and value. A string's value is a string, a list's or a set's
// an array, of a hash an array of [field, value] or [field, value, expire_at_ms], of a sorted set
// one of [member, score], of a stream an object. Strings that are no valid UTF-8 are objects with
// one member, base64. Scores that are infinite are the strings "inf" and "-inf". Main thread.
// Invariant: a line is a whole object; a long one leaves in pieces.
#include <math.h>

#include "engine/types/t_hash.h"
#include "engine/types/t_list.h"
#include "engine/types/t_set.h"
#include "engine/types/t_stream_group.h"
#include "engine/types/t_zset.h"
#include "tools/torc_rdb/export.h"
#include "tools/torc_rdb/text.h"

#define ALL_FIELDS INT64_MIN // the time at which no field has expired yet

static void put(struct output *o, const char *text) { buf_append_text(&o->buf, text); }

static void put_i64(struct output *o, int64_t number) {
    o->buf.len += num_format_i64(buf_reserve(&o->buf, NUM_I64_TEXT_MAX), number);
}
static void put_u64(struct output *o, uint64_t number) {
    o->buf.len += num_format_u64(buf_reserve(&o->buf, NUM_I64_TEXT_MAX), number);
}

static void put_item(struct output *o, const struct listpack_item *item) {
    char scratch[NUM_I64_TEXT_MAX];
    text_json(&o->buf, tset_text(item, scratch));
}

static void put_score(struct output *o, double score) {
    bool infinite = isinf(score);
    if (infinite) put(o, "\"");
    o->buf.len += num_format_double(buf_reserve(&o->buf, NUM_DOUBLE_TEXT_MAX), score);
    if (infinite) put(o, "\"");
}

static void put_id(struct output *o, struct stream_id id) {
    char text[STREAM_ID_TEXT_MAX];
    put(o, "\"");
    buf_append(&o->buf, text, stream_id_format(text, id));
    put(o, "\"");
}

/** The separator before each element but the first; gives way to what has been written. */
static bool next(struct output *o, bool *first) {
    if (!*first) put(o, ",");
    *first = false;
    return output_room(o);
}

static bool put_list(struct output *o, struct value v) {
    struct tlist_iterator it;
    struct listpack_item item;
    bool first = true;
    tlist_iterate(&it, v, 0, false);
    while (tlist_next(&it, &item)) {
        if (!next(o, &first)) {
            tlist_end(&it);
            return false;
        }
        put_item(o, &item);
    }
    return true;
}

static bool put_set(struct output *o, struct value v) {
    struct tset_iterator it;
    struct listpack_item item;
    bool first = true;
    tset_iterate(&it, v);
    while (tset_next(&it, &item)) {
        if (!next(o, &first)) return false;
        put_item(o, &item);
    }
    return true;
}

static bool put_hash(struct output *o, struct value v) {
    struct thash_iterator it;
    struct listpack_item field, value;
    bool first = true, may_expire = value_part_expire_ms(v) >= 0;
    thash_iterate(&it, v, ALL_FIELDS);
    while (thash_next(&it, &field, &value)) {
        if (!next(o, &first)) return false;
        put(o, "[");
        put_item(o, &field);
        put(o, ",");
        put_item(o, &value);
        if (may_expire) {
            char scratch[NUM_I64_TEXT_MAX];
            int64_t expire_ms = thash_expire_ms(v, tset_text(&field, scratch), ALL_FIELDS);
            if (expire_ms >= 0) {
                put(o, ",");
                put_i64(o, expire_ms);
            }
        }
        put(o, "]");
    }
    return true;
}

static bool put_zset(struct output *o, struct value v) {
    struct tzset_iterator it;
    struct listpack_item member;
    double score;
    bool first = true;
    tzset_iterate_rank(&it, v, 0, false);
    while (tzset_next(&it, &member, &score)) {
        if (!next(o, &first)) return false;
        put(o, "[");
        put_item(o, &member);
        put(o, ",");
        put_score(o, score);
        put(o, "]");
    }
    return true;
}

static bool put_stream_entries(struct output *o, const struct stream *s) {
    struct tstream_iterator it;
    bool first = true;
    tstream_iterate(&it, s, STREAM_ID_MIN, STREAM_ID_MAX, false);
    while (tstream_next(&it)) {
        if (!next(o, &first)) return false;
        put(o, "[");
        put_id(o, it.entry.id);
        put(o, ",[");
        struct stream_entry e = it.entry;
        for (uint64_t i = 0; e.left > 0; i++) {
            const uint8_t *field, *value;
            struct listpack_item item;
            stream_entry_pair(&e, &field, &value);
            put(o, i == 0 ? "[" : ",[");
            listpack_get(field, &item);
            put_item(o, &item);
            put(o, ",");
            listpack_get(value, &item);
            put_item(o, &item);
            put(o, "]");
        }
        put(o, "]]");
    }
    return true;
}

static bool put_pending(struct output *o, const struct stream_group *g) {
    bool first = true;
    for (struct idmap_place p = idmap_first(&g->pending); p.leaf != NULL; idmap_next(&p)) {
        const struct stream_pending *pending = tstream_pending_at(p);
        if (!next(o, &first)) return false;
        put(o, "[");
        put_id(o, idmap_at(p)->id);
        put(o, ",");
        text_json(&o->buf, pending->consumer->named.name);
        put(o, ",");
        put_i64(o, pending->delivered_ms);
        put(o, ",");
        put_i64(o, pending->deliveries);
        put(o, "]");
    }
    return true;
}

static bool put_group(struct output *o, const struct stream_group *g) {
    put(o, "{\"name\":");
    text_json(&o->buf, g->named.name);
    put(o, ",\"last_delivered_id\":");
    put_id(o, g->last);
    put(o, ",\"entries_read\":");
    if (g->entries_read < 0)
        put(o, "null");
    else
        put_i64(o, g->entries_read);
    put(o, ",\"pending\":[");
    if (!put_pending(o, g)) return false;
    put(o, "],\"consumers\":[");
    bool first = true;
    for (uint32_t i = 0; i < g->consumers.count; i++) {
        const struct stream_consumer *c = tstream_consumer_at(g, i);
        if (!next(o, &first)) return false;
        put(o, "{\"name\":");
        text_json(&o->buf, c->named.name);
        put(o, ",\"seen_ms\":");
        put_i64(o, c->seen_ms);
        put(o, ",\"active_ms\":");
        put_i64(o, c->active_ms);
        put(o, "}");
    }
    put(o, "]}");
    return true;
}

static bool put_stream(struct output *o, const struct stream *s) {
    put(o, "{\"length\":");
    put_u64(o, s->length);
    put(o, ",\"last_id\":");
    put_id(o, s->last);
    put(o, ",\"max_deleted_id\":");
    put_id(o, s->max_deleted);
    put(o, ",\"entries_added\":");
    put_u64(o, s->entries_added);
    put(o, ",\"entries\":[");
    if (!put_stream_entries(o, s)) return false;
    put(o, "],\"groups\":[");
    bool first = true;
    for (uint32_t i = 0; i < s->groups.count; i++) {
        if (!next(o, &first) || !put_group(o, tstream_group_at(s, i))) return false;
    }
    put(o, "]}");
    return true;
}

static bool put_value(struct output *o, const struct entry *e) {
    char scratch[NUM_I64_TEXT_MAX];
    bool ok = true;
    enum entry_type type = entry_type(e);
    if (type == ENTRY_STRING) {
        text_json(&o->buf, entry_string(e, scratch));
        return true;
    }
    if (type == ENTRY_STREAM) return put_stream(o, tstream_of(entry_value(e)));
    put(o, "[");
    switch (type) {
    case ENTRY_LIST: ok = put_list(o, entry_value(e)); break;
    case ENTRY_SET: ok = put_set(o, entry_value(e)); break;
    case ENTRY_ZSET: ok = put_zset(o, entry_value(e)); break;
    default: ok = put_hash(o, entry_value(e));
    }
    put(o, "]");
    return ok;
}

bool export_json_entry(struct output *out, const struct rdb_record *record, const struct entry *e) {
    put(out, "{\"db\":");
    put_u64(out, record->db);
    put(out, ",\"key\":");
    text_json(&out->buf, entry_key(e));
    put(out, ",\"type\":\"");
    put(out, value_type_name(entry_type(e)));
    put(out, "\",\"expire_at_ms\":");
    if (entry_expire_ms(e) == ENTRY_NO_EXPIRE)
        put(out, "null");
    else
        put_i64(out, entry_expire_ms(e));
    if (record->idle_s >= 0) {
        put(out, ",\"idle_s\":");
        put_i64(out, record->idle_s);
    }
    if (record->freq >= 0) {
        put(out, ",\"freq\":");
        put_i64(out, record->freq);
    }
    put(out, ",\"value\":");
    if (!put_value(out, e)) return false;
    put(out, "}\n");
    return output_room(out);
}
