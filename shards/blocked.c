// SPDX-License-Identifier: BSD-3-Clause
//
// Blocked clients: from the command that found nothing to its answer. What belongs to home (the
// connection's shard) and what to the owner of a key is said at each part below. Invariants: a
// blocked client is answered by who holds its claim, and by nobody else; places in queues are
// touched by whoever is in that keyspace; a leg is freed at home, when its owner has let go of it.
// Called by dispatch.c and transaction.c to begin, by the pass of shard.c, and after commands.
#include "shards/blocked.h"

#include <sched.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/keyspace/waiting.h"
#include "shards/tracking.h"
#include "shards/transaction.h"
#include "shards/visit.h"

#define BLOCKED_MAGIC 0x424c4f434b454421u

/** Who has a blocked client: blocked.h draws it. */
enum claim {
    CLAIM_FREE,
    CLAIM_SERVED,    // somebody runs its command just now
    CLAIM_HOME,      // home looks at all its keys, or is going to
    CLAIM_OVER,      // it has its answer, or that is on its way
    CLAIM_MISSED = 4 // beside the others: somebody else had something, too
};

/** A place in the queue of one key. */
struct place {
    struct waiting waiting; // first member
    struct blocked_leg *leg;
    struct key key; // text: of the blocked command's arguments
    int arg;
};

/** One shard's keys. */
struct blocked_leg {
    struct parked parked; // first member: waits while the owner's keyspace is lent
    bool sent;            // home: the owner has it
    struct blocked *blocked;
    uint32_t shard;
    bool queued;    // owner: its places are in their queues ...
    bool is_parked; // ... or it waits to get there, or away
    bool forget;    // owner: home wants it back
    int place_count;
    struct place places[];
};

struct blocked {
    struct work work; // first member
    struct timer timer;
    uint64_t magic;
    struct shard *home;
    _Atomic uint32_t claim; // enum claim
    struct blocked *retry_next;
    struct blocked_leg **legs;
    uint32_t leg_count, legs_out; // out: to be given back before this can be freed
    bool ended;                   // home: no longer to be served, as soon as nobody has it
    bool done;                    // the connection has been answered
    bool scattered;               // the command needs keys beyond the one that is ready, elsewhere
    struct buf reply;
    struct tracking_hold *hold; // what keeps the reply; NULL: nothing
    char *error;                // of CLIENT UNBLOCK; NULL: none
    enum entry_type type;
    bool on_missing;
    uint32_t db;
    uint8_t proto, cmd_flags;
    const struct command *spec;
    int argc;
    struct slice argv[];
};

// ---- claims (any thread) -----------------------------------------------------------------------

static bool move_claim(struct blocked *b, uint32_t from, uint32_t to) {
    return atomic_compare_exchange_strong(&b->claim, &from, to);
}

static uint32_t who_has(struct blocked *b) {
    return atomic_load(&b->claim) & ~(uint32_t)CLAIM_MISSED;
}

/** Whether the client is now ours to serve; if not, whoever has it knows that there was more. */
static bool claim(struct blocked *b) {
    uint32_t now = CLAIM_FREE, next = CLAIM_SERVED;
    while (!atomic_compare_exchange_weak(&b->claim, &now, next))
        next = now == CLAIM_FREE ? CLAIM_SERVED : now | CLAIM_MISSED;
    return now == CLAIM_FREE;
}

/** Puts a client back that was ours; false: there was more meanwhile, and home has it now. */
static bool put_back(struct blocked *b, uint32_t from) {
    if (move_claim(b, from, CLAIM_FREE)) return true;
    atomic_store(&b->claim, CLAIM_HOME);
    return false;
}

// ---- places (whoever is in the keyspace) -------------------------------------------------------

static void leg_queue(struct shard *at, struct blocked_leg *leg, bool look) {
    for (int i = 0; i < leg->place_count; i++) {
        struct place *p = &leg->places[i];
        keyspace_wait(at->keyspace, leg->blocked->db, p->key, &p->waiting);
        if (look) waiting_touch(at->keyspace, leg->blocked->db, p->key);
    }
    leg->queued = true;
}

