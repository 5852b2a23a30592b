// SPDX-License-Identifier: BSD-3-Clause
//
// Listpacks: the changing parts, finding, and the check of bytes from elsewhere; walking is in the
// header. Format: antirez's listpack specification and Redis 7.2's listpack.c, whose choices of
// encodings and of boundaries (a backward length of 16383 takes three bytes) are kept, so that the
// bytes are the same. All changes go through splice(), which moves what lies behind and keeps the
// header. A listpack that grows takes an eighth more than it needs, so that appending one by one
// copies each byte a bounded number of times; one that shrinks keeps up to a quarter. Invariant:
// the allocation is at least as long as the header's total. Called by the types and the streams,
// from whichever thread owns the value.
#include "engine/encoding/listpack.h"

#include <string.h>

#include "engine/base/alloc.h"

#define COUNT_UNKNOWN 65535
#define HEAD_MAX      9 // bytes of an element in front of a text, or of an integer

/** How an element will be written: its first bytes, then a text (none for integers). */
struct coded {
    uint8_t head[HEAD_MAX];
    uint8_t head_bytes;
    struct slice text;
    size_t size; // of both
};

static inline void store_le(uint8_t *p, uint64_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; i++) p[i] = (uint8_t)(value >> (8 * i));
}

static inline void set_bytes(uint8_t *lp, size_t bytes) { store_le(lp, bytes, 4); }

static inline size_t count_field(const uint8_t *lp) { return (size_t)lp[4] | (size_t)lp[5] << 8; }

static inline void set_count(uint8_t *lp, size_t count) {
    store_le(lp + 4, count < COUNT_UNKNOWN ? count : COUNT_UNKNOWN, 2);
}

static inline void add_count(uint8_t *lp, int64_t change) {
    size_t count = count_field(lp);
    if (count != COUNT_UNKNOWN) set_count(lp, (size_t)((int64_t)count + change));
}

// ---- encoding ----------------------------------------------------------------------------------

static void code_i64(struct coded *c, int64_t v) {
    c->text = (struct slice){NULL, 0};
    if (v >= 0 && v <= 127) {
        c->head[0] = (uint8_t)v;
        c->head_bytes = 1;
    } else if (v >= -4096 && v <= 4095) {
        c->head[0] = (uint8_t)(LISTPACK_INT_13 | ((uint64_t)v >> 8 & 0x1f));
        c->head[1] = (uint8_t)v;
        c->head_bytes = 2;
    } else {
        unsigned bytes = v >= INT16_MIN && v <= INT16_MAX   ? 2
                         : v >= -(1 << 23) && v < (1 << 23) ? 3
                         : v >= INT32_MIN && v <= INT32_MAX ? 4
                                                            : 8;
        c->head[0] = (uint8_t)(bytes == 8 ? LISTPACK_INT_64 : LISTPACK_INT_16 + bytes - 2);
        store_le(c->head + 1, (uint64_t)v, bytes);
        c->head_bytes = (uint8_t)(1 + bytes);
    }
    c->size = c->head_bytes;
}

static void code_string(struct coded *c, struct slice text) {
    size_t n = text.n;
    c->text = text;
    if (n < 64) {
        c->head[0] = (uint8_t)(LISTPACK_TEXT_6 | n);
        c->head_bytes = 1;
    } else if (n < 4096) {
        c->head[0] = (uint8_t)(LISTPACK_TEXT_12 | n >> 8);
        c->head[1] = (uint8_t)n;
        c->head_bytes = 2;
    } else {
        c->head[0] = LISTPACK_TEXT_32;
        store_le(c->head + 1, n, 4);
        c->head_bytes = 5;
    }
    c->size = c->head_bytes + n;
}

/** Whether the text is a canonical integer; most that are not are told by the first byte. */
static inline bool as_i64(struct slice text, int64_t *v) {
    if (text.n == 0 || text.n > 20) return false;
    unsigned first = (unsigned char)text.p[0];
    if (first - (unsigned)'0' > 9 && text.p[0] != '-') return false;
    return num_parse_i64(text, v);
}

static inline void code(struct coded *c, struct slice text) {
    int64_t v;
    if (as_i64(text, &v))
        code_i64(c, v);
    else
        code_string(c, text);
}

static inline size_t coded_bytes(const struct coded *c) {
    return c->size + listpack__back_bytes(c->size);
}

