// SPDX-License-Identifier: BSD-3-Clause
//
// The ACL command: users belong to the configuration, so what changes them is a change of that, and
// is acknowledged when every shard has it; what shows them reads the shard's own. Runs on the
// connection's shard. The log of denials is the fleet's, under its admin lock. Texts and replies
// follow Redis 7.2 (documentation, commands ACL *).
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/log.h"
#include "engine/base/random.h"
#include "engine/commands/introspect.h"
#include "engine/commands/table.h"
#include "shards/session_shared.h"

#define SHOWN_MAX 128 // bytes of an argument in an error

static int shown(struct slice text) { return (int)(text.n < SHOWN_MAX ? text.n : SHOWN_MAX); }

/** Too few or too many arguments for a subcommand whose number is not fixed. */
static bool has_at_most(struct session_call *call, int argc) {
    if (call->argc <= argc) return true;
    session__wrong_subcommand(call, "ACL");
    return false;
}

static const struct acl_users *users_of(const struct session_call *call) {
    return call->connection->shard->accounts.users;
}

// ---- changes -----------------------------------------------------------------------------------

/** Starts a change; the reason why there is none is the reply. */
static void change(struct session_call *call,
                   bool (*make)(struct config_draft *draft, struct buf *error)) {
    struct buf error = {0};
    if (!session__change_config(call, make, &error))
        reply_error_format(call->reply, "ERR %.*s", (int)error.len, error.p);
    buf_free(&error);
}

static bool set_user(struct config_draft *draft, struct buf *error) {
    const struct session_call *call = draft->call;
    struct acl_users *users =
        acl_users_change(draft->config->users, call->argv[2], call->argv + 3,
                         (uint32_t)call->argc - 3, config_all_channels(draft->config), error);
    if (users) config_set_users(draft->config, users);
    return users != NULL;
}

void acl_command_setuser(struct session_call *call) {
    if (acl_has_space(call->argv[2]))
        reply_error(call->reply, "ERR Usernames can't contain spaces or null characters");
    else
        change(call, set_user);
}

static bool delete_users(struct config_draft *draft, struct buf *error) {
    (void)error;
    const struct session_call *call = draft->call;
    uint32_t gone;
    config_set_users(draft->config, acl_users_remove(draft->config->users, call->argv + 2,
                                                     (uint32_t)call->argc - 2, &gone));
    draft->number = gone;
    return true;
}

void acl_command_deluser(struct session_call *call) {
    for (int i = 2; i < call->argc; i++) {
        if (!slice_equal(call->argv[i], ACL_DEFAULT_USER)) continue;
        reply_error(call->reply, "ERR The 'default' user cannot be removed");
        return;
    }
    change(call, delete_users);
}

// ---- the file ----------------------------------------------------------------------------------

static bool has_file(struct session_call *call) {
    if (call->connection->shard->config->aclfile[0] != '\0') return true;
    reply_error(call->reply,
                "ERR This Redis instance is not configured to use an ACL file. You may want to "
                "specify users via the ACL SETUSER command and then issue a CONFIG REWRITE "
                "(assuming you have a Redis configuration file set) in order to store users in the "
                "Redis configuration.");
    return false;
}

static bool read_users(struct config_draft *draft, struct buf *error) {
    struct acl_users *users = config_read_users(draft->config, error);
    if (users) config_set_users(draft->config, users);
    return users != NULL;
}

void acl_command_load(struct session_call *call) {
    if (has_file(call)) change(call, read_users);
}

void acl_command_save(struct session_call *call) {
    if (!has_file(call)) return;
    struct shard *s = call->connection->shard;
    pthread_mutex_lock(&s->fleet->admin_lock); // two of them must not write one file
    int result = config_write_users(s->fleet->config ? s->fleet->config : s->config);
    pthread_mutex_unlock(&s->fleet->admin_lock);
    if (result == 0) {
        reply_ok(call->reply);
        return;
    }
    log_line(LOG_WARN, "ACL SAVE: the file of users can't be written: %s", strerror(-result));
    reply_error(call->reply, "ERR There was an error trying to save the ACLs. Please check the "
                             "server logs for more information");
}

// ---- showing users -----------------------------------------------------------------------------

