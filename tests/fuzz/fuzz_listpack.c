// SPDX-License-Identifier: BSD-3-Clause
//
// Fuzz target for listpacks: whatever listpack_validate() lets pass must be safe to walk, to read
// and to change. An input is bytes from anywhere, taken for a listpack, or a program that makes one
// by changes beside a plain array of texts and damages it in the end. One thread. Invariants:
// validation reads no byte outside of the input, every element is seen once and in the same order
// both ways, and what was valid is valid after every change.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/base/random.h"
#include "engine/encoding/listpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXTS_MAX 64

// ---- bytes from anywhere -----------------------------------------------------------------------

struct seen {
    size_t count;
    uint64_t sum; // of all bytes of texts and of integers, so that everything is read
};

static bool see(void *context, const struct listpack_item *item) {
    struct seen *seen = context;
    seen->count++;
    if (item->is_int) seen->sum += (uint64_t)item->number;
    for (size_t i = 0; !item->is_int && i < item->text.n; i++)
        seen->sum += (uint8_t)item->text.p[i];
    return true;
}

static void walk(const uint8_t *lp, const struct seen *expected) {
    struct seen forwards = {0}, backwards = {0};
    char scratch[NUM_I64_TEXT_MAX];
    for (const uint8_t *p = listpack_first(lp); p != NULL; p = listpack_next(lp, p)) {
        struct listpack_item item;
        listpack_get(p, &item);
        see(&forwards, &item);
        ASSERT(listpack_equal(p, listpack_text(p, scratch)));
    }
    for (const uint8_t *p = listpack_last(lp); p != NULL; p = listpack_prev(lp, p)) {
        struct listpack_item item;
        listpack_get(p, &item);
        see(&backwards, &item);
    }
    ASSERT(forwards.count == expected->count && forwards.sum == expected->sum);
    ASSERT(backwards.count == expected->count && backwards.sum == expected->sum);
    ASSERT(listpack_count(lp) == expected->count);
}

/** Changes that any listpack must take. */
static void change(const uint8_t *from) {
    uint8_t *lp = listpack_copy(from);
    size_t count = listpack_count(lp);
    lp = listpack_append(lp, slice_text("1234"));
    lp = listpack_prepend(lp, slice_text("text"));
    ASSERT(listpack_is_valid(lp) && listpack_count(lp) == count + 2);
    uint8_t *p = listpack_at(lp, (int64_t)(count / 2));
    lp = listpack_replace(lp, &p, slice_text("longer than what was there, perhaps"));
    ASSERT(listpack_is_valid(lp) && listpack_count(lp) == count + 2);
    lp = listpack_delete_range(lp, 1, count / 2);
    ASSERT(listpack_is_valid(lp) && listpack_count(lp) == count + 2 - count / 2);
    lp = listpack_shrink(listpack_merge(lp, from));
    ASSERT(listpack_is_valid(lp));
    listpack_free(lp);
}

/** Takes bytes for a listpack, in a block of exactly their size: reads past it are seen. */
static void any_bytes(const uint8_t *data, size_t size, bool repair) {
    uint8_t *copy = malloc(size > 0 ? size : 1);
    ASSERT(copy != NULL);
    memcpy(copy, data, size);
    if (repair && size >= LISTPACK_MIN_BYTES) {
        for (int i = 0; i < 4; i++) copy[i] = (uint8_t)(size >> (8 * i));
        copy[size - 1] = 0xff;
    }
    struct seen seen = {0};
    if (listpack_validate(copy, size, see, &seen)) {
        ASSERT(listpack_bytes(copy) == size);
        walk(copy, &seen);
        change(copy);
    }
    free(copy);
}

// ---- programs ----------------------------------------------------------------------------------

struct program {
    const uint8_t *p, *end;
    struct random random; // drawn from when the input is used up
    uint32_t extra;       // how often
    uint8_t *lp;
    struct slice texts[TEXTS_MAX];
    size_t count;
};

static uint32_t take(struct program *r) {
    if (r->p < r->end) return *r->p++;
    if (r->extra == 0) return 0;
    r->extra--;
    return (uint32_t)random_below(&r->random, 256);
}

