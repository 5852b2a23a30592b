// SPDX-License-Identifier: BSD-3-Clause
//
// Users and their selectors: what rules make of them and how that is printed (as Redis 7.2.6
// prints it), which rules are refused, what is allowed, passwords, and which channels are kept. One
// thread; every test owns its users.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/acl/acl_user.h"
#include "engine/base/alloc.h"

#define WORDS_MAX 16

/** Splits at blanks. */
static uint32_t split(const char *text, struct slice words[WORDS_MAX]) {
    struct slice rest = slice_text(text);
    uint32_t n = 0;
    while (n < WORDS_MAX && slice_next_word(&rest, &words[n])) n++;
    return n;
}

static enum acl_error apply_all(struct acl_user *user, const char *rules) {
    struct slice words[WORDS_MAX];
    struct acl_rules joined;
    uint32_t n = split(rules, words), unmatched;
    enum acl_error error = ACL_OK;
    assert_true(acl_rules_join(&joined, words, n, &unmatched));
    for (uint32_t i = 0; i < joined.count && error == ACL_OK; i++)
        error = acl_user_apply(user, joined.items[i], false);
    acl_rules_free(&joined);
    return error;
}

static struct acl_user *user_with(const char *rules) {
    struct acl_user *user = acl_user_new(SLICE_LITERAL("u"), 1, false);
    assert_int_equal(apply_all(user, rules), ACL_OK);
    return user;
}

static void assert_printed(const struct acl_user *user, const char *want) {
    struct buf text = {0};
    acl_user_print(user, &text);
    buf_append_char(&text, '\0');
    assert_string_equal(text.p, want);
    buf_free(&text);
}

// ---- rules -------------------------------------------------------------------------------------

static void test_rules_are_kept_as_redis_prints_them(void **state) {
    (void)state;
    static const struct {
        const char *rules, *printed;
    } cases[] = {
        {"", "off sanitize-payload resetchannels -@all"},
        {"on nopass allkeys allchannels allcommands", "on nopass sanitize-payload ~* &* +@all"},
        {"on skip-sanitize-payload ~a* %R~b %W~c %RW~d %r~a*",
         "on skip-sanitize-payload ~a* %R~b %W~c ~d resetchannels -@all"},
        {"%R~k %W~k", "off sanitize-payload ~k resetchannels -@all"},
        {"%RW", "off sanitize-payload ~ resetchannels -@all"},
        {"&a &b &a", "off sanitize-payload resetchannels &a &b -@all"},
        {"+@all -@dangerous +config|get -@dangerous",
         "off sanitize-payload resetchannels +@all +config|get -@dangerous"},
        {"+GET -Get +gEt", "off sanitize-payload resetchannels -@all +get"},
        {"+config|get -config", "off sanitize-payload resetchannels -@all -config"},
        {"+config -config|set +config|SET",
         "off sanitize-payload resetchannels -@all +config +config|set"},
        {"+select|0 +select|1 +select|0",
         "off sanitize-payload resetchannels -@all +select|1 +select|0"},
        {"+get +@all", "off sanitize-payload resetchannels +@all"},
        {"+get +@all -@all", "off sanitize-payload resetchannels -@all"},
        {"-eval +memory|doctor +script|load",
         "off sanitize-payload resetchannels -@all -eval +memory|doctor +script|load"},
        {"~x allkeys resetkeys &x allchannels resetchannels ~y",
         "off sanitize-payload ~y resetchannels -@all"},
        {"+get (~a +set) (&* +@read -get)",
         "off sanitize-payload resetchannels -@all +get (~a resetchannels -@all +set) (&* -@all "
         "+@read -get)"},
        {"(+get) clearselectors", "off sanitize-payload resetchannels -@all"},
        {"on >x nopass ~* (+get) reset", "off sanitize-payload resetchannels -@all"},
        {"#2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90 >alice",
         "off sanitize-payload "
         "#2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90 resetchannels -@all"},
        {">a >b <a", "off sanitize-payload "
                     "#3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d "
                     "resetchannels -@all"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct acl_user *user = user_with(cases[i].rules);
        assert_printed(user, cases[i].printed);
        // What is printed makes the same user again, and so does a copy.
        struct acl_user *again = user_with(cases[i].printed), *copy = acl_user_copy(user);
        assert_printed(again, cases[i].printed);
        assert_printed(copy, cases[i].printed);
        for (uint32_t s = 0; s < user->selector_count; s++)
            assert_memory_equal(user->selectors[s].commands, again->selectors[s].commands,
                                sizeof user->selectors[s].commands);
        acl_user_release(user);
        acl_user_release(again);
        acl_user_release(copy);
    }
}

static void test_bad_rules_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *rules;
        enum acl_error error;
    } cases[] = {
        {"nonsense", ACL_BAD_SYNTAX},
        {"%", ACL_BAD_SYNTAX},
        {"%~x", ACL_BAD_SYNTAX},
        {"%RR~x", ACL_BAD_SYNTAX},
        {"%X~x", ACL_BAD_SYNTAX},
        {"%Rx", ACL_BAD_SYNTAX},
        {"+get|", ACL_BAD_SYNTAX},
        {"(nonsense)", ACL_BAD_SYNTAX},
        {"((+get))", ACL_BAD_SYNTAX},
        {"+nosuch", ACL_BAD_NAME},
        {"+", ACL_BAD_NAME},
        {"-", ACL_BAD_NAME},
        {"+@", ACL_BAD_NAME},
        {"+@nosuch", ACL_BAD_NAME},
        {"+config|nosuch", ACL_BAD_NAME},
        {"-select|0", ACL_BAD_NAME},
        {"(+nosuch)", ACL_BAD_NAME},
        {"allkeys ~x", ACL_KEYS_SHADOWED},
        {"~* %R~x", ACL_KEYS_SHADOWED},
        {"&* &x", ACL_CHANNELS_SHADOWED},
        {"<none", ACL_NO_SUCH_PASSWORD},
        {"!2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90", ACL_NO_SUCH_PASSWORD},
        {"#2BD806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90", ACL_BAD_HASH},
        {"#2bd8", ACL_BAD_HASH},
        {"+config|get|x", ACL_FIRST_ARG_OF_SUBCOMMAND},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct acl_user *user = acl_user_new(SLICE_LITERAL("u"), 1, false);
        enum acl_error error = apply_all(user, cases[i].rules);
        if (error != cases[i].error) fail_msg("'%s' gave %d", cases[i].rules, error);
        assert_true(strlen(acl_error_text(error)) > 10);
        acl_user_release(user);
    }
    struct acl_user *user = user_with("");
    assert_int_equal(acl_user_apply(user, SLICE_LITERAL("~a b"), false), ACL_BAD_SYNTAX);
    assert_int_equal(acl_user_apply(user, SLICE_LITERAL("&a\0b"), false), ACL_BAD_SYNTAX);
    assert_int_equal(acl_user_apply(user, SLICE_LITERAL(""), false), ACL_OK);
    assert_printed(user, "off sanitize-payload resetchannels -@all");
    acl_user_release(user);
}