static void leg_unqueue(struct shard *at, struct blocked_leg *leg) {
    if (!leg->queued) return;
    for (int i = 0; i < leg->place_count; i++)
        keyspace_unwait(at->keyspace, &leg->places[i].waiting);
    leg->queued = false;
}

/** Owner: queues the leg up or, when home wants it back, takes it out. */
static void leg_step(struct shard *s, struct blocked_leg *leg) {
    ASSERT(leg->shard == s->id && !leg->is_parked);
    visit_return(s);
    if (s->intents.lent) {
        leg->is_parked = true;
        leg->parked.kind = PARKED_BLOCKED;
        intents_park_lent(&s->intents, &leg->parked);
        return;
    }
    if (!leg->forget) {
        leg_queue(s, leg, true);
        return;
    }
    leg_unqueue(s, leg);
    if (leg->blocked->home == s)
        blocked_leg_back(s, leg);
    else
        shard_send(s, leg->blocked->home->id, MESSAGE_UNQUEUED, leg);
}

void blocked_leg_arrive(struct shard *s, struct blocked_leg *leg) { leg_step(s, leg); }

void blocked_leg_again(struct shard *s, struct blocked_leg *leg) {
    leg->is_parked = false;
    leg_step(s, leg);
}

void blocked_leg_forget(struct shard *s, struct blocked_leg *leg) {
    leg->forget = true;
    if (!leg->is_parked) leg_step(s, leg);
}

// ---- the end (home) ----------------------------------------------------------------------------

static void free_if_over(struct blocked *b) {
    if (!b->done || b->legs_out > 0) return;
    b->home->blocked_count--;
    for (uint32_t i = 0; i < b->leg_count; i++) mem_free(b->legs[i]);
    mem_free(b->legs);
    buf_free(&b->reply);
    mem_free(b->error);
    b->magic = 0;
    mem_free(b);
}

void blocked_leg_back(struct shard *s, struct blocked_leg *leg) {
    struct blocked *b = leg->blocked;
    ASSERT(b->magic == BLOCKED_MAGIC && b->home == s && b->legs_out > 0);
    leg->sent = false;
    b->legs_out--;
    free_if_over(b);
}

/** Takes a leg out of its queues, now or by message. */
static void leg_release(struct shard *s, struct blocked_leg *leg) {
    bool here = (leg->shard == s->id && !s->intents.lent && !leg->is_parked) ||
                (leg->shard != s->id && s->visited[leg->shard] && leg->queued);
    if (here) {
        leg_unqueue(s->fleet->shards[leg->shard], leg);
        return;
    }
    leg->blocked->legs_out++;
    if (leg->shard == s->id)
        blocked_leg_forget(s, leg);
    else
        shard_send(s, leg->shard, MESSAGE_UNQUEUE, leg);
}

/** The connection is being answered: lets go of everything. */
static void finish(struct blocked *b) {
    struct shard *s = b->home;
    timers_cancel(&s->timers, &b->timer);
    b->legs_out++; // our own hand on it
    for (uint32_t i = 0; i < b->leg_count; i++)
        if (b->legs[i]->sent || b->legs[i]->queued) leg_release(s, b->legs[i]);
    b->legs_out--;
    b->done = true;
    free_if_over(b);
}

static bool writes(const struct blocked *b) { return (b->spec->flags & COMMAND_WRITE) != 0; }

static void answer(struct blocked *b) {
    struct connection *conn = b->work.connection;
    struct buf reply = b->reply;
    b->reply = (struct buf){0};
    if (unlikely(b->hold != NULL)) tracking_returned(b->hold);
    connection_work_done(conn, reply.p, reply.len);
    // What was read elsewhere may have changed since, and the word of it have passed the reply.
    if (unlikely(b->cmd_flags & CMD_CTX_TRACKED) && !writes(b))
        tracking_forget(conn, b->spec, b->argc, b->argv);
    finish(b);
    buf_free(&reply);
}

