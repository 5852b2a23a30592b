// SPDX-License-Identifier: BSD-3-Clause
//
// Draws the progress bar: share, bytes, speed, and how long it will take at that speed. It is
// redrawn from the line's start, ten times a second at most. Main thread. Invariant: nothing is
// written unless stderr is a terminal.
#include "tools/torc_rdb/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "tools/torc_rdb/text.h"

#define STEP_NS INT64_C(100000000)
#define WIDTH   30

void progress_begin(struct progress *p, uint64_t size, bool quiet) {
    *p = (struct progress){.size = size, .shown = !quiet && isatty(STDERR_FILENO) == 1};
    p->begun_ns = clock_monotonic_ns();
    p->next_ns = p->begun_ns + 2 * STEP_NS; // what is soon over needs no bar
}

static void draw(struct progress *p, int64_t now_ns) {
    double seconds = (double)(now_ns - p->begun_ns) / 1e9;
    double speed = (double)p->done / seconds;
    struct text_short done = text_bytes(p->done), each = text_bytes((uint64_t)speed);
    fputs("\r\x1b[K", stderr);
    if (p->size > 0 && p->done <= p->size) {
        double share = (double)p->done / (double)p->size;
        char bar[WIDTH + 1];
        for (int i = 0; i < WIDTH; i++) bar[i] = i < (int)(share * WIDTH + 0.5) ? '#' : '.';
        bar[WIDTH] = '\0';
        fprintf(stderr, "[%s] %3.0f%% of %s, %s/s, %.0f s left", bar, share * 100,
                text_bytes(p->size).text, each.text, (double)(p->size - p->done) / speed);
    } else {
        fprintf(stderr, "%s, %s/s", done.text, each.text);
    }
    fflush(stderr);
    p->drawn = true;
}

void progress_add(struct progress *p, uint64_t bytes) {
    p->done += bytes;
    if (!p->shown) return;
    int64_t now_ns = clock_monotonic_ns();
    if (now_ns < p->next_ns) return;
    p->next_ns = now_ns + STEP_NS;
    draw(p, now_ns);
}

void progress_clear(struct progress *p) {
    if (!p->drawn) return;
    fputs("\r\x1b[K", stderr);
    fflush(stderr);
    p->drawn = false;
}
