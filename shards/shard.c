// SPDX-License-Identifier: BSD-3-Clause
//
// A shard's pass: messages, events, what they made ready, timers, expiry, and then everything
// that goes out, once. Runs on the shard's thread (or under the simulator). Invariant at the end
// of a pass: no parked command or granted part is left unhandled, every connection that changed
// has been looked at, and all messages are in the rings unless one of them is full. Called by
// loop.c and the simulator.
#include "shards/shard.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/prefetch.h"
#include "net/listener.h"
#include "net/tls.h"
#include "shards/batch.h"
#include "shards/blocked.h"
#include "shards/connection.h"
#include "shards/fanout.h"
#include "shards/lazyfree.h"
#include "shards/loading.h"
#include "shards/migrate.h"
#include "shards/multi.h"
#include "shards/notes.h"
#include "shards/notify.h"
#include "shards/pubsub.h"
#include "shards/pubsub_work.h"
#include "shards/request.h"
#include "shards/snapshots.h"
#include "shards/tls.h"
#include "shards/transaction.h"
#include "shards/tracking.h"
#include "shards/visit.h"
#include "shards/watch.h"

#define TICK_NS            INT64_C(100000000) // housekeeping interval: Redis's default hz
#define EXPIRE_BUDGET_BUSY 4096               // bucket visits per pass: about 50 us
#define EXPIRE_BUDGET_IDLE 16384              // with nothing else to do: about 200 us
#define FREE_BUDGET_BUSY   1024               // flushed entries to free per pass: about 70 us
#define FREE_BUDGET_IDLE   4096               // about 300 us
#define COLLECT_WAIT_NS    500000             // memory that comes back is taken at idle so often
#define MESSAGES_PER_TAKE  64
#define MESSAGES_PER_PASS  1024 // of one peer, so that sockets get their turn
#define IDLE_BUFFERS_MS    2000 // idle connections give their buffers back after this

// ---- making and freeing ------------------------------------------------------------------------

struct fleet *fleet_new(uint32_t nshards, uint64_t hash_seed, const char *run_id,
                        int64_t started_us) {
    ASSERT(nshards > 0 && nshards <= SHARD_MAX);
    struct fleet *f = mem_alloc_aligned(sizeof *f, MAILBOX_LINE);
    memset(f, 0, sizeof *f);
    f->nshards = nshards;
    f->hash_seed = hash_seed;
    f->started_us = started_us;
    f->news_room = PUBSUB_ROOM;
    f->paced_from = PUBSUB_PACED;
    pthread_mutex_init(&f->admin_lock, NULL);
    f->migrations = migrate_pool_new();
    memcpy(f->run_id, run_id, sizeof f->run_id);
    f->snapshot = snapshot_walk_new(nshards);
    f->shards = mem_calloc(nshards * sizeof(struct shard *));
    f->keyspaces = mem_calloc(nshards * sizeof(struct keyspace *));
    f->faces = mem_alloc_aligned(nshards * sizeof *f->faces, MAILBOX_LINE);
    memset(f->faces, 0, nshards * sizeof *f->faces);
    size_t pairs = (size_t)nshards * nshards;
    f->mailboxes = mem_alloc_aligned(pairs * sizeof *f->mailboxes, MAILBOX_LINE);
    size_t capacity = 64;
    while (capacity < 1024 && capacity * nshards < 16384) capacity *= 2;
    for (size_t i = 0; i < pairs; i++) mailbox_init(&f->mailboxes[i], capacity);
    return f;
}

void fleet_free(struct fleet *f) {
    size_t pairs = (size_t)f->nshards * f->nshards;
    for (size_t i = 0; i < pairs; i++) mailbox_fini(&f->mailboxes[i]);
    migrate_pool_free(f->migrations);
    pthread_mutex_destroy(&f->admin_lock);
    if (f->config) config_release(f->config);
    acl_log_reset(&f->acl_log);
    snapshot_walk_free(f->snapshot);
    tracking_prefixes_drop(f->tracking_prefixes);
    mem_free(f->mailboxes);
    mem_free(f->faces);
    mem_free(f->shards);
    mem_free(f->keyspaces);
    mem_free(f);
}

void fleet_leave_chore(struct fleet *f, enum shard_chore chore) {
    for (uint32_t i = 0; i < f->nshards; i++)
        atomic_fetch_or_explicit(&f->faces[i].chores, chore, memory_order_release);
}

