// SPDX-License-Identifier: BSD-3-Clause
//
// Transactions: the coordinator's side (describe, start, run, return) and the participants'
// (register, lend, take back). Each function runs on the one shard that its comment names.
// Invariant: an entry is in exactly one keyspace, its owner's or the transaction's private one,
// except that entries lent for reading stay with the owner and nobody changes or frees them until
// the part is back. Called by dispatch.c, multi.c and, for messages, by the pass of shard.c.
#include "shards/transaction.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "engine/keyspace/waiting.h"
#include "shards/blocked.h"
#include "shards/lazyfree.h"
#include "shards/snapshot_walk.h"
#include "shards/tracking.h"

#define TRANSACTION_MAGIC 0x5452414e53414354u

/** A key as described, before the parts are made. */
struct wanted {
    size_t text; // offset in `texts`
    size_t length;
    uint64_t hash;
    uint32_t shard;
    bool data;    // its entry
    bool watched; // that it has not changed
};

struct transaction {
    struct work work; // of the connection, if there is one; first member
    uint64_t magic;
    struct shard *shard; // coordinator
    void (*run)(struct transaction *t, void *context);
    void *context;
    bool write, whole, running, withdrawing;
    uint32_t db;
    uint32_t whole_shard; // or UINT32_MAX: all
    struct wanted *wanted;
    uint32_t wanted_count, wanted_cap;
    struct buf texts;
    uint32_t *index; // open addressing: position in wanted, plus one
    uint32_t index_size;
    struct part **parts;
    uint32_t part_count, granted, acknowledgements;
    struct part_key **places; // by position in wanted
    struct keyspace *private;
    struct keyspace **by_shard; // whole, all shards
    struct view view;
    int64_t now_ms;
};

// ---- describing (coordinator) ------------------------------------------------------------------

struct transaction *transaction_new_own(struct shard *s, bool write, uint32_t db,
                                        void (*run)(struct transaction *t, void *context),
                                        void *context) {
    struct transaction *t = mem_calloc(sizeof *t);
    t->magic = TRANSACTION_MAGIC;
    t->shard = s;
    t->write = write;
    t->db = db;
    t->run = run;
    t->context = context;
    return t;
}

struct transaction *transaction_new(struct connection *conn, bool write, uint32_t db,
                                    void (*run)(struct transaction *t, void *context),
                                    void *context) {
    struct transaction *t = transaction_new_own(conn->shard, write, db, run, context);
    connection_work_begin(conn, &t->work);
    return t;
}

struct shard *transaction_shard(const struct transaction *t) {
    return t->shard;
}

/** Whether to its client there is no other shard than this. */
static bool is_alone(const struct transaction *t) {
    return t->work.connection != NULL && connection_is_node(t->work.connection);
}

/**
 * The position of a key in wanted, or the free place in the index where it belongs (*found
 * false).
 */
static uint32_t index_find(const struct transaction *t, struct slice key, uint64_t hash,
                           bool *found) {
    uint32_t mask = t->index_size - 1;
    uint32_t at = (uint32_t)(hash >> 7) & mask;
    for (; t->index[at]; at = (at + 1) & mask) {
        const struct wanted *w = &t->wanted[t->index[at] - 1];
        if (w->hash != hash || w->length != key.n) continue;
        if (key.n > 0 && memcmp(t->texts.p + w->text, key.p, key.n) != 0) continue;
        *found = true;
        return t->index[at] - 1;
    }
    *found = false;
    return at;
}

static void index_grow(struct transaction *t) {
    uint32_t size = t->index_size ? t->index_size * 2 : 16;
    mem_free(t->index);
    t->index = mem_calloc(size * sizeof *t->index);
    t->index_size = size;
    for (uint32_t i = 0; i < t->wanted_count; i++) {
        uint32_t at = (uint32_t)(t->wanted[i].hash >> 7) & (size - 1);
        while (t->index[at]) at = (at + 1) & (size - 1);
        t->index[at] = i + 1;
    }
}

