// SPDX-License-Identifier: BSD-3-Clause
//
// The thread that writes a snapshot's file: what is written is what was handed over, in order,
// with the right checksum, also from several threads; and whatever is made to fail (writes, short
// writes, the sync, the rename, a missing directory, a limit on the file's size), the old file
// stays and nothing is left over. Works in a fresh directory below TMPDIR.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/alloc.h"
#include "engine/base/crc64.h"
#include "engine/base/random.h"
#include "persistence/snapshot_file.h"
#include "persistence/snapshot_names.h"

struct place {
    char path[256];
    _Atomic int result; // of `finished`; 1: not yet
    _Atomic int calls;
};

static int make_place(void **state) {
    struct place *place = test_calloc(1, sizeof *place);
    const char *base = getenv("TMPDIR");
    snprintf(place->path, sizeof place->path, "%s/torc-file-XXXXXX", base ? base : "/tmp");
    *state = place;
    return mkdtemp(place->path) == NULL ? -1 : 0;
}

static int remove_place(void **state) {
    struct place *place = *state;
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", place->path);
    int result = system(command);
    test_free(place);
    return result;
}

static void finished(void *context, int error) {
    struct place *place = context;
    atomic_store(&place->result, error);
    atomic_fetch_add(&place->calls, 1);
}

static struct snapshot_file_options options_of(struct place *place) {
    atomic_store(&place->result, 1);
    atomic_store(&place->calls, 0);
    return (struct snapshot_file_options){.directory = place->path,
                                          .name = "dump.rdb",
                                          .checksum = true,
                                          .incremental_sync = true,
                                          .finished = finished,
                                          .context = place};
}

static struct snapshot_chunk *chunk_of(uint64_t seed, size_t n) {
    struct random random;
    struct buf bytes = {0};
    random_init(&random, seed);
    char *p = buf_reserve(&bytes, n);
    for (size_t i = 0; i < n; i++) p[i] = (char)random_next(&random);
    bytes.len = n;
    return snapshot_chunk_of(&bytes);
}

/** What a file of these chunks has before its end. */
static void expect_bytes(struct buf *out, uint64_t seed, size_t n) {
    struct snapshot_chunk *chunk = chunk_of(seed, n);
    buf_append(out, chunk->bytes.p, n);
    snapshot_chunk_free(chunk);
}

static void read_file(const struct place *place, const char *name, struct buf *out) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", place->path, name);
    int fd = open(path, O_RDONLY);
    if (fd < 0) fail_msg("%s: %s", path, strerror(errno));
    ssize_t n;
    while ((n = read(fd, buf_reserve(out, 65536), 65536)) > 0) out->len += (size_t)n;
    close(fd);
}

static bool is_there(const struct place *place, const char *name) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", place->path, name);
    return access(path, F_OK) == 0;
}

static int count_files(const struct place *place) {
    char command[400];
    int count = -1;
    snprintf(command, sizeof command, "ls -A '%s' | wc -l", place->path);
    FILE *f = popen(command, "r");
    if (f == NULL || fscanf(f, "%d", &count) != 1) fail_msg("%s", command);
    pclose(f);
    return count;
}

/** The file is these bytes, an end mark, and the checksum of both (0: none). */
static void check_file(const struct place *place, const struct buf *bytes, bool checksum) {
    struct buf got = {0};
    read_file(place, "dump.rdb", &got);
    assert_int_equal(got.len, bytes->len + 9);
    if (bytes->len > 0) assert_memory_equal(got.p, bytes->p, bytes->len);
    assert_int_equal((uint8_t)got.p[bytes->len], 0xff);
    uint64_t sum = 0;
    for (int i = 0; i < 8; i++) sum |= (uint64_t)(uint8_t)got.p[bytes->len + 1 + i] << 8 * i;
    assert_true(sum == (checksum ? crc64(0, got.p, bytes->len + 1) : 0));
    buf_free(&got);
}

static void end_file(struct snapshot_file *f, const struct place *place, int expected) {
    snapshot_file_free(f);
    assert_int_equal(atomic_load(&place->calls), 1);
    if (atomic_load(&place->result) != expected)
        fail_msg("%s, expected %s", strerror(-atomic_load(&place->result)), strerror(-expected));
}

// ---- what is written ---------------------------------------------------------------------------

static void write_some_chunks(struct place *place, const struct snapshot_file_options *options) {
    struct buf expected = {0};
    struct snapshot_file *f = snapshot_file_start(options);
    assert_non_null(f);
    for (uint64_t i = 0; i < 70; i++) {
        size_t n = i % 7 == 0 ? 0 : (size_t)i * 5000;
        snapshot_file_add(f, chunk_of(i, n));
        expect_bytes(&expected, i, n);
        if (i == 30) usleep(20000); // it runs out of work
    }
    snapshot_file_commit(f);
    end_file(f, place, 0);
    check_file(place, &expected, options->checksum);
    assert_int_equal(count_files(place), 1);
    buf_free(&expected);
}

static ssize_t plain_write(int fd, const void *p, size_t n, off_t offset) {
    return pwrite(fd, p, n, offset);
}