static void reply_printed(struct reply *r, const char *name, const struct acl_selector *selector,
                          void (*print)(const struct acl_selector *s, struct buf *out)) {
    struct buf text = {0};
    print(selector, &text);
    reply_bulk_text(r, name);
    reply_bulk(r, text.p, text.len);
    buf_free(&text);
}

/** Three pairs of a map. */
static void reply_selector(struct reply *r, const struct acl_selector *selector) {
    reply_printed(r, "commands", selector, acl_selector_print_commands);
    reply_printed(r, "keys", selector, acl_selector_print_keys);
    reply_printed(r, "channels", selector, acl_selector_print_channels);
}

void acl_command_getuser(struct session_call *call) {
    struct reply *r = call->reply;
    uint32_t at = acl_users_find(users_of(call), call->argv[2]);
    if (at == ACL_NOT_THERE) {
        reply_null(r);
        return;
    }
    const struct acl_user *user = users_of(call)->users[at];
    reply_map(r, 6);
    reply_bulk_text(r, "flags");
    reply_set(r, user->nopass ? 3 : 2);
    reply_bulk_text(r, user->on ? "on" : "off");
    if (user->nopass) reply_bulk_text(r, "nopass");
    reply_bulk_text(r, user->skip_sanitize ? "skip-sanitize-payload" : "sanitize-payload");
    reply_bulk_text(r, "passwords");
    reply_array(r, user->passwords.count);
    for (uint32_t i = 0; i < user->passwords.count; i++) {
        struct buf digits = {0};
        acl_password_print(acl_item_text(user->passwords.items[i]), &digits);
        reply_bulk(r, digits.p, digits.len);
        buf_free(&digits);
    }
    reply_selector(r, &user->selectors[0]);
    reply_bulk_text(r, "selectors");
    reply_array(r, user->selector_count - 1);
    for (uint32_t i = 1; i < user->selector_count; i++) {
        reply_map(r, 3);
        reply_selector(r, &user->selectors[i]);
    }
}

void acl_command_list(struct session_call *call) {
    const struct acl_users *users = users_of(call);
    reply_array(call->reply, users->count);
    for (uint32_t i = 0; i < users->count; i++) {
        struct buf line = {0};
        acl_users_print_line(users->users[i], &line);
        reply_bulk(call->reply, line.p, line.len);
        buf_free(&line);
    }
}

void acl_command_users(struct session_call *call) {
    const struct acl_users *users = users_of(call);
    reply_array(call->reply, users->count);
    for (uint32_t i = 0; i < users->count; i++)
        reply_bulk_slice(call->reply, acl_user_name(users->users[i]));
}

void acl_command_whoami(struct session_call *call) {
    reply_bulk_slice(call->reply, accounts_name(call->connection));
}

// ---- categories, trying out, passwords ---------------------------------------------------------

static void reply_category(struct reply *r, uint32_t category) {
    size_t mark = reply_array_begin(r), count = 0;
    for (uint32_t id = 0; id < command_count(); id++) {
        const struct command *spec = command_by_id(id);
        if (!(spec->acl & category)) continue;
        reply_bulk_text(r, spec->full_name);
        count++;
    }
    reply_array_end(r, mark, count);
}

void acl_command_cat(struct session_call *call) {
    if (!has_at_most(call, 3)) return;
    if (call->argc == 2) {
        size_t mark = reply_array_begin(call->reply), count = 0;
        for (; table__acl_names[count].name != NULL; count++)
            reply_bulk_text(call->reply, table__acl_names[count].name);
        reply_array_end(call->reply, mark, count);
        return;
    }
    uint32_t category = acl_category(call->argv[2]);
    if (category != 0)
        reply_category(call->reply, category);
    else
        reply_error_format(call->reply, "ERR Unknown category '%.*s'", shown(call->argv[2]),
                           call->argv[2].p);
}

/** The command that words call; NULL: unknown. */
static const struct command *called(const struct slice *argv, int argc) {
    const struct command *spec = command_find(argv[0]);
    if (spec == NULL || spec->subcommand_count == 0 || argc == 1) return spec;
    return command_find_sub(spec, argv[1]);
}