void transaction_add_key(struct transaction *t, struct slice key, bool data) {
    ASSERT(!t->whole && t->parts == NULL);
    if (t->wanted_count * 2 >= t->index_size) index_grow(t);
    uint64_t hash = key_of(t->shard->keyspace, key).hash;
    bool found;
    uint32_t at = index_find(t, key, hash, &found);
    if (found) {
        t->wanted[at].data |= data;
        t->wanted[at].watched |= !data;
        return;
    }
    if (t->wanted_count == t->wanted_cap) {
        t->wanted_cap = t->wanted_cap ? t->wanted_cap * 2 : 8;
        t->wanted = mem_realloc(t->wanted, t->wanted_cap * sizeof *t->wanted);
    }
    t->wanted[t->wanted_count++] = (struct wanted){.text = t->texts.len,
                                                   .length = key.n,
                                                   .hash = hash,
                                                   .shard = shard_of_key(t->shard, key),
                                                   .data = data,
                                                   .watched = !data};
    buf_append(&t->texts, key.p, key.n);
    t->index[at] = t->wanted_count;
}

void transaction_add_whole(struct transaction *t, uint32_t shard) {
    ASSERT(t->wanted_count == 0 && t->parts == NULL);
    t->whole = true;
    t->whole_shard = shard;
}

const struct view *transaction_view(const struct transaction *t) {
    ASSERT(t->running);
    return &t->view;
}

int64_t transaction_now_ms(const struct transaction *t) {
    ASSERT(t->running);
    return t->now_ms;
}

bool transaction_watch_expired(const struct transaction *t) {
    for (uint32_t i = 0; i < t->wanted_count; i++)
        if (t->wanted[i].watched && t->places[i]->expired) return true;
    return false;
}

// ---- parts (coordinator) -----------------------------------------------------------------------

static struct part *part_new(struct transaction *t, uint32_t shard, uint32_t keys, size_t bytes) {
    size_t size = sizeof(struct part) + keys * sizeof(struct part_key) + bytes;
    struct part *part = memset(mem_alloc(size), 0, size);
    part->transaction = t;
    part->shard = shard;
    part->db = t->db;
    part->write = t->write;
    part->whole = t->whole;
    return part;
}

static void make_whole_parts(struct transaction *t) {
    uint32_t n = t->shard->fleet->nshards;
    bool all = t->whole_shard == UINT32_MAX;
    t->part_count = all ? n : 1;
    t->parts = mem_alloc(t->part_count * sizeof *t->parts);
    for (uint32_t i = 0; i < t->part_count; i++)
        t->parts[i] = part_new(t, all ? i : t->whole_shard, 0, 0);
}

/** One part for each shard that has a key; each holds copies of its keys' texts. */
static void make_key_parts(struct transaction *t) {
    uint32_t n = t->shard->fleet->nshards;
    uint32_t *keys = mem_calloc(n * sizeof *keys);
    size_t *bytes = mem_calloc(n * sizeof *bytes);
    struct part **by_shard = mem_calloc(n * sizeof(struct part *));
    t->parts = mem_alloc(n * sizeof(struct part *));
    t->places = mem_alloc(t->wanted_count * sizeof(struct part_key *));
    for (uint32_t i = 0; i < t->wanted_count; i++) {
        keys[t->wanted[i].shard]++;
        bytes[t->wanted[i].shard] += t->wanted[i].length;
    }
    for (uint32_t i = 0; i < t->wanted_count; i++) {
        const struct wanted *w = &t->wanted[i];
        struct part *part = by_shard[w->shard];
        if (!part) {
            part = part_new(t, w->shard, keys[w->shard], bytes[w->shard]);
            part->key_count = keys[w->shard];
            by_shard[w->shard] = t->parts[t->part_count++] = part;
            keys[w->shard] = 0;
            bytes[w->shard] = 0;
        }
        uint32_t k = keys[w->shard]++;
        char *text = (char *)&part->keys[part->key_count] + bytes[w->shard];
        bytes[w->shard] += w->length;
        if (w->length > 0) memcpy(text, t->texts.p + w->text, w->length);
        part->keys[k].key = (struct key){slice_of(text, w->length), w->hash};
        part->keys[k].data = w->data;
        t->places[i] = &part->keys[k];
    }
    mem_free(keys);
    mem_free(bytes);
    mem_free(by_shard);
}