static void test_writes(void **state) {
    struct place *place = *state;
    struct snapshot_file_options options = options_of(place);
    write_some_chunks(place, &options);
    // Over the old file, without a checksum, without io_uring.
    options = options_of(place);
    options.checksum = options.incremental_sync = false;
    write_some_chunks(place, &options);
    options = options_of(place);
    options.keep_cached = true;
    options.calls.write = plain_write;
    write_some_chunks(place, &options);
}

static void test_empty(void **state) {
    struct place *place = *state;
    struct snapshot_file_options options = options_of(place);
    struct buf nothing = {0};
    struct snapshot_file *f = snapshot_file_start(&options);
    snapshot_file_commit(f);
    end_file(f, place, 0);
    check_file(place, &nothing, true);
}

struct writer {
    struct snapshot_file *file;
    uint8_t number;
};

/** Chunks that begin with the writer's number and their own; some of them in chains. */
static void *add_chunks(void *argument) {
    const struct writer *w = argument;
    struct snapshot_chunk *chain = NULL, *last = NULL;
    for (int i = 0; i < 200; i++) {
        struct buf bytes = {0};
        buf_append_char(&bytes, (char)w->number);
        buf_append_char(&bytes, (char)i);
        memset(buf_reserve(&bytes, 4094), w->number, 4094);
        bytes.len += 4094;
        struct snapshot_chunk *chunk = snapshot_chunk_of(&bytes);
        if (last != NULL)
            last->next = chunk;
        else
            chain = chunk;
        last = chunk;
        if (i % 3 == 1 && i < 199) continue; // goes with the next one
        snapshot_file_add(w->file, chain);
        chain = last = NULL;
    }
    return NULL;
}

static void test_threads(void **state) {
    struct place *place = *state;
    struct snapshot_file_options options = options_of(place);
    struct snapshot_file *f = snapshot_file_start(&options);
    struct writer writers[3];
    pthread_t threads[3];
    for (uint8_t i = 0; i < 3; i++) {
        writers[i] = (struct writer){f, i};
        pthread_create(&threads[i], NULL, add_chunks, &writers[i]);
    }
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    snapshot_file_commit(f);
    snapshot_file_free(f);
    struct buf got = {0};
    read_file(place, "dump.rdb", &got);
    assert_int_equal(got.len, 600 * 4096 + 9);
    int next[3] = {0};
    for (int i = 0, before = -1; i < 600; i++) {
        int who = got.p[i * 4096], number = (uint8_t)got.p[i * 4096 + 1];
        assert_in_range(who, 0, 2);
        assert_int_equal(number, next[who]++);
        if (number % 3 == 2 && number > 0) assert_int_equal(who, before); // of a chain
        before = who;
    }
    buf_free(&got);
}

static void test_dated(void **state) {
    struct place *place = *state;
    setenv("TZ", "UTC", 1);
    for (int i = 0; i < 4; i++) {
        struct snapshot_file_options options = options_of(place);
        options.dated_s = 1795403700 + 60 * i;
        options.dated_keep = 2;
        struct snapshot_file *f = snapshot_file_start(&options);
        snapshot_file_add(f, chunk_of((uint64_t)i, 1000));
        snapshot_file_commit(f);
        end_file(f, place, 0);
    }
    assert_int_equal(count_files(place), 3);
    struct buf old = {0}, expected = {0};
    read_file(place, "dump-20261123-031700.rdb", &old);
    assert_true(is_there(place, "dump-20261123-031800.rdb"));
    expect_bytes(&expected, 2, 1000);
    assert_memory_equal(old.p, expected.p, 1000);
    buf_free(&old);
    buf_free(&expected);
}

// ---- what fails --------------------------------------------------------------------------------

static _Atomic int writes_left; // until writing fails

static ssize_t failing_write(int fd, const void *p, size_t n, off_t offset) {
    if (atomic_fetch_sub(&writes_left, 1) > 0) return pwrite(fd, p, n, offset);
    errno = ENOSPC;
    return -1;
}
static ssize_t short_write(int fd, const void *p, size_t n, off_t offset) {
    if (n > 3 && n % 5 == 0) {
        errno = EINTR;
        return pwrite(fd, p, 3, offset);
    }
    return pwrite(fd, p, n > 1000 ? 1001 : n, offset);
}
static ssize_t no_write(int fd, const void *p, size_t n, off_t offset) {
    (void)fd, (void)p, (void)n, (void)offset;
    return 0;
}
static int failing_sync(int fd) {
    (void)fd;
    errno = EIO;
    return -1;
}
static int failing_rename(int directory, const char *from, const char *to) {
    (void)directory, (void)from, (void)to;
    errno = EDQUOT;
    return -1;
}

