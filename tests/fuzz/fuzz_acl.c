// SPDX-License-Identifier: BSD-3-Clause
//
// Fuzzes ACL rules. An input is either a file of users as it is, or instructions from which users
// are made of likely rules, so that mutation reaches behind the names. Checked: nothing crashes or
// leaks, what is printed makes the same users again (bits and all), a copy is equal, a user who may
// do everything is allowed every call, and one more selector never takes anything away.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/acl/acl_users.h"
#include "engine/base/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const rules[] = {"on",
                                    "off",
                                    "nopass",
                                    "resetpass",
                                    ">pw",
                                    "<pw",
                                    ">other",
                                    "!x",
                                    "#12",
                                    "allkeys",
                                    "~*",
                                    "resetkeys",
                                    "~a*",
                                    "%R~b",
                                    "%W~b",
                                    "%RW~c",
                                    "%R",
                                    "allchannels",
                                    "&*",
                                    "&c*",
                                    "&d",
                                    "resetchannels",
                                    "allcommands",
                                    "+@all",
                                    "-@all",
                                    "nocommands",
                                    "+get",
                                    "-get",
                                    "+config|get",
                                    "-config|get",
                                    "-config",
                                    "+config",
                                    "+@read",
                                    "-@dangerous",
                                    "+select|0",
                                    "+select|1",
                                    "-select",
                                    "+@slow",
                                    "-@fast",
                                    "+eval",
                                    "-script|x",
                                    "+memory|doctor",
                                    "(+get ~x)",
                                    "(+@all &* ~*)",
                                    "(~a",
                                    "+set",
                                    ")",
                                    "()",
                                    "clearselectors",
                                    "reset",
                                    "sanitize-payload",
                                    "skip-sanitize-payload",
                                    "+GET",
                                    "+client|id",
                                    "-client"};
#define RULES (sizeof rules / sizeof rules[0])

static const char *const calls[][4] = {{"get", "a1"},
                                       {"set", "b", "v"},
                                       {"set", "b", "v", "get"},
                                       {"mget", "a", "b", "c"},
                                       {"config", "get", "x"},
                                       {"select", "0"},
                                       {"publish", "c", "m"},
                                       {"psubscribe", "c*", "d"},
                                       {"sort", "a", "by", "x*"},
                                       {"client", "id"},
                                       {"ping"},
                                       {"copy", "b", "c"}};
#define CALLS (sizeof calls / sizeof calls[0])

static void print(const struct acl_users *users, struct buf *out) {
    for (uint32_t i = 0; i < users->count; i++) {
        acl_users_print_line(users->users[i], out);
        buf_append_char(out, '\n');
    }
}

/** Bit i: the user may make call i. */
static uint32_t verdicts(const struct acl_user *user) {
    uint32_t bits = 0;
    for (uint32_t i = 0; i < CALLS; i++) {
        struct slice argv[4];
        int argc = 0, arg;
        for (; argc < 4 && calls[i][argc]; argc++) argv[argc] = slice_text(calls[i][argc]);
        const struct command *spec = command_find(argv[0]);
        if (spec->subcommand_count > 0) spec = command_find_sub(spec, argv[1]);
        enum acl_verdict verdict = acl_user_check(user, spec, argc, argv, &arg);
        ASSERT(verdict == ACL_ALLOWED || (arg >= 0 && arg < argc));
        if (acl_user_check_reads_all(user, spec, argc, argv)) ASSERT(verdict == ACL_ALLOWED);
        bits |= (uint32_t)(verdict == ACL_ALLOWED) << i;
    }
    return bits;
}

static void check_user(const struct acl_user *user) {
    uint32_t bits = verdicts(user);
    struct acl_user *copy = acl_user_copy(user);
    ASSERT(verdicts(copy) == bits);
    if (acl_user_is_unrestricted(user)) ASSERT(bits == (1u << CALLS) - 1);
    if (acl_user_apply(copy, SLICE_LITERAL("(+get ~a* &c*)"), false) == ACL_OK)
        ASSERT((verdicts(copy) & bits) == bits && acl_user_keeps_channels(user, copy));
    acl_user_release(copy);
}

/** What is printed makes the same users again. */
static void check(const struct acl_users *users) {
    struct buf first = {0}, second = {0}, errors = {0};
    print(users, &first);
    struct acl_users *again =
        acl_users_load(users, slice_of(first.p, first.len), "printed", false, &errors);
    ASSERT(again != NULL && again->count == users->count);
    print(again, &second);
    ASSERT(slice_equal(slice_of(first.p, first.len), slice_of(second.p, second.len)));
    for (uint32_t i = 0; i < users->count; i++) {
        const struct acl_user *a = users->users[i], *b = again->users[i];
        ASSERT(a->id == b->id && verdicts(a) == verdicts(b));
        for (uint32_t s = 0; s < a->selector_count; s++)
            ASSERT(memcmp(a->selectors[s].commands, b->selectors[s].commands,
                          sizeof a->selectors[s].commands) == 0);
        check_user(a);
    }
    acl_users_release(again);
    buf_free(&first);
    buf_free(&second);
    buf_free(&errors);
}

/** Each byte is a rule, or, from 0xf0 on, makes a user of the rules so far. */
static struct acl_users *from_instructions(const uint8_t *data, size_t size) {
    static const char *const names[] = {"default", "a", "b", "ab"};
    struct acl_users *users = acl_users_new();
    struct slice words[64];
    uint32_t count = 0;
    for (size_t i = 0; i < size; i++) {
        if (data[i] < 0xf0 && count < 64) {
            words[count++] = slice_text(rules[data[i] % RULES]);
            continue;
        }
        struct buf error = {0};
        struct slice name = slice_text(names[data[i] % 4]);
        struct acl_users *next = acl_users_change(users, name, words, count, data[i] & 4, &error);
        ASSERT((next == NULL) == (error.len > 0));
        buf_free(&error);
        count = 0;
        if (next == NULL) continue;
        acl_users_release(users);
        users = next;
    }
    return users;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size > 4096) return 0;
    struct acl_users *users;
    if (data[0] & 1) {
        struct acl_users *before = acl_users_new();
        struct buf errors = {0};
        users = acl_users_load(before, slice_of(data + 1, size - 1), "input", data[0] & 2, &errors);
        ASSERT((users == NULL) == (errors.len > 0));
        buf_free(&errors);
        acl_users_release(before);
    } else {
        users = from_instructions(data + 1, size - 1);
    }
    if (users) check(users);
    acl_users_release(users);
    return 0;
}
