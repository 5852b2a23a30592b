// SPDX-License-Identifier: BSD-3-Clause
//
// Reads affinity and control groups. /proc/self/cgroup names the process's group in every hierarchy
// and /proc/self/mountinfo where that hierarchy is mounted and which of its groups the mount shows;
// the limits on the way from the group up to the top of the mount all hold, so the tightest counts.
// Stateless, any thread. Invariant: whatever these files hold, the answer is a usable number;
// absence means no limit.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "shards/cpus.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/buf.h"
#include "engine/base/num.h"
#include "engine/base/slice.h"

#define FILE_MAX         (4u << 20)
#define AFFINITY_BITS    (1 << 16)
// v1 writes "no limit" as the largest multiple of a page; nobody has this much.
#define MEMORY_UNLIMITED ((int64_t)1 << 60)

int cpus_allowed(int *cpus, int max) {
    size_t size = CPU_ALLOC_SIZE(1024);
    cpu_set_t *set = mem_calloc(size);
    // The kernel refuses a mask that is shorter than its own.
    while (sched_getaffinity(0, size, set) != 0 && errno == EINVAL && size < AFFINITY_BITS / 8) {
        size *= 2;
        mem_free(set);
        set = mem_calloc(size);
    }
    int count = 0;
    for (size_t cpu = 0; cpu < size * 8; cpu++) {
        if (!CPU_ISSET_S(cpu, size, set)) continue;
        if (count < max) cpus[count] = (int)cpu;
        count++;
    }
    mem_free(set);
    if (count > 0) return count;
    if (max > 0) cpus[0] = 0;
    return 1;
}

// ---- Priorities --------------------------------------------------------------------------------

// sched_setattr(2) has no function in the C library of Debian 12.
struct scheduling {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t slice_ns, deadline_ns, period_ns; // of SCHED_OTHER only the first is looked at
};

void cpus_give_way(void) {
    int nice = getpriority(PRIO_PROCESS, 0) + 10; // of this thread; -1 on an error is as good
    struct scheduling wish = {
        .size = sizeof wish, .nice = nice < 19 ? nice : 19, .slice_ns = 100 * 1000};
    (void)syscall(SYS_sched_setattr, 0, &wish, 0); // as before, then
}

// ---- Texts -------------------------------------------------------------------------------------

// Reads a file below root. The buffer is empty when it cannot be read.
static void read_file(const char *root, const char *path, struct buf *out) {
    struct buf full = {0};
    buf_printf(&full, "%s/%s", root, path);
    buf_append_char(&full, '\0');
    int fd = open(full.p, O_RDONLY | O_CLOEXEC);
    buf_free(&full);
    out->len = 0;
    if (fd < 0) return;
    while (out->len < FILE_MAX) {
        ssize_t n = read(fd, buf_reserve(out, 4096), 4096);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        out->len += (size_t)n;
    }
    close(fd);
}

// Takes what stands before the next separator off text. The last piece needs no separator.
static bool next_piece(struct slice *text, char separator, struct slice *piece) {
    if (text->n == 0) return false;
    const char *at = memchr(text->p, separator, text->n);
    size_t n = at != NULL ? (size_t)(at - text->p) : text->n;
    size_t skip = at != NULL ? n + 1 : n;
    *piece = slice_of(text->p, n);
    *text = slice_of(text->p + skip, text->n - skip);
    return true;
}

static bool has_word(struct slice list, char separator, const char *word) {
    struct slice piece;
    while (next_piece(&list, separator, &piece)) {
        if (slice_equal(piece, slice_text(word))) return true;
    }
    return false;
}

static bool starts_with(struct slice text, struct slice start) {
    return text.n >= start.n && slice_equal(slice_of(text.p, start.n), start);
}

// mountinfo writes blanks and backslashes as three octal digits.
static void append_unescaped(struct buf *out, struct slice text) {
    for (size_t i = 0; i < text.n; i++) {
        const char *p = text.p + i;
        if (*p == '\\' && text.n - i >= 4 && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' &&
            p[2] <= '7' && p[3] >= '0' && p[3] <= '7') {
            buf_append_char(out, (char)((p[1] - '0') * 64 + (p[2] - '0') * 8 + (p[3] - '0')));
            i += 3;
        } else {
            buf_append_char(out, *p);
        }
    }
}

// ---- Where the process's groups are ------------------------------------------------------------

// The group that the process is in: of the v1 hierarchy with this controller, of v2 when it is
// NULL.
static bool find_group(struct slice cgroup_file, const char *controller, struct slice *group) {
    struct slice line, id, controllers;
    while (next_piece(&cgroup_file, '\n', &line)) {
        if (!next_piece(&line, ':', &id) || !next_piece(&line, ':', &controllers)) continue;
        bool is_it =
            controller == NULL ? controllers.n == 0 : has_word(controllers, ',', controller);
        if (!is_it || line.n == 0 || line.p[0] != '/') continue;
        *group = line;
        return true;
    }
    return false;
}

struct mount {
    struct slice shown; // the group that appears at the mount point
    struct slice point;
};

