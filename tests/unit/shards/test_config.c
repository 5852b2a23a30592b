// SPDX-License-Identifier: BSD-3-Clause
//
// The configuration as users meet it: quoting, values and their limits, files that include others,
// the command line, what stops a start, CONFIG GET, SET and REWRITE. Files live in a directory of
// its own below /tmp, removed at the end. Single-threaded.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/alloc.h"
#include "engine/base/log.h"
#include "shards/config_save.h"
#include "shards/config_rows.h"

static char folder[64];

static struct slice text_of(const struct buf *b) { return slice_of(b->p, b->len); }

static void assert_text(struct slice got, const char *want) {
    if (slice_equal(got, slice_text(want))) return;
    fail_msg("got '%.*s', wanted '%s'", (int)got.n, got.p, want);
}

static void assert_contains(const struct buf *b, const char *want) {
    if (b->len > 0 && memmem(b->p, b->len, want, strlen(want)) != NULL) return;
    fail_msg("'%s' is not in '%.*s'", want, (int)b->len, b->p);
}

static void assert_value(const struct config *c, const char *name, const char *want) {
    struct buf value = {0};
    assert_true(config_value(c, slice_text(name), &value));
    assert_text(text_of(&value), want);
    buf_free(&value);
}

static struct config *load_text(const char *text) {
    struct config *c = config_new();
    struct buf error = {0};
    if (!config_load_text(c, slice_text(text), "the test", NULL, &error)) {
        fail_msg("refused: %.*s", (int)error.len, error.p);
    }
    return c;
}

static void assert_loads(const char *text, const char *name, const char *want) {
    struct config *c = load_text(text);
    assert_value(c, name, want);
    config_release(c);
}

static void assert_refused(const char *text, const char *reason) {
    struct config *c = config_new();
    struct buf error = {0};
    if (config_load_text(c, slice_text(text), "the test", NULL, &error)) {
        fail_msg("'%s' was accepted", text);
    }
    assert_contains(&error, reason);
    buf_free(&error);
    config_release(c);
}

static const char *write_file(const char *name, const char *text) {
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    return path;
}

static void assert_file(const char *name, const char *want) {
    char path[256];
    struct buf text = {0};
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(config__read_file(path, &text), 0);
    assert_text(text_of(&text), want);
    buf_free(&text);
}

#define ARGUMENTS(...) ((char *[]){"torc", __VA_ARGS__, NULL})

static bool load_arguments(struct config *c, char **argv, struct config_notices *notices,
                           struct buf *error) {
    int argc = 0;
    while (argv[argc] != NULL) argc++;
    return config_load(c, argc, argv, notices, error);
}

static void assert_arguments(char **argv, const char *name, const char *want) {
    struct config *c = config_new();
    struct buf error = {0};
    if (!load_arguments(c, argv, NULL, &error)) {
        fail_msg("refused: %.*s", (int)error.len, error.p);
    }
    assert_value(c, name, want);
    config_release(c);
}

static void assert_arguments_refused(char **argv, const char *reason) {
    struct config *c = config_new();
    struct buf error = {0};
    assert_false(load_arguments(c, argv, NULL, &error));
    assert_contains(&error, reason);
    buf_free(&error);
    config_release(c);
}

// ---- Words -------------------------------------------------------------------------------------

static void assert_words(const char *line, int count, ...) {
    struct config__words words;
    assert_true(config__split(slice_text(line), &words));
    assert_int_equal(words.count, count);
    va_list list;
    va_start(list, count);
    for (int i = 0; i < count; i++) assert_text(words.items[i], va_arg(list, const char *));
    va_end(list);
    config__words_free(&words);
}

static void test_split(void **state) {
    (void)state;
    assert_words("", 0);
    assert_words(" \t ", 0);
    assert_words("port 1", 2, "port", "1");
    assert_words("  a\tb \v c", 3, "a", "b", "c");
    assert_words("a \"\" ''", 3, "a", "", "");
    assert_words("\"a b\" 'c d'", 2, "a b", "c d");
    assert_words("x\"a b\"", 1, "xa b");
    assert_words("\"\\x41\\n\\r\\t\\a\\b\\q\\\"\\\\\"", 1, "A\n\r\t\a\bq\"\\");
    assert_words("'it\\'s \\n'", 1, "it's \\n");
    assert_words("\"\\xzz\"", 1, "xzz");
    assert_words("a\\ b", 2, "a\\", "b");
    static const char *const broken[] = {"\"", "'", "a\"b", "\"a\"b", "'a'b", "\"a\\\"", "\"a\\"};
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        struct config__words words;
        assert_false(config__split(slice_text(broken[i]), &words));
    }
}

