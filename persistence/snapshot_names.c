// SPDX-License-Identifier: BSD-3-Clause
//
// Directory work for snapshots. A dated name is the file's name with -YYYYMMDD-HHMMSS before its
// ending, so that the order of names is that of times. Called by the side thread that writes a
// snapshot, and at the start. Invariant: the form of a name is checked character by character
// before anything is removed.
#include "persistence/snapshot_names.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/alloc.h"

#define STAMP_FORM     "-dddddddd-dddddd" // d: a digit
#define STAMP_LENGTH   (sizeof(STAMP_FORM) - 1)
#define LEFTOVER_AGE_S 60

void snapshot_temporary_name(char out[SNAPSHOT_TEMPORARY_MAX]) {
    snprintf(out, SNAPSHOT_TEMPORARY_MAX, "temp-%d.rdb", (int)getpid());
}

/** Where a name's ending begins: at its last point, or at its end. */
static size_t stem_length(const char *name) {
    const char *point = strrchr(name, '.');
    return point != NULL && point != name ? (size_t)(point - name) : strlen(name);
}

void snapshot_dated_name(struct buf *out, const char *name, int64_t time_s) {
    time_t t = (time_t)time_s;
    struct tm tm;
    char stamp[40];
    if (localtime_r(&t, &tm) == NULL) memset(&tm, 0, sizeof tm);
    size_t n = strftime(stamp, sizeof stamp, "-%Y%m%d-%H%M%S", &tm), stem = stem_length(name);
    buf_append(out, name, stem);
    buf_append(out, stamp, n);
    buf_append_text(out, name + stem);
    buf_append_char(out, '\0');
}

bool snapshot_is_dated_name(const char *name, const char *candidate) {
    size_t stem = stem_length(name);
    if (strlen(candidate) != strlen(name) + STAMP_LENGTH) return false;
    if (memcmp(candidate, name, stem) != 0) return false;
    if (strcmp(candidate + stem + STAMP_LENGTH, name + stem) != 0) return false;
    for (size_t i = 0; i < STAMP_LENGTH; i++) {
        char c = candidate[stem + i];
        if (STAMP_FORM[i] == 'd' ? !isdigit((unsigned char)c) : c != STAMP_FORM[i]) return false;
    }
    return true;
}

static bool is_regular(int directory, const char *name) {
    struct stat st;
    return fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

/** A stream over the directory that leaves the descriptor its owner's; NULL: errno says why. */
static DIR *open_stream(int directory) {
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    if (fd >= 0 && stream == NULL) close(fd);
    return stream;
}

// ---- dated files -------------------------------------------------------------------------------

struct names {
    char **items;
    size_t count, cap;
};

static void names_add(struct names *names, const char *name) {
    if (names->count == names->cap) {
        names->cap = names->cap ? names->cap * 2 : 16;
        names->items = mem_realloc(names->items, names->cap * sizeof *names->items);
    }
    size_t n = strlen(name) + 1;
    char *copy = mem_alloc(n);
    memcpy(copy, name, n);
    names->items[names->count++] = copy;
}

static int newest_first(const void *a, const void *b) {
    return strcmp(*(char *const *)b, *(char *const *)a);
}

int snapshot_prune_dated(int directory, const char *name, int64_t keep) {
    DIR *stream = open_stream(directory);
    if (stream == NULL) return -errno;
    struct names names = {0};
    const struct dirent *item;
    while ((item = readdir(stream)) != NULL)
        if (snapshot_is_dated_name(name, item->d_name)) names_add(&names, item->d_name);
    closedir(stream);
    if (names.count > 0) qsort(names.items, names.count, sizeof *names.items, newest_first);
    int removed = 0, error = 0;
    for (size_t i = 0; i < names.count; i++) {
        if ((int64_t)i >= keep && is_regular(directory, names.items[i])) {
            if (unlinkat(directory, names.items[i], 0) == 0)
                removed++;
            else if (errno != ENOENT)
                error = -errno;
        }
        mem_free(names.items[i]);
    }
    mem_free(names.items);
    return error != 0 ? error : removed;
}

// ---- leftovers ---------------------------------------------------------------------------------

/** The process in a temporary file's name; 0: it is no such name. */
static pid_t writer_of(const char *name) {
    const size_t start = strlen("temp-");
    if (strncmp(name, "temp-", start) != 0) return 0;
    int64_t pid = 0;
    size_t i = start;
    for (; isdigit((unsigned char)name[i]) && pid < INT32_MAX; i++) pid = pid * 10 + name[i] - '0';
    if (i == start || name[start] == '0' || strcmp(name + i, ".rdb") != 0) return 0;
    return pid <= INT32_MAX ? (pid_t)pid : 0;
}

static bool is_alive(pid_t pid) { return pid != getpid() && (kill(pid, 0) == 0 || errno == EPERM); }

/** Whether nobody has written the file lately, and nobody holds the lock that writers hold. */
static bool is_abandoned(int directory, const char *name) {
    struct stat st;
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return false;
    bool abandoned = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
                     time(NULL) - st.st_mtime >= LEFTOVER_AGE_S &&
                     flock(fd, LOCK_EX | LOCK_NB) == 0;
    close(fd);
    return abandoned;
}

int snapshot_remove_leftovers(const char *directory, struct buf *removed) {
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    if (stream == NULL) {
        int error = -errno;
        if (fd >= 0) close(fd);
        return error;
    }
    const struct dirent *item;
    int count = 0;
    while ((item = readdir(stream)) != NULL) {
        pid_t pid = writer_of(item->d_name);
        if (pid == 0 || is_alive(pid) || !is_abandoned(fd, item->d_name)) continue;
        if (unlinkat(fd, item->d_name, 0) != 0) continue;
        if (removed != NULL) buf_printf(removed, "%s%s", count > 0 ? ", " : "", item->d_name);
        count++;
    }
    closedir(stream);
    return count;
}
