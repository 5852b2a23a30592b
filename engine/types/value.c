// SPDX-License-Identifier: BSD-3-Clause
//
// Values: from an encoding to its type, its name, and what can be done with every object. Owns the
// table of all encodings and nothing else; any thread, under the rules of value.h. Invariant: the
// encodings of strings have no object, and are never passed to what works on objects. Called by
// entries, by commands and by whoever moves values around.
#include "engine/types/value.h"

#include "engine/base/assert.h"
#include "engine/base/hash.h"
#include "engine/types/ops.h"

const struct value_limits value_default_limits = {
    .list_max_listpack_size = -2,
    .list_compress_depth = 0,
    .list_plain_min = 1 << 30,
    .set_max_intset_entries = 512,
    .set_max_listpack_entries = 128,
    .set_max_listpack_value = 64,
    .hash_max_listpack_entries = 512,
    .hash_max_listpack_value = 64,
    .zset_max_listpack_entries = 128,
    .zset_max_listpack_value = 64,
    .stream_node_max_bytes = 4096,
    .stream_node_max_entries = 100,
    .hll_sparse_max_bytes = 3000,
};

static const struct value_ops int_ops = {.type = ENTRY_STRING, .name = "int"};
static const struct value_ops embstr_ops = {.type = ENTRY_STRING, .name = "embstr"};
static const struct value_ops raw_ops = {.type = ENTRY_STRING, .name = "raw"};

static const struct value_ops *const encodings[ENC_COUNT] = {
    [ENC_INT] = &int_ops,
    [ENC_EMBSTR] = &embstr_ops,
    [ENC_RAW] = &raw_ops,
    [ENC_BLOB] = &raw_ops,
    [ENC_LIST_LISTPACK] = &tlist_listpack_ops,
    [ENC_LIST_QUICKLIST] = &tlist_quicklist_ops,
    [ENC_SET_INTSET] = &tset_intset_ops,
    [ENC_SET_LISTPACK] = &tset_listpack_ops,
    [ENC_SET_HASHTABLE] = &tset_hashtable_ops,
    [ENC_HASH_LISTPACK] = &thash_listpack_ops,
    [ENC_HASH_LISTPACK_EX] = &thash_listpack_ex_ops,
    [ENC_HASH_HASHTABLE] = &thash_hashtable_ops,
    [ENC_ZSET_LISTPACK] = &tzset_listpack_ops,
    [ENC_ZSET_SKIPLIST] = &tzset_skiplist_ops,
    [ENC_STREAM] = &tstream_ops,
};

// One line: the type of an entry is asked for by every command.
static const uint8_t types[ENC_COUNT] = {
    [ENC_INT] = ENTRY_STRING,
    [ENC_EMBSTR] = ENTRY_STRING,
    [ENC_RAW] = ENTRY_STRING,
    [ENC_BLOB] = ENTRY_STRING,
    [ENC_LIST_LISTPACK] = ENTRY_LIST,
    [ENC_LIST_QUICKLIST] = ENTRY_LIST,
    [ENC_SET_INTSET] = ENTRY_SET,
    [ENC_SET_LISTPACK] = ENTRY_SET,
    [ENC_SET_HASHTABLE] = ENTRY_SET,
    [ENC_HASH_LISTPACK] = ENTRY_HASH,
    [ENC_HASH_LISTPACK_EX] = ENTRY_HASH,
    [ENC_HASH_HASHTABLE] = ENTRY_HASH,
    [ENC_ZSET_LISTPACK] = ENTRY_ZSET,
    [ENC_ZSET_SKIPLIST] = ENTRY_ZSET,
    [ENC_STREAM] = ENTRY_STREAM,
};

static const char *const type_names[ENTRY_TYPES] = {
    [ENTRY_STRING] = "string", [ENTRY_LIST] = "list", [ENTRY_SET] = "set",
    [ENTRY_ZSET] = "zset",     [ENTRY_HASH] = "hash", [ENTRY_STREAM] = "stream",
};

enum entry_type value_type(uint8_t encoding) {
    ASSERT(encoding != 0 && encoding < ENC_COUNT);
    return (enum entry_type)types[encoding];
}

const char *value_type_name(enum entry_type type) {
    ASSERT(type < ENTRY_TYPES);
    return type_names[type];
}

const char *value_encoding_name(uint8_t encoding) {
    ASSERT(encoding != 0 && encoding < ENC_COUNT);
    return encodings[encoding]->name;
}

static const struct value_ops *ops_of(struct value v) {
    ASSERT(v.encoding >= ENC_LIST_LISTPACK && v.encoding < ENC_COUNT && v.object != NULL);
    return encodings[v.encoding];
}

void value_free(struct value v) {
    void (*free_object)(void *object) = ops_of(v)->free;
    free_object(v.object);
}

struct value value_copy(struct value v) {
    return (struct value){.encoding = v.encoding, .object = ops_of(v)->copy(v.object)};
}

size_t value_memory(struct value v) { return ops_of(v)->memory(v.object); }

bool value_is_compact(uint8_t encoding) {
    return encoding == ENC_LIST_LISTPACK || encoding == ENC_SET_INTSET ||
           encoding == ENC_SET_LISTPACK || encoding == ENC_HASH_LISTPACK ||
           encoding == ENC_HASH_LISTPACK_EX || encoding == ENC_ZSET_LISTPACK;
}

size_t value_length(struct value v) { return ops_of(v)->length(v.object); }

void value_digest(struct value v, struct digest *d) {
    digest_add(d, slice_text(type_names[value_type(v.encoding)]));
    ops_of(v)->digest(v.object, d);
}

int64_t value_part_expire_ms(struct value v) {
    const struct value_ops *ops = ops_of(v);
    return ops->part_expire_ms != NULL ? ops->part_expire_ms(v.object) : -1;
}

bool value_expire_parts(struct value *v, int64_t now_ms, uint32_t *budget, value_part_fn *removed,
                        void *context) {
    const struct value_ops *ops = ops_of(*v);
    if (ops->expire_parts == NULL) return false;
    return ops->expire_parts(v, now_ms, budget, removed, context);
}

bool value_is_valid(struct value v) {
    const struct value_ops *ops = ops_of(v);
    return ops->type == types[v.encoding] && ops->is_valid(v.object);
}

// ---- digests -----------------------------------------------------------------------------------

void digest_add(struct digest *d, struct slice text) {
    d->low = hash_bytes(text.p, text.n, d->low + 1);
    d->high = hash_bytes(text.p, text.n, d->high ^ 0x9e3779b97f4a7c15u);
}

void digest_join(struct digest *d, const struct digest *other) {
    d->low += other->low;
    d->high += other->high;
}