static void test_quoting_is_undone_by_splitting(void **state) {
    (void)state;
    char all[256];
    struct config__words words;
    struct buf quoted = {0};
    for (int i = 0; i < 256; i++) all[i] = (char)i;
    buf_append_quoted(&quoted, slice_of(all, sizeof(all)));
    assert_true(config__split(text_of(&quoted), &words));
    assert_int_equal(words.count, 1);
    assert_true(slice_equal(words.items[0], slice_of(all, sizeof(all))));
    config__words_free(&words);
    buf_free(&quoted);
}

// ---- Values ------------------------------------------------------------------------------------

static void test_rows_are_sound(void **state) {
    (void)state;
    const struct config__row *row;
    size_t count = 0;
    for (; (row = config__row_at(count)) != NULL; count++) {
        struct config__words words;
        struct buf text = {0}, error = {0};
        struct slice fallback = slice_text(row->fallback);
        // Whoever looks a name up must get this row: no name is taken twice.
        assert_ptr_equal(config__row_find(slice_text(row->name)), row);
        if (row->alias != NULL) assert_ptr_equal(config__row_find(slice_text(row->alias)), row);
        assert_non_null(row->note);
        assert_true(row->stop == NULL || (row->flags & CONFIG__INERT) != 0);
        // The values that inert rows show are in normal form: CONFIG SET compares with them.
        if ((row->flags & CONFIG__INERT) == 0) continue;
        if (row->kind == CONFIG__WORDS && fallback.n == 0) continue; // "no value" has no words
        config__split_spaces(fallback, &words);
        bool multi = (row->flags & CONFIG__MULTI) != 0;
        if (!config__normalize(row, multi ? words.items : &fallback, multi ? words.count : 1, &text,
                               &error)) {
            fail_msg("%s: %.*s", row->name, (int)error.len, error.p);
        }
        assert_text(text_of(&text), row->fallback);
        config__words_free(&words);
        buf_free(&text);
    }
    assert_true(count > 180);
    assert_null(config__row_at(count + 1000));
}

static void test_defaults(void **state) {
    (void)state;
    struct config *c = config_new();
    assert_int_equal(c->port, 6379);
    assert_int_equal(c->bind_count, 2);
    assert_string_equal(c->bind[0], "*");
    assert_string_equal(c->bind[1], "-::*");
    assert_true(c->protected_mode && c->shard_pinning && c->active_expire);
    assert_int_equal(c->loglevel, LOG_NOTICE);
    assert_int_equal(c->maxmemory_policy, CONFIG_NOEVICTION);
    assert_int_equal(c->io_backend, CONFIG_IO_AUTO);
    assert_int_equal(c->output_limit[CONFIG_CLIENT_REPLICA].hard_bytes, 256 << 20);
    assert_int_equal(c->output_limit[CONFIG_CLIENT_PUBSUB].soft_seconds, 60);
    assert_int_equal(c->requirepass.len, 0);
    assert_string_equal(c->file, "");
    assert_value(c, "client-output-buffer-limit",
                 "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60");
    assert_value(c, "appendonly", "no");
    assert_value(c, "SAVE", "3600 1 300 100 60 10000");
    assert_value(c, "slave-read-only", "yes");
    config_release(c);
}

static void test_comments_stand_alone(void **state) {
    (void)state;
    assert_refused("port 3 # three", "wrong number of arguments");
    assert_loads("  # port 3\n#port 4\n", "port", "6379");
    assert_loads("PoRt 7000\n", "port", "7000");
    assert_loads("port 1\r\n\n\tport\t2\t", "port", "2");
}

