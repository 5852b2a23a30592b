// SPDX-License-Identifier: BSD-3-Clause
//
// The doors of visit.h: who gets in, who does not, and that an owner and visitors on threads of
// their own are never in at the same time and never wait for ever. The shards are bare: what a
// visit does not look at is zero. The threaded test is what ThreadSanitizer looks at.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/keyspace/events.h"
#include "shards/visit.h"

#define SHARDS 3
#define ROUNDS 100000

struct house {
    struct fleet *fleet;
    struct shard shards[SHARDS];
    bool visited[SHARDS][SHARDS];
    uint32_t visits[SHARDS][SHARDS];
    struct command spec;
    uint64_t inside;         // of shard 0's keyspace: no atomic, the door guards it
    uint64_t counts[SHARDS]; // how often each shard was in there
};

static struct house *house_new(void) {
    struct house *h = mem_alloc_aligned(sizeof *h, MAILBOX_LINE);
    memset(h, 0, sizeof *h);
    h->fleet = fleet_new(SHARDS, 1, "0123456789012345678901234567890123456789", 0);
    for (uint32_t i = 0; i < SHARDS; i++) {
        struct shard *s = &h->shards[i];
        s->id = i;
        s->fleet = h->fleet;
        s->visited = h->visited[i];
        s->visits = h->visits[i];
        s->sink = &s->events;
        s->keyspace = keyspace_new(1, i, 1, 1, NULL);
        s->keyspace->events = s->sink;
        h->fleet->shards[i] = s;
        h->fleet->keyspaces[i] = s->keyspace;
    }
    return h;
}

static void house_free(struct house *h) {
    for (uint32_t i = 0; i < SHARDS; i++) keyspace_free(h->shards[i].keyspace);
    fleet_free(h->fleet);
    mem_free(h);
}

static bool begin(struct house *h, uint32_t from, uint32_t to) {
    struct parsed p = {.spec = &h->spec, .argc = 1, .shard = to};
    visit_begin(&h->shards[from], &p, 1);
    return visit_at(&h->shards[from], to) != NULL;
}

static void who_gets_in(void **state) {
    (void)state;
    struct house *h = house_new();
    assert_false(begin(h, 1, 0)); // nobody leaves before the first pass
    visit_end(&h->shards[1]);
    visit_leave(&h->shards[0]);
    assert_true(begin(h, 1, 0));
    assert_ptr_equal(h->shards[0].keyspace->events, &h->shards[1].events); // of who executes
    assert_false(begin(h, 2, 0));                                          // one visitor at a time
    visit_end(&h->shards[2]);
    visit_leave(&h->shards[0]); // is not in: changes nothing
    assert_false(begin(h, 2, 0));
    visit_end(&h->shards[2]);
    visit_end(&h->shards[1]);
    assert_null(visit_at(&h->shards[1], 0));
    assert_ptr_equal(h->shards[0].keyspace->events, &h->shards[0].events);
    h->shards[0].intents.parts = 1; // a transaction has keys there
    assert_false(begin(h, 1, 0));
    visit_end(&h->shards[1]);
    // The keyspace is lent as a whole: its events go to who has it, whoever looks in at the door.
    struct event_sink borrower;
    h->shards[0].intents.lent = true;
    h->shards[0].keyspace->events = &borrower;
    assert_false(begin(h, 1, 0));
    assert_ptr_equal(h->shards[0].keyspace->events, &borrower);
    visit_end(&h->shards[1]);
    assert_int_equal(visit_tables(&h->shards[1], 0), VISIT_ENTERED);
    assert_ptr_equal(h->shards[0].keyspace->events, &borrower);
    visit_tables_end(&h->shards[1], 0, VISIT_ENTERED);
    assert_ptr_equal(h->shards[0].keyspace->events, &borrower);
    h->shards[0].keyspace->events = h->shards[0].sink;
    h->shards[0].intents.lent = false;
    h->shards[0].intents.parts = 0;
    visit_return(&h->shards[0]);
    visit_return(&h->shards[0]);
    assert_false(begin(h, 1, 0));
    visit_end(&h->shards[1]);
    assert_true(begin(h, 1, 1)); // at home
    house_free(h);
}

static void *owner(void *argument) {
    struct house *h = argument;
    struct shard *s = &h->shards[0];
    for (int i = 0; i < ROUNDS; i++) {
        visit_return(s);
        h->inside++;
        h->counts[0]++;
        visit_leave(s);
    }
    return NULL;
}

struct visitor {
    struct house *house;
    uint32_t id;
};

static void *visitor(void *argument) {
    const struct visitor *v = argument;
    struct house *h = v->house;
    for (int i = 0; i < ROUNDS; i++) {
        if (begin(h, v->id, 0)) {
            h->inside++;
            h->counts[v->id]++;
        }
        visit_end(&h->shards[v->id]);
    }
    return NULL;
}

static void one_at_a_time(void **state) {
    (void)state;
    struct house *h = house_new();
    struct visitor first = {h, 1}, second = {h, 2};
    pthread_t threads[3];
    assert_int_equal(pthread_create(&threads[0], NULL, owner, h), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, visitor, &first), 0);
    assert_int_equal(pthread_create(&threads[2], NULL, visitor, &second), 0);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    assert_int_equal(h->counts[0], ROUNDS);
    assert_int_equal(h->inside, h->counts[0] + h->counts[1] + h->counts[2]);
    visit_return(&h->shards[0]); // all have left
    house_free(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_gets_in),
        cmocka_unit_test(one_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
