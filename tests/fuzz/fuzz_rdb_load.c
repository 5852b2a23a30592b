// SPDX-License-Identifier: BSD-3-Clause
//
// Fuzz target for values in their serialized form: whatever rdb_load_entry() takes must be valid,
// must be gone past by rdb_in_skip_value() alike, and must stand being read, copied, changed and
// loaded again under other limits. An input is a type with bytes, or a sample with places that are
// damaged. One thread. Invariant: nothing is read beyond the input, and no memory is lost.
#include "engine/base/assert.h"
#include "engine/types/t_hash.h"
#include "engine/types/t_list.h"
#include "engine/types/t_set.h"
#include "engine/types/t_stream_group.h"
#include "engine/types/t_zset.h"
#include "tests/unit/rdb/samples.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct value_limits low = {
    .list_max_listpack_size = 2,
    .list_compress_depth = 1,
    .list_plain_min = 40,
    .set_max_intset_entries = 2,
    .set_max_listpack_entries = 2,
    .set_max_listpack_value = 4,
    .hash_max_listpack_entries = 1,
    .hash_max_listpack_value = 4,
    .zset_max_listpack_entries = 2,
    .zset_max_listpack_value = 4,
    .stream_node_max_bytes = 64,
    .stream_node_max_entries = 2,
    .hll_sparse_max_bytes = 16,
};

/** In the shortest steps it comes to the same. */
static void load_in_steps(struct rdb_load *how, const uint8_t *bytes, size_t n, uint8_t type,
                          enum rdb_loaded expected, const uint8_t *end) {
    struct rdb_loading loading;
    struct rdb_in in;
    struct entry *e;
    enum rdb_loaded result;
    rdb_in_init(&in, bytes, n, 0);
    rdb_load_begin(&loading, type);
    do result = rdb_load_step(how, &loading, &in, 1, SLICE_LITERAL("k"), 1, &e);
    while (result == RDB_LOAD_MORE);
    ASSERT(result == expected && in.at == end);
    if (e != NULL) entry_free(e);
}

static struct entry *load(const uint8_t *bytes, size_t n, uint8_t type, uint8_t dialect,
                          const struct value_limits *limits, int64_t now_ms) {
    struct rdb_load how = {.dialect = dialect, .now_ms = now_ms, .limits = limits};
    struct rdb_in in, skip;
    struct entry *e;
    rdb_in_init(&in, bytes, n, 0);
    enum rdb_loaded result = rdb_load_entry(&how, &in, type, SLICE_LITERAL("k"), 1, &e);
    ASSERT(in.at >= in.start && in.at <= in.end);
    ASSERT((result == RDB_LOADED) == (e != NULL));
    if (result == RDB_LOADED || result == RDB_LOAD_EMPTY) {
        ASSERT(!in.failed);
        rdb_in_init(&skip, bytes, n, 0);
        ASSERT(rdb_in_skip_value(&skip, type, dialect) && skip.at == in.at);
    } else {
        ASSERT(in.failed && in.error[0] != '\0');
    }
    load_in_steps(&how, bytes, n, type, result, in.at);
    rdb_load_fini(&how);
    return e;
}

static void change_stream(struct stream *s, const struct value_limits *limits) {
    const struct slice pair[] = {SLICE_LITERAL("name"), SLICE_LITERAL("v")};
    struct stream_id id = s->last;
    if (s->length > 0) tstream_delete(s, s->first);
    for (unsigned i = 0; i < 3 && stream_id_increment(&id); i++)
        tstream_add(s, id, pair, 1, limits);
    for (uint32_t i = 0; i < s->groups.count; i++) {
        struct stream_group *g = tstream_group_at(s, i);
        if (g->consumers.count > 0) tstream_pending_give(s, g, s->last, tstream_consumer_at(g, 0));
        if (g->consumers.count > 1) tstream_consumer_remove(s, g, tstream_consumer_at(g, 1));
    }
}