/** Takes a ticket and asks all participants. */
static void request_intents(struct transaction *t) {
    struct shard *s = t->shard;
    uint64_t ticket = atomic_fetch_add_explicit(&s->fleet->ticket, 1, memory_order_relaxed) + 1;
    t->granted = 0;
    t->withdrawing = false;
    struct part *own = NULL;
    for (uint32_t i = 0; i < t->part_count; i++) {
        struct part *part = t->parts[i];
        part->ticket = ticket;
        part->state = PART_NEW;
        if (part->shard == s->id) {
            own = part;
        } else {
            ASSERT(!is_alone(t));
            shard_send(s, part->shard, MESSAGE_INTENT, part);
        }
    }
    if (own) transaction_part_arrive(s, own);
}

void transaction_begin(struct transaction *t) {
    t->shard->stats.transactions++;
    if (t->whole)
        make_whole_parts(t);
    else
        make_key_parts(t);
    ASSERT(t->part_count > 0);
    request_intents(t);
}

void transaction_start(struct transaction *t) {
    struct shard *s = t->shard;
    transaction_begin(t);
    shard_settle(s);
}

// ---- lending (participant) ---------------------------------------------------------------------

static void lend_entry(struct shard *s, struct part *part, struct part_key *pk,
                       struct table_ref ref) {
    struct db *db = &s->keyspace->dbs[part->db];
    int64_t expire_ms = entry_expire_ms(ref.entry);
    if (expire_ms != ENTRY_NO_EXPIRE && expire_ms < s->now_ms) {
        pk->expired = true;
        if (part->write) {
            db_remove(db, pk->key, ref, DB_EXPIRED);
        }
        return;
    }
    if (!pk->data) return;
    pk->entry = part->write ? db_detach(db, pk->key, ref) : ref.entry;
}

static void lend_key(struct shard *s, struct part *part, struct part_key *pk) {
    struct db *db = &s->keyspace->dbs[part->db];
    struct table_ref ref = db_find(db, pk->key);
    pk->entry = NULL;
    pk->touched = pk->expired = false;
    // Those who have read it are told by who changes it, also when nothing is there.
    pk->tracked = NULL;
    if (ref.entry) lend_entry(s, part, pk, ref);
    if (part->write && pk->data) pk->tracked = tracked_take(s->keyspace, pk->key.text);
}

static void take_back_keys(struct shard *s, struct part *part) {
    struct db *db = &s->keyspace->dbs[part->db];
    for (uint32_t k = 0; k < part->key_count; k++) {
        struct part_key *pk = &part->keys[k];
        if (part->write && pk->entry) db_attach(db, pk->key, pk->entry);
        if (pk->tracked) tracking_put_back(s, s->keyspace, pk->tracked);
        if (pk->touched) db_modified_elsewhere(db, pk->key);
        // Whoever came to wait for the key has not seen it.
        if (part->write) waiting_touch(s->keyspace, part->db, pk->key);
        pk->entry = NULL;
        pk->tracked = NULL;
    }
}

void transaction_grant(struct shard *s, struct part *part) {
    ASSERT_SHARD(s);
    ASSERT(part->state == PART_GRANTED && part->shard == s->id);
    part->now_ms = s->now_ms;
    if (part->whole) part->keyspace = s->keyspace;
    for (uint32_t k = 0; k < part->key_count; k++) lend_key(s, part, &part->keys[k]);
    struct shard *coordinator = part->transaction->shard;
    if (coordinator == s)
        transaction_part_granted(s, part);
    else
        shard_send(s, coordinator->id, MESSAGE_GRANT, part);
}

