// SPDX-License-Identifier: BSD-3-Clause
//
// All users, ordered by name, as one value that does not change: counted by reference, read by any
// thread. A change makes a new set that shares the users that stayed the same. There is always a
// user `default`, whom connections have before they log in.
#ifndef TORC_ENGINE_ACL_ACL_USERS_H
#define TORC_ENGINE_ACL_ACL_USERS_H

#include "engine/acl/acl_user.h"

struct acl_users {
    _Atomic uint32_t references;
    uint64_t next_id; // of the next new user
    uint32_t count;
    struct acl_user *users[];
};

#define ACL_DEFAULT_USER SLICE_LITERAL("default")

/** Makes the set of a server that knows no users: `default` may do everything. One reference. */
struct acl_users *acl_users_new(void);
/** Takes a reference, from any thread. */
struct acl_users *acl_users_retain(struct acl_users *users);
/** Gives one back; NULL is allowed. */
void acl_users_release(struct acl_users *users);

/** The place of a user, or ACL_NOT_THERE. */
uint32_t acl_users_find(const struct acl_users *users, struct slice name);
/** The user `default`. */
struct acl_user *acl_users_default(const struct acl_users *users);

/**
 * The set with one user changed, or made if need be, by rules as ACL SETUSER has them: one
 * reference. NULL: a rule is refused, the reason is appended to error. `all_channels`: what a new
 * user gets.
 */
struct acl_users *acl_users_change(const struct acl_users *users, struct slice name,
                                   const struct slice *rules, uint32_t count, bool all_channels,
                                   struct buf *error);
/** The set with another password for `default`, or, if empty, without (requirepass). */
struct acl_users *acl_users_change_password(const struct acl_users *users, struct slice password);
/** The set without some users (and how many of them there were, in *gone). One reference. */
struct acl_users *acl_users_remove(const struct acl_users *users, const struct slice *names,
                                   uint32_t count, uint32_t *gone);
/**
 * The set that a file of users describes, lines "user <name> <rules>": one reference. Users that
 * were there before keep their id; without a line for it, `default` is as new. NULL: all that is
 * wrong is appended to errors; `file` names the text in it.
 */
struct acl_users *acl_users_load(const struct acl_users *before, struct slice text,
                                 const char *file, bool all_channels, struct buf *errors);
/** Appends the line of one user, "user <name> <rules>", without its end. */
void acl_users_print_line(const struct acl_user *user, struct buf *out);

#endif
