// SPDX-License-Identifier: BSD-3-Clause
//
// A user: a name, whether and how one may log in, and selectors. Counted by reference; changed only
// by who has made it, before anybody else sees it, so that checks need no lock. A changed user is a
// new one with the old one's id. Rules and texts follow Redis (documentation, "ACL").
#ifndef TORC_ENGINE_ACL_ACL_USER_H
#define TORC_ENGINE_ACL_ACL_USER_H

#include <stdatomic.h>

#include "engine/acl/acl_selector.h"

struct acl_user {
    _Atomic uint32_t references;
    uint64_t id; // the same in all versions; a user who was deleted and made again has another one
    bool on;     // one may log in
    bool nopass; // ... with any password
    bool skip_sanitize;             // shown and kept; torc checks every payload all the same
    struct acl_list passwords;      // SHA-256, 32 bytes each
    struct acl_selector *selectors; // [0] is the root
    uint32_t selector_count;
    uint32_t name_length;
    char name[];
};

/** Makes a user who is off and may do nothing but, if said so, use channels. One reference. */
struct acl_user *acl_user_new(struct slice name, uint64_t id, bool all_channels);
/** Makes a user with the same id, name and rules, to be changed. One reference. */
struct acl_user *acl_user_copy(const struct acl_user *user);
/** Takes a reference, from any thread. */
struct acl_user *acl_user_retain(struct acl_user *user);
/** Gives one back; NULL is allowed. */
void acl_user_release(struct acl_user *user);

static inline struct slice acl_user_name(const struct acl_user *user) {
    return slice_of(user->name, user->name_length);
}

/** Applies one rule of ACL SETUSER. `all_channels`: what "reset" gives (acl-pubsub-default). */
enum acl_error acl_user_apply(struct acl_user *user, struct slice rule, bool all_channels);
/** Why a rule was refused, in Redis's words. */
const char *acl_error_text(enum acl_error error);

/** Rules with the selectors that were spread over several of them put together. */
struct acl_rules {
    struct slice *items;
    uint32_t count;
    char *text; // of those that were put together
};
/**
 * Puts the words of "(~a +get)" together. False: a selector is not closed, and *unmatched is the
 * word that opens it. The caller frees with acl_rules_free(); other words are lent.
 */
bool acl_rules_join(struct acl_rules *rules, const struct slice *words, uint32_t count,
                    uint32_t *unmatched);
void acl_rules_free(struct acl_rules *rules);

/** Whether this password opens the user; takes the same time whichever of them it is not. */
bool acl_user_admits(const struct acl_user *user, struct slice password);
/** Makes it the user's only password; an empty one: none is needed (requirepass). */
void acl_user_set_password(struct acl_user *user, struct slice password);

/** Whether some selector allows everything, so that nothing has to be checked. */
bool acl_user_is_unrestricted(const struct acl_user *user);
/**
 * Whether the user may run the call. Denied for a key or channel: *arg is its place in argv (the
 * last that no selector would have).
 */
enum acl_verdict acl_user_check(const struct acl_user *user, const struct command *spec, int argc,
                                const struct slice *argv, int *arg);
/** Whether a selector that allows the call also allows to read every key (patterns of SORT). */
bool acl_user_check_reads_all(const struct acl_user *user, const struct command *spec, int argc,
                              const struct slice *argv);
/** Whether the user may use a channel, or subscribe to a pattern of them. */
bool acl_user_allows_channel(const struct acl_user *user, struct slice channel, bool pattern);
/** Whether `now` may use every channel that `before` could, as far as their patterns tell. */
bool acl_user_keeps_channels(const struct acl_user *before, const struct acl_user *now);

/** Appends the 64 hex digits of a password. */
void acl_password_print(struct slice password, struct buf *out);
/** Appends the rules that make the user, as in ACL LIST and in files. */
void acl_user_print(const struct acl_user *user, struct buf *out);

#endif