static void test_kinds(void **state) {
    (void)state;
    assert_loads("protected-mode NO", "protected-mode", "no");
    assert_refused("protected-mode 1", "argument must be 'yes' or 'no'");
    assert_refused("port abc", "argument couldn't be parsed into an integer");
    assert_refused("port 65536", "argument must be between 0 and 65535 inclusive");
    assert_refused("port -1", "argument must be between 0 and 65535 inclusive");
    assert_loads("port 65535", "port", "65535");
    assert_loads("port 0", "port", "0");
    assert_refused("port", "wrong number of arguments");
    assert_loads("proto-max-bulk-len 1mb", "proto-max-bulk-len", "1048576");
    assert_loads("proto-max-bulk-len 2M", "proto-max-bulk-len", "2000000");
    assert_refused("proto-max-bulk-len 1mbb", "argument must be a memory value");
    assert_refused("proto-max-bulk-len 1", "between 1048576 and 9223372036854775807 inclusive");
    assert_refused("maxmemory-clients x", "argument must be a memory or percent value");
    assert_refused("maxmemory-clients 101%", "percentage argument must be less or equal to 100");
    assert_loads("maxmemory-clients 5%", "maxmemory-clients", "0");
    assert_loads("unixsocketperm 700", "unixsocketperm", "700");
    assert_refused("unixsocketperm 800", "argument couldn't be parsed as an octal number");
    assert_refused("unixsocketperm 1000", "argument must be between 0 and 777 inclusive");
    assert_refused("unixsocketperm -1", "argument must be between 0 and 777 inclusive");
    assert_loads("loglevel WARNING", "loglevel", "warning");
    assert_refused("loglevel loud", "argument(s) must be one of the following: debug, verbose, "
                                    "notice, warning, nothing");
    assert_loads("hz 0", "hz", "1");
    assert_loads("hz 501", "hz", "500");
    assert_loads("requirepass \"a \\\"b\"", "requirepass", "a \"b");
    assert_refused("logfile \"a\\x00b\"", "zero byte");
    assert_refused("requirepass \"secret", "Unbalanced quotes in configuration line");
    assert_loads("dir /", "dir", "/");
    assert_refused("dir /nonexistent", "No such file or directory");
    assert_refused("dir /dev/null", "Not a directory");
}

static void test_values_of_several_words(void **state) {
    (void)state;
    assert_loads("bind 127.0.0.1 -::1", "bind", "127.0.0.1 -::1");
    assert_loads("bind \"127.0.0.1 -::1\"", "bind", "127.0.0.1 -::1");
    assert_loads("bind a\nbind b", "bind", "b");
    assert_loads("bind \"\"", "bind", "");
    assert_loads("bind 1 2 3 4 5 6 7 8 9 a b c d e f g", "bind", "1 2 3 4 5 6 7 8 9 a b c d e f g");
    assert_refused("bind 1 2 3 4 5 6 7 8 9 a b c d e f g h", "Too many bind addresses specified.");
    assert_loads("client-output-buffer-limit replica 1mb 1kb 5\n"
                 "client-output-buffer-limit normal 1gb 0 0 pubsub 1 2 3",
                 "client-output-buffer-limit",
                 "normal 1073741824 0 0 slave 1048576 1024 5 pubsub 1 2 3");
    assert_refused("client-output-buffer-limit normal 1 2", "Wrong number of arguments in");
    assert_refused("client-output-buffer-limit master 1 2 3", "Invalid client class");
    assert_refused("client-output-buffer-limit normal 1 2 -3",
                   "Error in hard, soft or soft_seconds");
    assert_refused("client-output-buffer-limit normal x 2 3",
                   "Error in hard, soft or soft_seconds");
}

static void test_save(void **state) {
    (void)state;
    assert_loads("port 1", "save", "3600 1 300 100 60 10000");
    // The first line replaces the default, the others add to it.
    assert_loads("save 900 1\nsave 300 10 60 10000", "save", "900 1 300 10 60 10000");
    assert_loads("save \"900 1\"", "save", "900 1");
    assert_loads("save \"\"", "save", "");
    assert_loads("save 900 1\nsave \"\"", "save", "");
    assert_loads("save \"\"\nsave 5 0", "save", "5 0");
    assert_refused("save 900", "Invalid save parameters");
    assert_refused("save 0 1", "Invalid save parameters");
    assert_refused("save 1 -1", "Invalid save parameters");
    assert_refused("save 1 x", "Invalid save parameters");
    struct slice text = SLICE_LITERAL("3600 1 60 10000");
    struct save_point point;
    assert_true(config_save_point(&text, &point));
    assert_true(point.seconds == 3600 && point.changes == 1);
    assert_true(config_save_point(&text, &point));
    assert_true(point.seconds == 60 && point.changes == 10000);
    assert_false(config_save_point(&text, &point));
}

