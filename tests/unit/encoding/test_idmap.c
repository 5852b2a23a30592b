// SPDX-License-Identifier: BSD-3-Clause
//
// Ordered maps by stream id: growing at the end and shrinking at the start, random changes against
// a sorted array, walks both ways, and what floor and ceiling find between ids. The invariants are
// walked after changes. One thread.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/alloc.h"
#include "engine/base/random.h"
#include "engine/encoding/idmap.h"

#define ID(ms, seq) ((struct stream_id){(ms), (seq)})

static char values[1];
#define VALUE (values)

static uint64_t dropped;
static void drop(void *value) {
    assert_ptr_equal(value, VALUE);
    dropped++;
}

static void test_empty(void **state) {
    (void)state;
    struct idmap m = {0};
    assert_true(idmap_is_valid(&m));
    assert_null(idmap_find(&m, STREAM_ID_MIN));
    assert_null(idmap_remove(&m, STREAM_ID_MIN));
    assert_null(idmap_first(&m).leaf);
    assert_null(idmap_last(&m).leaf);
    assert_null(idmap_floor(&m, STREAM_ID_MAX).leaf);
    assert_null(idmap_ceiling(&m, STREAM_ID_MIN).leaf);
    idmap_fini(&m, NULL);
}

static void test_ids_are_ordered_like_128_bits(void **state) {
    (void)state;
    struct idmap m = {0};
    assert_null(idmap_add(&m, ID(1, UINT64_MAX), VALUE));
    assert_null(idmap_add(&m, ID(UINT64_MAX, 0), VALUE));
    assert_null(idmap_add(&m, STREAM_ID_MIN, VALUE));
    assert_null(idmap_add(&m, STREAM_ID_MAX, VALUE));
    assert_null(idmap_add(&m, ID(2, 0), VALUE));
    assert_ptr_equal(idmap_add(&m, ID(2, 0), &m), VALUE);
    static const struct stream_id order[] = {
        {0, 0}, {1, UINT64_MAX}, {2, 0}, {UINT64_MAX, 0}, {UINT64_MAX, UINT64_MAX}};
    struct idmap_place p = idmap_first(&m);
    for (size_t i = 0; i < 5; i++, idmap_next(&p))
        assert_true(stream_id_equal(idmap_at(p)->id, order[i]));
    assert_null(p.leaf);
    assert_int_equal(m.count, 5);
    assert_true(idmap_is_valid(&m));
    idmap_fini(&m, NULL);
}

/** A map that only grows at its end has full leaves: what it costs is its entries. */
static void test_appending_wastes_little(void **state) {
    (void)state;
    struct idmap m = {0};
    for (uint64_t i = 0; i < 100000; i++) {
        assert_null(idmap_add(&m, ID(i / 3, i), VALUE));
        if (i < 300 || i % 9973 == 0) assert_true(idmap_is_valid(&m));
    }
    assert_true(m.memory < 100000 * 26);
    for (uint64_t i = 0; i < 100000; i++) {
        assert_true(stream_id_equal(idmap_at(idmap_first(&m))->id, ID(i / 3, i)));
        assert_ptr_equal(idmap_remove(&m, ID(i / 3, i)), VALUE);
        if (i > 99700 || i % 9973 == 0) assert_true(idmap_is_valid(&m));
    }
    assert_int_equal(m.memory, 0);
}

/** The same from the other end, where every leaf is split in the middle. */
static void test_growing_at_the_start(void **state) {
    (void)state;
    struct idmap m = {0};
    for (uint64_t i = 20000; i-- > 0;) assert_null(idmap_add(&m, ID(i, 0), VALUE));
    assert_true(idmap_is_valid(&m));
    assert_true(m.memory < 20000 * 60);
    for (uint64_t i = 20000; i-- > 0;) {
        assert_true(stream_id_equal(idmap_at(idmap_last(&m))->id, ID(i, 0)));
        assert_ptr_equal(idmap_remove(&m, ID(i, 0)), VALUE);
    }
    assert_int_equal(m.memory, 0);
}

