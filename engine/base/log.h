// SPDX-License-Identifier: BSD-3-Clause
//
// The server's log: one line per event, written with one write(2), so that lines of several threads
// never mix. Line format as Redis 7: "pid:M 22 Nov 2026 22:10:01.123 * text". Levels are Redis's.
// The state (level, file) is set once at start and on CONFIG SET loglevel; reads of it are atomic.
#ifndef TORC_ENGINE_BASE_LOG_H
#define TORC_ENGINE_BASE_LOG_H

enum log_level { LOG_DEBUG_LEVEL, LOG_VERBOSE, LOG_NOTICE, LOG_WARN, LOG_NOTHING };

/** Opens the log: path "" means stdout. Returns 0 or a negative errno (then stdout stays). */
int log_open(const char *path, enum log_level level);
/** Changes the level. Any thread. */
void log_set_level(enum log_level level);
/** Writes one line, cut at 1,024 bytes; control characters are escaped. Any thread. */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
