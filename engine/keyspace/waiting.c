// SPDX-License-Identifier: BSD-3-Clause
//
// The table of waited-for keys: a chained hash table over (database, key), each key with its queue,
// and the list of ready keys, whose head stands in the keyspace itself so that it can be looked at
// after every command. Same thread as the keyspace. Invariant: `ready` says whether a key is in the
// list; nothing is in a queue of a key that is not in the table. Called by keyspace.c and by
// whoever makes clients wait.
#include "engine/keyspace/waiting.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"

#define FIRST_CHAINS 16

struct waiting_table {
    uint64_t count;
    uint64_t mask;       // chains - 1
    uint64_t on_missing; // keys with somebody who waits for their deletion as well
    struct waiting_key **chains;
    struct waiting_key *ready_last;
    struct waiting_key *aside; // set aside, and held until waiting_resume()
};

static struct waiting_table *table_new(void) {
    struct waiting_table *t = mem_calloc(sizeof *t);
    t->mask = FIRST_CHAINS - 1;
    t->chains = mem_calloc(FIRST_CHAINS * sizeof *t->chains);
    return t;
}

static void grow(struct waiting_table *t) {
    uint64_t mask = t->mask * 2 + 1;
    struct waiting_key **chains = mem_calloc((mask + 1) * sizeof *chains);
    for (uint64_t i = 0; i <= t->mask; i++) {
        struct waiting_key *next;
        for (struct waiting_key *k = t->chains[i]; k != NULL; k = next) {
            next = k->next;
            k->next = chains[k->hash & mask];
            chains[k->hash & mask] = k;
        }
    }
    mem_free(t->chains);
    t->chains = chains;
    t->mask = mask;
}

static struct waiting_key *find(const struct waiting_table *t, uint32_t db, struct key key) {
    struct waiting_key *k = t->chains[key.hash & t->mask];
    while (k != NULL && !(k->hash == key.hash && k->db == db &&
                          slice_equal(slice_of(k->text, k->klen), key.text)))
        k = k->next;
    return k;
}

static struct waiting_key *add(struct waiting_table *t, uint32_t db, struct key key) {
    if (t->count > t->mask) grow(t);
    struct waiting_key *k = mem_calloc(sizeof *k + key.text.n);
    k->hash = key.hash;
    k->db = db;
    k->klen = (uint32_t)key.text.n;
    if (key.text.n > 0) memcpy(k->text, key.text.p, key.text.n);
    k->next = t->chains[key.hash & t->mask];
    t->chains[key.hash & t->mask] = k;
    t->count++;
    return k;
}

static void ready_add(struct keyspace *ks, struct waiting_key *k) {
    if (k->ready) return;
    k->ready = true;
    k->ready_next = NULL;
    if (ks->ready != NULL)
        ks->waiting->ready_last->ready_next = k;
    else
        ks->ready = k;
    ks->waiting->ready_last = k;
}

static void ready_remove(struct keyspace *ks, struct waiting_key *k) {
    struct waiting_key **at = &ks->ready, *before = NULL;
    while (*at != k) {
        before = *at;
        at = &before->ready_next;
    }
    *at = k->ready_next;
    if (ks->waiting->ready_last == k) ks->waiting->ready_last = before;
    k->ready = false;
}

/** Takes a key that nobody waits for out of the table; the last one takes the table along. */
static void drop_if_unused(struct keyspace *ks, struct waiting_key *k) {
    struct waiting_table *t = ks->waiting;
    if (k->first != NULL || k->held) return;
    if (k->ready) ready_remove(ks, k);
    struct waiting_key **at = &t->chains[k->hash & t->mask];
    while (*at != k) at = &(*at)->next;
    *at = k->next;
    mem_free(k);
    if (--t->count > 0) return;
    ASSERT(t->aside == NULL);
    waiting__free(t);
    ks->waiting = NULL;
}

void keyspace_wait(struct keyspace *ks, uint32_t db, struct key key, struct waiting *w) {
    ASSERT(db < ks->ndbs && w->key == NULL);
    if (ks->waiting == NULL) ks->waiting = table_new();
    struct waiting_key *k = find(ks->waiting, db, key);
    if (k == NULL) k = add(ks->waiting, db, key);
    w->key = k;
    w->next = NULL;
    w->previous = k->last;
    if (k->last != NULL)
        k->last->next = w;
    else
        k->first = w;
    k->last = w;
    if (w->on_missing && k->on_missing++ == 0) ks->waiting->on_missing++;
}

