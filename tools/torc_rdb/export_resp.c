// SPDX-License-Identifier: BSD-3-Clause
//
// Keys as the commands that make them anew, in RESP, for redis-cli --pipe. A collection is several
// commands, each of at most CHUNK_ITEMS elements and about CHUNK_BYTES; expiry comes last. Streams
// are rebuilt as Redis's append-only file does it: XADD, XSETID, XGROUP, XCLAIM for what is
// pending, with a way to have what was deleted pending. Commands of Redis 7.0 are used, and
// HPEXPIREAT (7.4) where fields expire. Main thread. Invariant: a command is counted while it is
// made and written as a whole.
#include "engine/base/alloc.h"
#include "engine/types/t_hash.h"
#include "engine/types/t_list.h"
#include "engine/types/t_set.h"
#include "engine/types/t_stream_group.h"
#include "engine/types/t_zset.h"
#include "tools/torc_rdb/export.h"

#define ALL_FIELDS  INT64_MIN
#define CHUNK_ITEMS 512
#define CHUNK_BYTES ((size_t)64 * 1024)

static void put_text(struct buf *b, struct slice text) {
    buf_printf(b, "$%zu\r\n", text.n);
    buf_append(b, text.p, text.n);
    buf_append(b, "\r\n", 2);
}

/** Begins a command that may become several, each with these first arguments. */
static void begin(struct export_resp *x) {
    x->head.len = x->args.len = 0;
    x->head_count = x->count = 0;
}
static void head(struct export_resp *x, struct slice text) {
    put_text(&x->head, text);
    x->head_count++;
}
static void begin_with(struct export_resp *x, const char *command, struct slice key) {
    begin(x);
    head(x, slice_text(command));
    head(x, key);
}

static void arg(struct export_resp *x, struct slice text) {
    put_text(&x->args, text);
    x->count++;
}
static void arg_text(struct export_resp *x, const char *text) { arg(x, slice_text(text)); }
static void arg_i64(struct export_resp *x, int64_t number) {
    char text[NUM_I64_TEXT_MAX];
    arg(x, slice_of(text, num_format_i64(text, number)));
}
static void arg_u64(struct export_resp *x, uint64_t number) {
    char text[NUM_I64_TEXT_MAX];
    arg(x, slice_of(text, num_format_u64(text, number)));
}
static void arg_id(struct export_resp *x, struct stream_id id) {
    char text[STREAM_ID_TEXT_MAX];
    arg(x, slice_of(text, stream_id_format(text, id)));
}
static void arg_item(struct export_resp *x, const struct listpack_item *item) {
    char scratch[NUM_I64_TEXT_MAX];
    arg(x, tset_text(item, scratch));
}

/** Writes the command with the arguments so far; the next one has the same head. */
static bool send(struct export_resp *x) {
    struct buf *b = &x->out->buf;
    buf_printf(b, "*%zu\r\n", x->head_count + x->count);
    buf_append(b, x->head.p, x->head.len);
    buf_append(b, x->args.p, x->args.len);
    x->args.len = 0;
    x->count = 0;
    return output_room(x->out);
}
/** Writes it if it is as long as it should be; to be called between elements. */
static bool send_full(struct export_resp *x) {
    return (x->count < CHUNK_ITEMS && x->args.len < CHUNK_BYTES) || send(x);
}
/** Writes what is left. */
static bool send_rest(struct export_resp *x) { return x->count == 0 || send(x); }

static bool export_string(struct export_resp *x, const struct entry *e) {
    char scratch[NUM_I64_TEXT_MAX];
    begin_with(x, "SET", entry_key(e));
    arg(x, entry_string(e, scratch));
    return send(x);
}

static bool export_list(struct export_resp *x, const struct entry *e) {
    struct tlist_iterator it;
    struct listpack_item item;
    begin_with(x, "RPUSH", entry_key(e));
    tlist_iterate(&it, entry_value(e), 0, false);
    while (tlist_next(&it, &item)) {
        arg_item(x, &item);
        if (!send_full(x)) {
            tlist_end(&it);
            return false;
        }
    }
    return send_rest(x);
}

static bool export_set(struct export_resp *x, const struct entry *e) {
    struct tset_iterator it;
    struct listpack_item item;
    begin_with(x, "SADD", entry_key(e));
    tset_iterate(&it, entry_value(e));
    while (tset_next(&it, &item)) {
        arg_item(x, &item);
        if (!send_full(x)) return false;
    }
    return send_rest(x);
}

