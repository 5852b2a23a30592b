// SPDX-License-Identifier: BSD-3-Clause
//
// The intents of one shard: a small hash table of locks, each with a queue ordered by ticket, and
// the list of registered parts. Runs on the shard's thread only. Invariant: an intent is `clear`
// exactly when nothing ahead of it in its queue conflicts with it, and a part is granted exactly
// when all its intents are clear and no whole-shard part with a lower ticket is registered (for a
// whole-shard part: when it has the lowest ticket). Called by the pass of shard.c and by
// transaction.c.
#include "shards/intents.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"

#define INTENTS_BUCKETS_MIN 64

struct lock {
    struct lock *next;
    uint64_t hash;
    struct intent *first, *last;
};

void intents_init(struct intents *in) {
    memset(in, 0, sizeof *in);
    in->bucket_count = INTENTS_BUCKETS_MIN;
    in->buckets = mem_calloc(in->bucket_count * sizeof *in->buckets);
}

void intents_fini(struct intents *in) {
    ASSERT(in->parts == 0 && in->lock_count == 0);
    mem_free(in->buckets);
    in->buckets = NULL;
}

// ---- locks -------------------------------------------------------------------------------------

static struct lock *lock_find(const struct intents *in, uint64_t hash) {
    struct lock *l = in->buckets[hash & (in->bucket_count - 1)];
    while (l && l->hash != hash) l = l->next;
    return l;
}

static void locks_grow(struct intents *in) {
    uint32_t count = in->bucket_count * 2;
    struct lock **buckets = mem_calloc(count * sizeof *buckets);
    for (uint32_t i = 0; i < in->bucket_count; i++) {
        struct lock *l = in->buckets[i];
        while (l) {
            struct lock *next = l->next;
            struct lock **home = &buckets[l->hash & (count - 1)];
            l->next = *home;
            *home = l;
            l = next;
        }
    }
    mem_free(in->buckets);
    in->buckets = buckets;
    in->bucket_count = count;
}

static struct lock *lock_get(struct intents *in, uint64_t hash) {
    struct lock *l = lock_find(in, hash);
    if (l) return l;
    if (in->lock_count == in->bucket_count) locks_grow(in);
    l = mem_calloc(sizeof *l);
    l->hash = hash;
    struct lock **home = &in->buckets[hash & (in->bucket_count - 1)];
    l->next = *home;
    *home = l;
    in->lock_count++;
    return l;
}

static void lock_drop(struct intents *in, struct lock *lock) {
    ASSERT(lock->first == NULL);
    struct lock **place = &in->buckets[lock->hash & (in->bucket_count - 1)];
    while (*place != lock) place = &(*place)->next;
    *place = lock->next;
    in->lock_count--;
    mem_free(lock);
}

/** Puts an intent where its ticket belongs: behind equal ones. */
static void queue_insert(struct lock *lock, struct intent *intent) {
    struct intent *after = lock->last;
    while (after && after->ticket > intent->ticket) after = after->previous;
    intent->lock = lock;
    intent->previous = after;
    intent->next = after ? after->next : lock->first;
    if (intent->next)
        intent->next->previous = intent;
    else
        lock->last = intent;
    if (after)
        after->next = intent;
    else
        lock->first = intent;
}

static void queue_remove(struct intent *intent) {
    struct lock *lock = intent->lock;
    if (intent->previous)
        intent->previous->next = intent->next;
    else
        lock->first = intent->next;
    if (intent->next)
        intent->next->previous = intent->previous;
    else
        lock->last = intent->previous;
    intent->lock = NULL;
}

// ---- granting ----------------------------------------------------------------------------------

static void ready_add(struct intents *in, struct parked *op) {
    op->next = NULL;
    if (in->ready_last)
        in->ready_last->next = op;
    else
        in->ready_first = op;
    in->ready_last = op;
}

static bool whole_ahead(const struct intents *in, const struct part *part) {
    if (in->wholes == 0) return false;
    for (const struct part *p = part->previous; p; p = p->previous)
        if (p->whole) return true;
    return false;
}

static void grant_if_due(struct intents *in, struct part *part) {
    if (part->state != PART_WAITING) return;
    if (part->whole ? part->previous != NULL : part->clear < part->intents || whole_ahead(in, part))
        return;
    part->state = PART_GRANTED;
    part->ready_next = NULL;
    if (in->granted_last)
        in->granted_last->ready_next = part;
    else
        in->granted_first = part;
    in->granted_last = part;
}