void fleet_stop(struct fleet *f) {
    atomic_store(&f->stop, true);
    fleet_leave_chore(f, CHORE_STOP);
}

static bool key_is_lent(void *context, uint64_t hash) {
    struct shard *s = context;
    return s->intents.parts > 0 && intents_is_lent(&s->intents, hash);
}

struct shard *shard_new(struct fleet *fleet, uint32_t id, struct io *io, struct config *config,
                        uint64_t random_seed) {
    struct shard *s = mem_alloc_aligned(sizeof *s, MAILBOX_LINE);
    memset(s, 0, sizeof *s);
    s->magic = SHARD_MAGIC;
    s->id = id;
    s->fleet = fleet;
    s->face = &fleet->faces[id];
    s->io = io;
    struct keyspace_hooks hooks = {.context = s,
                                   .free_later = lazyfree_entry,
                                   .free_tables_later = lazyfree_tables,
                                   .is_lent = key_is_lent};
    s->keyspace =
        keyspace_new((uint32_t)config->databases, id, fleet->hash_seed, random_seed, &hooks);
    s->view = (struct view){.only = s->keyspace, .nshards = fleet->nshards};
    s->frozen = s->view;
    s->frozen.frozen = true;
    s->everywhere = (struct view){.by_shard = fleet->keyspaces, .nshards = fleet->nshards};
    s->outboxes = mem_calloc(fleet->nshards * sizeof *s->outboxes);
    s->visited = mem_calloc(fleet->nshards * sizeof *s->visited);
    s->visits = mem_calloc(fleet->nshards * sizeof *s->visits);
    s->active_expire = true;
    intents_init(&s->intents);
    pubsub_init(s);
    tracking_init(s);
    statistics_init(&s->stats);
    s->crowded = UINT32_MAX;
    shard_use_config(s, config);
    fleet->shards[id] = s;
    fleet->keyspaces[id] = s->keyspace;
    shard_leave_chore(s, CHORES_ALL); // whatever there was before
    s->startup_memory = mem_used();
    return s;
}

void shard_free(struct shard *s) {
    ASSERT_SHARD(s);
    ASSERT(s->connection_count == 0 && s->share == NULL);
    for (uint32_t i = 0; i < s->fleet->nshards; i++) outbox_fini(&s->outboxes[i]);
    mem_free(s->outboxes);
    mem_free(s->visited);
    mem_free(s->visits);
    pubsub_fini(s);
    tracking_fini(s);
    mem_free(s->monitors.v);
    keyspace_free(s->keyspace);
    if (s->spare) keyspace_free(s->spare);
    intents_fini(&s->intents);
    accounts_fini(s);
    statistics_fini(&s->stats);
    mem_free(s->summary.databases);
    timers_fini(&s->timers);
    resp_args_free(&s->args);
    buf_free(&s->scratch);
    config_release(s->config);
    s->fleet->shards[s->id] = NULL;
    s->magic = 0;
    mem_free(s);
}

void shard_use_config(struct shard *s, struct config *config) {
    struct config *old = s->config;
    s->config = config_retain(config);
    accounts_use(s, config->users);
    if (old) config_release(old);
    bool lfu = config->maxmemory_policy == CONFIG_ALLKEYS_LFU ||
               config->maxmemory_policy == CONFIG_VOLATILE_LFU;
    int64_t plain_min = s->settings.limits.list_plain_min; // DEBUG's, not the configuration's
    s->settings = (struct engine_settings){
        .proto_max_bulk_len = config->proto_max_bulk_len,
        .lfu = lfu,
        .lfu_log_factor = (uint32_t)config->lfu_log_factor,
        .lfu_decay_time = (uint32_t)config->lfu_decay_time,
        .rdb_version = config_rdb_version(config),
        .rdb_compression = config->rdbcompression,
        .limits = config->limits,
    };
    if (plain_min > 0) s->settings.limits.list_plain_min = plain_min;
    eviction_configure(s);
    notify_configure(s);
    if (s->id == 0) snapshots_configure(s);
}

// ---- commands ----------------------------------------------------------------------------------