static void test_snapshots(void **state) {
    (void)state;
    assert_loads("snapshot-cron 0 3 * * mon-fri", "snapshot-cron", "0 3 * * mon-fri");
    assert_loads("snapshot-cron \"@daily\"", "snapshot-cron", "@daily");
    assert_loads("snapshot-cron @daily\nsnapshot-cron \"\"", "snapshot-cron", "");
    assert_refused("snapshot-cron 0 3 * *", "needs five fields");
    assert_refused("snapshot-cron 0 0 31 2 *", "that day never comes");
    assert_refused("dbfilename a/b", "dbfilename can't be a path, just a filename");
    assert_refused("rdb-version 8", "argument(s) must be one of the following: auto, 9");
    assert_loads("rdb-version 9", "rdb-version", "9");
    assert_loads("shutdown-on-sigterm now force", "shutdown-on-sigterm", "now force");
    assert_refused("shutdown-on-sigterm save nosave", "can't be used simultaneously");
    assert_refused("shutdown-on-sigint abort", "must be one of the following: default, save");
    struct shutdown_words words = config_shutdown_words(SLICE_LITERAL("default nosave force"));
    assert_true(words.nosave && words.force && !words.save && !words.now);
}

static void test_inert_values_are_checked(void **state) {
    (void)state;
    assert_refused("appendonly maybe", "argument must be 'yes' or 'no'");
    assert_refused("notify-keyspace-events Q", "Invalid event class character");
    assert_refused("oom-score-adj-values 1 2", "wrong number of arguments");
    assert_refused("oom-score-adj-values 1 2 2001", "between -2000 and 2000");
    assert_refused("latency-tracking-info-percentiles 101", "should sit between");
    assert_loads("tls-cluster no", "tls-cluster", "no");
    assert_loads("list-max-ziplist-entries 5\nlua-replicate-commands yes", "port", "6379");
}

#define ALL_RIGHTS "user default on nopass sanitize-payload ~* &* +@all\n"

static void test_what_would_be_less_safe_stops_the_start(void **state) {
    (void)state;
    assert_loads("aclfile users.acl", "aclfile", "users.acl");
    assert_refused("rename-command nosuch \"\"", "No such command in rename-command");
    assert_refused("rename-command get", "wrong number of arguments");
    assert_loads("rename-command get x\nrename-command X y\nrename-command evalsha \"\"", "port",
                 "6379");
    assert_refused("replicaof host 6379", "does not replicate");
    assert_refused("slaveof host 6379", "does not replicate");
    assert_refused("replicaof host 66666", "Invalid master port");
    assert_loads("replicaof no one", "replicaof", "");
    assert_refused("loadmodule /x.so", "does not load modules");
    assert_refused("sentinel monitor a b 1 2", "no Sentinel mode");
    assert_refused("search.timeout 5", "does not load modules");
    assert_refused("include other.conf", "can't be included here");
}

static void test_messages(void **state) {
    (void)state;
    struct config *c = config_new();
    struct buf error = {0};
    const char *text = "# a comment\n\nport 1\n  nosuch  thing\n";
    assert_false(config_load_text(c, slice_text(text), "the test", NULL, &error));
    assert_text(text_of(&error), "*** FATAL CONFIG FILE ERROR (torc) ***\n"
                                 "Reading the test, at line 4\n"
                                 ">>> 'nosuch  thing'\n"
                                 "Bad directive or wrong number of arguments\n");
    error.len = 0;
    assert_false(
        config_load_text(c, SLICE_LITERAL("requirepass top secret"), "the test", NULL, &error));
    assert_contains(&error, ">>> 'requirepass (redacted)'\nwrong number of arguments\n");
    error.len = 0;
    assert_false(config_load_text(c, slice_of("port 1\0", 7), "the test", NULL, &error));
    assert_contains(&error, "zero byte in line");
    buf_free(&error);
    config_release(c);
}

static void test_notices(void **state) {
    (void)state;
    struct config *c = config_new();
    struct config_notices notices = {0};
    struct buf error = {0};
    const char *text = "appendfsync no\nport 1\nappendonly no\nAPPENDFSYNC no\n"
                       "slave-read-only no\nsave 900 1\n"
                       "hz 20\nmaxmemory-clients 0\nmaxmemory-clients 0\n";
    assert_true(config_load_text(c, slice_text(text), "the test", &notices, &error));
    assert_text(text_of(&notices.names),
                "appendfsync, appendonly, replica-read-only, maxmemory-clients");
    assert_text(text_of(&notices.unmet), "appendfsync, replica-read-only");
    config_notices_free(&notices);
    config_release(c);
}

// ---- Files and the command line ----------------------------------------------------------------

