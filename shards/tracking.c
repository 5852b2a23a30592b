// SPDX-License-Identifier: BSD-3-Clause
//
// The telling half of tracking: what is read, what is changed, who is told, and whose reply waits
// for that. Runs on the thread that executes, in whichever keyspaces it is. Invariants: a reader is
// in a key's record before anybody else can change the key; a hold's count is the words that are
// under way for it, and one more while its scope goes on. Called by who executes commands, by
// keyspaces through the sink of events, and by the pass of shard.c.
#include "shards/tracking.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/num.h"
#include "shards/lazyfree.h"
#include "shards/notify.h"
#include "shards/tracking_parts.h"

#define ROOM_AT_ONCE   2    // keys that one new key pushes out of a full table, at most
#define ROOM_IN_A_TICK 2000 // keys that a tick does

// ---- words and holds ---------------------------------------------------------------------------

static char *texts_of(const struct tracking_news *n) { return (char *)&n->clients[n->count]; }

struct slice tracking__news_prefix(const struct tracking_news *n) {
    return slice_of(texts_of(n), n->prefix_length);
}

struct slice tracking__news_frame(const struct tracking_news *n) {
    return slice_of(texts_of(n) + n->prefix_length, n->frame_length);
}

struct slice tracking__news_quiet(const struct tracking_news *n) {
    return slice_of(texts_of(n) + n->prefix_length + n->frame_length, n->quiet_length);
}

static char *put(char *to, struct slice text) {
    if (text.n > 0) memcpy(to, text.p, text.n);
    return to + text.n;
}

struct tracking_news *tracking__news_new(enum tracking_what what, uint32_t count,
                                         struct slice prefix, struct slice frame,
                                         struct slice quiet) {
    size_t bytes = prefix.n + frame.n + quiet.n;
    struct tracking_news *n = mem_alloc(sizeof *n + count * sizeof n->clients[0] + bytes);
    *n = (struct tracking_news){.news = {.kind = NEWS_TRACKING},
                                .what = what,
                                .weight = pubsub__weight(count + 1, frame.n),
                                .prefix_length = (uint32_t)prefix.n,
                                .frame_length = (uint32_t)frame.n,
                                .quiet_length = (uint32_t)quiet.n,
                                .count = count};
    put(put(put(texts_of(n), prefix), frame), quiet);
    return n;
}

void tracking_news_free(struct pubsub_news *news) { mem_free(news); }

void tracking__push(struct shard *s, uint32_t to, struct tracking_news *n,
                    struct tracking_hold *hold) {
    n->hold = hold;
    if (hold) atomic_fetch_add_explicit(&hold->missing, 1, memory_order_relaxed);
    pubsub__push_forced(s, to, &n->news, n->weight);
}

void tracking__drop(struct shard *s, struct tracking_hold *hold) {
    if (atomic_fetch_sub_explicit(&hold->missing, 1, memory_order_acq_rel) > 1) return;
    uint32_t home = hold->connection->shard->id;
    if (home == s->id)
        tracking_told(&hold->news);
    else
        pubsub__push(s, home, &hold->news);
}

/** The scope's hold, for a word to that shard; NULL: nobody has to wait for it. */
static struct tracking_hold *hold_for(struct shard *s, uint32_t to) {
    struct tracking_scope *scope = s->tracking->scope;
    // This shard delivers before the pass is over, and home before it sees the reply.
    if (!scope || to == s->id || to == scope->actor->shard->id) return NULL;
    if (!scope->hold) {
        scope->hold = mem_alloc(sizeof *scope->hold);
        *scope->hold = (struct tracking_hold){.news = {.kind = NEWS_TOLD},
                                              .connection = (struct connection *)scope->actor};
        atomic_init(&scope->hold->missing, 1); // the scope's own
    }
    return scope->hold;
}

struct tracking_hold *tracking_take_hold(struct shard *s) {
    struct tracking_hold *hold = s->tracking->left;
    s->tracking->left = NULL;
    return hold;
}

void tracking_returned(struct tracking_hold *hold) {
    struct connection *conn = hold->connection;
    hold->returned = true;
    if (hold->told) {
        mem_free(hold);
        return;
    }
    ASSERT(conn->holds < UINT16_MAX);
    conn->holds++;
    connection_hold(conn);
}

void tracking_told(struct pubsub_news *news) {
    struct tracking_hold *hold = (struct tracking_hold *)news;
    struct connection *conn = hold->connection;
    hold->told = true;
    if (!hold->returned) return;
    conn->holds--;
    connection_drop(conn);
    mem_free(hold);
}

