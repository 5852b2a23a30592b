// SPDX-License-Identifier: BSD-3-Clause
//
// Whose a connection is, and what that lets it do. A shard keeps an account for each user that has
// connections here; a connection points to its account, the account to the user's rules in the
// shard's configuration. So new rules reach all connections by changing one pointer for each
// account, checks take no lock, and a connection whose user may do everything is not checked at
// all: it is not `guarded`. Each shard's accounts are its own.
#ifndef TORC_SHARDS_ACCOUNTS_H
#define TORC_SHARDS_ACCOUNTS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/acl/acl_log.h"
#include "engine/acl/acl_users.h"
#include "engine/base/buf.h"
#include "engine/commands/command.h"
#include "shards/penalties.h"

struct connection;
struct shard;

struct account {
    struct acl_user *user; // a reference
    uint32_t connections;
    bool unrestricted; // the user may do everything
    bool gone;         // there is no such user any more: nobody may have it from now on
    // While users change: what has to be looked at again for each connection.
    bool guards, channels, blocked;
};

struct accounts {
    struct acl_users *users;  // a reference
    struct account **at;      // of the user at the same place in `users`; NULL: has no connections
    struct account *standard; // of `default`, whom all connections have at first
    bool auth_required;       // `default` has a password, or is off
    struct penalties penalties;
};

/**
 * Takes over other users, or the first ones. Connections of users that are gone are closed, so are
 * subscribers of channels that they may not have any more; whoever is blocked in a command that is
 * not allowed any more gets the error.
 */
void accounts_use(struct shard *s, struct acl_users *users);
/** Frees all; no connection is left. */
void accounts_fini(struct shard *s);

/** A new connection, or one that is reset, becomes one of `default`. */
void accounts_enter(struct connection *conn);
/** A connection ends. */
void accounts_leave(struct connection *conn);
/**
 * Logs in; false: there is no such user or password, which has been counted and logged, and the
 * answer may be given only after *wait_ms, because the client's address has failed too often.
 */
bool accounts_login(struct connection *conn, struct slice command, struct slice name,
                    struct slice password, int64_t *wait_ms);
/** The name of the connection's user. */
struct slice accounts_name(const struct connection *conn);

/** What becomes of a command. */
struct account_ruling {
    enum acl_verdict verdict;
    int arg;        // the key or channel that was denied
    uint8_t narrow; // CMD_CTX_NARROW, or 0
};
/**
 * Whether the user of a guarded connection may run a command; a denial has been counted and logged.
 */
struct account_ruling accounts_rule(struct connection *conn, const struct command *spec, int argc,
                                    const struct slice *argv);
/** Appends the error of a denial, with a zero byte behind it, as clients get it. */
void accounts_refusal(const struct connection *conn, const struct command *spec,
                      enum acl_verdict verdict, struct buf *out);

#endif
