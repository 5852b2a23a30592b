// SPDX-License-Identifier: BSD-3-Clause
//
// Large hashes: a table of one block per field, and the walk that removes the fields whose time is
// over. Owned by a value; the thread that owns it. There is no index by time: a walk looks at all
// fields in small steps, removes what is due and learns when the next one is; between two walks it
// rests in proportion to the number of fields, so that walking costs a few percent of a core
// however many fields there are. Invariant: no field expires before min_ms; blocks_memory is the
// sum of the blocks. Called by t_hash.c and through value.h.
#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/types/ops.h"
#include "engine/types/t_hash_layout.h"

#define DUE_MAX         64 // fields that are found in one step and removed after it
#define REST_SHIFT      9  // a walk rests a millisecond for each 512 fields
#define VISIT_COST      4  // of looking at a field, in the keyspace's bucket visits ...
#define REMOVAL_COST    24 // ... and of removing it
#define LONG_LENGTH_MIN 256

static struct slice name_of(const void *block) {
    struct thash__field f;
    thash__read(block, &f);
    return f.name;
}

// ---- blocks ------------------------------------------------------------------------------------

/** Bytes in front of the field's name. */
static size_t header_size(size_t flen, size_t vlen, int64_t expire_ms) {
    if (expire_ms == THASH_NEVER && flen < THASH__GENERAL && vlen < LONG_LENGTH_MIN) return 2;
    return 1 + (flen < LONG_LENGTH_MIN ? 1 : 4) + (vlen < LONG_LENGTH_MIN ? 1 : 4) +
           (expire_ms != THASH_NEVER ? sizeof(expire_ms) : 0);
}

static uint8_t *put_length(uint8_t *p, size_t n) {
    uint32_t length = (uint32_t)n;
    if (n < LONG_LENGTH_MIN) {
        *p = (uint8_t)n;
        return p + 1;
    }
    memcpy(p, &length, sizeof(length));
    return p + sizeof(length);
}

static void put(uint8_t *p, struct slice name, struct slice value, int64_t expire_ms) {
    if (header_size(name.n, value.n, expire_ms) == 2) {
        *p++ = (uint8_t)name.n;
        *p++ = (uint8_t)value.n;
    } else {
        *p++ = (uint8_t)(THASH__GENERAL + (expire_ms != THASH_NEVER ? THASH__EXPIRES : 0) +
                         (name.n < LONG_LENGTH_MIN ? 0 : THASH__LONG_FIELD) +
                         (value.n < LONG_LENGTH_MIN ? 0 : THASH__LONG_VALUE));
        p = put_length(p, name.n);
        p = put_length(p, value.n);
        if (expire_ms != THASH_NEVER) {
            memcpy(p, &expire_ms, sizeof(expire_ms));
            p += sizeof(expire_ms);
        }
    }
    if (name.n != 0 && name.p != (const char *)p) memcpy(p, name.p, name.n);
    if (value.n != 0) memcpy(p + name.n, value.p, value.n);
}

static size_t block_size(struct slice name, struct slice value, int64_t expire_ms) {
    return header_size(name.n, value.n, expire_ms) + name.n + value.n;
}

static uint8_t *block_new(struct thash__table *t, struct slice name, struct slice value,
                          int64_t expire_ms) {
    ASSERT(name.n <= UINT32_MAX && value.n <= UINT32_MAX);
    uint8_t *block = mem_alloc(block_size(name, value, expire_ms));
    put(block, name, value, expire_ms);
    t->blocks_memory += mem_usable(block);
    return block;
}

static void block_free(struct thash__table *t, void *block) {
    t->blocks_memory -= mem_usable(block);
    mem_free(block);
}

/** Keeps the figures about expiry right when a field's goes from one to the other. */
static void count_expiry(struct thash__table *t, int64_t before_ms, int64_t after_ms) {
    t->expiring -= before_ms != THASH_NEVER;
    t->expiring += after_ms != THASH_NEVER;
    if (after_ms != THASH_NEVER) {
        if (after_ms < t->min_ms) t->min_ms = after_ms;
        if (after_ms < t->walk_min_ms) t->walk_min_ms = after_ms;
    }
    if (t->expiring != 0) return;
    t->min_ms = t->walk_min_ms = INT64_MAX;
    t->walk_cursor = 0;
}