/** A text in memory of its own: a number of some width, or bytes of some length. */
static struct slice make_text(struct program *r) {
    static const size_t lengths[] = {0, 1, 62, 63, 64, 65, 127, 128, 4094, 4095, 4096, 8999};
    uint32_t kind = take(r);
    char number[NUM_I64_TEXT_MAX];
    size_t n = lengths[kind % (sizeof lengths / sizeof lengths[0])];
    const char *from = NULL;
    if (kind & 1) {
        int64_t value = (int8_t)take(r);
        n = num_format_i64(number, (int64_t)((uint64_t)value << kind / 2 % 64));
        from = number;
    }
    char *text = malloc(n + 1);
    ASSERT(text != NULL);
    if (from != NULL) memcpy(text, from, n);
    for (size_t i = 0; from == NULL && i < n; i++) text[i] = (char)('a' + (kind + i) % 26);
    return slice_of(text, n);
}

static void insert_text(struct program *r, size_t at, struct slice text) {
    memmove(r->texts + at + 1, r->texts + at, (r->count - at) * sizeof *r->texts);
    r->texts[at] = text;
    r->count++;
}

static void delete_texts(struct program *r, size_t at, size_t n) {
    for (size_t i = at; i < at + n; i++) free((char *)(uintptr_t)r->texts[i].p);
    memmove(r->texts + at, r->texts + at + n, (r->count - at - n) * sizeof *r->texts);
    r->count -= n;
}

static void step(struct program *r) {
    uint32_t what = take(r) % 6;
    size_t at = r->count > 0 ? take(r) % r->count : 0;
    if (what < 3 && r->count < TEXTS_MAX) {
        struct slice text = make_text(r);
        if (what == 0) {
            r->lp = listpack_append(r->lp, text);
            insert_text(r, r->count, text);
        } else if (what == 1) {
            r->lp = listpack_prepend(r->lp, text);
            insert_text(r, 0, text);
        } else {
            uint8_t *place;
            r->lp = listpack_insert(r->lp, listpack_at(r->lp, (int64_t)at), text, &place);
            insert_text(r, at, text);
            ASSERT(listpack_equal(place, text));
        }
    } else if (what == 3 && r->count > 0) {
        struct slice text = make_text(r);
        uint8_t *p = listpack_at(r->lp, (int64_t)at - (int64_t)r->count);
        r->lp = listpack_replace(r->lp, &p, text);
        ASSERT(listpack_equal(p, text));
        delete_texts(r, at, 1);
        insert_text(r, at, text);
    } else if (what == 4 && r->count > 0) {
        size_t n = 1 + take(r) % 3;
        if (n > r->count - at) n = r->count - at;
        r->lp = listpack_delete_range(r->lp, (int64_t)at, n);
        delete_texts(r, at, n);
    } else {
        r->lp = listpack_shrink(r->lp);
    }
}

static void compare(const struct program *r) {
    ASSERT(listpack_is_valid(r->lp) && listpack_count(r->lp) == r->count);
    ASSERT(listpack_memory(r->lp) >= listpack_bytes(r->lp));
    const uint8_t *p = listpack_first(r->lp);
    for (size_t i = 0; i < r->count; i++, p = listpack_next(r->lp, p)) {
        char scratch[NUM_I64_TEXT_MAX];
        ASSERT(p != NULL && slice_equal(listpack_text(p, scratch), r->texts[i]));
    }
    ASSERT(p == NULL);
}

/** The listpack with a few bytes of chance in it, which may leave it valid or not. */
static void damage(const uint8_t *lp, struct random *random) {
    size_t n = listpack_bytes(lp);
    uint8_t *copy = malloc(n);
    ASSERT(copy != NULL);
    memcpy(copy, lp, n);
    for (uint64_t i = random_below(random, 4); i > 0; i--)
        copy[random_below(random, n)] = (uint8_t)random_next(random);
    any_bytes(copy, n, true);
    any_bytes(copy, n - random_below(random, n), false);
    free(copy);
}

static void run_program(const uint8_t *data, size_t size) {
    struct program r = {.p = data, .end = data + size, .lp = listpack_new(0)};
    uint64_t hash = size;
    for (size_t i = 0; i < size; i++) hash = (hash ^ data[i]) * 0x100000001b3;
    random_init(&r.random, hash);
    r.extra = 8 + (uint32_t)random_below(&r.random, 60);
    while (r.p < r.end || r.extra > 0) {
        step(&r);
        compare(&r);
    }
    for (int i = 0; i < 8; i++) damage(r.lp, &r.random);
    delete_texts(&r, 0, r.count);
    listpack_free(r.lp);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size > 8192) return 0;
    if (data[0] & 3)
        run_program(data, size < 256 ? size : 256);
    else
        any_bytes(data + 1, size - 1, data[0] & 4);
    return 0;
}