void transaction_part_arrive(struct shard *s, struct part *part) {
    if (unlikely(s->share != NULL) && part->write && !s->intents.lent)
        for (uint32_t k = 0; k < part->key_count; k++)
            snapshot_walk_claim(s, part->db, part->keys[k].key);
    if (intents_register(&s->intents, part)) return;
    struct shard *coordinator = part->transaction->shard;
    if (coordinator == s)
        transaction_part_refused(s, part);
    else
        shard_send(s, coordinator->id, MESSAGE_REFUSED, part);
}

void transaction_part_return(struct shard *s, struct part *part) {
    ASSERT(part->state == PART_GRANTED && part->shard == s->id);
    take_back_keys(s, part);
    if (unlikely(part->whole)) {
        s->keyspace->events = s->sink;
        snapshot_walk_adopt(s);
    }
    intents_release(&s->intents, part);
    mem_free(part);
}

void transaction_part_withdraw(struct shard *s, struct part *part) {
    if (part->state == PART_GRANTED) take_back_keys(s, part);
    if (part->state != PART_REFUSED) intents_release(&s->intents, part);
    struct shard *coordinator = part->transaction->shard;
    if (coordinator == s)
        transaction_part_withdrawn(s, part);
    else
        shard_send(s, coordinator->id, MESSAGE_WITHDRAWN, part);
}

// ---- running (coordinator) ---------------------------------------------------------------------

/** A key of the private keyspace changed: its owner will tell the watchers. */
static void on_private_modified(void *context, struct db *db, struct key key) {
    struct transaction *t = context;
    ASSERT(db->index == t->db);
    bool found;
    uint32_t at = index_find(t, key.text, key.hash, &found);
    ASSERT(found && t->write);
    t->places[at]->touched = true;
}

static void fill_private(struct transaction *t) {
    struct shard *s = t->shard;
    t->private = s->spare;
    s->spare = NULL;
    if (!t->private)
        t->private = keyspace_new(s->keyspace->ndbs, s->id, s->fleet->hash_seed,
                                  random_next(&s->keyspace->random), NULL);
    t->private->hooks.context = t;
    t->private->hooks.modified = on_private_modified;
    t->private->hooks.free_later = lazyfree_entry;
    t->private->marks = t->write ? ENTRY_PARTS : 0;
    t->private->events = s->sink;
    struct db *db = &t->private->dbs[t->db];
    for (uint32_t i = 0; i < t->wanted_count; i++)
        if (t->places[i]->entry) db_attach(db, t->places[i]->key, t->places[i]->entry);
    for (uint32_t i = 0; i < t->wanted_count; i++) {
        struct part_key *pk = t->places[i];
        if (!pk->tracked) continue;
        tracked_put(t->private, pk->tracked);
        pk->tracked = NULL;
    }
}

/** Takes every entry out again, whatever became of it, and leaves the private keyspace empty. */
static void empty_private(struct transaction *t) {
    struct db *db = &t->private->dbs[t->db];
    for (uint32_t i = 0; i < t->wanted_count; i++) {
        struct part_key *pk = t->places[i];
        if (!pk->data) continue;
        struct table_ref ref = db_find(db, pk->key);
        pk->entry = ref.entry ? db_detach(db, pk->key, ref) : NULL;
        pk->tracked = tracked_take(t->private, pk->key.text);
    }
    ASSERT(tracked_keys(t->private) == 0);
    for (uint32_t d = 0; d < t->private->ndbs; d++) ASSERT(db_count(&t->private->dbs[d]) == 0);
    struct keyspace_stats *from = &t->private->stats, *to = &t->shard->keyspace->stats;
    // The own keyspace may be lent to somebody else just now; then its counters are not ours to
    // touch.
    if (!t->shard->intents.lent) {
        to->hits += from->hits;
        to->misses += from->misses;
        to->expired_keys += from->expired_keys;
        to->expired_fields += from->expired_fields;
        *from = (struct keyspace_stats){0};
    }
    if (t->shard->spare)
        keyspace_free(t->private);
    else
        t->shard->spare = t->private;
    t->private = NULL;
}

