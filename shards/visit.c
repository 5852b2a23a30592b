// SPDX-License-Identifier: BSD-3-Clause
//
// The doors. Each function runs on the thread of the shard it is given; what it does to another
// shard goes through that shard's door. Invariants: a keyspace, and what is parked or held for it,
// is touched by whoever the door says is in; who waits at a door is in nowhere, so nobody waits
// for ever; a visit ends with its batch. Called by the pass of shard.c, by batch.c,
// and by who runs commands over several shards.
#include "shards/visit.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OWNER_LOOKS   500 // at the door before it sleeps: longer than most batches take
#define VISITOR_LOOKS 30  // before it sends requests instead: less than their messages cost

static void futex(_Atomic uint32_t *word, int operation, uint32_t value) {
    long rc = syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
    ASSERT(rc >= 0 || errno == EAGAIN || errno == EINTR);
}

/** Tells the processor that this is a loop that waits. */
static inline void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static uint32_t look(_Atomic uint32_t *door) {
    return atomic_load_explicit(door, memory_order_relaxed);
}

/** Moves the door from one state to another, if it is in that state. */
static bool move(_Atomic uint32_t *door, uint32_t from, uint32_t to) {
    return atomic_compare_exchange_strong(door, &from, to);
}

// ---- the owner ---------------------------------------------------------------------------------

void visit__leave(struct shard *s) {
    _Atomic uint32_t *door = &s->fleet->faces[s->id].door;
    if (look(door) == DOOR_OWNED) atomic_store_explicit(door, DOOR_OPEN, memory_order_release);
}

/** Waits for the visitor, which leaves the door to the owner. */
static void await(_Atomic uint32_t *door) {
    for (int i = 0; i < OWNER_LOOKS; i++) {
        if (atomic_load_explicit(door, memory_order_acquire) == DOOR_OWNED) return;
        relax();
    }
    if (!move(door, DOOR_AWAITED, DOOR_ASLEEP)) return;
    while (atomic_load_explicit(door, memory_order_acquire) != DOOR_OWNED)
        futex(door, FUTEX_WAIT_PRIVATE, DOOR_ASLEEP);
}

void visit__return(struct shard *s) {
    _Atomic uint32_t *door = &s->fleet->faces[s->id].door;
    if (look(door) == DOOR_OWNED) return;
    ASSERT(s->visited_count == 0);
    while (unlikely(!move(door, DOOR_OPEN, DOOR_OWNED))) {
        if (!move(door, DOOR_VISITED, DOOR_AWAITED)) continue;
        s->stats.visits_awaited++;
        await(door);
        return;
    }
}

// ---- the visitor -------------------------------------------------------------------------------

static bool enter(struct shard *s, uint32_t to) {
    _Atomic uint32_t *door = &s->fleet->faces[to].door;
    for (int i = 0; !(look(door) == DOOR_OPEN && move(door, DOOR_OPEN, DOOR_VISITED)); i++) {
        if (i == VISITOR_LOOKS) return false;
        relax();
    }
    s->visited[to] = true;
    s->visits[s->visited_count++] = to;
    return true;
}

static void leave(struct shard *s, uint32_t to) {
    _Atomic uint32_t *door = &s->fleet->faces[to].door;
    s->visited[to] = false;
    // A keyspace that is lent as a whole is somebody else's, whoever is at the door.
    if (!s->fleet->shards[to]->intents.lent)
        s->fleet->keyspaces[to]->events = s->fleet->shards[to]->sink;
    // Its owner may sleep on, and whoever asks what can be evicted must see what came now.
    if (unlikely(s->eviction.limit != 0)) eviction_show(s->fleet->shards[to]);
    if (likely(move(door, DOOR_VISITED, DOOR_OPEN))) return;
    if (atomic_exchange(door, DOOR_OWNED) == DOOR_ASLEEP) futex(door, FUTEX_WAKE_PRIVATE, 1);
}

bool visit_also(struct shard *s, uint32_t shard) {
    if (shard == s->id) return s->intents.parts == 0;
    if (s->visited[shard]) return true;
    if (!enter(s, shard)) return false;
    if (s->fleet->shards[shard]->intents.parts == 0) {
        s->fleet->keyspaces[shard]->events = s->sink;
        return true;
    }
    s->visited_count--;
    leave(s, shard);
    return false;
}

bool visit_keys(struct shard *s, uint32_t db, const struct command *spec, int argc,
                const struct slice *argv, bool write) {
    struct key_list keys;
    key_list_init(&keys, spec, argc, argv);
    bool all = keys.count <= VISIT_KEYS_MAX;
    for (int i = 0; i < keys.count && all; i++) {
        struct slice key = argv[keys.at[i].arg];
        uint32_t shard = shard_of_key(s, key);
        all = visit_also(s, shard) && !(write && visit_meets(s, shard, db, key));
    }
    key_list_fini(&keys);
    return all;
}

enum visit_stay visit_tables(struct shard *s, uint32_t shard) {
    if (shard == s->id) {
        visit_return(s);
        return VISIT_IN;
    }
    if (s->visited[shard]) return VISIT_IN;
    return enter(s, shard) ? VISIT_ENTERED : VISIT_REFUSED;
}

void visit_tables_end(struct shard *s, uint32_t shard, enum visit_stay stay) {
    ASSERT(stay != VISIT_REFUSED);
    if (stay == VISIT_IN) return;
    s->visited_count--;
    leave(s, shard);
}

void visit_begin(struct shard *s, const struct parsed *commands, int count) {
    visit_return(s);
    ASSERT(s->visited_count == 0);
    uint32_t refused = s->id; // the latest that was not to be entered
    for (int i = 0; i < count; i++) {
        uint32_t shard = commands[i].shard;
        if (shard == s->id || shard == refused || shard >= s->fleet->nshards) continue;
        if (!visit_also(s, shard)) refused = shard;
    }
}

int64_t visit_now_us(const struct shard *s) {
    int64_t now_us = s->now_us;
    for (uint32_t i = 0; i < s->visited_count; i++) {
        int64_t other_us = s->fleet->shards[s->visits[i]]->now_us;
        if (other_us > now_us) now_us = other_us;
    }
    return now_us;
}

void visit_end(struct shard *s) {
    while (s->visited_count > 0) leave(s, s->visits[--s->visited_count]);
}
