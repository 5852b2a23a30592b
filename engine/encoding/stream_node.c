// SPDX-License-Identifier: BSD-3-Clause
//
// Nodes of streams: the format is Redis 7.2's, read and written through listpack.h. Who owns the
// stream runs it; reading changes nothing. Invariants: the flags of an entry are an integer of one
// byte, so marking it as deleted moves nothing; marks are offsets from the first entry, so that
// they stay right when the counts in front of it take more bytes. Mark i leads to entry
// (i + 1) * stride; the stride is the lowest power of two from 8 on with which the marks reach the
// end of the node, and follows from the number of entries. Called by t_stream.c.
#include "engine/encoding/stream_node.h"

#include <string.h>

#include "engine/base/alloc.h"

enum { FLAG_DELETED = 1, FLAG_SAME = 2 };

#define STRIDE_MIN    8
#define HEAD_NUMBERS  4 // in front of the first entry
#define ENTRY_NUMBERS 5 // of an entry, at most

// ---- marks -------------------------------------------------------------------------------------

static inline uint32_t total(const struct stream_node *n) { return n->live + n->deleted; }

/** How many entries apart marks are in a node of that many entries. */
static inline uint32_t stride_of(uint32_t entries) {
    uint32_t stride = STRIDE_MIN;
    while (entries > (STREAM_NODE_MARKS + 1) * stride) stride *= 2;
    return stride;
}

static inline uint32_t marks_of(uint32_t entries, uint32_t stride) {
    return entries > 0 ? (entries - 1) / stride : 0;
}

/** An entry of that number is going to be at the listpack's end: marks it when it is its turn. */
static void mark(struct stream_node *n, uint32_t number, size_t at) {
    uint32_t stride = stride_of(number + 1);
    if (number > 0 && stride != stride_of(number)) {
        for (uint32_t i = 0; i < STREAM_NODE_MARKS / 2; i++) n->marks[i] = n->marks[2 * i + 1];
    }
    if (number > 0 && number % stride == 0)
        n->marks[number / stride - 1] = (uint32_t)(at - n->first);
}

// ---- reading -----------------------------------------------------------------------------------

static inline int64_t integer(const uint8_t *p) {
    struct listpack_item item;
    listpack_get(p, &item);
    ASSERT_DEV(item.is_int);
    return item.is_int ? item.number : 0;
}

/** Where the names of the first entry are. */
static inline const uint8_t *names(const struct stream_node *n) {
    const uint8_t *p = n->lp + LISTPACK_HEADER;
    return listpack__after(listpack__after(listpack__after(p)));
}

static inline void read_id(const uint8_t *flags, struct stream_id base, struct stream_id *id,
                           const uint8_t **after) {
    const uint8_t *p = listpack__after(flags);
    id->ms = base.ms + (uint64_t)integer(p);
    p = listpack__after(p);
    id->seq = base.seq + (uint64_t)integer(p);
    *after = listpack__after(p);
}

static inline void read_entry(const struct stream_node *n, struct stream_id base, const uint8_t *p,
                              struct stream_entry *e) {
    e->start = p;
    e->deleted = (*p & FLAG_DELETED) != 0;
    e->same = (*p & FLAG_SAME) != 0;
    read_id(p, base, &e->id, &e->value);
    if (e->same) {
        e->fields = n->fields;
        e->field = names(n);
    } else {
        e->fields = (uint64_t)integer(e->value);
        e->value = listpack__after(e->value);
    }
    e->left = e->fields;
}

/** Behind the entry, wherever in it the reader is. */
static inline const uint8_t *behind(const struct stream_entry *e) {
    const uint8_t *p = e->value;
    uint64_t elements = e->same ? e->left : 2 * e->left;
    for (; elements > 0; elements--) p = listpack__after(p);
    return listpack__after(p);
}

bool stream_node_first(const struct stream_node *n, struct stream_id base, struct stream_entry *e) {
    const uint8_t *p = n->lp + n->first;
    if (*p == LISTPACK_END) return false;
    read_entry(n, base, p, e);
    return true;
}

bool stream_node_next(const struct stream_node *n, struct stream_id base, struct stream_entry *e) {
    const uint8_t *p = behind(e);
    if (*p == LISTPACK_END) return false;
    read_entry(n, base, p, e);
    return true;
}