/**
 * Finds out anew which intents of a queue are clear; readies commands and grants parts that
 * became so.
 */
static void queue_settle(struct intents *in, struct lock *lock) {
    bool anything_ahead = false, write_ahead = false;
    struct intent *next;
    for (struct intent *i = lock->first; i; i = next) {
        next = i->next;
        bool clear = i->write ? !anything_ahead : !write_ahead;
        if (i->part == NULL && clear) {
            queue_remove(i);
            ready_add(in, (struct parked *)i);
            continue;
        }
        if (clear != i->clear) {
            i->clear = clear;
            ASSERT(clear || i->part->state != PART_GRANTED);
            i->part->clear += clear ? 1 : -1;
        }
        if (clear) grant_if_due(in, i->part);
        anything_ahead = true;
        write_ahead = write_ahead || i->write;
    }
    if (lock->first == NULL) lock_drop(in, lock);
}

// ---- parts -------------------------------------------------------------------------------------

static bool comes_too_late(const struct intents *in, const struct part *part) {
    for (const struct part *p = in->last; p && p->ticket > part->ticket; p = p->previous)
        if (p->state == PART_GRANTED && (p->whole || part->whole)) return true;
    if (part->whole) return false;
    for (uint32_t k = 0; k < part->key_count; k++) {
        const struct lock *lock = lock_find(in, part->keys[k].key.hash);
        if (!lock) continue;
        for (const struct intent *i = lock->last; i && i->ticket > part->ticket; i = i->previous)
            if (i->part && i->part->state == PART_GRANTED && (i->write || part->write)) return true;
    }
    return false;
}

static void list_insert(struct intents *in, struct part *part) {
    struct part *after = in->last;
    while (after && after->ticket > part->ticket) after = after->previous;
    part->previous = after;
    part->next = after ? after->next : in->first;
    if (part->next)
        part->next->previous = part;
    else
        in->last = part;
    if (after)
        after->next = part;
    else
        in->first = part;
    in->parts++;
    in->wholes += part->whole;
}

static void list_remove(struct intents *in, struct part *part) {
    if (part->previous)
        part->previous->next = part->next;
    else
        in->first = part->next;
    if (part->next)
        part->next->previous = part->previous;
    else
        in->last = part->previous;
    in->parts--;
    in->wholes -= part->whole;
}

bool intents_register(struct intents *in, struct part *part) {
    ASSERT(part->state == PART_NEW || part->state == PART_REFUSED);
    if (comes_too_late(in, part)) {
        part->state = PART_REFUSED;
        return false;
    }
    part->state = PART_WAITING;
    part->announced = false;
    part->intents = part->clear = 0;
    list_insert(in, part);
    for (uint32_t k = 0; k < part->key_count; k++) {
        struct part_key *pk = &part->keys[k];
        struct lock *lock = lock_get(in, pk->key.hash);
        pk->queued = true;
        for (struct intent *i = lock->first; i; i = i->next)
            if (i->part == part) pk->queued = false;
        if (!pk->queued) continue;
        pk->intent = (struct intent){.part = part, .ticket = part->ticket, .write = part->write};
        queue_insert(lock, &pk->intent);
        part->intents++;
    }
    for (uint32_t k = 0; k < part->key_count; k++)
        if (part->keys[k].queued) queue_settle(in, part->keys[k].intent.lock);
    grant_if_due(in, part);
    return true;
}

/** A granted part that has not been announced yet must leave the list of those. */
static void granted_remove(struct intents *in, struct part *part) {
    struct part *before = NULL;
    for (struct part *p = in->granted_first; p; before = p, p = p->ready_next) {
        if (p != part) continue;
        if (before)
            before->ready_next = p->ready_next;
        else
            in->granted_first = p->ready_next;
        if (in->granted_last == p) in->granted_last = before;
        return;
    }
}

