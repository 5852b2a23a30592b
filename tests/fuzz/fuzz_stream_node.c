// SPDX-License-Identifier: BSD-3-Clause
//
// Fuzz target for nodes of streams: whatever stream_node_load() takes must be safe to walk, to look
// for ids in and to change. An input is a node's id and listpack bytes, or a program that makes a
// node and damages it. One thread. Invariants: a walk back meets the entries of the walk forth,
// every id is found, and what was valid is valid after every change.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/base/random.h"
#include "engine/encoding/stream_node.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct slice pairs[] = {SLICE_LITERAL("name"), SLICE_LITERAL("value"),
                                     SLICE_LITERAL("other"), SLICE_LITERAL("-12")};

/** Reads all pairs of an entry: the bytes that a reply would be made of. */
static size_t read_pairs(struct stream_entry *e) {
    size_t bytes = 0;
    while (e->left > 0) {
        const uint8_t *field, *value;
        char scratch[NUM_I64_TEXT_MAX];
        stream_entry_pair(e, &field, &value);
        bytes += listpack_text(field, scratch).n;
        bytes += listpack_text(value, scratch).n;
    }
    return bytes;
}

static void walk(const struct stream_node *n, struct stream_id base) {
    struct stream_entry e, found;
    size_t forth = 0, back = 0, bytes_forth = 0, bytes_back = 0;
    for (bool more = stream_node_first(n, base, &e); more; more = stream_node_next(n, base, &e)) {
        forth++;
        ASSERT(stream_node_seek(n, base, e.id, &found) && found.start == e.start);
        ASSERT(stream_node_seek_back(n, base, e.id, &found) && found.start == e.start);
        bytes_forth += read_pairs(&e);
    }
    for (bool more = stream_node_last(n, base, &e); more;
         more = stream_node_previous(n, base, &e)) {
        back++;
        bytes_back += read_pairs(&e);
    }
    ASSERT(forth == back && bytes_forth == bytes_back);
    ASSERT(forth == (size_t)n->live + n->deleted);
}

/** Changes that any node must take; frees it. */
static void change(struct stream_node *n, struct stream_id base, struct random *random) {
    struct stream_entry e;
    ASSERT(stream_node_last(n, base, &e));
    for (unsigned i = 0; i < 20 && stream_id_increment(&e.id); i++) {
        stream_node_append(n, base, e.id, pairs, 1 + random_below(random, 2));
        ASSERT(stream_node_last(n, base, &e));
    }
    for (unsigned i = 0; i < 40 && n->live > 1; i++) {
        struct stream_id id = {base.ms + random_below(random, 64), random_below(random, 4)};
        if (!stream_node_seek(n, base, id, &e) || e.deleted) continue;
        stream_node_delete(n, &e);
    }
    ASSERT(stream_node_is_valid(n, base));
    stream_node_close(n);
    walk(n, base);
    stream_node_free(n);
}

static void try_bytes(const uint8_t *bytes, size_t size, struct stream_id base,
                      struct random *random) {
    uint8_t *lp = memcpy(mem_alloc(size), bytes, size);
    struct stream_node *n = stream_node_load(lp, size, base);
    if (n == NULL) {
        mem_free(lp);
        return;
    }
    ASSERT(stream_node_is_valid(n, base));
    walk(n, base);
    change(n, base, random);
}

/** A node that is made as the input says, and then damaged at a few places. */
static void try_program(const uint8_t *data, size_t size, struct random *random) {
    struct stream_id base = {1000, data[0]}, id = base;
    struct stream_node *n = stream_node_new(pairs, 1 + data[0] % 2, 0);
    stream_node_append(n, base, id, pairs, 1);
    for (size_t i = 1; i < size; i++) {
        id = data[i] % 2 ? (struct stream_id){id.ms + data[i], 0}
                         : (struct stream_id){id.ms, id.seq + 1};
        stream_node_append(n, base, id, pairs, 1 + data[i] % 3 / 2);
    }
    ASSERT(stream_node_is_valid(n, base));
    size_t bytes = listpack_bytes(n->lp);
    uint8_t *damaged = memcpy(mem_alloc(bytes), n->lp, bytes);
    for (uint64_t i = random_below(random, 4); i > 0; i--)
        damaged[random_below(random, bytes)] = (uint8_t)random_next(random);
    try_bytes(damaged, bytes, base, random);
    mem_free(damaged);
    walk(n, base);
    change(n, base, random);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct random random;
    if (size < 2 || size > 4096) return 0;
    random_init(&random, (uint64_t)data[0] << 8 | data[1]);
    if (data[0] % 2 == 0)
        try_program(data + 1, size - 1, &random);
    else
        try_bytes(data + 1, size - 1, (struct stream_id){data[1], 0}, &random);
    return 0;
}