/** Whether a block can take this size without much waste. */
static bool fits(const void *block, size_t size) {
    size_t usable = mem_usable(block);
    return size <= usable && (usable <= 64 || size > usable / 2);
}

/** Gives a field's block another value and expiry, where it stands if that fits. */
static void block_change(struct thash__table *t, uint8_t *block, const struct thash__field *f,
                         struct slice value, int64_t expire_ms) {
    size_t header = header_size(f->name.n, f->value.n, f->expire_ms);
    bool same = header == header_size(f->name.n, value.n, expire_ms) &&
                (f->value.n < LONG_LENGTH_MIN) == (value.n < LONG_LENGTH_MIN);
    if (f->expire_ms != expire_ms) count_expiry(t, f->expire_ms, expire_ms);
    if (same && fits(block, header + f->name.n + value.n)) {
        put(block, f->name, value, expire_ms); // the name stays where it is
        return;
    }
    uint8_t *fresh = block_new(t, f->name, value, expire_ms);
    hashtable_replace(&t->fields, block, fresh);
    block_free(t, block);
}

// ---- fields ------------------------------------------------------------------------------------

struct thash__table *thash__table_new(void) {
    struct thash__table *t = mem_calloc(sizeof(*t));
    hashtable_init(&t->fields, name_of);
    t->min_ms = t->walk_min_ms = INT64_MAX;
    return t;
}

void thash__table_add(struct thash__table *t, struct slice field, struct slice value,
                      int64_t expire_ms, uint64_t hash) {
    hashtable_add_hashed(&t->fields, block_new(t, field, value, expire_ms), hash);
    if (expire_ms != THASH_NEVER) count_expiry(t, THASH_NEVER, expire_ms);
}

bool thash__table_set(struct thash__table *t, struct slice field, struct slice value,
                      bool keep_expiry, int64_t now_ms) {
    uint64_t hash = hashtable_hash(field);
    uint8_t *block = hashtable_find_hashed(&t->fields, field, hash);
    if (block == NULL) {
        hashtable_add_hashed(&t->fields, block_new(t, field, value, THASH_NEVER), hash);
        return true;
    }
    struct thash__field f;
    thash__read(block, &f);
    bool over = thash__is_over(f.expire_ms, now_ms);
    block_change(t, block, &f, value, keep_expiry && !over ? f.expire_ms : THASH_NEVER);
    return over;
}

void thash__table_set_expire(struct thash__table *t, struct slice field, int64_t expire_ms) {
    uint8_t *block = hashtable_find(&t->fields, field);
    ASSERT(block != NULL);
    struct thash__field f;
    thash__read(block, &f);
    if (f.expire_ms != THASH_NEVER && expire_ms != THASH_NEVER) {
        memcpy((char *)(uintptr_t)f.name.p - sizeof(expire_ms), &expire_ms, sizeof(expire_ms));
        count_expiry(t, f.expire_ms, expire_ms);
    } else if (f.expire_ms != expire_ms) {
        block_change(t, block, &f, f.value, expire_ms);
    }
}

void thash__table_remove(struct thash__table *t, struct slice field) {
    void *block = hashtable_remove(&t->fields, field);
    ASSERT(block != NULL);
    struct thash__field f;
    thash__read(block, &f);
    if (f.expire_ms != THASH_NEVER) count_expiry(t, f.expire_ms, THASH_NEVER);
    block_free(t, block);
}

// ---- removing what is due ----------------------------------------------------------------------

/** What one step of the walk finds. */
struct due {
    int64_t now_ms;
    int64_t min_ms; // of the others
    uint32_t seen, count;
    void *blocks[DUE_MAX];
};

static void look_at(void *context, void *block) {
    struct due *due = context;
    struct thash__field f;
    due->seen++;
    thash__read(block, &f);
    if (f.expire_ms == THASH_NEVER) return;
    if (f.expire_ms < due->now_ms && due->count < DUE_MAX) {
        due->blocks[due->count++] = block;
    } else if (f.expire_ms < due->min_ms) { // too many are due at once: the next time
        due->min_ms = f.expire_ms;
    }
}

