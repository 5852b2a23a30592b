// SPDX-License-Identifier: BSD-3-Clause
//
// Sets of users: arrays ordered by name. Changes copy the array of pointers, which for thousands of
// users is some kilobytes, and happens seldom. Pure functions; whoever publishes a set sees to it
// that two changes do not start from the same one. Invariant: names are unique and in order, and
// `default` is among them.
#include "engine/acl/acl_users.h"

#include "engine/base/alloc.h"

// ---- life --------------------------------------------------------------------------------------

/** A set with room for so many users; none is in it. */
static struct acl_users *make(uint32_t room, uint64_t next_id) {
    struct acl_users *users = mem_alloc(sizeof *users + room * sizeof users->users[0]);
    atomic_init(&users->references, 1);
    users->next_id = next_id;
    users->count = 0;
    return users;
}

/** A set with the same users, and room for so many more. */
static struct acl_users *copy(const struct acl_users *from, uint32_t more) {
    struct acl_users *users = make(from->count + more, from->next_id);
    for (; users->count < from->count; users->count++)
        users->users[users->count] = acl_user_retain(from->users[users->count]);
    return users;
}

static struct acl_user *make_default(uint64_t id) {
    struct acl_user *user = acl_user_new(ACL_DEFAULT_USER, id, true);
    user->on = user->nopass = true;
    enum acl_error error = acl_selector_apply(&user->selectors[0], SLICE_LITERAL("allcommands"));
    ASSERT(error == ACL_OK);
    error = acl_selector_apply(&user->selectors[0], SLICE_LITERAL("allkeys"));
    ASSERT(error == ACL_OK);
    return user;
}

struct acl_users *acl_users_new(void) {
    struct acl_users *users = make(1, 1);
    users->users[users->count++] = make_default(0);
    return users;
}

struct acl_users *acl_users_retain(struct acl_users *users) {
    uint32_t before = atomic_fetch_add_explicit(&users->references, 1, memory_order_relaxed);
    ASSERT(before > 0);
    return users;
}

void acl_users_release(struct acl_users *users) {
    if (users == NULL) return;
    uint32_t before = atomic_fetch_sub_explicit(&users->references, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before > 1) return;
    for (uint32_t i = 0; i < users->count; i++) acl_user_release(users->users[i]);
    mem_free(users);
}

// ---- places ------------------------------------------------------------------------------------

