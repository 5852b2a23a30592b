// SPDX-License-Identifier: BSD-3-Clause
//
// Selectors: how rules change them and how they are printed; acl_check.c asks them. Commands are
// bits, but the rules are kept as well, in their order, as "+@read -get" cannot be had back from
// bits. Invariant: of two rules about the same command or category only the later one is kept, and
// with a rule about a container those about its subcommands go.
#include "engine/acl/acl_selector.h"

#include <ctype.h>

static const uint32_t every_future_command = ROW_COUNT;

// ---- life --------------------------------------------------------------------------------------

void acl_selector_init(struct acl_selector *s, bool all_channels) {
    memset(s, 0, sizeof *s);
    s->all_channels = all_channels;
}

void acl_selector_fini(struct acl_selector *s) {
    acl_list_clear(&s->first_args);
    acl_list_clear(&s->rules);
    acl_list_clear(&s->keys);
    acl_list_clear(&s->channels);
}

void acl_selector_copy(struct acl_selector *to, const struct acl_selector *from) {
    acl_selector_init(to, from->all_channels);
    to->all_commands = from->all_commands;
    to->all_keys = from->all_keys;
    memcpy(to->commands, from->commands, sizeof to->commands);
    acl_list_copy(&to->first_args, &from->first_args);
    acl_list_copy(&to->rules, &from->rules);
    acl_list_copy(&to->keys, &from->keys);
    acl_list_copy(&to->channels, &from->channels);
}

// ---- names -------------------------------------------------------------------------------------

uint32_t acl_category(struct slice name) {
    for (const struct table__bit_name *c = table__acl_names; c->name != NULL; c++)
        if (slice_is(name, c->name)) return c->bit;
    return 0;
}

const struct command *acl_find_command(struct slice name) {
    return command_find_full(name, command_find_row);
}

// ---- commands ----------------------------------------------------------------------------------

static void set_bit(struct acl_selector *s, uint32_t id, bool allow) {
    uint64_t bit = (uint64_t)1 << (id % 64);
    if (allow) {
        s->commands[id / 64] |= bit;
    } else {
        s->commands[id / 64] &= ~bit;
        s->all_commands = false;
    }
}

/** Allows a command or forbids it, with its subcommands, whatever the first argument is. */
static void set_command(struct acl_selector *s, const struct command *spec, bool allow) {
    set_bit(s, spec->id, allow);
    for (uint32_t i = s->first_args.count; i-- > 0;)
        if (s->first_args.items[i]->tag == spec->id) acl_list_remove(&s->first_args, i);
    for (uint16_t i = 0; i < spec->subcommand_count; i++)
        set_bit(s, spec->subcommands[i].id, allow);
}

/** As in Redis, a container in the category takes all its subcommands along. */
static void set_category(struct acl_selector *s, uint32_t category, bool allow) {
    for (uint32_t id = 0; id < command_count(); id++)
        if (command_by_id(id)->acl & category) set_command(s, command_by_id(id), allow);
}

static void set_all_commands(struct acl_selector *s, bool allow) {
    memset(s->commands, allow ? 0xff : 0, sizeof s->commands);
    s->all_commands = allow;
    acl_list_clear(&s->rules);
    acl_list_clear(&s->first_args);
}

/** Whether an older rule has no effect any more beside a newer one. */
static bool is_overruled(struct slice older, struct slice newer) {
    if (older.n < newer.n || memcmp(older.p, newer.p, newer.n) != 0) return false;
    return older.n == newer.n || older.p[newer.n] == '|';
}

static void keep_rule(struct acl_selector *s, struct slice text, bool allow) {
    struct buf lower = {0};
    for (size_t i = 0; i < text.n; i++)
        buf_append_char(&lower, (char)tolower((unsigned char)text.p[i]));
    struct slice rule = slice_of(lower.p, lower.len);
    for (uint32_t i = s->rules.count; i-- > 0;)
        if (is_overruled(acl_item_text(s->rules.items[i]), rule)) acl_list_remove(&s->rules, i);
    acl_list_add(&s->rules, rule, allow);
    buf_free(&lower);
}

