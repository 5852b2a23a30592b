// SPDX-License-Identifier: BSD-3-Clause
//
// The subscriptions of a shard's connections. Runs on the shard's thread, or in a test. Invariants:
// a topic is in its table exactly while subscriptions refer to it; a subscription with seat n is
// the one that seat n - 1 of its topic names; counts are the lengths of the lists without what is
// leaving. Called by pubsub.c and pubsub_work.c.
#include "shards/pubsub_table.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"

#define SEATS_MIN 2

static struct slice text_of_topic(const void *element) {
    return pubsub_topic_text((const struct pubsub_topic *)element);
}

/** A subscription is found by whose it is and to what. */
static struct slice key_of_subscription(const void *element) {
    const struct pubsub_subscription *s = element;
    return slice_of(&s->subscriber, sizeof s->subscriber + sizeof s->topic);
}
_Static_assert(offsetof(struct pubsub_subscription, topic) == sizeof(void *), "key in one piece");

void pubsub_table_init(struct pubsub_table *t) {
    for (int k = 0; k < PUBSUB_KINDS; k++) hashtable_init(&t->topics[k], text_of_topic);
    hashtable_init(&t->subscriptions, key_of_subscription);
}

void pubsub_table_fini(struct pubsub_table *t) {
    ASSERT(t->subscriptions.count == 0);
    for (int k = 0; k < PUBSUB_KINDS; k++) hashtable_fini(&t->topics[k], NULL);
    hashtable_fini(&t->subscriptions, NULL);
}

struct pubsub_topic *pubsub_table_topic(const struct pubsub_table *t, enum pubsub_kind kind,
                                        struct slice text, uint64_t hash) {
    return hashtable_find_hashed(&t->topics[kind], text, hash);
}

static struct pubsub_topic *topic_new(struct pubsub_table *t, enum pubsub_kind kind,
                                      struct slice text, uint64_t hash) {
    ASSERT(text.n <= UINT32_MAX);
    struct pubsub_topic *topic = mem_alloc(sizeof *topic + text.n);
    *topic = (struct pubsub_topic){.length = (uint32_t)text.n, .hash = hash, .kind = kind};
    if (text.n > 0) memcpy(topic->text, text.p, text.n);
    hashtable_add_hashed(&t->topics[kind], topic, hash);
    return topic;
}

static struct pubsub_subscription *find(const struct pubsub_table *t, struct pubsub_subscriber *by,
                                        struct pubsub_topic *topic) {
    const struct pubsub_subscription key = {.subscriber = by, .topic = topic};
    return hashtable_find(&t->subscriptions, key_of_subscription(&key));
}

struct pubsub_subscription *pubsub_table_find(const struct pubsub_table *t,
                                              struct pubsub_subscriber *by, enum pubsub_kind kind,
                                              struct slice text, uint64_t hash) {
    struct pubsub_topic *topic = pubsub_table_topic(t, kind, text, hash);
    struct pubsub_subscription *s = topic ? find(t, by, topic) : NULL;
    return s && !s->leaving ? s : NULL;
}

struct pubsub_subscription *pubsub_table_add(struct pubsub_table *t, struct pubsub_subscriber *by,
                                             enum pubsub_kind kind, struct slice text,
                                             uint64_t hash) {
    struct pubsub_topic *topic = pubsub_table_topic(t, kind, text, hash);
    struct pubsub_subscription *s = topic ? find(t, by, topic) : NULL;
    if (s) {
        ASSERT(!s->leaving); // a subscriber does one thing after the other
        return NULL;
    }
    if (!topic) topic = topic_new(t, kind, text, hash);
    s = mem_alloc(sizeof *s);
    *s = (struct pubsub_subscription){.subscriber = by, .topic = topic, .previous = by->last[kind]};
    if (by->last[kind])
        by->last[kind]->next = s;
    else
        by->first[kind] = s;
    by->last[kind] = s;
    by->counts[kind]++;
    topic->references++;
    hashtable_add(&t->subscriptions, s);
    return s;
}