/** Where a user is, or would have to be. */
static uint32_t place_of(const struct acl_users *users, struct slice name) {
    uint32_t low = 0, high = users->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (slice_compare(acl_user_name(users->users[middle]), name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t acl_users_find(const struct acl_users *users, struct slice name) {
    uint32_t at = place_of(users, name);
    bool found = at < users->count && slice_equal(acl_user_name(users->users[at]), name);
    return found ? at : ACL_NOT_THERE;
}

struct acl_user *acl_users_default(const struct acl_users *users) {
    uint32_t at = acl_users_find(users, ACL_DEFAULT_USER);
    ASSERT(at != ACL_NOT_THERE);
    return users->users[at];
}

/** Puts a user in the place of the one with that name, or where it belongs; there is room. */
static void put(struct acl_users *users, struct acl_user *user) {
    uint32_t at = place_of(users, acl_user_name(user));
    if (at < users->count && slice_equal(acl_user_name(users->users[at]), acl_user_name(user))) {
        acl_user_release(users->users[at]);
    } else {
        memmove(&users->users[at + 1], &users->users[at],
                (users->count - at) * sizeof users->users[0]);
        users->count++;
    }
    users->users[at] = user;
}

// ---- changes -----------------------------------------------------------------------------------

struct acl_users *acl_users_change(const struct acl_users *users, struct slice name,
                                   const struct slice *rules, uint32_t count, bool all_channels,
                                   struct buf *error) {
    struct acl_rules joined;
    uint32_t unmatched = 0;
    if (!acl_rules_join(&joined, rules, count, &unmatched)) {
        buf_printf(error, "Unmatched parenthesis in acl selector starting at '%.*s'.",
                   (int)rules[unmatched].n, rules[unmatched].p);
        acl_rules_free(&joined);
        return NULL;
    }
    uint32_t at = acl_users_find(users, name);
    struct acl_users *changed = copy(users, 1);
    struct acl_user *user = at == ACL_NOT_THERE
                                ? acl_user_new(name, changed->next_id++, all_channels)
                                : acl_user_copy(users->users[at]);
    put(changed, user);
    enum acl_error refused = ACL_OK;
    for (uint32_t i = 0; i < joined.count && refused == ACL_OK; i++) {
        refused = acl_user_apply(user, joined.items[i], all_channels);
        if (refused != ACL_OK)
            buf_printf(error, "Error in ACL SETUSER modifier '%.*s': %s", (int)joined.items[i].n,
                       joined.items[i].p, acl_error_text(refused));
    }
    acl_rules_free(&joined);
    if (refused == ACL_OK) return changed;
    acl_users_release(changed);
    return NULL;
}

struct acl_users *acl_users_change_password(const struct acl_users *users, struct slice password) {
    struct acl_users *changed = copy(users, 0);
    struct acl_user *user = acl_user_copy(acl_users_default(users));
    acl_user_set_password(user, password);
    put(changed, user);
    return changed;
}

struct acl_users *acl_users_remove(const struct acl_users *users, const struct slice *names,
                                   uint32_t count, uint32_t *gone) {
    struct acl_users *left = copy(users, 0);
    *gone = 0;
    for (uint32_t i = 0; i < count; i++) {
        ASSERT(!slice_equal(names[i], ACL_DEFAULT_USER));
        uint32_t at = acl_users_find(left, names[i]);
        if (at == ACL_NOT_THERE) continue;
        acl_user_release(left->users[at]);
        left->count--;
        memmove(&left->users[at], &left->users[at + 1], (left->count - at) * sizeof left->users[0]);
        (*gone)++;
    }
    return left;
}

// ---- files -------------------------------------------------------------------------------------

void acl_users_print_line(const struct acl_user *user, struct buf *out) {
    buf_printf(out, "user %.*s ", (int)user->name_length, user->name);
    acl_user_print(user, out);
}

/** A file that is being read. */
struct reading {
    const struct acl_users *before;
    struct acl_users *users;
    uint32_t room;
    const char *file;
    unsigned line_number;
    bool all_channels;
    struct buf *errors;
};

/** Applies the rules of a line. Of errors but unknown names only the first is told. */
static void apply_line(struct reading *r, struct acl_user *user, const struct slice *words,
                       uint32_t count) {
    struct acl_rules rules;
    uint32_t unmatched;
    bool told = false;
    if (!acl_rules_join(&rules, words, count, &unmatched)) {
        buf_printf(r->errors, "%s:%u: Unmatched parenthesis in selector definition.", r->file,
                   r->line_number);
        rules.count = 0;
    }
    for (uint32_t i = 0; i < rules.count; i++) {
        enum acl_error error = acl_user_apply(user, rules.items[i], r->all_channels);
        if (error == ACL_BAD_NAME)
            buf_printf(r->errors, "%s:%u: Error in applying operation '%.*s': %s. ", r->file,
                       r->line_number, (int)rules.items[i].n, rules.items[i].p,
                       acl_error_text(error));
        else if (error != ACL_OK && !told)
            buf_printf(r->errors, "%s:%u: %s. ", r->file, r->line_number, acl_error_text(error));
        told |= error != ACL_OK && error != ACL_BAD_NAME;
    }
    acl_rules_free(&rules);
}

static void add_user(struct reading *r, struct slice name, const struct slice *rules,
                     uint32_t count) {
    if (acl_has_space(name)) {
        buf_printf(r->errors, "'%s:%u: username '%.*s' contains invalid characters. ", r->file,
                   r->line_number, (int)name.n, name.p);
        return;
    }
    if (acl_users_find(r->users, name) != ACL_NOT_THERE) {
        buf_printf(r->errors, "WARNING: Duplicate user '%.*s' found on line %u. ", (int)name.n,
                   name.p, r->line_number);
        return;
    }
    if (r->users->count + 1 >= r->room) { // one is left for `default`
        r->room *= 2;
        r->users = mem_realloc(r->users, sizeof *r->users + r->room * sizeof r->users->users[0]);
    }
    uint32_t known = acl_users_find(r->before, name);
    uint64_t id = known == ACL_NOT_THERE ? r->users->next_id++ : r->before->users[known]->id;
    struct acl_user *user = acl_user_new(name, id, r->all_channels);
    put(r->users, user);
    apply_line(r, user, rules, count);
}

static void read_line(struct reading *r, struct slice line) {
    uint32_t count = 0, cap = 16;
    struct slice *words = mem_alloc(cap * sizeof *words), word;
    while (slice_next_word(&line, &word)) {
        if (count == cap) words = mem_realloc(words, (cap *= 2) * sizeof *words);
        words[count++] = word;
    }
    if (count >= 2 && slice_equal(words[0], SLICE_LITERAL("user")))
        add_user(r, words[1], words + 2, count - 2);
    else if (count > 0)
        buf_printf(r->errors, "%s:%u should start with user keyword followed by the username. ",
                   r->file, r->line_number);
    mem_free(words);
}

struct acl_users *acl_users_load(const struct acl_users *before, struct slice text,
                                 const char *file, bool all_channels, struct buf *errors) {
    size_t told = errors->len;
    struct reading r = {.before = before,
                        .users = make(64, before->next_id),
                        .room = 64,
                        .file = file,
                        .all_channels = all_channels,
                        .errors = errors};
    while (text.n > 0) {
        const char *end = memchr(text.p, '\n', text.n);
        size_t n = end ? (size_t)(end - text.p) : text.n;
        r.line_number++;
        read_line(&r, slice_of(text.p, n));
        n += end != NULL;
        text = slice_of(text.p + n, text.n - n);
    }
    if (acl_users_find(r.users, ACL_DEFAULT_USER) == ACL_NOT_THERE)
        put(r.users, make_default(acl_users_default(before)->id));
    if (errors->len == told) return r.users;
    buf_append_text(errors, "WARNING: ACL errors detected, no change to the previously active ACL "
                            "rules was performed");
    acl_users_release(r.users);
    return NULL;
}
