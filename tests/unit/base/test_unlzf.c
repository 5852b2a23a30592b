// SPDX-License-Identifier: BSD-3-Clause
//
// unlzf() beside liblzf's reader: what its compressor makes of all kinds of text, and bytes that
// are no LZF or become so by a change. Both areas are blocks of exactly their size, so that a
// sanitizer sees what goes beyond. One thread, fixed seeds.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <lzf.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/random.h"
#include "engine/base/unlzf.h"

#define LONGEST 20000

static uint8_t *block_of(const uint8_t *bytes, size_t n) {
    return memcpy(malloc(n ? n : 1), bytes, n);
}

/** Both readers must say the same of these bytes; whether they are good. */
static bool same(const uint8_t *packed, size_t n, size_t size) {
    uint8_t *from = block_of(packed, n);
    uint8_t *ours = malloc(size ? size : 1), *theirs = malloc(size ? size : 1);
    bool good = lzf_decompress(from, (unsigned)n, theirs, (unsigned)size) == size && size > 0;
    assert_int_equal(unlzf(from, n, ours, size), good);
    if (good) assert_memory_equal(ours, theirs, size);
    free(from);
    free(ours);
    free(theirs);
    return good;
}

/** A text that repeats itself at distances of 1 to `far` bytes, with fresh bytes in between. */
static size_t make_text(struct random *r, uint8_t *text, size_t far) {
    size_t n = 1 + random_below(r, LONGEST - 1), at = 0;
    while (at < n) {
        size_t run = 1 + random_below(r, random_below(r, 4) ? 30 : 700);
        size_t back = at > 0 ? 1 + random_below(r, at < far ? at : far) : 0;
        bool fresh = at == 0 || random_below(r, 3) == 0;
        for (; run > 0 && at < n; run--, at++)
            text[at] = fresh ? (uint8_t)random_below(r, 256) : text[at - back];
    }
    return n;
}

static void as_liblzf(void **state) {
    (void)state;
    static uint8_t text[LONGEST], packed[LONGEST];
    static const size_t far[] = {1, 2, 7, 8, 15, 16, 17, 300, 9000};
    struct random r;
    random_init(&r, 7);
    unsigned good = 0;
    for (unsigned i = 0; i < 3000; i++) {
        size_t n = make_text(&r, text, far[i % (sizeof far / sizeof far[0])]);
        unsigned bytes = lzf_compress(text, (unsigned)n, packed, (unsigned)n);
        if (bytes == 0) continue;
        assert_true(same(packed, bytes, n));
        good++;
        assert_false(same(packed, bytes, n - 1) || same(packed, bytes, n + 1));
        assert_false(same(packed, bytes - 1, n));
        for (unsigned change = 0; change < 20; change++) {
            packed[random_below(&r, bytes)] = (uint8_t)random_below(&r, 256);
            same(packed, bytes, n);
        }
    }
    assert_in_range(good, 1000, 3000);
}

static void every_short_input(void **state) {
    (void)state;
    unsigned good = 0;
    for (unsigned i = 0; i < 1u << 16; i++) {
        const uint8_t packed[] = {1, 'a', 'b', (uint8_t)i, (uint8_t)(i >> 8), 0, 'c'};
        for (size_t n = 4; n <= sizeof packed; n++)
            for (size_t size = 2; size < 12; size++) good += same(packed, n, size);
    }
    assert_in_range(good, 1, UINT32_MAX);
    assert_true(unlzf("", 0, NULL, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_liblzf),
        cmocka_unit_test(every_short_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
