// SPDX-License-Identifier: BSD-3-Clause
//
// A checker for strict serializability of small histories (after Wing and Gong, and Lowe): looks
// for an order of all operations in which a plain sequential model gives every client the very
// bytes it got. What ended before something else began stays before it, and so does what a pipeline
// orders. States that were seen with the same set of operations done are not tried again. Pure
// function of the history.
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/alloc.h"
#include "engine/base/hash.h"
#include "tests/simulation/sim.h"

#define MODEL_KEYS  8
#define MODEL_BYTES 128
#define NODES_MAX   300000

struct cell {
    int16_t length; // -1: absent
    char bytes[MODEL_BYTES];
};

struct model {
    struct cell cells[MODEL_KEYS];
};

struct set128 {
    uint64_t low, high;
};

struct search {
    struct op *const *ops;
    uint32_t count;
    const char *const *keys;
    int key_count;
    struct set128 before[LINEAR_OPS_MAX]; // what must be done first
    struct set128 answered;
    uint64_t *seen; // open addressing; 0: free
    uint64_t seen_mask, seen_count, nodes;
    struct buf out;
};

static bool set_has(struct set128 s, uint32_t i) {
    return ((i < 64 ? s.low >> i : s.high >> (i - 64)) & 1) != 0;
}
static void set_add(struct set128 *s, uint32_t i) {
    if (i < 64)
        s->low |= UINT64_C(1) << i;
    else
        s->high |= UINT64_C(1) << (i - 64);
}
static bool set_covers(struct set128 s, struct set128 part) {
    return (part.low & ~s.low) == 0 && (part.high & ~s.high) == 0;
}

// ---- the model ---------------------------------------------------------------------------------

static struct cell *cell_of(const struct search *s, struct model *m, const char *key) {
    for (int i = 0; i < s->key_count; i++)
        if (s->keys[i] == key || strcmp(s->keys[i], key) == 0) return &m->cells[i];
    ASSERT(false);
    return NULL;
}

static void cell_set(struct cell *c, const char *text) {
    size_t n = strlen(text);
    ASSERT(n <= MODEL_BYTES);
    memset(c, 0, sizeof *c);
    memcpy(c->bytes, text, n);
    c->length = (int16_t)n;
}

static void cell_clear(struct cell *c) {
    memset(c, 0, sizeof *c);
    c->length = -1;
}

static void answer_int(struct buf *out, int64_t number) {
    buf_printf(out, ":%lld\r\n", (long long)number);
}

static void answer_cell(struct buf *out, const struct cell *c) {
    if (c->length < 0)
        buf_printf(out, "$-1\r\n");
    else
        buf_printf(out, "$%d\r\n%.*s\r\n", c->length, (int)c->length, c->bytes);
}

static void apply_incr(struct cell *c, struct buf *out) {
    char text[MODEL_BYTES + 1], canonical[32], *end;
    snprintf(text, sizeof text, "%.*s", c->length < 0 ? 1 : (int)c->length,
             c->length < 0 ? "0" : c->bytes);
    long long number = strtoll(text, &end, 10);
    snprintf(canonical, sizeof canonical, "%lld", number);
    if (strcmp(text, canonical) != 0) {
        buf_append_text(out, "-ERR value is not an integer or out of range\r\n");
        return;
    }
    snprintf(canonical, sizeof canonical, "%lld", number + 1);
    cell_set(c, canonical);
    answer_int(out, number + 1);
}

/** Commands over two keys. False: not one of them. */
static bool apply_two(const struct search *s, struct model *m, const struct line *l,
                      struct buf *out) {
    const char *name = l->argv[0];
    bool copy = strcmp(name, "COPY") == 0, nx = strcmp(name, "RENAMENX") == 0;
    if (!copy && !nx && strcmp(name, "RENAME") != 0) return false;
    struct cell *from = cell_of(s, m, l->argv[1]), *to = cell_of(s, m, l->argv[2]);
    bool replace = !nx && (!copy || l->argc > 3), ok = replace || to->length < 0;
    if (from->length < 0) {
        if (copy)
            answer_int(out, 0);
        else
            buf_append_text(out, "-ERR no such key\r\n");
        return true;
    }
    if (ok && from != to) {
        *to = *from;
        if (!copy) cell_clear(from);
    }
    if (copy || nx)
        answer_int(out, ok);
    else
        buf_append_text(out, "+OK\r\n");
    return true;
}

/** Commands over any number of keys. False: not one of them. */
static bool apply_many(const struct search *s, struct model *m, const struct line *l,
                       struct buf *out) {
    const char *name = l->argv[0];
    int64_t count = 0;
    if (strcmp(name, "MGET") == 0) {
        buf_printf(out, "*%d\r\n", l->argc - 1);
        for (int i = 1; i < l->argc; i++) answer_cell(out, cell_of(s, m, l->argv[i]));
    } else if (strcmp(name, "MSET") == 0 || strcmp(name, "MSETNX") == 0) {
        bool nx = name[4] != '\0';
        for (int i = 1; i < l->argc; i += 2) count += cell_of(s, m, l->argv[i])->length >= 0;
        for (int i = 1; i < l->argc && (!nx || count == 0); i += 2)
            cell_set(cell_of(s, m, l->argv[i]), l->argv[i + 1]);
        if (nx)
            answer_int(out, count == 0);
        else
            buf_append_text(out, "+OK\r\n");
    } else if (strcmp(name, "DEL") == 0 || strcmp(name, "EXISTS") == 0) {
        for (int i = 1; i < l->argc; i++) {
            struct cell *c = cell_of(s, m, l->argv[i]);
            count += c->length >= 0;
            if (name[0] == 'D') cell_clear(c);
        }
        answer_int(out, count);
    } else {
        return false;
    }
    return true;
}