/** The answer to who has got nothing. */
static void answer_nothing(struct blocked *b) {
    struct reply reply;
    reply_init(&reply, &b->reply, b->proto);
    if (b->error)
        reply_error(&reply, b->error);
    else
        reply_null_array(&reply);
    if (reply.errors) statistics_error(&b->home->stats, reply.error_code);
    answer(b);
}

/**
 * Takes the client from whoever may serve it; false: it has been served. Who runs its command just
 * now, on another thread, is waited for: that waits for nobody.
 */
static bool take(struct blocked *b) {
    for (;;) {
        if (move_claim(b, CLAIM_FREE, CLAIM_OVER)) return true;
        uint32_t who = who_has(b);
        if (who == CLAIM_OVER) return false;
        if (who == CLAIM_HOME) return true;
        sched_yield();
    }
}

/**
 * Ends the wait without having got anything: time is over, CLIENT UNBLOCK, the client has left.
 * What home has to do first, it does not do any more. False: it was answered, or ended, before.
 */
static bool end_blocked(struct work *work, const char *error) {
    struct blocked *b = (struct blocked *)work;
    ASSERT(b->magic == BLOCKED_MAGIC);
    if (b->ended || !take(b)) return false;
    b->ended = true;
    if (error) {
        b->error = mem_alloc(strlen(error) + 1);
        memcpy(b->error, error, strlen(error) + 1);
    }
    if (who_has(b) == CLAIM_OVER) answer_nothing(b);
    return true;
}

bool blocked_call_of(const struct connection *conn, struct blocked_call *call) {
    if (!conn->work || conn->work->end != end_blocked) return false;
    const struct blocked *b = (const struct blocked *)conn->work;
    ASSERT(b->magic == BLOCKED_MAGIC);
    *call = (struct blocked_call){b->spec, b->argc, b->argv};
    return true;
}

static void on_due(struct timer *timer) {
    struct blocked *b = (struct blocked *)((char *)timer - offsetof(struct blocked, timer));
    end_blocked(&b->work, NULL); // or the answer is on its way
}

/** An error that ends the wait counts as one of the command, too. */
static void count_errors(struct shard *s, const struct blocked *b, const struct reply *reply) {
    if (reply->errors == 0) return;
    statistics_error(&s->stats, reply->error_code);
    s->stats.by_command[b->spec->id].failed++;
}

/** Whether the client of a claimed command is gone: what it would get would be lost. */
static bool has_left(const struct blocked *b) {
    return atomic_load_explicit(&b->work.connection->gone, memory_order_relaxed);
}

// ---- trying all keys (home) --------------------------------------------------------------------

static void retry_later(struct shard *s, struct blocked *b) {
    b->retry_next = s->blocked_retries;
    s->blocked_retries = b;
}

static void run_retry(struct transaction *t, void *context) {
    struct blocked *b = context;
    struct shard *s = b->home;
    struct reply reply;
    struct block block = {0};
    if (b->ended || has_left(b)) {
        answer_nothing(b);
        transaction_end(t);
        return;
    }
    reply_init(&reply, &b->reply, b->proto);
    struct cmd c = {.spec = b->spec,
                    .argc = b->argc,
                    .argv = b->argv,
                    .reply = &reply,
                    .view = transaction_view(t),
                    .settings = &s->settings,
                    .now_ms = transaction_now_ms(t),
                    .now_us = s->now_us,
                    .db = b->db,
                    .flags = b->cmd_flags,
                    .block = &block,
                    .client = b->work.connection};
    shard_run_command(s, &c);
    mem_free(block.replaced);
    if (!block.wanted) {
        count_errors(s, b, &reply);
        answer(b);
        transaction_end(t);
    } else {
        transaction_end(t);
        if (!put_back(b, CLAIM_HOME)) retry_later(s, b);
    }
}

