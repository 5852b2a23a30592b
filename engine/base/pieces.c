// SPDX-License-Identifier: BSD-3-Clause
//
// Lists of pieces. They are made for replies with long values only, so each is one block that grows
// by doubling and goes when it is empty. Runs on the thread that has the reply in its hands.
// Invariant: places ascend and do not exceed the buffer's length; `bytes` is the sum. Called by the
// reply writer and by whoever keeps, joins or sends replies.
#include "engine/base/pieces.h"

#include "engine/base/alloc.h"
#include "engine/base/assert.h"

#define CAP_MIN 4

static void reserve(struct pieces **list, uint32_t more) {
    struct pieces *l = *list;
    uint32_t count = l == NULL ? 0 : l->count, cap = l == NULL ? 0 : l->cap;
    if (cap - count >= more) return;
    cap = cap * 2 > count + more ? cap * 2 : count + more;
    if (cap < CAP_MIN) cap = CAP_MIN;
    l = mem_realloc(l, sizeof(*l) + cap * sizeof(l->v[0]));
    if (*list == NULL) *l = (struct pieces){.bytes = 0};
    l->cap = cap;
    *list = l;
}

void pieces_add(struct pieces **list, size_t at, struct blob *blob, struct slice bytes) {
    reserve(list, 1);
    struct pieces *l = *list;
    ASSERT_DEV(l->count == 0 || l->v[l->count - 1].at <= at);
    blob_hold(blob);
    l->v[l->count++] = (struct pin){at, blob, bytes};
    l->bytes += bytes.n;
}

void pieces_append(struct pieces **to, size_t base, struct pieces **from) {
    struct pieces *f = *from;
    if (likely(f == NULL)) return;
    reserve(to, f->count);
    struct pieces *t = *to;
    for (uint32_t i = 0; i < f->count; i++) {
        t->v[t->count] = f->v[i];
        t->v[t->count++].at += base;
    }
    t->bytes += f->bytes;
    mem_free(f);
    *from = NULL;
}

void pieces_cut(struct pieces **list, size_t from, void (*drop)(struct blob *blob)) {
    struct pieces *l = *list;
    if (likely(l == NULL)) return;
    while (l->count > 0 && l->v[l->count - 1].at >= from) {
        struct pin *last = &l->v[--l->count];
        l->bytes -= last->bytes.n;
        drop(last->blob);
    }
    if (l->count > 0) return;
    mem_free(l);
    *list = NULL;
}

void pieces_shift(struct pieces *list, size_t mark, size_t delta) {
    if (likely(list == NULL)) return;
    for (uint32_t i = list->count; i > 0 && list->v[i - 1].at > mark; i--) {
        list->v[i - 1].at += delta;
    }
}

struct iovec *pieces_vector(const struct pieces *list, const struct buf *buf, size_t *count) {
    struct iovec *v = mem_alloc((2 * (size_t)list->count + 1) * sizeof(v[0]));
    size_t n = 0, done = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct pin *p = &list->v[i];
        if (p->at > done) v[n++] = (struct iovec){buf->p + done, p->at - done};
        v[n++] = (struct iovec){(char *)(uintptr_t)p->bytes.p, p->bytes.n};
        done = p->at;
    }
    if (buf->len > done) v[n++] = (struct iovec){buf->p + done, buf->len - done};
    *count = n;
    return v;
}