/** The entry that ends before `end`. */
static bool read_back(const struct stream_node *n, struct stream_id base, const uint8_t *end,
                      struct stream_entry *e) {
    if (end == n->lp + n->first) return false;
    const uint8_t *p = listpack_prev(n->lp, end);
    for (int64_t elements = integer(p); elements > 0; elements--) p = listpack_prev(n->lp, p);
    read_entry(n, base, p, e);
    return true;
}

bool stream_node_last(const struct stream_node *n, struct stream_id base, struct stream_entry *e) {
    return read_back(n, base, n->lp + listpack_bytes(n->lp) - 1, e);
}

bool stream_node_previous(const struct stream_node *n, struct stream_id base,
                          struct stream_entry *e) {
    return read_back(n, base, e->start, e);
}

/** The first entry, or the last of those with a mark that is not above `id`. */
static bool seek_mark(const struct stream_node *n, struct stream_id base, struct stream_id id,
                      struct stream_entry *e) {
    const uint8_t *first = n->lp + n->first;
    for (uint32_t i = marks_of(total(n), stride_of(total(n))); i-- > 0;) {
        struct stream_id marked;
        const uint8_t *after;
        read_id(first + n->marks[i], base, &marked, &after);
        if (stream_id_less(id, marked)) continue;
        read_entry(n, base, first + n->marks[i], e);
        return true;
    }
    return stream_node_first(n, base, e);
}

bool stream_node_seek(const struct stream_node *n, struct stream_id base, struct stream_id id,
                      struct stream_entry *e) {
    if (!stream_id_less(base, id)) return stream_node_first(n, base, e);
    if (!seek_mark(n, base, id, e)) return false;
    while (stream_id_less(e->id, id))
        if (!stream_node_next(n, base, e)) return false;
    return true;
}

bool stream_node_seek_back(const struct stream_node *n, struct stream_id base, struct stream_id id,
                           struct stream_entry *e) {
    if (!seek_mark(n, base, id, e) || stream_id_less(id, e->id)) return false;
    for (struct stream_entry next = *e;;) {
        if (!stream_node_next(n, base, &next) || stream_id_less(id, next.id)) return true;
        *e = next;
    }
}

// ---- changing ----------------------------------------------------------------------------------

/** Bytes that names, or values, or both take at most. */
static size_t bound_of(const struct slice *pairs, size_t fields, bool names, bool values) {
    size_t bytes = 0;
    for (size_t i = 0; i < fields; i++) {
        if (names) bytes += listpack_text_bound(pairs[2 * i].n);
        if (values) bytes += listpack_text_bound(pairs[2 * i + 1].n);
    }
    return bytes;
}

struct stream_node *stream_node_new(const struct slice *pairs, size_t fields, size_t room) {
    struct stream_node *n = mem_calloc(sizeof *n);
    struct listpack_appender a;
    size_t bound = HEAD_NUMBERS * LISTPACK_NUMBER_BOUND + bound_of(pairs, fields, true, false);
    size_t first = ENTRY_NUMBERS * LISTPACK_NUMBER_BOUND + bound_of(pairs, fields, false, true);
    if (room < LISTPACK_MIN_BYTES + bound + first) room = LISTPACK_MIN_BYTES + bound + first;
    listpack_append_begin(&a, listpack_new(room), bound);
    listpack_append_number(&a, 0);
    listpack_append_number(&a, 0);
    listpack_append_number(&a, (int64_t)fields);
    for (size_t i = 0; i < fields; i++) listpack_append_text(&a, pairs[2 * i]);
    listpack_append_number(&a, 0);
    n->lp = listpack_append_end(&a);
    n->first = (uint32_t)listpack_bytes(n->lp) - 1;
    n->fields = (uint32_t)fields;
    return n;
}

/** Whether the names are those of the node's first entry. */
static bool same_names(const struct stream_node *n, const struct slice *pairs, size_t fields) {
    if (fields != n->fields) return false;
    const uint8_t *p = names(n);
    for (size_t i = 0; i < fields; i++, p = listpack__after(p)) {
        if ((*p & 0xc0) == LISTPACK_TEXT_6) {
            // A name as names are, short and no number.
            if (!slice_equal_short(slice_of(p + 1, *p & 0x3f), pairs[2 * i])) return false;
        } else if (!listpack_equal(p, pairs[2 * i])) {
            return false;
        }
    }
    return true;
}

