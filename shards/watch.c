// SPDX-License-Identifier: BSD-3-Clause
//
// WATCH over shards: registering and forgetting are messages to the keys' owners, who keep them
// in their keyspaces' watch tables. Invariant: an owner has a key of the set in its table exactly
// from the leg that registers it to the leg that forgets it, and messages between two shards keep
// their order, so a set is referred to by nobody once all forgetting legs are back. Called by
// multi.c and the pass of shard.c.
#include "shards/watch.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "shards/visit.h"

struct watch_leg {
    struct parked parked; // first member: waits while the owner's keyspace is lent
    struct watch_set *set;
    struct watched_key *keys; // those to register: a copy, because the set's array may move
    uint32_t count;
    uint32_t shard;
    bool forget;
};

static void set_free(struct watch_set *set) {
    for (uint32_t i = 0; i < set->count; i++) mem_free((void *)set->keys[i].key.text.p);
    mem_free(set->keys);
    mem_free(set);
}

static bool set_has(const struct watch_set *set, struct key key, uint32_t db) {
    for (uint32_t i = 0; i < set->count; i++)
        if (set->keys[i].key.hash == key.hash && set->keys[i].db == db &&
            slice_equal(set->keys[i].key.text, key.text))
            return true;
    return false;
}

static void set_add(struct watch_set *set, struct key key, uint32_t db, uint32_t shard) {
    if (set->count == set->cap) {
        set->cap = set->cap ? set->cap * 2 : 4;
        set->keys = mem_realloc(set->keys, set->cap * sizeof *set->keys);
    }
    char *text = mem_alloc(key.text.n + 1);
    if (key.text.n > 0) memcpy(text, key.text.p, key.text.n);
    key.text.p = text;
    set->keys[set->count++] = (struct watched_key){key, db, shard};
}

/** Sends one leg to each shard that owns a key of the set from `first` on. */
static void send_legs(struct watch_set *set, uint32_t first, bool forget) {
    struct shard *s = set->home;
    uint32_t n = s->fleet->nshards;
    struct watch_leg **legs = mem_calloc(n * sizeof(struct watch_leg *));
    for (uint32_t i = first; i < set->count; i++) {
        struct watch_leg **leg = &legs[set->keys[i].shard];
        if (!*leg) {
            *leg = memset(mem_alloc(sizeof **leg), 0, sizeof **leg);
            (*leg)->parked.kind = PARKED_WATCH;
            (*leg)->set = set;
            (*leg)->shard = set->keys[i].shard;
            (*leg)->forget = forget;
            (*leg)->keys = mem_alloc((set->count - first) * sizeof *set->keys);
            set->legs++;
        }
        (*leg)->keys[(*leg)->count++] = set->keys[i];
    }
    struct watch_leg *own = legs[s->id];
    legs[s->id] = NULL;
    for (uint32_t i = 0; i < n; i++)
        if (legs[i]) shard_send(s, i, MESSAGE_WATCH, legs[i]);
    mem_free(legs);
    if (own) watch_leg_arrive(s, own);
}

void watch_begin(struct connection *conn, int argc, const struct slice *argv) {
    struct shard *s = conn->shard;
    struct watch_set *set = conn->watches;
    if (!set) {
        set = mem_calloc(sizeof *set);
        set->home = s;
        conn->watches = set;
    }
    uint32_t first = set->count;
    for (int i = 1; i < argc; i++) {
        struct key key = key_of(s->keyspace, argv[i]);
        if (!set_has(set, key, conn->db)) set_add(set, key, conn->db, shard_of_key(s, argv[i]));
    }
    connection_work_begin(conn, &set->work);
    set->legs++; // our own hand on it until all legs are sent
    if (set->count > first) send_legs(set, first, false);
    if (--set->legs == 0) connection_work_done(conn, "+OK\r\n", 5);
}

void watch_forget(struct watch_set *set) {
    ASSERT(!set->forgotten && set->legs == 0);
    set->forgotten = true;
    set->legs++;
    if (set->count > 0) send_legs(set, 0, true);
    if (--set->legs == 0) set_free(set);
}

bool watch_failed(const struct watch_set *set, const struct view *view, int64_t now_ms) {
    if (atomic_load_explicit(&set->dirty, memory_order_acquire)) return true;
    for (uint32_t i = 0; i < set->count; i++) {
        const struct watched_key *w = &set->keys[i];
        const struct keyspace *ks = view->only ? view->only : view->by_shard[w->shard];
        const struct entry *e = db_find(&ks->dbs[w->db], w->key).entry;
        if (!e) continue;
        int64_t expire_ms = entry_expire_ms(e);
        if (expire_ms != ENTRY_NO_EXPIRE && expire_ms < now_ms) return true;
    }
    return false;
}

/** A key that has expired counts as absent from the start: it goes before it is watched. */
static void remove_expired(struct shard *s, const struct watched_key *w) {
    struct db *db = &s->keyspace->dbs[w->db];
    struct table_ref ref = db_find(db, w->key);
    if (!ref.entry || intents_is_lent(&s->intents, w->key.hash)) return;
    int64_t expire_ms = entry_expire_ms(ref.entry);
    if (expire_ms == ENTRY_NO_EXPIRE || expire_ms >= s->now_ms) return;
    db_remove(db, w->key, ref, DB_EXPIRED);
}

void watch_leg_arrive(struct shard *s, struct watch_leg *leg) {
    ASSERT(leg->shard == s->id);
    visit_return(s); // a connection that has just gone forgets what it watched
    if (s->intents.lent) {
        intents_park_lent(&s->intents, &leg->parked);
        return;
    }
    // A transaction whose reply is out already may not have returned its keys yet. What it
    // changed is marked when it does: a watch that began before that would see an old change as a
    // new one.
    for (uint32_t i = 0; i < leg->count && !leg->forget && s->intents.parts > 0; i++) {
        uint64_t hash = leg->keys[i].key.hash;
        if (!intents_conflict(&s->intents, hash, false, leg->parked.again)) continue;
        intents_park(&s->intents, &leg->parked, hash, false);
        return;
    }
    for (uint32_t i = 0; i < leg->count; i++) {
        const struct watched_key *w = &leg->keys[i];
        if (leg->forget) {
            keyspace_unwatch(s->keyspace, w->db, w->key, &leg->set->dirty);
        } else {
            remove_expired(s, w);
            keyspace_watch(s->keyspace, w->db, w->key, &leg->set->dirty);
        }
    }
    if (leg->set->home == s)
        watch_leg_returned(s, leg);
    else
        shard_send(s, leg->set->home->id, MESSAGE_WATCHED, leg);
}

void watch_leg_returned(struct shard *s, struct watch_leg *leg) {
    struct watch_set *set = leg->set;
    ASSERT(set->home == s && set->legs > 0);
    mem_free(leg->keys);
    mem_free(leg);
    if (--set->legs > 0) return;
    if (set->forgotten)
        set_free(set);
    else
        connection_work_done(set->work.connection, "+OK\r\n", 5);
}
