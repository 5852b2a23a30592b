// SPDX-License-Identifier: BSD-3-Clause
//
// The data structures of pub/sub: the index over patterns finds what the glob matcher finds by
// trying all, in whatever order patterns come and go; subscriptions, seats and counts agree; homes
// know the shards that listen. One thread; random operations have a fixed seed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/glob.h"
#include "engine/base/random.h"
#include "shards/pubsub_registry.h"
#include "shards/pubsub_table.h"

static uint64_t hash_of(const char *text) { return hashtable_hash(slice_text(text)); }

// ---- patterns ----------------------------------------------------------------------------------

struct found {
    const struct pubsub_pattern *at[4096];
    int count;
};

static void collect(void *context, struct pubsub_pattern *pattern) {
    struct found *found = context;
    for (int i = 0; i < found->count; i++) assert_ptr_not_equal(found->at[i], pattern);
    assert_true(found->count < 4096);
    found->at[found->count++] = pattern;
}

static int matches(struct pubsub_patterns *p, const char *channel) {
    static struct found found;
    found.count = 0;
    pubsub_patterns_match(p, slice_text(channel), collect, &found);
    return found.count;
}

static void patterns_of_every_shape_are_found(void **state) {
    (void)state;
    struct pubsub_patterns p;
    pubsub_patterns_init(&p);
    assert_int_equal(matches(&p, "news"), 0);
    static const char *const texts[] = {"*",      "news.*", "*.end",   "n?ws",   "*ew*",
                                        "news",   "",       "[mn]ews", "\\news", "news\\",
                                        "ne*s*s", "[a-",    "*[!s]",   "x*",     "news.[a]*"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_null(pubsub_patterns_find(&p, slice_text(texts[i])));
        pubsub_patterns_add(&p, slice_text(texts[i]));
        assert_non_null(pubsub_patterns_find(&p, slice_text(texts[i])));
    }
    static const char *const channels[] = {
        "news", "news.a", "a.end",
        "",     "nws",    "ew",
        "s",    "news\\", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.end"};
    for (size_t c = 0; c < sizeof channels / sizeof channels[0]; c++) {
        int expected = 0;
        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
            expected += glob_match(slice_text(texts[i]), slice_text(channels[c]), false);
        assert_int_equal(matches(&p, channels[c]), expected);
    }
    assert_true(pubsub_patterns_is_valid(&p));
    pubsub_patterns_fini(&p);
}

static void random_text(struct random *r, char *out, const char *letters, uint32_t longest) {
    uint32_t n = (uint32_t)random_below(r, longest + 1);
    for (uint32_t i = 0; i < n; i++) out[i] = letters[random_below(r, strlen(letters))];
    out[n] = '\0';
}

static void index_agrees_with_the_matcher(void **state) {
    (void)state;
    enum { SLOTS = 200 };
    static char texts[SLOTS][64];
    bool used[SLOTS] = {false};
    struct pubsub_patterns p;
    struct random r;
    random_init(&r, 7);
    pubsub_patterns_init(&p);
    for (int step = 0; step < 20000; step++) {
        int at = (int)random_below(&r, SLOTS);
        char channel[64], text[64];
        if (used[at]) {
            pubsub_patterns_remove(&p, pubsub_patterns_find(&p, slice_text(texts[at])));
            used[at] = false;
        } else {
            random_text(&r, text, "ab*a?b[\\]a-", random_below(&r, 4) ? 6 : 60);
            if (!pubsub_patterns_find(&p, slice_text(text))) {
                pubsub_patterns_add(&p, slice_text(text));
                memcpy(texts[at], text, sizeof text);
                used[at] = true;
            }
        }
        random_text(&r, channel, "aabb[\\-", random_below(&r, 4) ? 6 : 60);
        int expected = 0;
        for (int i = 0; i < SLOTS; i++)
            expected += used[i] && glob_match(slice_text(texts[i]), slice_text(channel), false);
        assert_int_equal(matches(&p, channel), expected);
        if (step % 500 == 0) assert_true(pubsub_patterns_is_valid(&p));
    }
    pubsub_patterns_fini(&p);
}

/** Patterns that share a beginning, or an end, or only something in the middle. */
static void many_patterns_are_not_all_tried(void **state) {
    (void)state;
    static const char *const shapes[] = {"user:%d:*", "user:*:%d", "*:%d:*", "user:[a-z]*%d"};
    for (size_t shape = 0; shape < 3; shape++) {
        struct pubsub_patterns p;
        pubsub_patterns_init(&p);
        char text[64];
        for (int i = 0; i < 10000; i++) {
            snprintf(text, sizeof text, shapes[shape], i);
            pubsub_patterns_add(&p, slice_text(text));
        }
        assert_int_equal(matches(&p, "user:7:5077"), shape == 1 ? 1 : 1);
        assert_int_equal(matches(&p, "other"), 0);
        assert_true(pubsub_patterns_is_valid(&p));
        pubsub_patterns_fini(&p);
    }
}

// ---- subscriptions -----------------------------------------------------------------------------

static void a_subscription_is_made_once(void **state) {
    (void)state;
    struct pubsub_table t;
    struct pubsub_subscriber a = {.receiver = &a}, b = {.receiver = &b};
    struct slice x = SLICE_LITERAL("x");
    uint64_t hash = hash_of("x");
    pubsub_table_init(&t);
    struct pubsub_subscription *ax = pubsub_table_add(&t, &a, PUBSUB_CHANNEL, x, hash);
    assert_non_null(ax);
    assert_null(pubsub_table_add(&t, &a, PUBSUB_CHANNEL, x, hash));
    struct pubsub_subscription *bx = pubsub_table_add(&t, &b, PUBSUB_CHANNEL, x, hash);
    struct pubsub_subscription *ap = pubsub_table_add(&t, &a, PUBSUB_PATTERN, x, hash);
    assert_non_null(bx);
    assert_non_null(ap);
    struct pubsub_topic *topic = pubsub_table_topic(&t, PUBSUB_CHANNEL, x, hash);
    assert_int_equal(topic->references, 2);
    assert_int_equal(topic->count, 0);
    pubsub_table_seat(ax);
    pubsub_table_seat(ax);
    pubsub_table_seat(bx);
    assert_int_equal(topic->count, 2);
    assert_true(pubsub_table_is_valid(&t));
    pubsub_table_leave(ax);
    assert_int_equal(a.counts[PUBSUB_CHANNEL], 0);
    assert_null(pubsub_table_find(&t, &a, PUBSUB_CHANNEL, x, hash));
    assert_int_equal(topic->count, 2); // it has its seat until the end
    pubsub_table_remove(&t, ax);
    assert_int_equal(topic->count, 1);
    assert_ptr_equal(topic->seats[0].receiver, &b);
    pubsub_table_remove(&t, bx);
    assert_null(pubsub_table_topic(&t, PUBSUB_CHANNEL, x, hash));
    pubsub_table_remove(&t, ap);
    pubsub_table_fini(&t);
}

enum { CLIENTS = 20, CHANNELS = 30 };

static void change_at_random(struct random *r, struct pubsub_table *t,
                             struct pubsub_subscriber *clients, bool seated[CLIENTS][CHANNELS]) {
    int client = (int)random_below(r, CLIENTS), channel = (int)random_below(r, CHANNELS);
    char name[16];
    snprintf(name, sizeof name, "c%d", channel);
    struct slice text = slice_text(name);
    struct pubsub_subscription *s =
        pubsub_table_find(t, &clients[client], PUBSUB_CHANNEL, text, hash_of(name));
    if (!s) {
        s = pubsub_table_add(t, &clients[client], PUBSUB_CHANNEL, text, hash_of(name));
    } else if (random_below(r, 2)) {
        pubsub_table_remove(t, s);
        seated[client][channel] = false;
        return;
    }
    seated[client][channel] = random_below(r, 4) != 0;
    if (seated[client][channel])
        pubsub_table_seat(s);
    else
        pubsub_table_unseat(s);
}

static void seats_follow_what_is_done(void **state) {
    (void)state;
    static struct pubsub_subscriber clients[CLIENTS];
    static bool seated[CLIENTS][CHANNELS];
    struct pubsub_table t;
    struct random r;
    random_init(&r, 11);
    pubsub_table_init(&t);
    for (int i = 0; i < CLIENTS; i++) clients[i].receiver = &clients[i];
    for (int step = 0; step < 20000; step++) {
        change_at_random(&r, &t, clients, seated);
        if (step % 200 != 0) continue;
        assert_true(pubsub_table_is_valid(&t));
        for (int channel = 0; channel < CHANNELS; channel++) {
            char name[16];
            snprintf(name, sizeof name, "c%d", channel);
            const struct pubsub_topic *topic =
                pubsub_table_topic(&t, PUBSUB_CHANNEL, slice_text(name), hash_of(name));
            uint32_t expected = 0;
            for (int i = 0; i < CLIENTS; i++) expected += seated[i][channel];
            assert_int_equal(topic ? topic->count : 0, expected);
        }
    }
    for (int i = 0; i < CLIENTS; i++)
        while (clients[i].first[PUBSUB_CHANNEL])
            pubsub_table_remove(&t, clients[i].first[PUBSUB_CHANNEL]);
    for (int i = 0; i < CLIENTS; i++) assert_int_equal(clients[i].counts[PUBSUB_CHANNEL], 0);
    pubsub_table_fini(&t);
}

// ---- homes -------------------------------------------------------------------------------------

static void homes_know_who_listens(void **state) {
    (void)state;
    struct pubsub_registry r;
    struct slice x = SLICE_LITERAL("x");
    uint64_t hash = hash_of("x");
    pubsub_registry_init(&r);
    assert_null(pubsub_registry_listeners(&r, PUBSUB_CHANNEL, x, hash));
    for (uint32_t shard = 0; shard < 7; shard++)
        for (uint32_t i = 0; i <= shard; i++)
            pubsub_registry_add(&r, PUBSUB_CHANNEL, x, hash, shard);
    assert_null(pubsub_registry_listeners(&r, PUBSUB_SHARD_CHANNEL, x, hash));
    const struct pubsub_listeners *l = pubsub_registry_listeners(&r, PUBSUB_CHANNEL, x, hash);
    assert_int_equal(l->count, 7);
    assert_int_equal(pubsub_listeners_sum(l), 28);
    for (uint32_t i = 0; i < 4; i++) pubsub_registry_drop(&r, PUBSUB_CHANNEL, x, hash, 3);
    assert_int_equal(l->count, 6);
    for (uint32_t i = 0; i < l->count; i++) assert_int_not_equal(l->v[i].shard, 3);
    assert_true(pubsub_registry_is_valid(&r));
    for (uint32_t shard = 0; shard < 7; shard++)
        for (uint32_t i = 0; i <= shard && shard != 3; i++)
            pubsub_registry_drop(&r, PUBSUB_CHANNEL, x, hash, shard);
    assert_null(pubsub_registry_listeners(&r, PUBSUB_CHANNEL, x, hash));
    pubsub_registry_add(&r, PUBSUB_PATTERN, SLICE_LITERAL("x*"), hash_of("x*"), 1);
    pubsub_registry_add(&r, PUBSUB_PATTERN, SLICE_LITERAL("x*"), hash_of("x*"), 1);
    assert_int_equal(pubsub_patterns_count(&r.patterns), 1);
    pubsub_registry_drop(&r, PUBSUB_PATTERN, SLICE_LITERAL("x*"), hash_of("x*"), 1);
    assert_int_equal(pubsub_patterns_count(&r.patterns), 1);
    pubsub_registry_drop(&r, PUBSUB_PATTERN, SLICE_LITERAL("x*"), hash_of("x*"), 1);
    assert_int_equal(pubsub_patterns_count(&r.patterns), 0);
    pubsub_registry_fini(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_of_every_shape_are_found),
        cmocka_unit_test(index_agrees_with_the_matcher),
        cmocka_unit_test(many_patterns_are_not_all_tried),
        cmocka_unit_test(a_subscription_is_made_once),
        cmocka_unit_test(seats_follow_what_is_done),
        cmocka_unit_test(homes_know_who_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