static bool parse_mount(struct slice line, const char *controller, struct mount *mount) {
    struct slice field, options = {0}, type = {0};
    for (int i = 0; next_piece(&line, ' ', &field);) {
        i++;
        if (i == 4) mount->shown = field;
        if (i == 5) mount->point = field;
        // Optional fields of any number end at a lone dash.
        if (i > 6 && slice_equal(field, SLICE_LITERAL("-"))) break;
    }
    if (!next_piece(&line, ' ', &type) || !next_piece(&line, ' ', &field)) return false;
    if (controller == NULL) return slice_equal(type, SLICE_LITERAL("cgroup2"));
    return slice_equal(type, SLICE_LITERAL("cgroup")) && next_piece(&line, ' ', &options) &&
           has_word(options, ',', controller);
}

static bool find_mount(struct slice mountinfo, const char *controller, struct mount *mount) {
    struct slice line;
    while (next_piece(&mountinfo, '\n', &line)) {
        if (parse_mount(line, controller, mount)) return true;
    }
    return false;
}

// The part of the group's path below what the mount shows; the top of the mount when it lies
// elsewhere.
static struct slice path_in_mount(struct slice group, struct slice shown) {
    struct slice top = slice_of(group.p, 0);
    while (group.n > 0 && group.p[group.n - 1] == '/') group.n--;
    if (shown.n == 1) return group.n > 3 && memcmp(group.p, "/../", 4) == 0 ? top : group;
    if (!starts_with(group, shown)) return top;
    struct slice rest = slice_of(group.p + shown.n, group.n - shown.n);
    return rest.n == 0 || rest.p[0] == '/' ? rest : top;
}

// Calls visit for every directory from the process's group up to the top of the mount.
static void walk_groups(const char *root, const char *controller,
                        void (*visit)(const char *root, const char *directory, double *limit),
                        double *limit) {
    struct buf groups = {0}, mounts = {0}, path = {0};
    struct slice group;
    struct mount mount = {0};
    read_file(root, "proc/self/cgroup", &groups);
    read_file(root, "proc/self/mountinfo", &mounts);
    if (find_group(slice_of(groups.p, groups.len), controller, &group) &&
        find_mount(slice_of(mounts.p, mounts.len), controller, &mount)) {
        struct slice below = path_in_mount(group, mount.shown);
        for (;;) {
            path.len = 0;
            append_unescaped(&path, mount.point);
            buf_append(&path, below.p, below.n);
            buf_append_char(&path, '\0');
            visit(root, path.p, limit);
            if (below.n == 0) break;
            while (below.n > 0 && below.p[below.n - 1] != '/') below.n--;
            while (below.n > 0 && below.p[below.n - 1] == '/') below.n--;
        }
    }
    buf_free(&groups);
    buf_free(&mounts);
    buf_free(&path);
}

// ---- Limits ------------------------------------------------------------------------------------

// Reads up to two numbers from a file of a group. Returns how many it begins with ("max" is none).
static int read_numbers(const char *root, const char *directory, const char *file,
                        int64_t numbers[2]) {
    struct buf path = {0}, text = {0};
    int count = 0;
    buf_printf(&path, "%s/%s", directory, file);
    buf_append_char(&path, '\0');
    read_file(root, path.p, &text);
    struct slice rest = slice_of(text.p, text.len), line, word;
    if (next_piece(&rest, '\n', &line)) {
        while (count < 2 && next_piece(&line, ' ', &word)) {
            if (!num_parse_i64(word, &numbers[count])) break;
            count++;
        }
    }
    buf_free(&path);
    buf_free(&text);
    return count;
}

static void tighten(double *limit, double value) {
    if (value > 0 && value < *limit) *limit = value;
}

static void visit_cpu_v2(const char *root, const char *directory, double *limit) {
    int64_t numbers[2];
    if (read_numbers(root, directory, "cpu.max", numbers) == 2 && numbers[1] > 0) {
        tighten(limit, (double)numbers[0] / (double)numbers[1]);
    }
}

static void visit_cpu_v1(const char *root, const char *directory, double *limit) {
    int64_t quota[2], period[2];
    if (read_numbers(root, directory, "cpu.cfs_quota_us", quota) == 1 &&
        read_numbers(root, directory, "cpu.cfs_period_us", period) == 1 && period[0] > 0) {
        tighten(limit, (double)quota[0] / (double)period[0]);
    }
}

static void visit_memory_v2(const char *root, const char *directory, double *limit) {
    int64_t numbers[2];
    if (read_numbers(root, directory, "memory.max", numbers) == 1) {
        tighten(limit, (double)numbers[0]);
    }
}

static void visit_memory_v1(const char *root, const char *directory, double *limit) {
    int64_t numbers[2];
    if (read_numbers(root, directory, "memory.limit_in_bytes", numbers) == 1) {
        tighten(limit, (double)numbers[0]);
    }
}

double cpus_quota(const char *root) {
    double limit = INFINITY;
    walk_groups(root, NULL, visit_cpu_v2, &limit);
    walk_groups(root, "cpu", visit_cpu_v1, &limit);
    return limit;
}

int cpus_default_shards(const char *root) {
    int allowed = cpus_allowed(NULL, 0);
    double quota = ceil(cpus_quota(root));
    ASSERT(allowed >= 1);
    if (quota >= allowed) return allowed;
    return quota < 1 ? 1 : (int)quota;
}

int64_t cpus_memory_limit(const char *root) {
    // Exact below 2^53 bytes; page-aligned limits are exact above it, too.
    double limit = INFINITY;
    walk_groups(root, NULL, visit_memory_v2, &limit);
    walk_groups(root, "memory", visit_memory_v1, &limit);
    return limit < (double)MEMORY_UNLIMITED ? (int64_t)limit : 0;
}