static void test_file_and_includes(void **state) {
    (void)state;
    char main_text[512], path[256];
    write_file("a.inc", "timeout 11\n");
    write_file("b.inc", "tcp-keepalive 12\nport 3\n");
    snprintf(main_text, sizeof(main_text),
             "port 1\ninclude %s/?.inc\ninclude %s/none-*.inc\ndir %s\ninclude a.inc\nhz 7\n",
             folder, folder, folder);
    snprintf(path, sizeof(path), "%s", write_file("main.conf", main_text));
    assert_arguments(ARGUMENTS(path), "port", "3");
    assert_arguments(ARGUMENTS(path), "timeout", "11");
    assert_arguments(ARGUMENTS(path), "hz", "7");
    assert_arguments(ARGUMENTS(path, "--port", "9"), "port", "9");

    struct config *c = config_new();
    struct buf error = {0};
    assert_true(load_arguments(c, ARGUMENTS(path), NULL, &error));
    assert_string_equal(c->file, path);
    config_release(c);

    write_file("b.inc", "\n\nport x\n");
    char place[300];
    snprintf(place, sizeof(place), "Reading the configuration file %s/b.inc, at line 3\n", folder);
    assert_arguments_refused(ARGUMENTS(path), place);
    write_file("b.inc", "include b.inc\n");
    snprintf(main_text, sizeof(main_text), "dir %s\ninclude b.inc\n", folder);
    write_file("main.conf", main_text);
    assert_arguments_refused(ARGUMENTS(path), "nested too deep");
    write_file("main.conf", "include /nonexistent.inc\n");
    assert_arguments_refused(ARGUMENTS(path), "can't open config file '/nonexistent.inc'");
    assert_arguments_refused(ARGUMENTS("/nonexistent"), "No such file or directory");
    assert_arguments_refused(ARGUMENTS(folder), "Is a directory");
}

static void test_command_line(void **state) {
    (void)state;
    assert_arguments(ARGUMENTS("--port", "7000"), "port", "7000");
    assert_arguments(ARGUMENTS("--PORT 7000", "--timeout", "3"), "timeout", "3");
    assert_arguments(ARGUMENTS("--bind", "a", "b", "-::1", "--port", "1"), "bind", "a b -::1");
    assert_arguments(ARGUMENTS("--bind", "a b", "--port", "1"), "bind", "a b");
    assert_arguments(ARGUMENTS("--save", "", "--port", "2"), "port", "2");
    assert_arguments(ARGUMENTS("--save", "", "--port", "2"), "save", "");
    assert_arguments(ARGUMENTS("--port", "2", "--save"), "save", "");
    assert_arguments(ARGUMENTS("--save", "900 1", "--save", "60", "5"), "save", "900 1 60 5");
    assert_arguments(ARGUMENTS("--save", "--port", "2"), "port", "2");
    assert_arguments(ARGUMENTS("--port", "2", "--save"), "port", "2");
    assert_arguments(ARGUMENTS("--requirepass", "--secret"), "requirepass", "--secret");
    assert_arguments(ARGUMENTS("--requirepass", "a\nport 5 \"'"), "requirepass", "a\nport 5 \"'");
    assert_arguments(ARGUMENTS("--shards", "4", "--io-backend", "epoll"), "io-backend", "epoll");
    assert_arguments_refused(ARGUMENTS("--port"), "wrong number of arguments");
    assert_arguments_refused(ARGUMENTS("--port=7000"), "Bad directive");
    assert_arguments_refused(ARGUMENTS("--hz", "5", "--port", "x"),
                             "Reading the command line, at line 2\n>>> 'port \"x\"'\n");
    assert_arguments_refused(ARGUMENTS("--shards", "-1"), "between 0 and 1024 inclusive");
    assert_arguments_refused(ARGUMENTS("--logfile", "/nonexistent/log"), "Can't open the log file");
    struct config *c = config_new();
    struct buf error = {0};
    assert_true(load_arguments(c, (char *[]){"torc", NULL}, NULL, &error));
    config_release(c);
}

static void test_standard_input(void **state) {
    (void)state;
    int ends[2], kept = dup(STDIN_FILENO);
    assert_int_equal(pipe(ends), 0);
    const char *text = "port 7003\ntimeout 4\n";
    assert_int_equal(write(ends[1], text, strlen(text)), (ssize_t)strlen(text));
    close(ends[1]);
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    struct config *c = config_new();
    struct buf error = {0};
    assert_true(load_arguments(c, ARGUMENTS("-", "--timeout", "5"), NULL, &error));
    assert_value(c, "port", "7003");
    assert_value(c, "timeout", "5");
    config_release(c);
    dup2(kept, STDIN_FILENO);
    close(kept);
}

