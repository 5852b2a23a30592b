// SPDX-License-Identifier: BSD-3-Clause
//
// Which keys of a file are meant. The type of a value is told from the number in the file, without
// making the value. Pure functions over the selection. Invariant: what is given several times
// (patterns, types, databases) means any of them; different options must all fit.
#include "tools/torc_rdb/selection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/glob.h"
#include "engine/base/num.h"

#define TOO_MANY "is given too often"

const char *selection_add_match(struct selection *s, const char *pattern, bool negated) {
    unsigned *count = negated ? &s->not_matches : &s->matches;
    if (*count == SELECTION_MAX) return TOO_MANY;
    (negated ? s->not_match : s->match)[(*count)++] = pattern;
    return NULL;
}

/** The next of several words with commas between them; false: there is none. */
static bool next_word(const char **text, struct slice *word) {
    if (*text == NULL) return false;
    const char *comma = strchr(*text, ',');
    *word = comma != NULL ? slice_of(*text, (size_t)(comma - *text)) : slice_text(*text);
    *text = comma != NULL ? comma + 1 : NULL;
    return true;
}

const char *selection_kind_name(unsigned kind) {
    return kind == KIND_MODULE ? "module" : value_type_name((enum entry_type)kind);
}

const char *selection_add_types(struct selection *s, const char *names) {
    struct slice word;
    while (next_word(&names, &word)) {
        unsigned kind = 0;
        while (kind < KINDS && !slice_is(word, selection_kind_name(kind))) kind++;
        if (kind == KINDS) return "must be string, list, set, zset, hash, stream or module";
        s->types |= 1u << kind;
    }
    return NULL;
}

const char *selection_add_dbs(struct selection *s, const char *numbers) {
    struct slice word;
    while (next_word(&numbers, &word)) {
        uint64_t db;
        if (!num_parse_u64(word, &db) || db > INT32_MAX) return "must be numbers of databases";
        if (s->db_count == SELECTION_MAX) return TOO_MANY;
        s->dbs[s->db_count++] = (uint32_t)db;
    }
    return NULL;
}

unsigned selection_kind(uint8_t type, enum rdb_dialect dialect) {
    if (dialect == RDB_VALKEY && type == RDB_VALKEY_HASH_2) return ENTRY_HASH;
    switch ((enum rdb_type)type) {
    case RDB_STRING: return ENTRY_STRING;
    case RDB_LIST:
    case RDB_LIST_ZIPLIST:
    case RDB_LIST_QUICKLIST:
    case RDB_LIST_QUICKLIST_2: return ENTRY_LIST;
    case RDB_SET:
    case RDB_SET_INTSET:
    case RDB_SET_LISTPACK: return ENTRY_SET;
    case RDB_ZSET:
    case RDB_ZSET_2:
    case RDB_ZSET_ZIPLIST:
    case RDB_ZSET_LISTPACK: return ENTRY_ZSET;
    case RDB_STREAM_LISTPACKS:
    case RDB_STREAM_LISTPACKS_2:
    case RDB_STREAM_LISTPACKS_3: return ENTRY_STREAM;
    case RDB_MODULE_PRE_GA:
    case RDB_MODULE_2: return KIND_MODULE;
    default: return ENTRY_HASH;
    }
}

bool selection_is_all(const struct selection *s) {
    return s->matches + s->not_matches + s->types + s->db_count == 0;
}

bool selection_has_db(const struct selection *s, uint32_t db) {
    if (s->db_count == 0) return true;
    for (unsigned i = 0; i < s->db_count; i++) {
        if (s->dbs[i] == db) return true;
    }
    return false;
}

static bool matches_any(const char *const *patterns, unsigned count, struct slice key) {
    for (unsigned i = 0; i < count; i++) {
        if (glob_match(slice_text(patterns[i]), key, false)) return true;
    }
    return false;
}

bool selection_has(const struct selection *s, const struct rdb_reader *r) {
    const struct rdb_record *record = &r->item;
    if (!selection_has_db(s, record->db)) return false;
    if (s->types != 0 && (s->types >> selection_kind(record->type, r->dialect) & 1) == 0)
        return false;
    if (s->matches > 0 && !matches_any(s->match, s->matches, record->key)) return false;
    return !matches_any(s->not_match, s->not_matches, record->key);
}
