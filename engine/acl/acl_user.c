// SPDX-License-Identifier: BSD-3-Clause
//
// Users: the rules beyond those of selectors, passwords, and checks over all selectors. Called by
// acl_users.c and by who changes users; checks by any thread. Invariant: a user has a root
// selector, and a user that is in a set has no writer.
#include "engine/acl/acl_user.h"

#include <openssl/sha.h>

#include "engine/base/alloc.h"

_Static_assert(SHA256_DIGEST_LENGTH == 32, "a password is kept as 32 bytes, shown as 64 digits");

// ---- life --------------------------------------------------------------------------------------

static struct acl_user *user_alloc(struct slice name, uint64_t id) {
    struct acl_user *user = mem_calloc(sizeof *user + name.n);
    atomic_init(&user->references, 1);
    user->id = id;
    user->name_length = (uint32_t)name.n;
    if (name.n > 0) memcpy(user->name, name.p, name.n);
    return user;
}

struct acl_user *acl_user_new(struct slice name, uint64_t id, bool all_channels) {
    struct acl_user *user = user_alloc(name, id);
    user->selectors = mem_alloc(sizeof *user->selectors);
    user->selector_count = 1;
    acl_selector_init(&user->selectors[0], all_channels);
    return user;
}

struct acl_user *acl_user_copy(const struct acl_user *user) {
    struct acl_user *copy = user_alloc(acl_user_name(user), user->id);
    copy->on = user->on;
    copy->nopass = user->nopass;
    copy->skip_sanitize = user->skip_sanitize;
    acl_list_copy(&copy->passwords, &user->passwords);
    copy->selectors = mem_alloc(user->selector_count * sizeof *copy->selectors);
    copy->selector_count = user->selector_count;
    for (uint32_t i = 0; i < user->selector_count; i++)
        acl_selector_copy(&copy->selectors[i], &user->selectors[i]);
    return copy;
}

struct acl_user *acl_user_retain(struct acl_user *user) {
    uint32_t before = atomic_fetch_add_explicit(&user->references, 1, memory_order_relaxed);
    ASSERT(before > 0);
    return user;
}

/** Ends all selectors but the first `keep`. */
static void end_selectors(struct acl_user *user, uint32_t keep) {
    for (uint32_t i = keep; i < user->selector_count; i++) acl_selector_fini(&user->selectors[i]);
    user->selector_count = keep;
}

void acl_user_release(struct acl_user *user) {
    if (user == NULL) return;
    uint32_t before = atomic_fetch_sub_explicit(&user->references, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before > 1) return;
    end_selectors(user, 0);
    mem_free(user->selectors);
    acl_list_clear(&user->passwords);
    mem_free(user);
}

// ---- passwords ---------------------------------------------------------------------------------

static struct slice hash_of(struct slice password, unsigned char out[SHA256_DIGEST_LENGTH]) {
    SHA256((const unsigned char *)password.p, password.n, out);
    return slice_of(out, SHA256_DIGEST_LENGTH);
}

/** Takes 64 lower case hex digits apart. */
static bool parse_hash(struct slice text, unsigned char out[SHA256_DIGEST_LENGTH]) {
    if (text.n != 2 * SHA256_DIGEST_LENGTH) return false;
    memset(out, 0, SHA256_DIGEST_LENGTH);
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        bool digit = c >= '0' && c <= '9';
        if (!digit && (c < 'a' || c > 'f')) return false;
        out[i / 2] = (unsigned char)(out[i / 2] << 4 | (digit ? c - '0' : c - 'a' + 10));
    }
    return true;
}

void acl_password_print(struct slice password, struct buf *out) {
    for (size_t i = 0; i < password.n; i++) buf_printf(out, "%02x", (unsigned char)password.p[i]);
}

/** ">secret" and "#hash" add one, "<secret" and "!hash" remove one. */
static enum acl_error apply_password(struct acl_user *user, struct slice rule) {
    unsigned char hash[SHA256_DIGEST_LENGTH];
    struct slice text = slice_of(rule.p + 1, rule.n - 1);
    bool add = rule.p[0] == '>' || rule.p[0] == '#';
    if (rule.p[0] == '>' || rule.p[0] == '<')
        hash_of(text, hash);
    else if (!parse_hash(text, hash))
        return ACL_BAD_HASH;
    struct slice password = slice_of(hash, sizeof hash);
    uint32_t at = acl_list_find(&user->passwords, password);
    if (add) {
        if (at == ACL_NOT_THERE) acl_list_add(&user->passwords, password, 0);
        user->nopass = false;
    } else if (at == ACL_NOT_THERE) {
        return ACL_NO_SUCH_PASSWORD;
    } else {
        acl_list_remove(&user->passwords, at);
    }
    return ACL_OK;
}