/** What was loaded is changed as any value may be; what has become of it is to be valid. */
static void change(struct entry *e, const struct value_limits *limits) {
    if (entry_type(e) == ENTRY_STRING) return;
    const struct slice text = SLICE_LITERAL("another text"), number = SLICE_LITERAL("-77");
    struct value v = entry_value(e);
    switch (entry_type(e)) {
    case ENTRY_LIST:
        tlist_push(&v, text, true, limits);
        tlist_push(&v, number, false, limits);
        tlist_delete(&v, 1, 1);
        tlist_has_shrunk(&v, limits);
        break;
    case ENTRY_SET:
        tset_add(&v, text, limits);
        tset_add(&v, number, limits);
        tset_remove(&v, SLICE_LITERAL("a"));
        break;
    case ENTRY_HASH:
        thash_set(&v, text, number, false, 0, limits);
        thash_set_expire(&v, text, LATER_MS);
        thash_remove(&v, SLICE_LITERAL("f"), 0);
        break;
    case ENTRY_ZSET:
        tzset_add(&v, text, 2.5, limits);
        tzset_add(&v, SLICE_LITERAL("a"), 1, limits);
        tzset_remove(&v, SLICE_LITERAL("b"));
        break;
    default: change_stream(tstream_of(v), limits); break;
    }
    entry_set_value(e, v);
    ASSERT(entry_is_valid(e));
}

static void use(const uint8_t *bytes, size_t n, uint8_t type, uint8_t dialect) {
    struct entry *e = load(bytes, n, type, dialect, &value_default_limits, 0);
    struct entry *other = load(bytes, n, type, dialect, &low, 0);
    ASSERT((e == NULL) == (other == NULL));
    struct entry *later = load(bytes, n, type, dialect, &low, LATER_MS + 5);
    if (later != NULL) {
        ASSERT(entry_is_valid(later));
        entry_free(later);
    }
    if (e == NULL) return;
    struct digest one = {0}, two = {0}, three = {0};
    ASSERT(entry_is_valid(e) && entry_is_valid(other));
    entry_digest(e, &one);
    entry_digest(other, &two);
    struct entry *copy = entry_copy(e, SLICE_LITERAL("k"), 1);
    ASSERT(entry_is_valid(copy));
    entry_digest(copy, &three);
    ASSERT(one.low == two.low && one.high == two.high);
    ASSERT(one.low == three.low && one.high == three.high);
    change(e, &value_default_limits);
    change(other, &low);
    entry_free(e);
    entry_free(other);
    entry_free(copy);
}

/** A sample with one to four bytes replaced, taken out or put in: three bytes of input for each. */
static void damage(const uint8_t *data, size_t size) {
    const struct sample *s = &samples[data[0] % SAMPLES];
    struct buf b = {0};
    s->write(&b);
    size_t edits = 1 + data[1] % 4;
    for (size_t i = 2; i + 2 < size && edits > 0 && b.len > 1; i += 3, edits--) {
        size_t at = (2u * data[i] + data[i + 1] / 128) % b.len;
        if (data[i + 1] % 8 == 6) {
            memmove(b.p + at, b.p + at + 1, b.len - at - 1);
            b.len--;
        } else if (data[i + 1] % 8 == 7) {
            buf_append_char(&b, '\0');
            memmove(b.p + at + 1, b.p + at, b.len - at - 1);
            b.p[at] = (char)data[i + 2];
        } else {
            b.p[at] = (char)data[i + 2];
        }
    }
    uint8_t *exact = malloc(b.len);
    if (exact == NULL) abort();
    memcpy(exact, b.p, b.len);
    use(exact, b.len, s->type, s->dialect);
    free(exact);
    buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 3) return 0;
    if (data[0] % 2 == 0)
        damage(data + 1, size - 1);
    else
        use(data + 2, size - 2, data[1] % 28, data[0] % 16 == 1 ? RDB_VALKEY : RDB_REDIS);
    return 0;
}