static void test_words_of_a_selector_are_joined(void **state) {
    (void)state;
    struct slice words[WORDS_MAX];
    struct acl_rules joined;
    uint32_t n = split("on (~a +get ) (+set) ( &x )", words), unmatched = 99;
    assert_true(acl_rules_join(&joined, words, n, &unmatched));
    assert_int_equal(joined.count, 4);
    assert_true(slice_equal(joined.items[1], SLICE_LITERAL("(~a +get )")));
    assert_true(slice_equal(joined.items[2], SLICE_LITERAL("(+set)")));
    assert_true(slice_equal(joined.items[3], SLICE_LITERAL("( &x )")));
    acl_rules_free(&joined);
    n = split("on off (~a +get", words);
    assert_false(acl_rules_join(&joined, words, n, &unmatched));
    assert_int_equal(unmatched, 2);
    acl_rules_free(&joined);
}

// ---- checks ------------------------------------------------------------------------------------

static void assert_check(const char *rules, const char *call, enum acl_verdict want, int want_arg) {
    struct slice argv[WORDS_MAX];
    int arg, argc = (int)split(call, argv);
    struct acl_user *user = user_with(rules);
    const struct command *spec = command_find(argv[0]);
    if (spec->subcommand_count > 0 && argc > 1) spec = command_find_sub(spec, argv[1]);
    assert_non_null(spec);
    enum acl_verdict verdict = acl_user_check(user, spec, argc, argv, &arg);
    if (verdict != want || (want > ACL_DENIED_COMMAND && arg != want_arg))
        fail_msg("'%s': '%s' gave %d at %d", rules, call, verdict, arg);
    acl_user_release(user);
}

