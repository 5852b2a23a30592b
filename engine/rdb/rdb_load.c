// SPDX-License-Identifier: BSD-3-Clause
//
// Entries from their serialized form: which type is whose, strings, and the memory that loading
// keeps between values. What Redis 7.2 and 7.4 load (rdb.c there) is loaded, what they refuse when
// they sanitize is refused. Any thread, one at a time for each struct rdb_load. Invariant: an entry
// that is returned is valid and complete. Called by RESTORE, the loading of files and the tools.
#include "engine/rdb/rdb_load.h"

#include "engine/base/assert.h"
#include "engine/rdb/rdb_load_parts.h"

#define KEY_MAX          ((size_t)512 * 1024 * 1024)
#define TEXT_MAX         ((size_t)UINT32_MAX - 16) // of an element
#define SMALL_TEXT       ((size_t)16 * 1024)       // room of a string that is kept
#define KEPT_MAX         ((size_t)1024 * 1024)     // ... and of the scratch buffers
#define TAKEN_MIN        BLOB_MAP_MIN              // bytes of a string that stays where it is ...
#define TAKEN_OFFSET_MAX 65536                     // ... if it begins so near to the beginning

void rdb_load_fini(struct rdb_load *load) {
    buf_free(&load->scratch);
    buf_free(&load->table);
    for (unsigned i = 0; i < RDB_LOAD_TEXTS; i++) buf_free(&load->texts[i]);
}

bool rdb_load__text(struct rdb_load *load, struct rdb_in *in, unsigned which, struct slice *out) {
    struct buf *made = &load->texts[which];
    if (!rdb_in_string(in, made, out)) return false;
    if (out->p == made->p) load->held += out->n;
    if (unlikely(out->n > TEXT_MAX)) return rdb_in_fail(in, "an element that is too long");
    return true;
}

void rdb_load__release(struct rdb_load *load) {
    if (unlikely(load->held > SMALL_TEXT)) {
        for (unsigned i = 0; i < RDB_LOAD_TEXTS; i++)
            if (load->texts[i].cap > SMALL_TEXT) buf_free(&load->texts[i]);
    }
    load->held = 0;
}

/** Gives back what an unusually large value has needed. */
static void tidy(struct rdb_load *load) {
    if (unlikely(load->scratch.cap > KEPT_MAX)) buf_free(&load->scratch);
    if (unlikely(load->table.cap > KEPT_MAX)) buf_free(&load->table);
    rdb_load__release(load);
}

static enum rdb_loaded load_string(struct rdb_load *load, struct rdb_in *in, struct slice key,
                                   int64_t expire_ms, struct entry **out) {
    struct slice text;
    const struct blob *source = load->source;
    if (!rdb_in_string(in, &load->scratch, &text)) return RDB_LOAD_FAILED;
    if (source != NULL && text.n >= TAKEN_MIN && blob_has(source, text) &&
        text.p - source->bytes < TAKEN_OFFSET_MAX)
        *out = entry_new_taken(key, load->source, text, expire_ms);
    else
        *out = entry_new_string(key, text, expire_ms);
    return RDB_LOADED;
}

// ---- types that are not known ------------------------------------------------------------------

#define MODULE_NAME 9 // characters of six bits each, in front of ten bits of version

static enum rdb_loaded unknown_module(struct rdb_in *in) {
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char name[MODULE_NAME + 1];
    uint64_t id;
    if (!rdb_in_length(in, &id)) return RDB_LOAD_FAILED;
    id >>= 10;
    for (unsigned i = MODULE_NAME; i-- > 0; id >>= 6) name[i] = letters[id & 63];
    name[MODULE_NAME] = '\0';
    rdb_in_fail(in, "a value of the module type '%s'", name);
    return RDB_LOAD_UNKNOWN;
}

static enum rdb_loaded unknown_type(struct rdb_in *in, uint8_t type) {
    rdb_in_fail(in, "unknown type of value %u", type);
    return RDB_LOAD_UNKNOWN;
}

