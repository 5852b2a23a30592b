// SPDX-License-Identifier: BSD-3-Clause
//
// The command table: every command and subcommand as a row of constant data, and the ways to find
// one. The rows themselves are in table_*.inc, one file for each group, assembled here into two
// arrays: top level and subcommands. Any thread. Invariant: a row stands at its id, which is also
// what orders COMMAND LIST and indexes statistics. Callers: shards/ for routing and checks,
// introspect.c, tests.
#include "engine/commands/table.h"

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/commands/bits.h"
#include "engine/commands/geo.h"
#include "engine/commands/hash.h"
#include "engine/commands/hll.h"
#include "engine/commands/introspect.h"
#include "engine/commands/keys.h"
#include "engine/commands/list.h"
#include "engine/commands/server.h"
#include "engine/commands/set.h"
#include "engine/commands/sort.h"
#include "engine/commands/stream.h"
#include "engine/commands/string.h"
#include "engine/commands/zset.h"

// Key specs: at an index, behind a keyword, or where only a function finds them.
#define AT(begin_, flags_, last_, step_, limit_, keynum_, notes_)                                  \
    {                                                                                              \
        .begin = (begin_), .flags = (flags_), .last = (last_), .step = (step_), .limit = (limit_), \
        .keynum = (keynum_), .notes = (notes_)                                                     \
    }
#define AFTER(keyword_, from_, flags_, last_, step_, limit_)                        \
    {                                                                               \
        .keyword = (keyword_), .from = (from_), .flags = (flags_), .last = (last_), \
        .step = (step_), .limit = (limit_), .keynum = -1                            \
    }
#define ELSEWHERE(flags_) \
    { .flags = (flags_) }
static const struct key_spec spec_bitfield[] = {
    AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE | KEY_VARIABLE_FLAGS, 0, 1, 0, -1,
       "a read only when every operation is a GET"),
};
static const struct key_spec spec_bitop[] = {
    AT(2, KEY_OW | KEY_UPDATE, 0, 1, 0, -1, NULL),
    AT(3, KEY_RO | KEY_ACCESS, -1, 1, 0, -1, NULL),
};
static const struct key_spec spec_copy[] = {
    AT(1, KEY_RO | KEY_ACCESS, 0, 1, 0, -1, NULL),
    AT(2, KEY_OW | KEY_UPDATE, 0, 1, 0, -1, NULL),
};
static const struct key_spec spec_getex[] = {
    AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE, 0, 1, 0, -1, "changing the expiry counts as an update"),
};
static const struct key_spec spec_ow_insert[] = {AT(1, KEY_OW | KEY_INSERT, 0, 1, 0, -1, NULL)};
static const struct key_spec spec_ow_insert_pairs[] = {
    AT(1, KEY_OW | KEY_INSERT, -1, 2, 0, -1, NULL),
};
static const struct key_spec spec_ow_update[] = {AT(1, KEY_OW | KEY_UPDATE, 0, 1, 0, -1, NULL)};
static const struct key_spec spec_ow_update_pairs[] = {
    AT(1, KEY_OW | KEY_UPDATE, -1, 2, 0, -1, NULL),
};
static const struct key_spec spec_remove_all[] = {AT(1, KEY_RM | KEY_DELETE, -1, 1, 0, -1, NULL)};
static const struct key_spec spec_rename[] = {
    AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE, 0, 1, 0, -1, NULL),
    AT(2, KEY_OW | KEY_UPDATE, 0, 1, 0, -1, NULL),
};
static const struct key_spec spec_renamenx[] = {
    AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE, 0, 1, 0, -1, NULL),
    AT(2, KEY_OW | KEY_INSERT, 0, 1, 0, -1, NULL),
};
static const struct key_spec spec_ro[] = {AT(1, KEY_RO, 0, 1, 0, -1, NULL)};
static const struct key_spec spec_ro_access[] = {AT(1, KEY_RO | KEY_ACCESS, 0, 1, 0, -1, NULL)};
static const struct key_spec spec_ro_access_all[] = {
    AT(1, KEY_RO | KEY_ACCESS, -1, 1, 0, -1, NULL)};
