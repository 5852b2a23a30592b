// SPDX-License-Identifier: BSD-3-Clause
//
// Whether a selector allows a call: the command's bit, then each key against the patterns, then
// each channel. On the path of every command of a user who may not do everything, so nothing here
// allocates for calls of few keys. Pure functions, any thread.
#include "engine/acl/acl_selector.h"
#include "engine/base/glob.h"

static bool allows_command(const struct acl_selector *s, const struct acl_call *call) {
    if (s->all_commands || (call->spec->flags & COMMAND_NO_AUTH)) return true;
    uint32_t id = call->spec->id;
    if (s->commands[id / 64] >> (id % 64) & 1) return true;
    return call->argc > 1 && acl__has_first_arg(s, call->spec->id, call->argv[1]);
}

/** What a pattern has to allow for a key that is used like that. */
static uint16_t access_of(uint16_t key_flags) {
    uint16_t access = key_flags & KEY_ACCESS ? ACL_READS : 0;
    if (key_flags & (KEY_INSERT | KEY_DELETE | KEY_UPDATE)) access |= ACL_WRITES;
    return access;
}

static bool allows_key(const struct acl_selector *s, struct slice key, uint16_t access) {
    for (uint32_t i = 0; i < s->keys.count; i++) {
        const struct acl_item *pattern = s->keys.items[i];
        if ((pattern->tag & access) == access && glob_match(acl_item_text(pattern), key, false))
            return true;
    }
    return false;
}

static bool allows_keys(const struct acl_selector *s, struct acl_call *call, int *arg) {
    if (!call->has_keys) key_list_init(&call->keys, call->spec, call->argc, call->argv);
    call->has_keys = true;
    for (int i = 0; i < call->keys.count; i++) {
        *arg = call->keys.at[i].arg;
        if (!allows_key(s, call->argv[*arg], access_of(call->keys.at[i].flags))) return false;
    }
    return true;
}

bool acl_selector_allows_channel(const struct acl_selector *s, struct slice channel, bool pattern) {
    if (s->all_channels) return true;
    for (uint32_t i = 0; i < s->channels.count; i++) {
        struct slice allowed = acl_item_text(s->channels.items[i]);
        if (pattern ? slice_equal(allowed, channel) : glob_match(allowed, channel, false))
            return true;
    }
    return false;
}

static bool allows_channels(const struct acl_selector *s, const struct acl_call *call, int *arg) {
    bool one = call->spec->id == ROW_PUBLISH || call->spec->id == ROW_SPUBLISH;
    bool pattern = call->spec->id == ROW_PSUBSCRIBE;
    if (!one && !pattern && call->spec->id != ROW_SUBSCRIBE && call->spec->id != ROW_SSUBSCRIBE)
        return true;
    for (int i = 1; i < (one ? 2 : call->argc); i++) {
        *arg = i;
        if (!acl_selector_allows_channel(s, call->argv[i], pattern)) return false;
    }
    return true;
}

enum acl_verdict acl_selector_check(const struct acl_selector *s, struct acl_call *call, int *arg) {
    *arg = 0;
    if (!allows_command(s, call)) return ACL_DENIED_COMMAND;
    if (!s->all_keys && call->spec->key_spec_count > 0 && !allows_keys(s, call, arg))
        return ACL_DENIED_KEY;
    if (!s->all_channels && (call->spec->flags & COMMAND_PUBSUB) && !allows_channels(s, call, arg))
        return ACL_DENIED_CHANNEL;
    return ACL_ALLOWED;
}

void acl_call_fini(struct acl_call *call) {
    if (call->has_keys) key_list_fini(&call->keys);
    call->has_keys = false;
}

bool acl_selector_reads_all(const struct acl_selector *s) {
    if (s->all_keys) return true;
    uint32_t at = acl_list_find(&s->keys, SLICE_LITERAL("*"));
    return at != ACL_NOT_THERE && (s->keys.items[at]->tag & ACL_READS);
}
