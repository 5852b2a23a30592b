// SPDX-License-Identifier: BSD-3-Clause
//
// A selector: one list of permissions. A command may be run when some selector of the user allows
// the command, and all its keys, and all its channels. It follows the rules of ACL SETUSER (Redis
// documentation, "ACL", and command ACL SETUSER). Changed by its owner alone, before it is
// published; checked by any thread afterwards. Invariant: bits of commands, first arguments and
// rules say the same: applying the rules again gives the bits.
#ifndef TORC_ENGINE_ACL_ACL_SELECTOR_H
#define TORC_ENGINE_ACL_ACL_SELECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/acl/acl_list.h"
#include "engine/base/buf.h"
#include "engine/commands/table.h"

enum acl_access { ACL_READS = 1, ACL_WRITES = 2 }; // tags of key patterns

struct acl_selector {
    bool all_commands, all_keys, all_channels;
    uint64_t commands[ROW_COUNT / 64 + 1]; // by id; bit ROW_COUNT: commands not known today
    struct acl_list first_args;            // allowed all the same with this argument; tag: id
    struct acl_list rules;                 // since the last "all" or "none"; tag: it allows
    struct acl_list keys;                  // patterns; tag: acl_access
    struct acl_list channels;              // patterns
};

/** Why a rule is refused; acl_error_text() has the words. */
enum acl_error {
    ACL_OK,
    ACL_BAD_SYNTAX,
    ACL_BAD_NAME,      // of a command or category
    ACL_KEYS_SHADOWED, // a pattern behind allkeys
    ACL_CHANNELS_SHADOWED,
    ACL_NO_SUCH_PASSWORD,
    ACL_BAD_HASH,
    ACL_FIRST_ARG_OF_SUBCOMMAND,
};

/** What a check finds. Of several selectors' reasons the highest is the one to tell. */
enum acl_verdict { ACL_ALLOWED, ACL_DENIED_COMMAND, ACL_DENIED_KEY, ACL_DENIED_CHANNEL };

/** A call that is checked; keys are found out when the first selector asks for them. */
struct acl_call {
    const struct command *spec;
    int argc;
    const struct slice *argv;
    bool has_keys; // `keys` is filled
    struct key_list keys;
};

/** Allows nothing, or all channels and nothing else. */
void acl_selector_init(struct acl_selector *s, bool all_channels);
void acl_selector_fini(struct acl_selector *s);
void acl_selector_copy(struct acl_selector *to, const struct acl_selector *from);

/** Applies one rule: +get, -@write, ~key:*, &channel, allkeys, ... */
enum acl_error acl_selector_apply(struct acl_selector *s, struct slice rule);

/**
 * Whether it allows the call. Denied for a key or channel: *arg is its place. The caller ends the
 * call with acl_call_fini(), whatever the number of selectors that have looked at it.
 */
enum acl_verdict acl_selector_check(const struct acl_selector *s, struct acl_call *call, int *arg);
void acl_call_fini(struct acl_call *call);

/** Whether it allows to read every key. */
bool acl_selector_reads_all(const struct acl_selector *s);
/** Whether a channel, or a pattern of channels that somebody wants to subscribe to, is allowed. */
bool acl_selector_allows_channel(const struct acl_selector *s, struct slice channel, bool pattern);

/** Whether a command that is not allowed otherwise is with this first argument. Private. */
bool acl__has_first_arg(const struct acl_selector *s, uint16_t id, struct slice text);

/** Append what ACL GETUSER and ACL LIST show. Of keys and channels, one by one or "all". */
void acl_selector_print_commands(const struct acl_selector *s, struct buf *out);
void acl_selector_print_keys(const struct acl_selector *s, struct buf *out);
void acl_selector_print_channels(const struct acl_selector *s, struct buf *out);
/** The rules that make the same selector out of a new one. */
void acl_selector_print(const struct acl_selector *s, struct buf *out);

/** Whether a name or pattern holds what a file that separates rules by blanks could not. */
bool acl_has_space(struct slice text);
/** The category with this name, without '@' (a bit of struct command's acl); 0: there is none. */
uint32_t acl_category(struct slice name);
/** A command by its name or container|subcommand, also one that was renamed; NULL: unknown. */
const struct command *acl_find_command(struct slice name);

#endif