bool acl_user_admits(const struct acl_user *user, struct slice password) {
    unsigned char hash[SHA256_DIGEST_LENGTH];
    if (!user->on) return false;
    if (user->nopass) return true;
    hash_of(password, hash);
    bool found = false;
    for (uint32_t i = 0; i < user->passwords.count; i++) {
        const unsigned char *known = (const unsigned char *)user->passwords.items[i]->text;
        unsigned char difference = 0;
        for (int k = 0; k < SHA256_DIGEST_LENGTH; k++) difference |= known[k] ^ hash[k];
        found |= difference == 0;
    }
    return found;
}

void acl_user_set_password(struct acl_user *user, struct slice password) {
    unsigned char hash[SHA256_DIGEST_LENGTH];
    acl_list_clear(&user->passwords);
    user->nopass = password.n == 0;
    if (password.n > 0) acl_list_add(&user->passwords, hash_of(password, hash), 0);
}

// ---- rules -------------------------------------------------------------------------------------

static enum acl_error add_selector(struct acl_user *user, struct slice text, bool all_channels) {
    struct acl_selector selector;
    struct slice word;
    enum acl_error error = ACL_OK;
    acl_selector_init(&selector, all_channels);
    while (error == ACL_OK && slice_next_word(&text, &word))
        error = acl_selector_apply(&selector, word);
    if (error != ACL_OK) {
        acl_selector_fini(&selector);
        return error;
    }
    size_t bytes = (user->selector_count + 1) * sizeof selector;
    user->selectors = mem_realloc(user->selectors, bytes);
    user->selectors[user->selector_count++] = selector;
    return ACL_OK;
}

static void reset(struct acl_user *user, bool all_channels) {
    end_selectors(user, 0);
    acl_selector_init(&user->selectors[0], all_channels);
    user->selector_count = 1;
    acl_list_clear(&user->passwords);
    user->on = user->nopass = user->skip_sanitize = false;
}

enum acl_error acl_user_apply(struct acl_user *user, struct slice rule, bool all_channels) {
    if (rule.n == 0) return ACL_OK;
    if (slice_is(rule, "on") || slice_is(rule, "off")) {
        user->on = slice_is(rule, "on");
    } else if (slice_is(rule, "skip-sanitize-payload") || slice_is(rule, "sanitize-payload")) {
        user->skip_sanitize = slice_is(rule, "skip-sanitize-payload");
    } else if (slice_is(rule, "nopass") || slice_is(rule, "resetpass")) {
        user->nopass = slice_is(rule, "nopass");
        acl_list_clear(&user->passwords);
    } else if (strchr("><#!", rule.p[0]) != NULL && rule.p[0] != '\0') {
        return apply_password(user, rule);
    } else if (rule.p[0] == '(' && rule.p[rule.n - 1] == ')') {
        return add_selector(user, slice_of(rule.p + 1, rule.n - 2), all_channels);
    } else if (slice_is(rule, "clearselectors")) {
        end_selectors(user, 1);
    } else if (slice_is(rule, "reset")) {
        reset(user, all_channels);
    } else {
        return acl_selector_apply(&user->selectors[0], rule);
    }
    return ACL_OK;
}

const char *acl_error_text(enum acl_error error) {
    switch (error) {
    case ACL_BAD_SYNTAX: return "Syntax error";
    case ACL_BAD_NAME: return "Unknown command or category name in ACL";
    case ACL_KEYS_SHADOWED:
        return "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does "
               "not have any effect. Try 'resetkeys' to start with an empty list of patterns";
    case ACL_CHANNELS_SHADOWED:
        return "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and "
               "does not have any effect. Try 'resetchannels' to start with an empty list of "
               "channels";
    case ACL_NO_SUCH_PASSWORD:
        return "The password you are trying to remove from the user does not exist";
    case ACL_BAD_HASH:
        return "The password hash must be exactly 64 characters and contain only lowercase "
               "hexadecimal characters";
    case ACL_FIRST_ARG_OF_SUBCOMMAND: return "Allowing first-arg of a subcommand is not supported";
    case ACL_OK: break;
    }
    ASSERT(error != ACL_OK);
    return "Wrong format";
}

static bool ends_with(struct slice word, char c) { return word.n > 0 && word.p[word.n - 1] == c; }