void shard__run_timed(struct shard *s, struct command_statistics *st, struct cmd *c) {
    int64_t start_ns = clock_monotonic_ns();
    shard_run_command(s, c);
    st->sampled_ns += (uint64_t)(clock_monotonic_ns() - start_ns);
    st->sampled++;
}

void shard__failed(struct shard *s, struct command_statistics *st, struct reply *r) {
    st->failed++;
    statistics_error(&s->stats, r->error_code);
    r->errors = 0;
}

/** Does the first of what is ready. False: nothing is that could be done now. */
static __attribute__((noinline)) bool settle_one(struct shard *s) {
    struct parked *op = intents_next_ready(&s->intents);
    if (op) {
        switch ((enum parked_kind)op->kind) {
        case PARKED_REQUEST: request_arrive(s, (struct request *)op); break;
        case PARKED_WATCH: watch_leg_arrive(s, (struct watch_leg *)op); break;
        case PARKED_BLOCKED: blocked_leg_again(s, (struct blocked_leg *)op); break;
        }
        return true;
    }
    // Those who waited for what a command has just made come before what follows it.
    if (blocked_settle(s)) return true;
    struct part *part = intents_next_granted(&s->intents);
    if (part && part->transaction) transaction_grant(s, part); // a snapshot's waits for its step
    return part != NULL;
}

static inline bool is_settled(const struct shard *s) {
    const struct intents *in = &s->intents;
    return likely(!in->ready_first && !in->granted_first && !blocked_is_due(s) &&
                  !s->blocked_retries);
}

void shard_settle(struct shard *s) {
    while (!is_settled(s))
        if (!settle_one(s)) return;
}

// ---- messages ----------------------------------------------------------------------------------

void shard_send(struct shard *s, uint32_t to, enum message_kind kind, void *object) {
    ASSERT(to != s->id && to < s->fleet->nshards);
    outbox_add(&s->outboxes[to], message_pack(kind, object));
    s->stats.messages_sent++;
}

static void receive(struct shard *s, uint64_t word) {
    void *object = message_object(word);
    switch (message_kind(word)) {
    case MESSAGE_REQUEST: request_arrive(s, object); break;
    case MESSAGE_REPLY: request_returned(object); break;
    case MESSAGE_INTENT: transaction_part_arrive(s, object); break;
    case MESSAGE_GRANT: transaction_part_granted(s, object); break;
    case MESSAGE_REFUSED: transaction_part_refused(s, object); break;
    case MESSAGE_RETURN: transaction_part_return(s, object); break;
    case MESSAGE_WITHDRAW: transaction_part_withdraw(s, object); break;
    case MESSAGE_WITHDRAWN: transaction_part_withdrawn(s, object); break;
    case MESSAGE_WATCH: watch_leg_arrive(s, object); break;
    case MESSAGE_WATCHED: watch_leg_returned(s, object); break;
    case MESSAGE_QUEUE: blocked_leg_arrive(s, object); break;
    case MESSAGE_UNQUEUE: blocked_leg_forget(s, object); break;
    case MESSAGE_UNQUEUED: blocked_leg_back(s, object); break;
    case MESSAGE_SERVED: blocked_served(s, object); break;
    case MESSAGE_PUBSUB: pubsub_leg_arrive(s, object); break;
    case MESSAGE_FANOUT: fanout_leg_arrive(s, object); break;
    case MESSAGE_FANNED: fanout_leg_returned(s, object); break;
    case MESSAGE_ASK: snapshots_ask_arrive(s, object); break;
    case MESSAGE_ANSWER: snapshots_ask_answered(s, object); break;
    case MESSAGE_CONNECTION: shard_adopt(s, object); break;
    case MESSAGE_SNAPSHOT: snapshot_walk_returned(s, object); break;
    case MESSAGE_KINDS: ASSERT(false);
    }
    shard_settle(s);
}

/** Starts the loads that a batch of requests will need. */
static void prefetch_requests(const struct shard *s, const uint64_t *words, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (message_kind(words[i]) == MESSAGE_REQUEST) prefetch_read(message_object(words[i]));
    if (s->intents.lent) return;
    for (size_t i = 0; i < n; i++) {
        const struct request *r = message_object(words[i]);
        if (message_kind(words[i]) == MESSAGE_REQUEST && r->hashed_arg)
            table_prefetch(&s->keyspace->dbs[r->db].table, r->hash);
    }
    for (size_t i = 0; i < n; i++) {
        const struct request *r = message_object(words[i]);
        if (message_kind(words[i]) == MESSAGE_REQUEST && r->hashed_arg)
            table_prefetch_entry(&s->keyspace->dbs[r->db].table, r->hash);
    }
}