/**
 * Runs the command as a transaction over all its keys. The client is home's, and still waits: the
 * transaction is not its work.
 */
static void retry(struct blocked *b) {
    if (b->ended) {
        answer_nothing(b);
        return;
    }
    struct transaction *t = transaction_new_own(b->home, writes(b), b->db, run_retry, b);
    struct key_list keys;
    key_list_init(&keys, b->spec, b->argc, b->argv);
    for (int i = 0; i < keys.count; i++) transaction_add_key(t, b->argv[keys.at[i].arg], true);
    key_list_fini(&keys);
    transaction_begin(t);
}

void blocked_served(struct shard *s, struct blocked *b) {
    ASSERT(b->magic == BLOCKED_MAGIC && b->home == s);
    if (who_has(b) == CLAIM_OVER)
        answer(b);
    else if (b->ended)
        answer_nothing(b);
    else
        retry_later(s, b);
}

static void tell_home(struct shard *s, struct blocked *b) {
    if (b->home == s)
        blocked_served(s, b);
    else
        shard_send(s, b->home->id, MESSAGE_SERVED, b);
}

// ---- serving (whoever is in the keyspace) ------------------------------------------------------

/** Whether the key may have what the client waits for. */
static bool is_ready(const struct shard *at, const struct blocked *b, struct key key,
                     int64_t now_ms) {
    const struct entry *e = db_find(&at->keyspace->dbs[b->db], key).entry;
    if (e) {
        int64_t expire_ms = entry_expire_ms(e);
        if (expire_ms != ENTRY_NO_EXPIRE && expire_ms < now_ms) e = NULL;
    }
    return e && entry_type(e) == b->type ? true : b->on_missing;
}

/** Runs a claimed client's command. False: it goes on waiting. */
static bool run_claimed(struct shard *s, struct blocked *b, const struct view *view, int64_t now_us,
                        int only_arg) {
    struct reply reply;
    struct block block = {0};
    reply_init(&reply, &b->reply, b->proto);
    struct cmd c = {.spec = b->spec,
                    .argc = b->argc,
                    .argv = b->argv,
                    .reply = &reply,
                    .view = view,
                    .settings = &s->settings,
                    .now_ms = now_us / 1000,
                    .now_us = now_us,
                    .db = b->db,
                    .flags = b->cmd_flags,
                    .block = &block,
                    .only_arg = only_arg,
                    .client = b->work.connection};
    shard_run_command(s, &c);
    if (unlikely(s->gates & GATE_TRACKED)) b->hold = tracking_take_hold(s);
    mem_free(block.replaced);
    count_errors(s, b, &reply);
    return !block.wanted;
}

enum served { SERVED_ON, SERVED_STOP, SERVED_LENT };

/** Whether a transaction has a key of the command that is here. */
static bool is_lent(const struct shard *at, const struct blocked *b) {
    uint64_t hash;
    bool write;
    return at->intents.parts > 0 &&
           request_conflict(at, b->spec, b->argc, b->argv, 0, 0, &hash, &write, true);
}

/** Whether a snapshot keeps a key that the command, all of whose keys are here, would change. */
static bool is_kept(struct shard *at, const struct blocked *b) {
    return unlikely(at->share != NULL) && writes(b) &&
           snapshot_walk_meets(at, b->db, b->spec, b->argc, b->argv, 0, 0, false);
}

/**
 * Tries to serve one place of a ready key. STOP: nobody behind it is to be served before it. LENT:
 * nor is it, before what it needs is back.
 */
