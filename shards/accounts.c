// SPDX-License-Identifier: BSD-3-Clause
//
// Accounts: entering and leaving them, checks, and what happens to connections when users change.
// Runs on the shard's own thread; the log of denials belongs to the fleet, under its admin lock.
// Invariant: every connection has an account of its shard, and that one's user is in the users of
// the shard's configuration; a connection is guarded exactly if it has not logged in or its user
// may not do everything.
#include "shards/accounts.h"

#include "engine/base/alloc.h"
#include "net/listener.h"
#include "shards/blocked.h"
#include "shards/connection.h"
#include "shards/pubsub.h"

// ---- entering and leaving ----------------------------------------------------------------------

static void set_guard(struct connection *conn) {
    conn->guarded = !conn->authenticated || !conn->account->unrestricted;
    if (!conn->guarded) conn->cmd_flags &= (uint8_t)~CMD_CTX_NARROW;
}

static void account_free(struct account *account) {
    acl_user_release(account->user);
    mem_free(account);
}

/** The account of the user at a place; made if nobody has it. */
static struct account *account_at(struct accounts *a, uint32_t at) {
    if (a->at[at]) return a->at[at];
    struct account *account = mem_calloc(sizeof *account);
    account->user = acl_user_retain(a->users->users[at]);
    account->unrestricted = acl_user_is_unrestricted(account->user);
    return a->at[at] = account;
}

static void leave(struct connection *conn) {
    struct accounts *a = &conn->shard->accounts;
    struct account *account = conn->account;
    conn->account = NULL;
    ASSERT(account->connections > 0);
    if (--account->connections > 0 || account == a->standard) return;
    if (!account->gone) {
        uint32_t at = acl_users_find(a->users, acl_user_name(account->user));
        ASSERT(at != ACL_NOT_THERE && a->at[at] == account);
        a->at[at] = NULL;
    }
    account_free(account);
}

static void enter(struct connection *conn, struct account *account, bool authenticated) {
    conn->account = account;
    account->connections++;
    conn->authenticated = authenticated;
    set_guard(conn);
}

void accounts_enter(struct connection *conn) {
    struct accounts *a = &conn->shard->accounts;
    if (conn->account) leave(conn);
    enter(conn, a->standard, !a->auth_required);
}

void accounts_leave(struct connection *conn) { leave(conn); }

struct slice accounts_name(const struct connection *conn) {
    return acl_user_name(conn->account->user);
}

// ---- the log of denials ------------------------------------------------------------------------

static void log_denial(struct connection *conn, enum acl_log_reason reason, struct slice object,
                       struct slice user) {
    struct shard *s = conn->shard;
    struct buf client = {0};
    connection_describe(conn, &client);
    struct acl_denial denial = {.reason = reason,
                                .in_multi = conn->in_multi,
                                .object = object,
                                .user = user,
                                .client = slice_of(client.p, client.len)};
    s->stats.denials[reason]++;
    pthread_mutex_lock(&s->fleet->admin_lock);
    acl_log_add(&s->fleet->acl_log, &denial, (uint64_t)s->config->acllog_max_len, s->now_ms);
    pthread_mutex_unlock(&s->fleet->admin_lock);
    buf_free(&client);
}

bool accounts_login(struct connection *conn, struct slice command, struct slice name,
                    struct slice password, int64_t *wait_ms) {
    struct accounts *a = &conn->shard->accounts;
    uint32_t at = acl_users_find(a->users, name);
    if (at == ACL_NOT_THERE || !acl_user_admits(a->users->users[at], password)) {
        log_denial(conn, ACL_LOG_AUTH, command, name);
        uint64_t address = listener_peer_key(conn->io.fd);
        *wait_ms = address != 0 ? penalties_add(&a->penalties, address, conn->shard->now_ms) : 0;
        return false;
    }
    struct account *account = account_at(a, at);
    account->connections++; // stays, when it is left for itself
    leave(conn);
    account->connections--;
    enter(conn, account, true);
    return true;
}

// ---- checks ------------------------------------------------------------------------------------

struct account_ruling accounts_rule(struct connection *conn, const struct command *spec, int argc,
                                    const struct slice *argv) {
    const struct acl_user *user = conn->account->user;
    struct account_ruling ruling = {.arg = 0};
    ruling.verdict = acl_user_check(user, spec, argc, argv, &ruling.arg);
    if (unlikely(ruling.verdict != ACL_ALLOWED)) {
        struct slice object =
            ruling.verdict == ACL_DENIED_COMMAND ? slice_text(spec->full_name) : argv[ruling.arg];
        log_denial(conn, (enum acl_log_reason)ruling.verdict, object, acl_user_name(user));
    } else if (unlikely(spec->flags & COMMAND_PATTERN_KEYS) &&
               !acl_user_check_reads_all(user, spec, argc, argv)) {
        ruling.narrow = CMD_CTX_NARROW;
    }
    return ruling;
}

