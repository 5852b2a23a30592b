// SPDX-License-Identifier: BSD-3-Clause
//
// Overflow arrays of buckets: adding, taking, and the step from short arrays to long ones and back.
// Runs on the thread that owns the table. Invariant: a link's array holds at least two entries, a
// long one at least LONG_MIN; table.overflow is the sum of the arrays' bytes. Called by table.c.
#include "engine/keyspace/table_overflow.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "engine/keyspace/table_slots.h"

#define LONG_MIN (TABLE__LINK_LONG / 2) // a long array with fewer entries becomes a short one

static size_t short_bytes(size_t count) { return (count + 1) / 2 * 2 * sizeof(uint64_t); }

static size_t long_bytes(uint64_t capacity) {
    return (TABLE__LONG_HEADER + (size_t)capacity) * sizeof(uint64_t);
}

size_t table__overflow_bytes(uint64_t link) {
    if (table__link_is_long(link)) return long_bytes(table__link_base(link)[1]);
    return short_bytes(table__link_count(link));
}

void table__overflow_free(struct table *t, uint64_t link) {
    t->overflow -= table__overflow_bytes(link);
    mem_free(table__link_base(link));
}

static uint64_t *resize_long(struct table *t, uint64_t *base, uint64_t capacity) {
    t->overflow -= long_bytes(base[1]);
    base = mem_realloc(base, long_bytes(capacity));
    base[1] = capacity;
    t->overflow += long_bytes(capacity);
    return base;
}

static uint64_t *short_to_long(struct table *t, uint64_t *array, size_t count) {
    uint64_t capacity = (uint64_t)count * 2;
    uint64_t *base = mem_alloc(long_bytes(capacity));
    base[0] = count;
    base[1] = capacity;
    memcpy(base + TABLE__LONG_HEADER, array, count * sizeof(uint64_t));
    mem_free(array);
    t->overflow += long_bytes(capacity) - short_bytes(count);
    return base;
}

static uint64_t long_to_short(struct table *t, uint64_t *base) {
    size_t count = base[0];
    uint64_t *array = mem_alloc(short_bytes(count));
    memcpy(array, base + TABLE__LONG_HEADER, count * sizeof(uint64_t));
    if (count % 2 != 0) array[count] = 0;
    t->overflow += short_bytes(count) - long_bytes(base[1]);
    mem_free(base);
    return table__link(array, count);
}

static void add_long(struct table *t, uint64_t *slots, uint64_t *base, uint64_t slot) {
    if (base[0] == base[1]) base = resize_long(t, base, base[1] * 2);
    base[TABLE__LONG_HEADER + base[0]++] = slot;
    slots[TABLE__LAST] = table__link(base, TABLE__LINK_LONG);
}

void table__overflow_add(struct table *t, uint64_t *slots, uint64_t slot) {
    uint64_t last = slots[TABLE__LAST];
    if (!table__is_link(last)) {
        uint64_t *array = mem_alloc(short_bytes(2));
        array[0] = last;
        array[1] = slot;
        t->overflow += short_bytes(2);
        slots[TABLE__LAST] = table__link(array, 2);
        return;
    }
    uint64_t *array = table__link_base(last);
    if (unlikely(table__link_is_long(last))) {
        add_long(t, slots, array, slot);
        return;
    }
    size_t n = table__link_count(last);
    if (unlikely(n + 1 == TABLE__LINK_LONG)) {
        add_long(t, slots, short_to_long(t, array, n), slot);
        return;
    }
    if (n % 2 == 0) {
        array = mem_realloc(array, short_bytes(n + 1));
        array[n + 1] = 0;
        t->overflow += short_bytes(n + 1) - short_bytes(n);
    }
    array[n] = slot;
    slots[TABLE__LAST] = table__link(array, n + 1);
}

static uint64_t pop_long(struct table *t, uint64_t *slots) {
    uint64_t *base = table__link_base(slots[TABLE__LAST]);
    uint64_t slot = base[TABLE__LONG_HEADER + --base[0]];
    if (base[0] < LONG_MIN)
        slots[TABLE__LAST] = long_to_short(t, base);
    else if (base[0] * 4 < base[1])
        slots[TABLE__LAST] = table__link(resize_long(t, base, base[1] / 2), TABLE__LINK_LONG);
    return slot;
}

uint64_t table__overflow_pop(struct table *t, uint64_t *slots) {
    uint64_t last = slots[TABLE__LAST];
    if (unlikely(table__link_is_long(last))) return pop_long(t, slots);
    uint64_t *array = table__link_base(last);
    size_t n = table__link_count(last) - 1;
    uint64_t slot = array[n];
    array[n] = 0;
    if (n == 1) {
        slots[TABLE__LAST] = array[0];
        mem_free(array);
        t->overflow -= short_bytes(2);
        return slot;
    }
    if (n % 2 == 0) {
        array = mem_realloc(array, short_bytes(n));
        t->overflow -= short_bytes(n + 1) - short_bytes(n);
    }
    slots[TABLE__LAST] = table__link(array, n);
    return slot;
}
