// SPDX-License-Identifier: BSD-3-Clause
//
// The log. A line is made on the caller's stack and handed to the kernel by one write, so threads
// need no lock and their lines do not mix (the file is opened for appending). Descriptor and level
// are process-wide atomics, an exception to "no mutable globals" shared with the allocator: a line
// must be possible from everywhere, also before and after any object exists. Invariant: a line is
// one line, at most LINE_MAX_BYTES of text, without control characters. Called by every layer but
// hot paths.
#include "engine/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/assert.h"

#define LINE_MAX_BYTES   1024
#define PREFIX_MAX_BYTES 96
#define ESCAPE_MAX_BYTES 4

static _Atomic int log_fd = STDOUT_FILENO;
static _Atomic int log_level = LOG_NOTICE;

int log_open(const char *path, enum log_level level) {
    ASSERT(path != NULL);
    log_set_level(level);
    int fd = STDOUT_FILENO;
    if (*path != '\0') {
        fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (fd < 0) return -errno;
    }
    int before = atomic_exchange(&log_fd, fd);
    if (before > STDERR_FILENO) close(before);
    return 0;
}

void log_set_level(enum log_level level) {
    ASSERT(level >= LOG_DEBUG_LEVEL && level <= LOG_NOTHING);
    atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
}

// "pid:M 22 Nov 2026 22:10:01.123 * ", as Redis writes it.
static size_t write_prefix(char out[PREFIX_MAX_BYTES], enum log_level level) {
    static const char marks[] = ".-*#";
    struct timespec now;
    struct tm local;
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &local);
    char date[32];
    strftime(date, sizeof(date), "%d %b %Y %H:%M:%S", &local);
    int n = snprintf(out, PREFIX_MAX_BYTES, "%d:M %s.%03ld %c ", (int)getpid(), date,
                     now.tv_nsec / 1000000, marks[level]);
    ASSERT(n > 0 && n < PREFIX_MAX_BYTES);
    return (size_t)n;
}

static size_t write_escaped(char *out, size_t room, const char *text) {
    static const char hex[] = "0123456789abcdef";
    size_t n = 0;
    for (; *text != '\0' && n + ESCAPE_MAX_BYTES <= room; text++) {
        unsigned char c = (unsigned char)*text;
        if (c >= ' ' && c != 0x7f) {
            out[n++] = (char)c;
            continue;
        }
        out[n++] = '\\';
        if (c == '\n' || c == '\r' || c == '\t') {
            out[n++] = c == '\n' ? 'n' : c == '\r' ? 'r' : 't';
        } else {
            out[n++] = 'x';
            out[n++] = hex[c >> 4];
            out[n++] = hex[c & 15];
        }
    }
    return n;
}

void log_line(enum log_level level, const char *format, ...) {
    ASSERT(level >= LOG_DEBUG_LEVEL && level < LOG_NOTHING);
    if ((int)level < atomic_load_explicit(&log_level, memory_order_relaxed)) return;
    char text[LINE_MAX_BYTES + 1];
    va_list args;
    va_start(args, format);
    int formatted = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    ASSERT(formatted >= 0);
    char line[PREFIX_MAX_BYTES + LINE_MAX_BYTES + ESCAPE_MAX_BYTES + 1];
    size_t n = write_prefix(line, level);
    n += write_escaped(line + n, LINE_MAX_BYTES + ESCAPE_MAX_BYTES - 1, text);
    line[n++] = '\n';
    ssize_t ignored = write(atomic_load_explicit(&log_fd, memory_order_relaxed), line, n);
    (void)ignored; // a full disk must not stop the server, and there is nowhere to complain
}