static bool export_zset(struct export_resp *x, const struct entry *e) {
    struct tzset_iterator it;
    struct listpack_item member;
    double score;
    char text[NUM_DOUBLE_TEXT_MAX];
    begin_with(x, "ZADD", entry_key(e));
    tzset_iterate_rank(&it, entry_value(e), 0, false);
    while (tzset_next(&it, &member, &score)) {
        arg(x, slice_of(text, num_format_double(text, score)));
        arg_item(x, &member);
        if (!send_full(x)) return false;
    }
    return send_rest(x);
}

/** HPEXPIREAT for each field that expires. */
static bool export_field_expiry(struct export_resp *x, const struct entry *e) {
    struct value v = entry_value(e);
    struct thash_iterator it;
    struct listpack_item field;
    begin_with(x, "HPEXPIREAT", entry_key(e));
    thash_iterate(&it, v, ALL_FIELDS);
    while (thash_next(&it, &field, NULL)) {
        char scratch[NUM_I64_TEXT_MAX];
        int64_t expire_ms = thash_expire_ms(v, tset_text(&field, scratch), ALL_FIELDS);
        if (expire_ms < 0) continue;
        arg_i64(x, expire_ms);
        arg_text(x, "FIELDS");
        arg_i64(x, 1);
        arg_item(x, &field);
        if (!send(x)) return false;
    }
    return true;
}

static bool export_hash(struct export_resp *x, const struct entry *e) {
    struct thash_iterator it;
    struct listpack_item field, value;
    begin_with(x, "HSET", entry_key(e));
    thash_iterate(&it, entry_value(e), ALL_FIELDS);
    while (thash_next(&it, &field, &value)) {
        arg_item(x, &field);
        arg_item(x, &value);
        if (!send_full(x)) return false;
    }
    if (!send_rest(x)) return false;
    return value_part_expire_ms(entry_value(e)) < 0 || export_field_expiry(x, e);
}

// Entries that are pending but were deleted: no command makes them pending, unless they are there
// at the time. So they are added, with what they are not known to have had, and deleted in the end.
static char ghost[1];

static struct idmap find_ghosts(const struct stream *s) {
    struct idmap ghosts = {0};
    for (uint32_t i = 0; i < s->groups.count; i++) {
        const struct stream_group *g = tstream_group_at(s, i);
        for (struct idmap_place p = idmap_first(&g->pending); p.leaf != NULL; idmap_next(&p)) {
            struct stream_id id = idmap_at(p)->id;
            if (!tstream_has(s, id)) idmap_add(&ghosts, id, ghost);
        }
    }
    return ghosts;
}

/** Adds those ghosts that come before an entry. */
static bool export_ghosts(struct export_resp *x, struct idmap_place *at, struct stream_id before) {
    for (; at->leaf != NULL && stream_id_less(idmap_at(*at)->id, before); idmap_next(at)) {
        arg_id(x, idmap_at(*at)->id);
        arg_text(x, "x");
        arg_text(x, "y");
        if (!send(x)) return false;
    }
    return true;
}

/** Nothing makes an empty stream but adding and trimming. */
static bool export_no_entries(struct export_resp *x, const struct stream *s) {
    struct stream_id id = s->last;
    if (stream_id_is_zero(id)) id.seq = 1;
    arg_text(x, "MAXLEN");
    arg_i64(x, 0);
    arg_id(x, id);
    arg_text(x, "x");
    arg_text(x, "y");
    return send(x);
}

static bool export_stream_entries(struct export_resp *x, const struct entry *e,
                                  const struct stream *s, const struct idmap *ghosts) {
    struct tstream_iterator it;
    struct idmap_place at = idmap_first(ghosts);
    begin_with(x, "XADD", entry_key(e));
    if (s->length + ghosts->count == 0) return export_no_entries(x, s);
    tstream_iterate(&it, s, STREAM_ID_MIN, STREAM_ID_MAX, false);
    while (tstream_next(&it)) {
        struct stream_entry entry = it.entry;
        if (!export_ghosts(x, &at, entry.id)) return false;
        arg_id(x, entry.id);
        while (entry.left > 0) {
            const uint8_t *field, *value;
            struct listpack_item item;
            stream_entry_pair(&entry, &field, &value);
            listpack_get(field, &item);
            arg_item(x, &item);
            listpack_get(value, &item);
            arg_item(x, &item);
        }
        if (!send(x)) return false;
    }
    return export_ghosts(x, &at, STREAM_ID_MAX);
}

