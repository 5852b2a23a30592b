// SPDX-License-Identifier: BSD-3-Clause
//
// The notes of notes.h: what threads post arrives once each, in each thread's order, on the shard's
// thread, and wakes it when it sleeps. The shard is bare: an io, a keyspace, the rest zero. The
// threaded test is what ThreadSanitizer looks at.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/clock.h"
#include "shards/notes.h"

#define THREADS 4
#define EACH    20000

struct house {
    struct fleet *fleet;
    struct shard *shard;
    pthread_t thread; // the shard's
    uint32_t next[THREADS];
    uint32_t arrived;
};

struct letter {
    struct note note; // first member
    struct house *house;
    uint32_t from, number;
};

static struct house *house_new(const char *backend) {
    struct house *h = mem_calloc(sizeof *h);
    struct io_options options = {.connections_hint = 16};
    const char *reason;
    h->fleet = fleet_new(1, 1, "0123456789012345678901234567890123456789", 0);
    h->shard = mem_alloc_aligned(sizeof *h->shard, MAILBOX_LINE);
    memset(h->shard, 0, sizeof *h->shard);
    h->shard->fleet = h->fleet;
    h->fleet->shards[0] = h->shard;
    h->shard->keyspace = keyspace_new(1, 0, 1, 1, NULL);
    h->thread = pthread_self();
    assert_int_equal(io_create(&h->shard->io, backend, &options, &reason), 0);
    return h;
}

static void house_free(struct house *h) {
    io_destroy(h->shard->io);
    keyspace_free(h->shard->keyspace);
    mem_free(h->shard);
    fleet_free(h->fleet);
    mem_free(h);
}

static void on_letter(struct shard *s, struct note *note) {
    struct letter *letter = (struct letter *)note;
    struct house *h = letter->house;
    assert_ptr_equal(s, h->shard);
    assert_true(pthread_equal(pthread_self(), h->thread));
    assert_int_equal(letter->number, h->next[letter->from]);
    h->next[letter->from]++;
    h->arrived++;
    mem_free(letter);
}

static void post(struct house *h, uint32_t from, uint32_t number) {
    struct letter *letter = mem_calloc(sizeof *letter);
    *letter = (struct letter){{NULL, on_letter}, h, from, number};
    note_post(h->shard, &letter->note);
}

struct poster {
    struct house *house;
    uint32_t number;
};

static void *post_many(void *argument) {
    const struct poster *p = argument;
    for (uint32_t i = 0; i < EACH; i++) post(p->house, p->number, i);
    return NULL;
}

static void arrive_once_and_in_order(void **state) {
    (void)state;
    struct house *h = house_new("epoll");
    struct io_event events[16];
    pthread_t threads[THREADS];
    struct poster posters[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        posters[i] = (struct poster){h, i};
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, &posters[i]), 0);
    }
    int64_t give_up_ns = clock_monotonic_ns() + INT64_C(60000000000);
    while (h->arrived < THREADS * EACH && clock_monotonic_ns() < give_up_ns) {
        // Long enough that a wake-up that got lost would be seen.
        assert_true(io_poll(h->shard->io, events, 16, INT64_C(60000000000)) >= 0);
        if (notes_waiting(h->shard)) notes_run(h->shard);
    }
    for (uint32_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(h->arrived, THREADS * EACH);
    assert_false(notes_waiting(h->shard));
    house_free(h);
}

/** What a note posts is for the next time, not for ever the same. */
static void repost(struct shard *s, struct note *note) {
    struct letter *letter = (struct letter *)note;
    letter->house->arrived++;
    if (letter->number-- > 0)
        note_post(s, note);
    else
        mem_free(letter);
}

static void may_be_posted_again_at_once(void **state) {
    (void)state;
    struct house *h = house_new("epoll");
    struct letter *letter = mem_calloc(sizeof *letter);
    *letter = (struct letter){{NULL, repost}, h, 0, 3};
    note_post(h->shard, &letter->note);
    for (uint32_t times = 1; times <= 4; times++) {
        assert_true(notes_waiting(h->shard));
        notes_run(h->shard);
        assert_int_equal(h->arrived, times);
    }
    assert_false(notes_waiting(h->shard));
    house_free(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrive_once_and_in_order),
        cmocka_unit_test(may_be_posted_again_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
