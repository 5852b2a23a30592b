// SPDX-License-Identifier: BSD-3-Clause
//
// Intsets: searching, adding and removing in a sorted array whose width grows when it must. Runs on
// the thread that owns the intset; no state of its own. Invariant: after every change the header's
// count and width are those of the integers behind it. Called by sets (t_set.c), and by whoever
// reads intsets from a file.
#include "engine/encoding/intset.h"

#include "engine/base/alloc.h"
#include "engine/base/assert.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "integers lie as in the format");

#define EXACT_MAX 1024 // up to here the block is as long as needed, beyond it has some room

static void set_header(uint8_t *is, uint32_t width, size_t count) {
    uint32_t header[2] = {width, (uint32_t)count};
    memcpy(is, header, sizeof(header));
}

static uint32_t width_for(int64_t number) {
    if (number >= INT16_MIN && number <= INT16_MAX) return 2;
    return number >= INT32_MIN && number <= INT32_MAX ? 4 : 8;
}

static inline int64_t get(const uint8_t *is, size_t i, uint32_t width) {
    const uint8_t *p = is + INTSET_HEADER + i * width;
    int16_t narrow;
    int32_t middle;
    int64_t wide;
    switch (width) {
    case 2: memcpy(&narrow, p, sizeof(narrow)); return narrow;
    case 4: memcpy(&middle, p, sizeof(middle)); return middle;
    default: memcpy(&wide, p, sizeof(wide)); return wide;
    }
}

static void put(uint8_t *is, size_t i, uint32_t width, int64_t number) {
    memcpy(is + INTSET_HEADER + i * width, &number, width); // little-endian: the low bytes
}

uint8_t *intset_new(void) {
    uint8_t *is = mem_alloc(INTSET_HEADER);
    set_header(is, 2, 0);
    return is;
}

uint8_t *intset_copy(const uint8_t *is) {
    size_t n = intset_bytes(is);
    return memcpy(mem_alloc(n), is, n);
}

void intset_free(uint8_t *is) { mem_free(is); }

size_t intset_memory(const uint8_t *is) { return mem_usable(is); }

int64_t intset_at(const uint8_t *is, size_t i) {
    ASSERT_DEV(i < intset_count(is));
    return get(is, i, intset_width(is));
}

// ---- searching ---------------------------------------------------------------------------------

/** The first index in [low, high) whose integer is not less than the number, or high. */
static inline __attribute__((always_inline)) size_t
search(const uint8_t *is, size_t low, size_t high, int64_t number, uint32_t width) {
    size_t n = high - low;
    while (n > 0) { // without a branch that could be mispredicted
        size_t half = n / 2;
        bool less = get(is, low + half, width) < number;
        low = less ? low + half + 1 : low;
        n = less ? n - half - 1 : half;
    }
    return low;
}

static size_t lower_bound(const uint8_t *is, size_t low, size_t high, int64_t number) {
    switch (intset_width(is)) {
    case 2: return search(is, low, high, number, 2);
    case 4: return search(is, low, high, number, 4);
    default: return search(is, low, high, number, 8);
    }
}

bool intset_has(const uint8_t *is, int64_t number) {
    size_t n = intset_count(is);
    if (width_for(number) > intset_width(is)) return false;
    size_t i = lower_bound(is, 0, n, number);
    return i < n && get(is, i, intset_width(is)) == number;
}

size_t intset_seek(const uint8_t *is, size_t from, int64_t number) {
    size_t n = intset_count(is), step = 1, low = from, high = from;
    uint32_t width = intset_width(is);
    while (high < n && get(is, high, width) < number) {
        low = high + 1;
        high += step;
        step *= 2;
    }
    return lower_bound(is, low, high < n ? high : n, number);
}

// ---- changing ----------------------------------------------------------------------------------

/** Sees to room for so many bytes. */
static uint8_t *reserve(uint8_t *is, size_t bytes) {
    if (bytes <= mem_usable(is)) return is;
    return mem_realloc(is, bytes <= EXACT_MAX ? bytes : bytes + bytes / 8);
}

/** Makes all integers wider; there is room for one more afterwards. */
static uint8_t *widen(uint8_t *is, uint32_t width) {
    size_t n = intset_count(is);
    uint32_t from = intset_width(is);
    is = reserve(is, INTSET_HEADER + (n + 1) * width);
    for (size_t i = n; i > 0; i--) put(is, i - 1, width, get(is, i - 1, from));
    set_header(is, width, n);
    return is;
}

uint8_t *intset_add(uint8_t *is, int64_t number, bool *added) {
    size_t n = intset_count(is);
    uint32_t width = width_for(number);
    if (width > intset_width(is)) is = widen(is, width);
    width = intset_width(is);
    // Numbers often come in ascending order.
    bool last = n == 0 || get(is, n - 1, width) < number;
    size_t i = last ? n : lower_bound(is, 0, n, number);
    *added = i == n || get(is, i, width) != number;
    if (!*added) return is;
    ASSERT(n < INTSET_COUNT_MAX * 2);
    is = reserve(is, INTSET_HEADER + (n + 1) * width);
    uint8_t *p = is + INTSET_HEADER + i * width;
    memmove(p + width, p, (n - i) * width);
    put(is, i, width, number);
    set_header(is, width, n + 1);
    return is;
}

uint8_t *intset_remove(uint8_t *is, int64_t number, bool *removed) {
    size_t n = intset_count(is);
    uint32_t width = intset_width(is);
    *removed = false;
    if (width_for(number) > width) return is;
    size_t i = lower_bound(is, 0, n, number);
    if (i == n || get(is, i, width) != number) return is;
    *removed = true;
    uint8_t *p = is + INTSET_HEADER + i * width;
    memmove(p, p + width, (n - i - 1) * width);
    set_header(is, width, n - 1);
    size_t bytes = intset_bytes(is), usable = mem_usable(is);
    if (bytes <= EXACT_MAX ? mem_good_size(bytes) < usable : bytes < usable / 2)
        is = mem_realloc(is, bytes);
    return is;
}

bool intset_validate(const uint8_t *bytes, size_t n) {
    if (n < INTSET_HEADER) return false;
    uint32_t width = intset_width(bytes);
    size_t count = intset_count(bytes);
    if (width != 2 && width != 4 && width != 8) return false;
    if (n != INTSET_HEADER + count * width) return false;
    for (size_t i = 1; i < count; i++)
        if (get(bytes, i - 1, width) >= get(bytes, i, width)) return false;
    return true;
}
