// SPDX-License-Identifier: BSD-3-Clause
//
// Sets of users: changes that leave the old set as it was, ids, files and what is wrong in them;
// and the log of denials: what is counted instead of logged again, and its limit. One thread; every
// test owns its sets.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/acl/acl_log.h"
#include "engine/acl/acl_users.h"
#include "engine/base/alloc.h"

#define EVERYTHING "user default on nopass sanitize-payload ~* &* +@all\n"

static void assert_set(const struct acl_users *users, const char *want) {
    struct buf text = {0};
    for (uint32_t i = 0; i < users->count; i++) {
        acl_users_print_line(users->users[i], &text);
        buf_append_char(&text, '\n');
    }
    buf_append_char(&text, '\0');
    assert_string_equal(text.p, want);
    buf_free(&text);
}

static void assert_text(struct buf *text, const char *want) {
    buf_append_char(text, '\0');
    assert_string_equal(text->p, want);
    buf_free(text);
}

static struct acl_users *changed(struct acl_users *users, const char *name, const char *rule) {
    struct buf error = {0};
    struct slice rules[] = {slice_text(rule)};
    struct acl_users *after = acl_users_change(users, slice_text(name), rules, 1, false, &error);
    assert_non_null(after);
    assert_int_equal(error.len, 0);
    acl_users_release(users);
    return after;
}

static uint64_t id_of(const struct acl_users *users, const char *name) {
    uint32_t at = acl_users_find(users, slice_text(name));
    assert_int_not_equal(at, ACL_NOT_THERE);
    return users->users[at]->id;
}

static void test_changes_make_new_sets(void **state) {
    (void)state;
    struct acl_users *first = acl_users_new();
    assert_set(first, EVERYTHING);
    struct acl_users *users = acl_users_retain(first);
    users = changed(users, "zoe", "on");
    users = changed(users, "al", "on");
    users = changed(users, "alice", "off");
    users = changed(users, "al", "+get");
    assert_set(first, EVERYTHING);
    assert_set(users, "user al on sanitize-payload resetchannels -@all +get\n"
                      "user alice off sanitize-payload resetchannels -@all\n" EVERYTHING
                      "user zoe on sanitize-payload resetchannels -@all\n");
    uint64_t before = id_of(users, "al"), gone;
    assert_int_not_equal(before, id_of(users, "zoe"));
    uint32_t count;
    struct slice names[] = {SLICE_LITERAL("al"), SLICE_LITERAL("nobody"), SLICE_LITERAL("zoe")};
    struct acl_users *fewer = acl_users_remove(users, names, 3, &count);
    assert_int_equal(count, 2);
    assert_int_equal(fewer->count, 2);
    assert_int_equal(acl_users_find(fewer, SLICE_LITERAL("al")), ACL_NOT_THERE);
    fewer = changed(fewer, "al", "on");
    gone = id_of(fewer, "al");
    assert_int_not_equal(before, gone); // the same name, somebody else
    struct acl_users *secret = acl_users_change_password(fewer, SLICE_LITERAL("pw"));
    assert_false(acl_user_admits(acl_users_default(secret), SLICE_LITERAL("x")));
    assert_true(acl_user_admits(acl_users_default(secret), SLICE_LITERAL("pw")));
    assert_true(acl_user_admits(acl_users_default(fewer), SLICE_LITERAL("x")));
    assert_int_equal(id_of(secret, "default"), id_of(first, "default"));
    acl_users_release(first);
    acl_users_release(users);
    acl_users_release(fewer);
    acl_users_release(secret);
}

static void test_refused_changes(void **state) {
    (void)state;
    struct acl_users *users = acl_users_new();
    struct buf error = {0};
    struct slice bad[] = {SLICE_LITERAL("on"), SLICE_LITERAL("+nosuch"), SLICE_LITERAL("zzz")};
    assert_null(acl_users_change(users, SLICE_LITERAL("u"), bad, 3, false, &error));
    assert_text(&error, "Error in ACL SETUSER modifier '+nosuch': Unknown command or category name "
                        "in ACL");
    struct slice open[] = {SLICE_LITERAL("on"), SLICE_LITERAL("(+get"), SLICE_LITERAL("~a")};
    assert_null(acl_users_change(users, SLICE_LITERAL("u"), open, 3, false, &error));
    assert_text(&error, "Unmatched parenthesis in acl selector starting at '(+get'.");
    assert_set(users, EVERYTHING);
    acl_users_release(users);
}

static struct acl_users *load(struct acl_users *before, const char *text, struct buf *errors) {
    return acl_users_load(before, slice_text(text), "f.acl", false, errors);
}

static void test_files(void **state) {
    (void)state;
    struct buf errors = {0};
    struct acl_users *before = changed(acl_users_new(), "bob", "on");
    struct acl_users *users = load(
        before, "user bob on ~a\r\n\n   \n\tuser  al (+get ~x) +set\nuser default off", &errors);
    assert_non_null(users);
    assert_set(users, "user al off sanitize-payload resetchannels -@all +set (~x resetchannels "
                      "-@all +get)\n"
                      "user bob on sanitize-payload ~a resetchannels -@all\n"
                      "user default off sanitize-payload resetchannels -@all\n");
    assert_int_equal(id_of(users, "bob"), id_of(before, "bob"));
    assert_int_not_equal(id_of(users, "al"), id_of(users, "bob"));
    struct acl_users *again = load(users, "", &errors);
    assert_set(again, EVERYTHING);
    acl_users_release(again);
    acl_users_release(users);
    acl_users_release(before);
}