void keyspace_unwait(struct keyspace *ks, struct waiting *w) {
    struct waiting_key *k = w->key;
    ASSERT(k != NULL);
    if (w->previous != NULL)
        w->previous->next = w->next;
    else
        k->first = w->next;
    if (w->next != NULL)
        w->next->previous = w->previous;
    else
        k->last = w->previous;
    w->key = NULL;
    w->previous = w->next = NULL;
    if (w->on_missing && --k->on_missing == 0) ks->waiting->on_missing--;
    if (k->first != NULL)
        ready_add(ks, k);
    else
        drop_if_unused(ks, k);
}

uint64_t keyspace_waited_keys(const struct keyspace *ks) {
    return ks->waiting != NULL ? ks->waiting->count : 0;
}

uint64_t keyspace_waited_on_missing(const struct keyspace *ks) {
    return ks->waiting != NULL ? ks->waiting->on_missing : 0;
}

void waiting_touch(struct keyspace *ks, uint32_t db, struct key key) {
    struct waiting_key *k = ks->waiting != NULL ? find(ks->waiting, db, key) : NULL;
    if (k != NULL) ready_add(ks, k);
}

void waiting_touch_all(struct keyspace *ks, uint32_t db) {
    struct waiting_table *t = ks->waiting;
    for (uint64_t i = 0; t != NULL && i <= t->mask; i++)
        for (struct waiting_key *k = t->chains[i]; k != NULL; k = k->next)
            if (db == UINT32_MAX || k->db == db) ready_add(ks, k);
}

struct waiting_key *waiting_next_ready(struct keyspace *ks) {
    struct waiting_key *k;
    do { // whoever still holds one says what becomes of it
        k = ks->ready;
        if (k == NULL) return NULL;
        ks->ready = k->ready_next;
        k->ready = false;
    } while (k->held);
    k->held = true;
    return k;
}

void waiting_done(struct keyspace *ks, struct waiting_key *key) {
    ASSERT(key->held);
    key->held = false;
    drop_if_unused(ks, key);
}

void waiting_set_aside(struct keyspace *ks, struct waiting_key *key) {
    ASSERT(key->held);
    key->aside_next = ks->waiting->aside;
    ks->waiting->aside = key;
}

void waiting_resume(struct keyspace *ks) {
    while (ks->waiting != NULL && ks->waiting->aside != NULL) {
        struct waiting_key *key = ks->waiting->aside;
        ks->waiting->aside = key->aside_next;
        bool waited_for = key->first != NULL;
        waiting_done(ks, key);
        if (waited_for) ready_add(ks, key);
    }
}

void waiting__free(struct waiting_table *t) {
    if (t == NULL) return;
    ASSERT(t->count == 0);
    mem_free(t->chains);
    mem_free(t);
}

bool waiting__is_valid(const struct keyspace *ks) {
    const struct waiting_table *t = ks->waiting;
    if (t == NULL) return ks->ready == NULL;
    uint64_t count = 0, ready = 0, on_missing = 0;
    for (uint64_t i = 0; i <= t->mask; i++) {
        for (const struct waiting_key *k = t->chains[i]; k != NULL; k = k->next) {
            if ((k->hash & t->mask) != i || (k->first == NULL && !k->held)) return false;
            const struct waiting *before = NULL;
            uint32_t missing = 0;
            for (const struct waiting *w = k->first; w != NULL; w = w->next) {
                if (w->previous != before || w->key != k) return false;
                missing += w->on_missing;
                before = w;
            }
            if (k->on_missing != missing) return false;
            on_missing += missing > 0;
            if (k->last != before) return false;
            count++;
            ready += k->ready;
        }
    }
    for (const struct waiting_key *k = ks->ready; k != NULL; k = k->ready_next) {
        if (!k->ready || ready == 0) return false;
        if (k->ready_next == NULL && t->ready_last != k) return false;
        ready--;
    }
    return ready == 0 && count == t->count && count > 0 && on_missing == t->on_missing;
}