/** Writes the length so that it reads from behind: the last byte is the lowest and has no mark. */
static inline void write_back(uint8_t *p, size_t size) {
    if (likely(size < 128)) {
        *p = (uint8_t)size;
        return;
    }
    size_t bytes = listpack__back_bytes(size);
    for (size_t i = bytes; i-- > 0; size >>= 7)
        p[i] = (uint8_t)((size & 0x7f) | (i > 0 ? 0x80 : 0));
}

static inline void write_coded(uint8_t *p, const struct coded *c) {
    memcpy(p, c->head, c->head_bytes);
    if (c->text.n > 0) memcpy(p + c->head_bytes, c->text.p, c->text.n);
    write_back(p + c->size, c->size);
}

// ---- room --------------------------------------------------------------------------------------

/** What to ask for when `bytes` are needed and more may follow: up to an eighth more. */
size_t listpack_room(size_t bytes) {
    if (bytes <= 64) return bytes;
    size_t step = (size_t)1 << (60 - __builtin_clzll(bytes)); // an eighth of the power of two below
    if (step < 16) step = 16;
    return (bytes + step - 1) & ~(step - 1);
}

static inline uint8_t *make_room(uint8_t *lp, size_t bytes) {
    if (likely(mem_usable(lp) >= bytes)) return lp;
    ASSERT(bytes <= UINT32_MAX);
    return mem_realloc(lp, listpack_room(bytes));
}

/** To a block for `room` bytes: an allocator may leave a block that shrinks to half where it is. */
static uint8_t *move(uint8_t *lp, size_t bytes, size_t room) {
    uint8_t *to = memcpy(mem_alloc(room), lp, bytes);
    mem_free(lp);
    return to;
}

/** Gives memory back once more than a quarter is unused. */
static inline uint8_t *give_back(uint8_t *lp, size_t bytes) {
    size_t room = mem_usable(lp);
    if (likely(bytes + 16 > room - room / 4)) return lp;
    return move(lp, bytes, listpack_room(bytes));
}

/**
 * Replaces `removed` bytes at the offset by `added` bytes that are to be written there, and
 * corrects the header.
 */
static uint8_t *splice(uint8_t *lp, size_t at, size_t removed, size_t added, int64_t elements) {
    size_t before = listpack_bytes(lp), after = before - removed + added;
    ASSERT_DEV(at >= LISTPACK_HEADER && at + removed < before);
    if (added > removed) lp = make_room(lp, after);
    if (added != removed) memmove(lp + at + added, lp + at + removed, before - at - removed);
    set_bytes(lp, after);
    if (elements != 0) add_count(lp, elements);
    return added < removed ? give_back(lp, after) : lp;
}

uint8_t *listpack_new(size_t room) {
    uint8_t *lp = mem_alloc(room > LISTPACK_MIN_BYTES ? room : LISTPACK_MIN_BYTES);
    set_bytes(lp, LISTPACK_MIN_BYTES);
    set_count(lp, 0);
    lp[LISTPACK_HEADER] = LISTPACK_END;
    return lp;
}

uint8_t *listpack_copy(const uint8_t *lp) {
    size_t bytes = listpack_bytes(lp);
    return memcpy(mem_alloc(bytes), lp, bytes);
}

void listpack_free(uint8_t *lp) { mem_free(lp); }

uint8_t *listpack_shrink(uint8_t *lp) {
    size_t bytes = listpack_bytes(lp);
    return mem_good_size(bytes) < mem_usable(lp) ? move(lp, bytes, bytes) : lp;
}

size_t listpack_memory(const uint8_t *lp) { return mem_usable(lp); }

// ---- reading -----------------------------------------------------------------------------------

int64_t listpack__wide(const uint8_t *p) {
    uint64_t v = 0;
    if (p[0] < LISTPACK_TEXT_12) {
        v = (uint64_t)(p[0] & 0x1f) << 8 | p[1];
        return (int64_t)(v << 51) >> 51;
    }
    unsigned bytes = (unsigned)listpack__size(p) - 1;
    for (unsigned i = 0; i < bytes; i++) v |= (uint64_t)p[1 + i] << (8 * i);
    unsigned unused = 64 - 8 * bytes;
    return (int64_t)(v << unused) >> unused;
}

size_t listpack_count(const uint8_t *lp) {
    size_t count = count_field(lp);
    if (likely(count != COUNT_UNKNOWN)) return count;
    count = 0;
    for (const uint8_t *p = listpack_first(lp); p != NULL; p = listpack_next(lp, p)) count++;
    return count;
}