static const struct key_spec spec_ro_access_two[] = {AT(1, KEY_RO | KEY_ACCESS, 1, 1, 0, -1, NULL)};
static const struct key_spec spec_ro_all[] = {AT(1, KEY_RO, -1, 1, 0, -1, NULL)};
static const struct key_spec spec_ro_at_2[] = {AT(2, KEY_RO, 0, 1, 0, -1, NULL)};
static const struct key_spec spec_rw_access_delete[] = {
    AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE, 0, 1, 0, -1, NULL),
};
static const struct key_spec spec_rw_access_update[] = {
    AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE, 0, 1, 0, -1, NULL),
};
static const struct key_spec spec_rw_insert[] = {AT(1, KEY_RW | KEY_INSERT, 0, 1, 0, -1, NULL)};
static const struct key_spec spec_rw_update[] = {AT(1, KEY_RW | KEY_UPDATE, 0, 1, 0, -1, NULL)};
static const struct key_spec spec_set[] = {
    AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE | KEY_VARIABLE_FLAGS, 0, 1, 0, -1,
       "the GET option makes it a read as well"),
};
static const struct key_spec spec_element_move[] = {
    AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE, 0, 1, 0, -1, NULL),
    AT(2, KEY_RW | KEY_INSERT, 0, 1, 0, -1, NULL),
};
static const struct key_spec spec_rw_access_delete_counted_at_2[] = {
    AT(2, KEY_RW | KEY_ACCESS | KEY_DELETE, 0, 1, 0, 0, NULL),
};
static const struct key_spec spec_rw_access_delete_but_last[] = {
    AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE, -2, 1, 0, -1, NULL),
};
static const struct key_spec spec_georadius[] = {
    AT(1, KEY_RO | KEY_ACCESS, 0, 1, 0, -1, NULL),
    AFTER("store", 6, KEY_OW | KEY_UPDATE, 0, 1, 0),
    AFTER("storedist", 6, KEY_OW | KEY_UPDATE, 0, 1, 0),
};
static const struct key_spec spec_georadiusbymember[] = {
    AT(1, KEY_RO | KEY_ACCESS, 0, 1, 0, -1, NULL),
    AFTER("store", 5, KEY_OW | KEY_UPDATE, 0, 1, 0),
    AFTER("storedist", 5, KEY_OW | KEY_UPDATE, 0, 1, 0),
};
static const struct key_spec spec_store_from_one[] = {
    AT(1, KEY_OW | KEY_UPDATE, 0, 1, 0, -1, NULL),
    AT(2, KEY_RO | KEY_ACCESS, 0, 1, 0, -1, NULL),
};
static const struct key_spec spec_rw_delete[] = {AT(1, KEY_RW | KEY_DELETE, 0, 1, 0, -1, NULL)};
static const struct key_spec spec_rw_access_delete_counted[] = {
    AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE, 0, 1, 0, 0, NULL),
};
static const struct key_spec spec_rw_access_all[] = {
    AT(1, KEY_RW | KEY_ACCESS, -1, 1, 0, -1, NULL)};
static const struct key_spec spec_rw_access_at_2[] = {
    AT(2, KEY_RW | KEY_ACCESS, 0, 1, 0, -1, NULL)};
static const struct key_spec spec_pfmerge[] = {
    AT(1, KEY_RW | KEY_ACCESS | KEY_INSERT, 0, 1, 0, -1, NULL),
    AT(2, KEY_RO | KEY_ACCESS, -1, 1, 0, -1, NULL),
};
static const struct key_spec spec_store_from_all[] = {
    AT(1, KEY_OW | KEY_UPDATE, 0, 1, 0, -1, NULL),
    AT(2, KEY_RO | KEY_ACCESS, -1, 1, 0, -1, NULL),
};
static const struct key_spec spec_ro_access_counted[] = {
    AT(1, KEY_RO | KEY_ACCESS, 0, 1, 0, 0, NULL),
};
static const struct key_spec spec_merge[] = {
    AT(1, KEY_RW | KEY_UPDATE, 0, 1, 0, -1, NULL),
    AT(2, KEY_RO | KEY_ACCESS, -1, 1, 0, -1, NULL),
};
static const struct key_spec spec_migrate[] = {
    AT(3, KEY_RW | KEY_ACCESS | KEY_DELETE, 0, 1, 0, -1, NULL),
    AFTER("keys", -2, KEY_RW | KEY_ACCESS | KEY_DELETE | KEY_INCOMPLETE, -1, 1, 0),
};
static const struct key_spec spec_sort[] = {
    AT(1, KEY_RO | KEY_ACCESS, 0, 1, 0, -1, NULL),
    ELSEWHERE(KEY_RO | KEY_ACCESS),
    ELSEWHERE(KEY_OW | KEY_UPDATE),
};
static const struct key_spec spec_sort_ro[] = {
    AT(1, KEY_RO | KEY_ACCESS, 0, 1, 0, -1, NULL),
    ELSEWHERE(KEY_RO | KEY_ACCESS),
};
static const struct key_spec spec_rw_insert_at_2[] = {
    AT(2, KEY_RW | KEY_INSERT, 0, 1, 0, -1, NULL)};