void acl_command_dryrun(struct session_call *call) {
    struct reply *r = call->reply;
    struct slice name = call->argv[2];
    const struct slice *argv = call->argv + 3;
    int argc = call->argc - 3, arg;
    uint32_t at = acl_users_find(users_of(call), name);
    if (at == ACL_NOT_THERE) {
        reply_error_format(r, "ERR User '%.*s' not found", shown(name), name.p);
        return;
    }
    const struct command *spec = called(argv, argc);
    if (spec == NULL) {
        reply_error_format(r, "ERR Command '%.*s' not found", shown(argv[0]), argv[0].p);
        return;
    }
    if (spec->arity > 0 ? argc != spec->arity : argc < -spec->arity) {
        reply_error_format(r, "ERR wrong number of arguments for '%s' command", spec->full_name);
        return;
    }
    enum acl_verdict verdict = acl_user_check(users_of(call)->users[at], spec, argc, argv, &arg);
    if (verdict == ACL_ALLOWED) {
        reply_ok(r);
        return;
    }
    struct buf text = {0};
    buf_printf(&text, "User %.*s has no permissions to ", (int)name.n, name.p);
    if (verdict == ACL_DENIED_COMMAND) {
        buf_printf(&text, "run the '%s' command", spec->full_name);
    } else {
        buf_append_text(&text, "access the '");
        buf_append(&text, argv[arg].p, argv[arg].n);
        buf_append_text(&text, verdict == ACL_DENIED_KEY ? "' key" : "' channel");
    }
    reply_bulk(r, text.p, text.len);
    buf_free(&text);
}

void acl_command_genpass(struct session_call *call) {
    enum { BITS_MAX = 4096 };
    static const char digits[] = "0123456789abcdef";
    unsigned char secret[BITS_MAX / 4];
    char text[BITS_MAX / 4];
    int64_t bits = 256;
    if (!has_at_most(call, 3)) return;
    if (call->argc == 3 && !num_parse_i64(call->argv[2], &bits)) {
        reply_error(call->reply, error_not_integer);
        return;
    }
    if (bits <= 0 || bits > BITS_MAX) {
        reply_error_format(call->reply,
                           "ERR ACL GENPASS argument must be the number of bits for the output "
                           "password, a positive number up to %d",
                           BITS_MAX);
        return;
    }
    size_t n = ((size_t)bits + 3) / 4;
    random_secret(secret, n);
    for (size_t i = 0; i < n; i++) text[i] = digits[secret[i] & 15];
    reply_bulk(call->reply, text, n);
}

// ---- the log -----------------------------------------------------------------------------------

void acl_command_log(struct session_call *call) {
    struct shard *s = call->connection->shard;
    int64_t count = 10;
    if (!has_at_most(call, 3)) return;
    bool reset = call->argc == 3 && slice_is(call->argv[2], "reset");
    if (call->argc == 3 && !reset && !num_parse_i64(call->argv[2], &count)) {
        reply_error(call->reply, error_not_integer);
        return;
    }
    pthread_mutex_lock(&s->fleet->admin_lock);
    if (reset)
        acl_log_reset(&s->fleet->acl_log);
    else
        acl_log_reply(&s->fleet->acl_log, count < 0 ? 0 : (uint64_t)count, s->now_ms, call->reply);
    pthread_mutex_unlock(&s->fleet->admin_lock);
    if (reset) reply_ok(call->reply);
}

// ---- help --------------------------------------------------------------------------------------

static const char *const help[] = {
    "CAT [<category>]",
    "    The categories of commands, or the commands of one category.",
    "DELUSER <username> [<username> ...]",
    "    Delete users; their connections are closed.",
    "DRYRUN <username> <command> [<arg> ...]",
    "    Say whether the user could run the command. It is not run.",
    "GENPASS [<bits>]",
    "    Make a password of random hex digits, 256 bits if nothing is said.",
    "GETUSER <username>",
    "    The rules of a user.",
    "LIST",
    "    All users, as lines of a configuration file.",
    "LOAD",
    "    Read the file of users again.",
    "LOG [<count> | RESET]",
    "    The latest denials, or forget them.",
    "SAVE",
    "    Write the file of users.",
    "SETUSER <username> <rule> [<rule> ...]",
    "    Make a user, or change one.",
    "USERS",
    "    The names of all users.",
    "WHOAMI",
    "    The name of the connection's user.",
    NULL,
};

void acl_command_help(struct session_call *call) {
    introspect_help_reply(call->reply, "ACL", help);
}