void accounts_refusal(const struct connection *conn, const struct command *spec,
                      enum acl_verdict verdict, struct buf *out) {
    struct slice name = accounts_name(conn);
    ASSERT(verdict != ACL_ALLOWED);
    if (verdict == ACL_DENIED_COMMAND)
        buf_printf(out, "NOPERM User %.*s has no permissions to run the '%s' command", (int)name.n,
                   name.p, spec->full_name);
    else
        buf_append_text(out, verdict == ACL_DENIED_KEY
                                 ? "NOPERM No permissions to access a key"
                                 : "NOPERM No permissions to access a channel");
    buf_append_char(out, '\0');
}

// ---- other users -------------------------------------------------------------------------------

/** Gives an account its user's new rules. Whether its connections have to be looked at. */
static bool renew(struct account *account, struct acl_user *user) {
    struct acl_user *before = account->user;
    bool was_unrestricted = account->unrestricted;
    if (before == user) return false;
    account->user = acl_user_retain(user);
    account->unrestricted = acl_user_is_unrestricted(user);
    account->guards = account->unrestricted != was_unrestricted;
    account->channels = !acl_user_keeps_channels(before, user);
    account->blocked = !account->unrestricted;
    acl_user_release(before);
    return account->connections > 0 && (account->guards || account->channels || account->blocked);
}

/** Moves the accounts to the places of their users. Whether connections have to be looked at. */
static bool move_accounts(struct accounts *a, const struct acl_users *before,
                          struct account **accounts) {
    bool review = false;
    for (uint32_t i = 0; before && i < before->count; i++) {
        struct account *account = accounts[i];
        if (!account) continue;
        uint32_t at = acl_users_find(a->users, acl_user_name(account->user));
        account->gone = at == ACL_NOT_THERE || a->users->users[at]->id != account->user->id;
        if (!account->gone) {
            a->at[at] = account;
            review |= renew(account, a->users->users[at]);
        } else {
            ASSERT(account != a->standard && account->connections > 0);
            review = true;
        }
    }
    return review;
}

/** Closes a connection that may not stay; a reply that it is waiting for, it still gets. */
static void expel(struct connection *conn) {
    if (conn->work && !conn->work->blocking)
        connection_close_after_reply(conn);
    else
        connection_close(conn);
}

static void review_connection(struct connection *conn) {
    struct account *account = conn->account;
    if (account->gone) {
        leave(conn);
        enter(conn, conn->shard->accounts.standard, false);
        expel(conn);
        return;
    }
    if (account->guards) set_guard(conn);
    if (account->channels && !pubsub_is_allowed(conn, account->user)) {
        expel(conn);
        return;
    }
    struct blocked_call call;
    if (!account->blocked || !blocked_call_of(conn, &call)) return;
    struct account_ruling ruling = accounts_rule(conn, call.spec, call.argc, call.argv);
    if (ruling.verdict == ACL_ALLOWED) return;
    conn->shard->stats.by_command[call.spec->id].rejected++;
    struct buf error = {0};
    accounts_refusal(conn, call.spec, ruling.verdict, &error);
    conn->work->end(conn->work, error.p);
    buf_free(&error);
}

void accounts_use(struct shard *s, struct acl_users *users) {
    struct accounts *a = &s->accounts;
    struct acl_users *before = a->users;
    if (before == users) return;
    struct account **accounts = a->at;
    a->users = acl_users_retain(users);
    a->at = mem_calloc(users->count * sizeof *a->at);
    bool review = move_accounts(a, before, accounts);
    struct acl_user *standard = acl_users_default(users);
    a->standard = account_at(a, acl_users_find(users, ACL_DEFAULT_USER));
    a->auth_required = !standard->on || !standard->nopass;
    for (struct connection *conn = s->connections.first; review && conn; conn = conn->next)
        if (!conn->io_closing || conn->account->gone) review_connection(conn);
    mem_free(accounts);
    acl_users_release(before);
}

void accounts_fini(struct shard *s) {
    struct accounts *a = &s->accounts;
    ASSERT(a->standard->connections == 0);
    account_free(a->standard);
    mem_free(a->at);
    acl_users_release(a->users);
    penalties_fini(&a->penalties);
}