void intents_release(struct intents *in, struct part *part) {
    ASSERT(part->state == PART_WAITING || part->state == PART_GRANTED);
    if (part->state == PART_GRANTED) {
        granted_remove(in, part);
        if (part->whole && part->announced) in->lent = false;
    }
    part->state = PART_NEW;
    list_remove(in, part);
    for (uint32_t k = 0; k < part->key_count; k++) {
        struct part_key *pk = &part->keys[k];
        if (!pk->queued) continue;
        struct lock *lock = pk->intent.lock;
        queue_remove(&pk->intent);
        pk->queued = false;
        queue_settle(in, lock);
    }
    if (!in->lent) {
        while (in->lent_first) {
            struct parked *op = in->lent_first;
            in->lent_first = op->next;
            ready_add(in, op);
        }
        in->lent_last = NULL;
    }
    if (in->wholes == 0 && !part->whole) return;
    struct part *next;
    for (struct part *p = in->first; p; p = next) {
        next = p->whole ? NULL : p->next;
        grant_if_due(in, p);
    }
}

// ---- commands ----------------------------------------------------------------------------------

bool intents_conflict(const struct intents *in, uint64_t hash, bool write, bool again) {
    const struct lock *lock = lock_find(in, hash);
    if (!lock) return false;
    for (const struct intent *i = lock->first; i; i = i->next) {
        bool ahead = !again || (i->part && i->part->announced);
        if (ahead && (write || i->write)) return true;
    }
    return false;
}

bool intents_is_lent(const struct intents *in, uint64_t hash) {
    return in->lent || lock_find(in, hash) != NULL;
}

bool intents_is_shared(const struct intents *in, uint64_t hash) {
    if (in->lent) return true;
    const struct lock *lock = lock_find(in, hash);
    for (const struct intent *i = lock ? lock->first : NULL; i; i = i->next)
        if (i->part && i->part->announced && i->part->transaction) return true;
    return false;
}

void intents_park(struct intents *in, struct parked *op, uint64_t hash, bool write) {
    struct lock *lock = lock_find(in, hash);
    ASSERT(lock && lock->last);
    op->intent = (struct intent){.part = NULL, .ticket = lock->last->ticket, .write = write};
    queue_insert(lock, &op->intent);
}

void intents_park_lent(struct intents *in, struct parked *op) {
    ASSERT(in->lent);
    op->next = NULL;
    if (in->lent_last)
        in->lent_last->next = op;
    else
        in->lent_first = op;
    in->lent_last = op;
}

struct parked *intents_next_ready(struct intents *in) {
    struct parked *op = in->ready_first;
    if (!op) return NULL;
    in->ready_first = op->next;
    if (!in->ready_first) in->ready_last = NULL;
    op->again = true;
    return op;
}

struct part *intents_next_granted(struct intents *in) {
    ASSERT(in->ready_first == NULL);
    struct part *part = in->granted_first;
    if (!part) return NULL;
    in->granted_first = part->ready_next;
    if (!in->granted_first) in->granted_last = NULL;
    part->announced = true;
    if (part->whole) in->lent = true;
    return part;
}

static bool queue_is_valid(const struct lock *lock) {
    bool anything_ahead = false, write_ahead = false;
    uint64_t ticket = 0;
    if (!lock->first) return false;
    for (const struct intent *i = lock->first; i; i = i->next) {
        bool clear = i->write ? !anything_ahead : !write_ahead;
        if (i->lock != lock || i->ticket < ticket || (i->next && i->next->previous != i))
            return false;
        if (i->part ? i->clear != clear : clear) return false;
        ticket = i->ticket;
        anything_ahead = true;
        write_ahead = write_ahead || i->write;
    }
    return true;
}

bool intents_is_valid(const struct intents *in) {
    uint32_t locks = 0, parts = 0, wholes = 0;
    for (uint32_t b = 0; b < in->bucket_count; b++)
        for (const struct lock *l = in->buckets[b]; l; l = l->next, locks++)
            if (!queue_is_valid(l)) return false;
    uint64_t ticket = 0;
    for (const struct part *p = in->first; p; p = p->next, parts++) {
        if (p->ticket < ticket || p->clear > p->intents) return false;
        ticket = p->ticket;
        bool due = p->whole ? p->previous == NULL : p->clear == p->intents && !whole_ahead(in, p);
        if (due != (p->state == PART_GRANTED)) return false;
        wholes += p->whole;
    }
    return locks == in->lock_count && parts == in->parts && wholes == in->wholes &&
           in->lent == (in->first && in->first->whole && in->first->state == PART_GRANTED &&
                        in->first->announced);
}