/** Handles the messages of the other shards. Whether there were any. */
static bool receive_all(struct shard *s) {
    uint32_t n = s->fleet->nshards;
    uint64_t words[MESSAGES_PER_TAKE];
    bool any = false;
    for (uint32_t from = 0; from < n; from++) {
        if (from == s->id) continue;
        struct mailbox *m = &s->fleet->mailboxes[from * n + s->id];
        for (int taken = 0; taken < MESSAGES_PER_PASS;) {
            size_t count = mailbox_take(m, words, MESSAGES_PER_TAKE);
            if (count > 1) prefetch_requests(s, words, count);
            for (size_t i = 0; i < count; i++) receive(s, words[i]);
            any |= count > 0;
            if (count < MESSAGES_PER_TAKE) break;
            taken += (int)count;
        }
    }
    return any;
}

void shard_wake(struct shard *s, uint32_t to) {
    struct shard_face *face = &s->fleet->faces[to];
    if (!atomic_load_explicit(&face->sleeping, memory_order_relaxed)) return;
    if (!atomic_exchange(&face->sleeping, false)) return;
    s->stats.wakeups_sent++;
    io_wake(s->fleet->shards[to]->io, s->io);
}

/** Publishes what was sent in this pass, and wakes those who sleep and have something to do now. */
static void flush_messages(struct shard *s) {
    uint32_t n = s->fleet->nshards;
    bool published = false, full = false;
    uint8_t touched[SHARD_MAX / 8];
    memset(touched, 0, (n + 7) / 8);
    for (uint32_t to = 0; to < n; to++) {
        struct outbox *o = &s->outboxes[to];
        if (o->len == 0) continue;
        if (mailbox_flush(&s->fleet->mailboxes[s->id * n + to], o) > 0) {
            touched[to / 8] |= (uint8_t)(1 << to % 8);
            published = true;
        }
        full |= o->len > 0;
    }
    full |= notify_is_crowded(s);
    s->gates = (s->gates & ~(uint32_t)GATE_OUTBOX) | (full ? GATE_OUTBOX : 0);
    if (!published && !s->progressed && !s->pubsub->touched_any) return;
    // Pairs with the fence in shard_sleep_begin: either we see that the peer sleeps, or it sees
    // our words.
    atomic_thread_fence(memory_order_seq_cst);
    if (s->pubsub->touched_any) pubsub_wake(s);
    for (uint32_t to = 0; to < n; to++) {
        if (to == s->id) continue;
        bool holds = s->progressed &&
                     atomic_load_explicit(&s->fleet->faces[to].holding, memory_order_relaxed);
        if (holds || (touched[to / 8] >> to % 8 & 1)) shard_wake(s, to);
    }
    s->progressed = false;
}

// ---- connections -------------------------------------------------------------------------------

void shard_adopt(struct shard *s, struct accepted *accepted) {
    if (s->stopping) {
        if (accepted->session) tls_session_free(accepted->session);
        close(accepted->fd);
        atomic_fetch_sub_explicit(&s->fleet->faces[s->id].connections, 1, memory_order_relaxed);
    } else {
        listener_tune(accepted->fd, accepted->from == ACCEPT_UNIX, (int)s->config->tcp_keepalive_s);
        connection_new(s, accepted);
    }
    mem_free(accepted);
}

/**
 * Sends a last word to a socket that is not going to be served, and closes it. Who expects TLS
 * could not read it before a handshake, which is more than a refusal is worth.
 */
static void turn_away(struct shard *s, int fd, enum accept_from from, const char *text) {
    bool readable = from != ACCEPT_TLS;
    ssize_t sent = readable ? send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
    if (sent < 0) log_line(LOG_DEBUG_LEVEL, "A refused client did not even take the reason");
    close(fd);
    s->stats.connections_rejected++;
}

/** Protected mode: no password for `default`, and a peer that is not this machine. */
static bool is_stranger(const struct shard *s, int fd, bool is_unix) {
    if (is_unix || !s->config->protected_mode || !s->accounts.standard->user->nopass) return false;
    char peer[160];
    size_t n = listener_peer_text(fd, peer, sizeof peer);
    return n > 0 && strncmp(peer, "127.", 4) != 0 && strncmp(peer, "[::1]", 5) != 0 &&
           strncmp(peer, "[::ffff:127.", 12) != 0;
}

