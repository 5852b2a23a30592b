// SPDX-License-Identifier: BSD-3-Clause
//
// The simulator: real shard cores (shards/*.c) of a whole fleet in one thread, over an in-memory
// io, with virtual time, under a scheduler that takes every choice from one seeded random stream.
// So a seed is a whole run, and a failure repeats. Simulated clients send RESP over the in-memory
// connections and keep a history of operations with the moments of their invocation and response;
// workloads make the operations and check the histories.
//
//   clients <-bytes-> links <-events-> shard_pass() <-words-> mailboxes
//   (client.c,        (sim_io.c)
//    workload_*.c)           world.c picks what happens next
#ifndef TORC_TESTS_SIMULATION_SIM_H
#define TORC_TESTS_SIMULATION_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/random.h"
#include "shards/shard.h"

#define SIM_SHARDS_MAX  8
#define SIM_CLIENTS_MAX 12
#define SIM_LINKS_MAX   512
#define SIM_FD_BASE     (1 << 24) // no descriptor of the process is ever this high
#define SIM_LOST        UINT64_MAX

struct world;
struct client;

/** What is broken on purpose, to see that it is found. Bits. */
enum sabotage {
    SABOTAGE_SPLIT_READ = 1,  // an MGET or a block of reads is sent as single commands
    SABOTAGE_SPLIT_WRITE = 2, // an MSET, RENAME or block with writes is sent as single commands
    SABOTAGE_RELAXED = 4,     // pipeline-order relaxed
    SABOTAGE_STALE = 8, // now and then a client is given its previous reply to the same command
    SABOTAGE_LOST_WAKE = 16,     // now and then a wake-up does not arrive
    SABOTAGE_LOST_EVENT = 32,    // now and then received bytes do not reach the shard
    SABOTAGE_IGNORE_WATCH = 64,  // WATCH is not sent
    SABOTAGE_ABORT = 128,        // an EXEC's reply is now and then replaced by "aborted"
    SABOTAGE_LOST_MESSAGE = 256, // now and then a subscriber does not see a message ...
    SABOTAGE_LATE_MESSAGE = 512, // ... or sees it behind the next one
};

struct sim_options {
    uint64_t seed;
    uint32_t shards;      // 0: chosen by the seed
    uint64_t steps;       // limit of scheduler steps; reaching it is a failure
    const char *workload; // NULL: chosen by the seed
    uint32_t sabotage;
    bool verbose;
    bool quiet; // failures are not printed
};

// ---- memory that lives as long as a world ------------------------------------------------------

struct arena_block;
struct arena {
    struct arena_block *blocks;
    size_t used, size;
};
void *arena_alloc(struct arena *a, size_t n);
char *arena_copy(struct arena *a, const char *p, size_t n); // zero-terminated
void arena_free(struct arena *a);

// ---- values and operations ---------------------------------------------------------------------

enum value_type { VALUE_STATUS, VALUE_ERROR, VALUE_INT, VALUE_TEXT, VALUE_NULL, VALUE_ARRAY };

/** A parsed reply. Lives in the world's arena. */
struct sim_value {
    enum value_type type;
    int64_t number; // VALUE_INT, and VALUE_TEXT that is a number
    const char *text;
    size_t n; // bytes of text, items of an array
    struct sim_value *items;
};

#define LINE_WORDS_MAX 40
/** One command as words. */
struct line {
    int argc;
    const char **argv;
};

/** An operation of a client: a command, or a block from MULTI to EXEC that counts as one. */
struct op {
    struct op *next; // of the client's outstanding ones
    struct client *client;
    uint32_t connection; // serial number of the client's connection
    bool block;
    int count; // lines: 1, or those of the block (or of client_issue_lines)
    struct line *lines;
    uint64_t invoke, respond; // stamps; respond 0: outstanding, SIM_LOST: will never be known
    struct sim_value *reply;  // the last wire reply, or what the single ones amount to
    const char *raw;          // its bytes
    size_t raw_n;
    uint32_t wires, arrived; // replies expected and seen
    bool refused;            // a command of the block was, for want of memory
    bool split;              // sent as single commands: replies are put together
    struct buf parts;        // split: raw replies so far
    int tag;                 // the workload's
    int64_t x, y;
};