static void test_many_users_of_a_file(void **state) {
    (void)state;
    struct buf text = {0}, errors = {0};
    struct acl_users *before = acl_users_new();
    for (int i = 999; i >= 0; i--) buf_printf(&text, "user u%03d on >p%d ~k%d\n", i, i, i);
    struct acl_users *users =
        acl_users_load(before, slice_of(text.p, text.len), "f", false, &errors);
    assert_non_null(users);
    assert_int_equal(users->count, 1001);
    for (int i = 0; i < 1000; i++) {
        char name[16], password[16];
        snprintf(name, sizeof name, "u%03d", i);
        snprintf(password, sizeof password, "p%d", i);
        uint32_t at = acl_users_find(users, slice_text(name));
        assert_true(acl_user_admits(users->users[at], slice_text(password)));
    }
    buf_free(&text);
    acl_users_release(users);
    acl_users_release(before);
}

static void test_what_is_wrong_in_a_file(void **state) {
    (void)state;
#define END \
    "WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
    static const struct {
        const char *text, *errors;
    } cases[] = {
        {"user a on\nusers b", "f.acl:2 should start with user keyword followed by the username. "},
        {"user", "f.acl:1 should start with user keyword followed by the username. "},
        {"user a on\n\nuser a off", "WARNING: Duplicate user 'a' found on line 3. "},
        {"user a +x (+y) zzz yyy",
         "f.acl:1: Error in applying operation '+x': Unknown command or category name in ACL. "
         "f.acl:1: Error in applying operation '(+y)': Unknown command or category name in ACL. "
         "f.acl:1: Syntax error. "},
        {"user a (+get", "f.acl:1: Unmatched parenthesis in selector definition."},
        {"user a >x <y", "f.acl:1: The password you are trying to remove from the user does not "
                         "exist. "},
    };
    struct acl_users *before = acl_users_new();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf errors = {0};
        char want[512];
        assert_null(load(before, cases[i].text, &errors));
        snprintf(want, sizeof want, "%s%s", cases[i].errors, END);
        assert_text(&errors, want);
    }
    acl_users_release(before);
}

// ---- the log -----------------------------------------------------------------------------------

static struct acl_denial denial_of(const char *object, const char *user) {
    return (struct acl_denial){.reason = ACL_LOG_KEY,
                               .object = slice_text(object),
                               .user = slice_text(user),
                               .client = SLICE_LITERAL("id=1")};
}

/** The log's objects with how often they were denied, newest first. */
static void assert_log(const struct acl_log *log, uint64_t count, const char *want) {
    struct buf out = {0}, got = {0};
    struct reply r;
    reply_init(&r, &out, 2);
    acl_log_reply(log, count, 1000, &r);
    buf_append_char(&out, '\0');
    for (char *p = out.p; (p = strstr(p, "$5\r\ncount\r\n:")) != NULL; p++) {
        unsigned long long times;
        char object[16];
        assert_int_equal(sscanf(p, "$5\r\ncount\r\n:%llu", &times), 1);
        const char *at = strstr(p, "object\r\n$");
        assert_int_equal(sscanf(at, "object\r\n$%*d\r\n%15s", object), 1);
        buf_printf(&got, "%s%s=%llu", got.len ? " " : "", object, times);
    }
    assert_text(&got, want);
    buf_free(&out);
}

static void test_log(void **state) {
    (void)state;
    struct acl_log log = {0};
    struct acl_denial a = denial_of("a", "u"), b = denial_of("b", "u"), other = denial_of("a", "v");
    acl_log_add(&log, &a, 3, 0);
    acl_log_add(&log, &b, 3, 10);
    acl_log_add(&log, &a, 3, 60000);
    assert_log(&log, 10, "a=2 b=1");
    acl_log_add(&log, &other, 3, 60000);
    assert_log(&log, 2, "a=1 a=2");
    acl_log_add(&log, &b, 3, 60011); // a minute later: not the same any more
    assert_log(&log, 10, "b=1 a=1 a=2");
    a.in_multi = true;
    acl_log_add(&log, &a, 3, 60011);
    assert_log(&log, 10, "a=1 b=1 a=1");
    acl_log_add(&log, &b, 0, 60012);
    assert_log(&log, 10, "");
    acl_log_add(&log, &b, 128, 60012);
    acl_log_reset(&log);
    assert_log(&log, 10, "");
    assert_true(log.next_id == 6); // numbers go on
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changes_make_new_sets),
        cmocka_unit_test(test_refused_changes),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_many_users_of_a_file),
        cmocka_unit_test(test_what_is_wrong_in_a_file),
        cmocka_unit_test(test_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