// ---- CONFIG ------------------------------------------------------------------------------------

struct collected {
    struct buf text;
    int count;
};

static void collect(void *context, const char *name, struct slice value) {
    struct collected *all = context;
    buf_printf(&all->text, "%s=%.*s;", name, (int)value.n, value.p);
    all->count++;
}

static void assert_get(const struct config *c, const char *pattern, const char *want) {
    struct collected all = {0};
    config_get(c, slice_text(pattern), collect, &all);
    assert_text(text_of(&all.text), want);
    buf_free(&all.text);
}

static void test_get(void **state) {
    (void)state;
    struct config *c = load_text("timeout 7");
    assert_get(c, "timeout", "timeout=7;");
    assert_get(c, "TimeOut", "TimeOut=7;");
    assert_get(c, "TIMEOU?", "timeout=7;");
    assert_get(c, "tim\\eout", "");
    assert_get(c, "slave-lazy*", "slave-lazy-flush=no;");
    assert_get(c, "*-lazy-flush", "replica-lazy-flush=no;slave-lazy-flush=no;");
    assert_get(c, "nosuch", "");
    assert_get(c, "", "");
    assert_get(c, "watchdog*", "");
    assert_get(c, "watchdog-period", "watchdog-period=0;");
    struct collected all = {0};
    config_get(c, SLICE_LITERAL("*"), collect, &all);
    assert_true(all.count > 190);
    buf_free(&all.text);
    assert_true(config_exists(SLICE_LITERAL("MaxMemory")));
    assert_false(config_exists(SLICE_LITERAL("include")));
    assert_true(config_is_sensitive(SLICE_LITERAL("REQUIREPASS")));
    assert_true(config_is_sensitive(SLICE_LITERAL("masterauth")));
    assert_false(config_is_sensitive(SLICE_LITERAL("port")));
    config_release(c);
}

static void assert_set(struct config *c, const char *name, const char *value, const char *want) {
    struct buf error = {0};
    bool ok = config_set(c, slice_text(name), slice_text(value), &error);
    assert_text(text_of(&error), want);
    assert_int_equal(ok, want[0] == '\0');
    buf_free(&error);
}

static void test_set(void **state) {
    (void)state;
    struct config *c = config_new();
    assert_set(c, "timeout", "9", "");
    assert_set(c, "timeout", "x", "argument couldn't be parsed into an integer");
    assert_set(c, "loglevel", "DEBUG", "");
    assert_set(c, "port", "1", "");
    assert_set(c, "bind", "127.0.0.1 -::1", "");
    assert_value(c, "bind", "127.0.0.1 -::1");
    assert_set(c, "unixsocket", "x", "can't set immutable config");
    assert_set(c, "io-threads", "1", "can't set immutable config");
    assert_set(c, "dir", "/", "can't set protected config");
    assert_set(c, "nosuch", "1", "no such directive");
    assert_set(c, "appendonly", "NO", "");
    assert_set(c, "appendonly", "yes", "torc does not act on this directive");
    assert_set(c, "save", "", "");
    assert_value(c, "save", "");
    assert_set(c, "save", "900 1 60 5", "");
    assert_set(c, "save", "300 7", ""); // replaces
    assert_value(c, "save", "300 7");
    assert_set(c, "snapshot-cron", "*/5 * * * *", "");
    assert_value(c, "snapshot-cron", "*/5 * * * *");
    assert_set(c, "snapshot-cron", "61 * * * *", "wrong minute '61'");
    assert_set(c, "dbfilename", "x.rdb", "can't set protected config");
    assert_set(c, "rdbchecksum", "no", "can't set immutable config");
    assert_set(c, "save", "900", "Invalid save parameters");
    assert_set(c, "maxmemory", "0", "");
    assert_set(c, "maxmemory", "100mb", "");
    assert_value(c, "maxmemory", "104857600");
    assert_set(c, "maxmemory", "1.5gb", "argument must be a memory value");
    assert_set(c, "maxmemory", "50%", "argument must be a memory value");
    assert_set(c, "maxmemory-samples", "0", "argument must be between 1 and 2147483647 inclusive");
    assert_set(c, "maxmemory-eviction-tenacity", "101",
               "argument must be between 0 and 100 inclusive");
    assert_set(c, "client-output-buffer-limit", "pubsub 1mb 1kb 2", "");
    assert_set(c, "client-output-buffer-limit", "pubsub 1mb",
               "Wrong number of arguments in buffer limit configuration.");
    assert_set(c, "client-output-buffer-limit", "", "");
    assert_value(c, "client-output-buffer-limit",
                 "normal 0 0 0 slave 268435456 67108864 60 pubsub 1048576 1024 2");
    assert_value(c, "timeout", "9");
    assert_value(c, "loglevel", "debug");
    config_release(c);
    c = load_text("enable-protected-configs yes");
    assert_set(c, "dir", "/", "");
    assert_value(c, "dir", "/");
    config_release(c);
}