/** The shard that has the fewest connections. */
static uint32_t emptiest(const struct fleet *fleet) {
    uint32_t best = 0, fewest = UINT32_MAX;
    for (uint32_t i = 0; i < fleet->nshards; i++) {
        uint32_t count = atomic_load_explicit(&fleet->faces[i].connections, memory_order_relaxed);
        if (count >= fewest) continue;
        fewest = count;
        best = i;
    }
    return best;
}

#define ADMIN_RESERVE 32 // administrators get in when clients have taken all there is

/**
 * Counts one more connection for a shard, unless there are maxclients already. Shards may accept
 * at the same time: each counts first and looks then, so that one of them sees both.
 */
static bool count_in(struct shard *s, uint32_t shard, enum accept_from from) {
    struct shard_face *faces = s->fleet->faces;
    uint64_t total = 0;
    atomic_fetch_add(&faces[shard].connections, 1);
    for (uint32_t i = 0; i < s->fleet->nshards; i++) total += atomic_load(&faces[i].connections);
    uint64_t more = from == ACCEPT_ADMIN ? ADMIN_RESERVE : 0;
    if (total <= (uint64_t)s->config->maxclients + more) return true;
    atomic_fetch_sub(&faces[shard].connections, 1);
    return false;
}

/**
 * Gives an accepted socket to the shard that has the fewest connections, or to this one, whose own
 * port it came by.
 */
static void assign(struct shard *s, int fd, enum accept_from from) {
    uint32_t to = from == ACCEPT_NODE ? s->id : emptiest(s->fleet);
    if (!count_in(s, to, from)) {
        turn_away(s, fd, from, "-ERR max number of clients reached\r\n");
    } else if (is_stranger(s, fd, from == ACCEPT_UNIX)) {
        atomic_fetch_sub(&s->fleet->faces[to].connections, 1);
        turn_away(
            s, fd, from,
            "-DENIED torc is running in protected mode because protected mode is enabled and "
            "no password is set. In this mode connections are only accepted from the "
            "loopback interface. To accept others, set a password with 'requirepass', or "
            "turn protected mode off with 'CONFIG SET protected-mode no' from this host.\r\n");
    } else {
        struct accepted *accepted = mem_alloc(sizeof *accepted);
        *accepted = (struct accepted){.id = ++s->fleet->client_id, .fd = fd, .from = from};
        if (from == ACCEPT_TLS)
            tls_front_add(s->fleet->tls, accepted, to);
        else if (to == s->id)
            shard_adopt(s, accepted);
        else
            shard_send(s, to, MESSAGE_CONNECTION, accepted);
    }
}

static void handle_events(struct shard *s, struct io_event *events, int count) {
    for (int i = 0; i < count;) {
        struct io_event *event = &events[i];
        if (event->kind == IO_RECV) {
            i += batch_receive(s, event, count - i);
            continue;
        }
        i++;
        if (event->kind == IO_ACCEPT)
            assign(s, event->result, (enum accept_from)event->tag);
        else if (event->kind != IO_WAKE)
            connection_event((struct connection *)event->conn, event);
    }
}

static __attribute__((noinline)) void resume_all(struct shard *s) {
    struct connection *conn = s->resumable, *next;
    s->resumable = NULL;
    for (; conn; conn = next) {
        next = conn->resume_next;
        conn->in_resumable = false;
        connection_resume(conn);
        connection_mark(conn);
    }
}

static void finish_connections(struct shard *s) {
    struct connection *conn = s->dirty, *next;
    s->dirty = NULL;
    for (; conn; conn = next) {
        next = conn->dirty_next;
        connection_finish_pass(conn);
    }
}

// ---- housekeeping ------------------------------------------------------------------------------

/** Whether a client that has to log in has taken too long. After RESET its time begins anew. */
static bool is_overdue(const struct shard *s, const struct connection *conn) {
    if (likely(connection_is_known(conn)) || s->config->auth_timeout_s == 0) return false;
    bool reset = conn->last_command > 0 &&
                 strcmp(command_by_id(conn->last_command - 1u)->full_name, "reset") == 0;
    int64_t since_ms = reset ? conn->active_ms : conn->created_ms;
    return s->now_ms - since_ms > s->config->auth_timeout_s * 1000;
}

