// SPDX-License-Identifier: BSD-3-Clause
//
// Expiry codes: from a time to a code and back, counting, and deciding when a walk is due. The walk
// itself is in keyspace_expire.c, which has the table. Runs on the thread that owns the database;
// time is passed in and may jump either way. Invariant: a code decodes, relative to checked_ms, to
// a time that is not after the expiry of any entry that carries it (or to checked_ms itself for one
// that has passed already), so nothing is found late by more than a granule. Called by the
// keyspace.
#include "engine/keyspace/expiry.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/keyspace/entry.h"
#include "engine/keyspace/table.h"

#define RINGS          4
#define RING_CODES     63
#define CLOCK_SLACK_MS 5000 // a clock set back by more makes everything be looked at again

_Static_assert(1 + RINGS * RING_CODES <= TABLE_LINK_CODE, "codes leave room for the link's");
_Static_assert(EXPIRY_CODES == 256, "a code is a byte");
_Static_assert(RING_CODES > 60, "a ring reaches over one granule, 60 of its own, of the next");

// A ring's granule is at most RING_CODES - 1 of the granules below it, so that whatever falls into
// the current granule of a ring fits the ring below.
static const int64_t granules_ms[RINGS] = {100, 6000, 360000, 21600000};

void expiry_init(struct expiry *x, int64_t now_ms) {
    ASSERT(now_ms >= 0);
    memset(x, 0, sizeof(*x));
    x->checked_ms = now_ms;
    x->next_ms = INT64_MAX;
    x->walk_started_ms = -1;
}

void expiry_fini(struct expiry *x) {
    if (x->codes != NULL) mem_free(x->codes->parts);
    mem_free(x->codes);
    x->codes = NULL;
}

uint8_t expiry_code(const struct expiry *x, int64_t expire_ms) {
    if (expire_ms == ENTRY_NO_EXPIRE) return 0;
    if (expire_ms < x->checked_ms) expire_ms = x->checked_ms;
    for (int ring = 0; ring < RINGS; ring++) {
        int64_t tick = expire_ms / granules_ms[ring];
        if (tick - x->checked_ms / granules_ms[ring] < RING_CODES) {
            return (uint8_t)(1 + ring * RING_CODES + tick % RING_CODES);
        }
    }
    int64_t last = x->checked_ms / granules_ms[RINGS - 1] + RING_CODES - 1;
    return (uint8_t)(1 + (RINGS - 1) * RING_CODES + last % RING_CODES);
}

/** The beginning of a code's time; *granule_ms is how long it lasts. */
static int64_t code_start_ms(const struct expiry *x, int code, int64_t *granule_ms) {
    int ring = (code - 1) / RING_CODES;
    int64_t granule = granules_ms[ring];
    int64_t current = x->checked_ms / granule;
    int64_t ahead = ((code - 1) % RING_CODES - current % RING_CODES + RING_CODES) % RING_CODES;
    *granule_ms = granule;
    return (current + ahead) * granule;
}

static int64_t code_due_ms(const struct expiry *x, int code) {
    int64_t granule;
    int64_t start = code_start_ms(x, code, &granule);
    return code <= RING_CODES ? start + granule : start;
}

/** Counts an entry, or takes it off (-1), that has no expiry itself. */
static __attribute__((noinline)) void count_parts(struct expiry *x, uint8_t code, int change) {
    uint64_t **parts = &x->codes->parts;
    if (*parts == NULL) *parts = mem_calloc(EXPIRY_CODES * sizeof(**parts));
    x->parts += (uint64_t)(int64_t)change;
    (*parts)[code] += (uint64_t)(int64_t)change;
}

void expiry_add(struct expiry *x, uint8_t code, bool parts) {
    if (code == 0) return;
    if (unlikely(x->codes == NULL)) x->codes = mem_calloc(sizeof(*x->codes));
    x->expires++;
    if (x->codes->counts[code]++ == 0) {
        int64_t due = code_due_ms(x, code);
        if (due < x->next_ms) x->next_ms = due;
    }
    if (unlikely(parts)) count_parts(x, code, 1);
}

void expiry_remove(struct expiry *x, uint8_t code, bool parts) {
    if (code == 0) return;
    ASSERT(x->expires > 0 && x->codes->counts[code] > 0);
    x->expires--;
    x->codes->counts[code]--;
    if (unlikely(parts)) count_parts(x, code, -1);
}

static void find_next(struct expiry *x) {
    x->next_ms = INT64_MAX;
    for (int code = 1; code <= RINGS * RING_CODES; code++) {
        if (x->codes->counts[code] == 0) continue;
        int64_t due = code_due_ms(x, code);
        if (due < x->next_ms) x->next_ms = due;
    }
}

bool expiry_begin(struct expiry *x, int64_t now_ms, int64_t pace_ms) {
    ASSERT(!x->walking && now_ms >= 0);
    if (x->expires == 0) {
        x->checked_ms = now_ms;
        x->next_ms = INT64_MAX;
        return false;
    }
    bool set_back = now_ms < x->checked_ms - CLOCK_SLACK_MS;
    if (!set_back && now_ms < x->next_ms) {
        if (now_ms > x->checked_ms) x->checked_ms = now_ms;
        return false;
    }
    bool soon = now_ms >= x->walk_started_ms && now_ms - x->walk_started_ms < pace_ms;
    if (soon && x->walk_started_ms >= 0) return false;
    bool any = false;
    memset(x->codes->due, 0, sizeof(x->codes->due));
    for (int code = 1; code <= RINGS * RING_CODES; code++) {
        bool due = x->codes->counts[code] != 0 && (set_back || code_due_ms(x, code) <= now_ms);
        x->codes->due[code] = due;
        any |= due;
    }
    if (set_back || now_ms > x->checked_ms) x->checked_ms = now_ms;
    if (!any) {
        find_next(x);
        return false;
    }
    x->codes->due[TABLE_LINK_CODE] = 1; // overflow arrays are always looked into
    x->walking = true;
    x->walk_started_ms = now_ms;
    return true;
}

void expiry_end(struct expiry *x) {
    ASSERT(x->walking);
    x->walking = false;
    find_next(x);
}

int64_t expiry_average_ttl_ms(const struct expiry *x, int64_t now_ms) {
    if (x->expires == x->parts) return 0;
    double sum = 0;
    for (int code = 1; code <= RINGS * RING_CODES; code++) {
        uint64_t count = x->codes->counts[code];
        if (count != 0 && x->codes->parts != NULL) count -= x->codes->parts[code];
        if (count == 0) continue;
        int64_t granule;
        int64_t start = code_start_ms(x, code, &granule);
        int64_t ttl = start + granule / 2 - now_ms;
        if (ttl > 0) sum += (double)ttl * (double)count;
    }
    return (int64_t)(sum / (double)(x->expires - x->parts));
}

bool expiry_is_valid(const struct expiry *x) {
    if (x->codes == NULL) return x->expires == 0 && x->parts == 0 && !x->walking;
    uint64_t sum = 0, parts = 0;
    for (int code = 0; code < EXPIRY_CODES; code++) {
        uint64_t n = x->codes->counts[code];
        if (n != 0 && (code == 0 || code > RINGS * RING_CODES)) return false;
        if (n != 0 && !x->walking && code_due_ms(x, code) < x->next_ms) return false;
        sum += n;
        if (x->codes->parts == NULL) continue;
        if (x->codes->parts[code] > n) return false;
        parts += x->codes->parts[code];
    }
    return sum == x->expires && parts == x->parts;
}
