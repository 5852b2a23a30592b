// SPDX-License-Identifier: BSD-3-Clause
//
// What a command is: its row in the one command table, and the context it runs in. Commands are
// pure functions over keyspaces: they parse their arguments, read and change entries, and write one
// reply. They know no connection, thread or shard: the caller has routed the command to where its
// keys are (or brought the keys together), so that all keys a command names are reachable through
// its view. Callers: shards/ (real server and simulator), tests.
#ifndef TORC_ENGINE_COMMANDS_COMMAND_H
#define TORC_ENGINE_COMMANDS_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/assert.h"
#include "engine/base/reply.h"
#include "engine/base/slice.h"
#include "engine/keyspace/entry.h"
#include "engine/keyspace/events.h"
#include "engine/keyspace/keyspace.h"
#include "engine/types/value.h"

struct cmd;
struct command;
struct effects;
struct block;

/** The keyspaces that a command may touch. */
struct view {
    struct keyspace *only;      // the single keyspace with all its keys; NULL: several
    struct keyspace **by_shard; // when only is NULL: all nshards of them, lent to the caller
    uint32_t nshards;           // of the process (SCAN cursors need it), also when only is set
    bool frozen; // read-only borrowing: expired keys are hidden but not deleted, access times stay
};

/** Settings that commands read (CONFIG names in shards/config). */
struct engine_settings {
    int64_t proto_max_bulk_len; // bytes; longest string
    bool lfu;                   // access information is LFU, not LRU
    uint32_t lfu_log_factor;
    uint32_t lfu_decay_time; // minutes
    int rdb_version;      // of DUMP's payloads; 0: RDB_VERSION_DEFAULT, or newer where it must be
    bool rdb_compression; // ... and whether they are compressed
    struct value_limits limits;
};

/**
 * Where a command's effects go: the commands to replay, in order, to make the same changes
 * elsewhere. The words are valid for the call only.
 */
struct effects {
    void *context;
    void (*emit)(void *context, uint32_t db, int argc, const struct slice *argv);
    bool said; // the command has said its effect: its own words are not one
};

/**
 * How a command waits (BLPOP, XREAD BLOCK, ...). It is given one when it may: not in MULTI. What
 * finds nothing to answer with calls cmd_block() and writes no reply; the caller then waits until
 * one of the keys is changed such that it has the type, runs the command again, and so on until it
 * replies or the time is over.
 */
struct block {
    bool wanted;           // the command waits: no reply was written
    bool on_missing;       // also when a key is deleted or gets another type (XREADGROUP)
    enum entry_type type;  // what a key has to become
    int64_t timeout_ms;    // 0: for ever
    int first, last, step; // which arguments are the keys it waits for
    // Arguments to be replaced before it is run again (XREAD's "$"): argument, and its new text.
    int replaced_count;
    struct block_text {
        int arg;
        uint8_t length;
        char text[48];
    } * replaced; // freed by the caller
};

/** A value of this length and more that came in a blob of hardly more bytes is not copied. */
#define COMMAND_TAKE_MIN ((size_t)32 * 1024)

/**
 * One execution. Filled by the caller, on the path of every command, who names every field: what
 * is left out is cleared, and the whole structure first with it.
 */
struct cmd {
    const struct command *spec; // the row (of the subcommand, if it is one)
    int argc;
    const struct slice *argv; // argv[0] is the command's name as sent
    struct reply *reply;
    const struct view *view;
    const struct engine_settings *settings;
    int64_t now_ms;           // wall clock of this loop pass ...
    int64_t now_us;           // ... and the same in microseconds (TIME)
    uint32_t db;              // selected database
    uint32_t flags;           // CMD_CTX_*
    int only_arg;             // not 0: only the key at this argument is in reach (see cmd_serves)
    int hashed_arg;           // argv index whose hash is known (0: none) ...
    uint64_t hashed;          // ... and the hash
    struct blob *source;      // the blob that (some of) the arguments are in; NULL: none is
    struct look_ahead *ahead; // NULL, or see cmd_look_ahead()
    struct effects *effects;  // who takes effects; NULL: nobody does
    struct block *block;      // how it may wait; NULL: it may not, and answers as if timed out
    const struct connection *client; // who has sent it, for who runs it; NULL: nobody
};
enum {
    CMD_CTX_NO_TOUCH = 1,   // CLIENT NO-TOUCH: reads leave access information alone
    CMD_CTX_NODE = 2,       // the client sees a cluster node, which has one database
    CMD_CTX_SUBSCRIBED = 4, // in RESP2, subscribed: few commands are allowed, PING is answered as
                            // a message
    CMD_CTX_TRACKED = 8,    // the client keeps what it reads, and is told when that changes
    CMD_CTX_DATA = 32,      // administrative commands are served on another port only
    CMD_CTX_NARROW = 16,    // its user may not read every key: no patterns of keys in SORT
};

