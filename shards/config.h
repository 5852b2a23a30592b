// SPDX-License-Identifier: BSD-3-Clause
//
// The configuration: one row per directive, from which the redis.conf parser, the command line,
// CONFIG GET/SET/REWRITE and docs/configuration.md follow. A struct config is immutable once it is
// in use and counted by reference: every shard holds the current one, CONFIG SET makes a changed
// copy and hands it to all shards, so that reading a setting is reading a field. Made on the main
// thread, changed on shard 0.
#ifndef TORC_SHARDS_CONFIG_H
#define TORC_SHARDS_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/acl/acl_users.h"
#include "engine/base/buf.h"
#include "engine/base/slice.h"
#include "engine/types/value.h"
#include "net/tls.h"

#define CONFIG_BIND_MAX   16
#define CONFIG_SHARDS_MAX 1024

enum config_client_class {
    CONFIG_CLIENT_NORMAL,
    CONFIG_CLIENT_REPLICA,
    CONFIG_CLIENT_PUBSUB,
    CONFIG_CLIENT_CLASSES
};

struct config_output_limit {
    int64_t hard_bytes, soft_bytes;
    int64_t soft_seconds;
};

struct config {
    // Filled by the parser, one row each; strings are owned by the config and never NULL.
    int64_t port;
    char *bind[CONFIG_BIND_MAX];
    int bind_count;
    char *unixsocket;
    int64_t unixsocketperm; // octal in the file; 0: leave
    int64_t tcp_backlog, tcp_keepalive_s, timeout_s, maxclients;
    bool protected_mode;
    int64_t admin_port; // 0: every port serves administrators
    char *admin_bind;
    int64_t tls_port, tls_handshake_threads; // threads 0: by the number of shards
    struct tls_settings tls;
    int64_t shards;                        // 0: by affinity and CPU quota
    bool shard_pinning;                    // `shard-pinning yes|no`: pin shard threads to CPUs
    bool shard_ports;                      // shard i listens on port + 1 + i as a cluster node
    char *announce_ip, *announce_hostname; // of those nodes; empty: as the client reached us
    int64_t announce_port;                 // stands for `port` in what they announce; 0: port
    int endpoint_type;                     // enum config_endpoint
    int io_backend;                        // enum config_io_backend
    int pipeline_order;                    // enum config_pipeline_order
    int64_t databases;
    struct buf requirepass; // may have zero bytes
    int64_t auth_timeout_s; // for strangers to log in; 0: for ever
    char *aclfile;          // of users; empty: they are in this configuration
    int64_t acllog_max_len;
    int acl_pubsub_default; // enum config_pubsub_default: channels of a new user
    int64_t proto_max_bulk_len, client_query_buffer_limit;
    struct config_output_limit output_limit[CONFIG_CLIENT_CLASSES];
    bool daemonize;
    char *pidfile, *logfile, *dir;
    char *run_as;           // user that a process of root becomes; empty: stays
    bool core_dumps;        // core files may be written
    char *dbfilename;       // of the snapshot, in dir
    int rdb_unknown;        // enum config_unknown: what becomes of what a file has and torc has not
    int64_t key_load_delay; // microseconds for each key that is loaded; negative: see its row
    int loglevel;           // enum log_level
    bool always_show_logo;
    int64_t hz;
    int64_t maxmemory;            // bytes; 0: no limit
    char *notify_keyspace_events; // letters: events.h
    int64_t tracking_table_max_keys;
    int maxmemory_policy; // enum config_maxmemory_policy (decides LRU or LFU access information)
    int64_t maxmemory_samples, maxmemory_eviction_tenacity;
    int64_t lfu_log_factor, lfu_decay_time;
    char *save; // pairs of numbers, see config_save.h
    bool stop_writes_on_bgsave_error, rdbcompression, rdbchecksum, rdb_save_incremental_fsync;
    int rdb_version; // enum config_rdb_version
    char *snapshot_cron;
    int64_t snapshot_keep;
    char *shutdown_on_sigint, *shutdown_on_sigterm; // words, see config_save.h
    struct value_limits limits;                     // of the compact encodings
    int enable_debug_command;                       // enum config_enable: no, yes, local
    int enable_protected_configs;                   // enum config_enable: who may CONFIG SET dir
    bool active_expire;                             // not a directive: DEBUG SET-ACTIVE-EXPIRE
    struct acl_users *users; // a reference; follows from `user` lines, aclfile, requirepass
    // Bookkeeping.
    struct buf renames;         // of rename-command: name and new name, each with a zero byte
    struct acl_list user_words; // of `user` lines, until all is read; tag 1: a user's name
    bool save_given;            // by a line of the configuration: further lines add to it
    char *file;                 // absolute path of the configuration file, or ""
    _Atomic int references;
};

