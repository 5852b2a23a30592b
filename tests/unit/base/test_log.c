// SPDX-License-Identifier: BSD-3-Clause
//
// The log: levels filter, the line's shape, escaping and cutting, lines of several threads do not
// mix, a bad path is reported. Writes to a temporary file that it removes; spawns threads of its
// own.
// The log's state is the process's, so the tests run in order and the last one restores stdout.
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/log.h"

static char path[] = "/tmp/torc-test-log-XXXXXX";

static int make_file(void **state) {
    (void)state;
    int fd = mkstemp(path);
    if (fd < 0) return -1;
    close(fd);
    return 0;
}

static int remove_file(void **state) {
    (void)state;
    log_open("", LOG_NOTICE);
    return unlink(path);
}

static size_t read_lines(char lines[][1200], size_t most) {
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t n = 0;
    while (n < most && fgets(lines[n], 1200, f) != NULL) n++;
    fclose(f);
    return n;
}

static void test_lines(void **state) {
    (void)state;
    static char lines[10][1200];
    assert_int_equal(log_open(path, LOG_NOTICE), 0);
    log_line(LOG_VERBOSE, "hidden");
    log_line(LOG_NOTICE, "hello %d", 7);
    log_line(LOG_WARN, "a\nb\tc\x01");
    log_set_level(LOG_DEBUG_LEVEL);
    log_line(LOG_DEBUG_LEVEL, "shown");
    char text[3000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    log_line(LOG_NOTICE, "%s", text);
    log_set_level(LOG_NOTHING);
    log_line(LOG_WARN, "hidden");
    assert_int_equal(read_lines(lines, 10), 4);
    int pid, day, year, hour, minute, second, ms;
    char month[4], mark;
    assert_int_equal(sscanf(lines[0], "%d:M %d %3s %d %d:%d:%d.%d %c", &pid, &day, month, &year,
                            &hour, &minute, &second, &ms, &mark),
                     9);
    assert_int_equal(pid, getpid());
    assert_int_equal(mark, '*');
    assert_non_null(strstr(lines[0], " * hello 7\n"));
    assert_non_null(strstr(lines[1], " # a\\nb\\tc\\x01\n"));
    assert_non_null(strstr(lines[2], " . shown\n"));
    const char *long_text = strstr(lines[3], "xxx");
    assert_non_null(long_text);
    assert_int_equal(strlen(long_text), 1024 + 1);
}

static void *write_many(void *name) {
    for (int i = 0; i < 500; i++) log_line(LOG_NOTICE, "<%s %0100d>", (const char *)name, i);
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    static char lines[2100][1200];
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(log_open(path, LOG_NOTICE), 0);
    pthread_t threads[4];
    static char names[4][2] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, write_many, names[i]);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    assert_int_equal(read_lines(lines, 2100), 2000);
    for (int i = 0; i < 2000; i++) {
        const char *start = strchr(lines[i], '<');
        assert_non_null(start);
        assert_int_equal(strlen(start), 1 + 1 + 1 + 100 + 1 + 1);
    }
}

static void test_bad_path(void **state) {
    (void)state;
    assert_int_equal(log_open("/nonexistent/torc.log", LOG_NOTICE), -ENOENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_bad_path),
    };
    return cmocka_run_group_tests_name("engine/base/log", tests, make_file, remove_file);
}