uint8_t *listpack_at(const uint8_t *lp, int64_t index) {
    bool from_end = index < 0;
    uint64_t steps = from_end ? ~(uint64_t)index : (uint64_t)index; // -1 is none from the end
    size_t known = count_field(lp);
    if (known != COUNT_UNKNOWN) {
        if (steps >= known) return NULL;
        if (steps > known / 2) {
            from_end = !from_end;
            steps = known - 1 - steps;
        }
    }
    uint8_t *p = from_end ? listpack_last(lp) : listpack_first(lp);
    for (; p != NULL && steps > 0; steps--)
        p = from_end ? listpack_prev(lp, p) : listpack_next(lp, p);
    return p;
}

struct slice listpack_text(const uint8_t *p, char scratch[NUM_I64_TEXT_MAX]) {
    struct listpack_item item;
    listpack_get(p, &item);
    if (!item.is_int) return item.text;
    return slice_of(scratch, num_format_i64(scratch, item.number));
}

bool listpack_i64(const uint8_t *p, int64_t *out) {
    struct listpack_item item;
    listpack_get(p, &item);
    if (!item.is_int) return as_i64(item.text, out);
    *out = item.number;
    return true;
}

/** What is looked for. */
struct wanted {
    struct slice text;
    bool is_int;
    int64_t number;
};

static inline bool matches(const uint8_t *p, const struct wanted *w) {
    struct listpack_item item;
    listpack_get(p, &item);
    if (item.is_int) return w->is_int && item.number == w->number;
    return slice_equal_short(item.text, w->text);
}

bool listpack_equal(const uint8_t *p, struct slice text) {
    struct wanted w = {.text = text};
    w.is_int = as_i64(text, &w.number);
    return matches(p, &w);
}

/** The next element or the terminator; nearly all are short texts and small integers. */
static inline const uint8_t *step(const uint8_t *p) {
    unsigned b = *p;
    if (likely(b < LISTPACK_INT_13)) return p + 2 + (b < LISTPACK_TEXT_6 ? 0 : b & 0x3f);
    return listpack__after(p);
}

/** What is looked for is coded once: an element that equals it has the same bytes. */
uint8_t *listpack_find(const uint8_t *lp, const uint8_t *p, struct slice text, unsigned skip) {
    (void)lp;
    if (p == NULL) return NULL;
    struct coded c;
    code(&c, text);
    while (*p != LISTPACK_END) {
        // The same first byte means as many head bytes, the same head bytes mean as long a text.
        if (*p == c.head[0] && memcmp(p, c.head, c.head_bytes) == 0 &&
            slice_equal_short(slice_of(p + c.head_bytes, c.text.n), c.text))
            return (uint8_t *)p;
        p = step(p);
        for (unsigned i = 0; i < skip && *p != LISTPACK_END; i++) p = step(p);
    }
    return NULL;
}

// ---- changing ----------------------------------------------------------------------------------

static uint8_t *insert_coded(uint8_t *lp, size_t at, size_t removed, const struct coded *c) {
    lp = splice(lp, at, removed, coded_bytes(c), removed > 0 ? 0 : 1);
    write_coded(lp + at, c);
    return lp;
}

static inline uint8_t *append_coded(uint8_t *lp, const struct coded *c) {
    size_t before = listpack_bytes(lp), after = before + coded_bytes(c);
    lp = make_room(lp, after);
    write_coded(lp + before - 1, c);
    lp[after - 1] = LISTPACK_END;
    set_bytes(lp, after);
    add_count(lp, 1);
    return lp;
}

uint8_t *listpack_append(uint8_t *lp, struct slice text) {
    struct coded c;
    code(&c, text);
    return append_coded(lp, &c);
}

uint8_t *listpack_append_i64(uint8_t *lp, int64_t number) {
    struct coded c;
    code_i64(&c, number);
    return append_coded(lp, &c);
}

void listpack_append_begin(struct listpack_appender *a, uint8_t *lp, size_t bound) {
    size_t bytes = listpack_bytes(lp);
    a->lp = make_room(lp, bytes + bound);
    a->end = a->lp + bytes - 1;
    a->count = 0;
}

static inline void append_to(struct listpack_appender *a, const struct coded *c) {
    write_coded(a->end, c);
    a->end += coded_bytes(c);
    a->count++;
}

