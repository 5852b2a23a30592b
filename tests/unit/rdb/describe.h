// SPDX-License-Identifier: BSD-3-Clause
//
// Entries as text that tests compare: what they hold, without their encodings, in an order that
// depends on nothing else. Invariant: two entries with the same text answer commands the same.
// Included by tests of the serialized form; no state.
#ifndef TORC_TESTS_UNIT_RDB_DESCRIBE_H
#define TORC_TESTS_UNIT_RDB_DESCRIBE_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/keyspace/entry.h"
#include "engine/types/t_hash.h"
#include "engine/types/t_list.h"
#include "engine/types/t_set.h"
#include "engine/types/t_stream_group.h"
#include "engine/types/t_zset.h"

/** Words that are put in order before they are told. */
struct words {
    char *at[4096];
    size_t count;
};

static inline char *item_text(const struct listpack_item *item) {
    char scratch[NUM_I64_TEXT_MAX];
    struct slice text = item->text;
    if (item->is_int) text = slice_of(scratch, num_format_i64(scratch, item->number));
    char *copy = malloc(text.n + 1);
    if (text.n > 0) memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    return copy;
}

static inline int by_bytes(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static inline void tell_words(struct words *w, struct buf *out) {
    qsort(w->at, w->count, sizeof w->at[0], by_bytes);
    for (size_t i = 0; i < w->count; i++) {
        buf_printf(out, "%s ", w->at[i]);
        free(w->at[i]);
    }
    free(w);
}

static inline void tell_list(struct value v, struct buf *out) {
    struct tlist_iterator it;
    struct listpack_item item;
    tlist_iterate(&it, v, 0, false);
    while (tlist_next(&it, &item)) {
        char *text = item_text(&item);
        buf_printf(out, "%s ", text);
        free(text);
    }
}

static inline void tell_set(struct value v, struct buf *out) {
    struct tset_iterator it;
    struct listpack_item item;
    struct words *w = calloc(1, sizeof *w);
    tset_iterate(&it, v);
    while (tset_next(&it, &item)) w->at[w->count++] = item_text(&item);
    tell_words(w, out);
}

static inline void tell_hash(struct value v, struct buf *out) {
    struct thash_iterator it;
    struct listpack_item field, value;
    struct words *w = calloc(1, sizeof *w);
    thash_iterate(&it, v, 0);
    while (thash_next(&it, &field, &value)) {
        char *name = item_text(&field), *text = item_text(&value), *word;
        int64_t expire_ms = thash_expire_ms(v, slice_text(name), 0);
        int n = expire_ms == THASH_NEVER ? asprintf(&word, "%s=%s", name, text)
                                         : asprintf(&word, "%s=%s@%" PRId64, name, text, expire_ms);
        if (n < 0) abort();
        w->at[w->count++] = word;
        free(name);
        free(text);
    }
    tell_words(w, out);
}

static inline void tell_zset(struct value v, struct buf *out) {
    struct tzset_iterator it;
    struct listpack_item member;
    double score;
    char number[NUM_DOUBLE_TEXT_MAX];
    tzset_iterate_rank(&it, v, 0, false);
    while (tzset_next(&it, &member, &score)) {
        char *text = item_text(&member);
        buf_printf(out, "%s:%.*s ", text, (int)num_format_double(number, score), number);
        free(text);
    }
}

static inline void tell_group(const struct stream_group *g, struct buf *out) {
    buf_printf(out, "%.*s %" PRIu64 "-%" PRIu64 " read=%" PRId64 " ", (int)g->named.name.n,
               g->named.name.p, g->last.ms, g->last.seq, g->entries_read);
    for (uint32_t i = 0; i < g->consumers.count; i++) {
        const struct stream_consumer *c = tstream_consumer_at(g, i);
        buf_printf(out, "%.*s seen=%" PRId64 " active=%" PRId64 " ", (int)c->named.name.n,
                   c->named.name.p, c->seen_ms, c->active_ms);
        for (struct idmap_place p = idmap_first(&c->pending); p.leaf != NULL; idmap_next(&p)) {
            const struct stream_pending *pending = tstream_pending_at(p);
            struct stream_id id = idmap_at(p)->id;
            buf_printf(out, "%" PRIu64 "-%" PRIu64 ":%" PRId64 ":%" PRId64 " ", id.ms, id.seq,
                       pending->delivered_ms, pending->deliveries);
        }
    }
}

static inline void tell_stream(const struct stream *s, struct buf *out) {
    struct tstream_iterator it;
    tstream_iterate(&it, s, STREAM_ID_MIN, STREAM_ID_MAX, false);
    while (tstream_next(&it)) {
        struct stream_entry e = it.entry;
        buf_printf(out, "%" PRIu64 "-%" PRIu64 " ", e.id.ms, e.id.seq);
        while (e.left > 0) {
            const uint8_t *field, *value;
            char a[NUM_I64_TEXT_MAX], b[NUM_I64_TEXT_MAX];
            stream_entry_pair(&e, &field, &value);
            struct slice name = listpack_text(field, a), text = listpack_text(value, b);
            buf_printf(out, "%.*s=%.*s ", (int)name.n, name.p, (int)text.n, text.p);
        }
    }
    buf_printf(out, "last=%" PRIu64 "-%" PRIu64 " added=%" PRIu64 " deleted=%" PRIu64 "-%" PRIu64,
               s->last.ms, s->last.seq, s->entries_added, s->max_deleted.ms, s->max_deleted.seq);
    buf_printf(out, " first=%" PRIu64 "-%" PRIu64 " ", s->first.ms, s->first.seq);
    for (uint32_t i = 0; i < s->groups.count; i++) tell_group(tstream_group_at(s, i), out);
}

/** What the entry holds, as text; to be freed with buf_free(). */
static inline struct buf tell(const struct entry *e) {
    struct buf out = {0};
    char scratch[NUM_I64_TEXT_MAX];
    struct slice text;
    switch (entry_type(e)) {
    case ENTRY_STRING:
        text = entry_string(e, scratch);
        buf_append(&out, text.p, text.n);
        break;
    case ENTRY_LIST: tell_list(entry_value(e), &out); break;
    case ENTRY_SET: tell_set(entry_value(e), &out); break;
    case ENTRY_HASH: tell_hash(entry_value(e), &out); break;
    case ENTRY_ZSET: tell_zset(entry_value(e), &out); break;
    default: tell_stream(tstream_of(entry_value(e)), &out); break;
    }
    buf_append_char(&out, '\0');
    return out;
}

#endif