// ---- links and clients -------------------------------------------------------------------------

/** Both directions of one connection. */
struct link {
    struct client *client; // NULL: it has vanished
    struct io_conn *conn;  // NULL before attach and after IO_CLOSED
    uint32_t shard;
    bool used, accepted, paused, closing, ended_told;
    bool client_ended; // sends no more (EOF after what is queued)
    bool client_reset; // gone: receiving fails
    struct buf to_server;
    struct iovec *send_v; // rest of the send in progress
    size_t send_count;
};

struct client {
    struct world *world;
    uint32_t id;
    int role;
    struct link *link;
    uint32_t connections;
    bool finished;  // sends no more operations
    bool node;      // comes by the port of a shard ...
    uint32_t shard; // ... of this one, and may name its keys only
    uint32_t depth, outstanding, budget;
    struct op *first, *last; // outstanding, oldest first
    struct buf inbox;
    // The workload's.
    int phase;
    int64_t v[24];
    struct op *latest;
    const struct sim_value *late; // sabotage: a message that is held back
};

/** A workload: what clients do, and what must hold. */
struct workload {
    const char *name;
    void (*setup)(struct world *w);      // decides clients and roles, issues first ops
    void (*connected)(struct client *c); // a new connection: state of the session is lost
    void (*next)(struct client *c);      // issues the next operation, or sets finished
    void (*replied)(struct client *c, struct op *op); // an operation has its reply
    void (*check)(struct world *w);                   // all clients are gone, all shards quiet
    // A message of a channel; NULL: nobody subscribes.
    void (*pushed)(struct client *c, const struct sim_value *v);
    // An entry of a snapshot and, without one, its end; NULL: it has nothing to say to that.
    void (*snapshot)(struct world *w, uint32_t db, const struct entry *e);
};

struct sim_snapshots;

extern const struct workload workload_transfers, workload_groups, workload_tokens, workload_order,
    workload_registers, workload_memory, workload_chaos, workload_queues, workload_messages,
    workload_snapshot, workload_caching;

struct sim_io {
    struct io io; // first member
    struct world *world;
    uint32_t shard;
    bool woken;
    uint64_t wakes;
    struct buf *buffers; // data of the events in hand
    int buffer_count, buffer_cap;
};

struct world {
    struct sim_options options;
    const struct workload *workload;
    struct random random;
    struct arena arena;
    uint32_t nshards;
    struct fleet *fleet;
    struct shard *shards[SIM_SHARDS_MAX];
    struct sim_io *ios[SIM_SHARDS_MAX];
    struct config *config;
    bool sleeping[SIM_SHARDS_MAX];
    int64_t deadline_ns[SIM_SHARDS_MAX];
    uint64_t
        lent_for[SIM_SHARDS_MAX]; // ticket that a keyspace was last lent for, and to which shard
    uint32_t lent_to[SIM_SHARDS_MAX];
    uint32_t weight[SIM_SHARDS_MAX]; // how often a shard is picked
    uint32_t event_chance;           // of 16: an event that could be reported is
    uint32_t piece_max;              // longest piece of bytes
    uint32_t away_chance;            // of 16: a shard that has ended its pass may be visited
    uint32_t client_chance;          // of 16: the next step is a client's
    uint32_t vanish_chance;          // of 4096 client steps
    uint32_t scale;                  // most runs are short, some are several times as long
    uint32_t skew_ns;                // how old a shard's reading of the clock may be
    int64_t now_ns, start_us, progress_ns;
    uint64_t step, stamp, passes;
    struct link links[SIM_LINKS_MAX];
    uint32_t link_count;
    struct client clients[SIM_CLIENTS_MAX];
    uint32_t client_count;
    struct op **ops; // the history, in order of invocation
    uint32_t op_count, op_cap;
    bool may_close;      // clients ask the server to close connections
    uint32_t setup_left; // operations of the setup that are outstanding
    bool failed;
    char failure[1024];
    struct sim_snapshots *snapshots; // NULL: none are taken in this run
    // The workload's.
    const char *keys[64];
    int key_count;
    int64_t v[32];
    void *data;
};