void listpack_append_text(struct listpack_appender *a, struct slice text) {
    struct coded c;
    code(&c, text);
    append_to(a, &c);
}

void listpack_append_number(struct listpack_appender *a, int64_t number) {
    struct coded c;
    code_i64(&c, number);
    append_to(a, &c);
}

uint8_t *listpack_append_end(struct listpack_appender *a) {
    *a->end++ = LISTPACK_END;
    ASSERT_DEV((size_t)(a->end - a->lp) <= mem_usable(a->lp));
    set_bytes(a->lp, (size_t)(a->end - a->lp));
    add_count(a->lp, (int64_t)a->count);
    return a->lp;
}

uint8_t *listpack_prepend(uint8_t *lp, struct slice text) {
    struct coded c;
    code(&c, text);
    return insert_coded(lp, LISTPACK_HEADER, 0, &c);
}

static uint8_t *insert_before(uint8_t *lp, const uint8_t *p, const struct coded *c, uint8_t **at) {
    size_t offset = p != NULL ? (size_t)(p - lp) : listpack_bytes(lp) - 1;
    lp = insert_coded(lp, offset, 0, c);
    if (at != NULL) *at = lp + offset;
    return lp;
}

uint8_t *listpack_insert(uint8_t *lp, uint8_t *p, struct slice text, uint8_t **at) {
    struct coded c;
    code(&c, text);
    return insert_before(lp, p, &c, at);
}

uint8_t *listpack_insert_i64(uint8_t *lp, uint8_t *p, int64_t number, uint8_t **at) {
    struct coded c;
    code_i64(&c, number);
    return insert_before(lp, p, &c, at);
}

static uint8_t *replace_coded(uint8_t *lp, uint8_t **p, const struct coded *c) {
    size_t offset = (size_t)(*p - lp);
    // The text is written after the old element has been cut: nothing of it is read any more.
    lp = insert_coded(lp, offset, (size_t)(listpack__after(*p) - *p), c);
    *p = lp + offset;
    return lp;
}

uint8_t *listpack_replace(uint8_t *lp, uint8_t **p, struct slice text) {
    struct coded c;
    code(&c, text);
    return replace_coded(lp, p, &c);
}

uint8_t *listpack_replace_i64(uint8_t *lp, uint8_t **p, int64_t number) {
    struct coded c;
    code_i64(&c, number);
    return replace_coded(lp, p, &c);
}

uint8_t *listpack_delete(uint8_t *lp, uint8_t **p, size_t count) {
    const uint8_t *end = *p;
    size_t deleted = 0;
    for (; deleted < count && *end != LISTPACK_END; deleted++) end = listpack__after(end);
    size_t offset = (size_t)(*p - lp);
    lp = splice(lp, offset, (size_t)(end - *p), 0, -(int64_t)deleted);
    *p = lp[offset] == LISTPACK_END ? NULL : lp + offset;
    return lp;
}

uint8_t *listpack_delete_range(uint8_t *lp, int64_t index, size_t count) {
    if (count == 0) return lp;
    size_t known = count_field(lp);
    uint8_t *p = listpack_at(lp, index);
    if (p == NULL) return lp;
    if (known == COUNT_UNKNOWN) return listpack_delete(lp, &p, count);
    size_t from = index < 0 ? known - (size_t) ~(uint64_t)index - 1 : (size_t)index;
    if (count < known - from) return listpack_delete(lp, &p, count);
    // All to the end: no need to walk them.
    size_t offset = (size_t)(p - lp), bytes = listpack_bytes(lp);
    return splice(lp, offset, bytes - 1 - offset, 0, -(int64_t)(known - from));
}

uint8_t *listpack_merge(uint8_t *lp, const uint8_t *other) {
    size_t before = listpack_bytes(lp), more = listpack_bytes(other) - LISTPACK_MIN_BYTES;
    size_t count = listpack_count(lp) + listpack_count(other);
    lp = make_room(lp, before + more);
    memcpy(lp + before - 1, other + LISTPACK_HEADER, more + 1);
    set_bytes(lp, before + more);
    set_count(lp, count);
    return lp;
}

uint8_t *listpack_drop_first(uint8_t *lp) {
    const uint8_t *first = lp + LISTPACK_HEADER;
    ASSERT_DEV(*first != LISTPACK_END);
    size_t bytes = (size_t)(listpack__after(first) - first);
    set_bytes(lp, listpack_bytes(lp) - bytes);
    add_count(lp, -1);
    return memmove(lp + bytes, lp, LISTPACK_HEADER);
}