static void test_commands(void **state) {
    (void)state;
    assert_check("", "get k", ACL_DENIED_COMMAND, 0);
    assert_check("", "auth x", ACL_ALLOWED, 0);
    assert_check("allkeys +get", "get k", ACL_ALLOWED, 0);
    assert_check("allkeys +@read", "get k", ACL_ALLOWED, 0);
    assert_check("allkeys +@read -get", "get k", ACL_DENIED_COMMAND, 0);
    assert_check("allkeys +@all -@write", "set k v", ACL_DENIED_COMMAND, 0);
    assert_check("+config|get", "config get x", ACL_ALLOWED, 0);
    assert_check("+config|get", "config set x y", ACL_DENIED_COMMAND, 0);
    assert_check("+config -config|set", "config set x y", ACL_DENIED_COMMAND, 0);
    assert_check("+config -config|set", "config get x", ACL_ALLOWED, 0);
    assert_check("+@all -config", "config get x", ACL_DENIED_COMMAND, 0);
    assert_check("+select|0", "select 0", ACL_ALLOWED, 0);
    assert_check("+select|0", "select 1", ACL_DENIED_COMMAND, 0);
    assert_check("+select|0 -select", "select 0", ACL_DENIED_COMMAND, 0);
    assert_check("+debug|SLEEP", "debug sleep 0", ACL_ALLOWED, 0);
    // A container takes its subcommands along, whatever their own categories are.
    assert_check("+@fast -@slow +@connection", "client id", ACL_ALLOWED, 0);
    assert_check("+@fast +@connection -@slow", "client id", ACL_DENIED_COMMAND, 0);
}

static void test_keys(void **state) {
    (void)state;
    assert_check("+@all ~a*", "get abc", ACL_ALLOWED, 0);
    assert_check("+@all ~a*", "get b", ACL_DENIED_KEY, 1);
    assert_check("+@all ~a*", "mget a1 a2 b", ACL_DENIED_KEY, 3);
    assert_check("+@all ~a*", "ping", ACL_ALLOWED, 0);
    assert_check("+@all %R~r* %W~w*", "get r1", ACL_ALLOWED, 0);
    assert_check("+@all %R~r* %W~w*", "get w1", ACL_DENIED_KEY, 1);
    assert_check("+@all %R~r* %W~w*", "set w1 v", ACL_ALLOWED, 0);
    assert_check("+@all %R~r* %W~w*", "set w1 v get", ACL_DENIED_KEY, 1);
    assert_check("+@all %R~r* %W~w*", "incr w1", ACL_DENIED_KEY, 1);
    assert_check("+@all %R~r* %W~w*", "copy r1 w1", ACL_ALLOWED, 0);
    assert_check("+@all %R~r* %W~w*", "copy w1 r1", ACL_DENIED_KEY, 1);
    assert_check("+@all %R~r* %W~w*", "sort r1 store r2", ACL_DENIED_KEY, 3);
    assert_check("+@all %R~r* %W~w*", "exists w1", ACL_ALLOWED, 0); // asks for nothing in it
    assert_check("+@all ~a", "zunionstore a 2 a b", ACL_DENIED_KEY, 4);
    assert_check("+@all ~a", "xread streams a b 0 0", ACL_DENIED_KEY, 3);
}

static void test_selectors(void **state) {
    (void)state;
    const char *rules = "+get ~a (+set ~b) (+mget ~a ~b)";
    assert_check(rules, "get a", ACL_ALLOWED, 0);
    assert_check(rules, "set b v", ACL_ALLOWED, 0);
    assert_check(rules, "mget a b", ACL_ALLOWED, 0);
    assert_check(rules, "get b", ACL_DENIED_KEY, 1);
    assert_check(rules, "set a v", ACL_DENIED_KEY, 1);
    assert_check(rules, "mget a c", ACL_DENIED_KEY, 2);
    assert_check(rules, "del a", ACL_DENIED_COMMAND, 0);
    // Of several keys that were denied the last is told.
    assert_check("+mget ~a (+mget ~a ~b)", "mget a b c", ACL_DENIED_KEY, 3);
}

static void test_channels(void **state) {
    (void)state;
    assert_check("+@all", "publish c m", ACL_DENIED_CHANNEL, 1);
    assert_check("+@all &c*", "publish c1 m", ACL_ALLOWED, 0);
    assert_check("+@all &c*", "spublish d m", ACL_DENIED_CHANNEL, 1);
    assert_check("+@all &c*", "subscribe c1 c2", ACL_ALLOWED, 0);
    assert_check("+@all &c*", "subscribe c1 d", ACL_DENIED_CHANNEL, 2);
    assert_check("+@all &c*", "ssubscribe c1 d", ACL_DENIED_CHANNEL, 2);
    assert_check("+@all &c*", "psubscribe c*", ACL_ALLOWED, 0); // the very pattern
    assert_check("+@all &c*", "psubscribe c1", ACL_DENIED_CHANNEL, 1);
    assert_check("+@all", "unsubscribe d", ACL_ALLOWED, 0);
    assert_check("+@all", "pubsub numsub d", ACL_ALLOWED, 0);
    assert_check("+@all &*", "psubscribe anything", ACL_ALLOWED, 0);
}