static void tick_connection(struct shard *s, struct connection *conn) {
    int64_t idle_ms = s->now_ms - conn->active_ms;
    if (unlikely(is_overdue(s, conn))) {
        log_line(LOG_VERBOSE, "Closing client id=%llu, which has not logged in",
                 (unsigned long long)conn->id);
        connection_close(conn);
        return;
    }
    if (s->config->timeout_s > 0 && idle_ms > s->config->timeout_s * 1000 && !conn->work &&
        !pubsub_is_subscribed(conn)) {
        log_line(LOG_VERBOSE, "Closing idle client id=%llu", (unsigned long long)conn->id);
        connection_close(conn);
    } else if (idle_ms > IDLE_BUFFERS_MS) {
        if (conn->in.len == 0) buf_free(&conn->in);
        if (conn->out.len == 0 && conn->owed == 0) buf_free(&conn->out);
        if (!conn->send_busy) buf_free(&conn->sending);
    }
    if (conn->soft_limit_since > 0) connection_mark(conn); // its time may be over
}

/** Looks at a part of the connections each tick, at all of them within a second or so. */
static void tick_connections(struct shard *s) {
    uint32_t count = s->connection_count / 10 + 5;
    for (uint32_t i = 0; i < count && s->connections.first; i++) {
        struct connection *conn = s->connections.first;
        if (conn !=
            s->connections.last) { // to the end of the list: the next tick goes on behind it
            s->connections.first = conn->next;
            conn->next->previous = NULL;
            conn->previous = s->connections.last;
            conn->next = NULL;
            s->connections.last->next = conn;
            s->connections.last = conn;
        }
        tick_connection(s, conn);
    }
}

static void end_pause_if_due(struct shard *s) {
    if (s->pause_until_ms == 0 || s->pause_until_ms > s->now_ms) return;
    s->pause_until_ms = 0;
    for (struct connection *conn = s->connections.first; conn; conn = conn->next)
        connection_unstall(conn, STALL_PAUSE);
}

/** Shows the others how many keys there are, when that may have changed. */
static void show_keys(struct shard *s) {
    if (s->intents.lent || s->shown_dirty == s->keyspace->stats.dirty) return;
    s->shown_dirty = s->keyspace->stats.dirty;
    struct shard_face *face = &s->fleet->faces[s->id];
    uint64_t keys = 0;
    for (uint32_t d = 0; d < s->keyspace->ndbs; d++) keys += db_count(&s->keyspace->dbs[d]);
    atomic_store_explicit(&face->keys, keys, memory_order_relaxed);
    atomic_store_explicit(&face->dirty, s->shown_dirty, memory_order_relaxed);
    eviction_show(s);
}

static __attribute__((noinline)) void tick(struct shard *s) {
    s->next_tick_ns = s->now_ns + TICK_NS;
    s->tick_count++;
    statistics_tick(&s->stats, s->now_ms, s->io->bytes_in, s->io->bytes_out);
    tick_connections(s);
    s->collecting = mem_collect();
    if (!s->intents.lent) summary_update(s);
    if (s->active_expire && !(s->gates & GATES_OF_WRITES)) s->expire_pending = true;
    if (s->fleet->nshards == 1) show_keys(s);
    if (s->id == 0) snapshots_tick(s);
    mem_publish(0);
    eviction_tick(s);
    tracking_tick(s);
}

static void expire(struct shard *s, bool busy) {
    if (!s->expire_pending || s->intents.lent || s->loading || (s->gates & GATE_OUTBOX)) return;
    s->expire_pending = keyspace_expire_step(s->keyspace, s->now_ms,
                                             busy ? EXPIRE_BUDGET_BUSY : EXPIRE_BUDGET_IDLE);
}

/** Frees a part of what was flushed. */
static void free_flushed(struct shard *s, bool busy) {
    if (s->intents.lent || s->keyspace->flushed == NULL || snapshot_walk_is_paused(s)) return;
    keyspace_free_step(s->keyspace, busy ? FREE_BUDGET_BUSY : FREE_BUDGET_IDLE);
}