void tracking_acknowledge(struct shard *s) {
    struct tracking *t = s->tracking;
    s->pubsub_busy &= ~(uint32_t)PUBSUB_TOLD;
    for (uint32_t i = 0; i < t->told_count; i++) tracking__drop(s, t->told[i]);
    t->told_count = 0;
}

// ---- scopes ------------------------------------------------------------------------------------

static void begin_scope(struct shard *s, struct tracking_scope *scope,
                        const struct connection *actor) {
    struct tracking *t = s->tracking;
    *scope =
        (struct tracking_scope){.outer = t->scope, .actor = actor, .first_change = t->change_count};
    t->scope = scope;
}

bool tracking_begin(struct shard *s, struct tracking_scope *scope, const struct connection *actor) {
    if (likely(!(s->gates & GATE_TRACKED)) || !actor) return false;
    const struct tracking_scope *outer = s->tracking->scope;
    if (outer && outer->actor == actor) return false;
    begin_scope(s, scope, actor);
    return true;
}

/** Tells all clients that may keep something. */
static void tell_all(struct shard *s) {
    const struct slice nothing = {0};
    for (uint32_t to = 0; to < s->fleet->nshards; to++) {
        if (atomic_load_explicit(&s->fleet->faces[to].trackers, memory_order_relaxed) == 0)
            continue;
        tracking__push(s, to, tracking__news_new(TELL_ALL, 0, nothing, nothing, nothing),
                       hold_for(s, to));
    }
}

static void broadcast(struct shard *s, uint32_t first, uint64_t actor);

void tracking_end(struct shard *s, struct tracking_scope *scope) {
    struct tracking *t = s->tracking;
    ASSERT(t->scope == scope);
    if (t->change_count > scope->first_change) broadcast(s, scope->first_change, scope->actor->id);
    if (scope->replaced) tell_all(s);
    t->scope = scope->outer;
    struct tracking_hold *hold = scope->hold;
    if (!hold) return;
    if (scope->actor->shard == s) {
        tracking_returned(hold);
    } else {
        ASSERT(t->left == NULL);
        t->left = hold;
    }
    tracking__drop(s, hold);
}

// ---- reading -----------------------------------------------------------------------------------

/** How many of the readers, from i on, are clients of the shard of the one at i. */
static uint32_t count_shard(const struct tracked_key *key, uint32_t i) {
    uint32_t shard = key->readers[i].shard, count = 0;
    for (; i < key->count; i++) count += key->readers[i].shard == shard;
    return count;
}

/**
 * Tells all readers of a key that was taken out, and frees it. `actor`: who has changed it, or 0.
 */
static void tell_readers(struct shard *s, struct tracked_key *key, uint64_t actor) {
    struct tracking *t = s->tracking;
    uint64_t done[SHARD_MAX / 64] = {0};
    const struct slice nothing = {0};
    struct reply frame;
    t->frame.len = 0;
    reply_init(&frame, &t->frame, 2);
    reply_array(&frame, 1);
    reply_bulk_slice(&frame, tracked_text(key));
    for (uint32_t i = 0; i < key->count; i++) {
        uint32_t to = key->readers[i].shard;
        if (done[to / 64] >> to % 64 & 1) continue;
        done[to / 64] |= UINT64_C(1) << to % 64;
        struct tracking_news *n = tracking__news_new(TELL_KEYS, count_shard(key, i), nothing,
                                                     slice_of(t->frame.p, t->frame.len), nothing);
        n->actor = actor;
        for (uint32_t r = i, at = 0; r < key->count; r++)
            if (key->readers[r].shard == to) n->clients[at++] = key->readers[r].client;
        bool only_actor = n->count == 1 && n->clients[0] == actor;
        tracking__push(s, to, n, only_actor ? NULL : hold_for(s, to));
    }
    atomic_fetch_sub_explicit(&s->fleet->tracked_keys, 1, memory_order_relaxed);
    tracked_key_free(key);
}

/** Whether there are more tracked keys than there may be, in all keyspaces. */
static bool is_full(const struct shard *s) {
    int64_t most = s->config->tracking_table_max_keys;
    return most > 0 && atomic_load_explicit(&s->fleet->tracked_keys, memory_order_relaxed) > most;
}

/** Lets go of keys, any, as if they had changed. */
static void make_room(struct shard *s, struct keyspace *ks, int most) {
    struct tracking_scope *scope = s->tracking->scope;
    s->tracking->scope = NULL; // it is nobody's doing
    for (; most > 0 && is_full(s); most--) {
        struct tracked_key *key = tracked_take_any(ks);
        if (!key) break;
        tell_readers(s, key, 0);
    }
    s->tracking->scope = scope;
}