enum config_io_backend { CONFIG_IO_AUTO, CONFIG_IO_URING, CONFIG_IO_EPOLL };
enum config_endpoint { CONFIG_ENDPOINT_IP, CONFIG_ENDPOINT_HOSTNAME, CONFIG_ENDPOINT_UNKNOWN };
enum config_pipeline_order { CONFIG_ORDER_STRICT, CONFIG_ORDER_RELAXED };
enum config_maxmemory_policy {
    CONFIG_VOLATILE_LRU,
    CONFIG_VOLATILE_LFU,
    CONFIG_VOLATILE_RANDOM,
    CONFIG_VOLATILE_TTL,
    CONFIG_ALLKEYS_LRU,
    CONFIG_ALLKEYS_LFU,
    CONFIG_ALLKEYS_RANDOM,
    CONFIG_NOEVICTION
};
enum config_unknown { CONFIG_UNKNOWN_REFUSE, CONFIG_UNKNOWN_SKIP };
enum config_rdb_version {
    CONFIG_RDB_AUTO,
    CONFIG_RDB_9,
    CONFIG_RDB_10,
    CONFIG_RDB_11,
    CONFIG_RDB_12
};
enum config_pubsub_default { CONFIG_PUBSUB_ALL, CONFIG_PUBSUB_NONE };
enum config_enable { CONFIG_ENABLE_NO, CONFIG_ENABLE_YES, CONFIG_ENABLE_LOCAL };

/** The number that `rdb-version` stands for; 0: auto. */
static inline int config_rdb_version(const struct config *c) {
    return c->rdb_version == CONFIG_RDB_AUTO ? 0 : c->rdb_version - CONFIG_RDB_9 + 9;
}

/** All defaults. One reference, the caller's. */
struct config *config_new(void);
struct config *config_copy(const struct config *c);
struct config *config_retain(struct config *c);
void config_release(struct config *c);

/** Inert directives that the configuration named: known to Redis, not acted on by torc. */
struct config_notices {
    struct buf
        names; // "save, appendonly, ..." in order of appearance, each once: one line in the log
    struct buf
        unmet; // those among them whose value asks for what torc does not do: worth a warning
};

void config_notices_free(struct config_notices *notices);

/**
 * Reads the command line as redis-server does: [file | -] [--name value ...], "--name=value" not;
 * --version, --help and --check-config are the caller's. argv[0] is the program. Relative paths
 * count from `dir`, which is the working directory until the directive names another; the caller
 * changes into c->dir afterwards. notices may be NULL. Returns false with a message for the user
 * in error: file, line number, the line, the reason.
 */
bool config_load(struct config *c, int argc, char **argv, struct config_notices *notices,
                 struct buf *error);
/** The same for a text in memory that may not include files; `source` names it in messages. */
bool config_load_text(struct config *c, struct slice text, const char *source,
                      struct config_notices *notices, struct buf *error);

/**
 * Sets one directive at run time (CONFIG SET rules: immutable ones are refused). False: the bare
 * reason is appended to error (Redis's texts, without "CONFIG SET failed ..."). `c` is a private
 * copy.
 */
bool config_set(struct config *c, struct slice name, struct slice value, struct buf *error);
/**
 * The whole of CONFIG SET name value [name value ...]: `pairs` holds 2 * count slices. All or
 * nothing holds because `c` is a private copy: drop it when this returns false. `local_client`:
 * the client is on this host. False: error gets Redis's text without the leading "ERR " (unknown
 * option, immutable, duplicate, bad value).
 */
bool config_set_many(struct config *c, const struct slice *pairs, size_t count, bool local_client,
                     struct buf *error);
/** Whether a user that is made has all channels (acl-pubsub-default). */
static inline bool config_all_channels(const struct config *c) {
    return c->acl_pubsub_default == CONFIG_PUBSUB_ALL;
}
/** Puts other users in the place of those that are there; takes the reference. */
void config_set_users(struct config *c, struct acl_users *users);
/**
 * Reads the file of users (aclfile). One reference; NULL: the file cannot be read, or what is wrong
 * in it: told in error. `c` says where it is and whose ids are kept; it does not change.
 */
struct acl_users *config_read_users(const struct config *c, struct buf *error);
/** Writes the file of users, whole or not at all. 0 or a negative errno. */
int config_write_users(const struct config *c);
/**
 * Calls each for every directive whose name matches the glob, with its value's text. Without *, ?
 * and [ the pattern is a name; it is then passed on as it was spelled, as Redis does. The value
 * lives for the call only.
 */
void config_get(const struct config *c, struct slice pattern,
                void (*each)(void *context, const char *name, struct slice value), void *context);
/** The value of exactly this directive, appended to out. False when there is none. */
bool config_value(const struct config *c, struct slice name, struct buf *out);
/**
 * CONFIG REWRITE: updates the file in place, keeping comments and order, atomically (temporary
 * file, fsync, rename). 0 or negative errno; -EINVAL when there is no configuration file.
 */
int config_rewrite(const struct config *c);
/**
 * Lets clients call commands as rename-command lines say. Once, before threads exist. False: error
 * says why not.
 */
bool config_rename_commands(const struct config *c, struct buf *error);
/** Whether the directive exists (also inert ones). */
bool config_exists(struct slice name);
/** Whether the directive holds a secret that must not be shown in logs. */
bool config_is_sensitive(struct slice name);

#endif
