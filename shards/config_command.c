// SPDX-License-Identifier: BSD-3-Clause
//
// What the CONFIG command asks of the configuration: reading values by name or pattern, and
// changing a private copy by the rules of CONFIG SET. The texts are Redis's; the command adds only
// the reply's frame. Called on any shard for reading and on shard 0 for changing. Invariant: a
// failed change is reported and the copy is dropped by the caller, so that nobody ever sees half of
// it.
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/glob.h"
#include "shards/config_rows.h"

static bool fail(struct buf *error, const char *reason) {
    buf_append_text(error, reason);
    return false;
}

static bool may_change(const struct config *c, const struct config__row *row, bool local_client,
                       struct buf *error) {
    if ((row->flags & CONFIG__IMMUTABLE) != 0) return fail(error, "can't set immutable config");
    if ((row->flags & CONFIG__PROTECTED) == 0) return true;
    bool allowed = c->enable_protected_configs == CONFIG_ENABLE_YES ||
                   (c->enable_protected_configs == CONFIG_ENABLE_LOCAL && local_client);
    return allowed || fail(error, "can't set protected config");
}

// An inert directive can only be told what is so already.
static bool confirm_inert(const struct config__row *row, const struct config__words *words,
                          struct buf *error) {
    struct buf text = {0};
    bool ok = config__normalize(row, words->items, words->count, &text, error);
    if (ok && !slice_equal(slice_of(text.p, text.len), slice_text(row->fallback))) {
        ok = fail(error, "torc does not act on this directive");
    }
    buf_free(&text);
    return ok;
}

static bool change(struct config *c, const struct config__row *row, struct slice value,
                   struct buf *error) {
    struct config__words words;
    bool multi = (row->flags & CONFIG__MULTI) != 0;
    if (multi) {
        config__split_spaces(value, &words);
    } else {
        words = (struct config__words){.items = &value, .count = 1};
    }
    bool ok = (row->flags & CONFIG__INERT) != 0
                  ? confirm_inert(row, &words, error)
                  : config__assign(c, row, words.items, words.count, error);
    if (multi) config__words_free(&words);
    return ok;
}

bool config_set(struct config *c, struct slice name, struct slice value, struct buf *error) {
    const struct config__row *row = config__row_find(name);
    if (row == NULL) return fail(error, "no such directive");
    return may_change(c, row, false, error) && change(c, row, value, error);
}

static bool is_repeated(const struct slice *pairs, size_t i) {
    for (size_t j = 0; j < i; j++) {
        if (pairs[2 * j].n == pairs[2 * i].n &&
            strncasecmp(pairs[2 * j].p, pairs[2 * i].p, pairs[2 * i].n) == 0) {
            return true;
        }
    }
    return false;
}

static bool check_pair(const struct config *c, const struct slice *pairs, size_t i,
                       bool local_client, struct buf *reason) {
    const struct config__row *row = config__row_find(pairs[2 * i]);
    if (!may_change(c, row, local_client, reason)) return false;
    return !is_repeated(pairs, i) || fail(reason, "duplicate parameter");
}

static bool report(struct slice name, const struct buf *reason, struct buf *error) {
    buf_append_text(error, "CONFIG SET failed (possibly related to argument '");
    buf_append(error, name.p, name.n);
    buf_append_text(error, "') - ");
    buf_append(error, reason->p, reason->len);
    return false;
}

bool config_set_many(struct config *c, const struct slice *pairs, size_t count, bool local_client,
                     struct buf *error) {
    struct buf reason = {0};
    bool ok = true;
    // All names first: no value counts while another directive is refused.
    for (size_t i = 0; ok && i < count; i++) {
        if (config__row_find(pairs[2 * i]) == NULL) {
            buf_append_text(error, "Unknown option or number of arguments for CONFIG SET - '");
            buf_append(error, pairs[2 * i].p, pairs[2 * i].n);
            buf_append_char(error, '\'');
            ok = false;
        } else if (!check_pair(c, pairs, i, local_client, &reason)) {
            ok = report(pairs[2 * i], &reason, error);
        }
    }
    for (size_t i = 0; ok && i < count; i++) {
        const struct config__row *row = config__row_find(pairs[2 * i]);
        ok = change(c, row, pairs[2 * i + 1], &reason);
        // The name as the table spells it, as Redis does for values.
        bool primary = slice_is(pairs[2 * i], row->name);
        if (!ok) report(slice_text(primary ? row->name : row->alias), &reason, error);
    }
    buf_free(&reason);
    return ok;
}

static bool is_pattern(struct slice text) {
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '*' || text.p[i] == '?' || text.p[i] == '[') return true;
    }
    return false;
}

static void get_exactly(const struct config *c, struct slice name,
                        void (*each)(void *context, const char *name, struct slice value),
                        void *context) {
    struct buf value = {0};
    if (config_value(c, name, &value)) {
        char *spelled = mem_alloc(name.n + 1);
        memcpy(spelled, name.p, name.n);
        spelled[name.n] = '\0';
        each(context, spelled, slice_of(value.p, value.len));
        mem_free(spelled);
    }
    buf_free(&value);
}

void config_get(const struct config *c, struct slice pattern,
                void (*each)(void *context, const char *name, struct slice value), void *context) {
    if (!is_pattern(pattern)) {
        get_exactly(c, pattern, each, context);
        return;
    }
    const struct config__row *row;
    struct buf value = {0};
    for (size_t i = 0; (row = config__row_at(i)) != NULL; i++) {
        const char *names[] = {row->name, row->alias};
        if ((row->flags & CONFIG__HIDDEN) != 0) continue;
        for (int j = 0; j < 2; j++) {
            if (names[j] == NULL || !glob_match(pattern, slice_text(names[j]), true)) continue;
            value.len = 0;
            config__print(c, row, &value);
            each(context, names[j], slice_of(value.p, value.len));
        }
    }
    buf_free(&value);
}

bool config_value(const struct config *c, struct slice name, struct buf *out) {
    const struct config__row *row = config__row_find(name);
    if (row == NULL) return false;
    config__print(c, row, out);
    return true;
}

bool config_exists(struct slice name) { return config__row_find(name) != NULL; }

bool config_is_sensitive(struct slice name) {
    const struct config__row *row = config__row_find(name);
    return row != NULL && (row->flags & CONFIG__SENSITIVE) != 0;
}