/** Writes one of the two counts in front. */
static void write_count(struct stream_node *n, unsigned which, uint32_t count) {
    size_t before = listpack_bytes(n->lp);
    uint8_t *p = n->lp + LISTPACK_HEADER;
    if (which > 0) p = listpack__after(p);
    if (*p < LISTPACK_TEXT_6 && count < LISTPACK_TEXT_6) {
        *p = (uint8_t)count; // as long as before
        return;
    }
    n->lp = listpack_replace_i64(n->lp, &p, count);
    n->first = (uint32_t)(n->first + listpack_bytes(n->lp) - before);
}

void stream_node_append(struct stream_node *n, struct stream_id base, struct stream_id id,
                        const struct slice *pairs, size_t fields) {
    bool same = same_names(n, pairs, fields);
    struct listpack_appender a;
    size_t elements = same ? fields + 4 : 2 * fields + 5;
    mark(n, total(n), listpack_bytes(n->lp) - 1);
    listpack_append_begin(
        &a, n->lp, ENTRY_NUMBERS * LISTPACK_NUMBER_BOUND + bound_of(pairs, fields, !same, true));
    listpack_append_number(&a, same ? FLAG_SAME : 0);
    listpack_append_number(&a, (int64_t)(id.ms - base.ms));
    listpack_append_number(&a, (int64_t)(id.seq - base.seq));
    if (!same) listpack_append_number(&a, (int64_t)fields);
    for (size_t i = 0; i < fields; i++) {
        if (!same) listpack_append_text(&a, pairs[2 * i]);
        listpack_append_text(&a, pairs[2 * i + 1]);
    }
    listpack_append_number(&a, (int64_t)elements - 1);
    n->lp = listpack_append_end(&a);
    write_count(n, 0, ++n->live);
}

void stream_node_close(struct stream_node *n) { n->lp = listpack_shrink(n->lp); }

void stream_node_delete(struct stream_node *n, const struct stream_entry *e) {
    ASSERT(!e->deleted && n->live > 1 && *e->start < LISTPACK_TEXT_6);
    *(uint8_t *)e->start |= FLAG_DELETED;
    write_count(n, 0, --n->live);
    write_count(n, 1, ++n->deleted);
}

struct stream_node *stream_node_copy(const struct stream_node *n) {
    struct stream_node *copy = memcpy(mem_alloc(sizeof *n), n, sizeof *n);
    copy->lp = listpack_copy(n->lp);
    return copy;
}

void stream_node_free(struct stream_node *n) {
    listpack_free(n->lp);
    mem_free(n);
}

size_t stream_node_memory(const struct stream_node *n) {
    return mem_usable(n) + listpack_memory(n->lp);
}

// ---- from elsewhere, and checking --------------------------------------------------------------

/** Reads elements that have been found to be well-formed, and sees what does not fit. */
struct scan {
    const uint8_t *p;
    bool bad;
};

static int64_t scan_integer(struct scan *s) {
    struct listpack_item item = {.is_int = false};
    if (!s->bad && *s->p != LISTPACK_END) {
        listpack_get(s->p, &item);
        s->p = listpack__after(s->p);
    }
    if (!item.is_int) s->bad = true;
    return item.is_int ? item.number : 0;
}

static void scan_skip(struct scan *s, uint64_t elements) {
    for (; !s->bad && elements > 0; elements--) {
        if (*s->p == LISTPACK_END)
            s->bad = true;
        else
            s->p = listpack__after(s->p);
    }
}

/** One entry: its id and whether it is deleted. False: it is not well-formed. */
static bool scan_entry(struct scan *s, const struct stream_node *n, struct stream_id base,
                       struct stream_id *id, bool *deleted) {
    int64_t flags = scan_integer(s);
    id->ms = base.ms + (uint64_t)scan_integer(s);
    id->seq = base.seq + (uint64_t)scan_integer(s);
    int64_t fields = n->fields, elements = fields + 3;
    if ((flags & FLAG_SAME) == 0) {
        fields = scan_integer(s);
        if (fields < 0 || fields > UINT32_MAX) return false;
        elements = 2 * fields + 4;
        scan_skip(s, (uint64_t)fields);
    }
    scan_skip(s, (uint64_t)fields);
    *deleted = (flags & FLAG_DELETED) != 0;
    return scan_integer(s) == elements && !s->bad && (flags & ~(FLAG_DELETED | FLAG_SAME)) == 0;
}