/** Lets go of all keys of a keyspace; nobody is told here. */
static void forget_all(struct shard *s, struct keyspace *ks) {
    atomic_fetch_sub_explicit(&s->fleet->tracked_keys, (int64_t)tracked_keys(ks),
                              memory_order_relaxed);
    lazyfree_tracked(tracked_take_all(ks));
}

static void remember_key(struct shard *s, struct keyspace *ks, struct slice key,
                         struct tracked_reader reader) {
    if (!tracked_add(ks, key, reader)) return;
    atomic_fetch_add_explicit(&s->fleet->tracked_keys, 1, memory_order_relaxed);
    if (unlikely(is_full(s))) make_room(s, ks, ROOM_AT_ONCE);
}

/** Notes that a client has read the keys of a command. */
static void remember(struct shard *s, struct cmd *c) {
    struct tracked_reader reader = {c->client->id, c->client->shard->id};
    struct key_list keys;
    key_list_init(&keys, c->spec, c->argc, c->argv);
    for (int i = 0; i < keys.count; i++) {
        struct slice key = c->argv[keys.at[i].arg];
        remember_key(s, cmd_db(c, key)->keyspace, key, reader);
    }
    key_list_fini(&keys);
}

/** What waits, and is served later, on another shard's thread, is not remembered: blocked.c. */
static bool is_remembered(const struct shard *s, const struct cmd *c) {
    return (c->flags & CMD_CTX_TRACKED) && (c->spec->flags & COMMAND_READONLY) &&
           !(c->block && (c->block->wanted || c->client->shard != s)) && c->only_arg == 0;
}

void shard__run_tracked(struct shard *s, struct cmd *c) {
    struct tracking_scope scope;
    bool own = tracking_begin(s, &scope, c->client);
    cmd_run(c);
    if (c->client && is_remembered(s, c)) remember(s, c);
    if (own) tracking_end(s, &scope);
}

void tracking_put_back(struct shard *s, struct keyspace *ks, struct tracked_key *tracked) {
    if (!tracked_put(ks, tracked))
        atomic_fetch_sub_explicit(&s->fleet->tracked_keys, 1, memory_order_relaxed);
}

// ---- changing ----------------------------------------------------------------------------------

/** Takes over a newer list of prefixes, if there is one. Whether there are any prefixes. */
static bool has_prefixes(struct shard *s) {
    struct tracking *t = s->tracking;
    uint64_t newest = atomic_load_explicit(&s->fleet->tracking_version, memory_order_acquire);
    if (unlikely(newest != t->version)) {
        t->prefixes = tracking_prefixes_refresh(s->fleet, t->prefixes);
        t->version = t->prefixes ? t->prefixes->version : 0;
    }
    return t->prefixes && t->prefixes->count > 0;
}

static bool begins_with(struct slice text, struct slice prefix) {
    return text.n >= prefix.n && (prefix.n == 0 || memcmp(text.p, prefix.p, prefix.n) == 0);
}

static bool is_broadcast(const struct tracking_prefixes *p, struct slice key) {
    for (uint32_t i = 0; i < p->count; i++)
        if (begins_with(key, p->v[i].text)) return true;
    return false;
}

static void note_change(struct tracking *t, struct slice key, bool by_actor) {
    if (t->change_count == t->change_room) {
        t->change_room = t->change_room ? t->change_room * 2 : 16;
        t->changes = mem_realloc(t->changes, t->change_room * sizeof *t->changes);
    }
    char *text = mem_alloc(key.n + 1);
    put(text, key);
    t->changes[t->change_count] = (struct tracking_change){
        .text = text, .length = (uint32_t)key.n, .order = t->change_count, .by_actor = by_actor};
    t->change_count++;
}

void tracking_modified(void *context, struct db *db, struct key key, bool removed) {
    struct shard *s = context;
    struct tracking *t = s->tracking;
    const struct tracking_scope *scope = t->scope;
    struct tracked_key *tracked = tracked_take(db->keyspace, key.text);
    if (tracked) tell_readers(s, tracked, scope ? scope->actor->id : 0);
    if (!has_prefixes(s) || !is_broadcast(t->prefixes, key.text)) return;
    note_change(t, key.text, scope && !removed);
    if (!scope) s->pubsub_busy |= PUBSUB_CHANGED;
}