static enum served serve_place(struct shard *s, struct shard *at, struct place *place) {
    struct blocked *b = place->leg->blocked;
    ASSERT(b->magic == BLOCKED_MAGIC);
    int64_t now_ms = s->now_ms > at->now_ms ? s->now_ms : at->now_ms;
    if (!is_ready(at, b, place->key, now_ms)) return SERVED_ON;
    if (!b->scattered && is_lent(at, b)) return SERVED_LENT;
    if (!claim(b)) return b->scattered ? SERVED_STOP : SERVED_ON;
    // As Redis does, over all its keys in their order, where that is possible; else on the one that
    // is ready, if no other is needed.
    bool here = b->leg_count == 1 && !b->scattered;
    bool all = !here && visit_keys(s, b->db, b->spec, b->argc, b->argv, writes(b));
    if ((b->scattered && !all) || (here && is_kept(at, b))) {
        atomic_store(&b->claim, CLAIM_HOME);
        tell_home(s, b);
        return SERVED_STOP;
    }
    int64_t now_us = s->now_us > at->now_us ? s->now_us : at->now_us;
    const struct view *one = shard_view(at, writes(b));
    if (!has_left(b) && run_claimed(s, b, all ? &s->everywhere : one,
                                    all ? visit_now_us(s) : now_us, here || all ? 0 : place->arg)) {
        leg_unqueue(at, place->leg);
        atomic_store(&b->claim, CLAIM_OVER);
        tell_home(s, b);
    } else if (!put_back(b, CLAIM_SERVED)) {
        tell_home(s, b);
    }
    return SERVED_ON;
}

/** Serves the queue of a key. False: something is lent, its turn comes when that is back. */
static bool serve_key(struct shard *s, struct shard *at, const struct waiting_key *key) {
    enum served served = SERVED_ON;
    struct waiting *next;
    for (struct waiting *w = key->first; w && served == SERVED_ON; w = next) {
        next = w->next;
        served = serve_place(s, at, (struct place *)w);
    }
    return served != SERVED_LENT;
}

/** Serves all ready keys of a keyspace. */
static bool serve(struct shard *s, struct shard *at) {
    struct keyspace *ks = at->keyspace;
    struct waiting_key *key;
    bool served = false;
    while ((key = waiting_next_ready(ks)) != NULL) {
        if (serve_key(s, at, key)) {
            served = true;
            waiting_done(ks, key);
        } else {
            waiting_set_aside(ks, key);
        }
    }
    waiting_resume(ks);
    return served;
}

bool blocked_settle(struct shard *s) {
    bool served = false, visiting = s->visited_count > 0, again;
    if (s->blocked_serving) return false; // whoever is at it comes round again
    s->blocked_serving = true;
    do {
        again = blocked_is_due(s) && serve(s, s);
        for (uint32_t i = 0; i < s->visited_count; i++) {
            struct shard *at = s->fleet->shards[s->visits[i]];
            again |= blocked_is_due(at) && serve(s, at);
        }
        served |= again;
    } while (again);
    s->blocked_serving = false;
    if (!visiting) visit_end(s);
    if (s->blocked_retries == NULL) return served;
    // All are begun before any is run: however many there are, the stack does not grow with them.
    while (s->blocked_retries) {
        struct blocked *b = s->blocked_retries;
        s->blocked_retries = b->retry_next;
        retry(b);
    }
    shard_settle(s);
    return true;
}

// ---- the beginning (home) ----------------------------------------------------------------------

static void copy_command(struct blocked *b, int argc, const struct slice *argv,
                         const struct block *block, char *bytes) {
    b->argc = argc;
    slices_copy(b->argv, bytes, argv, argc);
    bytes += slices_bytes(argv, argc);
    for (int i = 0; i < block->replaced_count; i++) {
        const struct block_text *text = &block->replaced[i];
        memcpy(bytes, text->text, text->length);
        b->argv[text->arg] = slice_of(bytes, text->length);
        bytes += text->length;
    }
}

static bool has_place(const struct blocked_leg *leg, struct key key) {
    for (int i = 0; i < leg->place_count; i++)
        if (leg->places[i].key.hash == key.hash && slice_equal(leg->places[i].key.text, key.text))
            return true;
    return false;
}

