// SPDX-License-Identifier: BSD-3-Clause
/*
 * Prints the merged result as a table and as JSON.
 *
 * Runs on the main thread after all workers have ended. Latencies are shown in microseconds.
 * Invariant: both forms show the same figures; the JSON keys are an interface that bench/compare
 * reads.
 */
#ifndef TORC_TOOLS_TORC_LOAD_REPORT_H
#define TORC_TOOLS_TORC_LOAD_REPORT_H

#include "tools/torc_load/worker.h"

/* Prints the table for people to standard output. */
void report_table(const struct run *run, const struct stats *s);

/* Writes the JSON document to `path` ("-": standard output). False, with errno, when it cannot. */
bool report_json(const struct run *run, const struct stats *s, const char *path);

#endif