uint8_t *listpack_prepend_in_gap(uint8_t *lp, struct slice text, size_t gap) {
    struct coded c;
    code(&c, text);
    size_t bytes = coded_bytes(&c);
    if (bytes > gap) return NULL;
    lp = memmove(lp - bytes, lp, LISTPACK_HEADER);
    write_coded(lp + LISTPACK_HEADER, &c);
    set_bytes(lp, listpack_bytes(lp) + bytes);
    add_count(lp, 1);
    return lp;
}

size_t listpack_element_bytes(struct slice text) {
    struct coded c;
    code(&c, text);
    return coded_bytes(&c);
}

// ---- checking ----------------------------------------------------------------------------------

/** Bytes of the element at p in front of its text, 0: no element begins like that. */
static size_t head_bytes(const uint8_t *p) {
    if (p[0] < LISTPACK_TEXT_12) return 1;
    if (p[0] < LISTPACK_TEXT_32) return 2;
    return p[0] == LISTPACK_TEXT_32 ? 5 : p[0] <= LISTPACK_INT_64 ? 1 : 0;
}

/** The length of the element at p with all its parts when it ends before `end`, otherwise 0. */
static size_t checked_element(const uint8_t *p, const uint8_t *end) {
    size_t room = (size_t)(end - p), head = head_bytes(p);
    if (head == 0 || head > room) return 0;
    size_t size = listpack__size(p), back = listpack__back_bytes(size);
    if (size + back > room) return 0;
    if (likely(back == 1)) return p[size] == size ? size + 1 : 0;
    uint8_t expected[5];
    write_back(expected, size);
    return memcmp(p + size, expected, back) == 0 ? size + back : 0;
}

bool listpack_validate(const uint8_t *bytes, size_t n,
                       bool (*each)(void *context, const struct listpack_item *item),
                       void *context) {
    if (n < LISTPACK_MIN_BYTES || listpack_bytes(bytes) != n) return false;
    const uint8_t *p = bytes + LISTPACK_HEADER, *end = bytes + n - 1;
    if (*end != LISTPACK_END) return false;
    size_t count = 0;
    while (p < end) {
        size_t length = checked_element(p, end);
        if (length == 0) return false;
        if (each != NULL) {
            struct listpack_item item;
            listpack_get(p, &item);
            if (!each(context, &item)) return false;
        }
        p += length;
        count++;
    }
    return count_field(bytes) == COUNT_UNKNOWN || count_field(bytes) == count;
}

static bool is_canonical(const uint8_t *p) {
    struct listpack_item item;
    struct coded c;
    if (*p < LISTPACK_TEXT_6) return true;
    listpack_get(p, &item);
    if (item.is_int)
        code_i64(&c, item.number);
    else
        code(&c, item.text);
    return c.head_bytes + c.text.n == listpack__size(p) && *p == c.head[0];
}

bool listpack_check(const uint8_t *bytes, size_t n, bool *canonical) {
    if (n < LISTPACK_MIN_BYTES || listpack_bytes(bytes) != n) return false;
    const uint8_t *p = bytes + LISTPACK_HEADER, *end = bytes + n - 1;
    if (*end != LISTPACK_END) return false;
    size_t count = 0;
    *canonical = true;
    for (; p < end; count++) {
        size_t length = checked_element(p, end);
        if (length == 0) return false;
        // Most are integers of a byte, or short texts that are told from numbers by their first.
        bool plain = *p < LISTPACK_TEXT_6 ||
                     (*p<LISTPACK_INT_13 && * p> LISTPACK_TEXT_6 && p[1] > (unsigned)'9');
        if (!plain && *canonical) *canonical = is_canonical(p);
        p += length;
    }
    return count_field(bytes) == COUNT_UNKNOWN || count_field(bytes) == count;
}

uint8_t *listpack_canonical_copy(const uint8_t *lp) {
    struct listpack_appender a;
    // No element becomes longer.
    listpack_append_begin(&a, listpack_new(listpack_bytes(lp)), 0);
    for (const uint8_t *p = lp + LISTPACK_HEADER; *p != LISTPACK_END; p = step(p)) {
        struct listpack_item item;
        listpack_get(p, &item);
        if (item.is_int)
            listpack_append_number(&a, item.number);
        else
            listpack_append_text(&a, item.text);
    }
    return listpack_shrink(listpack_append_end(&a));
}