/** One leg for each shard, with a place for each key. */
static void make_legs(struct blocked *b, const struct block *block) {
    struct shard *s = b->home;
    int keys = (block->last - block->first) / block->step + 1;
    b->legs = mem_calloc((size_t)keys * sizeof(struct blocked_leg *));
    for (int arg = block->first; arg <= block->last; arg += block->step) {
        uint32_t i = 0, shard = shard_of_key(s, b->argv[arg]);
        while (i < b->leg_count && b->legs[i]->shard != shard) i++;
        if (i == b->leg_count) {
            size_t size = sizeof(struct blocked_leg) + (size_t)keys * sizeof(struct place);
            b->legs[b->leg_count++] = memset(mem_alloc(size), 0, size);
            b->legs[i]->blocked = b;
            b->legs[i]->shard = shard;
        }
        struct blocked_leg *leg = b->legs[i];
        struct key key = key_of(s->keyspace, b->argv[arg]);
        if (has_place(leg, key)) continue;
        leg->places[leg->place_count++] = (struct place){
            .waiting.on_missing = block->on_missing, .leg = leg, .key = key, .arg = arg};
    }
}

/** Whether the command needs a key of another shard than that of the key it waits for. */
static bool is_scattered(const struct blocked *b, const struct block *block) {
    struct key_list keys;
    bool scattered = false;
    key_list_init(&keys, b->spec, b->argc, b->argv);
    uint32_t shard = shard_of_key(b->home, b->argv[block->first]);
    for (int i = 0; i < keys.count && !scattered; i++) {
        int arg = keys.at[i].arg;
        bool waited_for = arg >= block->first && arg <= block->last;
        scattered = !waited_for && shard_of_key(b->home, b->argv[arg]) != shard;
    }
    key_list_fini(&keys);
    return scattered;
}

static struct blocked *blocked_new(struct connection *conn, const struct command *spec, int argc,
                                   const struct slice *argv, const struct block *block) {
    size_t bytes = slices_bytes(argv, argc);
    for (int i = 0; i < block->replaced_count; i++) bytes += block->replaced[i].length;
    size_t size = sizeof(struct blocked) + (size_t)argc * sizeof(struct slice);
    struct blocked *b = memset(mem_alloc(size + bytes), 0, size);
    b->magic = BLOCKED_MAGIC;
    b->home = conn->shard;
    b->work.blocking = true;
    b->work.end = end_blocked;
    b->type = block->type;
    b->on_missing = block->on_missing;
    b->db = conn->db;
    b->proto = conn->proto;
    b->cmd_flags = (uint8_t)conn->cmd_flags;
    b->spec = spec;
    copy_command(b, argc, argv, block, (char *)b + size);
    make_legs(b, block);
    b->scattered = is_scattered(b, block);
    return b;
}

void blocked_begin(struct connection *conn, const struct command *spec, int argc,
                   const struct slice *argv, struct block *block, bool seen) {
    struct shard *s = conn->shard;
    ASSERT(block->wanted && conn->owed == 0);
    struct blocked *b = blocked_new(conn, spec, argc, argv, block);
    mem_free(block->replaced);
    block->replaced = NULL;
    s->blocked_count++;
    connection_work_begin(conn, &b->work);
    b->work.timed = block->timeout_ms > 0;
    if (b->work.timed && block->timeout_ms < (INT64_MAX - s->now_ns) / 1000000)
        timers_set(&s->timers, &b->timer, s->now_ns + block->timeout_ms * 1000000, on_due);
    for (uint32_t i = 0; i < b->leg_count; i++) {
        struct blocked_leg *leg = b->legs[i];
        bool own = leg->shard == s->id;
        if (seen && (own || s->visited[leg->shard])) {
            leg_queue(s->fleet->shards[leg->shard], leg, false);
        } else {
            leg->sent = true;
            if (own)
                blocked_leg_arrive(s, leg);
            else
                shard_send(s, leg->shard, MESSAGE_QUEUE, leg);
        }
    }
}