static void run(struct transaction *t) {
    struct shard *s = t->shard;
    t->running = true;
    // Shards read their clocks at different moments: the latest of them counts, or keys that expire
    // together would be seen apart.
    t->now_ms = s->now_ms;
    for (uint32_t i = 0; i < t->part_count; i++)
        if (t->parts[i]->now_ms > t->now_ms) t->now_ms = t->parts[i]->now_ms;
    // To the client of a shard port there is no other shard: a cursor names none.
    t->view = (struct view){.nshards = is_alone(t) ? 1 : s->fleet->nshards};
    if (!t->whole) {
        fill_private(t);
        t->view.only = t->private;
        t->view.frozen = !t->write;
    } else if (t->part_count == 1) {
        t->view.only = t->parts[0]->keyspace;
        t->view.only->events = s->sink;
    } else {
        t->by_shard = mem_alloc(t->part_count * sizeof *t->by_shard);
        for (uint32_t i = 0; i < t->part_count; i++) {
            t->by_shard[i] = t->parts[i]->keyspace;
            t->by_shard[i]->events = s->sink;
        }
        t->view.by_shard = t->by_shard;
    }
    t->run(t, t->context);
}

void transaction_part_granted(struct shard *s, struct part *part) {
    struct transaction *t = part->transaction;
    ASSERT(t->magic == TRANSACTION_MAGIC && t->shard == s);
    if (t->withdrawing) return;
    if (++t->granted == t->part_count) run(t);
}

void transaction_part_refused(struct shard *s, struct part *part) {
    struct transaction *t = part->transaction;
    ASSERT(t->magic == TRANSACTION_MAGIC && t->shard == s && !t->running);
    if (t->withdrawing) return; // it has been sent a withdrawal too, and will answer that
    t->withdrawing = true;
    s->stats.transactions_retried++;
    t->acknowledgements = 1;
    for (uint32_t i = 0; i < t->part_count; i++)
        if (t->parts[i] != part) t->acknowledgements++;
    for (uint32_t i = 0; i < t->part_count; i++) {
        struct part *other = t->parts[i];
        if (other == part || other->shard == s->id) continue;
        shard_send(s, other->shard, MESSAGE_WITHDRAW, other);
    }
    for (uint32_t i = 0; i < t->part_count; i++) {
        struct part *other = t->parts[i];
        if (other == part || other->shard != s->id) continue;
        // Our own part may not have been registered yet: it is asked last.
        if (other->state == PART_NEW) other->state = PART_REFUSED;
        transaction_part_withdraw(s, other);
    }
    transaction_part_withdrawn(s, part);
}

void transaction_part_withdrawn(struct shard *s, struct part *part) {
    struct transaction *t = part->transaction;
    ASSERT(t->magic == TRANSACTION_MAGIC && t->shard == s && t->withdrawing);
    ASSERT(t->acknowledgements > 0);
    if (--t->acknowledgements == 0) request_intents(t);
}

/** Returns everything and frees the transaction. Its connection still waits for it. */
static void give_back(struct transaction *t) {
    struct shard *s = t->shard;
    ASSERT(t->running);
    if (t->private) empty_private(t);
    struct part *own = NULL;
    for (uint32_t i = 0; i < t->part_count; i++) {
        struct part *part = t->parts[i];
        if (part->shard == s->id)
            own = part;
        else
            shard_send(s, part->shard, MESSAGE_RETURN, part);
    }
    if (own) transaction_part_return(s, own);
    buf_free(&t->texts);
    mem_free(t->wanted);
    mem_free(t->index);
    mem_free(t->parts);
    mem_free(t->places);
    mem_free(t->by_shard);
    t->magic = 0;
    mem_free(t);
}