// ---- collections -------------------------------------------------------------------------------

/** Who loads that type; NULL: nobody. */
static rdb_load__fn *loader_of(uint8_t type, uint8_t dialect) {
    switch (type) {
    case RDB_LIST:
    case RDB_LIST_ZIPLIST:
    case RDB_LIST_QUICKLIST:
    case RDB_LIST_QUICKLIST_2: return rdb_load__list;
    case RDB_SET:
    case RDB_SET_INTSET:
    case RDB_SET_LISTPACK: return rdb_load__set;
    case RDB_ZSET:
    case RDB_ZSET_2:
    case RDB_ZSET_ZIPLIST:
    case RDB_ZSET_LISTPACK: return rdb_load__zset;
    case RDB_HASH:
    case RDB_HASH_ZIPMAP:
    case RDB_HASH_ZIPLIST:
    case RDB_HASH_LISTPACK:
    case RDB_HASH_METADATA_PRE_GA: return rdb_load__hash; // also Valkey's, of the same number
    case RDB_HASH_LISTPACK_EX_PRE_GA:
    case RDB_HASH_METADATA:
    case RDB_HASH_LISTPACK_EX: return dialect == RDB_REDIS ? rdb_load__hash : NULL;
    case RDB_STREAM_LISTPACKS:
    case RDB_STREAM_LISTPACKS_2:
    case RDB_STREAM_LISTPACKS_3: return rdb_load__stream;
    default: return NULL;
    }
}

void rdb_load_begin(struct rdb_loading *loading, uint8_t type) {
    loading->type = type;
    loading->begun = false;
}

void rdb_load_give_up(struct rdb_loading *loading) {
    if (!loading->begun) return;
    if (loader_of(loading->type, RDB_REDIS) == rdb_load__zset)
        rdb_load__zset_give_up(loading);
    else
        value_free(loading->v);
    loading->begun = false;
}

static enum rdb_loaded load_collection(struct rdb_load *load, struct rdb_loading *loading,
                                       struct rdb_in *in, struct slice key, int64_t expire_ms,
                                       struct entry **out) {
    rdb_load__fn *loader = loader_of(loading->type, load->dialect);
    if (loader == NULL) return unknown_type(in, loading->type);
    enum rdb_loaded result = loader(load, in, loading);
    if (result == RDB_LOADED) *out = entry_new_value(key, loading->v, expire_ms);
    loading->begun = result == RDB_LOAD_MORE;
    return result;
}

enum rdb_loaded rdb_load_step(struct rdb_load *load, struct rdb_loading *loading, struct rdb_in *in,
                              size_t budget, struct slice key, int64_t expire_ms,
                              struct entry **out) {
    *out = NULL;
    if (key.n > KEY_MAX) {
        rdb_in_fail(in, "a key that is too long");
        return RDB_LOAD_FAILED;
    }
    enum rdb_loaded result;
    loading->budget = budget;
    if (loading->type == RDB_STRING)
        result = load_string(load, in, key, expire_ms, out);
    else if (loading->type == RDB_MODULE_2)
        return unknown_module(in);
    else
        result = load_collection(load, loading, in, key, expire_ms, out);
    if (result != RDB_LOAD_MORE) tidy(load);
    ASSERT((*out != NULL) == (result == RDB_LOADED) && (result != RDB_LOAD_FAILED || in->failed));
    ASSERT_DEV(*out == NULL || entry_is_valid(*out));
    return result;
}

enum rdb_loaded rdb_load_entry(struct rdb_load *load, struct rdb_in *in, uint8_t type,
                               struct slice key, int64_t expire_ms, struct entry **out) {
    struct rdb_loading loading;
    rdb_load_begin(&loading, type);
    return rdb_load_step(load, &loading, in, SIZE_MAX, key, expire_ms, out);
}