static bool export_pending(struct export_resp *x, struct slice key, const struct stream_group *g) {
    begin_with(x, "XCLAIM", key);
    head(x, g->named.name);
    for (struct idmap_place p = idmap_first(&g->pending); p.leaf != NULL; idmap_next(&p)) {
        const struct stream_pending *pending = tstream_pending_at(p);
        arg(x, pending->consumer->named.name);
        arg_i64(x, 0);
        arg_id(x, idmap_at(p)->id);
        arg_text(x, "TIME");
        arg_i64(x, pending->delivered_ms);
        arg_text(x, "RETRYCOUNT");
        arg_i64(x, pending->deliveries);
        arg_text(x, "JUSTID");
        arg_text(x, "FORCE");
        if (!send(x)) return false;
    }
    return true;
}

static bool export_group(struct export_resp *x, struct slice key, const struct stream_group *g) {
    begin(x);
    head(x, slice_text("XGROUP"));
    head(x, slice_text("CREATE"));
    head(x, key);
    head(x, g->named.name);
    arg_id(x, g->last);
    if (g->entries_read >= 0) {
        arg_text(x, "ENTRIESREAD");
        arg_i64(x, g->entries_read);
    }
    if (!send(x)) return false;
    begin(x);
    head(x, slice_text("XGROUP"));
    head(x, slice_text("CREATECONSUMER"));
    head(x, key);
    head(x, g->named.name);
    for (uint32_t i = 0; i < g->consumers.count; i++) {
        arg(x, tstream_consumer_at(g, i)->named.name);
        if (!send(x)) return false;
    }
    return export_pending(x, key, g);
}

static bool export_stream_state(struct export_resp *x, struct slice key, const struct stream *s,
                                uint64_t entries_added) {
    begin_with(x, "XSETID", key);
    arg_id(x, s->last);
    arg_text(x, "ENTRIESADDED");
    arg_u64(x, entries_added);
    arg_text(x, "MAXDELETEDID");
    arg_id(x, s->max_deleted);
    return send(x);
}

/** Deletes the ghosts, which changes what the stream says of itself. */
static bool delete_ghosts(struct export_resp *x, struct slice key, const struct stream *s,
                          const struct idmap *ghosts) {
    begin_with(x, "XDEL", key);
    for (struct idmap_place p = idmap_first(ghosts); p.leaf != NULL; idmap_next(&p)) {
        arg_id(x, idmap_at(p)->id);
        if (!send_full(x)) return false;
    }
    return send_rest(x) && export_stream_state(x, key, s, s->entries_added);
}

static bool export_stream(struct export_resp *x, const struct entry *e) {
    const struct stream *s = tstream_of(entry_value(e));
    struct idmap ghosts = find_ghosts(s);
    uint64_t all = s->length + ghosts.count;
    uint64_t added = s->entries_added > all ? s->entries_added : all;
    bool ok =
        export_stream_entries(x, e, s, &ghosts) && export_stream_state(x, entry_key(e), s, added);
    for (uint32_t i = 0; ok && i < s->groups.count; i++)
        ok = export_group(x, entry_key(e), tstream_group_at(s, i));
    if (ok && ghosts.count > 0) ok = delete_ghosts(x, entry_key(e), s, &ghosts);
    idmap_fini(&ghosts, NULL);
    return ok;
}

static bool export_value(struct export_resp *x, const struct entry *e) {
    switch (entry_type(e)) {
    case ENTRY_LIST: return export_list(x, e);
    case ENTRY_SET: return export_set(x, e);
    case ENTRY_ZSET: return export_zset(x, e);
    case ENTRY_HASH: return export_hash(x, e);
    case ENTRY_STREAM: return export_stream(x, e);
    default: return export_string(x, e);
    }
}

static bool select_db(struct export_resp *x, uint32_t db) {
    if (x->selected && x->db == db) return true;
    x->selected = true;
    x->db = db;
    begin(x);
    head(x, slice_text("SELECT"));
    arg_i64(x, db);
    return send(x);
}

bool export_resp_entry(struct export_resp *x, const struct rdb_record *record,
                       const struct entry *e) {
    if (!select_db(x, record->db)) return false;
    if (x->replace) {
        begin_with(x, "DEL", entry_key(e));
        if (!send(x)) return false;
    }
    if (!export_value(x, e)) return false;
    if (entry_expire_ms(e) == ENTRY_NO_EXPIRE) return true;
    begin_with(x, "PEXPIREAT", entry_key(e));
    arg_i64(x, entry_expire_ms(e));
    return send(x);
}

bool export_resp_function(struct export_resp *x, struct slice code) {
    begin(x);
    head(x, slice_text("FUNCTION"));
    head(x, slice_text("LOAD"));
    if (x->replace) arg_text(x, "REPLACE");
    arg(x, code);
    return send(x);
}

void export_resp_fini(struct export_resp *x) {
    buf_free(&x->head);
    buf_free(&x->args);
}