void transaction_end(struct transaction *t) {
    struct connection *conn = t->work.connection;
    give_back(t);
    if (conn != NULL) connection_work_leave(conn);
}

void transaction_finish(struct transaction *t, const struct buf *reply) {
    struct connection *conn = t->work.connection;
    give_back(t);
    connection_work_done(conn, reply->p, reply->len);
}

void transaction_late_end(struct transaction *t, struct late_reply *late) {
    struct connection *conn = t->work.connection;
    give_back(t);
    connection_late_end(conn, late);
}

// ---- one command -------------------------------------------------------------------------------

/** A command with copied arguments that waits for its transaction. */
struct pending_command {
    const struct command *spec;
    int argc;
    struct slice argv[];
};

static void run_command(struct transaction *t, void *context) {
    struct pending_command *pending = context;
    struct connection *conn = t->work.connection;
    struct buf bytes = {0};
    struct block block = {0};
    struct reply reply;
    reply_init(&reply, &bytes, conn->proto);
    struct cmd c = {.spec = pending->spec,
                    .argc = pending->argc,
                    .argv = pending->argv,
                    .reply = &reply,
                    .view = transaction_view(t),
                    .settings = &t->shard->settings,
                    .now_ms = transaction_now_ms(t),
                    .now_us = t->shard->now_us,
                    .db = conn->db,
                    .flags = conn->cmd_flags,
                    .block = pending->spec->flags & COMMAND_BLOCKING ? &block : NULL,
                    .client = conn};
    shard_run(t->shard, &c);
    if (unlikely(block.wanted)) {
        transaction_end(t);
        blocked_begin(conn, pending->spec, pending->argc, pending->argv, &block, false);
    } else {
        mem_free(block.replaced);
        transaction_finish(t, &bytes);
    }
    buf_free(&bytes);
    mem_free(pending);
}

static struct pending_command *copy_command(const struct parsed *p) {
    size_t slices = (size_t)p->argc * sizeof(struct slice);
    struct pending_command *copy =
        mem_alloc(sizeof *copy + slices + slices_bytes(p->argv, p->argc));
    copy->spec = p->spec;
    copy->argc = p->argc;
    slices_copy(copy->argv, (char *)(copy->argv + p->argc), p->argv, p->argc);
    return copy;
}

void transaction_command(struct connection *conn, const struct parsed *p) {
    struct pending_command *pending = copy_command(p);
    bool write = (p->spec->flags & COMMAND_WRITE) != 0;
    struct transaction *t = transaction_new(conn, write, conn->db, run_command, pending);
    uint32_t n = conn->shard->fleet->nshards;
    if (connection_is_node(conn)) {
        transaction_add_whole(t, conn->shard->id); // all shards that its client knows of here
    } else if (p->spec->where == WHERE_CURSOR) {
        // A SCAN walks on over small shards, so that a small database takes few calls; large ones
        // are walked one shard at a time. How large the shard is, is known as of its last pass:
        // good enough.
        uint32_t shard = command_cursor_shard(p->argv[1], n);
        uint64_t keys =
            atomic_load_explicit(&conn->shard->fleet->faces[shard].keys, memory_order_relaxed);
        bool small = keys <= (uint64_t)command_cursor_count(p->argc, p->argv);
        transaction_add_whole(t, small ? UINT32_MAX : shard);
    } else if (p->spec->where == WHERE_ALL || (p->spec->flags & COMMAND_MANY_DBS) ||
               command_roams(p->spec, p->argc, p->argv)) {
        transaction_add_whole(t, UINT32_MAX);
    } else {
        struct key_list keys;
        key_list_init(&keys, p->spec, p->argc, p->argv);
        for (int i = 0; i < keys.count; i++) transaction_add_key(t, p->argv[keys.at[i].arg], true);
        key_list_fini(&keys);
    }
    transaction_start(t);
}
