// SPDX-License-Identifier: BSD-3-Clause
//
// Where a failed assertion ends: one line on stderr, written without buffers or allocation (the
// heap may be what is broken), then abort, so that a core dump shows the place. Any thread; owns no
// state. Called by the ASSERT macros alone.
#include "engine/base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void assert_failed(const char *condition, const char *file, int line) {
    char text[512];
    int n =
        snprintf(text, sizeof(text), "torc: %s:%d: assertion failed: %s\n", file, line, condition);
    if (n < 0) n = 0;
    if ((size_t)n >= sizeof(text)) n = (int)sizeof(text) - 1;
    ssize_t ignored = write(STDERR_FILENO, text, (size_t)n);
    (void)ignored; // nothing is left to do about a stderr that takes no bytes
    abort();
}