// ---- world.c -----------------------------------------------------------------------------------

/** Runs one seed. Returns whether all held; else failure (may be NULL) gets the message. */
bool world_run(const struct sim_options *options, char failure[1024], uint64_t *steps);
/** Records the first failure of this run. */
void sim_fail(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** Names what was being run, for the handler of fatal signals. */
void sim_describe_current(char *out, size_t size);
const struct workload *workload_named(const char *name);

static inline uint32_t sim_below(struct world *w, uint32_t bound) {
    return (uint32_t)random_below(&w->random, bound);
}
static inline bool sim_chance(struct world *w, uint32_t of_16) { return sim_below(w, 16) < of_16; }
/** A string's value in a quiet shard's keyspace, as text in the world's arena; NULL: absent. */
const char *sim_peek(struct world *w, uint32_t db, const char *key);
/** A key with this prefix and number that lies on the given shard (modulo the number of shards). */
const char *sim_key(struct world *w, const char *prefix, int number, uint32_t shard);

// ---- snapshots.c -------------------------------------------------------------------------------

/** Decides whether snapshots are taken in this run; always, when the workload is about them. */
void sim_snapshots_choose(struct world *w);
void sim_snapshots_free(struct world *w);
/** Now and then begins one, gives one up, or lets its file stand still for a while. */
void sim_snapshots_step(struct world *w);
/** No more are begun; what is under way goes on. */
void sim_snapshots_calm_down(struct world *w);
/** Begins one just before the end. */
void sim_snapshots_begin_last(struct world *w);
/** All shards are quiet: none may be under way. */
void sim_snapshots_check(struct world *w);

// ---- sim_io.c ----------------------------------------------------------------------------------

struct sim_io *sim_io_new(struct world *w, uint32_t shard);
/** Whether the io of this shard could report something, or move bytes. */
bool sim_io_is_ready(const struct world *w, uint32_t shard);
/** Moves bytes and collects a random choice of what could be reported. */
int sim_io_gather(struct world *w, uint32_t shard, struct io_event *events, int max);
/** A new connection of a client, to be accepted by some shard. */
struct link *sim_link_open(struct world *w, struct client *c);

// ---- client.c ----------------------------------------------------------------------------------

struct client *client_add(struct world *w, int role, uint32_t budget, uint32_t depth);
/** From its first connection on, the client comes by the port of this shard. Before any step. */
void client_use_shard_port(struct client *c, uint32_t shard);
/** Sends one command, given as words between spaces. */
struct op *client_issue(struct client *c, int tag, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/** Sends a block: MULTI, the commands (one per line, split at '\n'), EXEC. */
struct op *client_issue_block(struct client *c, int tag, const char *lines);
/** Sends some commands, one per line, that get this many replies in all. */
struct op *client_issue_lines(struct client *c, int tag, const char *lines, uint32_t replies);
/** Bytes from the server. */
void client_receive(struct client *c, const char *p, size_t n);
/** Leaves without a word (reset) or by closing its side; comes back with a new connection. */
void client_vanish(struct client *c, bool reset);
void client_close(struct client *c);
/** The server has closed the client's connection. */
void client_was_closed(struct client *c);
/** Parses one reply; NULL: incomplete. *used: its length. */
struct sim_value *value_parse(struct arena *a, const char *p, size_t n, size_t *used);
bool value_is_status(const struct sim_value *v, const char *text);
/** One line per operation that names a key with this text (NULL: all), for failure reports. */
void history_print(const struct world *w, const char *key, size_t limit);

// ---- linear.c ----------------------------------------------------------------------------------

enum linear_result { LINEAR_YES, LINEAR_NO, LINEAR_UNKNOWN };
/** Whether the operations have an order, true to time and pipelines, that explains all replies. */
enum linear_result linear_check(struct op *const *ops, uint32_t count, const char *const *keys,
                                int key_count);
#define LINEAR_OPS_MAX 128

#endif