/** What the caller must arrange before it can run the command. */
enum command_where {
    WHERE_KEYS,    // all keys of the key specs: on their shard, or brought together for it
    WHERE_ALL,     // every keyspace of the process (KEYS, DBSIZE, FLUSHALL, SWAPDB, RANDOMKEY)
    WHERE_CURSOR,  // the shard that the cursor argument names (SCAN)
    WHERE_SESSION, // the connection's own shard, no keyspace: run by shards/ (run is NULL)
    WHERE_ANY,     // no keys, no session: may run anywhere (PING, ECHO, TIME, COMMAND, LOLWUT)
};

enum command_flag { // Redis's names, in the order COMMAND INFO users know; bit positions
    COMMAND_WRITE = 1 << 0,
    COMMAND_READONLY = 1 << 1,
    COMMAND_DENYOOM = 1 << 2,
    COMMAND_ADMIN = 1 << 3,
    COMMAND_PUBSUB = 1 << 4,
    COMMAND_NOSCRIPT = 1 << 5,
    COMMAND_BLOCKING = 1 << 6,
    COMMAND_LOADING = 1 << 7,
    COMMAND_STALE = 1 << 8,
    COMMAND_SKIP_MONITOR = 1 << 9,
    COMMAND_SKIP_SLOWLOG = 1 << 10,
    COMMAND_ASKING = 1 << 11,
    COMMAND_FAST = 1 << 12,
    COMMAND_NO_AUTH = 1 << 13,
    COMMAND_MAY_REPLICATE = 1 << 14,
    COMMAND_NO_ASYNC_LOADING = 1 << 15,
    COMMAND_NO_MULTI = 1 << 16,
    COMMAND_MOVABLEKEYS = 1 << 17,
    COMMAND_ALLOW_BUSY = 1 << 18,
    COMMAND_MODULE = 1 << 19,
    // torc's own, not shown:
    COMMAND_MANY_DBS =
        1 << 24, // may touch keys in another database than the selected one (MOVE, COPY)
    COMMAND_SYSTEM = 1 << 25,       // not for applications: "syscmd" in COMMAND DOCS
    COMMAND_PATTERN_KEYS = 1 << 26, // may look at keys that are no arguments: see command_roams()
    COMMAND_SUBSCRIBED = 1 << 27,   // allowed to a subscribed client of RESP2
};

enum key_flag { // of a key spec, Redis's names
    KEY_RO = 1 << 0,
    KEY_RW = 1 << 1,
    KEY_OW = 1 << 2,
    KEY_RM = 1 << 3,
    KEY_ACCESS = 1 << 4,
    KEY_UPDATE = 1 << 5,
    KEY_INSERT = 1 << 6,
    KEY_DELETE = 1 << 7,
    KEY_NOT_KEY = 1 << 8,
    KEY_INCOMPLETE = 1 << 9,
    KEY_VARIABLE_FLAGS = 1 << 10,
};

/**
 * One key spec: begin_search is an index or a keyword; find_keys a range or a count argument. With
 * neither (begin 0, no keyword) the keys are found by a function (key_positions.c).
 */
struct key_spec {
    uint16_t flags; // key_flag bits
    int16_t begin;  // argv index where the search begins
    int16_t last;   // range: last key relative to begin, negative from the end (-1: last argument)
    int16_t step;   // range: distance between keys
    int16_t limit;  // range: as in Redis
    int16_t
        keynum; // >= 0: index (relative to begin) of an argument that counts the keys; -1: range
    const char *notes;
    const char *keyword; // not NULL: the search begins behind this word ...
    int16_t from;        // ... looked for from this argv index on
};

typedef void command_fn(struct cmd *c);

struct command {
    const char *name;      // lower case; a subcommand has its own name only ("get")
    const char *full_name; // "config|get" for a subcommand, else as name
    command_fn *run;       // NULL for WHERE_SESSION and for containers
    int16_t arity;         // as in Redis: negative means at least
    uint8_t where;         // enum command_where
    uint8_t key_spec_count;
    uint32_t flags; // command_flag bits
    uint32_t acl;   // ACL category bits (see table.c)
    const struct key_spec *key_specs;
    int16_t first_key, last_key, key_step;            // the legacy triple of COMMAND INFO
    const char *const *tips;                          // NULL-terminated, or NULL
    const char *group, *since, *complexity, *summary; // for COMMAND DOCS, summary in our words
    const char *deprecated_since, *replaced_by;       // for COMMAND DOCS, or NULL
    const struct command *subcommands;                // array of subcommand_count, or NULL
    uint16_t subcommand_count;
    uint16_t id; // dense number over all rows, subcommands included: index for statistics
};