bool acl_rules_join(struct acl_rules *rules, const struct slice *words, uint32_t count,
                    uint32_t *unmatched) {
    rules->items = mem_alloc((count + 1) * sizeof *rules->items);
    rules->count = 0;
    // Joined with one blank between words: never longer than all of them with one more each.
    rules->text = mem_alloc(slices_bytes(words, (int)count) + count + 1);
    char *end = rules->text, *begin = NULL;
    for (uint32_t i = 0; i < count; i++) {
        struct slice word = words[i];
        if (begin == NULL && (word.n == 0 || word.p[0] != '(' || ends_with(word, ')'))) {
            rules->items[rules->count++] = word;
            continue;
        }
        if (begin == NULL) {
            begin = end;
            *unmatched = i;
        } else {
            *end++ = ' ';
        }
        if (word.n > 0) memcpy(end, word.p, word.n);
        end += word.n;
        if (!ends_with(word, ')')) continue;
        rules->items[rules->count++] = slice_of(begin, (size_t)(end - begin));
        begin = NULL;
    }
    return begin == NULL;
}

void acl_rules_free(struct acl_rules *rules) {
    mem_free(rules->items);
    mem_free(rules->text);
    *rules = (struct acl_rules){0};
}

// ---- checks ------------------------------------------------------------------------------------

bool acl_user_is_unrestricted(const struct acl_user *user) {
    for (uint32_t i = 0; i < user->selector_count; i++) {
        const struct acl_selector *s = &user->selectors[i];
        if (s->all_commands && s->all_keys && s->all_channels) return true;
    }
    return false;
}

enum acl_verdict acl_user_check(const struct acl_user *user, const struct command *spec, int argc,
                                const struct slice *argv, int *arg) {
    struct acl_call call;
    call.spec = spec;
    call.argc = argc;
    call.argv = argv;
    call.has_keys = false;
    enum acl_verdict worst = ACL_DENIED_COMMAND, verdict = ACL_DENIED_COMMAND;
    *arg = 0;
    for (uint32_t i = 0; i < user->selector_count; i++) {
        int at;
        verdict = acl_selector_check(&user->selectors[i], &call, &at);
        if (verdict == ACL_ALLOWED) break;
        if (verdict > worst || (verdict == worst && at > *arg)) {
            worst = verdict;
            *arg = at;
        }
    }
    acl_call_fini(&call);
    return verdict == ACL_ALLOWED ? ACL_ALLOWED : worst;
}

bool acl_user_check_reads_all(const struct acl_user *user, const struct command *spec, int argc,
                              const struct slice *argv) {
    struct acl_call call;
    call.spec = spec;
    call.argc = argc;
    call.argv = argv;
    call.has_keys = false;
    bool found = false;
    for (uint32_t i = 0; i < user->selector_count && !found; i++) {
        int at;
        found = acl_selector_check(&user->selectors[i], &call, &at) == ACL_ALLOWED &&
                acl_selector_reads_all(&user->selectors[i]);
    }
    acl_call_fini(&call);
    return found;
}

bool acl_user_allows_channel(const struct acl_user *user, struct slice channel, bool pattern) {
    for (uint32_t i = 0; i < user->selector_count; i++)
        if (acl_selector_allows_channel(&user->selectors[i], channel, pattern)) return true;
    return false;
}

/** Whether some selector has all channels, or this very pattern of them. */
static bool has_channels(const struct acl_user *user, const struct acl_item *pattern) {
    for (uint32_t i = 0; i < user->selector_count; i++) {
        const struct acl_selector *s = &user->selectors[i];
        if (s->all_channels) return true;
        if (pattern && acl_list_find(&s->channels, acl_item_text(pattern)) != ACL_NOT_THERE)
            return true;
    }
    return false;
}

bool acl_user_keeps_channels(const struct acl_user *before, const struct acl_user *now) {
    if (has_channels(now, NULL)) return true;
    for (uint32_t i = 0; i < before->selector_count; i++) {
        const struct acl_selector *s = &before->selectors[i];
        if (s->all_channels) return false;
        for (uint32_t k = 0; k < s->channels.count; k++)
            if (!has_channels(now, s->channels.items[k])) return false;
    }
    return true;
}

// ---- printing ----------------------------------------------------------------------------------

void acl_user_print(const struct acl_user *user, struct buf *out) {
    buf_append_text(out, user->on ? "on" : "off");
    if (user->nopass) buf_append_text(out, " nopass");
    buf_append_text(out, user->skip_sanitize ? " skip-sanitize-payload " : " sanitize-payload ");
    for (uint32_t i = 0; i < user->passwords.count; i++) {
        buf_append_char(out, '#');
        acl_password_print(acl_item_text(user->passwords.items[i]), out);
        buf_append_char(out, ' ');
    }
    for (uint32_t i = 0; i < user->selector_count; i++) {
        if (i > 0) buf_append_text(out, " (");
        acl_selector_print(&user->selectors[i], out);
        if (i > 0) buf_append_char(out, ')');
    }
}