bool acl__has_first_arg(const struct acl_selector *s, uint16_t id, struct slice text) {
    for (uint32_t i = 0; i < s->first_args.count; i++) {
        const struct acl_item *item = s->first_args.items[i];
        if (item->tag == id && item->n == text.n && strncasecmp(item->text, text.p, text.n) == 0)
            return true;
    }
    return false;
}

/** "+select|0": a command that is forbidden otherwise, or a subcommand. */
static enum acl_error allow_part(struct acl_selector *s, struct slice text, const char *bar) {
    size_t n = (size_t)(bar - text.p);
    struct slice part = slice_of(bar + 1, text.n - n - 1);
    const struct command *spec = acl_find_command(slice_of(text.p, n));
    if (spec == NULL) return ACL_BAD_NAME;
    if (spec->id >= ROW_TOP_COUNT) return ACL_FIRST_ARG_OF_SUBCOMMAND;
    if (part.n == 0) return ACL_BAD_SYNTAX;
    if (spec->subcommand_count > 0) {
        const struct command *sub = command_find_sub(spec, part);
        if (sub == NULL) return ACL_BAD_NAME;
        set_command(s, sub, true);
    } else if (!acl__has_first_arg(s, spec->id, part)) {
        acl_list_add(&s->first_args, part, spec->id);
    }
    keep_rule(s, text, true);
    return ACL_OK;
}

static enum acl_error apply_command(struct acl_selector *s, struct slice text, bool allow) {
    if (text.n > 0 && text.p[0] == '@') {
        uint32_t category = acl_category(slice_of(text.p + 1, text.n - 1));
        if (category == 0) return ACL_BAD_NAME;
        set_category(s, category, allow);
        keep_rule(s, text, allow);
        return ACL_OK;
    }
    // Nobody can run what is not there: the rule is kept for whoever reads it, and for later.
    if (command_is_absent(text)) {
        keep_rule(s, text, allow);
        return ACL_OK;
    }
    const char *bar = allow && text.n > 0 ? memrchr(text.p, '|', text.n) : NULL;
    if (bar != NULL) return allow_part(s, text, bar);
    const struct command *spec = acl_find_command(text);
    if (spec == NULL) return ACL_BAD_NAME;
    set_command(s, spec, allow);
    keep_rule(s, slice_text(spec->full_name), allow);
    return ACL_OK;
}

// ---- patterns ----------------------------------------------------------------------------------

bool acl_has_space(struct slice text) {
    for (size_t i = 0; i < text.n; i++)
        if (isspace((unsigned char)text.p[i]) || text.p[i] == '\0') return true;
    return false;
}

/**
 * The length of "~", "%R~", "%RW~", ... at the start of a rule, and what it gives; 0: none. As in
 * Redis, "%RW" alone is one, too: for the empty key.
 */
static size_t key_prefix(struct slice rule, uint16_t *access) {
    *access = 0;
    if (rule.p[0] == '~') {
        *access = ACL_READS | ACL_WRITES;
        return 1;
    }
    for (size_t i = 1; i < rule.n; i++) {
        char c = (char)toupper((unsigned char)rule.p[i]);
        if (c == '~' && *access != 0) return i + 1;
        uint16_t more = c == 'R' ? ACL_READS : c == 'W' ? ACL_WRITES : 0;
        if (more == 0 || (*access & more) != 0) return 0;
        *access |= more;
    }
    return *access != 0 ? rule.n : 0;
}

static enum acl_error add_keys(struct acl_selector *s, struct slice rule) {
    uint16_t access;
    if (s->all_keys) return ACL_KEYS_SHADOWED;
    size_t n = key_prefix(rule, &access);
    struct slice pattern = slice_of(rule.p + n, rule.n - n);
    if (n == 0 || acl_has_space(pattern)) return ACL_BAD_SYNTAX;
    uint32_t at = acl_list_find(&s->keys, pattern);
    if (at == ACL_NOT_THERE)
        acl_list_add(&s->keys, pattern, access);
    else
        s->keys.items[at]->tag |= access;
    return ACL_OK;
}