/** Rows in the table, subcommands included: ids are below it. */
uint32_t command_count(void);
/** The row with this id. */
const struct command *command_by_id(uint32_t id);
/** Top-level rows, in alphabetical order. */
const struct command *command_rows(uint32_t *count);
/**
 * Finds a top-level row by what clients call it, any case; NULL if unknown. Fast: no general hash
 * table on the path of GET and SET.
 */
const struct command *command_find(struct slice name);
/** The same by the name in the table, whatever rename-command says. */
const struct command *command_find_row(struct slice name);
/**
 * By name or container|subcommand; `find` is one of the two above, and says whose names count.
 * NULL: unknown.
 */
const struct command *command_find_full(struct slice name,
                                        const struct command *find(struct slice name));
/**
 * From now on clients call a command otherwise, or, if `now` is empty, not at all (rename-command).
 * The old name is free. Before threads exist. NULL, or why not, in Redis's words.
 */
const char *command_rename(struct slice name, struct slice now);
/** Takes all renaming back (the end of a process, tests). */
void command_rename_none(void);
/** Whether the command has a name that clients can call it by. */
bool command_can_be_called(const struct command *row);
/** Finds a subcommand of a container, any case; NULL if unknown. */
const struct command *command_find_sub(const struct command *parent, struct slice name);

/** Whether Redis 7.2 has a command, or container|subcommand, with this name, and torc has not. */
bool command_is_absent(struct slice full_name);

/** A key argument of a command: where it is and what happens to it. */
struct key_position {
    int arg;
    uint16_t flags; // key_flag bits
};
#define COMMAND_KEYS_INVALID (-1)
/**
 * The key arguments of a command whose arity is right: writes at most max positions and returns
 * how many there are in all, or COMMAND_KEYS_INVALID when a count argument makes no sense.
 */
int command_keys(const struct command *spec, int argc, const struct slice *argv,
                 struct key_position *out, int max);

/** Whether this call may look at keys that are not among its arguments (SORT BY, GET patterns). */
bool command_roams(const struct command *spec, int argc, const struct slice *argv);

/** All key arguments of one command, wherever they fit. */
struct key_list {
    int count;               // 0 also when a count argument makes no sense
    struct key_position *at; // few, or an allocation
    struct key_position few[16];
};
/** Fills the list; freed with key_list_fini. */
void key_list_init(struct key_list *list, const struct command *spec, int argc,
                   const struct slice *argv);
void key_list_fini(struct key_list *list);

/**
 * The shard whose keyspace a WHERE_CURSOR command (SCAN) needs, from its cursor argument; shard 0
 * when the cursor is malformed or names a shard that does not exist (the command then answers for
 * itself).
 */
uint32_t command_cursor_shard(struct slice cursor, uint32_t nshards);
/**
 * How many keys such a command asks for (its COUNT, or the default; a malformed one counts as
 * absent).
 */
int64_t command_cursor_count(int argc, const struct slice *argv);

// ---- what command functions use ----------------------------------------------------------------

/** The database object that holds (or would hold) this key, in the selected database. */
struct db *cmd_db(const struct cmd *c, struct slice key);
/** The same in another database number. */
struct db *cmd_db_at(const struct cmd *c, struct slice key, uint32_t index);
/** The key at argv[arg] with its hash. */
struct key cmd_key(const struct cmd *c, int arg);

#define LOOK_AHEAD 32
/** Keys of one command whose hashes are known and whose entries are on their way to the cache. */
struct look_ahead {
    int first, step, count; // arguments first, first + step, ...
    uint64_t hashes[LOOK_AHEAD];
    struct db *dbs[LOOK_AHEAD]; // where they are
};
/**
 * For a command that is going to look up many keys one after the other, every step-th argument from
 * some point on: lets the loads of a window of them overlap. *ahead is the caller's, for as long as
 * the command runs.
 */
void cmd_look_ahead(struct cmd *c, struct look_ahead *ahead, int step);

/** A found key: everything a command needs to read or change it. */
struct found {
    struct db *db;
    struct key key;
    struct table_ref ref; // ref.entry is NULL when the key is absent (or expired)
};
/**
 * Looks a key up to read it: expired counts as absent (and is deleted unless the view is frozen);
 * counts hit or miss; updates access information.
 */
static inline struct found cmd_read(struct cmd *c, int arg);
/** Looks a key up to change it: the same without counting hits. */
static inline struct found cmd_write(struct cmd *c, int arg);
/**
 * Looks a key up without touching access information or counting (TTL, TYPE, EXISTS-like
 * introspection: OBJECT).
 */
