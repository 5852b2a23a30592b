// SPDX-License-Identifier: BSD-3-Clause
//
// Which entries of a table are due, without an index: each slot of the table carries an 8-bit code
// of its entry's expiry time (0: none), and this structure counts the entries per code. When a
// code's time has come and its count is not zero, a walk over the bucket lines visits just the
// entries with due codes, in bounded steps. It is a timing wheel whose slots are counters: four
// rings of 63 codes.
//
//   ring      0         1         2          3        (beyond: the last code of ring 3)
//   granule   100 ms    6 s       6 min      6 h
//   reach     6.2 s     6.2 min   6.2 h      15.5 days
//
// A code of ring 0 is due when its 100 ms are over: its entries have expired. A code of another
// ring is due when its time begins: its entries get finer codes. So an entry is visited at most
// once a ring. Codes count from `checked_ms`. Invariant: no entry has a code whose time is before
// checked_ms, save those that the running walk has yet to reach. Owned by a db; same thread as its
// table.
#ifndef TORC_ENGINE_KEYSPACE_EXPIRY_H
#define TORC_ENGINE_KEYSPACE_EXPIRY_H

#include <stdbool.h>
#include <stdint.h>

#define EXPIRY_CODES 256

/** Per-code figures; allocated when a database sees its first expiry. */
struct expiry_codes {
    uint64_t counts[EXPIRY_CODES]; // entries by code; [0] unused
    uint64_t *parts;               // of them, by code, those of .parts below; NULL until needed
    uint8_t due[EXPIRY_CODES];     // codes that the running walk looks for
};

struct expiry {
    uint64_t expires;           // entries with a code
    uint64_t parts;             // of them, those that have no expiry, only parts (hash fields) do
    struct expiry_codes *codes; // NULL until needed
    int64_t checked_ms; // what codes are relative to: the start of the latest walk, or later
    int64_t next_ms;    // no code is due before this
    int64_t walk_started_ms;
    bool walking;
};

/** Makes an empty one whose codes count from now_ms. */
void expiry_init(struct expiry *x, int64_t now_ms);
void expiry_fini(struct expiry *x);
/** The code of an expiry time: 0 for ENTRY_NO_EXPIRE. */
uint8_t expiry_code(const struct expiry *x, int64_t expire_ms);
/**
 * Counts one more, or one less, entry with that code; 0 is allowed and counts nothing. `parts`: the
 * entry has no expiry itself.
 */
void expiry_add(struct expiry *x, uint8_t code, bool parts);
void expiry_remove(struct expiry *x, uint8_t code, bool parts);
/**
 * Looks whether a walk has to run now, and starts it: codes->due is set then, codes count from
 * now_ms. `pace_ms` is the least time between the starts of two walks.
 */
bool expiry_begin(struct expiry *x, int64_t now_ms, int64_t pace_ms);
/** The walk has reached the table's end. */
void expiry_end(struct expiry *x);
/**
 * Mean time to live in ms of the entries that have an expiry, to the precision of the codes; 0:
 * none has.
 */
int64_t expiry_average_ttl_ms(const struct expiry *x, int64_t now_ms);
/** Whether the sums agree. */
bool expiry_is_valid(const struct expiry *x);

#endif