/**
 * Fills what stands beside the listpack from a listpack that is well-formed as such. *ascends: the
 * deleted entries, too, stand in order; the others have to.
 */
static bool scan_node(struct stream_node *n, struct stream_id base, bool *ascends) {
    struct scan s = {.p = n->lp + LISTPACK_HEADER};
    int64_t live = scan_integer(&s), deleted = scan_integer(&s), fields = scan_integer(&s);
    if (s.bad || live < 0 || deleted < 0 || fields < 0) return false;
    if (live > UINT32_MAX || deleted > UINT32_MAX || fields > UINT32_MAX) return false;
    if (live + deleted == 0) return false;
    scan_skip(&s, (uint64_t)fields);
    if (scan_integer(&s) != 0 || s.bad) return false;
    n->fields = (uint32_t)fields;
    n->first = (uint32_t)(s.p - n->lp);
    struct stream_id last = STREAM_ID_MIN, last_live = STREAM_ID_MIN;
    *ascends = true;
    while (*s.p != LISTPACK_END) {
        struct stream_id id;
        bool is_deleted;
        if (*s.p >= LISTPACK_TEXT_6) return false;
        mark(n, total(n), (size_t)(s.p - n->lp));
        if (!scan_entry(&s, n, base, &id, &is_deleted)) return false;
        if (stream_id_less(id, base)) return false;
        if (!is_deleted && n->live > 0 && !stream_id_less(last_live, id)) return false;
        if (total(n) > 0 && !stream_id_less(last, id)) *ascends = false;
        last = id;
        if (!is_deleted) last_live = id;
        *(is_deleted ? &n->deleted : &n->live) += 1;
    }
    return n->live == (uint64_t)live && n->deleted == (uint64_t)deleted;
}

/** Appends the elements from p up to `end`. */
static void append_elements(struct listpack_appender *a, const uint8_t *p, const uint8_t *end) {
    for (; p != end; p = listpack__after(p)) {
        struct listpack_item item;
        listpack_get(p, &item);
        if (item.is_int)
            listpack_append_number(a, item.number);
        else
            listpack_append_text(a, item.text);
    }
}

void stream_node_drop_deleted(struct stream_node *n, struct stream_id base) {
    ASSERT(n->live > 0);
    uint8_t *old = n->lp;
    const uint8_t *fields = listpack__after(listpack__after(old + LISTPACK_HEADER));
    struct listpack_appender a;
    size_t bound = listpack_bytes(old) + 2 * LISTPACK_NUMBER_BOUND;
    listpack_append_begin(&a, listpack_new(LISTPACK_MIN_BYTES + bound), bound);
    listpack_append_number(&a, n->live);
    listpack_append_number(&a, 0);
    append_elements(&a, fields, old + n->first);
    struct stream_entry e;
    for (bool more = stream_node_first(n, base, &e); more; more = stream_node_next(n, base, &e))
        if (!e.deleted) append_elements(&a, e.start, behind(&e));
    n->lp = listpack_shrink(listpack_append_end(&a));
    listpack_free(old);
    uint32_t live = n->live;
    bool ascends, good;
    n->live = n->deleted = 0;
    good = scan_node(n, base, &ascends);
    ASSERT(good && ascends && n->live == live && n->deleted == 0);
}

struct stream_node *stream_node_load(uint8_t *lp, size_t bytes, struct stream_id base) {
    struct stream_node n = {.lp = lp};
    bool ascends;
    if (bytes > UINT32_MAX || !listpack_validate(lp, bytes, NULL, NULL)) return NULL;
    if (!scan_node(&n, base, &ascends)) return NULL;
    if (!ascends && n.live > 0) stream_node_drop_deleted(&n, base);
    return memcpy(mem_alloc(sizeof n), &n, sizeof n);
}

bool stream_node_is_valid(const struct stream_node *n, struct stream_id base) {
    struct stream_node scanned = {.lp = n->lp};
    bool ascends;
    if (!listpack_is_valid(n->lp) || !scan_node(&scanned, base, &ascends) || !ascends) return false;
    uint32_t marks = marks_of(total(n), stride_of(total(n)));
    return n->first == scanned.first && n->fields == scanned.fields && n->live == scanned.live &&
           n->deleted == scanned.deleted &&
           memcmp(n->marks, scanned.marks, marks * sizeof n->marks[0]) == 0;
}