/** Whether there is something to do for the keyspace that no client has asked for. */
static inline bool has_own_work(const struct shard *s) {
    uint64_t rare =
        (uintptr_t)s->share | (uint64_t)s->eviction.limit | s->expire_pending | s->collecting;
    return rare != 0 || (!s->intents.lent && s->keyspace->flushed != NULL);
}

/** A step of each. */
static __attribute__((noinline)) void do_own_work(struct shard *s, bool busy) {
    if (s->collecting && !busy) s->collecting = mem_collect(); // what other threads have freed
    expire(s, busy);
    free_flushed(s, busy);
    if (s->share) snapshot_walk_step(s, busy);
    if (s->eviction.limit != 0 && !s->loading) eviction_step(s);
}

/** Takes over what keeps all shards' commands from being run. */
static void look_at_gates(struct shard *s) {
    uint32_t before = s->gates;
    s->gates =
        (before & ~GATES_OF_FLEET) | atomic_load_explicit(&s->fleet->gates, memory_order_relaxed);
    if (likely(!(before & ~s->gates & GATES_OF_WRITES))) return;
    for (struct connection *conn = s->connections.first; conn; conn = conn->next)
        connection_unstall(conn, STALL_PAUSE);
}

static __attribute__((noinline)) void begin_stop(struct shard *s) {
    s->stopping = true;
    if (s->id == 0) snapshots_stop(s);
    for (struct connection *conn = s->connections.first; conn; conn = conn->next)
        connection_close(conn);
}

static __attribute__((noinline)) void do_chores(struct shard *s) {
    uint32_t chores = atomic_exchange(&s->face->chores, 0);
    if (chores & CHORE_GATES) look_at_gates(s);
    if (chores & CHORE_LOAD) loading_look(s);
    if (chores & CHORE_NOTES) notes_run(s);
    if ((chores & CHORE_STOP) && atomic_load(&s->fleet->stop)) begin_stop(s);
}

// ---- the pass ----------------------------------------------------------------------------------

void shard_pass(struct shard *s, struct io_event *events, int count, int64_t wall_us,
                int64_t mono_ns) {
    ASSERT_SHARD(s);
    visit_return(s);
    s->now_us = wall_us;
    s->now_ms = wall_us / 1000;
    s->now_ns = mono_ns;
    s->stats.passes++;
    if (unlikely(atomic_load_explicit(&s->face->chores, memory_order_relaxed) != 0)) do_chores(s);
    if (unlikely(s->pubsub_busy & PUBSUB_TOLD)) tracking_acknowledge(s);
    bool alone = s->fleet->nshards == 1;
    bool told = !alone && receive_all(s);
    handle_events(s, events, count);
    if (s->held_first) request_poll_held(s);
    pubsub_begin_pass(s);
    if (!is_settled(s)) shard_settle(s);
    if (unlikely(((uintptr_t)s->loading | (uint64_t)s->pause_until_ms) != 0)) {
        end_pause_if_due(s);
        if (s->loading) loading_pass(s);
    }
    timers_run(&s->timers, s->now_ns);
    if (s->now_ns >= s->next_tick_ns) tick(s);
    bool busy = (count > 0) | told | (s->resumable != NULL);
    struct mem_reserve *reserve = mem_wants_reserve();
    if (unlikely(reserve != NULL)) lazyfree_make_reserve(reserve);
    if (s->resumable) resume_all(s);
    if (unlikely(has_own_work(s))) do_own_work(s, busy);
    do { // whoever is told of what happens here is told before anybody gets a reply to it
        pubsub_end_pass(s);
        if (!is_settled(s)) shard_settle(s);
    } while (pubsub_has_own_news(s));
    if (!alone) show_keys(s);
    ASSERT(s->intents.ready_first == NULL && s->intents.granted_first == NULL);
    visit_leave(s);
    do
        if (s->dirty) finish_connections(s);
    while (pubsub_send(s));
    if (alone) return;
    uint32_t before = s->gates;
    flush_messages(s);
    if (before & ~s->gates & GATE_OUTBOX)
        for (struct connection *conn = s->connections.first; conn; conn = conn->next)
            connection_unstall(conn, STALL_OUTBOX);
    visit_leave(s);
}