/** One step: the fields of some buckets. */
static void walk_step(struct thash__table *t, int64_t now_ms, uint32_t *budget,
                      value_part_fn *removed, void *context) {
    struct due due = {.now_ms = now_ms, .min_ms = INT64_MAX};
    if (t->walk_cursor == 0) t->walk_min_ms = INT64_MAX;
    uint64_t next = hashtable_scan(&t->fields, t->walk_cursor, look_at, &due);
    if (due.min_ms < t->walk_min_ms) t->walk_min_ms = due.min_ms;
    t->walk_cursor = next;
    for (uint32_t i = 0; i < due.count; i++) {
        struct slice name = name_of(due.blocks[i]);
        removed(context, name);
        thash__table_remove(t, name);
    }
    uint32_t cost = 1 + due.seen * VISIT_COST + due.count * REMOVAL_COST;
    *budget = *budget > cost ? *budget - cost : 0;
    if (next != 0 || t->expiring == 0) return;
    t->min_ms = t->walk_min_ms;
    t->rest_until_ms = now_ms + (int64_t)(t->fields.count >> REST_SHIFT);
}

static bool table_expire_parts(struct value *v, int64_t now_ms, uint32_t *budget,
                               value_part_fn *removed, void *context) {
    struct thash__table *t = v->object;
    if (t->walk_cursor == 0 && now_ms <= t->rest_until_ms) return false;
    do {
        if (t->expiring == 0 || t->min_ms >= now_ms) return false;
        walk_step(t, now_ms, budget, removed, context);
    } while (*budget > 0 && t->walk_cursor != 0);
    return t->walk_cursor != 0;
}

// ---- what every value can do -------------------------------------------------------------------

static void table_free(void *object) {
    struct thash__table *t = object;
    hashtable_fini(&t->fields, mem_free);
    mem_free(t);
}

static void *table_copy(const void *object) {
    const struct thash__table *t = object;
    struct thash__table *copy = thash__table_new();
    struct hashtable_iterator it;
    struct thash__field f;
    hashtable_iterate(&it, &t->fields);
    for (const void *block; (block = hashtable_next(&it)) != NULL;) {
        thash__read(block, &f);
        thash__table_add(copy, f.name, f.value, f.expire_ms, hashtable_hash(f.name));
    }
    return copy;
}

static size_t table_memory(const void *object) {
    const struct thash__table *t = object;
    return mem_usable(t) + t->fields.memory + t->blocks_memory;
}

static size_t table_length(const void *object) {
    return ((const struct thash__table *)object)->fields.count;
}

static void table_digest(const void *object, struct digest *d) {
    const struct thash__table *t = object;
    struct hashtable_iterator it;
    struct thash__field f;
    hashtable_iterate(&it, &t->fields);
    for (const void *block; (block = hashtable_next(&it)) != NULL;) {
        thash__read(block, &f);
        thash__digest_field(d, f.name, f.value, f.expire_ms);
    }
}

static int64_t table_part_expire_ms(const void *object) {
    const struct thash__table *t = object;
    if (t->expiring == 0) return -1;
    return t->min_ms > t->rest_until_ms ? t->min_ms : t->rest_until_ms;
}

static bool table_is_valid(const void *object) {
    const struct thash__table *t = object;
    struct hashtable_iterator it;
    struct thash__field f;
    size_t memory = 0, expiring = 0, count = 0;
    if (!hashtable_is_valid(&t->fields)) return false;
    hashtable_iterate(&it, &t->fields);
    for (const void *block; (block = hashtable_next(&it)) != NULL; count++) {
        thash__read(block, &f);
        memory += mem_usable(block);
        if (block_size(f.name, f.value, f.expire_ms) > mem_usable(block)) return false;
        if (f.expire_ms == THASH_NEVER) continue;
        expiring++;
        if (f.expire_ms < 0 || f.expire_ms < t->min_ms) return false;
    }
    if (expiring == 0 && t->min_ms != INT64_MAX) return false;
    return memory == t->blocks_memory && expiring == t->expiring && count == t->fields.count;
}

const struct value_ops thash_hashtable_ops = {
    .type = ENTRY_HASH,
    .name = "hashtable",
    .free = table_free,
    .copy = table_copy,
    .memory = table_memory,
    .length = table_length,
    .digest = table_digest,
    .part_expire_ms = table_part_expire_ms,
    .expire_parts = table_expire_parts,
    .is_valid = table_is_valid,
};
