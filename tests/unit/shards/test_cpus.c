// SPDX-License-Identifier: BSD-3-Clause
//
// What a process may use of its machine, read from made-up trees of /proc and /sys: control groups
// v1, v2 and both, limits above the process's own group, containers that see a part of the
// hierarchy, and files that make no sense. The affinity is the real one, narrowed by the test.
// Trees live below /tmp.
#include <ftw.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "shards/cpus.h"

#define V2_MOUNT "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"

static char root[64];

// Writes a file of the tree, with the directories above it.
static void put(const char *path, const char *text) {
    char full[512];
    snprintf(full, sizeof(full), "%s/%s", root, path);
    for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = '\0';
        mkdir(full, 0755);
        *p = '/';
    }
    FILE *f = fopen(full, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int make_tree(void **state) {
    (void)state;
    snprintf(root, sizeof(root), "/tmp/torc-cpus-XXXXXX");
    return mkdtemp(root) == NULL;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where) {
    (void)status, (void)type, (void)where;
    return remove(path);
}

static int remove_tree(void **state) {
    (void)state;
    return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void test_no_tree(void **state) {
    (void)state;
    assert_true(isinf(cpus_quota(root)));
    assert_int_equal(cpus_memory_limit(root), 0);
    assert_int_equal(cpus_default_shards(root), cpus_allowed(NULL, 0));
}

static void test_v2(void **state) {
    (void)state;
    put("proc/self/mountinfo", "23 1 0:5 / / rw - ext4 /dev/a rw\n" V2_MOUNT);
    put("proc/self/cgroup", "0::/system.slice/torc.service\n");
    put("sys/fs/cgroup/system.slice/torc.service/cpu.max", "150000 100000\n");
    put("sys/fs/cgroup/system.slice/torc.service/memory.max", "67108864\n");
    assert_true(cpus_quota(root) == 1.5);
    assert_int_equal(cpus_memory_limit(root), 64 << 20);
    // The group above grants less: it counts.
    put("sys/fs/cgroup/system.slice/cpu.max", "50000 100000\n");
    put("sys/fs/cgroup/system.slice/memory.max", "max\n");
    assert_true(cpus_quota(root) == 0.5);
    assert_int_equal(cpus_memory_limit(root), 64 << 20);
    assert_int_equal(cpus_default_shards(root), 1);
    put("sys/fs/cgroup/system.slice/cpu.max", "max 100000\n");
    put("sys/fs/cgroup/system.slice/memory.max", "1048576\n");
    assert_true(cpus_quota(root) == 1.5);
    assert_int_equal(cpus_memory_limit(root), 1 << 20);
}

static void test_v2_in_a_container(void **state) {
    (void)state;
    // With a namespace of its own the container's group is the root of what it sees.
    put("proc/self/mountinfo", V2_MOUNT);
    put("proc/self/cgroup", "0::/\n");
    put("sys/fs/cgroup/cpu.max", "200000 100000\n");
    put("sys/fs/cgroup/memory.max", "33554432\n");
    assert_true(cpus_quota(root) == 2.0);
    assert_int_equal(cpus_memory_limit(root), 32 << 20);
    // A process that was put elsewhere sees its group outside of the mount.
    put("proc/self/cgroup", "0::/../other\n");
    assert_true(cpus_quota(root) == 2.0);
}

static void test_v1(void **state) {
    (void)state;
    put("proc/self/mountinfo",
        "31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "32 30 0:28 / /sys/fs/cgroup/my\\040memory rw master:3 shared:9 - cgroup cgroup "
        "rw,memory\n");
    put("proc/self/cgroup",
        "5:cpuset:/x\n4:cpu,cpuacct:/a/b\n3:memory:/m\n1:name=systemd:/a\n0::/\n");
    put("sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1\n");
    put("sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n");
    put("sys/fs/cgroup/my memory/m/memory.limit_in_bytes", "9223372036854771712\n");
    assert_true(isinf(cpus_quota(root)));
    assert_int_equal(cpus_memory_limit(root), 0);
    put("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "250000\n");
    put("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
    put("sys/fs/cgroup/my memory/m/memory.limit_in_bytes", "134217728\n");
    assert_true(cpus_quota(root) == 2.5);
    assert_int_equal(cpus_memory_limit(root), 128 << 20);
}

static void test_v1_in_a_container(void **state) {
    (void)state;
    // Without a namespace the mount shows the container's group, under the name that the host gives
    // it.
    put("proc/self/mountinfo",
        "31 30 0:27 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n");
    put("proc/self/cgroup", "4:cpu:/docker/abc\n");
    put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n");
    put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    assert_true(cpus_quota(root) == 0.5);
    put("proc/self/cgroup", "4:cpu:/docker/abc/inner\n");
    put("sys/fs/cgroup/cpu/inner/cpu.cfs_quota_us", "10000\n");
    put("sys/fs/cgroup/cpu/inner/cpu.cfs_period_us", "100000\n");
    assert_true(cpus_quota(root) == 0.1);
    // A name that only begins alike is another group.
    put("proc/self/cgroup", "4:cpu:/docker/abcdef\n");
    assert_true(cpus_quota(root) == 0.5);
}

static void test_nonsense_limits_nothing(void **state) {
    (void)state;
    put("proc/self/mountinfo", "\n\n - \n1 2\n" V2_MOUNT);
    put("proc/self/cgroup", "garbage\n::\n0:\n0::\n0::relative\n0::/g//\n");
    static const char *const texts[] = {
        "",    "\n",        "max", "100000",    "0 0",
        "5 0", "-1 100000", "x y", "100000 -5", "99999999999999999999 1"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        put("sys/fs/cgroup/g/cpu.max", texts[i]);
        assert_true(isinf(cpus_quota(root)));
    }
    static const char *const limits[] = {"", "max", "-1", "0", "x"};
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        put("sys/fs/cgroup/g/memory.max", limits[i]);
        assert_int_equal(cpus_memory_limit(root), 0);
    }
    put("sys/fs/cgroup/g/cpu.max", "100 100000");
    assert_int_equal(cpus_default_shards(root), 1);
    put("sys/fs/cgroup/g/cpu.max", "100000000000 1");
    assert_int_equal(cpus_default_shards(root), cpus_allowed(NULL, 0));
}

static void test_affinity(void **state) {
    (void)state;
    int cpus[1024], one = -1;
    cpu_set_t before, narrow;
    assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
    int count = cpus_allowed(cpus, 1024);
    assert_int_equal(count, CPU_COUNT(&before));
    for (int i = 0; i < count; i++) assert_true(CPU_ISSET(cpus[i], &before));
    for (int i = 1; i < count; i++) assert_true(cpus[i] > cpus[i - 1]);
    CPU_ZERO(&narrow);
    CPU_SET(cpus[count - 1], &narrow);
    assert_int_equal(sched_setaffinity(0, sizeof(narrow), &narrow), 0);
    assert_int_equal(cpus_allowed(&one, 1), 1);
    assert_int_equal(one, cpus[count - 1]);
    assert_int_equal(cpus_default_shards(root), 1);
    assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
}

static void test_real_system(void **state) {
    (void)state;
    assert_true(cpus_quota("/") > 0);
    assert_true(cpus_memory_limit("") >= 0);
    assert_in_range(cpus_default_shards(""), 1, cpus_allowed(NULL, 0));
}

#define IN_TREE(test) cmocka_unit_test_setup_teardown(test, make_tree, remove_tree)

static void *give_way(void *nice) {
    cpus_give_way();
    *(int *)nice = getpriority(PRIO_PROCESS, 0); // of the calling thread
    return NULL;
}

/** Only the thread that says so goes back, and it stays there. */
static void test_give_way(void **state) {
    (void)state;
    int before = getpriority(PRIO_PROCESS, 0), nice = 0;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, give_way, &nice), 0);
    pthread_join(thread, NULL);
    assert_int_equal(nice, before + 10 > 19 ? 19 : before + 10);
    assert_int_equal(getpriority(PRIO_PROCESS, 0), before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_TREE(test_no_tree),           IN_TREE(test_v2),
        IN_TREE(test_v2_in_a_container), IN_TREE(test_v1),
        IN_TREE(test_v1_in_a_container), IN_TREE(test_nonsense_limits_nothing),
        IN_TREE(test_affinity),          cmocka_unit_test(test_real_system),
        cmocka_unit_test(test_give_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
