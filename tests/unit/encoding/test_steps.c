// SPDX-License-Identifier: BSD-3-Clause
//
// Structures grow and shrink in small steps: no single insertion or removal, while they go up to
// hundreds of thousands of elements and back to nothing, takes or gives more memory than a chunk,
// or looks at more than a few elements. It counts, and measures no time: a rehash, or an array that
// is moved as a whole, would be seen on any machine.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/alloc.h"
#include "engine/encoding/hashtable.h"
#include "engine/encoding/idmap.h"
#include "engine/encoding/quicklist.h"
#include "engine/encoding/ranked.h"

#define ELEMENTS   300000
#define STEP_BYTES (40 * 1024) // a chunk of 16 KiB, its successor, and what belongs to both
#define STEP_LOOKS 120         // a bucket or two are split or merged, and their tags made anew

/** What the most expensive operation so far has done. */
struct worst {
    int64_t memory; // before the operation
    int64_t bytes;
    size_t looks;
};

static size_t looks; // at elements, since the operation began

static void begin(struct worst *w) {
    w->memory = mem_used();
    looks = 0;
}

static void end(struct worst *w) {
    int64_t bytes = llabs(mem_used() - w->memory);
    if (bytes > w->bytes) w->bytes = bytes;
    if (looks > w->looks) w->looks = looks;
}

static void check(const struct worst *w) {
    if (w->bytes > STEP_BYTES || w->looks > STEP_LOOKS)
        print_error("worst step: %lld bytes, %zu looks\n", (long long)w->bytes, w->looks);
    assert_true(w->bytes > 0); // something has been measured
    assert_true(w->bytes <= STEP_BYTES);
    assert_true(w->looks <= STEP_LOOKS);
}

/** A permutation of 0 .. ELEMENTS - 1: the factor is a prime that does not divide it. */
static uint64_t scattered(uint64_t i) { return i * 7919 % ELEMENTS; }

static struct slice text_of(const void *element) {
    looks++;
    return slice_of(element, sizeof(uint64_t));
}

static void test_hashtable(void **state) {
    (void)state;
    struct worst w = {0};
    struct hashtable t;
    uint64_t *elements = calloc(ELEMENTS, sizeof *elements);
    hashtable_init(&t, text_of);
    for (uint64_t i = 0; i < ELEMENTS; i++) {
        elements[i] = i;
        begin(&w);
        hashtable_add(&t, &elements[i]);
        end(&w);
    }
    assert_true(hashtable_is_valid(&t));
    for (uint64_t i = 0; i < ELEMENTS; i++) {
        uint64_t key = scattered(i);
        begin(&w);
        assert_ptr_equal(hashtable_remove(&t, slice_of(&key, sizeof key)), &elements[key]);
        end(&w);
    }
    assert_true(w.looks > 8); // the tags are made from the elements: the count is alive
    check(&w);
    hashtable_fini(&t, NULL);
    free(elements);
}

static void test_ranked(void **state) {
    (void)state;
    struct worst w = {0};
    struct ranked t;
    struct ranked_element **elements = calloc(ELEMENTS, sizeof *elements);
    ranked_init(&t);
    for (uint64_t i = 0; i < ELEMENTS; i++) {
        uint64_t member = scattered(i);
        elements[member] =
            ranked_element_new((double)(member / 3), slice_of(&member, sizeof member));
        begin(&w);
        ranked_insert(&t, elements[member]);
        end(&w);
    }
    assert_true(ranked_is_valid(&t));
    for (uint64_t i = 0; i < ELEMENTS; i++) {
        begin(&w);
        ranked_remove(&t, elements[i]);
        end(&w);
        mem_free(elements[i]);
    }
    check(&w);
    ranked_fini(&t);
    free(elements);
}

static void test_quicklist(void **state) {
    (void)state;
    struct worst w = {0};
    struct quicklist *ql = quicklist_new(-2, 0);
    for (uint64_t i = 0; i < ELEMENTS; i++) {
        uint64_t item = UINT64_C(0x6162636465666768) + i;
        begin(&w);
        quicklist_push(ql, slice_of(&item, sizeof item), i % 3 == 0);
        end(&w);
    }
    assert_true(quicklist_is_valid(ql));
    for (uint64_t i = 0; i < ELEMENTS; i++) {
        begin(&w);
        quicklist_delete(ql, i % 2 == 0 ? 0 : ql->count - 1, 1);
        end(&w);
    }
    assert_int_equal(ql->count, 0);
    check(&w);
    quicklist_free(ql);
}

static void test_idmap(void **state) {
    (void)state;
    struct worst w = {0};
    struct idmap m = {0};
    int value = 0;
    for (uint64_t i = 0; i < ELEMENTS; i++) {
        begin(&w);
        assert_null(idmap_add(&m, (struct stream_id){.ms = scattered(i)}, &value));
        end(&w);
    }
    assert_true(idmap_is_valid(&m));
    for (uint64_t i = 0; i < ELEMENTS; i++) {
        begin(&w);
        assert_ptr_equal(idmap_remove(&m, (struct stream_id){.ms = i}), &value);
        end(&w);
    }
    check(&w);
    idmap_fini(&m, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hashtable),
        cmocka_unit_test(test_ranked),
        cmocka_unit_test(test_quicklist),
        cmocka_unit_test(test_idmap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