void pubsub_table_seat(struct pubsub_subscription *s) {
    struct pubsub_topic *topic = s->topic;
    if (s->seat > 0) return;
    if (topic->count == topic->room) {
        topic->room = topic->room ? topic->room * 2 : SEATS_MIN;
        topic->seats = mem_realloc(topic->seats, topic->room * sizeof *topic->seats);
    }
    topic->seats[topic->count++] = (struct pubsub_seat){s->subscriber->receiver, s};
    s->seat = topic->count;
}

void pubsub_table_unseat(struct pubsub_subscription *s) {
    struct pubsub_topic *topic = s->topic;
    if (s->seat == 0) return;
    struct pubsub_seat *seat = &topic->seats[s->seat - 1], *last = &topic->seats[--topic->count];
    *seat = *last;
    seat->subscription->seat = s->seat;
    s->seat = 0;
    if (topic->count == 0) {
        mem_free(topic->seats);
        topic->seats = NULL;
        topic->room = 0;
    } else if (topic->room > SEATS_MIN && topic->count < topic->room / 4) {
        topic->room /= 2;
        topic->seats = mem_realloc(topic->seats, topic->room * sizeof *topic->seats);
    }
}

void pubsub_table_leave(struct pubsub_subscription *s) {
    ASSERT(!s->leaving);
    s->leaving = true;
    s->subscriber->counts[s->topic->kind]--;
}

void pubsub_table_remove(struct pubsub_table *t, struct pubsub_subscription *s) {
    struct pubsub_topic *topic = s->topic;
    struct pubsub_subscriber *by = s->subscriber;
    pubsub_table_unseat(s);
    if (!s->leaving) by->counts[topic->kind]--;
    if (s->previous)
        s->previous->next = s->next;
    else
        by->first[topic->kind] = s->next;
    if (s->next)
        s->next->previous = s->previous;
    else
        by->last[topic->kind] = s->previous;
    const void *removed = hashtable_remove(&t->subscriptions, key_of_subscription(s));
    ASSERT(removed == s);
    mem_free(s);
    if (--topic->references > 0) return;
    removed = hashtable_remove(&t->topics[topic->kind], pubsub_topic_text(topic));
    ASSERT(removed == topic);
    mem_free(topic);
}

static bool topic_is_valid(const struct pubsub_topic *topic) {
    if (topic->references == 0 || topic->count > topic->references || topic->count > topic->room)
        return false;
    for (uint32_t i = 0; i < topic->count; i++) {
        const struct pubsub_subscription *s = topic->seats[i].subscription;
        if (s->topic != topic || s->seat != i + 1 ||
            topic->seats[i].receiver != s->subscriber->receiver)
            return false;
    }
    return topic->hash == hashtable_hash(pubsub_topic_text(topic));
}

bool pubsub_table_is_valid(const struct pubsub_table *t) {
    struct hashtable_iterator it;
    uint64_t references = 0;
    const struct pubsub_topic *topic;
    for (int k = 0; k < PUBSUB_KINDS; k++) {
        if (!hashtable_is_valid(&t->topics[k])) return false;
        hashtable_iterate(&it, &t->topics[k]);
        while ((topic = hashtable_next(&it)) != NULL) {
            if ((int)topic->kind != k || !topic_is_valid(topic)) return false;
            references += topic->references;
        }
    }
    if (!hashtable_is_valid(&t->subscriptions) || references != t->subscriptions.count)
        return false;
    hashtable_iterate(&it, &t->subscriptions);
    for (const struct pubsub_subscription *s; (s = hashtable_next(&it)) != NULL;) {
        if (s->previous ? s->previous->next != s : s->subscriber->first[s->topic->kind] != s)
            return false;
        if (s->seat > s->topic->count) return false;
    }
    return true;
}
