// SPDX-License-Identifier: BSD-3-Clause
//
// What the process may really use of the machine: the CPUs of its affinity mask, the CPU quota and
// the memory limit of its control groups (v1 and v2, also when a container sees only its own part
// of the hierarchy). Read at the start and by INFO, on any thread; nothing is kept. `root` stands
// before every path that is read: "" or "/" in earnest, a made-up tree in tests. What cannot be
// read limits nothing.
#ifndef TORC_SHARDS_CPUS_H
#define TORC_SHARDS_CPUS_H

#include <stdint.h>

/**
 * The CPUs that the calling thread may run on, ascending. Fills the first max of them into cpus
 * (which may be NULL when max is 0) and returns how many there are, at least 1; 1 and CPU 0 when
 * the kernel does not say.
 */
int cpus_allowed(int *cpus, int max);
/**
 * CPUs' worth of time that the control groups grant (1.5: one and a half); INFINITY when
 * unlimited.
 */
double cpus_quota(const char *root);
/** How many shards to run when nobody says: min(allowed CPUs, quota rounded up), at least 1. */
int cpus_default_shards(const char *root);
/** The tightest memory limit of the control groups in bytes; 0 when there is none. */
int64_t cpus_memory_limit(const char *root);
/**
 * The calling thread's work may wait. Where it shares a CPU with a shard it gives way when that
 * wakes up, and while both want to run, takes a tenth of the time, a tenth of a millisecond at a
 * stretch (before Linux 6.12: what the scheduler's granularity makes of it). What the kernel
 * refuses changes nothing. sched(7), sched_setattr(2).
 */
void cpus_give_way(void);

#endif