/** The file cannot be made; the old one is as it was, and nothing else is there. */
static void expect_failure(struct place *place, const struct snapshot_file_options *options,
                           int error) {
    struct buf old = {0}, now = {0};
    read_file(place, "dump.rdb", &old);
    int files = count_files(place);
    struct snapshot_file *f = snapshot_file_start(options);
    for (uint64_t i = 0; i < 20; i++) snapshot_file_add(f, chunk_of(i, 20000));
    snapshot_file_commit(f);
    end_file(f, place, error);
    read_file(place, "dump.rdb", &now);
    assert_int_equal(now.len, old.len);
    assert_memory_equal(now.p, old.p, old.len);
    assert_int_equal(count_files(place), files);
    buf_free(&old);
    buf_free(&now);
}

static void make_old_file(struct place *place) {
    struct snapshot_file_options options = options_of(place);
    struct snapshot_file *f = snapshot_file_start(&options);
    snapshot_file_add(f, chunk_of(99, 3000));
    snapshot_file_commit(f);
    end_file(f, place, 0);
}

static void test_failures(void **state) {
    struct place *place = *state;
    make_old_file(place);
    for (int i = 0; i < 22; i++) {
        struct snapshot_file_options options = options_of(place);
        options.calls.write = failing_write;
        atomic_store(&writes_left, i);
        if (i < 21) expect_failure(place, &options, -ENOSPC);
    }
    struct snapshot_file_options options = options_of(place);
    options.calls.write = no_write;
    expect_failure(place, &options, -EIO);
    options = options_of(place);
    options.calls.sync = failing_sync;
    expect_failure(place, &options, -EIO);
    options = options_of(place);
    options.calls.rename = failing_rename;
    expect_failure(place, &options, -EDQUOT);
    options = options_of(place);
    options.calls.write = short_write;
    write_some_chunks(place, &options);
}

static void test_directory(void **state) {
    struct place *place = *state;
    struct snapshot_file_options options = options_of(place);
    options.directory = "/nonexistent/place";
    struct snapshot_file *f = snapshot_file_start(&options);
    snapshot_file_add(f, chunk_of(1, 100));
    snapshot_file_commit(f);
    end_file(f, place, -ENOENT);
    options = options_of(place);
    options.name = ""; // as Redis allows it
    f = snapshot_file_start(&options);
    snapshot_file_commit(f);
    end_file(f, place, -ENOENT);
    assert_int_equal(count_files(place), 0);
}

/** A limit on the size of files, met in the middle; with io_uring. */
static void test_size_limit(void **state) {
    struct place *place = *state;
    make_old_file(place);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit old, limit;
    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    limit.rlim_cur = 100000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    struct snapshot_file_options options = options_of(place);
    expect_failure(place, &options, -EFBIG);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
}

static void test_abort(void **state) {
    struct place *place = *state;
    make_old_file(place);
    struct snapshot_file_options options = options_of(place);
    struct snapshot_file *f = snapshot_file_start(&options);
    for (uint64_t i = 0; i < 10; i++) snapshot_file_add(f, chunk_of(i, 100000));
    snapshot_file_abort(f);
    snapshot_file_add(f, chunk_of(1, 1000)); // somebody has not heard of it yet
    end_file(f, place, -ECANCELED);
    assert_int_equal(count_files(place), 1);
    // An error that came before says why.
    options = options_of(place);
    options.calls.write = failing_write;
    atomic_store(&writes_left, 0);
    f = snapshot_file_start(&options);
    snapshot_file_add(f, chunk_of(1, 1000));
    while (snapshot_file_error(f) == 0 || snapshot_file_pending(f) > 0) usleep(1000);
    snapshot_file_abort(f);
    end_file(f, place, -ENOSPC);
    assert_int_equal(count_files(place), 1);
}

static void test_name_in_use(void **state) {
    struct place *place = *state;
    char name[SNAPSHOT_TEMPORARY_MAX], path[400];
    make_old_file(place);
    snapshot_temporary_name(name);
    snprintf(path, sizeof path, "%s/%s", place->path, name);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    struct snapshot_file_options options = options_of(place);
    expect_failure(place, &options, -EBUSY);
    assert_true(is_there(place, name));
    close(fd); // a leftover now: it makes way
    options = options_of(place);
    write_some_chunks(place, &options);
    assert_false(is_there(place, name));
}

static void test_counters(void **state) {
    struct place *place = *state;
    struct snapshot_file_options options = options_of(place);
    struct snapshot_file *f = snapshot_file_start(&options);
    for (uint64_t i = 0; i < 10; i++) snapshot_file_add(f, chunk_of(i, 10000));
    while (snapshot_file_pending(f) > 0) usleep(1000);
    assert_int_equal(snapshot_file_written(f), 100000);
    assert_int_equal(snapshot_file_error(f), 0);
    snapshot_file_commit(f);
    while (atomic_load(&place->calls) == 0) usleep(1000);
    assert_int_equal(snapshot_file_written(f), 100009);
    end_file(f, place, 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)
    const struct CMUnitTest tests[] = {
        TEST(test_writes),      TEST(test_empty),     TEST(test_threads),    TEST(test_dated),
        TEST(test_failures),    TEST(test_directory), TEST(test_size_limit), TEST(test_abort),
        TEST(test_name_in_use), TEST(test_counters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
