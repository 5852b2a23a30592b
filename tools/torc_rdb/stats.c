// SPDX-License-Identifier: BSD-3-Clause
//
// torc-rdb stats: what a file holds, by type, database, prefix of the key and expiry, and its
// biggest keys. Each value is made, to know how many elements it has and what it takes in torc's
// memory; a module's counts with its bytes in the file alone. Main thread. Invariant: memory does
// not grow with the number of keys: prefixes are bounded, and of the biggest keys so many are kept.
#include "engine/base/alloc.h"
#include "tools/torc_rdb/commands.h"
#include "tools/torc_rdb/input.h"
#include "tools/torc_rdb/tally.h"
#include "tools/torc_rdb/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define PREFIXES_MAX 20000

/** How long keys have still to live; the first class whose limit is not below that. */
static const struct {
    const char *name;
    int64_t below_ms;
} classes[] = {
    {"none", -1},
    {"expired", 0},
    {"within a minute", INT64_C(60000)},
    {"within an hour", INT64_C(3600000)},
    {"within a day", INT64_C(86400000)},
    {"within a week", INT64_C(604800000)},
    {"within 30 days", INT64_C(2592000000)},
    {"later", INT64_MAX},
};
#define CLASSES (sizeof(classes) / sizeof(classes[0]))

/** One of the biggest keys. */
struct big {
    uint32_t db;
    unsigned kind;
    char *key;
    size_t key_length;
    struct tally tally;
};

struct stats {
    const struct options *options;
    struct input in;
    struct tally all;
    struct tally_table types, dbs, prefixes, expiry;
    struct big *biggest; // a heap, the least big first
    size_t big_count;
    uint64_t wrong;
};

static unsigned expiry_class(const struct stats *s) {
    int64_t expire_ms = s->in.reader.item.expire_ms;
    if (expire_ms == ENTRY_NO_EXPIRE) return 0;
    if (expire_ms <= s->in.now_ms) return 1;
    unsigned class = 2;
    while (expire_ms - s->in.now_ms > classes[class].below_ms) class ++;
    return class;
}

/** The key up to the depth-th delimiter, which belongs to it; a key with fewer has no prefix. */
static struct slice prefix_of(const struct options *o, struct slice key) {
    size_t n = strlen(o->delimiter), at = 0;
    for (uint64_t found = 0; n > 0 && found < o->depth; found++) {
        const char *p = memmem(key.p + at, key.n - at, o->delimiter, n);
        if (p == NULL) return (struct slice){"", 0};
        at = (size_t)(p - key.p) + n;
    }
    return slice_of(key.p, at);
}

static bool is_less(const struct big *a, const struct big *b) {
    if (a->tally.memory != b->tally.memory) return a->tally.memory < b->tally.memory;
    return a->tally.file_bytes < b->tally.file_bytes;
}

/** Lets the element at i of the heap sink to its place. */
static void sink(struct big *heap, size_t count, size_t i) {
    for (;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2; child++) {
            if (child < count && is_less(&heap[child], &heap[least])) least = child;
        }
        if (least == i) return;
        struct big kept = heap[i];
        heap[i] = heap[least];
        heap[least] = kept;
        i = least;
    }
}

static void consider_big(struct stats *s, unsigned kind, const struct tally *tally) {
    const struct rdb_record *record = &s->in.reader.item;
    struct big big = {.db = record->db, .kind = kind, .tally = *tally};
    size_t top = (size_t)s->options->top;
    bool full = s->big_count == top;
    if (top == 0 || (full && !is_less(&s->biggest[0], &big))) return;
    big.key = mem_alloc(record->key.n + 1);
    big.key_length = record->key.n;
    if (record->key.n > 0) memcpy(big.key, record->key.p, record->key.n);
    if (full) {
        mem_free(s->biggest[0].key);
        s->biggest[0] = big;
        sink(s->biggest, top, 0);
        return;
    }
    s->biggest[s->big_count++] = big;
    if (s->big_count == top) {
        for (size_t i = top; i-- > 0;) sink(s->biggest, top, i);
    }
}

static void count(struct stats *s, const struct tally *tally) {
    const struct rdb_reader *r = &s->in.reader;
    unsigned kind = selection_kind(r->item.type, r->dialect);
    char db[16];
    snprintf(db, sizeof(db), "%u", r->item.db);
    tally_add(&s->all, tally);
    tally_add(tally_of(&s->types, slice_text(selection_kind_name(kind))), tally);
    tally_add(tally_of(&s->dbs, slice_text(db)), tally);
    tally_add(tally_of(&s->expiry, slice_text(classes[expiry_class(s)].name)), tally);
    tally_add(tally_of(&s->prefixes, prefix_of(s->options, r->item.key)), tally);
    consider_big(s, kind, tally);
}

static void stats_record(struct stats *s, bool known) {
    const struct rdb_record *record = &s->in.reader.item;
    if (!selection_has(&s->options->selection, &s->in.reader)) return;
    struct tally tally = {.keys = 1, .file_bytes = record->raw.n};
    struct entry *e = NULL;
    enum rdb_loaded loaded = known ? input_entry(&s->in, &e) : RDB_LOADED;
    if (loaded == RDB_LOAD_EMPTY) return;
    if (loaded != RDB_LOADED) {
        s->wrong++;
        input_complain_key(&s->in, s->in.in.error_at, s->in.in.error);
    }
    if (e != NULL) {
        bool is_string = entry_type(e) == ENTRY_STRING;
        tally.elements = is_string ? 1 : value_length(entry_value(e));
        tally.memory = entry_memory(e);
        entry_free(e);
    }
    count(s, &tally);
}