static void assert_set_many(struct config *c, bool local, const char *want, int count, ...) {
    struct slice pairs[16];
    struct buf error = {0};
    va_list list;
    va_start(list, count);
    for (int i = 0; i < 2 * count; i++) pairs[i] = slice_text(va_arg(list, const char *));
    va_end(list);
    bool ok = config_set_many(c, pairs, (size_t)count, local, &error);
    assert_text(text_of(&error), want);
    assert_int_equal(ok, want[0] == '\0');
    buf_free(&error);
}

static void test_set_many(void **state) {
    (void)state;
    struct config *c = load_text("enable-protected-configs local");
    assert_set_many(c, false, "", 2, "timeout", "5", "HZ", "20");
    assert_value(c, "timeout", "5");
    assert_value(c, "hz", "20");
    assert_set_many(c, false, "Unknown option or number of arguments for CONFIG SET - 'x'", 2, "hz",
                    "x", "x", "1");
    assert_set_many(c, false,
                    "CONFIG SET failed (possibly related to argument 'Databases') - "
                    "can't set immutable config",
                    2, "Databases", "1", "nosuch", "1");
    assert_set_many(c, false,
                    "CONFIG SET failed (possibly related to argument 'HZ') - duplicate parameter",
                    2, "hz", "1", "HZ", "2");
    assert_set_many(c, false,
                    "CONFIG SET failed (possibly related to argument 'hz') - "
                    "argument couldn't be parsed into an integer",
                    2, "timeout", "1", "Hz", "x");
    assert_set_many(c, false,
                    "CONFIG SET failed (possibly related to argument 'slave-priority') - "
                    "torc does not act on this directive",
                    1, "slave-priority", "1");
    assert_set_many(c, false,
                    "CONFIG SET failed (possibly related to argument 'dir') - "
                    "can't set protected config",
                    1, "dir", "/");
    assert_set_many(c, true, "", 1, "dir", "/");
    config_release(c);
}

static void test_copies_are_independent(void **state) {
    (void)state;
    int64_t before = mem_used();
    struct config *c = load_text("requirepass one\nbind a b");
    struct config *copy = config_copy(c);
    assert_ptr_equal(config_retain(c), c);
    config_release(c);
    assert_set(copy, "requirepass", "two", "");
    assert_value(c, "requirepass", "one");
    assert_ptr_not_equal(copy->bind[1], c->bind[1]);
    config_release(c);
    assert_value(copy, "requirepass", "two");
    assert_string_equal(copy->bind[1], "b");
    config_release(copy);
    assert_int_equal(mem_used(), before);
}

// ---- CONFIG REWRITE ----------------------------------------------------------------------------

static void test_rewrite(void **state) {
    (void)state;
    char text[1024], path[256], want[1024];
    snprintf(text, sizeof(text),
             "# head\n\n\n\nPORT 1\nport 2 # no\n"
             "timeout 5\nappendonly yes\ndir /\nrequirepass gone\nunbalanced \"\nnosuch 1\n"
             "client-output-buffer-limit pubsub 1mb 1mb 1\ninclude other\n");
    snprintf(path, sizeof(path), "%s", write_file("rewrite.conf", text));
    assert_int_equal(chmod(path, 0640), 0);
    struct config *c = load_text("port 7\ndir /\nproto-max-bulk-len 2mb\nlogfile \"a \\\"b\"\n"
                                 "save \"\"\nsnapshot-cron @daily\n");
    assert_int_equal(config_rewrite(c), -EINVAL);
    mem_free(c->file);
    c->file = mem_alloc(strlen(path) + 1);
    memcpy(c->file, path, strlen(path) + 1);
    assert_int_equal(config_rewrite(c), 0);
    snprintf(want, sizeof(want),
             "# head\n\nport 7\n\ntimeout 0\nappendonly yes\ndir \"/\"\n\n# ??? unbalanced \"\n"
             "# ??? nosuch 1\nclient-output-buffer-limit normal 0 0 0\ninclude other\n"
             "# Generated by CONFIG REWRITE\nproto-max-bulk-len 2mb\nlogfile \"a \\\"b\"\n"
             "save \"\"\nsnapshot-cron @daily\n" ALL_RIGHTS);
    assert_file("rewrite.conf", want);
    // Again: nothing moves, nothing grows.
    assert_int_equal(config_rewrite(c), 0);
    assert_file("rewrite.conf", want);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
    config_release(c);
}

