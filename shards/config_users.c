// SPDX-License-Identifier: BSD-3-Clause
//
// Users in the configuration: `user` lines, requirepass and the file of users. What lines say is
// kept until all is read, because acl-pubsub-default may come behind them, and because a file of
// users beside them is a mistake that would leave somebody with rights nobody meant. Runs on the
// main thread at the start; files of users also on shards, for ACL LOAD and ACL SAVE. Invariant: a
// configuration has users at all times. Redis documentation: "ACL".
#include <errno.h>
#include <limits.h>

#include "engine/base/alloc.h"
#include "shards/config_rows.h"

void config_set_users(struct config *c, struct acl_users *users) {
    acl_users_release(c->users);
    c->users = users;
}

// ---- lines -------------------------------------------------------------------------------------

static bool was_named(const struct config *c, struct slice name) {
    for (uint32_t i = 0; i < c->user_words.count; i++)
        if (c->user_words.items[i]->tag && slice_equal(acl_item_text(c->user_words.items[i]), name))
            return true;
    return false;
}

/** Makes a user by its rules, from nothing. */
static bool make_user(struct config *c, struct slice name, const struct slice *rules,
                      uint32_t count, struct buf *error) {
    struct slice *all = mem_alloc((count + 1) * sizeof *all);
    all[0] = SLICE_LITERAL("reset"); // `default` is there already
    for (uint32_t i = 0; i < count; i++) all[i + 1] = rules[i];
    struct acl_users *users =
        acl_users_change(c->users, name, all, count + 1, config_all_channels(c), error);
    mem_free(all);
    if (users) config_set_users(c, users);
    return users != NULL;
}

/** Takes a password or its hash out of the reason, which may end up in a journal. */
static void hide_secret(struct buf *reason, size_t from) {
    const char *quote = memchr(reason->p + from, '\'', reason->len - from);
    const char *end = reason->p + reason->len;
    if (!quote || quote + 1 == end || !memchr("<>#!", quote[1], 4)) return;
    while (end > quote + 1 && end[-1] != '\'') end--;
    struct buf shown = {0};
    buf_append(&shown, reason->p, (size_t)(quote + 2 - reason->p));
    buf_append_text(&shown, "(redacted)'");
    buf_append(&shown, end, (size_t)(reason->p + reason->len - end));
    buf_free(reason);
    *reason = shown;
}

bool config__add_user(struct config *c, const struct slice *words, size_t count,
                      struct buf *error) {
    ASSERT(count > 0);
    if (acl_has_space(words[0])) {
        buf_append_text(error, "Spaces not allowed in ACL usernames");
        return false;
    }
    if (was_named(c, words[0])) {
        buf_append_text(error,
                        "Duplicate user found. A user can only be defined once in config files");
        return false;
    }
    // Made now to have errors told with their line, and again when all is read.
    size_t told = error->len;
    if (!make_user(c, words[0], words + 1, (uint32_t)count - 1, error)) {
        hide_secret(error, told);
        return false;
    }
    for (size_t i = 0; i < count; i++) acl_list_add(&c->user_words, words[i], i == 0);
    return true;
}

static bool make_users(struct config *c, struct buf *error) {
    const struct acl_list *words = &c->user_words;
    struct slice *rules = mem_alloc((words->count + 1) * sizeof *rules);
    bool ok = true;
    for (uint32_t i = 0, next; i < words->count && ok; i = next) {
        for (next = i + 1; next < words->count && !words->items[next]->tag; next++)
            rules[next - i - 1] = acl_item_text(words->items[next]);
        ok = make_user(c, acl_item_text(words->items[i]), rules, next - i - 1, error);
    }
    mem_free(rules);
    return ok;
}

bool config__finish_users(struct config *c, bool file_rules, struct buf *error) {
    struct slice password = slice_of(c->requirepass.p, c->requirepass.len);
    if (c->aclfile[0] != '\0' && c->user_words.count > 0) {
        buf_append_text(error, "There are users in the configuration, and a file of users "
                               "(aclfile) beside them: only one of the two can be.\n");
        return false;
    }
    config_set_users(c, acl_users_new());
    if (password.n > 0) config_set_users(c, acl_users_change_password(c->users, password));
    bool ok = make_users(c, error);
    acl_list_clear(&c->user_words);
    if (ok && c->aclfile[0] != '\0' && file_rules) {
        struct acl_users *users = config_read_users(c, error);
        if (users) config_set_users(c, users);
        ok = users != NULL;
    }
    if (!ok) buf_append_char(error, '\n');
    return ok;
}

// ---- the file ----------------------------------------------------------------------------------

/** The path of the file: relative to `dir`, which the process changes into only later. */
static void append_path(const struct config *c, struct buf *path) {
    if (c->aclfile[0] != '/') buf_printf(path, "%s/", c->dir);
    buf_append(path, c->aclfile, strlen(c->aclfile) + 1);
}

struct acl_users *config_read_users(const struct config *c, struct buf *error) {
    struct buf path = {0}, text = {0};
    struct acl_users *users = NULL;
    append_path(c, &path);
    int result = config__read_file(path.p, &text);
    if (result < 0)
        buf_printf(error, "Error loading ACLs, opening file '%s': %s", c->aclfile,
                   strerror(-result));
    else
        users = acl_users_load(c->users, slice_of(text.p, text.len), c->aclfile,
                               config_all_channels(c), error);
    buf_free(&text);
    buf_free(&path);
    return users;
}

int config_write_users(const struct config *c) {
    struct buf path = {0}, text = {0};
    append_path(c, &path);
    for (uint32_t i = 0; i < c->users->count; i++) {
        acl_users_print_line(c->users->users[i], &text);
        buf_append_char(&text, '\n');
    }
    int result = config__replace_file(path.p, &text);
    buf_free(&text);
    buf_free(&path);
    return result;
}
