// SPDX-License-Identifier: BSD-3-Clause
//
// What is preloaded (LD_PRELOAD) into a server to learn how long its event loop's passes take: the
// CPU time of the thread between the return of one epoll wait and the next one. CPU time does not
// count what other processes take from the server, so that the longest pass is what the server
// itself did at a stretch, also on a busy machine. Any thread that waits for events is measured,
// no other; the figures of all are kept in the file that TORC_PASSES names, which bench/stalls
// maps, reads and sets to zero. Without TORC_PASSES nothing is measured.
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define LONG_NS 1000000 // a pass that long is counted as a stall

/** Counters in the file; bench/stalls reads them in this order. */
struct figures {
    _Atomic uint64_t longest_ns;
    _Atomic uint64_t stalls;
    _Atomic uint64_t passes;
    _Atomic uint64_t total_ns;
};

typedef int wait_fn(int, struct epoll_event *, int, int);
typedef int wait2_fn(int, struct epoll_event *, int, const struct timespec *, const sigset_t *);

static struct figures *figures;
static wait_fn *real_wait;
static wait2_fn *real_wait2;
static _Thread_local uint64_t began_ns; // 0: this thread has not waited yet

static __attribute__((constructor)) void prepare(void) {
    // POSIX lets a data pointer from dlsym() be used as a function.
    *(void **)&real_wait = dlsym(RTLD_NEXT, "epoll_wait");
    *(void **)&real_wait2 = dlsym(RTLD_NEXT, "epoll_pwait2");
    const char *path = getenv("TORC_PASSES");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *p = mmap(NULL, sizeof *figures, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p != MAP_FAILED) figures = p;
    close(fd);
}

static uint64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void end_pass(void) {
    if (figures == NULL || began_ns == 0) return;
    uint64_t ns = cpu_ns() - began_ns;
    atomic_fetch_add_explicit(&figures->passes, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&figures->total_ns, ns, memory_order_relaxed);
    if (ns >= LONG_NS) atomic_fetch_add_explicit(&figures->stalls, 1, memory_order_relaxed);
    uint64_t longest = atomic_load_explicit(&figures->longest_ns, memory_order_relaxed);
    while (ns > longest &&
           !atomic_compare_exchange_weak_explicit(&figures->longest_ns, &longest, ns,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

static void begin_pass(void) {
    if (figures != NULL) began_ns = cpu_ns();
}

int epoll_wait(int fd, struct epoll_event *events, int count, int timeout_ms) {
    end_pass();
    int n = real_wait(fd, events, count, timeout_ms);
    begin_pass();
    return n;
}

int epoll_pwait2(int fd, struct epoll_event *events, int count, const struct timespec *timeout,
                 const sigset_t *mask) {
    end_pass();
    int n = real_wait2(fd, events, count, timeout, mask);
    begin_pass();
    return n;
}