void tracking_replaced(void *context, struct keyspace *ks) {
    struct shard *s = context;
    forget_all(s, ks);
    if (s->tracking->scope) {
        s->tracking->scope->replaced = true;
        return;
    }
    // Nobody's command: each shard does it for itself.
    const struct slice nothing = {0};
    tracking__push(s, s->id, tracking__news_new(TELL_ALL, 0, nothing, nothing, nothing), NULL);
}

// ---- broadcasting ------------------------------------------------------------------------------

static struct slice change_text(const struct tracking_change *c) {
    return slice_of(c->text, c->length);
}

static int order(const void *a, const void *b) {
    const struct tracking_change *x = a, *y = b;
    int text = slice_compare(change_text(x), change_text(y));
    return text != 0 ? text : x->order < y->order ? -1 : x->order > y->order;
}

/** Sorts changes by text, and leaves the latest of each key. Returns how many are left. */
static uint32_t tidy(struct tracking_change *v, uint32_t count) {
    qsort(v, count, sizeof *v, order);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool later = i + 1 < count && slice_equal(change_text(&v[i]), change_text(&v[i + 1]));
        if (later)
            mem_free(v[i].text);
        else
            v[kept++] = v[i];
    }
    return kept;
}

/** Appends the keys with a prefix as an array. `quiet`: but for the actor's. How many those are. */
static uint32_t put_keys(struct buf *out, const struct tracking_change *v, uint32_t count,
                         struct slice prefix, bool quiet) {
    uint32_t keys = 0;
    for (uint32_t i = 0; i < count; i++)
        keys += begins_with(change_text(&v[i]), prefix) && !(quiet && v[i].by_actor);
    if (keys == 0) return 0;
    struct reply frame;
    reply_init(&frame, out, 2);
    reply_array(&frame, keys);
    for (uint32_t i = 0; i < count; i++)
        if (begins_with(change_text(&v[i]), prefix) && !(quiet && v[i].by_actor))
            reply_bulk_slice(&frame, change_text(&v[i]));
    return keys;
}

static void broadcast_prefix(struct shard *s, const struct tracking_prefix *prefix,
                             const struct tracking_change *v, uint32_t count, uint64_t actor) {
    struct buf *out = &s->tracking->frame;
    out->len = 0;
    if (put_keys(out, v, count, prefix->text, false) == 0) return;
    size_t whole = out->len;
    if (actor != 0) put_keys(out, v, count, prefix->text, true);
    struct slice frame = slice_of(out->p, whole),
                 quiet = slice_of(out->p + whole, out->len - whole);
    for (uint32_t to = 0; to < s->fleet->nshards; to++) {
        if (prefix->clients[to] == 0) continue;
        struct tracking_news *n = tracking__news_new(TELL_PREFIX, 0, prefix->text, frame, quiet);
        n->actor = actor;
        n->weight *= prefix->clients[to];
        tracking__push(s, to, n, hold_for(s, to));
    }
}

/** Tells what has changed since the shard's list was so long. */
static void broadcast(struct shard *s, uint32_t first, uint64_t actor) {
    struct tracking *t = s->tracking;
    struct tracking_change *v = t->changes + first;
    uint32_t count = tidy(v, t->change_count - first);
    t->change_count = first;
    for (uint32_t i = 0; has_prefixes(s) && i < t->prefixes->count; i++)
        broadcast_prefix(s, &t->prefixes->v[i], v, count, actor);
    for (uint32_t i = 0; i < count; i++) mem_free(v[i].text);
}

void tracking_flush(struct shard *s) {
    ASSERT(s->tracking->scope == NULL);
    s->pubsub_busy &= ~(uint32_t)PUBSUB_CHANGED;
    if (s->tracking->change_count > 0) broadcast(s, 0, 0);
}

// ---- the shard's part --------------------------------------------------------------------------

void tracking_raise(struct shard *s) {
    if (s->tracking->on) return;
    s->tracking->on = true;
    s->gates |= GATE_TRACKED;
    notify_configure(s);
}

static void lower(struct shard *s) {
    s->tracking->on = false;
    s->gates &= ~(uint32_t)GATE_TRACKED;
    notify_configure(s);
}

void tracking_tick(struct shard *s) {
    struct keyspace *ks = s->keyspace;
    bool anybody = atomic_load_explicit(&s->fleet->tracking_clients, memory_order_relaxed) > 0;
    if (!anybody && s->tracking->on) lower(s);
    if (s->intents.lent || !ks->tracked) return;
    if (anybody) {
        make_room(s, ks, ROOM_IN_A_TICK);
        return;
    }
    forget_all(s, ks);
}
