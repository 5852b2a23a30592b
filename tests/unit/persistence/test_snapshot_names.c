// SPDX-License-Identifier: BSD-3-Clause
//
// Names of snapshots: dated ones made and told from others, old ones removed, and temporary files
// of processes that are gone, which are told from those of living ones, and from fresh and locked
// ones. Works in a fresh directory below TMPDIR; one thread; sets TZ.
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "persistence/snapshot_names.h"

struct place {
    char path[256];
    int fd;
};

static int make_place(void **state) {
    struct place *place = test_malloc(sizeof *place);
    const char *base = getenv("TMPDIR");
    snprintf(place->path, sizeof place->path, "%s/torc-names-XXXXXX", base ? base : "/tmp");
    if (mkdtemp(place->path) == NULL) return -1;
    place->fd = open(place->path, O_RDONLY | O_DIRECTORY);
    *state = place;
    return 0;
}

static int remove_place(void **state) {
    struct place *place = *state;
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", place->path);
    int result = system(command);
    close(place->fd);
    test_free(place);
    return result;
}

static void make_file(const struct place *place, const char *name, int age_s) {
    int fd = openat(place->fd, name, O_CREAT | O_WRONLY | O_EXCL, 0644);
    assert_true(fd >= 0);
    struct timespec times[2] = {{.tv_sec = time(NULL) - age_s}, {.tv_sec = time(NULL) - age_s}};
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
}

static bool is_there(const struct place *place, const char *name) {
    return faccessat(place->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void expect_dated(const char *name, const char *dated) {
    struct buf out = {0};
    snapshot_dated_name(&out, name, 1795403700); // 2026-11-23 03:15:00 UTC
    assert_string_equal(out.p, dated);
    assert_true(snapshot_is_dated_name(name, out.p));
    buf_free(&out);
}

static void test_dated_names(void **state) {
    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    expect_dated("dump.rdb", "dump-20261123-031500.rdb");
    expect_dated("dump", "dump-20261123-031500");
    expect_dated("a.b.rdb", "a.b-20261123-031500.rdb");
    expect_dated(".rdb", ".rdb-20261123-031500");
    static const char *const others[] = {"dump.rdb",
                                         "dump-20261123-031500.rdb2",
                                         "dump-20261123-031500",
                                         "dump-2026112-0315000.rdb",
                                         "dump-20261123_031500.rdb",
                                         "dump-2026x123-031500.rdb",
                                         "other-20261123-031500.rdb",
                                         "dump-20261123-031500.rdB",
                                         "dump--20261123-03150.rdb",
                                         "temp-20261123-031500.rdb",
                                         ""};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (snapshot_is_dated_name("dump.rdb", others[i])) fail_msg("%s", others[i]);
}

static void test_prune(void **state) {
    struct place *place = *state;
    static const char *const mine[] = {"dump-20260101-000000.rdb", "dump-20251231-235959.rdb",
                                       "dump-20260101-000001.rdb", "dump-20240229-120000.rdb"};
    static const char *const others[] = {"dump.rdb", "dump-20200101-000000.rdb.gz",
                                         "x-20200101-000000.rdb"};
    assert_int_equal(snapshot_prune_dated(place->fd, "dump.rdb", 0), 0);
    for (int i = 0; i < 4; i++) make_file(place, mine[i], 0);
    for (int i = 0; i < 3; i++) make_file(place, others[i], 0);
    assert_int_equal(mkdirat(place->fd, "dump-20000101-000000.rdb", 0755), 0);
    assert_int_equal(symlinkat("dump.rdb", place->fd, "dump-20000102-000000.rdb"), 0);
    assert_int_equal(snapshot_prune_dated(place->fd, "dump.rdb", 4), 0);
    assert_int_equal(snapshot_prune_dated(place->fd, "dump.rdb", 2), 2);
    assert_true(is_there(place, mine[0]) && is_there(place, mine[2]));
    assert_false(is_there(place, mine[1]) || is_there(place, mine[3]));
    assert_int_equal(snapshot_prune_dated(place->fd, "dump.rdb", 0), 2);
    for (int i = 0; i < 3; i++) assert_true(is_there(place, others[i]));
    assert_true(is_there(place, "dump-20000101-000000.rdb"));
    assert_true(is_there(place, "dump-20000102-000000.rdb"));
}

/** The number of a process that has ended and been waited for. */
static pid_t dead_process(void) {
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    assert_true(pid > 0 && waitpid(pid, NULL, 0) == pid);
    return pid;
}

static void test_leftovers(void **state) {
    struct place *place = *state;
    char dead[40], fresh[40], locked[40], own[SNAPSHOT_TEMPORARY_MAX], parent[40];
    snprintf(dead, sizeof dead, "temp-%d.rdb", (int)dead_process());
    snprintf(fresh, sizeof fresh, "temp-%d.rdb", (int)dead_process());
    snprintf(locked, sizeof locked, "temp-%d.rdb", (int)dead_process());
    snprintf(parent, sizeof parent, "temp-%d.rdb", (int)getppid());
    snapshot_temporary_name(own);
    make_file(place, dead, 3600);
    make_file(place, fresh, 5);
    make_file(place, locked, 3600);
    make_file(place, own, 3600);
    make_file(place, parent, 3600); // lives
    make_file(place, "dump.rdb", 3600);
    make_file(place, "temp-99999999999.rdb", 3600);
    make_file(place, "temp-.rdb", 3600);
    make_file(place, "temp-1x.rdb", 3600);
    make_file(place, "temp-007.rdb", 3600);
    int lock = openat(place->fd, locked, O_RDONLY);
    assert_int_equal(flock(lock, LOCK_EX), 0);
    struct buf names = {0};
    assert_int_equal(snapshot_remove_leftovers(place->path, &names), 2);
    assert_false(is_there(place, dead) || is_there(place, own));
    assert_true(is_there(place, fresh) && is_there(place, locked) && is_there(place, parent));
    assert_true(is_there(place, "dump.rdb") && is_there(place, "temp-99999999999.rdb"));
    assert_true(is_there(place, "temp-.rdb") && is_there(place, "temp-1x.rdb"));
    assert_true(is_there(place, "temp-007.rdb"));
    assert_int_equal(names.len, strlen(dead) + 2 + strlen(own));
    buf_free(&names);
    close(lock);
    assert_int_equal(snapshot_remove_leftovers(place->path, NULL), 1);
    assert_false(is_there(place, locked));
    assert_true(snapshot_remove_leftovers("/nonexistent", NULL) < 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dated_names),
        cmocka_unit_test_setup_teardown(test_prune, make_place, remove_place),
        cmocka_unit_test_setup_teardown(test_leftovers, make_place, remove_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