static const struct key_spec spec_rw_delete_at_2[] = {
    AT(2, KEY_RW | KEY_DELETE, 0, 1, 0, -1, NULL)};
static const struct key_spec spec_channel[] = {AT(1, KEY_NOT_KEY, 0, 1, 0, -1, NULL)};
static const struct key_spec spec_channels[] = {AT(1, KEY_NOT_KEY, -1, 1, 0, -1, NULL)};
static const struct key_spec spec_rw_update_at_2[] = {
    AT(2, KEY_RW | KEY_UPDATE, 0, 1, 0, -1, NULL)};
static const struct key_spec spec_ro_access_at_2[] = {
    AT(2, KEY_RO | KEY_ACCESS, 0, 1, 0, -1, NULL)};
static const struct key_spec spec_xread[] = {
    AFTER("streams", 1, KEY_RO | KEY_ACCESS, -1, 1, 2),
};
static const struct key_spec spec_xreadgroup[] = {
    AFTER("streams", 4, KEY_RO | KEY_ACCESS, -1, 1, 2),
};
static const struct key_spec spec_store_from_counted[] = {
    AT(1, KEY_OW | KEY_UPDATE, 0, 1, 0, -1, NULL),
    AT(2, KEY_RO | KEY_ACCESS, 0, 1, 0, 0, NULL),
};

static const struct command sub_rows[ROW_COUNT - ROW_TOP_COUNT];

static const struct command top_rows[ROW_TOP_COUNT] = {
#include "engine/commands/table_geo.inc"
#include "engine/commands/table_hash.inc"
#include "engine/commands/table_hll.inc"
#include "engine/commands/table_keys.inc"
#include "engine/commands/table_list.inc"
#include "engine/commands/table_pubsub.inc"
#include "engine/commands/table_server.inc"
#include "engine/commands/table_set.inc"
#include "engine/commands/table_sort.inc"
#include "engine/commands/table_stream.inc"
#include "engine/commands/table_string.inc"
#include "engine/commands/table_zset.inc"
};

static const struct command sub_rows[ROW_COUNT - ROW_TOP_COUNT] = {
#include "engine/commands/table_sub.inc"
#include "engine/commands/table_sub_acl.inc"
#include "engine/commands/table_sub_pubsub.inc"
#include "engine/commands/table_sub_stream.inc"
};

const struct table__bit_name table__flag_names[] = {
    {COMMAND_WRITE, "write"},
    {COMMAND_READONLY, "readonly"},
    {COMMAND_DENYOOM, "denyoom"},
    {COMMAND_MODULE, "module"},
    {COMMAND_ADMIN, "admin"},
    {COMMAND_PUBSUB, "pubsub"},
    {COMMAND_NOSCRIPT, "noscript"},
    {COMMAND_BLOCKING, "blocking"},
    {COMMAND_LOADING, "loading"},
    {COMMAND_STALE, "stale"},
    {COMMAND_SKIP_MONITOR, "skip_monitor"},
    {COMMAND_SKIP_SLOWLOG, "skip_slowlog"},
    {COMMAND_ASKING, "asking"},
    {COMMAND_FAST, "fast"},
    {COMMAND_NO_AUTH, "no_auth"},
    {COMMAND_NO_ASYNC_LOADING, "no_async_loading"},
    {COMMAND_NO_MULTI, "no_multi"},
    {COMMAND_MOVABLEKEYS, "movablekeys"},
    {COMMAND_ALLOW_BUSY, "allow_busy"},
    {0, NULL},
};

const struct table__bit_name table__acl_names[] = {
    {ACL_KEYSPACE, "keyspace"},
    {ACL_READ, "read"},
    {ACL_WRITE, "write"},
    {ACL_SET, "set"},
    {ACL_SORTEDSET, "sortedset"},
    {ACL_LIST, "list"},
    {ACL_HASH, "hash"},
    {ACL_STRING, "string"},
    {ACL_BITMAP, "bitmap"},
    {ACL_HYPERLOGLOG, "hyperloglog"},
    {ACL_GEO, "geo"},
    {ACL_STREAM, "stream"},
    {ACL_PUBSUB, "pubsub"},
    {ACL_ADMIN, "admin"},
    {ACL_FAST, "fast"},
    {ACL_SLOW, "slow"},
    {ACL_BLOCKING, "blocking"},
    {ACL_DANGEROUS, "dangerous"},
    {ACL_CONNECTION, "connection"},
    {ACL_TRANSACTION, "transaction"},
    {ACL_SCRIPTING, "scripting"},
    {0, NULL},
};