/** In the order in which they are listed, not by size. */
static void sort_expiry(struct tally_table *t) {
    struct tally_table sorted = {0};
    for (size_t i = 0; i < CLASSES; i++) {
        struct slice name = slice_text(classes[i].name);
        for (size_t j = 0; j < t->count; j++) {
            if (slice_equal(t->rows[j].label, name)) *tally_of(&sorted, name) = t->rows[j].tally;
        }
    }
    tally_fini(t);
    *t = sorted;
}

static int compare_big(const void *a, const void *b) {
    return is_less(a, b) ? 1 : is_less(b, a) ? -1 : 0;
}

static void print_big(const struct stats *s) {
    if (s->big_count == 0) return;
    printf("\n%-26s %-7s %12s %10s %10s\n", "biggest keys", "type", "elements", "in file",
           "in memory");
    for (size_t i = 0; i < s->big_count; i++) {
        const struct big *b = &s->biggest[i];
        printf("  db %-21u %-7s %12" PRIu64 " %10s %10s  ", b->db, selection_kind_name(b->kind),
               b->tally.elements, text_bytes(b->tally.file_bytes).text,
               text_bytes(b->tally.memory).text);
        text_print_key(stdout, slice_of(b->key, b->key_length), 60);
        putchar('\n');
    }
}

static void json_big(struct buf *out, const struct stats *s) {
    buf_append_text(out, ",\"biggest\":[");
    for (size_t i = 0; i < s->big_count; i++) {
        const struct big *b = &s->biggest[i];
        buf_printf(out, "%s{\"db\":%u,\"key\":", i == 0 ? "" : ",", b->db);
        text_json(out, slice_of(b->key, b->key_length));
        buf_printf(out,
                   ",\"type\":\"%s\",\"elements\":%" PRIu64 ",\"file_bytes\":%" PRIu64
                   ",\"memory_bytes\":%" PRIu64 "}",
                   selection_kind_name(b->kind), b->tally.elements, b->tally.file_bytes,
                   b->tally.memory);
    }
    buf_append_char(out, ']');
}

/** Whether the terminal, or whatever takes the output, has block characters. */
static bool has_blocks(void) {
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = getenv(names[i]);
        if (value == NULL || *value == '\0') continue;
        return strcasestr(value, "utf-8") != NULL || strcasestr(value, "utf8") != NULL;
    }
    return false;
}

static void show(struct stats *s) {
    tally_sort(&s->types);
    tally_sort(&s->dbs);
    tally_sort(&s->prefixes);
    sort_expiry(&s->expiry);
    if (s->big_count > 1) qsort(s->biggest, s->big_count, sizeof(*s->biggest), compare_big);
    struct tally_view types = {"by type", "types", "type", 0, false};
    struct tally_view dbs = {"by database", "databases", "db", 0, false};
    struct tally_view prefixes = {"by prefix", "prefixes", "prefix", 0, true};
    struct tally_view expiry = {"by expiry", "expiry", "class", 0, false};
    prefixes.limit = (size_t)s->options->top;
    if (s->options->json) {
        struct buf out = {0};
        buf_printf(&out, "{\"version\":%d,", s->in.reader.version);
        tally_json_members(&out, &s->all);
        tally_json(&out, &s->types, &types);
        tally_json(&out, &s->dbs, &dbs);
        tally_json(&out, &s->expiry, &expiry);
        if (prefixes.limit > 0) tally_json(&out, &s->prefixes, &prefixes);
        json_big(&out, s);
        printf("%.*s}\n", (int)out.len, out.p);
        buf_free(&out);
        return;
    }
    bool blocks = has_blocks();
    printf("%s: %" PRIu64 " keys, %s in the file, %s in memory\n", s->in.name, s->all.keys,
           text_bytes(s->all.file_bytes).text, text_bytes(s->all.memory).text);
    tally_print(&s->types, &types, &s->all, blocks);
    if (s->dbs.count > 1) tally_print(&s->dbs, &dbs, &s->all, blocks);
    tally_print(&s->expiry, &expiry, &s->all, blocks);
    if (prefixes.limit > 0) tally_print(&s->prefixes, &prefixes, &s->all, blocks);
    print_big(s);
}

int stats_run(const struct options *o) {
    struct stats s = {.options = o};
    if (!input_open(&s.in, o, true)) return STATUS_FILES;
    s.prefixes.rows_max = PREFIXES_MAX;
    if (o->top > 0) s.biggest = mem_calloc((size_t)o->top * sizeof(*s.biggest));
    enum rdb_item item;
    do {
        item = input_next(&s.in);
        if (item == RDB_ITEM_RECORD) stats_record(&s, true);
        if (item == RDB_ITEM_UNKNOWN && s.in.reader.item.is_record) stats_record(&s, false);
    } while (item != RDB_ITEM_END && item != RDB_ITEM_ERROR);
    progress_clear(&s.in.progress);
    int status = item == RDB_ITEM_ERROR ? input_status(&s.in)
                 : s.wrong > 0          ? STATUS_FOUND
                                        : STATUS_OK;
    if (item == RDB_ITEM_END) show(&s);
    for (size_t i = 0; i < s.big_count; i++) mem_free(s.biggest[i].key);
    mem_free(s.biggest);
    tally_fini(&s.types);
    tally_fini(&s.dbs);
    tally_fini(&s.prefixes);
    tally_fini(&s.expiry);
    input_close(&s.in);
    return status;
}