static void test_rewritten_file_gives_the_same_configuration(void **state) {
    (void)state;
    char path[256];
    snprintf(path, sizeof(path), "%s", write_file("same.conf", ""));
    struct config *c = load_text("bind 127.0.0.1 -::1\nrequirepass \"\\x01 '\\\"\"\nshards 3\n"
                                 "unixsocketperm 770\nprotected-mode no\nio-backend epoll\n"
                                 "client-output-buffer-limit replica 5 4 3\n"
                                 "client-output-buffer-limit pubsub 2mb 3kb 3\nloglevel debug\n"
                                 "user default on >pw ~* +@all\nuser bob off (%R~x +@read -get)\n");
    mem_free(c->file);
    c->file = mem_alloc(strlen(path) + 1);
    memcpy(c->file, path, strlen(path) + 1);
    assert_int_equal(config_rewrite(c), 0);
    struct config *again = config_new();
    struct buf error = {0};
    assert_true(load_arguments(again, ARGUMENTS(path), NULL, &error));
    const struct config__row *row;
    for (size_t i = 0; (row = config__row_at(i)) != NULL; i++) {
        struct buf value = {0};
        config__print(c, row, &value);
        buf_append_char(&value, '\0');
        assert_value(again, row->name, value.p);
        buf_free(&value);
    }
    assert_int_equal(again->users->count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        struct buf one = {0}, other = {0};
        acl_users_print_line(c->users->users[i], &one);
        acl_users_print_line(again->users->users[i], &other);
        assert_true(slice_equal(text_of(&one), text_of(&other)));
        buf_free(&one);
        buf_free(&other);
    }
    config_release(again);
    config_release(c);
}

static void test_rewrite_follows_links_and_reports_errors(void **state) {
    (void)state;
    char link_path[256], path[256];
    struct stat status;
    snprintf(path, sizeof(path), "%s", write_file("target.conf", "hz 5\n"));
    snprintf(link_path, sizeof(link_path), "%s/link.conf", folder);
    assert_int_equal(symlink(path, link_path), 0);
    struct config *c = config_new();
    struct buf error = {0};
    assert_true(load_arguments(c, ARGUMENTS(link_path, "--dir", "/"), NULL, &error));
    assert_set(c, "hz", "6", "");
    assert_int_equal(config_rewrite(c), 0);
    assert_int_equal(lstat(link_path, &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    assert_file("target.conf", "hz 6\n# Generated by CONFIG REWRITE\ndir \"/\"\n" ALL_RIGHTS);
    mem_free(c->file);
    c->file = mem_calloc(64);
    snprintf(c->file, 64, "/nonexistent/torc.conf");
    assert_int_equal(config_rewrite(c), -ENOENT);
    config_release(c);
}

static int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/torc-config-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state) {
    (void)state;
    static const char *const names[] = {"a.inc",     "b.inc",       "main.conf", "rewrite.conf",
                                        "same.conf", "target.conf", "link.conf"};
    char path[256];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_quoting_is_undone_by_splitting),
        cmocka_unit_test(test_rows_are_sound),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_comments_stand_alone),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_values_of_several_words),
        cmocka_unit_test(test_save),
        cmocka_unit_test(test_snapshots),
        cmocka_unit_test(test_inert_values_are_checked),
        cmocka_unit_test(test_what_would_be_less_safe_stops_the_start),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_notices),
        cmocka_unit_test(test_file_and_includes),
        cmocka_unit_test(test_command_line),
        cmocka_unit_test(test_standard_input),
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_set_many),
        cmocka_unit_test(test_copies_are_independent),
        cmocka_unit_test(test_rewrite),
        cmocka_unit_test(test_rewritten_file_gives_the_same_configuration),
        cmocka_unit_test(test_rewrite_follows_links_and_reports_errors),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