const struct table__bit_name table__key_flag_names[] = {
    {KEY_RO, "RO"},
    {KEY_RW, "RW"},
    {KEY_OW, "OW"},
    {KEY_RM, "RM"},
    {KEY_ACCESS, "access"},
    {KEY_UPDATE, "update"},
    {KEY_INSERT, "insert"},
    {KEY_DELETE, "delete"},
    {KEY_NOT_KEY, "not_key"},
    {KEY_INCOMPLETE, "incomplete"},
    {KEY_VARIABLE_FLAGS, "variable_flags"},
    {0, NULL},
};

uint32_t command_count(void) { return ROW_COUNT; }

const struct command *command_by_id(uint32_t id) {
    ASSERT(id < ROW_COUNT);
    return id < ROW_TOP_COUNT ? &top_rows[id] : &sub_rows[id - ROW_TOP_COUNT];
}

const struct command *command_rows(uint32_t *count) {
    *count = ROW_TOP_COUNT;
    return top_rows;
}

/** Whether text is the name, which is lower case and not longer than n, in any case. */
static inline bool is_name(const char *name, const char *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char c = p[i];
        if (c >= 'A' && c <= 'Z') c = (char)(c | 0x20);
        if (c != name[i] || c == '\0') return false;
    }
    return name[n] == '\0';
}

const struct command *command_find_row(struct slice name) {
    if (unlikely(name.n == 0 || name.n > TABLE_NAME_MAX)) return NULL;
    for (uint32_t at = table__hash(name.p, name.n);; at = (at + 1) % TABLE_INDEX_SIZE) {
        uint16_t place = table__index[at];
        if (place == 0) return NULL;
        const struct command *row = &top_rows[place - 1];
        if (likely(is_name(row->name, name.p, name.n))) return row;
    }
}

// What rename-command has changed: filled before threads exist, constant from then on.
static struct rename {
    const struct command *row;
    struct slice name; // what it is called now; empty: it cannot be called
} * renames;
static uint32_t rename_count;

/** The row that a name stands for when some commands are called something else. */
static __attribute__((noinline)) const struct command *find_renamed(struct slice name) {
    const struct command *row = command_find_row(name);
    for (uint32_t i = 0; i < rename_count; i++) {
        struct slice now = renames[i].name;
        if (now.n > 0 && now.n == name.n && strncasecmp(now.p, name.p, now.n) == 0)
            return renames[i].row;
        if (renames[i].row == row) row = NULL; // not by its old name
    }
    return row;
}

const struct command *command_find(struct slice name) {
    return likely(rename_count == 0) ? command_find_row(name) : find_renamed(name);
}

const struct command *command_find_full(struct slice name,
                                        const struct command *find(struct slice name)) {
    const char *bar = name.n > 0 ? memchr(name.p, '|', name.n) : NULL;
    if (bar == NULL) return find(name);
    size_t head = (size_t)(bar - name.p);
    const struct command *parent = find(slice_of(name.p, head));
    if (parent == NULL) return NULL;
    return command_find_sub(parent, slice_of(bar + 1, name.n - head - 1));
}

const char *command_rename(struct slice name, struct slice now) {
    const struct command *row = command_find(name);
    if (row == NULL) return "No such command in rename-command";
    if (now.n > 0 && command_find(now) != NULL) return "Target command name already exists";
    uint32_t at = 0;
    while (at < rename_count && renames[at].row != row) at++;
    if (at == rename_count)
        renames = mem_realloc(renames, ++rename_count * sizeof *renames);
    else
        mem_free((char *)renames[at].name.p);
    char *copy = mem_alloc(now.n + 1);
    memcpy(copy, now.p, now.n);
    renames[at] = (struct rename){row, slice_of(copy, now.n)};
    return NULL;
}

void command_rename_none(void) {
    for (uint32_t i = 0; i < rename_count; i++) mem_free((char *)renames[i].name.p);
    mem_free(renames);
    renames = NULL;
    rename_count = 0;
}

bool command_can_be_called(const struct command *row) {
    for (uint32_t i = 0; i < rename_count; i++)
        if (renames[i].row == row) return renames[i].name.n > 0;
    return true;
}

const struct command *command_find_sub(const struct command *parent, struct slice name) {
    for (uint16_t i = 0; i < parent->subcommand_count; i++) {
        const struct command *row = &parent->subcommands[i];
        if (is_name(row->name, name.p, name.n)) return row;
    }
    return NULL;
}