/** How long it may sleep when there is something that is rare to look at. */
static __attribute__((noinline)) int64_t sleep_among_others_ns(struct shard *s) {
    if (s->resumable || s->dirty || (s->gates & GATE_OUTBOX) || s->stopping)
        return s->stopping ? 1000000 : 0;
    if (s->loading && loading_is_due(s)) return 0;
    if (!s->intents.lent) { // or what the keyspace holds is not ours to look at
        if (s->expire_pending && !s->loading) return 0;
        if (s->keyspace->flushed && !snapshot_walk_is_paused(s)) return 0;
    }
    if (s->eviction.pending || pubsub_has_news(s)) return 0;
    int64_t share_ns = unlikely(s->share != NULL) ? snapshot_walk_sleep_ns(s) : INT64_MAX;
    if (share_ns == 0) return 0;
    int64_t until_ns = s->next_tick_ns, timer_ns = timers_next_ns(&s->timers);
    if (timer_ns < until_ns) until_ns = timer_ns;
    int64_t sleep_ns = until_ns - s->now_ns;
    if (s->eviction.waiting && sleep_ns > EVICTION_WAIT_NS) sleep_ns = EVICTION_WAIT_NS;
    if (unlikely(s->pubsub_busy)) sleep_ns = pubsub_sleep_ns(s, sleep_ns);
    if (s->collecting && sleep_ns > COLLECT_WAIT_NS) sleep_ns = COLLECT_WAIT_NS;
    if (sleep_ns > share_ns) sleep_ns = share_ns;
    if (s->pause_until_ms > 0) {
        int64_t pause_ms = s->pause_until_ms - s->now_ms; // may be too much for nanoseconds
        if (pause_ms <= sleep_ns / 1000000) sleep_ns = pause_ms * 1000000;
    }
    return sleep_ns > 0 ? sleep_ns : 0;
}

int64_t shard_sleep_ns(struct shard *s) {
    // One branch for all of it: nearly always there is only the next tick, or a timer, to wait for.
    uint64_t rare = (uintptr_t)s->resumable | (uintptr_t)s->dirty | (uintptr_t)s->loading |
                    (uintptr_t)s->share | (uint64_t)s->pause_until_ms | s->gates | s->pubsub_busy |
                    s->stopping | s->expire_pending | s->collecting | s->intents.lent |
                    s->eviction.pending | s->eviction.waiting;
    if (unlikely(rare != 0) || unlikely(s->keyspace->flushed != NULL) || pubsub_has_news(s))
        return sleep_among_others_ns(s);
    int64_t until_ns = s->next_tick_ns, timer_ns = timers_next_ns(&s->timers);
    int64_t sleep_ns = (timer_ns < until_ns ? timer_ns : until_ns) - s->now_ns;
    return sleep_ns > 0 ? sleep_ns : 0;
}

bool shard_sleep_begin(struct shard *s) {
    uint32_t n = s->fleet->nshards;
    if (n == 1) return true;
    struct shard_face *face = &s->fleet->faces[s->id];
    atomic_store_explicit(&face->holding, s->held_first != NULL, memory_order_relaxed);
    atomic_store_explicit(&face->sleeping, true, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    bool quiet = (!s->held_first || !request_held_is_due(s)) && !pubsub_has_news(s);
    for (uint32_t from = 0; from < n && quiet; from++)
        if (from != s->id) quiet = mailbox_is_empty(&s->fleet->mailboxes[from * n + s->id]);
    if (!quiet)
        atomic_store_explicit(&face->sleeping, false, memory_order_relaxed);
    else
        s->stats.sleeps++;
    return quiet;
}

void shard_sleep_end(struct shard *s) {
    if (s->fleet->nshards == 1) return;
    atomic_store_explicit(&s->fleet->faces[s->id].sleeping, false, memory_order_relaxed);
}

bool shard_is_finished(const struct shard *s) {
    if (s->fleet->tls && !tls_front_is_stopped(s->fleet->tls)) return false;
    if (!s->stopping || s->connection_count > 0 || s->held_first || s->intents.parts > 0 ||
        s->blocked_count > 0 || s->loading || notes_waiting(s) || !pubsub_is_idle(s) ||
        snapshot_walk_holds(s) || (s->id == 0 && !snapshots_are_quiet(s->fleet)))
        return false;
    for (uint32_t to = 0; to < s->fleet->nshards; to++)
        if (s->outboxes[to].len > 0) return false;
    return true;
}
