// SPDX-License-Identifier: BSD-3-Clause
//
// Fuzz target for values in their serialized form: whatever rdb_load_entry() takes must be valid,
// must be gone past by rdb_in_skip_value() alike, and must stand being read, copied and loaded
// again under other limits. An input is a type with bytes, or a sample with places that are
// damaged. One thread. Invariant: nothing is read beyond the input, and no memory is lost.
#include "engine/base/assert.h"
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
    rdb_load_fini(&how);
    return e;
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
    entry_free(e);
    entry_free(other);
    entry_free(copy);
}

/** A sample with bytes replaced, taken out or put in: three bytes of input for each. */
static void damage(const uint8_t *data, size_t size) {
    const struct sample *s = &samples[data[0] % SAMPLES];
    struct buf b = {0};
    s->write(&b);
    for (size_t i = 1; i + 2 < size && b.len > 1; i += 3) {
        size_t at = data[i] % b.len;
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
    if (size < 2) return 0;
    if (data[0] % 2 == 0)
        damage(data + 1, size - 1);
    else
        use(data + 2, size - 2, data[1] % 28, data[0] % 16 == 1 ? RDB_VALKEY : RDB_REDIS);
    return 0;
}
