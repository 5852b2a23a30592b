// SPDX-License-Identifier: BSD-3-Clause
//
// Mailboxes: order and completeness between two real threads over tiny and larger rings, partial
// flushes, and the packing of words. The threaded test is what ThreadSanitizer looks at.
// Invariant tested: what one thread flushes the other takes, once each and in order.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "engine/base/random.h"
#include "shards/mailbox.h"

#define WORDS 200000

struct transfer {
    struct mailbox mailbox;
    uint64_t wrong; // written by the receiver, read after it has ended
};

static void *receiver(void *argument) {
    struct transfer *t = argument;
    struct random random;
    random_init(&random, 2);
    uint64_t expected = 1, words[64];
    while (expected <= WORDS) {
        size_t n = mailbox_take(&t->mailbox, words, 1 + random_below(&random, 64));
        if (n == 0) sched_yield();
        for (size_t i = 0; i < n; i++) t->wrong += words[i] != expected++;
    }
    t->wrong += !mailbox_is_empty(&t->mailbox);
    return NULL;
}

static void transfer_all(size_t capacity) {
    struct transfer t = {.wrong = 0};
    mailbox_init(&t.mailbox, capacity);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, receiver, &t), 0);
    struct outbox outbox = {0};
    struct random random;
    random_init(&random, 1);
    for (uint64_t next = 1; next <= WORDS || outbox.len > 0;) {
        uint64_t batch = random_below(&random, 100);
        for (; batch > 0 && next <= WORDS && outbox.len < 1000; batch--)
            outbox_add(&outbox, next++);
        if (mailbox_flush(&t.mailbox, &outbox) == 0) sched_yield();
    }
    pthread_join(thread, NULL);
    assert_int_equal(t.wrong, 0);
    outbox_fini(&outbox);
    mailbox_fini(&t.mailbox);
}

static void test_two_threads(void **state) {
    (void)state;
    transfer_all(1);
    transfer_all(4);
    transfer_all(1024);
}

static void test_full_ring_keeps_the_rest(void **state) {
    (void)state;
    struct mailbox m;
    mailbox_init(&m, 4);
    struct outbox o = {0};
    uint64_t words[8];
    for (uint64_t i = 0; i < 7; i++) outbox_add(&o, i);
    assert_true(mailbox_is_empty(&m));
    assert_int_equal(mailbox_flush(&m, &o), 4);
    assert_int_equal(o.len, 3);
    assert_int_equal(mailbox_flush(&m, &o), 0);
    assert_int_equal(mailbox_take(&m, words, 3), 3);
    assert_int_equal(mailbox_flush(&m, &o), 3);
    assert_int_equal(o.len, 0);
    assert_int_equal(mailbox_take(&m, words + 3, 5), 4);
    for (uint64_t i = 0; i < 7; i++) assert_int_equal(words[i], i);
    assert_true(mailbox_is_empty(&m));
    outbox_fini(&o);
    mailbox_fini(&m);
}

static void test_words(void **state) {
    (void)state;
    _Alignas(16) char object[16];
    for (int kind = 0; kind < MESSAGE_KINDS; kind++) {
        uint64_t word = message_pack((enum message_kind)kind, object);
        assert_int_equal(message_kind(word), kind);
        assert_ptr_equal(message_object(word), object);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_threads),
        cmocka_unit_test(test_full_ring_keeps_the_rest),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
