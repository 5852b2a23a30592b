// SPDX-License-Identifier: BSD-3-Clause
//
// HyperLogLog's bytes: registers, runs, and the change from the sparse to the dense form. Pure
// functions; any thread. Finding a register in a sparse value is what PFADD costs, so runs are
// passed eight bytes at a time; registers of dense ones are moved eight at a time, six bytes each.
// Invariant: nothing is read or written outside of the bytes given, whatever they hold. Hash and
// splitting rules are Redis's (hyperloglog.c, 7.2): they decide the bytes. Called by commands.
#include "engine/encoding/hll.h"

#include <string.h>

#include "engine/base/assert.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "registers are loaded as little-endian");

#define INDEX_BITS 14
#define ONES       UINT64_C(0x0101010101010101)
#define OUTDATED   0x80 // in the last byte of the estimate

#define RUN_KIND     0xc0
#define RUN_LONG     0x40 // 01......: zeros in two bytes
#define RUN_VALUE    0x80 // 1.......
#define RUN_RANK_MAX 32
#define ZEROS_SHORT  64 // more than that need two bytes
#define VALUES_MAX   4  // equal values in one run

static inline uint64_t load(const void *p) {
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

// ---- header ------------------------------------------------------------------------------------

bool hll_is_one(struct slice hll) {
    if (hll.n < HLL_HEADER || memcmp(hll.p, "HYLL", 4) != 0) return false;
    uint8_t encoding = (uint8_t)hll.p[4];
    return encoding == HLL_SPARSE || (encoding == HLL_DENSE && hll.n == HLL_DENSE_BYTES);
}

bool hll_is_valid(struct slice hll) {
    if (!hll_is_one(hll)) return false;
    if (hll_encoding(hll) == HLL_DENSE) return true;
    size_t offset = HLL_HEADER, registers = 0;
    for (struct hll_run run; hll_next_run(hll, &offset, &run);) registers += run.count;
    return offset == hll.n && registers == HLL_REGISTERS;
}

static void set_zeros_long(uint8_t *p, unsigned count) {
    p[0] = (uint8_t)(RUN_LONG | (count - 1) >> 8);
    p[1] = (uint8_t)(count - 1);
}

void hll_make_empty(uint8_t *hll) {
    memset(hll, 0, HLL_HEADER);
    memcpy(hll, "HYLL", 4);
    hll[4] = HLL_SPARSE;
    set_zeros_long(hll + HLL_HEADER, HLL_REGISTERS);
}

bool hll_cached(struct slice hll, uint64_t *estimate) {
    *estimate = load(hll.p + 8);
    return ((uint8_t)hll.p[15] & OUTDATED) == 0;
}

void hll_set_cached(uint8_t *hll, uint64_t estimate) { memcpy(hll + 8, &estimate, 8); }

void hll_outdate(uint8_t *hll) { hll[15] |= OUTDATED; }

// ---- elements ----------------------------------------------------------------------------------

/** The last 1 to 7 bytes of a text, lowest first. */
static inline uint64_t tail(struct slice text, size_t n) {
    if (text.n >= 8) return load(text.p + text.n - 8) >> (64 - 8 * n);
    uint64_t rest = 0;
    for (size_t i = 0; i < n; i++) rest |= (uint64_t)(uint8_t)text.p[i] << (8 * i);
    return rest;
}

/** MurmurHash64A (Austin Appleby, public domain), with the seed that Redis gives it. */
static uint64_t murmur(struct slice text) {
    const uint64_t m = UINT64_C(0xc6a4a7935bd1e995);
    uint64_t h = UINT64_C(0xadc83b19) ^ (text.n * m);
    size_t at = 0;
    for (; text.n - at >= 8; at += 8) {
        uint64_t k = load(text.p + at) * m;
        h = (h ^ (k ^ k >> 47) * m) * m;
    }
    if (at < text.n) h = (h ^ tail(text, text.n - at)) * m;
    h = (h ^ h >> 47) * m;
    return h ^ h >> 47;
}

struct hll_mark hll_mark(struct slice element) {
    uint64_t hash = murmur(element);
    // The highest bit stands for all that a hash does not have: a rank of 51 at most.
    uint64_t rest = hash >> INDEX_BITS | (uint64_t)1 << (HLL_RANK_MAX - 1);
    return (struct hll_mark){(uint16_t)(hash & (HLL_REGISTERS - 1)),
                             (uint8_t)(__builtin_ctzll(rest) + 1)};
}

// ---- dense -------------------------------------------------------------------------------------

/** The two bytes with a register in them; for the last registers the one before counts as first. */
struct window {
    size_t byte;
    unsigned shift;
};

static struct window window_of(unsigned index) {
    unsigned bit = index * 6;
    struct window w = {HLL_HEADER + bit / 8, bit % 8};
    if (w.byte + 1 == HLL_DENSE_BYTES) w = (struct window){w.byte - 1, w.shift + 8};
    return w;
}

static unsigned window_load(const uint8_t *hll, struct window w) {
    return (unsigned)hll[w.byte] | (unsigned)hll[w.byte + 1] << 8;
}

bool hll_dense_has(const uint8_t *hll, struct hll_mark mark) {
    struct window w = window_of(mark.index);
    return (window_load(hll, w) >> w.shift & 63) >= mark.rank;
}

void hll_dense_set(uint8_t *hll, struct hll_mark mark) {
    struct window w = window_of(mark.index);
    unsigned bits = window_load(hll, w);
    bits = (bits & ~(63u << w.shift)) | (unsigned)mark.rank << w.shift;
    hll[w.byte] = (uint8_t)bits;
    hll[w.byte + 1] = (uint8_t)(bits >> 8);
}

/** Eight registers, a byte each, from six bytes; the two bytes before `p` are loaded with them. */
static inline uint64_t unpack(const uint8_t *p) {
    uint64_t x = load(p - 2) >> 16;
    x = (x & 0xffffff) | (x & UINT64_C(0xffffff000000)) << 8;
    x = (x & UINT64_C(0x00000fff00000fff)) | (x & UINT64_C(0x00fff00000fff000)) << 4;
    return (x & UINT64_C(0x003f003f003f003f)) | (x & UINT64_C(0x0fc00fc00fc00fc0)) << 2;
}

static inline uint64_t pack(uint64_t x) {
    x = (x & UINT64_C(0x003f003f003f003f)) | (x & UINT64_C(0x3f003f003f003f00)) >> 2;
    x = (x & UINT64_C(0x00000fff00000fff)) | (x & UINT64_C(0x0fff00000fff0000)) >> 4;
    return (x & 0xffffff) | (x & UINT64_C(0x00ffffff00000000)) >> 8;
}

/** The larger of each pair of bytes; all are below 128. */
static inline uint64_t larger(uint64_t a, uint64_t b) {
    uint64_t a_wins = (((a | ONES << 7) - b) >> 7 & ONES) * 0xff;
    return (a & a_wins) | (b & ~a_wins);
}

static void join_dense(const uint8_t *p, uint8_t *registers) {
    for (size_t i = 0; i < HLL_REGISTERS; i += 8, p += 6) {
        uint64_t both = larger(unpack(p), load(registers + i));
        memcpy(registers + i, &both, 8);
    }
}

void hll_dense_fill(uint8_t *hll, const uint8_t registers[HLL_REGISTERS]) {
    uint8_t *p = hll + HLL_HEADER;
    for (size_t i = 0; i < HLL_REGISTERS; i += 8, p += 6) {
        uint64_t packed = pack(load(registers + i));
        memcpy(p, &packed, 6);
    }
}

// ---- sparse: reading ---------------------------------------------------------------------------

bool hll_next_run(struct slice hll, size_t *offset, struct hll_run *run) {
    if (*offset >= hll.n) return false;
    const uint8_t *p = (const uint8_t *)hll.p + *offset;
    run->is_long = (p[0] & RUN_KIND) == RUN_LONG;
    run->value = 0;
    if (p[0] & RUN_VALUE) {
        run->value = (uint8_t)((p[0] >> 2 & 0x1f) + 1);
        run->count = (p[0] & 3) + 1;
    } else if (!run->is_long) {
        run->count = (p[0] & 0x3f) + 1;
    } else {
        // Redis's strings end in a zero byte that is not counted, and is read here.
        unsigned second = *offset + 1 < hll.n ? p[1] : 0;
        run->count = ((unsigned)(p[0] & 0x3f) << 8 | second) + 1;
    }
    *offset += 1 + run->is_long;
    if (*offset > hll.n) *offset = hll.n;
    return true;
}

/** The whole runs in eight bytes that begin with one. */
struct stretch {
    unsigned registers, bytes;
    unsigned last; // offset of the last run
};

static inline uint64_t sum_bytes(uint64_t x) {
    const uint64_t even = UINT64_C(0x00ff00ff00ff00ff);
    return (((x & even) + (x >> 8 & even)) * UINT64_C(0x0001000100010001)) >> 48;
}

/**
 * Without a branch, since nothing about runs can be foreseen. The second byte of a long run may
 * look like the first of one: in a row of bytes that do, every other one is, from the first on.
 * Such rows are told apart by whether they begin at an even or an odd byte, by letting a carry run
 * through those of one kind.
 */
static inline struct stretch measure(uint64_t word) {
    const uint64_t even_bytes = UINT64_C(0x00ff00ff00ff00ff);
    uint64_t is_value = word >> 7 & ONES;
    uint64_t looks_long = word >> 6 & ~is_value & ONES, row = looks_long * 0xff;
    uint64_t begins = looks_long & ~(looks_long << 8);
    uint64_t from_even = row & ~(row + (begins & even_bytes));
    uint64_t first = (from_even & even_bytes) | (row & ~from_even & ~even_bytes);
    uint64_t second = first << 8;
    uint64_t cut = first >> 63; // the last byte begins a run that ends behind it
    // A run counts one more than it says: so does every byte here that begins one.
    uint64_t counts = word & ((ONES * 0x3f - is_value * 0x3c) | second) & ~first;
    counts += ONES & ~second;
    uint64_t highs = word & first & (ONES * 0x3f >> 8);
    uint64_t registers = sum_bytes(counts) + (sum_bytes(highs) << 8) - cut, bytes = 8 - cut;
    uint64_t ends_long = second >> (56 - 8 * cut) & 1;
    return (struct stretch){(unsigned)registers, (unsigned)bytes,
                            (unsigned)(bytes - 1 - ends_long)};
}

/** Passes stretches of runs that end in front of the register. */
static void skip_stretches(struct slice hll, unsigned index, struct hll_spot *spot) {
    size_t at = spot->at, before = spot->before;
    unsigned first = spot->first;
    while (hll.n - at >= 8) {
        struct stretch s = measure(load(hll.p + at));
        if (first + s.registers > index) break;
        first += s.registers;
        before = at + s.last;
        at += s.bytes;
    }
    *spot = (struct hll_spot){.at = at, .before = before, .first = first};
}

/** Goes on from spot->at until the run with the register; false: the runs do not reach it. */
static bool walk_to(struct slice hll, unsigned index, struct hll_spot *spot, struct hll_run *run) {
    for (;;) {
        skip_stretches(hll, index, spot);
        for (int i = 0; i < 8; i++) {
            size_t end = spot->at;
            if (!hll_next_run(hll, &end, run)) return false;
            if (index < spot->first + run->count) return true;
            spot->first += run->count;
            spot->before = spot->at;
            spot->at = end;
        }
    }
}

enum hll_finding hll_sparse_find(struct slice hll, struct hll_mark mark, struct hll_spot *spot) {
    struct hll_run run, before;
    bool resumed = spot->before != 0 && spot->before_first <= mark.index;
    *spot = resumed ? (struct hll_spot){.at = spot->before, .first = spot->before_first}
                    : (struct hll_spot){.at = HLL_HEADER};
    if (!walk_to(hll, mark.index, spot, &run)) return HLL_CORRUPT;
    if (resumed && spot->before == 0) { // what is before the run is asked for as well
        *spot = (struct hll_spot){.at = HLL_HEADER};
        if (!walk_to(hll, mark.index, spot, &run)) return HLL_CORRUPT;
    }
    spot->count = run.count;
    size_t offset = spot->before;
    if (offset != 0 && hll_next_run(hll, &offset, &before))
        spot->before_first = spot->first - before.count;
    return run.value >= mark.rank ? HLL_HAS : HLL_LACKS;
}

/**
 * The next run, up to values for which there are no registers: what comes behind these is not
 * looked at, and as in Redis no reason to call the whole corrupt.
 */
static bool next_fitting_run(struct slice hll, size_t *offset, size_t index, struct hll_run *run) {
    return hll_next_run(hll, offset, run) &&
           (run->value == 0 || index + run->count <= HLL_REGISTERS);
}

bool hll_to_dense(struct slice sparse, uint8_t *dense) {
    memcpy(dense, sparse.p, HLL_HEADER);
    memset(dense + HLL_HEADER, 0, HLL_DENSE_BYTES - HLL_HEADER);
    dense[4] = HLL_DENSE;
    size_t offset = HLL_HEADER, index = 0;
    for (struct hll_run run; next_fitting_run(sparse, &offset, index, &run); index += run.count)
        for (unsigned i = 0; run.value != 0 && i < run.count; i++)
            hll_dense_set(dense, (struct hll_mark){(uint16_t)(index + i), run.value});
    return index == HLL_REGISTERS;
}

static bool join_sparse(struct slice hll, uint8_t *registers) {
    size_t offset = HLL_HEADER, index = 0;
    for (struct hll_run run; next_fitting_run(hll, &offset, index, &run); index += run.count)
        for (unsigned i = 0; run.value != 0 && i < run.count; i++)
            if (registers[index + i] < run.value) registers[index + i] = run.value;
    return index == HLL_REGISTERS;
}

bool hll_join(struct slice hll, uint8_t registers[HLL_REGISTERS]) {
    if (hll_encoding(hll) == HLL_SPARSE) return join_sparse(hll, registers);
    join_dense((const uint8_t *)hll.p + HLL_HEADER, registers);
    return true;
}

// ---- sparse: changing --------------------------------------------------------------------------

static uint8_t *put_zeros(uint8_t *p, unsigned count) {
    if (count == 0) return p;
    if (count > ZEROS_SHORT) {
        set_zeros_long(p, count);
        return p + 2;
    }
    *p = (uint8_t)(count - 1);
    return p + 1;
}

static uint8_t *put_values(uint8_t *p, unsigned value, unsigned count) {
    if (count > 0) *p++ = (uint8_t)(RUN_VALUE | (value - 1) << 2 | (count - 1));
    return p;
}

/**
 * Joins neighbouring runs of equal values where Redis does: within five steps from `offset` on.
 * Returns the new length.
 */
static size_t join_runs(uint8_t *hll, size_t n, size_t offset) {
    for (int steps = 5; steps > 0 && offset < n; steps--) {
        uint8_t *p = hll + offset;
        if ((p[0] & RUN_VALUE) == 0) {
            offset += (p[0] & RUN_KIND) == RUN_LONG ? 2 : 1;
            continue;
        }
        unsigned count = offset + 1 < n ? (p[0] & 3u) + (p[1] & 3u) + 2 : 0;
        // Two runs of the same value differ in their counts only; the second one is of values, too.
        if (count > 0 && (p[0] | 3) == (p[1] | 3) && count <= VALUES_MAX) {
            p[1] = (uint8_t)((p[1] & ~3u) | (count - 1));
            memmove(p, p + 1, n - offset - 1);
            n--;
        } else {
            offset++;
        }
    }
    return n;
}

/** The run that is found, and the up to three that take its place. */
struct split {
    size_t old, now; // bytes
    uint8_t runs[5];
};

static struct split split_run(const uint8_t *p, struct hll_mark mark, const struct hll_spot *spot) {
    struct split s = {.old = (p[0] & RUN_KIND) == RUN_LONG ? 2 : 1};
    unsigned front = mark.index - spot->first, behind = spot->count - front - 1;
    unsigned value = (p[0] >> 2 & 0x1f) + 1;
    bool is_value = (p[0] & RUN_VALUE) != 0;
    uint8_t *end = s.runs;
    ASSERT(front < spot->count);
    end = is_value ? put_values(end, value, front) : put_zeros(end, front);
    end = put_values(end, mark.rank, 1);
    end = is_value ? put_values(end, value, behind) : put_zeros(end, behind);
    s.now = (size_t)(end - s.runs);
    return s;
}

bool hll_sparse_can_set(struct slice hll, struct hll_mark mark, const struct hll_spot *spot,
                        size_t bytes_max) {
    if (mark.rank > RUN_RANK_MAX) return false;
    struct split s = split_run((const uint8_t *)hll.p + spot->at, mark, spot);
    if (spot->at + s.old > hll.n) return false; // cut off
    return s.now <= s.old || hll.n + s.now - s.old <= bytes_max;
}

size_t hll_sparse_set(uint8_t *hll, size_t n, struct hll_mark mark, const struct hll_spot *spot) {
    uint8_t *p = hll + spot->at;
    struct split s = split_run(p, mark, spot);
    ASSERT(mark.rank <= RUN_RANK_MAX && spot->at + s.old <= n);
    if (s.now != s.old) memmove(p + s.now, p + s.old, n - spot->at - s.old);
    memcpy(p, s.runs, s.now);
    return join_runs(hll, n + s.now - s.old, spot->before != 0 ? spot->before : HLL_HEADER);
}