#define SPACE 4000

/** Which of the ids 2 * i are in the map. */
struct model {
    bool in[SPACE];
    size_t count;
};

static void compare(const struct idmap *m, const struct model *model) {
    assert_int_equal(m->count, model->count);
    struct idmap_place up = idmap_first(m), down = idmap_last(m);
    for (size_t i = 0; i < SPACE; i++) {
        if (model->in[i]) {
            assert_int_equal(idmap_at(up)->id.seq, 2 * i);
            idmap_next(&up);
        }
        if (model->in[SPACE - 1 - i]) {
            assert_int_equal(idmap_at(down)->id.seq, 2 * (SPACE - 1 - i));
            idmap_previous(&down);
        }
    }
    assert_null(up.leaf);
    assert_null(down.leaf);
}

static void look_around(const struct idmap *m, const struct model *model, size_t at, bool between) {
    size_t below = at + (between ? 1 : 0), above = at + 1; // one behind, one before
    struct stream_id id = ID(7, 2 * at + (between ? 1 : 0));
    if (!between) {
        below = at + 1;
        above = at;
    }
    while (below > 0 && !model->in[below - 1]) below--;
    while (above < SPACE && !model->in[above]) above++;
    struct idmap_place floor = idmap_floor(m, id), ceiling = idmap_ceiling(m, id);
    assert_int_equal(floor.leaf != NULL, below > 0);
    assert_int_equal(ceiling.leaf != NULL, above < SPACE);
    if (below > 0) assert_int_equal(idmap_at(floor)->id.seq, 2 * (below - 1));
    if (above < SPACE) assert_int_equal(idmap_at(ceiling)->id.seq, 2 * above);
    assert_int_equal(idmap_find(m, id) != NULL, !between && model->in[at]);
}

static void test_random_changes(void **state) {
    (void)state;
    struct random random;
    static struct model model;
    struct idmap m = {0};
    random_init(&random, 21);
    memset(&model, 0, sizeof model);
    for (unsigned phase = 0; phase < 8; phase++) {
        unsigned adds = phase % 2 == 0 ? 80 : 15; // of a hundred: grows, then shrinks
        for (unsigned i = 0; i < 12000; i++) {
            size_t at = random_below(&random, SPACE);
            struct stream_id id = ID(7, 2 * at);
            if (random_below(&random, 100) < adds) {
                assert_int_equal(idmap_add(&m, id, VALUE) == NULL, !model.in[at]);
                model.count += !model.in[at];
                model.in[at] = true;
            } else {
                assert_int_equal(idmap_remove(&m, id) != NULL, model.in[at]);
                model.count -= model.in[at];
                model.in[at] = false;
            }
            if (i % 64 == 0) assert_true(idmap_is_valid(&m));
            if (i % 16 == 0) look_around(&m, &model, random_below(&random, SPACE), i % 32 == 0);
        }
        compare(&m, &model);
    }
    dropped = 0;
    size_t count = m.count;
    idmap_fini(&m, drop);
    assert_int_equal(dropped, count);
    assert_true(idmap_is_valid(&m));
}

/** Removing most of a large map at random gives the memory back. */
static void test_sparse_maps_shrink(void **state) {
    (void)state;
    struct random random;
    struct idmap m = {0};
    random_init(&random, 22);
    for (uint64_t i = 0; i < 50000; i++) idmap_add(&m, ID(i, 0), VALUE);
    for (uint64_t i = 0; i < 50000; i++)
        if (random_below(&random, 100) != 0) idmap_remove(&m, ID(i, 0));
    assert_true(idmap_is_valid(&m));
    assert_true(m.memory < m.count * 100);
    idmap_fini(&m, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_ids_are_ordered_like_128_bits),
        cmocka_unit_test(test_appending_wastes_little),
        cmocka_unit_test(test_growing_at_the_start),
        cmocka_unit_test(test_random_changes),
        cmocka_unit_test(test_sparse_maps_shrink),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
