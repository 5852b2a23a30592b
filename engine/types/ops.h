// SPDX-License-Identifier: BSD-3-Clause
//
// What each encoding of a collection does for value.c. Every type's file defines one of these for
// each of its encodings. Constant data, any thread. Invariant: `memory` and `length` cost no more
// than a look; `free` may run on another thread than the one that made the object.
#ifndef TORC_ENGINE_TYPES_OPS_H
#define TORC_ENGINE_TYPES_OPS_H

#include "engine/types/value.h"

struct value_ops {
    enum entry_type type;
    const char *name; // for OBJECT ENCODING
    void (*free)(void *object);
    void *(*copy)(const void *object);
    size_t (*memory)(const void *object);
    size_t (*length)(const void *object);
    void (*digest)(const void *object, struct digest *d);
    int64_t (*part_expire_ms)(const void *object); // NULL: parts never expire
    bool (*expire_parts)(struct value *v, int64_t now_ms, uint32_t *budget, value_part_fn *removed,
                         void *context); // NULL as above
    bool (*is_valid)(const void *object);
};

extern const struct value_ops tlist_listpack_ops, tlist_quicklist_ops;
extern const struct value_ops tset_intset_ops, tset_listpack_ops, tset_hashtable_ops;
extern const struct value_ops thash_listpack_ops, thash_listpack_ex_ops, thash_hashtable_ops;
extern const struct value_ops tzset_listpack_ops, tzset_skiplist_ops;
extern const struct value_ops tstream_ops;

#endif