static enum acl_error add_channels(struct acl_selector *s, struct slice pattern) {
    if (s->all_channels) return ACL_CHANNELS_SHADOWED;
    if (acl_has_space(pattern)) return ACL_BAD_SYNTAX;
    if (acl_list_find(&s->channels, pattern) == ACL_NOT_THERE)
        acl_list_add(&s->channels, pattern, 0);
    return ACL_OK;
}

enum acl_error acl_selector_apply(struct acl_selector *s, struct slice rule) {
    ASSERT(rule.n > 0);
    if (slice_is(rule, "allkeys") || slice_is(rule, "~*") || slice_is(rule, "resetkeys")) {
        s->all_keys = !slice_is(rule, "resetkeys");
        acl_list_clear(&s->keys);
    } else if (slice_is(rule, "allchannels") || slice_is(rule, "&*") ||
               slice_is(rule, "resetchannels")) {
        s->all_channels = !slice_is(rule, "resetchannels");
        acl_list_clear(&s->channels);
    } else if (slice_is(rule, "allcommands") || slice_is(rule, "+@all")) {
        set_all_commands(s, true);
    } else if (slice_is(rule, "nocommands") || slice_is(rule, "-@all")) {
        set_all_commands(s, false);
    } else if (rule.p[0] == '~' || rule.p[0] == '%') {
        return add_keys(s, rule);
    } else if (rule.p[0] == '&') {
        return add_channels(s, slice_of(rule.p + 1, rule.n - 1));
    } else if (rule.p[0] == '+' || rule.p[0] == '-') {
        return apply_command(s, slice_of(rule.p + 1, rule.n - 1), rule.p[0] == '+');
    } else {
        return ACL_BAD_SYNTAX;
    }
    return ACL_OK;
}

// ---- printing ----------------------------------------------------------------------------------

void acl_selector_print_commands(const struct acl_selector *s, struct buf *out) {
    bool future = s->commands[every_future_command / 64] >> (every_future_command % 64) & 1;
    buf_append_text(out, future ? "+@all" : "-@all");
    for (uint32_t i = 0; i < s->rules.count; i++) {
        buf_append_text(out, s->rules.items[i]->tag ? " +" : " -");
        buf_append(out, s->rules.items[i]->text, s->rules.items[i]->n);
    }
}

void acl_selector_print_keys(const struct acl_selector *s, struct buf *out) {
    static const char *const prefixes[] = {
        [ACL_READS] = "%R~", [ACL_WRITES] = "%W~", [ACL_READS | ACL_WRITES] = "~"};
    if (s->all_keys) buf_append_text(out, "~*");
    for (uint32_t i = 0; i < s->keys.count; i++) {
        if (i > 0) buf_append_char(out, ' ');
        buf_append_text(out, prefixes[s->keys.items[i]->tag]);
        buf_append(out, s->keys.items[i]->text, s->keys.items[i]->n);
    }
}

void acl_selector_print_channels(const struct acl_selector *s, struct buf *out) {
    if (s->all_channels) buf_append_text(out, "&*");
    for (uint32_t i = 0; i < s->channels.count; i++) {
        buf_append_text(out, i > 0 ? " &" : "&");
        buf_append(out, s->channels.items[i]->text, s->channels.items[i]->n);
    }
}

void acl_selector_print(const struct acl_selector *s, struct buf *out) {
    acl_selector_print_keys(s, out);
    if (s->all_keys || s->keys.count > 0) buf_append_char(out, ' ');
    if (!s->all_channels) buf_append_text(out, "resetchannels ");
    acl_selector_print_channels(s, out);
    if (s->all_channels || s->channels.count > 0) buf_append_char(out, ' ');
    acl_selector_print_commands(s, out);
}
