// SPDX-License-Identifier: BSD-3-Clause
//
// Users in the configuration: what `user` lines, requirepass and acl-pubsub-default make together,
// in whatever order they stand, which lines are refused, and that messages tell no password. One
// thread; no files.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shards/config.h"

#define ALL_RIGHTS "user default on nopass sanitize-payload ~* &* +@all\n"

static bool contains(const struct buf *b, const char *text) {
    return b->len > 0 && memmem(b->p, b->len, text, strlen(text)) != NULL;
}

static struct config *load_text(const char *text) {
    struct config *c = config_new();
    struct buf error = {0};
    if (!config_load_text(c, slice_text(text), "the test", NULL, &error))
        fail_msg("refused: %.*s", (int)error.len, error.p);
    return c;
}

static void assert_refused(const char *text, const char *reason) {
    struct config *c = config_new();
    struct buf error = {0};
    if (config_load_text(c, slice_text(text), "the test", NULL, &error))
        fail_msg("'%s' was accepted", text);
    if (!contains(&error, reason)) fail_msg("'%.*s'", (int)error.len, error.p);
    buf_free(&error);
    config_release(c);
}

static void assert_users(const char *text, const char *want) {
    struct config *c = load_text(text);
    struct buf lines = {0};
    for (uint32_t i = 0; i < c->users->count; i++) {
        acl_users_print_line(c->users->users[i], &lines);
        buf_append_char(&lines, '\n');
    }
    buf_append_char(&lines, '\0');
    assert_string_equal(lines.p, want);
    buf_free(&lines);
    config_release(c);
}

static void test_users(void **state) {
    (void)state;
    assert_users("port 1", ALL_RIGHTS);
    assert_users("user bob on ~a (+get ~b)\nUSER al +@read",
                 "user al off sanitize-payload resetchannels -@all +@read\n"
                 "user bob on sanitize-payload ~a resetchannels -@all (~b resetchannels -@all "
                 "+get)\n" ALL_RIGHTS);
    // The default for channels counts for users that stand before it, too.
    assert_users("user bob on\nacl-pubsub-default allchannels",
                 "user bob on sanitize-payload &* -@all\n" ALL_RIGHTS);
    // A line about the default user starts from nothing, and comes after requirepass.
    assert_users("user default on +get\nrequirepass x",
                 "user default on sanitize-payload resetchannels -@all +get\n");
    assert_users("requirepass alice",
                 "user default on sanitize-payload "
                 "#2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90 ~* &* +@all\n");
    assert_refused("user bob\nuser bob", "Duplicate user found");
    assert_refused("user \"b b\" on", "Spaces not allowed in ACL usernames");
    assert_refused("user bob +nosuch", "modifier '+nosuch': Unknown command or category name");
    assert_refused("user bob (+get", "Unmatched parenthesis");
    assert_refused("user bob allchannels &x", "Try 'resetchannels'");
    assert_refused("user bob &x\nacl-pubsub-default allchannels", "Try 'resetchannels'");
    assert_refused("user bob on\naclfile users.acl", "only one of the two");
    assert_refused("user", "wrong number of arguments");
}

static void test_secrets_of_users_are_not_told(void **state) {
    (void)state;
    static const char *const lines[] = {"user bob <hush'hush", "user bob #hush'hush",
                                        "user bob !hush", "user bob >hush +nosuch"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct config *c = config_new();
        struct buf error = {0};
        assert_false(config_load_text(c, slice_text(lines[i]), "the test", NULL, &error));
        assert_true(contains(&error, "redacted") && !contains(&error, "hush"));
        buf_free(&error);
        config_release(c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_users),
        cmocka_unit_test(test_secrets_of_users_are_not_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
