// SPDX-License-Identifier: BSD-3-Clause
//
// Queues of those who wait for keys: order, readiness, leaving while somebody walks the queue, and
// random operations beside a model. One thread; each test owns its keyspace. The invariants are
// walked after each change.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "engine/keyspace/waiting.h"

static struct keyspace *make(void) { return keyspace_new(4, 0, 99, 1, NULL); }

static struct key named(const struct keyspace *ks, const char *name) {
    return key_of(ks, slice_text(name));
}

static void wait_for(struct keyspace *ks, const char *name, struct waiting *w) {
    keyspace_wait(ks, 1, named(ks, name), w);
    assert_true(waiting__is_valid(ks));
}

static void leave(struct keyspace *ks, struct waiting *w) {
    keyspace_unwait(ks, w);
    assert_true(waiting__is_valid(ks));
}

/** Takes the next ready key, which must have this name (NULL: none is), and is done with it. */
static void expect_ready(struct keyspace *ks, const char *name) {
    struct waiting_key *k = waiting_next_ready(ks);
    if (name == NULL) {
        assert_null(k);
        return;
    }
    assert_non_null(k);
    assert_true(slice_equal(waiting_key_of(k).text, slice_text(name)));
    waiting_done(ks, k);
    assert_true(waiting__is_valid(ks));
}

static void keys_become_ready_once_and_in_order(void **state) {
    (void)state;
    struct keyspace *ks = make();
    struct waiting a = {0}, b = {0}, c = {0};
    waiting_touch(ks, 1, named(ks, "a")); // nobody waits
    assert_null(ks->ready);
    wait_for(ks, "a", &a);
    wait_for(ks, "b", &b);
    wait_for(ks, "b", &c);
    assert_int_equal(keyspace_waited_keys(ks), 2);
    waiting_touch(ks, 0, named(ks, "a")); // another database
    waiting_touch(ks, 1, named(ks, "c"));
    assert_null(ks->ready);
    waiting_touch(ks, 1, named(ks, "b"));
    waiting_touch(ks, 1, named(ks, "a"));
    waiting_touch(ks, 1, named(ks, "b"));
    assert_true(waiting__is_valid(ks));
    expect_ready(ks, "b");
    expect_ready(ks, "a");
    expect_ready(ks, NULL);
    leave(ks, &a);
    leave(ks, &b);
    expect_ready(ks, "b"); // c may have waited for what b has left
    leave(ks, &c);
    assert_null(ks->waiting);
    keyspace_free(ks);
}

static void changes_of_the_keyspace_are_seen(void **state) {
    (void)state;
    struct keyspace *ks = make();
    struct waiting a = {0}, b = {0};
    wait_for(ks, "a", &a);
    wait_for(ks, "b", &b);
    struct key key = named(ks, "a");
    struct db *db = &ks->dbs[1];
    db_insert(db, key, entry_new_string(key.text, slice_text("x"), ENTRY_NO_EXPIRE));
    expect_ready(ks, "a");
    db_delete(db, key, db_find(db, key));
    expect_ready(ks, "a");
    keyspace_swap(ks, 0, 1, 0);
    assert_non_null(ks->ready);
    assert_true(keyspace_is_valid(ks));
    while (ks->ready != NULL) waiting_done(ks, waiting_next_ready(ks));
    keyspace_swap(ks, 2, 3, 0);
    assert_null(ks->ready);
    leave(ks, &a);
    leave(ks, &b);
    keyspace_free(ks);
}

static void a_key_stays_while_its_queue_is_walked(void **state) {
    (void)state;
    struct keyspace *ks = make();
    struct waiting a = {0}, b = {0};
    wait_for(ks, "k", &a);
    wait_for(ks, "k", &b);
    waiting_touch(ks, 1, named(ks, "k"));
    struct waiting_key *k = waiting_next_ready(ks);
    assert_ptr_equal(k->first, &a);
    assert_ptr_equal(k->last, &b);
    keyspace_unwait(ks, &a);
    keyspace_unwait(ks, &b);
    assert_null(k->first);
    assert_true(waiting__is_valid(ks));
    waiting_done(ks, k);
    assert_null(ks->waiting);

    wait_for(ks, "k", &a);
    waiting_touch(ks, 1, named(ks, "k"));
    k = waiting_next_ready(ks);
    waiting_set_aside(ks, k);
    waiting_resume(ks);
    expect_ready(ks, "k");
    waiting_touch(ks, 1, named(ks, "k"));
    k = waiting_next_ready(ks);
    keyspace_unwait(ks, &a);
    waiting_set_aside(ks, k);
    waiting_resume(ks); // nobody is left
    assert_null(ks->waiting);
    keyspace_free(ks);
}

static void keys_that_are_set_aside_survive_changes(void **state) {
    (void)state;
    struct keyspace *ks = make();
    struct waiting places[3] = {{0}};
    const char *const names[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) wait_for(ks, names[i], &places[i]);
    for (int i = 0; i < 3; i++) waiting_touch(ks, 1, named(ks, names[i]));
    for (int i = 0; i < 2; i++) waiting_set_aside(ks, waiting_next_ready(ks));
    // What is done for the third one touches those that are set aside.
    struct waiting_key *k = waiting_next_ready(ks);
    waiting_touch(ks, 1, named(ks, "b"));
    waiting_touch(ks, 1, named(ks, "c"));
    waiting_done(ks, k);
    expect_ready(ks, "c");
    expect_ready(ks, NULL); // b is held
    waiting_resume(ks);
    expect_ready(ks, "b");
    expect_ready(ks, "a");
    expect_ready(ks, NULL);
    for (int i = 0; i < 3; i++) leave(ks, &places[i]);
    assert_null(ks->waiting);
    keyspace_free(ks);
}

#define PLACES 200
#define KEYS   20

static void random_operations(void **state) {
    (void)state;
    struct keyspace *ks = make();
    struct random random;
    random_init(&random, 7);
    static struct waiting places[PLACES];
    int key_of_place[PLACES];
    uint64_t number[PLACES] = {0}, next = 0; // by order of arrival
    for (int i = 0; i < PLACES; i++) key_of_place[i] = -1;
    for (int step = 0; step < 20000; step++) {
        int i = (int)random_below(&random, PLACES), k = (int)random_below(&random, KEYS);
        char name[16];
        snprintf(name, sizeof name, "key%d", k);
        if (random_below(&random, 4) == 0) {
            waiting_touch(ks, 1, named(ks, name));
        } else if (key_of_place[i] < 0) {
            keyspace_wait(ks, 1, named(ks, name), &places[i]);
            key_of_place[i] = k;
            number[i] = ++next;
        } else {
            keyspace_unwait(ks, &places[i]);
            key_of_place[i] = -1;
        }
        struct waiting_key *ready = waiting_next_ready(ks);
        if (ready != NULL) {
            uint64_t before = 0;
            for (const struct waiting *w = ready->first; w != NULL; w = w->next) {
                assert_true(number[w - places] > before);
                before = number[w - places];
            }
            waiting_done(ks, ready);
        }
        if (step % 64 == 0) assert_true(waiting__is_valid(ks));
    }
    for (int i = 0; i < PLACES; i++)
        if (key_of_place[i] >= 0) leave(ks, &places[i]);
    assert_null(ks->waiting);
    keyspace_free(ks);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_become_ready_once_and_in_order),
        cmocka_unit_test(changes_of_the_keyspace_are_seen),
        cmocka_unit_test(a_key_stays_while_its_queue_is_walked),
        cmocka_unit_test(keys_that_are_set_aside_survive_changes),
        cmocka_unit_test(random_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