static void test_patterns_of_sort(void **state) {
    (void)state;
    struct slice argv[] = {SLICE_LITERAL("sort"), SLICE_LITERAL("a")};
    const struct {
        const char *rules;
        bool all;
    } cases[] = {{"+sort allkeys", true},         {"+sort ~*", true},         {"+sort %R~*", true},
                 {"+sort %W~* ~a", false},        {"+sort ~a", false},        {"allkeys", false},
                 {"+sort ~a (%R~* +get)", false}, {"+get (%R~* +sort)", true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct acl_user *user = user_with(cases[i].rules);
        if (acl_user_check_reads_all(user, command_find(argv[0]), 2, argv) != cases[i].all)
            fail_msg("%s", cases[i].rules);
        acl_user_release(user);
    }
}

static void test_who_may_do_everything(void **state) {
    (void)state;
    static const struct {
        const char *rules;
        bool all;
    } cases[] = {{"allkeys allchannels allcommands", true},
                 {"~* &* +@all -get", false},
                 {"~* &* +@all -get +get", false}, // as in Redis: commands to come are not
                 {"~* +@all", false},
                 {"&* +@all", false},
                 {"(~* &* +@all)", true},
                 {"~* +@all (&* +@all)", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct acl_user *user = user_with(cases[i].rules);
        if (acl_user_is_unrestricted(user) != cases[i].all) fail_msg("%s", cases[i].rules);
        acl_user_release(user);
    }
}

static void test_channels_that_are_kept(void **state) {
    (void)state;
    static const struct {
        const char *before, *now;
        bool kept;
    } cases[] = {{"", "", true},
                 {"&a", "&a &b", true},
                 {"&a &b", "&a", false},
                 {"&a", "&*", true},
                 {"&*", "&a", false},
                 {"&*", "(&*)", true},
                 {"&a (&b)", "&b &a", true},
                 {"&a (&b)", "&a", false},
                 {"&aa", "&a*", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct acl_user *before = user_with(cases[i].before), *now = user_with(cases[i].now);
        if (acl_user_keeps_channels(before, now) != cases[i].kept)
            fail_msg("'%s' to '%s'", cases[i].before, cases[i].now);
        acl_user_release(before);
        acl_user_release(now);
    }
}

// ---- passwords ---------------------------------------------------------------------------------

static void test_passwords(void **state) {
    (void)state;
    struct acl_user *user = user_with(">one >two");
    assert_false(acl_user_admits(user, SLICE_LITERAL("one"))); // off
    assert_int_equal(apply_all(user, "on"), ACL_OK);
    assert_true(acl_user_admits(user, SLICE_LITERAL("one")));
    assert_true(acl_user_admits(user, SLICE_LITERAL("two")));
    assert_false(acl_user_admits(user, SLICE_LITERAL("three")));
    assert_false(acl_user_admits(user, SLICE_LITERAL("")));
    assert_int_equal(apply_all(user, "<one"), ACL_OK);
    assert_false(acl_user_admits(user, SLICE_LITERAL("one")));
    assert_int_equal(apply_all(user, "nopass"), ACL_OK);
    assert_true(acl_user_admits(user, SLICE_LITERAL("anything")));
    assert_int_equal(apply_all(user, "resetpass"), ACL_OK);
    assert_false(acl_user_admits(user, SLICE_LITERAL("two")));
    acl_user_set_password(user, SLICE_LITERAL("bin\0ary"));
    assert_true(acl_user_admits(user, SLICE_LITERAL("bin\0ary")));
    assert_false(acl_user_admits(user, SLICE_LITERAL("bin")));
    assert_false(user->nopass);
    acl_user_set_password(user, SLICE_LITERAL(""));
    assert_true(user->nopass && acl_user_admits(user, SLICE_LITERAL("x")));
    acl_user_release(user);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules_are_kept_as_redis_prints_them),
        cmocka_unit_test(test_bad_rules_are_refused),
        cmocka_unit_test(test_words_of_a_selector_are_joined),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_selectors),
        cmocka_unit_test(test_channels),
        cmocka_unit_test(test_patterns_of_sort),
        cmocka_unit_test(test_who_may_do_everything),
        cmocka_unit_test(test_channels_that_are_kept),
        cmocka_unit_test(test_passwords),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