static void apply_one(const struct search *s, struct model *m, const struct line *l,
                      struct buf *out) {
    if (apply_two(s, m, l, out) || apply_many(s, m, l, out)) return;
    const char *name = l->argv[0];
    struct cell *c = cell_of(s, m, l->argv[1]);
    if (strcmp(name, "GET") == 0) {
        answer_cell(out, c);
    } else if (strcmp(name, "SET") == 0) {
        bool unless = l->argc > 3 && c->length >= 0; // NX
        if (!unless) cell_set(c, l->argv[2]);
        buf_append_text(out, unless ? "$-1\r\n" : "+OK\r\n");
    } else if (strcmp(name, "INCR") == 0) {
        apply_incr(c, out);
    } else if (strcmp(name, "APPEND") == 0) {
        size_t n = strlen(l->argv[2]);
        if (c->length < 0) c->length = 0;
        ASSERT((size_t)c->length + n <= MODEL_BYTES);
        memcpy(c->bytes + c->length, l->argv[2], n);
        c->length += (int16_t)n;
        answer_int(out, c->length);
    } else if (strcmp(name, "GETSET") == 0) {
        answer_cell(out, c);
        cell_set(c, l->argv[2]);
    } else if (strcmp(name, "GETDEL") == 0) {
        answer_cell(out, c);
        cell_clear(c);
    } else if (strcmp(name, "STRLEN") == 0) {
        answer_int(out, c->length < 0 ? 0 : c->length);
    } else {
        ASSERT(false);
    }
}

/** Applies an operation. False: the client got another answer. */
static bool apply(struct search *s, struct model *m, const struct op *op) {
    s->out.len = 0;
    if (op->block) buf_printf(&s->out, "*%d\r\n", op->count);
    for (int i = 0; i < op->count; i++) apply_one(s, m, &op->lines[i], &s->out);
    return !op->reply || (op->raw_n == s->out.len && memcmp(op->raw, s->out.p, op->raw_n) == 0);
}

// ---- the search --------------------------------------------------------------------------------

static bool is_write(const struct op *op) {
    static const char *const reads[] = {"GET", "MGET", "EXISTS", "STRLEN"};
    for (int i = 0; i < op->count; i++) {
        bool read = false;
        for (size_t r = 0; r < sizeof reads / sizeof reads[0]; r++)
            read |= strcmp(op->lines[i].argv[0], reads[r]) == 0;
        if (!read) return true;
    }
    return false;
}

static void find_order(struct search *s) {
    for (uint32_t j = 0; j < s->count; j++) {
        const struct op *b = s->ops[j];
        if (b->reply) set_add(&s->answered, j);
        for (uint32_t i = 0; i < s->count; i++) {
            const struct op *a = s->ops[i];
            bool earlier = a->respond != 0 && a->respond != SIM_LOST && a->respond < b->invoke;
            bool piped = a->client == b->client && a->connection == b->connection &&
                         a->invoke < b->invoke && (is_write(a) || is_write(b));
            if (earlier || piped) set_add(&s->before[j], i);
        }
    }
}

static bool first_visit(struct search *s, struct set128 done, const struct model *m) {
    uint64_t h = hash_bytes(m, sizeof *m, done.low * 31 + done.high * 1000003 + 1) | 1;
    uint64_t at = h >> 20 & s->seen_mask;
    for (; s->seen[at]; at = (at + 1) & s->seen_mask)
        if (s->seen[at] == h) return false;
    s->seen[at] = h;
    s->seen_count++;
    return true;
}

static enum linear_result search_from(struct search *s, struct set128 done, const struct model *m) {
    if (set_covers(done, s->answered)) return LINEAR_YES;
    if (++s->nodes > NODES_MAX || s->seen_count * 2 > s->seen_mask) return LINEAR_UNKNOWN;
    enum linear_result result = LINEAR_NO;
    for (uint32_t i = 0; i < s->count && result == LINEAR_NO; i++) {
        if (set_has(done, i) || !set_covers(done, s->before[i])) continue;
        struct model next = *m;
        if (!apply(s, &next, s->ops[i])) continue;
        struct set128 more = done;
        set_add(&more, i);
        if (first_visit(s, more, &next)) result = search_from(s, more, &next);
    }
    return result;
}

enum linear_result linear_check(struct op *const *ops, uint32_t count, const char *const *keys,
                                int key_count) {
    ASSERT(count <= LINEAR_OPS_MAX && key_count <= MODEL_KEYS);
    struct search *s = mem_calloc(sizeof *s);
    s->ops = ops;
    s->count = count;
    s->keys = keys;
    s->key_count = key_count;
    find_order(s);
    struct model empty;
    memset(&empty, 0, sizeof empty);
    for (int i = 0; i < MODEL_KEYS; i++) cell_clear(&empty.cells[i]);
    enum linear_result result = LINEAR_UNKNOWN;
    for (uint64_t size = 1024; size <= 1024 * 1024 && result == LINEAR_UNKNOWN; size *= 32) {
        s->seen = mem_calloc(size * sizeof *s->seen);
        s->seen_mask = size - 1;
        s->seen_count = s->nodes = 0;
        result = search_from(s, (struct set128){0}, &empty);
        mem_free(s->seen);
    }
    buf_free(&s->out);
    mem_free(s);
    return result;
}
