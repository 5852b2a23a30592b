// SPDX-License-Identifier: BSD-3-Clause
//
// Writing for torc-rdb. The temporary file stands in the directory of the final one, is synced,
// then renamed, then the directory is synced. SIGINT, SIGTERM and SIGHUP remove it: its name is
// kept for the handler in the one variable of this program that is not local. Main thread.
// Invariant: after the first error nothing more is written.
#include "tools/torc_rdb/output.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/crc64.h"

#define FLUSH_BYTES ((size_t)256 * 1024)

static const char *volatile to_remove; // the signal handler's

static void on_signal(int number) {
    const char *name = to_remove;
    if (name != NULL) unlink(name);
    signal(number, SIG_DFL);
    raise(number);
}

static void guard(const char *name) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    to_remove = name;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct sigaction old, act = {.sa_handler = on_signal};
        // What is ignored (nohup) stays so.
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(numbers[i], &act, NULL);
    }
}

static void complain(const char *name, int error) {
    fprintf(stderr, "torc-rdb: %s: %s\n", name, strerror(error));
}

bool output_open(struct output *o, const char *name) {
    *o = (struct output){.name = name, .fd = STDOUT_FILENO};
    if (strcmp(name, "-") == 0) {
        o->name = "standard output";
        return true;
    }
    size_t n = strlen(name) + 32;
    o->temporary = mem_alloc(n);
    snprintf(o->temporary, n, "%s.%ld.tmp", name, (long)getpid());
    o->fd = open(o->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (o->fd < 0) {
        complain(o->temporary, errno);
        mem_free(o->temporary);
        return false;
    }
    guard(o->temporary);
    return true;
}

bool output_flush(struct output *o) {
    if (o->sums) o->crc = crc64(o->crc, o->buf.p, o->buf.len);
    size_t done = 0;
    while (done < o->buf.len && o->error == 0) {
        ssize_t n = write(o->fd, o->buf.p + done, o->buf.len - done);
        if (n >= 0)
            done += (size_t)n;
        else if (errno != EINTR)
            o->error = errno;
    }
    o->buf.len = 0;
    buf_shrink_if_empty(&o->buf, 8 * FLUSH_BYTES);
    return o->error == 0;
}

bool output_room(struct output *o) { return o->buf.len < FLUSH_BYTES || output_flush(o); }

static int sync_directory(const char *name) {
    char *copy = mem_alloc(strlen(name) + 1);
    memcpy(copy, name, strlen(name) + 1);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = fd < 0 || fsync(fd) != 0 ? errno : 0;
    if (fd >= 0) close(fd);
    mem_free(copy);
    return error;
}

bool output_close(struct output *o, bool commit) {
    if (commit && o->error == 0) output_flush(o);
    buf_free(&o->buf);
    if (o->temporary == NULL) {
        if (o->error != 0) complain(o->name, o->error);
        return commit && o->error == 0;
    }
    bool good = commit && o->error == 0;
    if (good && fsync(o->fd) != 0) o->error = errno;
    if (close(o->fd) != 0 && good && o->error == 0) o->error = errno;
    good = good && o->error == 0;
    if (good && rename(o->temporary, o->name) != 0) {
        o->error = errno;
        good = false;
    }
    if (good)
        o->error = sync_directory(o->name);
    else
        unlink(o->temporary);
    to_remove = NULL;
    mem_free(o->temporary);
    if (o->error != 0) complain(o->name, o->error);
    return good && o->error == 0;
}
