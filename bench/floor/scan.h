// SPDX-License-Identifier: BSD-3-Clause
//
// The cheapest scanner of RESP requests that is still correct: it finds where commands end, which
// of the few kinds that the benchmarks send each is, and how many keys an MGET has. It looks at no
// key and keeps no value: bytes of arguments are stepped over. One per connection, on the floor's
// one thread. Invariant: everything that is known of an unfinished command is in struct scan, so
// bytes given once are never needed again, however they are cut. Called by main.c; its test is
// tests/blackbox/test_torc_floor.py.
#ifndef TORC_BENCH_FLOOR_SCAN_H
#define TORC_BENCH_FLOOR_SCAN_H

#include <stdint.h>

enum scan_kind { SCAN_GET, SCAN_SET, SCAN_MGET, SCAN_PING, SCAN_OTHER };

struct scan {
    int64_t skip;      // bytes of the current argument still to come, line end included
    int64_t number;    // of the header line being read
    uint32_t args;     // arguments still to come; 0: between commands
    uint32_t argc;     // of the current command
    uint8_t type;      // first byte of the line being read; 0: none has been seen
    uint8_t name_seen; // bytes of the name in `name`, at most 2
    char name[2];      // the beginning of the command's name
};

struct scan_command {
    enum scan_kind kind;
    uint32_t argc;
};

/**
 * Finds the next command that ends in [p, end). Returns the byte behind it and fills `command`, or
 * NULL: all bytes are used and the command goes on.
 */
const char *scan_next(struct scan *s, const char *p, const char *end, struct scan_command *command);

#endif