static inline struct found cmd_peek(struct cmd *c, int arg);
/** The same for a key that is not at an argument of the selected database. */
struct found cmd_find_at(struct cmd *c, struct slice key, uint32_t db);
/** Whether the entry's time has passed: it counts as absent. */
bool cmd_expired(const struct cmd *c, const struct entry *e);
/**
 * Marks a found entry as used now, whatever CLIENT NO-TOUCH says (TOUCH); nothing in a frozen
 * view.
 */
void cmd_touch(struct cmd *c, const struct found *f);
/** The access information of an entry that is created now: give it to entry_set_access(). */
uint32_t cmd_new_access(const struct cmd *c);
/** Seconds since the last use (LRU settings), and the decayed use counter (LFU settings). */
uint32_t cmd_idle_s(const struct cmd *c, const struct entry *e);
uint32_t cmd_frequency(const struct cmd *c, const struct entry *e);
/** True if found and not of that type: the WRONGTYPE error has been written then. */
static inline bool cmd_wrong_type(struct cmd *c, const struct found *f, enum entry_type type);

/** Integer argument with Redis's default error text; false: the error has been written. */
bool cmd_arg_i64(struct cmd *c, int arg, int64_t *out);
/**
 * The same within [min, max], else an error that names the two (or text, when not NULL).
 */
bool cmd_arg_range(struct cmd *c, int arg, int64_t min, int64_t max, int64_t *out,
                   const char *text);

/**
 * Runs a command, and sees to its effect: a command that changed something and said nothing of its
 * effect is its own. This, not spec->run, is what everyone calls.
 */
static inline void cmd_run(struct cmd *c);

/**
 * Whether a blocking command may look at the key at this argument: when it is run again because one
 * of its keys is ready, the others may be out of reach. A key that is named twice is both times.
 */
static inline bool cmd_serves(const struct cmd *c, int arg) {
    return c->only_arg == 0 || c->only_arg == arg ||
           slice_equal(c->argv[c->only_arg], c->argv[arg]);
}
/**
 * Ends a blocking command that found nothing: it waits for the keys first, first + step, ... last
 * to get this type. False: it may not wait; the caller writes the reply of a timeout.
 */
bool cmd_block(struct cmd *c, enum entry_type type, int64_t timeout_ms, int first, int last,
               int step);
/** After cmd_block() said true: when run again, the argument is this text (up to 48 bytes). */
void cmd_block_replace(struct cmd *c, int arg, struct slice text);
/**
 * A timeout argument in seconds, fractions allowed, as BLPOP takes it; in milliseconds, 0: for
 * ever. False: the error has been written.
 */
bool cmd_arg_timeout(struct cmd *c, int arg, int64_t *timeout_ms);

// Error texts that many commands share, in one place.
extern const char error_syntax[]; // "ERR syntax error"
extern const char
    error_wrong_type[]; // "WRONGTYPE Operation against a key holding the wrong kind of value"
extern const char error_not_integer[]; // "ERR value is not an integer or out of range"
extern const char error_not_float[];   // "ERR value is not a valid float"
extern const char error_no_such_key[]; // "ERR no such key"
extern const char
    error_out_of_range[]; // "ERR index out of range" is LSET's; this is "ERR value is out of range"

// Filled where the caller has it: returned by value, it would be copied right after it was written
// piece by piece, which stalls the processor. Hence the attributes, here and in cmd.c.
void cmd__read(struct cmd *c, int arg, struct found *f);
void cmd__write(struct cmd *c, int arg, struct found *f);
void cmd__peek(struct cmd *c, int arg, struct found *f);
void cmd__refuse_type(struct cmd *c);
void cmd__run_with_effects(struct cmd *c);

static inline __attribute__((always_inline)) struct found cmd_read(struct cmd *c, int arg) {
    struct found f;
    cmd__read(c, arg, &f);
    return f;
}

static inline __attribute__((always_inline)) struct found cmd_write(struct cmd *c, int arg) {
    struct found f;
    cmd__write(c, arg, &f);
    return f;
}

static inline __attribute__((always_inline)) struct found cmd_peek(struct cmd *c, int arg) {
    struct found f;
    cmd__peek(c, arg, &f);
    return f;
}

static inline bool cmd_wrong_type(struct cmd *c, const struct found *f, enum entry_type type) {
    if (f->ref.entry == NULL || likely(entry_has_type(f->ref.entry, type))) return false;
    cmd__refuse_type(c);
    return true;
}

static inline void cmd_run(struct cmd *c) {
    if (likely(c->effects == NULL))
        c->spec->run(c);
    else
        cmd__run_with_effects(c);
}

#endif
